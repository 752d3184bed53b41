"""The installation that a database belongs to, and the fingerprints of the master keys it was used with."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, insert, literal_column, select, update

from latchstring.crypto.keyring import KeyProblem, Keyring, MasterKey
from latchstring.domain.ids import new_id
from latchstring.storage.engine.database import Database, Step, UniqueViolation, Work, step
from latchstring.storage.engine.tables import installation, master_keys
from latchstring.storage.engine.types import any_of

_FIND = select(installation.c.id)
_INSERT = insert(installation).values(
    one=literal_column("1"),
    id=bindparam("id", type_=installation.c.id.type),
    created_at=bindparam("created_at", type_=installation.c.created_at.type),
)
_LIST_KEYS = select(master_keys.c.id, master_keys.c.fingerprint, master_keys.c.compromised_at)
_INSERT_KEY = insert(master_keys).values(
    id=bindparam("id", type_=master_keys.c.id.type),
    fingerprint=bindparam("fingerprint", type_=master_keys.c.fingerprint.type),
    created_at=bindparam("created_at", type_=master_keys.c.created_at.type),
)
_now = bindparam("now", type_=master_keys.c.retired_at.type)
_RETIRE = update(master_keys).where(any_of(master_keys.c.id, "ids")).values(retired_at=_now)
_MARK_COMPROMISED = _RETIRE.values(compromised_at=_now)


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A master key this database was used with. The fingerprint reveals nothing about the key."""

    id: str
    fingerprint: bytes


async def find_known_keys(db: Database) -> tuple[KnownKey, ...]:
    """Return every master key this database was ever used with."""
    rows = await db.fetch(_LIST_KEYS)
    return tuple(KnownKey(row.id, bytes(row.fingerprint)) for row in rows)


async def ensure_installation(db: Database, keyring: Keyring, now: datetime) -> UUID:
    """Return the id of this installation. The first start creates it and records its master keys.

    Raises KeyProblem when the database belongs to another master key, or the signing key was marked as compromised. A
    new key beside a known one is recorded: that is how keys are rotated.
    """
    new_installation_id = new_id(now)
    try:
        return await db.transact(lambda: _ensure(keyring.keys, new_installation_id, now))
    except UniqueViolation:  # another process was first: compare with its keys
        return await db.transact(lambda: _ensure(keyring.keys, new_installation_id, now))


def _ensure(keys: tuple[MasterKey, ...], new_installation_id: UUID, now: datetime) -> Work[UUID]:
    installations = yield step(_FIND)
    rows = yield step(_LIST_KEYS)
    known = {bytes(row.fingerprint): row.compromised_at is not None for row in rows}
    if installations:
        _check(keys, known)
    else:
        yield step(_INSERT, id=new_installation_id, created_at=now)
    for key in keys:
        if key.fingerprint not in known:
            yield record_key(key, now)
    return installations[0].id if installations else new_installation_id


def _check(keys: tuple[MasterKey, ...], known: dict[bytes, bool]) -> None:
    if known.get(keys[0].fingerprint, False):
        raise KeyProblem(f"Key {keys[0].id} was revoked as compromised. Use the key file that replaced it.")
    if known and not any(key.fingerprint in known for key in keys):
        raise KeyProblem(
            "This database belongs to another master key. Restore the key file it was used with; "
            "to start afresh, name an empty database."
        )


def record_key(key: MasterKey, now: datetime) -> Step:
    """Record that this database is used with a key."""
    return step(_INSERT_KEY, id=key.id, fingerprint=key.fingerprint, created_at=now)


def retire_keys(ids: Iterable[str], *, now: datetime, compromised: bool = False) -> Step:
    """Mark keys as retired. Compromised keys can never sign again."""
    return step(_MARK_COMPROMISED if compromised else _RETIRE, ids=list(ids), now=now)
