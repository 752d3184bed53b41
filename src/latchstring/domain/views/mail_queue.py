"""Mails of the outbox as an operator looks at them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from latchstring.domain.ids import id_instant
from latchstring.domain.mail import DeliveryState, MailKind, SuppressionReason
from latchstring.domain.views.audit_log import Named

RETRIABLE = (DeliveryState.DEFERRED, DeliveryState.BOUNCED, DeliveryState.FAILED)
DROPPABLE = (DeliveryState.QUEUED, DeliveryState.DEFERRED)


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A mail of the outbox. about: the invitation or person it concerns; None when that is gone."""

    id: UUID
    kind: MailKind | str
    subject_id: UUID
    generation: int
    locale: str | None
    state: DeliveryState
    reason: SuppressionReason | None
    attempts: int
    due_at: datetime | None
    is_held: bool
    last_at: datetime | None
    last_reply: str | None
    about: Named | None = None

    @property
    def created_at(self) -> datetime:
        return id_instant(self.id)

    @property
    def can_be_retried(self) -> bool:
        """Whether asking for another try makes sense, as far as the row itself knows."""
        return self.state in RETRIABLE and not self.is_held

    @property
    def can_be_dropped(self) -> bool:
        """Whether there is something left to stop."""
        return self.state in DROPPABLE and self.due_at is not None and not self.is_held


class InterventionResult(StrEnum):
    """What came of asking for another try, or for an end.

    held: a worker has it in hand. over: it left or ended a moment before. ended: what it was about is over.
    """

    DONE = "done"
    HELD = "held"
    OVER = "over"
    ENDED = "ended"
