"""Fill histories over many markets that an exchange tells newest first, as the reading machinery sees them."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.account import FillPage
from feeds.account_domain import Fill, UnknownMarket
from feeds.errors import TransportError
from feeds.exchange import Request
from feeds.following.fill_history import LATE_ROUNDS, FillHistory
from feeds.following.signed_rest import Told

LIST = "linear"
PAGE = 3


def fill(number: int, ms: int) -> Fill:
    price, symbol = Decimal(100), "BTC/USDT:USDT" if number % 2 else "ETH/USDT:USDT"
    return Fill(
        product="linear",
        symbol=symbol,
        id=str(number),
        order_id="1",
        side="buy",
        price=price,
        size=price,
        exchange_ms=ms,
    )


class NewestFirst:
    """An exchange side whose only list is told newest first, from a moment on, in pages that a number continues."""

    def __init__(self) -> None:
        self.fills: list[Fill] = []  # oldest first
        self.now_ms = 0
        self.requests: list[str | None] = []
        self.break_after: int | None = None  # so many answers
        self.unlisted: tuple[UnknownMarket, ...] = ()

    # feeds.account.AccountApi, as far as the history needs it

    def fill_lists(self) -> tuple[str, ...]:
        return (LIST,)

    def fill_list(self, symbol: str) -> str:
        return LIST

    def product_of(self, name: str) -> str | None:
        return "linear"

    def symbol_of(self, product: str, native: str) -> str | None:
        return "SOL/USDT:USDT" if native == "SOLUSDT" and not self.unlisted else None

    def fills_request(self, name: str, cursor: str | None) -> Request:
        assert name == LIST
        return Request(path="/fills", params=(("from", cursor or "0"),), product="linear")

    def parse_fills(self, name: str, cursor: str | None, raw: bytes, settled_ms: int) -> FillPage:
        since_ms, _, before = (cursor or "0").partition(":")
        rows = [f for f in self.fills if f.exchange_ms >= int(since_ms) and (not before or int(f.id) < int(before))]
        page = rows[-PAGE:]
        more = len(rows) > PAGE
        return FillPage(
            fills=page, next=f"{since_ms}:{page[0].id}" if more else None, whole=not more, unlisted=self.unlisted
        )

    def cursor_of(self, fill: Fill) -> str:
        return str(fill.exchange_ms)

    # feeds.following.signed_rest.SignedRest

    async def ask(self, request: Request) -> Told:
        if self.break_after is not None:
            if not self.break_after:
                raise TransportError("cut")
            self.break_after -= 1
        self.requests.append(dict(request.params)["from"])
        return Told(b"", self.now_ms, 0)


class Store:
    """A journal that keeps what it is given."""

    def __init__(self) -> None:
        self.fills: dict[str, Fill] = {}
        self.cursors: dict[str, str] = {}

    async def history_page(self, fills: list[Fill], cursor: tuple[str, str] | None) -> list[dict[str, Any]]:
        new = [fill for fill in fills if fill.id not in self.fills]
        self.fills |= {fill.id: fill for fill in fills}
        if cursor is not None:
            self.cursors[cursor[0]] = cursor[1]
        return [{"symbol": fill.symbol, "id": fill.id} for fill in new]


def history(exchange: Any, store: Any, **more: Any) -> FillHistory:
    made = FillHistory(
        exchange, exchange, store, on_fatal=lambda error: None, settle_s=0.001, delays=lambda: iter([0.0] * 9), **more
    )
    made.load([], [], store.cursors)
    return made


async def read(made: FillHistory, until: Any) -> None:
    made.start()
    for _ in range(10_000):  # turns of the loop: nothing here takes time
        if until():
            break
        await asyncio.sleep(0)
    await made.stop()
    assert until()


async def test_the_cursor_waits_for_the_end_of_a_stretch() -> None:
    exchange, store = NewestFirst(), Store()
    exchange.fills = [fill(number, 10 * number) for number in range(1, 9)]
    exchange.now_ms = 1000
    exchange.break_after = 2
    made = history(exchange, store)
    await read(made, lambda: made.error is not None)
    assert (sorted(store.fills), store.cursors) == (["3", "4", "5", "6", "7", "8"], {})
    exchange.break_after = None
    made = history(exchange, store)
    await read(made, lambda: not made.to_read)
    assert sorted(store.fills) == [str(number) for number in range(1, 9)]
    assert store.cursors == {LIST: "80"}


async def test_fills_that_may_still_change_do_not_move_it() -> None:
    exchange, store = NewestFirst(), Store()
    exchange.fills = [fill(1, 10), fill(2, 20), fill(3, 1000)]
    exchange.now_ms = 1000
    made = history(exchange, store)
    await read(made, lambda: not made.to_read)
    assert store.cursors == {LIST: "20"}
    assert set(store.fills) == {"1", "2", "3"}


async def test_what_cannot_be_named_is_read_when_it_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feeds.following.fill_history.GAP_S", 0.0)
    exchange, store = NewestFirst(), Store()
    exchange.fills = [fill(1, 10)]
    exchange.now_ms = 1000
    exchange.unlisted = (UnknownMarket(product="linear", native="SOLUSDT"),)
    told: list[str] = []
    made = history(exchange, store, on_unlisted=lambda: told.append("reload"))
    await read(made, lambda: not made.to_read)
    assert (told, len(made.unlisted), store.cursors) == (["reload"], 1, {LIST: "10"})
    exchange.unlisted = ()
    made.look_for_unlisted()
    assert (made.unlisted, made.to_read) == (set(), 1)
    exchange.requests.clear()
    await read(made, lambda: not made.to_read)
    assert exchange.requests[0] == "0"  # from the beginning: it was passed over


async def test_a_fill_that_only_rest_tells_is_read_at_once_and_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feeds.following.fill_history.GAP_S", 0.0)
    exchange, store = NewestFirst(), Store()
    exchange.now_ms = 1000
    made = history(exchange, store)
    await read(made, lambda: not made.to_read)
    exchange.fills = [fill(1, 10)]
    exchange.requests.clear()
    made.filled("BTC/USDT:USDT")
    assert not made.to_read  # nothing is missing that happened while nobody listened
    await read(made, lambda: len(store.fills) == 1)
    await read(made, lambda: len(exchange.requests) == 2)


@pytest.mark.parametrize(("tells_at", "requests"), [(2, 2), (None, 1 + LATE_ROUNDS)])
async def test_a_fill_that_rest_tells_late_is_waited_for(
    tells_at: int | None, requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not without end: the second look does the rest."""
    monkeypatch.setattr("feeds.following.fill_history.GAP_S", 0.0)

    class Late(NewestFirst):
        async def ask(self, request: Request) -> Told:
            told = await super().ask(request)
            if len(self.requests) == tells_at:
                self.fills = [fill(1, 10)]
            return told

    exchange, store = Late(), Store()
    exchange.now_ms = 1000
    made = history(exchange, store)
    await read(made, lambda: not made.to_read)
    made._settle_s = 3600.0  # when the second look is due
    exchange.requests.clear()
    made.filled("BTC/USDT:USDT")
    await read(made, lambda: len(exchange.requests) == requests)
    made.start()
    for _ in range(100):
        await asyncio.sleep(0)
    await made.stop()
    assert len(exchange.requests) == requests
    assert list(store.fills) == (["1"] if tells_at else [])


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 4), st.one_of(st.none(), st.integers(0, 3))), min_size=1, max_size=6
    )
)
def test_none_is_missing_whatever_breaks_when(steps: list[tuple[int, int, int | None]]) -> None:
    """``steps``: so many new fills, so many ms apart, and after how many answers the connection breaks."""

    async def run() -> None:
        exchange, store = NewestFirst(), Store()
        for count, apart_ms, break_after in [*steps, (0, 0, None)]:
            for _ in range(count):
                exchange.now_ms += apart_ms
                exchange.fills.append(fill(len(exchange.fills) + 1, exchange.now_ms))
            exchange.break_after = break_after
            made = history(exchange, store)
            await read(made, lambda made=made: made.error is not None or not made.to_read)
        assert set(store.fills) == {f.id for f in exchange.fills}

    asyncio.run(run())
