"""The part of spreadboard.toml about an exchange with ``via = "ccxt"``."""

from collections.abc import Mapping

from feeds.errors import ConfigError
from feeds.longtail import library
from feeds.settings_table import Table

VIA_CCXT = "ccxt"

KEYS = (
    *("via", "enabled", "simulated", "products", "pinned", "candles", "book_depth", "stale_s", "reconnect_s"),
    *("poll_s", "poll_after_s", "poll_attempts", "alarm_factor", "alarm_s", "ccxt"),
)
"""What such an exchange may be given. Addresses, budgets and lifetimes are ccxt's own matter."""

CCXT_SECRETS = ("apiKey", "secret", "password", "uid", "login", "token", "privateKey", "walletAddress", "twofa")


def check_exchange(table: Table, *, enabled: bool) -> Mapping[str, object]:
    """What the exchange's ccxt object is to be set to. Raises ConfigError: also if ccxt is not installed, or does not
    have the exchange, or not its order books by stream; not for one that is not enabled."""
    table.one_of("via", (VIA_CCXT,))
    content = table.value("ccxt", {})
    path = f"{table.path}.ccxt"
    if isinstance(content, dict):
        for key in content.keys() & set(CCXT_SECRETS):
            raise ConfigError(f"{table.file}: {path}.{key}: secrets do not belong into this file; none is needed here")
    Table(table.file, path, content, library.SETTINGS)
    assert isinstance(content, dict)  # a Table is nothing else
    if enabled:
        try:
            library.check(table.path.removeprefix("exchanges."))
        except ConfigError as error:
            raise table.wrong("via", str(error)) from error
    return content
