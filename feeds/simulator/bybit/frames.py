"""Bybit's v5 payloads as text: amounts are decimal strings. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from feeds.domain import decimals
from feeds.simulator.candles import DAY, MINUTE, MONTH, Bar, bucket_end
from feeds.simulator.market import LiveMarket, Print
from feeds.simulator.matching import Level
from feeds.simulator.orders import OwnFill

PERIODS = {
    **{str(minutes): minutes * MINUTE for minutes in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)},
    **{"D": DAY, "W": 7 * DAY, "M": MONTH},
}
"""Intervals of candles, with their length in ms (0: the calendar month)."""


def encode(body: Any) -> str:
    return msgspec.json.encode(body).decode()


def _levels(market: LiveMarket, rows: Sequence[Level]) -> str:
    price, size = market.price_text, market.size_text
    return "[" + ",".join([f'["{price(p)}","{size(s) if s else "0"}"]' for p, s in rows]) + "]"


def book(
    market: LiveMarket, depth: int, kind: str, bids: Sequence[Level], asks: Sequence[Level], u: int, now_ms: int
) -> str:
    """``kind`` is "snapshot" or "delta"; in a delta size "0" removes the level."""
    i = market.instrument
    return (
        f'{{"topic":"orderbook.{depth}.{i.native}","type":"{kind}","ts":{now_ms},"data":{{"s":"{i.native}",'
        f'"b":{_levels(market, bids)},"a":{_levels(market, asks)},"u":{u},"seq":{market.engine.update_id}}},'
        f'"cts":{min(market.now_ms, now_ms)}}}'
    )


def trades(market: LiveMarket, rows: Sequence[Print], now_ms: int) -> str:
    """Spot's ids are digits, and it tells no tick direction."""
    i, price, size, seq = market.instrument, market.price_text, market.size_text, market.engine.update_id
    body = ",".join(
        f'{{"T":{row.ms},"s":"{i.native}","S":"{"Buy" if row.taker_buys else "Sell"}","v":"{size(row.size)}",'
        f'"p":"{price(row.price)}",{"" if i.settle is None else direction(row)}"i":"{trade_id(market, row)}",'
        f'"BT":false,"RPI":false,"seq":{seq}}}'
        for row in rows
    )
    return f'{{"topic":"publicTrade.{i.native}","type":"snapshot","ts":{now_ms},"data":[{body}]}}'


def direction(row: Print) -> str:
    return f'"L":"{"PlusTick" if row.taker_buys else "MinusTick"}",'


def trade_id(market: LiveMarket, row: Print | OwnFill) -> str:
    """Digits on spot, a UUID on linear."""
    if market.instrument.settle is None:
        return f"229{row.id:016d}"
    low, high, tail = row.id & 0xFFFF_FFFF, row.id >> 32 & 0xFFFF, market.instrument.native.encode()[:6].hex()
    return f"{low:08x}-{high:04x}-5000-8000-{tail:0>12}"


def ticker(market: LiveMarket) -> dict[str, str]:
    """All figures of the ticker stream; spot has neither best prices nor mark."""
    i, day, price, size = market.instrument, market.candles.day(), market.price_text, market.size_text
    common = {
        "symbol": i.native,
        "lastPrice": price(day.close),
        "highPrice24h": price(day.high),
        "lowPrice24h": price(day.low),
        "prevPrice24h": price(day.open),
        "volume24h": size(day.volume),
        "turnover24h": f"{Decimal(day.value) * i.tick * i.lot:.4f}",
        "price24hPcnt": f"{Decimal(day.close - day.open) / day.open:.{6 if i.settle else 4}f}",
    }
    mark, index, rate = market.mark_texts()
    if i.settle is None:
        return {**common, "usdIndexPrice": index}
    places = max(2, i.price_printed or decimals(i.tick))
    top, interest = market.top, Decimal(50_000) * i.lot * 1000
    return {
        **common,
        "tickDirection": "ZeroPlusTick",
        "prevPrice1h": price(market.candles.minutes[-min(60, len(market.candles.minutes))].open),
        "markPrice": f"{Decimal(mark):.{places}f}",
        "indexPrice": f"{Decimal(index):.{places}f}",
        "openInterest": f"{2 * interest:f}",
        "openInterestValue": f"{2 * interest * Decimal(mark):.2f}",
        "singleOpenInterest": f"{interest:f}",
        "singleOpenInterestValue": f"{interest * Decimal(mark):.2f}",
        "fundingIntervalHour": "8",
        "fundingCap": "0.005",
        "nextFundingTime": str(market.next_funding_ms()),
        "fundingRate": rate,
        "bid1Price": price(top.bid),
        "bid1Size": size(top.bid_size),
        "ask1Price": price(top.ask),
        "ask1Size": size(top.ask_size),
        "preOpenPrice": "",
        "preQty": "",
        "curPreListingPhase": "",
    }


