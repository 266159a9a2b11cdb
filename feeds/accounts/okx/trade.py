"""OKX, placing and cancelling orders.

Source: www.okx.com/docs-v5, order book trading: place order, cancel order, cancel multiple orders, cancel all after,
order details; algo trading: cancel algo order.

* A client id has letters and digits only, 32 at most.
* An answer is about rows with a ``sCode`` each; the answer's own code is then "1" (all failed) or "2" (some).
* Sizes are contracts of swaps. At market a pair is bought for an amount of quote currency unless ``tgtCcy`` says base.
* A pair is traded as ``cash`` in the account modes 1 and 2 (spot, futures), ``cross`` in 3 and 4 (multi-currency,
  portfolio). Swaps are traded here in the margin mode of the position that is there, ``cross`` where there is none. In
  long/short mode an order names the position that it opens or reduces, and has no ``reduceOnly``.
* **There is no request to cancel all.** Open orders that are known (from lists, streams, and what was placed) are
  cancelled by their numbers, 20 a request, algo orders 10 a request. Whoever must be sure lists once more.
* The dead man's switch takes 10 to 120 s and cancels all orders of the (sub-)account but algo orders.
"""

import secrets
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import msgspec

from feeds.account import OPEN_STATUSES
from feeds.account_domain import Order, Position
from feeds.accounts.okx.answers import parse_orders
from feeds.accounts.okx.wire import ALGO, Answer, contracts, decode, json, one, rows
from feeds.domain import Market
from feeds.errors import ExchangeError, ParseError, RateLimited, TransportError
from feeds.exchange import MarketIndex, Request
from feeds.trading import NewOrder

CONFIG = "/api/v5/account/config"
ORDER = "/api/v5/trade/order"
CANCEL = "/api/v5/trade/cancel-order"
CANCEL_SOME = "/api/v5/trade/cancel-batch-orders"
CANCEL_ALGOS = "/api/v5/trade/cancel-algos"
DEAD_MAN = "/api/v5/trade/cancel-all-after"
BATCH, ALGO_BATCH = 20, 10
SHORTEST_S, LONGEST_S = 10, 120

WRONG_MODE = frozenset({"51000", "51010"})
"""A parameter is wrong; not in this mode of the account."""
GONE = frozenset({"51400", "51401", "51402", "51603"})
"""Filled, cancelled, or never there."""
CANCELLING = "51410"
OUTCOME_UNKNOWN = frozenset({"50001", "50004", "50013", "50026"})
"""Unavailable, timed out, busy, broken: it may have been done."""
TURNED_AWAY = frozenset({"50011", "50040", "50061"})
"""Requests of the user, or orders of the sub-account, are counted before they are looked at. HTTP 429 alone is not
enough: 50013 (busy) has it, too."""

_HELD = {"1": "cash", "2": "cash", "3": "cross", "4": "cross"}


class Config(msgspec.Struct):
    """``{"acctLv":"3","posMode":"net_mode","perm":"read_only,withdraw,trade","uid":"44705892343619584"}``."""

    acctLv: str = ""
    posMode: str = ""
    perm: str = ""


class _Done(msgspec.Struct):
    """``{"ordId":"312269865356374016","clOrdId":"myorder1","ts":"1695190491421","sCode":"0","sMsg":""}``."""

    sCode: str = "0"
    sMsg: str = ""
    ordId: str = ""
    algoId: str = ""

    def error(self) -> ExchangeError | TransportError | None:
        if self.sCode == "0":
            return None
        detail = f"OKX: {self.sMsg or 'refused'} ({self.sCode})"
        return TransportError(detail) if self.sCode in OUTCOME_UNKNOWN else ExchangeError(detail, self.sCode)


