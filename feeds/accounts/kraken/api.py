"""Kraken spot, the private side: how requests are signed, which there are, what they cost.

Facts (docs.kraken.com: guides/spot-rest-auth, spot-ratelimits, api-reference/account-data):

* ``API-Sign`` is base64 of HMAC-SHA512, keyed with the decoded secret, of the path and SHA256(nonce + body). The nonce
  stands in the body and must rise with every request of a key, so they go one at a time; ours is the exchange's clock
  in milliseconds. A key needs a program of its own.
* Every call raises a counter of the key, ``TradesHistory`` and ``Ledgers`` by 2, ``AddOrder`` and ``CancelOrder`` not
  at all. It falls by 0.33 (Starter), 0.5 (Intermediate) or 1 (Pro) a second and must not pass 15 (20). Which of them a
  key has, nobody tells: we keep to the first.
* Fills come in one list over all markets, newest first, in pages of 50 behind ``ofs``; ``start`` (seconds, exclusive)
  says how far back. ``consolidate_taker`` is on unless switched off: it would put the executions of a taker order
  together under one id, of which the stream tells each by its own.
* The clock is told in whole seconds.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

import msgspec

from feeds.account import AccountSpec, FillPage, KeyLimits, KeyRights, PrivateRoute, PrivateSession
from feeds.account_domain import Balance, Fill, Order, Position, Transfer
from feeds.accounts.kraken import ledger, rest
from feeds.accounts.kraken.names import Pairs
from feeds.accounts.kraken.stream import KrakenPrivateSession
from feeds.accounts.kraken.trading import NO_COST, Trading, private
from feeds.accounts.kraken.wire import PRODUCT
from feeds.domain import Rejected
from feeds.errors import CredentialsError, ExchangeError
from feeds.exchange import Facts, MarketIndex, Request
from feeds.rest import encode

HOST = "account"
FILLS = "trades"
"""The one list of fills."""

LIMITS = KeyLimits(most=15, decay_per_s=0.33, reserve=3, one_at_a_time=True)
"""Of the Starter tier."""

NONCE_ERROR = "EAPI:Invalid nonce"
_KEY_REFUSED = ("EAPI:Invalid key", "EAPI:Invalid signature", "EGeneral:Permission denied", "EAccount:Invalid perm")
_DOUBLE = frozenset({"TradesHistory", "Ledgers"})

_FACTS = Facts(
    streams_per_connection=2,
    messages_per_s=5,
    connects_per_minute=15,
    heartbeat_s=None,
    ping_s=30,
    max_life_s=None,
    snapshot_by_rest=False,
    truncates=False,
    markets_by_stream=False,
    probe_by_rest=False,
)


class KrakenAccount(Trading):
    """One Kraken account; fits :class:`feeds.account.AccountApi` and :class:`feeds.trading.TradingApi`.

    Raises CredentialsError, when it signs, for a secret that is not base64.
    """

    def __init__(self, spec: AccountSpec, markets: MarketIndex, endpoints: Mapping[str, str]) -> None:
        self.key_limits = LIMITS
        self._spec = spec
        self._markets = markets
        self._pairs = Pairs(markets)
        self._endpoints = endpoints
        self._nonce = 0
        self._ledger = ledger.Ledger()

    def ready(self) -> bool:
        return any(market.product == PRODUCT for market in self._markets)

    # Signing

    def sign(self, request: Request, now_ms: int) -> Request:
        self._nonce = max(self._nonce + 1, now_ms)
        nonce = str(self._nonce)
        params = (("nonce", nonce), *request.params)
        signature = self.signature(request.path, nonce, encode(params))
        headers = (*request.headers, ("API-Key", self._spec.credentials.key), ("API-Sign", signature))
        return msgspec.structs.replace(request, headers=headers, params=params)

    def signature(self, path: str, nonce: str, body: str) -> str:
        """Of a body exactly as it is sent; ``path`` begins with ``/0/private/``."""
        try:
            secret = base64.b64decode(self._spec.credentials.secret, validate=True)
        except (binascii.Error, ValueError):
            raise CredentialsError("the secret is not base64, as Kraken's are") from None
        digest = hashlib.sha256((nonce + body).encode()).digest()
        return base64.b64encode(hmac.new(secret, path.encode() + digest, hashlib.sha512).digest()).decode()

    def key_cost(self, request: Request) -> float:
        method = request.path.rpartition("/")[2]
        return 0.0 if method in NO_COST else 2.0 if method in _DOUBLE else 1.0

    # Clock, key, refusals

    def clocks(self) -> tuple[str, ...]:
        return (HOST,)

    def time_request(self, product: str) -> Request:
        return Request(path="/0/public/Time", product=HOST)

    def parse_time(self, product: str, raw: bytes) -> int:
        return rest.parse_time(raw)

    def rights_request(self) -> Request:
        return private("GetApiKeyInfo")

    def parse_rights(self, raw: bytes) -> KeyRights:
        return rest.parse_rights(raw)

    def clock_error(self, error: ExchangeError) -> bool:
        return error.code == NONCE_ERROR

    def refusal(self, rejected: Rejected) -> ExchangeError:
        if rejected.reason.startswith(_KEY_REFUSED):
            return CredentialsError(rejected.reason, rejected.code)
        return ExchangeError(rejected.reason, rejected.code)  # also a token that came too late: the next has its own

    # The private stream

    def routes(self) -> list[PrivateRoute]:
        token = private("GetWebSocketsToken")
        return [PrivateRoute(name=PRODUCT, product=HOST, facts=_FACTS, token_request=token, covers=(PRODUCT,))]

    def parse_token(self, route: PrivateRoute, raw: bytes) -> str:
        return rest.parse_token(raw)

    def url(self, route: PrivateRoute, token: str | None) -> str:
        return self._endpoints[f"{HOST}.ws_api"]

    def session(self, route: PrivateRoute, token: str | None) -> PrivateSession:
        if token is None:
            raise ValueError("Kraken's private stream needs a token")
        return KrakenPrivateSession(self._markets, token)

    # Balances, positions, orders

    def balances_requests(self) -> list[Request]:
        return [private("BalanceEx")]

    def parse_balances(self, request: Request, raw: bytes, asof_ms: int) -> list[Balance]:
        return rest.parse_balances(raw, asof_ms)

    def positions_requests(self) -> list[Request]:
        return [private("OpenPositions", ("docalcs", "true"))]

    def parse_positions(self, request: Request, raw: bytes, asof_ms: int) -> list[Position]:
        return rest.parse_positions(raw, asof_ms, self._pairs)

    def orders_requests(self) -> list[Request]:
        return [private("OpenOrders")]

    def parse_orders(self, request: Request, raw: bytes) -> list[Order]:
        return rest.parse_open(raw, self._pairs)

    # Fills

    def candidates(self, balances: Sequence[Balance]) -> set[str]:
        return set()

    def product_of(self, symbol: str) -> str | None:
        return PRODUCT if symbol == FILLS or symbol in self._markets else None

    def symbol_of(self, product: str, native: str) -> str | None:
        market = self._markets.native(product, native) or self._pairs.market(native)
        return market.symbol if market is not None else None

    def fill_lists(self) -> tuple[str, ...]:
        return (FILLS,)

    def fill_list(self, symbol: str) -> str:
        return FILLS

    def fills_request(self, name: str, cursor: str | None) -> Request:
        """``cursor``: "<start>" in seconds, or "<start>:<offset>" within a stretch."""
        start, _, offset = (cursor or "").partition(":")
        params = [("ofs", offset or "0"), ("consolidate_taker", "false")]
        if start:
            params.append(("start", start))
        return private("TradesHistory", *params, weight=2)

    def parse_fills(self, name: str, cursor: str | None, raw: bytes, settled_ms: int) -> FillPage:
        start, _, offset = (cursor or "").partition(":")
        return rest.parse_fills(raw, int(offset or "0"), start, self._pairs)

    def cursor_of(self, fill: Fill) -> str:
        """The second before its own: ``start`` is exclusive, and that second may hold other fills."""
        return str(fill.exchange_ms // 1000 - 1)

    # What is no fill

    def transfers_requests(self, since_ms: int) -> list[Request]:
        """Deposits and withdrawals, of each the newest that one answer holds, and the ledger for all else."""
        start = ("start", str(since_ms // 1000))
        return [private("DepositStatus", start), private("WithdrawStatus", start), self._ledger.request(since_ms)]

    def next_page(self, request: Request, raw: bytes) -> Request | None:
        return self._ledger.next_page(request, raw)

    def parse_transfers(self, request: Request, raw: bytes) -> list[Transfer]:
        if request.path == ledger.PATH:
            return self._ledger.parse(request, raw)
        return rest.parse_movements(raw, "deposit" if request.path.endswith("DepositStatus") else "withdrawal")
