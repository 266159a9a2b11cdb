"""What the page of new accounts tells of each exchange."""

from decimal import Decimal

import pytest

from feeds import accounts, exchanges
from feeds.account import (
    AccountSpec,
    Credentials,
    GivesTokens,
    HasPositions,
    HasSettings,
    HasWallets,
    TellsRights,
    TellsTransfers,
)
from feeds.account_facts import FACTS, AccountFacts, dead_man_s, facts_of, wallets
from feeds.domain import Market
from feeds.exchange import MarketIndex
from feeds.following.dead_man import LIST_S, ROUNDS
from feeds.following.pace import PLANNED, Pace
from feeds.trading import TradingApi


@pytest.mark.parametrize("exchange", sorted(accounts.REGISTRY))
def test_an_exchange_with_accounts_says_how_a_key_is_made(exchange: str) -> None:
    assert facts_of(exchange).how.endswith(".")


@pytest.mark.parametrize("exchange", sorted(FACTS))
def test_facts_are_of_exchanges_that_there_are(exchange: str) -> None:
    assert exchange in exchanges.REGISTRY


def test_who_has_a_passphrase() -> None:
    assert [name for name, facts in FACTS.items() if facts.passphrase] == ["okx"]
    assert facts_of("unheard of") == AccountFacts()


@pytest.mark.parametrize("exchange", sorted(accounts.REGISTRY))
def test_a_switch_is_offered_where_there_is_one_and_takes_what_is_said(exchange: str) -> None:
    adapter = exchanges.create(exchange)
    listed = [
        Market(
            exchange=exchange,
            symbol=f"BTC/{product}".upper(),
            native=f"BTC{product}",
            product=product,
            base="BTC",
            quote="USDT",
            tick=Decimal(1),
            lot=Decimal(1),
        )
        for product in adapter.products
    ]
    spec = AccountSpec(
        id=1, exchange=exchange, label="Main", credentials=Credentials("key", "c2VjcmV0"), products=adapter.products
    )
    api = accounts.REGISTRY[exchange](spec, MarketIndex(listed), adapter.endpoints)
    assert isinstance(api, TradingApi)
    symbols = tuple(market.symbol for market in listed)
    if (allowed := facts_of(exchange).dead_man) is None:
        assert api.dead_man_requests(60, symbols) == []
        return
    for seconds in (*allowed, 0):
        assert api.dead_man_requests(seconds, symbols)


MARKETS = 8
"""In so many an account has orders."""


@pytest.mark.parametrize("exchange", [name for name, facts in FACTS.items() if facts.dead_man is not None])
def test_the_shortest_switch_leaves_room_for_all_else(exchange: str) -> None:
    """Of every documented limit it takes at most half of what polls and readings leave; so do, with it, the lists that
    say where it must be set."""
    shortest_s, _ = facts_of(exchange).dead_man or (0, 0)
    adapter = exchanges.create(exchange)
    product = adapter.products[-1]
    listed = [
        Market(
            exchange=exchange,
            symbol=f"A{number}/USDT",
            native=f"A{number}USDT",
            product=product,
            base=f"A{number}",
            quote="USDT",
            tick=Decimal(1),
            lot=Decimal(1),
        )
        for number in range(MARKETS)
    ]
    spec = AccountSpec(
        id=1, exchange=exchange, label="Main", credentials=Credentials("key", "c2VjcmV0"), products=adapter.products
    )
    api = accounts.REGISTRY[exchange](spec, MarketIndex(listed), adapter.endpoints)
    assert isinstance(api, TradingApi)
    renewal = api.dead_man_requests(shortest_s, tuple(market.symbol for market in listed))
    lists = [] if api.dead_man_requests(0, ()) else api.orders_requests()
    limits = Pace(api, adapter.budgets()).limits
    assert any(limit.cost(renewal) for limit in limits)
    for limit in limits:
        taken_per_s = limit.cost(renewal) * ROUNDS / shortest_s + limit.cost(lists) / LIST_S
        assert taken_per_s <= (1 - PLANNED) / 2 * limit.per_s


def test_a_stored_switch_that_is_too_short_now() -> None:
    assert [dead_man_s("kraken", seconds) for seconds in (0, 10, 90)] == [0, 60, 90]
    assert dead_man_s("bybit", 10) == 10  # it has none


@pytest.mark.parametrize("exchange", sorted(accounts.REGISTRY))
def test_what_is_traded_is_paid_from_a_wallet_that_is_told(exchange: str) -> None:
    """The same as the account's side says: the page does not have that."""
    adapter = exchanges.create(exchange)
    spec = AccountSpec(
        id=1, exchange=exchange, label="Main", credentials=Credentials("key", "c2VjcmV0"), products=adapter.products
    )
    api = accounts.REGISTRY[exchange](spec, MarketIndex(), adapter.endpoints)
    told = {request.subject for request in api.balances_requests()}
    for product, wallet in wallets(exchange, adapter.products).items():
        assert wallet in told
        assert wallet == product or len(told) == 1 or isinstance(api, HasWallets)
        assert not isinstance(api, HasWallets) or wallet == api.wallet_of(product)


@pytest.mark.parametrize("exchange", sorted(accounts.REGISTRY))
def test_what_an_exchange_has_it_can_be_asked_for(exchange: str) -> None:
    adapter = exchanges.create(exchange)
    spec = AccountSpec(
        id=1, exchange=exchange, label="Main", credentials=Credentials("key", "c2VjcmV0"), products=adapter.products
    )
    api = accounts.REGISTRY[exchange](spec, MarketIndex(), adapter.endpoints)
    assert isinstance(api, TellsRights) is facts_of(exchange).tells_rights
    assert isinstance(api, GivesTokens) is any(route.token_request is not None for route in api.routes())
    if isinstance(api, HasSettings):
        assert api.settings_requests()
    if isinstance(api, HasPositions):
        assert api.positions_requests()
    if isinstance(api, TellsTransfers):
        assert api.transfers_requests(0)
