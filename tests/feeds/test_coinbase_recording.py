"""A real connection of Coinbase, two markets and five channels, through the adapter: counts, books, speed."""

import gzip
import json
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.book import OrderBook
from feeds.domain import Bbo, BookDelta, BookSnapshot, Candle, Heartbeat, Lost, Ticker, Trade
from feeds.errors import ParseError
from feeds.exchanges.coinbase import Coinbase
from feeds.recordings import verify
from tests.feeds.coinbase_world import RECORDING, session, sub
from tests.shared import shared_file

WINDOW = 20
"""Frames of a market's book around a ticker, among which its best prices are looked for."""


@pytest.fixture(scope="module")
def raws() -> list[str]:
    with gzip.open(shared_file(RECORDING), "rt", encoding="utf-8") as file:
        next(file)
        records = [json.loads(line) for line in file]
    return [record["raw"] for record in records if record["via"] == "ws"]


def naive(raws: list[str]) -> Iterator[tuple[str, int, dict[Decimal, Decimal], dict[Decimal, Decimal]]]:
    """Every state of every book, with nothing of the project."""
    books: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
    for raw in raws:
        body = json.loads(raw)
        for event in body["events"] if body["channel"] == "l2_data" else []:
            if event["type"] == "snapshot":
                books[event["product_id"]] = {"bid": {}, "offer": {}}
            own = books[event["product_id"]]
            for update in event["updates"]:
                price, size = Decimal(update["price_level"]), Decimal(update["new_quantity"])
                if size:
                    own[update["side"]][price] = size
                else:
                    own[update["side"]].pop(price, None)
            yield event["product_id"].replace("-", "/"), body["sequence_num"], own["bid"], own["offer"]


class TestFigures:
    def test_verify(self) -> None:
        report = verify.verify(shared_file(RECORDING))
        assert (report.frames, report.events, report.rest_answers) == (1030, 1407, 1)
        assert (report.snapshots, report.updates, report.updates_applied) == (2, 773, 773)
        assert (report.gaps, report.crossed, report.not_understood, report.corrupt_lines) == (0, 0, 0, 0)
        assert report.ok
        assert report.incomplete == []

    def test_a_lost_frame_of_any_channel_is_found(self, tmp_path: Path) -> None:
        """Without one heartbeat: one gap, and both books are unproved from there on."""
        with gzip.open(shared_file(RECORDING), "rt", encoding="utf-8") as file:
            lines = file.readlines()
        (lost, *_) = (n for n, line in enumerate(lines) if n > 500 and '"channel\\":\\"heartbeats' in line[:120])
        del lines[lost]
        path = tmp_path / "holed.jsonl"
        path.write_text("".join(lines), encoding="utf-8")
        report = verify.verify(path)
        assert (report.gaps, report.not_understood) == (1, 0)
        assert report.updates_applied < report.updates
        assert report.incomplete == ["BTC/USD", "ETH/USD"]

    def test_the_count_of_events_is_the_naive_one(self, raws: list[str]) -> None:
        made, found = session(), Counter[str]()
        for raw in raws:
            found.update(type(event).__name__ for event in made.parse(raw))
        wanted = Counter[str]()
        for raw in raws:
            body = json.loads(raw)
            for event in body["events"]:
                match body["channel"]:
                    case "l2_data":
                        wanted["BookSnapshot" if event["type"] == "snapshot" else "BookDelta"] += 1
                    case "ticker":
                        wanted["Ticker"] += len(event["tickers"])
                        wanted["Bbo"] += len(event["tickers"])
                    case "market_trades":
                        wanted["Trade"] += len(event["trades"])
                    case "heartbeats":
                        wanted["Heartbeat"] += 1
        candles = found.pop("Candle")
        assert found == wanted
        assert candles == 4 + 2 * 2, "four updates of running bars, and the newest two of each snapshot"


