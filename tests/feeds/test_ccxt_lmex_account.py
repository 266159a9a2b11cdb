"""ccxt as an independent client of the simulated LMEX's accounts, and what our follower stored of the same account.

ccxt has no LMEX, and its BTSE speaks a newer API than LMEX serves. Its signature and its reading of answers are those
of the older calls too, so these are asked by name; how it lists markets is put in by hand.
"""

import asyncio
from decimal import Decimal
from typing import Any

import ccxt.async_support
import msgspec
import pytest

from bench.ccxt_accounts import set_btse_markets
from bench.ccxt_clients import client as client_of
from feeds.simulator import endpoints
from feeds.simulator.lmex.terms import LMEX_KEYS
from tests.feeds.peer import until
from tests.feeds.simulator_help import simulator
from tests.feeds.test_follower_lmex import LMEX, PERP, SPOT, followed

SPOT_API, FUTURES_API = "spot/api/v3.3", "futures/api/v2.3"


def btse(port: int, secret: str) -> Any:
    key = msgspec.structs.replace(LMEX_KEYS.test, secret=secret)
    exchange = client_of(ccxt.async_support.btse, endpoints("127.0.0.1", port)["lmex"], key)
    set_btse_markets(exchange)
    return exchange


async def test_the_same_figures() -> None:
    async with simulator(instruments=LMEX) as client, followed(client=client) as account:
        await account.live()
        await account.fills(5)
        await account.fills(5, product="futures")
        exchange = btse(client.server.port, LMEX_KEYS.test.secret)

        async def ask(path: str, method: str = "GET", **params: Any) -> Any:
            return await exchange.request(path, ["private"], method, params)

        try:
            async with asyncio.timeout(15):
                order = {"symbol": "BTC-USDT", "side": "BUY", "type": "LIMIT", "price": 1000, "size": 0.01}
                [placed] = await ask(f"{SPOT_API}/order", "POST", **order, time_in_force="GTC", clOrderID="by-ccxt")
                assert exchange.parse_order(placed)["status"] == "open"
                await until(lambda: (SPOT, placed["orderID"]) in account.store.orders)
                await account.must_agree()

                spot = exchange.parse_balance(await ask("spot/api/v3.2/user/wallet"))
                assert Decimal(str(spot["USDT"]["total"])) == account.store.totals()["spot", "USDT"]
                assert Decimal(str(spot["USDT"]["used"])) == Decimal("10.00")
                futures = exchange.parse_balance(await ask(f"{FUTURES_API}/user/wallet", wallet="CROSS@"))
                assert futures["USDT"]["total"] == pytest.approx(float(account.store.totals()["futures", "USDT"]))

                [position] = exchange.parse_positions(await ask(f"{FUTURES_API}/user/positions"))
                size = Decimal(str(position["contracts"])) * Decimal("0.00001")
                signed = size if position["side"] in ("long", "buy") else -size
                assert {PERP: signed} == account.store.sizes()

                [order] = exchange.parse_orders(await ask(f"{SPOT_API}/user/open_orders"))
                known = account.store.orders[SPOT, placed["orderID"]]
                assert (order["clientOrderId"], order["price"]) == (known.client_id, float(known.price))

                for path, symbol in ((SPOT_API, SPOT), (FUTURES_API, PERP)):
                    name = "BTC-USDT" if symbol == SPOT else "BTC-PERP"
                    told = exchange.parse_trades(await ask(f"{path}/user/trade_history", symbol=name))
                    stored = [row for row in account.store.rows if row["symbol"] == symbol]
                    assert sorted((t["id"], t["price"], t["fee"]["cost"]) for t in told) == sorted(
                        (row["id"], float(row["price"]), float(row["fee"])) for row in stored
                    )

                [cancelled] = await ask(f"{SPOT_API}/order", "DELETE", symbol="BTC-USDT", orderID=placed["orderID"])
                assert exchange.parse_order(cancelled)["status"] == "canceled"
                await until(lambda: account.store.orders[SPOT, placed["orderID"]].status == "canceled")
        finally:
            await exchange.close()


async def test_a_wrong_secret_is_refused() -> None:
    async with simulator(instruments=LMEX) as client:
        exchange = btse(client.server.port, "wrong")
        try:
            with pytest.raises(ccxt.BaseError, match="UNAUTHORIZED"):
                await exchange.request("spot/api/v3.2/user/wallet", ["private"], "GET", {})
        finally:
            await exchange.close()
