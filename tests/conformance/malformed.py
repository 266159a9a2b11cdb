"""Twenty ways in which a good frame can go bad. Each is told which values of the frame are a price and a size.

The parts of a frame that are a price or a size are found by value: the adapter says what the first level of a book
frame is, and a leaf of the JSON that means the same number is that level's. So nothing here knows an exchange's format.
"""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from feeds.domain import BookDelta, BookSnapshot, Event

Path = tuple[Any, ...]


class Sample(NamedTuple):
    """A good frame, decoded, and where its first level stands. ``size`` is None where it is not printed as it is."""

    raw: bytes
    content: Any
    native: str
    price: Path
    size: Path | None


def sample(raw: bytes, events: list[Event], native: str) -> Sample | None:
    """A frame to begin with; None if it is no book frame with a level whose price can be found in it."""
    for event in events:
        if isinstance(event, BookDelta | BookSnapshot):
            for price, size in [*event.bids, *event.asks]:
                content = json.loads(raw)
                found = [path for path, value in leaves(content) if value == Decimal(repr(price))]
                if size and found:
                    near = [p for p, v in leaves(content) if v == Decimal(repr(size)) and p[:-1] == found[0][:-1]]
                    return Sample(raw, content, native, found[0], near[0] if near else None)
    return None


def leaves(content: Any, path: Path = ()) -> Iterator[tuple[Path, Decimal]]:
    """All values that are numbers, as JSON numbers or as text."""
    children: list[tuple[Any, Any]] = []
    if isinstance(content, dict):
        children = list(content.items())
    elif isinstance(content, list):
        children = list(enumerate(content))
    elif isinstance(content, str | int | float) and not isinstance(content, bool):
        try:
            yield path, Decimal(str(content))
        except InvalidOperation:
            return
    for key, child in children:
        yield from leaves(child, (*path, key))


class _Json(str):
    """Text that stands in the JSON as it is."""


def replaced(content: Any, path: Path, value: Any) -> Any:
    """A copy with another value there."""
    if not path:
        return value
    key, *rest = path
    if isinstance(content, dict):
        return {k: replaced(v, tuple(rest), value) if k == key else v for k, v in content.items()}
    return [replaced(v, tuple(rest), value) if k == key else v for k, v in enumerate(content)]


def written(content: Any) -> bytes:
    """As JSON, in which ``_Json`` is not quoted."""
    if isinstance(content, _Json):
        return content.encode()
    if isinstance(content, dict):
        return b"{" + b",".join(json.dumps(k).encode() + b":" + written(v) for k, v in content.items()) + b"}"
    if isinstance(content, list):
        return b"[" + b",".join(written(v) for v in content) + b"]"
    return json.dumps(content).encode()


def _price(literal: str, text: str | None = None) -> Callable[[Sample], bytes]:
    """The price becomes this literal, or where prices are text, this text in quotes."""

    def change(of: Sample) -> bytes:
        was = of.content
        for key in of.price:
            was = was[key]
        value: Any = text if isinstance(was, str) and text is not None else _Json(literal)
        return written(replaced(of.content, of.price, value))

    return change


def _negative(of: Sample) -> bytes:
    path = of.size or of.price
    was = of.content
    for key in path:
        was = was[key]
    return written(replaced(of.content, path, f"-{was}" if isinstance(was, str) else -was))


def _outermost(of: Sample) -> tuple[Path, dict[str, Any]]:
    """The outermost object that holds the level, and where it stands: the frame, or an element of it."""
    path, found = 0, of.content
    while not isinstance(found, dict):
        found, path = found[of.price[path]], path + 1
    return of.price[:path], found


def _without(of: Sample) -> bytes:
    """The outermost field that holds the level is gone."""
    path, found = _outermost(of)
    return written(replaced(of.content, path, {k: v for k, v in found.items() if k != of.price[len(path)]}))


def _null(of: Sample) -> bytes:
    path, _ = _outermost(of)
    return written(replaced(of.content, of.price[: len(path) + 1], None))


def _twice(of: Sample) -> bytes:
    """Every field of that object twice, the second time null."""
    path, found = _outermost(of)
    nulls = ",".join(f"{json.dumps(key)}:null" for key in found)
    return written(replaced(of.content, path, _Json(f"{written(found)[:-1].decode()},{nulls}}}")))


def _words(of: Sample, word: str) -> bytes:
    """Every short text that is not the market's name or a number is another word: types, channels, topics."""

    def other(content: Any) -> Any:
        if isinstance(content, dict):
            return {key: other(value) for key, value in content.items()}
        if isinstance(content, list):
            return [other(value) for value in content]
        return word if isinstance(content, str) and not list(leaves(content)) and content != of.native else content

    return written(other(of.content))


KINDS: dict[str, Callable[[Sample], bytes]] = {
    "truncated": lambda of: of.raw[: len(of.raw) * 2 // 3],
    "empty": lambda of: b"",
    "binary": lambda of: bytes(range(256)),
    "invalid UTF-8": lambda of: of.raw.replace(of.native.encode(), of.native.encode()[:-1] + b"\xff", 1),
    "array instead of an object": lambda of: b"[" + of.raw + b"]",
    "a bare number": lambda of: b"42",
    "null": lambda of: b"null",
    "deep nesting": lambda of: b'{"data":' * 50_000,
    "deep nesting in a price": _price("[" * 50_000 + "]" * 50_000),
    "wrong type": _price('{"a":1}'),
    "not a number": _price("NaN", "NaN"),
    "infinite": _price("Infinity", "Infinity"),
    "beyond all numbers": _price("1e999", "1e999"),
    "four hundred digits": _price("9" * 400, "9" * 400),
    "negative": _negative,
    "missing field": _without,
    "every field twice": _twice,
    "null data": _null,
    "boolean price": _price("true"),
    "spaces in a price": _price('"1 2.5"', "1 2.5"),
    "very long text": _price(f'"{"x" * 1_000_000}"'),
    "wrong symbol": lambda of: of.raw.replace(of.native.encode(), b"N0SUCH"),
    "wrong channel": lambda of: _words(of, "nonsense"),
}
"""By name."""

NO_BOOK = frozenset(KINDS) - {"wrong symbol", "every field twice"}
"""Of these no book event may come: they are refused, or if the exchange so documents, say nothing."""
