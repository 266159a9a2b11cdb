"""The checks of one account at work: ``wallet_check`` and ``reconcile`` told by streams and pollers, findings written.

A finding is written when its content is new, and resolved when it holds again: never a flood, one notice per cause.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger

from feeds.account import AccountApi, AccountSpec, HasWallets
from feeds.account_domain import (
    AccountChanged,
    Balance,
    Fill,
    Finding,
    Order,
    PrivateEvent,
    TradedElsewhere,
    Transfer,
)
from feeds.account_store import AccountStore
from feeds.following.foreign import ForeignCheck
from feeds.following.journal import Journal
from feeds.following.own_orders import OwnOrders
from feeds.following.reconcile import OrderCheck, Outcome
from feeds.following.wallet_check import ANY, HOLDS_MS, BalanceCheck, Movement, movements

log = structlog.get_logger(__name__)

FORGET_MS = 30 * 86_400_000
"""Balances that were checked so long ago are no beginning any more: exchanges tell the transfers of some weeks."""

SAVE_MS = 60_000
"""How far the balances were checked is stored so often: after a stop all that came since is held against them."""


class AccountChecks:
    """``own``: the orders that were placed from here.

    Times are the exchange's, in milliseconds.
    """

    def __init__(
        self,
        spec: AccountSpec,
        api: AccountApi,
        journal: Journal,
        *,
        own: OwnOrders,
        log: FilteringBoundLogger = log,
    ) -> None:
        self._account = spec.id
        self._api = api
        self._journal = journal
        self._log = log
        self._balances: dict[str, BalanceCheck] = {r.subject: BalanceCheck(r.subject) for r in api.balances_requests()}
        self._orders: dict[str, OrderCheck] = {r.subject: OrderCheck(r.subject) for r in api.orders_requests()}
        self._only_here = spec.only_here
        self._foreign = ForeignCheck(own, only_here=spec.only_here)
        asked = [*api.balances_requests(), *api.orders_requests()]
        self._hosts = {r.subject: r.product for r in asked}  # whose clock tells the time of a product's figures
        self._open: dict[str, tuple[str, str]] = {}  # cause -> sentence and figure last written
        self._missed: dict[str, int] = {}  # cause of missed fills -> how many
        self._saved: dict[str, int] = {}  # product -> time of the balances that are stored as checked

    def _take_over(self, causes: Iterable[str]) -> None:
        """Notices that are open from before the start."""
        known = set(causes)
        self._open = dict.fromkeys(known, ("", ""))
        self._missed = {cause: 0 for cause in known if cause.startswith("fills:")}
        for wallet in self._balances.values():
            wallet.take_over(known)
        for orders in self._orders.values():
            orders.take_over(known)
        self._foreign.take_over(known)

    # Across a stop

    async def load(self, store: AccountStore, now_ms: int) -> list[Balance]:
        """Go on where the last check ended, with all that is stored since; returns what was held then.

        So what happened while nobody listened is held against the balances, too. Raises what the store raises.
        """
        self._take_over(await store.open_causes(self._account))
        ours = [each for each in await store.checked(self._account) if each.product in self._balances]
        ours = [each for each in ours if each.asof_ms >= now_ms - FORGET_MS]
        if not ours:
            return []
        fills, transfers = await store.told_since(self._account, min(each.asof_ms for each in ours) - HOLDS_MS)
        for each in ours:
            self._balances[each.product].begin(each)
            self._saved[each.product] = each.asof_ms
        watched = [each.asof_ms for each in ours if each.only_here]
        if watched:
            self._foreign.begin(min(watched))
        self.fills(fills)
        self.transfers(transfers)
        return [
            Balance(product=each.product, asset=asset, total=total, asof_ms=each.asof_ms)
            for each in ours
            for asset, total in each.totals.items()
        ]

    def save(self, every_ms: int = 0) -> None:
        """Have stored how far the balances were checked, if that is ``every_ms`` further than what is stored."""
        for product, wallet in self._balances.items():
            checked = wallet.checked()
            if checked is not None and checked.asof_ms > self._saved.get(product, -1) + every_ms:
                self._saved[product] = checked.asof_ms
                self._journal.checked(msgspec.structs.replace(checked, only_here=self._only_here))

    # What is told

    def heard(self, events: Sequence[PrivateEvent], products: Sequence[str]) -> None:
        """What a stream told, which tells of these products."""
        self.fills(event for event in events if isinstance(event, Fill))
        self.orders(event for event in events if isinstance(event, Order))
        for event in events:
            if isinstance(event, TradedElsewhere):
                self._elsewhere(event, products)
            elif isinstance(event, AccountChanged) and event.fills_in is None:
                for wallet in self._wallets(products):
                    wallet.named(event.reason)

    def fills(self, fills: Iterable[Fill]) -> None:
        """New fills, by stream or REST."""
        told = list(fills)
        self._foreign.fills(told)
        for fill in told:
            wallet = self._wallet(fill.product)
            if wallet is not None:
                wallet.moved((fill.symbol, fill.id), moved_by(fill))

    def transfers(self, transfers: Iterable[Transfer]) -> None:
        for transfer in transfers:
            wallet = self._balances.get(transfer.product)
            if wallet is not None:
                wallet.transferred(transfer)

    def _elsewhere(self, event: TradedElsewhere, products: Iterable[str]) -> None:
        """No list tells it, and often nobody what it did to the wallet."""
        for wallet in self._wallets(products):
            at_ms, amount = event.exchange_ms, event.amount if len(event.assets) == 1 else None
            changed = [Movement(at_ms=at_ms, asset=each, amount=amount) for each in event.assets or (ANY,)]
            wallet.moved(("elsewhere", event.id), changed)
            wallet.named(event.what)

    def orders(self, orders: Iterable[Order]) -> None:
        told = list(orders)
        self._foreign.orders(told)
        for order in told:
            if order.product in self._orders:
                self._orders[order.product].streamed(order)

    def all_balances(
        self, product: str, balances: Sequence[Balance], asof_ms: int, until_ms: int, parts: int = 1
    ) -> None:
        """A complete REST answer, or so many ``parts`` of one, made between ``asof_ms`` and ``until_ms``."""
        self._balances[product].told(balances, asof_ms, until_ms, parts)

    def all_orders(self, product: str, orders: Sequence[Order], asof_ms: int) -> None:
        self._foreign.orders(orders)
        self._write(self._orders[product].told(orders, asof_ms))

    def missed(self, route: str, count: int, asof_ms: int) -> None:
        """REST told so many fills that happened while the stream stood, and that it has not told."""
        cause = f"fills:{route}"
        total = self._missed[cause] = self._missed.get(cause, 0) + count
        fills = f"{total} fill{'s' if total > 1 else ''}"
        finding = Finding(
            kind="missed_fill",
            cause=cause,
            sentence=f"REST told {fills} of which the stream {route} told nothing. They are stored; its connection was "
            "replaced, and everything is read again.",
            expected="0 by stream",
            found=f"{fills} by REST",
            asof_ms=asof_ms,
            count=total,
        )
        self._write(Outcome([finding]))

    # What follows

    def judge(self, now_ms: Callable[[str], int], *, read: bool, standing: bool) -> set[str]:
        """Look at everything; returns the products whose histories must be read again.

        ``now_ms`` gives the clock of a host. ``read``: all histories have been read to the end. ``standing``: all
        streams stand.
        """
        again = set()
        for product, wallet in self._balances.items():
            outcome = wallet.judge(now_ms(self._hosts[product]), read=read)
            self._write(outcome)
            if outcome.read_again:
                again.add(product)
        self.save(SAVE_MS)
        for product, orders in self._orders.items():
            self._write(orders.judge(now_ms(self._hosts[product])))
        self._write(self._foreign.judge(min(map(now_ms, self._hosts.values()))))
        if read and standing:
            for cause in self._missed:
                self._write(Outcome([], [(cause, "The stream stands again, and everything was read to the end.")]))
            self._missed.clear()
        return again

    def _write(self, outcome: Outcome) -> None:
        for finding in outcome.found:
            content = finding.sentence, finding.found
            if self._open.get(finding.cause) != content:
                if finding.cause not in self._open:
                    self._log.warning("account does not agree", kind=finding.kind, sentence=finding.sentence)
                self._open[finding.cause] = content
                self._journal.finding(finding)
        for cause, sentence in outcome.resolved:
            if self._open.pop(cause, None) is not None:
                self._log.info("account agrees again", cause=cause)
                self._journal.resolved(cause, sentence)

    def _wallets(self, products: Iterable[str]) -> Iterable[BalanceCheck]:
        """Each once."""
        found = (self._wallet(product) for product in products)
        return dict.fromkeys(wallet for wallet in found if wallet is not None)

    def _wallet(self, product: str) -> BalanceCheck | None:
        """Where what is traded as ``product`` is paid from: its own wallet, the only one there is, or as the account's
        side says."""
        if isinstance(self._api, HasWallets) and product not in self._balances:
            return self._balances.get(self._api.wallet_of(product))
        if product in self._balances or len(self._balances) != 1:
            return self._balances.get(product)
        return next(iter(self._balances.values()))


def moved_by(fill: Fill) -> list[Movement]:
    """By the unified symbol: ``BTC/USDT`` is spot, ``BTC/USDT:USDT`` settles in USDT. Nothing, of a fill on margin."""
    if fill.margin:
        return []
    base, _, rest = fill.symbol.partition("/")
    quote, _, settle = rest.partition(":")
    return movements(fill, base, quote, settle.partition("-")[0] or None)
