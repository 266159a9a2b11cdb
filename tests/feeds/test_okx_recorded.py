"""OKX's recorded books and documented frames: every checksum, every figure; and garbage of both."""

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any
from zlib import crc32

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from feeds.book import OrderBook
from feeds.domain import Ack, BookDelta, BookSnapshot, Candle, Channel, Event, Market, Subscription, Ticker, Trade
from feeds.errors import ChecksumError, GapError, ParseError, SyncError
from feeds.exchange import MarketIndex
from feeds.exchanges.okx import Okx
from feeds.recordings import verify
from feeds.sync import BookSync, Need
from tests.documented import Documented, below
from tests.shared import SHARED, shared_file

OKX = Okx()
RECORDING = "captures/okx-2022-05.jsonl.gz"
BOOKS = {"BTC-USDT": 98, "UNI-USD-SWAP": 93, "BTC-USD-220527": 99}
"""The recorded books, with their frames. The last two are inverse contracts: only here are they read, as contracts."""


def market(native: str, contract: str = "1") -> Market:
    """A market as the adapter lists it, whatever its kind: the native name is the symbol."""
    product = "swap" if native.endswith("-SWAP") else "spot"
    unit = Decimal(contract)
    settle = "USDT" if product == "swap" else None
    more = {"tick": Decimal("0.1"), "lot": unit, "contract_size": unit, "settle": settle}
    return Market(exchange="okx", symbol=native, native=native, product=product, base="B", quote="Q", **more)


@cache
def recorded(channel: str) -> list[tuple[str, str]]:
    """(instrument, raw frame) of the recorded data of a channel."""
    with gzip.open(shared_file(RECORDING), "rt", encoding="utf-8") as file:
        raws = [record["raw"] for record in map(json.loads, file) if record.get("via") == "ws"]
    frames = [(json.loads(raw), raw) for raw in raws]
    return [(f["arg"]["instId"], raw) for f, raw in frames if "data" in f and f["arg"]["channel"] == channel]


class Reader:
    """A book read from frames, as the market does it."""

    def __init__(self, listed: Market) -> None:
        self.session = OKX.session("spot-public", MarketIndex([listed]))
        self.sync = BookSync(from_rest=False, truncates=True, verify=OKX.checksum(listed))
        self.sync.start()
        self.right = 0

    @property
    def book(self) -> OrderBook:
        return self.sync.book

    def read(self, raw: str) -> None:
        """Raises SyncError."""
        for event in self.session.parse(raw):
            if isinstance(event, BookSnapshot):
                self.right += self.sync.take_snapshot(event)
            elif isinstance(event, BookDelta):
                self.right += self.sync.take_delta(event)


