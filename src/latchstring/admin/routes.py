"""All pages of the panel, under their full paths."""

from litestar.types import ControllerRouterHandler

from latchstring.admin import (
    account,
    administrators,
    elsewhere,
    groups,
    invitation_entry,
    invitation_new,
    invitation_templates,
    overview,
    previews,
    signing_in,
)

__all__ = ["routes"]

routes: list[ControllerRouterHandler] = [
    *signing_in.routes,
    *overview.routes,
    *account.routes,
    *administrators.routes,
    *invitation_templates.routes,
    *groups.routes,
    *invitation_new.routes,
    *previews.routes,
    *invitation_entry.routes,
    *elsewhere.routes,
]
