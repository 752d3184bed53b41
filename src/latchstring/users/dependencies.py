"""What the services of accounts are built from."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from latchstring.crypto.access_tokens import AccessTokens
from latchstring.crypto.keyring import Keyring
from latchstring.crypto.link_tokens import LinkTokens
from latchstring.crypto.passwords import Passwords
from latchstring.domain.account import User
from latchstring.domain.actor import ActorType
from latchstring.domain.clock import Clock
from latchstring.domain.principal import Principal, Role
from latchstring.domain.settings import AccountRules, App, MailRules, Roles
from latchstring.storage.engine.database import Database

NO_ROLE = Role("", "", frozenset())


def do_nothing() -> None:
    """Wakes nobody: the worker looks by itself every second."""


class UserDependencies:
    """The injected parts, and what each service of accounts needs of them."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        keyring: Keyring,
        tokens: LinkTokens,
        app: App,
        roles: Roles,
        rules: AccountRules,
        passwords: Passwords,
        mail_rules: MailRules,
        wake_worker: Callable[[], None] = do_nothing,
    ) -> None:
        self._db = db
        self._clock = clock
        self._links = tokens
        self._app = app
        self._roles = roles
        self._rules = rules
        self._passwords = passwords
        self._mail_is_off = mail_rules.transport == "off"
        self._wake_worker = wake_worker
        self._remembered_keys: dict[bytes, tuple[datetime, Principal]] = {}
        self._access = AccessTokens(keyring, issuer=app.public_url, lifetime=rules.access_token_lifetime)

    def principal_of(self, user: User, session_id: UUID | None = None) -> Principal:
        """The user as somebody who asks, with what the role gives today."""
        role = self._roles.get(user.role or "", NO_ROLE)
        return Principal(
            ActorType.USER,
            user.id,
            user.name,
            role.permissions,
            role.may_grant,
            role.may_grant_groups,
            session_id,
        )
