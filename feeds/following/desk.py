"""The accounts at work: a follower for each, and the pictures of their topics.

The store is the truth for balances, orders and fills: a picture is what the store says after the follower reported a
change. How well the account is followed is the follower's to say, now: the store learns of it later, and not while it
takes nothing. Positions get live marks: from the market's own mark price stream while that is usable, or where a market
has none (a pair held on margin) the middle of its book; else the exchange's last one with its age.
"""

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeGuard

import structlog

from feeds import accounts
from feeds.account import AccountSpec
from feeds.account_store import AccountStore
from feeds.clock import Clock
from feeds.errors import FeedError
from feeds.following.follower import AccountFollower
from feeds.following.own_orders import OwnOrders
from feeds.following.trader import Trader
from feeds.markets.at_work import ExchangeAtWork
from feeds.markets.venue import Venue
from feeds.publisher import Picture, Render
from feeds.tickets import Refused, TicketStore
from feeds.topics import ACCOUNT_KINDS, Topic
from feeds.worth.portfolio import WealthStore, quote_of
from feeds.worth.risk import liquidation_distance
from feeds.worth.wealth import Wealth

log = structlog.get_logger(__name__)

MARK_FRESH_S = 10.0

AGAIN_S = 1.0
"""What the store did not tell is read again so much later."""


def _tells(store: AccountStore) -> TypeGuard[WealthStore]:
    return isinstance(store, WealthStore)


