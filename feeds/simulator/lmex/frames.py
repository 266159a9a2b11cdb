"""LMEX's payloads as text, and the sequence of a book. Pure.

Books print decimal text, trades JSON numbers. Sizes of futures are whole contracts, which are our lots.
"""

from collections.abc import Iterable

import msgspec

from feeds.simulator.instruments import Instrument, fixed
from feeds.simulator.lmex.listing import old_name
from feeds.simulator.market import LiveMarket, Print
from feeds.simulator.matching import Level

SNAPSHOT_LEVELS = 50
_PHANTOM_TICKS = 5

MARKET_UNKNOWN = (1000, "Market pair provided is currently not supported.")
OPERATION_UNKNOWN = (1001, "Operation provided is currently not supported")
REQUEST_INVALID = (1002, "Invalid request.")
TOPIC_UNKNOWN = (1005, "Topic provided does not exist.")


class Printer:
    """Prices and sizes of one market as text."""

    def __init__(self, instrument: Instrument) -> None:
        self.price = fixed(instrument.tick)
        self.size = fixed(instrument.lot) if instrument.product == "spot" else str

    def levels(self, rows: Iterable[Level]) -> str:
        price, size = self.price, self.size
        return "[" + ",".join([f'["{price(p)}","{size(s) if s else 0}"]' for p, s in rows]) + "]"


class BookStream:
    """The changes of one market's book and their numbers, the same for everybody who follows it.

    ``seq`` is the number of the last published state, which is the engine's at that moment.
    """

    def __init__(self, market: LiveMarket, printer: Printer, seq: int) -> None:
        self.market = market
        self.seq = seq
        self._state = market.engine.update_id
        self._printer = printer
        self._phantom: int | None = None
        market.engine.drain()

    @property
    def behind(self) -> bool:
        """Something waits to be published."""
        return self._state != self.market.engine.update_id or self._phantom is not None

    def snapshot(self, now_ms: int) -> str:
        """The published state; only right when nothing waits to be published. Asks from high to low, as documented."""
        engine = self.market.engine
        bids, asks = engine.bids.top(SNAPSHOT_LEVELS), engine.asks.top(SNAPSHOT_LEVELS)
        return self._frame("snapshot", bids, asks[::-1], now_ms, suffix="_0")

    def advance(self, now_ms: int, *, crossed: bool = False, wrong: bool = False) -> str:
        """Go on to the present book, by one number. A fault's bid beyond the best ask goes with the next."""
        changes, self._state = self.market.engine.drain(), self.market.engine.update_id
        bids, asks = (list(changes.bids), list(changes.asks)) if changes else ([], [])
        if self._phantom is not None:
            bids.append((self._phantom, self.market.engine.bids.totals.get(self._phantom, 0)))
            self._phantom = None
        best_ask = self.market.engine.asks.best()
        if crossed and best_ask is not None:
            self._phantom = best_ask + _PHANTOM_TICKS
            bids.append((self._phantom, 1))
        if wrong:
            price, size = self.market.engine.bids.top(8)[-1]
            bids = [level for level in bids if level[0] != price] + [(price, size + 3)]
        self.seq += 1
        return self._frame("delta", bids, asks, now_ms, suffix="")

    def _frame(self, kind: str, bids: list[Level], asks: list[Level], now_ms: int, *, suffix: str) -> str:
        native, levels = self.market.instrument.native, self._printer.levels
        return (
            f'{{"topic":"update:{native}{suffix}","data":{{"bids":{levels(bids)},"asks":{levels(asks)},'
            f'"seqNum":{self.seq},"prevSeqNum":{self.seq - 1},"type":"{kind}","timestamp":{now_ms},'
            f'"symbol":"{native}"}}}}'
        )


def best(topic: str, market: LiveMarket, printer: Printer, now_ms: int) -> str:
    top = market.top
    bids = [(top.bid, top.bid_size)] if top.bid_size else []
    asks = [(top.ask, top.ask_size)] if top.ask_size else []
    return (
        f'{{"topic":"{topic}","data":{{"bids":{printer.levels(bids)},"asks":{printer.levels(asks)},'
        f'"type":"snapshotL1","symbol":"{market.instrument.native}","timestamp":{now_ms}}}}}'
    )


def trades(topic: str, market: LiveMarket, printer: Printer, rows: Iterable[Print]) -> str:
    """Newest first. The topic without a number says the old name, and not which market it is of."""
    kind, _, native = topic.partition(":")
    if kind == "tradeHistoryApi" and market.instrument.product == "futures":
        topic, native = kind, old_name(market.instrument)
    price, size = printer.price, printer.size
    body = ",".join(
        [
            f'{{"price":{price(row.price)},"size":{size(row.size)},"side":"{"BUY" if row.taker_buys else "SELL"}",'
            f'"symbol":"{native}","tradeId":{row.id},"timestamp":{row.ms}}}'
            for row in reversed(list(rows))
        ]
    )
    return f'{{"topic":"{topic}","data":[{body}]}}'


def acknowledgement(op: str, topics: list[str]) -> str:
    return msgspec.json.encode({"event": op, "channel": topics}).decode()


def errors(rows: Iterable[tuple[str | None, tuple[int, str]]]) -> str:
    """``rows``: the topic, if it is about one, with code and text."""
    body = []
    for topic, (code, text) in rows:
        named = {} if topic is None else {"arg": topic}
        body.append({**named, "error": {"code": code, "message": text}})
    return msgspec.json.encode({"severity": "ERROR", "errors": body}).decode()
