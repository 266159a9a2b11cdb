"""Bybit's transaction log: funding, interest and all else that is no execution, once each; and what is traded in
categories that are not followed."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.account_domain import AccountChanged, Fill, TradedElsewhere, Transfer
from feeds.accounts.bybit import ledger
from feeds.errors import ParseError
from feeds.exchange import Request
from tests.documented import Documented, below
from tests.feeds.bybit_examples import NOW_MS, account, answer, body, frame, session
from tests.feeds.ledger_hours import LIVE, live_through

D = Decimal
DAY_MS = 86_400_000


def record(kind: str, change: str, **more: Any) -> dict[str, Any]:
    """A row of the log, with its time as text like all of Bybit's."""
    row = {"id": "592324_USDT_7", "symbol": "", "category": "", "side": "None", "currency": "USDT", "funding": ""}
    return row | {"type": kind, "change": change, "cashFlow": change, "transactionTime": "5", "fee": "0"} | more


def read(*rows: dict[str, Any], products: tuple[str, ...] = ("spot", "linear")) -> list[Transfer]:
    api = account(products)
    return api.parse_transfers(api.transfers_requests(NOW_MS)[-1], body({"list": rows, "nextPageCursor": ""}))


class TestRecords:
    def test_the_documented_ones(self) -> None:
        """Funding, and two executions, which are told as fills."""
        api = account()
        [request, *_] = api.transfers_requests(NOW_MS)
        assert api.parse_transfers(request, answer("Account/GetTransactionHistory")) == [
            Transfer(
                product="unified",
                id="592324_XRPUSDT_161440249321-SETTLEMENT",
                kind="funding",
                asset="USDT",
                amount=D("-0.003676"),
                symbol="XRP/USDT:USDT",
                exchange_ms=1672128000000,
            )
        ]
        assert api.next_page(request, answer("Account/GetTransactionHistory")) is not None

    def test_transfers_are_signed_amounts(self) -> None:
        out, come = read(record("TRANSFER_OUT", "-250.5"), record("TRANSFER_IN", "0.1", transactionTime=6))
        assert out == Transfer(
            product="unified",
            id="592324_USDT_7-TRANSFER_OUT",
            kind="internal",
            asset="USDT",
            amount=D("-250.5"),
            exchange_ms=5,
        )
        assert (come.id, come.amount, come.exchange_ms) == ("592324_USDT_7-TRANSFER_IN", D("0.1"), 6)

    def test_a_usdc_contract_settles_its_session_in_the_same_record(self) -> None:
        """Two transfers, which together are what changed; the session's profit no execution tells."""
        row = {"funding": "-0.25", "cashFlow": "-71.28", "symbol": "BTCPERP", "category": "linear", "currency": "USDC"}
        paid, settled = read(record("SETTLEMENT", "-71.53", **row))
        assert (paid.kind, paid.amount, paid.note, paid.symbol) == ("funding", D("-0.25"), "", "BTC/USDC:USDC")
        assert (settled.kind, settled.amount, settled.note) == ("income", D("-71.28"), "session settlement")
        assert {paid.asset, settled.asset, paid.symbol, settled.symbol} == {"USDC", "BTC/USDC:USDC"}
        [paid, settled] = read(record("SETTLEMENT", "-71.53", **row), products=("spot",))
        assert (paid.kind, settled.kind) == ("funding", "other")  # half of a profit is none
        [only] = read(record("SETTLEMENT", "-71.28", **row | {"funding": ""}))
        assert (only.kind, only.amount) == ("income", D("-71.28"))

    def test_funding_of_what_has_no_name_here(self) -> None:
        row = {"funding": "0.00000012", "symbol": "BTCUSD", "category": "inverse", "currency": "BTC"}
        [paid] = read(record("SETTLEMENT", "0.00000012", **row))
        assert (paid.kind, paid.asset, paid.symbol, paid.note) == ("funding", "BTC", None, "BTCUSD")

    @pytest.mark.parametrize(
        ("kind", "told", "note"),
        [
            ("INTEREST", "interest", ""),
            ("INSTITUTION_PAYBACK_INTEREST_OUT", "interest", "INSTITUTION_PAYBACK_INTEREST_OUT"),
            ("AIRDROP", "income", "AIRDROP"),
            ("BONUS_RECOLLECT", "income", "BONUS_RECOLLECT"),
            ("FEE_REFUND", "income", "FEE_REFUND"),
            ("CUSTODY_NETWORK_FEE", "fee", "CUSTODY_NETWORK_FEE"),
            ("FLEXIBLE_STAKING_SUBSCRIPTION", "internal", "FLEXIBLE_STAKING_SUBSCRIPTION"),
            ("CURRENCY_BUY", "other", "CURRENCY_BUY"),
            ("CONVERT", "other", "CONVERT"),
            ("SOMETHING_OF_NEXT_YEAR", "other", "SOMETHING_OF_NEXT_YEAR"),
        ],
    )
    def test_kinds(self, kind: str, told: str, note: str) -> None:
        [row] = read(record(kind, "-0.0125"))
        assert (row.kind, row.note, row.amount, row.id) == (told, note, D("-0.0125"), f"592324_USDT_7-{kind}")

    @pytest.mark.parametrize("kind", ["TRADE", "LIQUIDATION", "ADL", "BORROW", "REPAY", "AUTO_LOANS_REPAY"])
    def test_what_fills_tell_and_what_is_no_change_of_what_is_owned(self, kind: str) -> None:
        assert read(record(kind, "9"), record(kind, "")) == []

    def test_deliveries_are_told_once(self) -> None:
        """Of USDT futures and delisted contracts as executions."""
        usdc = {"symbol": "BTC-26DEC25", "category": "linear", "currency": "USDC"}
        option = {"symbol": "BTC-26DEC25-90000-C", "category": "option", "currency": "USDC"}
        told = read(record("DELIVERY", "-4", **usdc), record("DELIVERY", "3", **option))
        assert [(t.kind, t.amount, t.note) for t in told] == [
            ("other", D(-4), "DELIVERY BTC-26DEC25"),
            ("other", D(3), "DELIVERY BTC-26DEC25-90000-C"),
        ]
        for symbol, coin in (("BTCUSDT-26DEC25", "USDT"), ("XRPUSDT", "USDT"), ("ETHPERP", "USDC")):
            assert read(record("DELIVERY", "-4", symbol=symbol, category="linear", currency=coin)) == []

    def test_nothing_changed(self) -> None:
        assert read(record("AIRDROP", "0"), record("SETTLEMENT", "0", funding="0")) == []

    @settings(max_examples=300, deadline=None)
    @given(
        field=st.sampled_from(["id", "type", "currency", "change", "funding", "transactionTime", "symbol", "category"]),
        value=st.one_of(st.none(), st.integers(), st.text(max_size=8), st.just([]), st.just("NaN"), st.just("1e999")),
        kind=st.sampled_from(["SETTLEMENT", "INTEREST", "TRADE", "DELIVERY", "X"]),
    )
    def test_malformed_rows(self, field: str, value: Any, kind: str) -> None:
        """Nothing but a ParseError, and nothing that is no number among the amounts."""
        try:
            told = read(record(kind, "1.5", funding="0.5") | {field: value})
        except ParseError:
            return
        assert all(each.amount.is_finite() for each in told)

    @pytest.mark.parametrize("change", ["", "x", "NaN", None, "1,5"])
    def test_a_change_that_is_no_number(self, change: Any) -> None:
        with pytest.raises(ParseError):
            read(record("INTEREST", change))


