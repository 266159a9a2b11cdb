"""ccxt and our product, each for itself, as clients of the same simulated accounts: do they show the same figures?

    python -m bench accounts
    python -m bench accounts --exchange kraken

The product is ``manage.py serve`` with an account at each of eight exchanges; asked is its REST API, as a user would
(``/api/balances/`` and so on), and orders are placed and cancelled by it. ccxt is a client of its own of the same
accounts. What one does must show at the other: orders that ccxt places and cancels in our API, those of ours in ccxt,
every fill once, with price, size, fee, its currency, and who was maker.

A figure is compared where both tell it; what either leaves out is named in the last column. Compared are the figures at
rest: with resting orders before anything is traded, with a position, and after it is closed, since what is free and
the unrealised profit move with every mark.
"""

import argparse
import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import ccxt

from bench.ccxt_accounts import PARTS, Cash, Part, Theirs, Trade, own_key, theirs
from bench.our_accounts import Ours
from bench.standing import MARKETS, Standing, instrument, standing, until
from feeds.simulator import endpoints

CALLS = ("fetch_balance", "fetch_positions", "fetch_open_orders", "fetch_my_trades", "create_order", "cancel_order")
EQUAL, DIFFERENT, FAILED, ABSENT, NOTHING = "equal", "DIFFERENT", "FAILED", "ccxt has it not", "nothing there"
SIZE = Decimal("0.01")
SETTLED_S = 20.0
"""So long a figure of ours may take to become ccxt's: balances are asked for every 5 s."""
MAKER_S = 1.5
"""A resting order that nobody took for so long is placed anew at the best price."""


class Row(NamedTuple):
    """``figures``: how many were compared. ``remark``: which differ, or which one of the two does not tell."""

    part: str
    call: str
    verdict: str
    figures: int = 0
    remark: str = ""


class Compared:
    """What a call told, figure by figure, over all times that it was compared."""

    def __init__(self) -> None:
        self.figures = 0
        self.differing: list[str] = []
        self.untold: set[str] = set()  # by ccxt
        self.unsaid: set[str] = set()  # by us

    def add(self, name: str, ours: Any, told: Any) -> None:
        """``ours`` and ``told`` are tuples of one kind, with the fields' names."""
        for field, our, their in zip(ours._fields, ours, told, strict=True):
            if their is None:
                self.untold |= {field} if our is not None else set()
            elif our is None:
                self.unsaid.add(field)
            elif same(our, their):
                self.figures += 1
            else:
                self.differing.append(f"{name} {field}: ours {our}, ccxt {their}")

    def tables(self, ours: Mapping[Any, Any], told: Mapping[Any, Any]) -> None:
        for key in sorted({*ours, *told}, key=str):
            name = " ".join(map(str, key)) if isinstance(key, tuple) else str(key)
            if key in ours and key in told:
                self.figures += 1
                self.add(name, ours[key], told[key])
            else:
                self.differing.append(f"{name}: {'ours' if key in ours else 'ccxt'} alone has it")

    def row(self, part: str, call: str, remark: str = "") -> Row:
        if self.differing:
            return Row(part, call, DIFFERENT, self.figures, "; ".join(self.differing))
        untold = f"ccxt does not tell {', '.join(sorted(self.untold))}" if self.untold else ""
        unsaid = f"ours does not tell {', '.join(sorted(self.unsaid))}" if self.unsaid else ""
        return Row(part, call, EQUAL, self.figures, "; ".join(filter(None, (untold, unsaid, remark))))


def same(ours: Any, theirs: Any) -> bool:
    """ccxt's numbers are binary fractions, and some are multiplied by a contract's size."""
    if isinstance(ours, Decimal) and isinstance(theirs, Decimal):
        return math.isclose(ours, theirs, rel_tol=1e-12, abs_tol=1e-15)
    return bool(ours == theirs)


# -- one account -------------------------------------------------------------------------------------------------------


