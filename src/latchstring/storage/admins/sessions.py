"""Sessions of administrators. The cookie contains 256 random bits; the database stores only their digest."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, delete, false, insert, literal_column, select, update

from latchstring.crypto.opaque_tokens import digest_opaque_token
from latchstring.domain.account import Admin, AdminSession
from latchstring.storage.admins.admins import ADMIN_COLUMNS, admin_of
from latchstring.storage.engine.database import Database, Row, Step, step
from latchstring.storage.engine.tables import admin_sessions, admins
from latchstring.storage.engine.types import Digest, Id, Instant

BATCH = 1000
LIST_LIMIT = 100

_s = admin_sessions.c
_NOW = bindparam("at", type_=Instant)
_IS_THIS = _s.id == bindparam("session_id", type_=Id)
_IS_OF = _s.admin_id == bindparam("of_admin_id", type_=Id)
_LIVE = (_s.ended_at.is_(None), _s.expires_at > _NOW, _s.last_seen_at > bindparam("idle_since", type_=Instant))
_SESSION_COLUMNS = tuple(column for column in _s if column.name not in {"id", "digest", "ended_at"})

_FIND_LIVE = (
    select(*ADMIN_COLUMNS, _s.id.label("session_id"), *_SESSION_COLUMNS)
    .select_from(admin_sessions.join(admins, admins.c.id == _s.admin_id))
    .where(_s.digest == bindparam("token_digest", type_=Digest), *_LIVE, admins.c.deactivated_at.is_(None))
)
_LIST = (
    select(_s.id.label("session_id"), *_SESSION_COLUMNS)
    .where(_IS_OF, *_LIVE)
    .order_by(_s.last_seen_at.desc(), _s.id.desc())
    .limit(literal_column(str(LIST_LIMIT)))
)
_INSERT = insert(admin_sessions).values({c.name: bindparam(c.name, type_=c.type) for c in _s})
_NOTE_USE = (
    update(admin_sessions)
    .where(_IS_THIS, _s.last_seen_at <= bindparam("before", type_=Instant))
    .values(last_seen_at=_NOW)
)
_COMPLETE = (
    update(admin_sessions)
    .where(_IS_THIS, _s.awaits_code, _s.ended_at.is_(None), _s.expires_at > _NOW)
    .values(
        digest=bindparam("new_digest", type_=Digest),
        awaits_code=false(),
        expires_at=bindparam("new_end", type_=Instant),
        last_seen_at=_NOW,
    )
    .returning(_s.id)
)
_ROTATE = (
    update(admin_sessions)
    .where(_IS_THIS, _s.ended_at.is_(None), _s.expires_at > _NOW)
    .values(digest=bindparam("new_digest", type_=Digest))
    .returning(_s.id)
)
_END_OWN = (
    update(admin_sessions).where(_IS_THIS, _IS_OF, _s.ended_at.is_(None)).values(ended_at=_NOW).returning(_s.admin_id)
)
_END_ALL = update(admin_sessions).where(_IS_OF, _s.ended_at.is_(None)).values(ended_at=_NOW).returning(_s.id)
_END_OTHERS = _END_ALL.where(_s.id != bindparam("kept_id", type_=Id))
_PURGE = (
    delete(admin_sessions)
    .where(
        _s.id.in_(
            select(_s.id)
            .where(_s.expires_at < bindparam("over_before", type_=Instant))
            .order_by(_s.expires_at)
            .limit(literal_column(str(BATCH)))
        )
    )
    .returning(_s.id)
)


def _session_of(row: Row) -> AdminSession:
    return AdminSession(
        id=row.session_id,
        admin_id=row.admin_id,
        awaits_code=bool(row.awaits_code),
        expires_at=row.expires_at,
        last_seen_at=row.last_seen_at,
        user_agent=row.user_agent or "",
        network=row.network or "",
    )


async def find_admin_by_session(
    db: Database, token: str, *, now: datetime, idle_since: datetime
) -> tuple[Admin, AdminSession] | None:
    """Return the administrator of a token, with current data, and the session, in one read. None if it has ended."""
    rows = await db.fetch(_FIND_LIVE, token_digest=digest_opaque_token(token), at=now, idle_since=idle_since)
    return (admin_of(rows[0]), _session_of(rows[0])) if rows else None


async def list_admin_sessions(
    db: Database, admin_id: UUID, *, now: datetime, idle_since: datetime
) -> tuple[AdminSession, ...]:
    """Return the live sessions of an administrator, the last used first."""
    rows = await db.fetch(_LIST, of_admin_id=admin_id, at=now, idle_since=idle_since)
    return tuple(_session_of(row) for row in rows)


def insert_admin_session(session: AdminSession, digest: bytes) -> Step:
    return step(
        _INSERT,
        id=session.id,
        admin_id=session.admin_id,
        digest=digest,
        awaits_code=session.awaits_code,
        expires_at=session.expires_at,
        last_seen_at=session.last_seen_at,
        ended_at=None,
        user_agent=session.user_agent,
        network=session.network,
    )


async def record_admin_session_use(db: Database, session_id: UUID, *, before: datetime, now: datetime) -> None:
    """Record that a session is used, unless a use was recorded after `before`."""
    await db.write(_NOTE_USE, session_id=session_id, before=before, at=now)


def complete_admin_session(session_id: UUID, digest: bytes, *, until: datetime, now: datetime) -> Step:
    """Complete a session that awaits its second factor, with a new token. Returns no row when it does not any more."""
    return step(_COMPLETE, session_id=session_id, new_digest=digest, new_end=until, at=now)


def rotate_admin_session(session_id: UUID, digest: bytes, *, now: datetime) -> Step:
    """Replace the token of a session. Returns no row when the session has ended."""
    return step(_ROTATE, session_id=session_id, new_digest=digest, at=now)


def end_admin_session(session_id: UUID, *, admin_id: UUID, now: datetime) -> Step:
    """End a session of this administrator. Returns a row when it was live."""
    return step(_END_OWN, session_id=session_id, of_admin_id=admin_id, at=now)


def end_admin_sessions(admin_id: UUID, *, now: datetime, except_id: UUID | None = None) -> Step:
    """End every session of an administrator, or all but one. Returns the ended sessions.

    Update the administrator's row first, in the same transaction, to block new sessions.
    """
    if except_id is None:
        return step(_END_ALL, of_admin_id=admin_id, at=now)
    return step(_END_OTHERS, of_admin_id=admin_id, at=now, kept_id=except_id)


async def purge_admin_sessions(db: Database, *, before: datetime) -> int:
    """Delete a batch of sessions that expired before `before`. Returns how many."""
    return len(await db.write(_PURGE, over_before=before))
