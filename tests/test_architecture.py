"""The house rules of docs/architecture.md, read from the imports and held here."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from feeds import accounts, exchanges

ROOT = Path(__file__).resolve().parents[1]
PYTHON_LINES, SCRIPT_LINES = 400, 300

LAYERS: list[tuple[str, ...]] = [
    # values and errors, what time it is, which machine is this one
    ("domain", "account_domain", "errors", "clock", "hosts"),
    # what an exchange, an account, a book, a connection's parts are
    ("book", "sync", "levels", "bars", "led_bars", "topics", "pacing", "latency", "ledger", "settings_table"),
    ("exchange", "reading", "bar_polls", "account", "account_store", "account_reading", "account_facts"),
    ("trading", "tickets", "keys"),
    ("recordings.tap", "recordings.findings", "recordings.redaction", "buffer", "budget", "rest", "history", "wire"),
    # one exchange each
    ("exchanges", "accounts"),
    # one connection, and a frame for each topic
    ("staleness", "publisher", "stream", "link"),
    # what several exchanges show together: pure, of whatever holds a book
    ("across.fees", "across.walk", "across.legs", "across.matrix", "across.pairs", "across.arbitrage"),
    ("across.consolidated", "across.settings"),
    # the settings
    ("demo", "account_config", "config", "longtail.settings", "longtail.library", "longtail.convert"),
    # one exchange at work, of whichever kind it is
    ("markets", "longtail", "poller"),
    ("across.together",),
    # one account at work, and what all of them are worth
    ("worth.risk", "worth.moves", "worth.cost", "worth.pricing"),
    ("worth.portfolio",),
    ("worth.holdings",),
    ("worth.today",),
    ("following", "worth.wealth"),
    # a recording in the place of an exchange
    ("recordings",),
    # all of it put together
    ("state", "board", "engine", "recordings.record", "recordings.recorder", "recordings.verify"),
]
"""The modules of ``feeds``, lowest first; of two names that fit the longer one counts. Each imports from its own layer
and those before it. ``simulator`` stands beside them: it is the other side of the wire."""

WEB = [
    "dashboard.views",
    "dashboard.api",
    "dashboard.api_across",
    "dashboard.api_holdings",
    "dashboard.api_user",
    "dashboard.consumers",
    "dashboard.relay",
]
WORKERS_ONLY = ["feeds.engine", "feeds.stream", "feeds.markets", "feeds.following", "feeds.exchanges", "feeds.accounts"]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for folder in ("feeds", "dashboard") for path in (ROOT / folder).rglob("*.py")}
FEEDS = sorted(name for name in MODULES if name.startswith("feeds."))


def runs(node: ast.AST, *, types: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports below ``node``; those under ``if TYPE_CHECKING`` only if ``types``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for part in child.body if types else []:
                yield from runs(ast.Module([part], []), types=types)
            for part in child.orelse:
                yield from runs(ast.Module([part], []), types=types)
        else:
            yield from runs(child, types=types)


def imports_of(source: str, module: str, *, is_package: bool = False, types: bool = True) -> set[str]:
    """Full names of what the source of ``module`` imports: our modules, and the packages of others."""
    found = set()
    for node in runs(ast.parse(source), types=types):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
            continue
        base = node.module or ""
        if node.level:
            package = module.split(".")[: None if is_package and node.level == 1 else -node.level + is_package]
            base = ".".join([*package, *filter(None, [node.module])])
        for alias in node.names:
            full = f"{base}.{alias.name}"
            found.add(full if full in MODULES else base)
    return found


@cache
def imports(module: str, *, types: bool = True) -> set[str]:
    path = MODULES[module]
    return imports_of(path.read_text("utf-8"), module, is_package=path.name == "__init__.py", types=types)


def layer(module: str) -> int:
    name = module.removeprefix("feeds.")
    while name:
        for number, names in enumerate(LAYERS):
            if name in names:
                return number
        name = name.rpartition(".")[0]
    raise AssertionError(f"{module} has no layer: add it to LAYERS, and to docs/architecture.md if it is new")


def inside(module: str, packages: list[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def exchange_of(module: str) -> str | None:
    """Whose adapter a module is: feeds.exchanges.kraken_messages and feeds.accounts.kraken.rest are Kraken's."""
    parts = module.split(".")
    return parts[2].partition("_")[0] if len(parts) > 2 and parts[1] in ("exchanges", "accounts") else None


class TestTheReaderOfImports:
    def test_every_form(self) -> None:
        source = """
import asyncio, os.path
import feeds.book as b
from feeds import domain, errors as e
from feeds.exchanges.kraken import Kraken
from . import sync
from .exchanges import binance
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from feeds.markets.market import MarketFeed
def late():
    from django.conf import settings
"""
        found = imports_of(source, "feeds.venue")
        assert found == {
            *("asyncio", "os.path", "typing", "django.conf"),
            *("feeds.book", "feeds.domain", "feeds.errors", "feeds.exchanges.kraken", "feeds.sync"),
            *("feeds.exchanges.binance", "feeds.markets.market"),
        }
        assert "feeds.markets.market" not in imports_of(source, "feeds.venue", types=False)
        assert "django.conf" in imports_of(source, "feeds.venue", types=False)

    def test_relative_ones_of_a_package(self) -> None:
        assert imports_of("from .kraken import Kraken", "feeds.exchanges", is_package=True) == {
            "feeds.exchanges.kraken"
        }
        assert imports_of("from ..book import OrderBook", "feeds.exchanges", is_package=True) == {"feeds.book"}
        assert imports_of("from ..book import OrderBook", "feeds.exchanges.kraken") == {"feeds.book"}

    def test_there_is_something_to_read(self) -> None:
        assert {"feeds.book", "feeds.exchanges.kraken", "feeds.simulator.kraken", "dashboard.views"} <= set(MODULES)
        assert "feeds.domain" in imports("feeds.book")