class Naive:
    """The same book from the printed text alone; shares nothing with the adapter."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[str, str]] = {}

    def read(self, raw: str) -> None:
        frame = json.loads(raw)
        if frame["action"] == "snapshot":
            self.sides = {"bids": {}, "asks": {}}
        (row,) = frame["data"]
        for name, side in self.sides.items():
            for price, size, *_ in row[name]:
                if size == "0":
                    side.pop(price, None)
                else:
                    side[price] = size

    def levels(self, name: str) -> list[tuple[str, str]]:
        return sorted(self.sides[name].items(), key=lambda level: Decimal(level[0]), reverse=name == "bids")

    def checksum(self) -> int:
        bids, asks = self.levels("bids")[:25], self.levels("asks")[:25]
        rows = [side[n] for n in range(25) for side in (bids, asks) if n < len(side)]
        crc = crc32(":".join(f"{price}:{size}" for price, size in rows).encode())
        return crc - 2**32 if crc >= 2**31 else crc


class TestChecksum:
    @pytest.mark.parametrize(
        ("bids", "asks", "expected"),
        [
            ([(3366.1, 7.0), (3366.0, 6.0)], [(3366.8, 9.0), (3368.0, 8.0)], -1881014294),
            ([(3366.1, 7.0)], [(3366.8, 9.0), (3368.0, 8.0), (3372.0, 8.0)], 831078360),
        ],
    )
    @pytest.mark.parametrize("contract", ["1", "0.01", "100", "0.1", "0.001"])
    def test_the_documented_examples_whatever_a_contract_is(
        self, bids: list[Any], asks: list[Any], expected: int, contract: str
    ) -> None:
        listed = market("X-Y-SWAP", contract)
        rows = {
            name: [[f"{p:g}", f"{q:g}", "0", "1"] for p, q in side] for name, side in (("bids", bids), ("asks", asks))
        }
        reader = Reader(listed)
        arg = {"channel": "books", "instId": "X-Y-SWAP"}
        reader.read(json.dumps({"arg": arg, "action": "snapshot", "data": [{**rows, "ts": "1", "checksum": expected}]}))
        assert reader.book.checksum == expected
        assert reader.book.bids.levels[3366.1] == float(7 * Decimal(contract))

    @pytest.mark.parametrize(
        ("price", "size", "text"),
        [
            ("0.00000001", "12345678901", "0.00000001:12345678901"),
            ("123456.789", "0.00000012", "123456.789:0.00000012"),
            ("1", "100000000000000000000", "1:100000000000000000000"),
            ("30236", "0.0002", "30236:0.0002"),
        ],
    )
    def test_numbers_that_a_float_would_print_with_an_exponent(self, price: str, size: str, text: str) -> None:
        book = OrderBook()
        book.replace(BookSnapshot(symbol="X", bids=[(float(price), float(size))], asks=[]))
        crc = crc32(text.encode())
        assert OKX.checksum(None)(book) % 2**32 == crc

    @given(
        st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 10**11)), min_size=1, max_size=60),
        st.sampled_from(["1", "0.01", "0.1", "0.001", "10", "100", "1000000"]),
        st.sampled_from([0, 1, 4, 8]),
        st.sampled_from([0, 2, 8]),
    )
    def test_any_printed_book(self, rows: list[tuple[int, int]], contract: str, ticks: int, lots: int) -> None:
        """The text is rebuilt from floats in base currency as the exchange printed it, for any contract and step."""
        unique = dict(rows)
        half = len(unique) // 2
        printed = [
            (f"{Decimal(p).scaleb(-ticks).normalize():f}", f"{Decimal(q).scaleb(-lots).normalize():f}")
            for p, q in sorted(unique.items())
        ]
        naive = Naive()
        sides = {
            "bids": [[*row, "0", "1"] for row in printed[:half]],
            "asks": [[*row, "0", "1"] for row in printed[half:]],
        }
        frame = {"arg": {"channel": "books", "instId": "X-Y-SWAP"}, "action": "snapshot"}
        naive.read(json.dumps({**frame, "data": [sides]}))
        raw = json.dumps({**frame, "data": [{**sides, "ts": "1", "checksum": naive.checksum()}]})
        reader = Reader(market("X-Y-SWAP", contract))
        reader.read(raw)
        assert reader.book.ready


class TestRecordedBooks:
    @pytest.mark.parametrize("native", BOOKS)
    def test_every_frame_proves_the_whole_book(self, native: str) -> None:
        """Not only the best 25 levels, which the checksum covers: all of them are those of the printed text."""
        reader, naive = Reader(market(native)), Naive()
        for instrument, raw in recorded("books"):
            if instrument != native:
                continue
            reader.read(raw)
            naive.read(raw)
            assert reader.book.checksum == naive.checksum() == json.loads(raw)["data"][0]["checksum"]
            for name, side in (("bids", reader.book.bids), ("asks", reader.book.asks)):
                assert side.top(500) == [(float(price), float(size)) for price, size in naive.levels(name)]
        assert reader.right == BOOKS[native]
        assert reader.sync.resyncs == 0

    @pytest.mark.parametrize("contract", ["0.01", "0.1", "10", "1000"])
    def test_and_would_if_contracts_were_converted(self, contract: str) -> None:
        """The recorded contracts as if they were linear ones: converted, proven, and exact."""
        reader, naive = Reader(market("UNI-USD-SWAP", contract)), Naive()
        for instrument, raw in recorded("books"):
            if instrument == "UNI-USD-SWAP":
                reader.read(raw)
                naive.read(raw)
        assert reader.right == BOOKS["UNI-USD-SWAP"]
        expected = [(float(price), float(Decimal(size) * Decimal(contract))) for price, size in naive.levels("bids")]
        assert reader.book.bids.top(500) == expected

    def test_the_window_is_kept_by_the_exchange(self) -> None:
        """What leaves the best 400 is removed by the update that moves it out: nothing is left for us to cut."""
        naive = Naive()
        for instrument, raw in recorded("books"):
            if instrument == "BTC-USDT":
                naive.read(raw)
                assert max(map(len, naive.sides.values())) <= 400
        assert len(naive.sides["bids"]) == len(naive.sides["asks"]) == 400

    def test_a_lost_frame_is_found(self) -> None:
        reader = Reader(market("BTC-USDT"))
        raws = [raw for instrument, raw in recorded("books") if instrument == "BTC-USDT"]
        with pytest.raises(ChecksumError):
            for raw in [*raws[:40], *raws[41:]]:
                reader.read(raw)
        assert reader.sync.needs is Need.RESUBSCRIBE

    def test_the_report(self) -> None:
        """287 updates on 3 snapshots, with 290 checksums; counted by ``Naive`` above as well."""
        report = verify.verify(shared_file(RECORDING))
        assert (report.frames, report.events, report.rest_answers) == (410, 410, 25)
        assert (report.snapshots, report.updates, report.updates_applied, report.checksums_right) == (3, 287, 287, 290)
        wrong = (report.gaps, report.checksums_wrong, report.crossed, report.bbo_different, report.not_understood)
        assert wrong == (0, 0, 0, 0, 0)
        assert report.ok
        assert report.incomplete == []
        assert report.product == "spot, swap"

    def test_instruments(self) -> None:
        with gzip.open(shared_file(RECORDING), "rt", encoding="utf-8") as file:
            answers = [record for record in map(json.loads, file) if record.get("via") == "rest"]
        spot, swap = (
            next(a["raw"].encode() for a in answers if a["path"].endswith(f"instType={kind}"))
            for kind in ("SPOT", "SWAP")
        )
        for_spot, for_swap = OKX.markets_requests()
        markets = MarketIndex(OKX.parse_markets(for_spot, spot))
        assert len(markets) == 513
        assert markets["BTC/USDT"].tick == Decimal("0.1")
        swaps = OKX.parse_markets(for_swap, swap)
        rows = json.loads(swap)["data"]
        assert len(swaps) == sum(row["ctType"] == "linear" for row in rows)
        sizes = {m.symbol: m.contract_size for m in swaps}
        assert sizes["BTC/USDT:USDT"] == Decimal("0.01")
        assert not [m for m in swaps if m.quote == "USD"]
        assert all(row["ctValCcy"] == row["uly"].split("-")[0] for row in rows if row["ctType"] == "linear")

    def test_trades_and_tickers(self) -> None:
        session = OKX.session("spot-public", MarketIndex([market("BTC-USDT")]))
        trades = [event for _, raw in recorded("trades") for event in session.parse(raw)]
        assert len(trades) == 69
        assert trades[0] == Trade(
            symbol="BTC-USDT",
            id="338476307",
            side="buy",
            price=Decimal("30236"),
            size=Decimal("0.0002"),
            exchange_ms=1652459224818,
        )
        tickers = [event for _, raw in recorded("tickers") for event in session.parse(raw)]
        assert len(tickers) == 25
        first = tickers[0]
        assert isinstance(first, Ticker)
        assert (first.last, first.open, first.base_volume) == (30236, Decimal("29700.4"), Decimal("17602.13085371"))
        assert first.quote_volume == Decimal("525802090.62716611")


class TestChain:
    """Today's form: ids that chain, checksum 0. The recorded changes, numbered as OKX numbers them now."""

    def numbered(self) -> Iterator[tuple[str, int]]:
        """(frame, its seqId): ids rise by odd steps, stay the same in an empty frame, and begin anew once."""
        at, number = 10, 0
        for instrument, raw in recorded("books"):
            if instrument != "BTC-USDT":
                continue
            frame, number = json.loads(raw), number + 1
            before = -1 if frame["action"] == "snapshot" else at
            at = 3 if number == 50 else at + (7, 12, 13, 20, 45, 93)[number % 6]
            frame["data"][0] |= {"checksum": 0, "prevSeqId": before, "seqId": at}
            yield json.dumps(frame, separators=(",", ":")), at
            if number % 20 == 0:
                row = {"asks": [], "bids": [], "ts": "1", "checksum": 0, "prevSeqId": at, "seqId": at}
                yield json.dumps({"arg": frame["arg"], "action": "update", "data": [row]}, separators=(",", ":")), at

    def test_the_legal_series(self) -> None:
        reader = Reader(market("BTC-USDT"))
        for raw, seq in self.numbered():
            reader.read(raw)
            assert reader.book.seq == seq
        naive = Naive()
        for instrument, raw in recorded("books"):
            if instrument == "BTC-USDT":
                naive.read(raw)
        assert reader.book.bids.top(500) == [(float(p), float(q)) for p, q in naive.levels("bids")]
        assert reader.sync.resyncs == 0

    @pytest.mark.parametrize("lost", [5, 49, 50, 51, 90])
    def test_a_lost_frame_is_found_at_once(self, lost: int) -> None:
        """Also around the frame with which the numbers begin anew."""
        reader = Reader(market("BTC-USDT"))
        frames = [raw for raw, _ in self.numbered()]
        for raw in frames[:lost]:
            reader.read(raw)
        with pytest.raises(GapError):
            reader.read(frames[lost + 1])
        assert reader.sync.needs is Need.RESUBSCRIBE


