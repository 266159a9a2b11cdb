"""One account's orders, placed and cancelled by REST where the user has switched that on.

Never two orders of one click. The ticket is stored with its client order id before anything is sent. What was not
answered is not sent again: the exchange is asked for that client id until it tells. Only when it says, later than any
request of ours can still arrive, that it does not have the order, is the ticket ``absent``; the same click may then be
sent anew, under the same client id.

Refusals are told in the exchange's words. Cancelling is never refused for a state of ours: who wants out gets out.
"""

import asyncio
from collections.abc import Callable, Iterator

import msgspec
import structlog

from feeds.account import AccountApi, AccountSpec
from feeds.account_domain import Order
from feeds.clock import SYSTEM, Clock
from feeds.domain import StreamState
from feeds.errors import CredentialsError, ExchangeError, FeedError, NotSent, ParseError, RateLimited, TransportError
from feeds.exchange import MarketIndex, Request
from feeds.following.dead_man import DeadMan
from feeds.following.journal import Journal
from feeds.following.own_orders import OwnOrders
from feeds.following.signed_rest import SignedRest, Told
from feeds.following.upkeep import Upkeep
from feeds.tickets import Refused, Ticket, TicketStore, Wish, check
from feeds.trading import FindsInTwo, FindsOpen, HedgeMode, TradingApi

log = structlog.get_logger(__name__)

LATE_S = 15.0
"""What was sent so long ago does not arrive any more: its signature's time is over (5 s with most exchanges), its
connection is closed (10 s), and the exchange's own copies have caught up."""

SEND_S = 3.0
"""An order that has waited so long for its turn is not sent any more: the price that was confirmed is gone."""

ASK_S = 60.0
"""So long the exchange is asked at once what became of an order; then every :data:`LATER_S`."""

LATER_S = 30.0

LONGEST_WAIT_S = 5.0
"""So long at most who cancels waits because the exchange asks for it."""

ROUNDS = 3
"""Cancelling all is repeated for orders that came meanwhile, so often."""


def ask_delays() -> Iterator[float]:
    """Seconds before each question for what became of an order."""
    delay_s = 0.25
    while True:
        yield delay_s
        delay_s = min(2 * delay_s, 5.0)


