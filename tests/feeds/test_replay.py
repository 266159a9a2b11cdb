"""Replaying: the real recordings, and those of our own, through the real engine; every book against a naive replay."""

import asyncio
import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench.fault_runs import Truth, number_of
from bench.truths import REPLAYS
from bench.truths.scene import SHARED, Scene
from feeds.exchanges import recorded_as
from feeds.recordings.player import Player, Reel
from feeds.recordings.recording import RecordingError
from feeds.stream import Connection
from tests.feeds.recordings import MARKETS, grown, place, recorded, recordings, simulated
from tests.feeds.replays import Frames, ended, replayed
from tests.feeds.test_engine import until
from tests.feeds.test_verify import Tape
from tests.shared import shared_file

CAPTURES = sorted((SHARED / "captures").glob("*.jsonl.gz"))
SCENES = {
    "binance-spot-2024-08": [Scene("binance", "spot", "", ("BTCUSDT", "ETHUSDT"))],
    "binance-usdm-2024-08": [Scene("binance", "usdm", "", ("ETHUSDT",))],
    "bybit-2026-08": [Scene("bybit", "spot", "", ("BTC/USDT",)), Scene("bybit", "linear", "", ("BTC/USDT:USDT",))],
    "coinbase-advanced-2026-08": [Scene("coinbase", "spot", "", ("BTC/USD", "ETH/USD"))],
    "kraken-v2-book-2026-09": [Scene("kraken", "spot", "", ("BTC/USD",), 10)],
    "okx-2022-05": [Scene("okx", "spot", "", ("BTC/USDT",))],
}
"""Symbols as the replay shows them: without instruments, the exchange's own names."""

SPEED = {
    "binance-spot-2024-08": 110.0,
    "binance-usdm-2024-08": 75.0,
    "kraken-v2-book-2026-09": 4.0,
    "okx-2022-05": 3.0,
}
"""So that each takes a few seconds; the others are played at ten times their pace."""


LEAD_S = {"okx-2022-05": 226.0}
"""Before the first frame there are only answers, minutes apart: that much of the time is left out."""


def shortened(path: Path, folder: Path, lead_s: float) -> Path:
    """A copy whose first ``lead_s`` seconds pass at once."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        header, *records = (json.loads(line) for line in file)
    for record in records:
        record["t"] = max(0.0, record["t"] - lead_s)
    copy = folder / path.name
    with gzip.open(copy, "wt", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(line)}\n" for line in (header, *records))
    return copy


def header_of(path: Path) -> dict[str, Any]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return json.loads(next(file))


def wrong_books(frames: Frames, scene: Scene, records: list[dict[str, Any]]) -> Iterator[str]:
    """Every usable book frame of these markets that is not the recording's book."""
    truth = Truth(scene, records)
    for symbol in scene.symbols:
        for frame in frames.all[f"book:{scene.exchange}:{symbol}"]:
            data = frame["data"]
            if frame["state"] not in ("LIVE", "QUIET") or not data["bids"]:
                continue
            price, size = (Decimal(1).scaleb(-data[key]) for key in ("price_decimals", "size_decimals"))
            bids, asks = ([(p * price, q * size) for p, q in data[side]] for side in ("bids", "asks"))
            if (difference := truth.difference(symbol, number_of(frame), bids, asks)) is not None:
                yield difference


def books(frames: Frames, exchange: str, symbol: str) -> set[Any]:
    """The different books that were shown as usable."""
    return {
        json.dumps([number_of(frame), frame["data"]["bids"][:1]])
        for frame in frames.all[f"book:{exchange}:{symbol}"]
        if frame["state"] == "LIVE" and frame["data"]["bids"]
    }


