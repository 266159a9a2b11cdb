"""What an exchange says about itself, until it is over: its status, maintenance, and remarks."""

from typing import Any

import structlog

from feeds.clock import Clock
from feeds.domain import Notice

REMARK_S = 600.0
"""A remark (no key, nothing about trading, no end told) is shown this long: nobody ever takes it back."""

STATUS = "status"
_REMARK = ""

log = structlog.get_logger(__name__)


class Notices:
    """One exchange's. Each stands under its key; one without a key that tells of trading is the exchange's status, any
    other without a key a remark, of which the latest stands. An empty text takes back what stands under its key, and
    without a key the status."""

    def __init__(self, exchange: str, clock: Clock) -> None:
        self._exchange = exchange
        self._clock = clock
        self._standing: dict[str, tuple[Notice, int]] = {}  # key -> notice, since when (ns)

    def take(self, notice: Notice) -> bool:
        """True if something is new, or over. Told again and again (on every connection), it is logged once."""
        key = notice.key or (STATUS if notice.trading is not None or not notice.text else _REMARK)
        standing = self._standing.get(key)
        if standing is not None and standing[0] == notice:
            return False
        if not notice.text or self._over(notice, self._clock.now_ns()):
            return self._end(key)
        self._standing[key] = notice, self._clock.now_ns()
        log.info(
            "exchange notice",
            exchange=self._exchange,
            text=notice.text,
            trading=notice.trading,
            begins_ms=notice.begins_ms,
            ends_ms=notice.ends_ms,
        )
        return True

    def _end(self, key: str) -> bool:
        standing = self._standing.pop(key, None)
        if standing is None:
            return False
        log.info("exchange notice is over", exchange=self._exchange, text=standing[0].text)
        return True

    @staticmethod
    def _over(notice: Notice, now_ns: int) -> bool:
        return notice.ends_ms is not None and notice.ends_ms * 1_000_000 <= now_ns

    def expire(self) -> bool:
        """Take back what is over by its own words, and remarks after a while. True if there was any."""
        now_ns, ended = self._clock.now_ns(), False
        for key, (notice, since_ns) in list(self._standing.items()):
            remark = key == _REMARK and notice.ends_ms is None and now_ns - since_ns >= REMARK_S * 1e9
            if remark or self._over(notice, now_ns):
                ended |= self._end(key)
        return ended

    @property
    def text(self) -> str:
        """All that stands, as one line."""
        return " ".join(notice.text for notice, _ in self._standing.values())

    def rows(self) -> list[dict[str, Any]]:
        """For the status board, what stands longest first."""
        return [
            {
                "text": notice.text,
                "trading": notice.trading,
                "begins_ms": notice.begins_ms,
                "ends_ms": notice.ends_ms,
                "since_ms": since_ns // 1_000_000,
            }
            for notice, since_ns in self._standing.values()
        ]
