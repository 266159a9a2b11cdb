"""What changes an Alpaca account beside fills: the documented bookings of every type, pages, and the simulator's over
real sockets."""

import asyncio
import contextlib
from decimal import Decimal
from typing import Any

import ccxt.async_support as ccxt
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import hours
from bench.ccxt_clients import client as client_of
from bench.limits_world import world as hours_world
from feeds.account_domain import Transfer
from feeds.accounts.alpaca import bookings
from feeds.errors import ParseError
from feeds.exchange import Request
from feeds.following.polls import TRANSFERS_S
from feeds.simulator import endpoints
from feeds.simulator.alpaca import rows
from feeds.simulator.alpaca.terms import TERMS
from feeds.simulator.control import execute_once
from tests.feeds.alpaca_examples import account, changed, listed
from tests.feeds.simulator_help import simulator
from tests.feeds.test_simulator_alpaca import FEW
from tests.feeds.test_simulator_alpaca_account import ask

D = Decimal
API = account()
[REQUEST] = API.transfers_requests(0)

DIV = b"""{"activity_type": "DIV", "id": "20190801011955195::5f596936-6f23-4cef-bdf1-3806aae57dbf",
 "date": "2019-08-01", "net_amount": "1.02", "symbol": "T", "cusip": "C00206R102", "qty": "2",
 "per_share_amount": "0.51"}"""
"""As the page of the account's activities prints it."""


def parsed(*booked: bytes) -> list[Transfer]:
    return API.parse_transfers(REQUEST, listed(*booked))


def booking(kind: str, net_amount: str = "0", qty: str = "0", symbol: str | None = None, **more: Any) -> bytes:
    """As the older list writes what the stream's samples tell."""
    row = {"id": f"20260115090000000::{kind}", "activity_type": kind, "date": "2026-01-15", "net_amount": net_amount}
    row |= {"qty": qty, "price": "0", "status": "executed", "currency": "USD", "description": ""}
    return msgspec.json.encode(row | ({} if symbol is None else {"symbol": symbol}) | more)


def test_the_documented_dividend() -> None:
    """Two shares were paid for, and stay as many."""
    [told] = parsed(DIV)
    assert told == Transfer(
        product="account",
        id="20190801011955195::5f596936-6f23-4cef-bdf1-3806aae57dbf",
        kind="income",
        asset="USD",
        amount=D("1.02"),
        symbol="T.US/USD",
        note="DIV",
        exchange_ms=1_564_703_999_999,  # the end of that day
    )


KINDS = {
    "deposit": "CSD ACATC FOPT CSR",
    "internal": "JNL JNLC",
    "fee": "FEE CFEE DIVFEE PTC",
    "interest": "INT INTNRA INTTW",
    "income": "CGD DIV DIVCGL DIVCGS DIVFT DIVNRA DIVROC DIVTW DIVTXEX DIVWH PTR",
    "other": "MA NC REO REORG SPIN SPLIT VOF SC SSO SSP FIMAT MEM OPASN OPEXC OPEXP OPXRC OPTRD OPCSH OPCA WH SUB "
    "ALLOC CORR DTCS DVF ECEXP EXTRD FXCNV FXTRD INVPNL SEG SOMETHING_NEW",
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in KINDS.items() for name in names.split()])
def test_every_type_moves_cash_by_its_sign(kind: str, name: str) -> None:
    booked = booking(name, "3.25"), booking(name, "-3.25", id="2", status="canceled", activity_sub_type="ABC")
    came, went = parsed(*booked)
    assert (came.kind, came.asset, came.amount, came.status) == (kind, "USD", D("3.25"), "done")
    assert (went.kind, went.amount, went.status) == ("withdrawal" if kind == "deposit" else kind, D("-3.25"), "failed")
    plain = kind == "deposit" or name == "JNLC"
    assert (came.note, went.note) == (("", "") if plain else (name, f"{name} ABC"))
    assert parsed(booking(name)) == []


