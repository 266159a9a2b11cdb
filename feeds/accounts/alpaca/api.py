"""Alpaca, the private side: which requests there are, what they cost, what the account is.

Facts (sources: docs.alpaca.markets, docs: authentication-1, account-activities, websocket-streaming; reference:
get-v2-account, get-v2-positions, get-v2-orders, get-v2-clock):

* Every request carries key and secret in headers; nothing is signed and no time is checked. ``/v2/clock`` tells the
  time, and needs the key like everything else.
* There is one account for crypto and stocks, on the host of trading (``paper-api`` for paper trading, whose keys are
  others). The stream of orders is ``/stream`` on the same host.
* **What a key may do cannot be asked.** A key of this API can withdraw coins to addresses that its owner has approved
  (``/v2/wallets``), so there is no key that may only read. What can be told is whether the account is blocked.
* 200 requests a minute for each account; beyond that HTTP 429, with the time at which to go on.
* Open orders: at most 500 a page, by ``submitted_at``; ``after`` is exclusive.

The account's figures are explained in ``rows.py``, its history in ``activities.py`` and ``bookings.py``.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta

from msgspec import structs

from feeds.account import AccountSpec, FillPage, KeyLimits, PrivateRoute, PrivateSession
from feeds.account_domain import Balance, Fill, Order, Transfer
from feeds.account_reading import Moment, Wire, ms_of
from feeds.accounts.alpaca import activities, bookings
from feeds.accounts.alpaca.rows import Account, Holding, OrderRow
from feeds.accounts.alpaca.stream import UNAUTHORIZED, AlpacaSession
from feeds.accounts.alpaca.trading import ORDERS_PATH, AlpacaTrading
from feeds.accounts.alpaca.wire import ACCOUNT, Names, decode
from feeds.domain import Rejected
from feeds.errors import CredentialsError, ExchangeError, ParseError
from feeds.exchange import Facts, MarketIndex, Request

FILLS = "fills"
"""The one history of fills, of all markets."""
ORDERS_PAGE = 500
LIMITS = KeyLimits(most=100, decay_per_s=100 / 60, reserve=20)
"""Of 200 a minute: a hundred at once, and as many more within that minute."""
_ACCOUNT_PATH, _POSITIONS_PATH = "/v2/account", "/v2/positions"

_FACTS = Facts(
    streams_per_connection=1,
    messages_per_s=5,  # no limit is documented
    connects_per_minute=20,
    heartbeat_s=None,
    ping_s=10,
    max_life_s=None,
    snapshot_by_rest=False,
    truncates=False,
    markets_by_stream=False,
    probe_by_rest=False,
)


class _Clock(Wire, frozen=True):
    """``{"timestamp":"2018-04-01T12:00:00.000Z","is_open":true,"next_open":"2018-04-01T12:00:00.000Z",
    "next_close":"2018-04-01T12:00:00.000Z"}``"""

    timestamp: Moment


class AlpacaAccount(AlpacaTrading):
    """One account; fits :class:`feeds.account.AccountApi`, :class:`feeds.account.LimitsKeys`,
    :class:`feeds.account.Remarks` and :class:`feeds.trading.TradingApi`."""

    def __init__(self, spec: AccountSpec, markets: MarketIndex, endpoints: Mapping[str, str]) -> None:
        self._spec = spec
        self._markets = markets
        self._names = Names(markets)
        self._stream_url = endpoints["account.rest"].replace("http", "ws", 1) + "/stream"
        self.key_limits = LIMITS
        self._currency = "USD"
        self._state = ""  # what the account's owner should know of it
        self._unshown = ""  # a holding that is not shown

    def ready(self) -> bool:
        return {market.product for market in self._markets} >= set(self._spec.products)

    def remark(self) -> str:
        return self._state or self._unshown

    # Key, clock, refusals

    def key_cost(self, request: Request) -> float:
        """Every request counts alike."""
        return 1.0

    def sign(self, request: Request, now_ms: int) -> Request:
        key, secret = self._spec.credentials.key, self._spec.credentials.secret
        headers = (("APCA-API-KEY-ID", key), ("APCA-API-SECRET-KEY", secret))
        return structs.replace(request, headers=(*request.headers, *headers))

    def clocks(self) -> tuple[str, ...]:
        return (ACCOUNT,)

    def time_request(self, product: str) -> Request:
        """With the key: even the time is not told without one."""
        return self.sign(Request(path="/v2/clock", product=product), 0)

    def parse_time(self, product: str, raw: bytes) -> int:
        return ms_of(decode(raw, _Clock).timestamp)

    def clock_error(self, error: ExchangeError) -> bool:
        return False

    def refusal(self, rejected: Rejected) -> ExchangeError:
        if rejected.code == UNAUTHORIZED:
            return CredentialsError(f"the login was refused: {rejected.reason}", rejected.code)
        return ExchangeError(rejected.reason, rejected.code)

    # The private stream

    def routes(self) -> list[PrivateRoute]:
        covers = (ACCOUNT, *self._spec.products)
        return [PrivateRoute(name="orders", product=ACCOUNT, facts=_FACTS, covers=covers, names_fills=False)]

    def url(self, route: PrivateRoute, token: str | None) -> str:
        return self._stream_url

    def session(self, route: PrivateRoute, token: str | None) -> PrivateSession:
        return AlpacaSession(self._spec.credentials, self._names, self._spec.products)

    # Balances, positions, orders

    def balances_requests(self) -> list[Request]:
        return [Request(path=path, product=ACCOUNT) for path in (_ACCOUNT_PATH, _POSITIONS_PATH)]

    def parse_balances(self, request: Request, raw: bytes, asof_ms: int) -> list[Balance]:
        """Cash, or what is held: see ``rows.py`` for why holdings are balances."""
        if request.path == _ACCOUNT_PATH:
            account = decode(raw, Account)
            self._currency, self._state = account.currency, account.remark()
            cash = account.balance(asof_ms)
            return [cash] if cash.total else []
        holdings = decode(raw, list[Holding])
        told = [(holding, holding.balance(self._names, asof_ms)) for holding in holdings]
        unshown = next((holding.symbol for holding, balance in told if balance is None), None)
        self._unshown = f"This account also holds {unshown}, which is of a kind that is not shown." if unshown else ""
        return [balance for _, balance in told if balance is not None and balance.total]

    def orders_requests(self) -> list[Request]:
        """The same list for each product, of which the others' orders are left out."""
        params = (("status", "open"), ("limit", str(ORDERS_PAGE)), ("direction", "asc"))
        return [Request(path=ORDERS_PATH, params=params, product=ACCOUNT, about=each) for each in self._spec.products]

    def parse_orders(self, request: Request, raw: bytes) -> list[Order]:
        rows = decode(raw, list[OrderRow])
        return [row.order(self._names) for row in rows if row.product == request.subject]

    def next_page(self, request: Request, raw: bytes) -> Request | None:
        """See :class:`feeds.exchange.Paged`."""
        if request.path == bookings.PATH:
            return bookings.next_page(request, raw)
        if request.path != ORDERS_PATH:
            return None
        rows = decode(raw, list[OrderRow])
        if len(rows) < ORDERS_PAGE:
            return None
        last = rows[-1].submitted_at or rows[-1].created_at  # itself told again: others may be of the same moment
        after = (last - timedelta(microseconds=1)).astimezone(UTC).isoformat().replace("+00:00", "Z")
        if ("after", after) in request.params:
            raise ParseError(f"Alpaca: {ORDERS_PAGE} open orders of one moment cannot be told apart", raw)
        params = tuple(param for param in request.params if param[0] != "after")
        return structs.replace(request, params=(*params, ("after", after)))

    # Fills

    def candidates(self, balances: Sequence[Balance]) -> set[str]:
        return set()

    def product_of(self, symbol: str) -> str | None:
        market = self._markets.get(symbol)
        return market.product if market is not None else None

    def symbol_of(self, product: str, native: str) -> str | None:
        market = self._names.find(native, product)
        return market.symbol if market is not None else None

    def fill_lists(self) -> tuple[str, ...]:
        return (FILLS,)

    def fill_list(self, symbol: str) -> str:
        return FILLS

    def fills_request(self, name: str, cursor: str | None) -> Request:
        return activities.fills_request(cursor)

    def parse_fills(self, name: str, cursor: str | None, raw: bytes, settled_ms: int) -> FillPage:
        return activities.parse_fills(cursor, raw, self._names, self._spec.products)

    def cursor_of(self, fill: Fill) -> str:
        return str(fill.exchange_ms)

    # What comes and goes beside fills

    def transfers_requests(self, since_ms: int) -> list[Request]:
        return [bookings.request(since_ms)]

    def parse_transfers(self, request: Request, raw: bytes) -> list[Transfer]:
        return bookings.parse(raw, self._currency, self._names)

    # For orders
