"""The form of an invitation: its choices, its fields, and the draft that it becomes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, ClassVar, Literal

from latchstring.admin.context import Panel
from latchstring.domain.draft import Draft
from latchstring.domain.errors import FieldProblem
from latchstring.domain.invitation import Invitation
from latchstring.domain.principal import Role
from latchstring.domain.settings import ContentRules, InvitationRules
from latchstring.domain.template import InvitationTemplate
from latchstring.domain.terms import shared_terms_of, terms_of
from latchstring.domain.views.targets import GroupChoice, ObjectChoice
from latchstring.formats.camel_case import to_camel_case
from latchstring.formats.content_grants import CONTENT_ROLE_NAMES, ContentRoleName, split_content_name
from latchstring.formats.field_types import Email, Id, Key, Kind, Line, Message, ValueRefused, read_key, read_text
from latchstring.formats.terms import read_terms
from latchstring.invitations.templates import TEMPLATE_TERMS
from latchstring.pages.forms import FormState, PageForm, SentForm

UNTIL = "until"
DAY = timedelta(days=1)
QUICK = (1, 7, 30)  # days
NO_TYPES = ContentRules()
MOST_CHOSEN = 200  # groups or objects of one invitation


def _read_name(value: object) -> tuple[str, str]:
    type_, key = split_content_name(read_text(value))
    return read_key(type_), read_key(key)


def _read_date(value: object) -> date:
    try:
        day = date.fromisoformat(read_text(value))
    except ValueError:
        day = date.max
    if day == date.max:  # Python's calendar ends with that day, so no instant is after it
        raise ValueRefused("invalid-date", "Write a date like 2026-11-27.")
    return day


def _read_seconds(value: object) -> timedelta | None:
    """The lifetime; None if the date in the next field decides."""
    text = read_text(value)
    if text == UNTIL:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:  # noqa: PLR2004  # 31 years
        raise ValueRefused("invalid-duration", "Choose how long the link works.")
    return timedelta(seconds=int(text))


ObjectName = Annotated[tuple[str, str], Kind(_read_name, {"type": "string"})]
Day = Annotated[date, Kind(_read_date, {"type": "string", "format": "date"})]
Lifetime = Annotated[timedelta | None, Kind(_read_seconds, {"type": "string"})]


class TermsForm(PageForm):
    """The fields that the forms of an invitation and of a template share.

    content and content_role: the same number of each, in the same order. do: the action of the pressed button.
    """

    repeated: ClassVar[frozenset[str]] = frozenset({"groups", "content", "contentRole"})
    largest: ClassVar[int] = 128 * 1024
    max_fields: ClassVar[int] = 3 * MOST_CHOSEN + 20

    role: Key | None = None
    groups: tuple[Key, ...] = ()
    group_search: str = ""
    content: tuple[ObjectName, ...] = ()
    content_role: tuple[ContentRoleName, ...] = ()
    content_search: str = ""
    message: Message | None = None
    expires_in: Lifetime = None
    do: str = ""


# Terms that the page of a new invitation does not show. They come from a template or the invitation that is copied.
TERMS_WITHOUT_A_FIELD = frozenset({"metadata", "redirect_url"})


class InvitationForm(TermsForm):
    """The form of a new invitation.

    template: the selected one; used: the one whose terms are in the form. like: the copied invitation, for terms
    without a field. shape: how the preview is shown.
    """

    invite_email: Email | None = None
    first_name: Line | None = None
    last_name: Line | None = None
    until: Day | None = None
    template: Key | None = None
    used: Key | None = None
    like: Id | None = None
    shape: Literal["desktop", "phone", "text"] = "desktop"


@dataclass(frozen=True, slots=True)
class LifetimeChoice:
    """A choice of lifetime. days: 0 if it is no whole number of days."""

    seconds: int
    days: int


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """A chosen object with its role. title: None if it was deleted."""

    type: str
    key: str
    role: str
    title: str | None

    @property
    def name(self) -> str:
        return f"{self.type}/{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The choices of the page. content_search: the searched text, so that the page can say that nothing matches."""

    roles: Sequence[Role]
    groups: Sequence[GroupChoice]
    rows: Sequence[ObjectRow]
    matching_objects: Sequence[ObjectChoice]
    content_search: str
    templates: Sequence[InvitationTemplate]
    lifetime_choices: Sequence[LifetimeChoice]
    first_day: date
    last_day: date


# ---- from the form to a draft ----------------------------------------------------------------------------------------


def chosen_rows(state: FormState) -> list[tuple[str, str, str]]:
    """The chosen objects of the form: type, key, role. Invalid ones are left out."""
    pairs = zip(state.values("content"), state.values("contentRole"), strict=False)
    rows = [(*split_content_name(name), role) for name, role in pairs]
    return [(type_, key, role) for type_, key, role in rows if type_ and key and role in CONTENT_ROLE_NAMES]


