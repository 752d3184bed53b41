"""Login, logout, password reset and address verification."""

from contextlib import suppress

from starlette.requests import Request

from latchstring.api.user_views import SessionView, make_cookies, session_view
from latchstring.domain.errors import (
    InvalidCredentials,
    RefreshTokenInvalid,
    ResetTokenInvalid,
    TooManyRequests,
    Unauthenticated,
    VerificationTokenInvalid,
)
from latchstring.formats.field_types import Email, Secret, Token
from latchstring.formats.fields import Body
from latchstring.http.authentication import Caller, RouteAccess, clear_session_cookies, cookie_refresh_token
from latchstring.http.client_address import client_network
from latchstring.http.responses import Answer, empty_answer, json_answer
from latchstring.rest.locales import choose_locale
from latchstring.rest.route import operation
from latchstring.services import Services

TAG = "Sessions"


class LoginBody(Body):
    """The credentials of a user."""

    email: str
    password: Secret


class RefreshBody(Body):
    """The refresh token. Browsers send it as a cookie instead."""

    refresh_token: Token | None = None


class AddressBody(Body):
    """An e-mail address."""

    email: Email


class OptionalAddressBody(Body):
    """An e-mail address. Not needed if the caller is signed in."""

    email: Email | None = None


class ResetBody(Body):
    """The token of the link and the new password."""

    token: Token
    new_password: Secret


class VerifyBody(Body):
    """The token of the link."""

    token: Token


@operation(
    "POST",
    "/api/auth/login",
    "Sign in",
    tag=TAG,
    access=RouteAccess.PUBLIC,
    rate_limited=True,
    answers={200: SessionView},
    problems=[InvalidCredentials, TooManyRequests],
    sets_cookies=True,
)
async def login(request: Request, services: Services, body: LoginBody) -> Answer:
    """Signs in with e-mail and password. All failures, blocked accounts included, get the same response."""
    network = client_network(request.scope, services.limits)
    user, tokens = await services.users.sessions.login(body.email, body.password, network=network)
    return json_answer(session_view(user, tokens)).with_cookies(make_cookies(tokens, services))


@operation(
    "POST",
    "/api/auth/refresh",
    "Refresh a session",
    tag=TAG,
    access=RouteAccess.PUBLIC,
    rate_limited=True,
    body_optional=True,
    answers={200: SessionView},
    problems=[RefreshTokenInvalid, TooManyRequests, "csrf-token-invalid"],
    sets_cookies=True,
)
async def refresh(services: Services, request: Request, body: RefreshBody) -> Answer:
    """Each refresh token works once. If one is used again, it may have been stolen, and the whole session ends."""
    token = body.refresh_token or cookie_refresh_token(request.scope, services)
    if token is None:
        raise RefreshTokenInvalid("Send refreshToken, or the cookie refresh_token.")
    user, tokens = await services.users.sessions.refresh(token)
    return json_answer(session_view(user, tokens)).with_cookies(make_cookies(tokens, services))


@operation(
    "POST",
    "/api/auth/logout",
    "Sign out",
    tag=TAG,
    access=RouteAccess.LENIENT,
    body_optional=True,
    answers={204: None},
    problems=["csrf-token-invalid"],
    sets_cookies=True,
)
async def logout(services: Services, request: Request, caller: Caller, body: RefreshBody) -> Answer:
    """Ends the session of the access token or refresh token that is sent, and deletes the cookies."""
    token = body.refresh_token or cookie_refresh_token(request.scope, services)
    session_id = caller.principal.session_id if caller.principal else None
    if session_id is not None or token is not None:
        await services.users.sessions.logout(session_id=session_id, refresh_token=token)
    return empty_answer().with_cookies(clear_session_cookies(services.app))


@operation(
    "POST",
    "/api/auth/password/reset-request",
    "Request a password reset link",
    tag=TAG,
    access=RouteAccess.PUBLIC,
    rate_limited=True,
    answers={202: None},
    problems=[TooManyRequests],
)
async def request_password_reset(services: Services, request: Request, body: AddressBody) -> Answer:
    """The response and its duration are the same whether or not the address has an account."""
    locale = choose_locale(request.scope, services.app)
    with suppress(TooManyRequests):  # the answer does not reveal to anonymous callers that a limit is reached
        await services.users.recovery.request_password_reset(body.email, locale=locale)
    return empty_answer(202)


@operation(
    "POST",
    "/api/auth/password/reset",
    "Reset a password",
    tag=TAG,
    access=RouteAccess.PUBLIC,
    rate_limited=True,
    answers={204: None},
    problems=[ResetTokenInvalid, TooManyRequests],
)
async def reset_password(services: Services, body: ResetBody) -> Answer:
    """A link works once, for an hour. All sessions of the account end, and its address counts as verified."""
    await services.users.recovery.reset_password(body.token, body.new_password)
    return empty_answer()


@operation(
    "POST",
    "/api/auth/email/verify-request",
    "Request a verification link",
    tag=TAG,
    access=RouteAccess.LENIENT,
    rate_limited=True,
    body_optional=True,
    answers={202: None},
    problems=[Unauthenticated, TooManyRequests],
)
async def request_verification(
    services: Services, request: Request, caller: Caller, body: OptionalAddressBody
) -> Answer:
    """For the signed-in account, or for the address in the body. No mail is sent if the address is already verified."""
    locale = choose_locale(request.scope, services.app, caller.user)
    if caller.user is not None:
        await services.users.recovery.request_verification(caller.user, locale=locale)
    elif body.email is None:
        raise Unauthenticated("Sign in, or send an address.")
    else:
        with suppress(TooManyRequests):  # as above
            await services.users.recovery.request_verification_of(body.email, locale=locale)
    return empty_answer(202)


@operation(
    "POST",
    "/api/auth/email/verify",
    "Verify an address",
    tag=TAG,
    access=RouteAccess.PUBLIC,
    rate_limited=True,
    answers={204: None},
    problems=[VerificationTokenInvalid, TooManyRequests],
)
async def verify_email(services: Services, body: VerifyBody) -> Answer:
    """A link works once and is valid for three days."""
    await services.users.recovery.verify_email(body.token)
    return empty_answer()


routes = [login, refresh, logout, request_password_reset, reset_password, request_verification, verify_email]
