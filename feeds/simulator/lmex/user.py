"""What the simulated LMEX's main sockets tell of an account: orders, fills, positions. Not its balances.

A login is not answered, whatever it is; who is not logged in subscribes, and hears nothing.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.faults import Faults
from feeds.simulator.lmex import rows
from feeds.simulator.lmex.private import Gatekeeper
from feeds.simulator.lmex.sockets import LmexSockets
from feeds.simulator.market import LiveMarket
from feeds.simulator.orders import AccountEvent, OrderEvent

TOPICS: Mapping[str, tuple[str, ...]] = {
    "spot": ("notificationApiV3", "fills"),
    "futures": ("notificationApiV4", "notificationApiV3", "fillsV2", "allPositionV4"),
}


class LmexUser:
    def __init__(self, accounts: Accounts, gatekeeper: Gatekeeper, sockets: LmexSockets, faults: Faults) -> None:
        self._accounts = accounts
        self._gatekeeper = gatekeeper
        self._sockets = sockets
        self._faults = faults
        sockets.private_topics = dict(TOPICS)
        sockets.account_of = self._account_of
        for account in accounts.by_name.values():
            account.listen(partial(self._happened, account))

    def _account_of(self, product: str, login: Any) -> Account | None:
        key = self._gatekeeper.login(product, login)
        if key is None or self._faults.strike("lmex", "reject", product):
            return None
        return self._accounts.by_name[key.account]

    def _happened(self, account: Account, event: AccountEvent) -> None:
        if not isinstance(event, OrderEvent):
            return
        market = event.order.market
        if not any(connection.account is account for connection in self._sockets.connections):
            return
        maker = event.fill is not None and event.fill.maker
        told = rows.notification(event.order, maker=maker)
        spot = rows.is_spot(market)
        self._tell(account, market, ("notificationApiV3", "notificationApiV4"), told if spot else [told])
        if event.fill is None:
            return
        self._tell(account, market, ("fills", "fillsV2"), [rows.streamed_fill(event.fill)])
        if not spot:
            wallet = account.futures
            held = [rows.streamed_position(wallet, each) for each in wallet.open_positions()]
            self._tell(account, market, ("allPositionV4",), held)

    def _tell(self, account: Account, market: LiveMarket, topics: tuple[str, ...], data: Any) -> None:
        product = market.instrument.product
        fault = self._faults.find("lmex", "mute", product)
        if fault is not None and fault.value in (None, "private"):
            return
        for connection in self._sockets.connections:
            if connection.account is account and connection.product == product:
                for topic in topics:
                    if topic in connection.private:
                        connection.socket.send(rows.encode({"topic": topic, "data": data}).decode())
