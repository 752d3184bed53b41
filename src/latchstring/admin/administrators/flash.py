"""What the panel says after something was done to the account of an administrator."""

import html

from latchstring.admin.context import DOMAIN, Panel
from latchstring.pages.templating import render


def say(panel: Panel, what: str, **values: object) -> str:
    """One or two sentences as plain text, for the word on the next page. The template has them all."""
    context = {"locale": panel.locale, "domain": DOMAIN, "now": panel.now, "what": what, "who": "", "count": 0}
    # a word is plain text, and escaped where it is shown
    return " ".join(html.unescape(render("panel/administrators_said.html", context | values)).split())
