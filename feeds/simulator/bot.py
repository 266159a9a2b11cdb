"""The demo trader of an exchange: keeps an account alive with orders that the market fills. Pure, stepped by time.

It rests orders near the best price, cancels what gets old, sometimes takes, holds several coins and three perpetuals
where the exchange has them, and leaves a few orders far away for long. Its inventory is pulled back to targets, so it
can go on for weeks.
"""

from decimal import Decimal
from math import sin
from random import Random

import structlog

from feeds.simulator.accounts import Account
from feeds.simulator.desk import Desk
from feeds.simulator.market import LiveMarket, World
from feeds.simulator.orders import OwnOrder, Rejected
from feeds.simulator.wallets import FuturesWallet, SpotWallet

log = structlog.get_logger(__name__)

_SPOT_TARGETS_USD = {"BTC": 34_000, "ETH": 20_000, "SOL": 15_000, "LINK": 7_000, "DOGE": 5_000, "BNB": 2_000}
_FUTURES_TARGETS_USD = {"BTC": 21_000, "ETH": -14_000, "SOL": 9_000}
_MOST_NEAR = 5
_PATIENCE_MS = (15_000, 50_000)
_FAR_PATIENCE_MS = (240_000, 900_000)


class DemoTrader:
    """``paused`` stops it; what rests keeps resting."""

    def __init__(self, exchange: str, account: Account, world: World, seed: int) -> None:
        self.paused = False
        self._random = Random(f"demo trader {seed}" if exchange == "binance" else f"demo trader {exchange} {seed}")
        self._account = account
        self._world = world
        self._spot: list[LiveMarket] = []
        self._futures: list[LiveMarket] = []
        for product, desk in account.desks.items():
            spot = isinstance(desk.wallet, SpotWallet)
            for market in world.of(exchange, product).values():
                if spot and market.instrument.base in _SPOT_TARGETS_USD:
                    self._spot.append(market)
                elif not spot and market.instrument.base in _FUTURES_TARGETS_USD and not market.instrument.expiry:
                    self._futures.append(market)
        self._next_ms = 0
        self._until: dict[int, int] = {}  # order id: when to cancel it
        self._far: set[int] = set()

    def open_positions(self) -> None:
        """Take the first positions and rest the first orders, so that there is something to see at once."""
        for market in self._futures:
            self._send(market, self._wish(market) > 0, abs(_FUTURES_TARGETS_USD[market.instrument.base]), None)
        for market in (*self._spot[:2], *self._futures[:1]):
            for buy in (True, False):
                self._rest(market, buy, 1500, self._random.uniform(40, 220), _FAR_PATIENCE_MS, far=True)

    def step(self, now_ms: int) -> None:
        """Act, if it is time to."""
        if self.paused or now_ms < self._next_ms:
            return
        draw = self._random
        self._next_ms = now_ms + draw.randrange(3000, 12_000)
        first, second = (self._futures, self._spot) if draw.random() < 0.4 else (self._spot, self._futures)
        markets = first or second
        if not markets:
            return
        market = draw.choice(markets)
        desk = self._account.desk_of(market)
        self._clean_up(desk, now_ms)
        wish = self._wish(market)
        buy = draw.random() < 0.5 + max(-0.4, min(0.4, 1.5 * wish))
        usd = draw.uniform(120, 1400) * (1.6 if markets is self._futures else 1.0)
        near = [order for order in desk.open_orders() if order.id not in self._far]
        if draw.random() < 0.04:
            self._send(market, buy, usd, None)
        elif len(desk.open_orders()) - len(near) < 3 and draw.random() < 0.3:
            self._rest(market, buy, usd * 2, draw.uniform(40, 220), _FAR_PATIENCE_MS, far=True)
        elif len(near) < _MOST_NEAR:
            away_bps = draw.choice((0.0, 0.3, 1.0, 2.5))
            self._rest(market, buy, usd, away_bps, _PATIENCE_MS)

    def _wish(self, market: LiveMarket) -> float:
        """How much is missing to the target, as a share of the target's size; the target breathes."""
        i, price = market.instrument, market.mid() * float(market.instrument.tick)
        wallet = self._account.desk_of(market).wallet
        if isinstance(wallet, FuturesWallet):
            target = _FUTURES_TARGETS_USD[i.base] * (1 + 0.35 * sin(self._world.now_ms / 600_000 + len(i.base)))
            held = float(wallet.net(market)) * price
        else:
            target = _SPOT_TARGETS_USD[i.base]
            held = float(wallet.total(i.base)) * price
        return (target - held) / abs(target)

    def _clean_up(self, desk: Desk, now_ms: int) -> None:
        for order in desk.open_orders():
            if self._until.get(order.id, now_ms + 1) <= now_ms:
                desk.cancel(order)
        still = {order.id for order in self._account.open_orders()}
        self._until = {number: ms for number, ms in self._until.items() if number in still}
        self._far &= still

    def _rest(
        self,
        market: LiveMarket,
        buy: bool,
        usd: float,
        away_bps: float,
        patience_ms: tuple[int, int],
        *,
        far: bool = False,
    ) -> None:
        best = (market.engine.bids if buy else market.engine.asks).best()
        if best is None:
            return
        away = int(best * away_bps / 1e4)
        order = self._send(market, buy, usd, best - away if buy else best + away)
        if order is not None:
            self._until[order.id] = self._world.now_ms + self._random.randrange(*patience_ms)
            if far:
                self._far.add(order.id)

    def _send(self, market: LiveMarket, buy: bool, usd: float, price: int | None) -> OwnOrder | None:
        """Place; ``price`` None is a market order. What the account cannot afford is left out."""
        desk = self._account.desk_of(market)
        i = market.instrument
        size = int(Decimal(usd) / (Decimal(market.mid()) * i.tick) / i.lot)
        if size * i.lot < i.min_size or size * i.lot * Decimal(market.mid()) * i.tick < i.min_notional:
            return None
        try:
            if price is None:
                return desk.place(market, buy=buy, size=size, type="MARKET")
            kind = desk.terms.post_only_type
            in_force = "GTX" if kind == "LIMIT" else "GTC"
            return desk.place(market, buy=buy, size=size, price=price, type=kind, time_in_force=in_force)
        except Rejected as error:
            log.debug("demo trader's order refused", market=i.native, reason=error.reason)
            return None
