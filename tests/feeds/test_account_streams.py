"""Binance's private streams: the documented frames, and what is hard about them."""

import contextlib
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.account_domain import AccountChanged, Balance, Expired, Fill, Order, Position, TradedElsewhere, UnknownMarket
from feeds.domain import Ack, Closing, Notice, Rejected
from feeds.errors import ParseError
from tests.documented import Documented, below
from tests.feeds.binance_examples import NOW_MS, account, answer, frame, spot_session, usdm_session


class TestSpotStream:
    def test_acknowledgement(self):
        raw = '{"id":1,"status":200,"result":{"subscriptionId":0},"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT"}]}'
        assert spot_session().parse(raw) == [Ack(subscriptions=())]

    def test_refusal(self):
        raw = '{"id":1,"status":400,"error":{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}}'
        assert spot_session().parse(raw) == [
            Rejected(subscriptions=(), reason="Invalid API-key, IP, or permissions for action.", code=-2015)
        ]

    def test_new_order(self):
        assert spot_session().parse(frame("Spot/Account/Order")) == [
            Order(
                product="spot",
                symbol="ETH/BTC",
                id="4293153",
                client_id="mUvoqJxFIILMdfAW5iGSOW",
                side="buy",
                type="limit",
                price=Decimal("0.10264410"),
                size=Decimal("1.00000000"),
                filled=Decimal(0),
                status="open",
                time_in_force="GTC",
                created_ms=1499405658657,
                updated_ms=1499405658657,
            )
        ]

    FILLED = """{"subscriptionId": 0, "event": {"e": "executionReport", "E": 1499405658658, "s": "BTCUSDT",
        "c": "my-order-1", "S": "BUY", "o": "LIMIT", "f": "GTC", "q": "1.00000000", "p": "16570.01000000",
        "P": "0.00000000", "F": "0.00000000", "g": -1, "C": "", "x": "TRADE", "X": "PARTIALLY_FILLED", "r": "NONE",
        "i": 4293153, "l": "0.40000000", "z": "0.40000000", "L": "16570.01000000", "n": "0.00040000", "N": "BTC",
        "T": 1499405658657, "t": 77, "I": 8641984, "w": true, "m": false, "M": false, "O": 1499405658600,
        "Z": "6628.00400000", "Y": "6628.00400000", "Q": "0.00000000", "W": 1499405658600, "V": "NONE"}}"""

    def test_fill(self):
        fill, order = spot_session().parse(self.FILLED)
        assert fill == Fill(
            product="spot",
            symbol="BTC/USDT",
            id="77",
            order_id="4293153",
            client_id="my-order-1",
            side="buy",
            price=Decimal("16570.01000000"),
            size=Decimal("0.40000000"),
            fee=Decimal("0.00040000"),
            fee_asset="BTC",
            maker=False,
            exchange_ms=1499405658657,
        )
        assert (order.status, order.filled, order.average) == ("partial", Decimal("0.4"), Decimal("16570.01"))

    def test_fee_in_a_third_currency_and_none(self):
        third = self.FILLED.replace('"n": "0.00040000", "N": "BTC"', '"n": "0.00001234", "N": "BNB"')
        assert spot_session().parse(third)[0].fee_asset == "BNB"
        none = self.FILLED.replace('"n": "0.00040000", "N": "BTC"', '"n": "0", "N": null')
        fill = spot_session().parse(none)[0]
        assert (fill.fee, fill.fee_asset) == (Decimal(0), None)

    def test_cancel_keeps_the_original_client_id(self):
        raw = self.FILLED.replace('"x": "TRADE", "X": "PARTIALLY_FILLED"', '"x": "CANCELED", "X": "CANCELED"')
        raw = raw.replace('"C": ""', '"C": "my-order-1"').replace('"c": "my-order-1"', '"c": "the-cancel"')
        [order] = spot_session().parse(raw.replace('"t": 77', '"t": -1'))
        assert (order.status, order.client_id) == ("canceled", "my-order-1")

    def test_status_words(self):
        def status(word):
            return spot_session().parse(self.FILLED.replace("PARTIALLY_FILLED", word))[-1].status

        assert [status(word) for word in ("FILLED", "EXPIRED_IN_MATCH", "PENDING_CANCEL", "REJECTED")] == [
            "filled",
            "expired",
            "open",
            "rejected",
        ]
        assert status("SOMETHING_NEW") == "something_new"

    def test_balances_are_absolute_and_of_the_time_of_the_update(self):
        assert spot_session().parse(frame("Spot/Account/AccountPosition")) == [
            Balance(
                product="spot",
                asset="ETH",
                total=Decimal(10000),
                free=Decimal(10000),
                locked=Decimal(0),
                asof_ms=1564034571073,
            )
        ]

    def test_a_deposit_is_a_difference_and_no_balance(self):
        assert spot_session().parse(frame("Spot/Account/Balance")) == [
            TradedElsewhere(
                id="balanceUpdate 100.00000000 BTC 1573200697068",
                what="balanceUpdate 100.00000000 BTC",
                assets=("BTC",),
                amount=Decimal(100),
                exchange_ms=1573200697068,
            ),
            AccountChanged(reason="balanceUpdate 100.00000000 BTC"),
        ]

    def test_order_list(self):
        assert spot_session().parse(frame("Spot/Account/OcoOrder")) == []

    def test_ends(self):
        session = spot_session()
        ended = session.parse('{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1728973001334}}')
        assert [type(event) for event in ended] == [Expired]
        shutdown = session.parse('{"event": {"e": "serverShutdown", "E": 1770123456789}}')
        assert [type(event) for event in shutdown] == [Closing]

    def test_an_unknown_event_asks_again(self):
        raw = '{"subscriptionId":0,"event":{"e":"externalLockUpdate","E":1,"a":"BTC","d":"1"}}'
        assert spot_session().parse(raw) == [AccountChanged(reason="externalLockUpdate")]


