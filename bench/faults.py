"""Faults of all nine exchanges against our engine, those of the recordings' player against ccxt.pro too, in one run.

    python -m bench faults                            all exchanges, and ccxt where there is a recording
    python -m bench faults --ours --exchange Kraken   without ccxt; one exchange (may be repeated)

Where there is a recording, it is played with the player's faults. The others' simulators misbehave instead, and the
truth is what a tap on them saw (``simulated``). One table at the end has all of them: wrong frames, and the seconds
until a market was live again.

With a recording both are held against the same naive replay: ours with every level of every frame that is marked
usable, ccxt with the best bid and ask of every book that ``watch_order_book`` returns. What is measured of each:

* wrong: frames (books) that are not what the exchange had at that moment;
* old as good: the longest time without news during which the market was still shown as good. ccxt has no state, so
  for it that is the longest silence, whether an exception told of it or not;
* out of use (ours): the longest time that the market was marked as not usable.

ccxt is used as its examples do: watch in a loop, and again after an exception. Times are those of the default
configuration: stale after 5 s, reconnect after 30 s. A recording begins anew at every connection, which is why a
reconnect costs ccxt and us up to the time that was played before: until then everything is old news.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import ccxt.pro
import structlog

from bench import simulated
from bench.fault_runs import (
    BYBIT_LINEAR,
    COINBASE,
    KRAKEN,
    OKX_TODAY,
    PLAYER,
    SPOT,
    Outcome,
    Scene,
    Truth,
    played,
    run_all,
    trimmed,
)

FAULTS = {
    "": 10.0,
    "drop:61": 15.0,
    "dup:61": 10.0,
    "swap:61": 15.0,
    "garbage:61": 10.0,
    "cut:61": 15.0,
    "stall:5": 45.0,
    "close:5:1012": 15.0,
    "kill:5": 15.0,
    "rest503:2": 12.0,
    "rest429:2": 12.0,
    "nosub": 8.0,
}
RARER = {fault.replace(":61", ":17"): seconds for fault, seconds in FAULTS.items()}
"""For books of about ten changes a second."""
SCENES: dict[str, tuple[Scene, Mapping[str, float]]] = {
    "Binance spot": (SPOT, FAULTS),
    "Bybit linear": (BYBIT_LINEAR, RARER),
    "Coinbase": (COINBASE, FAULTS),
    "Kraken": (KRAKEN, RARER),
    "OKX": (OKX_TODAY._replace(seconds=60.0), {f.replace(":61", ":37"): seconds for f, seconds in FAULTS.items()}),
}
SEPARATORS = {"binance": "", "bybit": "", "coinbase": "-", "kraken": "/", "okx": "-"}
"""Between base and quote in an exchange's own names."""
AT_ONCE = 6
RETRY_S = 0.2


class Observed(NamedTuple):
    """What a ccxt run showed."""

    books: int
    wrong: int
    silence_s: float  # longest, from the first book to the end
    raised: int  # exceptions that reached the caller


def redirected(node: Any, port: int) -> Any:
    """The addresses of an exchange, pointed at a port of this machine."""
    if isinstance(node, dict):
        return {key: redirected(value, port) for key, value in node.items()}
    if not isinstance(node, str):
        return node
    parts = urlsplit(node)
    scheme = {"wss": "ws", "https": "http"}.get(parts.scheme, parts.scheme)
    return f"{scheme}://127.0.0.1:{port}{parts.path}"


