"""Misbehaviour on demand. The servers ask :class:`Faults` at the places where a real exchange goes wrong."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Literal

import msgspec

Kind = Literal[
    "mute",  # connections stay open, no data come (``value`` "private": of user streams instead of market data)
    "delay",  # every frame comes ``value`` seconds late
    "drop_depth",  # the next book update is lost
    "bad_checksum",  # the next book update carries a wrong checksum (where there is one)
    "crossed",  # the next book update crosses the book
    "wrong_depth",  # the next book update tells a wrong size and keeps its number: only a fresh snapshot shows it
    "garbage",  # a frame that is no JSON
    "no_ack",  # subscriptions are neither answered nor carried out
    "reject",  # subscriptions are answered with the exchange's error
    "cut",  # all connections: TCP aborted
    "close",  # all connections: closed with code ``value`` (default 1001)
    "refuse",  # new connections are answered with HTTP status ``value`` (default 503)
    "status",  # REST is answered with HTTP status ``value`` (default 503)
    "unanswered",  # REST requests that change something are carried out, and their connection is aborted without an
    # answer (``value`` "before": and not even carried out; ``symbol``: a part of the path, such as "order")
    "expire_listen_key",  # futures user streams end as after an hour (Binance)
    "terminate_user_stream",  # spot user streams end with eventStreamTerminated (Binance)
    "shutdown",  # the end of service is announced as the exchange does it (``value``: its words, as it takes them)
    "sequence_reset",  # the books' update ids begin anew, as after maintenance (OKX)
]

ONE_SHOT = frozenset({"drop_depth", "bad_checksum", "crossed", "wrong_depth", "garbage"})
"""Faults that strike once, unless ``count`` or ``for_s`` say otherwise; the others last until they are cleared."""
ACTIONS = frozenset({"cut", "close", "expire_listen_key", "terminate_user_stream", "shutdown", "sequence_reset"})
"""Faults that happen at the moment of the request and leave nothing behind."""


ASKING: ContextVar[str] = ContextVar("asking", default="")
"""What the headers of the request that is being answered say: an API key is among it."""


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is asked for. Empty ``product`` or ``symbol`` (native or unified) mean all; ``count`` strikes or
    ``for_s`` seconds limit it. ``retry_s``: what a "status" of 429 or 418 asks to wait, as the exchange tells it.
    ``key``: only requests by REST that carry this API key."""

    exchange: str
    kind: Kind
    product: str = ""
    symbol: str = ""
    value: float | str | None = None
    count: int | None = None
    for_s: float | None = None
    retry_s: float = 1.0
    key: str = ""

    def number(self, default: float) -> float:
        return float(self.value) if isinstance(self.value, int | float) else default


class Faults:
    """The faults that are in force. ``clock`` gives seconds that only rise."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._active: list[tuple[Fault, float | None]] = []

    def add(self, fault: Fault) -> None:
        if fault.kind in ONE_SHOT and fault.count is None and fault.for_s is None:
            fault.count = 1
        self._active.append((fault, None if fault.for_s is None else self._clock() + fault.for_s))

    def clear(self) -> None:
        self._active.clear()

    def active(self) -> list[Fault]:
        """What is in force now."""
        now = self._clock()
        self._active = [row for row in self._active if (row[1] is None or row[1] > now) and row[0].count != 0]
        return [fault for fault, _ in self._active]

    def find(self, exchange: str, kind: Kind, product: str = "", names: tuple[str, ...] = ()) -> Fault | None:
        """The fault of this kind that is in force here, if any. Does not count as a strike."""
        if not self._active:
            return None
        for fault in self.active():
            if (
                fault.exchange == exchange
                and fault.kind == kind
                and (not fault.product or not product or fault.product == product)
                and (not fault.symbol or fault.symbol in names)
                and (not fault.key or fault.key in ASKING.get())
            ):
                return fault
        return None

    def delay_s(self, exchange: str) -> float:
        """How late this exchange's frames leave."""
        fault = self.find(exchange, "delay")
        return 0.0 if fault is None else fault.number(1.0)

    def strike(self, exchange: str, kind: Kind, product: str = "", names: tuple[str, ...] = ()) -> Fault | None:
        """Like :meth:`find`, and uses up one of its ``count``."""
        fault = self.find(exchange, kind, product, names)
        if fault is not None and fault.count is not None:
            fault.count -= 1
        return fault
