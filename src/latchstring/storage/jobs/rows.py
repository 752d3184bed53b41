"""The row results of jobs, and the preview of those of a draft."""

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

PURGE_BATCH = 1000  # rows that a purging statement deletes
_DUPLICATE_OF = "duplicateOf"  # in `source`, which otherwise only refused rows have

_r = job_rows.c
_ID = bindparam("job_id", type_=Id)

# ---- storing ---------------------------------------------------------------------------------------------------------

_INSERT_ROW = insert(job_rows).values({column.name: bindparam(column.name, type_=column.type) for column in _r})
_LISTED = BulkValues("listed", "r_", [column for column in _r if column.name != "job_id"])
_INSERT_ROWS = insert(job_rows).from_select(
    [column.name for column in _r],
    select(_ID, *(_LISTED[column.name] for column in _r if column.name != "job_id")).select_from(_LISTED.rows),
)
_BY_INVITATION = select(_r.row, _r.invitation_id).where(
    any_of(_r.email_key, "email_keys", CanonicalText), _r.job_id == _ID, any_of(_r.invitation_id, "invitation_ids")
)


def insert_rows(dialect_name: str, job_id: UUID, rows: Sequence[JobRow]) -> Step | Steps:
    """Store row results."""
    values_of_rows = [
        {
            "job_id": job_id,
            "row": row.row,
            "status": row.status,
            "code": row.code,
            "detail": row.detail,
            "email": row.email,
            "email_key": row.email_key,
            "invitation_id": row.invitation_id,
            "source": row.source if row.duplicate_of is None else {_DUPLICATE_OF: row.duplicate_of},
        }
        for row in rows
    ]
    if dialect_name != "postgresql":
        return Steps(_INSERT_ROW, values_of_rows)
    for values in values_of_rows:
        source = values["source"]
        values["source"] = None if source is None else json.dumps(source, ensure_ascii=False)
    return Step(_INSERT_ROWS, {"job_id": job_id, **_LISTED.values(values_of_rows)})


def load_rows_by_invitation(
    job_id: UUID, email_keys: Sequence[str], invitation_ids: Sequence[UUID]
) -> Work[dict[UUID, int]]:
    """Return the rows of this job that created these invitations."""
    rows = yield step(_BY_INVITATION, job_id=job_id, email_keys=email_keys, invitation_ids=invitation_ids)
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
    """Count the processed rows by status."""
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
        scan_limit=None,  # uploads are limited, and no index contains the status
    )
)


async def list_rows(
    db: Database,
    job_id: UUID,
    *,
    cursor: Cursor | None = None,
    limit: int,
    row_filter: RowFilter = EVERY_ROW,
    is_counted: bool = True,
) -> Page[JobRow]:
    """Return a page of the processed rows, in their order."""
    is_filtered = bool(row_filter.statuses)
    values = {"job_id": job_id, "any_status": not is_filtered, "statuses": list(row_filter.statuses)}
    scan = Scan("all", filter_name="status", is_exact=not is_filtered)
    query = KeysetQuery(
        ["status"] if is_filtered else [], values, [scan], identity=repr((job_id, row_filter)), is_counted=is_counted
    )
    return await _LIST.page(db, query, order=_IN_ORDER, cursor=cursor, limit=limit)


# ---- deletion --------------------------------------------------------------------------------------------------------

_CLEAR_ROWS = delete(job_rows).where(_r.job_id == _ID)
_ERASE_PERSON = (
    update(job_rows)
    .where(_r.email_key == bindparam("by_email_key", type_=_r.email_key.type))
    .values(email=null(), email_key=null(), detail=null(), source=null())
)
_SOME_ROWS = select(_r.row).where(_r.job_id == _ID).order_by(_r.row).limit(literal_column(str(PURGE_BATCH)))
_PURGE_ROWS = delete(job_rows).where(_r.job_id == _ID, _r.row.in_(_SOME_ROWS.scalar_subquery())).returning(_r.row)


def clear_rows(job_id: UUID) -> Step:
    """Delete the preview of a draft."""
    return step(_CLEAR_ROWS, job_id=job_id)


def erase_person_in_rows(email_key: str) -> Step:
    """Erase a person's data in rows of jobs. The rows themselves remain."""
    return step(_ERASE_PERSON, by_email_key=email_key)


async def purge_rows(db: Database, job_id: UUID) -> bool:
    """Delete a batch of a job's rows. Returns True if there are more."""
    return len(await db.write(_PURGE_ROWS, job_id=job_id)) == PURGE_BATCH
