"""From an exchange's configuration to the exchange at work, of whichever kind: by an adapter of ours (adapter, budgets,
REST client, venue), or through ccxt."""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from feeds import exchanges
from feeds.clock import Clock
from feeds.config import ExchangeConfig
from feeds.exchange import Authorises, Exchange
from feeds.longtail.settings import VIA_CCXT
from feeds.longtail.venue import LongTail
from feeds.markets.at_work import ExchangeAtWork
from feeds.markets.venue import Venue
from feeds.recordings.tap import Tap
from feeds.rest import RestClient, rest_bases


class MakesVenue(Protocol):
    """How an engine gets the exchanges at work; the names are those of :class:`~feeds.markets.venue.Venue`."""

    def __call__(
        self,
        config: ExchangeConfig,
        *,
        depth: int,
        clock: Clock,
        changed: Callable[[str], None],
        loaded: Callable[[ExchangeAtWork], None],
        status_changed: Callable[[], None],
    ) -> ExchangeAtWork: ...


def adapter_of(config: ExchangeConfig) -> Exchange:
    """With the configuration's options, and its key where market data need one."""
    options: dict[str, Any] = dict(config.options)
    if config.book_depth is not None:
        options["book_depth"] = config.book_depth
    if config.credentials is not None:
        options["credentials"] = config.credentials
    return exchanges.create(config.name, config.endpoints, **options)


def rest_of(config: ExchangeConfig, adapter: Exchange, clock: Clock, tap: Tap | None = None) -> RestClient:
    """The client that keeps the exchange's budgets."""
    budgets = {
        product: msgspec.structs.replace(budget, share=config.budget_share)
        for product, budget in adapter.budgets().items()
    }
    prepare = adapter.authorise if isinstance(adapter, Authorises) else None
    bases = rest_bases(adapter.endpoints)
    return RestClient(config.name, bases, budgets, adapter.error_of, prepare=prepare, tap=tap, clock=clock)


def make_venue(
    config: ExchangeConfig,
    *,
    depth: int,
    clock: Clock,
    changed: Callable[[str], None],
    loaded: Callable[[ExchangeAtWork], None],
    status_changed: Callable[[], None],
    tap: Tap | None = None,
) -> ExchangeAtWork:
    """The exchange itself, by its own addresses or those of the configuration.

    ``tap`` hears all that comes to an adapter. Through ccxt it hears nothing: what an exchange sends is read within
    ccxt's own objects, and could be neither verified nor played (``recorder.recordable``).

    Raises ConfigError where market data need a key and there is none, or if ccxt is needed and not installed.
    """
    if config.via == VIA_CCXT:
        return LongTail(config, depth=depth, clock=clock, changed=changed, loaded=loaded, status_changed=status_changed)
    adapter = adapter_of(config)
    if adapter.facts.needs_key and config.credentials is None:
        raise config.no_key(config.key_env)
    if tap is not None and config.credentials is not None:
        tap.hide(config.credentials.key, config.credentials.secret)
    return Venue(
        config,
        adapter,
        rest_of(config, adapter, clock, tap),
        depth=depth,
        clock=clock,
        changed=changed,
        loaded=loaded,
        status_changed=status_changed,
        tap=tap,
    )
