"""Kraken Futures' account log: what its entries mean, page after page; hours with funding; ccxt reads the same."""

import asyncio
import json
from decimal import Decimal

import ccxt.async_support as ccxt
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import hours
from bench.ccxt_accounts import own_key
from bench.ccxt_clients import client as client_of
from feeds.accounts.krakenfutures import KrakenFuturesAccount, log
from feeds.errors import ParseError
from feeds.exchange import MarketIndex
from feeds.simulator import endpoints
from feeds.simulator.krakenfutures import KrakenFutures
from feeds.simulator.krakenfutures.auth import signed
from feeds.simulator.krakenfutures.terms import READ
from tests.feeds.hours_account import followed_for_hours
from tests.feeds.krakenfutures_account import FEW, MARKETS, account, followed, linear
from tests.feeds.simulator_help import simulator

D = Decimal
DOGE = MarketIndex([*MARKETS, linear("PF_DOGEUSD", "DOGE")])
TRADE = {
    "asset": "usd", "booking_uid": "10ca244e-1b73-4467-8c3c-74539c7ae677", "contract": "pf_dogeusd",
    "date": "2026-08-11T19:55:24.251Z", "execution": "a59b8e24-89d8-4553-a084-b2de96dba5d3", "fee": 0.0035,
    "funding_rate": 0.000001129880786375, "id": 9, "info": "futures trade", "margin_account": "flex",
    "mark_price": 0.07091471613, "new_balance": 0, "old_balance": 0.0077, "realized_funding": None,
    "realized_pnl": -0.0042, "trade_price": 0.070914,
}  # fmt: skip
"""As it was received: new less old is profit less fee."""
FUNDING = TRADE | {
    "booking_uid": "124f43a6-389a-4349-abc6-06fc7eeac86b", "date": "2026-09-17T12:00:00.000Z", "execution": None,
    "fee": 0, "funding_rate": 9.288451412e-7, "id": 16, "info": "funding rate change", "new_balance": 0,
    "old_balance": 0.0002, "realized_funding": -0.0002, "realized_pnl": None,
}  # fmt: skip
OF_STREAM = [
    {"id": 1690, "date": "2019-07-11T08:00:00.000Z", "asset": "bch", "info": "funding rate change",
     "booking_uid": "86fdc252-1b6e-40ec-ac1d-c7bd46ddeebf", "margin_account": "f-bch:usd",
     "old_balance": 0.01215667051, "new_balance": 0.01215736653, "old_average_entry_price": 0.0,
     "new_average_entry_price": 0.0, "trade_price": 0.0, "mark_price": 0.0, "realized_pnl": 0.0, "fee": 0.0,
     "execution": "", "collateral": "bch", "funding_rate": -8.7002552653e-8, "realized_funding": 6.9602e-7,
     "conversion_spread_percentage": 0.0, "liquidation_fee": 0.0},
    {"id": 1697, "date": "2019-07-11T13:00:27.632Z", "asset": "pi_bchusd", "info": "futures trade",
     "booking_uid": "55a02b5b-2c90-4d43-b0eb-eb3801d50e3f", "margin_account": "f-bch:usd", "old_balance": 1.0,
     "new_balance": 2.0, "old_average_entry_price": 413.3, "new_average_entry_price": 374.3445326979084,
     "trade_price": 342.1, "mark_price": 342.4, "realized_pnl": 0.0, "fee": 0.0,
     "execution": "fc49fea9-8827-4a2e-8e36-c047523ddc30", "collateral": "bch", "funding_rate": 1.64955714332e-7,
     "realized_funding": -1.31965e-6, "conversion_spread_percentage": 0.0, "liquidation_fee": 0.0},
]  # fmt: skip
"""The documented examples of the stream, which tells the same entries."""


def raw(*entries):
    return json.dumps({"accountUid": "f92fc7de-2fce-4265-b806-4f3c1efb37ee", "logs": list(entries)}).encode()


def told(*entries, markets=DOGE):
    api = account(markets=markets)
    return api.parse_transfers(api.transfers_requests(0)[0], raw(*entries))


