"""OKX's private streams: login and subscriptions, the documented frames, and what is hard about them."""

import contextlib
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.account_domain import AccountChanged, Balance, Fill, Order, Position, Reply, TradedElsewhere, UnknownMarket
from feeds.domain import Ack, Closing, Notice, Rejected
from feeds.errors import ParseError
from tests.documented import Documented, below
from tests.feeds.okx_examples import NOW_MS, ORDER, POSITION, account, answer, data, frame

LOGGED_IN = '{"event":"login","code":"0","msg":"","connId":"a4d3ae55"}'


def session(products=("spot", "swap"), name="account", api=None):
    api = api or account(products)
    return api.session(next(route for route in api.routes() if route.name == name), None)


class TestProtocol:
    def test_two_connections_for_the_two_paths(self):
        api = account()
        assert {route.name: api.url(route, None) for route in api.routes()} == {
            "account": "wss://ws.okx.com:8443/ws/v5/private",
            "algo": "wss://ws.okx.com:8443/ws/v5/business",
        }
        assert [route.subjects for route in api.routes()] == [("trading", "spot", "swap"), ("algo",)]
        assert account(("swap",)).routes()[0].subjects == ("trading", "swap")

    @pytest.mark.parametrize("name", ["account", "algo"])
    def test_subscriptions_follow_the_login_and_stand_with_the_last_answer(self, name):
        one = session(name=name)
        assert len(one.opening(NOW_MS)) == 1
        [reply] = one.parse(LOGGED_IN)
        assert isinstance(reply, Reply)
        asked = json.loads(reply.messages[0])
        assert asked["op"] == "subscribe"
        channels = [arg["channel"] for arg in asked["args"]]
        assert channels == (
            ["orders-algo", "algo-advance"]
            if name == "algo"
            else ["orders", "account", "positions", "balance_and_position", "liquidation-warning"]
        )
        told = [one.parse(json.dumps({"id": "1", "event": "subscribe", "arg": arg})) for arg in reversed(asked["args"])]
        assert told == [[]] * (len(channels) - 1) + [[Ack(subscriptions=())]]
        assert one.parse('{"event":"channel-conn-count","channel":"orders","connCount":"2","connId":"a"}') == []

    def test_only_events_are_asked_for(self):
        [reply] = session().parse(LOGGED_IN)
        args = {arg["channel"]: arg for arg in json.loads(reply.messages[0])["args"]}
        assert json.loads(args["account"]["extraParams"]) == {"updateInterval": "0"}
        assert args["positions"]["instType"] == "ANY"

    def test_refusals(self):
        refused = session().parse('{"event":"error","code":"60009","msg":"Login failed.","connId":"a4d3ae55"}')
        assert refused == [Rejected(subscriptions=(), reason="Login failed.", code="60009")]
        [many] = session().parse('{"event":"channel-conn-count-error","channel":"orders","connCount":"30"}')
        assert (type(many), many.code) == (Rejected, "channel-conn-count-error")

    def test_text_ping_and_the_end(self):
        one = session()
        assert one.keepalive() == "ping"
        assert one.parse(b"pong") == one.parse("pong") == []
        notice = '{"event":"notice","code":"64008","msg":"The connection will soon be closed.","connId":"a"}'
        assert [type(event) for event in one.parse(notice)] == [Closing]
        assert [type(event) for event in one.parse(notice.replace("64008", "1"))] == [Notice]

    @pytest.mark.parametrize(
        "raw", ["", "{}", "[]", "null", '{"event":"new"}', '{"arg":{"channel":"orders"}}', b"\xff"]
    )
    def test_what_is_neither_data_nor_a_reply(self, raw):
        with pytest.raises(ParseError):
            session().parse(raw)


