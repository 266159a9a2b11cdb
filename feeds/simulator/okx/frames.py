"""OKX's payloads as text. Numbers are text without needless digits, sizes of swaps are contracts. Pure."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from feeds.simulator.candles import Bar
from feeds.simulator.instruments import fixed
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.matching import Level, Side
from feeds.simulator.okx.listing import contract

_MOST_TEXTS = 20_000
DEPTH = 400


def number(value: Decimal) -> str:
    """``0.10`` -> ``0.1``, ``100`` -> ``100``."""
    return f"{value.normalize():f}"


class Texts(dict[int, str]):
    """Whole numbers of a step as text, each made once."""

    def __init__(self, step: Decimal) -> None:
        super().__init__()
        self._print = fixed(step)

    def __missing__(self, units: int) -> str:
        if len(self) >= _MOST_TEXTS:
            self.clear()
        text = self._print(units)
        text = self[units] = text.rstrip("0").rstrip(".") if "." in text else text
        return text


class Quoted:
    """A market with the texts of its numbers. ``sizes`` are on the wire: contracts of a swap."""

    def __init__(self, market: LiveMarket) -> None:
        instrument = market.instrument
        self.market = market
        self.native = instrument.native
        self.swap = instrument.settle is not None
        self.contract = contract(instrument)
        self.prices = Texts(instrument.tick)
        self.sizes = Texts(instrument.lot / self.contract)

    def base(self, lots: int) -> str:
        return number(lots * self.market.instrument.lot)

    def value(self, ticks_by_lots: int) -> str:
        """Of quote currency."""
        return number(ticks_by_lots * self.market.instrument.tick * self.market.instrument.lot)

    def volumes(self, lots: int, ticks_by_lots: int) -> tuple[str, str, str]:
        """``vol``, ``volCcy``, ``volCcyQuote``: spot base, quote, quote; swaps contracts, base, quote."""
        quote = self.value(ticks_by_lots)
        return (self.sizes[lots], self.base(lots), quote) if self.swap else (self.base(lots), quote, quote)


def frame(channel: str, native: str, data: str, action: str = "") -> str:
    told = f'"action":"{action}",' if action else ""
    return f'{{"arg":{{"channel":"{channel}","instId":"{native}"}},{told}"data":[{data}]}}'


def levels(quoted: Quoted, rows: Iterable[Level], side: Side) -> str:
    """``[["8476.98","415","0","13"],...]``; the last is the number of orders, 0 of a level that is gone."""
    prices, sizes, queues = quoted.prices, quoted.sizes, side.queues
    return ",".join([f'["{prices[p]}","{sizes[s]}","0","{len(queues.get(p, ())) if s else 0}"]' for p, s in rows])


def book(quoted: Quoted, bids: Iterable[Level], asks: Iterable[Level], now_ms: int, end: str) -> str:
    """``end``: the fields after the time."""
    engine = quoted.market.engine
    return (
        f'{{"asks":[{levels(quoted, asks, engine.asks)}],"bids":[{levels(quoted, bids, engine.bids)}],'
        f'"ts":"{now_ms}"{end}}}'
    )


def ids(before: int, seq: int, checksum: int = 0) -> str:
    """As told since June 2026: the checksum is 0."""
    return f',"checksum":{checksum},"prevSeqId":{before},"seqId":{seq}'


def best(quoted: Quoted, top: Top, seq: int, now_ms: int) -> str:
    """Of ``bbo-tbt``; a side that is empty has no level."""
    bids = [(top.bid, top.bid_size)] if top.bid else []
    asks = [(top.ask, top.ask_size)] if top.ask else []
    return book(quoted, bids, asks, now_ms, f',"seqId":{seq}')


class Merged(NamedTuple):
    """Matches of one taker order at one price: how trades are told."""

    last: Print
    size: int
    matches: int


def merge(prints: Iterable[Print]) -> list[Merged]:
    result: list[Merged] = []
    for row in prints:
        if result and (result[-1].last.taker, result[-1].last.price) == (row.taker, row.price):
            former = result[-1]
            result[-1] = Merged(row, former.size + row.size, former.matches + 1)
        else:
            result.append(Merged(row, row.size, 1))
    return result


def trade(quoted: Quoted, row: Merged, *, stream: bool) -> str:
    last = row.last
    end = f',"count":"{row.matches}","source":"0","seqId":{last.id}' if stream else ""
    return (
        f'{{"instId":"{quoted.native}","tradeId":"{last.id}","px":"{quoted.prices[last.price]}",'
        f'"sz":"{quoted.sizes[row.size]}","side":"{"buy" if last.taker_buys else "sell"}","ts":"{last.ms}"{end}}}'
    )


def ticker(quoted: Quoted, now_ms: int) -> str:
    market, price, size = quoted.market, quoted.prices, quoted.sizes
    day, top = market.candles.day(), market.top
    last_size = size[market.recent[-1].size] if market.recent else ""
    vol, in_ccy, _ = quoted.volumes(day.volume, day.value)
    return (
        f'{{"instType":"{"SWAP" if quoted.swap else "SPOT"}","instId":"{quoted.native}","last":"{price[day.close]}",'
        f'"lastSz":"{last_size}","askPx":"{price[top.ask]}","askSz":"{size[top.ask_size]}","bidPx":"{price[top.bid]}",'
        f'"bidSz":"{size[top.bid_size]}","open24h":"{price[day.open]}","high24h":"{price[day.high]}",'
        f'"low24h":"{price[day.low]}","sodUtc0":"{price[day.open]}","sodUtc8":"{price[day.open]}",'
        f'"volCcy24h":"{in_ccy}","vol24h":"{vol}","ts":"{now_ms}"}}'
    )


def candle(quoted: Quoted, bar: Bar, *, closed: bool) -> str:
    ohlc = '","'.join(quoted.prices[value] for value in (bar.open, bar.high, bar.low, bar.close))
    volumes = '","'.join(quoted.volumes(bar.volume, bar.value))
    return f'["{bar.open_ms}","{ohlc}","{volumes}","{int(closed)}"]'


def mark(quoted: Quoted) -> str:
    """Without its time, by which a change is told."""
    return f'"instType":"SWAP","instId":"{quoted.native}","markPx":"{number(Decimal(quoted.market.mark_texts()[0]))}"'


def index(quoted: Quoted) -> str:
    """The same of the index price, which has no ``-SWAP``."""
    price, day, text = number(Decimal(quoted.market.mark_texts()[1])), quoted.market.candles.day(), quoted.prices
    return (
        f'"instId":"{quoted.native.removesuffix("-SWAP")}","idxPx":"{price}","high24h":"{text[day.high]}",'
        f'"low24h":"{text[day.low]}","open24h":"{text[day.open]}","sodUtc0":"{text[day.open]}",'
        f'"sodUtc8":"{text[day.open]}"'
    )


def funding(quoted: Quoted, now_ms: int) -> str:
    market = quoted.market
    due_ms = market.next_funding_ms()
    return (
        f'{{"fundingRate":"{market.mark_texts()[2]}","fundingTime":"{due_ms}","instId":"{quoted.native}",'
        f'"instType":"SWAP","method":"current_period","maxFundingRate":"0.00375","minFundingRate":"-0.00375",'
        f'"nextFundingRate":"","nextFundingTime":"{due_ms + 28_800_000}","premium":"0","settFundingRate":"0.0001",'
        f'"settState":"settled","ts":"{now_ms}"}}'
    )


def timed(content: str, now_ms: int) -> str:
    return f'{{{content},"ts":"{now_ms}"}}'


def instrument(quoted: Quoted) -> dict[str, Any]:
    i, swap = quoted.market.instrument, quoted.swap
    unit = quoted.contract
    given = {
        "instType": "SWAP" if swap else "SPOT",
        "instId": i.native,
        "uly": f"{i.base}-{i.quote}" if swap else "",
        "instFamily": f"{i.base}-{i.quote}" if swap else "",
        "baseCcy": "" if swap else i.base,
        "quoteCcy": "" if swap else i.quote,
        "settleCcy": i.settle or "",
        "ctVal": number(unit) if swap else "",
        "ctMult": "1" if swap else "",
        "ctValCcy": i.base if swap else "",
        "ctType": "linear" if swap else "",
        "tickSz": number(i.tick),
        "lotSz": number(i.lot / unit),
        "minSz": number(i.min_size / unit),
        "tradeQuoteCcyList": [] if swap else [i.quote],
    }
    empty = ("alias", "auctionEndTime", "contTdSwTime", "expTime", "optType", "stk", "maxMktSz", "maxStopSz")
    fixed_ones = {"category": "1", "lever": "10", "listTime": "1606468572000", "ruleType": "normal", "state": "live"}
    return {**dict.fromkeys(empty, ""), **fixed_ones, "futureSettlement": False, **given}


INVERSE: dict[str, Any] = {
    **{"instType": "SWAP", "instId": "BTC-USD-SWAP", "uly": "BTC-USD", "instFamily": "BTC-USD", "baseCcy": ""},
    **{"quoteCcy": "", "settleCcy": "BTC", "ctVal": "100", "ctMult": "1", "ctValCcy": "USD", "ctType": "inverse"},
    **{"tickSz": "0.1", "lotSz": "1", "minSz": "1", "state": "suspend", "category": "1", "lever": "100"},
    **{"alias": "", "expTime": "", "optType": "", "stk": "", "listTime": "1611916828000", "ruleType": "normal"},
}
"""An inverse contract stands in the list like at OKX; nothing is traded in it here."""


def status(state: str, now_ms: int) -> str:
    begin, end = now_ms, now_ms + 1_800_000
    return (
        f'{{"arg":{{"channel":"status"}},"data":[{{"begin":"{begin}","end":"{end}","href":"","preOpenBegin":"",'
        f'"scheDesc":"","serviceType":"5","state":"{state}","system":"unified","maintType":"1","env":"1",'
        f'"title":"Simulated upgrade","ts":"{now_ms}"}}]}}'
    )


def event(kind: str, connection: str, number: Any, **more: Any) -> str:
    """An answer; ``number`` is the request's id, if it had one."""
    head = {"id": number} if isinstance(number, str) and number else {}
    return msgspec.json.encode({**head, "event": kind, **more, "connId": connection}).decode()


