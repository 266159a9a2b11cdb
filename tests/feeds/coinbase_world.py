"""What the tests of Coinbase share: markets, frames, sessions, and the fixtures of its documentation."""

import json
import re
from decimal import Decimal
from typing import Any

from feeds.domain import Channel, Market, Subscription
from feeds.exchange import MarketIndex
from feeds.exchanges.coinbase import Coinbase
from feeds.simulator.venues import listings
from tests.shared import shared_file

RECORDING = "captures/coinbase-advanced-2026-08.jsonl.gz"
FEW = tuple(each for each in listings(["coinbase"]) if each.native in ("BTC-USD", "ETH-USD", "DOGE-USD"))
SENT = "2026-08-09T21:05:48.228568804Z"
SENT_MS = 1_786_309_548_228


def market(native: str, **more: Any) -> Market:
    base, quote = native.split("-")
    fields = {"tick": Decimal("0.01"), "lot": Decimal("0.00000001"), **more}
    return Market(
        exchange="coinbase", symbol=f"{base}/{quote}", native=native, product="spot", base=base, quote=quote, **fields
    )


INDEX = MarketIndex([market("BTC-USD"), market("ETH-USD"), market("ETH-USDT"), market("BTC-USDC", book_of="BTC/USD")])


def session(route: str = "spot") -> Any:
    return Coinbase().session(route, INDEX)


def sub(channel: str, symbol: str = "BTC/USD", interval: str | None = None) -> Subscription:
    return Subscription(channel=Channel(channel), symbol=symbol, interval=interval)


def frame(channel: str, number: int, *events: Any) -> str:
    return json.dumps(
        {"channel": channel, "client_id": "", "timestamp": SENT, "sequence_num": number, "events": events}
    )


def book(kind: str, product: str = "BTC-USD", **sides: dict[str, str]) -> dict[str, Any]:
    """``bid={"100": "1"}, offer={...}``"""
    updates = [
        {"side": side, "event_time": "1970-01-01T00:00:00Z", "price_level": price, "new_quantity": size}
        for side, levels in sides.items()
        for price, size in levels.items()
    ]
    return {"type": kind, "product_id": product, "updates": updates}


def listed(**channels: list[str]) -> dict[str, Any]:
    return {"subscriptions": channels}


def trade(
    number: int, ms: int, *, price: str = "100", size: str = "1", product: str = "BTC-USD", side: str = "BUY"
) -> Any:
    second, rest = divmod(ms, 1000)
    stamp = f"2026-08-09T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{rest:03d}Z"
    fields = {"product_id": product, "trade_id": str(number), "price": price, "size": size}
    return {**fields, "time": stamp, "side": side}


def fixture(name: str) -> str:
    return shared_file(f"fixtures/coinbase/{name}").read_text("utf-8")


def rest_body(name: str) -> bytes:
    """A documented REST answer: what follows method, path and whether it is signed."""
    return fixture(name).split("\n", 3)[3].encode()


def frames_of(name: str) -> list[str]:
    """What the exchange sends in a documented exchange of messages: replies ``<`` and data ``=``."""
    parts = re.split(r"^([<>=])[0-9]* ?", fixture(name), flags=re.MULTILINE)
    return [text.strip() for mark, text in zip(parts[1::2], parts[2::2], strict=True) if mark != ">"]
