"""What is printed finer or larger than anybody expects is shown exactly or told, and nobody else suffers from it."""

import json
from decimal import Decimal as D

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from feeds.across.consolidated import Consolidated
from feeds.across.legs import Rate
from feeds.across.matrix import Matrix
from feeds.across.walk import Walk
from feeds.clock import FakeClock
from feeds.domain import BookDelta, BookSnapshot, Market, StreamState, Trade
from feeds.exchange import MarketIndex
from feeds.exchanges.krakenfutures import KrakenFutures
from feeds.markets.pictures import money
from feeds.publisher import Picture, Publisher
from feeds.topics import parse_topic
from tests.feeds.krakenfutures_frames import DELTA, SNAPSHOT
from tests.feeds.legs_help import Place
from tests.feeds.test_market import Stage
from tests.feeds.test_matrix import fee_of, legs_of, matrix, rows
from tests.feeds.test_publisher import Recorder

XBT = Market(
    exchange="krakenfutures",
    symbol="BTC/USD:USD",
    native="PF_XBTUSD",
    product="futures",
    base="BTC",
    quote="USD",
    settle="USD",
    tick=D("0.5"),
    lot=D("0.0001"),
)
FINE = [0.30000000000000004, 1e-13, 1e-18]


class TestOneMarket:
    """From the exchange's frame to ours, as the connection does it: one call chain."""

    def shown(self, *levels: tuple[str, str]) -> tuple[Stage, Recorder]:
        stage, sink = Stage(from_rest=False, market=XBT), Recorder()
        publisher = Publisher(sink, interval_s=0, clock=stage.clock)
        for name in (
            "book:krakenfutures:BTC/USD:USD",
            "book@1:krakenfutures:BTC/USD:USD",
            "quote:krakenfutures:BTC/USD:USD",
        ):
            publisher.open(name, stage.feed.watch(parse_topic(name)))
        stage.feed._topics._changed = publisher.changed
        stage.connect()
        stage.feed.on_link("book", StreamState.LIVE, "")
        adapter = KrakenFutures()
        session = adapter.session(adapter.products[0], MarketIndex([XBT]))
        frames = [SNAPSHOT]
        for number, (price, qty) in enumerate(levels, 1):
            delta = DELTA.replace('"price": 34981, "qty": 0', f'"price": {price}, "qty": {qty}')
            frames.append(delta.replace("326072250", str(326072249 + number)))
        for frame in frames:
            for event in session.parse(frame):
                if isinstance(event, BookSnapshot):
                    stage.feed.on_snapshot(event, stage.clock.now_ns())
                else:
                    assert isinstance(event, BookDelta)
                    stage.feed.on_delta(event, stage.clock.now_ns())
        return stage, sink

    @pytest.mark.parametrize("qty", [repr(value) for value in FINE])
    def test_finer_sizes_are_shown_to_the_last_digit(self, qty: str) -> None:
        stage, sink = self.shown(("34911.5", qty))
        for name, frames in sink.frames.items():
            data = frames[-1]["data"]
            if name.startswith("quote"):
                assert D(data["ask_size"]) == D(qty)
            else:
                assert D(data["ask"][1]).scaleb(-data["size_decimals"]) == D(qty)
                assert frames[-1]["state"] == "LIVE"
        assert stage.feed.state is StreamState.LIVE

    def test_what_no_browser_can_read_is_told_and_over_when_it_is_gone(self) -> None:
        with structlog.testing.capture_logs() as logs:
            stage, sink = self.shown(("34911.5", "1e-50"), ("34912", "1e-50"))
        for name in ("book:krakenfutures:BTC/USD:USD", "book@1:krakenfutures:BTC/USD:USD"):
            frame = sink.frames[name][-1]
            assert (frame["state"], frame["data"]["bids"], frame["data"]["ask"]) == ("DOWN", [], None)
        assert "needs 50 decimals" in stage.feed.reason
        assert [each["event"] for each in logs if "book" in each["event"]] == ["book not shown"]
        with structlog.testing.capture_logs() as logs:
            stage, sink = self.shown(("34911.5", "1e-50"), ("34911.5", "2"))
        assert sink.frames["book:krakenfutures:BTC/USD:USD"][-1]["state"] == "LIVE"
        assert stage.feed.reason == ""
        assert [each["event"] for each in logs if "book" in each["event"]] == ["book not shown", "book shown again"]

    @pytest.mark.parametrize(
        ("value", "decimals", "text"),
        [("0.10000000", 2, "0.10"), ("1E+3", 0, "1000"), ("9" * 40 + ".125", 2, "9" * 40 + ".125"), ("5.00", 0, "5")],
    )
    def test_money_keeps_every_digit(self, value: str, decimals: int, text: str) -> None:
        assert money(D(value), decimals) == text

    def test_prints_with_more_digits_than_arithmetic_keeps(self) -> None:
        stage = Stage()
        stage.live()
        price = D("9" * 40 + "." + "1" * 40)
        stage.feed.on_trade(Trade(symbol="BTC/USDT", id="1", side=None, price=price, size=price, exchange_ms=1), 1)
        picture = stage.trades()
        assert picture is not None and D(picture.data["trades"][0]["price"]) == price


