"""ccxt.pro and our engine, each for itself, watching every simulated exchange: do they have the same best prices?

    python -m bench ccxt --seconds 60

Both follow the same markets of one simulator over connections of their own. ccxt is as it is installed: its addresses
are pointed at this machine, and what the simulator does not have (currencies, margin) is not asked for. Every book that
``watch_order_book`` returns is compared: its best bid and ask, with sizes, must be ours at that moment, or have been or
become ours within ``SLACK_S``, since the two read their sockets one after the other. The longest disagreement is the
longest time that the two were not equal.
"""

import argparse
import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import ccxt.pro
import structlog

from bench.ccxt_clients import Binance, BinanceUsdm
from bench.ccxt_clients import client as client_of
from feeds.account import Credentials
from feeds.config import Config, ExchangeConfig
from feeds.engine import Engine
from feeds.exchanges import create
from feeds.simulator import DATA_KEY, DATA_SECRET, Settings, SimulatorServer, endpoints
from feeds.simulator.keys import DATA_KEYS, ApiKey
from feeds.simulator.sockets import SocketRules
from feeds.simulator.venues import REGISTRY

SECONDS = 60.0
SLACK_S = 1.0
STARTED_S = 30.0
RETRY_S = 0.5
MARKETS = {
    "alpaca": {"crypto": ("BTC/USD", "ETH/USD")},
    "binance": {"spot": ("BTC/USDT", "ETH/USDT"), "usdm": ("BTC/USDT:USDT",)},
    "bitstamp": {"spot": ("BTC/USD", "DOGE/USD")},
    "bybit": {"spot": ("BTC/USDT",), "linear": ("BTC/USDT:USDT", "ETH/USDT:USDT")},
    "coinbase": {"spot": ("BTC/USD", "ETH/USD")},
    "kraken": {"spot": ("BTC/USD", "DOGE/USD")},
    "krakenfutures": {"futures": ("BTC/USD:USD", "ETH/USD:USD")},
    "lmex": {"spot": ("BTC/USDT",), "futures": ("BTC/USDT:USDT",)},
    "okx": {"spot": ("BTC/USDT",), "swap": ("BTC/USDT:USDT", "ETH/USDT:USDT")},
}
Top = tuple[float, float, float, float]
"""Best bid and its size, best ask and its size; sizes in base currency."""


# -- theirs ------------------------------------------------------------------------------------------------------------

CLIENTS: dict[tuple[str, str], Any] = {
    ("alpaca", "crypto"): ccxt.pro.alpaca,
    ("binance", "spot"): Binance,
    ("binance", "usdm"): BinanceUsdm,
    ("bitstamp", "spot"): ccxt.pro.bitstamp,
    ("bybit", "spot"): ccxt.pro.bybit,
    ("bybit", "linear"): ccxt.pro.bybit,
    ("coinbase", "spot"): ccxt.pro.coinbase,
    ("kraken", "spot"): ccxt.pro.kraken,
    ("krakenfutures", "futures"): ccxt.pro.krakenfutures,
    ("okx", "spot"): ccxt.pro.okx,
    ("okx", "swap"): ccxt.pro.okx,
}
SECOND_KEY = ApiKey(key=DATA_KEYS[1][0], secret=DATA_KEYS[1][1], account="")
"""For market data that need one: an account may have one connection, and the first is the engine's."""


ENGINE_OF = {"lmex": ("btse",)}
"""Another exchange by whose API one might be read."""


def why_not(exchange: str, product: str) -> str:
    """Why there is nothing to compare with; "" if there is."""
    if (exchange, product) in CLIENTS:
        return ""
    names = (exchange, *ENGINE_OF.get(exchange, ()))
    if not set(names) & set(ccxt.pro.exchanges):
        return f"ccxt.pro {ccxt.__version__} has no {' and no '.join(names)}"
    return "no client is set up here"


# -- comparing ---------------------------------------------------------------------------------------------------------


