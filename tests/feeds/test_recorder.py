"""Recording: what is written can be verified, by itself, file by file; what is not written is told."""

import asyncio
import errno
import gzip
import json
import os
import random
from pathlib import Path
from typing import Any, ClassVar

import pytest

from feeds.clock import FakeClock
from feeds.config import ExchangeConfig
from feeds.exchange import Request
from feeds.recordings import findings
from feeds.recordings.findings import Report
from feeds.recordings.recorder import Limits, Recorder
from feeds.recordings.recording import RecordingError
from feeds.recordings.verify import verify
from tests.feeds import recordings as help
from tests.feeds.recordings import MARKETS, lines, place, recorded, simulated
from tests.feeds.test_engine import until
from tests.feeds.test_verify import Tape

SPOT = {"binance": ExchangeConfig(name="binance", products=("spot",))}
INFO = Request(path="/api/v3/exchangeInfo", params=(("showPermissionSets", "false"),), product="spot")
DEPTH = Request(path="/api/v3/depth", params=(("symbol", "BTCUSDT"), ("limit", "1000")), product="spot")


def right(report: Report) -> None:
    wrong = ("gaps", "checksums_wrong", "crossed", "bbo_different", "not_understood", "not_recorded")
    assert {name: getattr(report, name) for name in wrong} == dict.fromkeys(wrong, 0)
    assert report.ok, report.faults
    assert report.incomplete == []


async def written(recorder: Recorder) -> None:
    await until(lambda: recorder.waiting_bytes == 0)


