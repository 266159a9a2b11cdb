"""Who asks OKX's private side: keys, passphrases, signatures, times. Pure."""

import base64
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from feeds.simulator.keys import ApiKey

VALID_MS = 30_000


class Unauthorised(Exception):
    """``code`` and text are OKX's."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Gatekeeper:
    def __init__(self, keys: dict[str, ApiKey], clock_ms: Callable[[], int]) -> None:
        self._keys = keys
        self._clock_ms = clock_ms

    def rest(self, headers: Any, method: str, path: str, body: bytes) -> ApiKey:
        """The key of a request; ``path`` with query, as it was sent. Raises Unauthorised."""
        given = {}
        for code, name in (("50103", "KEY"), ("50106", "SIGN"), ("50107", "TIMESTAMP"), ("50104", "PASSPHRASE")):
            given[name] = headers.get(f"OK-ACCESS-{name}", "")
            if not given[name]:
                raise Unauthorised(code, f'Request header "OK-ACCESS-{name}" can\'t be empty.')
        stamp = given["TIMESTAMP"]
        try:
            sent = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        except ValueError:
            raise Unauthorised("50112", "Invalid OK-ACCESS-TIMESTAMP.") from None
        if abs(self._clock_ms() - sent.timestamp() * 1000) > VALID_MS:
            raise Unauthorised("50102", "Timestamp request expired.")
        if (key := self._keys.get(given["KEY"])) is None:
            raise Unauthorised("50111", "Invalid OK-ACCESS-KEY.")
        if given["PASSPHRASE"] != key.passphrase:
            raise Unauthorised("50105", "Request header OK-ACCESS-PASSPHRASE incorrect.")
        if not _signed(key, f"{stamp}{method}{path}".encode() + body, given["SIGN"]):
            raise Unauthorised("50113", "Invalid Sign")
        return key

    def web_socket(self, login: dict[str, Any]) -> ApiKey:
        """The key of a login. Raises Unauthorised."""
        stamp = str(login.get("timestamp", ""))
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) == 10):
            raise Unauthorised("60004", "Invalid timestamp")
        if abs(self._clock_ms() - int(stamp) * 1000) > VALID_MS + 1000:
            raise Unauthorised("60006", "Timestamp request expired")
        if (key := self._keys.get(str(login.get("apiKey", "")))) is None:
            raise Unauthorised("60005", "Invalid apiKey")
        if login.get("passphrase") != key.passphrase:
            raise Unauthorised("60024", "Wrong passphrase")
        if not _signed(key, f"{stamp}GET/users/self/verify".encode(), str(login.get("sign", ""))):
            raise Unauthorised("60007", "Invalid sign")
        return key


def _signed(key: ApiKey, text: bytes, signature: str) -> bool:
    expected = base64.b64encode(hmac.new(key.secret.encode(), text, sha256).digest())
    return hmac.compare_digest(expected, signature.encode())
