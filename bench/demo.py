"""The demo at work for minutes: eight simulated exchanges with ten markets each, and one client that wants everything.

    python -m bench demo --minutes 10

``manage.py serve`` is started as a user would start it, with a database of its own. The client subscribes to book, best
prices and prints of all markets that are always open, on a connection per exchange since one may not have so many
topics, and confirms what it gets as a browser does. What came in is what the worker says of itself (topic ``streams``),
shares of a core and memory are what the system says of the processes. A book that was rebuilt, was replaced after
comparison, or left the usable states is named at the end, with the reason that was given.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import aiohttp

from bench.common import percentile, row
from feeds.demo import MARKETS
from feeds.domain import StreamState
from feeds.topics import STREAMS
from tests.system.processes import Deployment, dashboard

SETTLED_S = 20.0
"""Everything is connected and every book stands by then; what happens earlier is the start's."""
KINDS = ("book", "quote", "trades")
ALL = tuple(f"{name}:{symbol}" for name, (_, symbols) in MARKETS.items() for symbol in symbols.split())
TOPICS = [[f"{kind}:{each}" for each in ALL if each.startswith(f"{name}:") for kind in KINDS] for name in MARKETS]
TOPICS[0].append(STREAMS)
CONFIRM_S = 0.25
"""So often what was received is confirmed, on a timer: the next bundle may wait for just this."""
COUNTED = ("messages", "reconnects", "not_understood", "resyncs", "differences")


# -- processes ---------------------------------------------------------------------------------------------------------


class Usage(NamedTuple):
    """Of one process: seconds of a core since it began, and resident memory in MB."""

    cpu_s: float
    memory_mb: float


def usage(pid: int) -> Usage:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return Usage(cpu_s, int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6)


def children(pid: int) -> list[int]:
    """Whichever of its threads began them."""
    return [
        int(each) for task in Path(f"/proc/{pid}/task").iterdir() for each in (task / "children").read_text().split()
    ]


# -- the client --------------------------------------------------------------------------------------------------------


async def confirm(socket: aiohttp.ClientWebSocketResponse, received: list[int]) -> None:
    """``received``: the number of the last bundle."""
    confirmed = 0
    while True:
        await asyncio.sleep(CONFIRM_S)
        if received[0] > confirmed:
            confirmed = received[0]
            await socket.send_json({"type": "drawn", "bundle": confirmed})


class Client:
    """Receives everything and keeps what a person would want to know of it."""

    def __init__(self) -> None:
        self.frames: Counter[str] = Counter()  # by kind
        self.bytes = 0
        self.states: dict[str, str] = {}  # market -> that of its book
        self.trouble: Counter[tuple[str, str]] = Counter()  # (market, state): how often it left the usable ones
        self.why: dict[tuple[str, str], str] = {}
        self.behind_ms: list[float] = []  # of book frames: from the worker to here
        self.told: dict[str, Counter[str]] = {name: Counter() for name in COUNTED}  # by market or connection
        self.settled = False
        self._rows: dict[str, dict[str, Any]] = {}  # of the last "streams" frame

    def begin(self) -> None:
        """From here on it counts."""
        self.settled = True
        self.frames.clear()
        self.bytes = 0

    async def run(self, deployment: Deployment, topics: Sequence[str]) -> None:
        async with (
            aiohttp.ClientSession(headers=deployment.headers) as session,
            session.ws_connect(deployment.ws_url, max_msg_size=0) as socket,
        ):
            await socket.send_json({"type": "subscribe", "topics": topics})
            received = [0]
            confirming = asyncio.create_task(confirm(socket, received))
            try:
                while True:
                    message = await socket.receive(timeout=10)
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        raise RuntimeError(f"the connection ended: {socket.close_code} {message.extra}")
                    content = json.loads(message.data)
                    self.bytes += len(message.data)
                    if content["type"] == "error":
                        raise RuntimeError(content["message"])
                    if content["type"] == "bundle":
                        received[0] = content["bundle"]
                        for frame in content["frames"]:
                            self.take(frame)
            finally:
                confirming.cancel()

    def take(self, frame: dict[str, Any]) -> None:
        kind, _, market = frame["topic"].partition(":")
        self.frames[kind] += 1
        if kind == STREAMS:
            self._count(frame["data"])
        elif kind == "book":
            self._judge(market, frame)

    def _judge(self, market: str, frame: dict[str, Any]) -> None:
        state, before = frame["state"], self.states.get(market)
        self.states[market] = state
        if self.settled:
            self.behind_ms.append(time.time() * 1000 - frame["sent_us"] / 1000)
            if state != before and not StreamState(state).usable:
                self.trouble[market, state] += 1

    def _count(self, data: dict[str, Any]) -> None:
        """What rose since the last frame. A connection that was replaced begins anew."""
        rows = {f"{each['exchange']}:{each['symbol']}": each for each in data["markets"]}
        rows |= {f"{each['exchange']} {each['route']} {each['number']}": each for each in data["connections"]}
        for key, each in rows.items():
            if "symbol" in each and not StreamState(each["state"]).usable and each["reason"]:
                self.why[key, each["state"]] = each["reason"]
            for name in COUNTED:
                if self.settled and name in each:
                    before = self._rows.get(key, {}).get(name, 0)
                    rose = each[name] - before if each[name] >= before else each[name]
                    if rose:
                        self.told[name][key] += rose
        self._rows = rows


# -- the run -----------------------------------------------------------------------------------------------------------


