"""An account as ccxt reads it, in the terms in which ours is told: sizes in base currency, figures as decimals.

None is what ccxt does not tell. Only calls of ccxt are used, or for LMEX, which it does not have, BTSE's signature and
BTSE's reading of answers around the older calls, asked by name.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

import ccxt.async_support as ccxt
from ccxt.base.errors import OrderNotFound

from bench.ccxt_clients import Binance, BinanceUsdm, client
from bench.standing import terms_of
from feeds.simulator.keys import ApiKey


class Cash(NamedTuple):
    total: Decimal | None
    free: Decimal | None
    used: Decimal | None


class Position(NamedTuple):
    size: Decimal | None  # signed
    entry: Decimal | None


class Resting(NamedTuple):
    symbol: str
    client_id: str | None
    side: str | None
    price: Decimal | None
    size: Decimal | None
    filled: Decimal | None


class Trade(NamedTuple):
    symbol: str
    order: str | None
    side: str | None
    price: Decimal | None
    size: Decimal | None
    fee: Decimal | None
    fee_asset: str | None
    maker: bool | None
    exchange_ms: int | None


def number(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))


class Theirs:
    """ccxt's client of one account, or of one part of it. ``wallet``: what ours calls the balances that it tells."""

    has: Mapping[str, Any]
    trade_params: ClassVar[Mapping[str, Any]] = {}  # of fetch_my_trades

    def __init__(self, exchange: Any, symbols: Iterable[str], wallet: str, params: Mapping[str, Any]) -> None:
        self.exchange = exchange
        self.symbols = tuple(symbols)
        self.wallets: tuple[str, ...] = (wallet,)
        self.has = exchange.has
        self._params = params  # of fetch_balance

    @property
    def perpetuals(self) -> tuple[str, ...]:
        return tuple(symbol for symbol in self.symbols if ":" in symbol)

    def knows(self, asset: str) -> bool:
        """Could ccxt tell it at all?"""
        return True

    async def start(self) -> None:
        await self.exchange.load_markets()

    async def close(self) -> None:
        await self.exchange.close()

    async def balances(self) -> dict[tuple[str, str], Cash]:
        """By wallet and asset; without those of zero."""
        return _cash(self.wallets[0], await self.exchange.fetch_balance(dict(self._params)))

    async def positions(self) -> dict[str, Position]:
        return self._open(await self.exchange.fetch_positions([*self.perpetuals]))

    async def open_orders(self) -> dict[str, Resting]:
        rows = [row for symbol in self.symbols for row in await self.exchange.fetch_open_orders(symbol)]
        return {row["id"]: self._resting(row) for row in rows}

    async def trades(self) -> list[tuple[str, Trade]]:
        """With their ids, as ours has them, and as often as they are told."""
        asked = [await self.exchange.fetch_my_trades(s, params=dict(self.trade_params)) for s in self.symbols]
        rows = [row for told in asked for row in told]
        return [(self._id(row), self._trade(row)) for row in rows]

    async def place(self, symbol: str, side: str, size: Decimal, price: int | None) -> str:
        """The order's id; ``price`` None: a market order."""
        kind = "market" if price is None else "limit"
        amount = float(size / self._unit(symbol))
        placed = await self.exchange.create_order(symbol, kind, side, amount, price)
        return str(placed["id"])

    async def cancel(self, symbol: str, order: str) -> None:
        await self.exchange.cancel_order(order, symbol)

    async def is_gone(self, symbol: str, order: str) -> bool:
        """Cannot be cancelled any more."""
        try:
            await self.cancel(symbol, order)
        except OrderNotFound:
            return True
        except ccxt.BaseError as error:
            return "has failed" in str(error) or "cancel" in str(error).lower()
        return False

    # -- rows ----------------------------------------------------------------------------------------------------------

    def _unit(self, symbol: str) -> Decimal:
        return number(self.exchange.market(symbol)["contractSize"]) or Decimal(1)

    def _size(self, symbol: str, amount: Any) -> Decimal | None:
        size = number(amount)
        return None if size is None else size * self._unit(symbol)

    def _open(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, Position]:
        """Some exchanges tell what is closed, too, with a size of zero."""
        return {row["symbol"]: self._position(row) for row in rows if row["contracts"] != 0}

    def _position(self, row: Mapping[str, Any]) -> Position:
        size = self._size(row["symbol"], row["contracts"])
        if size is not None and row["side"] in ("short", "sell"):
            size = -size
        return Position(size, number(row["entryPrice"]))

    def _resting(self, row: Mapping[str, Any]) -> Resting:
        sizes = (self._size(row["symbol"], row[name]) for name in ("amount", "filled"))
        return Resting(row["symbol"], row["clientOrderId"], row["side"], number(row["price"]), *sizes)

    def _id(self, row: Mapping[str, Any]) -> str:
        return str(row["id"])

    def _trade(self, row: Mapping[str, Any]) -> Trade:
        fee = row["fee"] or {}
        maker = None if row["takerOrMaker"] is None else row["takerOrMaker"] == "maker"
        return Trade(
            symbol=row["symbol"],
            order=row["order"],
            side=row["side"],
            price=number(row["price"]),
            size=self._size(row["symbol"], row["amount"]),
            fee=number(fee.get("cost")),
            fee_asset=fee.get("currency"),
            maker=maker,
            exchange_ms=row["timestamp"],
        )


