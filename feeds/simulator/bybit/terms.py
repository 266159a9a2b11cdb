"""How the simulated Bybit keeps accounts, and how it words what is refused."""

from collections.abc import Mapping
from decimal import Decimal

from feeds.simulator.keys import make_keys
from feeds.simulator.orders import Reason, Rejected
from feeds.simulator.terms import ProductTerms, Terms

WALLET = "unified"
SPOT_FEE = Decimal("0.001")
MAKER_FEE, TAKER_FEE = Decimal("0.0002"), Decimal("0.00055")


class BybitError(Exception):
    """Answered with this ``retCode``, and HTTP 200; ``headers`` and ``result`` go with it."""

    def __init__(
        self,
        code: int,
        said: str,
        headers: Mapping[str, str] | None = None,
        result: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(said)
        self.code = code
        self.result = result or {}
        self.headers = headers or {}


def _form(name: str, number: int) -> tuple[str, str, str]:
    """Bybit's form: 18 letters and digits, and twice as many."""
    return f"Sim{name.capitalize()}{number}".ljust(18, "x"), f"PlayMoney{name.capitalize()}{number}".ljust(36, "z"), ""


BYBIT_KEYS = make_keys(_form)

TERMS = Terms(
    products={
        "spot": ProductTerms(
            maker=SPOT_FEE,
            taker=SPOT_FEE,
            fee_asset="received",
            wallet=WALLET,
            refuses_fok=False,
            refuses_post_only=False,
        ),
        "linear": ProductTerms(
            maker=MAKER_FEE, taker=TAKER_FEE, wallet=WALLET, refuses_fok=False, refuses_post_only=False
        ),
    },
    keys=BYBIT_KEYS,
)

_LINEAR: Mapping[Reason, tuple[int, str]] = {
    "insufficient": (110007, "ab not enough for new order"),
    "duplicate_client_id": (110072, "OrderLinkedID is duplicate"),
    "unknown_order": (110001, "order not exists or too late to cancel"),
    "reduce_only": (110017, "current position is zero, cannot fix reduce-only order qty"),
    "hold": (10001, "position idx not match position mode"),
    "min_notional": (110094, "Order does not meet minimum order value {smallest}USDT"),
    "no_liquidity": (110003, "Order price exceeds the allowable range."),
}
_SPOT: Mapping[Reason, tuple[int, str]] = {
    "insufficient": (170131, "Insufficient balance."),
    "duplicate_client_id": (170141, "Duplicate clientOrderId"),
    "unknown_order": (170213, "Order does not exist."),
    "tick": (170134, "Order price has too many decimals."),
    "lot": (170137, "Order quantity has too many decimals."),
    "min_size": (170136, "Order quantity lower than the minimum."),
    "min_notional": (170140, "Order value exceeded lower limit."),
}


def refusal(product: str, error: Rejected, smallest: Decimal) -> BybitError:
    """A refusal in Bybit's words; ``smallest`` is the market's smallest value of an order."""
    code, text = (_SPOT if product == "spot" else _LINEAR).get(error.reason, (10001, f"params error: {error.text}"))
    return BybitError(code, text.replace("{smallest}", f"{smallest:f}"))
