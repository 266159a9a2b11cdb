"""Kraken's ledger: what its entries mean, page after page; an hour with rewards and fills; ccxt reads the same."""

import asyncio
import json
from decimal import Decimal

import ccxt.async_support as ccxt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import hours
from bench.ccxt_accounts import own_key
from bench.ccxt_clients import client as client_of
from feeds.accounts.kraken import KrakenAccount, ledger
from feeds.errors import ParseError
from feeds.simulator import endpoints
from tests.feeds.hours_account import followed_for_hours
from tests.feeds.kraken_account import account, followed
from tests.feeds.simulator_help import simulator

D = Decimal
TRADE = {
    "refid": "TJKLXF-PGMUI-4NTLXU", "time": 1688464484.1787, "type": "trade", "subtype": "", "aclass": "currency",
    "asset": "ZGBP", "amount": "-24.5000", "fee": "0.0490", "balance": "459567.9171",
}  # fmt: skip
"""The documented example."""


def raw(entries, count=None):
    told = {"ledger": entries} | ({} if count is None else {"count": count})
    return json.dumps({"error": [], "result": told}).encode()


def told(**changed):
    return ledger.Ledger().parse(ledger.Ledger().request(0), raw({"L4UESK-KG3EQ-UFO4T5": TRADE | changed}))


@pytest.mark.parametrize(
    ("type", "subtype", "kind", "note"),
    [
        *((type, "", None, "") for type in ("trade", "deposit", "withdrawal")),
        ("margin", "", "income", "margin"),
        ("rollover", "", "interest", "rollover"),
        ("staking", "", "income", "staking"),
        ("reward", "", "income", "reward"),
        ("dividend", "", "income", "dividend"),
        ("nftrebate", "", "income", "nftrebate"),
        ("earn", "reward", "income", "earn reward"),
        ("earn", "allocation", "other", "earn allocation"),
        *((type, "", "other", type) for type in ("adjustment", "settled", "spend", "receive", "credit", "conversion")),
        *((type, "", "other", type) for type in ("sale", "nfttrade", "nftcreatorfee", "none", "of tomorrow")),
    ],
)
def test_every_type(type, subtype, kind, note):
    """Amounts are less their fee: the balance is old + amount - fee."""
    rows = told(type=type, subtype=subtype)
    assert [(row.kind, row.note, row.amount, row.fee, row.asset) for row in rows] == (
        [(kind, note, D("-24.5490"), None, "GBP")] if kind else []
    )
    assert all((row.id, row.exchange_ms, row.symbol) == ("L4UESK-KG3EQ-UFO4T5", 1688464484178, None) for row in rows)


@pytest.mark.parametrize(
    ("type", "subtype", "note"),
    [("transfer", "spottofutures", "spottofutures"), ("transfer", "", ""), ("custodytransfer", "", "custodytransfer")],
)
def test_between_own_wallets(type, subtype, note):
    [row] = told(type=type, subtype=subtype)
    assert (row.kind, row.amount, row.fee, row.note) == ("internal", D("-24.5000"), D("0.0490"), note)


def test_what_a_position_costs_may_be_a_fee_alone():
    [row] = told(type="rollover", amount="0.0000", fee="0.0031", asset="XXBT")
    assert (row.kind, row.amount, row.asset) == ("interest", D("-0.0031"), "BTC")
    assert told(type="rollover", amount="0.0000", fee="0.0000") == []
    assert told(type="staking", asset="DOT.S", amount=0.25, fee=0)[0].asset == "DOT"  # numbers are read, too


@pytest.mark.parametrize(
    "wrong",
    [
        *({"time": value} for value in (None, -1, 1e12, "soon")),
        *({"amount": value} for value in (None, "x", "NaN", "1e99", [])),
        *({"fee": value} for value in (None, "x", "Infinity")),
        *({name: value} for name in ("type", "asset") for value in (None, 5)),
        {"subtype": 5},
    ],
)
def test_what_cannot_be_understood_is_said(wrong):
    with pytest.raises(ParseError):
        told(**{"type": "staking"} | wrong)


