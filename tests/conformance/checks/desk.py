"""Is everything there that an exchange needs? Nothing runs for it, so a half-written adapter gets a list."""

import inspect
from collections.abc import Iterator

from feeds import exchanges
from feeds.exchange import Exchange, MarketIndex, Session
from feeds.simulator import venues
from tests.conformance.check import Where, check
from tests.conformance.subject import Subject
from tests.shared import ROOT

MARKETS = 10


def members(protocol: type) -> list[str]:
    """What a class must have to fit."""
    names = [*inspect.get_annotations(protocol), *vars(protocol)]
    return [name for name in dict.fromkeys(names) if not name.startswith("_")]


@check("complete", Where.DESK, "adapter, simulator, registry lines, tests and documentation are there")
async def complete(subject: Subject) -> None:
    lacking = [*_adapter(subject), *_simulator(subject), *_around(subject)]
    assert not lacking, "; ".join(lacking)


def _adapter(subject: Subject) -> Iterator[str]:
    if subject.name not in exchanges.REGISTRY:
        yield f"no line for {subject.name!r} in feeds/exchanges/__init__.py"
    try:
        adapter = subject.factory()
    except Exception as error:
        yield f"the adapter cannot be made without arguments: {error!r}"
        return
    missing = [name for name in members(Exchange) if not hasattr(adapter, name)]
    if missing:
        yield f"the adapter lacks {', '.join(missing)}"
        return
    facts = adapter.facts
    for name in ("streams_per_connection", "messages_per_s", "connects_per_minute"):
        if getattr(facts, name) <= 0:
            yield f"facts.{name} is {getattr(facts, name)}"
    if not facts.probe_by_rest:
        yield "no probe tells a quiet market from a mute one (heartbeats cannot)"
    if not facts.markets_by_stream and not adapter.markets_requests():
        yield "instruments come neither by stream nor by REST"
    budgets = adapter.budgets()
    for product in adapter.products:
        if product not in budgets:
            yield f"no REST budget for {product}"
        if not any(key.startswith(f"{product}.") for key in adapter.endpoints):
            yield f"no endpoint of {product}: they are called {product}.ws and {product}.rest"
    routes = [adapter.opening_route()] if facts.markets_by_stream else []
    for route in routes:
        session = adapter.session(route, MarketIndex())
        if lost := [name for name in members(Session) if not hasattr(session, name)]:
            yield f"the session of {route} lacks {', '.join(lost)}"


def _simulator(subject: Subject) -> Iterator[str]:
    simulator = subject.simulator
    if simulator is None:
        yield f"no simulator: a package feeds/simulator/{subject.name} with a class whose name is {subject.name!r}"
        return
    if subject.name not in venues.REGISTRY:
        yield f"no line for {subject.name!r} in feeds/simulator/venues.py"
    if len(simulator.listing) < MARKETS:
        yield f"the simulator lists {len(simulator.listing)} markets, fewer than {MARKETS}"
    products = {each.product for each in simulator.listing}
    if products != set(subject.factory().products):
        yield f"the simulator lists {', '.join(sorted(products))}, the adapter {', '.join(subject.factory().products)}"
    if wrong := {each.venue for each in simulator.listing} - {subject.name}:
        yield f"the simulator lists markets of {', '.join(sorted(wrong))}"
    overrides = simulator.endpoints("ws://127.0.0.1:1", "http://127.0.0.1:1")
    left = [key for key, url in subject.factory(overrides).endpoints.items() if "127.0.0.1" not in url]
    if left:
        yield f"the simulator does not stand in for the endpoints {', '.join(left)}"


def _around(subject: Subject) -> Iterator[str]:
    if not list((ROOT / "tests/feeds").glob(f"test_{subject.name}*.py")):
        yield f"no test tests/feeds/test_{subject.name}.py"
    headings = [
        line.removeprefix("## ").partition("(")[0].replace(" ", "").replace(".", "").lower()
        for line in (ROOT / "docs/exchanges.md").read_text("utf-8").splitlines()
        if line.startswith("## ")
    ]
    if subject.name not in headings:
        yield f"no section on {subject.name} in docs/exchanges.md"
