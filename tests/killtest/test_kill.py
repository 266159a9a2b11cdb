"""Kill test: the worker dies again and again while fills come, and the database has exactly the exchange's in the end.

Short by default; ``SPREADBOARD_KILLTEST=full`` is the whole drill: 2,000 fills at 100/s, five kills, five cuts. At its
full size for every exchange: ``python -m bench killtest --exchange all``.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from feeds.simulator.venues import REGISTRY
from tests.killtest.drill import BINANCE, Pour, Result, drill, drills
from tests.killtest.places import PLACES
from tests.postgres import postgres_server

pytestmark = pytest.mark.slow

FULL = os.environ.get("SPREADBOARD_KILLTEST") == "full"
SIZE = {"fills": 2000, "kills": 5, "cuts": 5} if FULL else {"fills": 600, "kills": 2, "cuts": 2}

BRIEF_S = 3.0
"""So long fills come at the other exchanges, all at once, unless it is the whole drill."""

SLOW = () if FULL else ("kraken",)
"""After a second start within seconds its limits make us wait half a minute."""


def check(result: Result, fills: int, kills: int) -> None:
    print(f"\n{result}")
    assert result["fills at the exchange"] == fills == result["fills in the database"]
    for name in ("of them twice", "missing", "unknown to the exchange", "figures that differ"):
        assert result[name] == 0, name
    assert result["worker killed"] == kills
    assert result["exit code of the last worker"] == 0


def check_missed(results: Iterable[Result]) -> None:
    read = sum(result["told first by REST"] for result in results)
    assert read > 0, "every fill came by stream: nothing was missed, so nothing was proven"


def check_whole(result: Result) -> None:
    check_missed([result])
    check(result, SIZE["fills"], SIZE["kills"])
    assert result["balances compared"] >= 4
    assert result["positions compared"] == 2


def test_kill_on_sqlite(tmp_path: Path):
    check_whole(drill(tmp_path, per_s=100, **SIZE))


@pytest.mark.postgres
def test_kill_on_postgresql(tmp_path: Path):
    with postgres_server() as url:
        check_whole(drill(tmp_path, per_s=100, database_url=url, **SIZE))


def test_kill_at_every_other_exchange(tmp_path: Path):
    others = [place for place in PLACES.values() if place is not BINANCE and place.exchange not in SLOW]
    pours = [Pour(each, each.fills if FULL else round(each.per_s * BRIEF_S), each.per_s) for each in others]
    kills = 4 if FULL else 1
    results = drills(tmp_path, pours, kills=kills, cuts=kills)
    # Each by itself may have had its fills before the death, and streams of Kraken Futures tell the last hundred.
    check_missed(results)
    for pour, result in zip(pours, results, strict=True):
        check(result, pour.fills, kills)
        assert result["balances compared"] >= 1


def test_every_simulated_exchange_with_accounts_is_drilled():
    assert PLACES.keys() == {name for name, exchange in REGISTRY.items() if exchange.terms is not None}
