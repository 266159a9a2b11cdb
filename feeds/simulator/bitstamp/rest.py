"""Bitstamp's public REST v2: markets, books, transactions, figures, bars."""

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.bitstamp import frames
from feeds.simulator.bitstamp.sockets import BitstampSockets
from feeds.simulator.faults import Faults
from feeds.simulator.market import LiveMarket

STEPS = (60, 180, 300, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 259_200)
MOST_BARS = 1000
WINDOW_S = 600.0


class RestError(Exception):
    """``body`` None: a web page."""

    def __init__(self, status: int, body: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def refused(code: str, text: str) -> RestError:
    return RestError(400, {"response_code": code, "response_explanation": text})


class BitstampRest:
    def __init__(
        self,
        sockets: BitstampSockets,
        faults: Faults,
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
        requests: int,
    ) -> None:
        self._sockets = sockets
        self._faults = faults
        self._clock = clock
        self._clock_ms = clock_ms
        self._limit = requests
        self._requests: deque[float] = deque()

    def routes(self, prefix: str) -> list[web.RouteDef]:
        table: dict[str, Callable[[web.Request], Any]] = {
            "markets": self._markets,
            "ticker": self._tickers,
            "ticker/{pair}": self._ticker,
            "order_book/{pair}": self._book,
            "transactions/{pair}": self._transactions,
            "ohlc/{pair}": self._ohlc,
        }
        return [web.get(f"{prefix}/api/v2/{path}/", self._wrap(handler)) for path, handler in table.items()]

    def _wrap(self, handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            try:
                if (fault := self._faults.strike("bitstamp", "status")) is not None:
                    raise RestError(int(fault.number(503)))
                if not self._admits():
                    raise refused("400.002", "Request rejected due to exceeded rate limit.")
                return _answer(200, handler(request))
            except RestError as error:
                if error.body is not None:
                    return _answer(error.status, error.body)
                return web.Response(status=error.status, text="<html></html>", content_type="text/html")

        return handle

    def _admits(self) -> bool:
        now_s = self._clock()
        self._requests.append(now_s)
        while self._requests[0] <= now_s - WINDOW_S:
            self._requests.popleft()
        return len(self._requests) <= self._limit

    def _market(self, request: web.Request) -> LiveMarket:
        market = self._sockets.markets.get(request.match_info["pair"].lower())
        if market is None:
            raise RestError(404)
        return market

    # -- endpoints -----------------------------------------------------------------------------------------------

    def _markets(self, request: web.Request) -> list[dict[str, Any]]:
        return [*(frames.listed(market) for market in self._sockets.markets.values()), frames.PERPETUAL]

    def _tickers(self, request: web.Request) -> list[dict[str, str]]:
        now_ms = self._clock_ms()
        for market in self._sockets.markets.values():
            market.candles.roll(now_ms)
        return [frames.ticker(market, now_ms) for market in self._sockets.markets.values()]

    def _ticker(self, request: web.Request) -> Any:
        """Of a market that does not exist: all of them, as observed."""
        market = self._sockets.markets.get(request.match_info["pair"].lower())
        return self._tickers(request) if market is None else frames.ticker(market, self._clock_ms())

    def _book(self, request: web.Request) -> dict[str, Any]:
        """The whole book; ``group`` 0 and 2 (single orders) are not simulated."""
        market = self._market(request)
        micros, engine = self._sockets.stamp(market.instrument.native), market.engine
        everything = max(len(engine.bids.totals), len(engine.asks.totals))
        return {
            "timestamp": str(micros // 1_000_000),
            "microtimestamp": str(micros),
            "bids": frames.levels(market, engine.bids.top(everything)),
            "asks": frames.levels(market, engine.asks.top(everything)),
        }

    def _transactions(self, request: web.Request) -> list[dict[str, str]]:
        """Newest first."""
        market = self._market(request)
        return [frames.transaction(market, row) for row in reversed(market.recent)]

    def _ohlc(self, request: web.Request) -> dict[str, Any]:
        """The last bars up to ``end``, oldest first; the running one is among them, if it is not excluded."""
        market = self._market(request)
        step, limit = _integer(request, "step", 0), _integer(request, "limit", 0)
        if step not in STEPS or not 1 <= limit <= MOST_BARS:
            raise refused("400.001", "Unknown validation error.")
        market.candles.roll(self._clock_ms())
        bars = market.candles.series(step * 1000)
        market.candles.roll(self._clock_ms())
        start_s, end_s = _integer(request, "start", 0), _integer(request, "end", 1 << 40)
        if request.query.get("exclude_current_candle", "").lower() == "true":
            bars = bars[:-1]
        chosen = [bar for bar in bars if start_s <= bar.open_ms // 1000 <= end_s][-limit:]
        name = f"{market.instrument.base}/{market.instrument.quote}"
        return {"data": {"pair": name, "ohlc": [frames.bar(market, bar) for bar in chosen]}}


def _answer(status: int, body: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


def _integer(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise refused("400.001", "Unknown validation error.")
    return int(text)
