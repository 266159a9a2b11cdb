"""The exchange's clock against ours: within half a round trip, and never confused by a recording."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.clock import FakeClock
from feeds.errors import ParseError
from feeds.exchanges import create
from feeds.markets.skew import WINDOW_S, ClockOffset
from feeds.simulator.server import clock_ms
from tests.feeds.test_engine import until
from tests.feeds.test_renewal import world
from tests.shared import in_time

DELAYS = st.lists(st.floats(5.0, 400.0), min_size=1, max_size=50)


@given(skew_ms=st.floats(-60_000, 60_000), there=DELAYS, back=DELAYS)
def test_by_questions_it_is_right_to_half_a_round_trip(skew_ms: float, there: list[float], back: list[float]):
    clock = FakeClock()
    offset = ClockOffset(clock)
    for out_ms, in_ms in zip(there, back, strict=False):
        sent_ns = clock.now_ns()
        theirs_ms = sent_ns / 1e6 + out_ms + skew_ms
        clock.advance((out_ms + in_ms) / 1000)
        offset.answered(theirs_ms, sent_ns, clock.now_ns())
    offset.settle()
    assert offset.offset_ms is not None
    assert offset.error_ms is not None
    assert abs(offset.offset_ms - skew_ms) <= offset.error_ms + 0.01
    assert offset.error_ms <= min(out + back for out, back in zip(there, back, strict=False)) / 2 + 0.01


@given(skew_ms=st.floats(-60_000, 60_000), delays=DELAYS, out_ms=st.floats(0.0, 100.0))
def test_by_events_and_pings_it_is_right_to_half_a_round_trip(skew_ms: float, delays: list[float], out_ms: float):
    """The quickest event comes as quick as a pong."""
    clock = FakeClock()
    offset = ClockOffset(clock)
    for delay_ms in delays:
        offset.heard(delay_ms - skew_ms)
    offset.pinged(out_ms + min(delays))
    offset.settle()
    assert offset.offset_ms is not None
    assert abs(offset.offset_ms - skew_ms) <= offset.error_ms + 0.01
    assert min(delays) - skew_ms + offset.correction_ms >= -0.01, "nothing arrives before it is sent"


def test_events_bound_what_a_question_left_open():
    clock = FakeClock()
    offset = ClockOffset(clock)
    offset.answered(clock.now_ns() / 1e6 - 400, clock.now_ns() - 1_000_000_000, clock.now_ns())  # 100 +- 500
    offset.heard(-350.0)  # so their clock is ahead by 350 at least
    offset.settle()
    assert offset.offset_ms == pytest.approx(350.0)


def test_what_is_old_counts_no_more():
    clock = FakeClock()
    offset = ClockOffset(clock)
    offset.heard(-500.0)
    offset.pinged(20.0)
    offset.settle()
    assert offset.offset_ms == pytest.approx(510.0)
    for _ in range(20):
        clock.advance(WINDOW_S / 10)
        offset.heard(40.0)
        offset.pinged(20.0)
        offset.settle()
    assert offset.offset_ms == pytest.approx(-30.0)
    clock.advance(WINDOW_S + 60)
    offset.settle()
    clock.advance(WINDOW_S + 60)
    offset.settle()
    assert (offset.offset_ms, offset.correction_ms) == (None, 0.0), "nothing came for long"


def test_our_own_clock_is_set():
    clock = FakeClock()
    offset = ClockOffset(clock)
    offset.answered(clock.now_ns() / 1e6, clock.now_ns(), clock.now_ns())
    offset.settle()
    assert offset.offset_ms == pytest.approx(0.0)
    clock.jump(30.0)
    offset.settle()
    assert offset.offset_ms is None
    offset.answered(clock.now_ns() / 1e6 - 30_000, clock.now_ns(), clock.now_ns())
    offset.settle()
    assert offset.offset_ms == pytest.approx(-30_000.0)


def test_a_time_of_years_ago_is_no_clock():
    clock = FakeClock()
    offset = ClockOffset(clock)
    offset.answered(1_400_000_000_000, clock.now_ns(), clock.now_ns())
    offset.settle()
    assert offset.offset_ms is None


@pytest.mark.parametrize(("product", "path"), [("spot", "/api/v3/time"), ("usdm", "/fapi/v1/time")])
def test_binance_s_question(product: str, path: str):
    adapter = create("binance")
    assert adapter.time_request(product).path == path
    assert adapter.parse_time(b'{"serverTime":1499827319559}') == 1499827319559
    with pytest.raises(ParseError):
        adapter.parse_time(b'{"serverTime":"soon"}')


@pytest.mark.parametrize("shift_ms", [700, -900])
async def test_a_clock_that_is_off_does_not_show_in_the_latency(tmp_path, monkeypatch, shift_ms: int):
    """Binance is asked, Kraken pinged; on one machine both are quick."""
    monkeypatch.setattr("feeds.markets.skew.FIRST_QUESTIONS_S", 0.2)
    async with world(tmp_path, None, clock_ms=lambda: clock_ms() + shift_ms) as (_, engine, _, _):
        offsets = {name: venue.clock_offset for name, venue in engine.venues.items()}
        await until(lambda: all(offset.offset_ms is not None for offset in offsets.values()))
        assert {name: offset.offset_ms for name, offset in offsets.items()} == {
            "binance": pytest.approx(shift_ms, abs=in_time(60)),
            "kraken": pytest.approx(shift_ms, abs=in_time(60)),
        }
        lanes = [lane for venue in engine.venues.values() for lane in venue.lanes]
        for lane in lanes:
            lane.latency = type(lane.latency)()
        await until(lambda: all((lane.latency.summary() or {}).get("p50") is not None for lane in lanes))
        assert all(-20 < lane.latency.summary()["p50"] < 200 for lane in lanes)
        told = engine.health()["clock_offsets_ms"]
        assert told == {name: pytest.approx(shift_ms, abs=in_time(60)) for name in ("binance", "kraken")}


async def test_times_of_years_ago_break_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("feeds.markets.skew.FIRST_QUESTIONS_S", 0.1)
    async with world(tmp_path, None, clock_ms=lambda: clock_ms() - 2 * 365 * 86_400_000) as (_, engine, sink, _):
        await until(lambda: len(sink.frames.get("book:binance:BTC/USDT", [])) > 10)
        engine.board.measure()
        assert engine.health()["clock_offsets_ms"] == {"binance": None, "kraken": None}
        rows = engine.board.draw().data["connections"]
        assert {row["latency_ms"] for row in rows} == {None}
        assert sink.state("book:binance:BTC/USDT") == "LIVE"
