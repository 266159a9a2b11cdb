"""Streams whose market data need a key: nothing is asked for before the login was accepted."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from feeds.domain import Closing, LoggedIn, StreamState, Subscription
from tests.feeds.peer import (
    BOOK,
    QUICK,
    TRADES,
    Client,
    Delays,
    Peer,
    Speech,
    connected,
    facts,
    no_task_left,
    until,
)

__all__ = ["no_task_left"]

KEYED = facts(needs_key=True)


class Login(Speech):
    """The made-up protocol with a login: ``{"hello": 1}`` accepts it, ``{"never": why}`` refuses it for good."""

    def __init__(self) -> None:
        super().__init__(opening=['{"auth": "key"}'])

    def parse(self, raw: bytes | str) -> list[Any]:
        message = json.loads(raw)
        if "hello" in message:
            return [LoggedIn()]
        if "never" in message:
            return [Closing(reason=message["never"], fatal=True)]
        return super().parse(raw)

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        return super().subscribe(sorted(subscriptions, key=str))


async def silent(client: Client) -> None:
    await asyncio.get_running_loop().create_future()


async def test_subscriptions_wait_for_the_login() -> None:
    welcome = asyncio.Event()

    async def play(client: Client) -> None:
        await welcome.wait()
        await client.send({"hello": 1})
        await until(lambda: len(client.got) == 2)
        await client.answer(client.got[1])
        await client.send({"n": 1})

    options = {"facts": KEYED, "new_session": Login, "timing": msgspec.structs.replace(QUICK, answer_s=5.0)}
    async with Peer(play) as peer, connected(peer.url, **options) as (connection, seen):
        await until(lambda: peer.clients and peer.client.got)
        client = peer.client
        connection.add([TRADES])
        assert await connection.ping(1.0), "the sender is at work"
        assert client.got == [{"auth": "key"}]
        welcome.set()
        await until(lambda: seen.numbers == [1])
        assert client.got[1:] == [{"sub": ["book BTC/USDT", "trades BTC/USDT"]}]
        assert seen.states[-1] is StreamState.LIVE


async def test_a_refused_login_is_not_tried_again_until_somebody_asks_for_it() -> None:
    async def refuse(client: Client) -> None:
        await until(lambda: client.got)
        await client.send({"never": "The key is wrong."})

    delays = Delays()
    async with (
        Peer(refuse) as peer,
        connected(peer.url, facts=KEYED, new_session=Login, delays=delays) as (connection, seen),
    ):
        await until(lambda: seen.of("state")[-1:] == [(StreamState.DOWN, "The key is wrong.")])
        await asyncio.sleep(0.1)  # many times the backoff
        assert len(peer.clients) == 1 and not delays.taken
        connection.reconnect("a person has acted")
        await until(lambda: len(peer.clients) == 2)


async def test_a_login_that_is_not_answered() -> None:
    """Pongs tell that the peer lives, not that it lets us in."""
    delays = Delays()
    async with (
        Peer(silent) as peer,
        connected(peer.url, facts=KEYED, new_session=Login, may_be_silent=True, delays=delays, stale_s=0.04) as (
            _,
            seen,
        ),
    ):
        await until(lambda: len(peer.clients) >= 2)
        assert (StreamState.DOWN, "no answer to the login within 0.1 s") in seen.of("state")
        assert delays.taken, "after the backoff"
        assert StreamState.LIVE not in seen.states


async def test_a_subscription_that_is_not_answered_on_a_stream_that_may_be_silent() -> None:
    """The pongs count as signs of life, so the silence is the subscription's own."""

    async def play(client: Client) -> None:
        await client.send({"hello": 1})

    async with (
        Peer(play) as peer,
        connected(peer.url, facts=KEYED, new_session=Login, may_be_silent=True, stale_s=0.2) as (_, seen),
    ):
        await until(lambda: seen.of("rejected"))
        assert seen.of("rejected") == [([BOOK], "no answer")]
        assert len(peer.clients) == 1


async def test_a_refusal_for_good_is_not_taken_for_an_end_that_was_announced() -> None:
    """However well the connection served us, and although its owner would have it replaced."""
    asked: list[str] = []

    def replace(reason: str) -> bool:
        asked.append(reason)
        return True

    async def play(client: Client) -> None:
        await client.send({"hello": 1})
        await until(lambda: len(client.got) == 2)
        await client.answer(client.got[1])
        await client.send({"n": 1})
        await client.send({"never": "The key was revoked."})
        await silent(client)

    async with (
        Peer(play) as peer,
        connected(peer.url, facts=KEYED, new_session=Login, on_closing=replace) as (_, seen),
    ):
        await until(lambda: seen.of("state")[-1:] == [(StreamState.DOWN, "The key was revoked.")])
        assert seen.numbers == [1]
        await asyncio.sleep(0.1)  # many times the backoff
        assert len(peer.clients) == 1 and asked == []


async def test_an_opening_of_a_silent_stream_that_is_not_answered() -> None:
    """As an account's login and subscription: its pings are answered all the while."""
    async with (
        Peer(silent) as peer,
        connected(peer.url, wanted=[], new_session=Login, may_be_silent=True, stale_s=0.04) as (_, seen),
    ):
        await until(lambda: len(peer.clients) >= 2)
        assert (StreamState.DOWN, "no answer to the login within 0.1 s") in seen.of("state")
        assert StreamState.LIVE not in seen.states