class Result(NamedTuple):
    seconds: float
    cores: dict[str, float]  # "serve", "simulator"
    memory: dict[str, tuple[float, float, float]]  # MB at the start, at the end, the most
    told: dict[str, Counter[str]]
    frames: Counter[str]
    megabytes: float
    usable: int
    trouble: Counter[tuple[str, str]]
    why: dict[tuple[str, str], str]
    behind_ms: tuple[float, float]  # p50, p99
    load: float  # processes that wanted a core at once, averaged over the run


async def measure(deployment: Deployment, seconds: float) -> Result:
    assert deployment.child is not None
    serve = deployment.child.pid
    client = Client()
    receiving = [asyncio.create_task(client.run(deployment, topics)) for topics in TOPICS]

    async def wait(seconds: float) -> None:
        done, _ = await asyncio.wait(receiving, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    await wait(SETTLED_S)
    pids = {"serve": [serve], "simulator": children(serve)}
    if not pids["simulator"]:
        raise SystemExit("demo: the server runs no simulator")

    def look() -> dict[str, Usage]:
        each = {name: [usage(pid) for pid in group] for name, group in pids.items()}
        return {name: Usage(*map(sum, zip(*group, strict=True))) for name, group in each.items()}

    client.begin()
    began_s, seen, loads = time.monotonic(), [look()], [os.getloadavg()[0]]
    while (passed_s := time.monotonic() - began_s) < seconds:
        await wait(min(1.0, seconds - passed_s))
        seen.append(look())
        loads.append(os.getloadavg()[0])
        if len(seen) % 60 == 0:
            megabytes = {name: round(each.memory_mb) for name, each in seen[-1].items()}
            print(f"   {passed_s:.0f} s: MB {megabytes}, out of use {client.trouble}", file=sys.stderr, flush=True)
    seconds = time.monotonic() - began_s
    for task in receiving:
        task.cancel()
    first = seen[0]
    last = seen[-1]
    return Result(
        seconds=seconds,
        cores={name: (last[name].cpu_s - first[name].cpu_s) / seconds for name in pids},
        memory={
            name: (first[name].memory_mb, last[name].memory_mb, max(each[name].memory_mb for each in seen))
            for name in pids
        },
        told=client.told,
        frames=client.frames,
        megabytes=client.bytes / 1e6,
        usable=sum(StreamState(client.states.get(market, "DOWN")).usable for market in ALL),
        trouble=client.trouble,
        why=client.why,
        behind_ms=(percentile(client.behind_ms, 50), percentile(client.behind_ms, 99)),
        load=sum(loads) / len(loads),
    )


def report(found: Result) -> str:
    """What a person reads."""
    told, per_s = found.told, found.seconds
    lines = [f"{len(ALL)} markets of {len(MARKETS)} exchanges, {per_s:.0f} s; {found.usable} usable at the end"]
    for name, cores in found.cores.items():
        start, end, most = found.memory[name]
        lines.append(
            f"{name:10} {cores:.2f} cores, {start:.0f} MB at the start, {end:.0f} at the end, {most:.0f} at most"
        )
    lines.append(f"load of this machine with {os.cpu_count()} cores: {found.load:.1f}; beyond them it tells of others")
    lines.append(f"messages in  {told['messages'].total() / per_s:,.0f}/s")
    kinds = ", ".join(f"{kind} {count / per_s:,.0f}" for kind, count in found.frames.most_common())
    lines.append(f"frames out   {found.frames.total() / per_s:,.0f}/s ({kinds}), {found.megabytes / per_s:.2f} MB/s")
    lines.append(f"worker to client {found.behind_ms[0]:.1f} ms, p99 {found.behind_ms[1]:.1f} ms")
    for name, counted in (
        ("books rebuilt", told["resyncs"]),
        ("differed from a fresh book", told["differences"]),
        ("reconnects", told["reconnects"]),
        ("not understood", told["not_understood"]),
    ):
        which = ", ".join(f"{key} {count}" for key, count in counted.most_common())
        lines.append(f"{name}: {counted.total()}{f' ({which})' if which else ''}")
    lines.append(f"out of use: {found.trouble.total()} times")
    for problem, count in found.trouble.most_common():
        lines.append(f"  {problem[0]} {problem[1]} {count} times: {found.why.get(problem, 'no reason was seen')}")
    return "\n".join(lines)


def run(minutes: float = 1.0) -> list[dict[str, Any]]:
    with TemporaryDirectory() as folder, dashboard(Path(folder) / "var", None, LOG_LEVEL="WARNING") as deployment:
        found = asyncio.run(measure(deployment, minutes * 60))
        warnings = Counter(line for line in deployment.log.read_text().splitlines() if "WARN" in line.upper())
    print(report(found))
    print(f"warnings in the log: {warnings.total()}")
    for line, count in warnings.most_common(10):
        print(f"  {count} x {line[:200]}")
    name = f"demo, {len(ALL)} markets"
    memory = found.memory["serve"]
    return [
        row(f"{name}: serve", found.cores["serve"], "cores", "the simulator", found.cores["simulator"]),
        row(f"{name}: memory of serve at the end", memory[1], "MB", "at the start", memory[0]),
        row(f"{name}: messages in", found.told["messages"].total() / found.seconds, "1/s", "-", None),
        row(f"{name}: frames out", found.frames.total() / found.seconds, "1/s", "-", None),
        row(f"{name}: books rebuilt", found.told["resyncs"].total(), "times", "-", None),
        row(f"{name}: markets out of use", found.trouble.total(), "times", "-", None),
    ]


def main(arguments: Sequence[str]) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(prog="python -m bench demo", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long, after the start (10)")
    return run(parser.parse_args(arguments).minutes)
