"""Ids: UUIDv7, ordered by the time of creation."""

import os
import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID

NIL_ID = UUID(int=0)  # before every id; the id of nothing
MAX_ID = UUID(int=(1 << 128) - 1)  # after every id
_BYTES_AN_ID = 10
_MILLISECONDS_KEPT = 64


class _Ids:
    """UUIDv7 whose order is the order of making within one process (RFC 9562, section 6.2, method 2).

    Random bytes are fetched in bulk: a system call for each id costs more than all the rest of it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tails: dict[int, int] = {}  # by millisecond: instants of one process interleave a little
        self._random = b""
        os.register_at_fork(after_in_child=self._forget)  # two processes must not share what is left

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._random = b""

    def _bits(self, count: int) -> int:
        """Random bits from the system; up to 80. Call with the lock held."""
        if len(self._random) < _BYTES_AN_ID:
            self._random = os.urandom(_BYTES_AN_ID * 256)
        taken, self._random = self._random[:_BYTES_AN_ID], self._random[_BYTES_AN_ID:]
        return int.from_bytes(taken) >> (_BYTES_AN_ID * 8 - count)

    def make(self, now: datetime) -> UUID:
        millisecond = int(now.timestamp() * 1000)
        with self._lock:
            last = self._tails.pop(millisecond, None)
            # the top bit of a fresh tail stays free, so that adding never overflows
            tail = self._bits(73) if last is None else last + 1 + self._bits(32)
            self._tails[millisecond] = tail
            if len(self._tails) > _MILLISECONDS_KEPT:
                del self._tails[next(iter(self._tails))]
        high, low = tail >> 62, tail & ((1 << 62) - 1)
        return UUID(int=millisecond << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)


_ids = _Ids()


def new_id(now: datetime) -> UUID:
    """A UUIDv7 of this millisecond. Unique and time-ordered; not a secret."""
    return _ids.make(now)


def id_instant(value: UUID) -> datetime:
    """The instant a UUIDv7 carries: the creation time of what it names."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=value.int >> 80)


def first_id_at(now: datetime) -> UUID:
    """The smallest UUIDv7 of this millisecond: a bound for "created at or after". Before 1970 there is none smaller."""
    return UUID(int=max(0, int(now.timestamp() * 1000)) << 80)
