"""What the service of invitations is built from, and what its callers ask for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from latchstring.crypto.keyring import Keyring
from latchstring.crypto.passwords import Passwords
from latchstring.domain.access import Seen
from latchstring.domain.account import User
from latchstring.domain.errors import FieldProblem
from latchstring.domain.grant import ContentRole
from latchstring.domain.invitation import Invitation
from latchstring.domain.settings import AccountRules, App, ContentRules, InvitationRules, MailRules, Roles
from latchstring.domain.template import Templates
from latchstring.domain.values import Clock
from latchstring.storage.engine.database import Database
from latchstring.users.service import Accounts, SessionTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What main hands to the service. wake_worker tells the mail worker of this process; it may do nothing."""

    db: Database
    clock: Clock
    keyring: Keyring
    app: App
    roles: Roles
    rules: InvitationRules
    content_rules: ContentRules
    account_rules: AccountRules
    mail_rules: MailRules
    accounts: Accounts
    passwords: Passwords
    wake_worker: Callable[[], None]
    limits_enabled: bool = True
    read_row: "RowReader | None" = None  # for rows of many; whoever builds the service knows the kinds of fields
    recipient_rates: tuple[tuple[int, timedelta], ...] = ()  # how many invitations an address gets in what time
    templates: Templates = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An invitation somebody asks for. Texts are clean and the address is canonical; the rules are still to judge.

    template: its terms are taken wherever nothing is stated. emptied: fields that are empty on purpose, which a
    template must not fill.
    """

    email: str
    email_key: str
    role: str | None = None
    groups: tuple[str, ...] = ()
    content: tuple[tuple[str, str, str], ...] = ()  # type, key, role
    first_name: str | None = None
    last_name: str | None = None
    message: str | None = None
    locale: str | None = None
    expires_in: timedelta | None = None
    metadata: Mapping[str, object] | None = None
    redirect_url: str | None = None
    template: str | None = None
    emptied: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row of many. draft: what could be read of it; None when nothing could. email: what stood there as the address,
    shown when it is none.
    """

    draft: Draft | None
    problems: tuple[FieldProblem, ...]
    email: str | None


# One row as it came, and what is known of all: `columns` for rows that are lists of cells.
RowReader = Callable[[object, Mapping[str, object]], ReadRow]


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


@dataclass(frozen=True, slots=True)
class Applied:
    """What an acceptance gave: the role held now if one was offered, the groups, the objects as they stand now.

    kept_role: the role held before, when the offered one would have taken rights away.
    """

    role: str | None
    groups: tuple[str, ...]
    offered_role: str | None = None
    content: tuple[Seen, ...] = ()

    @property
    def kept_role(self) -> str | None:
        return self.role if self.offered_role is not None and self.offered_role != self.role else None


@dataclass(frozen=True, slots=True)
class Accepted:
    """An acceptance. tokens are for a new account's own browser only; None otherwise."""

    user: User
    is_new: bool
    applied: Applied
    invitation: Invitation
    tokens: SessionTokens | None


@dataclass(frozen=True, slots=True)
class OfferedObject:
    """A content object the link leads to, with the right on it."""

    id: UUID
    type: str
    key: str
    title: str
    url: str | None
    role: ContentRole


@dataclass(frozen=True, slots=True)
class Preview:
    """What a link's holder sees before answering. inviter_name is None when nobody in person invites."""

    invitation: Invitation
    inviter_name: str | None
    role_name: str | None
    groups: tuple[tuple[str, str], ...]  # key, name in the reader's language
    account_exists: bool
    locale: str
    objects: tuple[OfferedObject, ...] = ()
