"""Alpaca's prints: conditions, corrections and cancels, on the tape and in the last price; and batches of messages."""

import json
from decimal import Decimal
from typing import Any

import pytest

from feeds.domain import BookDelta, Event, Ticker, Trade, Unknown
from feeds.errors import ParseError
from feeds.exchange import MarketIndex
from feeds.exchanges.alpaca import Alpaca
from feeds.exchanges.alpaca_session import AlpacaSession
from feeds.markets.pictures import last_price
from tests.feeds.test_alpaca import AMD, BTC
from tests.feeds.test_market import Stage

TIME = "2026-02-23T15:51:{:06.3f}Z"
MARKETS = MarketIndex([AMD, BTC])


def new_session(product: str = "stocks") -> AlpacaSession:
    return Alpaca().session(product, MARKETS)


def row(number: int, price: str, *conditions: str, at_s: float | None = None, tape: str = "C", **more: Any) -> str:
    body = {"T": "t", "S": "AMD", "i": number, "x": "D", "p": 0, "s": 100, "c": list(conditions), "z": tape}
    body["t"] = TIME.format(number if at_s is None else at_s)
    return json.dumps({**body, **more}).replace('"p": 0', f'"p": {price}')


def cancel(number: int, price: str = "1", **more: Any) -> str:
    body = {"T": "x", "S": "AMD", "i": number, "x": "D", "p": 1, "s": 100, "a": "C", "z": "C", "t": TIME.format(50)}
    return json.dumps({**body, **more})


def correction(number: int, right: int, price: float, *conditions: str, **more: Any) -> str:
    body = {"T": "c", "S": "AMD", "x": "D", "oi": number, "op": 1, "os": 100, "oc": ["@"], "ci": right, "cp": price}
    return json.dumps({**body, "cs": 7, "cc": list(conditions), "z": "C", "t": TIME.format(50), **more})


class Market:
    """What a market makes of a connection's messages."""

    def __init__(self) -> None:
        self.session = new_session()
        self.feed = Stage(market=AMD).feed

    def take(self, *rows: str) -> list[Event]:
        events = self.session.parse(f"[{','.join(rows)}]")
        for event in events:
            if isinstance(event, Trade):
                self.feed.on_trade(event, 1)
            elif isinstance(event, Ticker):
                self.feed.on_ticker(event, 1)
        return events

    @property
    def last(self) -> Decimal | None:
        return last_price(self.feed)

    @property
    def tape(self) -> list[tuple[Decimal, Decimal]]:
        return [(trade.price, trade.size) for trade in self.feed.trades]


class TestConditions:
    @pytest.mark.parametrize(
        ("conditions", "tape"),
        [
            *(((code,), tape) for code in "CHMNPQRV479" for tape in ("A", "C", "")),
            (("B",), "A"),
            (("B",), "B"),
            (("W",), "C"),
            (("W",), ""),
            (("@", "W"), "C"),
            ((" ", "7"), "B"),
        ],
    )
    def test_priced_beside_the_market_is_no_print(self, conditions: tuple[str, ...], tape: str) -> None:
        assert new_session().parse(f"[{row(1, '226.55', *conditions, tape=tape)}]") == []

    @pytest.mark.parametrize("code", "GIUZ")
    def test_odd_lots_and_late_reports_are_prints_and_no_last_price(self, code: str) -> None:
        (trade,) = new_session().parse(f"[{row(1, '126.55', '@', code)}]")
        assert isinstance(trade, Trade) and (trade.price, trade.last) == (Decimal("126.55"), False)

    @pytest.mark.parametrize(
        ("conditions", "tape"),
        [((), "C"), (("@",), "C"), ((" ",), "A"), (("@", "F"), "C"), (("@", "T"), "C"), (("B",), "C"), (("X",), "C")],
    )
    def test_any_other_makes_the_last_price(self, conditions: tuple[str, ...], tape: str) -> None:
        trade, ticker = new_session().parse(f"[{row(1, '126.55', *conditions, tape=tape)}]")
        assert isinstance(trade, Trade) and trade.last
        assert isinstance(ticker, Ticker) and ticker.last == Decimal("126.55")

    def test_conditions_may_be_missing(self) -> None:
        assert len(new_session().parse(f"[{row(1, '5', c=None)}]")) == 2

    def test_the_last_price_is_the_newest_by_time(self) -> None:
        market = Market()
        market.take(row(1, "126.50", at_s=10), row(2, "126.60", at_s=9), row(3, "226.55", "W"), row(4, "1", "I"))
        assert market.last == Decimal("126.50")
        assert market.tape == [(Decimal(p), Decimal(100)) for p in ("1", "126.60", "126.50")]

    def test_coins_have_no_conditions(self) -> None:
        message = {"T": "t", "S": "BTC/USD", "p": 1.5, "s": 1, "t": TIME.format(1), "i": 7, "tks": "B", "c": ["W"]}
        trade, ticker = new_session("crypto").parse(json.dumps([message]))
        assert isinstance(trade, Trade) and (trade.id, trade.side, trade.last) == ("7", "buy", True)
        assert isinstance(ticker, Ticker)


