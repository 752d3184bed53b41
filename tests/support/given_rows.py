"""Rows for a job that are in memory already."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from latchstring.invitations.bulk.jobs import Rows


@dataclass(frozen=True, slots=True)
class GivenRows:
    """A source of rows that hands all of them over at once."""

    rows: Rows
    options: Mapping[str, object]
    media_type: str = "application/json"

    async def __aiter__(self) -> AsyncIterator[Rows]:
        yield self.rows
