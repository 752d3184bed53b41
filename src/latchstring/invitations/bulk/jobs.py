"""Bulk jobs that invite: preview the rows, start a job, read its results, cancel it.

    job = await services.invitations.bulk.start(rows, by=principal, name="spring-cohort.csv")
    job = await services.invitations.bulk.get(job.id, by=principal)

Rows are batches of JSON values: objects with the fields of a create request, or lists of cells whose columns the
options name. At most one batch is in memory.
"""

import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from latchstring.domain.actor import ActorType
from latchstring.domain.errors import FieldProblem, InvalidFields, JobFinished, JobNotFound
from latchstring.domain.event import new_event
from latchstring.domain.idempotency import Once
from latchstring.domain.ids import new_id
from latchstring.domain.job import EVERY_ROW, Job, JobKind, JobRow, JobState, RowFilter, RowStatus
from latchstring.domain.pagination import Cursor, Page
from latchstring.domain.principal import Principal
from latchstring.events.record import record
from latchstring.invitations.bulk.first_rows import FirstRowByTerms, open_first_rows
from latchstring.invitations.bulk.run_batch import refuse_blocked
from latchstring.invitations.bulk.validate import RowValidator
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.permissions import READ, WRITE
from latchstring.invitations.validate import require_delivery_channel
from latchstring.storage.engine.database import Work, single_step
from latchstring.storage.engine.idempotency import store_answer
from latchstring.storage.invitations.bulk_insert import find_blockers
from latchstring.storage.jobs.jobs import (
    cancel_job,
    delete_job,
    find_job,
    find_next_part,
    insert_job,
    insert_part,
    list_drafts,
    list_jobs,
    purge_jobs,
    queue_job,
    store_preview_counts,
    update_draft,
)
from latchstring.storage.jobs.rows import clear_rows, count_by_status, insert_rows, list_rows

BATCH_ROWS = 1000
BATCH_BYTES = 512 * 1024
REPORT_PAGE_SIZE = 500  # rows of a report that is read as a whole
DRAFT_RETENTION = timedelta(days=1)
Rows = Sequence[object]


class RowSource(Protocol):
    """A source of rows. options: complete once the last row was read; `columns` for lists of cells."""

    @property
    def media_type(self) -> str: ...

    @property
    def options(self) -> Mapping[str, object]: ...

    def __aiter__(self) -> AsyncIterator[Rows]: ...


@dataclass(frozen=True, slots=True)
class DraftedRows:
    """The rows of a draft."""

    bulk: "BulkJobs"
    draft: Job

    @property
    def media_type(self) -> str:
        return self.draft.media_type

    @property
    def options(self) -> Mapping[str, object]:
        return self.draft.options

    def __aiter__(self) -> AsyncIterator[Rows]:
        return self.bulk.rows_of_draft(self.draft)