class TestEntries:
    def test_funding(self):
        [row] = told(FUNDING)
        assert (row.kind, row.amount, row.asset, row.id, row.note) == ("funding", D("-0.0002"), "USD", "16", "")
        assert (row.symbol, row.product, row.exchange_ms) == ("DOGE/USD:USD", "futures", 1789646400000)

    def test_the_documented_entries_of_the_stream(self):
        [row] = told(*OF_STREAM)
        assert (row.kind, row.amount, row.asset, row.symbol) == ("funding", D("6.9602E-7"), "BCH", None)
        assert row.exchange_ms == 1562832000000

    def test_of_a_trade_its_funding_alone(self):
        """Profit and fee come with the fill."""
        assert told(TRADE) == []
        [row] = told(TRADE | {"realized_funding": -0.0001, "old_balance": 0.0078})
        assert (row.kind, row.amount, row.id) == ("funding", D("-0.0001"), "9")
        assert told(TRADE | {"realized_funding": -0.0001, "asset": "pf_dogeusd"}) == []  # or it would be told twice

    @pytest.mark.parametrize("info", sorted(log.TRADES))
    def test_of_inverse_contracts_no_fill_tells_the_rest(self, info):
        entry = TRADE | {"contract": "pi_xbtusd", "asset": "xbt", "info": info}
        funding, rest = told(entry | {"realized_funding": -0.0002})
        assert (funding.kind, funding.amount, funding.note) == ("funding", D("-0.0002"), "PI_XBTUSD")
        assert (rest.kind, rest.amount, rest.note) == ("other", D("-0.0075"), f"{info} PI_XBTUSD")
        assert (rest.asset, rest.symbol) == ("BTC", None)

    @pytest.mark.parametrize(
        ("info", "kind", "note"),
        [
            ("interest payment", "interest", ""),
            ("cross-exchange transfer", "internal", "cross-exchange transfer"),
            ("subaccount transfer", "internal", "subaccount transfer"),
            ("conversion", "other", "conversion"),
            ("admin transfer", "other", "admin transfer"),
            ("kfee applied", "other", "kfee applied"),
            ("settlement", "other", "settlement"),
            ("tax withheld", "other", "tax withheld"),
            ("of tomorrow", "other", "of tomorrow"),
            ("transfer", None, None),  # both wallets are counted
        ],
    )
    def test_all_others(self, info, kind, note):
        entry = TRADE | {"info": info, "contract": None, "asset": "xbt", "old_balance": 1.5, "new_balance": 1.25}
        rows = [(row.kind, row.amount, row.asset, row.note) for row in told(entry)]
        assert rows == ([(kind, D("-0.25"), "BTC", note)] if kind else [])

    def test_both_currencies_of_a_conversion(self):
        one = TRADE | {"info": "conversion", "contract": None}
        rows = told(one | {"id": 9, "asset": "usd"}, one | {"id": 10, "asset": "eur", "new_balance": 3})
        assert [(row.asset, row.amount, row.id) for row in rows] == [
            ("USD", D("-0.0077"), "9"),
            ("EUR", D("2.9923"), "10"),
        ]

    @pytest.mark.parametrize(
        "wrong",
        [
            {"id": "9"}, {"id": None}, {"date": "soon"}, {"date": "2026-08-11T19:55:24"}, {"info": None},
            {"old_balance": None}, {"new_balance": "x"}, {"new_balance": 1e40}, {"realized_funding": "NaN"},
            {"asset": 5}, {"contract": []},
        ],
    )  # fmt: skip
    def test_what_cannot_be_understood_is_said(self, wrong):
        with pytest.raises(ParseError):
            told(TRADE | wrong)

    def test_entries_that_are_not_in_order(self):
        with pytest.raises(ParseError, match="the entry 9 follows 16"):
            told(FUNDING, TRADE)


