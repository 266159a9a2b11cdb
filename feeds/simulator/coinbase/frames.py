"""Coinbase's Advanced Trade payloads as text: every amount is a string, printed without needless zeros. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from feeds.simulator.candles import Bar
from feeds.simulator.coinbase.listing import alias_of
from feeds.simulator.market import LiveMarket, Print
from feeds.simulator.matching import Level


def stamp(ms: int, *, digits: int = 9) -> str:
    """RFC 3339 with so many digits of the second, UTC."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}{'0' * (digits - 3)}Z"


def short(text: str) -> str:
    """``0.06000000`` -> ``0.06``, ``5.00`` -> ``5``."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def envelope(channel: str, number: int, now_ms: int, events: str) -> str:
    return (
        f'{{"channel":"{channel}","client_id":"","timestamp":"{stamp(now_ms)}","sequence_num":{number},'
        f'"events":[{events}]}}'
    )


def book(market: LiveMarket, kind: str, bids: Iterable[Level], asks: Iterable[Level], when: str) -> str:
    """An event of ``l2_data``: ``kind`` is "snapshot" or "update"; size 0 removes the level."""
    price, size = market.price_text, market.size_text
    rows = ",".join(
        f'{{"side":"{side}","event_time":"{when}","price_level":"{short(price(p))}",'
        f'"new_quantity":"{short(size(s)) if s else "0"}"}}'
        for side, levels in (("bid", bids), ("offer", asks))
        for p, s in levels
    )
    return f'{{"type":"{kind}","product_id":"{market.instrument.native}","updates":[{rows}]}}'


def trades(market: LiveMarket, kind: str, rows: Iterable[Print]) -> str:
    """An event of ``market_trades``; the rows oldest first, as they happened, are told newest first."""
    body = ",".join(trade(market, row) for row in reversed(list(rows)))
    return f'{{"type":"{kind}","trades":[{body}]}}'


def trade(market: LiveMarket, row: Print, more: str = "") -> str:
    """``side`` is the maker's."""
    return (
        f'{{"product_id":"{market.instrument.native}","trade_id":"{row.id}",'
        f'"price":"{short(market.price_text(row.price))}","size":"{short(market.size_text(row.size))}",'
        f'"time":"{stamp(row.ms, digits=6)}","side":"{"SELL" if row.taker_buys else "BUY"}"{more}}}'
    )


def change_percent(market: LiveMarket) -> str:
    day = market.candles.day()
    return f"{100 * Decimal(day.close - day.open) / day.open:.14f}"


def ticker(market: LiveMarket, kind: str, *, batch: bool = False) -> str:
    """An event of ``ticker``, or of ``ticker_batch``, which has no best prices."""
    day, top = market.candles.day(), market.top
    price, size = market.price_text, market.size_text
    best = (
        ""
        if batch
        else (
            f',"best_bid":"{short(price(top.bid))}","best_bid_quantity":"{short(size(top.bid_size))}",'
            f'"best_ask":"{short(price(top.ask))}","best_ask_quantity":"{short(size(top.ask_size))}"'
        )
    )
    return (
        f'{{"type":"{kind}","tickers":[{{"type":"ticker","product_id":"{market.instrument.native}",'
        f'"price":"{short(price(day.close))}","volume_24_h":"{short(size(day.volume))}",'
        f'"low_24_h":"{short(price(day.low))}","high_24_h":"{short(price(day.high))}",'
        f'"low_52_w":"{short(price(day.low // 2))}","high_52_w":"{short(price(day.high * 2))}",'
        f'"price_percent_chg_24_h":"{change_percent(market)}"{best}}}]}}'
    )


def candle(market: LiveMarket, bar: Bar) -> dict[str, str]:
    price = market.price_text
    return {
        "start": str(bar.open_ms // 1000),
        "high": short(price(bar.high)),
        "low": short(price(bar.low)),
        "open": short(price(bar.open)),
        "close": short(price(bar.close)),
        "volume": short(market.size_text(bar.volume)),
    }


def candles(market: LiveMarket, kind: str, bars: Iterable[Bar]) -> str:
    """An event of ``candles``; the bars oldest first."""
    native = market.instrument.native
    rows = ",".join(
        "{"
        + ",".join(f'"{key}":"{value}"' for key, value in candle(market, bar).items())
        + f',"product_id":"{native}"}}'
        for bar in bars
    )
    return f'{{"type":"{kind}","candles":[{rows}]}}'


def heartbeat(now_ms: int, count: int) -> str:
    """The time is Go's text form."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    return (
        f'{{"current_time":"{moment:%Y-%m-%d %H:%M:%S}.{now_ms % 1000:03d}000000 +0000 UTC m=+{count}.250000000",'
        f'"heartbeat_counter":{count}}}'
    )


def product(market: LiveMarket, *, alias: bool = False) -> dict[str, Any]:
    """An entry of ``/market/products``; ``alias``: of the second name of its book."""
    i, day = market.instrument, market.candles.day()
    other = alias_of(i.native)
    name = other if alias and other is not None else i.native
    quote = "USDC" if alias else i.quote
    tick, lot = f"{i.tick:f}", f"{i.lot:f}"
    return {
        "product_id": name,
        "price": short(market.price_text(day.close)),
        "price_percentage_change_24h": change_percent(market),
        "volume_24h": short(market.size_text(day.volume)),
        "volume_percentage_change_24h": "1.5",
        "base_increment": lot,
        "quote_increment": tick,
        "quote_min_size": f"{i.min_notional:f}",
        "quote_max_size": "150000000",
        "base_min_size": f"{i.min_size:f}",
        "base_max_size": "1000000",
        "base_name": i.base,
        "quote_name": quote,
        "watched": False,
        "is_disabled": False,
        "new": False,
        "status": "online",
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "trading_disabled": False,
        "auction_mode": False,
        "product_type": "SPOT",
        "quote_currency_id": quote,
        "base_currency_id": i.base,
        "fcm_trading_session_details": None,
        "mid_market_price": "",
        "alias": i.native if alias else "",
        "alias_to": [other] if other is not None and not alias else [],
        "base_display_symbol": i.base,
        "quote_display_symbol": quote,
        "view_only": False,
        "price_increment": tick,
        "display_name": name,
        "product_venue": "CBE",
        "approximate_quote_24h_volume": f"{Decimal(day.value) * i.tick * i.lot:.2f}",
        "new_at": "2023-01-01T00:00:00Z",
    }
