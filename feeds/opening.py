"""An exchange of the configuration, ready to be started: by an adapter of ours, or through ccxt."""

from collections.abc import Callable

import msgspec

from feeds import exchanges
from feeds.at_work import ExchangeAtWork
from feeds.clock import Clock
from feeds.config import ExchangeConfig
from feeds.longtail.settings import VIA_CCXT
from feeds.longtail.venue import LongTail
from feeds.rest import RestClient, rest_bases
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
    options = {} if config.book_depth is None else {"book_depth": config.book_depth}
    adapter = exchanges.create(config.name, config.endpoints, **options)
    budgets = {
        product: msgspec.structs.replace(budget, share=config.budget_share)
        for product, budget in adapter.budgets().items()
    }
    rest = RestClient(config.name, rest_bases(adapter.endpoints), budgets, adapter.error_of, clock=clock)
    return Venue(
        config, adapter, rest, depth=depth, clock=clock, changed=changed, loaded=loaded, status_changed=status_changed
    )
