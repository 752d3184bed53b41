"""Responding to an invitation. The token of the link is the credential."""

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import field, structs
from starlette.requests import Request

from latchstring.api.invitation_views import AcceptedView, LookupView, accepted_view, lookup_view
from latchstring.domain.errors import (
    AccountBlocked,
    FieldProblem,
    InvalidFields,
    InvitationAccepted,
    InvitationDeclined,
    InvitationExpired,
    InvitationRevoked,
    InvitationSuperseded,
    InvitationTokenInvalid,
    InviterNotAllowed,
    LatchstringError,
    NotAllowed,
    SignInRequired,
    TermsRequired,
    WrongAccount,
)
from latchstring.formats.field_types import Email, Flag, Line, Locale, Message, Reference, Secret, Token
from latchstring.formats.fields import Body, Reading
from latchstring.http.authentication import Caller, RouteAccess, session_cookies
from latchstring.http.responses import Answer, View, empty_answer, json_answer
from latchstring.invitations.commands import AppPerson, Profile
from latchstring.invitations.results import Accepted
from latchstring.rest.locales import accepted_locales
from latchstring.rest.query import requested_locale
from latchstring.rest.route import operation
from latchstring.services import Services
from latchstring.users.sessions import SessionTokens

TAG = "Answering"
PROFILE_FIELDS = ("first_name", "last_name", "password", "accept_terms", "locale")
ENDED_PROBLEMS: Sequence[type[LatchstringError]] = (
    InvitationTokenInvalid,
    InvitationAccepted,
    InvitationDeclined,
    InvitationRevoked,
    InvitationSuperseded,
    InvitationExpired,
)


class LinkBody(Body):
    """The token of a link."""

    token: Token


class DeclineBody(Body):
    """The token of a link and an optional reason."""

    token: Token
    reason: Message | None = None


class PersonOfApp(Body):
    """A person signed in to the app. The app vouches for their address."""

    external_id: Reference
    email: Email
    email_verified: Flag
    first_name: Line | None = None
    last_name: Line | None = None
    locale: Locale | None = None


class AcceptBody(Body):
    """The token of a link, and a profile for a new account. `as`: the app accepts for its signed-in user."""

    token: Token
    first_name: Line | None = None
    last_name: Line | None = None
    password: Secret | None = None
    accept_terms: Flag | None = None
    locale: Locale | None = None
    as_: PersonOfApp | None = field(name="as", default=None)


class StateView(View):
    """The state of the invitation."""

    state: Literal["DECLINED"]


@operation(
    "POST",
    "/api/invitations/lookup",
    "Look up an invitation",
    tag=TAG,
    access=RouteAccess.LENIENT,
    answers={200: LookupView},
    problems=ENDED_PROBLEMS,
    rate_limited=True,
)
async def look_up(request: Request, services: Services, caller: Caller, body: LinkBody) -> Answer:
    """Returns the invitation behind a link. Does not change it. Lookups are counted separately."""
    locale = requested_locale(request.scope) or (caller.user.locale if caller.user else None)
    accepted = accepted_locales(request.scope)
    preview = await services.invitations.responses.look_up(body.token, locale=locale, otherwise=accepted)
    services.link_views.count(preview.invitation.id, preview.invitation.link.generation)
    return json_answer(lookup_view(preview, services))


@operation(
    "POST",
    "/api/invitations/accept",
    "Accept an invitation",
    tag=TAG,
    access=RouteAccess.LENIENT,
    answers={200: AcceptedView, 201: AcceptedView},
    problems=[
        *ENDED_PROBLEMS,
        WrongAccount,
        SignInRequired,
        AccountBlocked,
        InviterNotAllowed,
        TermsRequired,
        NotAllowed,
    ],
    rate_limited=True,
    sets_cookies=True,
)
async def accept_invitation(services: Services, caller: Caller, reading: Reading[AcceptBody]) -> Answer:
    """201 with a session if an account was created, 200 if the account existed.

    With `as` (permission `invitations:accept`), the app accepts for its signed-in user, without password and session.
    """
    token = reading.get("token")
    if _has_person(reading):
        return await _accept_as(services, caller, reading)
    if token is None:
        raise InvalidFields(reading.problems)
    accepted = await services.invitations.acceptance.accept(
        token, read_profile(reading), by=caller.user, problems=reading.problems
    )
    show_user = accepted.tokens is not None or caller.user is not None
    return _answer(services, accepted, show_user=show_user)


def read_profile(reading: Reading[Any]) -> Profile:
    """Read the valid profile fields of a body."""
    return Profile(
        first_name=reading.get("first_name"),
        last_name=reading.get("last_name"),
        password=reading.get("password"),
        accepts_terms=bool(reading.get("accept_terms")),
        locale=reading.get("locale"),
    )


def _has_person(reading: Reading[AcceptBody]) -> bool:
    return reading.get("as_") is not None or any(problem.pointer.startswith("/as") for problem in reading.problems)


async def _accept_as(services: Services, caller: Caller, reading: Reading[AcceptBody]) -> Answer:
    caller.require("invitations:accept")
    encoded_names = {info.name: info.encode_name for info in structs.fields(AcceptBody)}
    conflicting = [name for name in PROFILE_FIELDS if reading.get(name) is not None]
    detail = "With `as`, send the profile inside `as`, without a password."
    reading.problems.extend(FieldProblem(f"/{encoded_names[name]}", "not-with-as", detail) for name in conflicting)
    body = reading.finish()
    person = body.as_
    if person is None:
        raise InvalidFields([FieldProblem("/as", "required", "Name the person.")])
    accepted = await services.invitations.acceptance.accept_as(
        body.token,
        AppPerson(
            external_id=person.external_id,
            email_key=person.email.email_key,
            email_verified=person.email_verified,
            first_name=person.first_name,
            last_name=person.last_name,
            locale=person.locale,
        ),
    )
    return _answer(services, accepted, show_user=True)


def _answer(services: Services, accepted: Accepted, *, show_user: bool) -> Answer:
    is_created = accepted.is_new or accepted.tokens is not None
    answer = json_answer(accepted_view(accepted, show_user=show_user), 201 if is_created else 200)
    return answer.with_cookies(accepted_cookies(services, accepted.tokens))


def accepted_cookies(services: Services, tokens: SessionTokens | None) -> list[bytes]:
    """Make the cookies of the session that an acceptance started, if any."""
    if tokens is None:
        return []
    return session_cookies(
        tokens.access_token,
        tokens.refresh_token,
        expires_in=tokens.expires_in,
        refresh_lifetime=services.account_rules.refresh_token_lifetime,
        app=services.app,
    )


@operation(
    "POST",
    "/api/invitations/decline",
    "Decline an invitation",
    tag=TAG,
    access=RouteAccess.LENIENT,
    answers={200: StateView},
    problems=ENDED_PROBLEMS,
    rate_limited=True,
)
async def decline_invitation(services: Services, body: DeclineBody) -> Answer:
    """The inviter is notified, with the reason if there is one."""
    await services.invitations.responses.decline(body.token, reason=body.reason or None)
    return json_answer(StateView(state="DECLINED"))


@operation(
    "POST",
    "/api/invitations/request-new",
    "Request a new link",
    tag=TAG,
    access=RouteAccess.LENIENT,
    answers={202: None},
    rate_limited=True,
)
async def request_new_link(services: Services, body: LinkBody) -> Answer:
    """Always returns 202. The new link is only mailed to the invited address."""
    await services.invitations.responses.request_new(body.token)
    return empty_answer(202)


routes = (look_up, accept_invitation, decline_invitation, request_new_link)
