"""What the exchanges' documentation allows, and what it says that a request costs: independent of the adapters.

A request that no entry knows the cost of raises LookupError: what the product asks and this table does not know, would
be counted as nothing.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl


class Asked(NamedTuple):
    """A request as the exchange receives it. ``path`` is the documented one; ``query`` is not decoded."""

    method: str
    path: str
    query: str = ""


Cost = Callable[[Asked], float]


class Documented(NamedTuple):
    """One limit: ``limit`` points in ``per_s`` seconds. ``scope``: "address", or "key" for one of each key or account.

    ``decays``: the points flow off at ``limit / per_s`` instead of being counted in windows.
    """

    exchange: str
    name: str
    limit: float
    per_s: float
    scope: str
    source: str
    cost: Cost
    decays: bool = False

    @property
    def per_hour(self) -> float:
        return self.limit / self.per_s * 3600


def one(asked: Asked) -> float:
    return 1.0


def table(costs: Mapping[str, float], *, within: str = "") -> Cost:
    """By path. A path that does not begin with ``within`` costs nothing here."""

    def cost(asked: Asked) -> float:
        if not asked.path.startswith(within):
            return 0.0
        if asked.path not in costs:
            raise LookupError(f"what {asked.method} {asked.path} costs is not in the table")
        return costs[asked.path]

    return cost


def only(path: str) -> Cost:
    return lambda asked: 1.0 if re.fullmatch(path, asked.path) else 0.0


_SPOT = table(
    {
        "/api/v3/time": 1,
        "/api/v3/exchangeInfo": 20,
        "/api/v3/account": 20,
        "/api/v3/openOrders": 80,
        "/api/v3/myTrades": 20,
        "/api/v3/depth": 50,
    },
    within="/api/",
)
_SAPI = table(
    {
        "/sapi/v1/account/apiRestrictions": 1,
        "/sapi/v1/capital/deposit/hisrec": 1,
        "/sapi/v1/capital/withdraw/history": 1,  # a limit of its own, 10 a second
    },
    within="/sapi/",
)
_USDM = table(
    {
        "/fapi/v1/time": 1,
        "/fapi/v1/exchangeInfo": 1,
        "/fapi/v1/listenKey": 1,
        "/fapi/v1/symbolConfig": 5,
        "/fapi/v3/balance": 5,
        "/fapi/v3/positionRisk": 5,
        "/fapi/v1/openOrders": 40,
        "/fapi/v1/openAlgoOrders": 40,
        "/fapi/v1/userTrades": 5,
        "/fapi/v1/income": 30,
        "/fapi/v1/depth": 20,
    },
    within="/fapi/",
)
_OKX = {
    "account/config": 5,
    "account/balance": 10,
    "account/positions": 10,
    "asset/balances": 12,
    "asset/deposit-history": 12,
    "asset/withdrawal-history": 12,
    "asset/bills": 12,
    "account/bills": 10,
    "account/bills-archive": 5,
    "trade/orders-pending": 60,
    "trade/orders-algo-pending": 20,
    "trade/fills": 60,
    "trade/fills-history": 10,
}
"""Requests in 2 s for each account."""
_BYBIT = {
    "/v5/user/query-api": 10,
    "/v5/account/info": 50,
    "/v5/account/wallet-balance": 50,
    "/v5/account/transaction-log": 25,
    "/v5/position/list": 50,
    "/v5/order/realtime": 50,
    "/v5/execution/list": 50,
}
"""Requests a second for each account."""
_KRAKEN_LOG = "/api/history/v3/account-log"
_PUBLIC_KRAKEN = only(r"/0/public/.*")


def _kraken(asked: Asked) -> float:
    if asked.path.startswith("/0/public/"):
        return 0.0
    costs = {"Ledgers": 2.0, "TradesHistory": 2.0, "QueryLedgers": 2.0, "AddOrder": 0.0, "CancelOrder": 0.0}
    return costs.get(asked.path.removeprefix("/0/private/"), 1.0)


def _kraken_futures(asked: Asked) -> float:
    """Market data and the check of a key are not below ``/derivatives/api/v3``'s list of costs."""
    name = asked.path.removeprefix("/derivatives/api/v3/")
    costs = {"accounts": 2, "openpositions": 2, "openorders": 2, "leveragepreferences": 2, "fills": 2}
    if name == "fills" and "lastFillTime" in asked.query:
        return 25.0
    if name.startswith(("tickers", "instruments")) or "/auth/" in asked.path or asked.path == _KRAKEN_LOG:
        return 0.0
    if name not in costs:
        raise LookupError(f"what {asked.path} costs is not in the table")
    return float(costs[name])


