"""Binance's public REST endpoints, spot (``/api/v3``) and USD-M futures (``/fapi/v1``)."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.binance import frames
from feeds.simulator.binance.info import futures_symbol, spot_symbol
from feeds.simulator.binance.rest import BinanceError, Gate, Handler, Weight, answer, integer
from feeds.simulator.binance.streams import INTERVALS, Product
from feeds.simulator.candles import bucket_end
from feeds.simulator.market import LiveMarket


class PublicEndpoints:
    """Market data of one product."""

    def __init__(self, product: Product, gate: Gate) -> None:
        self.product = product
        self._gate = gate
        self._clock_ms = gate.clock_ms
        self._markets = {market.instrument.native: market for market in product.markets.values()}

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """The public endpoints below ``prefix``."""
        usdm = self.product.name == "usdm"
        base = f"{prefix}/fapi/v1" if usdm else f"{prefix}/api/v3"
        table: list[tuple[str, Weight, Handler]] = [
            ("ping", 1, lambda request: answer({})),
            ("time", 1, lambda request: answer({"serverTime": self._clock_ms()})),
            ("exchangeInfo", 1 if usdm else 20, self._exchange_info),
            ("depth", self._depth_weight, self._depth),
            ("trades", 5 if usdm else 25, self._trades),
            ("aggTrades", 20 if usdm else 4, self._agg_trades),
            ("klines", self._klines_weight, self._klines),
            ("ticker/24hr", self._day_weight, self._day),
            ("ticker/price", 2 if usdm else 4, self._price),
            ("ticker/bookTicker", self._best_weight, self._best),
        ]
        if usdm:
            table.append(("premiumIndex", 1, self._premium))
        return [web.get(f"{base}/{path}", self._gate.wrap(weight, handler)) for path, weight, handler in table]

    # -- parameters ----------------------------------------------------------------------------------------------

    def market_of(self, query: Mapping[str, str]) -> LiveMarket:
        name = query.get("symbol")
        if name is None:
            raise BinanceError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        if name not in self._markets:
            raise BinanceError(-1121, "Invalid symbol.")
        return self._markets[name]

    def _chosen(self, query: Mapping[str, str]) -> list[LiveMarket]:
        """The markets of ``symbol`` or ``symbols``; one unknown name fails the whole call. Neither: all."""
        if "symbol" in query:
            return [self.market_of(query)]
        if "symbols" in query:
            try:
                names = msgspec.json.decode(query["symbols"], type=list[str])
            except msgspec.DecodeError:
                raise BinanceError(-1100, "Illegal characters found in parameter 'symbols'.") from None
            return [self.market_of({"symbol": name}) for name in names]
        return list(self._markets.values())

    def _rows(self, request: web.Request, one: Callable[[LiveMarket], dict[str, Any]]) -> web.Response:
        rows = [one(market) for market in self._chosen(request.query)]
        return answer(rows[0] if "symbol" in request.query else rows)

    # -- weights -------------------------------------------------------------------------------------------------

    def _depth_weight(self, request: web.Request) -> int:
        limit = integer(request.query, "limit", 500 if self.product.name == "usdm" else 100)
        if self.product.name == "usdm":
            return {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}.get(limit, 1)
        return next((cost for most, cost in ((100, 5), (500, 25), (1000, 50)) if limit <= most), 250)

    def _klines_weight(self, request: web.Request) -> int:
        if self.product.name == "spot":
            return 2
        limit = integer(request.query, "limit", 500)
        return next((cost for below, cost in ((100, 1), (500, 2), (1001, 5)) if limit < below), 10)

    def _day_weight(self, request: web.Request) -> int:
        if "symbol" in request.query:
            return 1 if self.product.name == "usdm" else 2
        return 40 if self.product.name == "usdm" else 80

    def _best_weight(self, request: web.Request) -> int:
        single = "symbol" in request.query
        return (2 if single else 5) if self.product.name == "usdm" else (2 if single else 4)

    # -- endpoints -----------------------------------------------------------------------------------------------

    def _exchange_info(self, request: web.Request) -> web.Response:
        describe = futures_symbol if self.product.name == "usdm" else spot_symbol
        orders = ("MINUTE", 1, 1200) if self.product.name == "usdm" else ("DAY", 1, 160000)
        limits = [("REQUEST_WEIGHT", "MINUTE", 1, self._gate.meter.limit)]
        limits += [("ORDERS", "SECOND", 10, 300 if self.product.name == "usdm" else 50), ("ORDERS", *orders)]
        body = {
            "timezone": "UTC",
            "serverTime": self._clock_ms(),
            "rateLimits": [
                {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
                for kind, interval, number, limit in limits
            ],
            "exchangeFilters": [],
            "symbols": [describe(market) for market in self._chosen(request.query)],
        }
        if self.product.name == "usdm":
            body["assets"] = [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}]
        return answer(body)

    def _depth(self, request: web.Request) -> web.Response:
        market = self.market_of(request.query)
        if self.product.name == "usdm":
            limit = integer(request.query, "limit", 500)
            if limit not in (5, 10, 20, 50, 100, 500, 1000):
                raise BinanceError(-4021, f"{limit} is not valid depth limit.")
            return answer(frames.futures_snapshot(market, limit, self._clock_ms()))
        limit = integer(request.query, "limit", 100)
        if limit < 1:
            raise BinanceError(-1130, "Data sent for parameter 'limit' is not valid.")
        return answer(frames.spot_partial(market, min(limit, 5000)))

    def _trades(self, request: web.Request) -> web.Response:
        market = self.market_of(request.query)
        unit = market.instrument.tick * market.instrument.lot
        rows = list(market.recent)[-integer(request.query, "limit", 500) :]
        return answer(
            [
                {
                    "id": row.id,
                    "price": market.price_text(row.price),
                    "qty": market.size_text(row.size),
                    "quoteQty": f"{row.price * row.size * unit:f}",
                    "time": row.ms,
                    "isBuyerMaker": not row.taker_buys,
                    "isBestMatch": True,
                }
                for row in rows
            ]
        )

    def _agg_trades(self, request: web.Request) -> web.Response:
        market = self.market_of(request.query)
        rows = list(self.product.aggregates[market])[-integer(request.query, "limit", 500) :]
        return answer(
            [
                {
                    "a": row.id,
                    "p": market.price_text(row.price),
                    "q": market.size_text(row.size),
                    "f": row.first,
                    "l": row.last,
                    "T": row.ms,
                    "m": not row.taker_buys,
                    "M": True,
                }
                for row in rows
            ]
        )

    def _klines(self, request: web.Request) -> web.Response:
        query = request.query
        market = self.market_of(query)
        interval_ms = INTERVALS.get(query.get("interval", ""))
        if interval_ms is None:
            raise BinanceError(-1120, "Invalid interval.")
        limit = min(integer(query, "limit", 500), 1500 if self.product.name == "usdm" else 1000)
        start_ms, end_ms = integer(query, "startTime", 0), integer(query, "endTime", 1 << 62)
        market.candles.roll(self._clock_ms())
        bars = [bar for bar in market.candles.series(interval_ms) if start_ms <= bar.open_ms <= end_ms]
        bars = bars[:limit] if "startTime" in query else bars[-limit:]
        return answer([frames.kline_row(market, interval_ms, bar) for bar in bars])

    def _day(self, request: web.Request) -> web.Response:
        return self._rows(request, self._day_row)

    def _day_row(self, market: LiveMarket) -> dict[str, Any]:
        market.candles.roll(self._clock_ms())
        day = market.candles.day()
        text, top = frames.day_fields(market, day), market.top
        price, size = market.price_text, market.size_text
        best = {
            "prevClosePrice": text["open"],
            "bidPrice": price(top.bid),
            "bidQty": size(top.bid_size),
            "askPrice": price(top.ask),
            "askQty": size(top.ask_size),
        }
        return {
            "symbol": market.instrument.native,
            "priceChange": text["change"],
            "priceChangePercent": text["percent"],
            "weightedAvgPrice": text["average"],
            **(best if self.product.name == "spot" else {}),
            "lastPrice": text["last"],
            "lastQty": size(market.recent[-1].size) if market.recent else "0",
            "openPrice": text["open"],
            "highPrice": text["high"],
            "lowPrice": text["low"],
            "volume": text["volume"],
            "quoteVolume": text["value"],
            "openTime": day.open_ms,
            "closeTime": bucket_end(60_000, market.candles.minutes[-1].open_ms) - 1,
            "firstId": day.first_id,
            "lastId": day.last_id,
            "count": day.trades,
        }

    def _price(self, request: web.Request) -> web.Response:
        return self._rows(
            request,
            lambda market: {
                "symbol": market.instrument.native,
                "price": market.price_text(market.candles.minutes[-1].close),
            },
        )

    def _best(self, request: web.Request) -> web.Response:
        def row(market: LiveMarket) -> dict[str, Any]:
            top, price, size = market.top, market.price_text, market.size_text
            body: dict[str, Any] = {
                "symbol": market.instrument.native,
                "bidPrice": price(top.bid),
                "bidQty": size(top.bid_size),
                "askPrice": price(top.ask),
                "askQty": size(top.ask_size),
            }
            if self.product.name == "usdm":
                body |= {"time": top.ms, "lastUpdateId": top.update_id}
            return body

        return self._rows(request, row)

    def _premium(self, request: web.Request) -> web.Response:
        def row(market: LiveMarket) -> dict[str, Any]:
            mark, index, rate = market.mark_texts()
            return {
                "symbol": market.instrument.native,
                "markPrice": mark,
                "indexPrice": index,
                "estimatedSettlePrice": index,
                "lastFundingRate": rate,
                "interestRate": "0.00010000",
                "nextFundingTime": market.next_funding_ms(),
                "time": self._clock_ms(),
            }

        return self._rows(request, row)
