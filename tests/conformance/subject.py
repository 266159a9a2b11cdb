"""What is put to the test: an adapter and the simulator of its exchange, registered or not; or an exchange by ccxt."""

import importlib
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

from feeds import exchanges
from feeds.exchange import Exchange, Facts
from feeds.simulator import venues
from feeds.simulator.place import SimulatedExchange

Factory = Callable[..., Exchange]

BY = " by "
BY_CCXT = ("kraken",)
"""Followed through ccxt for the table: one whose kinds of markets are called as ccxt calls them, and a cheap one. What
particular exchanges do to ccxt is in tests/feeds/test_longtail_engine.py."""


class Subject(NamedTuple):
    """One exchange. ``simulator`` is None where there is none yet. ``via``: "ccxt" if it is followed through that
    library; then ``factory`` makes what else would follow it."""

    name: str
    factory: Factory
    simulator: type[SimulatedExchange] | None
    via: str = ""

    @property
    def label(self) -> str:
        """What it is called in the table and in ``waivers.py``."""
        return f"{self.name}{BY}{self.via}" if self.via else self.name

    @property
    def facts(self) -> Facts:
        return self.factory().facts


def registered_subjects() -> list[Subject]:
    """Every exchange that has an adapter, in the order of the names, and then those through ccxt."""
    return [subject_of(name) for name in (*sorted(exchanges.REGISTRY), *(f"{name}{BY}ccxt" for name in BY_CCXT))]


def subject_of(text: str) -> Subject:
    """An exchange by its name or label ("kraken by ccxt"), or ``module:Class`` for an adapter that is not registered
    (yet). Its simulator is the registered one of its name, or the class in ``feeds.simulator.<name>`` that says to be
    it.

    Raises ValueError with a sentence.
    """
    if text in {f"{name}{BY}ccxt" for name in BY_CCXT}:
        name, _, via = text.partition(BY)
        return subject_of(name)._replace(via=via)
    module, colon, kind = text.partition(":")
    if not colon:
        if text not in exchanges.REGISTRY:
            known = ", ".join(sorted(exchanges.REGISTRY))
            raise ValueError(f"There is no adapter for {text!r} in feeds.exchanges.REGISTRY; there are: {known}.")
        return Subject(text, exchanges.REGISTRY[text], _simulator(text))
    try:
        factory = getattr(importlib.import_module(module), kind)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{text} cannot be imported: {error}.") from error
    name = getattr(factory, "name", "")
    if not isinstance(name, str) or not name:
        raise ValueError(f"{text} has no name: an adapter's class says which exchange it is by the attribute 'name'.")
    return Subject(name, factory, _simulator(name))


def _simulator(name: str) -> type[SimulatedExchange] | None:
    if name in venues.REGISTRY:
        return venues.REGISTRY[name]
    try:
        module = importlib.import_module(f"feeds.simulator.{name}")
    except ImportError:
        return None
    found = [each for each in vars(module).values() if isinstance(each, type) and getattr(each, "name", "") == name]
    return found[0] if found else None


@contextmanager
def registered(subject: Subject) -> Iterator[None]:
    """For so long the subject stands in both registries, where the engine and the simulator look for it by its name."""
    places: list[tuple[MutableMapping[str, Any], Any]] = [(exchanges.REGISTRY, subject.factory)]
    if subject.simulator is not None:
        places.append((cast(MutableMapping[str, Any], venues.REGISTRY), subject.simulator))
    usual = [(registry, registry.get(subject.name)) for registry, _ in places]
    for registry, value in places:
        registry[subject.name] = value
    try:
        yield
    finally:
        for registry, value in usual:
            if value is None:
                del registry[subject.name]
            else:
                registry[subject.name] = value
