"""What needs somebody's attention."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from latchstring.domain.mail import DeliveryState, MailKind


@dataclass(frozen=True, slots=True)
class Expiring:
    """A pending invitation whose link runs out soon."""

    id: UUID
    email: str
    first_name: str | None
    last_name: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Trouble:
    """A mail that does not get through, of something that still matters. email: of the invited person, if about one."""

    id: UUID
    kind: MailKind
    state: DeliveryState
    subject_id: UUID
    attempts: int
    due_at: datetime | None
    last_at: datetime | None
    last_reply: str | None
    email: str | None
