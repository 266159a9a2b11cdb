"""What Alpaca's prints are: which make the last price, which were agreed beside the market, and which are taken back.

Facts, from docs.alpaca.markets (real-time-stock-pricing-data) and Alpaca's page on minute bars (alpaca.markets/learn/
stock-minute-bars), which name the conditions of the tapes' own specifications (CTS for tapes A and B, UTP for C):

* A stock's print tells its conditions. Those below are left out of a bar's closing price. Prints before and after the
  regular session are not: Alpaca makes bars of them, so they are the last price here, too.
* Corrections (``c``) and cancels (``x``) come by themselves with the prints, name the exchange and the print's id
  there, and speak of what may have been the last price.
* An id is unique at its exchange and on one day.
"""

from bisect import insort
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from feeds.domain import Event, Ticker, Trade
from feeds.exchanges import alpaca_messages as messages
from feeds.exchanges.alpaca_messages import amount, ms_of

_APART = frozenset("CHMNPQRV479")
"""At a price that nobody could trade at then: cash, next day and seller's settlement (C, N, R), price variation (H),
official close and open, which repeat a price (M, Q), prior reference price (P), contingent (V, 7), derivatively priced
(4), and a corrected close (9)."""
_AVERAGE = {"A": frozenset("B"), "B": frozenset("B"), "C": frozenset("W")}
"""An average of many, by tape. On tape C, B is a bunched print like any other."""
_NOT_LAST = frozenset("GIUZ")
"""Prints of the market that are no last price: odd lots (I), and what was sold out of sequence (G, U, Z)."""
_DAY_MS, _NEW_DAY_MS = 86_400_000, 5 * 3_600_000
"""No market of stocks is open when a day begins that much later than in UTC."""
_KEPT = 200


def apart(conditions: Iterable[str] | None, tape: str) -> bool:
    """Was it priced beside the market? Of a tape that is not known, an average by either letter."""
    average = _AVERAGE.get(tape, frozenset("W"))
    return any(condition in _APART or condition in average for condition in conditions or ())


def makes_last(conditions: Iterable[str] | None) -> bool:
    return not any(condition in _NOT_LAST for condition in conditions or ())


class _Print(NamedTuple):
    ms: int
    id: str
    price: Decimal


class Prints:
    """One connection's. It remembers those that made the last price, for the case that the last one is taken back."""

    def __init__(self, *, stocks: bool) -> None:
        self._stocks = stocks
        self._lasts: dict[str, list[_Print]] = {}  # by symbol, in the order of time

    def take(self, symbol: str, row: messages.Trade) -> list[Event]:
        """The print, and the last price if it makes it."""
        ms, price = ms_of(row.t), amount(row.p, "p", positive=True)
        if self._stocks and apart(row.c, row.z):
            return []
        id, last = self._id(row.x, row.i, row.t), not self._stocks or makes_last(row.c)
        trade = Trade(
            symbol=symbol, id=id, side=row.side, price=price, size=amount(row.s, "s"), exchange_ms=ms, last=last
        )
        if not last:
            return [trade]
        known = self._lasts.setdefault(symbol, [])
        insort(known, _Print(ms, id, price), key=lambda each: each.ms)
        del known[:-_KEPT]
        return [trade, self._ticker(symbol)] if known[-1].id == id else [trade]

    def correct(self, symbol: str, row: messages.Correction) -> list[Event]:
        """Another print stands in the place of the wrong one, or none, if it was priced beside the market."""
        wrong, price = self._id(row.x, row.oi, row.t), amount(row.cp, "cp", positive=True)
        void = apart(row.cc, row.z)
        trade = Trade(
            symbol=symbol,
            id=wrong if void else self._id(row.x, row.ci, row.t),
            side=None,
            price=price,
            size=amount(row.cs, "cs"),
            exchange_ms=ms_of(row.t),
            last=makes_last(row.cc),
            instead_of="" if void else wrong,
            void=void,
        )
        return [trade, *self._replaced(symbol, wrong, None if void or not trade.last else trade)]

    def cancel(self, symbol: str, row: messages.Cancel) -> list[Event]:
        wrong, price, size = self._id(row.x, row.i, row.t), amount(row.p, "p"), amount(row.s, "s")
        ms = ms_of(row.t)
        gone = Trade(symbol=symbol, id=wrong, side=None, price=price, size=size, exchange_ms=ms, void=True)
        return [gone, *self._replaced(symbol, wrong, None)]

    def _replaced(self, symbol: str, wrong: str, right: Trade | None) -> list[Event]:
        """The last price, if that changes by it."""
        known = self._lasts.get(symbol)
        if not known or all(each.id != wrong for each in known):
            return []
        before = known[-1]
        kept = [each for each in known if each.id != wrong]
        if right is not None:
            at = next(each.ms for each in known if each.id == wrong)
            insort(kept, _Print(at, right.id, right.price), key=lambda each: each.ms)
        self._lasts[symbol] = kept
        return [] if kept and kept[-1] == before else [self._ticker(symbol)]

    def _ticker(self, symbol: str) -> Ticker:
        known = self._lasts[symbol]
        if not known:
            return Ticker(symbol=symbol, last=None)
        return Ticker(symbol=symbol, last=known[-1].price, exchange_ms=known[-1].ms)

    def _id(self, exchange: str, number: int, moment: datetime) -> str:
        return f"{exchange}{number}-{(ms_of(moment) - _NEW_DAY_MS) // _DAY_MS}" if self._stocks else str(number)
