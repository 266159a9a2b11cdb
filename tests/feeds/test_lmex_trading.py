"""LMEX's orders: how they are placed, found and cancelled, and what its answers mean."""

import json
from decimal import Decimal

import pytest
from msgspec import structs

from feeds.errors import ExchangeError, ParseError
from feeds.exchanges import create
from feeds.trading import NewOrder
from tests.feeds import lmex_examples as examples
from tests.feeds.lmex_examples import account, text

D = Decimal
PERP, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


class TestTrading:
    ORDER = NewOrder(symbol=PERP, side="buy", size=D("0.0001"), price=D(21000), client_id="my-id-1", post_only=True)

    def test_place(self) -> None:
        api = account()
        request = api.place_request(self.ORDER)
        assert (request.method, request.path) == ("POST", "/futures/api/v2.3/order")
        assert request.json is not None and json.loads(request.json) == {
            "symbol": "BTC-PERP",
            "side": "BUY",
            "type": "LIMIT",
            "size": 10,
            "price": 21000,
            "time_in_force": "GTC",
            "postOnly": True,
            "reduceOnly": False,
            "clOrderID": "my-id-1",
        }
        placed = api.parse_placed(self.ORDER, text([examples.PLACED]), 1)
        assert (placed.id, placed.status, placed.size) == (examples.PLACED["orderID"], "open", D("0.0001"))
        spot = structs.replace(self.ORDER, symbol="BTC/USDT", price=None, post_only=False, side="sell")
        market = api.place_request(spot)
        assert market.json == b'{"symbol":"BTC-USDT","side":"SELL","type":"MARKET","size":0.0001,"clOrderID":"my-id-1"}'
        for wrong, why in (
            (structs.replace(self.ORDER, size=D("0.000015")), "whole number of contracts"),
            (structs.replace(self.ORDER, symbol="BTC/USDT", reduce_only=True), "spot"),
            (structs.replace(self.ORDER, price=None), "post-only"),
            (structs.replace(self.ORDER, time_in_force="IOC"), "IOC"),
        ):
            with pytest.raises(ExchangeError, match=why):
                api.place_request(wrong)

    def test_in_hedge_mode(self) -> None:
        api = account()
        api.parse_positions(api.positions_requests()[0], text([examples.POSITION]), 1)
        body = api.place_request(structs.replace(self.ORDER, symbol=ETH, size=D("0.03"))).json
        assert body is not None and json.loads(body)["positionMode"] == "HEDGE"

    @pytest.mark.parametrize("status", [8, 15, 17, 300, 305, 999])
    def test_a_refusal_with_a_good_status(self, status: int) -> None:
        api, refused = account(), text([examples.PLACED | {"status": status, "message": "no"}])
        with pytest.raises(ExchangeError) as error:
            api.parse_placed(self.ORDER, refused, 1)
        assert error.value.code == status
        assert api.leaves_open(error.value) == (status == 17)

    def test_a_refusal_of_few_words(self) -> None:
        few = {"symbol": "BTC-PERP", "timestamp": 1770892916507, "status": 135, "message": "positionId is empty"}
        with pytest.raises(ExchangeError, match=r"positionId is empty \(135\)"):
            account().parse_placed(self.ORDER, text([few]), 1)

    def test_an_order_that_is_not_found_may_be_an_http_error(self) -> None:
        body = b'{"status":400,"error":"Bad Request","code":16,"message":"Order is not found"}'
        error = create("lmex").error_of(400, body, {})
        assert isinstance(error, ExchangeError) and error.code == 16 and account().unknown_order(error)

    def test_find_and_cancel(self) -> None:
        api = account()
        assert api.find_request(PERP, "my-id-1").params == (("clOrderID", "my-id-1"),)
        single = {k: v for k, v in examples.PLACED.items() if k != "message"} | {"status": 4, "totalFilledSize": 10}
        found = api.parse_found(PERP, "my-id-1", text(single))
        assert found is not None and (found.status, found.filled) == ("filled", D("0.0001"))
        assert api.parse_found(PERP, "my-id-1", b"[]") is None
        assert api.parse_found(PERP, "my-id-1", text([examples.PLACED | {"status": 16}])) is None
        with pytest.raises(ParseError, match="instead of"):
            api.parse_found(PERP, "other", text(single))
        assert dict(api.cancel_request(found).params) == {"symbol": "BTC-PERP", "orderID": found.id}
        api.parse_cancelled(found, text([examples.PLACED | {"status": 6}]))
        with pytest.raises(ExchangeError) as error:
            api.parse_cancelled(found, text([examples.PLACED | {"status": 16}]))
        assert api.unknown_order(error.value)
        every = api.cancel_all_requests((PERP, "BTC/USD"))
        assert [(each.method, each.product) for each in every] == [("DELETE", "futures"), ("DELETE", "spot")]
        api.parse_cancelled_all(every[0], b"[]")
        switches = api.dead_man_requests(60, (PERP, ETH, "BTC/USD"))
        assert [(each.path, each.json) for each in switches] == [
            ("/futures/api/v2.3/order/cancelAllAfter", b'{"timeout":60000}'),
            ("/spot/api/v3.3/order/cancelAllAfter", b'{"timeout":60000}'),
        ]
