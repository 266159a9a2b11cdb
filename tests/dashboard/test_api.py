"""The REST API against docs/protocol.md section 3: who may ask, health, markets, books and candles."""

import json
import re
import time
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connections
from django.test import AsyncClient, Client
from django.urls import get_resolver

from dashboard import auth, live, records, rows
from dashboard.models import ExchangeAccount, MarketRow
from tests.dashboard.rest import LISTS, PROTOCOL, documented, error, get, report, stream

pytestmark = pytest.mark.django_db


# -- who may ask -------------------------------------------------------------------------------------------------------

API_PATHS = (
    *(*LISTS, "/api/markets/", "/api/accounts/", "/api/accounts/1/", "/api/sealing-key/"),
    *("/api/transfers/", "/api/notices/", "/api/equity/", "/api/settings/", "/api/fills.csv"),
    *("/api/accounts/1/shares/", "/api/accounts/1/shares/2/"),
    *("/api/arbitrage/", "/api/arbitrage/settings/", "/api/fees/", "/api/fees/binance/spot/"),
)
LIVE_PATHS = (
    *("/api/book/binance/BTC/USDT/", "/api/candles/binance/BTC/USDT/"),
    *("/api/across/BTC/USDT/", "/api/matrix/BTC/USDT/", "/api/portfolio/"),
)


def test_every_path_of_the_api_is_tested_here() -> None:
    patterns = [str(pattern.pattern) for pattern in get_resolver().url_patterns]
    names = {
        "1/shares/2": "<int:number>/shares/<int:user>",
        "1": "<int:number>",
        "binance/spot": "<str:exchange>/<str:product>",
        "binance/BTC/USDT": "<str:exchange>/<path:symbol>",
        "BTC/USDT": "<path:symbol>",
    }
    tested = set()
    for path in (*API_PATHS, *LIVE_PATHS):
        for part in names:
            path = path.replace(f"/{part}/", f"/{names[part]}/")
        tested.add(path.removeprefix("/"))
    assert {pattern for pattern in patterns if pattern.startswith("api/")} == tested


@pytest.mark.parametrize("path", [*API_PATHS, *LIVE_PATHS])
def test_nobody_asks_unseen(client: Client, markets: None, path: str) -> None:
    assert error(client, path, 401)[0] == "unauthorized"


@pytest.mark.parametrize("path", [*API_PATHS, *LIVE_PATHS])
def test_other_methods_are_refused_in_form(signed_in: Client, markets: None, path: str) -> None:
    answer = signed_in.options(path)
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


def test_the_first_market_is_the_first_that_the_configuration_pins(signed_in: Client, markets: None) -> None:
    assert get(signed_in, "/api/markets/")["first"] is None, "no worker has reported"
    records.put_report({"pinned": ["okx:BTC/USDT", "kraken:BTC/USD", "binance:BTC/USDT"]})
    assert get(signed_in, "/api/markets/")["first"] == "kraken:BTC/USD", "the first that there is"
    assert get(signed_in, "/api/markets/?exchange=binance")["first"] == "binance:BTC/USDT"
    assert get(signed_in, "/api/markets/?exchange=nowhere")["first"] is None


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
