"""The terms of rows that were validated already, in a temporary file: there may be millions."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID


class SeenTerms:
    """Maps terms to the first row that had them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute("CREATE TABLE seen (terms BLOB PRIMARY KEY, row INTEGER NOT NULL) WITHOUT ROWID")

    def find(self, terms: Iterable[UUID]) -> dict[UUID, int]:
        """The terms that were seen before, with their first row."""
        select = "SELECT row FROM seen WHERE terms = ?"
        rows = ((key, self._connection.execute(select, (key.bytes,)).fetchone()) for key in terms)
        return {key: row[0] for key, row in rows if row is not None}

    def add(self, terms: Mapping[UUID, int]) -> None:
        """Add terms; those seen before keep their first row."""
        values = ((key.bytes, row) for key, row in terms.items())
        self._connection.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", values)


@contextlib.contextmanager
def open_seen_terms() -> Iterator[SeenTerms]:
    """An empty collection, deleted at the end of the context."""
    connection = sqlite3.connect(
        "", isolation_level=None, check_same_thread=False
    )  # a temporary file that SQLite deletes
    try:
        connection.execute("PRAGMA journal_mode = OFF")
        yield SeenTerms(connection)
    finally:
        connection.close()
