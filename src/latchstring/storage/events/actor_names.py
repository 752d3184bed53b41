"""Current names of actors, looked up for each display because names change and can be erased."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, Text, bindparam, case, literal_column, or_, select, union_all

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.views.audit_log import NamedSubject, SubjectType
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import (
    admins,
    api_keys,
    content,
    groups,
    invitation_templates,
    invitations,
    users,
)
from latchstring.storage.engine.types import Id, any_of

OPERATOR_NAME = "Operator"


def name_of(
    type_: ColumnElement[str], id_: ColumnElement[UUID], *, among_administrators: bool = False
) -> ColumnElement[str]:
    """Return the current name of an actor, with one lookup in the table of its type.

    among_administrators: show an administrator without a name by the address, which only administrators may see.
    """
    user = users.alias()
    key = api_keys.alias()
    admin = admins.alias()
    full_name = user.c.first_name + " " + user.c.last_name
    named = case((admin.c.name == "", admin.c.email), else_=admin.c.name) if among_administrators else admin.c.name
    return case(
        (
            or_(type_ == "USER", type_ == "INVITEE"),
            select(full_name).where(user.c.id == id_).scalar_subquery(),
        ),
        (type_ == "API_KEY", select(key.c.name).where(key.c.id == id_).scalar_subquery()),
        (type_ == "ADMIN", select(named).where(admin.c.id == id_).scalar_subquery()),
        (type_ == "OPERATOR", OPERATOR_NAME),
    )


@dataclass(frozen=True, slots=True)
class Contact:
    """The mail address, first name and locale of an actor."""

    email: str
    first_name: str | None = None
    locale: str | None = None


_NAME = select((users.c.first_name + " " + users.c.last_name).label("name")).where(
    users.c.id == bindparam("id", type_=Id)
)
_PUBLIC_NAME = select(
    name_of(bindparam("type", type_=Text), bindparam("id", type_=Id)).label("name")  # as invitees see it
)
_USER = select(users.c.email, users.c.first_name, users.c.locale).where(
    users.c.id == bindparam("id", type_=Id), users.c.blocked.is_(False)
)
_ADMIN = select(admins.c.email, admins.c.locale).where(
    admins.c.id == bindparam("id", type_=Id), admins.c.deactivated_at.is_(None)
)


async def name_of_user(db: Database, user_id: UUID) -> str | None:
    """Return the current name of a user; None when the account does not exist any more."""
    rows = await db.fetch(_NAME, id=user_id)
    return rows[0].name if rows else None


async def find_name(db: Database, actor: Actor) -> str | None:
    """Return the public name of an actor; None or empty when there is none."""
    (row,) = await db.fetch(_PUBLIC_NAME, type=actor.type.value, id=actor.id)
    return row.name  # type: ignore[no-any-return]  # a text or None


async def find_contact(db: Database, actor: Actor) -> Contact | None:
    """Return the contact of an active user or administrator; None for other actors."""
    if actor.type is ActorType.USER:
        rows = await db.fetch(_USER, id=actor.id)
        return Contact(rows[0].email, rows[0].first_name or None, rows[0].locale) if rows else None
    if actor.type is ActorType.ADMIN:
        rows = await db.fetch(_ADMIN, id=actor.id)
        return Contact(rows[0].email, locale=rows[0].locale) if rows else None
    return None


_EMPTY: ColumnElement[str] = literal_column("''")


def _named(noun: SubjectType, table: Table, label: Any, email: Any = _EMPTY, key: Any = _EMPTY) -> Select[Any]:
    kind: ColumnElement[str] = literal_column(f"'{noun.value}'")
    columns = (table.c.id, kind.label("noun"), label.label("label"), email.label("email"), key.label("key"))
    return select(*columns).where(any_of(table.c.id, "ids"))


_NAMED = union_all(
    _named(SubjectType.INVITATION, invitations, invitations.c.email, invitations.c.email),
    _named(SubjectType.USER, users, users.c.first_name + " " + users.c.last_name, users.c.email),
    _named(SubjectType.ADMIN, admins, admins.c.name, admins.c.email),
    _named(SubjectType.API_KEY, api_keys, api_keys.c.name),
    _named(SubjectType.GROUP, groups, groups.c.name, key=groups.c.key),
    _named(SubjectType.CONTENT, content, content.c.title, key=content.c.type + "/" + content.c.key),
    _named(SubjectType.TEMPLATE, invitation_templates, invitation_templates.c.name, key=invitation_templates.c.key),
)


async def find_named(db: Database, ids: Iterable[UUID]) -> Mapping[UUID, NamedSubject]:
    """Return the names of the objects with these ids, in one statement, without ids that do not exist any more."""
    unique_ids = sorted(set(ids))
    if not unique_ids:
        return {}
    rows = await db.fetch(_NAMED, ids=unique_ids)
    return {
        row.id: NamedSubject(SubjectType(row.noun), row.label.strip() or row.email, row.email, row.key) for row in rows
    }
