"""The long tail without a network: ccxt's structures as our values, its failures, the checks, and the configuration."""

import asyncio
import sys
from collections import deque
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import ccxt
import ccxt.pro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.config import Config, load_config
from feeds.domain import BookSnapshot, Market
from feeds.errors import ConfigError, ExchangeError, ParseError, RateLimited, TransportError
from feeds.longtail import checks, convert, library
from feeds.longtail.convert import Listed, listed, step_of
from feeds.longtail.stream import Stream

D = Decimal
TICK_SIZE, DECIMAL_PLACES, SIGNIFICANT = 4, 2, 3


def spot(**changes) -> dict:
    """A market structure as ccxt makes it."""
    return {
        "id": "BTC_USDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "settle": None, "type": "spot",
        "linear": None, "contractSize": None, "active": True, "precision": {"price": 0.01, "amount": 1e-05},
        "limits": {"amount": {"min": 1e-05}, "cost": {"min": 5.0}}, **changes,
    }  # fmt: skip


def swap(**changes) -> dict:
    return spot(symbol="BTC/USDT:USDT", settle="USDT", type="swap", linear=True, contractSize=0.1) | {
        "precision": {"price": 0.1, "amount": 1.0}, "limits": {"amount": {"min": 1.0}}, **changes,
    }  # fmt: skip


def found(raw, mode=TICK_SIZE, **options) -> Listed:
    one = listed("gate", raw, mode, **options)
    assert one is not None
    return one


# -- instruments -------------------------------------------------------------------------------------------------------


def test_a_spot_market() -> None:
    assert found(spot()) == Listed(
        Market(
            exchange="gate", symbol="BTC/USDT", native="BTC_USDT", product="spot", base="BTC", quote="USDT",
            tick=D("0.01"), lot=D("0.00001"), min_size=D("0.00001"), min_notional=D("5.0"),
        ),
        D(1),
    )  # fmt: skip


def test_sizes_of_contracts_are_converted() -> None:
    market, unit = found(swap())
    assert (unit, market.lot, market.min_size, market.settle) == (D("0.1"), D("0.1"), D("0.1"), "USDT")


@pytest.mark.parametrize(
    "raw",
    [
        spot(type="option"),
        swap(linear=False, inverse=True),
        swap(linear=None, quanto=True),
        swap(settle=None),
        spot(base=None),
        spot(symbol=f"{'X' * 61}/USDT"),
        spot(base="X" * 33),
    ],
)
def test_what_is_left_out(raw) -> None:
    assert listed("gate", raw, TICK_SIZE) is None


def test_a_market_that_does_not_trade() -> None:
    assert found(spot(active=False)).market.status == "inactive"
    assert found(spot(active=None)).market.status == "trading"


@pytest.mark.parametrize(
    ("precision", "mode", "value", "step"),
    [
        (0.001, TICK_SIZE, None, "0.001"),
        (1e-08, TICK_SIZE, None, "1E-8"),
        (10.0, TICK_SIZE, None, "10.0"),
        (2, DECIMAL_PLACES, None, "0.01"),
        (0, DECIMAL_PLACES, None, "1"),
        (-3, DECIMAL_PLACES, None, "1E+3"),
        (5, SIGNIFICANT, 84_231.0, "0.1"),  # at 8,423.1: prices that fall are still shown whole
        (5, SIGNIFICANT, 0.00123, "1E-8"),
        (5, SIGNIFICANT, None, "1E-8"),
        (None, TICK_SIZE, None, "1E-8"),
        (0.0, TICK_SIZE, None, "1E-8"),
    ],
)
def test_steps_by_mode_of_precision(precision, mode, value, step) -> None:
    assert step_of(precision, mode, value) == D(step)


# -- figures -----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**12), st.integers(0, 8))
def test_a_printed_decimal_comes_back(units, places) -> None:
    """ccxt reads the text as a float; 15 digits survive that."""
    printed = D(units).scaleb(-places)
    assert convert.exact(float(str(printed)), D(1).scaleb(-places)) == printed


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_what_was_calculated_with_floats_is_set_right(one, other) -> None:
    calculated = one / 1000 + other / 1000
    assert convert.exact(calculated, D("0.001")) == D(one + other) / 1000


def test_finer_digits_than_the_precision_stay() -> None:
    assert convert.exact(0.12345, D("0.01")) == D("0.12345")


