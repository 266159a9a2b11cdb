"""Answers and frames of Alpaca's account side, as its documentation prints them (docs.alpaca.markets)."""

from typing import Any

import msgspec

from feeds.account import AccountSpec, Credentials
from feeds.accounts.alpaca import AlpacaAccount
from feeds.domain import Market
from feeds.exchange import MarketIndex, Request
from feeds.exchanges.alpaca import Alpaca

KEY, SECRET = "PKEXAMPLE0000000001", "examplesecretexamplesecret"

ACCOUNT = b"""{"id": "e6fe16f3-64a4-4921-8928-cadf02f92f98", "account_number": "010203ABCD", "status": "ACTIVE",
 "crypto_status": "ACTIVE", "currency": "USD", "cash": "4123.20", "buying_power": "8246.40",
 "non_marginable_buying_power": "4123.20", "portfolio_value": "103820.56", "equity": "103820.56",
 "last_equity": "103529.24", "long_market_value": "99697.36", "short_market_value": "0", "initial_margin": "63480.38",
 "maintenance_margin": "38088.228", "last_maintenance_margin": "38000.832", "sma": "0", "multiplier": "2",
 "daytrade_count": 0, "daytrading_buying_power": "0", "regt_buying_power": "8246.40", "accrued_fees": "0",
 "pending_transfer_in": "0", "pending_transfer_out": "0", "pattern_day_trader": false,
 "trade_suspended_by_user": false, "trading_blocked": false, "transfers_blocked": false, "account_blocked": false,
 "shorting_enabled": true, "created_at": "2019-06-12T22:47:07.99658Z"}"""

HOLDING = b"""{"asset_id": "904837e3-3b76-47ec-b432-046db621571b", "symbol": "BTCUSD", "exchange": "CRYPTO",
 "asset_class": "crypto", "qty": "2.61937", "qty_available": "2.61937", "side": "long",
 "avg_entry_price": "19660.5738784516887649", "market_value": "50931.03028", "cost_basis": "51498.3174",
 "unrealized_pl": "-567.28712", "unrealized_plpc": "-0.0110156437848977", "unrealized_intraday_pl": "-514.79",
 "unrealized_intraday_plpc": "-0.0100", "current_price": "19444", "lastday_price": "19358",
 "change_today": "0.0044426077074078"}"""

ORDER = b"""{"id": "61e69015-8549-4bfd-b9c3-01e75843f47d", "client_order_id": "eb9e2aaa-f71a-4f51-b5b4-52a6c565dad4",
 "symbol": "BTC/USD", "asset_class": "crypto", "asset_id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415", "side": "buy",
 "type": "limit", "order_type": "limit", "order_class": "", "time_in_force": "gtc", "qty": "0.01", "notional": null,
 "limit_price": "20000", "stop_price": null, "filled_qty": "0", "filled_avg_price": null, "status": "new",
 "extended_hours": false, "legs": null, "trail_percent": null, "trail_price": null, "hwm": null,
 "created_at": "2021-03-16T18:38:01.942282Z", "updated_at": "2021-03-16T18:38:01.942282Z",
 "submitted_at": "2021-03-16T18:38:01.937734Z", "filled_at": null, "expired_at": null, "canceled_at": null,
 "failed_at": null, "replaced_at": null, "replaced_by": null, "replaces": null}"""

FILL = b"""{"activity_type": "FILL", "id": "20190524113406977::8efc7b9a-8b2b-4000-9955-d36e7db0df74",
 "order_id": "904837e3-3b76-47ec-b432-046db621571b", "symbol": "BTC/USD", "side": "buy", "type": "fill",
 "price": "27540.1", "qty": "0.01", "cum_qty": "0.01", "leaves_qty": "0",
 "transaction_time": "2019-05-24T15:34:06.977Z"}"""

UPDATE = b"""{"stream": "trade_updates", "data": {"event": "fill",
 "execution_id": "2f63ea93-423d-4169-b3f6-3fdafc10c418", "price": "105.8988475", "qty": "1790.86",
 "position_qty": "0", "timestamp": "2022-04-19T17:45:05.024916716Z", "order": {
 "id": "a5be8f5e-fdfa-41f5-a644-7a74fe947a8f", "client_order_id": "4642fd68-d59a-47d7-a9ac-e22f536828d1",
 "asset_class": "crypto", "symbol": "SOLUSD", "side": "sell", "type": "market", "order_type": "market",
 "qty": "1790.86", "notional": null, "filled_qty": "1790.86", "filled_avg_price": "105.8988475", "limit_price": null,
 "stop_price": null, "time_in_force": "gtc", "status": "filled",
 "created_at": "2022-04-19T13:45:04.981350886-04:00", "filled_at": "2022-04-19T17:45:05.024916716Z",
 "updated_at": "2022-04-19T13:45:05.027690731-04:00"}}}"""

MONEY = b"""{"activity_type": "CSD", "id": "20190801011955195::5f596936-6f23-4cef-bdf1-3806aae57dbf",
 "date": "2019-08-01", "net_amount": "1500.00", "status": "executed"}"""

AUTHORIZED = b'{"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}'
UNAUTHORIZED = b'{"stream": "authorization", "data": {"status": "unauthorized", "action": "authenticate"}}'
LISTENING = b'{"stream": "listening", "data": {"streams": ["trade_updates"]}}'


def markets() -> MarketIndex:
    """BTC/USD and SOL/USD, and the shares of AAPL and of LTC (a company)."""
    pair = {"class": "crypto", "price_increment": "1", "min_trade_increment": "0.0001", "min_order_size": "0.0001"}
    listed = [pair | {"symbol": symbol} for symbol in ("BTC/USD", "SOL/USD", "LTC/USD")]
    listed += [{"class": "us_equity", "symbol": symbol} for symbol in ("AAPL", "LTC")]
    found: list[Market] = Alpaca().parse_markets(Request(path="/v2/assets"), msgspec.json.encode(listed))
    return MarketIndex(found)


def account(products: tuple[str, ...] = ("crypto", "stocks"), index: MarketIndex | None = None) -> AlpacaAccount:
    spec = AccountSpec(
        id=1, exchange="alpaca", label="Main", credentials=Credentials(KEY, SECRET), products=products, poll_s=5.0
    )
    return AlpacaAccount(spec, markets() if index is None else index, Alpaca().endpoints)


def changed(raw: bytes, **fields: Any) -> bytes:
    """The example with other values."""
    return msgspec.json.encode(msgspec.json.decode(raw) | fields)


def listed(*rows: bytes) -> bytes:
    return b"[" + b",".join(rows) + b"]"