class OkxTrading:
    """What :class:`feeds.trading.TradingApi` and ``HedgeMode`` ask for. ``host`` is the name of the private host."""

    def __init__(self, markets: MarketIndex, host: str) -> None:
        self.account_mode = ""  # "1" to "4"; "" as long as it is not told
        self.position_mode = ""  # "net_mode", "long_short_mode"
        self.margin_modes: dict[tuple[str, str], str] = {}  # of open positions, by symbol and side
        self.open_orders: dict[str, Order] = {}
        self._markets = markets
        self._host = host

    def note(self, orders: Iterable[Order]) -> None:
        """These orders are, or have ended, as they say."""
        for order in orders:
            if order.status in OPEN_STATUSES:
                self.open_orders[order.id] = order
            else:
                self.open_orders.pop(order.id, None)

    def holds(self, position: Position) -> None:
        """It is open as it says, or closed."""
        if position.size and position.margin_mode:
            self.margin_modes[position.symbol, position.side] = position.margin_mode
        else:
            self.margin_modes.pop((position.symbol, position.side), None)

    # Placing

    def new_client_id(self) -> str:
        return secrets.token_hex(16)

    def place_request(self, order: NewOrder) -> Request:
        market = self._listed(order.symbol)
        body: dict[str, Any] = {
            "instId": market.native,
            "tdMode": self._trade_mode(market, order),
            "side": order.side,
            "ordType": _order_type(order),
            "sz": contracts(order.size, market),
            "clOrdId": order.client_id,
        }
        if order.price is not None:
            body["px"] = f"{order.price:f}"
        elif market.settle is None:
            body["tgtCcy"] = "base_ccy"
        if market.settle is not None:
            body |= self._position(order)
        elif order.reduce_only:
            raise ExchangeError(f"{order.symbol} is no derivative: there is no position that an order could reduce")
        return self._post(ORDER, body)

    def _trade_mode(self, market: Market, order: NewOrder) -> str:
        if market.settle is not None:
            side = "both" if self.position_mode == "net_mode" else order.hedged_side
            return self.margin_modes.get((market.symbol, side), "cross")
        if (mode := _HELD.get(self.account_mode)) is None:
            raise ExchangeError("OKX has not told the account's mode yet, by which a pair is traded")
        return mode

    def _position(self, order: NewOrder) -> dict[str, Any]:
        """Which position the order is about."""
        if self.position_mode == "net_mode":
            return {"reduceOnly": True} if order.reduce_only else {}
        if self.position_mode != "long_short_mode":
            raise ExchangeError("OKX has not told the account's mode of positions yet, which an order must fit")
        return {"posSide": order.hedged_side}

    def mode_request(self, symbol: str) -> Request | None:
        """Of pairs, too: the account's mode is in the same answer."""
        return None if self.account_mode and self.position_mode else Request(path=CONFIG, product=self._host)

    def take_mode(self, symbol: str, raw: bytes) -> None:
        self.take_config(raw)

    def take_config(self, raw: bytes) -> Config:
        """How the account is set."""
        config = one(raw, Config)
        self.account_mode, self.position_mode = config.acctLv, config.posMode
        return config

    def in_hedge_mode(self) -> bool:
        return self.position_mode == "long_short_mode"

    def doubt_mode(self, symbol: str, error: ExchangeError) -> None:
        if error.code in WRONG_MODE:
            self.account_mode = self.position_mode = ""

    def parse_placed(self, order: NewOrder, raw: bytes, asof_ms: int) -> Order:
        [done] = self._each_done(raw, one=True)
        if not done.ordId:
            raise ParseError("OKX: a placed order without a number", raw)
        market, in_force = self._listed(order.symbol), order.time_in_force
        placed = Order(
            product=market.product,
            symbol=order.symbol,
            id=done.ordId,
            client_id=order.client_id,
            side=order.side,
            type="market" if order.price is None else "post_only" if order.post_only else "limit",
            price=order.price,
            size=order.size,
            filled=Decimal(0),
            status="open",
            reduce_only=order.reduce_only,
            time_in_force=None if order.price is None else in_force,
            created_ms=asof_ms,
            updated_ms=asof_ms,
        )
        self.note([placed])
        return placed

    def find_request(self, symbol: str, client_id: str) -> Request:
        native = self._listed(symbol).native
        return Request(path=ORDER, params=(("instId", native), ("clOrdId", client_id)), product=self._host)

    def parse_found(self, symbol: str, client_id: str, raw: bytes) -> Order | None:
        found = [order for order in parse_orders(raw, self._markets) if order.symbol == symbol]
        return next((order for order in found if order.client_id == client_id), None)

    def unknown_order(self, error: ExchangeError) -> bool:
        return error.code in GONE

    def leaves_open(self, error: ExchangeError | RateLimited) -> bool:
        if isinstance(error, RateLimited):
            return error.code not in TURNED_AWAY
        return error.code in OUTCOME_UNKNOWN

    # Cancelling

    def cancel_request(self, order: Order) -> Request:
        named = self._named(order)
        return self._post(CANCEL_ALGOS, [named]) if order.product == ALGO else self._post(CANCEL, named)

    def parse_cancelled(self, order: Order, raw: bytes) -> None:
        list(self._each_done(raw, one=True))

    def cancel_all_requests(self, symbols: tuple[str, ...]) -> list[Request]:
        known = [order for order in self.open_orders.values() if order.symbol in symbols]
        plain = [self._named(order) for order in known if order.product != ALGO]
        algos = [self._named(order) for order in known if order.product == ALGO]
        return [
            self._post(path, named[first : first + most])
            for path, named, most in ((CANCEL_SOME, plain, BATCH), (CANCEL_ALGOS, algos, ALGO_BATCH))
            for first in range(0, len(named), most)
        ]

    def parse_cancelled_all(self, request: Request, raw: bytes) -> None:
        """Orders that have ended meanwhile are as cancelled as they can be."""
        for done in self._each_done(raw, passed=GONE | {CANCELLING}):
            self.open_orders.pop(done.ordId or f"algo-{done.algoId}", None)

    def dead_man_requests(self, timeout_s: int, symbols: tuple[str, ...]) -> list[Request]:
        if timeout_s and not SHORTEST_S <= timeout_s <= LONGEST_S:
            raise ExchangeError(f"OKX's switch takes {SHORTEST_S} to {LONGEST_S} s, or 0 to end it, not {timeout_s} s")
        return [self._post(DEAD_MAN, {"timeOut": str(timeout_s)})]

    # Parts

    def _listed(self, symbol: str) -> Market:
        market = self._markets.get(symbol)
        if market is None:
            raise ExchangeError(f"OKX lists no market {symbol}")
        return market

    def _named(self, order: Order) -> dict[str, str]:
        """The order as requests name it."""
        native = self._listed(order.symbol).native
        if order.product == ALGO:
            return {"instId": native, "algoId": order.id.removeprefix("algo-")}
        return {"instId": native, "ordId": order.id}

    def _post(self, path: str, body: Any) -> Request:
        return Request(path=path, method="POST", json=json(body), product=self._host)

    @staticmethod
    def _each_done(raw: bytes, *, one: bool = False, passed: frozenset[str] = frozenset()) -> Iterator[_Done]:
        """What became of each; raises the first error, unless its code is ``passed``."""
        told = rows(raw, _Done)
        if one and len(told) != 1:
            answer = decode(raw, Answer)
            if answer.code != "0":
                raise ExchangeError(f"OKX: {answer.msg} ({answer.code})", answer.code)
            raise ParseError(f"OKX: {len(told)} results instead of one", raw)
        errors = [(done, done.error()) for done in told]
        yield from (done for done, error in errors if error is None or done.sCode in passed)
        for done, error in errors:
            if error is not None and done.sCode not in passed:
                raise error


def _order_type(order: NewOrder) -> str:
    """OKX's ``ordType``. Raises ExchangeError for what it does not offer."""
    if order.post_only:
        if order.price is None or order.time_in_force != "GTC":
            raise ExchangeError("OKX: an order that must not take needs a price, and stays until it is cancelled")
        return "post_only"
    if order.price is None:
        if order.time_in_force == "FOK":
            raise ExchangeError("OKX has no order at market that is filled at once or not at all")
        return "market"
    return {"GTC": "limit", "IOC": "ioc", "FOK": "fok"}[order.time_in_force]
