"""What a view asks of the living part: the relay of this process, and through it the worker.

Views import this and nothing behind it.
"""

from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from dashboard.groups import FEEDS_CHANNEL
from dashboard.outage import LAYER_ERRORS
from dashboard.relay import Refused, Relay

__all__ = ["Refused", "accounts_changed", "across_changed", "candles", "newest_frame", "trade"]

log = structlog.get_logger(__name__)


async def newest_frame(topic: str, timeout_s: float) -> str:
    """The newest frame of a topic as JSON text; one that nobody watches is opened first.

    Raises TimeoutError if there was none in time, and Refused (with a sentence) if the worker has no such topic.
    """
    async with Relay.running() as relay:
        return await relay.newest(topic, timeout_s)


async def candles(exchange: str, symbol: str, interval: str, limit: int, timeout_s: float) -> list[dict[str, Any]]:
    """The latest bars, oldest first, as docs/protocol.md shows them. Raises as :func:`newest_frame`."""
    question = {"exchange": exchange, "symbol": symbol, "interval": interval, "limit": limit}
    async with Relay.running() as relay:
        bars: list[dict[str, Any]] = await relay.ask("feeds.candles", timeout_s, **question)
        return bars


async def trade(account: int, action: str, body: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """Have the worker place or cancel (``dashboard.answers``). Raises as :func:`newest_frame`; after a TimeoutError it
    may have been done all the same."""
    async with Relay.running() as relay:
        result: dict[str, Any] = await relay.ask("feeds.trade", timeout_s, account=account, action=action, body=body)
        return result


def accounts_changed() -> None:
    """Tell the worker to read the accounts again. If it cannot be told now, it finds out at its next look."""
    _tell("feeds.accounts_changed")


def across_changed() -> None:
    """Tell the worker to read fees and threshold again. If it cannot be told now, it finds out at its next look."""
    _tell("feeds.across_changed")


def _tell(kind: str) -> None:
    layer = get_channel_layer()
    assert layer is not None  # CHANNEL_LAYERS always has a default
    try:
        async_to_sync(layer.send)(FEEDS_CHANNEL, {"type": kind})
    except LAYER_ERRORS as error:
        log.warning("worker not told", message_type=kind, error=str(error))