class TestCorrections:
    def test_a_canceled_print_leaves_tape_and_last_price(self) -> None:
        market = Market()
        market.take(row(1, "126.50"), row(2, "12.65"))
        assert market.last == Decimal("12.65")
        market.take(cancel(2))
        assert (market.last, market.tape) == (Decimal("126.50"), [(Decimal("126.50"), Decimal(100))])
        market.take(row(3, "126.70"))
        assert market.last == Decimal("126.70")

    def test_the_first_print_is_canceled(self) -> None:
        market = Market()
        market.take(row(1, "12.65"))
        market.take(cancel(1, a="E"))
        assert (market.last, market.tape) == (None, [])

    def test_a_corrected_print_stands_in_its_place(self) -> None:
        market = Market()
        market.take(row(1, "126.50"), row(2, "12.65"), row(3, "126.55", "I"))
        market.take(correction(2, 9, 126.52, "@"))
        assert market.last == Decimal("126.52")
        assert market.tape == [
            (Decimal("126.50"), Decimal(100)),
            (Decimal("126.52"), Decimal(7)),
            (Decimal("126.55"), Decimal(100)),
        ]
        market.take(cancel(9))
        assert (market.last, len(market.tape)) == (Decimal("126.50"), 2)

    def test_a_correction_of_an_earlier_print_leaves_the_last_price(self) -> None:
        market = Market()
        market.take(row(1, "12.65"), row(2, "126.50"))
        events = market.take(correction(1, 9, 126.4, "@"))
        assert [type(event) for event in events] == [Trade]
        assert (market.last, market.tape[0][0]) == (Decimal("126.50"), Decimal("126.4"))

    def test_what_turns_out_to_be_priced_beside_the_market_goes(self) -> None:
        market = Market()
        market.take(row(1, "126.50"), row(2, "226.55"))
        market.take(correction(2, 9, 226.5, "W"))
        assert (market.last, market.tape) == (Decimal("126.50"), [(Decimal("126.50"), Decimal(100))])

    def test_what_turns_out_to_be_an_odd_lot_stays_on_the_tape(self) -> None:
        market = Market()
        market.take(row(1, "126.50"), row(2, "126.60"))
        market.take(correction(2, 2, 126.61, "I"))
        assert (market.last, market.tape[-1][0]) == (Decimal("126.50"), Decimal("126.61"))

    @pytest.mark.parametrize(
        "word", [cancel(7), cancel(1, x="K"), correction(7, 8, 5.0), cancel(1, t="2026-02-24T15:51:00Z")]
    )
    def test_words_about_prints_that_are_not_here(self, word: str) -> None:
        """Of another number, exchange or day."""
        market = Market()
        market.take(row(1, "126.50"))
        market.take(word)
        assert (market.last, len(market.tape)) == (Decimal("126.50"), 1)

    @pytest.mark.parametrize(
        "word", [cancel(1, p=-1), cancel(1, i="x"), correction(1, 2, 0.0), correction(1, 2, 5, cs=-1), cancel(1, t="")]
    )
    def test_what_is_no_correction(self, word: str) -> None:
        with pytest.raises(ParseError):
            new_session().parse(f"[{word}]")

    def test_the_beginning_of_time_is_a_time(self) -> None:
        assert new_session().parse(f"[{row(1, '5', t='0001-01-01T00:00:00Z')}]")


class TestBatches:
    DELTA = '{"T":"o","S":"BTC/USD","t":"2023-03-18T13:31:45.1Z","b":[{"p":27510.00,"s":0}],"a":[]}'

    @pytest.mark.parametrize(
        "unknown", ['{"T":"n"}', '{"T":"i","S":"INAQU","p":9.12,"z":"C"}', '{"T":"","x":[1,{"T":"o"}]}']
    )
    def test_an_unknown_type_costs_no_other_message(self, unknown: str) -> None:
        session = new_session("crypto")
        told = {
            f"[{self.DELTA},{unknown}]": [BookDelta, Unknown],
            f"[{unknown},{self.DELTA},{self.DELTA}]": [Unknown, BookDelta, BookDelta],
            f"[{unknown}]": [Unknown],
        }
        for batch, kinds in told.items():
            assert [type(event) for event in session.parse(batch)] == kinds

    @pytest.mark.parametrize("wrong", ['{"T":"o","S":"BTC/USD"}', '{"T":7}', "{}", "7", "null", '{"T":"t"}'])
    def test_a_message_that_cannot_be_understood_may_have_been_a_change(self, wrong: str) -> None:
        with pytest.raises(ParseError):
            new_session("crypto").parse(f"[{self.DELTA},{wrong}]")
