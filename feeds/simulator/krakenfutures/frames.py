"""Kraken Futures' payloads as text: numbers are JSON numbers, printed with the instrument's precision. Pure."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from feeds.simulator.instruments import Instrument
from feeds.simulator.market import LiveMarket, Print

HOUR_MS = 3_600_000
INFO = '{"event":"info","version":1}'


def stamp(ms: int) -> str:
    """ISO 8601 with milliseconds, UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Change(NamedTuple):
    """One level of a book, and the number of the state that it leads to."""

    seq: int
    buy: bool
    price: int
    size: int


class Ladder:
    """A market's book as it is published: level by level, each change with the next number.

    Of what happened since the last look, levels that went are told first. So the book that a client builds is never
    crossed on the way: every price in it is one that the engine's book has, too.
    """

    def __init__(self, market: LiveMarket, seq: int) -> None:
        self.market = market
        self.seq = seq
        engine = market.engine
        engine.drain()
        self.sides: dict[bool, dict[int, int]] = {True: dict(engine.bids.totals), False: dict(engine.asks.totals)}
        self._smuggled: list[tuple[bool, int]] = []

    def advance(self) -> list[Change]:
        """Go on to the engine's present book."""
        engine = self.market.engine
        changes = engine.drain()
        rows = [(buy, price, self._true(buy, price)) for buy, price in self._smuggled]
        self._smuggled.clear()
        if changes is not None:
            rows += [(True, price, size) for price, size in changes.bids]
            rows += [(False, price, size) for price, size in changes.asks]
        rows.sort(key=lambda row: row[2] != 0)
        return [self._set(*row) for row in rows if self.sides[row[0]].get(row[1], 0) != row[2]]

    def cross(self) -> Change:
        """A bid beyond the best ask (for a fault). The next look takes it back."""
        price = min(self.sides[False], default=1) + 5
        self._smuggled.append((True, price))
        return self._set(True, price, 1)

    def _true(self, buy: bool, price: int) -> int:
        engine = self.market.engine
        return (engine.bids if buy else engine.asks).totals.get(price, 0)

    def _set(self, buy: bool, price: int, size: int) -> Change:
        self.seq += 1
        if size:
            self.sides[buy][price] = size
        else:
            self.sides[buy].pop(price, None)
        return Change(self.seq, buy, price, size)


def book_snapshot(ladder: Ladder, now_ms: int) -> str:
    price, size, native = ladder.market.price_text, ladder.market.size_text, ladder.market.instrument.native

    def side(buy: bool) -> str:
        levels = sorted(ladder.sides[buy].items(), reverse=buy)
        return ",".join([f'{{"price":{price(p)},"qty":{size(s)}}}' for p, s in levels])

    return (
        f'{{"feed":"book_snapshot","product_id":"{native}","timestamp":{now_ms},"seq":{ladder.seq},"tickSize":null,'
        f'"bids":[{side(True)}],"asks":[{side(False)}]}}'
    )


def book(market: LiveMarket, change: Change, now_ms: int) -> str:
    return (
        f'{{"feed":"book","product_id":"{market.instrument.native}","side":"{"buy" if change.buy else "sell"}",'
        f'"seq":{change.seq},"price":{market.price_text(change.price)},"qty":{market.size_text(change.size)},'
        f'"timestamp":{now_ms}}}'
    )


def trade(market: LiveMarket, row: Print) -> str:
    return (
        f'{{"feed":"trade","product_id":"{market.instrument.native}","uid":"{UUID(int=row.id)}",'
        f'"side":"{"buy" if row.taker_buys else "sell"}","type":"fill","seq":{row.id},"time":{row.ms},'
        f'"qty":{market.size_text(row.size)},"price":{market.price_text(row.price)}}}'
    )


def trade_snapshot(market: LiveMarket) -> str:
    """The last hundred, newest first."""
    rows = ",".join(trade(market, row) for row in reversed(list(market.recent)[-100:]))
    return f'{{"feed":"trade_snapshot","product_id":"{market.instrument.native}","trades":[{rows}]}}'


