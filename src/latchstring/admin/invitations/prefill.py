"""A new invitation that another page has begun: links of groups, users and objects say what it shall give.

/admin/invitations/new?email=…&role=…&group=KEY&group=KEY&content=TYPE/KEY:ROLE
"""

from dataclasses import replace

from latchstring.admin.context import Panel
from latchstring.admin.invitations.form import CONTENT_ROLES
from latchstring.domain.group import is_group_key
from latchstring.formats.field_types import ValueRefused, read_email, read_key
from latchstring.pages.forms import Shown

MOST = 20  # groups, and objects, of one link


def begun(panel: Panel, shown: Shown) -> Shown:
    """The form with what the address says; what no field could hold is left out."""
    typed, ticked = dict(shown.typed), dict(shown.ticked)
    if _is_address(panel.query_value("email")):
        typed["inviteEmail"] = panel.query_value("email").strip()
    if panel.query_value("role") in panel.services.roles:
        typed["role"] = panel.query_value("role")
    groups = [key for key in panel.query_values("group")[:MOST] if is_group_key(key)]
    if groups:
        ticked["groups"] = tuple(dict.fromkeys((*ticked.get("groups", ()), *groups)))
    for text in panel.query_values("content")[:MOST]:
        name, _, role = text.rpartition(":")
        if role in CONTENT_ROLES and _is_object(name) and name not in ticked.get("content", ()):
            ticked["content"] = (*ticked.get("content", ()), name)
            ticked["contentRole"] = (*ticked.get("contentRole", ()), role)
    return replace(shown, typed=typed, ticked=ticked)


def _is_address(text: str) -> bool:
    try:
        read_email(text.strip())
    except ValueRefused:
        return False
    return True


def _is_object(name: str) -> bool:
    type_, _, key = name.partition("/")
    try:
        return bool(read_key(type_) and read_key(key))
    except ValueRefused:
        return False
