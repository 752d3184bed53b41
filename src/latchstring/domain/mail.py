"""Mails of the outbox and their delivery."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from uuid import UUID


class MailKind(StrEnum):
    """The kind of message. Each has a mail template of this name."""

    INVITATION = "invitation"
    PASSWORD_RESET = "password-reset"  # noqa: S105  # the name of a message
    EMAIL_VERIFICATION = "email-verification"
    ADMIN_SET_UP = "admin-set-up"
    LINK_REQUESTED = "link-requested"  # notice to the inviter: the invitee requested a new link
    INVITATION_DECLINED = "invitation-declined"  # notice to the inviter


class MailPriority(IntEnum):
    """Lower numbers are sent first. URGENT: the user is waiting for this mail."""

    URGENT = 0
    NORMAL = 5
    BULK = 9


class DeliveryState(StrEnum):
    """The delivery state of a mail, independent of the invitation's state."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    DEFERRED = "DEFERRED"
    BOUNCED = "BOUNCED"
    FAILED = "FAILED"
    SUPPRESSED = "SUPPRESSED"


class SuppressionReason(StrEnum):
    """Why a mail was not sent."""

    UNREGISTERED = "UNREGISTERED"
    ENDED = "ENDED"
    OPTED_OUT = "OPTED_OUT"
    MAIL_OFF = "MAIL_OFF"


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """A row of the outbox. It contains no address and no link: both are created when the mail is rendered.

    subject_id: the id of the invitation, for invitations and notices about one; else of the user or administrator.
    generation: of the invitation's link; for links of accounts the link_generation, which must still be current.
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
    """The delivery of an invitation's newest mail."""

    state: DeliveryState
    reason: SuppressionReason | None = None
    attempts: int = 0
    last_attempt_at: datetime | None = None
    last_reply: str | None = None
