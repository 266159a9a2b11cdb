"""Coinbase Advanced Trade, the private side of spot: which requests there are, what they cost.

Facts (docs.cdp.coinbase.com: coinbase-app/advanced-trade-apis, authentication and rate limits;
api-reference/advanced-trade-api), as of 2026:

* Every request has a token of its own (``keys.py``). A token that is refused gives HTTP 401 and the text
  ``Unauthorized``, whether the key or the clock is wrong: so the clock is measured and the question asked once more.
* A key belongs to one portfolio, and sees what is in that alone. ``can_transfer`` is the right to withdraw.
* Wallets come in pages of 250 at most, and so do orders (``has_next``, ``cursor``). There is no stream of balances.
* Open orders are listed by status, and those that are ``PENDING`` or ``QUEUED`` are not ``OPEN``. They are asked for in
  the order in which an order passes through these, so that none slips through between two questions.
* Fills of all markets are one list, newest first, in pages with a ``cursor``; an empty one ends it, and so does a page
  without fills. ``start_sequence_timestamp`` bounds it. ``entry_id`` names a fill; a trade with oneself has two.
* The commission is in the quote currency. A size may be told in quote currency (``size_in_quote``).
* Limits: 30 requests a second and user by one page, 10,000 an hour and key by another.
* Deposits and withdrawals belong to another interface (v2), wallet by wallet (``transfers.py``).

How far the history of fills has been read is the time of a trade; the list is bounded by another time, that of its
entry. They are moments apart: it is read again from :data:`OVERLAP_MS` before.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from feeds.account import AccountSpec, FillPage, KeyRights, PrivateRoute, PrivateSession
from feeds.account_domain import Balance, Fill, Order, Transfer
from feeds.account_reading import iso_of as iso
from feeds.accounts.coinbase import rows
from feeds.accounts.coinbase.keys import KEY_FORM, Signer
from feeds.accounts.coinbase.stream import CoinbasePrivateSession
from feeds.accounts.coinbase.trading import BATCH, PAGE, REST, CoinbaseTrading
from feeds.accounts.coinbase.transfers import TRANSFERS, TransferReader
from feeds.accounts.coinbase.wire import HOST, PRODUCT
from feeds.domain import Rejected
from feeds.errors import CredentialsError, ExchangeError, ParseError
from feeds.exchange import Facts, MarketIndex, Request

FILLS = "fills"
"""The one list of fills."""

FILLS_A_PAGE = 100
OVERLAP_MS = 60_000
OPEN_STATES = ("PENDING", "QUEUED", "OPEN")

AUTHENTICATION = "authentication failure"
"""What the stream says to a token that it does not take."""

FACTS = Facts(
    streams_per_connection=1,
    messages_per_s=4,
    connects_per_minute=60,
    heartbeat_s=1,
    ping_s=None,
    max_life_s=None,
    snapshot_by_rest=False,
    truncates=False,
    markets_by_stream=False,
    probe_by_rest=False,
)


class CoinbaseAccount(CoinbaseTrading):
    """One Coinbase account; fits :class:`feeds.account.AccountApi` and :class:`feeds.trading.TradingApi`."""

    def __init__(self, spec: AccountSpec, markets: MarketIndex, endpoints: Mapping[str, str]) -> None:
        super().__init__(markets)
        self._endpoints = endpoints
        self._signer = Signer(spec.credentials.key.strip(), spec.credentials.secret)
        self._fills = rows.FillReader(markets)
        self._transfers = TransferReader(f"{REST}/accounts")

    def ready(self) -> bool:
        return any(market.product == PRODUCT for market in self._markets)

    # Signing

    def sign(self, request: Request, now_ms: int) -> Request:
        self._now_ms = max(self._now_ms, now_ms)
        base = urlsplit(self._endpoints[f"{HOST}.rest"])
        token = self._signer.token(now_ms, f"{request.method} {base.netloc}{base.path.rstrip('/')}{request.path}")
        return msgspec.structs.replace(request, headers=(*request.headers, ("Authorization", f"Bearer {token}")))

    # Clock, key, refusals

    def clocks(self) -> tuple[str, ...]:
        return (HOST,)

    def time_request(self, product: str) -> Request:
        return Request(path=f"{REST}/time", product=product)

    def parse_time(self, product: str, raw: bytes) -> int:
        return rows.parse_time(raw)

    def rights_request(self) -> Request:
        return Request(path=f"{REST}/key_permissions", product=HOST)

    def parse_rights(self, raw: bytes) -> KeyRights:
        return rows.parse_rights(raw)

    def clock_error(self, error: ExchangeError) -> bool:
        """Perhaps: nothing tells a token of the wrong time from one of a wrong key."""
        return error.code == AUTHENTICATION or (isinstance(error, CredentialsError) and error.code != KEY_FORM)

    def refusal(self, rejected: Rejected) -> ExchangeError:
        """Never a CredentialsError: good keys are told the same at times. A bad one, REST tells."""
        return ExchangeError(rejected.reason, rejected.code)

    # Private stream

    def routes(self) -> list[PrivateRoute]:
        return [PrivateRoute(name="user", product=HOST, facts=FACTS, covers=(PRODUCT,), tells_fills=False)]

    def url(self, route: PrivateRoute, token: str | None) -> str:
        return self._endpoints[f"{HOST}.ws"]

    def session(self, route: PrivateRoute, token: str | None) -> PrivateSession:
        return CoinbasePrivateSession(self._markets, self._orders, self._signer.token)

    # Balances, positions, orders

    def balances_requests(self) -> list[Request]:
        return [Request(path=f"{REST}/accounts", params=(("limit", str(PAGE)),), product=HOST, about=PRODUCT)]

    def parse_balances(self, request: Request, raw: bytes, asof_ms: int) -> list[Balance]:
        return rows.parse_balances(raw, asof_ms)

    def orders_requests(self) -> list[Request]:
        return [
            Request(path=BATCH, params=(("order_status", state), ("limit", str(PAGE))), product=HOST, about=PRODUCT)
            for state in OPEN_STATES
        ]

    def parse_orders(self, request: Request, raw: bytes) -> list[Order]:
        orders = rows.parse_orders(raw, self._markets)
        for order in orders:
            self._orders.listed(order.id, order.symbol, order.size, ended=order.status not in ("open", "partial"))
        return orders

    def next_page(self, request: Request, raw: bytes) -> Request | None:
        """Of balances, orders and transfers; see :class:`feeds.exchange.Paged`."""
        if request.about == TRANSFERS:
            return self._transfers.following(request, raw)
        page = rows.parse_page(raw)
        if not page.has_next:
            return None
        asked = dict(request.params)
        if not page.cursor or page.cursor == asked.get("cursor"):
            raise ParseError(f"Coinbase, {request.path}: the page after this one is not told", raw)
        params = {**asked, "cursor": page.cursor}
        return msgspec.structs.replace(request, params=tuple(params.items()))

    # Fills

    def candidates(self, balances: Sequence[Balance]) -> set[str]:
        return set()

    def product_of(self, symbol: str) -> str | None:
        return PRODUCT if symbol == FILLS or symbol in self._markets else None

    def symbol_of(self, product: str, native: str) -> str | None:
        market = self._markets.native(product, native)
        return market.symbol if market is not None else None

    def fill_lists(self) -> tuple[str, ...]:
        return (FILLS,)

    def fill_list(self, symbol: str) -> str:
        return FILLS

    def fills_request(self, name: str, cursor: str | None) -> Request:
        """A cursor is the time of a trade (ms), within a reading followed by ``@`` and Coinbase's own."""
        since, _, page = (cursor or "").partition("@")
        params = [("limit", str(FILLS_A_PAGE))]
        if since:
            params.append(("start_sequence_timestamp", iso(max(0, int(since) - OVERLAP_MS))))
        if page:
            params.append(("cursor", page))
        return Request(path=f"{REST}/orders/historical/fills", params=tuple(params), product=HOST, about=PRODUCT)

    def parse_fills(self, name: str, cursor: str | None, raw: bytes, settled_ms: int) -> FillPage:
        since, _, page = (cursor or "").partition("@")
        return self._fills.page(raw, page, lambda following: f"{since}@{following}")

    def cursor_of(self, fill: Fill) -> str:
        return str(fill.exchange_ms)

    # Money from outside

    def transfers_requests(self, since_ms: int) -> list[Request]:
        """The wallets first: :meth:`next_page` goes on to what came into and left those that changed."""
        return [self._transfers.begin(since_ms)]

    def parse_transfers(self, request: Request, raw: bytes) -> list[Transfer]:
        return self._transfers.parse(request, raw)
