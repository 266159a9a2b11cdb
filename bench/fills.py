"""From an execution on the (simulated) exchange to its row in the browser, beside polling the exchange once in 5 s.

The exchange says when it executed, the page when a row that was not there before was painted; both by this machine's
clock, matched by the time of execution that the row shows. The baseline asks the same exchange's REST for the
account's trades every 5 s with an independent client, as a dashboard without a private stream would; it is not even
charged for drawing them.
"""

import json
import sys
import threading
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ccxt

from bench.common import chromium, percentile, row
from feeds.simulator import endpoints
from feeds.simulator.keys import DEMO_KEY, DEMO_SECRET
from tests.system.processes import dashboard, free_port, process

COUNT = 60
PER_S = 2.0
POLL_S = 5.0

WATCH_ROWS = """() => {
  const seen = window.seenRows = {};
  const look = () => {
    for (const cell of document.querySelectorAll('#fills td[data-label="Time"]')) {
      const text = cell.textContent.trim();
      if (text in seen) continue;
      seen[text] = null;
      requestAnimationFrame(() => setTimeout(() => { seen[text] = performance.timeOrigin + performance.now(); }, 0));
    }
  };
  look();
  for (const text of Object.keys(seen)) seen[text] = -1;
  new MutationObserver(look).observe(document.getElementById("fills"),
    { childList: true, subtree: true, characterData: true });
}"""


def call(port: int, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"} if data else {}
    )
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)


class Poller(threading.Thread):
    """Asks for the account's trades every POLL_S and notes when each was first told."""

    def __init__(self, rest: str) -> None:
        super().__init__(daemon=True)
        self.seen_ms: dict[str, float] = {}
        self.enough = threading.Event()
        self._client = ccxt.binance({"apiKey": DEMO_KEY, "secret": DEMO_SECRET, "enableRateLimit": False})
        for name, url in list(self._client.urls["api"].items()):
            if isinstance(url, str) and "/api/v3" in url:
                self._client.urls["api"][name] = f"{rest}/api/v3"
        self._client.has["fetchCurrencies"] = False
        self._client.options |= {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False, "fetchCurrencies": False}
        self._client.load_markets()

    def run(self) -> None:
        while not self.enough.is_set():
            for trade in self._client.fetch_my_trades("BTC/USDT", limit=500):
                self.seen_ms.setdefault(trade["id"], time.time() * 1000)
            self.enough.wait(POLL_S)


def shown_time(exchange_ms: int) -> str:
    """The text of a row's time cell."""
    return datetime.fromtimestamp(exchange_ms / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]


def config_text(port: int) -> str:
    urls = endpoints("127.0.0.1", port)["binance"]
    lines = ["[exchanges.binance]", 'pinned = ["BTC/USDT"]']
    for product in ("spot", "usdm"):
        lines += [f"[exchanges.binance.{product}]"]
        lines += [
            f'{key.partition(".")[2]}_url = "{url}"' for key, url in urls.items() if key.startswith(f"{product}.")
        ]
    lines += ["[accounts.main]", 'exchange = "binance"', 'label = "Main"', 'products = ["spot", "usdm"]']
    return "\n".join(lines) + "\n"


def run() -> list[dict[str, Any]]:
    """p50 and p99 in ms, ours and polled."""
    port = free_port()
    with TemporaryDirectory() as scratch:
        var = Path(scratch)
        config = var / "spreadboard.toml"
        config.write_text(config_text(port))
        simulator = process([sys.executable, "-m", "feeds.simulator", "--port", str(port)], None, var / "sim.log")
        secrets = {"SPREADBOARD_MAIN_KEY": DEMO_KEY, "SPREADBOARD_MAIN_SECRET": DEMO_SECRET}
        with simulator, dashboard(var / "var", config, **secrets) as server, chromium() as page:
            call(port, "/__sim/pause", {"bot": True})
            page.goto(server.sign_in_link())
            if page.locator("form button[type=submit]").count() and "signin" in page.url:
                page.locator("form button[type=submit]").first.click()
            page.wait_for_selector("#tab-fills", timeout=20_000)
            page.click("#tab-fills")
            deadline = time.monotonic() + 60
            while not any(a["state"] == "LIVE" for a in server.get("/api/accounts/")[1]["accounts"]):
                if time.monotonic() > deadline:
                    raise SystemExit(f"fills: the account is not live: {server.get('/api/accounts/')[1]}")
                page.wait_for_timeout(250)
            page.evaluate(WATCH_ROWS)
            poller = Poller(endpoints("127.0.0.1", port)["binance"]["spot.rest"])
            poller.start()
            page.wait_for_timeout(500)
            known = {fill["id"] for fill in call(port, "/__sim/truth")["fills"]}
            call(port, "/__sim/fills", {"account": "demo", "count": COUNT, "per_s": PER_S, "wait": True})
            page.wait_for_timeout(POLL_S * 1000 + 1000)
            poller.enough.set()
            made = [fill for fill in call(port, "/__sim/truth")["fills"] if fill["id"] not in known]
            rows = page.evaluate("() => window.seenRows")
    ours, polled = [], []
    for fill in made:
        painted = rows.get(shown_time(fill["exchange_ms"]))
        if painted is None:
            raise SystemExit(f"fills: the execution at {shown_time(fill['exchange_ms'])} never came on the screen")
        ours.append(painted - fill["exchange_ms"])
        polled.append(poller.seen_ms[fill["id"]] - fill["exchange_ms"])
    if len(made) != COUNT:
        raise SystemExit(f"fills: {len(made)} executions instead of {COUNT}")
    return [
        row(
            f"execution to row in the browser, p{q}",
            percentile(ours, q),
            "ms",
            f"REST polled once in {POLL_S:g} s",
            percentile(polled, q),
        )
        for q in (50, 99)
    ]


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
