"""A stand-in for the whole server, for the page's tests: the templates, the files, and docs/protocol.md, with data
that move and faults that a test asks for. ``python -m tests.browser.fakeserver --port 0`` prints its address.
"""

import argparse
import asyncio
import contextlib
import json
import time
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiohttp import WSMsgType, web

from tests.browser import fakepages
from tests.browser.fakeacross import Together, venues
from tests.browser.fakeapi import AcrossApi
from tests.browser.fakedata import INTERVALS, MARKETS, Account, Market, now_us
from tests.browser.fakeportfolio import USER, Belongings, PortfolioApi, fills_by_time
from tests.browser.faketrading import TradingApi

ROOT = Path(__file__).resolve().parents[2]
STEP_S = 0.1
BUNDLE_S = 0.05
OTHERS = ("bybit", "okx", "coinbase", "krakenfutures", "lmex", "other")
"""Exchanges that only the stream panel may know of."""
BUDGET = {"limit": 6000, "allowed": 3000, "waiting": 0, "blocked_s": 0.0, "requests": 124, "failures": 0}


class Browser:
    """One WebSocket: its topics, what waits for it, what it confirmed."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.topics: set[str] = set()
        self.waiting: dict[str, dict[str, Any]] = {}
        self.bundle = 0
        self.carried: defaultdict[str, list[tuple[int, int]]] = defaultdict(
            list
        )  # topic -> bundle, number of its frame
        self.drawn: list[tuple[float, int]] = []

    def painted(self, topic: str) -> int:
        """The newest frame of a topic that the page has confirmed as drawn; 0: none, or it is not known."""
        drawn = self.drawn[-1][1] if self.drawn else 0
        return max((number for bundle, number in self.carried[topic] if bundle <= drawn), default=0)


class Server:
    """Holds the markets and the switches that tests turn."""

    def __init__(self) -> None:
        self.browsers: set[Browser] = set()
        self.reset()

    def reset(self, markets: dict[str, Market] | None = None) -> None:
        """As at the start, for the next test."""
        self.markets = markets or {f"{row[0]}:{row[1]}": Market(*row) for row in MARKETS}
        self.together = Together(self.markets)
        self.notices: dict[str, str] = {}
        self.accounts = {} if markets else {7: Account(7, "Main", self.markets)}
        self.own = Belongings()
        self.numbers: dict[str, int] = defaultdict(int)
        self.newest: dict[str, dict[str, Any]] = {}
        self.messages: list[dict[str, Any]] = []
        self.posted: list[dict[str, Any]] = []
        self.order_answers: list[dict[str, Any]] = []
        self.public_key = ""
        self.frozen = self.mute = self.refusing = False
        self.notice = ""
        self.exchanges = 2  # of the stream panel
        self.steps = 0
        self.started_ms = int(time.time() * 1000) - 3_600_000

    # -- frames ------------------------------------------------------------------------------------------------------

    def frame(self, topic: str) -> dict[str, Any] | None:
        self.numbers[topic] += 1
        head: dict[str, Any] = {"topic": topic, "n": self.numbers[topic], "seq": None, "exchange_ms": None}
        if topic == "streams":
            return head | {"recv_us": 0, "sent_us": now_us(), "data": self._streams()}
        kind, _, rest = topic.partition(":")
        kind, _, parameter = kind.partition("@")
        if kind == "arbitrage":
            return head | {"recv_us": now_us(), "sent_us": now_us(), "data": self.together.arbitrage()}
        if kind in ("across", "matrix"):
            frame = head | {"state": self.together.state(rest), "recv_us": self.together.recv_us(rest)}
            return frame | {"sent_us": now_us(), "data": self.together.data(kind, parameter, rest)}
        if kind == "portfolio":
            state = "LIVE" if self.own.complete else "STALE"
            return head | {"state": state, "recv_us": now_us(), "sent_us": now_us(), "data": self.own.data()}
        if rest.isdigit():
            account = self.accounts[int(rest)]
            rows = {"transfers": self.own.transfers, "notices": self.own.notices}
            data = account.data(kind) if kind not in rows else account.head() | {kind: rows[kind], "more": False}
            return head | {"recv_us": now_us(), "sent_us": now_us(), "data": data}
        market = self.markets[rest]
        frame = head | {"state": market.state, "seq": market.seq, "exchange_ms": market.moved_us // 1000 - 3}
        return frame | {"recv_us": market.moved_us, "sent_us": now_us(), "data": market.data(kind, parameter)}

    def known(self, topic: str) -> bool:
        kind, _, rest = topic.partition(":")
        if topic == f"portfolio:{USER}":
            return True
        if rest.isdigit():
            kinds = ("balances", "positions", "orders", "fills", "transfers", "notices")
            return int(rest) in self.accounts and kind in kinds
        if kind.partition("@")[0] in ("across", "matrix"):
            return any(market.symbol == rest for market in self.markets.values())
        return topic in ("streams", "arbitrage") or (
            rest in self.markets and kind.partition("@")[0] in ("book", "quote", "trades", "candles")
        )

    def _streams(self) -> dict[str, Any]:
        exchanges = list(dict.fromkeys(market.exchange for market in self.markets.values()))
        connections = [
            self._connection("binance", "spot", 1, 214.0),
            self._connection("binance", "usdm public", 1, 96.4),
            self._connection("binance", "usdm market", 1, 8.1),
            *(self._connection(name, "spot", 1, 61.7) for name in exchanges[1:]),
        ]
        for name in OTHERS[: self.exchanges - 2]:
            connections += [self._connection(name, "spot", number + 1, 20.0) for number in range(3)]
        if self.exchanges > 2:
            late = {"late_since_ms": self.started_ms, "late_ms": 250.0, "usual_ms": 12.0}
            connections[5] |= late
        return {
            "worker": {"started_ms": self.started_ms, "cpu": 0.21, "rss_mb": 120.5},
            "exchanges": [
                {
                    "exchange": name,
                    "simulated": True,
                    "via": "",
                    "notice": self.notices.get(name, self.notice if name == "kraken" else ""),
                    "notices": [],
                    "markets": 9,
                    "budget": {"spot": {**BUDGET, "used": 40 + 300 * number}},
                }
                for number, name in enumerate(exchanges)
            ],
            "connections": connections,
            "markets": [
                {
                    "exchange": market.exchange,
                    "symbol": market.symbol,
                    "state": market.state,
                    "reason": market.reason,
                    "age_ms": (now_us() - market.moved_us) // 1000,
                    "since_ms": self.started_ms,
                    "resyncs": 0,
                    "differences": 0,
                    "seq": market.seq,
                    "pinned": True,
                    "simulated": True,
                }
                for market in self.markets.values()
            ],
        }

    def _connection(self, exchange: str, route: str, number: int, rate: float) -> dict[str, Any]:
        bad = [m for m in self.markets.values() if m.exchange == exchange and m.state == "DOWN"]
        return {
            "exchange": exchange,
            "route": route,
            "number": number,
            "state": "DOWN" if bad else "LIVE",
            "reason": bad[0].reason if bad else "",
            "since_ms": self.started_ms,
            "subscriptions": 18,
            "messages_per_s": rate + self.steps % 7,
            "messages": 100_234 + int(rate) * self.steps,
            "dropped": 0,
            "buffered": 0,
            "reconnects": 1 if exchange == "kraken" else 0,
            "not_understood": 0,
            "last_data_age_ms": 40,
            "latency_ms": {"p50": 12.1, "p99": 40.0},
            "overhead_ms": {"p50": 0.2, "p99": 1.1},
            "usual_ms": 12.0,
            "late_since_ms": None,
            "late_ms": None,
            "announced": "",
            "replacing": False,
            "clock_offset_ms": None,
            "url_host": "127.0.0.1:9100",
        }

    # -- moving ------------------------------------------------------------------------------------------------------

    def send(self, topic: str) -> None:
        frame = self.frame(topic)
        if frame is None:
            return
        self.newest[topic] = frame
        for browser in self.browsers:
            if topic in browser.topics:
                browser.waiting[topic] = frame

    def watched(self) -> dict[str, list[str]]:
        """What somebody watches, by what it is about: a market's key, a symbol, an account, or nothing."""
        found: dict[str, list[str]] = defaultdict(list)
        for topic in {topic for browser in self.browsers for topic in browser.topics}:
            found[topic.partition(":")[2]].append(topic)
        return found

    def send_kinds(self, topics: list[str], kinds: set[str]) -> None:
        """Those of a market's topics that are of these kinds."""
        for topic in topics:
            if topic.partition(":")[0].partition("@")[0] in kinds:
                self.send(topic)

    def send_together(self) -> None:
        """Everything over several exchanges that somebody watches."""
        for topic in {topic for browser in self.browsers for topic in browser.topics}:
            if topic == "arbitrage" or topic.startswith(("across", "matrix")):
                self.send(topic)

    async def move(self) -> None:
        while True:
            await asyncio.sleep(STEP_S)
            self.steps += 1
            if self.steps % 10 == 0:
                self.send("streams")
                self.send(f"portfolio:{USER}")
                for account in self.accounts.values():
                    for kind in ("positions", "balances"):
                        self.send(f"{kind}:{account.id}")
            if self.steps % 40 == 0:
                for account in self.accounts.values():
                    account.asof_ms = int(time.time() * 1000)
            if self.frozen:
                continue
            watched = self.watched()
            for market in self.markets.values():
                if market.state == "LIVE":
                    self.send_kinds(watched.get(market.key, []), market.move())
            self.send_together()

    async def flush(self, browser: Browser) -> None:
        while not browser.socket.closed:
            await asyncio.sleep(BUNDLE_S)
            if browser.waiting and not self.mute:
                frames, browser.waiting = list(browser.waiting.values()), {}
                browser.bundle += 1
                for frame in frames:
                    browser.carried[frame["topic"]].append((browser.bundle, frame["n"]))
                await browser.socket.send_json({"type": "bundle", "bundle": browser.bundle, "frames": frames})

    # -- the WebSocket -----------------------------------------------------------------------------------------------

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        if self.refusing:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        browser = Browser(socket)
        self.browsers.add(browser)
        hello = {"type": "hello", "protocol": 1, "server_us": now_us(), "max_topics": 200, "user": 3}
        simulated = sorted({market.exchange for market in self.markets.values()})
        await socket.send_json(hello | {"user": USER, "simulated": simulated})
        task = asyncio.create_task(self.flush(browser))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self.receive(browser, json.loads(message.data))
        finally:
            self.browsers.discard(browser)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return socket

    async def receive(self, browser: Browser, message: dict[str, Any]) -> None:
        self.messages.append({"at": time.monotonic(), **message})
        del self.messages[:-2000]
        answer: dict[str, Any] = {"id": message.get("id")}
        match message["type"]:
            case "subscribe":
                wrong = [topic for topic in message["topics"] if not self.known(topic)]
                if wrong:
                    text = f"{wrong[0]!r} is not a topic."
                    await self.answer(browser, answer | {"type": "error", "code": "unknown_topic", "message": text})
                    return
                browser.topics |= set(message["topics"])
                await self.answer(browser, answer | {"type": "subscribed", "topics": message["topics"]})
                for topic in message["topics"]:
                    if (frame := self.newest.get(topic) or self.frame(topic)) is not None:
                        self.newest[topic] = browser.waiting[topic] = frame
            case "unsubscribe":
                browser.topics -= set(message["topics"])
                await self.answer(browser, answer | {"type": "unsubscribed", "topics": message["topics"]})
            case "drawn":
                browser.drawn.append((time.monotonic(), message["bundle"]))
            case "ping":
                pong = {"type": "pong", "client_us": message["client_us"], "server_us": now_us()}
                await self.answer(browser, answer | pong)

    async def answer(self, browser: Browser, content: dict[str, Any]) -> None:
        if not self.mute:
            await browser.socket.send_json(content)

    # -- REST --------------------------------------------------------------------------------------------------------

    async def markets_list(self, _: web.Request) -> web.Response:
        rows = []
        for market in self.markets.values():
            pair, _, settle = market.symbol.partition(":")
            base, quote = pair.split("/")
            row = {"exchange": market.exchange, "symbol": market.symbol, "native": base + quote, "base": base}
            row |= {"product": "usdm" if settle else "spot", "quote": quote, "settle": settle or None}
            row |= {"tick": market.tick, "lot": market.lot, "min_size": market.lot, "min_notional": "5"}
            rows.append(row | {"status": "trading", "pinned": base != "PEPE", "simulated": True, "via": ""})
        return web.json_response({"markets": rows})

    async def candles(self, request: web.Request) -> web.Response:
        interval = request.query["interval"]
        market = self.markets.get(f"{request.match_info['exchange']}:{request.match_info['symbol']}")
        if market is None or interval not in INTERVALS:
            return web.json_response({"error": {"code": "not_found", "message": "No such market."}}, status=404)
        bars = market.bars(interval, int(request.query.get("limit", 500)))
        return web.json_response(
            {"interval": interval, "bars": [bar for i, bar in enumerate(bars) if i not in (440, 441, 442)]}
        )

    async def accounts_list(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            self.posted.append({"body": await request.json(), "csrf": request.headers.get("X-CSRFToken")})
            return web.json_response(self.accounts[7].row, status=201)
        return web.json_response({"accounts": [account.row for account in self.accounts.values()]})

    async def fills(self, request: web.Request) -> web.Response:
        account = self.accounts[int(request.query.get("account", 7))]
        limit = int(request.query.get("limit", 100))
        if "sort" in request.query:
            return fills_by_time(account, request.query)
        wanted = request.query.get("symbol")
        rows = [row for row in account.fills if wanted in (None, row["symbol"])]
        if "before" in request.query:
            older = [row for row in rows if row["row"] < int(request.query["before"])][::-1]
            return web.json_response(account.page(older[:limit], more=len(older) > limit))
        if wanted is not None:
            return web.json_response(account.page(rows[::-1][:limit], more=len(rows) > limit))
        newer = [row for row in rows if row["row"] > int(request.query.get("after", 0))]
        return web.json_response(account.page(newer[:limit], more=len(newer) > limit))

    async def sealing_key(self, _: web.Request) -> web.Response:
        return web.json_response({"public_key": self.public_key, "key_id": "test"})

    # -- pages -------------------------------------------------------------------------------------------------------

    async def pages(self, request: web.Request) -> web.Response:
        rows = [account.row for account in self.accounts.values()]
        how = "Make a key under API Management."
        facts = {"passphrase": False, "passphrase_name": "", "how": how, "tells_rights": True}
        exchanges = [{"name": "binance", "products": ["spot", "usdm"], **facts}]
        named = {"passphrase": True, "passphrase_name": "API passphrase", "tells_rights": False}
        exchanges.append({"name": "okx", "products": ["unified"], **facts, **named})
        match request.match_info.get("name", ""):
            case "":
                return fakepages.page("dashboard.html")
            case "accounts":
                return fakepages.page(
                    "accounts.html", page="accounts", exchanges=exchanges, accounts=rows, has_password=False
                )
            case "balances":
                held = self.accounts[7].data("balances")["balances"]
                return fakepages.page("balances.html", page="balances", balances=held, accounts=rows)
            case "login":
                field = SimpleNamespace(value=None, errors=[])
                form = SimpleNamespace(non_field_errors=[], username=field, password=field)
                return fakepages.page("login.html", form=form, next="/")
        return fakepages.page("error.html", status=404, title="Not found", message="There is nothing at this address.")

    # -- what tests ask for ------------------------------------------------------------------------------------------

    async def control(self, request: web.Request) -> web.Response:
        given = await request.json()
        match request.match_info["what"]:
            case "set":
                for name in ("frozen", "mute", "refusing", "exchanges", "notice", "public_key"):
                    setattr(self, name, given.get(name, getattr(self, name)))
            case "market":
                market = self.markets[given.pop("key")]
                for name, value in given.items():
                    setattr(market, name, value)
                self.send_kinds(self.watched()[market.key], {"book", "quote", "trades", "candles"})
                self.send_together()
                self.send("streams")
            case "venues":
                self.kill()
                self.reset(venues(given["count"]))
            case "together":
                for name, value in given.items():
                    setattr(self.together, name, value)
                self.send_together()
            case "event":
                event = self.together.add_event(**given)
                self.send_together()
                return web.json_response(event)
            case "own":
                for name, value in given.items():
                    setattr(self.own, name, value)
                self.send(f"portfolio:{USER}")
            case "finding":
                row = self.own.add_notice(**given)
                self.send("notices:7")
                return web.json_response(row)
            case "agreed":
                self.own.resolve(given["row"])
                self.send("notices:7")
            case "notice":
                self.notices[given["exchange"]] = given["text"]
                self.send("streams")
            case "orders":
                self.order_answers = given["answers"]
            case "wishes":
                self.own.settings |= given
            case "account":
                for name, value in given.items():
                    setattr(self.accounts[7], name, value)
                for kind in ("balances", "positions", "orders", "fills"):
                    self.send(f"{kind}:7")
            case "kill":
                self.kill()
            case "reset":
                self.kill()
                self.reset()
            case "fill":
                account = self.accounts[7]
                rows = [account.fill() for _ in range(given.get("count", 1))]
                self.send("fills:7")
                return web.json_response(rows)
            case "painted":
                topic = given["topic"]
                painted = [browser.painted(topic) for browser in self.browsers if topic in browser.topics]
                sent = self.newest.get(topic, {"n": 0})["n"]
                return web.json_response({"sent": sent, "painted": min(painted, default=0)})
            case "frame":
                return web.json_response(self.newest.get(given["topic"]))
            case "log":
                drawn = [entry for browser in self.browsers for entry in browser.drawn]
                topics = [sorted(browser.topics) for browser in self.browsers]
                body = {"messages": self.messages, "drawn": drawn, "topics": topics, "posted": self.posted}
                return web.json_response(body)
        return web.json_response({})

    def kill(self) -> None:
        """Cut all WebSockets, without a closing handshake."""
        for browser in list(self.browsers):
            if browser.socket._req is not None and browser.socket._req.transport is not None:
                browser.socket._req.transport.abort()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/ws/", self.websocket)
        app.router.add_get("/api/markets/", self.markets_list)
        app.router.add_get("/api/candles/{exchange}/{symbol:.+}/", self.candles)
        app.router.add_route("*", "/api/accounts/", self.accounts_list)
        app.router.add_get("/api/fills/", self.fills)
        app.router.add_get("/api/sealing-key/", self.sealing_key)
        AcrossApi(self).add_to(app.router)
        PortfolioApi(self, lambda: self.own).add_to(app.router)
        TradingApi(self).add_to(app.router)
        app.router.add_get("/static/{name:.+}", fakepages.static)
        app.router.add_post("/__fake/{what}", self.control)
        app.router.add_get("/", self.pages)
        app.router.add_get("/{name}/", self.pages)
        return app


async def serve(port: int) -> None:
    server = Server()
    runner = web.AppRunner(server.app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    assert site._server is not None
    print(f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}", flush=True)
    try:
        await server.move()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    fakepages.configure()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(arguments.port))
