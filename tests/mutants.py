"""Does the test that is named for an example look at its figures? One of them is changed, and the test must fail.

    python -m tests.documented --mutate 40             so many figures of accounts' examples, drawn by --seed
    python -m tests.documented --mutate 0              all there are

A figure is a number, or a text that is one; its last digit is changed. Not every figure is read: a change of one after
which the adapter's ``parse...`` return just what they returned before (``tests/probe.py`` looks) says nothing of a
test. Drawn are those under names that a struct of the exchange's account package has, in objects that it fits, or
under names that are data (assets). Examples are copied: nothing in ../shared is touched. In one run every test
has at most one changed example, so that none hides what another should have noticed.
"""

import ast
import importlib
import json
import os
import pkgutil
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from feeds import accounts
from tests.shared import ROOT, SHARED

PACKAGES = {"kraken": ("kraken", "krakenfutures")}
"""Folder of examples -> packages of ``feeds.accounts``, where they are called otherwise."""

JUDGED_BEFORE = {"code"}
"""Says whether an answer is an error, which is judged before the answer is read, by tests of its own."""

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}\[\],:])')
_FIGURE = re.compile(r"-?\d+(\.\d+)?")


class Figure(NamedTuple):
    """One figure of an example: where its last digit stands in the file, under which name, and which tests cover it."""

    path: str
    name: str
    at: int
    tests: tuple[str, ...]  # node ids

    def change(self, text: str) -> str:
        return f"{text[: self.at]}{(int(text[self.at]) + 1) % 10}{text[self.at + 1 :]}"


# -- which figures -----------------------------------------------------------------------------------------------------


@cache
def structs(folder: str) -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
    """Of each struct in the account packages of these examples: the names that it needs, and all that it reads."""
    found: dict[type, tuple[frozenset[str], frozenset[str]]] = {}
    for package in PACKAGES.get(folder, (folder,)):
        name = f"{accounts.__name__}.{package}"
        modules = [importlib.import_module(name)]
        modules += [
            importlib.import_module(f"{name}.{each.name}") for each in pkgutil.iter_modules(modules[0].__path__)
        ]
        for kind in (value for module in modules for value in vars(module).values()):
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__module__.startswith(name):
                fields = msgspec.structs.fields(kind)
                needed = frozenset(field.encode_name for field in fields if field.required)
                found[kind] = needed, frozenset(field.encode_name for field in fields)
    return tuple(found.values())


def read_names(folder: str, keys: frozenset[str]) -> frozenset[str]:
    """Of an object's names those that are read; all of them if no struct knows any, as its names are data then."""
    fitting = [names for needed, names in structs(folder) if needed <= keys and names & keys]
    return frozenset().union(*fitting) & keys if fitting else keys


def figures(folder: str, text: str) -> list[tuple[str, int]]:
    """Name and place of the last digit of every figure that is read, in the examples' answers and frames."""
    found: list[tuple[str, int]] = []
    for start in _documents(text):
        _Reader(folder, text, start, found).value("", True)
    return found


def _documents(text: str) -> Iterator[int]:
    """Where a JSON document begins that the exchange sends: not what is sent to it, nor what comes before."""
    end = 0
    for match in re.finditer(r"^(=?[ \t]*)([\[{])", text, re.MULTILINE):
        if match.start() < end:
            continue
        try:
            _, end = json.JSONDecoder().raw_decode(text, match.start(2))
        except ValueError:
            continue
        yield match.start(2)


class _Reader:
    """Reads one JSON document by its tokens, as their places are wanted."""

    def __init__(self, folder: str, text: str, start: int, found: list[tuple[str, int]]) -> None:
        self._folder = folder
        self._text = text
        self._at = start
        self._found = found

    def _next(self) -> tuple[str, int]:
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            raise ValueError(f"no JSON at {self._at}: {self._text[self._at : self._at + 40]!r}")
        self._at = match.end()
        return match[1], match.start(1)

    def value(self, name: str, read: bool) -> None:
        token, start = self._next()
        if token == "{":
            self._object(start, read)
        elif token == "[":
            while self._peek() != "]":
                self.value(name, read)
                if self._peek() == ",":
                    self._next()
            self._next()
        elif read and _FIGURE.fullmatch(token.strip('"')):
            self._found.append((name, start + len(token.rstrip('"')) - 1))

    def _object(self, start: int, read: bool) -> None:
        keys = frozenset(json.JSONDecoder().raw_decode(self._text, start)[0])
        names = read_names(self._folder, keys) if read else frozenset()
        while self._peek() != "}":
            key, _ = self._next()
            self._next()  # ":"
            self.value(key.strip('"'), key.strip('"') in names)
            if self._peek() == ",":
                self._next()
        self._next()

    def _peek(self) -> str:
        at = self._at
        token, _ = self._next()
        self._at = at
        return token


@cache
def nodes(path: Path, name: str) -> tuple[str, ...]:
    """What pytest calls the tests of this name, which may be that of a method or of a class and its method."""
    found = []

    def look(tree: ast.Module | ast.ClassDef, within: str) -> None:
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                look(node, f"{within}{node.name}::")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                full = f"{within}{node.name}"
                if full == name.replace(".", "::") or node.name == name:
                    found.append(f"{path.relative_to(ROOT).as_posix()}::{full}")

    look(ast.parse(path.read_text("utf-8")), "")
    return tuple(found)


