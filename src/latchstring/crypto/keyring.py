"""The master keys of an installation and the keys derived from them.

The file has one line per key, newest first: `<id>:<base64url of 32 bytes or more>`. The newest key signs; the others
only verify, so that rotation invalidates nothing at once. Each purpose has its own key, derived with HKDF-SHA-256
(RFC 5869), so that a signature made for one purpose is not valid for another.
"""

import base64
import hashlib
import hmac
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MINIMUM_BYTES = 32  # 256 bits, the strength of HMAC-SHA-256 and AES-256
# Detects keys that were typed or padded. 32 random bytes have fewer distinct values about once in 10^13 keys.
MINIMUM_DISTINCT_BYTES = 12
RELOAD_SECONDS = 1.0  # between checks of the file, which would otherwise need a system call for each use of a key


class KeyProblem(Exception):
    """An invalid or weak master key. The text says what to do."""


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One master key. Its id is public."""

    id: str
    secret: bytes = field(repr=False)  # no log line and no traceback may contain it

    @property
    def fingerprint(self) -> bytes:
        """A value the database stores to detect another key. It reveals nothing about the key."""
        return self.derive("fingerprint")

    def derive(self, purpose: str) -> bytes:
        """Derive the 32 byte key of this purpose."""
        return _derive(self.secret, purpose)


@lru_cache(maxsize=256)
def _derive(secret: bytes, purpose: str) -> bytes:
    # No salt, which RFC 5869 section 3.1 makes optional: master keys are random already. `info` separates the purposes.
    return HKDF(hashes.SHA256(), length=32, salt=None, info=f"latchstring/{purpose}/v1".encode()).derive(secret)


def new_master_key() -> MasterKey:
    """Create a key of 256 bits from the random generator of the operating system."""
    secret = secrets.token_bytes(32)
    # 32 bits of a hash with a prefix of its own: the id appears in tokens and reveals nothing useful about the key.
    return MasterKey(hashlib.sha256(b"latchstring key id" + secret).hexdigest()[:8], secret)


def parse_keys(text: str) -> tuple[MasterKey, ...]:
    """Parse key lines, newest first. Raises KeyProblem for malformed, duplicate or weak keys."""
    keys = tuple(_parse_line(line.strip()) for line in text.splitlines() if line.strip() and line.strip()[0] != "#")
    if not keys:
        raise KeyProblem(
            "The master key is empty. Remove the file to have a new one made, or restore it from a backup."
        )
    if len({key.id for key in keys}) != len(keys):
        raise KeyProblem("Two master keys have the same id. Remove one of the lines.")
    return keys


def _parse_line(line: str) -> MasterKey:
    key_id, separator, encoded = line.rpartition(":")
    try:
        secret = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except ValueError:
        raise KeyProblem("A master key is not base64url. Each line is `id:key`.") from None
    if len(secret) < MINIMUM_BYTES or len(set(secret)) < MINIMUM_DISTINCT_BYTES:
        raise KeyProblem(
            f"A master key is weak: it needs {MINIMUM_BYTES} random bytes. Make one with `latchstring keys rotate`."
        )
    if not separator:
        key_id = hashlib.sha256(b"latchstring key id" + secret).hexdigest()[:8]
    if not key_id.isalnum() or len(key_id) > 32:  # noqa: PLR2004
        raise KeyProblem("The id of a master key has letters and digits only, 32 at most.")
    return MasterKey(key_id, secret)


def format_keys(keys: tuple[MasterKey, ...]) -> str:
    """Format keys as the text that `parse_keys` reads."""
    return "".join(f"{key.id}:{base64.urlsafe_b64encode(key.secret).decode().rstrip('=')}\n" for key in keys)


def write_key_file(path: Path, keys: tuple[MasterKey, ...]) -> None:
    """Replace the key file atomically. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    # Created with mode 0600, not changed to it later: no other user can open the file in between. O_EXCL does not
    # follow a symbolic link that another user created under this name.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(format_keys(keys))
        file.flush()
        os.fsync(file.fileno())  # the content is on disk before the rename: a crash never leaves an empty key file
    temporary.replace(path)


def create_key_file(path: Path) -> None:
    """Create a key file with a new key unless the file exists. Raises OSError.

    If two processes start at the same time, both use the key of the first.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_key_file(temporary, (new_master_key(),))
    try:
        os.link(temporary, path)  # fails if the file exists; a rename would replace the key of the other process
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


class Keyring:
    """The keys in use. Reloads its file, so that a rotation reaches running processes within a second."""

    def __init__(
        self, keys: tuple[MasterKey, ...], *, path: Path | None = None, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self._keys = keys
        self._path = path
        self._ticks = ticks
        self._checked_at = ticks()
        self._file_stamp = _read_file_stamp(path) if path else None
        self._lock = threading.Lock()

    @classmethod
    def from_file(cls, path: Path) -> "Keyring":
        """Read a key file. Raises KeyProblem if its content is invalid, OSError if it cannot be read."""
        return cls(parse_keys(path.read_text()), path=path)

    @property
    def keys(self) -> tuple[MasterKey, ...]:
        """All keys, newest first."""
        if self._path is not None and self._ticks() - self._checked_at >= RELOAD_SECONDS:
            self._reload(self._path)
        return self._keys

    @property
    def current(self) -> MasterKey:
        return self.keys[0]

    def find(self, key_id: str) -> MasterKey | None:
        return next((key for key in self.keys if key.id == key_id), None)

    def fingerprint(self, data: bytes) -> bytes:
        """Return a keyed digest. Without the master key it cannot be used to guess the data, unlike a plain hash."""
        return _request_digest(self.current, data)

    def is_fingerprint(self, digest: bytes, data: bytes) -> bool:
        """Whether the digest was made from this data with any key in use. Compares in constant time."""
        return any(hmac.compare_digest(digest, _request_digest(key, data)) for key in self.keys)

    def _reload(self, path: Path) -> None:
        with self._lock:
            self._checked_at = self._ticks()
            try:
                stamp = _read_file_stamp(path)
                if stamp != self._file_stamp:
                    self._keys = parse_keys(path.read_text())
                    self._file_stamp = stamp
            except (OSError, KeyProblem):
                return  # the file is missing or being changed; continue with the keys in memory


def _request_digest(key: MasterKey, data: bytes) -> bytes:
    return hmac.digest(key.derive("request-fingerprint"), data, "sha256")


def _read_file_stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
