"""LMEX's private side: signatures, and its documented answers and frames by their figures."""

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.account import AccountSpec, Credentials, TellsRights
from feeds.account_domain import AccountChanged, Balance, Fill, Order, Position, Reply, Transfer, UnknownMarket
from feeds.accounts import REGISTRY
from feeds.accounts.lmex import LmexAccount
from feeds.accounts.lmex.stream import LmexPrivateSession
from feeds.domain import Ack, Heartbeat, Rejected
from feeds.errors import CredentialsError, ExchangeError, ParseError
from feeds.exchange import Request
from feeds.exchanges import create
from feeds.following.polls import RARE
from feeds.trading import TradingApi
from tests.feeds import lmex_examples as examples
from tests.feeds.lmex_examples import KEY, MARKETS, NOW_MS, account, text

D = Decimal
NONCE = 1_700_000_000_000
PERP, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
BTSE = Credentials(KEY.key, "848db84ac252b6726e5f6e7a711d9c96d9fd77d020151b45839a5b59c37203bx")

ORDER_BODY = (
    b'{"symbol":"BTC-PERP","side":"BUY","type":"LIMIT","price":50000,"size":1,"time_in_force":"GTC","postOnly":true}'
)
SIGNED = [
    ("futures", "/api/v2.3/user/wallet", None, "0372742af0574fe5c993926110818a4e8c3757249903f4f7bb955be31e47e1c8e"
     "95459cb010541b1a5a4e4888c9c6bb5"),
    ("spot", "/api/v3.2/user/wallet", None, "4a033c533a05e4ef1a42882345ad5e6fd7fbb133831d855795f4b7c00c9b84eb8839c9d"
     "f334afe0ca454eff8d6059a71"),
    ("spot", "/api/v3.2/user/open_orders", None, "6e9a2f042430f87275245bc5ab4210f7822a5fa78aada13c20ecd7f9d7b4fd440ed"
     "14bc1e59c6e526dc9740413206466"),
    ("futures", "/api/v2.3/user/open_orders", None, "f040f9989338b169a045cb393be75a49b623d3fa500ba871e18c78f478bb0edb"
     "7ae65ecffae8727533963e71b4dad424"),
    ("futures", "/api/v2.3/order", ORDER_BODY, "18ce0db994532154e62af3e46156591fb79bc58a035989ebe4508353566f453dc71a9"
     "ab8707d5fdfdd9ead5d5d9e989c"),
    ("futures", "/api/v2.3/order/cancelAllAfter", b'{"timeout":60000}', "b14c1ecc5143ecdbe4f706bf5aa79f51c230790774a9"
     "892585ab4f047c563bdd57fa0eeb92bea9f017e4b64f579b2843"),
]  # fmt: skip


def header(request: Request, name: str) -> str:
    return dict(request.headers)[name]