@pytest.mark.parametrize("value", [None, "x", float("nan"), float("inf"), True, [1]])
def test_what_is_no_number(value) -> None:
    with pytest.raises(ParseError):
        convert.exact(value, D("0.01"))


# -- books -------------------------------------------------------------------------------------------------------------


def test_a_book_is_a_copy() -> None:
    raw = {"symbol": "BTC/USDT", "bids": [[10.0, 1.0], [9.0, 2.0]], "asks": [[11.0, 3.0]], "timestamp": 1795221000123}
    copied = convert.book(found(spot()), raw, 100)
    raw["bids"][0][1] = 5.0
    raw["asks"].clear()
    assert copied == BookSnapshot(
        symbol="BTC/USDT", bids=[(10.0, 1.0), (9.0, 2.0)], asks=[(11.0, 3.0)], depth=100, exchange_ms=1795221000123
    )
    assert convert.book(found(spot()), raw, 1).bids == [(10.0, 5.0)]


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=20))
def test_contracts_in_a_book_are_exact(counts) -> None:
    raw = {"bids": [], "asks": [[float(price), float(count)] for price, count in enumerate(counts, 1)]}
    sizes = [size for _, size in convert.book(found(swap()), raw, 100).asks]
    assert [D(repr(size)) for size in sizes] == [D(count) / 10 for count in counts]


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"bids": [[1.0]], "asks": []},
        {"bids": [[None, 1.0]], "asks": []},
        {"bids": [[float("nan"), 1.0]], "asks": []},
        {"bids": [[1.0, -1.0]], "asks": []},
        {"bids": [], "asks": [], "symbol": "ETH/USDT"},
    ],
)
def test_what_is_no_book(raw) -> None:
    with pytest.raises(ParseError):
        convert.book(found(spot()), raw, 100)


# -- trades, tickers, candles ------------------------------------------------------------------------------------------


def test_a_trade() -> None:
    raw = {"id": "17", "side": "sell", "price": 100.5, "amount": 3.0, "timestamp": 1795221000123}
    made = convert.trade(found(swap()), raw)
    assert made is not None
    assert (made.id, made.side, made.price, made.size) == ("17", "sell", D("100.5"), D("0.3"))
    assert convert.trade(found(swap()), raw | {"side": None}) is None
    assert convert.trade(found(swap()), raw | {"timestamp": None}) is None
    assert convert.trade(found(swap()), raw | {"id": None}) == convert.trade(found(swap()), raw | {"id": None})


def test_a_ticker() -> None:
    raw = {"last": 110.0, "open": 100.0, "percentage": 10.0, "baseVolume": 5.5, "quoteVolume": 600.0, "timestamp": None}
    made = convert.ticker(found(spot()), raw)
    assert made is not None
    assert (made.last, made.open, made.change, made.base_volume) == (D(110), D(100), D("0.1"), D("5.5"))
    contracts = convert.ticker(found(swap()), raw)
    assert contracts is not None
    assert contracts.base_volume is contracts.quote_volume is None
    assert convert.ticker(found(spot()), raw | {"last": None}) is None


def test_candles() -> None:
    rows = [[1795221060000, 2, 3, 1, 2.5, 7.25], [1795221000000, 1, 2, 0.5, 2, 3.0]]
    first, second = convert.candles(found(spot()), "1m", rows, 0)
    assert (first.open_ms, first.closed, second.closed) == (1795221000000, True, False)
    assert (second.high, second.base_volume) == (D(3), D("7.25"))
    assert convert.candles(found(swap()), "1m", rows, 0)[0].base_volume == 0
    assert convert.candles(found(spot()), "1m", rows, 1795221060001)[1].closed
    with pytest.raises(ParseError):
        convert.candles(found(spot()), "1m", [[1795221060000, 2, None]], 0)


def test_a_mark_price() -> None:
    raw = {"markPrice": 100.5, "indexPrice": 100.4, "fundingRate": 0.0001, "fundingTimestamp": 1795248000000}
    made = convert.mark(found(swap()), raw)
    assert made is not None
    assert (made.mark, made.index, made.funding_rate) == (D("100.5"), D("100.4"), D("0.0001"))
    assert convert.mark(found(swap()), {}) is None


