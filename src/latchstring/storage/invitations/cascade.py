"""When what an invitation leans on goes away: its target, its sender, its key, the person, its time."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, case, delete, exists, literal_column, not_, null, or_, select, update

from latchstring.domain.actor import Actor
from latchstring.domain.event import Event
from latchstring.domain.ids import first_id_at, new_id
from latchstring.domain.terms import IMPERSONAL_TERM_NAMES, TERM_NAMES
from latchstring.storage.engine.database import Database, Work, step
from latchstring.storage.engine.idempotency import forget_answers, forget_answers_to
from latchstring.storage.engine.tables import events, invitation_grants, invitations
from latchstring.storage.engine.types import Id, Instant, any_of
from latchstring.storage.events.record import insert_event
from latchstring.storage.invitations.link_views import forget_visits
from latchstring.storage.invitations.read import EXPIRED, PENDING, REVOKED
from latchstring.storage.invitations.transitions import IS_OPEN
from latchstring.storage.jobs.rows import forget_person
from latchstring.storage.outbox.outbox import forget_mails, forget_replies

BATCH = 1000

_i = invitations.c
_now = bindparam("now", type_=Instant)

# ---- a target, an inviter, a key goes away ---------------------------------------------------------------------------

_g = invitation_grants.c
_other = invitation_grants.alias("other")
_VOID = (
    update(invitation_grants)
    .where(
        _g.target_id == bindparam("target_id", type_=Id),
        _g.voided_at.is_(None),
        exists(select(_i.id).where(_i.id == _g.invitation_id, IS_OPEN)),
    )
    .values(voided_at=_now)
    .returning(_g.invitation_id)
)
_LOCK_OPEN = (
    select(_i.id)
    .where(
        _i.id.in_(select(_g.invitation_id).where(_g.target_id == bindparam("target_id", type_=Id))),
        IS_OPEN,
    )
    .order_by(_i.id)
    .with_for_update()
)
_REVOKE_EMPTY = (
    update(invitations)
    .where(
        any_of(_i.id, "ids"),
        IS_OPEN,
        _i.role.is_(None),
        not_(exists(select(_other.c.target_id).where(_other.c.invitation_id == _i.id, _other.c.voided_at.is_(None)))),
    )
    .values(state=REVOKED, ended_at=_now)
    .returning(_i.id)
)


def void_target(target_id: UUID, *, cause: str, by: Actor, now: datetime) -> Work[int]:
    """End every grant on a target that goes away, in invitations that are still open; returns how many.

    An invitation with no live grant left is revoked, its event naming the cause. Hold the target's row first
    (SELECT … FOR UPDATE), so that nobody accepts or invites to it meanwhile.
    """
    yield step(_LOCK_OPEN, target_id=target_id)
    voided = yield step(_VOID, target_id=target_id, now=now)
    for invitation_id in (yield from revoke_emptied([row.invitation_id for row in voided], now=now)):
        yield insert_event(Event(new_id(now), invitation_id, "invitation.revoked", by, {"cause": cause}))
    return len(voided)


def revoke_emptied(ids: Sequence[UUID], *, now: datetime) -> Work[list[UUID]]:
    """Revoke those of the open invitations in which nothing is left to give; returns which. Events are the caller's."""
    return [row.id for row in (yield step(_REVOKE_EMPTY, ids=ids, now=now))] if ids else []


_REVOKE_MANY = update(invitations).where(IS_OPEN).values(state=REVOKED, ended_at=_now).returning(_i.id)
_REVOKE_SENT = _REVOKE_MANY.where(
    _i.sponsor_type == bindparam("by_type"), _i.sponsor_id == bindparam("by_id", type_=Id)
)
_REVOKE_TO = _REVOKE_MANY.where(_i.email_key == bindparam("by_email_key", type_=_i.email_key.type))


def end_invitations_of(sponsor: Actor, *, cause: str, by: Actor, now: datetime) -> Work[int]:
    """Revoke every open invitation whose current link this actor sent; returns how many."""
    rows = yield step(_REVOKE_SENT, by_type=sponsor.type.value, by_id=sponsor.id, now=now)
    for row in rows:
        yield insert_event(Event(new_id(now), row.id, "invitation.revoked", by, {"cause": cause}))
    return len(rows)


