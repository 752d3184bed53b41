"""Cursors of lists: a position, signed for one list and sort order, so that nobody reads on from a made-up place."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec

from latchstring.crypto.keyring import Keyring
from latchstring.domain.errors import Unreadable

DIGEST_BYTES = 32


def make_cursor(keyring: Keyring, within: str, position: Sequence[object]) -> str:
    """Where the next page begins. within: the list and its order, such as `users:-createdAt`; position: JSON values."""
    place = msgspec.json.encode(position)
    return base64.urlsafe_b64encode(keyring.fingerprint(_sealed(within, place)) + place).decode("ascii").rstrip("=")


def read_cursor(keyring: Keyring, within: str, cursor: str | None) -> list[Any] | None:
    """The position in a cursor, None without one. Raises Unreadable unless we made it for this list and order."""
    if cursor is None:
        return None
    refused = Unreadable("Send nextCursor of the page before, unchanged, with the same sort.", code="invalid-cursor")
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        digest, place = raw[:DIGEST_BYTES], raw[DIGEST_BYTES:]
        if not keyring.is_fingerprint(digest, _sealed(within, place)):
            raise refused
        return msgspec.json.decode(place, type=list[Any])
    except (binascii.Error, ValueError):  # msgspec's errors are ValueErrors
        raise refused from None


def _sealed(within: str, place: bytes) -> bytes:
    return b"cursor\0" + within.encode() + b"\0" + place
