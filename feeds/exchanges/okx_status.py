"""What OKX's channel ``status`` says of its maintenance, in a sentence."""

from datetime import UTC, datetime

from feeds.domain import Event, Notice
from feeds.exchanges.okx_messages import Status

_PRODUCTION = "1"
_TRADING = "5"
"""``serviceType`` of the trading service; others are parts (WebSocket, block trading, bots, some accounts)."""


def notices(rows: list[Status]) -> list[Event]:
    """Of maintenance that goes on or is to come; when it is over or called off, the notice is taken back.

    Only what concerns production is told: the channel tells demo trading's as well. Maintenance has no number; its
    title stays the same when it is put off.
    """
    told: list[Event] = []
    for row in rows:
        if row.env != _PRODUCTION:
            continue
        about = f": {row.title[:200]}" if row.title else ""
        key = f"maintenance {row.serviceType} {row.title}"
        begins_ms, ends_ms = _moment(row.begin), _moment(row.end)
        trading = row.serviceType == _TRADING
        match row.state:
            case "ongoing" | "pre_open":
                text = f"OKX is in maintenance{_when(' until ', ends_ms)}{about}."
                stops = False if trading else None
                told.append(Notice(text=text, trading=stops, key=key, begins_ms=begins_ms, ends_ms=ends_ms))
            case "scheduled":
                text = f"OKX announces maintenance{_when(' from ', begins_ms)}{about}."
                told.append(Notice(text=text, key=key, begins_ms=begins_ms, ends_ms=ends_ms))
            case "completed" | "canceled":
                told.append(Notice(text="", trading=True if trading else None, key=key))
    return told


def _moment(ms: str) -> int | None:
    """At most sixteen digits were let through, which may be beyond any calendar."""
    return int(ms) if ms and len(ms) <= 14 else None


def _when(word: str, ms: int | None) -> str:
    return "" if ms is None else f"{word}{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
