"""The portfolios of all users at work: stored accounts, live prices, one statement per user; and equity by the minute.

The store is read when an account changed, and every ``READ_S`` anyway. Prices are those of the markets' own streams:
what is needed is leased like any watched market. Fills go into a cost book per account in the order of time; one that
comes late (from a history, behind later ones), or whose fee is told later, makes the book be read anew.

At every full minute each account's worth is stored in all currencies, complete or said to be incomplete.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog

from feeds.account_domain import Transfer
from feeds.clock import Clock
from feeds.domain import BUILDING, StreamState
from feeds.markets.at_work import ExchangeAtWork
from feeds.publisher import Picture
from feeds.worth import moves, portfolio, today
from feeds.worth.cost import CostBook
from feeds.worth.holdings import holdings
from feeds.worth.portfolio import Day, EquityPoint, Held, Mark, Person, WealthStore, Worth
from feeds.worth.pricing import CURRENCIES, HUBS, Price, Pricer, Quote

log = structlog.get_logger(__name__)

READ_S = 10.0
DRAW_S = 1.0
STORED_BY = HUBS[0]
"""Equity is stored in all currencies, each by this one's rate where a coin has no live price in it: so not every coin's
market in every currency must be watched."""
LOOKING_S = 5.0
"""Nobody looks at a portfolio that was not drawn for so long: then it is read every ``READ_S`` only."""
PAGE = 1000
MINUTE_MS = 60_000
ANEW_MS = 600_000
"""So long a fill without its fee is looked at again."""


class Wealth:
    """``changed`` is called with topics whose content is new, ``lease`` with the quote topics that prices need."""

    def __init__(
        self,
        store: WealthStore,
        venues: Mapping[str, ExchangeAtWork],
        changed: Callable[[str], None],
        lease: Callable[[set[str]], None],
        mark_of: Callable[[str, str], Mark | None],
        clock: Clock,
    ) -> None:
        self._store = store
        self._venues = venues
        self._changed = changed
        self._lease = lease
        self._mark_of = mark_of
        self._clock = clock
        self._people: dict[int, Person] = {}
        self._held: dict[int, Held] = {}
        self._costs: dict[int, CostBook] = {}
        self._transfers: dict[int, list[Transfer]] = {}  # of the wallets that are followed
        self._moved: dict[int, list[Transfer]] = {}  # of these, what did not only change the wallet
        self._followed: dict[int, frozenset[str]] = {}  # account -> the wallets that these are of
        self._counts: dict[int, int] = {}  # account -> fills in its cost book
        self._anew_ms: dict[int, int] = {}  # account -> when its book was begun
        self._begun: dict[tuple[int, int, str], EquityPoint] = {}  # (account, day's start, currency) -> first point
        self._pricer = Pricer(())
        self._listed = 0
        self._dirty = True
        self._asked_s = float("-inf")  # when somebody last looked
        self._unread: set[int] = set()  # accounts with new fills
        self._late: set[int] = set()  # accounts whose fills must be read from the beginning again
        self._read_s = float("-inf")
        self._drawn_s = float("-inf")
        self._minute = clock.now_ns() // 60_000_000_000
        self._task: asyncio.Task[None] | None = None
        self._failing = False

    # For the desk

    def touched(self, account: int, kind: str) -> None:
        """The store has news of this account."""
        self._dirty = True
        if kind == "fills":
            self._unread.add(account)
        elif kind == "transfers":
            self._late.add(account)

    def draw(self, user: int) -> Picture | None:
        self._asked_s = self._clock.monotonic_s()
        person = self._people.get(user)
        if person is None:
            if self._read_s == float("-inf"):
                return None
            person = Person(id=user, currency=CURRENCIES[1], zone="UTC", accounts=())
        accounts = [self._held[number] for number in person.accounts if number in self._held]
        prices: dict[tuple[str, str, str], Price | None] = {}

        def price_of(asset: str, currency: str, exchange: str) -> Price | None:
            key = asset, currency, exchange
            if key not in prices:
                prices[key] = self._pricer.price(asset, currency, self._quote, at=exchange)
            return prices[key]

        day = self._day(person, accounts, price_of)
        held = holdings(accounts, person.currency, price_of, self._costs)
        data = portfolio.statement(accounts, person.currency, price_of, self._mark_of, held, day)
        state = StreamState.LIVE if data["complete"] else StreamState.STALE
        return Picture(state=state, data={"user": user, **data}, recv_ns=self._clock.now_ns())

    def tick(self) -> None:
        """Twice a second."""
        now_s = self._clock.monotonic_s()
        looked_at = now_s - self._asked_s < LOOKING_S
        due = (
            (self._dirty and looked_at)
            or now_s - self._read_s >= READ_S
            or self._clock.now_ns() // 60_000_000_000 != self._minute
        )
        if due and self._task is None:
            self._task = asyncio.create_task(self._refresh(), name="portfolio")
            self._task.add_done_callback(self._refreshed)
        if now_s - self._drawn_s >= DRAW_S:
            self._drawn_s = now_s
            self._lease_prices()
            for user in self._people:
                self._changed(f"portfolio:{user}")

    async def stop(self) -> None:
        """Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # Reading

    async def _refresh(self) -> None:
        self._dirty = False
        regular = self._clock.monotonic_s() - self._read_s >= READ_S
        minute = self._clock.now_ns() // 60_000_000_000
        self._held = {account.id: account for account in await self._store.held()}
        people = {person.id: person for person in await self._store.people()}
        gone = self._people.keys() - people.keys()
        self._people = people
        unread, self._unread = self._unread, set()
        for number, account in self._held.items():
            if self._followed.get(number) != account.followed:
                self._late.add(number)
            if regular or number in unread or number in self._late:
                await self._read_costs(account)
        self._list_markets()
        if minute != self._minute:
            await self._store.put_equity(self._points(minute * MINUTE_MS))
            self._minute = minute
        await self._read_days()
        self._read_s = self._clock.monotonic_s()
        for user in gone | people.keys():
            self._changed(f"portfolio:{user}")

    def _refreshed(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            if self._failing:
                log.info("portfolio read again")
            self._failing = False
            return
        self._read_s = self._clock.monotonic_s() if self._read_s != float("-inf") else self._read_s
        if not self._failing:
            log.error("portfolio not read", exc_info=error)
        self._failing = True

    async def _read_costs(self, held: Held) -> None:
        """Bring an account's cost book up to date; anew where something came late."""
        account = held.id
        now_ms = self._clock.now_ns() // 1_000_000
        book = self._costs.get(account)
        if book is not None and book.incomplete_ms is not None:
            lately = now_ms - book.incomplete_ms < ANEW_MS
            if lately and now_ms - self._anew_ms[account] >= MINUTE_MS:
                self._late.add(account)
        if book is None or account in self._late:
            book = self._begin_costs(account, now_ms)
            await self._read_transfers(held)
        await self._read_fills(account, book)
        if await self._store.fill_count(account) != self._counts[account]:
            book = self._begin_costs(account, now_ms)
            await self._read_fills(account, book)

    async def _read_transfers(self, held: Held) -> None:
        told = await self._store.done_transfers(held.id)
        self._followed[held.id] = held.followed
        self._transfers[held.id] = [transfer for transfer in told if transfer.product in held.followed]
        self._moved[held.id] = moves.from_outside(self._transfers[held.id], lambda transfer: transfer.product)

    def _begin_costs(self, account: int, now_ms: int) -> CostBook:
        self._late.discard(account)
        self._counts[account], self._anew_ms[account] = 0, now_ms
        book = self._costs[account] = CostBook()
        return book

    async def _read_fills(self, account: int, book: CostBook) -> None:
        waiting = [t for t in self._moved[account] if t.exchange_ms > book.moved_ms]
        while True:
            page = await self._store.cost_history(account, book.last, PAGE)
            for row, fill in page:
                while waiting and waiting[0].exchange_ms <= fill.exchange_ms:
                    book.transfer(waiting.pop(0))
                book.fill(fill, row)
            self._counts[account] += len(page)
            if len(page) < PAGE:
                break
        for transfer in waiting:
            book.transfer(transfer)

    async def _read_days(self) -> None:
        for person in self._people.values():
            since_ms, currency = self._since_ms(person.zone), person.currency
            missing = [number for number in person.accounts if (number, since_ms, currency) not in self._begun]
            if missing:
                for number, point in (await self._store.day_begun(missing, since_ms, currency)).items():
                    self._begun[number, since_ms, currency] = point
        if len(self._begun) > 1000:
            self._begun.clear()

    def _list_markets(self) -> None:
        count = sum(len(venue.markets) for venue in self._venues.values())
        if count != self._listed:
            self._listed = count
            self._pricer = Pricer(market for venue in self._venues.values() for market in venue.markets)

    # Prices

    def _quote(self, exchange: str, symbol: str) -> Quote | None:
        """The middle of a market's best prices."""
        venue = self._venues.get(exchange)
        feed = venue.feeds.get(symbol) if venue is not None else None
        if feed is None or feed.state in BUILDING or (middle := feed.middle()) is None:
            return None
        price, told_ns = middle
        age_ms = max(0, (self._clock.now_ns() - told_ns) // 1_000_000)
        return Quote(price=price, age_ms=age_ms, live=feed.state.usable)

    def _lease_prices(self) -> None:
        wanted: set[tuple[str, str]] = set()
        currencies = {person.currency for person in self._people.values()} | {STORED_BY}
        for account in self._held.values():
            assets = {balance.asset for balance in account.balances if balance.total}
            for position in account.positions:
                settle = position.settle or portfolio.settle_of(position.symbol)
                assets |= {settle, portfolio.quote_of(position.symbol), portfolio.base_of(position.symbol)}
            for asset in assets:
                for currency in currencies:
                    wanted |= self._pricer.wanted(asset, currency, self._quote, at=account.exchange)
        for currency in CURRENCIES:
            wanted |= self._pricer.wanted(STORED_BY, currency, self._quote)
        self._lease({f"quote:{exchange}:{symbol}" for exchange, symbol in wanted})

    # Equity and the day

    def _points(self, at_ms: int) -> list[EquityPoint]:
        return [self._point(account, at_ms) for account in self._held.values()]

    def _point(self, account: Held, at_ms: int) -> EquityPoint:
        def price_of(asset: str, currency: str, exchange: str) -> Price | None:
            direct = self._pricer.price(asset, currency, self._quote, at=exchange)
            if asset == currency or currency == STORED_BY or (direct is not None and direct.live):
                return direct
            first = self._pricer.price(asset, STORED_BY, self._quote, at=exchange)
            rate = self._pricer.price(STORED_BY, currency, self._quote)
            return direct if first is None or rate is None else first.then(rate)

        values: dict[str, str] = {}
        reasons: dict[str, str] = {}
        for currency in CURRENCIES:
            valued: Worth = portfolio.worth(account, currency, price_of, self._mark_of)
            if valued.complete or valued.equity:
                values[currency] = portfolio.text(valued.equity)
                if not valued.complete:
                    reasons[currency] = " ".join(valued.problems)[:500]
        return EquityPoint(account=account.id, at_ms=at_ms, values=values, reasons=reasons)

    def _since_ms(self, zone: str) -> int:
        """When the running day of this time zone began."""
        here = datetime.fromtimestamp(self._clock.now_ns() / 1e9, ZoneInfo(zone))
        return round(here.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)

    def _day(self, person: Person, accounts: Sequence[Held], price_of: portfolio.PriceOf) -> Day:
        since_ms = self._since_ms(person.zone)
        begun = {
            account.id: point
            for account in accounts
            if (point := self._begun.get((account.id, since_ms, person.currency))) is not None
        }
        return today.day_of(
            accounts, person.currency, price_of, self._costs, self._transfers, begun, since_ms, person.zone
        )
