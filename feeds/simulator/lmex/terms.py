"""How the simulated LMEX keeps accounts, and how it words what is refused."""

from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256

from feeds.simulator.keys import make_keys
from feeds.simulator.orders import Reason
from feeds.simulator.terms import ProductTerms, Terms

SPOT_FEE = Decimal("0.001")
MAKER_FEE, TAKER_FEE = Decimal("0.0002"), Decimal("0.0005")


def _form(name: str, number: int) -> tuple[str, str, str]:
    """LMEX's form: 64 hexadecimal digits each."""
    key, secret = (sha256(f"simulated {part} {name} {number}".encode()).hexdigest() for part in ("key", "secret"))
    return key, secret, ""


LMEX_KEYS = make_keys(_form)

TERMS = Terms(
    products={
        "spot": ProductTerms(maker=SPOT_FEE, taker=SPOT_FEE, fee_asset="received", refuses_fok=False),
        "futures": ProductTerms(maker=MAKER_FEE, taker=TAKER_FEE, refuses_fok=False, first_id=8_000_000_000_000),
    },
    keys=LMEX_KEYS,
)

INSERTED, FILLED, PARTLY, CANCELLED = 2, 4, 5, 6
NO_BALANCE, REJECTED, NOT_FOUND, BAD_SIZE, BAD_PRICE = 8, 15, 16, 301, 302

REFUSALS: Mapping[Reason, int] = {
    "insufficient": NO_BALANCE,
    "price": BAD_PRICE,
    "tick": BAD_PRICE,
    "size": BAD_SIZE,
    "lot": BAD_SIZE,
    "min_size": BAD_SIZE,
    "min_notional": BAD_SIZE,
    "unknown_order": NOT_FOUND,
}
"""The status that an order is answered with, always HTTP 200; 15 where nothing is said."""
