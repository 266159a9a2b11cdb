"""Kraken Futures' private feeds, on the same WebSocket as the public ones.

Source: docs.kraken.com/api/docs/futures-api/websocket (challenge, open_orders, fills, balances, open_positions).
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec

from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.faults import Faults
from feeds.simulator.krakenfutures.auth import Gatekeeper
from feeds.simulator.krakenfutures.private import asset_name, number
from feeds.simulator.krakenfutures.terms import fill_id, order_id
from feeds.simulator.orders import AccountEvent, OrderEvent, OwnFill, OwnOrder

FEEDS = ("open_orders", "fills", "balances", "open_positions")
RECENT = 100
POSITIONS_S = 1.0
REFUSED = {"event": "alert", "message": "Failed to subscribe to authenticated feed"}


class User:
    """One connection's private side: its challenge, and the feeds that it has. ``say`` sends."""

    def __init__(self, desk: "UserFeeds", say: Callable[[dict[str, Any]], None]) -> None:
        self._desk = desk
        self._say = say
        self._challenge = ""
        self._account: Account | None = None
        self._feeds: set[str] = set()
        self._sequence = 0
        self._fill = 0

    # -- requests ------------------------------------------------------------------------------------------------

    def challenge(self, message: dict[str, Any]) -> None:
        if not self._desk.gatekeeper.knows(message.get("api_key")):
            self._say({"event": "error", "message": "Invalid API key"})
            return
        self._challenge = str(uuid4())
        self._say({"event": "challenge", "message": self._challenge})

    def request(self, event: str, feed: str, message: dict[str, Any]) -> None:
        """Subscribe or unsubscribe a private feed."""
        key = self._desk.gatekeeper.of_challenge(message, self._challenge)
        account = None if key is None else self._desk.accounts.by_name[key.account]
        if account is None or feed not in FEEDS or self._account not in (None, account):
            self._say(REFUSED)
            return
        if self._desk.faults.strike("krakenfutures", "no_ack"):
            return
        if self._desk.faults.strike("krakenfutures", "reject", "futures"):
            self._say(REFUSED)
            return
        if self._account is None:
            self._account = account
            account.listen(self._happened)
            self._desk.users.add(self)
        login = {name: message[name] for name in ("api_key", "original_challenge", "signed_challenge")}
        self._say({"event": f"{event}d", "feed": feed, **login})
        if event == "unsubscribe":
            self._feeds.discard(feed)
            return
        self._feeds.add(feed)
        self._snapshot(feed)

    def _snapshot(self, feed: str) -> None:
        account = self._of()
        if feed == "open_orders":
            self._tell("open_orders_snapshot", orders=[_order(order) for order in account.open_orders()])
        elif feed == "fills":
            self._tell("fills_snapshot", fills=[self._fill_row(fill) for fill in account.fills[-RECENT:]])
        elif feed == "balances":
            self._tell("balances_snapshot", holding={}, futures={}, **self._balances())
        else:
            self.positions()

    def _of(self) -> Account:
        if self._account is None:
            raise RuntimeError("nobody has subscribed")
        return self._account

    # -- events --------------------------------------------------------------------------------------------------

    def _happened(self, event: AccountEvent) -> None:
        if self._desk.muted():
            return
        if isinstance(event, OrderEvent):
            self._order_event(event)
            return
        if "balances" in self._feeds:
            self._tell("balances", **self._balances())
        self.positions()

    def _order_event(self, event: OrderEvent) -> None:
        order = event.order
        if event.fill is not None and "fills" in self._feeds:
            self._tell("fills", fills=[self._fill_row(event.fill)])
        if "open_orders" not in self._feeds:
            return
        if event.what == "NEW":
            if order.price is not None and order.time_in_force != "IOC":  # what never rests is not told here
                self._tell("open_orders", order=_order(order), is_cancel=False, reason="new_placed_order_by_user")
        elif event.what == "TRADE" and order.left:
            self._tell("open_orders", order=_order(order), is_cancel=False, reason="partial_fill")
        else:
            reason = "full_fill" if event.what == "TRADE" else "cancelled_by_user"
            self._tell("open_orders", order_id=order_id(order), is_cancel=True, reason=reason)

    def positions(self) -> None:
        if "open_positions" in self._feeds:
            wallet = self._of().futures
            rows = [
                {
                    "instrument": position.market.instrument.native,
                    "balance": number(position.amount),
                    "pnl": number(wallet.unrealised(position)),
                    "entry_price": number(position.entry),
                    "mark_price": number(wallet.mark(position.market)),
                    "index_price": number(wallet.mark(position.market)),
                    "liquidation_threshold": number(wallet.liquidation_price(position)),
                    "effective_leverage": 1,
                    "return_on_equity": 0,
                    "unrealized_funding": 0,
                    "initial_margin": number(wallet.initial_margin(position)),
                    "initial_margin_with_orders": number(wallet.initial_margin(position)),
                    "maintenance_margin": number(wallet.maintenance_margin(position)),
                    "pnl_currency": "USD",
                }
                for position in wallet.open_positions()
            ]
            self._tell("open_positions", positions=rows)

    def _balances(self) -> dict[str, Any]:
        wallet = self._of().futures
        currencies = {}
        for asset in wallet.cash.assets():
            total = number(wallet.cash.total(asset))
            free = number(wallet.cash.usable(asset))
            figures = {"quantity": total, "value": total, "collateral_value": total, "available": free}
            currencies[asset_name(asset)] = {**figures, "haircut": 0, "conversion_spread": 0}
        value = number(wallet.balance)
        return {"flex_futures": {"currencies": currencies, "balance_value": value, "margin_equity": value}}

    def _fill_row(self, fill: OwnFill) -> dict[str, Any]:
        self._fill += 1
        order = fill.order
        return {
            "instrument": order.market.instrument.native,
            "time": fill.ms,
            "price": number(fill.price),
            "seq": self._fill,
            "buy": order.buy,
            "qty": number(fill.size),
            "remaining_order_qty": msgspec.Raw(order.market.size_text(order.left).encode()),
            "order_id": order_id(order),
            "fill_id": fill_id(fill),
            "fill_type": "maker" if fill.maker else "taker",
            "fee_paid": number(fill.fee),
            "fee_currency": fill.fee_asset,
            "order_type": "limit" if order.price is not None else "market",
            **({"cli_ord_id": order.client_id} if order.client_id else {}),
        }

    def _tell(self, feed: str, **content: Any) -> None:
        self._sequence += 1
        head: dict[str, Any] = {"feed": feed, "account": self._of().name}
        if feed not in ("open_orders", "open_orders_snapshot"):
            head |= {"timestamp": self._desk.clock_ms(), "seq": self._sequence}
        self._say({**head, **content})

    def leave(self) -> None:
        if self._account is not None:
            self._account.unlisten(self._happened)
            self._desk.users.discard(self)
            self._account = None


