"""Changing invitations that exist. Each change is one conditional update: the rows it returns decide who won."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Integer, SmallInteger, bindparam, null, or_, select, update

from latchstring.domain.actor import SYSTEM, Actor
from latchstring.domain.errors import AlreadyInvited
from latchstring.domain.event import Event
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Invitation
from latchstring.domain.mail import OutgoingMail
from latchstring.storage.engine.database import Database, Work, step
from latchstring.storage.engine.tables import groups, invitations
from latchstring.storage.engine.types import Id, Instant, any_of
from latchstring.storage.events.record import insert_event
from latchstring.storage.invitations.read import ACCEPTED, DECLINED, EXPIRED, PENDING, REVOKED
from latchstring.storage.outbox.outbox import queue_mail

PENDING_TERMS = "uq_invitations_pending_terms"
SWEEP_SIZE = 1000

_i = invitations.c
_open = or_(_i.state == PENDING, _i.state == EXPIRED)
_id = bindparam("id", type_=Id)
_now = bindparam("now", type_=Instant)
_generation = bindparam("generation", type_=Integer)


class Lost(Exception):
    """Somebody was first: nothing was changed. Read the invitation again to say who."""


# ---- expiry ----------------------------------------------------------------------------------------------------------

_EXPIRE = (
    update(invitations)
    .where(any_of(_i.id, "ids"), _i.state == PENDING, _i.expires_at <= _now)
    .values(state=EXPIRED, ended_at=_i.expires_at)
    .returning(_i.id)
)
_FIND_OVERDUE = (
    select(_i.id).where(_i.state == PENDING, _i.expires_at <= _now).order_by(_i.expires_at).limit(SWEEP_SIZE)
)
_FIND_PENDING_TERMS = select(_i.id, _i.expires_at, _i.inviter_type, _i.inviter_id).where(
    _i.terms_key == bindparam("terms_key", type_=Id), _i.state == PENDING
)


def expire_invitations(ids: Sequence[UUID], *, at: datetime, event_ids: Sequence[UUID]) -> Work[int]:
    """Tidy these invitations if their time has come. Each becomes EXPIRED, with its event, exactly once."""
    rows = yield step(_EXPIRE, ids=ids, now=at)
    for row, event_id in zip(rows, event_ids, strict=False):
        yield insert_event(Event(event_id, row.id, "invitation.expired", SYSTEM, {"cause": "time"}))
    return len(rows)


async def _expire(db: Database, ids: Sequence[UUID], at: datetime) -> int:
    event_ids = [new_id(at) for _ in ids]
    return await db.transact(lambda: expire_invitations(ids, at=at, event_ids=event_ids))


async def sweep_expired(db: Database, *, at: datetime) -> int:
    """Tidy one batch of invitations whose time has come; returns how many. Correctness never waits for it."""
    ids = [row.id for row in await db.fetch(_FIND_OVERDUE, now=at)]
    return await _expire(db, ids, at) if ids else 0


async def make_way(db: Database, terms_key: UUID, *, at: datetime, told: bool, viewer: Actor | None = None) -> None:
    """Settle whatever keeps a new invitation with these terms from being stored.

    Returns when the way may be free. Raises AlreadyInvited while a pending one is in force; its id only to callers
    who could list it: told says that they see all, viewer that they see their own.
    """
    for blocker in await db.fetch(_FIND_PENDING_TERMS, terms_key=terms_key):
        if blocker.expires_at > at:
            sent = viewer is not None and (blocker.inviter_type, blocker.inviter_id) == (viewer.type.value, viewer.id)
            raise AlreadyInvited(blocker.id if told or sent else None)
        await _expire(db, [blocker.id], at)


# ---- revoke, resend, renew, decline ----------------------------------------------------------------------------------

_REVOKE = update(invitations).where(_i.id == _id, _open).values(state=REVOKED, ended_at=_now).returning(_i.id)
_DECLINE = (
    update(invitations)
    .where(_i.id == _id, _i.generation == _generation, _i.state == PENDING, _i.expires_at > _now)
    .values(state=DECLINED, ended_at=_now)
    .returning(_i.id)
)
_ACCEPT = (
    update(invitations)
    .where(_i.id == _id, _i.generation == _generation, _i.state == PENDING, _i.expires_at > _now)
    .values(state=ACCEPTED, ended_at=_now, accepted_by=bindparam("new_accepted_by", type_=Id))
    .returning(_i.id)
)
_NEXT_LINK = (
    update(invitations)
    .where(_i.id == _id, _i.generation == _generation, _open)
    .values(
        state=PENDING,
        ended_at=null(),
        generation=_i.generation + 1,
        link_starts_at=_now,
        expires_at=bindparam("new_expires_at", type_=Instant),
        sponsor_type=bindparam("new_sponsor_type"),
        sponsor_id=bindparam("new_sponsor_id", type_=Id),
        master_key_id=bindparam("new_master_key_id"),
        renewals=bindparam("new_renewals", type_=SmallInteger),
        renewed_at=bindparam("new_renewed_at", type_=Instant),
    )
    .returning(_i.id)
)
# Counting a renewal and judging the limits is one statement: two requests at once cannot both pass.
_COUNT_RENEWAL = (
    update(invitations)
    .where(
        _i.id == _id,
        _i.generation == _generation,
        _open,
        _i.renewals < bindparam("most_renewals", type_=Integer),
        or_(_i.renewed_at.is_(None), _i.renewed_at <= bindparam("last_renewed_before", type_=Instant)),
    )
    .values(renewals=_i.renewals + 1, renewed_at=_now)
    .returning(_i.renewals)
)


def revoke_invitation(invitation_id: UUID, event: Event, *, at: datetime) -> Work[None]:
    """Pull the string back. Raises Lost when the invitation has ended otherwise meanwhile."""
    if not (yield step(_REVOKE, id=invitation_id, now=at)):
        raise Lost
    yield insert_event(event)


_HOLD_GROUPS = (
    select(groups.c.id, groups.c.key)
    .where(any_of(groups.c.id, "ids"))
    .order_by(groups.c.id)
    .with_for_update(read=True, key_share=True)
)


def hold_groups(ids: Sequence[UUID]) -> Work[dict[UUID, str]]:
    """Those of the groups that exist, with their keys; nobody deletes them until the transaction ends.

    Targets are held before the invitation is changed, here and wherever a target goes away: so nothing deadlocks.
    """
    if not ids:
        return {}
    return {row.id: row.key for row in (yield step(_HOLD_GROUPS, ids=ids))}


def accept_invitation(invitation_id: UUID, *, generation: int, by: UUID, at: datetime) -> Work[None]:
    """Exactly one acceptance gets through, however many come at once. Raises Lost for the others."""
    if not (yield step(_ACCEPT, id=invitation_id, generation=generation, now=at, new_accepted_by=by)):
        raise Lost


def decline_invitation(
    invitation_id: UUID, event: Event, *, generation: int, mails: Sequence[OutgoingMail], at: datetime
) -> Work[None]:
    """The invited person says no. Raises Lost."""
    if not (yield step(_DECLINE, id=invitation_id, generation=generation, now=at)):
        raise Lost
    yield insert_event(event)
    for mail in mails:
        yield queue_mail(mail)


def replace_link(before: Invitation, after: Invitation, *, renewals: int, renewed_at: datetime | None) -> Work[None]:
    """Make the next generation, if the one before is still the newest. Raises Lost.

    UniqueViolation of PENDING_TERMS: meanwhile another invitation with these terms is pending.
    """
    link = after.link
    rows = yield step(
        _NEXT_LINK,
        id=before.id,
        generation=before.link.generation,
        now=link.starts_at,
        new_expires_at=link.expires_at,
        new_sponsor_type=link.sponsor.type.value,
        new_sponsor_id=link.sponsor.id,
        new_master_key_id=link.master_key_id,
        new_renewals=renewals,
        new_renewed_at=renewed_at,
    )
    if not rows:
        raise Lost


def count_renewal(invitation: Invitation, *, at: datetime, most: int, last_before: datetime) -> Work[int]:
    """Count one request for a fresh link; returns how many there were. Raises Lost beyond the limits."""
    rows = yield step(
        _COUNT_RENEWAL,
        id=invitation.id,
        generation=invitation.link.generation,
        now=at,
        most_renewals=most,
        last_renewed_before=last_before,
    )
    if not rows:
        raise Lost
    return int(rows[0].renewals)
