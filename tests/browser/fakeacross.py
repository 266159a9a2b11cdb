"""What several exchanges show together, made of the stand-in's markets: docs/protocol.md sections 2.7 to 2.9 and 5.

Computed naively, with Decimal and Fraction, from the same books that the stand-in's ``book`` frames show.
"""

import time
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from tests.browser.fakedata import DEPTH, Market, now_us, places

Data = dict[str, Any]

USABLE = ("LIVE", "QUIET", "SLOW", "POLLED")
EXCHANGES = ("binance", "kraken", "bybit", "okx", "coinbase", "krakenfutures", "lmex", "alpaca")
FEES = {"binance": ("10", "10"), "kraken": ("25", "40"), "bybit": ("10", "10"), "okx": ("8", "10")}
"""maker, taker in basis points; (40, 60) for the others."""

COINS: list[tuple[str, str, str, int, int]] = [
    ("BTC", "0.01", "0.00001", 6183763, 60_000),
    ("ETH", "0.01", "0.0001", 254310, 40_000),
    ("SOL", "0.01", "0.001", 14832, 90_000),
    ("XRP", "0.0001", "0.1", 23212, 30_000),
    ("ADA", "0.0001", "0.1", 4512, 90_000),
    ("DOGE", "0.00001", "1", 16234, 60_000),
    ("LINK", "0.001", "0.01", 14120, 20_000),
    ("AVAX", "0.01", "0.01", 3120, 9_000),
    ("DOT", "0.001", "0.01", 5230, 40_000),
    ("LTC", "0.01", "0.001", 7712, 20_000),
]


def venues(count: int) -> dict[str, Market]:
    """``count`` exchanges with ten markets each; every exchange a few ticks from the next."""
    found = {}
    for number, exchange in enumerate(EXCHANGES[:count]):
        for base, tick, lot, price, size in COINS:
            market = Market(exchange, f"{base}/USDT", tick, lot, round(price * (1 + 0.00004 * (number % 3))), size)
            found[market.key] = market
    return found