class TestRequests:
    @staticmethod
    def asked(requests: list[Request]) -> list[tuple[str, int, int]]:
        """Type, begin and end in days before now."""
        told = [dict(request.params) for request in requests]
        assert {int(each["endTime"]) - int(each["startTime"]) for each in told} == {7 * DAY_MS}
        assert {each["limit"] for each in told} == {"50"} and {each["accountType"] for each in told} == {"UNIFIED"}
        days = [(NOW_MS - int(each["startTime"])) / DAY_MS for each in told]
        return [(each.get("type", ""), day) for each, day in zip(told, days, strict=True)]

    def test_at_first_the_usual_types_and_a_day_of_everything(self) -> None:
        api = account()
        assert self.asked(api.transfers_requests(NOW_MS - 10 * DAY_MS)) == [
            *((kind, 10.0) for kind in ledger.USUAL),
            *((kind, 3.0) for kind in ledger.USUAL),
            ("", 1.0),
        ]
        windows = self.asked(api.transfers_requests(0))
        assert max(day for _, day in windows) == 90 and len(windows) == 13 * len(ledger.USUAL) + 1

    def test_then_everything_since_it_was_read_to_its_end(self) -> None:
        api = account()
        since_ms = NOW_MS - 7 * DAY_MS + 1
        everything = api.transfers_requests(since_ms)[-1]
        page = body({"list": [record("TRADE", "1")], "nextPageCursor": "more"})
        api.parse_transfers(everything, page)
        assert len(api.transfers_requests(since_ms)) == 7  # there is another page
        following = api.next_page(everything, page)
        assert following is not None and dict(following.params)["cursor"] == "more"
        api.parse_transfers(following, body({"list": [record("TRADE", "1")], "nextPageCursor": ""}))
        hour = 1 / 24
        [into, out, rest] = self.asked(api.transfers_requests(since_ms))
        assert ([into[0], out[0]], rest) == (["TRANSFER_IN", "TRANSFER_OUT"], ("", pytest.approx(hour)))

    def test_what_is_not_understood_is_asked_again(self) -> None:
        api = account()
        everything = api.transfers_requests(NOW_MS - DAY_MS)[-1]
        with pytest.raises(ParseError):
            api.parse_transfers(everything, body({"list": [record("INTEREST", "x")], "nextPageCursor": ""}))
        assert len(api.transfers_requests(NOW_MS - DAY_MS)) == 7

    def test_after_a_long_sleep_no_window_is_left_out(self) -> None:
        slept = account(now_ms=NOW_MS - 20 * DAY_MS)
        slept.parse_transfers(slept.transfers_requests(0)[-1], body({"list": [], "nextPageCursor": ""}))
        slept._now_s = lambda: NOW_MS / 1000
        days = [day for kind, day in self.asked(slept.transfers_requests(0)) if not kind]
        assert days == pytest.approx([20 + 1 / 24, 13 + 1 / 24, 6 + 1 / 24])


