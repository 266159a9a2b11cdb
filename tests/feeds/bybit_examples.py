"""A Bybit account's private side for tests, and the exchange's documented examples of what it sends."""

import json
from decimal import Decimal
from typing import Any

from feeds.account import AccountSpec, Credentials
from feeds.accounts.bybit import BybitAccount
from feeds.domain import Market
from feeds.exchange import MarketIndex
from feeds.exchanges import create
from tests.shared import shared_file

KEY = Credentials("DUMMY_KEY_0123456789abcdef", "DUMMY_SECRET_0123456789abcdef")
NOW_MS = 1_700_000_000_000
PRODUCTS = ("spot", "linear")


def market(native: str, symbol: str) -> Market:
    pair, _, settle = symbol.partition(":")
    base, quote = pair.split("/")
    return Market(
        exchange="bybit",
        symbol=symbol,
        native=native,
        product="linear" if settle else "spot",
        base=base,
        quote=quote,
        settle=settle or None,
        tick=Decimal("0.1"),
        lot=Decimal("0.001"),
    )


MARKETS = MarketIndex(
    [
        market("BTCUSDT", "BTC/USDT"),
        market("ETHUSDT", "ETH/USDT"),
        market("BTCUSDT", "BTC/USDT:USDT"),
        market("ETHUSDT", "ETH/USDT:USDT"),
        market("XRPUSDT", "XRP/USDT:USDT"),
        market("BTCPERP", "BTC/USDC:USDC"),
        market("ETHPERP", "ETH/USDC:USDC"),
    ]
)


def account(
    products: tuple[str, ...] = PRODUCTS,
    credentials: Credentials = KEY,
    markets: MarketIndex = MARKETS,
    margin_mode: str | None = "REGULAR_MARGIN",
    now_ms: int = NOW_MS,
) -> BybitAccount:
    spec = AccountSpec(id=1, exchange="bybit", label="Main", credentials=credentials, products=products)
    api = BybitAccount(spec, markets, create("bybit").endpoints, now_s=lambda: now_ms / 1000)
    if margin_mode is not None:
        api.take_settings(api.settings_requests()[0], body({"marginMode": margin_mode}))
    return api


def body(result: Any, **more: Any) -> bytes:
    """An answer with this result."""
    return json.dumps({"retCode": 0, "retMsg": "OK", "result": result, "time": NOW_MS, **more}).encode()


def frame(topic: str, *rows: dict[str, Any], ms: int = NOW_MS) -> str:
    """A frame of the private stream."""
    return json.dumps({"topic": topic, "id": "1", "creationTime": ms, "data": rows})


def answer(name: str) -> bytes:
    """The body of a documented REST answer: the lines after method, path and whether it is signed."""
    text = shared_file(f"fixtures/bybit/Endpoints/V5Api/{name}.txt").read_text()
    return "\n".join(text.splitlines()[3:]).encode()


def pushed(name: str) -> str:
    """The event of a documented private subscription: what follows the "=" line."""
    return shared_file(f"fixtures/bybit/Subscriptions/V5/Private/{name}.txt").read_text().split("\n=", 1)[1]


def session(api: BybitAccount | None = None) -> Any:
    api = api or account()
    [route] = api.routes()
    return api.session(route, None)
