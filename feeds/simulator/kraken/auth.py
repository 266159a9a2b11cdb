"""Who asks Kraken's private endpoints: keys, nonces, signatures, the counter of each key, tokens. Pure.

Sources: docs.kraken.com, guides spot-rest-auth and spot-ratelimits, GetWebSocketsToken.
"""

import base64
import hmac
from collections.abc import Callable, Mapping
from hashlib import sha256, sha512
from urllib.parse import parse_qsl

import msgspec

from feeds.simulator.keys import ApiKey
from feeds.simulator.kraken.rest import KrakenRestError
from feeds.simulator.kraken.terms import DECAY_PER_S

TOKEN_S = 900.0
_COSTS = {"TradesHistory": 2, "Ledgers": 2, "AddOrder": 0, "CancelOrder": 0}
TRADING = frozenset({"AddOrder", "CancelOrder", "CancelAll", "CancelAllOrdersAfter"})


class Gatekeeper:
    """Checks requests against the known keys. ``most``: what a key's counter may reach."""

    def __init__(
        self, keys: Mapping[str, ApiKey], most: float, clock: Callable[[], float], token_s: float = TOKEN_S
    ) -> None:
        self.most = most
        self._keys = keys
        self._clock = clock
        self._token_s = token_s
        self._nonces: dict[str, int] = {}
        self._counters: dict[str, tuple[float, float]] = {}  # key: what stood when
        self._tokens: dict[str, tuple[ApiKey, float]] = {}  # token: until when it can be used first
        self._given = 0

    def admit(self, method: str, path: str, headers: Mapping[str, str], body: str) -> tuple[ApiKey, dict[str, str]]:
        """The key and the parameters of a good request. Raises KrakenRestError."""
        key = self._keys.get(headers.get("API-Key", ""))
        if key is None:
            raise KrakenRestError("EAPI:Invalid key")
        params = self._params(headers, body)
        nonce = params.pop("nonce", "")
        if not (nonce.isascii() and nonce.isdigit() and len(nonce) < 20):
            raise KrakenRestError("EAPI:Invalid nonce")
        digest = sha256((nonce + body).encode()).digest()
        mac = hmac.new(base64.b64decode(key.secret), path.encode() + digest, sha512).digest()
        if not hmac.compare_digest(base64.b64encode(mac), headers.get("API-Sign", "").encode()):
            raise KrakenRestError("EAPI:Invalid signature")
        if int(nonce) <= self._nonces.get(key.key, 0):
            raise KrakenRestError("EAPI:Invalid nonce")
        self._nonces[key.key] = int(nonce)
        self._count(key, _COSTS.get(method, 1))
        if method in TRADING and not key.trade:
            raise KrakenRestError("EGeneral:Permission denied")
        return key, params

    @staticmethod
    def _params(headers: Mapping[str, str], body: str) -> dict[str, str]:
        if not headers.get("Content-Type", "").startswith("application/json"):
            return dict(parse_qsl(body, keep_blank_values=True))
        try:
            return {name: str(value) for name, value in msgspec.json.decode(body, type=dict[str, object]).items()}
        except msgspec.MsgspecError as error:
            raise KrakenRestError("EGeneral:Invalid arguments") from error

    def _count(self, key: ApiKey, cost: float) -> None:
        now_s = self._clock()
        count, then_s = self._counters.get(key.key, (0.0, now_s))
        count = max(0.0, count - (now_s - then_s) * DECAY_PER_S) + cost
        self._counters[key.key] = (count, now_s)
        if count > self.most:
            raise KrakenRestError("EAPI:Rate limit exceeded")

    # -- tokens --------------------------------------------------------------------------------------------------

    def token(self, key: ApiKey) -> str:
        self._given += 1
        text = base64.urlsafe_b64encode(sha256(f"{key.key} {self._given}".encode()).digest()).decode().rstrip("=")
        self._tokens[text] = (key, self._clock() + self._token_s)
        return text

    def key_of(self, token: object) -> ApiKey | None:
        """Whose token it is; None if it is none, or was used too late."""
        key, until_s = self._tokens.get(token, (None, 0.0)) if isinstance(token, str) else (None, 0.0)
        return key if self._clock() <= until_s else None

    def expire_tokens(self) -> None:
        """A fault: those that are not in use are good for nothing."""
        self._tokens.clear()
