"""Fills pour in while the worker is killed (-9) and its connections are cut; scaled out, while more than that breaks.

    python -m bench killtest                        Binance: 10,000 fills at 200/s, ten kills, ten cuts
    python -m bench killtest --exchange okx lmex    these exchanges, at rates that their limits let a client follow;
                                                    ``all`` is every simulated exchange that has accounts
    python -m bench killtest --variant locked       scaled out, 10,000 fills at 200/s, ten kills: the database is locked
                                                    for five seconds five times; ``redis``, ``web``: killed ten times
    python -m bench killtest --variant locked --database sqlite

What must come out: exactly the exchange's fills in the database, none twice, every balance and position equal. Beside
it: how many of them came by stream first; the others were read from the exchange's history, and a client without that
lacks most. Scaled out also: the same fills by paging ``/api/fills/`` and on a client of ``/ws/``.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.common import row
from tests.killtest.drill import BINANCE, Result, drill
from tests.killtest.places import PLACES, Place
from tests.killtest.scaled import ordeal
from tests.postgres import postgres_server

KILLS = CUTS = 10
FEWER = 4
"""Kills and cuts where there are fewer fills."""
TIMES = {"locked": 5, "redis": 10, "web": 10}
COLUMNS = {
    "exchange": "exchange",
    "fills a second": "per s",
    "fills at the exchange": "fills",
    "fills in the database": "stored",
    "of them twice": "twice",
    "missing": "missing",
    "figures that differ": "differ",
    "told first by stream": "stream",
    "told first by REST": "REST",
    "worker killed": "kills",
    "connections cut": "cuts",
    "balances compared": "balances",
    "positions compared": "positions",
    "seconds until all agreed": "agreed s",
    "exit code of the last worker": "exit",
}


def run() -> list[dict[str, Any]]:
    """Counts of fills, and the seconds until everything agreed; the drill itself fails if they do not come to."""
    result = _drill(BINANCE, BINANCE.fills, KILLS, CUTS)
    print(result, file=sys.stderr)
    return _rows("kill test", result)


def main(options: Sequence[str]) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(prog="bench killtest", description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--exchange", nargs="+", choices=("all", *PLACES), metavar="NAME", help=", ".join(PLACES))
    what.add_argument("--variant", choices=tuple(TIMES))
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql", help="of a variant")
    parser.add_argument("--fills", type=int, help="not the usual number of them")
    chosen = parser.parse_args(options)
    if chosen.variant:
        with postgres_server() if chosen.database == "postgresql" else nullcontext("") as url, _folder() as folder:
            fills = chosen.fills or BINANCE.fills
            trouble = {chosen.variant: TIMES[chosen.variant]}
            result = ordeal(folder, trouble, fills=fills, per_s=BINANCE.per_s, kills=KILLS, database_url=url)
        print(result)
        return _rows(f"kill test, {chosen.variant}", result)
    names = list(PLACES) if "all" in (chosen.exchange or []) else chosen.exchange or [BINANCE.exchange]
    results = {}
    for place in (PLACES[name] for name in names):
        many = place is BINANCE
        kills, cuts = (KILLS, CUTS) if many else (FEWER, FEWER)
        results[place.exchange] = _drill(place, chosen.fills or place.fills, kills, cuts)
        print(f"{place.exchange}: {place.per_s:g} fills/s, for {place.why}", flush=True)
    _show(list(results.values()))
    return [row for name, result in results.items() for row in _rows(f"kill test, {name}", result)]


def _drill(place: Place, fills: int, kills: int, cuts: int) -> Result:
    with _folder() as folder:
        return drill(folder, place=place, fills=fills, per_s=place.per_s, kills=kills, cuts=cuts)


@contextmanager
def _folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def _rows(name: str, result: Result) -> list[dict[str, Any]]:
    true = result["fills at the exchange"]
    told = result["told first by stream"]
    return [
        row(f"{name}: fills in the database", result["fills in the database"], "fills", "at the exchange", true),
        row(f"{name}: the same, beside", result["fills in the database"], "fills", "told first by stream", told),
        row(f"{name}: fills stored twice", result["of them twice"], "fills", "allowed", 0),
        row(f"{name}: figures that differ", result["figures that differ"], "figures", "allowed", 0),
        row(f"{name}: until all agreed", result["seconds until all agreed"], "s", "-", None),
    ]


def _show(results: list[Result]) -> None:
    cells = [list(COLUMNS.values()), *([str(result[name]) for name in COLUMNS] for result in results)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(COLUMNS))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
