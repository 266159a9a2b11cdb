"""Real recordings through the real thing: socket, worker, channel layer, Daphne, socket.

Every book frame that a client gets, 25 levels deep, must be the recording's book at that frame's update id. How long a
recording is played can be set with SPREADBOARD_REPLAY_S (330 plays all of it).
"""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import websockets

from tests.shared import shared_file
from tests.system.processes import Deployment, dashboard, recording_server
from tests.system.truth import binance_books, kraken_books, length_s, shown, with_snapshots_first

SECONDS = float(os.environ.get("SPREADBOARD_REPLAY_S", "12"))

pytestmark = pytest.mark.slow


def config_for(path: Path, exchange: str, port: int, symbols: list[str], products: list[str], **keys: Any) -> Path:
    lines = [
        f"[exchanges.{exchange}]",
        f"products = {json.dumps(products)}",
        f"pinned = {json.dumps(symbols)}",
        f'ws_url = "ws://127.0.0.1:{port}"',
        f'rest_url = "http://127.0.0.1:{port}"',
        *(f"{key} = {json.dumps(value)}" for key, value in keys.items()),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


async def watch(server: Deployment, topics: list[str], seconds: float) -> list[dict[str, Any]]:
    """All frames that a well-behaved client gets in ``seconds`` after the first live one."""
    frames: list[dict[str, Any]] = []
    async with websockets.connect(server.ws_url, additional_headers=server.headers, max_size=None) as socket:
        assert json.loads(await socket.recv())["type"] == "hello"
        await socket.send(json.dumps({"type": "subscribe", "id": 1, "topics": topics}))
        end = confirmed = time.monotonic()
        give_up = end + 30
        started = False
        while time.monotonic() < (end if started else give_up):
            message = json.loads(await asyncio.wait_for(socket.recv(), 15))
            assert message["type"] in ("subscribed", "bundle"), message
            if message["type"] != "bundle":
                continue
            frames += message["frames"]
            if not started and any(f.get("state") == "LIVE" for f in message["frames"]):
                started, end = True, time.monotonic() + seconds
            if time.monotonic() - confirmed > 0.5:
                confirmed = time.monotonic()
                await socket.send(json.dumps({"type": "drawn", "bundle": message["bundle"]}))
    assert started, f"nothing became live; log:\n{server.log.read_text()[-3000:]}"
    return frames


def live_books(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    books = [f for f in frames if f["topic"].startswith("book:") and f["state"] == "LIVE" and f["data"]["bids"]]
    assert all(len(f["data"]["bids"]) <= 25 and len(f["data"]["asks"]) <= 25 for f in books)
    return books


@pytest.mark.parametrize(
    ("name", "product", "symbols"),
    [
        ("binance-spot-2024-08", "spot", {"BTC/USDT": "BTCUSDT", "ETH/USDT": "ETHUSDT"}),
        ("binance-usdm-2024-08", "usdm", {"ETH/USDT:USDT": "ETHUSDT"}),
    ],
)
async def test_every_frame_of_binance_is_the_recorded_book(tmp_path, name, product, symbols):
    recording = with_snapshots_first(shared_file(f"captures/{name}.jsonl.gz"), tmp_path)
    with recording_server(recording, tmp_path / "exchange.log") as port:
        config = config_for(tmp_path / "spreadboard.toml", "binance", port, list(symbols), [product])
        with dashboard(tmp_path / "var", config) as server:
            seconds = min(SECONDS, length_s(recording) - 10)  # at its end the recording begins anew: old news
            frames = await watch(server, [f"book:binance:{symbol}" for symbol in symbols], seconds)
    books = live_books(frames)
    wanted: dict[str, set[int]] = {}
    for frame in books:
        wanted.setdefault(symbols[frame["topic"].split(":", 2)[2]], set()).add(frame["seq"])
    truth = binance_books(recording, wanted, 25)
    for frame in books:
        moment = symbols[frame["topic"].split(":", 2)[2]], frame["seq"]
        assert shown(frame) == truth[moment], f"at {moment}"
    for native in symbols.values():
        assert len(wanted[native]) > 3 * seconds, "a live market shows many different books"
    print(f"{name}: {len(books)} frames, {sum(map(len, wanted.values()))} different books, all equal")


async def test_every_frame_of_kraken_is_the_recorded_book(tmp_path):
    recording = shared_file("captures/kraken-v2-book-2026-09.jsonl.gz")
    with recording_server(recording, tmp_path / "exchange.log") as port:
        config = config_for(tmp_path / "spreadboard.toml", "kraken", port, ["BTC/USD"], ["spot"])
        with dashboard(tmp_path / "var", config) as server:
            frames = await watch(server, ["book:kraken:BTC/USD"], 6)
    books = live_books(frames)
    truth = kraken_books(recording, 25)
    for frame in books:
        assert frame["seq"] is None
        assert shown(frame) == truth["BTC/USD", frame["data"]["checksum"]]
    assert len({frame["data"]["checksum"] for frame in books}) > 20
    print(f"kraken: {len(books)} frames, all equal")
