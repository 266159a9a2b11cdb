"""Coinbase's private stream and its orders: the documented frames, and what is hard about them."""

import contextlib
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.account_domain import AccountChanged, Expired, Order
from feeds.domain import Ack, Heartbeat, Rejected
from feeds.errors import ExchangeError, ParseError
from feeds.trading import NewOrder, TradingApi
from tests.documented import Documented
from tests.feeds.coinbase_account import account, answer, documented, order_row, session, told, user_frame
from tests.feeds.coinbase_world import frames_of

OPEN = order_row(status="OPEN", cumulative_quantity="0.004", leaves_quantity="0.006", avg_price="50000")
SUBSCRIBED, _ = frames_of("Subscriptions/AdvancedTrade/User.txt")


def beat(number):
    return json.dumps({"channel": "heartbeats", "sequence_num": number, "events": [{"heartbeat_counter": 1}]})


def orders(events):
    return [event for event in events if isinstance(event, Order)]


def wishes(events):
    return [event.fills_in for event in events if isinstance(event, AccountChanged)]


class TestStream:
    def test_documented_orders_of_spot(self):
        """The frame also tells positions in futures, which are another product."""
        assert session().parse(json.dumps(user_frame())) == [
            Order(
                product="spot",
                symbol="BTC/USD",
                id="YYY",
                client_id="XXX",
                side="buy",
                type="limit",
                price=Decimal(50000),
                size=Decimal("0.01"),
                filled=Decimal("0.01"),
                average=Decimal(50000),
                status="filled",
                time_in_force="GTC",
                created_ms=1718994553909,
                updated_ms=1675974837609,
            )
        ]

    def test_acknowledged_once_when_the_channel_stands(self):
        mine = session()
        other = (
            '{"channel":"subscriptions","sequence_num":0,"events":[{"subscriptions":{"heartbeats":["heartbeats"]}}]}'
        )
        assert mine.parse(other) == []
        assert mine.parse(SUBSCRIBED) == [Ack(subscriptions=())]
        assert mine.parse(SUBSCRIBED.replace('"sequence_num":1', '"sequence_num":2')) == []
        assert mine.parse(beat(3)) == [Heartbeat()]

    def test_refusal(self):
        assert session().parse('{"type":"error","message":"authentication failure"}') == [
            Rejected(subscriptions=(), reason="authentication failure", code="authentication failure")
        ]

    def test_an_order_that_is_filled_further_asks_for_its_fills(self):
        mine = session()
        first = mine.parse(told(0, OPEN, kind="snapshot"))
        assert wishes(first) == []
        assert orders(first)[0].status == "partial"
        more = {**OPEN, "cumulative_quantity": "0.007", "leaves_quantity": "0.003"}
        assert wishes(mine.parse(told(1, more))) == ["BTC/USD"]
        assert wishes(mine.parse(told(2, {**more, "outstanding_hold_amount": "1"}))) == [None]
        done = {**OPEN, "status": "FILLED", "cumulative_quantity": "0.01", "leaves_quantity": "0"}
        events = mine.parse(told(3, done))
        assert wishes(events) == ["BTC/USD"]
        assert (orders(events)[0].status, orders(events)[0].size) == ("filled", Decimal("0.010"))

    def test_what_rest_told_first_is_asked_for_all_the_same(self):
        api = account()
        row = documented("Trading/GetOrders", side="BUY", order_id="YYY", status="OPEN", filled_size="0.0004")
        api.parse_orders(api.orders_requests()[2], json.dumps({"orders": [row]}).encode())
        events = session(api).parse(told(0, {**OPEN, "cumulative_quantity": "0.0004", "leaves_quantity": "0.0006"}))
        assert wishes(events) == ["BTC/USD"]

    def test_a_cancelled_order_keeps_its_size(self):
        mine = session()
        mine.parse(told(0, OPEN, kind="snapshot"))
        gone = {**OPEN, "status": "CANCELLED", "leaves_quantity": "0"}
        [order] = orders(mine.parse(told(1, gone)))
        assert (order.status, order.size, order.filled) == ("canceled", Decimal("0.010"), Decimal("0.004"))

    def test_one_that_was_never_told_of_and_ended_without_a_fill_is_no_order(self):
        gone = {**OPEN, "status": "CANCELLED", "cumulative_quantity": "0", "leaves_quantity": "0"}
        assert orders(session().parse(told(0, gone))) == []

    def test_old_news_after_a_reconnect(self):
        api = account()
        first = session(api)
        first.parse(told(0, OPEN, kind="snapshot"))
        first.parse(told(1, {**OPEN, "cumulative_quantity": "0.007", "leaves_quantity": "0.003"}))
        second = session(api)
        assert second.parse(told(0, OPEN)) == []  # less was filled then
        second.parse(told(1, {**OPEN, "status": "CANCELLED", "cumulative_quantity": "0.007", "leaves_quantity": "0"}))
        assert second.parse(told(2, {**OPEN, "cumulative_quantity": "0.007", "leaves_quantity": "0.003"})) == []

    def test_a_lost_frame_ends_the_connection_and_an_old_one_says_nothing(self):
        mine = session()
        assert mine.parse(beat(4)) == [Heartbeat()]
        events = mine.parse(told(6, OPEN))
        assert len(orders(events)) == 1
        assert isinstance(events[-1], Expired)
        assert "number 6 came after 4" in events[-1].reason
        assert mine.parse(beat(5)) == []
        assert mine.parse(beat(7)) == [Heartbeat()]

    def test_futures_and_unlisted_markets(self):
        [order] = orders(session().parse(told(0, {**OPEN, "product_id": "NEW-USD"})))
        assert order.symbol == "NEW-USD@spot"
        assert session().parse(told(0, {**OPEN, "product_id": "BTC-PERP-INTX"})) == []

    def test_stop_orders_have_one_name_by_stream_and_rest(self):
        [order] = orders(session().parse(told(0, {**OPEN, "order_type": "Stop Limit"})))
        assert order.type == "stop_limit"

    @pytest.mark.parametrize("value", ["NaN", "1e9999", "-1", "x"])
    def test_what_is_no_size_is_refused(self, value):
        with pytest.raises(ParseError, match="cumulative_quantity"):
            session().parse(told(0, {**OPEN, "cumulative_quantity": value}))

    @given(data=st.data(), text=st.sampled_from([told(3, OPEN), json.dumps(user_frame()), SUBSCRIBED, beat(1)]))
    def test_damaged_frames_are_parse_errors(self, data, text):
        raw = bytearray(text.encode())
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, max(0, len(raw) - 1)))
            raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        with contextlib.suppress(ParseError):
            session().parse(bytes(raw))


