"""Prices of assets by hand: paths, sources, ages."""

from decimal import Decimal

from feeds.domain import Market
from feeds.worth.pricing import Pricer, Quote


def market(exchange: str, symbol: str, **fields) -> Market:
    base, _, rest = symbol.partition("/")
    quote, _, settle = rest.partition(":")
    given = {"native": base + quote, "product": "spot", "tick": Decimal("0.01"), "lot": Decimal("0.01")}
    return Market(
        **{
            "exchange": exchange,
            "symbol": symbol,
            "base": base,
            "quote": quote,
            "settle": settle or None,
            **given,
            **fields,
        }
    )


PRICER = Pricer(
    [
        market("binance", "SOL/USDT"),
        market("binance", "BTC/USDT"),
        market("binance", "BTC/USDT:USDT"),
        market("kraken", "SOL/USDT"),
        market("kraken", "USDT/USD"),
        market("kraken", "BTC/USD"),
        market("kraken", "OLD/USD", status="halted"),
        market("kraken", "BTC/EUR"),
    ]
)


def quotes(**told: tuple[str, int, bool]):
    table = {
        tuple(name.split("_", 1)): Quote(price=Decimal(p), age_ms=a, live=live) for name, (p, a, live) in told.items()
    }
    return lambda exchange, symbol: table.get((exchange, symbol.replace("/", "")))


def test_itself() -> None:
    price = PRICER.price("USDT", "USDT", quotes())
    assert (price.price, price.path, price.markets, price.live) == (Decimal(1), ("USDT",), (), True)


def test_the_direct_market_of_the_own_exchange() -> None:
    told = quotes(binance_SOLUSDT=("150", 20, True), kraken_SOLUSDT=("151", 10, True))
    assert PRICER.price("SOL", "USDT", told, at="kraken").markets == (("kraken", "SOL/USDT"),)
    assert PRICER.price("SOL", "USDT", told, at="binance").price == 150
    assert PRICER.price("SOL", "USDT", told, at="okx").price == 150


def test_over_a_currency_in_between() -> None:
    told = quotes(binance_SOLUSDT=("150", 20, True), kraken_USDTUSD=("0.999", 40, True))
    price = PRICER.price("SOL", "USD", told, at="binance")
    assert (price.price, price.path) == (Decimal("149.850"), ("SOL", "USDT", "USD"))
    assert price.markets == (("binance", "SOL/USDT"), ("kraken", "USDT/USD"))
    assert (price.age_ms, price.live) == (40, True)


def test_over_two_and_the_other_way_round() -> None:
    told = quotes(
        binance_SOLUSDT=("150", 20, True), binance_BTCUSDT=("60000", 5, True), kraken_BTCEUR=("50000", 7, True)
    )
    price = PRICER.price("SOL", "EUR", told)
    assert price.path == ("SOL", "USDT", "BTC", "EUR")
    assert price.price == Decimal("125")  # 150 / 60000 * 50000
    assert PRICER.price("USDT", "BTC", quotes(binance_BTCUSDT=("50000", 5, True))).price == Decimal("0.00002")


def test_a_live_one_before_a_dead_one_and_a_dead_one_before_none() -> None:
    told = quotes(binance_SOLUSDT=("150", 90_000, False), kraken_SOLUSDT=("151", 10, True))
    assert PRICER.price("SOL", "USDT", told, at="binance").price == 151
    old = PRICER.price("SOL", "USDT", quotes(binance_SOLUSDT=("150", 90_000, False)), at="binance")
    assert (old.price, old.age_ms, old.live) == (Decimal(150), 90_000, False)
    assert PRICER.price("SOL", "USDT", quotes()) is None


def test_usd_and_usdt_are_not_the_same_and_a_halted_market_gives_no_price() -> None:
    told = quotes(binance_SOLUSDT=("150", 20, True))
    assert PRICER.price("SOL", "USD", told) is None
    assert not PRICER.knows("OLD", "USD")
    assert not PRICER.knows("SHIB", "USDT")


def test_one_after_the_other() -> None:
    told = quotes(binance_SOLUSDT=("150", 20, True), kraken_USDTUSD=("0.5", 40, False))
    joined = PRICER.price("SOL", "USDT", told).then(PRICER.price("USDT", "USD", told))
    assert (joined.price, joined.path, joined.age_ms, joined.live) == (Decimal(75), ("SOL", "USDT", "USD"), 40, False)


def test_what_must_be_watched() -> None:
    assert PRICER.wanted("SOL", "USDT", quotes()) == {("binance", "SOL/USDT"), ("kraken", "SOL/USDT")} | {
        name for name in PRICER.wanted("SOL", "USDT", quotes()) if name[1] != "SOL/USDT"
    }
    told = quotes(binance_SOLUSDT=("150", 20, True))
    assert PRICER.wanted("SOL", "USDT", told, at="kraken") == {("binance", "SOL/USDT")}
    assert PRICER.wanted("USDT", "USDT", quotes()) == set()
