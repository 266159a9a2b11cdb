"""A stream that is later than usual: told once when it begins, and once when it is over."""

import pytest
import structlog

from feeds.clock import FakeClock
from feeds.latency import BOUNDS_MS, Histogram
from feeds.markets.alarm import ACCEPTED_S, LEARN, LatencyAlarm
from feeds.simulator.faults import Fault
from tests.feeds.test_engine import until
from tests.feeds.test_renewal import world


class Watch:
    """An alarm of factor 5 and 10 s, and the seconds in which it changed."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.alarm = LatencyAlarm(5.0, 10.0, self.clock)
        self.changes: list[tuple[int, bool]] = []
        self.second = 0

    def run(self, seconds: int, *ms: float, correction_ms: float = 0.0) -> None:
        for _ in range(seconds):
            for value in ms:
                self.alarm.add(value)
            if self.alarm.settle(correction_ms):
                self.changes.append((self.second, self.alarm.since_ns is not None))
            self.clock.advance(1.0)
            self.second += 1


def test_begins_after_its_time_and_ends_after_its_time():
    watch = Watch()
    watch.run(60, 18.0, 20.0, 22.0)
    watch.run(30, 140.0, 150.0, 160.0)
    watch.run(30, 20.0)
    assert watch.changes == [(70, True), (100, False)]
    assert watch.alarm.usual_ms == 20.0


@pytest.mark.parametrize(
    ("ms", "why"),
    [(90.0, "less than five times the usual"), (20.0, "as usual"), (-50.0, "earlier than usual")],
)
def test_no_alarm(ms: float, why: str):
    watch = Watch()
    watch.run(60, 20.0)
    watch.run(60, ms)
    assert watch.changes == [], why


def test_single_late_seconds_and_single_late_values_are_none():
    watch = Watch()
    watch.run(60, 20.0)
    for _ in range(10):
        watch.run(9, 500.0)
        watch.run(1, 20.0)
    watch.run(60, 20.0, 20.0, 9_000.0)
    assert watch.changes == []


def test_a_few_milliseconds_are_never_late():
    watch = Watch()
    watch.run(60, 0.5)
    watch.run(60, 30.0)
    assert watch.changes == []


def test_nothing_is_unusual_before_something_is_usual():
    watch = Watch()
    watch.run(LEARN - 1, 20.0)
    watch.run(1, 900.0)
    assert watch.changes == []
    assert watch.alarm.usual_ms is None


def test_what_is_late_does_not_become_usual_but_after_an_hour():
    watch = Watch()
    watch.run(60, 20.0)
    watch.run(round(ACCEPTED_S) + 60, 200.0)
    assert watch.changes == [(70, True), (70 + ACCEPTED_S, False)]
    watch.run(60, 200.0)
    assert watch.alarm.usual_ms == 200.0
    assert len(watch.changes) == 2


def test_silence_says_nothing():
    watch = Watch()
    watch.run(60, 20.0)
    watch.run(20, 200.0)
    watch.run(600)
    assert watch.changes == [(70, True)]


def test_a_better_measured_clock_is_no_lateness():
    watch = Watch()
    watch.run(60, -300.0)
    watch.run(60, 12.0, correction_ms=312.0)
    assert watch.changes == []
    assert watch.alarm.usual_ms == 12.0


def test_never_if_so_configured():
    alarm = LatencyAlarm(0.0, 10.0, FakeClock())
    alarm.add(5.0)
    assert not alarm.settle(0.0)


def test_counts_since_the_beginning_do_not_fade():
    clock = FakeClock()
    histogram = Histogram(clock=clock)
    for ms in (*BOUNDS_MS, -1.0, 20_000.0):
        histogram.add(ms)
    clock.advance(600)
    assert histogram.summary() is None
    assert histogram.totals() == {
        "counts": [2, *[1] * (len(BOUNDS_MS) - 1), 1],
        "sum_ms": sum(BOUNDS_MS) + 20_000.0,
    }


async def test_on_the_board_and_in_the_log(tmp_path, monkeypatch):
    monkeypatch.setattr("feeds.markets.alarm.LEARN", 2)
    with structlog.testing.capture_logs() as logs:
        async with world(tmp_path, None, alarm_s=1.0) as (server, engine, sink, _):
            engine.lease("relay", ["streams"], 30)

            def row() -> dict:
                rows = sink.last("streams")["data"]["connections"] if "streams" in sink.frames else []
                return next((r for r in rows if (r["exchange"], r["route"]) == ("binance", "spot")), {})

            await until(lambda: row().get("usual_ms") is not None)
            assert row()["late_since_ms"] is None
            server.faults.add(Fault(exchange="binance", kind="delay", value=0.6))
            await until(lambda: row()["late_since_ms"] is not None)
            assert row()["late_ms"] > 400 > row()["usual_ms"]
            server.faults.clear()
            await until(lambda: row()["late_since_ms"] is None)
            totals = engine.metrics()["connections"][0]["latency"]
            assert sum(totals["counts"]) > 20
    told = [row["event"] for row in logs if row.get("stream", "").startswith("binance/spot")]
    assert [event for event in told if "latency" in event] == ["latency alarm", "latency as usual again"]