class Comparison:
    """One part of an account through its whole life: orders at rest, fills, cancels, and flat again."""

    def __init__(self, part: Part, ours: Ours, told: Theirs, stand: Standing) -> None:
        self.part = part
        self.ours = ours
        self.theirs = told
        self._stand = stand
        self._seen = {call: Compared() for call in CALLS}
        self._by_us: dict[str, str] = {}  # symbol -> the resting order
        self._by_them: dict[str, str] = {}

    async def run(self) -> list[Row]:
        try:
            for step in (self.theirs.start, self._rest, self._trade, self._cancel, self._close):
                await step()
        except (AssertionError, ccxt.BaseError) as error:  # the others go on; this table says where it ended
            return [Row(self.part.label, call, FAILED, 0, f"{step.__name__}: {error}") for call in CALLS]
        return [self._row(call) for call in CALLS]

    async def _rest(self) -> None:
        """Two orders in each market that nobody will take; each must show at the other."""
        for symbol in self.part.symbols:
            bid, _, _ = await self._best(symbol)
            far = int(bid / 2)
            self._by_them[symbol] = await self.theirs.place(symbol, "buy", SIZE, far)
            self._by_us[symbol] = await self.ours.place(symbol, "buy", SIZE * 2, far - 100)
        wanted = {*self._by_us.values(), *self._by_them.values()}

        async def all_of_them() -> bool:
            return wanted <= (await self.ours.open_orders()).keys()

        await until(all_of_them, f"{self.part.label}: the orders {wanted} in our API")
        await self._compare("fetch_open_orders", self.ours.open_orders, await self.theirs.open_orders())
        told = await self.theirs.open_orders()
        self._count("create_order", {order: order in told for order in wanted})
        await self._compare_balances()

    async def _trade(self) -> None:
        for symbol in self.part.symbols:
            _, ask, _ = await self._best(symbol)
            bought = await self.theirs.place(symbol, "buy", SIZE * 2, int(ask * Decimal("1.003")))
            sold = await self.ours.place(symbol, "sell", SIZE, None)
            made = await self._make(symbol)
            await self._filled({bought, sold, made})
        await self._compare_trades()
        if self._has_positions:
            await self._compare("fetch_positions", self.ours.positions, await self.theirs.positions())

    async def _make(self, symbol: str) -> str:
        """A fill as maker: an order at the best price, a step better where there is room, until somebody takes it."""
        end_s = time.monotonic() + 30
        while time.monotonic() < end_s:
            bid, ask, tick = await self._best(symbol)
            order = await self.ours.place(symbol, "buy", SIZE, bid + tick if ask - bid > tick else bid)
            try:
                await self._filled({order}, MAKER_S)
            except AssertionError:
                try:
                    await self.ours.cancel(symbol, order)
                except AssertionError:
                    await self._filled({order})  # taken meanwhile
                else:
                    continue
            return order
        raise AssertionError(f"{self.part.label} {symbol}: nobody took an order at the best price for 30 s")

    async def _cancel(self) -> None:
        """Each cancels what the other placed."""
        for symbol in self.part.symbols:
            await self.theirs.cancel(symbol, self._by_us[symbol])
            await self.ours.cancel(symbol, self._by_them[symbol])
        ended = {*self._by_us.values(), *self._by_them.values()}

        async def both() -> bool:
            rows = await self.ours.orders()
            return all(rows[order]["status"] == "canceled" for order in ended)

        await until(both, f"{self.part.label}: the orders {ended} cancelled in our API")
        left = await self.theirs.open_orders()
        self._count("cancel_order", {order: order not in left for order in ended})
        self._count("cancel_order", {s: await self.theirs.is_gone(s, order) for s, order in self._by_them.items()})
        await self._compare("fetch_open_orders", self.ours.open_orders, left)

    async def _close(self) -> None:
        for symbol, position in (await self.ours.positions()).items():
            assert position.size is not None
            side = "sell" if position.size > 0 else "buy"
            await self._filled({await self.ours.place(symbol, side, abs(position.size), None, reduce_only=True)})
        await self._compare_trades()
        if self._has_positions:
            await self._compare("fetch_positions", self.ours.positions, await self.theirs.positions())
        await self._compare_balances()
        self._seen["create_order"].differing += [f"a notice of ours: {text}" for text in await self.ours.notices()]

    # -- comparing -----------------------------------------------------------------------------------------------------

    async def _compare(self, call: str, ours: Any, told: Mapping[Any, Any]) -> None:
        """ccxt is asked once, nothing being on its way any more; ours may be a moment behind."""
        end_s = time.monotonic() + SETTLED_S
        while True:
            found = Compared()
            found.tables(await ours(), told)
            if not (found.differing or found.unsaid - self.part.unsaid) or time.monotonic() > end_s:
                break
            await asyncio.sleep(0.2)
        self._merge(call, found)

    async def _compare_balances(self) -> None:
        async def ours() -> dict[tuple[str, str], Cash]:
            return {key: cash for key, cash in (await self.ours.balances()).items() if self.theirs.knows(key[1])}

        await self._compare("fetch_balance", ours, await self.theirs.balances())

    async def _compare_trades(self) -> None:
        """Each once."""
        told = await self.theirs.trades()
        await self._compare("fetch_my_trades", self._trades_of_ours, dict(told))
        for who, ids in (("ours", [id for id, _ in await self.ours.trades()]), ("ccxt", [id for id, _ in told])):
            twice = sorted({id for id in ids if ids.count(id) > 1})
            self._seen["fetch_my_trades"].differing += [f"{who} has {id} more than once" for id in twice]

    async def _trades_of_ours(self) -> dict[str, Trade]:
        return dict(await self.ours.trades())

    def _merge(self, call: str, found: Compared) -> None:
        seen = self._seen[call]
        seen.figures += found.figures
        seen.differing += found.differing
        seen.untold |= found.untold
        seen.unsaid |= found.unsaid

    def _count(self, call: str, outcomes: Mapping[str, bool]) -> None:
        self._seen[call].figures += sum(outcomes.values())
        self._seen[call].differing += [f"{order} is not so at ccxt" for order, good in outcomes.items() if not good]

    async def _filled(self, orders: set[str], within_s: float = 20.0) -> None:
        async def all_of_them() -> bool:
            rows = await self.ours.orders()
            return all(order in rows and rows[order]["status"] == "filled" for order in orders)

        try:
            await until(all_of_them, "", within_s)
        except AssertionError:
            rows = await self.ours.orders()
            told = {order: rows[order]["status"] if order in rows else "not there" for order in sorted(orders)}
            raise AssertionError(f"not filled within {within_s:g} s: {told}") from None

    async def _best(self, symbol: str) -> tuple[Decimal, Decimal, Decimal]:
        """Best bid, best ask, tick."""
        [product] = [name for name, traded in MARKETS[self.part.exchange].items() if traded == symbol]
        listed = instrument(self.part.exchange, product, symbol)
        path = f"book?exchange={self.part.exchange}&product={product}&symbol={listed.native}&depth=1"
        book = await asyncio.to_thread(self._stand.control, path)
        [[bid, _]], [[ask, _]] = book["bids"], book["asks"]
        return Decimal(bid), Decimal(ask), listed.tick

    # -- the outcome ---------------------------------------------------------------------------------------------------

    @property
    def _has_positions(self) -> bool:
        return bool(self.theirs.perpetuals)

    def _row(self, call: str) -> Row:
        if self.part.exchange not in ccxt.exchanges:
            remark = f"ccxt has no {self.part.exchange}: by {self.theirs.exchange.id}'s signature and reading"
            return self._seen[call].row(self.part.label, call, remark)
        word = "".join(part.capitalize() for part in call.split("_"))
        word = word[0].lower() + word[1:]
        told = self.theirs.has.get(word)
        if not told:
            return Row(self.part.label, call, ABSENT, 0, f"has[{word!r}] is {told}")
        if call == "fetch_positions" and not self._has_positions:
            return Row(self.part.label, call, NOTHING, 0, "spot alone: ccxt's are of other products")
        return self._seen[call].row(self.part.label, call)


