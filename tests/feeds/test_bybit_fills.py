"""Bybit's fill history, in windows of seven days and pages told newest first: all fills once, come what may; noise."""

import asyncio
import json
from typing import Any
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st

from feeds.account_domain import Fill
from feeds.accounts.bybit import pages
from feeds.errors import ParseError, TransportError
from feeds.exchange import Request
from feeds.following.fill_history import FillHistory
from feeds.following.signed_rest import Told
from tests.feeds.bybit_examples import account, answer, body, pushed, session
from tests.feeds.test_fill_lists import Store, read

DAY_MS = 86_400_000
BEGIN_MS = 1_700_000_000_000
SETTLE_S = 10.0


class Exchange:
    """Asked through the adapter. Its clock goes on by ``step_ms`` at every answer; every other fill it shows only
    ``late_ms`` later."""

    def __init__(self, *, a_page: int, step_ms: int, late_ms: int, ends_empty: bool) -> None:
        self.api = account()
        self.now_ms = BEGIN_MS
        self.rows: list[dict[str, Any]] = []
        self.asked: list[dict[str, str]] = []
        self.break_after: int | None = None
        self._a_page, self._step_ms, self._late_ms, self._ends_empty = a_page, step_ms, late_ms, ends_empty

    def __getattr__(self, name: str) -> Any:
        return getattr(self.api, name)

    def fill_lists(self) -> tuple[str, ...]:
        return ("linear",)

    def trade(self, count: int = 1) -> None:
        for _ in range(count):
            number = len(self.rows)
            row = {"symbol": "BTCUSDT", "execType": "Trade", "execTime": str(self.now_ms), "execId": f"e{number}"}
            self.rows.append(row | {"orderId": "o", "side": "Buy", "execPrice": "1", "execQty": "1", "seq": number})

    async def ask(self, request: Request) -> Told:
        if self.break_after is not None:
            self.break_after -= 1
            if self.break_after < 0:
                raise TransportError("cut")
        asof_ms, params = self.now_ms, dict(request.params)
        self.asked.append(params)
        assert params["category"] == "linear" and int(params["limit"]) <= 100
        begin_ms, end_ms = (int(params.get(name, asof_ms)) for name in ("startTime", "endTime"))
        assert end_ms - begin_ms <= 7 * DAY_MS
        shown = [r for r in self.rows if int(r["execTime"]) <= asof_ms - self._late_ms * (r["seq"] % 2)]
        told = [r for r in reversed(shown) if begin_ms <= int(r["execTime"]) <= end_ms]
        if "cursor" in params:
            told = [row for row in told if row["seq"] < int(params["cursor"])]
        page, more = told[: self._a_page], len(told) > self._a_page
        cursor = str(page[-1]["seq"]) if page and (more or self._ends_empty) else ""
        self.now_ms += self._step_ms
        if self._step_ms and len(self.rows) % 3 == 1:
            self.trade()  # while it is read
        return Told(body({"list": page, "nextPageCursor": cursor}), asof_ms, 0)


def history(exchange: Exchange, store: Store) -> FillHistory:
    made = FillHistory(exchange, exchange, store, on_fatal=print, settle_s=SETTLE_S, delays=lambda: iter([0.0] * 99))
    made.load([], [], store.cursors)
    return made


times = st.lists(
    st.tuples(st.integers(0, 7), st.sampled_from([0, 1, 5_000, 70_000, DAY_MS, 6 * DAY_MS, 15 * DAY_MS])),
    min_size=1,
    max_size=8,
)


@settings(deadline=None, max_examples=60)
@given(
    trades=times,
    a_page=st.integers(1, 4),
    step_ms=st.sampled_from([0, 1, 3_000, 20_000]),
    late_ms=st.sampled_from([0, 9_000]),
    ends_empty=st.booleans(),
    breaks=st.lists(st.integers(0, 4), max_size=3),
)
@example(trades=[(1, 0), (5, 0), (1, 5000)], a_page=2, step_ms=3000, late_ms=9000, ends_empty=False, breaks=[])
@example(trades=[(7, 0)], a_page=1, step_ms=20_000, late_ms=9_000, ends_empty=True, breaks=[])
def test_all_fills_once(
    trades: list[tuple[int, int]], a_page: int, step_ms: int, late_ms: int, ends_empty: bool, breaks: list[int]
) -> None:
    """Several of one millisecond, pages that break off, windows without any, an exchange that shows them late."""

    async def run() -> None:
        exchange = Exchange(a_page=a_page, step_ms=step_ms, late_ms=late_ms, ends_empty=ends_empty)
        store = Store()
        for number, (count, apart_ms) in enumerate([*trades, (0, 0)]):
            exchange.trade(count)
            exchange.now_ms += apart_ms
            exchange.break_after = breaks[number] if number < len(breaks) else None
            made = history(exchange, store)
            await read(made, lambda made=made: made.error is not None or not made.to_read)
        exchange.now_ms += 30_000
        exchange.break_after, exchange._step_ms = None, 0
        made = history(exchange, store)
        await read(made, lambda: not made.to_read)
        assert sorted(store.fills) == sorted(row["execId"] for row in exchange.rows)
        cursor = int(store.cursors.get("linear", exchange.now_ms - 40 * DAY_MS))
        assert exchange.now_ms - cursor <= 40 * DAY_MS + 30_000

    with patch.object(pages, "KEPT_MS", 40 * DAY_MS), patch("feeds.following.fill_history.GAP_S", 0.0):
        asyncio.run(run())


