"""What became of the rows of jobs, and what is foreseen of those of a draft."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, bindparam, delete, func, insert, literal_column, null, select, update
from sqlalchemy.sql import Executable

from latchstring.domain.job import EVERY_ROW, JobRow, RowFilter, RowStatus
from latchstring.domain.pagination import Page
from latchstring.storage.engine.bulk_values import Listed
from latchstring.storage.engine.database import Database, Row, Step, Steps, Work, step
from latchstring.storage.engine.tables import job_rows
from latchstring.storage.engine.types import CanonicalText, Id, any_of
from latchstring.storage.lists.by_id import COUNTED_UP_TO, page_of

PURGED_AT_ONCE = 1000  # rows a purging statement removes
_DUPLICATE_OF = "duplicateOf"  # in `source`, which only refused rows use otherwise

_r = job_rows.c
_ID = bindparam("job_id", type_=Id)

# ---- keeping --------------------------------------------------------------------------------------------------------

_INSERT_ROW = insert(job_rows).values({column.name: bindparam(column.name, type_=column.type) for column in _r})
_LISTED = Listed("listed", "r_", [column for column in _r if column.name != "job_id"])
_INSERT_ROWS = insert(job_rows).from_select(
    [column.name for column in _r],
    select(_ID, *(_LISTED[column.name] for column in _r if column.name != "job_id")).select_from(_LISTED.rows),
)
_TWINS = select(_r.row, _r.invitation_id).where(
    any_of(_r.email_key, "email_keys", CanonicalText), _r.job_id == _ID, any_of(_r.invitation_id, "invitation_ids")
)


def insert_rows(dialect_name: str, job_id: UUID, rows: Sequence[JobRow]) -> Step | Steps:
    """Keep what became of these rows."""
    found = [
        {
            "job_id": job_id,
            "row": one.row,
            "status": one.status,
            "code": one.code,
            "detail": one.detail,
            "email": one.email,
            "email_key": one.email_key,
            "invitation_id": one.invitation_id,
            "source": one.source if one.duplicate_of is None else {_DUPLICATE_OF: one.duplicate_of},
        }
        for one in rows
    ]
    if dialect_name != "postgresql":
        return Steps(_INSERT_ROW, found)
    for values in found:
        source = values["source"]
        values["source"] = None if source is None else json.dumps(source, ensure_ascii=False)
    return Step(_INSERT_ROWS, {"job_id": job_id, **_LISTED.values(found)})


def load_twins(job_id: UUID, email_keys: Sequence[str], invitation_ids: Sequence[UUID]) -> Work[dict[UUID, int]]:
    """By which rows of this very job these invitations were made."""
    rows = yield step(_TWINS, job_id=job_id, email_keys=email_keys, invitation_ids=invitation_ids)
    return {row.invitation_id: row.row for row in rows}


@cache
def _list_rows(filtered: bool) -> Executable:  # noqa: FBT001  # the key of a cache
    found = select(job_rows).where(_r.job_id == _ID, _r.row > bindparam("after", type_=Integer))
    if filtered:
        found = found.where(any_of(_r.status, "statuses", CanonicalText))
    return found.order_by(_r.row).limit(bindparam("most", type_=Integer))


@cache
def _count_rows(filtered: bool) -> Executable:  # noqa: FBT001  # the key of a cache
    found = select(_r.row).where(_r.job_id == _ID)
    if filtered:
        found = found.where(any_of(_r.status, "statuses", CanonicalText))
    return select(func.count().label("n")).select_from(found.limit(literal_column(str(COUNTED_UP_TO + 1))).subquery())


_COUNT_BY_STATUS = select(_r.status, func.count().label("n")).where(_r.job_id == _ID).group_by(_r.status)


async def count_by_status(db: Database, job_id: UUID) -> dict[str, int]:
    """How many rows that were looked at have each verdict."""
    return {row.status: row.n for row in await db.fetch(_COUNT_BY_STATUS, job_id=job_id)}


async def list_rows(
    db: Database, job_id: UUID, *, after: int = 0, limit: int, which: RowFilter = EVERY_ROW
) -> list[JobRow]:
    """Rows that were looked at, in their order, from behind one of them."""
    filtered = bool(which.statuses)
    values: dict[str, Any] = {"statuses": list(which.statuses)} if filtered else {}
    rows = await db.fetch(_list_rows(filtered), job_id=job_id, after=after, most=limit, **values)
    return [_row_of(row) for row in rows]


async def page_of_rows(
    db: Database, job_id: UUID, *, after: int, limit: int, which: RowFilter = EVERY_ROW
) -> Page[JobRow]:
    """The same as a page with its count."""
    filtered = bool(which.statuses)
    values: dict[str, Any] = {"statuses": list(which.statuses)} if filtered else {}
    found = await list_rows(db, job_id, after=after, limit=limit + 1, which=which)
    counted = (await db.fetch(_count_rows(filtered), job_id=job_id, **values))[0].n
    return page_of(found, limit=limit, counted=counted)


def _row_of(row: Row) -> JobRow:
    is_duplicate = row.status == RowStatus.DUPLICATE and row.source is not None
    return JobRow(
        row=row.row,
        status=row.status,
        code=row.code,
        detail=row.detail,
        email=row.email,
        email_key=row.email_key,
        invitation_id=row.invitation_id,
        source=None if is_duplicate else row.source,
        duplicate_of=row.source[_DUPLICATE_OF] if is_duplicate else None,
    )


# ---- forgetting -----------------------------------------------------------------------------------------------------

_CLEAR_ROWS = delete(job_rows).where(_r.job_id == _ID)
_FORGET_PERSON = (
    update(job_rows)
    .where(_r.email_key == bindparam("by_email_key", type_=_r.email_key.type))
    .values(email=null(), email_key=null(), detail=null(), source=null())
)
_SOME_ROWS = select(_r.row).where(_r.job_id == _ID).order_by(_r.row).limit(literal_column(str(PURGED_AT_ONCE)))
_PURGE_ROWS = delete(job_rows).where(_r.job_id == _ID, _r.row.in_(_SOME_ROWS.scalar_subquery())).returning(_r.row)


def clear_rows(job_id: UUID) -> Step:
    """Forget what was foreseen of a draft."""
    return step(_CLEAR_ROWS, job_id=job_id)


def forget_person(email_key: str) -> Step:
    """Erase what rows of jobs say about a person; how many there were stays."""
    return step(_FORGET_PERSON, by_email_key=email_key)


async def purge_rows(db: Database, job_id: UUID) -> bool:
    """Remove one batch of a job's rows. True: there are more."""
    return len(await db.write(_PURGE_ROWS, job_id=job_id)) == PURGED_AT_ONCE
