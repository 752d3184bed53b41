"""A mail that was promised: what the outbox holds, and what became of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from uuid import UUID


class MailKind(StrEnum):
    """Which message; each has a template of its name."""

    INVITATION = "invitation"
    PASSWORD_RESET = "password-reset"  # noqa: S105  # the name of a message
    EMAIL_VERIFICATION = "email-verification"
    ADMIN_SET_UP = "admin-set-up"
    LINK_REQUESTED = "link-requested"  # tells the inviter that the invited person asked for a fresh link
    INVITATION_DECLINED = "invitation-declined"  # tells the inviter


class MailPriority(IntEnum):
    """Somebody waits at the screen for the urgent ones; smaller goes first."""

    URGENT = 0
    NORMAL = 5
    BULK = 9


class DeliveryState(StrEnum):
    """What became of a mail. Apart from the invitation's state."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    DEFERRED = "DEFERRED"
    BOUNCED = "BOUNCED"
    FAILED = "FAILED"
    SUPPRESSED = "SUPPRESSED"


class SuppressionReason(StrEnum):
    """Why a mail was never sent."""

    UNREGISTERED = "UNREGISTERED"
    ENDED = "ENDED"
    OPTED_OUT = "OPTED_OUT"
    MAIL_OFF = "MAIL_OFF"


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """A row for the outbox. It holds no address and no link: both are made when it is rendered.

    subject_id: the invitation's id for invitations and notices about one, else the user's or the administrator's.
    generation: the link's, for invitations; for links of accounts the number that must still be current.
    """

    id: UUID
    kind: MailKind
    subject_id: UUID
    generation: int
    due_at: datetime | None
    priority: MailPriority = MailPriority.NORMAL
    state: DeliveryState = DeliveryState.QUEUED
    reason: SuppressionReason | None = None
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What an invitation shows of its newest mail."""

    state: DeliveryState
    reason: SuppressionReason | None = None
    attempts: int = 0
    last_attempt_at: datetime | None = None
    last_reply: str | None = None
