"""Unknown paths below /admin: a redirect to the sign-in page without a session, else a 404 page."""

from latchstring.admin.context import Panel
from latchstring.admin.routing import ANY_ADMIN, get
from latchstring.domain.errors import NotFound
from latchstring.http.responses import Answer


@get("/admin/{rest:path}", needs=ANY_ADMIN)
async def raise_not_found(_panel: Panel) -> Answer:
    raise NotFound("There is no such page.")


routes = [raise_not_found]
