"""Administrator accounts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, case, insert, literal_column, select, update

from latchstring.domain.account import SUPER_ADMIN, Admin
from latchstring.storage.engine.database import Database, Row, Step, Work, step
from latchstring.storage.engine.tables import admins
from latchstring.storage.engine.types import Id, Instant

LIST_LIMIT = 1000  # administrators are people of one organisation, so the list has no pages

_a = admins.c
ADMIN_COLUMNS = tuple(column for column in _a if column.name != "totp_last_step")
_INSERT = insert(admins).values({c.name: bindparam(c.name, type_=c.type) for c in admins.columns})
_IS_THIS = _a.id == bindparam("admin_id", type_=Id)
_BY_ID = select(*ADMIN_COLUMNS).where(_IS_THIS)
_LOCK_BY_ID = _BY_ID.with_for_update()
_BY_EMAIL_KEY = select(*ADMIN_COLUMNS).where(_a.email_key == bindparam("email_key", type_=_a.email_key.type))
_LIST = select(*ADMIN_COLUMNS).order_by(_a.email_key).limit(literal_column(str(LIST_LIMIT)))
# A transaction that could remove a super-admin locks all of them, in one order, so that the second of two concurrent
# transactions sees the result of the first. Accounts without a password cannot sign in and do not count.
_LOCK_SUPER_ADMINS = (
    select(_a.id)
    .where(
        _a.role == literal_column(f"'{SUPER_ADMIN}'"),
        _a.deactivated_at.is_(None),
        _a.password_hash.is_not(None),
    )
    .order_by(_a.id)
    .with_for_update()
)
_SET_PASSWORD = (
    update(admins)
    .where(_IS_THIS, _a.deactivated_at.is_(None), _a.link_generation == bindparam("generation"))
    .values(password_hash=bindparam("new_hash"), link_generation=_a.link_generation + 1)
    .returning(_a.id)
)
_CHANGE_PASSWORD = (
    update(admins)
    .where(_IS_THIS, _a.deactivated_at.is_(None), _a.password_hash == bindparam("verified_hash"))
    .values(password_hash=bindparam("new_hash"), link_generation=_a.link_generation + 1)
    .returning(_a.id)
)
_NEXT_LINK = (
    update(admins)
    .where(_IS_THIS, _a.deactivated_at.is_(None))
    .values(link_generation=_a.link_generation + 1)
    .returning(*ADMIN_COLUMNS)
)
_SET_ROLE = update(admins).where(_IS_THIS).values(role=bindparam("new_role")).returning(_a.id)
_SET_DEACTIVATED = (
    update(admins)
    .where(_IS_THIS)
    # earlier set-up links become invalid, also after a reactivation
    .values(deactivated_at=bindparam("new_deactivated_at", type_=Instant), link_generation=_a.link_generation + 1)
    .returning(_a.id)
)
_SET_PROFILE = (
    update(admins)
    .where(_IS_THIS)
    .values(name=bindparam("new_name"), locale=bindparam("new_locale", type_=_a.locale.type))
    .returning(_a.id)
)
_NOW = bindparam("at", type_=Instant)
_NOTE_LOGIN = (
    update(admins)
    .where(_IS_THIS, _a.deactivated_at.is_(None), _a.password_hash == bindparam("verified_hash"))
    .values(
        password_hash=bindparam("kept_hash"),
        # with a second factor the login is not complete yet
        last_login_at=case((_a.totp_confirmed_at.is_(None), _NOW), else_=_a.last_login_at),
    )
    .returning(*ADMIN_COLUMNS)
)


def admin_of(row: Row) -> Admin:
    """Convert a row of ADMIN_COLUMNS."""
    return Admin(
        id=row.id,
        email=row.email,
        email_key=row.email_key,
        name=row.name,
        role=row.role,
        password_hash=row.password_hash,
        link_generation=row.link_generation,
        deactivated_at=row.deactivated_at,
        locale=row.locale,
        last_login_at=row.last_login_at,
        totp_secret=None if row.totp_secret is None else bytes(row.totp_secret),
        totp_confirmed_at=row.totp_confirmed_at,
    )


def _first(rows: Sequence[Row]) -> Admin | None:
    return admin_of(rows[0]) if rows else None


def _values(admin: Admin) -> dict[str, Any]:
    return {
        "id": admin.id,
        "email_key": admin.email_key,
        "email": admin.email,
        "name": admin.name,
        "role": admin.role,
        "password_hash": admin.password_hash,
        "link_generation": admin.link_generation,
        "deactivated_at": admin.deactivated_at,
        "locale": admin.locale,
        "last_login_at": admin.last_login_at,
        "totp_secret": admin.totp_secret,
        "totp_confirmed_at": admin.totp_confirmed_at,
        "totp_last_step": None,
    }


def insert_admin(admin: Admin) -> Step:
    """Insert an administrator. Raises UniqueViolation for an address that is in use."""
    return step(_INSERT, **_values(admin))


async def find_admin(db: Database, admin_id: UUID) -> Admin | None:
    return _first(await db.fetch(_BY_ID, admin_id=admin_id))


async def find_admin_by_email_key(db: Database, email_key: str) -> Admin | None:
    return _first(await db.fetch(_BY_EMAIL_KEY, email_key=email_key))


async def list_admins(db: Database) -> tuple[Admin, ...]:
    """Return every administrator, sorted by address."""
    return tuple(admin_of(row) for row in await db.fetch(_LIST))


def lock_admin(admin_id: UUID) -> Work[Admin | None]:
    """Return an administrator and lock the row until the transaction ends."""
    return _first((yield step(_LOCK_BY_ID, admin_id=admin_id)))


def lock_super_admins() -> Work[frozenset[UUID]]:
    """Return the super-admins who can sign in, and lock their rows until the transaction ends."""
    return frozenset(row.id for row in (yield step(_LOCK_SUPER_ADMINS)))


def set_admin_password(admin_id: UUID, *, generation: int, password_hash: str) -> Step:
    """Set a password and use up the set-up link. Returns a row the first time for a generation, none afterwards."""
    return step(_SET_PASSWORD, admin_id=admin_id, generation=generation, new_hash=password_hash)


def change_admin_password(admin_id: UUID, *, verified_hash: str, password_hash: str) -> Step:
    """Replace a verified password. Returns no row when it was changed meanwhile."""
    return step(_CHANGE_PASSWORD, admin_id=admin_id, verified_hash=verified_hash, new_hash=password_hash)


def increment_link_generation(admin_id: UUID) -> Step:
    """Invalidate earlier set-up links and return the row with the generation of the next. No row if deactivated."""
    return step(_NEXT_LINK, admin_id=admin_id)


def set_admin_role(admin_id: UUID, role: str) -> Step:
    return step(_SET_ROLE, admin_id=admin_id, new_role=role)


def set_admin_deactivated(admin_id: UUID, deactivated_at: datetime | None) -> Step:
    """Deactivate an administrator, or reactivate with None."""
    return step(_SET_DEACTIVATED, admin_id=admin_id, new_deactivated_at=deactivated_at)


def set_admin_profile(admin_id: UUID, *, name: str, locale: str | None) -> Step:
    return step(_SET_PROFILE, admin_id=admin_id, new_name=name, new_locale=locale)


def record_admin_login(admin_id: UUID, *, verified_hash: str, kept_hash: str, now: datetime) -> Step:
    """Record a login and return the row. No row if deactivated, or if the password changed since it was verified."""
    return step(_NOTE_LOGIN, admin_id=admin_id, verified_hash=verified_hash, kept_hash=kept_hash, at=now)
