"""Ids: UUIDv7, sorted by creation time."""

import os
import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID

NIL_ID = UUID(int=0)  # sorts before every id; identifies nothing
MAX_ID = UUID(int=(1 << 128) - 1)  # sorts after every id
_BYTES_PER_ID = 10
_MAX_MILLISECONDS = 64


class _IdGenerator:
    """Generates UUIDv7 in increasing order within one process (RFC 9562, section 6.2, method 2).

    Random bytes are fetched in bulk: one system call per id would cost more than everything else.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_tails: dict[int, int] = {}  # by millisecond: instants within one process may interleave slightly
        self._random = b""
        os.register_at_fork(after_in_child=self._reset)  # processes must not share random bytes

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._random = b""

    def _take_random_bits(self, count: int) -> int:
        """Return up to 80 random bits from the system. Requires the lock."""
        if len(self._random) < _BYTES_PER_ID:
            self._random = os.urandom(_BYTES_PER_ID * 256)
        taken, self._random = self._random[:_BYTES_PER_ID], self._random[_BYTES_PER_ID:]
        return int.from_bytes(taken) >> (_BYTES_PER_ID * 8 - count)

    def generate(self, now: datetime) -> UUID:
        millisecond = int(now.timestamp() * 1000)
        with self._lock:
            last = self._last_tails.pop(millisecond, None)
            # the top bit of a new tail is 0, so that additions cannot overflow
            tail = self._take_random_bits(73) if last is None else last + 1 + self._take_random_bits(32)
            self._last_tails[millisecond] = tail
            if len(self._last_tails) > _MAX_MILLISECONDS:
                del self._last_tails[next(iter(self._last_tails))]
        high, low = tail >> 62, tail & ((1 << 62) - 1)
        return UUID(int=millisecond << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)


_generator = _IdGenerator()


def new_id(now: datetime) -> UUID:
    """Return a new UUIDv7 of this millisecond. It is unique and sorted by time, but not secret."""
    return _generator.generate(now)


def id_instant(value: UUID) -> datetime:
    """Return the creation time in a UUIDv7."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=value.int >> 80)


def first_id_at(now: datetime) -> UUID:
    """Return the lower bound of the ids of this millisecond, for filters such as "created at or after".

    Instants before 1970 give the nil id.
    """
    return UUID(int=max(0, int(now.timestamp() * 1000)) << 80)


def id_before(value: UUID) -> UUID:
    """Return the greatest id below this one, which is not the nil id: the exclusive start of a scan."""
    return UUID(int=value.int - 1)
