"""Changes of existing invitations. `domain/invitation.py` decides; each change is one conditional update that stores
the decision. When the update returns no row, another request was faster.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Integer, SmallInteger, and_, bindparam, or_, select, update

from latchstring.domain import invitation as rules
from latchstring.domain.actor import SYSTEM, Actor
from latchstring.domain.errors import AlreadyInvited, InvitationNotPending
from latchstring.domain.event import Event, new_event
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Invitation, State
from latchstring.storage.engine.database import Database, Work, step
from latchstring.storage.engine.tables import invitations
from latchstring.storage.engine.types import Id, Instant, any_of
from latchstring.storage.events.record import insert_event
from latchstring.storage.invitations.read import EXPIRED, PENDING, find_pending_invitation

PENDING_TERMS = "uq_invitations_pending_terms"
SWEEP_SIZE = 1000

_i = invitations.c
IS_OPEN = or_(_i.state == PENDING, _i.state == EXPIRED)
_id = bindparam("id", type_=Id)
_now = bindparam("now", type_=Instant)
_generation = bindparam("generation", type_=Integer)
_ended_at = bindparam("new_ended_at", type_=Instant)


class TransitionLost(Exception):
    """Another request changed the invitation first; nothing was stored. Read the invitation again for its state."""


# ---- end of an invitation --------------------------------------------------------------------------------------------

_can_be_answered = and_(_i.generation == _generation, _i.state == PENDING, _i.expires_at > _ended_at)
_GUARDS = {
    State.ACCEPTED: _can_be_answered,
    State.DECLINED: _can_be_answered,
    State.REVOKED: IS_OPEN,
    State.EXPIRED: and_(_i.state == PENDING, _i.expires_at <= _ended_at),
}
_END = {
    state: update(invitations)
    .where(_i.id == _id, guard)
    .values(
        state=bindparam("new_state", type_=SmallInteger),
        ended_at=_ended_at,
        accepted_by=bindparam("new_accepted_by", type_=Id),
    )
    .returning(_i.id)
    for state, guard in _GUARDS.items()
}


def end_invitation(after: Invitation) -> Work[None]:
    """Store an invitation that was ended by `accept`, `decline`, `revoke` or `expire`.

    Of concurrent requests exactly one succeeds; the others raise TransitionLost.
    """
    rows = yield step(
        _END[after.state],
        id=after.id,
        generation=after.link.generation,
        new_state=int(after.state),
        new_ended_at=after.ended_at,
        new_accepted_by=after.accepted_by,
    )
    if not rows:
        raise TransitionLost


# ---- expiry ----------------------------------------------------------------------------------------------------------

# The rule of `domain.invitation.expire` for many rows at once, because reading a thousand rows would cost too much.
_is_overdue = and_(_i.state == PENDING, _i.expires_at <= _now)
_EXPIRE_OVERDUE = (
    update(invitations)
    .where(any_of(_i.id, "ids"), _is_overdue)
    .values(state=EXPIRED, ended_at=_i.expires_at)
    .returning(_i.id)
)
_FIND_OVERDUE = select(_i.id).where(_is_overdue).order_by(_i.expires_at).limit(SWEEP_SIZE)
_TIME_CAUSE = {"cause": "time"}


def expire_invitations(ids: Sequence[UUID], *, now: datetime, event_ids: Sequence[UUID]) -> Work[int]:
    """Expire the overdue ones of these invitations; returns the number. Each gets exactly one event."""
    rows = yield step(_EXPIRE_OVERDUE, ids=ids, now=now)
    for row, event_id in zip(rows, event_ids, strict=False):
        yield insert_event(Event(event_id, row.id, "invitation.expired", SYSTEM, _TIME_CAUSE))
    return len(rows)


async def sweep_expired(db: Database, *, now: datetime) -> int:
    """Expire one batch of overdue invitations; returns the number. The time at which this runs has no other effect."""
    ids = [row.id for row in await db.fetch(_FIND_OVERDUE, now=now)]
    event_ids = [new_id(now) for _ in ids]
    return await db.transact(lambda: expire_invitations(ids, now=now, event_ids=event_ids)) if ids else 0


async def expire_blocking_invitation(
    db: Database, terms_key: UUID, *, now: datetime, may_list_all: bool, viewer: Actor | None = None
) -> None:
    """Expire the pending invitation that blocks a new one with the same terms, if it is overdue.

    After it returns, the caller retries the insert. Raises AlreadyInvited while the other invitation is valid, with its
    id only for callers that may list it. may_list_all: the caller sees every invitation. viewer: the caller, who sees
    their own.
    """
    blocking = await find_pending_invitation(db, terms_key)
    if blocking is None:
        return
    try:
        expired = rules.expire(blocking, now=now)
    except InvitationNotPending:
        is_visible = may_list_all or blocking.inviter == viewer
        raise AlreadyInvited(blocking.id if is_visible else None) from None
    event = new_event("invitation.expired", expired.id, by=SYSTEM, now=now, **_TIME_CAUSE)

    def work() -> Work[None]:
        yield from end_invitation(expired)
        yield insert_event(event)

    try:
        await db.transact(work)
    except TransitionLost:  # the sweep or a resend was faster; the caller retries
        return


# ---- new links -------------------------------------------------------------------------------------------------------

_NEXT_LINK = (
    update(invitations)
    .where(_i.id == _id, _i.generation == _generation, IS_OPEN)
    .values(
        state=bindparam("new_state", type_=SmallInteger),
        ended_at=_ended_at,
        generation=bindparam("new_generation", type_=Integer),
        link_starts_at=bindparam("new_starts_at", type_=Instant),
        expires_at=bindparam("new_expires_at", type_=Instant),
        sponsor_type=bindparam("new_sponsor_type"),
        sponsor_id=bindparam("new_sponsor_id", type_=Id),
        master_key_id=bindparam("new_master_key_id"),
        renewals=bindparam("new_renewals", type_=SmallInteger),
        renewed_at=bindparam("new_renewed_at", type_=Instant),
    )
    .returning(_i.id)
)
# One statement counts a renewal and checks the limits, so that two concurrent requests cannot both pass.
_COUNT_RENEWAL = (
    update(invitations)
    .where(
        _i.id == _id,
        _i.generation == _generation,
        IS_OPEN,
        _i.renewals < bindparam("most_renewals", type_=Integer),
        or_(_i.renewed_at.is_(None), _i.renewed_at <= bindparam("last_renewed_before", type_=Instant)),
    )
    .values(renewals=_i.renewals + 1, renewed_at=_now)
    .returning(_i.renewals)
)


def replace_link(before: Invitation, after: Invitation, *, renewals: int, renewed_at: datetime | None) -> Work[None]:
    """Store the next generation from `resend` or `renew`, if the previous one is still the newest.

    Raises TransitionLost otherwise, and UniqueViolation of PENDING_TERMS when another invitation with these terms is
    pending.
    """
    link = after.link
    rows = yield step(
        _NEXT_LINK,
        id=before.id,
        generation=before.link.generation,
        new_state=int(after.state),
        new_ended_at=after.ended_at,
        new_generation=link.generation,
        new_starts_at=link.starts_at,
        new_expires_at=link.expires_at,
        new_sponsor_type=link.sponsor.type.value,
        new_sponsor_id=link.sponsor.id,
        new_master_key_id=link.master_key_id,
        new_renewals=renewals,
        new_renewed_at=renewed_at,
    )
    if not rows:
        raise TransitionLost


def count_renewal(invitation: Invitation, *, now: datetime, limit: int, renewed_before: datetime) -> Work[int]:
    """Count a request for a new link; returns the number of requests. Raises TransitionLost above the limits."""
    rows = yield step(
        _COUNT_RENEWAL,
        id=invitation.id,
        generation=invitation.link.generation,
        now=now,
        most_renewals=limit,
        last_renewed_before=renewed_before,
    )
    if not rows:
        raise TransitionLost
    return int(rows[0].renewals)
