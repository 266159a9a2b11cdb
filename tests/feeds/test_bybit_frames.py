"""Bybit's frames as its documentation shows them, as they were recorded, and damaged."""

import gzip
import json
from bisect import bisect_right
from collections import Counter
from contextlib import suppress
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.domain import (
    Ack,
    Bbo,
    BookDelta,
    BookSnapshot,
    Candle,
    Channel,
    Event,
    Level,
    MarkPrice,
    Notice,
    Ticker,
    Trade,
)
from feeds.errors import FeedError, ParseError
from feeds.exchange import MarketIndex
from feeds.exchanges.bybit import Bybit
from feeds.exchanges.bybit_session import BybitSession
from feeds.sync import BookSync
from tests.documented import Documented, below
from tests.feeds import bybit_frames as frames
from tests.feeds.bybit_frames import MARKETS, PERP, SPOT, book, listed, new_session, want
from tests.shared import SHARED, shared_file

D = Decimal
FIXTURES = "fixtures/bybit"
RECORDING = "captures/bybit-2026-08.jsonl.gz"
CONNECTIONS = {"BYBIT.ws.2": "linear", "BYBIT.ws.3": "spot"}

# -- documented examples ---------------------------------------------------------------------------------------------

PRIVATE = ("Account", "SubAccount", "Trading", "Earn", "CryptoLoan", "Private")
"""Folders of the account's side."""

STREAMS: dict[str, tuple[str, Any]] = {
    "Subscriptions/V5/Linear/Trades.txt": (
        "linear",
        Trade(
            symbol=PERP,
            id="20f43950-d8dd-5b31-9112-a178eb6023af",
            side="buy",
            price=D("16578.50"),
            size=D("0.001"),
            exchange_ms=1672304486865,
        ),
    ),
    "Subscriptions/V5/Spot/Trades.txt": (
        "spot",
        Trade(
            symbol=SPOT,
            id="20f43950-d8dd-5b31-9112-a178eb6023af",
            side="buy",
            price=D("16578.50"),
            size=D("0.001"),
            exchange_ms=1672304486865,
        ),
    ),
    "Subscriptions/V5/Linear/Ticker.txt": (
        "linear",
        Ticker(
            symbol=PERP,
            last=D("17216.00"),
            open=D("16926.50"),
            high=D("17281.50"),
            low=D("16915.00"),
            change=D("0.017103"),
            base_volume=D("91705.276"),
            quote_volume=D("1570383121.943499"),
            exchange_ms=1673272861686,
        ),
    ),
    "Subscriptions/V5/Spot/Ticker.txt": (
        "spot",
        Ticker(
            symbol=SPOT,
            last=D("21109.77"),
            open=D("20704.93"),
            high=D("21426.99"),
            low=D("20575"),
            change=D("0.0196"),
            base_volume=D("6780.866843"),
            quote_volume=D("141946527.22907118"),
            exchange_ms=1673853746003,
        ),
    ),
    "Subscriptions/V5/Spot/SystemStatus.txt": ("spot", Notice(text="", trading=True)),
    "Subscriptions/V5/Linear/Liquidations.txt": ("linear", None),  # understood, and says nothing we use
    "Subscriptions/V5/Spot/PriceLimit.txt": ("spot", None),
    # options are no product of ours; of what they have in common with the others the figures are the same
    "Subscriptions/V5/Option/Book.txt": (
        "linear",
        BookSnapshot(
            symbol=PERP,
            bids=[(16493.5, 0.006), (16493.0, 0.1)],
            asks=[(16611.0, 0.029), (16612.0, 0.213)],
            seq=18521288,
            rank=7961638724,
            depth=25,
            exchange_ms=1672304484976,
        ),
    ),
    "Subscriptions/V5/Option/Trades.txt": (
        "linear",
        Trade(
            symbol=PERP,
            id="20f43950-d8dd-5b31-9112-a178eb6023af",
            side="buy",
            price=D("16578.50"),
            size=D("0.001"),
            exchange_ms=1672304486865,
        ),
    ),
    "Subscriptions/V5/Option/Ticker.txt": ("linear", None),  # of a market that is not listed
    "Subscriptions/V5/Option/Klines.txt": ("linear", None),  # of months, which are not ours
}
"""File -> the product that reads it, and the first event of its frame."""

