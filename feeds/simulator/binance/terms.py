"""How the simulated Binance keeps accounts, and how it words what is refused."""

from collections.abc import Mapping
from decimal import Decimal

from feeds.simulator.binance.rest import BinanceError
from feeds.simulator.keys import BINANCE_KEYS
from feeds.simulator.orders import Reason, Rejected
from feeds.simulator.terms import ProductTerms, Terms, Token

SPOT_FEE = Decimal("0.001")
MAKER_FEE, TAKER_FEE = Decimal("0.0002"), Decimal("0.0005")
BNB_USDT = Decimal("612.40")
BNB_DISCOUNT = Decimal("0.75")

TERMS = Terms(
    products={
        "spot": ProductTerms(
            maker=SPOT_FEE,
            taker=SPOT_FEE,
            fee_asset="received",
            refuses_fok=False,
            post_only_type="LIMIT_MAKER",
        ),
        "usdm": ProductTerms(maker=MAKER_FEE, taker=TAKER_FEE, first_id=8_000_000_000_000),
    },
    keys=BINANCE_KEYS,
    token=Token(asset="BNB", price=BNB_USDT, discount=BNB_DISCOUNT),
    opening={
        "demo": {
            "spot": {
                "USDT": "58000",
                "BTC": "0.42",
                "ETH": "6.5",
                "SOL": "95",
                "LINK": "420",
                "DOGE": "24000",
                "BNB": "2.4",
            },
            "usdm": {"USDT": "9000"},
        },
        "test": {"spot": {"USDT": "100000", "BTC": "1", "ETH": "10"}, "usdm": {"USDT": "50000"}},
    },
    client_id="sim",
)

_SPOT: Mapping[Reason, tuple[int, str]] = {
    "insufficient": (-2010, "Account has insufficient balance for requested action."),
    "duplicate_client_id": (-2010, "Duplicate order sent."),
    "would_take": (-2010, "Order would immediately match and take."),
    "unknown_order": (-2011, "Unknown order sent."),
    "price": (-1013, "Filter failure: PRICE_FILTER"),
    "tick": (-1013, "Filter failure: PRICE_FILTER"),
    "size": (-1013, "Invalid quantity."),
    "lot": (-1013, "Filter failure: LOT_SIZE"),
    "min_size": (-1013, "Filter failure: LOT_SIZE"),
    "min_notional": (-1013, "Filter failure: NOTIONAL"),
}
_USDM: Mapping[Reason, tuple[int, str]] = {
    "insufficient": (-2019, "Margin is insufficient."),
    "duplicate_client_id": (-4116, "ClientOrderId is duplicated."),
    "would_take": (-5022, "Order would immediately match and take."),
    "fok": (-5021, "Due to the order could not be filled immediately, the FOK order has been rejected."),
    "unknown_order": (-2011, "Unknown order sent."),
    "reduce_only": (-2022, "ReduceOnly Order is rejected."),
    "price": (-4014, "Price not increased by tick size."),
    "tick": (-4014, "Price not increased by tick size."),
    "size": (-4003, "Quantity less than zero."),
    "lot": (-4023, "Qty not increased by step size."),
    "min_size": (-4023, "Qty not increased by step size."),
    "hold": (-4061, "Order's position side does not match user's setting."),
    "min_notional": (-4164, "Order's notional must be no smaller than {smallest} (unless you choose reduce only)."),
}


def refusal(product: str, error: Rejected, smallest: Decimal) -> BinanceError:
    """A refusal in Binance's words; ``smallest`` is the market's smallest value of an order."""
    code, text = (_SPOT if product == "spot" else _USDM).get(error.reason, (-2010, error.text))
    return BinanceError(code, text.replace("{smallest}", str(smallest)))