# ---- keys ------------------------------------------------------------------------------------------------------------

_EXPIRE_ALL_OPEN = (
    update(invitations)
    .where(_i.state == PENDING)
    .values(state=EXPIRED, expires_at=case((_i.expires_at < _now, _i.expires_at), else_=_now), ended_at=_now)
    .returning(_i.id)
)
_KEYS_IN_USE = select(_i.master_key_id).where(_i.state == PENDING, _i.expires_at > _now).distinct()


def end_open_links(*, cause: str, by: Actor, now: datetime) -> Work[int]:
    """Let every open link end now: its master key is in wrong hands. Resending makes new ones."""
    rows = yield step(_EXPIRE_ALL_OPEN, now=now)
    for row in rows:
        yield insert_event(Event(new_id(now), row.id, "invitation.expired", by, {"cause": cause}))
    return len(rows)


async def find_keys_in_use(db: Database, *, now: datetime) -> frozenset[str]:
    """Ids of the master keys that links in force were made with."""
    return frozenset(row.master_key_id for row in await db.fetch(_KEYS_IN_USE, now=now))


# ---- erasure and retention -------------------------------------------------------------------------------------------

ERASED = "erased"
_ERASE = (
    update(invitations)
    .where(
        or_(
            _i.email_key == bindparam("by_email_key", type_=_i.email_key.type),
            _i.accepted_by == bindparam("person_id", type_=Id),
        )
    )
    .values(
        email=ERASED,
        email_key=ERASED,
        terms_key=_i.id,  # a digest of the address could be guessed
        search_name=null(),
        search_last_name=null(),
        **{name: null() for name in TERM_NAMES if name not in IMPERSONAL_TERM_NAMES},
    )
    .returning(_i.id)
)


# The reason is the person's own words; everything else in events is ids and facts.
_FORGET_REASONS = (
    update(events)
    .where(any_of(events.c.subject_id, "ids"), events.c.type == literal_column("'invitation.declined'"))
    .values(data=bindparam("nothing", {}, type_=events.c.data.type))
)


def erase_person(person_id: UUID, email_key: str, *, by: Actor, now: datetime) -> Work[None]:
    """Take name, address and the words about a person out of every invitation to him; revoke the open ones."""
    revoked = yield step(_REVOKE_TO, by_email_key=email_key, now=now)
    for row in revoked:
        yield insert_event(Event(new_id(now), row.id, "invitation.revoked", by, {"cause": "person-erased"}))
    erased = yield step(_ERASE, by_email_key=email_key, person_id=person_id)
    for row in erased:
        yield insert_event(Event(new_id(now), row.id, "invitation.erased", by, {}))
    ids = [row.id for row in erased]
    yield step(_FORGET_REASONS, ids=ids)
    yield forget_visits(ids)
    yield from forget_replies([*ids, person_id])
    yield forget_answers([*ids, person_id])
    yield forget_answers_to(person_id)
    yield forget_person(email_key)


# An invitation that has ended is kept for the retention time. Ids are in time order: the oldest come first.
_FIND_PAST_RETENTION = (
    select(_i.id)
    .where(
        _i.id < bindparam("older_than", type_=Id),
        _i.state != PENDING,
        _i.ended_at < bindparam("ended_before", type_=Instant),
    )
    .order_by(_i.id)
    .limit(BATCH)
)
_DELETE = delete(invitations).where(any_of(_i.id, "ids"))


async def purge_ended(db: Database, *, before: datetime) -> int:
    """Remove one batch of invitations that ended before this instant, with mails and visits; their events stay."""
    rows = await db.fetch(_FIND_PAST_RETENTION, older_than=first_id_at(before), ended_before=before)
    ids = [row.id for row in rows]

    def work() -> Work[None]:
        yield from forget_mails(ids)
        yield forget_visits(ids)
        yield step(_DELETE, ids=ids)

    if ids:
        await db.transact(work)
    return len(ids)
