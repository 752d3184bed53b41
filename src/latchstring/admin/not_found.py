"""Paths below /admin that no page has: the sign-in page without a session, else a 404 page."""

from latchstring.admin.context import Panel
from latchstring.admin.routing import ANY_ADMIN, get
from latchstring.domain.errors import NotFound
from latchstring.http.responses import Answer


@get("/admin/{rest:path}", needs=ANY_ADMIN)
async def show_nothing(_panel: Panel) -> Answer:
    raise NotFound("There is no such page.")


routes = [show_nothing]
