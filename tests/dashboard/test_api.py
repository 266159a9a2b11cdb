"""Every REST endpoint against docs/protocol.md sections 3 and 4."""

import base64
import json
import re
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from django.db import connections
from django.test import AsyncClient, Client
from django.urls import get_resolver
from nacl.public import PrivateKey, SealedBox

from dashboard import auth, ledger, live, records, rows
from dashboard.models import ExchangeAccount, MarketRow, WorkerReport
from dashboard.rows import Moment
from tests.dashboard.values import balance, fill, order, position

PROTOCOL = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text()
NOW_MS = int(time.time() * 1000)

pytestmark = pytest.mark.django_db


def documented(path: str, name: str) -> list[str]:
    """The field names of a row, as the table of section 3 lists them for ``name`` at ``path``."""
    line = next(line for line in PROTOCOL.splitlines() if line.startswith(f"| `{path}"))
    listed = re.search(rf'"{name}": \[{{(.*?)}}\]', line)
    assert listed, path
    return re.findall(r'"(\w+)"', listed[1])


def report(age_s: float = 0.3, **body: Any) -> None:
    """The worker's newest report, so old."""
    streams = [stream("BTC/USDT", "LIVE"), stream("ETH/USDT", "QUIET"), stream("SOL/USDT", "DOWN", pinned=False)]
    records.put_report({"started_ms": NOW_MS, "streams": streams, **body}, time.time_ns() - int(age_s * 1e9))


def stream(symbol: str, state: str, **fields: Any) -> dict[str, Any]:
    row = {"exchange": "binance", "symbol": symbol, "state": state, "age_ms": 60, "reason": "", "resyncs": 0}
    return {**row, "reconnects": 0, "messages": 9, "pinned": True, **fields}


@pytest.fixture
def account(make_account: Callable[..., ExchangeAccount]) -> ExchangeAccount:
    """The trader's account with something of everything, its worker alive."""
    account = make_account(label="Main", fingerprint="abcd…yz", state_recv_ns=time.time_ns())
    fill_up(account)
    report()
    return account


@pytest.fixture
def foreign(make_account: Callable[..., ExchangeAccount], stranger: User) -> ExchangeAccount:
    account = make_account(owner=stranger, label="Not yours")
    fill_up(account)
    return account


def fill_up(account: ExchangeAccount) -> None:
    now_ns = time.time_ns()
    ledger.put_balances(account.pk, [balance("BTC", "1.50", NOW_MS, free=Decimal("1.2"))], now_ns, None, None)
    positions = [position("BTC/USDT:USDT", "-2", NOW_MS, mark=Decimal(59000), unrealised=Decimal(2000))]
    ledger.put_positions(account.pk, positions, now_ns, None, None)
    ledger.put_orders(account.pk, [order("5", "open", NOW_MS, client_id="mine")], now_ns, None, None)
    values = [fill(str(n), symbol="BTC/USDT" if n % 2 else "ETH/USDT", exchange_ms=NOW_MS) for n in range(10)]
    ledger.add_fills(account.pk, values, "rest", None, Moment(now_ns=now_ns))


def get(client: Client, path: str, status: int = 200, **headers: str) -> Any:
    answer = client.get(path, headers=headers)
    assert answer.status_code == status, (path, answer.content)
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"
    return answer.json()


def error(client: Client, path: str, status: int) -> tuple[str, str]:
    body = get(client, path, status)
    assert set(body) == {"error"}
    assert {"code", "message"} <= set(body["error"])
    return body["error"]["code"], body["error"]["message"]


# -- who may ask -------------------------------------------------------------------------------------------------------

LISTS = ("/api/balances/", "/api/positions/", "/api/orders/", "/api/fills/")
API_PATHS = (*LISTS, "/api/markets/", "/api/accounts/", "/api/accounts/1/", "/api/sealing-key/")
LIVE_PATHS = ("/api/book/binance/BTC/USDT/", "/api/candles/binance/BTC/USDT/")


