"""How the simulated Kraken keeps accounts: keys, fees, ids, and how it words what is refused."""

import base64
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha512

from feeds.simulator.keys import make_keys
from feeds.simulator.orders import OwnFill, OwnOrder, Reason, Rejected
from feeds.simulator.terms import ProductTerms, Terms


def _form(name: str, number: int) -> tuple[str, str, str]:
    """Kraken's form: a key of 56 characters, a secret of 64 bytes in base64."""
    key = f"Simulated{name.capitalize()}{number}".ljust(56, "k")
    return key, base64.b64encode(sha512(f"play money of {name} {number}".encode()).digest()).decode(), ""


KEYS = make_keys(_form)
DEMO, WITHDRAW, READ, TEST = KEYS

TERMS = Terms(
    products={"spot": ProductTerms(maker=Decimal("0.0025"), taker=Decimal("0.004"), fee_asset="quote")}, keys=KEYS
)

MOST, DECAY_PER_S = 15, 0.33
"""The counter of a key of the Starter tier."""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_DIGITS = 16


def txid(kind: str, number: int) -> str:
    """An id as Kraken writes it, ``OABCDE-FGHIJ-KLMNOP``, of a number: the same again each time."""
    text = ""
    for _ in range(_DIGITS):
        number, digit = divmod(number, len(_LETTERS))
        text = _LETTERS[digit] + text
    return f"{kind}{text[:5]}-{text[5:10]}-{text[10:]}"


def number_of(kind: str, text: str) -> int | None:
    """The number of such an id; None if it is none."""
    letters = text[1:].replace("-", "")
    if not text.startswith(kind) or len(letters) != _DIGITS or not set(letters) <= set(_LETTERS):
        return None
    number = 0
    for letter in letters:
        number = number * len(_LETTERS) + _LETTERS.index(letter)
    return number


def order_id(order: OwnOrder) -> str:
    return txid("O", order.id)


def fill_id(fill: OwnFill) -> str:
    return txid("T", fill.number)


_REASONS: Mapping[Reason, str] = {
    "insufficient": "EOrder:Insufficient funds",
    "duplicate_client_id": "EGeneral:Invalid arguments:cl_ord_id",
    "would_take": "EOrder:Post only order",
    "unknown_order": "EOrder:Unknown order",
    "price": "EOrder:Invalid price",
    "tick": "EOrder:Tick size check failed",
    "size": "EGeneral:Invalid arguments:volume",
    "lot": "EGeneral:Invalid arguments:volume",
    "min_size": "EOrder:Order minimum not met",
    "min_notional": "EOrder:Cost minimum not met",
    "no_liquidity": "EService:Unavailable",
    "unknown_asset": "EQuery:Unknown asset",
}


def refusal(error: Rejected) -> str:
    """In Kraken's words."""
    return _REASONS.get(error.reason, "EGeneral:Invalid arguments")
