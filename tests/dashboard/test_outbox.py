"""The confirmed flow of one browser, against a naive model of it."""

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from dashboard.outbox import CAP_BYTES, CAP_S, INTERVAL_S, PATIENCE_S, Board, Bundle, Need, Outbox, framed


def frame(topic: str, n: int, padding: int = 0) -> str:
    return json.dumps({"topic": topic, "n": n, "data": "x" * padding})


def served(outbox: Outbox, board: Board, number: int, now_s: float) -> list[dict[str, Any]]:
    """One tick for one browser, as the relay does it; the frames that it sent."""
    need = outbox.offer(board, now_s)
    if need is None:
        return []
    bundle = board.bundle(number, need)
    if bundle is None:
        outbox.caught_up(board.version)
        return []
    if not outbox.take(bundle, now_s):
        return []
    message = json.loads(bundle.text)
    assert message["type"] == "bundle"
    assert message["bundle"] == number == bundle.number
    assert len(bundle.text.encode()) == bundle.size
    frames: list[dict[str, Any]] = message["frames"]
    assert {f["topic"] for f in frames} == bundle.topics
    return frames


def test_a_browser_gets_the_newest_frame_of_what_it_watches_and_nothing_else() -> None:
    board, outbox = Board(), Outbox()
    board.put("a", frame("a", 1))
    board.put("b", frame("b", 1))
    outbox.subscribe(["a"])
    assert [f["n"] for f in served(outbox, board, 1, 0.0)] == [1]
    board.put("a", frame("a", 2))
    board.put("a", frame("a", 3))
    assert [(f["topic"], f["n"]) for f in served(outbox, board, 2, 0.1)] == [("a", 3)]
    assert served(outbox, board, 3, 0.2) == []


def test_a_topic_subscribed_again_is_sent_again() -> None:
    board, outbox = Board(), Outbox()
    board.put("a", frame("a", 1))
    outbox.subscribe(["a"])
    assert served(outbox, board, 1, 0.0)
    outbox.subscribe(["a"])
    assert [f["n"] for f in served(outbox, board, 2, 0.1)] == [1]
    assert served(outbox, board, 3, 0.2) == []


def test_a_topic_without_a_frame_is_sent_when_it_gets_one() -> None:
    board, outbox = Board(), Outbox()
    outbox.subscribe(["a"])
    assert served(outbox, board, 1, 0.0) == []
    board.put("a", frame("a", 1))
    assert [f["n"] for f in served(outbox, board, 2, 0.1)] == [1]


def test_two_bundles_are_at_least_the_interval_apart() -> None:
    board, outbox = Board(), Outbox()
    outbox.subscribe(["a"])
    board.put("a", frame("a", 1))
    assert served(outbox, board, 1, 0.0)
    board.put("a", frame("a", 2))
    assert served(outbox, board, 2, INTERVAL_S * 0.99) == []
    assert served(outbox, board, 3, INTERVAL_S) != []


def test_nothing_is_sent_while_the_oldest_in_flight_is_too_old_and_then_the_newest() -> None:
    board, outbox = Board(), Outbox()
    outbox.subscribe(["a"])
    board.put("a", frame("a", 1))
    served(outbox, board, 1, 0.0)
    board.put("a", frame("a", 2))
    assert served(outbox, board, 2, CAP_S) == []
    board.put("a", frame("a", 3))
    assert served(outbox, board, 3, CAP_S + 1) == []
    assert outbox.confirm(1) is True
    assert [f["n"] for f in served(outbox, board, 4, CAP_S + 2)] == [3]


def test_the_bytes_in_flight_are_capped() -> None:
    board, outbox = Board(), Outbox()
    outbox.subscribe(["a"])
    got = []
    for number in range(1, 31):  # within the cap's two seconds
        board.put("a", frame("a", number, padding=10_000))
        got += [f["n"] for f in served(outbox, board, number, number / 16)]
    assert got == list(range(1, len(got) + 1))
    assert CAP_BYTES - 20_000 < outbox.in_flight <= CAP_BYTES
    assert outbox.confirm(1) is True
    assert [f["n"] for f in served(outbox, board, 31, 2.0)] == [30]


