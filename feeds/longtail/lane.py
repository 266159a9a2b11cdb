"""One ccxt object with its sockets, and what is known of it."""

import asyncio
from typing import Any

from feeds.clock import Clock
from feeds.config import ExchangeConfig
from feeds.domain import StreamState, Subscription
from feeds.latency import Histogram
from feeds.longtail import library
from feeds.longtail.library import Trouble
from feeds.markets.alarm import LatencyAlarm
from feeds.markets.skew import RECORDED_MS, ClockOffset
from feeds.pacing import Gate

MOST_MARKETS = 50
"""More of them get an object of their own, so that one that breaks does not take them all."""


class Lane:
    """``source`` is the object with the instruments, ``gate`` spaces the opening of objects. Fits
    ``at_work.LaneAtWork`` and, as its own ``connection``, ``ConnectionAtWork``: ccxt does not show how many sockets it
    has open."""

    route = "ccxt"
    announced = ""
    building: object | None = None
    bytes = 0  # not shown by ccxt, nor the next two
    dropped = 0
    buffered = 0

    def __init__(
        self, number: int, config: ExchangeConfig, source: Any, gate: Gate, clock: Clock, offset: ClockOffset
    ) -> None:
        self.number = number
        self.exchange: Any = library.create(config.name, config.ccxt)
        library.share(source, self.exchange)
        self.symbols: set[str] = set()  # of the markets that are watched by it
        self.subscriptions: set[Subscription] = set()
        self.left = 0  # markets that ccxt goes on to receive although nobody reads them
        self.suspect = False  # a market on it was mute or wrong: it gets no further ones
        self.state = StreamState.CONNECTING
        self.reason = ""
        self.since_ns = clock.now_ns()
        self.messages = 0
        self.messages_per_s = 0.0
        self.not_understood = 0
        self.unknown = 0
        self.reconnects = 0
        self.last_frame_ns: int | None = None
        self.made_s = clock.monotonic_s()
        self.latency = Histogram()
        self.alarm = LatencyAlarm(config.alarm_factor, config.alarm_s, clock)
        self._stale_s = config.stale_s
        self._gate = gate
        self._clock = clock
        self._offset = offset
        self._opening = asyncio.Lock()
        self.opened_s: float | None = None
        self._broken = False
        self._counted = 0

    @property
    def connection(self) -> "Lane":
        return self

    @property
    def url_host(self) -> str:
        return library.host(self.exchange)

    @property
    def open_to_new(self) -> bool:
        return not self.suspect and len(self.symbols) < MOST_MARKETS

    async def opened(self) -> Any:
        """The ccxt object, when it may be used."""
        async with self._opening:
            if self.opened_s is None:
                await self._gate.wait()
                self.opened_s = self._clock.monotonic_s()
        return self.exchange

    # -- what its streams tell -------------------------------------------------------------------------------------

    def came(self, exchange_ms: int | None = None) -> bool:
        """Something was received. True if the state has changed by that."""
        now_ns = self._clock.now_ns()
        self.messages += 1
        self.last_frame_ns = now_ns
        if exchange_ms is not None and abs(difference_ms := now_ns / 1e6 - exchange_ms) <= RECORDED_MS:
            self._offset.heard(difference_ms)
            self.latency.add(difference_ms + self._offset.correction_ms)
            self.alarm.add(difference_ms + self._offset.correction_ms)
        if self._broken:
            self._broken = False
            self.reconnects += 1
        return self._set(StreamState.LIVE, "")

    def broke(self, trouble: Trouble, failures: int) -> bool:
        """One of its streams failed. True if the state has changed by that."""
        if trouble.kind == "broken":
            self.not_understood += 1
        if trouble.kind == "refused":
            return False  # that market's alone
        self._broken = True
        return self._set(StreamState.CONNECTING if failures == 1 else StreamState.DOWN, trouble.sentence)

    def _set(self, state: StreamState, reason: str) -> bool:
        changed = state is not self.state
        if changed:
            self.since_ns = self._clock.now_ns()
        self.state, self.reason = state, reason
        return changed

    def silent_s(self) -> float:
        """Seconds since anything at all came, or since it was made."""
        if self.last_frame_ns is None:
            return self._clock.monotonic_s() - self.made_s
        return (self._clock.now_ns() - self.last_frame_ns) / 1e9

    def settle(self) -> None:
        """Once a second: how much came, and is it silent?"""
        self.messages_per_s = float(self.messages - self._counted)
        self._counted = self.messages
        self.alarm.settle(self._offset.correction_ms)
        if self.state is StreamState.LIVE and self.silent_s() >= self._stale_s:
            self._set(StreamState.QUIET, "Nothing is received; each market is checked by itself.")

    async def close(self) -> None:
        await library.close(self.exchange)
