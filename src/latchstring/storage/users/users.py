"""User accounts."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, Text, bindparam, delete, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import Executable
from sqlalchemy.sql.compiler import SQLCompiler

from latchstring.domain.account import User
from latchstring.domain.errors import EmailTaken, ExternalIdTaken, LatchstringError
from latchstring.storage.engine.database import Database, Row, Step, UniqueViolation, Work, step
from latchstring.storage.engine.tables import group_members, groups, users
from latchstring.storage.engine.types import Instant, any_of
from latchstring.storage.lists.prefix_search import fold_name


class joined_by_comma(ColumnElement[str]):  # noqa: N801  # reads as a function in statements
    """All values of a column as one text. SQLAlchemy's own function binds its separator, which the driver cannot do."""

    inherit_cache = False
    type = Text()

    def __init__(self, column: ColumnElement[str]) -> None:
        self.column = column


@compiles(joined_by_comma, "postgresql")
def _joined_on_postgres(element: joined_by_comma, compiler: SQLCompiler, **kw: Any) -> str:
    return f"string_agg({compiler.process(element.column, **kw)}, ',')"


@compiles(joined_by_comma, "sqlite")
def _joined_on_sqlite(element: joined_by_comma, compiler: SQLCompiler, **kw: Any) -> str:
    return f"group_concat({compiler.process(element.column, **kw)}, ',')"


# Keys contain no comma. One value per row keeps the read at one statement and one row on both databases.
GROUP_KEYS = (
    select(joined_by_comma(groups.c.key))
    .select_from(group_members.join(groups, groups.c.id == group_members.c.group_id))
    .where(group_members.c.user_id == users.c.id)
    .correlate(users)
    .scalar_subquery()
    .label("group_keys")
)
USER_COLUMNS: tuple[ColumnElement[Any], ...] = (
    *(column for column in users.columns if not column.name.startswith("search_")),
    GROUP_KEYS,
)


def user_of(row: Row) -> User:
    """Convert a row of USER_COLUMNS."""
    return User(
        id=row.id,
        email=row.email,
        email_key=row.email_key,
        first_name=row.first_name,
        last_name=row.last_name,
        email_verified=row.email_verified,
        external_id=row.external_id,
        role=row.role,
        locale=row.locale,
        blocked=row.blocked,
        password_hash=row.password_hash,
        link_generation=row.link_generation,
        terms_version=row.terms_version,
        terms_accepted_at=row.terms_accepted_at,
        last_login_at=row.last_login_at,
        groups=tuple(sorted(row.group_keys.split(","))) if row.group_keys else (),
    )


def _first(rows: Sequence[Row]) -> User | None:
    return user_of(rows[0]) if rows else None


# ---- queries ---------------------------------------------------------------------------------------------------------


def _user_by(condition: ColumnElement[bool]) -> Select[Any]:
    return select(*USER_COLUMNS).where(condition)


_BY_ID = _user_by(users.c.id == bindparam("id", type_=users.c.id.type))
_BY_EMAIL_KEY = _user_by(users.c.email_key == bindparam("email_key", type_=users.c.email_key.type))
_BY_EXTERNAL_ID = _user_by(users.c.external_id == bindparam("external_id", type_=users.c.external_id.type))
# NO KEY UPDATE: memberships and sessions that reference the row can still be inserted meanwhile
_LOCK_BY_ID = _BY_ID.with_for_update(key_share=True, of=users)
_SHARE_LOCK = (
    select(users.c.id).where(any_of(users.c.id, "ids")).order_by(users.c.id).with_for_update(read=True, key_share=True)
)


async def find_user(db: Database, user_id: UUID) -> User | None:
    return _first(await db.fetch(_BY_ID, id=user_id))


async def find_user_by_email_key(db: Database, email_key: str) -> User | None:
    return _first(await db.fetch(_BY_EMAIL_KEY, email_key=email_key))


async def find_user_by_external_id(db: Database, external_id: str) -> User | None:
    return _first(await db.fetch(_BY_EXTERNAL_ID, external_id=external_id))


def load_user(user_id: UUID) -> Work[User | None]:
    """Return a user inside a transaction."""
    return _first((yield step(_BY_ID, id=user_id)))


def lock_user(user_id: UUID) -> Work[User | None]:
    """Return a user and lock the row until the transaction ends."""
    return _first((yield step(_LOCK_BY_ID, id=user_id)))


def share_lock_users(ids: Iterable[UUID]) -> Work[set[UUID]]:
    """Return the ids of existing users, locked against deletion until the commit."""
    rows = yield step(_SHARE_LOCK, ids=sorted(set(ids)))
    return {row.id for row in rows}


# ---- changes ---------------------------------------------------------------------------------------------------------

INSERT_USER = insert(users).values({column.name: bindparam(column.name, type_=column.type) for column in users.columns})
_PROFILE = (
    "email", "email_key", "email_verified", "external_id", "first_name", "last_name", "search_name",
    "search_last_name", "role", "locale", "blocked", "password_hash", "link_generation", "terms_version",
    "terms_accepted_at",
)  # fmt: skip
_IS_THIS = users.c.id == bindparam("user_id", type_=users.c.id.type)
UPDATE_USER = (
    update(users)
    .where(_IS_THIS)
    .values({name: bindparam(f"new_{name}", type_=users.c[name].type) for name in _PROFILE})
    .returning(users.c.id)
)
_DELETE = delete(users).where(_IS_THIS).returning(users.c.id)


