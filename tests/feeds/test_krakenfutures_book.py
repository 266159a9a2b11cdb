"""Kraken Futures' book: the chain of its numbers, and recordings of it."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.domain import BookDelta, BookSnapshot, Closing
from feeds.errors import SyncError
from feeds.recordings.verify import verify
from feeds.sync import BookSync, Need
from tests.feeds import krakenfutures_frames as frames
from tests.feeds.simulator_help import simulator
from tests.feeds.test_krakenfutures import BTC_USD, EXCHANGE, new_session
from tests.feeds.test_simulator_krakenfutures import API, BTC, FEW, PATH

CHANGE = '{"feed":"book",'
Sides = dict[str, dict[int, int]]


def snapshot_frame(seq: int, sides: Sides) -> str:
    levels = {
        name: [{"price": price, "qty": qty} for price, qty in sides[side].items()]
        for name, side in (("bids", "buy"), ("asks", "sell"))
    }
    return json.dumps({"feed": "book_snapshot", "product_id": "PF_XBTUSD", "seq": seq, "timestamp": 5, **levels})


def delta_frame(seq: int, side: str, price: int, qty: int) -> str:
    row = {"feed": "book", "product_id": "PF_XBTUSD", "side": side, "seq": seq, "price": price, "qty": qty}
    return json.dumps({**row, "timestamp": 5})


@given(data=st.data())
def test_a_ready_book_is_the_exchange_s_at_its_number(data: Any) -> None:
    """Snapshot and changes are the later snapshot, and nothing else: frames get lost, come twice, change places."""
    seq = data.draw(st.integers(1, 10**15))
    sides: Sides = {"buy": {100: 5, 99: 1}, "sell": {101: 2, 103: 4}}
    states = {seq: {side: dict(levels) for side, levels in sides.items()}}
    sent = [snapshot_frame(seq, sides)]
    for _ in range(data.draw(st.integers(1, 30))):
        seq += 1
        side = data.draw(st.sampled_from(["buy", "sell"]))
        price = data.draw(st.integers(90, 100) if side == "buy" else st.integers(101, 110))
        qty = data.draw(st.integers(0, 4))
        sides[side][price] = qty
        sides[side] = {price: qty for price, qty in sides[side].items() if qty}
        states[seq] = {side: dict(levels) for side, levels in sides.items()}
        sent.append(delta_frame(seq, side, price, qty))
        match data.draw(st.sampled_from(["", "", "", "", "lost", "twice", "swapped"])):
            case "lost":
                sent.pop()
            case "twice":
                sent.append(sent[-1])
            case "swapped" if len(sent) > 2:
                sent[-2:] = sent[:-3:-1]
    session, sync = new_session(), BookSync(from_rest=False)
    sync.start()
    for frame in [*sent, snapshot_frame(seq, sides)]:
        for event in session.parse(frame):
            try:
                if isinstance(event, BookSnapshot):
                    sync.take_snapshot(event)
                elif isinstance(event, BookDelta):
                    sync.take_delta(event)
            except SyncError:
                assert sync.needs is Need.RESUBSCRIBE
        if sync.ready:
            assert sync.book.seq is not None
            truth = states[sync.book.seq]
            assert {"buy": sync.book.bids.levels, "sell": sync.book.asks.levels} == truth
    assert sync.book.seq == seq


def test_numbers_that_begin_anew_end_the_connection() -> None:
    """They would be old news for ever, and the book a frozen one that looks alive."""
    session = new_session()
    session.parse(frames.SNAPSHOT)
    session.parse(frames.DELTA)
    event, delta = session.parse(frames.with_changes(frames.DELTA, seq=7))
    assert isinstance(delta, BookDelta) and delta.chained, "the book at another number takes it for a gap"
    assert event == Closing(reason=f"the numbers of {BTC_USD}'s book went back from 326072250 to 7")
    session = new_session()
    session.parse(frames.DELTA)
    session.parse(frames.with_changes(frames.SNAPSHOT, seq=6))
    assert isinstance(session.parse(frames.with_changes(frames.DELTA, seq=7))[0], BookDelta)
    assert isinstance(session.parse(frames.with_changes(frames.DELTA, seq=7))[0], BookDelta)


@pytest.mark.parametrize("with_instruments", [True, False])
async def test_a_recording_is_verified(tmp_path: Path, with_instruments: bool) -> None:
    """Of the simulator's frames, for want of the real ones': whole, and with one frame missing."""
    async with simulator(instruments=FEW) as client, client.socket(PATH) as socket:
        for feed in ("book", "ticker", "trade"):
            await socket.send_json({"event": "subscribe", "feed": feed, "product_ids": [BTC]})
        instruments = json.dumps(await client.get(f"{API}/instruments"), default=str)
        received: list[str] = []
        while sum(text.startswith(CHANGE) for text in received) < 40:
            received.append((await socket.receive()).data)
    header = {"capture": 1, "venue": "krakenfutures", "product": "futures", "recorded": "2026-11-25"}
    records = [{"t": n / 100, "via": "ws", "conn": "1", "raw": text} for n, text in enumerate(received)]
    if with_instruments:
        path = EXCHANGE.markets_requests()[0].path
        records.insert(0, {"t": 0.0, "via": "rest", "path": path, "raw": instruments})

    def written(name: str, rows: list[dict[str, Any]]) -> Path:
        file = tmp_path / name
        with gzip.open(file, "wt", encoding="utf-8") as out:
            out.writelines(json.dumps(row) + "\n" for row in [header, *rows])
        return file

    report = verify(written("whole.jsonl.gz", records))
    assert (report.ok, report.gaps, report.crossed, report.not_understood) == (True, 0, 0, 0), report.faults
    assert (report.frames, report.snapshots) == (len(received), 1)
    updates = sum(text.startswith(CHANGE) for text in received)
    assert (report.updates, report.updates_applied) == (updates, updates)

    changes = [n for n, record in enumerate(records) if record["raw"].startswith(CHANGE)]
    del records[changes[20]]
    report = verify(written("holed.jsonl.gz", records))
    assert (report.ok, report.gaps, report.incomplete) == (False, 1, [BTC_USD if with_instruments else BTC])
