"""Counts of how often links were opened, possibly by mail scanners.

They are stored apart from the invitations: opening a link does not change the invitation.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Text,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Executable

from latchstring.domain.ids import id_instant, new_id
from latchstring.domain.views.timeline import LinkViews
from latchstring.storage.engine.database import Database, Row, Step, step
from latchstring.storage.engine.tables import invitations, link_views
from latchstring.storage.engine.types import Id, Json, ListOf, any_of

_v = link_views.c
_COLUMNS = (_v.id, _v.invitation_id, _v.generation, _v.times, _v.last_at)


def _counts_on_postgres() -> tuple[FromClause, list[ColumnElement[Any]]]:
    lists = func.unnest(*(bindparam(f"{column.name}_list", type_=ListOf(type(column.type))) for column in _COLUMNS))
    counts = lists.table_valued(*(column.name for column in _COLUMNS)).render_derived(name="seen")
    return counts, [counts.c[column.name] for column in _COLUMNS]


def _counts_on_sqlite() -> tuple[FromClause, list[ColumnElement[Any]]]:
    counts = func.json_each(bindparam("seen", type_=Json)).table_valued("value", name="seen")
    types = (Text, Text, Integer, Integer, BigInteger)
    return counts, [
        func.json_extract(counts.c.value, literal_column(f"'$[{index}]'"), type_=type_)
        for index, type_ in enumerate(types)
    ]


def _upsert(insert: Any, source: tuple[FromClause, list[ColumnElement[Any]]]) -> Executable:
    """Add to the stored counts of existing invitations, in a fixed order, so that processes do not deadlock."""
    counts, columns = source
    rows = (
        select(*columns)
        .select_from(counts.join(invitations, invitations.c.id == columns[1]))
        .where(true())  # without WHERE, SQLite parses ON CONFLICT as the join condition
        .order_by(columns[1], columns[2])
    )
    upsert = insert(link_views).from_select([column.name for column in _COLUMNS], rows)
    return upsert.on_conflict_do_update(  # type: ignore[no-any-return]  # of either dialect
        index_elements=[_v.invitation_id, _v.generation],
        set_={
            "times": _v.times + upsert.excluded.times,
            "last_at": case((upsert.excluded.last_at > _v.last_at, upsert.excluded.last_at), else_=_v.last_at),
        },
    )


_ADD = {
    "postgresql": _upsert(postgresql.insert, _counts_on_postgres()),
    "sqlite": _upsert(sqlite.insert, _counts_on_sqlite()),
}
_FIND = select(*_COLUMNS).where(_v.invitation_id == bindparam("invitation_id", type_=Id)).order_by(_v.generation)
_DELETE = delete(link_views).where(any_of(_v.invitation_id, "invitation_ids"))


async def add_link_views(db: Database, link_views: Sequence[LinkViews]) -> None:
    """Add counts in one statement."""
    rows = [
        (new_id(views.first_at), views.invitation_id, views.generation, views.times, views.last_at)
        for views in link_views
    ]
    if db.dialect_name == "postgresql":
        lists = zip(*rows, strict=True)
        await db.write(
            _ADD["postgresql"],
            **{f"{column.name}_list": values for column, values in zip(_COLUMNS, lists, strict=True)},
        )
        return
    await db.write(
        _ADD["sqlite"],
        seen=[
            (str(id_), str(invitation_id), *numbers, _milliseconds(last_at))
            for id_, invitation_id, *numbers, last_at in rows
        ],
    )


def _milliseconds(now: datetime) -> int:
    return int(now.timestamp() * 1000)


async def list_link_views(db: Database, invitation_id: UUID) -> list[LinkViews]:
    """Return the counts of an invitation's links, sorted by generation."""
    return [_read_link_views(row) for row in await db.fetch(_FIND, invitation_id=invitation_id)]


def _read_link_views(row: Row) -> LinkViews:
    return LinkViews(row.invitation_id, row.generation, row.times, id_instant(row.id), row.last_at)


def delete_link_views(invitation_ids: Sequence[UUID]) -> Step:
    """Delete the counts of these invitations."""
    return step(_DELETE, invitation_ids=invitation_ids)
