"""What a process needs once per event loop: started by the first, stopped by the last, whatever fails."""

import asyncio
from typing import ClassVar

import pytest

from dashboard.perloop import PerLoop
from tests.dashboard.realtime import until


class Thing(PerLoop):
    """Fails to start as often as ``fails`` says."""

    fails = 0
    log: ClassVar[list[str]] = []

    async def _start(self) -> None:
        self.log.append("start")
        await asyncio.sleep(0.1)  # a start takes its time: others come meanwhile
        if Thing.fails:
            Thing.fails -= 1
            raise OSError("no database")
        self.log.append("started")

    async def _stop(self) -> None:
        self.log.append("stop")


@pytest.fixture(autouse=True)
def anew() -> None:
    Thing.fails, Thing.log = 0, []


async def use(seconds: float) -> list[str]:
    async with Thing.running() as thing:
        seen = list(thing.log)
        await asyncio.sleep(seconds)
        return seen


async def test_one_for_all_who_use_it() -> None:
    await asyncio.gather(use(0.02), use(0.05), use(0.0))
    await use(0)
    assert Thing.log == ["start", "started", "stop"] * 2


async def test_who_waits_behind_a_start_that_failed_starts_it() -> None:
    Thing.fails = 1
    first, second, third = await asyncio.gather(*(use(0.02) for _ in range(3)), return_exceptions=True)
    assert isinstance(first, OSError)
    assert second == third == ["start", "stop", "start", "started"]
    assert Thing.log == ["start", "stop", "start", "started", "stop"]


async def test_who_waits_behind_a_start_that_was_cancelled_starts_it() -> None:
    first, second = asyncio.create_task(use(0.02)), asyncio.create_task(use(0.02))
    await until(lambda: Thing.log, "the first start")
    first.cancel()
    assert await second == ["start", "stop", "start", "started"]
    assert Thing.log == ["start", "stop", "start", "started", "stop"]
