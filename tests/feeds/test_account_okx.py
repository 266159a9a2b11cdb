"""OKX's private side: signatures, the key, the documented answers, pages of orders and fills."""

import json
from decimal import Decimal

import pytest

from feeds.account_domain import Balance, Fill, Order, Position, Transfer, UnknownMarket
from feeds.account_facts import facts_of
from feeds.accounts import REGISTRY
from feeds.accounts.okx import OkxAccount
from feeds.accounts.okx.api import PAGE, WEIGHTS, WINDOW_MS
from feeds.domain import Rejected
from feeds.errors import CredentialsError, ExchangeError, ParseError
from feeds.exchange import Paged, Request
from feeds.exchanges.okx import Okx
from feeds.trading import TradingApi
from tests.documented import Documented, because, below
from tests.feeds.okx_examples import KEY, NOW_MS, POSITION, account, answer, path, rows

STAMP = "2023-11-14T22:13:20.000Z"


def test_it_is_what_the_interfaces_ask_for():
    assert REGISTRY["okx"] is OkxAccount
    assert isinstance(account(), TradingApi)
    assert isinstance(account(), Paged)
    assert facts_of("okx").passphrase
    assert not facts_of("binance").passphrase


class TestSigning:
    """exchanges/okx.md section 7.1: three worked examples."""

    def test_1_get(self):
        signature = account().signature(STAMP, "GET", "/api/v5/account/balance?ccy=BTC,USDT")
        assert signature == "lH5WmIZ2RehWDmz24TuZz6hOYhDGZCDTyU/dCBK/Z00="

    def test_2_post(self):
        body = (
            b'{"instId":"BTC-USDT-SWAP","tdMode":"cross","side":"buy","ordType":"limit","px":"20000","sz":"1",'
            b'"clOrdId":"myorder1"}'
        )
        request = Request(path="/api/v5/trade/order", method="POST", product="private", json=body)
        assert dict(account().sign(request, NOW_MS).headers) == {
            "OK-ACCESS-KEY": KEY.key,
            "OK-ACCESS-SIGN": "aqYtjQcBE9A6sLzY284vy9myQLwpOIlFiw9LmKBaoLI=",
            "OK-ACCESS-TIMESTAMP": STAMP,
            "OK-ACCESS-PASSPHRASE": "dummy-pass",
        }

    def test_3_login(self):
        api = account()
        [message] = api.session(api.routes()[0], None).opening(NOW_MS + 999)
        assert json.loads(message) == {
            "op": "login",
            "args": [
                {
                    "apiKey": KEY.key,
                    "passphrase": "dummy-pass",
                    "timestamp": "1700000000",
                    "sign": "EKWcZsbHfhN6A/k1W0ICaK+lQpAY3nmY8Hg8QY6mL20=",
                }
            ],
        }

    def test_the_query_is_signed_as_it_is_sent(self):
        request = Request(path="/api/v5/trade/fills", params=(("a", "x y"), ("b", "1")), product="private")
        signed = dict(account().sign(request, NOW_MS).headers)["OK-ACCESS-SIGN"]
        assert signed == account().signature(STAMP, "GET", "/api/v5/trade/fills?a=x%20y&b=1")


class TestKey:
    def test_a_key_that_may_withdraw_is_named_so(self):
        rights = account().parse_rights(answer("Account/GetAccountConfiguration"))
        assert (rights.read, rights.trade, rights.withdraw, rights.withdraw_name) == (True, True, True, "withdraw")

    def test_rights(self):
        assert account().parse_rights(rows({"perm": "read_only"})).withdraw is False
        assert account().parse_rights(rows({"perm": ""})).withdraw is None

    def test_refusals(self):
        api = account()
        for code in ("60005", "60007", "60024", "60032"):
            assert isinstance(api.refusal(Rejected(subscriptions=(), reason="no", code=code)), CredentialsError)
        failed = api.refusal(Rejected(subscriptions=(), reason="Login failed.", code="60009"))
        assert type(failed) is ExchangeError
        late = Okx().error_of(401, b'{"code":"50102","msg":"Timestamp request expired.","data":[]}', {})
        assert api.clock_error(late)
        assert api.clock_error(api.refusal(Rejected(subscriptions=(), reason="late", code="60006")))
        assert not api.clock_error(failed)

    def test_clock(self):
        assert account().parse_time("private", rows({"ts": "1597026383085"})) == 1597026383085
        assert account().clocks() == ("private",)

    def test_another_regions_host_is_taken_for_accounts_too(self):
        moved = Okx({"spot.rest": "https://eea.okx.com/", "spot.ws": "wss://wseea.okx.com:8443"}).endpoints
        assert moved["private.rest"] == "https://eea.okx.com"
        assert moved["private.ws"] == "wss://wseea.okx.com:8443"
        assert moved["swap.rest"] == "https://openapi.okx.com"


