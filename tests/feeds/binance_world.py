"""What the Binance adapter's tests share: markets, sessions, and reading the documented examples."""

import json
import re
from decimal import Decimal

from feeds.domain import Market
from feeds.exchange import MarketIndex, Session
from feeds.exchanges.binance import Binance
from tests.shared import shared_file

FIXTURES = "fixtures/binance"


def market(product: str, base: str, quote: str, native: str | None = None) -> Market:
    spot = product == "spot"
    return Market(
        exchange="binance",
        symbol=f"{base}/{quote}" if spot else f"{base}/{quote}:{quote}",
        native=native or base + quote,
        product=product,
        base=base,
        quote=quote,
        settle=None if spot else quote,
        tick=Decimal("0.01"),
        lot=Decimal("0.00001"),
    )


BTC = market("spot", "BTC", "USDT")
ETH = market("spot", "ETH", "USDT")
BTC_PERP = market("usdm", "BTC", "USDT")
ETH_PERP = market("usdm", "ETH", "USDT")
LISTED = (
    BTC,
    ETH,
    BTC_PERP,
    ETH_PERP,
    market("spot", "BNB", "USDT"),
    market("spot", "BNB", "BTC"),
    market("usdm", "BNB", "USDT"),
    market("spot", "币安人生", "USDT"),
)
INDEX = MarketIndex(LISTED)


def session(route: str = "spot", markets: MarketIndex = INDEX) -> Session:
    return Binance().session(route, markets)


def frame(stream: str, data: object) -> str:
    return json.dumps({"stream": stream, "data": data})


def documented_frames(name: str) -> list[str]:
    """The data frames of a documented subscription: what stands after ``=`` in the file, whatever is sent before."""
    text = shared_file(f"{FIXTURES}/Subscriptions/{name}.txt").read_text(encoding="utf-8")
    parts = re.split(r"(?m)^([<>=])[0-9]*", text)
    return [body.strip() for mark, body in zip(parts[1::2], parts[2::2], strict=True) if mark == "="]


def documented_answer(name: str) -> bytes:
    """The body of a documented REST answer; three lines of method, path and signature stand before it."""
    text = shared_file(f"{FIXTURES}/Endpoints/{name}.txt").read_text(encoding="utf-8")
    return text.split("\n", 3)[3].encode()
