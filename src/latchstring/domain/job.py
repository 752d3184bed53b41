"""A job: many rows, each with a verdict, worked on in batches that survive whoever works on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from latchstring.domain.actor import Actor
from latchstring.domain.ids import id_instant


class JobKind(StrEnum):
    """What is done with the rows."""

    INVITE = "invite"


class JobState(StrEnum):
    """How far a job is. DRAFT: its rows are still arriving, or its maker has not confirmed it; nobody works on it."""

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
    """What becomes, or became, of one row that invites somebody."""

    CREATE = "CREATE"
    DUPLICATE = "DUPLICATE"
    MEMBER = "MEMBER"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """How a job stands. total is None until its rows are read; done = created + skipped + refused.

    options: what its kind needs besides the rows. cause: why it FAILED, as a code.
    """

    id: UUID
    kind: str
    maker: Actor
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
    """What became of one row. Rows are counted from 1. source: the row as it came, of those that can be mended.

    duplicate_of: the earlier row of this job with the same terms, of a row that repeats it.
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
    """Which rows of a job: of one of these statuses; none means any."""

    statuses: tuple[str, ...] = ()


EVERY_ROW = RowFilter()
