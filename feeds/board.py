"""The status board: what every connection and market is doing, for the screen, ``/healthz`` and the log."""

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from feeds.clock import Clock
from feeds.domain import StreamState
from feeds.latency import BOUNDS_MS
from feeds.markets.at_work import ExchangeAtWork, LaneAtWork
from feeds.markets.market import MarketFeed
from feeds.publisher import Picture, Publisher
from feeds.recordings.replay import played_of

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Board:
    """Draws the ``streams`` topic and the health report. ``pinned`` is the set of pinned (exchange, symbol)."""

    def __init__(
        self, venues: Mapping[str, ExchangeAtWork], publisher: Publisher, pinned: set[tuple[str, str]], clock: Clock
    ) -> None:
        self._venues = venues
        self._publisher = publisher
        self._pinned = pinned
        self._clock = clock
        self.started_ms = clock.now_ns() // 1_000_000
        self._cpu = (time.monotonic(), time.process_time())
        self._share = 0.0

    def measure(self) -> None:
        """Once a second: the worker's share of a core since the last call, the exchanges' clocks, and what is over."""
        now_s, cpu_s = time.monotonic(), time.process_time()
        passed = now_s - self._cpu[0]
        if passed > 0.2:
            self._share = (cpu_s - self._cpu[1]) / passed
            self._cpu = (now_s, cpu_s)
        for venue in self._venues.values():
            venue.clock_offset.settle()
            venue.notices.expire()
            for lane in venue.lanes:
                lane.settle()

    def draw(self) -> Picture:
        """The ``streams`` picture, see docs/protocol.md."""
        data = {
            "worker": {
                "started_ms": self.started_ms,
                "cpu": round(self._share, 3),
                "rss_mb": round(_rss_bytes() / 1e6, 1),
                "published": self._publisher.published,
                "conflated": self._publisher.conflated,
                "overhead_ms": self._publisher.overhead.summary(),
            },
            "exchanges": [
                {
                    "exchange": venue.name,
                    "simulated": venue.config.simulated,
                    "via": venue.config.via,
                    "replay": venue.config.replay,
                    "notice": venue.notice,
                    "notices": venue.notices.rows(),
                    "markets": len(venue.markets),
                    "renewed": venue.renewals.renewed,
                    "budget": venue.rest.usage(),
                    "clock_offset_ms": _rounded(venue.clock_offset.offset_ms),
                    "clock_error_ms": _rounded(venue.clock_offset.error_ms),
                }
                for venue in self._venues.values()
            ],
            "connections": [self._connection(v, lane) for v in self._venues.values() for lane in v.lanes],
            "markets": [self._market(v, feed) for v, feed in self._feeds()],
        }
        if (played := played_of(self._venues.values())) is not None:
            data["replay"] = msgspec.to_builtins(played)
        return Picture(data=data, recv_ns=0)

    def metrics(self) -> dict[str, Any]:
        """What ``/metrics`` tells besides the health report: the board's rows, with histograms since the start."""
        data = self.draw().data
        lanes = [lane for venue in self._venues.values() for lane in venue.lanes]
        connections = [
            {**row, "latency": lane.latency.totals(), "bytes": lane.connection.bytes}
            for row, lane in zip(data["connections"], lanes, strict=True)
        ]
        worker = {**data["worker"], "overhead": self._publisher.overhead.totals(), "bounds_ms": BOUNDS_MS}
        return {"worker": worker, "exchanges": data["exchanges"], "connections": connections}

    def health(self) -> dict[str, Any]:
        """The worker's part of ``/healthz``: ``streams`` of all open markets, pinned ones that are missing included."""
        rows = [self._market(venue, feed) for venue, feed in self._feeds()]
        known = {(row["exchange"], row["symbol"]) for row in rows}
        for exchange, symbol in sorted(self._pinned - known):
            venue = self._venues.get(exchange)
            state, reason = self._why_missing(venue)
            rows.append(
                {
                    "exchange": exchange,
                    "symbol": symbol,
                    "state": str(state),
                    "reason": reason,
                    "age_ms": None,
                    "since_ms": self.started_ms,
                    "resyncs": 0,
                    "differences": 0,
                    "reconnects": 0,
                    "messages": 0,
                    "seq": None,
                    "pinned": True,
                    "simulated": venue is not None and venue.config.simulated,
                    "via": "" if venue is None else venue.config.via,
                    "replay": venue is not None and venue.config.replay,
                }
            )
        played = played_of(self._venues.values())
        told = {} if played is None else {"replay": msgspec.to_builtins(played)}
        offsets = {name: _rounded(venue.clock_offset.offset_ms) for name, venue in self._venues.items()}
        return {"started_ms": self.started_ms, "streams": rows, "clock_offsets_ms": offsets, **told}

    def _why_missing(self, venue: ExchangeAtWork | None) -> tuple[StreamState, str]:
        """Why a pinned market is not open yet."""
        if venue is None:
            return StreamState.DOWN, "This worker does not follow that exchange."
        if venue.markets_loaded.is_set():
            return StreamState.DOWN, "The exchange has no such market."
        for lane in venue.lanes:  # where the stream tells the instruments, it knows what keeps them
            if lane.connection.state is StreamState.DOWN:
                return StreamState.DOWN, lane.connection.reason
        if venue.notice:
            return StreamState.DOWN, venue.notice
        return StreamState.CONNECTING, "Waiting for the exchange's instruments."

    def _feeds(self) -> Iterable[tuple[ExchangeAtWork, MarketFeed]]:
        return ((venue, feed) for venue in self._venues.values() for feed in venue.feeds.values())

    def _age_ms(self, then_ns: int | None) -> int | None:
        return max(0, (self._clock.now_ns() - then_ns) // 1_000_000) if then_ns else None

    def _connection(self, venue: ExchangeAtWork, lane: LaneAtWork) -> dict[str, Any]:
        connection = lane.connection
        return {
            "exchange": venue.name,
            "route": lane.route,
            "number": lane.number,
            "state": str(connection.state),
            "reason": connection.reason,
            "since_ms": connection.since_ns // 1_000_000,
            "subscriptions": len(connection.subscriptions),
            "messages_per_s": round(connection.messages_per_s, 1),
            "messages": connection.messages,
            "dropped": connection.dropped,
            "buffered": connection.buffered,
            "reconnects": connection.reconnects,
            "not_understood": connection.not_understood,
            "unknown": connection.unknown,
            "last_data_age_ms": self._age_ms(connection.last_frame_ns),
            "latency_ms": lane.latency.summary(),
            "usual_ms": _rounded(lane.alarm.usual_ms),
            "late_since_ms": lane.alarm.since_ns // 1_000_000 if lane.alarm.since_ns is not None else None,
            "late_ms": _rounded(lane.alarm.now_ms) if lane.alarm.since_ns is not None else None,
            "announced": lane.announced,
            "replacing": lane.building is not None,
            "overhead_ms": self._publisher.overhead.summary(),
            "clock_offset_ms": _rounded(venue.clock_offset.offset_ms),
            "url_host": connection.url_host,
        }

    def _market(self, venue: ExchangeAtWork, feed: MarketFeed) -> dict[str, Any]:
        market = feed.market
        lane = venue.book_lane(market.symbol)
        return {
            "exchange": market.exchange,
            "symbol": market.symbol,
            "state": str(feed.state),
            "reason": feed.reason,
            "age_ms": self._age_ms(
                feed.polled.asof_ns if feed.state is StreamState.POLLED else feed.data_ns or feed.book_ns
            ),
            "since_ms": feed.since_ns // 1_000_000,
            "resyncs": feed.sync.resyncs,
            "differences": feed.differences,
            "reconnects": lane.connection.reconnects if lane else 0,
            "messages": feed.frames,
            "seq": feed.book.seq,
            "pinned": (market.exchange, market.symbol) in self._pinned,
            "simulated": venue.config.simulated,
            "via": venue.config.via,
            "replay": venue.config.replay,
        }


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 1)


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
