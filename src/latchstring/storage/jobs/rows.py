"""What became of the rows of jobs, and what is foreseen of those of a draft."""

import json
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import bindparam, delete, func, insert, literal_column, null, select, update

from latchstring.domain.job import EVERY_ROW, JobRow, RowFilter, RowStatus
from latchstring.domain.pagination import Cursor, Page, SortOrder
from latchstring.storage.engine.bulk_values import BulkValues
from latchstring.storage.engine.database import Database, Row, Step, Steps, Work, step
from latchstring.storage.engine.tables import job_rows
from latchstring.storage.engine.types import CanonicalText, Id, any_of
from latchstring.storage.lists.declaration import Filter, KeysetQuery, ListDeclaration, Scan
from latchstring.storage.lists.index_scan import IndexScan
from latchstring.storage.lists.keyset import KeysetList

PURGED_AT_ONCE = 1000  # rows a purging statement removes
_DUPLICATE_OF = "duplicateOf"  # in `source`, which only refused rows use otherwise

_r = job_rows.c
_ID = bindparam("job_id", type_=Id)

# ---- keeping ---------------------------------------------------------------------------------------------------------

_INSERT_ROW = insert(job_rows).values({column.name: bindparam(column.name, type_=column.type) for column in _r})
_LISTED = BulkValues("listed", "r_", [column for column in _r if column.name != "job_id"])
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


_COUNT_BY_STATUS = select(_r.status, func.count().label("n")).where(_r.job_id == _ID).group_by(_r.status)


async def count_by_status(db: Database, job_id: UUID) -> dict[str, int]:
    """How many rows that were looked at have each verdict."""
    return {row.status: row.n for row in await db.fetch(_COUNT_BY_STATUS, job_id=job_id)}


_SCANS = {"all": IndexScan([_r.row], prefix=[(_r.job_id, _ID)])}
_STATUSES = any_of(_r.status, "statuses", CanonicalText)
_IN_ORDER = SortOrder("row")
_LIST: KeysetList[JobRow] = KeysetList(
    ListDeclaration(
        table=job_rows,
        columns=tuple(_r),
        id_=_r.row,
        lookup=[_r.job_id == _ID],
        read=_row_of,
        orders={"row": lambda r: [r.row]},
        scans=lambda _: _SCANS,
        filters={
            "status": Filter(
                lambda r: any_of(r.status, "statuses", CanonicalText),
                lambda name: [_SCANS["all"].candidates(name).where(_STATUSES)],
            )
        },
        scanned=None,  # an upload has a limit, and no index knows the status
    )
)


async def list_rows(
    db: Database,
    job_id: UUID,
    *,
    cursor: Cursor | None = None,
    limit: int,
    which: RowFilter = EVERY_ROW,
    is_counted: bool = True,
) -> Page[JobRow]:
    """Rows that were looked at, in their order."""
    is_filtered = bool(which.statuses)
    values = {"job_id": job_id, "any_status": not is_filtered, "statuses": list(which.statuses)}
    scan = Scan("all", of="status", is_exact=not is_filtered)
    query = KeysetQuery(
        ["status"] if is_filtered else [], values, [scan], identity=repr((job_id, which)), is_counted=is_counted
    )
    return await _LIST.page(db, query, order=_IN_ORDER, cursor=cursor, limit=limit)


# ---- forgetting ------------------------------------------------------------------------------------------------------

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
