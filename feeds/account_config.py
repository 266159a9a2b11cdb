"""The accounts of spreadboard.toml, ``[accounts.<name>]``. Their keys come from the environment."""

from collections.abc import Mapping

import msgspec

from feeds.account import Credentials
from feeds.account_facts import facts_of
from feeds.errors import ConfigError
from feeds.settings_table import NAME, Table, no_secrets, symbols_of, variable

ACCOUNT_KEYS = (
    *("exchange", "label", "products", "symbols", "poll_s"),
    *("trading", "only_here", "cancel_on_stop", "dead_man_s"),
)


class AccountConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One account that is followed from the start. ``key_env`` and the like are names of environment variables;
    the others are as in :class:`feeds.account.AccountSpec`."""

    name: str
    exchange: str
    label: str
    products: tuple[str, ...]
    symbols: tuple[str, ...] = ()
    poll_s: float = 5.0
    trading: bool = False
    only_here: bool = False
    cancel_on_stop: bool = False
    dead_man_s: int = 0

    @property
    def key_env(self) -> str:
        return variable(self.name, "KEY")

    @property
    def secret_env(self) -> str:
        return variable(self.name, "SECRET")

    @property
    def passphrase_env(self) -> str:
        return variable(self.name, "PASSPHRASE")

    def credentials(self, env: Mapping[str, str]) -> Credentials:
        """The key from the environment. Raises ConfigError naming a variable that is not set."""
        for name in (self.key_env, self.secret_env):
            if not env.get(name, "").strip():
                raise ConfigError(f"accounts.{self.name}: the environment variable {name} is not set")
        return Credentials(
            key=env[self.key_env].strip(),
            secret=env[self.secret_env].strip(),
            passphrase=env.get(self.passphrase_env, "").strip(),
        )


def account_configs(
    root: Table, followed: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
) -> tuple[AccountConfig, ...]:
    """The accounts of the file. ``followed``: by exchange its products, and which of those are cash.

    Raises ConfigError.
    """
    found: dict[str, AccountConfig] = {}
    for name, content in root.tables("accounts"):
        path = f"accounts.{name}"
        if not NAME.fullmatch(name):
            raise ConfigError(
                f"{root.file}: {path}: an account's name has letters, digits and _ only and begins with a letter; "
                "its environment variables are named after it"
            )
        if name.upper() in found:
            raise ConfigError(f"{root.file}: {path}: another account has the same environment variables")
        no_secrets(root.file, path, name, content)
        found[name.upper()] = _account(Table(root.file, path, content, ACCOUNT_KEYS, private=True), name, followed)
    return tuple(found.values())


def _account(table: Table, name: str, followed: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]) -> AccountConfig:
    exchange = table.one_of("exchange", tuple(sorted(followed)))
    offered, cash = followed[exchange]
    products = table.texts("products", offered, offered, least=1)
    trading = table.flag("trading", False)
    for key in ("cancel_on_stop", "dead_man_s"):
        if table.value(key, 0) and not trading:
            raise table.wrong(key, "is about orders: it needs trading = true")
    return AccountConfig(
        name=name,
        exchange=exchange,
        label=table.text("label", name, longest=40),
        products=products,
        symbols=symbols_of(table, "symbols", products, cash),
        poll_s=table.number("poll_s", 5.0, 1, 3600, "seconds"),
        trading=trading,
        only_here=table.flag("only_here", False),
        cancel_on_stop=table.flag("cancel_on_stop", False),
        dead_man_s=_dead_man_s(table, exchange),
    )


def _dead_man_s(table: Table, exchange: str) -> int:
    allowed = facts_of(exchange).dead_man
    seconds = table.whole("dead_man_s", 0, 0, 3600, "seconds")
    if seconds and allowed is None:
        raise table.wrong("dead_man_s", f"must be 0: {exchange} has no such switch")
    if seconds and allowed is not None and not allowed[0] <= seconds <= allowed[1]:
        raise table.wrong("dead_man_s", f"must be 0 or, at {exchange}, from {allowed[0]} to {allowed[1]} seconds")
    return seconds
