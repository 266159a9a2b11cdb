"""Alpaca's REST: instruments of the trading API, market data of crypto (no key needed) and of stocks (one is)."""

import math
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.alpaca import frames
from feeds.simulator.alpaca.listing import CRYPTO, NAME, STOCKS
from feeds.simulator.alpaca.sockets import AlpacaSockets
from feeds.simulator.candles import DAY, MINUTE, Bar, Candles
from feeds.simulator.faults import Faults
from feeds.simulator.market import LiveMarket

_TIMEFRAME = re.compile(r"([0-9]{1,2})(min|t|hour|h|day|d)", re.I)
_UNITS = {"m": 60_000, "t": 60_000, "h": 3_600_000, "d": DAY}
HOUR = 60 * MINUTE
_MOST_ROWS, _USUAL_ROWS = 10_000, 1000


class AlpacaRestError(Exception):
    """Answered with this status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class AlpacaRest:
    def __init__(self, sockets: AlpacaSockets, faults: Faults, clock_ms: Callable[[], int]) -> None:
        self._sockets = sockets
        self._faults = faults
        self._clock_ms = clock_ms

    def routes(self, prefix: str) -> list[web.RouteDef]:
        crypto, stocks = "/v1beta3/crypto/us", "/v2/stocks"
        table: dict[str, Callable[[web.Request], str]] = {
            "/v2/assets": self._assets,
            f"{crypto}/latest/orderbooks": lambda r: self._latest(r, CRYPTO, "orderbooks", self._book),
            f"{crypto}/latest/quotes": lambda r: self._latest(r, CRYPTO, "quotes", frames.quote_rest),
            f"{crypto}/latest/trades": lambda r: self._latest(r, CRYPTO, "trades", self._last_trade),
            f"{crypto}/snapshots": lambda r: self._latest(r, CRYPTO, "snapshots", self._snapshot),
            f"{crypto}/trades": self._trades,
            f"{crypto}/bars": lambda r: self._bars(r, CRYPTO),
            f"{stocks}/quotes/latest": lambda r: self._latest(r, STOCKS, "quotes", frames.quote_rest),
            f"{stocks}/trades/latest": lambda r: self._latest(r, STOCKS, "trades", self._last_trade),
            f"{stocks}/bars": lambda r: self._bars(r, STOCKS),
        }
        return [web.get(f"{prefix}{path}", self._wrap(handler)) for path, handler in table.items()]

    def _wrap(self, handler: Callable[[web.Request], str]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            fault = self._faults.strike(NAME, "status")
            retry_s = fault.retry_s if fault is not None else 1.0
            try:
                if fault is not None:
                    status = int(fault.number(503))
                    raise AlpacaRestError(status, "too many requests." if status == 429 else "internal server error")
                self._check_key(request)
                return _answer(handler(request))
            except AlpacaRestError as error:
                headers = (
                    {"X-RateLimit-Reset": str(self._clock_ms() // 1000 + math.ceil(retry_s))}
                    if error.status == 429
                    else {}
                )
                return _answer(msgspec.json.encode({"message": str(error)}).decode(), error.status, headers)

        return handle

    def _check_key(self, request: web.Request) -> None:
        """Crypto data may be asked for without a key, but not with a wrong one."""
        key, secret = (request.headers.get(f"APCA-API-{name}") for name in ("KEY-ID", "SECRET-KEY"))
        if key is None and "/crypto/" in request.path:
            return
        if key is None or self._sockets.accounts.get(key) != secret:
            raise AlpacaRestError(401, "unauthorized.")

    # -- endpoints -----------------------------------------------------------------------------------------------

    def _assets(self, request: web.Request) -> str:
        product = {"crypto": CRYPTO, "us_equity": STOCKS}.get(request.query.get("asset_class", "us_equity"))
        markets = self._sockets.markets[product].values() if product else ()
        return msgspec.json.encode([frames.asset(market.instrument) for market in markets]).decode()

    def _asked(self, request: web.Request, product: str) -> list[LiveMarket]:
        natives = [name for name in request.query.get("symbols", "").split(",") if name]
        if not natives:
            raise AlpacaRestError(400, "symbols is required")
        markets = self._sockets.markets[product]
        for native in natives:
            if native not in markets:
                raise AlpacaRestError(400, f"invalid symbol: {native}")
        return [markets[native] for native in natives]

    def _latest(self, request: web.Request, product: str, name: str, one: Callable[[LiveMarket], str]) -> str:
        rows = [f'"{market.instrument.native}":{one(market)}' for market in self._asked(request, product)]
        return f'{{"{name}":{{{",".join(rows)}}}}}'

    def _book(self, market: LiveMarket) -> str:
        """As it was published last: REST and streams tell the same."""
        return frames.book_rest(self._sockets.ladders[market.instrument.native])

    @staticmethod
    def _last_trade(market: LiveMarket) -> str:
        if not market.recent:
            raise AlpacaRestError(404, "no trade found")
        return frames.trade_rest(market, market.recent[-1])

    def _snapshot(self, market: LiveMarket) -> str:
        market.candles.series(DAY)
        market.candles.roll(self._clock_ms())
        days = market.candles.series(DAY)
        parts = {
            "dailyBar": frames.bar_rest(market, days[-1]),
            "latestQuote": frames.quote_rest(market),
            "minuteBar": frames.bar_rest(market, market.candles.minutes[-2]),
            "prevDailyBar": frames.bar_rest(market, days[-2]),
        }
        if market.recent:
            parts["latestTrade"] = self._last_trade(market)
        return "{" + ",".join(f'"{name}":{text}' for name, text in parts.items()) + "}"

    def _trades(self, request: web.Request) -> str:
        start_ms, limit = self._start(request), self._limit(request)
        rows = []
        for market in self._asked(request, CRYPTO):
            found = [frames.trade_rest(market, row) for row in market.recent if row.ms >= start_ms][:limit]
            rows.append(f'"{market.instrument.native}":[{",".join(found)}]')
        return f'{{"trades":{{{",".join(rows)}}},"next_page_token":null}}'

    def _bars(self, request: web.Request, product: str) -> str:
        """Oldest first from ``start``, at most ``limit``; then the token of the next page. One symbol a request."""
        frame = _TIMEFRAME.fullmatch(request.query.get("timeframe", ""))
        if frame is None:
            raise AlpacaRestError(400, "invalid timeframe")
        market = self._asked(request, product)[0]
        length_ms = int(frame[1]) * _UNITS[frame[2][0].lower()]
        try:
            market.candles.series(length_ms)
        except KeyError as error:
            raise AlpacaRestError(400, "invalid timeframe") from error
        market.candles.roll(self._clock_ms())
        bars = _hours(market.candles) if length_ms == HOUR else market.candles.series(length_ms)
        start_ms, limit = self._start(request), self._limit(request)
        end_ms = _moment(request.query["end"]) if "end" in request.query else self._clock_ms()
        if token := request.query.get("page_token"):
            start_ms = int(urlsafe_b64decode(token).decode().rpartition("|")[2])
        found = [bar for bar in bars if start_ms <= bar.open_ms <= end_ms]
        native, page = market.instrument.native, found[:limit]
        token = "null"
        if len(found) > limit:
            token = f'"{urlsafe_b64encode(f"{native}|M|{found[limit].open_ms}".encode()).decode()}"'
        rows = ",".join(frames.bar_rest(market, bar) for bar in page)
        told = f'{{"{native}":[{rows}]}}' if page else "{}"
        return f'{{"bars":{told},"next_page_token":{token}}}'

    def _start(self, request: web.Request) -> int:
        """The beginning of the day, if nothing is said."""
        if "start" in request.query:
            return _moment(request.query["start"])
        return self._clock_ms() // DAY * DAY

    def _limit(self, request: web.Request) -> int:
        text = request.query.get("limit", str(_USUAL_ROWS))
        if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= _MOST_ROWS):
            raise AlpacaRestError(400, "invalid limit")
        return int(text)


def _hours(candles: Candles) -> list[Bar]:
    """Of the time before the market's hours begin, of which longer bars are known: one hour each, the first. In the
    others nothing was traded, and such bars are left out."""
    hours, fours, days = (candles.series(length_ms) for length_ms in (HOUR, 4 * HOUR, DAY))
    older = [bar for bar in days if bar.open_ms < fours[0].open_ms]
    older += [bar for bar in fours if bar.open_ms < hours[0].open_ms]
    return older + hours


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise AlpacaRestError(400, "invalid time") from error
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)


def _answer(body: str, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(text=body, status=status, content_type="application/json", headers=headers or {})
