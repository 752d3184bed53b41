"""Inviting the rows of a job: each batch is one transaction with its verdicts and counts.

A batch is a part as it was stored. Whoever takes a job over begins behind the last batch that was committed, so nobody
is invited twice and nobody is lost.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from latchstring.domain.actor import SYSTEM, ActorType
from latchstring.domain.errors import (
    AlreadyInvited,
    InviterNotAllowed,
    LatchstringError,
    MailDisabled,
    NotAllowed,
    StorageBusy,
)
from latchstring.domain.event import Event, happened
from latchstring.domain.job import Job, JobRow, JobState, RowStatus
from latchstring.domain.principal import Principal, maintains_all
from latchstring.events.record import record
from latchstring.invitations.bulk.validate import Judge, Judged, copy_of, fresh
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.issue import READ, WRITE, Issuing
from latchstring.invitations.principals import find_principal, load_stamp
from latchstring.storage.content.objects import hold_objects, load_levels
from latchstring.storage.engine.database import ATTEMPTS, Work
from latchstring.storage.invitations.bulk_insert import Blocker, Written, insert_invitations
from latchstring.storage.invitations.create import NewInvitation
from latchstring.storage.invitations.transitions import hold_groups
from latchstring.storage.jobs.jobs import JobLost, advance_job, find_part, finish_job, hold_job
from latchstring.storage.jobs.rows import insert_rows, load_twins

DUPLICATE_ROW = "duplicate-row"
ROWS_MISSING = "rows-missing"


class _WorldChanged(Exception):
    """What the rows were judged by is not so any more: judge them again."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch as it was judged. rows is None when there is no part that begins at `first`.

    stamp: what decides what the maker may do, as it was read. obstacle: why nothing can be done in his name.
    """

    first: int
    at: datetime
    rows: Sequence[Judged] | None = None
    by: Principal | None = None
    stamp: object = None
    obstacle: str | None = None

    @property
    def following(self) -> int:
        """The first row behind the batch."""
        return self.first + len(self.rows or ())


@dataclass(frozen=True, slots=True)
class InvitingRows:
    """What a worker does with jobs that invite: prepare a batch, settle it, until the job has ended."""

    deps: InvitationDependencies
    issuing: Issuing
    judge: Judge

    @property
    def prepares_ahead(self) -> bool:
        """Whether the next batch is judged while one is written. SQLite's writer shares this process: it would have to
        wait for the interpreter after each row.
        """
        return self.deps.db.dialect_name == "postgresql"

    async def prepare(self, job: Job, first: int) -> Prepared:
        """Judge the batch that begins at a row; changes nothing."""
        at, db = self.deps.clock(), self.deps.db
        body = await find_part(db, job.id, first)
        if body is None:
            return Prepared(first, at)
        stamp = await db.transact(lambda: load_stamp(job.maker, at=at))
        by = await find_principal(db, self.deps.users, job.maker, at=at)
        obstacle = self._obstacle(by)
        if by is None or obstacle is not None:
            return Prepared(first, at, (), obstacle=obstacle)
        rows = json.loads(body)
        judged = await self.judge.judge(rows, first=first, options=job.options, by=by, at=at, jobId=str(job.id))
        return Prepared(first, at, judged, by, stamp)

    async def settle(self, job: Job, owner: UUID, until: datetime, batch: Prepared) -> Job:
        """Carry a prepared batch out and hold the job until then; returns it as it stands afterwards.

        Raises JobLost when the job was cancelled or is in other hands, StorageBusy, StorageUnreachable.
        """
        for attempt in range(ATTEMPTS):
            if batch.rows is None:
                whole = job.done == job.total
                ended, cause = (JobState.DONE, None) if whole else (JobState.FAILED, ROWS_MISSING)
                return await self._end(job, owner, ended, cause)
            if batch.by is None:
                return await self._end(job, owner, JobState.FAILED, batch.obstacle)
            # who goes away again and again is not waited for: his rows are refused
            believing = attempt == ATTEMPTS - 1
            try:
                after = await self.deps.db.transact(
                    lambda: self._batch(job, owner, until, batch, believing=believing)  # noqa: B023
                )
            except _WorldChanged:
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

    def _obstacle(self, by: Principal | None) -> str | None:
        """Why nothing at all can be done in this maker's name, as a code."""
        if by is None:
            return InviterNotAllowed.code
        try:
            by.require(WRITE)
            self.issuing.require_a_way(by)
        except (NotAllowed, MailDisabled) as error:
            return error.code
        return None

    async def _end(self, job: Job, owner: UUID, state: JobState, cause: str | None) -> Job:
        at = self.deps.clock()

        def work() -> Work[Job]:
            ended = yield from finish_job(job, owner, state, cause=cause, at=at)
            yield record(_finished(ended, at))
            return ended

        return await self.deps.db.transact(work)

    # ---- the transaction -------------------------------------------------------------------------------------------

    def _batch(self, job: Job, owner: UUID, until: datetime, batch: Prepared, *, believing: bool) -> Work[Job]:
        """believing: refuse the rows whose targets have gone, instead of looking once more."""
        # copies: a transaction that is tried again begins with the verdicts of before
        at, judged, by = batch.at, fresh(batch.rows or ()), batch.by
        if by is None or batch.first != job.done + 1:
            raise JobLost
        yield from hold_job(job, owner, until=until)
        if (yield from load_stamp(job.maker, at=at)) != batch.stamp:
            raise _WorldChanged
        news = [one for one in judged if one.new is not None and one.twin is None]
        gone = yield from _missing_targets(news)
        if gone and not believing:
            raise _WorldChanged
        for one in news:
            if gone and one.new is not None and _leads_to(one.new, gone):
                one.refuse("not-found", "What this invitation leads to does not exist any more.")
        made = [(one.terms_key, one.new) for one in news if one.new is not None and one.terms_key is not None]
        made.sort(key=lambda pair: pair[0].int)
        written = yield from insert_invitations(self.deps.db.dialect_name, made, at=at)
        twins = yield from _twins_of(job, written)
        rows = _verdicts(judged, written, twins, by)
        yield insert_rows(self.deps.db.dialect_name, job.id, rows)
        counts = _counts(rows)
        after = yield from advance_job(job, owner, **counts)
        if after.done == after.total:
            after = yield from finish_job(after, owner, JobState.DONE, at=at)
            yield record(_finished(after, at))
        # last, so that who blocks the maker waits for a moment only, and finds nothing of the job after that
        if (yield from load_stamp(job.maker, at=at, hold=True)) != batch.stamp:
            raise _WorldChanged
        if not (yield from _still_maintains(by, [new for _, new in made])):
            raise _WorldChanged
        return after


