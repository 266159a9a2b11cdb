"""Which of an account's orders were placed from here: told by the trader, asked by the checks. Pure."""

from collections.abc import Iterable


class OwnOrders:
    """By client id, which is known before an order is sent, and by the exchange's number, which is known when it has
    answered. ``loaded``: what was ordered in former lives is known."""

    def __init__(self, *, loaded: bool = False) -> None:
        self._loaded = loaded
        self._client_ids: set[str] = set()
        self._numbers: set[tuple[str, str]] = set()
        self._under_way: dict[str, str] = {}  # client id -> symbol, while its number is not known

    def load(self, ordered: Iterable[tuple[str, str, str]]) -> None:
        """All that was ever ordered: client id, symbol, and number, "" if that was not told."""
        for client_id, symbol, number in ordered:
            self._client_ids.add(client_id)
            if number:
                self._numbers.add((symbol, number))
        self._loaded = True

    def sent(self, client_id: str, symbol: str) -> None:
        """It is sent now, or it is not known what has become of it."""
        self._client_ids.add(client_id)
        self._under_way[client_id] = symbol

    def left(self, client_id: str, symbol: str) -> None:
        """A former life did not find out what became of it. (Of what was sent in this one, more is known.)"""
        if client_id not in self._client_ids:
            self.sent(client_id, symbol)

    def placed(self, client_id: str, symbol: str, number: str) -> None:
        self._client_ids.add(client_id)
        self._numbers.add((symbol, number))
        self._under_way.pop(client_id, None)

    def not_placed(self, client_id: str) -> None:
        """Whatever comes under its client id is ours all the same."""
        self._under_way.pop(client_id, None)

    def has(self, symbol: str, number: str, client_id: str | None) -> bool | None:
        """Was this one placed from here? None: that cannot be said yet, since an order of ours in this market may have
        this number."""
        if (symbol, number) in self._numbers:
            return True
        if client_id and client_id in self._client_ids:
            self._numbers.add((symbol, number))  # its fills may name the number alone
            return True
        if not self._loaded or (not client_id and symbol in self._under_way.values()):
            return None
        return False
