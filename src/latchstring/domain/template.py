"""A template of invitations: a named set of terms, so that "new customer" is one word."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

WantedContent = tuple[tuple[str, str, str], ...]  # type or its singular, key, role


class TemplateSource(StrEnum):
    """Where a template is declared. Configuration wins over the panel."""

    CONFIG = "CONFIG"
    PANEL = "PANEL"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationTemplate:
    """What an invitation gets where nobody says otherwise. It gives no right by itself: whoever uses it needs them.

    Targets are named by key and looked up when an invitation is made. shadowed: made in the panel, and not in use
    while configuration declares the same key.
    """

    key: str
    name: str
    role: str | None = None
    groups: tuple[str, ...] = ()
    content: WantedContent = ()
    message: str | None = None
    locale: str | None = None
    expires_in: timedelta | None = None
    redirect_url: str | None = None
    source: TemplateSource = TemplateSource.PANEL
    shadowed: bool = False


TemplatesByKey = Mapping[str, InvitationTemplate]
