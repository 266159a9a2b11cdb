"""A day without trouble: what is asked for comes, is the market's own, and ends when nobody wants it any more."""

import asyncio
import time

from feeds.domain import INTERVALS
from feeds.simulator.instruments import Instrument
from tests.conformance.check import Where, check, waived
from tests.conformance.grounds import KINDS, Ground
from tests.conformance.judge import decimal_of, until

STATES = 10
"""So many different states of a market must be shown within the time."""


def bystanders(ground: Ground) -> list[Instrument]:
    """One market of every product that nothing happens to."""
    return [ground.of(product)[0] for product in ground.products]


@check("instruments", Where.CALM, "every listed market is known by its unified symbol, with tick, lot and names")
async def instruments(ground: Ground) -> None:
    for each in ground.markets:
        market = ground.venue.markets[each.symbol]
        ours = (market.native, market.product, market.base, market.quote, market.settle, market.tick, market.lot)
        theirs = (each.native, each.product, each.alias or each.base, each.quote, each.settle, each.tick, each.lot)
        names = ("native", "product", "base", "quote", "settle", "tick", "lot")
        skip = 1 if waived(ground.subject, "instruments.native") else 0
        wrong = [f"{n} is {o}, not {t}" for n, o, t in list(zip(names, ours, theirs, strict=True))[skip:] if o != t]
        assert not wrong, f"{each.symbol}: {'; '.join(wrong)}"
        assert market.exchange == ground.name, f"{each.symbol} is of {market.exchange!r}"
        assert market.status == "trading", f"{each.symbol} is {market.status!r}"


@check("subscribe", Where.CALM, "book, best prices, 24 h figures, trades and candles of a market come within seconds")
async def subscribe(ground: Ground) -> None:
    watched = bystanders(ground)
    ground.watch(*watched, kinds=KINDS)
    await ground.live(*watched)
    for each in watched:
        await until(lambda each=each: _quoted(ground, each), f"best and last price of {each.symbol}")
        await until(lambda each=each: _rows(ground, "trades", each), f"a trade of {each.symbol}")
        if not waived(ground.subject, "subscribe.candles"):
            await until(lambda each=each: _rows(ground, "candles@1m", each, "bars"), f"a candle of {each.symbol}")
    refused = ground.judge.refusals
    assert not refused, f"refused: {refused[0]}"


def _quoted(ground: Ground, market: Instrument) -> bool:
    frame = ground.judge.topic("quote", market.symbol)
    wanted = ("bid", "ask", "last", *(("mark",) if market.settle is not None else ()))
    return frame is not None and all(frame["data"][name] is not None for name in wanted)


def _rows(ground: Ground, kind: str, market: Instrument, key: str = "trades") -> bool:
    frame = ground.judge.topic(kind, market.symbol)
    return frame is not None and bool(frame["data"][key])


@check("figures", Where.CALM, "last price, day's high and low, trades and the running candle equal the market's own")
async def figures(ground: Ground) -> None:
    watched = bystanders(ground)
    ground.watch(*watched, kinds=KINDS)
    await ground.live(*watched)
    for each in watched:
        await until(lambda each=each: _day_agrees(ground, each), f"the day's figures of {each.symbol} agree")
        if not waived(ground.subject, "subscribe.candles"):
            await until(lambda each=each: _candle_agrees(ground, each), f"the running candle of {each.symbol} agrees")
    ground.right()


def _day_agrees(ground: Ground, market: Instrument) -> bool:
    frame = ground.judge.topic("quote", market.symbol)
    if frame is None:
        return False
    day = ground.truth.books[market.symbol].market.candles.day()
    theirs = {"last": day.close, "high": day.high, "low": day.low}
    ours = {name: decimal_of(frame["data"][name]) for name in theirs}
    return ours["last"] is not None and all(
        value is None or value == theirs[name] * market.tick for name, value in ours.items()
    )


def _candle_agrees(ground: Ground, market: Instrument) -> bool:
    frame = ground.judge.topic("candles@1m", market.symbol)
    if frame is None:
        return False
    book, bar = ground.truth.books[market.symbol], frame["data"]["bars"][-1]
    prices = [book.in_units(bar[name], market.tick) for name in ("open", "high", "low", "close")]
    if waived(ground.subject, "figures.volume"):
        return (bar["open_ms"], *prices) in {minute[:-1] for minute in book.minutes}
    return (bar["open_ms"], *prices, book.in_units(bar["base_volume"], market.lot)) in book.minutes


