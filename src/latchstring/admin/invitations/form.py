"""The form of an invitation: what may be chosen, what was typed, and the draft that comes of it."""

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
MOST_CHOSEN = 200  # groups or objects of one invitation made by hand


def _read_name(value: object) -> tuple[str, str]:
    type_, key = split_content_name(read_text(value))
    return read_key(type_), read_key(key)


def _read_date(value: object) -> date:
    try:
        found = date.fromisoformat(read_text(value))
    except ValueError:
        found = date.max
    if found == date.max:  # the calendar of this program ends with that day: nothing can work until its end
        raise ValueRefused("invalid-date", "Write a date like 2026-11-27.")
    return found


def _read_seconds(value: object) -> timedelta | None:
    """None: until the date in the field beside it."""
    text = read_text(value)
    if text == UNTIL:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:  # noqa: PLR2004  # 31 years
        raise ValueRefused("invalid-duration", "Choose how long the link works.")
    return timedelta(seconds=int(text))


ObjectName = Annotated[tuple[str, str], Kind(_read_name, {"type": "string"})]
Day = Annotated[date, Kind(_read_date, {"type": "string", "format": "date"})]
Span = Annotated[timedelta | None, Kind(_read_seconds, {"type": "string"})]


class TermsForm(PageForm):
    """What the forms of an invitation and of a template share.

    content and content_role: as many of each, in one order. do: what the pressed button asks for.
    """

    repeated: ClassVar[frozenset[str]] = frozenset({"groups", "content", "contentRole"})
    largest: ClassVar[int] = 128 * 1024
    most_fields: ClassVar[int] = 3 * MOST_CHOSEN + 20

    role: Key | None = None
    groups: tuple[Key, ...] = ()
    group_search: str = ""
    content: tuple[ObjectName, ...] = ()
    content_role: tuple[ContentRoleName, ...] = ()
    content_search: str = ""
    message: Message | None = None
    expires_in: Span = None
    do: str = ""


# Terms that the page of a new invitation does not show. They come from a template or the invitation that is copied.
TERMS_WITHOUT_A_FIELD = frozenset({"metadata", "redirect_url"})


class InvitationForm(TermsForm):
    """Everything the page of a new invitation may send.

    template: the one that is selected; used: the one whose terms are in the form. like: the invitation that was
    copied, for terms that have no field. shape: how the preview is shown.
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
class Validity:
    """One of the quick choices. days: 0 where it is no whole number of them; words say it then."""

    seconds: int
    days: int


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """A chosen object with its right. title: None when there is none any more."""

    type: str
    key: str
    role: str
    title: str | None

    @property
    def name(self) -> str:
        return f"{self.type}/{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the page offers. looked_for: whether there was a search for content, so that nothing found can be told."""

    roles: Sequence[Role]
    groups: Sequence[GroupChoice]
    rows: Sequence[ObjectRow]
    found: Sequence[ObjectChoice]
    looked_for: str
    templates: Sequence[InvitationTemplate]
    validities: Sequence[Validity]
    first_day: date
    last_day: date


# ---- from the form to a draft ----------------------------------------------------------------------------------------


def chosen_rows(shown: FormState) -> list[tuple[str, str, str]]:
    """The chosen objects as they stand in the form: type, key, role. What cannot be one is left out."""
    pairs = zip(shown.values("content"), shown.values("contentRole"), strict=False)
    rows = [(*split_content_name(name), role) for name, role in pairs]
    return [(type_, key, role) for type_, key, role in rows if type_ and key and role in CONTENT_ROLE_NAMES]


def draft_of(sent: SentForm[InvitationForm], *, now: datetime) -> tuple[Draft, list[FieldProblem]]:
    """What was typed, as far as it could be read, and what is wrong with the rest."""
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
    """The problems with that of a list element moved to its list, where the page shows it."""
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
    """The instant a link ends that works until and on this day, in UTC."""
    return datetime.combine(day, time(), tzinfo=UTC) + DAY


def completed(
    draft: Draft, *, used: str | None, source: Invitation | None, may_lead_to: Callable[[str], bool]
) -> Draft:
    """The draft with the terms the form has no field for: where it leads on to, and the app's own data.

    They come from the template whose terms are in the form, or from the invitation it began with.
    """
    if used is not None:
        draft = replace(draft, template=used, emptied=_FIELDS)
    if source is None:
        return draft
    onward = source.redirect_url if source.redirect_url and may_lead_to(source.redirect_url) else None
    return replace(draft, metadata=source.metadata, redirect_url=onward)


_FIELDS = frozenset(TEMPLATE_TERMS) - TERMS_WITHOUT_A_FIELD


# ---- what the page offers --------------------------------------------------------------------------------------------


async def choices_for(panel: Panel, shown: FormState) -> Choices:
    """What can be chosen beside what was typed."""
    targets, by = panel.services.invitations.targets, panel.principal
    rules = panel.services.invitation_rules
    looked_for = shown.value("contentSearch").strip()
    return Choices(
        roles=targets.grantable_roles(by),
        groups=await group_choices(panel, shown.values("groups"), shown.value("groupSearch")),
        rows=await object_rows(panel, chosen_rows(shown)),
        found=await object_choices(panel, shown.values("content"), looked_for) if looked_for else (),
        looked_for=looked_for,
        templates=await panel.services.invitations.templates.list_templates(by=by),
        validities=validities(rules, shown.value("expiresIn")),
        first_day=panel.now.date(),
        last_day=max((panel.now + rules.maximum_lifetime).date() - DAY, panel.now.date()),
    )


