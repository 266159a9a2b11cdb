"""The checks have teeth: adapters that are wrong in ways that people are wrong fail, each in the check meant for it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from feeds.domain import BookDelta, BookSnapshot, Candle, Event, Market, Notice, Rejected, Subscription
from feeds.errors import RateLimited
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


class UnchainedSession(Wrapped):
    """Leaves out that an update follows another."""

    def parse(self, raw: bytes | str) -> list[Event]:
        events = self._session.parse(raw)
        return [replace(each, prev=None) if isinstance(each, BookDelta) else each for each in events]


class Unchained(Binance):
    def session(self, route: str, markets: MarketIndex) -> Any:
        return UnchainedSession(super().session(route, markets))


class HastySession(Wrapped):
    """Asks for each stream by a message of its own, and trusts every frame to be JSON."""

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        return [message for each in subscriptions for message in self._session.subscribe([each])]

    def parse(self, raw: bytes | str) -> list[Event]:
        msgspec.json.decode(raw)
        return self._session.parse(raw)


class Hasty(Binance):
    """Knows no limit, counts volumes on both sides, and takes every Retry-After for a number."""

    facts = smaller(Binance.facts, messages_per_s=1000)

    def session(self, route: str, markets: MarketIndex) -> Any:
        return HastySession(super().session(route, markets))

    def parse_candles(self, market: Market, interval: str, raw: bytes) -> list[Candle]:
        return [replace(bar, base_volume=bar.base_volume * 2) for bar in super().parse_candles(market, interval, raw)]

    def error_of(self, status: int, raw: bytes, headers: Mapping[str, str]) -> Exception | None:
        if status == 429:
            return RateLimited("too many", float(headers.get("Retry-After", "1")))
        return super().error_of(status, raw, headers)


class CountingSession(Wrapped):
    """Takes contracts for base currency."""

    def parse(self, raw: bytes | str) -> list[Event]:
        return [self._counted(each) for each in self._session.parse(raw)]

    def _counted(self, event: Event) -> Event:
        if isinstance(event, BookDelta | BookSnapshot):
            bids, asks = ([(p, s * 2) for p, s in side] for side in (event.bids, event.asks))
            return replace(event, bids=bids, asks=asks, checksum=None)
        return event


class Counting(Kraken):
    def session(self, route: str, markets: MarketIndex) -> Any:
        return CountingSession(super().session(route, markets))


class DeafSession(Wrapped):
    """Takes a refusal for something to read in the log, sums nothing, and never ends a subscription."""

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        return []

    def parse(self, raw: bytes | str) -> list[Event]:
        return [self._deaf(each) for each in self._session.parse(raw)]

    def _deaf(self, event: Event) -> Event:
        if isinstance(event, Rejected):
            return Notice(text=event.reason)
        return replace(event, checksum=None) if isinstance(event, BookDelta | BookSnapshot) else event


class Deaf(Kraken):
    def session(self, route: str, markets: MarketIndex) -> Any:
        return DeafSession(super().session(route, markets))


WRONG: dict[str, tuple[str, Any, list[str]]] = {
    "unchained": ("binance", Unchained, ["gap", "disorder"]),
    "counting": ("kraken", Counting, ["snapshot", "deltas", "replay"]),
    "hasty": ("binance", Hasty, ["history", "malformed", "mutations", "rest", "limits"]),
    "deaf": ("kraken", Deaf, ["unsubscribe", "checksum", "rejected"]),
}
AT_ONCE = [("unchained", "counting"), ("hasty", "deaf")]
_done: dict[str, Outcomes] = {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("adapter", "wrong_in"), [(name, check) for name, (_, _, checks) in WRONG.items() for check in checks]
)
def test_a_wrong_adapter_fails(adapter: str, wrong_in: str) -> None:
    if adapter not in _done:
        names = next(names for names in AT_ONCE if adapter in names)
        chosen = {name: WRONG[name] for name in names}
        subjects = [Subject(exchange, kind, venues.REGISTRY[exchange]) for exchange, kind, _ in chosen.values()]
        found = asyncio.run(run_all(subjects, {exchange: checks for exchange, _, checks in chosen.values()}))
        _done.update({name: found[exchange] for name, (exchange, _, _) in chosen.items()})
    outcome = _done[adapter][wrong_in]
    assert outcome.verdict == "failed", f"the {adapter} one, {wrong_in}: {outcome}"
    assert outcome.detail


def test_a_half_written_adapter_gets_a_list() -> None:
    class Half:
        name = "atlantis"
        products = ("spot",)

    outcomes = asyncio.run(run_all([Subject("atlantis", Half, None)]))["atlantis"]
    assert set(outcomes) == set(CHECKS)
    lacking = outcomes["complete"].detail
    for part in (
        "no line for 'atlantis' in feeds/exchanges/__init__.py",
        "the adapter lacks facts, endpoints, budgets",
        "no simulator: a package feeds/simulator/atlantis",
        "no test tests/feeds/test_atlantis.py",
        "no section on atlantis in docs/exchanges.md",
    ):
        assert part in lacking
    assert {each.verdict for each in outcomes.values()} == {"failed"}


def test_a_subject_by_its_class() -> None:
    subject = subject_of("feeds.exchanges.kraken:Kraken")
    assert (subject.name, subject.factory, subject.simulator) == ("kraken", Kraken, venues.REGISTRY["kraken"])
    for text, said in (("nowhere", "no adapter"), ("nowhere:Class", "cannot be imported"), ("json:loads", "no name")):
        with pytest.raises(ValueError, match=said):
            subject_of(text)