ANSWERS = {
    "Endpoints/V5Api/ExchangeData/GetSpotSymbols.txt",
    "JsonResponses/V5/ExchangeData/GetSpotSymbolsAsync.txt",
    "Endpoints/V5Api/ExchangeData/GetLinearInverseSymbols.txt",
    "Endpoints/V5Api/ExchangeData/GetLinearInverseSymbolsPreListing.txt",
    "Endpoints/V5Api/ExchangeData/GetOrderbook.txt",
    "Endpoints/V5Api/ExchangeData/GetKlines.txt",
    "Endpoints/V5Api/ExchangeData/GetSystemStatus.txt",
}
"""Each has its own test below."""

_NOT_ASKED = "we do not ask for it"
_OTHER_PRODUCT = "options, spreads and leveraged tokens are no products of ours"
NOT_USED = {
    "Subscriptions/V5/Spot/Concurrent.txt": "its candles are cut short: no prices",
    "Endpoints/V5Api/ExchangeData/GetOptionSymbols.txt": _OTHER_PRODUCT,
    "Endpoints/V5Api/ExchangeData/GetOptionTickers.txt": _OTHER_PRODUCT,
    "Endpoints/V5Api/ExchangeData/GetHistoricalVolatility.txt": _OTHER_PRODUCT,
    "Endpoints/V5Api/ExchangeData/GetLeverageTokens.txt": _OTHER_PRODUCT,
    "Endpoints/V5Api/ExchangeData/GetLeverageTokenMarket.txt": _OTHER_PRODUCT,
    "Endpoints/V5Api/ExchangeData/GetSpreadOrderBook.txt": _OTHER_PRODUCT,
    "Endpoints/V5Api/ExchangeData/GetSpreadRecentTrades.txt": _OTHER_PRODUCT,
    "Endpoints/V5Api/ExchangeData/GetSpreadSymbols.txt": _OTHER_PRODUCT,
    "Endpoints/V5Api/ExchangeData/GetSpreadTickers.txt": _OTHER_PRODUCT,
    "Endpoints/V5Api/ExchangeData/GetLinearInverseTickers.txt": "the ticker comes by stream",
    "Endpoints/V5Api/ExchangeData/GetSpotTickers.txt": "the ticker comes by stream",
    "Endpoints/V5Api/ExchangeData/GetTradeHistory.txt": "trades come by stream",
    **{
        f"Endpoints/V5Api/ExchangeData/{name}.txt": _NOT_ASKED
        for name in (
            *("GetAnnouncements", "GetDeliveryPrice", "GetFundingRateHistory", "GetIndexPriceKlines", "GetInsurance"),
            *("GetLongShortRatio", "GetMarkPriceKlines", "GetOpenInterest", "GetOrderPriceLimit"),
            *("GetPremiumIndexPriceKlines", "GetRiskLimit"),
        )
    },
}
"""Public files that say nothing we use, and why."""


def fixture(name: str) -> str:
    return shared_file(f"{FIXTURES}/{name}").read_text(encoding="utf-8", errors="replace")


def result(name: str) -> bytes:
    """The answer in a file, without the lines that say what was asked."""
    text = fixture(name)
    return text[text.index("{") :].encode()


def test_every_public_example_is_used_or_says_why_not() -> None:
    root = shared_file(FIXTURES)
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    public = {name for name in files if not set(Path(name).parts[:-1]) & set(PRIVATE)}
    assert public == {*STREAMS, *ANSWERS, *NOT_USED}
    assert len(STREAMS) + len(ANSWERS) + len(NOT_USED) == len(public), "no file stands in two places"


@pytest.mark.parametrize("name", STREAMS)
def test_documented_frames(name: str) -> None:
    product, expected = STREAMS[name]
    reply, _, frame = fixture(name).partition("\n= ")
    session = new_session(product)
    events = session.parse(frame.strip())
    assert (events[0] if events else None) == expected
    session.subscribe([want(Channel.TRADES, PERP if product == "linear" else SPOT)])
    answer = reply.partition("\n< ")[2].replace("|1|", "1")
    if "COMMAND_RESP" in answer:
        with pytest.raises(ParseError):  # options answer in another form
            session.parse(answer)
    else:
        assert isinstance(session.parse(answer)[0], Ack)