class Window:
    """What the subscribers of ``books`` hold: the best ``DEPTH`` levels a side as last published.

    Levels that leave it are removed by the update that moves them out. As long as a side has no more than fit, what
    changed in the engine is what is told; else both pictures are compared.
    """

    def __init__(self, quoted: Quoted) -> None:
        self._sides = (quoted.market.engine.bids, quoted.market.engine.asks)
        self._held = tuple(dict(side.top(DEPTH)) for side in self._sides)
        self._whole = self._fits()
        self._odd = False  # something is in it that the engine does not have

    def _fits(self) -> bool:
        return all(len(side.keys) <= DEPTH for side in self._sides)

    def levels(self) -> tuple[list[Level], list[Level]]:
        bids, asks = self._held
        return sorted(bids.items(), reverse=True), sorted(asks.items())

    def advance(self, changed: tuple[list[Level], list[Level]]) -> tuple[list[Level], list[Level]]:
        """Go on to the present book; ``changed`` are the engine's changes. Returns what is to be told."""
        whole = self._fits()
        take: Callable[[int, list[Level]], list[Level]]
        take = self._take if whole and self._whole and not self._odd else self._compare
        self._whole, self._odd = whole, False
        return take(0, changed[0]), take(1, changed[1])

    def _take(self, number: int, changes: list[Level]) -> list[Level]:
        held, told = self._held[number], []
        for price, size in changes:
            if held.get(price, 0) != size:
                told.append((price, size))
                if size:
                    held[price] = size
                else:
                    del held[price]
        return told

    def _compare(self, number: int, changes: list[Level]) -> list[Level]:
        held, present = self._held[number], dict(self._sides[number].top(DEPTH))
        told = [(price, 0) for price in held if price not in present]
        told += [(price, size) for price, size in present.items() if held.get(price) != size]
        held.clear()
        held.update(present)
        return told

    def cross(self) -> Level:
        """A bid beyond the best ask, smuggled in (for a fault); the next update takes it back."""
        phantom = (min(self._held[1]) + 5, 1)
        self._held[0][phantom[0]] = phantom[1]
        self._odd = True
        return phantom
