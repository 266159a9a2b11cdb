"""Every error says what to do and has a sentence for the screen."""

import inspect

import pytest

from feeds import errors
from feeds.errors import (
    ChecksumError,
    ConfigError,
    CredentialsError,
    CrossedError,
    ExchangeError,
    FeedError,
    GapError,
    NotSent,
    ParseError,
    RateLimited,
    SyncError,
    TransportError,
    Verdict,
)

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, FeedError)]


@pytest.mark.parametrize(
    ("kind", "parent", "verdict"),
    [
        (ConfigError, FeedError, Verdict.FATAL),
        (ParseError, FeedError, Verdict.RETRY),
        (SyncError, FeedError, Verdict.RESYNC),
        (GapError, SyncError, Verdict.RESYNC),
        (ChecksumError, SyncError, Verdict.RESYNC),
        (CrossedError, SyncError, Verdict.RESYNC),
        (TransportError, FeedError, Verdict.RETRY),
        (RateLimited, TransportError, Verdict.RETRY),
        (NotSent, RateLimited, Verdict.RETRY),
        (ExchangeError, FeedError, Verdict.RETRY),
        (CredentialsError, ExchangeError, Verdict.FATAL),
    ],
)
def test_the_tree(kind: type[FeedError], parent: type[FeedError], verdict: Verdict) -> None:
    """As the module's docstring draws it."""
    assert kind.__base__ is parent
    assert kind.verdict is verdict
    assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("kind", KINDS)
def test_sentences_for_the_screen(kind: type[FeedError]) -> None:
    assert kind.sentence[0].isupper() and kind.sentence.endswith(".")
    assert "{" not in kind.sentence and "%" not in kind.sentence


@pytest.mark.parametrize("raw", [b"x" * 5000, "x" * 5000])
def test_a_parse_error_keeps_the_beginning_alone(raw: bytes | str) -> None:
    error = ParseError("no price", raw)
    assert str(error) == "no price"
    assert error.raw == raw[:200]
    assert ParseError("no price").raw == b""


def test_what_errors_carry() -> None:
    limited = RateLimited("HTTP 429", 2.5, code="50013")
    assert (str(limited), limited.retry_after_s, limited.code) == ("HTTP 429", 2.5, "50013")
    refused = ExchangeError("order would immediately match", -2010)
    assert (str(refused), refused.code) == ("order would immediately match", -2010)
    assert CredentialsError("invalid key").code is None
