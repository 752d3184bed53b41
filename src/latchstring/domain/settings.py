"""What an installation decides once, in configuration, as values the rooms are handed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from latchstring.domain.principal import Role

Roles = Mapping[str, Role]


@dataclass(frozen=True, slots=True)
class App:
    """The app people are brought into. public_url has no trailing slash."""

    name: str = "Latchstring"
    public_url: str = "http://127.0.0.1:8080"
    default_locale: str = "en"
    terms_url: str | None = None
    terms_version: str | None = None
    support_email: str | None = None
    allowed_origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InvitationRules:
    """Bounds of an invitation's lifetime, where its link leads, how long its history is kept."""

    lifetime: timedelta = timedelta(days=7)
    minimum_lifetime: timedelta = timedelta(hours=1)
    maximum_lifetime: timedelta = timedelta(days=30)
    accept_url: str = "{publicUrl}/invitation"
    retention: timedelta = timedelta(days=90)
    redirect_origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountRules:
    """Passwords, the lifetime of sessions, and the role of somebody who joins without one."""

    password_minimum: int = 10
    access_token_lifetime: timedelta = timedelta(minutes=15)
    refresh_token_lifetime: timedelta = timedelta(days=30)
    default_role: str | None = None


@dataclass(frozen=True, slots=True)
class ContentType:
    """A declared kind of content object."""

    key: str
    name: str
    singular: str | None = None


@dataclass(frozen=True, slots=True)
class ContentRules:
    """The declared types and the bounds of what they hold."""

    types: Mapping[str, ContentType] = field(default_factory=dict)
    data_limit: int = 262_144
    accept_url: str = "{publicUrl}/content/{contentType}/{contentKey}/accept-invitation"
    allow_unregistered_users: bool = True
    lifetime: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Limits:
    """Rates, each as `count/period` in the notation of the limits library, such as `100/hour`."""

    enabled: bool = True
    per_inviter: str = "200/hour"
    per_recipient: str = "10/day"
    per_address_prefix: str = "60/minute"
    login_per_account: str = "10/15 minutes"
    trusted_proxies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RetryRules:
    """When a mail that was not taken is tried again: first, first * factor, … up to maximum; after give_up never."""

    first: timedelta = timedelta(seconds=5)
    factor: float = 3
    maximum: timedelta = timedelta(hours=1)
    give_up: timedelta = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class PaceRules:
    """How fast each process sends to one recipient domain. per_minute: invitations; 0 is as fast as it takes them.

    domains: other rates for some domains, in small letters. at_once: mails of any kind under way together.
    """

    at_once: int = 9
    per_minute: int = 0
    domains: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """How to reach the mail server. tls: starttls, tls or none."""

    host: str = "localhost"
    port: int = 587
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: str = "starttls"
    timeout: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class MailRules:
    """How mail leaves. transport: smtp, mailbox (kept as files for development) or off.

    templates_directory: where files lie that replace templates of ours.
    """

    transport: str = "smtp"
    sender: str = "Latchstring <no-reply@localhost>"
    reply_to_inviter: bool = False
    mailbox_directory: str = "var/mailbox"
    templates_directory: str | None = None
    retry: RetryRules = field(default_factory=RetryRules)
    pace: PaceRules = field(default_factory=PaceRules)
    smtp: SmtpSettings = field(default_factory=SmtpSettings)
