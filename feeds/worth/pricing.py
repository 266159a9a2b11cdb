"""What an asset is worth in a currency: by which markets, over which others, and how old that is. Pure.

USD, USDT and USDC are different currencies: nothing is taken for equal here. A path is as long as it must be: the
direct market, else over one currency in between, else over two (SOL -> USDT -> USD). Of the markets of a step the
account's own exchange comes first. A price is live if all its steps are; else the path whose steps are known at all
is taken, and its price says that it is old.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from decimal import Context, Decimal

from feeds.domain import Market, Value

CURRENCIES = ("USD", "USDT", "USDC", "EUR", "BTC")
HUBS = ("USDT", "USDC", "USD", "EUR", "BTC", "ETH")
"""Currencies in between, the likeliest first."""

WIDE = Context(prec=34)
MOST_PATHS = 3
MOST_MARKETS = 2
"""So many paths, and of a step so many markets, are opened while none is live."""

Name = tuple[str, str]
"""Exchange and symbol of a market."""


class Quote(Value, frozen=True, kw_only=True):
    """A market's price now: the middle of its best prices. ``live``: may be shown as such."""

    price: Decimal
    age_ms: int
    live: bool


class Price(Value, frozen=True, kw_only=True):
    """``path`` are the assets from the first to the currency, ``markets`` those between them; ``age_ms`` the oldest."""

    price: Decimal
    path: tuple[str, ...]
    markets: tuple[Name, ...]
    age_ms: int
    live: bool

    def then(self, rate: "Price") -> "Price":
        """This price, and from its currency on by ``rate``."""
        return Price(
            price=WIDE.multiply(self.price, rate.price),
            path=(*self.path, *rate.path[1:]),
            markets=(*self.markets, *rate.markets),
            age_ms=max(self.age_ms, rate.age_ms),
            live=self.live and rate.live,
        )


QuoteOf = Callable[[str, str], Quote | None]
"""(exchange, symbol) -> its quote; None if there is none (yet)."""


class Pricer:
    """Of all spot markets that trade, in the order of preference."""

    def __init__(self, markets: Iterable[Market]) -> None:
        self._pairs: dict[tuple[str, str], list[Name]] = {}
        for market in markets:
            if market.settle is None and market.status == "trading":
                self._pairs.setdefault((market.base, market.quote), []).append((market.exchange, market.symbol))

    def price(self, asset: str, currency: str, quote_of: QuoteOf, *, at: str = "") -> Price | None:
        """``at``: the exchange that holds it. None: no path has a price."""
        old: Price | None = None
        for path in self._paths(asset, currency):
            price = self._along(path, quote_of, at)
            if price is not None and price.live:
                return price
            old = old or price
        return old

    def wanted(self, asset: str, currency: str, quote_of: QuoteOf, *, at: str = "") -> set[Name]:
        """The markets whose prices this needs: those of the first path that is live; before that, more are tried."""
        wanted: set[Name] = set()
        for path in itertools.islice(self._paths(asset, currency), MOST_PATHS):
            live = True
            for step in itertools.pairwise(path):
                chosen = next((name for name, _ in self._markets(step, at) if _live(quote_of(*name))), None)
                live = live and chosen is not None
                tried = [name for name, _ in itertools.islice(self._markets(step, at), MOST_MARKETS)]
                wanted.update([chosen] if chosen is not None else tried)
            if live:
                break
        return wanted

    def knows(self, asset: str, currency: str) -> bool:
        """Is there a path at all?"""
        return next(self._paths(asset, currency), None) is not None

    def _paths(self, asset: str, currency: str) -> Iterator[tuple[str, ...]]:
        if asset == currency:
            yield (asset,)
            return
        between = [hub for hub in HUBS if hub not in (asset, currency)]
        chains: Iterator[tuple[str, ...]] = itertools.chain(
            [()], ((hub,) for hub in between), itertools.permutations(between, 2)
        )
        for chain in chains:
            path = (asset, *chain, currency)
            if all(self._joined(*step) for step in itertools.pairwise(path)):
                yield path

    def _joined(self, one: str, other: str) -> bool:
        return (one, other) in self._pairs or (other, one) in self._pairs

    def _markets(self, step: tuple[str, str], at: str) -> list[tuple[Name, bool]]:
        """The markets of a step, and whether each is the other way round; those of ``at`` first."""
        one, other = step
        found = [(name, False) for name in self._pairs.get((one, other), ())]
        found += [(name, True) for name in self._pairs.get((other, one), ())]
        return sorted(found, key=lambda item: item[0][0] != at)

    def _along(self, path: tuple[str, ...], quote_of: QuoteOf, at: str) -> Price | None:
        price, markets, age_ms, live = Decimal(1), [], 0, True
        for step in itertools.pairwise(path):
            quoted = [(name, turned, quote) for name, turned in self._markets(step, at) if (quote := quote_of(*name))]
            best = next((item for item in quoted if item[2].live), quoted[0] if quoted else None)
            if best is None:
                return None
            name, turned, quote = best
            price = WIDE.divide(price, quote.price) if turned else WIDE.multiply(price, quote.price)
            markets.append(name)
            age_ms, live = max(age_ms, quote.age_ms), live and quote.live
        return Price(price=price, path=path, markets=tuple(markets), age_ms=age_ms, live=live)


def _live(quote: Quote | None) -> bool:
    return quote is not None and quote.live
