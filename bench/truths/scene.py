"""A recording that is played, and the markets that are followed in it."""

import os
from pathlib import Path
from typing import NamedTuple

SHARED = Path(os.environ.get("SPREADBOARD_SHARED", Path(__file__).resolve().parents[3] / "shared"))
DEPTH = 25


class Scene(NamedTuple):
    """``ws_path`` is added to the player's address, ``settings`` are further lines of the exchange's table."""

    exchange: str
    product: str
    recording: str
    symbols: tuple[str, ...]
    depth: int = DEPTH
    ws_path: str = ""
    settings: str = ""

    @property
    def path(self) -> Path:
        return SHARED / "captures" / f"{self.recording}.jsonl.gz"