@check("snapshot", Where.CALM, "the first book shown, and a book by REST, are the exchange's at that moment")
async def snapshot(ground: Ground) -> None:
    watched = [each for each in bystanders(ground) if each.book]
    await ground.usable(*watched)
    venue = ground.venue
    for each in watched:
        first = ground.judge.first[each.symbol]["data"]
        assert min(len(first["bids"]), len(first["asks"])) >= 10, f"{each.symbol} began with few levels"
        if waived(ground.subject, "snapshot.rest"):
            continue
        book, market = ground.truth.books[each.symbol], venue.markets[each.symbol]
        answer = await venue.rest.send(venue.adapter.snapshot_request(market))
        whole = venue.adapter.parse_snapshot(market, answer.raw)
        sides = (sorted(whole.bids, reverse=True)[:20], sorted(whole.asks)[:20])
        bids, asks = (
            tuple((book.in_units(repr(p), each.tick), book.in_units(repr(s), each.lot)) for p, s in side)
            for side in sides
        )
        book.find(bids, asks, seq=whole.seq)
        if ground.facts.probe_by_rest:
            answer = await venue.rest.send(venue.adapter.probe_request(market))
            best = venue.adapter.parse_probe(market, answer.raw)
            values = (best.bid, each.tick), (best.bid_size, each.lot), (best.ask, each.tick), (best.ask_size, each.lot)
            top = tuple(book.in_units(repr(value), step) for value, step in values)
            assert book.had_best(top), f"{each.symbol}: the probe's best prices {best} were never the market's"
    ground.right()


@check("deltas", Where.CALM, "every usable book is the exchange's at its number, or one of its states, in their order")
async def deltas(ground: Ground) -> None:
    watched = bystanders(ground)
    await ground.usable(*watched)
    since_s = time.monotonic()
    before = {each.symbol: len(ground.judge.seen[each.symbol]) for each in watched}
    for each in watched:
        await until(
            lambda each=each: len(ground.judge.seen[each.symbol]) >= before[each.symbol] + STATES,
            f"{STATES} states of {each.symbol} are shown",
        )
        left = [state for state in ground.judge.changes(each.symbol, since_s) if not state.usable]
        assert not left, f"{each.symbol} became {left[0]} without a reason"
    ground.right()
    lost = sum(lane.connection.not_understood for lane in ground.venue.lanes)
    assert not lost, f"{lost} frames were not understood"


@check("history", Where.CALM, "candles by REST equal the market's own, in every interval, without holes")
async def history(ground: Ground) -> None:
    for each in bystanders(ground):
        for interval, length_ms in INTERVALS.items():
            bars = (await ground.venue.fetch_candles(each.symbol, interval, 100))[-100:]
            assert len(bars) == 100, f"{each.symbol} {interval}: {len(bars)} bars instead of 100"
            known = {bar.open_ms: bar for bar in ground.truth.books[each.symbol].market.candles.series(length_ms)}
            times = [bar.open_ms for bar in bars]
            assert times == list(range(times[0], times[0] + 100 * length_ms, length_ms)), f"{interval}: holes"
            assert (time.time() * 1000 - times[-1]) / length_ms < 2.1, f"{each.symbol} {interval}: ends in the past"
            for bar in bars[:-2]:
                true = known[bar.open_ms]
                ours = (bar.open, bar.high, bar.low, bar.close)
                theirs = [value * each.tick for value in (true.open, true.high, true.low, true.close)]
                assert ours == (*theirs,), f"{each.symbol} {interval}: {bar}, it was {true}"
                least = most = volume = true.volume * each.lot
                if waived(ground.subject, "history.volume"):
                    least, most = volume * bar.low / bar.high, volume * bar.high / bar.low
                assert least <= bar.base_volume <= most, f"{each.symbol} {interval}: {bar} had a volume of {volume}"
                assert bar.closed, f"{each.symbol} {interval}: a bar of the past is not closed"


@check("unsubscribe", Where.CALM, "what nobody watches any more stops on the wire, and nothing else does")
async def unsubscribe(ground: Ground) -> None:
    product = next(product for product in ground.products if len(ground.of(product)) > 2)
    stays, _, leaves = ground.of(product)[:3]
    ground.watch(stays, leaves, kinds=KINDS)
    await ground.live(stays, leaves)
    counts = ground.proxy.named
    assert counts[leaves.native], f"no frame names {leaves.native}: the wire cannot be watched"
    since_s = time.monotonic()
    ground.leave(leaves)
    quiet_s, last = time.monotonic(), counts[leaves.native]
    while time.monotonic() - quiet_s < 1.5:
        await asyncio.sleep(0.05)
        if counts[leaves.native] != last:
            quiet_s, last = time.monotonic(), counts[leaves.native]
        assert time.monotonic() - since_s < 8, f"frames of {leaves.symbol} still come 8 s after nobody wants them"
    before = counts[stays.native]
    await until(lambda: counts[stays.native] > before, f"{stays.symbol} goes on")
    kept = [state for state in ground.judge.changes(stays.symbol, since_s) if not state.usable]
    assert not kept, f"{stays.symbol} became {kept[0]} when {leaves.symbol} was left"