class TestRoundTrip:
    async def test_what_every_simulated_exchange_sends_can_be_verified(self, tmp_path: Path) -> None:
        async with simulated(*MARKETS) as server:
            places = [place(name, server.port) for name in MARKETS]
            async with recorded(tmp_path, *places) as (engine, recorder):
                await help.grown(engine, 25)
                feeds = [feed for venue in engine.venues.values() for feed in venue.feeds.values()]
                messages = {
                    name: sum(lane.connection.messages for lane in venue.lanes) for name, venue in engine.venues.items()
                }
                assert all(feed.sync.resyncs == 0 for feed in feeds)
        assert recorder.dropped == recorder.library.unwritten == 0
        for name, symbols in MARKETS.items():
            [path] = help.recordings(tmp_path, name)
            report = verify(path)
            right(report)
            assert report.snapshots == len(symbols)
            assert report.updates_applied > 10 * len(symbols), name
            assert report.frames >= messages[name], "every frame that was received is in the file"
            header = lines(path)[0]
            assert header["venue"] == name and header["simulated"] is True
        assert verify(help.recordings(tmp_path, "binance")[0]).bbo_equal > 20
        assert verify(help.recordings(tmp_path, "kraken")[0]).checksums_right > 20

    @pytest.mark.parametrize("name", ["binance", "kraken", "coinbase"])
    async def test_each_file_of_a_rotation_can_be_verified_by_itself(self, tmp_path: Path, name: str) -> None:
        """By REST nothing is interrupted; by stream each connection is opened anew."""
        async with simulated(name) as server, recorded(tmp_path, place(name, server.port)) as (engine, recorder):
            for count in (2, 3):
                before = [lane.connection.reconnects for lane in engine.venues[name].lanes]
                resyncs = [feed.sync.resyncs for feed in engine.venues[name].feeds.values()]
                await help.grown(engine, 6)
                await recorder.turn(engine, name)
                await until(lambda: len(help.recordings(tmp_path, name)) == count)  # noqa: B023 - waited for here
                if name == "binance":
                    assert [lane.connection.reconnects for lane in engine.venues[name].lanes] == before
                    assert [feed.sync.resyncs for feed in engine.venues[name].feeds.values()] == resyncs
                await until(lambda: all(row["state"] == "LIVE" for row in engine.health()["streams"]))
            await help.grown(engine, 6)
        files = help.recordings(tmp_path, name)
        for path in files:
            report = verify(path)
            right(report)
            assert report.snapshots >= len(MARKETS[name])
            assert report.updates_applied > 5
            closed = [record for record in lines(path)[1:] if record["via"] == "closed"]
            assert not closed, "a file's own end closes nothing for its reader"
        assert sum(verify(path).updates for path in files) > 30

    async def test_files_are_rotated_when_they_are_large_and_the_oldest_are_deleted(self, tmp_path: Path) -> None:
        limits = Limits(rotate_bytes=12_000, most_bytes=80_000)
        async with (
            simulated("binance") as server,
            recorded(tmp_path, place("binance", server.port), limits=limits) as (engine, recorder),
        ):
            keeping = asyncio.create_task(recorder.keep(engine))
            seen: set[str] = set()
            largest = 0

            def many() -> bool:
                nonlocal largest
                files = help.recordings(tmp_path, "binance")
                seen.update(path.name for path in files)
                largest = max(largest, sum(path.stat().st_size for path in files if path.exists()))
                return len(seen) >= 5 and len(files) < len(seen)

            await until(many, 30)
            keeping.cancel()
        assert largest <= 80_000
        reports = [verify(path) for path in help.recordings(tmp_path, "binance")]
        assert any(report.events for report in reports)
        for report in reports:
            if report.events or report.faults:  # the last one may just have been begun
                right(report)

    @pytest.mark.parametrize("product", ["spot and usdm", "spot"])
    def test_a_file_that_was_begun_just_before_the_end_holds_no_frames(self, tmp_path: Path, product: str) -> None:
        path = tmp_path / "file.jsonl"
        path.write_text(json.dumps({"capture": 1, "venue": "binance", "product": product}) + "\n")
        report = verify(path)
        assert (report.frames, report.faults, report.ok) == (0, [], False)
        assert report.product == product.replace(" and", ",")

    async def test_a_connection_that_is_lost_is_told_and_goes_on_under_another_name(self, tmp_path: Path) -> None:
        async with simulated("kraken") as server, recorded(tmp_path, place("kraken", server.port)) as (engine, _):
            lane = engine.venues["kraken"].lanes[0]
            lane.connection.reconnect("for a test")
            await until(lambda: lane.connection.reconnects == 1)
            await until(lambda: all(row["state"] == "LIVE" for row in engine.health()["streams"]))
            await help.grown(engine, 3)
        [path] = help.recordings(tmp_path, "kraken")
        right(verify(path))
        records = lines(path)[1:]
        [closed] = [record for record in records if record["via"] == "closed"]
        assert (closed["conn"], closed["reason"]) == ("spot/1.1", "for a test")
        assert {record["conn"] for record in records if record["via"] == "ws"} == {"spot/1.1", "spot/1.2"}


def recorder_for(folder: Path, **limits: Any) -> tuple[Recorder, FakeClock]:
    clock = FakeClock()
    recorder = Recorder(folder, SPOT, Limits(**limits), clock=clock)
    return recorder, clock


