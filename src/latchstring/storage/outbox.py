"""The outbox: mail that was promised, who is sending it, and what became of it.

A row with `due_at` is work. Whoever claims it moves `due_at` ahead by a lease and writes its own id into
`lease_owner`; when it dies, the row becomes due by itself. Every later write names the owner, so somebody whose lease
was taken over changes nothing.

Clocks: leases compare the clocks of the machines that send. They may differ by less than a lease (12 s); NTP keeps
them within milliseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Integer,
    ScalarSelect,
    Select,
    any_,
    bindparam,
    exists,
    func,
    insert,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.sql import Executable

from latchstring.domain.mail import Delivery, DeliveryState, MailKind, MailPriority, OutgoingMail, SuppressionReason
from latchstring.domain.values import id_instant
from latchstring.storage.engine import Database, Row, Step, step
from latchstring.storage.tables import outbox
from latchstring.storage.types import Id, Instant, any_of


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A promised mail as its loader and its sender see it. It holds no address and no link."""

    id: UUID
    kind: MailKind
    subject_id: UUID
    generation: int
    locale: str | None
    state: DeliveryState
    attempts: int

    @property
    def created_at(self) -> datetime:
        return id_instant(self.id)


# ---- promising -------------------------------------------------------------------------------------------------------

OUTBOX_INSERT = insert(outbox).values({column.name: bindparam(column.name, type_=column.type) for column in outbox.c})


def outbox_values(mail: OutgoingMail) -> dict[str, Any]:
    """The columns of one promised mail."""
    return {
        "id": mail.id,
        "kind": mail.kind.value,
        "subject_id": mail.subject_id,
        "generation": mail.generation,
        "priority": int(mail.priority),
        "locale": mail.locale,
        "state": mail.state.value,
        "reason": mail.reason.value if mail.reason else None,
        "due_at": mail.due_at,
        "attempts": 0,
        "lease_owner": None,
        "last_at": None,
        "last_reply": None,
    }


def queue_mail(mail: OutgoingMail) -> Step:
    """Promise a mail: it is sent if, and only if, the transaction commits."""
    return step(OUTBOX_INSERT, **outbox_values(mail))


# ---- what became of it -----------------------------------------------------------------------------------------------

_INVITATION = literal_column("'invitation'")
_other = outbox.alias("newer")

# Join them under these names where an invitation is shown: `read_delivery` takes them from the row.
DELIVERY_COLUMNS: tuple[ColumnElement[Any], ...] = (
    outbox.c.state.label("delivery_state"),
    outbox.c.reason.label("delivery_reason"),
    outbox.c.attempts.label("delivery_attempts"),
    outbox.c.last_at.label("delivery_last_at"),
    outbox.c.last_reply.label("delivery_last_reply"),
)


def newest_invitation_mail(subject_id: ColumnElement[Any]) -> ScalarSelect[Any]:
    """The id of the newest mail that carried the invitation's link: `outerjoin(outbox, outbox.c.id == …)`.

    Notices about an invitation share its subject and do not count. One index lookup a row.
    """
    mail = outbox.alias("mail")
    newest = select(mail.c.id).where(mail.c.subject_id == subject_id, mail.c.kind == _INVITATION)
    return newest.order_by(mail.c.id.desc()).limit(1).scalar_subquery()


def _deliveries() -> Select[Any]:
    newer = exists(
        select(_other.c.id).where(
            _other.c.subject_id == outbox.c.subject_id, _other.c.kind == _INVITATION, _other.c.id > outbox.c.id
        )
    )
    return select(outbox.c.subject_id, *DELIVERY_COLUMNS).where(
        any_of(outbox.c.subject_id, "subject_ids"), outbox.c.kind == _INVITATION, ~newer
    )


FIND_DELIVERIES = _deliveries()
_FORGET_REPLIES = update(outbox).where(any_of(outbox.c.subject_id, "subject_ids")).values(last_reply=null())


def read_delivery(row: Row) -> Delivery | None:
    """The delivery in a row that carries DELIVERY_COLUMNS; None where there never was a mail."""
    if row.delivery_state is None:
        return None
    return Delivery(
        DeliveryState(row.delivery_state),
        SuppressionReason(row.delivery_reason) if row.delivery_reason else None,
        row.delivery_attempts,
        row.delivery_last_at,
        row.delivery_last_reply,
    )


async def find_deliveries(db: Database, invitation_ids: Sequence[UUID]) -> Mapping[UUID, Delivery]:
    """The newest delivery of each invitation, in one query."""
    rows = await db.fetch(FIND_DELIVERIES, subject_ids=invitation_ids)
    return {row.subject_id: found for row in rows if (found := read_delivery(row))}


def forget_replies(subject_ids: Sequence[UUID]) -> Step:
    """Erase what mail servers said about these invitations or people: it often repeats the address."""
    return step(_FORGET_REPLIES, subject_ids=subject_ids)
