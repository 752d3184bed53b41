"""Authentication: the credential of a request, and the session cookies of browsers.

A credential is `Authorization: Bearer <access token or API key>` or the cookie `access_token`. The header takes
precedence, even if it is invalid. Without a credential the caller is anonymous. An invalid credential is refused (401),
except on lenient routes (lookup, accept, decline, request-new, some of /auth/*), where the caller is anonymous.

A browser also sends cookies with requests that another site causes (CSRF). On unsafe methods a cookie is therefore
accepted only with the header `X-CSRF-Token` and the value of the cookie `csrf_token`, which other sites can neither
read nor send. Without it a strict route answers 403 `csrf-token-invalid`, and a lenient route ignores the cookie, like
any invalid credential: the request then has only the rights of its link token, so that no other site can make a
signed-in browser accept an invitation. Login CSRF is prevented because the routes for signing in require
application/json, which another site cannot send without a preflight, and only allowed origins pass that.
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
# The refresh token is sent to every path, because pages authenticate with it after the access token has expired. In the
# API only /auth/refresh and /auth/logout read it; for all other routes it is not a credential.
REFRESH_PATH = "/"
API_KEY_PREFIX = "lsk_"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class RouteAccess(Enum):
    """Which credentials a route requires."""

    REQUIRED = "required"  # anonymous callers get 401
    OPTIONAL = "optional"  # anonymous callers are allowed, an invalid credential is 401
    LENIENT = "lenient"  # anonymous callers are allowed, an invalid credential is ignored
    PUBLIC = "public"  # credentials are not read


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a request. principal: None if anonymous. user: None if anonymous, and for API keys."""

    principal: Principal | None = None
    user: User | None = None

    def require(self, permission: str | None = None) -> Principal:
        """Return the principal. Raises Unauthenticated if anonymous, NotAllowed without the permission."""
        if self.principal is None:
            raise Unauthenticated("Sign in, or send an API key.")
        if permission is not None:
            self.principal.require(permission)
        return self.principal

    def can(self, permission: str) -> bool:
        return self.principal is not None and self.principal.can(permission)


ANONYMOUS = Caller()


async def authenticate(
    scope: Scope, services: Services, access: RouteAccess, *, terms_exempt: bool = False, rechecks_key: bool = False
) -> Caller:
    """Authenticate the caller of an API request. rechecks_key: see `operation`.

    Raises CredentialInvalid, CsrfTokenInvalid, TermsOutdated, and Unauthenticated if a credential is required.
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
    if not terms_exempt:
        require_current_terms(caller, services.app)
    return caller


def has_outdated_terms(user: User, app: App) -> bool:
    """Whether the user has not accepted the current version of the terms."""
    return not user.has_accepted(app.terms_version)


def require_current_terms(caller: Caller, app: App) -> None:
    """Raise TermsOutdated if the caller is a user who has not accepted the current version of the terms."""
    if caller.user is not None and has_outdated_terms(caller.user, app):
        raise TermsOutdated("The terms have changed. Accept them with PATCH /api/users/me first.")


async def authenticate_page(scope: Scope, services: Services) -> Caller:
    """Authenticate the caller of a page by cookie. Anonymous without a valid one. Forms have their own CSRF token.

    An access token expires after minutes, while a form may stay open for longer, so the refresh token of the session
    is accepted as well. It is not rotated, because two tabs opened at the same time would look like a stolen token.
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
        return await _authenticate_bearer(_parse_bearer(lines), services, rechecks_key=rechecks_key)
    token = find_cookie(scope, ACCESS_COOKIE.encode())
    if not token:
        return ANONYMOUS
    principal, user = await services.users.sessions.principal_of_access_token(token)
    if scope["method"] not in SAFE_METHODS:
        check_csrf_header(scope, services.app)
    return Caller(principal, user)


def _parse_bearer(lines: list[bytes]) -> str:
    scheme, _, credential = lines[0].partition(b" ")
    credential = credential.strip()
    if len(lines) > 1 or scheme.lower() != b"bearer" or not credential or not credential.isascii():
        raise CredentialInvalid("Send one header: Authorization: Bearer, then an access token or API key.")
    return credential.decode("ascii")


