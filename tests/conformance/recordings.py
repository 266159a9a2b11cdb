"""The recordings of real exchanges beside the repository, and what the adapters make of them."""

from contextlib import suppress
from decimal import Decimal
from functools import cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from feeds.domain import Channel, Market, Subscription
from feeds.errors import ParseError
from feeds.exchange import Exchange, MarketIndex, Session
from feeds.exchanges import REGISTRY
from feeds.recordings.recording import Record, Recording
from feeds.recordings.verify import Report, verify
from tests.conformance.mutations import varied
from tests.shared import SHARED

FOLDER = SHARED / "captures"
_UNKNOWN = "BTC/USD"
_RECORDS = 1_500
_SAMPLED = 30


def recordings() -> list[Path]:
    """All of them; [] where there are none."""
    return sorted(FOLDER.glob("*.jsonl*"))


@cache
def venue_of(path: Path) -> str:
    """Whose it is. Raises RecordingError."""
    return Recording(path).venue


@cache
def report_of(path: Path) -> Report:
    """The recording through its adapter alone. Raises RecordingError, also where there is no adapter."""
    return verify(path)


def waits_for_an_adapter(path: Path) -> bool:
    return venue_of(path) not in REGISTRY


def faults(report: Report) -> list[str]:
    """What must be none and is not."""
    counts = {
        "gaps": report.gaps,
        "wrong checksums": report.checksums_wrong,
        "times crossed": report.crossed,
        "not understood": report.not_understood,
        "best prices that differ": report.bbo_different,
    }
    return [f"{count} {name}" for name, count in counts.items() if count]


class AnyMarket(MarketIndex):
    """Every market that is asked for by its native name is listed, under that name."""

    def __init__(self, exchange: str, product: str) -> None:
        super().__init__()
        self._exchange, self._product = exchange, product

    def made(self, native: str) -> Market:
        unit = Decimal("0.00000001")
        return Market(
            exchange=self._exchange,
            symbol=native,
            native=native,
            product=self._product,
            base="BTC",
            quote="USD",
            tick=unit,
            lot=unit,
        )

    def native(self, product: str, native: str) -> Market | None:
        if super().native(product, native) is None:
            self.update([self.made(native)])
        return super().native(product, native)


class Sampled(NamedTuple):
    """Some frames of every kind of a recording, and how a session that reads them is made."""

    route: str
    markets: MarketIndex
    frames: list[bytes]


def recorded_frames(exchange: Exchange) -> list[Sampled]:
    """Of every recording of this exchange, for every route that understands most of them."""
    return [_sampled(exchange, path) for path in recordings() if venue_of(path) == exchange.name]


def _sampled(exchange: Exchange, path: Path) -> Sampled:
    frames = varied(_beginning(path), _SAMPLED)
    found: list[tuple[int, Sampled]] = []
    for product in exchange.products:
        markets = AnyMarket(exchange.name, product)
        subscription = Subscription(channel=Channel.BOOK, symbol=_UNKNOWN)
        route = exchange.route(subscription, markets.made(_UNKNOWN))
        found.append((_understood(exchange.session(route, markets), frames), Sampled(route, markets, frames)))
    return max(found, key=lambda each: each[0])[1]


def _understood(session: Session, frames: list[bytes]) -> int:
    count = 0
    for raw in frames:
        with suppress(ParseError):
            count += bool(session.parse(raw))
    return count


def _beginning(path: Path) -> list[bytes]:
    """The first frames alone: a long recording is read in no time."""
    records = islice(Recording(path), _RECORDS)
    return [each.raw.encode() for each in records if isinstance(each, Record) and each.via == "ws"]
