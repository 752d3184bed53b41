"""An account: somebody in the app, with one address, one role and groups."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from latchstring.domain.values import id_instant


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
    """Somebody who may open the admin panel: an account of its own, apart from the app's users."""

    id: UUID
    email: str
    email_key: str
    name: str
    role: str
    password_hash: str | None = field(default=None, repr=False)
    link_generation: int = 1
    deactivated_at: datetime | None = None


ADMIN_ROLES = ("super-admin", "manager", "viewer")
