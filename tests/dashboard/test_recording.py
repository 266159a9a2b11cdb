"""The commands record, replay and --record, as processes and around the real worker."""

import asyncio
import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets
from django.core.management import CommandError, call_command

from dashboard.management.commands.runfeeds import recording
from dashboard.worker import FeedsWorker
from feeds.config import DEMO, Config, ExchangeConfig
from feeds.errors import ConfigError
from feeds.recordings.record import chosen, limits_of
from feeds.recordings.recorder import Limits
from feeds.recordings.verify import verify
from feeds.simulator import endpoints, start_server
from tests.dashboard.realtime import fresh_layer
from tests.feeds.recordings import grown, lines, recordings
from tests.shared import ROOT, shared_file
from tests.system.processes import environment, manage

DEMO_CONFIG = Config(path=None, exchanges={each.name: each for each in DEMO}, demo=True)


class TestWhatIsRecorded:
    def test_the_pinned_markets_or_those_that_are_named(self) -> None:
        assert chosen(DEMO_CONFIG, []).exchanges == DEMO_CONFIG.exchanges
        config = chosen(DEMO_CONFIG, ["kraken:BTC/USD", "kraken:ETH/USD", "kraken:BTC/USD"])
        assert list(config.exchanges) == ["kraken"]
        assert config.exchanges["kraken"].pinned == ("BTC/USD", "ETH/USD")

    @pytest.mark.parametrize(
        ("market", "said"),
        [
            ("BTC/USD", "'BTC/USD' is not a market: give exchange and symbol"),
            ("nowhere:BTC/USD", "has no exchange 'nowhere'; it has alpaca, binance, "),
        ],
    )
    def test_a_wrong_one_is_named(self, market: str, said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            chosen(DEMO_CONFIG, [market])

    def test_the_limits_must_leave_room_for_the_open_files(self) -> None:
        assert limits_of(10, 100, ["binance"]) == Limits(rotate_bytes=10_000_000, most_bytes=100_000_000)
        with pytest.raises(ConfigError, match=r"--max-mb 100 is too little.*binance, kraken need 180"):
            limits_of(30, 100, ["binance", "kraken"])
        with pytest.raises(CommandError, match="too little"):
            recording({"record": Path("x"), "rotate_mb": 30.0, "max_mb": 50.0}, DEMO_CONFIG, print)
        assert recording({"record": None, "rotate_mb": 30.0, "max_mb": 50.0}, DEMO_CONFIG, print) is None

    def test_what_comes_through_ccxt_cannot_be_and_that_is_said(self) -> None:
        gate = ExchangeConfig(name="gate", via="ccxt", products=("spot",), pinned=("BTC/USDT",))
        kraken = ExchangeConfig(name="kraken", products=("spot",), pinned=("BTC/USD",))
        both, alone = (Config(path=None, exchanges={e.name: e for e in some}) for some in ([gate, kraken], [gate]))
        why = "gate is followed through ccxt and cannot be recorded"
        assert list(chosen(both, []).exchanges) == ["kraken"]
        for config, markets in ((both, ["gate:BTC/USDT"]), (alone, [])):
            with pytest.raises(ConfigError, match=why):
                chosen(config, markets)
        said: list[str] = []
        options = {"record": Path("x"), "rotate_mb": 30.0, "max_mb": 100.0}
        assert recording(options, both, said.append) is not None, "room for one exchange is enough"
        assert [sentence.partition(":")[0] for sentence in said] == [why]
        with pytest.raises(CommandError, match=f"--record: {why}"):
            recording(options, alone, said.append)

    def test_wrong_arguments_are_sentences(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="--minutes -1: must be more than 0"):
            call_command("record", "--minutes=-1")
        with pytest.raises(CommandError, match="cannot be read"):
            call_command("replay", str(tmp_path / "nothing.jsonl.gz"))
        path = tmp_path / "file.jsonl"
        path.write_text('{"capture": 1, "venue": "binance"}')
        with pytest.raises(CommandError, match="--speed -3: must be a number from 0"):
            call_command("replay", str(path), "--speed=-3")


@pytest.mark.slow
def test_record_and_verify_as_commands(tmp_path: Path) -> None:
    env = environment(tmp_path / "var", None, SPREADBOARD_DEMO="1", LOG_LEVEL="WARNING")
    said = manage(env, "record", "kraken:BTC/USD", "--minutes", "0.05", "--dir", str(tmp_path / "files"))
    [path] = recordings(tmp_path / "files", "kraken")
    assert str(path) in said and "Without a configuration the simulated exchanges are recorded." in said
    assert "Nothing was wrong." in manage(env, "verify", str(path))
    report = verify(path)
    assert report.checksums_right > 10
    bars = [record for record in lines(path)[1:] if "OHLC" in record.get("path", "")]
    assert bars, "a replay has a chart"
    assert not (tmp_path / "var" / "state").exists(), "what a worker remembers is not touched"


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
async def test_the_worker_records_what_it_receives(tmp_path: Path, settings: Any) -> None:
    fresh_layer()
    settings.VAR = tmp_path
    server = await start_server()
    urls = endpoints("127.0.0.1", server.port)
    exchange = next(each for each in DEMO if each.name == "kraken")
    config = Config(
        path=None,
        exchanges={
            "kraken": exchange.__class__(
                name="kraken", products=("spot",), endpoints=urls["kraken"], pinned=("BTC/USD",)
            )
        },
        state_dir=tmp_path / "state",
    )
    worker = FeedsWorker(config, record=(tmp_path / "files", Limits()))
    await worker.start()
    second = FeedsWorker(config, record=(tmp_path / "files", Limits()))
    try:
        assert worker.engine is not None
        await grown(worker.engine, 5)
        with pytest.raises(ConfigError, match=r"--record: Another recorder writes to .*files"):
            second._recorded()
    finally:
        await worker.stop()
        await server.stop()
    [path] = recordings(tmp_path / "files", "kraken")
    assert verify(path).ok


@contextmanager
def replay(path: Path, folder: Path, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """``manage.py replay`` in a process: its sign-in link."""
    (folder / "tmp").mkdir()
    env = environment(folder / "var", None, LOG_LEVEL="WARNING", DEBUG="1", TMPDIR=str(folder / "tmp"))
    command = [sys.executable, "manage.py", "replay", str(path), *arguments]
    with (folder / "replay.err").open("w") as errors:
        child = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert child.stdout is not None
        said = ""
        for line in child.stdout:
            said += line
            if "Sign in, once, with " in line:
                break
        else:
            raise AssertionError(said + (folder / "replay.err").read_text())
        assert "REPLAY of" in said and "Nothing of this is live." in said
        yield line.split()[-1], child
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait(10)
        if child.stdout is not None:
            child.stdout.close()


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def sign_in(link: str) -> dict[str, str]:
    """The session's cookie, as a browser gets it that opens the link."""
    headers = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    request = urllib.request.Request(link, headers=headers)
    try:
        urllib.request.build_opener(NoRedirect).open(request, timeout=10)
    except urllib.error.HTTPError as answer:
        cookies = [value.partition(";")[0] for name, value in answer.headers.items() if name.lower() == "set-cookie"]
        assert answer.code == 302
        return {"Cookie": "; ".join(cookies)}
    raise AssertionError("the link did not sign in")


@pytest.mark.slow
async def test_a_replay_on_the_dashboard(tmp_path: Path) -> None:
    path = shared_file("captures/bybit-2026-08.jsonl.gz")
    with replay(path, tmp_path, "--speed", "15") as (link, child):
        base = link.partition("/signin/")[0]
        cookie = await asyncio.to_thread(sign_in, link)
        assert "spreadboard_replay_session" in cookie["Cookie"], "the running board's own cookie is left alone"

        def get(path: str) -> Any:
            request = urllib.request.Request(base + path, headers=cookie)
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                with error:
                    return json.load(error)

        assert (await asyncio.to_thread(get, "/healthz"))["replay"]["state"] == "waiting"
        rows = (await asyncio.to_thread(get, "/api/markets/"))["markets"]
        assert {row["symbol"] for row in rows} == {"BTC/USDT", "BTC/USDT:USDT"} and all(row["replay"] for row in rows)
        assert (await asyncio.to_thread(get, "/api/accounts/")) == {"accounts": []}

        book, streams, states = "book:bybit:BTC/USDT", {}, []
        headers = {**cookie, "Origin": base}
        async with websockets.connect(f"ws{base[4:]}/ws/", additional_headers=headers, max_size=None) as socket:
            hello = json.loads(await socket.recv())
            assert (hello["replay"], hello["simulated"]) == (True, [])
            await socket.send(json.dumps({"type": "subscribe", "topics": [book, "streams"]}))
            end_s = confirmed_s = time.monotonic() + 20
            while time.monotonic() < end_s and streams.get("state") != "ended":
                message = json.loads(await asyncio.wait_for(socket.recv(), 10))
                for frame in message.get("frames", []):
                    if frame["topic"] == "streams":
                        streams = frame["data"]["replay"]
                        assert all(row["replay"] for row in frame["data"]["markets"])
                        assert all(row["latency_ms"] is None for row in frame["data"]["connections"])
                    else:
                        states.append(frame["state"])
                if message["type"] == "bundle" and abs(time.monotonic() - confirmed_s) > 0.5:
                    confirmed_s = time.monotonic()
                    await socket.send(json.dumps({"type": "drawn", "bundle": message["bundle"]}))
        assert streams["state"] == "ended" and streams["file"] == path.name
        assert "LIVE" in states and states[-1] == "STALE"
        bars = await asyncio.to_thread(get, "/api/candles/bybit/BTC/USDT/?interval=1m&limit=10")
        assert len(bars["bars"]) >= 2
        assert (await asyncio.to_thread(get, "/api/candles/bybit/BTC/USDT/?interval=4h&limit=10"))["bars"] == []
        assert (await asyncio.to_thread(get, "/api/book/bybit/BTC/USDT/"))["state"] == "STALE"
        deadline_s = time.monotonic() + 10  # the worker reports once a second
        while (health := await asyncio.to_thread(get, "/healthz"))["ok"] or health["replay"]["state"] != "ended":
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.1)
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0
    assert not list((tmp_path / "tmp").iterdir()), "its database is gone with it"
