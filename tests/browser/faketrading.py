"""REST of orders for the stand-in server: placed once per key, refused, unanswered and cancelled as a test asks."""

from typing import Any, Protocol

from aiohttp import web

from tests.browser.fakedata import Account

Row = dict[str, Any]


class Host(Protocol):
    """What is needed of the stand-in server."""

    accounts: dict[int, Account]
    posted: list[dict[str, Any]]
    order_answers: list[dict[str, Any]]

    def send(self, topic: str) -> None: ...


class TradingApi:
    """A key places one order however often it comes. ``order_answers`` of the server are given first, one a request:
    {"status", "code", "message"} for an error, "places" where the order arrived all the same; else fields of an answer.
    """

    def __init__(self, server: Host) -> None:
        self._server = server

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_post("/api/accounts/{id}/orders/", self.place)
        router.add_post("/api/accounts/{id}/orders/cancel/", self.cancel)
        router.add_post("/api/accounts/{id}/cancel-all/", self.cancel_all)
        router.add_post("/api/cancel-all/", self.cancel_everything)
        router.add_patch("/api/accounts/{id}/", self.change)

    async def place(self, request: web.Request) -> web.Response:
        account, body = await self._asked(request)
        answer = self._server.order_answers.pop(0) if self._server.order_answers else {}
        if "status" in answer:
            if answer.get("places"):
                account.place(body)
            return error(answer["status"], answer["code"], answer["message"])
        if not account.trading:
            return error(409, "refused", "Orders may not be placed on this account.")
        order = account.place(body) if answer.get("state", "placed") == "placed" else None
        self._server.send(f"orders:{account.id}")
        told = {"key": body["key"], "client_id": "sb" + body["key"][:8], "state": "placed", "sentence": ""}
        return web.json_response(told | {"order_id": order and order["id"]} | answer)

    async def cancel(self, request: web.Request) -> web.Response:
        account, body = await self._asked(request)
        if not account.cancel(body["order_id"]):
            return error(409, "refused", "The exchange does not have this order any more.")
        self._server.send(f"orders:{account.id}")
        return web.json_response({})

    async def cancel_all(self, request: web.Request) -> web.Response:
        account, _ = await self._asked(request)
        return web.json_response({"orders": self._cancel_all(account)})

    async def cancel_everything(self, request: web.Request) -> web.Response:
        self._server.posted.append({"body": await request.json(), "path": request.path})
        rows = [
            {"account": account.id, "orders": self._cancel_all(account), "sentence": ""}
            for account in self._server.accounts.values()
            if account.trading
        ]
        return web.json_response({"accounts": rows})

    async def change(self, request: web.Request) -> web.Response:
        account, body = await self._asked(request)
        if body.get("dead_man_s") not in (None, 0) and not 10 <= body["dead_man_s"] <= 3600:
            return error(400, "bad_field", f"dead_man_s: {body['dead_man_s']} is neither 0 nor from 10 to 3600.")
        account.options |= body
        account.trading = account.options["trading"]
        return web.json_response(account.row)

    def _cancel_all(self, account: Account) -> int:
        number = len(account.open_orders())
        for order in account.open_orders():
            account.cancel(order["id"])
        self._server.send(f"orders:{account.id}")
        return number

    async def _asked(self, request: web.Request) -> tuple[Account, Row]:
        body: Row = await request.json()
        csrf = request.headers.get("X-CSRFToken")
        self._server.posted.append({"body": body, "path": request.path, "csrf": csrf})
        return self._server.accounts[int(request.match_info["id"])], body


def error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
