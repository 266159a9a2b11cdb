"""From an exchange's configuration to the exchange at work: adapter, budgets, REST client, venue."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from feeds import exchanges
from feeds.clock import Clock
from feeds.config import ExchangeConfig
from feeds.exchange import Exchange
from feeds.rest import RestClient, rest_bases
from feeds.tap import Tap
from feeds.venue import Venue


class MakesVenue(Protocol):
    """How an engine gets its venues; the names are those of :class:`~feeds.venue.Venue`."""

    def __call__(
        self,
        config: ExchangeConfig,
        *,
        depth: int,
        clock: Clock,
        changed: Callable[[str], None],
        loaded: Callable[[Venue], None],
        status_changed: Callable[[], None],
    ) -> Venue: ...


def adapter_of(config: ExchangeConfig) -> Exchange:
    options = {} if config.book_depth is None else {"book_depth": config.book_depth}
    return exchanges.create(config.name, config.endpoints, **options)


def rest_of(config: ExchangeConfig, adapter: Exchange, clock: Clock, tap: Tap | None = None) -> RestClient:
    budgets = {
        product: msgspec.structs.replace(budget, share=config.budget_share)
        for product, budget in adapter.budgets().items()
    }
    return RestClient(config.name, rest_bases(adapter.endpoints), budgets, adapter.error_of, tap=tap, clock=clock)


def make_venue(
    config: ExchangeConfig,
    *,
    depth: int,
    clock: Clock,
    changed: Callable[[str], None],
    loaded: Callable[[Venue], None],
    status_changed: Callable[[], None],
    tap: Tap | None = None,
) -> Venue:
    """The exchange itself, by its own addresses or those of the configuration. ``tap`` hears all that comes."""
    adapter = adapter_of(config)
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
