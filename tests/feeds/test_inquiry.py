"""Lists of instruments that come in pages, and the status of an exchange that tells it by REST only."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from feeds.domain import Notice, Ticker
from feeds.errors import ParseError, TransportError
from feeds.exchange import MarketIndex, Request
from feeds.exchanges.binance import Binance
from feeds.exchanges.bitstamp import Bitstamp
from feeds.exchanges.bybit import Bybit
from feeds.markets import inquiry
from feeds.markets.inquiry import fetch_markets, watch_day, watch_status
from feeds.rest import Answer


class Asked:
    """A REST client that knows its answers; an exception among them is raised."""

    def __init__(self, answer: Callable[[Request], Any]) -> None:
        self.requests: list[Request] = []
        self._answer = answer

    async def send(self, request: Request) -> Answer:
        self.requests.append(request)
        body = self._answer(request)
        if isinstance(body, Exception):
            raise body
        return Answer(raw=json.dumps(body).encode(), status=200, sent_ns=0, recv_ns=0, headers={})


def page(first: int, cursor: str | None) -> dict[str, Any]:
    row = {"contractType": "LinearPerpetual", "status": "Trading", "quoteCoin": "USDT", "settleCoin": "USDT"}
    row |= {"priceFilter": {"tickSize": "0.1"}, "lotSizeFilter": {"minOrderQty": "1", "qtyStep": "1"}}
    rows = [{"symbol": f"A{n}USDT", "baseCoin": f"A{n}", **row} for n in (first, first + 1)]
    return {"retCode": 0, "result": {"category": "linear", "list": rows, "nextPageCursor": cursor}}


LINEAR = Bybit().markets_requests()[1]


async def test_every_page_is_asked_for_with_the_cursor_as_it_was_told() -> None:
    pages = {"": page(0, "a%3D1%26"), "a%3D1%26": page(2, "b/+="), "b/+=": page(4, "")}
    rest = Asked(lambda request: pages[dict(request.params).get("cursor", "")])
    markets = await fetch_markets(Bybit(), rest, LINEAR)
    assert [market.native for market in markets] == [f"A{n}USDT" for n in range(6)]
    assert [dict(request.params).get("cursor") for request in rest.requests] == [None, "a%3D1%26", "b/+="]
    assert {dict(request.params)["category"] for request in rest.requests} == {"linear"}
    assert {request.product for request in rest.requests} == {"linear"}


@pytest.mark.parametrize("end", ["", None, "same"])
async def test_what_ends_a_list(end: str | None) -> None:
    rest = Asked(lambda request: page(0, "same" if "cursor" not in dict(request.params) else end))
    assert len(await fetch_markets(Bybit(), rest, LINEAR)) == 4


async def test_a_list_without_an_end_is_none() -> None:
    rest = Asked(lambda request: page(0, str(len(rest.requests))))
    with pytest.raises(ParseError, match="more than 100 pages"):
        await fetch_markets(Bybit(), rest, LINEAR)


async def test_half_a_list_is_none() -> None:
    rest = Asked(lambda request: TransportError("gone") if "cursor" in dict(request.params) else page(0, "more"))
    with pytest.raises(TransportError):
        await fetch_markets(Bybit(), rest, LINEAR)


async def test_an_exchange_without_pages_is_asked_once() -> None:
    rest = Asked(lambda request: {"symbols": []})
    assert await fetch_markets(Binance(), rest, Binance().markets_requests()[0]) == []
    assert len(rest.requests) == 1


async def test_the_status_is_told_when_it_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """That all is well at first is no news; a question that fails takes nothing back."""
    monkeypatch.setattr(inquiry, "STATUS_S", 0.001)
    ongoing = {"retCode": 0, "result": {"list": [{"state": "ongoing", "title": "t1"}]}}
    fine: dict[str, Any] = {"retCode": 0, "result": {"list": []}}
    answers = iter([fine, ongoing, TransportError("gone"), ongoing, fine, fine])
    done = asyncio.Event()

    def next_answer(request: Request) -> Any:
        answer = next(answers, None)
        if answer is None:
            done.set()
        return answer or fine

    told: list[Notice] = []
    rest = Asked(next_answer)
    task = asyncio.create_task(watch_status(Bybit(), "bybit", rest, told.append))
    await asyncio.wait_for(done.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert told == [
        Notice(text="Bybit maintains everything (t1).", trading=False),
        Notice(text="", trading=True),
    ]


async def test_what_is_announced_is_told_until_it_is_called_off_or_not_told_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inquiry, "STATUS_S", 0.001)

    def announced(*names: str, end: str = "") -> dict[str, Any]:
        rows = [{"id": name, "state": "scheduled", "begin": "1751596902000", "end": end} for name in names]
        return {"retCode": 0, "result": {"list": rows}}

    answers = iter([announced("a"), announced("a", "b"), announced("b"), announced("b", end="1751597011000")])
    done = asyncio.Event()

    def next_answer(request: Request) -> Any:
        return next(answers, {"retCode": 0, "result": {"list": []}})

    told: list[Notice] = []

    def tell(notice: Notice) -> None:
        told.append(notice)
        if len(told) == 5:
            done.set()

    task = asyncio.create_task(watch_status(Bybit(), "bybit", Asked(next_answer), tell))
    await asyncio.wait_for(done.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [(notice.key, bool(notice.text), notice.ends_ms) for notice in told] == [
        ("maintenance a", True, None),
        ("maintenance b", True, None),
        ("maintenance a", False, None),
        ("maintenance b", True, 1751597011000),
        ("maintenance b", False, None),
    ]


def day(pair: str, last: str) -> dict[str, str]:
    figures = dict.fromkeys(("open", "open_24", "high", "low", "volume"), "1")
    return {"pair": pair, "last": last, "timestamp": "1789455809", **figures}


async def test_24_h_figures_are_asked_for_while_somebody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """One answer for all markets, of which the watched ones are told; a failure takes nothing back."""
    monkeypatch.setattr(inquiry, "DAY_S", 0.001)
    monkeypatch.setattr(inquiry, "_IDLE_S", 0.001)
    adapter, done = Bitstamp(), asyncio.Event()
    listing = [
        {"market_symbol": f"{base}usd".lower(), "base_currency": base, "base_decimals": 8, "counter_currency": "USD"}
        | {"counter_decimals": 2, "minimum_order_value": "10", "trading": "Enabled", "market_type": "SPOT"}
        for base in ("BTC", "ETH")
    ]
    markets = adapter.parse_markets(adapter.markets_requests()[0], json.dumps(listing).encode())
    watched = iter([[], [], markets[:1], markets[:1], markets[:1], markets, markets])
    answers = iter([[day("BTC/USD", "1"), day("ETH/USD", "2")], TransportError("gone"), [day("ETH/USD", "3")]])

    def present() -> MarketIndex:
        found = next(watched, None)
        if found is None:
            done.set()
        return MarketIndex(found or [])

    told: list[Ticker] = []
    rest = Asked(lambda request: next(answers))
    task = asyncio.create_task(
        watch_day(adapter, "bitstamp", rest, "spot", present, lambda ticker, recv_ns: told.append(ticker))
    )
    await asyncio.wait_for(done.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [(ticker.symbol, ticker.last) for ticker in told] == [("BTC/USD", 1), ("ETH/USD", 3)]
    assert {request.path for request in rest.requests} == {"/api/v2/ticker/"}
