"""Bybit's orders to place and cancel, and its private stream."""

import json
from decimal import Decimal
from typing import Any

import pytest

from feeds.account_domain import (
    AccountChanged,
    Balance,
    Fill,
    Order,
    Position,
    Reply,
    TradedElsewhere,
    UnknownMarket,
)
from feeds.accounts.bybit import BybitAccount
from feeds.domain import Ack, Heartbeat, Rejected
from feeds.errors import ExchangeError, ParseError
from feeds.exchanges import create
from feeds.trading import HedgeMode, NewOrder, TradingApi
from tests.documented import Documented
from tests.feeds.bybit_examples import NOW_MS, account, answer, body, frame, pushed, session

D = Decimal


def order(**more: Any) -> NewOrder:
    values = {"symbol": "BTC/USDT:USDT", "side": "buy", "size": D("0.001"), "price": D("20000"), "client_id": "my-1"}
    return NewOrder(**values | more)


def sent(request: Any) -> dict[str, Any]:
    assert (request.method, request.product) == ("POST", "unified")
    told: dict[str, Any] = json.loads(request.json)
    assert request.about == told["category"]
    return told


def one_way() -> BybitAccount:
    """An account that was told the mode of some contracts."""
    api = account()
    for symbol, native in (("BTC/USDT:USDT", "BTCUSDT"), ("ETH/USDT:USDT", "ETHUSDT")):
        api.take_mode(symbol, body({"list": [{"symbol": native, "side": "", "size": "0", "positionIdx": 0}]}))
    return api


