"""An exchange with one market whose best bid says which update it is: update ``n`` sets its size to ``n`` lots.

So whoever shows the book shows the number of the update, and when each was sent is known. Speaks as much of Binance's
spot protocol as a book needs, plus three pages for the baselines. Run as ``python -m bench.one_market PORT``.
"""

import asyncio
import json
import sys
import time

from aiohttp import WSMsgType, web

PER_S = 10
LOT = 0.00001
BIDS = [[f"{60000 - i:.2f}", "1.00000"] for i in range(1, 400)]
ASKS = [[f"{60001 + i:.2f}", "1.00000"] for i in range(400)]

WATCH = """
const seen = [];
window.seen = seen;
function shown(n) {
  requestAnimationFrame(() => setTimeout(() => seen.push([n, performance.timeOrigin + performance.now()]), 0));
}
"""

RELAY_PAGE = f"""<!doctype html><title>relay</title><div id=out></div><script>{WATCH}
const out = document.getElementById("out");
const socket = new WebSocket(`ws://${{location.host}}/stream?streams=btcusdt@depth@100ms`);
socket.onmessage = (message) => {{
  const frame = JSON.parse(message.data);
  if (!frame.data) return;
  const n = frame.data.u;
  out.textContent = n;
  shown(n);
}};
</script>"""

POLL_PAGE = f"""<!doctype html><title>poll</title><div id=out></div><script>{WATCH}
const out = document.getElementById("out");
async function poll() {{
  const answer = await (await fetch("/api/v3/depth?symbol=BTCUSDT&limit=5")).json();
  out.textContent = answer.lastUpdateId;
  shown(answer.lastUpdateId);
}}
setInterval(poll, 1000);
</script>"""


class Market:
    def __init__(self) -> None:
        self.n = 0
        self.sent_ms: dict[int, float] = {}
        self.sockets: set[web.WebSocketResponse] = set()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(1 / PER_S)
            self.n += 1
            now_ms = time.time() * 1000
            data = {
                "e": "depthUpdate",
                "E": int(now_ms),
                "s": "BTCUSDT",
                "U": self.n,
                "u": self.n,
                "b": [["60000.00", f"{self.n * LOT:.5f}"]],
                "a": [],
            }
            text = json.dumps({"stream": "btcusdt@depth@100ms", "data": data})
            self.sent_ms[self.n] = now_ms
            for socket in list(self.sockets):
                await socket.send_str(text)

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        if "streams" in request.query:
            self.sockets.add(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                ask = json.loads(message.data)
                if any("@depth" in stream for stream in ask["params"]):
                    self.sockets.add(socket)
                await socket.send_str(json.dumps({"result": None, "id": ask["id"]}))
        self.sockets.discard(socket)
        return socket

    async def rest(self, request: web.Request) -> web.Response:
        path = request.path
        if path == "/relay":
            return web.Response(text=RELAY_PAGE, content_type="text/html")
        if path == "/poll":
            return web.Response(text=POLL_PAGE, content_type="text/html")
        if path == "/sent":
            return web.json_response(self.sent_ms)
        if path.endswith("/depth"):
            limit = int(request.query.get("limit", "100"))
            bids = [["60000.00", f"{self.n * LOT:.5f}"], *BIDS] if self.n else BIDS
            return web.json_response({"lastUpdateId": self.n, "bids": bids[:limit], "asks": ASKS[:limit]})
        if path.endswith("/exchangeInfo"):
            return web.json_response(
                {
                    "timezone": "UTC",
                    "serverTime": int(time.time() * 1000),
                    "rateLimits": [],
                    "symbols": [
                        {
                            "symbol": "BTCUSDT",
                            "status": "TRADING",
                            "baseAsset": "BTC",
                            "quoteAsset": "USDT",
                            "isSpotTradingAllowed": True,
                            "filters": [
                                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "tickSize": "0.01"},
                                {"filterType": "LOT_SIZE", "minQty": "0.00001", "stepSize": "0.00001"},
                            ],
                        }
                    ],
                }
            )
        if path.endswith("/klines"):
            return web.json_response([])
        return web.json_response({"code": -1, "msg": f"not here: {path}"}, status=404)


async def main(port: int) -> None:
    market = Market()
    app = web.Application()
    app.router.add_get("/stream", market.stream)
    app.router.add_get("/{tail:.*}", market.rest)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await market.run()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
