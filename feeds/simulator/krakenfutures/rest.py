"""Kraken Futures' public REST: ``/derivatives/api/v3`` and the charts."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
from aiohttp import web

from feeds.simulator.faults import Faults
from feeds.simulator.krakenfutures import frames
from feeds.simulator.krakenfutures.answers import KrakenFuturesRestError, answer, broken
from feeds.simulator.krakenfutures.frames import stamp
from feeds.simulator.krakenfutures.sockets import NAME, PRODUCT, KrakenFuturesSockets
from feeds.simulator.market import LiveMarket

RESOLUTIONS = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240, "12h": 720, "1d": 1440, "1w": 10_080}
"""In minutes."""
MOST_CANDLES = 2000
_TICKER_NAMES = {"index": "indexPrice", "open": "open24h", "high": "high24h", "low": "low24h", "change": "change24h"}
_TICKER_NAMES |= {"volume": "vol24h", "bid_size": "bidSize", "ask_size": "askSize", "funding_rate": "fundingRate"}


class KrakenFuturesRest:
    def __init__(self, sockets: KrakenFuturesSockets, faults: Faults, clock_ms: Callable[[], int]) -> None:
        self._sockets = sockets
        self._faults = faults
        self._clock_ms = clock_ms

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """The public endpoints below ``prefix``."""
        table: dict[str, Callable[[web.Request], dict[str, Any]]] = {
            "/derivatives/api/v3/instruments": self._instruments,
            "/derivatives/api/v3/instruments/status": self._statuses,
            "/derivatives/api/v3/tickers": lambda _: {"tickers": [self._ticker(m) for m in self._markets()]},
            "/derivatives/api/v3/tickers/{symbol}": lambda r: {"ticker": self._ticker(self._one(r))},
            "/derivatives/api/v3/orderbook": self._orderbook,
            "/derivatives/api/v3/history": self._history,
            "/api/charts/v1/{tick_type}/{symbol}/{resolution}": self._candles,
        }
        return [web.get(f"{prefix}{path}", self._wrap(handler)) for path, handler in table.items()]

    def _wrap(self, handler: Callable[[web.Request], dict[str, Any]]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            now = {"serverTime": stamp(self._clock_ms())}
            fault = self._faults.strike(NAME, "status", PRODUCT)
            if fault is not None:
                return broken(fault, now)
            try:
                body = handler(request)
            except KrakenFuturesRestError as error:
                return answer({"result": "error", "error": str(error), **now})
            return answer(body if "candles" in body else {"result": "success", **body, **now})

        return handle

    # -- parameters ----------------------------------------------------------------------------------------------

    def _markets(self) -> list[LiveMarket]:
        return list(self._sockets.markets.values())

    def _one(self, request: web.Request) -> LiveMarket:
        name = request.match_info.get("symbol") or request.query.get("symbol", "")
        market = self._sockets.markets.get(name)
        if market is None:
            raise KrakenFuturesRestError("invalidArgument: symbol")
        return market

    # -- endpoints -----------------------------------------------------------------------------------------------

    def _instruments(self, request: web.Request) -> dict[str, Any]:
        return {"instruments": [*(frames.instrument(m.instrument) for m in self._markets()), *frames.OTHERS]}

    def _statuses(self, request: web.Request) -> dict[str, Any]:
        return {
            "instrumentStatus": [
                {
                    "tradeable": market.instrument.native,
                    "experiencingDislocation": False,
                    "priceDislocationDirection": None,
                    "experiencingExtremeVolatility": False,
                    "extremeVolatilityInitialMarginMultiplier": 1,
                }
                for market in self._markets()
            ]
        }

    def _ticker(self, market: LiveMarket) -> dict[str, Any]:
        texts = {name: text for name, text in frames.day(market).items() if name != "relative_funding_rate"}
        numbers = {_TICKER_NAMES.get(name, name): msgspec.Raw(text.encode()) for name, text in texts.items()}
        i, halted = market.instrument, self._sockets.halted
        return {
            "symbol": i.native,
            "tag": "perpetual" if i.expiry is None else "quarter",
            "pair": frames.pair(i),
            **numbers,
            "lastTime": stamp(market.recent[-1].ms if market.recent else market.now_ms),
            "suspended": halted == "suspended",
            "postOnly": halted == "post_only",
        }

    def _orderbook(self, request: web.Request) -> dict[str, Any]:
        market = self._one(request)
        price, size, engine = market.price_text, market.size_text, market.engine

        def rows(levels: list[tuple[int, int]]) -> msgspec.Raw:
            return msgspec.Raw(("[" + ",".join(f"[{price(p)},{size(s)}]" for p, s in levels) + "]").encode())

        sides = {"bids": engine.bids, "asks": engine.asks}
        return {"orderBook": {name: rows(side.top(len(side.keys))) for name, side in sides.items()}}

    def _history(self, request: web.Request) -> dict[str, Any]:
        market = self._one(request)
        return {
            "history": [
                {
                    "time": stamp(row.ms),
                    "trade_id": number,
                    "price": msgspec.Raw(market.price_text(row.price).encode()),
                    "size": msgspec.Raw(market.size_text(row.size).encode()),
                    "side": "buy" if row.taker_buys else "sell",
                    "type": "fill",
                    "uid": str(UUID(int=row.id)),
                }
                for number, row in enumerate(list(market.recent)[:-101:-1], 1)
            ]
        }

    def _candles(self, request: web.Request) -> dict[str, Any]:
        market = self._one(request)
        minutes = RESOLUTIONS.get(request.match_info["resolution"])
        if minutes is None or request.match_info["tick_type"] not in ("trade", "mark", "spot"):
            raise KrakenFuturesRestError("invalidArgument: resolution")
        market.candles.series(minutes * 60_000)
        market.candles.roll(self._clock_ms())
        first_ms, last_ms = 1000 * _whole(request, "from", 0), 1000 * _whole(request, "to", 10**11)
        found = [bar for bar in market.candles.series(minutes * 60_000) if first_ms <= bar.open_ms <= last_ms]
        most = min(MOST_CANDLES, _whole(request, "count", MOST_CANDLES))
        price = market.price_text
        return {
            "candles": [
                {
                    "time": bar.open_ms,
                    "open": price(bar.open),
                    "high": price(bar.high),
                    "low": price(bar.low),
                    "close": price(bar.close),
                    "volume": market.size_text(bar.volume),
                }
                for bar in (found[:most] if "from" in request.query else found[-most:] if most else [])
            ],
            "more_candles": len(found) > most,
        }


def _whole(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 14):
        raise KrakenFuturesRestError(f"invalidArgument: {name}")
    return int(text)
