"""The engine's sink: every frame that says it may be used is held against the truth, at once."""

import asyncio
import json
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from feeds.domain import StreamState
from tests.conformance.truth import Book, Side, Truth, priced
from tests.shared import in_time

SIDES = ("bid", "ask")
FEWEST = 5
"""Levels a side that a usable book must show, if there are so many."""


class Judge:
    """``stale_s`` is what the engine was told; a usable book is at most that much and ``GRACE_S`` behind."""

    GRACE_S = 1.5

    @property
    def limit_s(self) -> float:
        return in_time(self.stale_s + self.GRACE_S)

    def __init__(self, exchange: str, truth: Truth, stale_s: float) -> None:
        self.truth = truth
        self.stale_s = stale_s
        self.wrong: list[str] = []
        self.frames: dict[str, dict[str, Any]] = {}  # topic -> the newest one
        self.states: dict[str, list[tuple[float, StreamState, str]]] = {}  # symbol -> when, which state, why
        self.refusals: list[str] = []
        self.reason_of: Callable[[str], str] = lambda symbol: ""  # of a market's present state
        self.judged: dict[str, int] = {}  # symbol -> usable book frames
        self.seen: dict[str, set[int]] = {}  # symbol -> numbers of the states that were shown
        self.first: dict[str, dict[str, Any]] = {}  # symbol -> the first usable book frame
        self._exchange = exchange
        self._last: dict[str, tuple[int, Side, Side]] = {}  # symbol -> number of the last state, and what was shown

    # -- Sink --------------------------------------------------------------------------------------------------------

    def publish(self, topic: str, frame: str) -> None:
        content = json.loads(frame)
        self.frames[topic] = content
        head, _, rest = topic.partition(":")
        kind, symbol = head.partition("@")[0], rest.partition(":")[2]
        state = StreamState(content["state"]) if "state" in content else StreamState.CONNECTING
        if kind == self._state_by(symbol):
            changes = self.states.setdefault(symbol, [])
            if not changes or changes[-1][1] is not state:
                changes.append((time.monotonic(), state, self.reason_of(symbol)))
        if not state.usable or symbol not in self.truth.books:
            return
        try:
            self._look(kind, symbol, content)
        except AssertionError as error:
            self.wrong.append(f"{topic} {state}: {error}")

    def publish_to(self, holder: str, topic: str, frame: str) -> None:
        self.publish(topic, frame)

    def refuse(self, holder: str, topic: str, reason: str) -> None:
        self.refusals.append(f"{topic}: {reason}")

    def _state_by(self, symbol: str) -> str:
        """The kind of topic that tells this market's state: where there is no book, best prices."""
        known = self.truth.books.get(symbol)
        return "book" if known is None or known.instrument.book else "quote"

    # -- what is held against the truth ------------------------------------------------------------------------------

    def _look(self, kind: str, symbol: str, frame: dict[str, Any]) -> None:
        book, data = self.truth.books[symbol], frame["data"]
        if kind == "book":
            self._book(symbol, book, frame)
        elif kind == "quote" and not book.instrument.book:
            self._best(symbol, book, frame)
        elif kind == "quote" and data["bid"] is not None and data["ask"] is not None:
            i = book.instrument
            steps = (i.tick, i.lot, i.tick, i.lot)
            values = (data["bid"], data["bid_size"], data["ask"], data["ask_size"])
            top = tuple(book.in_units(value, step) for value, step in zip(values, steps, strict=True))
            assert book.had_best(top), f"best prices {values} were never the market's"
        elif kind == "trades":
            for row in data["trades"]:
                price = book.in_units(row["price"], book.instrument.tick)
                size = book.in_units(row["size"], book.instrument.lot)
                sides = (True, False) if row["side"] is None else (row["side"] == "buy",)
                assert any(book.traded(price, size, buys) for buys in sides), f"{row} was never traded"

    def _book(self, symbol: str, book: Book, frame: dict[str, Any]) -> None:
        data = frame["data"]
        bids, asks = (
            book.units(data[side], data["price_decimals"], data["size_decimals"]) for side in ("bids", "asks")
        )
        present = book.states[-1]
        for side, ours, theirs in (("bids", bids, present.bids), ("asks", asks, present.asks)):
            assert len(ours) >= min(FEWEST, len(theirs) // 2), f"only {len(ours)} {side}"
        before = self._last.get(symbol)
        state = book.find(bids, asks, seq=frame["seq"], after=-1 if before is None else before[0])
        self._shown(symbol, book, frame, (state.number, bids, asks))

    def _best(self, symbol: str, book: Book, frame: dict[str, Any]) -> None:
        """Best prices that stand for a book: no sizes."""
        data, before = frame["data"], self._last.get(symbol)
        assert data["bid_size"] is None and data["ask_size"] is None, "sizes of an unknown unit are shown"
        shown = [
            () if data[side] is None else ((book.in_units(data[side], book.instrument.tick), 0),) for side in SIDES
        ]
        bids, asks = (priced(side) for side in shown)
        state = book.find(bids, asks, after=-1 if before is None else before[0])
        self._shown(symbol, book, frame, (state.number, bids, asks))

    def _shown(self, symbol: str, book: Book, frame: dict[str, Any], last: tuple[int, Side, Side]) -> None:
        self._last[symbol] = last
        number, bids, asks = last
        self.judged[symbol] = self.judged.get(symbol, 0) + 1
        self.seen.setdefault(symbol, set()).add(number)
        self.first.setdefault(symbol, frame)
        age_s = book.age_s(bids, asks, number)
        assert age_s <= self.limit_s, f"usable, but what it shows is {age_s:.1f} s old"

    def look_for_stale(self) -> None:
        """What is usable now must still be young, whether frames come or not. Call it often."""
        for symbol, (number, bids, asks) in self._last.items():
            if self.state(symbol).usable:
                age_s = self.truth.books[symbol].age_s(bids, asks, number)
                if age_s > self.limit_s:
                    self.wrong.append(f"{symbol} is {self.state(symbol)}, but what it shows is {age_s:.1f} s old")

    def forget(self, symbol: str) -> None:
        """Nobody watches it any more, so no frames come, and the last one is nobody's."""
        self.states.pop(symbol, None)
        self._last.pop(symbol, None)

    # -- questions ---------------------------------------------------------------------------------------------------

    def state(self, symbol: str) -> StreamState:
        changes = self.states.get(symbol)
        return changes[-1][1] if changes else StreamState.CONNECTING

    def usable(self, symbol: str) -> bool:
        return self.state(symbol).usable

    def topic(self, kind: str, symbol: str) -> dict[str, Any] | None:
        """The newest frame of that topic; None if there is none."""
        return self.frames.get(f"{kind}:{self._exchange}:{symbol}")

    def changes(self, symbol: str, since_s: float) -> list[StreamState]:
        """The states that a market's book went through since then."""
        return [state for at_s, state, _ in self.states.get(symbol, []) if at_s >= since_s]

    def reasons(self, symbol: str, since_s: float, state: StreamState = StreamState.RESYNC) -> list[str]:
        """Why the market was in that state, each time since then."""
        return [why for at_s, was, why in self.states.get(symbol, []) if at_s >= since_s and was is state]

    def plight(self, symbol: str, since_s: float) -> str:
        """The first state since then in which the market was out of use, and why; "" if there was none."""
        found = ((state, why) for at_s, state, why in self.states.get(symbol, []) if at_s >= since_s)
        return next((f"{state}. {why}".strip() for state, why in found if not state.usable), "")

    def outage_s(self, symbol: str, since_s: float) -> float:
        """How long the market was out of use since then, in all."""
        total, end_s = 0.0, time.monotonic()
        for at_s, state, _ in reversed(self.states.get(symbol, [])):
            if not state.usable and end_s > since_s:
                total += end_s - max(at_s, since_s)
            end_s = at_s
        return total


async def until(condition: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    """Wait for a condition. Raises AssertionError: "<what> ... within so many seconds" of a machine that is free."""
    end_s = time.monotonic() + in_time(seconds)
    while not condition():
        assert time.monotonic() < end_s, f"{what}: not within {seconds:g} s"
        await asyncio.sleep(0.02)


def decimal_of(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
