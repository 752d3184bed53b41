"""Templates of invitations: what there is, making and changing one, and removing it.

Those of configuration are shown with their source and cannot be changed here. Every button of the form but the one
that saves shows it again with everything that was typed and ticked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from latchstring.admin.context import Panel
from latchstring.admin.flash import flash
from latchstring.admin.invitations.form import (
    TermsForm,
    at_fields,
    chosen_rows,
    content_of,
    group_choices,
    lifetime_choices,
    object_choices,
    object_rows,
    with_searched_object,
    with_template,
    without_object,
)
from latchstring.admin.routing import get, post
from latchstring.domain.errors import (
    FieldProblem,
    InvalidFields,
    LatchstringError,
    TemplateConfigured,
    TemplateKeyTaken,
)
from latchstring.domain.panel import TEMPLATES_WRITE
from latchstring.domain.template import InvitationTemplate, TemplateSource
from latchstring.formats.content_grants import CONTENT_ROLE_NAMES
from latchstring.formats.field_types import Key, Line, Url
from latchstring.formats.terms import read_shared_terms
from latchstring.http.problems import describe_problem
from latchstring.http.responses import Answer
from latchstring.i18n.negotiation import available_locales
from latchstring.pages.forms import FormState, PageForm, SentForm
from latchstring.pages.templating import autonym

LIST = "/admin/invitation-templates"
NEW = f"{LIST}/new"
TEMPLATE_PATH = f"{LIST}/key/{{key:str}}"  # below `key/`, because a template may be called "new"
READ = "invitations:read"


class TemplateForm(TermsForm):
    """The form of a template."""

    key: Key | None = None
    name: Line | None = None
    redirect_url: Url | None = None


class TemplateDeletionForm(PageForm):
    """The form that removes a template."""


@dataclass(frozen=True, slots=True)
class TemplateListItem:
    """A template as the list shows it, with the names of its role, groups and objects."""

    template: InvitationTemplate
    role_name: str | None
    group_names: tuple[str, ...]
    objects: tuple[tuple[str, str], ...]  # title or name, role

    @property
    def is_configured(self) -> bool:
        return self.template.source is TemplateSource.CONFIG


# ---- reading ---------------------------------------------------------------------------------------------------------


@get(LIST, needs=READ)
async def show_templates(panel: Panel) -> Answer:
    """All templates, those of configuration first."""
    templates = await panel.services.invitations.templates.list_templates(by=panel.principal, shadowed=True)
    return panel.show("invitations/templates/list.html", items=await _items(panel, templates))


@get(TEMPLATE_PATH, needs=READ)
async def show_template(panel: Panel) -> Answer:
    """One template with all its terms."""
    template = await _find(panel)
    (item,) = await _items(panel, [template])
    return panel.show("invitations/templates/entry.html", item=item)


async def _find(panel: Panel) -> InvitationTemplate:
    return await panel.services.invitations.templates.get_template(panel.parameter("key"), by=panel.principal)


async def _items(panel: Panel, templates: list[InvitationTemplate]) -> list[TemplateListItem]:
    """The templates with the names of their targets, looked up together. A deleted target is shown by its key."""
    targets, by = panel.services.invitations.targets, panel.principal
    keys = sorted({key for template in templates for key in template.groups})
    groups = {group.key: group.name for group in await targets.find_groups(keys, by=by)} if keys else {}
    object_names = sorted({(type_, key) for template in templates for type_, key, _ in template.content})
    titles = (
        {name: object_.title for name, object_ in (await targets.find_objects(object_names, by=by)).items()}
        if object_names
        else {}
    )
    return [_item(panel, template, groups, titles) for template in templates]


def _item(
    panel: Panel, template: InvitationTemplate, groups: Mapping[str, str], titles: Mapping[tuple[str, str], str]
) -> TemplateListItem:
    role = panel.services.roles.get(template.role or "")
    return TemplateListItem(
        template,
        role.name if role else template.role,
        tuple(groups.get(key, key) for key in template.groups),
        tuple((titles.get((type_, key), f"{type_}/{key}"), role) for type_, key, role in template.content),
    )


# ---- creating and changing -------------------------------------------------------------------------------------------


@get(NEW, needs=TEMPLATES_WRITE)
async def show_new(panel: Panel) -> Answer:
    """The empty form, or one that begins with the terms of another template."""
    source = (
        await panel.services.invitations.templates.find_template(panel.query_value("like")) if panel.query else None
    )
    state = with_template(FormState(), replace(source, key="")) if source else FormState()
    return await _show_form(panel, state, None)


@get(f"{TEMPLATE_PATH}/edit", needs=TEMPLATES_WRITE)
async def show_edit(panel: Panel) -> Answer:
    """The form with a template's terms."""
    template = await _find(panel)
    _require_own(template)
    state = with_template(FormState(), template)
    more_fields = {"name": template.name, "redirectUrl": template.redirect_url or ""}
    return await _show_form(panel, replace(state, typed={**state.typed, **more_fields}), template)


def _require_own(template: InvitationTemplate) -> None:
    if template.source is TemplateSource.CONFIG:
        raise TemplateConfigured(f"The template {template.key} is declared in configuration. Change it there.")


