"""How the simulated OKX keeps accounts, and how it words what is refused. One unified wallet, in futures mode."""

from collections.abc import Mapping
from decimal import Decimal

from feeds.simulator.keys import make_keys
from feeds.simulator.orders import Reason, Rejected
from feeds.simulator.terms import ProductTerms, Terms

WALLET = "trading"


def _form(name: str, number: int) -> tuple[str, str, str]:
    """OKX's form: a key of hexadecimal groups, a secret of 32 digits, and a passphrase of the user's own."""
    digits = f"{name.encode().hex()}{number:02x}".ljust(32, "0")
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(parts), f"{number:02X}".ljust(32, "A"), f"Simulated-{name}-{number}"


KEYS = make_keys(_form)

TERMS = Terms(
    products={
        "spot": ProductTerms(
            maker=Decimal("0.0008"),
            taker=Decimal("0.001"),
            fee_asset="received",
            wallet=WALLET,
            refuses_fok=False,
            refuses_post_only=False,
        ),
        "swap": ProductTerms(
            maker=Decimal("0.0002"),
            taker=Decimal("0.0005"),
            wallet=WALLET,
            refuses_fok=False,
            refuses_post_only=False,
            leverage=10,
        ),
    },
    keys=KEYS,
)

_WORDS: Mapping[Reason, tuple[str, str]] = {
    "insufficient": ("51008", "Order failed. Insufficient {asset} balance in account"),
    "duplicate_client_id": ("51016", "Client order ID already exists."),
    "unknown_order": ("51400", "Order cancellation failed as the order has been filled, canceled or does not exist."),
    "reduce_only": (
        "51169",
        "Order failed because you don't have any positions in this direction for this contract to reduce or close.",
    ),
    "hold": ("51000", "Parameter posSide error"),
    "price": ("51000", "Parameter px error"),
    "tick": ("51000", "Parameter px error"),
    "size": ("51000", "Parameter sz error"),
    "lot": ("51121", "Order quantity must be a multiple of the lot size."),
    "min_size": ("51020", "Your order should meet or exceed the minimum order amount."),
    "min_notional": ("51020", "Your order should meet or exceed the minimum order amount."),
}


def refusal(error: Rejected, asset: str) -> tuple[str, str]:
    """``sCode`` and ``sMsg``."""
    code, text = _WORDS.get(error.reason, ("51000", error.text))
    return code, text.replace("{asset}", asset)
