"""Alpaca's account side: what its answers and frames say, its history in pages, its orders."""

import contextlib
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.account import AccountApi, HasPositions, LimitsKeys, Remarks, TellsRights
from feeds.account_domain import AccountChanged, FillTold, Order, Reply, UnknownMarket
from feeds.accounts.alpaca import activities
from feeds.domain import Ack, Rejected
from feeds.errors import CredentialsError, ExchangeError, ParseError, RateLimited, TransportError
from feeds.exchange import Paged, Request
from feeds.exchanges.alpaca import Alpaca
from feeds.trading import NewOrder, TradingApi
from tests.feeds.alpaca_examples import (
    ACCOUNT,
    AUTHORIZED,
    FILL,
    HOLDING,
    KEY,
    LISTENING,
    MONEY,
    ORDER,
    SECRET,
    UNAUTHORIZED,
    UPDATE,
    account,
    changed,
    listed,
    markets,
)

NOW_MS = 1_700_000_000_000
API = account()
CASH, HELD = API.balances_requests()
[FILL_LIST] = API.fill_lists()


def test_it_is_what_the_follower_and_the_trader_want():
    api: AccountApi = account()
    assert isinstance(api, TradingApi) and isinstance(api, Paged)
    assert isinstance(api, Remarks) and isinstance(api, LimitsKeys)


# -- requests --------------------------------------------------------------------------------------------------------


def test_key_and_secret_are_headers_and_stand_nowhere_else():
    signed = API.sign(CASH, NOW_MS)
    assert signed.headers == (("APCA-API-KEY-ID", KEY), ("APCA-API-SECRET-KEY", SECRET))
    assert (signed.path, signed.params, signed.product) == ("/v2/account", (), "account")
    assert SECRET not in repr(signed)
    assert API.time_request("account").headers == signed.headers  # the clock is not told without a key


def test_the_clock():
    raw = b'{"timestamp": "2018-04-01T08:00:00.123456789-04:00", "is_open": true, "next_open": "", "next_close": ""}'
    assert API.parse_time("account", raw) == 1_522_584_000_123


def test_the_key_cannot_be_asked():
    assert not isinstance(API, TellsRights)


def test_the_host_of_trading_is_the_accounts_too():
    paper = Alpaca({"crypto.trading": "https://paper-api.alpaca.markets/"}).endpoints
    assert paper["account.rest"] == "https://paper-api.alpaca.markets"
    [route] = API.routes()
    assert API.url(route, None) == "wss://api.alpaca.markets/stream"
    assert route.subjects == ("account", "crypto", "stocks") and not route.names_fills


def test_a_plan_of_eight_accounts_is_less_than_half():
    """Of each account's own limit of 200 a minute, and of what is reckoned for all."""
    polls = len(API.balances_requests()) * 60 / 5 + len(API.orders_requests()) * 60 / 60
    fills, clock = 1, 3 / 10  # read once a minute while trading; three samples every ten minutes
    budget = Alpaca().budgets()["account"]
    assert polls + fills + clock < 200 / 2 * 0.3
    limits = API.key_limits
    assert limits.most + 60 * limits.decay_per_s <= 200 and limits.decay_per_s * 60 / 2 > polls + fills + clock
    assert 8 * (polls + fills + clock) < budget.limit * budget.share * 0.3


# -- balances --------------------------------------------------------------------------------------------------------


def test_cash():
    [cash] = API.parse_balances(CASH, ACCOUNT, NOW_MS)
    assert (cash.product, cash.asset, cash.total, cash.free) == (
        "account",
        "USD",
        Decimal("4123.20"),
        Decimal("4123.20"),
    )
    assert cash.locked == 0 and cash.asof_ms == NOW_MS
    assert API.remark() == ""
    nothing = changed(ACCOUNT, cash="0", equity="99697.36", daytrade_count="3")
    assert API.parse_balances(CASH, nothing, NOW_MS) == []


