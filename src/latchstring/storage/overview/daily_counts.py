"""Incremental daily counts: each occurrence is added to `figures` exactly once.

Every source is a table whose ids are in the order of time. A cursor stores the last id that was counted. It moves by a
conditional update in the transaction that writes the counts: of two concurrent workers one counts, and the other sees
that the cursor has moved.

Ids are created before their transaction, so rows become visible slightly out of order. Counting stays LAG behind the
clock: longer than a transaction with all its repetitions can take (storage/engine/postgres.py: four times five
seconds). Newer rows are read by each request, up to a limit.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Executable

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.ids import MAX_ID, NIL_ID, first_id_at, id_instant
from latchstring.domain.views.overview import (
    OTHER_INVITERS,
    CountedTerms,
    CountKey,
    Dimension,
    Measure,
    Occurrence,
    count_occurrences,
    merge_other_inviters,
)
from latchstring.storage.engine.database import Database, Row, Work, step
from latchstring.storage.engine.tables import (
    delivery_attempts,
    events,
    figure_cursors,
    figures,
    invitations,
    link_views,
    outbox,
)
from latchstring.storage.engine.types import CanonicalText, Id, Json, ListOf, any_of

BATCH = 1000
LAG = timedelta(seconds=60)
TAIL_LIMIT = 300  # uncounted rows of a source that a request reads
MAX_INVITERS = 50

_f = figures.c
_AFTER, _BEFORE = bindparam("after", type_=Id), bindparam("before", type_=Id)


class Source(StrEnum):
    """A table whose rows are counted."""

    EVENTS = "events"
    DELIVERIES = "delivery_attempts"
    LINK_VIEWS = "visits"


# ---- reading occurrences ---------------------------------------------------------------------------------------------


def _next(table: Any, limit: int) -> Any:
    between = (table.c.id > _AFTER, table.c.id < _BEFORE)
    return select(table).where(*between).order_by(table.c.id).limit(literal_column(str(limit))).subquery("next")


def _events(limit: int) -> Select[Any]:
    batch = _next(events, limit)
    counted = batch.c.type.in_([literal_column("'invitation.created'"), literal_column("'invitation.accepted'")])
    terms = (invitations.c.role, invitations.c.inviter_type, invitations.c.inviter_id)
    joined = batch.outerjoin(invitations, and_(counted, invitations.c.id == batch.c.subject_id))
    return select(batch.c.id, batch.c.type, batch.c.subject_id, *terms).select_from(joined).order_by(batch.c.id)


def _deliveries(limit: int) -> Select[Any]:
    """Select attempts with `counts`: whether it was the first accepted attempt of a mail with the invitation's link."""
    batch = _next(delivery_attempts, limit)
    earlier, earlier_mail = delivery_attempts.alias("earlier"), outbox.alias("before_it")
    sent: ColumnElement[str] = literal_column("'SENT'")
    invitation: ColumnElement[str] = literal_column("'invitation'")
    repeated = exists(
        select(earlier.c.id)
        .join(earlier_mail, earlier_mail.c.id == earlier.c.mail_id)
        .where(
            earlier.c.subject_id == batch.c.subject_id,
            earlier.c.id < batch.c.id,
            earlier.c.state == sent,
            earlier_mail.c.kind == invitation,
        )
    )
    with_link = exists(select(outbox.c.id).where(outbox.c.id == batch.c.mail_id, outbox.c.kind == invitation))
    counts = and_(batch.c.state == sent, with_link, ~repeated)
    return select(batch.c.id, batch.c.subject_id, case((counts, 1), else_=0).label("counts")).order_by(batch.c.id)


def _link_views(limit: int) -> Select[Any]:
    """Select link views with `counts`: whether it is the first of the invitation. Every link has its own row."""
    batch, earlier = _next(link_views, limit), link_views.alias("earlier")
    repeated = exists(
        select(earlier.c.id).where(earlier.c.invitation_id == batch.c.invitation_id, earlier.c.id < batch.c.id)
    )
    subject = batch.c.invitation_id.label("subject_id")
    return select(batch.c.id, subject, case((repeated, 0), else_=1).label("counts")).order_by(batch.c.id)


_READERS = {Source.EVENTS: _events, Source.DELIVERIES: _deliveries, Source.LINK_VIEWS: _link_views}
_BATCHES = {source: reader(BATCH) for source, reader in _READERS.items()}
_TAILS = {source: reader(TAIL_LIMIT) for source, reader in _READERS.items()}
_MEASURES = {"invitation.created": Measure.INVITED, "invitation.accepted": Measure.ACCEPTED}


