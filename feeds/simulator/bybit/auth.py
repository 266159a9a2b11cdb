"""Who asks the simulated Bybit's private side: keys, times, signatures, rights, and how often each may ask. Pure.

REST signs time, key, window and the query or body exactly as sent; the private stream a moment in the future.
"""

import hmac
from collections import deque
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from aiohttp import web

from feeds.simulator.bybit.rest import INVALID
from feeds.simulator.bybit.terms import BybitError
from feeds.simulator.keys import ApiKey

LIMITS = {
    "order/create": {"spot": 20, "linear": 10},
    "order/cancel": {"spot": 20, "linear": 10},
    "order/cancel-all": {"spot": 20, "linear": 10},
    "account/transaction-log": {"": 25},
}
"""Requests a second for one account, by endpoint and category; 50 where nothing is said."""
USUAL_LIMIT = 50
AHEAD_MS = 1000


class Gatekeeper:
    """Checks requests against the known keys."""

    def __init__(self, keys: Mapping[str, ApiKey], clock: Callable[[], float], clock_ms: Callable[[], int]) -> None:
        self._keys = keys
        self._clock = clock
        self._clock_ms = clock_ms
        self._asked: dict[tuple[str, str, str], deque[float]] = {}

    def key(self, text: str) -> ApiKey:
        """Raises BybitError 10003."""
        key = self._keys.get(text)
        if key is None:
            raise BybitError(10003, "API key is invalid.")
        return key

    def verify(self, key: ApiKey, text: str, signature: str) -> None:
        """Raises BybitError 10004."""
        expected = hmac.new(key.secret.encode(), text.encode(), sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise BybitError(10004, f"error sign! origin_string[{text}]")

    def rest(self, request: web.Request, body: str) -> ApiKey:
        """Check a signed request. Raises BybitError."""
        told = {name: request.headers.get(f"X-BAPI-{name}", "") for name in ("API-KEY", "TIMESTAMP", "SIGN")}
        window = request.headers.get("X-BAPI-RECV-WINDOW", "5000")
        key = self.key(told["API-KEY"])
        sent_ms, now_ms = whole(told["TIMESTAMP"], "timestamp"), self._clock_ms()
        if not now_ms - whole(window, "recv_window") <= sent_ms < now_ms + AHEAD_MS:
            raise BybitError(
                10002,
                "invalid request, please check your server timestamp or recv_window param. "
                f"req_timestamp[{sent_ms}],server_timestamp[{now_ms}],recv_window[{window}]",
            )
        payload = body if request.method == "POST" else request.raw_path.partition("?")[2]
        self.verify(key, f"{told['TIMESTAMP']}{key.key}{window}{payload}", told["SIGN"])
        return key

    def count(self, key: ApiKey, path: str, category: str) -> dict[str, str]:
        """The headers that tell what is left. Raises BybitError 10006."""
        by_category = LIMITS.get(path, {})
        limit = by_category.get(category, by_category.get("", USUAL_LIMIT))
        now_s, now_ms = self._clock(), self._clock_ms()
        asked = self._asked.setdefault((key.account, path, category if by_category else ""), deque())
        while asked and asked[0] <= now_s - 1:
            asked.popleft()
        left = limit - len(asked) - 1
        reset_ms = now_ms if left >= 0 else now_ms + round((asked[0] + 1 - now_s) * 1000)
        headers = {
            "X-Bapi-Limit": str(limit),
            "X-Bapi-Limit-Status": str(max(0, left)),
            "X-Bapi-Limit-Reset-Timestamp": str(reset_ms),
        }
        if left < 0:
            raise BybitError(10006, "Too many visits. Exceeded the API Rate Limit.", headers)
        asked.append(now_s)
        return headers


def rights(key: ApiKey) -> dict[str, Any]:
    """What it may do, as ``query-api`` tells it."""
    return {
        "id": "13770661",
        "note": "simulated",
        "apiKey": key.key,
        "readOnly": 0 if key.trade else 1,
        "secret": "",
        "permissions": {
            "ContractTrade": ["Order", "Position"],
            "Spot": ["SpotTrade"],
            "Wallet": ["AccountTransfer", *(["Withdraw"] if key.withdraw else [])],
            "Options": [],
            "Derivatives": [],
            "Exchange": [],
            "Earn": [],
        },
        "ips": ["*"],
        "type": 1,
        "deadlineDay": 66,
        "expiredAt": "2030-12-22T07:20:25Z",
        "createdAt": "2022-10-16T02:24:40Z",
        "unified": 0,
        "uta": 1,
        "userID": 24617703,
        "isMaster": True,
        "parentUid": "0",
    }


def whole(text: Any, name: str) -> int:
    told = str(text)
    if not (told.isascii() and told.isdigit() and len(told) < 20):
        raise BybitError(INVALID, f"params error: {name} invalid")
    return int(told)
