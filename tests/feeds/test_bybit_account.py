"""Bybit's private side: signatures, the key's rights, and its documented answers by their figures."""

import json
from decimal import Decimal
from typing import Any

import pytest

from feeds.account import AccountSpec, Credentials, KeyRights
from feeds.account_domain import Balance, Fill, Order, Position, UnknownMarket
from feeds.accounts import REGISTRY
from feeds.accounts.bybit import BybitAccount
from feeds.domain import Rejected
from feeds.errors import CredentialsError, ExchangeError, ParseError
from feeds.exchange import Request
from feeds.exchanges import create
from feeds.rest import encode
from tests.documented import Documented, because, below
from tests.feeds.bybit_examples import KEY, MARKETS, NOW_MS, account, answer, body, session
from tests.shared import shared_file

D = Decimal


def test_registry() -> None:
    spec = AccountSpec(id=1, exchange="bybit", label="Main", credentials=KEY, products=("spot",))
    assert isinstance(REGISTRY["bybit"](spec, MARKETS, create("bybit").endpoints), BybitAccount)


class TestSigning:
    """The worked examples of the protocol facts."""

    def test_1_get(self) -> None:
        params = (("accountType", "UNIFIED"), ("coin", "USDT"))
        signed = account().sign(Request(path="/v5/account/wallet-balance", params=params, product="unified"), NOW_MS)
        assert signed.params == params
        assert dict(signed.headers) == {
            "X-BAPI-API-KEY": KEY.key,
            "X-BAPI-TIMESTAMP": "1700000000000",
            "X-BAPI-RECV-WINDOW": "5000",
            "X-BAPI-SIGN": "f7e1fd06bd406f60c191b4c717035bd207e7f52a5a0e5b5ad2ee1780220f66a4",
        }

    def test_2_post(self) -> None:
        text = (
            b'{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.001","price":"20000",'
            b'"timeInForce":"GTC","orderLinkId":"my-order-1"}'
        )
        signed = account().sign(Request(path="/v5/order/create", method="POST", json=text, product="unified"), NOW_MS)
        expected = "1dfd4cf3e050c824433c737882f4afcbf5d59a69785421e9c2550b44b360c5f5"
        assert dict(signed.headers)["X-BAPI-SIGN"] == expected
        assert signed.json == text

    def test_3_login(self) -> None:
        [message] = session().opening(NOW_MS)
        assert json.loads(message) == {
            "req_id": "login",
            "op": "auth",
            "args": [
                KEY.key,
                1_700_000_010_000,
                "8af64ec93b921da6284c57da291fbf97c681077fd12485993707d75f291f0f6c",
            ],
        }

    def test_a_cursor_is_signed_as_it_is_sent(self) -> None:
        """It is percent-encoded text, and encoded once more."""
        api = account()
        first = api.orders_requests()[0]
        told = "page_args%3Dfd4300ae%26symbol%3D6%26"
        following = api.next_page(first, body({"list": [{}], "nextPageCursor": told}))
        assert following is not None
        sent = encode(following.params)
        assert sent.endswith("&cursor=page_args%253Dfd4300ae%2526symbol%253D6%2526")
        signed = dict(api.sign(following, NOW_MS).headers)["X-BAPI-SIGN"]
        assert signed == api.signature(f"{NOW_MS}{KEY.key}5000{sent}")


