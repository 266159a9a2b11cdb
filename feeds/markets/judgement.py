"""How far a market may be trusted at this moment: from its connection, its book and its silence. Pure."""

from typing import TYPE_CHECKING

from feeds.domain import StreamState

if TYPE_CHECKING:
    from feeds.markets.market import MarketFeed

Verdict = tuple[StreamState, str]
"""The state, and why; the reason is empty where the state says it all."""


class Link:
    """What a market knows of the connection that carries one of its channels."""

    __slots__ = ("reason", "state")

    def __init__(self) -> None:
        self.state = StreamState.CONNECTING
        self.reason = ""


def judge_topic(feed: "MarketFeed", kind: str) -> StreamState:
    """A topic is as good as the book's state and the connection that carries it, whichever is worse. ``kind`` is that
    of its subscription: "candles@5m", if bars of fifteen minutes are made of these.

    While the book comes by REST, so do best prices; prints and bars do not.
    """
    if feed.state is StreamState.POLLED and kind == "quote":
        return feed.state
    link = feed.links.get(kind)
    if link is not None and not link.state.usable and link.state is not StreamState.SYNCING:
        return link.state
    return StreamState.STALE if feed.state is StreamState.POLLED else feed.state


def judge(feed: "MarketFeed") -> Verdict:
    """Decide the state anew, as the stream gives it."""
    link = feed.book_link
    if feed.refused:
        return StreamState.DOWN, feed.refused
    if feed.old is not None:
        return StreamState.STALE, "From before the start; the book is being loaded."
    if link.state in (StreamState.DOWN, StreamState.CONNECTING):
        return link.state, link.reason
    if not feed.sync.ready:
        return (StreamState.RESYNC, feed.fault) if feed.resyncing else (StreamState.SYNCING, "")
    if link.state is StreamState.STALE:
        return link.state, link.reason
    if link.state is StreamState.SLOW:  # the answer to a silence may be among what waits
        if feed.silent_s() < feed.stale_s:
            return link.state, link.reason
        return StreamState.STALE, f"No data for {feed.stale_s:g} s or more, while {link.reason}."
    if feed.silent_s() < feed.stale_s:
        return StreamState.LIVE, feed.unshown or feed.note
    if feed.silence_confirmed:  # by an answer: heartbeats prove a connection, not that a book comes by it
        return StreamState.QUIET, feed.unshown or "The exchange confirmed that nothing changed."
    return StreamState.STALE, f"No data for {feed.stale_s:g} s or more."
