"""The accounts of one simulated exchange: an order desk per product, wallets, keys, and who is told. Pure."""

from collections.abc import Iterable
from decimal import Decimal
from itertools import count

from feeds.simulator.candles import bucket, first_id
from feeds.simulator.cash import Cash
from feeds.simulator.desk import Desk, Journal, Wallet
from feeds.simulator.instruments import Instrument
from feeds.simulator.keys import ApiKey
from feeds.simulator.market import LiveMarket, World
from feeds.simulator.matching import Execution
from feeds.simulator.orders import Listener, Movement, OwnFill, OwnOrder
from feeds.simulator.terms import ACCOUNTS, Opening, Terms, usual_opening
from feeds.simulator.wallets import FuturesWallet, SpotWallet

_DAY_MS = 86_400_000
_FIRST_DEPOSIT_DAYS = 46
_BETWEEN_DEPOSITS_DAYS = 3
_WITHDRAWAL_DAYS = 5
_ONCE_WITHDRAWN = Decimal(750)


class Account:
    """A person's account: a desk per product, and the cash that they trade on by wallet."""

    def __init__(self, name: str, desks: dict[str, Desk], cash: dict[str, Cash], journal: Journal) -> None:
        self.name = name
        self.desks = desks
        self.cash = cash
        self._journal = journal

    def called(self, name: str) -> "Account":
        """The same account under another name."""
        return Account(name, self.desks, self.cash, self._journal)

    @property
    def spot(self) -> SpotWallet:
        """The spot wallet, the first if there are several. Raises LookupError without any."""
        for desk in self.desks.values():
            if isinstance(desk.wallet, SpotWallet):
                return desk.wallet
        raise LookupError(f"the account {self.name} has no spot wallet")

    @property
    def futures(self) -> FuturesWallet:
        """The wallet of derivatives, the first if there are several. Raises LookupError without any."""
        for desk in self.desks.values():
            if isinstance(desk.wallet, FuturesWallet):
                return desk.wallet
        raise LookupError(f"the account {self.name} has no derivatives")

    # -- over all products ---------------------------------------------------------------------------------------

    @property
    def fills(self) -> list[OwnFill]:
        """The fills that are still known, oldest first, with rising numbers."""
        return self._journal.fills

    @property
    def movements(self) -> list[Movement]:
        """Deposits, withdrawals, payments of funding and whatever was booked under another name, as far as still known,
        oldest first, with rising ids."""
        return self._journal.movements

    def open_orders(self) -> list[OwnOrder]:
        """Oldest first."""
        return _by_age(order for desk in self.desks.values() for order in desk.open_orders())

    def history(self) -> list[OwnOrder]:
        """All orders that are still known, open ones too, oldest first."""
        return _by_age(order for desk in self.desks.values() for order in desk.history())

    def find(self, order_id: int | None = None, client_id: str | None = None) -> OwnOrder | None:
        """By order id, or the newest with that client id, whatever the product."""
        found = [desk.find(None, order_id, client_id) for desk in self.desks.values()]
        return max((order for order in found if order is not None), key=_age, default=None)

    def desk_of(self, market: LiveMarket) -> Desk:
        """Raises KeyError for a product without accounts."""
        return self.desks[market.instrument.product]

    def cancel_all(self) -> list[OwnOrder]:
        """Cancel what is open; returns it."""
        return [order for desk in self.desks.values() for order in desk.cancel_all()]

    def listen(self, listener: Listener) -> None:
        """Be told of everything, whatever the product. One product: its desk's ``listeners``."""
        for desk in self.desks.values():
            desk.listeners.append(listener)

    def unlisten(self, listener: Listener) -> None:
        for desk in self.desks.values():
            desk.listeners.remove(listener)


def _age(order: OwnOrder) -> tuple[int, int]:
    return order.created_ms, order.id


def _by_age(orders: Iterable[OwnOrder]) -> list[OwnOrder]:
    return sorted(orders, key=_age)


def _mark_of(market: LiveMarket) -> Decimal:
    return Decimal(market.mark_texts()[0])


def _open(account: Account, opening: Opening, journal: Journal, now_ms: int) -> None:
    """Deposits in the past that make up what the account begins with; in each wallet some was withdrawn again."""
    rows = []
    for wallet, amounts in opening.items():
        back_ms = now_ms - _FIRST_DEPOSIT_DAYS * _DAY_MS
        for n, (asset, text) in enumerate(amounts.items()):
            ms, extra = back_ms + n * _BETWEEN_DEPOSITS_DAYS * _DAY_MS, _ONCE_WITHDRAWN if n == 0 else Decimal(0)
            rows.append((ms, wallet, asset, Decimal(text) + extra))
            if extra:
                rows.append((now_ms - _WITHDRAWAL_DAYS * _DAY_MS, wallet, asset, -extra))
    for ms, wallet, asset, amount in sorted(rows, key=lambda row: row[0]):
        account.cash[wallet].move(asset, amount)
        journal.moved("deposit" if amount >= 0 else "withdrawal", wallet, asset, amount, ms)
        for desk in account.desks.values():
            if isinstance(desk.wallet, FuturesWallet) and desk.wallet.cash.name == wallet:
                desk.wallet.updated_ms = ms