def _occurrences(source: Source, rows: Iterable[Row]) -> Iterable[Occurrence]:
    if source is Source.EVENTS:
        counted = (row for row in rows if row.type in _MEASURES)
        return (Occurrence(_MEASURES[row.type], *_instants(row), _terms(row)) for row in counted)
    measure = Measure.DELIVERED if source is Source.DELIVERIES else Measure.VISITED
    return (Occurrence(measure, *_instants(row)) for row in rows if row.counts)


def _instants(row: Row) -> tuple[datetime, datetime]:
    return id_instant(row.subject_id), id_instant(row.id)


def _terms(row: Row) -> CountedTerms | None:
    if row.inviter_type is None:
        return None
    return CountedTerms(row.role, Actor(ActorType(row.inviter_type), row.inviter_id))


# ---- counting --------------------------------------------------------------------------------------------------------

_CURSORS = select(figure_cursors.c.source, figure_cursors.c.after_id)
_KNOWN_INVITERS = select(_f.day, _f.key).where(
    any_of(_f.day, "days", CanonicalText),
    _f.measure == literal_column("'invited'"),
    _f.dimension == literal_column("'inviter'"),
)
_COLUMNS = ("day", "measure", "dimension", "key", "count")


def _move(insert: Any) -> Executable:
    """Move a cursor if it still is where it was read. A missing cursor counts as zero."""
    insertion = insert(figure_cursors).values(
        source=bindparam("source", type_=CanonicalText), after_id=bindparam("reached", type_=Id)
    )
    moved: Executable = insertion.on_conflict_do_update(
        index_elements=[figure_cursors.c.source],
        set_={"after_id": insertion.excluded.after_id},
        where=figure_cursors.c.after_id == _AFTER,
    ).returning(figure_cursors.c.source)
    return moved


def _counts_on_postgres() -> tuple[FromClause, list[ColumnElement[Any]]]:
    types = (CanonicalText, CanonicalText, CanonicalText, CanonicalText, BigInteger)
    lists = (bindparam(f"{name}_list", type_=ListOf(type_)) for name, type_ in zip(_COLUMNS, types, strict=True))
    rows = func.unnest(*lists).table_valued(*_COLUMNS).render_derived(name="given")
    return rows, [rows.c[name] for name in _COLUMNS]


def _counts_on_sqlite() -> tuple[FromClause, list[ColumnElement[Any]]]:
    rows = func.json_each(bindparam("given", type_=Json)).table_valued("value", name="given")
    types = (Text, Text, Text, Text, BigInteger)
    return rows, [
        func.json_extract(rows.c.value, literal_column(f"'$[{index}]'"), type_=type_)
        for index, type_ in enumerate(types)
    ]


def _add(insert: Any, source: tuple[FromClause, list[ColumnElement[Any]]]) -> Executable:
    source_rows, columns = source
    rows = select(*columns).select_from(source_rows).where(true())  # SQLite needs a WHERE before ON CONFLICT
    insertion = insert(figures).from_select(list(_COLUMNS), rows)
    added: Executable = insertion.on_conflict_do_update(
        index_elements=list(figures.primary_key), set_={"count": _f.count + insertion.excluded.count}
    )
    return added


_MOVE = {"postgresql": _move(postgresql.insert), "sqlite": _move(sqlite.insert)}
_ADD = {
    "postgresql": _add(postgresql.insert, _counts_on_postgres()),
    "sqlite": _add(sqlite.insert, _counts_on_sqlite()),
}


async def count_next_batch(db: Database, source: Source, *, now: datetime) -> bool:
    """Count the next batch of a source. Returns True when there is more to count now."""
    after = (await _cursors(db)).get(source, NIL_ID)
    rows = await db.fetch(_BATCHES[source], after=after, before=first_id_at(now - LAG))
    if not rows:
        return False
    counts = count_occurrences(_occurrences(source, rows))
    moved = await db.transact(lambda: _store_counts(db.dialect_name, source, after, rows[-1].id, counts))
    return moved and len(rows) == BATCH


async def _cursors(db: Database) -> Mapping[str, UUID]:
    return {row.source: row.after_id for row in await db.fetch(_CURSORS)}