class Exchange:
    """Has entries, and no more than ``most`` in an answer."""

    def __init__(self, count, most=10**6):
        self.entries = [FUNDING | {"id": n, "new_balance": n + 1, "old_balance": n} for n in range(1, count + 1)]
        self.most = most
        self.asked = []

    def answer(self, request):
        params = dict(request.params)
        assert params["sort"] == "asc"
        self.asked.append(params)
        first = int(params.get("from", "1"))
        return raw(*[each for each in self.entries if each["id"] >= first][: min(int(params["count"]), self.most)])


def read(api, exchange, broken_at=None):
    """As AccountPolls does: all pages, then all of them are understood."""
    [page] = api.transfers_requests(5)
    answers = []
    while page is not None:
        answers.append((page, exchange.answer(page)))
        page = api.next_page(*answers[-1])
    rows = []
    for n, (page, told) in enumerate(answers):
        rows += api.parse_transfers(page, told if n != broken_at else told.replace(b'"info"', b'"inf"'))
    return [int(row.id) for row in rows]


class TestPages:
    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 1300), st.lists(st.integers(0, 60), max_size=5), st.sampled_from([500, 700, 10**6]))
    def test_every_entry_once(self, count, later, most):
        api, exchange, found = account(markets=DOGE), Exchange(0, most), []
        for more in (count, *later):
            have = len(exchange.entries)
            exchange.entries = Exchange(have + more).entries
            found += read(api, exchange)
        assert found == list(range(1, len(exchange.entries) + 1))

    def test_what_was_read_is_not_asked_again(self):
        api, exchange = account(markets=DOGE), Exchange(30)
        assert len(read(api, exchange)) == 30
        exchange.entries = Exchange(31).entries
        assert read(api, exchange) == [31] and read(api, exchange) == []
        assert exchange.asked == [
            {"since": "5", "sort": "asc", "count": "5000"},
            {"from": "31", "sort": "asc", "count": "25"},
            {"from": "32", "sort": "asc", "count": "25"},
        ]

    def test_a_page_that_was_not_understood_is_asked_again(self):
        api, exchange = account(markets=DOGE), Exchange(700, most=500)
        with pytest.raises(ParseError):
            read(api, exchange, broken_at=1)
        assert len(read(api, exchange)) == 700  # nothing of the first page was kept

    @pytest.mark.parametrize(
        ("count", "tokens"), [(1, 1), (25, 1), (26, 2), (50, 2), (51, 3), (1000, 3), (5000, 6), (5001, 10)]
    )
    def test_costs(self, count, tokens):
        [request] = account().transfers_requests(0)
        params = tuple((name, str(count) if name == "count" else value) for name, value in request.params)
        assert log.cost(type(request)(path=request.path, params=params)) == tokens
        assert log.cost(type(request)(path="/derivatives/api/v3/accounts")) == 0


SYMBOLS = ("BTC/USD:USD", "ETH/USD:USD", "LINK/USD:USD")


def test_hours_with_positions_and_fills(monkeypatch):
    """Every payment is told once, with its contract, and no balance is unexplained. Here an hour has five minutes."""
    product = msgspec.structs.replace(KrakenFutures.terms.products["futures"], funding_ms=300_000)
    monkeypatch.setattr(
        KrakenFutures, "terms", msgspec.structs.replace(KrakenFutures.terms, products={"futures": product})
    )

    async def main():
        async with followed_for_hours("krakenfutures", SYMBOLS) as here:
            await here.live()
            markets = here.markets("futures")
            for n, market in enumerate(markets):
                here.trade(market, 40, buy=n != 1)
            for n in range(7):
                await asyncio.sleep(97)
                here.trade(markets[n % 3], 3 + n, buy=n % 2 == 0)
                if n == 3:
                    here.account.desks["futures"].transfer("USD", D("-0.75"), "interest payment")
            await asyncio.sleep(340)
            moved = [row for row in here.account.movements if row.kind == "funding"]
            assert len({row.ms for row in moved}) >= 3 and len(moved) >= 9 and all(row.amount for row in moved)
            assert sorted((row.exchange_ms, row.symbol, row.amount) for row in here.told("funding")) == sorted(
                (row.ms, row.market.instrument.symbol, row.amount) for row in moved
            )
            recent_ms = here.here.clock.now_ms() - 20 * 86_400_000
            assert [row.amount for row in here.told("interest")] == [D("-0.75")]
            opened = [row for row in here.account.movements if row.kind in ("deposit", "withdrawal")]
            assert sorted((row.exchange_ms, row.amount) for row in here.told("internal")) == sorted(
                (row.ms, row.amount) for row in opened
            )
            assert any(row.ms > recent_ms for row in opened) and any(fill.realised for fill in here.account.fills)
            assert {row.kind for row in here.transfers.values()} == {"funding", "interest", "internal"}  # no trade
            assert len(here.here.store.fills[1]) == len(here.account.fills)
            assert here.findings == []

    hours.run(main())