class Exchange:
    """Answers as documented from entries by type and second; ``counts``: with their number."""

    def __init__(self, *, counts=True):
        self.entries = []
        self.asked = []
        self.counts = counts

    def add(self, kind, second):
        self.entries.append((f"L{len(self.entries)}", TRADE | {"type": kind, "time": second}))

    def answer(self, request):
        params = dict(request.params)
        self.asked.append(params)
        kind, start, offset = params["type"], int(params["start"]), int(params.get("ofs", "0"))
        rows = [
            (number, row)
            for number, row in sorted(self.entries, key=lambda each: each[1]["time"], reverse=True)
            if row["time"] > start and kind in ("all", row["type"])
        ]
        return raw(dict(rows[offset : offset + 50]), len(rows) if self.counts else None)

    def true(self):
        return {number for number, row in self.entries if row["type"] not in ledger.ELSEWHERE}


def read(api, exchange, since_ms=0, broken_at=None):
    """As AccountPolls does: all pages, then all of them are understood."""
    page, answers = api.request(since_ms), []
    while page is not None:
        answers.append((page, exchange.answer(page)))
        page = api.next_page(*answers[-1])
    rows = set()
    for n, (page, answer) in enumerate(answers):
        rows |= {row.id for row in api.parse(page, answer if n != broken_at else answer.replace(b"amount", b"am"))}
    return rows


KINDS = st.sampled_from(["trade", "trade", "trade", "staking", "rollover", "transfer", "earn", "reward", "spend"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(KINDS, st.integers(0, 30)), max_size=90), st.booleans(), st.data())
def test_everything_since_the_start_is_told(rows, counts, data):
    """What is there at first, if not too much, at once; afterwards whatever comes."""
    api, exchange, found, second = ledger.Ledger(), Exchange(counts=counts), set(), 1_700_000_000
    while rows:
        some = data.draw(st.integers(1, len(rows)))
        for kind, after in rows[:some]:
            second += after
            exchange.add(kind, second)
        rows = rows[some:]
        found |= read(api, exchange, 1_690_000_000_000)
        assert found == exchange.true()


def test_how_much_is_asked():
    """One question, more where there is more; with each reading the past of one type, all its pages."""
    api, exchange = ledger.Ledger(), Exchange()
    for n in range(2000):
        exchange.add("trade", 1_700_000_000 + n)
    for n in range(60):
        exchange.add("staking", 1_700_000_100 + n)
    found = read(api, exchange, 1_690_000_000_000)
    assert found == set() and [each["type"] for each in exchange.asked] == ["all", "all"]
    exchange.asked.clear()
    exchange.add("reward", 1_700_003_000)
    assert read(api, exchange) == {"L2060"}
    all_new = str(1_700_001_999 - 60)
    assert exchange.asked == [
        {"type": "all", "start": all_new},
        {"type": "all", "start": all_new, "ofs": "50"},
        {"type": "transfer", "start": "1690000000"},
    ]
    for _ in range(ledger.PAST.index("staking") - 1):
        read(api, exchange)
    exchange.asked.clear()
    assert len(read(api, exchange)) == 61
    assert [(each["type"], each.get("ofs")) for each in exchange.asked[1:]] == [("staking", None), ("staking", "50")]
    for _ in ledger.PAST:
        read(api, exchange)
    exchange.asked.clear()
    assert read(api, exchange) == {"L2060"}  # of the minute before the last
    assert [each["type"] for each in exchange.asked] == ["all"]


def test_a_page_that_was_not_understood_is_read_again():
    api, exchange = ledger.Ledger(), Exchange()
    for n in range(90):
        exchange.add("reward", 1_700_000_000 + n)
    with pytest.raises(ParseError):
        read(api, exchange, broken_at=1)
    assert read(api, exchange) == exchange.true() and exchange.asked[-1] == exchange.asked[-3]
    exchange.add("reward", 1_700_009_000)
    for _ in range(2):
        with pytest.raises(ParseError):
            read(api, exchange, broken_at=1)
        assert exchange.asked[-1] == {"type": "transfer", "start": "0"}


