"""Pagination: the parameters `limit` and `cursor`, and the fields `items`, `nextCursor` and `total`."""

from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

from latchstring.formats.field_types import Kind, ValueRefused
from latchstring.formats.fields import Query
from latchstring.http.responses import Answer, View, json_answer

T = TypeVar("T")
DEFAULT_LIMIT = 25
MAX_LIMIT = 200
MAX_TOTAL = 10_000
MAX_CURSOR_LENGTH = 1024


def _read_limit(value: object) -> int:
    if not isinstance(value, int) or not 1 <= value <= MAX_LIMIT:
        raise ValueRefused("out-of-range", f"limit is 1 to {MAX_LIMIT}.")
    return value


def _read_cursor_text(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > MAX_CURSOR_LENGTH:
        raise ValueRefused("invalid-cursor", "Send nextCursor of the page before, unchanged.")
    return value


Limit = Annotated[
    int,
    Kind(
        _read_limit,
        {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_LIMIT,
            "default": DEFAULT_LIMIT,
            "description": "Items on a page.",
        },
    ),
]
CursorText = Annotated[
    str,
    Kind(
        _read_cursor_text,
        {
            "type": "string",
            "pattern": "^[A-Za-z0-9_-]+$",
            "maxLength": MAX_CURSOR_LENGTH,
            "description": "`nextCursor` of the previous page.",
        },
    ),
]


class PageQuery(Query):
    """The query parameters of every list. Subclasses add filters, and `sort` as a Literal."""

    limit: Limit = DEFAULT_LIMIT
    cursor: CursorText | None = None


class PageView(View, Generic[T]):
    """A page of a list, for `answers={200: PageView[GroupView]}`.

    nextCursor: null on the last page. total: null above 10 000.
    """

    items: list[T]
    next_cursor: str | None
    total: int | None


def page_answer(items: Sequence[object], *, next_cursor: str | None, total: int | None) -> Answer:
    """Make the response of a list. total: becomes null above 10 000."""
    reported_total = None if total is None or total > MAX_TOTAL else total
    return json_answer({"items": items, "nextCursor": next_cursor, "total": reported_total})
