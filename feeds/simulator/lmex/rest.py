"""LMEX's public REST: market summary, prices, books, trades, candles, funding; its limits and the form of errors."""

from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from feeds.simulator.faults import Faults
from feeds.simulator.lmex.frames import Printer
from feeds.simulator.lmex.sockets import LmexSockets
from feeds.simulator.market import FUNDING_MS, LiveMarket

VERSIONS = {"spot": ("v3.1", "v3.2", "v3.3"), "futures": ("v2.1", "v2.2", "v2.3")}
RESOLUTIONS = (1, 5, 15, 30, 60, 240, 360, 1440)
"""In minutes; weeks and months are documented too, and not simulated."""
QUERIES_PER_S = 15
_BLOCKS_S = (1, 300, 900)
_CLEAN_S = 3600.0
_MOST_ROWS = 300


class LmexError(Exception):
    """Answered as ``{"status": ..., "errorCode": ..., "message": ...}``."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Meter:
    """15 queries a second for each call (75 for orders); beyond it blocked for 1 s, then 5 min, then 15 min. Everybody
    is one here."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._queries: dict[str, deque[float]] = {}
        self._blocks = 0
        self._blocked_until_s = 0.0

    def charge(self, call: str, limit: int = QUERIES_PER_S) -> float:
        """How long the address is blocked; 0: go on."""
        now_s = self._clock()
        if now_s < self._blocked_until_s:
            return self._blocked_until_s - now_s
        if now_s - self._blocked_until_s > _CLEAN_S:
            self._blocks = 0
        queries = self._queries.setdefault(call, deque())
        queries.append(now_s)
        while queries[0] <= now_s - 1:
            queries.popleft()
        if len(queries) <= limit:
            return 0.0
        length_s = _BLOCKS_S[min(self._blocks, len(_BLOCKS_S) - 1)]
        self._blocks += 1
        self._blocked_until_s = now_s + length_s
        return float(length_s)


