"""``python -m bench limits``: an hour of eight accounts on each exchange, against what the exchange's documentation
allows; and a minute in which an exchange asks for silence.

Two figures per documented limit. *Planned*: the product's own timers (``AccountPolls.plan``), every list of fills read
again each minute as if it traded all the time, as far as the pace lets that through, and the clock. *Measured*: eight
accounts followed by the real engine over sockets for a whole hour, which passes in about a minute (``hours``), while
the demo trader trades on all of them; what the simulator received is counted, from the start on, with everything that
is asked rarely and all that is read at the start. Costs are those of the documentation (``documented_limits``), not the
adapters'. ``peak`` is the fullest single window.

    python -m bench limits                       all, with an hour each
    python -m bench limits binance --minutes 10  some, and shorter
    python -m bench limits --silence             only the minute of silence
"""

import argparse
import asyncio
import logging
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import aiohttp
import structlog

from bench import documented_limits as documented
from bench import hours
from bench.common import row
from bench.documented_limits import Asked, Documented
from bench.limits_world import LATENCY_S, World, world
from bench.limits_world import Request as Received
from feeds.exchange import Request
from feeds.following.follower import CLOCK_S, AccountFollower
from feeds.following.pace import READINGS
from feeds.following.signed_rest import HALVINGS, SAMPLES
from feeds.rest import encode
from tests.keys import EXCHANGES

ACCOUNTS = 8
HOUR_S = 3600.0
BACK_S = 700.0
"""An address that Bybit refuses with 403 is silent for ten minutes."""
TRADED_S = 60.0
"""A market that trades has its fills read again so often."""
SYMBOLS = (
    *("BTC/USDT", "ETH/USDT", "BTC/USD", "ETH/USD", "BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USD:USD", "ETH/USD:USD"),
    "SOL.US/USD",
)
"""Few markets, where many would only cost time."""


class Use(NamedTuple):
    """Of one documented limit. ``planned`` and ``measured`` are points an hour, of one key where the limit is a key's;
    ``peak`` is the fullest window's share."""

    limit: Documented
    planned: float
    measured: float
    peak: float

    @property
    def share(self) -> float:
        return max(self.planned, self.measured) / self.limit.per_hour


def asked(request: Request) -> Asked:
    path, _, query = request.path.partition("?")
    return Asked(request.method, path, query or encode(request.params))


def planned(follower: AccountFollower) -> list[tuple[Asked, float]]:
    """What one account asks in an hour by plan, and how often."""
    api, history, pace = follower._api, follower._history, follower._pace
    told = [(request, HOUR_S / every_s) for request, every_s in follower.polls.plan()]
    told += [(api.time_request(of), (SAMPLES + HALVINGS) * HOUR_S / CLOCK_S) for of in api.clocks()]
    fills = [api.fills_request(name, None) for name in history.symbols]
    through = [READINGS * limit.per_s / (cost / TRADED_S) for limit in pace.limits if (cost := limit.cost(fills)) > 0]
    times = HOUR_S / TRADED_S * min([1.0, *through])
    return [(asked(request), times) for request, times in [*told, *((request, times) for request in fills)]]