class TestPlacing:
    def test_it_fits(self) -> None:
        assert isinstance(account(), TradingApi) and isinstance(account(), HedgeMode)

    def test_ids_are_of_the_form_and_never_twice(self) -> None:
        ids = {account().new_client_id() for _ in range(100)}
        assert len(ids) == 100 and all(len(each) <= 36 and each.isalnum() for each in ids)

    def test_a_limit_order(self) -> None:
        assert sent(one_way().place_request(order())) == {
            "category": "linear",
            "symbol": "BTCUSDT",
            "side": "Buy",
            "orderType": "Limit",
            "qty": "0.001",
            "price": "20000",
            "timeInForce": "GTC",
            "orderLinkId": "my-1",
        }

    def test_kinds(self) -> None:
        api = one_way()
        assert sent(api.place_request(order(post_only=True)))["timeInForce"] == "PostOnly"
        assert sent(api.place_request(order(time_in_force="FOK", side="sell")))["timeInForce"] == "FOK"
        assert sent(api.place_request(order(price=None, reduce_only=True)))["reduceOnly"] is True
        spot = sent(api.place_request(order(symbol="BTC/USDT", price=None)))
        assert (spot["orderType"], spot["marketUnit"]) == ("Market", "baseCoin")
        assert "price" not in spot and "timeInForce" not in spot

    def test_figures_are_plain_text(self) -> None:
        told = sent(one_way().place_request(order(size=D("1E-7"), price=D("2E+4"))))
        assert (told["qty"], told["price"]) == ("0.0000001", "20000")

    @pytest.mark.parametrize(
        ("more", "said"),
        [
            ({"price": None, "post_only": True}, "cannot be post-only"),
            ({"post_only": True, "time_in_force": "IOC"}, "cannot be IOC"),
            ({"symbol": "BTC/USDT", "reduce_only": True}, "is a spot market"),
            ({"symbol": "OLD/USDT"}, "lists no market OLD/USDT"),
        ],
    )
    def test_what_is_not_offered(self, more: dict[str, Any], said: str) -> None:
        with pytest.raises(ExchangeError, match=said):
            account().place_request(order(**more))

    @pytest.mark.parametrize(
        ("side", "reduces", "index"), [("buy", False, 1), ("sell", True, 1), ("sell", False, 2), ("buy", True, 2)]
    )
    def test_hedge_mode_names_the_side(self, side: str, reduces: bool, index: int) -> None:
        api = one_way()
        assert "positionIdx" not in sent(api.place_request(order(side=side, reduce_only=reduces)))
        session(api).parse(pushed("Position"))  # of the short side, and closed
        assert sent(api.place_request(order(side=side, reduce_only=reduces)))["positionIdx"] == index
        assert "positionIdx" not in sent(api.place_request(order(symbol="ETH/USDT:USDT")))
        row = {"symbol": "BTCUSDT", "side": "Buy", "size": "1", "avgPrice": "1", "positionIdx": 0}
        api.parse_positions(api.positions_requests()[0], body({"list": [row]}), 7)
        assert "positionIdx" not in sent(api.place_request(order()))

    def test_the_mode_of_a_contract_is_asked_before_its_first_order(self) -> None:
        api = account()
        assert api.mode_request("BTC/USDT") is None and "positionIdx" not in sent(
            api.place_request(order(symbol="BTC/USDT"))
        )
        with pytest.raises(ExchangeError, match="whether BTC/USDT:USDT is in hedge mode"):
            api.place_request(order())
        request = api.mode_request("BTC/USDT:USDT")
        assert request is not None and request.path == "/v5/position/list"
        assert dict(request.params) == {"category": "linear", "symbol": "BTCUSDT"}
        row = {"symbol": "BTCUSDT", "side": "", "size": "0", "avgPrice": "0", "positionIdx": 1}
        with pytest.raises(ParseError, match="no position of BTCUSDT"):
            api.take_mode("BTC/USDT:USDT", body({"list": [row | {"symbol": "ETHUSDT"}]}))
        api.take_mode("BTC/USDT:USDT", body({"list": [row, row | {"positionIdx": 2}]}))
        assert api.mode_request("BTC/USDT:USDT") is None
        assert sent(api.place_request(order()))["positionIdx"] == 1
        api.doubt_mode("BTC/USDT:USDT", ExchangeError("no balance", 110007))
        assert api.mode_request("BTC/USDT:USDT") is None
        api.doubt_mode("BTC/USDT:USDT", ExchangeError("position idx not match position mode", 10001))
        assert api.mode_request("BTC/USDT:USDT") == request

    def test_what_closes_in_hedge_mode_only_reduces(self) -> None:
        api = account()
        request = api.orders_requests()[0]
        row = {"orderId": "1", "symbol": "BTCUSDT", "orderType": "Limit", "price": "1", "qty": "1", "updatedTime": "1"}
        rows = [
            row | {"orderStatus": "New", "side": side, "positionIdx": index, "reduceOnly": False}
            for side, index in (("Buy", 0), ("Buy", 1), ("Sell", 1), ("Sell", 2), ("Buy", 2))
        ]
        told = api.parse_orders(request, body({"list": rows}))
        assert [each.reduce_only for each in told] == [False, False, True, False, True]

    def test_placed(self) -> None:
        placed = account().parse_placed(order(), answer("Trading/PlaceOrder"), 7)
        assert (placed.id, placed.client_id) == ("1321003749386327552", "spot-test-postonly")
        assert (placed.status, placed.filled, placed.size, placed.updated_ms) == ("open", 0, D("0.001"), 7)

    def test_found(self) -> None:
        api = account()
        request = api.find_request("ETH/USDT:USDT", "test-000005")
        assert dict(request.params) == {"category": "linear", "symbol": "ETHUSDT", "orderLinkId": "test-000005"}
        found = api.parse_found("ETH/USDT:USDT", "test-000005", answer("Trading/GetOrders"))
        assert found is not None and found.id == "fd4300ae-7847-404e-b947-b46980a4d140"
        assert api.parse_found("ETH/USDT:USDT", "other", answer("Trading/GetOrders")) is None
        assert api.parse_found("ETH/USDT:USDT", "other", body({"list": []})) is None


