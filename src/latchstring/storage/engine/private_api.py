"""Private API of SQLAlchemy without public equivalent. `tests/contract/test_private_apis.py` fails when it changes."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

Processor = Callable[[Any], Any]


class ResultColumn(NamedTuple):
    """A column of the rows that a statement returns."""

    name: str
    type: TypeEngine[Any]


def list_result_columns(compiled: SQLCompiler) -> Sequence[ResultColumn]:
    """Return the result columns of a compiled SELECT or RETURNING, in order; empty for other statements."""
    return [ResultColumn(entry.keyname, entry.type) for entry in compiled._result_columns]  # noqa: SLF001


def bind_processor(kind: TypeEngine[Any], dialect: Dialect) -> Processor | None:
    """Return the conversion from our value to the driver's, shared by all statements; None if none is needed."""
    return kind._cached_bind_processor(dialect)  # noqa: SLF001


def result_processor(kind: TypeEngine[Any], dialect: Dialect) -> Processor | None:
    """Return the conversion from the driver's value to ours, shared by all statements; None if none is needed."""
    return kind._cached_result_processor(dialect, None)  # noqa: SLF001
