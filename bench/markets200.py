"""200 markets at 10 book updates a second each: CPU and memory of the worker, beside a client that only decodes.

The frames are a recording's (or generated ones where there is none), sent under 200 names by a server in a process of
its own over a real WebSocket. The worker is the real engine with every book watched and published into a sink that
counts. The baseline receives the very same frames and decodes them, nothing more.
"""

import asyncio
import gzip
import json
import logging
import multiprocessing
import os
import random
import resource
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import structlog
import websockets
from aiohttp import WSMsgType, web

ROOT = Path(__file__).resolve().parents[1]
RECORDING = (
    Path(os.environ.get("SPREADBOARD_SHARED", ROOT.parent / "shared")) / "captures/binance-spot-2024-08.jsonl.gz"
)
MARKETS = 200
PER_S = 10
SECONDS = 30
WARM_S = 8
NAMES = [f"M{number:03d}" for number in range(MARKETS)]


def load() -> tuple[dict[str, Any], list[str]]:
    """A snapshot and the depth frames that follow it, of one market, with SYMBOL in place of its name."""
    if not RECORDING.exists():
        return generate()
    snapshot, frames = None, []
    with gzip.open(RECORDING, "rt", encoding="utf-8") as file:
        next(file)
        for line in file:
            record = json.loads(line)
            if record["via"] == "rest" and "symbol=BTCUSDT" in record["path"]:
                snapshot = json.loads(record["raw"])
            elif record["via"] == "ws" and record["raw"].startswith('{"stream":"btcusdt@depth'):
                frames.append(record["raw"].replace("btcusdt@", "STREAM@").replace("BTCUSDT", "SYMBOL"))
    if snapshot is None:
        raise SystemExit("markets200: the recording has no snapshot")
    last = snapshot["lastUpdateId"]
    return snapshot, [frame for frame in frames if json.loads(frame)["data"]["u"] > last]


def generate() -> tuple[dict[str, Any], list[str]]:
    """The same made up: 1,000 levels a side, 15 changes an update, most near the top."""
    rng = random.Random(1)
    bids = [[f"{60000 - i * 0.5:.2f}", f"{rng.random():.5f}"] for i in range(1000)]
    asks = [[f"{60000.5 + i * 0.5:.2f}", f"{rng.random():.5f}"] for i in range(1000)]
    frames = []
    for n in range(1, PER_S * (SECONDS + WARM_S + 10)):
        change = lambda side: [[side[min(999, int(rng.expovariate(0.05)))][0], f"{rng.random():.5f}"] for _ in range(8)]  # noqa: E731
        data = {"e": "depthUpdate", "E": 0, "s": "SYMBOL", "U": n, "u": n, "b": change(bids), "a": change(asks)}
        frames.append(json.dumps({"stream": "STREAM@depth@100ms", "data": data}))
    return {"lastUpdateId": 0, "bids": bids, "asks": asks}, frames


