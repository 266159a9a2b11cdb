"""spreadboard.toml. (Signatures; being filled in.)"""

from collections.abc import Mapping
from pathlib import Path

import msgspec


class ExchangeConfig(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    enabled: bool = True
    simulated: bool = False
    products: tuple[str, ...]
    endpoints: Mapping[str, str]  # overrides only: "<product>.ws", "<product>.rest", "<product>.ws_api"
    pinned: tuple[str, ...] = ()
    candles: tuple[str, ...] = ("1m",)
    stale_s: float = 5.0
    reconnect_s: float = 30.0
    buffer_frames: int = 10_000
    book_depth: int | None = None
    budget_share: float = 0.5


class AccountConfig(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    exchange: str
    label: str
    products: tuple[str, ...]
    symbols: tuple[str, ...] = ()
    poll_s: float = 5.0
    key_env: str = ""  # SPREADBOARD_<NAME>_KEY and so on: names of variables, never their values
    secret_env: str = ""
    passphrase_env: str = ""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    path: Path | None  # None: the built-in demo
    exchanges: Mapping[str, ExchangeConfig]  # enabled ones only
    accounts: tuple[AccountConfig, ...] = ()
    depth: int = 25
    conflation_ms: int = 50
    linger_s: float = 30.0
    save_s: float = 5.0
    state_dir: Path = Path("var/state")
    demo: bool = False


def load_config(path: Path | None, env: Mapping[str, str]) -> Config:
    """Read and check; ``path`` None is the demo. Raises ConfigError naming file, key, value and what is allowed."""
    raise NotImplementedError
