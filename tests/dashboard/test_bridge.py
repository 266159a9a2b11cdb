"""The sink on a channel layer that the test holds up, breaks and fills."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.exceptions import ChannelFull
from channels.layers import InMemoryChannelLayer, channel_layers
from redis.exceptions import ConnectionError as RedisConnectionError

import dashboard.bridge
from dashboard.bridge import ChannelSink
from dashboard.groups import WORKERS_GROUP, group_of
from tests.dashboard.realtime import Message, until

BOOK, QUOTE = "book:binance:BTC/USDT", "quote:binance:BTC/USDT"


class Layer(InMemoryChannelLayer):
    """Keeps what is sent. ``gate`` holds it up, ``error`` is raised instead."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, Message]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.waiting: list[str] = []

    async def send(self, channel: str, message: Message) -> None:
        await self._pass(channel, message)

    async def group_send(self, group: str, message: Message) -> None:
        await self._pass(group, message)

    async def _pass(self, target: str, message: Message) -> None:
        self.waiting.append(target)
        await self.gate.wait()
        self.waiting.remove(target)
        if self.error is not None:
            raise self.error
        self.sent.append((target, message))

    def frames(self) -> list[tuple[str, Any]]:
        return [(target, m["frame"]) for target, m in self.sent if m["type"] == "relay.frame"]

    def beats(self) -> list[Message]:
        return [message for target, message in self.sent if target == WORKERS_GROUP]


@pytest.fixture
def layer() -> Layer:
    layer = Layer()
    channel_layers.set("default", layer)
    return layer


@pytest.fixture
async def sink(layer: Layer) -> AsyncIterator[ChannelSink]:
    sink = ChannelSink(worker=7)
    sink.leased = {BOOK, QUOTE}
    sink.start()
    yield sink
    layer.gate.set()
    layer.error = None
    await sink.stop()


async def test_frames_go_to_their_topics_group_numbered_and_in_order(layer: Layer, sink: ChannelSink) -> None:
    for n in range(3):
        sink.publish(BOOK, f"b{n}")
        sink.publish(QUOTE, f"q{n}")
        await until(lambda n=n: len(layer.frames()) == 2 * n + 2, "both frames")
    assert layer.frames() == [(group_of(t), f"{k}{n}") for n in range(3) for t, k in ((BOOK, "b"), (QUOTE, "q"))]
    numbers = [message["number"] for _, message in layer.sent if message["type"] == "relay.frame"]
    assert numbers == sorted(set(numbers))
    assert {message["worker"] for _, message in layer.sent} == {7}


async def test_a_slow_layer_gets_the_newest_only(layer: Layer, sink: ChannelSink) -> None:
    await until(layer.beats, "the first beat")
    layer.gate.clear()
    sink.publish(BOOK, "first")
    await until(lambda: group_of(BOOK) in layer.waiting, "the sender, which waits with this one")
    for n in range(100):
        sink.publish(BOOK, f"b{n}")
        sink.publish(QUOTE, f"q{n}")
    layer.gate.set()
    await until(lambda: (group_of(QUOTE), "q99") in layer.frames(), "the last frames")
    assert [frame for _, frame in layer.frames()] == ["first", "b99", "q99"]
    assert sink.coalesced == 199
    assert len(sink._line) == 0


async def test_what_nobody_leases_is_not_sent(layer: Layer, sink: ChannelSink) -> None:
    sink.publish("book:kraken:BTC/USD", "unwanted")
    sink.publish(BOOK, "wanted")
    await until(layer.frames, "a frame")
    assert layer.frames() == [(group_of(BOOK), "wanted")]


async def test_answers_and_refusals_go_to_one_relay(layer: Layer, sink: ChannelSink) -> None:
    sink.publish_to("relay.a", BOOK, "for a")
    sink.refuse("relay.b", QUOTE, "No.")
    await until(lambda: len([t for t, _ in layer.sent if t.startswith("relay.")]) == 2, "both")
    assert layer.frames() == [("relay.a", "for a")]
    assert ("relay.b", {"type": "relay.refused", "topic": QUOTE, "reason": "No."}) in layer.sent


async def test_a_relay_whose_channel_is_full_holds_up_nobody(layer: Layer, sink: ChannelSink) -> None:
    layer.error = ChannelFull()
    sink.publish_to("relay.a", BOOK, "too much")
    await until(lambda: sink.dropped == 1, "the drop")
    layer.error = None
    sink.publish(BOOK, "next")
    await until(layer.frames, "the next frame")


@pytest.mark.parametrize(
    "error", [RedisConnectionError("gone"), OSError("unreachable"), TimeoutError(), RuntimeError("waits already")]
)
async def test_a_broken_layer_is_logged_once_and_the_newest_frame_sent_when_it_works(
    layer: Layer, sink: ChannelSink, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    monkeypatch.setattr(sink._outage, "_log", Recorder(events))
    monkeypatch.setattr(dashboard.bridge, "RETRY_S", 0.01)
    layer.error = error
    for n in range(20):
        sink.publish(BOOK, f"b{n}")
        await asyncio.sleep(0.01)
    assert events == ["channel layer broken"]
    layer.error = None
    await until(layer.frames, "the frame")
    assert layer.frames() == [(group_of(BOOK), "b19")]
    assert events == ["channel layer broken", "channel layer works again"]


class Recorder:
    """Takes the place of a log."""

    def __init__(self, events: list[str]) -> None:
        self.error = self.info = lambda event, **_: events.append(event)


async def test_a_layer_that_hangs_is_given_up(layer: Layer, sink: ChannelSink, monkeypatch: pytest.MonkeyPatch) -> None:
    await until(layer.beats, "the first beat")
    monkeypatch.setattr(dashboard.bridge, "SEND_TIMEOUT_S", 0.05)
    monkeypatch.setattr(dashboard.bridge, "RETRY_S", 0.01)
    layer.gate.clear()
    sink.publish(BOOK, "b")
    await until(lambda: sink._outage.lasting, "the outage")
    layer.gate.set()
    await until(layer.frames, "the frame")


async def test_the_beat_tells_the_number_of_the_last_frame_sent(layer: Layer, sink: ChannelSink) -> None:
    sink.publish(BOOK, "b1")
    sink.publish(BOOK, "b2")
    await until(layer.frames, "the frame")
    number = layer.sent[-1][1]["number"]
    layer.sent.clear()
    beat = (await until(layer.beats, "a beat"))[0]
    assert beat["numbers"] == {BOOK: number, QUOTE: 0}
    assert (beat["state"], beat["worker"]) == ("up", 7)


async def test_the_last_beat_says_that_the_worker_stops_and_nothing_is_left(layer: Layer) -> None:
    sink = ChannelSink(worker=7)
    sink.start()
    await until(layer.beats, "the first beat")
    await sink.stop()
    await sink.stop()
    assert layer.beats()[-1]["state"] == "stopping"
    assert not [task for task in asyncio.all_tasks() if task.get_name() in ("sink", "beat")]


async def test_stopping_does_not_wait_for_a_layer_that_hangs(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard.bridge, "FAREWELL_S", 0.05)
    sink = ChannelSink(worker=7)
    layer.gate.clear()
    sink.start()
    await asyncio.wait_for(sink.stop(), 1.0)
