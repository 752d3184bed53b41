"""All pages of the panel, under their full paths."""

from latchstring.admin import not_found
from latchstring.admin.account import own_account, sign_in
from latchstring.admin.administrators import administrators
from latchstring.admin.content import actions as content_actions
from latchstring.admin.content import objects as content
from latchstring.admin.groups import groups
from latchstring.admin.imports import steps as imports
from latchstring.admin.invitations import bulk_actions, mail_preview, saved_views
from latchstring.admin.invitations import entry as invitation_entry
from latchstring.admin.invitations import list as invitations_list
from latchstring.admin.invitations import new as invitation_new
from latchstring.admin.invitations import templates as invitation_templates
from latchstring.admin.routing import PanelRoute
from latchstring.admin.system import api_keys, audit_log, health, mail_queue, messages, overview, roles, settings
from latchstring.admin.users import actions as user_actions
from latchstring.admin.users import users

__all__ = ["routes"]

routes: list[PanelRoute] = [
    *sign_in.routes,
    *overview.routes,
    *settings.routes,
    *messages.routes,
    *mail_queue.routes,
    *health.routes,
    *audit_log.routes,
    *own_account.routes,
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
    *mail_preview.routes,
    *invitation_entry.routes,
    *invitations_list.routes,
    *saved_views.routes,
    *bulk_actions.routes,
    *imports.routes,
    *not_found.routes,
]