class TestAnswers:
    def test_balances(self):
        api = account()
        trading, funding = api.balances_requests()
        assert api.parse_balances(trading, answer("Account/GetAccountBalance"), 7) == [
            Balance(
                product="trading",
                asset="USDT",
                total=Decimal("5000.435693622894"),
                strategies=Decimal(150),
                free=Decimal("4834.317093622894"),
                locked=Decimal("158.573"),
                asof_ms=7,
            )
        ]
        assert api.parse_balances(funding, answer("Account/GetFundingBalance"), 7) == [
            Balance(
                product="funding",
                asset="ETH",
                total=Decimal("37.11827078"),
                free=Decimal("37.11827078"),
                locked=Decimal(0),
                asof_ms=7,
            )
        ]
        assert [request.subject for request in (trading, funding)] == ["trading", "funding"]

    def test_what_the_accounts_mode_does_not_have_is_not_known(self):
        row = {"details": [{"ccy": "BTC", "cashBal": "-0.5", "availBal": "", "availEq": "0.25"}], "uTime": "1"}
        [balance] = account().parse_balances(account().balances_requests()[0], rows(row), 7)
        assert (balance.total, balance.free, balance.locked) == (Decimal("-0.5"), Decimal("0.25"), None)

    def test_what_isolated_positions_hold_is_the_accounts(self):
        """The documentation's example: equity is cash and what isolated positions hold, with their open profit."""
        told = {"ccy": "USDT", "eq": "99.89469657000001", "cashBal": "94.42612990333333", "stgyEq": "0"}
        told |= {"isoEq": "5.468566666666667", "isoUpl": "-0.0273000000000002", "upl": "-0.0273000000000002"}
        api = account()
        (balance,) = api.parse_balances(api.balances_requests()[0], rows({"details": [told]}), 7)
        assert balance.total + Decimal(told["upl"]) == pytest.approx(Decimal(told["eq"]), abs=Decimal("1e-12"))
        assert balance.strategies == 0

    def test_an_isolated_position_stands_beside_a_crossed_one(self):
        api = account()
        crossed = POSITION | {"mgnMode": "cross", "posSide": "net", "pos": "10"}
        isolated = POSITION | {"posSide": "net", "pos": "-5"}
        told = api.parse_positions(api.positions_requests()[0], rows(crossed, isolated), 7)
        assert [(p.side, p.apart, p.size) for p in told] == [
            ("both", "", Decimal(1)),
            ("both", "isolated", Decimal("-0.5")),
        ]

    def test_positions_in_base_currency(self):
        [position] = account().parse_positions(account().positions_requests()[0], rows(POSITION), 7)
        assert position == Position(
            product="swap",
            symbol="ETH/USDT:USDT",
            side="long",
            apart="isolated",
            size=Decimal("0.1"),
            entry=Decimal(3011),
            mark=Decimal("3010.54"),
            unrealised=Decimal("-0.0460000000000036"),
            liquidation=Decimal("2722.159673530889"),
            leverage=Decimal(10),
            margin=Decimal("30.11"),
            margin_mode="isolated",
            settle="USDT",
            asof_ms=7,
        )
        assert (position.mark - position.entry) * position.size == Decimal("-0.046")

    @pytest.mark.parametrize(
        ("side", "contracts", "ours", "size"),
        [
            ("net", "-3", "both", "-0.3"),
            ("net", "3", "both", "0.3"),
            ("short", "3", "short", "-0.3"),
            ("long", "0.5", "long", "0.05"),
        ],
    )
    def test_modes_of_positions(self, side, contracts, ours, size):
        told = rows(POSITION | {"posSide": side, "pos": contracts, "mgnMode": "cross", "imr": "5", "margin": ""})
        [position] = account().parse_positions(account().positions_requests()[0], told, 7)
        assert (position.side, position.size, position.margin) == (ours, Decimal(size), Decimal(5))

    def test_positions_of_what_is_not_listed_are_left_out(self):
        request = account().positions_requests()[0]
        assert account().parse_positions(request, answer("Account/GetAccountPositions"), 7) == []
        assert account().parse_positions(request, rows(POSITION | {"pos": "0"}), 7) == []

    def test_open_orders(self):
        api = account()
        [order] = api.parse_orders(api.orders_requests()[0], answer("Trading/GetOrders"))
        assert order == Order(
            product="spot",
            symbol="BTC/USDT",
            id="301835739059335168",
            side="buy",
            type="limit",
            price=Decimal(59200),
            size=Decimal(1),
            filled=Decimal(0),
            status="open",
            time_in_force="GTC",
            created_ms=1618235248028,
            updated_ms=1618235248028,
        )

    def test_algo_orders(self):
        api = account()
        request = next(r for r in api.orders_requests() if r.subject == "algo")
        [order] = api.parse_orders(request, answer("Trading/GetAlgoOrderList"))
        assert (order.product, order.symbol, order.id) == ("algo", "BTC/USDT", "algo-681096944655273984")
        assert (order.type, order.price, order.size, order.status) == ("trigger", None, Decimal(10), "open")
        assert (order.filled, order.created_ms, order.updated_ms) == (0, 1708658165774, 1708679675245)
        [trailing] = api.parse_orders(request, answer("Trading/GetAlgoOrder"))
        assert (trailing.type, trailing.updated_ms) == ("move_order_stop", 1708679675245)
        assert (trailing.id, trailing.size, trailing.filled) == ("algo-681187161907138560", 10, 0)
        assert trailing.created_ms == 1708679675244

    def test_an_order_by_value_has_the_size_that_was_filled(self):
        api = account()
        found = api.parse_orders(api.orders_requests()[0], answer("Trading/GetOrderHistory"))
        assert [(o.size, o.filled, o.average, o.status) for o in found] == [
            (Decimal("0.00192834"), Decimal("0.00192834"), Decimal(51858), "filled")
        ]
        assert [(o.id, o.created_ms, o.updated_ms) for o in found] == [
            ("680800019749904384", 1708587373361, 1708587373362)
        ]

    @pytest.mark.parametrize("name", ["Trading/GetUserTrades", "Trading/GetUserTradesArchive"])
    def test_fills(self, name):
        page = account().parse_fills("SPOT", None, answer(name), 0)
        assert page.fills == [
            Fill(
                product="spot",
                symbol="BTC/USDT",
                id="744876980",
                order_id="680800019749904384",
                side="buy",
                price=Decimal(51858),
                size=Decimal("0.00192834"),
                fee=Decimal("0.00000192834"),
                fee_asset="BTC",
                maker=False,
                position_side="both",
                exchange_ms=1708587373361,
            )
        ]
        assert (page.next, page.whole) == (None, True)

    def test_transfers(self):
        api = account()
        deposits, withdrawals, funding, *_ = api.transfers_requests(1_600_000_000_000)
        assert api.parse_transfers(deposits, answer("Account/GetDepositHistory")) == [
            Transfer(
                product="funding",
                id="88****33",
                kind="deposit",
                asset="USDT",
                amount=Decimal(1),
                exchange_ms=1674038705000,
            )
        ]
        assert api.parse_transfers(withdrawals, answer("Account/GetWithdrawalHistory")) == [
            Transfer(
                product="funding",
                id="15447421",
                kind="withdrawal",
                asset="ETH",
                amount=Decimal("-0.029809"),
                fee=Decimal("0.007"),
                exchange_ms=1655251200000,
            )
        ]
        assert api.parse_transfers(funding, answer("Account/GetFundingBillDetails")) == []  # its deposit is told above

    def test_states_of_transfers(self):
        api = account()
        deposits, withdrawals, *_ = api.transfers_requests(0)

        def states(request, id_name, *given):
            told = [{id_name: s, "ccy": "X", "amt": "1", "state": s, "ts": "1"} for s in given]
            return [t.status for t in api.parse_transfers(request, rows(*told))]

        assert states(deposits, "depId", "0", "1", "2", "8", "12") == ["pending", "done", "done", "pending", "pending"]
        assert states(withdrawals, "wdId", "-3", "-2", "-1", "0", "1", "2") == [
            *("pending", "failed", "failed", "pending", "pending", "done")
        ]

    def test_paths_are_the_documented_ones(self):
        api = account()
        requests = [
            *api.balances_requests(),
            *api.positions_requests(),
            *api.orders_requests(),
            *api.settings_requests(),
            *api.transfers_requests(0),
            api.fills_request("SPOT", None),
            api.fills_request("SPOT", "5"),
        ]
        names = (
            *("Account/GetAccountBalance", "Account/GetFundingBalance", "Account/GetAccountPositions"),
            *("Account/GetAccountConfiguration", "Account/GetDepositHistory", "Account/GetWithdrawalHistory"),
            "Account/GetBillHistory",
            *(
                "Account/GetFundingBillDetails",
                "Account/GetBillArchive",
                "Trading/GetOrders",
                "Trading/GetAlgoOrderList",
            ),
            *("Trading/GetUserTrades", "Trading/GetUserTradesArchive"),
        )
        api.sign(requests[0], NOW_MS)
        requests += [api.fills_request("SPOT", "5"), *api.transfers_requests(NOW_MS - 1)]
        assert {("GET", r.path) for r in requests} == {path(name) for name in names}

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "x", None, 5, "--1"])
    def test_what_is_no_number_is_refused(self, number):
        row = {"details": [{"ccy": "BTC", "cashBal": number}]}
        with pytest.raises(ParseError):
            account().parse_balances(account().balances_requests()[0], rows(row), 7)


