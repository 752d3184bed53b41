"""Accounts of the admin panel, as the faces call them: `services.admins.invite(…, by=principal)`."""

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
    """Administrators themselves, and a facet each for set-up links, sessions, second factors and one's own account."""

    sessions: AdminSessions
    second_factors: SecondFactors
    own_account: OwnAccount

    @classmethod
    def build(cls, deps: AdminDependencies) -> Self:
        """The service on its dependencies."""
        factors = SecondFactors(deps)
        return cls(deps, SetUpLinks(deps), AdminSessions(deps), factors, OwnAccount(deps, factors))