# -- documented frames -----------------------------------------------------------------------------------------------

EXAMPLES = MarketIndex([market(n) for n in ("ETH-USDT", "BTC-USDT", "BTC-USD-SWAP", "LTC-USD-190628", "LTC-USD-SWAP")])

STREAMS: dict[str, str] = {
    "OrderBook": "a snapshot by its prevSeqId, as it has no action; its checksum is not that of its eight levels",
    "Trades": "",
    "Ticker": "",
    "Klines": "of the day of Hong Kong, candle1D, which we never ask for",
    "MarkPrice": "",
    "FundingRate": "",
    "IndexTicker": "",
    "SystemStatus": "",
    "Concurrent": "candles that are cut short; the answers are read",
    "EstimatedPrice": "not used: of dated futures",
    "IndexKlines": "not used",
    "Interest": "not used: open interest",
    "MarkPriceKlines": "not used",
    "OptionSummary": "not used: of options",
    "PriceLimit": "not used",
    "Symbol": "not used: instruments come by REST, once an hour",
}
"""Frames of the public channels: what is particular, or why they give nothing."""

ANSWERS: dict[str, str] = {
    "GetKlines": "",
    "GetKlineHistory": "",
    "GetOrderBook": "",
    "GetSymbols": "",
    **dict.fromkeys(
        [
            *("Get24HourVolume", "GetAnnouncementTypes", "GetAnnouncements", "GetBlockTicker", "GetBlockTickers"),
            *("GetBlockTrades", "GetDeliveryExerciseHistory", "GetDiscountInfo", "GetEstimatedFuturesSettlementPrice"),
            *("GetEstimatedPrice", "GetFundingRateHistory", "GetFundingRates", "GetIndexComponents", "GetIndexKlines"),
            *("GetIndexTickers", "GetInsuranceFund", "GetInterestRates", "GetLimitPrice", "GetMarkPriceKlines"),
            *("GetMarkPrices", "GetOpenInterests", "GetOptionMarketData", "GetOracle", "GetPositionTiers"),
            *("GetPremiumHistory", "GetRecentTrades", "GetRubikContractSummary", "GetRubikInterestVolumeExpiry"),
            *("GetRubikInterestVolumeStrike", "GetRubikLongShortRatio", "GetRubikMarginLendingRatio"),
            *("GetRubikOptionsSummary", "GetRubikPutCallRatio", "GetRubikSupportCoin", "GetRubikTakerFlow"),
            *("GetRubikTakerVolume", "GetServerTime", "GetSettlementHistory", "GetTicker", "GetTickers"),
            *("GetTradeHistory", "GetUnderlying", "GetVIPInterestRates", "UnitConvert"),
        ],
        "not asked for",
    ),
}


