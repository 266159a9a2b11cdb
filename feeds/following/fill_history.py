"""An account's fills by REST: what the streams did not tell, because nobody listened.

Binance and others tell fills only market by market, others in lists over many markets; each such *list* has its own
progress. What is stored of it is the *cursor*, and three rules keep it right:

1. It moves only together with the page that it ends, in one transaction, and within a stretch that is told newest first
   only with its last page. A fill told by a stream never moves it: older ones may still be missing.
2. It never moves to a fill that is younger than ``settle_s``. An exchange serves its history from copies of its
   database; one that is a moment late may show fill 8 and not yet fill 7. What is younger is stored, and read again.
3. A market is read to the end after every start and every reconnect of its stream, once more when ``settle_s`` have
   passed (for what was in flight at the first reading), and from time to time for ever.

Which markets? Those named in the configuration; those with a stored fill or order; those with an open order, a
position or a fill now; and where the exchange cannot tell, those in which the assets that are or were held may have
been bought, and those that the account's ledger names (:meth:`feeds.account.AccountApi.candidates`). A market that was
traded only while nobody listened can be missed if it is none of these: name it in ``symbols``.
"""

import asyncio
import contextlib
import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import structlog

from feeds.account import AccountApi, FillPage
from feeds.account_domain import AccountChanged, Fill, FillTold, Order, PrivateEvent, UnknownMarket
from feeds.clock import SYSTEM, Clock
from feeds.errors import CredentialsError, ExchangeError, FeedError, ParseError, RateLimited
from feeds.following.journal import Journal
from feeds.following.owed_fills import OwedFills
from feeds.following.pace import Pace
from feeds.following.signed_rest import SignedRest
from feeds.pacing import backoff

log = structlog.get_logger(__name__)

REFUSALS = 3
"""A market whose history is refused so often in a row holds up the others no longer, and is asked every ``idle_s``."""

ACTIVE_ROUNDS = 10
"""A market counts as traded for so many ``active_s`` after its last fill or order."""

GAP_S = 1.0
"""Between two readings of one market, however often its stream begins anew."""

LATE_ROUNDS = 3
"""So often a market is read again, :data:`GAP_S` apart, for a fill that has happened and REST does not tell yet."""


class _Market:
    """One market's progress. Times are monotonic."""

    __slots__ = (
        "awaited",
        "cursor",
        "due_s",
        "known",
        "missing",
        "read_s",
        "refusal",
        "refusals",
        "second_look",
        "traded_s",
        "wishes",
    )

    def __init__(self, known: bool, cursor: str | None) -> None:
        self.known = known  # not a mere candidate
        self.cursor = cursor
        self.due_s = 0.0
        self.read_s = float("-inf")
        self.missing = True  # must be read to the end before it can be said that no fill is missing
        self.second_look = True
        self.wishes = 0  # counts read_again: a wish during a reading is not fulfilled by it
        self.traded_s: float | None = None
        self.awaited = 0  # readings that may still be made for a fill that is known to have happened
        self.refusals = 0
        self.refusal = ""  # in the exchange's words, once it is taken for final

    def wish(self, now_s: float) -> None:
        self.wishes += 1
        self.missing = self.second_look = True
        self.refusals = 0
        self.due_s = max(now_s, self.read_s + GAP_S)


