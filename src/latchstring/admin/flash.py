"""Flash messages: the result of an action, shown on the page that the action redirects to."""

import html
import json
from hashlib import sha256

from latchstring.admin.context import DOMAIN, Panel
from latchstring.admin.cookies import Flash
from latchstring.admin.formatting import get_formats
from latchstring.pages.templating import render


def flash(panel: Panel, key: str, *, is_bad: bool = False, **values: object) -> Flash:
    """Render the message of this key from the template `flash.html`, in the administrator's language.

    Names inside it are bidi-isolated. is_bad: the action failed. Raises LookupError for an unknown key.
    """
    context = {"locale": panel.locale, "domain": DOMAIN, "now": panel.now, "n": get_formats(panel.locale), "key": key}
    # plain text: the page escapes it
    text = " ".join(html.unescape(render("panel/flash.html", context | values)).split())
    if not text:
        raise LookupError(f"no flash message has the key {key}")
    return Flash(text, is_bad, key)


def fingerprint(*values: object) -> str:
    """A short digest of the values that a form shows, to detect changes by others. It protects no secret."""
    return sha256(json.dumps(values, default=str).encode()).hexdigest()[:24]
