"""What an exchange checks before an order reaches a desk: tick, lot, smallest size and value. Pure.

Prices and quantities are in quote and base currency. All raise Rejected.
"""

from decimal import Decimal

from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import Rejected


def ticks(market: LiveMarket, price: Decimal) -> int:
    """A price in ticks."""
    i = market.instrument
    count = price / i.tick
    if price <= 0:
        raise Rejected("price", f"A price must be above zero, not {price:f}.")
    if count != int(count):
        raise Rejected("tick", f"The price {price:f} is not a multiple of {i.tick:f}.")
    return int(count)


def lots(market: LiveMarket, quantity: Decimal) -> int:
    """A quantity in lots."""
    i = market.instrument
    count = quantity / i.lot
    if quantity <= 0:
        raise Rejected("size", f"A quantity must be above zero, not {quantity:f}.")
    if count != int(count):
        raise Rejected("lot", f"The quantity {quantity:f} is not a multiple of {i.lot:f}.")
    if quantity < i.min_size:
        raise Rejected("min_size", f"The quantity {quantity:f} is below {i.min_size:f}.")
    return int(count)


def affordable(market: LiveMarket, buy: bool, quote: Decimal) -> int:
    """How many lots this amount of quote currency buys or sells now."""
    i = market.instrument
    other = market.engine.asks if buy else market.engine.bids
    left, size = int(quote / i.tick / i.lot), 0
    for key in other.keys:
        price = other.sign * key
        taken = min(other.totals[price], left // price)
        size += taken
        left -= taken * price
        if taken < other.totals[price]:
            break
    if size <= 0:
        raise Rejected("min_notional", f"{quote:f} {i.quote} is less than the smallest order.")
    return size


def check_value(market: LiveMarket, size: int, price: int | None, *, reduce_only: bool = False) -> None:
    """The smallest value of an order; a market order is taken at the middle. What only reduces is free of it."""
    i = market.instrument
    value = size * i.lot * (Decimal(market.mid()) if price is None else price) * i.tick
    if value < i.min_notional and not reduce_only:
        raise Rejected("min_notional", f"The order's value must be at least {i.min_notional:f} {i.quote}.")
