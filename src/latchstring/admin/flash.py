"""What the panel says after something was done to people, groups, objects and keys, or was not."""

import html
import json
from hashlib import sha256

from latchstring.admin.context import DOMAIN, Panel
from latchstring.pages.templating import isolated, render


def said(panel: Panel, what: str, **values: object) -> str:
    """One or two sentences as plain text, for the word on the next page. Names in them are isolated."""
    names = {name: isolated(value) if isinstance(value, str) else value for name, value in values.items()}
    context = {"locale": panel.locale, "domain": DOMAIN, "now": panel.now, "what": what}
    # a word is plain text, and escaped where it is shown
    return " ".join(html.unescape(render("panel/said.html", context | names)).split())


def fingerprint(*values: object) -> str:
    """What a form was opened with, short. No secret: it only has to differ when the values do."""
    return sha256(json.dumps(values, default=str).encode()).hexdigest()[:24]