class TestSigning:
    @pytest.mark.parametrize(("product", "path", "body", "expected"), SIGNED)
    def test_rest(self, product: str, path: str, body: bytes | None, expected: str) -> None:
        method: Any = "POST" if body else "GET"
        params = () if body else (("wallet", "CROSS@"),)
        asked = Request(path=f"/{product}{path}", params=params, method=method, json=body, product=product)
        signed = account().sign(asked, NONCE)
        assert signed.headers == (
            ("request-api", KEY.key),
            ("request-nonce", str(NONCE)),
            ("request-sign", expected),
        )
        assert (signed.params, signed.json) == (params, body), "the query is not signed"

    def test_published_examples(self) -> None:
        api = account(key=BTSE)
        asked = Request(path="/futures/api/v2.3/user/wallet", product="futures")
        assert header(api.sign(asked, 1624984297330), "request-sign") == (
            "2c41ab59d24d4e807ab035ef2fd4619c928320cac319751e7be2ecd03e5bf6dd31a4c85db88535bbe3e012b22d312290"
        )
        for product, expected in (
            ("futures", "bd8afb8bee58ba0a2c67f84dcfe6e64d0274f55d064bb26ea84a0fe6dd8c621b541b511982fb0c0b8c244e9521a8"
             "0ea1"),
            ("spot", "c410d38c681579adb335885800cff24c66171b7cc8376cfe43da1408c581748156b89bcc5a115bb496413bda4811"
             "39fb"),
        ):  # fmt: skip
            login, _ = session(product, api).opening(1624985375123)
            assert json.loads(login) == {"op": "authKeyExpires", "args": [KEY.key, "1624985375123", expected]}

    def test_sockets(self) -> None:
        assert account().signature(f"/ws/futures{NONCE}") == (
            "5fbb662f5a04508233825533bebf73cabc1595666d71dd92a8cccca75d7fac298190545e7e0099ea653ea9fcbc47c32b"
        )
        assert account().signature(f"/ws/spot{NONCE}") == (
            "4113fd740e4ffcbfffb39ffadebde011da9f80b1bf9af462b0d5e6b6e8deb83aa00ae9b1b19fa7c5c47183f6b5493fee"
        )

    def test_a_refused_futures_path_is_tried_whole(self) -> None:
        api, asked = account(), Request(path="/futures/api/v2.3/user/wallet", product="futures")
        assert api.clock_error(CredentialsError("HTTP 401", 401))
        assert header(api.sign(asked, NONCE), "request-sign") == (
            "35a6bfab591c34b5713a8e33c60441045f4dc99b17171369764daa1a5600de808b1f0215a8fc7cec9f067cf4bf0fccc7"
        )
        spot = Request(path="/spot/api/v3.2/user/wallet", product="spot")
        assert header(api.sign(spot, NONCE + 1), "request-sign") == api.signature(f"/api/v3.2/user/wallet{NONCE + 1}")

    def test_a_form_that_was_accepted_stays(self) -> None:
        api, [_, asked] = account(), account().balances_requests()
        api.parse_balances(asked, examples.FUTURES_WALLET.encode(), 1)
        assert api.clock_error(CredentialsError("HTTP 401", 401)), "it may be the nonce"
        signed = api.sign(asked, NONCE)
        assert header(signed, "request-sign") == api.signature(f"/api/v2.3/user/wallet{NONCE}")
        assert not api.clock_error(ExchangeError("HTTP 400", 400))

    def test_no_nonce_twice(self) -> None:
        api, asked = account(), Request(path="/spot/api/v3.2/user/wallet", product="spot")
        nonces = [int(header(api.sign(asked, NONCE), "request-nonce")) for _ in range(3)]
        assert nonces == [NONCE, NONCE + 1, NONCE + 2]


def session(product: str, api: LmexAccount | None = None) -> LmexPrivateSession:
    api = api or account()
    route = next(route for route in api.routes() if route.product == product)
    made = api.session(route, None)
    assert isinstance(made, LmexPrivateSession)
    return made


def test_registry_and_hosts() -> None:
    spec = AccountSpec(id=1, exchange="lmex", label="Main", credentials=KEY, products=("spot", "futures"))
    api = REGISTRY["lmex"](spec, MARKETS, create("lmex").endpoints)
    assert api.ready() and not isinstance(api, TellsRights) and isinstance(api, TradingApi)
    assert [api.url(route, None) for route in api.routes()] == [
        "wss://ws.lmex.io/ws/spot",
        "wss://ws.lmex.io/ws/futures",
    ]
    assert api.parse_time("futures", examples.TIME.encode()) == 1624990470886
    assert isinstance(api.refusal(Rejected(subscriptions=(), reason="no", code=401)), CredentialsError)
    assert not isinstance(api.refusal(Rejected(subscriptions=(), reason="no")), CredentialsError)


