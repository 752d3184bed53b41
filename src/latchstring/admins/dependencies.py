"""Dependencies of the administrator services."""

from collections.abc import Callable
from dataclasses import dataclass

from latchstring.crypto.keyring import Keyring
from latchstring.crypto.link_tokens import LinkTokens
from latchstring.crypto.passwords import Passwords
from latchstring.domain.clock import Clock
from latchstring.domain.settings import AccountRules, App, MailRules
from latchstring.rate_limits import Limiter
from latchstring.storage.engine.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminDependencies:
    """The injected dependencies of each service of administrators.

    limiter: shared with everything else in the process, so that it counts every request.
    """

    db: Database
    clock: Clock
    keyring: Keyring
    links: LinkTokens
    app: App
    rules: AccountRules
    passwords: Passwords
    mail_rules: MailRules
    limiter: Limiter
    wake_worker: Callable[[], None]
