"""Recordings of real exchanges, played with faults, against the real engine: no usable frame is ever wrong.

How long a market may be out of use after each fault is what the design gives:

* dup, garbage: not at all (where checksums alone prove a book, a frame that is not understood may have been a change,
  so it is rebuilt);
* drop, swap, cut: Binance: a snapshot by REST. Others: a new snapshot by stream, which this player gives on a new
  connection only: when a short recording has ended, or when the snapshot was waited for long enough (10 s; here
  it is less, to be quick). A book that was rebuilt more than four times within the minute is left for some seconds;
* close, kill: the first step of the backoff is 1 to 2 s, then connecting, subscribing, a snapshot;
* stall: at the latest a reconnect after ``reconnect_s``;
* rest503, rest429: only the start takes longer;
* nosub: the market is refused and says so; it is never shown as good.
"""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

import pytest

from bench.fault_runs import (
    BYBIT_LINEAR,
    BYBIT_SPOT,
    COINBASE,
    KRAKEN,
    OKX,
    OKX_TODAY,
    PLAYER,
    SPOT,
    USDM,
    Outcome,
    Scene,
    run_all,
)
from feeds.markets import keeper
from tests.shared import in_time, shared_file

pytestmark = pytest.mark.slow

STALE_S, RECONNECT_S = 2.0, 6.0
REBUILT_S = 3.0
CONNECTED_S = 2.0 + 2.0
SNAPSHOT_S = 3.0
"""Instead of 10: whole books of these recordings come within a second."""


class Play(NamedTuple):
    """A recording and what is expected of it.

    ``every``: the frames between two faults, ``late_s``: when the connection goes. ``rebuilt_s``: until a dropped book
    stands again. ``repeats_s``: the recording is so short that it begins anew in a run. ``only``: these faults alone.
    ``more_s``: followed for so much longer, since its books tell less often.
    """

    scene: Scene
    every: int
    late_s: int
    rebuilt_s: float
    refusal: str = "Invalid request"
    needs_rest: bool = False
    repeats_s: float | None = None
    by_checksum: bool = False
    only: tuple[str, ...] = ()
    more_s: float = 0.0

    @property
    def faults(self) -> Mapping[str, float]:
        """Each with the seconds for which it is followed."""
        usual, long = (7.0, 14.0) if self.needs_rest or self.repeats_s else (6.0, 12.0)
        usual, long = usual + self.more_s, long + self.more_s
        after = usual + self.rebuilt_s
        every, late = self.every, self.late_s
        seconds = {
            f"stall:{late}": long,
            f"drop:{every}": after,
            f"swap:{every}": after,
            f"cut:{every}": after,
            f"garbage:{every}": after if self.by_checksum else usual,
            f"dup:{every}": usual,
            f"close:{late}:1012": usual + 4,
            f"kill:{late}": usual + 4,
            "rest503:2": usual + (5 if self.needs_rest else 0),
            "rest429:2": usual + (5 if self.needs_rest else 0),
            "": usual,
            "nosub": 4.0,
        }
        return {f: s for f, s in seconds.items() if not self.only or f.partition(":")[0] in self.only}


IN_SHORT = ("", "drop", "cut", "nosub")
"""Where another product's frames look the same."""
OF_FRAMES = ("", "drop", "swap", "cut", "garbage", "dup", "nosub")
"""Where another form of the same recording is played with all of them."""

PLAYS = {
    "binance spot": Play(SPOT, 61, 4, REBUILT_S, needs_rest=True),
    "binance usdm": Play(USDM, 61, 4, REBUILT_S, needs_rest=True),
    "bybit linear": Play(BYBIT_LINEAR, 31, 3, SNAPSHOT_S + CONNECTED_S, "handler not found"),
    "bybit spot": Play(BYBIT_SPOT, 31, 3, SNAPSHOT_S + CONNECTED_S, "handler not found", only=IN_SHORT),
    "coinbase": Play(COINBASE, 61, 4, SNAPSHOT_S + CONNECTED_S, "failure to subscribe"),
    "kraken": Play(KRAKEN, 17, 4, 9.0 + CONNECTED_S, repeats_s=9.0, by_checksum=True),
    "okx": Play(OKX, 31, 2, 4.0 + CONNECTED_S, repeats_s=4.0, by_checksum=True, only=OF_FRAMES, more_s=3.0),
    "okx today": Play(OKX_TODAY, 31, 2, 4.0 + CONNECTED_S, repeats_s=4.0, more_s=3.0),
}
TOGETHER = (
    ("binance spot", "binance usdm"),
    ("bybit linear", "bybit spot", "coinbase"),
    ("kraken", "okx", "okx today"),
)
"""Played at the same time, since they wait more than they work."""
AT_ONCE = 12

