"""Alpaca's payloads as text: prices and sizes are JSON numbers, times RFC 3339 with nanoseconds. Pure."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from feeds.simulator.alpaca.listing import CRYPTO, ROUND_LOT
from feeds.simulator.candles import Bar
from feeds.simulator.instruments import Instrument
from feeds.simulator.market import LiveMarket, Print

CHANNELS = {
    CRYPTO: ("trades", "quotes", "orderbooks", "bars", "updatedBars", "dailyBars"),
    "stocks": ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds"),
}
CONNECTED, AUTHENTICATED = '[{"T":"success","msg":"connected"}]', '[{"T":"success","msg":"authenticated"}]'
ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    409: "insufficient subscription",
    500: "internal error",
}


def error(code: int) -> str:
    return f'[{{"T":"error","code":{code},"msg":"{ERRORS[code]}"}}]'


def stamp(ms: int) -> str:
    """RFC 3339 with nanoseconds, UTC."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{ms % 1000:03d}000000Z"


def minute(ms: int) -> str:
    """RFC 3339 in whole seconds, UTC."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_stock(i: Instrument) -> bool:
    return i.product != CRYPTO


class Ladder:
    """A market's book as it is published. ``time_ms`` rises with every state, so that it names it."""

    def __init__(self, market: LiveMarket, now_ms: int) -> None:
        self.market = market
        self.time_ms = now_ms
        engine = market.engine
        engine.drain()
        self.sides: dict[bool, dict[int, int]] = {True: dict(engine.bids.totals), False: dict(engine.asks.totals)}
        self._smuggled: set[tuple[bool, int]] = set()

    def advance(self, now_ms: int) -> list[tuple[bool, int, int]]:
        """Go on to the engine's present book: (is it a bid, price, size), 0 for a level that is gone."""
        engine = self.market.engine
        changes = engine.drain()
        rows = [
            (buy, price, (engine.bids if buy else engine.asks).totals.get(price, 0)) for buy, price in self._smuggled
        ]
        self._smuggled.clear()
        if changes is not None:
            rows += [(True, price, size) for price, size in changes.bids]
            rows += [(False, price, size) for price, size in changes.asks]
        rows = [row for row in rows if self.sides[row[0]].get(row[1], 0) != row[2]]
        self._take(rows, now_ms)
        return rows

    def cross(self, now_ms: int) -> list[tuple[bool, int, int]]:
        """A bid beyond the best ask (for a fault). The next state takes it back."""
        row = (True, min(self.sides[False], default=1) + 5, 1)
        self._smuggled.add(row[:2])
        self._take([row], now_ms)
        return [row]

    def _take(self, rows: list[tuple[bool, int, int]], now_ms: int) -> None:
        if rows:
            self.time_ms = max(now_ms, self.time_ms + 1)
        for buy, price, size in rows:
            if size:
                self.sides[buy][price] = size
            else:
                self.sides[buy].pop(price, None)


def _levels(market: LiveMarket, rows: list[tuple[int, int]]) -> str:
    price, size = market.price_text, market.size_text
    return "[" + ",".join([f'{{"p":{price(p)},"s":{size(s)}}}' for p, s in rows]) + "]"


def book_rest(ladder: Ladder) -> str:
    bids, asks = (sorted(ladder.sides[buy].items(), reverse=buy) for buy in (True, False))
    m = ladder.market
    return f'{{"a":{_levels(m, asks)},"b":{_levels(m, bids)},"t":"{stamp(ladder.time_ms)}"}}'


def book_snapshot(ladder: Ladder) -> str:
    return f'{{"T":"o","S":"{ladder.market.instrument.native}","r":true,{book_rest(ladder)[1:]}'


def book_changes(ladder: Ladder, rows: list[tuple[bool, int, int]]) -> str:
    bids, asks = ([(p, s) for buy, p, s in rows if buy is side] for side in (True, False))
    m = ladder.market
    return (
        f'{{"T":"o","S":"{m.instrument.native}","t":"{stamp(ladder.time_ms)}","b":{_levels(m, bids)},'
        f'"a":{_levels(m, asks)}}}'
    )


def quote_rest(market: LiveMarket) -> str:
    top, price = market.top, market.price_text
    if is_stock(market.instrument):
        bid, ask = (str(-(-size // ROUND_LOT)) for size in (top.bid_size, top.ask_size))
        more = ',"bx":"V","ax":"V","c":["R"],"z":"C"'
    else:
        bid, ask, more = market.size_text(top.bid_size), market.size_text(top.ask_size), ""
    return f'{{"bp":{price(top.bid)},"bs":{bid},"ap":{price(top.ask)},"as":{ask},"t":"{stamp(top.ms)}"{more}}}'


def quote(market: LiveMarket) -> str:
    return f'{{"T":"q","S":"{market.instrument.native}",{quote_rest(market)[1:]}'


def trade_rest(market: LiveMarket, row: Print) -> str:
    price, size = market.price_text(row.price), market.size_text(row.size)
    more = ',"x":"V","c":["@"],"z":"C"' if is_stock(market.instrument) else f',"tks":"{"B" if row.taker_buys else "S"}"'
    return f'{{"p":{price},"s":{size},"t":"{stamp(row.ms)}","i":{row.id}{more}}}'


def trade(market: LiveMarket, row: Print) -> str:
    return f'{{"T":"t","S":"{market.instrument.native}",{trade_rest(market, row)[1:]}'


def bar_rest(market: LiveMarket, bar: Bar) -> str:
    price = market.price_text
    mean = Decimal(bar.value) / bar.volume * market.instrument.tick if bar.volume else Decimal(0)
    return (
        f'{{"o":{price(bar.open)},"h":{price(bar.high)},"l":{price(bar.low)},"c":{price(bar.close)},'
        f'"v":{market.size_text(bar.volume)},"t":"{minute(bar.open_ms)}","n":{bar.trades},"vw":{mean:.6f}}}'
    )


def bar(kind: str, market: LiveMarket, row: Bar) -> str:
    """``kind``: "b" a minute, "u" the same once more, "d" the running day."""
    return f'{{"T":"{kind}","S":"{market.instrument.native}",{bar_rest(market, row)[1:]}'


def asset(i: Instrument) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": str(uuid5(NAMESPACE_URL, f"{i.product}/{i.native}")),
        "class": "us_equity" if is_stock(i) else "crypto",
        "exchange": "ARCA" if is_stock(i) else "CRYPTO",
        "symbol": i.native,
        "name": f"{i.base} / US Dollar",
        "status": "active",
        "tradable": True,
        "marginable": is_stock(i),
        "maintenance_margin_requirement": 100,
        "shortable": False,
        "easy_to_borrow": False,
        "fractionable": True,
        "attributes": [],
    }
    if not is_stock(i):
        entry |= {"min_order_size": f"{i.min_size:f}", "min_trade_increment": f"{i.lot:f}"}
        entry["price_increment"] = f"{i.tick:f}"
    return entry