class TestCancelling:
    def open(self, symbol: str, **more: Any) -> Order:
        both = {"product": "x", "symbol": symbol, "id": "9", "side": "buy", "size": D(1), "filled": D(0)}
        return Order(**both | {"type": "limit", "status": "open", "updated_ms": 1} | more)

    def test_one(self) -> None:
        api = account()
        linear, spot = self.open("BTC/USDC:USDC"), self.open("BTC/USDT", type="stop")
        assert sent(api.cancel_request(linear)) == {"category": "linear", "symbol": "BTCPERP", "orderId": "9"}
        assert sent(api.cancel_request(spot))["orderFilter"] == "StopOrder"
        assert sent(api.cancel_request(self.open("BTC/USDT", type="tpslorder")))["orderFilter"] == "tpslOrder"
        api.parse_cancelled(linear, answer("Trading/CancelOrder"))
        with pytest.raises(ParseError, match="orderId"):
            api.parse_cancelled(linear, body({}))

    def test_all(self) -> None:
        api = account()
        requests = api.cancel_all_requests(("BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USDC:USDC", "BTC/USDT", "OLD/USDT"))
        assert [sent(request) for request in requests] == [
            {"category": "linear", "settleCoin": "USDT"},
            {"category": "linear", "settleCoin": "USDC"},
            *({"category": "spot", "orderFilter": kind} for kind in ("Order", "StopOrder", "tpslOrder")),
            *({"category": "spot", "orderFilter": kind} for kind in ("OcoOrder", "BidirectionalTpslOrder")),
        ]
        api.parse_cancelled_all(requests[0], answer("Trading/CancelAllOrder"))
        with pytest.raises(ExchangeError, match="did not cancel"):
            api.parse_cancelled_all(requests[0], body({"list": [], "success": "0"}))

    @pytest.mark.parametrize(("code", "unknown"), [(110001, True), (170213, True), (110007, False)])
    def test_unknown_orders(self, code: int, unknown: bool) -> None:
        error = create("bybit").error_of(200, body({}, retCode=code), {})
        assert isinstance(error, ExchangeError) and account().unknown_order(error) is unknown

    def test_there_is_no_dead_man_s_switch(self) -> None:
        assert account().dead_man_requests(60, ("BTC/USDT",)) == []


