"""Verifying recordings: the figures of the real ones, and every kind of fault counted once in made ones."""

import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from feeds.recordings import verify
from feeds.recordings.findings import kind_of
from feeds.recordings.recording import RecordingError
from tests.shared import shared_file

HEADER = {"capture": 1, "venue": "binance", "product": "spot", "recorded": "2026-11-21"}
FIGURES = (
    *("gaps", "checksums_right", "checksums_wrong", "crossed", "bbo_equal", "bbo_different", "not_understood"),
    *("snapshots", "snapshots_too_old", "updates", "updates_applied"),
)


class Tape:
    """A recording in the making. Its spot market has ids 1, 2, 3, ... and a best bid that is the id in cents."""

    def __init__(self, **header: Any) -> None:
        self.lines: list[str] = [json.dumps({**HEADER, **header})]
        self.t = 0.0

    def record(self, raw: str, *, via: str = "ws", conn: str = "a", **more: object) -> None:
        self.t += 0.1
        self.lines.append(json.dumps({"t": self.t, "via": via, "conn": conn, "raw": raw, **more}))

    def update(self, number: int, *, symbol: str = "BTCUSDT", first: int | None = None, **more: Any) -> None:
        before = f"{(number - 1) / 100:.2f}"
        bids = [[before, "0.00000000"], [f"{number / 100:.2f}", "1.00000000"]]
        data = {"e": "depthUpdate", "E": 1, "s": symbol, "U": first or number, "u": number, "b": bids, "a": []}
        self.record(json.dumps({"stream": f"{symbol.lower()}@depth@100ms", "data": data}), **more)

    def quote(self, number: int, *, symbol: str = "BTCUSDT", size: str = "1.00000000", **more: Any) -> None:
        data = {"u": number, "s": symbol, "b": f"{number / 100:.2f}", "B": size, "a": "900.00", "A": "2.00"}
        self.record(json.dumps({"stream": f"{symbol.lower()}@bookTicker", "data": data}), **more)

    def snapshot(self, number: int, *, symbol: str = "BTCUSDT", limit: int = 1000, **more: Any) -> None:
        book = {"lastUpdateId": number, "bids": [[f"{number / 100:.2f}", "1.0"]], "asks": [["900.00", "2.0"]]}
        path = f"/api/v3/depth?symbol={symbol}&limit={limit}"
        self.record(json.dumps(book), via="rest", conn="rest", path=path, **more)

    def begin(self, number: int) -> None:
        self.update(number)
        self.quote(number)
        self.snapshot(number)

    def report(self, folder: Path) -> verify.Report:
        path = folder / "tape.jsonl"
        path.write_text("\n".join(self.lines) + "\n", encoding="utf-8")
        return verify.verify(path)


def figures(report: verify.Report) -> dict[str, int]:
    """The figures that are not 0."""
    return {name: getattr(report, name) for name in FIGURES if getattr(report, name)}


class TestRealRecordings:
    """The figures come from an independent count."""

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("binance-spot-2024-08", {"frames": 71_624, "bbo_equal": 6_564, "checksums_right": 0}),
            ("binance-usdm-2024-08", {"frames": 32_159, "bbo_equal": 2_869, "checksums_right": 0}),
            ("bybit-2026-08", {"frames": 1_004, "bbo_equal": 0, "updates_applied": 712, "snapshots": 2}),
            ("kraken-v2-book-2026-09", {"frames": 88, "bbo_equal": 0, "checksums_right": 78}),
            ("kraken-v2-trade-2026-09", {"frames": 47, "bbo_equal": 0, "checksums_right": 0}),
        ],
    )
    def test_figures(self, name: str, expected: dict[str, int]) -> None:
        report = verify.verify(shared_file(f"captures/{name}.jsonl.gz"))
        assert {key: getattr(report, key) for key in expected} == expected
        wrong = ("gaps", "checksums_wrong", "crossed", "bbo_different", "not_understood", "snapshots_dropped")
        assert [getattr(report, key) for key in wrong] == [0] * 6
        assert report.ok
        assert report.incomplete == []
        no_book = "Nothing was wrong, but there was no order book to verify."
        assert verify.describe(report).endswith(no_book if name == "kraken-v2-trade-2026-09" else "Nothing was wrong.")

    def test_a_lost_frame_is_found(self, tmp_path: Path) -> None:
        """The recording without one depth frame: one gap, and every comparison before it is still right."""
        with gzip.open(shared_file("captures/binance-usdm-2024-08.jsonl.gz"), "rt", encoding="utf-8") as file:
            lines = file.readlines()
        changes = [number for number, line in enumerate(lines) if "@depth@" in line[:120]]
        del lines[changes[1000]]
        path = tmp_path / "holed.jsonl"
        path.write_text("".join(lines), encoding="utf-8")
        report = verify.verify(path)
        assert (report.gaps, report.bbo_different, report.bbo_equal) == (1, 0, 995)
        assert report.incomplete == ["ETHUSDT"]

    def test_a_changed_frame_is_found(self, tmp_path: Path) -> None:
        with gzip.open(shared_file("captures/kraken-v2-book-2026-09.jsonl.gz"), "rt", encoding="utf-8") as file:
            lines = file.readlines()
        del lines[40]
        path = tmp_path / "holed.jsonl"
        path.write_text("".join(lines), encoding="utf-8")
        report = verify.verify(path)
        assert report.checksums_wrong == 1
        assert 30 < report.checksums_right < 40
        assert not report.ok


