"""What callers of the invitation service hand over besides a draft."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a new account needs. Missing parts are None; all of them are told at once."""

    first_name: str | None = None
    last_name: str | None = None
    password: str | None = field(default=None, repr=False)
    accepts_terms: bool = False
    locale: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPerson:
    """The app's own signed-in person, for whom its backend accepts."""

    external_id: str
    email_key: str
    email_verified: bool
    first_name: str | None = None
    last_name: str | None = None
    locale: str | None = None
