"""A Coinbase account's private side for tests, and the documented examples of what it is sent."""

import json
from typing import Any

from feeds.account import AccountSpec, Credentials
from feeds.accounts.coinbase import CoinbaseAccount
from feeds.accounts.coinbase.stream import CoinbasePrivateSession
from feeds.exchange import MarketIndex
from feeds.exchanges.coinbase import ENDPOINTS
from tests.feeds.coinbase_world import fixture, market, rest_body

NAME = "organizations/00000000-0000-0000-0000-000000000001/apiKeys/00000000-0000-0000-0000-000000000002"
ED25519 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA=="
KEY = Credentials(NAME, ED25519)
NOW_MS = 1_700_000_000_000
MARKETS = MarketIndex([market("BTC-USD"), market("ETH-USD"), market("BTC-USDC", book_of="BTC/USD")])


def account(credentials: Credentials = KEY, markets: MarketIndex = MARKETS) -> CoinbaseAccount:
    spec = AccountSpec(id=1, exchange="coinbase", label="Main", credentials=credentials, products=("spot",))
    return CoinbaseAccount(spec, markets, ENDPOINTS)


def answer(name: str) -> bytes:
    return rest_body(f"Endpoints/AdvancedTrade/{name}.txt")


def documented(name: str, **changes: Any) -> dict[str, Any]:
    """The first row of a documented list, changed."""
    [rows] = [rows for rows in json.loads(answer(name)).values() if isinstance(rows, list)]
    return {**rows[0], **changes}


def fills_answer(rows: list[dict[str, Any]], cursor: str = "") -> bytes:
    return json.dumps({"fills": rows, "cursor": cursor}).encode()


def fill_row(number: int, ms: int, **changes: Any) -> dict[str, Any]:
    when = f"2026-08-09T00:{ms // 60_000:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}Z"
    fields = {"entry_id": f"entry-{number}", "trade_time": when, "sequence_timestamp": when}
    return documented("Trading/GetUserTrades", **fields, **changes)


def user_frame() -> dict[str, Any]:
    """The documented frame of the channel ``user``."""
    text = fixture("Subscriptions/AdvancedTrade/User.txt").split("\n=", 1)[1]
    return dict(json.loads(text))


def order_row(**changes: Any) -> dict[str, Any]:
    return {**user_frame()["events"][0]["orders"][0], **changes}


def told(number: int, *rows: dict[str, Any], kind: str = "update") -> str:
    return json.dumps({**user_frame(), "sequence_num": number, "events": [{"type": kind, "orders": list(rows)}]})


def session(api: CoinbaseAccount | None = None) -> CoinbasePrivateSession:
    api = api or account()
    [route] = api.routes()
    made = api.session(route, None)
    assert isinstance(made, CoinbasePrivateSession)
    return made
