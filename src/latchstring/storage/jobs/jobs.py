"""Jobs, the rows they are still to work on, and what became of each.

A part holds rows as they came and is named by the number of its first row, so whoever takes a job over finds where it
stopped by `done` alone. Leases work as in the outbox: `due_at` is work, whoever claims it moves it ahead, and every
later write names the owner.
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
from latchstring.domain.ids import first_id_at
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
    return literal_column(f"'{name.value}'")  # a literal, so that a generic plan knows it


_IS_OPEN = or_(_j.state == _state(JobState.QUEUED), _j.state == _state(JobState.RUNNING))
_IS_MINE = and_(_j.id == _ID, _j.lease_owner == _OWNER, _j.state == _state(JobState.RUNNING))


class JobLost(Exception):
    """The job was cancelled, or somebody else works on it: nothing was written."""


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


# ---- arriving --------------------------------------------------------------------------------------------------------

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
_FORESEE = (
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
    """Keep a new draft."""
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
    """Keep some rows of a draft, from this one on."""
    return step(_INSERT_PART, job_id=job_id, part=first_row, body=body)


def describe_job(job_id: UUID, *, options: Mapping[str, object], total: int | None, name: str | None) -> Work[None]:
    """Write down what is known of a draft now. Raises JobLost when it is none."""
    if not (yield step(_SET_OPTIONS, job_id=job_id, new_options=dict(options), new_total=total, new_name=name)):
        raise JobLost


def queue_job(job_id: UUID, *, now: datetime) -> Work[None]:
    """Hand a draft to the workers; what was foreseen of it is forgotten. Raises JobLost when it is none."""
    if not (yield step(_QUEUE, job_id=job_id, now=now)):
        raise JobLost
    yield clear_rows(job_id)


def count_foreseen(job_id: UUID, *, created: int, skipped: int, refused: int) -> Work[Job]:
    """Write down what would become of a draft's rows. Raises JobLost when it is none."""
    rows = yield step(_FORESEE, job_id=job_id, new_created=created, new_skipped=skipped, new_refused=refused)
    if not rows:
        raise JobLost
    return _job_of(rows[0])


def delete_job(job_id: UUID) -> Step:
    """Forget a job with everything about it."""
    return step(_DELETE, job_id=job_id)


# ---- working ---------------------------------------------------------------------------------------------------------


def _claim() -> Executable:
    oldest = select(_j.id).where(_j.due_at <= _NOW).order_by(_j.due_at).limit(literal_column("1"))
    chosen = oldest.with_for_update(skip_locked=True).scalar_subquery()
    until = bindparam("until", type_=Instant)
    claimed = update(jobs).where(_j.id == chosen, _IS_OPEN)
    return claimed.values(state=_state(JobState.RUNNING), due_at=until, lease_owner=_OWNER).returning(*_j)


