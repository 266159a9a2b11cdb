"""Clocks."""

import time

from feeds.clock import SYSTEM, FakeClock


def test_clocks() -> None:
    fake = FakeClock()
    before = fake.now_ns(), fake.monotonic_s()
    fake.advance(1.5)
    fake.jump(-3600)
    assert fake.now_ns() - before[0] == -3_598_500_000_000
    assert fake.monotonic_s() - before[1] == 1.5
    assert abs(SYSTEM.now_ns() - time.time_ns()) < 1e9
    assert SYSTEM.monotonic_s() <= time.monotonic()
