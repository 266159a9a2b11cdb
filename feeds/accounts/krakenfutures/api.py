"""Kraken Futures, the private side: how requests are signed, which there are, what they cost.

Facts (docs.kraken.com/api/docs/guides: futures-rest, futures-ratelimits; futures-api/trading, futures-api/auth):

* ``Authent`` is base64 of HMAC-SHA512, keyed with the decoded secret, of SHA256(data + nonce + path): data are the
  query or the form as sent, the path goes without ``/derivatives``. **The nonce may be left out**, and is: requests
  need no order then, and other programs may use the same key.
* Whether the query is signed as sent or decoded has changed once; nothing of ours needs encoding.
* What a key may do, another service on the same host tells (``/api/auth/v1/api-keys/v3/check``, with any key): access
  ``general`` and ``transfer``, each ``NO_ACCESS``, ``READ_ONLY`` or ``FULL_ACCESS``. Full access to transfers is the
  right to withdraw (to the owner's spot wallet).
* 500 points in 10 seconds: accounts, openpositions, openorders, fills 2, fills before a moment 25, orders 10, all 25.
* Fills are told for all contracts together, the last hundred before a moment.
* Answers carry ``serverTime`` in milliseconds.
* Deposits and withdrawals are transfers from and to the spot wallet. They, funding and interest stand in the account
  log (``log.py``), on another service with a budget of its own: 100 tokens in 10 minutes of each key.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from feeds.account import AccountSpec, FillPage, KeyRights, PrivateRoute, PrivateSession
from feeds.account_domain import Balance, Fill, Order, Position, Transfer
from feeds.account_reading import iso_of as iso
from feeds.accounts.krakenfutures import log, rest
from feeds.accounts.krakenfutures.stream import KrakenFuturesPrivateSession
from feeds.accounts.krakenfutures.trading import API, HOST, Trading, ask
from feeds.accounts.krakenfutures.wire import PRODUCT, Detail, market_of, sha256_then_hmac
from feeds.domain import Rejected
from feeds.errors import ExchangeError
from feeds.exchange import Facts, MarketIndex, Request
from feeds.rest import encode

FILLS = "fills"
"""The one list of fills."""
TIME_PATH = f"{API}/tickers/PF_XBTUSD"
"""The smallest answer with the exchange's time."""
RIGHTS_PATH = "/api/auth/v1/api-keys/v3/check"

_FACTS = Facts(
    streams_per_connection=5,
    messages_per_s=20,
    connects_per_minute=30,
    heartbeat_s=None,
    ping_s=25,
    max_life_s=None,
    snapshot_by_rest=False,
    truncates=False,
    markets_by_stream=False,
    probe_by_rest=False,
)