def test_every_path_of_the_api_is_tested_here() -> None:
    patterns = [str(pattern.pattern) for pattern in get_resolver().url_patterns]
    tested = {re.sub(r"\d+", "<int:number>", path.removeprefix("/")) for path in API_PATHS}
    tested |= {
        re.sub("binance/BTC/USDT", "<str:exchange>/<path:symbol>", path.removeprefix("/")) for path in LIVE_PATHS
    }
    assert {pattern for pattern in patterns if pattern.startswith("api/")} == tested


@pytest.mark.parametrize("path", [*API_PATHS, *LIVE_PATHS])
def test_nobody_asks_unseen(client: Client, markets: None, path: str) -> None:
    assert error(client, path, 401)[0] == "unauthorized"


@pytest.mark.parametrize("path", [*API_PATHS, *LIVE_PATHS])
def test_other_methods_are_refused_in_form(signed_in: Client, markets: None, path: str) -> None:
    answer = signed_in.put(path)
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "method_not_allowed"
    assert "GET" in answer["Allow"]


def test_an_unknown_path_is_answered_in_form(signed_in: Client) -> None:
    assert error(signed_in, "/api/nothing/", 404) == ("not_found", "There is nothing at this address.")


@pytest.mark.parametrize("path", LISTS)
def test_another_users_account_does_not_exist(signed_in: Client, foreign: ExchangeAccount, path: str) -> None:
    there = error(signed_in, f"{path}?account={foreign.pk}", 404)
    nowhere = error(signed_in, f"{path}?account={foreign.pk + 1000}", 404)
    assert there[0] == nowhere[0] == "not_found"
    assert there[1].replace(str(foreign.pk), "N") == nowhere[1].replace(str(foreign.pk + 1000), "N")


def test_nothing_of_another_user_is_in_any_answer(
    signed_in: Client, account: ExchangeAccount, foreign: ExchangeAccount
) -> None:
    for path in (*LISTS, "/api/accounts/", "/balances/", "/accounts/"):
        assert "Not yours" not in signed_in.get(path).content.decode(), path
    for ask in (signed_in.get, signed_in.delete):
        assert ask(f"/api/accounts/{foreign.pk}/").status_code == 404
    assert signed_in.post(f"/accounts/{foreign.pk}/remove/").status_code == 404
    assert ExchangeAccount.objects.filter(pk=foreign.pk).exists()


@pytest.mark.parametrize("path", ["/api/markets/?exchange=%00", "/api/fills/?symbol=%00", "/api/book/x/%00/"])
def test_characters_that_no_database_holds_are_refused(signed_in: Client, path: str) -> None:
    assert error(signed_in, path, 400)[0] == "bad_request"


# -- health ------------------------------------------------------------------------------------------------------------


def test_health_needs_no_sign_in_and_is_good_while_pinned_streams_are_usable(client: Client) -> None:
    report()
    body = get(client, "/healthz")
    assert body["ok"] is True
    assert 300 <= body["worker"]["age_ms"] < 3000
    line = next(line for line in PROTOCOL.splitlines() if line.startswith("| `/healthz`"))
    fields = re.findall(r'"(\w+)"', line[line.index('"streams"') :])[1:]
    assert all(set(fields) <= set(row) for row in body["streams"])
    assert [row["state"] for row in body["streams"]] == ["LIVE", "QUIET", "DOWN"]
    assert body["streams"][0]["age_ms"] >= 360  # what the report said, and its own age


@pytest.mark.parametrize("state", ["CONNECTING", "SYNCING", "STALE", "RESYNC", "DOWN"])
def test_health_is_bad_if_a_pinned_stream_is_not_usable(client: Client, state: str) -> None:
    report(streams=[stream("BTC/USDT", "LIVE"), stream("ETH/USDT", state)])
    assert get(client, "/healthz", 503)["ok"] is False


@pytest.mark.parametrize("state", ["SLOW", "POLLED"])
def test_health_is_good_with_usable_streams(client: Client, state: str) -> None:
    report(streams=[stream("BTC/USDT", state)])
    assert get(client, "/healthz")["ok"] is True


