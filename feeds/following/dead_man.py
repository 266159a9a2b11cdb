"""The dead man's switch of one account: the exchange cancels its orders when it has not heard of us for so long.

A switch that is set and not renewed in time cancels the orders of a worker that is alive. So it is renewed three times
within its time by a task of its own, which asks for nothing else first and waits for nothing else: each market's (or
product's) by itself, none of them longer than until the next round. What fails is tried again in the next.

Some exchanges have one switch for an account; others set it market by market. There it is set in a market when an order
is placed from here, or when the list of open orders, asked every :data:`LIST_S` beside the renewals, names it. It is
renewed also where nothing is open any more: a switch that was set there strikes all that comes later.
"""

import asyncio

from structlog.typing import FilteringBoundLogger

from feeds.account import AccountApi
from feeds.clock import Clock
from feeds.errors import ExchangeError, FeedError, TransportError
from feeds.exchange import Request
from feeds.following.signed_rest import SignedRest, Told
from feeds.following.upkeep import Upkeep
from feeds.trading import TradingApi

ROUNDS = 3
"""It is renewed so often within its time."""

LIST_S = 30.0
"""So often the open orders are listed, for what was placed elsewhere."""

OFF_S = 5.0
"""So long at most it takes to put it off: who stops waits for it."""


class DeadMan:
    """From :meth:`start` to :meth:`stop`; :meth:`put_off` ends what is set. ``timeout_s`` is the exchange's to keep."""

    def __init__(
        self,
        timeout_s: int,
        api: AccountApi,
        trading: TradingApi,
        rest: SignedRest,
        upkeep: Upkeep,
        *,
        log: FilteringBoundLogger,
        clock: Clock,
    ) -> None:
        self._timeout_s = timeout_s
        self._api = api
        self._trading = trading
        self._rest = rest
        self._upkeep = upkeep
        self._log = log
        self._clock = clock
        self._whole = bool(trading.dead_man_requests(0, ()))  # one switch, whatever the market
        self._armed: dict[str, None] = {}  # symbols of markets where it is, or shall be, set
        self._more = asyncio.Event()  # it shall be set where it is not yet
        self._listed = False  # every list of open orders was read at least once
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Idempotent."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._keep(), name="dead man's switch")]
            if not self._whole:
                self._tasks.append(asyncio.create_task(self._look(), name="markets of the dead man's switch"))

    async def stop(self) -> None:
        """Renew no more; what is set stays set. Idempotent."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def arm(self, symbol: str) -> None:
        """An order is open in this market."""
        if not self._whole and symbol not in self._armed:
            self._armed[symbol] = None
            self._more.set()

    async def put_off(self) -> None:
        """The exchange shall cancel nothing any more. What is known to be set is put off first, without a list; where
        orders have not been listed yet, a switch may be set that a former worker has left.

        Raises FeedError, the first of them, after all were told.
        """
        errors = await self._tell(0, OFF_S)
        if not self._whole and not self._listed:
            known = len(self._armed)
            await self._list_all(OFF_S)
            if len(self._armed) > known:
                errors = await self._tell(0, OFF_S)
        if errors:
            raise errors[0]

    # Renewing

    async def _keep(self) -> None:
        every_s = self._timeout_s / ROUNDS
        while True:
            began_s = self._clock.monotonic_s()
            self._more.clear()
            await self._upkeep.of("dead man's switch", self._renew(every_s))
            left_s = began_s + every_s - self._clock.monotonic_s()
            try:
                async with asyncio.timeout(max(0.0, left_s)):
                    await self._more.wait()
            except TimeoutError:
                pass

    async def _renew(self, within_s: float) -> None:
        if errors := await self._tell(self._timeout_s, within_s):
            raise errors[0]

    async def _tell(self, timeout_s: int, within_s: float) -> list[FeedError]:
        """Each switch at once and by itself: what went wrong."""
        asked = (self._ask(request, within_s) for request in self._requests(timeout_s))
        told = await asyncio.gather(*asked, return_exceptions=True)
        for each in told:
            if isinstance(each, BaseException) and not isinstance(each, FeedError):
                raise each
        return [each for each in told if isinstance(each, FeedError)]

    def _requests(self, timeout_s: int) -> list[Request]:
        if self._whole:
            return self._trading.dead_man_requests(timeout_s, ())
        wanted: dict[Request, None] = {}
        for symbol in list(self._armed):
            try:
                wanted |= dict.fromkeys(self._trading.dead_man_requests(timeout_s, (symbol,)))
            except ExchangeError as error:  # listed no more: its switch has no name, and the others must not wait
                self._log.warning("no dead man's switch", market=symbol, error=str(error))
                del self._armed[symbol]
        return list(wanted)

    async def _ask(self, request: Request, within_s: float) -> Told:
        try:
            async with asyncio.timeout(within_s):
                return await self._rest.ask(request, urgent=True, max_wait_s=within_s)
        except TimeoutError:
            raise TransportError(f"{request}: no answer within {within_s:g} s") from None

    # What else is to be set

    async def _look(self) -> None:
        while True:
            await self._list_all(LIST_S)
            await asyncio.sleep(LIST_S)

    async def _list_all(self, within_s: float) -> None:
        lists = [
            self._upkeep.of(f"open orders of {request.subject}", self._list(request, within_s))
            for request in self._api.orders_requests()
        ]
        self._listed |= all(await asyncio.gather(*lists))

    async def _list(self, request: Request, within_s: float) -> None:
        told = await self._ask(request, within_s)
        for order in self._api.parse_orders(request, told.raw):
            self.arm(order.symbol)