class LmexRest:
    def __init__(
        self, sockets: LmexSockets, faults: Faults, clock: Callable[[], float], clock_ms: Callable[[], int]
    ) -> None:
        self._markets = sockets.markets
        self._printers = sockets.printers
        self._faults = faults
        self._clock_ms = clock_ms
        self._meter = Meter(clock)

    def routes(self, prefix: str) -> list[web.RouteDef]:
        found = []
        for product, versions in VERSIONS.items():
            calls: dict[str, Callable[[str, web.Request], str]] = {
                "market_summary": self._summary,
                "price": self._price,
                "orderbook": self._depth,
                "orderbook/L2": self._depth,
                "trades": self._trades,
                "ohlcv": self._ohlcv,
                **({"time": self._time} if product == "spot" else {"funding_history": self._funding}),
            }
            for version in versions:
                for name, call in calls.items():
                    path = f"{prefix}/{product}/api/{version}/{name}"
                    found.append(web.get(path, self._wrap(product, name, call)))
        return found

    def _wrap(self, product: str, name: str, call: Callable[[str, web.Request], str]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            async def work() -> str:
                return call(product, request)

            return await self.guarded(product, name, work)

        return handle

    async def guarded(
        self, product: str, name: str, work: Callable[[], Awaitable[str]], limit: int = QUERIES_PER_S
    ) -> web.Response:
        """What ``work`` answers, unless a fault or a limit forbids it; LmexError is answered as LMEX does."""
        try:
            fault = self._faults.strike("lmex", "status", product)
            if fault is not None:
                code = int(fault.number(503))
                return self._error(code, "simulated", fault.retry_s if code == 429 else None)
            blocked_s = self._meter.charge(f"{product} {name}", limit)
            if blocked_s:
                return self._error(429, "TOO_MANY_REQUESTS", blocked_s)
            return web.Response(text=await work(), content_type="application/json")
        except LmexError as error:
            return self._error(error.status, str(error))

    def _error(self, status: int, text: str, blocked_s: float | None = None) -> web.Response:
        """``Retry-After`` is the moment of release, in milliseconds."""
        headers = {} if blocked_s is None else {"Retry-After": str(self._clock_ms() + int(blocked_s * 1000))}
        body = {"status": status, "errorCode": status, "message": text}
        return web.json_response(body, status=status, headers=headers)

    # -- parameters ----------------------------------------------------------------------------------------------

    def _one(self, product: str, request: web.Request) -> tuple[LiveMarket, Printer]:
        market = self._markets[product].get(request.query.get("symbol", ""))
        if market is None:
            raise LmexError(400, "BAD_REQUEST: Market pair is invalid")
        return market, self._printers[market]

    def _chosen(self, product: str, request: web.Request) -> list[LiveMarket]:
        return [self._one(product, request)[0]] if "symbol" in request.query else list(self._markets[product].values())

    @staticmethod
    def _integer(request: web.Request, name: str, default: int, most: int) -> int:
        text = request.query.get(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise LmexError(400, "BAD_REQUEST: Invalid parameter")
        return min(int(text), most)

    # -- calls ---------------------------------------------------------------------------------------------------

    def _summary(self, product: str, request: web.Request) -> str:
        full = request.query.get("listFullAttributes") == "true"
        return "[" + ",".join(self._entry(market, full=full) for market in self._chosen(product, request)) + "]"

    def _entry(self, market: LiveMarket, *, full: bool) -> str:
        i, printer, day, top = market.instrument, self._printers[market], market.candles.day(), market.top
        futures, price = i.product == "futures", printer.price
        step, least = ("1", str(int(i.min_size / i.lot))) if futures else (f"{i.lot:f}", f"{i.min_size:f}")
        turnover, volume = day.value * i.tick * i.lot, day.volume * i.lot
        change = 100 * (day.close / day.open - 1)
        funding = f'"fundingRate":{market.funding_rate:.9f}' if futures else '"fundingRate":0'
        if full and futures:
            funding += f',"fundingIntervalMinutes":{FUNDING_MS // 60_000},"fundingTime":{market.next_funding_ms()}'
        kind = (
            f'"contractSize":{i.lot:f},"futures":true,"availableSettlement":["USD","USDT","BTC"]'
            if futures
            else '"contractSize":0,"futures":false,"isMarketOpenToOtc":false,"isMarketOpenToSpot":true'
        )
        return (
            f'{{"symbol":"{i.native}","last":{price(day.close)},"lowestAsk":{price(top.ask)},'
            f'"highestBid":{price(top.bid)},"percentageChange":{change:.4f},"volume":{turnover:.6f},'
            f'"high24Hr":{price(day.high)},"low24Hr":{price(day.low)},"base":"{i.base}","quote":"{i.quote}",'
            f'"active":true,"size":{volume:f},"minValidPrice":{i.tick:f},"minPriceIncrement":{i.tick:f},'
            f'"minOrderSize":{least},"maxOrderSize":1000000,"minSizeIncrement":{step},"openInterest":0,'
            f'"openInterestUSD":0,"contractStart":0,"contractEnd":0,"timeBasedContract":false,"openTime":0,'
            f'"closeTime":0,"startMatching":0,"inactiveTime":0,{kind},{funding}}}'
        )

    def _price(self, product: str, request: web.Request) -> str:
        rows = []
        for market in self._chosen(product, request):
            last = self._printers[market].price(market.candles.day().close)
            mark, index, _ = market.mark_texts() if product == "futures" else (last, last, "")
            name = market.instrument.native
            rows.append(f'{{"symbol":"{name}","indexPrice":{index},"lastPrice":{last},"markPrice":{mark}}}')
        return "[" + ",".join(rows) + "]"

    def _depth(self, product: str, request: web.Request) -> str:
        market, printer = self._one(product, request)
        count = self._integer(request, "depth", 50, 50)
        sides = (
            "["
            + ",".join(f'{{"price":"{printer.price(p)}","size":"{printer.size(s)}"}}' for p, s in side.top(count))
            + "]"
            for side in (market.engine.bids, market.engine.asks)
        )
        bids, asks = sides
        name = market.instrument.native
        return f'{{"symbol":"{name}","buyQuote":{bids},"sellQuote":{asks},"timestamp":{self._clock_ms()}}}'

    def _trades(self, product: str, request: web.Request) -> str:
        """Newest first."""
        market, printer = self._one(product, request)
        rows = list(market.recent)[-self._integer(request, "count", 50, 500) :] if market.recent else []
        name = market.instrument.native
        return (
            "["
            + ",".join(
                f'{{"price":{printer.price(row.price)},"size":{printer.size(row.size)},'
                f'"side":"{"BUY" if row.taker_buys else "SELL"}","symbol":"{name}","serialId":{row.id},'
                f'"timestamp":{row.ms}}}'
                for row in reversed(rows)
            )
            + "]"
        )

    def _ohlcv(self, product: str, request: web.Request) -> str:
        """Newest first; the volume is turnover. ``start`` and ``end`` in milliseconds."""
        market, printer = self._one(product, request)
        minutes = self._integer(request, "resolution", 60, 10**6)
        if minutes not in RESOLUTIONS:
            raise LmexError(400, "BAD_REQUEST: Invalid parameter")
        market.candles.series(minutes * 60_000)
        market.candles.roll(self._clock_ms())
        start, end = (
            self._integer(request, name, default, 10**14) for name, default in (("start", 0), ("end", 10**14))
        )
        bars = [bar for bar in market.candles.since(minutes * 60_000, start) if bar.open_ms <= end][-_MOST_ROWS:]
        worth, price = market.instrument.tick * market.instrument.lot, printer.price
        rows = ",".join(
            f"[{bar.open_ms // 1000},{price(bar.open)},{price(bar.high)},{price(bar.low)},{price(bar.close)},"
            f"{bar.value * worth:f}]"
            for bar in reversed(bars)
        )
        return f"[{rows}]"

    def _funding(self, product: str, request: web.Request) -> str:
        """The last settlements, all at today's rate; times in seconds."""
        market, _ = self._one(product, request)
        name, count = market.instrument.native, self._integer(request, "count", 10, 100)
        last_ms = market.next_funding_ms() - FUNDING_MS
        rows = ",".join(
            f'{{"time":{(last_ms - n * FUNDING_MS) // 1000},"rate":{market.funding_rate:.9f},"symbol":"{name}"}}'
            for n in range(count)
        )
        return f'{{"{name}":[{rows}]}}'

    def _time(self, product: str, request: web.Request) -> str:
        now_ms = self._clock_ms()
        iso = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return f'{{"iso":"{iso}","epoch":{now_ms // 1000}}}'
