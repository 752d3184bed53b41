"""Parsers of single values. Each takes a value of TOML or the environment and returns the parsed value.

Each raises InvalidValue, whose text says what to write instead.
"""

import ipaddress
import re
import tomllib
from collections.abc import Callable
from datetime import timedelta
from email.utils import parseaddr
from typing import Any, TypeVar
from urllib.parse import urlsplit

from latchstring.domain.keys import is_key
from latchstring.domain.language_tag import normalize_language_tag
from latchstring.formats.durations import parse_duration
from latchstring.formats.urls import find_origin, is_web_url

T = TypeVar("T")
Parser = Callable[[Any], T]

MAX_DURATION = timedelta(days=3650)  # so that no date overflows when a duration is added to the present
MAX_LANGUAGE_LENGTH = 3  # letters; all registered languages have 2 or 3, but "english" is a well-formed tag, too

_RATE = re.compile(r"\d{1,9} ?(?:/|per) ?(?:\d{1,6} ?)?(?:second|minute|hour|day|month)s?", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s@<>\"(),:;\\]+@[^\s@<>\"(),:;\\]+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})|\[?[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*\]?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class InvalidValue(ValueError):
    """A value that cannot be used. The text says what to write instead."""


class EnvText(str):
    """A value from the environment, which is always text, whatever type the key has."""

    __slots__ = ()


def _parse_toml(value: object) -> object:
    """Parse the text of an environment variable as a TOML value; return the text itself if it is none."""
    if not isinstance(value, EnvText):
        return value
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return str(value)


def text(value: object) -> str:
    """Parse one line of text that is not empty."""
    if not isinstance(value, str) or not value.strip() or _CONTROL.search(value):
        raise InvalidValue('Write one line of text in quotes, such as "Acme".')
    return str(value).strip()


def optional(parse: Parser[T]) -> Parser[T | None]:
    """Make a parser that also accepts the empty text, which means None."""
    return lambda value: None if value == "" else parse(value)


def secret(value: object) -> str:
    """Parse a secret: the text unchanged, without the line break at its end."""
    if not isinstance(value, str):
        raise InvalidValue("Write text in quotes.")
    return value.rstrip("\r\n")


def flag(value: object) -> bool:
    parsed = _parse_toml(value)
    if isinstance(parsed, str) and parsed.lower() in {"true", "false"}:
        return parsed.lower() == "true"
    if not isinstance(parsed, bool):
        raise InvalidValue("Write true or false.")
    return parsed


def domain_rate(value: object) -> tuple[str, int]:
    """Parse a recipient domain and its limit of mails per minute: `example.org=60`."""
    name, equals, number = text(value).rpartition("=")
    domain = name.strip().lower()
    if not (equals and domain and "." in domain and number.strip().isdecimal()):
        raise InvalidValue('Write each domain with its mails a minute, like "example.org=60".')
    return domain, int(number)


def integer(smallest: int, largest: int) -> Parser[int]:
    """Make a parser of whole numbers between two bounds, both included."""

    def parse(value: object) -> int:
        number = _parse_toml(value)
        if not isinstance(number, int) or isinstance(number, bool) or not smallest <= number <= largest:
            raise InvalidValue(f"Write a whole number from {smallest} to {largest}.")
        return number

    return parse


def factor(value: object) -> float:
    """Parse the factor by which each delay is longer than the one before."""
    number = _parse_toml(value)
    if not isinstance(number, int | float) or isinstance(number, bool) or not 1 <= number <= 100:  # noqa: PLR2004
        raise InvalidValue("Write a number from 1 to 100.")
    return float(number)


def duration(value: object) -> timedelta:
    """Parse an ISO 8601 duration above zero in units of fixed length: weeks, days, hours, minutes, seconds."""
    span = parse_duration(value, allow_fractions=True) if isinstance(value, str) else None
    if span is None or not timedelta(0) < span <= MAX_DURATION:
        raise InvalidValue('Write an ISO 8601 duration without months or years, such as "P7D", "PT12H" or "PT30S".')
    return span


def seconds_or_duration(value: object) -> timedelta:
    """Parse a duration, or a number of seconds."""
    parsed = _parse_toml(value)
    if isinstance(parsed, int | float) and not isinstance(parsed, bool):
        return duration(f"PT{parsed}S")
    return duration(parsed)


def one_of(*words: str) -> Parser[str]:
    """Make a parser that accepts only these words."""

    def parse(value: object) -> str:
        if value not in words:
            raise InvalidValue("Write one of: " + ", ".join(f'"{word}"' for word in words) + ".")
        return str(value)

    return parse


def list_of(parse_item: Parser[T]) -> Parser[tuple[T, ...]]:
    """Make a parser of lists. Accepts comma-separated text in the environment. Keeps the order, drops duplicates."""

    def parse(value: object) -> tuple[T, ...]:
        items = _parse_toml(value)
        if isinstance(value, EnvText) and isinstance(items, str):
            items = [item.strip() for item in items.split(",") if item.strip()]
        if not isinstance(items, list):
            raise InvalidValue('Write a list, such as ["one", "two"] or [].')
        return tuple(dict.fromkeys(parse_item(item) for item in items))

    return parse


def key(value: object) -> str:
    """Parse a key, which appears in URLs: letters, digits and `. _ ~ -`."""
    if not isinstance(value, str) or not is_key(value):
        raise InvalidValue("Use letters, digits and . _ ~ - only, a letter or digit first, 200 characters at most.")
    return str(value)


def key_or_all(value: object) -> str:
    return "*" if value == "*" else key(value)


def locale(value: object) -> str:
    """Parse a language tag and return it in its usual spelling."""
    tag = normalize_language_tag(value) if isinstance(value, str) else None
    if tag is None or len(tag.partition("-")[0]) > MAX_LANGUAGE_LENGTH:
        raise InvalidValue('Write a language tag (BCP 47), such as "en", "de" or "pt-BR".')
    return tag


def address(value: object) -> str:
    """Parse an e-mail address without a display name."""
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise InvalidValue('Write an e-mail address, such as "help@acme.example".')
    return str(value)


def host(value: object) -> str:
    """Parse a host name or IP address without port."""
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        raise InvalidValue(
            'Write a host name or address without port, such as "smtp.acme.example"; the port has its own key.'
        )
    return str(value)


def mailbox(value: object) -> str:
    """Parse the value of a From header: an address with or without a display name."""
    name, plain_address = parseaddr(value) if isinstance(value, str) else ("", "")
    if not isinstance(value, str) or not _ADDRESS.fullmatch(plain_address) or _CONTROL.search(value + name):
        raise InvalidValue('Write an address, such as "Acme <no-reply@acme.example>".')
    return str(value).strip()


def web_url(value: object) -> str:
    """Parse an absolute http or https URL without user information."""
    if not isinstance(value, str) or _CONTROL.search(value) or " " in value or not is_web_url(value):
        raise InvalidValue('Write a full address, such as "https://acme.example/terms".')
    return str(value)


def public_url(value: object) -> str:
    """Parse the public URL of this server. A slash at the end is dropped, since every link appends its path."""
    remedy = 'Write the address people reach this server at, without query or "#", such as "https://join.acme.example".'
    if not isinstance(value, str) or any(mark in value for mark in "?#{} ") or not is_web_url(value):
        raise InvalidValue(remedy)
    return str(value).rstrip("/")


def origin(value: object) -> str:
    """Parse an origin: scheme, host and port, as browsers send them in `Origin`."""
    remedy = 'Write scheme and host only, such as "https://app.acme.example"; "*" is not possible.'
    parsed = find_origin(value) if isinstance(value, str) and is_web_url(value) else None
    if parsed is None or urlsplit(str(value))[2:] not in {("", "", ""), ("/", "", "")}:
        raise InvalidValue(remedy)
    return parsed


def link_template(*names: str) -> Parser[str]:
    """Make a parser of URLs with placeholders such as `{name}`. The token is appended as a query parameter."""
    known = ", ".join(f"{{{name}}}" for name in names)

    def parse(value: object) -> str:
        if not isinstance(value, str) or any(mark in value for mark in "# ") or _CONTROL.search(value):
            raise InvalidValue('Write an address without spaces and without "#": the token is appended as ?token=….')
        unknown = [name for name in _PLACEHOLDER.findall(value) if name not in names]
        filled = value.replace("{publicUrl}", "https://host").replace("{contentType}", "t").replace("{contentKey}", "k")
        if unknown or not is_web_url(filled) or "{" in filled or "}" in filled:
            raise InvalidValue(f"Write a full address or begin with {{publicUrl}}; what can be filled in: {known}.")
        return str(value)

    return parse


def rate(value: object) -> str:
    """Parse a rate limit in the notation of the limits library."""
    if not isinstance(value, str) or not all(_RATE.fullmatch(part.strip()) for part in value.split(";")):
        raise InvalidValue(
            'Write count and period, such as "100/hour" or "10/15 minutes"; several with ";" between them.'
        )
    return str(value)


def network(value: object) -> str:
    """Parse an IP address or a network in CIDR notation."""
    try:
        return str(ipaddress.ip_network(str(value), strict=False))
    except ValueError:
        raise InvalidValue('Write an address or a network, such as "10.0.0.0/8" or "::1".') from None