def test_eight_accounts_cost_less_than_half_of_the_budget() -> None:
    api, per_s = account(), {"spot": 0.0, "futures": 0.0}
    for requests, every_s in (
        (api.balances_requests(), 5),
        (api.positions_requests(), 5),
        (api.orders_requests(), 5 * RARE),
    ):
        for request in requests:
            per_s[request.product] += 8 * request.weight / every_s
    budgets = create("lmex").budgets()
    assert all(rate < budgets[product].limit / budgets[product].per_s / 2 for product, rate in per_s.items()), per_s


class TestAnswers:
    def test_balances(self) -> None:
        api = account()
        spot, futures = api.balances_requests()
        assert (spot.path, futures.params) == ("/spot/api/v3.2/user/wallet", (("wallet", "CROSS@"),))
        usd, tusd = api.parse_balances(spot, examples.SPOT_WALLET.encode(), 7)
        assert usd == Balance(
            product="spot", asset="USD", total=D("5566.5566"), free=D("520.52"), locked=D("5046.0366"), asof_ms=7
        )
        assert (tusd.asset, tusd.free, tusd.locked) == ("TUSD", D(100000), D(0))
        [btc] = api.parse_balances(futures, examples.FUTURES_WALLET.encode(), 7)
        assert (btc.asset, btc.total, btc.free, btc.locked) == ("BTC", D("0.20183537"), D("0.19183537"), D("0.01"))

    def test_positions(self) -> None:
        api = account()
        [request] = api.positions_requests()
        [position] = api.parse_positions(request, text([examples.POSITION]), 9)
        assert position == Position(
            product="futures",
            symbol=ETH,
            side="long",
            size=D("0.03"),
            entry=D("1631.106666667"),
            mark=D("1630.398947255"),
            unrealised=D("-0.02123158"),
            margin_mode="cross",
            settle="USDT",
            asof_ms=9,
        )
        short = examples.POSITION | {"side": "SELL", "positionMode": "ONE_WAY", "positionDirection": None}
        closed = examples.POSITION | {"size": 0}
        [position] = api.parse_positions(request, text([short, closed]), 9)
        assert (position.side, position.size) == ("both", D("-0.03"))

    def test_a_profit_that_may_be_in_either_of_two_assets_is_left_out(self) -> None:
        """What a contract is priced in and what it settles in need not be the same; in which of both
        ``unrealizedProfitLoss`` is then is not documented."""
        api = account()
        [request] = api.positions_requests()
        [position] = api.parse_positions(request, text([examples.POSITION | {"settleWithAsset": "BTC"}]), 9)
        assert (position.settle, position.unrealised, position.mark) == ("BTC", None, D("1630.398947255"))
        [position] = api.parse_positions(request, text([examples.POSITION | {"settleWithAsset": None}]), 9)
        assert (position.settle, position.unrealised) == ("USDT", D("-0.02123158"))

    def test_positions_of_one_market_are_shown_together(self) -> None:
        api = account()
        first = examples.POSITION | {
            "positionMode": "ISOLATED",
            "marginType": 92,
            "isolatedLeverage": 25,
            "entryPrice": 1000,
        }
        second = first | {"size": 1, "entryPrice": 2000}
        [together] = api.parse_positions(api.positions_requests()[0], text([first, second]), 9)
        assert (together.size, together.entry) == (D("0.04"), D(1250))
        assert (together.unrealised, together.leverage, together.margin_mode) == (D("-0.04246316"), None, "isolated")

    def test_old_names_and_markets_that_are_not_listed(self) -> None:
        api = account()
        [request] = api.positions_requests()
        old = examples.POSITION | {"symbol": "BTCPFC", "size": 100}
        new = examples.POSITION | {"symbol": "XYZ-PERP", "orderValue": 50, "markPrice": 25}
        btc, xyz = api.parse_positions(request, text([old, new]), 9)
        assert (btc.symbol, btc.size) == (PERP, D("0.001"))
        assert (xyz.symbol, xyz.size) == ("XYZ-PERP@futures", D(2))

    def test_open_orders(self) -> None:
        api = account()
        spot, futures = api.orders_requests()
        [order] = api.parse_orders(futures, text([examples.OPEN_ORDER]))
        assert order == Order(
            product="futures",
            symbol=PERP,
            id="39ff44d2-513a-4ea6-858c-e07498d424fd",
            side="buy",
            type="limit",
            price=D("10104.1"),
            size=D("0.00001"),
            filled=D(0),
            status="open",
            time_in_force="GTC",
            created_ms=1752138665358,
            updated_ms=1752138665358,
        )
        partly = examples.OPEN_ORDER | {"currentOrderSize": 8, "totalFilledSize": 3, "avgFilledPrice": 10104.1}
        [order] = api.parse_orders(futures, text([partly]))
        assert (order.size, order.filled, order.status) == (D("0.00008"), D("0.00003"), "partial")
        ended = examples.OPEN_ORDER | {"orderState": "STATUS_INACTIVE"}
        assert api.parse_orders(futures, text([ended])) == []
        [order] = api.parse_orders(spot, text([examples.SPOT_TRIGGER]))
        assert (order.symbol, order.type, order.size, order.client_id) == (
            "BTC/USDT",
            "stop loss",
            D("0.0001"),
            "_W_mcjffli1752129293688",
        )

    def test_older_names_of_an_orders_figures(self) -> None:
        old = {
            "orderID": "1", "symbol": "BTC-USD", "side": "SELL", "orderType": 76, "timestamp": 5, "price": "100.5",
            "size": 2, "filledSize": 0.5, "remainingSize": 1.5, "averageFillPrice": 101, "orderState": "STATUS_ACTIVE",
        }  # fmt: skip
        api = account()
        [order] = api.parse_orders(api.orders_requests()[0], text([old]))
        assert (order.size, order.filled, order.average, order.status) == (D(2), D("0.5"), D(101), "partial")

    def test_transfers(self) -> None:
        api = account()
        requests = api.transfers_requests(NOW_MS - 86_400_000)
        assert [request.product for request in requests] == ["spot", "futures"]
        row = {"amount": 21.35823825, "currency": "USD", "fees": 0.06, "status": "COMPLETED",
               "orderId": 20181213000239, "timestamp": 1571630174639, "type": "Transfer_In"}  # fmt: skip
        rows = [row, row | {"type": "Withdraw", "status": "PROCESSING"}]
        came, left = api.parse_transfers(requests[0], text(rows))
        assert came == Transfer(
            product="spot",
            id="spot-20181213000239-Transfer_In",
            kind="internal",
            asset="USD",
            amount=D("21.35823825"),
            fee=D("0.06"),
            status="done",
            exchange_ms=1571630174639,
        )
        assert (left.kind, left.amount, left.status) == ("withdrawal", D("-21.35823825"), "pending")
        rows = [row | {"type": kind, "status": 10, "amount": -5} for kind in (105, 106, 108, 110, 121)]
        moved = api.parse_transfers(requests[1], text(rows))
        assert [(each.kind, each.amount, each.status) for each in moved] == [
            (kind, D(-5), "done") for kind in ("internal", "funding", "other")
        ]
        with pytest.raises(ParseError, match="status"):
            api.parse_transfers(requests[0], text([row | {"status": "LOST"}]))

    @settings(max_examples=100, deadline=None)
    @given(st.integers(0, 5), st.data())
    def test_only_parse_errors_come_out(self, which: int, data: st.DataObject) -> None:
        api = account()
        spot, futures = api.balances_requests()
        [positions], [_, orders] = api.positions_requests(), api.orders_requests()
        raw, read = [
            (examples.SPOT_WALLET, lambda raw: api.parse_balances(spot, raw, 1)),
            (examples.FUTURES_WALLET, lambda raw: api.parse_balances(futures, raw, 1)),
            (json.dumps([examples.POSITION]), lambda raw: api.parse_positions(positions, raw, 1)),
            (json.dumps([examples.OPEN_ORDER]), lambda raw: api.parse_orders(orders, raw)),
            (json.dumps([examples.FILL]), lambda raw: api.parse_fills("futures", "1", raw, NOW_MS)),
            (examples.TIME, lambda raw: api.parse_time("spot", raw)),
        ][which]
        with contextlib.suppress(ParseError):
            read(mutated(raw, data).encode())


