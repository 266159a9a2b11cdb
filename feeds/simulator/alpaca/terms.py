"""How the simulated Alpaca keeps accounts, and how it words what is refused.

Alpaca has one pile of cash; here crypto and stocks have a wallet each, since coins and shares may have the same name,
and what is told is their sum. Fees are none: Alpaca books them later, and not with the fill.
"""

from collections.abc import Mapping
from decimal import Decimal

from feeds.simulator.alpaca.listing import CRYPTO, STOCKS
from feeds.simulator.keys import make_keys
from feeds.simulator.orders import Reason, Rejected
from feeds.simulator.terms import ProductTerms, Terms

CASH = "USD"


class AlpacaError(Exception):
    """Answered with this HTTP status, code and message."""

    def __init__(self, status: int, code: int | None, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def _form(name: str, number: int) -> tuple[str, str, str]:
    """Alpaca's form: 20 capitals and digits, and 40 letters and digits. There is no passphrase."""
    return f"PKSIM{name.upper()}{number}".ljust(20, "X"), f"PlayMoney{name.capitalize()}{number}".ljust(40, "z"), ""


TERMS = Terms(
    products={
        CRYPTO: ProductTerms(maker=Decimal(0), taker=Decimal(0)),
        STOCKS: ProductTerms(maker=Decimal(0), taker=Decimal(0)),
    },
    keys=make_keys(_form),
    client_id="sim-",
    opening={
        "demo": {  # no shares: those called ETH and SOL are no coins, and the demo follows coins alone
            CRYPTO: {CASH: "58000", "BTC": "0.42", "ETH": "6.5", "SOL": "95", "LINK": "420", "DOGE": "24000"},
            STOCKS: {CASH: "58000"},
        }
    },
)
"""All keys may do everything, as at Alpaca; that of ``read`` opens an account on which trading is blocked."""

_REFUSALS: Mapping[Reason, tuple[int, int, str]] = {
    "insufficient": (403, 40310000, "insufficient balance for {asset}"),
    "duplicate_client_id": (422, 40010001, "client_order_id must be unique"),
    "price": (422, 42210000, "limit price must be > 0"),
    "tick": (422, 42210000, "invalid limit_price. sub-penny increment does not fulfill minimum pricing criteria"),
    "size": (422, 40010001, "qty must be > 0"),
    "lot": (422, 42210000, "qty increment must be {lot}"),
    "min_size": (403, 40310000, "minimal qty of order {smallest}"),
}


def refusal(error: Rejected, *, asset: str, lot: Decimal, smallest: Decimal) -> AlpacaError:
    status, code, text = _REFUSALS.get(error.reason, (422, 42210000, error.text))
    for name, value in (("{asset}", asset), ("{lot}", f"{lot:f}"), ("{smallest}", f"{smallest:f}")):
        text = text.replace(name, value)
    return AlpacaError(status, code, text)
