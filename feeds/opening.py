"""An exchange of the configuration, ready to be started: by an adapter of ours, or through ccxt."""

from collections.abc import Callable

from feeds.at_work import ExchangeAtWork
from feeds.clock import Clock
from feeds.config import ExchangeConfig
from feeds.gateway import open_gateway
from feeds.longtail.settings import VIA_CCXT
from feeds.longtail.venue import LongTail
from feeds.venue import Venue


def open_exchange(
    config: ExchangeConfig,
    *,
    depth: int,
    clock: Clock,
    changed: Callable[[str], None],
    loaded: Callable[[ExchangeAtWork], None],
    status_changed: Callable[[], None],
) -> ExchangeAtWork:
    """The callbacks are those of ``Venue``."""
    if config.via == VIA_CCXT:
        return LongTail(config, depth=depth, clock=clock, changed=changed, loaded=loaded, status_changed=status_changed)
    adapter, rest = open_gateway(config, clock)
    return Venue(
        config, adapter, rest, depth=depth, clock=clock, changed=changed, loaded=loaded, status_changed=status_changed
    )
