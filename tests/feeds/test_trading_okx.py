"""Placing and cancelling at OKX: what is sent, and what the answers mean. Documented answers where there are some."""

import json
from decimal import Decimal

import msgspec
import pytest

from feeds.account_domain import Order
from feeds.errors import ExchangeError, ParseError, TransportError
from feeds.exchanges.okx import Okx
from feeds.trading import HedgeMode, NewOrder
from tests.documented import Documented
from tests.feeds.okx_examples import ORDER, POSITION, account, answer, data, rows

CONFIG = {"acctLv": "2", "posMode": "net_mode", "perm": "read_only,trade"}


def api(**config):
    made = account()
    made.take_settings(made.settings_requests()[0], rows(CONFIG | config))
    return made


def order(symbol="BTC/USDT", **more):
    usual = {"side": "buy", "size": Decimal("0.5"), "price": Decimal("20000.10"), "client_id": "a1"}
    return NewOrder(symbol=symbol, **{**usual, **more})


def body(request):
    assert request.method == "POST"
    return json.loads(request.json)


def done(**more):
    return {"ordId": "77", "clOrdId": "a1", "tag": "", "ts": "1", "sCode": "0", "sMsg": ""} | more


class TestPlacing:
    def test_a_pair(self):
        assert body(api().place_request(order())) == {
            "instId": "BTC-USDT",
            "tdMode": "cash",
            "side": "buy",
            "ordType": "limit",
            "sz": "0.5",
            "px": "20000.10",
            "clOrdId": "a1",
        }

    def test_at_market_a_pair_is_bought_by_its_size(self):
        sent = body(api().place_request(order(price=None)))
        assert (sent["ordType"], sent["tgtCcy"], sent["sz"]) == ("market", "base_ccy", "0.5")
        assert "px" not in sent

    def test_a_swap_in_contracts(self):
        sent = body(api().place_request(order("BTC/USDT:USDT", size=Decimal("0.0103"))))
        assert (sent["instId"], sent["tdMode"], sent["sz"]) == ("BTC-USDT-SWAP", "cross", "1.03")
        assert "posSide" not in sent
        assert "reduceOnly" not in sent
        assert body(api().place_request(order("BTC/USDT:USDT", size=Decimal(1))))["sz"] == "100"

    def test_reducing(self):
        assert body(api().place_request(order("BTC/USDT:USDT", reduce_only=True)))["reduceOnly"] is True
        with pytest.raises(ExchangeError, match="no derivative"):
            api().place_request(order(reduce_only=True))

    @pytest.mark.parametrize(
        ("side", "reduce", "position"),
        [("buy", False, "long"), ("sell", False, "short"), ("sell", True, "long"), ("buy", True, "short")],
    )
    def test_in_long_short_mode_the_position_is_named(self, side, reduce, position):
        two = api(posMode="long_short_mode")
        sent = body(two.place_request(order("BTC/USDT:USDT", side=side, reduce_only=reduce)))
        assert sent["posSide"] == position
        assert "reduceOnly" not in sent

    def test_the_margin_mode_is_that_of_the_position(self):
        made = api(posMode="long_short_mode")
        made.parse_positions(made.positions_requests()[0], rows(POSITION), 1)
        assert body(made.place_request(order("ETH/USDT:USDT")))["tdMode"] == "isolated"
        assert body(made.place_request(order("ETH/USDT:USDT", side="sell", reduce_only=True)))["tdMode"] == "isolated"
        assert body(made.place_request(order("ETH/USDT:USDT", side="sell")))["tdMode"] == "cross"  # the short one
        frame = {"arg": {"channel": "positions"}, "data": [POSITION | {"pos": "0"}]}
        made.session(made.routes()[0], None).parse(json.dumps(frame))
        assert body(made.place_request(order("ETH/USDT:USDT")))["tdMode"] == "cross"

    def test_the_mode_is_asked_for_where_it_is_not_known(self):
        made = account()
        assert isinstance(made, HedgeMode)
        request = made.mode_request("BTC/USDT:USDT")
        assert (request.path, made.in_hedge_mode()) == ("/api/v5/account/config", False)
        made.take_mode("BTC/USDT:USDT", rows(CONFIG | {"posMode": "long_short_mode"}))
        assert made.mode_request("BTC/USDT:USDT") is None and made.in_hedge_mode()
        made.doubt_mode("BTC/USDT:USDT", ExchangeError("no balance", "51008"))
        assert made.mode_request("BTC/USDT:USDT") is None
        made.doubt_mode("BTC/USDT:USDT", ExchangeError("Parameter posSide error", "51000"))
        assert made.mode_request("BTC/USDT:USDT") == request

    @pytest.mark.parametrize(("level", "mode"), [("1", "cash"), ("2", "cash"), ("3", "cross"), ("4", "cross")])
    def test_account_modes(self, level, mode):
        assert body(api(acctLv=level).place_request(order()))["tdMode"] == mode

    @pytest.mark.parametrize(
        ("more", "kind"),
        [
            ({"post_only": True}, "post_only"),
            ({"time_in_force": "IOC"}, "ioc"),
            ({"time_in_force": "FOK"}, "fok"),
            ({"price": None, "time_in_force": "IOC"}, "market"),
        ],
    )
    def test_types(self, more, kind):
        assert body(api().place_request(order(**more)))["ordType"] == kind

    @pytest.mark.parametrize(
        "more",
        [
            {"post_only": True, "price": None},
            {"post_only": True, "time_in_force": "IOC"},
            {"price": None, "time_in_force": "FOK"},
        ],
    )
    def test_what_is_not_offered(self, more):
        with pytest.raises(ExchangeError):
            api().place_request(order(**more))

    def test_what_is_not_known_yet(self):
        with pytest.raises(ExchangeError, match="mode"):
            account().place_request(order())
        with pytest.raises(ExchangeError, match="mode of positions"):
            account().place_request(order("BTC/USDT:USDT"))
        with pytest.raises(ExchangeError, match="no market"):
            api().place_request(order("NO/NO"))

    def test_client_ids(self):
        ids = {api().new_client_id() for _ in range(100)}
        assert len(ids) == 100
        assert all(len(one) == 32 and one.isalnum() for one in ids)

    def test_the_answer(self):
        placed = api().parse_placed(order(), answer("Trading/PlaceOrder"), 5)
        assert (placed.id, placed.client_id, placed.status) == ("312269865356374016", "a1", "open")
        assert (placed.size, placed.filled, placed.updated_ms) == (Decimal("0.5"), 0, 5)

    def test_a_refusal_is_in_the_exchanges_words(self):
        """Good HTTP, and code 1 with the reason in the row."""
        raw = rows(done(ordId="", sCode="51008", sMsg="Order failed. Insufficient USDT balance in account"), code="1")
        assert Okx().error_of(200, raw, {}) is None
        with pytest.raises(ExchangeError, match=r"Insufficient USDT balance in account \(51008\)") as caught:
            api().parse_placed(order(), raw, 5)
        assert caught.value.code == "51008"
        without = b'{"code":"1","msg":"All operations failed","data":[]}'
        assert isinstance(Okx().error_of(200, without, {}), ExchangeError)

    @pytest.mark.parametrize("code", ["50001", "50004", "50013", "50026"])
    def test_an_unknown_outcome_is_no_refusal(self, code):
        with pytest.raises(TransportError):
            api().parse_placed(order(), rows(done(sCode=code), code="1"), 5)

    @pytest.mark.parametrize("raw", [rows(), rows(done(), done()), rows(done(ordId=""))])
    def test_an_answer_that_is_none(self, raw):
        with pytest.raises(ParseError):
            api().parse_placed(order(), raw, 5)


