"""From a draft to an invitation: the rules that a single create and each row of a batch share.

Pure functions over what was read before, so that a batch needs no more queries than one draft.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from latchstring.domain.access import ContentObject, Level, Visibility
from latchstring.domain.clock import format_rfc3339
from latchstring.domain.draft import Draft
from latchstring.domain.errors import ContentNotFound, FieldProblem, GrantNotAllowed, GroupNotFound, MailDisabled
from latchstring.domain.event import Event, new_event
from latchstring.domain.grant import Bundle, ContentRole, Grant, GrantKind
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Invitation, Link
from latchstring.domain.mail import Delivery, DeliveryState, MailKind, MailPriority, OutgoingMail, SuppressionReason
from latchstring.domain.principal import Principal
from latchstring.domain.settings import App, ContentRules, InvitationRules, MailRules
from latchstring.domain.terms import terms_of
from latchstring.formats.urls import find_origin
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.permissions import REVEAL
from latchstring.users.grant_limits import check_grant, find_role_problems

ObjectName = tuple[str, str]  # declared type, key


# ---- validate --------------------------------------------------------------------------------------------------------


def find_problems(draft: Draft, known: Sequence[FieldProblem], deps: InvitationDependencies) -> list[FieldProblem]:
    """All problems of the fields: the known ones, then every rule that the other fields break."""
    problems = list(known)
    known_fields = {problem.pointer.split("/")[1] for problem in known}
    gives_something = draft.role or draft.groups or draft.content
    if not gives_something and not known_fields & {"role", "groups", "content", "template"}:
        problems.append(FieldProblem("/role", "grant-required", "Choose at least a role, a group or a content object."))
    problems += find_role_problems(draft.role, deps.roles)
    if len(set(draft.groups)) < len(draft.groups):
        problems.append(FieldProblem("/groups", "repeated", "Name each group once."))
    if len({(type_, key) for type_, key, _ in draft.content}) < len(draft.content):
        problems.append(FieldProblem("/content", "repeated", "Name each content object once."))
    problems += find_lifetime_problems(draft.expires_in, deps.rules)
    problems += find_redirect_problems(draft.redirect_url, deps.rules, deps.app)
    return problems


def find_lifetime_problems(lifetime: timedelta | None, rules: InvitationRules) -> list[FieldProblem]:
    """The problem of a lifetime outside the configured bounds."""
    if lifetime is None or rules.minimum_lifetime <= lifetime <= rules.maximum_lifetime:
        return []
    bounds = f"from {format_in_words(rules.minimum_lifetime)} to {format_in_words(rules.maximum_lifetime)}"
    return [FieldProblem("/expiresIn", "out-of-bounds", f"Use a lifetime {bounds}.")]


def format_in_words(span: timedelta) -> str:
    """A duration in its largest whole unit: `7 days`, `1 hour`."""
    seconds = int(span.total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}{'' if seconds == size else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def find_redirect_problems(url: str | None, rules: InvitationRules, app: App) -> list[FieldProblem]:
    """The problem of a redirect URL that is not allowed."""
    if url is None or is_allowed_redirect(url, rules, app):
        return []
    return [FieldProblem("/redirectUrl", "redirect-not-allowed", "This origin is not in invitations.redirect-origins.")]


def is_allowed_redirect(url: str, rules: InvitationRules, app: App) -> bool:
    """Whether the URL's origin is the server's own or on the allow-list.

    URLs that a browser may read differently (user info, backslashes, control characters) are never allowed.
    """
    if any(character in "\\@" or character <= " " for character in url):
        return False
    return find_origin(url) in {find_origin(app.public_url), *map(find_origin, rules.redirect_origins)} - {None}


def require_delivery_channel(by: Principal, rules: MailRules) -> None:
    """Raise MailDisabled if nobody could get the link: mail is off, and the caller may not reveal links."""
    if rules.transport == "off" and not by.can(REVEAL):
        raise MailDisabled("Mail is disabled, and you may not reveal links.")


# ---- grants ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ResolvedTargets:
    """Targets of drafts, as they were read. groups: by key. objects: by name. levels: the inviter's, by object."""

    groups: Mapping[str, UUID] = field(default_factory=dict)
    objects: Mapping[ObjectName, ContentObject] = field(default_factory=dict)
    levels: Mapping[UUID, Level] = field(default_factory=dict)


def build_bundle(draft: Draft, targets: ResolvedTargets, *, by: Principal, deps: InvitationDependencies) -> Bundle:
    """The grants of the invitation. Raises GrantNotAllowed, ContentNotFound, GroupNotFound, in this order."""
    check_grant(by, deps.roles, role=draft.role, groups=draft.groups)
    content = _content_grants(draft, targets, by, deps.content_rules) if draft.content else []
    groups = []
    for key in sorted(draft.groups):
        if key not in targets.groups:
            raise GroupNotFound(f"There is no group {key}.")
        groups.append(Grant(GrantKind.GROUP, targets.groups[key], key))
    return Bundle(draft.role, (*groups, *content))


