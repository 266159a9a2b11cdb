"""Kill test: the worker dies again and again while fills come, and the database has exactly the exchange's in the end.

Short by default; ``SPREADBOARD_KILLTEST=full`` is the whole drill: 2,000 fills at 100/s, five kills, five cuts.
"""

import os
from pathlib import Path

import pytest

from tests.killtest.drill import Result, drill
from tests.postgres import postgres_server

pytestmark = pytest.mark.slow

FULL = os.environ.get("SPREADBOARD_KILLTEST") == "full"
SIZE = {"fills": 2000, "kills": 5, "cuts": 5} if FULL else {"fills": 600, "kills": 2, "cuts": 2}


def check(result: Result) -> None:
    print(f"\n{result}")
    assert result["fills at the exchange"] == SIZE["fills"] == result["fills in the database"]
    for name in ("of them twice", "missing", "unknown to the exchange", "figures that differ"):
        assert result[name] == 0, name
    assert result["worker killed"] == SIZE["kills"]
    assert result["balances compared"] >= 4
    assert result["told first by REST"] > 0, "every fill came by stream: nothing was missed, so nothing was proven"
    assert result["exit code of the last worker"] == 0


def test_kill_on_sqlite(tmp_path: Path):
    check(drill(tmp_path, per_s=100, **SIZE))


@pytest.mark.postgres
def test_kill_on_postgresql(tmp_path: Path):
    with postgres_server() as url:
        check(drill(tmp_path, per_s=100, database_url=url, seed=2, **SIZE))