class TestKey:
    def test_rights(self) -> None:
        assert account().parse_rights(answer("Account/GetApiKeyInfo")) == KeyRights(
            read=True, trade=True, withdraw=False, withdraw_name="Wallet: Withdraw"
        )

    @pytest.mark.parametrize(
        ("told", "trade", "withdraw"),
        [
            ({"readOnly": 1, "permissions": {"Spot": ["SpotTrade"], "Wallet": []}}, False, False),
            ({"readOnly": 0, "permissions": {"Spot": [], "Wallet": ["AccountTransfer"]}}, False, False),
            ({"readOnly": 0, "permissions": {"Derivatives": ["DerivativesTrade"], "Wallet": ["Withdraw"]}}, True, True),
            ({"readOnly": 1, "permissions": {"Wallet": ["Withdraw"]}}, False, True),
            ({"readOnly": 0, "permissions": {"ContractTrade": ["Order"], "Wallet": None}}, True, False),
            ({"readOnly": 0, "permissions": {"ContractTrade": ["Order"]}}, True, None),
            ({}, None, None),
        ],
    )
    def test_what_it_may_do(self, told: Any, trade: bool | None, withdraw: bool | None) -> None:
        rights = account().parse_rights(body(told))
        assert (rights.trade, rights.withdraw) == (trade, withdraw)

    @pytest.mark.parametrize("code", [10003, 10004, 10005, 10010, 33004])
    def test_what_no_repetition_helps(self, code: int) -> None:
        refused = account().refusal(Rejected(subscriptions=(), reason="Invalid apikey", code=code))
        assert isinstance(refused, CredentialsError) and str(refused) == f"Invalid apikey ({code})"
        assert isinstance(create("bybit").error_of(200, body({}, retCode=code), {}), CredentialsError)

    def test_a_login_refused_without_a_code_may_have_come_late(self) -> None:
        api = account()
        refused = api.refusal(Rejected(subscriptions=(), reason="Params Error"))
        assert not isinstance(refused, CredentialsError) and api.clock_error(refused)
        other = api.refusal(Rejected(subscriptions=(), reason="system error", code=10016))
        assert not isinstance(other, CredentialsError) and not api.clock_error(other)

    def test_a_clock_error(self) -> None:
        error = create("bybit").error_of(200, body({}, retCode=10002), {})
        assert isinstance(error, ExchangeError) and account().clock_error(error)

    def test_the_clock(self) -> None:
        api = account()
        assert api.clocks() == ("unified",)
        assert (
            api.parse_time("unified", body({"timeSecond": "1700000000", "timeNano": "1700000000000000000"})) == NOW_MS
        )
        with pytest.raises(ParseError, match="time is missing"):
            api.parse_time("unified", b'{"retCode":0,"result":{}}')


class TestRequests:
    def asked(self, requests: list[Request]) -> list[tuple[str, str, str]]:
        return [(request.subject, request.path, encode(request.params)) for request in requests]

    def test_of_both_products(self) -> None:
        api = account()
        assert self.asked(api.balances_requests()) == [("unified", "/v5/account/wallet-balance", "accountType=UNIFIED")]
        assert self.asked(api.positions_requests()) == [
            ("linear", "/v5/position/list", "category=linear&settleCoin=USDT&limit=200"),
            ("linear", "/v5/position/list", "category=linear&settleCoin=USDC&limit=200"),
        ]
        assert self.asked(api.orders_requests()) == [
            ("linear", "/v5/order/realtime", "category=linear&settleCoin=USDT&limit=50"),
            ("linear", "/v5/order/realtime", "category=linear&settleCoin=USDC&limit=50"),
            ("spot", "/v5/order/realtime", "category=spot&limit=50"),
        ]
        assert api.routes()[0].subjects == ("unified", "spot", "linear")
        assert api.url(api.routes()[0], None) == "wss://stream.bybit.com/v5/private"

    def test_of_spot_alone(self) -> None:
        api = account(("spot",))
        assert api.positions_requests() == []
        assert self.asked(api.orders_requests()) == [("spot", "/v5/order/realtime", "category=spot&limit=50")]
        assert api.fill_lists() == ("spot",)

    def test_eight_accounts_stay_below_half_of_the_limit(self) -> None:
        """600 requests in 5 s for the address, and of those what we allow ourselves; 50 a second for one account."""
        api = account()
        polled = len(api.balances_requests()) + len(api.positions_requests()) + len(api.orders_requests()) * 5 / 60
        settings = len(api.settings_requests()) * 5 / 60
        budget = create("bybit").budgets()["unified"]
        assert 8 * (polled + settings) < budget.limit * budget.share / 2
        assert budget.limit * budget.share <= 600 / 2
        assert budget.limit * budget.share <= 5 * 50 * 8

    def test_a_key_passes_no_limit_of_an_endpoint_in_any_second(self) -> None:
        api = account()
        limits = api.key_limits
        log = Request(path="/v5/account/transaction-log", product="unified")
        for request, allowed in ((api.fills_request("spot", None), 50), (log, 25)):
            assert (limits.most + limits.decay_per_s) / api.key_cost(request) <= allowed

    def test_pages_end(self) -> None:
        api = account()
        request = api.orders_requests()[0]
        assert api.next_page(request, body({"list": [], "nextPageCursor": "x"})) is None
        assert api.next_page(request, body({"list": [{}], "nextPageCursor": ""})) is None
        assert api.next_page(request, body({"list": [{}]})) is None
        second = api.next_page(request, body({"list": [{}], "nextPageCursor": "x"}))
        assert second is not None and (second.subject, dict(second.params)["cursor"]) == ("linear", "x")
        assert api.next_page(second, body({"list": [{}], "nextPageCursor": "x"})) is None
        third = api.next_page(second, body({"list": [{}], "nextPageCursor": "y"}))
        assert third is not None and [value for name, value in third.params if name == "cursor"] == ["y"]
        assert api.next_page(api.balances_requests()[0], answer("Account/GetBalances")) is None


