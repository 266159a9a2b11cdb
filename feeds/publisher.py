"""From "something changed" to one encoded frame per topic: conflation, numbering, encoding once.

A topic that was quiet is sent at once. A busy one is sent at the *trailing* edge of the conflation window, so what is
sent last is always the newest; what happened in between is left out, which a whole picture can bear. Rendering and
encoding happen only when a frame is really sent, synchronously in the call that brought the data or in the timer.

A renderer that fails ends nothing but its own picture: what was shown last is sent once more with every state STALE,
and nothing new until it can be drawn again. The connection that brought the data, and whoever else draws, go on.

Which message class bears what: books, quotes, trades, candles, status: may be merged, may be lost (the next frame
repairs). Fills: their frames may be merged, their rows never: those are in the store before any frame tells of them.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import structlog

from feeds.clock import SYSTEM, Clock
from feeds.latency import Histogram
from feeds.staleness import as_stale

log = structlog.get_logger(__name__)

NOT_DRAWN = "It cannot be shown at the moment: an error of this program, which stands in its log."


class Sink(Protocol):
    """Where frames go. No method may block or raise."""

    def publish(self, topic: str, frame: str) -> None:
        """To everybody who watches the topic. ``frame`` is a JSON object as text."""

    def publish_to(self, holder: str, topic: str, frame: str) -> None:
        """To one lease holder."""

    def refuse(self, holder: str, topic: str, reason: str) -> None:
        """Tell one lease holder that there is no such topic; ``reason`` is a sentence."""


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """What a renderer returns: the content of a frame, see docs/protocol.md section 2.5."""

    data: Any
    state: str | None = None
    seq: int | None = None
    exchange_ms: int | None = None
    recv_ns: int = 0


class _Frame(msgspec.Struct, kw_only=True, omit_defaults=True):
    topic: str
    n: int
    state: str | msgspec.UnsetType = msgspec.UNSET
    seq: int | None
    exchange_ms: int | None
    recv_us: int
    sent_us: int
    data: Any


Render = Callable[[], Picture | None]
"""Draws the present content of a topic; None while there is nothing to show."""


class _Topic:
    __slots__ = ("due_s", "failed", "frame", "interval_s", "n", "name", "render", "sent_s", "timer")

    def __init__(self, name: str, render: Render, interval_s: float) -> None:
        self.name = name
        self.render = render
        self.interval_s = interval_s
        self.n = 0
        self.sent_s = float("-inf")
        self.due_s = 0.0
        self.timer: asyncio.TimerHandle | None = None
        self.frame: str | None = None  # the last one sent
        self.failed = False


class Publisher:
    """Conflates changes per topic and hands encoded frames to the sink.

    ``interval_s`` is the conflation window. Use from one event loop; :meth:`close` cancels what is pending.
    """

    def __init__(self, sink: Sink, *, interval_s: float = 0.05, clock: Clock = SYSTEM) -> None:
        self._sink = sink
        self._interval_s = interval_s
        self._clock = clock
        self._topics: dict[str, _Topic] = {}
        self._encoder = msgspec.json.Encoder(decimal_format="string")
        self.overhead = Histogram()
        """Milliseconds from frame received to frame handed on; the wait for the window's edge is not counted."""
        self.published = 0
        self.conflated = 0

    def __contains__(self, topic: object) -> bool:
        return topic in self._topics

    def open(self, topic: str, render: Render, *, interval_s: float | None = None) -> None:
        """Begin a topic. Nothing is sent until it changes. Opening an open topic replaces its renderer."""
        known = self._topics.get(topic)
        if known is not None:
            known.render = render
            return
        self._topics[topic] = _Topic(topic, render, self._interval_s if interval_s is None else interval_s)

    def close(self, topic: str) -> None:
        """End a topic; what is pending is not sent. Unknown topics are ignored."""
        entry = self._topics.pop(topic, None)
        if entry is not None and entry.timer is not None:
            entry.timer.cancel()

    def close_all(self) -> None:
        for topic in list(self._topics):
            self.close(topic)

    def changed(self, topic: str) -> None:
        """The topic's content is new: send now, or at the edge of the window if it was sent a moment ago."""
        entry = self._topics.get(topic)
        if entry is None:
            return
        if entry.timer is not None:
            self.conflated += 1
            return
        now_s = self._clock.monotonic_s()
        due_s = entry.sent_s + entry.interval_s
        if now_s >= due_s:
            self._send(entry, now_s, due_ns=0)
        else:
            entry.due_s = due_s
            entry.timer = asyncio.get_running_loop().call_later(due_s - now_s, self._edge, entry)

    def _edge(self, entry: _Topic) -> None:
        entry.timer = None
        now_s = self._clock.monotonic_s()
        late_ns = max(0, int((now_s - entry.due_s) * 1e9))
        self._send(entry, now_s, due_ns=self._clock.now_ns() - late_ns)

    def _send(self, entry: _Topic, now_s: float, due_ns: int) -> None:
        entry.sent_s = now_s
        told = entry.failed
        frame = self._encode(entry, due_ns)
        if frame is None or (told and entry.failed):
            return
        entry.frame = frame
        self.published += 1
        self._sink.publish(entry.name, frame)

    def _encode(self, entry: _Topic, due_ns: int) -> str | None:
        try:
            frame = self._draw(entry, due_ns)
        except Exception as error:  # whatever a renderer raises: it must not end the connection that brought the data
            if not entry.failed:
                log.error("topic cannot be drawn", topic=entry.name, exc_info=error)
            entry.failed = True
            return None if entry.frame is None else as_stale(entry.frame, reason=NOT_DRAWN)
        if entry.failed:
            log.info("topic is drawn again", topic=entry.name)
            entry.failed = False
        return frame

    def _draw(self, entry: _Topic, due_ns: int) -> str | None:
        picture = entry.render()
        if picture is None:
            return None
        entry.n += 1
        sent_ns = self._clock.now_ns()
        frame = _Frame(
            topic=entry.name,
            n=entry.n,
            state=msgspec.UNSET if picture.state is None else picture.state,
            seq=picture.seq,
            exchange_ms=picture.exchange_ms,
            recv_us=picture.recv_ns // 1000,
            sent_us=sent_ns // 1000,
            data=picture.data,
        )
        text = self._encoder.encode(frame).decode()
        if picture.recv_ns and due_ns >= 0:
            waited_for = max(picture.recv_ns, due_ns)
            self.overhead.add((self._clock.now_ns() - waited_for) / 1e6)
        return text

    def fresh(self, topic: str) -> str | None:
        """The topic's present content as a frame, for somebody who comes new; None while there is nothing to show."""
        entry = self._topics.get(topic)
        return None if entry is None else self._encode(entry, due_ns=-1)

    def greet(self, holder: str, topic: str) -> None:
        """Send one holder the topic's present content, if there is any."""
        frame = self.fresh(topic)
        if frame is not None:
            self._sink.publish_to(holder, topic, frame)
