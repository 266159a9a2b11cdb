"""How Binance's REST answers: errors, weights, limits, faults. What it answers is in the other ``binance_`` files."""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.faults import Faults

LIMITS = {"spot": 6000, "usdm": 2400}
_BAN_AFTER = 100  # requests in a minute that was already full
_BAN_S = 120


class BinanceError(Exception):
    """Answered as ``{"code": ..., "msg": ...}``. ``weight`` is what the failed request still costs."""

    def __init__(self, code: int, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status


def answer(body: Any, status: int = 200) -> web.Response:
    raw = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    return web.Response(body=raw, status=status, content_type="application/json")


class WeightMeter:
    """REQUEST_WEIGHT of one product: fixed windows on the wall-clock minute. Everybody here is one address."""

    def __init__(self, limit: int, clock_ms: Callable[[], int]) -> None:
        self.limit = limit
        self.used = 0
        self._clock_ms = clock_ms
        self._minute = 0
        self._beyond = 0
        self._banned_ms = 0

    def charge(self, weight: int) -> None:
        """Raises BinanceError (429, 418) with -1003 if the limit is passed; ``retry_after_s`` then tells how long."""
        now_ms = self._clock_ms()
        if now_ms // 60_000 != self._minute:
            self._minute, self.used, self._beyond = now_ms // 60_000, 0, 0
        if now_ms < self._banned_ms:
            text = f"Way too much request weight used; IP banned until {self._banned_ms}. "
            raise BinanceError(-1003, text + "Please use WebSocket Streams for live updates to avoid bans.", 418)
        self.used += weight
        if self.used > self.limit:
            self._beyond += 1
            if self._beyond > _BAN_AFTER:
                self._banned_ms = now_ms + _BAN_S * 1000
            text = f"Too much request weight used; current limit is {self.limit} request weight per 1 MINUTE. "
            raise BinanceError(
                -1003, text + "Please use WebSocket Streams for live updates to avoid polling the API.", 429
            )

    def refund(self, weight: int) -> None:
        """Successful spot order calls cost nothing since April 2026."""
        self.used = max(0, self.used - weight)

    def retry_after_s(self) -> int:
        now_ms = self._clock_ms()
        until_ms = max(self._banned_ms, (now_ms // 60_000 + 1) * 60_000)
        return (until_ms - now_ms + 999) // 1000


Handler = Callable[[web.Request], Awaitable[web.Response] | web.Response]
Weight = int | Callable[[web.Request], int]


class Gate:
    """What stands before every endpoint of one product: weight, limits, faults, and the form of errors."""

    def __init__(self, product: str, faults: Faults, clock_ms: Callable[[], int], limit: int | None = None) -> None:
        self.product = product
        self.meter = WeightMeter(limit or LIMITS[product], clock_ms)
        self.clock_ms = clock_ms
        self._faults = faults

    def wrap(self, weight: Weight, handler: Handler, *, free_if_good: bool = False) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            fault = self._faults.strike("binance", "status", self.product)
            try:
                if fault is not None:
                    raise _refusal(int(fault.number(503)))
                cost = weight if isinstance(weight, int) else weight(request)
                self.meter.charge(cost)
                result = handler(request)
                response = result if isinstance(result, web.Response) else await result
                if free_if_good:
                    self.meter.refund(cost)
            except BinanceError as error:
                response = answer({"code": error.code, "msg": error.text}, error.status)
                if error.status in (418, 429):
                    response.headers["Retry-After"] = str(
                        math.ceil(fault.retry_s) if fault is not None else self.meter.retry_after_s()
                    )
            response.headers["X-MBX-USED-WEIGHT-1M"] = str(self.meter.used)
            return response

        return handle


def _refusal(status: int) -> BinanceError:
    """A simulated failure of REST."""
    if status in (418, 429):
        return BinanceError(-1003, "Too many requests; simulated.", status)
    return BinanceError(-1008, "Service Unavailable.", status)


def integer(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise BinanceError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return int(text)
