"""Login sessions and their refresh tokens, which are stored as digests."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, literal_column, select, update

from latchstring.domain.account import User
from latchstring.storage.engine.database import Database, Step, step
from latchstring.storage.engine.tables import refresh_tokens, sessions, users
from latchstring.storage.engine.types import Digest, Id, Instant
from latchstring.storage.users.users import USER_COLUMNS, user_of

BATCH = 1000

_NOW = bindparam("at", type_=Instant)
_SESSION_ID = bindparam("session_id", type_=Id)
_USER_ID = bindparam("user_id", type_=Id)

_LIVE_USER = (
    select(*USER_COLUMNS)
    .select_from(sessions.join(users, users.c.id == sessions.c.user_id))
    .where(
        sessions.c.id == _SESSION_ID,
        sessions.c.user_id == _USER_ID,
        sessions.c.ended_at.is_(None),
        sessions.c.expires_at > _NOW,
        users.c.blocked.is_(False),
    )
)
_USER_BY_TOKEN = (
    select(*USER_COLUMNS, sessions.c.id.label("session_id"))
    .select_from(
        refresh_tokens.join(sessions, sessions.c.id == refresh_tokens.c.session_id).join(
            users, users.c.id == sessions.c.user_id
        )
    )
    .where(
        refresh_tokens.c.digest == bindparam("token_digest", type_=Digest),
        refresh_tokens.c.used_at.is_(None),
        sessions.c.ended_at.is_(None),
        sessions.c.expires_at > _NOW,
        users.c.blocked.is_(False),
    )
)
_INSERT_SESSION = insert(sessions).values(
    id=bindparam("id", type_=Id), user_id=_USER_ID, expires_at=bindparam("expires_at", type_=Instant)
)
_INSERT_TOKEN = insert(refresh_tokens).values(digest=bindparam("digest", type_=Digest), session_id=_SESSION_ID)
_USE_TOKEN = (
    update(refresh_tokens)
    .where(refresh_tokens.c.digest == bindparam("token_digest", type_=Digest), refresh_tokens.c.used_at.is_(None))
    .values(used_at=_NOW)
    .returning(refresh_tokens.c.session_id)
)
_DELETE_USED = delete(refresh_tokens).where(
    refresh_tokens.c.session_id == _SESSION_ID, refresh_tokens.c.used_at < bindparam("used_before", type_=Instant)
)
_PURGE = (
    delete(sessions)
    .where(
        sessions.c.id.in_(
            select(sessions.c.id)
            .where(sessions.c.expires_at < bindparam("over_before", type_=Instant))
            .order_by(sessions.c.expires_at)
            .limit(literal_column(str(BATCH)))
        )
    )
    .returning(sessions.c.id)
)
_FIND_TOKEN = (
    select(refresh_tokens.c.session_id, sessions.c.user_id, sessions.c.ended_at)
    .select_from(refresh_tokens.join(sessions, sessions.c.id == refresh_tokens.c.session_id))
    .where(refresh_tokens.c.digest == bindparam("token_digest", type_=Digest))
)
_PROLONG = (
    update(sessions)
    .where(sessions.c.id == _SESSION_ID, sessions.c.ended_at.is_(None), sessions.c.expires_at > _NOW)
    .values(expires_at=bindparam("new_end", type_=Instant))
    .returning(sessions.c.user_id)
)
_END = (
    update(sessions)
    .where(sessions.c.id == _SESSION_ID, sessions.c.ended_at.is_(None))
    .values(ended_at=_NOW)
    .returning(sessions.c.user_id)
)
_END_ALL = (
    update(sessions)
    .where(sessions.c.user_id == bindparam("of_user_id", type_=Id), sessions.c.ended_at.is_(None))
    .values(ended_at=_NOW)
)


async def find_live_user(db: Database, *, session_id: UUID, user_id: UUID, now: datetime) -> User | None:
    """Return the user of a live session, unless blocked, with the current role and groups, in one read."""
    rows = await db.fetch(_LIVE_USER, session_id=session_id, user_id=user_id, at=now)
    return user_of(rows[0]) if rows else None


async def find_user_by_refresh_token(db: Database, digest: bytes, *, now: datetime) -> tuple[User, UUID] | None:
    """Return the user and the session of a valid refresh token, without using the token up."""
    rows = await db.fetch(_USER_BY_TOKEN, token_digest=digest, at=now)
    return (user_of(rows[0]), rows[0].session_id) if rows else None


def insert_session(session_id: UUID, user_id: UUID, *, expires_at: datetime) -> Step:
    return step(_INSERT_SESSION, id=session_id, user_id=user_id, expires_at=expires_at)


def insert_refresh_token(digest: bytes, session_id: UUID) -> Step:
    return step(_INSERT_TOKEN, digest=digest, session_id=session_id)


def use_refresh_token(digest: bytes, *, now: datetime) -> Step:
    """Use up a refresh token. Returns a row with its session the first time, none afterwards."""
    return step(_USE_TOKEN, token_digest=digest, at=now)


def find_refresh_token(digest: bytes) -> Step:
    """Return the session of a refresh token, used or not."""
    return step(_FIND_TOKEN, token_digest=digest)


def prolong_session(session_id: UUID, *, until: datetime, now: datetime) -> Step:
    """Extend a live session. Returns no row when it has ended."""
    return step(_PROLONG, session_id=session_id, new_end=until, at=now)


def end_session(session_id: UUID, *, now: datetime) -> Step:
    """End a session. Returns a row when it was live."""
    return step(_END, session_id=session_id, at=now)


def end_sessions(user_id: UUID, *, now: datetime) -> Step:
    """End every session of a user. Update the user's row first, in the same transaction, to block new sessions."""
    return step(_END_ALL, of_user_id=user_id, at=now)


def delete_used_tokens(session_id: UUID, *, before: datetime) -> Step:
    """Delete the tokens of a long session that were used so long ago that reuse detection needs them no more."""
    return step(_DELETE_USED, session_id=session_id, used_before=before)


async def purge_sessions(db: Database, *, before: datetime) -> int:
    """Delete a batch of sessions that expired before `before`, with their tokens. Returns how many."""
    return len(await db.write(_PURGE, over_before=before))
