"""spreadboard.toml: which exchanges, which markets are always open, and how patient we are.

A wrong file, key, exchange, product, symbol or value raises ConfigError with one sentence that names file, key, value
and what is allowed. Secrets are never in the file: an account ``[accounts.main]`` takes them from the environment
(``SPREADBOARD_MAIN_KEY``, ``SPREADBOARD_MAIN_SECRET``, ``SPREADBOARD_MAIN_PASSPHRASE``).

``spreadboard.toml.example`` shows every key with its default.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from feeds import accounts, demo, exchanges
from feeds.account import Credentials
from feeds.account_config import AccountConfig, account_configs
from feeds.across.settings import AcrossConfig, across_config
from feeds.domain import INTERVALS
from feeds.errors import ConfigError
from feeds.longtail import convert
from feeds.longtail.settings import KEYS as CCXT_KEYS
from feeds.longtail.settings import VIA_CCXT, check_exchange
from feeds.settings_table import NAME, Table, no_secrets, symbols_of, variable

WS_API_PATHS: Mapping[str, str] = {"binance": "/ws-api/v3"}
"""Where the WebSocket API is below a ``ws_url`` that stands in for the whole exchange."""

_EXCHANGE_KEYS = (
    "enabled",
    "simulated",
    "products",
    "pinned",
    "candles",
    "ws_url",
    "rest_url",
    "ws_api_url",
    "trading_url",
    "stale_s",
    "reconnect_s",
    "buffer_frames",
    "book_depth",
    "budget_share",
    "life_s",
    "renew_at",
    "poll_s",
    "poll_after_s",
    "poll_attempts",
    "alarm_factor",
    "alarm_s",
)
_PRODUCT_KEYS = ("ws_url", "rest_url", "ws_api_url", "trading_url")
_FEEDS_KEYS = ("depth", "conflation_ms", "linger_s", "save_s", "state_dir")


class ExchangeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange. ``endpoints`` holds overrides only ("<product>.ws", "<product>.rest", "<product>.ws_api",
    "<product>.trading"); ``pinned`` markets are always open, whether they exist is known once the instruments are
    loaded. ``credentials`` are for market data that need a key (``Facts.needs_key``)."""

    name: str
    enabled: bool = True
    simulated: bool = False
    replay: bool = False  # a recording is played; no key of the file
    products: tuple[str, ...]
    endpoints: Mapping[str, str] = {}
    pinned: tuple[str, ...] = ()
    candles: tuple[str, ...] = ("1m",)
    stale_s: float = 5.0
    reconnect_s: float = 30.0
    buffer_frames: int = 10_000
    book_depth: int | None = None
    budget_share: float = 0.5
    life_s: float | None = None  # age at which connections end; None: what the exchange documents
    renew_at: float = 0.9  # connections are replaced at this share of that age
    poll_s: float = 5.0  # books of markets whose stream keeps failing are asked for by REST this often; 0: never
    poll_after_s: float = 30.0  # without a live book for so long, or
    poll_attempts: int = 5  # after so many attempts
    alarm_factor: float = 5.0  # a stream is late from so many times its usual latency on; 0: never
    alarm_s: float = 10.0  # if it lasts for so long
    via: str = ""  # "ccxt": followed through that library, else by an adapter of ours
    ccxt: Mapping[str, object] = {}  # what ccxt's object is set to
    options: Mapping[str, str | tuple[str, ...]] = {}  # the adapter's own, see Facts.options
    credentials: Credentials | None = None

    @property
    def built_in(self) -> bool:
        """It is the built-in simulator's: no address says that it stands elsewhere."""
        return self.simulated and not (self.replay or self.via or self.endpoints)

    @property
    def key_env(self) -> str:
        return variable(self.name, "KEY")

    @property
    def secret_env(self) -> str:
        return variable(self.name, "SECRET")

    def no_key(self, variable: str) -> ConfigError:
        """The error to raise where market data need a key and there is none."""
        return ConfigError(
            f"exchanges.{self.name}: its market data need a key, and the environment variable {variable} is not set"
        )

    def with_key(self, env: Mapping[str, str]) -> "ExchangeConfig":
        """With the key from the environment. Raises ConfigError naming a variable that is not set."""
        for name in (self.key_env, self.secret_env):
            if not env.get(name, "").strip():
                raise self.no_key(name)
        key = Credentials(key=env[self.key_env].strip(), secret=env[self.secret_env].strip())
        return msgspec.structs.replace(self, credentials=key)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in the file, checked."""

    path: Path | None  # None: the built-in demo
    exchanges: Mapping[str, ExchangeConfig]  # enabled ones only
    accounts: tuple[AccountConfig, ...] = ()
    depth: int = 25
    conflation_ms: int = 50
    linger_s: float = 30.0
    save_s: float = 5.0
    state_dir: Path = Path("var/state")
    across: AcrossConfig = AcrossConfig()
    demo: bool = False


DEMO = tuple(
    ExchangeConfig(name=name, simulated=True, products=products, pinned=tuple(pinned.split()))
    for name, (products, pinned) in demo.MARKETS.items()
)
"""Without a file: exchanges that are all made up."""

DEMO_ACROSS = AcrossConfig(watch=("matrix@0.1:BTC/USDT", "matrix@2:ETH/USDT"))


def load_config(path: Path | None, env: Mapping[str, str]) -> Config:
    """Read and check; ``path`` None is the demo. Raises ConfigError naming file, key, value and what is allowed.

    ``env`` gives SPREADBOARD_VAR, the folder for what is kept, and the keys of exchanges whose market data need one;
    those of accounts are not read here.
    """
    var = Path(env.get("SPREADBOARD_VAR") or "var")
    if path is None:
        exchanges_shown = {e.name: e for e in DEMO}
        return Config(path=None, exchanges=exchanges_shown, state_dir=var / "state", across=DEMO_ACROSS, demo=True)
    root = Table(path.name, "", _read(path), ("feeds", "exchanges", "accounts", "across", "fees"))
    feeds = root.table("feeds", _FEEDS_KEYS)
    depth = feeds.whole("depth", 25, 1, 1000)
    found = [_exchange(root.file, name, content, depth) for name, content in root.tables("exchanges")]
    enabled = {
        exchange.name: exchange.with_key(env) if _needs_key(exchange) else exchange
        for exchange in found
        if exchange.enabled
    }
    if not enabled:
        raise ConfigError(f"{root.file}: exchanges: none is enabled; add a table [exchanges.<name>]")
    state_dir = feeds.text("state_dir", "")
    return Config(
        path=path,
        exchanges=enabled,
        accounts=account_configs(root, _followed(enabled)),
        depth=depth,
        conflation_ms=feeds.whole("conflation_ms", 50, 10, 1000, "milliseconds"),
        linger_s=feeds.number("linger_s", 30.0, 0, 3600, "seconds"),
        save_s=feeds.number("save_s", 5.0, 1, 3600, "seconds"),
        state_dir=path.parent / state_dir if state_dir else var / "state",
        across=across_config(root, {exchange.name: exchange.products for exchange in enabled.values()}),
    )


def _read(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name}: is not valid TOML: {error}") from error


def _needs_key(exchange: ExchangeConfig) -> bool:
    """Are its market data for signed-in clients only? Through ccxt those of everybody are asked for, and the built-in
    simulator's key is built in as well."""
    return not exchange.via and not exchange.built_in and exchanges.create(exchange.name).facts.needs_key