def all_figures(rows: Sequence[Any], modules: Mapping[str, Path], exchange: str) -> list[Figure]:
    """Of the accounts' examples that a test covers. ``rows`` are those of ``tests.documented``, ``modules`` where each
    module's file is."""
    found = []
    for row in rows:
        if row.public or not row.by or not row.path.startswith(exchange):
            continue
        tests: list[str] = []
        for each in row.by.split(", "):
            module, _, name = each.partition(".")
            tests += nodes(modules[module], name)
        text = (SHARED / "fixtures" / row.path).read_text("utf-8-sig")
        places = figures(row.path.partition("/")[0], text)
        found += [Figure(row.path, name, at, tuple(tests)) for name, at in places if name not in JUDGED_BEFORE]
    return found


# -- running -----------------------------------------------------------------------------------------------------------


def rounds(chosen: Sequence[Figure]) -> list[list[Figure]]:
    """So put together that in no round two share an example or a test."""
    result: list[tuple[set[str], list[Figure]]] = []
    for figure in chosen:
        mine = {figure.path, *figure.tests}
        for taken, members in result:
            if not taken & mine:
                taken |= mine
                members.append(figure)
                break
        else:
            result.append((set(mine), [figure]))
    return [members for _, members in result]


class Outcome(NamedTuple):
    """Of one test, over all its parameters."""

    failed: bool
    read: frozenset[str]  # hashes of what the adapters returned


def run(shared: Path, tests: Sequence[str]) -> dict[str, Outcome]:
    """These tests with the examples there. Raises RuntimeError if one is not run at all."""
    log = shared / "probe.log"
    log.unlink(missing_ok=True)
    plugins = ("-p", "no:cacheprovider", "-p", "tests.probe")
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=no", *plugins, *tests]
    env = {**os.environ, "SPREADBOARD_SHARED": str(shared), "SPREADBOARD_PROBE": str(log), "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    failed: dict[str, bool] = {}
    for word, node in re.findall(r"^(PASSED|FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE):
        failed[_test(node)] = failed.get(_test(node), False) or word != "PASSED"
    if missing := sorted(set(tests) - failed.keys()):
        raise RuntimeError(f"{', '.join(missing)}: not run\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
    read: dict[str, set[str]] = {}
    for line in log.read_text("utf-8").splitlines():
        digest, _, node = line.partition(" ")
        read.setdefault(_test(node), set()).add(f"{digest} {node}")
    return {test: Outcome(failed[test], frozenset(read[test])) for test in tests}


def _test(node: str) -> str:
    """Without its parameters."""
    return node.partition("[")[0]


class Found(NamedTuple):
    """``unread``: their change makes no difference to what the adapters return."""

    noticed: list[Figure]
    survived: list[Figure]
    unread: list[Figure]


def _changed(shared: Path, members: Sequence[Figure]) -> dict[str, Outcome]:
    """The tests of these figures with them changed; the examples are as they were afterwards."""
    for figure in members:
        path = shared / "fixtures" / figure.path
        path.write_text(figure.change((SHARED / "fixtures" / figure.path).read_text("utf-8-sig")), "utf-8")
    outcomes = run(shared, sorted({test for figure in members for test in figure.tests}))
    for figure in members:
        shutil.copyfile(SHARED / "fixtures" / figure.path, shared / "fixtures" / figure.path)
    return outcomes


def judge(chosen: Sequence[Figure]) -> Found:
    """Change each. Raises RuntimeError if a test fails even without one."""
    found = Found([], [], [])
    with tempfile.TemporaryDirectory(prefix="spreadboard-mutants-") as folder:
        shared = Path(folder)
        for each in SHARED.iterdir():
            if each.name != "fixtures":
                (shared / each.name).symlink_to(each)
        shutil.copytree(SHARED / "fixtures", shared / "fixtures", copy_function=shutil.copyfile)
        for place in (shared / "fixtures", *(shared / "fixtures").rglob("*")):
            place.chmod(0o755)
        usual = run(shared, sorted({test for figure in chosen for test in figure.tests}))
        if broken := sorted(test for test, outcome in usual.items() if outcome.failed):
            raise RuntimeError(f"These fail with the examples as they are: {', '.join(broken)}")

        def file(figure: Figure, now: Mapping[str, Outcome], otherwise: list[Figure]) -> None:
            if any(now[test].failed for test in figure.tests):
                found.noticed.append(figure)
            elif all(now[test].read == usual[test].read for test in figure.tests):
                found.unread.append(figure)
            else:
                otherwise.append(figure)

        suspects: list[Figure] = []
        for members in rounds(chosen):
            now = _changed(shared, members)
            for figure in members:
                file(figure, now, suspects)
        for figure in suspects:  # alone: a test may read an example that another one is named for
            file(figure, _changed(shared, [figure]), found.survived)
    return found


def drawn(found: Sequence[Figure], count: int, seed: int) -> list[Figure]:
    """``count`` of them, of as many examples as there can be; 0: all."""
    rng = random.Random(seed)
    shuffled = rng.sample(found, len(found))
    if count == 0:
        return shuffled
    seen: dict[str, int] = {}
    order = []
    for figure in shuffled:
        seen[figure.path] = seen.get(figure.path, 0) + 1
        order.append((seen[figure.path], len(order), figure))
    return [figure for _, _, figure in sorted(order, key=lambda each: each[:2])[:count]]
