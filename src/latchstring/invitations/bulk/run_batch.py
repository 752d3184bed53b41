"""Inviting the rows of a job: each batch is one transaction with its results and counts.

A batch is a part as it was stored. Whoever takes a job over begins behind the last batch that was committed, so nobody
is invited twice and nobody is left out.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from latchstring.domain.actor import SYSTEM, ActorType
from latchstring.domain.errors import AlreadyInvited, InviterNotAllowed, MailDisabled, NotAllowed, StorageBusy
from latchstring.domain.event import Event, happened
from latchstring.domain.job import Job, JobRow, JobState, RowStatus
from latchstring.domain.principal import Principal, can_grant_content
from latchstring.events.record import record
from latchstring.invitations.build import require_delivery_channel
from latchstring.invitations.bulk.validate import RowValidator, ValidatedRow, copy_rows
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.permissions import READ, WRITE
from latchstring.invitations.principals import find_principal, load_authority
from latchstring.storage.content.objects import load_levels, share_lock_objects
from latchstring.storage.engine.database import ATTEMPTS, Work
from latchstring.storage.invitations.bulk_insert import Blocker, InsertedBatch, insert_invitations
from latchstring.storage.invitations.create import InvitationInsert
from latchstring.storage.invitations.transitions import share_lock_groups_by_id
from latchstring.storage.jobs.jobs import JobLost, advance_job, find_part, finish_job, hold_job
from latchstring.storage.jobs.rows import insert_rows, load_twins

ROWS_MISSING = "rows-missing"


class _StaleValidation(Exception):
    """What the rows were validated by has changed: validate them again."""


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """A batch as it was validated. rows is None when there is no part that begins at `first`.

    authority: what decides what the maker may do, as it was read. obstacle: why nothing can be done in their name.
    """

    first: int
    now: datetime
    rows: Sequence[ValidatedRow] | None = None
    by: Principal | None = None
    authority: object = None
    obstacle: str | None = None

    @property
    def following(self) -> int:
        """The first row behind the batch."""
        return self.first + len(self.rows or ())


@dataclass(frozen=True, slots=True)
class InviteRowsJob:
    """What a worker does with jobs that invite: prepare a batch, settle it, until the job has ended."""

    deps: InvitationDependencies
    validator: RowValidator

    @property
    def prepares_ahead(self) -> bool:
        """Whether the next batch is validated while one is written. SQLite's writer shares this process: it would have
        to wait for the interpreter after each row.
        """
        return self.deps.db.dialect_name == "postgresql"

    async def prepare(self, job: Job, first: int) -> PreparedBatch:
        """Validate the batch that begins at a row; changes nothing."""
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
        """Why nothing at all can be done in this maker's name, as a code."""
        if by is None:
            return InviterNotAllowed.code
        try:
            by.require(WRITE)
            require_delivery_channel(by, self.deps.mail_rules)
        except (NotAllowed, MailDisabled) as error:
            return error.code
        return None

    async def settle(self, job: Job, owner: UUID, until: datetime, batch: PreparedBatch) -> Job:
        """Carry a prepared batch out and hold the job until then; returns the job afterwards.

        Raises JobLost when the job was cancelled or is in other hands, StorageBusy, StorageUnreachable.
        """
        for attempt in range(ATTEMPTS):
            if batch.rows is None:
                is_complete = job.done == job.total
                state, cause = (JobState.DONE, None) if is_complete else (JobState.FAILED, ROWS_MISSING)
                return await self._end(job, owner, state, cause)
            if batch.by is None:
                return await self._end(job, owner, JobState.FAILED, batch.obstacle)
            # targets that go away again and again are not waited for: their rows are refused
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
        raise StorageBusy("Who may do what changes too quickly.")

    async def __call__(self, job: Job, owner: UUID, until: datetime) -> Job:
        """Prepare and settle the next batch."""
        return await self.settle(job, owner, until, await self.prepare(job, job.done + 1))

    async def fail(self, job: Job, owner: UUID, cause: str) -> Job:
        """End a job that cannot go on. What it did stays."""
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
        """Invite the rows of a batch and add its results to the job. is_last_attempt: refuse rows whose targets have
        gone, instead of validating them once more.
        """
        if batch.by is None or batch.first != job.done + 1:
            raise JobLost
        by, now = batch.by, batch.now
        rows = copy_rows(batch.rows or ())  # a transaction that is tried again begins with the results of before
        yield from hold_job(job, owner, until=until)
        yield from _check_authority(job, batch)

        to_create = [row for row in rows if row.new is not None and row.duplicate_of is None]
        gone = yield from _find_missing_targets(to_create)
        if gone:
            if not is_last_attempt:
                raise _StaleValidation
            _refuse_without_targets(to_create, gone)
        new_by_terms = [
            (row.terms_key, row.new) for row in to_create if row.new is not None and row.terms_key is not None
        ]
        new_by_terms.sort(key=lambda pair: pair[0].int)  # two batches with the same terms wait, instead of deadlocking
        written = yield from insert_invitations(self.deps.db.dialect_name, new_by_terms, now=now)

        earlier = yield from _find_earlier_rows(job, written)
        results = _results_of(rows, written, earlier, by)
        yield insert_rows(self.deps.db.dialect_name, job.id, results)
        job = yield from advance_job(job, owner, **_count(results))
        if job.done == job.total:
            job = yield from finish_job(job, owner, JobState.DONE, now=now)
            yield record(_finished_event(job, now))

        # last, so that who blocks the maker waits for a moment only, and finds nothing of the job after that
        yield from _check_authority(job, batch, hold=True)
        if not (yield from _still_maintains(by, [new for _, new in new_by_terms])):
            raise _StaleValidation
        return job


