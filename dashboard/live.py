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

__all__ = ["Refused", "accounts_changed", "across_changed", "candles", "newest_frame"]

log = structlog.get_logger(__name__)


async def newest_frame(topic: str, timeout_s: float) -> str:
    """The newest frame of a topic as JSON text; one that nobody watches is opened first.

    Raises TimeoutError if there was none in time, and Refused (with a sentence) if the worker has no such topic.
    """
    async with Relay.running() as relay:
        return await relay.newest(topic, timeout_s)


async def candles(exchange: str, symbol: str, interval: str, limit: int, timeout_s: float) -> list[dict[str, Any]]:
    """The latest bars, oldest first. Raises as :func:`newest_frame`."""
    async with Relay.running() as relay:
        return await relay.candles(exchange, symbol, interval, limit, timeout_s)


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
