"""``/ws/`` as a client sees it: docs/protocol.md section 2, without a server."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

import dashboard.consumers
import dashboard.doorkeeper
from dashboard import auth
from dashboard.consumers import BrowserConsumer
from dashboard.doorkeeper import own_origin
from dashboard.models import ApiToken, ExchangeAccount, MarketRow
from tests.dashboard.realtime import FakeWorker, Message, frame, fresh_layer, until

pytestmark = pytest.mark.django_db(transaction=True)

BOOK = "book:binance:BTC/USDT"
Headers = list[tuple[bytes, bytes]]


def add_market(exchange: str, symbol: str, simulated: bool = False) -> None:
    base, quote = symbol.split("/")
    MarketRow.objects.create(
        exchange=exchange, symbol=symbol, native=base + quote, product="spot", base=base, quote=quote,
        tick=1, lot=1, min_size=0, min_notional=0, status="trading", simulated=simulated,
    )  # fmt: skip


@pytest.fixture
def user() -> User:
    add_market("binance", "BTC/USDT", simulated=True)
    add_market("kraken", "BTC/USD")
    return User.objects.create_user("anna", password="not-a-common-one")


@pytest.fixture
def token(user: User) -> str:
    return auth.new_api_token(user)


@pytest.fixture
async def worker() -> AsyncIterator[FakeWorker]:
    fresh_layer()
    async with FakeWorker().running() as worker:
        yield worker


def bearer(token: str) -> Headers:
    return [(b"authorization", f"Bearer {token}".encode())]


def by_session(client: Client, origin: str = "http://localhost") -> Headers:
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    cookie = f"{settings.SESSION_COOKIE_NAME}={key}".encode()
    return [(b"cookie", cookie), (b"host", b"localhost"), (b"origin", origin.encode())]


class Browser(WebsocketCommunicator):
    """A client of ``/ws/`` that keeps bundles apart from answers."""

    def __init__(self, headers: Headers) -> None:
        super().__init__(BrowserConsumer.as_asgi(), "/ws/", headers=headers)
        self.bundles: list[Message] = []

    async def open(self) -> Message:
        connected, _ = await self.connect(timeout=5)
        assert connected
        return await self.answer()

    async def ask(self, content: Any) -> Message:
        await self.send_to(text_data=content if isinstance(content, str) else json.dumps(content))
        return await self.answer()

    async def answer(self) -> Message:
        """The next message that is no bundle."""
        while True:
            message: Message = json.loads(await self.receive_from(timeout=5))
            if message["type"] != "bundle":
                return message
            self.bundles.append(message)

    async def frame(self, topic: str) -> Message:
        """The next frame of this topic; confirms what comes."""
        while True:
            message = json.loads(await self.receive_from(timeout=5))
            assert message["type"] == "bundle", message
            await self.send_json_to({"type": "drawn", "bundle": message["bundle"]})
            for found in message["frames"]:
                if found["topic"] == topic:
                    return dict(found)

    async def closing(self) -> tuple[int, str]:
        """Wait for the server to close; its code and reason."""
        while True:
            message = await self.receive_output(timeout=5)
            if message["type"] == "websocket.close":
                return message["code"], message["reason"]


@pytest.fixture
async def browser(worker: FakeWorker, token: str) -> AsyncIterator[Browser]:
    browser = Browser(bearer(token))
    assert (await browser.open())["type"] == "hello"
    yield browser
    await browser.disconnect()


# -- signing in --------------------------------------------------------------------------------------------------------


async def test_the_server_says_hello_first(worker: FakeWorker, token: str) -> None:
    browser = Browser(bearer(token))
    hello = await browser.open()
    assert hello.pop("server_us") > 1_700_000_000_000_000
    assert hello.pop("user") == await sync_to_async(lambda: User.objects.get(username="anna").pk)()
    assert hello == {"type": "hello", "protocol": 1, "max_topics": 200, "simulated": ["binance"], "replay": False}
    await browser.disconnect()


async def refusal(headers: Headers) -> tuple[int, str]:
    browser = Browser(headers)
    connected, _ = await browser.connect(timeout=5)
    assert connected, "must be accepted first: else the browser gets neither code nor reason"
    try:
        return await browser.closing()
    finally:
        await browser.disconnect()


async def test_nobody_and_wrong_tokens_are_refused(worker: FakeWorker, token: str) -> None:
    here: Headers = [(b"host", b"localhost"), (b"origin", b"http://localhost")]
    for headers in (here, bearer("1-wrong"), bearer(token + "x"), [*here, (b"cookie", b"spreadboard_session=abc")]):
        assert (await refusal(headers))[0] == 4401


async def test_a_session_needs_the_servers_own_origin(worker: FakeWorker, user: User, client: Client) -> None:
    await sync_to_async(client.force_login)(user)
    good = by_session(client)
    browser = Browser(good)
    assert (await browser.open())["type"] == "hello"
    await browser.disconnect()
    for headers in (by_session(client, "https://evil.example"), [h for h in good if h[0] != b"origin"]):
        code, reason = await refusal(headers)
        assert code == 4403
        assert "origin" in reason


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://localhost:8000", "localhost:8000", True),
        ("https://localhost", "localhost", True),
        ("https://localhost", "localhost:443", True),
        ("http://localhost", "localhost:8000", False),
        ("http://localhost.evil.example", "localhost", False),
        ("http://evil.example", "evil.example", False),  # a name made to point here: not one of ALLOWED_HOSTS
        ("null", "localhost", False),
        ("http://[", "localhost", False),
        ("", "localhost", False),
        ("https://board.example.org", "localhost:8000", True),  # behind a proxy, by CSRF_TRUSTED_ORIGINS
    ],
)
def test_origins(origin: str, host: str, own: bool, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["localhost"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://board.example.org"]
    assert own_origin([(b"host", host.encode()), (b"origin", origin.encode())]) is own


@pytest.fixture
def swept_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard.doorkeeper, "SWEEP_S", 0.05)


async def test_who_signs_out_is_closed(worker: FakeWorker, user: User, client: Client, swept_often: None) -> None:
    await sync_to_async(client.force_login)(user)
    browser = Browser(by_session(client))
    await browser.open()
    await sync_to_async(client.logout)()
    assert await browser.closing() == (4401, "Signed out.")
    await browser.disconnect()


async def test_a_new_password_ends_older_sessions(
    worker: FakeWorker, user: User, client: Client, swept_often: None
) -> None:
    await sync_to_async(client.force_login)(user)
    browser = Browser(by_session(client))
    await browser.open()
    user.set_password("another-uncommon-one")
    await user.asave()
    assert (await browser.closing())[0] == 4401
    await browser.disconnect()


async def test_a_removed_token_and_a_deactivated_user_are_closed(
    worker: FakeWorker, user: User, token: str, swept_often: None
) -> None:
    browser = Browser(bearer(token))
    await browser.open()
    await ApiToken.objects.all().adelete()
    assert (await browser.closing())[0] == 4401
    await browser.disconnect()
    other = Browser(bearer(await sync_to_async(auth.new_api_token)(user)))
    await other.open()
    user.is_active = False
    await user.asave()
    assert (await other.closing())[0] == 4401
    await other.disconnect()


async def test_who_stays_signed_in_stays_connected(browser: Browser, swept_often: None) -> None:
    await asyncio.sleep(0.3)  # some sweeps, which leave it alone
    assert (await browser.ask({"type": "ping", "client_us": 1}))["type"] == "pong"


# -- topics ------------------------------------------------------------------------------------------------------------


async def test_subscribing_is_answered_in_canonical_spelling_and_brings_frames(
    browser: Browser, worker: FakeWorker
) -> None:
    grouped = "book@10:binance:BTC/USDT"
    worker.frames[BOOK] = frame(BOOK, 3)
    asked = {"type": "subscribe", "id": 1, "topics": [BOOK, "book@10.0:binance:BTC/USDT", "streams", BOOK]}
    assert await browser.ask(asked) == {"type": "subscribed", "id": 1, "topics": [BOOK, grouped, "streams"]}
    assert (await browser.frame(BOOK))["n"] == 3
    worker.publish(grouped, frame(grouped, 4))
    assert (await browser.frame(grouped))["n"] == 4


async def test_unsubscribing_names_what_was_subscribed_and_ends_it(browser: Browser, worker: FakeWorker) -> None:
    await browser.ask({"type": "subscribe", "topics": [BOOK]})
    answer = await browser.ask({"type": "unsubscribe", "id": 2, "topics": [BOOK, "streams"]})
    assert answer == {"type": "unsubscribed", "id": 2, "topics": [BOOK]}
    await until(lambda: worker.leases and worker.leased == set(), "the lease to end")


async def test_a_wrong_topic_takes_none_of_its_message(browser: Browser, worker: FakeWorker) -> None:
    answer = await browser.ask({"type": "subscribe", "id": 7, "topics": ["streams", "book:binance:NO/SUCH"]})
    assert (answer["type"], answer["id"], answer["code"]) == ("error", 7, "unknown_topic")
    assert "NO/SUCH" in answer["message"]
    answer = await browser.ask({"type": "unsubscribe", "topics": ["streams"]})
    assert answer["topics"] == []


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("bok:binance:BTC/USDT", "is not a topic"),
        ("candles@2m:binance:BTC/USDT", "interval"),
        ("book@-1:binance:BTC/USDT", "step"),
        ("balances:999999", "no account 999999"),
        ("x" * 300, "at most 200 characters"),
    ],
)
async def test_topics_that_do_not_exist(browser: Browser, topic: str, words: str) -> None:
    answer = await browser.ask({"type": "subscribe", "topics": [topic]})
    assert answer["code"] == "unknown_topic"
    assert words in answer["message"]
    assert "id" not in answer


async def test_a_market_that_is_listed_later_can_be_subscribed(browser: Browser) -> None:
    topic = "quote:binance:NEW/USDT"
    assert (await browser.ask({"type": "subscribe", "topics": [topic]}))["type"] == "error"
    await sync_to_async(add_market)("binance", "NEW/USDT")
    assert (await browser.ask({"type": "subscribe", "topics": [topic]}))["type"] == "subscribed"


@pytest.mark.parametrize("topic", ["book:okx:BTC/USDT", "across:NO/SUCH", "matrix@1:NO/SUCH"])
async def test_what_may_still_be_listed_is_left_for_the_worker_to_judge(
    browser: Browser, worker: FakeWorker, topic: str
) -> None:
    """It alone knows whose instruments are still to come: 'there is none' would not be true a second later."""
    assert (await browser.ask({"type": "subscribe", "topics": [topic]}))["type"] == "subscribed"
    await until(lambda: worker.leased == {topic}, "the lease")


async def test_markets_that_come_while_it_looks_are_not_denied(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exists(exchange: str, symbol: str) -> bool:
        add_market(exchange, "BTC/USDT")  # committed a moment after the question was answered
        return False

    monkeypatch.setattr(dashboard.doorkeeper, "_exists", exists)
    assert (await browser.ask({"type": "subscribe", "topics": ["book:okx:BTC/USDT"]}))["type"] == "subscribed"


async def test_at_most_200_topics(browser: Browser) -> None:
    many = [f"book@{step}:binance:BTC/USDT" for step in range(1, 200)]
    assert len((await browser.ask({"type": "subscribe", "topics": many}))["topics"]) == 199
    answer = await browser.ask({"type": "subscribe", "topics": [BOOK, "streams"]})
    assert answer["code"] == "too_many_topics"
    assert (await browser.ask({"type": "subscribe", "topics": [BOOK, many[0]]}))["type"] == "subscribed"


def add_account(owner: User, label: str = "Main") -> int:
    return ExchangeAccount.objects.create(owner=owner, exchange="binance", label=label).pk


async def test_an_account_is_its_owners_alone(
    browser: Browser, user: User, worker: FakeWorker, swept_often: None
) -> None:
    other = await sync_to_async(User.objects.create_user)("berta")
    own, foreign = await sync_to_async(add_account)(user), await sync_to_async(add_account)(other)
    for kind in ("balances", "positions", "orders", "fills"):
        answer = await browser.ask({"type": "subscribe", "topics": [f"{kind}:{foreign}"]})
        assert answer["code"] == "unknown_topic"
        missing = await browser.ask({"type": "subscribe", "topics": [f"{kind}:{foreign + 1000}"]})
        assert answer["message"].replace(str(foreign), "N") == missing["message"].replace(str(foreign + 1000), "N")
    topic = f"fills:{own}"
    worker.frames[topic] = frame(topic, state=None)
    assert (await browser.ask({"type": "subscribe", "topics": [topic]}))["type"] == "subscribed"
    assert (await browser.frame(topic))["topic"] == topic


async def test_an_account_that_is_removed_is_no_longer_sent(
    browser: Browser, user: User, worker: FakeWorker, swept_often: None
) -> None:
    topic = f"orders:{await sync_to_async(add_account)(user)}"
    await browser.ask({"type": "subscribe", "topics": [topic, "streams"]})
    await ExchangeAccount.objects.all().adelete()
    answer = await browser.answer()
    assert (answer["code"], answer["topic"]) == ("unknown_topic", topic)
    await until(lambda: worker.leased == {"streams"}, "the lease without it")


async def test_a_topic_that_the_worker_refuses_later(browser: Browser, worker: FakeWorker) -> None:
    await browser.ask({"type": "subscribe", "id": 1, "topics": [BOOK]})
    await until(lambda: worker.leases, "the lease")
    worker.sink.refuse(worker.leases[-1]["relay"], BOOK, "The step is too fine.")
    answer = await browser.answer()
    assert answer == {
        "type": "error",
        "code": "unknown_topic",
        "topic": BOOK,
        "message": "The step is too fine.",
    }


# -- messages ----------------------------------------------------------------------------------------------------------


async def test_ping(browser: Browser) -> None:
    answer = await browser.ask({"type": "ping", "id": 3, "client_us": 12, "more": "ignored"})
    assert answer.pop("server_us") > 1_700_000_000_000_000
    assert answer == {"type": "pong", "id": 3, "client_us": 12}


@pytest.mark.parametrize(
    ("sent", "code", "words"),
    [
        ("{", "bad_json", "JSON"),
        ("[1]", "bad_json", "object"),
        ("12", "bad_json", "object"),
        ("[" * 60_000, "bad_json", "JSON"),
        ('{"a":' * 10_000, "bad_json", "JSON"),
        ('{"type": "ping", "client_us": NaN}', "bad_json", "JSON"),
        ("{}", "unknown_type", "'type'"),
        ('{"type": null}', "unknown_type", "'type'"),
        ('{"type": ["subscribe"]}', "unknown_type", "subscribe, unsubscribe, drawn, ping"),
        ('{"type": "Subscribe"}', "unknown_type", "Subscribe"),
        ('{"type": "__init__"}', "unknown_type", "__init__"),
        ('{"type": "' + "x" * 5000 + '"}', "unknown_type", "..."),
        ('{"type": "subscribe"}', "bad_field", "'topics' is missing"),
        ('{"type": "subscribe", "topics": "streams"}', "bad_field", "'topics'"),
        ('{"type": "subscribe", "topics": ["streams", 1]}', "bad_field", "'topics'"),
        ('{"type": "subscribe", "topics": {"streams": 1}}', "bad_field", "'topics'"),
        ('{"type": "drawn"}', "bad_field", "'bundle' is missing"),
        ('{"type": "drawn", "bundle": -1}', "bad_field", "'bundle'"),
        ('{"type": "drawn", "bundle": 1.5}', "bad_field", "'bundle'"),
        ('{"type": "drawn", "bundle": true}', "bad_field", "'bundle'"),
        ('{"type": "drawn", "bundle": 99999}', "bad_field", "was not sent"),
        ('{"type": "ping"}', "bad_field", "'client_us' is missing"),
        ('{"type": "ping", "client_us": "1"}', "bad_field", "'client_us'"),
        ('{"type": "ping", "client_us": 1e400}', "bad_json", "JSON"),
        ('{"type": "ping", "id": -1, "client_us": 1}', "bad_field", "'id'"),
        ('{"type": "ping", "id": 9007199254740992, "client_us": 1}', "bad_field", "'id'"),
        ('{"type": "ping", "id": 99999999999999999999999, "client_us": 1}', "bad_field", "'id'"),
        ('{"type": "ping", "id": "1", "client_us": 1}', "bad_field", "'id'"),
        ('{"type": "ping", "id": null, "client_us": 1}', "bad_field", "'id'"),
    ],
)
async def test_wrong_messages_are_answered_and_change_nothing(
    browser: Browser, sent: str, code: str, words: str
) -> None:
    answer = await browser.ask(sent)
    assert (answer["type"], answer["code"]) == ("error", code)
    assert words in answer["message"]
    assert len(answer["message"]) < 400
    assert (await browser.ask({"type": "ping", "client_us": 1}))["type"] == "pong"


@pytest.mark.parametrize("symbol", ["\\ud800/USDT", "\\u0000", "\u20ac/\U0001f600", "A B", "%s{}"])
async def test_strange_symbols_are_refused_with_an_answer(browser: Browser, symbol: str) -> None:
    answer = await browser.ask('{"type": "subscribe", "id": 5, "topics": ["book:binance:' + symbol + '"]}')
    assert answer["type"] == "error"
    assert answer["code"] in ("unknown_topic", "bad_json")


async def test_the_id_of_a_wrong_message_is_repeated(browser: Browser) -> None:
    for wrong in ({"type": "nothing"}, {"type": "subscribe"}, {"type": "drawn", "bundle": "x"}):
        assert (await browser.ask({**wrong, "id": 42}))["id"] == 42


async def test_a_binary_message_closes(browser: Browser) -> None:
    await browser.send_to(bytes_data=b"{}")
    assert await browser.closing() == (4400, "Binary messages are not understood.")


@pytest.mark.parametrize("text", ["x" * 65_537, "€" * 22_000])
async def test_a_message_longer_than_64_kib_closes(browser: Browser, text: str) -> None:
    await browser.send_to(text_data=text)
    assert await browser.closing() == (4400, "A message has at most 64 KiB.")


async def test_a_message_of_64_kib_is_read(browser: Browser) -> None:
    message = json.dumps({"type": "ping", "client_us": 1, "more": "x" * 65_490})
    assert (await browser.ask(message + " " * (65_536 - len(message))))["type"] == "pong"


async def test_a_flood_closes(browser: Browser) -> None:
    for n in range(50):
        assert (await browser.ask({"type": "ping", "id": n, "client_us": 1}))["type"] == "pong"
    await browser.send_json_to({"type": "ping", "client_us": 1})
    assert await browser.closing() == (4429, "More than 50 messages in 5 s.")


async def test_fifty_messages_in_longer_than_five_seconds_are_no_flood(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard.consumers, "FLOOD_S", 0.2)
    for n in range(120):
        assert (await browser.ask({"type": "ping", "id": n, "client_us": 1}))["type"] == "pong"
        await asyncio.sleep(0.005)


async def test_nothing_is_said_after_closing(browser: Browser, worker: FakeWorker) -> None:
    await browser.ask({"type": "subscribe", "topics": [BOOK]})
    await until(lambda: BOOK in worker.leased, "the lease")
    await browser.send_to(bytes_data=b"x")
    await browser.closing()
    worker.publish(BOOK, frame(BOOK))
    await browser.send_json_to({"type": "ping", "client_us": 1})
    assert await browser.receive_nothing(timeout=0.3)
    await until(lambda: worker.leased == set(), "the lease to end")


# -- flow --------------------------------------------------------------------------------------------------------------


async def test_who_confirms_nothing_is_closed(
    browser: Browser, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.outbox.CAP_S", 0.1)
    monkeypatch.setattr("dashboard.outbox.PATIENCE_S", 0.3)
    await browser.ask({"type": "subscribe", "topics": [BOOK]})
    await until(lambda: BOOK in worker.leased, "the lease")

    async def publish() -> None:
        n = 0
        while True:
            n += 1
            worker.publish(BOOK, frame(BOOK, n))
            await asyncio.sleep(0.01)

    publishing = asyncio.create_task(publish())
    code, reason = await browser.closing()
    publishing.cancel()
    assert code == 4408
    assert "confirmed" in reason


async def test_a_server_that_stops_says_so(worker: FakeWorker, token: str) -> None:
    browser = Browser(bearer(token))
    await browser.open()
    browser.future.cancel()  # as Daphne does
    assert await browser.closing() == (1001, "The server stops.")
    await asyncio.wait([browser.future])
    await until(lambda: not [t for t in asyncio.all_tasks() if t.get_name().startswith("relay")], "the relay to end")


async def test_a_browser_that_leaves_ends_its_leases(worker: FakeWorker, token: str) -> None:
    browser = Browser(bearer(token))
    await browser.open()
    await browser.ask({"type": "subscribe", "topics": [BOOK]})
    await until(lambda: worker.leased == {BOOK}, "the lease")
    await browser.disconnect()
    await until(lambda: worker.leased == set(), "the end of the lease")
