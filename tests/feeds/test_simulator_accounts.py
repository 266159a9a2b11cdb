"""Accounts, with Binance's terms: balances follow from deposits, executions, fees and funding, to the last digit."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.simulator.accounts import Accounts
from feeds.simulator.binance.listing import LISTING
from feeds.simulator.binance.terms import BNB_USDT, MAKER_FEE, SPOT_FEE, TAKER_FEE, TERMS
from feeds.simulator.bot import DemoTrader
from feeds.simulator.market import World
from feeds.simulator.orders import OrderEvent, Rejected, WalletEvent
from feeds.simulator.positions import E8, Position
from tests.feeds.simulator_help import FEW

START_MS = 1_795_219_200_000
ZERO = Decimal(0)


class Setting:
    """A world with accounts; time passes by :meth:`run`."""

    def __init__(self, seed=1):
        self.world = World(seed, START_MS, FEW)
        self.accounts = Accounts("binance", TERMS, LISTING, self.world)
        self.demo, self.test = self.accounts.by_name["demo"], self.accounts.by_name["test"]
        self.trader = DemoTrader("binance", self.demo, self.world, seed)
        self.btc = self.world.markets["binance", "spot", "BTCUSDT"]
        self.perp = self.world.markets["binance", "usdm", "BTCUSDT"]
        self.events = []
        for desk in self.test.desks.values():
            desk.listeners.append(self.events.append)

    def run(self, seconds, trading=False):
        for _ in range(int(seconds * 50)):
            self.world.advance(self.world.now_ms + 20)
            self.accounts.tick(self.world.now_ms)
            if trading:
                self.trader.step(self.world.now_ms)


@pytest.fixture
def setting():
    return Setting()


def assert_spot_follows(account):
    """Every spot balance is what came in, plus and minus the fills and their fees; locked is what open orders hold."""
    expected = dict(account.spot.deposited)
    for fill in account.desks["spot"].fills:
        i, sign = fill.order.market.instrument, 1 if fill.order.buy else -1
        expected[i.base] = expected.get(i.base, ZERO) + sign * fill.size
        expected[i.quote] = expected.get(i.quote, ZERO) - sign * fill.price * fill.size
        expected[fill.fee_asset] = expected.get(fill.fee_asset, ZERO) - fill.fee
    assert {asset: account.spot.total(asset) for asset in expected} == expected
    held = {}
    for order in account.desks["spot"].open_orders():
        i = order.market.instrument
        asset, amount = (
            (i.quote, order.left * i.lot * order.price * i.tick) if order.buy else (i.base, order.left * i.lot)
        )
        held[asset] = held.get(asset, ZERO) + amount
    assert {a: v for a, v in account.spot.locked.items() if v} == held
    assert all(amount >= 0 for amount in account.spot.free.values())


def assert_futures_follow(account):
    """The wallet is deposits, realised profit, fees and funding; positions are the signed sums of the fills."""
    fills = account.desks["usdm"].fills
    wallet = account.futures
    assert wallet.balance == wallet.deposited + wallet.funding + sum((f.realised - f.fee for f in fills), ZERO)
    for (market, _), position in wallet.positions.items():
        own = [fill for fill in fills if fill.order.market is market]
        signed = [(fill.size if fill.order.buy else -fill.size, fill) for fill in own]
        assert position.amount == sum((size for size, _ in signed), ZERO)
        paid = sum((size * fill.price for size, fill in signed), ZERO)
        assert position.cost == paid + sum((fill.realised for fill in own), ZERO)
        assert position.realised == sum((fill.realised for fill in own), ZERO)


def test_the_demo_traders_books_are_exact(setting):
    setting.trader.open_positions()
    setting.run(240, trading=True)
    spot, usdm = setting.demo.desks["spot"], setting.demo.desks["usdm"]
    assert len(spot.fills) > 5
    assert len(usdm.fills) > 5
    assert any(fill.maker for fill in spot.fills)
    assert len(setting.demo.futures.open_positions()) == 2
    assert_spot_follows(setting.demo)
    assert_futures_follow(setting.demo)
    moments = sorted({fill.ms for desk in (spot, usdm) for fill in desk.fills})
    assert max(b - a for a, b in pairwise(moments)) < 120_000


def test_fills_are_prints_of_the_market(setting):
    prints = []
    desk = setting.test.desks["spot"]
    desk.place(setting.btc, buy=True, size=50_000, type="MARKET")
    prints += setting.btc.collect()[0]
    by_id = {row.id: row for row in prints}
    for fill in desk.fills:
        row = by_id[fill.id]
        assert (fill.price, fill.size) == (row.price * Decimal("0.01"), row.size * Decimal("0.00001"))
        assert row.taker_buys


def test_fees_are_taken_from_what_is_received(setting):
    desk = setting.test.desks["spot"]
    bought = desk.place(setting.btc, buy=True, size=1000, type="MARKET")
    sold = desk.place(setting.btc, buy=False, size=1000, type="MARKET")
    for fill in desk.fills:
        got = fill.size if fill.order is bought else fill.price * fill.size
        assert fill.fee_asset == ("BTC" if fill.order is bought else "USDT")
        assert fill.fee == (got * SPOT_FEE).quantize(E8, "ROUND_DOWN")
    assert {fill.order for fill in desk.fills} == {bought, sold}


def test_fees_in_bnb_are_cheaper_and_end_with_the_bnb(setting):
    desk = setting.demo.desks["spot"]
    desk.place(setting.btc, buy=True, size=1000, type="MARKET")
    fill = desk.fills[0]
    assert fill.fee_asset == "BNB"
    assert fill.fee == (fill.value * SPOT_FEE * Decimal("0.75") / BNB_USDT).quantize(E8, "ROUND_DOWN")
    desk.transfer("BNB", -setting.demo.spot.free["BNB"])
    desk.place(setting.btc, buy=True, size=1000, type="MARKET")
    assert desk.fills[-1].fee_asset == "BTC"
    assert_spot_follows(setting.demo)


def test_the_price_of_the_tokens_market_converts_fees():
    listed = tuple(each for each in LISTING if each.native in ("BTCUSDT", "BNBUSDT") and each.product == "spot")
    world = World(1, START_MS, listed)
    desk = Accounts("binance", TERMS, LISTING, world).by_name["demo"].desks["spot"]
    bnb = world.markets["binance", "spot", "BNBUSDT"]
    price = Decimal(bnb.mid()) * bnb.instrument.tick
    desk.place(world.markets["binance", "spot", "BTCUSDT"], buy=True, size=1000, type="MARKET")
    fill = desk.fills[0]
    assert fill.fee_asset == "BNB"
    assert price != BNB_USDT
    assert fill.fee == (fill.value * SPOT_FEE * Decimal("0.75") / price).quantize(E8, "ROUND_DOWN")


def test_a_resting_order_is_locked_filled_and_released(setting):
    desk, best = setting.test.desks["spot"], setting.btc.top.bid
    order = desk.place(setting.btc, buy=True, size=20_000, price=best)
    assert setting.test.spot.locked["USDT"] == Decimal("0.2") * best * Decimal("0.01")
    setting.run(60)
    assert order.filled > 0
    assert all(fill.maker and fill.price == best * Decimal("0.01") for fill in desk.fills)
    if order.status == "PARTIALLY_FILLED":
        desk.cancel(order)
    assert setting.test.spot.locked["USDT"] == 0
    assert_spot_follows(setting.test)


def test_events_tell_the_order_first_and_then_the_balances(setting):
    desk = setting.test.desks["spot"]
    order = desk.place(setting.btc, buy=True, size=100, price=setting.btc.top.bid - 5000)
    desk.cancel(order, "me")
    kinds = [(type(event).__name__, event[0]) for event in setting.events]
    assert kinds == [
        ("OrderEvent", "NEW"),
        ("WalletEvent", "ORDER"),
        ("OrderEvent", "CANCELED"),
        ("WalletEvent", "ORDER"),
    ]
    assert setting.events[2].request_id == "me"


def test_funding_moves_the_wallet_by_mark_size_and_rate(setting):
    desk = setting.test.desks["usdm"]
    desk.place(setting.perp, buy=True, size=2000, type="MARKET")
    before, mark = setting.test.futures.balance, setting.test.futures.mark(setting.perp)
    desk.pay_funding()
    rate = Decimal(f"{setting.perp.funding_rate:.8f}")
    assert setting.test.futures.balance - before == -(2 * mark * rate).quantize(E8)
    event = setting.events[-1]
    assert isinstance(event, WalletEvent)
    assert (event.reason, event.markets) == ("FUNDING_FEE", (setting.perp,))
    assert_futures_follow(setting.test)


def test_funding_comes_every_eight_hours(setting):
    desk = setting.test.desks["usdm"]
    desk.place(setting.perp, buy=False, size=1000, type="MARKET")
    setting.accounts.tick(START_MS + 8 * 3_600_000 - 1)
    assert setting.test.futures.funding == 0
    setting.accounts.tick(START_MS + 8 * 3_600_000)
    once = setting.test.futures.funding
    assert once != 0
    setting.accounts.tick(START_MS + 8 * 3_600_000 + 20)
    assert setting.test.futures.funding == once


def test_futures_fees_by_role(setting):
    desk = setting.test.desks["usdm"]
    desk.place(setting.perp, buy=True, size=10, type="MARKET")
    taken = desk.fills[-1]
    assert taken.fee == (taken.value * TAKER_FEE).quantize(E8, "ROUND_DOWN")
    order = desk.place(setting.perp, buy=True, size=10, price=setting.perp.top.bid)
    setting.run(60)
    made = [fill for fill in desk.fills if fill.order is order]
    assert made
    assert all(fill.fee == (fill.value * MAKER_FEE).quantize(E8, "ROUND_DOWN") for fill in made)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(-50, 50).filter(bool), st.integers(1, 10**7)), min_size=1, max_size=40))
def test_a_position_is_what_fractions_say(rows):
    """Average cost in exact fractions is the model; rounding of realised profit must never add up."""
    position, size, cost, realised, paid = Position(None), Fraction(0), Fraction(0), Fraction(0), ZERO
    for lots, ticks in rows:
        signed, price = Fraction(lots, 1000), Fraction(ticks, 10)
        closing = min(abs(signed), abs(size)) if size and (signed > 0) != (size > 0) else Fraction(0)
        if closing:
            share = closing / abs(size)
            sign = 1 if size > 0 else -1
            realised += sign * closing * price - cost * share
            cost -= cost * share
            size -= sign * closing
        rest = signed + closing if signed < 0 else signed - closing
        size += rest
        cost += rest * price
        position.execute(Decimal(lots) / 1000, Decimal(ticks) / 10)
        assert Fraction(position.amount) == size
        assert abs(Fraction(position.cost) - cost) < Fraction(1, 10**6)
        assert abs(Fraction(position.realised) - realised) < Fraction(1, 10**6)
        paid += Decimal(lots) / 1000 * Decimal(ticks) / 10
        assert position.cost == paid + position.realised
        if not position.amount:
            assert position.cost == 0


def test_a_liquidation_price_lies_where_the_margin_ends(setting):
    desk, wallet = setting.test.desks["usdm"], setting.test.futures
    desk.transfer("USDT", Decimal("-45000"))
    desk.place(setting.perp, buy=True, size=500, type="MARKET")
    position = wallet.position(setting.perp)
    price = wallet.liquidation_price(position)
    assert 0 < price < position.entry
    equity = wallet.balance + position.amount * price - position.cost
    assert abs(equity - position.amount * price * Decimal("0.0065")) < Decimal("0.001")


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("product", "reason", "arguments"),
    [
        ("spot", "insufficient", {"buy": True, "size": 10**9, "price": 8_000_000}),
        ("spot", "insufficient", {"buy": False, "size": 10**9, "price": 9_000_000}),
        ("spot", "insufficient", {"buy": True, "size": 10_000_000, "type": "MARKET"}),
        ("spot", "would_take", {"buy": True, "size": 10, "price": 20_000_000, "type": "LIMIT_MAKER"}),
        ("usdm", "insufficient", {"buy": True, "size": 10**6, "price": 800_000}),
        ("usdm", "would_take", {"buy": True, "size": 10, "price": 2_000_000, "time_in_force": "GTX"}),
        ("usdm", "fok", {"buy": True, "size": 10, "price": 1000, "time_in_force": "FOK"}),
        ("usdm", "reduce_only", {"buy": True, "size": 10, "type": "MARKET", "reduce_only": True}),
    ],
)
def test_refusals_leave_nothing_behind(setting, product, reason, arguments):
    desk, market = setting.test.desks[product], setting.btc if product == "spot" else setting.perp
    with pytest.raises(Rejected) as refused:
        desk.place(market, **arguments)
    assert refused.value.reason == reason
    assert setting.events == []
    assert desk.orders == {}
    assert desk.open_orders() == []
    assert not any(setting.test.spot.locked.values())
    assert setting.test.futures.order_margin() == 0


def test_a_client_id_is_used_once_at_a_time(setting):
    desk, far = setting.test.desks["spot"], setting.btc.top.bid - 5000
    order = desk.place(setting.btc, buy=True, size=10, price=far, client_id="mine")
    with pytest.raises(Rejected, match="mine"):
        desk.place(setting.btc, buy=True, size=10, price=far, client_id="mine")
    desk.cancel(order)
    again = desk.place(setting.btc, buy=True, size=10, price=far, client_id="mine")
    assert desk.find(setting.btc, None, "mine") is again


def test_reduce_only_is_cut_to_the_position(setting):
    desk = setting.test.desks["usdm"]
    desk.place(setting.perp, buy=True, size=10, type="MARKET")
    desk.place(setting.perp, buy=False, size=500, type="MARKET", reduce_only=True)
    assert setting.test.futures.position(setting.perp).amount == 0


def test_an_own_resting_order_expires_instead_of_trading_with_its_owner(setting):
    desk = setting.test.desks["spot"]
    while setting.btc.top.ask - setting.btc.top.bid < 2:
        setting.run(0.1)
    own = desk.place(setting.btc, buy=True, size=10, price=setting.btc.top.ask - 1)
    desk.place(setting.btc, buy=False, size=10, type="MARKET")
    assert own.status == "EXPIRED_IN_MATCH"
    assert own.filled == 0
    assert [fill.order.side for fill in desk.fills] == ["SELL"]
    assert_spot_follows(setting.test)


def test_immediate_or_cancel_leaves_nothing_in_the_book(setting):
    desk, top = setting.test.desks["spot"], setting.btc.top
    order = desk.place(setting.btc, buy=True, size=50_000, price=top.ask, time_in_force="IOC")
    assert order.filled == min(50_000, top.ask_size)
    assert order.status in ("FILLED", "EXPIRED")
    assert desk.open_orders() == []
    assert setting.test.spot.locked["USDT"] == 0
    whats = [event.what for event in setting.events if isinstance(event, OrderEvent)]
    assert whats[0] == "NEW"
    assert whats[-1] == ("TRADE" if order.status == "FILLED" else "EXPIRED")
