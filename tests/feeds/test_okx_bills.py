"""OKX's bills: funding, interest and all else that is neither fill nor deposit, once each; and what is traded in
products that are not followed."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.account_domain import Fill, TradedElsewhere, Transfer, UnknownMarket
from feeds.accounts.okx import bills
from feeds.errors import ParseError
from feeds.exchange import Request
from tests.documented import Documented, below
from tests.feeds.ledger_hours import LIVE, live_through
from tests.feeds.okx_examples import ORDER, account, answer, data, rows

D = Decimal
DAY_MS = 86_400_000
NOW_MS = 1_700_000_000_000


def asking(now_ms: int = NOW_MS, **given: Any) -> Any:
    """An account that knows the exchange's time."""
    api = account(**given)
    api.sign(Request(path="/"), now_ms)
    return api


def bill(kind: str, change: str, **more: str) -> dict[str, str]:
    row = {"billId": "7", "ccy": "USDT", "balChg": change, "posBalChg": "0", "type": kind, "subType": "", "ts": "5"}
    return row | {"pnl": "0", "instType": "", "instId": "", "fee": "0", "interest": "0"} | more


def read(*told: dict[str, str]) -> list[Transfer]:
    api = asking()
    return api.parse_transfers(api.transfers_requests(NOW_MS)[-1], rows(*told))


def funded(*told: dict[str, str]) -> list[Transfer]:
    api = asking()
    return api.parse_transfers(api.transfers_requests(NOW_MS)[2], rows(*told))


SWAP = {"instType": "SWAP", "instId": "BTC-USDT-SWAP"}


class TestBills:
    def test_the_documented_ones_are_trades(self) -> None:
        api = asking()
        *_, recent = api.transfers_requests(NOW_MS)
        for name in ("Account/GetBillHistory", "Account/GetBillArchive"):
            assert api.parse_transfers(recent, answer(name)) == []
            [row] = json.loads(answer(name))["data"]
            [told] = api.parse_transfers(recent, rows(row | {"type": "1", "instId": "", "instType": ""}))
            assert told == Transfer(
                product="trading",
                id="623950854533513219",
                kind="internal",
                asset="USDT",
                amount=D("0.021933823221"),
                exchange_ms=1695033476167,
            )

    def test_funding(self) -> None:
        paid, got = read(bill("8", "-0.25", subType="173", pnl="-0.25", **SWAP), bill("8", "3", subType="174", **SWAP))
        assert (paid.kind, paid.amount, paid.symbol, paid.note) == ("funding", D("-0.25"), "BTC/USDT:USDT", "")
        assert (got.kind, got.amount) == ("funding", D(3))
        [apart] = read(bill("8", "0", subType="173", pnl="-0.25", **SWAP | {"instId": "BTC-USD-SWAP"}))
        assert (apart.amount, apart.symbol, apart.note) == (D("-0.25"), None, "BTC-USD-SWAP")

    @pytest.mark.parametrize(
        ("kind", "sub", "told", "note"),
        [
            ("7", "9", "interest", ""),
            ("7", "14", "interest", ""),
            ("10", "108", "other", "Clawback"),
            ("5", "110", "other", "Liquidation transfer"),
            ("6", "160", "internal", "Margin transfer"),
            ("12", "200", "internal", "Strategy transfer"),
            ("27", "318", "other", "Convert"),
            ("250", "250", "fee", "Copy trader profit sharing expenses"),
            ("381", "381", "interest", "Auto earn"),
            ("1", "285", "internal", "Copy trading transfer"),
            ("9999", "1", "other", "type 9999"),
        ],
    )
    def test_kinds(self, kind: str, sub: str, told: str, note: str) -> None:
        [row] = read(bill(kind, "-0.0125", subType=sub))
        assert (row.kind, row.note, row.amount, row.id, row.product) == (told, note, D("-0.0125"), "7", "trading")

    @pytest.mark.parametrize("kind", ["2", "5", "9", "13", "14", "24", "32"])
    def test_what_fills_tell(self, kind: str) -> None:
        assert read(bill(kind, "9", subType="104", **SWAP)) == []

    def test_deliveries_are_told_once(self) -> None:
        future = {"instType": "FUTURES", "instId": "BTC-USD-250328", "ccy": "BTC"}
        inverse = {"instType": "SWAP", "instId": "BTC-USD-SWAP", "ccy": "BTC"}
        told = read(*(bill("3", "1", subType="112", **each) for each in (SWAP, future, inverse)))
        assert [(t.kind, t.note) for t in told] == [
            ("other", "Delivery BTC-USD-250328"),
            ("other", "Delivery BTC-USD-SWAP"),
        ]

    def test_nothing_changed(self) -> None:
        assert read(bill("6", "0", subType="160"), bill("8", "", pnl="")) == []

    def test_the_funding_account(self) -> None:
        told = funded(
            *(bill("130", "5.5"), bill("20", "-1"), bill("83", "0.01"), bill("343", "0.02"), bill("75", "-3")),
            *(bill("84", "-2"), bill("272", "4"), bill("9999", "1")),
        )
        assert [(t.kind, t.note, t.amount) for t in told] == [
            ("internal", "", D("5.5")),
            ("internal", "", D(-1)),
            ("income", "Staking yield", D("0.01")),
            ("interest", "[Simple Earn Fixed] Interest", D("0.02")),
            ("internal", "[Simple earn flexible] Subscription", D(-3)),
            ("fee", "Violation fee", D(-2)),
            ("other", "[Convert] Buy Crypto/Fiat", D(4)),
            ("other", "type 9999", D(1)),
        ]
        assert {(t.product, t.id) for t in told} == {("funding", "funding-7")}
        assert funded(*(bill(kind, "1") for kind in ("1", "2", "13", "221"))) == []  # they have lists of their own

    @settings(max_examples=300, deadline=None)
    @given(
        field=st.sampled_from(["billId", "type", "subType", "ccy", "balChg", "pnl", "ts", "instId", "instType"]),
        value=st.one_of(st.none(), st.integers(), st.text(max_size=8), st.just([]), st.just("NaN"), st.just("1e999")),
        kind=st.sampled_from(["8", "7", "2", "3", "77"]),
        parse=st.sampled_from([read, funded]),
    )
    def test_malformed_rows(self, field: str, value: Any, kind: str, parse: Any) -> None:
        try:
            told = parse(bill(kind, "1.5", pnl="0.5", **SWAP) | {field: value})
        except ParseError:
            return
        assert all(each.amount.is_finite() for each in told)

    @pytest.mark.parametrize("change", ["x", "NaN", None, "1,5", 5])
    def test_a_change_that_is_no_number(self, change: Any) -> None:
        for parse in (read, funded):
            with pytest.raises(ParseError):
                parse(bill("7", "1") | {"balChg": change})