class TestElsewhere:
    def executed(self, products: tuple[str, ...] = ("spot", "linear"), **row: Any) -> Any:
        given = {"symbol": "BTCUSDT", "execId": "e1", "execType": "Trade", "execTime": "7", "orderId": "o"}
        given |= {"side": "Buy", "execPrice": "1", "execQty": "1", "execFee": "0", "category": "spot"}
        [event] = session(account(products)).parse(frame("execution", given | row))
        return event

    @pytest.mark.parametrize(
        ("row", "assets"),
        [
            ({"category": "option", "symbol": "BTC-26DEC25-90000-C"}, ("USDC",)),
            ({"category": "option", "symbol": "BTC-27MAR26-70000-P-USDT", "feeCurrency": "USDT"}, ("USDT",)),
            ({"category": "inverse", "symbol": "BTCUSD", "feeCurrency": "BTC"}, ("BTC",)),
            ({"category": "inverse", "symbol": "ETHUSDM26"}, ("ETH",)),
            ({"category": "inverse", "symbol": "USD"}, ()),
            ({"category": "something", "symbol": "X", "feeCurrency": "MNT"}, ()),
        ],
    )
    def test_categories_without_names_here(self, row: dict[str, Any], assets: tuple[str, ...]) -> None:
        told = self.executed(**row)
        what = f"{row['category']} Trade {row['symbol']}"
        assert told == TradedElsewhere(id="e1", what=what, assets=assets, exchange_ms=7)

    def test_a_product_that_is_not_followed(self) -> None:
        spot = self.executed(("linear",), feeCurrency="MNT")
        assert isinstance(spot, TradedElsewhere) and spot.assets == ("BTC", "USDT", "MNT")
        linear = self.executed(("spot",), category="linear", symbol="BTCPERP", execType="AdlTrade")
        assert isinstance(linear, TradedElsewhere) and linear.assets == ("USDC",)
        assert isinstance(self.executed(), Fill)

    def test_funding_of_any_category_is_in_the_log(self) -> None:
        for category in ("linear", "inverse"):
            assert self.executed(category=category, execType="Funding") == AccountChanged(reason="execution Funding")


def test_funding_while_it_trades() -> None:
    """Over sockets: every payment once, nothing that fills tell, nothing that is unexplained."""
    symbols = ("BTC/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USDC:USDC")
    others = (("USDT", "-0.5", "INTEREST"), ("BTC", "0.01", "AIRDROP"), ("USDC", "12.5", "CURRENCY_BUY"))
    lived = live_through("bybit", "unified", symbols, others, payments=3)
    assert lived.funding() == lived.true_funding()
    assert {symbol for _, symbol, _, _ in lived.funding()} == set(symbols[1:])
    assert len({at_ms for *_, at_ms in lived.funding()}) >= 2
    assert lived.findings == [] and lived.state == LIVE
    assert len(lived.fills) == len(lived.traded) > 60
    assert lived.told_twice("unified") == {}
    named = {(each.kind, each.note): each.amount for each in lived.transfers if each.kind in ("interest", "income")}
    assert named == {("interest", ""): D("-0.5"), ("income", "AIRDROP"): D("0.01")}
    log = [each.asked.query for each in lived.asked if each.asked.path.endswith("transaction-log")]
    assert [query for query in log if "type=" not in query and "cursor=" in query], "more than a page"


DOCUMENTED = Documented(
    "bybit",
    {
        f"Endpoints/V5Api/{name}": "TestRecords.test_the_documented_ones"
        for name in below("Account", "GetTransactionHistory")
    },
)
