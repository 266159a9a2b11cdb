"""Binance, the private side: how requests are signed, which there are, what they cost.

Facts (sources: binance/binance-spot-api-docs ``rest-api.md``; developers.binance.com, USD-M futures, general-info):

* Every signed request carries ``timestamp`` (the exchange's time, ms) and ``signature``: hex HMAC-SHA256 of the
  percent-encoded parameters exactly as sent. The WebSocket API signs its parameters sorted by name, not encoded.
* Fills are told per symbol only, oldest first from ``fromId``; ids rise per symbol. So the cursor is the last id.
* The listen key of the futures stream lives 60 min and is renewed every 30; only the key header is needed for it.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from feeds.account import AccountSpec, FillPage, KeyRights, PrivateRoute, PrivateSession
from feeds.account_domain import Balance, Fill, Order, Position, Transfer
from feeds.account_reading import Ms, Wire
from feeds.accounts.binance import capital, spot_rest, usdm_rest
from feeds.accounts.binance.income import PATH as INCOME_PATH
from feeds.accounts.binance.income import Income
from feeds.accounts.binance.spot_stream import SpotSession
from feeds.accounts.binance.trading import BinanceTrading
from feeds.accounts.binance.usdm_stream import UsdmSession
from feeds.accounts.binance.wire import decode
from feeds.domain import Rejected
from feeds.errors import CredentialsError, ExchangeError
from feeds.exchange import Facts, MarketIndex, Request
from feeds.rest import encode

RECV_WINDOW_MS = 5000
LISTEN_KEY_RENEW_S = 30 * 60.0
PAGE = 1000  # fills per request, the most there is

TIMESTAMP_ERROR = -1021
CREDENTIALS_ERRORS = frozenset({-1022, -2014, -2015})  # bad signature, key format, key or address or permissions

TIME_PATHS = {"spot": "/api/v3/time", "usdm": "/fapi/v1/time"}
LISTEN_KEY_PATH = "/fapi/v1/listenKey"

QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "BTC", "ETH", "BNB", "EUR", "TRY", "USD")
"""Quotes that an asset is likely to have been bought with."""

_SPOT_FACTS = Facts(
    streams_per_connection=1,
    messages_per_s=5,
    connects_per_minute=60,
    heartbeat_s=None,
    ping_s=None,
    max_life_s=24 * 3600,
    snapshot_by_rest=False,
    truncates=False,
    markets_by_stream=False,
    probe_by_rest=False,
)
_USDM_FACTS = msgspec.structs.replace(_SPOT_FACTS, messages_per_s=10)


class _Time(Wire, frozen=True, rename="camel"):
    server_time: Ms


class _Rights(Wire, frozen=True, rename="camel"):
    enable_reading: bool | None = None
    enable_withdrawals: bool | None = None
    enable_spot_and_margin_trading: bool | None = None
    enable_futures: bool | None = None


class _ListenKey(Wire, frozen=True, rename="camel"):
    listen_key: str


class BinanceAccount(BinanceTrading):
    """One Binance account; fits :class:`feeds.account.AccountApi`."""

    def __init__(self, spec: AccountSpec, markets: MarketIndex, endpoints: Mapping[str, str]) -> None:
        self._spec = spec
        self._markets = markets
        self._endpoints = endpoints
        self._settings: usdm_rest.Settings = {}
        self._spot = "spot" in spec.products
        self._usdm = "usdm" in spec.products
        self._income = Income(markets, spot_too=self._spot)

    def ready(self) -> bool:
        return {market.product for market in self._markets} >= set(self._spec.products)

    # Signing

    def sign(self, request: Request, now_ms: int) -> Request:
        headers = (*request.headers, ("X-MBX-APIKEY", self._spec.credentials.key))
        if request.path == LISTEN_KEY_PATH:
            return msgspec.structs.replace(request, headers=headers)
        params = (*request.params, ("recvWindow", str(RECV_WINDOW_MS)), ("timestamp", str(now_ms)))
        signature = ("signature", self.signature(encode(params)))
        return msgspec.structs.replace(request, headers=headers, params=(*params, signature))

    def sign_message(self, params: Mapping[str, Any]) -> str:
        """The signature of a WebSocket API request's parameters."""
        return self.signature("&".join(f"{name}={params[name]}" for name in sorted(params)))

    def signature(self, payload: str) -> str:
        """Hex HMAC-SHA256 of the query, directly followed by the form body, as they are sent."""
        return hmac.new(self._spec.credentials.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()

    # Clock, key, refusals

    def clocks(self) -> tuple[str, ...]:
        return tuple({**dict.fromkeys(self._spec.products), "spot": None})  # what the key may do, only spot tells

    def time_request(self, product: str) -> Request:
        return Request(path=TIME_PATHS[product], product=product)

    def parse_time(self, product: str, raw: bytes) -> int:
        told_ms = decode(raw, _Time).server_time
        if product == "usdm":
            self._income.now_ms = told_ms
        return told_ms

    def rights_request(self) -> Request:
        return Request(path="/sapi/v1/account/apiRestrictions", product="spot")

    def parse_rights(self, raw: bytes) -> KeyRights:
        rights = decode(raw, _Rights)
        trade = (rights.enable_spot_and_margin_trading, rights.enable_futures)
        return KeyRights(
            read=rights.enable_reading,
            trade=None if trade == (None, None) else any(trade),
            withdraw=rights.enable_withdrawals,
            withdraw_name="enableWithdrawals",
        )

    def clock_error(self, error: ExchangeError) -> bool:
        return error.code == TIMESTAMP_ERROR

    def refusal(self, rejected: Rejected) -> ExchangeError:
        detail = f"{rejected.reason} ({rejected.code})"
        if rejected.code in CREDENTIALS_ERRORS:
            return CredentialsError(detail, rejected.code)
        return ExchangeError(detail, rejected.code)

    # Private streams

    def routes(self) -> list[PrivateRoute]:
        routes = []
        if self._spot:
            routes.append(PrivateRoute(name="spot", product="spot", facts=_SPOT_FACTS))
        if self._usdm:
            token = Request(path=LISTEN_KEY_PATH, method="POST", product="usdm")
            routes.append(
                PrivateRoute(
                    name="usdm",
                    product="usdm",
                    facts=_USDM_FACTS,
                    token_request=token,
                    renew_request=msgspec.structs.replace(token, method="PUT"),
                    renew_s=LISTEN_KEY_RENEW_S,
                )
            )
        return routes

    def parse_token(self, route: PrivateRoute, raw: bytes) -> str:
        return decode(raw, _ListenKey).listen_key

    def url(self, route: PrivateRoute, token: str | None) -> str:
        if route.product == "spot":
            return self._endpoints["spot.ws_api"]
        if token is None:
            raise ValueError("the futures stream needs a listen key")
        return f"{self._endpoints['usdm.ws']}/private/ws?{encode([('listenKey', token)])}"

    def session(self, route: PrivateRoute, token: str | None) -> PrivateSession:
        if route.product == "spot":
            return SpotSession(self._spec.credentials, self._markets, self.sign_message, RECV_WINDOW_MS)
        return UsdmSession(self._markets, self._settings)

    # Balances, positions, orders

    def settings_requests(self) -> list[Request]:
        return [Request(path="/fapi/v1/symbolConfig", product="usdm", weight=5)] if self._usdm else []

    def take_settings(self, request: Request, raw: bytes) -> None:
        self._settings.update(usdm_rest.parse_settings(raw))

    def balances_requests(self) -> list[Request]:
        requests = []
        if self._spot:
            only_some = (("omitZeroBalances", "true"),)
            requests.append(Request(path="/api/v3/account", params=only_some, product="spot", weight=20))
        if self._usdm:
            requests.append(Request(path="/fapi/v3/balance", product="usdm", weight=5))
        return requests

    def parse_balances(self, request: Request, raw: bytes, asof_ms: int) -> list[Balance]:
        parse = spot_rest.parse_balances if request.product == "spot" else usdm_rest.parse_balances
        return parse(raw, asof_ms)

    def positions_requests(self) -> list[Request]:
        return [Request(path="/fapi/v3/positionRisk", product="usdm", weight=5)] if self._usdm else []

    def parse_positions(self, request: Request, raw: bytes, asof_ms: int) -> list[Position]:
        positions = usdm_rest.parse_positions(raw, asof_ms, self._markets, self._settings)
        if positions:  # all of an account are kept alike
            self.hedged = positions[0].side != "both"
        return positions

    def orders_requests(self) -> list[Request]:
        requests = []
        if self._spot:
            requests.append(Request(path="/api/v3/openOrders", product="spot", weight=80))
        if self._usdm:
            requests.append(Request(path="/fapi/v1/openOrders", product="usdm", weight=40))
            requests.append(Request(path="/fapi/v1/openAlgoOrders", product="usdm", weight=40))
        return requests

    def parse_orders(self, request: Request, raw: bytes) -> list[Order]:
        if request.path == "/fapi/v1/openAlgoOrders":
            return usdm_rest.parse_algo_orders(raw, self._markets)
        parse = spot_rest.parse_orders if request.product == "spot" else usdm_rest.parse_orders
        return parse(raw, self._markets)

    # Fills

    def candidates(self, balances: Sequence[Balance]) -> set[str]:
        pairs = {f"{b.asset}/{quote}" for b in balances if b.product == "spot" for quote in QUOTES}
        return {pair for pair in pairs | self._income.traded if pair in self._markets}

    def product_of(self, symbol: str) -> str | None:
        market = self._markets.get(symbol)
        return market.product if market is not None else None

    def symbol_of(self, product: str, native: str) -> str | None:
        market = self._markets.native(product, native)
        return market.symbol if market is not None else None

    def fill_lists(self) -> tuple[str, ...]:
        return ()

    def fill_list(self, symbol: str) -> str:
        return symbol

    def fills_request(self, name: str, cursor: str | None) -> Request:
        market = self._markets.get(name)
        if market is None:
            raise ExchangeError(f"Binance lists no market {name}")
        first = 0 if cursor is None else int(cursor) + 1
        params = (("symbol", market.native), ("fromId", str(first)), ("limit", str(PAGE)))
        if market.product == "spot":
            return Request(path="/api/v3/myTrades", params=params, product="spot", weight=20)
        return Request(path="/fapi/v1/userTrades", params=params, product="usdm", weight=5)

    def parse_fills(self, name: str, cursor: str | None, raw: bytes, settled_ms: int) -> FillPage:
        parse = spot_rest.parse_fills if self.product_of(name) == "spot" else usdm_rest.parse_fills
        fills = sorted(parse(raw, name), key=lambda fill: int(fill.id))
        return FillPage(fills=fills, next=self.cursor_of(fills[-1]) if len(fills) >= PAGE else None)

    def cursor_of(self, fill: Fill) -> str:
        return fill.id

    # Money that comes and goes beside fills

    def transfers_requests(self, since_ms: int) -> list[Request]:
        requests = capital.requests(since_ms) if self._spot else []
        return requests + (self._income.requests(since_ms) if self._usdm else [])

    def parse_transfers(self, request: Request, raw: bytes) -> list[Transfer]:
        return self._income.parse(request, raw) if request.path == INCOME_PATH else capital.parse(request, raw)

    def next_page(self, request: Request, raw: bytes) -> Request | None:
        """See :class:`feeds.exchange.Paged`."""
        return self._income.next_page(request, raw) if request.path == INCOME_PATH else None
