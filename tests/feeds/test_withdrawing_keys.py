"""A key that may withdraw is refused at every exchange that can be asked, by its own name of that right, before
anything else is asked with it. Where the exchange cannot be asked, that is said. The real engine, all simulators.
"""

import asyncio

import pytest

from bench import hours
from bench.limits import SYMBOLS, until
from bench.limits_world import World, world
from feeds.account import AccountSpec, Credentials, KeyRights
from feeds.account_facts import facts_of
from feeds.accounts import REGISTRY
from feeds.demo import MARKETS
from feeds.simulator.keys import ApiKey
from feeds.simulator.venues import REGISTRY as SIMULATED

RIGHTS = {
    "binance": ("/sapi/v1/account/apiRestrictions", "enableWithdrawals"),
    "bybit": ("/v5/user/query-api", "Wallet: Withdraw"),
    "okx": ("/api/v5/account/config", "withdraw"),
    "coinbase": ("/api/v3/brokerage/key_permissions", "can_transfer"),
    "kraken": ("/0/private/GetApiKeyInfo", "withdraw-funds"),
    "krakenfutures": ("/api/auth/v1/api-keys/v3/check", "transfer: FULL_ACCESS"),
}
"""What is asked, and the exchange's own name of the right to withdraw."""
CANNOT_BE_ASKED = ("lmex", "alpaca")
"""Their documentation has no such question (2026)."""


def test_every_exchange_with_accounts_is_here() -> None:
    assert {*RIGHTS, *CANNOT_BE_ASKED} == set(REGISTRY)
    assert {name for name in REGISTRY if not facts_of(name).tells_rights} == set(CANNOT_BE_ASKED)


async def follow(here: World, exchange: str, key: ApiKey) -> None:
    here.keys[1] = key
    spec = AccountSpec(
        id=1,
        exchange=exchange,
        label="Main",
        credentials=Credentials(key.key, key.secret, key.passphrase),
        products=MARKETS[exchange][0],
    )
    await here.engine.follow(spec)


@pytest.mark.parametrize("exchange", [*RIGHTS, *CANNOT_BE_ASKED])
def test_a_key_that_may_withdraw(exchange: str) -> None:
    async def main() -> None:
        async with world([exchange], symbols=SYMBOLS, trader=False) as here:
            terms = SIMULATED[exchange].terms
            assert terms is not None
            told: list[KeyRights | None] = []

            async def put_rights(account: int, rights: KeyRights | None) -> None:
                told.append(rights)

            here.store.put_rights = put_rights
            await follow(here, exchange, terms.keys.withdraw)
            if exchange in CANNOT_BE_ASKED:
                await until(here, lambda: here.states()[1][0] == "LIVE", 200, "LIVE")
                assert told == [None]
                return
            path, permission = RIGHTS[exchange]
            await until(here, lambda: here.states()[1][0] == "DOWN", 60, "DOWN")
            state, sentence = here.states()[1]
            assert sentence == (
                f"This key may withdraw ({permission} at {exchange.capitalize()}) and is therefore not used. "
                "Switch that permission off, or enter a key that may only read."
            )
            await asyncio.sleep(60)  # nor ever after
            asked = [each.asked.path for each in here.received if each.key]
            assert asked == [path]
            assert [rights.withdraw for rights in told if rights is not None] == [True]
            assert here.states()[1] == (state, sentence) == here.store.states[1]
            instruments = here.engine.venues[exchange].adapter.facts.markets_by_stream
            assert len(here.server.exchanges[exchange].open_sockets()) == int(instruments)
            assert not here.store.balances.get(1)

    hours.run(main())


@pytest.mark.parametrize("exchange", RIGHTS)
def test_a_key_that_may_not_is_used(exchange: str) -> None:
    """So the refusal above is for that right alone."""

    async def main() -> None:
        async with world([exchange], symbols=SYMBOLS, trader=False) as here:
            terms = SIMULATED[exchange].terms
            assert terms is not None
            await follow(here, exchange, terms.keys.read)

            def keyed() -> list[str]:
                return [each.asked.path for each in here.received if each.key]

            await until(here, lambda: len(set(keyed())) > 2, 60, "further questions")
            assert keyed()[0] == RIGHTS[exchange][0]

    hours.run(main())
