"""Somebody signed in: as pages show them, and the cookies that begin and end it."""

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
    """A user as pages show one: role and groups under their names."""

    name: str
    first_name: str
    email: str
    email_verified: bool
    role: Role | None
    groups: tuple[str, ...]


class Tokens(Protocol):
    """What the holder of a session gets."""

    @property
    def access_token(self) -> str: ...
    @property
    def refresh_token(self) -> str: ...
    @property
    def expires_in(self) -> int: ...


async def member_of(page: InviteePage, user: User) -> Member:
    """How the user is shown. A role that left the configuration gives nothing and is not shown."""
    return Member(
        name=user.name or user.email,
        first_name=user.first_name,
        email=user.email,
        email_verified=user.email_verified,
        role=page.services.roles.get(user.role or ""),
        groups=await _group_names(page, user.groups),
    )


async def _group_names(page: InviteePage, keys: Sequence[str]) -> tuple[str, ...]:
    found = await page.services.groups.find_by_keys(keys)
    return tuple(found[key].get_text(page.locale).name for key in keys if key in found)


def signed_in(page: InviteePage, answer: Answer, tokens: Tokens) -> Answer:
    """The answer that begins the browser's session."""
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
    """End the session of the browser, and the answer that makes it forget."""
    principal = page.caller.principal
    if principal is not None and principal.session_id is not None:
        await page.services.users.sessions.logout(session_id=principal.session_id)
    return answer.with_cookies(clear_session_cookies(page.services.app))
