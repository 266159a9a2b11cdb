"""LMEX: placing and cancelling orders, as a part of :class:`feeds.accounts.lmex.api.LmexAccount`.

Facts (sources: btsecom/docs: spotV3_3 and futuresV2_3, Trade Endpoints and API Enum):

* Sizes of futures are whole numbers of contracts. A spot market order may have ``size`` in base currency, or ``price``
  as an amount to spend; we send the first. In hedge mode ``positionMode`` must say so.
* **A refused order is answered by HTTP 200** with a ``status`` of refusal and a ``message``. Answers are lists.
* -1 (time-out) and 17 (request failed) say "please check the order status": they leave open what has become of it.
* HTTP 429 (blocked until a moment that it names) and 451 (banned) are of requests that are not looked at. The number
  -22 of clients' tables is documented nowhere: it leaves open what has become of it.
* ``GET order`` finds an order by ``clOrderID`` while it is open, and for 30 minutes after its cancellation; 16 is
  an order that is not found.
* Without an id ``DELETE order`` cancels all orders of a market. There is no call for all markets.
* ``cancelAllAfter`` is the dead man's switch of a whole product. How it is switched off is not documented: 0 is sent.
"""

import uuid

import msgspec

from feeds.account_domain import Order
from feeds.accounts.lmex.rows import STATUSES, OrderRow
from feeds.accounts.lmex.wire import CONVERTED, decode_rows, listed, reading
from feeds.domain import Market
from feeds.errors import ExchangeError, ParseError, RateLimited
from feeds.exchange import MarketIndex, Request
from feeds.trading import NewOrder

NOT_FOUND = 16
NOT_KNOWN = frozenset({-1, 17})
TURNED_AWAY = frozenset({429, 451})
ORDER_PATHS = {"spot": "/spot/api/v3.3/order", "futures": "/futures/api/v2.3/order"}


