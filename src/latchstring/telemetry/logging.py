"""Structured logs on standard error without secrets.

Lines are JSON, or human-readable at a terminal. Redaction is the last step before a line is written, so it covers
messages, fields and the texts of exceptions.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

REDACTED = "[redacted]"
_LONGEST = 20_000  # characters of a value; longer values are truncated before they are searched

_SECRET_NAMES = re.compile(
    r"pass(word|wd)?$|passphrase|secret|token|authorization|cookie|api[-_]?key$|master[-_]?key|private[-_]?key|digest|csrf",
    re.IGNORECASE,
)
# Every JWS. A run of its characters is matched once, from its beginning, and only if a dot follows: an address with
# many `ey-` must not take quadratic time.
_JWS = re.compile(
    r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]++\.)(?:[A-Za-z0-9_-]*-)?ey[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+"
    r"(?:\.[A-Za-z0-9_-]*)*"
)
_SECRET_TEXTS = (
    (_JWS, REDACTED),
    (re.compile(r"\bls[a-z]_[A-Za-z0-9_-]{8,}"), REDACTED),  # API keys and refresh tokens
    (re.compile(r"(?i)(\b(?:[a-z_]*token|password|secret|code)=)[^\s&\"'<>]+"), rf"\1{REDACTED}"),
    (re.compile(r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}"), rf"\1{REDACTED}"),
    (re.compile(r"(://[^\s/:@]+:)[^\s/@]+@"), rf"\1{REDACTED}@"),
    (re.compile(r"\$argon2[a-z]+\$\S+"), REDACTED),
)


def redact_text(text: str) -> str:
    """Redact tokens, keys, passwords in URLs and password hashes in a text."""
    for pattern, replacement in _SECRET_TEXTS:
        text = pattern.sub(replacement, text[:_LONGEST])
    return text


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Redact secrets in a log event at any depth (a structlog processor)."""
    return {key: _redacted(key, value) for key, value in event.items()}


def _redacted(name: str, value: object) -> object:
    if _SECRET_NAMES.search(name) and value not in (None, "", True, False):
        return REDACTED
    if isinstance(value, Mapping):
        return {str(key): _redacted(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact_text(str(value))


def configure_logging(*, level: str = "INFO", stream: TextIO | None = None, human: bool | None = None) -> None:
    """Log this package and every library in one line format. Call once per process.

    human: coloured lines instead of JSON; the default is whether the stream is a terminal.
    """
    out = stream or sys.stderr
    readable = out.isatty() if human is None else human
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
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
    handler = logging.StreamHandler(out)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_ending(readable)))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("uvicorn.access", "uvicorn.error", "httpx2", "alembic", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _ending(readable: bool) -> list[structlog.typing.Processor]:  # noqa: FBT001  # one caller
    last: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if readable
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,  # before the redaction, as tracebacks quote values
        redact,
        last,
    ]
