"""``make bench``: every measurement, each with its baseline in the same run, as a table and as build/bench.json.

    python -m bench                     all, but not those of accounts, ccxt, limits and the demo
    python -m bench ingest              only the named ones
    python -m bench faults --ours       every exchange's faults; without ccxt beside them
    python -m bench fills --accounts 8  eight accounts of eight exchanges at once
    python -m bench accounts            ccxt and the product: the same figures of every account?
    python -m bench killtest --exchange all   the kill drill at every exchange; ``--variant locked``, ``redis``, ``web``
    python -m bench ccxt --seconds 60   ccxt.pro and our engine, watching every simulated exchange
    python -m bench limits              an hour of eight accounts against every exchange's limits, in minutes
    python -m bench demo --minutes 10   the demo at work, with a client that wants everything

Each benchmark is a module of this package with ``run() -> list[dict]``, rows of ``name, value, unit, baseline,
baseline_value, ratio``. Each runs in a process of its own, so that none measures another's leftovers. The machines
are noisy: read the ratios.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = (
    "ingest",
    "overhead",
    "markets200",
    "matrix",
    "fanout",
    "slowreader",
    "endtoend",
    "fills",
    "faults",
    "longtail",
    "killtest",
)
LONG = ("ccxt", "accounts", "limits", "demo")
"""Run only when they are named."""
WITH_OPTIONS = ("ccxt", "accounts", "demo", "faults", "fills", "killtest", "limits")
"""These have a ``main`` and print a table of their own when they are given options."""
FIELDS = ("name", "value", "unit", "baseline", "baseline_value", "ratio")


def measure(name: str, options: list[str]) -> list[dict[str, object]]:
    """Run one benchmark in its own process; its rows are the last line of its output."""
    call = f"main({options!r})" if options or name in LONG else "run()"
    code = f"import json; from bench.{name} import {call[: call.index('(')]}; print('\\n' + json.dumps({call}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.rstrip().rsplit("\n", 1)
    if len(lines) > 1 and lines[0].strip():
        print(lines[0].strip(), flush=True)
    if done.returncode:
        raise SystemExit(f"bench: {name} failed with exit code {done.returncode}")
    if {"-h", "--help"} & set(options):
        raise SystemExit(done.stdout.rstrip())
    rows: list[dict[str, object]] = json.loads(lines[-1])
    for row in rows:
        missing = [field for field in FIELDS if field not in row]
        if missing:
            raise SystemExit(f"bench: {name}: a row lacks {', '.join(missing)}: {row}")
    return rows


def text(value: object) -> str:
    if value is None:
        return "-"
    return (
        f"{value:,.3g}"
        if isinstance(value, float) and abs(value) < 1000
        else f"{value:,}"
        if isinstance(value, int | float)
        else str(value)
    )


def show(rows: list[dict[str, object]]) -> None:
    cells = [[text(row[field]) for field in FIELDS] for row in rows]
    widths = [max(len(line[i]) for line in [list(FIELDS), *cells]) for i in range(len(FIELDS))]
    for line in [list(FIELDS), *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def main() -> None:
    names, options = sys.argv[1:] or list(BENCHMARKS), []
    if names[0] in WITH_OPTIONS and names[1:2] and names[1].startswith("-"):
        names, options = names[:1], names[1:]
    unknown = [name for name in names if name not in BENCHMARKS + LONG]
    if unknown:
        raise SystemExit(f"bench: no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS + LONG)}")
    rows: list[dict[str, object]] = []
    for name in names:
        started = time.monotonic()
        print(f"-- {name}", flush=True)
        rows += measure(name, options)
        print(f"   {time.monotonic() - started:.0f} s", flush=True)
    if not (len(names) == 1 and names[0] in WITH_OPTIONS) or (names == ["killtest"] and not options):
        print()
        show(rows)
    target = ROOT / "build" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(rows, indent=1) + "\n")
    print(f"\nwritten to {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
