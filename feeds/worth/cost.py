"""What spot holdings have cost, by average: from fills and transfers in the order of time. Pure, exact.

A *lot* is what is held of one asset and was paid in one currency: coins bought with USDT and with EUR are two lots, as
no rate of that day is stored. Rules:

* Buying adds size and cost; the fee, where it is in the currency paid, is a cost; in the asset bought, it is so much
  less of it; in a third asset, that asset's lots shrink by it, at their average, and it is listed beside the cost.
* Selling takes from the lot in the same currency first, at its average, and realises proceeds minus cost. What is taken
  from lots in other currencies, or was never bought here, realises nothing that could be stated; it is counted.
* A withdrawal takes from all lots in proportion, at their averages; a deposit has no cost here. What is held beyond the
  lots came so, or was bought before the stored fills begin: its cost is not known.
* Funding, interest, fees apart from fills and dividends are realised when they are paid.
"""

from collections import deque
from decimal import Context, Decimal

from feeds.account_domain import PROFITS, Fill, Transfer
from feeds.domain import Value

ZERO = Decimal(0)
EXACT = Context(prec=60)
KEPT_MS = 3 * 86_400_000
"""Profits are kept so long: a day of any time zone is among them."""


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
    """Realised at a moment (fees of derivatives and sales taken off; negative: a loss, or something paid)."""

    at_ms: int
    asset: str
    amount: Decimal


class CostBook:
    """One account's. Fills must come in the order of :attr:`last`, else make another."""

    def __init__(self) -> None:
        self._lots: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}  # (asset, currency) -> size, cost
        self.last: tuple[int, int] = (0, 0)  # time and row of the last fill
        self.moved_ms = 0  # time of the last transfer
        self.profits: deque[Profit] = deque()
        self.fees_elsewhere: dict[str, Decimal] = {}  # in assets that were neither bought nor paid
        self.without_cost: dict[str, Decimal] = {}  # sold, and never bought here in that currency
        self.incomplete_ms: int | None = None  # the last fill whose fee or profit is not told yet

    def lots(self) -> list[Lot]:
        return [
            Lot(asset=asset, currency=currency, size=size, cost=cost)
            for (asset, currency), (size, cost) in sorted(self._lots.items())
            if size > 0
        ]

    def fill(self, fill: Fill, row: int) -> None:
        self.last = fill.exchange_ms, row
        base, _, rest = fill.symbol.partition("/")
        quote, _, settle = rest.partition(":")
        if fill.fee is None or (settle and fill.realised is None):
            self.incomplete_ms = fill.exchange_ms
        fee, fee_asset = fill.fee or ZERO, fill.fee_asset or quote
        if settle:
            self._realise(fill.exchange_ms, settle.partition("-")[0], fill.realised or ZERO)
            self._realise(fill.exchange_ms, fee_asset, -fee)
            return
        paid = EXACT.multiply(fill.price, fill.size)
        in_quote = fee if fee_asset == quote else ZERO
        if fill.side == "buy":
            self._take(quote, paid + in_quote)  # BTC that pays for SOL leaves its own lots, at their averages
            got = fill.size - fee if fee_asset == base else fill.size  # the same cost for less
            self._add(base, quote, got, paid + in_quote)
        else:
            self._sell(fill, base, quote, paid - in_quote)
            if fee_asset == base:
                self._take(base, fee)
        if fee and fee_asset not in (base, quote):
            self._take(fee_asset, fee)
            self.fees_elsewhere[fee_asset] = self.fees_elsewhere.get(fee_asset, ZERO) + fee
            self._realise(fill.exchange_ms, fee_asset, -fee)

    def transfer(self, transfer: Transfer) -> None:
        """Of derivatives nothing is taken from lots, as with their fills."""
        self.moved_ms = max(self.moved_ms, transfer.exchange_ms)
        if transfer.status != "done":
            return
        if transfer.amount < 0 and transfer.kind != "funding":
            self._take(transfer.asset, -transfer.amount + (transfer.fee or ZERO))
        if transfer.kind in PROFITS:
            self._realise(transfer.exchange_ms, transfer.asset, transfer.amount - (transfer.fee or ZERO))

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
            self._realise(fill.exchange_ms, quote, EXACT.divide(EXACT.multiply(proceeds, sold), fill.size) - cost)
        if rest > 0:
            self.without_cost[base] = self.without_cost.get(base, ZERO) + rest
            self._take(base, rest)

    def _realise(self, at_ms: int, asset: str, amount: Decimal) -> None:
        if not amount:
            return
        self.profits.append(Profit(at_ms=at_ms, asset=asset, amount=amount))
        while self.profits and self.profits[0].at_ms < at_ms - KEPT_MS:
            self.profits.popleft()