class TestData:
    def test_balances_as_of_when_they_were_gathered(self):
        assert session().parse(frame("Account/Balance")) == [
            Balance(
                product="trading",
                asset="USDT",
                total=Decimal("4900.426970691436"),
                strategies=Decimal(150),
                free=Decimal("4734.371190691436"),
                locked=Decimal("158.57998"),
                asof_ms=1705564223311,
            )
        ]

    def test_the_documented_fill(self):
        fill, order = session().parse(frame("Trading/Order"))
        assert fill == Fill(
            product="spot",
            symbol="BTC/USDT",
            id="242589207",
            order_id="452197707845865472",
            side="sell",
            price=Decimal("31527.1"),
            size=Decimal("0.001"),
            fee=Decimal("0.02522168"),
            fee_asset="USDT",
            maker=True,
            position_side="both",
            exchange_ms=1654084353263,
        )
        assert (order.status, order.filled, order.average) == ("filled", Decimal("0.001"), Decimal("31527.1"))
        assert (order.price, order.size) == (Decimal("31527.1"), Decimal("0.001"))
        assert (order.created_ms, order.updated_ms) == (1654084334977, 1654084353264)

    def test_a_fill_in_contracts(self):
        fill, order = session().parse(data("orders", ORDER))
        assert (fill.symbol, fill.size, fill.fee) == ("BTC/USDT:USDT", Decimal("0.0003"), Decimal("0.0062"))
        assert (fill.realised, fill.position_side, fill.maker) == (Decimal(0), "long", True)
        assert (order.size, order.filled, order.client_id) == (Decimal("0.0003"), Decimal("0.0003"), "001BTCUSDT")

    def test_the_stream_and_the_history_tell_one_fill(self):
        api = account()
        row = {
            **{"instType": "SWAP", "instId": "BTC-USDT-SWAP", "tradeId": "1518905529", "ordId": ORDER["ordId"]},
            **{"clOrdId": "001BTCUSDT", "billId": "9", "fillPx": "103698.9", "fillSz": "0.03", "side": "buy"},
            **{"posSide": "long", "execType": "M", "fee": "-0.0062", "feeCcy": "USDT", "fillPnl": "0"},
            **{"fillTime": "1746947317402", "ts": "1746947317403"},
        }
        raw = json.dumps({"code": "0", "msg": "", "data": [row]}).encode()
        [told] = api.parse_fills("SWAP", None, raw, 0).fills
        assert session(api=api).parse(data("orders", ORDER))[0] == told

    def test_a_rebate_is_a_negative_fee(self):
        fill, _ = session().parse(data("orders", ORDER | {"fillFee": "0.0011"}))
        assert fill.fee == Decimal("-0.0011")

    @pytest.mark.parametrize("change", [{"tradeId": ""}, {"fillSz": "0"}])
    def test_an_end_without_a_trade_is_no_fill(self, change):
        events = session().parse(data("orders", ORDER | change))
        assert [type(event) for event in events] == [Order]

    @pytest.mark.parametrize(
        ("state", "ours"),
        [
            *(("live", "open"), ("partially_filled", "partial"), ("canceled", "canceled")),
            *(("mmp_canceled", "canceled"), ("something_new", "something_new")),
        ],
    )
    def test_states(self, state, ours):
        [order] = session().parse(data("orders", ORDER | {"state": state, "tradeId": ""}))
        assert order.status == ours

    @pytest.mark.parametrize(
        ("kind", "ours"),
        [
            *(("limit", ("limit", "GTC")), ("ioc", ("limit", "IOC")), ("fok", ("limit", "FOK"))),
            *(("post_only", ("post_only", "GTC")), ("market", ("market", None))),
            ("optimal_limit_ioc", ("optimal_limit_ioc", None)),
        ],
    )
    def test_types(self, kind, ours):
        [order] = session().parse(data("orders", ORDER | {"ordType": kind, "tradeId": ""}))
        assert (order.type, order.time_in_force) == ours

    def test_positions(self):
        told = POSITION | {"pTime": "1764434110000"}
        [position] = session().parse(data("positions", told, eventType="snapshot", curPage=1, lastPage=True))
        assert (position.symbol, position.side, position.size) == ("ETH/USDT:USDT", "long", Decimal("0.1"))
        assert position.asof_ms == 1764434110000
        [closed] = session().parse(data("positions", told | {"pos": "0", "avgPx": "", "markPx": "", "liqPx": ""}))
        assert isinstance(closed, Position)
        assert (closed.size, closed.entry, closed.mark, closed.liquidation) == (0, 0, None, None)

    def test_what_is_not_listed_is_named_and_never_shown_in_contracts(self):
        assert session().parse(frame("Trading/Position")) == [UnknownMarket(product="futures", native="ETH-USD-210430")]
        inverse = ORDER | {"instId": "BTC-USD-SWAP"}
        elsewhere, named = session().parse(data("orders", inverse))
        assert isinstance(elsewhere, TradedElsewhere)  # see test_okx_bills
        assert named == UnknownMarket(product="swap", native="BTC-USD-SWAP")
        margin = POSITION | {"instType": "MARGIN", "instId": "BTC-USDT"}
        assert session().parse(data("positions", margin)) == [UnknownMarket(product="margin", native="BTC-USDT")]

    def test_a_pair_bought_on_margin_is_the_same_market(self):
        fill, order = session().parse(data("orders", ORDER | {"instType": "MARGIN", "instId": "BTC-USDT"}))
        assert (fill.product, fill.symbol, fill.size, order.product) == ("spot", "BTC/USDT", Decimal("0.03"), "spot")

    def test_of_products_that_are_not_followed_executions_alone_are_told(self):
        [only] = session(products=("spot",)).parse(data("orders", ORDER))
        assert isinstance(only, TradedElsewhere)
        assert session(products=("spot",)).parse(data("orders", ORDER | {"tradeId": ""})) == []

    def test_what_happened_besides_trading_asks_again(self):
        assert session().parse(frame("Account/BalanceAndPosition")) == []
        told = [session().parse(data("balance_and_position", {"eventType": why})) for why in ("filled", "transferred")]
        assert told == [[], [AccountChanged(reason="transferred")]]

    def test_a_warning_of_liquidation(self):
        notice, changed = session().parse(frame("Trading/LiquidationWarning"))
        assert "ETH-USD-210430" in notice.text
        assert isinstance(changed, AccountChanged)

    def test_algo_orders(self):
        [order] = session(name="algo").parse(frame("Trading/AlgoOrder").replace("BTC-USDC", "BTC-USDT"))
        assert (order.product, order.id, order.type) == ("algo", "algo-581878926302093312", "conditional")
        assert (order.status, order.size, order.updated_ms) == ("open", Decimal(0), 1708679675245)  # by value
        assert (order.filled, order.average, order.created_ms) == (0, None, 1685002746818)
        [advanced] = session(name="algo").parse(frame("Trading/AdvancedAlgoOrder"))
        assert (advanced.type, advanced.status, advanced.size) == ("iceberg", "open", Decimal("0.1"))
        assert (advanced.id, advanced.filled) == ("algo-355056228680335360", 0)
        assert (advanced.created_ms, advanced.updated_ms) == (1630924001545, 1630924295204)
        done = data("orders-algo", {**json.loads(frame("Trading/AlgoOrder"))["data"][0], "state": "effective"})
        assert session(name="algo").parse(done)[0].status == "triggered"

    def test_poorer_channels_and_new_ones(self):
        assert session().parse(frame("Trading/UserTrade")) == []
        assert session().parse(frame("Account/Greeks")) == [AccountChanged(reason="account-greeks")]
        assert session().parse(frame("Account/Deposit")) == [AccountChanged(reason="deposit-info")]
        assert session().parse(frame("Account/Withdrawal")) == [AccountChanged(reason="withdrawal-info")]