def client(scene: Scene, port: int) -> Any:
    """A ccxt.pro exchange that knows the recording's markets."""
    exchange = getattr(ccxt.pro, scene.exchange)({"enableRateLimit": False, "newUpdates": False})
    exchange.urls["api"] = redirected(exchange.urls["api"], port)
    markets = []
    for symbol in scene.symbols:
        pair, _, settle = symbol.partition(":")
        base, quote = pair.split("/")
        native = pair.replace("/", SEPARATORS[scene.exchange])
        fields = {"id": native, "lowercaseId": native.lower(), "symbol": symbol, "base": base, "quote": quote}
        fields |= {"baseId": base, "quoteId": quote, "type": "spot", "spot": True, "active": True}
        fields |= {"contract": False, "swap": False, "info": {"wsname": symbol, "instId": native}}
        if settle:
            fields |= {"settle": settle, "settleId": settle, "type": "swap", "spot": False, "swap": True}
            fields |= {"contract": True, "linear": True, "contractSize": 1}
        fields["precision"] = {"price": 0.1 if scene.exchange == "kraken" else 0.01, "amount": 1e-8}
        markets.append(exchange.safe_market_structure(fields))
    exchange.set_markets(markets)
    return exchange


def right(truth: Truth, symbol: str, book: Any) -> bool:
    """Was this the best bid and ask at the book's own moment? (Of Bybit and Coinbase ccxt tells no number: at any.)"""
    best = tuple((Decimal(str(side[0][0])), Decimal(str(side[0][1]))) for side in (book["bids"], book["asks"]))
    if truth.scene.exchange in ("binance", "okx"):
        states = [truth.states[key]] if (key := (symbol, book["nonce"])) in truth.states else []
    elif truth.scene.exchange in ("bybit", "coinbase"):
        states = [state for (name, _), state in truth.states.items() if name == symbol]
    else:  # several changes may share a moment, and ccxt gives a snapshot none
        moment = book["timestamp"]
        states = [state for (_, number), state in truth.states.items() if moment in (None, number[0])]
    return any((bids[0], asks[0]) == best for bids, asks in states)


async def run_theirs(scene: Scene, recording: Path, truth: Truth, fault: str, seconds: float) -> Observed:
    times: dict[str, list[float]] = {symbol: [] for symbol in scene.symbols}
    wrong = raised = 0
    async with played(recording, *filter(None, [fault])) as port:
        exchange = client(scene, port)

        async def watch(symbol: str) -> None:
            nonlocal wrong, raised
            while True:
                try:
                    book = await exchange.watch_order_book(symbol)
                except ccxt.BaseError:
                    raised += 1
                    await asyncio.sleep(RETRY_S)
                    continue
                times[symbol].append(time.monotonic())
                wrong += not right(truth, symbol, book)

        tasks = [asyncio.create_task(watch(symbol)) for symbol in scene.symbols]
        await asyncio.sleep(seconds)
        end_s = time.monotonic()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await exchange.close()
    silences = [
        later - earlier
        for seen in times.values()
        if seen
        for earlier, later in zip(seen, [*seen[1:], end_s], strict=True)
    ]
    return Observed(sum(map(len, times.values())), wrong, max(silences, default=0.0), raised)