def stream_lines(name: str) -> tuple[dict[str, Any], str, str]:
    """What is asked, answered and told."""
    path = shared_file(f"fixtures/okx/Subscriptions/Unified/ExchangeData/{name}.txt")
    head, _, body = path.read_text("utf-8-sig").partition("= \n")
    asked, answered = (line[2:] for line in head.splitlines()[:2])
    return json.loads(asked), answered, body


def told(name: str) -> list[Event]:
    return OKX.session("spot-public", EXAMPLES).parse(stream_lines(name)[2])


def rest_answer(name: str) -> bytes:
    path = shared_file(f"fixtures/okx/Endpoints/UnifiedApi/ExchangeData/{name}.txt")
    return path.read_bytes().split(b"\n", 3)[3]


class TestDocumented:
    def test_every_public_one_is_accounted_for(self) -> None:
        shared_file("fixtures/okx")
        root = SHARED / "fixtures/okx"
        assert {f.stem for f in (root / "Subscriptions/Unified/ExchangeData").iterdir()} == set(STREAMS)
        assert {f.stem for f in (root / "Endpoints/UnifiedApi/ExchangeData").iterdir()} == set(ANSWERS)
        others = {f"{p.parent.relative_to(root)}" for p in root.rglob("*.txt")}
        private = {f"Endpoints/UnifiedApi/{n}" for n in ("Account", "CopyTrading", "SubAccounts", "Trading")}
        private |= {"Socket/UnifiedApi", "Subscriptions/Unified/Account", "Subscriptions/Unified/Trading"}
        public = {"Subscriptions/Unified/ExchangeData", "Endpoints/UnifiedApi/ExchangeData"}
        assert others == private | public

    @pytest.mark.parametrize("name", [n for n, why in STREAMS.items() if why.startswith("not used")])
    def test_what_is_not_used_is_understood(self, name: str) -> None:
        assert told(name) == []

    @pytest.mark.parametrize("name", [n for n in STREAMS if n != "Concurrent"])
    def test_answers_to_subscriptions(self, name: str) -> None:
        asked, answered, _ = stream_lines(name)
        events = OKX.session("spot-public", EXAMPLES).parse(answered)
        ours = {
            "OrderBook": Channel.BOOK,
            "Trades": Channel.TRADES,
            "Ticker": Channel.TICKER,
            "MarkPrice": Channel.MARK,
        }
        wanted = [Subscription(channel=ours[name], symbol="ETH-USDT")] if name in ours else []
        assert events == [Ack(subscriptions=(each,)) for each in wanted]
        if name in ours and name != "MarkPrice":  # the example asks for a spot pair's
            (request, *_) = OKX.session("spot-public", EXAMPLES).subscribe(wanted)
            assert json.loads(request) == {"id": "1", **asked}

    def test_order_book(self) -> None:
        """The published example is cut from a longer one, as its checksum tells: it is not accepted as a book."""
        (snapshot,) = told("OrderBook")
        assert isinstance(snapshot, BookSnapshot)
        assert (snapshot.symbol, snapshot.seq, snapshot.checksum) == ("ETH-USDT", 123456, -855196043)
        assert (len(snapshot.bids), len(snapshot.asks)) == (8, 8)
        assert (snapshot.bids[0], snapshot.asks[-1]) == ((8476.97, 256.0), (8506.96, 100.0))
        with pytest.raises(ChecksumError):
            OrderBook(OKX.checksum(None)).replace(snapshot)

    def test_trades(self) -> None:
        price, size = Decimal("42219.9"), Decimal("0.12060306")
        expected = {"symbol": "BTC-USDT", "id": "130639474", "side": "buy", "price": price, "size": size}
        assert told("Trades") == [Trade(**expected, exchange_ms=1630048897897)]

    def test_ticker(self) -> None:
        (ticker,) = told("Ticker")
        assert isinstance(ticker, Ticker)
        assert (ticker.symbol, ticker.last, ticker.open) == ("BTC-USDT", Decimal("9999.99"), 9000)
        assert (ticker.high, ticker.low, ticker.base_volume) == (10000, Decimal("8888.88"), 2222)

    def test_klines(self) -> None:
        assert told("Klines") == []
        body = stream_lines("Klines")[2].replace("candle1D", "candle1H")
        (bar,) = OKX.session("spot-business", EXAMPLES).parse(body)
        assert isinstance(bar, Candle)
        assert (bar.open, bar.close, bar.base_volume, bar.closed) == (
            Decimal("8533.02"),
            Decimal("8548.26"),
            45247,
            False,
        )

    def test_mark_funding_and_index(self) -> None:
        session = OKX.session("spot-public", EXAMPLES)
        for name in ("FundingRate", "IndexTicker"):
            assert session.parse(stream_lines(name)[2]) == []
        (mark,) = session.parse(stream_lines("MarkPrice")[2])
        assert (mark.symbol, mark.mark, mark.exchange_ms) == ("LTC-USD-190628", Decimal("0.1"), 1597026383085)
        row = stream_lines("MarkPrice")[2].replace("LTC-USD-190628", "BTC-USD-SWAP")
        (mark,) = session.parse(row)
        assert (mark.funding_rate, mark.next_funding_ms) == (Decimal("0.0001875391284828"), 1700726400000)

    def test_status(self) -> None:
        (notice,) = told("SystemStatus")
        assert notice.text == ""

    def test_two_at_once(self) -> None:
        path = shared_file("fixtures/okx/Subscriptions/Unified/ExchangeData/Concurrent.txt")
        lines = path.read_text("utf-8-sig").splitlines()
        session = OKX.session("spot-business", EXAMPLES)
        hour = Subscription(channel=Channel.CANDLES, symbol="ETH-USDT", interval="1h")
        assert session.parse(lines[3][2:].strip()) == [Ack(subscriptions=(hour,))]
        assert session.parse(lines[2][2:].strip()) == [], "candle1D is none of ours"
        with pytest.raises(ParseError):
            session.parse(lines[5][2:].strip())

    def test_rest(self) -> None:
        btc = market("BTC-USDT")
        book = OKX.parse_snapshot(btc, rest_answer("GetOrderBook"))
        assert (book.bids, book.asks, book.seq) == ([(41006.3, 0.30178218)], [(41006.8, 0.60038921)], None)
        assert OKX.parse_probe(btc, rest_answer("GetOrderBook")).bid == 41006.3
        (spot,) = OKX.parse_markets(OKX.markets_requests()[0], rest_answer("GetSymbols"))
        assert (spot.symbol, spot.tick, spot.lot) == ("BTC/USDT", Decimal("0.1"), Decimal("0.00000001"))
        for name in ("GetKlines", "GetKlineHistory"):
            with pytest.raises(ParseError, match="order of time"):  # both bars of the example have one time
                OKX.parse_candles(btc, "1m", rest_answer(name))
            later = rest_answer(name).replace(b"1597026383085", b"1597026443085", 1)
            assert [bar.close for bar in OKX.parse_candles(btc, "1m", later)] == [Decimal("3.72"), Decimal("3.708")]

    @pytest.mark.parametrize("name", ANSWERS)
    def test_good_answers_are_no_errors(self, name: str) -> None:
        assert OKX.error_of(200, rest_answer(name), {}) is None