def _exchange(file: str, name: str, content: object, depth: int) -> ExchangeConfig:
    path = f"exchanges.{name}"
    if isinstance(content, dict) and "via" in content:
        return _exchange_by_ccxt(Table(file, path, content, CCXT_KEYS), name)
    if name not in exchanges.REGISTRY:
        raise ConfigError(
            f"{file}: {path}: no such exchange; allowed are {', '.join(sorted(exchanges.REGISTRY))}, "
            f'and with via = "{VIA_CCXT}" those of ccxt'
        )
    adapter = exchanges.create(name)
    if adapter.facts.needs_key:
        no_secrets(file, path, name, content)
    own = ("options",) if adapter.facts.options else ()
    apart = _apart(adapter.endpoints, adapter.products)
    table = Table(file, path, content, (*_EXCHANGE_KEYS, *own, *adapter.products, *apart))
    products = table.texts("products", adapter.products, adapter.products, least=1)
    endpoints = _endpoints(table, adapter.endpoints, (*adapter.products, *apart))
    common = _of_every_exchange(table, products, adapter.facts.cash_products)
    return ExchangeConfig(
        name=name,
        products=products,
        endpoints=endpoints,
        buffer_frames=table.whole("buffer_frames", 10_000, 100, 1_000_000, "frames"),
        book_depth=_book_depth(table, name, adapter.facts.book_depths, depth),
        budget_share=table.number("budget_share", 0.5, 0.05, 0.95),
        life_s=table.number("life_s", 0.0, 60, 7 * 86_400, "seconds") if "life_s" in table else None,
        renew_at=table.number("renew_at", 0.9, 0.1, 0.95),
        options=_options(table, name, adapter.facts.options),
        **common | {"simulated": _simulated(table, endpoints, adapter.endpoints, products)},
    )


def _exchange_by_ccxt(table: Table, name: str) -> ExchangeConfig:
    """One that is followed through ccxt, under ccxt's name of it."""
    if not NAME.fullmatch(name):
        raise ConfigError(f"{table.file}: {table.path}: must be ccxt's name of the exchange, like [exchanges.gate]")
    products = table.texts("products", convert.PRODUCTS, convert.PRODUCTS, least=1)
    common = _of_every_exchange(table, products)
    depth = table.whole("book_depth", 100, 1, 10_000) if "book_depth" in table else None
    settings = check_exchange(table, enabled=common["enabled"])
    return ExchangeConfig(name=name, via=VIA_CCXT, products=products, book_depth=depth, ccxt=settings, **common)