COIN = {
    "coin": "USDT",
    "equity": "990",
    "usdValue": "990",
    "walletBalance": "1000",
    "locked": "100",
    "spotBorrow": "50",
    "totalOrderIM": "20",
    "totalPositionIM": "30",
    "bonus": "5",
    "marginCollateral": True,
    "collateralSwitch": True,
}


class TestBalances:
    def parse(self, coin: dict[str, Any], margin_mode: str | None = "REGULAR_MARGIN", available: str = "") -> Balance:
        api = account(margin_mode=margin_mode)
        wallet = {"accountType": "UNIFIED", "totalAvailableBalance": available, "coin": [coin]}
        [balance] = api.parse_balances(api.balances_requests()[0], body({"list": [wallet]}), 7)
        return balance

    def test_the_documented_one_is_empty(self) -> None:
        api = account()
        assert api.parse_balances(api.balances_requests()[0], answer("Account/GetBalances"), 7) == []

    def test_what_is_borrowed_is_not_owned(self) -> None:
        assert self.parse(COIN) == Balance(
            product="unified", asset="USDT", total=D(950), free=D(895), locked=D(100), asof_ms=7
        )

    def test_isolated_margin_sets_margin_aside(self) -> None:
        assert self.parse(COIN, "ISOLATED_MARGIN").free == D(1000) - 100 - 20 - 30 - 5

    @pytest.mark.parametrize("mode", ["REGULAR_MARGIN", "PORTFOLIO_MARGIN"])
    def test_no_more_is_free_than_the_account_has(self, mode: str) -> None:
        assert self.parse(COIN, mode, "400").free == D(400)
        btc = COIN | {
            "coin": "BTC",
            "walletBalance": "2",
            "equity": "2",
            "usdValue": "60000",
            "locked": "0",
            "bonus": "",
        }
        assert self.parse(btc, mode, "15000").free == D("0.5")
        assert self.parse(btc | {"collateralSwitch": False}, mode, "15000").free == D(2)
        assert self.parse(btc | {"usdValue": "0"}, mode, "15000").free == D(2)
        assert self.parse(COIN | {"walletBalance": "-3"}, mode, "400").free == D(0)

    def test_before_the_margin_mode_is_known_nobody_knows(self) -> None:
        assert self.parse(COIN, None).free is None

    def test_the_documented_margin_mode(self) -> None:
        api = account(margin_mode=None)
        api.take_settings(api.settings_requests()[0], answer("Account/GetMarginAccountInfo"))
        wallet = {"accountType": "UNIFIED", "totalAvailableBalance": "1", "coin": [COIN]}
        [balance] = api.parse_balances(api.balances_requests()[0], body({"list": [wallet]}), 7)
        assert balance.free == D(1)

    @pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity", "1e999999999", "", "x", None, "1" * 40])
    def test_what_is_no_number_is_refused(self, number: Any) -> None:
        with pytest.raises(ParseError):
            self.parse(COIN | {"walletBalance": number})

    def test_digits_are_kept_exactly(self) -> None:
        digits = "123456789012345678.123456789012345678"
        assert self.parse(COIN | {"walletBalance": digits, "spotBorrow": "0.000000000000000001"}).total == D(
            "123456789012345678.123456789012345677"
        )


