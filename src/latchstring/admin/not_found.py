"""Addresses under /admin that no page has: to the gate without a session, else a page that says so."""

from latchstring.admin.context import Panel
from latchstring.admin.routing import ANYBODY, shows
from latchstring.domain.errors import NotFound
from latchstring.http.responses import Answer


@shows("/admin/{rest:path}", needs=ANYBODY)
async def show_nothing(_panel: Panel) -> Answer:
    raise NotFound("There is no such page.")


routes = [show_nothing]
