"""What several exchanges show together, at work: the topics ``across``, ``matrix`` and ``arbitrage``.

A topic opens its legs: every market of every exchange that belongs to its symbol, and the markets that give the rates
of tied quotes. They are leased like a browser's topics and read when a picture is drawn. A change of a leg marks the
pictures that it is in; the publisher draws each at most ten times a second.
"""

from collections.abc import Callable, Mapping

import structlog
from msgspec import structs

from feeds.across.arbitrage import STOPPED, AcrossStore, Event, Recorder, Watch
from feeds.across.consolidated import Consolidated
from feeds.across.fees import Fee, FeeTable
from feeds.across.legs import Leg, Rate, Source
from feeds.across.matrix import Matrix
from feeds.across.settings import AcrossConfig
from feeds.clock import Clock
from feeds.domain import Market, decimals
from feeds.markets.at_work import ExchangeAtWork
from feeds.publisher import Render
from feeds.topics import ACROSS, ARBITRAGE, Topic, leg_topic

log = structlog.get_logger(__name__)


class _View:
    """One open topic, its legs in order."""

    def __init__(self, topic: Topic, picture: Consolidated | Matrix) -> None:
        self.topic = topic
        self.picture = picture
        self.legs: list[Leg] = []


class Together:
    """All open topics over several exchanges. ``changed`` is called with topics whose content is new, ``lease_legs``
    with the topics of the legs that are needed."""

    def __init__(
        self,
        config: AcrossConfig,
        venues: Mapping[str, ExchangeAtWork],
        changed: Callable[[str], None],
        lease_legs: Callable[[set[str]], None],
        store: AcrossStore | None,
        *,
        depth: int,
        clock: Clock,
    ) -> None:
        self.config = config
        self.fees = FeeTable(config.fees)
        self._venues = venues
        self._changed = changed
        self._lease_legs = lease_legs
        self._store = store
        self._depth = depth
        self._clock = clock
        self._sources: dict[str, Source] = {}  # by the leg's topic
        self._rates: dict[tuple[str, str], Rate] = {}
        self._views: dict[str, _View] = {}
        self.recorder = Recorder(store, changed, clock) if store is not None else None
        self.watch = Watch(config.threshold, self._report, clock)

    def _report(self, event: Event) -> None:
        if self.recorder is not None:
            self.recorder.report(event)

    # -- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Close what a killed worker left open, and take the stored fees."""
        if self.recorder is not None:
            self.recorder.start()
            try:
                await self.reload()
            except Exception as error:  # whatever the store raises: the start must not hang on it
                log.error("stored fees not read, the others hold", error=str(error))

    async def stop(self) -> None:
        """End every event, and write that down. Idempotent."""
        for matrix in self._matrices():
            matrix.end(STOPPED)
        if self.recorder is not None:
            await self.recorder.stop()

    async def reload(self) -> None:
        """Take fees and threshold as they are stored now. Raises what the store raises."""
        if self._store is None:
            return
        fees, threshold = await self._store.user_fees(), await self._store.user_threshold()
        threshold = threshold or self.config.threshold
        threshold = structs.replace(threshold, oldest_s=self.config.threshold.oldest_s)
        changed = self.fees.set_user(fees)
        if changed or threshold != self.watch.settings:
            self.watch.set(threshold)
            for name, view in self._views.items():
                if isinstance(view.picture, Matrix):
                    view.picture.new_fees()
                    self._changed(name)
            self._changed(ARBITRAGE)
            log.info("fees or threshold changed", threshold_bps=str(threshold.bps), duration_s=threshold.duration_s)

    def fee(self, exchange: str, product: str) -> tuple[Fee, Fee]:
        """The fee in force, and the one without the user's own."""
        return self.fees.of(exchange, product), self.fees.without_user(exchange, product)

    def tick(self) -> None:
        """Twice a second: what time alone changes."""
        for matrix in self._matrices():
            matrix.tick()

    def _matrices(self) -> list[Matrix]:
        return [view.picture for view in self._views.values() if isinstance(view.picture, Matrix)]

    # -- topics ------------------------------------------------------------------------------------------------------

    def renderer(self, topic: Topic) -> Render | None:
        """How a topic is drawn. None: no exchange's instruments are known yet that has the symbol. Raises ValueError
        with a sentence if there is no such symbol, or the topic cannot be drawn."""
        if topic.kind == ARBITRAGE:
            recorder = self.recorder
            if recorder is None:
                raise ValueError("This worker keeps no arbitrage events.")
            return lambda: recorder.draw(self.watch.settings)
        exact = [venue.markets[topic.symbol] for venue in self._venues.values() if topic.symbol in venue.markets]
        if not exact:
            if all(venue.markets_loaded.is_set() for venue in self._venues.values()):
                raise ValueError(f"No exchange has a market {topic.symbol!r}.")
            return None
        view = _View(topic, self._picture(topic, exact[0], max(market.price_decimals for market in exact)))
        self._views[str(topic)] = view
        self._take_legs(view)
        self._lease()
        return view.picture.draw

    def _picture(self, topic: Topic, market: Market, price_decimals: int) -> Consolidated | Matrix:
        base, quote = market.base, market.quote
        if topic.kind == ACROSS:
            if topic.step is not None and decimals(topic.step) > price_decimals:
                raise ValueError(f"The grouping step {topic.step:f} is finer than the prices of {topic.symbol}.")
            return Consolidated(topic.symbol, base, quote, step=topic.step, depth=self._depth, clock=self._clock)
        assert topic.size is not None
        return Matrix(
            topic.symbol,
            base,
            quote,
            topic.size,
            "maker" if topic.fees == "maker" else "taker",
            fee_of=lambda leg: self.fees.of(leg.exchange, leg.market.product),
            judge=self.watch,
            clock=self._clock,
        )

    def close(self, topic: Topic) -> None:
        view = self._views.pop(str(topic), None)
        if view is None:
            return
        if isinstance(view.picture, Matrix):
            view.picture.end("Nobody watches this matrix any more.")
        for source in self._needed(view):
            source.watchers.pop(str(topic), None)
        self._sources = {name: source for name, source in self._sources.items() if source.watchers}
        self._rates = {key: rate for key, rate in self._rates.items() if any(s.watchers for s in rate.candidates)}
        self._lease()

    def touched(self, leg: str) -> None:
        """A leg's book or state changed."""
        source = self._sources.get(leg)
        if source is not None:
            source.version += 1
            for name in source.watchers:
                self._changed(name)

    def refresh(self) -> None:
        """Instruments came: there may be more legs, and other details of those there are."""
        for source in self._sources.values():
            markets = self._venues[source.market.exchange].markets
            if source.market.symbol in markets and markets[source.market.symbol] != source.market:
                source.market = markets[source.market.symbol]
                source.version += 1
        for name, view in self._views.items():
            self._take_legs(view)
            self._changed(name)
        self._lease()

    # -- legs --------------------------------------------------------------------------------------------------------

    def _take_legs(self, view: _View) -> None:
        """Give the view the legs that it has not yet: the symbol's own first, then those in tied quotes."""
        name, quote = str(view.topic), view.picture.quote
        known = {(leg.exchange, leg.market.symbol) for leg in view.legs}
        for symbol in self._symbols(view.topic.symbol, view.picture.base, quote):
            for venue in self._venues.values():
                if symbol in venue.markets and (venue.name, symbol) not in known:
                    source = self._source(venue, symbol)
                    rate = None if source.market.quote == quote else self._rate(source.market.quote, quote)
                    view.legs.append(Leg(source, rate))
        for rate in {leg.rate for leg in view.legs if leg.rate is not None}:
            rate.candidates += [s for s in self._rate_sources(rate.quote, rate.target) if s not in rate.candidates]
        for source in self._needed(view):
            source.watchers[name] = None
        view.picture.set_legs(view.legs)

    def _symbols(self, symbol: str, base: str, quote: str) -> list[str]:
        """The symbol, and what it is called in the quotes that are tied to its own."""
        _, _, settle = symbol.partition(":")
        if settle not in ("", quote):
            return [symbol]  # settled in another currency than its quote: not the same thing elsewhere
        others = dict.fromkeys(q for group in self.config.ties.groups for q in group if self.config.ties.tied(q, quote))
        return [symbol, *(f"{base}/{other}{f':{other}' if settle else ''}" for other in others)]

    def _source(self, venue: ExchangeAtWork, symbol: str) -> Source:
        name = str(leg_topic(venue.name, symbol))
        source = self._sources.get(name)
        if source is None:
            source = self._sources[name] = Source(venue.markets[symbol], lambda: venue.feeds.get(symbol))
        return source

    def _rate(self, quote: str, target: str) -> Rate:
        rate = self._rates.get((quote, target))
        if rate is None:
            rate = self._rates[quote, target] = Rate(quote, target, [], par=self.config.ties.par)
        return rate

    def _rate_sources(self, quote: str, target: str) -> list[Source]:
        """The spot markets between two currencies, none if they are taken for equal."""
        if self.config.ties.par:
            return []
        return [
            self._source(venue, symbol)
            for symbol in (f"{target}/{quote}", f"{quote}/{target}")
            for venue in self._venues.values()
            if symbol in venue.markets and venue.markets[symbol].book
        ]

    def _needed(self, view: _View) -> list[Source]:
        """Whatever the view's picture depends on."""
        rates = [source for leg in view.legs if leg.rate is not None for source in leg.rate.candidates]
        return [leg.source for leg in view.legs] + rates

    def _lease(self) -> None:
        self._lease_legs({name for name, source in self._sources.items() if source.watchers})
