"""From an execution on the (simulated) exchange to its row in the browser, beside polling the exchange once in 5 s.

    python -m bench fills                  one account
    python -m bench fills --accounts 8     as many at once, each of another exchange, and a table by exchange

The exchange says when it executed, the page when a row that was not there before was painted; both by this machine's
clock. A row is matched by its account and the time of execution that it shows. In between the worker says when it had
the fill stored, which parts the way in two: to us, and to the screen. The baseline asks the same exchange's REST for
the account's trades every 5 s with an independent client, as a dashboard without a private stream would; it is not
even charged for drawing them.
"""

import argparse
import asyncio
import json
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from playwright.sync_api import Page

from bench.ccxt_accounts import PARTS, Theirs, own_key, theirs
from bench.common import chromium, percentile, row
from bench.standing import MARKETS, Standing, instrument, standing
from feeds.simulator import endpoints

COUNT = 60
PER_S = 2.0
EACH_PER_S = 1.0
"""Of each account, where there are several."""
POLL_S = 5.0
FIRST = {name: next(iter(products)) for name, products in MARKETS.items()}
"""Exchange -> the product in which the fills are made."""

WATCH_ROWS = """() => {
  const seen = window.seenRows = {};
  const sheet = document.getElementById("fills");
  const keyOf = (row) => {
    const whose = row.querySelector('td[data-label="Market"] .cell-sub')?.textContent.trim().split(" · ")[0];
    return `${whose} ${row.querySelector('td[data-label="Time"]').textContent.trim()}`;
  };
  for (const row of sheet.querySelectorAll("tbody tr")) seen[keyOf(row)] = -1;
  new MutationObserver((records) => {
    for (const node of records.flatMap(({ addedNodes }) => [...addedNodes])) {
      if (node.nodeName !== "TR" || keyOf(node) in seen) continue;
      const key = keyOf(node);
      seen[key] = null;
      requestAnimationFrame(() => setTimeout(() => { seen[key] = performance.timeOrigin + performance.now(); }, 0));
    }
  }).observe(sheet, { childList: true, subtree: true });
}"""
"""A row is of one fill as long as it stands: only those that are new are looked at, as looking costs time as well."""