def test_health_is_bad_if_the_worker_is_silent(client: Client) -> None:
    report(age_s=6)
    body = get(client, "/healthz", 503)
    assert body["ok"] is False
    assert body["worker"]["age_ms"] >= 6000
    assert body["streams"][0]["state"] == "STALE"
    assert body["streams"][2]["state"] == "DOWN"


def test_health_is_bad_before_the_first_report(client: Client) -> None:
    assert get(client, "/healthz", 503) == {"ok": False, "worker": {"age_ms": None}, "streams": []}


# -- markets -----------------------------------------------------------------------------------------------------------


def test_markets(signed_in: Client, markets: None) -> None:
    found = get(signed_in, "/api/markets/")["markets"]
    assert [(row["exchange"], row["symbol"]) for row in found] == [
        ("binance", "BTC/USDT"),
        ("binance", "BTC/USDT:USDT"),
        ("binance", "ETH/USDT"),
        ("kraken", "BTC/USD"),
    ]
    assert list(found[0]) == documented("/api/markets/", "markets")
    perpetual = found[1]
    assert (perpetual["settle"], perpetual["lot"], perpetual["pinned"]) == ("USDT", "0.001", True)
    assert found[0]["settle"] is None


@pytest.mark.parametrize(
    ("query", "symbols"),
    [
        ("exchange=kraken", ["BTC/USD"]),
        ("exchange=nowhere", []),
        ("query=eth", ["ETH/USDT"]),
        ("query=BTCUSDT", ["BTC/USDT", "BTC/USDT:USDT"]),
        ("query=btc kraken", ["BTC/USD"]),
        ("query=usdt&exchange=kraken", []),
        ("query=%25", []),  # no wildcard
    ],
)
def test_markets_are_narrowed(signed_in: Client, markets: None, query: str, symbols: list[str]) -> None:
    assert [row["symbol"] for row in get(signed_in, f"/api/markets/?{query}")["markets"]] == symbols


def test_the_workers_list_replaces_the_former(markets: None) -> None:
    kept = MarketRow.objects.get(symbol="ETH/USDT").pk
    [row] = [row for row in api_rows() if row["symbol"] == "ETH/USDT"]
    records.put_markets("binance", [{**row, "status": "break"}])
    left = MarketRow.objects.filter(exchange="binance")
    assert [(row.pk, row.symbol, row.status) for row in left] == [(kept, "ETH/USDT", "break")]
    assert MarketRow.objects.filter(exchange="kraken").count() == 1
    records.keep_exchanges(["binance"])
    assert not MarketRow.objects.filter(exchange="kraken").exists()


def api_rows() -> list[dict[str, Any]]:
    return rows.market_rows(MarketRow.objects.all())


# -- books and candles, through the relay ------------------------------------------------------------------------------


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stands in for relay and worker: topic -> frame, or the error that asking raises."""
    answers: dict[str, Any] = {}

    async def newest_frame(topic: str, timeout_s: float) -> str:
        if isinstance(answers[topic], Exception):
            raise answers[topic]
        return json.dumps(answers[topic])

    async def candles(exchange: str, symbol: str, interval: str, limit: int, timeout_s: float) -> Any:
        found = answers[f"candles@{interval}:{exchange}:{symbol}"]
        if isinstance(found, Exception):
            raise found
        return found[-limit:]

    monkeypatch.setattr(live, "newest_frame", newest_frame)
    monkeypatch.setattr(live, "candles", candles)
    return answers


def test_a_book_is_the_newest_frame_with_its_age(signed_in: Client, markets: None, worker: dict[str, Any]) -> None:
    topic = "book:binance:BTC/USDT:USDT"
    frame = {"topic": topic, "n": 9, "state": "LIVE", "seq": 5, "recv_us": time.time_ns() // 1000 - 250_000}
    worker[topic] = {**frame, "data": {"bids": [[1, 2]]}}
    body = get(signed_in, "/api/book/binance/BTC/USDT:USDT/")
    assert 250 <= body.pop("age_ms") < 5000
    assert body == worker[topic]
    assert get(signed_in, "/api/book/binance/BTC%2FUSDT%3AUSDT/")["topic"] == topic


@pytest.mark.django_db(transaction=True)
async def test_a_book_as_daphne_asks_for_it(
    signed_in: Client, token: str, markets: None, worker: dict[str, Any]
) -> None:
    """Through ASGI, where a view runs in the server's event loop."""
    worker["book:binance:BTC/USDT"] = {"topic": "book:binance:BTC/USDT", "recv_us": None}
    browser, program, nobody = AsyncClient(), AsyncClient(), AsyncClient()
    browser.cookies = signed_in.cookies
    path = "/api/book/binance/BTC/USDT/"
    answer = await browser.get(path)
    assert (answer.status_code, answer.json()) == (200, {**worker["book:binance:BTC/USDT"], "age_ms": None})
    assert (await program.get(path, headers={"Authorization": f"Bearer {token}"})).status_code == 200
    assert (await nobody.get(path)).status_code == 401
    await sync_to_async(connections.close_all)()  # those of the thread that served


