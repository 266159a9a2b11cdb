"""Fees, the threshold and arbitrage events by REST: docs/protocol.md sections 3 and 5."""

import json
import re
from decimal import Decimal as D
from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard import live, records, spreads
from dashboard.models import ArbitrageEvent, FeeRow
from feeds.across.arbitrage import Threshold
from feeds.across.fees import Fee, default_fee
from tests.conftest import market
from tests.dashboard.rest import PROTOCOL, error, get
from tests.dashboard.test_api_accounts import drained
from tests.feeds.test_arbitrage import event

pytestmark = pytest.mark.django_db

FOLLOWED = (("binance", "spot"), ("binance", "usdm"), ("kraken", "spot"))
BINANCE = "/api/fees/binance/spot/"
SETTINGS = "/api/arbitrage/settings/"


@pytest.fixture(autouse=True)
def written(db: None) -> None:
    """What the worker has written down."""
    spreads.put_fees({key: default_fee(*key) for key in FOLLOWED})
    spreads.put_threshold(Threshold())
    drained()


def put(client: Client, path: str, body: Any, status: int = 200) -> Any:
    answer = client.put(path, body if isinstance(body, str) else json.dumps(body), content_type="application/json")
    assert answer.status_code == status, answer.content
    return answer.json()


class TestFees:
    def test_all_that_are_followed_with_where_they_are_from(self, signed_in: Client) -> None:
        rows = get(signed_in, "/api/fees/")["fees"]
        assert [(row["exchange"], row["product"]) for row in rows] == list(FOLLOWED)
        kraken = rows[2]
        assert (kraken["maker_bps"], kraken["taker_bps"], kraken["source"]) == ("25", "40", "default")
        assert "AssetPairs" in kraken["note"]
        documented = re.search(r'\{"fees": \[\{(.*?)\}\]\}', PROTOCOL)
        assert documented
        names = re.findall(r'"(\w+)"', documented[1].partition('"without_user"')[0])
        assert list(kraken) == [*names, "without_user"]

    def test_the_users_own_win_are_kept_and_go_again(self, signed_in: Client) -> None:
        row = put(signed_in, BINANCE, {"maker_bps": "-0.5", "taker_bps": "7.5000"})
        assert (row["maker_bps"], row["taker_bps"], row["source"], row["note"]) == ("-0.5", "7.5", "user", "")
        assert row["without_user"] == {"maker_bps": "10", "taker_bps": "10", "source": "default"}
        assert drained() == [{"type": "feeds.across_changed"}]
        assert spreads.user_fees() == {("binance", "spot"): Fee(maker_bps=D("-0.5"), taker_bps=D("7.5"), source="user")}
        spreads.put_fees({("kraken", "spot"): default_fee("kraken", "spot")})  # a start without Binance
        assert error(signed_in, BINANCE, 404)[0] == "not_found"
        spreads.put_fees({("binance", "spot"): Fee(maker_bps=D(1), taker_bps=D(2), source="file")})
        assert get(signed_in, BINANCE)["source"] == "user"
        answer = signed_in.delete(BINANCE)
        assert (answer.status_code, answer.json()["source"], answer.json()["taker_bps"]) == (200, "file", "2")
        assert spreads.user_fees() == {}
        assert drained() == [{"type": "feeds.across_changed"}]

    @pytest.mark.parametrize(
        ("body", "field", "sentence"),
        [
            ({"maker_bps": "1"}, "taker_bps", "taker_bps: is missing."),
            ({"maker_bps": "1", "taker_bps": 2}, "taker_bps", "must be decimal text from -100 to 1000"),
            ({"maker_bps": "x", "taker_bps": "2"}, "maker_bps", "not 'x'."),
            ({"maker_bps": "1", "taker_bps": "1001"}, "taker_bps", "not '1001'."),
            ({"maker_bps": "1", "taker_bps": "0.00001"}, "taker_bps", "at most 4 decimals"),
            ({"maker_bps": "1", "taker_bps": "1", "vip": 3}, "vip", "is not a field; the fields are maker_bps"),
            ([], "body", "must be a JSON object"),
        ],
    )
    def test_what_is_wrong_is_named_and_changes_nothing(
        self, signed_in: Client, body: Any, field: str, sentence: str
    ) -> None:
        wrong = put(signed_in, BINANCE, body, 400)["error"]
        assert (wrong["code"], wrong["field"]) == ("bad_field", field)
        assert sentence in wrong["message"]
        assert not FeeRow.objects.exclude(user_taker_bps=None)
        assert drained() == []

    def test_no_json_and_no_such_product(self, signed_in: Client) -> None:
        assert put(signed_in, BINANCE, "{", 400)["error"]["code"] == "bad_json"
        assert put(signed_in, "/api/fees/kraken/usdm/", {}, 404)["error"]["code"] == "not_found"


