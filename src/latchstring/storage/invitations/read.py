"""Reading invitations: one by its id, what a link shows, and pages of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, ScalarSelect, Select, SmallInteger, bindparam, case, literal_column, select

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.grant import Bundle, ContentRole, Grant, GrantKind
from latchstring.domain.invitation import Invitation, InvitationDetails, Link, State
from latchstring.domain.terms import terms_of
from latchstring.storage.engine.database import Database, Row
from latchstring.storage.engine.tables import (
    content,
    groups,
    invitation_grants,
    invitations,
    outbox,
    users,
)
from latchstring.storage.engine.types import Id, json_rows
from latchstring.storage.events.actor_names import name_of
from latchstring.storage.outbox.outbox import DELIVERY_COLUMNS, newest_invitation_mail, read_delivery


def _literal(state: State) -> ColumnElement[int]:
    """A state as a literal: with a bound value, a generic plan could not use a partial index."""
    return literal_column(str(int(state)), SmallInteger)


PENDING, DECLINED, REVOKED, EXPIRED = map(_literal, (State.PENDING, State.DECLINED, State.REVOKED, State.EXPIRED))
ACCEPTED = _literal(State.ACCEPTED)


def _grants() -> ScalarSelect[Any]:
    g = invitation_grants.alias("g")
    is_void = case((g.c.voided_at.is_(None), 0), else_=1)
    row = json_rows(g.c.kind, g.c.target_id, g.c.target_type, g.c.target_key, g.c.role, is_void)
    return select(row).where(g.c.invitation_id == invitations.c.id).scalar_subquery()


def select_invitation_details() -> Select[Any]:
    """Everything that is shown of invitations, without filter and order."""
    return select(
        invitations,
        _grants().label("grants"),
        name_of(invitations.c.inviter_type, invitations.c.inviter_id).label("inviter_name"),
        name_of(invitations.c.sponsor_type, invitations.c.sponsor_id).label("sponsor_name"),
        *DELIVERY_COLUMNS,
    ).select_from(invitations.outerjoin(outbox, outbox.c.id == newest_invitation_mail(invitations.c.id)))


_FIND = select_invitation_details().where(invitations.c.id == bindparam("id", type_=Id))

# Two levels down SQLAlchemy does not correlate by itself: it would read all invitations here.
_TARGET_IDS = (
    select(invitation_grants.c.target_id)
    .where(invitation_grants.c.invitation_id == invitations.c.id)
    .correlate(invitations)
)
_LOOK_UP = select(
    invitations,
    _grants().label("grants"),
    name_of(invitations.c.inviter_type, invitations.c.inviter_id).label("inviter_name"),
    literal_column("NULL").label("sponsor_name"),
    select(users.c.id).where(users.c.email_key == invitations.c.email_key).scalar_subquery().label("account_id"),
    select(users.c.email_verified)
    .where(users.c.email_key == invitations.c.email_key)
    .scalar_subquery()
    .label("account_verified"),
    select(json_rows(groups.c.id, groups.c.key, groups.c.name, groups.c.translations))
    .where(groups.c.id.in_(_TARGET_IDS))
    .scalar_subquery()
    .label("group_names"),
    select(json_rows(content.c.id, content.c.type, content.c.key, content.c.title, content.c.url))
    .where(content.c.id.in_(_TARGET_IDS))
    .scalar_subquery()
    .label("object_names"),
).where(invitations.c.id == bindparam("id", type_=Id))


@dataclass(frozen=True, slots=True)
class GroupName:
    """A group of an invitation with its current names."""

    id: UUID
    key: str
    name: str
    translations: dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class ObjectName:
    """A content object of an invitation with its current title."""

    id: UUID
    type: str
    key: str
    title: str
    url: str | None


@dataclass(frozen=True, slots=True)
class LinkView:
    """What a link shows: the invitation, the inviter, and whether the address has an account."""

    invitation: Invitation
    inviter_name: str | None
    account_id: UUID | None
    account_verified: bool
    groups: tuple[GroupName, ...]
    objects: tuple[ObjectName, ...] = ()

    @property
    def target_ids(self) -> frozenset[UUID]:
        """The groups and objects of the invitation that still exist."""
        return frozenset([*(group.id for group in self.groups), *(object_.id for object_ in self.objects)])


def read_grants(raw: Sequence[Sequence[Any]] | None) -> tuple[Grant, ...]:
    """Grants from the lists of `json_rows`, in the order of their keys."""
    grants = [
        Grant(
            GrantKind(kind),
            UUID(target),
            key,
            type_,
            None if role is None else ContentRole(role),
            is_void=bool(is_void),
        )
        for kind, target, type_, key, role, is_void in raw or ()
    ]
    return tuple(sorted(grants, key=lambda grant: (grant.kind, grant.target_type or "", grant.target_key)))


def read_invitation(row: Row) -> Invitation:
    """One row of `invitations` with its grants."""
    sponsor = Actor(ActorType(row.sponsor_type), row.sponsor_id)
    return Invitation(
        id=row.id,
        email=row.email,
        email_key=row.email_key,
        bundle=Bundle(row.role, read_grants(row.grants)),
        inviter=Actor(ActorType(row.inviter_type), row.inviter_id),
        lifetime=timedelta(seconds=row.lifetime_seconds),
        link=Link(row.generation, row.link_starts_at, row.expires_at, sponsor, row.master_key_id),
        state=State(row.state),
        ended_at=row.ended_at,
        accepted_by=row.accepted_by,
        **terms_of(row),
    )


def read_invitation_details(row: Row) -> InvitationDetails:
    """One row of a listing."""
    return InvitationDetails(read_invitation(row), read_delivery(row), row.inviter_name, row.sponsor_name)


async def find_invitation(db: Database, invitation_id: UUID) -> InvitationDetails | None:
    """One invitation as it is shown, or None."""
    rows = await db.fetch(_FIND, id=invitation_id)
    return read_invitation_details(rows[0]) if rows else None


_FIND_PENDING = select(invitations, _grants().label("grants")).where(
    invitations.c.terms_key == bindparam("terms_key", type_=Id), invitations.c.state == PENDING
)


async def find_pending_invitation(db: Database, terms_key: UUID) -> Invitation | None:
    """The invitation with these terms that is stored as pending; it may have expired."""
    rows = await db.fetch(_FIND_PENDING, terms_key=terms_key)
    return read_invitation(rows[0]) if rows else None


async def find_link_view(db: Database, invitation_id: UUID) -> LinkView | None:
    """What a link shows, in one statement, or None when there is no such invitation."""
    rows = await db.fetch(_LOOK_UP, id=invitation_id)
    if not rows:
        return None
    row = rows[0]
    names = tuple(GroupName(UUID(id_), key, name, _decoded(t)) for id_, key, name, t in row.group_names or ())
    objects = tuple(ObjectName(UUID(id_), *columns) for id_, *columns in row.object_names or ())
    return LinkView(read_invitation(row), row.inviter_name, row.account_id, bool(row.account_verified), names, objects)


def _decoded(value: Any) -> dict[str, dict[str, str]]:
    """JSON inside JSON: text on SQLite, an object on PostgreSQL."""
    decoded: dict[str, dict[str, str]] = msgspec.json.decode(value) if isinstance(value, str) else value
    return decoded