class Trader:
    """Places and cancels for one account. ``state`` gives the account's state: it must be LIVE for a new order.

    ``on_orders`` is called when open orders should be read again. ``own`` is told what is ordered from here: that is
    how our orders are told from others'.
    """

    def __init__(
        self,
        spec: AccountSpec,
        api: AccountApi,
        rest: SignedRest,
        journal: Journal,
        markets: MarketIndex,
        store: TicketStore,
        *,
        state: Callable[[], StreamState],
        on_orders: Callable[[], None],
        own: OwnOrders | None = None,
        delays: Callable[[], Iterator[float]] = ask_delays,
        clock: Clock = SYSTEM,
    ) -> None:
        self._spec = spec
        self._api = api
        self._rest = rest
        self._journal = journal
        self._markets = markets
        self._store = store
        self._state = state
        self._on_orders = on_orders
        self._own = own or OwnOrders()
        self._delays = delays
        self._clock = clock
        self._log = log.bind(exchange=spec.exchange, account=spec.id)
        self._at_work: dict[str, asyncio.Task[Ticket]] = {}
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Lock()
        self._cancel_on_stop = spec.cancel_on_stop
        self._left = False  # for good
        self._begun_s = clock.monotonic_s()
        self._sent_s: dict[str, float] = {}  # by key: nothing of ours was sent after that
        self._upkeep = Upkeep(self._log, self._said)
        self._dead_man: DeadMan | None = None
        if spec.trading and spec.dead_man_s and isinstance(api, TradingApi):
            self._dead_man = DeadMan(spec.dead_man_s, api, api, rest, self._upkeep, log=self._log, clock=clock)

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Find out what became of what was under way; keep the dead man's switch. Idempotent."""
        if self._task is None:
            self._left = False
            self._task = asyncio.create_task(self._look_after(), name=f"orders of account {self._spec.id}")
            if self._dead_man is not None:
                self._dead_man.start()

    async def stop(self, then: AccountSpec | None = None) -> None:
        """End, begun or not; what is under way is found out at the next start. Idempotent.

        ``then``: how the account goes on at once; orders are left alone if it still trades. Else they are cancelled if
        so configured: also by a later call, when it does not go on after all.
        """
        async with self._stopping:
            tasks = [*([self._task] if self._task is not None else []), *self._at_work.values()]
            self._task = None
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._dead_man is not None:
                await self._dead_man.stop()
            if self._spec.trading and not self._left:
                goes_on = then is not None and then.trading
                await self._leave(goes_on=goes_on, held=then is not None and then.dead_man_s > 0)
                self._left = not goes_on
                self._cancel_on_stop = then.cancel_on_stop if then is not None else self._cancel_on_stop

    async def _leave(self, *, goes_on: bool, held: bool) -> None:
        """The account is not watched any more: its orders go if so wished, and its dead man's switch is put off. It
        stays set where orders could not be cancelled: it will. Where the account ``goes_on``, only a switch that is not
        ``held`` any more is put off."""
        try:
            if self._cancel_on_stop and not goes_on:
                self._log.info("orders cancelled at stop", orders=await self.cancel_all())
                if not self._api.ready():  # the list may have named less than there is
                    raise Refused("The exchange's list of markets is not loaded: orders may be open still.")
        except FeedError as error:
            self._log.error("orders not cancelled at stop", error=self._said(error))
            return
        try:
            if self._dead_man is not None and not (goes_on and held):
                await self._dead_man.put_off()
        except FeedError as error:
            self._log.error("dead man's switch not put off at stop", error=self._said(error))

    async def _look_after(self) -> None:
        loaded = False
        while True:
            if not loaded:
                loaded = await self._upkeep.of("own orders", self._load_own())
            await self._upkeep.of("orders under way", self._find_open())
            await asyncio.sleep(LATER_S)

    async def _load_own(self) -> None:
        for ticket in await self._store.open_tickets(self._spec.id):
            self._own.left(ticket.client_id, ticket.wish.symbol)
        self._own.load(await self._store.ordered(self._spec.id))

    async def _find_open(self) -> None:
        for ticket in await self._store.open_tickets(self._spec.id):
            if ticket.key not in self._at_work:
                await self._upkeep.of(f"order {ticket.client_id}", self._find_once(ticket))

    # -- placing -----------------------------------------------------------------------------------------------------

    async def place(self, key: str, wish: Wish) -> Ticket:
        """Place this wish, once, however often it is asked for under this key; what has become of it.

        Raises Refused if it was not sent, FeedError if it cannot even be written down.
        """
        task = self._at_work.get(key)
        if task is None:
            task = asyncio.create_task(self._place(key, wish), name=f"order {key}")
            self._at_work[key] = task
            task.add_done_callback(lambda _: self._at_work.pop(key, None))
        return await asyncio.shield(task)

    async def _place(self, key: str, wish: Wish) -> Ticket:
        trading = self._trading()
        known = await self._store.ticket(self._spec.id, key)
        if known is not None and known.wish != wish:
            raise Refused("This order was asked for before, with other figures: press the button again.")
        if known is not None and known.ended:
            return known
        if known is not None and known.state != "absent":
            return await self._find(trading, known)
        if not self._spec.trading:
            raise Refused("Trading is switched off for this account.")
        if (state := self._state()) is not StreamState.LIVE:
            raise Refused(f"The account is {state}: what you see may be old. Nothing was sent.")
        check(wish, self._markets.get(wish.symbol))
        await self._learn_mode(trading, wish.symbol)
        client_id = trading.new_client_id() if known is None else known.client_id
        try:
            request = trading.place_request(wish.order(client_id))
        except ExchangeError as error:
            raise Refused(str(error)) from error
        if known is not None and (found := await self._look_again(known)).state == "placed":
            return found
        ticket = Ticket(key=key, wish=wish, client_id=client_id, state="sent", sent_ns=self._clock.now_ns())
        await self._store.put_ticket(self._spec.id, ticket)
        self._own.sent(client_id, wish.symbol)
        return await self._send(trading, ticket, request, again=known is not None)

    async def _learn_mode(self, trading: TradingApi, symbol: str) -> None:
        """Whether the account is in hedge mode, where an order depends on that. Raises Refused if it is not told."""
        if not isinstance(trading, HedgeMode) or (request := trading.mode_request(symbol)) is None:
            return
        try:
            told = await self._rest.ask(request, urgent=True, max_wait_s=SEND_S)
            trading.take_mode(symbol, told.raw)
        except FeedError as error:
            said = self._said(error)
            raise Refused(f"Nothing was sent: whether the account is in hedge mode was not told. {said}") from error

    async def _send(self, trading: TradingApi, ticket: Ticket, request: Request, *, again: bool) -> Ticket:
        """``again``: it was sent before under this client id, and the exchange did not have it."""
        order = ticket.wish.order(ticket.client_id)
        try:
            told = await self._rest.ask(request, urgent=True, max_wait_s=SEND_S)
            placed = trading.parse_placed(order, told.raw, told.asof_ms)
        except NotSent as error:
            return await self._ended(ticket, "refused", error.sentence)
        except (ExchangeError, RateLimited) as error:
            if not trading.leaves_open(error):
                if isinstance(error, ExchangeError) and isinstance(trading, HedgeMode):
                    trading.doubt_mode(order.symbol, error)
                found = await self._find(trading, ticket) if again else ticket  # refused because it is there after all?
                if found.state in ("placed", "unsure"):
                    return found
                sentence = error.sentence if isinstance(error, RateLimited) else self._said(error)
                return await self._ended(ticket, "refused", sentence)
            self._log.warning("order left open", client_id=ticket.client_id, error=self._said(error))
        except (TransportError, ParseError) as error:
            self._log.warning("order not answered", client_id=ticket.client_id, error=str(error))
        else:
            self._tell(placed)
            return await self._ended(ticket, "placed", order_id=placed.id)
        self._sent_s[ticket.key] = self._clock.monotonic_s()
        return await self._find(trading, ticket)

    async def _look_again(self, known: Ticket) -> Ticket:
        """What has become of an absent order, before it is sent anew: a client id may be free again once its order has
        ended. Raises Refused unless the exchange says it."""
        try:
            found = await self._find_once(known)
        except CredentialsError as error:
            raise Refused(f"Nothing was sent. {self._said(error)}") from error
        if found is known:
            raise Refused("Nothing was sent: whether the exchange has this order already is not certain. Try again.")
        return found

    async def _find(self, trading: TradingApi, ticket: Ticket) -> Ticket:
        """Ask what has become of it until that is known, for :data:`ASK_S` at most."""
        began_s = self._clock.monotonic_s()
        for delay_s in self._delays():
            await asyncio.sleep(delay_s)
            try:
                found = await self._find_once(ticket)
            except CredentialsError as error:
                sentence = f"Whether the order stands is not known: {self._said(error)} Look before you order again."
                return await self._ended(ticket, "unsure", sentence)
            if found.state in ("placed", "absent"):
                return found
            if self._clock.monotonic_s() - began_s >= ASK_S:
                break
        sentence = "The exchange does not answer: whether the order stands is not known. Look before you order again."
        return await self._ended(ticket, "unsure", sentence)

    async def _find_once(self, ticket: Ticket) -> Ticket:
        """Ask once; the ticket as it is then."""
        trading = self._trading()
        asked_s = self._clock.monotonic_s()
        try:
            told = await self._rest.ask(trading.find_request(ticket.wish.symbol, ticket.client_id), urgent=True)
            order = trading.parse_found(ticket.wish.symbol, ticket.client_id, told.raw)
            if order is None and isinstance(trading, FindsInTwo):
                request = trading.find_closed_request(ticket.wish.symbol, ticket.client_id)
                told = await self._rest.ask(request, urgent=True)
                order = trading.parse_found(ticket.wish.symbol, ticket.client_id, told.raw)
        except CredentialsError:
            raise
        except ExchangeError as error:
            if not trading.unknown_order(error):
                return ticket
            order = None
        except FeedError:
            return ticket
        if order is not None:
            self._tell(order)
            return await self._ended(ticket, "placed", order_id=order.id)
        if asked_s - self._sent_s.get(ticket.key, self._begun_s) >= LATE_S and not isinstance(trading, FindsOpen):
            return await self._ended(ticket, "absent", "The exchange does not have this order: it was not placed.")
        return ticket

    async def _ended(self, ticket: Ticket, state: str, sentence: str = "", *, order_id: str = "") -> Ticket:
        wish = ticket.wish
        if state == "placed":
            self._own.placed(ticket.client_id, wish.symbol, order_id)
        elif state != "unsure":
            self._own.not_placed(ticket.client_id)
        if state == "placed" and self._dead_man is not None and wish.price is not None and wish.time_in_force == "GTC":
            self._dead_man.arm(wish.symbol)  # it may rest
        ended = msgspec.structs.replace(ticket, state=state, sentence=sentence, order_id=order_id)
        await self._store.put_ticket(self._spec.id, ended)
        self._log.info("order", client_id=ticket.client_id, state=state, market=ticket.wish.symbol, said=sentence)
        return ended

    def _tell(self, order: Order) -> None:
        """Into the journal, as told by REST; fills come by their own ways."""
        self._journal.orders([order], recv_ns=self._clock.now_ns())
        self._on_orders()

    # -- cancelling --------------------------------------------------------------------------------------------------

    async def cancel(self, symbol: str, order_id: str) -> None:
        """Raises Refused, in the exchange's words; TransportError if it did not answer (cancel again: it harms not)."""
        trading = self._trading()
        order = await self._store.stored_order(self._spec.id, symbol, order_id)
        if order is None:
            raise Refused(f"There is no order {order_id} in {symbol}.")
        try:
            told = await self._ask_surely(trading.cancel_request(order))
            trading.parse_cancelled(order, told.raw)
        except ExchangeError as error:
            raise Refused(self._said(error)) from error
        finally:
            self._on_orders()

    async def cancel_all(self) -> int:
        """Cancel every open order of the account that the exchange lists; how many there were.

        Raises Refused, naming what was refused, after everything that could be cancelled was.
        """
        trading = self._trading()
        seen: set[str] = set()
        try:
            for _ in range(ROUNDS):
                orders = await self._open_orders()
                seen |= {order.id for order in orders}
                if not orders:
                    return len(seen)
                await self._cancel_all(trading, tuple(sorted({order.symbol for order in orders})))
            left = await self._open_orders()
        finally:
            self._on_orders()
        if left:
            raise Refused(f"{len(left)} orders are still open: {', '.join(sorted({order.symbol for order in left}))}.")
        return len(seen)

    async def _cancel_all(self, trading: TradingApi, symbols: tuple[str, ...]) -> None:
        refusals = []
        for request in trading.cancel_all_requests(symbols):
            try:
                told = await self._ask_surely(request)
                trading.parse_cancelled_all(request, told.raw)
            except ExchangeError as error:
                if not trading.unknown_order(error):  # filled or cancelled meanwhile
                    refusals.append(self._said(error))
        if refusals:
            raise Refused(" ".join(refusals))

    async def _open_orders(self) -> list[Order]:
        orders = []
        for request in self._api.orders_requests():
            told = await self._ask_surely(request)
            orders += self._api.parse_orders(request, told.raw)
        return orders

    async def _ask_surely(self, request: Request) -> Told:
        """For who wants out: where the exchange asks to wait, it is waited for, once."""
        try:
            return await self._rest.ask(request, urgent=True)
        except RateLimited as error:
            self._log.warning("told to wait", error=str(error))
            await asyncio.sleep(min(error.retry_after_s, LONGEST_WAIT_S))
            return await self._rest.ask(request, urgent=True)

    # -- words -------------------------------------------------------------------------------------------------------

    def _trading(self) -> TradingApi:
        if not isinstance(self._api, TradingApi):
            raise Refused(f"Orders cannot be placed at {self._spec.exchange} from here.")
        return self._api

    def _said(self, error: Exception) -> str:
        """The exchange's words, without the key."""
        return self._spec.credentials.cut_from(str(error) or getattr(error, "sentence", repr(error)))
