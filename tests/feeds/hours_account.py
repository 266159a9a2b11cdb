"""An account of a simulated exchange, followed by the real engine over real sockets, in hours that take seconds."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from unittest.mock import patch

from bench import limits_world
from feeds.account_domain import Finding, Transfer
from feeds.domain import StreamState
from feeds.simulator.accounts import Account
from feeds.simulator.market import LiveMarket

PULSE_S = 2.0
"""The market moves so often: what is slow here is the market, and it is not what is measured."""


class Hours:
    """``transfers`` are those stored, ``findings`` all that was ever found."""

    def __init__(self, here: limits_world.World, exchange: str) -> None:
        self.here = here
        self.exchange = exchange
        self.account: Account = here.server.accounts[exchange].by_name["demo 1"]
        self.transfers: dict[tuple[str, str], Transfer] = here.store.transfers.setdefault(1, {})
        self.findings: list[Finding] = here.store.findings.setdefault(1, [])

    def markets(self, product: str) -> list[LiveMarket]:
        return list(self.here.server.market.of(self.exchange, product).values())

    def trade(self, market: LiveMarket, quantity: int, *, buy: bool) -> None:
        """At once, in lots. The market knows what time it is: its fills bear it."""
        self.here.server.beat(self.here.clock.now_ms())
        self.account.desk_of(market).place(market, buy=buy, size=quantity, type="MARKET")

    async def live(self, within_s: float = 600.0) -> None:
        for _ in range(int(within_s)):
            if self.here.states().get(1, ("", ""))[0] == StreamState.LIVE.value:
                return
            await asyncio.sleep(1)
        raise AssertionError(f"not LIVE: {self.here.states()}")

    def told(self, kind: str) -> list[Transfer]:
        assert not self.here.store.rewritten, "what is done changes no more"
        return sorted((row for row in self.transfers.values() if row.kind == kind), key=lambda row: row.exchange_ms)

    def requests(self, part: str) -> int:
        """How many of this path the exchange received."""
        return sum(part in each.asked.path for each in self.here.received)


@asynccontextmanager
async def followed_for_hours(exchange: str, symbols: Sequence[str], *, poll_s: float = 20.0) -> AsyncIterator[Hours]:
    with patch.object(limits_world, "PULSE_S", PULSE_S):
        async with limits_world.world([exchange], symbols=symbols, trader=False) as here:
            hours = Hours(here, exchange)
            await here.follow(exchange, 1, poll_s=poll_s)
            yield hours