class TestUsdmStream:
    def test_no_message_is_needed(self):
        assert usdm_session().opening(NOW_MS) == []

    def test_account_update(self):
        assert usdm_session().parse(frame("UsdFutures/AccountUpdate")) == [
            Balance(product="usdm", asset="USDT", total=Decimal("122624.12345678"), asof_ms=1564745798938),
            Balance(product="usdm", asset="BUSD", total=Decimal("1.00000000"), asof_ms=1564745798938),
            Position(
                product="usdm",
                symbol="BTC/USDT:USDT",
                side="both",
                size=Decimal(0),
                entry=Decimal(0),
                unrealised=Decimal(0),
                margin_mode="isolated",
                settle="USDT",
                asof_ms=1564745798938,
            ),
            Position(
                product="usdm",
                symbol="BTC/USDT:USDT",
                side="long",
                size=Decimal(20),
                entry=Decimal("6563.66500"),
                unrealised=Decimal("2850.21200"),
                margin_mode="isolated",
                settle="USDT",
                asof_ms=1564745798938,
            ),
            Position(
                product="usdm",
                symbol="BTC/USDT:USDT",
                side="short",
                size=Decimal(-10),
                entry=Decimal("6563.86000"),
                unrealised=Decimal("-1423.15600"),
                margin_mode="isolated",
                settle="USDT",
                asof_ms=1564745798938,
            ),
            AccountChanged(reason="ACCOUNT_UPDATE ORDER", by_order=True),
        ]

    def test_account_update_for_a_reason_that_is_new(self):
        raw = frame("UsdFutures/AccountUpdate").replace('"m":"ORDER"', '"m":"SOMETHING_NEW"')
        assert usdm_session().parse(raw)[-1] == AccountChanged(reason="ACCOUNT_UPDATE SOMETHING_NEW")

    def test_cross_funding_has_no_positions(self):
        raw = """{"e": "ACCOUNT_UPDATE", "E": 2, "T": 1, "a": {"m": "FUNDING_FEE", "S": "BTCUSDT",
            "B": [{"a": "USDT", "wb": "10.5", "cw": "10.5", "bc": "-0.1"}]}}"""
        balance, changed = usdm_session().parse(raw)
        assert (balance.total, balance.free) == (Decimal("10.5"), None)
        assert changed == AccountChanged(reason="ACCOUNT_UPDATE FUNDING_FEE")

    def test_new_order(self):
        assert usdm_session().parse(frame("UsdFutures/OrderUpdate")) == [
            Order(
                product="usdm",
                symbol="BTC/USDT:USDT",
                id="8886774",
                client_id="TEST",
                side="sell",
                type="trailing_stop_market",
                price=None,
                size=Decimal("0.001"),
                filled=Decimal(0),
                average=None,
                status="open",
                reduce_only=True,  # of the long position
                time_in_force="GTC",
                updated_ms=1568879465650,
            ),
            AccountChanged(reason="ORDER_TRADE_UPDATE NEW", by_order=True),
        ]

    FILLED = """{"e": "ORDER_TRADE_UPDATE", "E": 1568879465651, "T": 1568879465650, "o": {
        "s": "BTCUSDT", "c": "TEST", "S": "BUY", "o": "LIMIT", "f": "GTC", "q": "0.002", "p": "7100.50",
        "ap": "7100.50", "sp": "0", "x": "TRADE", "X": "PARTIALLY_FILLED", "i": 8886774, "l": "0.001", "z": "0.001",
        "L": "7100.50",
        "N": "USDT", "n": "0.01000000", "T": 1568879465650, "t": 12345678, "b": "7.10", "a": "0", "m": true,
        "R": false, "wt": "CONTRACT_PRICE", "ot": "LIMIT", "ps": "BOTH", "cp": false, "AP": "0", "cr": "0",
        "pP": false, "si": 0, "ss": 0, "rp": "12.34", "V": "EXPIRE_TAKER", "pm": "NONE", "gtd": 0, "er": "0"}}"""

    def test_fill(self):
        fill, order, changed = usdm_session().parse(self.FILLED)
        assert fill == Fill(
            product="usdm",
            symbol="BTC/USDT:USDT",
            id="12345678",
            order_id="8886774",
            client_id="TEST",
            side="buy",
            price=Decimal("7100.50"),
            size=Decimal("0.001"),
            fee=Decimal("0.01000000"),
            fee_asset="USDT",
            maker=True,
            realised=Decimal("12.34"),
            position_side="both",
            exchange_ms=1568879465650,
        )
        assert (order.status, order.filled, order.average) == ("partial", Decimal("0.001"), Decimal("7100.50"))
        assert changed == AccountChanged(reason="ORDER_TRADE_UPDATE TRADE", by_order=True)

    def test_no_commission_is_no_fee_and_a_rebate_is_negative(self):
        absent = self.FILLED.replace('"N": "USDT", "n": "0.01000000", ', "")
        fill = usdm_session().parse(absent)[0]
        assert (fill.fee, fill.fee_asset) == (Decimal(0), None)
        rebate = self.FILLED.replace('"n": "0.01000000"', '"n": "-0.00070000"')
        assert usdm_session().parse(rebate)[0].fee == Decimal("-0.0007")

    def test_hedge_mode(self):
        raw = self.FILLED.replace('"ps": "BOTH"', '"ps": "SHORT"')
        assert usdm_session().parse(raw)[0].position_side == "short"

    def test_liquidation_is_a_fill_too(self):
        raw = self.FILLED.replace('"x": "TRADE"', '"x": "CALCULATED"').replace('"c": "TEST"', '"c": "autoclose-17"')
        fill = usdm_session().parse(raw)[0]
        assert (fill.id, fill.client_id) == ("12345678", "autoclose-17")

    def test_trade_lite_is_left_to_the_full_report(self):
        """It has the same trade id, no fee, and comes first: stored, it would make the full one a duplicate."""
        raw = frame("UsdFutures/TradeUpdate")
        assert re.search(r'"t":\s*109100866', raw)
        assert usdm_session().parse(raw) == []

    def test_conditional_order(self):
        assert usdm_session().parse(frame("UsdFutures/AlgoOrderUpdate")) == [
            Order(
                product="usdm",
                symbol="BNB/USDT:USDT",
                id="algo-2148719",
                client_id="Q5xaq5EGKgXXa0fD7fs0Ip",
                side="sell",
                type="take_profit",
                price=Decimal(750),
                size=Decimal("0.01"),
                filled=Decimal(0),
                average=None,
                status="canceled",
                time_in_force="GTC",
                updated_ms=1750515742297,
            )
        ]

    def test_margin_call(self):
        notice, changed = usdm_session().parse(frame("UsdFutures/MarginUpdate"))
        assert notice == Notice(text="Binance calls for margin: ETH/USDT:USDT long may be liquidated.")
        assert changed == AccountChanged(reason="MARGIN_CALL")

    def test_leverage_is_kept_for_positions(self):
        api = account()
        session = usdm_session(api)
        assert session.parse(frame("UsdFutures/Leverage")) == [AccountChanged(reason="ACCOUNT_CONFIG_UPDATE")]
        positions = [e for e in session.parse(frame("UsdFutures/AccountUpdate")) if isinstance(e, Position)]
        assert {position.leverage for position in positions} == {Decimal(25)}
        [position] = api.parse_positions(api.positions_requests()[0], answer("UsdFutures/Trading/GetPositions"), 7)
        assert position.leverage == Decimal(25)

    def test_multi_assets_mode(self):
        assert usdm_session().parse(frame("UsdFutures/MultiAssetMode")) == [
            AccountChanged(reason="ACCOUNT_CONFIG_UPDATE")
        ]

    def test_listen_key_expired(self):
        raw = '{"e": "listenKeyExpired", "E": 1736996475556, "listenKey": "WsCMN0a4KHUPTQuX6IUnqEZfB1inxmv1"}'
        assert usdm_session().parse(raw) == [Expired(reason="the listen key expired")]

    @pytest.mark.parametrize("name", ["StrategyUpdate", "GridUpdate"])
    def test_trading_bots_say_nothing_of_ours(self, name):
        assert usdm_session().parse(frame(f"UsdFutures/{name}")) == []

    def test_a_fill_in_an_unlisted_market_is_left_to_the_history(self):
        raw = self.FILLED.replace("BTCUSDT", "NEWUSDT")
        unknown, order, changed = usdm_session().parse(raw)
        assert unknown == UnknownMarket(product="usdm", native="NEWUSDT")
        assert order.symbol == "NEWUSDT@usdm"
        assert isinstance(changed, AccountChanged)
        unknown, order = spot_session().parse(TestSpotStream.FILLED.replace("BTCUSDT", "NEWUSDT"))
        assert unknown == UnknownMarket(product="spot", native="NEWUSDT")
        assert order.symbol == "NEWUSDT@spot"

    def test_a_retired_event_asks_again(self):
        assert usdm_session().parse(frame("UsdFutures/ConditionalTrigger")) == [
            AccountChanged(reason="CONDITIONAL_ORDER_TRIGGER_REJECT")
        ]


