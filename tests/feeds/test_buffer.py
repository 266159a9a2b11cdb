"""The bounded buffer between a socket and its reader."""

import pytest

from feeds.buffer import Frame, FrameBuffer


def frame(n: int) -> Frame:
    return Frame(recv_ns=n, recv_s=float(n), raw=b"%d" % n)


def test_a_full_buffer_drops_its_older_half() -> None:
    buffer = FrameBuffer(4)
    for n in range(4):
        buffer.put(frame(n))
    assert buffer.take_hole() == 0
    buffer.put(frame(4))
    assert (len(buffer), buffer.dropped) == (3, 2)
    assert buffer.age_s(10) == 8
    assert buffer.take_hole() == 2
    assert buffer.take_hole() == 0
    assert [buffer.take().raw for _ in range(3)] == [b"2", b"3", b"4"]
    assert buffer.age_s(10) == 0


def test_a_cleared_buffer_has_no_hole() -> None:
    buffer = FrameBuffer(2)
    for n in range(3):
        buffer.put(frame(n))
    buffer.clear()
    assert (len(buffer), buffer.take_hole(), buffer.dropped) == (0, 0, 1)
    with pytest.raises(ValueError, match="at least 2"):
        FrameBuffer(1)
