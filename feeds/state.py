"""What a worker remembers over a restart: last books, prints and bars, in one file, replaced as a whole.

A restored book is a picture of the past and is shown as such (STALE, ``restored``) until a live one replaces it.
"""

import os
import time
from pathlib import Path

import msgspec
import structlog

from feeds.book import OrderBook
from feeds.domain import BookSnapshot, Candle, Level, Trade
from feeds.markets.market import MarketFeed

log = structlog.get_logger(__name__)

LEVELS_KEPT = 200
VERSION = 1


class SavedMarket(msgspec.Struct, frozen=True, kw_only=True):
    """The remembered part of one market."""

    exchange: str
    symbol: str
    book_ns: int
    seq: int | None
    exchange_ms: int | None
    bids: list[Level]
    asks: list[Level]
    trades: list[Trade]
    candles: list[Candle]


class _File(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    saved_ms: int
    markets: list[SavedMarket]


class StateFile:
    """Reads and writes the remembered markets. ``directory`` is made if missing."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "markets.msgpack"

    def load(self) -> dict[tuple[str, str], SavedMarket]:
        """What was saved last; {} if nothing was. A file that cannot be read is set aside and said in the log."""
        try:
            saved = msgspec.msgpack.decode(self.path.read_bytes(), type=_File)
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError) as error:
            aside = self.path.with_suffix(".unreadable")
            log.warning("saved state not readable, set aside", file=str(self.path), aside=str(aside), error=str(error))
            if self.path.exists():
                self.path.replace(aside)
            return {}
        if saved.version != VERSION:
            log.info("saved state is of another version, not used", file=str(self.path), version=saved.version)
            return {}
        return {(m.exchange, m.symbol): m for m in saved.markets}

    def encode(self, markets: list[SavedMarket]) -> bytes:
        return msgspec.msgpack.encode(_File(version=VERSION, saved_ms=time.time_ns() // 1_000_000, markets=markets))

    def write(self, content: bytes) -> None:
        """Replace the file as a whole, so that a crash leaves the old one or the new one. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_suffix(".new")
        with scratch.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self.path)


def remember(feed: MarketFeed) -> SavedMarket | None:
    """The market's present, or None if there is nothing worth keeping."""
    book = feed.sync.book if feed.sync.ready else feed.old
    if book is None and not feed.trades:
        return None
    return SavedMarket(
        exchange=feed.market.exchange,
        symbol=feed.market.symbol,
        book_ns=feed.book_ns,
        seq=book.seq if book else None,
        exchange_ms=book.exchange_ms if book else None,
        bids=book.bids.top(LEVELS_KEPT) if book else [],
        asks=book.asks.top(LEVELS_KEPT) if book else [],
        trades=list(feed.trades),
        candles=[bar for bars in feed.candles.values() for bar in bars],
    )


def recall(feed: MarketFeed, saved: SavedMarket) -> None:
    """Put what was remembered into a market that has just been opened."""
    if saved.bids or saved.asks:
        book = OrderBook()
        book.replace(
            BookSnapshot(
                symbol=saved.symbol,
                bids=saved.bids,
                asks=saved.asks,
                seq=saved.seq,
                exchange_ms=saved.exchange_ms,
            )
        )
        feed.old = book
        feed.book_ns = saved.book_ns
    for trade in saved.trades:
        feed.on_trade(trade, saved.book_ns)
    for bar in sorted(saved.candles, key=lambda bar: bar.open_ms):
        feed.on_candle(bar, saved.book_ns)
    feed.evaluate()
