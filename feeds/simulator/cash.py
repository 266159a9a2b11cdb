"""The cash of an account's wallet. Pure, exact, Decimal."""

from collections.abc import Callable
from decimal import Decimal

from feeds.simulator.orders import Rejected
from feeds.simulator.positions import ZERO


class Cash:
    """Free and locked amounts by asset. Spot trading and positions that share it make a unified wallet.

    ``only``: the assets that may be here; None: any. No asset stands in for another: what settles in USDT needs USDT.
    """

    def __init__(self, name: str, only: frozenset[str] | None = None) -> None:
        self.name = name
        self.free: dict[str, Decimal] = {}
        self.locked: dict[str, Decimal] = {}
        self.deposited: dict[str, Decimal] = {}
        self._only = only
        self._claims: list[Callable[[str], Decimal]] = []

    def claimed_by(self, claim: Callable[[str], Decimal]) -> None:
        """Somebody else holds part of this: ``claim`` tells how much of an asset, below zero for open profit."""
        self._claims.append(claim)

    def move(self, asset: str, amount: Decimal) -> None:
        """Deposit, or withdraw if negative. Raises Rejected if there is not enough."""
        if self._only is not None and asset not in self._only:
            raise Rejected("unknown_asset", f"{asset} cannot be held in the {self.name} wallet.")
        if amount < 0 and self.usable(asset) + amount < 0:
            raise Rejected("insufficient", f"There is not that much {asset} in the {self.name} wallet.")
        self.deposited[asset] = self.deposited.get(asset, ZERO) + amount
        self.add(asset, amount)

    def total(self, asset: str) -> Decimal:
        return self.free.get(asset, ZERO) + self.locked.get(asset, ZERO)

    def for_margin(self, asset: str) -> Decimal:
        """What is left for margin: free, with open profit and loss, less what positions and orders hold."""
        return max(ZERO, self.free.get(asset, ZERO) - sum((claim(asset) for claim in self._claims), ZERO))

    def usable(self, asset: str) -> Decimal:
        """What may be spent or withdrawn: open profit is not there yet."""
        return max(ZERO, min(self.free.get(asset, ZERO), self.for_margin(asset)))

    def assets(self) -> list[str]:
        """All assets that were ever here."""
        return sorted(self.free.keys() | self.locked.keys())

    def add(self, asset: str, amount: Decimal) -> None:
        self.free[asset] = self.free.get(asset, ZERO) + amount

    def lock(self, asset: str, amount: Decimal) -> None:
        """Lock, or unlock if negative."""
        self.add(asset, -amount)
        self.locked[asset] = self.locked.get(asset, ZERO) + amount
