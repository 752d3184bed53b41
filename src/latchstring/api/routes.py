"""Every route of the API."""

from latchstring.api import (
    api_keys,
    auth,
    bulk,
    content,
    content_invitations,
    groups,
    invitation_templates,
    invitations,
    jobs,
    jwks,
    me,
    respond,
    roles,
    users,
)

routes = [
    *invitations.routes,
    *bulk.routes,
    *jobs.routes,
    *invitation_templates.routes,
    *respond.routes,
    *auth.routes,
    *me.routes,
    *users.routes,
    *roles.routes,
    *content_invitations.routes,
    *content.routes,
    *groups.routes,
    *api_keys.routes,
    *jwks.routes,
]