def draft_of(sent: SentForm[InvitationForm], *, now: datetime) -> tuple[Draft, list[FieldProblem]]:
    """The draft of the fields that could be read, and the problems of the others."""
    email = sent.get("invite_email")
    problems = [] if email or "inviteEmail" in _pointers(sent) else [_NO_ADDRESS]
    draft = Draft(
        email=email.email if email else "",
        email_key=email.email_key if email else "",
        role=sent.get("role"),
        groups=sent.get("groups") or (),
        content=content_of(sent, problems),
        expires_in=_lifetime(sent, now, problems),
        **read_terms(sent.reading),
    )
    return draft, [*sent.reading.problems, *problems]


def content_of(sent: SentForm[Any], problems: list[FieldProblem]) -> tuple[tuple[str, str, str], ...]:
    """Type, key and role of each chosen object. An object without a role is added to the problems."""
    names, roles = sent.get("content") or (), sent.get("content_role") or ()
    if len(names) != len(roles):
        problems.append(FieldProblem("/content", "unreadable", "Choose a role for each object."))
    return tuple((type_, key, role) for (type_, key), role in zip(names, roles, strict=False))


def at_fields(problems: Iterable[FieldProblem]) -> list[FieldProblem]:
    """The problems, those of list elements moved to their lists, where the page shows them."""
    return [replace(problem, pointer=f"/{problem.pointer.split('/')[1]}") for problem in problems]


_NO_ADDRESS = FieldProblem("/inviteEmail", "invalid-email", "Enter a full address, like name@example.org")


def _pointers(sent: SentForm[InvitationForm]) -> set[str]:
    return {problem.pointer.split("/")[1] for problem in sent.reading.problems}


def _lifetime(sent: SentForm[InvitationForm], now: datetime, problems: list[FieldProblem]) -> timedelta | None:
    if sent.typed.get("expiresIn") != UNTIL:
        return sent.get("expires_in")  # type: ignore[no-any-return]  # of the form's own type
    day: date | None = sent.get("until")
    if day is None:
        if "until" not in _pointers(sent):
            problems.append(FieldProblem("/until", "required", "Choose the last day."))
        return None
    return timedelta(seconds=int((end_of(day) - now).total_seconds()))


def end_of(day: date) -> datetime:
    """The end of this day in UTC, when a link that is valid until this day expires."""
    return datetime.combine(day, time(), tzinfo=UTC) + DAY


def complete_draft(
    draft: Draft, *, used: str | None, source: Invitation | None, is_allowed_redirect_url: Callable[[str], bool]
) -> Draft:
    """The draft with the terms that have no field: the redirect URL and the metadata.

    They come from the template that was applied, or from the invitation that was copied.
    """
    if used is not None:
        draft = replace(draft, template=used, emptied=_FIELDS)
    if source is None:
        return draft
    onward = source.redirect_url if source.redirect_url and is_allowed_redirect_url(source.redirect_url) else None
    return replace(draft, metadata=source.metadata, redirect_url=onward)


_FIELDS = frozenset(TEMPLATE_TERMS) - TERMS_WITHOUT_A_FIELD


# ---- the choices of the page -----------------------------------------------------------------------------------------


async def choices_for(panel: Panel, state: FormState) -> Choices:
    """The choices for a form with these values."""
    targets, by = panel.services.invitations.targets, panel.principal
    rules = panel.services.invitation_rules
    search = state.value("contentSearch").strip()
    return Choices(
        roles=targets.grantable_roles(by),
        groups=await group_choices(panel, state.values("groups"), state.value("groupSearch")),
        rows=await object_rows(panel, chosen_rows(state)),
        matching_objects=await object_choices(panel, state.values("content"), search) if search else (),
        content_search=search,
        templates=await panel.services.invitations.templates.list_templates(by=by),
        lifetime_choices=lifetime_choices(rules, state.value("expiresIn")),
        first_day=panel.now.date(),
        last_day=max((panel.now + rules.maximum_lifetime).date() - DAY, panel.now.date()),
    )


async def group_choices(panel: Panel, ticked: Sequence[str], search: str) -> list[GroupChoice]:
    """The ticked groups first, then those that match the search."""
    targets, by = panel.services.invitations.targets, panel.principal
    chosen = await targets.find_groups(ticked[:MOST_CHOSEN], by=by)
    keys = {group.key for group in chosen}
    return [*chosen, *(group for group in await targets.search_groups(search, by=by) if group.key not in keys)]


async def object_choices(panel: Panel, chosen: Sequence[str], search: str) -> list[ObjectChoice]:
    """The objects that match the search and are not chosen yet."""
    objects = await panel.services.invitations.targets.search_objects(search, by=panel.principal)
    return [object_ for object_ in objects if f"{object_.type}/{object_.key}" not in set(chosen)]


