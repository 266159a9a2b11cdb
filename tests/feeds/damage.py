"""Documented answers and frames, damaged: whatever comes of it, only a ParseError may come out of a parser."""

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st

Name = TypeVar("Name")


@st.composite
def damaged(draw: st.DrawFn, samples: Sequence[tuple[Name, bytes]], odd: Sequence[bytes]) -> tuple[Name, bytes]:
    """One of the samples (of whose parser, and text), in which some bytes are replaced by others or by ``odd`` ones."""
    name, raw = draw(st.sampled_from(samples))
    text = bytearray(raw)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 12)))
        text[start:end] = draw(st.one_of(st.binary(max_size=4), st.sampled_from(odd)))
    return name, bytes(text)