def _content_grants(draft: Draft, targets: ResolvedTargets, by: Principal, rules: ContentRules) -> list[Grant]:
    """The rights on objects. Raises ContentNotFound for what the inviter may not even view, else GrantNotAllowed
    unless they maintain it.
    """
    roles = {(declared_type(type_, rules), key): ContentRole[role] for type_, key, role in draft.content}
    for type_, key in roles:
        if not _is_visible(targets.objects.get((type_, key)), targets.levels, by):
            raise ContentNotFound(f"There is no {type_} {key}.")
    for type_, key in roles:
        level = targets.levels.get(targets.objects[type_, key].id, Level.NONE)
        if level < Level.MAINTAINER and not by.can("content:write"):
            raise GrantNotAllowed(f"Only maintainers of {type_} {key} may invite to it.")
    return [
        Grant(GrantKind.CONTENT, targets.objects[type_, key].id, key, type_, role)
        for (type_, key), role in sorted(roles.items())
    ]


def _is_visible(object_: ContentObject | None, levels: Mapping[UUID, Level], by: Principal) -> bool:
    if object_ is None or object_.id not in levels:  # one that was deleted between the two reads has no level
        return False
    is_holder = levels[object_.id] >= Level.VIEWER
    return is_holder or object_.visibility is Visibility.PUBLIC or by.can("content:read") or by.can("content:write")


def declared_type(name: str, rules: ContentRules) -> str:
    """The declared type of this name or singular. Raises ContentNotFound."""
    if name in rules.types:
        return name
    for type_ in rules.types.values():
        if type_.singular == name:
            return type_.key
    raise ContentNotFound(f"There is no content type {name}.")


def object_names_of(draft: Draft, rules: ContentRules) -> set[ObjectName]:
    """The objects that a draft names, if their types are declared."""
    names = set()
    for type_, key, _ in draft.content:
        try:
            names.add((declared_type(type_, rules), key))
        except ContentNotFound:
            continue
    return names


# ---- the invitation, its event and its mail --------------------------------------------------------------------------


def build_invitation(
    draft: Draft, bundle: Bundle, *, by: Principal, deps: InvitationDependencies, now: datetime
) -> Invitation:
    """The invitation of a draft without problems."""
    lifetime = draft.expires_in or (deps.content_rules if bundle.is_content_only else deps.rules).lifetime
    return Invitation(
        id=new_id(now),
        email=draft.email,
        email_key=draft.email_key,
        bundle=bundle,
        inviter=by.actor,
        lifetime=lifetime,
        link=Link(1, now, now + lifetime, by.actor, deps.keyring.current.id),
        **terms_of(draft),
    )


def created_event(invitation: Invitation, *, now: datetime, **more_data: object) -> Event:
    """The event of a new invitation: keys and times of its terms, nothing about the person."""
    bundle = invitation.bundle
    terms = {
        "role": bundle.role,
        "groups": [grant.target_key for grant in bundle.groups],
        "content": [
            {"contentType": grant.target_type, "key": grant.target_key, "role": grant.role and grant.role.name}
            for grant in bundle.content
        ],
        "expiresAt": format_rfc3339(invitation.link.expires_at),
    }
    return new_event("invitation.created", invitation.id, by=invitation.inviter, now=now, **terms, **more_data)


def requires_existing_account(bundle: Bundle, rules: ContentRules) -> bool:
    """Whether only people with an account can accept an invitation with these grants."""
    return bundle.is_content_only and not rules.allow_unregistered_users


def first_delivery(bundle: Bundle, *, is_registered: bool, deps: InvitationDependencies) -> Delivery:
    """The first state of the mail. is_registered: whether the address has a verified account."""
    if deps.mail_rules.transport == "off":
        return Delivery(DeliveryState.SUPPRESSED, SuppressionReason.MAIL_OFF)
    if requires_existing_account(bundle, deps.content_rules) and not is_registered:
        return Delivery(DeliveryState.SUPPRESSED, SuppressionReason.UNREGISTERED)
    return Delivery(DeliveryState.QUEUED)


def build_mail(
    invitation: Invitation, delivery: Delivery, *, now: datetime, priority: MailPriority = MailPriority.NORMAL
) -> OutgoingMail:
    """The mail that carries the current link."""
    return OutgoingMail(
        id=new_id(now),
        kind=MailKind.INVITATION,
        subject_id=invitation.id,
        generation=invitation.link.generation,
        due_at=now if delivery.state is DeliveryState.QUEUED else None,
        priority=priority,
        state=delivery.state,
        reason=delivery.reason,
        locale=invitation.locale,
    )
