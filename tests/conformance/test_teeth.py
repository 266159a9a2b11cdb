"""The checks have teeth: adapters that are wrong in ways that people are wrong fail, each in the check meant for it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from feeds.domain import BookDelta, BookSnapshot, Candle, Event, Market, Notice, Rejected, Subscription
from feeds.exchange import MarketIndex
from feeds.exchanges.binance import Binance
from feeds.exchanges.kraken import Kraken
from feeds.simulator import venues
from tests.conformance.check import CHECKS
from tests.conformance.grounds import smaller
from tests.conformance.run import Outcomes, run_all
from tests.conformance.subject import Subject, subject_of

replace = msgspec.structs.replace


class Wrapped:
    """A session that is right in all else."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


class HastySession(Wrapped):
    """Asks for each stream by a message of its own, never ends one, chains nothing, and trusts every frame."""

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        return [message for each in subscriptions for message in self._session.subscribe([each])]

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        return []

    def parse(self, raw: bytes | str) -> list[Event]:
        content = msgspec.json.decode(raw)
        if "stream" not in content and "id" not in content:
            raise KeyError("stream")
        events = self._session.parse(raw)
        return [replace(each, prev=None) if isinstance(each, BookDelta) else each for each in events]


class Hasty(Binance):
    facts = smaller(Binance.facts, messages_per_s=1000)

    def session(self, route: str, markets: MarketIndex) -> Any:
        return HastySession(super().session(route, markets))

    def parse_candles(self, market: Market, interval: str, raw: bytes) -> list[Candle]:
        return [replace(bar, base_volume=bar.base_volume * 2) for bar in super().parse_candles(market, interval, raw)]

    def error_of(self, status: int, raw: bytes, headers: Mapping[str, str]) -> Exception | None:
        if headers:
            float(headers.get("Retry-After", "0"))
        return super().error_of(status, raw, headers)


class CarelessSession(Wrapped):
    """Takes contracts for base currency, and a refusal for something to read in the log."""

    def parse(self, raw: bytes | str) -> list[Event]:
        return [self._careless(each) for each in self._session.parse(raw)]

    def _careless(self, event: Event) -> Event:
        if isinstance(event, Rejected):
            return Notice(text=event.reason)
        if isinstance(event, BookDelta | BookSnapshot):
            bids, asks = ([(p, s * 2) for p, s in side] for side in (event.bids, event.asks))
            return replace(event, bids=bids, asks=asks, checksum=None)
        return event


class Careless(Kraken):
    def session(self, route: str, markets: MarketIndex) -> Any:
        return CarelessSession(super().session(route, markets))


WRONG = {
    "binance": (Hasty, ["history", "unsubscribe", "gap", "disorder", "malformed", "mutations", "rest", "limits"]),
    "kraken": (Careless, ["snapshot", "deltas", "checksum", "rejected", "replay"]),
}
_done: dict[str, Outcomes] = {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("exchange", "check"), [(name, check) for name, (_, checks) in WRONG.items() for check in checks]
)
def test_a_wrong_adapter_fails(exchange: str, check: str) -> None:
    if not _done:
        subjects = [Subject(name, factory, venues.REGISTRY[name]) for name, (factory, _) in WRONG.items()]
        _done.update(asyncio.run(run_all(subjects, {check for _, checks in WRONG.values() for check in checks})))
    found = _done[exchange][check]
    assert found.verdict == "failed", f"{exchange}, {check}: {found}"
    assert found.detail


def test_a_half_written_adapter_gets_a_list() -> None:
    class Half:
        name = "bitstamp"
        products = ("spot",)

    outcomes = asyncio.run(run_all([Subject("bitstamp", Half, None)]))["bitstamp"]
    assert set(outcomes) == set(CHECKS)
    lacking = outcomes["complete"].detail
    for part in (
        "no line for 'bitstamp' in feeds/exchanges/__init__.py",
        "the adapter lacks facts, endpoints, budgets",
        "no simulator: a package feeds/simulator/bitstamp",
        "no test tests/feeds/test_bitstamp.py",
        "no section on bitstamp in docs/exchanges.md",
    ):
        assert part in lacking
    assert {each.verdict for each in outcomes.values()} == {"failed"}


def test_a_subject_by_its_class() -> None:
    subject = subject_of("feeds.exchanges.kraken:Kraken")
    assert (subject.name, subject.factory, subject.simulator) == ("kraken", Kraken, venues.REGISTRY["kraken"])
    for text, said in (("nowhere", "no adapter"), ("nowhere:Class", "cannot be imported"), ("json:loads", "no name")):
        with pytest.raises(ValueError, match=said):
            subject_of(text)