POSITION = {
    "positionIdx": 0,
    "symbol": "BTCUSDT",
    "side": "Sell",
    "size": "0.300",
    "avgPrice": "27464.50441675",
    "leverage": "10",
    "markPrice": "28224.50",
    "liqPrice": "",
    "positionIM": "823.9",
    "unrealisedPnl": "-228.0",
}


class TestPositions:
    def parse(self, raw: bytes) -> list[Position]:
        api = account()
        return api.parse_positions(api.positions_requests()[0], raw, 7)

    def test_the_documented_one(self) -> None:
        """It is an inverse contract, which is not listed here: shown by Bybit's name."""
        assert self.parse(answer("Trading/GetPositions")) == [
            Position(
                product="linear",
                symbol="BTCUSD@linear",
                side="both",
                size=D(-300),
                entry=D("27464.50441675"),
                mark=D("28224.50"),
                unrealised=D("-0.00029413"),
                leverage=D(10),
                margin=D("0.00010923"),
                margin_mode="cross",
                asof_ms=7,
            )
        ]

    @pytest.mark.parametrize(("name", "sizes"), [("", [D(-299)]), ("2", [])])
    def test_other_documented_ones(self, name: str, sizes: list[Decimal]) -> None:
        raw = shared_file(f"fixtures/bybit/JsonResponses/V5/Trading/GetPositionsAsync{name}.txt").read_bytes()
        told = self.parse(raw)
        assert [position.size for position in told] == sizes
        for each in told:
            assert (each.side, each.entry, each.mark) == ("both", D("30004.5006751"), D("26926.00"))
            assert (each.unrealised, each.margin) == (D("0.00113932"), D("0.00009965"))
            assert (each.liquidation, each.leverage) == (D("999999.00"), 10)

    def test_a_short_one(self) -> None:
        [position] = self.parse(body({"list": [POSITION]}))
        assert (position.symbol, position.side, position.size) == ("BTC/USDT:USDT", "both", D("-0.300"))
        assert (position.entry, position.liquidation, position.margin) == (D("27464.50441675"), None, D("823.9"))
        assert (position.settle, position.margin_mode) == ("USDT", "cross")

    def test_hedge_mode_has_two_rows(self) -> None:
        rows = [POSITION | {"positionIdx": 1, "side": "Buy"}, POSITION | {"positionIdx": 2, "liqPrice": "31000.5"}]
        long, short = self.parse(body({"list": rows}))
        assert (long.side, long.size) == ("long", D("0.300"))
        assert (short.side, short.size, short.liquidation) == ("short", D("-0.300"), D("31000.5"))

    def test_portfolio_margin_tells_neither_leverage_nor_margin(self) -> None:
        [position] = self.parse(body({"list": [POSITION | {"leverage": "", "positionIM": ""}]}))
        assert (position.leverage, position.margin) == (None, None)

    def test_a_size_needs_a_side(self) -> None:
        with pytest.raises(ParseError, match="without a side"):
            self.parse(body({"list": [POSITION | {"side": ""}]}))


