"""API keys. A key is `lsk_`, 256 random bits and a CRC-32, all base62; the database stores its digest.

The checksum lets scanners of leaked secrets recognize keys, and lets us refuse a mistyped key without a query. It is
no proof of authenticity.
"""

import hashlib
import secrets
import string
import zlib
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, func, insert, select, true, update

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
_CHECKSUM_LENGTH = 6  # 62**6 > 2**32
_LENGTH = len(PREFIX) + _RANDOM_LENGTH + _CHECKSUM_LENGTH


@dataclass(frozen=True, slots=True)
class NewApiKeySecret:
    """A new key: the token, which is shown once, and its digest, which is stored."""

    token: str = field(repr=False)
    digest: bytes


def new_api_key_secret() -> NewApiKeySecret:
    """Create the secret of a key."""
    body = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    token = body + _checksum(body)
    return NewApiKeySecret(token, digest_key(token))


def has_key_format(token: str) -> bool:
    """Whether a token has the format of a key, including the checksum. The key need not exist."""
    return (
        len(token) == _LENGTH
        and token.isascii()
        and token.startswith(PREFIX)
        and token.endswith(_checksum(token[:-_CHECKSUM_LENGTH]))
    )


def digest_key(token: str) -> bytes:
    """Return the stored digest of a key. An unsalted hash is enough for 256 random bits."""
    return hashlib.sha256(token.encode()).digest()


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
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
_IS_VALID = select(api_keys.c.id).where(
    api_keys.c.id == bindparam("api_key_id", type_=Id),
    api_keys.c.revoked_at.is_(None),
    func.coalesce(api_keys.c.expires_at > bindparam("now", type_=Instant), true()),
)
_HOLD_VALID = _IS_VALID.with_for_update(read=True)
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
    """Return the key of a digest, unless it was revoked or has expired."""
    rows = await db.fetch(_FIND_LIVE, key_digest=digest, at=now)
    return api_key_of(rows[0]) if rows else None


async def find_key(db: Database, key_id: UUID) -> ApiKey | None:
    """Return a key, unless it was revoked. Expired keys are included."""
    rows = await db.fetch(_BY_ID, key_id=key_id)
    return api_key_of(rows[0]) if rows else None


def load_key_validity(key_id: UUID | None, *, now: datetime, hold: bool = False) -> Work[bool]:
    """Whether an API key may still be used, as the transaction sees it. hold: lock it until the commit."""
    return bool((yield step(_HOLD_VALID if hold else _IS_VALID, api_key_id=key_id, now=now)))


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
    """Revoke a key. Returns False when it does not exist or was already revoked."""
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
    """Return a page of the keys that were not revoked, including expired ones. Order: createdAt."""
    query = KeysetQuery((), {}, [Scan("all", is_exact=True)])
    return await _KEYS.page(db, query, order=order, cursor=cursor, limit=limit)
