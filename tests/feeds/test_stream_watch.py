"""Silence: what is stale, what is quiet, what is dead."""

import asyncio
import time
from typing import Any

import msgspec
from websockets.frames import Opcode

from feeds.domain import StreamState
from tests.feeds.peer import (
    BOOK,
    QUICK,
    Client,
    Delays,
    Peer,
    Speech,
    connected,
    facts,
    no_task_left,
    obliging,
    until,
)

__all__ = ["no_task_left"]

LIVE, STALE, SYNCING, CONNECTING, QUIET = (
    StreamState.LIVE,
    StreamState.STALE,
    StreamState.SYNCING,
    StreamState.CONNECTING,
    StreamState.QUIET,
)


# Silence


async def test_silence_is_stale_and_then_a_reconnect() -> None:
    async def mute_after_data(client: Client) -> None:
        await until(lambda: client.got)
        await client.answer(client.got[0])
        await client.send({"n": 1})

    delays = Delays(60)
    async with (
        Peer(mute_after_data, obliging) as peer,
        connected(peer.url, stale_s=0.1, reconnect_s=0.3, delays=delays) as (_, seen),
    ):
        await until(lambda: len(peer.clients) == 2)
        assert seen.of("state")[:4] == [
            (SYNCING, ""),
            (LIVE, ""),
            (STALE, "no data for 0.1 s"),
            (CONNECTING, "silent for 0.3 s"),
        ]
        assert not delays.taken, "it had data: it is tried again at once"


async def test_heartbeats_keep_it_live_but_make_nothing_live() -> None:
    async def beats(client: Client) -> None:
        await until(lambda: client.got)
        await client.answer(client.got[0])
        while True:
            await client.send({"beat": 1})
            await asyncio.sleep(0.01)

    async with Peer(beats) as peer, connected(peer.url, stale_s=0.5, reconnect_s=1) as (connection, seen):
        await asyncio.sleep(1.2)  # longer than reconnect_s: heartbeats are life, and no data
        assert connection.messages > 5
        assert seen.states == [SYNCING]
        await peer.client.send({"n": 1})
        await until(lambda: connection.state is LIVE)
        await asyncio.sleep(1.2)  # as above
        assert seen.states == [SYNCING, LIVE]


async def test_words_without_content_are_silence() -> None:
    async def chatters(client: Client) -> None:
        await client.send({"n": 1})
        while True:
            await client.send({"other": 1}, "garbage")
            await asyncio.sleep(0.01)

    async with Peer(chatters) as peer, connected(peer.url, stale_s=0.1, reconnect_s=60) as (connection, seen):
        await until(lambda: connection.state is STALE)
        await peer.client.send({"n": 2})
        await until(lambda: connection.state is LIVE)
        assert seen.states == [SYNCING, LIVE, STALE, LIVE]


async def test_without_subscriptions_nothing_is_expected() -> None:
    async with Peer() as peer, connected(peer.url, wanted=[], stale_s=0.02, reconnect_s=0.05) as (connection, seen):
        await until(lambda: connection.state is SYNCING)
        await asyncio.sleep(0.2)  # four times reconnect_s, and nothing happens
        assert len(peer.clients) == 1
        assert seen.states == [SYNCING]
        connection.add([BOOK])
        await until(lambda: connection.state is STALE, what="silence counts from the first subscription")


async def test_confirmed_quiet() -> None:
    async with Peer() as peer, connected(peer.url, stale_s=0.1, reconnect_s=60) as (connection, seen):
        await until(lambda: seen.of("subscribed"))
        await peer.client.send({"n": 1})
        await until(lambda: connection.state is STALE)
        quiet_s = time.monotonic()  # before it: a busy machine may take its time between the two
        connection.confirm_quiet(0.3)
        assert connection.state is QUIET
        await until(lambda: connection.state is STALE)
        assert time.monotonic() - quiet_s >= 0.29
        connection.confirm_quiet(60)
        await peer.client.send({"n": 2})
        await until(lambda: connection.state is LIVE)


