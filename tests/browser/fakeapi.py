"""REST of what several exchanges show together, for the stand-in server: docs/protocol.md sections 3 and 5."""

from typing import Any, Protocol

from aiohttp import web

from tests.browser.fakeacross import Together


class Host(Protocol):
    """What is needed of the stand-in server."""

    together: Together
    posted: list[dict[str, Any]]

    def send_together(self) -> None: ...


class AcrossApi:
    """Events in pages, fees and the threshold; what is changed is kept in ``posted`` with its CSRF token."""

    def __init__(self, server: Host) -> None:
        self._server = server

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get("/api/arbitrage/", self.arbitrage)
        router.add_route("*", "/api/arbitrage/settings/", self.settings)
        router.add_get("/api/fees/", self.fees)
        router.add_route("*", "/api/fees/{exchange}/{product}/", self.fee)

    async def arbitrage(self, request: web.Request) -> web.Response:
        limit, before = int(request.query.get("limit", 100)), int(request.query.get("before", 2**53))
        rows = sorted((e for e in self._server.together.events if e["id"] < before), key=lambda event: -event["id"])
        return web.json_response({"events": rows[:limit], "more": len(rows) > limit})

    async def settings(self, request: web.Request) -> web.Response:
        if request.method != "GET":
            body = await self.changed(request)
            self._server.together.threshold = (body["threshold_bps"], body["duration_s"]) if body else None
            self._server.send_together()
        return web.json_response(self._server.together.settings())

    async def fees(self, _: web.Request) -> web.Response:
        return web.json_response({"fees": self._server.together.fee_rows()})

    async def fee(self, request: web.Request) -> web.Response:
        exchange, product = request.match_info["exchange"], request.match_info["product"]
        body = await self.changed(request)
        if body and body["maker_bps"] == "666":
            error = {"code": "bad_field", "message": "maker_bps: the stand-in refuses 666.", "field": "maker_bps"}
            return web.json_response({"error": error}, status=400)
        self._server.together.fees.pop((exchange, product), None)
        if body:
            self._server.together.fees[exchange, product] = (body["maker_bps"], body["taker_bps"])
        self._server.send_together()
        return web.json_response(self._server.together.fee_row(exchange))

    async def changed(self, request: web.Request) -> dict[str, Any]:
        """The body of a change, which is kept for the test; empty for DELETE."""
        body: dict[str, Any] = await request.json() if request.method == "PUT" else {}
        self._server.posted.append({"body": body, "csrf": request.headers.get("X-CSRFToken"), "path": request.path})
        return body