_CLAIM = _claim()
_HOLD = update(jobs).where(_IS_MINE, _j.done == bindparam("was_done", type_=Integer))
_RENEW = _HOLD.values(due_at=bindparam("until", type_=Instant)).returning(_j.id)
_RELEASE = update(jobs).where(_IS_MINE).values(due_at=bindparam("again_at", type_=Instant), lease_owner=null())
_ADVANCE = (
    update(jobs)
    .where(_IS_MINE)
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
    .where(_IS_MINE, _j.done == bindparam("was_done", type_=Integer))
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
    """Take the job that has been due for longest, until this instant."""
    rows = await db.write(_CLAIM, owner=owner, now=now, until=until)
    return _job_of(rows[0]) if rows else None


async def release_job(db: Database, owner: UUID, job_id: UUID, *, again_at: datetime) -> None:
    """Give a job back, to go on where it stands."""
    await db.write(_RELEASE, owner=owner, job_id=job_id, again_at=again_at)


def hold_job(job: Job, owner: UUID, *, until: datetime) -> Work[None]:
    """Begin a batch: lock the job as it was last seen and prolong the lease. Raises JobLost."""
    if not (yield step(_RENEW, job_id=job.id, owner=owner, was_done=job.done, until=until)):
        raise JobLost


def advance_job(job: Job, owner: UUID, *, created: int = 0, skipped: int = 0, refused: int = 0) -> Work[Job]:
    """Count settled rows and forget the part they came from, if it was the one that begins behind `done`."""
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
    """End a job as it was last seen; rows that nobody looked at are forgotten. Raises JobLost."""
    rows = yield step(
        _FINISH, job_id=job.id, owner=owner, was_done=job.done, new_state=state.value, new_cause=cause, now=now
    )
    if not rows:
        raise JobLost
    yield step(_DELETE_PARTS, job_id=job.id)
    return _job_of(rows[0])


def cancel_job(job_id: UUID, *, now: datetime) -> Work[bool]:
    """Stop a job that has not ended; a batch under way is finished first. False: it had ended."""
    if not (yield step(_CANCEL, job_id=job_id, now=now)):
        return False
    yield step(_DELETE_PARTS, job_id=job_id)
    return True


async def find_part(db: Database, job_id: UUID, first_row: int) -> bytes | None:
    """The rows from this one on, as they came."""
    rows = await db.fetch(_FIND_PART, job_id=job_id, first_row=first_row)
    return rows[0].body if rows else None


async def find_next_part(db: Database, job_id: UUID, *, after: int = 0) -> tuple[int, bytes] | None:
    """The first part that begins behind a row, with the number of its first row."""
    rows = await db.fetch(_NEXT_PART, job_id=job_id, after=after)
    return (rows[0].part, rows[0].body) if rows else None


# ---- finding ---------------------------------------------------------------------------------------------------------

_FIND = select(jobs).where(_j.id == _ID)
_MAKER_ID, _MAKER_TYPE = bindparam("actor_id", type_=Id), bindparam("actor_type", type_=_j.actor_type.type)
_IS_NO_DRAFT = _j.state != _state(JobState.DRAFT)
_IS_UNCONFIRMED = and_(_j.state == _state(JobState.DRAFT), _j.total.is_not(None))
_OF_MAKER = [(_j.actor_id, _MAKER_ID)]
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
            "maker": IndexScan([_j.id], _OF_MAKER, where=[_j.actor_type == _MAKER_TYPE, _IS_NO_DRAFT]),
            "drafts": IndexScan([_j.id], _OF_MAKER, where=[_j.actor_type == _MAKER_TYPE, _IS_UNCONFIRMED]),
        },
    )
)


async def find_job(db: Database, job_id: UUID) -> Job | None:
    rows = await db.fetch(_FIND, job_id=job_id)
    return _job_of(rows[0]) if rows else None


def _query(scan: str, maker: Actor | None, low: Key | None = None) -> KeysetQuery:
    values: dict[str, Any] = {} if maker is None else {"actor_id": maker.id, "actor_type": maker.type.value}
    return KeysetQuery((), values, [Scan(scan, is_exact=True, low=low)], is_counted=False)


async def list_jobs(db: Database, *, maker: Actor | None, cursor: Cursor | None = None, limit: int) -> Page[Job]:
    """Jobs that are or were at work, newest first. maker: only this one's; None for everybody's."""
    query = _query("all" if maker is None else "maker", maker)
    return await _LIST.page(db, query, order=NEWEST_FIRST, cursor=cursor, limit=limit)


async def list_drafts(
    db: Database, maker: Actor, *, since: datetime, cursor: Cursor | None = None, limit: int
) -> Page[Job]:
    """What somebody brought and has not confirmed yet, newest first."""
    query = _query("drafts", maker, low=(UUID(int=first_id_at(since).int - 1),))
    return await _LIST.page(db, query, order=NEWEST_FIRST, cursor=cursor, limit=limit)


# ---- forgetting ------------------------------------------------------------------------------------------------------

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
    """Remove one batch of what is past its time: old reports, and uploads that nobody confirmed. True: look again."""
    old = await db.fetch(_OLD, finished_before=finished_before, drafted_before=first_id_at(drafted_before))
    if not old:
        return False
    job_id = old[0].id
    if not await purge_rows(db, job_id):
        await db.write(_DELETE, job_id=job_id)
    return True
