"""Invitations to a content object."""

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
_LIVE_TARGETS = select(_g.target_id).where(
    _g.invitation_id == bindparam("invitation_id", type_=Id), _g.voided_at.is_(None)
)
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
_VOID_GRANTS = (
    update(invitation_grants)
    .where(
        _g.invitation_id == bindparam("of_invitation_id", type_=Id), any_of(_g.target_id, "ids"), _g.voided_at.is_(None)
    )
    .values(voided_at=_now)
    .returning(_g.target_id)
)


def load_live_targets(invitation_id: UUID) -> Work[set[UUID]]:
    """Return the targets of an invitation whose grants are not void. Lock the targets first, so that this stays so."""
    return {row.target_id for row in (yield step(_LIVE_TARGETS, invitation_id=invitation_id))}


async def find_pending_invitations(
    db: Database, content_id: UUID, *, now: datetime, reveal_delivery: bool
) -> tuple[PendingInvitation, ...]:
    """Return the pending invitations to an object, oldest first.

    reveal_delivery: False where the delivery would reveal which addresses have accounts.
    """
    rows = await db.fetch(_PENDING_TO, target_id=content_id, now=now)
    return tuple(
        PendingInvitation(
            row.id,
            row.email,
            ContentRole(row.role),
            row.link_starts_at,
            row.expires_at,
            read_delivery(row) if reveal_delivery else None,
        )
        for row in rows
    )


MAX_PENDING_SHOWN = 50
MAX_GRANTS_SCANNED = 10_000
_newest = (
    select(_g.invitation_id, _g.role)
    .where(_g.target_id == bindparam("target_id", type_=Id), _g.voided_at.is_(None))
    .order_by(_g.invitation_id.desc())
    .limit(literal_column(str(MAX_GRANTS_SCANNED), Integer))
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
    .limit(literal_column(str(MAX_PENDING_SHOWN + 1), Integer))
)


async def list_pending_invitations(
    db: Database, content_id: UUID, *, now: datetime
) -> tuple[Sequence[PendingInvitation], bool]:
    """Return the 50 newest pending invitations, and whether there are more.

    Only the 10 000 newest invitations to the object are scanned.
    """
    rows = await db.fetch(_NEWEST_TO, target_id=content_id, now=now)
    pending = [
        PendingInvitation(
            row.id, row.email, ContentRole(row.role), row.link_starts_at, row.expires_at, read_delivery(row)
        )
        for row in rows[:MAX_PENDING_SHOWN]
    ]
    return pending, len(rows) > MAX_PENDING_SHOWN


def withdraw_grants(invitation_id: UUID, target_ids: Sequence[UUID], *, now: datetime) -> Work[tuple[set[UUID], bool]]:
    """Void some grants of a pending invitation.

    Returns the targets of the voided grants, and whether the invitation was revoked because it has no live grant left.
    """
    if not (yield step(_LOCK, id=invitation_id, now=now)):
        return set(), False
    voided = yield step(_VOID_GRANTS, of_invitation_id=invitation_id, ids=list(target_ids), now=now)
    emptied = yield from revoke_emptied([invitation_id], now=now)
    return {row.target_id for row in voided}, bool(emptied)