@pytest.mark.parametrize("path", [BINANCE, SETTINGS])
def test_changes_need_sign_in_and_the_csrf_token(trader: User, path: str) -> None:
    body = {"maker_bps": "1", "taker_bps": "1"} if path == BINANCE else {"threshold_bps": "1", "duration_s": 1}
    assert put(Client(), path, body, 401)["error"]["code"] == "unauthorized"
    assert Client().delete(path).status_code == 401
    person = Client(enforce_csrf_checks=True)
    person.force_login(trader)
    assert put(person, path, body, 403)["error"]["code"] == "csrf"
    assert person.delete(path).status_code == 403
    page = person.get("/").content.decode()
    token = re.search(r'csrf[^"]*"[^>]*(?:value|content)="([^"]+)"', page)
    assert token
    answer = person.put(path, json.dumps(body), content_type="application/json", headers={"X-CSRFToken": token[1]})
    assert answer.status_code == 200, answer.content


class TestThreshold:
    def test_changed_and_back(self, signed_in: Client) -> None:
        assert get(signed_in, SETTINGS) == {"threshold_bps": "5", "duration_s": 1.0, "source": "default"}
        row = put(signed_in, SETTINGS, {"threshold_bps": "12.5", "duration_s": 0})
        assert row == {"threshold_bps": "12.5", "duration_s": 0.0, "source": "user"}
        assert spreads.user_threshold() == Threshold(bps=D("12.5"), duration_s=0.0, source="user")
        assert drained() == [{"type": "feeds.across_changed"}]
        assert signed_in.delete(SETTINGS).json()["source"] == "default"
        assert spreads.user_threshold() is None

    @pytest.mark.parametrize("wrong", ["1", True, -1, 3601, None])
    def test_a_wrong_duration(self, signed_in: Client, wrong: Any) -> None:
        answer = put(signed_in, SETTINGS, {"threshold_bps": "1", "duration_s": wrong}, 400)
        assert answer["error"]["field"] == "duration_s"

    def test_before_the_worker_ever_ran(self, signed_in: Client) -> None:
        spreads.ArbitrageThreshold.objects.all().delete()
        assert error(signed_in, SETTINGS, 503)[0] == "no_worker"


