"""Coinbase's keys, and the tokens that they sign.

Facts (docs.cdp.coinbase.com: coinbase-app authentication, get-started/authentication/jwt-authentication):

* A key has a name, ``organizations/<org>/apiKeys/<id>``, and a private half: on the curve P-256, as PEM, or of Ed25519,
  as base64 of 64 bytes (the seed, then the public half). The first signs as ES256, the second as EdDSA.
* Every request carries a token of its own, valid for 120 s from ``nbf`` on. Its ``uri`` is method, host and path,
  without scheme and query; those of WebSocket messages have none.
* An ES256 signature is ``r`` and ``s``, 32 bytes each; libraries give it as DER.

A PEM text loses its line ends on the way through environment variables (``\\n`` of two characters) and form fields
(none at all): only what stands between its marks counts here.
"""

import base64
import binascii
import re
import secrets

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from feeds.errors import CredentialsError

KEY_FORM = "key_form"
"""``code`` of the error for a secret that is no private key: ours, not Coinbase's."""

LIFE_S = 120
_NONCE_BYTES = 16
_PEM = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)
_SEED_BYTES = 32

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class Signer:
    """Makes the tokens of one key. A secret that is none is told when a token is wanted, as a CredentialsError."""

    def __init__(self, name: str, secret: str) -> None:
        self._name = name
        self._key: PrivateKey | None = None
        self._wrong = ""
        try:
            self._key = private_key(secret)
        except ValueError as error:
            self._wrong = str(error)

    def __repr__(self) -> str:
        return "Signer(…)"

    def token(self, now_ms: int, uri: str | None = None, *, nonce: str | None = None) -> str:
        """A token that is valid from now (the exchange's time) on."""
        if self._key is None:
            raise CredentialsError(self._wrong, KEY_FORM)
        now_s = now_ms // 1000
        algorithm = "ES256" if isinstance(self._key, ec.EllipticCurvePrivateKey) else "EdDSA"
        nonce = nonce or secrets.token_hex(_NONCE_BYTES)
        header = {"alg": algorithm, "kid": self._name, "nonce": nonce, "typ": "JWT"}
        claims: dict[str, object] = {"sub": self._name, "iss": "cdp", "nbf": now_s, "exp": now_s + LIFE_S}
        if uri is not None:
            claims["uri"] = uri
        text = f"{_part(msgspec.json.encode(header))}.{_part(msgspec.json.encode(claims))}"
        return f"{text}.{_part(_signature(self._key, text.encode()))}"


def private_key(secret: str) -> PrivateKey:
    """Raises ValueError, with a sentence that holds nothing of the secret."""
    text = secret.replace("\\n", "\n").replace("\\r", "")
    if "-----BEGIN" not in text:
        return _ed25519(text.strip().strip('"'))
    found = _PEM.search(text)
    if found is None:
        raise ValueError("The secret begins like a private key in PEM form, but is not whole.")
    kind, body = found[1], "".join(found[2].split())
    lines = "\n".join(body[start : start + 64] for start in range(0, len(body), 64))
    try:
        key = load_pem_private_key(f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n".encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("The secret has PEM form, but holds no private key that can be read.") from None
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise ValueError("The secret is a private key of another kind than Coinbase's (ECDSA on P-256, or Ed25519).")


def _ed25519(text: str) -> ed25519.Ed25519PrivateKey:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) not in (_SEED_BYTES, 2 * _SEED_BYTES):
        raise ValueError("The secret is neither a private key in PEM form nor one of Ed25519 in base64.")
    key = ed25519.Ed25519PrivateKey.from_private_bytes(raw[:_SEED_BYTES])
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    if raw[_SEED_BYTES:] not in (b"", public):
        raise ValueError("The secret's two halves do not belong together: a part of it was changed.")
    return key


def _signature(key: PrivateKey, text: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(text)
    r, s = decode_dss_signature(key.sign(text, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
