"""Binance's account answers by REST: the documented examples, and what is hard about them."""

import json
from decimal import Decimal

import pytest

from feeds.account_domain import Balance, Fill, Order, Position
from feeds.errors import ExchangeError, ParseError
from tests.documented import Documented, because
from tests.feeds.binance_examples import account, answer, socket_result

NOW_MS = 1_800_000_000_000


class TestBalances:
    def test_spot(self):
        api = account()
        request = api.balances_requests()[0]
        balances = api.parse_balances(request, answer("Spot/Account/GetAccountInfo"), 7)
        assert balances == [
            Balance(
                product="spot",
                asset="BTC",
                total=Decimal("4723846.89208129"),
                free=Decimal("4723846.89208129"),
                locked=Decimal("0.00000000"),
                asof_ms=7,
            ),
            Balance(
                product="spot",
                asset="LTC",
                total=Decimal("4763368.68006011"),
                free=Decimal("4763368.68006011"),
                locked=Decimal("0.00000000"),
                asof_ms=7,
            ),
        ]

    def test_spot_total_is_free_and_locked_and_zero_is_left_out(self):
        api = account()
        balances = api.parse_balances(api.balances_requests()[0], socket_result("Spot/Account/GetAccountInfo"), 7)
        assert {b.asset: (b.total, b.free, b.locked) for b in balances} == {
            "BTC": (Decimal("1.4307112"), Decimal("1.3447112"), Decimal("0.086")),
            "USDT": (Decimal("1021.21"), Decimal("1021.21"), Decimal(0)),
        }

    @pytest.mark.parametrize("body", ["answer", "socket"])
    def test_usdm(self, body):
        api = account()
        request = api.balances_requests()[1]
        raw = (
            answer("UsdFutures/Account/GetBalances")
            if body == "answer"
            else socket_result("UsdFutures/Account/GetBalances")
        )
        assert api.parse_balances(request, raw, 7) == [
            Balance(
                product="usdm",
                asset="USDT",
                total=Decimal("122607.35137903"),
                free=Decimal("23.72469206"),
                asof_ms=7,
            )
        ]

    def test_digits_are_kept_exactly(self):
        row = {"asset": "SHIB", "free": "123456789012345678.123456789012345678", "locked": "0.000000000000000001"}
        raw = json.dumps({"balances": [row]}).encode()
        [balance] = account().parse_balances(account().balances_requests()[0], raw, 7)
        assert balance.total == Decimal("123456789012345678.123456789012345679")

    @pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity", "1e999999999", "", "x", None])
    def test_what_is_no_number_is_refused(self, number):
        raw = json.dumps({"balances": [{"asset": "BTC", "free": number, "locked": "0"}]}).encode()
        with pytest.raises(ParseError):
            account().parse_balances(account().balances_requests()[0], raw, 7)


class TestPositions:
    def parse(self, raw, settings=None, asof_ms=7):
        api = account()
        if settings is not None:
            api.take_settings(api.settings_requests()[0], settings)
        return api.parse_positions(api.positions_requests()[0], raw, asof_ms)

    def test_hedge_mode_and_zero_left_out(self):
        """The example is of 2022 (it names leverage itself): today's lacks it, so ours comes from symbolConfig."""
        settings = answer("UsdFutures/Account/GetSymbolConfiguration")
        assert self.parse(answer("UsdFutures/Trading/GetPositions"), settings) == [
            Position(
                product="usdm",
                symbol="BTC/USDT:USDT",
                side="long",
                size=Decimal("0.001"),
                entry=Decimal("22185.2"),
                mark=Decimal("21123.05052574"),
                unrealised=Decimal("-1.06214947"),
                liquidation=Decimal("19731.45529116"),
                leverage=Decimal(21),
                margin_mode="cross",
                settle="USDT",
                asof_ms=7,
            )
        ]

    def test_one_way_short_isolated_without_settings(self):
        raw = b"""[{"symbol": "ADAUSDT", "positionSide": "BOTH", "positionAmt": "-30", "entryPrice": "0.385",
            "breakEvenPrice": "0.385077", "markPrice": "0.41047590", "unRealizedProfit": "-0.76427700",
            "liquidationPrice": "0", "isolatedMargin": "2.5", "notional": "-12.31427700", "marginAsset": "USDT",
            "isolatedWallet": "2.5", "initialMargin": "0.61571385", "maintMargin": "0.08004280", "adl": 2,
            "updateTime": 1720736417660}]"""
        [position] = self.parse(raw)
        assert position.symbol == "ADA/USDT:USDT"
        assert (position.side, position.size) == ("both", Decimal(-30))
        assert (position.liquidation, position.leverage, position.margin_mode) == (None, None, "isolated")

    def test_none_open(self):
        assert self.parse(answer("UsdFutures/Account/GetPositionInformation")) == []


