"""Input of the invitation services besides a draft."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The profile for a new account. Missing parts are None; all of them are reported together."""

    first_name: str | None = None
    last_name: str | None = None
    password: str | None = field(default=None, repr=False)
    accepts_terms: bool = False
    locale: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPerson:
    """A person who is signed in to the app, for whom the app's backend accepts."""

    external_id: str
    email_key: str
    email_verified: bool
    first_name: str | None = None
    last_name: str | None = None
    locale: str | None = None
