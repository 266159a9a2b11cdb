"""Histories by time: filters, keyset pages through years that an index serves, and the table."""

import csv
import io
import json
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connection
from django.test import AsyncClient, Client

from dashboard import holdings, ledger, notes, preferences
from dashboard.holdings import FillFilter, fill_query
from dashboard.models import ExchangeAccount, Fill
from dashboard.rows import Moment
from feeds.account_domain import Finding, Transfer
from tests.dashboard.rest import documented, error, get
from tests.dashboard.values import fill, order

pytestmark = pytest.mark.django_db

T0 = 1_795_000_000_000


def many(account: ExchangeAccount, count: int, *, step_ms: int = 1000, per_moment: int = 3) -> None:
    """Fills of which several share a moment, stored as plain rows."""
    Fill.objects.bulk_create(
        [
            Fill(
                account=account,
                product="spot",
                recv_ns=0,
                symbol="BTC/USDT" if number % 2 else "ETH/USDT",
                fill_id=f"m{number}",
                order_id="1",
                side="buy" if number % 5 else "sell",
                price=Decimal(number),
                size=Decimal(1),
                exchange_ms=T0 + number // per_moment * step_ms,
                source="rest",
            )
            for number in range(count)
        ],
        batch_size=2000,
    )


def walk(client: Client, query: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        body = get(client, f"/api/fills/?{query}{cursor}")
        rows += body["fills"]
        assert body["more"] == (body["next"] is not None)
        if not body["more"]:
            return rows
        cursor = f"&cursor={body['next']}"


@pytest.mark.parametrize("sort", ["-time", "time"])
@pytest.mark.parametrize("limit", [1, 7, 100])
def test_every_fill_once_in_order(signed_in: Client, make_account: Any, sort: str, limit: int) -> None:
    for _ in range(2):
        many(make_account(), 40)
    rows = walk(signed_in, f"sort={sort}&limit={limit}")
    places = [(row["exchange_ms"], row["row"]) for row in rows]
    assert len(places) == len(set(places)) == 80
    assert places == sorted(places, reverse=sort == "-time")


def test_filters(signed_in: Client, make_account: Any) -> None:
    first, second = make_account(), make_account()
    many(first, 60)
    many(second, 30)
    assert len(walk(signed_in, f"sort=time&account={second.pk}")) == 30
    assert {row["symbol"] for row in walk(signed_in, "sort=time&symbol=ETH/USDT&limit=4")} == {"ETH/USDT"}
    assert len(walk(signed_in, "sort=time&side=sell&limit=4")) == 12 + 6
    some = walk(signed_in, f"sort=time&from={T0 + 2000}&to={T0 + 4000}")
    assert {row["exchange_ms"] for row in some} == {T0 + 2000, T0 + 3000}
    at = quote(datetime.fromtimestamp((T0 + 18_000) / 1000).astimezone().isoformat())
    assert {row["exchange_ms"] for row in walk(signed_in, f"sort=time&from={at}")} == {T0 + 18_000, T0 + 19_000}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("sort=price", "sort"),
        ("sort=time&side=long", "side"),
        ("sort=time&from=yesterday", "from"),
        ("sort=time&to=2026-01-01T00:00:00", "to"),  # of which zone?
        ("sort=time&cursor=7", "cursor"),
        ("sort=time&limit=0", "limit"),
        ("side=buy", "side"),
    ],
)
def test_wrong_questions(signed_in: Client, query: str, field: str) -> None:
    answer = signed_in.get(f"/api/fills/?{query}").json()["error"]
    assert (answer["code"], answer["field"]) == ("bad_field", field)


def plan(query: Any) -> str:
    sql, params = query.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        return " | ".join(row[3] for row in cursor.fetchall())


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="reads SQLite's words about its plan")
def test_a_page_deep_in_100_000_fills_is_read_from_an_index(make_account: Any) -> None:
    """By what the database says that it does, not by time: it seeks to the place, and sorts nothing."""
    account = make_account()
    many(account, 100_000)
    for newest_first in (True, False):
        for symbol in (None, "BTC/USDT"):
            assert_a_page_from_an_index(account, newest_first, symbol)