def fullest(limit: Documented, at: Sequence[tuple[float, float]]) -> float:
    """The share of the fullest window; ``at`` are times and costs, in order."""
    if limit.decays:
        most = count = last_s = 0.0
        for at_s, cost in at:
            count = max(0.0, count - (at_s - last_s) * limit.limit / limit.per_s) + cost
            most, last_s = max(most, count), at_s
        return most / limit.limit
    windows: Counter[float] = Counter()
    for at_s, cost in at:
        windows[at_s // limit.per_s] += cost
    return max(windows.values(), default=0.0) / limit.limit


def use(limit: Documented, plan: Sequence[tuple[Asked, float]], received: Sequence[Received], hours: float) -> Use:
    accounts = ACCOUNTS if limit.scope == "address" else 1
    by_key: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for each in received:
        if limit.scope == "address" or each.key:
            by_key[each.key if limit.scope == "key" else ""].append((each.at_s, limit.cost(each.asked)))
    return Use(
        limit,
        planned=accounts * sum(limit.cost(each) * times for each, times in plan),
        measured=max((sum(cost for _, cost in at) for at in by_key.values()), default=0.0) / hours,
        peak=max((fullest(limit, at) for at in by_key.values()), default=0.0),
    )


async def until(world: World, condition: Callable[[], Any], within_s: float, what: str) -> None:
    """Wait, in the loop's time."""
    end_s = world.clock.monotonic_s() + within_s
    while not condition():
        if world.clock.monotonic_s() > end_s:
            raise AssertionError(f"not within {within_s:g} s: {what}: {world.states()}")
        await asyncio.sleep(0.1)


def live(world: World, *numbers: int) -> bool:
    states = world.states()
    return all(states[number][0] == "LIVE" for number in numbers or states)


async def an_hour(exchange: str, minutes: float = 60.0, symbols: Sequence[str] = ()) -> list[Use]:
    """Eight accounts for so long; raises AssertionError if they are not LIVE at its end."""
    async with world([exchange], symbols=symbols) as here:
        begun_s = here.clock.monotonic_s()
        for number in range(1, ACCOUNTS + 1):
            await here.follow(exchange, number)
        await asyncio.sleep(begun_s + minutes * 60 - here.clock.monotonic_s())
        hours = (here.clock.monotonic_s() - begun_s) / HOUR_S
        received = list(here.received)
        await until(here, lambda: live(here), 120, "all accounts LIVE after it")
        assert here.engine.desk is not None
        plan = planned(here.engine.desk.followers[1])
        return [use(limit, plan, received, hours) for limit in documented.of(exchange)]


class Silence(NamedTuple):
    """``requests``: those of the account that was told to wait, in so many ``seconds``, the first refused one too;
    ``public`` and ``others``: did public data and other accounts stay LIVE? ``sentence``: what the account showed."""

    exchange: str
    status: int
    whose: str
    requests: int
    seconds: float
    told: int
    public: bool
    others: bool
    sentence: str
    rows: int
    older: bool
    back_s: float


async def a_silence(exchange: str, status: int = 429, *, of_key: bool = True, seconds: float = 60.0) -> Silence:
    """Two accounts of it and one of another exchange. One key (or, not ``of_key``, everybody) is refused for so long.
    Raises AssertionError if it does not come back."""
    other = "kraken" if exchange != "kraken" else "binance"
    async with world([exchange, other], symbols=SYMBOLS, pinned=True, trader=False) as here:
        await asyncio.gather(here.follow(exchange, 1), here.follow(exchange, 2), here.follow(other, 3))
        await until(here, lambda: live(here), 300, "all accounts LIVE before it")
        await asyncio.sleep(20.0)
        key = here.keys[1].key if of_key else ""
        control = f"http://127.0.0.1:{here.server.port}/__sim/faults"
        fault = {"exchange": exchange, "kind": "status", "value": status, "for_s": seconds, "retry_s": seconds}
        begun_s = here.clock.monotonic_s()
        await post(control, fault | {"key": key})
        public, others, states = True, True, Counter[str]()
        rows, told_ns = len(here.store.balances[1]), here.store.told_ns[1]
        while here.clock.monotonic_s() - begun_s < seconds - 1.0:
            await asyncio.sleep(0.5)
            venue = here.engine.venues[exchange]
            public &= all(feed.state.usable for feed in venue.feeds.values()) and bool(venue.feeds)
            others &= live(here, 3) and (not of_key or live(here, 2))
            states[here.states()[1][1]] += 1
        over_s = begun_s + seconds - 0.5  # what was told to wait so long may come again from then on
        from_s = begun_s - LATENCY_S  # one that was on its way is refused, too
        since = [each for each in here.received if each.exchange == exchange and from_s <= each.at_s < over_s]
        came = [each for each in since if not of_key or each.key == key]
        older = here.store.told_ns[1] - told_ns < 10 * 1e9
        kept = len(here.store.balances[1])
        await until(here, lambda: live(here), BACK_S, "LIVE again by itself")
        back_s = here.clock.monotonic_s() - begun_s - seconds
        sentence = max(states, key=lambda text: "wait" in text, default="")
        assert kept >= rows > 0
        return Silence(
            exchange,
            status,
            "one key" if of_key else "everybody",
            len(came),
            seconds,
            len({each.key for each in came}),
            public,
            others,
            sentence,
            kept,
            older,
            back_s,
        )


async def post(url: str, body: dict[str, Any]) -> None:
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        assert answer.status == 200, await answer.text()


SILENCES: tuple[tuple[str, int, bool], ...] = (
    ("binance", 429, False),
    ("binance", 418, False),
    *((name, 429, True) for name in EXCHANGES if name != "binance"),
    ("bybit", 403, False),
)
"""Whose limit it is, by the documentation: Binance's are of an address; Bybit has both kinds."""


def quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def show(cells: Sequence[Sequence[str]]) -> None:
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip(), flush=True)


HEAD = ("exchange", "documented limit", "of", "an hour", "planned", "measured", "share", "peak", "source")


def line(each: Use) -> tuple[str, ...]:
    limit = each.limit
    return (
        limit.exchange,
        f"{limit.limit:g} {limit.name}",
        limit.scope,
        f"{limit.per_hour:,.0f}",
        f"{each.planned:,.0f}",
        f"{each.measured:,.0f}",
        f"{each.share:.1%}",
        f"{each.peak:.0%}",
        limit.source,
    )


def main(options: list[str]) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(prog="python -m bench limits", description=__doc__.split("\n\n")[0])
    parser.add_argument("exchanges", nargs="*", default=list(EXCHANGES), help=f"of {', '.join(EXCHANGES)}")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long the accounts are followed")
    parser.add_argument("--silence", action="store_true", help="only what happens when an exchange asks to wait")
    wanted = parser.parse_args(options)
    quiet()
    rows: list[dict[str, Any]] = []
    names = [name for name in wanted.exchanges or EXCHANGES if name in EXCHANGES]
    if not wanted.silence:
        cells: list[tuple[str, ...]] = [HEAD]
        for name in names:
            print(f"   an hour of {name}", file=sys.stderr, flush=True)  # all of them take a quarter of an hour
            for each in hours.run(an_hour(name, wanted.minutes)):
                cells.append(line(each))
                allowed = each.limit.per_hour
                rows.append(row(f"{name}: {each.limit.name}", each.measured, "points/h", "documented", allowed))
        show(cells)
        print()
    cells = [("exchange", "answer", "to", "requests in a minute", "public", "others", "back after", "what it showed")]
    for name, status, of_key in SILENCES:
        if name in names:
            seen = hours.run(a_silence(name, status, of_key=of_key))
            public, others = ("LIVE" if each else "not LIVE" for each in (seen.public, seen.others))
            told = (name, str(status), seen.whose, str(seen.requests), public, others)
            cells.append((*told, f"{seen.back_s:.0f} s", seen.sentence))
            rows.append(row(f"{name}: requests in a minute of {status}", seen.requests, "requests", "-", None))
    show(cells)
    return rows


def run() -> list[dict[str, Any]]:
    return main([])
