"""Jobs and the rows that are still to be processed.

A part holds input rows and is identified by the number of its first row, so a worker that takes a job over finds where
to continue by `done` alone. Leases work as in the outbox: a worker claims a job by moving `due_at` ahead, and every
later write checks the owner.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    and_,
    bindparam,
    delete,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.sql import Executable

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.ids import first_id_at, id_before
from latchstring.domain.job import Job, JobState
from latchstring.domain.pagination import Cursor, Key, Page, SortOrder
from latchstring.storage.engine.database import Database, Row, Step, Work, step
from latchstring.storage.engine.tables import job_parts, jobs
from latchstring.storage.engine.types import Id, Instant
from latchstring.storage.jobs.rows import clear_rows, purge_rows
from latchstring.storage.lists.declaration import KeysetQuery, ListDeclaration, Scan
from latchstring.storage.lists.index_scan import IndexScan
from latchstring.storage.lists.keyset import KeysetList

_j, _p = jobs.c, job_parts.c
_ID = bindparam("job_id", type_=Id)
_OWNER = bindparam("owner", type_=Id)
_NOW = bindparam("now", type_=Instant)


def _state(name: JobState) -> ColumnElement[str]:
    return literal_column(f"'{name.value}'")  # a literal, so that a generic plan can use it


_IS_OPEN = or_(_j.state == _state(JobState.QUEUED), _j.state == _state(JobState.RUNNING))
_IS_OWNED = and_(_j.id == _ID, _j.lease_owner == _OWNER, _j.state == _state(JobState.RUNNING))


class JobLost(Exception):
    """The job was cancelled or taken over by another worker. Nothing was written."""


def _job_of(row: Row) -> Job:
    return Job(
        id=row.id,
        kind=row.kind,
        creator=Actor(ActorType(row.actor_type), row.actor_id),
        media_type=row.media_type,
        state=JobState(row.state),
        name=row.name,
        options=row.options,
        total=row.total,
        done=row.done,
        created=row.created,
        skipped=row.skipped,
        refused=row.refused,
        cause=row.cause,
        finished_at=row.finished_at,
    )


# ---- drafts ----------------------------------------------------------------------------------------------------------

_INSERT = insert(jobs).values({column.name: bindparam(column.name, type_=column.type) for column in _j})
_INSERT_PART = insert(job_parts).values({column.name: bindparam(column.name, type_=column.type) for column in _p})
_SET_OPTIONS = (
    update(jobs)
    .where(_j.id == _ID, _j.state == _state(JobState.DRAFT))
    .values(
        options=bindparam("new_options", type_=_j.options.type),
        total=bindparam("new_total", type_=Integer),
        name=bindparam("new_name", type_=_j.name.type),
    )
    .returning(_j.id)
)
_QUEUE = (
    update(jobs)
    .where(_j.id == _ID, _j.state == _state(JobState.DRAFT))
    .values(
        state=_state(JobState.QUEUED),
        due_at=_NOW,
        created=literal_column("0"),
        skipped=literal_column("0"),
        refused=literal_column("0"),
    )
    .returning(_j.id)
)
_SET_COUNTS = (
    update(jobs)
    .where(_j.id == _ID, _j.state == _state(JobState.DRAFT))
    .values(
        created=bindparam("new_created", type_=Integer),
        skipped=bindparam("new_skipped", type_=Integer),
        refused=bindparam("new_refused", type_=Integer),
    )
    .returning(*_j)
)
_DELETE = delete(jobs).where(_j.id == _ID)


def insert_job(job: Job) -> Step:
    """Store a new draft."""
    return step(
        _INSERT,
        id=job.id,
        kind=job.kind,
        state=job.state.value,
        actor_type=job.creator.type.value,
        actor_id=job.creator.id,
        name=job.name,
        media_type=job.media_type,
        options=dict(job.options),
        total=job.total,
        done=job.done,
        created=job.created,
        skipped=job.skipped,
        refused=job.refused,
        cause=job.cause,
        due_at=None,
        lease_owner=None,
        finished_at=job.finished_at,
    )


def insert_part(job_id: UUID, first_row: int, body: bytes) -> Step:
    """Store some rows of a draft, starting with `first_row`."""
    return step(_INSERT_PART, job_id=job_id, part=first_row, body=body)


def update_draft(job_id: UUID, *, options: Mapping[str, object], total: int | None, name: str | None) -> Work[None]:
    """Store the options, total and name of a draft. Raises JobLost when the job is no draft."""
    if not (yield step(_SET_OPTIONS, job_id=job_id, new_options=dict(options), new_total=total, new_name=name)):
        raise JobLost


def queue_job(job_id: UUID, *, now: datetime) -> Work[None]:
    """Queue a draft for the workers and delete its preview. Raises JobLost when the job is no draft."""
    if not (yield step(_QUEUE, job_id=job_id, now=now)):
        raise JobLost
    yield clear_rows(job_id)


def store_preview_counts(job_id: UUID, *, created: int, skipped: int, refused: int) -> Work[Job]:
    """Store the counts of a dry run of a draft. Raises JobLost when the job is no draft."""
    rows = yield step(_SET_COUNTS, job_id=job_id, new_created=created, new_skipped=skipped, new_refused=refused)
    if not rows:
        raise JobLost
    return _job_of(rows[0])


def delete_job(job_id: UUID) -> Step:
    """Delete a job with its parts and rows."""
    return step(_DELETE, job_id=job_id)


# ---- processing ------------------------------------------------------------------------------------------------------


def _claim() -> Executable:
    oldest = select(_j.id).where(_j.due_at <= _NOW).order_by(_j.due_at).limit(literal_column("1"))
    chosen = oldest.with_for_update(skip_locked=True).scalar_subquery()
    until = bindparam("until", type_=Instant)
    claimed = update(jobs).where(_j.id == chosen, _IS_OPEN)
    return claimed.values(state=_state(JobState.RUNNING), due_at=until, lease_owner=_OWNER).returning(*_j)


_CLAIM = _claim()
_LOCK = update(jobs).where(_IS_OWNED, _j.done == bindparam("was_done", type_=Integer))
_RENEW = _LOCK.values(due_at=bindparam("until", type_=Instant)).returning(_j.id)
_RELEASE = update(jobs).where(_IS_OWNED).values(due_at=bindparam("again_at", type_=Instant), lease_owner=null())
_ADVANCE = (
    update(jobs)
    .where(_IS_OWNED)
    .values(
        done=_j.done + bindparam("settled", type_=Integer),
        created=_j.created + bindparam("more_created", type_=Integer),
        skipped=_j.skipped + bindparam("more_skipped", type_=Integer),
        refused=_j.refused + bindparam("more_refused", type_=Integer),
    )
    .returning(*_j)
)
_FINISH = (
    update(jobs)
    .where(_IS_OWNED, _j.done == bindparam("was_done", type_=Integer))
    .values(
        state=bindparam("new_state", type_=_j.state.type),
        cause=bindparam("new_cause", type_=_j.cause.type),
        due_at=null(),
        lease_owner=null(),
        finished_at=_NOW,
    )
    .returning(*_j)
)
_CANCEL = (
    update(jobs)
    .where(_j.id == _ID, _IS_OPEN)
    .values(state=_state(JobState.CANCELLED), due_at=null(), lease_owner=null(), finished_at=_NOW)
    .returning(_j.id)
)
_FIND_PART = select(_p.part, _p.body).where(_p.job_id == _ID, _p.part == bindparam("first_row", type_=Integer))
_NEXT_PART = (
    select(_p.part, _p.body)
    .where(_p.job_id == _ID, _p.part > bindparam("after", type_=Integer))
    .order_by(_p.part)
    .limit(literal_column("1"))
)
_DELETE_PART = delete(job_parts).where(_p.job_id == _ID, _p.part == bindparam("first_row", type_=Integer))
_DELETE_PARTS = delete(job_parts).where(_p.job_id == _ID)


async def claim_job(db: Database, owner: UUID, *, now: datetime, until: datetime) -> Job | None:
    """Claim the job that has been due for longest, until `until`."""
    rows = await db.write(_CLAIM, owner=owner, now=now, until=until)
    return _job_of(rows[0]) if rows else None


async def release_job(db: Database, owner: UUID, job_id: UUID, *, again_at: datetime) -> None:
    """Release a job, to be continued later where it is."""
    await db.write(_RELEASE, owner=owner, job_id=job_id, again_at=again_at)


def lock_job(job: Job, owner: UUID, *, until: datetime) -> Work[None]:
    """Begin a batch: lock the job if it is unchanged, and extend its lease. Raises JobLost."""
    if not (yield step(_RENEW, job_id=job.id, owner=owner, was_done=job.done, until=until)):
        raise JobLost


def advance_job(job: Job, owner: UUID, *, created: int = 0, skipped: int = 0, refused: int = 0) -> Work[Job]:
    """Count processed rows and delete their part, if it begins behind `done`. Raises JobLost."""
    yield step(_DELETE_PART, job_id=job.id, first_row=job.done + 1)
    settled = created + skipped + refused
    rows = yield step(
        _ADVANCE,
        job_id=job.id,
        owner=owner,
        settled=settled,
        more_created=created,
        more_skipped=skipped,
        more_refused=refused,
    )
    if not rows:
        raise JobLost
    return _job_of(rows[0])


def finish_job(job: Job, owner: UUID, state: JobState, *, cause: str | None = None, now: datetime) -> Work[Job]:
    """End a job if it is unchanged, and delete its unprocessed rows. Raises JobLost."""
    rows = yield step(
        _FINISH, job_id=job.id, owner=owner, was_done=job.done, new_state=state.value, new_cause=cause, now=now
    )
    if not rows:
        raise JobLost
    yield step(_DELETE_PARTS, job_id=job.id)
    return _job_of(rows[0])


def cancel_job(job_id: UUID, *, now: datetime) -> Work[bool]:
    """Cancel a job; a running batch is finished first. Returns False when the job had ended."""
    if not (yield step(_CANCEL, job_id=job_id, now=now)):
        return False
    yield step(_DELETE_PARTS, job_id=job_id)
    return True


async def find_part(db: Database, job_id: UUID, first_row: int) -> bytes | None:
    """Return the input rows of the part that begins at `first_row`."""
    rows = await db.fetch(_FIND_PART, job_id=job_id, first_row=first_row)
    return rows[0].body if rows else None


async def find_next_part(db: Database, job_id: UUID, *, after: int = 0) -> tuple[int, bytes] | None:
    """Return the first part that begins behind a row, with the number of its first row."""
    rows = await db.fetch(_NEXT_PART, job_id=job_id, after=after)
    return (rows[0].part, rows[0].body) if rows else None


# ---- queries ---------------------------------------------------------------------------------------------------------

_FIND = select(jobs).where(_j.id == _ID)
_CREATOR_ID, _CREATOR_TYPE = bindparam("actor_id", type_=Id), bindparam("actor_type", type_=_j.actor_type.type)
_IS_NO_DRAFT = _j.state != _state(JobState.DRAFT)
_IS_UNCONFIRMED = and_(_j.state == _state(JobState.DRAFT), _j.total.is_not(None))
_BY_CREATOR = [(_j.actor_id, _CREATOR_ID)]
NEWEST_FIRST = SortOrder("createdAt", descending=True)
_LIST: KeysetList[Job] = KeysetList(
    ListDeclaration(
        table=jobs,
        columns=tuple(_j),
        id_=_j.id,
        read=_job_of,
        orders={"createdAt": lambda j: [j.id]},
        scans=lambda _: {
            "all": IndexScan([_j.id], where=[_IS_NO_DRAFT]),
            "creator": IndexScan([_j.id], _BY_CREATOR, where=[_j.actor_type == _CREATOR_TYPE, _IS_NO_DRAFT]),
            "drafts": IndexScan([_j.id], _BY_CREATOR, where=[_j.actor_type == _CREATOR_TYPE, _IS_UNCONFIRMED]),
        },
    )
)


async def find_job(db: Database, job_id: UUID) -> Job | None:
    rows = await db.fetch(_FIND, job_id=job_id)
    return _job_of(rows[0]) if rows else None


def _query(scan: str, created_by: Actor | None, low: Key | None = None) -> KeysetQuery:
    values: dict[str, Any] = (
        {} if created_by is None else {"actor_id": created_by.id, "actor_type": created_by.type.value}
    )
    return KeysetQuery((), values, [Scan(scan, is_exact=True, low=low)], is_counted=False)


async def list_jobs(db: Database, *, created_by: Actor | None, cursor: Cursor | None = None, limit: int) -> Page[Job]:
    """Return a page of the jobs that are no drafts, newest first. created_by: None for the jobs of all actors."""
    query = _query("all" if created_by is None else "creator", created_by)
    return await _LIST.page(db, query, order=NEWEST_FIRST, cursor=cursor, limit=limit)


async def list_drafts(
    db: Database, created_by: Actor, *, since: datetime, cursor: Cursor | None = None, limit: int
) -> Page[Job]:
    """Return a page of an actor's uploads that are not confirmed yet, newest first."""
    query = _query("drafts", created_by, low=(id_before(first_id_at(since)),))
    return await _LIST.page(db, query, order=NEWEST_FIRST, cursor=cursor, limit=limit)


# ---- deletion --------------------------------------------------------------------------------------------------------

_OLD = (
    select(_j.id)
    .where(
        or_(
            and_(_j.finished_at < bindparam("finished_before", type_=Instant)),
            and_(_j.state == _state(JobState.DRAFT), _j.id < bindparam("drafted_before", type_=Id)),
        )
    )
    .order_by(_j.id)
    .limit(literal_column("1"))
)


async def purge_jobs(db: Database, *, finished_before: datetime, drafted_before: datetime) -> bool:
    """Delete a batch of expired data: old reports and unconfirmed uploads. Returns True if there may be more."""
    old = await db.fetch(_OLD, finished_before=finished_before, drafted_before=first_id_at(drafted_before))
    if not old:
        return False
    job_id = old[0].id
    if not await purge_rows(db, job_id):
        await db.write(_DELETE, job_id=job_id)
    return True
