"""Adding up what happened into `figures`, once each, from wherever the last adding up ended.

Every source is a table whose ids are in the order of time. A cursor says up to which id it has been counted. It moves
by a conditional update in the transaction that writes the counts: of two workers at once one counts, the other finds
the cursor moved.

Ids are made before their transaction, so rows become visible a little out of order. Counting stays LAG behind the
clock: longer than a transaction with all its repetitions can take (storage/engine/postgres.py: four times five
seconds). What is younger is read by whoever asks, up to a bound.
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
from latchstring.domain.ids import first_id_at, id_instant
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
    outbox,
    visits,
)
from latchstring.storage.engine.types import CanonicalText, Id, Json, ListOf, any_of

BATCH = 1000
LAG = timedelta(seconds=60)
TAIL = 300  # rows of a source that a page reads itself
MOST_INVITERS_READ = 50

_f = figures.c
_AFTER, _BEFORE = bindparam("after", type_=Id), bindparam("before", type_=Id)


class Source(StrEnum):
    """A table whose rows are counted."""

    EVENTS = "events"
    DELIVERIES = "delivery_attempts"
    VISITS = "visits"


# ---- reading what happened -------------------------------------------------------------------------------------------


def _next(table: Any, limit: int) -> Any:
    between = (table.c.id > _AFTER, table.c.id < _BEFORE)
    return select(table).where(*between).order_by(table.c.id).limit(literal_column(str(limit))).subquery("next")


def _events(limit: int) -> Select[Any]:
    one = _next(events, limit)
    counted = one.c.type.in_([literal_column("'invitation.created'"), literal_column("'invitation.accepted'")])
    terms = (invitations.c.role, invitations.c.inviter_type, invitations.c.inviter_id)
    joined = one.outerjoin(invitations, and_(counted, invitations.c.id == one.c.subject_id))
    return select(one.c.id, one.c.type, one.c.subject_id, *terms).select_from(joined).order_by(one.c.id)


def _deliveries(limit: int) -> Select[Any]:
    """Whether each try was the first that a server took, of a mail with the invitation's link."""
    one = _next(delivery_attempts, limit)
    earlier, before_it = delivery_attempts.alias("earlier"), outbox.alias("before_it")
    sent: ColumnElement[str] = literal_column("'SENT'")
    invitation: ColumnElement[str] = literal_column("'invitation'")
    repeated = exists(
        select(earlier.c.id)
        .join(before_it, before_it.c.id == earlier.c.mail_id)
        .where(
            earlier.c.subject_id == one.c.subject_id,
            earlier.c.id < one.c.id,
            earlier.c.state == sent,
            before_it.c.kind == invitation,
        )
    )
    with_link = exists(select(outbox.c.id).where(outbox.c.id == one.c.mail_id, outbox.c.kind == invitation))
    counts = and_(one.c.state == sent, with_link, ~repeated)
    return select(one.c.id, one.c.subject_id, case((counts, 1), else_=0).label("counts")).order_by(one.c.id)


def _visits(limit: int) -> Select[Any]:
    """Whether each row is the invitation's first: every link has one of its own."""
    one, earlier = _next(visits, limit), visits.alias("earlier")
    repeated = exists(
        select(earlier.c.id).where(earlier.c.invitation_id == one.c.invitation_id, earlier.c.id < one.c.id)
    )
    subject = one.c.invitation_id.label("subject_id")
    return select(one.c.id, subject, case((repeated, 0), else_=1).label("counts")).order_by(one.c.id)


_READERS = {Source.EVENTS: _events, Source.DELIVERIES: _deliveries, Source.VISITS: _visits}
_BATCHES = {source: reader(BATCH) for source, reader in _READERS.items()}
_TAILS = {source: reader(TAIL) for source, reader in _READERS.items()}
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


# ---- adding up -------------------------------------------------------------------------------------------------------

_CURSORS = select(figure_cursors.c.source, figure_cursors.c.after_id)
_KNOWN_INVITERS = select(_f.day, _f.key).where(
    any_of(_f.day, "days", CanonicalText),
    _f.measure == literal_column("'invited'"),
    _f.dimension == literal_column("'inviter'"),
)
_COLUMNS = ("day", "measure", "dimension", "key", "count")


def _move(insert: Any) -> Executable:
    """Move a cursor from where it was seen; one that is not there yet was seen at zero."""
    made = insert(figure_cursors).values(
        source=bindparam("source", type_=CanonicalText), after_id=bindparam("reached", type_=Id)
    )
    moved: Executable = made.on_conflict_do_update(
        index_elements=[figure_cursors.c.source],
        set_={"after_id": made.excluded.after_id},
        where=figure_cursors.c.after_id == _AFTER,
    ).returning(figure_cursors.c.source)
    return moved


