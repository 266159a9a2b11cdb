"""Where the recordings and documented answers are, for tests that judge the adapters by them.

They stand beside the repository, in ``../shared`` (or where ``SPREADBOARD_SHARED`` says), and are not part of it.
"""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("SPREADBOARD_SHARED", ROOT.parent / "shared"))


def shared_file(name: str) -> Path:
    """The path of a shared file; skips the test with a message where it is missing."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs the recordings: {name} is not in ../shared (or $SPREADBOARD_SHARED)")
    return path


def in_time(seconds: float) -> float:
    """A promised time, on a machine whose cores may be wanted by others at the moment."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
