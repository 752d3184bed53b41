"""Who somebody is: everything the faces may ask of accounts, one file for each verb."""

from latchstring.admins.administrators import Admins
from latchstring.admins.own_account import AdminSelf
from latchstring.users.accounts import People
from latchstring.users.api_keys import ApiKeys
from latchstring.users.recovery import Recovery
from latchstring.users.sessions import Logins, NewSession, SessionTokens

__all__ = ["Accounts", "NewSession", "SessionTokens"]


class Accounts(Logins, Recovery, People, ApiKeys, Admins, AdminSelf):
    """Accounts, sessions, links that prove a mailbox, API keys and administrators."""