class TestOrders:
    def parse(self, raw: bytes, product: str = "linear") -> list[Order]:
        api = account()
        return api.parse_orders(next(r for r in api.orders_requests() if r.subject == product), raw)

    def test_the_documented_one(self) -> None:
        assert self.parse(answer("Trading/GetOrders")) == [
            Order(
                product="linear",
                symbol="ETH/USDT:USDT",
                id="fd4300ae-7847-404e-b947-b46980a4d140",
                client_id="test-000005",
                side="buy",
                type="limit",
                price=D("1600.00"),
                size=D("0.10"),
                filled=D("0.00"),
                status="open",
                time_in_force="GTC",
                created_ms=1684738540559,
                updated_ms=1684738540561,
            )
        ]

    def test_an_ended_one(self) -> None:
        [order] = self.parse(answer("Trading/GetOrderHistory"))
        assert (order.status, order.time_in_force, order.price) == ("canceled", "PostOnly", D("26864.40"))
        assert (order.size, order.filled, order.average) == (D("0.003"), 0, None)
        assert (order.created_ms, order.updated_ms) == (1684476068369, 1684476068372)

    def row(self, product: str = "linear", **more: Any) -> Order:
        row = {
            "orderId": "1",
            "symbol": "BTCUSDT",
            "side": "Buy",
            "orderType": "Limit",
            "price": "100",
            "qty": "2",
            "orderStatus": "New",
            "updatedTime": "5",
            "cumExecQty": "0.5",
            "stopOrderType": "UNKNOWN",
            **more,
        }
        [order] = self.parse(body({"list": [row]}), product)
        return order

    @pytest.mark.parametrize(
        ("told", "status"),
        [
            ("New", "open"),
            ("PartiallyFilled", "partial"),
            ("Untriggered", "open"),
            ("Triggered", "open"),
            ("Filled", "filled"),
            ("Cancelled", "canceled"),
            ("PartiallyFilledCanceled", "canceled"),
            ("Deactivated", "canceled"),
            ("Rejected", "rejected"),
            ("Pending", "pending"),
        ],
    )
    def test_status_words(self, told: str, status: str) -> None:
        assert self.row(orderStatus=told).status == status

    def test_a_market_order_has_no_price(self) -> None:
        order = self.row(orderType="Market", price="27000.0", avgPrice="101")
        assert (order.type, order.price, order.average, order.size) == ("market", None, D(101), D(2))

    def test_a_purchase_by_value_tells_its_size_by_its_fills(self) -> None:
        assert self.row("spot", orderType="Market", qty="5000").size == D("0.5")
        assert self.row("spot", orderType="Market", qty="2", marketUnit="baseCoin").size == D(2)
        assert self.row("spot", orderType="Market", qty="2", side="Sell").size == D(2)
        assert self.row("spot", orderType="Market", qty="9", side="Sell", marketUnit="quoteCoin").size == D("0.5")

    def test_a_conditional_order(self) -> None:
        assert self.row(stopOrderType="TrailingStop", orderStatus="Untriggered").type == "trailingstop"


EXECUTION = {
    "symbol": "BTCUSDT",
    "execId": "e1",
    "execType": "Trade",
    "execTime": "1672282722429",
    "orderId": "o1",
    "orderLinkId": "mine",
    "side": "Buy",
    "execPrice": "100.5",
    "execQty": "2",
    "execFee": "0.1",
    "feeRate": "0.001",
    "feeCurrency": "",
    "isMaker": False,
}


