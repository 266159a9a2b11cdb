"""Which product of its exchange each connection of a recording carries."""

import re
from collections.abc import Iterable, Iterator

from feeds.exchange import Exchange, TellsProduct
from feeds.exchanges import words_of
from feeds.recordings.recording import Record, Recording, RecordingError


class Products:
    """Which product each connection of a recording carries.

    The header tells: ``"product": "spot"`` for all, a sentence that names no other ("BTSE futures frames"), or each
    connection's: ``"linear (conn A) and spot (conn B)"``; or the exchange's name does (``binance-usdm``). A connection
    that is not named there may name its product itself (``"linear-1"``, or the address), or its frames may tell
    (:class:`~feeds.exchange.TellsProduct`). Products have other names as well (``Facts.recorded_products``). Nobody
    needs to tell where the exchange has one product only, or each connection may carry all (``Facts.products_mixed``).
    Calling raises RecordingError if the product cannot be known.
    """

    def __init__(self, recording: Recording, exchange: Exchange) -> None:
        self._recording = recording
        self._exchange = exchange
        self._known = exchange.products
        self._mixed = exchange.facts.products_mixed
        self._words = {**exchange.facts.recorded_products, **{each: each for each in exchange.products}}
        said = recording.header.product or ""
        self._named = {
            conn: product
            for word, product in self._words.items()
            for conn in re.findall(rf"\b{word} \(conn ([^)]+)\)", said, re.IGNORECASE)
        }
        self._among = self._in(words_of(said)) or self._in(words_of(recording.venue))
        only = self._among[0] if len(self._among) == 1 and not self._named else None
        self._only = only or (self._known[0] if self._mixed or len(self._known) == 1 else None)
        self._by_frames: dict[str, str] | None = None  # of those that no word tells

    def __call__(self, conn: str) -> str:
        product = self._by_words(conn) or self._told_by_frames().get(conn)
        if product is None:
            header = self._recording.header
            has = f"{header.venue} has: {', '.join(self._known)}{f'; connection {conn!r} names none' if conn else ''}"
            raise RecordingError(f'{self._recording.path}: the header\'s "product" is {header.product!r}; {has}.')
        return product

    def all(self) -> tuple[str, ...]:
        """Those that were recorded, in the order of their connections' first frames."""
        if self._mixed:
            return self._known
        if self._only is not None:
            return (self._only,)
        conns = dict.fromkeys(str(record.conn) for record in self._frames())
        if not conns and self._among:
            return tuple(self._among)  # a file that was begun just before the end: answers only
        return tuple(dict.fromkeys(map(self, conns or [""])))

    def _in(self, words: Iterable[str]) -> list[str]:
        """The products that these words name."""
        named = {self._words[word] for word in words if word in self._words}
        return [product for product in self._known if product in named]

    def _by_words(self, conn: str) -> str | None:
        if self._only is not None:
            return self._only
        return self._named.get(conn) or next(iter(self._in(re.findall(r"[a-z]+", conn.lower()))), None)

    def _frames(self) -> Iterator[Record]:
        return (record for record in self._recording if isinstance(record, Record) and record.via == "ws")

    def _told_by_frames(self) -> dict[str, str]:
        """One reading of the file, for all connections."""
        if self._by_frames is None:
            self._by_frames = {}
            if isinstance(self._exchange, TellsProduct):
                for record in self._frames():
                    conn = str(record.conn)
                    if conn not in self._by_frames and self._by_words(conn) is None:
                        product = self._exchange.product_in(record.raw.encode())
                        if product is not None:
                            self._by_frames[conn] = product
        return self._by_frames