@dataclass(frozen=True, slots=True)
class BulkJobs:
    """Jobs that invite, for the callers that create them."""

    deps: InvitationDependencies
    validator: RowValidator

    # ---- preview -----------------------------------------------------------------------------------------------------

    async def preview_rows(
        self, rows: RowSource, *, by: Principal, options: Mapping[str, object] | None = None
    ) -> AsyncGenerator[list[JobRow]]:
        """The result that each row would have now, in batches, in order. Nothing is stored or sent.

        options: used instead of the source's. Raises NotAllowed, MailDisabled before the first batch.
        """
        by.require(WRITE)
        require_delivery_channel(by, self.deps.mail_rules)
        first = 1
        with open_first_rows() as first_rows:
            async for batch in _batches(rows):
                batch_options = rows.options if options is None else options
                yield await self._preview(batch, first=first, options=batch_options, by=by, first_rows=first_rows)
                first += len(batch)

    async def _preview(
        self, sources: Rows, *, first: int, options: Mapping[str, object], by: Principal, first_rows: FirstRowByTerms
    ) -> list[JobRow]:
        now = self.deps.clock()
        rows = await self.validator.validate(sources, first=first, options=options, by=by, now=now)
        terms_keys = {row.terms_key for row in rows if row.new is not None and row.terms_key is not None}
        blockers = await find_blockers(self.deps.db, terms_keys, now=now) if terms_keys else {}
        earlier_rows = first_rows.find(terms_keys)
        results: dict[int, JobRow] = {}
        for row in rows:
            if row.new is not None and row.duplicate_of is not None:
                results[row.row] = row.result_of_duplicate(results[row.duplicate_of.row])
                continue
            if row.new is not None and row.terms_key in earlier_rows:
                row.refuse_as_duplicate(earlier_rows[row.terms_key])
            elif row.new is not None and row.terms_key in blockers:
                refuse_blocked(row, blockers[row.terms_key], None, by)
            results[row.row] = replace(row.result(), invitation_id=row.blocker_id)  # new ones have no id yet
        first_rows.add({row.terms_key: row.row for row in rows if row.status is RowStatus.CREATE and row.terms_key})
        return list(results.values())

    # ---- start -------------------------------------------------------------------------------------------------------

    async def start(
        self,
        rows: RowSource,
        *,
        by: Principal,
        name: str | None = None,
        once: Callable[[], Once | None] = lambda: None,
    ) -> Job:
        """Store the rows and queue a job for the workers.

        An upload counts once for the inviter's limit; the limit per recipient is counted for each row. once: called
        when all rows have been read. Raises NotAllowed, TooManyRequests, MailDisabled, InvalidFields without any row,
        AnswerStored, and what the source raises; nothing is stored then.
        """
        by.require(WRITE)
        self.deps.limiter.check_inviter(by.id)
        require_delivery_channel(by, self.deps.mail_rules)
        draft = await self.create_draft(rows, by=by, name=name)
        try:
            return await self._queue(draft, by=by, once=once())
        except BaseException:
            await self.deps.db.transact(lambda: single_step(delete_job(draft.id)))
            raise

    async def create_draft(self, rows: RowSource, *, by: Principal, name: str | None = None) -> Job:
        """Store rows as a draft that no worker processes before it is confirmed; deleted after a day.

        Raises NotAllowed, InvalidFields without any row, and what the source raises; nothing is stored then.
        """
        by.require(WRITE)
        db, now = self.deps.db, self.deps.clock()
        job = Job(id=new_id(now), kind=JobKind.INVITE, creator=by.actor, media_type=rows.media_type, name=name)
        await db.transact(lambda: single_step(insert_job(job)))
        try:
            described = replace(job, total=await self._store_parts(job, rows), options=dict(rows.options))
            await self.update_draft(described)
        except BaseException:
            await db.transact(lambda: single_step(delete_job(job.id)))
            raise
        return described

    async def _store_parts(self, job: Job, rows: RowSource) -> int:
        total = 0
        async for batch in _batches(rows):
            body, first = encode_rows(batch), total + 1
            await self.deps.db.transact(lambda: single_step(insert_part(job.id, first, body)))  # noqa: B023
            total += len(batch)
        if not total:
            raise InvalidFields([FieldProblem("", "empty", "Send at least one row.")])
        return total

    async def update_draft(self, job: Job) -> None:
        """Store the options, total and name of a draft. Raises JobLost when it is no longer a draft."""
        await self.deps.db.transact(lambda: update_draft(job.id, options=job.options, total=job.total, name=job.name))

    async def check(self, job_id: UUID, *, by: Principal) -> Job:
        """Preview the rows of a draft and store the results and their counts with it while it is a draft.

        Raises NotAllowed, JobNotFound, MailDisabled.
        """
        draft, db = await self.get_draft(job_id, by=by), self.deps.db
        await db.transact(lambda: single_step(clear_rows(draft.id)))
        counts: Counter[str] = Counter()
        async for batch in self.preview_rows(DraftedRows(self, draft), by=by):
            counts.update(row.status for row in batch)
            await db.transact(lambda: single_step(insert_rows(db.dialect_name, draft.id, batch)))  # noqa: B023
        created, refused = counts[RowStatus.CREATE], counts[RowStatus.REFUSED]
        skipped = counts.total() - created - refused
        return await db.transact(
            lambda: store_preview_counts(draft.id, created=created, skipped=skipped, refused=refused)
        )

    async def confirm(self, job_id: UUID, *, by: Principal) -> Job:
        """Queue a draft of the caller for the workers. Raises JobNotFound, NotAllowed, MailDisabled."""
        draft = await self.get_draft(job_id, by=by)
        require_delivery_channel(by, self.deps.mail_rules)
        return await self._queue(draft, by=by, once=None)

    async def _queue(self, draft: Job, *, by: Principal, once: Once | None) -> Job:
        now, db = self.deps.clock(), self.deps.db
        queued = replace(draft, state=JobState.QUEUED)
        event = new_event("job.queued", draft.id, by=by.actor, now=now, kind=draft.kind, total=draft.total)
        answer = None if once is None else once.answer(queued)

        def work() -> Work[None]:
            if once is not None and answer is not None:
                yield from store_answer(db.dialect_name, once.claim, answer, subject_id=draft.id, now=now)
            yield from queue_job(draft.id, now=now)
            yield record(event)

        await db.transact(work)
        self.deps.wake_worker()
        return queued

    # ---- read and cancel ---------------------------------------------------------------------------------------------

    async def get(self, job_id: UUID, *, by: Principal) -> Job:
        """A job of the caller, or any job for callers with `invitations:read`. Raises JobNotFound."""
        job = await find_job(self.deps.db, job_id)
        if job is None or job.state is JobState.DRAFT or not (by.can(READ) or _is_creator(job, by)):
            raise JobNotFound("There is no such job.")
        return job

    async def get_draft(self, job_id: UUID, *, by: Principal) -> Job:
        """A draft of the caller. Raises NotAllowed, JobNotFound."""
        by.require(WRITE)
        job = await find_job(self.deps.db, job_id)
        if job is None or job.state is not JobState.DRAFT or not _is_creator(job, by):
            raise JobNotFound("There is no such upload any more.")
        return job

    async def drop_draft(self, job_id: UUID, *, by: Principal) -> None:
        """Delete a draft of the caller. Raises NotAllowed, JobNotFound."""
        draft = await self.get_draft(job_id, by=by)
        await self.deps.db.transact(lambda: single_step(delete_job(draft.id)))

    async def rows_of_draft(self, job: Job) -> AsyncIterator[Rows]:
        """The rows of a draft as they were sent, in batches."""
        after = 0
        while (part := await find_next_part(self.deps.db, job.id, after=after)) is not None:
            after, body = part
            yield json.loads(body)

    async def list_jobs(self, *, by: Principal, limit: int) -> Sequence[Job]:
        """Jobs, newest first: all for callers with `invitations:read`, else the caller's own."""
        creator = None if by.can(READ) else by.actor
        return (await list_jobs(self.deps.db, created_by=creator, limit=limit)).items

    async def list_drafts(self, *, by: Principal, limit: int) -> Sequence[Job]:
        """The caller's drafts of the last day, newest first."""
        since = self.deps.clock() - DRAFT_RETENTION
        return (await list_drafts(self.deps.db, by.actor, since=since, limit=limit)).items

    async def count_rows(self, job: Job) -> dict[str, int]:
        """The number of rows of a job by status. Get the job first."""
        return await count_by_status(self.deps.db, job.id)

    async def list_rows(
        self, job: Job, *, cursor: Cursor | None = None, limit: int, row_filter: RowFilter = EVERY_ROW
    ) -> Page[JobRow]:
        """A page of the row results of a job. Get the job first."""
        return await list_rows(self.deps.db, job.id, cursor=cursor, limit=limit, row_filter=row_filter)

    async def all_rows(self, job: Job, *, row_filter: RowFilter = EVERY_ROW) -> AsyncIterator[Sequence[JobRow]]:
        """All row results so far, in batches, for a report."""
        cursor: Cursor | None = None
        while True:
            page = await list_rows(
                self.deps.db, job.id, cursor=cursor, limit=REPORT_PAGE_SIZE, row_filter=row_filter, is_counted=False
            )
            if page.items:
                yield page.items
            cursor = page.next
            if cursor is None:
                return

    async def cancel(self, job_id: UUID, *, by: Principal) -> None:
        """Cancel a job; invitations that it has created stay. Raises JobNotFound, NotAllowed, JobFinished."""
        job = await self.get(job_id, by=by)
        by.require(WRITE)
        now = self.deps.clock()
        event = new_event("job.cancelled", job.id, by=by.actor, now=now)

        def work() -> Work[bool]:
            stopped = yield from cancel_job(job.id, now=now)
            if stopped:
                yield record(event)
            return stopped

        if not await self.deps.db.transact(work):
            raise JobFinished("This job has ended already.")

    async def purge(self) -> bool:
        """Delete a batch of reports past retention and of expired drafts. True: there may be more."""
        now = self.deps.clock()
        before = now - self.deps.rules.retention
        return await purge_jobs(self.deps.db, finished_before=before, drafted_before=now - DRAFT_RETENTION)


def _is_creator(job: Job, by: Principal) -> bool:
    return job.creator == by.actor and by.type is not ActorType.SYSTEM


# ---- batches ---------------------------------------------------------------------------------------------------------


def encode_rows(rows: Rows) -> bytes:
    """Encode rows for storage. Numbers of any length are preserved."""
    try:
        return msgspec.json.encode(rows)
    except (OverflowError, ValueError):
        return json.dumps(rows, ensure_ascii=False).encode()


async def _batches(rows: RowSource) -> AsyncIterator[list[object]]:
    """The rows in batches of the size of one transaction."""
    batch: list[object] = []
    size = 0
    async for rows_read in rows:
        for row in rows_read:
            batch.append(row)
            size += _size_of(row)
            if len(batch) >= BATCH_ROWS or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def _size_of(row: object) -> int:
    """The approximate size of a row in bytes; accurate for long rows."""
    if isinstance(row, str):
        return len(row)
    if isinstance(row, Mapping):
        return sum(_size_of(value) + len(key) for key, value in row.items())
    return sum(map(_size_of, row)) if isinstance(row, list) else 8
