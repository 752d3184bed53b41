"""Cursors of lists as opaque text, signed for one list and sort order.

The signature (HMAC-SHA-256) prevents clients from constructing cursors and from using the cursor of one list in
another. Cursors are not encrypted.
"""

import base64
import binascii
from datetime import datetime
from uuid import UUID

import msgspec

from latchstring.crypto.keyring import Keyring
from latchstring.domain.errors import Unreadable
from latchstring.domain.pagination import Cursor, KeyValue

DIGEST_BYTES = 32  # of HMAC-SHA-256, not truncated
_Content = tuple[list[str | int], bool, int | None, str, int]


def make_cursor(keyring: Keyring, list_id: str, cursor: Cursor) -> str:
    """Encode and sign a cursor. list_id: the list and its order, such as `users:-createdAt`."""
    values = [_encode_value(value) for value in cursor.key]
    content = msgspec.json.encode((values, cursor.is_backward, cursor.total, cursor.counted, cursor.rows_before))
    signed = keyring.fingerprint(_signed_data(list_id, content)) + content
    return base64.urlsafe_b64encode(signed).decode("ascii").rstrip("=")


def read_cursor(keyring: Keyring, list_id: str, text: str | None) -> Cursor | None:
    """Verify and decode a cursor, None for None. Raises Unreadable unless it was made for this list and order."""
    if text is None:
        return None
    error = Unreadable("Send nextCursor of the page before, unchanged, with the same sort.", code="invalid-cursor")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        digest, content = raw[:DIGEST_BYTES], raw[DIGEST_BYTES:]
        # Verified before decoding, in constant time: nothing parses content that is not authentic.
        if not keyring.is_fingerprint(digest, _signed_data(list_id, content)):
            raise error
        values, is_backward, total, counted, rows_before = msgspec.json.decode(content, type=_Content)
    except (binascii.Error, ValueError):  # msgspec's errors are ValueErrors
        raise error from None
    return Cursor(tuple(_decode_value(value) for value in values), is_backward, total, counted, rows_before)


def _encode_value(value: KeyValue) -> str | int:
    """Prefix a value with a letter for its type; numbers stay unchanged."""
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


def _signed_data(list_id: str, content: bytes) -> bytes:
    # The prefix separates cursors from the other data that is signed with the same key.
    return b"cursor\0" + list_id.encode() + b"\0" + content