class TestFinding:
    def test_by_client_id(self):
        made = api()
        request = made.find_request("BTC/USDT", "a1")
        assert (request.path, dict(request.params)) == (
            "/api/v5/trade/order",
            {"instId": "BTC-USDT", "clOrdId": "a1"},
        )
        raw = answer("Trading/GetOrderDetails")
        named = raw.replace(b'"clOrdId": ""', b'"clOrdId": "a1"')
        found = made.parse_found("BTC/USDT", "a1", named)
        assert (found.id, found.status, found.filled) == ("680800019749904384", "filled", Decimal("0.00192834"))
        assert (found.size, found.average) == (Decimal("0.00192834"), Decimal(51858))
        assert (found.created_ms, found.updated_ms) == (1708587373361, 1708587373362)
        assert made.parse_found("BTC/USDT", "a1", raw) is None
        assert made.parse_found("BTC/USDT", "a1", rows()) is None

    def test_unknown(self):
        error = Okx().error_of(200, b'{"code":"51603","msg":"Order does not exist.","data":[]}', {})
        assert api().unknown_order(error)
        assert not api().unknown_order(ExchangeError("x", "51008"))


class TestCancelling:
    ONE = Order(
        product="spot",
        symbol="BTC/USDT",
        id="9",
        side="buy",
        type="limit",
        size=Decimal(1),
        filled=Decimal(0),
        status="open",
        updated_ms=1,
    )

    def test_one(self):
        made = api()
        assert body(made.cancel_request(self.ONE)) == {"instId": "BTC-USDT", "ordId": "9"}
        made.parse_cancelled(self.ONE, answer("Trading/CancelOrder"))
        with pytest.raises(ExchangeError) as caught:
            made.parse_cancelled(self.ONE, rows(done(sCode="51400", sMsg="gone"), code="1"))
        assert made.unknown_order(caught.value)

    def test_an_algo_order(self):
        algo = msgspec.structs.replace(self.ONE, product="algo", id="algo-5")
        request = api().cancel_request(algo)
        assert (request.path, body(request)) == (
            "/api/v5/trade/cancel-algos",
            [{"instId": "BTC-USDT", "algoId": "5"}],
        )
        api().parse_cancelled(algo, answer("Trading/CancelAlgoOrder"))

    def test_all_that_are_known_in_batches(self):
        made = api()
        told = [ORDER | {"ordId": str(n), "state": "live", "tradeId": ""} for n in range(45)]
        session = made.session(made.routes()[0], None)
        session.parse(data("orders", *told))
        session.parse(data("orders", ORDER | {"ordId": "3"}))  # filled
        made.parse_orders(made.orders_requests()[-1], answer("Trading/GetAlgoOrderList"))
        requests = made.cancel_all_requests(("BTC/USDT:USDT", "BTC/USDT"))
        assert [(r.path.rpartition("/")[2], len(body(r))) for r in requests] == [
            *(("cancel-batch-orders", 20), ("cancel-batch-orders", 20), ("cancel-batch-orders", 4)),
            ("cancel-algos", 1),
        ]
        assert "3" not in {row["ordId"] for r in requests[:3] for row in body(r)}
        assert made.cancel_all_requests(("ETH/USDT",)) == []
        gone = rows(done(ordId="0"), done(ordId="1", sCode="51400", sMsg="gone"), code="2")
        made.parse_cancelled_all(requests[0], gone)
        assert not {"0", "1"} & made.open_orders.keys()
        with pytest.raises(ExchangeError, match="51000"):
            made.parse_cancelled_all(requests[0], rows(done(sCode="51000", sMsg="no"), code="1"))
        made.note([msgspec.structs.replace(self.ONE, id=number) for number in ("12345689", "12344")])
        assert {"12345689", "12344"} <= made.open_orders.keys()
        made.parse_cancelled_all(requests[0], answer("Trading/CancelMultipleOrders"))
        assert not {"12345689", "12344"} & made.open_orders.keys()

    def test_the_dead_mans_switch(self):
        made = api()
        [on], [off] = made.dead_man_requests(60, ()), made.dead_man_requests(0, ())
        assert (on.path, body(on), body(off)) == (
            "/api/v5/trade/cancel-all-after",
            {"timeOut": "60"},
            {"timeOut": "0"},
        )
        assert Okx().error_of(200, answer("Trading/CancelAllAfter"), {}) is None
        for wrong in (5, 121):
            with pytest.raises(ExchangeError, match="10 to 120 s"):
                made.dead_man_requests(wrong, ())


DOCUMENTED = Documented(
    "okx",
    {
        f"Endpoints/UnifiedApi/Trading/{name}.txt": test
        for name, test in {
            "PlaceOrder": "TestPlacing.test_the_answer",
            "GetOrderDetails": "TestFinding.test_by_client_id",
            "CancelOrder": "TestCancelling.test_one",
            "CancelAlgoOrder": "TestCancelling.test_an_algo_order",
            "CancelMultipleOrders": "TestCancelling.test_all_that_are_known_in_batches",
        }.items()
    },
    {"Endpoints/UnifiedApi/Trading/CancelAllAfter.txt": "its answer, when it will act, is not read"},
)
