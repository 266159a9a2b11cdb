"""What our processes add: frame received from the exchange to frame written to the browser, with 10 browsers.

A recording at recorded pace, the real ``serve`` with all conflation windows set to nothing, so that work is measured
and not waiting on purpose: the windows (50 ms in the worker, 200 ms there for prints, 50 ms in the relay) are counted
apart. That is more
work than in use, where windows save most of the sending. Latency runs from ``recv_us`` of a frame to its arrival in a
client process on this machine, so the kernel's part is in it. The baseline is a relay that does nothing but pass on the
exchange's frames to 10 clients.
"""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import websockets

from bench.common import SHARED, percentile, row
from tests.system.processes import ROOT, Deployment, environment, free_port, manage, process, recording_server

BROWSERS = 10
SECONDS = 20
RECORDING = SHARED / "captures/binance-spot-2024-08.jsonl.gz"
TOPICS = [f"{kind}:binance:{symbol}" for kind in ("book", "trades", "quote") for symbol in ("BTC/USDT", "ETH/USDT")]

WITHOUT_WINDOWS = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "dashboard.settings"
import functools
import dashboard.fanout, dashboard.outbox, feeds.engine
feeds.engine.INTERVALS_S = {}
dashboard.fanout.INTERVAL_S = dashboard.outbox.INTERVAL_S = dashboard.fanout.GATHER_S = 0.0
publisher = feeds.engine.Publisher
feeds.engine.Publisher = lambda sink, *, interval_s, clock: publisher(sink, interval_s=0.0, clock=clock)
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "serve"])
"""

RELAY = """
import asyncio, json, sys, time
import websockets
from websockets.asyncio.server import serve, broadcast
clients = set()
async def client(socket):
    clients.add(socket)
    await socket.wait_closed()
    clients.discard(socket)
async def main(source, port):
    async with serve(client, "127.0.0.1", port, compression=None):
        async with websockets.connect(source, compression=None, max_size=None) as exchange:
            async for frame in exchange:
                recv_us = time.time_ns() // 1000
                broadcast(clients, f'{{"recv_us":{recv_us},"frame":{frame}}}')
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def browser(url: str, headers: dict[str, str], late_ms: list[float], seconds: float) -> None:
    """A client that takes frames as fast as they come and confirms once in half a second."""
    async with websockets.connect(url, additional_headers=headers, max_size=None, compression=None) as socket:
        if headers:
            await socket.send(json.dumps({"type": "subscribe", "id": 1, "topics": TOPICS}))
        begin = confirmed = time.monotonic()
        seen: set[tuple[str, int]] = set()
        while (now := time.monotonic()) - begin < seconds:
            text = await asyncio.wait_for(socket.recv(), 30)
            now_us = time.time_ns() // 1000
            message = json.loads(text)
            warm = now - begin > 3
            if "recv_us" in message:
                if warm:
                    late_ms.append((now_us - message["recv_us"]) / 1000)
                continue
            for frame in message.get("frames", ()):
                key = (frame["topic"], frame["recv_us"])
                if warm and key not in seen and frame["n"] > 1:
                    late_ms.append((now_us - frame["recv_us"]) / 1000)
                seen.add(key)
            if "bundle" in message and now - confirmed > 0.5:
                confirmed = now
                await socket.send(json.dumps({"type": "drawn", "bundle": message["bundle"]}))


def watch(url: str, headers: dict[str, str]) -> list[float]:
    """Milliseconds of every frame at every browser, the browsers in a process of their own."""
    code = (
        "import asyncio, json, sys\nfrom bench.overhead import browser\nlate = []\n"
        "async def main():\n"
        f"    await asyncio.gather(*(browser({url!r}, {headers!r}, late, {SECONDS + 3}) for _ in range({BROWSERS})))\n"
        "asyncio.run(main())\nprint(json.dumps(late))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    late: list[float] = json.loads(done.stdout)
    return late


def run() -> list[dict[str, Any]]:
    if not RECORDING.exists():
        raise SystemExit("overhead: needs the recordings in ../shared (or $SPREADBOARD_SHARED)")
    with TemporaryDirectory() as scratch:
        var = Path(scratch)
        with recording_server(RECORDING, var / "exchange.log") as exchange:
            config = var / "spreadboard.toml"
            config.write_text(
                '[exchanges.binance]\nproducts = ["spot"]\npinned = ["BTC/USDT", "ETH/USDT"]\n'
                f'ws_url = "ws://127.0.0.1:{exchange}"\nrest_url = "http://127.0.0.1:{exchange}"\n'
            )
            port = free_port()
            env = environment(var / "var", config, HOST="127.0.0.1", PORT=str(port))
            (var / "var").mkdir()
            manage(env, "migrate", "--verbosity", "0")
            server = Deployment(port, env, var / "serve.log")
            with process([sys.executable, "-c", WITHOUT_WINDOWS], env, server.log):
                server.wait_until_it_answers()
                ours = watch(server.ws_url, server.headers)
            relay = free_port()
            streams = "/".join(
                f"{s}@{k}" for s in ("btcusdt", "ethusdt") for k in ("depth@100ms", "bookTicker", "trade")
            )
            source = f"ws://127.0.0.1:{exchange}/stream?streams={streams}"
            with process([sys.executable, "-c", RELAY, source, str(relay)], None, var / "relay.log"):
                time.sleep(2)  # the relay prints nothing; the clients' connect fails loudly if it is not there
                bare = watch(f"ws://127.0.0.1:{relay}", {})
    print(f"   {len(ours)} frames ours, {len(bare)} through the bare relay", file=sys.stderr)
    return [
        row(
            f"received to written, {BROWSERS} browsers, p{q}",
            percentile(ours, q),
            "ms",
            "bare relay",
            percentile(bare, q),
        )
        for q in (50, 99)
    ]


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
