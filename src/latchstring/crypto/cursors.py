"""Cursors of lists as opaque texts, sealed for one list and sort order: nobody reads on from a made-up place."""

import base64
import binascii
from datetime import datetime
from uuid import UUID

import msgspec

from latchstring.crypto.keyring import Keyring
from latchstring.domain.errors import Unreadable
from latchstring.domain.pagination import Cursor, KeyValue

DIGEST_BYTES = 32
_Sealed = tuple[list[str | int], bool, int | None, str, int]


def make_cursor(keyring: Keyring, within: str, cursor: Cursor) -> str:
    """The text of a cursor. within: the list and its order, such as `users:-createdAt`."""
    values = [_encode_value(value) for value in cursor.key]
    content = msgspec.json.encode((values, cursor.is_backward, cursor.total, cursor.counted, cursor.rows_before))
    sealed = keyring.fingerprint(_sealed_text(within, content)) + content
    return base64.urlsafe_b64encode(sealed).decode("ascii").rstrip("=")


def read_cursor(keyring: Keyring, within: str, text: str | None) -> Cursor | None:
    """The cursor of a text, None without one. Raises Unreadable unless we made it for this list and order."""
    if text is None:
        return None
    refused = Unreadable("Send nextCursor of the page before, unchanged, with the same sort.", code="invalid-cursor")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        digest, content = raw[:DIGEST_BYTES], raw[DIGEST_BYTES:]
        if not keyring.is_fingerprint(digest, _sealed_text(within, content)):
            raise refused
        values, is_backward, total, counted, rows_before = msgspec.json.decode(content, type=_Sealed)
    except (binascii.Error, ValueError):  # msgspec's errors are ValueErrors
        raise refused from None
    return Cursor(tuple(_decode_value(value) for value in values), is_backward, total, counted, rows_before)


def _encode_value(value: KeyValue) -> str | int:
    """A value with a letter for its type; numbers as they are."""
    if isinstance(value, int):
        return value
    if isinstance(value, UUID):
        return f"i{value.hex}"
    return f"t{value.isoformat()}" if isinstance(value, datetime) else f"s{value}"


def _decode_value(value: str | int) -> KeyValue:
    if isinstance(value, int):
        return value
    letter, text = value[:1], value[1:]
    if letter == "i":
        return UUID(text)
    return datetime.fromisoformat(text) if letter == "t" else text


def _sealed_text(within: str, content: bytes) -> bytes:
    return b"cursor\0" + within.encode() + b"\0" + content
