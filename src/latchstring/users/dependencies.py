"""Dependencies of the user services."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from latchstring.crypto.access_tokens import AccessTokens
from latchstring.crypto.link_tokens import LinkTokens
from latchstring.crypto.passwords import Passwords
from latchstring.domain.account import User
from latchstring.domain.actor import ActorType
from latchstring.domain.clock import Clock
from latchstring.domain.principal import Principal, Role
from latchstring.domain.settings import AccountRules, App, MailRules, Roles
from latchstring.rate_limits import Limiter
from latchstring.storage.engine.database import Database

NO_ROLE = Role("", "", frozenset())


def noop() -> None:
    """Do nothing: without a wake-up, the worker polls every second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDependencies:
    """The injected dependencies of each service of users.

    limiter: shared with everything else in the process, so that it counts every request.
    api_key_cache: principals of API keys with the instant they were read, by digest. Shared, as revoking clears it.
    """

    db: Database
    clock: Clock
    access_tokens: AccessTokens
    links: LinkTokens
    app: App
    roles: Roles
    rules: AccountRules
    passwords: Passwords
    mail_rules: MailRules
    limiter: Limiter
    wake_worker: Callable[[], None] = noop
    api_key_cache: dict[bytes, tuple[datetime, Principal]] = field(default_factory=dict)

    def principal_of(self, user: User, session_id: UUID | None = None) -> Principal:
        """The user as a principal, with the present rights of the role."""
        role = self.roles.get(user.role or "", NO_ROLE)
        return Principal(
            ActorType.USER,
            user.id,
            user.name,
            role.permissions,
            role.may_grant,
            role.may_grant_groups,
            session_id,
        )