class TestContent:
    def test_every_state_of_both_books_is_the_naive_one(self, raws: list[str]) -> None:
        made = session()
        ours = {"BTC/USD": OrderBook(), "ETH/USD": OrderBook()}
        truth = naive(raws)
        for raw in raws:
            for event in made.parse(raw):
                if isinstance(event, BookSnapshot):
                    ours[event.symbol].replace(event)
                elif isinstance(event, BookDelta):
                    assert ours[event.symbol].apply(event)
                else:
                    continue
                symbol, number, bids, asks = next(truth)
                book = ours[symbol]
                assert (event.symbol, book.seq) == (symbol, number)
                assert (len(book.bids.levels), len(book.asks.levels)) == (len(bids), len(asks))
                best = max(bids), min(asks)
                assert book.bid == (float(best[0]), float(bids[best[0]]))
                assert book.ask == (float(best[1]), float(asks[best[1]]))
                if number % 50 == 0:
                    assert book.bids.levels == {float(p): float(s) for p, s in bids.items()}
                    assert book.asks.levels == {float(p): float(s) for p, s in asks.items()}
        assert next(truth, None) is None
        assert len(ours["BTC/USD"].bids.levels) + len(ours["BTC/USD"].asks.levels) > 45_000

    def test_the_tickers_best_prices_are_those_of_our_books(self, raws: list[str]) -> None:
        """They carry no id and are told apart from the books, so the moment is looked for among the frames around."""
        made, books = session(), {"BTC/USD": OrderBook(), "ETH/USD": OrderBook()}
        states: dict[str, list[tuple[int, Any]]] = {symbol: [] for symbol in books}
        quotes: list[tuple[int, Bbo]] = []
        for number, raw in enumerate(raws):
            for event in made.parse(raw):
                if isinstance(event, Bbo) and states[event.symbol]:
                    quotes.append((number, event))
                elif isinstance(event, BookSnapshot | BookDelta):
                    book = books[event.symbol]
                    book.replace(event) if isinstance(event, BookSnapshot) else book.apply(event)
                    states[event.symbol].append((number, (*(book.bid or ()), *(book.ask or ()))))
        equal = Counter[str]()
        for number, quote in quotes:
            own = states[quote.symbol]
            at = bisect_right([n for n, _ in own], number)
            near = [state for _, state in own[max(0, at - WINDOW) : at + WINDOW]]
            theirs = (quote.bid, quote.bid_size, quote.ask, quote.ask_size)
            if theirs in near:
                equal["prices and sizes"] += 1
            elif (quote.bid, quote.ask) in {(state[0], state[2]) for state in near}:
                equal["prices"] += 1
            else:
                equal["neither"] += 1
        assert equal == {"prices and sizes": 149, "prices": 5}

    def test_trades(self, raws: list[str]) -> None:
        """Ids rise by one in each market, so none is missing; a buyer of BTC took what stood at the best ask."""
        made = session()
        trades = [event for raw in raws for event in made.parse(raw) if isinstance(event, Trade)]
        for symbol in ("BTC/USD", "ETH/USD"):
            ids = [int(trade.id) for trade in trades if trade.symbol == symbol]
            assert ids == list(range(ids[0], ids[0] + len(ids)))
            assert len(ids) > 100
        first = next(trade for trade in trades if trade.id == "1068572091")
        assert (first.side, first.price, first.size) == ("buy", Decimal("65083.67"), Decimal("0.01034361"))

    def test_running_minutes(self, raws: list[str]) -> None:
        """The snapshot of ETH's last hundred prints begins 61 s before its end, in the minute before: the running one
        is whole, and goes on with the prints."""
        made = session()
        made.subscribe([sub("candles", symbol, "1m") for symbol in ("BTC/USD", "ETH/USD")])
        bars: dict[tuple[str, int], Candle] = {}
        trades: list[Trade] = []
        for raw in raws:
            for event in made.parse(raw):
                if isinstance(event, Candle) and event.interval == "1m":
                    bars[event.symbol, event.open_ms] = event
                elif isinstance(event, Trade):
                    trades.append(event)
        assert len(bars) >= 4
        for (symbol, open_ms), bar in bars.items():
            own = [t for t in trades if t.symbol == symbol and open_ms <= t.exchange_ms < open_ms + 60_000]
            assert (bar.open, bar.close) == (own[0].price, own[-1].price)
            assert bar.base_volume == sum(t.size for t in own)

    def test_ticker(self, raws: list[str]) -> None:
        made = session()
        first = next(event for raw in raws for event in made.parse(raw) if isinstance(event, Ticker))
        assert (first.symbol, first.last, first.base_volume) == (
            "BTC/USD",
            Decimal("65086.18"),
            Decimal("2867.54532609"),
        )
        assert first.change == Decimal("0.0009601107287722")

    def test_instruments(self) -> None:
        with gzip.open(shared_file(RECORDING), "rt", encoding="utf-8") as file:
            record = next(r for line in file if (r := json.loads(line)).get("via") == "rest")
        adapter = Coinbase()
        markets = adapter.parse_markets(adapter.markets_requests()[0], record["raw"].encode())
        assert [(m.symbol, m.native, m.tick, m.status, m.book_of) for m in markets] == [
            ("BTC/USD", "BTC-USD", Decimal("0.01"), "trading", None),
            ("ETH/USD", "ETH-USD", Decimal("0.01"), "trading", None),
        ]


