"""OKX v5, the private side: how requests are signed, which there are, what they cost.

Facts (www.okx.com/docs-v5: overview, REST authentication and rate limits; trading account; funding account; order book
trading; changelog of 2026):

* ``OK-ACCESS-SIGN`` is base64 of HMAC-SHA256 over time, method, path with query exactly as sent, and body; the time is
  UTC, ISO 8601 with milliseconds, and valid for 30 s. The WebSocket's login signs the time in whole seconds.
* A key has a passphrase. What it may do, ``/account/config`` says (``perm``: ``read_only,trade,withdraw``).
* Limits are for each endpoint and *account* (User ID), none for an address or for all together: balance and positions
  10 requests in 2 s each, funding balances and deposit histories 6 a second, pending orders 60 in 2 s, algo orders 20,
  recent fills 60, older fills 10, recent bills 10, configuration and older bills 5, dead man's switch 1 a second.
* One unified account: the trading account's money serves all products. Deposits arrive in the funding account, which
  cannot trade; what is moved between both is no deposit.
* Fills are listed by kind of instrument, newest first, 100 a page, continued after a ``billId``; ``begin`` and ``end``
  compare with the bill's time ``ts``, which is that of the match or a little later. ``/trade/fills`` has three days,
  ``/trade/fills-history`` three months. ``tradeId`` is the same in every list and stream, and unique in one market.
* Algo orders (stop, trailing, iceberg and so on) have lists, streams and numbers of their own.

How a history of fills is read: in windows of 30 days, oldest window first, so that progress can be kept between them;
within a window newest first. A window's end is progress as soon as it is older than ``settled_ms``: what has been
billed by then is told.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from feeds.account import AccountSpec, FillPage, KeyRights, PrivateRoute, PrivateSession
from feeds.account_domain import Balance, Fill, Order, Position, Transfer, UnknownMarket
from feeds.accounts.okx import answers, bills, transfers
from feeds.accounts.okx.stream import ACCOUNT_CHANNELS, ALGO_CHANNELS, OkxPrivateSession
from feeds.accounts.okx.trade import CONFIG, OkxTrading
from feeds.accounts.okx.wire import ALGO, FUNDING, PRODUCTS, TRADING, Moment, market_of, one, product_of, rows
from feeds.domain import Rejected
from feeds.errors import CredentialsError, ExchangeError, ParseError
from feeds.exchange import Facts, MarketIndex, Request
from feeds.rest import encode

HOST = "private"
"""The host of all signed calls, in the adapter's endpoints and budgets."""

PAGE = 100
DAY_MS = 86_400_000
WINDOW_MS = 30 * DAY_MS
RECENT_MS = 2 * DAY_MS
"""Of fills younger than this ``/trade/fills`` knows all, with a day to spare."""
OLDEST_MS = 89 * DAY_MS

TIME = "/api/v5/public/time"
BALANCE = "/api/v5/account/balance"
FUNDS = "/api/v5/asset/balances"
POSITIONS = "/api/v5/account/positions"
PENDING = "/api/v5/trade/orders-pending"
ALGOS = "/api/v5/trade/orders-algo-pending"
FILLS = "/api/v5/trade/fills"
OLD_FILLS = "/api/v5/trade/fills-history"
DEPOSITS = "/api/v5/asset/deposit-history"
WITHDRAWALS = "/api/v5/asset/withdrawal-history"
BILLS, OLD_BILLS = bills.RECENT, bills.ARCHIVE
FUNDING_BILLS = "/api/v5/asset/bills"

ALGO_TYPES = ("conditional", "oco", "trigger", "move_order_stop", "iceberg", "twap", "chase")

WEIGHTS = {TIME: 6, ALGOS: 4, OLD_FILLS: 6, BILLS: 6, OLD_BILLS: 12, DEPOSITS: 5, WITHDRAWALS: 5, FUNDING_BILLS: 5}
"""Of the budget of 60 in 2 s, for what is asked several times at once, such as pages or kinds: its own limit divides
that. What a timer asks, at most once a second (``feeds.following.poller``), cannot pass its limit and counts as one.
"""