# -- pages -----------------------------------------------------------------------------------------------------------


class History:
    """What the documentation says of ``/trade/fills``: newest first, ``after`` a bill, ``begin`` and ``end`` by ts."""

    def __init__(self, times, now_ms):
        self.rows = [
            {
                **{"instType": "SPOT", "instId": "BTC-USDT", "tradeId": str(n), "ordId": "1", "billId": str(10 + n)},
                **{"fillPx": "100", "fillSz": "1", "side": "buy", "fee": "-1", "feeCcy": "USDT", "execType": "T"},
                **{"fillTime": str(ms), "ts": str(ms)},
            }
            for n, ms in enumerate(times)
        ]
        self.now_ms = now_ms

    def ask(self, request):
        given = dict(request.params)
        begin, end = int(given["begin"]), int(given["end"])
        after = int(given.get("after", 2**62))
        chosen = [r for r in self.rows if begin < int(r["ts"]) < end and int(r["billId"]) < after]
        return rows(*reversed(chosen[-PAGE:]))


def read(api, history, cursor=None, settled_ms=None):
    """Read to the end; (fills, what would be stored as the cursor)."""
    fills, stored, stretch = [], cursor, []
    settled_ms = history.now_ms - 10_000 if settled_ms is None else settled_ms
    for _ in range(100):
        request = api.fills_request("SPOT", cursor)
        api.sign(request, history.now_ms)
        page = api.parse_fills("SPOT", cursor, history.ask(request), settled_ms)
        fills, stretch = fills + page.fills, page.fills + stretch
        if page.whole:
            done = [f for f in stretch if f.exchange_ms <= settled_ms]
            if page.reached and len(done) == len(stretch):
                stored = page.reached
            elif done:
                stored = api.cursor_of(done[-1])
            stretch = []
        if page.next is None:
            return fills, stored
        cursor = page.next
    raise AssertionError("no end")