async def test_keepalive_by_message_and_by_ping() -> None:
    async with (
        Peer() as peer,
        connected(peer.url, new_session=lambda: Speech(keepalive='{"keep": 1}'), facts=facts(ping_s=0.02)),
    ):
        await until(lambda: peer.clients and peer.client.got.count({"keep": 1}) >= 3)
    pings = 0
    async with Peer() as peer, connected(peer.url, facts=facts(ping_s=0.02)) as (_, seen):
        await until(lambda: seen.of("subscribed"))
        recv_frame = peer.client.ws.protocol.recv_frame

        def count(frame: Any) -> None:
            nonlocal pings
            pings += frame.opcode is Opcode.PING
            recv_frame(frame)

        peer.client.ws.protocol.recv_frame = count
        await until(lambda: pings >= 3)


async def test_ping() -> None:
    async def deaf_after_subscription(client: Client) -> None:
        await until(lambda: client.got)
        await client.answer(client.got[0])
        await until(lambda: deaf)
        client.ws.transport.pause_reading()

    deaf = False
    async with Peer(deaf_after_subscription) as peer, connected(peer.url) as (connection, seen):
        assert await connection.ping(0.1) is False  # no connection yet
        await until(lambda: seen.of("subscribed"))
        assert await connection.ping(2) is True
        deaf = True
        await until(lambda: not peer.client.ws.transport.is_reading())
        assert await connection.ping(0.05) is False
        waiting = asyncio.create_task(connection.ping(30))
        await until(lambda: connection._link is not None and connection._link._pings)
        peer.client.ws.transport.abort()
        assert await waiting is False, "the end of the connection is an answer too"


# Streams that may be silent


def greeting() -> Speech:
    return Speech(opening=['{"hi": 1}'])


async def test_an_account_stream_lives_by_pongs() -> None:
    async def says_hello_then_deaf(client: Client) -> None:
        await until(lambda: client.got)
        await client.send({"ack": []})
        await until(lambda: deaf)
        client.ws.transport.pause_reading()

    deaf = False
    options = {"wanted": [], "may_be_silent": True, "stale_s": 0.5, "reconnect_s": 1, "new_session": greeting}
    async with Peer(says_hello_then_deaf) as peer, connected(peer.url, **options) as (connection, seen):
        await until(lambda: connection.state is LIVE)
        await asyncio.sleep(1.2)  # longer than reconnect_s
        assert seen.states == [SYNCING, LIVE]
        deaf = True
        await until(lambda: len(peer.clients) == 2)
        assert seen.states[2] is STALE
        assert (CONNECTING, "silent for 1 s") in seen.of("state")


async def test_an_account_stream_without_opening_is_proven_by_its_first_pong() -> None:
    async with Peer() as peer, connected(peer.url, wanted=[], may_be_silent=True) as (connection, seen):
        await until(lambda: connection.state is LIVE)
        assert seen.states == [SYNCING, LIVE]
        assert peer.client.got == []


async def test_an_account_stream_resets_the_backoff_only_when_settled() -> None:
    async def hello_and_kick(client: Client) -> None:
        await until(lambda: client.got)
        await client.send({"ack": []})
        await asyncio.sleep(1.2 if settle else 0)
        await client.ws.close(1001)

    settle = False
    delays = Delays()
    options = {"wanted": [], "may_be_silent": True, "delays": delays, "new_session": greeting}
    options["timing"] = msgspec.structs.replace(QUICK, settled_s=1.0)
    async with Peer(hello_and_kick) as peer, connected(peer.url, **options):
        await until(lambda: len(peer.clients) == 4)
        assert delays.begun == 1
        settle = True
        await until(lambda: delays.begun > 1)


async def test_a_ping_as_text_waits_for_the_text_that_answers_it() -> None:
    async def answers_twice(client: Client) -> None:
        async for message in client:
            if "keep" not in message:
                await client.answer(message)
            elif sum("keep" in each for each in client.got) <= 2:
                await client.send({"other": 1})

    by_text = facts(pong=b'{"other": 1}')
    speech = lambda: Speech(keepalive='{"keep": 1}')  # noqa: E731
    async with (
        Peer(answers_twice) as peer,
        connected(peer.url, facts=by_text, new_session=speech) as (connection, seen),
    ):
        await until(lambda: seen.of("subscribed"))
        assert await connection.ping(2) is True
        assert await connection.ping(2) is True
        assert await connection.ping(0.05) is False, "WebSocket's own pong, which comes, is not asked for"
        assert [message for message in peer.client.got if "keep" in message] == [{"keep": 1}] * 3