async def compare(stand: Standing, parts: Sequence[Part]) -> list[Row]:
    """All rows; the parts one beside the other."""
    at = endpoints("127.0.0.1", stand.port)
    for exchange in dict.fromkeys(part.exchange for part in parts):
        if key := own_key(exchange):
            body = {"exchange": exchange, "key": key.key, "secret": key.secret, "account": key.account}
            stand.control("keys", body)
    clients = [theirs(part, at[part.exchange]) for part in parts]
    try:
        async with stand.session() as session:
            comparisons = [
                Comparison(part, Ours(session, stand.accounts[part.exchange], part, told.wallets), told, stand)
                for part, told in zip(parts, clients, strict=True)
            ]
            found = await asyncio.gather(*(each.run() for each in comparisons))
        return [row for rows in found for row in rows]
    finally:
        for told in clients:
            await told.close()


def compared(exchanges: Sequence[str] = tuple(MARKETS)) -> list[Row]:
    """Start everything, compare, end everything."""
    with TemporaryDirectory() as folder, standing(Path(folder), exchanges=exchanges) as stand:
        return asyncio.run(compare(stand, [part for part in PARTS if part.exchange in exchanges]))


def table(rows: Sequence[Row]) -> str:
    head = ("account", "call", "figures", "", "")
    lines = [head, *((row.part, row.call, str(row.figures), row.verdict, row.remark) for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(each, widths, strict=True)).rstrip() for each in lines)


def main(arguments: Sequence[str]) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(prog="python -m bench accounts", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--exchange", action="append", choices=list(MARKETS), help="this one alone; repeat it")
    rows = compared(parser.parse_args(arguments).exchange or tuple(MARKETS))
    print(table(rows))
    return [
        {
            "name": f"accounts, {row.part} {row.call}: {row.verdict}",
            "value": row.figures,
            "unit": "figures",
            "baseline": f"compared with ccxt {ccxt.__version__}",
            "baseline_value": None,
            "ratio": None,
        }
        for row in rows
    ]