class TestFiles:
    async def test_the_format(self, tmp_path: Path) -> None:
        recorder, clock = recorder_for(tmp_path)
        recorder.start()
        spool = recorder.connected("binance/spot/1")
        clock.advance(0.25)
        spool.frame(b'{"a":"\xc3\xa4"}', clock.monotonic_s())
        recorder.answered("binance", DEPTH, 200, b"{}", private=False)
        recorder.answered("binance", DEPTH, 503, b"no", private=False)
        spool.closed("it broke")
        await recorder.stop()
        await recorder.stop()
        [path] = tmp_path.glob("*.jsonl.gz")
        assert path.name == "binance-20261121T003000Z.jsonl.gz"
        assert path.stat().st_mode & 0o777 == 0o600
        header, *records = lines(path)
        assert header == {
            "capture": 1, "venue": "binance", "product": "spot", "recorded": "2026-11-21T00:30:00.000Z",
            "began_ms": 1_795_221_000_000, "source": "Spreadboard",
        }  # fmt: skip
        depth = "/api/v3/depth?symbol=BTCUSDT&limit=1000"
        assert records == [
            {"t": 0.25, "via": "ws", "conn": "spot/1.1", "raw": '{"a":"ä"}'},
            {"t": 0.25, "via": "rest", "conn": "rest", "raw": "{}", "path": depth},
            {"t": 0.25, "via": "rest", "conn": "rest", "raw": "no", "path": depth, "status": 503},
            {"t": 0.25, "via": "closed", "conn": "spot/1.1", "raw": "", "reason": "it broke"},
        ]

    async def test_a_file_can_be_read_while_it_is_written(self, tmp_path: Path) -> None:
        """So it can after the process was killed."""
        recorder, clock = recorder_for(tmp_path)
        recorder.start()
        spool = recorder.connected("binance/spot/1")
        for number in range(3):
            spool.frame(str(number).encode(), clock.monotonic_s())
            await until(lambda: [len(lines(path)) for path in tmp_path.glob("*.gz")] == [number + 2])  # noqa: B023 - waited for here
        await recorder.stop()

    async def test_two_recorders_do_not_share_a_folder(self, tmp_path: Path) -> None:
        first, _ = recorder_for(tmp_path)
        first.start()
        second, _ = recorder_for(tmp_path)
        with pytest.raises(RecordingError, match="Another recorder writes to"):
            second.start()
        await first.stop()
        second.start()
        await second.stop()

    async def test_instruments_stand_in_every_file(self, tmp_path: Path) -> None:
        recorder, clock = recorder_for(tmp_path)
        recorder.start()
        recorder.answered("binance", INFO, 200, b'{"symbols":[]}', private=False)
        spool = recorder.connected("binance/spot/1")

        class Engine:
            venues: ClassVar[dict[str, Any]] = {}

        clock.advance(5)
        await recorder.turn(Engine(), "binance")
        spool.frame(b"1", clock.monotonic_s())
        await recorder.stop()
        first, second = help.recordings(tmp_path, "binance")
        assert lines(second)[1:] == [
            {"t": 0.0, "via": "rest", "conn": "rest", "raw": '{"symbols":[]}', "path": lines(first)[1]["path"]},
            {"t": 0.0, "via": "ws", "conn": "spot/1.1", "raw": "1"},
        ]


