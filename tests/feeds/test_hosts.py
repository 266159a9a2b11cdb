"""Proxies of the environment: used for the world, not for this machine."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from feeds.domain import StreamState
from feeds.errors import TransportError
from feeds.exchange import Budget, Request
from feeds.hosts import is_local
from feeds.rest import RestClient
from tests.feeds.peer import Peer, connected, no_task_left, until

__all__ = ["no_task_left"]


@pytest.mark.parametrize("url", ["ws://127.0.0.1:9100/x", "http://localhost", "https://[::1]:80/", "ws://127.8.8.8"])
def test_this_machine(url: str) -> None:
    assert is_local(url)


@pytest.mark.parametrize("url", ["wss://stream.binance.com:9443", "http://10.0.0.1", "ws://localhost.example", "x"])
def test_the_world(url: str) -> None:
    assert not is_local(url)


@pytest.fixture
async def asked_of_proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    """A proxy that notes the first line of what it is asked, and refuses."""
    lines: list[str] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append((await reader.readline()).decode().strip())
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", address)
        yield lines


async def test_a_stream_through_a_proxy(asked_of_proxy: list[str]) -> None:
    async with connected("ws://exchange.test:8080/stream?listenKey=x") as (connection, _):
        await until(lambda: connection.state is StreamState.DOWN)
    assert asked_of_proxy[0] == "CONNECT exchange.test:8080 HTTP/1.1"


async def test_a_local_stream_passes_the_proxy_by(asked_of_proxy: list[str]) -> None:
    async with Peer() as peer, connected(peer.url) as (_, seen):
        await until(lambda: seen.of("subscribed"))
    assert not asked_of_proxy


async def test_requests(asked_of_proxy: list[str]) -> None:
    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    budget = Budget(limit=100, per_s=60)
    async with await asyncio.start_server(hear, "127.0.0.1", 0) as server:
        bases = {"near": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "far": "http://exchange.test"}
        rest = RestClient("testex", bases, dict.fromkeys(bases, budget), lambda *_: None)
        assert (await rest.send(Request(path="/x", product="near"))).raw == b"ok"
        assert not asked_of_proxy
        with pytest.raises(TransportError, match="HTTP 502"):
            await rest.send(Request(path="/x", product="far"))
        assert asked_of_proxy == ["GET http://exchange.test/x HTTP/1.1"]
        await rest.close()