class Coinbase(Theirs):
    """ccxt takes ``trade_id`` for a trade's id, which several fills of one trade may share; ours is ``entry_id``."""

    def _id(self, row: Mapping[str, Any]) -> str:
        return str(row["info"]["entry_id"])


class Bybit(Theirs):
    """With cross margin all coins are collateral for all. ccxt subtracts the margins from each coin, as is documented
    for isolated margin alone: what is free is not compared (how ours is told says feeds/accounts/bybit/rows.py)."""

    async def balances(self) -> dict[tuple[str, str], Cash]:
        told = await super().balances()
        return {key: Cash(cash.total, None, None) for key, cash in told.items()}


class Kraken(Theirs):
    """ccxt takes ``userref`` for a client id where there is none; of an order without either that is 0. Kraken puts the
    executions of one taker together unless it is asked not to."""

    trade_params: ClassVar[Mapping[str, Any]] = {"consolidate_taker": "false"}

    def _resting(self, row: Mapping[str, Any]) -> Resting:
        told = super()._resting(row)
        return told if row["info"].get("cl_ord_id") else told._replace(client_id=None)


class Alpaca(Theirs):
    """ccxt says taker of every trade, as Alpaca tells nothing of it; and it knows no shares."""

    def knows(self, asset: str) -> bool:
        return not asset.endswith(".US")

    def _trade(self, row: Mapping[str, Any]) -> Trade:
        return super()._trade(row)._replace(maker=None)


class Lmex(Theirs):
    """By BTSE's client: see the module's docstring."""

    PATHS = ("spot/api/v3.3", "futures/api/v2.3")
    NATIVE = ("BTC-USDT", "BTC-PERP")

    def __init__(self, exchange: Any, symbols: Iterable[str], wallet: str, params: Mapping[str, Any]) -> None:
        super().__init__(exchange, symbols, wallet, params)
        self.wallets = ("spot", "futures")
        self.has = {}

    async def start(self) -> None:
        set_btse_markets(self.exchange)

    async def balances(self) -> dict[tuple[str, str], Cash]:
        spot = await self._ask("spot/api/v3.2/user/wallet")
        futures = await self._ask(f"{self.PATHS[1]}/user/wallet", wallet="CROSS@")
        read = self.exchange.parse_balance
        return _cash("spot", read(spot)) | _cash("futures", read(futures))

    async def positions(self) -> dict[str, Position]:
        return self._open(self.exchange.parse_positions(await self._ask(f"{self.PATHS[1]}/user/positions")))

    async def open_orders(self) -> dict[str, Resting]:
        raw = [row for path in self.PATHS for row in await self._ask(f"{path}/user/open_orders")]
        return {row["id"]: self._resting(row) for row in self.exchange.parse_orders(raw)}

    async def trades(self) -> list[tuple[str, Trade]]:
        found = []
        for symbol in self.symbols:
            path, native = self._of(symbol)
            raw = await self._ask(f"{path}/user/trade_history", symbol=native)
            found += [(self._id(row), self._trade(row)) for row in self.exchange.parse_trades(raw)]
        return found

    async def place(self, symbol: str, side: str, size: Decimal, price: int | None) -> str:
        path, native = self._of(symbol)
        amount = size / self._unit(symbol)
        order = {"symbol": native, "side": side.upper(), "size": int(amount) if ":" in symbol else float(amount)}
        kind = {"type": "MARKET"} if price is None else {"type": "LIMIT", "price": price, "time_in_force": "GTC"}
        [placed] = await self._ask(f"{path}/order", "POST", **order, **kind)
        return str(placed["orderID"])

    async def cancel(self, symbol: str, order: str) -> None:
        path, native = self._of(symbol)
        [told] = await self._ask(f"{path}/order", "DELETE", symbol=native, orderID=order)
        if self.exchange.parse_order(told)["status"] != "canceled":
            raise OrderNotFound(str(told))

    def _of(self, symbol: str) -> tuple[str, str]:
        at = 1 if ":" in symbol else 0
        return self.PATHS[at], self.NATIVE[at]

    async def _ask(self, path: str, method: str = "GET", **params: Any) -> Any:
        return await self.exchange.request(path, ["private"], method, params)


