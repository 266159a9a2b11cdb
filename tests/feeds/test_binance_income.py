"""What Binance's futures wallet gets and pays beside fills: documented rows, what is asked, and the simulator's over
real sockets in virtual time, through several fundings."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import hours
from bench.ccxt_clients import BinanceUsdm
from bench.ccxt_clients import client as client_of
from bench.limits_world import World
from bench.limits_world import world as hours_world
from feeds.account_domain import Transfer
from feeds.accounts.binance import income
from feeds.errors import ParseError
from feeds.exchange import Request
from feeds.simulator import endpoints
from feeds.simulator.binance import Binance
from feeds.simulator.binance.terms import TERMS
from feeds.simulator.keys import BINANCE_KEYS
from tests.documented import Documented
from tests.feeds.binance_examples import NOW_MS, account, answer
from tests.feeds.simulator_help import simulator

D = Decimal
DAY_MS = 86_400_000
ALONE = ("usdm",)


def row(kind: str, amount: str = "-0.5", **more: Any) -> dict[str, Any]:
    given = {"symbol": "", "incomeType": kind, "income": amount, "asset": "USDT", "info": kind, "time": NOW_MS}
    return {**given, "tranId": 9689322392, "tradeId": "", **more}


def parsed(*rows: dict[str, Any], products: tuple[str, ...] = ALONE) -> list[Transfer]:
    api = account(products=products)
    return api.parse_transfers(api.transfers_requests(0)[-1], msgspec.json.encode(rows))


def test_the_documented_rows() -> None:
    api = account(products=ALONE)
    raw = answer("UsdFutures/Account/GetIncomeHistory")
    [told] = api.parse_transfers(api.transfers_requests(0)[0], raw)
    assert told == Transfer(  # and no commission: its fill tells it
        product="usdm",
        id="TRANSFER/9689322392/USDT",
        kind="internal",
        asset="USDT",
        amount=D("-0.375"),
        exchange_ms=1570608000000,
    )
    other = raw.replace(b'"incomeType": "COMMISSION"', b'"incomeType": "API_REBATE"')
    assert api.parse_transfers(api.transfers_requests(0)[0], other)[1:] == [
        Transfer(
            product="usdm",
            id="API_REBATE/9689322392/BTCUSDT/USDT",
            kind="income",
            asset="USDT",
            amount=D("-0.01"),
            symbol="BTC/USDT:USDT",
            note="API_REBATE",
            exchange_ms=1570636800000,
        )
    ]


KINDS = {
    "funding": "FUNDING_FEE SPECIAL_FUNDING_FEE",
    "internal": "TRANSFER CROSS_COLLATERAL_TRANSFER STRATEGY_UMFUTURES_TRANSFER",
    "income": "WELCOME_BONUS REFERRAL_KICKBACK COMMISSION_REBATE API_REBATE CONTEST_REWARD FEE_RETURN BFUSD_REWARD",
    "fee": "POSITION_LIMIT_INCREASE_FEE",
    "other": "INSURANCE_CLEAR OPTIONS_PREMIUM_FEE OPTIONS_SETTLE_PROFIT INTERNAL_TRANSFER AUTO_EXCHANGE "
    "DELIVERED_SETTELMENT COIN_SWAP_DEPOSIT COIN_SWAP_WITHDRAW SOMETHING_NEW",
    "": "REALIZED_PNL COMMISSION",
}
"""All that are documented, and one that is not."""


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in KINDS.items() for name in names.split()])
def test_every_kind(kind: str, name: str) -> None:
    told = parsed(row(name, "-1.25"))
    plain = name in ("FUNDING_FEE", "TRANSFER")
    expected = [(kind, D("-1.25"), "" if plain else name)] if kind else []
    assert [(each.kind, each.amount, each.note) for each in told] == expected


def test_what_comes_from_the_spot_wallet_is_no_money_from_outside() -> None:
    [told] = parsed(row("TRANSFER", "100"), products=("spot", "usdm"))
    assert (told.kind, told.amount, told.note, told.product) == ("other", 100, "TRANSFER", "usdm")


def test_funding_names_its_market() -> None:
    rows = [row("FUNDING_FEE", amount, symbol=s, tranId=n) for amount, s, n in [("-1", "BTCUSDT", 1), ("2", "NEW", 2)]]
    assert [(t.symbol, t.amount) for t in parsed(*rows)] == [("BTC/USDT:USDT", -1), ("NEW@usdm", 2)]


def test_ids_are_unique_and_stable() -> None:
    """Even where Binance's are not: transfers with the id 0, both sides of an exchange, a number or text."""
    rows = [
        row("TRANSFER", "5", tranId=0),
        row("TRANSFER", "6", tranId=0),
        row("TRANSFER", "5", tranId=0, time=NOW_MS + 1),
        row("AUTO_EXCHANGE", "-5"),
        row("AUTO_EXCHANGE", "5", asset="BNFCR"),
        row("FUNDING_FEE", symbol="BTCUSDT"),
        row("FUNDING_FEE", symbol="ETHUSDT"),
    ]
    ids = [(t.kind, t.id) for t in parsed(*rows)]
    assert len(set(ids)) == len(ids)
    texts = [each | {"tranId": str(each["tranId"]), "income": f"{D(each['income']):.8f}"} for each in rows]
    assert [(t.kind, t.id) for t in parsed(*texts)] == ids