def _counts_on_postgres() -> tuple[FromClause, list[ColumnElement[Any]]]:
    types = (CanonicalText, CanonicalText, CanonicalText, CanonicalText, BigInteger)
    lists = (bindparam(f"{name}_list", type_=ListOf(type_)) for name, type_ in zip(_COLUMNS, types, strict=True))
    given = func.unnest(*lists).table_valued(*_COLUMNS).render_derived(name="given")
    return given, [given.c[name] for name in _COLUMNS]


def _counts_on_sqlite() -> tuple[FromClause, list[ColumnElement[Any]]]:
    given = func.json_each(bindparam("given", type_=Json)).table_valued("value", name="given")
    types = (Text, Text, Text, Text, BigInteger)
    return given, [
        func.json_extract(given.c.value, literal_column(f"'$[{at}]'"), type_=type_) for at, type_ in enumerate(types)
    ]


def _add(insert: Any, source: tuple[FromClause, list[ColumnElement[Any]]]) -> Executable:
    given, columns = source
    rows = select(*columns).select_from(given).where(true())  # SQLite needs a WHERE before ON CONFLICT
    made = insert(figures).from_select(list(_COLUMNS), rows)
    added: Executable = made.on_conflict_do_update(
        index_elements=list(figures.primary_key), set_={"count": _f.count + made.excluded.count}
    )
    return added


_MOVE = {"postgresql": _move(postgresql.insert), "sqlite": _move(sqlite.insert)}
_ADD = {
    "postgresql": _add(postgresql.insert, _counts_on_postgres()),
    "sqlite": _add(sqlite.insert, _counts_on_sqlite()),
}


async def add_up(db: Database, source: Source, *, now: datetime) -> bool:
    """Count the next batch of a source. True when there is more to count at once."""
    after = (await _cursors(db)).get(source, _START)
    rows = await db.fetch(_BATCHES[source], after=after, before=first_id_at(now - LAG))
    if not rows:
        return False
    counts = count_occurrences(_occurrences(source, rows))
    moved = await db.transact(lambda: _keep(db.dialect_name, source, after, rows[-1].id, counts))
    return moved and len(rows) == BATCH


_START = UUID(int=0)


async def _cursors(db: Database) -> Mapping[str, UUID]:
    return {row.source: row.after_id for row in await db.fetch(_CURSORS)}


def _keep(dialect_name: str, source: Source, after: UUID, reached: UUID, counts: Counter[CountKey]) -> Work[bool]:
    """Write the counts, unless somebody else has counted these rows meanwhile."""
    if not (yield step(_MOVE[dialect_name], source=source.value, after=after, reached=reached)):
        return False
    known: dict[str, set[str]] = {}
    if days := sorted({figure.day for figure in counts if figure.dimension is Dimension.INVITER}):
        for row in (yield step(_KNOWN_INVITERS, days=days)):
            known.setdefault(row.day, set()).add(row.key)
    rows = [(*map(str, figure), count) for figure, count in sorted(merge_other_inviters(counts, known).items())]
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
    .limit(literal_column(str(MOST_INVITERS_READ)))
)


@dataclass(frozen=True, slots=True)
class Counted:
    """The counts of a period, and up to when everything is in them."""

    counts: Counter[CountKey]
    as_of: datetime


async def read_figures(db: Database, *, first: str, last: str, now: datetime) -> Counted:
    """The counts of the invitations made from one day to another, with what no sweep has added up yet.

    first, last: ISO dates. as_of lies before `now` only when more happened since the last sweep than a page may read.
    """
    before: Mapping[str, UUID] | None = None
    for _ in range(3):  # a sweep between two of these statements would count what it moves twice, or not at all
        cursors = await _cursors(db)
        if cursors == before:
            break
        before = cursors
        counts = await _read_counts(db, first, last)
        fresh, as_of = await _read_tails(db, cursors, now)
    counts.update({figure: count for figure, count in fresh.items() if first <= figure.day <= last})
    return Counted(counts, as_of)


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
    fresh: Counter[CountKey] = Counter()
    as_of = now
    for source in Source:
        rows = await db.fetch(_TAILS[source], after=cursors.get(source, _START), before=_END)
        fresh.update(count_occurrences(_occurrences(source, rows)))
        if len(rows) == TAIL:
            as_of = min(as_of, id_instant(rows[-1].id))
    return fresh, as_of


_END = UUID(int=(1 << 128) - 1)