# -- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (ccxt.NetworkError("Connection closed by remote server, closing code 1006"), "link", "closing code 1006."),
        (ccxt.RequestTimeout("t"), "link", "in time"),
        (ccxt.OnMaintenance("m"), "link", "maintenance"),
        (ccxt.RateLimitExceeded("slow down"), "wait", "asks us to wait"),
        (ccxt.DDoSProtection("x"), "wait", "asks us to wait"),
        (ccxt.ChecksumError("c"), "desync", "wrong"),
        (ccxt.BadSymbol("gate does not have market symbol X/Y"), "refused", "X/Y"),
        (ccxt.ExchangeError("no"), "refused", "refuses: no."),
        (ccxt.BadResponse("html"), "link", "makes no sense"),
        (KeyError("bids"), "broken", "KeyError"),
        (ParseError("a level"), "broken", "could not be understood"),
    ],
)
def test_what_ccxts_exceptions_mean(error, kind, words) -> None:
    trouble = library.trouble_of(error)
    assert trouble.kind == kind
    assert words in trouble.sentence
    assert trouble.sentence.endswith(".")


def test_as_errors_of_ours() -> None:
    assert isinstance(library.feed_error(ccxt.RateLimitExceeded("x")), RateLimited)
    assert isinstance(library.feed_error(ccxt.BadSymbol("x")), ExchangeError)
    assert isinstance(library.feed_error(ccxt.NetworkError("x")), TransportError)


async def test_a_stream_goes_on_through_failures(monkeypatch) -> None:
    monkeypatch.setattr("feeds.longtail.stream.backoff", lambda: iter(lambda: 0.0, None))
    answers = deque([1, ccxt.NetworkError("a"), ccxt.NetworkError("b"), 2, ccxt.ExchangeError("c"), 3])
    taken, failed, begun = [], [], []

    async def ask():
        await asyncio.sleep(0)
        answer = answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def on_failure(trouble, count):
        failed.append((trouble.kind, count))
        return len(failed) < 4

    stream = Stream(ask, taken.append, on_failure, began=lambda: begun.append(1))
    async with asyncio.timeout(5):
        await stream.run()  # until IndexError, which is "broken": the fourth failure
    assert taken == [1, 2, 3]
    assert failed == [("link", 1), ("link", 2), ("refused", 1), ("broken", 1)]
    assert len(begun) == 4


async def test_a_future_that_ccxt_cancels_is_a_failure_and_our_cancelling_is_not() -> None:
    asked: list[asyncio.Future[None]] = []
    begun, failed = asyncio.Event(), asyncio.Event()

    async def ask():
        asked.append(asyncio.get_running_loop().create_future())
        begun.set()
        await asked[-1]

    def on_failure(trouble, _):
        assert trouble is library.ENDED
        failed.set()
        return True

    task = asyncio.create_task(Stream(ask, print, on_failure).run())
    async with asyncio.timeout(5):
        await begun.wait()
        asked[0].cancel()
        await failed.wait()
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


# -- checks ------------------------------------------------------------------------------------------------------------


def levels(*prices: float) -> list[tuple[float, float]]:
    return [(price, 1.0) for price in prices]


def a_book(bids, asks) -> BookSnapshot:
    return BookSnapshot(symbol="BTC/USDT", bids=levels(*bids), asks=levels(*asks))


def test_best_prices_within_the_range_of_the_streams() -> None:
    told = SimpleNamespace(bests=deque([(1.0, 10.0, 11.0), (5.0, 12.0, 13.0), (6.0, 11.0, 13.0)]))

    def within(bid, ask, since_s):
        return checks.within(told, (bid and (bid, 1.0), ask and (ask, 1.0)), since_s)

    assert within(11.0, 13.0, 6.5)
    assert within(11.5, 12.0, 4.0), "told before and still the best at that time"
    assert not within(9.0, 13.0, 0.0), "a bid that ccxt has missed the end of"
    assert not within(10.0, 13.0, 5.5), "too old"
    assert not within(None, 13.0, 0.0)


def test_levels_that_fit() -> None:
    full = a_book(range(100, 80, -1), range(101, 121))
    assert checks.fits(full, full, 20, 1.0)
    moved = a_book(range(99, 79, -1), range(102, 122))
    assert checks.fits(full, moved, 20, 0.6)
    holes = a_book([100, 95, 90, 85], [101, 106, 111])
    assert not checks.fits(holes, full, 20, 0.6), "a book built without its snapshot"
    assert not checks.fits(a_book([100], [101]), full, 20, 0.6)
    assert checks.fits(a_book([100], [101]), a_book([100], [101]), 20, 0.9), "there may be no more"
    assert checks.fits(a_book(range(100, 95, -1), range(101, 106)), full, 20, 0.9), "five levels are told"
    assert checks.fits(a_book([], [101]), a_book([], [101]), 20, 0.9)
    assert not checks.fits(a_book([], [101]), a_book([100], [101]), 20, 0.9)


