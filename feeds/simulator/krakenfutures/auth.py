"""Who asks Kraken Futures' private endpoints: keys, signatures, challenges, the budget. Pure.

Source: docs.kraken.com/api/docs/guides (futures-rest, futures-websockets, futures-ratelimits).
"""

import base64
import hmac
from collections.abc import Callable, Mapping
from hashlib import sha256, sha512

from feeds.simulator.keys import ApiKey
from feeds.simulator.krakenfutures.answers import KrakenFuturesRestError

POINTS, WINDOW_S = 500, 10.0
TRADING = frozenset({"sendorder", "cancelorder", "cancelallorders", "cancelallordersafter"})
_COSTS = {"sendorder": 10, "cancelorder": 10, "cancelallorders": 25, "cancelallordersafter": 25}


def signed(secret: str, message: str) -> str:
    digest = sha256(message.encode()).digest()
    return base64.b64encode(hmac.new(base64.b64decode(secret), digest, sha512).digest()).decode()


class Gatekeeper:
    """``points`` may be used in ten seconds by each key."""

    def __init__(self, keys: Mapping[str, ApiKey], points: int, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._points = points
        self._clock = clock
        self._nonces: dict[str, int] = {}
        self._used: dict[str, tuple[int, int]] = {}  # key: (window, points)

    def admit(self, name: str, path: str, headers: Mapping[str, str], data: str) -> ApiKey:
        """The key of a good request. ``data``: the query or the form as sent. Raises KrakenFuturesRestError."""
        key = self.knows_signed(path, headers, data)
        nonce = headers.get("Nonce", "")
        if nonce:
            if not (nonce.isascii() and nonce.isdigit()) or int(nonce) <= self._nonces.get(key.key, 0):
                raise KrakenFuturesRestError("nonceBelowThreshold")
            self._nonces[key.key] = int(nonce)
        self._charge(key, _COSTS.get(name, 25 if "lastFillTime" in data else 2))
        if name in TRADING and not key.trade:
            raise KrakenFuturesRestError("insufficientPrivileges")
        return key

    def knows_signed(self, path: str, headers: Mapping[str, str], data: str) -> ApiKey:
        """Whose signature it is. Raises KrakenFuturesRestError."""
        key = self._keys.get(headers.get("APIKey", ""))
        message = f"{data}{headers.get('Nonce', '')}{path}"
        given = headers.get("Authent", "").encode()
        if key is None or not hmac.compare_digest(signed(key.secret, message).encode(), given):
            raise KrakenFuturesRestError("authenticationError")
        return key

    def _charge(self, key: ApiKey, cost: int) -> None:
        window = int(self._clock() // WINDOW_S)
        before, used = self._used.get(key.key, (window, 0))
        used = cost + (used if before == window else 0)
        self._used[key.key] = (window, used)
        if used > self._points:
            raise KrakenFuturesRestError("apiLimitExceeded")

    def of_challenge(self, message: Mapping[str, object], challenge: str) -> ApiKey | None:
        """Whose signature of this challenge a subscription carries; None if it is nobody's."""
        key = self._keys.get(str(message.get("api_key", "")))
        if key is None or not challenge or message.get("original_challenge") != challenge:
            return None
        expected, given = signed(key.secret, challenge).encode(), str(message.get("signed_challenge", "")).encode()
        return key if hmac.compare_digest(expected, given) else None

    def knows(self, text: object) -> bool:
        return isinstance(text, str) and text in self._keys
