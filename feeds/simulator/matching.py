"""A matching engine: one market's resting orders, with price-time priority. Pure, integers only.

Prices are in ticks and sizes in lots, so nothing is ever rounded. A queue is a dictionary in order of arrival: the
first entry is the oldest order of its price. The engine numbers level changes (``update_id``) and executions
(``trade_id``) as exchanges do, and remembers which levels changed until :meth:`MatchingEngine.drain` is called (up to
:data:`MOST_CHANGES`).
"""

from bisect import bisect_left, insort
from typing import NamedTuple

Level = tuple[int, int]
"""(price in ticks, total size in lots)"""
MOST_CHANGES = 2048
"""So many changed levels are remembered. Who drains does so many times before there are more; if nobody does, they are
forgotten as if they had been drained."""


class Order:
    """A limit order. ``left`` is what is not executed yet; ``account`` is None for the anonymous market."""

    __slots__ = ("account", "buy", "id", "left", "price", "size")

    def __init__(self, id: int, buy: bool, price: int, size: int, account: object | None) -> None:
        self.id = id
        self.buy = buy
        self.price = price
        self.size = size
        self.left = size
        self.account = account

    def __repr__(self) -> str:
        return f"Order({self.id}, {'buy' if self.buy else 'sell'} {self.left}/{self.size} @ {self.price})"


class Execution(NamedTuple):
    """Two orders met. The price is the maker's, as everywhere."""

    id: int
    price: int
    size: int
    maker: Order
    taker: Order


class Match(NamedTuple):
    """What became of an incoming order. ``expired``: own resting orders taken away instead of traded with."""

    order: Order
    executions: list[Execution]
    expired: list[Order]


class Changes(NamedTuple):
    """Level changes since the last :meth:`MatchingEngine.drain`: absolute sizes, 0 for a level that is gone.

    ``first`` and ``last`` are the update ids in it, ``before`` the last one of the previous drain.
    """

    first: int
    last: int
    before: int
    bids: list[Level]
    asks: list[Level]


class Side:
    """Resting orders of one side. ``keys`` holds ``sign * price``, best first; ``sign`` is -1 for bids, +1 for asks."""

    __slots__ = ("dirty", "keys", "queues", "sign", "totals")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.queues: dict[int, dict[int, Order]] = {}
        self.totals: dict[int, int] = {}
        self.dirty: set[int] = set()

    def best(self) -> int | None:
        return self.sign * self.keys[0] if self.keys else None

    def add(self, order: Order) -> None:
        queue = self.queues.get(order.price)
        if queue is None:
            self.queues[order.price] = {order.id: order}
            self.totals[order.price] = order.left
            insort(self.keys, self.sign * order.price)
        else:
            queue[order.id] = order
            self.totals[order.price] += order.left
        self.dirty.add(order.price)

    def reduce(self, order: Order, size: int) -> None:
        """Take ``size`` off a resting order; an order without rest leaves its queue, an empty queue the book."""
        price = order.price
        order.left -= size
        self.totals[price] -= size
        self.dirty.add(price)
        if order.left:
            return
        queue = self.queues[price]
        del queue[order.id]
        if not queue:
            del self.queues[price], self.totals[price]
            del self.keys[bisect_left(self.keys, self.sign * price)]

    def top(self, n: int) -> list[Level]:
        """The best ``n`` levels, best first."""
        sign, totals = self.sign, self.totals
        return [(sign * key, totals[sign * key]) for key in self.keys[:n]]


