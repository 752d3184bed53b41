"""From a draft to an invitation: the rules that a single create and each row of a batch share.

Pure functions over what was read before, so that a batch needs no more queries than one draft.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from latchstring.content.read import subject_of
from latchstring.domain.access import ContentObject, Level, Subject, combine_level
from latchstring.domain.clock import format_rfc3339
from latchstring.domain.draft import Draft
from latchstring.domain.errors import ContentNotFound, GrantNotAllowed, GroupNotFound
from latchstring.domain.event import Event, new_event
from latchstring.domain.grant import Bundle, ContentRole, Grant, GrantKind
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Invitation, Link
from latchstring.domain.mail import Delivery, DeliveryState, MailKind, MailPriority, OutgoingMail, SuppressionReason
from latchstring.domain.principal import Principal
from latchstring.domain.settings import ContentRules
from latchstring.domain.terms import terms_of
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.users.grant_limits import check_grant

ObjectName = tuple[str, str]  # declared type, key


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
    roles = {(_declared_key(type_, rules), key): ContentRole[role] for type_, key, role in draft.content}
    subject = subject_of(by)
    for type_, key in roles:
        if not _is_visible(targets.objects.get((type_, key)), targets.levels, subject):
            raise ContentNotFound(f"There is no {type_} {key}.")
    for type_, key in roles:
        if not by.can_grant_content_at(targets.levels[targets.objects[type_, key].id]):
            raise GrantNotAllowed(f"Only maintainers of {type_} {key} may invite to it.")
    return [
        Grant(GrantKind.CONTENT, targets.objects[type_, key].id, key, type_, role)
        for (type_, key), role in sorted(roles.items())
    ]


def _is_visible(object_: ContentObject | None, levels: Mapping[UUID, Level], subject: Subject) -> bool:
    if object_ is None or object_.id not in levels:  # one that was deleted between the two reads has no level
        return False
    return combine_level(subject, object_.visibility, levels[object_.id]) >= Level.VIEWER


def _declared_key(word: str, rules: ContentRules) -> str:
    """The key of a declared type. Raises ContentNotFound with the word, because a draft may name several types."""
    declared = rules.find_type(word)
    if declared is None:
        raise ContentNotFound(f"There is no content type {word}.")
    return declared.key


def object_names_of(draft: Draft, rules: ContentRules) -> set[ObjectName]:
    """The objects that a draft names, if their types are declared."""
    types = rules.types_by_word
    return {(types[word].key, key) for word, key, _ in draft.content if word in types}


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
    if deps.mail_rules.is_off:
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
