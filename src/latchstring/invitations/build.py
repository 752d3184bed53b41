"""From a draft to an invitation: the rules that one create and each row of a thousand meet alike.

Pure functions over what was read beforehand, so that one draft costs one look into the database and a batch no more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from latchstring.domain.access import ContentObject, Level, Visibility
from latchstring.domain.clock import format_rfc3339
from latchstring.domain.draft import Draft
from latchstring.domain.errors import ContentNotFound, FieldProblem, GrantNotAllowed, GroupNotFound
from latchstring.domain.event import Event, happened
from latchstring.domain.grant import Bundle, ContentRole, Grant, GrantKind
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Invitation, Link
from latchstring.domain.mail import Delivery, DeliveryState, MailKind, MailPriority, OutgoingMail, SuppressionReason
from latchstring.domain.principal import Principal
from latchstring.domain.settings import ContentRules
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.validate import check_ceiling, find_problems

_NOWHERE = UUID(int=0)
ObjectName = tuple[str, str]  # declared type, key


@dataclass(frozen=True, slots=True)
class Targets:
    """What drafts lead to, as it was read: groups by key, objects by name, and what the inviter holds on these."""

    groups: Mapping[str, UUID] = field(default_factory=dict)
    objects: Mapping[ObjectName, ContentObject] = field(default_factory=dict)
    levels: Mapping[UUID, Level] = field(default_factory=dict)


def judge_draft(draft: Draft, known: Iterable[FieldProblem], deps: InvitationDependencies) -> list[FieldProblem]:
    """Everything that is wrong with the fields: what is known already, then every rule that the draft breaks."""
    return find_problems(draft, tuple(known), roles=deps.roles, rules=deps.rules, app=deps.app)


def check_named(draft: Draft, by: Principal) -> None:
    """Raise GrantNotAllowed beyond the ceiling. Judged by keys alone, before looking: refusals tell nobody which
    groups there are.
    """
    check_ceiling(by, Bundle(draft.role, tuple(Grant(GrantKind.GROUP, _NOWHERE, key) for key in draft.groups)))


def bundle_of(draft: Draft, targets: Targets, *, by: Principal, rules: ContentRules) -> Bundle:
    """What the invitation gives. Raises GrantNotAllowed, ContentNotFound, GroupNotFound, in this order."""
    check_named(draft, by)
    content = _content_grants(draft, targets, by, rules) if draft.content else []
    return Bundle(draft.role, (*(_group_grant(key, targets.groups) for key in sorted(draft.groups)), *content))


def _group_grant(key: str, ids: Mapping[str, UUID]) -> Grant:
    if key not in ids:
        raise GroupNotFound(f"There is no group {key}.")
    return Grant(GrantKind.GROUP, ids[key], key)


def _content_grants(draft: Draft, targets: Targets, by: Principal, rules: ContentRules) -> list[Grant]:
    """The rights on objects. Raises ContentNotFound for what the inviter may not even view, else GrantNotAllowed
    unless he maintains it.
    """
    named = {(declared_type(type_, rules), key): ContentRole[role] for type_, key, role in draft.content}
    for name in named:
        if not _is_visible(targets.objects.get(name), targets.levels, by):
            raise ContentNotFound(f"There is no {name[0]} {name[1]}.")
    for name in named:
        if not by.can("content:write") and _level(targets, name) < Level.MAINTAINER:
            raise GrantNotAllowed(f"Only maintainers of {name[0]} {name[1]} may invite to it.")
    return [
        Grant(GrantKind.CONTENT, targets.objects[name].id, name[1], name[0], role)
        for name, role in sorted(named.items())
    ]


def _level(targets: Targets, name: ObjectName) -> Level:
    return targets.levels.get(targets.objects[name].id, Level.NONE)


def declared_type(name: str, rules: ContentRules) -> str:
    """The declared type; its singular is an alias. Raises ContentNotFound."""
    if name in rules.types:
        return name
    for type_ in rules.types.values():
        if type_.singular == name:
            return type_.key
    raise ContentNotFound(f"There is no content type {name}.")


def names_of(draft: Draft, rules: ContentRules) -> set[ObjectName]:
    """The objects a draft names, as far as their types are declared."""
    found = set()
    for type_, key, _ in draft.content:
        try:
            found.add((declared_type(type_, rules), key))
        except ContentNotFound:
            continue
    return found


def _is_visible(one: ContentObject | None, levels: Mapping[UUID, Level], by: Principal) -> bool:
    # an object that went away between the two reads has no level
    if one is None or one.id not in levels:
        return False
    held = levels[one.id] >= Level.VIEWER
    return held or one.visibility is Visibility.PUBLIC or by.can("content:read") or by.can("content:write")


# ---- the invitation and what comes with it ---------------------------------------------------------------------------


def compose(draft: Draft, bundle: Bundle, *, by: Principal, deps: InvitationDependencies, at: datetime) -> Invitation:
    """The invitation of a draft that broke no rule."""
    lifetime = draft.expires_in or (deps.content_rules if bundle.is_content_only else deps.rules).lifetime
    return Invitation(
        id=new_id(at),
        email=draft.email,
        email_key=draft.email_key,
        bundle=bundle,
        inviter=by.actor,
        lifetime=lifetime,
        link=Link(1, at, at + lifetime, by.actor, deps.keyring.current.id),
        first_name=draft.first_name,
        last_name=draft.last_name,
        message=draft.message,
        locale=draft.locale,
        metadata=draft.metadata,
        redirect_url=draft.redirect_url,
    )


def created_event(invitation: Invitation, *, at: datetime, **more: object) -> Event:
    """What history says of the terms: keys and times, nothing about the person."""
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
    return happened("invitation.created", invitation.id, by=invitation.inviter, at=at, **terms, **more)


def is_closed_to_strangers(bundle: Bundle, rules: ContentRules) -> bool:
    """Whether only people with an account may come in by an invitation to this."""
    return bundle.is_content_only and not rules.allow_unregistered_users


def first_delivery(bundle: Bundle, *, is_registered: bool, deps: InvitationDependencies) -> Delivery:
    """What becomes of the mail to begin with. is_registered: whether somebody has proved to be at the address."""
    if deps.mail_rules.transport == "off":
        return Delivery(DeliveryState.SUPPRESSED, SuppressionReason.MAIL_OFF)
    if is_closed_to_strangers(bundle, deps.content_rules) and not is_registered:
        return Delivery(DeliveryState.SUPPRESSED, SuppressionReason.UNREGISTERED)
    return Delivery(DeliveryState.QUEUED)


def mail_for(
    invitation: Invitation, *, at: datetime, delivery: Delivery, priority: MailPriority = MailPriority.NORMAL
) -> OutgoingMail:
    """The mail that carries the current link."""
    return OutgoingMail(
        id=new_id(at),
        kind=MailKind.INVITATION,
        subject_id=invitation.id,
        generation=invitation.link.generation,
        due_at=at if delivery.state is DeliveryState.QUEUED else None,
        priority=priority,
        state=delivery.state,
        reason=delivery.reason,
        locale=invitation.locale,
    )