class LmexTrading:
    """Needs ``_markets`` and ``hedged``. Fits :class:`feeds.trading.TradingApi`."""

    _markets: MarketIndex
    hedged: set[str]

    finds_open_only = True  # of filled orders the documentation does not say that they are found

    def _market(self, symbol: str) -> Market:
        market = self._markets.get(symbol)
        if market is None:
            raise ExchangeError(f"LMEX lists no market {symbol}.")
        return market

    def new_client_id(self) -> str:
        return uuid.uuid4().hex

    def place_request(self, order: NewOrder) -> Request:
        market = self._market(order.symbol)
        spot = market.product == "spot"
        if order.price is None and order.post_only:
            raise ExchangeError(f"A market order in {order.symbol} takes at once: it cannot be post-only.")
        if order.post_only and order.time_in_force != "GTC":
            raise ExchangeError(f"At LMEX a post-only order cannot be {order.time_in_force} as well.")
        if order.reduce_only and spot:
            raise ExchangeError(f"{order.symbol} is a spot market: nothing can be reduced there.")
        body: dict[str, object] = {
            "symbol": market.native,
            "side": order.side.upper(),
            "type": "MARKET" if order.price is None else "LIMIT",
            "size": msgspec.Raw(self._size(market, order).encode()),
        }
        if order.price is not None:
            body |= {"price": msgspec.Raw(f"{order.price:f}".encode()), "time_in_force": order.time_in_force}
            body["postOnly"] = order.post_only
        if not spot:
            body["reduceOnly"] = order.reduce_only
            if market.symbol in self.hedged:
                body["positionMode"] = "HEDGE"
        body["clOrderID"] = order.client_id
        path = ORDER_PATHS[market.product]
        return Request(path=path, method="POST", json=msgspec.json.encode(body), product=market.product)

    @staticmethod
    def _size(market: Market, order: NewOrder) -> str:
        """As LMEX counts."""
        if market.product == "spot":
            return f"{order.size:f}"
        contracts = CONVERTED.divide(order.size, market.contract_size)
        if contracts != contracts.to_integral_value():
            unit = f"{market.contract_size:f} {market.base}"
            raise ExchangeError(f"{order.size:f} {market.base} is no whole number of contracts of {unit}.")
        return f"{contracts:.0f}"

    def parse_placed(self, order: NewOrder, raw: bytes, asof_ms: int) -> Order:
        product = self._market(order.symbol).product
        with reading(raw, "placed order"):
            rows = decode_rows(raw, OrderRow)
            self._check(rows)
            mine = [row for row in rows if row.clOrderID in (order.client_id, None, "")]
            if not mine:
                raise ParseError(f"LMEX told {len(rows)} orders, none of them {order.client_id}", raw)
            told = mine[0].order(product, self._markets)
        return msgspec.structs.replace(
            told,
            client_id=order.client_id,
            size=order.size,
            reduce_only=order.reduce_only,
            created_ms=told.updated_ms,
        )

    def _check(self, rows: list[OrderRow]) -> None:
        """Raises ExchangeError for an order that was refused."""
        for row in rows:
            if row.status is not None and STATUSES.get(row.status, "rejected") == "rejected":
                raise ExchangeError(f"LMEX: {row.message or 'no reason given'} ({row.status})", row.status)

    def find_request(self, symbol: str, client_id: str) -> Request:
        product = self._market(symbol).product
        return Request(path=ORDER_PATHS[product], params=(("clOrderID", client_id),), product=product)

    def parse_found(self, symbol: str, client_id: str, raw: bytes) -> Order | None:
        product = self._market(symbol).product
        with reading(raw, "order"):
            rows = [row for row in decode_rows(raw, OrderRow) if row.status != NOT_FOUND]
            found = [row.order(product, self._markets) for row in rows if row.clOrderID == client_id]
        if rows and not found:
            raise ParseError(f"LMEX told order {rows[0].clOrderID!r} instead of {client_id!r}", raw)
        return found[0] if found else None

    def unknown_order(self, error: ExchangeError) -> bool:
        return error.code in (NOT_FOUND, 404)

    def leaves_open(self, error: ExchangeError | RateLimited) -> bool:
        if isinstance(error, RateLimited):
            return error.status not in TURNED_AWAY
        return error.code in NOT_KNOWN

    def cancel_request(self, order: Order) -> Request:
        market = self._market(order.symbol)
        params = (("symbol", market.native), ("orderID", order.id))
        return Request(path=ORDER_PATHS[market.product], method="DELETE", params=params, product=market.product)

    def parse_cancelled(self, order: Order, raw: bytes) -> None:
        with reading(raw, "cancelled order"):
            self._check(decode_rows(raw, OrderRow))

    def cancel_all_requests(self, symbols: tuple[str, ...]) -> list[Request]:
        markets = [self._market(symbol) for symbol in symbols]
        return [
            Request(
                path=ORDER_PATHS[market.product],
                method="DELETE",
                params=(("symbol", market.native),),
                product=market.product,
            )
            for market in markets
        ]

    def parse_cancelled_all(self, request: Request, raw: bytes) -> None:
        """That nothing is open is no refusal."""
        with reading(raw, "cancelled orders"):
            self._check([row for row in decode_rows(raw, OrderRow) if row.status != NOT_FOUND])

    def dead_man_requests(self, timeout_s: int, symbols: tuple[str, ...]) -> list[Request]:
        """It holds for a whole product, whatever the market."""
        products = dict.fromkeys(self._market(symbol).product for symbol in symbols)
        body = msgspec.json.encode({"timeout": timeout_s * 1000})
        return [
            Request(path=f"{ORDER_PATHS[product]}/cancelAllAfter", method="POST", json=body, product=product)
            for product in products
        ]

    def saw(self, native: str, hedge: bool) -> None:
        """A position's mode is that of its market."""
        market = listed(self._markets, "futures", native)
        if market is not None:
            (self.hedged.add if hedge else self.hedged.discard)(market.symbol)
