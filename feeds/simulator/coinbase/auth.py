"""Who asks the simulated Coinbase's private side: tokens (JWT) by ES256 or EdDSA. Pure."""

import base64
import binascii
from collections.abc import Callable
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from feeds.simulator.keys import ApiKey

ISSUERS = ("cdp", "coinbase-cloud")
"""The second is that of older clients."""
LIFE_S = 120
AHEAD_S = 5
"""A token from so far in the future is taken: clocks must be right within seconds."""

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class Unauthorized(Exception):
    """The token is not taken. Coinbase does not say why; the text is for tests."""


class Gatekeeper:
    """Checks tokens against the known keys."""

    def __init__(self, keys: dict[str, ApiKey], clock_ms: Callable[[], int]) -> None:
        self.keys = keys
        self._clock_ms = clock_ms
        self._public: dict[str, PublicKey] = {}  # by secret

    def check(self, token: str, uri: str | None) -> ApiKey:
        """The key that made this token. ``uri``: what it must be for; None: a WebSocket message's, for nothing named.

        Raises Unauthorized.
        """
        parts = token.split(".")
        if len(parts) != 3:
            raise Unauthorized("no token")
        header, claims = (_object(part) for part in parts[:2])
        key = self.keys.get(str(header.get("kid")))
        if key is None:
            raise Unauthorized("unknown key")
        if not header.get("nonce"):
            raise Unauthorized("no nonce")
        self._verify(key, header.get("alg"), f"{parts[0]}.{parts[1]}".encode(), _bytes(parts[2]))
        now_s = self._clock_ms() / 1000
        begins, ends = claims.get("nbf"), claims.get("exp")
        if not isinstance(begins, int) or not isinstance(ends, int) or ends - begins > LIFE_S:
            raise Unauthorized("no life, or too long a one")
        if not begins - AHEAD_S <= now_s < ends:
            raise Unauthorized("not valid now")
        if claims.get("sub") != key.key or claims.get("iss") not in ISSUERS:
            raise Unauthorized("not issued to this key")
        asked = claims.get("uri", (claims.get("uris") or [None])[0])
        if uri is not None and _plain(str(asked)) != uri:
            raise Unauthorized(f"made for {asked}, not for {uri}")
        return key

    def _verify(self, key: ApiKey, algorithm: Any, text: bytes, signature: bytes) -> None:
        public = self._public.get(key.secret)
        if public is None:
            public = self._public[key.secret] = _public_of(key.secret)
        try:
            if isinstance(public, ed25519.Ed25519PublicKey):
                if algorithm != "EdDSA":
                    raise Unauthorized("another algorithm than the key's")
                public.verify(signature, text)
                return
            if algorithm != "ES256" or len(signature) != 64:
                raise Unauthorized("another algorithm than the key's")
            r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            public.verify(encode_dss_signature(r, s), text, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise Unauthorized("wrong signature") from None


def _public_of(secret: str) -> PublicKey:
    if not secret.startswith("-----BEGIN"):
        return ed25519.Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret)[:32]).public_key()
    private = load_pem_private_key(secret.encode(), None)
    if not isinstance(private, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise TypeError("a key of another kind")
    return private.public_key()


def _plain(uri: str) -> str:
    """``GET host/path``. Clients leave out the ``https://`` that they expect before the host; here is none."""
    return uri.replace("http://", "", 1)


def _bytes(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise Unauthorized("no base64") from None


def _object(part: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(_bytes(part), type=dict[str, Any])
    except msgspec.DecodeError:
        raise Unauthorized("no JSON") from None