class MatchingEngine:
    """One market. Raises ValueError for orders that could not exist."""

    def __init__(self, *, update_id: int = 0, trade_id: int = 0) -> None:
        self.bids = Side(-1)
        self.asks = Side(+1)
        self.orders: dict[int, Order] = {}
        self.update_id = update_id
        self.trade_id = trade_id
        self.last_order_id = 0
        self._drained = update_id
        self._skip = 0
        self._first: int | None = None

    def skip_ids(self, count: int) -> None:
        """The next change's id is so much higher: ids of events that are not in the public book, as on futures."""
        self._skip = count

    def _touch(self) -> None:
        self.update_id += 1 + self._skip
        self._skip = 0
        if self._first is None:
            self._first = self.update_id
        if len(self.bids.dirty) + len(self.asks.dirty) > MOST_CHANGES:
            self._forget_changes()

    def _forget_changes(self) -> None:
        self.bids.dirty.clear()
        self.asks.dirty.clear()
        self._drained, self._first = self.update_id, None

    def place(
        self,
        buy: bool,
        price: int | None,
        size: int,
        account: object | None = None,
        *,
        rest: bool = True,
    ) -> Match:
        """Match, then let the remainder rest (``rest``) or drop it (immediate or cancel).

        ``price`` None is a market order, which never rests. Two orders of one account never trade with each other:
        the resting one expires (Binance's default, EXPIRE_MAKER).
        """
        if size <= 0 or (price is not None and price <= 0):
            raise ValueError(f"an order needs a positive price and size, not {price} and {size}")
        self.last_order_id += 1
        order = Order(self.last_order_id, buy, price or 0, size, account)
        executions: list[Execution] = []
        expired: list[Order] = []
        other = self.asks if buy else self.bids
        while order.left and other.keys:
            best = other.sign * other.keys[0]
            if price is not None and (best > price if buy else best < price):
                break
            queue = other.queues[best]
            while order.left and queue:
                maker = next(iter(queue.values()))
                if account is not None and maker.account is account:
                    expired.append(maker)
                    del self.orders[maker.id]
                    other.reduce(maker, maker.left)
                    continue
                size = min(order.left, maker.left)
                self.trade_id += 1
                executions.append(Execution(self.trade_id, best, size, maker, order))
                order.left -= size
                other.reduce(maker, size)
                if not maker.left:
                    del self.orders[maker.id]
            self._touch()
        if order.left and rest and price is not None:
            self.orders[order.id] = order
            (self.bids if buy else self.asks).add(order)
            self._touch()
        return Match(order, executions, expired)

    def cancel(self, order_id: int) -> Order | None:
        """Take an order out of the book; None if it is not there (any more). Its ``left`` stays readable."""
        order = self.orders.pop(order_id, None)
        if order is None:
            return None
        left = order.left
        (self.bids if order.buy else self.asks).reduce(order, left)
        order.left = left
        self._touch()
        return order

    def crosses(self, buy: bool, price: int) -> bool:
        """Would an order at this price trade at once?"""
        best = (self.asks if buy else self.bids).best()
        return best is not None and (price >= best if buy else price <= best)

    def available(self, buy: bool, price: int | None, enough: int) -> int:
        """What an order could take at once, counted up to ``enough``."""
        other, total = self.asks if buy else self.bids, 0
        for key in other.keys:
            best = other.sign * key
            if total >= enough or (price is not None and (best > price if buy else best < price)):
                break
            total += other.totals[best]
        return total

    def cost(self, buy: bool, size: int, account: object | None = None) -> int:
        """What taking ``size`` lots now would cost or bring, in ticks times lots; of what there is, if it is less.

        Orders of ``account`` are left out, as it does not trade with itself.
        """
        other, value = self.asks if buy else self.bids, 0
        for key in other.keys:
            price = other.sign * key
            there = sum(o.left for o in other.queues[price].values() if account is None or o.account is not account)
            taken = min(size, there)
            value += taken * price
            size -= taken
            if not size:
                break
        return value

    def drain(self) -> Changes | None:
        """The changes since the last call, or None if there were none."""
        if self._first is None:
            return None
        bids = [(price, self.bids.totals.get(price, 0)) for price in sorted(self.bids.dirty, reverse=True)]
        asks = [(price, self.asks.totals.get(price, 0)) for price in sorted(self.asks.dirty)]
        changes = Changes(self._first, self.update_id, self._drained, bids, asks)
        self._forget_changes()
        return changes