async def _authenticate_bearer(credential: str, services: Services, *, rechecks_key: bool) -> Caller:
    if credential.startswith(API_KEY_PREFIX):
        if rechecks_key:
            return Caller(await services.users.sessions.cached_principal_of_api_key(credential))
        return Caller(await services.users.sessions.principal_of_api_key(credential))
    principal, user = await services.users.sessions.principal_of_access_token(credential)
    return Caller(principal, user)


def check_csrf_header(scope: Scope, app: App) -> None:
    """Raise CsrfTokenInvalid unless the request has the CSRF token and comes from our own or an allowed origin."""
    cookie = find_cookie(scope, CSRF_COOKIE.encode())
    header = find_header(scope, b"x-csrf-token")
    # In constant time, so that the token cannot be guessed byte by byte.
    if not cookie or not header or not hmac.compare_digest(cookie.encode(), header):
        raise CsrfTokenInvalid("Send the value of the cookie csrf_token as the header X-CSRF-Token.")
    if is_foreign(scope, app):
        raise CsrfTokenInvalid("This origin is not among the allowed ones.")


def is_foreign(scope: Scope, app: App) -> bool:
    """Whether the browser reports that a page of another origin, which is not allowed, sent this request.

    A page on a sibling domain can set a csrf_token cookie of its own, but it cannot forge Sec-Fetch-Site.
    """
    site = find_header(scope, b"sec-fetch-site")
    if site in (None, b"same-origin", b"none"):
        return False
    origin = find_header(scope, b"origin") or b""
    return origin.decode("latin-1") not in app.allowed_origins


def cookie_refresh_token(scope: Scope, services: Services) -> str | None:
    """Return the refresh token of the cookie, if any. Raises CsrfTokenInvalid without the CSRF token."""
    token = find_cookie(scope, REFRESH_COOKIE.encode())
    if token:
        check_csrf_header(scope, services.app)
    return token or None


def session_cookies(
    access_token: str, refresh_token: str, *, expires_in: int, refresh_lifetime: timedelta, app: App
) -> list[bytes]:
    """Make the three cookies of a session, for `Answer.with_cookies`. expires_in: of the access token, in seconds."""
    secure = app.is_https
    refresh_max_age = int(refresh_lifetime.total_seconds())
    return [
        make_cookie(ACCESS_COOKIE, access_token, max_age=expires_in, secure=secure),
        make_cookie(REFRESH_COOKIE, refresh_token, max_age=refresh_max_age, secure=secure, path=REFRESH_PATH),
        make_cookie(CSRF_COOKIE, new_csrf_token(), max_age=refresh_max_age, secure=secure, http_only=False),
    ]


def clear_session_cookies(app: App) -> list[bytes]:
    """Make cookies that delete the session from the browser."""
    secure = app.is_https
    return [
        make_cookie(ACCESS_COOKIE, "", max_age=0, secure=secure),
        make_cookie(REFRESH_COOKIE, "", max_age=0, secure=secure, path=REFRESH_PATH),
        make_cookie(CSRF_COOKIE, "", max_age=0, secure=secure, http_only=False),
    ]


def new_csrf_token() -> str:
    """Create a token of 192 random bits."""
    return secrets.token_urlsafe(24)


def make_cookie(name: str, value: str, *, max_age: int, secure: bool, path: str = "/", http_only: bool = True) -> bytes:
    """Make a `Set-Cookie` value.

    SameSite=Lax: cookies are sent when a user follows a link from a mail, but not with a form of another site.
    """
    attributes: Iterable[str] = (
        f"{name}={value}",
        f"Max-Age={max_age}",
        f"Path={path}",
        "SameSite=Lax",
        *(("HttpOnly",) if http_only else ()),
        *(("Secure",) if secure else ()),
    )
    return "; ".join(attributes).encode("ascii")