SPOT_EVENTS = ("AccountPosition", "Balance", "OcoOrder", "Order")
USDM_EVENTS = ("AccountUpdate", "AlgoOrderUpdate", "Leverage", "MarginUpdate", "MultiAssetMode", "OrderUpdate")


def private_examples() -> list[str]:
    """Documented private frames, spot and futures."""
    return [frame(f"Spot/Account/{name}") for name in SPOT_EVENTS] + [
        frame(f"UsdFutures/{name}") for name in USDM_EVENTS
    ]


class TestRobustness:
    """Whatever comes, ParseError is the only thing that a parser raises."""

    @given(raw=st.binary(max_size=200))
    def test_noise(self, raw):
        for session in (spot_session(), usdm_session()):
            try:
                session.parse(raw)
            except ParseError as error:
                assert len(error.raw) <= 200

    @given(data=st.data())
    def test_damaged_frames(self, data):
        text = data.draw(st.sampled_from(private_examples()))
        values = re.findall(r':\s*("[^"]*"|-?[\d.]+|true|false|null)', text)
        old = data.draw(st.sampled_from(values))
        new = data.draw(
            st.sampled_from(['"NaN"', '""', "null", "-1", "1e400", "[]", "{}", '"x"', "18446744073709551616"])
        )
        damaged = text.replace(old, new, 1)
        for session in (spot_session(), usdm_session()):
            with contextlib.suppress(ParseError):
                session.parse(damaged)

    @pytest.mark.parametrize(
        "raw", [b"", b"null", b"[]", b"{}", b'{"e": 1}', b'{"event": {}}', b"\xff", b"[" * 100_000]
    )
    def test_other_shapes(self, raw):
        for session in (spot_session(), usdm_session()):
            with pytest.raises(ParseError):
                session.parse(raw)


