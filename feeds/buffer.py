"""The bounded buffer between a socket and its reader."""

from collections import deque
from typing import NamedTuple

from feeds.recordings.tap import Spool


class Frame(NamedTuple):
    recv_ns: int  # wall clock
    recv_s: float  # monotonic, for ages
    raw: bytes


class FrameBuffer:
    """Frames in order of receipt. When full, the older half is dropped at once.

    Every drop is a hole, and after a hole every book has to be rebuilt, so one big hole is better than a thousand small
    ones; it also brings the reader back to the present. Whoever takes frames asks :meth:`take_hole` before each.
    """

    def __init__(self, limit: int) -> None:
        if limit < 2:
            raise ValueError(f"limit is {limit}: a buffer needs at least 2 frames")
        self.limit = limit
        self.dropped = 0  # since the beginning
        self.spool: Spool | None = None  # listens in: to what is dropped here as well
        self._hole = 0
        self._frames: deque[Frame] = deque()

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: Frame) -> None:
        frames = self._frames
        if len(frames) >= self.limit:
            for _ in range(self.limit // 2):
                frames.popleft()
            self.dropped += self.limit // 2
            self._hole += self.limit // 2
        frames.append(frame)
        if self.spool is not None:
            self.spool.frame(frame.raw, frame.recv_s)

    def take_hole(self) -> int:
        """How many frames were dropped before the next one; asking makes it 0."""
        hole, self._hole = self._hole, 0
        return hole

    def take(self) -> Frame:
        """The oldest frame. Raises IndexError if there is none."""
        return self._frames.popleft()

    def age_s(self, now_s: float) -> float:
        """How long the oldest frame has waited; 0 if none does."""
        return now_s - self._frames[0].recv_s if self._frames else 0.0

    def clear(self) -> None:
        """Forget the frames and the hole: they belong to a connection that is no more."""
        self._frames.clear()
        self._hole = 0
