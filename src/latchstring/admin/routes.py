"""All pages of the panel, under their full paths."""

from litestar.types import ControllerRouterHandler

from latchstring.admin import (
    elsewhere,
    invitation_entry,
    invitation_new,
    previews,
    signing_in,
)

__all__ = ["routes"]

routes: list[ControllerRouterHandler] = [
    *signing_in.routes,
    *invitation_new.routes,
    *previews.routes,
    *invitation_entry.routes,
    *elsewhere.routes,
]
