"""The types of messages. A loader creates a message from the database shortly before it is sent."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from latchstring.domain.mail import MailKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The fields of every message.

    to: the address as typed. locale: a BCP 47 tag; the nearest supported language is used.
    first_name: of the recipient, for the greeting.
    """

    kind: ClassVar[MailKind]

    to: str
    locale: str
    app_name: str
    first_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationMail(Message):
    """An invitation with its link.

    content: (content role, title) of each object. account_exists: whether the address has an account; None if unknown.
    link_url is a secret: it may appear in the body only.
    """

    kind: ClassVar[MailKind] = MailKind.INVITATION

    inviter_name: str | None = None
    inviter_email: str | None = None
    message: str | None = None
    role_name: str | None = None
    group_names: tuple[str, ...] = ()
    content: tuple[tuple[str, str], ...] = ()
    account_exists: bool | None = None
    link_url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordResetMail(Message):
    """A link to set a new password."""

    kind: ClassVar[MailKind] = MailKind.PASSWORD_RESET

    link_url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailVerificationMail(Message):
    """A link to verify an address."""

    kind: ClassVar[MailKind] = MailKind.EMAIL_VERIFICATION

    link_url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminSetUpMail(Message):
    """A link to set the password of an administrator. is_new: the account has no password yet."""

    kind: ClassVar[MailKind] = MailKind.ADMIN_SET_UP

    is_new: bool
    link_url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRequestedMail(Message):
    """Notifies the inviter that the invitee requested and received a new link."""

    kind: ClassVar[MailKind] = MailKind.LINK_REQUESTED

    invitee_email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationDeclinedMail(Message):
    """Notifies the inviter that the invitee declined, with the invitee's reason."""

    kind: ClassVar[MailKind] = MailKind.INVITATION_DECLINED

    invitee_email: str
    reason: str | None = None
