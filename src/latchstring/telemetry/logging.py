"""Structured logs on standard error, with everything that opens a door taken out.

Lines are JSON unless somebody reads along at a terminal. Redaction is the last step before a line is written, so a
secret in a message, a field, or the text of an exception is gone alike.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

REDACTED = "[redacted]"
_LONGEST = 20_000  # characters of one value; a longer one is cut before it is searched

_SECRET_NAMES = re.compile(
    r"pass(word|wd)?$|passphrase|secret|token|authorization|cookie|api[-_]?key$|master[-_]?key|private[-_]?key|digest|csrf",
    re.IGNORECASE,
)
# Every JWS there is. A run of its letters is entered once, at its beginning, and only if a dot follows: an address of
# many `ey-` must not cost its square.
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
    """The text without tokens, keys, passwords in addresses and password hashes."""
    for pattern, replacement in _SECRET_TEXTS:
        text = pattern.sub(replacement, text[:_LONGEST])
    return text


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that takes secrets out of a whole event, however deep they are."""
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
    """Send our own log and that of every library through one line format. Call once per process.

    human: coloured lines instead of JSON; by default when the stream is a terminal.
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


def _ending(readable: bool) -> list[structlog.typing.Processor]:  # noqa: FBT001  # one caller, two ways to write
    last: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if readable
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,  # first text, then redaction: tracebacks quote values
        redact,
        last,
    ]
