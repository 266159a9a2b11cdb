"""How the simulated Coinbase keeps accounts, and how it words what is refused."""

from collections.abc import Mapping
from decimal import Decimal

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from feeds.simulator.keys import make_keys
from feeds.simulator.orders import Reason, Rejected
from feeds.simulator.terms import ProductTerms, Terms

MAKER_FEE, TAKER_FEE = Decimal("0.004"), Decimal("0.006")
_SCALAR = 0x50_4C_41_59_4D_4F_4E_45_59  # "PLAYMONEY": these keys open nothing else


def _form(name: str, number: int) -> tuple[str, str, str]:
    """Coinbase's form: a key's name, and a private key on P-256 as PEM."""
    secret = ec.derive_private_key(_SCALAR + number, ec.SECP256R1())
    text = secret.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    organization = "00000000-0000-4000-8000-00000000c0de"
    return f"organizations/{organization}/apiKeys/00000000-0000-4000-8000-{number:012d}", text, ""


COINBASE_KEYS = make_keys(_form)

TERMS = Terms(
    products={"spot": ProductTerms(maker=MAKER_FEE, taker=TAKER_FEE, fee_asset="quote", refuses_fok=False)},
    keys=COINBASE_KEYS,
)

_REASONS: Mapping[Reason, tuple[str, str]] = {
    "insufficient": ("INSUFFICIENT_FUND", "Insufficient balance in source account"),
    "would_take": ("INVALID_LIMIT_PRICE_POST_ONLY", "Invalid limit price post only"),
    "price": ("INVALID_LIMIT_PRICE", "Invalid limit price"),
    "tick": ("INVALID_PRICE_PRECISION", "Too many decimals in order price"),
    "size": ("INVALID_SIZE_PRECISION", "Invalid order size"),
    "lot": ("INVALID_SIZE_PRECISION", "Too many decimals in order amount"),
}


def refusal(error: Rejected) -> dict[str, str]:
    """The ``error_response`` of an answer to an order; what has no word of its own here is a wrong configuration."""
    code, text = _REASONS.get(error.reason, ("UNSUPPORTED_ORDER_CONFIGURATION", error.text))
    return {
        "error": code,
        "message": text,
        "error_details": "",
        "preview_failure_reason": f"PREVIEW_{code}",
        "new_order_failure_reason": "UNKNOWN_FAILURE_REASON",
    }
