"""What accounts are worth together, in one currency. Pure: accounts and prices in, one statement out.

Equity is what an account's wallets hold, spot and futures alike, and the unrealised profit of its open positions. What
cannot be priced is listed and makes the statement incomplete, as does a price or an account that is not live: nothing
is left out silently.

Net exposure per asset is what is held of it and what perpetual and dated contracts are long or short of it, in base
currency, over all exchanges.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Protocol, runtime_checkable

import msgspec

from feeds.account_domain import Balance, Fill, Position, Transfer
from feeds.domain import Value
from feeds.worth.pricing import WIDE, Price

ZERO = Decimal(0)
STEP = Decimal("1e-8")
"""Sums are shown to eight decimals."""

PriceOf = Callable[[str, str, str], Price | None]
"""(asset, currency, exchange that holds it) -> its price."""

Mark = tuple[Decimal, int]
"""A live mark price and its age in ms."""


class Held(Value, frozen=True, kw_only=True):
    """An account as stored. ``trouble`` is why its figures may be old; "" if it is followed as it should be.
    ``wallets``: the products whose balances are told, also where they hold nothing."""

    id: int
    exchange: str
    label: str
    state: str
    trouble: str
    wallets: tuple[str, ...] = ()
    balances: tuple[Balance, ...] = ()
    positions: tuple[Position, ...] = ()

    @property
    def followed(self) -> frozenset[str]:
        """The wallets that its equity is the sum of."""
        return frozenset(self.wallets) | {balance.product for balance in self.balances}


class Person(Value, frozen=True, kw_only=True):
    """A user who sees accounts, and how."""

    id: int
    currency: str
    zone: str
    accounts: tuple[int, ...]


class EquityPoint(Value, frozen=True, kw_only=True):
    """``values``: currency -> worth as text; a currency in which nothing could be told is missing. ``reasons``: why a
    value is not complete, by currency."""

    account: int
    at_ms: int
    values: Mapping[str, str]
    reasons: Mapping[str, str]

    @property
    def whole(self) -> frozenset[str]:
        """The currencies in which it is complete."""
        return frozenset(self.values) - frozenset(self.reasons)

    @property
    def complete(self) -> bool:
        """In one currency at least."""
        return bool(self.whole)


@runtime_checkable
class WealthStore(Protocol):
    """What a store tells of all accounts together. Synchronous parts run elsewhere; every method is durable."""

    async def people(self) -> list[Person]: ...

    async def held(self) -> list[Held]: ...

    async def cost_history(self, account: int, after: tuple[int, int], limit: int) -> list[tuple[int, Fill]]:
        """Fills in the order of (time, row), beyond ``after``; with their rows."""

    async def fill_count(self, account: int) -> int: ...

    async def done_transfers(self, account: int) -> list[Transfer]:
        """In the order of time."""

    async def put_equity(self, points: Sequence[EquityPoint]) -> None: ...

    async def day_begun(self, accounts: Sequence[int], since_ms: int, currency: str) -> Mapping[int, EquityPoint]:
        """Each account's first point from then on that is complete in this currency."""


class Worth(msgspec.Struct):
    """One account in one currency. ``problems`` are sentences; without any it is complete. ``lacks`` are those of them
    for which a part of the equity is missing, rather than old."""

    equity: Decimal = ZERO
    wallets: Decimal = ZERO
    unrealised: Decimal = ZERO
    problems: list[str] = []
    lacks: list[str] = []

    @property
    def complete(self) -> bool:
        return not self.problems


def unrealised_of(position: Position, mark: Mark | None) -> tuple[Decimal, str] | None:
    """Unrealised profit and its asset. By the live mark (linear contracts: size in base, profit in the symbol's quote,
    whichever asset the exchange will pay it in), else as the exchange told it last, in the asset that it settles in."""
    if mark is not None:
        return WIDE.multiply(mark[0] - position.entry, position.size), quote_of(position.symbol)
    if position.unrealised is None:
        return None
    return position.unrealised, position.settle or settle_of(position.symbol)