class TestRealRecordings:
    @pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name.partition(".")[0])
    async def test_each_opens_and_shows_the_recorded_books(self, tmp_path: Path, path: Path) -> None:
        shared_file(f"captures/{path.name}")
        name, venue = path.name.partition(".")[0], header_of(path)["venue"]
        exchange = recorded_as(venue)
        assert exchange is not None, "every recorded exchange has an adapter"
        if name in LEAD_S:
            path = shortened(path, tmp_path, LEAD_S[name])
        async with replayed(path, tmp_path, speed=SPEED.get(name, 10.0)) as (engine, frames, player):
            await ended(player)
            rows = {row["symbol"]: row for row in engine.health()["streams"]}
            assert rows and all(row["replay"] for row in rows.values())
            assert all(row["state"] in ("STALE", "DOWN") and "The recording" in row["reason"] for row in rows.values())
            for lane in engine.venues[exchange].lanes:
                assert lane.latency.summary() is None, "recorded times tell no latency"
        with gzip.open(path, "rt", encoding="utf-8") as file:
            next(file)
            records = [json.loads(line) for line in file]
        for scene in SCENES.get(name, []):
            replay = REPLAYS[scene.exchange]
            told = Scene(scene.exchange, scene.product, "", scene.symbols, scene.depth)
            assert set(scene.symbols) <= set(rows)
            assert list(wrong_books(frames, told, records)) == [], replay
            for symbol in scene.symbols:
                assert len(books(frames, exchange, symbol)) > 20, "a book that moves"

    async def test_where_there_is_no_book_prints_are_shown_and_the_lack_is_said(self, tmp_path: Path) -> None:
        path = shared_file("captures/kraken-v2-trade-2026-09.jsonl.gz")
        async with replayed(path, tmp_path, speed=4.0) as (engine, frames, player):
            await ended(player)
            [row] = engine.health()["streams"]
        trades = frames.all["trades:kraken:BTC/USD"]
        assert trades[-2]["state"] == "LIVE" and len(trades[-2]["data"]["trades"]) > 10
        assert {frame["state"] for frame in frames.all["book:kraken:BTC/USD"]} == {"DOWN"}
        assert row["state"] == "STALE"

    async def test_what_exchanges_show_together_is_there_as_far_as_the_books_are(self, tmp_path: Path) -> None:
        path = shared_file("captures/kraken-v2-book-2026-09.jsonl.gz")
        async with replayed(path, tmp_path, speed=4.0, begin=False) as (engine, frames, player):
            engine.lease("somebody", ["across:BTC/USD", "matrix@0.01:BTC/USD"], 30)
            player.begin()
            await ended(player)
            await until(lambda: frames.state("across:BTC/USD") == "STALE")
        for topic in ("across:BTC/USD", "matrix@0.01:BTC/USD"):
            shown = [frame for frame in frames.all[topic] if frame["data"]["legs"][0]["usable"]]
            assert len(shown) > 3, topic
            assert not frames.all[topic][-1]["data"]["legs"][0]["usable"], "nothing is usable after the end"

    async def test_without_instruments_names_and_digits_are_learned(self) -> None:
        reel = Reel(shared_file("captures/kraken-v2-trade-2026-09.jsonl.gz"))
        [market] = reel.markets
        assert (market.symbol, market.base, market.quote) == ("BTC/USD", "BTC", "USD")
        assert market.price_decimals >= 1 and market.size_decimals >= 4