def assert_a_page_from_an_index(account: ExchangeAccount, newest_first: bool, symbol: str | None) -> None:
    after = (T0 + 20_000_000, 5)
    query = fill_query(account, FillFilter(symbol=symbol), newest_first=newest_first, after=after)[:101]
    index = "fill_time" if symbol is None else "fill_symbol_time"
    steps = plan(query)
    assert f"SEARCH dashboard_fill USING INDEX {index} (account_id=?" in steps, steps
    assert f"exchange_ms{'<' if newest_first else '>'}?" in steps, steps
    assert "TEMP B-TREE" not in steps and "SCAN" not in steps, steps
    page, more = holdings.fills_by_time(
        [account], FillFilter(symbol=symbol), limit=100, newest_first=newest_first, after=after
    )
    assert len(page) == 100 and more
    assert all((row.exchange_ms, row.pk) < after if newest_first else (row.exchange_ms, row.pk) > after for row in page)


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="reads SQLite's words about its plan")
def test_the_pages_by_row_and_of_orders_are_too(make_account: Any) -> None:
    account = make_account()
    steps = plan(Fill.objects.filter(account=account, pk__lt=500).order_by("-pk")[:100])
    assert "TEMP B-TREE" not in steps, steps


def test_order_history(signed_in: Client, account: ExchangeAccount) -> None:
    orders = [order(str(n), "filled" if n % 2 else "canceled", T0 + n // 2) for n in range(100, 140)]
    ledger.put_orders(account.pk, orders, 0, None, None)
    seen: list[str] = []
    cursor = ""
    while True:
        body = get(signed_in, f"/api/orders/?history=1&limit=9{cursor}")
        seen += [row["id"] for row in body["orders"]]
        if not body["more"]:
            break
        cursor = f"&cursor={body['next']}"
    assert len(seen) == len(set(seen)) == 41  # and the open one of the fixture
    assert seen[1:] == sorted(seen[1:], key=lambda number: (int(number) // 2, int(number)), reverse=True)


@pytest.mark.django_db(transaction=True)
async def test_the_table(trader: User, account: ExchangeAccount) -> None:
    def fill_in() -> None:
        Fill.objects.all().delete()
        ExchangeAccount.objects.update(label="=HYPERLINK()")
        values = [
            fill("1", exchange_ms=1_795_221_000_123, realised=Decimal("-1.5")),
            fill("2", exchange_ms=1_780_000_000_000, fee=Decimal("-0.01"), fee_asset="BNB", maker=True, client_id="c"),
        ]
        ledger.add_fills(account.pk, values, "rest", None, Moment(now_ns=0))
        preferences.put(trader.pk, {"zone": "Europe/Berlin"})

    await sync_to_async(fill_in)()
    client = AsyncClient()
    await client.aforce_login(trader)
    answer = await client.get("/api/fills.csv")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    content = b"".join([part async for part in answer.streaming_content]).decode()
    first, second = csv.DictReader(io.StringIO(content))
    assert first["time"] == "2026-11-21T01:30:00.123+01:00"
    assert second["time"] == "2026-05-28T22:26:40.000+02:00"  # summer
    assert first["account"] == "'=HYPERLINK()"
    assert first["realised"] == "-1.5"
    assert (second["fee"], second["fee_currency"], second["liquidity"]) == ("-0.01", "BNB", "maker")
    assert (second["fill_id"], second["order_id"], second["client_id"]) == ("2", "77", "c")
    assert Decimal(first["notional"]) == Decimal(first["price"]) * Decimal(first["size"])


@pytest.mark.django_db(transaction=True)
async def test_the_table_goes_through_all_pages(trader: User, make_account: Any) -> None:
    await sync_to_async(lambda: many(make_account(), 2500))()
    client = AsyncClient()
    await client.aforce_login(trader)
    answer = await client.get("/api/fills.csv?sort=time&symbol=ETH/USDT")
    parts = [part async for part in answer.streaming_content]
    rows = list(csv.reader(io.StringIO(b"".join(parts).decode())))
    assert len(rows) == 1 + 1250
    assert len(parts) == 3  # the head, and page by page
    assert [row[0] for row in rows[1:]] == sorted(row[0] for row in rows[1:])


def moved(number: str, amount: str, status: str = "done", **fields: Any) -> Transfer:
    given = {"product": "spot", "kind": "deposit", "asset": "USDT", "exchange_ms": T0, "fee": None}
    return Transfer(**{**given, "id": number, "amount": Decimal(amount), "status": status, **fields})


def test_transfers(signed_in: Client, account: ExchangeAccount) -> None:
    notes.put_transfers(account.pk, [moved("1", "5", "pending"), moved("2", "-3.50", kind="withdrawal")], 1)
    notes.put_transfers(account.pk, [moved("1", "5", fee=Decimal("0.1"))], 2)
    notes.put_transfers(account.pk, [moved("1", "5", "pending")], 3)  # told by a copy that is behind
    body = get(signed_in, "/api/transfers/")
    assert not body["more"]
    shown = {row["id"]: row for row in body["transfers"]}
    assert (shown["1"]["status"], shown["1"]["fee"], shown["1"]["recv_us"]) == ("done", "0.1", 0)
    assert (shown["2"]["amount"], shown["2"]["kind"]) == ("-3.5", "withdrawal")
    assert list(shown["1"]) == documented("/api/transfers/", "transfers")
    page = get(signed_in, "/api/transfers/?limit=1")
    assert page["more"]
    rest = get(signed_in, f"/api/transfers/?limit=1&cursor={page['next']}")
    assert {page["transfers"][0]["id"], rest["transfers"][0]["id"]} == {"1", "2"}
    paid = moved("1", "-0.25", kind="funding", symbol="BTC/USDT:USDT", note="x" * 100, exchange_ms=T0 - 1)
    notes.put_transfers(account.pk, [paid], 4)
    (row,) = get(signed_in, "/api/transfers/?kind=funding,interest")["transfers"]
    assert (row["id"], row["symbol"], row["note"]) == ("1", "BTC/USDT:USDT", "x" * 64)
    others = get(signed_in, "/api/transfers/?kind=deposit,withdrawal")["transfers"]
    assert [row["symbol"] for row in others] == [None, None]
    assert "'gift' is not one of deposit," in error(signed_in, "/api/transfers/?kind=gift", 400)[1]
    notes.put_transfers(999, [moved("1", "5")], 1)  # an account that was just removed
    frame = holdings.account_frame(account.pk, "transfers", Moment(now_ns=0))
    assert [row["id"] for row in frame["transfers"]] == ["2", "1", "1"]


def found(count: int = 1) -> Finding:
    return Finding(
        kind="missed_fill", cause="fills:spot", sentence=f"{count} missed.", expected="0", found=str(count), asof_ms=T0,
        count=count,
    )  # fmt: skip


def test_notices(signed_in: Client, account: ExchangeAccount) -> None:
    notes.put_finding(account.pk, found(), 1_000_000_000)
    notes.put_finding(account.pk, found(2), 2_000_000_000)  # the same trouble: the same notice
    (row,) = get(signed_in, "/api/notices/?open=1")["notices"]
    assert list(row) == documented("/api/notices/", "notices")
    assert (row["sentence"], row["count"], row["opened_ms"], row["changed_ms"]) == ("2 missed.", 2, 1000, 2000)
    assert notes.open_causes(account.pk) == {"fills:spot"}
    notes.resolve_finding(account.pk, "fills:spot", "Read again.", 3_000_000_000)
    notes.resolve_finding(account.pk, "fills:spot", "Twice.", 4_000_000_000)
    assert get(signed_in, "/api/notices/?open=1")["notices"] == []
    (row,) = get(signed_in, "/api/notices/")["notices"]
    assert (row["open"], row["resolved_ms"], row["resolution"]) == (False, 3000, "Read again.")
    notes.put_finding(account.pk, found(), 5_000_000_000)
    assert len(get(signed_in, "/api/notices/")["notices"]) == 2
    frame = holdings.account_frame(account.pk, "notices", Moment(now_ns=0))
    assert [row["open"] for row in frame["notices"]] == [True, False]


def test_settings(signed_in: Client, trader: User) -> None:
    default = get(signed_in, "/api/settings/")
    assert (default["zone"], default["currency"], default["user"]) == ("UTC", "USDT", trader.pk)
    body = {"zone": "Asia/Tokyo", "currency": "EUR", "sound": True, "title_profit": True}
    answer = signed_in.put("/api/settings/", json.dumps(body), content_type="application/json")
    assert answer.status_code == 200
    assert body.items() <= get(signed_in, "/api/settings/").items()
    for wrong in ({"zone": "Mars/Olympus"}, {"currency": "SOL"}, {"sound": 1}, {"theme": "x"}, {}):
        answer = signed_in.put("/api/settings/", json.dumps(wrong), content_type="application/json")
        assert answer.status_code == 400, wrong
        assert answer.json()["error"]["field"] == next(iter(wrong), "body")
