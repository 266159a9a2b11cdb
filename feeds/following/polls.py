"""An account's REST sources: balances and positions every few seconds, open orders and settings more rarely, deposits
and withdrawals every five minutes.

One poller per kind and product, so that one that fails or waits for its budget never slows another. They ask at the
account's own interval, or at a longer one where the exchange's limits want it (:mod:`feeds.following.pace`).
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from typing import Any

from feeds.account import AccountApi, HasPositions, HasSettings, TellsTransfers
from feeds.account_domain import Balance, Order, Position, Transfer
from feeds.clock import SYSTEM, Clock
from feeds.errors import FeedError
from feeds.exchange import Paged, Request
from feeds.following.checks import AccountChecks
from feeds.following.fill_history import FillHistory
from feeds.following.journal import Journal
from feeds.following.pace import Asked, Pace
from feeds.following.poller import Poller
from feeds.following.signed_rest import SignedRest, Told

RARE = 12
"""Open orders and settings also come by stream: they are polled so many times more rarely than balances."""

TRANSFERS_S = 300.0
SOON_S = 5.0
"""Deposits and withdrawals are asked so often, and so soon after the stream told of something that may be one."""

DAY_MS = 86_400_000
AGAIN_MS = 7 * DAY_MS
LOOKBACK_MS = 89 * DAY_MS
"""How far back transfers are asked: exchanges tell at most about 90 days at once (Binance less than 90)."""

FRESH = 3
"""Intervals within which a source must have answered."""


class OpenPositions:
    """Which positions are open, as far as told; the later figure holds, as in the store."""

    def __init__(self) -> None:
        self._positions: dict[tuple[str, str, str], Position] = {}

    def update(self, positions: Iterable[Position]) -> None:
        for position in positions:
            key = position.symbol, position.side, position.apart
            known = self._positions.get(key)
            if known is None or position.asof_ms >= known.asof_ms:
                self._positions[key] = position

    def replace(self, product: str, positions: Iterable[Position], asof_ms: int) -> None:
        """These are all of a product's as of ``asof_ms``."""
        self._positions = {
            key: known for key, known in self._positions.items() if known.product != product or known.asof_ms > asof_ms
        }
        self.update(positions)

    def symbols(self) -> set[str]:
        return {position.symbol for position in self._positions.values() if position.size}


