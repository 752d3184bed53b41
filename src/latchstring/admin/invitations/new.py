"""A new invitation: the form, what changes it without a script, and sending it.

Every button but *Save and send* shows the form again with everything that was typed and ticked. The first button of
the form is one of those, so that Enter in a field sends nobody a mail.
"""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from urllib.parse import urlencode
from uuid import UUID

from latchstring.admin.context import Panel
from latchstring.admin.flash import flash
from latchstring.admin.invitations.form import (
    InvitationForm,
    at_fields,
    blank_form,
    choices_for,
    complete_draft,
    copy_invitation,
    draft_of,
    group_choices,
    object_choices,
    with_searched_object,
    with_template,
    without_object,
)
from latchstring.admin.invitations.prefill import prefill_form
from latchstring.admin.routing import get, post
from latchstring.domain.draft import Draft
from latchstring.domain.errors import (
    AlreadyInvited,
    AlreadyMember,
    ContentNotFound,
    FieldProblem,
    GrantNotAllowed,
    GroupNotFound,
    InvalidFields,
    InvitationNotFound,
    LatchstringError,
    MailDisabled,
    TooManyRequests,
    Unavailable,
)
from latchstring.domain.invitation import Invitation
from latchstring.domain.mail import DeliveryState
from latchstring.domain.template import InvitationTemplate
from latchstring.formats.field_types import ValueRefused, read_uuid
from latchstring.formats.urls import is_allowed_redirect
from latchstring.http.problems import describe_problem
from latchstring.http.responses import Answer
from latchstring.i18n.negotiation import available_locales
from latchstring.pages.forms import FormProblem, FormState, SentForm
from latchstring.pages.mail_frame import allow_frames
from latchstring.pages.templating import autonym

NEW = "/admin/invitations/new"
WRITE = "invitations:write"


@get(NEW, needs=WRITE)
async def show_new(panel: Panel) -> Answer:
    """The form: empty, or with the terms of a template or of another invitation."""
    state = blank_form(panel.services.invitation_rules)
    source = await _source(panel, panel.query_value("like") or panel.query_value("from"))
    if source is not None:
        state = copy_invitation(source, panel.services.invitation_rules)
    template = await _template(panel, panel.query_value("template"))
    if template is not None:
        state = with_template(state, template, panel.services.content_rules)
    return await _show(panel, prefill_form(panel, state), source=source)


async def _source(panel: Panel, invitation_id: str) -> Invitation | None:
    """The invitation to copy. None if it does not exist."""
    try:
        id_: UUID = read_uuid(invitation_id)
        return (await panel.services.invitations.get(id_, by=panel.principal)).invitation
    except (ValueRefused, InvitationNotFound):
        return None


async def _template(panel: Panel, key: str) -> InvitationTemplate | None:
    return await panel.services.invitations.templates.find_template(key) if key else None


async def _show(
    panel: Panel,
    state: FormState,
    *,
    status: int = 200,
    code: str = "",
    error: LatchstringError | None = None,
    source: Invitation | None = None,
) -> Answer:
    answer = panel.show(
        "invitations/new.html",
        status=status,
        code=code,
        form=state,
        choices=await choices_for(panel, state),
        languages=[(tag, autonym(tag)) for tag in available_locales()],
        types=panel.services.content_rules.types,
        already=error.extra.get("id", "") if isinstance(error, AlreadyInvited) else "",
        again_at=panel.now + timedelta(seconds=error.retry_after_seconds if isinstance(error, TooManyRequests) else 0),
        preview_url=_preview_url(state),
        bounds=panel.services.invitation_rules,
        mail_is_off=panel.services.mail_rules.is_off,
        source=source,
    )
    return allow_frames(answer)


def _preview_url(state: FormState) -> str:
    """The URL of the first preview: keys and the language only, because nothing about a person belongs in a URL."""
    pairs = [(name, state.value(name)) for name in ("role", "locale") if state.value(name)]
    pairs += [(name, value) for name in ("groups", "content", "contentRole") for value in state.values(name)]
    return f"{NEW}/preview?{urlencode(pairs)}"


# ---- the buttons of the form -----------------------------------------------------------------------------------------


