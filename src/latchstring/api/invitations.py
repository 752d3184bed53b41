"""Invitations, for inviters."""

from typing import Literal
from uuid import UUID

from latchstring.api.invitation_views import (
    EventView,
    InvitationView,
    LinkUrlView,
    event_view,
    invitation_view,
)
from latchstring.api.pagination import answer_page, parse_cursor
from latchstring.domain.errors import (
    AlreadyInvited,
    AlreadyMember,
    ContentNotFound,
    GrantNotAllowed,
    GroupNotFound,
    InvitationNotFound,
    InvitationNotPending,
    MailDisabled,
    TooManyRequests,
    Unreadable,
)
from latchstring.domain.idempotency import StoredAnswer
from latchstring.domain.ids import NIL_ID
from latchstring.domain.invitation import InvitationDetails, State
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.domain.pagination import SortOrder
from latchstring.formats.field_types import Email, Id, Instant, Key, Line
from latchstring.formats.fields import Body, Reading
from latchstring.formats.invitation_input import NewInvitation, draft_of
from latchstring.http.authentication import Caller
from latchstring.http.responses import Answer, empty_answer, json_answer, stored_answer
from latchstring.rest.idempotency import Idempotency
from latchstring.rest.pagination import PageQuery, PageView
from latchstring.rest.route import operation
from latchstring.services import Services

TAG = "Invitations"


class Nothing(Body):
    """An empty object, or no body at all."""


class InvitationQuery(PageQuery):
    """Filters and sort order of invitations."""

    state: Literal["PENDING", "ACCEPTED", "DECLINED", "REVOKED", "EXPIRED"] | None = None
    email: Email | None = None
    role: Key | None = None
    group: Key | None = None
    content_type: Key | None = None
    key: Key | None = None
    invited_by: Id | None = None
    delivery: Literal["QUEUED", "SENT", "DEFERRED", "BOUNCED", "FAILED", "SUPPRESSED"] | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None
    expires_before: Instant | None = None
    q: Line | None = None
    sort: Literal[
        "createdAt", "-createdAt", "expiresAt", "-expiresAt", "acceptedAt", "-acceptedAt", "inviteEmail", "-inviteEmail"
    ] = "-createdAt"


def _present(services: Services, details: InvitationDetails, status: int) -> StoredAnswer:
    view = invitation_view(details, services.invitations.links, now=services.clock())
    return stored_answer(view, status, location=f"/api/invitations/{view.id}" if status == 201 else None)  # noqa: PLR2004


@operation(
    "POST",
    "/api/invitations",
    "Create an invitation",
    tag=TAG,
    permission="invitations:write",
    rechecks_key=True,
    answers={201: InvitationView},
    problems=[
        GrantNotAllowed,
        GroupNotFound,
        ContentNotFound,
        AlreadyInvited,
        AlreadyMember,
        MailDisabled,
        TooManyRequests,
    ],
    sets_location=True,
)
async def create_invitation(
    services: Services, caller: Caller, reading: Reading[NewInvitation], idempotency: Idempotency
) -> Answer:
    """The invitation and its mail are stored before the response is sent. The mail is sent afterwards."""
    by = caller.require()
    draft = draft_of(reading)
    return await idempotency.run(
        lambda once: services.invitations.create(draft, by=by, once=once, problems=tuple(reading.problems)),
        lambda details: _present(services, details, 201),
    )


@operation("GET", "/api/invitations", "List invitations", tag=TAG, answers={200: PageView[InvitationView]})
async def list_invitations(services: Services, caller: Caller, query: InvitationQuery) -> Answer:
    """Callers without `invitations:read` see the invitations they sent."""
    by = caller.require()
    within = f"invitations:{query.sort}"
    cursor, order = parse_cursor(services, within, query.cursor), SortOrder.parse(query.sort)
    filter_ = await _filter(services, query)
    page = await services.invitations.list(filter_, by=by, order=order, cursor=cursor, limit=query.limit)
    now, links = services.clock(), services.invitations.links
    return answer_page(services, within, page, lambda details: invitation_view(details, links, now=now))


async def _group_ids(services: Services, key: str | None) -> list[UUID]:
    if key is None:
        return []
    groups_by_key = await services.groups.find_by_keys([key])
    return [groups_by_key[key].id if key in groups_by_key else NIL_ID]


