"""All pages of the panel, under their full paths."""

from litestar.types import ControllerRouterHandler

from latchstring.admin import elsewhere, signing_in

__all__ = ["routes"]

routes: list[ControllerRouterHandler] = [
    *signing_in.routes,
    *elsewhere.routes,
]