class TestRequests:
    @staticmethod
    def asked(requests: list[Request]) -> list[tuple[str, str, float]]:
        """Path, type, and begin in days before now, of the trading account's bills."""
        told = [(request.path.rpartition("/")[2], dict(request.params)) for request in requests[3:]]
        assert {each["limit"] for _, each in told} == {"100"}
        return [(path, each.get("type", ""), (NOW_MS - int(each["begin"]) - 1) / DAY_MS) for path, each in told]

    def test_at_first_the_usual_types_and_a_day_of_everything(self) -> None:
        old = [("bills-archive", kind, 89.0) for kind in bills.USUAL]
        assert self.asked(asking().transfers_requests(NOW_MS - 89 * DAY_MS)) == [*old, ("bills", "", 1.0)]

    def test_before_the_time_is_known_the_archive_has_it(self) -> None:
        assert {path for path, *_ in self.asked(account().transfers_requests(NOW_MS - 89 * DAY_MS))} == {
            "bills-archive"
        }

    def test_then_everything_since_it_was_read_to_its_end(self) -> None:
        api, since_ms = asking(), NOW_MS - 7 * DAY_MS
        everything = api.transfers_requests(since_ms)[-1]
        page = rows(*(bill("2", "1", billId=str(1000 - n)) for n in range(bills.PAGE)))
        api.parse_transfers(everything, page)
        assert len(api.transfers_requests(since_ms)) == 7  # there is another page
        following = api.next_page(everything, page)
        assert following is not None and dict(following.params)["after"] == "901"
        api.parse_transfers(following, rows(bill("2", "1")))
        [moved, rest] = self.asked(api.transfers_requests(since_ms))
        assert (moved, rest) == (("bills", "1", 7.0), ("bills", "", pytest.approx(1 / 24)))

    def test_rows_of_one_moment_on_two_pages(self) -> None:
        """The funding account's bills are continued by time: the last moment is asked again, but never for ever."""
        api = asking()
        funds = api.transfers_requests(NOW_MS)[2]
        following = api.next_page(funds, rows(*(bill("83", "1", ts=str(9999 - n)) for n in range(100))))
        assert dict(following.params)["after"] == "9901"
        same = api.next_page(following, rows(*(bill("83", "1", ts="9900") for _ in range(100))))
        assert dict(same.params)["after"] == "9900"
        with pytest.raises(ParseError):
            api.next_page(funds, rows(*(bill("83", "1", ts="x") for _ in range(100))))

    def test_what_is_not_understood_is_asked_again(self) -> None:
        api = asking()
        with pytest.raises(ParseError):
            api.parse_transfers(api.transfers_requests(NOW_MS - DAY_MS)[-1], rows(bill("7", "x")))
        assert len(api.transfers_requests(NOW_MS - DAY_MS)) == 7

    def test_after_a_long_sleep_the_archive_is_asked(self) -> None:
        api = asking(NOW_MS - 20 * DAY_MS)
        api.parse_transfers(api.transfers_requests(0)[-1], rows())
        api.sign(Request(path="/"), NOW_MS)
        assert self.asked(api.transfers_requests(0))[-1] == ("bills-archive", "", pytest.approx(20 + 1 / 24))