@pytest.fixture
def token(trader: User) -> str:
    return auth.new_api_token(trader)


def test_a_book_that_is_being_opened(signed_in: Client, markets: None, worker: dict[str, Any]) -> None:
    worker["book:binance:BTC/USDT"] = TimeoutError()
    answer = signed_in.get("/api/book/binance/BTC/USDT/")
    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert answer.json()["error"]["code"] == "opening"


def test_a_book_that_the_worker_refuses(signed_in: Client, markets: None, worker: dict[str, Any]) -> None:
    worker["book:binance:BTC/USDT"] = live.Refused("The exchange has no such market any more.")
    assert error(signed_in, "/api/book/binance/BTC/USDT/", 404)[1] == "The exchange has no such market any more."


@pytest.mark.parametrize("path", ["book/binance/NO/SUCH", "book/nowhere/BTC/USDT", "candles/binance/NO/SUCH"])
def test_a_market_that_does_not_exist(signed_in: Client, markets: None, path: str) -> None:
    assert error(signed_in, f"/api/{path}/", 404)[0] == "not_found"


def test_candles(signed_in: Client, markets: None, worker: dict[str, Any]) -> None:
    bars = [{"open_ms": n * 60_000, "open": "1", "close": "2"} for n in range(600)]
    worker["candles@1m:binance:BTC/USDT"] = worker["candles@1h:binance:BTC/USDT"] = bars
    assert get(signed_in, "/api/candles/binance/BTC/USDT/") == {"interval": "1m", "bars": bars[-500:]}
    answer = get(signed_in, "/api/candles/binance/BTC/USDT/?interval=1h&limit=2")
    assert answer == {"interval": "1h", "bars": bars[-2:]}


@pytest.mark.parametrize(
    ("query", "field", "allowed"),
    [
        ("interval=2m", "interval", "1m, 5m, 15m, 1h, 4h, 1d"),
        ("limit=1001", "limit", "1 to 1000"),
        ("limit=0", "limit", "1 to 1000"),
        ("limit=many", "limit", "1 to 1000"),
    ],
)
def test_wrong_questions_for_candles(signed_in: Client, markets: None, query: str, field: str, allowed: str) -> None:
    code, message = error(signed_in, f"/api/candles/binance/BTC/USDT/?{query}", 400)
    assert code == "bad_field"
    assert message.startswith(f"{field}: ")
    assert allowed in message


def test_candles_that_do_not_come(signed_in: Client, markets: None, worker: dict[str, Any]) -> None:
    worker["candles@1m:binance:BTC/USDT"] = TimeoutError()
    assert error(signed_in, "/api/candles/binance/BTC/USDT/", 503)[0] == "no_answer"
    worker["candles@1m:binance:BTC/USDT"] = live.Refused("The exchange cannot be reached at the moment.")
    assert error(signed_in, "/api/candles/binance/BTC/USDT/", 503)[1] == "The exchange cannot be reached at the moment."


# -- what an account holds ---------------------------------------------------------------------------------------------


