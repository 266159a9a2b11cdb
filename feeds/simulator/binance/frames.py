"""Binance's market payloads as text, for spot and USD-M futures. Pure.

Futures payloads carry ``st`` (1 = USD-M) and mostly ``ps`` since the integration of June 2026. Spot prints prices and
sizes with eight decimals, futures as many as tick and lot need.
"""

from decimal import Decimal
from typing import NamedTuple

from feeds.simulator.candles import Bar, Day, bucket_end
from feeds.simulator.market import LiveMarket, Print, Top
from feeds.simulator.matching import Level


class Aggregate(NamedTuple):
    """Prints of one taker order at one price."""

    id: int
    price: int
    size: int
    first: int
    last: int
    taker_buys: bool
    ms: int


def flag(value: bool) -> str:
    return "true" if value else "false"


def levels(market: LiveMarket, rows: list[Level]) -> str:
    """``[["16570.01000000","0.52000000"],...]``"""
    price, size = market.price_text, market.size_text
    return "[" + ",".join([f'["{price(p)}","{size(s)}"]' for p, s in rows]) + "]"


def futures_tag(market: LiveMarket) -> str:
    return f'"ps":"{market.instrument.native}","st":1,' if market.instrument.product == "usdm" else ""


def depth_update(
    market: LiveMarket, first: int, last: int, before: int, bids: list[Level], asks: list[Level], now_ms: int
) -> str:
    native = market.instrument.native
    body = f'"b":{levels(market, bids)},"a":{levels(market, asks)}}}'
    if market.instrument.product == "usdm":
        head = f'{{"e":"depthUpdate","E":{now_ms},"T":{market.now_ms},"s":"{native}",{futures_tag(market)}'
        return f'{head}"U":{first},"u":{last},"pu":{before},{body}'
    return f'{{"e":"depthUpdate","E":{now_ms},"s":"{native}","U":{first},"u":{last},{body}'


def spot_partial(market: LiveMarket, n: int) -> str:
    """Top levels of a partial book stream or a REST snapshot."""
    engine = market.engine
    return (
        f'{{"lastUpdateId":{engine.update_id},"bids":{levels(market, engine.bids.top(n))},'
        f'"asks":{levels(market, engine.asks.top(n))}}}'
    )


def futures_snapshot(market: LiveMarket, n: int, now_ms: int) -> str:
    return spot_partial(market, n).replace('"bids"', f'"E":{now_ms},"T":{market.now_ms},"bids"', 1)


def book_ticker(market: LiveMarket, top: Top, now_ms: int) -> str:
    price, size, native = market.price_text, market.size_text, market.instrument.native
    best = f'"b":"{price(top.bid)}","B":"{size(top.bid_size)}","a":"{price(top.ask)}","A":"{size(top.ask_size)}"'
    if market.instrument.product == "usdm":
        return (
            f'{{"e":"bookTicker","u":{top.update_id},"E":{now_ms},"T":{top.ms},"s":"{native}","ps":"{native}",'
            f'{best},"st":1}}'
        )
    return f'{{"u":{top.update_id},"s":"{native}",{best}}}'


def trade(market: LiveMarket, row: Print, now_ms: int) -> str:
    return (
        f'{{"e":"trade","E":{now_ms},"s":"{market.instrument.native}","t":{row.id},"p":"{market.price_text(row.price)}",'
        f'"q":"{market.size_text(row.size)}","T":{row.ms},"m":{flag(not row.taker_buys)},"M":true}}'
    )


def agg_trade(market: LiveMarket, row: Aggregate, now_ms: int) -> str:
    size = market.size_text(row.size)
    tail = f'"nq":"{size}",' if market.instrument.product == "usdm" else ""
    end = '"st":1' if market.instrument.product == "usdm" else '"M":true'
    return (
        f'{{"e":"aggTrade","E":{now_ms},"s":"{market.instrument.native}","a":{row.id},'
        f'"p":"{market.price_text(row.price)}","q":"{size}",{tail}"f":{row.first},"l":{row.last},"T":{row.ms},'
        f'"m":{flag(not row.taker_buys)},{end}}}'
    )


