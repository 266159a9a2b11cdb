"""One supervised connection against a real server that misbehaves as told: connecting, breaking, stopping."""

import asyncio
import itertools
import socket
import time
from typing import Any

import msgspec
import structlog.testing
from websockets.asyncio.server import serve

from feeds.domain import StreamState
from feeds.errors import CredentialsError, TransportError
from feeds.stream import ConnectGate, Connection
from tests.feeds.peer import (
    QUICK,
    Client,
    Delays,
    Peer,
    ack_and_kick,
    connected,
    data_and_kick,
    kick,
    no_task_left,
    obliging,
    until,
)

__all__ = ["no_task_left"]

LIVE, SYNCING, CONNECTING, DOWN = StreamState.LIVE, StreamState.SYNCING, StreamState.CONNECTING, StreamState.DOWN


# Backoff


async def test_accept_and_kick_is_not_hammered() -> None:
    for script in (kick, ack_and_kick):
        delays = Delays()
        async with Peer(script) as peer, connected(peer.url, delays=delays) as (_, seen):
            await until(lambda peer=peer: len(peer.clients) == 5)
            assert delays.begun == 1, "connects, acknowledgements, pings and heartbeats reset nothing"
            assert delays.taken == list(delays.seconds[: len(delays.taken)])
            starts = [client.opened_s for client in peer.clients]
            waits = [later - earlier for earlier, later in itertools.pairwise(starts)]
            assert all(wait >= delay for wait, delay in zip(waits, delays.seconds, strict=False))
            assert LIVE not in seen.states
            assert (DOWN, "the exchange closed the connection: 1008 go away") in seen.of("state")


async def test_data_reset_the_backoff() -> None:
    delays = Delays(0.001, 0.002, 60)
    async with Peer(kick, kick, data_and_kick) as peer, connected(peer.url, delays=delays) as (_, seen):
        await until(lambda: len(peer.clients) == 5)
        assert delays.taken[:4] == [0.001, 0.002, 0.001, 0.001]
        assert (CONNECTING, "the exchange closed the connection: 1001 end") in seen.of("state")


async def test_an_announced_end_is_followed_at_once() -> None:
    async def announces(client: Client) -> None:
        await until(lambda: client.got)
        await client.send({"n": 1}, {"bye": "maintenance"})

    delays = Delays(60)
    async with Peer(announces, obliging) as peer, connected(peer.url, delays=delays) as (_, seen):
        await until(lambda: len(seen.of("subscribed")) == 1 and len(peer.clients) == 2)
        assert not delays.taken
        assert (CONNECTING, "the exchange announced the end: maintenance") in seen.of("state")


async def test_an_end_announced_before_any_data_waits() -> None:
    async def only_announces(client: Client) -> None:
        await client.send({"bye": "maintenance"})

    delays = Delays()
    async with Peer(only_announces) as peer, connected(peer.url, delays=delays):
        await until(lambda: len(peer.clients) == 4)
        assert len(delays.taken) >= 3
        assert delays.begun == 1


async def test_reconnect_on_demand() -> None:
    delays = Delays(60)
    async with Peer() as peer, connected(peer.url, delays=delays) as (connection, seen):
        await until(lambda: seen.of("subscribed"))
        await peer.client.send({"n": 1})
        await until(lambda: connection.state is LIVE)
        connection.reconnect("the feed is mute")
        await until(lambda: len(peer.clients) == 2)
        assert (CONNECTING, "the feed is mute") in seen.of("state")
        assert not delays.taken


async def test_the_gate_is_shared() -> None:
    gate = ConnectGate(2)
    async with Peer(data_and_kick) as peer, connected(peer.url, gate=gate), connected(peer.url, gate=gate):
        await until(lambda: len(peer.clients) == 2)
        await asyncio.sleep(0.05)  # many backoffs later
        assert len(peer.clients) == 2


# Broken connections


async def test_who_closed_is_told_and_logged() -> None:
    with structlog.testing.capture_logs() as logs:
        async with Peer(data_and_kick) as peer, connected(peer.url, delays=Delays(60)) as (connection, _):
            await until(lambda: connection.state is CONNECTING and connection.reason)
            assert connection.reason == "the exchange closed the connection: 1001 end"
            assert len(peer.clients) == 1
    [closed] = [entry for entry in logs if entry["event"] == "connection closed"]
    assert (closed["closed_by"], closed["close_code"], closed["close_reason"]) == ("exchange", 1001, "end")
    assert (closed["exchange"], closed["stream"]) == ("testex", "testex/spot/1")


async def test_data_before_a_close_are_handed_on() -> None:
    async def burst_and_close(client: Client) -> None:
        await until(lambda: client.got)
        await client.send(*({"n": n} for n in range(500)))
        await client.ws.close(1000)

    async with Peer(burst_and_close) as peer, connected(peer.url, delays=Delays(60)) as (connection, seen):
        await until(lambda: connection.state is CONNECTING and connection.reason)
        assert seen.numbers == list(range(500))
        assert peer.client.ended.is_set()


