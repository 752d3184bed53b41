"""Read the delivery states of invitation mails."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import select

from latchstring.domain.mail import Delivery
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import outbox
from latchstring.storage.engine.types import any_of
from latchstring.storage.outbox.outbox import DELIVERY_COLUMNS, newest_invitation_mail, read_delivery

_DELIVERIES = select(outbox.c.subject_id, *DELIVERY_COLUMNS).where(
    any_of(outbox.c.subject_id, "subject_ids"), outbox.c.id == newest_invitation_mail(outbox.c.subject_id)
)


async def find_deliveries(db: Database, invitation_ids: Sequence[UUID]) -> Mapping[UUID, Delivery]:
    """Return the newest delivery of each invitation that has one."""
    rows = await db.fetch(_DELIVERIES, subject_ids=invitation_ids)
    return {row.subject_id: delivery for row in rows if (delivery := read_delivery(row))}
