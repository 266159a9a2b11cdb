"""What spot holdings have cost, by average: from fills and transfers in the order of time. Pure, exact.

A *lot* is what is held of one asset and was paid in one currency: coins bought with USDT and with EUR are two lots, as
no rate of that day is stored. Rules:

* Buying adds size and cost; the fee, where it is in the currency paid, is a cost; in the asset bought, it is so much
  less of it; in a third asset, that asset's lots shrink by it, at their average, and it is listed beside the cost.
* Selling takes from the lot in the same currency first, at its average, and realises proceeds minus cost. What is taken
  from lots in other currencies, or was never bought here, realises nothing that could be stated; it is told as such.
* A withdrawal takes from all lots in proportion, at their averages; a deposit has no cost here. What is held beyond the
  lots came so, or was bought before the stored fills begin: its cost is not known. What moves between an account's own
  wallets neither comes nor goes: it must not be told here (``moves``).
* Funding, interest, fees apart from fills and dividends are realised when they are paid.
* Losses and fees of derivatives take no lots, as their profits bring none; they are added up, because so much less may
  be held than the lots say. If still less is held, something left that nobody told, and of which lot is not known: then
  the averages are not known either (``leaves``).
"""

from collections import deque
from decimal import Context, Decimal

from feeds.account_domain import PROFITS, Fill, Transfer
from feeds.domain import Value

ZERO = Decimal(0)
EXACT = Context(prec=60)
KEPT_MS = 3 * 86_400_000
"""Profits are kept so long: a day of any time zone is among them."""
DUST = Decimal("1e-4")
"""Of a size: what fills and balances may differ by, through rounding."""


class Lot(Value, frozen=True, kw_only=True):
    """``average`` is the price that the lot cost, fees in its currency included."""

    asset: str
    currency: str
    size: Decimal
    cost: Decimal

    @property
    def average(self) -> Decimal:
        return EXACT.divide(self.cost, self.size)


class Profit(Value, frozen=True, kw_only=True):
    """Realised at a moment (fees of derivatives and sales taken off; negative: a loss, or something paid). ``sold`` is
    the asset that was sold on spot, and ``size`` how much of it."""

    at_ms: int
    asset: str
    amount: Decimal
    sold: str = ""
    size: Decimal = ZERO


class Uncosted(Value, frozen=True, kw_only=True):
    """A sale of what is not known to have cost anything in ``currency``: its profit cannot be told."""

    at_ms: int
    asset: str
    currency: str
    size: Decimal


