"""Who asks Binance's private endpoints: keys, signatures, timestamps. Pure.

REST signs the bytes as sent (query, then body); the WebSocket API signs the sorted parameters without encoding.
"""

import hmac
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from feeds.simulator.binance.rest import BinanceError
from feeds.simulator.keys import ApiKey

_LONGEST_WINDOW_MS = 60_000
_AHEAD_MS = 1000


class Gatekeeper:
    """Checks requests against the known keys."""

    def __init__(self, keys: dict[str, ApiKey], clock_ms: Callable[[], int]) -> None:
        self.keys = keys
        self._clock_ms = clock_ms

    def key(self, text: str | None) -> ApiKey:
        """The key of this text. Raises BinanceError -2014, -2015."""
        if not text or not text.isalnum() or not 16 <= len(text) <= 128:
            raise BinanceError(-2014, "API-key format invalid.", 401)
        known = self.keys.get(text)
        if known is None:
            raise BinanceError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        return known

    async def rest(self, request: web.Request, *, trade: bool) -> tuple[ApiKey, dict[str, str]]:
        """Check a signed REST request; returns the key and its parameters. Raises BinanceError."""
        key = self.key(request.headers.get("X-MBX-APIKEY"))
        _, _, query = request.raw_path.partition("?")
        body = (await request.read()).decode()
        signature = None
        parts = []
        for text in (query, body):
            kept = []
            for pair in text.split("&") if text else ():
                name, _, value = pair.partition("=")
                if name == "signature":
                    signature = value
                else:
                    kept.append(pair)
            parts.append("&".join(kept))
        params = dict(parse_qsl(parts[0], keep_blank_values=True)) | dict(parse_qsl(parts[1], keep_blank_values=True))
        self._verify(key, params, signature, "".join(parts))
        if trade and not key.trade:
            raise BinanceError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        return key, params

    def web_socket(self, params: Mapping[str, Any]) -> ApiKey:
        """Check the parameters of a signed WebSocket API request. Raises BinanceError."""
        key = self.key(str(params.get("apiKey") or ""))
        texts = {name: _text(value) for name, value in params.items() if name != "signature"}
        payload = "&".join(f"{name}={texts[name]}" for name in sorted(texts))
        signature = params.get("signature")
        self._verify(key, texts, None if signature is None else str(signature), payload)
        return key

    def _verify(self, key: ApiKey, params: Mapping[str, str], signature: str | None, payload: str) -> None:
        now_ms = self._clock_ms()
        timestamp = _number(params, "timestamp", None)
        if timestamp > 10**15:  # microseconds are allowed
            timestamp //= 1000
        window = _number(params, "recvWindow", 5000)
        if window > _LONGEST_WINDOW_MS:
            raise BinanceError(-1131, "recvWindow must be less than 60000.")
        if not signature:
            raise BinanceError(-1102, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.")
        if timestamp >= now_ms + _AHEAD_MS:
            raise BinanceError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if now_ms - timestamp > window:
            raise BinanceError(-1021, "Timestamp for this request is outside of the recvWindow.")
        expected = hmac.new(key.secret.encode(), payload.encode(), sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise BinanceError(-1022, "Signature for this request is not valid.")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(params: Mapping[str, str], name: str, default: int | None) -> int:
    text = params.get(name)
    if text is None and default is not None:
        return default
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 20):
        raise BinanceError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return int(text)