class TestPagesOfFills:
    NOW = 1_700_000_000_000

    @pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE, 1000])
    @pytest.mark.parametrize("spread_ms", [0, 1, 3_600_000])
    def test_each_once_whatever_the_pages(self, count, spread_ms):
        """``spread_ms`` 0: all in one millisecond."""
        api, times = account(), [self.NOW - 20_000 - spread_ms * n for n in reversed(range(count))]
        api.sign(Request(path="/"), self.NOW)
        fills, stored = read(api, History(times, self.NOW))
        assert sorted(int(f.id) for f in fills) == list(range(count))
        again, _ = read(api, History(times, self.NOW), stored)
        assert len(again) <= max(1, count if not spread_ms else 1)

    def test_what_comes_later_is_read_from_the_cursor_on(self):
        api = account()
        api.sign(Request(path="/"), self.NOW)
        times = [self.NOW - 86_400_000 * 40 + n * 1000 for n in range(250)]
        fills, stored = read(api, History(times, self.NOW))
        later = History([*times, self.NOW + 5_000, self.NOW + 5_000, self.NOW + 6_000], self.NOW + 60_000)
        more, _ = read(api, later, stored)
        assert len(fills) == 250
        assert [f.id for f in more] == ["250", "251", "252"]

    def test_young_fills_move_no_cursor(self):
        api = account()
        api.sign(Request(path="/"), self.NOW)
        history = History([self.NOW - 60_000, self.NOW - 5_000], self.NOW)
        fills, stored = read(api, history)
        assert len(fills) == 2
        assert int(stored) == self.NOW - 60_000

    def test_recent_ones_are_asked_where_they_are_at_once(self):
        api = account()
        api.sign(Request(path="/"), self.NOW)
        assert api.fills_request("SPOT", str(self.NOW - 86_400_000)).path == "/api/v5/trade/fills"
        old = api.fills_request("SPOT", str(self.NOW - 5 * 86_400_000))
        assert (old.path, old.weight) == ("/api/v5/trade/fills-history", 6)
        within = f"{self.NOW - 5}:{self.NOW - 5 + WINDOW_MS}:77"
        assert dict(api.fills_request("SPOT", within).params)["after"] == "77"

    def test_a_market_that_is_not_listed_is_told(self):
        row = History([1], 2).rows[0] | {"instType": "SWAP", "instId": "BTC-USD-SWAP"}
        page = account().parse_fills("SWAP", None, rows(row), 0)
        assert (page.fills, page.unlisted) == ([], (UnknownMarket(product="swap", native="BTC-USD-SWAP"),))

    @pytest.mark.parametrize("cursor", ["x", "1:2", "1:x:3"])
    def test_a_cursor_that_is_none(self, cursor):
        if cursor == "1:2":
            assert account().fills_request("SPOT", cursor).params  # taken for its beginning
        else:
            with pytest.raises(ParseError):
                account().fills_request("SPOT", cursor)

    def test_lists(self):
        api = account()
        assert api.fill_lists() == ("SPOT", "MARGIN", "SWAP")
        assert [api.fill_list(s) for s in ("BTC/USDT", "BTC/USDT:USDT", "NO/NO")] == ["SPOT", "SWAP", "NO/NO"]
        assert [api.product_of(n) for n in ("MARGIN", "SWAP", "NO/NO")] == ["spot", "swap", None]
        assert account(products=("swap",)).fill_lists() == ("SWAP",)
        with pytest.raises(ExchangeError):
            api.fills_request("NO/NO", None)