class TestFills:
    def parse(self, raw: bytes, product: str = "linear") -> Any:
        return account().parse_fills(product, "1672000000000", raw, 1_700_000_000_000)

    def fill(self, product: str = "linear", **more: Any) -> Fill:
        [fill] = self.parse(body({"list": [EXECUTION | more]}), product).fills
        return fill

    def test_the_documented_one(self) -> None:
        page = self.parse(answer("Trading/GetUserTrades"))
        assert page.fills == [
            Fill(
                product="linear",
                symbol="ETH/USDC:USDC",
                id="e0cbe81d-0f18-5866-9415-cf319b5dab3b",
                order_id="8c065341-7b52-4ca9-ac2c-37e31ac55c94",
                side="buy",
                price=D("1190.15"),
                size=D("0.1"),
                fee=D("0.071409"),
                fee_asset="USDC",
                maker=False,
                exchange_ms=1672282722429,
            )
        ]
        assert (page.next, page.whole) == ("1672000000000,1672604800000,132766%3A2%2C132766%3A2", False)

    @pytest.mark.parametrize(
        ("side", "maker", "rate", "asset"),
        [
            ("Buy", False, "0.001", "BTC"),
            ("Sell", False, "0.001", "USDT"),
            ("Buy", True, "0.001", "BTC"),
            ("Sell", True, "0.001", "USDT"),
            ("Buy", True, "-0.0001", "USDT"),
            ("Sell", True, "-0.0001", "BTC"),
            ("Buy", False, "-0.0001", "BTC"),
        ],
    )
    def test_the_coin_of_a_spot_fee_where_it_is_left_out(self, side: str, maker: bool, rate: str, asset: str) -> None:
        assert self.fill("spot", side=side, isMaker=maker, feeRate=rate).fee_asset == asset
        assert self.fill("spot", side=side, isMaker=maker, feeRate=rate, feeCurrency="MNT").fee_asset == "MNT"

    def test_a_fee_that_is_not_told(self) -> None:
        fill = self.fill(execFee="")
        assert (fill.fee, fill.fee_asset) == (None, None)

    def test_the_spot_leg_of_a_spread_has_its_own_fee(self) -> None:
        assert self.fill("spot", execType="FutureSpread", execFee="", execFeeV2="0.3").fee == D("0.3")

    @pytest.mark.parametrize("kind", ["Trade", "AdlTrade", "BustTrade", "BlockTrade", "Delivery", "Settle"])
    def test_what_moves_a_position_is_a_fill(self, kind: str) -> None:
        assert self.fill(execType=kind).size == D(2)

    @pytest.mark.parametrize("kind", ["Funding", "CorporateAction", "UNKNOWN", "SomethingNew"])
    def test_what_does_not_is_none(self, kind: str) -> None:
        assert self.parse(body({"list": [EXECUTION | {"execType": kind}]})).fills == []

    def test_a_market_that_is_not_listed(self) -> None:
        page = self.parse(body({"list": [EXECUTION | {"symbol": "NEWUSDT"}, EXECUTION]}))
        assert page.unlisted == (UnknownMarket(product="linear", native="NEWUSDT"),)
        assert len(page.fills) == 1

    def test_lists_and_markets(self) -> None:
        api = account()
        assert api.fill_lists() == ("spot", "linear")
        assert api.fill_list("BTC/USDT:USDT") == "linear" and api.fill_list("BTC/USDT") == "spot"
        assert api.product_of("linear") == "linear" and api.product_of("OLD/USDT") is None
        with pytest.raises(ExchangeError, match="no market OLD/USDT"):
            api.fills_request(api.fill_list("OLD/USDT"), None)


def test_credentials_are_not_shown() -> None:
    assert "SECRET" not in repr(Credentials(KEY.key, KEY.secret))