async def object_rows(panel: Panel, rows: Sequence[tuple[str, str, str]]) -> list[ObjectRow]:
    """The chosen objects with their titles."""
    names = [(type_, key) for type_, key, _ in rows[:MOST_CHOSEN]]
    objects = await panel.services.invitations.targets.find_objects(names, by=panel.principal)
    titles = {name: object_.title for name, object_ in objects.items()}
    return [ObjectRow(type_, key, role, titles.get((type_, key))) for type_, key, role in rows]


def lifetime_choices(rules: InvitationRules, chosen: str = "") -> list[LifetimeChoice]:
    """The choices of lifetime within the bounds, with the default and the chosen one among them."""
    spans = {timedelta(days=days) for days in QUICK} | {rules.lifetime}
    if chosen.isascii() and chosen.isdecimal():
        spans.add(timedelta(seconds=min(int(chosen[:9]), 10**9)))
    allowed = sorted(span for span in spans if rules.is_allowed_lifetime(span))
    return [LifetimeChoice(int(span.total_seconds()), 0 if span % DAY else span // DAY) for span in allowed]


# ---- the values of the form ------------------------------------------------------------------------------------------


def blank_form(rules: InvitationRules) -> FormState:
    """An empty form."""
    return FormState({"expiresIn": _seconds(rules.lifetime)})


def with_template(state: FormState, template: InvitationTemplate, rules: ContentRules = NO_TYPES) -> FormState:
    """The form with the terms of a template; the invitee stays. rules: with the names of content types."""
    types = rules.types_by_word
    content = [(types[word].key if word in types else word, key, role) for word, key, role in template.content]
    typed = dict(state.typed) | {"template": template.key, "used": template.key, "role": template.role or ""}
    typed |= _texts(shared_terms_of(template))
    if template.expires_in is not None:
        typed["expiresIn"] = _seconds(template.expires_in)
    return _with_targets(replace(state, typed=typed), template.groups, content)


def copy_invitation(invitation: Invitation, rules: InvitationRules) -> FormState:
    """The form with the terms of an invitation that can still be granted."""
    bundle = invitation.bundle.live
    typed = {
        "like": str(invitation.id),
        "inviteEmail": invitation.email,
        "role": invitation.bundle.role or "",
        **_texts(terms_of(invitation)),
        "expiresIn": _seconds(min(max(invitation.lifetime, rules.minimum_lifetime), rules.maximum_lifetime)),
    }
    groups = [grant.target_key for grant in bundle if grant.role is None]
    content = [
        (grant.target_type or "", grant.target_key, grant.role.name) for grant in bundle if grant.role is not None
    ]
    return _with_targets(FormState(typed), groups, content)


def _texts(terms: Mapping[str, str | None]) -> dict[str, str]:
    """The terms as the form has them."""
    return {to_camel_case(name): text or "" for name, text in terms.items() if name not in TERMS_WITHOUT_A_FIELD}


def with_object(state: FormState, name: str, role: str = "VIEWER") -> FormState:
    """The form with one more object, unless it is chosen already."""
    if name in state.values("content"):
        return state
    ticked: Mapping[str, tuple[str, ...]] = {
        **state.ticked,
        "content": (*state.values("content"), name),
        "contentRole": (*state.values("contentRole"), role),
    }
    return replace(state, ticked=ticked, typed={**state.typed, "contentSearch": ""})


async def with_searched_object(panel: Panel, state: FormState, name: str) -> FormState:
    """The form with the named object, or with the only object that matches the search."""
    search = name or state.value("contentSearch").strip()
    objects = await object_choices(panel, state.values("content"), search) if search else []
    matches = [choice for choice in objects if search == f"{choice.type}/{choice.key}"] or objects
    return with_object(state, f"{matches[0].type}/{matches[0].key}") if len(matches) == 1 else state


def without_object(state: FormState, name: str) -> FormState:
    """The form without this object."""
    pairs = zip(state.values("content"), state.values("contentRole"), strict=False)
    remaining = [pair for pair in pairs if pair[0] != name]
    ticked = {**state.ticked, "content": tuple(n for n, _ in remaining), "contentRole": tuple(r for _, r in remaining)}
    return replace(state, ticked=ticked)


def _with_targets(state: FormState, groups: Sequence[str], content: Sequence[tuple[str, str, str]]) -> FormState:
    ticked = {
        **state.ticked,
        "groups": tuple(groups),
        "content": tuple(f"{type_}/{key}" for type_, key, _ in content),
        "contentRole": tuple(role for *_, role in content),
    }
    return replace(state, ticked=ticked)


def _seconds(span: timedelta) -> str:
    return str(int(span.total_seconds()))
