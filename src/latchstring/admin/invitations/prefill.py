"""Prefill the form of a new invitation from a URL. Pages of groups, users and objects link to it.

/admin/invitations/new?email=…&role=…&group=KEY&group=KEY&content=TYPE/KEY:ROLE
"""

from dataclasses import replace

from latchstring.admin.context import Panel
from latchstring.domain.keys import is_key
from latchstring.formats.content_grants import parse_content_grant
from latchstring.formats.field_types import ValueRefused, read_email
from latchstring.pages.forms import FormState

MAX_GRANTS = 20  # groups, and objects, in one URL


def prefill_form(panel: Panel, form: FormState) -> FormState:
    """The form with the values of the URL; invalid values are left out."""
    typed, ticked = dict(form.typed), dict(form.ticked)
    if _is_address(panel.query_value("email")):
        typed["inviteEmail"] = panel.query_value("email").strip()
    if panel.query_value("role") in panel.services.roles:
        typed["role"] = panel.query_value("role")
    groups = [key for key in panel.query_values("group")[:MAX_GRANTS] if is_key(key)]
    if groups:
        ticked["groups"] = tuple(dict.fromkeys((*ticked.get("groups", ()), *groups)))
    for text in panel.query_values("content")[:MAX_GRANTS]:
        type_, key, role = parse_content_grant(text) or ("", "", "")
        name = f"{type_}/{key}"
        if is_key(type_) and is_key(key) and name not in ticked.get("content", ()):
            ticked["content"] = (*ticked.get("content", ()), name)
            ticked["contentRole"] = (*ticked.get("contentRole", ()), role)
    return replace(form, typed=typed, ticked=ticked)


def _is_address(text: str) -> bool:
    try:
        read_email(text.strip())
    except ValueRefused:
        return False
    return True
