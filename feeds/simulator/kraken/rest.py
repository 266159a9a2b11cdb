"""Kraken's public REST (``/0/public``). Answers are ``{"error": [...], "result": {...}}`` with HTTP 200 throughout."""

from collections.abc import Callable
from decimal import Decimal
from email.utils import formatdate
from typing import Any

import msgspec
from aiohttp import web

from feeds.domain import decimals
from feeds.simulator.faults import Fault, Faults
from feeds.simulator.kraken.frames import average, stamp
from feeds.simulator.kraken.sockets import INTERVALS, KrakenSockets
from feeds.simulator.market import LiveMarket

# plain name: (REST asset code, altname)
ASSETS = {
    "BTC": ("XXBT", "XBT"),
    "ETH": ("XETH", "ETH"),
    "SOL": ("SOL", "SOL"),
    "XRP": ("XXRP", "XRP"),
    "DOGE": ("XXDG", "XDG"),
    "ADA": ("ADA", "ADA"),
    "LINK": ("LINK", "LINK"),
    "AVAX": ("AVAX", "AVAX"),
    "LTC": ("XLTC", "LTC"),
    "DOT": ("DOT", "DOT"),
    "USD": ("ZUSD", "USD"),
    "USDT": ("USDT", "USDT"),
}
_OLD = frozenset({"BTC", "ETH", "XRP", "LTC"})  # these keep their four-letter codes in pairs with USD


class KrakenRestError(Exception):
    """Answered in ``error``."""


def names_of(market: LiveMarket) -> tuple[str, str, str]:
    """Result key, altname and wsname of a pair."""
    base, quote = market.instrument.base, market.instrument.quote
    altname = ASSETS[base][1] + ASSETS[quote][1]
    key = ASSETS[base][0] + ASSETS[quote][0] if quote == "USD" and base in _OLD else altname
    return key, altname, f"{ASSETS[base][1]}/{ASSETS[quote][1]}"


