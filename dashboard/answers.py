"""What the web side asks the worker and waits for: candles, and orders to place or cancel.

Each question is answered beside the others, since an exchange may take its time. An answer is
``{"type": "relay.answer", "question": 1, "result": ..., "error": "<sentence, or empty>"}``.

Who may order is judged by the web side (``dashboard.api_orders``), where the user is known; whether the account may
trade at all, by the trader too.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog
from channels.layers import get_channel_layer

from dashboard.ending import ended
from dashboard.outage import LAYER_ERRORS
from feeds.engine import Engine
from feeds.errors import FeedError
from feeds.tickets import Refused, Wish

log = structlog.get_logger(__name__)

Question = Mapping[str, Any]


class Answers:
    """Questions at work. Use from one event loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._ways: dict[str, Callable[[Engine, Question], Awaitable[Any]]] = {
            "feeds.candles": _candles,
            "feeds.trade": _trade,
        }

    def begin(self, engine: Engine, question: Question) -> None:
        """Raises KeyError for a message that is no question."""
        way, channel, number = self._ways[question["type"]], question["relay"], question["question"]
        task = asyncio.create_task(self._answer(way(engine, question), channel, number), name=question["type"])
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        await ended(self._tasks)

    @staticmethod
    async def _answer(working: Awaitable[Any], channel: str, number: int) -> None:
        result, error = None, ""
        try:
            result = await working
        except Refused as refusal:
            error = refusal.sentence
        except FeedError as problem:
            log.warning("question not answered", error=str(problem))
            error = problem.sentence
        except (KeyError, TypeError, msgspec.ValidationError) as problem:
            log.exception("question not understood")
            error = f"The worker does not understand the question: {problem}."
        answer = {"type": "relay.answer", "question": number, "result": result, "error": error}
        try:
            await get_channel_layer().send(channel, answer)
        except LAYER_ERRORS as problem:
            log.warning("answer not delivered", error=str(problem))


async def _candles(engine: Engine, question: Question) -> list[dict[str, Any]]:
    try:
        return await engine.candles(*(question[name] for name in ("exchange", "symbol", "interval", "limit")))
    except KeyError:
        raise Refused(f"There is no market {question['exchange']} {question['symbol']}.") from None


async def _trade(engine: Engine, question: Question) -> dict[str, Any]:
    """``action``: "place" with a key and a wish, "cancel" with symbol and order id, or "cancel_all"."""
    if engine.desk is None:
        raise Refused("This worker follows no accounts.")
    trader, body = engine.desk.trader(question["account"]), question["body"]
    match question["action"]:
        case "place":
            ticket = await trader.place(body["key"], msgspec.convert(body["wish"], Wish))
            return ticket.shown()
        case "cancel":
            await trader.cancel(body["symbol"], body["order_id"])
            return {}
        case "cancel_all":
            return {"orders": await trader.cancel_all()}
        case action:
            raise Refused(f"There is no action {action!r}.")