async def _filter(services: Services, query: InvitationQuery) -> InvitationFilter:
    if query.key is not None and query.content_type is None:
        raise Unreadable("key: send contentType as well.", code="invalid-query")
    return InvitationFilter(
        states=[State[query.state]] if query.state else (),
        email_key=query.email.email_key if query.email else None,
        roles=[query.role] if query.role is not None else (),
        group_ids=await _group_ids(services, query.group),
        content_type=query.content_type,
        content_key=query.key,
        inviter_ids=[query.invited_by] if query.invited_by else (),
        deliveries=[query.delivery] if query.delivery else (),
        created_after=query.created_after,
        created_before=query.created_before,
        expires_before=query.expires_before,
        q=query.q,
    )


@operation(
    "GET",
    "/api/invitations/{invitation_id:uuid}",
    "Show an invitation",
    tag=TAG,
    answers={200: InvitationView},
    problems=[InvitationNotFound],
)
async def get_invitation(services: Services, caller: Caller, invitation_id: UUID) -> Answer:
    """Ended invitations can be read until their retention time is over."""
    details = await services.invitations.get(invitation_id, by=caller.require())
    return json_answer(invitation_view(details, services.invitations.links, now=services.clock()))


@operation(
    "GET",
    "/api/invitations/{invitation_id:uuid}/events",
    "List the events of an invitation",
    tag=TAG,
    answers={200: PageView[EventView]},
    problems=[InvitationNotFound],
)
async def list_invitation_events(services: Services, caller: Caller, invitation_id: UUID, query: PageQuery) -> Answer:
    """Oldest first."""
    within = f"events:{invitation_id}"
    cursor = parse_cursor(services, within, query.cursor)
    page = await services.invitations.events(invitation_id, by=caller.require(), cursor=cursor, limit=query.limit)
    return answer_page(services, within, page, event_view)


@operation(
    "POST",
    "/api/invitations/{invitation_id:uuid}/resend",
    "Resend an invitation",
    tag=TAG,
    answers={202: InvitationView},
    problems=[InvitationNotFound, InvitationNotPending, GrantNotAllowed, AlreadyInvited, MailDisabled, TooManyRequests],
    body_optional=True,
)
async def resend_invitation(
    services: Services,
    caller: Caller,
    invitation_id: UUID,
    body: Nothing,  # noqa: ARG001  # declared, so that unknown fields are refused
    idempotency: Idempotency,
) -> Answer:
    """Mails a new link with the original lifetime. Earlier links stop working, and the caller becomes the sponsor."""
    by = caller.require()
    return await idempotency.run(
        lambda once: services.invitations.resend(invitation_id, by=by, once=once),
        lambda details: _present(services, details, 202),
    )


@operation(
    "POST",
    "/api/invitations/{invitation_id:uuid}/link",
    "Reveal a link",
    tag=TAG,
    permission="invitations:reveal",
    answers={200: LinkUrlView},
    problems=[InvitationNotFound, InvitationNotPending, GrantNotAllowed],
    body_optional=True,
)
async def reveal_link(
    services: Services,
    caller: Caller,
    invitation_id: UUID,
    body: Nothing,  # noqa: ARG001  # declared, so that unknown fields are refused
) -> Answer:
    """Returns a link to hand over by other means. If the address has an account, the invitee must sign in to accept."""
    url = await services.invitations.reveal(invitation_id, by=caller.require())
    return json_answer(LinkUrlView(url=url))


@operation(
    "DELETE",
    "/api/invitations/{invitation_id:uuid}",
    "Revoke an invitation",
    tag=TAG,
    answers={204: None},
    problems=[InvitationNotFound, InvitationNotPending],
)
async def revoke_invitation(services: Services, caller: Caller, invitation_id: UUID) -> Answer:
    """Its links stop working at once. It can still be read, as REVOKED."""
    await services.invitations.revoke(invitation_id, by=caller.require())
    return empty_answer()


routes = (
    create_invitation,
    list_invitations,
    get_invitation,
    list_invitation_events,
    resend_invitation,
    reveal_link,
    revoke_invitation,
)
