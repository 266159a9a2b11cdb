"""Kill test, scaled out: besides the worker everything else dies or hangs, and a client of ``/ws/`` looks on.

Short by default; ``SPREADBOARD_KILLTEST=full`` is 2,000 fills at 100/s. 10,000 at 200/s, one kind of trouble at a time:
``python -m bench killtest --variant locked`` (``redis``, ``web``).
"""

import os
from pathlib import Path

import pytest

from tests.killtest.drill import Result
from tests.killtest.scaled import ordeal
from tests.postgres import postgres_server
from tests.shared import in_time

pytestmark = [pytest.mark.slow, pytest.mark.redis]

FULL = os.environ.get("SPREADBOARD_KILLTEST") == "full"
FILLS, TIMES, LOCK_S = (2000, 4, 5.0) if FULL else (400, 1, 2.5)


def check(result: Result) -> None:
    print(f"\n{result}")
    for name in ("at the exchange", "in the database", "by paging /api/fills/", "shown to the client"):
        assert result[f"fills {name}"] == FILLS, name
    wrong = ("of them twice", "missing", "unknown to the exchange", "figures that differ", "of them twice by paging")
    for name in (*wrong, "newest 50 not pushed"):
        assert result[name] == 0, name
    assert result["errors of the client"] == []
    assert result["positions compared"] == 2
    assert result["worker killed"] == TIMES
    assert result["told first by REST"] > 0, "every fill came by stream: nothing was missed, so nothing was proven"
    assert result["seconds until the worker had stopped"] < in_time(10)
    assert result["exit codes"] == {"worker": 0, "web": 0, "redis": 0}


def test_a_locked_sqlite(tmp_path: Path):
    result = ordeal(tmp_path, {"locked": TIMES}, fills=FILLS, per_s=100, kills=TIMES, lock_s=LOCK_S)
    check(result)
    assert result["database locked"] == TIMES


@pytest.mark.postgres
def test_everything_dies_and_postgresql_is_locked(tmp_path: Path):
    trouble = {"locked": TIMES, "redis": TIMES, "web": TIMES}
    with postgres_server() as url:
        result = ordeal(tmp_path, trouble, fills=FILLS, per_s=100, kills=TIMES, lock_s=LOCK_S, database_url=url)
    check(result)
    assert [result[name] for name in ("database locked", "Redis killed", "web process killed")] == [TIMES] * 3
    assert result["connections of the client"] >= 2