@pytest.mark.parametrize(
    ("fields", "locked"),
    [
        ({"cash": "4000.00"}, "123.20"),
        ({"cash": "4000.00", "long_market_value": "99690.00", "position_market_value": "99697.36"}, "123.20"),
        ({"cash": "4123.195"}, "0"),  # values are rounded
        ({"cash": "4200"}, "0"),
        ({"cash": "4000.00", "long_market_value": None}, "0"),
        ({"cash": "5123.20", "short_market_value": "-1000.00"}, "0"),
    ],
)
def test_cash_that_orders_hold(fields, locked):
    [cash] = API.parse_balances(CASH, changed(ACCOUNT, **fields), NOW_MS)
    assert cash.locked == Decimal(locked) and cash.total == Decimal(fields["cash"]) + Decimal(locked)


@pytest.mark.parametrize(
    ("symbol", "kind", "asset"),
    [
        ("BTCUSD", "crypto", "BTC"),
        ("BTC/USD", "crypto", "BTC"),
        ("USDTUSD", "crypto", "USDT"),  # listed only as what is paid with
        ("LTCUSD", "crypto", "LTC"),
        ("LTC", "us_equity", "LTC.US"),
        ("GONE", "us_equity", "GONE.US"),
    ],
)
def test_a_holding_is_a_balance(symbol, kind, asset):
    [held] = API.parse_balances(HELD, listed(changed(HOLDING, symbol=symbol, asset_class=kind)), NOW_MS)
    assert (held.product, held.asset) == ("account", asset)
    assert (held.total, held.free, held.locked) == (Decimal("2.61937"), Decimal("2.61937"), 0)
    assert not isinstance(API, HasPositions)  # or it would be counted twice


def test_what_orders_hold_of_it_is_locked():
    [held] = API.parse_balances(HELD, listed(changed(HOLDING, qty_available="2")), NOW_MS)
    assert (held.total, held.free, held.locked) == (Decimal("2.61937"), 2, Decimal("0.61937"))


@pytest.mark.parametrize("qty", ["-10", "10"])
def test_a_short_holding_is_negative(qty):
    short = changed(HOLDING, symbol="AAPL", asset_class="us_equity", qty=qty, qty_available=qty, side="short")
    [held] = API.parse_balances(HELD, listed(short), NOW_MS)
    assert (held.asset, held.total, held.free, held.locked) == ("AAPL.US", -10, -10, 0)


def test_an_option_is_not_shown_and_that_is_said():
    api = account()
    option = changed(HOLDING, symbol="AAPL240119C00100000", asset_class="us_option")
    assert [b.asset for b in api.parse_balances(HELD, listed(HOLDING, option), NOW_MS)] == ["BTC"]
    assert api.remark() == "This account also holds AAPL240119C00100000, which is of a kind that is not shown."
    api.parse_balances(HELD, listed(HOLDING), NOW_MS)
    assert api.remark() == ""


@pytest.mark.parametrize(
    ("fields", "remark"),
    [
        ({"account_blocked": True, "trading_blocked": True}, "Alpaca has blocked this account."),
        ({"trading_blocked": True}, "Alpaca has blocked trading on this account."),
        ({"trade_suspended_by_user": True}, "suspended by its owner's setting"),
        ({"transfers_blocked": True}, "deposits and withdrawals"),
        ({"status": "ONBOARDING"}, "status ONBOARDING"),
    ],
)
def test_a_blocked_account_is_told(fields, remark):
    api = account()
    api.parse_balances(CASH, changed(ACCOUNT, **fields), NOW_MS)
    assert remark in api.remark()


# -- orders ----------------------------------------------------------------------------------------------------------


