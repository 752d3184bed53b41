"""Each message as a type. A loader fills one from the database when it is about to be sent."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from latchstring.domain.mail import MailKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What every message says.

    to: the address as typed. locale: a BCP 47 tag; the nearest language we speak is taken.
    first_name: of the recipient, for the greeting.
    """

    kind: ClassVar[MailKind]

    to: str
    locale: str
    app_name: str
    first_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationMail(Message):
    """The link that lets somebody in.

    content: (content role, title) of each object. account_exists: whether the address has an account already; None when
    nobody looked. link_url is a secret: it stands in the body and nowhere else.
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
    """The link that sets a new password."""

    kind: ClassVar[MailKind] = MailKind.PASSWORD_RESET

    link_url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailVerificationMail(Message):
    """The link that proves a mailbox."""

    kind: ClassVar[MailKind] = MailKind.EMAIL_VERIFICATION

    link_url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminSetUpMail(Message):
    """The link that sets the password of an administrator. is_new: there is none yet."""

    kind: ClassVar[MailKind] = MailKind.ADMIN_SET_UP

    is_new: bool
    link_url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRequestedMail(Message):
    """Tells the inviter that the invited person asked for a fresh link and got it."""

    kind: ClassVar[MailKind] = MailKind.LINK_REQUESTED

    invitee_email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationDeclinedMail(Message):
    """Tells the inviter that the invited person declined, with the person's own words."""

    kind: ClassVar[MailKind] = MailKind.INVITATION_DECLINED

    invitee_email: str
    reason: str | None = None
