"""All pages of the panel, under their full paths."""

from litestar.types import ControllerRouterHandler

from latchstring.admin import elsewhere

__all__ = ["routes"]

routes: list[ControllerRouterHandler] = [
    *elsewhere.routes,
]
