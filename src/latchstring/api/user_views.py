"""Views of users and sessions."""

from datetime import datetime
from uuid import UUID

import msgspec

from latchstring.domain.account import User
from latchstring.domain.settings import App, Roles
from latchstring.http.authentication import session_cookies
from latchstring.http.responses import View
from latchstring.services import Services
from latchstring.users.sessions import SessionTokens


class UserView(View):
    """A user account."""

    id: UUID
    email: str
    email_verified: bool
    external_id: str | None
    first_name: str
    last_name: str
    role: str | None
    groups: list[str]
    locale: str | None
    blocked: bool
    created_at: datetime
    last_login_at: datetime | None


class MeView(UserView):
    """The signed-in user, with permissions and whether they accepted the current terms."""

    permissions: list[str]
    terms_accepted: bool
    terms_version: str | None
    terms_accepted_at: datetime | None


class SessionView(View):
    """A new session. expiresIn: lifetime of the access token in seconds."""

    user: UserView
    access_token: str
    refresh_token: str
    expires_in: int


def user_view(user: User) -> UserView:
    """Make the view of an account."""
    return UserView(
        id=user.id,
        email=user.email,
        email_verified=user.email_verified,
        external_id=user.external_id,
        first_name=user.first_name,
        last_name=user.last_name,
        role=user.role,
        groups=list(user.groups),
        locale=user.locale,
        blocked=user.blocked,
        created_at=user.created_at,
        last_login_at=user.last_login_at,
    )


def me_view(user: User, roles: Roles, app: App) -> MeView:
    """Make the view of their own account for a user."""
    role = roles.get(user.role or "")
    return MeView(
        **msgspec.structs.asdict(user_view(user)),
        permissions=sorted(role.permissions) if role else [],
        terms_accepted=user.has_accepted(app.terms_version),
        terms_version=user.terms_version,
        terms_accepted_at=user.terms_accepted_at,
    )


def session_view(user: User, tokens: SessionTokens) -> SessionView:
    """Make the view of a new session, as login returns it."""
    return SessionView(
        user=user_view(user),
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_in=tokens.expires_in,
    )


def make_cookies(tokens: SessionTokens, services: Services) -> list[bytes]:
    """Make the cookies that store these tokens in a browser."""
    return session_cookies(
        tokens.access_token,
        tokens.refresh_token,
        expires_in=tokens.expires_in,
        refresh_lifetime=services.account_rules.refresh_token_lifetime,
        app=services.app,
    )
