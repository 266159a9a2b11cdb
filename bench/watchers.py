"""Many WebSocket clients in one process, light enough to leave the server as what is measured. For ``bench.fanout``.

    python -m bench.watchers PORT TOKEN BROWSERS SECONDS [textbook]

Each connects, subscribes, confirms once a second, and checks every frame that it gets: how late it is, and whether the
worker's numbers are without holes. Prints one JSON object. The parsing of equal bytes is shared: a real browser would do
it on a machine of its own.
"""

import asyncio
import json
import os
import random
import sys
import time
from base64 import b64encode

import msgspec

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

    def parse(self, payload: bytes) -> tuple[int, list[tuple[int, int, int]]]:
        """(bundle number, [(topic, n, sent_us)]) of a message."""
        parsed = self._parsed.get(payload)
        if parsed is None:
            message = self._decode(payload)
            frames = message.frames if message.type == "bundle" else [message] if message.topic else []
            parsed = (message.bundle, [(self._index[f.topic], f.n, f.sent_us) for f in frames])
            if len(self._parsed) > 50:
                self._parsed.clear()
            self._parsed[payload] = parsed
        return parsed

    def percentile(self, share: float) -> float:
        wanted = share * sum(self.late)
        for bucket, count in enumerate(self.late):
            wanted -= count
            if wanted <= 0:
                return (bucket + 1) * BUCKET_MS
        return float("inf")


class Watcher(asyncio.Protocol):
    def __init__(self, tally: Tally, token: str, port: int) -> None:
        self.tally = tally
        self.ready = asyncio.get_running_loop().create_future()
        self._request = (
            f"GET /ws/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        ).encode()
        self._buffer = b""
        self._shaken = False
        self._bundle = 0
        self._last = [0] * len(TOPICS)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("closed while connecting"))

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        if not self._shaken:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                self._buffer = buffer
                return
            if b" 101 " not in buffer[:20]:
                self.ready.set_exception(ConnectionError(buffer[:80].decode("latin1")))
            self._shaken = True
            buffer = buffer[end + 4 :]
            self.send({"type": "subscribe", "topics": list(TOPICS)})
        at = 0
        size = len(buffer)
        while size - at >= 2:
            length, start = buffer[at + 1], at + 2
            if length == 126:
                length, start = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            elif length == 127:
                length, start = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
            if size < start + length:
                break
            if buffer[at] == 0x81:
                self.received(buffer[start : start + length])
            elif buffer[at] & 0x0F == 8:
                print("closed by the server:", buffer[start : start + length], file=sys.stderr)
            at = start + length
        self._buffer = buffer[at:]

    def received(self, payload: bytes) -> None:
        tally = self.tally
        bundle, frames = tally.parse(payload)
        if bundle:
            self._bundle = bundle
        if not frames:
            if not self.ready.done() and b'"subscribed"' in payload[:40]:
                self.ready.set_result(None)
            return
        now_us = time.time_ns() // 1000
        last, late = self._last, tally.late
        if tally.measuring:
            tally.messages += 1
            for topic, n, sent_us in frames:
                tally.delivered += 1
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
    port, token, browsers, seconds, *rest = sys.argv[1:]
    result = asyncio.run(watch(int(port), token, int(browsers), float(seconds), bool(rest)))
    print(json.dumps(result), flush=True)
