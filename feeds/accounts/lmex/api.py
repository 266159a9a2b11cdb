"""LMEX, the private side: how requests are signed, which there are, what they cost.

Facts (sources: docs.lmex.io and btsecom/docs: spotV3_3, futuresV2_3 and wallet, Authentication, Rate Limits):

* Headers ``request-api`` (the key), ``request-nonce`` (the time, ms) and ``request-sign``: hex HMAC-SHA384 of path,
  nonce and the JSON body as sent. The path begins with ``/api``, without the product before it; the query is not
  signed.
* **Sources disagree about futures**: one client of LMEX's own people signs the whole path, ``/futures/api/...``. The
  documented form comes first; a 401 before anything was accepted is answered by the other one.
* What a wrong nonce is answered is not documented. So after a 401 the clock is measured and the question is asked once
  more. The clock is spot's: ``time`` tells ms in ``iso`` and only seconds in ``epoch``. Futures have no such call.
* **What a key may do cannot be asked**: whether one may withdraw (permission ``Wallet``) or transfer, nobody tells.
* Wallet calls of spot are of version 3.2, all other spot calls of 3.3; futures are of 2.3. Lists of open orders
  need the permission ``Trading`` at spot. They have no pages.
* 15 queries a second for each call and 30 for the user; orders 75 a second.
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from feeds.account import OPEN_STATUSES, AccountSpec, FillPage, PrivateRoute, PrivateSession
from feeds.account_domain import Balance, Fill, Order, Position, Transfer
from feeds.account_reading import Wire
from feeds.accounts.lmex import history, wallet
from feeds.accounts.lmex.rows import FuturesWallet, OrderRow, PositionRow, SpotAsset, futures_balances, together
from feeds.accounts.lmex.stream import LmexPrivateSession
from feeds.accounts.lmex.trading import LmexTrading
from feeds.accounts.lmex.wire import decode, decode_rows, listed, reading
from feeds.domain import Rejected
from feeds.errors import CredentialsError, ExchangeError
from feeds.exchange import Facts, MarketIndex, Request

TIME_PATH = "/spot/api/v3.3/time"
SPOT_WALLET = "/spot/api/v3.2/user/wallet"
FUTURES_WALLET = "/futures/api/v2.3/user/wallet"
POSITIONS = "/futures/api/v2.3/user/positions"
OPEN_ORDERS = {"spot": "/spot/api/v3.3/user/open_orders", "futures": "/futures/api/v2.3/user/open_orders"}

KEY_REFUSED = frozenset({401, 403, -7, -8103, 10001, 10002})

QUOTES = ("USD", "USDT", "USDC", "BTC", "ETH", "EUR", "TUSD")
"""Quotes that an asset is likely to have been bought with."""

_FACTS = Facts(
    streams_per_connection=3,
    messages_per_s=5,  # no limit is documented
    connects_per_minute=20,
    heartbeat_s=None,
    ping_s=15,
    max_life_s=None,
    snapshot_by_rest=False,
    truncates=False,
    markets_by_stream=False,
    probe_by_rest=False,
)


class _Time(Wire, frozen=True):
    """``{"iso":"2021-06-29T18:14:30.886Z","epoch":1624990470}``"""

    iso: str


class LmexAccount(LmexTrading):
    """One account; fits :class:`feeds.account.AccountApi` and :class:`feeds.trading.TradingApi`.

    ``now_s`` is the wall clock, for how far a list of transfers goes.
    """

    def __init__(
        self,
        spec: AccountSpec,
        markets: MarketIndex,
        endpoints: Mapping[str, str],
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._spec = spec
        self._markets = markets
        self._endpoints = endpoints
        self._now_s = now_s
        self._nonce_ms = 0
        self._whole_path = False  # of futures
        self._accepted = False  # a signature of futures
        self.hedged: set[str] = set()

    def ready(self) -> bool:
        return {market.product for market in self._markets} >= set(self._spec.products)

    # Signing

    def sign(self, request: Request, now_ms: int) -> Request:
        """No nonce is used twice."""
        self._nonce_ms = max(now_ms, self._nonce_ms + 1)
        path = request.path
        if request.product == "spot" or not self._whole_path:
            path = path.removeprefix(f"/{request.product}")
        body = request.json.decode() if request.json is not None else ""
        headers = (
            ("request-api", self._spec.credentials.key),
            ("request-nonce", str(self._nonce_ms)),
            ("request-sign", self.signature(f"{path}{self._nonce_ms}{body}")),
        )
        return msgspec.structs.replace(request, headers=(*request.headers, *headers))

    def signature(self, text: str) -> str:
        """Hex HMAC-SHA384."""
        return hmac.new(self._spec.credentials.secret.encode(), text.encode(), hashlib.sha384).hexdigest()

    # Clock, key, refusals

    def clocks(self) -> tuple[str, ...]:
        return self._spec.products

    def time_request(self, product: str) -> Request:
        return Request(path=TIME_PATH, product="spot")

    def parse_time(self, product: str, raw: bytes) -> int:
        with reading(raw, "time"):
            moment = datetime.fromisoformat(decode(raw, _Time).iso)
            if moment.tzinfo is None:
                raise ValueError("iso has no time zone")
            return round(moment.timestamp() * 1000)

    def clock_error(self, error: ExchangeError) -> bool:
        """Any refused key is asked once more: its nonce may be what was refused, or the form of its path."""
        if not isinstance(error, CredentialsError):
            return False
        if not self._accepted:
            self._whole_path = True
        return True

    def refusal(self, rejected: Rejected) -> ExchangeError:
        detail = rejected.reason if rejected.code is None else f"{rejected.reason} ({rejected.code})"
        if rejected.code in KEY_REFUSED:
            return CredentialsError(detail, rejected.code)
        return ExchangeError(detail, rejected.code)

    # Private streams

    def routes(self) -> list[PrivateRoute]:
        return [PrivateRoute(name=product, product=product, facts=_FACTS) for product in self._spec.products]

    def url(self, route: PrivateRoute, token: str | None) -> str:
        return f"{self._endpoints[f'{route.product}.ws']}/ws/{route.product}"

    def session(self, route: PrivateRoute, token: str | None) -> PrivateSession:
        return LmexPrivateSession(route.product, self._spec.credentials.key, self._markets, self.signature, self.saw)

    # Balances, positions, orders

    def balances_requests(self) -> list[Request]:
        paths = {"spot": SPOT_WALLET, "futures": FUTURES_WALLET}
        cross = {"spot": (), "futures": (("wallet", wallet.CROSS),)}
        return [Request(path=paths[of], params=cross[of], product=of) for of in self._spec.products]

    def parse_balances(self, request: Request, raw: bytes, asof_ms: int) -> list[Balance]:
        with reading(raw, request.path):
            if request.product == "spot":
                balances = [asset.balance(asof_ms) for asset in decode_rows(raw, SpotAsset)]
            else:
                balances = futures_balances(decode_rows(raw, FuturesWallet), asof_ms)
        self._good(request)
        return [balance for balance in balances if balance.total or balance.locked]

    def positions_requests(self) -> list[Request]:
        return [Request(path=POSITIONS, product="futures")] if "futures" in self._spec.products else []

    def parse_positions(self, request: Request, raw: bytes, asof_ms: int) -> list[Position]:
        with reading(raw, request.path):
            rows = decode_rows(raw, PositionRow)
            told = [row.position(self._markets, asof_ms) for row in rows]
        for row in rows:
            self.saw(row.symbol, row.positionMode == "HEDGE")
        self._good(request)
        return together(position for position in told if position is not None)

    def orders_requests(self) -> list[Request]:
        return [Request(path=OPEN_ORDERS[of], product=of) for of in self._spec.products]

    def parse_orders(self, request: Request, raw: bytes) -> list[Order]:
        with reading(raw, request.path):
            orders = [row.order(request.product, self._markets) for row in decode_rows(raw, OrderRow)]
        self._good(request)
        return [order for order in orders if order.status in OPEN_STATUSES]

    def _good(self, request: Request) -> None:
        """An answer shows that its signature was accepted."""
        self._accepted |= request.product == "futures"

    # Fills

    def candidates(self, balances: Sequence[Balance]) -> set[str]:
        pairs = {f"{b.asset}/{quote}" for b in balances if b.product == "spot" for quote in QUOTES}
        return {pair for pair in pairs if pair in self._markets}

    def product_of(self, symbol: str) -> str | None:
        if symbol in self.fill_lists():
            return symbol
        market = self._markets.get(symbol)
        return market.product if market is not None else None

    def symbol_of(self, product: str, native: str) -> str | None:
        market = listed(self._markets, product, native)
        return market.symbol if market is not None else None

    def fill_lists(self) -> tuple[str, ...]:
        return ("futures",) if "futures" in self._spec.products else ()

    def fill_list(self, symbol: str) -> str:
        return "futures" if self.product_of(symbol) == "futures" else symbol

    def fills_request(self, name: str, cursor: str | None) -> Request:
        if name == "futures":
            return history.fills_request("futures", None, cursor)
        market = self._markets.get(name)
        if market is None:
            raise ExchangeError(f"LMEX lists no market {name}.")
        return history.fills_request("spot", market, cursor)

    def parse_fills(self, name: str, cursor: str | None, raw: bytes, settled_ms: int) -> FillPage:
        product, market = ("futures", None) if name == "futures" else ("spot", self._markets.get(name))
        return history.parse_fills(product, market, cursor, raw, settled_ms, self._markets)

    def cursor_of(self, fill: Fill) -> str:
        """Its moment: what else happened in it is told again."""
        return str(fill.exchange_ms)

    # What is no fill

    def transfers_requests(self, since_ms: int) -> list[Request]:
        return wallet.transfers_requests(self._spec.products, since_ms, self._now_ms())

    def next_page(self, request: Request, raw: bytes) -> Request | None:
        return wallet.next_page(request, raw, self._now_ms())

    def parse_transfers(self, request: Request, raw: bytes) -> list[Transfer]:
        return wallet.parse_transfers(request.product, raw)

    def _now_ms(self) -> int:
        return round(self._now_s() * 1000)
