"""How the simulated Kraken Futures keeps accounts: keys, fees, ids, and how it words what is refused."""

import base64
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha512
from uuid import UUID

from feeds.simulator.keys import make_keys
from feeds.simulator.orders import OwnFill, OwnOrder, Reason, Rejected
from feeds.simulator.terms import ProductTerms, Terms


def _form(name: str, number: int) -> tuple[str, str, str]:
    """Kraken's form: a key of 56 characters, a secret of 64 bytes in base64."""
    key = f"SimulatedFutures{name.capitalize()}{number}".ljust(56, "f")
    return key, base64.b64encode(sha512(f"play money in futures of {name} {number}".encode()).digest()).decode(), ""


KEYS = make_keys(_form)
DEMO, WITHDRAW, READ, TEST = KEYS

TERMS = Terms(
    products={
        "futures": ProductTerms(
            maker=Decimal("0.0002"), taker=Decimal("0.0005"), collateral=("BTC",), funding_ms=3_600_000, leverage=10
        )
    },
    keys=KEYS,
)


def order_id(order: OwnOrder) -> str:
    return str(UUID(int=(1 << 100) + order.id))


def number_of(text: str) -> int:
    """The number of such an id; -1 if it is none."""
    try:
        return UUID(text).int - (1 << 100)
    except ValueError:
        return -1


def fill_id(fill: OwnFill) -> str:
    return str(UUID(int=(1 << 101) + fill.number))


_REASONS: Mapping[Reason, str] = {
    "insufficient": "insufficientAvailableFunds",
    "duplicate_client_id": "clientOrderIdAlreadyExist",
    "would_take": "postWouldExecute",
    "reduce_only": "wouldNotReducePosition",
    "price": "invalidPrice",
    "tick": "invalidPrice",
    "size": "invalidSize",
    "lot": "invalidSize",
    "min_size": "invalidSize",
    "no_liquidity": "iocWouldNotExecute",
}


def refusal(error: Rejected) -> str:
    """The ``status`` of an order that is refused."""
    return _REASONS.get(error.reason, "invalidArgument")