def test_open_orders():
    crypto, stocks = API.orders_requests()
    assert (crypto.subject, stocks.subject, crypto.product) == ("crypto", "stocks", "account")
    share = changed(ORDER, symbol="AAPL", asset_class="us_equity", filled_qty="0.004", status="partially_filled")
    legs = changed(ORDER, symbol=None, side=None, asset_class="")
    raw = listed(ORDER, share, legs, changed(ORDER, asset_class="us_option"))
    assert API.parse_orders(crypto, raw) == [
        Order(
            product="crypto",
            symbol="BTC/USD",
            id="61e69015-8549-4bfd-b9c3-01e75843f47d",
            client_id="eb9e2aaa-f71a-4f51-b5b4-52a6c565dad4",
            side="buy",
            type="limit",
            price=Decimal(20000),
            size=Decimal("0.01"),
            filled=Decimal(0),
            status="open",
            time_in_force="gtc",
            created_ms=1_615_919_881_942,
            updated_ms=1_615_919_881_942,
        )
    ]
    [order] = API.parse_orders(stocks, raw)
    assert (order.symbol, order.product, order.status) == ("AAPL.US/USD", "stocks", "partial")


@pytest.mark.parametrize(
    ("word", "filled", "status"),
    [
        ("pending_cancel", "0", "open"),
        ("done_for_day", "0.004", "partial"),
        ("replaced", "0", "canceled"),
        ("expired", "0.004", "expired"),
        ("rejected", "0", "rejected"),
        ("something_new", "0", "something_new"),
    ],
)
def test_states_of_orders(word, filled, status):
    [order] = API.parse_orders(API.orders_requests()[0], listed(changed(ORDER, status=word, filled_qty=filled)))
    assert order.status == status


def test_an_order_by_value_is_as_large_as_what_it_bought():
    [order] = API.parse_orders(
        API.orders_requests()[0], listed(changed(ORDER, qty=None, notional="10", filled_qty="0.002"))
    )
    assert order.size == order.filled == Decimal("0.002")


def test_more_open_orders_than_a_page_holds():
    [request, _] = API.orders_requests()
    times = [f"2021-03-16T18:{n // 60:02d}:{n % 60:02d}.5Z" for n in range(600)]
    rows = [changed(ORDER, id=f"order{n}", submitted_at=time) for n, time in enumerate(times)]
    seen: dict[str, None] = {}
    page: Request | None = request
    while page is not None:
        after = dict(page.params).get("after", "")
        found = [row for time, row in zip(times, rows, strict=True) if time > after][:500]
        raw = listed(*found)
        seen |= dict.fromkeys(order.id for order in API.parse_orders(page, raw))
        page = API.next_page(page, raw)
    assert list(seen) == [f"order{n}" for n in range(600)]
    same = listed(*rows[:1] * 500)
    again = API.next_page(request, same)
    assert again is not None
    with pytest.raises(ParseError, match="500 open orders of one moment"):
        API.next_page(again, same)


# -- fills -----------------------------------------------------------------------------------------------------------


def test_a_fill():
    page = API.parse_fills(FILL_LIST, None, listed(FILL), NOW_MS)
    [fill] = page.fills
    assert fill.id == "20190524113406977::8efc7b9a-8b2b-4000-9955-d36e7db0df74"
    assert (fill.product, fill.symbol, fill.side) == ("crypto", "BTC/USD", "buy")
    assert (fill.price, fill.size, fill.fee, fill.maker) == (Decimal("27540.1"), Decimal("0.01"), None, None)
    assert fill.exchange_ms == 1_558_712_046_977 and API.cursor_of(fill) == "1558712046977"
    assert page.next is None and page.whole


@pytest.mark.parametrize(
    ("fields", "symbols", "unlisted"),
    [
        ({"symbol": "BTCUSD"}, ["BTC/USD"], []),
        ({"symbol": "AAPL", "side": "sell_short"}, ["AAPL.US/USD"], []),
        ({"symbol": "LTC"}, ["LTC.US/USD"], []),
        ({"symbol": "AAPL240119C00100000"}, [], []),
        ({"symbol": "NEW/USD"}, [], [UnknownMarket(product="crypto", native="NEW/USD")]),
        ({"symbol": "NEWCO"}, [], [UnknownMarket(product="stocks", native="NEWCO")]),
    ],
)
def test_whose_fill_it_is(fields, symbols, unlisted):
    page = API.parse_fills(FILL_LIST, None, listed(changed(FILL, **fields)), NOW_MS)
    assert [fill.symbol for fill in page.fills] == symbols and list(page.unlisted) == unlisted


