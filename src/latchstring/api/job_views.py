"""Views of jobs and row results."""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Literal
from uuid import UUID

from latchstring.domain.job import Job, JobRow
from latchstring.http.responses import View, encode


class JobStartedView(View):
    """The id of the new job."""

    job_id: UUID


class JobView(View):
    """The state of a job. total: null until its rows are read. done = created + skipped + refused.

    cause: the code of the failure if it FAILED, otherwise null.
    """

    id: UUID
    state: Literal["QUEUED", "RUNNING", "DONE", "CANCELLED", "FAILED"]
    total: int | None
    done: int
    created: int
    skipped: int
    refused: int
    cause: str | None
    created_at: datetime
    finished_at: datetime | None


class RowView(View, omit_defaults=True):
    """The result of one row. Rows are numbered from 1, which is the first row below the header of a spreadsheet.

    code and detail: why no invitation was created. invitationId: the new invitation, or the one that prevents it.
    """

    row: int
    status: Literal["CREATE", "DUPLICATE", "MEMBER", "REFUSED"]
    code: str | None = None
    detail: str | None = None
    email: str | None = None
    invitation_id: UUID | None = None


def job_view(job: Job) -> JobView:
    """Make the view of a job that is not a draft."""
    return JobView(
        id=job.id,
        state=job.state.value,  # type: ignore[arg-type]  # drafts are never returned
        total=job.total,
        done=job.done,
        created=job.created,
        skipped=job.skipped,
        refused=job.refused,
        cause=job.cause,
        created_at=job.created_at,
        finished_at=job.finished_at,
    )


def row_view(row: JobRow) -> RowView:
    """Make the view of one row result."""
    return RowView(
        row=row.row,
        status=row.status,  # type: ignore[arg-type]  # of a job that invites
        code=row.code,
        detail=row.detail,
        email=row.email,
        invitation_id=row.invitation_id,
    )


async def report_chunks(batches: AsyncIterator[Iterable[JobRow]]) -> AsyncIterator[bytes]:
    """Yield a complete report in chunks, while its rows are read."""
    prefix, total = b'{"items":[', 0
    async for rows in batches:
        items = [encode(row_view(row)) for row in rows]
        yield prefix + b",".join(items)
        prefix = b"," if items or total else prefix
        total += len(items)
    start = b"" if total else b'{"items":['
    yield start + b'],"nextCursor":null,"total":%d}' % total
