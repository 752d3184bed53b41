"""Who asks: the credential of a request, and the cookies a browser keeps it in.

A credential is `Authorization: Bearer <access token or API key>` or the cookie `access_token`; a header wins, even a
bad one. A missing credential is anonymous. A bad one is refused (401), except where the contract says it is ignored
(lookup, accept, decline, request-new, /auth/*): there the caller is anonymous.

A browser sends cookies by itself, also when another site told it to. A cookie therefore counts on unsafe methods only
beside the header `X-CSRF-Token` with the value of the cookie `csrf_token`, which other sites can neither read nor send.
Without it a strict route answers 403 `csrf-token-invalid`. A lenient route ignores the cookie, as it ignores every
credential that is not good there: the request is then worth what its link token is worth, no more, so nobody can make
a signed-in browser accept a revealed link. Signing somebody in by force ("login CSRF") fails before: those routes
take application/json only, which a foreign page cannot send without a preflight that only allowed origins pass.
"""

import hmac
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from starlette.types import Scope

from latchstring.domain.account import User
from latchstring.domain.errors import CredentialInvalid, CsrfTokenInvalid, TermsOutdated, Unauthenticated
from latchstring.domain.principal import Principal
from latchstring.domain.settings import App
from latchstring.http.scope import find_cookie, find_header, list_header
from latchstring.services import Services

ACCESS_COOKIE = "access_token"
REFRESH_COOKIE = "refresh_token"
CSRF_COOKIE = "csrf_token"
# The refresh token goes to every path, for pages know their visitor by it once the access token has run out. Of the API
# only /auth/refresh and /auth/logout read it; everywhere else there it counts as no credential at all.
REFRESH_PATH = "/"
API_KEY_PREFIX = "lsk_"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class RouteAccess(Enum):
    """What a route asks of the caller."""

    REQUIRED = "required"  # somebody known; anonymous is 401
    OPTIONAL = "optional"  # anybody, but a bad credential is 401
    LENIENT = "lenient"  # anybody; a bad credential is ignored
    PUBLIC = "public"  # nobody looks


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. principal is None for anonymous, user for API keys as well."""

    principal: Principal | None = None
    user: User | None = None

    def require(self, permission: str | None = None) -> Principal:
        """The principal. Raises Unauthenticated for anonymous, NotAllowed without the permission."""
        if self.principal is None:
            raise Unauthenticated("Sign in, or send an API key.")
        if permission is not None:
            self.principal.require(permission)
        return self.principal

    def can(self, permission: str) -> bool:
        return self.principal is not None and self.principal.can(permission)


ANONYMOUS = Caller()


async def identify(
    scope: Scope, services: Services, access: RouteAccess, *, terms_exempt: bool = False, rechecks_key: bool = False
) -> Caller:
    """The caller of an API request, as the route wants it. rechecks_key: see `operation`.

    Raises CredentialInvalid, CsrfTokenInvalid, TermsOutdated, and Unauthenticated where somebody known is required.
    """
    if access is RouteAccess.PUBLIC:
        return ANONYMOUS
    if access is RouteAccess.LENIENT:
        try:
            return await _read_credential(scope, services)
        except (CredentialInvalid, CsrfTokenInvalid):
            return ANONYMOUS
    caller = await _read_credential(scope, services, rechecks_key=rechecks_key)
    if caller.principal is None and access is RouteAccess.REQUIRED:
        caller.require()
    if not terms_exempt and caller.user is not None and has_outdated_terms(caller.user, services.app):
        raise TermsOutdated("The terms have changed. Accept them with PATCH /api/users/me first.")
    return caller


def has_outdated_terms(user: User, app: App) -> bool:
    """Whether the user has yet to accept the present version of the terms."""
    return not user.has_accepted(app.terms_version)


async def identify_page_visitor(scope: Scope, services: Services) -> Caller:
    """The caller of a page: by cookie only, anonymous when none is good. Forms carry a token of their own.

    An access token lives for minutes, a form stays open for longer. The refresh token of the same session says as well
    who it is; it is looked up, not changed for the next, for two tabs opened at once are no thief.
    """
    accounts = services.users
    for cookie, find in (
        (ACCESS_COOKIE, accounts.sessions.principal_of_access_token),
        (REFRESH_COOKIE, accounts.sessions.principal_of_refresh_token),
    ):
        token = find_cookie(scope, cookie.encode())
        if not token:
            continue
        with suppress(CredentialInvalid):
            principal, user = await find(token)
            return Caller(principal, user)
    return ANONYMOUS


async def _read_credential(scope: Scope, services: Services, *, rechecks_key: bool = False) -> Caller:
    lines = list_header(scope, b"authorization")
    if lines:
        return await _caller_of_bearer(_bearer(lines), services, rechecks_key=rechecks_key)
    token = find_cookie(scope, ACCESS_COOKIE.encode())
    if not token:
        return ANONYMOUS
    principal, user = await services.users.sessions.principal_of_access_token(token)
    if scope["method"] not in SAFE_METHODS:
        check_csrf_header(scope, services.app)
    return Caller(principal, user)


def _bearer(lines: list[bytes]) -> str:
    scheme, _, credential = lines[0].partition(b" ")
    credential = credential.strip()
    if len(lines) > 1 or scheme.lower() != b"bearer" or not credential or not credential.isascii():
        raise CredentialInvalid("Send one header: Authorization: Bearer, then an access token or API key.")
    return credential.decode("ascii")


async def _caller_of_bearer(credential: str, services: Services, *, rechecks_key: bool) -> Caller:
    if credential.startswith(API_KEY_PREFIX):
        if rechecks_key:
            return Caller(await services.users.sessions.remembered_principal_of_api_key(credential))
        return Caller(await services.users.sessions.principal_of_api_key(credential))
    principal, user = await services.users.sessions.principal_of_access_token(credential)
    return Caller(principal, user)


def check_csrf_header(scope: Scope, app: App) -> None:
    """Raise CsrfTokenInvalid unless the page that sent this request can read our cookies, or is an allowed origin's."""
    cookie = find_cookie(scope, CSRF_COOKIE.encode())
    header = find_header(scope, b"x-csrf-token")
    if not cookie or not header or not hmac.compare_digest(cookie.encode(), header):
        raise CsrfTokenInvalid("Send the value of the cookie csrf_token as the header X-CSRF-Token.")
    if is_foreign(scope, app):
        raise CsrfTokenInvalid("This origin is not among the allowed ones.")


