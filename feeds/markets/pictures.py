"""How a market's topics look on the wire: docs/protocol.md section 2.5. Pure functions of a market's present."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from feeds import levels
from feeds.book import OrderBook
from feeds.domain import BUILDING, Candle, Level, Market, StreamState, decimals
from feeds.markets.judgement import judge_topic
from feeds.publisher import Picture
from feeds.topics import Topic

if TYPE_CHECKING:
    from feeds.config import ExchangeConfig
    from feeds.markets.market import MarketFeed

TRADES_SHOWN = 50


def money(value: Decimal, places: int) -> str:
    """A Decimal as text with ``places`` digits after the point: padding goes, further digits that say something stay.

    Exchanges pad (Binance prints every spot price with eight decimals); a reader wants the instrument's own.
    """
    whole, _, part = f"{value:f}".partition(".")
    part = part.rstrip("0").ljust(places, "0")
    return f"{whole}.{part}" if part else whole


def draw(feed: "MarketFeed", topic: Topic) -> Picture | None:
    """A topic's content; None while there is nothing to show."""
    match topic.kind:
        case "book":
            return draw_book(feed, topic.step)
        case "quote":
            return draw_quote(feed)
        case "trades":
            return draw_trades(feed)
        case "leg":
            return None  # drawn together with other exchanges' (feeds.across.together)
        case _:
            return draw_candles(feed, topic.interval or "1m")


def draw_book(feed: "MarketFeed", step: Decimal | None) -> Picture:
    book = feed.book
    data: dict[str, Any] = {"checksum": book.checksum}
    if step is not None:
        data["step"] = f"{step:f}"
    if book is feed.old:
        data["restored"] = True
    if book.ready and feed.state not in BUILDING:
        try:
            data |= _levels(feed, book, step)
        except levels.NotShownError as error:
            feed.cannot_show(str(error))
        else:
            feed.cannot_show("")
            state, recv_ns = feed.state, feed.shown_ns
            return Picture(state=state, seq=book.seq, exchange_ms=book.exchange_ms, recv_ns=recv_ns, data=data)
    data |= {"price_decimals": feed.price_decimals, "size_decimals": feed.size_decimals}
    data |= {"bids": [], "asks": [], "bid": None, "ask": None, "checksum": None}
    state = StreamState.DOWN if feed.state.usable else feed.state
    return Picture(state=state, data=data, recv_ns=feed.shown_ns)


def _levels(feed: "MarketFeed", book: OrderBook, step: Decimal | None) -> dict[str, Any]:
    """The levels of a book that is shown. Raises NotShownError."""
    data: dict[str, Any] = {}
    best = levels.scale(book, max(1, feed.depth) if step is None else 1, feed.price_decimals, feed.size_decimals)
    price_decimals, size_decimals, bids, asks = best
    data["bid"], data["ask"] = (bids[0] if bids else None), (asks[0] if asks else None)
    if step is not None:
        fine = max(price_decimals, decimals(step))  # the tick may have become coarser than a step of before
        grouped = levels.group(book, step, feed.depth, fine, size_decimals)
        wider = grouped[0] - price_decimals, grouped[1] - size_decimals
        price_decimals, size_decimals, bids, asks = grouped
        for side in ("bid", "ask"):
            if data[side] is not None and any(wider):
                data[side] = [data[side][0] * 10 ** wider[0], data[side][1] * 10 ** wider[1]]
    return data | {"price_decimals": price_decimals, "size_decimals": size_decimals, "bids": bids, "asks": asks}