class CostBook:
    """One account's. Fills must come in the order of :attr:`last`, else make another."""

    def __init__(self) -> None:
        self._lots: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}  # (asset, currency) -> size, cost
        self.last: tuple[int, int] = (0, 0)  # time and row of the last fill
        self.moved_ms = 0  # time of the last transfer
        self.profits: deque[Profit] = deque()
        self.fees_elsewhere: dict[str, Decimal] = {}  # in assets that were neither bought nor paid
        self.uncosted: deque[Uncosted] = deque()
        self.bought: dict[str, tuple[str, Decimal]] = {}  # asset -> currency and size of its last purchase
        self._paid: dict[str, Decimal] = {}  # net of derivatives: positive came
        self.incomplete_ms: int | None = None  # the last fill whose fee or profit is not told yet

    def lots(self) -> list[Lot]:
        return [
            Lot(asset=asset, currency=currency, size=size, cost=cost)
            for (asset, currency), (size, cost) in sorted(self._lots.items())
            if size > 0
        ]

    def leaves(self, asset: str) -> Decimal:
        """So much of it must be held at least, or the averages of its lots are not those of what is held."""
        told = sum((size for (name, _), (size, _) in self._lots.items() if name == asset), ZERO)
        return EXACT.add(told, min(ZERO, self._paid.get(asset, ZERO)))

    def fill(self, fill: Fill, row: int) -> None:
        self.last = fill.exchange_ms, row
        if fill.margin:
            return  # a position's; what it brought is told as a transfer
        base, _, rest = fill.symbol.partition("/")
        quote, _, settle = rest.partition(":")
        if fill.fee is None or (settle and fill.realised is None):
            self.incomplete_ms = fill.exchange_ms
        fee, fee_asset = fill.fee or ZERO, fill.fee_asset or quote
        if settle:
            for asset, amount in ((settle.partition("-")[0], fill.realised or ZERO), (fee_asset, -fee)):
                self._pay(asset, amount)
                self._realise(fill.exchange_ms, asset, amount)
            return
        paid = EXACT.multiply(fill.price, fill.size)
        in_quote = fee if fee_asset == quote else ZERO
        if fill.side == "buy":
            self._take(quote, paid + in_quote)  # BTC that pays for SOL leaves its own lots, at their averages
            got = fill.size - fee if fee_asset == base else fill.size  # the same cost for less
            self._add(base, quote, got, paid + in_quote)
            self.bought[base] = quote, got
        else:
            self._sell(fill, base, quote, paid - in_quote)
            if fee_asset == base:
                self._take(base, fee)
        if fee and fee_asset not in (base, quote):
            self._take(fee_asset, fee)
            self.fees_elsewhere[fee_asset] = self.fees_elsewhere.get(fee_asset, ZERO) + fee
            self._realise(fill.exchange_ms, fee_asset, -fee)

    def transfer(self, transfer: Transfer) -> None:
        """What came into or left the account. Of derivatives nothing is taken from lots, as with their fills."""
        self.moved_ms = max(self.moved_ms, transfer.exchange_ms)
        if transfer.status != "done":
            return
        if transfer.kind == "funding":
            self._pay(transfer.asset, transfer.amount - (transfer.fee or ZERO))
        elif transfer.amount < 0:
            self._take(transfer.asset, -transfer.amount + (transfer.fee or ZERO))
        if transfer.kind in PROFITS:
            self._realise(transfer.exchange_ms, transfer.asset, transfer.amount - (transfer.fee or ZERO))

    def _pay(self, asset: str, amount: Decimal) -> None:
        self._paid[asset] = EXACT.add(self._paid.get(asset, ZERO), amount)

    # Lots

    def _add(self, asset: str, currency: str, size: Decimal, cost: Decimal) -> None:
        held, was = self._lots.get((asset, currency), (ZERO, ZERO))
        self._lots[asset, currency] = EXACT.add(held, size), EXACT.add(was, cost)

    def _take(self, asset: str, size: Decimal) -> None:
        """In proportion out of all lots."""
        lots = [(key, held) for key, (held, _) in self._lots.items() if key[0] == asset and held > 0]
        whole = sum((held for _, held in lots), ZERO)
        for (_, currency), held in lots:
            self._take_one(asset, currency, EXACT.divide(EXACT.multiply(min(size, whole), held), whole))

    def _take_one(self, asset: str, currency: str, size: Decimal) -> tuple[Decimal, Decimal]:
        """What was taken had cost; and the size that was not there."""
        held, cost = self._lots.get((asset, currency), (ZERO, ZERO))
        taken = min(size, held)
        if taken <= 0:
            return ZERO, size
        part = cost if taken == held else EXACT.divide(EXACT.multiply(cost, taken), held)
        if taken == held:
            del self._lots[asset, currency]
        else:
            self._lots[asset, currency] = EXACT.subtract(held, taken), EXACT.subtract(cost, part)
        return part, size - taken

    def _sell(self, fill: Fill, base: str, quote: str, proceeds: Decimal) -> None:
        cost, rest = self._take_one(base, quote, fill.size)
        sold = fill.size - rest
        if sold:
            profit = EXACT.divide(EXACT.multiply(proceeds, sold), fill.size) - cost
            self._realise(fill.exchange_ms, quote, profit, base, sold)
        if rest > 0:
            self.uncosted.append(Uncosted(at_ms=fill.exchange_ms, asset=base, currency=quote, size=rest))
            self._forget(fill.exchange_ms)
            self._take(base, rest)

    def _realise(self, at_ms: int, asset: str, amount: Decimal, sold: str = "", size: Decimal = ZERO) -> None:
        if not amount and not sold:
            return
        self.profits.append(Profit(at_ms=at_ms, asset=asset, amount=amount, sold=sold, size=size))
        self._forget(at_ms)

    def _forget(self, now_ms: int) -> None:
        for kept in (self.profits, self.uncosted):
            while kept and kept[0].at_ms < now_ms - KEPT_MS:
                kept.popleft()
