"""The service for administrators: `services.admins.invite(…, by=principal)`."""

from dataclasses import dataclass
from typing import Self

from latchstring.admins.administrators import AdminAccounts
from latchstring.admins.dependencies import AdminDependencies
from latchstring.admins.own_account import OwnAccount
from latchstring.admins.second_factors import SecondFactors
from latchstring.admins.sessions import AdminSessions
from latchstring.admins.set_up_links import SetUpLinks


@dataclass(frozen=True, slots=True)
class Admins(AdminAccounts):
    """Administrators, with set-up links, sessions, second factors and one's own account as attributes."""

    sessions: AdminSessions
    second_factors: SecondFactors
    own_account: OwnAccount

    @classmethod
    def build(cls, deps: AdminDependencies) -> Self:
        """Build the service from its dependencies."""
        factors = SecondFactors(deps)
        return cls(deps, SetUpLinks(deps), AdminSessions(deps), factors, OwnAccount(deps, factors))
