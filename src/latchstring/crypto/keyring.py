"""The master keys of an installation and what is derived from them.

The file holds a line a key, newest first: `<id>:<base64url of 32 bytes or more>`. The newest signs; the others only
verify, so keys rotate with overlap. Derived keys come by HKDF-SHA-256 (RFC 5869), each under a name of its own, so that
a signature made for one purpose means nothing for another.
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

MINIMUM_BYTES = 32
MINIMUM_DISTINCT_BYTES = 12  # 32 random bytes have fewer than this many different ones about once in 10^13 keys
RELOAD_SECONDS = 1.0


class KeyProblem(Exception):
    """A master key that must not be used; the text says what to do."""


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One master key. `id` is public, the rest is not, and is kept out of every representation."""

    id: str
    secret: bytes = field(repr=False)

    @property
    def fingerprint(self) -> bytes:
        """What a database remembers of a key, to notice another one: reveals nothing of it."""
        return self.derive("fingerprint")

    def derive(self, purpose: str) -> bytes:
        """32 bytes that belong to this purpose alone."""
        return _derive(self.secret, purpose)


@lru_cache(maxsize=256)
def _derive(secret: bytes, purpose: str) -> bytes:
    return HKDF(hashes.SHA256(), length=32, salt=None, info=f"latchstring/{purpose}/v1".encode()).derive(secret)


def new_master_key() -> MasterKey:
    """256 fresh bits from the operating system."""
    secret = secrets.token_bytes(32)
    return MasterKey(hashlib.sha256(b"latchstring key id" + secret).hexdigest()[:8], secret)


def parse_keys(text: str) -> tuple[MasterKey, ...]:
    """Read key lines, newest first. Raises KeyProblem for anything malformed, repeated or weak."""
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
    """The text `parse_keys` reads."""
    return "".join(f"{key.id}:{base64.urlsafe_b64encode(key.secret).decode().rstrip('=')}\n" for key in keys)


def write_key_file(path: Path, keys: tuple[MasterKey, ...]) -> None:
    """Replace the key file at once, readable by its owner only. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(format_keys(keys))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def create_key_file(path: Path) -> None:
    """Make a first key unless a file is there; two starts at once agree on one. Raises OSError."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_key_file(draft, (new_master_key(),))
    try:
        os.link(draft, path)  # fails when somebody was first, unlike rename
    except FileExistsError:
        pass
    finally:
        draft.unlink()


class Keyring:
    """The keys in use. Follows its file, so that a rotation reaches running processes within a second."""

    def __init__(
        self, keys: tuple[MasterKey, ...], *, path: Path | None = None, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self._keys = keys
        self._path = path
        self._ticks = ticks
        self._checked = ticks()
        self._stamp = _stamp(path) if path else None
        self._lock = threading.Lock()

    @classmethod
    def from_file(cls, path: Path) -> "Keyring":
        """Raises KeyProblem for a bad file, OSError for an unreadable one."""
        return cls(parse_keys(path.read_text()), path=path)

    @property
    def keys(self) -> tuple[MasterKey, ...]:
        """All keys, newest first."""
        if self._path is not None and self._ticks() - self._checked >= RELOAD_SECONDS:
            self._reload(self._path)
        return self._keys

    @property
    def current(self) -> MasterKey:
        return self.keys[0]

    def find(self, key_id: str) -> MasterKey | None:
        return next((key for key in self.keys if key.id == key_id), None)

    def fingerprint(self, data: bytes) -> bytes:
        """A keyed digest of a request, which says nothing of its content to who holds the database alone."""
        return _request_digest(self.current, data)

    def is_fingerprint(self, digest: bytes, data: bytes) -> bool:
        """Whether the digest is this data's under any key in use."""
        return any(hmac.compare_digest(digest, _request_digest(key, data)) for key in self.keys)

    def _reload(self, path: Path) -> None:
        with self._lock:
            self._checked = self._ticks()
            try:
                stamp = _stamp(path)
                if stamp != self._stamp:
                    self._keys = parse_keys(path.read_text())
                    self._stamp = stamp
            except (OSError, KeyProblem):
                return  # a file in the middle of a change or gone: the keys in memory stay good


def _request_digest(key: MasterKey, data: bytes) -> bytes:
    return hmac.digest(key.derive("request-fingerprint"), data, "sha256")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
