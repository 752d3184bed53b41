"""Accounts of the admin panel, apart from users: everything the faces may ask of them, one file for each verb."""

from latchstring.admins.administrators import AdminAccounts
from latchstring.admins.own_account import AdminSelf


class Admins(AdminAccounts, AdminSelf):
    """Administrators, their set-up links, sessions and second factors."""
