"""LMEX's history of fills: its documented rows, and its windows of time read to the end, whatever LMEX cuts them to."""

from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.account import FillPage
from feeds.account_domain import Fill, UnknownMarket
from feeds.accounts.lmex import history
from feeds.errors import ExchangeError, ParseError
from feeds.exchange import Request
from tests.feeds import lmex_examples as examples
from tests.feeds.lmex_examples import NOW_MS, account, text

D = Decimal
SETTLED_MS = NOW_MS - 10_000
SPOT = "BTC/USD"


def test_a_futures_row() -> None:
    row = examples.FILL
    page = account().parse_fills("futures", str(row["timestamp"]), text([row]), row["timestamp"])
    assert page == FillPage(
        fills=[
            Fill(
                product="futures",
                symbol="BTC/USDT:USDT",
                id="9d661ee3-eaf8-4068-8d6a-5d3dfef6ef5f",
                order_id="bf07eeff-afdc-433a-a0ca-f41a2433e323",
                client_id="_W_pip1752204538116",
                side="sell",
                price=D(100000),
                size=D("0.00099"),
                fee=D("0.0198"),
                fee_asset="USDT",
                realised=D("-0.99"),
                exchange_ms=1752204538247,
            )
        ],
    )


def test_a_spot_row_and_what_is_no_fill() -> None:
    row, api = examples.SPOT_FILL, account()
    funding = row | {"tradeId": "f", "filledSize": 0, "filledPrice": 0}
    other = row | {"tradeId": "o", "symbol": "BTC-USDT"}
    [fill] = api.parse_fills(SPOT, str(row["timestamp"]), text([row, funding, other]), row["timestamp"]).fills
    assert (fill.symbol, fill.size, fill.price, fill.fee, fill.fee_asset, fill.realised) == (
        SPOT,
        D("0.00089"),
        D("111381.3460167"),
        D("5.34e-7"),
        "BTC",
        None,
    )
    unknown = row | {"symbol": "XYZ-PERP"}
    page = api.parse_fills("futures", str(row["timestamp"]), text([unknown]), row["timestamp"])
    assert (page.fills, page.unlisted) == ([], (UnknownMarket(product="futures", native="XYZ-PERP"),))


def test_requests() -> None:
    api = account()
    assert api.fill_lists() == ("futures",)
    assert [api.fill_list(symbol) for symbol in ("ETH/USDT:USDT", SPOT)] == ["futures", SPOT]
    assert api.fills_request(SPOT, "1000").params == (
        ("symbol", "BTC-USD"),
        ("isMatchSymbol", "true"),
        ("startTime", "999"),
        ("endTime", str(1000 + 7 * 86_400_000 - 1)),
        ("count", "500"),
    )
    assert dict(api.fills_request("futures", "5,9,77,9").params)["beforeSerialId"] == "77"
    with pytest.raises(ExchangeError, match="lists no market"):
        api.fills_request("XYZ/USD", None)


class Lmex:
    """Answers as the documentation says, in whichever order, with the bounds belonging to the window or not."""

    def __init__(self, rows: list[dict[str, Any]], page: int, *, newest_first: bool, bounds: bool) -> None:
        self.rows = rows
        self.page = page
        self.newest_first = newest_first
        self.bounds = bounds

    def answer(self, request: Request) -> bytes:
        params = dict(request.params)
        begin, end = int(params.get("startTime", 0)), int(params.get("endTime", NOW_MS))
        assert "startTime" not in params or end - begin <= 7 * 86_400_000, "a longer span is cut without a word"
        most = min(int(params["count"]), self.page)
        before = int(params.get("beforeSerialId", 10**9))
        rows = [
            row
            for row in self.rows
            if (begin <= row["timestamp"] <= end if self.bounds else begin < row["timestamp"] < end)
            and row["serialId"] < before
            and params.get("symbol", row["symbol"]) == row["symbol"]
        ]
        newest = sorted(rows, key=lambda row: row["serialId"], reverse=True)
        return text(newest[:most] if self.newest_first else newest[::-1][:most])


