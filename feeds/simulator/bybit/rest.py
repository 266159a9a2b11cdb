"""Bybit's public REST, v5. Answers are ``{"retCode": 0, "retMsg": "OK", "result": {...}}`` with HTTP 200 throughout."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.bybit import frames
from feeds.simulator.bybit.frames import PERIODS
from feeds.simulator.bybit.sockets import BybitSockets
from feeds.simulator.bybit.terms import BybitError
from feeds.simulator.faults import Faults
from feeds.simulator.market import LiveMarket

REQUESTS, WINDOW_S, BAN_S = 600, 5.0, 600.0
"""So many requests in so many seconds from one address; who sends more is not served for so long."""
INVALID = 10001


class BybitRest:
    """``most_a_page``: instruments on a page of the linear list."""

    def __init__(
        self, sockets: BybitSockets, faults: Faults, clock: Callable[[], float], clock_ms: Callable[[], int]
    ) -> None:
        self.most_a_page = 1000
        self._sockets = sockets
        self._faults = faults
        self._clock = clock
        self._clock_ms = clock_ms
        self._requests: deque[float] = deque()
        self._banned_until_s = float("-inf")

    def routes(self, prefix: str) -> list[web.RouteDef]:
        table: dict[str, Callable[[web.Request], Any]] = {
            "market/time": self._time,
            "market/instruments-info": self._instruments,
            "market/orderbook": self._book,
            "market/kline": self._klines,
            "market/recent-trade": self._trades,
            "market/tickers": self._tickers,
            "system/status": lambda request: {"list": frames.maintenance(self._sockets.maintained, self._clock_ms())},
        }
        return [web.get(f"{prefix}/v5/{path}", self._wrap(handler)) for path, handler in table.items()]

    def _wrap(self, handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            if (refused := self.refusal()) is not None:
                return refused
            try:
                return self.answer(0, "OK", handler(request))
            except BybitError as error:
                return self.answer(error.code, str(error), {})

        return handle

    def refusal(self) -> web.Response | None:
        """The answer to a request that is not served at all, whatever it asks; None: it is served."""
        if (fault := self._faults.strike("bybit", "status")) is not None:
            code = int(fault.number(503))
            if code == 429:
                headers = {"X-Bapi-Limit-Reset-Timestamp": str(self._clock_ms() + round(fault.retry_s * 1000))}
                return self.answer(10006, "Too many visits! Exceeded the API Rate Limit.", {}, headers)
            return web.Response(status=code, text="simulated")
        if not self._admitted():
            return web.Response(status=403, text="access too frequent")
        return None

    def _admitted(self) -> bool:
        now_s = self._clock()
        if now_s < self._banned_until_s:
            return False
        self._requests.append(now_s)
        while self._requests[0] <= now_s - WINDOW_S:
            self._requests.popleft()
        if len(self._requests) > REQUESTS:
            self._banned_until_s = now_s + BAN_S
        return len(self._requests) <= REQUESTS

    def answer(self, code: int, said: str, result: Any, headers: Mapping[str, str] | None = None) -> web.Response:
        body = {"retCode": code, "retMsg": said, "result": result, "retExtInfo": {}, "time": self._clock_ms()}
        return web.Response(body=msgspec.json.encode(body), content_type="application/json", headers=headers)

    # -- parameters ----------------------------------------------------------------------------------------------

    def _category(self, request: web.Request) -> str:
        category = request.query.get("category", "linear")
        if category not in self._sockets.markets:
            raise BybitError(INVALID, "params error: Category is invalid")
        return category

    def _market(self, request: web.Request) -> LiveMarket:
        market = self._sockets.markets[self._category(request)].get(request.query.get("symbol", ""))
        if market is None:
            raise BybitError(INVALID, "params error: Symbol Invalid")
        return market

    def _chosen(self, request: web.Request) -> list[LiveMarket]:
        category = self._category(request)
        return [self._market(request)] if "symbol" in request.query else list(self._sockets.markets[category].values())

    @staticmethod
    def _limit(request: web.Request, default: int, most: int) -> int:
        return max(1, min(most, _integer(request, "limit", default)))

    # -- endpoints -----------------------------------------------------------------------------------------------

    def _time(self, request: web.Request) -> dict[str, Any]:
        now_ms = self._clock_ms()
        return {"timeSecond": str(now_ms // 1000), "timeNano": str(now_ms * 1_000_000)}

    def _instruments(self, request: web.Request) -> dict[str, Any]:
        category, chosen = self._category(request), self._chosen(request)
        if request.query.get("status", "Trading") != "Trading":
            chosen = []
        if category == "spot":
            return {"category": category, "list": [_spot(market) for market in chosen]}
        begin, most = _cursor(request), min(self.most_a_page, self._limit(request, 500, 1000))
        page, following = chosen[begin : begin + most], begin + most
        return {
            "category": category,
            "list": [_linear(market) for market in page],
            "nextPageCursor": f"first%3D{following}%26" if following < len(chosen) else "",
        }

    def _book(self, request: web.Request) -> dict[str, Any]:
        market = self._market(request)
        n = self._limit(request, 1 if market.instrument.settle is None else 25, 1000)
        price, size, engine = market.price_text, market.size_text, market.engine
        return {
            "s": market.instrument.native,
            "a": [[price(p), size(s)] for p, s in engine.asks.top(n)],
            "b": [[price(p), size(s)] for p, s in engine.bids.top(n)],
            "ts": self._clock_ms(),
            "u": engine.update_id % 1_000_000,  # of the topic of 1000 levels: not the number of any other
            "seq": engine.update_id,
            "cts": market.now_ms,
        }

    def _klines(self, request: web.Request) -> dict[str, Any]:
        """Newest first, the running bar included."""
        market, period = self._market(request), request.query.get("interval", "")
        if period not in PERIODS:
            raise BybitError(INVALID, "params error: Invalid period!")
        market.candles.series(PERIODS[period])
        market.candles.roll(self._clock_ms())
        end_ms = _integer(request, "end", self._clock_ms())
        bars = [b for b in market.candles.since(PERIODS[period], _integer(request, "start", 0)) if b.open_ms <= end_ms]
        price = market.price_text
        rows = [
            [
                str(bar.open_ms),
                *(price(value) for value in (bar.open, bar.high, bar.low, bar.close)),
                market.size_text(bar.volume),
                frames.turnover(market, bar),
            ]
            for bar in reversed(bars[-self._limit(request, 200, 1000) :])
        ]
        i = market.instrument
        return {"symbol": i.native, "category": i.product, "list": rows}

    def _trades(self, request: web.Request) -> dict[str, Any]:
        market = self._market(request)
        spot = market.instrument.settle is None
        recent = list(market.recent)[-self._limit(request, 60 if spot else 500, 60 if spot else 1000) :]
        rows = [
            {
                "execId": frames.trade_id(market, row),
                "symbol": market.instrument.native,
                "price": market.price_text(row.price),
                "size": market.size_text(row.size),
                "side": "Buy" if row.taker_buys else "Sell",
                "time": str(row.ms),
                "isBlockTrade": False,
                "isRPITrade": False,
            }
            for row in reversed(recent)
        ]
        return {"category": market.instrument.product, "list": rows}

    def _tickers(self, request: web.Request) -> dict[str, Any]:
        """Unlike the stream, spot has best prices here."""
        rows = []
        for market in self._chosen(request):
            top, price, size = market.top, market.price_text, market.size_text
            best = {
                "bid1Price": price(top.bid),
                "bid1Size": size(top.bid_size),
                "ask1Price": price(top.ask),
                "ask1Size": size(top.ask_size),
            }
            rows.append({**frames.ticker(market), **best})
        return {"category": self._category(request), "list": rows}


def _integer(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise BybitError(INVALID, f"params error: {name} is invalid")
    return int(text)


def _cursor(request: web.Request) -> int:
    """Where the page begins: the cursor is given back as it was told."""
    text = request.query.get("cursor", "")
    number = text.removeprefix("first%3D").removesuffix("%26")
    if text and not (text.startswith("first%3D") and number.isdigit() and len(number) < 10):
        raise BybitError(INVALID, "params error: cursor is invalid")
    return int(number) if text else 0


def _spot(market: LiveMarket) -> dict[str, Any]:
    i = market.instrument
    return {
        "symbol": i.native,
        "baseCoin": i.base,
        "quoteCoin": i.quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": f"{i.lot:f}",
            "quotePrecision": f"{i.lot * i.tick:f}",
            "minOrderQty": f"{i.min_size:f}",
            "maxOrderQty": "83",
            "minOrderAmt": f"{i.min_notional:f}",
            "maxOrderAmt": "8000000",
        },
        "priceFilter": {"tickSize": f"{i.tick:f}"},
        "riskParameters": {"priceLimitRatioX": "0.005", "priceLimitRatioY": "0.01"},
        "symbolType": "",
    }


def _linear(market: LiveMarket) -> dict[str, Any]:
    i = market.instrument
    tick = market.price_text(1)
    return {
        "symbol": i.native,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": i.base,
        "quoteCoin": i.quote,
        "settleCoin": i.settle,
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": "2",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": tick, "maxPrice": "1999999.80", "tickSize": tick},
        "lotSizeFilter": {
            "maxOrderQty": "1190.000",
            "minOrderQty": f"{i.min_size:f}",
            "qtyStep": f"{i.lot:f}",
            "postOnlyMaxOrderQty": "1190.000",
            "maxMktOrderQty": "500.000",
            "minNotionalValue": f"{i.min_notional:f}",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "copyTrading": "both",
        "upperFundingRate": "0.00375",
        "lowerFundingRate": "-0.00375",
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
        "symbolType": "",
    }
