"""ccxt's unified structures as our values. Pure.

The structures are ccxt's (https://docs.ccxt.com, "Market structure", "Order book structure" and so on): numbers are
floats, times UTC milliseconds, and of contracts the sizes of books and trades are counted in contracts.

A float that ccxt read from text means that text: its ``repr`` is the shortest one that gives the float. Where ccxt has
calculated, the float may be a hair beside the number that is meant; the market's precision tells which one that is.
Books are copied here, levels and all: ccxt goes on changing the object that it has returned.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any, NamedTuple

from feeds.domain import BookSnapshot, Candle, Level, Market, MarkPrice, Side, Ticker, Trade, decimals
from feeds.errors import ParseError
from feeds.longtail.library import SIGNIFICANT_DIGITS, TICK_SIZE

UNKNOWN_STEP = Decimal("0.00000001")
"""Where ccxt knows no precision."""

HAIR = Decimal("1e-12")
"""Relative: differences below it are of calculating with floats."""

PRODUCTS = ("spot", "swap", "future")
"""ccxt's types of markets that are followed; options are not."""

LONGEST_NAME, LONGEST_ASSET = 64, 32
"""Of symbols, native names and assets; longer ones are left out."""


class Listed(NamedTuple):
    """A market, and the size in base currency of what its books and trades count: 1, or a contract's size."""

    market: Market
    unit: Decimal


# -- instruments -------------------------------------------------------------------------------------------------------


def listed(exchange: str, raw: Mapping[str, Any], mode: int, last: float | None = None) -> Listed | None:
    """One of ``exchange.markets``, or None if it is none that we follow.

    Left out: options, inverse contracts (their sizes in base currency are quotients without end) and quanto ones, and
    names that are too long. ``mode`` is the exchange's ``precisionMode``; ``last`` the market's price where that
    counts significant digits.
    """
    product, settle = raw.get("type"), raw.get("settle")
    base, quote, symbol, native = raw.get("base"), raw.get("quote"), raw.get("symbol"), raw.get("id")
    if product not in PRODUCTS or not (base and quote and symbol and native):
        return None
    unit = Decimal(1)
    if product != "spot":
        if raw.get("linear") is not True or settle is None:
            return None
        unit = _number(raw.get("contractSize")) or Decimal(1)
    names, assets = (symbol, str(native)), (base, quote, settle or "")
    if max(map(len, names)) > LONGEST_NAME or max(map(len, assets)) > LONGEST_ASSET:
        return None
    precision, limits = raw.get("precision") or {}, raw.get("limits") or {}
    lot = step_of(precision.get("amount"), mode) * unit
    market = Market(
        exchange=exchange,
        symbol=symbol,
        native=str(native),
        product=product,
        base=base,
        quote=quote,
        settle=None if product == "spot" else settle,
        tick=step_of(precision.get("price"), mode, last),
        lot=lot,
        min_size=(_number((limits.get("amount") or {}).get("min")) or Decimal(0)) * unit,
        min_notional=_number((limits.get("cost") or {}).get("min")) or Decimal(0),
        status="inactive" if raw.get("active") is False else "trading",
    )
    return Listed(market, unit)


def step_of(precision: Any, mode: int, value: float | None = None) -> Decimal:
    """The smallest step that a ``precision`` means.

    Significant digits (Bitfinex: 5) make it depend on ``value``: the step is that of values ten times smaller, so that
    a price that falls is still shown whole. ``UNKNOWN_STEP`` where nothing is known.
    """
    number = _number(precision)
    if number is None:
        return UNKNOWN_STEP
    if mode == TICK_SIZE:
        return number if number > 0 else UNKNOWN_STEP
    if mode == SIGNIFICANT_DIGITS:
        size = _number(value)
        if not size:
            return UNKNOWN_STEP
        return Decimal(1).scaleb(size.adjusted() - int(number))
    return Decimal(1).scaleb(-int(number))


# -- figures -----------------------------------------------------------------------------------------------------------


def exact(value: Any, step: Decimal) -> Decimal:
    """A float as the decimal that is meant: on the step's decimals if it is a hair beside them, else as printed.

    Raises ParseError for what is no number.
    """
    printed = _number(value)
    if printed is None:
        raise ParseError(f"{value!r} is no number")
    rounded = round(printed, decimals(step))
    return rounded if abs(rounded - printed) <= abs(printed) * HAIR else printed


def _number(value: Any) -> Decimal | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else str(value))
    except ArithmeticError:
        return None
    return number if number.is_finite() else None


def _maybe(value: Any, step: Decimal) -> Decimal | None:
    return None if value is None else exact(value, step)