def _order(order: OwnOrder) -> dict[str, Any]:
    """``qty`` is what is left."""
    market = order.market
    return {
        "instrument": market.instrument.native,
        "time": order.created_ms,
        "last_update_time": order.updated_ms,
        "qty": msgspec.Raw(market.size_text(order.left).encode()),
        "filled": msgspec.Raw(market.size_text(order.filled).encode()),
        "limit_price": number(Decimal(order.price or 0) * market.instrument.tick),
        "stop_price": 0.0,
        "type": "limit",
        "order_id": order_id(order),
        "direction": 0 if order.buy else 1,
        "reduce_only": order.reduce_only,
        **({"cli_ord_id": order.client_id} if order.client_id else {}),
    }


class UserFeeds:
    """What the private feeds of all connections stand on. Positions are told again once a second, as marks move."""

    def __init__(
        self,
        accounts: Accounts,
        gatekeeper: Gatekeeper,
        faults: Faults,
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self.accounts = accounts
        self.gatekeeper = gatekeeper
        self.faults = faults
        self.clock_ms = clock_ms
        self.users: set[User] = set()
        self._clock = clock
        self._next_s = clock()

    def muted(self) -> bool:
        fault = self.faults.find("krakenfutures", "mute")
        return fault is not None and fault.value == "private"

    def tick(self) -> None:
        if self.users and self._clock() >= self._next_s and not self.muted():
            self._next_s = self._clock() + POSITIONS_S
            for user in self.users:
                user.positions()
