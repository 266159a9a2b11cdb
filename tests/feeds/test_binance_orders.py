"""Binance, orders placed, found and cancelled: what is sent, by the documented examples, and what the answers mean."""

import json
from decimal import Decimal

import msgspec
import pytest

from feeds.account_domain import Order
from feeds.accounts.binance import BinanceAccount
from feeds.errors import ExchangeError, ParseError
from feeds.exchange import Request
from feeds.exchanges.binance import Binance
from feeds.trading import HedgeMode, NewOrder, TradingApi
from tests.documented import Documented, below
from tests.feeds.binance_examples import account, answer
from tests.shared import shared_file

SPOT, USDM = "LTC/BTC", "BTC/USDT:USDT"
ERRORS = Binance()


def new(symbol: str = SPOT, **more: object) -> NewOrder:
    usual = {"side": "buy", "size": Decimal("1.0"), "price": Decimal("0.10"), "client_id": "myOrder1"}
    return NewOrder(symbol=symbol, **usual | more)


def order(symbol: str, id: str) -> Order:
    return Order(
        product="usdm" if symbol == USDM else "spot",
        symbol=symbol,
        id=id,
        side="buy",
        type="limit",
        size=Decimal(1),
        filled=Decimal(0),
        status="open",
        updated_ms=1,
    )


def in_mode(hedged: bool) -> BinanceAccount:
    api = account()
    api.take_mode(USDM, json.dumps({"dualSidePosition": hedged}).encode())
    return api


def asked(request: Request) -> tuple[str, str]:
    return request.method, request.path


def documented(name: str) -> tuple[str, str]:
    """Method and path that the documentation gives for it."""
    method, path = shared_file(f"fixtures/binance/Endpoints/{name}.txt").read_text().split("\n")[:2]
    return method.strip(), path.strip()


def test_it_fits() -> None:
    assert isinstance(account(), TradingApi)


class TestPlacing:
    @pytest.mark.parametrize(
        ("more", "sent"),
        [
            ({}, {"type": "LIMIT", "price": "0.10", "timeInForce": "GTC"}),
            ({"time_in_force": "IOC"}, {"type": "LIMIT", "price": "0.10", "timeInForce": "IOC"}),
            ({"post_only": True}, {"type": "LIMIT_MAKER", "price": "0.10"}),
            ({"price": None}, {"type": "MARKET"}),
        ],
    )
    def test_spot(self, more: dict[str, object], sent: dict[str, str]) -> None:
        always = {"symbol": "LTCBTC", "side": "BUY", "quantity": "1.0", "newClientOrderId": "myOrder1"}
        always |= {"newOrderRespType": "RESULT"}
        assert dict(account().place_request(new(**more)).params) == always | sent

    def test_usdm(self) -> None:
        sent = dict(in_mode(False).place_request(new(USDM, post_only=True, reduce_only=True)).params)
        assert (sent["symbol"], sent["type"], sent["timeInForce"]) == ("BTCUSDT", "LIMIT", "GTX")
        assert sent["reduceOnly"] == "true" and "positionSide" not in sent

    @pytest.mark.parametrize(
        ("side", "reduces", "position"),
        [("buy", False, "LONG"), ("sell", True, "LONG"), ("sell", False, "SHORT"), ("buy", True, "SHORT")],
    )
    def test_in_hedge_mode_the_position_is_named(self, side: str, reduces: bool, position: str) -> None:
        sent = dict(in_mode(True).place_request(new(USDM, side=side, reduce_only=reduces)).params)
        assert (sent["side"], sent["positionSide"]) == (side.upper(), position)
        assert "reduceOnly" not in sent

    def test_the_mode_is_asked_for(self) -> None:
        api = account()
        assert isinstance(api, HedgeMode)
        with pytest.raises(ExchangeError, match="whether the account is in hedge mode"):
            api.place_request(new(USDM))
        request = api.mode_request(USDM)
        assert request is not None and asked(request) == ("GET", "/fapi/v1/positionSide/dual")
        assert api.mode_request(SPOT) is None
        api.take_mode(USDM, b'{"dualSidePosition": true}')
        assert (api.hedged, api.mode_request(USDM)) == (True, None)
        api.doubt_mode(USDM, ExchangeError("margin is insufficient", -2019))
        assert api.hedged is True
        api.doubt_mode(USDM, ExchangeError("position side does not match", -4061))
        assert api.mode_request(USDM) == request

    @pytest.mark.parametrize(("side", "hedged"), [("BOTH", False), ("LONG", True), ("SHORT", True)])
    def test_positions_tell_the_mode(self, side: str, hedged: bool) -> None:
        api = account()
        [row] = json.loads(answer("UsdFutures/Trading/GetPositions"))[:1]
        api.parse_positions(api.positions_requests()[0], json.dumps([row | {"positionSide": side}]).encode(), 7)
        assert (api.hedged, api.in_hedge_mode()) == (hedged, hedged)
        api.parse_positions(api.positions_requests()[0], b"[]", 8)
        assert api.hedged is hedged  # nothing is told

    @pytest.mark.parametrize(
        ("symbol", "name", "id"), [(SPOT, "Spot", "28"), (USDM, "UsdFutures", "22542179")], ids=["spot", "usdm"]
    )
    def test_placed(self, symbol: str, name: str, id: str) -> None:
        api, wanted = in_mode(True), new(symbol)
        assert asked(api.place_request(wanted)) == documented(f"{name}/Trading/PlaceOrder")
        placed = api.parse_placed(wanted, answer(f"{name}/Trading/PlaceOrder"), 7)
        assert (placed.id, placed.client_id, placed.symbol) == (id, "myOrder1", symbol)
        assert (placed.status, placed.size, placed.filled, placed.updated_ms) == ("open", Decimal("1.0"), 0, 7)
        with pytest.raises(ParseError, match="orderId"):
            api.parse_placed(wanted, b"{}", 7)