class Poller(threading.Thread):
    """Asks for every account's trades each POLL_S and notes when each was first told."""

    def __init__(self, port: int, exchanges: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self.seen_ms: dict[str, dict[int, float]] = {name: {} for name in exchanges}  # by time of execution
        self.ready, self.enough = threading.Event(), threading.Event()
        self.trouble: BaseException | None = None
        self._port = port

    def run(self) -> None:
        try:
            asyncio.run(self._poll())
        except BaseException as error:  # told by whoever waits for it
            self.trouble = error
            raise

    async def _poll(self) -> None:
        at = endpoints("127.0.0.1", self._port)
        parts = {part.exchange: part for part in reversed(PARTS)}  # the first of an exchange: it has FIRST's market
        clients = {
            name: theirs(parts[name]._replace(symbols=(MARKETS[name][FIRST[name]],)), at[name]) for name in self.seen_ms
        }
        try:
            await asyncio.gather(*(client.start() for client in clients.values()))
            self.ready.set()
            while not self.enough.is_set():
                began_s = time.monotonic()
                await asyncio.gather(*(self._ask(name, client) for name, client in clients.items()))
                await asyncio.to_thread(self.enough.wait, max(0.0, began_s + POLL_S - time.monotonic()))
        finally:
            for client in clients.values():
                await client.close()

    async def _ask(self, name: str, client: Theirs) -> None:
        for _, trade in await client.trades():
            if trade.exchange_ms is not None:
                self.seen_ms[name].setdefault(trade.exchange_ms, time.time() * 1000)


class Took(NamedTuple):
    """Of one account's fills, ms from each execution: until it was stored, painted, and polled."""

    stored: list[float]
    painted: list[float]
    polled: list[float]


def shown_time(exchange_ms: int) -> str:
    """The text of a row's time cell."""
    return datetime.fromtimestamp(exchange_ms / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]


def open_fills(page: Page, stand: Standing) -> None:
    page.goto(stand.product.sign_in_link())
    if page.locator("form button[type=submit]").count() and "signin" in page.url:
        page.locator("form button[type=submit]").first.click()
    page.wait_for_selector("#tab-fills", timeout=20_000)
    page.click("#tab-fills")
    page.wait_for_timeout(1000)  # what stands there already is no news
    page.evaluate(WATCH_ROWS)


def make_fills(stand: Standing, exchanges: Sequence[str], count: int, per_s: float) -> None:
    """On all accounts at once, not in step."""

    def make(at: tuple[int, str]) -> None:
        time.sleep(at[0] / len(exchanges) / per_s)
        name, product = at[1], FIRST[at[1]]
        market = instrument(name, product, MARKETS[name][product]).native
        wanted = {"exchange": name, "account": "test", "product": product, "symbol": market}
        stand.control("fills", {**wanted, "count": count, "per_s": per_s, "wait": True})

    with ThreadPoolExecutor(len(exchanges)) as pool:
        list(pool.map(make, enumerate(exchanges)))


def measure(exchanges: Sequence[str], count: int, per_s: float) -> dict[str, Took]:
    with TemporaryDirectory() as folder, standing(Path(folder), exchanges=exchanges) as stand, chromium() as page:
        for name in exchanges:
            if key := own_key(name):
                body = {"exchange": name, "key": key.key, "secret": key.secret, "account": key.account}
                stand.control("keys", body)
        open_fills(page, stand)
        poller = Poller(stand.port, exchanges)
        poller.start()
        if not poller.ready.wait(30):
            raise SystemExit(f"fills: the polling client did not start: {poller.trouble}")
        making = threading.Thread(target=make_fills, args=(stand, exchanges, count, per_s))
        making.start()
        while making.is_alive():
            page.wait_for_timeout(100)
        page.wait_for_timeout(POLL_S * 1000 + 1500)
        poller.enough.set()
        poller.join(10)
        if poller.trouble is not None:
            raise SystemExit(f"fills: the polling client failed: {poller.trouble}")
        rows = page.evaluate("() => window.seenRows")
        return {name: _took(stand, name, count, rows, poller.seen_ms[name]) for name in exchanges}


def _took(
    stand: Standing, name: str, count: int, rows: Mapping[str, float | None], polled_ms: Mapping[int, float]
) -> Took:
    """The exchange's executions, the stored rows and what was painted and polled, each put in the order of time."""
    made = sorted(f["exchange_ms"] for f in stand.control(f"truth?exchange={name}&account=test")["fills"])
    found = stand.product.get(f"/api/fills/?account={stand.accounts[name]}&limit=1000")[1]["fills"]
    stored = sorted((fill["exchange_ms"], fill["recv_us"] / 1000) for fill in found)
    if not len(made) == len(stored) == len(polled_ms) == count:
        told = f"{len(stored)} were stored, {len(polled_ms)} polled"
        raise SystemExit(f"fills: {name}: {len(made)} executions instead of {count}, or some of one moment; {told}")
    painted = [rows.get(f"At {name} {shown_time(exchange_ms)}") for exchange_ms, _ in stored]
    if missing := [shown_time(ms) for (ms, _), at in zip(stored, painted, strict=True) if at is None]:
        raise SystemExit(f"fills: {name}: never came on the screen: {', '.join(missing)}")
    return Took(
        [at - ms for ms, (_, at) in zip(made, stored, strict=True)],
        [at - ms for ms, at in zip(made, painted, strict=True) if at is not None],
        [at - ms for ms, (_, at) in zip(made, sorted(polled_ms.items()), strict=True)],
    )


def table(took: Mapping[str, Took]) -> str:
    """By exchange, in ms: p50 and p99."""
    head = ("stored p50", "p99", "painted p50", "p99", "polled p50", "p99")
    widths = (12, 8, 13, 8, 12, 8)
    lines = [f"{'exchange':14}{'fills':>6}" + "".join(f"{text:>{w}}" for text, w in zip(head, widths, strict=True))]
    for name, each in took.items():
        figures = [percentile(values, q) for values in each for q in (50, 99)]
        cells = "".join(f"{value:{width}.0f}" for value, width in zip(figures, widths, strict=True))
        lines.append(f"{name:14}{len(each.painted):6}{cells}")
    return "\n".join(lines)


def run(accounts: int = 1) -> list[dict[str, Any]]:
    """p50 and p99 in ms, ours and polled; of several accounts those of each, too."""
    exchanges = tuple(MARKETS)[:accounts]
    took = measure(exchanges, COUNT, PER_S if accounts == 1 else EACH_PER_S)
    if accounts > 1:
        print(table(took))
    every = Took(*([value for each in took.values() for value in each[n]] for n in range(3)))
    named = {f"{accounts} accounts" if accounts > 1 else "": every, **(took if accounts > 1 else {})}
    return [
        row(
            f"execution to row in the browser, {label}{', ' if label else ''}p{q}",
            percentile(each.painted, q),
            "ms",
            f"REST polled once in {POLL_S:g} s",
            percentile(each.polled, q),
        )
        for label, each in named.items()
        for q in (50, 99)
    ]


def main(arguments: Sequence[str]) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(prog="python -m bench fills", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--accounts", type=int, default=1, choices=range(1, len(MARKETS) + 1), help="how many (1)")
    return run(parser.parse_args(arguments).accounts)


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
