"""Flash messages: the result of an action, shown on the page that the action redirects to."""

import html
import json
from hashlib import sha256

from latchstring.admin.context import DOMAIN, Panel
from latchstring.admin.cookies import Flash
from latchstring.admin.formatting import numbers_in
from latchstring.pages.templating import render


def flash(panel: Panel, key: str, *, is_bad: bool = False, **values: object) -> Flash:
    """The message of this key from the template `flash.html`, in the reader's language.

    Names inside it are isolated. is_bad: the action failed. Raises LookupError for an unknown key.
    """
    context = {"locale": panel.locale, "domain": DOMAIN, "now": panel.now, "n": numbers_in(panel.locale), "key": key}
    # plain text: it is escaped where it is shown
    text = " ".join(html.unescape(render("panel/flash.html", context | values)).split())
    if not text:
        raise LookupError(f"no flash message has the key {key}")
    return Flash(text, is_bad, key)


def fingerprint(*values: object) -> str:
    """A short digest of the values a form was opened with, to notice changes by others. It protects no secret."""
    return sha256(json.dumps(values, default=str).encode()).hexdigest()[:24]
