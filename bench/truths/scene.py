"""A recording that is played, and the markets that are followed in it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

SHARED = Path(os.environ.get("SPREADBOARD_SHARED", Path(__file__).resolve().parents[3] / "shared"))
DEPTH = 25


class Scene(NamedTuple):
    """``ws_path`` is added to the player's address, ``settings`` are further lines of the exchange's table.

    ``seconds`` of the recording are played, and then from the beginning; ``rewrite`` changes its records before. A
    usable book shows ``fewest`` levels a side or more.
    """

    exchange: str
    product: str
    recording: str
    symbols: tuple[str, ...]
    depth: int = DEPTH
    ws_path: str = ""
    settings: str = ""
    seconds: float = float("inf")
    rewrite: Callable[[list[dict[str, Any]]], None] | None = None
    fewest: int = 10

    @property
    def path(self) -> Path:
        return SHARED / "captures" / f"{self.recording}.jsonl.gz"