def _kraken_log(asked: Asked) -> float:
    """The history service's tokens, by how many entries are asked for."""
    if asked.path != _KRAKEN_LOG:
        return 0.0
    count = int(dict(parse_qsl(asked.query)).get("count", "500"))
    return next((tokens for most, tokens in ((25, 1.0), (50, 2.0), (1_000, 3.0), (5_000, 6.0)) if count <= most), 10.0)


def _private_coinbase(asked: Asked) -> float:
    return 0.0 if asked.path.endswith("/time") or "/market/" in asked.path else 1.0


_BINANCE_DOCS = "developers.binance.com: exchangeInfo, rateLimits"
_OKX_DOCS = "www.okx.com/docs-v5: rate limit of each endpoint"
_LMEX_DOCS = "docs.lmex.io and btsecom/docs: rate limits"
_LMEX_CALLS = (
    "/spot/api/v3.2/user/wallet",
    "/spot/api/v3.3/user/open_orders",
    "/spot/api/v3.3/user/trade_history",
    "/spot/api/v3.2/user/wallet_history",
    "/spot/api/v3.3/time",
    "/futures/api/v2.3/user/wallet",
    "/futures/api/v2.3/user/positions",
    "/futures/api/v2.3/user/open_orders",
    "/futures/api/v2.3/user/trade_history",
    "/futures/api/v2.3/user/wallet_history",
)

LIMITS: tuple[Documented, ...] = (
    Documented("binance", "spot weight a minute", 6000, 60, "address", _BINANCE_DOCS, lambda a: _SPOT(a) + _SAPI(a)),
    Documented("binance", "USD-M weight a minute", 2400, 60, "address", _BINANCE_DOCS, _USDM),
    Documented("binance", "raw requests in 5 min", 300_000, 300, "address", _BINANCE_DOCS, one),
    Documented("bybit", "requests in 5 s", 600, 5, "address", "bybit-exchange.github.io/docs/v5/rate-limit", one),
    *(
        Documented("bybit", f"{path} a second", limit, 1, "key", "bybit-exchange.github.io/docs/v5", only(path))
        for path, limit in _BYBIT.items()
    ),
    *(
        Documented("okx", f"{path} in 2 s", limit, 2, "key", _OKX_DOCS, only(f"/api/v5/{path}"))
        for path, limit in _OKX.items()
    ),
    Documented("okx", "public/time in 2 s", 10, 2, "address", _OKX_DOCS, only("/api/v5/public/time")),
    Documented(
        "coinbase",
        "requests a second",
        30,
        1,
        "key",
        "docs.cdp.coinbase.com: advanced-trade-apis, rate limits (older page)",
        _private_coinbase,
    ),
    Documented(
        "coinbase",
        "requests an hour",
        10_000,
        3600,
        "key",
        "docs.cdp.coinbase.com: coinbase-app, rate limiting",
        _private_coinbase,
    ),
    Documented(
        "kraken",
        "counter, Starter tier",
        15,
        15 / 0.33,
        "key",
        "docs.kraken.com: guides/spot-ratelimits",
        _kraken,
        decays=True,
    ),
    Documented(
        "kraken", "public requests a second", 1, 1, "address", "not published; safe by experience", _PUBLIC_KRAKEN
    ),
    Documented(
        "krakenfutures", "points in 10 s", 500, 10, "key", "docs.kraken.com: guides/futures-ratelimits", _kraken_futures
    ),
    Documented(
        "krakenfutures",
        "history, 100 tokens in 10 min",
        100,
        600,
        "key",
        "docs.kraken.com: guides/futures/ratelimits",
        _kraken_log,
        decays=True,
    ),
    *(Documented("lmex", f"{path} a second", 15, 1, "address", _LMEX_DOCS, only(path)) for path in _LMEX_CALLS),
    Documented("lmex", "queries a second", 30, 1, "key", _LMEX_DOCS, one),
    Documented(
        "alpaca", "requests a minute", 200, 60, "key", "docs.alpaca.markets: rate limit of the trading API", one
    ),
)
"""Of limits that each call has, all that an account uses."""


def of(exchange: str) -> list[Documented]:
    return [limit for limit in LIMITS if limit.exchange == exchange]
