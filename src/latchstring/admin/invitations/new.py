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
    blank,
    choices_for,
    completed,
    draft_of,
    group_choices,
    like,
    object_choices,
    with_searched_object,
    with_template,
    without_object,
)
from latchstring.admin.invitations.prefill import begun
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
from latchstring.http.problems import describe_problem
from latchstring.http.responses import Answer
from latchstring.i18n.negotiation import available_locales
from latchstring.invitations.build import is_allowed_redirect
from latchstring.pages.forms import FormProblem, FormState, SentForm
from latchstring.pages.mail_frame import holding_frame
from latchstring.pages.templating import autonym

NEW = "/admin/invitations/new"
WRITE = "invitations:write"


@get(NEW, needs=WRITE)
async def show_new(panel: Panel) -> Answer:
    """The empty form, or one that begins with a template's terms or those of another invitation."""
    shown = blank(panel.services.invitation_rules)
    source = await _source(panel, panel.query_value("like") or panel.query_value("from"))
    if source is not None:
        shown = like(source, panel.services.invitation_rules)
    template = await _template(panel, panel.query_value("template"))
    if template is not None:
        shown = with_template(shown, template, panel.services.content_rules)
    return await _show(panel, begun(panel, shown), source=source)


async def _source(panel: Panel, text: str) -> Invitation | None:
    """The invitation to make another like. One that is not there is as good as none."""
    try:
        id_: UUID = read_uuid(text)
        return (await panel.services.invitations.get(id_, by=panel.principal)).invitation
    except (ValueRefused, InvitationNotFound):
        return None


async def _template(panel: Panel, key: str) -> InvitationTemplate | None:
    return await panel.services.invitations.templates.find_template(key) if key else None


async def _show(
    panel: Panel,
    shown: FormState,
    *,
    status: int = 200,
    code: str = "",
    more: LatchstringError | None = None,
    source: Invitation | None = None,
) -> Answer:
    answer = panel.show(
        "invitations/new.html",
        status=status,
        code=code,
        form=shown,
        choices=await choices_for(panel, shown),
        languages=[(tag, autonym(tag)) for tag in available_locales()],
        types=panel.services.content_rules.types,
        already=more.extra.get("id", "") if isinstance(more, AlreadyInvited) else "",
        again_at=panel.now + timedelta(seconds=more.retry_after_seconds if isinstance(more, TooManyRequests) else 0),
        preview_url=_preview_url(shown),
        bounds=panel.services.invitation_rules,
        mail_is_off=panel.services.mail_rules.transport == "off",
        source=source,
    )
    return holding_frame(answer)


def _preview_url(shown: FormState) -> str:
    """The preview as the page opens. Nothing about the person stands in an address: keys and the language only."""
    pairs = [(name, shown.value(name)) for name in ("role", "locale") if shown.value(name)]
    pairs += [(name, value) for name in ("groups", "content", "contentRole") for value in shown.values(name)]
    return f"{NEW}/preview?{urlencode(pairs)}"


# ---- what the form is sent for ---------------------------------------------------------------------------------------


@post(NEW, needs=WRITE)
async def change_or_send(panel: Panel) -> Answer:
    """Do what the pressed button asks for: change the form, or send the invitation."""
    sent = await panel.read_form(InvitationForm)
    action, _, name = sent.typed.get("do", "").partition(":")
    if action == "save":
        return await _save(panel, sent)
    shown = sent.again()
    if action == "add":
        shown = await with_searched_object(panel, shown, name)
    if action == "remove":
        shown = without_object(shown, name)
    if action == "template":
        template = await _template(panel, shown.value("template"))
        shown = with_template(shown, template, panel.services.content_rules) if template else shown
    return await _show(panel, shown)


async def _save(panel: Panel, sent: SentForm[InvitationForm]) -> Answer:
    if sent.get("template") != sent.get("used") and sent.get("template"):
        return await _use_template_first(panel, sent)
    draft, problems = draft_of(sent, now=panel.now)
    source = await _source(panel, sent.typed.get("like", ""))
    draft = completed(draft, used=sent.get("used"), source=source, may_lead_to=partial(_may_lead_to, panel))
    try:
        standing = await panel.services.invitations.create(draft, by=panel.principal, problems=tuple(problems))
    except _ANSWERED as error:
        return await _refuse(panel, sent, draft, error)
    is_off = standing.delivery is not None and standing.delivery.state is DeliveryState.SUPPRESSED
    message = "invitation-saved-without-mail" if is_off else "invitation-sent"
    path = f"/admin/invitations/{standing.invitation.id}"
    return panel.redirect(path, flash=flash(panel, message, email=standing.invitation.email))


def _may_lead_to(panel: Panel, url: str) -> bool:
    return is_allowed_redirect(url, panel.services.invitation_rules, panel.services.app)


async def _use_template_first(panel: Panel, sent: SentForm[InvitationForm]) -> Answer:
    """A template that was selected and not used: fill it in and let it be looked over, for saving sends."""
    template = await _template(panel, sent.typed["template"])
    shown = sent.again() if template is None else with_template(sent.again(), template, panel.services.content_rules)
    code = "unknown-template" if template is None else "template-unused"
    return await _show(panel, replace(shown, problems=(FormProblem("template", code),)), status=422, code=code)


_ANSWERED = (
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
    """The form once more, with what is wrong beside the field it is about."""
    found = error.errors if isinstance(error, InvalidFields) else [_problem_of(panel, draft, error)]
    shown = sent.refused(InvalidFields(at_fields(found)))
    problem = describe_problem(error)
    return await _show(panel, shown, status=problem.status, code=problem.code, more=error)


def _problem_of(panel: Panel, draft: Draft, error: LatchstringError) -> FieldProblem:
    match error:
        case GroupNotFound():
            field = "groups"
        case ContentNotFound():
            field = "content"
        case GrantNotAllowed():
            field = _above_the_ceiling(panel, draft)
        case AlreadyInvited() | AlreadyMember() | TooManyRequests():
            field = "inviteEmail"
        case _:
            field = "save"
    return FieldProblem(f"/{field}", error.code, error.detail)


def _above_the_ceiling(panel: Panel, draft: Draft) -> str:
    if draft.role is not None and not panel.principal.can_grant_role(draft.role):
        return "role"
    return "content" if panel.principal.can_grant_groups(draft.groups) else "groups"


# ---- while somebody types --------------------------------------------------------------------------------------------


@get(f"{NEW}/choices/groups", needs=WRITE)
async def show_groups(panel: Panel) -> Answer:
    """The list of groups for what is being typed."""
    ticked = panel.query_values("groups")
    shown = FormState({}, (), {"groups": ticked})
    found = await group_choices(panel, ticked, panel.query_value("groupSearch"))
    return panel.show("invitations/group_choices.html", form=shown, groups=found)


@get(f"{NEW}/choices/content", needs=WRITE)
async def show_objects(panel: Panel) -> Answer:
    """The objects found for what is being typed."""
    text = panel.query_value("contentSearch").strip()
    found = await object_choices(panel, panel.query_values("content"), text) if text else []
    return panel.show(
        "invitations/object_choices.html", found=found, looked_for=text, types=panel.services.content_rules.types
    )


routes = [show_new, change_or_send, show_groups, show_objects]