class TestOrders:
    def test_spot(self):
        api = account()
        assert api.parse_orders(api.orders_requests()[0], answer("Spot/Trading/GetOpenOrders")) == [
            Order(
                product="spot",
                symbol="LTC/BTC",
                id="1",
                client_id="myOrder1",
                side="buy",
                type="limit",
                price=Decimal("0.1"),
                size=Decimal("1.0"),
                filled=Decimal("0.0"),
                average=None,
                status="open",
                time_in_force="GTC",
                created_ms=1499827319559,
                updated_ms=1499827319559,
            )
        ]

    def test_spot_average_of_a_part(self):
        api = account()
        [order] = api.parse_orders(api.orders_requests()[0], socket_result("Spot/Trading/GetOpenOrders"))
        assert order.status == "partial"
        assert order.filled == Decimal("0.00720000")
        assert order.average == Decimal("23949.90416666667")  # 172.43931 / 0.0072, cut at 16 digits
        assert (order.created_ms, order.updated_ms) == (1660801715639, 1660801717945)

    def test_negative_quote_amount_means_not_known(self):
        api = account()
        rows = json.loads(socket_result("Spot/Trading/GetOpenOrders"))
        rows[0]["cummulativeQuoteQty"] = "-1.00000000"
        [order] = api.parse_orders(api.orders_requests()[0], json.dumps(rows).encode())
        assert order.average is None

    def test_usdm(self):
        api = account()
        [order] = api.parse_orders(api.orders_requests()[1], answer("UsdFutures/Trading/GetOpenOrders"))
        assert order == Order(
            product="usdm",
            symbol="BTC/USDT:USDT",
            id="1917641",
            client_id="abc",
            side="buy",
            type="trailing_stop_market",
            price=None,
            size=Decimal("0.40"),
            filled=Decimal(0),
            average=None,
            status="open",
            reduce_only=True,  # it buys for the short position of hedge mode, though "reduceOnly" is false
            time_in_force="GTC",
            created_ms=1579276756075,
            updated_ms=1579276756075,
        )

    def test_usdm_conditional(self):
        api = account()
        [order] = api.parse_orders(api.orders_requests()[2], answer("UsdFutures/Trading/GetOpenConditionalOrders"))
        assert order == Order(
            product="usdm",
            symbol="BNB/USDT:USDT",
            id="algo-2148627",
            client_id="MRumok0dkhrP4kCm12AHaB",
            side="sell",
            type="take_profit",
            price=Decimal("750.000"),
            size=Decimal("0.01"),
            filled=Decimal(0),
            average=None,
            status="open",
            time_in_force="GTC",
            created_ms=1750514941540,
            updated_ms=1750514941540,
        )

    def test_usdm_conditional_that_was_triggered(self):
        api = account()
        [order] = api.parse_orders(api.orders_requests()[2], answer("UsdFutures/Trading/GetConditionalOrders"))
        assert (order.status, order.filled, order.average) == ("finished", Decimal("0.002"), Decimal("69067.60000"))
        assert (order.id, order.size, order.price) == ("algo-1000001270850379", Decimal("0.002"), None)
        assert (order.created_ms, order.updated_ms) == (1775461924247, 1775461936135)
        assert order.reduce_only