def test_fills_of_what_is_not_followed_are_the_accounts_all_the_same():
    """The wallet is one. A name that does not tell what it is of is passed over, and so are options."""
    raw = listed(
        FILL, *(changed(FILL, symbol=name) for name in ("AAPL", "NEWCO", "BRK.B", "NEWUSD", "AAPL240119C00100000"))
    )
    page = account(("crypto",)).parse_fills(FILL_LIST, None, raw, NOW_MS)
    told = [(fill.product, fill.symbol) for fill in page.fills]
    shares = [("stocks", f"{name}.US/USD") for name in ("AAPL", "NEWCO", "BRK.B")]
    assert told == [("crypto", "BTC/USD"), *shares] and not page.unlisted
    page = account(("stocks",)).parse_fills(FILL_LIST, None, listed(changed(FILL, symbol="NEW/USD")), NOW_MS)
    assert [(fill.product, fill.symbol) for fill in page.fills] == [("crypto", "NEW/USD")]


class History:
    """Alpaca's list, which leaves out rows of the very millisecond of a token's row (as issue 176 tells of it)."""

    def __init__(self, times_ms: list[int], leaky: bool) -> None:
        self.rows = [(ms, f"{ms}::{n * 7919 % 10007:05d}") for n, ms in enumerate(times_ms)]
        self.rows.sort()
        self.leaky = leaky
        self.asked = 0

    def answer(self, request: Request) -> bytes:
        self.asked += 1
        params = dict(request.params)
        found = self.rows
        if "after" in params:
            start_ms = datetime.fromisoformat(params["after"]).timestamp() * 1000
            found = [row for row in found if row[0] > start_ms]
        if token := params.get("page_token"):
            ms = int(token.partition("::")[0])
            found = [row for row in found if row[1] > token and not (self.leaky and row[0] == ms)]
        return listed(*(self.row(*row) for row in found[: int(params["page_size"])]))

    @staticmethod
    def row(ms: int, id: str) -> bytes:
        return changed(FILL, id=id, transaction_time=f"{activities.second(ms)[:-1]}.{ms % 1000:03d}Z")

    def read(self, cursor: str | None) -> list[str]:
        told: list[str] = []
        while True:
            page = API.parse_fills(FILL_LIST, cursor, self.answer(API.fills_request(FILL_LIST, cursor)), NOW_MS)
            told += [fill.id for fill in page.fills]
            if page.next is None:
                return told
            cursor = page.next


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 900), min_size=1, max_size=60), st.integers(2, 9), st.data())
def test_all_fills_come_whatever_the_pages_and_equal_times(offsets, size, data):
    times = [NOW_MS + each // 3 * 250 for each in offsets]
    history = History(times, leaky=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(activities, "PAGE", size)
        assert set(history.read(None)) == {id for _, id in history.rows}
        since = data.draw(st.sampled_from(times))
        told = set(history.read(str(since)))
    assert told >= {id for ms, id in history.rows if ms >= since}


def test_rows_that_a_page_token_leaves_out_are_told_again(monkeypatch):
    monkeypatch.setattr(activities, "PAGE", 5)
    history = History([NOW_MS + n // 3 for n in range(30)], leaky=True)
    assert set(history.read(None)) == {id for _, id in history.rows}


# -- money from outside ----------------------------------------------------------------------------------------------


def test_transfers():
    [request] = API.transfers_requests(NOW_MS)
    assert dict(request.params) == {
        "category": "non_trade_activity",
        "direction": "asc",
        "page_size": "100",
        "after": activities.second(NOW_MS),
    }
    raw = listed(
        MONEY,
        changed(MONEY, id="2", activity_type="CSW", net_amount="-200", created_at="2019-08-02T10:00:00Z"),
        changed(MONEY, id="3", activity_type="JNLC", net_amount="-5", status="canceled"),
    )
    told = [(t.kind, t.asset, t.amount, t.status, t.exchange_ms) for t in API.parse_transfers(request, raw)]
    assert told == [
        ("deposit", "USD", 1500, "done", 1_564_703_999_999),  # the end of its day
        ("withdrawal", "USD", -200, "done", 1_564_740_000_000),
        ("internal", "USD", -5, "failed", 1_564_703_999_999),
    ]
    assert API.next_page(request, raw) is None
    following = API.next_page(request, listed(*[MONEY] * 100))
    assert following is not None and dict(following.params)["page_token"] == msgspec.json.decode(MONEY)["id"]


CFEE = b"""{"id":"20220812000000000::53be51ba-46f9-43de-b81f-576f241dc680","activity_type":"CFEE","date":"2022-08-12",
"net_amount":"0","description":"Coin Pair Transaction Fee (Non USD)","symbol":"ETHUSD","qty":"-0.000195",
"price":"1884.5","status":"executed"}"""


def test_fees_are_the_accounts_not_the_fills():
    """As documented, and what its page says of the others: cash for what was sold, authorities' fees of shares."""
    [request] = API.transfers_requests(NOW_MS)
    raw = listed(
        changed(CFEE, symbol="LTCUSD"),  # of the coin, not of the company
        changed(CFEE, id="2", symbol="", qty="0", net_amount="-2.21", created_at="2022-08-12T20:00:00Z"),
        changed(CFEE, id="3", activity_type="FEE", symbol="", qty="0", net_amount="-0.02"),
        changed(CFEE, id="4", symbol="LTCUSD", status="canceled"),
        changed(CFEE, id="5", symbol="ETHBTC"),  # which of both it is in, nothing tells
        changed(CFEE, id="6"),  # a pair that is not listed
    )
    told = API.parse_transfers(request, raw)
    assert {each.kind for each in told} == {"fee"}
    assert [(each.asset, each.amount, each.status, each.exchange_ms) for each in told] == [
        ("LTC", Decimal("-0.000195"), "done", 1_660_348_799_999),  # the end of that day: its fills come before
        ("USD", Decimal("-2.21"), "done", 1_660_334_400_000),
        ("USD", Decimal("-0.02"), "done", 1_660_348_799_999),
        ("LTC", Decimal("-0.000195"), "failed", 1_660_348_799_999),
    ]


# -- the stream ------------------------------------------------------------------------------------------------------


def session(products: tuple[str, ...] = ("crypto", "stocks")) -> Any:
    api = account(products)
    return api.session(api.routes()[0], None)


def test_login_and_subscription():
    connection = session()
    [login] = connection.opening(NOW_MS)
    data = {"key_id": KEY, "secret_key": SECRET}
    assert msgspec.json.decode(login) == {"action": "authenticate", "data": data}
    [reply] = connection.parse(AUTHORIZED)
    assert isinstance(reply, Reply)
    asked = {"action": "listen", "data": {"streams": ["trade_updates"]}}
    assert [msgspec.json.decode(message) for message in reply.messages] == [asked]
    assert connection.parse(LISTENING) == [Ack(subscriptions=())]


def test_a_refused_login():
    [refused] = session().parse(UNAUTHORIZED)
    assert isinstance(refused, Rejected) and isinstance(API.refusal(refused), CredentialsError)
    [refused] = session().parse(b'{"stream":"listening","data":{"streams":[]}}')
    assert isinstance(refused, Rejected) and not isinstance(API.refusal(refused), CredentialsError)
    quoting = UNAUTHORIZED.replace(b'"action"', b'"message":"no key ' + SECRET.encode() + b'","action"')
    [refused] = session().parse(quoting)
    assert SECRET not in refused.reason


@pytest.mark.parametrize("frame", [UPDATE, UPDATE.decode()])
def test_a_fill_of_the_stream_says_that_one_is_to_be_read(frame):
    order, told, changes = session().parse(frame)
    assert (order.symbol, order.status, order.side, order.filled) == ("SOL/USD", "filled", "sell", Decimal("1790.86"))
    assert order.average == Decimal("105.8988475") and order.updated_ms == 1_650_390_305_027
    assert told == FillTold(symbol="SOL/USD", order_id=order.id, price=Decimal("105.8988475"), size=Decimal("1790.86"))
    assert isinstance(changes, AccountChanged)


def update(**fields: Any) -> bytes:
    frame = msgspec.json.decode(UPDATE)
    order = frame["data"]["order"] | fields.pop("order", {})
    return msgspec.json.encode({"stream": "trade_updates", "data": frame["data"] | fields | {"order": order}})


def test_other_events():
    canceled = update(event="canceled", price=None, qty=None, order={"status": "canceled"})
    assert [type(event) for event in session().parse(canceled)] == [Order, AccountChanged]
    new = session().parse(update(order={"symbol": "NEWUSD"}))
    assert new[0] == UnknownMarket(product="crypto", native="NEWUSD")
    for frame in (update(order={"asset_class": "us_option"}), b'{"stream":"account_updates","data":{}}'):
        assert [type(event) for event in session().parse(frame)] == [AccountChanged]
    told, _ = session(("stocks",)).parse(update(order={"symbol": "SOL/USD"}))
    assert isinstance(told, FillTold) and told.symbol == "SOL/USD", "not followed, and paid from the same wallet"
    joined = update(order={"symbol": "SOLUSD"})
    assert [type(event) for event in session(("stocks",)).parse(joined)] == [AccountChanged], "a pair, or a ticker?"
    with pytest.raises(ParseError, match="without price"):
        session().parse(update(price=None))


# -- placing and cancelling ------------------------------------------------------------------------------------------


def new(symbol: str = "BTC/USD", size: str = "0.01", price: str | None = "20000", **more: Any) -> NewOrder:
    of = None if price is None else Decimal(price)
    return NewOrder(symbol=symbol, side="buy", size=Decimal(size), price=of, client_id="sb-1", **more)


def test_place_and_find():
    request = API.place_request(new())
    assert (request.method, request.path, request.product, request.subject) == (
        "POST",
        "/v2/orders",
        "account",
        "crypto",
    )
    assert request.json is not None and msgspec.json.decode(request.json) == {
        "symbol": "BTC/USD",
        "qty": "0.01",
        "side": "buy",
        "type": "limit",
        "time_in_force": "gtc",
        "client_order_id": "sb-1",
        "limit_price": "20000",
    }
    share = API.place_request(new("AAPL.US/USD", "3", None, time_in_force="IOC"))
    assert share.json is not None
    body = msgspec.json.decode(share.json)
    assert (body["symbol"], body["type"], body["time_in_force"]) == (
        "AAPL",
        "market",
        "ioc",
    ) and "limit_price" not in body
    placed = API.parse_placed(new(), ORDER, NOW_MS)
    assert (placed.id, placed.status) == ("61e69015-8549-4bfd-b9c3-01e75843f47d", "open")
    found = API.find_request("BTC/USD", "sb-1")
    assert (found.path, found.params) == ("/v2/orders:by_client_order_id", (("client_order_id", "sb-1"),))
    assert API.parse_found("BTC/USD", "sb-1", changed(ORDER, client_order_id="sb-1")) is not None
    with pytest.raises(ParseError, match="instead of"):
        API.parse_found("BTC/USD", "sb-1", ORDER)
    ids = {API.new_client_id() for _ in range(100)}
    assert len(ids) == 100 and all(len(each) <= 48 for each in ids)


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (new(post_only=True), "no post-only"),
        (new(reduce_only=True), "only reduce"),
        (new(time_in_force="FOK"), "not as FOK"),
        (new("AAPL.US/USD", "0.5"), "for the day only"),
        (new("XXX/USD"), "lists no market XXX/USD"),
    ],
)
def test_what_alpaca_does_not_offer(order, sentence):
    with pytest.raises(ExchangeError, match=sentence):
        API.place_request(order)


def test_cancel():
    order = API.parse_placed(new(), ORDER, NOW_MS)
    request = API.cancel_request(order)
    assert (request.method, request.path) == ("DELETE", f"/v2/orders/{order.id}")
    API.parse_cancelled(order, b"")
    [everything] = API.cancel_all_requests(("BTC/USD", "AAPL.US/USD"))
    assert (everything.method, everything.path) == ("DELETE", "/v2/orders")
    API.parse_cancelled_all(everything, b'[{"id": "1", "status": 200}]')
    with pytest.raises(ExchangeError, match="could not cancel 1 orders"):
        API.parse_cancelled_all(everything, b'[{"id": "1", "status": 200}, {"id": "2", "status": 500}]')
    assert API.dead_man_requests(60, ("BTC/USD",)) == []


@pytest.mark.parametrize(
    ("status", "raw", "kind", "unknown"),
    [
        (
            403,
            b'{"code": 40310000, "message": "insufficient balance for USD (requested: 100, available: 5)"}',
            0,
            False,
        ),
        (422, b'{"code": 40010001, "message": "client_order_id must be unique"}', 0, False),
        (422, b'{"code": 42210000, "message": "order is already in \\"filled\\" state"}', 0, False),
        (404, b'{"code": 40410000, "message": "order not found for sb-1"}', 0, True),
        (404, b"<html>", TransportError, False),
        (500, b'{"code": 50010000, "message": "internal server error occurred"}', TransportError, False),
        (401, b'{"code": 40110000, "message": "request is not authorized"}', CredentialsError, False),
        (403, b'{"message": "forbidden."}', CredentialsError, False),
        (429, b'{"code": 42910000, "message": "rate limit exceeded"}', RateLimited, False),
    ],
)
def test_errors(status, raw, kind, unknown):
    error = Alpaca().error_of(status, raw, {})
    assert type(error) is (kind or ExchangeError)
    if isinstance(error, ExchangeError):
        assert API.unknown_order(error) is unknown and not API.leaves_open(error)
        assert msgspec.json.decode(raw)["message"] in str(error)  # in its words


# -- damaged ---------------------------------------------------------------------------------------------------------

PARSERS = {
    "cash": (ACCOUNT, lambda raw: API.parse_balances(CASH, raw, NOW_MS)),
    "held": (listed(HOLDING), lambda raw: API.parse_balances(HELD, raw, NOW_MS)),
    "orders": (listed(ORDER), lambda raw: API.parse_orders(API.orders_requests()[0], raw)),
    "fills": (listed(FILL), lambda raw: API.parse_fills(FILL_LIST, None, raw, NOW_MS)),
    "money": (listed(MONEY), lambda raw: API.parse_transfers(API.transfers_requests(0)[0], raw)),
    "update": (UPDATE, session().parse),
    "login": (AUTHORIZED, session().parse),
}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(PARSERS)), st.data())
def test_only_parse_errors_come_out_of_damaged_bytes(name, data):
    raw, parse = PARSERS[name]
    at = data.draw(st.integers(0, len(raw) - 1))
    end = data.draw(st.integers(at, min(len(raw), at + 12)))
    damaged = (
        raw[:at]
        + data.draw(st.one_of(st.binary(max_size=6), st.sampled_from([b"null", b"1e999", b'"NaN"'])))
        + raw[end:]
    )
    with contextlib.suppress(ParseError):
        parse(damaged)


def test_names_are_read_anew_when_the_list_grows():
    index = markets()
    api = account(index=index)
    assert api.symbol_of("crypto", "NEWUSD") is None
    listing = b'[{"class":"crypto","symbol":"NEW/USD","price_increment":"1","min_trade_increment":"1"}]'
    index.update(Alpaca().parse_markets(Request(path="/v2/assets"), listing))
    assert api.symbol_of("crypto", "NEWUSD") == "NEW/USD"
