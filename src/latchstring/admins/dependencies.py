"""What the services of administrators are built from."""

from collections.abc import Callable

from latchstring.crypto.keyring import Keyring
from latchstring.crypto.link_tokens import LinkTokens
from latchstring.crypto.passwords import Passwords
from latchstring.domain.clock import Clock
from latchstring.domain.settings import AccountRules, App, MailRules
from latchstring.storage.engine.database import Database


class AdminDependencies:
    """The injected dependencies of each service of administrators."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        keyring: Keyring,
        tokens: LinkTokens,
        app: App,
        rules: AccountRules,
        passwords: Passwords,
        mail_rules: MailRules,
        wake_worker: Callable[[], None],
    ) -> None:
        self._db = db
        self._clock = clock
        self._keyring = keyring
        self._links = tokens
        self._app = app
        self._rules = rules
        self._passwords = passwords
        self._mail_is_off = mail_rules.transport == "off"
        self._wake_worker = wake_worker
