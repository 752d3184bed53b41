"""Accounts of the app's users: everything the faces may ask of them, one file for each verb."""

from latchstring.users.accounts import People
from latchstring.users.api_keys import ApiKeys
from latchstring.users.recovery import Recovery
from latchstring.users.sessions import Logins


class Users(Logins, Recovery, People, ApiKeys):
    """Accounts, sessions, links that prove a mailbox, and API keys."""
