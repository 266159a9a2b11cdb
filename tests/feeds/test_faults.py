"""Recordings of real exchanges, played with faults, against the real engine: no usable frame is ever wrong.

How long a market may be out of use after each fault is what the design gives:

* dup, garbage: not at all (where checksums alone prove a book, a frame that is not understood may have been a change,
  so it is rebuilt: Kraken, and OKX's older form);
* drop, swap, cut: Binance: a snapshot by REST. Others: a new snapshot, which this player gives on a new connection
  only, that is, when the recording of some seconds has ended;
* close, kill: the first step of the backoff is 1 to 2 s, then connecting, subscribing, a snapshot;
* stall: at the latest a reconnect after ``reconnect_s``;
* rest503, rest429: only the start takes longer;
* nosub: the market is refused and says so; it is never shown as good.
"""

import asyncio
from collections.abc import Mapping

import pytest

from bench.fault_runs import KRAKEN, OKX, OKX_TODAY, PLAYER, SPOT, USDM, Outcome, Scene, run_all
from tests.shared import shared_file

pytestmark = pytest.mark.slow

STALE_S, RECONNECT_S = 2.0, 6.0
REBUILT_S = 3.0
CONNECTED_S = 2.0 + 2.0
RECORDING_S = {"kraken": 9.0, "okx": 4.0, "okx today": 4.0}
"""Those whose books begin in the stream; what is played of them is so short that it begins anew within a run."""

BINANCE = {
    "": 8.0,
    "drop:61": 12.0,
    "dup:31": 8.0,
    "swap:61": 12.0,
    "garbage:31": 8.0,
    "cut:61": 12.0,
    "stall:4": 14.0,
    "close:4:1012": 12.0,
    "kill:4": 12.0,
    "rest503:2": 12.0,
    "rest429:2": 12.0,
    "nosub": 5.0,
}
AT_KRAKEN = {
    "": 7.0,
    "drop:17": 15.0,
    "dup:17": 7.0,
    "swap:17": 15.0,
    "garbage:17": 15.0,
    "cut:17": 15.0,
    "stall:4": 14.0,
    "close:4:1012": 10.0,
    "kill:4": 10.0,
    "rest503:2": 7.0,
    "rest429:2": 7.0,
    "nosub": 5.0,
}
AT_OKX = {
    "": 8.5,
    "drop:31": 8.5,
    "dup:17": 8.5,
    "swap:31": 8.5,
    "garbage:31": 8.5,
    "cut:31": 8.5,
    "stall:3": 12.0,
    "close:2:1012": 8.5,
    "kill:2": 8.5,
    "rest503:2": 8.5,
    "rest429:2": 8.5,
    "nosub": 3.0,
}
OKX_WITHOUT_IDS = {fault: s for fault, s in AT_OKX.items() if not fault.startswith(("stall", "close", "kill", "rest"))}
SCENES: dict[str, tuple[Scene, Mapping[str, float]]] = {
    "binance spot": (SPOT, BINANCE),
    "binance usdm": (USDM, BINANCE),
    "kraken": (KRAKEN, AT_KRAKEN),
    "okx": (OKX, OKX_WITHOUT_IDS),
    "okx today": (OKX_TODAY, AT_OKX),
}

_done: dict[str, dict[str, Outcome]] = {}


def outcome(scene: str, fault: str) -> Outcome:
    """All faults of a recording are played in one go, some at once, when the first of them is asked for."""
    if scene not in _done:
        place, _ = SCENES[scene]
        shared_file(f"captures/{place.path.name}")
        shared_file(f"tools/{PLAYER.name}")
        asyncio.run(_play([name for name, (other, _) in SCENES.items() if other.recording == place.recording]))
    return _done[scene][fault]


async def _play(scenes: list[str]) -> None:
    async def play(scene: str) -> None:
        place, faults = SCENES[scene]
        at_once = 6 if place.seconds > 60 else 12
        _done[scene] = await run_all(place, faults, at_once=at_once, stale_s=STALE_S, reconnect_s=RECONNECT_S)

    await asyncio.gather(*map(play, scenes))
    for scene in scenes:
        for each in _done[scene].values():
            print(
                f"{scene:13} {each.fault:13} {each.frames:5} frames, {len(each.wrong)} wrong; "
                f"first live {each.first_live_s:.2f} s, out of use at most {each.worst_s:.2f} s"
            )


def allowed_s(scene: str, fault: str) -> float:
    """The longest that a market may be out of use."""
    kind = fault.partition(":")[0]
    around = CONNECTED_S if scene in RECORDING_S else 0.0  # this recording ends and begins anew within a run
    if kind in ("drop", "swap", "cut") or (kind == "garbage" and scene in ("kraken", "okx")):
        return RECORDING_S[scene] + CONNECTED_S if scene in RECORDING_S else REBUILT_S
    if kind in ("close", "kill"):
        return CONNECTED_S
    if kind == "stall":
        return RECONNECT_S - STALE_S + CONNECTED_S
    return around


@pytest.mark.parametrize(
    ("scene", "fault"), [(s, f) for s, (_, faults) in SCENES.items() for f in faults if f != "nosub"]
)
def test_never_wrong_and_soon_live_again(scene: str, fault: str) -> None:
    seen = outcome(scene, fault)
    assert seen.wrong == []
    assert seen.frames > 40
    assert all(changes[-1][1].usable for changes in seen.states.values()), seen.states
    assert seen.first_live_s < (12 if fault.startswith("rest") else 5)
    assert seen.worst_s <= allowed_s(scene, fault), seen.states
    assert seen.mute_s < STALE_S + 1.0, "a mute feed was shown as live"


@pytest.mark.parametrize("scene", SCENES)
def test_a_refused_subscription_is_never_shown_as_good(scene: str) -> None:
    seen = outcome(scene, "nosub")
    assert seen.frames == 0
    assert not any(state.usable for changes in seen.states.values() for _, state in changes)
    for symbol, reason in seen.reasons.items():
        assert seen.states[symbol][-1][1] == "DOWN"
        assert "Invalid request" in reason


@pytest.mark.parametrize("scene", SCENES)
def test_the_faults_really_struck(scene: str) -> None:
    rebuilt = {fault for fault in SCENES[scene][1] if outcome(scene, fault).resyncs}
    assert {"drop", "swap", "cut"} <= {fault.partition(":")[0] for fault in rebuilt}
    assert not {"", "dup", "close", "kill"} & {fault.partition(":")[0] for fault in rebuilt}
    for fault in SCENES[scene][1]:
        seen = outcome(scene, fault)
        if fault.startswith(("garbage", "cut")):
            assert seen.not_understood > 0
        if fault.startswith(("close", "kill", "stall")):
            assert seen.reconnects > 0
        if fault.startswith("rest") and scene not in RECORDING_S:
            assert seen.rest_failures > 0, "the others' books need no REST"
