"""All pages of the panel, under their full paths."""

from litestar.types import ControllerRouterHandler

from latchstring.admin import (
    account,
    administrators,
    api_keys,
    audit,
    content,
    content_actions,
    elsewhere,
    groups,
    health,
    invitation_entry,
    invitation_new,
    invitation_templates,
    invitations_list,
    mail_queue,
    messages,
    overview,
    previews,
    saved_views,
    selection,
    roles,
    settings,
    signing_in,
    user_actions,
    users,
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
    *content.routes,
    *content_actions.routes,
    *groups.routes,
    *roles.routes,
    *api_keys.routes,
    *users.routes,
    *user_actions.routes,
    *invitation_new.routes,
    *previews.routes,
    *invitation_entry.routes,
    *invitations_list.routes,
    *saved_views.routes,
    *selection.routes,
    *elsewhere.routes,
]
