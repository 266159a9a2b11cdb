"""Frames and answers, changed a little: by Hypothesis, in their bytes or in what they mean."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.conformance.malformed import Path, replaced

NASTY: list[Any] = [
    *(None, True, False, "", " ", "x", "NaN", "-NaN", "Infinity", "-Infinity", "1e999", "-1", "0", "00", "1_000", "٣"),
    *("1.5 ", "+1", "0x10", "1e5", ".", "-", "9" * 60, "\u0000", "\ud800", "2026-13-45T99:99:99Z", "1970-01-01"),
    *(0, -1, 1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**40, 1.5, -0.0, 1e308, -1e308),
    *([], {}, [[]], [{}], [None], {"a": None}, [["1", "2", "3", "4", "5"]], [["1"]], [["", ""]]),
]
FIXED = [
    *(b"", b" ", b"{", b"{}", b"[]", b"[[]]", b"null", b"true", b"0", b'""', b'"pong"', b"pong", b"\xff\xfe", b"\x00"),
    *(b"<html><body>Bad gateway</body></html>", bytes(range(256)), b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5_000),
    *(b"NaN", b"Infinity", b'{"data":null}', b'{"result":null}', b'{"error":[]}', b'{"code":"x","msg":1}'),
]
"""What is tried of everything, always."""


def shape(content: Any) -> Any:
    """What two frames of one kind have in common: the keys, not the values; short words that name a kind count."""
    if isinstance(content, dict):
        return tuple((key, shape(value)) for key, value in sorted(content.items()) if not key.isdigit())
    if isinstance(content, list):
        return ("list", shape(content[0]) if content else None)
    return content if isinstance(content, str) and content.isalpha() else type(content).__name__


def varied(frames: list[bytes], most: int, longest: int = 20_000) -> list[bytes]:
    """Some of each kind, at most so many in all."""
    kinds: dict[Any, list[bytes]] = {}
    for raw in frames:
        if len(raw) <= longest:
            try:
                kinds.setdefault(shape(json.loads(raw)), []).append(raw)
            except (ValueError, RecursionError):
                kinds.setdefault(raw[:20], []).append(raw)
    found: list[bytes] = []
    for turn in range(most):
        found += [rows[turn] for rows in kinds.values() if turn < len(rows)]
        if len(found) >= most:
            break
    return found[:most]


def _paths(content: Any, path: Path = ()) -> list[Path]:
    """Every place of a JSON document, at most a few of a long list."""
    found = [path]
    if isinstance(content, dict):
        for key, child in content.items():
            found += _paths(child, (*path, key))
    elif isinstance(content, list):
        for number in dict.fromkeys([*range(min(3, len(content))), len(content) - 1]):
            if content:
                found += _paths(content[number], (*path, number))
    return found


@st.composite
def changed(draw: st.DrawFn, raw: bytes, others: list[bytes]) -> bytes:
    """One or two changes of a frame; ``others`` to put parts of into it."""
    for _ in range(draw(st.integers(1, 2))):
        raw = draw(_in_bytes(raw, others) if draw(st.integers(0, 3)) == 0 else _in_meaning(raw))
    return raw


@st.composite
def _in_bytes(draw: st.DrawFn, raw: bytes, others: list[bytes]) -> bytes:
    start = draw(st.integers(0, len(raw)))
    end = draw(st.integers(start, min(len(raw), start + 40)))
    what = draw(st.sampled_from(["cut", "truncate", "insert", "splice"]))
    if what == "cut":
        return raw[:start] + raw[end:]
    if what == "truncate":
        return raw[:start]
    if what == "insert":
        return raw[:start] + draw(st.binary(max_size=12)) + raw[end:]
    other = draw(st.sampled_from(others))
    return raw[:start] + other[draw(st.integers(0, len(other))) :]


@st.composite
def _in_meaning(draw: st.DrawFn, raw: bytes) -> bytes:
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        return raw
    path = draw(st.sampled_from(_paths(content)))
    if path and draw(st.integers(0, 4)) == 0:
        return json.dumps(_without(content, path)).encode("utf-8", "surrogatepass")
    value = draw(st.sampled_from(NASTY) | st.integers() | st.text(max_size=8) | st.floats())
    return json.dumps(replaced(content, path, value), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _without(content: Any, path: Path) -> Any:
    """A copy in which that place is missing."""
    key, *rest = path
    copy = content.copy()
    if rest:
        copy[key] = _without(copy[key], tuple(rest))
    else:
        del copy[key]
    return copy