def _of_every_exchange(table: Table, products: tuple[str, ...], cash: tuple[str, ...] = ("spot",)) -> dict[str, Any]:
    """The keys that hold for an exchange however it is followed."""
    stale_s = table.number("stale_s", 5.0, 1, 3600, "seconds")
    reconnect_s = table.number("reconnect_s", 30.0, 2, 86_400, "seconds")
    if reconnect_s <= stale_s:
        raise table.wrong("reconnect_s", f"must be more than stale_s, which is {stale_s:g}")
    return {
        "enabled": table.flag("enabled", True),
        "simulated": table.flag("simulated", False),
        "pinned": symbols_of(table, "pinned", products, cash),
        "candles": table.texts("candles", ("1m",), tuple(INTERVALS)),
        "stale_s": stale_s,
        "reconnect_s": reconnect_s,
        "poll_s": table.number("poll_s", 5.0, 0, 600, "seconds"),
        "poll_after_s": table.number("poll_after_s", 30.0, 2, 3600, "seconds"),
        "poll_attempts": table.whole("poll_attempts", 5, 1, 100),
        "alarm_factor": _alarm_factor(table),
        "alarm_s": table.number("alarm_s", 10.0, 1, 600, "seconds"),
    }


def _simulated(table: Table, given: Mapping[str, str], known: Mapping[str, str], products: tuple[str, ...]) -> bool:
    """Made-up data by one way and real ones by another would all be marked as simulated."""
    simulated = table.flag("simulated", False)
    real = [name for name in known if name.partition(".")[0] in products and name not in given]
    if simulated and given and real:
        raise table.wrong("simulated", f"with addresses of its own it must have all of them; {', '.join(real)} is real")
    return simulated


def _alarm_factor(table: Table) -> float:
    factor = table.number("alarm_factor", 5.0, 0, 1000)
    if 0 < factor < 1.5:
        raise table.wrong("alarm_factor", "must be 0 (no alarm), or from 1.5 on: latencies vary")
    return factor


def _book_depth(table: Table, name: str, allowed: tuple[int, ...], depth: int) -> int | None:
    if "book_depth" not in table:
        return None
    if not allowed:
        having = ", ".join(each for each in exchanges.REGISTRY if exchanges.create(each).facts.book_depths)
        raise table.wrong("book_depth", f"{name} lets nobody choose; the key is for {having}")
    chosen = table.one_of("book_depth", allowed)
    if chosen < depth:
        raise table.wrong("book_depth", f"must be at least feeds.depth, which is {depth}")
    return chosen


def _options(table: Table, name: str, known: tuple[str, ...]) -> dict[str, str | tuple[str, ...]]:
    """The adapter's own options: texts and lists of texts. It judges their values itself, by a ValueError."""
    part = table.table("options", known)
    options: dict[str, str | tuple[str, ...]] = {}
    for key in known:
        if key in part:
            options[key] = part.texts(key, (), least=1) if part.is_list(key) else part.text(key, "")
            try:
                exchanges.create(name, None, **{key: options[key]})
            except ValueError as error:
                raise part.wrong(key, str(error)) from error
    return options


def _apart(known: Mapping[str, str], products: tuple[str, ...]) -> tuple[str, ...]:
    """The hosts that are none of a product, such as that of accounts over all of them."""
    return tuple(dict.fromkeys(host for key in known if (host := key.partition(".")[0]) not in products))


def _endpoints(table: Table, known: Mapping[str, str], products: tuple[str, ...]) -> dict[str, str]:
    """The overrides: those of the exchange for every product and host, then those of single ones."""
    overrides: dict[str, str] = {}
    for product in ("", *products):
        part = table.table(product, _PRODUCT_KEYS) if product else table
        for key, kind, schemes in (
            ("ws_url", "ws", ("ws", "wss")),
            ("rest_url", "rest", ("http", "https")),
            ("ws_api_url", "ws_api", ("ws", "wss")),
            ("trading_url", "trading", ("http", "https")),
        ):
            url = part.url(key, schemes)
            targets = [f"{p}.{kind}" for p in ((product,) if product else products) if f"{p}.{kind}" in known]
            if url is None:
                continue
            if not targets:
                raise part.wrong(key, f"there is no such address of {part.path.removeprefix('exchanges.')}")
            overrides.update(dict.fromkeys(targets, url))
            if kind == "ws" and "ws_api_url" not in part and "ws_api_url" not in table:
                path = WS_API_PATHS.get(table.path.removeprefix("exchanges."), "")
                moved = [f"{target}_api" for target in targets if f"{target}_api" in known]
                overrides.update(dict.fromkeys(moved, url.rstrip("/") + path))
    return overrides


def _followed(enabled: Mapping[str, ExchangeConfig]) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """The exchanges whose accounts can be followed: their products, and which of those are cash."""
    return {
        name: (each.products, exchanges.create(name).facts.cash_products)
        for name, each in enabled.items()
        if name in accounts.REGISTRY and not each.via
    }
