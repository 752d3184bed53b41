"""The kinds of values that fields and query parameters have: each checks, says what is wrong, and describes itself.

A kind stands in an annotation, `first_name: Line | None = None`; `formats/fields.py` reads requests with it and
`rest/openapi.py` shows its schema, so what is documented is what is checked.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec

from latchstring.domain.keys import KEY_PATTERN, MAX_KEY_LENGTH, is_key
from latchstring.domain.language_tag import MAX_LANGUAGE_TAG_LENGTH, normalize_language_tag
from latchstring.formats.durations import parse_duration
from latchstring.formats.email_address import Address, AddressRefused, parse_address
from latchstring.formats.urls import is_web_url

LONGEST_LINE = 100
LONGEST_TITLE = 200
LONGEST_MESSAGE = 1000
LONGEST_URL = 2048
LONGEST_SECRET = 1024
METADATA_BYTES = 16_384

# Bidi_Control of Unicode 16. Marks (LRM, RLM, ALM) only nudge, and Arabic and Hebrew prose needs them; the others
# reorder what stands around them, which is how a text comes to look like another.
_MARKS = "\u061c\u200e\u200f"
_OVERRIDES = "\u202a-\u202e\u2066-\u2069"
_CONTROL = "\x00-\x1f\x7f-\x9f"
_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_NOT_IN_A_LINE = re.compile(f"[{_CONTROL}{_MARKS}{_OVERRIDES}\u2028\u2029]")
_NOT_IN_A_TEXT = re.compile(f"[\x00-\x09\x0b-\x1f\x7f-\x9f{_OVERRIDES}]")
LOCALE_PATTERN = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"  # what a schema can say of it; `read_locale` knows more
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})",
    re.ASCII,
)


class ValueRefused(ValueError):
    """A value breaks a rule: a code for programs and a sentence for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Kind:
    """How a value is read and what OpenAPI says of it. read: raises ValueRefused."""

    read: Callable[[object], Any]
    schema: Mapping[str, object] = field(hash=False)


def read_text(value: object) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise ValueRefused("invalid-type", "Send text here.")
    return value


def _refuse_longer(text: str, longest: int) -> None:
    if len(text) > longest:
        raise ValueRefused("too-long", f"Use {longest} characters at most; this has {len(text)}.")


def _refuse_blank(text: str) -> None:
    if not any(unicodedata.category(character)[0] not in "ZC" for character in text):
        raise ValueRefused("blank", "Write something that can be seen.")


def read_line(value: object) -> str:
    """One line of visible text, at most 100 characters, without blanks around it."""
    return _read_line(value, LONGEST_LINE)


def read_title(value: object) -> str:
    """One line of visible text, at most 200 characters: titles end up in the subjects of mails."""
    return _read_line(value, LONGEST_TITLE)


def _read_line(value: object, longest: int) -> str:
    text = read_text(value).strip()
    _refuse_longer(text, longest)
    if _NOT_IN_A_LINE.search(text):
        raise ValueRefused("control-characters", "Use one line without control or direction characters.")
    _refuse_blank(text)
    return text


def read_message(value: object) -> str:
    """Plain text of several lines, at most 1000 characters; every line break becomes a line feed."""
    text = _LINE_BREAK.sub("\n", read_text(value))
    _refuse_longer(text, LONGEST_MESSAGE)
    if _NOT_IN_A_TEXT.search(text):
        raise ValueRefused("control-characters", "Use plain text; line breaks are the only control characters allowed.")
    return text


def read_key(value: object) -> str:
    """The key of a role, a group or an object."""
    text = read_text(value)
    if not is_key(text):
        raise ValueRefused(
            "invalid-key", "Use letters, digits and . _ ~ - only, with a letter or digit first, 200 characters at most."
        )
    return text


def read_token(value: object) -> str:
    """A token as a link carries it: any text. What is wrong with one is told to nobody, not even that it is long."""
    return read_text(value)