DOCUMENTED = Documented(
    "binance",
    {
        "Subscriptions/Spot/Account/AccountPosition.txt": "test_balances_are_absolute_and_of_the_time_of_the_update",
        "Subscriptions/Spot/Account/Balance.txt": "test_a_deposit_is_a_difference_and_no_balance",
        "Subscriptions/Spot/Account/OcoOrder.txt": "test_order_list",
        "Subscriptions/Spot/Account/Order.txt": "test_new_order",
        "Subscriptions/UsdFutures/OrderUpdate.txt": "test_new_order",
        "Subscriptions/UsdFutures/AccountUpdate.txt": "test_account_update",
        "Subscriptions/UsdFutures/AlgoOrderUpdate.txt": "test_conditional_order",
        "Subscriptions/UsdFutures/ConditionalTrigger.txt": "test_a_retired_event_asks_again",
        **dict.fromkeys(
            below(
                "Subscriptions/UsdFutures",
                "GridUpdate StrategyUpdate",
            ),
            "test_trading_bots_say_nothing_of_ours",
        ),
        "Subscriptions/UsdFutures/Leverage.txt": "test_leverage_is_kept_for_positions",
        "Subscriptions/UsdFutures/MarginUpdate.txt": "test_margin_call",
        "Subscriptions/UsdFutures/MultiAssetMode.txt": "test_multi_assets_mode",
        "Subscriptions/UsdFutures/TradeUpdate.txt": "test_trade_lite_is_left_to_the_full_report",
    },
)
