"""Invitation templates: named sets of terms, such as "new customer"."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from latchstring.domain.terms import SharedTerms

TemplateContent = tuple[tuple[str, str, str], ...]  # type or its singular, key, role


class TemplateSource(StrEnum):
    """Where a template is declared. Configuration wins over the panel."""

    CONFIG = "CONFIG"
    PANEL = "PANEL"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationTemplate(SharedTerms):
    """Default terms for invitations. It gives no right by itself: the inviter needs every right that it grants.

    Groups and objects are named by key and looked up when an invitation is created. shadowed: created in the panel, and
    not in use while configuration declares the same key.
    """

    key: str
    name: str
    role: str | None = None
    groups: tuple[str, ...] = ()
    content: TemplateContent = ()
    expires_in: timedelta | None = None
    source: TemplateSource = TemplateSource.PANEL
    shadowed: bool = False


TemplatesByKey = Mapping[str, InvitationTemplate]
