"""Made-up data that move, in the frames of docs/protocol.md: for the page's own tests, nothing else.

No matching, no real dynamics: random walks whose frames are consistent in themselves (best prices, totals, grouping).
"""

import random
import time
from collections import deque
from decimal import Decimal
from typing import Any

Frame = dict[str, Any]

INTERVALS = {"1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000, "4h": 14_400_000, "1d": 86_400_000}
DEPTH = 25
WHOLE = 600  # levels a side of the whole book

# exchange, symbol, tick, lot, price in ticks, typical size in lots
MARKETS: list[tuple[str, str, str, str, int, int]] = [
    ("binance", "BTC/USDT", "0.01", "0.00001", 6183763, 60_000),
    ("binance", "ETH/USDT", "0.01", "0.0001", 254310, 40_000),
    ("binance", "SOL/USDT", "0.01", "0.001", 14832, 90_000),
    ("binance", "PEPE/USDT", "0.00000001", "1", 812, 90_000_000),
    ("binance", "BTC/USDT:USDT", "0.1", "0.001", 618402, 1_500),
    ("binance", "ETH/USDT:USDT", "0.01", "0.001", 254355, 12_000),
    ("kraken", "BTC/USD", "0.1", "0.00000001", 618301, 40_000_000),
    ("kraken", "ETH/USD", "0.01", "0.00000001", 254290, 700_000_000),
    ("kraken", "USDT/USD", "0.00001", "0.00000001", 99985, 3_000_000_000_000),
]


def now_us() -> int:
    return time.time_ns() // 1000


def places(step: str) -> int:
    return max(0, -int(Decimal(step).normalize().as_tuple().exponent))


class Market:
    """One market: a walk of the best prices, a whole book made around it, prints, bars."""

    def __init__(self, exchange: str, symbol: str, tick: str, lot: str, price: int, size: int) -> None:
        self.exchange, self.symbol, self.tick, self.lot = exchange, symbol, tick, lot
        self.random = random.Random(f"{exchange}{symbol}")
        self.bid = price
        self.spread = 1
        self.open = round(price * 0.986)
        self.high, self.low = round(price * 1.01), round(price * 0.978)
        self.size = size
        self.state, self.reason, self.seq = "LIVE", "", 50_093_239_218
        self.restored = False
        self.crossed = False
        self.moved_us = now_us()
        self.trades: deque[dict[str, Any]] = deque(maxlen=50)
        self.last = price
        self.bids = self._side(-1)
        self.asks = self._side(1)
        for _ in range(60):
            self._print(back_ms=self.random.randrange(90_000))
        self.trades = deque(sorted(self.trades, key=lambda t: -t["exchange_ms"]), maxlen=50)

    @property
    def key(self) -> str:
        return f"{self.exchange}:{self.symbol}"

    @property
    def ask(self) -> int:
        return self.bid + self.spread

    def _amount(self) -> int:
        return max(1, int(self.size * self.random.lognormvariate(-1.2, 1.1)))

    def _side(self, sign: int) -> list[list[int]]:
        price, levels = (self.ask if sign > 0 else self.bid), []
        for _ in range(WHOLE):
            levels.append([price, self._amount()])
            price += sign * (1 if self.random.random() < 0.6 else self.random.randrange(2, 8))
        return [level for level in levels if level[0] > 0]

    def move(self) -> set[str]:
        """One step of the walk; the kinds of topics that changed."""
        changed = {"book"}
        self.seq += self.random.randrange(1, 40)
        self.moved_us = now_us()
        if self.random.random() < 0.35:
            step = self.random.choice([-3, -2, -1, 1, 2, 3])
            self.bid = max(10, self.bid + step)
            self.spread = self.random.choice([1, 1, 1, 1, 2, 3])
            for levels, sign, best in ((self.bids, -1, self.bid), (self.asks, 1, self.ask)):
                while levels and (levels[0][0] - best) * sign < 0:
                    levels.pop(0)
                if not levels or levels[0][0] != best:
                    levels.insert(0, [best, self._amount()])
                del levels[WHOLE:]
            changed.add("quote")
        for levels in (self.bids, self.asks):
            for _ in range(4):
                levels[min(len(levels) - 1, int(self.random.expovariate(0.2)))][1] = self._amount()
        if self.random.random() < 0.3:
            self._print()
            changed |= {"trades", "quote", "candles"}
        return changed

    def _print(self, back_ms: int = 0) -> None:
        side = self.random.choice(["buy", "sell"])
        self.last = self.ask if side == "buy" else self.bid
        self.high, self.low = max(self.high, self.last), min(self.low, self.last)
        trade = {
            "id": str(self.random.randrange(10**9, 10**10)),
            "side": side,
            "price": self.price(self.last),
            "size": self._text(max(1, int(self._amount() * self.random.random() ** 3)), self.lot),
            "exchange_ms": int(time.time() * 1000) - back_ms,
        }
        self.trades.appendleft(trade)

    def _text(self, count: int, step: str) -> str:
        return f"{Decimal(count).scaleb(-places(step)):f}"

    def price(self, ticks: int) -> str:
        return self._text(ticks, self.tick)

    def data(self, kind: str, parameter: str) -> dict[str, Any]:
        if kind == "book":
            return self._book(parameter)
        if kind == "trades":
            return {"trades": list(self.trades)}
        if kind == "candles":
            return {"interval": parameter, "bars": self.bars(parameter, 2)}
        return self._quote()

    def _book(self, step: str) -> dict[str, Any]:
        head = {"price_decimals": places(self.tick), "size_decimals": places(self.lot), "checksum": None}
        if self.state in ("CONNECTING", "SYNCING", "RESYNC", "DOWN"):
            return head | {"bids": [], "asks": [], "bid": None, "ask": None}
        bids, asks = self.bids, self.asks
        data = head | {"bid": list(bids[0]), "ask": list(asks[0])}
        if self.crossed:
            data["bid"] = [asks[0][0] + 1, 1]
        if step:
            ticks = int(Decimal(step) / Decimal(self.tick))
            bids, asks = _group(bids, ticks, up=False), _group(asks, ticks, up=True)
            data["step"] = step
        if self.restored:
            data["restored"] = True
        return data | {"bids": bids[:DEPTH], "asks": asks[:DEPTH]}

    def _quote(self) -> dict[str, Any]:
        perpetual = ":" in self.symbol
        change = (Decimal(self.last) / self.open - 1).quantize(Decimal("0.000001"))
        volume = Decimal(self.size) * 40 * Decimal(self.lot) * 500
        return {
            "bid": self.price(self.bids[0][0]),
            "bid_size": self._text(self.bids[0][1], self.lot),
            "ask": self.price(self.asks[0][0]),
            "ask_size": self._text(self.asks[0][1], self.lot),
            "last": self.price(self.last),
            "open": self.price(self.open),
            "high": self.price(self.high),
            "low": self.price(self.low),
            "change": f"{change:f}",
            "base_volume": f"{volume:f}",
            "quote_volume": f"{volume * self.last * Decimal(self.tick):f}",
            "mark": self.price(self.bid) if perpetual else None,
            "index": self.price(self.bid - 12) if perpetual else None,
            "funding_rate": "0.000078" if perpetual else None,
            "next_funding_ms": (int(time.time()) // 28_800 + 1) * 28_800_000 if perpetual else None,
        }

    def bars(self, interval: str, count: int) -> list[dict[str, Any]]:
        """Bars that depend on the time alone, but for the running one, which ends at the last price."""
        length = INTERVALS[interval]
        now = int(time.time() * 1000)
        rows = []
        for back in range(count - 1, -1, -1):
            opened = now // length * length - back * length
            rows.append(self._bar(interval, opened, running=back == 0))
        return rows

    def _bar(self, interval: str, opened: int, running: bool) -> dict[str, Any]:
        length = INTERVALS[interval]
        edge = self._walk(opened // length, length), self._walk(opened // length + 1, length)
        start, end = edge[0], self.last if running else edge[1]
        noise = random.Random(f"{self.key}{interval}{opened}")
        reach = max(2, abs(end - start), round(self.open * 0.0002))
        high, low = max(start, end) + round(reach * noise.random()), min(start, end) - round(reach * noise.random())
        base = Decimal(self.size) * Decimal(self.lot) * (5 + round(40 * noise.random() ** 2))
        names = {"open": start, "high": high, "low": max(1, low), "close": end}
        prices = {name: self.price(max(1, value)) for name, value in names.items()}
        return {"open_ms": opened, **prices, "base_volume": f"{base:f}", "closed": not running}

    def _walk(self, index: int, length: int) -> int:
        """A price for the beginning of bar ``index``: the same shape at every call, ending at the last price."""
        end = int(time.time() * 1000) // length + 1
        away = self._shape(index, length) - self._shape(end, length)
        return max(1, self.last + round(away * self.open * 0.0003))

    def _shape(self, index: int, length: int) -> float:
        level = 0.0
        for scale in (1, 4, 16, 64):
            at, part = divmod(index, scale)
            a, b = (random.Random(f"{self.key}{length}{scale}{at + i}").uniform(-1, 1) for i in (0, 1))
            level += (a + (b - a) * part / scale) * scale**0.7
        return level


def _group(levels: list[list[int]], ticks: int, *, up: bool) -> list[list[int]]:
    sums: dict[int, int] = {}
    for price, size in levels:
        grouped = -(-price // ticks) * ticks if up else price // ticks * ticks
        sums[grouped] = sums.get(grouped, 0) + size
    return [[price, size] for price, size in sums.items()]


class Account:
    """One account of the simulated Binance: a position that follows its mark, balances, orders, fills."""

    def __init__(self, number: int, label: str, markets: dict[str, Market]) -> None:
        self.id, self.label, self.exchange = number, label, "binance"
        self.markets = markets
        self.state, self.sentence = "LIVE", ""
        self.trading, self.role = False, "owner"
        self.options = {"poll_s": 30, "trading": False, "only_here": False, "cancel_on_stop": False, "dead_man_s": 0}
        self.options["dead_man"] = [10, 3600]
        self.placed: dict[str, dict[str, Any]] = {}
        self.cancelled: set[str] = set()
        self.hedge = False
        self.liquidation: str | None = None
        self.settle = "USDT"
        self.asof_ms = int(time.time() * 1000)
        self.fills: list[dict[str, Any]] = []
        self.random = random.Random(number)
        for i in range(23):
            self.fill(back_ms=(23 - i) * 47_000)

    @property
    def row(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "exchange": self.exchange,
            "label": self.label,
            "role": self.role,
            "owner": "trader",
            "fingerprint": "demo…01",
            "products": ["spot", "usdm"],
            "wallets": {"spot": "spot", "usdm": "usdm"},
            "source": "environment",
            "state": self.state,
            "sentence": self.sentence,
            "age_ms": 400,
            "simulated": True,
            "rights": {"told": True, "read": True, "trade": True, "withdraw": False, "withdraw_name": "Withdrawals"},
            **self.options,
            "trading": self.trading,
        }

    def place(self, body: dict[str, Any]) -> dict[str, Any]:
        """One order of a key, however often it comes."""
        figures = {name: body[name] for name in ("symbol", "side", "price", "size", "reduce_only", "time_in_force")}
        known = {"id": str(4_200_000 + len(self.placed)), "client_id": body["key"], "type": "limit", "filled": "0"}
        now = int(time.time() * 1000)
        moments = {"average": None, "status": "open", "created_ms": now, "updated_ms": now}
        return self.placed.setdefault(body["key"], figures | known | moments)

    def cancel(self, number: str) -> bool:
        known = number in {order["id"] for order in self.open_orders()}
        self.cancelled.add(number)
        return known

    def open_orders(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._orders()["orders"]
        return rows

    def _head(self, product: str) -> dict[str, Any]:
        return {"account": self.id, "exchange": self.exchange, "label": self.label, "product": product}

    def _tail(self) -> dict[str, Any]:
        age = int(time.time() * 1000) - self.asof_ms
        return {"asof_ms": self.asof_ms, "recv_us": now_us(), "age_ms": age, "state": self.state}

    def fill(self, back_ms: int = 0) -> dict[str, Any]:
        market = self.random.choice([self.markets["binance:BTC/USDT"], self.markets["binance:ETH/USDT:USDT"]])
        perpetual = ":" in market.symbol
        price, size = Decimal(market.price(market.last)), Decimal(self.random.randrange(1, 60)) / 1000
        row = self._head("usdm" if perpetual else "spot") | {
            "row": len(self.fills) + 1,
            "symbol": market.symbol,
            "id": str(7_000_000 + len(self.fills)),
            "order_id": str(4_000_000 + len(self.fills)),
            "side": self.random.choice(["buy", "sell"]),
            "price": f"{price:f}",
            "size": f"{size:f}",
            "notional": f"{price * size:f}",
            "fee": f"{price * size * Decimal('0.0004'):.8f}",
            "fee_asset": "USDT",
            "maker": self.random.random() < 0.6,
            "realised": f"{self.random.uniform(-9, 12):.4f}" if perpetual else None,
            "exchange_ms": int(time.time() * 1000) - back_ms,
            "recv_us": now_us() - back_ms * 1000,
            "age_ms": back_ms,
        }
        self.fills.append(row)
        return row

    def data(self, kind: str) -> dict[str, Any]:
        rows: dict[str, Any] = getattr(self, f"_{kind}")()
        return rows | self.head()

    def head(self) -> dict[str, Any]:
        """What every frame of the account tells of it."""
        names = ("id", "exchange", "label", "state", "sentence")
        return {"account": {name: getattr(self, name) for name in names}}

    def _balances(self) -> dict[str, Any]:
        amounts = [
            ("spot", "USDT", "48210.53180000", "41230.10000000"),
            ("spot", "BTC", "1.20481000", "1.10481000"),
            ("spot", "ETH", "14.50230000", "14.50230000"),
            ("spot", "SOL", "220.00000000", "120.00000000"),
            ("usdm", "USDT", "25310.88210000", None),
            ("spot", "USD", "1500.00", "1500.00"),
            ("spot", "LDO", "310.00000000", "310.00000000"),
        ]
        rows = []
        for product, asset, total, free in amounts:
            locked = None if free is None else f"{Decimal(total) - Decimal(free):f}"
            figures = {"asset": asset, "total": total, "free": free, "locked": locked}
            rows.append(self._head(product) | figures | self._tail())
        return {"balances": rows}

    def _positions(self) -> dict[str, Any]:
        rows = []
        held = [("BTC/USDT:USDT", "0.850", "61420.5", "both"), ("ETH/USDT:USDT", "-12.000", "2561.20", "both")]
        if self.hedge:
            held = [("BTC/USDT:USDT", "0.850", "61420.5", "long"), ("BTC/USDT:USDT", "-0.400", "62100", "short")]
        for symbol, size, entry, side in held:
            market = self.markets[f"{self.exchange}:{symbol}"]
            mark = Decimal(market.price(market.bid))
            profit = Decimal(size) * (mark - Decimal(entry))
            ratio = profit / (abs(Decimal(size)) * Decimal(entry))
            limit = Decimal(entry) * (Decimal("0.82") if Decimal(size) > 0 else Decimal("1.2"))
            liquidation = Decimal(self.liquidation or f"{limit:.2f}")
            figures = {
                "symbol": symbol,
                "side": side,
                "size": size,
                "entry": entry,
                "mark": f"{mark:f}",
                "mark_age_ms": (now_us() - market.moved_us) // 1000,
                "unrealised": f"{profit:f}",
                "unrealised_asset": "USDT",
                "unrealised_ratio": f"{ratio:.6f}",
                "liquidation": f"{liquidation:f}",
                "liquidation_distance": f"{abs(mark - liquidation) / mark:.6f}",
                "margin": f"{abs(Decimal(size)) * Decimal(entry) / 5:.4f}",
                "leverage": "5",
                "margin_mode": "cross",
                "settle": self.settle,
            }
            rows.append(self._head("usdm") | figures | self._tail())
        return {"positions": rows}

    def _orders(self) -> dict[str, Any]:
        rows = []
        for number, (symbol, side, ticks, size, filled) in enumerate(
            (
                ("BTC/USDT", "buy", -9, "0.10000", "0.02500"),
                ("BTC/USDT", "sell", 12, "0.20000", "0"),
                ("ETH/USDT:USDT", "buy", -40, "2.000", "0"),
            )
        ):
            market = self.markets[f"{self.exchange}:{symbol}"]
            figures = {
                "symbol": symbol,
                "id": str(4_100_000 + number),
                "client_id": None,
                "side": side,
                "type": "limit",
                "price": market.price(round(market.open * 1.0141) + ticks),
                "size": size,
                "filled": filled,
                "average": None,
                "status": "partial" if filled != "0" else "open",
                "reduce_only": False,
                "time_in_force": "gtc",
                "created_ms": self.asof_ms - 600_000,
                "updated_ms": self.asof_ms,
            }
            rows.append(self._head("usdm" if ":" in symbol else "spot") | figures | self._tail())
        for order in self.placed.values():
            rows.append(self._head("usdm" if ":" in order["symbol"] else "spot") | order | self._tail())
        return {"orders": [row for row in rows if row["id"] not in self.cancelled]}

    def _fills(self) -> dict[str, Any]:
        return self.page(self.fills[-50:][::-1], more=len(self.fills) > 50)

    @staticmethod
    def page(rows: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
        numbers = [row["row"] for row in rows]
        return {
            "fills": rows,
            "first_row": min(numbers, default=None),
            "last_row": max(numbers, default=None),
            "more": more,
        }
