"""Invitations to one content object: sent by its maintainers, accepted by invitees.

One path serves both: a body with `email` invites, a body with `token` accepts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import UNSET, UnsetType, to_builtins
from msgspec.structs import fields
from starlette.requests import Request

from latchstring.api.content_views import AccessView, ObjectAccessView, SuccessView, access_view, content_view
from latchstring.api.invitation_views import GrantsView, grants_view, lookup_view
from latchstring.api.respond import ENDED_PROBLEMS, accepted_cookies, read_profile
from latchstring.api.user_views import UserView, user_view
from latchstring.content.service import AccessDetails, subject_of
from latchstring.domain.access import Level, PendingInvitation
from latchstring.domain.draft import Draft
from latchstring.domain.errors import (
    AccountBlocked,
    AlreadyInvited,
    AlreadyMember,
    ContentNotFound,
    FieldProblem,
    InvalidFields,
    InvitationMismatch,
    InvitationNotFound,
    InviterNotAllowed,
    LatchstringError,
    MailDisabled,
    NotAllowed,
    SignInRequired,
    TermsOutdated,
    TermsRequired,
    TooManyRequests,
    Unauthenticated,
    Unreadable,
    UserNotFound,
    WrongAccount,
)
from latchstring.domain.grant import ContentRole
from latchstring.domain.invitation import InvitationDetails
from latchstring.formats.field_types import Duration, Email, Flag, Key, Line, Locale, Message, Secret, Token
from latchstring.formats.fields import Body, Reading
from latchstring.http.authentication import Caller, RouteAccess, require_current_terms
from latchstring.http.client_address import client_network
from latchstring.http.responses import Answer, View, json_answer, stored_answer
from latchstring.invitations.respond import ResolvedLink, has_account, list_offered_objects
from latchstring.invitations.results import Accepted, OfferedObject
from latchstring.rest.idempotency import Idempotency, read_key
from latchstring.rest.query import requested_locale
from latchstring.rest.route import operation
from latchstring.services import Services

TAG = "Content invitations"
INVITING = frozenset({"email", "role", "message", "locale", "expires_in"})
ACCEPTING = frozenset(
    {"token", "content_type", "content_key", "first_name", "last_name", "password", "accept_terms", "locale"}
)
PROFILE = ("first_name", "last_name", "password", "accept_terms")
ACCEPT_PROBLEMS: tuple[type[LatchstringError], ...] = (
    *ENDED_PROBLEMS,
    ContentNotFound,
    InvitationMismatch,
    UserNotFound,
    WrongAccount,
    SignInRequired,
    AccountBlocked,
    InviterNotAllowed,
    TermsRequired,
)


class AcceptContentBody(Body):
    """The token of a link, the object it should be for, and a profile if the invitee has no account."""

    token: Token
    content_type: Key | None = None
    content_key: Key | None = None
    first_name: Line | None = None
    last_name: Line | None = None
    password: Secret | None = None
    accept_terms: Flag | None = None
    locale: Locale | None = None


class ContentInvitationBody(Body):
    """Invites with `email` and `role`, or accepts with `token`. Send exactly one of the two."""

    email: Email | None = None
    role: Literal["VIEWER", "EDITOR", "MAINTAINER"] | None = None
    message: Message | None = None
    expires_in: Duration | None = None
    token: Token | None = None
    content_type: Key | None = None
    content_key: Key | None = None
    first_name: Line | None = None
    last_name: Line | None = None
    password: Secret | None = None
    accept_terms: Flag | None = None
    locale: Locale | None = None


class AcceptedContentView(View):
    """The object of the accepted invitation. data: only if signed in as the invitee. Tokens: only for a new account."""

    content_type: str
    key: str
    title: str
    url: str | None
    created_at: datetime
    updated_at: datetime
    access: ObjectAccessView
    data: Mapping[str, Any] | UnsetType | None = UNSET
    grants: GrantsView | UnsetType = UNSET
    user: UserView | UnsetType = UNSET
    access_token: str | UnsetType = UNSET
    refresh_token: str | UnsetType = UNSET
    expires_in: int | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class _RequestedTarget:
    """The object that the path names. key: None if the link decides."""

    type: str
    key: str | None = None


@operation(
    "POST",
    "/api/content/{content_type}/invitations/{key}",
    "Invite to an object, or accept an invitation",
    tag=TAG,
    access=RouteAccess.LENIENT,
    answers={200: (AccessView, AcceptedContentView), 201: AcceptedContentView},
    problems=[
        *ACCEPT_PROBLEMS, Unauthenticated, NotAllowed, TermsOutdated, AlreadyInvited, AlreadyMember, MailDisabled,
        TooManyRequests,
    ],
    sets_cookies=True,
)  # fmt: skip
async def post_content_invitation(  # noqa: PLR0917  # filled by name
    request: Request,
    services: Services,
    caller: Caller,
    reading: Reading[ContentInvitationBody],
    idempotency: Idempotency,
    content_type: str,
    key: str,
) -> Answer:
    """Inviting requires MAINTAINER and returns the access details. Accepting returns the object."""
    if _is_sent(reading, "token"):
        _refuse_mixture(reading, ACCEPTING)
        read_key(request.scope, is_supported=False)
        services.check_client(client_network(request.scope, services.limits))
        return await _accept(request, services, caller, reading, _RequestedTarget(content_type, key))
    return await _invite(services, caller, reading, idempotency, _RequestedTarget(content_type, key))


@operation(
    "POST",
    "/api/content/{content_type}/invitations/accept",
    "Accept an invitation to content",
    tag=TAG,
    access=RouteAccess.LENIENT,
    answers={200: AcceptedContentView, 201: AcceptedContentView},
    problems=ACCEPT_PROBLEMS,
    rate_limited=True,
    sets_cookies=True,
)
async def accept_content_invitation(
    request: Request,
    services: Services,
    caller: Caller,
    reading: Reading[AcceptContentBody],
    content_type: str,
) -> Answer:
    """Accepts the whole invitation with all its grants."""
    return await _accept(request, services, caller, reading, _RequestedTarget(content_type))


@operation(
    "DELETE",
    "/api/content/invitations/{invitation_id:uuid}",
    "Withdraw an invitation to content",
    tag=TAG,
    answers={200: SuccessView},
    problems=[InvitationNotFound],
)
async def delete_content_invitation(services: Services, caller: Caller, invitation_id: UUID) -> Answer:
    """Ends its grants on objects that the caller maintains. An invitation without other grants is revoked."""
    await services.invitations.withdraw(invitation_id, by=caller.require())
    return json_answer(SuccessView(success=True))


# ---- invite or accept ------------------------------------------------------------------------------------------------


def _outside(name: str) -> str:
    return next(info.encode_name for info in fields(ContentInvitationBody) if info.name == name)


def _is_sent(reading: Reading[Any], name: str) -> bool:
    """Whether a field was sent with a value, valid or not. Null counts as missing."""
    pointer = f"/{_outside(name)}"
    return reading.get(name) is not None or any(problem.pointer == pointer for problem in reading.problems)


def _refuse_mixture(reading: Reading[ContentInvitationBody], allowed: frozenset[str]) -> None:
    """Raise Unreadable for both or neither of the two, and for fields of the other one."""
    if _is_sent(reading, "email") == _is_sent(reading, "token"):
        raise Unreadable("Send either `email` to invite somebody, or `token` to accept.")
    for name in sorted((INVITING | ACCEPTING) - allowed):
        if _is_sent(reading, name):
            raise Unreadable(f"The field {_outside(name)} is not allowed here.", code="unknown-field")


# ---- inviting --------------------------------------------------------------------------------------------------------


async def _invite(
    services: Services,
    caller: Caller,
    reading: Reading[ContentInvitationBody],
    idempotency: Idempotency,
    target: _RequestedTarget,
) -> Answer:
    _refuse_mixture(reading, INVITING)
    services.content.get_type(target.type)
    require_current_terms(caller, services.app)
    subject = subject_of(caller.principal)
    seen = await services.content.look_up(subject, target.type, target.key or "", Level.MAINTAINER)
    by = caller.require()
    draft = _draft(reading, seen.object.type, seen.object.key)
    problems = list(reading.problems)
    if not _is_sent(reading, "role"):
        problems.append(FieldProblem("/role", "required", "Choose VIEWER, EDITOR or MAINTAINER."))
    before = await services.content.get_access(seen.object)
    return await idempotency.run(
        lambda once: services.invitations.create(draft, by=by, once=once, problems=tuple(problems), as_maintainer=True),
        lambda details: stored_answer(access_view(_with_invitation(services, before, details)), 200),
    )


def _with_invitation(services: Services, before: AccessDetails, details: InvitationDetails) -> AccessDetails:
    """The access details with the new invitation. Built before it is stored, because the answer is stored with it."""
    invitation = details.invitation
    (grant,) = invitation.bundle.content
    pending = PendingInvitation(
        invitation.id,
        invitation.email,
        grant.role or ContentRole.VIEWER,
        invitation.link.starts_at,
        invitation.link.expires_at,
        details.delivery if services.content_rules.allow_unregistered_users else None,
    )
    return replace(before, invitations=(*before.invitations, pending))


def _draft(reading: Reading[ContentInvitationBody], type_: str, key: str) -> Draft:
    email, role = reading.get("email"), reading.get("role")
    return Draft(
        email=email.email if email else "",
        email_key=email.email_key if email else "",
        content=((type_, key, role),) if role else (),
        message=reading.get("message"),
        locale=reading.get("locale"),
        expires_in=reading.get("expires_in"),
    )


# ---- accepting -------------------------------------------------------------------------------------------------------


async def _accept(
    request: Request, services: Services, caller: Caller, reading: Reading[Any], target: _RequestedTarget
) -> Answer:
    declared = services.content.get_type(target.type)
    token = reading.get("token")
    if token is None:
        raise InvalidFields(reading.problems)
    link = await services.invitations.responses.get_open_link(token)
    object_ = _match(services, link, reading, _RequestedTarget(declared.key, target.key))
    if not _is_somebody_else(caller, link) and not has_account(link):
        _ask_for_profile(request, services, link, reading)
    accepted = await services.invitations.acceptance.accept(
        token, read_profile(reading), by=caller.user, problems=reading.problems
    )
    return _answer(services, caller, accepted, object_)


def _match(services: Services, link: ResolvedLink, reading: Reading[Any], target: _RequestedTarget) -> OfferedObject:
    """The requested object. Raises InvitationMismatch if the link is for others, ContentNotFound if its grant ended."""
    requested_type, requested_key = reading.get("content_type"), reading.get("content_key")
    keys = {key for key in (target.key, requested_key) if key is not None}
    grants = [
        grant
        for grant in link.invitation.bundle.content
        if grant.target_type == target.type and keys <= {grant.target_key}
    ]
    if not grants or (requested_type is not None and services.content.find_type(requested_type) != target.type):
        raise InvitationMismatch("This link is for another object. Use contentType and contentKey of the link.")
    live = {offered.id: offered for offered in list_offered_objects(link)}
    object_ = next((live[grant.target_id] for grant in grants if grant.target_id in live), None)
    if object_ is None:
        raise ContentNotFound("The object of this link no longer exists.")
    return object_


def _is_somebody_else(caller: Caller, link: ResolvedLink) -> bool:
    return caller.user is not None and caller.user.email_key != link.invitation.email_key


def _ask_for_profile(request: Request, services: Services, link: ResolvedLink, reading: Reading[Any]) -> None:
    """Raise UserNotFound with the data for a form, if the address has no account and no profile was sent."""
    if any(_is_sent(reading, name) for name in PROFILE):
        return
    preview = services.invitations.responses.preview(link, locale=requested_locale(request.scope))
    detail = "The invited address has no account. Send a profile to create one."
    raise UserNotFound(detail, extra={"lookup": to_builtins(lookup_view(preview, services))})


def _answer(services: Services, caller: Caller, accepted: Accepted, offered: OfferedObject) -> Answer:
    """The answer with the object as the transaction that accepted saw it."""
    seen = next((applied for applied in accepted.applied.content if applied.object.id == offered.id), None)
    if seen is None:  # it was deleted in between; the other grants were given
        raise ContentNotFound("The object of this link no longer exists.")
    object_view, tokens = content_view(seen), accepted.tokens
    view = AcceptedContentView(
        content_type=object_view.content_type,
        key=object_view.key,
        title=object_view.title,
        url=object_view.url,
        data=object_view.data if caller.user is not None else UNSET,
        created_at=object_view.created_at,
        updated_at=object_view.updated_at,
        access=object_view.access,
        grants=grants_view(accepted.applied) if tokens else UNSET,
        user=user_view(accepted.user) if tokens else UNSET,
        access_token=tokens.access_token if tokens else UNSET,
        refresh_token=tokens.refresh_token if tokens else UNSET,
        expires_in=tokens.expires_in if tokens else UNSET,
    )
    return json_answer(view, 201 if tokens else 200).with_cookies(accepted_cookies(services, tokens))


routes = (accept_content_invitation, post_content_invitation, delete_content_invitation)
