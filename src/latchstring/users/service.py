"""The service for the app's users: `services.users.create(…, by=principal)`."""

from dataclasses import dataclass
from typing import Self
from uuid import UUID

from latchstring.domain.account import User
from latchstring.domain.principal import Principal
from latchstring.users.accounts import UserAccounts
from latchstring.users.admin_operations import UserOperations
from latchstring.users.api_keys import ApiKeys
from latchstring.users.dependencies import UserDependencies
from latchstring.users.recovery import Recovery
from latchstring.users.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Users(UserAccounts):
    """Accounts, with operations, API keys, recovery and sessions as attributes."""

    operations: UserOperations
    api_keys: ApiKeys
    recovery: Recovery
    sessions: Sessions

    @classmethod
    def build(cls, deps: UserDependencies) -> Self:
        """Build the service from its dependencies."""
        return cls(deps, UserOperations(deps), ApiKeys(deps), Recovery(deps), Sessions(deps))

    def principal_of(self, user: User, session_id: UUID | None = None) -> Principal:
        """The user as a principal, with the present rights of the role."""
        return self.deps.principal_of(user, session_id)
