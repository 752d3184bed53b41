"""The terms of rows that were validated already, in a temporary file: there may be millions."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID


class FirstRowByTerms:
    """Maps terms to the first row that had them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute("CREATE TABLE first_rows (terms BLOB PRIMARY KEY, row INTEGER NOT NULL) WITHOUT ROWID")

    def find(self, terms: Iterable[UUID]) -> dict[UUID, int]:
        """The terms that an earlier row had, with their first row."""
        select = "SELECT row FROM first_rows WHERE terms = ?"
        rows = ((key, self._connection.execute(select, (key.bytes,)).fetchone()) for key in terms)
        return {key: row[0] for key, row in rows if row is not None}

    def add(self, terms: Mapping[UUID, int]) -> None:
        """Add terms; known ones keep their first row."""
        values = ((key.bytes, row) for key, row in terms.items())
        self._connection.executemany("INSERT OR IGNORE INTO first_rows VALUES (?, ?)", values)


@contextlib.contextmanager
def open_first_rows() -> Iterator[FirstRowByTerms]:
    """An empty collection, deleted at the end of the context."""
    connection = sqlite3.connect(
        "", isolation_level=None, check_same_thread=False
    )  # a temporary file that SQLite deletes
    try:
        connection.execute("PRAGMA journal_mode = OFF")
        yield FirstRowByTerms(connection)
    finally:
        connection.close()
