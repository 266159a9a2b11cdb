"""How a simulated exchange keeps accounts: products, fees, wallets, keys, and what the accounts begin with. Values.

An exchange's package declares its :class:`Terms`; an exchange without terms serves no accounts. Which kind of wallet a
product has follows from its listing: what settles in a currency is a derivative with margin, everything else is spot.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal

import msgspec

from feeds.simulator.instruments import Instrument
from feeds.simulator.keys import KeyRing
from feeds.simulator.market import FUNDING_MS

Opening = Mapping[str, Mapping[str, str]]
"""Amounts by wallet and asset, as decimal text."""


class ProductTerms(msgspec.Struct, frozen=True, kw_only=True):
    """One product's conditions. ``maker`` and ``taker`` are fees as a share of the value; below zero they are paid out.

    ``fee_asset``: spot fees are taken from what was received, or always from the quote currency (derivatives: always
    from the settlement currency). ``wallet``: products with the same name there share one cash balance; "" is a wallet
    of the product's own. ``collateral``: what a wallet for derivatives alone may hold beside the settlement currency
    (it is shown, but counts for no margin). ``first_id`` is added to the order ids, where products count apart.
    ``refuses_fok`` and ``refuses_post_only``: an order that cannot do what it must is rejected; otherwise it is
    accepted and expires at once. ``post_only_type``: the type of order by which one asks for post-only, ``LIMIT`` where
    it is a time in force (``GTX``). ``funding_ms``: how often funding is settled.
    """

    maker: Decimal
    taker: Decimal
    fee_asset: Literal["received", "quote"] = "quote"
    wallet: str = ""
    collateral: tuple[str, ...] = ()
    first_id: int = 0
    refuses_fok: bool = True
    refuses_post_only: bool = True
    post_only_type: str = "LIMIT"
    funding_ms: int = FUNDING_MS
    leverage: int = 20


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """The exchange's own token, in which spot fees are paid at ``discount`` times the fee while there is any of it.

    Fees are converted at the price of its market with the quote currency; ``price`` where that is not listed.
    """

    asset: str
    price: Decimal
    discount: Decimal
    accounts: tuple[str, ...] = ("demo",)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """``products`` by name; those that are not named serve no accounts. ``keys``: what opens the accounts.

    ``opening``: what an account begins with, by its name; what :func:`usual_opening` gives if it is not named.
    ``client_id``: what the exchange calls an order whose client id was left out, with the order's id after it; "" is
    none at all.
    """

    products: Mapping[str, ProductTerms]
    keys: KeyRing
    token: Token | None = None
    opening: Mapping[str, Opening] = {}
    client_id: str = ""

    def wallet_of(self, product: str) -> str:
        return self.products[product].wallet or product


ACCOUNTS = ("demo", "test")
"""In ``demo`` the demo trader trades, in ``test`` nobody but tests."""
_COINS = {
    "demo": {"BTC": "0.42", "ETH": "6.5", "SOL": "95", "LINK": "420", "DOGE": "24000"},
    "test": {"BTC": "1", "ETH": "10"},
}
_CASH = {"demo": "58000", "test": "100000"}
_MARGIN = {"demo": "9000", "test": "50000"}


def usual_opening(account: str, terms: Terms, listing: Iterable[Instrument]) -> Opening:
    """Cash in every quote currency, some of the coins that are listed, and cash for margin: what wallets begin with."""
    result: dict[str, dict[str, str]] = {}
    for each in listing:
        if each.product not in terms.products:
            continue
        held = result.setdefault(terms.wallet_of(each.product), {})
        if each.settle is not None:
            held.setdefault(each.settle, _MARGIN[account])
            continue
        coins = _COINS[account]
        held[each.quote] = coins.get(each.quote, _CASH[account])
        if each.base in coins:
            held[each.base] = coins[each.base]
    return result
