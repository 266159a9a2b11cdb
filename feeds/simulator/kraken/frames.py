"""Kraken's WebSocket v2 payloads as text: numbers are JSON numbers, printed with the instrument's precision. Pure.

The checksum covers the best ten levels of each side. Our ticks and lots are powers of ten, so "printed with all its
digits, without the point and leading zeros" is simply the integer.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zlib import crc32

from feeds.domain import decimals
from feeds.simulator.candles import Bar, bucket_end
from feeds.simulator.market import LiveMarket, Print
from feeds.simulator.matching import Level


def stamp(ms: int, *, nanoseconds: bool = False) -> str:
    """RFC 3339 with microseconds (or nanoseconds), UTC."""
    text = datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return f"{text}000Z" if nanoseconds else f"{text}Z"


def checksum(bids: list[Level], asks: list[Level]) -> int:
    """CRC32 over the best ten levels, asks first; the lists are best first."""
    parts = [f"{price}{size}" for price, size in asks[:10]] + [f"{price}{size}" for price, size in bids[:10]]
    return crc32("".join(parts).encode())


def _levels(market: LiveMarket, rows: list[Level]) -> str:
    price, size = market.price_text, market.size_text
    return "[" + ",".join([f'{{"price":{price(p)},"qty":{size(s)}}}' for p, s in rows]) + "]"


def book(market: LiveMarket, kind: str, bids: list[Level], asks: list[Level], check: int, now_ms: int) -> str:
    """``kind`` is "snapshot" or "update"; in an update size 0 removes the level."""
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{market.instrument.native}",'
        f'"bids":{_levels(market, bids)},"asks":{_levels(market, asks)},"checksum":{check},'
        f'"timestamp":"{stamp(now_ms)}"}}]}}'
    )


def trades(market: LiveMarket, kind: str, rows: list[Print]) -> str:
    price, size, native = market.price_text, market.size_text, market.instrument.native
    body = ",".join(
        f'{{"symbol":"{native}","side":"{"buy" if row.taker_buys else "sell"}","price":{price(row.price)},'
        f'"qty":{size(row.size)},"ord_type":"{"market" if row.market else "limit"}","trade_id":{row.id},'
        f'"timestamp":"{stamp(row.ms)}"}}'
        for row in rows
    )
    return f'{{"channel":"trade","type":"{kind}","data":[{body}]}}'


def average(market: LiveMarket, value: int, volume: int, otherwise: int) -> str:
    """A volume-weighted average price as text, ``otherwise`` (ticks) if nothing was traded."""
    tick = market.instrument.tick
    return f"{(Decimal(value) / volume if volume else Decimal(otherwise)) * tick:.{decimals(tick) + 1}f}"


def ticker(market: LiveMarket, kind: str, now_ms: int) -> str:
    day, top, price, size = market.candles.day(), market.top, market.price_text, market.size_text
    change = Decimal(day.close - day.open) * market.instrument.tick
    return (
        f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{market.instrument.native}",'
        f'"bid":{price(top.bid)},"bid_qty":{size(top.bid_size)},"ask":{price(top.ask)},"ask_qty":{size(top.ask_size)},'
        f'"last":{price(day.close)},"volume":{size(day.volume)},'
        f'"vwap":{average(market, day.value, day.volume, day.close)},"low":{price(day.low)},"high":{price(day.high)},'
        f'"change":{change:f},"change_pct":{100 * Decimal(day.close - day.open) / day.open:.2f},'
        f'"timestamp":"{stamp(now_ms)}"}}]}}'
    )


def ohlc(market: LiveMarket, kind: str, minutes: int, bars: list[Bar], now_ms: int) -> str:
    price, size, native = market.price_text, market.size_text, market.instrument.native
    rows = ",".join(
        f'{{"symbol":"{native}","open":{price(bar.open)},"high":{price(bar.high)},"low":{price(bar.low)},'
        f'"close":{price(bar.close)},"trades":{bar.trades},"volume":{size(bar.volume)},'
        f'"vwap":{average(market, bar.value, bar.volume, bar.close)},'
        f'"interval_begin":"{stamp(bar.open_ms, nanoseconds=True)}","interval":{minutes},'
        f'"timestamp":"{stamp(bucket_end(minutes * 60_000, bar.open_ms))}"}}'
        for bar in bars
    )
    end = stamp(now_ms, nanoseconds=True)
    return f'{{"channel":"ohlc","type":"{kind}","timestamp":"{end}","data":[{rows}]}}'


def instrument(markets: list[LiveMarket]) -> str:
    """The snapshot of the instrument channel."""
    names = dict.fromkeys(name for market in markets for name in (market.instrument.base, market.instrument.quote))
    assets = ",".join(
        f'{{"id":"{name}","status":"enabled","precision":{4 if name == "USD" else 10},'
        f'"precision_display":{2 if name == "USD" else 5},"borrowable":true,"collateral_value":1.0,"margin_rate":0.02}}'
        for name in names
    )
    pairs = ",".join(_pair(market) for market in markets)
    return f'{{"channel":"instrument","type":"snapshot","data":{{"assets":[{assets}],"pairs":[{pairs}]}}}}'


def _pair(market: LiveMarket) -> str:
    i = market.instrument
    tick, lot = f"{i.tick:f}", f"{float(i.lot):g}"
    return (
        f'{{"symbol":"{i.native}","base":"{i.base}","quote":"{i.quote}","status":"online",'
        f'"qty_precision":{decimals(i.lot)},"qty_increment":{lot},"price_precision":{decimals(i.tick)},'
        f'"price_increment":{tick},"cost_precision":5,"cost_min":{i.min_notional:f},"qty_min":{i.min_size:f},'
        f'"tick_size":{tick},"marginable":true,"margin_initial":0.2,"position_limit_long":300,'
        f'"position_limit_short":240,"has_index":true}}'
    )


def status(system: str, connection: int) -> str:
    return (
        f'{{"channel":"status","type":"update","data":[{{"version":"2.0.10","system":"{system}",'
        f'"api_version":"v2","connection_id":{connection}}}]}}'
    )


HEARTBEAT = '{"channel":"heartbeat"}'


class Window:
    """What every subscriber of one book depth holds: the best ``depth`` levels as last published.

    A level that others push out of the window is not removed by a message (subscribers truncate); it is sent again
    when it comes back.
    """

    def __init__(self, market: LiveMarket, depth: int) -> None:
        self.market = market
        self.depth = depth
        self._bids = dict(market.engine.bids.top(depth))
        self._asks = dict(market.engine.asks.top(depth))
        self._seen = market.engine.update_id

    def snapshot(self, now_ms: int) -> str:
        bids, asks = list(self._bids.items()), list(self._asks.items())
        return book(self.market, "snapshot", bids, asks, checksum(bids, asks), now_ms)

    def advance(self) -> tuple[list[Level], list[Level], int] | None:
        """Go on to the present book: changed bids, changed asks, checksum after them; None if nothing changed."""
        engine = self.market.engine
        if engine.update_id == self._seen:
            return None
        self._seen = engine.update_id
        bids, asks = engine.bids.top(self.depth), engine.asks.top(self.depth)
        changed_bids = self._difference(self._bids, bids, engine.bids.totals)
        changed_asks = self._difference(self._asks, asks, engine.asks.totals)
        self._bids, self._asks = dict(bids), dict(asks)
        if not changed_bids and not changed_asks:
            return None
        return changed_bids, changed_asks, checksum(bids, asks)

    def cross(self, bids: list[Level], asks: list[Level]) -> tuple[list[Level], int]:
        """A bid beyond the best ask, smuggled into the window (for a fault): the bids to send, and their checksum.

        The next update takes it back, as the real book does not have it.
        """
        phantom = min(self._asks) + 5
        self._bids = dict([(phantom, 1), *self._bids.items()][: self.depth])
        self._seen = -1
        return [(phantom, 1), *bids], checksum(list(self._bids.items()), list(self._asks.items()))

    @staticmethod
    def _difference(old: dict[int, int], new: list[Level], totals: dict[int, int]) -> list[Level]:
        gone = [(price, 0) for price in old if price not in totals]
        return gone + [level for level in new if old.get(level[0]) != level[1]]


def rejection(method: str, error: str, symbol: Any, req_id: Any, now_ms: int) -> dict[str, Any]:
    """The answer to a request that cannot be carried out."""
    body: dict[str, Any] = {"error": error, "method": method, "success": False}
    if symbol is not None:
        body["symbol"] = symbol
    body |= {"time_in": stamp(now_ms), "time_out": stamp(now_ms)}
    if req_id is not None:
        body["req_id"] = req_id
    return body