# -- garbage ---------------------------------------------------------------------------------------------------------


@cache
def samples() -> list[bytes]:
    """A frame of every recorded and documented kind, with today's numbers too."""
    kinds = [recorded(channel)[0][1] for channel in ("books", "trades", "tickers")] + [recorded("books")[200][1]]
    kinds += [next(TestChain().numbered())[0]]
    kinds += [text for name in STREAMS if name != "Concurrent" for text in stream_lines(name)[1:]]
    kinds += [
        '{"event":"error","code":"60012","msg":"Invalid request","connId":"c"}',
        '{"event":"notice","code":"64008"}',
    ]
    return [kind.encode()[:4000] if len(kind) > 60_000 else kind.encode() for kind in kinds]


@given(st.data())
def test_mutated_frames_are_understood_or_refused(data: st.DataObject) -> None:
    """Bytes cut, doubled, put in, taken from another frame: only ParseError comes out, and no wrong kind of book."""
    raw = bytearray(data.draw(st.sampled_from(samples())))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw)))
        kind = data.draw(st.sampled_from(["cut", "put", "swap", "splice"]))
        if kind == "cut":
            del raw[at : at + data.draw(st.integers(1, 40))]
        elif kind == "put":
            raw[at:at] = data.draw(
                st.sampled_from([b'"', b"-", b"[", b"]", b"{}", b"null", b"1e999", b"\xff", b"0", b","])
            )
        elif kind == "swap":
            raw[at : at + 1] = data.draw(st.binary(max_size=2))
        else:
            other = data.draw(st.sampled_from(samples()))
            raw[at:] = other[data.draw(st.integers(0, len(other))) :]
    session = OKX.session("spot-public", EXAMPLES)
    session.subscribe([Subscription(channel=Channel.BOOK, symbol="ETH-USDT")])
    try:
        events = session.parse(bytes(raw))
    except ParseError:
        return
    for event in events:
        if isinstance(event, BookSnapshot | BookDelta):
            assert all(price > 0 and 0 <= size < float("inf") for price, size in event.bids + event.asks)


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_noise_is_refused(raw: bytes | str) -> None:
    assume(raw not in (b"pong", "pong"))
    with pytest.raises(ParseError):
        OKX.session("spot-public", EXAMPLES).parse(raw)