def test_samples_of_cash() -> None:
    """Of the documentation of the newer stream, which says what the older list calls alike."""
    told = parsed(
        booking("DIV", "28.25", symbol="AAPL", activity_sub_type="CDIV", created_at="2026-05-19T16:00:00Z"),
        booking("DIVNRA", "-8.47", symbol="AAPL"),
        booking("INT", "-3.01", activity_sub_type="MGN"),
        booking("FEE", "-0.01", activity_sub_type="TAF"),
        booking("JNLC", "-4.81"),
        booking("DIV", "-0.03", symbol="ULTY", activity_sub_type="SPD", currency="", date="2025-10-17T00:00:00Z"),
        booking("CSW", "-7", status="pending"),
    )
    assert [(t.kind, t.asset, t.amount, t.symbol, t.note) for t in told] == [
        ("income", "USD", D("28.25"), "AAPL.US/USD", "DIV CDIV"),
        ("income", "USD", D("-8.47"), "AAPL.US/USD", "DIVNRA"),
        ("interest", "USD", D("-3.01"), None, "INT MGN"),
        ("fee", "USD", D("-0.01"), None, "FEE TAF"),
        ("internal", "USD", D("-4.81"), None, ""),
        ("income", "USD", D("-0.03"), "ULTY.US/USD", "DIV SPD"),
        ("withdrawal", "USD", D(-7), None, ""),
    ]
    assert [t.exchange_ms for t in told[:2]] == [1_779_206_400_000, 1_768_521_599_999]
    assert [t.status for t in told[-2:]] == ["done", "pending"]


def test_samples_of_shares() -> None:
    """Out with the old, in with the new. What has no share's name moves nothing that is shown."""
    told = parsed(
        booking("SPLIT", "0", "-0.54796447", "AAPL", id="1", activity_sub_type="FSPLIT"),
        booking("SPLIT", "0", "0.821946705", "AAPL", id="2", activity_sub_type="FSPLIT"),
        booking("SPIN", "0", "0.2", "RNA", id="3"),
        booking("NC", "0", "-7.30762391", "RNA", id="4", activity_sub_type="SNC"),
        booking("DIV", "0", "0.002709921", "LTC", id="5", activity_sub_type="SDIV"),  # the company, not the coin
        booking("JNLS", "0", "0.00911", "AAPL", id="6"),
        booking("ACATS", "0", "4", "AAPL", id="7"),
        booking("MA", "8.29", "0", "OLD", id="8", activity_sub_type="SCMA"),
        booking("MA", "0", "-0.394803871", "OLD", id="9", activity_sub_type="SCMA"),
        booking("REORG", "0", "-200", "CLNNW", id="10", activity_sub_type="WRM"),
        booking("OPASN", "0", "14", "F260109C00006000", id="11"),
        booking("SPLIT", "0", "-8", "BTCUSD", id="12"),
        booking("DIV", "0", "2", "AAPL", id="13"),  # shares that were paid for, nothing
    )
    assert [(t.kind, t.asset, str(t.amount), t.id, t.note) for t in told] == [
        ("other", "AAPL.US", "-0.54796447", "1/AAPL.US", "SPLIT FSPLIT"),
        ("other", "AAPL.US", "0.821946705", "2/AAPL.US", "SPLIT FSPLIT"),
        ("other", "RNA.US", "0.2", "3/RNA.US", "SPIN"),
        ("other", "RNA.US", "-7.30762391", "4/RNA.US", "NC SNC"),
        ("income", "LTC.US", "0.002709921", "5/LTC.US", "DIV SDIV"),
        ("internal", "AAPL.US", "0.00911", "6/AAPL.US", ""),
        ("deposit", "AAPL.US", "4", "7/AAPL.US", ""),
        ("other", "USD", "8.29", "8", "MA SCMA"),
        ("other", "OLD.US", "-0.394803871", "9/OLD.US", "MA SCMA"),
        ("other", "CLNNW.US", "-200", "10/CLNNW.US", "REORG WRM"),
    ]
    both = parsed(booking("FOPT", "5", "3", "AAPL", id="1"))
    assert [(t.asset, t.amount) for t in both] == [("USD", 5), ("AAPL.US", 3)] and len({t.id for t in both}) == 2


