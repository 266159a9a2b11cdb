"""The simulated exchanges that have accounts, as the kill drill sees them: where fills are made, at which rate, and how
the exchange names and tells what its simulator's truth says.

A rate is what the exchange lets a client follow that has missed everything: by its documented limits, of which
``budget_share`` (a half) is ours, and by the size of its pages.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from feeds.simulator.alpaca.rows import activity_id
from feeds.simulator.alpaca.terms import CASH
from feeds.simulator.keys import DATA_KEY, DATA_SECRET, ApiKey
from feeds.simulator.kraken.terms import txid
from feeds.simulator.venues import REGISTRY

Row = Mapping[str, Any]


class Place(NamedTuple):
    """``markets``: product and native symbol. ``per_s``: fills in all, and ``why`` not more. ``fills``: as many by
    default. ``fill_id`` and ``order_id``: how the exchange names a fill of the truth and its order; ``balance``: how we
    name what a wallet holds. Columns of a fill that the exchange tells nobody are ``untold``; ``once`` are those that
    only its stream, or only REST, tells: they are compared where they are known. ``dead_s``: at most so long nobody
    starts a new worker; ``patience_s``: the figures must agree so long after the last fill."""

    exchange: str
    markets: tuple[tuple[str, str], ...]
    pinned: str
    per_s: float
    why: str
    fills: int
    fill_id: Callable[[Row], str] = lambda row: str(row["id"])
    order_id: Callable[[Row], str] = lambda row: str(row["order_id"])
    balance: Callable[[str, str], tuple[str, str]] = lambda wallet, asset: (wallet, asset)
    untold: frozenset[str] = frozenset()
    once: frozenset[str] = frozenset()
    dead_s: float = 0.5
    patience_s: float = 90.0
    secrets: Mapping[str, str] = {}

    @property
    def products(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(product for product, _ in self.markets))

    @property
    def account(self) -> str:
        """In the configuration."""
        return f"main_{self.exchange}"

    @property
    def key(self) -> ApiKey:
        """Opens the account in which nobody trades but tests."""
        terms = REGISTRY[self.exchange].terms
        assert terms is not None
        return terms.keys.test


def _pairs(product: str, *natives: str) -> tuple[tuple[str, str], ...]:
    return tuple((product, native) for native in natives)


def _uuid(part: int) -> Callable[[str], str]:
    return lambda number: str(UUID(int=part | int(number)))


def _bybit_fill(row: Row) -> str:
    number = int(row["id"])
    if row["product"] == "spot":
        return f"229{number:016d}"
    tail = row["native"].encode()[:6].hex()
    return f"{number & 0xFFFF_FFFF:08x}-{number >> 32 & 0xFFFF:04x}-5000-8000-{tail:0>12}"


def _alpaca_balance(wallet: str, asset: str) -> tuple[str, str]:
    """One pile of cash over both wallets; a share that is called as a coin is has another name."""
    return "account", asset if wallet == "crypto" or asset == CASH else f"{asset}.US"


PLACES: Mapping[str, Place] = {
    place.exchange: place
    for place in (
        Place(
            exchange="binance",
            markets=(*_pairs("spot", "BTCUSDT", "ETHUSDT"), *_pairs("usdm", "BTCUSDT", "ETHUSDT")),
            pinned="BTC/USDT",
            per_s=200,
            why="pages of 1000 fills for 20 of 6000 weight a minute (spot), 5 of 2400 (USD-M)",
            fills=10_000,
        ),
        Place(
            exchange="bybit",
            markets=(*_pairs("spot", "BTCUSDT", "ETHUSDT"), *_pairs("linear", "BTCUSDT", "ETHUSDT")),
            pinned="BTC/USDT",
            per_s=100,
            why="pages of 100 executions, 50 questions a second",
            fills=2000,
            fill_id=_bybit_fill,
            order_id=lambda row: row["order_id"] if row["product"] == "spot" else str(UUID(int=int(row["order_id"]))),
            once=frozenset({"realised"}),
        ),
        Place(
            exchange="okx",
            markets=(*_pairs("spot", "BTC-USDT", "ETH-USDT"), *_pairs("swap", "BTC-USDT-SWAP", "ETH-USDT-SWAP")),
            pinned="BTC/USDT",
            per_s=100,
            why="pages of 100 fills, 60 questions in 2 s",
            fills=2000,
        ),
        Place(
            exchange="coinbase",
            markets=_pairs("spot", "BTC-USD", "ETH-USD"),
            pinned="BTC/USD",
            per_s=5,
            why="pages of 100 fills, each time the last minute again, 10,000 questions an hour; streams name no fill",
            fills=300,
            order_id=lambda row: str(UUID(int=int(row["order_id"]))),
        ),
        Place(
            exchange="kraken",
            markets=_pairs("spot", "BTC/USD", "ETH/USD"),
            pinned="BTC/USD",
            per_s=4,
            why="pages of 50 trades, each of which costs the key 6 s (Starter: 2 points of 0.33 a second)",
            fills=240,
            fill_id=lambda row: txid("T", row["number"]),
            order_id=lambda row: txid("O", int(row["order_id"])),
            patience_s=240.0,
        ),
        Place(
            exchange="krakenfutures",
            markets=_pairs("futures", "PF_XBTUSD", "PF_ETHUSD"),
            pinned="BTC/USD:USD",
            per_s=50,
            why="pages of 100 fills for 25 of 500 points in 10 s",
            fills=1500,
            fill_id=lambda row: _uuid(1 << 101)(row["number"]),
            order_id=lambda row: _uuid(1 << 100)(row["order_id"]),
            untold=frozenset({"realised"}),
            dead_s=4.0,  # a new stream tells the last hundred fills
        ),
        Place(
            exchange="lmex",
            markets=(*_pairs("spot", "BTC-USDT", "ETH-USDT"), *_pairs("futures", "BTC-PERP", "ETH-PERP")),
            pinned="BTC/USDT",
            per_s=50,
            why="15 questions a second for each call",
            fills=1500,
            fill_id=lambda row: _uuid(0x9B << 112)(row["number"]),
            order_id=lambda row: _uuid(0x4A << 112)(row["order_id"]),
            once=frozenset({"maker", "realised"}),
        ),
        Place(
            exchange="alpaca",
            markets=(*_pairs("crypto", "BTC/USD", "ETH/USD"), *_pairs("stocks", "LTC")),
            pinned="BTC/USD",
            per_s=5,
            why="pages of 100 fills, 200 questions a minute, of which ours are 100; the stream names no fill",
            fills=300,
            fill_id=lambda row: activity_id("fill", row["number"], row["exchange_ms"]),
            order_id=lambda row: _uuid(0x5EED << 112)(row["order_id"]),
            balance=_alpaca_balance,
            untold=frozenset({"fee", "fee_asset", "maker"}),
            secrets={"SPREADBOARD_ALPACA_KEY": DATA_KEY, "SPREADBOARD_ALPACA_SECRET": DATA_SECRET},
        ),
    )
}