def test_balances(signed_in: Client, account: ExchangeAccount) -> None:
    [row] = get(signed_in, "/api/balances/")["balances"]
    assert list(row) == documented("/api/balances/", "balances")
    assert (row["account"], row["exchange"], row["label"], row["product"]) == (account.pk, "binance", "Main", "spot")
    assert (row["asset"], row["total"], row["free"], row["locked"]) == ("BTC", "1.5", "1.2", None)
    assert (row["asof_ms"], row["state"]) == (NOW_MS, "LIVE")
    assert 0 <= row["age_ms"] < 120_000


def test_positions(signed_in: Client, account: ExchangeAccount) -> None:
    [row] = get(signed_in, "/api/positions/")["positions"]
    assert list(row) == documented("/api/positions/", "positions")
    assert (row["symbol"], row["side"], row["size"], row["entry"]) == ("BTC/USDT:USDT", "both", "-2", "60000")
    assert (row["mark"], row["unrealised"], row["unrealised_ratio"]) == ("59000", "2000", "0.016667")
    assert row["mark_age_ms"] == row["age_ms"]
    assert (row["liquidation"], row["leverage"], row["margin_mode"], row["settle"]) == (None, None, None, None)


def test_orders(signed_in: Client, account: ExchangeAccount) -> None:
    [row] = get(signed_in, "/api/orders/")["orders"]
    assert list(row) == documented("/api/orders/", "orders")
    assert (row["id"], row["client_id"], row["status"], row["price"], row["filled"]) == (
        "5",
        "mine",
        "open",
        "60000",
        "0",
    )


def test_fills_newest_first(signed_in: Client, account: ExchangeAccount) -> None:
    body = get(signed_in, "/api/fills/?limit=4")
    assert list(body["fills"][0]) == documented("/api/fills/", "fills")
    assert [row["id"] for row in body["fills"]] == ["9", "8", "7", "6"]
    assert (body["first_row"], body["last_row"]) == (body["fills"][-1]["row"], body["fills"][0]["row"])
    assert body["more"] is True
    row = body["fills"][0]
    assert (row["notional"], row["fee"], row["fee_asset"], row["maker"]) == ("1236.7526", "0.00002", "BTC", False)
    older = get(signed_in, f"/api/fills/?before={body['first_row']}")
    assert [row["id"] for row in older["fills"]] == ["5", "4", "3", "2", "1", "0"]
    assert older["more"] is False


def test_fills_after_a_row_oldest_first(signed_in: Client, account: ExchangeAccount) -> None:
    first = get(signed_in, "/api/fills/")["first_row"]
    page = get(signed_in, f"/api/fills/?after={first}&limit=5")
    assert [row["id"] for row in page["fills"]] == ["1", "2", "3", "4", "5"]
    assert page["more"] is True
    rest = get(signed_in, f"/api/fills/?after={page['last_row']}")
    assert [row["id"] for row in rest["fills"]] == ["6", "7", "8", "9"]
    assert rest["more"] is False
    none = get(signed_in, f"/api/fills/?after={rest['last_row']}")
    assert none == {"fills": [], "first_row": None, "last_row": None, "more": False}


def test_fills_of_a_symbol_and_an_account(
    signed_in: Client, account: ExchangeAccount, make_account: Callable[..., ExchangeAccount]
) -> None:
    other = make_account(label="Second")
    fill_up(other)
    assert len(get(signed_in, "/api/fills/")["fills"]) == 20
    body = get(signed_in, f"/api/fills/?account={other.pk}&symbol=ETH/USDT")
    assert [(row["label"], row["id"]) for row in body["fills"]] == [("Second", n) for n in "86420"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "after=-1", "before=x", "account=main", "account=" + "9" * 30]
)
def test_wrong_questions_for_fills(signed_in: Client, account: ExchangeAccount, query: str) -> None:
    code, message = error(signed_in, f"/api/fills/?{query}", 400)
    assert code == "bad_field"
    assert message.startswith(query.partition("=")[0])


