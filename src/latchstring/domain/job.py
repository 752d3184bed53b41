"""Jobs: many rows, each with a result, processed in batches. Another worker continues after a crash."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from latchstring.domain.actor import Actor
from latchstring.domain.ids import id_instant


class JobKind(StrEnum):
    """What a job does with its rows."""

    INVITE = "invite"


class JobState(StrEnum):
    """The state of a job. DRAFT: rows are still arriving, or the job is not confirmed yet; no worker processes it."""

    DRAFT = "DRAFT"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"

    @property
    def is_finished(self) -> bool:
        return self in {JobState.DONE, JobState.CANCELLED, JobState.FAILED}


class RowStatus(StrEnum):
    """The result, or the predicted result, of a row that invites a person."""

    CREATE = "CREATE"
    DUPLICATE = "DUPLICATE"
    MEMBER = "MEMBER"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job with its progress. total is None until all rows are read; done = created + skipped + refused.

    options: settings of its kind. cause: the code of the reason for FAILED.
    """

    id: UUID
    kind: str
    creator: Actor
    media_type: str
    state: JobState = JobState.DRAFT
    name: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    total: int | None = None
    done: int = 0
    created: int = 0
    skipped: int = 0
    refused: int = 0
    cause: str | None = None
    finished_at: datetime | None = None

    @property
    def created_at(self) -> datetime:
        return id_instant(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """The result of one row. Rows are numbered from 1. source: the row as received, if it can be corrected.

    duplicate_of: the number of the earlier row of this job with the same terms.
    """

    row: int
    status: str
    code: str | None = None
    detail: str | None = None
    email: str | None = None
    email_key: str | None = None
    invitation_id: UUID | None = None
    source: object = None
    duplicate_of: int | None = None


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Filter of the rows of a job. No statuses means any."""

    statuses: tuple[str, ...] = ()


EVERY_ROW = RowFilter()