BROKEN = {
    "id": [None, 5, ...],
    "activity_type": [None, [], ...],
    "date": [None, "", "yesterday", "2019-02-30", 20190801, ...],
    "net_amount": ["NaN", "1e99", "", "x", None, {}],
    "qty": ["Infinity", "", [1]],
    "created_at": ["2019-08-01", "now", 5],
    "symbol": [5, ["T"]],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BROKEN.items() for value in values])
def test_a_row_that_is_none(name: str, value: Any) -> None:
    row = msgspec.json.decode(DIV)
    if value is ...:
        del row[name]
    else:
        row[name] = value
    with pytest.raises(ParseError):
        parsed(msgspec.json.encode(row))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_only_parse_errors_come_out_of_damaged_bytes(data: st.DataObject) -> None:
    raw = bytearray(listed(DIV, booking("SPLIT", "0", "-1", "AAPL"), booking("CFEE", "0", "-1", "BTCUSD")))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ParseError):
        API.parse_transfers(REQUEST, bytes(raw))
    with contextlib.suppress(ParseError):
        API.next_page(REQUEST, bytes(raw))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(2, 9), st.booleans())
def test_all_rows_come_whatever_the_pages_and_equal_times(times: list[int], size: int, leaky: bool) -> None:
    """``leaky``: a page token leaves out the other rows of its millisecond, as has been seen."""
    most = max(times.count(each) for each in times)
    if leaky and most >= size:
        return  # a page of one moment: there is no way
    ids = sorted(f"{20260115090000000 + ms}::{n:04}" for n, ms in enumerate(times))
    told: set[str] = set()
    request: Request | None = REQUEST
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bookings, "PAGE", size)
        for _ in range(200):
            if request is None:
                break
            token = dict(request.params).get("page_token", "")
            at = token.partition("::")[0]
            found = [id for id in ids if id > token and not (leaky and id.startswith(f"{at}::"))][:size]
            raw = listed(*(changed(DIV, id=id) for id in found))
            told |= {t.id for t in API.parse_transfers(request, raw)}
            request = API.next_page(request, raw)
    assert request is None and told == set(ids)


# -- the simulated exchange ------------------------------------------------------------------------------------------


async def test_what_the_simulated_exchange_tells() -> None:
    async with simulator(instruments=FEW) as client:
        wanted = {"exchange": "alpaca", "account": "test", "product": "crypto", "symbol": "BTC/USD"}
        await client.post("/__sim/fills", wanted | {"count": 3, "per_s": 1e6, "wait": True})
        body = {"exchange": "alpaca", "account": "test", "product": "crypto", "asset": "USD"}
        await client.post("/__sim/transfer", body | {"amount": "-2.5", "name": "INT MGN"})
        await client.post("/__sim/transfer", body | {"asset": "BTC", "amount": "-0.001", "name": "CFEE"})
        path = "/v2/account/activities"
        _, all_rows = await ask(client, "GET", path)
        _, fills = await ask(client, "GET", path, params={"category": "trade_activity"})
        _, booked = await ask(client, "GET", path, params={"category": "non_trade_activity", "direction": "asc"})
        assert sorted(r["id"] for r in all_rows) == sorted(r["id"] for r in [*fills, *booked])
        assert {r["activity_type"] for r in fills} == {"FILL"} and len(fills) == 3
        interest, fee = sorted(booked[-2:], key=lambda row: str(row["activity_type"]), reverse=True)
        assert (interest["activity_type"], interest["activity_sub_type"]) == ("INT", "MGN")
        assert interest["net_amount"] == "-2.5" and "symbol" not in interest
        assert (fee["activity_type"], fee["net_amount"], fee["symbol"]) == ("CFEE", "0", "BTCUSD")
        assert fee["qty"] == "-0.001"
        both = {"category": "trade_activity", "activity_types": "DIV"}
        assert (await ask(client, "GET", path, params=both))[0] == 422
        assert (await ask(client, "GET", f"{path}/INT"))[1] == [interest]
        # ccxt has no name for this list: its signature, and our reading
        urls = endpoints("127.0.0.1", client.server.port)["alpaca"]
        other = client_of(ccxt.alpaca, urls, TERMS.keys.test)
        try:
            seen = await other.traderPrivateGetV2AccountActivities({"category": "non_trade_activity"})
        finally:
            await other.close()
        told = parsed(*(msgspec.json.encode(row) for row in seen))
        assert [(t.kind, t.asset, t.amount) for t in told if t.kind in ("interest", "fee")] == [
            (kind, asset, amount)
            for id, kind, asset, amount in sorted(
                [(interest["id"], "interest", "USD", D("-2.5")), (fee["id"], "fee", "BTC", D("-0.001"))], reverse=True
            )
        ]