class FillHistory:
    """Reads the fill history of all markets of an account, page by page, into the journal.

    ``on_new`` is told which fills were new: those the stream has not told, or not yet.
    """

    def __init__(
        self,
        api: AccountApi,
        rest: SignedRest,
        journal: Journal,
        *,
        on_fatal: Callable[[FeedError], None],
        on_change: Callable[[], None] = lambda: None,
        on_new: Callable[[list[Fill]], None] = lambda fills: None,
        on_unlisted: Callable[[], None] = lambda: None,
        settle_s: float = 10.0,
        active_s: float = 60.0,
        idle_s: float = 900.0,
        pace: Pace | None = None,
        delays: Callable[[], Iterator[float]] = backoff,
        labels: Mapping[str, Any] | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        self.error: FeedError | None = None
        """Why nothing can be read at the moment; None if it can."""
        self.unlisted: set[UnknownMarket] = set()
        """Markets with fills that cannot be named, and so not be read, before the instrument list has them."""
        self._api = api
        self._rest = rest
        self._journal = journal
        self._on_fatal = on_fatal
        self._on_change = on_change
        self._on_new = on_new
        self._on_unlisted = on_unlisted
        self._settle_s = settle_s
        self._active_s = active_s
        self._idle_s = idle_s
        self._pace = pace or Pace(api, {}, clock=clock)
        self._delays = delays
        self._clock = clock
        self._log = log.bind(source="fills", **(labels or {}))
        self._markets: dict[str, _Market] = {}
        self._owed = OwedFills(self._log)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # Which markets

    def load(self, named: Iterable[str], stored: Iterable[str], cursors: Mapping[str, str]) -> None:
        """Begin with the markets that the user named and those that were stored, at the stored cursors."""
        for name in self._api.fill_lists():
            self._markets[name] = _Market(True, cursors.get(name))
        for symbol in {*stored, *cursors} - self._markets.keys():
            if self._api.product_of(symbol) is None:
                self._log.info("market not listed any more", market=symbol)
            elif self._api.fill_list(symbol) == symbol:
                self._markets[symbol] = _Market(True, cursors.get(symbol))
        for symbol in named:
            self._markets.setdefault(self._api.fill_list(symbol), _Market(True, None))  # one that is not listed is told

    def add(self, symbols: Iterable[str], *, known: bool) -> None:
        """These markets have, or (not ``known``) may have, fills of this account. Unlisted ones are left out."""
        for name in {self._api.fill_list(symbol) for symbol in symbols}:
            market = self._markets.get(name)
            if market is not None:
                market.known |= known
            elif self._api.product_of(name) is not None:
                self._markets[name] = _Market(known, None)
                self._wake.set()

    def traded(self, symbol: str) -> None:
        """The market had a fill or an order just now: look at it more often for a while."""
        self.add([symbol], known=True)
        market = self._markets.get(self._api.fill_list(symbol))
        if market is None:
            return
        market.traded_s = self._clock.monotonic_s()
        due_s = market.traded_s + self._active_s
        if due_s < market.due_s:
            market.due_s = due_s
            self._wake.set()

    def heard(self, events: Iterable[PrivateEvent]) -> None:
        """A stream told this: markets with fills and orders are looked at more often. Fills that only the history can
        name are read at once, and again until they are there."""
        news = list(events)
        for symbol in {event.symbol for event in news if isinstance(event, Fill | Order)}:
            self.traded(symbol)
        for event in news:
            if isinstance(event, FillTold):
                self._owe(event)
            elif isinstance(event, AccountChanged) and event.fills_in is not None:
                self.filled(event.fills_in)

    def filled(self, symbol: str) -> None:
        """The market has a fill that only REST tells: read it now, and once more when it must be told."""
        self.traded(symbol)
        market = self._markets.get(self._api.fill_list(symbol))
        if market is not None:
            market.awaited = LATE_ROUNDS
            self._hurry(market)

    def _hurry(self, market: _Market) -> None:
        market.wishes += 1
        market.second_look = True
        market.due_s = min(market.due_s, max(self._clock.monotonic_s(), market.read_s + GAP_S))
        self._wake.set()

    def read_again(self, product: str) -> None:
        """The stream of this product has begun anew: what came before must be read."""
        self._wish(m for symbol, m in self._markets.items() if self._api.product_of(symbol) in (product, None))

    def _owe(self, told: FillTold) -> None:
        name = self._api.fill_list(told.symbol)
        self.add([told.symbol], known=True)
        market = self._markets.get(name)
        if market is not None and self._owed.told(told, name, self._clock.monotonic_s()):
            self._hurry(market)

    def met_unlisted(self, market: UnknownMarket) -> bool:
        """The stream told a fill in a market that the instrument list lacks; True if that is new."""
        if market in self.unlisted:
            return False
        self._log.warning("fill in an unlisted market", product=market.product, native=market.native)
        self.unlisted.add(market)
        return True

    def look_for_unlisted(self) -> None:
        """To be called every second or so: what is listed by now is read."""
        for market in list(self.unlisted):
            symbol = self._api.symbol_of(market.product, market.native)
            if symbol is not None:
                self.unlisted.discard(market)
                self.traded(symbol)
                name = self._api.fill_list(symbol)
                if name != symbol:
                    self._markets[name].cursor = None  # it was passed over there
                self._wish([self._markets[name]])

    def _wish(self, markets: Iterable[_Market]) -> None:
        now_s = self._clock.monotonic_s()
        for market in markets:
            market.wish(now_s)
        self._wake.set()

    @property
    def symbols(self) -> frozenset[str]:
        return frozenset(self._markets)

    @property
    def to_read(self) -> int:
        """Markets that must be read to the end before it can be said that no fill is missing."""
        late = self._owed.late(self._clock.monotonic_s())
        return sum(market.missing or name in late for name, market in self._markets.items())

    @property
    def refused(self) -> dict[str, str]:
        """Known markets whose history the exchange refuses, with its reason."""
        return {symbol: market.refusal for symbol, market in self._markets.items() if market.refusal and market.known}

    # Life

    def start(self) -> None:
        """Idempotent."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="fill history")

    async def stop(self) -> None:
        """Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # Reading

    async def _run(self) -> None:
        delays = self._delays()
        while True:
            self._wake.clear()
            symbol, wait_s = self._next()
            if symbol is None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._wake.wait()
                continue
            market = self._markets[symbol]
            try:
                await self._read(symbol, market)
            except CredentialsError as error:
                self._on_fatal(error)
                return
            except (ExchangeError, ParseError) as error:
                self._refused(symbol, market, error, next(delays))
            except FeedError as error:
                self._failed(error)
                await asyncio.sleep(max(next(delays), error.retry_after_s if isinstance(error, RateLimited) else 0.0))
            except Exception as error:
                self._log.exception("fills not read", market=symbol)
                self._refused(symbol, market, FeedError(f"internal error: {error!r}"), next(delays))
            else:
                delays = self._delays()

    def _next(self) -> tuple[str | None, float | None]:
        """The market to read now; or None, and the seconds until one is due (None: there is none)."""
        now_s = self._clock.monotonic_s()
        later_s = now_s + self._pace.reading_s()
        markets = self._markets.items()
        due = [(max(m.due_s, later_s) if self._routine(name, m) else m.due_s, name, m) for name, m in markets]
        if ready := [(not m.missing, not m.known, m.due_s, name) for due_s, name, m in due if due_s <= now_s]:
            return min(ready)[-1], None
        return None, min((due_s - now_s for due_s, _, _ in due), default=None)

    def _routine(self, name: str, market: _Market) -> bool:
        """Is it read only to be sure?"""
        waits = market.missing or market.second_look or market.awaited
        return not (waits or self._owed.of(name, self._clock.monotonic_s()))

    async def _read(self, name: str, market: _Market) -> None:
        """Read to the end."""
        wishes = market.wishes
        cursor: str | None = market.cursor
        stretch: list[Fill] = []  # told since the last page with which the cursor could move
        settled_ms: int | None = None  # as of its first page: what was late then may be missing from all of it
        routine = self._routine(name, market)
        while True:
            request = self._api.fills_request(name, cursor)
            if routine:
                self._pace.read(request)
            told = await self._rest.ask(request)
            settled_ms = settled_ms or told.asof_ms - round(self._settle_s * 1000)
            page = self._api.parse_fills(name, cursor, told.raw, settled_ms)
            stretch = page.fills + stretch
            keep = self._progress(market, stretch, page, settled_ms) if page.whole else None
            await self._store(name, market, page.fills, keep)
            if page.whole:
                stretch, settled_ms = [], None
            if sum(self.met_unlisted(unlisted) for unlisted in page.unlisted):
                self._on_unlisted()
            if page.next is None:
                break
            cursor = page.next
        self._succeeded()
        now_s = market.read_s = self._clock.monotonic_s()
        market.refusals, market.refusal = 0, ""
        if market.wishes != wishes:
            market.due_s = now_s + GAP_S
            return
        market.missing = False
        if self._owed.of(name, now_s) or market.awaited:
            market.awaited = max(0, market.awaited - 1)
            market.due_s = now_s + GAP_S
        elif market.second_look:
            market.second_look = False
            market.due_s = now_s + self._settle_s
        else:
            active = market.traded_s is not None and now_s - market.traded_s < ACTIVE_ROUNDS * self._active_s
            market.due_s = now_s + (self._active_s if active else self._idle_s) * random.uniform(0.9, 1.1)
        self._on_change()

    def _progress(self, market: _Market, stretch: list[Fill], page: FillPage, settled_ms: int) -> str | None:
        """The cursor that may be stored now; None if it stays."""
        settled = list(itertools.takewhile(lambda fill: fill.exchange_ms <= settled_ms, stretch))
        if page.reached is not None and len(settled) == len(stretch):
            moved = page.reached
        elif settled:
            moved = self._api.cursor_of(settled[-1])
        else:
            return None
        return moved if moved != market.cursor else None

    async def _store(self, name: str, market: _Market, fills: list[Fill], moved: str | None) -> None:
        if not fills and moved is None:
            return
        rows = await self._journal.history_page(fills, (name, moved) if moved is not None else None)
        if moved is not None:
            market.cursor = moved
        market.known |= bool(fills)
        if rows:
            market.awaited = 0
            new = {(row["symbol"], row["id"]) for row in rows}
            named = [fill for fill in fills if (fill.symbol, fill.id) in new]
            self._owed.named(named)
            self._on_new(named)

    # Trouble

    def _refused(self, symbol: str, market: _Market, error: FeedError, delay_s: float) -> None:
        """Only this market's trouble."""
        market.refusals += 1
        if market.refusals < REFUSALS:
            market.due_s = self._clock.monotonic_s() + delay_s
            return
        if not market.refusal:
            self._log.warning("fills refused", market=symbol, error=str(error))
        market.refusal = str(error) or error.sentence
        market.missing = False
        market.due_s = self._clock.monotonic_s() + self._idle_s
        self._on_change()

    def _failed(self, error: FeedError) -> None:
        if self.error is None:
            self._log.warning("fills failed", error=str(error))
        self.error = error
        self._on_change()

    def _succeeded(self) -> None:
        if self.error is not None:
            self._log.info("fills recovered")
            self.error = None