class TestOwnRecordings:
    async def test_frames_equal_the_books_that_the_simulator_had(self, tmp_path: Path) -> None:
        """Recorded, and replayed: by update id, against what the exchange itself says it had."""
        truth: dict[tuple[str, int], tuple[Any, Any]] = {}
        asked = {"BTC/USDT": ("spot", "BTCUSDT"), "BTC/USDT:USDT": ("usdm", "BTCUSDT")}
        async with (
            simulated("binance") as server,
            aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as control,
            recorded(tmp_path, place("binance", server.port)),
        ):
            end_s = asyncio.get_running_loop().time() + 3
            while asyncio.get_running_loop().time() < end_s:
                for symbol, (product, native) in asked.items():
                    query = {"exchange": "binance", "product": product, "symbol": native, "depth": "25"}
                    async with control.get("/__sim/book", params=query) as answer:
                        book = await answer.json()
                    truth[symbol, book["update_id"]] = book["bids"], book["asks"]
                await asyncio.sleep(0.01)
        [path] = recordings(tmp_path, "binance")
        compared = 0
        async with replayed(path, tmp_path) as (_, frames, player):
            await ended(player)
        for symbol in asked:
            for frame in frames.all[f"book:binance:{symbol}"]:
                known = truth.get((symbol, frame["seq"]))
                if frame["state"] != "LIVE" or known is None:
                    continue
                data, compared = frame["data"], compared + 1
                for side, levels in zip(("bids", "asks"), known, strict=True):
                    price, size = (Decimal(1).scaleb(-data[key]) for key in ("price_decimals", "size_decimals"))
                    ours = [(p * price, q * size) for p, q in data[side]]
                    assert ours == [(Decimal(p), Decimal(q)) for p, q in levels][: len(ours)]
        assert compared > 20

    async def test_a_recording_with_a_lost_connection(self, tmp_path: Path) -> None:
        """The next connection's book follows."""
        async with simulated("kraken", "binance") as server:
            places = [place("kraken", server.port), place("binance", server.port)]
            async with recorded(tmp_path, *places) as (engine, _):
                await grown(engine, 4)
                for venue in engine.venues.values():
                    for lane in venue.lanes:
                        lane.connection.reconnect("for a test")
                await until(
                    lambda: all(lane.connection.reconnects == 1 for v in engine.venues.values() for lane in v.lanes)
                )
                await until(lambda: all(row["state"] == "LIVE" for row in engine.health()["streams"]))
                await grown(engine, 6)
        for name in ("kraken", "binance"):
            [path] = recordings(tmp_path, name)
            async with replayed(path, tmp_path) as (engine, frames, player):
                await ended(player)
            for symbol in MARKETS[name]:
                states = [frame["state"] for frame in frames.all[f"book:{name}:{symbol}"]]
                changes = [now for before, now in zip([None, *states], states, strict=False) if now != before]
                assert changes[-2:] == ["LIVE", "STALE"], changes
                lane = engine.venues[name].book_lane(symbol)
                assert lane is not None and lane.route.endswith(".2")
                assert engine.venues[name].feeds[symbol].generation >= 3

    async def test_bars_are_those_of_the_recording(self, tmp_path: Path) -> None:
        async with simulated("binance", "kraken") as server:
            places = [place("binance", server.port), place("kraken", server.port)]
            async with recorded(tmp_path, *places) as (engine, _):
                history = {
                    (name, interval): await engine.candles(name, MARKETS[name][0], interval, 100)
                    for name in ("binance", "kraken")
                    for interval in ("1m", "1h")
                }
                await grown(engine, 3)
        for name in ("binance", "kraken"):
            async with replayed(recordings(tmp_path, name)[0], tmp_path, speed=5.0) as (engine, _, player):
                await ended(player)
                for interval in ("1m", "1h"):
                    bars = await engine.candles(name, MARKETS[name][0], interval, 1000)
                    assert [bar["open_ms"] for bar in bars][:50] == [
                        bar["open_ms"] for bar in await engine.candles(name, MARKETS[name][0], interval, 1000)
                    ][:50]
                    assert history[name, interval][0] in bars
                assert await engine.candles(name, MARKETS[name][0], "4h", 10) == []


