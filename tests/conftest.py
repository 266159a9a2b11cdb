"""What tests of several folders share."""

import signal
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from django.contrib.auth.models import User
from django.test import Client

from dashboard import records
from dashboard.models import ExchangeAccount

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job; its child processes would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def trader(db: None) -> User:
    return User.objects.create_user("trader", password="correct horse battery")


@pytest.fixture
def stranger(db: None) -> User:
    """Somebody else, who must not see anything of the trader's."""
    return User.objects.create_user("stranger", password="something else here")


@pytest.fixture
def signed_in(trader: User) -> Client:
    """The trader's browser."""
    client = Client()
    client.force_login(trader)
    return client


@pytest.fixture
def make_account(trader: User) -> Callable[..., ExchangeAccount]:
    """An account of the trader's, or with ``owner=`` somebody's."""

    def make(**columns: Any) -> ExchangeAccount:
        number = ExchangeAccount.objects.count() + 1
        given = {"owner": trader, "exchange": "binance", "label": f"Account {number}", "products": ["spot", "usdm"]}
        return ExchangeAccount.objects.create(**{**given, "state": "LIVE", **columns})

    return make


def market(symbol: str = "BTC/USDT", **columns: Any) -> dict[str, Any]:
    """A row of /api/markets/, as the worker writes it down."""
    base, _, rest = symbol.partition("/")
    quote, _, settle = rest.partition(":")
    row = {
        "symbol": symbol,
        "native": f"{base}{quote}",
        "product": "usdm" if settle else "spot",
        "base": base,
        "quote": quote,
        "settle": settle or None,
        "tick": "0.01",
        "lot": "0.00001",
        "min_size": "0.00001",
        "min_notional": "5",
        "status": "trading",
        "pinned": True,
        "simulated": False,
        "via": "",
    }
    return {**row, **columns}


@pytest.fixture
def markets(db: None) -> None:
    """What the worker has written down of two exchanges."""
    records.put_markets("binance", [market("BTC/USDT"), market("ETH/USDT"), market("BTC/USDT:USDT", lot="0.001")])
    records.put_markets("kraken", [market("BTC/USD", native="BTC/USD", simulated=True, pinned=False)])


def _configure_uncached(**settings: Any) -> None:
    _configure(**settings | {"cache_logger_on_first_use": False})


# A cached logger keeps the processors of the moment of its first use, so that what structlog's capture_logs sees would
# depend on which tests ran before and configured the logs anew.
_configure = structlog.configure
structlog.configure = _configure_uncached
_configure_uncached(**structlog.get_config())