def test_the_mark_price_of_the_documented_ticker() -> None:
    raw = fixture("Subscriptions/V5/Linear/Ticker.txt").partition("\n= ")[2]
    assert new_session().parse(raw)[1] == MarkPrice(
        symbol=PERP,
        mark=D("17217.33"),
        index=D("17227.36"),
        funding_rate=D("-0.000212"),
        next_funding_ms=1673280000000,
        exchange_ms=1673272861686,
    )


def test_candles_that_are_cut_short_are_not_understood() -> None:
    for line in fixture("Subscriptions/V5/Spot/Concurrent.txt").splitlines():
        if line.startswith("="):
            with pytest.raises(ParseError, match="missing required field `open`"):
                new_session("spot").parse(line.partition(" ")[2])


@pytest.mark.parametrize(
    ("name", "product", "expected"),
    [
        ("Endpoints/V5Api/ExchangeData/GetSpotSymbols.txt", "spot", (SPOT, "0.01", "0.000001", "0.000048", "1")),
        ("JsonResponses/V5/ExchangeData/GetSpotSymbolsAsync.txt", "spot", (SPOT, "0.01", "0.000001", "0.000048", "1")),
        (
            "Endpoints/V5Api/ExchangeData/GetLinearInverseSymbols.txt",
            "linear",
            (PERP, "0.10", "0.001", "0.001", "5"),
        ),
        (
            "Endpoints/V5Api/ExchangeData/GetLinearInverseSymbolsPreListing.txt",
            "linear",
            ("PRE02ZRO/USDT:USDT", "0.001", "0.1", "0.1", "5"),
        ),
    ],
)
def test_documented_instruments(name: str, product: str, expected: tuple[str, ...]) -> None:
    exchange = Bybit()
    (request,) = (request for request in exchange.markets_requests() if request.product == product)
    (market,) = exchange.parse_markets(request, result(name))
    figures = (market.tick, market.lot, market.min_size, market.min_notional)
    assert (market.symbol, *map(str, figures)) == expected
    assert market.status == ("prelaunch" if "Pre" in name else "trading")
    assert exchange.next_page(request, result(name)) is None
    assert exchange.error_of(200, result(name), {}) is None


def test_the_documented_book() -> None:
    raw = result("Endpoints/V5Api/ExchangeData/GetOrderbook.txt")
    snapshot = Bybit().parse_snapshot(MARKETS[SPOT], raw)
    assert (snapshot.bids, snapshot.asks) == ([(62710.2, 5.52)], [(62710.3, 0.01)])
    assert (snapshot.rank, snapshot.exchange_ms) == (3887177875, 1709199771584)


def test_the_documented_candles() -> None:
    bars = Bybit().parse_candles(MARKETS[PERP], "1h", result("Endpoints/V5Api/ExchangeData/GetKlines.txt"))
    assert [(bar.open_ms, str(bar.close), bar.closed) for bar in bars] == [
        (1670601600000, "17071.5", True),
        (1670605200000, "17071", True),
        (1670608800000, "17055.5", False),
    ]


def test_the_documented_status() -> None:
    """All of it is over."""
    raw = result("Endpoints/V5Api/ExchangeData/GetSystemStatus.txt")
    present, *announced = Bybit().parse_status(raw)
    assert present == Notice(text="", trading=True)
    assert not any(notice.text for notice in announced)


# -- the recording, counted by hand ----------------------------------------------------------------------------------


