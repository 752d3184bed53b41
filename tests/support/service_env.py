"""The services of users, administrators and groups on each database, with a clock that tests set."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from tests.support.clock import Clock

from latchstring.admins.dependencies import AdminDependencies
from latchstring.admins.service import Admins
from latchstring.crypto.access_tokens import AccessTokens
from latchstring.crypto.keyring import Keyring, new_master_key
from latchstring.crypto.link_tokens import LinkTokens
from latchstring.crypto.passwords import Passwords
from latchstring.domain.account import User
from latchstring.domain.group import Group
from latchstring.domain.ids import new_id
from latchstring.domain.mail import DeliveryState, MailKind
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal, Role
from latchstring.domain.settings import AccountRules, App, Limits, MailRules
from latchstring.formats.email_address import parse_address
from latchstring.groups.service import Groups, GroupTexts
from latchstring.rate_limits import Limiter
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import events, outbox
from latchstring.storage.outbox.outbox import OutboxRow
from latchstring.users.accounts import NewUser
from latchstring.users.dependencies import UserDependencies, noop
from latchstring.users.service import Users

START = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
PASSWORD = "correct horse 9 Battery"
NETWORK = "192.0.2.0/24"
EVERYTHING = frozenset({"*"})


def role(key: str, *permissions: str, may_grant: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> Role:
    return Role(key, key.title(), frozenset(permissions), frozenset(may_grant), frozenset(groups))


ROLES = {
    "admin": role("admin", "*", may_grant=("admin", "lead", "team", "customer"), groups=("*",)),
    "lead": role(
        "lead",
        "users:read",
        "users:write",
        "api-keys:write",
        "app:plan",
        may_grant=("team", "customer"),
        groups=("open",),
    ),
    "team": role("team", "users:read", "groups:read", "app:plan", may_grant=("customer",)),
    "customer": role("customer", "app:plan"),
}


@dataclass(frozen=True)
class ServiceEnv:
    """The services of users, administrators and groups, and what they depend on."""

    db: Database
    clock: Clock
    keyring: Keyring
    tokens: LinkTokens
    users: Users
    admins: Admins
    groups: Groups
    passwords: Passwords
    numbers: Iterator[int]

    async def user(self, role: str | None = "customer", **fields: Any) -> User:
        """Create an account as the operator."""
        address = fields.pop("email", f"u{next(self.numbers)}@people.test")
        new = NewUser(
            address=parse_address(address),
            **{"first_name": "Ann", "last_name": "Number", "role": role, "password": PASSWORD, **fields},
        )
        return await self.users.create(new, by=OPERATOR_PRINCIPAL)

    async def principal(self, role: str | None = "customer", **fields: Any) -> Principal:
        return self.users.principal_of(await self.user(role, **fields))

    async def group(self, key: str) -> Group:
        return await self.groups.create(key, GroupTexts(name=key.title()), by=OPERATOR_PRINCIPAL)

    async def reload(self, user: User) -> User:
        return await self.users.get(user.id)

    async def mails(self) -> list[OutboxRow]:
        """List the mails in the outbox, oldest first."""
        rows = await self.db.fetch(MAILS)
        return [
            OutboxRow(
                row.id, MailKind(row.kind), row.subject_id, row.generation, row.locale, DeliveryState(row.state), 0
            )
            for row in rows
        ]

    async def events(self) -> list[str]:
        return [row.type for row in await self.db.fetch(EVENTS)]

    async def token_of(self, mail: OutboxRow) -> str:
        """Return the token in the link of a mail about an account."""
        loader = {
            MailKind.PASSWORD_RESET: self.users.recovery.load_password_reset_mail,
            MailKind.EMAIL_VERIFICATION: self.users.recovery.load_email_verification_mail,
        }[mail.kind]
        message = await loader(mail)
        assert message is not None
        return message.link_url.partition("token=")[2]

    def with_app(self, **changes: Any) -> Users:
        """Build the service of users again, with a changed configuration of the app."""
        return build_users(self.db, self.clock, self.keyring, self.tokens, self.passwords, replace(APP, **changes))

    def with_limits(self, **limits: Any) -> "ServiceEnv":
        """Build the services again, with other rate limits."""
        limiter = Limiter(Limits(**limits))
        return replace(
            self,
            users=Users.build(replace(self.users.deps, limiter=limiter)),
            admins=Admins.build(replace(self.admins.deps, limiter=limiter)),
        )


APP = App(name="Acme", public_url="https://invite.example.org", terms_version="1")
MAILS = outbox.select().order_by(outbox.c.id)
EVENTS = events.select().order_by(events.c.id)


def build_users(  # noqa: PLR0917
    db: Database, clock: Clock, keyring: Keyring, tokens: LinkTokens, passwords: Passwords, app: App = APP
) -> Users:
    rules = AccountRules()
    return Users.build(
        UserDependencies(
            db=db,
            clock=clock,
            access_tokens=AccessTokens(keyring, issuer=app.public_url, lifetime=rules.access_token_lifetime),
            links=tokens,
            app=app,
            roles=ROLES,
            rules=rules,
            passwords=passwords,
            mail_rules=MailRules(),
            limiter=Limiter(Limits()),
            wake_worker=noop,
        )
    )


@pytest.fixture
async def service_env(database: Database, cheap_passwords: Passwords) -> ServiceEnv:
    clock, keyring = Clock(START), Keyring((new_master_key(),))
    tokens = LinkTokens(keyring, new_id(START))
    users = build_users(database, clock, keyring, tokens, cheap_passwords)
    groups = Groups(db=database, clock=clock)
    admins = Admins.build(
        AdminDependencies(
            db=database,
            clock=clock,
            keyring=keyring,
            links=tokens,
            app=APP,
            rules=AccountRules(),
            passwords=cheap_passwords,
            mail_rules=MailRules(),
            limiter=users.deps.limiter,
            wake_worker=noop,
        )
    )
    return ServiceEnv(database, clock, keyring, tokens, users, admins, groups, cheap_passwords, count(1))