def day_fields(market: LiveMarket, day: Day) -> dict[str, str]:
    """The 24 h figures as decimal text, by plain names; shared by stream and REST."""
    tick, lot = market.instrument.tick, market.instrument.lot
    volume, value = day.volume * lot, day.value * tick * lot
    change = (day.close - day.open) * tick
    average = (value / volume if volume else day.close * tick).quantize(tick * Decimal("0.0001"))
    return {
        "change": f"{change:f}",
        "percent": f"{100 * Decimal(day.close - day.open) / day.open:.3f}",
        "average": f"{average:f}",
        "open": market.price_text(day.open),
        "high": market.price_text(day.high),
        "low": market.price_text(day.low),
        "last": market.price_text(day.close),
        "volume": f"{volume:f}",
        "value": f"{value:.8f}",
    }


def ticker(market: LiveMarket, now_ms: int) -> str:
    day = market.candles.day()
    text, top = day_fields(market, day), market.top
    size, price = market.size_text, market.price_text
    last_size = size(market.recent[-1].size) if market.recent else "0"
    extra = ""
    if market.instrument.product == "spot":
        extra = (
            f'"x":"{text["open"]}","b":"{price(top.bid)}","B":"{size(top.bid_size)}",'
            f'"a":"{price(top.ask)}","A":"{size(top.ask_size)}",'
        )
    return (
        f'{{"e":"24hrTicker","E":{now_ms},"s":"{market.instrument.native}",{futures_tag(market)}'
        f'"p":"{text["change"]}","P":"{text["percent"]}","w":"{text["average"]}","c":"{text["last"]}",'
        f'"Q":"{last_size}",{extra}"o":"{text["open"]}","h":"{text["high"]}","l":"{text["low"]}",'
        f'"v":"{text["volume"]}","q":"{text["value"]}","O":{day.open_ms},"C":{now_ms},'
        f'"F":{day.first_id},"L":{day.last_id},"n":{day.trades}}}'
    )


def mini_ticker(market: LiveMarket, now_ms: int) -> str:
    text = day_fields(market, market.candles.day())
    return (
        f'{{"e":"24hrMiniTicker","E":{now_ms},"s":"{market.instrument.native}",{futures_tag(market)}'
        f'"c":"{text["last"]}","o":"{text["open"]}","h":"{text["high"]}","l":"{text["low"]}",'
        f'"v":"{text["volume"]}","q":"{text["value"]}"}}'
    )


def bar_volumes(market: LiveMarket, bar: Bar) -> tuple[str, str, str, str]:
    """Base and quote volume, and the same of taking buyers."""
    unit = market.instrument.tick * market.instrument.lot
    return (
        market.size_text(bar.volume),
        f"{bar.value * unit:.8f}",
        market.size_text(bar.buy_volume),
        f"{bar.buy_value * unit:.8f}",
    )


def kline(market: LiveMarket, interval: str, interval_ms: int, bar: Bar, closed: bool, now_ms: int) -> str:
    price = market.price_text
    base, quote, buy_base, buy_quote = bar_volumes(market, bar)
    native = market.instrument.native
    return (
        f'{{"e":"kline","E":{now_ms},"s":"{native}",{futures_tag(market)}"k":{{"t":{bar.open_ms},'
        f'"T":{bucket_end(interval_ms, bar.open_ms) - 1},"s":"{native}","i":"{interval}","f":{bar.first_id},'
        f'"L":{bar.last_id},"o":"{price(bar.open)}","c":"{price(bar.close)}","h":"{price(bar.high)}",'
        f'"l":"{price(bar.low)}","v":"{base}","n":{bar.trades},"x":{flag(closed)},"q":"{quote}",'
        f'"V":"{buy_base}","Q":"{buy_quote}","B":"0"}}}}'
    )


def kline_row(market: LiveMarket, interval_ms: int, bar: Bar) -> list[int | str]:
    """A row of the REST answer."""
    price = market.price_text
    base, quote, buy_base, buy_quote = bar_volumes(market, bar)
    end_ms = bucket_end(interval_ms, bar.open_ms) - 1
    prices = [price(bar.open), price(bar.high), price(bar.low), price(bar.close)]
    return [bar.open_ms, *prices, base, end_ms, quote, bar.trades, buy_base, buy_quote, "0"]


def mark_price(market: LiveMarket, now_ms: int) -> str:
    mark, index, rate = market.mark_texts()
    return (
        f'{{"e":"markPriceUpdate","E":{now_ms},"s":"{market.instrument.native}","p":"{mark}","ap":"{mark}",'
        f'"P":"{index}","i":"{index}","r":"{rate}","T":{market.next_funding_ms()},"st":1}}'
    )