class TestCounting:
    def test_updates_kept_for_the_snapshot_are_compared_one_by_one(self, tmp_path: Path) -> None:
        tape = Tape()
        for number in (1, 2, 3, 4):
            tape.quote(number)
            tape.update(number)
        tape.snapshot(2)
        tape.quote(5)
        tape.update(5)
        assert figures(tape.report(tmp_path)) == {
            "bbo_equal": 3,
            "snapshots": 1,
            "updates": 5,
            "updates_applied": 3,
        }

    def test_best_prices_may_come_after_the_update(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.begin(1)
        for number in (2, 3, 4):
            tape.update(number)
        for number in (2, 3, 4):
            tape.quote(number)
        report = tape.report(tmp_path)
        assert (report.bbo_equal, report.bbo_different) == (3, 0)

    def test_best_prices_may_run_ahead_and_skip_ids(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.begin(1)
        for number in (2, 3, 5, 6):
            tape.quote(number)
        tape.update(3, first=2)
        tape.update(5, first=4)
        tape.quote(8)
        tape.update(7, first=6)
        report = tape.report(tmp_path)
        assert (report.bbo_equal, report.bbo_different) == (2, 1)
        assert "our best are (0.07, 1.0) and (900.0, 2.0) at update 7" in report.faults[0]
        assert report.faults[0].endswith("the exchange's were (0.06, 1.0) and (900.0, 2.0) since 6.")

    def test_what_the_end_leaves_open_is_not_compared(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.begin(1)
        tape.update(2)
        report = tape.report(tmp_path)
        assert (report.bbo_equal, report.bbo_different, report.updates_applied) == (0, 0, 1)

    def test_a_size_that_differs(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.begin(1)
        tape.update(2)
        tape.quote(2, size="1.00000001")
        report = tape.report(tmp_path)
        assert (report.bbo_equal, report.bbo_different, report.ok) == (0, 1, False)
        assert report.faults == [
            "Line 5: BTCUSDT: our best are (0.02, 1.0) and (900.0, 2.0) at update 2, "
            "the exchange's were (0.02, 1.00000001) and (900.0, 2.0) since 2."
        ]

    def test_no_best_price_yet_is_no_comparison(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.update(1)
        tape.snapshot(1)
        tape.update(2)
        tape.quote(9)
        report = tape.report(tmp_path)
        assert (report.bbo_equal, report.bbo_different, report.updates_applied) == (0, 0, 1)

    def test_a_gap_is_counted_once_and_recovered_from(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.begin(1)
        tape.update(2)
        tape.quote(2)
        for number in (4, 5):
            tape.update(number)
            tape.quote(number)
        tape.snapshot(4)
        tape.update(6)
        tape.quote(6)
        report = tape.report(tmp_path)
        assert figures(report) == {
            "gaps": 1,
            "bbo_equal": 3,
            "snapshots": 2,
            "updates": 5,
            "updates_applied": 3,
        }
        assert report.faults == ["Line 7: BTCUSDT: an update is missing between 2 and 3."]
        assert report.incomplete == []

    def test_gaps_without_a_new_snapshot_are_counted_all_the_same(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.begin(1)
        for number in (2, 5, 6, 9, 10):
            tape.update(number)
        report = tape.report(tmp_path)
        assert (report.gaps, report.updates_applied, report.incomplete) == (2, 1, ["BTCUSDT"])

    def test_a_snapshot_from_before_a_gap_is_of_no_use(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.update(1)
        tape.update(2)
        tape.update(5)
        tape.snapshot(2)
        tape.snapshot(5)
        tape.update(6)
        report = tape.report(tmp_path)
        assert (report.gaps, report.snapshots, report.incomplete) == (1, 1, [])

    def test_an_old_snapshot_is_told_from_a_good_one(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.update(5)
        tape.snapshot(3)
        tape.snapshot(5)
        tape.update(6)
        tape.quote(6)
        report = tape.report(tmp_path)
        assert figures(report) == {
            "snapshots_too_old": 1,
            "snapshots": 1,
            "bbo_equal": 1,
            "updates": 2,
            "updates_applied": 1,
        }
        assert report.ok

    def test_a_snapshot_from_before_the_stream(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.snapshot(4)
        tape.update(5)
        tape.update(6)
        good = tape.report(tmp_path)
        assert (good.snapshots, good.updates_applied, good.gaps) == (1, 2, 0)
        late = Tape()
        late.snapshot(3)
        late.update(5)
        report = late.report(tmp_path)
        assert (report.snapshots_too_old, report.gaps, report.incomplete) == (1, 0, ["BTCUSDT"])

    def test_doubled_and_swapped_frames(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.begin(1)
        tape.update(2)
        tape.update(2)
        doubled = tape.report(tmp_path)
        assert (doubled.gaps, doubled.updates_applied, doubled.ok) == (0, 1, True)
        tape.update(4)
        tape.update(3)
        tape.update(5)
        swapped = tape.report(tmp_path)
        assert (swapped.gaps, swapped.ok) == (1, False)

    def test_a_crossed_book(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.begin(1)
        data = {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": 2, "u": 2, "b": [["900.00", "1"]], "a": []}
        tape.record(json.dumps({"stream": "btcusdt@depth", "data": data}))
        report = tape.report(tmp_path)
        assert (report.crossed, report.incomplete) == (1, ["BTCUSDT"])
        assert report.faults == ["Line 5: BTCUSDT: best bid 900.0 is not below best ask 900.0."]

    def test_an_acknowledgement_is_understood_and_nonsense_is_not(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.record('{"result":null,"id":1}')
        tape.record('{"stream":"btcusdt@depth@100ms","data":{}}')
        tape.record("{")
        report = tape.report(tmp_path)
        assert (report.frames, report.not_understood, report.corrupt_lines) == (3, 2, 0)
        assert [fault.partition(":")[0] for fault in report.faults] == ["Line 3", "Line 4"]

    def test_many_faults_are_counted_and_the_first_are_told(self, tmp_path: Path) -> None:
        tape = Tape()
        for _ in range(50):
            tape.record("{")
        report = tape.report(tmp_path)
        assert (report.not_understood, len(report.faults)) == (50, 20)
        assert verify.describe(report).endswith("... and 30 more.")


class TwoProducts:
    """A recording in the making: one connection for each product, the same market name on both."""

    def __init__(self, product: str, *, instruments: bool = True) -> None:
        self.lines = [json.dumps({"capture": 1, "venue": "bybit", "product": product})]
        for category in ("spot", "linear") if instruments else ():
            row = {
                "symbol": "BTCUSDT",
                "status": "Trading",
                "baseCoin": "BTC",
                "quoteCoin": "USDT",
                "settleCoin": "USDT",
            }
            row |= {"contractType": "LinearPerpetual", "priceFilter": {"tickSize": "0.1"}}
            row["lotSizeFilter"] = {"minOrderQty": "1", "qtyStep": "1", "basePrecision": "0.1"}
            body = json.dumps({"retCode": 0, "result": {"category": category, "list": [row]}})
            path = f"/v5/market/instruments-info?category={category}"
            self.lines.append(json.dumps({"t": 0, "via": "rest", "conn": "rest", "raw": body, "path": path}))

    def book(self, conn: str, u: int, bid: str, kind: str = "delta") -> None:
        data = {"s": "BTCUSDT", "b": [[bid, "1"]], "a": [["900", "1"]], "u": u, "seq": u * 7}
        frame = {"topic": "orderbook.50.BTCUSDT", "type": kind, "ts": 1, "data": data, "cts": 1}
        self.lines.append(json.dumps({"t": len(self.lines), "via": "ws", "conn": conn, "raw": json.dumps(frame)}))

    def report(self, folder: Path) -> verify.Report:
        path = folder / "tape.jsonl"
        path.write_text("\n".join(self.lines) + "\n", encoding="utf-8")
        return verify.verify(path)


class TestProductsOfConnections:
    def filled(self, product: str, conns: Sequence[str] = ("one", "two"), **more: bool) -> TwoProducts:
        tape = TwoProducts(product, **more)
        for conn in conns:
            tape.book(conn, 10, "5", "snapshot")
        for number in (11, 12, 14):
            tape.book(conns[0], number, "6")
            tape.book(conns[1], number if number < 14 else 13, "6")
        return tape

    @pytest.mark.parametrize(
        ("product", "conns"),
        [
            ("v5 linear (conn one) and spot (conn two)", ("one", "two")),
            ("linear (conn one)", ("one", "wss://stream.example.com/v5/public/spot")),
            ("both", ("linear-1", "spot-1")),
        ],
    )
    def test_each_has_its_own(self, tmp_path: Path, product: str, conns: Sequence[str]) -> None:
        report = self.filled(product, conns).report(tmp_path)
        assert report.product == "linear, spot"
        assert (report.snapshots, report.updates_applied, report.gaps, report.rest_answers) == (2, 5, 1, 2)
        assert report.faults == ["Line 10: BTC/USDT:USDT: an update is missing between 12 and 13."]
        assert report.incomplete == ["BTC/USDT:USDT"]

    def test_without_instruments_the_markets_are_told_apart(self, tmp_path: Path) -> None:
        tape = self.filled("linear (conn one) and spot (conn two)", instruments=False)
        assert tape.report(tmp_path).incomplete == ["BTCUSDT (linear)"]

    def test_a_connection_that_nobody_names(self, tmp_path: Path) -> None:
        with pytest.raises(RecordingError, match="bybit has: spot, linear; connection 'two' names none"):
            self.filled("linear (conn one)").report(tmp_path)

    def test_a_stream_that_begins_anew_counts_from_there(self, tmp_path: Path) -> None:
        """A snapshot of its own, as after a new subscription or a restart: neither number before it is missed."""
        tape = TwoProducts("spot")
        for number, kind in ((10, "snapshot"), (11, "delta"), (90, "snapshot"), (91, "delta"), (1, "snapshot")):
            tape.book("a", number, "5", kind)
        tape.book("a", 2, "5")
        report = tape.report(tmp_path)
        assert (report.snapshots, report.updates_applied, report.gaps, report.ok) == (3, 3, 0, True)
        tape.book("a", 4, "5")
        assert tape.report(tmp_path).gaps == 1

    def test_a_restart_without_a_snapshot_is_a_gap(self, tmp_path: Path) -> None:
        tape = TwoProducts("spot")
        for number, kind in ((500, "snapshot"), (501, "delta"), (1, "delta"), (2, "delta")):
            tape.book("a", number, "5", kind)
        report = tape.report(tmp_path)
        assert (report.gaps, report.updates_applied, report.incomplete) == (1, 1, ["BTC/USDT"])

    def test_a_snapshot_of_a_slightly_lower_number_is_the_book(self, tmp_path: Path) -> None:
        """A restart of the service that had told few messages yet."""
        tape = TwoProducts("spot")
        for number, kind in ((8, "snapshot"), (9, "delta"), (1, "snapshot"), (2, "delta"), (3, "delta")):
            tape.book("a", number, "5", kind)
        report = tape.report(tmp_path)
        assert (report.snapshots, report.updates_applied, report.gaps, report.snapshots_dropped) == (2, 3, 0, 0)
        assert report.ok


class TestOkx:
    def book(self, tape: Tape, seq: int, prev: int | None, channel: str = "books", bid: str = "9") -> None:
        row: dict[str, Any] = {"asks": [["10", "1", "0", "1"]], "bids": [[bid, "1", "0", "1"]], "ts": "1", "seqId": seq}
        frame: dict[str, Any] = {"arg": {"channel": channel, "instId": "BTC-USDT"}, "data": [row]}
        if prev is not None:
            row |= {"checksum": 0, "prevSeqId": prev}
            frame["action"] = "snapshot" if prev == -1 else "update"
        tape.record(json.dumps(frame))

    @pytest.mark.parametrize("channel", ["books", "books-l2-tbt", "books50-l2-tbt"])
    def test_the_documented_series_and_a_snapshot_of_a_lower_number(self, tmp_path: Path, channel: str) -> None:
        tape = Tape(venue="okex", product=None)
        for seq, prev in ((10, -1), (15, 10), (15, 15), (3, 15), (5, 3), (4, -1), (6, 4)):
            self.book(tape, seq, prev, channel)
        report = tape.report(tmp_path)
        assert (report.snapshots, report.gaps, report.snapshots_dropped, report.not_used) == (2, 0, 0, 0)
        assert (report.books, report.incomplete, report.ok) == (1, [], True)

    def test_five_levels_are_compared_with_best_prices(self, tmp_path: Path) -> None:
        tape = Tape(venue="okx", product="v5")
        for seq, bid, best in ((1, "8", "8"), (2, "9", "9"), (3, "9", "8")):
            self.book(tape, seq, None, "books5", bid)
            self.book(tape, seq, None, "bbo-tbt", best)
        report = tape.report(tmp_path)
        assert (report.snapshots, report.bbo_equal, report.bbo_different) == (3, 2, 1)

    def test_numbers_of_best_prices_that_begin_anew_are_not_compared_with_former_ones(self, tmp_path: Path) -> None:
        tape = Tape(venue="okx", product="v5")
        self.book(tape, 10, -1)
        self.book(tape, 10, None, "bbo-tbt")
        self.book(tape, 15, 10, bid="8.5")  # its best prices never came
        self.book(tape, 3, None, "bbo-tbt", "8")
        self.book(tape, 20, None, "bbo-tbt", "9")
        report = tape.report(tmp_path)
        assert (report.bbo_equal, report.bbo_different) == (1, 0)


class TestSnapshotsByStream:
    """Of LMEX, whose protocol numbers each topic and tells the time of every message."""

    def tape(self) -> Tape:
        return Tape(venue="lmex", product="futures")

    def book(self, tape: Tape, kind: str, seq: int, ms: int, **sides: list[list[str]]) -> None:
        data = {"bids": [["9", "1"]], "asks": [["10", "1"]], **sides, "seqNum": seq, "prevSeqNum": seq - 1}
        data |= {"type": kind, "timestamp": ms, "symbol": "BTC-PERP"}
        tape.record(json.dumps({"topic": "update:BTC-PERP_0", "data": data}))

    def test_one_that_is_late_is_dropped_and_counted(self, tmp_path: Path) -> None:
        tape = self.tape()
        self.book(tape, "snapshot", 8, 100)
        self.book(tape, "delta", 9, 101)
        self.book(tape, "snapshot", 8, 100)
        report = tape.report(tmp_path)
        assert (report.snapshots, report.snapshots_dropped, report.gaps, report.ok) == (1, 1, 1, False)
        assert report.faults == ["Line 4: BTC-PERP: BTC-PERP: a snapshot of 8 came when the book was at 9."]
        self.book(tape, "snapshot", 12, 104)
        again = tape.report(tmp_path)
        assert (again.snapshots, again.incomplete, again.ok) == (2, [], False)

    def test_a_later_one_of_a_lower_number_is_the_book(self, tmp_path: Path) -> None:
        tape = self.tape()
        self.book(tape, "snapshot", 8, 100)
        self.book(tape, "snapshot", 7, 101)
        self.book(tape, "delta", 8, 102)
        report = tape.report(tmp_path)
        assert (report.snapshots, report.updates_applied, report.gaps, report.ok) == (2, 1, 0, True)

    def test_a_crossed_one_is_counted_as_both(self, tmp_path: Path) -> None:
        tape = self.tape()
        self.book(tape, "snapshot", 8, 100, bids=[["11", "1"]])
        report = tape.report(tmp_path)
        assert (report.crossed, report.snapshots_dropped, report.snapshots, report.ok) == (1, 1, 0, False)


class TestWholeBooks:
    """A market of which nothing but snapshots came: each is the book."""

    def bitstamp(self, tape: Tape, micros: int, bid: str, ask: str = "10") -> None:
        data = {"timestamp": "1", "microtimestamp": str(micros), "bids": [[bid, "1"]], "asks": [[ask, "2"]]}
        tape.record(json.dumps({"event": "data", "channel": "order_book_btcusd", "data": data}))

    def test_where_the_first_book_comes_by_rest(self, tmp_path: Path) -> None:
        tape = Tape(venue="bitstamp", product="spot")
        for micros, bid in ((1, "8"), (2, "9"), (2, "9"), (1, "8")):
            self.bitstamp(tape, micros, bid)
        report = tape.report(tmp_path)
        assert (report.books, report.snapshots, report.snapshots_too_old, report.ok) == (1, 3, 1, True)
        self.bitstamp(tape, 3, "10")
        assert (tape.report(tmp_path).crossed, tape.report(tmp_path).incomplete) == (1, ["btcusd"])

    def test_best_parts_of_books_are_compared(self, tmp_path: Path) -> None:
        tape = Tape()
        for number, bid in ((5, "0.05"), (6, "0.05"), (7, "0.07")):
            partial = {"lastUpdateId": number, "bids": [[bid, "1"]], "asks": [["900", "2"]]}
            tape.quote(number)
            tape.record(json.dumps({"stream": "btcusdt@depth5", "data": partial}))
        report = tape.report(tmp_path)
        assert (report.snapshots, report.bbo_equal, report.bbo_different, report.ok) == (3, 1, 1, False)


class TestWhatIsNotVerified:
    def test_nothing_at_all_is_not_right(self, tmp_path: Path) -> None:
        report = Tape().report(tmp_path)
        assert (report.frames, report.events, report.ok) == (0, 0, False)
        assert verify.describe(report).endswith("nothing to verify: no frame says anything that is used.")
        tape = Tape(venue="bybit")
        tape.record('{"topic":"orderbook.rpi.BTCUSDT","type":"snapshot","ts":1,"data":{}}')
        tape.record('{"topic":"allLiquidation.BTCUSDT","type":"snapshot","ts":1,"data":[]}')
        tape.record('{"topic":"allLiquidation.ETHUSDT","type":"snapshot","ts":1,"data":[]}')
        tape.record('{"success":true,"ret_msg":"pong","conn_id":"1","req_id":"1","op":"ping"}')
        report = tape.report(tmp_path)
        assert (report.frames, report.not_understood, report.not_used, report.ok) == (4, 0, 4, False)
        assert report.not_used_kinds == {"orderbook.rpi": 1, "allLiquidation": 2, "ping": 1}
        said = "frames were understood and say nothing that is used: allLiquidation 2, orderbook.rpi 1, ping 1"
        assert said in verify.describe(report)

    @pytest.mark.parametrize(
        ("raw", "kind"),
        [
            ('{"arg":{"channel":"books-elp","instId":"A-B"},"data":[]}', "books-elp"),
            ('{"event":"subscribe","arg":{"channel":"books","instId":"A-B"}}', "subscribe"),
            ('{"stream":"btcusdt@rpiDepth","data":{}}', "rpiDepth"),
            ('{"topic":"orderBookApi:BTC-PERP_0","data":{}}', "orderBookApi"),
            ('[{"T":"s"},{"T":"d"}]', "d"),
            ('{"channel":7,"e":"24hrMiniTicker"}', "24hrMiniTicker"),
            ("pong", "pong"),
            ("[]", "unnamed"),
            ("{}", "unnamed"),
        ],
    )
    def test_a_frame_is_named_by_what_it_calls_itself(self, raw: str, kind: str) -> None:
        assert kind_of(raw) == kind

    def test_a_book_that_is_not_complete_is_told_beside_what_is_wrong(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.update(1)
        report = tape.report(tmp_path)
        assert (report.incomplete, report.faults, report.ok, report.complete) == (["BTCUSDT"], [], True, False)
        assert verify.describe(report).endswith("Nothing was wrong, but not every book could be verified to the end.")


class TestConnectionsThatEnd:
    def coinbase(self, tape: Tape, number: int, kind: str, bid: str, at_s: float) -> None:
        event = {"type": kind, "product_id": "BTC-USD", "updates": []}
        for side, price in (("bid", bid), ("offer", "10")):
            event["updates"].append({"side": side, "price_level": price, "new_quantity": "1"})
        stamp = f"2026-08-09T10:00:{at_s:06.3f}Z"
        frame = {"channel": "l2_data", "timestamp": stamp, "sequence_num": number, "events": [event]}
        tape.record(json.dumps(frame))

    def begun(self) -> Tape:
        tape = Tape(venue="coinbase", product="spot")
        for number, kind in ((0, "snapshot"), (1, "update"), (2, "update")):
            self.coinbase(tape, number, kind, f"{number + 1}", number)
        return tape

    def test_what_follows_under_its_name_is_another_one(self, tmp_path: Path) -> None:
        tape = self.begun()
        tape.record("", via="closed", reason="test")
        self.coinbase(tape, 0, "snapshot", "5", 1)  # even with the same clock
        self.coinbase(tape, 1, "update", "6", 1)
        report = tape.report(tmp_path)
        assert (report.snapshots, report.updates_applied, report.gaps, report.ok) == (2, 3, 0, True)

    def test_the_last_word_is_no_fault(self, tmp_path: Path) -> None:
        tape = self.begun()
        tape.record("", via="closed", reason="test")
        assert tape.report(tmp_path).ok

    def test_without_a_word_the_numbers_tell(self, tmp_path: Path) -> None:
        tape = self.begun()
        self.coinbase(tape, 0, "snapshot", "5", 2.5)
        self.coinbase(tape, 1, "update", "6", 2.6)
        report = tape.report(tmp_path)
        assert (report.snapshots, report.updates_applied, report.gaps, report.ok) == (2, 3, 0, True)

    def test_numbers_that_begin_anew_without_a_book_are_a_gap(self, tmp_path: Path) -> None:
        tape = self.begun()
        self.coinbase(tape, 0, "update", "5", 2.5)
        report = tape.report(tmp_path)
        assert (report.gaps, report.incomplete) == (1, ["BTC-USD"])

    def test_a_frame_that_comes_again_is_none_of_another_connection(self, tmp_path: Path) -> None:
        tape = self.begun()
        for number in (0, 1, 2):
            self.coinbase(tape, number, "snapshot" if number == 0 else "update", f"{number + 1}", number)
        report = tape.report(tmp_path)
        assert (report.snapshots, report.updates_applied, report.gaps, report.ok) == (1, 2, 0, True)


class TestSeveral:
    def test_markets_and_connections_are_kept_apart(self, tmp_path: Path) -> None:
        tape = Tape()
        for conn, symbol in (("a", "BTCUSDT"), ("b", "BTCUSDT"), ("a", "ETHUSDT")):
            tape.update(1, symbol=symbol, conn=conn)
            tape.quote(1, symbol=symbol, conn=conn)
        tape.snapshot(1)
        tape.snapshot(1, symbol="ETHUSDT")
        for number in (2, 3, 4):
            tape.update(number, conn="a")
            tape.quote(number, conn="a")
            tape.update(number, symbol="ETHUSDT", conn="a")
            tape.quote(number, symbol="ETHUSDT", conn="a")
            if number != 3:  # b misses one
                tape.update(number, conn="b")
            tape.quote(number, conn="b")
        report = tape.report(tmp_path)
        assert (report.gaps, report.bbo_equal, report.bbo_different) == (1, 7, 0)
        assert (report.snapshots, report.incomplete) == (3, ["BTCUSDT"])

    def test_best_prices_of_another_connection(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.update(1, conn="books")
        tape.snapshot(1)
        for number in (2, 3):
            tape.update(number, conn="books")
            tape.quote(number, conn="prices")
        report = tape.report(tmp_path)
        assert (report.bbo_equal, report.bbo_different) == (2, 0)

    def test_instruments_that_were_recorded_give_the_names(self, tmp_path: Path) -> None:
        tape = Tape()
        listed = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": []}
        tape.update(3)
        tape.record(json.dumps({"symbols": [listed]}), via="rest", path="/api/v3/exchangeInfo")
        assert tape.report(tmp_path).incomplete == ["BTC/USDT"]

    def test_answers_are_ordered_by_time(self, tmp_path: Path) -> None:
        """A recorder that writes REST answers when they are complete may write them late."""
        tape = Tape()
        tape.begin(1)
        for number in (2, 3, 4):
            tape.update(number)
            tape.quote(number)
        tape.lines.append(tape.lines.pop(3))
        report = tape.report(tmp_path)
        assert (report.snapshots, report.bbo_equal) == (1, 3)

    @pytest.mark.parametrize(
        "more",
        [
            {"path": "/api/v3/depth?symbol=BTCUSDT&limit=1000", "raw": '{"code":-1003,"msg":"Too many requests."}'},
            {"path": "/api/v3/depth?symbol=DOGEUSDT&limit=1000", "raw": "{}"},
            {"path": "/api/v3/klines?symbol=BTCUSDT", "raw": "[]"},
            {"path": "", "raw": "hello"},
        ],
    )
    def test_other_answers_are_left_alone(self, tmp_path: Path, more: dict[str, str]) -> None:
        tape = Tape()
        tape.begin(1)
        tape.record(via="rest", **more)
        report = tape.report(tmp_path)
        assert (report.ok, report.rest_answers, report.snapshots) == (True, 2, 1)

    def test_a_snapshot_that_is_none(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.update(1)
        tape.record("<html>", via="rest", path="/api/v3/depth?symbol=BTCUSDT&limit=1000")
        report = tape.report(tmp_path)
        assert (report.not_understood, report.snapshots) == (1, 0)

    def test_partial_books_are_no_basis(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.update(1)
        partial = {"lastUpdateId": 1, "bids": [["0.01", "1"]], "asks": [["900", "2"]]}
        tape.record(json.dumps({"stream": "btcusdt@depth5", "data": partial}))
        report = tape.report(tmp_path)
        assert (report.events, report.snapshots, report.incomplete) == (2, 0, ["BTCUSDT"])


class TestFiles:
    def lines(self, folder: Path, lines: Sequence[str], *, pack: bool = False) -> Path:
        path = folder / "file.jsonl"
        body = "".join(f"{line}\n" for line in lines).encode()
        path.write_bytes(gzip.compress(body) if pack else body)
        return path

    @pytest.mark.parametrize("pack", [False, True])
    def test_plain_and_packed(self, tmp_path: Path, pack: bool) -> None:
        tape = Tape()
        tape.begin(1)
        report = verify.verify(self.lines(tmp_path, tape.lines, pack=pack))
        assert (report.frames, report.rest_answers, report.file) == (2, 1, "file.jsonl")

    @pytest.mark.parametrize(
        "line",
        [
            "{",
            "[]",
            '{"t":1}',
            '{"t":"x","via":"ws","raw":""}',
            '{"t":1,"via":"carrier pigeon","raw":"coo"}',
            '{"t":1,"via":"ws","raw":{}}',
        ],
    )
    def test_corrupt_lines(self, tmp_path: Path, line: str) -> None:
        tape = Tape()
        tape.begin(1)
        tape.lines.insert(2, line)
        tape.lines.insert(2, "")
        tape.update(2)
        tape.quote(2)
        report = tape.report(tmp_path)
        assert (report.frames, report.corrupt_lines, report.not_understood, report.bbo_equal) == (4, 1, 1, 1)
        assert report.faults[0].startswith("Line 4: ")

    def test_what_was_cut_off_is_told_and_the_rest_is_used(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.begin(1)
        for number in range(2, 500):
            tape.update(number)
            tape.quote(number)
        path = tmp_path / "cut.jsonl.gz"
        body = gzip.compress("\n".join(tape.lines).encode())
        path.write_bytes(body[: len(body) // 2])
        report = verify.verify(path)
        assert report.corrupt_lines in (1, 2)  # and the line that was cut in two
        assert report.bbo_equal > 50
        assert "cannot be read on from here" in report.faults[-1]

    @pytest.mark.parametrize(
        ("first", "reason"),
        [
            ("", "does not begin with a header"),
            ("hello", "line 1 is not the header of a recording"),
            ("[]", "line 1 is not the header of a recording"),
            ('{"venue":"binance","product":"spot"}', '"capture": None; only format 1'),
            ('{"capture":2,"venue":"binance","product":"spot"}', '"capture": 2; only format 1'),
            ('{"capture":1,"product":"spot"}', '"venue" is missing'),
            ('{"capture":1,"venue":"binance"}', '"product" is None; binance has: spot, usdm'),
            ('{"capture":1,"venue":"binance","product":"coinm"}', "\"product\" is 'coinm'; binance has: spot, usdm"),
            (
                '{"capture":1,"venue":"nowhere","product":"spot"}',
                "'nowhere', which has no adapter; there are: alpaca, ",
            ),
        ],
    )
    def test_headers_that_do_not_do(self, tmp_path: Path, first: str, reason: str) -> None:
        with pytest.raises(RecordingError) as error:
            verify.verify(self.lines(tmp_path, [first]))
        assert reason in str(error.value)

    def test_an_exchange_of_one_product_needs_no_name_for_it(self, tmp_path: Path) -> None:
        report = verify.verify(self.lines(tmp_path, ['{"capture":1,"venue":"kraken","product":"WebSocket v2"}']))
        assert (report.product, report.frames) == ("spot", 0)

    @pytest.mark.parametrize("content", [b"", b"\x1f\x8b", b"\x1f\x8bnot really", b"\xff\xff\xff"])
    def test_files_that_are_no_recording(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "file"
        path.write_bytes(content)
        with pytest.raises(RecordingError):
            verify.verify(path)


class TestCommand:
    """``manage.py verify`` and ``python -m feeds.recordings.verify`` are one."""

    def recording(self, folder: Path, *, good: bool) -> str:
        tape = Tape()
        tape.begin(1)
        tape.update(2 if good else 3)
        tape.quote(2 if good else 3)
        tape.report(folder)
        return str(folder / "tape.jsonl")

    def test_json_is_one_object(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert verify.main([self.recording(tmp_path, good=True), "--json"]) == 0
        out, err = capsys.readouterr()
        report = json.loads(out)
        assert (report["frames"], report["events"], report["bbo_equal"], report["gaps"]) == (4, 4, 1, 0)
        assert out.count("\n") == 1
        assert err == ""

    def test_sentences(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert verify.main([self.recording(tmp_path, good=False)]) == 1
        text = capsys.readouterr().out
        assert text.startswith("binance spot, recorded 2026-11-21: tape.jsonl\n")
        assert "           1  gaps: updates that are missing\n" in text
        assert "Not complete at the end: BTCUSDT" in text
        assert "Something was wrong:\nLine 5: BTCUSDT: an update is missing between 1 and 2.\n" in text

    def test_a_file_that_is_not_there(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert verify.main([str(tmp_path / "none")]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err == f"{tmp_path / 'none'} cannot be read: No such file or directory.\n"

    @pytest.mark.parametrize(("good", "code"), [(True, None), (False, 1)])
    def test_by_manage_py_without_a_database(self, tmp_path: Path, good: bool, code: int | None) -> None:
        """No database mark: a query would fail the test."""
        out = io.StringIO()
        path = self.recording(tmp_path, good=good)
        if code is None:
            call_command("verify", path, "--json", stdout=out)
        else:
            with pytest.raises(SystemExit) as stop:
                call_command("verify", path, "--json", stdout=out)
            assert stop.value.code == code
        assert json.loads(out.getvalue())["ok"] is good

    def test_by_manage_py_a_file_that_cannot_be_verified(self, tmp_path: Path) -> None:
        err = io.StringIO()
        with pytest.raises(SystemExit) as stop:
            call_command("verify", str(tmp_path), stderr=err)
        assert stop.value.code == 2
        assert "Is a directory" in err.getvalue()
