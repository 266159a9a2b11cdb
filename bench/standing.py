"""The product as a user starts it (``manage.py serve``), beside a simulator in a process of its own, with an account at
each of eight exchanges: what several measurements stand on."""

import asyncio
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from feeds.exchanges import create
from feeds.settings_table import variable
from feeds.simulator import DATA_KEY, DATA_SECRET, endpoints
from feeds.simulator.instruments import Instrument
from feeds.simulator.keys import ApiKey
from feeds.simulator.terms import Terms
from feeds.simulator.venues import REGISTRY
from tests.system.processes import Deployment, dashboard, free_port, process

MARKETS: Mapping[str, Mapping[str, str]] = {
    "binance": {"spot": "BTC/USDT", "usdm": "BTC/USDT:USDT"},
    "bybit": {"spot": "BTC/USDT", "linear": "BTC/USDT:USDT"},
    "okx": {"spot": "BTC/USDT", "swap": "BTC/USDT:USDT"},
    "coinbase": {"spot": "BTC/USD"},
    "kraken": {"spot": "BTC/USD"},
    "krakenfutures": {"futures": "BTC/USD:USD"},
    "lmex": {"spot": "BTC/USDT", "futures": "BTC/USDT:USDT"},
    "alpaca": {"crypto": "BTC/USD"},
}
"""Exchange -> product -> the market that is traded. These exchanges keep accounts."""
STARTED_S = 60.0


def terms_of(exchange: str) -> Terms:
    terms = REGISTRY[exchange].terms
    assert terms is not None  # those of MARKETS keep accounts
    return terms


def instrument(exchange: str, product: str, symbol: str) -> Instrument:
    """A market as the simulated exchange lists it."""
    return next(i for i in REGISTRY[exchange].listing if (i.product, i.symbol) == (product, symbol))


def config_text(port: int, exchanges: Sequence[str]) -> str:
    """A spreadboard.toml: these exchanges at the simulator on this port, an account ``at_<exchange>`` at each."""
    lines = []
    for name, urls in endpoints("127.0.0.1", port).items():
        if name not in exchanges:
            continue
        products = list(MARKETS[name])
        lines += [f"[exchanges.{name}]", "simulated = true", f"products = {json.dumps(products)}"]
        lines += [f"pinned = {json.dumps(list(MARKETS[name].values()))}"]
        known = create(name).endpoints
        for place in dict.fromkeys(key.partition(".")[0] for key in urls if key in known):
            kinds = {key.partition(".")[2]: url for key, url in urls.items() if key.startswith(f"{place}.")}
            lines += [f"[exchanges.{name}.{place}]", *(f'{kind}_url = "{url}"' for kind, url in kinds.items())]
        lines += [f"[accounts.at_{name}]", f'exchange = "{name}"', f'label = "At {name}"', "trading = true"]
        lines += [f"products = {json.dumps(products)}"]
    return "\n".join(lines) + "\n"


def secrets_of(keys: Mapping[str, ApiKey]) -> dict[str, str]:
    """The environment that gives the accounts of :func:`config_text` these keys, by exchange."""
    found = {variable("alpaca", "KEY"): DATA_KEY, variable("alpaca", "SECRET"): DATA_SECRET}
    for name, key in keys.items():
        for part, value in (("KEY", key.key), ("SECRET", key.secret), ("PASSPHRASE", key.passphrase)):
            if value:
                found[variable(f"at_{name}", part)] = value
    return found


class Standing(NamedTuple):
    """What runs: the simulator's port, the product, and the number of each exchange's account there."""

    port: int
    product: Deployment
    accounts: Mapping[str, int]

    def control(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The simulator's own controls, ``/__sim/...``."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/__sim/{path}", data, headers)
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)

    def session(self) -> aiohttp.ClientSession:
        """For the product's REST API. In an event loop."""
        return aiohttp.ClientSession(self.product.url, headers=self.product.headers)


@contextmanager
def standing(folder: Path, *, account: str = "test", exchanges: Sequence[str] = tuple(MARKETS)) -> Iterator[Standing]:
    """Everything started, the demo traders paused, and all accounts LIVE. ``account``: the simulated one that is
    followed, "test" (nobody trades there) or "demo". Raises AssertionError with what was said if it does not start."""
    port, config = free_port(), folder / "spreadboard.toml"
    config.write_text(config_text(port, exchanges))
    chosen = [option for name in exchanges for option in ("--exchange", name)]
    traded = dict.fromkeys(symbol for name in exchanges for symbol in MARKETS[name].values())
    chosen += [option for symbol in traded for option in ("--market", symbol)]
    simulator = [sys.executable, "-m", "feeds.simulator", "--port", str(port), *chosen]
    keys = {name: getattr(terms_of(name).keys, account) for name in exchanges}
    with process(simulator, None, folder / "simulator.log"):
        _wait_for(port, folder / "simulator.log")
        with dashboard(folder / "var", config, **secrets_of(keys), LOG_LEVEL="WARNING") as product:
            found = Standing(port, product, _live(product, len(exchanges)))
            found.control("pause", {"bot": True})
            yield found
            if product.child is not None and product.child.poll() is not None:
                told = product.log.read_text()[-2000:]
                raise AssertionError(f"the product ended by itself, with {product.child.poll()}:\n{told}")


def _wait_for(port: int, log: Path) -> None:
    end_s = time.monotonic() + STARTED_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/__sim/faults", timeout=5):
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > end_s:
                raise AssertionError(f"the simulator did not start:\n{log.read_text()[-2000:]}") from error
            time.sleep(0.05)


def _live(product: Deployment, count: int) -> dict[str, int]:
    end_s = time.monotonic() + STARTED_S
    while True:
        _, body = product.get("/api/accounts/")
        rows = body.get("accounts", [])
        if len(rows) == count and all(row["state"] == "LIVE" for row in rows):
            return {row["exchange"]: row["id"] for row in rows}
        if time.monotonic() > end_s:
            told = "; ".join(f"{row['exchange']} {row['state']} {row['sentence']}" for row in rows)
            raise AssertionError(f"not all accounts are LIVE: {told}\n{product.log.read_text()[-2000:]}")
        time.sleep(0.1)


async def until(ready: Any, what: str, within_s: float = 20.0) -> Any:
    """What ``await ready()`` gives, once that is true. Raises AssertionError naming ``what``."""
    end_s = time.monotonic() + within_s
    while True:
        if found := await ready():
            return found
        if time.monotonic() > end_s:
            raise AssertionError(f"{what}: not within {within_s:g} s")
        await asyncio.sleep(0.1)