class TestElsewhere:
    def told(self, products: tuple[str, ...] = ("spot", "swap"), **row: str) -> list[Any]:
        api = account(products)
        session = api.session(api.routes()[0], None)
        events: list[Any] = session.parse(data("orders", ORDER | row))
        return events

    @pytest.mark.parametrize(
        ("kind", "native", "assets"),
        [
            ("FUTURES", "BTC-USDT-250328", ("BTC", "USDT")),
            ("FUTURES", "BTC-USD-250328", ("BTC", "USD", "USDT")),
            ("OPTION", "BTC-USD-250328-90000-C", ("BTC", "USD", "USDT")),
            ("SWAP", "BTC-USD-SWAP", ("BTC", "USD", "USDT")),
            ("FUTURES", "BTC-USD_UM_XPERP-310328", ()),
            ("EVENTS", "SOMETHING", ()),
        ],
    )
    def test_what_has_no_name_here(self, kind: str, native: str, assets: tuple[str, ...]) -> None:
        """It is named as ever, and the wallet is said to be changed; ``USDT`` is the fee's currency."""
        elsewhere, unknown = self.told(instType=kind, instId=native)
        assert elsewhere == TradedElsewhere(
            id=f"{native} 1518905529", what=f"{kind} {native}", assets=assets, exchange_ms=1746947317402
        )
        assert unknown == UnknownMarket(product=kind.lower(), native=native)

    def test_a_swap_that_may_be_listed_in_a_moment_is_read_by_rest(self) -> None:
        assert self.told(instId="NEW-USDT-SWAP") == [UnknownMarket(product="swap", native="NEW-USDT-SWAP")]

    def test_a_product_that_is_not_followed(self) -> None:
        [swap] = self.told(("spot",))
        assert isinstance(swap, TradedElsewhere) and swap.assets == ("USDT",)
        pair = {"instType": "SPOT", "instId": "BTC-USDC", "posSide": "", "fillFeeCcy": "BTC"}
        for kind in ("SPOT", "MARGIN"):
            [spot] = self.told(("swap",), **pair | {"instType": kind})
            assert isinstance(spot, TradedElsewhere) and spot.assets == ("BTC", "USDC")
        assert next(type(event) for event in self.told()) is Fill

    def test_an_order_without_an_execution_changed_nothing(self) -> None:
        for none in ({"tradeId": ""}, {"fillSz": "0"}):
            assert self.told(("spot",), **none) == []
            [named] = self.told(instType="OPTION", instId="BTC-USD-250328-90000-C", **none)
            assert isinstance(named, UnknownMarket)


def test_funding_while_it_trades() -> None:
    """Over sockets: every payment once, nothing that fills tell, nothing that is unexplained."""
    symbols = ("BTC/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
    others = (("USDT", "-0.5", "7/9"), ("BTC", "0.01", "27/318"), ("USDT", "0.125", "381/381"))
    lived = live_through("okx", "trading", symbols, others, payments=3)
    assert lived.funding() == lived.true_funding()
    assert {symbol for _, symbol, _, _ in lived.funding()} == set(symbols[1:])
    assert len({at_ms for *_, at_ms in lived.funding()}) >= 2
    assert lived.findings == [] and lived.state == LIVE
    assert len(lived.fills) == len(lived.traded) > 60
    assert lived.told_twice("trading") == {}
    named = {(each.kind, each.note): each.amount for each in lived.transfers if each.kind in ("interest", "other")}
    assert named == {
        ("interest", ""): D("-0.5"),
        ("other", "Convert"): D("0.01"),
        ("interest", "Auto earn"): D("0.125"),
    }
    recent = [each.asked.query for each in lived.asked if each.asked.path.endswith("account/bills")]
    assert [query for query in recent if "type=" not in query and "after=" in query], "more than a page"


DOCUMENTED = Documented(
    "okx",
    {
        f"Endpoints/UnifiedApi/{name}": "TestBills.test_the_documented_ones_are_trades"
        for name in below("Account", "GetBillHistory GetBillArchive")
    },
)