class Pair:
    """One market, as both see it."""

    def __init__(self, exchange: str, product: str, symbol: str) -> None:
        self.exchange = exchange
        self.product = product
        self.symbol = symbol
        self.ours: Top | None = None
        self.theirs: Top | None = None
        self.our_updates = self.their_updates = self.compared = self.equal = 0
        self.raised: list[str] = []
        self.unequal: list[str] = []  # books of theirs that were never ours
        self.longest_s = 0.0
        self._recent: deque[tuple[float, Top]] = deque()
        self._waiting: deque[tuple[float, Top]] = deque()  # theirs that ours may still become
        self._differs_s: float | None = None

    def begin(self) -> None:
        """What came until now does not count."""
        self.our_updates = self.their_updates = self.compared = self.equal = 0
        self.longest_s = 0.0
        self.raised, self.unequal = [], []
        self._waiting.clear()
        self._differs_s = None if self.ours == self.theirs else time.monotonic()

    def told_by_us(self, top: Top) -> None:
        now_s = time.monotonic()
        self.our_updates += 1
        self.ours = top
        self._recent.append((now_s, top))
        while self._recent[0][0] < now_s - SLACK_S and len(self._recent) > 1:
            self._recent.popleft()
        found = [each for each in self._waiting if each[1] == top]
        self.equal += len(found)
        self._waiting = deque(each for each in self._waiting if each[1] != top)
        self.expire(now_s)
        self._look(now_s)

    def told_by_them(self, top: Top) -> None:
        now_s = time.monotonic()
        self.their_updates += 1
        self.theirs = top
        if self.ours is not None:
            self.compared += 1
            if any(each == top for _, each in self._recent):
                self.equal += 1
            else:
                self._waiting.append((now_s, top))
        self._look(now_s)

    def expire(self, now_s: float) -> None:
        while self._waiting and self._waiting[0][0] < now_s - SLACK_S:
            self.unequal.append(str(self._waiting.popleft()[1]))

    def end(self) -> None:
        self.expire(float("inf"))
        self._close(time.monotonic())

    def _look(self, now_s: float) -> None:
        if self.ours == self.theirs:
            self._close(now_s)
        elif self._differs_s is None:
            self._differs_s = now_s

    def _close(self, now_s: float) -> None:
        if self._differs_s is not None:
            self.longest_s = max(self.longest_s, now_s - self._differs_s)
            self._differs_s = None


class Silent:
    """A sink: what is drawn matters to nobody here."""

    def publish(self, topic: str, frame: str) -> None:
        pass

    def publish_to(self, holder: str, topic: str, frame: str) -> None:
        pass

    def refuse(self, holder: str, topic: str, reason: str) -> None:
        raise RuntimeError(f"{topic} refused: {reason}")


def rounded(*values: float) -> Top:
    """Both read the same text, but ccxt may have multiplied by a contract's size."""
    bid, bid_size, ask, ask_size = (float(f"{value:.12g}") for value in values)
    return bid, bid_size, ask, ask_size


def listen(engine: Engine, pairs: Sequence[Pair]) -> None:
    """Tell the pairs of every change of our best prices."""
    by_topic = {f"quote:{pair.exchange}:{pair.symbol}": pair for pair in pairs}

    def noting(changed: Callable[[str], None], topic: str) -> None:
        pair = by_topic.get(topic)
        if pair is not None:
            feed = engine.venues[pair.exchange].feeds[pair.symbol]
            bid, ask = feed.best()
            if feed.state.usable and bid is not None and ask is not None:
                pair.told_by_us(rounded(*bid, *ask))
        changed(topic)

    for venue in engine.venues.values():
        venue._changed = partial(noting, venue._changed)  # what its markets' feeds will be given


async def watch(client: Any, pair: Pair) -> None:
    unit = float(client.market(pair.symbol)["contractSize"] or 1)
    while True:
        try:
            book = await client.watch_order_book(pair.symbol)
        except ccxt.BaseError as error:
            pair.raised.append(f"{type(error).__name__}: {str(error)[:100]}")
            await asyncio.sleep(RETRY_S)
            continue
        if book["bids"] and book["asks"]:
            (bid, bid_size), (ask, ask_size) = book["bids"][0][:2], book["asks"][0][:2]
            pair.told_by_them(rounded(bid, bid_size * unit, ask, ask_size * unit))


async def begun(pairs: Sequence[Pair]) -> None:
    """Until both see all markets."""
    end_s = time.monotonic() + STARTED_S
    while missing := [p for p in pairs if not p.ours or not (p.theirs or why_not(p.exchange, p.product))]:
        if time.monotonic() > end_s:
            told = ", ".join(
                f"{p.exchange} {p.symbol} (ours {p.ours}, ccxt {p.theirs} {p.raised[:1]})" for p in missing
            )
            raise SystemExit(f"ccxt: no book of {told} within {STARTED_S:.0f} s")
        await asyncio.sleep(0.05)


