"""Topics as text: every kind there and back, one spelling each, and a sentence for everything else."""

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from feeds.domain import INTERVALS
from feeds.topics import (
    ACCOUNT_KINDS,
    FEES,
    GLOBAL_KINDS,
    MARKET_KINDS,
    SYMBOL_KINDS,
    Topic,
    leg_topic,
    parse_topic,
    read_leg,
)

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=20)
SYMBOLS = st.builds(
    "{}/{}{}".format, *[st.text("ABCXYZ0123456789.-", min_size=1, max_size=10)] * 2, st.sampled_from(["", ":USDT"])
)
STEPS = st.decimals("1e-12", "1e12", allow_nan=False, allow_infinity=False, places=12).filter(lambda step: step > 0)
TOPICS = st.one_of(
    st.builds(Topic, st.sampled_from(GLOBAL_KINDS)),
    st.builds(Topic, st.just("across"), symbol=SYMBOLS, step=st.none() | STEPS),
    st.builds(Topic, st.just("matrix"), symbol=SYMBOLS, size=STEPS, fees=st.sampled_from(FEES)),
    st.builds(Topic, st.sampled_from(ACCOUNT_KINDS), account=st.integers(0, 10**18 - 1)),
    st.builds(Topic, st.sampled_from(["book", "quote", "trades"]), NAMES, SYMBOLS),
    st.builds(Topic, st.just("book"), NAMES, SYMBOLS, step=STEPS),
    st.builds(Topic, st.just("candles"), NAMES, SYMBOLS, interval=st.sampled_from(sorted(INTERVALS))),
)


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("streams", Topic("streams")),
        ("arbitrage", Topic("arbitrage")),
        ("across:BTC/USDT", Topic("across", symbol="BTC/USDT")),
        ("across@10:BTC/USDT:USDT", Topic("across", symbol="BTC/USDT:USDT", step=Decimal(10))),
        ("matrix@0.5:BTC/USDT", Topic("matrix", symbol="BTC/USDT", size=Decimal("0.5"), fees="taker")),
        ("matrix@0.5,maker:BTC/USDT", Topic("matrix", symbol="BTC/USDT", size=Decimal("0.5"), fees="maker")),
        ("book:binance:BTC/USDT", Topic("book", "binance", "BTC/USDT")),
        ("book:binance:BTC/USDT:USDT", Topic("book", "binance", "BTC/USDT:USDT")),
        ("book@10:binance:BTC/USDT", Topic("book", "binance", "BTC/USDT", step=Decimal(10))),
        ("book@0.5:kraken:BTC/USD", Topic("book", "kraken", "BTC/USD", step=Decimal("0.5"))),
        ("quote:kraken:DOGE/USD", Topic("quote", "kraken", "DOGE/USD")),
        ("trades:kraken:DOGE/USD", Topic("trades", "kraken", "DOGE/USD")),
        ("candles@1m:binance:BTC/USDT", Topic("candles", "binance", "BTC/USDT", interval="1m")),
        ("balances:7", Topic("balances", account=7)),
        ("positions:7", Topic("positions", account=7)),
        ("orders:7", Topic("orders", account=7)),
        ("transfers:7", Topic("transfers", account=7)),
        ("notices:7", Topic("notices", account=7)),
        ("portfolio:3", Topic("portfolio", user=3)),
        ("fills:123456789012345678", Topic("fills", account=123456789012345678)),
    ],
)
def test_every_kind(text: str, topic: Topic) -> None:
    assert parse_topic(text) == topic
    assert str(topic) == text


def test_the_examples_are_all_kinds() -> None:
    assert {*MARKET_KINDS, *ACCOUNT_KINDS, *SYMBOL_KINDS, *GLOBAL_KINDS} == {
        *("book", "quote", "trades", "candles", "balances", "positions", "orders", "fills", "streams"),
        *("across", "matrix", "arbitrage", "transfers", "notices"),
    }


def test_a_leg_is_ours_alone() -> None:
    leg = leg_topic("binance", "BTC/USDT:USDT")
    assert str(leg) == "leg:binance:BTC/USDT:USDT"
    assert read_leg(str(leg)) == leg
    assert read_leg("book:binance:BTC/USDT") is None
    with pytest.raises(ValueError, match="is not a topic"):
        parse_topic(str(leg))


@given(TOPICS)
def test_there_and_back(topic: Topic) -> None:
    assert parse_topic(str(topic)) == topic
    assert str(parse_topic(str(topic))) == str(topic)