def is_foreign(scope: Scope, app: App) -> bool:
    """Whether the browser says that a page of another, not allowed origin sent this request.

    A sibling domain can plant a csrf_token of its own; it cannot forge what the browser says of it.
    """
    site = find_header(scope, b"sec-fetch-site")
    if site in (None, b"same-origin", b"none"):
        return False
    origin = find_header(scope, b"origin") or b""
    return origin.decode("latin-1") not in app.allowed_origins


def cookie_refresh_token(scope: Scope, services: Services) -> str | None:
    """The refresh token of a browser. Raises CsrfTokenInvalid when the request may be another site's."""
    token = find_cookie(scope, REFRESH_COOKIE.encode())
    if token:
        check_csrf_header(scope, services.app)
    return token or None


def session_cookies(
    access_token: str, refresh_token: str, *, expires_in: int, refresh_lifetime: timedelta, app: App
) -> list[bytes]:
    """The three cookies of a session, for `Answer.with_cookies`. expires_in: seconds the access token lives."""
    secure = app.public_url.startswith("https:")
    longest = int(refresh_lifetime.total_seconds())
    return [
        make_cookie(ACCESS_COOKIE, access_token, max_age=expires_in, secure=secure),
        make_cookie(REFRESH_COOKIE, refresh_token, max_age=longest, secure=secure, path=REFRESH_PATH),
        make_cookie(CSRF_COOKIE, new_csrf_token(), max_age=longest, secure=secure, http_only=False),
    ]


def clear_session_cookies(app: App) -> list[bytes]:
    """Forget the session in the browser."""
    secure = app.public_url.startswith("https:")
    return [
        make_cookie(ACCESS_COOKIE, "", max_age=0, secure=secure),
        make_cookie(REFRESH_COOKIE, "", max_age=0, secure=secure, path=REFRESH_PATH),
        make_cookie(CSRF_COOKIE, "", max_age=0, secure=secure, http_only=False),
    ]


def new_csrf_token() -> str:
    """192 bits nobody can guess."""
    return secrets.token_urlsafe(24)


def make_cookie(name: str, value: str, *, max_age: int, secure: bool, path: str = "/", http_only: bool = True) -> bytes:
    """One `Set-Cookie` line. Lax: a link from a mail opens signed in, a foreign form does not."""
    parts: Iterable[str] = (
        f"{name}={value}",
        f"Max-Age={max_age}",
        f"Path={path}",
        "SameSite=Lax",
        *(("HttpOnly",) if http_only else ()),
        *(("Secure",) if secure else ()),
    )
    return "; ".join(parts).encode("ascii")
