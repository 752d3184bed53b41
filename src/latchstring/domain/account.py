"""Accounts: users of the app, and administrators of the panel."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from latchstring.domain.ids import id_instant


@dataclass(frozen=True, slots=True)
class User:
    """A user of the app. email is as typed, email_key canonical; groups are sorted keys.

    link_generation: the number that reset and verification links must carry. Increasing it invalidates all such links.
    """

    id: UUID
    email: str
    email_key: str
    first_name: str
    last_name: str
    email_verified: bool = False
    external_id: str | None = None
    role: str | None = None
    locale: str | None = None
    blocked: bool = False
    password_hash: str | None = field(default=None, repr=False)
    link_generation: int = 1
    terms_version: str | None = None
    terms_accepted_at: datetime | None = None
    last_login_at: datetime | None = None
    groups: tuple[str, ...] = ()

    @property
    def created_at(self) -> datetime:
        return id_instant(self.id)

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}".strip()

    def has_accepted(self, terms_version: str | None) -> bool:
        """Whether the user has accepted this version. True when terms_version is None."""
        return terms_version is None or self.terms_version == terms_version


@dataclass(frozen=True, slots=True)
class Admin:
    """An administrator of the panel. The account is separate from the users of the app.

    link_generation: the number that set-up links must carry. totp_secret: the sealed secret of the second factor,
    which is not required before totp_confirmed_at is set.
    """

    id: UUID
    email: str
    email_key: str
    name: str
    role: str
    password_hash: str | None = field(default=None, repr=False)
    link_generation: int = 1
    deactivated_at: datetime | None = None
    locale: str | None = None
    last_login_at: datetime | None = None
    totp_secret: bytes | None = field(default=None, repr=False)
    totp_confirmed_at: datetime | None = None

    @property
    def created_at(self) -> datetime:
        return id_instant(self.id)

    @property
    def display_name(self) -> str:
        """The name, or the address while no name is set."""
        return self.name or self.email

    @property
    def has_second_factor(self) -> bool:
        return self.totp_confirmed_at is not None

    @property
    def is_set_up(self) -> bool:
        """Whether a password is set."""
        return self.password_hash is not None

    @property
    def is_active(self) -> bool:
        return self.deactivated_at is None


@dataclass(frozen=True, slots=True)
class AdminSession:
    """A browser session of an administrator. network: the address range of the sign-in, not the address.

    awaits_code: the password was correct and the second factor is missing. Such a session permits nothing else.
    """

    id: UUID
    admin_id: UUID
    awaits_code: bool
    expires_at: datetime
    last_seen_at: datetime
    user_agent: str = ""
    network: str = ""

    @property
    def created_at(self) -> datetime:
        return id_instant(self.id)


SUPER_ADMIN = "super-admin"
ADMIN_ROLES = (SUPER_ADMIN, "manager", "viewer")