def mutated(text: str, data: st.DataObject) -> str:
    at = data.draw(st.integers(0, len(text) - 1))
    put = data.draw(st.sampled_from(['"', "{", "]", "null", "-1", "1e999", "NaN", "\x00", "é", "", '"x":']))
    return f"{text[:at]}{put}{text[at + data.draw(st.integers(0, 8)) :]}"


class TestStream:
    def test_orders(self) -> None:
        [order] = session("futures").parse(examples.FUTURES_EVENT)
        assert isinstance(order, Order)
        assert (order.symbol, order.status, order.size, order.filled) == (PERP, "filled", D("0.009"), D("0.009"))
        assert (order.type, order.price, order.average) == ("market", None, D("111085.1"))
        [order] = session("spot").parse(examples.SPOT_EVENT)
        assert isinstance(order, Order)
        assert (order.side, order.status, order.size, order.filled) == ("buy", "filled", D("0.00899"), D("0.00899"))

    def test_fills(self) -> None:
        [fill] = session("futures").parse(examples.FILL_FRAME)
        assert fill == Fill(
            product="futures",
            symbol=PERP,
            id="e094117f-9f84-4c82-b55d-d3d2a54d0dca",
            order_id="6aa36da1-0ed8-46c1-9327-c9d6313b3d12",
            client_id="_W_ekxogc1711427518228",
            side="buy",
            price=D("69704.4"),
            size=D("0.0001"),
            fee=D("0.0348522"),
            fee_asset="USDT",
            maker=False,
            exchange_ms=1711427518338,
        )
        unknown = examples.FILL_FRAME.replace("BTC-PERP", "XYZ-PERP")
        assert session("futures").parse(unknown) == [UnknownMarket(product="futures", native="XYZ-PERP")]

    def test_positions_ask_rest_when_a_size_changes(self) -> None:
        made = session("futures")
        changed = [AccountChanged(reason="allPositionV4")]
        assert made.parse(examples.POSITIONS_FRAME) == changed
        assert made.parse(examples.POSITIONS_FRAME.replace("111115.5", "111116")) == []
        assert made.parse(examples.POSITIONS_FRAME.replace("899", "900")) == changed
        assert made.parse('{"topic":"allPositionV4","data":[]}') == changed

    def test_subscriptions(self) -> None:
        made = session("futures")
        _, asked = made.opening(1)
        assert json.loads(asked) == {"op": "subscribe", "args": ["notificationApiV4", "fillsV2", "allPositionV4"]}
        [reply] = made.parse('{"event":"subscribe","channel":["fillsV2"]}')
        assert isinstance(reply, Reply)
        assert json.loads(reply.messages[0])["args"] == ["notificationApiV3", "allPositionV2"]
        assert made.parse('{"event":"subscribe","channel":["notificationApiV3"]}') == [Ack(subscriptions=())]
        made = session("spot")
        made.opening(1)
        [refused] = made.parse('{"event":"subscribe","channel":["fills"]}')
        assert isinstance(refused, Rejected) and "orders" in refused.reason
        assert made.parse("pong") == made.parse('{"event":"pong"}') == [Heartbeat()]
        [refused] = made.parse('{"status":401,"errorCode":401,"message":"UNAUTHORIZED"}')
        assert refused == Rejected(subscriptions=(), reason="UNAUTHORIZED", code=401)

    @settings(max_examples=120, deadline=None)
    @given(st.sampled_from(examples.FRAMES), st.data())
    def test_only_parse_errors_come_out(self, frame: str, data: st.DataObject) -> None:
        broken = mutated(frame, data)
        for product in ("spot", "futures"):
            with contextlib.suppress(ParseError):
                session(product).parse(broken)