def serve(pipe: Any) -> None:
    """The exchange, in its own process: every market at its own phase, PER_S frames a second."""
    snapshot, frames = load()
    info = {
        "timezone": "UTC",
        "serverTime": 0,
        "rateLimits": [],
        "symbols": [
            {
                "symbol": f"{name}USDT",
                "status": "TRADING",
                "baseAsset": name,
                "quoteAsset": "USDT",
                "isSpotTradingAllowed": True,
                "filters": [
                    {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
                    {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.00", "stepSize": "0.00001"},
                ],
            }
            for name in NAMES
        ],
    }

    async def stream(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        wanted: list[str] = []
        sender = None
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            ask = json.loads(message.data)
            wanted += [p.partition("@")[0].upper() for p in ask["params"] if "@depth" in p]
            await socket.send_str(json.dumps({"result": None, "id": ask["id"]}))
            if sender is None:
                sender = asyncio.create_task(send(socket, wanted))
        if sender:
            sender.cancel()
        return socket

    async def send(socket: web.WebSocketResponse, wanted: list[str]) -> None:
        start, sent = time.monotonic(), 0
        position: dict[str, int] = {}
        while True:
            await asyncio.sleep(0.01)
            names = list(wanted)
            due = int((time.monotonic() - start) * PER_S * len(names))
            while sent < due and names:
                symbol = names[sent % len(names)]
                index = position.get(symbol, 0)
                sent += 1
                if index < len(frames):
                    position[symbol] = index + 1
                    frame = frames[index].replace("STREAM@", f"{symbol.lower()}@").replace('"SYMBOL"', f'"{symbol}"')
                    await socket.send_str(frame)

    async def rest(request: web.Request) -> web.Response:
        if request.path.endswith("exchangeInfo"):
            return web.json_response(info)
        if request.path.endswith("depth"):
            return web.json_response(snapshot)
        return web.json_response({"code": -1, "msg": "not here"}, status=404)

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/stream", stream)
        app.router.add_get("/{tail:.*}", rest)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        pipe.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


class CountingSink:
    """Where frames end: they are counted."""

    def __init__(self) -> None:
        self.frames = 0
        self.bytes = 0

    def publish(self, topic: str, frame: str) -> None:
        self.frames += 1
        self.bytes += len(frame)

    def publish_to(self, holder: str, topic: str, frame: str) -> None:
        self.publish(topic, frame)

    def refuse(self, holder: str, topic: str, reason: str) -> None:
        raise SystemExit(f"markets200: {topic} refused: {reason}")


def usage() -> tuple[float, float]:
    """(CPU seconds, memory in MB) of this process."""
    times = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return times.ru_utime + times.ru_stime, pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def worker(port: int, pipe: Any) -> None:
    from feeds.config import load_config
    from feeds.engine import Engine

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    config_file = ROOT / "build" / "markets200.toml"
    config_file.parent.mkdir(exist_ok=True)
    pinned = json.dumps([f"{name}/USDT" for name in NAMES])
    config_file.write_text(
        f'[feeds]\nstate_dir = "{ROOT}/build/markets200-state"\nsave_s = 5\n[exchanges.binance]\nproducts = ["spot"]\n'
        f'rest_url = "http://127.0.0.1:{port}"\nws_url = "ws://127.0.0.1:{port}"\n'
        f"pinned = {pinned}\nbudget_share = 0.95\n"
    )

    async def main() -> None:
        sink = CountingSink()
        engine = Engine(load_config(config_file, {}), sink)
        await engine.start(markets_timeout_s=20)
        # Snapshots of 200 markets cost more than a minute's budget at Binance; here the server gives them at once.
        deadline = time.monotonic() + 180
        while True:
            states = [feed.state.value for feed in engine.venues["binance"].feeds.values()]
            if states.count("LIVE") == MARKETS:
                break
            if time.monotonic() > deadline:
                raise SystemExit(f"markets200: only {states.count('LIVE')} of {MARKETS} books are live")
            await asyncio.sleep(0.2)
        connection = engine.venues["binance"].lanes[0].connection
        cpu, _ = usage()
        start, messages, frames = time.monotonic(), connection.messages, sink.frames
        await asyncio.sleep(SECONDS)
        passed, (after, memory) = time.monotonic() - start, usage()
        states = [feed.state.value for feed in engine.venues["binance"].feeds.values()]
        result = {
            "cpu": (after - cpu) / passed,
            "memory": memory,
            "messages": (connection.messages - messages) / passed,
            "frames": (sink.frames - frames) / passed,
            "live": states.count("LIVE"),
            "resyncs": sum(feed.sync.resyncs for feed in engine.venues["binance"].feeds.values()),
        }
        await engine.stop()
        pipe.send(result)

    asyncio.run(main())


def bare(port: int, pipe: Any) -> None:
    """Receives and decodes, nothing more."""

    class Data(msgspec.Struct):
        U: int
        u: int
        b: list[tuple[float, float]]
        a: list[tuple[float, float]]

    class Frame(msgspec.Struct):
        stream: str
        data: Data

    decode = msgspec.json.Decoder(Frame, strict=False).decode

    async def main() -> None:
        async with websockets.connect(f"ws://127.0.0.1:{port}/stream", compression=None, max_size=None) as socket:
            await socket.send(json.dumps({"id": 1, "params": [f"{name.lower()}usdt@depth@100ms" for name in NAMES]}))
            await socket.recv()
            end_warm = time.monotonic() + 3
            while time.monotonic() < end_warm:
                decode(await socket.recv(decode=False))
            (cpu, _), start, count = usage(), time.monotonic(), 0
            while time.monotonic() - start < SECONDS:
                decode(await socket.recv(decode=False))
                count += 1
            passed, (after, memory) = time.monotonic() - start, usage()
        pipe.send({"cpu": (after - cpu) / passed, "memory": memory, "messages": count / passed})

    asyncio.run(main())


def run() -> list[dict[str, Any]]:
    """CPU share of one core and memory (MB) of the worker, beside bare decoding of the same frames."""
    spawn = multiprocessing.get_context("spawn")

    def ask(target: Any, *args: Any) -> tuple[Any, Any]:
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=target, args=(*args, theirs), daemon=True)
        process.start()
        theirs.close()
        return ours.recv(), process

    port, server = ask(serve)
    try:
        baseline, done = ask(bare, port)
        done.join()
        measured, done = ask(worker, port)
        done.join()
    finally:
        server.terminate()
        server.join()
    rates = f"{measured['messages']:.0f} frames/s in, {measured['frames']:.0f} out"
    books = f"{measured['live']} of {MARKETS} live, {measured['resyncs']} resyncs"
    print(f"   {rates}, {books}; bare: {baseline['messages']:.0f} frames/s", file=sys.stderr)
    return [
        {
            "name": f"{MARKETS} markets x {PER_S}/s, worker",
            "value": round(measured["cpu"], 3),
            "unit": "cores",
            "baseline": "receive and decode only",
            "baseline_value": round(baseline["cpu"], 3),
            "ratio": round(measured["cpu"] / baseline["cpu"], 2),
        },
        {
            "name": f"{MARKETS} markets x {PER_S}/s, worker",
            "value": round(measured["memory"], 1),
            "unit": "MB",
            "baseline": "receive and decode only",
            "baseline_value": round(baseline["memory"], 1),
            "ratio": round(measured["memory"] / baseline["memory"], 2),
        },
    ]
