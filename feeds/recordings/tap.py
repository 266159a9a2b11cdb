"""What listens in where data come from the exchanges: how a recorder gets at frames and answers.

Everybody who owns a socket takes a tap, or None: then nothing is called and nothing is kept. All calls are synchronous,
from the event loop, and return at once.
"""

from typing import Protocol

from feeds.exchange import Request


class Spool(Protocol):
    """Takes what one open connection receives, from its opening to its end."""

    def frame(self, raw: bytes, recv_s: float) -> None:
        """A frame, as received; ``recv_s`` is the monotonic time of receipt. Called in the order of receipt."""

    def closed(self, reason: str) -> None:
        """The connection has ended; nothing comes after this."""


class Tap(Protocol):
    """Listens to connections and REST clients."""

    def connected(self, name: str) -> Spool:
        """A connection was opened; ``name`` is the stream's, "<exchange>/<route>/<number>"."""

    def answered(self, exchange: str, request: Request, status: int, raw: bytes, *, private: bool) -> None:
        """An answer came, good or bad. ``request`` is the question before it was signed; ``private``: an account's."""

    def account(self, exchange: str, *secrets: str) -> "Tap":
        """The tap for the connections of one account. ``secrets`` must never be written, whoever sends them back."""

    def hide(self, *secrets: str) -> None:
        """Neither must these: tokens that were given meanwhile."""