def test_ages_count_by_the_exchanges_clock(signed_in: Client, account: ExchangeAccount) -> None:
    """An exchange whose clock is a minute ahead: the same figure is a minute older."""
    before = get(signed_in, "/api/balances/")["balances"][0]["age_ms"]
    report(clock_offsets_ms={"binance": 60_000.0, "kraken": None})
    after = get(signed_in, "/api/balances/")["balances"][0]["age_ms"]
    assert 60_000 <= after - before < 90_000
    report(clock_offsets_ms={"binance": -10_000_000.0})
    assert get(signed_in, "/api/balances/")["balances"][0]["age_ms"] == 0  # never negative


def test_nothing_is_live_while_the_worker_is_silent(signed_in: Client, account: ExchangeAccount) -> None:
    report(age_s=7)
    for path, name in zip(LISTS[:3], ("balances", "positions", "orders"), strict=True):
        assert {row["state"] for row in get(signed_in, path)[name]} == {"STALE"}, path
    [row] = get(signed_in, "/api/accounts/")["accounts"]
    assert (row["state"], row["sentence"]) == ("STALE", "The worker has been silent for 7 s.")
    WorkerReport.objects.all().delete()
    [row] = get(signed_in, "/api/accounts/")["accounts"]
    assert (row["state"], row["sentence"]) == ("DOWN", "The worker has not reported yet.")


# -- accounts ----------------------------------------------------------------------------------------------------------

SECRETS = {"key": "abcdEFGH1234567890yz", "secret": "verySecret-0987654321", "passphrase": ""}


@pytest.fixture
def private_key(db: None) -> PrivateKey:
    """The worker's key; its public half is published."""
    private = PrivateKey.generate()
    public = base64.b64encode(bytes(private.public_key)).decode()
    exchanges = {"binance": {"products": ["spot", "usdm"], "passphrase": False}}
    records.put_sealing_key("k1", public, exchanges)
    return private


def new_account(client: Client, **fields: Any) -> dict[str, Any]:
    """A request body, sealed as a browser does with what the server tells."""
    key = client.get("/api/sealing-key/").json()
    box = SealedBox(PrivateKey.generate().public_key)
    if "public_key" in key:
        from nacl.public import PublicKey

        box = SealedBox(PublicKey(base64.b64decode(key["public_key"])))
    sealed = base64.b64encode(box.encrypt(json.dumps(SECRETS).encode())).decode()
    given = {"exchange": "binance", "label": "Main", "products": ["spot"], "fingerprint": "abcd…yz", "sealed": sealed}
    return {key: value for key, value in {**given, **fields}.items() if value is not ...}


def post(client: Client, body: Any) -> Any:
    return client.post("/api/accounts/", json.dumps(body), content_type="application/json")


def test_the_sealing_key(signed_in: Client, private_key: PrivateKey) -> None:
    body = get(signed_in, "/api/sealing-key/")
    assert body["key_id"] == "k1"
    assert base64.b64decode(body["public_key"]) == bytes(private_key.public_key)
    assert body["exchanges"] == {"binance": {"products": ["spot", "usdm"], "passphrase": False}}


def test_before_the_worker_has_a_key(signed_in: Client) -> None:
    assert error(signed_in, "/api/sealing-key/", 503)[0] == "no_key"
    assert post(signed_in, {}).status_code == 503


def drained() -> list[dict[str, Any]]:
    """What the worker was told since the last call."""
    layer = get_channel_layer()
    assert layer is not None
    queue = layer.channels.get("feeds")
    messages = []
    while queue is not None and not queue.empty():
        messages.append(queue.get_nowait()[1])
    return messages


