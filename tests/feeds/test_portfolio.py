"""One statement over accounts, by hand; and the worker's part: prices, cost books, the day, equity by the minute."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from feeds.account_domain import Balance, Fill, Position, Transfer
from feeds.domain import StreamState
from feeds.exchange import MarketIndex
from feeds.worth.cost import CostBook
from feeds.worth.holdings import holdings
from feeds.worth.portfolio import Day, EquityPoint, Held, Person, statement, worth
from feeds.worth.pricing import Price
from feeds.worth.risk import liquidation_distance
from feeds.worth.today import day_of
from feeds.worth.wealth import Wealth
from tests.feeds.binance_examples import MARKETS, spot
from tests.feeds.peer import no_task_left, until  # noqa: F401 - a fixture

PRICES = {"BTC": "60000", "SOL": "150", "USDT": "1"}


def price_of(asset: str, currency: str, exchange: str) -> Price | None:
    if asset not in PRICES:
        return None
    markets = ((exchange or "binance", f"{asset}/{currency}"),) if asset != currency else ()
    return Price(price=Decimal(PRICES[asset]), path=(asset, currency), markets=markets, age_ms=7, live=asset != "SOL")


def balance(asset: str, total: str, product: str = "spot") -> Balance:
    return Balance(product=product, asset=asset, total=Decimal(total), asof_ms=1)


def position(symbol: str, size: str, entry: str, **fields: Any) -> Position:
    given: dict[str, Any] = {"product": "usdm", "side": "both", "settle": "USDT", "asof_ms": 1}
    return Position(symbol=symbol, size=Decimal(size), entry=Decimal(entry), **{**given, **fields})


def marks(**told: str) -> Callable[[str, str], tuple[Decimal, int] | None]:
    table = {f"{base}/USDT:USDT": (Decimal(mark), 5) for base, mark in told.items()}
    return lambda exchange, symbol: table.get(symbol)


MAIN = Held(
    id=1,
    exchange="binance",
    label="Main",
    state="LIVE",
    trouble="",
    balances=(balance("BTC", "0.5"), balance("USDT", "1000"), balance("USDT", "250", "usdm"), balance("SHIB", "0")),
    positions=(
        position("BTC/USDT:USDT", "-0.4", "61000", unrealised=Decimal(99)),
        position("ETH/USDT:USDT", "2", "3000", unrealised=Decimal("-20.5")),
    ),
)
OTHER = Held(
    id=2,
    exchange="kraken",
    label="Other",
    state="STALE",
    trouble="The balances were not told for 20 s.",
    balances=(balance("BTC", "0.1"), balance("SOL", "10"), balance("SHIB", "1000")),
)


def bought(
    row: int, at_ms: int, price: str = "50000", fee: str | None = "0", size: str = "0.25", **fields: Any
) -> tuple[int, Fill]:
    given: dict[str, Any] = {"product": "spot", "symbol": "BTC/USDT", "side": "buy", "fee_asset": "USDT"}
    amounts = {"price": Decimal(price), "size": Decimal(size), "fee": None if fee is None else Decimal(fee)}
    return row, Fill(**{**given, **amounts, "id": str(row), "order_id": "1", "exchange_ms": at_ms, **fields})


def book(*fills: tuple[int, Fill]) -> CostBook:
    made = CostBook()
    for row, fill in fills:
        made.fill(fill, row)
    return made


def holder(*balances: Balance, **fields: Any) -> Held:
    return Held(
        **{"id": 1, "exchange": "okx", "label": "Main", "state": "LIVE", "trouble": "", **fields, "balances": balances}
    )


DAY = Day(since_ms=5, zone="UTC", realised={"USDT": Decimal("12.5"), "BTC": Decimal("-0.0001")})


def test_equity_is_wallets_and_unrealised_profit() -> None:
    told = worth(MAIN, "USDT", price_of, marks(BTC="60000"))
    assert told.wallets == Decimal("31250")  # 0.5 * 60000 + 1000 + 250
    assert told.unrealised == Decimal("379.5")  # live: (60000 - 61000) * -0.4 = 400; as told: -20.5
    assert (told.equity, told.complete) == (Decimal("31629.5"), True)


def test_nothing_is_left_out_silently() -> None:
    told = worth(OTHER, "USDT", price_of, marks())
    assert told.equity == 7500  # without SHIB
    assert told.problems == [
        "Other: The balances were not told for 20 s.",
        "The price of SOL in USDT is 0 s old.",
        "SHIB has no price in USDT.",
    ]


def test_a_position_without_mark_and_profit() -> None:
    lone = Held(
        id=1, exchange="x", label="L", state="LIVE", trouble="", positions=(position("BTC/USDT:USDT", "1", "5"),)
    )
    told = worth(lone, "USDT", price_of, marks())
    assert told.problems == ["L: BTC/USDT:USDT has no mark price."]


def test_a_live_profit_is_in_the_quote_whichever_asset_it_is_paid_in() -> None:
    """Long 1 BTC from 60,000 to 61,000 made 1,000 USDT, not 1,000 BTC, where the exchange settles in BTC."""
    long = position("BTC/USDT:USDT", "1", "60000", settle="BTC")
    told = worth(holder(positions=(long,)), "USDT", price_of, marks(BTC="61000"))
    assert (told.unrealised, told.problems) == (Decimal(1000), [])
    told = worth(holder(positions=(long,)), "USDT", price_of, marks())
    assert (told.unrealised, told.problems) == (Decimal(0), ["Main: BTC/USDT:USDT has no mark price."])
    as_told = position("BTC/USDT:USDT", "1", "60000", settle="BTC", unrealised=Decimal("0.0164"))
    assert worth(holder(positions=(as_told,)), "USDT", price_of, marks()).unrealised == Decimal(984)
    in_dollars = position("BTC/USD:USD", "1", "60000", settle="BTC")
    told = worth(holder(positions=(in_dollars,)), "USDT", price_of, lambda exchange, symbol: (Decimal(61000), 5))
    assert told.problems == ["USD has no price in USDT."]  # and not 1,000 of anything else


async def test_the_price_of_a_contracts_quote_is_watched() -> None:
    desk = Desk()
    desk.store.accounts = [holder(positions=(position("BTC/TRY:TRY", "1", "1", settle="BTC"),), exchange="binance")]
    desk.venue.markets = MarketIndex([*MARKETS, spot("TRY", "USDT")])
    await desk.tick()
    await desk.tick()
    assert "quote:binance:TRY/USDT" in desk.leased


def test_the_statement() -> None:
    rows = holdings([MAIN, OTHER], "USDT", price_of, {1: book(bought(1, 1), bought(2, 2))})
    told = statement([MAIN, OTHER], "USDT", price_of, marks(BTC="60000"), rows, DAY)
    assert (told["equity"], told["complete"]) == ("39129.5", False)
    assert [row["equity"] for row in told["accounts"]] == ["31629.5", "7500"]
    assert told["unpriced"] == [{"account": 2, "exchange": "kraken", "asset": "SHIB", "total": "1000"}]
    assert told["assets"][0] == {
        "asset": "BTC",
        "exchange": "binance",
        "total": "0.5",
        "value": "30000",
        "price": "60000",
        "path": ["BTC", "USDT"],
        "markets": [{"exchange": "binance", "symbol": "BTC/USDT"}],
        "price_age_ms": 7,
        "live": True,
    }
    assert [(row["asset"], row["exchange"]) for row in told["assets"]][1:] == [
        ("BTC", "kraken"),
        ("SOL", "kraken"),
        ("USDT", "binance"),
    ]
    exposure = {row["asset"]: row for row in told["exposure"]}
    assert exposure["BTC"] == {"asset": "BTC", "spot": "0.6", "derivatives": "-0.4", "net": "0.2", "value": "12000"}
    assert exposure["ETH"] == {"asset": "ETH", "spot": "0", "derivatives": "2", "net": "2", "value": None}
    (holding,) = told["holdings"]
    assert (holding["size"], holding["average"], holding["unrealised"]) == ("0.5", "50000", "5000")
    assert (holding["unrealised_ratio"], holding["reason"]) == ("0.200000", "")
    day = told["day"]
    assert (day["realised"], day["unrealised"], day["change"]) == ("6.5", "379.5", None)


def test_the_change_of_the_day_leaves_transfers_out() -> None:
    day = Day(since_ms=5, zone="UTC", realised={}, begun=Decimal(30000), begun_ms=9, transferred=Decimal(1000))
    told = statement([MAIN], "USDT", price_of, marks(BTC="60000"), [], day)["day"]
    assert (told["change"], told["change_since_ms"]) == ("629.5", 9)  # 31629.5 - 30000 - 1000


def test_an_average_of_more_than_is_held_is_not_known() -> None:
    """Bought 1 at 20,000, which left long ago and was never told, and 1 at 100,000: not one at 60,000."""
    costs = {1: book(bought(1, 1, "20000", size="1"), bought(2, 2, "100000", size="1"))}
    (row,) = holdings([holder(balance("BTC", "1"))], "EUR", price_of, costs)
    assert (row["size"], row["total"], row["average"], row["unrealised"]) == ("0", "1", None, None)
    assert (
        row["reason"] == "The fills leave 2 BTC, of which 1 is here: what left, and what that had cost, was not told."
    )
    (row,) = holdings([holder(balance("BTC", "1.9999"))], "EUR", price_of, costs)
    assert (row["size"], row["average"], row["reason"]) == ("1.9999", "60000", "")  # rounding


def test_what_was_bought_and_came_back_otherwise_has_no_cost_and_says_so() -> None:
    """Two that went to a wallet which is not followed, and came back: not no holding at all."""
    costs = {1: book(bought(1, 1, size="2"))}
    for number, amount in enumerate((-2, 2)):
        given = {"product": "trading", "kind": "internal", "asset": "BTC", "exchange_ms": 2 + number}
        costs[1].transfer(Transfer(id=str(number), amount=Decimal(amount), **given))
    (row,) = holdings([holder(balance("BTC", "2"))], "EUR", price_of, costs)
    assert (row["size"], row["total"], row["average"], row["currency"]) == ("0", "2", None, "USDT")
    assert row["reason"] == "What was bought of BTC has left: what is here came otherwise, and its cost was not told."
    assert holdings([holder(balance("BTC", "0.0001"))], "EUR", price_of, costs) == []  # rounding
    assert holdings([holder(balance("SOL", "2"))], "EUR", price_of, costs) == []  # never bought here


def test_what_derivatives_lost_explains_that_less_is_held() -> None:
    costs = {1: book(bought(1, 1, "0.9", symbol="USDT/EUR", size="1000", fee_asset="EUR"))}
    costs[1].transfer(Transfer(product="x", id="1", kind="funding", asset="USDT", amount=Decimal(-10), exchange_ms=3))
    (row,) = holdings([holder(balance("USDT", "990"))], "EUR", price_of, costs)
    assert (row["size"], row["average"], row["reason"]) == ("990", "0.9", "")
    (row,) = holdings([holder(balance("USDT", "900"))], "EUR", price_of, costs)
    assert (row["size"], row["average"]) == ("0", None)


def today(account: Held, costs: CostBook, **fields: Any) -> dict[str, Any]:
    given = {"transfers": {}, "begun": {}, "since_ms": 5, "zone": "UTC"}
    day = day_of([account], "USDT", price_of, {1: costs}, **{**given, **fields})
    return statement([account], "USDT", price_of, marks(), [], day)["day"]


def test_a_sale_whose_cost_is_not_known_is_no_profit_and_says_so() -> None:
    deposited = today(holder(balance("USDT", "30000")), book(bought(1, 9, "60000", side="sell", size="0.5")))
    assert (deposited["realised"], deposited["complete"]) == ("0", False)
    assert deposited["problems"] == [
        "Main: the profit of 0.5 BTC sold is not in it: what they had cost in USDT is not known."
    ]
    fills = (
        bought(1, 1, "20000", size="1"),
        bought(2, 2, "100000", size="1"),
        bought(3, 9, "110000", side="sell", size="1"),
    )
    left = today(holder(balance("USDT", "110000")), book(*fills))  # the first left, and nobody told
    assert (left["realised"], left["complete"]) == ("0", False)
    assert left["problems"] == [
        "Main: the profit of 1 BTC sold is not in it: what they had cost is not known, as less is held than the fills "
        "leave."
    ]
    known = today(holder(balance("BTC", "1")), book(*fills))
    assert (known["realised"], known["complete"], known["problems"]) == ("50000", True, [])


def test_the_change_of_the_day_is_not_known_while_anything_of_it_is_not() -> None:
    account = holder(balance("BTC", "1"), balance("SHIB", "0"))
    point = EquityPoint(account=1, at_ms=6, values={"USDT": "59000"}, reasons={})
    told = today(account, CostBook(), begun={1: point})
    assert (told["change"], told["change_since_ms"], told["change_reason"]) == ("1000", 6, "")
    told = today(account, CostBook())
    assert (told["change"], told["change_since_ms"]) == (None, None)
    assert told["change_reason"] == "No value of Main in USDT was complete yet today."
    moved = Transfer(product="spot", id="1", kind="deposit", asset="SHIB", amount=Decimal(9), exchange_ms=7)
    told = today(account, CostBook(), begun={1: point}, transfers={1: [moved]})
    assert (told["change"], told["change_reason"]) == (None, "Transferred today: SHIB has no price in USDT.")
    lacking = holder(balance("BTC", "1"), balance("SHIB", "5"))
    told = today(lacking, CostBook(), begun={1: point})
    assert (told["change"], told["change_reason"]) == (None, "SHIB has no price in USDT.")


def test_distance_to_liquidation() -> None:
    assert liquidation_distance(Decimal(1), Decimal(100), Decimal(90)) == "0.100000"
    assert liquidation_distance(Decimal(-1), Decimal(90), Decimal(120)) == "0.333333"
    assert liquidation_distance(Decimal(1), Decimal(90), Decimal(120)) == "-0.333334"
    assert liquidation_distance(Decimal(1), None, Decimal(90)) is None
    assert liquidation_distance(Decimal(1), Decimal(90), None) is None


# -- at work -----------------------------------------------------------------------------------------------------------

MINUTE_NS = 60_000_000_000
START_NS = 1_795_221_000 * 10**9  # 2026-11-21 00:30 UTC


class HandClock:
    def __init__(self) -> None:
        self.ns = START_NS

    def now_ns(self) -> int:
        return self.ns

    def monotonic_s(self) -> float:
        return self.ns / 1e9


class Store:
    """In memory, as ``feeds.worth.portfolio.WealthStore``."""

    def __init__(self) -> None:
        self.fills: list[tuple[int, Fill]] = []
        self.moved: list[Transfer] = []
        self.points: list[EquityPoint] = []
        self.accounts = [MAIN]
        self.reads = 0

    async def people(self) -> list[Person]:
        return [Person(id=3, currency="USDT", zone="Europe/Berlin", accounts=(1,))]

    async def held(self) -> list[Held]:
        self.reads += 1
        return self.accounts

    async def cost_history(self, account: int, after: tuple[int, int], limit: int) -> list[tuple[int, Fill]]:
        rows = sorted(self.fills, key=lambda item: (item[1].exchange_ms, item[0]))
        return [(row, fill) for row, fill in rows if (fill.exchange_ms, row) > after][:limit]

    async def fill_count(self, account: int) -> int:
        return len(self.fills)

    async def done_transfers(self, account: int) -> list[Transfer]:
        return self.moved

    async def put_equity(self, points: Any) -> None:
        self.points += points

    async def day_begun(self, accounts: Any, since_ms: int, currency: str) -> dict[int, EquityPoint]:
        first = next((p for p in self.points if p.at_ms >= since_ms and currency in p.whole), None)
        return {} if first is None else {1: first}


def feed(bid: float, ask: float, state: StreamState = StreamState.LIVE) -> SimpleNamespace:
    return SimpleNamespace(state=state, middle=lambda: ((Decimal(str(bid)) + Decimal(str(ask))) / 2, START_NS))


class Desk:
    def __init__(self) -> None:
        self.clock, self.store = HandClock(), Store()
        markets = MarketIndex([*MARKETS, spot("SHIB", "USDT")])
        self.venue = SimpleNamespace(markets=markets, feeds={})
        self.changed: list[str] = []
        self.leased: set[str] = set()
        self.wealth = Wealth(
            self.store, {"binance": self.venue}, self.changed.append, self._lease, marks(BTC="60000"), self.clock
        )

    def _lease(self, topics: set[str]) -> None:
        self.leased = topics

    async def tick(self, after_s: float = 1.0) -> None:
        self.clock.ns += int(after_s * 1e9)
        self.wealth.tick()
        await until(lambda: self.wealth._task is None, what="read")

    def draw(self) -> dict[str, Any]:
        picture = self.wealth.draw(3)
        assert picture is not None
        return picture.data


async def test_what_is_needed_is_watched_and_valued() -> None:
    desk = Desk()
    assert desk.wealth.draw(3) is None
    await desk.tick()
    assert desk.draw()["problems"] == ["BTC has no price in USDT."]
    await desk.tick()
    assert "quote:binance:BTC/USDT" in desk.leased
    desk.venue.feeds["BTC/USDT"] = feed(59999.0, 60001.0)
    await desk.tick()
    told = desk.draw()
    assert (told["equity"], told["complete"], told["user"]) == ("31629.5", True, 3)
    assert "portfolio:3" in desk.changed
    desk.venue.feeds["BTC/USDT"] = feed(59999.0, 60001.0, StreamState.STALE)
    desk.clock.ns += 40 * 10**9
    told = desk.draw()
    assert (told["equity"], told["complete"]) == ("31629.5", False)
    assert told["problems"] == ["The price of BTC in USDT is 43 s old."]
    assert desk.wealth.draw(99).data["accounts"] == []
    await desk.wealth.stop()


async def test_a_point_every_minute_complete_or_not() -> None:
    desk = Desk()
    await desk.tick()
    await desk.tick(60)
    desk.venue.feeds["BTC/USDT"] = feed(59999.0, 60001.0)
    await desk.tick(60)
    await desk.tick(1)
    first, second = desk.store.points
    assert first.at_ms == START_NS // 10**6 + 60_000
    assert first.values["USDT"] == "1629.5" and first.reasons["USDT"] == "BTC has no price in USDT."
    assert (second.values["USDT"], second.reasons.get("USDT")) == ("31629.5", None)
    assert second.complete and not first.complete
    assert "EUR" not in second.values  # nothing leads there
    day = desk.draw()["day"]
    assert day["since_ms"] == START_NS // 10**6 - 90 * 60_000  # midnight in Berlin
    assert (day["change"], day["change_since_ms"]) == ("0", second.at_ms)


async def test_cost_books_follow_the_fills() -> None:
    desk = Desk()
    now_ms = START_NS // 10**6
    desk.venue.feeds["BTC/USDT"] = feed(59999.0, 60001.0)
    desk.store.fills = [bought(1, now_ms - 5000)]
    await desk.tick()
    assert [(h["size"], h["average"], h["unrealised"]) for h in desk.draw()["holdings"]] == [("0.25", "50000", "2500")]
    desk.store.fills.append(bought(2, now_ms - 4000, "70000"))
    desk.wealth.touched(1, "fills")
    await desk.tick()
    assert [(h["size"], h["average"]) for h in desk.draw()["holdings"]] == [("0.5", "60000")]
    desk.store.fills.append(bought(3, now_ms - 4500, "60000", side="sell"))
    desk.wealth.touched(1, "fills")
    await desk.tick()  # it came late, from a history: between the two
    told = desk.draw()
    assert [(h["size"], h["average"]) for h in told["holdings"]] == [("0.25", "70000")]
    assert told["day"]["realised"] == "2500"


def moved(kind: str, product: str, asset: str, amount: str, at_ms: int) -> Transfer:
    given = {"product": product, "kind": kind, "asset": asset, "exchange_ms": at_ms}
    return Transfer(id=f"{kind} {product} {amount} {at_ms}", amount=Decimal(amount), **given)


async def test_what_stays_within_an_account_keeps_its_cost() -> None:
    """OKX tells both sides of a transfer from the trading wallet to the funding wallet; the Binance wallet for funding
    is not followed, and what leaves it is not what was bought. What goes where nobody looks is gone."""
    desk = Desk()
    now_ms = START_NS // 10**6
    desk.venue.feeds["BTC/USDT"] = feed(59999.0, 60001.0)
    desk.store.accounts = [holder(balance("BTC", "0.5"), id=1, exchange="binance", wallets=("spot", "usdm"))]
    desk.store.fills = [bought(1, now_ms - 9000, size="0.5")]
    desk.store.moved = [
        moved("internal", "spot", "BTC", "-0.5", now_ms - 8000),
        moved("internal", "usdm", "BTC", "0.5", now_ms - 7990),
        moved("withdrawal", "funding", "BTC", "-0.2", now_ms - 7000),
    ]
    await desk.tick()
    assert [(h["size"], h["average"]) for h in desk.draw()["holdings"]] == [("0.5", "50000")]
    desk.store.moved.append(moved("internal", "usdm", "BTC", "-0.2", now_ms - 6000))
    desk.store.accounts = [holder(balance("BTC", "0.3"), id=1, exchange="binance", wallets=("spot", "usdm"))]
    desk.wealth.touched(1, "transfers")
    await desk.tick()
    assert [(h["size"], h["average"]) for h in desk.draw()["holdings"]] == [("0.3", "50000")]
    desk.store.accounts = [holder(balance("BTC", "0.1"), id=1, exchange="binance", wallets=("spot", "usdm", "funding"))]
    await desk.tick(10)  # the funding wallet is followed from now on
    assert [(h["size"], h["average"]) for h in desk.draw()["holdings"]] == [("0.1", "50000")]


async def test_the_day_knows_only_wallets_that_are_in_the_equity() -> None:
    """10,000 that came into a wallet which is not followed are not in the equity either."""
    desk = Desk()
    desk.venue.feeds["BTC/USDT"] = feed(59999.0, 60001.0)
    await desk.tick()
    await desk.tick(60)
    await desk.tick(60)
    at_ms = desk.clock.now_ns() // 1_000_000 - 1000
    desk.store.moved = [moved("deposit", "funding", "USDT", "10000", at_ms)]
    desk.wealth.touched(1, "transfers")
    desk.wealth.draw(3)
    await desk.tick()
    assert desk.draw()["day"]["change"] == "0"
    desk.store.moved.append(moved("deposit", "spot", "USDT", "10000", at_ms))
    desk.wealth.touched(1, "transfers")
    await desk.tick()
    assert desk.draw()["day"]["change"] == "-10000"


async def test_the_day_begins_with_a_point_that_is_complete_in_the_users_currency() -> None:
    desk = Desk()
    await desk.tick()
    desk.venue.feeds["BTC/USDT"] = feed(59999.0, 60001.0)
    begun_ms = START_NS // 10**6
    values = {"USDT": "1629.5", "BTC": "0.5"}
    reasons = {"USDT": "BTC has no price in USDT."}
    desk.store.points = [EquityPoint(account=1, at_ms=begun_ms, values=values, reasons=reasons)]
    await desk.tick(10)
    day = desk.draw()["day"]
    assert (day["change"], day["change_reason"]) == (None, "No value of Main in USDT was complete yet today.")
    desk.store.points.append(EquityPoint(account=1, at_ms=begun_ms + 60_000, values={"USDT": "31600"}, reasons={}))
    await desk.tick(61)
    assert (desk.draw()["day"]["change"], desk.draw()["day"]["change_since_ms"]) == ("29.5", begun_ms + 60_000)


async def test_a_fee_that_is_told_later() -> None:
    desk = Desk()
    now_ms = START_NS // 10**6
    desk.venue.feeds["BTC/USDT"] = feed(59999.0, 60001.0)
    desk.store.fills = [bought(1, now_ms, fee=None)]
    await desk.tick()
    assert not desk.draw()["day"]["complete"]
    desk.store.fills = [bought(1, now_ms, fee="25")]
    await desk.tick(61)
    told = desk.draw()
    assert (told["holdings"][0]["average"], told["day"]["complete"]) == ("50100", True)


async def test_a_store_that_fails_is_asked_again() -> None:
    desk = Desk()
    broken = desk.store.held

    async def fail() -> list[Held]:
        raise OSError("no database")

    desk.store.held = fail
    await desk.tick()
    assert desk.wealth.draw(3) is None
    desk.store.held = broken
    await desk.tick(1)
    await asyncio.sleep(0)
    assert desk.draw()["accounts"]


async def test_the_days_change_is_without_what_came_but_with_what_was_charged() -> None:
    """A deposit is no profit; a fee that is booked apart from its fill is a loss all the same."""
    desk = Desk()
    for _ in range(3):
        await desk.tick()
        desk.wealth.draw(3)
        desk.venue.feeds["BTC/USDT"] = feed(59999.0, 60001.0)
    begun_ms = desk.clock.now_ns() // 1_000_000
    desk.store.points = [EquityPoint(account=1, at_ms=begun_ms, values={"USDT": "31000"}, reasons={})]
    given = {"product": "spot", "asset": "USDT", "exchange_ms": begun_ms + 1}
    desk.store.moved = [
        Transfer(id="1", kind="deposit", amount=Decimal(100), **given),
        Transfer(id="2", kind="fee", amount=Decimal(-7), **given),
        Transfer(id="3", kind="funding", amount=Decimal("-2.5"), **given),
        Transfer(id="4", kind="income", amount=Decimal(1), **given),
        Transfer(id="5", kind="other", amount=Decimal(1000), **given),
    ]
    desk.wealth.touched(1, "transfers")
    await desk.tick()
    await desk.tick(61.0)
    desk.venue.feeds["BTC/USDT"] = feed(59999.0, 60001.0)
    day = desk.draw()["day"]
    assert day["change"] == str(Decimal("31629.5") - 31000 - 100)
    assert day["realised"] == "-8.5"
    await desk.wealth.stop()
