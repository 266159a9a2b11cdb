"""Binance's deposit and withdrawal histories, by its documentation (Wallet, Capital).

Both tell at most 90 days at once and 1000 rows, the newest first, of the spot wallet's own moves.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from feeds.simulator.accounts import Account
from feeds.simulator.binance.rest import BinanceError, integer
from feeds.simulator.orders import Movement

if TYPE_CHECKING:
    from feeds.simulator.binance.private import SpotEndpoints

_DAY_MS = 86_400_000
_LONGEST_MS = 90 * _DAY_MS


def routes(endpoints: "SpotEndpoints", base: str) -> list[web.RouteDef]:
    def moves(account: Account, params: Mapping[str, str]) -> list[Movement]:
        desk = endpoints.desk(account)
        end_ms = integer(params, "endTime", desk.now_ms)
        start_ms = integer(params, "startTime", end_ms - _LONGEST_MS + 1)
        if end_ms - start_ms >= _LONGEST_MS:
            raise BinanceError(-1127, "More than 90 days between startTime and endTime.")
        return [
            move
            for move in reversed(account.movements)
            if move.kind in ("deposit", "withdrawal")
            and move.wallet == desk.wallet.cash.name
            and start_ms <= move.ms <= end_ms
            and params.get("coin", move.asset) == move.asset
        ]

    def page(rows: list[dict[str, Any]], params: Mapping[str, str]) -> list[dict[str, Any]]:
        first = integer(params, "offset", 0)
        return rows[first : first + min(1000, integer(params, "limit", 1000))]

    def deposits(account: Account, params: Mapping[str, str]) -> list[dict[str, Any]]:
        return page([_deposit(move) for move in moves(account, params) if move.amount > 0], params)

    def withdrawals(account: Account, params: Mapping[str, str]) -> list[dict[str, Any]]:
        return page([_withdrawal(move) for move in moves(account, params) if move.amount < 0], params)

    return [
        endpoints.route("GET", f"{base}/deposit/hisrec", 1, deposits),
        endpoints.route("GET", f"{base}/withdraw/history", 1, withdrawals),
    ]


def _deposit(move: Movement) -> dict[str, Any]:
    return {
        "id": str(769_800_519_366_885_376 + move.id),
        "amount": f"{move.amount:f}",
        "coin": move.asset,
        "network": move.asset,
        "status": 1,
        "address": "simulated",
        "addressTag": "",
        "txId": f"simulated-{move.id:064x}",
        "insertTime": move.ms,
        "completeTime": move.ms,
        "transferType": 0,
        "confirmTimes": "1/1",
        "unlockConfirm": 0,
        "walletType": 0,
    }


def _withdrawal(move: Movement) -> dict[str, Any]:
    at = datetime.fromtimestamp(move.ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return {
        "id": f"{move.id:032x}",
        "amount": f"{-move.amount:f}",
        "transactionFee": "0",
        "coin": move.asset,
        "status": 6,
        "address": "simulated",
        "txId": f"simulated-{move.id:064x}",
        "applyTime": at,
        "completeTime": at,
        "network": move.asset,
        "transferType": 0,
        "info": "",
        "confirmNo": 1,
        "walletType": 0,
        "txKey": "",
    }
