"""Invitations and mails that need attention."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from latchstring.domain.mail import DeliveryState, MailKind


@dataclass(frozen=True, slots=True)
class ExpiringInvitation:
    """A pending invitation whose link expires soon."""

    id: UUID
    email: str
    first_name: str | None
    last_name: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class UndeliveredMail:
    """An undelivered mail that is still relevant. email: of the invitee, for mails about an invitation."""

    id: UUID
    kind: MailKind
    state: DeliveryState
    subject_id: UUID
    attempts: int
    due_at: datetime | None
    last_at: datetime | None
    last_reply: str | None
    email: str | None