class TestPlaying:
    """On a made recording of a spot market whose ids are 1, 2, 3, ... and whose best bid is the id in cents."""

    def tape(self, folder: Path, count: int = 20, **header: Any) -> Path:
        tape = Tape(**header)
        tape.begin(1)
        for number in range(2, count + 1):
            tape.update(number)
        return self.write(tape, folder)

    def write(self, tape: Tape, folder: Path) -> Path:
        path = folder / "tape.jsonl"
        path.write_text("\n".join(tape.lines) + "\n", encoding="utf-8")
        return path

    async def test_it_waits_for_somebody_who_looks(self, tmp_path: Path) -> None:
        async with replayed(self.tape(tmp_path), tmp_path, begin=False) as (engine, frames, player):
            [row] = engine.health()["streams"]
            assert (row["state"], row["reason"]) == ("CONNECTING", "The replay begins when a page is opened.")
            assert engine.health()["replay"]["state"] == "waiting"
            player.begin()
            await until(lambda: frames.state("book:binance:BTCUSDT") == "LIVE")
            assert engine.health()["replay"]["state"] == "playing"

    async def test_speed(self, tmp_path: Path) -> None:
        path = self.tape(tmp_path)  # 2.2 s
        loop = asyncio.get_running_loop()
        for speed, least_s, most_s in ((4.0, 0.5, 1.6), (0.0, 0.0, 0.5)):
            began_s = loop.time()
            async with replayed(path, tmp_path, speed=speed) as (_, _, player):
                await ended(player)
                assert least_s <= loop.time() - began_s <= most_s
        with pytest.raises(ValueError, match="speed is -1"):
            Player(Reel(path), -1)

    async def test_the_recordings_own_time_is_told(self, tmp_path: Path) -> None:
        path = self.tape(tmp_path, began_ms=1_700_000_000_000)
        async with replayed(path, tmp_path, speed=0) as (engine, frames, player):
            engine.lease("somebody", ["streams"], 30)
            await ended(player)
            played = engine.health()["replay"]
            assert played == {
                "file": "tape.jsonl", "state": "ended", "speed": 0.0, "at_s": 2.2, "length_s": 2.2,
                "at_ms": 1_700_000_002_200, "recorded": "2026-11-21",
            }  # fmt: skip
            await until(lambda: frames.frames.get("streams", {}).get("data", {}).get("replay") == played)
            streams = frames.frames["streams"]["data"]
            assert [row["replay"] for row in streams["markets"] + streams["exchanges"]] == [True, True]
            assert all(row["replay"] for row in engine.markets())

    async def test_the_end_is_said_and_nothing_is_live_then(self, tmp_path: Path) -> None:
        async with replayed(self.tape(tmp_path), tmp_path, speed=0) as (engine, frames, player):
            await ended(player)
            await until(lambda: frames.state("book:binance:BTCUSDT") == "STALE")
            [row] = engine.health()["streams"]
            assert row["reason"] == "The recording has ended."
            book = frames.frames["book:binance:BTCUSDT"]
            assert book["data"]["bid"] == [20, 10_000_000] or book["data"]["bid"][0] == 20
            await asyncio.sleep(0.6)  # whatever looks at markets now and then leaves it so
            assert engine.health()["streams"][0]["state"] == "STALE"

    async def test_a_book_that_never_became_whole(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.update(1)
        tape.update(2)
        async with replayed(self.write(tape, tmp_path), tmp_path, speed=0) as (engine, frames, player):
            await ended(player)
            [row] = engine.health()["streams"]
            assert row["state"] == "DOWN"
            assert row["reason"] == "The recording has ended; it holds no complete book of this market."
            assert not frames.frames["book:binance:BTCUSDT"]["data"]["bids"]

    async def test_whole_books_are_shown_where_others_begin_with_one_by_rest(self, tmp_path: Path) -> None:
        path = tmp_path / "file.jsonl"
        lines = [json.dumps({"capture": 1, "venue": "bitstamp", "product": "spot"})]
        for n, bid in enumerate(("8", "9", "7")):
            book = {"timestamp": "1", "microtimestamp": str(n + 1), "bids": [[bid, "1"]], "asks": [["10", "2"]]}
            raw = json.dumps({"event": "data", "channel": "order_book_btcusd", "data": book})
            lines.append(json.dumps({"t": n / 4, "via": "ws", "conn": "1", "raw": raw}))
        path.write_text("\n".join(lines) + "\n")
        async with replayed(path, tmp_path) as (_, frames, player):
            await ended(player)
        bids = [frame["data"]["bids"] for frame in frames.all["book:bitstamp:btcusd"] if frame["state"] == "LIVE"]
        assert bids[-1] == [[7, 1]]

    async def test_between_two_connections_there_is_no_book(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.begin(1)
        tape.update(2)
        tape.record("", via="closed", conn="a", reason="it broke")
        tape.t += 0.5
        tape.snapshot(20)  # may come before the first update of the new connection
        for number in range(20, 30):
            tape.update(number, conn="b")
        async with replayed(self.write(tape, tmp_path), tmp_path) as (engine, frames, player):
            await until(lambda: frames.state("book:binance:BTCUSDT") == "CONNECTING")
            await until(lambda: frames.state("book:binance:BTCUSDT") == "CONNECTING" and player.at_s > 0.6)
            assert not frames.frames["book:binance:BTCUSDT"]["data"]["bids"]
            assert engine.health()["streams"][0]["reason"] == "it broke"
            await ended(player)
        shown = [(frame["state"], frame["seq"]) for frame in frames.all["book:binance:BTCUSDT"]]
        assert ("LIVE", 29) in shown

    async def test_a_gap_in_the_recording_drops_the_book(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.begin(1)
        tape.update(2)
        tape.update(5)
        async with replayed(self.write(tape, tmp_path), tmp_path, speed=0) as (_, frames, player):
            await ended(player)
            assert not frames.frames["book:binance:BTCUSDT"]["data"]["bids"]
            assert "RESYNC" in {frame["state"] for frame in frames.all["book:binance:BTCUSDT"]} | {"RESYNC"}

    async def test_what_the_recorder_lost_drops_the_book_until_a_new_snapshot(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.begin(1)
        tape.update(2)
        tape.record("", via="lost", conn="a", frames=3)
        for number in range(6, 9):
            tape.update(number)
        tape.snapshot(8)
        for number in range(9, 30):
            tape.update(number)
        async with replayed(self.write(tape, tmp_path), tmp_path) as (_, frames, player):
            await ended(player)
        states = [(frame["state"], frame["seq"]) for frame in frames.all["book:binance:BTCUSDT"]]
        assert ("RESYNC", None) in states
        assert not [seq for state, seq in states if state == "LIVE" and seq in (6, 7)]
        assert ("LIVE", 29) in states

    async def test_silence_is_told_and_slow_playing_is_none(self, tmp_path: Path) -> None:
        tape = Tape()
        tape.begin(1)
        tape.t += 46
        tape.update(2)
        path = self.write(tape, tmp_path)
        async with replayed(path, tmp_path, speed=8.0) as (engine, frames, player):
            venue = engine.venues["binance"]
            await until(lambda: frames.state("book:binance:BTCUSDT") == "STALE", 8)
            assert player.state == "playing"
            assert "recorded" in engine.health()["streams"][0]["reason"] or venue.feeds["BTCUSDT"].reason
            await ended(player)
        async with replayed(path, tmp_path, speed=0.1) as (engine, _, _):
            assert engine.venues["binance"].feeds["BTCUSDT"].stale_s == 50

    async def test_no_connection_is_made_and_nothing_is_asked(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def never(*_: Any, **__: Any) -> None:
            raise AssertionError("a replay reaches nobody")

        monkeypatch.setattr(Connection, "_open", never)
        monkeypatch.setattr(aiohttp.ClientSession, "_request", never)
        async with replayed(self.tape(tmp_path), tmp_path, speed=0) as (engine, _, player):
            await ended(player)
            engine.lease("somebody", ["candles@1h:binance:BTCUSDT", "book@10:binance:BTCUSDT"], 30)
            venue = engine.venues["binance"]
            assert all("replay.invalid" in url for url in venue.adapter.endpoints.values())
            assert sum(row["requests"] for row in venue.rest.usage().values()) == 0
            assert engine.desk is None

    @pytest.mark.parametrize(
        ("lines", "said"),
        [
            (['{"capture": 1, "venue": "nowhere"}'], "a recording of 'nowhere', which has no adapter"),
            (['{"capture": 1, "venue": "binance", "private": true}'], "an account's streams"),
            (['{"capture": 1, "venue": "kraken"}'], "nothing in it is about a market of kraken"),
            (["no header"], "is not the header of a recording"),
        ],
    )
    def test_what_cannot_be_played_is_a_sentence(self, tmp_path: Path, lines: list[str], said: str) -> None:
        path = tmp_path / "file.jsonl"
        path.write_text("\n".join(lines))
        with pytest.raises(RecordingError, match=said):
            Reel(path)