DOCUMENTED = Documented(
    "bybit",
    {
        **{
            f"Endpoints/V5Api/{name}": test
            for test, names in {
                "TestKey.test_rights": below("Account", "GetApiKeyInfo"),
                "TestBalances.test_the_documented_one_is_empty": below("Account", "GetBalances"),
                "TestBalances.test_the_documented_margin_mode": below("Account", "GetMarginAccountInfo"),
                "TestPositions.test_the_documented_one": below("Trading", "GetPositions"),
                "TestOrders.test_the_documented_one": below("Trading", "GetOrders"),
                "TestOrders.test_an_ended_one": below("Trading", "GetOrderHistory"),
                "TestFills.test_the_documented_one": below("Trading", "GetUserTrades"),
            }.items()
            for name in names
        },
        **dict.fromkeys(
            below("JsonResponses/V5/Trading", "GetPositionsAsync GetPositionsAsync2"),
            "TestPositions.test_other_documented_ones",
        ),
    },
    {
        "Endpoints/V5Api/CryptoLoan/*": "loans are neither taken nor shown",
        "Endpoints/V5Api/Earn/*": "earning: nothing is put into it, and what is there is not followed",
        "JsonResponses/V5/SubAccount/*": "an account here is that of its key alone",
        "Socket/V5Api/Private/*": "orders by WebSocket: ours go by REST",
        **because(
            "Endpoints/V5Api/Account/",
            {
                "coins are not converted here": ("*Convert*", "*SmallBalance*"),
                "loans are neither taken nor shown": ("GetBorrow*", "RepayLiabilities"),
                "margin of spot is not managed here": ("*SpotMargin*",),
                "options are not followed": ("GetAssetGreeks", "GetOptionAssetInfo"),
                "spreads are not followed": ("GetSpreadMaxOrderQuantity",),
                "a broker's own figures": ("GetBroker*",),
                "settings are the owner's": (
                    *("AddOrReduceMargin", "SetAutoAddMargin", "SetCollateralAsset", "SetLeverage", "SetMarginMode"),
                    *("SetMultipleCollateralAssets", "SetPriceLimitBehavior", "SetRiskLimit", "SetSpotHedgingMode"),
                    *("SetTakeProfitStopLossMode", "SignAgreement", "Switch*"),
                ),
                "keys are not managed here": ("DeleteApiKey", "EditApiKey"),
                "instruments come by the public side": ("GetAccountSpotSymbols",),
                "which wallets an account has: the unified one is asked by its name": ("GetAccountTypes",),
                "sums over trades and wallets are not shown": ("GetAnalysisTradeInfo", "GetAssetOverview"),
                "what the exchange says of coins is not asked for": ("GetAssetInfo", "GetCollateralInfo"),
                "fees are told with each fill": ("GetFeeRate",),
                "of the funding wallet, which is not followed": (
                    *("GetDelayedWithdrawQuantity", "GetFundingTransactionHistory", "GetWithdrawAddressList"),
                ),
                "of the funding wallet: what leaves the followed one is a transfer before": ("GetWithdrawals",),
                "money is never moved": ("CancelWithdrawal", "Withdraw"),
            },
        ),
        **because(
            "Endpoints/V5Api/Trading/",
            {
                "spreads are not followed": ("*Spread*",),
                "leveraged tokens are not shown": ("*LeverageToken*",),
                "orders go one by one": ("CancelMultipleOrders", "PlaceMultipleOrders"),
                "orders are not changed, but cancelled and placed": ("EditMultipleOrders", "EditOrder"),
                "conversions are told by the wallet": ("GetAssetExchangeHistory",),
                "loans are neither taken nor shown": ("GetBorrowQuota",),
                "profit is reckoned from fills": ("GetClosedProfitLoss",),
                "deliveries are executions too": ("GetDeliveryHistory",),
                "sessions are told by wallet and position": ("GetSettlementHistory",),
                "orders are not tried out": ("PreCheckOrder",),
                "is not used: see trading.py": ("SetDisconnectCancelAll",),
                "stops of a position are not set here": ("SetTradingStop",),
            },
        ),
        **because(
            "JsonResponses/V5/",
            {
                "settings are the owner's": ("Account/AddOrReduceMarginAsync",),
                "which wallets an account has: the unified one is asked by its name": ("Account/GetAccountTypesAsync",),
                "a broker's own figures": ("Account/GetBroker*",),
                "of the funding wallet, which is not followed": ("Account/GetInternalDepositsAsync",),
                "leveraged tokens are not shown": ("Trading/*LeverageToken*",),
            },
        ),
    },
)