def draw_quote(feed: "MarketFeed") -> Picture:
    ticker, mark, last = feed.ticker, feed.mark, last_price(feed)
    state = judge_topic(feed, "quote")
    if state is StreamState.POLLED and not feed.figures_live:
        ticker = mark = last = None  # the best prices alone are of this moment
    bid, ask = feed.best() if feed.state not in BUILDING else (None, None)

    def text(value: Decimal | None) -> str | None:
        return None if value is None else f"{value:f}"

    def paid(value: Decimal | None) -> str | None:
        return None if value is None else money(value, feed.price_decimals)

    def price(level: Level | None) -> str | None:
        return None if level is None else levels.text(level[0], feed.price_decimals)

    def size(level: Level | None) -> str | None:
        return None if level is None else levels.text(level[1], feed.size_decimals)

    change = ticker.change if ticker is not None else None
    if ticker is not None and ticker.open and last is not None:
        change = last / ticker.open - 1
    data = {
        "bid": price(bid),
        "bid_size": size(bid) if feed.market.book else None,
        "ask": price(ask),
        "ask_size": size(ask) if feed.market.book else None,
        "last": paid(last),
        "open": paid(ticker.open) if ticker else None,
        "high": paid(ticker.high) if ticker else None,
        "low": paid(ticker.low) if ticker else None,
        "change": None if change is None else f"{change:.6f}",
        "base_volume": text(ticker.base_volume) if ticker else None,
        "quote_volume": text(ticker.quote_volume) if ticker else None,
        "mark": paid(mark.mark) if mark else None,
        "index": paid(mark.index) if mark else None,
        "funding_rate": text(mark.funding_rate) if mark else None,
        "next_funding_ms": mark.next_funding_ms if mark else None,
    }
    ahead = feed.bbo is not None and feed.ahead(feed.bbo)
    return Picture(
        state=state,
        seq=feed.bbo.seq if ahead and feed.bbo else feed.book.seq,
        exchange_ms=feed.bbo.exchange_ms if ahead and feed.bbo else feed.book.exchange_ms,
        recv_ns=feed.shown_ns if state is StreamState.POLLED else max(feed.price_ns, feed.book_ns),
        data=data,
    )


def last_price(feed: "MarketFeed") -> Decimal | None:
    """Price of the newest print that makes one, else of the ticker."""
    trade = next((trade for trade in reversed(feed.trades) if trade.last), None)
    ticker = feed.ticker
    if trade is not None and (ticker is None or ticker.exchange_ms is None or trade.exchange_ms >= ticker.exchange_ms):
        return trade.price
    return ticker.last if ticker is not None else None


def draw_trades(feed: "MarketFeed") -> Picture:
    shown = list(feed.trades)[: -TRADES_SHOWN - 1 : -1]
    rows = [
        {
            "id": t.id,
            "side": t.side,
            "price": money(t.price, feed.price_decimals),
            "size": money(t.size, feed.size_decimals),
            "exchange_ms": t.exchange_ms,
        }
        for t in shown
    ]
    return Picture(
        state=judge_topic(feed, "trades"),
        exchange_ms=shown[0].exchange_ms if shown else None,
        recv_ns=feed.trades_ns,
        data={"trades": rows},
    )


def draw_candles(feed: "MarketFeed", interval: str) -> Picture | None:
    bars = feed.candles.get(interval)
    if not bars:
        return None
    return Picture(
        state=judge_topic(feed, f"candles@{feed.long_bars.source_of(interval)}"),
        exchange_ms=None,
        recv_ns=feed.candles_ns,
        data={"interval": interval, "bars": [candle_row(bar, feed.market) for bar in bars]},
    )


def candle_row(bar: Candle, market: Market) -> dict[str, Any]:
    """A bar as docs/protocol.md shows it."""
    return {
        "open_ms": bar.open_ms,
        "open": money(bar.open, market.price_decimals),
        "high": money(bar.high, market.price_decimals),
        "low": money(bar.low, market.price_decimals),
        "close": money(bar.close, market.price_decimals),
        "base_volume": money(bar.base_volume, market.size_decimals),
        "closed": bar.closed,
    }


def market_row(market: Market, pinned: bool, config: "ExchangeConfig") -> dict[str, Any]:
    """An instrument as ``/api/markets/`` shows it."""
    return {
        "exchange": market.exchange,
        "symbol": market.symbol,
        "native": market.native,
        "product": market.product,
        "base": market.base,
        "quote": market.quote,
        "settle": market.settle,
        "tick": f"{market.tick:f}",
        "lot": f"{market.lot:f}",
        "min_size": f"{market.min_size:f}",
        "min_notional": f"{market.min_notional:f}",
        "status": market.status,
        "pinned": pinned,
        "simulated": config.simulated,
        "via": config.via,
        "replay": config.replay,
    }
