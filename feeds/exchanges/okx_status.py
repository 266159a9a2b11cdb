"""What OKX's channel ``status`` says of its maintenance, in a sentence."""

from datetime import UTC, datetime

from feeds.domain import Event, Notice
from feeds.exchanges.okx_messages import Status

_PRODUCTION = "1"
_TRADING = "5"
"""``serviceType`` of the trading service; others are parts (WebSocket, block trading, bots, some accounts)."""


def notices(rows: list[Status]) -> list[Event]:
    """Of maintenance that goes on or is to come; when it is over or called off, the notice is taken back.

    Only what concerns production is told: the channel tells demo trading's as well.
    """
    told: list[Event] = []
    for row in rows:
        if row.env != _PRODUCTION:
            continue
        about = f": {row.title[:200]}" if row.title else ""
        match row.state:
            case "ongoing" | "pre_open":
                text = f"OKX is in maintenance{_when(' until ', row.end)}{about}."
                told.append(Notice(text=text, trading=False if row.serviceType == _TRADING else None))
            case "scheduled":
                told.append(Notice(text=f"OKX announces maintenance{_when(' from ', row.begin)}{about}."))
            case "completed" | "canceled":
                told.append(Notice(text="", trading=True if row.serviceType == _TRADING else None))
    return told


def _when(word: str, ms: str) -> str:
    """At most sixteen digits were let through, which may be beyond any calendar."""
    if not ms or len(ms) > 14:
        return ""
    return f"{word}{datetime.fromtimestamp(int(ms) / 1000, UTC):%Y-%m-%d %H:%M} UTC"
