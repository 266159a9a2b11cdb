"""Which test covers each documented example of the exchanges in ../shared/fixtures, or why none does.

    python -m tests.documented              the table; exit code 1 if an example is in neither
    python -m tests.documented --exchange kraken
    python -m tests.documented --mutate 40  changes figures of accounts' examples: does each test notice?

A test module declares what it covers, or leaves out and why, as ``DOCUMENTED = Documented(...)``; it is found by that.
A declared test must be one of that module: ``test_this``, or ``TestThat.test_this`` where a name stands for several.
What is left out may be a pattern, for groups of requests that nothing here makes; it must fit an example, and none that
a test covers. The counts are by folder: some private streams stand among the public ones.
"""

import argparse
import ast
import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from tests import mutants
from tests.shared import ROOT, SHARED

FIXTURES = SHARED / "fixtures"
PRIVATE = {
    *("Account", "CopyTrading", "CryptoLoan", "Earn", "FuturesAccount", "FuturesTrading", "General", "Private"),
    *("SpotAccount", "SpotApi", "SpotEarn", "SpotTrading", "SubAccount", "SubAccounts", "Trading"),
}
"""Folders of an account's side."""


class Documented(NamedTuple):
    """Of one module, by path below ``folder`` (an exchange's): which test covers an example, or why none does.

    Paths of ``unused`` may be patterns as those of :mod:`fnmatch`.
    """

    folder: str
    tests: Mapping[str, str]
    unused: Mapping[str, str] = {}


def because(folder: str, reasons: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """For ``unused``: the reason of each example, from the names or patterns that share one."""
    return {f"{folder}{name}.txt": reason for reason, names in reasons.items() for name in names}


def below(folder: str, names: str) -> list[str]:
    """The paths of several examples in one folder."""
    return [f"{folder}/{name}.txt" for name in names.split()]


class Row(NamedTuple):
    path: str
    public: bool
    by: str  # module and test, "" if there is none
    reason: str  # why there is none


def is_public(path: Path) -> bool:
    """Is an example of public data? ``path`` is relative to the fixtures."""
    parts = path.parts[1:-1]
    return not PRIVATE & set(parts) and parts[:2] != ("Socket", "UnifiedApi")


def declarations() -> Iterator[tuple[str, set[str], Documented]]:
    """Module, its tests, and what it declares."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text("utf-8")
        if "DOCUMENTED = Documented(" in text:
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name, set(_tests(ast.parse(text))), importlib.import_module(name).DOCUMENTED


def _tests(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{name}" for name in _tests(ast.Module(node.body, [])))


def table() -> tuple[list[Row], list[str]]:
    """All examples, and what is wrong with the declarations, as sentences."""
    files = {path.relative_to(FIXTURES).as_posix() for path in FIXTURES.rglob("*") if path.is_file()}
    by: dict[str, list[str]] = {}
    reasons: dict[str, str] = {}
    faults = []
    for module, known, declared in declarations():
        for path, test in declared.tests.items():
            by.setdefault(f"{declared.folder}/{path}", []).append(f"{module.rpartition('.')[2]}.{test}")
            if test not in known:
                faults.append(f"{module} declares {test}, which is not there.")
        for path, reason in declared.unused.items():
            full = f"{declared.folder}/{path}"
            for fits in [name for name in files if fnmatchcase(name, full)] or [full]:
                reasons.setdefault(fits, reason)
    faults += [f"{path} is declared, but is not there." for path in sorted({*by, *reasons} - files)]
    faults += [f"{path} is covered and left out at once." for path in sorted({*by} & {*reasons})]
    rows = [
        Row(path, is_public(Path(path)), ", ".join(by.get(path, [])), reasons.get(path, "")) for path in sorted(files)
    ]
    faults += [f"{row.path} is covered by no test, and nothing says why." for row in rows if _missing(row)]
    return rows, faults


def _missing(row: Row) -> bool:
    return not row.by and not row.reason


def _counts(exchange: str, public: bool, rows: Sequence[Row]) -> str:
    chosen = [row for row in rows if row.path.startswith(f"{exchange}/") and row.public is public]
    covered, left = sum(bool(row.by) for row in chosen), sum(bool(row.reason) for row in chosen)
    missing = sum(map(_missing, chosen))
    return f"{len(chosen):4} examples: {covered:3} covered, {left:3} left out with a reason, {missing:3} in neither"


def _mutate(rows: Sequence[Row], exchange: str, count: int, seed: int) -> int:
    modules = {path.stem: path for path in (ROOT / "tests").rglob("test_*.py")}
    found = mutants.all_figures(rows, modules, exchange)
    chosen = mutants.drawn(found, count, seed)
    noticed, survived, unread = mutants.judge(chosen)
    for figure in sorted(survived):
        print(f"{figure.path}: another {figure.name} is not noticed by {', '.join(figure.tests)}")
    told = f"{len(noticed)} noticed, {len(unread)} are not read, {len(survived)} not noticed"
    print(f"{len(chosen)} of {len(found)} figures changed, in {len({f.path for f in chosen})} examples: {told}")
    return 1 if survived else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.documented", description=(__doc__ or "").partition("\n\n")[0]
    )
    parser.add_argument("--exchange", default="", help="this one alone")
    parser.add_argument("--mutate", type=int, metavar="N", help="change N figures, 0: all (see tests/mutants.py)")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn to be changed (1)")
    given = parser.parse_args(arguments)
    if not FIXTURES.exists():
        print("The fixtures are not in ../shared (or $SPREADBOARD_SHARED).", file=sys.stderr)
        return 2
    rows, faults = table()
    if given.mutate is not None:
        return _mutate(rows, given.exchange, given.mutate, given.seed)
    shown = [row for row in rows if row.path.startswith(given.exchange)]
    width = max((len(row.path) for row in shown), default=0)
    for row in shown:
        print(f"{row.path:{width}}  {row.by or (f'not used: {row.reason}' if row.reason else 'IN NEITHER')}")
    print()
    for exchange in sorted({row.path.partition("/")[0] for row in shown}):
        for public, side in ((True, "public"), (False, "of accounts")):
            print(f"{exchange:10}{side:12}{_counts(exchange, public, shown)}")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
