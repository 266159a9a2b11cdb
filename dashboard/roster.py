"""Which accounts the worker follows: those of the configuration, with keys from the environment, and those that users
have entered, with keys that only this worker's private key opens."""

import asyncio
from collections.abc import Mapping

import structlog

from dashboard import logs, records
from dashboard.models import ExchangeAccount
from dashboard.store import DjangoAccountStore
from feeds import accounts, demo
from feeds.account import AccountSpec, Credentials
from feeds.account_config import AccountConfig
from feeds.account_facts import dead_man_s, facts_of
from feeds.clock import SYSTEM
from feeds.config import Config
from feeds.engine import Engine
from feeds.errors import FeedError
from feeds.keys import KeyPair
from feeds.simulator import venues

log = structlog.get_logger(__name__)

DEMO_POLL_S = 5.0


def demo_accounts(config: Config) -> dict[AccountConfig, Credentials]:
    """The account of each demo trader that can be followed, with the key that its simulated exchange gives out."""
    found = {}
    for name, exchange in config.exchanges.items():
        terms = venues.REGISTRY[name].terms if name in venues.REGISTRY else None
        if terms is None or name not in accounts.REGISTRY:
            continue
        account = AccountConfig(
            name=f"demo_{name}",
            exchange=name,
            label=demo.NAMES[name],
            products=tuple(product for product in exchange.products if product in terms.products),
            poll_s=DEMO_POLL_S,
            trading=True,
        )
        key = terms.keys.demo
        found[account] = Credentials(key.key, key.secret, key.passphrase)
    return found


class Roster:
    """Keeps the engine's accounts equal to the database's. Call :meth:`refresh` now and then, and at every change."""

    def __init__(self, config: Config, engine: Engine, store: DjangoAccountStore, keys: KeyPair) -> None:
        self._config = config
        self._engine = engine
        self._store = store
        self._keys = keys
        self._named: dict[str, Credentials] = {}  # of accounts whose keys come from the environment
        self._followed: dict[int, AccountSpec] = {}
        self._refused: dict[int, str] = {}  # account -> the sealed key that could not be opened
        self._starting: dict[int, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()

    async def start(self, env: Mapping[str, str]) -> None:
        """Register the configured accounts and begin to follow all. Raises ConfigError if a key is not set."""
        if self._config.demo:
            configured = demo_accounts(self._config)
        else:
            configured = {account: account.credentials(env) for account in self._config.accounts}
        self._named |= {account.name: credentials for account, credentials in configured.items()}
        for account in configured:
            await self._store.run(
                records.put_environment_account,
                name=account.name,
                exchange=account.exchange,
                label=account.label,
                products=account.products,
                symbols=account.symbols,
                poll_s=account.poll_s,
                fingerprint=self._named[account.name].fingerprint,
                trading=account.trading,
                only_here=account.only_here,
                cancel_on_stop=account.cancel_on_stop,
                dead_man_s=account.dead_man_s,
            )
        await self._store.run(records.retire_environment_accounts, [account.name for account in configured])
        await self._store.run(records.put_sealing_key, self._keys.key_id, self._keys.public_key, self._followable())
        await self.refresh()

    def _followable(self) -> dict[str, dict[str, object]]:
        """What the page for new accounts offers, and what it must say."""
        offered: dict[str, dict[str, object]] = {}
        for name, exchange in self._config.exchanges.items():
            if name in accounts.REGISTRY and not exchange.via:
                facts = facts_of(name)
                offered[name] = {
                    "products": [p for p in exchange.products if not facts.products or p in facts.products],
                    "passphrase": bool(facts.passphrase),
                    "passphrase_name": facts.passphrase,
                    "how": facts.how,
                    "tells_rights": facts.tells_rights,
                }
        return offered

    async def stop(self) -> None:
        """Begin nothing more. The engine ends what is followed. Idempotent."""
        tasks, self._starting = list(self._starting.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def refresh(self) -> None:
        """Follow what is new or changed, and no longer what is gone.

        The accounts side by side, as an exchange may take its time. It returns when all is done, so an account has one
        change at a time: none is followed anew before its old follower has ended.
        """
        async with self._turn:
            wanted: dict[int, AccountSpec] = {}
            for row in await self._store.run(records.accounts):
                spec = await self._spec(row)
                if spec is not None:
                    wanted[spec.id] = spec
            changes = [self._unfollow(account) for account in self._followed if account not in wanted]
            changes += [self._begin(spec) for spec in wanted.values() if self._followed.get(spec.id) != spec]
            outcomes = await asyncio.gather(*changes, return_exceptions=True)  # one that fails ends no other
            for outcome in outcomes:
                if outcome is not None:
                    raise outcome

    async def _spec(self, row: ExchangeAccount) -> AccountSpec | None:
        """How to follow this account; None if it cannot be."""
        try:
            credentials = self._named.get(row.name) if row.name else self._open(row)
        except FeedError as error:
            if self._refused.get(row.pk) != row.sealed:
                self._refused[row.pk] = row.sealed
                await self._down(row.pk, row.exchange, error)
            return None
        if credentials is None:
            return None
        logs.hide(credentials.key, credentials.secret, credentials.passphrase)
        return AccountSpec(
            id=row.pk,
            exchange=row.exchange,
            label=row.label,
            credentials=credentials,
            products=tuple(row.products),
            symbols=tuple(row.symbols),
            poll_s=row.poll_s,
            trading=row.trading,
            only_here=row.only_here,
            cancel_on_stop=row.cancel_on_stop,
            dead_man_s=dead_man_s(row.exchange, row.dead_man_s),
        )

    def _open(self, row: ExchangeAccount) -> Credentials | None:
        return self._keys.open(row.sealed) if row.sealed else None

    async def _stop_starting(self, account: int) -> None:
        task = self._starting.pop(account, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _begin(self, spec: AccountSpec) -> None:
        await self._stop_starting(spec.id)  # the engine itself ends what it follows, knowing what comes then
        self._followed[spec.id] = spec
        self._starting[spec.id] = asyncio.create_task(self._follow(spec), name=f"follow {spec.id}")

    async def _unfollow(self, account: int) -> None:
        self._followed.pop(account, None)
        await self._stop_starting(account)
        await self._engine.unfollow(account)

    async def _follow(self, spec: AccountSpec) -> None:
        """In a task of its own, since it waits for the exchange's instruments."""
        try:
            await self._engine.follow(spec)
        except FeedError as error:
            await self._down(spec.id, spec.exchange, error)

    async def _down(self, account: int, exchange: str, error: FeedError) -> None:
        log.error("account cannot be followed", account=account, exchange=exchange, error=str(error))
        await self._store.set_account_state(account, "DOWN", error.sentence, recv_ns=SYSTEM.now_ns())
