"""Lists of the API: reading the cursor and building the page."""

from collections.abc import Callable
from typing import Literal, TypeVar

from latchstring.crypto.cursors import make_cursor, read_cursor
from latchstring.domain.pagination import Cursor, Page, SortOrder
from latchstring.http.responses import Answer, View
from latchstring.rest.pagination import PageQuery, page_answer
from latchstring.services import Services

T = TypeVar("T")
Sort = Literal["createdAt", "-createdAt"]
NEWEST_FIRST: Sort = "-createdAt"


class CreatedQuery(PageQuery):
    """Query of a list that is ordered by creation time."""

    sort: Sort = NEWEST_FIRST

    @property
    def order(self) -> SortOrder:
        return SortOrder.parse(self.sort)


def parse_cursor(services: Services, list_id: str, text: str | None) -> Cursor | None:
    """Read the cursor of a request. list_id: the list and its order. Raises Unreadable for a cursor of another one."""
    return read_cursor(services.keyring, list_id, text)


def answer_page(services: Services, list_id: str, page: Page[T], view: Callable[[T], View]) -> Answer:
    """Make the response of a page, with the cursor of the next one. list_id: as for `parse_cursor`."""
    next_cursor = None if page.next is None else make_cursor(services.keyring, list_id, page.next)
    return page_answer([view(item) for item in page.items], next_cursor=next_cursor, total=page.total)
