"""API keys. A key is `lsk_`, 256 random bits and a CRC-32, all base62; the database holds a digest of it.

The tail lets a scanner of leaked secrets tell a key from chance, and lets us refuse a mistyped one without a read. It
proves nothing.
"""

import hashlib
import secrets
import string
import zlib
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.api_key import ApiKey
from latchstring.domain.pagination import Cursor, Page, SortOrder
from latchstring.storage.engine.database import Database, Row, Step, Work, step
from latchstring.storage.engine.tables import api_keys
from latchstring.storage.engine.types import Digest, Id, Instant
from latchstring.storage.lists.declaration import KeysetQuery, ListDeclaration, Scan
from latchstring.storage.lists.index_scan import IndexScan
from latchstring.storage.lists.keyset import KeysetList

PREFIX = "lsk_"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_LENGTH = 43  # 62**43 > 2**256
_TAIL_LENGTH = 6  # 62**6 > 2**32
_LENGTH = len(PREFIX) + _RANDOM_LENGTH + _TAIL_LENGTH


@dataclass(frozen=True, slots=True)
class NewKeyText:
    """A fresh key: the text, shown once, and the digest that stays."""

    text: str = field(repr=False)
    digest: bytes


def new_key_text() -> NewKeyText:
    """Make the secret of a key."""
    body = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    text = body + _tail(body)
    return NewKeyText(text, digest_key(text))


def is_key_text(text: str) -> bool:
    """Whether the text has the form of a key, tail included. Says nothing of its being one."""
    return (
        len(text) == _LENGTH
        and text.isascii()
        and text.startswith(PREFIX)
        and text.endswith(_tail(text[:-_TAIL_LENGTH]))
    )


def digest_key(text: str) -> bytes:
    """What the database knows a key by. A plain digest is enough for 256 random bits."""
    return hashlib.sha256(text.encode()).digest()


def _tail(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_TAIL_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


_COLUMNS = tuple(column for column in api_keys.columns if column.name not in {"digest", "revoked_at"})
_INSERT = insert(api_keys).values({c.name: bindparam(c.name, type_=c.type) for c in api_keys.columns})
_FIND_LIVE = select(*_COLUMNS).where(
    api_keys.c.digest == bindparam("key_digest", type_=Digest),
    api_keys.c.revoked_at.is_(None),
    (api_keys.c.expires_at.is_(None)) | (api_keys.c.expires_at > bindparam("at", type_=Instant)),
)
_BY_ID = select(*_COLUMNS).where(api_keys.c.id == bindparam("key_id", type_=Id), api_keys.c.revoked_at.is_(None))
_REVOKE = (
    update(api_keys)
    .where(api_keys.c.id == bindparam("key_id", type_=Id), api_keys.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("at", type_=Instant))
    .returning(api_keys.c.id)
)


def api_key_of(row: Row) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        scopes=frozenset(row.scopes),
        may_grant=frozenset(row.may_grant),
        may_grant_groups=frozenset(row.may_grant_groups),
        created_by=Actor(ActorType(row.made_by_type), row.made_by_id),
        expires_at=row.expires_at,
    )


async def find_live_key(db: Database, digest: bytes, *, now: datetime) -> ApiKey | None:
    """The key of a digest unless it was revoked or has run out."""
    rows = await db.fetch(_FIND_LIVE, key_digest=digest, at=now)
    return api_key_of(rows[0]) if rows else None


async def find_key(db: Database, key_id: UUID) -> ApiKey | None:
    """The key unless it was revoked; one that has run out is still told."""
    rows = await db.fetch(_BY_ID, key_id=key_id)
    return api_key_of(rows[0]) if rows else None


def insert_key(key: ApiKey, digest: bytes) -> Step:
    return step(
        _INSERT,
        id=key.id,
        name=key.name,
        digest=digest,
        scopes=sorted(key.scopes),
        may_grant=sorted(key.may_grant),
        may_grant_groups=sorted(key.may_grant_groups),
        made_by_type=key.created_by.type.value,
        made_by_id=key.created_by.id,
        expires_at=key.expires_at,
        revoked_at=None,
    )


def revoke_key(key_id: UUID, *, now: datetime) -> Work[bool]:
    """Whether the key was in force until now."""
    rows = yield step(_REVOKE, key_id=key_id, at=now)
    return bool(rows)


_KEYS: KeysetList[ApiKey] = KeysetList(
    ListDeclaration(
        table=api_keys,
        columns=_COLUMNS,
        id_=api_keys.c.id,
        read=api_key_of,
        orders={"createdAt": lambda key: [key.id]},
        scans=lambda _: {"all": IndexScan([api_keys.c.id], where=[api_keys.c.revoked_at.is_(None)])},
    )
)


async def list_keys(db: Database, *, order: SortOrder, cursor: Cursor | None = None, limit: int) -> Page[ApiKey]:
    """A page of the keys that were not revoked; expired ones are among them. Order: createdAt."""
    query = KeysetQuery((), {}, [Scan("all", is_exact=True)])
    return await _KEYS.page(db, query, order=order, cursor=cursor, limit=limit)