class TestStream:
    @pytest.mark.parametrize(
        "good",
        [
            '{"success":true,"ret_msg":"","op":"auth","conn_id":"cejreaspqfh3sjdnldmg-p"}',
            '{"op":"auth","retCode":0,"retMsg":"OK","connId":"x"}',
        ],
    )
    def test_topics_are_asked_for_after_the_login(self, good: str) -> None:
        [reply] = session().parse(good)
        assert isinstance(reply, Reply)
        assert [json.loads(message) for message in reply.messages] == [
            {"req_id": "topics", "op": "subscribe", "args": ["order", "execution", "position", "wallet"]}
        ]

    def test_answers(self) -> None:
        parse = session().parse
        assert parse('{"success":true,"ret_msg":"","op":"subscribe","conn_id":"x"}') == [Ack(subscriptions=())]
        assert parse('{"req_id":"test","op":"pong","args":["1675418560633"],"conn_id":"x"}') == [Heartbeat()]
        assert parse('{"success":true,"ret_msg":"pong","conn_id":"x","op":"ping"}') == [Heartbeat()]
        assert parse('{"op":"auth","success":false,"retCode":10003,"retMsg":"Invalid apikey","connId":"x"}') == [
            Rejected(subscriptions=(), reason="Invalid apikey", code=10003)
        ]
        assert parse('{"success":false,"ret_msg":"Params Error","op":"auth","conn_id":"x"}') == [
            Rejected(subscriptions=(), reason="Params Error")
        ]
        assert json.loads(session().keepalive()) == {"op": "ping"}

    def test_the_documented_wallet(self) -> None:
        assert session().parse(pushed("Balance")) == [
            Balance(
                product="unified",
                asset="BTC",
                total=D("0.00102964"),
                free=D("0.00102964"),
                locked=D(0),
                asof_ms=1700034722104,
            )
        ]

    def test_the_documented_position(self) -> None:
        assert session().parse(pushed("Position")) == [
            Position(
                product="linear",
                symbol="BTC/USDT:USDT",
                side="short",
                size=D(0),
                entry=D(0),
                mark=D("28184.5"),
                unrealised=D(0),
                leverage=D(10),
                margin=D(0),
                margin_mode="cross",
                settle="USDT",
                asof_ms=1697682317044,
            )
        ]

    def test_the_documented_execution(self) -> None:
        assert session().parse(pushed("UserTrades")) == [
            Fill(
                product="linear",
                symbol="XRP/USDT:USDT",
                id="7e2ae69c-4edf-5800-a352-893d52b446aa",
                order_id="f6e324ff-99c2-4e89-9739-3086e47f9381",
                side="sell",
                price=D("0.3374"),
                size=D(25),
                fee=D("0.005061"),
                fee_asset="USDT",
                maker=False,
                exchange_ms=1672364174443,
            )
        ]

    def test_the_documented_order_is_an_option(self) -> None:
        assert session().parse(pushed("Order")) == []
        row = json.loads(pushed("Order"))["data"][0] | {"category": "linear", "symbol": "BTCUSDT"}
        [order] = session().parse(frame("order", row))
        assert (order.id, order.status, order.average) == ("5cf98598-39a7-459e-97bf-76ca765ee020", "filled", D(75))
        assert (order.type, order.price, order.size, order.filled) == ("market", None, D(1), D(1))
        assert (order.created_ms, order.updated_ms) == (1672364262444, 1672364262457)

    @pytest.mark.parametrize("name", ["MinimalUserTrades", "Greeks", "SpreadUserTrade"])
    def test_topics_that_are_not_ours_ask_again(self, name: str) -> None:
        [event] = session().parse(pushed(name))
        assert isinstance(event, AccountChanged)

    def row(self, **more: Any) -> dict[str, Any]:
        base = {"category": "linear", "symbol": "BTCUSDT", "execId": "e", "execType": "Trade", "execTime": "5"}
        base |= {"orderId": "o", "side": "Sell", "execPrice": "1", "execQty": "2", "execFee": "0.1", "execPnl": "-3"}
        return base | more

    def test_several_executions_in_a_message(self) -> None:
        rows = [self.row(), self.row(category="option"), self.row(execType="Funding"), self.row(symbol="NEWUSDT")]
        fill, option, funding, unknown = session().parse(frame("execution", *rows))
        assert isinstance(fill, Fill) and fill.realised == D(-3)
        assert isinstance(option, TradedElsewhere)
        assert funding == AccountChanged(reason="execution Funding")
        assert unknown == UnknownMarket(product="linear", native="NEWUSDT")

    def test_only_the_account_s_products(self) -> None:
        spot_only = session(account(("spot",)))
        [elsewhere] = spot_only.parse(frame("execution", self.row()))
        assert isinstance(elsewhere, TradedElsewhere)  # see test_bybit_ledger
        assert spot_only.parse(pushed("Position")) == []
        [fill] = spot_only.parse(frame("execution", self.row(category="spot", execPnl="")))
        assert (fill.symbol, fill.realised, fill.fee_asset) == ("BTC/USDT", None, "USDT")

    def test_the_same_fill_has_the_same_id_by_rest(self) -> None:
        row = self.row()
        [streamed] = session().parse(frame("execution", row))
        del row["category"], row["execPnl"]
        [told] = account().parse_fills("linear", "0", body({"list": [row]}), NOW_MS).fills
        assert (streamed.id, streamed.symbol, streamed.fee) == (told.id, told.symbol, told.fee)

    @pytest.mark.parametrize(
        "raw",
        ["", "[]", "null", "{}", '{"topic":"wallet","data":[{"coin":[]}]}', '{"topic":"order","data":{}}', b"\xff"],
    )
    def test_noise(self, raw: Any) -> None:
        with pytest.raises(ParseError):
            session().parse(raw)


DOCUMENTED = Documented(
    "bybit",
    {
        "Endpoints/V5Api/Trading/PlaceOrder.txt": "TestPlacing.test_placed",
        "Endpoints/V5Api/Trading/CancelOrder.txt": "TestCancelling.test_one",
        "Endpoints/V5Api/Trading/CancelAllOrder.txt": "TestCancelling.test_all",
        "Subscriptions/V5/Private/Balance.txt": "TestStream.test_the_documented_wallet",
        "Subscriptions/V5/Private/Position.txt": "TestStream.test_the_documented_position",
        "Subscriptions/V5/Private/UserTrades.txt": "TestStream.test_the_documented_execution",
        "Subscriptions/V5/Private/Order.txt": "TestStream.test_the_documented_order_is_an_option",
        **dict.fromkeys(
            (f"Subscriptions/V5/Private/{name}.txt" for name in ("MinimalUserTrades", "Greeks", "SpreadUserTrade")),
            "TestStream.test_topics_that_are_not_ours_ask_again",
        ),
    },
)
