"""Conflation: what is sent last is always the newest, and nothing is sent more often than the window allows."""

import asyncio
import itertools
import json
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.clock import FakeClock
from feeds.publisher import Picture, Publisher


class Recorder:
    """A sink that keeps what it was given."""

    def __init__(self) -> None:
        self.frames: dict[str, list[dict]] = defaultdict(list)
        self.greetings: list[tuple[str, str, dict]] = []

    def publish(self, topic: str, frame: str) -> None:
        self.frames[topic].append(json.loads(frame))

    def publish_to(self, holder: str, topic: str, frame: str) -> None:
        self.greetings.append((holder, topic, json.loads(frame)))

    def refuse(self, holder: str, topic: str, reason: str) -> None:
        raise AssertionError("a publisher refuses nothing")


class Loop:
    """Stands in for the event loop's timers, moved by hand with the clock."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.timers: list[tuple[float, object, tuple]] = []

    def call_later(self, delay: float, callback, *args):
        entry = (self.clock.monotonic_s() + delay, callback, args)
        self.timers.append(entry)
        loop = self

        class Handle:
            def cancel(self) -> None:
                if entry in loop.timers:
                    loop.timers.remove(entry)

        return Handle()

    def advance(self, seconds: float) -> None:
        end = self.clock.monotonic_s() + seconds
        while due := sorted((t for t in self.timers if t[0] <= end + 1e-9), key=lambda t: t[0]):
            when, callback, args = due[0]
            self.timers.remove(due[0])
            self.clock.advance(max(0.0, when - self.clock.monotonic_s()))
            callback(*args)
        self.clock.advance(end - self.clock.monotonic_s())


@pytest.fixture
def stage(monkeypatch):
    clock = FakeClock()
    loop = Loop(clock)
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    sink = Recorder()
    return clock, loop, sink, Publisher(sink, interval_s=0.05, clock=clock)


def counter(start: int = 0):
    box = {"value": start}
    return box, lambda: Picture(data=box["value"], recv_ns=1_000_000, state="LIVE", seq=box["value"])


def test_a_quiet_topic_is_sent_at_once(stage):
    clock, _, sink, publisher = stage
    _box, render = counter(7)
    publisher.open("t", render)
    publisher.changed("t")
    assert sink.frames["t"] == [
        {
            "topic": "t",
            "n": 1,
            "state": "LIVE",
            "seq": 7,
            "exchange_ms": None,
            "recv_us": 1000,
            "sent_us": clock.now_ns() // 1000,
            "data": 7,
        }
    ]


def test_a_busy_topic_is_sent_at_the_edge_with_the_newest_content(stage):
    _, loop, sink, publisher = stage
    box, render = counter()
    publisher.open("t", render)
    publisher.changed("t")
    for value in range(1, 40):
        box["value"] = value
        loop.advance(0.001)
        publisher.changed("t")
    assert [f["data"] for f in sink.frames["t"]] == [0]
    loop.advance(0.02)
    assert [f["data"] for f in sink.frames["t"]] == [0, 39]
    loop.advance(1)
    assert len(sink.frames["t"]) == 2, "nothing changed, nothing is sent"
    assert publisher.conflated == 38


def test_topics_do_not_delay_each_other(stage):
    _, loop, sink, publisher = stage
    for name in ("a", "b"):
        publisher.open(name, counter()[1])
    publisher.changed("a")
    loop.advance(0.03)
    publisher.changed("b")
    assert len(sink.frames["b"]) == 1
    publisher.changed("a")
    loop.advance(0.02)
    assert len(sink.frames["a"]) == 2


def test_a_closed_topic_sends_nothing_more(stage):
    _, loop, sink, publisher = stage
    publisher.open("t", counter()[1])
    publisher.changed("t")
    publisher.changed("t")
    publisher.close("t")
    loop.advance(1)
    publisher.changed("t")
    assert len(sink.frames["t"]) == 1
    assert loop.timers == []


def test_nothing_to_show_sends_nothing(stage):
    _, loop, sink, publisher = stage
    publisher.open("t", lambda: None)
    publisher.changed("t")
    loop.advance(1)
    assert sink.frames["t"] == []
    assert publisher.fresh("t") is None


def test_a_newcomer_gets_the_present_content_alone(stage):
    _, _, sink, publisher = stage
    box, render = counter(1)
    publisher.open("t", render)
    publisher.changed("t")
    box["value"] = 2
    publisher.greet("relay 1", "t")
    assert [(h, t, f["data"], f["n"]) for h, t, f in sink.greetings] == [("relay 1", "t", 2, 2)]
    assert [f["data"] for f in sink.frames["t"]] == [1]


def test_an_unknown_topic_is_nobody(stage):
    publisher = stage[3]
    publisher.changed("none")
    publisher.greet("relay", "none")
    publisher.close("none")


def test_overhead_leaves_the_wait_for_the_edge_out(stage):
    clock, loop, _, publisher = stage
    received = {"ns": clock.now_ns()}
    publisher.open("t", lambda: Picture(data=0, recv_ns=received["ns"]))
    publisher.changed("t")
    received["ns"] = clock.now_ns()
    publisher.changed("t")
    loop.advance(0.05)
    summary = publisher.overhead.summary()
    assert summary is not None
    assert summary["p99"] < 1, "50 ms of conflation are not overhead"


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 0.2)), max_size=60))
def test_the_last_value_always_arrives_and_the_window_holds(changes):
    clock = FakeClock()
    loop = Loop(clock)
    sink = Recorder()
    sent_at: dict[str, list[float]] = defaultdict(list)
    publisher = Publisher(sink, interval_s=0.05, clock=clock)
    values = dict.fromkeys("abc", 0)

    def render(name: str):
        def draw() -> Picture:
            sent_at[name].append(clock.monotonic_s())
            return Picture(data=values[name])

        return draw

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "get_running_loop", lambda: loop)
        for name in values:
            publisher.open(name, render(name))
        for name, pause in changes:
            values[name] += 1
            publisher.changed(name)
            loop.advance(pause)
        loop.advance(1)
    for name, value in values.items():
        frames = sink.frames[name]
        if value:
            assert frames[-1]["data"] == value
        assert [f["n"] for f in frames] == list(range(1, len(frames) + 1))
        times = sent_at[name]
        assert all(b - a >= 0.05 - 1e-9 for a, b in itertools.pairwise(times))