class KrakenRest:
    def __init__(self, sockets: KrakenSockets, faults: Faults, clock_ms: Callable[[], int]) -> None:
        self._sockets = sockets
        self._faults = faults
        self._clock_ms = clock_ms
        self._by_name = {
            name: market
            for market in sockets.markets.values()
            for name in (*names_of(market), market.instrument.native)
        }

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """The public endpoints below ``prefix``."""
        table: dict[str, Callable[[web.Request], Any]] = {
            "Time": lambda request: {
                "unixtime": self._clock_ms() // 1000,
                "rfc1123": formatdate(self._clock_ms() / 1000),
            },
            "SystemStatus": lambda request: {
                "status": self._sockets.system,
                "timestamp": self.stamp(self._clock_ms()),
            },
            "Assets": self._assets,
            "AssetPairs": lambda request: {names_of(m)[0]: _pair(m) for m in self._chosen(request)},
            "Ticker": lambda request: {names_of(m)[0]: _ticker(m) for m in self._chosen(request)},
            "Depth": self._depth,
            "OHLC": self._ohlc,
            "Trades": self._trades,
        }
        return [web.get(f"{prefix}/0/public/{name}", self._wrap(handler)) for name, handler in table.items()]

    def _wrap(self, handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            fault = self._faults.strike("kraken", "status")
            if fault is not None:
                return broken(fault)
            try:
                return answer({"error": [], "result": handler(request)})
            except KrakenRestError as error:
                return answer({"error": [str(error)]})

        return handle

    @staticmethod
    def stamp(ms: int) -> str:
        """A time in whole seconds."""
        return stamp(ms)[:19] + "Z"

    # -- parameters ----------------------------------------------------------------------------------------------

    def _chosen(self, request: web.Request) -> list[LiveMarket]:
        if "pair" not in request.query:
            return list(self._sockets.markets.values())
        return [self.market(name) for name in request.query["pair"].split(",")]

    def market(self, name: str) -> LiveMarket:
        if name not in self._by_name:
            raise KrakenRestError("EQuery:Unknown asset pair")
        return self._by_name[name]

    def _one(self, request: web.Request) -> LiveMarket:
        return self.market(request.query.get("pair", ""))

    # -- endpoints -----------------------------------------------------------------------------------------------

    def _assets(self, request: web.Request) -> dict[str, Any]:
        used = {n for m in self._sockets.markets.values() for n in (m.instrument.base, m.instrument.quote)}
        return {
            code: {
                "aclass": "currency",
                "altname": altname,
                "decimals": 4 if name == "USD" else 10,
                "display_decimals": 2 if name == "USD" else 5,
                "status": "enabled",
            }
            for name, (code, altname) in ASSETS.items()
            if name in used
        }

    def _depth(self, request: web.Request) -> dict[str, Any]:
        market, n = self._one(request), min(500, _integer(request, "count", 100))
        second = market.now_ms // 1000
        price, size = market.price_text, market.size_text
        sides = {"asks": market.engine.asks.top(n), "bids": market.engine.bids.top(n)}
        rows = {name: [[price(p), size(s), second] for p, s in levels] for name, levels in sides.items()}
        return {names_of(market)[0]: rows}

    def _ohlc(self, request: web.Request) -> dict[str, Any]:
        market, minutes = self._one(request), _integer(request, "interval", 1)
        if minutes not in INTERVALS:
            raise KrakenRestError("EGeneral:Invalid arguments")
        market.candles.series(minutes * 60_000)
        market.candles.roll(self._clock_ms())
        bars = market.candles.since(minutes * 60_000, _integer(request, "since", 0) * 1000)[-720:]
        price = market.price_text
        rows = [
            [
                bar.open_ms // 1000,
                *(price(value) for value in (bar.open, bar.high, bar.low, bar.close)),
                average(market, bar.value, bar.volume, bar.close),
                market.size_text(bar.volume),
                bar.trades,
            ]
            for bar in bars
        ]
        last = bars[-2].open_ms // 1000 if len(bars) > 1 else 0
        return {names_of(market)[0]: rows, "last": last}

    def _trades(self, request: web.Request) -> dict[str, Any]:
        market = self._one(request)
        rows = [
            [
                market.price_text(row.price),
                market.size_text(row.size),
                row.ms / 1000,
                "b" if row.taker_buys else "s",
                "m" if row.market else "l",
                "",
                row.id,
            ]
            for row in list(market.recent)[-_integer(request, "count", 1000) :]
        ]
        return {names_of(market)[0]: rows, "last": str(market.now_ms * 1_000_000)}


def broken(fault: Fault) -> web.Response:
    """What the fault "status" answers."""
    code = int(fault.number(503))
    if code == 429:  # errors come with HTTP 200, and nothing tells how long to wait
        return answer({"error": ["EAPI:Rate limit exceeded"]})
    return answer({}, code)


def answer(body: dict[str, Any], code: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=code, content_type="application/json", headers=headers or {}
    )


def _integer(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise KrakenRestError("EGeneral:Invalid arguments")
    return int(text)


def _pair(market: LiveMarket) -> dict[str, Any]:
    """An entry of AssetPairs."""
    i = market.instrument
    _, altname, wsname = names_of(market)
    return {
        "altname": altname,
        "wsname": wsname,
        "aclass_base": "currency",
        "base": ASSETS[i.base][0],
        "aclass_quote": "currency",
        "quote": ASSETS[i.quote][0],
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": decimals(i.tick),
        "lot_decimals": decimals(i.lot),
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4], [10000, 0.35]],
        "fees_maker": [[0, 0.25], [10000, 0.2]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": f"{i.min_size:f}",
        "costmin": f"{i.min_notional:f}",
        "tick_size": f"{i.tick:f}",
        "status": "online",
    }


def _ticker(market: LiveMarket) -> dict[str, Any]:
    """An entry of Ticker: arrays of [today, last 24 hours], both the rolling day here."""
    day, top, price, size = market.candles.day(), market.top, market.price_text, market.size_text
    lots = [f"{Decimal(quantity) * market.instrument.lot:.3f}" for quantity in (top.ask_size, top.bid_size)]
    vwap = average(market, day.value, day.volume, day.close)
    return {
        "a": [price(top.ask), "1", lots[0]],
        "b": [price(top.bid), "1", lots[1]],
        "c": [price(day.close), size(market.recent[-1].size) if market.recent else "0"],
        "v": [size(day.volume), size(day.volume)],
        "p": [vwap, vwap],
        "t": [day.trades, day.trades],
        "l": [price(day.low), price(day.low)],
        "h": [price(day.high), price(day.high)],
        "o": price(day.open),
    }