async def group_choices(panel: Panel, ticked: Sequence[str], text: str) -> list[GroupChoice]:
    """The ticked groups first, whatever is looked for; then those found."""
    targets, by = panel.services.invitations.targets, panel.principal
    chosen = await targets.find_groups(ticked[:MOST_CHOSEN], by=by)
    keys = {one.key for one in chosen}
    return [*chosen, *(one for one in await targets.search_groups(text, by=by) if one.key not in keys)]


async def object_choices(panel: Panel, chosen: Sequence[str], text: str) -> list[ObjectChoice]:
    """The objects that are found and not chosen yet."""
    found = await panel.services.invitations.targets.search_objects(text, by=panel.principal)
    return [one for one in found if f"{one.type}/{one.key}" not in set(chosen)]


async def object_rows(panel: Panel, rows: Sequence[tuple[str, str, str]]) -> list[ObjectRow]:
    """The chosen objects with their titles."""
    names = [(type_, key) for type_, key, _ in rows[:MOST_CHOSEN]]
    found = await panel.services.invitations.targets.find_objects(names, by=panel.principal)
    titles = {name: one.title for name, one in found.items()}
    return [ObjectRow(type_, key, role, titles.get((type_, key))) for type_, key, role in rows]


def validities(rules: InvitationRules, chosen: str = "") -> list[Validity]:
    """The quick choices within the bounds, with the usual lifetime and the one that is chosen among them."""
    spans = {timedelta(days=days) for days in QUICK} | {rules.lifetime}
    if chosen.isascii() and chosen.isdecimal():
        spans.add(timedelta(seconds=min(int(chosen[:9]), 10**9)))
    kept = sorted(span for span in spans if rules.minimum_lifetime <= span <= rules.maximum_lifetime)
    return [Validity(int(span.total_seconds()), 0 if span % DAY else span // DAY) for span in kept]


# ---- what the form begins with ---------------------------------------------------------------------------------------


def blank(rules: InvitationRules) -> FormState:
    """A form nobody has touched."""
    return FormState({"expiresIn": _seconds(rules.lifetime)})


def with_template(shown: FormState, template: InvitationTemplate, rules: ContentRules = NO_TYPES) -> FormState:
    """The form with a template's terms in it; who is invited stays. rules: say which types have another name."""
    types = {type_.singular: type_.key for type_ in rules.types.values() if type_.singular}
    content = [(types.get(type_, type_), key, role) for type_, key, role in template.content]
    typed = dict(shown.typed) | {"template": template.key, "used": template.key, "role": template.role or ""}
    typed |= _texts(shared_terms_of(template))
    if template.expires_in is not None:
        typed["expiresIn"] = _seconds(template.expires_in)
    return _with_targets(replace(shown, typed=typed), template.groups, content)


def like(invitation: Invitation, rules: InvitationRules) -> FormState:
    """The form with the terms of an invitation, as far as they can still be had."""
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


def with_object(shown: FormState, name: str, role: str = "VIEWER") -> FormState:
    """The form with one more object; one that is chosen already stays as it is."""
    if name in shown.values("content"):
        return shown
    ticked: Mapping[str, tuple[str, ...]] = {
        **shown.ticked,
        "content": (*shown.values("content"), name),
        "contentRole": (*shown.values("contentRole"), role),
    }
    return replace(shown, ticked=ticked, typed={**shown.typed, "contentSearch": ""})


async def with_searched_object(panel: Panel, shown: FormState, name: str) -> FormState:
    """The form with the named object; without a name, with the one that the search finds if it is only one."""
    text = name or shown.value("contentSearch").strip()
    found = await object_choices(panel, shown.values("content"), text) if text else []
    matches = [choice for choice in found if text == f"{choice.type}/{choice.key}"] or found
    return with_object(shown, f"{matches[0].type}/{matches[0].key}") if len(matches) == 1 else shown


def without_object(shown: FormState, name: str) -> FormState:
    """The form without this object."""
    pairs = zip(shown.values("content"), shown.values("contentRole"), strict=False)
    kept = [pair for pair in pairs if pair[0] != name]
    ticked = {**shown.ticked, "content": tuple(n for n, _ in kept), "contentRole": tuple(r for _, r in kept)}
    return replace(shown, ticked=ticked)


def _with_targets(shown: FormState, groups: Sequence[str], content: Sequence[tuple[str, str, str]]) -> FormState:
    ticked = {
        **shown.ticked,
        "groups": tuple(groups),
        "content": tuple(f"{type_}/{key}" for type_, key, _ in content),
        "contentRole": tuple(role for *_, role in content),
    }
    return replace(shown, ticked=ticked)


def _seconds(span: timedelta) -> str:
    return str(int(span.total_seconds()))