# -- configuration -----------------------------------------------------------------------------------------------------


def load(folder: Path, text: str) -> Config:
    path = folder / "spreadboard.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, {})


def test_one_line_adds_an_exchange(tmp_path) -> None:
    gate = load(tmp_path, '[exchanges.gate]\nvia = "ccxt"').exchanges["gate"]
    assert (gate.via, gate.products, gate.ccxt) == ("ccxt", ("spot", "swap", "future"), {})


def test_everything_set(tmp_path) -> None:
    text = """
    [exchanges.gate]
    via = "ccxt"
    products = ["swap"]
    pinned = ["BTC/USDT:USDT"]
    stale_s = 10
    book_depth = 20
    [exchanges.gate.ccxt]
    timeout = 20000
    options = {defaultType = "swap"}
    """
    gate = load(tmp_path, text).exchanges["gate"]
    assert (gate.pinned, gate.stale_s, gate.book_depth) == (("BTC/USDT:USDT",), 10.0, 20)
    assert gate.ccxt == {"timeout": 20000, "options": {"defaultType": "swap"}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[exchanges.gate]\nvia = "cctx"', ["exchanges.gate.via", '"cctx"', "must be one of ccxt"]),
        ("[exchanges.gate]", ["exchanges.gate: no such exchange", 'via = "ccxt"']),
        ('[exchanges.nowhere]\nvia = "ccxt"', ["ccxt.pro has no exchange nowhere", "gate", "kucoin"]),
        ('[exchanges.mudrex]\nvia = "ccxt"', ["mudrex", "watchOrderBook"]),
        ('[exchanges.gate]\nvia = "ccxt"\nws_url = "wss://x"', ["exchanges.gate.ws_url", "no such key"]),
        ('[exchanges.gate]\nvia = "ccxt"\nproducts = ["option"]', ["exchanges.gate.products", "spot, swap, future"]),
        ('[exchanges.gate]\nvia = "ccxt"\nproducts = ["spot"]\npinned = ["A/B:B"]', ["pinned", "derivative"]),
        ('[exchanges.gate]\nvia = "ccxt"\nccxt = {apiKey = "x"}', ["exchanges.gate.ccxt.apiKey", "secrets"]),
        ('[exchanges.gate]\nvia = "ccxt"\nccxt = {verbose = true}', ["exchanges.gate.ccxt.verbose", "no such key"]),
        ('[exchanges.gate]\nvia = "ccxt"\nccxt = 1', ["exchanges.gate.ccxt = 1", "must be a table"]),
        ('[exchanges.gate]\nvia = "ccxt"\nstale_s = 40', ["reconnect_s"]),
        (
            '[exchanges.binance]\nvia = "ccxt"\n[accounts.main]\nexchange = "binance"',
            ["accounts.main.exchange", "none is possible"],
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, words) -> None:
    with pytest.raises(ConfigError) as told:
        load(tmp_path, text)
    for word in words:
        assert word in str(told.value)
    assert "apiKey = " not in str(told.value)


def test_a_missing_ccxt_stops_the_start_and_says_what_to_install(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ccxt", None)
    monkeypatch.setitem(sys.modules, "ccxt.pro", None)
    with pytest.raises(ConfigError, match=r'exchanges\.gate\.via = "ccxt": .* pip install ccxt==4\.5\.90$'):
        load(tmp_path, '[exchanges.gate]\nvia = "ccxt"')
    off = load(tmp_path, '[exchanges.kraken]\n[exchanges.gate]\nvia = "ccxt"\nenabled = false')
    assert set(off.exchanges) == {"kraken"}, "one that is not enabled needs nothing"


def test_the_tested_version_is_the_pinned_one() -> None:
    root = Path(__file__).resolve().parents[2]
    for name in ("requirements-ccxt.txt", "README.md", "docs/operations.md", "docs/dependencies.md"):
        assert f"ccxt=={library.VERSION}" in (root / name).read_text(), name
    assert f"ccxt=={library.VERSION}" in (root / "spreadboard.toml.example").read_text()
    assert ccxt.__version__ == library.VERSION
