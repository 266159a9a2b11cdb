"""LMEX's wallet histories: which rows are told, what they mean, page after page; and hours with funding."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench import hours
from feeds.account_domain import Transfer
from feeds.accounts.lmex import LmexAccount, wallet
from feeds.errors import ParseError
from feeds.simulator.lmex import Lmex
from feeds.simulator.lmex.rows import movement
from tests.feeds.hours_account import followed_for_hours
from tests.feeds.lmex_examples import NOW_MS, account, text

D = Decimal
DAY_MS = 86_400_000
SPOT_ROW = {
    "amount": 21.35823825, "currency": "USD", "description": "String", "fees": 0.06, "orderId": 20181213000239,
    "status": "COMPLETED", "timestamp": 1571630174639, "type": "Transfer_In", "username": "btseUser",
    "wallet": "@SPOT", "txid": "<Blockchain Transaction ID>", "currencyNetwork": "<Blockchain currency network>",
}  # fmt: skip
FUTURES_ROW = SPOT_ROW | {"status": 10, "type": 105, "wallet": "CROSS@", "fees": 0}


def spot(*rows: dict[str, Any]) -> list[Transfer]:
    return wallet.parse_transfers("spot", text(rows))


def futures(*rows: dict[str, Any]) -> list[Transfer]:
    return wallet.parse_transfers("futures", text(rows))


@pytest.mark.parametrize(
    ("type", "kind", "amount"),
    [
        ("Deposit", "deposit", "21.35823825"),
        ("Withdraw", "withdrawal", "-21.35823825"),
        ("Transfer_In", "internal", "21.35823825"),
        ("Transfer_Out", "internal", "-21.35823825"),
        ("Sub Account Transfer In", "internal", "21.35823825"),
        ("Sub Account Transfer Out", "internal", "-21.35823825"),
        ("ReferralEarning", "income", "21.35823825"),
        ("spot trading fee rebate", "income", "21.35823825"),
        ("futures trading fee rebate", "income", "21.35823825"),
        ("general trading fee rebate", "income", "21.35823825"),
        ("Strategy Income", "other", "21.35823825"),
        ("Strategy Pay", "other", "-21.35823825"),
        ("token voucher in", "other", "21.35823825"),
        ("token voucher out", "other", "-21.35823825"),
        ("express buy", "other", "21.35823825"),
        ("Convert fiat", None, None),  # which way it went, nobody says
        ("Trading Fee Stake Freeze", None, None),
        ("Trading Fee Stake Unfreeze", None, None),
        ("trial fund", None, None),
    ],
)
def test_every_documented_type_of_spot(type: str, kind: str | None, amount: str | None) -> None:
    told = spot(SPOT_ROW | {"type": type})
    if kind is None:
        assert told == []
        return
    [row] = told
    assert (row.kind, str(row.amount), row.fee, row.asset, row.symbol) == (kind, amount, D("0.06"), "USD", None)
    assert row.id == f"spot-20181213000239-{type}"
    assert row.note == ("" if type in ("Deposit", "Withdraw", "Transfer_In", "Transfer_Out") else type)
    assert row.exchange_ms == 1571630174639


@pytest.mark.parametrize(
    ("type", "kind", "note"),
    [
        (105, "internal", ""),
        (110, "funding", ""),
        (121, "other", "Asset Conversion"),
        (106, None, None),  # by fills
        (108, None, None),  # by fills
        (1, None, None),  # of the documented example; not in the table
    ],
)
def test_every_documented_type_of_futures(type: int, kind: str | None, note: str | None) -> None:
    told = futures(FUTURES_ROW | {"type": type, "amount": -5})
    assert [(row.kind, row.amount, row.note, row.product) for row in told] == (
        [(kind, D(-5), note, "futures")] if kind else []
    )


def test_both_legs_of_a_conversion_and_of_no_other_wallet() -> None:
    legs = [FUTURES_ROW | {"type": 121, "amount": amount, "currency": of} for amount, of in ((-1, "BTC"), (9, "USDT"))]
    assert len({(row.kind, row.id) for row in futures(*legs)}) == 2
    assert futures(FUTURES_ROW | {"type": 110, "wallet": "ISOLATED@BTC-PERP-USDT"}) == []


@pytest.mark.parametrize(
    "wrong",
    [
        *({"status": value} for value in ("LOST", None, 3, [])),
        *({"amount": value} for value in ("NaN", None, "x", "1e99")),
        *({"timestamp": value} for value in (-1, None, "soon")),
        *({"type": value} for value in (None, [])),
        *({"currency": value} for value in (None, 5)),
        *({"orderId": value} for value in (None, {})),
        {"fees": "Infinity"},
    ],
)
def test_what_cannot_be_understood_is_said(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParseError):
        spot(SPOT_ROW | {"type": "Deposit"} | wrong)
    with pytest.raises(ParseError):
        futures(FUTURES_ROW | wrong)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([SPOT_ROW, FUTURES_ROW]), st.data())
def test_only_parse_errors_come_out(row: dict[str, Any], data: st.DataObject) -> None:
    raw = json.dumps([row])
    at = data.draw(st.integers(0, len(raw) - 1))
    put = data.draw(st.sampled_from(['"', "{", "]", "null", "-1", "1e999", "NaN", "\x00", "é", "", '"x":']))
    broken = f"{raw[:at]}{put}{raw[at + data.draw(st.integers(0, 8)) :]}".encode()
    api = account()
    for request in api.transfers_requests(0):
        with contextlib.suppress(ParseError):
            api.parse_transfers(request, broken)
        with contextlib.suppress(ParseError):
            api.next_page(request, broken)


# Pages


class History:
    """Answers from rows at these times, as often as asked. ``newest``: the newest of a window first, else the oldest.
    ``bounds``: they belong to the window."""

    def __init__(self, times: Sequence[int], *, newest: bool, bounds: bool) -> None:
        self.times, self.newest, self.bounds = sorted(times), newest, bounds
        self.asked = 0

    def answer(self, params: dict[str, str]) -> bytes:
        self.asked += 1
        begin, end = int(params["startTime"]), int(params["endTime"])
        inside = [
            (n, ms) for n, ms in enumerate(self.times) if begin < ms < end or (self.bounds and ms in (begin, end))
        ]
        shown = (inside[::-1] if self.newest else inside)[: int(params["count"])]
        return text([FUTURES_ROW | {"type": 110, "orderId": n, "timestamp": ms, "amount": n} for n, ms in shown])


def read(api: LmexAccount, history: History, since_ms: int) -> set[str]:
    [request] = (each for each in api.transfers_requests(since_ms) if each.product == "futures")
    found: set[str] = set()
    page = request
    while page is not None:
        raw = history.answer(dict(page.params))
        found |= {row.id for row in api.parse_transfers(page, raw)}
        page = api.next_page(page, raw)
    return found


apart = st.integers(0, 10 * DAY_MS).map(lambda number: 4 * number)
"""Milliseconds ago. The narrowest window may hold three of them, and more rows than an answer has room for."""


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(apart, st.integers(1, 5)), max_size=60), st.booleans(), st.booleans())
@example([(0, 2), (1, 5)], False, False)
def test_every_row_is_read_whatever_the_order(at: list[tuple[int, int]], newest: bool, bounds: bool) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(wallet, "PAGE", 7)
        times = [NOW_MS - ago for ago, count in dict(at).items() for _ in range(count)]
        history = History(times, newest=newest, bounds=bounds)
        assert len(read(account(), history, NOW_MS - 41 * DAY_MS)) == len(times)


def test_more_in_one_moment_than_an_answer_holds_is_said() -> None:
    with pytest.raises(ParseError, match="no way to ask for more"):
        read(account(), History([NOW_MS - DAY_MS] * 501, newest=True, bounds=True), NOW_MS - 2 * DAY_MS)


def test_a_quiet_week_is_one_question_for_each_wallet() -> None:
    api, history = account(), History([NOW_MS - 1000], newest=True, bounds=True)
    assert len(read(api, history, NOW_MS - 7 * DAY_MS)) == history.asked == 1
    assert api.next_page(api.balances_requests()[0], b"[]") is None


# Hours over sockets

MARKETS = ("BTC/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT")


def test_hours_with_positions_and_fills(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every payment of funding is told once, what fills tell is not, and no balance is unexplained."""
    assert Lmex.terms is not None
    product = msgspec.structs.replace(Lmex.terms.products["futures"], funding_ms=300_000)
    products = {**Lmex.terms.products, "futures": product}
    monkeypatch.setattr(Lmex, "terms", msgspec.structs.replace(Lmex.terms, products=products))

    async def main() -> None:
        async with followed_for_hours("lmex", MARKETS) as here:
            await here.live()
            markets = here.markets("futures")
            for market, buy in zip(markets, (True, False), strict=True):
                here.trade(market, 40, buy=buy)
            for n in range(7):
                await asyncio.sleep(97)
                here.trade(markets[n % 2], 3, buy=n % 3 == 0)
                if n == 3:
                    here.account.desks["spot"].transfer("USDT", D("1.25"), "spot trading fee rebate")
                    here.account.desks["futures"].transfer("USDT", D("-0.75"), "121")
            await asyncio.sleep(340)
            moved = [row for row in here.account.movements if row.kind == "funding"]
            assert len(moved) >= 4 and len({row.ms // 1000 for row in moved}) >= 2 and all(row.amount for row in moved)
            assert sorted((row.exchange_ms, row.amount, row.asset) for row in here.told("funding")) == sorted(
                (row.ms, row.amount, row.asset) for row in moved
            )
            assert {row.id for row in here.told("funding")} == {f"futures-{row.id}-110" for row in moved}
            assert [(row.kind, row.product, row.amount) for row in here.told("income") + here.told("other")] == [
                ("income", "spot", D("1.25")),
                ("other", "futures", D("-0.75")),
            ]
            realised = [fill for fill in here.account.fills if fill.realised]
            assert realised, "or it would not be known that they are not told twice"
            opened = [row for row in here.account.movements if row.kind != "funding"]
            assert len(here.transfers) == len(moved) + len(opened)
            assert len(here.here.store.fills[1]) == len(here.account.fills)
            assert here.findings == []

    hours.run(main())


def test_the_simulator_tells_them_as_documented() -> None:
    """Its rows have the documented fields, no more and no fewer."""

    async def main() -> None:
        async with followed_for_hours("lmex", MARKETS) as here:
            [row, *_] = here.account.movements
            assert set(movement(row)) | {"currencyNetwork"} == set(FUTURES_ROW)

    hours.run(main())
