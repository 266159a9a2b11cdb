"""What the simulated exchanges really told, taken where they tell it, and a judge that holds every frame against it.

Nothing of the adapters or of the machinery that is tested: raw frames, and the naive replays of ``bench.truths``.
"""

import heapq
import json
from bisect import bisect_right
from decimal import Decimal
from typing import Any

from bench.truths import REPLAYS
from bench.truths.scene import Scene
from feeds.domain import StreamState
from feeds.engine import Engine
from feeds.simulator import SimulatorServer
from feeds.simulator.kraken.sockets import Connection

Levels = list[tuple[Decimal, Decimal]]
SHOWN = 25


class Tap:
    """A subscriber inside the simulated exchange: it has no socket, so no lifetime, and misses nothing."""

    combined = True
    route = "public"

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def deliver(self, text: str) -> None:
        self.records.append({"via": "ws", "raw": text})

    send = deliver  # of a socket


class Witness:
    """Begin before the engine does. ``symbols``: unified, by (exchange, product)."""

    def __init__(self, server: SimulatorServer, symbols: dict[tuple[str, str], tuple[str, ...]]) -> None:
        self._symbols = symbols
        self._taps = {(*place, symbol): Tap() for place, each in symbols.items() for symbol in each}
        self.prints: dict[str, Tap] = {}
        for (exchange, product, symbol), tap in self._taps.items():
            native = symbol.partition(":")[0].replace("/", "")
            if exchange == "binance":
                streams = server.exchanges["binance"].products[product]
                streams.subscribe(tap, f"{native.lower()}@depth@100ms")
                if product == "spot":
                    self.prints[f"trades:binance:{symbol}"] = Tap()
                    streams.subscribe(self.prints[f"trades:binance:{symbol}"], f"{native.lower()}@trade")
            else:
                sockets = server.exchanges["kraken"]._sockets
                connection = Connection(sockets, tap, 1)
                sockets.request(connection, "subscribe", {"channel": "book", "symbol": [symbol], "depth": 100}, 1)
                tap.records = [row for row in tap.records if '"book"' in row["raw"] and '"data"' in row["raw"]]

    def listen(self, engine: Engine) -> None:
        """Keep the answers of the exchange to questions for a book: each is a truth of its own."""
        for venue in engine.venues.values():
            venue.rest.send = self._keeping(venue.rest.send)

    def _keeping(self, send: Any) -> Any:
        async def kept(request: Any, **options: Any) -> Any:
            answer = await send(request, **options)
            if request.path.endswith("/depth"):
                path = request.path + "?" + "".join(f"{name}={value}&" for name, value in request.params)
                for (_, product, symbol), tap in self._taps.items():
                    if product == request.product and f"symbol={symbol.partition(':')[0].replace('/', '')}&" in path:
                        tap.records.append({"via": "rest", "path": path, "raw": answer.raw})
            return answer

        return kept

    def truth(self, exchange: str, product: str, symbol: str) -> "Truth":
        return Truth(exchange, product, symbol, self._taps[exchange, product, symbol].records)

    @property
    def topics(self) -> list[str]:
        return [f"book:{exchange}:{symbol}" for exchange, _, symbol in self._taps]

    def truths(self) -> dict[str, "Truth"]:
        """By topic of the book."""
        return {topic: self.truth(*place) for topic, place in zip(self.topics, self._taps, strict=True)}


class Truth:
    """Every state of one book, in order: number, best bids, best asks."""

    def __init__(self, exchange: str, product: str, symbol: str, records: list[dict[str, Any]]) -> None:
        self.binance = exchange == "binance"
        self.states: list[tuple[Any, Levels, Levels]] = []
        scene = Scene(exchange, product, "", (symbol,), 100)
        for _, number, bids, asks in REPLAYS[exchange](scene, records):
            self.states.append((number, *_best(bids, asks)))
        if self.binance:
            for row in records:
                if row["via"] == "rest":
                    body = json.loads(row["raw"])
                    sides = ({Decimal(p): Decimal(q) for p, q in body[side]} for side in ("bids", "asks"))
                    self.states.append((body["lastUpdateId"], *_best(*sides)))
            self.states.sort(key=lambda state: state[0])
        self._numbers = [state[0] if self.binance else state[0][0] for state in self.states]

    def place(self, frame: dict[str, Any]) -> int | None:
        """Where in the order of states a frame belongs; None: the exchange had no such state at that number."""
        data = frame["data"]
        price, size = (Decimal(10) ** -data[f"{each}_decimals"] for each in ("price", "size"))
        sides = [[(p * price, s * size) for p, s in data[side]] for side in ("bids", "asks")]
        end = bisect_right(self._numbers, frame["seq"] if self.binance else frame["exchange_ms"])
        for at in range(end - 1, max(-1, end - 8), -1):
            number, bids, asks = self.states[at]
            if self.binance and number != frame["seq"]:
                return None
            if sides == [bids[: len(sides[0])], asks[: len(sides[1])]] and all(sides):
                return at
        return None


def _best(bids: dict[Decimal, Decimal], asks: dict[Decimal, Decimal]) -> tuple[Levels, Levels]:
    return (
        [(price, bids[price]) for price in heapq.nlargest(SHOWN, bids)],
        [(price, asks[price]) for price in heapq.nsmallest(SHOWN, asks)],
    )


class Sink:
    """Keeps every frame of every topic, in order."""

    def __init__(self) -> None:
        self.frames: dict[str, list[dict[str, Any]]] = {}

    def publish(self, topic: str, frame: str) -> None:
        self.frames.setdefault(topic, []).append(json.loads(frame))

    def publish_to(self, holder: str, topic: str, frame: str) -> None:
        pass

    def refuse(self, holder: str, topic: str, reason: str) -> None:
        raise AssertionError(f"{topic} refused: {reason}")

    def state(self, topic: str) -> str | None:
        return self.frames[topic][-1].get("state") if self.frames.get(topic) else None

    def last(self, topic: str) -> dict[str, Any]:
        return self.frames[topic][-1]


def live_part(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """From the first LIVE frame on."""
    first = next(i for i, frame in enumerate(frames) if frame["state"] == "LIVE")
    return frames[first:]


def wrong_books(frames: list[dict[str, Any]], truth: Truth) -> list[str]:
    """What is wrong with the usable ones: not the exchange's book of that number, or older than the one before."""
    wrong, before = [], -1
    for frame in frames:
        if not StreamState(frame["state"]).usable:
            continue
        at = truth.place(frame)
        if at is None:
            wrong.append(f"n {frame['n']}: the exchange had no such book at {frame['seq'] or frame['exchange_ms']}")
        elif truth.states[at][0] != truth.states[before][0] and at < before:
            wrong.append(f"n {frame['n']}: goes back from {truth.states[before][0]} to {truth.states[at][0]}")
        else:
            before = at
    return wrong