def test_every_booking_is_stored_once_and_nothing_is_unexplained(monkeypatch: pytest.MonkeyPatch) -> None:
    """With fills before and after, answers of many pages; minutes that pass as quickly as they can. Each booking is
    told when the balance that it changed is not understood without, long before the next time of asking."""
    monkeypatch.setattr(bookings, "PAGE", 3)

    async def main() -> None:
        async with hours_world(["alpaca"], trader=False) as here:
            true = here.server.accounts["alpaca"].by_name["demo"]
            coins, shares = true.desks["crypto"], true.desks["stocks"]
            for desk, asset, amount in ((shares, "AAPL", "10"), (shares, "USD", "5")):
                desk.transfer(asset, D(amount), "JNLS" if asset == "AAPL" else "")
            market = here.server.market.markets["alpaca", "crypto", "BTC/USD"]
            for n in range(4):
                execute_once(coins, market, buy=n % 2 == 0)
            begun_s = here.clock.monotonic_s()
            await here.follow("alpaca", 1)
            await asyncio.sleep(40)
            booked = [
                (coins, "USD", "12.25", "DIV CDIV"),
                (coins, "USD", "-1.84", "DIVNRA"),
                (coins, "USD", "-3.01", "INT MGN"),
                (shares, "AAPL", "-10", "SPLIT FSPLIT"),
                (shares, "AAPL", "15", "SPLIT FSPLIT"),
                (coins, "BTC", "-0.0001", "CFEE"),
                (coins, "USD", "-0.02", "FEE TAF"),
            ]
            for desk, asset, amount, name in booked:
                desk.transfer(asset, D(amount), name)
                await asyncio.sleep(20)
            for n in range(4):
                execute_once(coins, market, buy=n % 2 == 0)
            await asyncio.sleep(40)
            kept = here.store.transfers[1].values()
            moved = {t.id.partition("/")[0]: t for t in kept}
            told_of = [each for each in true.movements if each.asset == "USD" or each.name]  # no coins deposited
            assert len(moved) == len(kept) == len(told_of)
            for each in told_of:
                told = moved[rows.activity_id("money", each.id, each.ms)]
                share = each.wallet == "stocks" and each.asset != "USD"
                assert (told.asset, told.amount) == (f"{each.asset}.US" if share else each.asset, each.amount)
                assert told.exchange_ms == each.ms and told.note == ("" if each.name in ("", "JNLS") else each.name)
            assert (here.store.findings, here.store.rewritten) == ({}, {})
            assert len(here.store.fills[1]) == len(true.fills) == 8
            asked = [r for r in here.received if "category=non_trade" in r.asked.query]
            assert sum("page_token" in r.asked.query for r in asked) > 5
            assert here.clock.monotonic_s() - begun_s < TRANSFERS_S

    hours.run(main())