def asked(requests: Sequence[Request]) -> list[tuple[str, int, int | None]]:
    """Kind, beginning and end in days before now."""
    found = []
    for request in requests:
        params = dict(request.params)
        assert (request.path, request.weight, params["limit"]) == ("/fapi/v1/income", 30, "1000")
        begin, end = (None if (t := params.get(n)) is None else NOW_MS - int(t) for n in ("startTime", "endTime"))
        assert begin is not None
        found.append((params.get("incomeType", ""), begin // DAY_MS, None if end is None else end // DAY_MS))
    return found


def test_what_is_asked() -> None:
    api = account(products=ALONE)
    assert asked(api.transfers_requests(NOW_MS - 7 * DAY_MS)) == [("", 7, None), ("FUNDING_FEE", 7, None)]
    api.parse_time("usdm", b'{"serverTime":%d}' % NOW_MS)
    since_ms = NOW_MS - 89 * DAY_MS
    first = api.transfers_requests(since_ms)
    assert asked(first) == [("", 1, None), ("FUNDING_FEE", 89, None)]
    late = msgspec.json.encode([row("COMMISSION", time=NOW_MS - 3_600_000)])
    api.parse_transfers(first[1], late)
    assert api.transfers_requests(since_ms) == first
    api.parse_transfers(first[0], late)
    for older in [
        ("TRANSFER", 89, None),
        ("", 3, 1),
        ("", 7, 3),
        ("", 15, 7),
        ("", 31, 15),
        ("", 63, 31),
        ("", 89, 63),
    ]:
        requests = api.transfers_requests(since_ms)
        assert asked(requests[1:]) == [("FUNDING_FEE", 89, None), older]
        assert api.transfers_requests(since_ms) == requests  # to ask changes nothing
        for request in requests:
            assert api.next_page(request, late) is None
            api.parse_transfers(request, late)
    all_kinds, funding = api.transfers_requests(since_ms)
    assert dict(all_kinds.params)["startTime"] == str(NOW_MS - 3_600_000 - income.OVERLAP_MS)
    assert asked([funding]) == [("FUNDING_FEE", 89, None)]
    api.parse_transfers(all_kinds, msgspec.json.encode([row("TRANSFER", time=2**52)]))  # a time that cannot be
    assert dict(api.transfers_requests(since_ms)[0].params)["startTime"] == str(NOW_MS - income.OVERLAP_MS)


def test_pages_go_on_by_time() -> None:
    api = account(products=ALONE)
    every, request = api.transfers_requests(NOW_MS)
    rows = [row("FUNDING_FEE", time=NOW_MS + n // 2, tranId=n) for n in range(4)]
    with patch.object(income, "PAGE", 4):
        page = api.next_page(request, msgspec.json.encode(rows))
        assert page is not None
        assert dict(page.params) == {**dict(request.params), "startTime": str(NOW_MS + 1)}
        with pytest.raises(ParseError, match="one moment"):
            api.next_page(page, swept := msgspec.json.encode([each | {"time": NOW_MS + 1} for each in rows]))
        page = api.next_page(every, swept)
        assert page is not None and dict(page.params)["startTime"] == str(NOW_MS + 1)
        page = api.next_page(page, swept)  # of an order that took much
        assert page is not None and dict(page.params)["startTime"] == str(NOW_MS + 2)
        assert api.next_page(page, msgspec.json.encode(rows[1:])) is None


@given(st.data())
def test_broken_rows_raise_nothing_but_parse_errors(data: st.DataObject) -> None:
    api = account(products=ALONE)
    request = api.transfers_requests(NOW_MS)[0]
    raw = bytearray(answer("UsdFutures/Account/GetIncomeHistory"))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ParseError):
        api.parse_transfers(request, bytes(raw))
    with contextlib.suppress(ParseError):
        api.next_page(request, bytes(raw))


@pytest.mark.parametrize("name", ["incomeType", "income", "asset", "time", "tranId"])
@pytest.mark.parametrize("value", [None, [], {}, True, "NaN", -1, 2**60, ...])
def test_a_row_that_is_none(name: str, value: Any) -> None:
    broken = {key: text for key, text in row("FUNDING_FEE").items() if key != name}
    if value is not ...:
        broken[name] = value
    good = (isinstance(value, str) and name not in ("income", "time")) or (
        type(value) is int and (name == "tranId" or (name == "income"))
    )
    with contextlib.nullcontext() if good else pytest.raises(ParseError):
        parsed(broken)


# -- the simulated exchange ------------------------------------------------------------------------------------------

EVERY_MS = 120_000
"""Of funding here, instead of eight hours: so that several come in a few minutes."""
SYMBOLS = ("BTC/USDT", "ETH/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")


@contextlib.asynccontextmanager
async def funded_world() -> AsyncIterator[World]:
    usdm = msgspec.structs.replace(TERMS.products["usdm"], funding_ms=EVERY_MS)
    terms = msgspec.structs.replace(TERMS, products={**TERMS.products, "usdm": usdm})
    with patch.object(Binance, "terms", terms):
        async with hours_world(["binance"], symbols=SYMBOLS) as here:
            yield here


def test_every_funding_is_stored_once_and_nothing_is_unexplained() -> None:
    """Through three of them, with positions in three contracts, the demo trader at work, and answers of many pages."""

    async def main() -> None:
        async with funded_world() as here:
            true = here.server.accounts["binance"].by_name["demo"]
            desk = true.desks["usdm"]
            for n, market in enumerate(m for m in here.server.market.of("binance", "usdm").values()):
                desk.place(market, buy=n % 2 == 0, size=40, type="MARKET", time_in_force="IOC")
            await here.follow("binance", 1)
            await asyncio.sleep(3 * EVERY_MS / 1000)
            desk.transfer("USDT", D("-12.5"), "INSURANCE_CLEAR")
            true.desks["spot"].transfer("USDT", D("77"))
            await asyncio.sleep(60)
            here.server.traders["binance"].paused = True
            since_ms = here.clock.now_ms() % EVERY_MS  # the end must not be just after a funding
            await asyncio.sleep(100 if 50_000 <= since_ms <= 95_000 else 60)
            paid = [each for each in true.movements if each.kind == "funding"]
            assert len({each.ms // EVERY_MS for each in paid}) >= 3
            assert len({each.market for each in paid}) == 3
            kept = here.store.transfers[1]
            fundings = [t for t in kept.values() if t.kind == "funding"]
            assert sorted((t.exchange_ms, t.symbol, t.amount, t.asset, t.product) for t in fundings) == sorted(
                (each.ms, each.market.instrument.symbol, each.amount, "USDT", "usdm")
                for each in paid
                if each.market is not None
            )
            others = {(t.kind, t.note, t.amount) for t in kept.values() if t.product == "usdm" and t.kind != "funding"}
            begun = [each for each in true.movements if each.kind == "deposit" and each.wallet == "usdm"]
            assert others == {("other", "TRANSFER", each.amount) for each in begun if each.amount > 0} | {
                ("other", "TRANSFER", D(-750)),
                ("other", "INSURANCE_CLEAR", D("-12.5")),
            }
            assert (here.store.findings, here.store.rewritten) == ({}, {})
            fills = [fill for fill in here.store.fills[1].values() if fill.product == "usdm"]
            assert len(fills) == len(desk.fills) > 20
            # once: what fills and transfers tell is what the wallet has
            told = sum((t.amount for t in kept.values() if t.product == "usdm"), D(0))
            told += sum(((fill.realised or D(0)) - (fill.fee or D(0)) for fill in fills), D(0))
            assert told == desk.futures.balance == here.store.balances[1]["usdm", "USDT"].total
            times = [r.at_s for r in here.received if "incomeType=FUNDING_FEE" in r.asked.query]
            assert min(after - before for before, after in itertools.pairwise(times)) < 1  # page after page

    with patch.object(income, "PAGE", 8), patch.object(income, "OVERLAP_MS", 60_000):
        hours.run(main())


async def test_ccxt_reads_the_same_ledger() -> None:
    """Only addresses are overridden."""
    async with simulator() as client:
        wanted = {"account": "test", "product": "usdm", "symbol": "BTCUSDT", "count": 3, "per_s": 1e6, "wait": True}
        await client.post("/__sim/fills", wanted)
        await client.post("/__sim/funding", {"account": "test"})
        await client.post(
            "/__sim/transfer",
            {"account": "test", "product": "usdm", "asset": "USDT", "amount": "3.5", "name": "REFERRAL_KICKBACK"},
        )
        status, rows = await client.signed("GET", "/binance/fapi/v1/income", {"startTime": 0, "limit": 1000})
        assert status == 200
        told = parsed(*rows)
        other = client_of(BinanceUsdm, endpoints("127.0.0.1", client.server.port)["binance"], BINANCE_KEYS.test)
        try:
            fundings = await other.fetch_funding_history()
            ours = [t for t in told if t.kind == "funding"]
            assert [(f["symbol"], f["timestamp"], D(str(f["amount"]))) for f in fundings] == [
                (t.symbol, t.exchange_ms, t.amount) for t in ours
            ]
            assert len(ours) == 1
            entries = await other.fetch_ledger("USDT", since=1, limit=1000)
            signed = [(e["timestamp"], D(str(e["amount"])) * (1 if e["direction"] == "in" else -1)) for e in entries]
            left = [each for each, e in zip(signed, entries, strict=True) if e["type"] not in ("commission", "trade")]
            assert sorted(left) == sorted((t.exchange_ms, t.amount) for t in told)
            assert {e["type"] for e in entries} >= {"commission", "trade", "transfer", "fee", "referral"}
        finally:
            await other.close()


async def test_what_the_simulated_exchange_tells() -> None:
    async with simulator() as client:
        wanted = {"account": "test", "product": "usdm", "symbol": "BTCUSDT", "count": 4, "per_s": 1e6, "wait": True}
        await client.post("/__sim/fills", wanted)

        async def ask(**params: Any) -> list[dict[str, Any]]:
            status, body = await client.signed("GET", "/binance/fapi/v1/income", params)
            assert status == 200, body
            return list(body)

        fees = await ask(incomeType="COMMISSION", symbol="BTCUSDT")
        fills = client.server.accounts["binance"].by_name["test"].desks["usdm"].fills
        assert [(r["tradeId"], D(r["income"]), r["time"]) for r in fees] == [(str(f.id), -f.fee, f.ms) for f in fills]
        assert await ask(incomeType="COMMISSION", symbol="ETHUSDT") == []
        assert await ask(incomeType="FUNDING_FEE") == []
        assert await ask(limit=2) == (await ask(limit=1000))[-2:]
        everything = await ask(startTime=1, limit=1000)
        assert await ask(startTime=1, limit=2) == everything[:2]
        assert [r["incomeType"] for r in everything][:2] == ["TRANSFER", "TRANSFER"]
        cut = everything[1]["time"]
        assert await ask(startTime=1, endTime=cut, limit=1000) == [r for r in everything if r["time"] <= cut]


DOCUMENTED = Documented(
    "binance",
    {"Endpoints/UsdFutures/Account/GetIncomeHistory.txt": "test_the_documented_rows"},
)
