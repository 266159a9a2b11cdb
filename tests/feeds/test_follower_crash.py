"""A worker may die anywhere: afterwards the store has exactly the exchange's fills, none twice.

First systematically: once at every call of the store, before and after its commit. Then at random, with cuts, muted
streams and a history that lags behind.
"""

import asyncio
from collections.abc import Awaitable, Callable
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feeds import warp
from tests.feeds.account_world import World

MARKETS = ("BTC/USDT", "LTC/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT")


async def busy(world: World) -> None:
    """Half a minute of an account's life, seen from the exchange: trades, and streams that break."""
    for number in range(60):
        world.exchange.trade(MARKETS[number % 4], "0.1" if number % 3 else "-0.1", hidden_ms=(number * 700) % 4000)
        if number in (10, 25, 40):
            for product in ("spot", "usdm"):
                world.connection(product).cut()
        await asyncio.sleep(0.5)


async def settle(world: World) -> None:
    await world.live()
    await asyncio.sleep(2 * world.settle_s + 5)
    await world.live()


async def life(kill_at: int | None, when: str) -> int:
    """One life with a death at a store call; returns how many calls there were before it."""
    world = World()
    for number in range(35):  # a history from before
        world.exchange.trade(MARKETS[number % 4], "0.2")
    await asyncio.sleep(60)
    await world.begin()
    died = asyncio.Event()

    async def die(number: int) -> None:
        if number == kill_at:
            died.set()
            await asyncio.get_running_loop().create_future()

    async def live() -> None:
        await busy(world)
        await settle(world)

    setattr(world.handle, when, die)
    living = asyncio.create_task(live())
    dying = asyncio.create_task(died.wait())
    await asyncio.wait([living, dying], return_when=asyncio.FIRST_COMPLETED)
    calls = len(world.handle.calls)
    if died.is_set():
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
        await world.kill()
        for number in range(8):  # nobody listens
            world.exchange.trade(MARKETS[number % 4], "0.3")
        await world.begin()
        await settle(world)
        await busy(world)
        await settle(world)
    else:
        dying.cancel()
        await living
    assert world.agrees()
    assert len(world.store.rows) == len(world.exchange.true_fills())
    await world.follower.stop()
    return calls


def test_without_a_death_there_are_many_places_to_die():
    with patch("feeds.accounts.binance.api.PAGE", 4):
        assert warp.run(life(None, "before")) > 150


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_death_at_every_call_of_the_store(when):
    with patch("feeds.accounts.binance.api.PAGE", 4):
        calls = warp.run(life(None, when))
        places = [*range(30), *range(30, calls, 17)]  # every one while the history is read, then samples
        for place in places:
            warp.run(life(place, when))


Step = Callable[[World], Awaitable[None]]


def trade(market: int, hidden_ms: int) -> Step:
    async def step(world: World) -> None:
        world.exchange.trade(MARKETS[market], "0.1", hidden_ms=hidden_ms)

    return step


def wait(seconds: float) -> Step:
    async def step(world: World) -> None:
        await asyncio.sleep(seconds)

    return step


async def cut(world: World) -> None:
    for product in ("spot", "usdm"):
        world.connection(product).cut()


async def death(world: World) -> None:
    await world.kill()
    await asyncio.sleep(0.5)
    await world.begin()


async def mute(world: World) -> None:
    world.exchange.mute ^= {"spot", "usdm"}


async def expire(world: World) -> None:
    world.exchange.expire_listen_key()


async def hiccup(world: World) -> None:
    """The database fails a few times."""
    left = [3]

    async def fail(_: int) -> None:
        await asyncio.sleep(0.01)
        if left[0]:
            left[0] -= 1
            raise RuntimeError("database is locked")

    world.handle.before = fail


steps = st.one_of(
    st.builds(trade, st.integers(0, 3), st.sampled_from([0, 0, 500, 3000])),
    st.builds(wait, st.sampled_from([0.0, 0.01, 0.05, 0.3, 1.0, 7.0, 20.0])),
    st.sampled_from([cut, death, mute, expire, hiccup]),
)


@settings(max_examples=40, deadline=None)
@given(plan=st.lists(steps, min_size=5, max_size=40))
def test_whatever_happens_the_fills_are_the_exchanges(plan):
    async def run() -> None:
        world = World()
        world.symbols = MARKETS
        await world.begin()
        for step in plan:
            await step(world)
        world.exchange.mute.clear()
        await settle(world)
        await asyncio.sleep(60)  # what a mute stream did not tell comes with the next look at the history
        await world.until(world.agrees, within_s=1200)
        assert len(world.store.rows) == len(world.exchange.true_fills())
        await world.follower.stop()

    warp.run(run())