def test_a_book_of_five_megabytes_does_not_hold_the_loop_up(raws: list[str]) -> None:
    """Read, split and taken into a book in one go: about 20 ms. The bound is generous, for a machine that is busy."""
    whole = max(raws, key=len).encode()
    assert len(whole) == 5_079_379
    took_s = []
    for _ in range(5):
        made, book = session(), OrderBook()
        began_s = time.perf_counter()
        (snapshot,) = made.parse(whole)
        book.replace(snapshot)
        took_s.append(time.perf_counter() - began_s)
    print(f"a book of 5 MB: {1000 * min(took_s):.1f} ms")
    assert len(book.bids.levels) + len(book.asks.levels) == 46_000
    assert min(took_s) < 0.15


class TestMutated:
    @settings(max_examples=200, deadline=None)
    @given(data=st.data())
    def test_only_parse_errors_come_out(self, raws: list[str], data: st.DataObject) -> None:
        short = [raw for raw in raws[:200] if len(raw) < 5_000]
        raw = bytearray(data.draw(st.sampled_from(short)).encode())
        for _ in range(data.draw(st.integers(1, 5))):
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(
                st.one_of(st.sampled_from(b'0123456789-.eEN"[]{},:\\'), st.integers(0, 255))
            )
        try:
            session().parse(bytes(raw))
        except ParseError as error:
            assert "Coinbase" in str(error)

    @settings(max_examples=100, deadline=None)
    @given(data=st.data())
    def test_whatever_is_lost_changed_or_doubled_is_told_before_the_next_book(
        self, raws: list[str], data: st.DataObject
    ) -> None:
        """Of what happens to frames only a loss is news: after it, not one change comes before it was told."""
        own = [raw for raw in raws if len(raw) < 20_000][:120]
        faults = data.draw(
            st.lists(st.tuples(st.integers(1, 118), st.sampled_from(["drop", "double", "cut", "noise"])), max_size=5)
        )
        by_place = dict(faults)
        made, told, missing = session(), 0, 0
        numbers = count()
        for place in range(120):
            number = next(numbers)
            body = {**json.loads(own[place]), "sequence_num": number}
            text, fault = json.dumps(body), by_place.get(place)
            sent = {"drop": [], "double": [text, text], "cut": [text[: len(text) // 2]], "noise": ["\x00{", text]}
            missing += fault in ("drop", "cut")
            for each in sent.get(fault or "", [text]):
                try:
                    events = made.parse(each)
                except ParseError:
                    continue
                told += sum(event.frames for event in events if isinstance(event, Lost))
                if any(isinstance(event, BookDelta | Trade | Heartbeat) for event in events):
                    assert told == missing
