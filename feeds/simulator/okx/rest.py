"""OKX's public REST, ``/api/v5``. Answers are ``{"code": "0", "msg": "", "data": [...]}``, errors too."""

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.faults import Faults
from feeds.simulator.okx import frames
from feeds.simulator.okx.frames import DEPTH, Quoted
from feeds.simulator.okx.streams import BARS, Streams

_PER_S = 2.0


class RestError(Exception):
    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class OkxRest:
    def __init__(
        self, streams: Streams, faults: Faults, clock: Callable[[], float], clock_ms: Callable[[], int]
    ) -> None:
        self._streams = streams
        self._faults = faults
        self._clock = clock
        self._clock_ms = clock_ms

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """The public endpoints, each with its limit of requests in two seconds."""
        table: dict[str, tuple[int, Callable[[web.Request], list[Any]]]] = {
            "public/time": (10, lambda request: [{"ts": str(self._clock_ms())}]),
            "public/instruments": (20, self._instruments),
            "public/mark-price": (10, self._marks),
            "public/funding-rate": (20, self._fundings),
            "system/status": (1, lambda request: []),
            "market/books": (40, self._books),
            "market/candles": (40, lambda request: self._candles(request, 300)),
            "market/history-candles": (20, lambda request: self._candles(request, 100)),
            "market/trades": (100, self._trades),
            "market/ticker": (20, lambda request: [_raw(frames.ticker(self._one(request), self._clock_ms()))]),
            "market/tickers": (20, self._tickers),
            "market/index-tickers": (20, self._indexes),
        }
        return [web.get(f"{prefix}/api/v5/{path}", self._wrap(*row)) for path, row in table.items()]

    def _wrap(self, limit: int, handler: Callable[[web.Request], list[Any]]) -> Callable[[web.Request], Any]:
        asked: deque[float] = deque()

        async def handle(request: web.Request) -> web.Response:
            if (trouble := unavailable(self._faults)) is not None:
                return trouble
            now_s = self._clock()
            asked.append(now_s)
            while asked[0] <= now_s - _PER_S:
                asked.popleft()
            if len(asked) > limit:
                return answer([], "50011", "Too Many Requests", 429)
            try:
                return answer(handler(request))
            except RestError as error:
                return answer([], error.code, str(error))

        return handle

    # -- parameters --------------------------------------------------------------------------------------------------

    def _one(self, request: web.Request) -> Quoted:
        name = request.query.get("instId", "")
        if not name:
            raise RestError("50014", "Parameter instId can not be empty.")
        quoted = self._streams.quoted.get(name)
        if quoted is None:
            raise RestError("51001", "Instrument ID doesn't exist.")
        return quoted

    def _kind(self, request: web.Request) -> list[Quoted]:
        kind = request.query.get("instType", "")
        if kind not in ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"):
            raise RestError("51000", "Parameter instType error")
        return [q for q in self._streams.quoted.values() if kind == ("SWAP" if q.swap else "SPOT")]

    # -- endpoints ---------------------------------------------------------------------------------------------------

    def _instruments(self, request: web.Request) -> list[Any]:
        rows = [frames.instrument(quoted) for quoted in self._kind(request)]
        return [*rows, frames.INVERSE] if request.query["instType"] == "SWAP" else rows

    def _books(self, request: web.Request) -> list[Any]:
        quoted, n = self._one(request), min(DEPTH, _integer(request, "sz", 1))
        engine = quoted.market.engine
        return [_raw(frames.book(quoted, engine.bids.top(n), engine.asks.top(n), self._clock_ms(), ""))]

    def _candles(self, request: web.Request, most: int) -> list[Any]:
        """Newest first; ``after`` and ``before`` are opening times, exclusive."""
        quoted, bar = self._one(request), request.query.get("bar", "1m")
        if bar not in BARS:
            raise RestError("51000", "Parameter bar error")
        candles = quoted.market.candles
        candles.series(BARS[bar])
        candles.roll(self._clock_ms())
        bars = candles.series(BARS[bar])
        running = bars[-1]
        before, after = _integer(request, "before", -1), _integer(request, "after", 2**62)
        chosen = [each for each in bars if before < each.open_ms < after][-min(most, _integer(request, "limit", 100)) :]
        return [_raw(frames.candle(quoted, each, closed=each is not running)) for each in reversed(chosen)]

    def _trades(self, request: web.Request) -> list[Any]:
        quoted = self._one(request)
        rows = frames.merge(quoted.market.recent)[-min(500, _integer(request, "limit", 100)) :]
        return [_raw(frames.trade(quoted, row, stream=False)) for row in reversed(rows)]

    def _tickers(self, request: web.Request) -> list[Any]:
        return [_raw(frames.ticker(quoted, self._clock_ms())) for quoted in self._kind(request)]

    def _swaps(self, request: web.Request) -> list[Quoted]:
        return [self._one(request)] if "instId" in request.query else [q for q in self._kind(request) if q.swap]

    def _marks(self, request: web.Request) -> list[Any]:
        now_ms = self._clock_ms()
        return [_raw(frames.timed(frames.mark(quoted), now_ms)) for quoted in self._swaps(request)]

    def _fundings(self, request: web.Request) -> list[Any]:
        return [_raw(frames.funding(quoted, self._clock_ms())) for quoted in self._swaps(request)]

    def _indexes(self, request: web.Request) -> list[Any]:
        quoted = self._streams.find("index-tickers", request.query.get("instId", ""))
        if quoted is None:
            raise RestError("51001", "Instrument ID doesn't exist.")
        return [_raw(frames.timed(frames.index(quoted), self._clock_ms()))]


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def unavailable(faults: Faults) -> web.Response | None:
    """The answer of REST that is out of order (fault "status")."""
    fault = faults.strike("okx", "status")
    if fault is None:
        return None
    status = int(fault.number(503))
    if status == 429:  # no header tells how long to wait
        return answer([], "50011", "Rate limit reached. Please refer to API documentation.", status)
    return answer([], "50001", "Simulated: service temporarily unavailable.", status)


def answer(
    data: list[Any], code: str = "0", msg: str = "", status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    body = msgspec.json.encode({"code": code, "msg": msg, "data": data})
    return web.Response(body=body, status=status, content_type="application/json", headers=headers or {})


def _integer(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise RestError("51000", f"Parameter {name} error")
    return int(text)
