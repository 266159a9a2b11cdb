"""What a connection asks for, and what it makes of the answers."""

import asyncio
from collections.abc import Sequence

import msgspec

from feeds.domain import StreamState, Subscription
from tests.feeds.peer import (
    BOOK,
    QUICK,
    TICKER,
    TRADES,
    Client,
    Peer,
    Speech,
    connected,
    facts,
    no_task_left,
    obliging,
    sub,
    until,
)

__all__ = ["no_task_left"]

LIVE, SYNCING = StreamState.LIVE, StreamState.SYNCING


async def test_everything_wanted_is_asked_for_in_one_message() -> None:
    async with Peer() as peer, connected(peer.url, wanted=[BOOK, TRADES, TICKER]) as (connection, seen):
        await until(lambda: seen.of("subscribed"))
        assert peer.client.got == [{"sub": [str(BOOK), str(TRADES), str(TICKER)]}]
        assert seen.of("subscribed") == [[BOOK, TRADES, TICKER]]
        assert connection.subscriptions == {BOOK, TRADES, TICKER}
        assert peer.client.ws.request is not None
        assert peer.client.ws.request.headers["User-Agent"] == "Spreadboard"


async def test_only_data_make_it_live() -> None:
    async with Peer() as peer, connected(peer.url) as (connection, seen):
        await until(lambda: seen.of("subscribed"))
        await peer.client.send({"beat": 1}, {"other": 1})
        await until(lambda: connection.messages == 3)
        assert connection.state is SYNCING
        await peer.client.send({"n": 1})
        await until(lambda: seen.numbers)
        assert seen.states == [SYNCING, LIVE]
        kinds = [kind for kind, _ in seen.log]
        assert kinds.index("subscribed") < kinds.index("event")
        assert seen.log[-2:] == [("state", (LIVE, "")), ("event", seen.of("event")[-1])]  # first LIVE, then the data


async def test_every_connect_asks_for_everything_again() -> None:
    async def kick_after_data(client: Client) -> None:
        await until(lambda: client.got)
        await client.send({"n": 1})
        await client.ws.close(1012, "restart")

    async with Peer(kick_after_data, obliging) as peer, connected(peer.url, wanted=[BOOK, TRADES]) as (connection, _):
        await until(lambda: len(peer.clients) == 2 and peer.client.got)
        assert peer.clients[1].got == peer.clients[0].got
        assert connection.reconnects == 1


async def test_add_and_remove_while_running() -> None:
    async with Peer() as peer, connected(peer.url) as (connection, seen):
        await until(lambda: seen.of("subscribed"))
        connection.add([TRADES, TICKER])
        connection.remove([TICKER])  # before it was asked for: no message at all
        await until(lambda: len(seen.of("subscribed")) == 2)
        connection.remove([BOOK])
        await until(lambda: len(peer.client.got) == 3)
        assert peer.client.got[1:] == [{"sub": [str(TRADES)]}, {"unsub": [str(BOOK)]}]
        assert connection.subscriptions == {TRADES}


async def test_resubscribe_waits_for_the_end() -> None:
    async def slow_to_end(client: Client) -> None:
        await until(lambda: client.got)
        await client.answer(client.got[0])
        await until(lambda: len(client.got) == 2)
        await client.send({"n": 1})  # still the old subscription
        await until(lambda: ended)
        await client.answer(client.got[1])
        await until(lambda: len(client.got) == 3)
        await client.answer(client.got[2])

    ended = False
    async with Peer(slow_to_end) as peer:
        timing = msgspec.structs.replace(QUICK, end_s=60)
        async with connected(peer.url, timing=timing) as (connection, seen):
            await until(lambda: seen.of("subscribed"))
            connection.resubscribe(BOOK)
            await until(lambda: seen.numbers)
            assert peer.client.got[1:] == [{"unsub": [str(BOOK)]}]
            ended = True
            await until(lambda: len(seen.of("subscribed")) == 2)
            assert peer.client.got[2:] == [{"sub": [str(BOOK)]}]


async def test_resubscribe_does_not_wait_for_ever() -> None:
    async def never_ends(client: Client) -> None:
        await until(lambda: client.got)
        await client.answer(client.got[0])

    async with Peer(never_ends) as peer, connected(peer.url) as (connection, seen):
        await until(lambda: seen.of("subscribed"))
        connection.resubscribe(BOOK)
        await until(lambda: len(peer.client.got) == 3)
        assert peer.client.got[1:] == [{"unsub": [str(BOOK)]}, {"sub": [str(BOOK)]}]
        assert peer.client.got_s[2] - peer.client.got_s[1] >= QUICK.end_s * 0.9


