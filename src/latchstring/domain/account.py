"""An account: somebody in the app, with one address, one role and groups."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from latchstring.domain.ids import id_instant


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with an account. email is as typed, email_key canonical; groups are keys, sorted.

    link_generation: the number reset and verification links must name; it grows whenever such links must die.
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
        """First and last name, as one is called."""
        return f"{self.first_name} {self.last_name}".strip()

    def has_accepted(self, terms_version: str | None) -> bool:
        """Whether no consent to these terms is missing; without terms none ever is."""
        return terms_version is None or self.terms_version == terms_version


@dataclass(frozen=True, slots=True)
class Admin:
    """Somebody who may open the admin panel: an account of its own, apart from the app's users.

    link_generation: the number set-up links must name. totp_secret: of the second factor, sealed; it asks for nothing
    until totp_confirmed_at is set.
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
    def shown_name(self) -> str:
        """How others see this person: the name, or the address before there is one."""
        return self.name or self.email

    @property
    def has_second_factor(self) -> bool:
        return self.totp_confirmed_at is not None

    @property
    def is_set_up(self) -> bool:
        """Whether there is a password to sign in with."""
        return self.password_hash is not None

    @property
    def is_active(self) -> bool:
        return self.deactivated_at is None


@dataclass(frozen=True, slots=True)
class AdminSession:
    """A browser an administrator is signed in with. network: the range the login came from, not the address.

    awaits_code: the password was right, the second factor is still to come. Such a session opens nothing else.
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
