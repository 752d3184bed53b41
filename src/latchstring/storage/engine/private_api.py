"""What SQLAlchemy has no public word for. `tests/contract/test_private_apis.py` fails when it changes."""

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
    """The columns of a compiled statement's rows, in order: of SELECT and of RETURNING; none without either."""
    return [ResultColumn(entry.keyname, entry.type) for entry in compiled._result_columns]  # noqa: SLF001


def bind_processor(kind: TypeEngine[Any], dialect: Dialect) -> Processor | None:
    """What makes the driver's value of ours, one function for all statements; None where nothing has to be done."""
    return kind._cached_bind_processor(dialect)  # noqa: SLF001


def result_processor(kind: TypeEngine[Any], dialect: Dialect) -> Processor | None:
    """What makes our value of the driver's, one function for all statements; None where nothing has to be done."""
    return kind._cached_result_processor(dialect, None)  # noqa: SLF001
