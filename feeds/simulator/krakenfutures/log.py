"""The simulated Kraken Futures' account log: below ``/api/history/v3``, with tokens of its own.

Sources: docs.kraken.com: api-reference/account-history/get-account-log, guides/futures/ratelimits.

Funding is paid at the full hour alone here; when a position changes, nothing of it is due.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from aiohttp import web

from feeds.simulator.accounts import Account, Accounts
from feeds.simulator.faults import Faults
from feeds.simulator.krakenfutures.answers import KrakenFuturesRestError, answer, broken
from feeds.simulator.krakenfutures.auth import Gatekeeper
from feeds.simulator.krakenfutures.frames import stamp
from feeds.simulator.krakenfutures.private import asset_name, number
from feeds.simulator.krakenfutures.terms import fill_id
from feeds.simulator.orders import Movement, OwnFill

PATH = "/api/history/v3/account-log"
TOKENS, BACK_S = 100.0, 600.0
USUAL = 500
_COSTS = ((25, 1), (50, 2), (1_000, 3), (5_000, 6), (100_000, 10))
_FUNDING, _MOVED = "funding rate change", "cross-exchange transfer"
"""Whatever is no funding came from the spot wallet, or went there."""


def cost(count: int) -> int:
    """Raises KrakenFuturesRestError for more than can be asked for."""
    if not 0 < count <= _COSTS[-1][0]:
        raise KrakenFuturesRestError("invalidArgument: count")
    return next(tokens for most, tokens in _COSTS if count <= most)


class LogRest:
    def __init__(
        self,
        accounts: Accounts,
        gatekeeper: Gatekeeper,
        faults: Faults,
        clock: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self._accounts = accounts
        self._gatekeeper = gatekeeper
        self._faults = faults
        self._clock = clock
        self._clock_ms = clock_ms
        self._tokens: dict[str, tuple[float, float]] = {}  # key: what was left when

    def routes(self, prefix: str) -> list[web.RouteDef]:
        return [web.get(f"{prefix}{PATH}", self._log)]

    async def _log(self, request: web.Request) -> web.Response:
        now = {"serverTime": stamp(self._clock_ms())}
        if (fault := self._faults.strike("krakenfutures", "status", "futures")) is not None:
            return broken(fault, now)
        data = request.raw_path.partition("?")[2]
        try:
            key = self._gatekeeper.knows_signed(PATH, request.headers, data)
            given = parse_qsl(data)
            params = dict(given)
            count = _whole(params, "count", USUAL)
            self._charge(key.key, cost(count))
            account = self._accounts.by_name[key.account]
            kept = _within(list(entries(account)), params, {value for name, value in given if name == "info"})
        except KrakenFuturesRestError as error:
            return answer({"result": "error", "error": str(error), **now})
        if params.get("sort", "desc") == "asc":
            kept.reverse()
        return answer({"accountUid": str(UUID(int=1)), "logs": kept[:count]})

    def _charge(self, key: str, tokens: int) -> None:
        now_s = self._clock()
        left, at_s = self._tokens.get(key, (TOKENS, now_s))
        left = min(TOKENS, left + (now_s - at_s) * TOKENS / BACK_S)
        if left < tokens:
            self._tokens[key] = (left, now_s)
            raise KrakenFuturesRestError("apiLimitExceeded")
        self._tokens[key] = (left - tokens, now_s)


def _whole(params: dict[str, str], name: str, usual: int) -> int:
    text = params.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise KrakenFuturesRestError(f"invalidArgument: {name}")
    return int(text)


def _within(rows: list[dict[str, Any]], params: dict[str, str], infos: set[str]) -> list[dict[str, Any]]:
    first, last = _whole(params, "from", 1), _whole(params, "to", 10**14)
    since, before = stamp(_whole(params, "since", 0)), stamp(_whole(params, "before", 10**13))
    return [
        row
        for row in rows
        if first <= row["id"] <= last and since <= row["date"] < before and (not infos or row["info"] in infos)
    ]


def entries(account: Account) -> Iterator[dict[str, Any]]:
    """Newest first; balances and positions are reckoned back from those of now."""
    cash, wallet = account.futures.cash, account.futures
    balance = {asset: cash.total(asset) for asset in cash.assets()}
    held = {position.market: position.amount for position in wallet.open_positions()}
    happened: list[Movement | OwnFill] = [*account.movements, *account.fills]
    for each in sorted(happened, key=_number, reverse=True):
        if isinstance(each, Movement):
            changed, rest = each.amount, _of_movement(each)
        else:
            market = each.order.market
            size, signed = held.get(market, Decimal(0)), each.size if each.order.buy else -each.size
            yield _entry(each, 1, market.instrument.native.lower(), size, signed, _of_fill(each))
            held[market] = size - signed
            realised = each.realised or Decimal(0)
            changed, rest = realised - each.fee, _of_fill(each, realised=number(realised), fee=number(each.fee))
        asset = each.asset if isinstance(each, Movement) else each.fee_asset
        yield _entry(each, 0, asset_name(asset).lower(), balance[asset], changed, rest)
        balance[asset] -= changed


def _number(each: Movement | OwnFill) -> int:
    return each.id if isinstance(each, Movement) else each.number


def _entry(
    each: Movement | OwnFill, part: int, asset: str, new: Decimal, changed: Decimal, rest: dict[str, Any]
) -> dict[str, Any]:
    """``part`` 1: of the position."""
    identity = 2 * _number(each) + part
    nothing = ("collateral", "conversion_spread_percentage", "liquidation_fee", "position_uid", "funding_rate")
    averages = ("old_average_entry_price", "new_average_entry_price")
    return {
        "asset": asset,
        "booking_uid": str(UUID(int=(1 << 102) + identity)),
        "date": stamp(each.ms),
        "id": identity,
        "margin_account": "flex",
        "new_balance": number(new),
        "old_balance": number(new - changed),
        **dict.fromkeys((*nothing, *averages)),
        **rest,
    }


def _of_movement(each: Movement) -> dict[str, Any]:
    funding = each.market is not None
    return {
        "contract": each.market.instrument.native.lower() if each.market is not None else None,
        "execution": None,
        "fee": 0 if funding else None,
        "info": each.name or (_FUNDING if funding else _MOVED),
        "mark_price": None,
        "realized_funding": number(each.amount) if funding else None,
        "realized_pnl": None,
        "trade_price": None,
    }


def _of_fill(each: OwnFill, realised: Any = 0, fee: Any = 0) -> dict[str, Any]:
    return {
        "contract": each.order.market.instrument.native.lower(),
        "execution": fill_id(each),
        "fee": fee,
        "info": "futures trade",
        "mark_price": number(each.price),
        "realized_funding": None,
        "realized_pnl": realised,
        "trade_price": number(each.price),
    }