class TestFills:
    def test_spot(self):
        page = account().parse_fills("BNB/BTC", None, answer("Spot/Trading/GetUserTrades"), NOW_MS)
        assert (page.next, page.whole) == (None, True)
        assert page.fills == [
            Fill(
                product="spot",
                symbol="BNB/BTC",
                id="28457",
                order_id="100234",
                side="buy",
                price=Decimal("4.00000100"),
                size=Decimal("12.00000000"),
                fee=Decimal("10.10000000"),
                fee_asset="BNB",
                maker=False,
                exchange_ms=1499865549590,
            )
        ]

    def test_spot_maker_without_fee(self):
        page = account().parse_fills("BTC/USDT", None, socket_result("Spot/Trading/GetUserTrades"), NOW_MS)
        assert [(f.id, f.side, f.price, f.size, f.fee, f.maker) for f in page.fills] == [
            ("1650422481", "sell", Decimal("23416.1"), Decimal("0.00635"), Decimal(0), True),
            ("1650422482", "sell", Decimal("23416.5"), Decimal("0.00212"), Decimal(0), True),
        ]

    def test_usdm(self):
        """Documented with a negative commission: since then positive means charged, so this is read as a rebate."""
        page = account().parse_fills("BTC/USDT:USDT", None, answer("UsdFutures/Trading/GetUserTrades"), NOW_MS)
        assert page.fills == [
            Fill(
                product="usdm",
                symbol="BTC/USDT:USDT",
                id="698759",
                order_id="25851813",
                side="sell",
                price=Decimal("7819.01"),
                size=Decimal("0.002"),
                fee=Decimal("-0.07819010"),
                fee_asset="USDT",
                maker=False,
                realised=Decimal("-0.91539999"),
                position_side="short",
                exchange_ms=1569514978020,
            )
        ]

    def test_request_continues_after_the_cursor(self):
        api = account()
        first = api.fills_request("BTC/USDT", None)
        assert (first.path, first.weight) == ("/api/v3/myTrades", 20)
        assert dict(first.params) == {"symbol": "BTCUSDT", "fromId": "0", "limit": "1000"}
        later = api.fills_request("BTC/USDT:USDT", "698759")
        assert (later.path, later.weight) == ("/fapi/v1/userTrades", 5)
        assert dict(later.params) == {"symbol": "BTCUSDT", "fromId": "698760", "limit": "1000"}

    def test_a_full_page_is_followed_by_another(self):
        [row] = json.loads(answer("Spot/Trading/GetUserTrades"))
        rows = [row | {"id": 5000 - number} for number in range(1000)]  # whatever order they come in
        api = account()
        page = api.parse_fills("BNB/BTC", None, json.dumps(rows).encode(), NOW_MS)
        assert [fill.id for fill in page.fills[:2]] == ["4001", "4002"]
        assert page.next == "5000" == api.cursor_of(page.fills[-1])

    def test_a_market_that_is_not_listed_any_more(self):
        api = account()
        assert api.product_of("NO/SUCH") is None
        with pytest.raises(ExchangeError, match="lists no market NO/SUCH"):
            api.fills_request("NO/SUCH", None)

    def test_candidates_are_listed_pairs_of_what_spot_holds(self):
        def balance(product, asset):
            return Balance(product=product, asset=asset, total=Decimal(1), asof_ms=1)

        held = [balance("spot", "BTC"), balance("spot", "LTC"), balance("usdm", "BNB"), balance("spot", "XYZ")]
        assert account().candidates(held) == {"BTC/USDT", "BTC/USDC", "LTC/USDT", "LTC/BTC"}