async def test_a_rejected_subscription_takes_no_other_down() -> None:
    async def refuses_trades(client: Client) -> None:
        await until(lambda: client.got)
        await client.send({"no": [str(TRADES)], "why": "unknown pair"}, {"ack": [str(BOOK), str(TICKER)]}, {"n": 1})

    async with Peer(refuses_trades) as peer, connected(peer.url, wanted=[BOOK, TRADES, TICKER]) as (connection, seen):
        await until(lambda: seen.numbers)
        assert seen.of("rejected") == [([TRADES], "unknown pair")]
        assert seen.of("subscribed") == [[BOOK, TICKER]]
        assert connection.subscriptions == {BOOK, TICKER}
        assert connection.state is LIVE


async def test_one_bad_apple_in_a_batch_is_found() -> None:
    """The exchange refuses whole messages and names nothing: halves are asked for until one stands alone."""
    bad = sub("book BAD/USDT")

    async def refuses_messages_with_bad(client: Client) -> None:
        async for message in client:
            names = message["sub"]
            await client.send({"no": [], "why": "malformed"} if str(bad) in names else {"ack": names})

    good = [sub(f"book C{i}/USDT") for i in range(12)]
    wanted = [*good[:5], bad, *good[5:]]
    async with Peer(refuses_messages_with_bad) as peer, connected(peer.url, wanted=wanted) as (connection, seen):
        await until(lambda: seen.of("rejected") and len([s for g in seen.of("subscribed") for s in g]) == len(good))
        assert seen.of("rejected") == [([bad], "malformed")]
        assert connection.subscriptions == set(good)
        assert len(peer.client.got) <= 9


async def test_no_answer_is_asked_once_more_and_then_reported() -> None:
    async def mute_about_trades(client: Client) -> None:
        await client.send({"n": 0})
        for n in range(1, 10_000):
            await client.send({"n": n}, {"ack": [str(BOOK)]})
            await asyncio.sleep(0.01)

    async with Peer(mute_about_trades) as peer, connected(peer.url, wanted=[BOOK, TRADES]) as (connection, seen):
        await until(lambda: seen.of("rejected"))
        assert seen.of("rejected") == [([TRADES], "no answer")]
        assert peer.client.asked() == [str(BOOK), str(TRADES), str(TRADES)]
        assert connection.subscriptions == {BOOK}
        assert len(peer.clients) == 1


async def test_a_dead_connection_rejects_nothing() -> None:
    async def dead(client: Client) -> None:
        await asyncio.sleep(60)

    async with Peer(dead, obliging) as peer, connected(peer.url, stale_s=0.2, reconnect_s=0.5) as (connection, seen):
        await until(lambda: seen.of("subscribed"))
        assert len(peer.clients) == 2
        assert not seen.of("rejected")
        assert connection.subscriptions == {BOOK}


async def test_a_subscription_that_cannot_be_expressed_is_rejected_alone() -> None:
    class Choosy(Speech):
        def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
            if TRADES in subscriptions:
                raise KeyError("delisted")
            return super().subscribe(subscriptions)

    async with Peer() as peer, connected(peer.url, new_session=Choosy, wanted=[BOOK, TRADES, TICKER]) as (_, seen):
        await until(lambda: seen.of("rejected") and len([s for g in seen.of("subscribed") for s in g]) == 2)
        [(rejected, reason)] = seen.of("rejected")
        assert rejected == [TRADES]
        assert "delisted" in reason


async def test_opening_comes_first_and_messages_are_spaced() -> None:
    per_s = 21  # 20 messages in 1.1 s, one place is the pong's

    class Wordy(Speech):
        def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
            return [m for s in subscriptions for m in super(Wordy, self).subscribe([s])]

    wanted = [sub(f"book C{i}/USDT") for i in range(24)]
    async with (
        Peer() as peer,
        connected(
            peer.url,
            new_session=lambda: Wordy(opening=['{"hi": 1}']),
            wanted=wanted,
            facts=facts(messages_per_s=per_s),
            timing=msgspec.structs.replace(QUICK, answer_s=5),
        ),
    ):
        await until(lambda: len(peer.client.got) == 25 if peer.clients else False)
        assert peer.client.got[0] == {"hi": 1}
        assert peer.client.asked() == [str(s) for s in wanted]
        times = peer.client.got_s
        assert all(later - earlier > 0.5 for earlier, later in zip(times, times[20:], strict=False))


async def test_send_goes_out_and_needs_a_connection() -> None:
    async with Peer() as peer, connected(peer.url) as (connection, seen):
        connection.send('{"hi": 1}')  # not connected yet: nothing to send it on
        await until(lambda: seen.of("subscribed"))
        connection.send('{"hi": 2}')
        await until(lambda: len(peer.client.got) == 2)
        assert peer.client.got[1] == {"hi": 2}