_done: dict[str, dict[str, Outcome]] = {}


def outcome(name: str, fault: str) -> Outcome:
    """All faults of a group are played in one go when the first of them is asked for."""
    if name not in _done:
        group = next(group for group in TOGETHER if name in group)
        for each in group:
            shared_file(f"captures/{PLAYS[each].scene.path.name}")
        shared_file(f"tools/{PLAYER.name}")
        _done.update(asyncio.run(play(group)))
        for each in group:
            for seen in _done[each].values():
                print(
                    f"{each:13} {seen.fault:13} {seen.frames:5} frames, {len(seen.wrong)} wrong; "
                    f"first live {seen.first_live_s:.2f} s, out of use at most {seen.worst_s:.2f} s"
                )
    return _done[name][fault]


async def play(group: tuple[str, ...]) -> dict[str, dict[str, Outcome]]:
    with pytest.MonkeyPatch.context() as patch:
        if not any(PLAYS[name].repeats_s for name in group):
            patch.setattr(keeper, "SNAPSHOT_S", SNAPSHOT_S)
        runs = [
            run_all(
                PLAYS[name].scene,
                PLAYS[name].faults,
                at_once=AT_ONCE // len(group),
                stale_s=STALE_S,
                reconnect_s=RECONNECT_S,
            )
            for name in group
        ]
        return dict(zip(group, await asyncio.gather(*runs), strict=True))


def allowed_s(name: str, fault: str) -> float:
    """The longest that a market may be out of use."""
    of, kind = PLAYS[name], fault.partition(":")[0]
    if kind in ("drop", "swap", "cut") or (kind == "garbage" and of.by_checksum):
        return of.rebuilt_s
    if kind in ("close", "kill"):
        return CONNECTED_S
    if kind == "stall":
        return RECONNECT_S - STALE_S + CONNECTED_S
    return CONNECTED_S if of.repeats_s else 0.0


def spaced_s(seen: Outcome) -> float:
    """How long a book that fails again and again was left before it was rebuilt: the slower the machine the longer the
    run, so the more often the fault struck."""
    extra = seen.most_resyncs - 1 - keeper.RESYNCS_PER_MINUTE
    return min(30.0, 2.0**extra) if extra > 0 else 0.0


def test_every_play_is_in_one_group() -> None:
    assert sorted(name for group in TOGETHER for name in group) == sorted(PLAYS)


@pytest.mark.parametrize(
    ("name", "fault"), [(name, f) for name, each in PLAYS.items() for f in each.faults if f != "nosub"]
)
def test_never_wrong_and_soon_live_again(name: str, fault: str) -> None:
    seen = outcome(name, fault)
    assert seen.wrong == []
    assert seen.frames > 15
    assert all(changes[-1][1].usable for changes in seen.states.values()), seen.states
    assert seen.first_live_s < in_time(12 if fault.startswith("rest") else 5)
    assert seen.worst_s <= in_time(allowed_s(name, fault) + spaced_s(seen)), seen.states
    assert seen.mute_s < in_time(STALE_S + 1.0), "a mute feed was shown as live"


@pytest.mark.parametrize("name", PLAYS)
def test_a_refused_subscription_is_never_shown_as_good(name: str) -> None:
    seen = outcome(name, "nosub")
    assert seen.frames == 0
    assert not any(state.usable for changes in seen.states.values() for _, state in changes)
    for symbol, reason in seen.reasons.items():
        assert seen.states[symbol][-1][1] == "DOWN"
        assert PLAYS[name].refusal in reason


@pytest.mark.parametrize("name", PLAYS)
def test_the_faults_really_struck(name: str) -> None:
    of = PLAYS[name]
    played = {fault.partition(":")[0] for fault in of.faults}
    rebuilt = {fault.partition(":")[0] for fault in of.faults if outcome(name, fault).resyncs}
    assert {"drop", "swap", "cut"} & played <= rebuilt
    assert rebuilt.isdisjoint({"", "dup", "close", "kill"})
    for fault in of.faults:
        seen = outcome(name, fault)
        if fault.startswith(("garbage", "cut")):
            assert seen.not_understood > 0
        if fault.startswith(("close", "kill", "stall")):
            assert seen.reconnects > 0
        if fault.startswith("rest") and of.needs_rest:
            assert seen.rest_failures > 0
