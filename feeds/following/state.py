"""How well an account is followed: one state with one setter, which logs it and has it written down."""

from structlog.typing import FilteringBoundLogger

from feeds.clock import Clock
from feeds.domain import StreamState
from feeds.following.journal import Journal
from feeds.following.signed_rest import SignedRest


class AccountState:
    """CONNECTING until it is LIVE for the first time, then LIVE or STALE; DOWN for good.

    What is written down carries the time of the exchange's last answer, and is written again every ``every_s`` while it
    answers, so that its age is true.
    """

    def __init__(
        self, journal: Journal, rest: SignedRest, *, every_s: float, log: FilteringBoundLogger, clock: Clock
    ) -> None:
        self.state = StreamState.CONNECTING
        self.sentence = ""
        self._journal = journal
        self._rest = rest
        self._every_s = every_s
        self._log = log
        self._clock = clock
        self._was_live = False
        self._written_s: float | None = None

    def set(self, state: StreamState, sentence: str) -> None:
        """The only place where the state changes."""
        if (state, sentence) == (self.state, self.sentence) and self._written_s is not None:
            if self._rest.last_answer_ns and self._clock.monotonic_s() - self._written_s >= self._every_s:
                self._write()  # the same, but younger
            return
        if state is not self.state:
            serious = state in (StreamState.DOWN, StreamState.STALE)
            write = self._log.warning if serious else self._log.info
            write("account state", state=state, was=self.state, sentence=sentence)
        self.state, self.sentence = state, sentence
        self._was_live |= state is StreamState.LIVE
        self._write()

    def lacking(self, sentence: str) -> None:
        """Something is not as it must be for LIVE."""
        self.set(StreamState.STALE if self._was_live else StreamState.CONNECTING, sentence)

    def _write(self) -> None:
        self._written_s = self._clock.monotonic_s()
        recv_ns = self._rest.last_answer_ns or self._clock.now_ns()
        self._journal.state(self.state, self.sentence, recv_ns=recv_ns)
