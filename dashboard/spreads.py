"""The database behind what several exchanges show together: fees, the threshold, arbitrage events. Synchronous.

The worker writes what its file and its defaults say, and the events; the web side writes what the user says. Rows are
as docs/protocol.md sections 2.9, 3 and 5 show them, for frames and REST answers alike.
"""

import time
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from django.db import transaction
from django.db.models import F, Q, QuerySet

from dashboard.fields import canonical
from dashboard.models import ArbitrageEvent, ArbitrageThreshold, FeeRow
from feeds.across.arbitrage import Event, Threshold
from feeds.across.fees import Fee

Row = dict[str, Any]

THRESHOLD = 1
"""Primary key of the one threshold."""

# -- fees --------------------------------------------------------------------------------------------------------------


def put_fees(fees: Mapping[tuple[str, str], Fee]) -> None:
    """What holds without the user, of every exchange and product that is followed. The user's own stay."""
    with transaction.atomic():
        FeeRow.objects.update(followed=False)
        for (exchange, product), fee in fees.items():
            values = {"maker_bps": fee.maker_bps, "taker_bps": fee.taker_bps, "source": fee.source, "note": fee.note}
            FeeRow.objects.update_or_create(exchange=exchange, product=product, defaults={**values, "followed": True})


def user_fees() -> dict[tuple[str, str], Fee]:
    """The user's own fees."""
    return {
        (row.exchange, row.product): Fee(maker_bps=row.user_maker_bps, taker_bps=row.user_taker_bps, source="user")
        for row in FeeRow.objects.filter(user_maker_bps__isnull=False, user_taker_bps__isnull=False)
        if row.user_maker_bps is not None and row.user_taker_bps is not None
    }


def set_user_fee(row: FeeRow, maker_bps: Decimal | None, taker_bps: Decimal | None) -> None:
    """None, None: the user has none any more."""
    row.user_maker_bps, row.user_taker_bps = maker_bps, taker_bps
    row.save(update_fields=("user_maker_bps", "user_taker_bps"))


def fee_row(row: FeeRow) -> Row:
    own = row.user_maker_bps is not None and row.user_taker_bps is not None
    plain = {"maker_bps": canonical(row.maker_bps), "taker_bps": canonical(row.taker_bps), "source": row.source}
    shown = plain
    if row.user_maker_bps is not None and row.user_taker_bps is not None:
        shown = {"maker_bps": canonical(row.user_maker_bps), "taker_bps": canonical(row.user_taker_bps)}
        shown["source"] = "user"
    note = "" if own else row.note
    return {"exchange": row.exchange, "product": row.product, **shown, "note": note, "without_user": plain}


# -- the threshold -----------------------------------------------------------------------------------------------------


def put_threshold(threshold: Threshold) -> None:
    """What holds without the user."""
    values = {"bps": threshold.bps, "duration_s": threshold.duration_s, "source": threshold.source}
    ArbitrageThreshold.objects.update_or_create(pk=THRESHOLD, defaults=values)


def threshold() -> ArbitrageThreshold | None:
    return ArbitrageThreshold.objects.filter(pk=THRESHOLD).first()


def user_threshold() -> Threshold | None:
    row = threshold()
    if row is None or row.user_bps is None or row.user_duration_s is None:
        return None
    return Threshold(bps=row.user_bps, duration_s=row.user_duration_s, source="user")


def set_user_threshold(row: ArbitrageThreshold, bps: Decimal | None, duration_s: float | None) -> None:
    row.user_bps, row.user_duration_s = bps, duration_s
    row.save(update_fields=("user_bps", "user_duration_s"))


def threshold_row(row: ArbitrageThreshold) -> Row:
    if row.user_bps is not None and row.user_duration_s is not None:
        return {"threshold_bps": canonical(row.user_bps), "duration_s": row.user_duration_s, "source": "user"}
    return {"threshold_bps": canonical(row.bps), "duration_s": row.duration_s, "source": row.source}


# -- events ------------------------------------------------------------------------------------------------------------


def put_event(event: Event) -> None:
    """Store it, or bring it up to date. An event that was ended stays so."""
    values = msgspec.structs.asdict(event)
    key = values.pop("key")
    with transaction.atomic():
        if not ArbitrageEvent.objects.filter(key=key, ended_ns__isnull=True).update(**values):
            ArbitrageEvent.objects.get_or_create(key=key, defaults=values)


def close_abandoned(reason: str) -> int:
    """End what a worker that was killed left open, when it was last seen open."""
    return ArbitrageEvent.objects.filter(ended_ns__isnull=True).update(ended_ns=F("seen_ns"), reason=reason)


def newest_events(ended: int) -> list[Row]:
    """All open ones and the ``ended`` ones that ended last, the latest start first."""
    open_ones = list(ArbitrageEvent.objects.filter(ended_ns__isnull=True))
    last = list(ArbitrageEvent.objects.filter(ended_ns__isnull=False).order_by("-ended_ns", "-id")[:ended])
    found = sorted(open_ones + last, key=lambda event: (event.started_ns, event.pk), reverse=True)
    return event_rows(found, time.time_ns())


def events_page(
    *, symbol: str | None, exchange: str | None, open_only: bool, before: int | None, limit: int
) -> tuple[list[ArbitrageEvent], bool]:
    """The latest first, and whether there are more."""
    found: QuerySet[ArbitrageEvent] = ArbitrageEvent.objects.order_by("-id")
    if symbol is not None:
        found = found.filter(symbol=symbol)
    if exchange is not None:
        found = found.filter(Q(buy_exchange=exchange) | Q(sell_exchange=exchange))
    if open_only:
        found = found.filter(ended_ns__isnull=True)
    if before is not None:
        found = found.filter(pk__lt=before)
    page = list(found[: limit + 1])
    return page[:limit], len(page) > limit


def event_rows(events: Iterable[ArbitrageEvent], now_ns: int) -> list[Row]:
    return [
        {
            "id": event.pk,
            "symbol": event.symbol,
            "size": canonical(event.size),
            "fees": event.fees,
            "buy": {"exchange": event.buy_exchange, "symbol": event.buy_symbol},
            "sell": {"exchange": event.sell_exchange, "symbol": event.sell_symbol},
            "threshold_bps": canonical(event.threshold_bps),
            "started_ms": event.started_ns // 1_000_000,
            "ended_ms": None if event.ended_ns is None else event.ended_ns // 1_000_000,
            "lasted_ms": max(0, (event.ended_ns or now_ns) - event.started_ns) // 1_000_000,
            "open": event.ended_ns is None,
            "first_bps": canonical(event.first_bps),
            "largest_bps": canonical(event.largest_bps),
            "largest_net": canonical(event.largest_net),
            "largest_ms": event.largest_ns // 1_000_000,
            "quote": event.quote,
            "reason": event.reason,
        }
        for event in events
    ]