CLOCK_ERRORS = frozenset({"50102", "50112", "60004", "60006"})  # time expired or invalid, REST and WebSocket
KEY_ERRORS = frozenset({"60005", "60007", "60024", "60032"})  # key, signature, passphrase; 60009 says no reason

FACTS = Facts(
    streams_per_connection=1,
    messages_per_s=3,
    connects_per_minute=60,
    connects_per_s=2,
    heartbeat_s=None,
    ping_s=20,
    max_life_s=None,
    snapshot_by_rest=False,
    truncates=False,
    markets_by_stream=False,
    probe_by_rest=False,
    pong=b"pong",
)


T = TypeVar("T")


class _Time(msgspec.Struct):
    ts: Moment


class OkxAccount(OkxTrading):
    """One OKX account; fits :class:`feeds.account.AccountApi` and :class:`feeds.trading.TradingApi`."""

    def __init__(self, spec: AccountSpec, markets: MarketIndex, endpoints: Mapping[str, str]) -> None:
        super().__init__(markets, HOST)
        self._spec = spec
        self._endpoints = endpoints
        self._kinds = [kind for kind, product in PRODUCTS.items() if product in spec.products]
        self._windows: dict[tuple[str, str | None], tuple[int, int, str]] = {}  # asked for, by list and cursor
        self._now_ms = 0  # the exchange's clock at the last signature: a request knows no time of its own
        self._bills = bills.TradingBills(markets, HOST, WEIGHTS)

    def ready(self) -> bool:
        return {market.product for market in self._markets} >= set(self._spec.products)

    # Signing

    def sign(self, request: Request, now_ms: int) -> Request:
        self._now_ms = max(self._now_ms, now_ms)
        second, millisecond = divmod(now_ms, 1000)
        stamp = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.{millisecond:03}Z"
        path = f"{request.path}?{encode(request.params)}" if request.params else request.path
        headers = (
            *request.headers,
            ("OK-ACCESS-KEY", self._spec.credentials.key),
            ("OK-ACCESS-SIGN", self.signature(stamp, request.method, path, request.json or b"")),
            ("OK-ACCESS-TIMESTAMP", stamp),
            ("OK-ACCESS-PASSPHRASE", self._spec.credentials.passphrase),
        )
        return msgspec.structs.replace(request, headers=headers)

    def signature(self, stamp: str, method: str, path: str, body: bytes = b"") -> str:
        text = f"{stamp}{method}{path}".encode() + body
        digest = hmac.new(self._spec.credentials.secret.encode(), text, hashlib.sha256).digest()
        return base64.b64encode(digest).decode()

    # Clock, key, refusals

    def clocks(self) -> tuple[str, ...]:
        return (HOST,)

    def time_request(self, product: str) -> Request:
        return Request(path=TIME, product=product, weight=WEIGHTS[TIME])

    def parse_time(self, product: str, raw: bytes) -> int:
        return int(one(raw, _Time).ts)

    def rights_request(self) -> Request:
        return Request(path=CONFIG, product=HOST)

    def parse_rights(self, raw: bytes) -> KeyRights:
        """Also keeps how the account is set: see :meth:`take_settings`."""
        config = self.take_config(raw)
        rights = {right.strip() for right in config.perm.split(",")} - {""}
        if not rights:
            return KeyRights(read=None, trade=None, withdraw=None)
        return KeyRights(
            read="read_only" in rights, trade="trade" in rights, withdraw="withdraw" in rights, withdraw_name="withdraw"
        )

    def clock_error(self, error: ExchangeError) -> bool:
        return error.code in CLOCK_ERRORS

    def refusal(self, rejected: Rejected) -> ExchangeError:
        detail = f"{rejected.reason} ({rejected.code})"
        if rejected.code in KEY_ERRORS:
            return CredentialsError(detail, rejected.code)
        return ExchangeError(detail, rejected.code)

    # Private streams

    def routes(self) -> list[PrivateRoute]:
        """Algo orders come on another path, and so by a connection of their own."""
        return [
            PrivateRoute(name="account", product=HOST, facts=FACTS, covers=(TRADING, *self._spec.products)),
            PrivateRoute(name="algo", product=HOST, facts=FACTS, covers=(ALGO,)),
        ]

    def url(self, route: PrivateRoute, token: str | None) -> str:
        path = "business" if route.name == "algo" else "private"
        return f"{self._endpoints['private.ws']}/ws/v5/{path}"

    def session(self, route: PrivateRoute, token: str | None) -> PrivateSession:
        channels = ALGO_CHANNELS if route.name == "algo" else ACCOUNT_CHANNELS
        left_out = frozenset(PRODUCTS.values()) - set(self._spec.products)
        return OkxPrivateSession(
            self._spec.credentials,
            self._markets,
            self.signature,
            channels,
            left_out=left_out,
            note=self.note,
            holds=self.holds,
        )

    # Balances, positions, orders

    def settings_requests(self) -> list[Request]:
        return [Request(path=CONFIG, product=HOST)]

    def take_settings(self, request: Request, raw: bytes) -> None:
        """The account's mode and its mode of positions, which orders must fit."""
        self.take_config(raw)

    def wallet_of(self, product: str) -> str:
        return TRADING

    def balances_requests(self) -> list[Request]:
        return [
            Request(path=BALANCE, product=HOST, about=TRADING),
            Request(path=FUNDS, product=HOST, about=FUNDING),
        ]

    def parse_balances(self, request: Request, raw: bytes, asof_ms: int) -> list[Balance]:
        parse = answers.parse_funds if request.path == FUNDS else answers.parse_balances
        return parse(raw, asof_ms)

    def positions_requests(self) -> list[Request]:
        if "swap" not in self._spec.products:
            return []
        return [Request(path=POSITIONS, params=(("instType", "SWAP"),), product=HOST, about="swap")]

    def parse_positions(self, request: Request, raw: bytes, asof_ms: int) -> list[Position]:
        positions = answers.parse_positions(raw, asof_ms, self._markets)
        self.margin_modes.clear()
        for position in positions:
            self.holds(position)
        return positions

    def orders_requests(self) -> list[Request]:
        """Of each kind of instrument, and of each type of algo order, which cannot be asked for together."""
        page = ("limit", str(PAGE))
        pending = [
            Request(path=PENDING, params=(("instType", kind), page), product=HOST, about=product_of(kind))
            for kind in self._kinds
        ]
        return pending + [
            Request(path=ALGOS, params=(("ordType", kind), page), product=HOST, about=ALGO, weight=WEIGHTS[ALGOS])
            for kind in ALGO_TYPES
        ]

    def parse_orders(self, request: Request, raw: bytes) -> list[Order]:
        parse = answers.parse_algos if request.path == ALGOS else answers.parse_orders
        orders = [order for order in parse(raw, self._markets) if self.product_of(order.symbol) in self._spec.products]
        self.note(orders)
        return orders

    def next_page(self, request: Request, raw: bytes) -> Request | None:
        """What follows a full page of orders, deposits, withdrawals or bills; see :class:`feeds.exchange.Paged`."""
        if dict(request.params).get("limit") != str(PAGE):
            return None
        listed = answers.places(raw)
        if len(listed) < PAGE:
            return None
        last = listed[-1]
        by = {PENDING: last.ordId, ALGOS: last.algoId, BILLS: last.billId, OLD_BILLS: last.billId}
        after = by.get(request.path)
        if after is None:
            after = _after_moment(last.ts, dict(request.params).get("after"))
        if not after:
            raise ParseError(f"OKX, {request.path}: a full page without what to continue it after", raw)
        kept = tuple(param for param in request.params if param[0] != "after")
        if ("after", after) in request.params:
            raise ParseError(f"OKX, {request.path}: the page after {after} ends with it", raw)
        return msgspec.structs.replace(request, params=(*kept, ("after", after)))

    # Fills

    def candidates(self, balances: Sequence[Balance]) -> set[str]:
        return set()

    def product_of(self, symbol: str) -> str | None:
        """Also of a list of fills."""
        if symbol in PRODUCTS:
            return PRODUCTS[symbol]
        market = self._markets.get(symbol)
        return market.product if market is not None else None

    def symbol_of(self, product: str, native: str) -> str | None:
        market = self._markets.native(product, native)
        return market.symbol if market is not None else None

    def fill_lists(self) -> tuple[str, ...]:
        return tuple(self._kinds)

    def fill_list(self, symbol: str) -> str:
        return {"spot": "SPOT", "swap": "SWAP"}.get(self.product_of(symbol) or "", symbol)

    def fills_request(self, name: str, cursor: str | None) -> Request:
        """``cursor``: ``<begin ms>``, or within a window ``<begin ms>:<end ms>:<bill id to continue after>``."""
        if name not in PRODUCTS:
            raise ExchangeError(f"OKX lists no market {name}")
        begin_ms, end_ms, after = self._windows[name, cursor] = self._window(cursor)
        recent = begin_ms > self._now_ms - RECENT_MS
        ends = ("begin", str(max(0, begin_ms - 1))), ("end", str(end_ms + 1))  # whether they are in it, nobody says
        params = [("instType", name), *ends, ("limit", str(PAGE))]
        if after:
            params.append(("after", after))
        path = FILLS if recent else OLD_FILLS
        return Request(path=path, params=tuple(params), product=HOST, weight=WEIGHTS.get(path, 1))

    def parse_fills(self, name: str, cursor: str | None, raw: bytes, settled_ms: int) -> FillPage:
        begin_ms, end_ms, _ = self._windows.pop((name, cursor), self._window(cursor))
        told = rows(raw, answers.FillRow)
        fills: list[Fill] = []
        unlisted: dict[UnknownMarket, None] = {}
        for row in reversed(told):
            market = market_of(self._markets, row.instType, row.instId)
            if market is None:
                unlisted[UnknownMarket(product=product_of(row.instType), native=row.instId)] = None
            else:
                fills.append(row.fill(market))
        if len(told) >= PAGE:
            within = f"{begin_ms}:{end_ms}:{told[-1].billId}"
            return FillPage(fills=fills, next=within, whole=False, unlisted=tuple(unlisted))
        over = end_ms <= settled_ms  # nothing can come into this window any more
        reached = str(end_ms) if over else None
        return FillPage(fills=fills, next=reached, reached=reached, unlisted=tuple(unlisted))

    def _window(self, cursor: str | None) -> tuple[int, int, str]:
        """First and last millisecond, and the bill to continue after. Raises ParseError for a cursor that is none."""
        parts = (cursor or "").split(":")
        try:
            begin_ms = int(parts[0] or 0)
            end_ms, after = (int(parts[1]), parts[2]) if len(parts) == 3 else (0, "")
        except ValueError as error:
            raise ParseError(f"OKX: {cursor!r} is no place in a history of fills") from error
        if not after:
            begin_ms = max(begin_ms, self._now_ms - OLDEST_MS)
            end_ms = begin_ms + WINDOW_MS
        return begin_ms, end_ms, after

    def cursor_of(self, fill: Fill) -> str:
        """Its own millisecond again: others may have it too."""
        return str(fill.exchange_ms)

    # Money from outside, funding, interest

    def transfers_requests(self, since_ms: int) -> list[Request]:
        """Deposits and withdrawals, three months back at most, and the bills of both accounts; the funding account's go
        one month back."""
        since, page = ("before", str(max(0, since_ms - 1))), ("limit", str(PAGE))
        asked = [
            Request(path=path, params=(since, page), product=HOST, about=FUNDING, weight=WEIGHTS[path])
            for path in (DEPOSITS, WITHDRAWALS, FUNDING_BILLS)
        ]
        return [*asked, *self._bills.requests(since_ms, self._now_ms)]

    def parse_transfers(self, request: Request, raw: bytes) -> list[Transfer]:
        if (parse := _TRANSFERS.get(request.path)) is not None:
            return parse(raw)
        return self._bills.parse(request, raw, self._now_ms)


def _after_moment(ts: str, before: str | None) -> str:
    """Lists by time are continued before a moment: the last row's is asked again, as others of it may follow, unless
    the whole page is of that moment. "" for what is none."""
    if not (ts.isascii() and ts.isdigit()):
        return ""
    following = str(int(ts) + 1)
    return ts if following == before else following


_TRANSFERS = {
    DEPOSITS: transfers.parse_deposits,
    WITHDRAWALS: transfers.parse_withdrawals,
    FUNDING_BILLS: bills.parse_funding_bills,
}
