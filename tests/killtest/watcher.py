"""A client of ``/ws/`` as docs/protocol.md wants it, that counts which fills it was shown.

It holds rows by number, each once. A frame that begins after the last row held leaves a hole, which is read by
``/api/fills/?after=``; it confirms by a timer; when its connection ends it makes another and goes on from what it
holds.
"""

import json
import threading
import time
import urllib.error
import urllib.request
from decimal import Decimal
from http.client import HTTPException
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from tests.killtest.figures import Figures, fill_columns

KINDS = ("balances", "positions", "fills")
SILENT_S = 5.0
"""From then on a client shows everything as STALE."""
CONFIRM_S = 0.25
AGAIN_S = 0.2
PAGE = 1000


class Site:
    """The web process's REST, with a token."""

    def __init__(self, port: int, token: str) -> None:
        self.address = f"127.0.0.1:{port}"
        self.headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, timeout_s: float = 30.0) -> Any:
        """Raises OSError while nobody answers."""
        request = urllib.request.Request(f"http://{self.address}{path}", headers=self.headers)
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return json.load(answer)

    def states(self) -> set[str]:
        return {account["state"] for account in self.get("/api/accounts/")["accounts"]}

    def all_fills(self, account: int) -> list[dict[str, Any]]:
        """Page by page, from the newest to the oldest."""
        rows: list[dict[str, Any]] = []
        before = ""
        while True:
            page = self.get(f"/api/fills/?account={account}&limit={PAGE}{before}")
            rows += page["fills"]
            if not page["more"]:
                return rows
            before = f"&before={page['first_row']}"


class Watcher(threading.Thread):
    """Watches one account until :meth:`end`. What went wrong that must not is in ``errors``."""

    def __init__(self, site: Site, account: int) -> None:
        super().__init__(name="watcher", daemon=True)
        self.errors: list[str] = []
        self.shown: dict[tuple[str, str], dict[str, Any]] = {}
        self.pushed: set[int] = set()  # rows that a frame brought
        self.read: set[int] = set()  # rows that REST brought, because frames were missing
        self.connections = 0
        self.state: dict[str, str] = {}  # of the account, by the newest frame of each kind
        self.told_ns: list[tuple[int, str]] = []  # when the state shown beside the fills changed, and to what
        self.shown_ms: dict[tuple[str, str], int] = {}  # when a fill was shown first
        self._site = site
        self._account = account
        self._numbers: dict[int, tuple[str, str]] = {}
        self._held = 0  # the newest row up to which nothing is missing
        self._content: dict[str, Any] = {}
        self._ending = threading.Event()

    def end(self) -> None:
        self._ending.set()
        self.join(30)

    def figures(self) -> Figures:
        """What the client sees."""
        balances, positions = (self._content.get(kind, {}).get(kind, []) for kind in ("balances", "positions"))
        return {
            "fills": {key: fill_columns(row) for key, row in list(self.shown.items())},
            "balances": {(row["product"], row["asset"]): Decimal(row["total"]) for row in balances},
            "positions": {row["symbol"]: Decimal(row["size"]) for row in positions},
        }

    def run(self) -> None:
        while not self._ending.is_set():
            try:
                with connect(f"ws://{self._site.address}/ws/", additional_headers=self._site.headers) as ws:
                    self.connections += 1
                    self._watch(ws)
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    self.errors.append(f"{error.url}: {error}")
            except (OSError, WebSocketException, HTTPException):
                self._all_stale()
                time.sleep(AGAIN_S)  # it died, and comes again
            except Exception as error:  # of any kind: a thread of its own, whose end the drill must hear of
                self.errors.append(repr(error))
                return

    def _watch(self, ws: ClientConnection) -> None:
        topics = ["streams", *(f"{kind}:{self._account}" for kind in KINDS)]
        ws.send(json.dumps({"type": "subscribe", "id": 1, "topics": topics}))
        bundle = confirmed = 0
        confirmed_s = heard_s = time.monotonic()
        while not self._ending.is_set():
            try:
                message = json.loads(ws.recv(timeout=CONFIRM_S))
                heard_s = time.monotonic()
            except TimeoutError:
                message = {}
                if time.monotonic() - heard_s >= SILENT_S:
                    self._all_stale()
            if message.get("type") == "bundle":
                bundle = message["bundle"]
                for frame in message["frames"]:
                    if frame["topic"] != "streams":
                        self._take(frame["topic"].partition(":")[0], frame["data"])
            elif message.get("type") == "error":
                self.errors.append(str(message))
            now_s = time.monotonic()
            if bundle != confirmed and now_s - confirmed_s >= CONFIRM_S:
                ws.send(json.dumps({"type": "drawn", "bundle": bundle}))
                confirmed, confirmed_s = bundle, now_s

    def _all_stale(self) -> None:
        for kind in KINDS:
            self._show_state(kind, "STALE")

    def late_as_live_s(self) -> float:
        """The longest time that the account was shown as LIVE while a fill that had happened was not shown."""
        ends = [at_ns for at_ns, _ in self.told_ns[1:]] + [time.time_ns()]
        live = [(at, end) for (at, state), end in zip(self.told_ns, ends, strict=True) if state == "LIVE"]
        longest_ns = 0
        for key, row in self.shown.items():
            happened_ns, shown_ns = (ms * 1_000_000 for ms in (row["exchange_ms"], self.shown_ms[key]))
            for begin_ns, end_ns in live:
                longest_ns = max(longest_ns, min(end_ns, shown_ns) - max(begin_ns, happened_ns))
        return longest_ns / 1e9

    def _take(self, kind: str, data: dict[str, Any]) -> None:
        self._content[kind] = data
        self._show_state(kind, data["account"]["state"])
        if kind != "fills" or not data["fills"]:
            return
        if data["first_row"] > self._held + 1:
            self._read_missing()
        for row in data["fills"]:
            self._show(row, self.pushed)
        self._held = max(self._held, data["last_row"])

    def _read_missing(self) -> None:
        more = True
        while more:
            page = self._site.get(f"/api/fills/?account={self._account}&after={self._held}&limit={PAGE}")
            for row in page["fills"]:
                self._show(row, self.read)
            self._held = max(self._held, page["last_row"] or 0)
            more = page["more"]

    def _show(self, row: dict[str, Any], way: set[int]) -> None:
        key, number = (row["symbol"], row["id"]), row["row"]
        way.add(number)
        if number not in self._numbers:
            if key in self.shown:
                self.errors.append(f"{key} is row {self.shown[key]['row']} and row {number}")
        elif self._numbers[number] != key:
            self.errors.append(f"row {number} was {self._numbers[number]} and is {key}")
        self._numbers[number] = key
        self.shown[key] = row
        self.shown_ms.setdefault(key, time.time_ns() // 1_000_000)

    def _show_state(self, kind: str, state: str) -> None:
        if kind == "fills" and state != self.state.get(kind):
            self.told_ns.append((time.time_ns(), state))
        self.state[kind] = state
