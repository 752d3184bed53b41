"""Invite the rows of a job. Each batch is one transaction, with its results and counts.

A batch is one stored part. A worker that takes over a job starts after the last committed batch, so each row is
processed exactly once.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from latchstring.domain.actor import SYSTEM, ActorType
from latchstring.domain.errors import AlreadyInvited, InviterNotAllowed, MailDisabled, NotAllowed, StorageBusy
from latchstring.domain.event import Event, new_event
from latchstring.domain.job import Job, JobRow, JobState, RowStatus
from latchstring.domain.principal import Principal, can_grant_content
from latchstring.events.record import record
from latchstring.invitations.bulk.validate import RowValidator, ValidatedRow, copy_rows
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.permissions import READ, WRITE
from latchstring.invitations.principals import find_principal, load_authority
from latchstring.invitations.validate import require_delivery_channel
from latchstring.storage.content.objects import load_levels, share_lock_objects
from latchstring.storage.engine.database import ATTEMPTS, Work
from latchstring.storage.groups.groups import share_lock_groups_by_id
from latchstring.storage.invitations.bulk_insert import Blocker, InsertedBatch, insert_invitations
from latchstring.storage.invitations.create import InvitationInsert
from latchstring.storage.jobs.jobs import JobLost, advance_job, find_part, finish_job, lock_job
from latchstring.storage.jobs.rows import insert_rows, load_rows_by_invitation

ROWS_MISSING = "rows-missing"


class _StaleValidation(Exception):
    """Data that the validation relied on has changed: validate the rows again."""


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """A validated batch. rows: None when no part begins at `first`.

    authority: what decides about the creator's rights, as it was read. obstacle: why the creator may not invite at all.
    """

    first: int
    now: datetime
    rows: Sequence[ValidatedRow] | None = None
    by: Principal | None = None
    authority: object = None
    obstacle: str | None = None

    @property
    def next_row(self) -> int:
        """The first row after the batch."""
        return self.first + len(self.rows or ())


@dataclass(frozen=True, slots=True)
class InviteRowsJob:
    """Processes jobs that invite: a worker prepares and processes batches until the job has ended."""

    deps: InvitationDependencies
    validator: RowValidator

    @property
    def prepares_ahead(self) -> bool:
        """Whether the next batch is validated while one is stored.

        Not on SQLite: its writer runs in this process and would wait for the interpreter after each row.
        """
        return self.deps.db.dialect_name == "postgresql"

    async def prepare(self, job: Job, first: int) -> PreparedBatch:
        """Validate the batch that begins at this row. Changes nothing."""
        now, db = self.deps.clock(), self.deps.db
        body = await find_part(db, job.id, first)
        if body is None:
            return PreparedBatch(first, now)
        authority = await db.transact(lambda: load_authority(job.creator, now=now))
        by = await find_principal(db, self.deps.users, job.creator, now=now)
        obstacle = self._find_obstacle(by)
        if by is None or obstacle is not None:
            return PreparedBatch(first, now, (), obstacle=obstacle)
        sources, options = json.loads(body), job.options
        rows = await self.validator.validate(sources, first=first, options=options, by=by, now=now, jobId=str(job.id))
        return PreparedBatch(first, now, rows, by, authority)

    def _find_obstacle(self, by: Principal | None) -> str | None:
        """The error code when the creator may not invite at all, or None."""
        if by is None:
            return InviterNotAllowed.code
        try:
            by.require(WRITE)
            require_delivery_channel(by, self.deps.mail_rules)
        except (NotAllowed, MailDisabled) as error:
            return error.code
        return None

    async def process(self, job: Job, owner: UUID, until: datetime, batch: PreparedBatch) -> Job:
        """Store a prepared batch and extend the lease on the job to `until`; returns the updated job.

        Raises JobLost when the job was cancelled or another worker has the lease, StorageBusy, StorageUnreachable.
        """
        for attempt in range(ATTEMPTS):
            if batch.rows is None:
                is_complete = job.done == job.total
                state, cause = (JobState.DONE, None) if is_complete else (JobState.FAILED, ROWS_MISSING)
                return await self._end(job, owner, state, cause)
            if batch.by is None:
                return await self._end(job, owner, JobState.FAILED, batch.obstacle)
            # in the last attempt, rows whose targets were deleted are refused instead of validated again
            is_last = attempt == ATTEMPTS - 1
            try:
                after = await self.deps.db.transact(
                    lambda: self._run(job, owner, until, batch, is_last_attempt=is_last)  # noqa: B023
                )
            except _StaleValidation:
                batch = await self.prepare(job, job.done + 1)
            else:
                self.deps.wake_worker()
                return after
        raise StorageBusy("Permissions are being changed by many at once.")

    async def fail(self, job: Job, owner: UUID, cause: str) -> Job:
        """End a job that cannot continue. Invitations that it has created stay."""
        return await self._end(job, owner, JobState.FAILED, cause)

    async def _end(self, job: Job, owner: UUID, state: JobState, cause: str | None) -> Job:
        now = self.deps.clock()

        def work() -> Work[Job]:
            ended = yield from finish_job(job, owner, state, cause=cause, now=now)
            yield record(_finished_event(ended, now))
            return ended

        return await self.deps.db.transact(work)

    # ---- the transaction ---------------------------------------------------------------------------------------------

    def _run(self, job: Job, owner: UUID, until: datetime, batch: PreparedBatch, *, is_last_attempt: bool) -> Work[Job]:
        """Invite the rows of a batch and add its results to the job.

        is_last_attempt: refuse rows whose targets were deleted instead of validating them again.
        """
        if batch.by is None or batch.first != job.done + 1:
            raise JobLost
        by, now = batch.by, batch.now
        rows = copy_rows(batch.rows or ())  # a retried transaction must start from the unchanged validation results
        yield from lock_job(job, owner, until=until)
        yield from _check_authority(job, batch)

        to_create = [row for row in rows if row.new is not None and row.duplicate_of is None]
        missing_ids = yield from _find_missing_targets(to_create)
        if missing_ids:
            if not is_last_attempt:
                raise _StaleValidation
            _refuse_without_targets(to_create, missing_ids)
        new_by_terms = [
            (row.terms_key, row.new) for row in to_create if row.new is not None and row.terms_key is not None
        ]
        new_by_terms.sort(key=lambda pair: pair[0].int)  # in one order: two batches with the same terms cannot deadlock
        written = yield from insert_invitations(self.deps.db.dialect_name, new_by_terms, now=now)

        earlier_rows = yield from _find_earlier_rows(job, written)
        results = _results_of(rows, written, earlier_rows, by)
        yield insert_rows(self.deps.db.dialect_name, job.id, results)
        job = yield from advance_job(job, owner, **_count(results))
        if job.done == job.total:
            job = yield from finish_job(job, owner, JobState.DONE, now=now)
            yield record(_finished_event(job, now))

        # last, so that a change of the creator's rights waits only briefly, and no row is created after it
        yield from _check_authority(job, batch, hold=True)
        if not (yield from _still_maintains(by, [new for _, new in new_by_terms])):
            raise _StaleValidation
        return job


def _check_authority(job: Job, batch: PreparedBatch, *, hold: bool = False) -> Work[None]:
    if (yield from load_authority(job.creator, now=batch.now, hold=hold)) != batch.authority:
        raise _StaleValidation


def _find_missing_targets(rows: Sequence[ValidatedRow]) -> Work[set[UUID]]:
    """Objects and groups deleted since the rows were validated. The others are locked until the commit."""
    bundles = [row.new.invitation.bundle for row in rows if row.new is not None]
    objects = {grant.target_id for bundle in bundles for grant in bundle.content}
    groups = {grant.target_id for bundle in bundles for grant in bundle.groups}
    locked_ids: set[UUID] = (yield from share_lock_objects(objects)) if objects else set()
    locked_ids |= (yield from share_lock_groups_by_id(sorted(groups))).keys()
    return (objects | groups) - locked_ids


def _refuse_without_targets(rows: Sequence[ValidatedRow], missing_ids: set[UUID]) -> None:
    for row in rows:
        if row.new is not None and any(grant.target_id in missing_ids for grant in row.new.invitation.bundle.grants):
            row.refuse("not-found", "The groups or objects of this invitation no longer exist.")


def _still_maintains(by: Principal, created: Sequence[InvitationInsert]) -> Work[bool]:
    """Whether the sender maintains every object of these invitations, as the transaction sees it."""
    bundles = [new.invitation.bundle for new in created if new.invitation.bundle.content]
    if not bundles or by.can_grant_all_content:
        return True
    ids = {grant.target_id for bundle in bundles for grant in bundle.content}
    levels = yield from load_levels(by.id if by.type is ActorType.USER else None, ids)
    return all(can_grant_content(by, bundle, levels) for bundle in bundles)


def _find_earlier_rows(job: Job, written: InsertedBatch) -> Work[dict[UUID, int]]:
    """Earlier rows of this job by the invitation that they created and that blocks rows of this batch."""
    blockers = written.blockers.values()
    if not blockers:
        return {}
    return (
        yield from load_rows_by_invitation(job.id, sorted({b.email_key for b in blockers}), [b.id for b in blockers])
    )


def _results_of(
    rows: Sequence[ValidatedRow], written: InsertedBatch, earlier_rows: Mapping[UUID, int], by: Principal
) -> list[JobRow]:
    results: dict[int, JobRow] = {}
    for row in rows:
        if row.duplicate_of is not None and row.new is not None:
            results[row.row] = row.result_of_duplicate(results[row.duplicate_of.row])
            continue
        if row.new is not None and row.new.invitation.id not in written.inserted and row.terms_key is not None:
            blocker = written.blockers[row.terms_key]
            refuse_blocked(row, blocker, earlier_rows.get(blocker.id), by)
        results[row.row] = row.result()
    return list(results.values())


def refuse_blocked(row: ValidatedRow, blocker: Blocker, earlier_row: int | None, by: Principal) -> None:
    """Refuse a row that a pending invitation blocks. earlier_row: the row of this job that created it, if any.

    The id of the invitation is revealed only to callers that could list it.
    """
    if earlier_row is not None:
        row.refuse_as_duplicate(earlier_row)
        return
    is_maintainer = row.new is not None and row.new.may_reveal_conflict
    is_visible = by.can(READ) or blocker.inviter == by.actor or is_maintainer
    row.blocker_id = blocker.id if is_visible else None
    refusal = AlreadyInvited(row.blocker_id)
    row.refuse(refusal.code, refusal.detail, RowStatus.DUPLICATE)


def _count(results: Sequence[JobRow]) -> dict[str, int]:
    created = sum(row.status == RowStatus.CREATE for row in results)
    refused = sum(row.status == RowStatus.REFUSED for row in results)
    return {"created": created, "refused": refused, "skipped": len(results) - created - refused}


def _finished_event(job: Job, now: datetime) -> Event:
    counts = {"created": job.created, "skipped": job.skipped, "refused": job.refused}
    return new_event("job.finished", job.id, by=SYSTEM, now=now, state=job.state.value, cause=job.cause, **counts)
