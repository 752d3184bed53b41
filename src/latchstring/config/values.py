"""Parsers of single values. Each takes what TOML or the environment holds and returns the value, or raises Wrong.

The text of a Wrong is the remedy: it says what to write instead.
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
from latchstring.formats.urls import is_web_url, origin_of

T = TypeVar("T")
Parser = Callable[[Any], T]

LONGEST_DURATION = timedelta(days=3650)  # keeps every sum with the present instant inside the calendar
LONGEST_LANGUAGE = 3  # letters of every registered one; "english" is a well-formed tag, and a slip

_RATE = re.compile(r"\d{1,9} ?(?:/|per) ?(?:\d{1,6} ?)?(?:second|minute|hour|day|month)s?", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s@<>\"(),:;\\]+@[^\s@<>\"(),:;\\]+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})|\[?[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*\]?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class InvalidValue(ValueError):
    """A value that cannot be used. The text says what to write instead."""


class EnvText(str):
    """A value from the environment: text, whatever the key wants."""

    __slots__ = ()


def _typed(value: object) -> object:
    """What the text of an environment variable means as a TOML value; the text itself where it means none."""
    if not isinstance(value, EnvText):
        return value
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return str(value)


def text(value: object) -> str:
    """One line of text that is not empty."""
    if not isinstance(value, str) or not value.strip() or _CONTROL.search(value):
        raise InvalidValue('Write one line of text in quotes, such as "Acme".')
    return str(value).strip()


def optional(parse: Parser[T]) -> Parser[T | None]:
    """The same, and an empty text means none."""
    return lambda value: None if value == "" else parse(value)


def secret(value: object) -> str:
    """Text that is taken as it is, without the line break at its end."""
    if not isinstance(value, str):
        raise InvalidValue("Write text in quotes.")
    return value.rstrip("\r\n")


def flag(value: object) -> bool:
    found = _typed(value)
    if isinstance(found, str) and found.lower() in {"true", "false"}:
        return found.lower() == "true"
    if not isinstance(found, bool):
        raise InvalidValue("Write true or false.")
    return found


def domain_rate(value: object) -> tuple[str, int]:
    """A recipient domain and how many mails a minute it gets: `example.org=60`."""
    name, equals, number = text(value).rpartition("=")
    domain = name.strip().lower()
    if not (equals and domain and "." in domain and number.strip().isdecimal()):
        raise InvalidValue('Write each domain with its mails a minute, like "example.org=60".')
    return domain, int(number)


def integer(smallest: int, largest: int) -> Parser[int]:
    """Whole numbers between two bounds, both included."""

    def parse(value: object) -> int:
        found = _typed(value)
        if not isinstance(found, int) or isinstance(found, bool) or not smallest <= found <= largest:
            raise InvalidValue(f"Write a whole number from {smallest} to {largest}.")
        return found

    return parse


def factor(value: object) -> float:
    """How much longer each wait is than the one before."""
    found = _typed(value)
    if not isinstance(found, int | float) or isinstance(found, bool) or not 1 <= found <= 100:  # noqa: PLR2004
        raise InvalidValue("Write a number from 1 to 100.")
    return float(found)


def duration(value: object) -> timedelta:
    """An ISO 8601 duration in units of fixed length: weeks, days, hours, minutes, seconds. Longer than nothing."""
    found = parse_duration(value, allow_fractions=True) if isinstance(value, str) else None
    if found is None or not timedelta(0) < found <= LONGEST_DURATION:
        raise InvalidValue('Write an ISO 8601 duration without months or years, such as "P7D", "PT12H" or "PT30S".')
    return found


def seconds_or_duration(value: object) -> timedelta:
    """A duration; a plain number counts seconds."""
    found = _typed(value)
    if isinstance(found, int | float) and not isinstance(found, bool):
        return duration(f"PT{found}S")
    return duration(found)


def one_of(*words: str) -> Parser[str]:
    """One of a few words."""

    def parse(value: object) -> str:
        if value not in words:
            raise InvalidValue("Write one of: " + ", ".join(f'"{word}"' for word in words) + ".")
        return str(value)

    return parse


def list_of(parse_item: Parser[T]) -> Parser[tuple[T, ...]]:
    """A list whose items all pass; in the environment also as text with commas. Keeps the order, drops repeats."""

    def parse(value: object) -> tuple[T, ...]:
        found = _typed(value)
        if isinstance(value, EnvText) and isinstance(found, str):
            found = [item.strip() for item in found.split(",") if item.strip()]
        if not isinstance(found, list):
            raise InvalidValue('Write a list, such as ["one", "two"] or [].')
        return tuple(dict.fromkeys(parse_item(item) for item in found))

    return parse


def key(value: object) -> str:
    """A name that appears in addresses: letters, digits and `. _ ~ -`."""
    if not isinstance(value, str) or not is_key(value):
        raise InvalidValue("Use letters, digits and . _ ~ - only, a letter or digit first, 200 characters at most.")
    return str(value)


def key_or_all(value: object) -> str:
    return "*" if value == "*" else key(value)


def locale(value: object) -> str:
    """A language tag in its usual spelling."""
    tag = normalize_language_tag(value) if isinstance(value, str) else None
    if tag is None or len(tag.partition("-")[0]) > LONGEST_LANGUAGE:
        raise InvalidValue('Write a language tag (BCP 47), such as "en", "de" or "pt-BR".')
    return tag


def address(value: object) -> str:
    """A bare e-mail address."""
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise InvalidValue('Write an e-mail address, such as "help@acme.example".')
    return str(value)


def host(value: object) -> str:
    """A host name or address, without port."""
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        raise InvalidValue(
            'Write a host name or address without port, such as "smtp.acme.example"; the port has its own key.'
        )
    return str(value)


def mailbox(value: object) -> str:
    """An address with or without a name: what a From header holds."""
    name, bare = parseaddr(value) if isinstance(value, str) else ("", "")
    if not isinstance(value, str) or not _ADDRESS.fullmatch(bare) or _CONTROL.search(value + name):
        raise InvalidValue('Write an address, such as "Acme <no-reply@acme.example>".')
    return str(value).strip()


def web_url(value: object) -> str:
    """An absolute http or https address without user name."""
    if not isinstance(value, str) or _CONTROL.search(value) or " " in value or not is_web_url(value):
        raise InvalidValue('Write a full address, such as "https://acme.example/terms".')
    return str(value)


def public_url(value: object) -> str:
    """Where people reach this server; a slash at the end is dropped, since every link appends its path."""
    remedy = 'Write the address people reach this server at, without query or "#", such as "https://join.acme.example".'
    if not isinstance(value, str) or any(mark in value for mark in "?#{} ") or not is_web_url(value):
        raise InvalidValue(remedy)
    return str(value).rstrip("/")


def origin(value: object) -> str:
    """Scheme, host and port of a site, as browsers send them in `Origin`."""
    remedy = 'Write scheme and host only, such as "https://app.acme.example"; "*" is not possible.'
    found = origin_of(value) if isinstance(value, str) and is_web_url(value) else None
    if found is None or urlsplit(str(value))[2:] not in {("", "", ""), ("/", "", "")}:
        raise InvalidValue(remedy)
    return found


def link_template(*names: str) -> Parser[str]:
    """An address with `{name}` where a value is filled in. The token is appended as a query parameter."""
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
    """How often something may happen, in the notation of the limits library."""
    if not isinstance(value, str) or not all(_RATE.fullmatch(part.strip()) for part in value.split(";")):
        raise InvalidValue(
            'Write count and period, such as "100/hour" or "10/15 minutes"; several with ";" between them.'
        )
    return str(value)


def network(value: object) -> str:
    """An address or network in CIDR notation."""
    try:
        return str(ipaddress.ip_network(str(value), strict=False))
    except ValueError:
        raise InvalidValue('Write an address or a network, such as "10.0.0.0/8" or "::1".') from None