@pytest.mark.parametrize(
    ("spelling", "canonical"),
    [
        ("book@10.0:x:Y", "book@10:x:Y"),
        ("across@0.10:B/Q", "across@0.1:B/Q"),
        ("matrix@0.50,taker:B/Q", "matrix@0.5:B/Q"),
        ("matrix@10.0,maker:B/Q", "matrix@10,maker:B/Q"),
        ("book@010:x:Y", "book@10:x:Y"),
        ("book@0.50:x:Y", "book@0.5:x:Y"),
        ("book@1000000000000:x:Y", "book@1000000000000:x:Y"),
        ("book@0.000000000001:x:Y", "book@0.000000000001:x:Y"),
        ("fills:007", "fills:7"),
    ],
)
def test_one_spelling(spelling: str, canonical: str) -> None:
    topic = parse_topic(spelling)
    assert str(topic) == canonical
    assert topic == parse_topic(canonical)


@pytest.mark.parametrize("step", ["10", "10.0", "1E+1"])
def test_a_topic_made_by_hand_has_the_same_spelling(step: str) -> None:
    assert str(Topic("book", "binance", "BTC/USDT", step=Decimal(step))) == "book@10:binance:BTC/USDT"


IS_NOT = " is not a topic. A topic is like book:binance:BTC/USDT."
NUMBER = ": an account topic ends with the account's number."
INTERVAL = ": candles need an interval, one of 1m, 5m, 15m, 1h, 4h, 1d."
STEP = ": the grouping step is a positive decimal number, like 0.5 or 10."


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", IS_NOT),
        ("book", IS_NOT),
        ("book:binance", IS_NOT),
        ("book:binance:", IS_NOT),
        ("book::BTC/USDT", IS_NOT),
        ("bok:binance:BTC/USDT", IS_NOT),
        ("Book:binance:BTC/USDT", IS_NOT),
        ("streams:1", IS_NOT),
        ("streams@1", IS_NOT),
        ("balances@2:7", IS_NOT),
        ("balances", NUMBER),
        ("balances:", NUMBER),
        ("balances:x", NUMBER),
        ("balances:-1", NUMBER),
        ("balances:1.0", NUMBER),
        ("balances:²", NUMBER),
        ("balances:٣", NUMBER),
        ("balances:1234567890123456789", NUMBER),
        ("candles:binance:BTC/USDT", INTERVAL),
        ("candles@:binance:BTC/USDT", INTERVAL),
        ("candles@2m:binance:BTC/USDT", INTERVAL),
        ("quote@1:binance:BTC/USDT", ": quote takes no parameter."),
        ("trades@:binance:BTC/USDT", ": trades takes no parameter."),
        ("book@:binance:BTC/USDT", STEP),
        ("book@0:binance:BTC/USDT", STEP),
        ("book@-1:binance:BTC/USDT", STEP),
        ("book@ten:binance:BTC/USDT", STEP),
        ("book@NaN:binance:BTC/USDT", STEP),
        ("book@Infinity:binance:BTC/USDT", STEP),
        ("book@1e1:binance:BTC/USDT", STEP),
        ("book@1_0:binance:BTC/USDT", STEP),
        ("book@ 10:binance:BTC/USDT", STEP),
        ("book@.5:binance:BTC/USDT", STEP),
        ("book@10.:binance:BTC/USDT", STEP),
        ("book@10\n:binance:BTC/USDT", STEP),
        ("book@٣:binance:BTC/USDT", STEP),
        ("book@1000000000001:binance:BTC/USDT", STEP),
        ("book@0.0000000000001:binance:BTC/USDT", STEP),
        ("book@1.0000000000000000000000000000000000001:binance:BTC/USDT", STEP),
    ],
)
def test_what_is_wrong_is_said(text: str, why: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_topic(text)
    assert str(caught.value) == f"{text!r}{why}"


def test_a_topic_has_an_end() -> None:
    with pytest.raises(ValueError, match="A topic has at most 200 characters"):
        parse_topic("book:binance:" + "X" * 188)
    assert parse_topic("book:binance:" + "X" * 187)


@given(st.text(max_size=210) | st.builds("{}@{}:{}:{}".format, *[st.text(max_size=20)] * 4))
@example("book@1" + "0" * 100 + ":x:y")
def test_any_text_is_a_topic_or_an_error(text: str) -> None:
    try:
        topic = parse_topic(text)
    except ValueError as error:
        assert str(error).endswith(".")
    else:
        assert parse_topic(str(topic)) == topic