class TestFeeds:
    @pytest.mark.parametrize("module", FEEDS)
    def test_knows_no_web(self, module: str) -> None:
        foreign = {name.partition(".")[0] for name in imports(module)}
        assert not foreign & {"django", "channels", "channels_redis", "daphne", "asgiref", "dashboard", "tests"}

    @pytest.mark.parametrize("module", FEEDS)
    def test_one_door_to_ccxt(self, module: str) -> None:
        """It is optional: nobody imports it but the long tail's library, and that only within its functions."""
        if module != "feeds.longtail.library":
            assert not any(inside(name, ["ccxt"]) for name in imports(module))
            return
        tree = ast.parse(MODULES[module].read_text("utf-8"))
        assert not any(isinstance(node, ast.Import) and "ccxt" in ast.unparse(node) for node in tree.body)

    @pytest.mark.parametrize("module", [name for name in FEEDS if not inside(name, ["feeds.simulator"])])
    def test_layers(self, module: str) -> None:
        for other in imports(module):
            if inside(other, ["feeds"]) and other != "feeds":
                assert not inside(other, ["feeds.simulator"]), f"{module} imports the simulator"
                assert layer(other) <= layer(module), f"{module} imports {other}, which is above it"

    @pytest.mark.parametrize("module", [name for name in FEEDS if inside(name, ["feeds.simulator"])])
    def test_the_simulator_shares_nothing_with_the_adapters(self, module: str) -> None:
        """An adapter that meets its own code on the other side would prove nothing."""
        ours = {name for name in imports(module) if inside(name, ["feeds"])}
        assert ours <= {name for name in ours if inside(name, ["feeds.simulator", "feeds.domain", "feeds.errors"])}

    @pytest.mark.parametrize("module", [name for name in FEEDS if exchange_of(name)])
    def test_exchanges_do_not_know_each_other(self, module: str) -> None:
        for other in imports(module):
            assert exchange_of(other) in (None, exchange_of(module)), f"{module} imports {other}"
            assert other not in ("feeds.exchanges", "feeds.accounts"), f"{module} imports the registry"

    def test_no_circles(self) -> None:
        """Of imports at run time; a name for a type alone may point back."""
        below = {name: {other for other in imports(name, types=False) if other in MODULES} for name in FEEDS}
        done: set[str] = set()

        def visit(name: str, path: list[str]) -> None:
            assert name not in path, "a circle of imports: " + " -> ".join([*path[path.index(name) :], name])
            if name not in done:
                for other in sorted(below.get(name, ())):
                    visit(other, [*path, name])
                done.add(name)

        for name in FEEDS:
            visit(name, [])


class TestWeb:
    @pytest.mark.parametrize("module", [name for name in WEB if name in MODULES])
    def test_talks_to_the_worker_by_messages_only(self, module: str) -> None:
        """Neither directly nor through another module of ours."""
        seen, to_do = set(), [(module, module)]
        while to_do:
            name, way = to_do.pop()
            if name in seen:
                continue
            seen.add(name)
            assert not inside(name, WORKERS_ONLY), f"{way}: the web side must not reach into the worker"
            to_do += [(other, f"{way} -> {other}") for other in imports(name, types=False) if other in MODULES]


class TestExchanges:
    """A new exchange touches four places: its file, a line in the registry, its test, its simulator."""

    @pytest.mark.parametrize("package", [exchanges, accounts])
    def test_the_registries_are_complete(self, package: object) -> None:
        name = getattr(package, "__name__", "")
        files = {exchange_of(module) for module in MODULES if module.startswith(f"{name}.")}
        assert files == set(getattr(package, "REGISTRY", {}))

    @pytest.mark.parametrize("exchange", sorted(exchanges.REGISTRY))
    def test_has_a_test_and_a_simulator(self, exchange: str) -> None:
        assert list((ROOT / "tests/feeds").glob(f"test_{exchange}*.py"))
        assert f"feeds.simulator.{exchange}" in MODULES


def sources() -> list[tuple[Path, int]]:
    """Every file we wrote, and the lines it may have. Migrations are generated."""
    python = [path for name, path in MODULES.items() if ".migrations." not in name]
    scripts = [path for path in (ROOT / "static").rglob("*.js") if "vendor" not in path.parts]
    return [*((path, PYTHON_LINES) for path in python), *((path, SCRIPT_LINES) for path in scripts)]


@pytest.mark.parametrize(("path", "limit"), sources(), ids=lambda value: value.name if isinstance(value, Path) else "")
def test_files_stay_short(path: Path, limit: int) -> None:
    lines = len(path.read_text("utf-8").splitlines())
    assert lines <= limit, f"{path.relative_to(ROOT)} has {lines} lines, more than {limit}: one concern per file"
