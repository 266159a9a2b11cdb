"""1,000 browsers x 10 markets x 10 updates a second on one Daphne, beside the textbook Channels pattern.

Server (``bench.live_server``) and clients (``bench.watchers``) are two processes; lateness is from the moment that the
worker hands a frame on to the moment that a client has it, by one clock. A frame counts as lost if a client never got
its number, also if only because a newer one took its place.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.live_server import PER_S, TOPICS

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 20.0
BROWSERS = 1000
TEXTBOOK = (50, 200)
TICKS = 100  # of the kernel's accounting, per second


def cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(kind: str, browsers: int, seconds: float = SECONDS) -> dict[str, Any]:
    """One run. Shares of what should have been delivered, milliseconds, cores."""
    with tempfile.TemporaryDirectory(prefix="spreadboard-bench-") as folder:
        command = [sys.executable, "-m", "bench.live_server", kind, folder]
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            ready = json.loads(server.stdout.readline())
            arguments = [str(ready["port"]), ready["token"], str(browsers), str(seconds)]
            textbook = ["textbook"] if kind == "textbook" else []
            watchers = subprocess.Popen(
                [sys.executable, "-m", "bench.watchers", *arguments, *textbook],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert watchers.stdout is not None
            watchers.stdout.readline()  # connected
            began_cpu_s, began_s = cpu_s(server.pid), time.monotonic()
            output, _ = watchers.communicate(timeout=seconds + 120)
            server_cpu = (cpu_s(server.pid) - began_cpu_s) / (time.monotonic() - began_s)
        finally:
            server.terminate()
            server.wait(20)
    result: dict[str, Any] = json.loads(output)
    result["server_cpu"] = server_cpu
    result["share"] = result["per_s"] / (browsers * len(TOPICS) * PER_S)
    return result


def run() -> list[dict[str, Any]]:
    ours = measure("relay", BROWSERS)
    rows = []
    for browsers in TEXTBOOK:
        naive = measure("textbook", browsers)
        for name, key, unit in (
            ("delivered of what was published", "share", "ratio"),
            ("frames delivered", "per_s", "1/s"),
            ("lateness p50", "p50_ms", "ms"),
            ("lateness p99", "p99_ms", "ms"),
            ("server processor", "server_cpu", "cores"),
        ):
            rows.append(
                {
                    "name": f"fan-out, {BROWSERS} browsers: {name}",
                    "value": round(ours[key], 3),
                    "unit": unit,
                    "baseline": f"textbook Channels, {browsers} browsers",
                    "baseline_value": round(naive[key], 3),
                    "ratio": round(ours[key] / naive[key], 3) if naive[key] else None,
                }
            )
    rows.append(
        {
            "name": f"fan-out, {BROWSERS} browsers: frames lost",
            "value": ours["lost"],
            "unit": "frames",
            "baseline": "none may be",
            "baseline_value": 0,
            "ratio": None,
        }
    )
    return rows


if __name__ == "__main__":
    kind, count, *rest = sys.argv[1:]
    print(json.dumps(measure(kind, int(count), *map(float, rest)), indent=1))
