"""An account's lists that come in pages, as the pollers read them."""

import asyncio
from decimal import Decimal
from typing import Any

from feeds.account_domain import Order
from feeds.exchange import Request
from feeds.following.polls import AccountPolls
from feeds.following.signed_rest import Told


class Exchange:
    """Three open orders, one a page; a question speaks of the moment at which it is asked."""

    def __init__(self) -> None:
        self.now_ms = 100

    def settings_requests(self) -> list[Request]:
        return []

    balances_requests = positions_requests = settings_requests

    def transfers_requests(self, since_ms: int) -> list[Request]:
        return []

    def orders_requests(self) -> list[Request]:
        return [Request(path="/orders", product="spot")]

    def next_page(self, request: Request, raw: bytes) -> Request | None:
        following = int(raw) + 1
        return Request(path="/orders", params=(("page", str(following)),), product="spot") if following < 3 else None

    def parse_orders(self, request: Request, raw: bytes) -> list[Order]:
        return [
            Order(
                product="spot",
                symbol="BTC/USDT",
                id=raw.decode(),
                side="buy",
                type="limit",
                size=Decimal(1),
                filled=Decimal(0),
                status="open",
                updated_ms=1,
            )
        ]

    async def ask(self, request: Request) -> Told:
        self.now_ms += 1
        return Told(dict(request.params).get("page", "0").encode(), self.now_ms, self.now_ms * 1_000_000)


class Journal:
    def __init__(self) -> None:
        self.told: list[tuple[list[str], dict[str, Any]]] = []

    def orders(self, rows: list[Order], **more: Any) -> None:
        self.told.append(([row.id for row in rows], more))


class History:
    def traded(self, symbol: str) -> None:
        assert symbol == "BTC/USDT"


class Checks:
    def all_orders(self, product: str, orders: list[Order], asof_ms: int) -> None:
        assert (product, len(orders), asof_ms) == ("spot", 3, 101)


async def test_all_pages_are_one_list_as_of_the_first() -> None:
    exchange, journal, changed = Exchange(), Journal(), asyncio.Event()
    polls = AccountPolls(
        exchange,
        exchange,
        journal,
        History(),
        Checks(),
        every_s=60.0,
        on_fatal=lambda error: None,
        on_change=changed.set,
        labels={},
    )
    polls.start()
    await asyncio.wait_for(changed.wait(), 5)
    await polls.stop()
    assert journal.told == [(["0", "1", "2"], {"complete": "spot", "asof_ms": 101, "recv_ns": 103_000_000})]
