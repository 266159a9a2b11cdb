"""OKX's private channels: who is logged in where, and what an account's events are told as."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.faults import Faults
from feeds.simulator.okx import rows
from feeds.simulator.okx.auth import Gatekeeper, Unauthorised
from feeds.simulator.okx.frames import Quoted
from feeds.simulator.okx.terms import WALLET
from feeds.simulator.orders import AccountEvent, OrderEvent, WalletEvent

ON_PRIVATE = ("account", "positions", "orders", "balance_and_position", "liquidation-warning", "account-greeks")
ON_BUSINESS = ("orders-algo", "algo-advance", "deposit-info", "withdrawal-info")
WITHOUT_KIND = ("account", "balance_and_position", "account-greeks", "deposit-info", "withdrawal-info")
MOST_CONNECTIONS = 30
_WHY = {
    "DEPOSIT": "transferred",
    "WITHDRAW": "transferred",
    "FUNDING_FEE": "funding_fee",
    "ADJUSTMENT": "interest_deduction",
    "ORDER": "filled",
}
_UID = "77982378738415879"


class Listening(Protocol):
    """A connection as this module sees it. ``account`` None: not logged in."""

    account: Account | None
    held: dict[str, dict[str, Any]]  # private channels and the arguments that they were subscribed with

    def deliver(self, text: str) -> None: ...


class PrivateChannels:
    def __init__(
        self,
        accounts: Accounts,
        gatekeeper: Gatekeeper,
        quoted: Mapping[str, Quoted],
        faults: Faults,
        clock_ms: Callable[[], int],
    ) -> None:
        self._accounts = accounts
        self._gatekeeper = gatekeeper
        self._quoted = quoted
        self._faults = faults
        self._clock_ms = clock_ms
        self._connections: dict[Account, list[Listening]] = {}

    # -- who listens -------------------------------------------------------------------------------------------------

    def login(self, connection: Listening, args: list[dict[str, Any]]) -> None:
        """Raises Unauthorised."""
        if connection.account is not None:
            raise Unauthorised("60031", "Repeated login is not supported.")
        if len(args) != 1:
            raise Unauthorised("60022", "Bulk login partially succeeded")
        key = self._gatekeeper.web_socket(args[0])
        account = connection.account = self._accounts.by_name[key.account]
        if account not in self._connections:
            self._connections[account] = []
            account.listen(lambda event: self._tell(account, event))
        self._connections[account].append(connection)

    def leave(self, connection: Listening) -> None:
        if connection.account is not None:
            self._connections[connection.account].remove(connection)

    def count(self, account: Account, channel: str) -> int:
        """How many connections of the account carry a channel."""
        return sum(channel in each.held for each in self._connections[account])

    def present(self, connection: Listening, channel: str) -> None:
        """What a new subscriber gets at once."""
        account, now_ms = connection.account, self._clock_ms()
        if account is None or self._muted():
            return
        if channel == "account":
            row = rows.balance(account, account.cash[WALLET].assets(), now_ms)
            self._send(connection, channel, [row], eventType="snapshot", curPage=1, lastPage=True)
        elif channel == "positions":
            told = [self._position(account, each, now_ms) for each in rows.futures(account).open_positions()]
            self._send(connection, channel, told, eventType="snapshot", curPage=1, lastPage=True)
        elif channel == "balance_and_position":
            row = rows.balance(account, account.cash[WALLET].assets(), now_ms)
            self._send(connection, channel, [self._both("snapshot", _cash(row), [], [], now_ms)])

    # -- what happens ------------------------------------------------------------------------------------------------

    def _muted(self) -> bool:
        fault = self._faults.find("okx", "mute")
        return fault is not None and fault.value == "private"

    def _tell(self, account: Account, event: AccountEvent) -> None:
        listening = self._connections[account]
        if not listening or self._muted():
            return
        if isinstance(event, OrderEvent):
            quoted = self._quoted[event.order.market.instrument.native]
            desk = account.desk_of(event.order.market)
            row = rows.streamed(desk, event.order, quoted, event.fill)
            self._publish(listening, "orders", [row])
        else:
            self._money(account, listening, event)

    def _money(self, account: Account, listening: list[Listening], event: WalletEvent) -> None:
        """Only what is not zero is told; a position that was closed once, with size 0."""
        now_ms, swaps = self._clock_ms(), rows.futures(account)
        row = rows.balance(account, list(event.assets), now_ms)
        if row["details"]:
            self._publish(listening, "account", [row], eventType="event_update")
        touched = [each for market in event.markets for each in swaps.positions_of(market)]
        held = [self._position(account, each, now_ms) for each in touched]
        if held:
            self._publish(listening, "positions", held, eventType="event_update")
        brief = ("posId", "instId", "instType", "mgnMode", "posSide", "pos", "ccy", "avgPx", "uTime", "tradeId")
        places = [{name: each[name] for name in brief} for each in held]
        both = self._both(_WHY[event.reason], _cash(row), places, [], now_ms)
        self._publish(listening, "balance_and_position", [both])

    def _position(self, account: Account, held: Any, now_ms: int) -> dict[str, Any]:
        return rows.position(account, held, self._quoted[held.market.instrument.native], now_ms)

    @staticmethod
    def _both(why: str, money: list[Any], held: list[Any], trades: list[Any], now_ms: int) -> dict[str, Any]:
        return {"pTime": str(now_ms), "eventType": why, "balData": money, "posData": held, "trades": trades}

    def _publish(self, listening: list[Listening], channel: str, data: list[Any], **more: Any) -> None:
        for connection in listening:
            if channel in connection.held:
                self._send(connection, channel, data, **more)

    @staticmethod
    def _send(connection: Listening, channel: str, data: list[Any], **more: Any) -> None:
        arg = {name: value for name, value in connection.held[channel].items() if name != "extraParams"}
        connection.deliver(msgspec.json.encode({"arg": arg | {"uid": _UID}, **more, "data": data}).decode())


def _cash(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in ("ccy", "cashBal", "uTime")} for row in told["details"]]
