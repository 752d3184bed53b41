"""Invitation templates, for apps that offer a choice."""

from typing import Literal

from latchstring.domain.template import InvitationTemplate
from latchstring.domain.terms import shared_terms_of
from latchstring.formats.durations import format_duration
from latchstring.http.authentication import Caller
from latchstring.http.responses import Answer, View
from latchstring.rest.pagination import PageView, page_answer
from latchstring.rest.route import operation
from latchstring.services import Services


class TemplateContentView(View):
    """A right on one content object."""

    content_type: str
    key: str
    role: Literal["VIEWER", "EDITOR", "MAINTAINER"]


class TemplateView(View):
    """An invitation template. Null and empty fields are left to the invitation. source: where it is defined."""

    key: str
    name: str
    role: str | None
    groups: list[str]
    content: list[TemplateContentView]
    message: str | None
    locale: str | None
    expires_in: str | None
    redirect_url: str | None
    source: Literal["CONFIG", "PANEL"]


def template_view(template: InvitationTemplate) -> TemplateView:
    return TemplateView(
        key=template.key,
        name=template.name,
        role=template.role,
        groups=list(template.groups),
        content=[
            TemplateContentView(content_type=type_, key=key, role=role)  # type: ignore[arg-type]  # checked when read
            for type_, key, role in template.content
        ],
        expires_in=None if template.expires_in is None else format_duration(template.expires_in),
        source=template.source.value,
        **shared_terms_of(template),
    )


@operation(
    "GET",
    "/api/invitation-templates",
    "List invitation templates",
    tag="Invitations",
    answers={200: PageView[TemplateView]},
)
async def list_invitation_templates(services: Services, caller: Caller) -> Answer:
    """Lists the values for `template` of an invitation. Requires `invitations:read` or `invitations:write`."""
    templates = await services.invitations.templates.list_templates(by=caller.require())
    views = [template_view(template) for template in templates]
    return page_answer(views, next_cursor=None, total=len(views))


routes = (list_invitation_templates,)