def worth(account: Held, currency: str, price_of: PriceOf, mark_of: Callable[[str, str], Mark | None]) -> Worth:
    """What one account is worth."""
    result = Worth(problems=[f"{account.label}: {account.trouble}"] if account.trouble else [])
    for balance in account.balances:
        if balance.total:
            result.wallets += _value(account, balance.asset, balance.total, currency, price_of, result)
    for position in account.positions:
        if not position.size:
            continue
        told = unrealised_of(position, mark_of(account.exchange, position.symbol))
        if told is None:
            _lack(result, f"{account.label}: {position.symbol} has no mark price.")
            continue
        profit, asset = told
        if profit:
            result.unrealised += _value(account, asset, profit, currency, price_of, result)
    result.problems, result.lacks = list(dict.fromkeys(result.problems)), list(dict.fromkeys(result.lacks))
    result.equity = result.wallets + result.unrealised
    return result


def _lack(result: Worth, problem: str) -> None:
    result.problems.append(problem)
    result.lacks.append(problem)


def _value(account: Held, asset: str, amount: Decimal, currency: str, price_of: PriceOf, result: Worth) -> Decimal:
    price = price_of(asset, currency, account.exchange)
    if price is None:
        _lack(result, unpriced(asset, currency))
        return ZERO
    if not price.live:
        result.problems.append(old_price(asset, currency, price))
    return WIDE.multiply(amount, price.price)


def unpriced(asset: str, currency: str) -> str:
    return f"{asset} has no price in {currency}."


def old_price(asset: str, currency: str, price: Price) -> str:
    return f"The price of {asset} in {currency} is {price.age_ms / 1000:.0f} s old."


def quote_of(symbol: str) -> str:
    """The asset in which a contract's prices and profit are told, by its unified symbol."""
    return symbol.partition("/")[2].partition(":")[0]


def settle_of(symbol: str) -> str:
    """The asset that a contract's profit is paid in, by its unified symbol."""
    return symbol.rpartition(":")[2].partition("-")[0]


def base_of(symbol: str) -> str:
    return symbol.partition("/")[0]


# -- the statement -----------------------------------------------------------------------------------------------------


class Day(Value, frozen=True, kw_only=True):
    """The running day of one user: since when, its zone, what was realised (asset -> amount) and why that is not all,
    and the accounts' equity at its beginning with what was transferred since (None: not known, and why)."""

    since_ms: int
    zone: str
    realised: Mapping[str, Decimal]
    problems: tuple[str, ...] = ()
    begun: Decimal | None = None
    begun_ms: int | None = None
    transferred: Decimal | None = None
    unknown: str = ""


def statement(
    accounts: Sequence[Held],
    currency: str,
    price_of: PriceOf,
    mark_of: Callable[[str, str], Mark | None],
    holdings: Sequence[Mapping[str, Any]],
    day: Day,
) -> dict[str, Any]:
    """``data`` of the topic ``portfolio``, as docs/protocol.md describes it. ``holdings`` are those of ``holdings``."""
    valued = [(account, worth(account, currency, price_of, mark_of)) for account in accounts]
    problems = list(dict.fromkeys(problem for _, each in valued for problem in each.problems))
    equity = sum((each.equity for _, each in valued), ZERO)
    unrealised = sum((each.unrealised for _, each in valued), ZERO)
    lacks = list(dict.fromkeys(lack for _, each in valued for lack in each.lacks))
    return {
        "currency": currency,
        "equity": text(equity),
        "complete": not problems,
        "problems": problems,
        "accounts": [
            {
                "account": account.id,
                "exchange": account.exchange,
                "label": account.label,
                "state": account.state,
                "equity": text(each.equity),
                "wallets": text(each.wallets),
                "unrealised": text(each.unrealised),
                "complete": each.complete,
                "problems": each.problems,
            }
            for account, each in valued
        ],
        "assets": _assets(accounts, currency, price_of),
        "unpriced": _unpriced(accounts, currency, price_of),
        "exposure": _exposure(accounts, currency, price_of),
        "holdings": holdings,
        "day": _day(day, currency, price_of, equity, unrealised, lacks),
    }


