"""Backoff and gates."""

import asyncio
import itertools
import time

import pytest

from feeds.pacing import ConnectGate, Gate, SendGate, backoff, wait_s


def test_backoff_grows_from_1_to_60_seconds() -> None:
    for _ in range(200):
        delays = list(itertools.islice(backoff(), 12))
        assert all(1 <= delay <= 60 for delay in delays)
        assert all(later >= earlier for earlier, later in itertools.pairwise(delays[:5]))
        assert all(delay >= 30 for delay in delays[5:])


def test_backoff_is_not_the_same_for_all() -> None:
    assert len({next(backoff()) for _ in range(50)}) > 40


async def test_a_gate_lets_through_its_limit_in_any_window() -> None:
    gate = Gate(3, 0.05)
    times: list[float] = []

    async def pass_through() -> None:
        await gate.wait()
        times.append(time.monotonic())

    await asyncio.gather(*(pass_through() for _ in range(10)))
    assert times == sorted(times)
    assert times[2] - times[0] < 0.05, "the first ones need not wait"
    assert all(later - earlier >= 0.049 for earlier, later in zip(times, times[3:], strict=False))


async def test_a_gate_is_fair_and_survives_who_gives_up() -> None:
    gate = Gate(1, 0.03)
    order: list[str] = []

    async def pass_through(name: str) -> None:
        await gate.wait()
        order.append(name)

    first, second, third = (asyncio.create_task(pass_through(name)) for name in "abc")
    await first
    second.cancel()
    await third
    assert order == ["a", "c"]


def test_gates_of_an_exchange() -> None:
    assert SendGate(5)._limit == 4  # Binance: 5 messages a second, pings and pongs among them
    assert SendGate(0.5)._limit == 1
    assert SendGate(0.5)._window_s == pytest.approx(2.2)
    assert ConnectGate(15)._limit == 15
    assert ConnectGate(0.5)._limit == 1
    with pytest.raises(ValueError, match="limit is 0"):
        Gate(0, 1)


async def test_connections_are_counted_by_the_second_too() -> None:
    gate = ConnectGate(60, 2)
    times: list[float] = []
    for _ in range(3):
        await gate.wait()
        times.append(time.monotonic())
    assert times[1] - times[0] < 0.5, "two within a second"
    assert times[2] - times[0] >= 1.09, "the third one waits"


@pytest.mark.parametrize(
    ("told", "waits"),
    [
        *(("5", 5.0), (" 0 ", 0.0), ("86400", 86_400.0)),
        *(("1790000007", 7.0), ("1790000007500", 7.5), ("1700000000", 0.0)),
        *((None, None), ("", None), ("soon", None), ("-5", None), ("1.5", None), ("9" * 400, None), ("٣", None)),
    ],
)
def test_retry_after_in_seconds_or_as_a_moment(told: str | None, waits: float | None) -> None:
    assert wait_s(told, 1_790_000_000.0) == waits