class TestTogether:
    """A leg whose values are finer than ever expected is computed; the finding was one that kept its old average."""

    @pytest.mark.parametrize("size", FINE)
    def test_a_matrix_follows_the_book(self, size: float) -> None:
        alpha = Place("alpha").book([(100.0, 5.0)], [(100.01, 5.0)])
        beta = Place("beta").book([(100.06, 5.0)], [(100.07, 5.0)])
        made = matrix("1", alpha, beta)
        assert legs_of(made)[1]["sell"]["average"] == "100.06"
        beta.book([(90.0, size), (89.0, 5.0)], [(100.07, 5.0)])
        left = D(1) - D(repr(size))
        assert D(legs_of(made)[1]["sell"]["cost"]) == 90 * D(repr(size)) + 89 * left
        assert D(rows(made)[0].gross) == 90 * D(repr(size)) + 89 * left - D("100.01")

    def test_a_leg_that_cannot_be_computed_is_not_usable_and_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        alpha = Place("alpha").book([(100.0, 5.0)], [(100.01, 5.0)])
        beta = Place("beta").book([(100.06, 5.0)], [(100.07, 5.0)])
        made = matrix("1", alpha, beta)
        made.draw()

        def fails(*args: object) -> None:
            raise ValueError("broken")

        with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
            patch.setattr(Walk, "follow", fails)
            for price in (90.0, 91.0):
                beta.book([(price, 5.0)], [(100.07, 5.0)])
                first, second = legs_of(made)
                assert (second["usable"], second["sell"], second["buy"]) == (False, None, None)
                assert (first["usable"], first["sell"]["average"]) == (True, "100")
                assert rows(made)[0].gross is None
                assert "cannot be computed" in rows(made)[0].reason
        assert [each["event"] for each in logs] == ["leg cannot be computed"]
        beta.state(StreamState.LIVE)
        assert legs_of(made)[1]["sell"]["average"] == "91"

    def test_one_exchange_that_cannot_be_shown_takes_no_other_away(self) -> None:
        alpha = Place("alpha").book([(100.0, 5.0)], [(100.01, 5.0)])
        beta = Place("beta").book([(99.0, 1e300)], [(100.07, 1e-41)])
        made = Consolidated("BTC/USDT", "BTC", "USDT", step=None, depth=25, clock=FakeClock())
        made.set_legs([alpha.leg, beta.leg])
        first, second = made.draw().data["legs"]
        assert first["usable"] and not second["usable"]
        assert "in the order book" in second["reason"]
        beta.book([(99.0, 1.0)], [(100.07, 1.0)])
        assert [leg["usable"] for leg in made.draw().data["legs"]] == [True, True]

    @given(
        st.lists(
            st.tuples(st.floats(5e-324, 1e300), st.floats(5e-324, 1e300)),
            min_size=1,
            max_size=4,
            unique_by=lambda x: x[0],
        )
    )
    def test_any_floats_at_all(self, levels: list[tuple[float, float]]) -> None:
        asks = sorted(levels)
        alpha = Place("alpha").book([], asks)
        beta = Place("beta").book([(100.06, 5.0)], [(100.07, 5.0)])
        rate = Place("alpha", "USDT/USD").book([], asks)
        gamma = Place("gamma", "BTC/USD", rate=Rate("USD", "USDT", [rate.source], par=False))
        gamma.book([], asks)
        legs = [alpha.leg, beta.leg, gamma.leg]
        made = Matrix(
            "BTC/USDT", "BTC", "USDT", D("1"), "taker", fee_of=lambda leg: fee_of(beta.leg), clock=FakeClock()
        )
        made.set_legs(legs)
        drawn = json.loads(Publisher(Recorder())._encoder.encode(made.draw().data))
        assert drawn["legs"][1]["sell"]["average"] == "100.06"
        assert not any(side.failed for side in made.sides)
        together = Consolidated("BTC/USDT", "BTC", "USDT", step=None, depth=25, clock=FakeClock())
        together.set_legs(legs)
        shown = together.draw().data
        assert shown["legs"][1]["usable"]


class TestPublisher:
    def test_a_renderer_that_fails_ends_nothing_and_what_was_shown_is_marked(self) -> None:
        sink, good = Recorder(), True
        publisher = Publisher(sink, interval_s=0, clock=FakeClock())

        def render() -> Picture:
            if not good:
                raise KeyError("anything")
            return Picture(state="LIVE", data={"legs": [{"state": "LIVE", "usable": True, "reason": ""}]})

        publisher.open("across:X", render)
        with structlog.testing.capture_logs() as logs:
            publisher.changed("across:X")
            good = False
            for _ in range(3):
                publisher.changed("across:X")
            publisher.greet("relay", "across:X")
            good = True
            publisher.changed("across:X")
        states = [(frame["state"], frame["data"]["legs"][0]["usable"]) for frame in sink.frames["across:X"]]
        assert states == [("LIVE", True), ("STALE", False), ("LIVE", True)]
        assert sink.greetings[0][2]["state"] == "STALE"
        assert [each["event"] for each in logs] == ["topic cannot be drawn", "topic is drawn again"]

    def test_what_cannot_be_encoded_is_no_other(self) -> None:
        sink = Recorder()
        publisher = Publisher(sink, interval_s=0, clock=FakeClock())
        publisher.open("t", lambda: Picture(data=object()))
        publisher.changed("t")
        assert sink.frames["t"] == [] and publisher.fresh("t") is None