def new_order(**changes):
    fields = {
        "symbol": "BTC/USD",
        "side": "buy",
        "size": Decimal("0.001"),
        "price": Decimal(10000),
        "client_id": "mine",
    }
    return NewOrder(**{**fields, **changes})


class TestTrading:
    def test_fits(self):
        assert isinstance(account(), TradingApi)

    def test_limit_as_documented(self):
        request = account().place_request(new_order(price=Decimal("10000.00"), post_only=True))
        assert (request.method, request.path, request.product, request.subject) == (
            "POST",
            "/api/v3/brokerage/orders",
            "private",
            "spot",
        )
        assert json.loads(request.json) == {
            "client_order_id": "mine",
            "product_id": "BTC-USD",
            "side": "BUY",
            "order_configuration": {
                "limit_limit_gtc": {"base_size": "0.001", "limit_price": "10000.00", "post_only": True}
            },
        }

    @pytest.mark.parametrize(
        ("changes", "kind", "fields"),
        [
            ({"price": None}, "market_market_ioc", {"base_size"}),
            ({"price": None, "time_in_force": "FOK"}, "market_market_fok", {"base_size"}),
            ({"time_in_force": "IOC"}, "sor_limit_ioc", {"base_size", "limit_price"}),
            ({"time_in_force": "FOK"}, "limit_limit_fok", {"base_size", "limit_price"}),
        ],
    )
    def test_kinds(self, changes, kind, fields):
        [(name, told_fields)] = json.loads(account().place_request(new_order(**changes)).json)[
            "order_configuration"
        ].items()
        assert (name, set(told_fields)) == (kind, fields)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"price": None, "post_only": True}, "cannot be post-only"),
            ({"post_only": True, "time_in_force": "IOC"}, "cannot be IOC as well"),
            ({"reduce_only": True}, "nothing can be reduced"),
            ({"symbol": "NO/SUCH"}, "lists no market NO/SUCH"),
        ],
    )
    def test_what_is_not_offered(self, changes, said):
        with pytest.raises(ExchangeError, match=said):
            account().place_request(new_order(**changes))

    def test_placed_as_documented(self):
        order = account().parse_placed(new_order(), answer("Trading/PlaceOrder"), 7)
        assert (order.id, order.client_id, order.status, order.updated_ms) == (
            "11111-00000-000000",
            "0000-00000-000000",
            "open",
            7,
        )

    def test_refused_with_status_200(self):
        refusal = {"error": "INSUFFICIENT_FUND", "message": "Insufficient balance in source account"}
        raw = json.dumps({"success": False, "error_response": refusal}).encode()
        api = account()
        with pytest.raises(ExchangeError, match="Insufficient balance in source account") as caught:
            api.parse_placed(new_order(), raw, 7)
        assert caught.value.code == "INSUFFICIENT_FUND"
        assert not api.leaves_open(caught.value)

    @pytest.mark.parametrize("error", ["UNKNOWN_FAILURE_REASON", "DUPLICATE_CLIENT_ORDER_ID", ""])
    def test_refusals_that_leave_the_order_open(self, error):
        raw = json.dumps({"success": False, "error_response": {"error": error}}).encode()
        api = account()
        with pytest.raises(ExchangeError) as caught:
            api.parse_placed(new_order(), raw, 7)
        assert api.leaves_open(caught.value)

    def test_client_ids_carry_their_time(self):
        api = account()
        api.sign(api.balances_requests()[0], 1_700_000_600_000)
        first, second = api.new_client_id(), api.new_client_id()
        assert first != second
        assert len(first) == 36
        assert first[14] == "7"
        assert dict(api.find_request("BTC/USD", first).params) == {
            "product_ids": "BTC-USD",
            "limit": "250",
            "start_date": "2023-11-14T22:13:20.000Z",
        }
        assert "start_date" not in dict(api.find_request("BTC/USD", "not-ours").params)

    def test_found(self):
        api = account()
        raw = json.dumps({"orders": [documented("Trading/GetOrders", side="BUY")], "has_next": False}).encode()
        assert api.parse_found("BTC/USD", "11111-000000-000000", raw).id == "0000-000000-000000"
        assert api.parse_found("BTC/USD", "another", raw) is None

    def test_a_list_that_goes_on_does_not_say_that_there_is_no_such_order(self):
        raw = json.dumps({"orders": [], "has_next": True, "cursor": "7"}).encode()
        with pytest.raises(ExchangeError, match="is not told") as caught:
            account().parse_found("BTC/USD", "mine", raw)
        assert not account().unknown_order(caught.value)

    def test_cancelled(self):
        api = account()
        [order] = orders(session().parse(told(0, {**OPEN, "order_id": "0000-00000"})))
        assert json.loads(api.cancel_request(order).json) == {"order_ids": ["0000-00000"]}
        api.parse_cancelled(order, answer("Trading/CancelOrders"))
        gone = answer("Trading/CancelOrders").replace(b"true", b"false").replace(b"UNKNOWN_CANCEL_FAILURE", b"X")
        with pytest.raises(ExchangeError, match="X_REASON"):
            api.parse_cancelled(order, gone)
        with pytest.raises(ExchangeError, match="did not say"):
            api.parse_cancelled(order, b'{"results":[]}')
        unknown = b'{"results":[{"success":false,"failure_reason":"UNKNOWN_CANCEL_ORDER","order_id":"0000-00000"}]}'
        with pytest.raises(ExchangeError) as caught:
            api.parse_cancelled(order, unknown)
        assert api.unknown_order(caught.value)

    def test_cancel_all_names_the_open_orders_100_at_a_time(self):
        api = account()
        mine = session(api)
        mine.parse(told(0, *({**OPEN, "order_id": f"id-{number}"} for number in range(120)), kind="snapshot"))
        mine.parse(told(1, {**OPEN, "order_id": "eth", "product_id": "ETH-USD"}))
        mine.parse(told(2, {**OPEN, "order_id": "id-0", "status": "CANCELLED", "leaves_quantity": "0"}))
        parts = [json.loads(request.json)["order_ids"] for request in api.cancel_all_requests(("BTC/USD",))]
        assert [len(part) for part in parts] == [100, 19]
        assert {order_id for part in parts for order_id in part} == {f"id-{number}" for number in range(1, 120)}
        assert api.cancel_all_requests(("NO/SUCH",)) == []
        assert api.dead_man_requests(60, ("BTC/USD",)) == []

    def test_cancel_all_tells_what_was_refused_and_forgets_what_is_gone(self):
        api = account()
        session(api).parse(told(0, OPEN))
        [request] = api.cancel_all_requests(("BTC/USD",))
        row = {"success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER", "order_id": "YYY"}
        api.parse_cancelled_all(request, json.dumps({"results": [row]}).encode())
        assert api.cancel_all_requests(("BTC/USD",)) == []
        row |= {"failure_reason": "COMMANDER_REJECTED_CANCEL_ORDER"}
        with pytest.raises(ExchangeError, match="COMMANDER_REJECTED"):
            api.parse_cancelled_all(request, json.dumps({"results": [row]}).encode())


DOCUMENTED = Documented(
    "coinbase",
    {
        "Endpoints/AdvancedTrade/Trading/PlaceOrder.txt": "TestTrading.test_placed_as_documented",
        "Endpoints/AdvancedTrade/Trading/CancelOrders.txt": "TestTrading.test_cancelled",
        "Subscriptions/AdvancedTrade/User.txt": "TestStream.test_documented_orders_of_spot",
    },
)