class TestEvents:
    @pytest.fixture(autouse=True)
    def stored(self, written: None) -> None:
        for n in range(7):
            spreads.put_event(
                event(
                    f"k{n}",
                    symbol="ETH/USDT" if n % 2 else "BTC/USDT",
                    sell_exchange="beta" if n < 5 else "gamma",
                    started_ns=10**18 + n * 10**9,
                    ended_ns=None if n in (3, 6) else 10**18 + (n + 2) * 10**9,
                    reason="" if n in (3, 6) else "Over.",
                )
            )

    def keys(self, client: Client, query: str) -> list[int]:
        return [row["started_ms"] // 1000 - 10**9 for row in get(client, f"/api/arbitrage/?{query}")["events"]]

    def test_the_latest_first_in_pages(self, signed_in: Client) -> None:
        body = get(signed_in, "/api/arbitrage/?limit=3")
        assert body["more"] is True
        assert self.keys(signed_in, "limit=3") == [6, 5, 4]
        last = body["events"][-1]["id"]
        assert self.keys(signed_in, f"limit=3&before={last}") == [3, 2, 1]
        body = get(signed_in, f"/api/arbitrage/?limit=3&before={last - 3}")
        assert (len(body["events"]), body["more"]) == (1, False)

    def test_narrowed(self, signed_in: Client) -> None:
        assert self.keys(signed_in, "symbol=ETH/USDT") == [5, 3, 1]
        assert self.keys(signed_in, "exchange=gamma") == [6, 5]
        assert self.keys(signed_in, "exchange=alpha&open=1") == [6, 3]
        assert error(signed_in, "/api/arbitrage/?open=yes", 400)[0] == "bad_field"
        assert error(signed_in, "/api/arbitrage/?limit=1001", 400)[0] == "bad_field"
        assert get(Client(), "/api/arbitrage/", 401)

    def test_a_row_is_as_documented(self, signed_in: Client) -> None:
        row = get(signed_in, "/api/arbitrage/")["events"][1]
        documented = re.search(r'"events": \[(\{"id": 17.*?)\]\}\}', PROTOCOL, re.S)
        assert documented
        assert list(row) == list(json.loads(documented[1]))
        assert (row["open"], row["lasted_ms"], row["reason"]) == (False, 2000, "Over.")
        assert (row["buy"], row["sell"]["exchange"]) == ({"exchange": "alpha", "symbol": "BTC/USDT"}, "gamma")

    def test_the_frames_rows_are_all_open_and_the_last_ended(self) -> None:
        rows = spreads.newest_events(2)
        assert [row["started_ms"] // 1000 - 10**9 for row in rows] == [6, 5, 4, 3]

    def test_one_key_is_one_row_and_an_end_stays(self) -> None:
        spreads.put_event(event("k0", reason="Late news.", largest_bps=D(99)))
        assert ArbitrageEvent.objects.count() == 7
        assert ArbitrageEvent.objects.get(key="k0").reason == "Over."
        spreads.put_event(event("k3", largest_bps=D("9.5")))
        assert ArbitrageEvent.objects.get(key="k3").largest_bps == D("9.5")

    def test_what_was_left_open_is_closed_when_it_was_last_seen(self) -> None:
        ArbitrageEvent.objects.filter(key="k3").update(seen_ns=77)
        assert spreads.close_abandoned("Gone.") == 2
        assert spreads.close_abandoned("Again.") == 0
        left = ArbitrageEvent.objects.get(key="k3")
        assert (left.ended_ns, left.reason) == (77, "Gone.")


class TestFrames:
    """What is asked of the worker; ``test_worker_across.py`` asks the real one."""

    @pytest.fixture(autouse=True)
    def listed(self, markets: None) -> None:
        records.put_markets("kraken", [market("BTC/USDT")])

    def test_wrong_ones_are_refused_without_asking(self, signed_in: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live, "newest_frame", None)
        for path, status, code in (
            ("/api/across/NO/SUCH/", 404, "not_found"),
            ("/api/across/BTC/USDT/?step=-1", 400, "bad_field"),
            ("/api/matrix/NO/SUCH/?size=1", 404, "not_found"),
            ("/api/matrix/BTC/USDT/", 400, "bad_field"),
            ("/api/matrix/BTC/USDT/?size=0", 400, "bad_field"),
            ("/api/matrix/BTC/USDT/?size=1&fees=none", 400, "bad_field"),
        ):
            assert error(signed_in, path, status)[0] == code, path

    def test_rows_are_merged_of_the_usable_and_wanted(self, signed_in: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        def leg(exchange: str, bids: list[list[int]], *, usable: bool = True) -> dict[str, Any]:
            return {"exchange": exchange, "usable": usable, "bids": bids, "asks": [], "reach": [None, None]}

        legs = [leg("a", [[10, 1], [9, 5]]), leg("b", [[10, 2]]), leg("c", [], usable=False)]
        asked = []

        async def newest(topic: str, timeout_s: float) -> str:
            asked.append(topic)
            return msgspec.json.encode({"topic": topic, "recv_us": 1, "data": {"legs": legs}}).decode()

        monkeypatch.setattr(live, "newest_frame", newest)
        merged = get(signed_in, "/api/across/BTC/USDT/?step=1.0")["data"]["merged"]
        assert merged == {"bids": [[10, 3, [[0, 1], [1, 2]]], [9, 5, [[0, 5]]]], "asks": []}
        assert asked == ["across@1:BTC/USDT"]
        merged = get(signed_in, "/api/across/BTC/USDT/?exchanges=b,c")["data"]["merged"]
        assert merged["bids"] == [[10, 2, [[1, 2]]]]
        assert "is not one of a, b, c" in error(signed_in, "/api/across/BTC/USDT/?exchanges=d", 400)[1]

    def test_while_it_is_being_opened(self, signed_in: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        async def nothing(topic: str, timeout_s: float) -> str:
            raise TimeoutError

        monkeypatch.setattr(live, "newest_frame", nothing)
        answer = signed_in.get("/api/matrix/BTC/USDT/?size=1")
        assert (answer.status_code, answer["Retry-After"]) == (503, "1")