FRAMES = (
    *("Account/Balance", "Account/BalanceAndPosition", "Account/Deposit", "Account/Greeks", "Account/Withdrawal"),
    *("Trading/AdvancedAlgoOrder", "Trading/AlgoOrder", "Trading/LiquidationWarning", "Trading/Order"),
    *("Trading/Position", "Trading/UserTrade"),
)
ANSWERS = ("Account/GetAccountBalance", "Trading/GetOrders", "Trading/GetUserTrades", "Trading/GetAlgoOrderList")
PIECES = ('"', "{", "}", "[", "]", ",", ":", "null", "1e9", "NaN", "-", "0", "\\ud800", '"x"', "true")


@given(name=st.sampled_from(FRAMES), cut=st.integers(0, 5000), piece=st.sampled_from(PIECES), length=st.integers(0, 40))
def test_mutated_frames_are_read_or_not_understood(name, cut, piece, length):
    raw = frame(name)
    cut %= len(raw)
    with contextlib.suppress(ParseError):
        session().parse(raw[:cut] + piece + raw[cut + length :])


@given(data=st.data(), cut=st.integers(0, 5000), piece=st.sampled_from(PIECES), length=st.integers(0, 40))
def test_mutated_answers_are_read_or_not_understood(data, cut, piece, length):
    api = account()
    raw = answer(data.draw(st.sampled_from(ANSWERS)))
    cut %= len(raw)
    raw = raw[:cut] + piece.encode() + raw[cut + length :]
    for parse in (
        lambda: api.parse_balances(api.balances_requests()[0], raw, 1),
        lambda: api.parse_positions(api.positions_requests()[0], raw, 1),
        lambda: api.parse_orders(api.orders_requests()[0], raw),
        lambda: api.parse_orders(api.orders_requests()[-1], raw),
        lambda: api.next_page(api.orders_requests()[0], raw),
        lambda: api.parse_fills("SPOT", None, raw, 1),
        lambda: api.parse_rights(raw),
        lambda: [api.parse_transfers(request, raw) for request in api.transfers_requests(0)],
    ):
        with contextlib.suppress(ParseError):
            parse()


@given(st.binary(max_size=60))
def test_bytes_are_read_or_not_understood(raw):
    with contextlib.suppress(ParseError):
        session().parse(raw)


DOCUMENTED = Documented(
    "okx",
    {
        f"Subscriptions/Unified/{name}": test
        for test, names in {
            "TestData.test_balances_as_of_when_they_were_gathered": below("Account", "Balance"),
            "TestData.test_what_happened_besides_trading_asks_again": below("Account", "BalanceAndPosition"),
            "TestData.test_poorer_channels_and_new_ones": [
                *below("Account", "Deposit Greeks Withdrawal"),
                *below("Trading", "UserTrade"),
            ],
            "TestData.test_algo_orders": below("Trading", "AdvancedAlgoOrder AlgoOrder"),
            "TestData.test_a_warning_of_liquidation": below("Trading", "LiquidationWarning"),
            "TestData.test_the_documented_fill": below("Trading", "Order"),
            "TestData.test_what_is_not_listed_is_named_and_never_shown_in_contracts": below("Trading", "Position"),
        }.items()
        for name in names
    },
)