class AccountPolls:
    """All pollers of one account; what they are told goes into the journal."""

    def __init__(
        self,
        api: AccountApi,
        rest: SignedRest,
        journal: Journal,
        history: FillHistory,
        checks: AccountChecks,
        *,
        every_s: float,
        pace: Pace | None = None,
        on_fatal: Callable[[FeedError], None],
        on_change: Callable[[], None],
        labels: dict[str, Any],
        clock: Clock = SYSTEM,
    ) -> None:
        self.positions = OpenPositions()
        self._api = api
        self._rest = rest
        self._journal = journal
        self._history = history
        self._checks = checks
        self._unsettled: dict[tuple[str, str], int] = {}  # transfers that are not done yet, and their time
        self._asked_transfers = False
        self._reread_s = float("-inf")  # transfers are to be read again, since then
        self._clock = clock
        self._every_s = every_s
        self._pace = pace or Pace(api, {}, clock=clock)
        self._plan: list[Asked] = []
        self._asks: dict[tuple[str, str], tuple[list[Request], int]] = {}  # what a poller asks; every how many times
        self._pollers: dict[tuple[str, str], Poller] = {}  # by kind and product
        for kind, poll, requests, times in self._sources():
            self._plan += [Asked(request, times) for request in requests]
            for product, group in groupby(requests, key=lambda request: request.subject):
                asked = list(group)
                self._asks[kind, product] = asked, times
                self._pollers[kind, product] = Poller(
                    f"{kind} {product}",
                    partial(poll, product, asked),
                    every_s=every_s * times,
                    gap_s=max(1.0, every_s / 4),
                    on_fatal=on_fatal,
                    on_change=on_change,
                    labels=labels,
                    clock=clock,
                )

        self._transfers: Poller | None = None
        if isinstance(api, TellsTransfers) and (asked := api.transfers_requests(0)):
            self._plan += [Asked(request, every_s=TRANSFERS_S) for request in asked]
            self._transfers = Poller(
                "transfers",
                partial(self._transferred, api),
                every_s=TRANSFERS_S,
                gap_s=SOON_S,
                on_fatal=lambda error: None,  # a key that may not read these may read all the rest
                labels=labels,
                clock=clock,
            )

        self.repace()

    def _sources(self) -> Iterator[tuple[str, Callable[[str, list[Request]], Awaitable[None]], list[Request], int]]:
        """(kind, what asks and keeps, all its requests, intervals between): settings first, which others need."""
        api = self._api
        if isinstance(api, HasSettings):
            yield "settings", partial(self._settings, api), api.settings_requests(), RARE
        yield "balances", self._balances, api.balances_requests(), 1
        if isinstance(api, HasPositions):
            yield "positions", partial(self._positions, api), api.positions_requests(), 1
        yield "orders", self._orders, api.orders_requests(), RARE

    def repace(self) -> None:
        """The limits are shared by more or by fewer accounts than before."""
        for key, (requests, times) in self._asks.items():
            self._pollers[key].every_s = times * max(self._every_s, self._pace.least_s(requests, self._plan))

    def plan(self) -> list[tuple[Request, float]]:
        """What is asked on timers, and the seconds from one question to the next; of lists in pages the first page."""
        asked = [(request, self._pollers[key].every_s) for key, (group, _) in self._asks.items() for request in group]
        return asked + [(each.request, each.every_s) for each in self._plan if each.every_s is not None]

    def start_settings(self) -> None:
        """Begin with what the other answers need to be complete."""
        for (kind, _), poller in self._pollers.items():
            if kind == "settings":
                poller.start()

    def start(self) -> None:
        """Idempotent."""
        for poller in self._pollers.values():
            poller.start()
        if self._transfers is not None:
            self._transfers.start()

    async def stop(self) -> None:
        """Idempotent."""
        if self._transfers is not None:
            await self._transfers.stop()
        for poller in reversed(self._pollers.values()):
            await poller.stop()

    def read_again(self, product: str) -> None:
        """Ask everything of this product now."""
        for (_, of), poller in self._pollers.items():
            if of == product:
                poller.soon()

    def changed(self, product: str, delay_s: float) -> None:
        """Balances and positions have changed; ask again within ``delay_s``, once for a burst of changes."""
        for (kind, of), poller in self._pollers.items():
            if of == product and kind in ("balances", "positions") and not poller.wanted:
                poller.soon(max(delay_s, self._pace.sooner_s(self._asks[kind, of][0], poller.every_s)))

    def transfers_soon(self) -> None:
        """Something changed that may be a deposit or a withdrawal."""
        api = self._api
        if self._transfers is not None and isinstance(api, TellsTransfers) and not self._transfers.wanted:
            asked = api.transfers_requests(self._since_ms(api))
            self._transfers.soon(max(SOON_S, self._pace.sooner_s(asked, self._transfers.every_s)))

    def reread_transfers(self) -> None:
        """Something has to be explained."""
        if self.transfers_read:
            self._reread_s = self._clock.monotonic_s()
        self.transfers_soon()

    @property
    def transfers_read(self) -> bool:
        """All that :meth:`reread_transfers` wants was asked since, or cannot be told."""
        poller = self._transfers
        return poller is None or poller.error is not None or (poller.asked_s or float("-inf")) >= self._reread_s

    @property
    def transfers_error(self) -> FeedError | None:
        """Why deposits and withdrawals cannot be told at the moment."""
        return self._transfers.error if self._transfers is not None else None

    def orders_again(self) -> None:
        """Orders were placed or cancelled: ask for the open ones soon."""
        for key, poller in self._pollers.items():
            if key[0] == "orders" and not poller.wanted:
                poller.soon(max(1.0, self._pace.sooner_s(self._asks[key][0], poller.every_s)))

    def lacking(self, standing_s: Callable[[str], float]) -> str:
        """What has not been told as it should, as a sentence; "" if all has.

        ``standing_s`` gives the (monotonic) time since when a product's streams stand: what was asked before is void.
        """
        now_s = self._clock.monotonic_s()
        for (kind, product), poller in self._pollers.items():
            if kind == "settings":
                continue
            why = self._why(poller, self._asks[kind, product][0][0].product)
            if poller.answered_s is None:
                return f"The {poller.name} were not told yet.{why}"
            if now_s - poller.answered_s > FRESH * poller.every_s:
                return f"The {poller.name} were not told for {now_s - poller.answered_s:.0f} s.{why}"
            if poller.asked_s is None or poller.asked_s < standing_s(product):
                return f"The {poller.name} are being read again.{why}"
        return ""

    def _why(self, poller: Poller, host: str) -> str:
        if blocked_s := self._rest.blocked_s(host):
            return f" The exchange asks us to wait, for another {blocked_s:.0f} s."
        return f" {poller.error.sentence}" if poller.error else ""

    # What the answers say

    async def _ask(self, requests: list[Request]) -> list[tuple[Request, Told]]:
        """All answers, page after page where the exchange tells its lists so."""
        answers = []
        for request in requests:
            page: Request | None = request
            while page is not None:
                told = await self._rest.ask(page)
                answers.append((page, told))
                page = self._api.next_page(page, told.raw) if isinstance(self._api, Paged) else None
        return answers

    async def _settings(self, api: HasSettings, product: str, requests: list[Request]) -> None:
        for request, told in await self._ask(requests):
            api.take_settings(request, told.raw)

    async def _balances(self, product: str, requests: list[Request]) -> None:
        answers = await self._ask(requests)
        rows: list[Balance] = []
        for request, told in answers:
            rows += self._api.parse_balances(request, told.raw, told.asof_ms)
        self._journal.balances(rows, recv_ns=_received(answers), complete=product, asof_ms=_asof(answers))
        until_ms = self._rest.now_ms(answers[0][0].product)
        self._checks.all_balances(product, rows, _asof(answers), until_ms, len(answers))
        self._history.add(self._api.candidates(rows), known=False)

    async def _positions(self, api: HasPositions, product: str, requests: list[Request]) -> None:
        answers = await self._ask(requests)
        rows: list[Position] = []
        for request, told in answers:
            rows += api.parse_positions(request, told.raw, told.asof_ms)
        self._journal.positions(rows, recv_ns=_received(answers), complete=product, asof_ms=_asof(answers))
        self.positions.replace(product, rows, _asof(answers))
        self._history.add((row.symbol for row in rows), known=True)

    async def _orders(self, product: str, requests: list[Request]) -> None:
        answers = await self._ask(requests)
        rows: list[Order] = []
        for request, told in answers:
            rows += self._api.parse_orders(request, told.raw)
        self._journal.orders(rows, recv_ns=_received(answers), complete=product, asof_ms=_asof(answers))
        self._checks.all_orders(product, rows, _asof(answers))
        for symbol in {row.symbol for row in rows}:
            self._history.traded(symbol)

    def _since_ms(self, api: TellsTransfers) -> int:
        """The first time as far back as is asked at all, then the last days and what is not done yet."""
        now_ms = self._rest.now_ms(api.transfers_requests(0)[0].product)
        since_ms = now_ms - (AGAIN_MS if self._asked_transfers else LOOKBACK_MS)
        return max(now_ms - LOOKBACK_MS, min([since_ms, *(ms - 1 for ms in self._unsettled.values())]))

    async def _transferred(self, api: TellsTransfers) -> None:
        answers = await self._ask(api.transfers_requests(self._since_ms(api)))
        rows: list[Transfer] = []
        for request, told in answers:
            rows += api.parse_transfers(request, told.raw)
        self._asked_transfers = True
        self._history.add(self._api.candidates([]), known=False)  # an account's ledger may tell where it traded
        for row in rows:
            if row.status == "pending":
                self._unsettled[row.kind, row.id] = row.exchange_ms
            else:
                self._unsettled.pop((row.kind, row.id), None)
        if rows:
            self._journal.transfers(rows, recv_ns=_received(answers))
            self._checks.transfers(rows)


def _asof(answers: list[tuple[Request, Told]]) -> int:
    """What several answers say together holds as of the earliest."""
    return min(told.asof_ms for _, told in answers)


def _received(answers: list[tuple[Request, Told]]) -> int:
    return max(told.recv_ns for _, told in answers)
