"""An exchange as it is configured: its adapter, and the REST client that keeps its budgets."""

from typing import Any

import msgspec

from feeds import exchanges
from feeds.clock import Clock
from feeds.config import ExchangeConfig
from feeds.exchange import Authorises, Exchange
from feeds.rest import RestClient, rest_bases


def open_gateway(config: ExchangeConfig, clock: Clock) -> tuple[Exchange, RestClient]:
    """Raises ConfigError where market data need a key and there is none."""
    options: dict[str, Any] = dict(config.options)
    if config.book_depth is not None:
        options["book_depth"] = config.book_depth
    if config.credentials is not None:
        options["credentials"] = config.credentials
    adapter = exchanges.create(config.name, config.endpoints, **options)
    if adapter.facts.needs_key and config.credentials is None:
        raise config.no_key(config.key_env)
    budgets = {
        product: msgspec.structs.replace(budget, share=config.budget_share)
        for product, budget in adapter.budgets().items()
    }
    prepare = adapter.authorise if isinstance(adapter, Authorises) else None
    bases = rest_bases(adapter.endpoints)
    return adapter, RestClient(config.name, bases, budgets, adapter.error_of, prepare=prepare, clock=clock)