async def _show_form(
    panel: Panel, state: FormState, template: InvitationTemplate | None, *, status: int = 200, code: str = ""
) -> Answer:
    search = state.value("contentSearch").strip()
    return panel.show(
        "invitations/templates/form.html",
        status=status,
        code=code,
        form=state,
        template=template,
        roles=panel.services.invitations.targets.grantable_roles(panel.principal),
        groups=await group_choices(panel, state.values("groups"), state.value("groupSearch")),
        rows=await object_rows(panel, chosen_rows(state)),
        matching_objects=await object_choices(panel, state.values("content"), search) if search else (),
        content_search=search,
        types=panel.services.content_rules.types,
        content_roles=CONTENT_ROLE_NAMES,
        lifetime_choices=lifetime_choices(panel.services.invitation_rules, state.value("expiresIn")),
        languages=[(tag, autonym(tag)) for tag in available_locales()],
    )


@post(NEW, needs=TEMPLATES_WRITE)
async def change_or_create(panel: Panel) -> Answer:
    """Change the form or create the template, as the pressed button says."""
    return await _change_or_save(panel, await panel.read_form(TemplateForm), None)


@post(f"{TEMPLATE_PATH}/edit", needs=TEMPLATES_WRITE)
async def change_or_replace(panel: Panel) -> Answer:
    """The same for an existing template."""
    sent = await panel.read_form(TemplateForm)
    template = await _find(panel)
    _require_own(template)
    return await _change_or_save(panel, sent, template)


async def _change_or_save(panel: Panel, sent: SentForm[TemplateForm], before: InvitationTemplate | None) -> Answer:
    action, _, name = sent.typed.get("do", "").partition(":")
    if action == "save":
        return await _save(panel, sent, before)
    state = sent.as_typed()
    if action == "add":
        state = await with_searched_object(panel, state, name)
    if action == "remove":
        state = without_object(state, name)
    return await _show_form(panel, state, before)


async def _save(panel: Panel, sent: SentForm[TemplateForm], before: InvitationTemplate | None) -> Answer:
    templates = panel.services.invitations.templates
    try:
        template = _template_of(sent, before)
        if before is None:
            await templates.create_template(template, by=panel.principal)
        else:
            await templates.replace_template(template, by=panel.principal)
    except (InvalidFields, TemplateKeyTaken) as error:
        return await _refuse(panel, sent, before, error)
    return panel.redirect(f"{LIST}/key/{template.key}", flash=flash(panel, "template-saved", name=template.name))


def _template_of(sent: SentForm[TemplateForm], before: InvitationTemplate | None) -> InvitationTemplate:
    """The template of the form. Raises InvalidFields."""
    problems = list(sent.reading.problems)
    reported = {problem.pointer.split("/")[1] for problem in problems}
    needed = ("name",) if before else ("key", "name")
    problems += [
        FieldProblem(f"/{name}", "required", "Fill this in.")
        for name in needed
        if name not in reported and not sent.get(name)
    ]
    content = content_of(sent, problems)
    if problems:
        raise InvalidFields(problems)
    span: timedelta | None = sent.get("expires_in")
    return InvitationTemplate(
        key=before.key if before else sent.get("key"),
        name=sent.get("name"),
        role=sent.get("role"),
        groups=sent.get("groups") or (),
        content=content,
        expires_in=span,
        **read_shared_terms(sent.reading),
    )


async def _refuse(
    panel: Panel, sent: SentForm[TemplateForm], before: InvitationTemplate | None, error: LatchstringError
) -> Answer:
    """The form again with its problems. The problem of a list element is shown at its list."""
    problems = error.errors if isinstance(error, InvalidFields) else [FieldProblem("/key", error.code, error.detail)]
    problem = describe_problem(error)
    state = sent.refused(InvalidFields(at_fields(problems)))
    return await _show_form(panel, state, before, status=problem.status, code=problem.code)


# ---- removing --------------------------------------------------------------------------------------------------------


@get(f"{TEMPLATE_PATH}/delete", needs=TEMPLATES_WRITE)
async def ask_to_delete(panel: Panel) -> Answer:
    """The page that asks for confirmation."""
    return panel.show("invitations/templates/delete.html", template=await _find_own(panel))


@post(f"{TEMPLATE_PATH}/delete", needs=TEMPLATES_WRITE)
async def delete(panel: Panel) -> Answer:
    """Delete the template. Its invitations stay unchanged."""
    await panel.read_form(TemplateDeletionForm)
    template = await _find_own(panel)
    await panel.services.invitations.templates.delete_template(template.key, by=panel.principal)
    return panel.redirect(LIST, flash=flash(panel, "template-deleted", name=template.name))


async def _find_own(panel: Panel) -> InvitationTemplate:
    """The panel's template of this key, even if configuration replaces it. Raises as `get_template` does."""
    listed = await panel.services.invitations.templates.list_templates(by=panel.principal, shadowed=True)
    own = [
        template_
        for template_ in listed
        if template_.source is TemplateSource.PANEL and template_.key == panel.parameter("key")
    ]
    if own:
        return own[0]
    template = await _find(panel)
    _require_own(template)
    return template


routes = [
    show_templates,
    show_new,
    change_or_create,
    show_template,
    show_edit,
    change_or_replace,
    ask_to_delete,
    delete,
]