def test_bundles_larger_than_the_cap_are_parted_and_the_oldest_change_comes_first() -> None:
    board, outbox = Board(), Outbox()
    names = [f"t{i}" for i in range(30)]
    for name in names:
        board.put(name, frame(name, 1, padding=20_000))
    outbox.subscribe(names)
    got: list[str] = []
    for number in range(1, 10):
        frames = served(outbox, board, number, float(number))
        assert outbox.in_flight <= CAP_BYTES
        got += [f["topic"] for f in frames]
        outbox.confirm(number if frames else 0)
    assert got == names


def test_one_frame_larger_than_the_cap_is_sent_alone() -> None:
    board, outbox = Board(), Outbox()
    board.put("big", frame("big", 1, padding=CAP_BYTES * 2))
    board.put("small", frame("small", 1))
    outbox.subscribe(["big", "small"])
    assert [f["topic"] for f in served(outbox, board, 1, 0.0)] == ["big"]
    assert served(outbox, board, 2, 0.1) == []
    outbox.confirm(1)
    assert [f["topic"] for f in served(outbox, board, 2, 0.2)] == ["small"]


def test_sizes_are_bytes_not_characters() -> None:
    board, outbox = Board(), Outbox()
    board.put("a", '{"topic":"a","label":"€€€"}')
    outbox.subscribe(["a"])
    need = outbox.offer(board, 0.0)
    assert need is not None
    bundle = board.bundle(1, need)
    assert bundle is not None
    assert bundle.size == len(bundle.text.encode()) > len(bundle.text)


def test_confirming_what_was_never_sent_is_an_error() -> None:
    outbox = Outbox()
    with pytest.raises(ValueError, match="bundle 1 was not sent"):
        outbox.confirm(1)


def test_confirming_twice_changes_nothing() -> None:
    board, outbox = Board(), Outbox()
    board.put("a", frame("a", 1))
    outbox.subscribe(["a"])
    served(outbox, board, 5, 0.0)
    outbox.confirm(5)
    outbox.confirm(5)
    outbox.confirm(3)
    assert outbox.in_flight == 0


def test_patience_ends_only_if_bundles_wait_and_nothing_is_confirmed() -> None:
    board, outbox = Board(), Outbox()
    board.put("a", frame("a", 1))
    outbox.subscribe(["a"])
    served(outbox, board, 1, 0.0)
    assert outbox.offer(board, 500.0) is None  # unconfirmed, but nothing waits for it
    assert not outbox.gave_up(1000.0)
    board.put("a", frame("a", 2))
    served(outbox, board, 2, 1000.0)
    assert not outbox.gave_up(1000.0 + PATIENCE_S - 0.1)
    assert outbox.gave_up(1000.0 + PATIENCE_S)
    outbox.confirm(1)
    assert not outbox.gave_up(1000.0 + PATIENCE_S)


def test_equal_needs_are_owed_equal_bundles() -> None:
    board = Board()
    first, second, third = Outbox(), Outbox(), Outbox()
    for outbox in (first, second):
        outbox.subscribe(["a", "b"])
    third.subscribe(["a"])
    board.put("a", frame("a", 1))
    assert first.offer(board, 0.0) == second.offer(board, 0.0) != third.offer(board, 0.0)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 300_000])
def test_frames_are_read_by_others_as_they_were_meant(size: int) -> None:
    payload = b"x" * size
    read = StreamReader()
    read.feed_data(framed(payload))
    parsing = Frame.parse(read.read_exact, mask=False)
    with pytest.raises(StopIteration) as done:
        next(parsing)
    assert done.value.value == Frame(Opcode.TEXT, payload)