class Desk:
    """All followed accounts. ``changed`` is called with topics whose content is new, ``lease_marks`` with the quote
    topics that positions need."""

    def __init__(
        self,
        store: AccountStore,
        venues: Mapping[str, ExchangeAtWork],
        changed: Callable[[str], None],
        lease_marks: Callable[[set[str]], None],
        clock: Clock,
    ) -> None:
        self._store = store
        self._venues = venues
        self._changed = changed
        self._lease_marks = lease_marks
        self._clock = clock
        self.followers: dict[int, AccountFollower] = {}
        self._traders: dict[int, Trader] = {}
        self._between: dict[int, Trader] = {}  # stopped; the account goes on, but another has not taken over yet
        self._leaving: dict[asyncio.Task[None], int] = {}  # -> account
        self._content: dict[str, dict[str, Any]] = {}  # topic -> the store's answer
        self._recv_ns: dict[str, int] = {}
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._wanted: set[str] = set()  # topics that are open
        self._later: dict[str, asyncio.TimerHandle] = {}  # topic -> when it is read again
        self._failing: set[str] = set()
        self._stopped = False
        self._mark_topics: set[str] = set()
        self._price_topics: set[str] = set()
        self.wealth = Wealth(store, venues, changed, self._lease_prices, self.mark, clock) if _tells(store) else None
        self._marks: dict[str, tuple[int, ...]] = {}  # positions topic -> times of the marks last drawn
        self._told: dict[int, tuple[str, str]] = {}  # account -> the state last told

    async def follow(self, spec: AccountSpec) -> None:
        """Start to follow; an account that is followed already is started anew with the new details."""
        await self.unfollow(spec.id, then=spec)
        venue = self._venues.get(spec.exchange)
        factory = accounts.REGISTRY.get(spec.exchange)
        if not isinstance(venue, Venue) or factory is None:
            raise FeedError(
                f"account {spec.label!r}: {spec.exchange!r} is not configured, is followed through ccxt, "
                "or has no account side"
            )
        api = factory(spec, venue.markets, venue.adapter.endpoints)
        tickets = self._store if isinstance(self._store, TicketStore) else None
        own = OwnOrders(loaded=tickets is None)
        follower = AccountFollower(
            spec,
            api,
            venue.rest,
            self._store,
            self.notify,
            stale_s=venue.config.stale_s,
            reconnect_s=venue.config.reconnect_s,
            gate=venue.gate,
            budgets=venue.adapter.budgets(),
            tap=venue.tap,
            own=own,
            clock=self._clock,
        )
        self.followers[spec.id] = follower
        self._share(spec.exchange)
        if tickets is not None:
            self._between.pop(spec.id, None)
            self._traders[spec.id] = Trader(
                spec,
                api,
                follower.rest,
                follower.journal,
                venue.markets,
                tickets,
                state=lambda: follower.state,
                on_orders=follower.polls.orders_again,
                own=own,
                clock=self._clock,
            )
        await venue.wait_for_markets(10.0)
        if self.followers.get(spec.id) is not follower:
            return  # it was ended meanwhile
        await follower.start()
        if spec.id in self._traders:
            self._traders[spec.id].start()

    def trader(self, account_id: int) -> Trader:
        """Raises Refused, with a sentence, for an account that is not followed now."""
        trader = self._traders.get(account_id)
        if trader is None:
            raise Refused("The worker does not follow this account at the moment. Nothing was sent.")
        return trader

    async def unfollow(self, account_id: int, then: AccountSpec | None = None) -> None:
        """``then``: how it is followed at once again. What has begun to end does so, whoever waits for it no more:
        streams must not run on unknown, and orders that shall not outlast the account must be cancelled."""
        before = [task for task, account in self._leaving.items() if account == account_id]
        task = asyncio.create_task(self._leave(account_id, then, before), name=f"end of account {account_id}")
        self._leaving[task] = account_id
        task.add_done_callback(self._has_left)
        await asyncio.shield(task)

    async def _leave(self, account_id: int, then: AccountSpec | None, before: list[asyncio.Task[None]]) -> None:
        """Over when those ``before`` are, too. Where they thought that the account goes on, its trader is told that it
        does not; that waits for no stream of theirs."""
        trader = self._traders.pop(account_id, None) or self._between.get(account_id)
        if trader is not None:
            self._between[account_id] = trader
            await trader.stop(then)
            if then is None:
                self._between.pop(account_id, None)
        follower = self.followers.pop(account_id, None)
        if follower is not None:
            self._share(follower.spec.exchange)
            await follower.stop()
        if before:
            await asyncio.wait(before)

    def _has_left(self, task: asyncio.Task[None]) -> None:
        account = self._leaving.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None:  # perhaps nobody waits for it
            log.error("account not ended", account=account, exc_info=error)

    def _share(self, exchange: str) -> None:
        """The accounts of an exchange share what it allows."""
        together = [each for each in self.followers.values() if each.spec.exchange == exchange]
        for follower in together:
            follower.share(len(together))

    async def stop(self) -> None:
        """Stop every follower, and wait for what is ending already. Idempotent. Cancelled, it leaves nothing ending."""
        self._stopped = True
        for later in self._later.values():
            later.cancel()
        for task in self._reading.values():
            task.cancel()
        await asyncio.gather(*self._reading.values(), return_exceptions=True)
        if self.wealth is not None:
            await self.wealth.stop()
        known = {*self.followers, *self._traders, *self._between, *self._leaving.values()}
        try:
            await asyncio.gather(*(self.unfollow(account_id) for account_id in known))
        except asyncio.CancelledError:
            leaving = list(self._leaving)
            for each in leaving:
                each.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)
            raise

    def states(self) -> dict[int, tuple[str, str]]:
        return {account: (str(f.state), f.sentence) for account, f in self.followers.items()}

    # -- pictures ----------------------------------------------------------------------------------------------------

    async def notify(self, account: int, kind: str) -> None:
        """The store has new content for this topic."""
        if self.wealth is not None:
            self.wealth.touched(account, kind)
        self._read(f"{kind}:{account}")

    def renderer(self, topic: Topic) -> Render:
        """How an account's or a user's topic is drawn; reading begins now and is told through ``changed``. What fails
        is tried again until :meth:`close`.

        Raises ValueError with a sentence if it never can be.
        """
        name = str(topic)
        if topic.user is not None:
            wealth, user = self.wealth, topic.user
            if wealth is None:
                raise ValueError("This worker knows no portfolios.")
            return lambda: wealth.draw(user)
        self._wanted.add(name)
        self._read(name)
        return lambda: self._draw(name, topic.kind)

    def close(self, name: str) -> None:
        """Nobody watches this topic any more. Unknown ones are ignored."""
        self._wanted.discard(name)
        if (later := self._later.pop(name, None)) is not None:
            later.cancel()

    def _read(self, name: str) -> None:
        """Read the store for one topic. A change that comes while it is read is read again, never missed."""
        if (later := self._later.pop(name, None)) is not None:
            later.cancel()
        if self._stopped:
            return
        if name in self._reading:
            self._again.add(name)
            return
        task = asyncio.create_task(self._read_store(name), name=f"read {name}")
        self._reading[name] = task
        task.add_done_callback(lambda done: self._was_read(name, done))

    async def _read_store(self, name: str) -> None:
        kind, _, account = name.partition(":")
        self._recv_ns[name] = self._clock.now_ns()
        self._content[name] = await self._store.account_frame(int(account), kind)

    def _was_read(self, name: str, task: asyncio.Task[None]) -> None:
        self._reading.pop(name, None)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            self._failed(name, error)
        elif name.startswith("positions:"):
            self._lease_positions()
        if error is None and name in self._failing:
            self._failing.discard(name)
            log.info("account read again", topic=name)
        self._changed(name)
        if name in self._again:
            self._again.discard(name)
            self._read(name)

    def _failed(self, name: str, error: BaseException) -> None:
        """Read it again later, news or not: what is stored is to be seen. An account that is gone does not come back.
        What nobody watches is read when it is opened."""
        if name not in self._failing:
            log.error("account not read", topic=name, exc_info=error)
        self._failing.add(name)
        if name in self._wanted and not self._stopped and not isinstance(error, LookupError):
            self._later[name] = asyncio.get_running_loop().call_later(AGAIN_S, self._read, name)

    def _lease_positions(self) -> None:
        self._mark_topics = {
            f"quote:{follower.spec.exchange}:{symbol}"
            for follower in self.followers.values()
            for symbol in follower.position_symbols()
        }
        self._lease_marks(self._mark_topics | self._price_topics)

    def _lease_prices(self, topics: set[str]) -> None:
        """What the portfolios are priced by."""
        if topics != self._price_topics:
            self._price_topics = topics
            self._lease_marks(self._mark_topics | self._price_topics)

    def _draw(self, name: str, kind: str) -> Picture | None:
        content = self._content.get(name)
        if content is None:
            return None
        content = self._with_state(content, kind)
        if kind == "positions":
            content = {**content, "positions": [self._with_mark(row) for row in content["positions"]]}
        return Picture(data=content, recv_ns=self._recv_ns.get(name, 0))

    def _with_state(self, content: dict[str, Any], kind: str) -> dict[str, Any]:
        """The state is that of this moment, in the head and in every row that carries one."""
        head = content["account"]
        follower = self.followers.get(head["id"])
        if follower is None:
            return content
        state, sentence = str(follower.state), follower.sentence
        if (head["state"], head["sentence"]) == (state, sentence):
            return content
        rows = [row | {"state": state} if "state" in row else row for row in content[kind]]
        return content | {"account": head | {"state": state, "sentence": sentence}, kind: rows}

    def _mark(self, exchange: str, symbol: str) -> tuple[Decimal, int] | None:
        """A live mark and when it came, or None if there is none that may be shown as live."""
        venue = self._venues.get(exchange)
        feed = venue.feeds.get(symbol) if venue is not None else None
        if feed is None:
            return None
        if feed.market.settle is None:
            return feed.middle() if feed.state.usable else None
        if feed.mark is None or self._clock.now_ns() - feed.mark_ns > MARK_FRESH_S * 1e9:
            return None
        return feed.mark.mark, feed.mark_ns

    def mark(self, exchange: str, symbol: str) -> tuple[Decimal, int] | None:
        """A live mark price and its age in ms."""
        live = self._mark(exchange, symbol)
        return None if live is None else (live[0], max(0, (self._clock.now_ns() - live[1]) // 1_000_000))

    def _with_mark(self, row: dict[str, Any]) -> dict[str, Any]:
        live = self._mark(row["exchange"], row["symbol"])
        if live is None:
            return row
        mark, mark_ns = live
        size, entry = Decimal(row["size"]), Decimal(row["entry"])
        unrealised = (mark - entry) * size  # linear: profit in quote, size in base, negative for a short
        cost = entry * abs(size)
        return row | {
            "mark": f"{mark:f}",
            "mark_age_ms": (self._clock.now_ns() - mark_ns) // 1_000_000,
            "unrealised": f"{unrealised.normalize():f}",
            "unrealised_asset": quote_of(row["symbol"]),
            "unrealised_ratio": f"{unrealised / cost:.6f}" if cost else None,
            "liquidation_distance": liquidation_distance(
                size, mark, None if row.get("liquidation") is None else Decimal(row["liquidation"])
            ),
        }

    def tick(self) -> None:
        """Redraw portfolios, positions whose marks moved, and all topics of an account whose state is another now."""
        if self.wealth is not None:
            self.wealth.tick()
        for account, state in self.states().items():
            if self._told.get(account) != state:
                self._told[account] = state
                for kind in ACCOUNT_KINDS:
                    self._changed(f"{kind}:{account}")
        for account, follower in self.followers.items():
            name = f"positions:{account}"
            times = tuple(
                live[1] if (live := self._mark(follower.spec.exchange, symbol)) else 0
                for symbol in sorted(follower.position_symbols())
            )
            if times != self._marks.get(name):
                self._marks[name] = times
                self._changed(name)

    def topics(self) -> list[str]:
        return [f"{kind}:{account}" for account in self.followers for kind in ACCOUNT_KINDS]
