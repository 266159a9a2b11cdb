"""What an exchange says of itself: shown until it is over, logged once when it comes and once when it goes."""

import pytest
import structlog

from feeds.clock import FakeClock
from feeds.domain import Notice
from feeds.markets.notices import REMARK_S, Notices
from feeds.simulator.faults import Fault
from tests.feeds.test_engine import until
from tests.feeds.test_renewal import world

MAINTENANCE = Notice(
    text="Maintenance of spot trading.", key="m1", begins_ms=1_795_221_060_000, ends_ms=1_795_221_120_000
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def notices(clock: FakeClock) -> Notices:
    return Notices("testex", clock)


def test_told_on_every_connection_it_is_new_once(notices: Notices):
    halted = Notice(text="The status is maintenance.", trading=False)
    with structlog.testing.capture_logs() as logs:
        assert [notices.take(halted) for _ in range(3)] == [True, False, False]
        assert notices.text == "The status is maintenance."
        assert [notices.take(Notice(text="", trading=True)) for _ in range(3)] == [True, False, False]
    assert notices.rows() == []
    assert [row["event"] for row in logs] == ["exchange notice", "exchange notice is over"]


def test_planned_maintenance_has_its_times_and_ends_by_itself(notices: Notices, clock: FakeClock):
    notices.take(MAINTENANCE)
    [row] = notices.rows()
    assert row == {
        "text": "Maintenance of spot trading.",
        "trading": None,
        "begins_ms": 1_795_221_060_000,
        "ends_ms": 1_795_221_120_000,
        "since_ms": 1_795_221_000_000,
    }
    clock.advance(119)
    assert not notices.expire()
    clock.advance(1)
    assert notices.expire()
    assert notices.text == ""
    assert not notices.take(MAINTENANCE), "told again although it is over"
    assert notices.text == ""


def test_each_stands_by_itself(notices: Notices):
    notices.take(MAINTENANCE)
    notices.take(Notice(text="Another one.", key="m2"))
    notices.take(Notice(text="The status is post_only.", trading=False))
    notices.take(Notice(text="Testex says: slow down"))
    assert len(notices.rows()) == 4
    notices.take(Notice(text="", key="m2"))
    notices.take(Notice(text="", trading=True))
    assert notices.text == "Maintenance of spot trading. Testex says: slow down"


def test_a_changed_one_takes_the_place_of_the_former(notices: Notices):
    notices.take(Notice(text="It begins soon.", key="m1"))
    assert notices.take(Notice(text="It has begun.", key="m1", trading=False))
    assert notices.text == "It has begun."


def test_a_remark_fades_and_a_status_does_not(notices: Notices, clock: FakeClock):
    notices.take(Notice(text="Testex says: slow down"))
    notices.take(Notice(text="The status is maintenance.", trading=False))
    clock.advance(REMARK_S)
    assert notices.expire()
    assert notices.text == "The status is maintenance."


async def test_on_the_board_until_it_is_over(tmp_path):
    async with world(tmp_path, None) as (server, engine, sink, _):
        engine.lease("relay", ["streams"], 30)

        def said() -> list[str]:
            rows = sink.last("streams")["data"]["exchanges"] if "streams" in sink.frames else []
            return [row["text"] for each in rows for row in each["notices"]]

        server.exchanges["kraken"].act(Fault(exchange="kraken", kind="shutdown", value="maintenance"))
        await until(lambda: said() == ["Kraken's status is maintenance."])
        assert sink.state("book:kraken:BTC/USD") in ("LIVE", "QUIET"), "data decide"
        server.exchanges["kraken"].act(Fault(exchange="kraken", kind="shutdown", value="online"))
        await until(lambda: said() == [])