DOCUMENTED = Documented(
    "binance",
    {
        "Endpoints/Spot/Account/GetAccountInfo.txt": "TestBalances.test_spot",
        "Socket/Spot/Account/GetAccountInfo.txt": (
            "TestBalances.test_spot_total_is_free_and_locked_and_zero_is_left_out"
        ),
        "Endpoints/UsdFutures/Account/GetBalances.txt": "TestBalances.test_usdm",
        "Socket/UsdFutures/Account/GetBalances.txt": "TestBalances.test_usdm",
        "Endpoints/UsdFutures/Account/GetSymbolConfiguration.txt": "TestPositions.test_hedge_mode_and_zero_left_out",
        "Endpoints/UsdFutures/Trading/GetPositions.txt": "TestPositions.test_hedge_mode_and_zero_left_out",
        "Endpoints/UsdFutures/Account/GetPositionInformation.txt": "TestPositions.test_none_open",
        "Endpoints/Spot/Trading/GetOpenOrders.txt": "TestOrders.test_spot",
        "Socket/Spot/Trading/GetOpenOrders.txt": "TestOrders.test_spot_average_of_a_part",
        "Endpoints/UsdFutures/Trading/GetOpenOrders.txt": "TestOrders.test_usdm",
        "Endpoints/UsdFutures/Trading/GetOpenConditionalOrders.txt": "TestOrders.test_usdm_conditional",
        "Endpoints/UsdFutures/Trading/GetConditionalOrders.txt": (
            "TestOrders.test_usdm_conditional_that_was_triggered"
        ),
        "Endpoints/Spot/Trading/GetUserTrades.txt": "TestFills.test_spot",
        "Socket/Spot/Trading/GetUserTrades.txt": "TestFills.test_spot_maker_without_fee",
        "Endpoints/UsdFutures/Trading/GetUserTrades.txt": "TestFills.test_usdm",
    },
    {
        "Endpoints/General/AutoInvest/*": "plans that buy by themselves are neither made nor shown",
        "Endpoints/General/Brokerage/*": "a broker's sub-accounts: an account here is that of its key alone",
        "Endpoints/General/CopyTrading/*": "copied trading is not followed",
        "Endpoints/General/CryptoLoans/*": "loans are neither taken nor shown",
        "Endpoints/General/Futures/*": "transfers between the own wallets are not asked for: see capital.py",
        "Endpoints/General/GiftCard/*": "gift cards are neither made nor shown",
        "Endpoints/General/Mining/*": "mining is not followed",
        "Endpoints/General/Nft/*": "tokens that are single pieces are not followed",
        "Endpoints/General/SimpleEarn/*": "earning: such wallets are not followed, and nothing is put into them",
        **dict.fromkeys(
            (f"{side}/CoinFutures/{folder}/*" for side in ("Endpoints", "Socket") for folder in ("Account", "Trading")),
            "coin-margined futures are not followed",
        ),
        **because(
            "Endpoints/Spot/Account/",
            {
                "margin accounts are not followed": ("*Margin*",),
                "coins are not converted here": (
                    *("ConvertBusd", "DustTransfer", "GetAssetsForDustTransfer", "GetBusdConvertHistory", "GetDustLog"),
                    *("GetAutoConvertStableCoinConfig", "SetAutoConvertStableCoinConfig"),
                ),
                "the state and level of an account as a whole are not shown": (
                    *("GetAccountStatus", "GetAccountVipLevelAndStatus", "GetTradingStatus"),
                ),
                "income is not asked for that does not say into which wallet it was paid: see capital.py": (
                    *("GetAssetDividendRecords", "GetRebateHistory", "GetCloudMiningHistory"),
                ),
                "balances of spot are asked by GET /api/v3/account": (
                    *("GetBalances", "GetUserAssets", "GetWalletBalances"),
                ),
                "the funding wallet is not followed": ("GetFundingWallet",),
                "settings are the owner's": ("GetBnbBurnStatus", "SetBnbBurnStatus"),
                "fees are told with each fill": ("GetCommissionRates", "GetTradeFee"),
                "balances of past days are not asked for": (
                    *("GetDailyFutureAccountSnapshot", "GetDailySpotAccountSnapshot"),
                ),
                "where one may deposit or withdraw to": (
                    *("GetDepositAddress", "GetDepositAddressesList", "GetWithdrawalAddresses"),
                ),
                "payments by bank and card are not asked for": (
                    *("GetFiatDepositWithdrawHistory", "GetFiatPaymentHistory"),
                ),
                "leveraged tokens are not shown": ("GetLeveragedTokensUserLimit",),
                "how many orders were sent is not asked for": ("GetOrderRateLimitStatus",),
                "transfers between the own wallets are not asked for: see capital.py": ("GetTransfers",),
                "withdrawals are asked by GET /sapi/v1/capital/withdraw/history": ("GetTravelRuleWithdrawalHistory",),
                "money is never moved": ("Transfer", "Withdraw"),
            },
        ),
        **because(
            "Endpoints/Spot/Trading/",
            {
                "margin accounts are not followed": ("*Margin*",),
                "coins are not converted here": (
                    *("ConvertAcceptQuote", "ConvertQuoteRequest", "GetConvertOrderStatus", "GetConvertTradeHistory"),
                ),
                "orders that the exchange splits over time are not offered": (
                    *("CancelAlgoOrder", "GetAlgoSubOrders", "GetClosedAlgoOrders", "GetOpenAlgoOrders"),
                    "PlaceTimeWeightedAveragePriceOrder",
                ),
                "leveraged tokens are not shown": ("*LeveragedToken*",),
                "lists of orders are not offered; their orders are told among the others": (
                    *("CancelOcoOrder", "GetOcoOrder", "GetOcoOrders", "GetOpenOcoOrders", "PlaceOcoOrderList"),
                    *("PlaceOtoOrderList", "PlaceOtocoOrderList"),
                ),
                "orders are not changed, but cancelled and placed": ("AmendOrder", "ReplaceOrder"),
                "payments and deals between people are not asked for": (
                    *("GetC2CTradeHistory", "GetPayTradeHistory", "GetPayTradeHistory2"),
                ),
                "orders that ended come by stream": ("GetOrders",),
                "trades that were prevented are none": ("GetPreventedTrades",),
                "orders are not tried out": ("PlaceTestOrder",),
            },
        ),
        **because(
            "Endpoints/UsdFutures/Account/",
            {
                "settings are the owner's": (
                    *("ChangeInitialLeverage", "ChangeMarginType", "GetBnbBurnStatus", "SetBnbBurnStatus"),
                    *("ModifyPositionMargin", "ModifyPositionMode", "SetMultiAssetsMode"),
                ),
                "settings of the account as a whole are not asked for": (
                    *("GetAccountConfiguration", "GetMultiAssetsMode"),
                ),
                "balances are asked by GET /fapi/v3/balance, positions by GET /fapi/v3/positionRisk": (
                    *("GetAccountInfo", "GetAccountInfoV3"),
                ),
                "limits of leverage are not shown": ("GetBrackets",),
                "histories as files are not asked for": ("GetDownload*",),
                "changes of margin are not asked for: the position tells its margin": ("GetMarginChangeHistory",),
                "how many orders may be sent is not asked for": ("GetOrderRateLimit",),
                "the place in the queue of forced reductions is not shown": ("GetPositionAdlQuantileEstimation",),
                "the state of an account as a whole is not shown": ("GetTradingStatus",),
                "fees are told with each fill": ("GetUserCommissionRate",),
                "its answer is empty": ("KeepAliveUserStream", "StopUserStream"),
            },
        ),
        **because(
            "Endpoints/UsdFutures/Trading/",
            {
                "orders that the exchange splits over time are not offered": (
                    *("CancelAlgoOrder", "GetAlgoSubOrders", "GetClosedAlgoOrders", "GetOpenAlgoOrders"),
                    *("PlaceTimeWeightedAveragePriceOrder", "PlaceVolumeParticipationOrder"),
                ),
                "coins are not converted here": (
                    *("ConvertAcceptQuote", "ConvertQuoteRequest", "GetConvertOrderStatus"),
                ),
                "orders go one by one, and all of a market are cancelled by one request": (
                    *("CancelMultipleOrders", "PlaceMultipleOrders"),
                ),
                "orders are not changed, but cancelled and placed": (
                    *("EditMultipleOrders", "EditOrder", "GetOrderEditHistory"),
                ),
                "conditional orders are asked for as a list, and not placed": (
                    *("GetConditionalOrder", "PlaceConditionalOrder"),
                ),
                "forced orders come by stream as fills": ("GetForcedOrders",),
                "one order is asked for by GET /fapi/v1/order, open or not": ("GetOpenOrder",),
                "orders that ended come by stream": ("GetOrders",),
            },
        ),
        **because(
            "Socket/",
            {
                "orders by WebSocket: ours go by REST": (
                    *("Spot/Trading/AmendOrder", "Spot/Trading/CancelAllOrders", "Spot/Trading/CancelOcoOrder"),
                    *("Spot/Trading/CancelOrder", "Spot/Trading/PlaceOcoOrder", "Spot/Trading/PlaceOrder"),
                    *("Spot/Trading/PlaceTestOrder", "Spot/Trading/ReplaceOrder", "UsdFutures/Trading/CancelOrder"),
                    *("UsdFutures/Trading/CancelConditionalOrder", "UsdFutures/Trading/EditOrder"),
                    *("UsdFutures/Trading/PlaceConditionalOrder", "UsdFutures/Trading/PlaceOrder"),
                ),
                "questions by WebSocket: ours go by REST": (
                    *("Spot/Account/GetOrderRateLimits", "Spot/Trading/GetOcoOrder", "Spot/Trading/GetOpenOcoOrders"),
                    *("Spot/Trading/GetOrder", "Spot/Trading/GetPreventedTrades", "UsdFutures/Account/GetAccountInfo"),
                    *("UsdFutures/Trading/GetOrder", "UsdFutures/Trading/GetPositions"),
                ),
            },
        ),
        **because("Subscriptions/Spot/Account/", {"margin accounts are not followed": ("Liability", "MarginCall")}),
    },
)
