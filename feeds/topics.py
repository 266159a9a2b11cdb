"""Topics: what a browser can watch, as text.

=================================  =============================================================================
``book:binance:BTC/USDT``          the visible depth, ungrouped
``book@10:binance:BTC/USDT``       grouped by 10 quote units, made from the whole book
``quote:binance:BTC/USDT``         one line of a watchlist: best prices, last, 24 h change, mark, state
``trades:binance:BTC/USDT``        the latest prints
``candles@1m:binance:BTC/USDT``    the running bar and its predecessor
``streams``                        state, rates, latencies and counts of every stream
``balances:7`` ``positions:7``     one account's; the number is the account's
``orders:7`` ``fills:7``
``transfers:7`` ``notices:7``
``portfolio:3``                    what a user's accounts are worth together; the number is the user's
``across:BTC/USDT``                the books of all exchanges that have the symbol; ``across@10:...`` grouped
``matrix@0.5:BTC/USDT``            buy 0.5 on one exchange, sell it on another, for all pairs, after taker fees
``matrix@0.5,maker:BTC/USDT``      after maker fees
``arbitrage``                      spreads that stayed above the threshold
=================================  =============================================================================

A topic names data, never who may see them: account topics are checked by whoever hands them to a browser.
"""

import re
from decimal import Decimal

import msgspec

from feeds.domain import INTERVALS

MARKET_KINDS = ("book", "quote", "trades", "candles")
ACCOUNT_KINDS = ("balances", "positions", "orders", "fills", "transfers", "notices")
PORTFOLIO = "portfolio"
STREAMS = "streams"
ARBITRAGE = "arbitrage"
GLOBAL_KINDS = (STREAMS, ARBITRAGE)
ACROSS, MATRIX = "across", "matrix"
SYMBOL_KINDS = (ACROSS, MATRIX)
FEES = ("taker", "maker")
LEG = "leg"
"""A market as a part of what several exchanges show together: opened like a book, never drawn. Ours alone."""

_STEP = re.compile(r"[0-9]{1,13}(\.[0-9]{1,12})?", re.ASCII)


class Topic(msgspec.Struct, frozen=True):
    """A parsed topic. ``step`` groups a book, ``interval`` is a candle's; ``account`` is set for account topics,
    ``user`` for a user's portfolio; ``size`` (base currency) and ``fees`` are a matrix'. Topics of a symbol over all
    exchanges have no ``exchange``."""

    kind: str
    exchange: str = ""
    symbol: str = ""
    step: Decimal | None = None
    interval: str | None = None
    account: int | None = None
    user: int | None = None
    size: Decimal | None = None
    fees: str = ""

    def __str__(self) -> str:
        if self.kind in GLOBAL_KINDS:
            return self.kind
        if self.account is not None:
            return f"{self.kind}:{self.account}"
        if self.user is not None:
            return f"{self.kind}:{self.user}"
        if self.size is not None:
            return (
                f"{self.kind}@{self.size.normalize():f}{'' if self.fees == FEES[0] else f',{self.fees}'}:{self.symbol}"
            )
        parameter = ""
        if self.interval is not None:
            parameter = f"@{self.interval}"
        elif self.step is not None:
            parameter = f"@{self.step.normalize():f}"
        return f"{self.kind}{parameter}:{f'{self.exchange}:' if self.exchange else ''}{self.symbol}"


def parse_topic(text: str) -> Topic:
    """Parse a topic; raises ValueError with a sentence that names what is wrong.

    The result's ``str`` is the canonical spelling (``book@10.0`` and ``book@10`` are one topic).
    """
    if len(text) > 200:
        raise ValueError("A topic has at most 200 characters.")
    if text in GLOBAL_KINDS:
        return Topic(text)
    head, _, rest = text.partition(":")
    kind, at, parameter = head.partition("@")
    if kind in SYMBOL_KINDS:
        return _over_all(text, kind, parameter if at else None, rest)
    if kind in (*ACCOUNT_KINDS, PORTFOLIO) and not at:
        whose = (
            "a portfolio topic ends with the user's"
            if kind == PORTFOLIO
            else "an account topic ends with the account's"
        )
        if not (rest.isascii() and rest.isdigit() and len(rest) < 19):
            raise ValueError(f"{text!r}: {whose} number.")
        return Topic(kind, user=int(rest)) if kind == PORTFOLIO else Topic(kind, account=int(rest))
    exchange, _, symbol = rest.partition(":")
    if kind not in MARKET_KINDS or not exchange or not symbol:
        raise ValueError(f"{text!r} is not a topic. A topic is like book:binance:BTC/USDT.")
    if kind == "candles":
        if parameter not in INTERVALS:
            raise ValueError(f"{text!r}: candles need an interval, one of {', '.join(INTERVALS)}.")
        return Topic(kind, exchange, symbol, interval=parameter)
    if kind == "book" and at:
        return Topic(kind, exchange, symbol, step=_step(text, parameter))
    if at:
        raise ValueError(f"{text!r}: {kind} takes no parameter.")
    return Topic(kind, exchange, symbol)


def _over_all(text: str, kind: str, parameter: str | None, symbol: str) -> Topic:
    """A topic of a symbol over all exchanges."""
    if "/" not in symbol:
        raise ValueError(f"{text!r} is not a topic: it must end with a symbol, like {kind}:BTC/USDT.")
    if kind == ACROSS:
        return Topic(kind, symbol=symbol, step=None if parameter is None else _step(text, parameter))
    size, comma, fees = (parameter or "").partition(",")
    if comma and fees not in FEES:
        raise ValueError(f"{text!r}: the fees are {' or '.join(FEES)}, like matrix@0.5,maker:BTC/USDT.")
    return Topic(kind, symbol=symbol, size=_positive(text, size, "size"), fees=fees or FEES[0])


def leg_topic(exchange: str, symbol: str) -> Topic:
    return Topic(LEG, exchange, symbol)


def read_leg(text: str) -> Topic | None:
    """The topic of a leg from its text; None for every other topic."""
    kind, _, rest = text.partition(":")
    exchange, _, symbol = rest.partition(":")
    return leg_topic(exchange, symbol) if kind == LEG else None


def _step(text: str, parameter: str) -> Decimal:
    return _positive(text, parameter, "grouping step")


def _positive(text: str, parameter: str, what: str) -> Decimal:
    value = Decimal(parameter) if _STEP.fullmatch(parameter) else Decimal(0)
    if not 0 < value <= Decimal("1e12"):
        raise ValueError(f"{text!r}: the {what} is a positive decimal number, like 0.5 or 10.")
    return Decimal(f"{value.normalize():f}")
