"""When connections are replaced: before they are too old, and when the exchange announces their end."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

import structlog

from feeds.clock import Clock
from feeds.markets.handover import Failed, Handover
from feeds.markets.lane import Lane
from feeds.pacing import backoff

if TYPE_CHECKING:
    from feeds.markets.venue import Venue

log = structlog.get_logger(__name__)


class Renewals:
    """Looks at a venue's connections, and replaces those that are old or about to be closed, one after the other."""

    def __init__(self, venue: "Venue", clock: Clock) -> None:
        self._venue = venue
        self._clock = clock
        self._not_before_s: dict[Lane, float] = {}  # after a failure
        self._delays: dict[Lane, Iterator[float]] = {}
        self.renewed = 0

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            for lane in list(self._venue.lanes):
                if reason := self._due(lane):
                    await self._renew(lane, reason)

    def _due(self, lane: Lane) -> str:
        """Why a connection is to be replaced now; "" if it is not, or may not have another one beside it."""
        if self._venue.adapter.facts.one_connection:
            return ""
        age_s, life_s = lane.connection.age_s, self._venue.life_s
        if age_s is None or self._clock.monotonic_s() < self._not_before_s.get(lane, 0.0):
            return ""
        if lane.announced:
            return lane.announced
        if life_s is not None and age_s >= life_s * self._venue.config.renew_at * lane.jitter:
            return f"The exchange ends connections at an age of {life_s:g} s."
        return ""

    async def _renew(self, lane: Lane, reason: str) -> None:
        name = lane.connection.name
        log.info("connection is being replaced", exchange=self._venue.name, stream=name, reason=reason)
        try:
            handover = Handover(self._venue, lane, self._clock)
            await handover.run()
        except Failed as error:
            delay_s = next(self._delays.setdefault(lane, backoff()))
            self._not_before_s[lane] = self._clock.monotonic_s() + delay_s
            log.warning("connection not replaced", exchange=self._venue.name, stream=name, error=str(error))
            return
        self.renewed += 1
        self._not_before_s.pop(lane, None)
        self._delays.pop(lane, None)
        log.info("connection replaced", exchange=self._venue.name, stream=name, by=handover.new.connection.name)