def read_secret(value: object) -> str:
    """A password as typed: no trimming, no rule but size. Rules for new ones are the accounts'."""
    text = read_text(value)
    _refuse_longer(text, LONGEST_SECRET)
    if not text:
        raise ValueRefused("blank", "Write a password.")
    return text


def read_reference(value: object) -> str:
    """An identifier another system made: visible characters, at most 200."""
    text = read_text(value)
    _refuse_longer(text, MAX_KEY_LENGTH)
    if _NOT_IN_A_LINE.search(text):
        raise ValueRefused("control-characters", "Use one line without control or direction characters.")
    _refuse_blank(text)
    return text


def read_email(value: object) -> Address:
    """An address by the contract's rules, kept as typed beside its canonical form."""
    try:
        return parse_address(read_text(value))
    except AddressRefused as refused:
        raise ValueRefused("invalid-email", refused.detail) from refused


def read_duration(value: object) -> timedelta:
    """ISO 8601: weeks, or days, hours, minutes and seconds. Months and years have no fixed length and are refused."""
    span = parse_duration(read_text(value))
    if span is None:
        raise ValueRefused("invalid-duration", "Write an ISO 8601 duration like P7D, PT12H or P1W.")
    return span


def read_instant(value: object) -> datetime:
    """RFC 3339 with an offset, as aware UTC, cut to the millisecond."""
    found = _INSTANT.fullmatch(read_text(value))
    refused = ValueRefused("invalid-instant", "Write an RFC 3339 instant with an offset, like 2026-03-01T09:30:00Z.")
    if found is None:
        raise refused
    date, time, fraction, offset = found.groups()
    milliseconds = (fraction or ".0")[1:4].ljust(3, "0")
    try:
        now = datetime.fromisoformat(f"{date}T{time}.{milliseconds}{offset.upper().replace('Z', '+00:00')}")
        return now.astimezone(UTC)
    except (ValueError, OverflowError):
        raise refused from None


def read_locale(value: object) -> str:
    """A well-formed BCP 47 tag in its usual spelling, `de-DE`. Whether we speak it is another question."""
    tag = normalize_language_tag(read_text(value))
    if tag is None:
        raise ValueRefused("invalid-locale", "Write a BCP 47 language tag like en, de or pt-BR.")
    return tag


def read_url(value: object) -> str:
    """An absolute http or https URL without user information."""
    text = read_text(value)
    _refuse_longer(text, LONGEST_URL)
    # Browsers take a backslash for a slash and drop tabs and line breaks: a checked host must be the visited one.
    if not is_web_url(text) or not text.isascii() or re.search(r"[\s\\\x00-\x20\x7f]", text):
        raise ValueRefused("invalid-url", "Write an absolute URL that begins with https:// or http://.")
    return text


def read_uuid(value: object) -> UUID:
    """An id in its usual spelling."""
    text = read_text(value)
    if not _UUID.fullmatch(text):
        raise ValueRefused("invalid-id", "Send an id, a UUID like 01890a5d-ac96-774b-bcce-b302099a8057.")
    return UUID(text)


def read_metadata(value: object) -> dict[str, Any]:
    """A JSON object of the app's own, at most 16 KiB as compact JSON."""
    found = read_data(value)
    check_size(found, METADATA_BYTES)
    return found


def read_data(value: object) -> dict[str, Any]:
    """A JSON object of the app's own. How large it may be is configuration: `check_size`."""
    if not isinstance(value, dict):
        raise ValueRefused("invalid-type", "Send a JSON object here.")
    try:
        encoded = msgspec.json.encode(value)
    except (OverflowError, ValueError):
        raise ValueRefused("number-too-large", "Numbers have at most 64 bits.") from None
    if b"\\u0000" in encoded and _has_nul(value):
        raise ValueRefused("control-characters", "NUL characters cannot be kept.")
    return value


