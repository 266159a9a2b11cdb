"""What a person must know who makes an API key for an account: per exchange, for the page of new accounts.

An exchange that is not listed here has no passphrase and no advice; which exchanges there are says ``feeds.accounts``.
"""

from collections.abc import Iterable

import msgspec


class AccountFacts(msgspec.Struct, frozen=True, kw_only=True):
    """``passphrase``: what the exchange calls the third part of a key; "" where there is none. ``how``: a sentence on
    how a key that only reads is made. ``tells_rights``: can the exchange be asked what a key may do? ``products``: of
    these only accounts can be followed; () is all that the exchange is configured with. ``dead_man``: the shortest and
    longest seconds after which it cancels all orders by itself; None: it has no such switch. It is renewed three times
    in that time: the shortest is what the exchange takes, or else what its limits carry beside all that is asked.
    ``wallet``: the product of the balances from which all that is traded is paid; "": each product has its own."""

    passphrase: str = ""
    how: str = ""
    tells_rights: bool = True
    products: tuple[str, ...] = ()
    dead_man: tuple[int, int] | None = None
    wallet: str = ""


FACTS: dict[str, AccountFacts] = {
    "binance": AccountFacts(
        dead_man=(30, 3600),  # weight 10 of 2400 a minute for each market: in eight, 10 s would take two thirds
        how="API Management, Create API, System generated; leave Enable Reading as the only permission that is ticked.",
    ),
    "bybit": AccountFacts(
        wallet="unified",
        how="API, Create New Key, System-generated API Keys; Read-Only, with Orders, Positions and Wallet ticked.",
    ),
    "okx": AccountFacts(
        dead_man=(10, 120),
        wallet="trading",
        passphrase="Passphrase",
        how="API, Create API key, purpose API trading, permission Read; you choose the passphrase there.",
    ),
    "kraken": AccountFacts(
        dead_man=(60, 3600),  # as Kraken advises; of a key's 0.33 points a second 10 s would take 0.3
        how="Settings, API, Create API key, with Query funds, Query open and closed orders and trades, Query ledger "
        "entries, and Access WebSockets API.",
    ),
    "krakenfutures": AccountFacts(
        dead_man=(10, 3600),
        how="Settings, API, Futures, Create key, General API: Read Only and Withdrawal API: No Access.",
    ),
    "coinbase": AccountFacts(
        how="portal.cdp.coinbase.com, API keys, Create API key, permission View, signature algorithm ECDSA. The secret "
        "is the private key, several lines with BEGIN and END."
    ),
    "bitstamp": AccountFacts(
        how="Settings, API access, Create new API key, with Account balance, User transactions and Open orders only."
    ),
    "lmex": AccountFacts(
        dead_man=(10, 3600),
        tells_rights=False,
        how="API, New API, permission Read, and Trading if open spot orders shall be shown; never Wallet or Transfer.",
    ),
    "alpaca": AccountFacts(
        wallet="account",
        tells_rights=False,
        how="The dashboard of the live or the paper account, API Keys, Generate new keys.",
    ),
}


def facts_of(exchange: str) -> AccountFacts:
    return FACTS.get(exchange, AccountFacts())


def wallets(exchange: str, products: Iterable[str]) -> dict[str, str]:
    """By product that is traded: the product of the balances that it is paid from."""
    wallet = facts_of(exchange).wallet
    return {product: wallet or product for product in products}


def dead_man_s(exchange: str, asked_s: int) -> int:
    """What holds of a stored setting: what was allowed once may be shorter than the shortest now."""
    allowed = facts_of(exchange).dead_man
    return max(asked_s, allowed[0]) if asked_s and allowed is not None else asked_s