def _store_counts(
    dialect_name: str, source: Source, after: UUID, reached: UUID, counts: Counter[CountKey]
) -> Work[bool]:
    """Store the counts, unless another worker has counted these rows meanwhile."""
    if not (yield step(_MOVE[dialect_name], source=source.value, after=after, reached=reached)):
        return False
    known_inviters: dict[str, set[str]] = {}
    if days := sorted({figure.day for figure in counts if figure.dimension is Dimension.INVITER}):
        for row in (yield step(_KNOWN_INVITERS, days=days)):
            known_inviters.setdefault(row.day, set()).add(row.key)
    rows = [
        (*map(str, figure), count) for figure, count in sorted(merge_other_inviters(counts, known_inviters).items())
    ]
    if rows and dialect_name == "postgresql":
        lists = {f"{name}_list": values for name, values in zip(_COLUMNS, zip(*rows, strict=True), strict=True)}
        yield step(_ADD[dialect_name], **lists)
    elif rows:
        yield step(_ADD[dialect_name], given=rows)
    return True


# ---- reading the figures ---------------------------------------------------------------------------------------------

_OF_PERIOD = (_f.day >= bindparam("first", type_=CanonicalText), _f.day <= bindparam("last", type_=CanonicalText))
_SUM = cast(func.sum(_f.count), BigInteger).label("count")
_BY_DAY = select(_f.day, _f.measure, _f.count).where(*_OF_PERIOD, _f.dimension == literal_column("'all'"))
_BY_KEY = (
    select(_f.measure, _f.dimension, _f.key, _SUM)
    .where(*_OF_PERIOD, or_(_f.dimension == literal_column("'role'"), _f.dimension == literal_column("'wait'")))
    .group_by(_f.measure, _f.dimension, _f.key)
)


def _sum_of(measure: Measure) -> ColumnElement[int]:
    return cast(func.sum(case((_f.measure == literal_column(f"'{measure}'"), _f.count), else_=0)), BigInteger)


_INVITED = _sum_of(Measure.INVITED)
_BY_INVITER = (
    select(_f.key, _INVITED.label("invited"), _sum_of(Measure.ACCEPTED).label("accepted"))
    .where(*_OF_PERIOD, _f.dimension == literal_column("'inviter'"))
    .group_by(_f.key)
    .order_by(case((_f.key == literal_column(f"'{OTHER_INVITERS}'"), 0), else_=1), _INVITED.desc(), _f.key)
    .limit(literal_column(str(MAX_INVITERS)))
)


@dataclass(frozen=True, slots=True)
class PeriodCounts:
    """The counts of a period. They are complete up to `as_of`."""

    counts: Counter[CountKey]
    as_of: datetime


async def read_figures(db: Database, *, first: str, last: str, now: datetime) -> PeriodCounts:
    """Return the counts of a period, including rows that no sweep has counted yet.

    first, last: ISO dates, both inclusive. as_of is before `now` only if there are more new rows than a request reads.
    """
    before: Mapping[str, UUID] | None = None
    for _ in range(3):  # a sweep between these statements would make rows count twice or not at all
        cursors = await _cursors(db)
        if cursors == before:
            break
        before = cursors
        counts = await _read_counts(db, first, last)
        new_counts, as_of = await _read_tails(db, cursors, now)
    counts.update({figure: count for figure, count in new_counts.items() if first <= figure.day <= last})
    return PeriodCounts(counts, as_of)


async def _read_counts(db: Database, first: str, last: str) -> Counter[CountKey]:
    counts: Counter[CountKey] = Counter()
    for row in await db.fetch(_BY_DAY, first=first, last=last):
        counts[CountKey(row.day, Measure(row.measure), Dimension.ALL, "")] = row.count
    for row in await db.fetch(_BY_KEY, first=first, last=last):
        counts[CountKey(first, Measure(row.measure), Dimension(row.dimension), row.key)] = row.count
    for row in await db.fetch(_BY_INVITER, first=first, last=last):
        counts[CountKey(first, Measure.INVITED, Dimension.INVITER, row.key)] = row.invited
        counts[CountKey(first, Measure.ACCEPTED, Dimension.INVITER, row.key)] = row.accepted
    return counts


async def _read_tails(db: Database, cursors: Mapping[str, UUID], now: datetime) -> tuple[Counter[CountKey], datetime]:
    counts: Counter[CountKey] = Counter()
    as_of = now
    for source in Source:
        rows = await db.fetch(_TAILS[source], after=cursors.get(source, NIL_ID), before=MAX_ID)
        counts.update(count_occurrences(_occurrences(source, rows)))
        if len(rows) == TAIL_LIMIT:
            as_of = min(as_of, id_instant(rows[-1].id))
    return counts, as_of
