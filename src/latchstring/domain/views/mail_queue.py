"""Mails of the outbox, for administrators."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from latchstring.domain.ids import id_instant
from latchstring.domain.mail import DeliveryState, MailKind, SuppressionReason
from latchstring.domain.views.audit_log import NamedSubject

RETRIABLE = (DeliveryState.DEFERRED, DeliveryState.BOUNCED, DeliveryState.FAILED)
DROPPABLE = (DeliveryState.QUEUED, DeliveryState.DEFERRED)


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A mail of the outbox. about: its invitation, user or administrator; None after that was deleted."""

    id: UUID
    kind: MailKind | str
    subject_id: UUID
    generation: int
    locale: str | None
    state: DeliveryState
    reason: SuppressionReason | None
    attempts: int
    due_at: datetime | None
    is_leased: bool
    last_at: datetime | None
    last_reply: str | None
    about: NamedSubject | None = None

    @property
    def created_at(self) -> datetime:
        return id_instant(self.id)

    @property
    def can_be_retried(self) -> bool:
        """Whether the mail can be retried, judging by its row alone."""
        return self.state in RETRIABLE and not self.is_leased

    @property
    def can_be_dropped(self) -> bool:
        """Whether the mail is still waiting to be sent."""
        return self.state in DROPPABLE and self.due_at is not None and not self.is_leased


class InterventionResult(StrEnum):
    """The result of retrying or dropping a mail.

    IN_PROGRESS: a worker is sending it. FINISHED: it was sent or dropped meanwhile. OBSOLETE: its subject ended.
    """

    DONE = "done"
    IN_PROGRESS = "held"
    FINISHED = "over"
    OBSOLETE = "ended"
