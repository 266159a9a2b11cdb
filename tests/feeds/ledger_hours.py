"""An account of a simulated exchange followed over sockets through several payments of funding, in time that passes by
itself, while it trades: what was stored, and what the simulator says.

Everything happens at a beat of the simulated market, so its time is what it is stamped with: what rested and was filled
between two beats would bear a time at which no balance has it yet.
"""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import msgspec

from bench import hours, limits_world
from bench.limits_world import Request, World, world
from feeds.account_domain import Fill, Finding, Transfer
from feeds.domain import StreamState
from feeds.following import polls
from feeds.simulator.accounts import Account
from feeds.simulator.orders import Movement, OwnFill
from feeds.simulator.venues import REGISTRY

FUNDING_S = 60
"""So often instead of every eight hours, and so often transfers are asked instead of every five minutes."""
TO_AN_END_S = 45
"""So long after the last fill everything has been read and judged."""
FILL_S = 2


class Lived(msgspec.Struct):
    """``moved`` and ``traded`` are the simulator's; ``cash`` its totals at the end."""

    transfers: list[Transfer]
    fills: list[Fill]
    findings: list[Finding]
    moved: list[Movement]
    traded: list[OwnFill]
    cash: dict[str, Decimal]
    asked: list[Request]
    state: str

    def funding(self) -> list[tuple[str, str | None, Decimal, int]]:
        """Asset, symbol, amount and time of all that was stored, in order."""
        told = [(t.asset, t.symbol, t.amount, t.exchange_ms) for t in self.transfers if t.kind == "funding"]
        return sorted(told, key=lambda row: (row[3], str(row[1])))

    def true_funding(self) -> list[tuple[str, str | None, Decimal, int]]:
        paid = [(m.asset, m.market.instrument.symbol, m.amount, m.ms) for m in self.moved if m.market is not None]
        return sorted(paid, key=lambda row: (row[3], row[1]))

    def told_twice(self, product: str) -> dict[str, Decimal]:
        """By asset: what the stored transfers of a wallet and the fills add up to beyond what is in it."""
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for transfer in self.transfers:
            if transfer.product == product:
                sums[transfer.asset] += transfer.amount
        for fill in self.traded:
            i, sign = fill.order.market.instrument, 1 if fill.order.buy else -1
            if i.settle is None:
                sums[i.base] += sign * fill.size
                sums[i.quote] -= sign * fill.value
            else:
                sums[i.settle] += fill.realised or 0
            sums[fill.fee_asset] -= fill.fee
        return {asset: more for asset in sums if (more := sums[asset] - self.cash.get(asset, Decimal(0)))}


def live_through(
    exchange: str, wallet: str, symbols: Sequence[str], others: Sequence[tuple[str, str, str]], payments: int
) -> Lived:
    """``payments``: so many times of funding. ``others``: asset, amount and the exchange's name of what changes the
    wallet besides, halfway."""
    place: Any = REGISTRY[exchange]
    products = {
        name: msgspec.structs.replace(each, funding_ms=FUNDING_S * 1000) for name, each in place.terms.products.items()
    }

    async def main() -> Lived:
        async with world([exchange], symbols=symbols) as here:
            return await _live(here, exchange, wallet, others, payments)

    terms = msgspec.structs.replace(place.terms, products=products)
    often = patch.object(polls, "TRANSFERS_S", float(FUNDING_S))
    with patch.object(place, "terms", terms), patch.object(limits_world, "PULSE_S", 1.0), often:
        return hours.run(main())


def trade(here: World, exchange: str, account: Account, until_ms: int) -> None:
    """Buy and sell at market at the beats of the simulated market, all markets in turn; a buy more than sales each
    round, so that positions are open."""
    server, market_of = here.server, here.server.market.markets
    markets = [market for (name, *_), market in market_of.items() if name == exchange]
    beat, rounds = server.beat, itertools.count()

    def beat_and_trade(now_ms: int) -> None:
        beat(now_ms)
        if now_ms < until_ms and next(rounds) % FILL_S == 0:
            number = next(trades)
            market = markets[number % len(markets)]
            buy = number // len(markets) % 3 != 2
            i = market.instrument
            size = int(300 / (market.mid() * float(i.tick) * float(i.lot)))
            account.desk_of(market).place(market, buy=buy, size=max(1, size), price=None, type="MARKET")

    trades = itertools.count()
    server.beat = beat_and_trade


async def _live(
    here: World, exchange: str, wallet: str, others: Sequence[tuple[str, str, str]], payments: int
) -> Lived:
    true = here.server.accounts[exchange].by_name["demo 1"]
    here.server.traders[exchange].paused = True
    true.cancel_all()
    begun_ms = here.clock.now_ms()
    until_ms = (begun_ms // (FUNDING_S * 1000) + payments) * FUNDING_S * 1000 + 10_000
    trade(here, exchange, true, until_ms)
    await here.follow(exchange, 1)
    await asyncio.sleep((until_ms - begun_ms) / 2000)
    for asset, amount, name in others:
        true.desks["spot"].transfer(asset, Decimal(amount), name)
    await asyncio.sleep((until_ms - begun_ms) / 2000 + TO_AN_END_S)
    cash = true.cash[wallet]
    assert not here.store.rewritten, "what is done changes no more"
    return Lived(
        transfers=list(here.store.transfers[1].values()),
        fills=list(here.store.fills[1].values()),
        findings=here.store.findings.get(1, []),
        moved=list(true.movements),
        traded=list(true.fills),
        cash={asset: cash.total(asset) for asset in cash.assets()},
        asked=here.received,
        state=here.states()[1][0],
    )


LIVE = StreamState.LIVE
