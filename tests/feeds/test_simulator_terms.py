"""Accounts of other exchanges than Binance: unified wallets, fees, ledgers, orders and fills over all products."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.simulator import filters, krakenfutures, okx
from feeds.simulator.accounts import Accounts
from feeds.simulator.bot import DemoTrader
from feeds.simulator.instruments import listing
from feeds.simulator.keys import make_keys
from feeds.simulator.market import World
from feeds.simulator.orders import OrderEvent, Rejected, WalletEvent
from feeds.simulator.positions import E8
from feeds.simulator.terms import ProductTerms, Terms, usual_opening
from feeds.simulator.truth import truth
from feeds.simulator.venues import REGISTRY
from tests.feeds.simulator_help import simulator

START_MS = 1_795_219_200_000
HOUR_MS = 3_600_000
ZERO = Decimal(0)
KEYS = make_keys(lambda name, number: (f"key-{name}", f"secret-{number}", "pass"))
MAKER, TAKER = Decimal("0.0008"), Decimal("0.001")

UNIFIED = Terms(
    products={
        "spot": ProductTerms(maker=MAKER, taker=TAKER, fee_asset="received", wallet="trading", refuses_fok=False),
        "swap": ProductTerms(
            maker=Decimal("-0.0001"), taker=Decimal("0.0005"), wallet="trading", refuses_post_only=False
        ),
    },
    keys=KEYS,
)
"""As OKX and Bybit: one wallet, fees from what was received, post-only swaps that are accepted and expire."""
QUOTE = Terms(products={"spot": ProductTerms(maker=MAKER, taker=TAKER)}, keys=KEYS)
"""As most spot exchanges: fees in the quote currency."""
SEPARATE = Terms(
    products={
        "futures": ProductTerms(maker=MAKER, taker=TAKER, collateral=("BTC",), funding_ms=HOUR_MS),
    },
    keys=KEYS,
)
"""As Kraken Futures: settled in USD, with dated contracts, funding every hour."""
COINS = ("BTC", "ETH")


class Setting:
    def __init__(self, exchange, terms, listed, seed=1):
        few = tuple(each for each in listed if each.base in COINS)
        self.world = World(seed, START_MS, few)
        self.accounts = Accounts(exchange, terms, listed, self.world)
        self.exchange = exchange
        self.demo, self.test = self.accounts.by_name["demo"], self.accounts.by_name["test"]
        self.events = []
        self.test.listen(self.events.append)

    def market(self, product, native):
        return self.world.markets[self.exchange, product, native]

    def run(self, seconds, trader=None):
        for _ in range(int(seconds * 50)):
            self.world.advance(self.world.now_ms + 20)
            self.accounts.tick(self.world.now_ms)
            if trader is not None:
                trader.step(self.world.now_ms)


@pytest.fixture
def unified():
    return Setting("okx", UNIFIED, okx.LISTING)


@pytest.fixture
def separate():
    return Setting("krakenfutures", SEPARATE, krakenfutures.LISTING)


def assert_cash_follows(account):
    """Every balance of every wallet is what moved, plus and minus fills and fees; locked is what open orders hold."""
    expected = {}

    def add(wallet, asset, amount):
        expected[wallet, asset] = expected.get((wallet, asset), ZERO) + amount

    for each in account.movements:
        add(each.wallet, each.asset, each.amount)
    for desk in account.desks.values():
        name = desk.wallet.cash.name
        for fill in desk.fills:
            i, sign = fill.order.market.instrument, 1 if fill.order.buy else -1
            if i.settle is None:
                add(name, i.base, sign * fill.size)
                add(name, i.quote, -sign * fill.price * fill.size)
            else:
                add(name, i.settle, fill.realised)
            add(name, fill.fee_asset, -fill.fee)
    for (wallet, asset), amount in expected.items():
        assert account.cash[wallet].total(asset) == amount, (wallet, asset)
    for name, cash in account.cash.items():
        assert {(name, asset) for asset in cash.assets()} <= expected.keys()
    if not account.open_orders():
        assert not any(amount for cash in account.cash.values() for amount in cash.locked.values())


# -- unified wallets -------------------------------------------------------------------------------------------------


def test_a_unified_wallet_pays_spot_and_derivatives_from_one_balance(unified):
    account, swap = unified.test, unified.market("swap", "BTC-USDT-SWAP")
    spot = unified.market("spot", "BTC-USDT")
    assert account.spot.cash is account.futures.cash
    begin = account.futures.available()
    assert begin == account.spot.free["USDT"] == 100_000
    account.desks["swap"].place(swap, buy=True, size=5000, type="MARKET")
    assert account.futures.available() < begin
    account.desks["spot"].place(spot, buy=True, size=10_000_000, type="MARKET")
    account.desks["swap"].place(swap, buy=False, size=7000, type="MARKET")
    account.desks["swap"].pay_funding()
    assert {each.kind for each in account.movements} == {"deposit", "withdrawal", "funding"}
    assert_cash_follows(account)


def test_what_positions_hold_cannot_be_spent_or_withdrawn(unified):
    account, desk = unified.test, unified.test.desks["swap"]
    swap, spot = unified.market("swap", "BTC-USDT-SWAP"), unified.market("spot", "BTC-USDT")
    desk.place(swap, buy=True, size=200_000, type="MARKET")
    margin = account.futures.used()
    assert margin > 60_000
    free, usable = account.spot.free["USDT"], account.spot.cash.usable("USDT")
    assert usable < free - margin + 10_000
    price = spot.top.bid - 100
    size = int((usable + 500) / (price * spot.instrument.tick) / spot.instrument.lot)
    with pytest.raises(Rejected) as refused:
        account.desks["spot"].place(spot, buy=True, size=size, price=price)
    assert refused.value.reason == "insufficient"
    with pytest.raises(Rejected, match="not that much USDT"):
        account.desks["spot"].transfer("USDT", -free)
    order = account.desks["spot"].place(spot, buy=True, size=size // 2, price=price)
    assert account.futures.available() < usable
    account.desks["spot"].cancel(order)
    assert_cash_follows(account)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["spot", "swap"]), st.booleans(), st.integers(1, 400), st.sampled_from([None, 0, 3])),
        max_size=25,
    ),
    st.integers(1, 3),
)
def test_balances_follow_from_what_happened_whatever_that_was(orders, seed):
    setting = Setting("okx", UNIFIED, okx.LISTING, seed)
    names = {"spot": ("BTC-USDT", 10_000), "swap": ("BTC-USDT-SWAP", 10)}
    for product, buy, size, away in orders:
        native, lots = names[product]
        market = setting.market(product, native)
        top = market.top
        price = None if away is None else top.bid - away if buy else top.ask + away
        try:
            setting.test.desks[product].place(market, buy=buy, size=size * lots, price=price)
        except Rejected as error:
            assert error.reason == "insufficient"
        setting.run(0.3)
    setting.test.cancel_all()
    assert setting.test.open_orders() == []
    assert_cash_follows(setting.test)


# -- separate wallets ------------------------------------------------------------------------------------------------


def test_derivatives_settle_in_what_the_listing_says(separate):
    account, market = separate.test, separate.market("futures", "PF_XBTUSD")
    desk = account.desks["futures"]
    assert account.futures.asset == "USD"
    with pytest.raises(LookupError):
        _ = account.spot
    desk.place(market, buy=True, size=1000, type="MARKET")
    assert {fill.fee_asset for fill in desk.fills} == {"USD"}
    desk.transfer("BTC", Decimal(1))
    assert account.futures.available() < 50_000
    with pytest.raises(Rejected) as refused:
        desk.transfer("DOGE", Decimal(1))
    assert refused.value.reason == "unknown_asset"
    assert_cash_follows(account)


def test_funding_comes_at_the_products_interval_and_never_for_dated_contracts(separate):
    account, desk = separate.test, separate.test.desks["futures"]
    dated = next(each for each in separate.world.markets.values() if each.instrument.expiry is not None)
    perpetual = separate.market("futures", "PF_XBTUSD")
    desk.place(dated, buy=True, size=1000, type="MARKET")
    desk.place(perpetual, buy=True, size=1000, type="MARKET")
    separate.accounts.tick(START_MS + HOUR_MS - 1)
    assert account.futures.funding == 0
    mark, rate = account.futures.mark(perpetual), Decimal(f"{perpetual.funding_rate:.8f}") / 8
    separate.accounts.tick(START_MS + HOUR_MS)
    assert account.futures.funding == -(1000 * perpetual.instrument.lot * mark * rate).quantize(E8)
    paid = [each for each in account.movements if each.kind == "funding"]
    assert [each.market for each in paid] == [perpetual]
    assert account.futures.funding == paid[0].amount != 0
    assert_cash_follows(account)


def mixed(*derivatives):
    """One product, some of whose markets settle in their quote currency."""
    row = "BTC/{} 0.1 0.001 0.001 5 100 1"
    both = {"native": lambda b, q: b + q, "half_spread_bps": 1, "lag_s": 1}
    return tuple(
        each
        for quote in ("USD", "USDT")
        for each in listing("x", "swap", row.format(quote), derivative=quote in derivatives, **both)
    )


def test_a_product_of_spot_and_derivatives_is_refused():
    terms = Terms(products={"swap": ProductTerms(maker=MAKER, taker=TAKER)}, keys=KEYS)
    markets = mixed("USDT")
    with pytest.raises(ValueError, match=r"swap must settle in currencies or in none.*None.*USDT"):
        Accounts("x", terms, markets, World(1, START_MS, markets))


def test_each_settlement_currency_has_its_own_margin():
    terms = Terms(
        products={"swap": ProductTerms(maker=MAKER, taker=TAKER)},
        keys=KEYS,
        opening={name: {"swap": {"USD": "1000", "USDT": "90000"}} for name in ("demo", "test")},
    )
    markets = mixed("USD", "USDT")
    world = World(1, START_MS, markets)
    account = Accounts("x", terms, markets, world).by_name["test"]
    desk, wallet = account.desks["swap"], account.futures
    dollar, tether = (world.markets["x", "swap", name] for name in ("BTCUSD", "BTCUSDT"))
    with pytest.raises(Rejected, match="not enough margin"):
        desk.place(dollar, buy=True, size=1000, type="MARKET")
    desk.place(tether, buy=True, size=1000, type="MARKET")
    assert wallet.balance == account.cash["swap"].total("USD") == 1000
    assert account.cash["swap"].total("USDT") < 90000
    assert (wallet.used("USD"), wallet.total_unrealised("USD")) == (0, 0)
    assert wallet.used("USDT") == wallet.initial_margin(wallet.position(tether)) > 0
    assert wallet.available("USD") == 1000
    desk.place(dollar, buy=False, size=1, price=2 * dollar.engine.asks.best())
    assert 0 < wallet.order_margin("USD") == 1000 - wallet.available("USD")
    assert wallet.order_margin("USDT") == 0


# -- fees ------------------------------------------------------------------------------------------------------------


def test_fees_in_the_quote_currency_are_reserved_on_top():
    setting = Setting("okx", QUOTE, okx.LISTING)
    desk, market = setting.test.desks["spot"], setting.market("spot", "BTC-USDT")
    wallet, i = setting.test.spot, market.instrument
    price = market.top.bid - 5000
    order = desk.place(market, buy=True, size=1_000_000, price=price)
    assert wallet.locked["USDT"] == order.size * i.lot * price * i.tick * (1 + TAKER)
    desk.cancel(order)
    for buy in (True, False):
        desk.place(market, buy=buy, size=1_000_000, type="MARKET")
    assert all(fill.fee_asset == "USDT" for fill in desk.fills)
    assert all(fill.fee == (fill.value * TAKER).quantize(E8, "ROUND_DOWN") for fill in desk.fills)
    with pytest.raises(Rejected):
        whole = int(wallet.free["USDT"] / (market.top.bid * i.tick) / i.lot)
        desk.place(market, buy=True, size=whole, price=market.top.bid)
    assert_cash_follows(setting.test)


def test_makers_may_be_paid(unified):
    desk, market = unified.test.desks["swap"], unified.market("swap", "BTC-USDT-SWAP")
    order = desk.place(market, buy=True, size=100, price=market.top.bid, time_in_force="GTX")
    unified.run(60)
    made = desk.fills_of_order(order)
    assert made
    assert all(fill.maker and fill.fee < 0 for fill in made)
    assert_cash_follows(unified.test)


# -- refusals and orders ---------------------------------------------------------------------------------------------


def test_post_only_and_fill_or_kill_may_be_accepted_and_expire(unified):
    spot, swap = unified.market("spot", "BTC-USDT"), unified.market("swap", "BTC-USDT-SWAP")
    taking = unified.test.desks["swap"].place(swap, buy=True, size=10, price=swap.top.ask + 100, time_in_force="GTX")
    killed = unified.test.desks["spot"].place(spot, buy=True, size=1000, price=1000, time_in_force="FOK")
    assert [order.status for order in (taking, killed)] == ["EXPIRED", "EXPIRED"]
    assert unified.test.fills == []
    assert [e.what for e in unified.events if isinstance(e, OrderEvent)] == ["NEW", "EXPIRED"] * 2
    assert_cash_follows(unified.test)


def test_orders_and_fills_are_found_over_all_products(unified):
    account = unified.test
    spot, swap = unified.market("spot", "BTC-USDT"), unified.market("swap", "ETH-USDT-SWAP")
    first = account.desk_of(spot).place(spot, buy=True, size=10_000, price=spot.top.bid - 9000, client_id="mine")
    second = account.desk_of(swap).place(swap, buy=False, size=10, price=swap.top.ask + 9000)
    assert account.open_orders() == [first, second]
    assert account.find(client_id="mine") is first
    assert account.find(order_id=second.id) is second
    assert second.client_id == ""
    assert account.find(client_id="") is None
    assert account.find(order_id=1) is None
    for desk, market in ((account.desk_of(spot), spot), (account.desk_of(swap), swap)) * 2:
        desk.place(market, buy=True, size=10_000 if market is spot else 10, type="MARKET")
    numbers = [fill.number for fill in account.fills]
    assert numbers == sorted(set(numbers))
    assert {fill.order.market for fill in account.fills} == {spot, swap}
    assert account.cancel_all() == [first, second]
    assert account.open_orders() == []
    assert [order.id for order in account.history()] == sorted(order.id for order in account.history())
    assert len(account.history()) == 6
    account.unlisten(unified.events.append)
    told = len(unified.events)
    account.desk_of(spot).place(spot, buy=True, size=10_000, type="MARKET")
    assert len(unified.events) == told


@pytest.mark.parametrize(
    ("reason", "check"),
    [
        ("price", lambda market: filters.ticks(market, ZERO)),
        ("tick", lambda market: filters.ticks(market, Decimal("80000.01"))),
        ("size", lambda market: filters.lots(market, Decimal(-1))),
        ("lot", lambda market: filters.lots(market, Decimal("1.000000001"))),
        ("min_size", lambda market: filters.lots(market, Decimal("0.000001"))),
        ("min_notional", lambda market: filters.check_value(market, 1000, None)),
        ("min_notional", lambda market: filters.affordable(market, True, Decimal("0.0000001"))),
    ],
)
def test_filters_name_what_is_wrong(unified, reason, check):
    with pytest.raises(Rejected) as refused:
        check(unified.market("spot", "BTC-USDT"))
    assert refused.value.reason == reason


# -- ledger and keys -------------------------------------------------------------------------------------------------


def test_the_ledger_tells_where_the_money_came_from(unified):
    rows = unified.demo.movements
    assert {"deposit", "withdrawal"} == {each.kind for each in rows}
    assert [each.ms for each in rows] == sorted(each.ms for each in rows)
    assert [each.id for each in rows] == sorted({each.id for each in rows})
    assert all(each.ms < START_MS for each in rows)
    assert {each.asset for each in rows} == {"USDT", "BTC", "ETH", "SOL", "LINK", "DOGE"}
    assert_cash_follows(unified.demo)
    unified.test.desks["spot"].transfer("ETH", Decimal(2))
    assert unified.test.movements[-1][1:5] == ("deposit", "trading", "ETH", Decimal(2))
    assert unified.events == [WalletEvent("DEPOSIT", ("ETH",), (), {"ETH": Decimal(2)}, unified.world.now_ms)]


def test_keys_have_the_form_and_the_rights(unified):
    assert set(unified.accounts.keys) == {"key-demo", "key-withdraw", "key-read", "key-test"}
    assert {(key.account, key.trade, key.withdraw) for key in KEYS} == {
        ("demo", True, False),
        ("demo", True, True),
        ("demo", False, False),
        ("test", True, False),
    }
    assert {key.passphrase for key in KEYS} == {"pass"}


# -- several exchanges -----------------------------------------------------------------------------------------------


def test_executions_reach_the_exchange_that_owns_the_order():
    listed = (*okx.LISTING, *krakenfutures.LISTING)
    world = World(1, START_MS, tuple(each for each in listed if each.base == "BTC"))
    ours = Accounts("okx", UNIFIED, okx.LISTING, world).by_name["test"]
    theirs = Accounts("krakenfutures", SEPARATE, krakenfutures.LISTING, world).by_name["test"]
    for account, key in ((ours, ("okx", "swap", "BTC-USDT-SWAP")), (theirs, ("krakenfutures", "futures", "PF_XBTUSD"))):
        market = world.markets[key]
        account.desk_of(market).place(market, buy=True, size=10, price=market.top.bid)
    for _ in range(60 * 50):
        world.advance(world.now_ms + 20)
    for account in (ours, theirs):
        assert account.fills
        assert all(fill.maker for fill in account.fills)
        assert_cash_follows(account)


@pytest.mark.parametrize(
    ("exchange", "terms", "listed"),
    [("okx", UNIFIED, okx.LISTING), ("okx", QUOTE, okx.LISTING), ("krakenfutures", SEPARATE, krakenfutures.LISTING)],
)
def test_the_demo_trader_trades_wherever_there_are_accounts(exchange, terms, listed):
    setting = Setting(exchange, terms, listed)
    trader = DemoTrader(exchange, setting.demo, setting.world, 1)
    trader.open_positions()
    setting.run(120, trader)
    assert {fill.order.market.instrument.product for fill in setting.demo.fills} == set(terms.products)
    assert_cash_follows(setting.demo)
    told = truth(setting.demo)
    assert len(told["fills"]) == len(setting.demo.fills)
    assert set(told["balances"]) == {terms.wallet_of(product) for product in terms.products}


async def test_controls_name_the_exchange():
    async with simulator() as client:
        url = f"{client.base}/__sim"
        told = await client.get("/__sim/truth", exchange="binance", account="test")
        assert told == await client.get("/__sim/truth", account="test")
        body = {"exchange": "binance", "account": "test", "asset": "BTC", "amount": "1"}
        await client.post("/__sim/transfer", body)
        assert (await client.get("/__sim/truth", account="test"))["balances"]["spot"]["BTC"]["free"] == "2"
        for path, change in (("transfer", {"exchange": "bitstamp"}), ("transfer", {"exchange": "nobody"})):
            async with client.session.post(f"{url}/{path}", json=body | change) as answer:
                assert answer.status == 404
                assert "serves no accounts" in await answer.text()
        async with client.session.post(f"{url}/transfer", json=body | {"product": "swap"}) as answer:
            assert answer.status == 400
            assert "no product 'swap'" in await answer.text()


@pytest.mark.parametrize("exchange", [name for name, kind in REGISTRY.items() if kind.terms is not None])
def test_whatever_the_demo_account_begins_with_has_a_price(exchange):
    kind = REGISTRY[exchange]
    assert kind.terms is not None
    quoted = {each.base for each in kind.listing if each.settle is None and each.quote in ("USD", "USDT")}
    opening = kind.terms.opening.get("demo") or usual_opening("demo", kind.terms, kind.listing)
    for amounts in opening.values():
        assert amounts.keys() <= quoted | {"USD", "USDT", "USDC"}
