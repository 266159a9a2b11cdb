"""What the page of new accounts tells of each exchange."""

import pytest

from feeds import accounts, exchanges
from feeds.account_facts import FACTS, AccountFacts, facts_of


@pytest.mark.parametrize("exchange", sorted(accounts.REGISTRY))
def test_an_exchange_with_accounts_says_how_a_key_is_made(exchange: str) -> None:
    assert facts_of(exchange).how.endswith(".")


@pytest.mark.parametrize("exchange", sorted(FACTS))
def test_facts_are_of_exchanges_that_there_are(exchange: str) -> None:
    assert exchange in exchanges.REGISTRY


def test_who_has_a_passphrase() -> None:
    assert [name for name, facts in FACTS.items() if facts.passphrase] == ["okx"]
    assert facts_of("unheard of") == AccountFacts()