@cache
def recorded() -> list[dict[str, Any]]:
    with gzip.open(shared_file(RECORDING), "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file.readlines()[1:]]


def streamed(product: str) -> list[tuple[str, dict[str, Any]]]:
    """The frames of a product, as text and read."""
    raws = [r["raw"] for r in recorded() if r["via"] == "ws" and CONNECTIONS[r["conn"]] == product]
    return [(raw, json.loads(raw)) for raw in raws]


class Naive:
    """A book of decimals, put in order whenever somebody asks. Nothing is cut."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[Decimal, Decimal]] = {"b": {}, "a": {}}

    def take(self, frame: dict[str, Any]) -> None:
        for name, side in self.sides.items():
            if frame["type"] == "snapshot":
                side.clear()
            for price, size in frame["data"][name]:
                side[D(price)] = D(size)
                if not D(size):
                    del side[D(price)]

    def sorted(self) -> tuple[list[Level], list[Level]]:
        bids, asks = self.sides.values()
        rows = sorted(bids.items(), reverse=True), sorted(asks.items())
        return tuple([(float(p), float(q)) for p, q in side] for side in rows)


@pytest.mark.parametrize(("product", "symbol", "updates"), [("linear", PERP, 413), ("spot", SPOT, 299)])
def test_every_recorded_book_is_the_naive_one(product: str, symbol: str, updates: int) -> None:
    """All 200 levels after each frame. The naive book cuts nothing and stays at 200 levels: the exchange removes what
    leaves the window by a message, although it does not say so."""
    session, sync, naive, applied = new_session(product), BookSync(from_rest=False, truncates=True), Naive(), 0
    sync.start()
    for raw, frame in streamed(product):
        if not frame["topic"].startswith("orderbook."):
            continue
        (event,) = session.parse(raw)
        if isinstance(event, BookSnapshot):
            assert sync.take_snapshot(event)
        elif isinstance(event, BookDelta):
            applied += sync.take_delta(event)
        naive.take(frame)
        bids, asks = naive.sorted()
        assert (sync.book.bids.top(1000), sync.book.asks.top(1000)) == (bids, asks)
        assert (len(bids), len(asks), sync.book.seq, sync.book.rank) == (
            *(200, 200),
            *(frame["data"]["u"], frame["data"]["seq"]),
        )
        assert sync.book.exchange_ms == frame["cts"]
    assert applied == updates


@pytest.mark.parametrize("product", ["linear", "spot"])
def test_every_recorded_figure(product: str) -> None:
    """Against the text: trades one by one, candles, and the last ticker with all changes merged into it."""
    session, symbol = new_session(product), PERP if product == "linear" else SPOT
    told: Counter[type[Event]] = Counter()
    merged: dict[str, Any] = {}
    for raw, frame in streamed(product):
        events, kind = session.parse(raw), frame["topic"].partition(".")[0]
        told.update(type(event) for event in events)
        assert {event.symbol for event in events} == {symbol}
        if kind == "publicTrade":
            assert [
                (e.id, str(e.price), str(e.size), e.side, e.exchange_ms) for e in events if isinstance(e, Trade)
            ] == [(row["i"], row["p"], row["v"], row["S"].lower(), row["T"]) for row in frame["data"]]
        elif kind == "kline":
            for row, bar in zip(frame["data"], events, strict=True):  # at the turn of a minute two
                assert isinstance(bar, Candle)
                prices = bar.open, bar.high, bar.low, bar.close, bar.base_volume
                assert [*map(str, prices)] == [row[name] for name in ("open", "high", "low", "close", "volume")]
                assert (bar.open_ms, bar.closed, bar.interval) == (row["start"], row["confirm"], "1m")
        elif kind == "tickers":
            merged |= frame["data"]
            ticker = events[0]
            assert isinstance(ticker, Ticker)
            assert (str(ticker.last), str(ticker.quote_volume)) == (merged["lastPrice"], merged["turnover24h"])
            assert (str(ticker.change), ticker.exchange_ms) == (merged["price24hPcnt"], frame["ts"])
            for mark in events[1:]:
                assert isinstance(mark, MarkPrice)
                assert (str(mark.mark), str(mark.index)) == (merged["markPrice"], merged["indexPrice"])
    frames_of = Counter(frame["topic"].partition(".")[0] for _, frame in streamed(product))
    assert told[Ticker] == frames_of["tickers"] > 40
    assert told[MarkPrice] == (frames_of["tickers"] if product == "linear" else 0)
    assert told[Trade] >= frames_of["publicTrade"] > 10


def test_recorded_tickers_lie_between_the_books_around_them() -> None:
    """Linear tickers tell best prices with the engine's number, but at moments of their own: none is that of a book. So
    each is held against the books before and after it: most are one of the two, the others lie between or next to them.
    """
    naive, states, tickers, merged = Naive(), {}, [], {}
    for _, frame in streamed("linear"):
        if frame["topic"].startswith("orderbook."):
            naive.take(frame)
            bids, asks = naive.sorted()
            states[frame["data"]["seq"]] = bids[0], asks[0]
        elif frame["topic"].startswith("tickers."):
            merged |= frame["data"]
            best = tuple((float(merged[f"{s}1Price"]), float(merged[f"{s}1Size"])) for s in ("bid", "ask"))
            tickers.append((frame["cs"], best))
    numbers, equal, compared = sorted(states), 0, 0
    for number, best in tickers:
        at = bisect_right(numbers, number)
        if 0 < at < len(numbers):
            around = [states[numbers[at - 1]], states[numbers[at]]]
            compared += 1
            equal += best in around
            for side in (0, 1):
                prices = [state[side][0] for state in around]
                assert min(prices) - 1 <= best[side][0] <= max(prices) + 1
    assert (equal, compared) == (160, 183)


# -- damaged ---------------------------------------------------------------------------------------------------------


def samples() -> list[bytes]:
    """The documented frames, and of the recorded ones the first few of each kind."""
    found = [raw.encode() for raw in frames.DOCUMENTED]
    if (SHARED / RECORDING).exists():
        seen: Counter[str] = Counter()
        for record in recorded():
            topic = record["raw"][:60]
            seen[topic] += 1
            if seen[topic] <= 3:
                found.append(record["raw"].encode()[:3000])
    return found


SAMPLES = samples()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A frame with bytes exchanged, cut out, doubled or cut off; or anything at all."""
    raw = bytearray(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(raw) - 1)))
        match draw(st.integers(0, 5)):
            case 0:
                raw[at : at + 1] = draw(st.binary(max_size=4))
            case 1:
                del raw[at : at + draw(st.integers(1, 40))]
            case 2:
                raw[at:at] = raw[at : at + draw(st.integers(1, 40))]
            case 3:
                del raw[at:]
            case 4:
                words = [b"null", b"-1", b"[]", b"{}", b'""', b"1e999", b"99999999999999999999", b'"NaN"', b"true"]
                raw[at : at + draw(st.integers(0, 8))] = draw(st.sampled_from(words))
            case _:
                raw[at:at] = draw(st.sampled_from([b'"', b",", b":", b"]", b"}", b"\xff", b"\\u0000"]))
    return bytes(raw)


