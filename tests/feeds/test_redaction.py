"""What a recording must not hold: planted in every form, and looked for in what was written."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.account import AccountSpec, Credentials
from feeds.config import Config
from feeds.engine import Engine
from feeds.markets.opening import make_venue
from feeds.recordings.recorder import Recorder
from feeds.recordings.redaction import HIDDEN, HIDDEN_FIELDS, Redactor, hides
from tests.feeds.account_store import MemoryStore, StoreHandle
from tests.feeds.recordings import everything, lines, place, recordings, simulated
from tests.feeds.test_engine import Sink, until
from tests.shared import SHARED, shared_file

KEY = "canaryKey0123456789/+abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"
PLAIN = "canary" + "k" * 58  # as the exchange wants its keys
SECRET = "canarySecret=0123456789/+abcdefghijklmnopqrstuvwxyzABCDEFGH"


class TestRules:
    def test_fields_of_an_account_are_hidden_and_the_rest_stays_byte_for_byte(self) -> None:
        raw = b'{ "uid": 354937868 ,"balances":[{"a":"BTC", "f":"1.20000000"}],"accountAlias":"SgsR","ok":true}'
        assert Redactor().private(raw) == (
            b'{ "uid": 0 ,"balances":[{"a":"BTC", "f":"1.20000000"}],"accountAlias":"(hidden)","ok":true}'
        )

    def test_whatever_the_value_is(self) -> None:
        raw = b'{"token":{"a":[1,"x"]},"ip":["1.2.3.4"],"apiKey":null,"userId":-1.5e3,"passphrase":"a\\"b","email":""}'
        assert json.loads(Redactor().private(raw)) == {
            "token": None, "ip": None, "apiKey": None, "userId": 0, "passphrase": HIDDEN, "email": "",
        }  # fmt: skip

    @pytest.mark.parametrize("name", ["listenKey", "listen_key", "LISTENKEY", "listen-key", "listenkey"])
    def test_however_the_field_is_spelt(self, name: str) -> None:
        assert hides(name)
        assert json.loads(Redactor().private(json.dumps({name: "abc"}).encode())) == {name: HIDDEN}

    def test_json_within_a_text(self) -> None:
        raw = json.dumps({"data": json.dumps({"listenKey": "abc", "price": "1.5", "uid": 12})}).encode()
        assert json.loads(json.loads(Redactor().private(raw))["data"]) == {
            "listenKey": HIDDEN, "price": "1.5", "uid": 0,
        }  # fmt: skip

    def test_names_of_orders_in_binances_short_fields(self) -> None:
        report = b'{"e":"executionReport","s":"BTCUSDT","c":"my-order","C":"other","p":"1.0"}'
        assert json.loads(Redactor().private(report)) == {
            "e": "executionReport", "s": "BTCUSDT", "c": HIDDEN, "C": HIDDEN, "p": "1.0",
        }  # fmt: skip
        candle = b'{"e":"kline","k":{"c":"61000.5"}}'
        assert Redactor().private(candle) == candle

    def test_what_is_no_json_is_not_recorded(self) -> None:
        assert Redactor().private(b"key=abc") == b'"(hidden)"'
        assert Redactor().private(b"\x00\xff") == b'"(hidden)"'

    @pytest.mark.parametrize("private", [True, False])
    def test_known_secrets_are_hidden_wherever_they_stand(self, private: bool) -> None:
        redactor = Redactor()
        redactor.know([KEY, SECRET, "short"])
        text = json.dumps({"msg": f"no such key: {KEY}", "x": [SECRET.replace("/", "\\/")], "price": "short"})
        for raw in (
            text,
            json.dumps({"x": text}),
            json.dumps({"x": text}).replace("/", "\\/"),
            json.dumps({"url": f"?a={KEY.replace('/', '%2F').replace('+', '%2B')}"}),
        ):
            told = (redactor.private if private else redactor.public)(raw.encode()).decode()
            assert "canary" not in told, raw
        assert "short" in redactor.public(text.encode()).decode(), "a short one would make holes into prices"

    def test_paths(self) -> None:
        redactor = Redactor()
        redactor.know([KEY])
        path = "/fapi/v1/listenKey?symbol=BTCUSDT&listenKey=abc&apiKey=x&limit=5"
        assert redactor.path(path, private=True) == (
            "/fapi/v1/listenKey?symbol=BTCUSDT&listenKey=%28hidden%29&apiKey=%28hidden%29&limit=5"
        )
        assert redactor.path(path, private=False) == path
        assert "canary" not in redactor.path(f"/x?k={KEY.replace('/', '%2F').replace('+', '%2B')}", private=False)

    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
        max_leaves=12,
    )
    names = st.sampled_from(["uid", "price", "listenKey", "ip", "c", "a\\b", '"uid"', "token"])

    @given(content=st.dictionaries(names, values, max_size=5), outer=st.dictionaries(st.text(max_size=5), values))
    def test_any_json_stays_json_and_changes_in_hidden_fields_alone(self, content: object, outer: dict) -> None:
        before = {**outer, "content": content}
        after = json.loads(Redactor().private(json.dumps(before).encode()))

        def expected(value: object) -> object:
            if isinstance(value, dict):
                return {key: _instead(item) if hides(key) else expected(item) for key, item in value.items()}
            if isinstance(value, list):
                return [expected(item) for item in value]
            return value

        assert after == expected(before)


def _instead(value: object) -> object:
    if isinstance(value, str):
        return HIDDEN if value else ""
    return 0 if isinstance(value, int | float) and not isinstance(value, bool) else None


def private_fixtures() -> list[Path]:
    return [
        path
        for path in sorted((SHARED / "fixtures").rglob("*"))
        if path.is_file() and any(word in str(path).lower() for word in ("account", "user", "trading", "private"))
    ]


def documents(text: str) -> Iterator[object]:
    """The JSON in a fixture, which begins with words of its own."""
    for start in re.finditer(r"^\s*(?:[<>=]\s*)?(?=[{\[])", text, re.MULTILINE):
        with contextlib.suppress(ValueError):
            yield json.JSONDecoder().raw_decode(text, start.end())[0]


def test_documented_answers_keep_no_identity() -> None:
    """Every hidden field of the documented account answers and frames, filled with a canary."""
    shared_file("fixtures")
    files = private_fixtures()
    assert len(files) > 50
    planted = 0

    def plant(value: object) -> object:
        nonlocal planted
        if isinstance(value, dict):
            for key, item in value.items():
                if hides(key):
                    planted += 1
                    value[key] = "canary" if isinstance(item, str) else plant(item)
                else:
                    value[key] = plant(item)
        elif isinstance(value, list):
            return [plant(item) for item in value]
        return value

    for path in files:
        for content in documents(path.read_text(encoding="utf-8", errors="replace")):
            told = Redactor().private(json.dumps(plant(content)).encode())
            assert b"canary" not in told, path
            assert json.loads(told) is not None
    assert planted > 300


async def test_a_worker_with_an_account_writes_no_secret(tmp_path: Path) -> None:
    """The whole way: key, secret, signatures, listen keys and ids are planted at the simulated exchange."""
    async with simulated("binance") as server, aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as control:
        body = {"key": PLAIN, "secret": SECRET, "account": "test"}
        async with control.post("/__sim/keys", json=body) as answer:
            assert answer.status == 200, await answer.text()
        binance = place("binance", server.port)
        config = Config(path=None, exchanges={"binance": binance}, state_dir=tmp_path / "state")
        recorder = Recorder(tmp_path, config.exchanges)
        recorder.start()
        engine = Engine(
            config,
            Sink(),
            StoreHandle(MemoryStore()),
            venue_of=lambda *args, **more: make_venue(*args, **more, tap=recorder),
        )
        tokens: set[str] = set()
        try:
            await engine.start()
            await engine.follow(
                AccountSpec(
                    id=731_731,
                    exchange="binance",
                    label="Canary's account",
                    credentials=Credentials(PLAIN, SECRET),
                    products=("spot", "usdm"),
                    poll_s=0.5,
                )
            )
            await until(lambda: [state for state, _ in engine.account_states().values()] == ["LIVE"])
            for product in ("spot", "usdm"):
                fills = {"account": "test", "product": product, "symbol": "BTCUSDT", "count": 5, "wait": True}
                async with control.post("/__sim/fills", json=fills) as answer:
                    assert answer.status == 200, await answer.text()
            [follower] = engine.desk.followers.values() if engine.desk else []
            await until(lambda: all(len(stream._told) >= 5 for stream in follower.streams))
            tokens = {stream._token for stream in follower.streams if stream._token}
        finally:
            recorder.finish()
            await engine.stop()
            await recorder.stop()
    assert tokens, "the futures stream has a listen key"
    text = everything(tmp_path)
    for secret in (PLAIN, SECRET, *tokens, "Canary's account", "731731", "signature", "recvWindow"):
        assert secret not in text
    [private] = recordings(tmp_path, "binance-accounts")
    [public] = [path for path in recordings(tmp_path, "binance") if path != private]
    header, *records = lines(private)
    assert header["private"] is True
    paths = {record.get("path", "").partition("?")[0] for record in records}
    assert {"/api/v3/account", "/fapi/v3/positionRisk", "/fapi/v1/listenKey"} <= paths
    streams = {record["conn"] for record in records if record["via"] == "ws"}
    assert streams == {"account-1/private-spot.1", "account-1/private-usdm.1"}
    assert "executionReport" in text and '"balances"' in text.replace("\\", ""), "what may be kept is kept"
    assert not [line for line in lines(public)[1:] if "account" in line["conn"] or "account" in line.get("path", "")]


def test_every_name_is_in_the_form_that_is_compared() -> None:
    assert all(name == name.lower() and "_" not in name and "-" not in name for name in HIDDEN_FIELDS)
