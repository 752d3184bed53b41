"""One small interface to run statements on PostgreSQL and SQLite.

A statement is an SQLAlchemy Core constant. It is compiled once per database and run by the driver itself, which
costs a fifth of running it through an engine (decision 0008). Values are bound by name, rows are named tuples.

A transaction is a *work*: a generator that yields steps and receives the rows of each.

    def rename(user_id: UUID, name: str) -> Work[None]:
        rows = yield step(LOCK_USER, id=user_id)
        if not rows:
            raise UserNotFound
        yield step(SET_NAME, id=user_id, name=name)

The same work runs in an asyncpg transaction and in the SQLite writer thread. Returning commits, raising rolls
back. A work is restarted, three times at most, when the database reports a deadlock, a serialization failure or
a busy file. It therefore must not read a clock or have effects other than its steps.
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
ATTEMPTS = 4  # the first attempt and three repetitions
_PAUSE_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Step:
    """A statement of a transaction with its values."""

    statement: Executable
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Steps:
    """A changing statement that runs once for each set of values. A work that yields it receives no rows."""

    statement: Executable
    many: Sequence[Mapping[str, Any]]


def step(statement: Executable, **values: Any) -> Step:
    """Return a statement with its values, for a work to yield."""
    return Step(statement, values)


Work = Generator[Step | Steps, list[Row], T]


def single_step(only_step: Step | Steps) -> Work[None]:
    """A work with a single step."""
    yield only_step


class UniqueViolation(Exception):
    """A unique constraint was violated. The storage modules turn its name into a domain error."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class ReferenceViolation(Exception):
    """A foreign key was violated: the referenced row does not exist any more."""


async def pause_before(attempt: int) -> None:
    """Wait before a repetition, longer each time, so that the other side of a conflict can finish.

    The pause is random, so that two transactions that conflicted do not conflict again.
    """
    if attempt:
        await asyncio.sleep(random.uniform(0.5, 1) * _PAUSE_SECONDS * 2**attempt)  # noqa: S311  # no secret


class TableMissing(Exception):
    """The schema does not exist yet: `latchstring migrate` creates it."""


class Conflict(Exception):
    """Deadlock, serialization failure or busy file: the same work may succeed in another attempt."""


class Database(Protocol):
    """The database of the storage modules: PostgreSQL or SQLite."""

    dialect_name: str

    async def fetch(self, statement: Executable, /, **values: Any) -> list[Row]:
        """Run a reading statement outside a transaction."""

    async def write(self, statement: Executable, /, **values: Any) -> list[Row]:
        """Run a changing statement as its own transaction: one round trip, one commit."""

    async def transact(self, work: Callable[[], Work[T]]) -> T:
        """Run a work as one transaction and return its result. After a conflict the whole work runs again.

        Raises StorageBusy when every attempt had a conflict, StorageUnreachable when the database is unavailable.
        """

    async def close(self) -> None:
        """Let running work finish and close every connection."""


class Compiled:
    """A statement in its driver's form: text, and conversions of values and rows from and to the driver's types."""

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
        # SQLAlchemy's conversions without its engine; most types need none
        processors = [bind_processor(bind.type, dialect) for bind in binds]
        self._converted = [(index, process) for index, process in enumerate(processors) if process]
        columns = list_result_columns(compiled)
        names = [column.name for column in columns]
        self._new_row: Callable[[Iterable[Any]], Any] = getattr(namedtuple("Row", names), "_make")  # noqa: B009, PYI024  # mypy knows no _make of a dynamic one
        self._results = [result_processor(column.type, dialect) for column in columns]
        self._is_plain = not any(self._results)

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the values in the order of the statement. Raises KeyError for a missing value."""
        ordered = [values[name] if required else values.get(name, default) for required, name, default in self._binds]
        for index, process in self._converted:
            ordered[index] = process(ordered[index])
        return ordered

    def row(self, raw: Any) -> Row:
        """Convert a row of the driver to a named tuple of our types."""
        if self._is_plain:
            return self._new_row(raw)
        return self._new_row(
            process(value) if process else value for value, process in zip(raw, self._results, strict=True)
        )


class Statements:
    """Compiles each statement once for one database.

    Statements are cached by identity: use module constants or functions behind functools.cache.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._compiled: dict[int, tuple[Executable, Compiled]] = {}

    def __getitem__(self, statement: Executable) -> Compiled:
        entry = self._compiled.get(id(statement))
        if entry is None:
            entry = (statement, Compiled(statement, self._dialect))
            self._compiled[id(statement)] = entry
        return entry[1]


def unique_names() -> dict[frozenset[str], str]:
    """Map sets of `table.column` to their unique constraint: SQLite reports the columns, not the constraint."""
    names: dict[frozenset[str], str] = {}
    for table in metadata.tables.values():
        unique: list[UniqueConstraint | Index] = [c for c in table.constraints if isinstance(c, UniqueConstraint)]
        unique += [index for index in table.indexes if index.unique]
        names |= {frozenset(f"{table.name}.{column.name}" for column in u.columns): str(u.name) for u in unique}
        names[frozenset(f"{table.name}.{column.name}" for column in table.primary_key)] = f"pk_{table.name}"
    return names
