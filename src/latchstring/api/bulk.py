"""Bulk invitations."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from latchstring.api.job_views import JobStartedView, RowView, report_chunks
from latchstring.domain.errors import MailDisabled, TooManyRequests
from latchstring.domain.idempotency import StoredAnswer
from latchstring.domain.job import Job
from latchstring.domain.principal import Principal
from latchstring.formats.field_types import Flag
from latchstring.formats.fields import Query
from latchstring.formats.invitation_input import NewInvitation
from latchstring.formats.row_spool import SpooledRows
from latchstring.formats.uploads import UploadedRows
from latchstring.http.authentication import Caller
from latchstring.http.responses import JSON, Answer, stored_answer
from latchstring.http.streams import streamed_answer
from latchstring.rest.idempotency import Idempotency
from latchstring.rest.pagination import PageView
from latchstring.rest.route import operation
from latchstring.services import Services


class BulkQuery(Query):
    """Whether to validate only."""

    dry_run: Flag = False


@operation(
    "POST",
    "/api/invitations/bulk",
    "Invite in bulk",
    tag="Invitations",
    permission="invitations:write",
    answers={200: PageView[RowView], 202: JobStartedView},
    problems=[MailDisabled, TooManyRequests],
    upload_of=NewInvitation,
    sets_location=True,
)
async def invite_many(
    services: Services, caller: Caller, query: BulkQuery, upload: UploadedRows, idempotency: Idempotency
) -> Answer:
    """A JSON array of invitations, or `text/csv` with a header row of the same field names. Up to 64 MiB.

    In CSV, lists in a cell are separated by `;`, objects are written `type/key:ROLE`, and `metadata` is JSON.

    Each row follows the rules of a single invitation. A row that breaks a rule is refused with a reason; the others
    are processed. With `dryRun=true` nothing is stored, and the response contains the result of each row. Otherwise
    the rows are stored and processed as a job. Mails of the job are sent after all other mails.
    """
    by = caller.require()
    if query.dry_run:
        return await _answer_dry_run(services, upload, by)
    return await idempotency.run_streamed(
        lambda once: services.invitations.bulk.start(upload, by=by, once=once),
        _present_job,
        raw=lambda: [upload.media_type, upload.digest],
    )


def _present_job(job: Job) -> StoredAnswer:
    return stored_answer(JobStartedView(job_id=job.id), 202, location=f"/api/jobs/{job.id}")


async def _answer_dry_run(services: Services, upload: UploadedRows, by: Principal) -> Answer:
    rows = SpooledRows(upload.media_type)
    try:
        await rows.fill(upload)
        return await streamed_answer(_report_dry_run(services, rows, by), [(b"content-type", JSON)])
    except BaseException:
        rows.close()
        raise


async def _report_dry_run(services: Services, rows: SpooledRows, by: Principal) -> AsyncIterator[bytes]:
    with rows:
        async with aclosing(services.invitations.bulk.preview_rows(rows, by=by)) as results:
            async for chunk in report_chunks(results):
                yield chunk


routes = (invite_many,)