@cache
def told_books() -> dict[str, tuple[list[str], set[Any]]]:
    """BTC-USDT's frames in both forms, and every state that its best ten levels were in."""
    older = [raw for instrument, raw in recorded("books") if instrument == "BTC-USDT"]
    states, naive = set(), Naive()
    for raw in older:
        naive.read(raw)
        best = [[(float(p), float(q)) for p, q in naive.levels(name)[:10]] for name in ("bids", "asks")]
        states.add((tuple(best[0]), tuple(best[1])))
    return {"checksums": (older, states), "ids": ([raw for raw, _ in TestChain().numbered()], states)}


@pytest.mark.parametrize("form", ["checksums", "ids"])
@given(fates=st.lists(st.sampled_from(["drop", "twice", "swap", "again", *["keep"] * 12]), min_size=10, max_size=95))
def test_whatever_is_lost_doubled_or_out_of_order_no_wrong_book_is_ready(form: str, fates: list[str]) -> None:
    """By ids or by checksums alike. "again": the subscription ends and begins, with the first snapshot."""
    frames, states = told_books()[form]
    queue = list(frames[: len(fates) + 1])
    reader = Reader(market("BTC-USDT"))
    reader.read(queue[0])
    for at, fate in enumerate(fates, start=1):
        if at >= len(queue):
            break
        if fate == "swap" and at + 1 < len(queue):
            queue[at], queue[at + 1] = queue[at + 1], queue[at]
        if fate == "again":
            reader.sync.start()
            reader.read(queue[0])
        for _ in range({"drop": 0, "twice": 2}.get(fate, 1)):
            try:
                reader.read(queue[at])
            except SyncError:
                assert not reader.sync.ready
            if reader.sync.ready:
                assert (tuple(reader.book.bids.top(10)), tuple(reader.book.asks.top(10))) in states