def read(name: str, lmex: Lmex, cursor: str | None) -> tuple[list[Fill], str | None, int]:
    """Like the fill history: the fills, the progress that may be stored, the number of requests."""
    api, fills, kept, asked = account(), list[Fill](), cursor, 0
    stretch: list[Fill] = []
    while True:
        page = api.parse_fills(name, cursor, lmex.answer(api.fills_request(name, cursor)), SETTLED_MS)
        asked += 1
        fills += page.fills
        stretch = page.fills + stretch
        if page.whole:
            settled = [fill for fill in stretch if fill.exchange_ms <= SETTLED_MS]
            if page.reached is not None and len(settled) == len(stretch):
                kept = page.reached
            elif settled:
                kept = api.cursor_of(max(settled, key=lambda fill: fill.exchange_ms))
            stretch = []
        if page.next is None:
            return fills, kept, asked
        assert asked < 2000, "it comes to an end"
        cursor = page.next


def rows_at(moments: list[int], like: dict[str, Any]) -> list[dict[str, Any]]:
    return [like | {"timestamp": ms, "serialId": 1000 + n, "tradeId": f"t{n}"} for n, ms in enumerate(sorted(moments))]


near = st.integers(SETTLED_MS - 40, SETTLED_MS + 5000)
moments = st.lists(st.one_of(near, st.integers(NOW_MS - 30 * 86_400_000, NOW_MS)), max_size=30)


class TestPaging:
    @settings(max_examples=60, deadline=None)
    @given(moments, st.integers(0, 20), st.integers(3, 9), st.booleans())
    def test_futures_whatever_page_and_times(self, when: list[int], same: int, page: int, bounds: bool) -> None:
        when = [*when, *[SETTLED_MS - 500] * same]
        lmex = Lmex(rows_at(when, examples.FILL), page, newest_first=True, bounds=bounds)
        with patch.object(history, "PAGE", page), patch.object(history, "KEPT_MS", 40 * 86_400_000):
            fills, kept, _ = read("futures", lmex, None)
            again, _, _ = read("futures", lmex, kept)
        assert {fill.id for fill in fills} == {row["tradeId"] for row in lmex.rows}
        assert kept is not None
        late = {row["tradeId"] for row in lmex.rows if row["timestamp"] > SETTLED_MS}
        assert late <= {fill.id for fill in again}, "what may still change is read again"

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.integers(1, 30 * 86_400), max_size=30, unique=True), st.booleans(), st.booleans())
    def test_spot_in_any_order(self, when: list[int], newest_first: bool, bounds: bool) -> None:
        rows = rows_at([NOW_MS - second * 1000 for second in when], examples.SPOT_FILL)
        lmex = Lmex(rows, 4, newest_first=newest_first, bounds=bounds)
        with patch.object(history, "PAGE", 4), patch.object(history, "KEPT_MS", 40 * 86_400_000):
            fills, _, _ = read(SPOT, lmex, None)
        assert {fill.id for fill in fills} == {row["tradeId"] for row in rows}

    def test_many_do_not_take_many_more_requests(self) -> None:
        rows = rows_at([NOW_MS - n * 20_000 for n in range(5000)], examples.FILL)
        fills, _, asked = read("futures", Lmex(rows, 500, newest_first=True, bounds=True), str(NOW_MS - 3 * 86_400_000))
        assert len({fill.id for fill in fills}) == 5000
        assert asked < 15

    def test_too_many_in_one_millisecond_at_spot_is_told(self) -> None:
        lmex = Lmex(rows_at([NOW_MS - 50_000] * 9, examples.SPOT_FILL), 4, newest_first=True, bounds=True)
        with patch.object(history, "PAGE", 4), pytest.raises(ParseError, match="no way to ask for more"):
            read(SPOT, lmex, str(NOW_MS - 60_000))
