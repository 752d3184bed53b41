"""Lists in the order of creation: reading the cursor and building the page."""

from collections.abc import Callable
from typing import Literal, TypeVar
from uuid import UUID

from latchstring.crypto.cursors import make_cursor, read_cursor
from latchstring.domain.pagination import Page
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
    def descending(self) -> bool:
        return self.sort == NEWEST_FIRST


def read_position(services: Services, name: str, query: CreatedQuery) -> UUID | None:
    """The id the last page ended with. Raises Unreadable for a cursor of another list or order."""
    found = read_cursor(services.keyring, f"{name}:{query.sort}", query.cursor)
    return None if found is None else UUID(found[0])


def answer_page(
    services: Services,
    name: str,
    query: CreatedQuery,
    page: Page[T],
    *,
    id_of: Callable[[T], UUID],
    view: Callable[[T], View],
) -> Answer:
    """The page as its list's answer, with a cursor to the next one."""
    cursor = None
    if page.more:
        cursor = make_cursor(services.keyring, f"{name}:{query.sort}", [str(id_of(page.items[-1]))])
    return page_answer([view(item) for item in page.items], next_cursor=cursor, total=page.total)