class TestWhatIsLost:
    async def test_a_full_queue_is_counted_and_told_in_the_file_and_the_log(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        recorder, clock = recorder_for(tmp_path, queue_bytes=100_000)
        recorder.library.open()
        recorder._running = True  # the thread begins later: nobody takes anything meanwhile
        spool = recorder.connected("binance/spot/1")
        other = recorder.connected("binance/spot/2")
        raw = b"x" * 9_800
        for _ in range(15):
            spool.frame(raw, clock.monotonic_s())
        other.frame(raw, clock.monotonic_s())
        assert recorder.dropped == 6
        recorder._thread.start()
        await until(lambda: recorder.waiting_bytes == 0)
        clock.advance(1)
        spool.frame(b"and on", clock.monotonic_s())
        await recorder.stop()
        [path] = tmp_path.glob("*.jsonl.gz")
        records = lines(path)[1:]
        assert len([record for record in records if record["raw"] == raw.decode()]) == 10
        assert [record for record in records if record["via"] == "lost"] == [
            {"t": 1.0, "via": "lost", "conn": "spot/1.1", "raw": "", "frames": 5},
            {"t": 1.0, "via": "lost", "conn": "spot/2.1", "raw": "", "frames": 1},
        ]
        assert records[-1]["raw"] == "and on"
        report = verify(path)
        assert (report.not_recorded, report.ok) == (6, False)
        assert "6  frames were not recorded" in findings.describe(report)

    async def test_after_a_loss_a_new_file_begins(self, tmp_path: Path) -> None:
        async with (
            simulated("binance") as server,
            recorded(tmp_path, place("binance", server.port)) as (engine, recorder),
        ):
            keeping = asyncio.create_task(recorder.keep(engine))
            recorder.volume("binance", private=False).holed = True
            await until(lambda: len(help.recordings(tmp_path, "binance")) == 2)
            await help.grown(engine, 3)
            keeping.cancel()
        right(verify(help.recordings(tmp_path, "binance")[1]))

    async def test_a_full_disk_is_told_and_never_exceeded(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Its own open file takes all there may be; a foreign file is not touched."""
        foreign = tmp_path / "kept-20260101.jsonl.gz"
        foreign.write_bytes(b"x" * 5_000)
        recorder, clock = recorder_for(tmp_path, most_bytes=2_000)
        recorder.start()
        spool = recorder.connected("binance/spot/1")
        noise = random.Random(1)
        for _ in range(4):
            spool.frame(noise.randbytes(1_000).hex().encode(), clock.monotonic_s())
            await written(recorder)
            await asyncio.sleep(0)
        await recorder.stop()
        total = sum(path.stat().st_size for path in tmp_path.glob("binance-*.gz"))
        assert total <= 2_000
        assert recorder.library.unwritten > 0
        assert foreign.exists()

    async def test_a_disk_that_fails_for_a_while(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        recorder, clock = recorder_for(tmp_path)
        recorder.start()
        spool = recorder.connected("binance/spot/1")
        spool.frame(b"first", clock.monotonic_s())
        await until(lambda: [len(lines(path)) for path in tmp_path.glob("*.gz")] == [2])
        [file] = recorder.library._files.values()
        real = file.handle

        class Full:
            def write(self, content: bytes) -> None:
                real.write(content[:20])
                real.flush()
                raise OSError(errno.ENOSPC, "No space left on device")

            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

        file.handle = Full()
        clock.advance(1)
        spool.frame(b"lost", clock.monotonic_s())
        await until(lambda: recorder.library.unwritten == 1)
        file.handle = real
        clock.advance(1)
        spool.frame(b"last", clock.monotonic_s())
        await recorder.stop()
        [path] = tmp_path.glob("*.jsonl.gz")
        assert [(record["via"], record["raw"], record.get("frames")) for record in lines(path)[1:]] == [
            ("ws", "first", None),
            ("lost", "", 1),
            ("ws", "last", None),
        ]

    def test_old_recordings_are_deleted_oldest_first(self, tmp_path: Path) -> None:
        async def run() -> None:
            for number in range(3):
                path = tmp_path / f"binance-2026010{number + 1}T000000Z.jsonl.gz"
                path.write_bytes(b"x" * 1_000)
                os.utime(path, (number, number))
            recorder, clock = recorder_for(tmp_path, most_bytes=2_500)
            recorder.start()
            recorder.connected("binance/spot/1").frame(b"1", clock.monotonic_s())
            await recorder.stop()

        asyncio.run(run())
        left = sorted(path.name for path in tmp_path.glob("*.gz"))
        assert left == [
            "binance-20260102T000000Z.jsonl.gz",
            "binance-20260103T000000Z.jsonl.gz",
            "binance-20261121T003000Z.jsonl.gz",
        ]


def test_a_hole_is_not_counted_as_the_exchanges_gap(tmp_path: Path) -> None:
    tape = Tape()
    tape.begin(1)
    tape.update(2)
    tape.record("", via="lost", conn="a", frames=3)
    tape.update(6)
    tape.snapshot(6)
    tape.update(7)
    report = tape.report(tmp_path)
    assert (report.gaps, report.not_recorded, report.ok) == (0, 3, False)
    assert report.snapshots == 2 and report.incomplete == []
    assert report.updates_applied == 2, "2 and 7; the snapshots hold the others"


def test_a_probe_is_no_snapshot(tmp_path: Path) -> None:
    tape = Tape()
    tape.update(1)
    tape.snapshot(1, limit=5)
    tape.update(2)
    report = tape.report(tmp_path)
    assert report.snapshots == 0 and report.incomplete == ["BTCUSDT"]


def test_an_accounts_recording_is_not_verified(tmp_path: Path) -> None:
    path = tmp_path / "accounts.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(json.dumps({"capture": 1, "venue": "binance", "private": True}) + "\n")
    with pytest.raises(RecordingError, match="account's streams"):
        verify(path)
