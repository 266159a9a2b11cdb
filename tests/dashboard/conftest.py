"""What tests of the web side share."""

import time
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from dashboard.models import ExchangeAccount
from tests.dashboard.rest import fill_up, report


@pytest.fixture
def account(make_account: Callable[..., ExchangeAccount]) -> ExchangeAccount:
    """The trader's account with something of everything, its worker alive."""
    account = make_account(label="Main", fingerprint="abcd…yz", state_recv_ns=time.time_ns())
    fill_up(account)
    report()
    return account


@pytest.fixture
def foreign(make_account: Callable[..., ExchangeAccount], stranger: User) -> ExchangeAccount:
    account = make_account(owner=stranger, label="Not yours")
    fill_up(account)
    return account
