"""Addresses under /admin that no page has: to the gate without a session, else a page that says so."""

from latchstring.admin.page import Panel
from latchstring.admin.routing import ANYBODY, shows
from latchstring.domain.errors import NotFound
from latchstring.web.answers import Answer


@shows("/admin/{rest:path}", needs=ANYBODY)
async def show_nothing(_panel: Panel) -> Answer:
    raise NotFound("There is no such page.")


routes = [show_nothing]