def _finished(job: Job, at: datetime) -> Event:
    counts = {"created": job.created, "skipped": job.skipped, "refused": job.refused}
    return happened("job.finished", job.id, by=SYSTEM, at=at, state=job.state.value, cause=job.cause, **counts)


def _missing_targets(rows: Sequence[Judged]) -> Work[set[UUID]]:
    """Objects and groups that went away since the rows were judged; the others stay until the commit."""
    bundles = [one.new.invitation.bundle for one in rows if one.new is not None]
    objects = {grant.target_id for bundle in bundles for grant in bundle.content}
    groups = {grant.target_id for bundle in bundles for grant in bundle.groups}
    held: set[UUID] = (yield from hold_objects(objects)) if objects else set()
    held |= (yield from hold_groups(sorted(groups))).keys()
    return (objects | groups) - held


def _still_maintains(by: Principal, made: Sequence[NewInvitation]) -> Work[bool]:
    """Whether every object that these lead to is in the sender's care, as the transaction sees it."""
    bundles = [new.invitation.bundle for new in made if new.invitation.bundle.content]
    if not bundles or by.can("content:write"):
        return True
    ids = {grant.target_id for bundle in bundles for grant in bundle.content}
    levels = yield from load_levels(by.id if by.type is ActorType.USER else None, ids)
    return all(maintains_all(by, bundle, levels) for bundle in bundles)


def _leads_to(new: NewInvitation, targets: set[UUID]) -> bool:
    return any(grant.target_id in targets for grant in new.invitation.bundle.grants)


def _twins_of(job: Job, written: Written) -> Work[dict[UUID, int]]:
    """Rows of this job that made what is in the way of others."""
    blockers = written.blockers.values()
    if not blockers:
        return {}
    return (yield from load_twins(job.id, sorted({b.email_key for b in blockers}), [b.id for b in blockers]))


def _verdicts(judged: Sequence[Judged], written: Written, twins: Mapping[UUID, int], by: Principal) -> list[JobRow]:
    found: dict[int, JobRow] = {}
    for one in judged:
        if one.twin is not None and one.new is not None:
            found[one.row] = meet_twin(one, found[one.twin.row])
            continue
        if one.new is not None and one.new.invitation.id not in written.made and one.terms_key is not None:
            blocker = written.blockers[one.terms_key]
            tell_blocker(one, blocker, twins.get(blocker.id), by)
        found[one.row] = one.verdict()
    return list(found.values())


def meet_twin(one: Judged, first: JobRow) -> JobRow:
    """The verdict of a row that says the same as an earlier one."""
    if first.status != RowStatus.CREATE:
        return copy_of(one, first)
    mark_duplicate(one, first.row)
    return one.verdict()


def mark_duplicate(one: Judged, row: int) -> None:
    """Refuse a row that repeats an earlier row of the same job."""
    one.duplicate_of = row
    one.refuse(DUPLICATE_ROW, f"Duplicate of row {row}.", RowStatus.DUPLICATE)


def tell_blocker(one: Judged, blocker: Blocker, row: int | None, by: Principal) -> None:
    """A pending invitation is in the way; which one only to who could list it. row: of this job, if that made it."""
    if row is not None:
        mark_duplicate(one, row)
        return
    told = by.can(READ) or blocker.inviter == by.actor or (one.new is not None and one.new.told_invitations)
    refusal: LatchstringError = AlreadyInvited(blocker.id if told else None)
    one.refuse(refusal.code, refusal.detail, RowStatus.DUPLICATE)
    one.blocker_id = blocker.id if told else None


def _counts(rows: Sequence[JobRow]) -> dict[str, int]:
    created = sum(row.status == RowStatus.CREATE for row in rows)
    refused = sum(row.status == RowStatus.REFUSED for row in rows)
    return {"created": created, "refused": refused, "skipped": len(rows) - created - refused}
