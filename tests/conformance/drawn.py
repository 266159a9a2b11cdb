"""Whatever can be read must be drawn, exactly, or told: what a mutated frame says, in every picture that it is in."""

from decimal import Decimal
from typing import Any

import msgspec

from feeds.across.consolidated import Consolidated
from feeds.across.fees import default_fee
from feeds.across.legs import Leg, Source
from feeds.across.matrix import Matrix
from feeds.clock import FakeClock
from feeds.domain import INTERVALS, BookDelta, BookSnapshot, Event, Market, StreamState
from feeds.errors import SyncError
from feeds.exchange import MarketIndex
from feeds.markets.lane import deliver
from feeds.markets.market import MarketFeed
from feeds.sync import BookSync
from feeds.topics import parse_topic

_encode = msgspec.json.Encoder(decimal_format="string").encode


def undrawn(events: list[Event], markets: MarketIndex) -> str:
    """What of these cannot be drawn, and is not told either; "" if all can."""
    for symbol in dict.fromkeys(getattr(event, "symbol", None) for event in events):
        market = markets.get(symbol) if symbol is not None else None
        if market is not None:
            try:
                wrong = _draw(market, [event for event in events if getattr(event, "symbol", None) == symbol])
            except Exception as error:  # of any kind: that nothing is raised is what is tested
                return f"{type(error).__name__} when drawn: {error}"
            if wrong:
                return wrong
    return ""


def _draw(market: Market, events: list[Event]) -> str:
    feed = MarketFeed(
        market,
        BookSync(from_rest=False),
        depth=25,
        stale_s=5.0,
        clock=FakeClock(),
        changed=lambda topic: None,
        want=lambda feed, want: None,
    )
    name = f"{market.exchange}:{market.symbol}"
    kinds = ["book", f"book@{market.tick:f}", "quote", "trades", *(f"candles@{interval}" for interval in INTERVALS)]
    topics = [parse_topic(f"{kind}:{name}") for kind in kinds if market.tick > 0 or "@" not in kind]
    renderers = [feed.watch(topic) for topic in topics]
    for kind in ("book", "quote", "trades"):
        feed.on_link(kind, StreamState.LIVE, "")
    for event in events:
        if isinstance(event, BookDelta):  # as much of a book as it tells
            event = BookSnapshot(symbol=event.symbol, bids=event.bids, asks=event.asks)
        if isinstance(event, BookSnapshot):
            try:
                feed.sync.take_snapshot(event)
            except SyncError:
                continue
            feed.evaluate()
        else:
            deliver(feed, event, 1)
        for render in renderers:
            _encode(render())
        if feed.sync.ready and (wrong := _inexact(feed, renderers[0]())):
            return wrong
        _encode(_together(feed))
    return ""


def _inexact(feed: MarketFeed, picture: Any) -> str:
    data = picture.data
    if feed.unshown or picture.state == StreamState.DOWN:
        told = not picture.state.usable and feed.reason and not data["bids"] + data["asks"]
        return "" if told else f"a book that cannot be drawn is {picture.state}, because of {feed.reason!r}"
    for side, best in (("bid", feed.sync.book.bid), ("ask", feed.sync.book.ask)):
        if best is not None:
            places = data["price_decimals"], data["size_decimals"]
            drawn = tuple(Decimal(units).scaleb(-place) for units, place in zip(data[side], places, strict=True))
            if drawn != tuple(Decimal(repr(value)) for value in best):
                return f"{side} {best} was drawn as {drawn}"
    return ""


def _together(feed: MarketFeed) -> list[Any]:
    market = feed.market
    legs = [Leg(Source(market, lambda: feed)), Leg(Source(market, lambda: feed))]
    symbol, base, quote = market.symbol, market.base, market.quote
    across = Consolidated(symbol, base, quote, step=None, depth=25, clock=FakeClock())
    size = max(market.lot, Decimal("0.001"))
    fee = default_fee(market.exchange, market.product)
    matrix = Matrix(symbol, base, quote, size, "taker", fee_of=lambda leg: fee, clock=FakeClock())
    for picture in (across, matrix):
        picture.set_legs(legs)
    drawn = [across.draw(), matrix.draw()]
    assert not any(side.failed for side in matrix.sides), "the matrix could not be computed"
    return drawn