async def compare(seconds: float, exchanges: Sequence[str]) -> list[Pair]:
    pairs = [Pair(name, product, s) for name in exchanges for product, all_ in MARKETS[name].items() for s in all_]
    symbols = {(pair.exchange, pair.symbol) for pair in pairs}
    listing = tuple(each for name in exchanges for each in REGISTRY[name].listing if (name, each.symbol) in symbols)
    settings = Settings(
        instruments=listing,
        trader=False,
        connects=dict.fromkeys(exchanges, 1000),
        weights={"coinbase": 1000},
        rules={"coinbase": SocketRules()},  # ccxt's pace there is not the documented one
    )
    server = await SimulatorServer(settings).start(0)
    clients: list[Any] = []
    tasks: list[asyncio.Task[None]] = []
    with TemporaryDirectory() as folder:
        urls = endpoints("127.0.0.1", server.port)
        config = Config(path=None, exchanges=dict(_places(exchanges, urls)), state_dir=Path(folder))
        engine = Engine(config, Silent())
        listen(engine, pairs)
        try:
            await engine.start(markets_timeout_s=STARTED_S)
            topics = [f"{kind}:{p.exchange}:{p.symbol}" for p in pairs for kind in ("book", "quote")]
            engine.lease("bench", topics, seconds + 10 * STARTED_S)
            for name in exchanges:
                for product in MARKETS[name]:
                    if why_not(name, product):
                        continue
                    key = SECOND_KEY if create(name).facts.needs_key else None
                    client = client_of(CLIENTS[name, product], urls[name], key)
                    clients.append(client)
                    await client.load_markets()
                    for pair in pairs:
                        if (pair.exchange, pair.product) == (name, product):
                            tasks.append(asyncio.create_task(watch(client, pair)))
            await begun(pairs)
            for pair in pairs:
                pair.begin()
            done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
            for pair in pairs:
                pair.end()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for client in clients:
                await client.close()
            await engine.stop()
            await server.stop()
    return pairs


def _places(exchanges: Sequence[str], urls: dict[str, Any]) -> Iterator[tuple[str, ExchangeConfig]]:
    for name in exchanges:
        keyed = create(name).facts.needs_key
        yield (
            name,
            ExchangeConfig(
                name=name,
                simulated=True,
                products=tuple(MARKETS[name]),
                endpoints=urls[name],
                credentials=Credentials(DATA_KEY, DATA_SECRET) if keyed else None,
            ),
        )


class Line(NamedTuple):
    exchange: str
    market: str
    ours: str
    ccxt: str
    compared: str
    equal: str
    disagreed: str
    remark: str


HEAD = Line("exchange", "market", "updates ours", "ccxt", "compared", "equal", "longest disagreement", "")


def line(pair: Pair) -> Line:
    reason = why_not(pair.exchange, pair.product)
    if reason:
        return Line(pair.exchange, pair.symbol, str(pair.our_updates), "-", "-", "-", "-", reason)
    remark = f"ccxt raised {len(pair.raised)}: {pair.raised[0]}" if pair.raised else ""
    if pair.unequal:
        remark = f"{remark} not ours: {pair.unequal[0]}".strip()
    return Line(
        pair.exchange,
        pair.symbol,
        str(pair.our_updates),
        str(pair.their_updates),
        str(pair.compared),
        str(pair.equal),
        f"{pair.longest_s * 1000:.0f} ms",
        remark,
    )


def table(pairs: Sequence[Pair]) -> str:
    lines = [HEAD, *map(line, pairs)]
    widths = [max(len(each[n]) for each in lines) for n in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(each, widths, strict=True)).rstrip() for each in lines)


def run(seconds: float = SECONDS, exchanges: Sequence[str] = tuple(MARKETS)) -> list[dict[str, Any]]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    pairs = asyncio.run(compare(seconds, exchanges))
    print(table(pairs))
    version = f"compared with ccxt.pro {ccxt.__version__}"
    return [
        {
            "name": f"ccxt, {pair.exchange} {pair.symbol}: equal best prices",
            "value": pair.equal,
            "unit": "books",
            "baseline": version,
            "baseline_value": pair.compared,
            "ratio": round(pair.equal / pair.compared, 4) if pair.compared else None,
        }
        for pair in pairs
    ]


def main(arguments: Sequence[str]) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(prog="python -m bench ccxt", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long to compare (60)")
    parser.add_argument("--exchange", action="append", choices=list(MARKETS), help="this one alone; repeat it")
    given = parser.parse_args(arguments)
    return run(given.seconds, given.exchange or tuple(MARKETS))
