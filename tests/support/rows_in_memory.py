"""Rows of a job that are already in memory."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from latchstring.invitations.bulk.jobs import Rows


@dataclass(frozen=True, slots=True)
class RowsInMemory:
    """A source of rows that yields all of them as one batch."""

    rows: Rows
    options: Mapping[str, object]
    media_type: str = "application/json"

    async def __aiter__(self) -> AsyncIterator[Rows]:
        yield self.rows
