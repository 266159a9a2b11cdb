"""Which test covers each documented example of the exchanges in ../shared/fixtures, or why none does.

    python -m tests.documented              the table; exit code 1 if a public example is in neither
    python -m tests.documented --exchange kraken

A test module declares what it covers, or leaves out and why, as ``DOCUMENTED = Documented(...)``; it is found by that.
A declared test must be one of that module. Examples of accounts may be declared as well, but need not be.
"""

import argparse
import ast
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.shared import ROOT, SHARED

FIXTURES = SHARED / "fixtures"
PRIVATE = {
    *("Account", "CopyTrading", "CryptoLoan", "Earn", "FuturesAccount", "FuturesTrading", "General", "Private"),
    *("SpotAccount", "SpotApi", "SpotEarn", "SpotTrading", "SubAccount", "SubAccounts", "Trading"),
}
"""Folders of an account's side."""


class Documented(NamedTuple):
    """Of one module, by path below ``folder`` (an exchange's): which test covers an example, or why none does."""

    folder: str
    tests: Mapping[str, str]
    unused: Mapping[str, str] = {}


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
            known = {
                node.name
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
            }
            yield name, known, importlib.import_module(name).DOCUMENTED


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
        reasons |= {f"{declared.folder}/{path}": reason for path, reason in declared.unused.items()}
    faults += [f"{path} is declared, but is not there." for path in sorted({*by, *reasons} - files)]
    faults += [f"{path} is covered and left out at once." for path in sorted({*by} & {*reasons})]
    rows = [
        Row(path, is_public(Path(path)), ", ".join(by.get(path, [])), reasons.get(path, "")) for path in sorted(files)
    ]
    faults += [f"{row.path} is covered by no test, and nothing says why." for row in rows if _missing(row)]
    return rows, faults


def _missing(row: Row) -> bool:
    return row.public and not row.by and not row.reason


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.documented", description=(__doc__ or "").partition("\n\n")[0]
    )
    parser.add_argument("--exchange", default="", help="this one alone")
    given = parser.parse_args(arguments)
    if not FIXTURES.exists():
        print("The fixtures are not in ../shared (or $SPREADBOARD_SHARED).", file=sys.stderr)
        return 2
    rows, faults = table()
    shown = [row for row in rows if row.path.startswith(given.exchange) and (row.public or row.by or row.reason)]
    width = max((len(row.path) for row in shown), default=0)
    for row in shown:
        print(f"{row.path:{width}}  {row.by or (f'not used: {row.reason}' if row.reason else 'IN NEITHER')}")
    covered, left = sum(bool(row.by) for row in shown), sum(bool(row.reason) for row in shown)
    private = sum(not row.public for row in rows if row not in shown and row.path.startswith(given.exchange))
    print(
        f"\n{len(shown)} examples: {covered} covered, {left} left out with a reason; {private} of accounts beside them"
    )
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
