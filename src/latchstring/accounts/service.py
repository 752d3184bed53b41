"""Who somebody is: everything the faces may ask of accounts, one file for each verb."""

from latchstring.accounts.admin_self import AdminSelf
from latchstring.accounts.admins import Admins
from latchstring.accounts.api_keys import ApiKeys
from latchstring.accounts.logins import Logins, NewSession, SessionTokens
from latchstring.accounts.people import People
from latchstring.accounts.recovery import Recovery

__all__ = ["Accounts", "NewSession", "SessionTokens"]


class Accounts(Logins, Recovery, People, ApiKeys, Admins, AdminSelf):
    """Accounts, sessions, links that prove a mailbox, API keys and administrators."""
