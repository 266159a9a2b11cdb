"""ccxt pointed at the simulated exchanges: it was written by others, for the real ones.

Nothing of ccxt is changed but what it lets its users set: addresses, options, and what it is told not to ask for,
since it is not simulated (currencies, margin). What it needs to be told, and why:

* It tells Binance spot from futures by the host's name (``//stream.`` in the URL), which loopback does not have; the
  classes below decide by the path instead.
* For Binance's futures trades it would take the stream ``trade`` on ``/public``, which Binance does not document; the
  simulator is silent there, as some report of the real one, so the documented ``aggTrade`` is chosen by ccxt's option.
* It calls Coinbase's wallets ``ACCOUNT_TYPE_CRYPTO``, the documented answers ``CRYPTO``; its own option again.
* It has no LMEX. Its BTSE, whose engine LMEX runs on, speaks a newer API; its signature and its reading of answers are
  those of the older calls too, so these are asked by name (see ``bench.ccxt_accounts``).
"""

from collections.abc import Mapping
from typing import Any

import ccxt.pro

from feeds.simulator.keys import ApiKey

Settings = dict[str, Any]


class Binance(ccxt.pro.binance):
    """Spot, or spot and futures."""

    def is_spot_url(self, client: Any) -> bool:
        return "/usdm/" not in client.url


class BinanceUsdm(ccxt.pro.binanceusdm):
    def is_spot_url(self, client: Any) -> bool:
        return False


def pointed(name: str, at: Mapping[str, str]) -> Settings:
    """What an object of ccxt is set to, to reach a simulated exchange and to ask for nothing that this does not have.

    ``name`` is ccxt's of the exchange, ``at`` are the simulated exchange's endpoints. Raises KeyError for one that is
    not known here.
    """
    urls, options = _PLACES[name](at)
    return {"urls": {"api": urls}, "options": options, "has": {"fetchCurrencies": False}}


def client(kind: Any, at: Mapping[str, str], key: ApiKey | None = None, **options: Any) -> Any:
    """A client of this kind (``ccxt.kraken``, ``ccxt.pro.kraken``, :class:`Binance`), at no pace of its own.

    ``key`` opens an account; ``options`` are ccxt's and win over ours.
    """
    settings = pointed(kind.__name__.lower(), at)
    keys = {} if key is None else {"apiKey": key.key, "secret": key.secret, "password": key.passphrase}
    made = kind({**settings, **keys, "enableRateLimit": False, "newUpdates": True})
    made.options.update(options)
    return made


def _alpaca(at: Mapping[str, str]) -> tuple[Settings, Settings]:
    return {"trader": at["crypto.trading"], "market": at["crypto.rest"], "ws": {"crypto": at["crypto.ws"]}}, {}


def _binance(at: Mapping[str, str], types: tuple[str, ...]) -> tuple[Settings, Settings]:
    rest = f"{at['spot.rest']}/api/v3"
    urls: Settings = {"public": rest, "private": rest}
    for version in ("", "V2", "V3"):
        for side in ("Public", "Private"):
            urls[f"fapi{side}{version}"] = f"{at['usdm.rest']}/fapi/v{version[1:] or 1}"
    sockets = {"spot": f"{at['spot.ws']}/ws", "linear": f"{at['usdm.ws']}/ws", "ws-api": {"spot": at["spot.ws_api"]}}
    options = {"fetchCurrencies": False, "fetchMargins": False, "fetchMarkets": {"types": list(types)}}
    options |= {"watchTrades": {"name": "aggTrade"}, "warnOnFetchOpenOrdersWithoutSymbol": False}
    return {**urls, "ws": sockets}, options


def _bitstamp(at: Mapping[str, str]) -> tuple[Settings, Settings]:
    return {"public": f"{at['spot.rest']}/api", "ws": at["spot.ws"]}, {}


def _btse(at: Mapping[str, str]) -> tuple[Settings, Settings]:
    return {"public": at["spot.rest"], "private": at["spot.rest"]}, {}


def _bybit(at: Mapping[str, str]) -> tuple[Settings, Settings]:
    public = {product: f"{at[f'{product}.ws']}/v5/public/{product}" for product in ("spot", "linear")}
    private = dict.fromkeys(("unified", "contract"), f"{at['unified.ws']}/v5/private")
    urls = {"public": at["unified.rest"], "private": at["unified.rest"], "ws": {"public": public, "private": private}}
    return urls, {"fetchCurrencies": False, "fetchMarkets": {"types": ["spot", "linear"]}}


def _coinbase(at: Mapping[str, str]) -> tuple[Settings, Settings]:
    return {"rest": at["private.rest"], "ws": at["spot.ws"]}, {"v3Accounts": ["CRYPTO", "FIAT"]}


def _kraken(at: Mapping[str, str]) -> tuple[Settings, Settings]:
    urls = {"public": at["spot.rest"], "private": at["account.rest"], "ws": {"publicV2": at["spot.ws"]}}
    return urls, {"fetchCurrencies": False}


def _krakenfutures(at: Mapping[str, str]) -> tuple[Settings, Settings]:
    calls = f"{at['futures.rest']}/derivatives/api/"
    others = {name: f"{at['futures.rest']}/api/{name}/" for name in ("charts", "history")}
    return {"public": calls, "private": calls, **others, "ws": at["futures.ws"]}, {"fetchCurrencies": False}


def _okx(at: Mapping[str, str]) -> tuple[Settings, Settings]:
    urls = {"rest": at["private.rest"], "ws": f"{at['spot.ws']}/ws/v5"}
    return urls, {"fetchCurrencies": False, "fetchMarkets": {"types": ["spot", "swap"]}}


_PLACES = {
    "alpaca": _alpaca,
    "binance": lambda at: _binance(at, ("spot",)),
    "binanceusdm": lambda at: _binance(at, ("linear",)),
    "bitstamp": _bitstamp,
    "btse": _btse,
    "bybit": _bybit,
    "coinbase": _coinbase,
    "kraken": _kraken,
    "krakenfutures": _krakenfutures,
    "okx": _okx,
}