class Together:
    """Frames over all markets of a symbol. ``fees`` are the user's own, ``ties`` the rates of tied symbols."""

    def __init__(self, markets: dict[str, Market]) -> None:
        self.markets = markets
        self.fees: dict[tuple[str, str], tuple[str, str]] = {}
        self.ties: dict[str, tuple[str, str]] = {}  # "BTC/USD" -> rates, a leg of BTC/USDT
        self.events: list[Data] = []
        self.threshold: tuple[str, float] | None = None
        self.since_ms = int(time.time() * 1000) - 900_000

    def legs(self, symbol: str) -> list[Market]:
        own = [market for market in self.markets.values() if market.symbol == symbol]
        tied = [market for market in self.markets.values() if market.symbol in self.ties and symbol.endswith("/USDT")]
        base = symbol.partition("/")[0]
        return own + [market for market in tied if market.symbol.partition("/")[0] == base]

    def data(self, kind: str, parameter: str, symbol: str) -> Data:
        if kind == "across":
            return self._across(symbol, parameter)
        size, _, fees = parameter.partition(",")
        return self._matrix(symbol, Decimal(size), fees or "taker")

    def recv_us(self, symbol: str) -> int:
        return max((market.moved_us for market in self.legs(symbol)), default=0)

    def state(self, symbol: str) -> str:
        order = [*USABLE, "STALE", "RESYNC", "SYNCING", "CONNECTING", "DOWN"]
        return min((market.state for market in self.legs(symbol)), key=order.index, default="DOWN")

    def _head(self, market: Market, symbol: str) -> Data:
        usable = market.state in USABLE
        rate = None
        if market.symbol != symbol:
            bid, ask = self.ties[market.symbol]
            rate = {"bid": bid, "ask": ask, "market": "kraken USDT/USD", "state": "LIVE", "age_ms": 40, "reason": ""}
        return {
            "exchange": market.exchange,
            "symbol": market.symbol,
            "state": market.state,
            "reason": market.reason,
            "usable": usable,
            "recv_us": market.moved_us,
            "age_ms": (now_us() - market.moved_us) // 1000,
            "rate": rate,
        }

    # -- across ------------------------------------------------------------------------------------------------------

    def _across(self, symbol: str, step: str) -> Data:
        markets = self.legs(symbol)
        price_places = max((places(m.tick) + (6 if m.symbol != symbol else 0) for m in markets), default=0)
        size_places = max((places(m.lot) for m in markets), default=0)
        base, quote = symbol.partition(":")[0].split("/")
        legs, fine = [], []
        for market in markets:
            leg = self._head(market, symbol)
            most = None if step else DEPTH  # only groups need more levels than are shown
            bids, asks = self._levels(market, symbol, price_places, size_places, most) if leg["usable"] else ([], [])
            fine.append((bids, asks))
            if step:
                width = int(Decimal(step).scaleb(price_places))
                bids = _grouped([[p // width * width, s] for p, s in bids])
                asks = _grouped([[-(-p // width) * width, s] for p, s in asks])
            reach = [side[DEPTH - 1][0] if len(side) >= DEPTH else None for side in (bids, asks)]
            legs.append(leg | {"bids": bids[:DEPTH], "asks": asks[:DEPTH], "reach": reach})
        data = {"symbol": symbol, "base": base, "quote": quote, "depth": DEPTH, "legs": legs}
        data |= {"price_decimals": price_places, "size_decimals": size_places}
        if step:
            data["step"] = step
        return data | _figures([(bids[:DEPTH], asks[:DEPTH]) for bids, asks in fine], price_places)

    def _levels(
        self, market: Market, symbol: str, price_places: int, size_places: int, most: int | None
    ) -> tuple[Any, Any]:
        bid_rate, ask_rate = (Decimal(rate) for rate in self.ties.get(market.symbol, ("1", "1")))
        if market.symbol == symbol:
            bid_rate = ask_rate = Decimal(1)
        tick, lot = Decimal(market.tick).scaleb(price_places), Decimal(market.lot).scaleb(size_places)
        return tuple(
            [[int(price * tick * rate), int(size * lot)] for price, size in side[:most]]
            for side, rate in ((market.bids, bid_rate), (market.asks, ask_rate))
        )

    # -- matrix ------------------------------------------------------------------------------------------------------

    def _matrix(self, symbol: str, size: Decimal, fees: str) -> Data:
        base, quote = symbol.partition(":")[0].split("/")
        legs = []
        for market in self.legs(symbol):
            leg = self._head(market, symbol)
            own = self.fees.get((market.exchange, "spot"))
            maker, taker = own or FEES.get(market.exchange, ("40", "60"))
            leg |= {"fee_bps": maker if fees == "maker" else taker, "fee_source": "user" if own else "default"}
            for name, side in (("buy", market.asks), ("sell", market.bids)):
                leg[name] = _walk(side, size, market) if leg["usable"] else None
            legs.append(leg)
        pairs = [_pair(i, j, legs, size, base) for i in range(len(legs)) for j in range(len(legs)) if i != j]
        data = {"symbol": symbol, "base": base, "quote": quote, "size": f"{size:f}", "fees": fees}
        return data | {"since_ms": self.since_ms, "legs": legs, "pairs": pairs}

    # -- events and settings -----------------------------------------------------------------------------------------

    def rule(self) -> Data:
        bps, seconds = self.threshold or ("5", 1.0)
        return {"threshold_bps": bps, "duration_s": seconds}

    def settings(self) -> Data:
        return self.rule() | {"source": "user" if self.threshold else "default"}

    def add_event(self, **given: Any) -> Data:
        number = len(self.events) + 1
        now = int(time.time() * 1000)
        event = {
            "id": number,
            "symbol": "BTC/USDT",
            "size": "0.1",
            "fees": "taker",
            "buy": {"exchange": "binance", "symbol": "BTC/USDT"},
            "sell": {"exchange": "kraken", "symbol": "BTC/USDT"},
            "threshold_bps": "5",
            "started_ms": now - 5_000,
            "ended_ms": None,
            "lasted_ms": 5_000,
            "open": True,
            "first_bps": "5.2",
            "largest_bps": f"{7 + number % 9}.25",
            "largest_net": f"{30 + number % 11}.5",
            "largest_ms": now - 2_000,
            "quote": "USDT",
            "reason": "",
        } | given
        self.events.append(event)
        return event

    def arbitrage(self) -> Data:
        for event in self.events:
            if event["open"]:
                event["lasted_ms"] = int(time.time() * 1000) - event["started_ms"]
        running = [event for event in self.events if event["open"]]
        ended = sorted((e for e in self.events if not e["open"]), key=lambda e: -e["ended_ms"])[:50]
        shown = sorted(running + ended, key=lambda e: (-e["started_ms"], -e["id"]))
        return self.rule() | {"events": shown}

    def fee_rows(self) -> list[Data]:
        names = dict.fromkeys(market.exchange for market in self.markets.values())
        return [self.fee_row(name) for name in names]

    def fee_row(self, exchange: str) -> Data:
        without = dict(zip(("maker_bps", "taker_bps"), FEES.get(exchange, ("40", "60")), strict=True))
        own = self.fees.get((exchange, "spot"))
        held = dict(zip(("maker_bps", "taker_bps"), own, strict=True)) if own else without
        row = {"exchange": exchange, "product": "spot", **held, "source": "user" if own else "default"}
        note = "" if own else "of a new account, without discounts"
        return row | {"note": note, "without_user": {**without, "source": "default"}}


def _grouped(levels: list[list[int]]) -> list[list[int]]:
    sums: dict[int, int] = {}
    for price, size in levels:
        sums[price] = sums.get(price, 0) + size
    return [[price, size] for price, size in sums.items()]


def _best(sides: list[Any], pick: Any) -> Data | None:
    first = [(number, side[0]) for number, side in enumerate(sides) if side]
    if not first:
        return None
    price = pick(level[0] for _, level in first)
    there = [(number, level[1]) for number, level in first if level[0] == price]
    return {"price": price, "size": sum(size for _, size in there), "legs": [number for number, _ in there]}


def _merged(sides: list[Any], sign: int) -> list[list[int]]:
    return sorted(_grouped([level for side in sides for level in side]), key=lambda level: sign * level[0])


def _figures(books: list[Any], price_places: int) -> Data:
    bids, asks = [book[0] for book in books], [book[1] for book in books]
    bid, ask = _best(bids, max), _best(asks, min)
    found: Data = {"bid": bid, "ask": ask, "mid": None, "microprice": None, "imbalance": None, "band": None}
    if bid is None or ask is None:
        return found
    unit = Decimal(1).scaleb(-price_places)
    found["mid"] = f"{(bid['price'] + ask['price']) * unit / 2:f}"
    micro = (bid["price"] * ask["size"] + ask["price"] * bid["size"]) * unit / (bid["size"] + ask["size"])
    found["microprice"] = f"{micro.quantize(unit / 100):f}"
    all_bids, all_asks = _merged(bids, -1), _merged(asks, 1)
    sums = [sum(size for _, size in side[:10]) for side in (all_bids, all_asks)]
    value = (Decimal(sums[0] - sums[1]) / sum(sums)).quantize(Decimal("0.0001"))
    found["imbalance"] = {"levels": 10, "bid": sums[0], "ask": sums[1], "value": f"{value:f}"}
    low, high = ask["price"], bid["price"]
    if high >= low:
        bps = (Decimal(high - low) * 10_000 / low).quantize(Decimal("0.01"), ROUND_FLOOR)
        takes = [sum(s for p, s in all_bids if p >= low), sum(s for p, s in all_asks if p <= high)]
        band = {"low": low, "high": high, "buy": ask["legs"][0], "sell": bid["legs"][0]}
        found["band"] = band | {"bps": f"{bps:f}", "size": min(takes)}
    return found


def _walk(side: list[list[int]], size: Decimal, market: Market) -> Data:
    left, cost, worst = size, Decimal(0), Decimal(0)
    for ticks, lots in side:
        part = min(left, Decimal(lots) * Decimal(market.lot))
        worst = Decimal(ticks) * Decimal(market.tick)
        cost += part * worst
        left -= part
        if not left:
            average = (cost / size).quantize(Decimal(market.tick) / 100)
            return {"average": f"{average:f}", "worst": f"{worst:f}", "cost": f"{cost:f}", "available": f"{size:f}"}
    return {"average": None, "worst": None, "cost": None, "available": f"{size - left:f}"}


def _pair(i: int, j: int, legs: list[Data], size: Decimal, base: str) -> Data:
    buy, sell = legs[i], legs[j]
    row: Data = dict.fromkeys(("gross_bps", "net_bps", "gross", "net", "positive_since_ms", "largest_bps"))
    row |= {"buy": i, "sell": j, "largest_ms": None, "reason": ""}
    for leg in (buy, sell):
        if not leg["usable"]:
            return row | {"reason": f"{leg['exchange']} {leg['symbol']} is {leg['state']}. {leg['reason']}".strip()}
    for leg, walk, what in ((buy, buy["buy"], "asks"), (sell, sell["sell"], "bids")):
        if walk["cost"] is None:
            short = f"{leg['exchange']} {leg['symbol']} {what}: only {walk['available']} of {size:f} {base}."
            return row | {"reason": short}
    cost, proceeds = Decimal(buy["buy"]["cost"]), Decimal(sell["sell"]["cost"])
    gross = proceeds - cost
    net = gross - cost * Decimal(buy["fee_bps"]) / 10_000 - proceeds * Decimal(sell["fee_bps"]) / 10_000
    bps = [f"{(amount * 10_000 / cost).quantize(Decimal('0.0001'), ROUND_FLOOR):f}" for amount in (gross, net)]
    row |= {"gross": f"{gross:f}", "net": f"{net:f}", "gross_bps": bps[0], "net_bps": bps[1], "largest_bps": bps[1]}
    now = int(time.time() * 1000)
    return row | {"largest_ms": now - 240_000, "positive_since_ms": now - 12_000 if net > 0 else None}
