"""The types of fields and query parameters, each with its parser and its JSON Schema.

A type is used in an annotation, such as `first_name: Line | None = None`. `formats/fields.py` parses requests with it
and `rest/openapi.py` publishes its schema, so that documentation and validation agree.
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

MAX_LINE_LENGTH = 100
MAX_TITLE_LENGTH = 200
MAX_MESSAGE_LENGTH = 1000
MAX_URL_LENGTH = 2048
MAX_SECRET_LENGTH = 1024
MAX_METADATA_BYTES = 16_384

# Bidi_Control of Unicode 16. Arabic and Hebrew texts need the marks (LRM, RLM, ALM). The others reorder the text
# around them, which can make it look like another text.
_BIDI_MARKS = "\u061c\u200e\u200f"
_BIDI_OVERRIDES = "\u202a-\u202e\u2066-\u2069"
_CONTROL = "\x00-\x1f\x7f-\x9f"
_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_FORBIDDEN_IN_LINE = re.compile(f"[{_CONTROL}{_BIDI_MARKS}{_BIDI_OVERRIDES}\u2028\u2029]")
_FORBIDDEN_IN_TEXT = re.compile(f"[\x00-\x09\x0b-\x1f\x7f-\x9f{_BIDI_OVERRIDES}]")
LOCALE_PATTERN = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"  # approximate; `read_locale` checks more
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})",
    re.ASCII,
)


class ValueRefused(ValueError):
    """A value violates a rule. code: for programs. detail: a sentence for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Kind:
    """The parser and the schema of a type. read: raises ValueRefused."""

    read: Callable[[object], Any]
    schema: Mapping[str, object] = field(hash=False)


def read_text(value: object) -> str:
    """Read any text."""
    if not isinstance(value, str):
        raise ValueRefused("invalid-type", "Send text here.")
    return value


def _check_length(text: str, longest: int) -> None:
    if len(text) > longest:
        raise ValueRefused("too-long", f"Use {longest} characters at most; this has {len(text)}.")


def _check_not_blank(text: str) -> None:
    if not any(unicodedata.category(character)[0] not in "ZC" for character in text):
        raise ValueRefused("blank", "Write something that can be seen.")


def read_line(value: object) -> str:
    """Read one line of visible text, at most 100 characters. Blanks around it are removed."""
    return _read_line(value, MAX_LINE_LENGTH)


def read_title(value: object) -> str:
    """Read one line of visible text, at most 200 characters, because titles appear in subjects of mails."""
    return _read_line(value, MAX_TITLE_LENGTH)


def _read_line(value: object, longest: int) -> str:
    text = read_text(value).strip()
    _check_length(text, longest)
    if _FORBIDDEN_IN_LINE.search(text):
        raise ValueRefused("control-characters", "Use one line without control or direction characters.")
    _check_not_blank(text)
    return text


def read_message(value: object) -> str:
    """Read plain text of several lines, at most 1000 characters. Every line break becomes a line feed."""
    text = _LINE_BREAK.sub("\n", read_text(value))
    _check_length(text, MAX_MESSAGE_LENGTH)
    if _FORBIDDEN_IN_TEXT.search(text):
        raise ValueRefused("control-characters", "Use plain text; line breaks are the only control characters allowed.")
    return text


def read_key(value: object) -> str:
    """Read the key of a role, a group or an object."""
    text = read_text(value)
    if not is_key(text):
        raise ValueRefused(
            "invalid-key", "Use letters, digits and . _ ~ - only, with a letter or digit first, 200 characters at most."
        )
    return text


def read_token(value: object) -> str:
    """Read the token of a link: any text. Invalid tokens all get the same error later, even if they are too long."""
    return read_text(value)


def read_secret(value: object) -> str:
    """Read a password as typed, without trimming. Checks only its size; the policy applies to new passwords."""
    text = read_text(value)
    _check_length(text, MAX_SECRET_LENGTH)
    if not text:
        raise ValueRefused("blank", "Write a password.")
    return text


def read_reference(value: object) -> str:
    """Read an identifier of another system: visible characters, at most 200."""
    text = read_text(value)
    _check_length(text, MAX_KEY_LENGTH)
    if _FORBIDDEN_IN_LINE.search(text):
        raise ValueRefused("control-characters", "Use one line without control or direction characters.")
    _check_not_blank(text)
    return text