def test_adding_an_account(signed_in: Client, markets: None, private_key: PrivateKey) -> None:
    drained()
    answer = post(signed_in, new_account(signed_in, products=["usdm", "spot"], symbols=["BTC/USDT"]))
    assert answer.status_code == 201, answer.content
    row = answer.json()
    assert set(documented("/api/accounts/", "accounts")) <= set(row)
    assert (row["exchange"], row["label"], row["fingerprint"], row["products"]) == (
        "binance",
        "Main",
        "abcd…yz",
        ["spot", "usdm"],
    )
    assert drained() == [{"type": "feeds.accounts_changed"}]
    stored = ExchangeAccount.objects.get(pk=row["id"])
    assert (stored.owner.username, stored.source, stored.key_id) == ("trader", "browser", "k1")
    assert stored.symbols == ["BTC/USDT"]
    opened = json.loads(SealedBox(private_key).decrypt(base64.b64decode(stored.sealed)))
    assert opened == SECRETS
    assert get(signed_in, "/api/accounts/")["accounts"] == [{**row, "age_ms": None}]
    assert get(signed_in, f"/api/accounts/{row['id']}/")["label"] == "Main"
    for path in ("/api/accounts/", "/accounts/", "/"):
        assert stored.sealed not in signed_in.get(path).content.decode()


@pytest.mark.parametrize(
    ("fields", "field", "named"),
    [
        ({"exchange": "mtgox"}, "exchange", "'mtgox' is not one of binance"),
        ({"exchange": ...}, "exchange", "missing"),
        ({"exchange": 7}, "exchange", "not 7"),
        ({"label": "   "}, "label", "empty"),
        ({"label": "x" * 51}, "label", "51 characters"),
        ({"label": "a\u202eb"}, "label", "cannot be shown"),
        ({"label": "a\0b"}, "label", "cannot be shown"),
        ({"fingerprint": "abc\0…yz"}, "fingerprint", "cannot be shown"),
        ({"symbols": ["BTC\0/USDT"]}, "symbols", "cannot be shown"),
        ({"products": []}, "products", "at least one of spot, usdm"),
        ({"products": "spot"}, "products", "at least one of spot, usdm"),
        ({"products": ["spot", "coinm"]}, "products", "'coinm' is not one of spot, usdm"),
        ({"products": [{"a": 1}]}, "products", "{'a': 1} is not one of"),
        ({"fingerprint": "abcdefgh"}, "fingerprint", "first four"),
        ({"fingerprint": "abcdEFGH1234567890yz"}, "fingerprint", "20 characters"),
        ({"fingerprint": ...}, "fingerprint", "missing"),
        ({"sealed": "not base64!"}, "sealed", "sealed box"),
        ({"sealed": base64.b64encode(b"x" * 48).decode()}, "sealed", "sealed box"),
        ({"sealed": "A" * 20_000}, "sealed", "20000 characters"),
        ({"symbols": ["NO/SUCH"]}, "symbols", "'NO/SUCH' is not a market of binance"),
        ({"symbols": ["BTC/USD"]}, "symbols", "'BTC/USD' is not a market of binance"),
        ({"symbols": "BTC/USDT"}, "symbols", "list"),
        ({"secret": "oops"}, "secret", "is not a field"),
    ],
)
def test_a_wrong_account_is_refused_by_field_and_value(
    signed_in: Client, markets: None, private_key: PrivateKey, fields: dict[str, Any], field: str, named: str
) -> None:
    answer = post(signed_in, new_account(signed_in, **fields))
    assert answer.status_code == 400, answer.content
    problem = answer.json()["error"]
    assert (problem["code"], problem["field"]) == ("bad_field", field)
    assert problem["message"].startswith(f"{field}: ")
    assert named in problem["message"]
    assert not ExchangeAccount.objects.exists()


