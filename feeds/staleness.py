"""A frame that nothing newer follows: the same content, saying that it is old."""

from typing import Any

import msgspec

from feeds.domain import StreamState

STALE = StreamState.STALE.value
SILENT = "The worker is silent."

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def as_stale(frame: str, silent_ms: int = 0, *, reason: str = SILENT) -> str:
    """The frame with every state in it STALE, its ages ``silent_ms`` older; ``reason`` is a sentence.

    That is the frame's own ``state``, and in its ``data`` that of each row and of the account. Numbers keep their
    value: prices are integers or text in every frame (docs/protocol.md section 2.5). Raises
    ``msgspec.DecodeError`` if the text is not a JSON object.
    """
    content = _decode(frame)
    if not isinstance(content, dict):
        raise msgspec.ValidationError("a frame is an object")
    if "state" in content:
        content["state"] = STALE
    data = content.get("data")
    if isinstance(data, dict):
        for value in data.values():
            for row in value if isinstance(value, list) else [value]:
                if isinstance(row, dict):
                    _age(row, silent_ms, reason)
    return _encode(content).decode()


def _age(row: dict[str, Any], silent_ms: int, why: str) -> None:
    """Mark one row, if it is one that has a state: that of a leg is not usable then."""
    if "state" not in row:
        return
    row["state"] = STALE
    if "usable" in row:
        row["usable"] = False
    for reason in ("reason", "sentence"):
        if reason in row:
            row[reason] = why
    for age in ("age_ms", "last_data_age_ms"):
        if isinstance(row.get(age), int):
            row[age] += silent_ms
