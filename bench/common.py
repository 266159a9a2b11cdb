"""What several benchmarks share: percentiles, rows, a browser, and where the recordings are."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("SPREADBOARD_SHARED", ROOT.parent / "shared"))

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def percentile(values: Sequence[float], q: float) -> float:
    """The q-th percentile (0 to 100), nearest rank. Raises ValueError for no values."""
    if not values:
        raise ValueError("no values to take a percentile of")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * q / 100))]


def row(name: str, value: float, unit: str, baseline: str, baseline_value: float | None) -> dict[str, Any]:
    """A row of the table; ``ratio`` is value over baseline."""
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "baseline": baseline,
        "baseline_value": None if baseline_value is None else round(baseline_value, 3),
        "ratio": round(value / baseline_value, 3) if baseline_value else None,
    }


@contextmanager
def chromium(width: int = 1440, height: int = 900) -> Iterator[Page]:
    """A page in a headless Chromium of the machine."""
    path = which("chromium") or which("chromium-browser") or which("google-chrome")
    if path is None:
        raise SystemExit("bench: no Chromium here")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height})
        try:
            yield page
        finally:
            browser.close()
