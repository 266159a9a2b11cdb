"""Kraken Futures' private side: signatures, documented answers and frames, and what is hard about them."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.account import Credentials, TellsRights
from feeds.account_domain import AccountChanged, Fill, Order, Position, Reply, UnknownMarket
from feeds.accounts import REGISTRY
from feeds.accounts.krakenfutures import KrakenFuturesAccount
from feeds.accounts.krakenfutures.api import FILLS
from feeds.accounts.krakenfutures.log import LIMITS
from feeds.domain import Ack, Heartbeat, Notice, Rejected
from feeds.errors import CredentialsError, ExchangeError, ParseError, RateLimited
from feeds.exchange import Request
from feeds.exchanges import create
from feeds.following.pace import POLLS, Asked, Pace
from feeds.following.polls import TRANSFERS_S
from feeds.trading import NewOrder, TradingApi
from tests.documented import Documented, because
from tests.feeds.damage import damaged
from tests.feeds.krakenfutures_account import KEY, account, answer
from tests.shared import SHARED, shared_file

D = Decimal
ENDPOINT, JSON = "Endpoints/Futures", "JsonResponses"
MS = 1_700_000_000_000


class TestSigning:
    """exchanges/kraken.md sections 10.3 and 10.5: the worked examples."""

    @pytest.mark.parametrize(
        ("data", "nonce", "path", "authent"),
        [
            (
                *("", "1700000000000", "/api/v3/accounts"),
                "JTYYxznkCAFxb32G4rngnIEw5+qLj22qQ5OP7STP8jSIrbuRtriSbK+76RN+NQKlUMsL7Y59gc7eZclMTGfZiw==",
            ),
            (
                *("lastFillTime=2024-01-01T00:00:00.000Z", "1700000000001", "/api/v3/fills"),
                "emCyGW3HRuE8xmNQMupN4g+Mje5CFaFm+RWalgzAfJ2hZ3kK/mS9lDJCtDexHr9X/iRJLu0CabjtqYKDA/0Ogg==",
            ),
            (
                "orderType=lmt&symbol=PF_XBTUSD&side=buy&size=0.001&limitPrice=50000",
                *("1700000000002", "/derivatives/api/v3/sendorder"),
                "l5LuX6mbHQcoAkS+WouGN4qmoT43VR8F5kGXipK7S9rnJHZPUzJftBsCtrWrLU6TocrqJoOSlQ/KvS+GJWTvyQ==",
            ),
        ],
    )
    def test_requests(self, data, nonce, path, authent):
        assert account().signature(data, nonce, path) == authent

    def test_challenges(self):
        assert account().sign_challenge("00000000-1111-2222-3333-444444444444") == (
            "XaiucKw2cq4J73YE+fOSJVYDOalUaO7L1B6El6MfWmHQSzPpR9saPL2WhZI+UOPAZMXaDJEzDb+xI0wZTJcfKQ=="
        )
        secret = "7zxMEF5p/Z8l2p2U7Ghv6x14Af+Fx+92tPgUdVQ748FOIrEoT9bgT+bTRfXc5pz8na+hL/QdrCVG7bh9KpT0eMTm"
        assert account(Credentials("key", secret)).sign_challenge("c100b894-1729-464d-ace1-52dbce11db42") == (
            "4JEpF3ix66GA2B+ooK128Ift4XQVtc137N9yeg4Kqsn9PI0Kpzbysl9M1IeCEdjg0zl00wkVqcsnG4bmnlMb3A=="
        )

    def test_what_is_signed_is_what_is_sent(self):
        api = account()
        page = api.fills_request(FILLS, "0:1704067200000")
        assert page.path == "/derivatives/api/v3/fills?lastFillTime=2024-01-01T00:00:00.000Z"
        assert dict(api.sign(page, MS).headers) == {
            "APIKey": KEY.key,
            "Authent": api.signature("lastFillTime=2024-01-01T00:00:00.000Z", "", "/api/v3/fills"),
        }
        cancel = Request(
            path="/derivatives/api/v3/cancelorder", method="POST", params=(("order_id", "a-b"),), body=True
        )
        assert dict(api.sign(cancel, MS).headers)["Authent"] == api.signature("order_id=a-b", "", "/api/v3/cancelorder")

    def test_a_secret_that_is_none(self):
        with pytest.raises(CredentialsError, match="not base64"):
            account(Credentials("key", "no base64!")).sign_challenge("x")


class TestKey:
    def test_registry(self):
        assert REGISTRY["krakenfutures"] is KrakenFuturesAccount
        assert isinstance(account(), TradingApi)
        assert isinstance(account(), TellsRights)

    @pytest.mark.parametrize(
        ("general", "transfer", "rights"),
        [
            ("READ_ONLY", "NO_ACCESS", (True, False, False)),
            ("READ_ONLY", "READ_ONLY", (True, False, False)),
            ("FULL_ACCESS", "NO_ACCESS", (True, True, False)),
            ("NO_ACCESS", "FULL_ACCESS", (False, False, True)),
        ],
    )
    def test_what_a_key_may_do(self, general, transfer, rights):
        """The answer of docs.kraken.com/api/docs/futures-api/auth/check-v-3-api-key."""
        told = {
            "apiKey": "Gom9BsP75m41c9fuY6oJk/unMWaDZjYIcTP4/5kqPvtzdbj5JU5/Fyeb",
            "accountUid": "3c90c3cc-0d44-4b50-8888-8dd25736052a",
            "iiban": "AA08 N84G CPAR UN7A",
            "createdAt": "2019-08-24T14:15:22Z",
            "permissions": {"general": general, "transfer": transfer},
            "allowedCidrBlock": "192.168.0.0/16",
            "allowedCidrBlocks": ["192.168.0.0/16"],
        }
        answered = account().parse_rights(json.dumps(told).encode())
        assert (answered.read, answered.trade, answered.withdraw) == rights
        assert answered.withdraw_name == "transfer: FULL_ACCESS"

    def test_how_it_is_asked(self):
        """The whole path is signed: only ``/derivatives`` is left out."""
        api = account()
        request = api.rights_request()
        assert request.path == "/api/auth/v1/api-keys/v3/check"
        assert dict(api.sign(request, MS).headers)["Authent"] == api.signature("", "", request.path)
        with pytest.raises(ParseError):
            api.parse_rights(b'{"permissions":{"general":"READ_ONLY","transfer":"SOME_ACCESS"}}')
        raw = b'{"error":"apiKeyNotFound","message":"","suberror":null}'
        assert type(create("krakenfutures", {}).error_of(401, raw, {})) is CredentialsError

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("authenticationError", CredentialsError),
            ("insufficientPrivileges", CredentialsError),
            ("apiLimitExceeded", RateLimited),
            ("invalidArgument", ExchangeError),
        ],
    )
    def test_errors(self, text, kind):
        raw = json.dumps({"result": "error", "error": text, "serverTime": "2026-01-01T00:00:00.000Z"}).encode()
        assert type(create("krakenfutures", {}).error_of(200, raw, {})) is kind

    def test_the_time(self):
        raw = b'{"result":"success","ticker":{},"serverTime":"2026-04-19T15:28:43.530Z"}'
        assert account().parse_time("account", raw) == 1776612523530

    def test_a_refused_subscription_is_tried_again(self):
        rejected = Rejected(subscriptions=(), reason="Failed to subscribe to authenticated feed", code="x")
        assert type(account().refusal(rejected)) is ExchangeError

    def test_eight_accounts_use_less_than_half_of_the_budget(self):
        api = account()
        per_s = sum(request.weight for request in (*api.balances_requests(), *api.positions_requests())) / 5
        per_s += sum(request.weight for request in (*api.orders_requests(), *api.settings_requests())) / 60
        per_s += (api.fills_request(FILLS, None).weight + api.fills_request(FILLS, "0:1").weight) / 60
        budget = create("krakenfutures", {}).budgets()["account"]
        assert 8 * per_s < budget.limit / budget.per_s / 2

    def test_the_log_has_a_budget_of_its_own(self):
        api = account()
        [first] = api.transfers_requests(0)
        assert api.key_cost(first) == 6 and api.key_cost(api.balances_requests()[0]) == 0
        pace = Pace(api, {"account": create("krakenfutures", {}).budgets()["account"]})
        plan = [Asked(first, every_s=TRANSFERS_S), *(Asked(request) for request in api.balances_requests())]
        assert pace.least_s(api.balances_requests(), plan) < 1
        assert api.key_cost(first) / TRANSFERS_S < POLLS * LIMITS.decay_per_s


class TestAnswers:
    @pytest.mark.parametrize("name", [f"{ENDPOINT}/Account/GetAccountLog", f"{JSON}/FuturesAccount/GetAccountLogAsync"])
    def test_an_account_log_in_which_nothing_moved(self, name):
        """More of it in test_krakenfutures_log.py."""
        api = account()
        [request] = api.transfers_requests(0)
        assert api.parse_transfers(request, answer(name)) == []
        assert api.next_page(request, answer(name)) is None
        with pytest.raises(ParseError, match="old_balance"):
            api.parse_transfers(request, answer(name).replace(b"old_balance", b"balance"))

    @pytest.mark.parametrize("name", [f"{ENDPOINT}/Account/GetBalances", f"{JSON}/FuturesAccount/GetBalancesAsync"])
    def test_balances_of_all_wallets(self, name):
        api = account()
        rows = {b.asset: b for b in api.parse_balances(api.balances_requests()[0], answer(name), 7)}
        assert {asset: row.total for asset, row in rows.items()} == {
            "BTC": D("141.31756797") * 2 + D("0.1185308247"),  # cash, the account of an inverse contract, flex
            "XRP": D("52465.1254"),
            "USD": 5000,
            "EUR": D("4540.5837374453"),
        }
        assert {asset: row.free for asset, row in rows.items()} == {
            "BTC": D("0.1185308247"),
            "XRP": 0,
            "USD": 5000,
            "EUR": D("4540.5837374453"),
        }

    @pytest.mark.parametrize(
        "name", [f"{ENDPOINT}/Trading/GetOpenPositions", f"{JSON}/FuturesTrading/GetOpenPositionsAsync"]
    )
    def test_positions(self, name):
        """Two of the three are of inverse contracts, whose sizes are dollars."""
        api = account()
        [position] = api.parse_positions(api.positions_requests()[0], answer(name), 7)
        assert position == Position(
            product="futures",
            symbol="DEFI/USD:USD",
            side="both",
            size=D(1),
            entry=D(570),
            margin_mode="cross",
            settle="USD",
            asof_ms=7,
        )

    @pytest.mark.parametrize("name", [f"{ENDPOINT}/Trading/GetLeverage", f"{JSON}/FuturesTrading/GetLeverageAsync"])
    def test_leverage(self, name):
        api = account()
        api.take_settings(api.settings_requests()[0], answer(name))
        row = {"side": "short", "symbol": "PF_XBTUSD", "price": 27523.75, "size": 0.8}
        raw = json.dumps({"result": "success", "openPositions": [row]}).encode()
        [position] = api.parse_positions(api.positions_requests()[0], raw, 7)
        assert (position.size, position.leverage, position.margin_mode) == (D("-0.8"), 10, "isolated")

    def test_orders(self):
        api = account()
        for name in ("Endpoints/Futures/Trading/GetOpenOrders", "JsonResponses/FuturesTrading/GetOpenOrdersAsync"):
            raw = answer(name)
            assert api.parse_orders(api.orders_requests()[0], raw) == []  # all of an inverse contract
            order, *more = api.parse_orders(
                api.orders_requests()[0], raw.replace(b"PI_", b"PF_").replace(b"pi_xbt", b"pf_xbt")
            )
            assert [(o.price, o.size, o.filled, o.created_ms, o.updated_ms) for o in more] == [
                (7200, 1501, 0, 1567701695173, 1567702067519),
                (10640, 10000, 0, 1567701523651, 1567701523651),
                (9400, 10000, 0, 1567701230734, 1567701230734),
                (9400, 1000, 0, 1567597548884, 1567701700996),
                (8500, 102, 0, 1567515137945, 1567515137945),
                (7200, 1501, 0, 1567428874347, 1567428874347),
            ]
            assert order == Order(
                product="futures",
                symbol="BTC/USD:USD",
                id="59302619-41d2-4f0b-941f-7e7914760ad3",
                side="sell",
                type="limit",
                price=D(10640),
                size=D(304),
                filled=D(0),
                status="open",
                reduce_only=True,
                created_ms=1567702877410,
                updated_ms=1567702877410,
            )
        raw = answer("JsonResponses/FuturesTrading/GetOpenOrdersAsync2").replace(b"fi_xbtusd_230728", b"pf_xbtusd")
        [stop] = api.parse_orders(api.orders_requests()[0], raw)
        assert (stop.type, stop.price, stop.client_id, stop.size) == ("stop", None, "xxx...", 1)

    @pytest.mark.parametrize(
        "name",
        [
            *(f"{ENDPOINT}/Trading/GetUserTrades", f"{ENDPOINT}/Trading/GetSelfTradeStrategy"),
            f"{JSON}/FuturesTrading/GetUserTradesAsync",
        ],
    )
    def test_fills(self, name):
        raw = answer(name)
        page = account().parse_fills(FILLS, None, raw, 0)
        assert page.fills == []
        assert page.unlisted == (UnknownMarket(product="futures", native="PI_XBTUSD"),)
        page = account().parse_fills(FILLS, "9", raw.replace(b"PI_X", b"PF_X").replace(b"pi_x", b"pf_x"), 0)
        assert (page.next, page.whole) == ("9:1595335312791", False)
        first, second = page.fills
        assert (first.id, first.order_id) == (
            "56b86ada-73b0-454d-a95a-e29e3e85b349",
            "3f513c4c-683d-44ab-a73b-d296abbea201",
        )
        assert (first.price, first.size, first.maker, first.exchange_ms) == (9456, 5000, False, 1595335312790)
        assert second == Fill(
            product="futures",
            symbol="BTC/USD:USD",
            id="3d57ed09-fbd6-44f1-8e8b-b10e551c5e73",
            order_id="693af756-055e-47ef-99d5-bcf4c456ebc5",
            side="buy",
            price=D(9400),
            size=D(5490),
            maker=True,
            exchange_ms=1595425047077,
        )

    def test_placed_and_cancelled(self):
        api = account()
        new = NewOrder(
            symbol="BTC/USD:USD", side="sell", size=D("0.10"), price=D(9400), client_id="c", reduce_only=True
        )
        assert dict(api.place_request(new).params) == {
            "orderType": "lmt",
            "symbol": "PF_XBTUSD",
            "side": "sell",
            "size": "0.10",
            "limitPrice": "9400",
            "cliOrdId": "c",
            "reduceOnly": "true",
        }
        placed = api.parse_placed(new, answer(f"{ENDPOINT}/Trading/PlaceOrder"), 9)
        assert (placed.id, placed.status, placed.filled) == ("179f9af8-e45e-469d-b3e9-2fd4675cb7d0", "open", 0)
        for size, status in ((10, "filled"), (12, "partial")):
            wanted = msgspec.structs.replace(new, size=D(size))
            order = api.parse_placed(wanted, answer(f"{JSON}/FuturesTrading/PlaceOrderAsync"), 9)
            assert (order.id, order.status) == ("61ca5732-3478-42fe-8362-abbfd9465294", status)
            assert (order.filled, order.size, order.updated_ms) == (10, size, 9)
        with pytest.raises(ExchangeError, match="insufficientAvailableFunds") as refused:
            api.parse_placed(new, b'{"result":"success","sendStatus":{"status":"insufficientAvailableFunds"}}', 9)
        assert not api.unknown_order(refused.value)
        assert not api.leaves_open(refused.value)
        assert api.leaves_open(ExchangeError("", "placed"))
        for name in (f"{ENDPOINT}/Trading/CancelOrder", f"{JSON}/FuturesTrading/CancelOrderAsync"):
            api.parse_cancelled(order, answer(name))
        [everything] = api.cancel_all_requests(())
        for name in (f"{ENDPOINT}/Trading/CancelAllOrders", f"{JSON}/FuturesTrading/CancelAllOrdersAsync"):
            api.parse_cancelled_all(everything, answer(name))
        [switch] = api.dead_man_requests(60, ())
        assert (switch.path, switch.params) == ("/derivatives/api/v3/cancelallordersafter", (("timeout", "60"),))
        with pytest.raises(ExchangeError, match="is not open"):
            api.parse_found("BTC/USD:USD", "c", b'{"result":"success","openOrders":[]}')

    def test_what_is_not_offered(self):
        api = account()
        usual = {"symbol": "BTC/USD:USD", "side": "buy", "size": D(1), "price": D(1), "client_id": "c"}
        for more in ({"time_in_force": "FOK"}, {"post_only": True, "price": None}, {"symbol": "BTC/USD:BTC"}):
            with pytest.raises(ExchangeError):
                api.place_request(NewOrder(**usual | more))
        with pytest.raises(ExchangeError):
            api.dead_man_requests(-1, ())


def history(times, page, inclusive, cursor=None):
    """A whole reading of the fills with so many rows a page; all fills of one millisecond fit into one."""
    api, found = account(), []
    for _ in range(300):
        path = api.fills_request(FILLS, cursor).path
        rows = [(f"F{n}", ms) for n, ms in enumerate(times)]
        if "?" in path:
            before = int(cursor.partition(":")[2])
            rows = [row for row in rows if row[1] < before or (inclusive and row[1] == before)]
        rows = sorted(rows, key=lambda row: -row[1])[:page]
        fills = [
            {
                "fill_id": name,
                "symbol": "PF_XBTUSD",
                "side": "buy",
                "order_id": "O",
                "fillTime": f"2026-01-01T00:00:{ms // 1000:02d}.{ms % 1000:03d}Z",
                "size": 1,
                "price": 1,
            }
            for name, ms in rows
        ]
        shifted = cursor and ":".join(str(int(part) + BASE_MS) if part else "" for part in cursor.split(":"))
        raw = json.dumps({"result": "success", "fills": fills}).encode()
        told = api.parse_fills(FILLS, shifted, raw, 0)
        found.append(told)
        if told.next is None:
            return found
        stop, _, before = told.next.partition(":")
        cursor = f"{max(0, int(stop) - BASE_MS)}:{int(before) - BASE_MS}"
    raise AssertionError("the history has no end")


BASE_MS = 1_767_225_600_000


class TestPaging:
    @given(
        st.lists(st.integers(1, 9_000), max_size=40, unique=True), st.integers(1, 3), st.integers(3, 20), st.booleans()
    )
    def test_all_fills_whatever_the_page_and_equal_times(self, moments, equal, page, inclusive):
        times = [ms for ms in moments for _ in range(equal)]
        pages = history(times, page + (equal if inclusive else 0), inclusive)
        assert [told.whole for told in pages] == [False] * (len(pages) - 1) + [True]
        assert {fill.id for told in pages for fill in told.fills} == {f"F{n}" for n in range(len(times))}


CHALLENGE = '{"event":"challenge","message":"00000000-1111-2222-3333-444444444444"}'
FRAMES = {
    "positions": """{"feed": "open_positions", "account": "DemoUser", "positions": [{"instrument": "PF_XBTUSD",
  "balance": 0.04, "pnl": 119.56, "entry_price": 26911.75, "mark_price": 29900.811, "index_price": 29900.47,
  "liquidation_threshold": 9572.80, "effective_leverage": 0.3187, "return_on_equity": 5.5535,
  "unrealized_funding": 0.000411, "initial_margin": 21.53, "initial_margin_with_orders": 21.53,
  "maintenance_margin": 10.76, "pnl_currency": "USD"}], "seq": 4, "timestamp": 1687383625330}""",
    "fills": """{"feed": "fills", "username": "...", "fills": [ {"instrument": "PF_ETHUSD", "time": 1765185437003,
  "price": 3162.0, "seq": 1, "buy": true, "qty": 0.001, "fill_id": "6a22a3fb-0", "fill_type": "taker",
  "fee_paid": 0.001581, "fee_currency": "USD"} ]}""",
    "orders": """{"feed": "open_orders_snapshot", "account": "...", "orders": [{"instrument": "PF_XBTUSD",
  "time": 1612275024153, "last_update_time": 1612275024153, "qty": 1000, "filled": 0, "limit_price": 34900,
  "stop_price": 13789, "type": "stop", "order_id": "723ba95f-13b7-418b-8fcf-ab7ba6620555", "direction": 1,
  "reduce_only": false, "triggerSignal": "last"}]}""",
    "order": """{"feed": "open_orders", "order": {"instrument": "PF_XBTUSD", "time": 1567702877410,
  "last_update_time": 1567702877410, "qty": 304.0, "filled": 0.0, "limit_price": 10640.0, "stop_price": 0.0,
  "type": "limit", "order_id": "59302619-41d2-4f0b-941f-7e7914760ad3", "direction": 1, "reduce_only": true},
  "is_cancel": false, "reason": "new_placed_order_by_user"}""",
    "ended": """{"feed": "open_orders", "order_id": "59302619-41d2-4f0b-941f-7e7914760ad3", "is_cancel": true,
  "reason": "cancelled_by_user"}""",
    "balances": """{"feed": "balances_snapshot", "account": "...", "holding": {"USD": 5000.0, "XBT": 0.1285},
  "futures": {"F-XBT:USD": {"name": "F-XBT:USD", "pair": "XBT/USD", "unit": "XBT", "portfolio_value": 0.0,
  "balance": 0.5, "maintenance_margin": 0.0, "initial_margin": 0.0, "available": 0.0, "unrealized_funding": 0.0,
  "pnl": 0.0}}, "flex_futures": {"currencies": {"USD": {"quantity": 4999.02, "value": 4999.02,
  "collateral_value": 4999.02, "available": 4000.02, "haircut": 0.0, "conversion_spread": 0.0}},
  "balance_value": 9963.66, "portfolio_value": 9963.66, "collateral_value": 9963.66, "isolated": {}, "cross": {}},
  "timestamp": 1640995200000, "seq": 0}""",
}


def session(api=None):
    api = api or account()
    return api.session(api.routes()[0], None)


class TestStream:
    def test_the_login(self):
        live = session()
        assert [json.loads(text) for text in live.opening(5)] == [{"event": "challenge", "api_key": KEY.key}]
        assert live.parse('{"event":"info","version":1}') == []
        [reply] = live.parse(CHALLENGE)
        assert isinstance(reply, Reply)
        messages = [json.loads(text) for text in reply.messages]
        assert [m["feed"] for m in messages] == ["open_orders", "fills", "balances", "open_positions", "heartbeat"]
        assert messages[0]["signed_challenge"].startswith("XaiucKw2cq4J73YE")
        assert messages[0]["original_challenge"] == "00000000-1111-2222-3333-444444444444"
        for feed in ("open_orders", "fills", "heartbeat", "balances"):
            assert live.parse(json.dumps({"event": "subscribed", "feed": feed})) == []
        assert live.parse('{"event":"subscribed","feed":"open_positions"}') == [Ack(subscriptions=())]
        assert live.keepalive() is None

    def test_the_documented_dialogue(self):
        """The same by the recorded subscription of another client."""
        for name in ("OrderUpdate", "UserTrade"):
            lines = shared_file(f"fixtures/kraken/Subscriptions/Futures/{name}.txt").read_text("utf-8-sig").splitlines()
            live = session()
            assert isinstance(live.parse(lines[1].removeprefix("< "))[0], Reply)
            assert live.parse(lines[3].removeprefix("< ")) == []

    def test_refused(self):
        for event in ("error", "alert"):
            [rejected] = session().parse(json.dumps({"event": event, "message": "Failed to subscribe"}))
            assert rejected == Rejected(subscriptions=(), reason="Failed to subscribe", code="Failed to subscribe")

    def test_positions(self):
        api = account()
        live = session(api)
        [position] = live.parse(FRAMES["positions"])
        assert position == Position(
            product="futures",
            symbol="BTC/USD:USD",
            side="both",
            size=D("0.04"),
            entry=D("26911.75"),
            mark=D("29900.811"),
            unrealised=D("119.56"),
            liquidation=D("9572.80"),
            margin=D("21.53"),
            margin_mode="cross",
            settle="USD",
            asof_ms=1687383625330,
        )

        def by_rest(size):
            row = {"side": "long", "symbol": "PF_XBTUSD", "price": 26911.75, "size": size}
            raw = json.dumps({"openPositions": [row]}).encode()
            return api.parse_positions(api.positions_requests()[0], raw, 9)[0]

        assert (by_rest(0.04).liquidation, by_rest(0.04).margin) == (D("9572.80"), D("21.53"))
        assert (by_rest(0.05).liquidation, by_rest(0.05).mark) == (None, None)  # it has changed since
        [closed] = live.parse('{"feed":"open_positions","account":"x","positions":[],"timestamp":1687383625331}')
        assert (closed.symbol, closed.size, closed.asof_ms) == ("BTC/USD:USD", 0, 1687383625331)
        assert live.parse('{"feed":"open_positions","account":"x","positions":[]}') == []

    def test_a_position_that_was_closed_while_nobody_listened(self):
        api = account()
        session(api).parse(FRAMES["positions"])
        later = session(api)
        later.opening(1687383625999)
        [closed] = later.parse('{"feed":"open_positions","account":"x","positions":[]}')
        assert (closed.size, closed.asof_ms) == (0, 1687383625999)

    def test_inverse_contracts_are_not_shown_and_it_is_said(self):
        live = session()
        raw = FRAMES["positions"].replace("PF_", "PI_")
        [notice] = live.parse(raw)
        assert isinstance(notice, Notice)
        assert "PI_XBTUSD" in notice.text
        assert live.parse(raw) == []
        assert live.parse(FRAMES["orders"].replace("PF_", "PI_")) == []
        assert live.parse(FRAMES["fills"].replace("PF_", "PI_")) == [
            UnknownMarket(product="futures", native="PI_ETHUSD")
        ]

    def test_fills(self):
        [fill] = session().parse(FRAMES["fills"])
        assert fill == Fill(
            product="futures",
            symbol="ETH/USD:USD",
            id="6a22a3fb-0",
            order_id="",
            side="buy",
            price=D("3162.0"),
            size=D("0.001"),
            fee=D("0.001581"),
            fee_asset="USD",
            maker=False,
            exchange_ms=1765185437003,
        )
        text = shared_file("fixtures/kraken/Subscriptions/Futures/UserTrade.txt").read_text().partition("= \n")[2]
        first, second = session().parse(text)
        assert (first.id, first.fee, first.fee_asset) == (
            "cad76f07-814e-4dc6-8478-7867407b6bff",
            D("-0.00009142857"),
            "BTC",
        )
        assert (first.maker, second) == (True, UnknownMarket(product="futures", native="PI_ETHUSD"))

    def test_orders(self):
        text = shared_file("fixtures/kraken/Subscriptions/Futures/OrderUpdate.txt").read_text().partition("= \n")[2]
        for raw in (text, FRAMES["order"]):
            live = session()
            order, changed = live.parse(raw)
            assert isinstance(changed, AccountChanged)
            assert (order.symbol, order.side, order.size, order.price) == ("BTC/USD:USD", "sell", 304, 10640)
            assert (order.status, order.reduce_only, order.updated_ms) == ("open", True, 1567702877410)
            partial = raw.replace('"qty": 304.0', '"qty": 300.0').replace('"filled": 0.0', '"filled": 4.0')
            order, _ = live.parse(partial)
            assert (order.size, order.filled, order.status) == (304, 4, "partial")
            order, _ = live.parse(FRAMES["ended"])
            assert (order.status, order.filled, order.size, order.symbol) == ("canceled", 4, 304, "BTC/USD:USD")
            assert live.parse(FRAMES["ended"])[:-1] == []

    @pytest.mark.parametrize(
        ("reason", "status"),
        [
            ("full_fill", "filled"),
            ("contract_expired", "expired"),
            ("ioc_order_failed_because_it_would_not_be_executed", "expired"),
            ("post_order_failed_because_it_would_filled", "rejected"),
            ("dead_man_switch", "canceled"),
        ],
    )
    def test_how_orders_end(self, reason, status):
        live = session()
        live.parse(FRAMES["order"])
        order, _ = live.parse(FRAMES["ended"].replace("cancelled_by_user", reason))
        assert (order.status, order.filled) == (status, 304 if status == "filled" else 0)

    def test_the_snapshot_of_orders(self):
        [order] = session().parse(FRAMES["orders"])
        assert (order.id, order.type, order.size, order.price) == (
            *("723ba95f-13b7-418b-8fcf-ab7ba6620555", "stop", 1000, 34900),
        )

    def test_balances_are_all_wallets_together(self):
        live = session()
        told = {b.asset: (b.total, b.free, b.asof_ms) for b in live.parse(FRAMES["balances"])}
        assert told == {
            "USD": (D("9999.02"), D("4000.02"), 1640995200000),
            "BTC": (D("0.6285"), 0, 1640995200000),
        }
        change = {"feed": "balances", "holding": {"XBT": 0.25}, "timestamp": 1640995200001, "seq": 1}
        [balance] = live.parse(json.dumps(change))
        assert (balance.asset, balance.total) == ("BTC", D("0.75"))

    def test_what_says_nothing(self):
        assert session().parse('{"feed":"heartbeat","time":1534262350627}') == [Heartbeat()]
        assert session().parse('{"feed":"notifications_auth","notifications":[]}') == []


USED = {
    f"{ENDPOINT}/Account/GetAccountLog": "TestAnswers.test_an_account_log_in_which_nothing_moved",
    f"{JSON}/FuturesAccount/GetAccountLogAsync": "TestAnswers.test_an_account_log_in_which_nothing_moved",
    f"{ENDPOINT}/Account/GetBalances": "TestAnswers.test_balances_of_all_wallets",
    f"{JSON}/FuturesAccount/GetBalancesAsync": "TestAnswers.test_balances_of_all_wallets",
    f"{ENDPOINT}/Trading/GetOpenPositions": "TestAnswers.test_positions",
    f"{JSON}/FuturesTrading/GetOpenPositionsAsync": "TestAnswers.test_positions",
    f"{ENDPOINT}/Trading/GetLeverage": "TestAnswers.test_leverage",
    f"{JSON}/FuturesTrading/GetLeverageAsync": "TestAnswers.test_leverage",
    f"{ENDPOINT}/Trading/GetOpenOrders": "TestAnswers.test_orders",
    f"{JSON}/FuturesTrading/GetOpenOrdersAsync": "TestAnswers.test_orders",
    f"{JSON}/FuturesTrading/GetOpenOrdersAsync2": "TestAnswers.test_orders",
    f"{ENDPOINT}/Trading/GetUserTrades": "TestAnswers.test_fills",
    f"{ENDPOINT}/Trading/GetSelfTradeStrategy": "TestAnswers.test_fills",  # the file tells fills
    f"{JSON}/FuturesTrading/GetUserTradesAsync": "TestAnswers.test_fills",
    **dict.fromkeys(
        (
            *(f"{ENDPOINT}/Trading/{name}" for name in ("PlaceOrder", "CancelOrder", "CancelAllOrders")),
            *(f"{JSON}/FuturesTrading/{name}Async" for name in ("PlaceOrder", "CancelOrder", "CancelAllOrders")),
        ),
        "TestAnswers.test_placed_and_cancelled",
    ),
    "Subscriptions/Futures/OrderUpdate": "TestStream.test_orders",
    "Subscriptions/Futures/UserTrade": "TestStream.test_fills",
}
NOT_ASKED = {
    "executions are told as fills": (f"{ENDPOINT}/Trading/GetExecutionEvents",),
    "in what profit is paid: the stream tells it with the position": (
        *(f"{ENDPOINT}/Account/GetPnlCurrency", f"{JSON}/FuturesAccount/GetPnlCurrencyAsync"),
    ),
    "money is never moved": (f"{ENDPOINT}/Account/Transfer",),
    "settings are never changed": (
        *(f"{ENDPOINT}/Account/SetPnlCurrency", f"{ENDPOINT}/Trading/SetLeverage"),
        f"{ENDPOINT}/Trading/SetSelfTradeStrategy",
    ),
    "what is done with orders of one owner that meet is not shown": (
        f"{JSON}/FuturesTrading/GetSelfTradeStrategyAsync",
    ),
    "its answer, when it will act, is not read": (
        *(f"{ENDPOINT}/Trading/CancelAllOrderAfter", f"{JSON}/FuturesTrading/CancelAllOrderAfterAsync"),
    ),
    "orders are not changed, but cancelled and placed": (
        *(f"{ENDPOINT}/Trading/EditOrder", f"{JSON}/FuturesTrading/EditOrderAsync"),
    ),
    "it forgets orders that ended some seconds ago, and by which id it finds them is not documented": (
        *(f"{ENDPOINT}/Trading/GetOrders", f"{JSON}/FuturesTrading/GetOrdersAsync"),
    ),
    "fees are told with the fills of the stream": (f"{JSON}/FuturesAccount/GetFeeScheduleVolumeAsync",),
}


PARSERS = {
    "GetBalances": lambda api, raw: api.parse_balances(api.balances_requests()[0], raw, 1),
    "GetOpenPositions": lambda api, raw: api.parse_positions(api.positions_requests()[0], raw, 1),
    "GetOpenOrders": lambda api, raw: api.parse_orders(api.orders_requests()[0], raw),
    "GetUserTrades": lambda api, raw: api.parse_fills(FILLS, None, raw, 1),
    "GetAccountLog": lambda api, raw: api.parse_transfers(api.transfers_requests(1)[0], raw),
    "GetLeverage": lambda api, raw: api.take_settings(api.settings_requests()[0], raw),
}
ODD = [b"NaN", b"1e999", b"-1", b"null", b"{}", b"[]", b'"x"', b"0", b"1e-99999", b"99999999999999", b'"1e999999"']


def samples():
    """(parser's name, documented answer)."""
    found = []
    for name in PARSERS:
        for path in (SHARED / "fixtures/kraken/Endpoints/Futures").glob(f"*/{name}.txt"):
            raw = answer(str(path.relative_to(SHARED / "fixtures/kraken").with_suffix("")))
            found.append((name, raw.replace(b"PI_", b"PF_").replace(b"FI_", b"PF_")))
    return found + [("frame", text.encode()) for text in (*FRAMES.values(), CHALLENGE)]


SAMPLES = samples()


@given(damaged(SAMPLES, ODD))
def test_what_is_damaged_is_a_parse_error_or_understood(sample):
    name, raw = sample
    try:
        if name == "frame":
            session().parse(raw)
        else:
            PARSERS[name](account(), raw)
    except ParseError:
        pass


DOCUMENTED = Documented("kraken", {f"{name}.txt": test for name, test in USED.items()}, because("", NOT_ASKED))