class Accounts:
    """All accounts of one exchange. Owns funding. Without ``terms`` there are none.

    ``listing`` is everything that the exchange lists: it decides which products have desks, and of what kind.
    Executions of resting orders are told to the desk that owns the order, whatever the exchange.
    """

    def __init__(self, exchange: str, terms: Terms | None, listing: tuple[Instrument, ...], world: World) -> None:
        self.exchange = exchange
        self.terms = terms
        self.by_name: dict[str, Account] = {}
        self.keys: dict[str, ApiKey] = {}
        self._world = world
        self._funded: dict[str, int] = {}
        world.on_maker_fill = _book_maker_fill
        if terms is not None:
            self._build(terms, listing)

    def _build(self, terms: Terms, listing: tuple[Instrument, ...]) -> None:
        first = first_id(self._world.now_ms)
        numbers = count(first)
        ids = {base: count(base + first) for base in {each.first_id for each in terms.products.values()}}
        for name in ACCOUNTS:
            journal = Journal(numbers)
            cash = {wallet: Cash(wallet, only) for wallet, only in _wallets(terms, listing).items()}
            desks = {}
            for product, each in terms.products.items():
                wallet = self._wallet(name, product, terms, listing, cash)
                desks[product] = Desk(product, wallet, journal, self._world, ids[each.first_id], terms.client_id)
            account = self.by_name[name] = Account(name, desks, cash, journal)
            opening = terms.opening.get(name) or usual_opening(name, terms, listing)
            _open(account, opening, journal, self._world.now_ms)
        self.keys |= {key.key: key for key in terms.keys}
        self._funded = {name: bucket(each.funding_ms, self._world.now_ms) for name, each in terms.products.items()}

    def _wallet(
        self, account: str, product: str, terms: Terms, listing: tuple[Instrument, ...], cash: dict[str, Cash]
    ) -> Wallet:
        each, held = terms.products[product], cash[terms.wallet_of(product)]
        if settles := _settles_of(product, listing):
            return FuturesWallet(held, settles, each, _mark_of)
        token = terms.token if terms.token is not None and account in terms.token.accounts else None
        markets = {(m.instrument.base, m.instrument.quote): m for m in self._world.of(self.exchange, product).values()}

        def price_of(asset: str, quote: str) -> Decimal | None:
            market = markets.get((asset, quote))
            return None if market is None else Decimal(market.mid()) * market.instrument.tick

        return SpotWallet(held, each, token, price_of)

    def tick(self, now_ms: int) -> None:
        """Funding, when its time has come."""
        if self.terms is None:
            return
        for product, each in self.terms.products.items():
            if (due := bucket(each.funding_ms, now_ms)) != self._funded[product]:
                self._funded[product] = due
                for desk in {account.desks[product] for account in self.by_name.values()}:  # one may have several names
                    desk.pay_funding()


def _settles_of(product: str, listing: tuple[Instrument, ...]) -> tuple[str, ...]:
    """What a product settles in, () for spot. Raises ValueError for a product that is not listed or is mixed."""
    settles = dict.fromkeys(each.settle for each in listing if each.product == product)
    if not settles or (None in settles and len(settles) > 1):
        raise ValueError(f"{product} must settle in currencies or in none, not in {sorted(map(str, settles))}")
    return tuple(settle for settle in settles if settle is not None)


def _wallets(terms: Terms, listing: tuple[Instrument, ...]) -> dict[str, frozenset[str] | None]:
    """The wallets, and which assets alone they may hold: those without spot trading only what they settle in."""
    result: dict[str, frozenset[str] | None] = {}
    for product, each in terms.products.items():
        wallet, settles = terms.wallet_of(product), _settles_of(product, listing)
        before = result.get(wallet, frozenset())
        result[wallet] = None if not settles or before is None else before | {*settles, *each.collateral}
    return result


def _book_maker_fill(market: LiveMarket, execution: Execution, ms: int) -> None:
    desk = execution.maker.account
    if not isinstance(desk, Desk):
        raise TypeError(f"{execution.maker} belongs to {desk!r}, which is no order desk")
    desk.executed(market, execution, ms)