def check_size(value: dict[str, Any], largest: int) -> None:
    """Refuse an object of more bytes than this as compact JSON."""
    size = len(msgspec.json.encode(value))
    if size > largest:
        raise ValueRefused("too-large", f"Use {largest} bytes at most; this has {size}.")


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any("\x00" in key or _has_nul(inner) for key, inner in value.items())
    return isinstance(value, list) and any(_has_nul(inner) for inner in value)


def read_boolean(value: object) -> bool:
    """One of the two."""
    if not isinstance(value, bool):
        raise ValueRefused("invalid-type", "Send true or false here.")
    return value


def _text_schema(longest: int, description: str, example: str, **more: object) -> dict[str, object]:
    return {"type": "string", "maxLength": longest, "description": description, "examples": [example], **more}


Line = Annotated[str, Kind(read_line, _text_schema(LONGEST_LINE, "One line of visible text.", "Ada", minLength=1))]
Title = Annotated[
    str, Kind(read_title, _text_schema(LONGEST_TITLE, "One line of visible text.", "Minutes of March", minLength=1))
]
Message = Annotated[
    str, Kind(read_message, _text_schema(LONGEST_MESSAGE, "Plain text; line breaks become \\n.", "See you on Monday."))
]
Key = Annotated[
    str,
    Kind(
        read_key,
        {
            "type": "string",
            "pattern": KEY_PATTERN,
            "description": "A key.",
            "examples": ["team"],
        },
    ),
]
Token = Annotated[
    str,
    Kind(
        read_token,
        {"type": "string", "description": "The token of a link.", "examples": ["eyJhbGciOiJIUzI1NiJ9.e30.x"]},
    ),
]
Secret = Annotated[
    str,
    Kind(
        read_secret,
        _text_schema(LONGEST_SECRET, "A password.", "correct horse 9 Battery", format="password", minLength=1),
    ),
]
Reference = Annotated[
    str, Kind(read_reference, _text_schema(MAX_KEY_LENGTH, "An identifier of another system.", "crm-4711", minLength=1))
]
Email = Annotated[
    Address,
    Kind(read_email, _text_schema(254, "An e-mail address; kept as typed.", "ada@people.test", format="email")),
]
Duration = Annotated[
    timedelta,
    Kind(
        read_duration,
        {
            "type": "string",
            "format": "duration",
            "description": "ISO 8601, without months and years.",
            "examples": ["P7D"],
        },
    ),
]
Instant = Annotated[
    datetime,
    Kind(
        read_instant,
        {
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339 with an offset.",
            "examples": ["2026-03-01T09:30:00Z"],
        },
    ),
]
Locale = Annotated[
    str,
    Kind(read_locale, _text_schema(MAX_LANGUAGE_TAG_LENGTH, "A BCP 47 language tag.", "de", pattern=LOCALE_PATTERN)),
]
Url = Annotated[
    str,
    Kind(read_url, _text_schema(LONGEST_URL, "An absolute URL.", "https://app.example.org/welcome", format="uri")),
]
Id = Annotated[
    UUID,
    Kind(
        read_uuid,
        {
            "type": "string",
            "format": "uuid",
            "description": "An id.",
            "examples": ["01890a5d-ac96-774b-bcce-b302099a8057"],
        },
    ),
]
Metadata = Annotated[
    dict[str, Any],
    Kind(
        read_metadata,
        {
            "type": "object",
            "description": f"Your own data, {METADATA_BYTES} bytes at most as compact JSON.",
            "examples": [{"crmId": "4711"}],
        },
    ),
]
Data = Annotated[
    dict[str, Any],
    Kind(
        read_data,
        {
            "type": "object",
            "description": "Your own data; `content.data-limit` bounds it.",
            "examples": [{"body": "…"}],
        },
    ),
]
Flag = Annotated[bool, Kind(read_boolean, {"type": "boolean"})]
