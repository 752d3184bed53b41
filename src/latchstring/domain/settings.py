"""Settings from configuration, as values that are passed to services."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from latchstring.domain.errors import ContentNotFound
from latchstring.domain.principal import Role

Roles = Mapping[str, Role]


@dataclass(frozen=True, slots=True)
class App:
    """The app that people are invited to. public_url has no trailing slash."""

    name: str = "Latchstring"
    public_url: str = "http://127.0.0.1:8080"
    default_locale: str = "en"
    terms_url: str | None = None
    terms_version: str | None = None
    support_email: str | None = None
    allowed_origins: tuple[str, ...] = ()

    @property
    def is_https(self) -> bool:
        return self.public_url.startswith("https:")


@dataclass(frozen=True, slots=True)
class InvitationRules:
    """Limits of an invitation's lifetime, the URL of its link, and how long ended invitations are kept."""

    lifetime: timedelta = timedelta(days=7)
    minimum_lifetime: timedelta = timedelta(hours=1)
    maximum_lifetime: timedelta = timedelta(days=30)
    accept_url: str = "{publicUrl}/invitation"
    retention: timedelta = timedelta(days=90)
    redirect_origins: tuple[str, ...] = ()

    def is_allowed_lifetime(self, lifetime: timedelta) -> bool:
        """Whether a lifetime is within the bounds."""
        return self.minimum_lifetime <= lifetime <= self.maximum_lifetime


@dataclass(frozen=True, slots=True)
class AccountRules:
    """Passwords, session lifetimes, and the role of users who join without one."""

    password_minimum: int = 10
    access_token_lifetime: timedelta = timedelta(minutes=15)
    refresh_token_lifetime: timedelta = timedelta(days=30)
    default_role: str | None = None


@dataclass(frozen=True, slots=True)
class ContentType:
    """A type of content objects, from configuration."""

    key: str
    name: str
    singular: str | None = None


@dataclass(frozen=True)  # without slots, which would leave no room for the cached mapping
class ContentRules:
    """The content types and their limits. data_limit: bytes."""

    types: Mapping[str, ContentType] = field(default_factory=dict)
    data_limit: int = 262_144
    accept_url: str = "{publicUrl}/content/{contentType}/{contentKey}/accept-invitation"
    allow_unregistered_users: bool = True
    lifetime: timedelta = timedelta(days=7)

    @cached_property
    def types_by_word(self) -> Mapping[str, ContentType]:
        """Each type by its key and, if it has one, by its singular."""
        return {word: type_ for type_ in self.types.values() for word in (type_.key, type_.singular) if word}

    def find_type(self, word: str) -> ContentType | None:
        """The declared type with this key or singular."""
        return self.types_by_word.get(word)

    def get_type(self, word: str) -> ContentType:
        """The declared type with this key or singular. Raises ContentNotFound."""
        declared = self.find_type(word)
        if declared is None:
            raise ContentNotFound("There is no such content type.")
        return declared


@dataclass(frozen=True, slots=True)
class Limits:
    """Rate limits as `count/period` in the notation of the limits library, such as `100/hour`."""

    enabled: bool = True
    per_inviter: str = "200/hour"
    per_recipient: str = "10/day"
    per_address_prefix: str = "60/minute"
    login_per_account: str = "10/15 minutes"
    trusted_proxies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RetryRules:
    """When a deferred mail is retried: after first, first * factor, … up to maximum, and not after give_up."""

    first: timedelta = timedelta(seconds=5)
    factor: float = 3
    maximum: timedelta = timedelta(hours=1)
    give_up: timedelta = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class PaceRules:
    """How fast each process sends to one recipient domain. per_minute: invitations; 0 means no limit.

    domains: other rates for some domains, in lower case. at_once: concurrent mails of any kind.
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
    """How mail is sent. transport: smtp, mailbox (files, for development) or off.

    templates_directory: the directory of files that override built-in mail templates.
    """

    transport: str = "smtp"
    sender: str = "Latchstring <no-reply@localhost>"
    reply_to_inviter: bool = False
    mailbox_directory: str = "var/mailbox"
    templates_directory: str | None = None
    retry: RetryRules = field(default_factory=RetryRules)
    pace: PaceRules = field(default_factory=PaceRules)
    smtp: SmtpSettings = field(default_factory=SmtpSettings)

    @property
    def is_off(self) -> bool:
        return self.transport == "off"
