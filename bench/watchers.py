"""Many WebSocket clients in one process, light enough to leave the server as what is measured. For ``bench.fanout``.

    python -m bench.watchers PORT TOKEN BROWSERS SECONDS [textbook]

Each connects, subscribes, confirms once a second, and checks every frame that it gets: how late it is, and whether the
worker's numbers are without holes. Prints one JSON object. Browsers have machines of their own, these share one core:
so equal bytes are decoded once.
"""

import asyncio
import json
import os
import random
import sys
import time
from base64 import b64encode
from typing import Any

import msgspec
import uvloop

from bench.live_server import TOPICS

BUCKET_MS = 0.5


class Frame(msgspec.Struct):
    topic: str
    n: int
    sent_us: int


class Message(msgspec.Struct):
    type: str = "frame"
    bundle: int = 0
    frames: list[Frame] = []
    topic: str = ""
    n: int = 0
    sent_us: int = 0


class Tally:
    """What all clients of this process together have seen."""

    def __init__(self) -> None:
        self.measuring = False
        self.delivered = 0
        self.lost = 0
        self.late: list[int] = [0] * 200_000  # frames by lateness, in buckets
        self.messages = 0
        self._parsed: dict[bytes, tuple[int, list[tuple[int, int, int]]]] = {}
        self._decode = msgspec.json.Decoder(Message).decode
        self._index = {topic: index for index, topic in enumerate(TOPICS)}

    def parse(self, payload: memoryview) -> tuple[int, list[tuple[int, int, int]]]:
        """(bundle number, [(topic, n, sent_us)]) of a message."""
        key = bytes(payload)
        parsed = self._parsed.get(key)
        if parsed is None:
            message = self._decode(payload)
            frames = message.frames if message.type == "bundle" else [message] if message.topic else []
            if len(self._parsed) > 200:
                self._parsed.clear()
            parsed = (message.bundle, [(self._index[f.topic], f.n, f.sent_us) for f in frames])
            self._parsed[key] = parsed
        return parsed

    def percentile(self, share: float) -> float:
        wanted = share * sum(self.late)
        for bucket, count in enumerate(self.late):
            wanted -= count
            if wanted <= 0:
                return (bucket + 1) * BUCKET_MS
        return float("inf")


class Watcher(asyncio.BufferedProtocol):
    shared = bytearray(1 << 20)  # all clients of a process read into it, one after another

    def __init__(self, tally: Tally, token: str, port: int) -> None:
        self.tally = tally
        self.ready = asyncio.get_running_loop().create_future()
        self._request = (
            f"GET /ws/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        ).encode()
        self._kept = b""  # the beginning of a message that is not complete yet
        self._shaken = False
        self._bundle = 0
        self._last = [0] * len(TOPICS)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("closed while connecting"))

    def get_buffer(self, sizehint: int) -> memoryview:
        kept = len(self._kept)
        self.shared[:kept] = self._kept
        return memoryview(self.shared)[kept:]

    def buffer_updated(self, nbytes: int) -> None:
        view = memoryview(self.shared)[: len(self._kept) + nbytes]
        at = 0 if self._shaken else self._shake_hands(bytes(view))
        size = len(view)
        while size - at >= 2:
            length, start = view[at + 1], at + 2
            if length == 126:
                start = at + 4
                length = int.from_bytes(view[at + 2 : start], "big")
            elif length == 127:
                start = at + 10
                length = int.from_bytes(view[at + 2 : start], "big")
            if size < start + length:
                break
            if view[at] == 0x81:
                self.received(view[start : start + length])
            elif view[at] & 0x0F == 8:
                print("closed by the server:", bytes(view[start : start + length]), file=sys.stderr)
            at = start + length
        self._kept = bytes(view[at:]) if at < size else b""

    def _shake_hands(self, received: bytes) -> int:
        """Where the first message begins."""
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return 0
        if b" 101 " not in received[:20]:
            raise ConnectionError(received[:80].decode("latin1"))
        self._shaken = True
        self.send({"type": "subscribe", "topics": list(TOPICS)})
        return end + 4

    def received(self, payload: memoryview) -> None:
        tally = self.tally
        bundle, frames = tally.parse(payload)
        if bundle:
            self._bundle = bundle
        if not frames:
            if not self.ready.done() and b'"subscribed"' in bytes(payload[:40]):
                self.ready.set_result(None)
            return
        now_us = time.time_ns() // 1000
        last, late = self._last, tally.late
        if tally.measuring:
            tally.messages += 1
            tally.delivered += len(frames)
            for topic, n, sent_us in frames:
                tally.lost += n - last[topic] - 1
                last[topic] = n
                late[int((now_us - sent_us) / (1000 * BUCKET_MS))] += 1
        else:
            for topic, n, _ in frames:
                last[topic] = n

    def send(self, content: dict[str, object]) -> None:
        payload = json.dumps(content).encode()
        mask = os.urandom(4)
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self.transport.write(b"\x81" + length + mask + masked)

    def confirm(self) -> None:
        if self._bundle:
            self.send({"type": "drawn", "bundle": self._bundle})


async def confirm_each(watcher: Watcher) -> None:
    await asyncio.sleep(random.random())
    while True:
        watcher.confirm()
        await asyncio.sleep(0.95)


async def watch(port: int, token: str, browsers: int, seconds: float, textbook: bool) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    tally = Tally()
    watchers: list[Watcher] = []
    for start in range(0, browsers, 25):
        made = [Watcher(tally, token, port) for _ in range(min(25, browsers - start))]
        for watcher in made:
            await loop.create_connection(lambda watcher=watcher: watcher, "127.0.0.1", port)
        if not textbook:
            await asyncio.gather(*(watcher.ready for watcher in made))
        watchers += made
    confirming = [] if textbook else [asyncio.create_task(confirm_each(watcher)) for watcher in watchers]
    await asyncio.sleep(2)
    print("connected", flush=True)
    tally.measuring = True
    began_s, cpu_s = time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)
    tally.measuring = False
    took_s = time.monotonic() - began_s
    for task in confirming:
        task.cancel()
    return {
        "delivered": tally.delivered,
        "lost": tally.lost,
        "per_s": tally.delivered / took_s,
        "messages_per_s": tally.messages / took_s,
        "p50_ms": tally.percentile(0.5),
        "p99_ms": tally.percentile(0.99),
        "client_cpu": (time.process_time() - cpu_s) / took_s,
    }


if __name__ == "__main__":
    uvloop.install()
    port, token, browsers, seconds, *rest = sys.argv[1:]
    result = asyncio.run(watch(int(port), token, int(browsers), float(seconds), bool(rest)))
    print(json.dumps(result), flush=True)
