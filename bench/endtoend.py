"""From the exchange's send call to the changed pixel in Chromium, beside a bare relay and beside polling by REST.

Every way is judged alike: update ``n`` counts as seen when the page first shows ``n`` or a later one, after the
animation frame that painted it. So what a way leaves out counts until something newer is shown.
"""

import json
import sys
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Page

from bench.common import chromium, percentile, row
from bench.one_market import WATCH
from tests.system.processes import dashboard, free_port, process

SECONDS = 25

LADDER = """() => {
  const cell = document.querySelector('.ladder-row[data-side="bid"][data-index="0"] .ladder-size');
  const read = () => { const n = Math.round(Number(cell.textContent.replaceAll(",", "")) / 0.00001); if (n) shown(n); };
  new MutationObserver(read).observe(cell, { characterData: true, childList: true, subtree: true });
}"""


def delays(sent: dict[int, float], seen: list[tuple[int, float]]) -> list[float]:
    """Milliseconds until each update was seen, for those sent while the page was watched."""
    result = []
    first, last = seen[0][0], seen[-1][0]
    position = 0
    for n in sorted(n for n in sent if first < n <= last):
        while seen[position][0] < n:
            position += 1
        result.append(seen[position][1] - sent[n])
    return result


def watch(page: Page, port: int, seconds: float = SECONDS) -> list[float]:
    page.wait_for_timeout(3000)  # past the first pictures
    page.evaluate("() => { window.seen.length = 0; }")
    page.wait_for_timeout(seconds * 1000)
    seen = [(int(n), float(ms)) for n, ms in page.evaluate("() => window.seen")]
    if len(seen) < 5:
        raise SystemExit(f"endtoend: the page showed only {len(seen)} updates")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/sent") as answer:
        sent = {int(n): ms for n, ms in json.load(answer).items()}
    return delays(sent, seen)


def run() -> list[dict[str, Any]]:
    """p50 and p99 in ms of the three ways."""
    port = free_port()
    with TemporaryDirectory() as scratch:
        var = Path(scratch)
        config = var / "spreadboard.toml"
        config.write_text(
            '[exchanges.binance]\nproducts = ["spot"]\npinned = ["BTC/USDT"]\n'
            f'ws_url = "ws://127.0.0.1:{port}"\nrest_url = "http://127.0.0.1:{port}"\n'
        )
        exchange = process([sys.executable, "-m", "bench.one_market", str(port)], None, var / "exchange.log")
        with exchange, dashboard(var / "var", config) as server:
            with chromium() as page:
                page.goto(server.sign_in_link())
                if page.locator("form button").count() and "signin" in page.url:
                    page.locator("form button").first.click()
                page.wait_for_selector('.ladder-row[data-side="bid"][data-index="0"] .ladder-size', timeout=20_000)
                page.wait_for_function(
                    """() => /\\d/.test(document.querySelector(
                        '.ladder-row[data-side="bid"][data-index="0"] .ladder-size').textContent)""",
                    timeout=20_000,
                )
                # evaluated by the driver: the page's own policy forbids inline scripts, rightly
                page.evaluate("() => {" + WATCH + " window.shown = shown; }")
                page.evaluate(LADDER)
                ours = watch(page, port)
            ways = {}
            for way in ("relay", "poll"):
                with chromium() as page:
                    page.goto(f"http://127.0.0.1:{port}/{way}")
                    ways[way] = watch(page, port)
    rows = []
    for q in (50, 99):
        for way, name in (("relay", "bare relay"), ("poll", "REST polled once a second")):
            rows.append(
                row(f"exchange frame to pixel, p{q}", percentile(ours, q), "ms", name, percentile(ways[way], q))
            )
    return rows


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