def _assets(accounts: Sequence[Held], currency: str, price_of: PriceOf) -> list[dict[str, Any]]:
    """One row per asset and exchange: prices are those of where it is held."""
    totals: dict[tuple[str, str], Decimal] = {}
    for account in accounts:
        for balance in account.balances:
            key = balance.asset, account.exchange
            totals[key] = totals.get(key, ZERO) + balance.total
    rows: list[tuple[Decimal, dict[str, Any]]] = []
    for (asset, exchange), total in totals.items():
        price = price_of(asset, currency, exchange)
        if not total or price is None:
            continue
        value = WIDE.multiply(total, price.price)
        row = {"asset": asset, "exchange": exchange, "total": text(total), "value": text(value), **source(price)}
        rows.append((value, row))
    return [row for _, row in sorted(rows, key=lambda item: -item[0])]


def source(price: Price) -> dict[str, Any]:
    """Where a price comes from, and how old it is."""
    return {
        "price": f"{price.price.normalize():f}",
        "path": list(price.path),
        "markets": [{"exchange": exchange, "symbol": symbol} for exchange, symbol in price.markets],
        "price_age_ms": price.age_ms,
        "live": price.live,
    }


def _unpriced(accounts: Sequence[Held], currency: str, price_of: PriceOf) -> list[dict[str, Any]]:
    return [
        {"account": account.id, "exchange": account.exchange, "asset": balance.asset, "total": text(balance.total)}
        for account in accounts
        for balance in account.balances
        if balance.total and price_of(balance.asset, currency, account.exchange) is None
    ]


def _exposure(accounts: Sequence[Held], currency: str, price_of: PriceOf) -> list[dict[str, Any]]:
    held: dict[str, Decimal] = {}
    contracts: dict[str, Decimal] = {}
    for account in accounts:
        for balance in account.balances:
            held[balance.asset] = held.get(balance.asset, ZERO) + balance.total
        for position in account.positions:
            base = base_of(position.symbol)
            contracts[base] = contracts.get(base, ZERO) + position.size
    rows = []
    for asset in sorted({*held, *contracts}):
        spot, derivatives = held.get(asset, ZERO), contracts.get(asset, ZERO)
        if not spot and not derivatives:
            continue
        price = price_of(asset, currency, "")
        net = spot + derivatives
        value = None if price is None else text(WIDE.multiply(net, price.price))
        rows.append(
            {"asset": asset, "spot": text(spot), "derivatives": text(derivatives), "net": text(net), "value": value}
        )
    return rows


def _day(
    day: Day, currency: str, price_of: PriceOf, equity: Decimal, unrealised: Decimal, lacks: Sequence[str]
) -> dict[str, Any]:
    realised, problems = ZERO, list(day.problems)
    for asset, amount in day.realised.items():
        price = price_of(asset, currency, "")
        if price is None:
            problems.append(unpriced(asset, currency))
        else:
            realised += WIDE.multiply(amount, price.price)
            problems += [] if price.live else [old_price(asset, currency, price)]
    unknown = day.unknown or " ".join(lacks)  # a part that is missing now is no loss
    change = None
    if not unknown and day.begun is not None and day.transferred is not None:
        change = equity - day.begun - day.transferred
    return {
        "since_ms": day.since_ms,
        "zone": day.zone,
        "realised": text(realised),
        "unrealised": text(unrealised),
        "change": None if change is None else text(change),
        "change_since_ms": None if change is None else day.begun_ms,
        "change_reason": unknown if change is None else "",
        "complete": not problems,
        "problems": problems,
    }


def text(value: Decimal) -> str:
    """To eight decimals, without zeros at the end."""
    shown = value.quantize(STEP, rounding=ROUND_HALF_EVEN, context=WIDE).normalize()
    return "0" if not shown else f"{shown:f}"