def _ms(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


# -- what is watched ---------------------------------------------------------------------------------------------------


def book(of: Listed, raw: Mapping[str, Any], depth: int) -> BookSnapshot:
    """A copy of the best ``depth`` levels a side, sizes in base currency. Raises ParseError.

    ccxt's ``nonce`` is not taken over: what it counts is not said.
    """
    symbol = raw.get("symbol")
    if symbol is not None and symbol != of.market.symbol:
        raise ParseError(f"a book of {symbol!r} in place of {of.market.symbol}")
    try:
        bids, asks = _side(of, raw["bids"], depth), _side(of, raw["asks"], depth)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ParseError(f"no order book: {error!r}") from error
    return BookSnapshot(
        symbol=of.market.symbol, bids=bids, asks=asks, depth=depth, exchange_ms=_ms(raw.get("timestamp"))
    )


def _side(of: Listed, rows: Sequence[Sequence[float]], depth: int) -> list[Level]:
    levels = [(float(row[0]), float(row[1])) for row in rows[:depth]]
    for price, size in levels:
        if not (isfinite(price) and isfinite(size) and size >= 0):
            raise ParseError(f"a level {price} for {size}")
    if of.unit == 1:
        return levels
    places = decimals(of.market.lot)
    return [(price, _in_base(size, of.unit, places)) for price, size in levels]


def _in_base(contracts: float, unit: Decimal, places: int) -> float:
    """3 contracts of 0.1 are 0.3, and not 0.30000000000000004."""
    size = Decimal(repr(contracts)) * unit
    rounded = round(size, places)
    return float(rounded if abs(rounded - size) <= size * HAIR else size)


def trade(of: Listed, raw: Mapping[str, Any]) -> Trade | None:
    """None for one whose taker's side or time ccxt does not tell: it could only be shown by guessing.

    Where the exchange numbers no trades, the id is made of what the trade says, so that a repeated one is known.
    """
    side, exchange_ms = raw.get("side"), _ms(raw.get("timestamp"))
    if side not in ("buy", "sell") or exchange_ms is None:
        return None
    taker: Side = "buy" if side == "buy" else "sell"
    market = of.market
    price, size = exact(raw.get("price"), market.tick), exact(raw.get("amount"), market.lot / of.unit) * of.unit
    number = raw.get("id")
    return Trade(
        symbol=market.symbol,
        id=str(number) if number is not None else f"{exchange_ms} {side} {price} {size}",
        side=taker,
        price=price,
        size=size,
        exchange_ms=exchange_ms,
    )


def ticker(of: Listed, raw: Mapping[str, Any]) -> Ticker | None:
    """None without a last price. ``percentage`` is one; ours is a ratio.

    Volumes of contracts are left out unless a contract is one unit of base: some exchanges' are contracts, some base
    currency, and ccxt does not say which.
    """
    market = of.market
    last = _maybe(raw.get("last"), market.tick)
    if last is None:
        return None
    percentage = _number(raw.get("percentage"))
    known = of.unit == 1
    return Ticker(
        symbol=market.symbol,
        last=last,
        open=_maybe(raw.get("open"), market.tick),
        high=_maybe(raw.get("high"), market.tick),
        low=_maybe(raw.get("low"), market.tick),
        change=None if percentage is None else round(percentage / 100, 12),
        base_volume=_maybe(raw.get("baseVolume"), market.lot) if known else None,
        quote_volume=_number(raw.get("quoteVolume")) if known else None,
        exchange_ms=_ms(raw.get("timestamp")),
    )


def mark(of: Listed, raw: Mapping[str, Any]) -> MarkPrice | None:
    """Of a funding rate structure; None without a mark price."""
    price = _number(raw.get("markPrice"))
    if not price:
        return None
    return MarkPrice(
        symbol=of.market.symbol,
        mark=price,
        index=_number(raw.get("indexPrice")),
        funding_rate=_number(raw.get("fundingRate")),
        next_funding_ms=_ms(raw.get("fundingTimestamp")),
        exchange_ms=_ms(raw.get("timestamp")),
    )


def candles(of: Listed, interval: str, rows: Sequence[Sequence[Any]], closed_before_ms: int) -> list[Candle]:
    """Rows of ``[time, open, high, low, close, volume]``, oldest first. Raises ParseError.

    A bar is closed when a later one is here, or if it began before ``closed_before_ms``. Volumes as in :func:`ticker`;
    0 where they are not known.
    """
    market, found = of.market, []
    try:
        ordered = sorted(rows, key=lambda row: row[0])
        for row in ordered:
            open_ms, prices, volume = _ms(row[0]), [exact(value, market.tick) for value in row[1:5]], row[5]
            if open_ms is None or len(prices) != 4:
                raise ParseError(f"no candle: {row!r}")
            found.append(
                Candle(
                    symbol=market.symbol,
                    interval=interval,
                    open_ms=open_ms,
                    open=prices[0],
                    high=prices[1],
                    low=prices[2],
                    close=prices[3],
                    base_volume=exact(volume, market.lot) if of.unit == 1 and volume is not None else Decimal(0),
                    closed=row is not ordered[-1] or open_ms < closed_before_ms,
                )
            )
    except (TypeError, IndexError) as error:
        raise ParseError(f"no candles: {error!r}") from error
    return found