DOCUMENTED = Documented(
    "okx",
    {
        **dict.fromkeys(
            below(
                "Endpoints/UnifiedApi/ExchangeData",
                "Get24HourVolume GetAnnouncementTypes GetAnnouncements GetBlockTicker GetBlockTickers "
                "GetBlockTrades GetDeliveryExerciseHistory GetDiscountInfo GetEstimatedFuturesSettlementPrice "
                "GetEstimatedPrice GetFundingRateHistory GetFundingRates GetIndexComponents GetIndexKlines "
                "GetIndexTickers GetInsuranceFund GetInterestRates GetLimitPrice GetMarkPriceKlines "
                "GetMarkPrices GetOpenInterests GetOptionMarketData GetOracle GetPositionTiers GetPremiumHistory "
                "GetRecentTrades GetRubikContractSummary GetRubikInterestVolumeExpiry "
                "GetRubikInterestVolumeStrike GetRubikLongShortRatio GetRubikMarginLendingRatio "
                "GetRubikOptionsSummary GetRubikPutCallRatio GetRubikSupportCoin GetRubikTakerFlow "
                "GetRubikTakerVolume GetServerTime GetSettlementHistory GetTicker GetTickers GetTradeHistory "
                "GetUnderlying GetVIPInterestRates UnitConvert",
            ),
            "test_good_answers_are_no_errors",
        ),
        **dict.fromkeys(
            below(
                "Endpoints/UnifiedApi/ExchangeData",
                "GetKlineHistory GetKlines GetOrderBook GetSymbols",
            ),
            "test_rest",
        ),
        "Subscriptions/Unified/ExchangeData/Concurrent.txt": "test_two_at_once",
        **dict.fromkeys(
            below(
                "Subscriptions/Unified/ExchangeData",
                "EstimatedPrice IndexKlines Interest MarkPriceKlines OptionSummary PriceLimit Symbol",
            ),
            "test_what_is_not_used_is_understood",
        ),
        **dict.fromkeys(
            below(
                "Subscriptions/Unified/ExchangeData",
                "FundingRate IndexTicker MarkPrice",
            ),
            "test_mark_funding_and_index",
        ),
        "Subscriptions/Unified/ExchangeData/Klines.txt": "test_klines",
        "Subscriptions/Unified/ExchangeData/OrderBook.txt": "test_order_book",
        "Subscriptions/Unified/ExchangeData/SystemStatus.txt": "test_status",
        "Subscriptions/Unified/ExchangeData/Ticker.txt": "test_ticker",
        "Subscriptions/Unified/ExchangeData/Trades.txt": "test_trades",
    },
    {},
)