def ticker_frame(market: LiveMarket, kind: str, data: dict[str, str], now_ms: int) -> str:
    topic = f"tickers.{market.instrument.native}"
    return encode({"topic": topic, "type": kind, "data": data, "cs": market.engine.update_id, "ts": now_ms})


def kline(market: LiveMarket, period: str, bars: Sequence[tuple[Bar, bool]], now_ms: int) -> str:
    """Bars, each with whether it is over."""
    price, interval_ms = market.price_text, PERIODS[period]
    rows = [
        {
            "start": bar.open_ms,
            "end": bucket_end(interval_ms, bar.open_ms) - 1,
            "interval": period,
            "open": price(bar.open),
            "close": price(bar.close),
            "high": price(bar.high),
            "low": price(bar.low),
            "volume": market.size_text(bar.volume),
            "turnover": turnover(market, bar),
            "confirm": closed,
            "timestamp": min(market.now_ms, now_ms),
        }
        for bar, closed in bars
    ]
    topic = f"kline.{period}.{market.instrument.native}"
    return encode({"topic": topic, "data": rows, "ts": now_ms, "type": "snapshot"})


def turnover(market: LiveMarket, bar: Bar) -> str:
    return f"{Decimal(bar.value) * market.instrument.tick * market.instrument.lot:.8f}"


def maintenance(title: str, now_ms: int) -> list[dict[str, Any]]:
    """What is told of the exchange's status while something is wrong; [] while nothing is."""
    if not title:
        return []
    return [
        {
            "id": "4d95b2a0-587f-11f0-bcc9-56f28c94d6ea",
            "title": title,
            "state": "ongoing",
            "begin": str(now_ms),
            "end": str(now_ms + 3_600_000),
            "href": "",
            "serviceTypes": [1, 2, 3, 4, 5],
            "product": [1, 2],
            "uidSuffix": [],
            "maintainType": 1,
            "env": 1,
        }
    ]


class Window:
    """What every subscriber of one book topic holds: the best ``depth`` levels as last published, and their number.

    A level that leaves the window is removed by a message, as in the recordings of the real one.
    """

    def __init__(self, market: LiveMarket, depth: int, u: int) -> None:
        self.market = market
        self.depth = depth
        self.u = u
        self.sent_s = 0.0
        self._bids = dict(market.engine.bids.top(depth))
        self._asks = dict(market.engine.asks.top(depth))
        self._seen = market.engine.update_id

    def snapshot(self, now_ms: int) -> str:
        bids, asks = list(self._bids.items()), list(self._asks.items())
        return book(self.market, self.depth, "snapshot", bids, asks, self.u, now_ms)

    def advance(self) -> tuple[list[Level], list[Level]] | None:
        """Go on to the present book and the next number: changed bids and asks; None if nothing changed."""
        engine = self.market.engine
        if engine.update_id == self._seen:
            return None
        self._seen = engine.update_id
        bids, asks = dict(engine.bids.top(self.depth)), dict(engine.asks.top(self.depth))
        changes = _difference(self._bids, bids), _difference(self._asks, asks)
        self._bids, self._asks = bids, asks
        if not changes[0] and not changes[1]:
            return None
        self.u += 1
        return changes

    def cross(self) -> Level:
        """A bid beyond the best ask, smuggled into the window (for a fault). The next update takes it back."""
        phantom = min(self._asks) + 5
        self._bids[phantom] = 1
        self._seen = -1
        return phantom, 1


def _difference(old: dict[int, int], new: dict[int, int]) -> list[Level]:
    gone = [(price, 0) for price in old if price not in new]
    return gone + [level for level in new.items() if old.get(level[0]) != level[1]]