@given(st.lists(st.one_of(damaged(), st.sampled_from(SAMPLES)), max_size=6), st.sampled_from(["spot", "linear"]))
@settings(max_examples=400, deadline=None)
def test_only_parse_errors_come_out(raws: list[bytes], product: str) -> None:
    session = new_session(product)
    session.subscribe([want(Channel.BOOK, SPOT if product == "spot" else PERP)])
    for raw in raws:
        with suppress(ParseError):
            session.parse(raw)


@given(st.one_of(damaged(), st.binary(max_size=60)))
@settings(max_examples=200, deadline=None)
def test_answers_that_are_none(raw: bytes) -> None:
    exchange, market = Bybit(), MARKETS[PERP]
    for read in (
        lambda: exchange.parse_markets(exchange.markets_requests()[1], raw),
        lambda: exchange.next_page(exchange.markets_requests()[1], raw),
        lambda: exchange.parse_snapshot(market, raw),
        lambda: exchange.parse_candles(market, "1m", raw),
        lambda: exchange.parse_status(raw),
    ):
        with suppress(ParseError):
            read()
    assert isinstance(exchange.error_of(200, raw, {}), FeedError | None)


# -- snapshot and changes lead to a later snapshot -------------------------------------------------------------------

Sides = tuple[dict[int, int], dict[int, int]]
changes = st.lists(st.tuples(st.booleans(), st.integers(1, 60), st.integers(0, 9)), max_size=8)