class Flow(RuleBasedStateMachine):
    """Any interleaving of changes, subscriptions, ticks and confirmations, for two browsers on one board."""

    TOPICS = st.sampled_from(["a", "b", "c", "d", "e"])

    def __init__(self) -> None:
        super().__init__()
        self.board = Board()
        self.now_s = 0.0
        self.number = 0
        self.newest: dict[str, int] = {}
        self.browsers = [Outbox(), Outbox()]
        self.watched: list[set[str]] = [set(), set()]
        self.shown: list[dict[str, int]] = [{}, {}]
        self.flight: list[list[tuple[int, int, float]]] = [[], []]
        self.last_sent_s = [float("-inf")] * 2

    @rule(topic=TOPICS, padding=st.sampled_from([0, 30_000, 90_000, 300_000]))
    def change(self, topic: str, padding: int) -> None:
        self.newest[topic] = self.newest.get(topic, 0) + 1
        self.board.put(topic, frame(topic, self.newest[topic], padding))

    @rule(who=st.integers(0, 1), topics=st.sets(TOPICS, max_size=3))
    def subscribe(self, who: int, topics: set[str]) -> None:
        self.browsers[who].subscribe(topics)
        self.watched[who] |= topics
        for topic in topics:
            self.shown[who].pop(topic, None)  # it is due again

    @rule(who=st.integers(0, 1), topics=st.sets(TOPICS, max_size=3))
    def unsubscribe(self, who: int, topics: set[str]) -> None:
        self.browsers[who].unsubscribe(topics)
        self.watched[who] -= topics
        for topic in topics:
            self.shown[who].pop(topic, None)

    @rule(wait_s=st.sampled_from([0.01, 0.05, 0.5, 3.0]))
    def tick(self, wait_s: float) -> None:
        self.now_s += wait_s
        self.number += 1
        shared: dict[Need, Bundle | None] = {}
        for who, outbox in enumerate(self.browsers):
            need = outbox.offer(self.board, self.now_s)
            if need is None:
                continue
            if need not in shared:
                shared[need] = self.board.bundle(self.number, need)
            bundle = shared[need]
            if bundle is None:
                outbox.caught_up(self.board.version)
            elif outbox.take(bundle, self.now_s):
                self._received(who, bundle)

    def _received(self, who: int, bundle: Bundle) -> None:
        frames = json.loads(bundle.text)["frames"]
        topics = [f["topic"] for f in frames]
        assert len(topics) == len(set(topics)), "two frames of a topic in one bundle"
        assert set(topics) <= self.watched[who], "a topic that is not subscribed"
        for f in frames:
            assert f["n"] >= self.shown[who].get(f["topic"], 0), "an older frame after a newer one"
            self.shown[who][f["topic"]] = f["n"]
        assert self.now_s - self.last_sent_s[who] >= INTERVAL_S
        assert all(self.now_s - sent_s < CAP_S for _, _, sent_s in self.flight[who])
        self.last_sent_s[who] = self.now_s
        self.flight[who].append((bundle.number, bundle.size, self.now_s))

    @rule(who=st.integers(0, 1), back=st.integers(0, 3))
    @precondition(lambda self: any(self.flight))
    def confirm(self, who: int, back: int) -> None:
        if not self.flight[who]:
            return
        number = self.flight[who][max(0, len(self.flight[who]) - 1 - back)][0]
        self.browsers[who].confirm(number)
        self.flight[who] = [entry for entry in self.flight[who] if entry[0] > number]

    @invariant()
    def in_flight_is_capped(self) -> None:
        for outbox, flight in zip(self.browsers, self.flight, strict=True):
            assert outbox.in_flight == sum(size for _, size, _ in flight)
            assert outbox.in_flight <= CAP_BYTES or len(flight) == 1

    def teardown(self) -> None:
        """Once everything is confirmed, some more ticks bring every browser the newest frame of all it watches."""
        for _ in range(12):
            for who in (0, 1):
                if self.flight[who]:
                    self.confirm(who, 0)
            self.tick(0.05)
        for who, watched in enumerate(self.watched):
            expected = {topic: n for topic, n in self.newest.items() if topic in watched}
            assert self.shown[who] == expected


TestFlow = Flow.TestCase
TestFlow.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
