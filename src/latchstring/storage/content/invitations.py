"""Invitations as seen from a content object."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Integer, and_, bindparam, literal_column, select, update

from latchstring.domain.access import PendingInvitation
from latchstring.domain.grant import ContentRole
from latchstring.storage.engine.database import Database, Work, step
from latchstring.storage.engine.tables import invitation_grants, invitations, outbox
from latchstring.storage.engine.types import Id, Instant, any_of
from latchstring.storage.invitations.cascade import revoke_emptied
from latchstring.storage.invitations.read import PENDING
from latchstring.storage.outbox.outbox import DELIVERY_COLUMNS, newest_invitation_mail, read_delivery

_i, _g = invitations.c, invitation_grants.c
_now = bindparam("now", type_=Instant)
_LIVE = select(_g.target_id).where(_g.invitation_id == bindparam("invitation_id", type_=Id), _g.voided_at.is_(None))
_PENDING_TO = (
    select(_i.id, _i.email, _g.role, _i.link_starts_at, _i.expires_at, *DELIVERY_COLUMNS)
    .select_from(
        invitation_grants.join(
            invitations, and_(_i.id == _g.invitation_id, _i.state == PENDING, _i.expires_at > _now)
        ).outerjoin(outbox, outbox.c.id == newest_invitation_mail(_i.id))
    )
    .where(_g.target_id == bindparam("target_id", type_=Id), _g.voided_at.is_(None))
    .order_by(_i.id)
)
_LOCK = (
    select(_i.id).where(_i.id == bindparam("id", type_=Id), _i.state == PENDING, _i.expires_at > _now).with_for_update()
)
_VOID_SOME = (
    update(invitation_grants)
    .where(
        _g.invitation_id == bindparam("of_invitation_id", type_=Id), any_of(_g.target_id, "ids"), _g.voided_at.is_(None)
    )
    .values(voided_at=_now)
    .returning(_g.target_id)
)


def load_live_targets(invitation_id: UUID) -> Work[set[UUID]]:
    """The targets of an invitation whose grants have not ended. Hold the targets first: then it stays so."""
    return {row.target_id for row in (yield step(_LIVE, invitation_id=invitation_id))}


async def find_pending_invitations(
    db: Database, content_id: UUID, *, now: datetime, tells_delivery: bool
) -> tuple[PendingInvitation, ...]:
    """Who is on the way to an object, in the order of inviting.

    tells_delivery: False where it would say which addresses have accounts.
    """
    rows = await db.fetch(_PENDING_TO, target_id=content_id, now=now)
    return tuple(
        PendingInvitation(
            row.id,
            row.email,
            ContentRole(row.role),
            row.link_starts_at,
            row.expires_at,
            read_delivery(row) if tells_delivery else None,
        )
        for row in rows
    )


AT_ONCE = 50
LOOKED_THROUGH = 10_000
_newest = (
    select(_g.invitation_id, _g.role)
    .where(_g.target_id == bindparam("target_id", type_=Id), _g.voided_at.is_(None))
    .order_by(_g.invitation_id.desc())
    .limit(literal_column(str(LOOKED_THROUGH), Integer))
    .subquery("newest")
)
_NEWEST_TO = (
    select(_i.id, _i.email, _newest.c.role, _i.link_starts_at, _i.expires_at, *DELIVERY_COLUMNS)
    .select_from(
        _newest.join(
            invitations, and_(_i.id == _newest.c.invitation_id, _i.state == PENDING, _i.expires_at > _now)
        ).outerjoin(outbox, outbox.c.id == newest_invitation_mail(_i.id))
    )
    .order_by(_newest.c.invitation_id.desc())
    .limit(literal_column(str(AT_ONCE + 1), Integer))
)


async def list_pending_invitations(
    db: Database, content_id: UUID, *, now: datetime
) -> tuple[Sequence[PendingInvitation], bool]:
    """The 50 newest on the way to an object, among the 10 000 newest to it, and whether there are more."""
    rows = await db.fetch(_NEWEST_TO, target_id=content_id, now=now)
    found = [
        PendingInvitation(
            row.id, row.email, ContentRole(row.role), row.link_starts_at, row.expires_at, read_delivery(row)
        )
        for row in rows[:AT_ONCE]
    ]
    return found, len(rows) > AT_ONCE


def withdraw_grants(invitation_id: UUID, target_ids: Sequence[UUID], *, now: datetime) -> Work[tuple[set[UUID], bool]]:
    """End some grants of a pending invitation; returns which, and whether nothing is left and it is revoked."""
    if not (yield step(_LOCK, id=invitation_id, now=now)):
        return set(), False
    voided = yield step(_VOID_SOME, of_invitation_id=invitation_id, ids=list(target_ids), now=now)
    emptied = yield from revoke_emptied([invitation_id], now=now)
    return {row.target_id for row in voided}, bool(emptied)
