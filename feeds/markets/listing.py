"""What an exchange lists: new markets, changed ones handed to whoever has them open, and those that are gone."""

from collections.abc import Collection
from typing import TYPE_CHECKING

import structlog
from msgspec import structs

from feeds.domain import Market

if TYPE_CHECKING:
    from feeds.markets.venue import Venue

log = structlog.get_logger(__name__)

NOT_LISTED = "not listed"
"""Status of a market that a whole list does not have any more."""


def take(venue: "Venue", markets: Collection[Market], before: Collection[str]) -> None:
    """These are listed now. ``before``: the symbols of the same list the last time, if this one is whole; those that
    it lacks are gone. A list of nothing is none."""
    ours = [market for market in markets if market.product in venue.config.products]
    gone = _gone(venue, ours, before) if markets else []
    for market in venue.markets.update([*ours, *gone]):
        if (feed := venue.feeds.get(market.symbol)) is None:
            continue
        before, now = structs.asdict(feed.market), structs.asdict(market)
        changes = {name: f"{before[name]} -> {value}" for name, value in now.items() if str(value) != str(before[name])}
        log.info("instrument changed", exchange=venue.name, market=market.symbol, changes=changes)
        if feed.on_instrument(market, venue.new_sync(market)):
            for lane in venue.lanes:
                if (arrival := lane.coming.get(market.symbol)) is not None:
                    arrival.renew(venue.new_sync(market))


def _gone(venue: "Venue", listed: Collection[Market], before: Collection[str]) -> list[Market]:
    here = {market.symbol for market in listed}
    known = [venue.markets[symbol] for symbol in before if symbol not in here and symbol in venue.markets]
    gone = [structs.replace(market, status=NOT_LISTED) for market in known if market.status != NOT_LISTED]
    if gone:
        log.warning("no longer listed", exchange=venue.name, markets=sorted(market.symbol for market in gone)[:20])
    return gone
