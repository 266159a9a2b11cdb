"""API keys of the simulated exchanges. They open play money on loopback: nothing here is a secret."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key, whose account it opens, and what it may do. ``passphrase`` where the exchange has one."""

    key: str
    secret: str
    passphrase: str = ""
    account: str
    trade: bool = True
    withdraw: bool = False


class KeyRing(NamedTuple):
    """The keys of one exchange."""

    demo: ApiKey  # the demo trader's account: read and trade
    withdraw: ApiKey  # the same account; a key that must be refused
    read: ApiKey  # the same account; may only read
    test: ApiKey  # an account in which nobody trades but tests


KeyForm = Callable[[str, int], tuple[str, str, str]]
"""Key, secret and passphrase in an exchange's own form, of a name (``demo``) and a number. Always the same ones."""


def make_keys(form: KeyForm) -> KeyRing:
    """The keys of an exchange with the form that it gives them."""

    def make(name: str, number: int, *, trade: bool = True, withdraw: bool = False) -> ApiKey:
        key, secret, passphrase = form(name, number)
        account = "test" if name == "test" else "demo"
        return ApiKey(key=key, secret=secret, passphrase=passphrase, account=account, trade=trade, withdraw=withdraw)

    return KeyRing(make("demo", 1), make("withdraw", 2, withdraw=True), make("read", 3, trade=False), make("test", 4))


def _binance(name: str, number: int) -> tuple[str, str, str]:
    """Binance's form: 64 letters and digits."""
    ending = f"{name.capitalize()}{number}"
    return f"Simulated{ending}".ljust(64, "x"), f"PlayMoneySecret{ending}".ljust(64, "z"), ""


BINANCE_KEYS = make_keys(_binance)
DEMO_KEY, DEMO_SECRET = BINANCE_KEYS.demo.key, BINANCE_KEYS.demo.secret
WITHDRAW_KEY, WITHDRAW_SECRET = BINANCE_KEYS.withdraw.key, BINANCE_KEYS.withdraw.secret
READ_KEY, READ_SECRET = BINANCE_KEYS.read.key, BINANCE_KEYS.read.secret
TEST_KEY, TEST_SECRET = BINANCE_KEYS.test.key, BINANCE_KEYS.test.secret

DATA_KEYS = (
    ("SIMULATEDDATA0000001", "PlayMoneySecretOfMarketData0000000000001"),
    ("SIMULATEDDATA0000002", "PlayMoneySecretOfMarketData0000000000002"),
)
"""Open the market data of simulated exchanges that want a key for them; of two accounts, where each may have one
connection only."""
DATA_KEY, DATA_SECRET = DATA_KEYS[0]
