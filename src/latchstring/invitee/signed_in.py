"""The signed-in user as pages show them, and the cookies of the session."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from latchstring.domain.account import User
from latchstring.domain.principal import Role
from latchstring.http.authentication import clear_session_cookies, session_cookies
from latchstring.http.responses import Answer
from latchstring.invitee.context import InviteePage


@dataclass(frozen=True, slots=True)
class Member:
    """A user as pages show them, with the role and the names of the groups."""

    name: str
    first_name: str
    email: str
    email_verified: bool
    role: Role | None
    groups: tuple[str, ...]


class Tokens(Protocol):
    """The tokens of a session."""

    @property
    def access_token(self) -> str: ...
    @property
    def refresh_token(self) -> str: ...
    @property
    def expires_in(self) -> int: ...


async def member_of(page: InviteePage, user: User) -> Member:
    """The user as pages show them. A role that was removed from the configuration is not shown."""
    return Member(
        name=user.name or user.email,
        first_name=user.first_name,
        email=user.email,
        email_verified=user.email_verified,
        role=page.services.roles.get(user.role or ""),
        groups=await _group_names(page, user.groups),
    )


async def _group_names(page: InviteePage, keys: Sequence[str]) -> tuple[str, ...]:
    groups = await page.services.groups.find_by_keys(keys)
    return tuple(groups[key].get_text(page.locale).name for key in keys if key in groups)


def signed_in(page: InviteePage, answer: Answer, tokens: Tokens) -> Answer:
    """The response with the session cookies."""
    services = page.services
    cookies = session_cookies(
        tokens.access_token,
        tokens.refresh_token,
        expires_in=tokens.expires_in,
        refresh_lifetime=services.account_rules.refresh_token_lifetime,
        app=services.app,
    )
    return answer.with_cookies(cookies)


async def sign_out(page: InviteePage, answer: Answer) -> Answer:
    """End the session of the browser and clear its cookies."""
    principal = page.caller.principal
    if principal is not None and principal.session_id is not None:
        await page.services.users.sessions.logout(session_id=principal.session_id)
    return answer.with_cookies(clear_session_cookies(page.services.app))