async def test_more_than_a_page_of_the_simulators_and_ccxt(monkeypatch):
    """Read page by page over a socket; ccxt, which reads it otherwise, tells the same payments and transfers."""
    monkeypatch.setattr(log, "FIRST", 200)
    monkeypatch.setattr(log, "MORE", 200)
    async with simulator(instruments=FEW) as client, followed(client=client) as here:
        desk = here.account.desks["futures"]
        markets = client.server.market.of("krakenfutures", "futures")
        for native in ("PF_XBTUSD", "PF_ETHUSD"):
            desk.place(markets[native], buy=True, size=300, type="MARKET")
        client.server.beat = lambda now_ms: None  # time stands still
        for _ in range(270):
            desk.pay_funding()
        api = KrakenFuturesAccount(here.api._spec, here.api._markets, here.api._endpoints)
        [page], told, pages = api.transfers_requests(0), [], 0
        while page is not None:
            answer = (await here.follower.rest.ask(page)).raw
            told += api.parse_transfers(page, answer)
            page, pages = api.next_page(page, answer), pages + 1
        assert pages == 3 and len({(row.kind, row.id) for row in told}) == len(told)
        paid = [(row.symbol, row.amount, row.exchange_ms) for row in told if row.kind == "funding"]
        true = [row for row in here.account.movements if row.kind == "funding"]
        assert paid == [(row.market.instrument.symbol, row.amount, row.ms) for row in true] and len(paid) == 540
        key = own_key("krakenfutures")
        given = {"exchange": "krakenfutures", "key": key.key, "secret": key.secret, "account": "test"}
        await client.post("/__sim/keys", given)
        exchange = client_of(ccxt.krakenfutures, endpoints("127.0.0.1", client.server.port)["krakenfutures"], key)
        try:
            seen = await exchange.fetch_funding_history(limit=1000)
            entries = await exchange.fetch_ledger(limit=1000)
        finally:
            await exchange.close()
        same = [(row["symbol"], D(str(row["amount"])), row["timestamp"]) for row in seen]
        assert sorted(same) == sorted(paid)
        sign = {"in": 1, "out": -1}
        moved = {
            row["id"]: sign[row["direction"]] * D(str(row["amount"])) for row in entries if row["type"] == "transfer"
        }
        assert moved == {row.id: row.amount for row in told if row.kind == "internal"} and moved


async def test_the_simulator_counts_tokens():
    async with simulator(instruments=FEW) as client:

        async def ask(query):
            headers = {"APIKey": READ.key, "Authent": signed(READ.secret, query + log.PATH)}
            url = f"{client.base}/krakenfutures{log.PATH}?{query}"
            async with client.session.get(url, headers=headers) as answer:
                return await answer.json()

        told = await ask("count=25&sort=asc")
        assert set(told["logs"][0]) >= set(TRADE) and told["logs"][0]["id"] < told["logs"][1]["id"]
        newest = told["logs"][-1]["id"]
        assert [row["id"] for row in (await ask(f"count=25&from={newest}&to={newest}"))["logs"]] == [newest]
        assert (await ask("count=0"))["error"] == (await ask("count=100001"))["error"] == "invalidArgument: count"
        for _ in range(9):
            assert "logs" in await ask("count=100000")
        assert (await ask("count=5001"))["error"] == "apiLimitExceeded"
        assert "logs" in await ask("count=5000")
