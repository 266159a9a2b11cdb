"""Daphne with a worker made of nothing, in one process: what ``fanout`` and ``slowreader`` measure.

    python -m bench.live_server relay|textbook FOLDER

Ten markets send a whole book (25 levels a side) ten times a second each, every market at moments of its own. With
``relay`` the frames go the real way: sink, channel layer, relay, consumer, Daphne. With ``textbook`` every browser is
in every market's group, as Channels' tutorial does it. Prints one JSON object with port and token when it listens.
"""

import asyncio
import json
import os
import random
import sys
import time
from typing import Any

TOPICS = tuple(f"book:bench:C{number}/USDT" for number in range(10))
PER_S = 10


def book(rng: random.Random, topic: str) -> tuple[str, str]:
    """The parts of a frame before and after its number and times."""
    price = rng.randint(5_000_000, 7_000_000)
    bids = [[price - i * rng.randint(1, 9), rng.randint(1_000, 9_999_999)] for i in range(25)]
    asks = [[price + 1 + i * rng.randint(1, 9), rng.randint(1_000, 9_999_999)] for i in range(25)]
    data = {
        "price_decimals": 2,
        "size_decimals": 5,
        "checksum": None,
        "bids": bids,
        "asks": asks,
        "bid": bids[0],
        "ask": asks[0],
    }
    return f'{{"topic":"{topic}","n":', f',"data":{json.dumps(data, separators=(",", ":"))}}}'


async def publish(topic: str, send: Any) -> None:
    rng = random.Random(topic)
    head, tail = book(rng, topic)
    loop = asyncio.get_running_loop()
    next_s = loop.time() + rng.random() / PER_S
    n = 0
    while True:
        await asyncio.sleep(next_s - loop.time())
        next_s += 1 / PER_S
        n += 1
        now_us = time.time_ns() // 1000
        times = f'"seq":{50_000_000_000 + n},"exchange_ms":{now_us // 1000},"recv_us":{now_us},"sent_us":{now_us}'
        send(topic, f'{head}{n},"state":"LIVE",{times}{tail}')


class SyntheticWorker:
    """Takes the place of ``dashboard.worker.FeedsWorker``."""

    def __init__(self) -> None:
        from dashboard.bridge import ChannelSink

        self.sink = ChannelSink(worker=1)

    def lease(self, relay: str, topics: list[str], again: list[str], ttl_s: float) -> None:
        self.sink.leased = frozenset(topics)

    def release(self, relay: str) -> None:
        self.sink.leased = frozenset()

    async def run(self) -> None:
        from dashboard.worker import FeedsWorker, host_feeds

        FeedsWorker.current = self
        self.sink.start()
        await asyncio.gather(host_feeds(), *(publish(topic, self.sink.publish) for topic in TOPICS))


def prepare() -> str:
    """A database with the markets and a token."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from dashboard import auth
    from dashboard.models import MarketRow

    for topic in TOPICS:
        _, exchange, symbol = topic.split(":")
        row = MarketRow(exchange=exchange, symbol=symbol, native=symbol, product="spot", base=symbol, quote="USDT")
        row.tick = row.lot = row.min_size = row.min_notional = 1
        row.status = "trading"
        row.save()
    return auth.new_api_token(auth.first_user())


def main(kind: str, folder: str) -> None:
    os.environ.update(SPREADBOARD_VAR=folder, DJANGO_SETTINGS_MODULE="dashboard.settings", LOG_LEVEL="WARNING")
    os.environ.pop("REDIS_URL", None)
    from daphne.server import Server
    from twisted.internet import reactor

    token = prepare()
    work: list[asyncio.Task[None]] = []
    if kind == "relay":
        from dashboard.asgi import application

        worker = SyntheticWorker()
        run = worker.run
    else:
        from bench import textbook

        application, run = textbook.application(), textbook.run

    def start() -> None:
        work.append(asyncio.ensure_future(run()))
        port = server.listening_addresses[0][1]
        print(json.dumps({"port": port, "token": token, "pid": os.getpid()}), flush=True)

    server = Server(application, endpoints=["tcp:port=0:interface=127.0.0.1"])
    reactor.callLater(0.2, start)
    server.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
