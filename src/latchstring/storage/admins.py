"""Accounts of the admin panel."""

from uuid import UUID

from sqlalchemy import bindparam, insert, select, update

from latchstring.domain.account import Admin
from latchstring.storage.engine import Database, Row, Step, Work, step
from latchstring.storage.tables import admins
from latchstring.storage.types import Id

_INSERT = insert(admins).values({c.name: bindparam(c.name, type_=c.type) for c in admins.columns})
_BY_ID = select(admins).where(admins.c.id == bindparam("id", type_=Id))
_BY_EMAIL_KEY = select(admins).where(admins.c.email_key == bindparam("email_key", type_=admins.c.email_key.type))
_SET_PASSWORD = (
    update(admins)
    .where(
        admins.c.id == bindparam("admin_id", type_=Id),
        admins.c.deactivated_at.is_(None),
        admins.c.link_generation == bindparam("generation"),
    )
    .values(password_hash=bindparam("new_hash"), link_generation=admins.c.link_generation + 1)
    .returning(admins.c.id)
)


def _admin_of(row: Row) -> Admin:
    return Admin(
        id=row.id,
        email=row.email,
        email_key=row.email_key,
        name=row.name,
        role=row.role,
        password_hash=row.password_hash,
        link_generation=row.link_generation,
        deactivated_at=row.deactivated_at,
    )


def insert_admin(admin: Admin) -> Step:
    """Keep a new administrator. A taken address is a UniqueViolation."""
    return step(
        _INSERT,
        id=admin.id,
        email_key=admin.email_key,
        email=admin.email,
        name=admin.name,
        role=admin.role,
        password_hash=admin.password_hash,
        link_generation=admin.link_generation,
        deactivated_at=admin.deactivated_at,
    )


async def find_admin(db: Database, admin_id: UUID) -> Admin | None:
    rows = await db.fetch(_BY_ID, id=admin_id)
    return _admin_of(rows[0]) if rows else None


async def find_admin_by_email_key(db: Database, email_key: str) -> Admin | None:
    rows = await db.fetch(_BY_EMAIL_KEY, email_key=email_key)
    return _admin_of(rows[0]) if rows else None


def set_admin_password(admin_id: UUID, *, generation: int, password_hash: str) -> Work[bool]:
    """Use up a set-up link: true for the first who comes with this generation."""
    rows = yield step(_SET_PASSWORD, admin_id=admin_id, generation=generation, new_hash=password_hash)
    return bool(rows)
