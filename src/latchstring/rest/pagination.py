"""Lists in pages: `limit` and `cursor` in, `items`, `nextCursor` and `total` out."""

from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

from latchstring.formats.field_types import Kind, ValueRefused
from latchstring.formats.fields import Query
from latchstring.http.responses import Answer, View, json_answer

T = TypeVar("T")
DEFAULT_LIMIT = 25
LARGEST_LIMIT = 200
LARGEST_TOTAL = 10_000
LONGEST_CURSOR = 1024


def _read_limit(value: object) -> int:
    if not isinstance(value, int) or not 1 <= value <= LARGEST_LIMIT:
        raise ValueRefused("out-of-range", f"limit is 1 to {LARGEST_LIMIT}.")
    return value


def _read_cursor_text(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > LONGEST_CURSOR:
        raise ValueRefused("invalid-cursor", "Send nextCursor of the page before, unchanged.")
    return value


Limit = Annotated[
    int,
    Kind(
        _read_limit,
        {
            "type": "integer",
            "minimum": 1,
            "maximum": LARGEST_LIMIT,
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
            "maxLength": LONGEST_CURSOR,
            "description": "`nextCursor` of the previous page.",
        },
    ),
]


class PageQuery(Query):
    """What every list takes. Lists add their filters, and `sort` as a Literal, in a subclass."""

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
    """The list answer. total: exact up to 10 000, None above."""
    shown = None if total is None or total > LARGEST_TOTAL else total
    return json_answer({"items": items, "nextCursor": next_cursor, "total": shown})
