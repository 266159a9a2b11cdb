"""Bitstamp's payloads as text: amounts are strings, printed with the digits of tick and lot. Pure."""

from decimal import Decimal
from typing import Any

from feeds.domain import decimals
from feeds.simulator.candles import Bar
from feeds.simulator.market import LiveMarket, Print
from feeds.simulator.matching import Level

HEARTBEAT = '{"event":"bts:heartbeat","channel":"","data":{"status":"success"}}'
RECONNECT = '{"event":"bts:request_reconnect","channel":"","data":null}'


def confirmed(event: str, channel: str) -> str:
    return f'{{"event":"bts:{event}","channel":"{channel}","data":{{}}}}'


def refused(message: str) -> str:
    return f'{{"event":"bts:error","channel":"","data":{{"code":null,"message":"{message}"}}}}'


def levels(market: LiveMarket, rows: list[Level]) -> list[list[str]]:
    return [[market.price_text(price), market.size_text(size)] for price, size in rows]


def book(market: LiveMarket, channel: str, bids: list[Level], asks: list[Level], micros: int) -> str:
    """A frame of ``order_book``, or with size 0 for what is gone, of ``diff_order_book``. "data" comes first."""
    price, size = market.price_text, market.size_text
    sides = [",".join([f'["{price(p)}","{size(s)}"]' for p, s in side]) for side in (bids, asks)]
    return (
        f'{{"data":{{"timestamp":"{micros // 1_000_000}","microtimestamp":"{micros}",'
        f'"bids":[{sides[0]}],"asks":[{sides[1]}]}},"channel":"{channel}","event":"data"}}'
    )


def trade(market: LiveMarket, row: Print) -> str:
    """A frame of ``live_trades``: amounts as numbers, and as text."""
    price, size = market.price_text(row.price), market.size_text(row.size)
    orders = (row.taker, row.taker - 1) if row.taker_buys else (row.taker - 1, row.taker)
    return (
        f'{{"data":{{"id":{row.id},"id_str":"{row.id}","type":{0 if row.taker_buys else 1},'
        f'"buy_order_id":{orders[0]},"sell_order_id":{orders[1]},"amount":{size},"amount_str":"{size}",'
        f'"price":{price},"price_str":"{price}","timestamp":"{row.ms // 1000}","microtimestamp":"{row.ms}000"}},'
        f'"channel":"live_trades_{market.instrument.native}","event":"trade"}}'
    )


def transaction(market: LiveMarket, row: Print) -> dict[str, str]:
    """An entry of ``transactions``."""
    return {
        "date": str(row.ms // 1000),
        "tid": str(row.id),
        "amount": market.size_text(row.size),
        "price": market.price_text(row.price),
        "type": "0" if row.taker_buys else "1",
    }


def ticker(market: LiveMarket, now_ms: int) -> dict[str, str]:
    day, top, price = market.candles.day(), market.top, market.price_text
    average = day.value // day.volume if day.volume else day.close
    name = f"{market.instrument.base}/{market.instrument.quote}"
    return {
        "timestamp": str(now_ms // 1000),
        "open": price(day.open),
        "high": price(day.high),
        "low": price(day.low),
        "last": price(day.close),
        "volume": market.size_text(day.volume),
        "vwap": price(average),
        "bid": price(top.bid),
        "ask": price(top.ask),
        "side": "0",
        "open_24": price(day.open),
        "percent_change_24": f"{100 * Decimal(day.close - day.open) / day.open:.2f}",
        "market_type": "SPOT",
        "pair": name,
        "market": name,
    }


def bar(market: LiveMarket, each: Bar) -> dict[str, str]:
    """An entry of ``ohlc``."""
    price = market.price_text
    return {
        "timestamp": str(each.open_ms // 1000),
        "open": price(each.open),
        "high": price(each.high),
        "low": price(each.low),
        "close": price(each.close),
        "volume": market.size_text(each.volume),
    }


def listed(market: LiveMarket) -> dict[str, Any]:
    """An entry of ``markets``."""
    i = market.instrument
    return {
        "name": f"{i.base}/{i.quote}",
        "market_symbol": i.native,
        "base_currency": i.base,
        "base_decimals": decimals(i.lot),
        "counter_currency": i.quote,
        "counter_decimals": decimals(i.tick),
        "minimum_order_value": f"{i.min_notional:f}",
        "trading": "Enabled",
        "instant_order_counter_decimals": 2,
        "instant_and_market_orders": "Enabled",
        "description": f"{i.base} / {i.quote}",
        "market_type": "SPOT",
    }


PERPETUAL = {
    "name": "BTC/USD-PERP",
    "market_symbol": "btcusd-perp",
    "base_currency": "BTC",
    "base_decimals": 5,
    "counter_currency": "USD",
    "counter_decimals": 0,
    "minimum_order_value": "10",
    "trading": "Enabled",
    "market_type": "PERPETUAL",
    "payoff_type": "Linear",
    "contract_size": "1.00000000",
}
"""Perpetuals stand in the same list. This one is listed, and does nothing."""