async def test_a_dropped_socket() -> None:
    async def drop(client: Client) -> None:
        await until(lambda: client.got)
        await client.send({"n": 1})
        await came.wait()
        client.ws.transport.abort()

    came = asyncio.Event()
    async with Peer(drop, obliging) as peer, connected(peer.url) as (_, seen):
        await until(lambda: seen.numbers)
        came.set()
        await until(lambda: len(peer.clients) == 2)
        [reason] = [reason for state, reason in seen.of("state") if state is CONNECTING]
        assert reason.startswith("the connection broke")


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with connected(f"ws://127.0.0.1:{port}/") as (connection, seen):
        await until(lambda: connection.state is DOWN)
        assert connection.reason.startswith("cannot connect: ")
        assert connection.url_host == f"127.0.0.1:{port}"
        assert len(seen.states) == 1, "the same reason is told once, not at every attempt"


async def test_refused_handshake_and_its_retry_after() -> None:
    answers = [(503, {}), (429, {"Retry-After": "1"})]
    seen_s: list[float] = []

    def refuse(ws: Any, request: Any) -> Any:
        seen_s.append(time.monotonic())
        if len(seen_s) > len(answers):
            return None
        status, headers = answers[len(seen_s) - 1]
        response = ws.respond(status, "no")
        for name, value in headers.items():
            response.headers[name] = value
        return response

    async def handler(ws: Any) -> None:
        await ws.wait_closed()

    async with serve(handler, "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with connected(f"ws://127.0.0.1:{port}/") as (_, seen):
            await until(lambda: SYNCING in seen.states)
    assert seen.of("state")[:2] == [(DOWN, "refused with HTTP 503"), (DOWN, "refused with HTTP 429")]
    assert seen_s[2] - seen_s[1] >= 1.0


async def test_a_handshake_that_hangs() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    timing = msgspec.structs.replace(QUICK, open_s=0.05)
    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connected(f"ws://127.0.0.1:{port}/", timing=timing) as (connection, _):
            await until(lambda: connection.state is DOWN)
            assert connection.reason == "no answer within 0.05 s"


async def test_an_address_that_cannot_be_had() -> None:
    """Temporary trouble is tried again; a refused key waits for a person, and for reconnect()."""
    problems: list[Exception] = [TransportError("no token"), CredentialsError("-2015 invalid key")]
    asked = 0

    async with Peer() as peer:

        async def url() -> str:
            nonlocal asked
            asked += 1
            if problems:
                raise problems.pop(0)
            return f"{peer.url}?listenKey=SECRETTOKEN"

        with structlog.testing.capture_logs() as logs:
            async with connected(url, delays=Delays(0.001)) as (connection, seen):
                await until(lambda: connection.reason == CredentialsError.sentence)
                assert seen.of("state") == [(DOWN, TransportError.sentence), (DOWN, CredentialsError.sentence)]
                await asyncio.sleep(0.02)  # many backoffs later it has not been asked again
                assert asked == 2
                connection.reconnect("the key was replaced")
                await until(lambda: seen.of("subscribed"))
                assert peer.client.path.endswith("listenKey=SECRETTOKEN")
                assert connection.url_host == f"127.0.0.1:{peer.port}"
                await peer.client.ws.close(1011, "oops")
                await until(lambda: len(peer.clients) == 2)
        assert "SECRETTOKEN" not in str(logs)


# Stopping


async def stopped_soon(connection: Connection) -> None:
    began_s = time.monotonic()
    await asyncio.gather(connection.stop(), connection.stop())
    await connection.stop()
    assert time.monotonic() - began_s < 2
    assert (connection.state, connection.reason) == (DOWN, "stopped")


async def test_stop_before_anything_happened() -> None:
    async with Peer() as peer, connected(peer.url) as (connection, _):
        await stopped_soon(connection)
        assert not peer.clients


async def test_stop_while_the_exchange_does_not_answer() -> None:
    async def deaf(client: Client) -> None:
        await until(lambda: client.got)
        client.ws.transport.pause_reading()

    async with Peer(deaf) as peer, connected(peer.url) as (connection, _):
        await until(lambda: peer.clients and not peer.client.ws.transport.is_reading())
        await stopped_soon(connection)
        peer.client.ws.transport.abort()


async def test_stop_while_waiting_for_the_next_attempt() -> None:
    async with Peer(kick) as peer, connected(peer.url, delays=Delays(60)) as (connection, _):
        await until(lambda: connection.state is DOWN)
        await stopped_soon(connection)


async def test_stop_while_waiting_for_the_gate() -> None:
    gate = ConnectGate(1)
    await gate.wait()
    async with Peer() as peer, connected(peer.url, gate=gate) as (connection, _):
        await asyncio.sleep(0.01)  # it gets to the gate, and no further
        await stopped_soon(connection)
        assert not peer.clients


async def test_stop_while_connecting() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    asked = asyncio.Event()
    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        timing = msgspec.structs.replace(QUICK, open_s=60)
        async with connected(f"ws://127.0.0.1:{port}/", timing=timing) as (connection, _):
            await asked.wait()
            await stopped_soon(connection)


async def test_start_again_after_stop() -> None:
    async with Peer() as peer, connected(peer.url) as (connection, seen):
        await until(lambda: len(seen.of("subscribed")) == 1)
        await connection.stop()
        connection.start()
        await until(lambda: len(seen.of("subscribed")) == 2)
        assert connection.state is SYNCING