class TestFinding:
    def test_spot(self) -> None:
        api, raw = account(), answer("Spot/Trading/GetOrder")
        request = api.find_request(SPOT, "myOrder1")
        assert asked(request) == documented("Spot/Trading/GetOrder")
        assert dict(request.params) == {"symbol": "LTCBTC", "origClientOrderId": "myOrder1"}
        found = api.parse_found(SPOT, "myOrder1", raw)
        assert found is not None
        assert (found.id, found.price, found.size, found.filled) == ("1", Decimal("0.1"), Decimal("1.0"), 0)
        assert (found.status, found.created_ms, found.updated_ms) == ("open", 1499827319559, 1499827319559)
        with pytest.raises(ParseError, match="instead of 'another'"):
            api.parse_found(SPOT, "another", raw)

    def test_usdm(self) -> None:
        api = account()
        assert asked(api.find_request(USDM, "abc")) == documented("UsdFutures/Trading/GetOrder")
        found = api.parse_found(USDM, "abc", answer("UsdFutures/Trading/GetOrder"))
        assert found is not None
        assert (found.id, found.type, found.size) == ("1917641", "trailing_stop_market", Decimal("0.40"))
        assert (found.status, found.created_ms, found.updated_ms) == ("open", 1579276756075, 1579276756075)
        assert (found.price, found.filled, found.average) == (None, 0, None)


class TestCancelling:
    """Nothing but an error is read of the answers: a good one must be none, whatever ``code`` it tells."""

    @pytest.mark.parametrize(
        ("name", "symbol", "id"),
        [
            ("Spot/Trading/CancelOrder", SPOT, "4"),
            ("UsdFutures/Trading/CancelOrder", USDM, "283194212"),
            ("UsdFutures/Trading/CancelConditionalOrder", USDM, "algo-3000000000003505"),
        ],
    )
    def test_one(self, name: str, symbol: str, id: str) -> None:
        api, raw = account(), answer(name)
        request = api.cancel_request(order(symbol, id))
        assert asked(request) == documented(name)
        told = json.loads(raw)
        number = str(told.get("algoId", told.get("orderId")))
        sent = dict(request.params)
        assert sent.get("algoId", sent.get("orderId")) == number == id.removeprefix("algo-")
        assert ERRORS.error_of(200, raw, {}) is None

    def test_all_of_a_market(self) -> None:
        requests = account().cancel_all_requests(("BTC/USDT", USDM))
        names = ("Spot/Trading/CancelAllOrders", "UsdFutures/Trading/CancelAllOrders")
        names += ("UsdFutures/Trading/CancelAllConditionalOrders",)
        assert [asked(request) for request in requests] == [documented(name) for name in names]
        assert {request.params for request in requests} == {(("symbol", "BTCUSDT"),)}
        raws = [answer(name) for name in names]
        assert [ERRORS.error_of(200, raw, {}) for raw in raws] == [None, None, None]
        assert [json.loads(raw)["code"] for raw in raws[1:]] == [200, 200]  # a code that is no error

    def test_the_dead_mans_switch(self) -> None:
        name = "UsdFutures/Trading/CancelAllOrdersAfterTimeout"
        [request] = account().dead_man_requests(100, (USDM, SPOT))
        assert asked(request) == documented(name)
        assert dict(request.params) == json.loads(answer(name))  # it is told as it was set
        assert ERRORS.error_of(200, answer(name), {}) is None

    @pytest.mark.parametrize(
        ("code", "unknown", "open"), [(-2011, True, False), (-2013, True, False), (-1007, False, True)]
    )
    def test_refusals(self, code: int, unknown: bool, open: bool) -> None:
        error = ERRORS.error_of(400, msgspec.json.encode({"code": code, "msg": "no"}), {})
        assert isinstance(error, ExchangeError)
        assert (account().unknown_order(error), account().leaves_open(error)) == (unknown, open)

    def test_a_market_that_is_not_listed(self) -> None:
        with pytest.raises(ExchangeError, match="lists no market NO/SUCH"):
            account().cancel_request(order("NO/SUCH", "1"))


DOCUMENTED = Documented(
    "binance",
    {
        **dict.fromkeys(
            ("Endpoints/Spot/Trading/PlaceOrder.txt", "Endpoints/UsdFutures/Trading/PlaceOrder.txt"),
            "TestPlacing.test_placed",
        ),
        "Endpoints/Spot/Trading/GetOrder.txt": "TestFinding.test_spot",
        "Endpoints/UsdFutures/Trading/GetOrder.txt": "TestFinding.test_usdm",
        "Endpoints/Spot/Trading/CancelOrder.txt": "TestCancelling.test_one",
        **dict.fromkeys(
            below("Endpoints/UsdFutures/Trading", "CancelOrder CancelConditionalOrder"), "TestCancelling.test_one"
        ),
        "Endpoints/Spot/Trading/CancelAllOrders.txt": "TestCancelling.test_all_of_a_market",
        **dict.fromkeys(
            below("Endpoints/UsdFutures/Trading", "CancelAllOrders CancelAllConditionalOrders"),
            "TestCancelling.test_all_of_a_market",
        ),
        "Endpoints/UsdFutures/Trading/CancelAllOrdersAfterTimeout.txt": "TestCancelling.test_the_dead_mans_switch",
    },
)