def day(market: LiveMarket) -> dict[str, str]:
    """The figures of 24 h and of the moment, as texts; what is zero or not there is left out."""
    i, top, price, size = market.instrument, market.top, market.price_text, market.size_text
    figures = market.candles.day()
    mark, index, rate = market.mark_texts()
    texts = {"markPrice": mark, "index": index, "last": price(figures.close), "open": price(figures.open)}
    texts |= {"high": price(figures.high), "low": price(figures.low), "volume": size(figures.volume)}
    texts["volumeQuote"] = f"{Decimal(figures.value) * i.tick * i.lot:.4f}"
    texts["change"] = f"{100 * Decimal(figures.close - figures.open) / figures.open:.2f}"
    if top.bid:
        texts |= {"bid": price(top.bid), "bid_size": size(top.bid_size)}
    if top.ask:
        texts |= {"ask": price(top.ask), "ask_size": size(top.ask_size)}
    if i.expiry is None:
        hourly = Decimal(rate) / 8
        texts["relative_funding_rate"] = f"{hourly:.15f}"
        texts["funding_rate"] = f"{hourly * Decimal(mark):.15f}"
    return texts


def pair(i: Instrument) -> str:
    return f"{'XBT' if i.base == 'BTC' else i.base}:{i.quote}"


def ticker(market: LiveMarket, now_ms: int, *, suspended: bool, post_only: bool) -> str:
    i = market.instrument
    texts = day(market)
    if i.expiry is None:
        texts["next_funding_rate_time"] = str((now_ms // HOUR_MS + 1) * HOUR_MS)
    fields = ",".join(f'"{name}":{text}' for name, text in texts.items())
    return (
        f'{{"time":{now_ms},"product_id":"{i.native}","feed":"ticker",{fields},"premium":0.0,"leverage":"50x","dtm":0,'
        f'"openInterest":1000,"maturityTime":0,"suspended":{str(suspended).lower()},'
        f'"post_only":{str(post_only).lower()},"tag":"{"perpetual" if i.expiry is None else "quarter"}",'
        f'"pair":"{pair(i)}"}}'
    )


def heartbeat(now_ms: int) -> str:
    return f'{{"feed":"heartbeat","time":{now_ms}}}'


def instrument(i: Instrument) -> dict[str, Any]:
    """An entry of the instrument list; prices and sizes as numbers."""
    exponent = i.lot.normalize().as_tuple().exponent
    entry: dict[str, Any] = {
        "symbol": i.native,
        "type": "flexible_futures",
        "tickSize": float(i.tick),
        "contractSize": 1,
        "tradeable": True,
        "impactMidSize": 1.0,
        "maxPositionSize": 1_000_000.0,
        "openingDate": "2022-03-22T13:18:45Z",
        "marginLevels": [{"numNonContractUnits": 0.0, "initialMargin": 0.02, "maintenanceMargin": 0.01}],
        "fundingRateCoefficient": 24,
        "maxRelativeFundingRate": 0.0025,
        "contractValueTradePrecision": -exponent if isinstance(exponent, int) else 0,
        "postOnly": False,
        "base": i.base,
        "quote": i.quote,
        "pair": f"{i.base}:{i.quote}",
    }
    if i.expiry is not None:
        entry["lastTradingTime"] = f"20{i.expiry[:2]}-{i.expiry[2:4]}-{i.expiry[4:]}T15:00:00.000Z"
    return entry


OTHERS: list[dict[str, Any]] = [
    {
        "symbol": "PI_XBTUSD",
        "type": "futures_inverse",
        "underlying": "rr_xbtusd",
        "tickSize": 0.5,
        "contractSize": 1,
        "tradeable": False,
        "impactMidSize": 1000.0,
        "maxPositionSize": 75_000_000.0,
        "openingDate": "2018-08-31T00:00:00Z",
        "contractValueTradePrecision": 0,
        "postOnly": False,
        "base": "BTC",
        "quote": "USD",
        "pair": "BTC:USD",
    },
    {"symbol": "in_xbtusd", "type": "spot index", "tradeable": False},
]
"""Listed, and not traded here: an inverse contract and an index."""
