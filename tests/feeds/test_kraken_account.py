"""Kraken's private side: signatures, names, documented answers and frames, and what is hard about them."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.account import Credentials
from feeds.account_domain import AccountChanged, Balance, Expired, Fill, Order, UnknownMarket
from feeds.accounts import REGISTRY
from feeds.accounts.kraken import KrakenAccount, rest
from feeds.accounts.kraken.api import FILLS, LIMITS
from feeds.accounts.kraken.names import Pairs, asset_of
from feeds.accounts.kraken.stream import KrakenPrivateSession
from feeds.domain import Ack, Heartbeat, Notice, Rejected
from feeds.errors import CredentialsError, ExchangeError, ParseError, RateLimited
from feeds.exchange import Request
from feeds.exchanges import create
from feeds.following.pace import POLLS, Asked, Pace
from feeds.following.polls import RARE, TRANSFERS_S
from feeds.rest import encode
from feeds.trading import FindsInTwo, NewOrder, TradingApi
from tests.documented import Documented, because
from tests.feeds.damage import damaged
from tests.feeds.kraken_account import KEY, MARKETS, account, answer
from tests.shared import SHARED

D = Decimal
ENDPOINT, JSON = "Endpoints/Spot", "JsonResponses"


class TestSigning:
    """exchanges/kraken.md section 7.1: the worked examples."""

    @pytest.mark.parametrize(
        ("path", "body", "sign"),
        [
            (
                "/0/private/Balance",
                "nonce=1700000000000",
                "nFz407/yJMVPoJY+PuegQYjsDLarb1nokU4GYQ/FnajfgvW9LTtCs98itJiFtp1Cr3SxotM/32MDDDkXwgi99Q==",
            ),
            (
                "/0/private/TradesHistory",
                "nonce=1700000000001&ofs=0&trades=true",
                "gBUEGaL6Pj4fi0aINAoDYdjZFsM4+lBRj8PSP64ZhaYUAlq+S5SIoc52YX/t2nmwqL1ZB+OSTs3YWplF0VvCiw==",
            ),
            (
                "/0/private/GetWebSocketsToken",
                "nonce=1700000000002",
                "AO0NafMLzNsfxOvbxyQR8OHtuPa5TqIDmENhE8yM/CnVD6/ceRLO6LejwY6HzCS+0SkyP+Bksx30W2lZnLTFnw==",
            ),
        ],
    )
    def test_form_bodies(self, path, body, sign):
        nonce, _, rest = body.removeprefix("nonce=").partition("&")
        params = tuple(tuple(pair.split("=")) for pair in rest.split("&") if pair)
        signed = account().sign(Request(path=path, method="POST", params=params, body=True), int(nonce))
        assert dict(signed.headers) == {"API-Key": KEY.key, "API-Sign": sign}
        assert encode(signed.params) == body

    def test_json(self):
        body = (
            '{"nonce":"1700000000003","pair":"XBTUSD","orders":'
            '[{"ordertype":"limit","type":"buy","price":"60000","volume":"0.001"}]}'
        )
        expected = "odSurAWPunfWK542fKJvhOSnpkPU50Ewii+eazFQEXlGNUTQwuOnsz9fm+fOOtBigtBEV0ho0Rg4bvfTfOyKdg=="
        assert account().signature("/0/private/AddOrderBatch", "1700000000003", body) == expected

    def test_published(self):
        secret = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
        body = "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25"
        expected = "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
        api = account(Credentials("key", secret))
        assert api.signature("/0/private/AddOrder", "1616492376594", body) == expected

    def test_nonces_rise_whatever_the_clock_does(self):
        api = account()
        nonces = [
            int(dict(api.sign(api.balances_requests()[0], ms).params)["nonce"]) for ms in (1000, 1000, 900, 1001, 5000)
        ]
        assert nonces == [1000, 1001, 1002, 1003, 5000]

    def test_a_secret_that_is_none(self):
        with pytest.raises(CredentialsError, match="not base64"):
            account(Credentials("key", "no base64!")).sign(account().balances_requests()[0], 1)


class TestKey:
    def test_registry(self):
        assert REGISTRY["kraken"] is KrakenAccount
        assert isinstance(account(), TradingApi)
        assert isinstance(account(), FindsInTwo)

    def test_rights(self):
        rights = account().parse_rights(answer(f"{ENDPOINT}/Account/GetApiKeyInfo"))
        assert (rights.read, rights.trade, rights.withdraw, rights.withdraw_name) == (
            True,
            True,
            True,
            "withdraw-funds",
        )

    def test_a_key_that_may_only_look(self):
        raw = b'{"error":[],"result":{"permissions":["query-funds","create-ws-token"]}}'
        rights = account().parse_rights(raw)
        assert (rights.read, rights.trade, rights.withdraw) == (True, False, False)

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("EAPI:Invalid key", CredentialsError),
            ("EAPI:Invalid signature", CredentialsError),
            ("EGeneral:Permission denied", CredentialsError),
            ("EAPI:Rate limit exceeded", RateLimited),
            ("EAPI:Invalid nonce", ExchangeError),
        ],
    )
    def test_errors(self, text, kind):
        error = create("kraken", {}).error_of(200, json.dumps({"error": [text]}).encode(), {})
        assert type(error) is kind
        if isinstance(error, ExchangeError):
            assert account().clock_error(error) is (text == "EAPI:Invalid nonce")

    def test_refusals(self):
        def refusal(reason):
            return type(account().refusal(Rejected(subscriptions=(), reason=reason, code=reason)))

        assert refusal("EGeneral:Permission denied") is CredentialsError
        assert refusal("EAccount:Invalid permissions") is CredentialsError
        assert refusal("ESession:Invalid session") is ExchangeError

    def test_eight_accounts_use_less_than_half_of_the_budgets(self):
        """Each key has its counter; what all ask of the host is a guess of ours."""
        api = account()
        plan = [Asked(request, every_s=TRANSFERS_S) for request in api.transfers_requests(0)]
        plan += [Asked(request) for request in (*api.balances_requests(), *api.positions_requests())]
        plan += [Asked(request, RARE) for request in api.orders_requests()]
        budget = create("kraken", {}).budgets()["account"]
        pace = Pace(api, {"account": budget})
        pace.shared_by(8)
        every_s = pace.least_s(api.balances_requests(), plan)
        assert 20 < every_s < 30
        per_s = sum(api.key_cost(each.request) / (each.every_s or every_s * each.times) for each in plan)
        assert per_s == pytest.approx(POLLS * LIMITS.decay_per_s)
        assert 8 * per_s < budget.limit / budget.per_s / 2
        assert api.key_cost(Request(path="/0/private/AddOrder")) == 0


class TestNames:
    @pytest.mark.parametrize(
        ("code", "asset", "spot"),
        [
            ("XXBT", "BTC", True),
            ("XBT.F", "BTC", False),
            ("ZUSD", "USD", True),
            ("USD.M", "USD", False),
            ("ETH2.S", "ETH2", False),
            ("XXDG", "DOGE", True),
            ("XTZ", "XTZ", True),
            ("ZRX", "ZRX", True),
            ("XETH", "ETH", True),
            ("DOT28.S", "DOT28", False),
            ("AAPL.T", "AAPL.T", True),
        ],
    )
    def test_assets(self, code, asset, spot):
        assert asset_of(code) == (asset, spot)

    @pytest.mark.parametrize(
        ("name", "symbol"),
        [
            *(("XXBTZUSD", "BTC/USD"), ("XBTUSD", "BTC/USD"), ("XBT/USD", "BTC/USD"), ("BTC/USD", "BTC/USD")),
            *(("XBTUSDT", "BTC/USDT"), ("XETHXXBT", "ETH/BTC"), ("XDGUSD", "DOGE/USD"), ("ZRXUSD", "ZRX/USD")),
        ],
    )
    def test_pairs(self, name, symbol):
        assert Pairs(MARKETS).symbol(name) == symbol

    def test_a_pair_that_is_listed_later(self):
        markets = type(MARKETS)(list(MARKETS)[:1])
        pairs = Pairs(markets)
        assert pairs.market("XETHZUSD") is None
        assert pairs.symbol("XETHZUSD") == "XETHZUSD@spot"
        markets.update(MARKETS)
        assert pairs.symbol("XETHZUSD") == "ETH/USD"


class TestAnswers:
    def test_balances(self):
        api = account()
        rows = api.parse_balances(api.balances_requests()[0], answer(f"{ENDPOINT}/Account/GetAvailableBalances"), 7)
        assert rows == [
            Balance(
                product="spot", asset="USD", total=D("25435.21"), free=D("17185.45"), locked=D("8249.76"), asof_ms=7
            ),
            Balance(product="spot", asset="BTC", total=D("1.2435"), free=D("0.4012"), locked=D("0.8423"), asof_ms=7),
        ]

    def test_what_earns_something_is_in_the_total_and_locked(self):
        rows = {
            "XXBT": {"balance": "1.0000000001", "hold_trade": "0.25"},
            "XBT.F": {"balance": "0.5", "hold_trade": "0"},
            "XBT.S": {"balance": "0.1", "hold_trade": "0"},
            "ZEUR": {"balance": "0.0000", "hold_trade": "0"},
        }
        raw = json.dumps({"error": [], "result": rows}).encode()
        [btc] = account().parse_balances(account().balances_requests()[0], raw, 7)
        assert (btc.asset, btc.total, btc.free, btc.locked) == ("BTC", D("1.6000000001"), D("0.7500000001"), D("0.85"))

    @pytest.mark.parametrize(
        "name", [f"{ENDPOINT}/Account/GetOpenPositions", f"{JSON}/SpotAccount/GetOpenPositionsAsync"]
    )
    def test_positions_are_put_together(self, name):
        api = account()
        raw = answer(name)
        [position] = api.parse_positions(api.positions_requests()[0], raw, 7)
        assert (position.symbol, position.side, position.size) == ("BTC/USD", "long", D("16.62312861"))
        first = D("104610.52842") * (D("8.82412861") - D("0.202")) / D("8.82412861")  # some of it is closed
        cost = first + D("145756.76856") + D("0.00240") + D("2.40000") + D("21.59760")
        assert float(position.entry) == pytest.approx(float(cost / D("16.62312861")), rel=1e-13)
        assert position.unrealised == D("248560.2196")
        assert position.margin == D("50078.25939")
        assert position.settle == "USD"

    @pytest.mark.parametrize("name", [f"{ENDPOINT}/Trading/GetOpenOrders", f"{JSON}/SpotTrading/GetOpenOrdersAsync"])
    def test_open_orders(self, name):
        first, second, *more = account().parse_orders(account().orders_requests()[0], answer(name))
        assert (first.symbol, first.id, first.side, first.type) == ("BTC/USD", "OQCLML-BW3P3-BUCMWZ", "buy", "limit")
        assert (first.price, first.size, first.filled, first.average) == (
            D("30010.0"),
            D("1.25"),
            D("0.375"),
            D("30010.0"),
        )
        assert (first.status, second.status, second.average, second.filled) == ("partial", "open", None, 0)
        recent = name.startswith(ENDPOINT)
        assert first.created_ms == (1688666559897 if recent else 1616666559897)
        assert (second.price, second.size) == (D("14500.0"), D("0.275"))
        assert second.created_ms == (1688665899569 if recent else 1616665899569)
        assert [(row.price, row.size, row.filled, row.created_ms) for row in more] == (
            []
            if recent
            else [
                (D("17500.0"), D("0.275"), 0, 1616665894003),
                (D("23500.0"), D("0.275"), 0, 1616665556764),
                (D("24500.0"), D("1.25"), 0, 1616665511037),
            ]
        )

    def test_closed_and_queried_orders(self):
        pairs = Pairs(MARKETS)
        for name in (f"{ENDPOINT}/Trading/GetClosedOrders", f"{JSON}/SpotTrading/GetClosedOrdersAsync"):
            orders = rest.parse_closed(answer(name), pairs)
            assert [(o.status, o.size, o.filled) for o in orders] == [("canceled", D("0.001"), 0)] * 2
            recent = name.startswith(ENDPOINT)
            assert [o.price for o in orders] == ([D(23667), D(27743)] if recent else [D(2506), D(2518)])
            day = 1688148000000 if recent else 1616148000000
            assert [o.created_ms - day for o in orders] == [493770, 493770]
            assert [o.updated_ms - day for o in orders] == [610048, 610047]
        for name, price, average, day in (
            (f"{ENDPOINT}/Trading/GetOrders", "27500.0", "27500.0", 1688000000000),
            (f"{JSON}/SpotTrading/GetOrderAsync", "37500.0", "30021.0", 1616000000000),
        ):
            limit, market = rest.parse_queried(answer(name), pairs)
            assert (limit.status, limit.average, limit.filled) == ("filled", D(average), D("1.25"))
            assert (limit.price, limit.size) == (D(price), D("1.25"))
            assert (limit.created_ms - day, limit.updated_ms - day) == (665496780, 665499192)
            assert (market.type, market.side, market.price, market.size) == ("market", "sell", None, D("0.25"))
            assert (market.status, market.filled, market.average) == ("filled", D("0.25"), D("30000.0"))
            assert (market.created_ms - day, market.updated_ms - day) == (592012231, 592012233)
        [trailing] = rest.parse_queried(answer(f"{ENDPOINT}/Trading/GetOrders2"), pairs)
        assert (trailing.symbol, trailing.type, trailing.price) == ("SUI/USD", "trailing-stop", None)
        assert (trailing.status, trailing.size, trailing.filled) == ("canceled", D("49.96"), 0)
        assert (trailing.created_ms, trailing.updated_ms) == (1752768514603, 1752768899330)

    def test_fills(self):
        page = account().parse_fills(FILLS, None, answer(f"{ENDPOINT}/Trading/GetUserTrades"), 0)
        assert (page.next, page.whole, page.unlisted) == (None, True, ())
        assert [fill.id for fill in page.fills] == ["TCWJEG-FL4SZ-3FKGH6", "THVRQM-33VKH-UCI7BS"]
        first, second = page.fills
        assert second == Fill(
            product="spot",
            symbol="BTC/USD",
            id="THVRQM-33VKH-UCI7BS",
            order_id="OQCLML-BW3P3-BUCMWZ",
            side="buy",
            price=D("30010.00000"),
            size=D("0.02000000"),
            fee=D("0.00000"),
            fee_asset="USD",
            maker=True,
            exchange_ms=1688667796880,
        )
        assert (first.price, first.size, first.fee, first.margin) == (D(30010), D("0.01"), 0, False)
        assert (first.order_id, first.exchange_ms) == (second.order_id, 1688667769639)

    @pytest.mark.parametrize(
        ("changed", "margin"),
        [
            ({}, False),
            ({"margin": "0.00000", "leverage": "0", "misc": ""}, False),
            ({"leverage": "none"}, False),
            ({"margin": "120.5"}, True),
            ({"leverage": "5"}, True),
            ({"misc": "initiated,closing"}, True),  # the last part of a position
        ],
    )
    def test_a_fill_on_margin(self, changed, margin):
        rows = json.loads(answer(f"{ENDPOINT}/Trading/GetUserTrades"))
        for row in rows["result"]["trades"].values():
            row.update(changed)
        page = account().parse_fills(FILLS, None, json.dumps(rows).encode(), 0)
        assert [fill.margin for fill in page.fills] == [margin, margin]

    def test_fills_of_an_unlisted_pair_are_told(self):
        rows = json.loads(answer(f"{JSON}/SpotTrading/GetUserTradesAsync"))["result"]["trades"]
        page = account(markets=type(MARKETS)(list(MARKETS)[1:2])).parse_fills(
            FILLS, None, json.dumps({"error": [], "result": {"trades": rows}}).encode(), 0
        )
        assert UnknownMarket(product="spot", native="XXBTZUSD") in page.unlisted
        assert {fill.symbol for fill in page.fills} <= {"BTC/EUR"}
        full = account().parse_fills(FILLS, None, answer(f"{JSON}/SpotTrading/GetUserTradesAsync"), 0)
        assert (len(full.fills), full.unlisted) == (50, ())
        assert sum(fill.price for fill in full.fills) == D("514160.47088")
        assert sum(fill.size for fill in full.fills) == D("19.68807212")
        assert sum(fill.fee for fill in full.fills) == D("563.43509")
        assert sum(fill.exchange_ms for fill in full.fills) == 80742783826880
        assert [fill.id for fill in full.fills if fill.margin] == ["TUI2JG-VOE36-SW7UJQ"]
        largest = max(full.fills, key=lambda fill: fill.fee)
        assert (largest.id, largest.side, largest.price) == ("TSALPW-Q3HPI-LEPCOA", "sell", D(30000))
        assert (largest.size, largest.fee, largest.exchange_ms) == (D(5), D(150), 1616521990742)

    def test_transfers(self):
        api = account()
        deposits, withdrawals, internal = api.transfers_requests(1_600_000_000_000)
        assert ("start", "1600000000") in deposits.params
        done, waiting = api.parse_transfers(deposits, answer(f"{ENDPOINT}/Account/GetDepositStatus"))
        assert (done.kind, done.asset, done.amount, done.status) == ("deposit", "BTC", D("0.78125000"), "done")
        assert (done.fee, done.exchange_ms, waiting.exchange_ms) == (0, 1688992722000, 1688992722000)
        assert (waiting.asset, waiting.status, waiting.fee) == ("ETH", "pending", None)
        assert waiting.amount == D("0.1383862742")
        pending, failed = api.parse_transfers(withdrawals, answer(f"{ENDPOINT}/Account/GetWithdrawalStatus"))
        assert (pending.amount, pending.fee, pending.status) == (D("-0.72485"), D("0.0002"), "pending")
        assert (failed.status, failed.exchange_ms) == ("failed", 1688015423000)
        assert (failed.amount, failed.fee, pending.exchange_ms) == (pending.amount, pending.fee, 1688014586000)
        others = api.parse_transfers(deposits, answer(f"{JSON}/SpotAccount/GetDepositStatusAsync"))
        assert [(row.asset, row.amount, row.exchange_ms) for row in others] == [
            ("BTC", D("0.78125"), 1546992722000)
        ] * 2
        assert [(row.fee, row.status) for row in others] == [(0, "done"), (None, "pending")]
        for name in (f"{ENDPOINT}/Account/GetLedgerInfo", f"{JSON}/SpotAccount/GetLedgerInfoAsync"):
            assert api.parse_transfers(internal, answer(name)) == []  # trades
        moved = {"refid": "R", "time": 1.5, "type": "transfer", "asset": "XBT.F", "amount": "-2", "fee": "0"}
        raw = json.dumps({"error": [], "result": {"ledger": {"L1": moved}}}).encode()
        [row] = api.parse_transfers(internal, raw)
        assert (row.kind, row.id, row.asset, row.amount, row.exchange_ms) == ("internal", "L1", "BTC", -2, 1500)

    def test_placed_and_cancelled(self):
        api = account()
        new = NewOrder(
            symbol="BTC/USD", side="buy", size=D("0.00000100"), price=D("25000.10"), client_id="c-1", post_only=True
        )
        request = api.place_request(new)
        assert encode(request.params) == (
            "pair=XBTUSD&type=buy&ordertype=limit&volume=0.00000100&cl_ord_id=c-1&price=25000.10&timeinforce=GTC&oflags=post"
        )
        for name in (f"{ENDPOINT}/Trading/PlaceOrder", f"{JSON}/SpotTrading/PlaceOrderAsync"):
            assert api.parse_placed(new, answer(name), 9).id == "OUF4EM-FRGI2-MQMWZD"
        order = api.parse_placed(new, answer(f"{ENDPOINT}/Trading/PlaceOrder"), 9)
        assert dict(api.cancel_request(order).params) == {"txid": order.id}
        for name in (f"{ENDPOINT}/Trading/CancelOrder", f"{JSON}/SpotTrading/CancelOrderAsync"):
            api.parse_cancelled(order, answer(name))
        [everything] = api.cancel_all_requests(())
        api.parse_cancelled_all(everything, answer(f"{ENDPOINT}/Trading/CancelAllOrders"))
        with pytest.raises(ParseError, match="count"):
            api.parse_cancelled_all(everything, b'{"error":[],"result":{}}')
        with pytest.raises(ExchangeError) as nothing:
            api.parse_cancelled(order, b'{"error":[],"result":{"count":0}}')
        assert api.unknown_order(nothing.value)
        [switch] = api.dead_man_requests(60, ())
        assert (switch.path, switch.params) == ("/0/private/CancelAllOrdersAfter", (("timeout", "60"),))
        assert api.new_client_id() != api.new_client_id()

    def test_what_is_not_offered(self):
        api, usual = account(), {"symbol": "BTC/USD", "side": "buy", "size": D(1), "price": D(1), "client_id": "c"}
        for more in (
            {"time_in_force": "FOK"},
            {"reduce_only": True},
            {"post_only": True, "price": None},
            {"symbol": "X/Y"},
        ):
            with pytest.raises(ExchangeError):
                api.place_request(NewOrder(**usual | more))
        with pytest.raises(ExchangeError):
            api.dead_man_requests(86_400, ())

    def test_an_order_that_is_not_open_may_be_closed(self):
        api = account()
        assert api.parse_found("BTC/USD", "mine", b'{"error":[],"result":{"open":{}}}') is None
        assert "ClosedOrders" in api.find_closed_request("BTC/USD", "mine").path
        assert api.leaves_open(ExchangeError("", "EGeneral:Internal error"))
        assert not api.leaves_open(ExchangeError("", "EOrder:Insufficient funds"))
        assert api.parse_found("BTC/USD", "mine", b'{"error":[],"result":{"closed":{},"count":0}}') is None


def history(times, page, cursor=None, api=None):
    """A whole reading of TradesHistory with so many rows a page: fills as they came, and the last page."""
    api, found = api or account(), []
    for _ in range(200):
        params = dict(api.fills_request(FILLS, cursor).params)
        assert params["consolidate_taker"] == "false"
        rows = [
            (f"T{n}", ms) for n, ms in sorted(enumerate(times), key=lambda row: (row[1], row[0]), reverse=True)
            if ms > int(params.get("start", -1)) * 1000
        ]  # fmt: skip
        trades = {
            name: {
                "ordertxid": "O",
                "pair": "XXBTZUSD",
                "time": ms / 1000,
                "type": "buy",
                "price": "1",
                "vol": "1",
                "fee": "0",
            }
            for name, ms in rows[int(params["ofs"]) :][:page]
        }
        raw = json.dumps({"error": [], "result": {"trades": trades, "count": len(rows)}}).encode()
        told = api.parse_fills(FILLS, cursor, raw, 0)
        found.append(told)
        if told.next is None:
            return found
        cursor = told.next
    raise AssertionError("the history has no end")


class TestPaging:
    @given(st.lists(st.integers(0, 30_000), max_size=60), st.integers(1, 50), st.integers(0, 59))
    def test_all_fills_whatever_the_page_and_equal_times(self, times, page, place):
        pages = history(times, page)
        assert [told.whole for told in pages] == [False] * (len(pages) - 1) + [True]
        ids = [fill.id for told in pages for fill in told.fills]
        assert sorted(ids) == sorted(f"T{n}" for n in range(len(times)))
        assert all(told.fills == sorted(told.fills, key=lambda fill: fill.exchange_ms) for told in pages)
        if times:
            last = times[place % len(times)]
            fill = next(f for told in pages for f in told.fills if f.exchange_ms == last)
            again = {f.id for told in history(times, page, account().cursor_of(fill)) for f in told.fills}
            assert again >= {f"T{n}" for n, ms in enumerate(times) if ms >= last}


FRAMES = {
    "trade": """{"channel": "executions", "type": "update", "data": [{
  "order_id": "OK4GJX-KSTLS-7DZZO5", "order_userref": 3, "exec_id": "TGBB7L-HT5LX-J3BZ4A", "exec_type": "trade",
  "trade_id": 62887576, "symbol": "BTC/USD", "side": "sell", "last_qty": 0.005, "last_price": 26599.9,
  "liquidity_ind": "t", "cost": 132.9995, "order_type": "limit", "order_status": "partially_filled",
  "cum_qty": 0.005, "cum_cost": 132.9995, "avg_price": 26599.9, "fee_usd_equiv": 0.3458,
  "fees": [{"asset": "USD", "qty": 0.3458}], "timestamp": "2023-09-22T10:33:05.709993Z"}], "sequence": 10}""",
    "pending": """{"channel": "executions", "type": "update", "data": [{"order_id": "AHOJQ8-1E72C-8M2VQH",
  "symbol": "ADX/USD", "order_qty": 81.36256082, "cum_cost": 0.0000000, "time_in_force": "GTC",
  "exec_type": "pending_new", "side": "buy", "order_type": "limit", "order_userref": 0, "limit_price_type": "static",
  "limit_price": 0.18328, "stop_price": 0.00000, "order_status": "pending_new", "fee_usd_equiv": 0.0000000,
  "fee_ccy_pref": "fciq", "timestamp": "2024-05-18T12:01:56.165888Z"}], "sequence": 120}""",
    "balances": """{"channel": "balances", "type": "snapshot", "data": [
  {"asset": "BTC", "asset_class": "currency", "balance": 1.2, "wallets": [
     {"type": "spot", "id": "main", "balance": 1.2}]},
  {"asset": "USD", "asset_class": "currency", "balance": 160.2405, "wallets": [
     {"type": "spot", "id": "main", "balance": 160.2405}, {"type": "earn", "id": "flex", "balance": 7}]},
  {"asset": "MATIC", "asset_class": "currency", "balance": 500.0, "wallets": [
     {"type": "earn", "id": "bonded", "balance": 500.0}]}], "sequence": 1}""",
    "balance": """{"channel": "balances", "type": "update", "data": [{"ledger_id": "DATKX6-PEHL1-HZKND8",
  "ref_id": "LKAKN2-N0N12-VKQNLN", "timestamp": "2024-05-24T14:01:53.526524Z", "type": "trade", "asset": "USD",
  "asset_class": "currency", "category": "trade", "wallet_type": "spot", "wallet_id": "main", "amount": -19.9743,
  "fee": 0.0499, "balance": 118.0677}], "sequence": 2}""",
    "ack": """{"method": "subscribe", "result": {"channel": "executions", "maxratecount": 125, "snap_orders": true,
  "snap_trades": true}, "success": true, "time_in": "2023-10-16T13:18:35.303171Z"}""",
    "status": """{"channel": "status", "type": "update", "data": [
  {"version": "2.0.10", "system": "maintenance", "api_version": "v2", "connection_id": 12393906104898154338}]}""",
}


def session():
    return KrakenPrivateSession(MARKETS, "TOKEN")


def life(exec_type, sequence, **more):
    """A partial message about the order of FRAMES["pending"]."""
    row = {
        "timestamp": "2024-05-18T12:58:51.121515Z",
        "exec_type": exec_type,
        "order_id": "AHOJQ8-1E72C-8M2VQH",
        **more,
    }
    return json.dumps({"channel": "executions", "type": "update", "data": [row], "sequence": sequence})


class TestStream:
    def test_it_stands_when_both_are_accepted(self):
        live = session()
        first, second = (json.loads(text) for text in live.opening(1_700_000_000_000))
        assert first["params"] == {"channel": "executions", "token": "TOKEN", "snap_orders": True, "snap_trades": False}
        assert second["params"] == {"channel": "balances", "token": "TOKEN", "snapshot": True}
        assert live.parse(FRAMES["ack"]) == []
        assert live.parse(FRAMES["ack"].replace("executions", "balances")) == [Ack(subscriptions=())]

    def test_refused(self):
        raw = '{"error":"ESession:Invalid session","method":"subscribe","success":false,"req_id":1}'
        [rejected] = session().parse(raw)
        assert (rejected.reason, rejected.code) == ("ESession:Invalid session", "ESession:Invalid session")

    def test_what_says_nothing(self):
        live = session()
        assert live.parse('{"channel":"heartbeat"}') == [Heartbeat()]
        assert live.parse('{"method":"pong","req_id":1}') == [Heartbeat()]
        assert live.parse(FRAMES["status"].replace("maintenance", "online")) == []
        assert live.parse(FRAMES["status"]) == [Notice(text="Kraken is in maintenance.")]
        assert json.loads(live.keepalive()) == {"method": "ping"}

    def test_a_fill(self):
        fill, order, changed = session().parse(FRAMES["trade"])
        assert fill == Fill(
            product="spot",
            symbol="BTC/USD",
            id="TGBB7L-HT5LX-J3BZ4A",
            order_id="OK4GJX-KSTLS-7DZZO5",
            side="sell",
            price=D("26599.9"),
            size=D("0.005"),
            fee=D("0.3458"),
            fee_asset="USD",
            maker=False,
            exchange_ms=1695378785709,
        )
        assert (order.status, order.filled, order.average) == ("partial", D("0.005"), D("26599.9"))
        assert isinstance(changed, AccountChanged)

    def test_a_fill_on_margin_is_told_as_one(self):
        frame = json.loads(FRAMES["trade"])
        frame["data"][0]["margin"] = True
        fill, *_ = session().parse(json.dumps(frame))
        assert fill.margin

    @pytest.mark.parametrize("fees", [[], [{"asset": "USD", "qty": 1}, {"asset": "BTC", "qty": 1}], None])
    def test_a_fee_that_is_not_one_sum_is_left_to_rest(self, fees):
        frame = json.loads(FRAMES["trade"])
        frame["data"][0]["fees"] = fees
        fill = session().parse(json.dumps(frame))[0]
        assert (fill.fee, fill.fee_asset) == (None, None)

    def test_partial_messages_are_completed(self):
        live = session()
        [order, _] = live.parse(FRAMES["pending"])
        assert order == Order(
            product="spot",
            symbol="ADX/USD",
            id="AHOJQ8-1E72C-8M2VQH",
            side="buy",
            type="limit",
            price=D("0.18328"),
            size=D("81.36256082"),
            filled=D(0),
            status="open",
            time_in_force="GTC",
            created_ms=1716033716165,
            updated_ms=1716033716165,
        )
        [order, _] = live.parse(life("new", 121, order_status="new"))
        assert (order.symbol, order.price, order.status) == ("ADX/USD", D("0.18328"), "open")
        [order, _] = live.parse(life("amended", 122, order_status="new", order_qty=5.10, limit_price=0.96))
        assert (order.size, order.price) == (D("5.1"), D("0.96"))
        trade = {"exec_id": "T1", "last_qty": 5.1, "last_price": 0.96, "cum_qty": 5.1, "avg_price": 0.96}
        fill, order, _ = live.parse(life("trade", 123, order_status="partially_filled", **trade))
        assert (fill.symbol, fill.side, fill.id, fill.maker, order.status) == ("ADX/USD", "buy", "T1", None, "partial")
        [order, _] = live.parse(life("filled", 124, order_status="filled", cum_qty=5.1))
        assert (order.status, order.filled, order.average, order.size) == ("filled", D("5.1"), D("0.96"), D("5.1"))
        assert live.parse(life("canceled", 125, order_status="canceled"))[:-1] == []  # it is known no more

    def test_an_execution_of_what_was_never_told(self):
        events = session().parse(life("trade", 1, exec_id="T1", last_qty=1, last_price=1))
        assert any(isinstance(event, Expired) for event in events)

    def test_a_market_that_is_not_listed(self):
        events = session().parse(FRAMES["trade"].replace("BTC/USD", "NEW/USD"))
        assert events[0] == UnknownMarket(product="spot", native="NEW/USD")
        assert not any(isinstance(event, Fill) for event in events)

    def test_a_missing_message(self):
        live = session()
        live.parse(FRAMES["pending"])
        assert not any(isinstance(event, Expired) for event in live.parse(life("new", 121, order_status="new")))
        live.parse(FRAMES["balances"])
        assert isinstance(live.parse(life("amended", 123, order_status="new"))[-1], Expired)
        assert not any(isinstance(event, Expired) for event in live.parse(FRAMES["balance"]))

    def test_balances_are_the_wallets_together(self):
        live = session()
        live.opening(5)
        told = {event.asset: event for event in live.parse(FRAMES["balances"])}
        assert {asset: event.total for asset, event in told.items()} == {
            "BTC": D("1.2"),
            "USD": D("167.2405"),
            "MATIC": D(500),
        }
        assert (told["USD"].asof_ms, told["USD"].free) == (5, None)
        balance, changed = live.parse(FRAMES["balance"])
        assert (balance.total, balance.asof_ms) == (D("125.0677"), 1716559313526)
        assert changed == AccountChanged(reason="balances trade", by_order=True)


USED = {
    f"{ENDPOINT}/Account/GetApiKeyInfo": "TestKey.test_rights",
    f"{ENDPOINT}/Account/GetAvailableBalances": "TestAnswers.test_balances",
    f"{ENDPOINT}/Account/GetOpenPositions": "TestAnswers.test_positions_are_put_together",
    f"{JSON}/SpotAccount/GetOpenPositionsAsync": "TestAnswers.test_positions_are_put_together",
    f"{ENDPOINT}/Trading/GetOpenOrders": "TestAnswers.test_open_orders",
    f"{JSON}/SpotTrading/GetOpenOrdersAsync": "TestAnswers.test_open_orders",
    **dict.fromkeys(
        (
            *(f"{ENDPOINT}/Trading/{name}" for name in ("GetClosedOrders", "GetOrders", "GetOrders2")),
            *(f"{JSON}/SpotTrading/{name}Async" for name in ("GetClosedOrders", "GetOrder")),
        ),
        "TestAnswers.test_closed_and_queried_orders",
    ),
    f"{ENDPOINT}/Trading/GetUserTrades": "TestAnswers.test_fills",
    f"{JSON}/SpotTrading/GetUserTradesAsync": "TestAnswers.test_fills_of_an_unlisted_pair_are_told",
    **dict.fromkeys(
        (
            *(f"{ENDPOINT}/Account/{name}" for name in ("GetDepositStatus", "GetWithdrawalStatus", "GetLedgerInfo")),
            *(f"{JSON}/SpotAccount/{name}Async" for name in ("GetDepositStatus", "GetLedgerInfo")),
        ),
        "TestAnswers.test_transfers",
    ),
    **dict.fromkeys(
        (
            *(f"{ENDPOINT}/Trading/{name}" for name in ("PlaceOrder", "CancelOrder", "CancelAllOrders")),
            *(f"{JSON}/SpotTrading/{name}Async" for name in ("PlaceOrder", "CancelOrder")),
        ),
        "TestAnswers.test_placed_and_cancelled",
    ),
}
NOT_ASKED = {
    "totals without what is held: BalanceEx tells both": (
        f"{ENDPOINT}/Account/GetBalances",
        f"{JSON}/SpotAccount/GetBalancesAsync",
    ),
    "where one may deposit or withdraw to is not shown": (
        *(
            f"{ENDPOINT}/Account/GetDepositAddresses",
            f"{ENDPOINT}/Account/GetDepositMethods",
            f"{ENDPOINT}/Account/GetWithdrawAddresses",
        ),
        *(
            f"{ENDPOINT}/Account/GetWithdrawAddressesAsync",
            f"{ENDPOINT}/Account/GetWithdrawInfo",
            f"{ENDPOINT}/Account/GetWithdrawMethods",
        ),
        *(f"{JSON}/SpotAccount/GetDepositAddressesAsync", f"{JSON}/SpotAccount/GetDepositMethodsAsync"),
        f"{JSON}/SpotAccount/GetWithdrawInfoAsync",
    ),
    "money is never moved": (
        *(
            f"{ENDPOINT}/Account/Withdraw",
            f"{ENDPOINT}/Account/CancelWithdrawal",
            f"{ENDPOINT}/Account/Transfer",
            f"{JSON}/SpotAccount/WithdrawAsync",
        ),
        *(f"{ENDPOINT}/Earn/AllocateEarnFunds", f"{ENDPOINT}/Earn/DeallocateEarnFunds"),
    ),
    "sums over the account in dollars are not shown": (
        *(f"{ENDPOINT}/Account/GetTradeBalance", f"{JSON}/SpotAccount/GetTradeBalanceAsync"),
        *(f"{ENDPOINT}/Account/GetTradeVolume", f"{JSON}/SpotAccount/GetTradeVolumeAsync"),
    ),
    "single entries by id; the lists tell them": (
        *(f"{ENDPOINT}/Account/GetLedgersEntry", f"{JSON}/SpotAccount/GetLedgersEntryAsync"),
        *(f"{ENDPOINT}/Trading/GetUserTradeDetails", f"{JSON}/SpotTrading/GetUserTradeDetailsAsync"),
    ),
    "earning: the balances of such wallets come with the others": (
        *(
            f"{ENDPOINT}/Earn/GetAllocationStatus",
            f"{ENDPOINT}/Earn/GetAllocations",
            f"{ENDPOINT}/Earn/GetDeallocationStatus",
            f"{ENDPOINT}/Earn/GetStrategies",
        ),
        f"{JSON}/SpotEarn/GetAllocationsAsync",
    ),
    "orders go one by one, and are not changed, but cancelled and placed": (
        *(
            f"{ENDPOINT}/Trading/CancelMultipleOrders",
            f"{ENDPOINT}/Trading/EditOrder",
            f"{ENDPOINT}/Trading/PlaceMultipleOrders",
        ),
    ),
    "its answer, when it will act, is not read": (f"{ENDPOINT}/Trading/CancelAllOrdersAfter",),
    "orders by WebSocket: ours go by REST": ("Socket/SpotApi/*",),
}


PARSERS = {
    "GetAvailableBalances": lambda api, raw: api.parse_balances(api.balances_requests()[0], raw, 1),
    "GetApiKeyInfo": lambda api, raw: api.parse_rights(raw),
    "GetOpenPositions": lambda api, raw: api.parse_positions(api.positions_requests()[0], raw, 1),
    "GetOpenOrders": lambda api, raw: api.parse_orders(api.orders_requests()[0], raw),
    "GetUserTrades": lambda api, raw: api.parse_fills(FILLS, None, raw, 1),
    "GetDepositStatus": lambda api, raw: api.parse_transfers(api.transfers_requests(1)[0], raw),
    "GetLedgerInfo": lambda api, raw: api.parse_transfers(api.transfers_requests(1)[2], raw),
}
ODD = [
    b"NaN",
    b"1e999",
    b"-1",
    b"null",
    b"{}",
    b"[]",
    b'"x"',
    b"0",
    b'"1e999999"',
    b'"NaN"',
    b"1e-99999",
    b"99999999999999",
]


def samples():
    """(parser's name, documented answer)."""
    found = []
    for name in PARSERS:
        for path in (SHARED / "fixtures/kraken/Endpoints/Spot").glob(f"*/{name}.txt"):
            found.append((name, answer(str(path.relative_to(SHARED / "fixtures/kraken").with_suffix("")))))
    return found + [("frame", text.encode()) for text in FRAMES.values()]


SAMPLES = samples()


@given(damaged(SAMPLES, ODD))
def test_what_is_damaged_is_a_parse_error_or_understood(sample):
    name, raw = sample
    try:
        if name == "frame":
            session().parse(raw)
        else:
            PARSERS[name](account(), raw)
    except ParseError:
        pass


DOCUMENTED = Documented("kraken", {f"{name}.txt": test for name, test in USED.items()}, because("", NOT_ASKED))
