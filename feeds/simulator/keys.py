"""API keys of the simulated exchanges. They open play money on loopback: nothing here is a secret."""

import msgspec


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key, whose account it opens, and what it may do."""

    key: str
    secret: str
    account: str
    trade: bool = True
    withdraw: bool = False


def _make(name: str, number: int, **rights: bool) -> ApiKey:
    """A key in Binance's form: 64 letters and digits."""
    key = f"Simulated{name.capitalize()}{number}".ljust(64, "x")
    account = "test" if name == "test" else "demo"
    return ApiKey(
        key=key, secret=f"PlayMoneySecret{name.capitalize()}{number}".ljust(64, "z"), account=account, **rights
    )


_DEMO, _WITHDRAW, _READ, _TEST = KEYS = (
    _make("demo", 1),  # the demo trader's account: read and trade
    _make("withdraw", 2, withdraw=True),  # the same account; a key that must be refused
    _make("read", 3, trade=False),  # the same account; may only read
    _make("test", 4),  # an account in which nobody trades but tests
)
DEMO_KEY, DEMO_SECRET = _DEMO.key, _DEMO.secret
WITHDRAW_KEY, WITHDRAW_SECRET = _WITHDRAW.key, _WITHDRAW.secret
READ_KEY, READ_SECRET = _READ.key, _READ.secret
TEST_KEY, TEST_SECRET = _TEST.key, _TEST.secret

DATA_KEYS = (
    ("SIMULATEDDATA0000001", "PlayMoneySecretOfMarketData0000000000001"),
    ("SIMULATEDDATA0000002", "PlayMoneySecretOfMarketData0000000000002"),
)
"""Open the market data of simulated exchanges that want a key for them; of two accounts, where each may have one
connection only."""
DATA_KEY, DATA_SECRET = DATA_KEYS[0]