def user_values(user: User) -> dict[str, Any]:
    """Return the column values of a user."""
    return {
        "id": user.id,
        "email_key": user.email_key,
        "email": user.email,
        "email_verified": user.email_verified,
        "external_id": user.external_id,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "search_name": fold_name(user.name),
        "search_last_name": fold_name(user.last_name),
        "role": user.role,
        "locale": user.locale,
        "blocked": user.blocked,
        "password_hash": user.password_hash,
        "link_generation": user.link_generation,
        "terms_version": user.terms_version,
        "terms_accepted_at": user.terms_accepted_at,
        "last_login_at": user.last_login_at,
    }


def insert_user(user: User) -> Step:
    """Insert a user without memberships. Raises UniqueViolation for an address or external id that is in use."""
    return step(INSERT_USER, **user_values(user))


def update_user(user: User) -> Step:
    """Store every field of a user except groups and the last login. Lock the row before reading it."""
    values = user_values(user)
    return step(UPDATE_USER, user_id=user.id, **{f"new_{name}": values[name] for name in _PROFILE})


def delete_user(user_id: UUID) -> Step:
    """Delete a user with the sessions and memberships. Returns a row when the user existed."""
    return step(_DELETE, user_id=user_id)


def translate_violation(violation: UniqueViolation) -> LatchstringError | None:
    """Return the domain error for a unique constraint of users; None for other constraints."""
    if violation.constraint == "uq_users_email_key":
        return EmailTaken("Another account has this address.")
    if violation.constraint == "uq_users_external_id":
        return ExternalIdTaken("Another account has this external id.")
    return None


# ---- conditional updates ---------------------------------------------------------------------------------------------

_NOTE_LOGIN = (
    update(users)
    .where(
        _IS_THIS,
        users.c.blocked.is_(False),
        users.c.password_hash == bindparam("verified_hash"),
    )
    .values(last_login_at=bindparam("at", type_=Instant), password_hash=bindparam("kept_hash"))
    .returning(users.c.id)
)
_SET_PASSWORD = (
    update(users)
    .where(
        _IS_THIS,
        users.c.blocked.is_(False),
        users.c.link_generation == bindparam("generation"),
    )
    .values(
        password_hash=bindparam("new_hash"),
        link_generation=users.c.link_generation + 1,
        email_verified=text("true"),
    )
    .returning(users.c.id)
)
_VERIFY_EMAIL = (
    update(users)
    .where(
        _IS_THIS,
        users.c.blocked.is_(False),
        users.c.email_verified.is_(False),
        users.c.link_generation == bindparam("generation"),
    )
    .values(email_verified=text("true"), link_generation=users.c.link_generation + 1)
    .returning(users.c.id)
)


def record_login(user_id: UUID, *, verified_hash: str, kept_hash: str, now: datetime) -> Step:
    """Record a login. Returns no row when the account was blocked or its password changed since it was verified."""
    return step(_NOTE_LOGIN, user_id=user_id, verified_hash=verified_hash, kept_hash=kept_hash, at=now)


def set_password(user_id: UUID, *, generation: int, password_hash: str) -> Step:
    """Set a password and use up the reset link. Returns a row the first time for a generation, none afterwards."""
    return step(_SET_PASSWORD, user_id=user_id, generation=generation, new_hash=password_hash)


def verify_email(user_id: UUID, *, generation: int) -> Step:
    """Verify an address and use up the link. Returns a row the first time for a generation, none afterwards."""
    return step(_VERIFY_EMAIL, user_id=user_id, generation=generation)


# ---- memberships -----------------------------------------------------------------------------------------------------


def _join(dialect_insert: Callable[[Table], Any]) -> Executable:
    chosen = select(bindparam("user_id", type_=group_members.c.user_id.type), groups.c.id).where(
        any_of(groups.c.id, "group_ids")
    )
    statement: Executable = (
        dialect_insert(group_members)
        .from_select(["user_id", "group_id"], chosen)
        .on_conflict_do_nothing(index_elements=list(group_members.primary_key))
        .returning(group_members.c.group_id)
    )
    return statement


JOIN_GROUPS = {"postgresql": _join(postgresql.insert), "sqlite": _join(sqlite.insert)}
_LEAVE = (
    delete(group_members)
    .where(group_members.c.user_id == bindparam("user_id"), any_of(group_members.c.group_id, "group_ids"))
    .returning(group_members.c.group_id)
)


def join_groups(dialect_name: str, user_id: UUID, group_ids: Sequence[UUID]) -> Step:
    """Add a user to the groups that still exist. Returns the groups that the user was not in before."""
    return step(JOIN_GROUPS[dialect_name], user_id=user_id, group_ids=group_ids)


def leave_groups(user_id: UUID, group_ids: Sequence[UUID]) -> Step:
    """End memberships. Returns the groups that the user was in."""
    return step(_LEAVE, user_id=user_id, group_ids=group_ids)
