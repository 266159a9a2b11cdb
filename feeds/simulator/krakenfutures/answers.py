"""How Kraken Futures' REST answers."""

from typing import Any

import msgspec
from aiohttp import web

from feeds.simulator.faults import Fault


class KrakenFuturesRestError(Exception):
    """Answered in ``error``."""


def broken(fault: Fault, now: dict[str, Any]) -> web.Response:
    """What the fault "status" answers."""
    code = int(fault.number(503))
    error = "apiLimitExceeded" if code == 429 else "unavailable"  # nothing tells how long to wait
    return answer({"result": "error", "error": error, **now}, code)


def answer(body: dict[str, Any], code: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=code, content_type="application/json", headers=headers or {}
    )
