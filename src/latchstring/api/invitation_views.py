"""Views of invitations."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import UNSET, UnsetType

from latchstring.api.user_views import UserView, user_view
from latchstring.domain.access import Level
from latchstring.domain.actor import Actor
from latchstring.domain.event import RecordedEvent
from latchstring.domain.grant import ContentRole, Grant
from latchstring.domain.invitation import Invitation, InvitationDetails, State
from latchstring.domain.mail import Delivery
from latchstring.domain.terms import terms_of
from latchstring.http.responses import View
from latchstring.invitations.links import Links
from latchstring.invitations.results import Accepted, Applied, InvitationPreview
from latchstring.services import Services

StateName = Literal["PENDING", "ACCEPTED", "DECLINED", "REVOKED", "EXPIRED"]
DeliveryName = Literal["QUEUED", "SENT", "DEFERRED", "BOUNCED", "FAILED", "SUPPRESSED"]
ActorName = Literal["USER", "ADMIN", "API_KEY", "OPERATOR", "INVITEE", "SYSTEM"]
ContentRoleName = Literal["VIEWER", "EDITOR", "MAINTAINER"]

STATES: Mapping[State, StateName] = {
    State.PENDING: "PENDING",
    State.ACCEPTED: "ACCEPTED",
    State.DECLINED: "DECLINED",
    State.REVOKED: "REVOKED",
    State.EXPIRED: "EXPIRED",
}
CONTENT_ROLES: Mapping[ContentRole, ContentRoleName] = {
    ContentRole.VIEWER: "VIEWER",
    ContentRole.EDITOR: "EDITOR",
    ContentRole.MAINTAINER: "MAINTAINER",
}


class ActorView(View):
    """An actor. name: the current name, null if it was erased."""

    type: ActorName
    id: UUID | None
    name: str | None


class ContentGrantView(View):
    """A role on one object. void: the object was deleted or made private."""

    content_type: str
    key: str
    role: ContentRoleName
    void: bool


class DeliveryView(View):
    """Delivery of the newest mail. lastReply: the reply of the mail server."""

    state: DeliveryName
    reason: Literal["UNREGISTERED", "ENDED", "OPTED_OUT", "MAIL_OFF"] | None
    attempts: int
    last_attempt_at: datetime | None
    last_reply: str | None


class InvitationView(View):
    """An invitation. secret: the last characters of the signature of the link."""

    id: UUID
    invite_email: str
    role: str | None
    groups: list[str]
    content: list[ContentGrantView]
    state: StateName
    delivery: DeliveryView | None
    generation: int
    secret: str
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    declined_at: datetime | None
    revoked_at: datetime | None
    invited_by: ActorView
    sponsor: ActorView
    accepted_by: UUID | None
    first_name: str | None
    last_name: str | None
    message: str | None
    locale: str | None
    metadata: Mapping[str, Any] | None
    redirect_url: str | None


class EventView(View):
    """An event in the history of an invitation."""

    id: UUID
    type: str
    at: datetime
    actor: ActorView
    data: Mapping[str, Any]


class LinkUrlView(View):
    """A revealed link. If the address has an account, the invitee must sign in to accept."""

    url: str


class NamedView(View):
    """A display name."""

    name: str


class GroupNameView(View):
    key: str
    name: str


class OfferedContentView(View):
    content_type: str
    key: str
    title: str
    role: ContentRoleName


class PasswordPolicyView(View):
    """Rules for a new password."""

    minimum_length: int


class LookupView(View):
    """The invitation behind a valid link, for the invitee."""

    invite_email: str
    invited_by: NamedView
    app: NamedView
    role: str | None
    groups: list[GroupNameView]
    content: list[OfferedContentView]
    first_name: str | None
    last_name: str | None
    message: str | None
    expires_at: datetime
    account_exists: bool
    password_policy: PasswordPolicyView
    terms_url: str | None
    locale: str


class KeptGrantsView(View):
    """Rights that were kept because the invitation would have lowered them."""

    role: str | None


class GrantsView(View):
    """The grants of the invitation that the invitee now has. kept.role: the previous role, which was not lowered."""

    role: str | None
    groups: list[str]
    content: list[ContentGrantView]
    kept: KeptGrantsView


class AcceptedView(View):
    """The result of accepting. Tokens: only for a new account. user: only if signed in."""

    grants: GrantsView
    redirect_url: str | None
    user: UserView | UnsetType = UNSET
    access_token: str | UnsetType = UNSET
    refresh_token: str | UnsetType = UNSET
    expires_in: int | UnsetType = UNSET


def _actor_view(actor: Actor, name: str | None) -> ActorView:
    return ActorView(type=actor.type.value, id=actor.id, name=name)


def _content_view(grant: Grant) -> ContentGrantView:
    role = CONTENT_ROLES[grant.role or ContentRole.VIEWER]
    return ContentGrantView(content_type=grant.target_type or "", key=grant.target_key, role=role, void=grant.is_void)


def _ended(invitation: Invitation, state: State) -> datetime | None:
    return invitation.ended_at if invitation.state is state else None


def delivery_view(delivery: Delivery | None) -> DeliveryView | None:
    """Delivery of the newest mail. None if there was none, or if the caller may not see it."""
    if delivery is None:
        return None
    return DeliveryView(
        state=delivery.state.value,
        reason=delivery.reason.value if delivery.reason else None,
        attempts=delivery.attempts,
        last_attempt_at=delivery.last_attempt_at,
        last_reply=delivery.last_reply,
    )


def invitation_view(details: InvitationDetails, links: Links, *, now: datetime) -> InvitationView:
    """An invitation as of this instant."""
    invitation = details.invitation
    return InvitationView(
        id=invitation.id,
        invite_email=invitation.email,
        role=invitation.bundle.role,
        groups=[grant.target_key for grant in invitation.bundle.groups],
        content=[_content_view(grant) for grant in invitation.bundle.content],
        state=STATES[invitation.state_at(now)],
        delivery=delivery_view(details.delivery),
        generation=invitation.link.generation,
        secret=links.secret_of(invitation),
        created_at=invitation.created_at,
        expires_at=invitation.link.expires_at,
        accepted_at=_ended(invitation, State.ACCEPTED),
        declined_at=_ended(invitation, State.DECLINED),
        revoked_at=_ended(invitation, State.REVOKED),
        invited_by=_actor_view(invitation.inviter, details.inviter_name),
        sponsor=_actor_view(invitation.link.sponsor, details.sponsor_name),
        accepted_by=invitation.accepted_by,
        **terms_of(invitation),
    )


def event_view(recorded: RecordedEvent) -> EventView:
    """One event of the history."""
    event = recorded.event
    return EventView(
        id=event.id,
        type=event.type,
        at=event.at,
        actor=_actor_view(event.actor, recorded.actor_name),
        data=event.data,
    )


def lookup_view(preview: InvitationPreview, services: Services) -> LookupView:
    """What the invitee sees before responding."""
    invitation = preview.invitation
    return LookupView(
        invite_email=invitation.email,
        invited_by=NamedView(name=preview.inviter_name or services.app.name),
        app=NamedView(name=services.app.name),
        role=invitation.bundle.role,
        groups=[GroupNameView(key=key, name=name) for key, name in preview.groups],
        content=[
            OfferedContentView(
                content_type=object_.type, key=object_.key, title=object_.title, role=CONTENT_ROLES[object_.role]
            )
            for object_ in preview.objects
        ],
        first_name=invitation.first_name,
        last_name=invitation.last_name,
        message=invitation.message,
        expires_at=invitation.link.expires_at,
        account_exists=preview.account_exists,
        password_policy=PasswordPolicyView(minimum_length=services.account_rules.password_minimum),
        terms_url=services.app.terms_url,
        locale=preview.locale,
    )


def grants_view(applied: Applied) -> GrantsView:
    """The grants of an acceptance."""
    return GrantsView(
        role=applied.role,
        groups=list(applied.groups),
        content=[
            ContentGrantView(
                content_type=seen.object.type,
                key=seen.object.key,
                role=CONTENT_ROLES[ContentRole(min(seen.level, Level.MAINTAINER))],
                void=False,
            )
            for seen in applied.content
        ],
        kept=KeptGrantsView(role=applied.kept_role),
    )


def accepted_view(accepted: Accepted, *, show_user: bool) -> AcceptedView:
    """The response to an acceptance, with tokens if it started a session."""
    tokens = accepted.tokens
    return AcceptedView(
        user=user_view(accepted.user) if show_user else UNSET,
        grants=grants_view(accepted.applied),
        access_token=tokens.access_token if tokens else UNSET,
        refresh_token=tokens.refresh_token if tokens else UNSET,
        expires_in=tokens.expires_in if tokens else UNSET,
        redirect_url=accepted.invitation.redirect_url,
    )
