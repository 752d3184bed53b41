"""Running statements on PostgreSQL and SQLite behind one small face.

A statement is an SQLAlchemy Core constant. It is compiled once per database and run by the driver itself, which
costs a fifth of running it through an engine (decision 0008). Values go in by name, rows come out as named tuples.

A transaction is a *work*: a generator that yields steps and is sent the rows of each.

    def rename(user_id: UUID, name: str) -> Work[None]:
        rows = yield step(LOCK_USER, id=user_id)
        if not rows:
            raise UserNotFound
        yield step(SET_NAME, id=user_id, name=name)

The same work runs in an asyncpg transaction and in the SQLite writer thread. Returning commits, raising rolls
back. A work is started anew, three times at most, when the database reports a deadlock, a serialization failure or
a busy file; it therefore reads no clock and touches nothing but its steps.
"""

import asyncio
import random
from collections import namedtuple
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import Executable
from sqlalchemy.sql.compiler import SQLCompiler

from latchstring.storage.engine.private_api import bind_processor, list_result_columns, result_processor
from latchstring.storage.engine.tables import metadata

T = TypeVar("T")
Row = Any  # a named tuple of the statement's columns
ATTEMPTS = 4  # the first, and the whole again three times
_PAUSE_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of a transaction with its values."""

    statement: Executable
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Steps:
    """One changing statement, run once for each set of values; a work that yields it is sent no rows."""

    statement: Executable
    many: Sequence[Mapping[str, Any]]


def step(statement: Executable, **values: Any) -> Step:
    """One statement with its values, as a work yields it."""
    return Step(statement, values)


Work = Generator[Step | Steps, list[Row], T]


def single_step(one: Step | Steps) -> Work[None]:
    """A work of one step, for a transaction that needs no more."""
    yield one


class UniqueViolation(Exception):
    """A unique constraint spoke. The storage modules turn its name into a domain error."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class ReferenceViolation(Exception):
    """A foreign key spoke: what a row refers to has gone."""


async def pause_before(attempt: int) -> None:
    """Let the other side of a conflict finish: nothing before the first attempt, then a little longer each time.

    Random, so that two who met do not meet again.
    """
    if attempt:
        await asyncio.sleep(random.uniform(0.5, 1) * _PAUSE_SECONDS * 2**attempt)  # noqa: S311  # no secret


class TableMissing(Exception):
    """The schema is not there yet: `latchstring migrate` makes it."""


class Conflict(Exception):
    """Deadlock, serialization failure or busy file: the same work may succeed when tried again."""


class Database(Protocol):
    """What the storage modules are handed: PostgreSQL or SQLite."""

    dialect_name: str

    async def fetch(self, statement: Executable, /, **values: Any) -> list[Row]:
        """Run one reading statement outside any transaction."""

    async def write(self, statement: Executable, /, **values: Any) -> list[Row]:
        """Run one changing statement as a transaction of its own: one round trip, one commit."""

    async def transact(self, work: Callable[[], Work[T]]) -> T:
        """Run a work as one transaction, the whole of it again after a conflict, and return what it returns.

        Raises StorageBusy when every try met a conflict, StorageUnreachable when the database is away.
        """

    async def close(self) -> None:
        """Let running work finish and give every connection back."""


class Compiled:
    """A statement as its driver takes it: text, values in the driver's types, rows in ours."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # every Core statement has it
        if not isinstance(compiled, SQLCompiler):
            raise TypeError("not a statement that runs")
        self.text = compiled.string
        self.names = tuple(compiled.positiontup or ())
        binds = [compiled.binds[name] for name in self.names]
        self._binds = [
            (bind.required, name, bind.effective_value) for name, bind in zip(self.names, binds, strict=True)
        ]
        # SQLAlchemy's own way to convert, without its engine around it; most types need none
        processors = [bind_processor(bind.type, dialect) for bind in binds]
        self._converted = [(place, process) for place, process in enumerate(processors) if process]
        columns = list_result_columns(compiled)
        names = [column.name for column in columns]
        self._make: Callable[[Iterable[Any]], Any] = getattr(namedtuple("Row", names), "_make")  # noqa: B009, PYI024  # mypy knows no _make of a dynamic one
        self._results = [result_processor(column.type, dialect) for column in columns]
        self._plain = not any(self._results)

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in the statement's order; a missing one is a KeyError."""
        found = [values[name] if required else values.get(name, given) for required, name, given in self._binds]
        for place, process in self._converted:
            found[place] = process(found[place])
        return found

    def row(self, raw: Any) -> Row:
        """One row of the driver as a named tuple of our types."""
        if self._plain:
            return self._make(raw)
        return self._make(
            process(value) if process else value for value, process in zip(raw, self._results, strict=True)
        )


class Statements:
    """Compiles each statement once for one database. Statements are kept by identity: use module constants,
    or functions behind functools.cache.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: dict[int, tuple[Executable, Compiled]] = {}

    def __getitem__(self, statement: Executable) -> Compiled:
        known = self._known.get(id(statement))
        if known is None:
            known = (statement, Compiled(statement, self._dialect))
            self._known[id(statement)] = known
        return known[1]


def unique_names() -> dict[frozenset[str], str]:
    """Unique constraints by their `table.column` set: SQLite names the columns, not the constraint."""
    found: dict[frozenset[str], str] = {}
    for table in metadata.tables.values():
        unique: list[UniqueConstraint | Index] = [c for c in table.constraints if isinstance(c, UniqueConstraint)]
        unique += [index for index in table.indexes if index.unique]
        found |= {frozenset(f"{table.name}.{column.name}" for column in u.columns): str(u.name) for u in unique}
        found[frozenset(f"{table.name}.{column.name}" for column in table.primary_key)] = f"pk_{table.name}"
    return found
