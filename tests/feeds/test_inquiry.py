"""Lists of instruments that come in pages, and the status of an exchange that tells it by REST only."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from feeds import inquiry
from feeds.domain import Notice
from feeds.errors import ParseError, TransportError
from feeds.exchange import Request
from feeds.exchanges.binance import Binance
from feeds.exchanges.bybit import Bybit
from feeds.inquiry import fetch_markets, watch_status
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
    markets = await fetch_markets(Bybit(), rest, LINEAR)  # type: ignore[arg-type]
    assert [market.native for market in markets] == [f"A{n}USDT" for n in range(6)]
    assert [dict(request.params).get("cursor") for request in rest.requests] == [None, "a%3D1%26", "b/+="]
    assert {dict(request.params)["category"] for request in rest.requests} == {"linear"}
    assert {request.product for request in rest.requests} == {"linear"}


@pytest.mark.parametrize("end", ["", None, "same"])
async def test_what_ends_a_list(end: str | None) -> None:
    rest = Asked(lambda request: page(0, "same" if "cursor" not in dict(request.params) else end))
    assert len(await fetch_markets(Bybit(), rest, LINEAR)) == 4  # type: ignore[arg-type]


async def test_a_list_without_an_end_is_none() -> None:
    rest = Asked(lambda request: page(0, str(len(rest.requests))))
    with pytest.raises(ParseError, match="more than 100 pages"):
        await fetch_markets(Bybit(), rest, LINEAR)  # type: ignore[arg-type]


async def test_half_a_list_is_none() -> None:
    rest = Asked(lambda request: TransportError("gone") if "cursor" in dict(request.params) else page(0, "more"))
    with pytest.raises(TransportError):
        await fetch_markets(Bybit(), rest, LINEAR)  # type: ignore[arg-type]


async def test_an_exchange_without_pages_is_asked_once() -> None:
    rest = Asked(lambda request: {"symbols": []})
    assert await fetch_markets(Binance(), rest, Binance().markets_requests()[0]) == []  # type: ignore[arg-type]
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
    task = asyncio.create_task(watch_status(Bybit(), "bybit", rest, told.append))  # type: ignore[arg-type]
    await asyncio.wait_for(done.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert told == [
        Notice(text="Bybit maintains everything (t1).", trading=False),
        Notice(text="", trading=True),
    ]