class Server:
    """A topic of a few levels on a book of whole numbers, as the recording shows it: what leaves is removed."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.bids: dict[int, int] = {100: 1}
        self.asks: dict[int, int] = {101: 1}
        self.number = 7
        self.shown = self.window()

    def window(self) -> Sides:
        bids, asks = sorted(self.bids.items(), reverse=True), sorted(self.asks.items())
        return dict(bids[: self.depth]), dict(asks[: self.depth])

    def change(self, rows: list[tuple[bool, int, int]]) -> str:
        for buy, distance, size in rows:
            side, price = (self.bids, 101 - distance) if buy else (self.asks, 100 + distance)
            side[price] = size
            if not size:
                del side[price]
        before, self.shown = self.shown, self.window()
        self.number += 1
        told = [
            [[str(p), "0"] for p in old if p not in new] + [[str(p), str(q)] for p, q in new.items() if old.get(p) != q]
            for old, new in zip(before, self.shown, strict=True)
        ]
        return book(self.number, depth=self.depth, b=told[0], a=told[1])

    def snapshot(self) -> str:
        sides = [[[str(p), str(q)] for p, q in side.items()] for side in self.shown]
        return book(self.number, kind="snapshot", depth=self.depth, b=sides[0], a=sides[1])


class Reader:
    def __init__(self) -> None:
        self.session: BybitSession = Bybit().session("spot", MarketIndex([listed(SPOT, "BTCUSDT", "spot")]))
        self.sync = BookSync(from_rest=False, truncates=True)
        self.sync.start()

    def read(self, raw: str) -> "Reader":
        (event,) = self.session.parse(raw)
        if isinstance(event, BookSnapshot):
            self.sync.take_snapshot(event)
        elif isinstance(event, BookDelta):
            self.sync.take_delta(event)
        return self

    @property
    def levels(self) -> Any:
        book = self.sync.book
        return book.bids.top(99), book.asks.top(99), book.seq


@given(st.lists(changes, max_size=25), st.integers(1, 12), st.sampled_from([5, 50]))
@settings(max_examples=150, deadline=None)
def test_a_snapshot_and_its_changes_are_the_later_snapshot(
    told: list[list[tuple[bool, int, int]]], again: int, depth: int
) -> None:
    """However long ago the reader's own snapshot was."""
    server = Server(depth)
    early, readers = Reader().read(server.snapshot()), []
    for number, rows in enumerate(told):
        raw = server.change(rows)
        for reader in (early, *readers):
            reader.read(raw)
        if number % again == 0:
            readers.append(Reader().read(server.snapshot()))
    late = Reader().read(server.snapshot())
    for reader in (early, *readers):
        assert reader.levels == late.levels
        assert reader.sync.resyncs == 0


def test_best_prices_of_one_level_equal_the_book_s_of_the_same_rank() -> None:
    server, reader = Server(50), Reader()
    reader.read(server.snapshot())
    for rows in ([(True, 1, 5)], [(False, 1, 0), (False, 2, 3)], [(True, 1, 0), (True, 2, 4)]):
        reader.read(server.change(rows))
        side = [[[str(p), str(q)] for p, q in list(s.items())[:1]] for s in server.shown]
        (bbo,) = reader.session.parse(book(3, kind="snapshot", depth=1, b=side[0], a=side[1], seq=10 * server.number))
        assert isinstance(bbo, Bbo)
        ours = reader.sync.book
        assert (bbo.rank, (bbo.bid, bbo.bid_size), (bbo.ask, bbo.ask_size)) == (ours.rank, ours.bid, ours.ask)


def test_adjacent_recorded_numbers_are_one_apart() -> None:
    """What the documentation says of the full book only, seen for 200 levels; the engine's own numbers skip."""
    for product in ("linear", "spot"):
        books = [frame["data"] for _, frame in streamed(product) if frame["topic"].startswith("orderbook.")]
        assert all(later["u"] == earlier["u"] + 1 for earlier, later in pairwise(books))
        assert any(later["seq"] > earlier["seq"] + 1 for earlier, later in pairwise(books))


DOCUMENTED = Documented(
    "bybit",
    {
        "Endpoints/V5Api/ExchangeData/GetKlines.txt": "test_the_documented_candles",
        **dict.fromkeys(
            below(
                "Endpoints/V5Api/ExchangeData",
                "GetLinearInverseSymbols GetLinearInverseSymbolsPreListing GetSpotSymbols",
            ),
            "test_documented_instruments",
        ),
        "JsonResponses/V5/ExchangeData/GetSpotSymbolsAsync.txt": "test_documented_instruments",
        "Endpoints/V5Api/ExchangeData/GetOrderbook.txt": "test_the_documented_book",
        "Endpoints/V5Api/ExchangeData/GetSystemStatus.txt": "test_the_documented_status",
        **dict.fromkeys(
            below(
                "Subscriptions/V5/Linear",
                "Liquidations Ticker Trades",
            ),
            "test_documented_frames",
        ),
        **dict.fromkeys(
            below(
                "Subscriptions/V5/Option",
                "Book Klines Ticker Trades",
            ),
            "test_documented_frames",
        ),
        **dict.fromkeys(
            below(
                "Subscriptions/V5/Spot",
                "PriceLimit SystemStatus Ticker Trades",
            ),
            "test_documented_frames",
        ),
    },
    NOT_USED,
)
