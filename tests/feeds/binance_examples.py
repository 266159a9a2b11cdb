"""A Binance account's private side for tests, and the exchange's documented examples of what it sends."""

import json
from decimal import Decimal

from feeds.account import AccountSpec, Credentials
from feeds.accounts.binance import BinanceAccount
from feeds.domain import Market
from feeds.exchange import MarketIndex
from tests.shared import shared_file

KEY = Credentials("DUMMY_KEY_0123456789abcdef", "DUMMY_SECRET_0123456789abcdef")
ENDPOINTS = {
    "spot.rest": "https://api.binance.com",
    "spot.ws_api": "wss://ws-api.binance.com:443/ws-api/v3",
    "usdm.rest": "https://fapi.binance.com",
    "usdm.ws": "wss://fstream.binance.com",
}
NOW_MS = 1_700_000_000_000


def spot(base, quote):
    return Market(
        exchange="binance",
        symbol=f"{base}/{quote}",
        native=base + quote,
        product="spot",
        base=base,
        quote=quote,
        tick=Decimal("0.01"),
        lot=Decimal("0.00001"),
    )


def perpetual(base, quote="USDT"):
    return Market(
        exchange="binance",
        symbol=f"{base}/{quote}:{quote}",
        native=base + quote,
        product="usdm",
        base=base,
        quote=quote,
        settle=quote,
        tick=Decimal("0.1"),
        lot=Decimal("0.001"),
    )


MARKETS = MarketIndex(
    [
        *(spot(*pair.split("/")) for pair in ("BTC/USDT", "LTC/BTC", "ETH/BTC", "BNB/BTC", "BTC/USDC", "LTC/USDT")),
        *(perpetual(base) for base in ("BTC", "ETH", "BNB", "ADA")),
    ]
)


def account(products=("spot", "usdm"), credentials=KEY, markets=MARKETS) -> BinanceAccount:
    spec = AccountSpec(id=1, exchange="binance", label="Main", credentials=credentials, products=products)
    return BinanceAccount(spec, markets, ENDPOINTS)


def answer(name: str) -> bytes:
    """The body of a documented REST answer: the lines after method, path and whether it is signed."""
    text = shared_file(f"fixtures/binance/Endpoints/{name}.txt").read_text()
    return "\n".join(text.splitlines()[3:]).encode()


def frame(name: str) -> str:
    """The event of a documented subscription: what follows the "=" line."""
    text = shared_file(f"fixtures/binance/Subscriptions/{name}.txt").read_text()
    return text.split("\n=", 1)[1]


def socket_result(name: str) -> bytes:
    """The result of a documented WebSocket API answer: the same structures as by REST."""
    text = shared_file(f"fixtures/binance/Socket/{name}.txt").read_text()
    return json.dumps(json.loads(text.split("\n=", 1)[1])["result"]).encode()


def route(api, name):
    return next(r for r in api.routes() if r.name == name)


def spot_session(api=None):
    api = api or account()
    return api.session(route(api, "spot"), None)


def usdm_session(api=None):
    api = api or account()
    return api.session(route(api, "usdm"), "key")