def test_where_nothing_ever_happened():
    api, exchange = ledger.Ledger(), Exchange()
    assert read(api, exchange, 1_690_000_000_000) == read(api, exchange) == set()
    assert [each["type"] for each in exchange.asked] == ["all", "all", "transfer"]


def test_what_else_the_account_asks_has_no_pages():
    api = account()
    assert api.next_page(api.transfers_requests(1)[0], b"no matter what") is None
    assert api.key_cost(api.transfers_requests(1)[2]) == 2


SYMBOLS = ("BTC/USD", "ETH/USD")


def test_an_hour_with_rewards_and_fills():
    """All that is no fill is told once, and no balance is unexplained."""
    booked = [("BTC", "0.00031", "staking"), ("USD", "-1.25", "rollover"), ("ETH", "0.004", "earn reward"),
              ("USD", "7.5", "receive"), ("BTC", "-0.0007", "transfer spottofutures")]  # fmt: skip

    async def main():
        async with followed_for_hours("kraken", SYMBOLS) as here:
            await here.live()
            markets = here.markets("spot")
            for n in range(10):
                here.trade(markets[n % 2], 100_000, buy=n % 3 != 0)
                await asyncio.sleep(150)
                if n % 2:
                    asset, amount, name = booked[n // 2]
                    here.here.server.beat(here.here.clock.now_ms())
                    here.account.desks["spot"].transfer(asset, D(amount), name)
                    await asyncio.sleep(30)
            await asyncio.sleep(400)
            named = [row for row in here.account.movements if row.name]
            assert len(named) == 5 and len(here.account.fills) >= 10
            later = [row for row in here.transfers.values() if row.kind not in ("deposit", "withdrawal")]
            kinds = ("income", "interest", "income", "other", "internal")
            assert sorted((row.exchange_ms, row.asset, row.amount, row.kind) for row in later) == [
                (row.ms, row.asset, row.amount, kind) for row, kind in zip(named, kinds, strict=True)
            ]
            assert len(here.transfers) == len(here.account.movements)
            assert len(here.here.store.fills[1]) == len(here.account.fills)
            assert here.findings == []

    hours.run(main())


async def test_more_than_a_page_of_the_simulators_and_ccxt():
    """Read over a socket, types and pages; ccxt, which reads all entries, sees the same amounts."""
    async with simulator(weights={"kraken": 10_000}) as client, followed(client=client) as here:
        await here.fills(12)
        desk = here.account.desks["spot"]
        for n in range(60):
            desk.transfer("BTC", D("0.0001") * (n + 1), "staking")
        api = KrakenAccount(here.api._spec, here.api._markets, here.api._endpoints)
        rows, pages = {}, 0
        for _ in range(4):  # the fourth reads the past of rewards
            page = api.transfers_requests(0)[2]
            while page is not None:
                answer = (await here.follower.rest.ask(page)).raw
                rows |= {row.id: row for row in api.parse_transfers(page, answer)}
                page, pages = api.next_page(page, answer), pages + 1
        assert pages > 7
        assert sorted(row.amount for row in rows.values()) == [D("0.0001") * (n + 1) for n in range(60)]
        assert {row.kind for row in rows.values()} == {"income"}
        key = own_key("kraken")
        await client.post(
            "/__sim/keys", {"exchange": "kraken", "key": key.key, "secret": key.secret, "account": "test"}
        )
        exchange = client_of(ccxt.kraken, endpoints("127.0.0.1", client.server.port)["kraken"], key)
        try:
            seen = await exchange.fetch_ledger(params={"type": "staking"})
            traded = await exchange.fetch_ledger(params={"type": "trade"})
        finally:
            await exchange.close()
        assert len(seen) == 50 and all(D(str(row["amount"])) == rows[row["id"]].amount for row in seen)
        assert len(traded) == 2 * len(here.account.fills) and not {row["id"] for row in traded} & set(rows)
