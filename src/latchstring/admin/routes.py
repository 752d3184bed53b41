"""All pages of the panel, under their full paths."""

from litestar.types import ControllerRouterHandler

from latchstring.admin import (
    account,
    administrators,
    audit,
    elsewhere,
    groups,
    health,
    invitation_entry,
    invitation_new,
    invitation_templates,
    mail_queue,
    messages,
    overview,
    previews,
    settings,
    signing_in,
)

__all__ = ["routes"]

routes: list[ControllerRouterHandler] = [
    *signing_in.routes,
    *overview.routes,
    *settings.routes,
    *messages.routes,
    *mail_queue.routes,
    *health.routes,
    *audit.routes,
    *account.routes,
    *administrators.routes,
    *invitation_templates.routes,
    *groups.routes,
    *invitation_new.routes,
    *previews.routes,
    *invitation_entry.routes,
    *elsewhere.routes,
]