@pytest.mark.parametrize("body", ["", "{", "[]", '"x"', "null"])
def test_a_body_that_is_no_object(signed_in: Client, private_key: PrivateKey, body: str) -> None:
    answer = signed_in.post("/api/accounts/", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in ("bad_json", "bad_field")


def test_a_label_is_unique_per_user_and_exchange(
    signed_in: Client, private_key: PrivateKey, make_account: Callable[..., ExchangeAccount], stranger: User
) -> None:
    make_account(label="Main", owner=stranger)
    assert post(signed_in, new_account(signed_in)).status_code == 201
    answer = post(signed_in, new_account(signed_in, label=" Main "))
    assert answer.status_code == 400
    assert "'Main' is the label of another of your accounts at binance" in answer.json()["error"]["message"]


def test_a_box_for_an_old_key_is_refused(signed_in: Client, private_key: PrivateKey) -> None:
    body = new_account(signed_in, key_id="k0")
    answer = post(signed_in, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "stale_key")
    assert post(signed_in, {**body, "key_id": "k1"}).status_code == 201


def test_accounts_change_only_with_the_csrf_token(trader: User, private_key: PrivateKey) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(trader)
    body = new_account(client)
    answer = post(client, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "csrf")
    page = client.get("/accounts/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    headers = {"X-CSRFToken": token[1]}
    answer = client.post("/api/accounts/", json.dumps(body), content_type="application/json", headers=headers)
    assert answer.status_code == 201
    path = f"/api/accounts/{answer.json()['id']}/"
    assert client.delete(path).status_code == 403
    assert client.delete(path, headers=headers).status_code == 204


def test_removing_an_account_takes_everything_of_it(signed_in: Client, account: ExchangeAccount) -> None:
    drained()
    assert signed_in.delete(f"/api/accounts/{account.pk}/").status_code == 204
    assert drained() == [{"type": "feeds.accounts_changed"}]
    for path, name in zip(LISTS, ("balances", "positions", "orders", "fills"), strict=True):
        assert get(signed_in, path)[name] == []
        assert error(signed_in, f"{path}?account={account.pk}", 404)[0] == "not_found"
    assert signed_in.delete(f"/api/accounts/{account.pk}/").status_code == 404


def test_removing_an_account_from_the_page(signed_in: Client, account: ExchangeAccount) -> None:
    drained()
    assert signed_in.get(f"/accounts/{account.pk}/remove/").status_code == 405
    answer = signed_in.post(f"/accounts/{account.pk}/remove/")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/")
    assert not ExchangeAccount.objects.exists()
    assert drained() == [{"type": "feeds.accounts_changed"}]


def test_an_account_is_added_even_if_the_worker_cannot_be_told(
    signed_in: Client, private_key: PrivateKey, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    layer = get_channel_layer()

    async def broken(*args: Any) -> None:
        raise ConnectionError("no Redis")

    monkeypatch.setattr(layer, "send", broken)
    assert post(signed_in, new_account(signed_in)).status_code == 201
    assert "worker not told" in caplog.text


# -- accounts of the worker's environment ------------------------------------------------------------------------------

ENVIRONMENT = {"exchange": "binance", "label": "Main", "products": ["spot"], "symbols": [], "poll_s": 5.0}


def put_environment(name: str, **fields: Any) -> ExchangeAccount:
    number = records.put_environment_account(name=name, fingerprint="abcd…yz", **{**ENVIRONMENT, **fields})
    return ExchangeAccount.objects.get(pk=number)


def test_an_account_of_the_environment_keeps_its_number(trader: User) -> None:
    first = put_environment("main")
    assert (first.owner, first.source, first.sealed) == (trader, "environment", "")
    again = put_environment("main", label="Renamed", products=["spot", "usdm"])
    assert (again.pk, again.label, again.products) == (first.pk, "Renamed", ["spot", "usdm"])


def test_labels_of_environment_and_browser_do_not_clash(make_account: Callable[..., ExchangeAccount]) -> None:
    make_account(label="Main")
    assert put_environment("main").label == "Main (main)"


def test_another_exchange_under_the_same_name_is_another_account(trader: User) -> None:
    first = put_environment("main")
    second = put_environment("main", exchange="kraken")
    assert first.pk != second.pk
    first.refresh_from_db()
    assert (first.state, first.name) == ("DOWN", "")


def test_accounts_no_longer_configured_are_marked_and_kept(make_account: Callable[..., ExchangeAccount]) -> None:
    browser = make_account()
    one, two = put_environment("one", label="One"), put_environment("two", label="Two")
    records.retire_environment_accounts(keep=["two"])
    states = dict(ExchangeAccount.objects.values_list("pk", "state"))
    assert states == {browser.pk: "LIVE", one.pk: "DOWN", two.pk: "CONNECTING"}
    assert put_environment("one").pk == one.pk  # configured again: found again