@post(NEW, needs=WRITE)
async def change_or_send(panel: Panel) -> Answer:
    """Change the form or send the invitation, as the pressed button says."""
    sent = await panel.read_form(InvitationForm)
    action, _, name = sent.typed.get("do", "").partition(":")
    if action == "save":
        return await _save(panel, sent)
    state = sent.as_typed()
    if action == "add":
        state = await with_searched_object(panel, state, name)
    if action == "remove":
        state = without_object(state, name)
    if action == "template":
        template = await _template(panel, state.value("template"))
        state = with_template(state, template, panel.services.content_rules) if template else state
    return await _show(panel, state)


async def _save(panel: Panel, sent: SentForm[InvitationForm]) -> Answer:
    if sent.get("template") != sent.get("used") and sent.get("template"):
        return await _use_template_first(panel, sent)
    draft, problems = draft_of(sent, now=panel.now)
    source = await _source(panel, sent.typed.get("like", ""))
    draft = complete_draft(
        draft, used=sent.get("used"), source=source, is_allowed_redirect_url=partial(_may_lead_to, panel)
    )
    try:
        details = await panel.services.invitations.create(draft, by=panel.principal, problems=tuple(problems))
    except _REFUSALS as error:
        return await _refuse(panel, sent, draft, error)
    is_off = details.delivery is not None and details.delivery.state is DeliveryState.SUPPRESSED
    message = "invitation-saved-without-mail" if is_off else "invitation-sent"
    path = f"/admin/invitations/{details.invitation.id}"
    return panel.redirect(path, flash=flash(panel, message, email=details.invitation.email))


def _may_lead_to(panel: Panel, url: str) -> bool:
    return is_allowed_redirect(url, panel.services.invitation_rules, panel.services.app)


async def _use_template_first(panel: Panel, sent: SentForm[InvitationForm]) -> Answer:
    """Fill in a template that was selected but not applied, and show the form again, because saving sends the mail."""
    template = await _template(panel, sent.typed["template"])
    state = (
        sent.as_typed() if template is None else with_template(sent.as_typed(), template, panel.services.content_rules)
    )
    code = "unknown-template" if template is None else "template-unused"
    return await _show(panel, replace(state, problems=(FormProblem("template", code),)), status=422, code=code)


_REFUSALS = (
    InvalidFields,
    AlreadyInvited,
    AlreadyMember,
    GrantNotAllowed,
    GroupNotFound,
    ContentNotFound,
    MailDisabled,
    TooManyRequests,
    Unavailable,
)


async def _refuse(panel: Panel, sent: SentForm[InvitationForm], draft: Draft, error: LatchstringError) -> Answer:
    """The form again, with each problem at its field."""
    problems = error.errors if isinstance(error, InvalidFields) else [_problem_of(panel, draft, error)]
    state = sent.refused(InvalidFields(at_fields(problems)))
    problem = describe_problem(error)
    return await _show(panel, state, status=problem.status, code=problem.code, error=error)


def _problem_of(panel: Panel, draft: Draft, error: LatchstringError) -> FieldProblem:
    match error:
        case GroupNotFound():
            field = "groups"
        case ContentNotFound():
            field = "content"
        case GrantNotAllowed():
            field = _field_beyond_ceiling(panel, draft)
        case AlreadyInvited() | AlreadyMember() | TooManyRequests():
            field = "inviteEmail"
        case _:
            field = "save"
    return FieldProblem(f"/{field}", error.code, error.detail)


def _field_beyond_ceiling(panel: Panel, draft: Draft) -> str:
    if draft.role is not None and not panel.principal.can_grant_role(draft.role):
        return "role"
    return "content" if panel.principal.can_grant_groups(draft.groups) else "groups"


# ---- lists that follow typing ----------------------------------------------------------------------------------------


@get(f"{NEW}/choices/groups", needs=WRITE)
async def show_groups(panel: Panel) -> Answer:
    """The groups that match the search."""
    ticked = panel.query_values("groups")
    state = FormState({}, (), {"groups": ticked})
    groups = await group_choices(panel, ticked, panel.query_value("groupSearch"))
    return panel.show("invitations/group_choices.html", form=state, groups=groups)


@get(f"{NEW}/choices/content", needs=WRITE)
async def show_objects(panel: Panel) -> Answer:
    """The objects that match the search."""
    search = panel.query_value("contentSearch").strip()
    objects = await object_choices(panel, panel.query_values("content"), search) if search else []
    return panel.show(
        "invitations/object_choices.html",
        matching_objects=objects,
        content_search=search,
        types=panel.services.content_rules.types,
    )


routes = [show_new, change_or_send, show_groups, show_objects]
