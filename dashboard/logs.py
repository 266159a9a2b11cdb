"""One log for web and worker, structlog's and the standard library's: JSON lines, or text for a person at a terminal.

Django calls :func:`configure` at its setup (``LOGGING_CONFIG``). Every record passes :func:`without_secrets` last, the
traceback's text included, so that nothing written carelessly elsewhere gives a key away.
"""

import logging
import logging.config
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

HIDDEN = "(hidden)"

_SECRET_NAME = re.compile(
    r"secret|passw|passphrase|token|signature|authorization|cookie|sealed|api_?key|listen_?key", re.I
)
_NOT_SECRET = frozenset({"key_id", "secret_env", "tokens"})
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # name=value and "name": "value" of requests and answers: signature=…, listenKey=…, "apiSecret": "…"
    (
        re.compile(
            r"(?i)((?:signature|secret|passphrase|password|listen_?key|api_?key|[a-z_]*token)[\"']?\s*[=:]\s*[\"']?)"
            r"[^\s\"'&,;)}\]]+"
        ),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(r"(?i)(x-mbx-apikey|api-key|authorization)([\"']?\s*[:=]\s*[\"']?)(?:bearer\s+)?[^\s\"',;)}]+"),
        rf"\1\2{HIDDEN}",
    ),
    (re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(/signin/)[^/\s\"']+"), rf"\1{HIDDEN}"),
    (re.compile(r"(//[^/\s:@]*:)[^/\s@]+@"), rf"\1{HIDDEN}@"),  # passwords in addresses
)

_known: set[str] = set()


def hide(*secrets: str) -> None:
    """Never write these texts, wherever they occur: for keys as soon as they are in memory. Short ones are ignored,
    since hiding them would make holes into everything."""
    _known.update(secret for secret in secrets if len(secret) >= 8)


def scrub(text: str) -> str:
    """``text`` with every secret replaced that is known, or recognised by its form."""
    for secret in _known:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _scrubbed(name: str, value: Any) -> Any:
    if isinstance(value, bool | int | float | None):
        return value
    if _SECRET_NAME.search(name) and name.lower() not in _NOT_SECRET:
        return HIDDEN
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, bytes | bytearray):
        return scrub(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {key: _scrubbed(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_scrubbed("", item) for item in value]
    return scrub(str(value))


def without_secrets(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The processor before the renderer: values of secret names are hidden, texts are scrubbed."""
    return {key: value if key.startswith("_") else _scrubbed(key, value) for key, value in event.items()}


def configure(settings: Mapping[str, Any]) -> None:
    """Set up structlog and logging. ``settings``: ``format`` "json", "text" or "auto" (text on a terminal) and
    ``level``."""
    as_text = settings["format"] == "text" or (settings["format"] == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: Processor
    if as_text:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    else:
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "structured": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": [*shared, structlog.stdlib.ExtraAdder(allow=("status_code",))],
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        structlog.processors.format_exc_info,
                        without_secrets,
                        renderer,
                    ],
                }
            },
            "handlers": {
                "stderr": {"class": "logging.StreamHandler", "stream": sys.stderr, "formatter": "structured"},
            },
            "root": {"handlers": ["stderr"], "level": settings["level"]},
            "loggers": {
                # Django's own handlers would write it twice, in another form.
                "django": {"handlers": [], "propagate": True},
                "django.server": {"handlers": [], "propagate": True},
                # One line per request of these is noise at INFO.
                "asyncio": {"level": "WARNING"},
                "websockets": {"level": "WARNING"},
                "aiohttp": {"level": "WARNING"},
            },
        }
    )