class KrakenFuturesAccount(Trading):
    """One account; fits :class:`feeds.account.AccountApi` and :class:`feeds.trading.TradingApi`."""

    def __init__(self, spec: AccountSpec, markets: MarketIndex, endpoints: Mapping[str, str]) -> None:
        self._spec = spec
        self._markets = markets
        self._endpoints = endpoints
        self._leverage: dict[str, Decimal] = {}
        self._details: dict[str, Detail] = {}
        self._log = log.AccountLog(HOST, markets)
        self.key_limits = log.LIMITS

    def key_cost(self, request: Request) -> float:
        """Of the history service alone: the others count by host."""
        return log.cost(request)

    def ready(self) -> bool:
        return any(market.product == PRODUCT for market in self._markets)

    # Signing

    def sign(self, request: Request, now_ms: int) -> Request:
        path, _, query = request.path.partition("?")
        data = encode(request.params) or query
        headers = (("APIKey", self._spec.credentials.key), ("Authent", self.signature(data, "", path)))
        return msgspec.structs.replace(request, headers=(*request.headers, *headers))

    def signature(self, data: str, nonce: str, path: str) -> str:
        message = f"{data}{nonce}{path.removeprefix('/derivatives')}"
        return sha256_then_hmac(self._spec.credentials.secret, message)

    def sign_challenge(self, challenge: str) -> str:
        return sha256_then_hmac(self._spec.credentials.secret, challenge)

    # Clock, key, refusals

    def clocks(self) -> tuple[str, ...]:
        return (HOST,)

    def time_request(self, product: str) -> Request:
        return Request(path=TIME_PATH, product=HOST)

    def parse_time(self, product: str, raw: bytes) -> int:
        return rest.parse_time(raw)

    def rights_request(self) -> Request:
        return Request(path=RIGHTS_PATH, product=HOST, about=PRODUCT, weight=2)

    def parse_rights(self, raw: bytes) -> KeyRights:
        return rest.parse_rights(raw)

    def clock_error(self, error: ExchangeError) -> bool:
        return False  # nothing carries a time

    def refusal(self, rejected: Rejected) -> ExchangeError:
        """Also of a wrong key: REST, which is asked as well, says so in words that leave no doubt."""
        return ExchangeError(rejected.reason, rejected.code)

    # The private stream

    def routes(self) -> list[PrivateRoute]:
        return [PrivateRoute(name=PRODUCT, product=HOST, facts=_FACTS, covers=(PRODUCT,))]

    def url(self, route: PrivateRoute, token: str | None) -> str:
        return self._endpoints["futures.ws"]

    def session(self, route: PrivateRoute, token: str | None) -> PrivateSession:
        key = self._spec.credentials.key
        return KrakenFuturesPrivateSession(key, self.sign_challenge, self._markets, self._leverage, self._details)

    # Balances, positions, orders

    def settings_requests(self) -> list[Request]:
        return [ask("leveragepreferences", weight=2)]

    def take_settings(self, request: Request, raw: bytes) -> None:
        told = rest.parse_leverage(raw)
        self._leverage.clear()
        self._leverage.update(told)

    def balances_requests(self) -> list[Request]:
        return [ask("accounts", weight=2)]

    def parse_balances(self, request: Request, raw: bytes, asof_ms: int) -> list[Balance]:
        return rest.parse_balances(raw, asof_ms)

    def positions_requests(self) -> list[Request]:
        return [ask("openpositions", weight=2)]

    def parse_positions(self, request: Request, raw: bytes, asof_ms: int) -> list[Position]:
        return rest.parse_positions(raw, asof_ms, self._markets, self._leverage, self._details)

    def orders_requests(self) -> list[Request]:
        return [ask("openorders", weight=2)]

    def parse_orders(self, request: Request, raw: bytes) -> list[Order]:
        return rest.parse_orders(raw, self._markets)

    # Fills

    def candidates(self, balances: Sequence[Balance]) -> set[str]:
        return set()

    def product_of(self, symbol: str) -> str | None:
        return PRODUCT if symbol == FILLS or symbol in self._markets else None

    def symbol_of(self, product: str, native: str) -> str | None:
        market = market_of(self._markets, native)
        return market.symbol if market is not None else None

    def fill_lists(self) -> tuple[str, ...]:
        return (FILLS,)

    def fill_list(self, symbol: str) -> str:
        return FILLS

    def fills_request(self, name: str, cursor: str | None) -> Request:
        """``cursor``: the time (ms) down to which the list is read, and behind a colon where a stretch goes on."""
        before = (cursor or "").partition(":")[2]
        if not before:
            return ask("fills", weight=2)
        return ask(f"fills?lastFillTime={iso(int(before))}", weight=25)

    def parse_fills(self, name: str, cursor: str | None, raw: bytes, settled_ms: int) -> FillPage:
        stop, _, before = (cursor or "").partition(":")
        return rest.parse_fills(raw, int(stop or "0"), int(before) if before else None, self._markets)

    def cursor_of(self, fill: Fill) -> str:
        return str(fill.exchange_ms)

    # What is no fill

    def transfers_requests(self, since_ms: int) -> list[Request]:
        """What is new since the last answer; at first, since then."""
        return [self._log.request(since_ms)]

    def next_page(self, request: Request, raw: bytes) -> Request | None:
        return self._log.next_page(request, raw)

    def parse_transfers(self, request: Request, raw: bytes) -> list[Transfer]:
        return self._log.parse(request, raw)