def read_email(value: object) -> Address:
    """Read an e-mail address."""
    try:
        return parse_address(read_text(value))
    except AddressRefused as refused:
        raise ValueRefused("invalid-email", refused.detail) from refused


def read_duration(value: object) -> timedelta:
    """Read an ISO 8601 duration: weeks, or days, hours, minutes and seconds.

    Months and years have no fixed length and are refused.
    """
    span = parse_duration(read_text(value))
    if span is None:
        raise ValueRefused("invalid-duration", "Write an ISO 8601 duration like P7D, PT12H or P1W.")
    return span


def read_instant(value: object) -> datetime:
    """Read an RFC 3339 instant with an offset. Returns it in UTC, truncated to milliseconds."""
    match = _INSTANT.fullmatch(read_text(value))
    error = ValueRefused("invalid-instant", "Write an RFC 3339 instant with an offset, like 2026-03-01T09:30:00Z.")
    if match is None:
        raise error
    date, time, fraction, offset = match.groups()
    milliseconds = (fraction or ".0")[1:4].ljust(3, "0")
    try:
        instant = datetime.fromisoformat(f"{date}T{time}.{milliseconds}{offset.upper().replace('Z', '+00:00')}")
        return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise error from None


def read_locale(value: object) -> str:
    """Read a well-formed BCP 47 tag and return it in its usual spelling, `de-DE`. It need not have a translation."""
    tag = normalize_language_tag(read_text(value))
    if tag is None:
        raise ValueRefused("invalid-locale", "Write a BCP 47 language tag like en, de or pt-BR.")
    return tag


def read_url(value: object) -> str:
    """Read an absolute http or https URL without user information."""
    text = read_text(value)
    _check_length(text, MAX_URL_LENGTH)
    # Browsers treat a backslash as a slash and drop tabs and line breaks, and could visit another host than checked.
    if not is_web_url(text) or not text.isascii() or re.search(r"[\s\\\x00-\x20\x7f]", text):
        raise ValueRefused("invalid-url", "Write an absolute URL that begins with https:// or http://.")
    return text


def read_uuid(value: object) -> UUID:
    """Read a UUID in its usual spelling."""
    text = read_text(value)
    if not _UUID.fullmatch(text):
        raise ValueRefused("invalid-id", "Send an id, a UUID like 01890a5d-ac96-774b-bcce-b302099a8057.")
    return UUID(text)


def read_metadata(value: object) -> dict[str, Any]:
    """Read a JSON object with data of the app, at most 16 KiB as compact JSON."""
    data = read_data(value)
    check_size(data, MAX_METADATA_BYTES)
    return data


def read_data(value: object) -> dict[str, Any]:
    """Read a JSON object with data of the app. Its size is limited by the configuration: `check_size`."""
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
    """Raise ValueRefused if the object has more bytes than this as compact JSON."""
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
    """Read true or false."""
    if not isinstance(value, bool):
        raise ValueRefused("invalid-type", "Send true or false here.")
    return value


def _text_schema(longest: int, description: str, example: str, **more: object) -> dict[str, object]:
    return {"type": "string", "maxLength": longest, "description": description, "examples": [example], **more}


Line = Annotated[str, Kind(read_line, _text_schema(MAX_LINE_LENGTH, "One line of visible text.", "Ada", minLength=1))]
Title = Annotated[
    str, Kind(read_title, _text_schema(MAX_TITLE_LENGTH, "One line of visible text.", "Minutes of March", minLength=1))
]
Message = Annotated[
    str,
    Kind(read_message, _text_schema(MAX_MESSAGE_LENGTH, "Plain text; line breaks become \\n.", "See you on Monday.")),
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
        _text_schema(MAX_SECRET_LENGTH, "A password.", "correct horse 9 Battery", format="password", minLength=1),
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
    Kind(read_url, _text_schema(MAX_URL_LENGTH, "An absolute URL.", "https://app.example.org/welcome", format="uri")),
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
            "description": f"Your own data, {MAX_METADATA_BYTES} bytes at most as compact JSON.",
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
