"""What adapters share to read bytes: only ParseError comes out, and nothing that is no amount."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct, field, json

from feeds import reading
from feeds.domain import Market
from feeds.errors import ExchangeError, ParseError, RateLimited, TransportError
from feeds.reading import Levels, Number, complaint, decode, error_for, listed, retry_after_s, rows, understood


class Row(Struct):
    n: Number


class Named(reading.Print):
    price: Number = field(name="p")


ROWS = json.Decoder(Row)
LEVELS = json.Decoder(Levels, strict=False)


def market(name: str) -> Market:
    one = Decimal(1)
    return Market(exchange="x", symbol=name, native=name, product="spot", base="A", quote="B", tick=one, lot=one)


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60)))
def test_only_parse_errors_come_out(raw: bytes | str) -> None:
    for decoder in (ROWS, LEVELS):
        try:
            decode(decoder, raw, "x")
        except ParseError as error:
            assert str(error).startswith("x: ")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-1", "1e5", "", " 1", "1 ", "1\n", "0x1", "9" * 41, "1.", ".5"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ParseError):
        decode(ROWS, json.encode({"n": text}), "x")


@pytest.mark.parametrize("value", ['"NaN"', '"-1"', '"1e999"', "true", "null", '"1 2"', "[" * 500 + "]" * 500])
def test_what_is_no_level(value: str) -> None:
    with pytest.raises(ParseError):
        decode(LEVELS, f'[[{value},"1"]]', "x")


def test_levels_are_floats_of_the_printed_digits() -> None:
    assert decode(LEVELS, '[["77188.10","0.00000000"],["0.00000001","12"]]', "x") == [(77188.1, 0.0), (1e-8, 12.0)]


def test_a_name_that_is_declared_once_more() -> None:
    found = decode(json.Decoder(Named), '{"price":"1","p":"2.50","size":"3"}', "x")
    assert found.trade("A/B", 7, "sell", 9).price == Decimal("2.50")


def test_one_strange_instrument_does_not_cost_the_others() -> None:
    def read(entry: Raw) -> Market | None:
        name = ROWS.decode(entry).n
        return None if name == "0" else market(name)

    entries = rows(b'[{"n":"1"},{"n":2},{"n":"0"},{"n":"3"}]', "x")
    assert [each.symbol for each in listed(entries, read, "x")] == ["1", "3"]
    assert listed([], read, "x") == []
    with pytest.raises(ParseError, match="none of 1 instruments"):
        listed(entries[1:3], read, "x")


def test_figures_that_cannot_be_understood_are_left_out() -> None:
    entries = rows(b'[{"n":"1"},{"n":2}]', "x")
    assert [row.n for row in understood(entries, ROWS, "x")] == ["1"]
    assert understood([], ROWS, "x") == []
    with pytest.raises(ParseError, match="x: Expected `str`"):
        understood(entries[1:], ROWS, "x")


def test_what_is_long_and_good_is_no_complaint() -> None:
    short, long = b'{"n":"1"}', b'{"n":"1"}' + b" " * reading.SHORT
    assert (complaint(ROWS, 200, short), complaint(ROWS, 200, long)) == (Row("1"), None)
    assert complaint(ROWS, 500, long) == Row("1")
    assert complaint(ROWS, 502, b"<html>") is None


@pytest.mark.parametrize(
    ("status", "told", "kind"),
    [
        (200, {}, None),
        (200, {"code": 7}, ExchangeError),
        (200, {"code": 7, "too_many": True}, RateLimited),
        (400, {"code": 7}, ExchangeError),
        (403, {"code": 7}, TransportError),
        (404, {}, TransportError),
        (418, {}, RateLimited),
        (429, {"code": 7}, RateLimited),
        (503, {"code": 7}, TransportError),
    ],
)
def test_what_an_answer_means(status: int, told: dict[str, object], kind: type[Exception] | None) -> None:
    error = error_for("X", status, {}, said="no", **told)
    assert type(error) is (kind or type(None))
    assert error is None or str(error) == f"X answered HTTP {status}: no"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("5", 5.0), (" 5 ", 5.0), ("9" * 400, 3600.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 7.0), ("-1", 7.0), ("1.5", 7.0)],
)
def test_how_long_to_wait(value: str, seconds: float) -> None:
    assert retry_after_s({"retry-AFTER": value}, 7.0) == seconds
    assert retry_after_s({}, 7.0) == 7.0