async def theirs(scene: Scene, faults: Mapping[str, float]) -> tuple[dict[str, Observed], int]:
    """All faults, a few at a time; and how many exceptions fell out of ccxt where no caller could see them."""
    unseen = 0

    def count(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal unseen
        unseen += 1

    asyncio.get_running_loop().set_exception_handler(count)
    limit = asyncio.Semaphore(AT_ONCE)
    with tempfile.TemporaryDirectory() as folder:
        recording, truth = trimmed(scene, max(faults.values()) + 10, Path(folder))

        async def one(fault: str, seconds: float) -> Observed:
            async with limit:
                return await run_theirs(scene, recording, truth, fault, seconds)

        seen = await asyncio.gather(*(one(fault, seconds) for fault, seconds in faults.items()))
    return dict(zip(faults, seen, strict=True)), unseen


def show(place: str, ours: Mapping[str, Outcome], others: Mapping[str, Observed], unseen: int) -> None:
    gap = " " * len(place)
    print(
        f"\n{place}  fault          ours: wrong/frames  old as good  out of use  ccxt: wrong/books  old as good  raised"
    )
    for fault, mine in ours.items():
        other = others.get(fault)
        beside = f" {other.wrong:12}/{other.books:<5} {other.silence_s:10.1f} s {other.raised:7}" if other else ""
        print(
            f"{gap}  {mine.fault:13} {len(mine.wrong):12}/{mine.frames:<6} {mine.mute_s:9.1f} s {mine.worst_s:9.1f} s"
            f"{beside}"
        )
    if others:
        print(f"{gap}  exceptions inside ccxt that no caller could see: {unseen}")


def rows(place: str, ours: Mapping[str, Outcome], others: Mapping[str, Observed]) -> list[dict[str, Any]]:
    made = []
    for fault, mine in ours.items():
        other = others.get(fault)
        for what, unit, value, theirs in (
            ("wrong shown as good", "frames", len(mine.wrong), other and other.wrong),
            ("old shown as good", "s", round(mine.mute_s, 2), other and round(other.silence_s, 2)),
            ("out of use, and said so", "s", round(mine.worst_s, 2), None),
        ):
            made.append(
                {
                    "name": f"faults, {place}, {mine.fault}: {what}",
                    "value": value,
                    "unit": unit,
                    "baseline": f"ccxt.pro {ccxt.__version__}" if theirs is not None else None,
                    "baseline_value": theirs,
                    "ratio": round(theirs / value, 2) if theirs is not None and value else None,
                }
            )
    return made


REMARKS = {
    ("Alpaca", "drop_depth"): "nothing of Alpaca's shows that a change is missing (docs/exchanges.md)",
}
LIVE = "live again after"
SLOW_START_S = 20.0
"""A start that took longer is told, though no market was ever out of use."""


def summary(outcomes: Mapping[str, Mapping[str, Outcome]]) -> str:
    """One table of all exchanges and faults."""
    lines = [("exchange", "fault", "frames", "wrong", LIVE, "")]
    for place, each in outcomes.items():
        for mine in each.values():
            out = "not" if mine.worst_s == float("inf") else f"{mine.worst_s:.2f} s" if mine.worst_s else "always live"
            if mine.first_live_s > SLOW_START_S and not mine.worst_s:
                out = f"first live after {mine.first_live_s:.0f} s"
            if not any(state.usable for changes in mine.states.values() for _, state in changes):
                out = "never live"
            remark = REMARKS.get((place, mine.fault), "")
            if not mine.live_again:
                remark = remark or next(filter(None, mine.reasons.values()), "")
            lines.append((place, mine.fault, str(mine.frames), str(len(mine.wrong)), out, remark))
    widths = [max(len(each[n]) for each in lines) for n in range(6)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(each, widths, strict=True)).rstrip() for each in lines)


def run(places: Sequence[str] = (), *, ours_alone: bool = False) -> list[dict[str, Any]]:
    """``places``: those named, none: all nine."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    if not PLAYER.exists():
        raise SystemExit("faults: needs the recordings and their player, in ../shared (or $SPREADBOARD_SHARED)")
    made: list[dict[str, Any]] = []
    outcomes: dict[str, dict[str, Outcome]] = {}
    for place, (scene, faults) in SCENES.items():
        if places and place not in places:
            continue
        outcomes[place] = ours = asyncio.run(run_all(scene, faults, at_once=AT_ONCE))
        others, unseen = ({}, 0) if ours_alone else asyncio.run(theirs(scene, faults))
        show(place, ours, others, unseen)
        made += rows(place, ours, others)
    for place, scene in simulated.SCENES.items():
        if places and place not in places:
            continue
        seen = simulated.play(scene)
        print()
        for each in seen.values():
            print(simulated.line(place, each))
            for difference in each.differences[:3]:
                print(f"  the simulator does not publish its own book: {difference}")
        outcomes[place] = {name: each.outcome for name, each in seen.items()}
        made += simulated.rows(place, seen)
    print(f"\n{summary(outcomes)}")
    return made


def main(arguments: Sequence[str]) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(prog="python -m bench faults", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--exchange", action="append", default=[], choices=[*SCENES, *simulated.SCENES])
    parser.add_argument("--ours", action="store_true", help="without ccxt beside them")
    given = parser.parse_args(arguments)
    return run(given.exchange, ours_alone=given.ours)
