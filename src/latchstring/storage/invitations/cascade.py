"""Changes of invitations when something they depend on is removed: a target, the sponsor, a master key, the person.

Retention of ended invitations is here as well.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, case, delete, exists, literal_column, not_, null, or_, select, update

from latchstring.domain.actor import Actor
from latchstring.domain.event import Event
from latchstring.domain.ids import first_id_at, new_id
from latchstring.domain.terms import IMPERSONAL_TERM_NAMES, TERM_NAMES
from latchstring.storage.engine.database import Database, Work, step
from latchstring.storage.engine.idempotency import delete_answers, delete_answers_to
from latchstring.storage.engine.tables import events, invitation_grants, invitations
from latchstring.storage.engine.types import Id, Instant, any_of
from latchstring.storage.events.record import insert_event
from latchstring.storage.invitations.link_views import delete_link_views
from latchstring.storage.invitations.read import EXPIRED, PENDING, REVOKED
from latchstring.storage.invitations.transitions import IS_OPEN
from latchstring.storage.jobs.rows import erase_person_in_rows
from latchstring.storage.outbox.outbox import delete_mails, erase_replies

BATCH = 1000

_i = invitations.c
_now = bindparam("now", type_=Instant)

# ---- removed targets and sponsors ------------------------------------------------------------------------------------

_g = invitation_grants.c
_live_grants = invitation_grants.alias("other")
_VOID_GRANTS = (
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
        not_(
            exists(
                select(_live_grants.c.target_id).where(
                    _live_grants.c.invitation_id == _i.id, _live_grants.c.voided_at.is_(None)
                )
            )
        ),
    )
    .values(state=REVOKED, ended_at=_now)
    .returning(_i.id)
)


def void_target(target_id: UUID, *, cause: str, by: Actor, now: datetime) -> Work[int]:
    """Void every grant on a removed target in open invitations; returns the number of grants.

    Invitations without a live grant are revoked; the event has the cause. Lock the row of the target first
    (SELECT … FOR UPDATE), so that no other transaction accepts or creates an invitation to it.
    """
    yield step(_LOCK_OPEN, target_id=target_id)
    voided = yield step(_VOID_GRANTS, target_id=target_id, now=now)
    for invitation_id in (yield from revoke_emptied([row.invitation_id for row in voided], now=now)):
        yield insert_event(Event(new_id(now), invitation_id, "invitation.revoked", by, {"cause": cause}))
    return len(voided)


def revoke_emptied(ids: Sequence[UUID], *, now: datetime) -> Work[list[UUID]]:
    """Revoke those of the open invitations that grant nothing any more; returns their ids. The caller adds events."""
    return [row.id for row in (yield step(_REVOKE_EMPTY, ids=ids, now=now))] if ids else []


_REVOKE_OPEN = update(invitations).where(IS_OPEN).values(state=REVOKED, ended_at=_now).returning(_i.id)
_REVOKE_SENT_BY = _REVOKE_OPEN.where(
    _i.sponsor_type == bindparam("by_type"), _i.sponsor_id == bindparam("by_id", type_=Id)
)
_REVOKE_SENT_TO = _REVOKE_OPEN.where(_i.email_key == bindparam("by_email_key", type_=_i.email_key.type))


def revoke_invitations_of(sponsor: Actor, *, cause: str, by: Actor, now: datetime) -> Work[int]:
    """Revoke every open invitation whose current link this sponsor sent; returns the number."""
    rows = yield step(_REVOKE_SENT_BY, by_type=sponsor.type.value, by_id=sponsor.id, now=now)
    for row in rows:
        yield insert_event(Event(new_id(now), row.id, "invitation.revoked", by, {"cause": cause}))
    return len(rows)


# ---- master keys -----------------------------------------------------------------------------------------------------

_EXPIRE_ALL_OPEN = (
    update(invitations)
    .where(_i.state == PENDING)
    .values(state=EXPIRED, expires_at=case((_i.expires_at < _now, _i.expires_at), else_=_now), ended_at=_now)
    .returning(_i.id)
)
_KEYS_IN_USE = select(_i.master_key_id).where(_i.state == PENDING, _i.expires_at > _now).distinct()


def expire_open_links(*, cause: str, by: Actor, now: datetime) -> Work[int]:
    """Expire every open link now, after a master key was compromised. Resending creates new links."""
    rows = yield step(_EXPIRE_ALL_OPEN, now=now)
    for row in rows:
        yield insert_event(Event(new_id(now), row.id, "invitation.expired", by, {"cause": cause}))
    return len(rows)


async def find_keys_in_use(db: Database, *, now: datetime) -> frozenset[str]:
    """Return the ids of the master keys of all valid links."""
    return frozenset(row.master_key_id for row in await db.fetch(_KEYS_IN_USE, now=now))


# ---- erasure and retention -------------------------------------------------------------------------------------------

ERASED = "erased"
_ERASE_INVITATIONS = (
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


# The reason is free text from the person; other event data is ids and facts.
_ERASE_REASONS = (
    update(events)
    .where(any_of(events.c.subject_id, "ids"), events.c.type == literal_column("'invitation.declined'"))
    .values(data=bindparam("nothing", {}, type_=events.c.data.type))
)


def erase_person(person_id: UUID, email_key: str, *, by: Actor, now: datetime) -> Work[None]:
    """Erase name, address and free text from every invitation to a person, and revoke the open ones."""
    revoked = yield step(_REVOKE_SENT_TO, by_email_key=email_key, now=now)
    for row in revoked:
        yield insert_event(Event(new_id(now), row.id, "invitation.revoked", by, {"cause": "person-erased"}))
    erased = yield step(_ERASE_INVITATIONS, by_email_key=email_key, person_id=person_id)
    for row in erased:
        yield insert_event(Event(new_id(now), row.id, "invitation.erased", by, {}))
    ids = [row.id for row in erased]
    yield step(_ERASE_REASONS, ids=ids)
    yield delete_link_views(ids)
    yield from erase_replies([*ids, person_id])
    yield delete_answers([*ids, person_id])
    yield delete_answers_to(person_id)
    yield erase_person_in_rows(email_key)


# Ended invitations are kept for the retention time. Ids are sorted by time: the oldest come first.
_FIND_ENDED_BEFORE = (
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
    """Delete one batch of invitations that ended before this instant, with mails and link views; their events stay."""
    rows = await db.fetch(_FIND_ENDED_BEFORE, older_than=first_id_at(before), ended_before=before)
    ids = [row.id for row in rows]

    def work() -> Work[None]:
        yield from delete_mails(ids)
        yield delete_link_views(ids)
        yield step(_DELETE, ids=ids)

    if ids:
        await db.transact(work)
    return len(ids)