def set_btse_markets(exchange: Any) -> None:
    """How LMEX lists its markets, put in by hand: by the older call the rows have other names."""
    spot = {"symbol": "BTC-USDT", "type": "Spot", "baseCurrency": "BTC", "quoteCurrency": "USDT", "active": True}
    perpetual = {
        **spot,
        "symbol": "BTC-PERP",
        "type": "FuturesPerpetual",
        "tradeCurrency": "BTC-PERP",
        "contractSize": "0.00001",
    }
    exchange.set_markets([exchange.parse_market(row) for row in (spot, perpetual)])
    exchange.markets_by_id["BTC-PERP-USDT"] = exchange.markets_by_id["BTC-PERP"]  # positions have another name


def _cash(wallet: str, told: Mapping[str, Any]) -> dict[tuple[str, str], Cash]:
    found = {}
    for asset, total in told["total"].items():
        parts = told[asset]
        if total:
            found[wallet, asset] = Cash(number(total), number(parts["free"]), number(parts["used"]))
    return found


class Part(NamedTuple):
    """One client: of an exchange's whole account, or of one product where ccxt has a class for each. ``wallet`` is what
    ours calls the balances; ``params`` are those of fetch_balance."""

    label: str
    exchange: str
    kind: Any
    symbols: tuple[str, ...]
    wallet: str
    reader: type[Theirs] = Theirs
    params: Mapping[str, Any] = {}
    unsaid: frozenset[str] = frozenset()  # fields that ours never tells


_BOTH = ("BTC/USDT", "BTC/USDT:USDT")
_LOCKED = frozenset({"used"})
PARTS = (
    Part("binance spot", "binance", Binance, _BOTH[:1], "spot"),
    Part("binance usdm", "binance", BinanceUsdm, _BOTH[1:], "usdm", unsaid=_LOCKED),
    Part("bybit", "bybit", ccxt.bybit, _BOTH, "unified", Bybit),
    Part("okx", "okx", ccxt.okx, _BOTH, "trading"),
    Part("coinbase", "coinbase", ccxt.coinbase, ("BTC/USD",), "spot", Coinbase, {"v3": True}),
    Part("kraken", "kraken", ccxt.kraken, ("BTC/USD",), "spot", Kraken),
    Part("krakenfutures", "krakenfutures", ccxt.krakenfutures, ("BTC/USD:USD",), "futures", unsaid=_LOCKED),
    Part("lmex", "lmex", ccxt.btse, _BOTH, "spot", Lmex),
    Part("alpaca", "alpaca", ccxt.alpaca, ("BTC/USD",), "account", Alpaca),
)


def own_key(exchange: str) -> ApiKey | None:
    """Where requests carry a number that must rise, a key of ccxt's own beside ours, of the same account."""
    test = terms_of(exchange).keys.test
    if exchange not in ("kraken", "krakenfutures"):
        return None
    return ApiKey(key="AKeyOfItsOwn".ljust(56, "c"), secret=test.secret, account=test.account)


def theirs(part: Part, at: Mapping[str, str]) -> Theirs:
    """A client of the test account."""
    key = own_key(part.exchange) or terms_of(part.exchange).keys.test
    return part.reader(client(part.kind, at, key), part.symbols, part.wallet, part.params)
