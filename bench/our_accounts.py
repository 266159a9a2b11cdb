"""An account as the product's REST API shows it, in the terms of ``bench.ccxt_accounts``; and orders by that API."""

import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import aiohttp

from bench.ccxt_accounts import Cash, Part, Position, Resting, Trade
from bench.standing import until


def decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


class Ours:
    """One account by the product's REST API, in the same terms; of these markets and wallets alone."""

    def __init__(self, session: aiohttp.ClientSession, account: int, part: Part, wallets: Sequence[str]) -> None:
        self._session = session
        self._account = account
        self._symbols = part.symbols
        self._wallets = wallets

    async def _rows(self, kind: str, **query: str) -> list[dict[str, Any]]:
        path = f"/api/{kind}/"
        async with self._session.get(path, params={"account": str(self._account), **query}) as answer:
            body = await answer.json()
            if answer.status != 200:
                raise AssertionError(f"{path}: {answer.status} {body}")
            rows: list[dict[str, Any]] = body[kind]
            return rows

    async def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        async with self._session.post(f"/api/accounts/{self._account}/{path}", json=body) as answer:
            told = await answer.json()
            if answer.status != 200:
                raise AssertionError(f"{path} {body}: {answer.status} {told}")
            return told

    async def balances(self) -> dict[tuple[str, str], Cash]:
        return {
            (row["product"], row["asset"]): Cash(decimal(row["total"]), decimal(row["free"]), decimal(row["locked"]))
            for row in await self._rows("balances")
            if row["product"] in self._wallets
        }

    async def positions(self) -> dict[str, Position]:
        rows = [row for row in await self._rows("positions") if row["symbol"] in self._symbols]
        return {row["symbol"]: Position(decimal(row["size"]), decimal(row["entry"])) for row in rows}

    async def orders(self) -> dict[str, dict[str, Any]]:
        return {row["id"]: row for row in await self._rows("orders") if row["symbol"] in self._symbols}

    async def open_orders(self) -> dict[str, Resting]:
        return {
            row["id"]: Resting(
                row["symbol"], row["client_id"], row["side"], *(decimal(row[n]) for n in ("price", "size", "filled"))
            )
            for row in (await self.orders()).values()
            if row["status"] in ("open", "partial")
        }

    async def trades(self) -> list[tuple[str, Trade]]:
        rows = [row for row in await self._rows("fills", limit="1000") if row["symbol"] in self._symbols]
        return [
            (
                row["id"],
                Trade(
                    symbol=row["symbol"],
                    order=row["order_id"],
                    side=row["side"],
                    price=decimal(row["price"]),
                    size=decimal(row["size"]),
                    fee=decimal(row["fee"]),
                    fee_asset=row["fee_asset"],
                    maker=row["maker"],
                    exchange_ms=row["exchange_ms"],
                ),
            )
            for row in rows
        ]

    async def notices(self) -> list[str]:
        """Everything agrees with everything here: there should be none."""
        return [row["sentence"] for row in await self._rows("notices")]

    async def place(
        self, symbol: str, side: str, size: Decimal, price: Decimal | int | None, *, reduce_only: bool = False
    ) -> str:
        """The order's id, once the exchange has it."""
        body = {"key": uuid.uuid4().hex, "symbol": symbol, "side": side, "size": f"{size:f}"}
        body |= {"price": None if price is None else f"{price:f}", "reduce_only": reduce_only}
        ticket = await until(lambda: self._sent(body), f"an order of {symbol} that is not refused")
        if ticket["state"] != "placed":
            raise AssertionError(f"{body}: {ticket}")
        return str(ticket["order_id"])

    async def _sent(self, body: Mapping[str, Any]) -> Any:
        """The ticket; None if nothing was sent, as the account is not LIVE at the moment."""
        try:
            return await self._post("orders/", body)
        except AssertionError as error:
            if "Nothing was sent." not in str(error):
                raise
            return None

    async def cancel(self, symbol: str, order: str) -> None:
        await self._post("orders/cancel/", {"symbol": symbol, "order_id": order})
