"""Bybit, the private side: how requests are signed, which there are, what they cost.

Facts (sources: bybit-exchange.github.io/docs/v5: guide, intro, user/apikey-info, account/{wallet-balance,account-info},
position, order/open-order, rate-limit, error):

* Every signed request carries its time (the exchange's, ms), the key and ``recv_window`` in headers, and the hex
  HMAC-SHA256 of time, key, window and the query exactly as sent (GET) or the JSON body exactly as sent (POST).
* The time must not be a second ahead, nor older than the window (10002).
* There is one account over all products, with one wallet, on one host; its calls share the address's limit of 600 in
  5 s. Besides, an account may ask each endpoint 50 times a second (order entry 10, spot 20; the transaction log 25),
  beyond that 10006 and a header that tells when to go on.
* Linear lists are asked by settlement coin. Positions come by 200, open orders by 50 a page, newest first; the cursor
  of a page is text that is percent-encoded already, and is encoded once more like any other value.
* A margin mode holds for the whole account; positions do not tell it.
* ``/v5/user/query-api`` may be asked with any key. ``permissions.Wallet`` has "Withdraw" where it may withdraw.
* An account's instruments are those of the public side: see ``feeds/exchanges/bybit.py``.
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from feeds.account import AccountSpec, FillPage, KeyLimits, KeyRights, PrivateRoute, PrivateSession
from feeds.account_domain import Balance, Fill, Order, Position, Transfer
from feeds.account_reading import Wire
from feeds.accounts.bybit import pages
from feeds.accounts.bybit.ledger import WalletLog
from feeds.accounts.bybit.rows import MARGIN_MODES, WALLET, OrderRow, PositionRow, Wallet
from feeds.accounts.bybit.stream import BybitSession
from feeds.accounts.bybit.trading import BybitTrading
from feeds.accounts.bybit.wire import Answer, decode, reading, result
from feeds.domain import Rejected
from feeds.errors import CredentialsError, ExchangeError
from feeds.exchange import Facts, MarketIndex, Request
from feeds.rest import encode

RECV_WINDOW_MS = 5000
SETTLES = ("USDT", "USDC")
"""What linear contracts are settled in."""
POSITIONS_A_PAGE = 200
ORDERS_A_PAGE = 50

LIMITS = KeyLimits(most=25, decay_per_s=25, reserve=5)
"""No more than 50 in any second, all endpoints together: from nearby a history of many windows is asked faster."""

TRADING = ("ContractTrade", "Spot", "Derivatives", "Options")  # of which Options is for USDC contracts too
"""Permissions by which orders may be placed."""

TIMESTAMP_ERROR = 10002
CREDENTIALS_ERRORS = frozenset({10003, 10004, 10005, 10010, 33004})
"""Key, signature, permission, address, age of the key."""

_FACTS = Facts(
    streams_per_connection=1,
    messages_per_s=5,  # no limit is documented
    connects_per_minute=50,
    heartbeat_s=None,
    ping_s=20,
    max_life_s=None,
    snapshot_by_rest=False,
    truncates=False,
    markets_by_stream=False,
    probe_by_rest=False,
)


class _Rights(Wire, frozen=True):
    """``{"readOnly":0,"permissions":{"ContractTrade":["Order","Position"],"Spot":["SpotTrade"],
    "Wallet":["AccountTransfer","SubMemberTransfer"],"Options":["OptionsTrade"],"Derivatives":[]},"uta":1}``"""

    readOnly: int | None = None
    permissions: dict[str, list[str] | None] | None = None


class _Info(Wire, frozen=True):
    """``{"marginMode":"REGULAR_MARGIN","updatedTime":"1697078946000","unifiedMarginStatus":4}``"""

    marginMode: str


class _Wallets(Wire, frozen=True):
    rows: list[Wallet] = msgspec.field(name="list")


class _Positions(Wire, frozen=True):
    rows: list[PositionRow] = msgspec.field(name="list")


class _Orders(Wire, frozen=True):
    rows: list[OrderRow] = msgspec.field(name="list")


class _LoginRefused(ExchangeError):
    """Without a code: it may have come too late."""


class BybitAccount(BybitTrading):
    """One unified account; fits :class:`feeds.account.AccountApi`, :class:`feeds.account.LimitsKeys` and
    :class:`feeds.trading.TradingApi`.

    ``now_s`` is the wall clock, for how far a list of transfers goes.
    """

    def __init__(
        self,
        spec: AccountSpec,
        markets: MarketIndex,
        endpoints: Mapping[str, str],
        now_s: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(markets)
        self.key_limits = LIMITS
        self._spec = spec
        self._endpoints = endpoints
        self._now_s = now_s
        self._margin_mode: str | None = None
        self._log = WalletLog(markets, spec.products)

    def ready(self) -> bool:
        return {market.product for market in self._markets} >= set(self._spec.products)

    # Signing

    def key_cost(self, request: Request) -> float:
        """The transaction log may be asked half as often as the rest."""
        return 2.0 if request.path == pages.LOG_PATH else 1.0

    def sign(self, request: Request, now_ms: int) -> Request:
        credentials = self._spec.credentials
        payload = request.json.decode() if request.json is not None else encode(request.params)
        headers = (
            ("X-BAPI-API-KEY", credentials.key),
            ("X-BAPI-TIMESTAMP", str(now_ms)),
            ("X-BAPI-RECV-WINDOW", str(RECV_WINDOW_MS)),
            ("X-BAPI-SIGN", self.signature(f"{now_ms}{credentials.key}{RECV_WINDOW_MS}{payload}")),
        )
        return msgspec.structs.replace(request, headers=(*request.headers, *headers))

    def signature(self, text: str) -> str:
        """Hex HMAC-SHA256."""
        return hmac.new(self._spec.credentials.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    # Clock, key, refusals

    def clocks(self) -> tuple[str, ...]:
        return (WALLET,)

    def time_request(self, product: str) -> Request:
        return Request(path="/v5/market/time", product=product)

    def parse_time(self, product: str, raw: bytes) -> int:
        with reading(raw, "time"):
            told = decode(raw, Answer).time
            if told is None:
                raise ValueError("time is missing")
            return told

    def rights_request(self) -> Request:
        return Request(path="/v5/user/query-api", product=WALLET)

    def parse_rights(self, raw: bytes) -> KeyRights:
        with reading(raw, "key rights"):
            rights = result(raw, _Rights)
        given = rights.permissions
        read_only = None if rights.readOnly is None else rights.readOnly != 0
        trades = None if given is None else any(given.get(kind) for kind in TRADING)
        return KeyRights(
            read=True,  # or it could not have asked
            trade=False if read_only else trades,
            withdraw=None if given is None or "Wallet" not in given else "Withdraw" in (given["Wallet"] or ()),
            withdraw_name="Wallet: Withdraw",
        )

    def clock_error(self, error: ExchangeError) -> bool:
        return error.code == TIMESTAMP_ERROR or isinstance(error, _LoginRefused)

    def refusal(self, rejected: Rejected) -> ExchangeError:
        if rejected.code is None:
            return _LoginRefused(rejected.reason)
        detail = f"{rejected.reason} ({rejected.code})"
        if rejected.code in CREDENTIALS_ERRORS:
            return CredentialsError(detail, rejected.code)
        return ExchangeError(detail, rejected.code)

    # The private stream

    def routes(self) -> list[PrivateRoute]:
        return [PrivateRoute(name=WALLET, product=WALLET, facts=_FACTS, covers=(WALLET, *self._spec.products))]

    def url(self, route: PrivateRoute, token: str | None) -> str:
        return f"{self._endpoints['unified.ws']}/v5/private"

    def session(self, route: PrivateRoute, token: str | None) -> PrivateSession:
        spec = self._spec
        return BybitSession(
            spec.credentials, self._markets, spec.products, self.signature, lambda: self._margin_mode, self.saw
        )

    # Balances, positions, orders

    def settings_requests(self) -> list[Request]:
        return [Request(path="/v5/account/info", product=WALLET)]

    def take_settings(self, request: Request, raw: bytes) -> None:
        with reading(raw, request.path):
            told = result(raw, _Info).marginMode
        self._margin_mode = MARGIN_MODES.get(told, told.lower())

    def next_page(self, request: Request, raw: bytes) -> Request | None:
        """See :class:`feeds.exchange.Paged`. The wallet and the settings have one page."""
        listed = ("/v5/position/list", "/v5/order/realtime", pages.LOG_PATH)
        return pages.next_page(request, raw) if request.path in listed else None

    def balances_requests(self) -> list[Request]:
        params = (("accountType", "UNIFIED"),)
        return [Request(path="/v5/account/wallet-balance", params=params, product=WALLET)]

    def parse_balances(self, request: Request, raw: bytes, asof_ms: int) -> list[Balance]:
        with reading(raw, request.path):
            wallets = result(raw, _Wallets).rows
            balances = [balance for each in wallets for balance in each.balances(self._margin_mode, asof_ms)]
        return [balance for balance in balances if balance.total or balance.locked]

    def positions_requests(self) -> list[Request]:
        return self._linear("/v5/position/list", POSITIONS_A_PAGE)

    def parse_positions(self, request: Request, raw: bytes, asof_ms: int) -> list[Position]:
        with reading(raw, request.path):
            rows = result(raw, _Positions).rows
            for row in rows:
                self.saw(row)
            positions = [row.position("linear", self._markets, self._margin_mode, asof_ms) for row in rows]
        return [position for position in positions if position.size]

    def orders_requests(self) -> list[Request]:
        requests = self._linear("/v5/order/realtime", ORDERS_A_PAGE)
        if "spot" in self._spec.products:
            params = (("category", "spot"), ("limit", str(ORDERS_A_PAGE)))
            requests.append(Request(path="/v5/order/realtime", params=params, product=WALLET, about="spot"))
        return requests

    def parse_orders(self, request: Request, raw: bytes) -> list[Order]:
        with reading(raw, request.path):
            return [row.order(request.subject, self._markets) for row in result(raw, _Orders).rows]

    def _linear(self, path: str, a_page: int) -> list[Request]:
        """One request for each settlement coin, if linear contracts are followed."""
        if "linear" not in self._spec.products:
            return []
        each = [(("category", "linear"), ("settleCoin", settle), ("limit", str(a_page))) for settle in SETTLES]
        return [Request(path=path, params=params, product=WALLET, about="linear") for params in each]

    # Fills

    def candidates(self, balances: Sequence[Balance]) -> set[str]:
        return set()

    def product_of(self, symbol: str) -> str | None:
        if symbol in self._spec.products:
            return symbol
        market = self._markets.get(symbol)
        return market.product if market is not None else None

    def symbol_of(self, product: str, native: str) -> str | None:
        market = self._markets.native(product, native)
        return market.symbol if market is not None else None

    def fill_lists(self) -> tuple[str, ...]:
        return self._spec.products

    def fill_list(self, symbol: str) -> str:
        return self.product_of(symbol) or symbol

    def fills_request(self, name: str, cursor: str | None) -> Request:
        if name not in ("spot", "linear"):
            raise ExchangeError(f"Bybit lists no market {name}")
        return pages.fills_request(name, cursor)

    def parse_fills(self, name: str, cursor: str | None, raw: bytes, settled_ms: int) -> FillPage:
        return pages.parse_fills(name, cursor, raw, settled_ms, self._markets)

    def cursor_of(self, fill: Fill) -> str:
        return str(fill.exchange_ms)

    # Money from outside, funding, interest

    def transfers_requests(self, since_ms: int) -> list[Request]:
        return self._log.requests(since_ms, self._now_ms())

    def parse_transfers(self, request: Request, raw: bytes) -> list[Transfer]:
        return self._log.parse(request, raw, self._now_ms())

    def _now_ms(self) -> int:
        return round(self._now_s() * 1000)
