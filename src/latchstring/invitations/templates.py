"""Templates of invitations: declared in configuration or made in the panel, and what they add to a draft."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from latchstring.domain.clock import Clock
from latchstring.domain.draft import Draft
from latchstring.domain.errors import (
    FieldProblem,
    InvalidFields,
    NotAllowed,
    TemplateConfigured,
    TemplateKeyTaken,
    TemplateNotFound,
)
from latchstring.domain.event import new_event
from latchstring.domain.ids import new_id
from latchstring.domain.panel import TEMPLATES_WRITE
from latchstring.domain.principal import Principal
from latchstring.domain.settings import App, ContentRules, InvitationRules, Roles
from latchstring.domain.template import InvitationTemplate, TemplatesByKey
from latchstring.domain.terms import SHARED_TERM_NAMES
from latchstring.events.record import record
from latchstring.invitations.permissions import READ, WRITE
from latchstring.invitations.validate import find_lifetime_problems, find_redirect_problems
from latchstring.storage.engine.database import Database, UniqueViolation, Work
from latchstring.storage.invitations.templates import (
    delete_template,
    find_template,
    insert_template,
    list_templates,
    load_template,
    replace_template,
)
from latchstring.users.grant_limits import find_role_problems

TEMPLATE_TERMS = ("role", "groups", "content", "expires_in", *SHARED_TERM_NAMES)


def expand(draft: Draft, template: InvitationTemplate) -> Draft:
    """The draft with the template's terms for every field that the caller did not state.

    A stated field replaces the template's: lists are never merged. A field is stated if it has a value, or if it is in
    `emptied`. The ceiling is checked afterwards, on the result.
    """
    filled = {
        name: getattr(template, name)
        for name in TEMPLATE_TERMS
        if not getattr(draft, name) and name not in draft.emptied
    }
    return replace(draft, template=None, **filled)


def expand_from(draft: Draft, templates: TemplatesByKey) -> tuple[Draft, list[FieldProblem]]:
    """The expanded draft, or the draft unchanged with the problem of an unknown template."""
    if draft.template is None:
        return draft, []
    if draft.template in templates:
        return expand(draft, templates[draft.template]), []
    return draft, [unknown_template(draft.template, templates)]


def unknown_template(key: str, known: Sequence[str] | Mapping[str, object]) -> FieldProblem:
    """The problem of an unknown template, with the names that exist."""
    close = get_close_matches(key, list(known), n=1)
    meant = f" Did you mean {close[0]}?" if close else ""
    names = ", ".join(sorted(known)) or "none"
    return FieldProblem("/template", "unknown-template", f"There is no template {key}.{meant} Known: {names}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationTemplates:
    """All templates. Those of configuration win: the panel can neither shadow nor change them."""

    db: Database
    clock: Clock
    configured: TemplatesByKey
    roles: Roles
    rules: InvitationRules
    content_rules: ContentRules
    app: App

    # ---- use ---------------------------------------------------------------------------------------------------------

    async def find_template(self, key: str) -> InvitationTemplate | None:
        """The template in use under this key. For services: permissions are not checked."""
        return self.configured.get(key) or await find_template(self.db, key)

    async def find_all_in_use(self) -> dict[str, InvitationTemplate]:
        """Every template in use, by key."""
        created = {template.key: template for template in await list_templates(self.db)}
        return {**created, **self.configured}

    async def expand(self, draft: Draft) -> tuple[Draft, list[FieldProblem]]:
        """The draft with its template's terms, or unchanged with the problem of an unknown template."""
        if draft.template is None:
            return draft, []
        template = await self.find_template(draft.template)
        if template is not None:
            return expand(draft, template), []
        return draft, [unknown_template(draft.template, await self.find_all_in_use())]

    # ---- read --------------------------------------------------------------------------------------------------------

    async def list_templates(self, *, by: Principal, shadowed: bool = False) -> list[InvitationTemplate]:
        """Those of configuration in their order, then the panel's by key. Raises NotAllowed.

        shadowed: include those of the panel that configuration replaces.
        """
        if not (by.can(READ) or by.can(WRITE)):
            raise NotAllowed(READ)
        created = [
            replace(template, shadowed=template.key in self.configured) for template in await list_templates(self.db)
        ]
        return [*self.configured.values(), *(template for template in created if shadowed or not template.shadowed)]

    async def get_template(self, key: str, *, by: Principal) -> InvitationTemplate:
        """The template in use under this key. Raises NotAllowed, TemplateNotFound."""
        if not (by.can(READ) or by.can(WRITE)):
            raise NotAllowed(READ)
        template = await self.find_template(key)
        if template is None:
            raise TemplateNotFound(f"There is no template {key}.")
        return template

    # ---- change ------------------------------------------------------------------------------------------------------

    async def create_template(self, template: InvitationTemplate, *, by: Principal) -> None:
        """Create a template. Raises NotAllowed, InvalidFields, TemplateKeyTaken."""
        by.require(TEMPLATES_WRITE)
        self._check(template)
        taken = TemplateKeyTaken(f"There is a template {template.key} already.")
        if template.key in self.configured:
            raise taken
        now = self.clock()
        id_ = new_id(now)

        def work() -> Work[None]:
            yield insert_template(id_, template, now=now)
            yield record(new_event("invitation_template.created", id_, by=by.actor, now=now, key=template.key))

        try:
            await self.db.transact(work)
        except UniqueViolation as violation:
            raise taken from violation

    async def replace_template(self, template: InvitationTemplate, *, by: Principal) -> None:
        """Change a template of the panel. Invitations that were sent before stay unchanged.

        Raises NotAllowed, InvalidFields, TemplateConfigured, TemplateNotFound.
        """
        by.require(TEMPLATES_WRITE)
        key = template.key
        if key in self.configured:
            raise TemplateConfigured(f"The template {key} is declared in configuration. Change it there.")
        self._check(template)
        now = self.clock()

        def work() -> Work[None]:
            before = yield from load_template(key)
            id_ = yield from replace_template(template, now=now)
            if id_ is None or before is None:
                raise TemplateNotFound(f"There is no template {key}.")
            fields = sorted(
                name for name in ("name", *TEMPLATE_TERMS) if getattr(before, name) != getattr(template, name)
            )
            yield record(new_event("invitation_template.updated", id_, by=by.actor, now=now, key=key, fields=fields))

        await self.db.transact(work)

    async def delete_template(self, key: str, *, by: Principal) -> None:
        """Delete a template of the panel, even if configuration replaces it. Its invitations stay unchanged.

        Raises NotAllowed, TemplateConfigured, TemplateNotFound.
        """
        by.require(TEMPLATES_WRITE)
        now = self.clock()

        def work() -> Work[bool]:
            id_ = yield from delete_template(key)
            if id_ is not None:
                yield record(new_event("invitation_template.deleted", id_, by=by.actor, now=now, key=key))
            return id_ is not None

        if await self.db.transact(work):
            return
        if key in self.configured:
            raise TemplateConfigured(f"The template {key} is declared in configuration. Remove it there.")
        raise TemplateNotFound(f"There is no template {key}.")

    def _check(self, template: InvitationTemplate) -> None:
        """Raise InvalidFields. Groups and objects are not checked: they are looked up when an invitation is created."""
        repeated = _repeated("groups", template.groups) + _repeated(
            "content", [(type_, key) for type_, key, _ in template.content]
        )
        problems = [
            *find_role_problems(template.role, self.roles),
            *repeated,
            *_unknown_types(template, self.content_rules),
            *find_lifetime_problems(template.expires_in, self.rules),
            *find_redirect_problems(template.redirect_url, self.rules, self.app),
        ]
        if problems:
            raise InvalidFields(problems)


def _repeated(field: str, items: Sequence[object]) -> list[FieldProblem]:
    if len(set(items)) == len(items):
        return []
    return [FieldProblem(f"/{field}", "repeated", "Name each one once.")]


def _unknown_types(template: InvitationTemplate, rules: ContentRules) -> list[FieldProblem]:
    unknown = sorted({word for word, _, _ in template.content} - rules.types_by_word.keys())
    return [FieldProblem("/content", "unknown-content-type", f"There is no content type {name}.") for name in unknown]