async def test_a_second_reading_begins_where_the_first_ended() -> None:
    exchange, store = Exchange(a_page=3, step_ms=0, late_ms=0, ends_empty=False), Store()
    exchange.trade(5)
    exchange.now_ms += 60 * DAY_MS
    made = history(exchange, store)
    await read(made, lambda: not made.to_read)
    begun = int(exchange.asked[1]["startTime"])
    assert begun == exchange.now_ms - round(SETTLE_S * 1000) - pages.KEPT_MS
    assert len(exchange.asked) > 100
    exchange.asked.clear()
    made = history(exchange, store)
    await read(made, lambda: not made.to_read)
    [only] = exchange.asked
    assert exchange.now_ms - 7 * DAY_MS <= int(only["startTime"]) <= exchange.now_ms


def test_a_window_of_several_pages_ends_at_what_was_settled_at_its_first() -> None:
    """And the fills after that are left to the next, however late the other pages come."""
    api = account()
    exchange = Exchange(a_page=3, step_ms=0, late_ms=0, ends_empty=False)
    for _ in range(3):
        exchange.now_ms += 100_000
        exchange.trade()
    told = body({"list": exchange.rows[::-1], "nextPageCursor": "x"})
    begin, second = str(BEGIN_MS), BEGIN_MS + 200_000
    first = api.parse_fills("linear", begin, told, second + 50_000)
    assert [fill.id for fill in first.fills] == ["e0", "e1"]
    assert (first.next, first.whole, first.reached) == (f"{begin},{second + 50_000},x", False, None)
    last = api.parse_fills("linear", first.next, body({"list": []}), second + 10 * DAY_MS)
    assert (last.next, last.whole, last.reached) == (str(second + 50_000), True, str(second + 50_000))
    short = api.parse_fills("linear", begin, told, BEGIN_MS + 50_000)
    assert [fill.id for fill in short.fills] == ["e0", "e1", "e2"]
    assert (short.next, short.whole) == (f"{begin},,x", False)
    end = api.parse_fills("linear", short.next, body({"list": []}), BEGIN_MS + 60_000)
    assert (end.next, end.whole, end.reached) == (None, True, None)


def mutated(text: bytes, data: Any) -> bytes:
    raw = bytearray(text)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    return bytes(raw)


def damaged(value: Any, data: Any) -> Any:
    """The same with one value somewhere replaced by another kind."""
    strange = data.draw(st.sampled_from([None, [], {}, "", "x", "NaN", "1e999999", -1, 1.5, True, 2**70]))
    if isinstance(value, dict) and value:
        name = data.draw(st.sampled_from(sorted(value)))
        return value | {name: damaged(value[name], data)}
    if isinstance(value, list) and value:
        return [damaged(value[0], data), *value[1:]]
    return strange


FRAMES = ("Balance", "Order", "Position", "UserTrades")


@settings(deadline=None, max_examples=150)
@given(name=st.sampled_from(FRAMES), data=st.data())
def test_damaged_frames(name: str, data: Any) -> None:
    """Only ParseError comes out, and a fill only with sensible figures."""
    text = pushed(name)
    broken = mutated(text.encode(), data) if data.draw(st.booleans()) else json.dumps(damaged(json.loads(text), data))
    try:
        events = session().parse(broken)
    except ParseError:
        return
    assert all(event.price.is_finite() and event.size.is_finite() for event in events if isinstance(event, Fill))


@settings(deadline=None, max_examples=150)
@given(name=st.sampled_from(["GetBalances", "GetApiKeyInfo", "GetMarginAccountInfo", *FRAMES]), data=st.data())
def test_damaged_answers(name: str, data: Any) -> None:
    folders = {"GetBalances": "Account", "GetApiKeyInfo": "Account", "GetMarginAccountInfo": "Account"}
    others = {"Balance": "GetUserTrades", "Order": "GetOrders", "Position": "GetPositions", "UserTrades": "PlaceOrder"}
    name = others.get(name, name)
    text = answer(f"{folders.get(name, 'Trading')}/{name}")
    broken = mutated(text, data) if data.draw(st.booleans()) else json.dumps(damaged(json.loads(text), data)).encode()
    api = account()
    [orders, *_] = api.orders_requests()
    for parse in (
        lambda: api.parse_balances(api.balances_requests()[0], broken, 1),
        lambda: api.parse_positions(api.positions_requests()[0], broken, 1),
        lambda: api.parse_orders(orders, broken),
        lambda: api.parse_fills("linear", "1672000000000", broken, BEGIN_MS),
        lambda: api.parse_rights(broken),
        lambda: api.take_settings(api.settings_requests()[0], broken),
        lambda: api.parse_time("unified", broken),
        lambda: api.next_page(orders, broken),
        lambda: api.parse_transfers(orders, broken),
        lambda: api.parse_found("BTC/USDT", "x", broken),
        lambda: api.parse_cancelled_all(orders, broken),
    ):
        try:
            parse()
        except ParseError:
            continue
        except Exception as error:
            assert type(error).__name__ == "ExchangeError", error
