"""A browser that stops reading for a minute: how much the server grows, and how old what it then sees is.

The server is ``bench.live_server``: ten books, ten times a second. When the browser reads again, it first finds what
was on its way when it stopped (the kernel has taken that, nobody can take it back; the outbox's cap limits it),
confirms, and gets its next bundle: that one must be current. The baseline is the textbook pattern, in the same run.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import websockets

from bench.live_server import TOPICS

ROOT = Path(__file__).resolve().parents[1]
SILENT_S = 60.0
WARM_S = 5.0
PAGE_MB = 4096 / 1e6


def rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_MB


async def _behave(socket: Any, seconds: float, confirms: bool) -> None:
    """Read and confirm as a good client does."""
    ends_s, confirmed_s = time.monotonic() + seconds, 0.0
    while time.monotonic() < ends_s:
        message = json.loads(await socket.recv())
        if confirms and message.get("type") == "bundle" and time.monotonic() - confirmed_s > 0.5:
            confirmed_s = time.monotonic()
            await socket.send(json.dumps({"type": "drawn", "bundle": message["bundle"]}))


async def _stall(port: int, token: str, pid: int, silent_s: float, confirms: bool) -> dict[str, float]:
    url, headers = f"ws://127.0.0.1:{port}/ws/", {"Authorization": f"Bearer {token}"}
    # A small window in the client, so that it is the server's side that has to keep what is not read.
    async with websockets.connect(
        url, additional_headers=headers, max_queue=1, compression=None, ping_interval=None, close_timeout=1
    ) as socket:
        await socket.send(json.dumps({"type": "subscribe", "topics": list(TOPICS)}))
        await _behave(socket, WARM_S, confirms)
        before_mb = peak_mb = rss_mb(pid)
        ends_s = time.monotonic() + silent_s
        while time.monotonic() < ends_s:
            await asyncio.sleep(0.5)
            peak_mb = max(peak_mb, rss_mb(pid))
        result = {"growth_mb": peak_mb - before_mb}
        if confirms:
            result |= await _resume(socket)
        return result


async def _resume(socket: Any) -> dict[str, float]:
    """Read what was on its way, confirm it, and look at the next bundle."""
    resumed_us = time.time_ns() // 1000
    backlog, number = 0, 0
    while True:
        text = await asyncio.wait_for(socket.recv(), 10) if not number else await _soon(socket)
        if text is None:
            break
        message = json.loads(text)
        if message.get("type") == "bundle":
            backlog += len(text)
            number = message["bundle"]
    await socket.send(json.dumps({"type": "drawn", "bundle": number}))
    message = json.loads(await asyncio.wait_for(socket.recv(), 10))
    now_us = time.time_ns() // 1000
    oldest_us = min(frame["sent_us"] for frame in message["frames"])
    return {"backlog_kb": backlog / 1e3, "age_ms": (now_us - oldest_us) / 1e3, "after_ms": (now_us - resumed_us) / 1e3}


async def _soon(socket: Any) -> str | None:
    try:
        text: str = await asyncio.wait_for(socket.recv(), 0.3)
    except TimeoutError:
        return None
    return text


def measure(kind: str, silent_s: float = SILENT_S) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="spreadboard-bench-") as folder:
        command = [sys.executable, "-m", "bench.live_server", kind, folder]
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            ready = json.loads(server.stdout.readline())
            return asyncio.run(_stall(ready["port"], ready["token"], ready["pid"], silent_s, kind == "relay"))
        finally:
            server.terminate()
            server.wait(20)


def run(silent_s: float = SILENT_S) -> list[dict[str, Any]]:
    ours, naive = measure("relay", silent_s), measure("textbook", silent_s)
    baseline = "textbook Channels"
    rows: list[dict[str, Any]] = [
        {
            "name": f"a browser that stops reading for {silent_s:.0f} s: growth of the server",
            "value": round(ours["growth_mb"], 3),
            "unit": "MB",
            "baseline": baseline,
            "baseline_value": round(naive["growth_mb"], 3),
            "ratio": round(ours["growth_mb"] / naive["growth_mb"], 4) if naive["growth_mb"] else None,
        }
    ]
    for name, key, unit in (
        ("what was on its way", "backlog_kb", "kB"),
        ("age of the first bundle after it", "age_ms", "ms"),
    ):
        rows.append(
            {
                "name": f"the same, when it reads again: {name}",
                "value": round(ours[key], 1),
                "unit": unit,
                "baseline": "none",
                "baseline_value": None,
                "ratio": None,
            }
        )
    return rows


if __name__ == "__main__":
    print(json.dumps(run(*map(float, sys.argv[1:])), indent=1))
