"""Items that need attention: mails with delivery problems, and invitations that expire soon. All reads are bounded."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, literal_column, or_, select, union_all

from latchstring.domain.mail import DeliveryState, MailKind
from latchstring.domain.pagination import Page
from latchstring.domain.views.attention import ExpiringInvitation, UndeliveredMail
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import IN_TROUBLE, PENDING, invitations, outbox
from latchstring.storage.engine.types import Instant

COUNT_LIMIT = 1000  # above it the page says "more than"
LIST_SIZE = 6
_SCAN_LIMIT = 300  # newest mails of each failure state

_i, _o = invitations.c, outbox.c
_NOW, _UNTIL = bindparam("now", type_=Instant), bindparam("until", type_=Instant)


_IS_EXPIRING = (PENDING, _i.expires_at > _NOW, _i.expires_at <= _UNTIL)
_EXPIRING = (
    select(_i.id, _i.email, _i.first_name, _i.last_name, _i.expires_at)
    .where(*_IS_EXPIRING)
    .order_by(_i.expires_at)
    .limit(literal_column(str(LIST_SIZE)))
)
_COUNT_EXPIRING = select(func.count()).select_from(
    select(_i.expires_at)
    .where(*_IS_EXPIRING)
    .order_by(_i.expires_at)
    .limit(literal_column(str(COUNT_LIMIT + 1)))
    .subquery()
)


async def list_expiring(db: Database, *, now: datetime, until: datetime) -> Page[ExpiringInvitation]:
    """Return the next invitations to expire, and how many expire before `until`."""
    expiring = [ExpiringInvitation(*row) for row in await db.fetch(_EXPIRING, now=now, until=until)]
    count = (await db.fetch(_COUNT_EXPIRING, now=now, until=until))[0][0]
    return Page(expiring, total=count if count <= COUNT_LIMIT else None, is_partial=count > len(expiring))


def _newest_in(state: DeliveryState) -> Select[Any]:
    # the condition of the index is repeated word for word, or SQLite would not use the index
    has_state: ColumnElement[bool] = _o.state == literal_column(f"'{state.value}'")
    newest = select(_o.id).where(IN_TROUBLE, has_state).order_by(_o.id.desc()).limit(literal_column(str(_SCAN_LIMIT)))
    return select(newest.subquery().c.id)


_TROUBLED = (DeliveryState.BOUNCED, DeliveryState.DEFERRED, DeliveryState.FAILED)
_newest = union_all(*(_newest_in(state) for state in _TROUBLED)).subquery("newest")
_is_invitation: ColumnElement[bool] = _o.kind == literal_column("'invitation'")
_in_force = and_(_i.state == literal_column("0"), _i.generation == _o.generation, _i.expires_at > _NOW)
_TROUBLE = (
    select(_o.id, _o.kind, _o.state, _o.subject_id, _o.attempts, _o.due_at, _o.last_at, _o.last_reply, _i.email)
    .select_from(_newest.join(outbox, _o.id == _newest.c.id).outerjoin(invitations, _i.id == _o.subject_id))
    # a bounced mail of an invitation that was resent or has ended needs no attention
    .where(or_(and_(_is_invitation, _in_force), and_(~_is_invitation, _o.state == literal_column("'DEFERRED'"))))
    .order_by(_o.id.desc())
)


async def list_trouble(db: Database, *, now: datetime) -> Page[UndeliveredMail]:
    """Return the mails with delivery problems that still should be delivered, newest first."""
    rows = await db.fetch(_TROUBLE, now=now)
    return Page([_trouble(row) for row in rows], total=len(rows), is_partial=len(rows) >= _SCAN_LIMIT)


def _trouble(row: Any) -> UndeliveredMail:
    return UndeliveredMail(
        row.id,
        MailKind(row.kind),
        DeliveryState(row.state),
        row.subject_id,
        row.attempts,
        row.due_at,
        row.last_at,
        row.last_reply,
        row.email,
    )
