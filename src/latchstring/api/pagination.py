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


def cursor_of(services: Services, within: str, text: str | None) -> Cursor | None:
    """Where a page begins. within: the list and its order. Raises Unreadable for a cursor of another list or order."""
    return read_cursor(services.keyring, within, text)


def answer_page(services: Services, within: str, page: Page[T], view: Callable[[T], View]) -> Answer:
    """A page as an answer, with the cursor of the next one. within: as of `cursor_of`."""
    text = None if page.next is None else make_cursor(services.keyring, within, page.next)
    return page_answer([view(item) for item in page.items], next_cursor=text, total=page.total)
