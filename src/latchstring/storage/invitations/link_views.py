"""How often links were opened, perhaps by scanners. Beside the invitations, never in them: opening changes nothing."""

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
from latchstring.storage.engine.tables import invitations, visits
from latchstring.storage.engine.types import Id, Json, ListOf, any_of

_v = visits.c
_COLUMNS = (_v.id, _v.invitation_id, _v.generation, _v.times, _v.last_at)


def _on_postgres() -> tuple[FromClause, list[ColumnElement[Any]]]:
    lists = func.unnest(*(bindparam(f"{column.name}_list", type_=ListOf(type(column.type))) for column in _COLUMNS))
    seen = lists.table_valued(*(column.name for column in _COLUMNS)).render_derived(name="seen")
    return seen, [seen.c[column.name] for column in _COLUMNS]


def _on_sqlite() -> tuple[FromClause, list[ColumnElement[Any]]]:
    seen = func.json_each(bindparam("seen", type_=Json)).table_valued("value", name="seen")
    types = (Text, Text, Integer, Integer, BigInteger)
    return seen, [
        func.json_extract(seen.c.value, literal_column(f"'$[{at}]'"), type_=type_) for at, type_ in enumerate(types)
    ]


def _upsert(insert: Any, source: tuple[FromClause, list[ColumnElement[Any]]]) -> Executable:
    """Add to what is there. Only for invitations that still are; in one order, so that processes do not deadlock."""
    seen, columns = source
    found = (
        select(*columns)
        .select_from(seen.join(invitations, invitations.c.id == columns[1]))
        .where(true())  # SQLite would take ON CONFLICT for the condition of the join
        .order_by(columns[1], columns[2])
    )
    made = insert(visits).from_select([column.name for column in _COLUMNS], found)
    return made.on_conflict_do_update(  # type: ignore[no-any-return]  # of either dialect
        index_elements=[_v.invitation_id, _v.generation],
        set_={
            "times": _v.times + made.excluded.times,
            "last_at": case((made.excluded.last_at > _v.last_at, made.excluded.last_at), else_=_v.last_at),
        },
    )


_ADD = {"postgresql": _upsert(postgresql.insert, _on_postgres()), "sqlite": _upsert(sqlite.insert, _on_sqlite())}
_FIND = select(*_COLUMNS).where(_v.invitation_id == bindparam("invitation_id", type_=Id)).order_by(_v.generation)
_FORGET = delete(visits).where(any_of(_v.invitation_id, "invitation_ids"))


async def add_visits(db: Database, seen: Sequence[LinkViews]) -> None:
    """Add these counts in one statement."""
    rows = [(new_id(one.first_at), one.invitation_id, one.generation, one.times, one.last_at) for one in seen]
    if db.dialect_name == "postgresql":
        lists = zip(*rows, strict=True)
        await db.write(
            _ADD["postgresql"],
            **{f"{column.name}_list": values for column, values in zip(_COLUMNS, lists, strict=True)},
        )
        return
    await db.write(
        _ADD["sqlite"], seen=[(str(id_), str(of), *counts, _milliseconds(at)) for id_, of, *counts, at in rows]
    )


def _milliseconds(now: datetime) -> int:
    return int(now.timestamp() * 1000)


async def find_visits(db: Database, invitation_id: UUID) -> list[LinkViews]:
    """The visits of each link of an invitation, the first link's first."""
    return [_visits(row) for row in await db.fetch(_FIND, invitation_id=invitation_id)]


def _visits(row: Row) -> LinkViews:
    return LinkViews(row.invitation_id, row.generation, row.times, id_instant(row.id), row.last_at)


def forget_visits(invitation_ids: Sequence[UUID]) -> Step:
    """Delete the counts of these invitations."""
    return step(_FORGET, invitation_ids=invitation_ids)