class TestPagesOfOrders:
    def test_a_full_page_is_followed(self):
        api = account()
        request = api.orders_requests()[0]
        full = rows(*({"ordId": str(1000 - n)} for n in range(PAGE)))
        following = api.next_page(request, full)
        assert dict(following.params)["after"] == "901"
        assert following.subject == "spot"
        assert api.next_page(following, rows({"ordId": "900"})) is None
        with pytest.raises(ParseError, match="ends with it"):
            api.next_page(following, full)
        with pytest.raises(ParseError, match="without what to continue"):
            api.next_page(request, rows(*({} for _ in range(PAGE))))

    def test_only_lists_have_pages(self):
        api = account()
        assert api.next_page(api.balances_requests()[0], rows(*({} for _ in range(PAGE)))) is None


LIMITS = {  # documented, in two seconds and account
    **{"/api/v5/account/balance": 10, "/api/v5/account/positions": 10, "/api/v5/asset/balances": 12},
    **{"/api/v5/trade/orders-pending": 60, "/api/v5/trade/orders-algo-pending": 20, "/api/v5/account/config": 5},
}


class TestBudget:
    def test_eight_accounts_stay_below_half(self):
        api, poll_s, rare = account(), 5.0, 12
        often = [*api.balances_requests(), *api.positions_requests()]
        rarely = [*api.orders_requests(), *api.settings_requests()]
        for request in [*often, *rarely]:
            every_s = poll_s if request in often else poll_s * rare
            same = [r for r in [*often, *rarely] if r.path == request.path]
            assert len(same) * 2 / every_s <= LIMITS[request.path] / 2
            assert len(same) <= LIMITS[request.path] / 2  # all of one round in the same two seconds
        used = sum(r.weight for r in often) * 2 / poll_s + sum(r.weight for r in rarely) * 2 / (poll_s * rare)
        budget = Okx().budgets()["private"]
        assert (budget.limit, budget.per_s) == (60, 2)
        assert 8 * used < budget.limit / 2

    def test_pages_cannot_pass_their_own_limits(self):
        documented = {
            **{
                "/api/v5/public/time": 10,
                "/api/v5/trade/fills-history": 10,
                "/api/v5/account/bills": 10,
                "/api/v5/account/bills-archive": 5,
                "/api/v5/asset/bills": 12,
            },
            **{"/api/v5/asset/deposit-history": 12, "/api/v5/asset/withdrawal-history": 12},
        }
        allowed = {name: 60 // weight for name, weight in WEIGHTS.items()}
        assert allowed.pop("/api/v5/trade/orders-algo-pending") == 15  # of 20: two lists of seven, and room for jitter
        assert allowed == documented


DOCUMENTED = Documented(
    "okx",
    {
        f"Endpoints/UnifiedApi/{name}": test
        for test, names in {
            "TestKey.test_a_key_that_may_withdraw_is_named_so": below("Account", "GetAccountConfiguration"),
            "TestAnswers.test_balances": below("Account", "GetAccountBalance GetFundingBalance"),
            "TestAnswers.test_positions_of_what_is_not_listed_are_left_out": below("Account", "GetAccountPositions"),
            "TestAnswers.test_open_orders": below("Trading", "GetOrders"),
            "TestAnswers.test_algo_orders": below("Trading", "GetAlgoOrderList GetAlgoOrder"),
            "TestAnswers.test_an_order_by_value_has_the_size_that_was_filled": below("Trading", "GetOrderHistory"),
            "TestAnswers.test_fills": below("Trading", "GetUserTrades GetUserTradesArchive"),
            "TestAnswers.test_transfers": below(
                "Account",
                "GetDepositHistory GetWithdrawalHistory GetFundingBillDetails",
            ),
        }.items()
        for name in names
    },
    {
        "Endpoints/UnifiedApi/CopyTrading/*": "copied trading is not followed",
        "Endpoints/UnifiedApi/SubAccounts/*": "an account here is that of its key alone",
        **because(
            "Endpoints/UnifiedApi/Account/",
            {
                "money is never moved": ("CancelWithdrawal", "GetTransfer", "Transfer", "Withdraw"),
                "coins are not converted here": (
                    *("ConvertDust", "GetEasyConvertDustAssets", "GetEasyConvertDustHistory"),
                ),
                "loans are neither taken nor shown": (
                    *("GetBorrowInterestLimit", "GetBorrowRepayHistory", "GetInterestAccrued", "GetInterestRate"),
                    *("GetMaximumLoanAmount", "ManualBorrowRepay", "SetAutoRepay"),
                ),
                "savings are not followed": ("GetSavingBalances", "SavingPurchaseRedemption"),
                "where one may deposit to, and what one may withdraw, is not shown": (
                    *("GetDepositAddress", "GetLightningDeposits", "GetLightningWithdrawals", "GetMaximumWithdrawals"),
                ),
                "settings are the owner's": (
                    *("PrecheckAccountModeSwitchAsync", "PresetAccountModeSwitch", "SetAccountLeverage"),
                    *("SetAccountMode", "SetAccountPositionMode", "SetGreeks", "SetIsolatedMarginMode"),
                    "SetMarginAmount",
                ),
                "each position tells its leverage": ("GetAccountLeverage", "GetEstimatedLeverageInfo"),
                "positions that were closed are not shown": ("GetAccountPositionHistory",),
                "sums and risks over the whole account are not shown": (
                    *("GetAccountPositionRisk", "GetAccountRiskState", "GetAssetValuation"),
                ),
                "an affiliate's customers are not shown": ("GetAffiliateInviteeDetails",),
                "what the exchange says of coins is not asked for": ("GetAssets",),
                "older ones of the funding account: GET /api/v5/asset/bills is asked alone": ("GetFundingBillHistory",),
                "options are not followed": ("GetGreeks",),
                "how much could be bought is not asked for": ("GetMaximumAmount", "GetMaximumAvailableAmount"),
            },
        ),
        **because(
            "Endpoints/UnifiedApi/Trading/",
            {
                "orders are not changed, but cancelled and placed": (
                    *("AmendAlgoOrder", "AmendMultipleOrders", "AmendOrder"),
                ),
                "orders are placed one by one": ("PlaceMultipleOrders",),
                "algo orders are cancelled by POST /api/v5/trade/cancel-algos, and not placed": (
                    *("CancelAdvanceAlgoOrder", "PlaceAlgoOrder"),
                ),
                "orders are not tried out": ("CheckOrder",),
                "positions are closed by orders": ("ClosePosition",),
                "how many orders may be sent is not asked for": ("GetAccountRateLimit",),
                "orders that ended come by stream": ("GetAlgoOrderHistory", "GetOrderArchive"),
                "loans are neither taken nor shown": (
                    *("GetOneClickRepayCurrencyList", "GetOneClickRepayHistory", "OneClickRepay"),
                ),
            },
        ),
        "Socket/UnifiedApi/*": "orders by WebSocket: ours go by REST",
    },
)
