"""Coinbase's public REST (``/api/v3/brokerage``): products, books, trades, candles, time."""

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.candles import MINUTE
from feeds.simulator.coinbase import frames
from feeds.simulator.coinbase.frames import short, stamp
from feeds.simulator.coinbase.listing import alias_of
from feeds.simulator.coinbase.sockets import CoinbaseSockets
from feeds.simulator.faults import Faults
from feeds.simulator.market import LiveMarket

GRANULARITIES = {
    "ONE_MINUTE": MINUTE,
    "FIVE_MINUTE": 5 * MINUTE,
    "FIFTEEN_MINUTE": 15 * MINUTE,
    "THIRTY_MINUTE": 30 * MINUTE,
    "ONE_HOUR": 60 * MINUTE,
    "TWO_HOUR": 120 * MINUTE,
    "SIX_HOUR": 360 * MINUTE,
    "ONE_DAY": 1440 * MINUTE,
}
MOST_CANDLES = 350


class RestError(Exception):
    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": error, "error_details": message, "message": message}


class Meter:
    """So many requests in any second; ``limit`` of them are answered."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self.limit = limit
        self._clock = clock
        self._requests: deque[float] = deque()

    def admits(self) -> bool:
        """Count a request; False if it is one too many."""
        now_s = self._clock()
        self._requests.append(now_s)
        while self._requests[0] <= now_s - 1:
            self._requests.popleft()
        return len(self._requests) <= self.limit


def refused(faults: Faults, meter: Meter) -> web.Response | None:
    """The answer to a request that is not carried out; None if it is. Counts it."""
    fault = faults.strike("coinbase", "status")
    status = int(fault.number(503)) if fault is not None else 200 if meter.admits() else 429
    if status == 429:
        body = {"errors": [{"id": "rate_limit_exceeded", "message": "Too many requests"}]}
        return answer(body, 429, {"x-ratelimit-limit": str(meter.limit), "x-ratelimit-remaining": "0"})
    return None if status == 200 else web.Response(status=status, text="Service Unavailable")


class CoinbaseRest:
    def __init__(
        self,
        sockets: CoinbaseSockets,
        faults: Faults,
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
        requests_per_s: int,
    ) -> None:
        self._sockets = sockets
        self._faults = faults
        self._clock_ms = clock_ms
        self._meter = Meter(requests_per_s, clock)

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """The public endpoints below ``prefix``."""
        base = f"{prefix}/api/v3/brokerage"
        table: dict[str, Callable[[web.Request], Any]] = {
            "/time": self._time,
            "/market/products": self._products,
            "/market/product_book": self._book,
            "/market/products/{product}": lambda request: self._product(request.match_info["product"]),
            "/market/products/{product}/ticker": self._ticker,
            "/market/products/{product}/candles": self._candles,
        }
        return [web.get(base + path, self._wrap(handler)) for path, handler in table.items()]

    def _wrap(self, handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            if (refusal := refused(self._faults, self._meter)) is not None:
                return refusal
            try:
                return answer(handler(request))
            except RestError as error:
                return answer(error.body, error.status)

        return handle

    # -- endpoints -----------------------------------------------------------------------------------------------

    def _time(self, request: web.Request) -> dict[str, str]:
        now_ms = self._clock_ms()
        return {"iso": stamp(now_ms, digits=6), "epochSeconds": str(now_ms // 1000), "epochMillis": str(now_ms)}

    def _products(self, request: web.Request) -> dict[str, Any]:
        spot = request.query.get("product_type", "SPOT") == "SPOT"
        rows = [self._product(name) for name in self._sockets.by_name] if spot else []
        return {"products": rows, "num_products": len(rows), "pagination": None}

    def _product(self, name: str) -> dict[str, Any]:
        market = self._market(name)
        return frames.product(market, alias=name == alias_of(market.instrument.native))

    def _market(self, name: str) -> LiveMarket:
        market = self._sockets.by_name.get(name)
        if market is None:
            raise RestError(404, "NOT_FOUND", f"ProductID {name[:40]!r} could not be found")
        return market

    def _book(self, request: web.Request) -> dict[str, Any]:
        name = request.query.get("product_id", "")
        market, limit = self._market(name), integer(request, "limit", 1000)
        price, size, engine = market.price_text, market.size_text, market.engine
        sides = {
            side: [{"price": short(price(p)), "size": short(size(s))} for p, s in levels.top(limit)]
            for side, levels in (("bids", engine.bids), ("asks", engine.asks))
        }
        i, top = market.instrument, market.top
        middle, spread = Decimal(top.bid + top.ask) * i.tick / 2, (top.ask - top.bid) * i.tick
        return {
            "pricebook": {"product_id": name, **sides, "time": stamp(self._clock_ms(), digits=6)},
            "last": short(price(market.candles.day().close)),
            "mid_market": f"{middle.normalize():f}",
            "spread_bps": f"{spread / middle * 10_000:.12f}",
            "spread_absolute": f"{spread:f}",
        }

    def _ticker(self, request: web.Request) -> dict[str, Any]:
        market = self._market(request.match_info["product"])
        rows = list(market.recent)[-integer(request, "limit", 100) :]
        top, price = market.top, market.price_text
        return {
            "trades": [
                msgspec.json.decode(frames.trade(market, row, ',"exchange":"coinbase"')) for row in reversed(rows)
            ],
            "best_bid": short(price(top.bid)),
            "best_ask": short(price(top.ask)),
        }

    def _candles(self, request: web.Request) -> dict[str, Any]:
        market = self._market(request.match_info["product"])
        length_ms = GRANULARITIES.get(request.query.get("granularity", ""))
        if length_ms is None:
            raise RestError(400, "INVALID_ARGUMENT", "Unsupported granularity")
        start_ms, end_ms = (integer(request, name, None) * 1000 for name in ("start", "end"))
        if not 0 <= end_ms - start_ms <= MOST_CANDLES * length_ms:
            raise RestError(400, "INVALID_ARGUMENT", f"number of candles requested should be less than {MOST_CANDLES}")
        market.candles.series(length_ms)
        market.candles.roll(self._clock_ms())
        bars = [bar for bar in market.candles.since(length_ms, start_ms) if bar.open_ms <= end_ms]
        limit = min(MOST_CANDLES, integer(request, "limit", MOST_CANDLES))
        return {"candles": [frames.candle(market, bar) for bar in reversed(bars[-limit:])]}


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json", headers=headers or {}
    )


def integer(request: web.Request, name: str, default: int | None) -> int:
    text = request.query.get(name, "" if default is None else str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise RestError(400, "INVALID_ARGUMENT", f"{name} is {text[:40]!r}, which is no number")
    return int(text)
