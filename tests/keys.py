"""API keys that no simulated exchange has yet: each its own, in the form that the exchange gives them."""

import base64
import secrets

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from feeds.account import Credentials

EXCHANGES = ("binance", "bybit", "okx", "coinbase", "kraken", "krakenfutures", "lmex", "alpaca")
"""Those with an account side."""


def new_key(exchange: str, marker: str = "") -> Credentials:
    """A random key. Coinbase's secret is a private key as PEM, Kraken's are base64, OKX has a passphrase.

    ``marker`` stands in the middle of every part that can be chosen: of the bytes, where a part is base64.
    """
    marker = marker or secrets.token_hex(12)
    if exchange == "coinbase":
        made = ec.generate_private_key(ec.SECP256R1())
        text = made.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
        return Credentials(f"organizations/{secrets.token_hex(8)}{marker}/apiKeys/{secrets.token_hex(16)}", text)
    if exchange in ("kraken", "krakenfutures"):
        secret = secrets.token_bytes(20) + marker.encode() + secrets.token_bytes(20)
        return Credentials(_around(marker, 16), base64.b64encode(secret).decode())
    if exchange == "okx":
        return Credentials(_around(marker, 6), _around(marker, 4), f"pass {marker} {secrets.token_hex(4)}")
    return Credentials(_around(marker, 20), _around(marker, 20))


def _around(marker: str, digits: int) -> str:
    return f"{secrets.token_hex(digits // 2)}{marker}{secrets.token_hex(digits // 2)}"
