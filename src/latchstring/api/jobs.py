"""Jobs: state, report and cancellation."""

from collections.abc import AsyncIterator, Sequence
from typing import Literal
from uuid import UUID

from starlette.requests import Request
from starlette.types import Scope

from latchstring.api.job_views import (
    JobView,
    RowView,
    job_view,
    report_chunks,
    row_view,
)
from latchstring.api.pagination import answer_page, parse_cursor
from latchstring.domain.errors import JobFinished, JobNotFound, NotAllowed
from latchstring.domain.job import Job, RowFilter
from latchstring.formats.fields import Query
from latchstring.formats.job_report import REPORT_COLUMNS, row_cells
from latchstring.http.authentication import Caller
from latchstring.http.responses import JSON, Answer, empty_answer, json_answer
from latchstring.http.scope import find_header
from latchstring.http.streams import csv_answer, streamed_answer
from latchstring.rest.pagination import DEFAULT_LIMIT, CursorText, Limit, PageView
from latchstring.rest.route import operation
from latchstring.services import Services

TAG = "Jobs"


class ReportQuery(Query):
    """Filters of rows. Without `limit` and `cursor`, all rows are returned at once."""

    limit: Limit | None = None
    cursor: CursorText | None = None
    status: Literal["CREATE", "DUPLICATE", "MEMBER", "REFUSED"] | None = None


@operation("GET", "/api/jobs/{job_id:uuid}", "Show a job", tag=TAG, answers={200: JobView}, problems=[JobNotFound])
async def get_job(services: Services, caller: Caller, job_id: UUID) -> Answer:
    """A job is visible to the caller that started it, and to callers with `invitations:read`."""
    return json_answer(job_view(await services.invitations.bulk.get(job_id, by=caller.require())))


@operation(
    "GET",
    "/api/jobs/{job_id:uuid}/report",
    "List the row results of a job",
    tag=TAG,
    answers={200: PageView[RowView]},
    problems=[JobNotFound],
    downloads=True,
)
async def get_job_report(
    request: Request, services: Services, caller: Caller, job_id: UUID, query: ReportQuery
) -> Answer:
    """The rows processed so far, in their order.

    With `Accept: text/csv`, a spreadsheet of all rows in which no cell is a formula.
    """
    job = await services.invitations.bulk.get(job_id, by=caller.require())
    row_filter = RowFilter(() if query.status is None else (query.status,))
    if _accepts_only_csv(request.scope):
        return await csv_answer(_read_lines(services, job, row_filter), f"report-{job.id}")
    if query.limit is None and query.cursor is None:
        rows = services.invitations.bulk.all_rows(job, row_filter=row_filter)
        return await streamed_answer(report_chunks(rows), [(b"content-type", JSON)])
    return await _answer_page(services, job, query, row_filter)


def _accepts_only_csv(scope: Scope) -> bool:
    accepted = find_header(scope, b"accept") or b""
    return b"text/csv" in accepted.lower() and b"json" not in accepted.lower()


async def _read_lines(services: Services, job: Job, row_filter: RowFilter) -> AsyncIterator[Sequence[object]]:
    yield REPORT_COLUMNS
    async for rows in services.invitations.bulk.all_rows(job, row_filter=row_filter):
        for row in rows:
            yield row_cells(row)


async def _answer_page(services: Services, job: Job, query: ReportQuery, row_filter: RowFilter) -> Answer:
    list_id = f"job:{job.id}:{query.status}"
    cursor = parse_cursor(services, list_id, query.cursor)
    limit = query.limit or DEFAULT_LIMIT
    page = await services.invitations.bulk.list_rows(job, cursor=cursor, limit=limit, row_filter=row_filter)
    return answer_page(services, list_id, page, row_view)


@operation(
    "DELETE",
    "/api/jobs/{job_id:uuid}",
    "Cancel a job",
    tag=TAG,
    answers={204: None},
    problems=[JobNotFound, JobFinished, NotAllowed],
)
async def cancel_job(services: Services, caller: Caller, job_id: UUID) -> Answer:
    """Processed rows stay processed. The job can still be read, as CANCELLED."""
    await services.invitations.bulk.cancel(job_id, by=caller.require())
    return empty_answer()


routes = (get_job, get_job_report, cancel_job)
