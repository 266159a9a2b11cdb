"""What can go wrong in the feeds: one small tree.

::

    FeedError
    ├── ConfigError         the configuration is wrong                      (fatal)
    ├── ParseError          a frame or an answer is not what was documented (retry)
    ├── SyncError           the book can no longer be trusted               (resync)
    │   ├── GapError        an update is missing
    │   ├── ChecksumError   the exchange's checksum differs from ours
    │   └── CrossedError    best bid at or above best ask
    ├── TransportError      socket or HTTP trouble                          (retry)
    │   └── RateLimited     429, 418: wait ``retry_after_s``
    │       └── NotSent     our own budget is used up, or we were told to wait
    ├── ExchangeError       the exchange answered with an error             (retry)
    └── CredentialsError    the exchange refuses the key                    (fatal)

Every error carries its verdict (what the caller shall do) and two texts: ``str(error)`` is the detail for the log,
``error.sentence`` is safe and plain for the screen. No text ever holds a secret.
"""

import enum


class Verdict(enum.Enum):
    RETRY = "retry"  # try again, after the backoff
    RESYNC = "resync"  # drop this market's book and rebuild it
    FATAL = "fatal"  # trying again cannot help; a person must act


class FeedError(Exception):
    """Base of all errors that ``feeds`` raises on purpose."""

    verdict = Verdict.RETRY
    sentence = "The feed has a problem and tries again."


class ConfigError(FeedError):
    """Wrong configuration. The text names file, key, value and what is allowed."""

    verdict = Verdict.FATAL
    sentence = "The configuration is wrong; the log names the key."


class ParseError(FeedError):
    """A frame or an answer that does not fit the documentation. ``raw`` keeps its beginning for the log."""

    sentence = "The exchange sent something that could not be understood."

    def __init__(self, detail: str, raw: bytes | str = b"") -> None:
        super().__init__(detail)
        self.raw = raw[:200]


class SyncError(FeedError):
    """The book can no longer be trusted."""

    verdict = Verdict.RESYNC
    sentence = "The order book is being rebuilt."


class GapError(SyncError):
    sentence = "An update was missed; the order book is being rebuilt."


class ChecksumError(SyncError):
    sentence = "The order book failed the exchange's checksum and is being rebuilt."


class CrossedError(SyncError):
    sentence = "The order book was crossed and is being rebuilt."


class TransportError(FeedError):
    """Connecting, reading or an HTTP status failed. ``status`` is that status, None if there was no answer."""

    sentence = "The exchange cannot be reached at the moment."
    status: int | None = None


class RateLimited(TransportError):
    """HTTP 429 or 418. ``of_key``: it is one key's, or its account's, limit that was passed; others may go on. ``code``
    is the exchange's own, None where there is none.

    It is an answer: whether what was asked was done all the same, only the exchange's documentation can say.
    """

    sentence = "The exchange asks us to wait."

    def __init__(
        self, detail: str, retry_after_s: float, *, of_key: bool = False, code: int | str | None = None
    ) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s
        self.of_key = of_key
        self.code = code


class NotSent(RateLimited):
    """Our own budget is used up, or the exchange had asked us to wait: this request has not left us."""


class ExchangeError(FeedError):
    """The exchange answered with an error. ``code`` is its own."""

    sentence = "The exchange refused the request."

    def __init__(self, detail: str, code: int | str | None = None) -> None:
        super().__init__(detail)
        self.code = code


class CredentialsError(ExchangeError):
    verdict = Verdict.FATAL
    sentence = "The exchange refuses this API key."
