"""The present name of who acted: looked up whenever it is shown, for names change and can be erased."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, case, or_, select

from latchstring.domain.values import Actor, ActorType
from latchstring.storage.engine import Database
from latchstring.storage.tables import admins, api_keys, users
from latchstring.storage.types import Id

OPERATOR_NAME = "Operator"


def name_of(type_: ColumnElement[str], id_: ColumnElement[UUID]) -> ColumnElement[str]:
    """The present name of who acts, by one lookup of the table that holds his kind."""
    user = users.alias()
    key = api_keys.alias()
    admin = admins.alias()
    full_name = user.c.first_name + " " + user.c.last_name
    return case(
        (
            or_(type_ == "USER", type_ == "INVITEE"),
            select(full_name).where(user.c.id == id_).scalar_subquery(),
        ),
        (type_ == "API_KEY", select(key.c.name).where(key.c.id == id_).scalar_subquery()),
        (type_ == "ADMIN", select(admin.c.name).where(admin.c.id == id_).scalar_subquery()),
        (type_ == "OPERATOR", OPERATOR_NAME),
    )


@dataclass(frozen=True, slots=True)
class Contact:
    """How to reach who acted by mail."""

    email: str
    first_name: str | None = None
    locale: str | None = None


_NAME = select((users.c.first_name + " " + users.c.last_name).label("name")).where(
    users.c.id == bindparam("id", type_=Id)
)
_USER = select(users.c.email, users.c.first_name, users.c.locale).where(
    users.c.id == bindparam("id", type_=Id), users.c.blocked.is_(False)
)
_ADMIN = select(admins.c.email).where(admins.c.id == bindparam("id", type_=Id), admins.c.deactivated_at.is_(None))


async def name_of_user(db: Database, user_id: UUID) -> str | None:
    """What a user is called today; None when there is no such account any more."""
    rows = await db.fetch(_NAME, id=user_id)
    return rows[0].name if rows else None


async def find_contact(db: Database, actor: Actor) -> Contact | None:
    """The address of a user or admin in use; None for everybody else."""
    if actor.type is ActorType.USER:
        rows = await db.fetch(_USER, id=actor.id)
        return Contact(rows[0].email, rows[0].first_name or None, rows[0].locale) if rows else None
    if actor.type is ActorType.ADMIN:
        rows = await db.fetch(_ADMIN, id=actor.id)
        return Contact(rows[0].email) if rows else None
    return None