def _check_authority(job: Job, batch: PreparedBatch, *, hold: bool = False) -> Work[None]:
    if (yield from load_authority(job.creator, now=batch.now, hold=hold)) != batch.authority:
        raise _StaleValidation


def _find_missing_targets(rows: Sequence[ValidatedRow]) -> Work[set[UUID]]:
    """Objects and groups that went away since the rows were validated; the others stay until the commit."""
    bundles = [row.new.invitation.bundle for row in rows if row.new is not None]
    objects = {grant.target_id for bundle in bundles for grant in bundle.content}
    groups = {grant.target_id for bundle in bundles for grant in bundle.groups}
    held: set[UUID] = (yield from share_lock_objects(objects)) if objects else set()
    held |= (yield from share_lock_groups_by_id(sorted(groups))).keys()
    return (objects | groups) - held


def _refuse_without_targets(rows: Sequence[ValidatedRow], gone: set[UUID]) -> None:
    for row in rows:
        if row.new is not None and any(grant.target_id in gone for grant in row.new.invitation.bundle.grants):
            row.refuse("not-found", "What this invitation leads to does not exist any more.")


def _still_maintains(by: Principal, created: Sequence[InvitationInsert]) -> Work[bool]:
    """Whether the sender maintains every object that these lead to, as the transaction sees it."""
    bundles = [new.invitation.bundle for new in created if new.invitation.bundle.content]
    if not bundles or by.can("content:write"):
        return True
    ids = {grant.target_id for bundle in bundles for grant in bundle.content}
    levels = yield from load_levels(by.id if by.type is ActorType.USER else None, ids)
    return all(can_grant_content(by, bundle, levels) for bundle in bundles)


def _find_earlier_rows(job: Job, written: InsertedBatch) -> Work[dict[UUID, int]]:
    """Rows of this job, by the invitation that they made and that is in the way of others now."""
    blockers = written.blockers.values()
    if not blockers:
        return {}
    return (yield from load_twins(job.id, sorted({b.email_key for b in blockers}), [b.id for b in blockers]))


def _results_of(
    rows: Sequence[ValidatedRow], written: InsertedBatch, earlier: Mapping[UUID, int], by: Principal
) -> list[JobRow]:
    results: dict[int, JobRow] = {}
    for row in rows:
        if row.duplicate_of is not None and row.new is not None:
            results[row.row] = row.result_of_duplicate(results[row.duplicate_of.row])
            continue
        if row.new is not None and row.new.invitation.id not in written.inserted and row.terms_key is not None:
            blocker = written.blockers[row.terms_key]
            refuse_blocked(row, blocker, earlier.get(blocker.id), by)
        results[row.row] = row.result()
    return list(results.values())


def refuse_blocked(row: ValidatedRow, blocker: Blocker, earlier_row: int | None, by: Principal) -> None:
    """Refuse a row that a pending invitation is in the way of. earlier_row: of this job, if that made it.

    Which invitation it is, is told only to callers who could list it.
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
    return happened("job.finished", job.id, by=SYSTEM, now=now, state=job.state.value, cause=job.cause, **counts)
