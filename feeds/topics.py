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
=================================  =============================================================================

A topic names data, never who may see them: account topics are checked by whoever hands them to a browser.
"""

import re
from decimal import Decimal

import msgspec

from feeds.domain import INTERVALS

MARKET_KINDS = ("book", "quote", "trades", "candles")
ACCOUNT_KINDS = ("balances", "positions", "orders", "fills")
STREAMS = "streams"
_STEP = re.compile(r"[0-9]{1,13}(\.[0-9]{1,12})?", re.ASCII)


class Topic(msgspec.Struct, frozen=True):
    """A parsed topic. ``step`` groups a book, ``interval`` is a candle's; ``account`` is set for account topics."""

    kind: str
    exchange: str = ""
    symbol: str = ""
    step: Decimal | None = None
    interval: str | None = None
    account: int | None = None

    def __str__(self) -> str:
        if self.kind == STREAMS:
            return STREAMS
        if self.account is not None:
            return f"{self.kind}:{self.account}"
        parameter = ""
        if self.interval is not None:
            parameter = f"@{self.interval}"
        elif self.step is not None:
            parameter = f"@{self.step.normalize():f}"
        return f"{self.kind}{parameter}:{self.exchange}:{self.symbol}"


def parse_topic(text: str) -> Topic:
    """Parse a topic; raises ValueError with a sentence that names what is wrong.

    The result's ``str`` is the canonical spelling (``book@10.0`` and ``book@10`` are one topic).
    """
    if len(text) > 200:
        raise ValueError("A topic has at most 200 characters.")
    if text == STREAMS:
        return Topic(STREAMS)
    head, _, rest = text.partition(":")
    kind, at, parameter = head.partition("@")
    if kind in ACCOUNT_KINDS and not at:
        if not (rest.isascii() and rest.isdigit() and len(rest) < 19):
            raise ValueError(f"{text!r}: an account topic ends with the account's number.")
        return Topic(kind, account=int(rest))
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


def _step(text: str, parameter: str) -> Decimal:
    step = Decimal(parameter) if _STEP.fullmatch(parameter) else Decimal(0)
    if not 0 < step <= Decimal("1e12"):
        raise ValueError(f"{text!r}: the grouping step is a positive decimal number, like 0.5 or 10.")
    return Decimal(f"{step.normalize():f}")
