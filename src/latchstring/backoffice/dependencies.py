"""Dependencies of the back-office services."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from latchstring.domain.clock import Clock
from latchstring.domain.mail import MailKind
from latchstring.domain.settings import App, MailRules
from latchstring.mail.messages import Message
from latchstring.rate_limits import Limiter
from latchstring.storage.engine.database import Database
from latchstring.storage.outbox.outbox import OutboxRow

Loaders = Mapping[MailKind, Callable[[OutboxRow], Awaitable[Message | None]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackofficeDependencies:
    """The injected dependencies of each service of the back office.

    loaders: the worker's loaders of mails. limiter: shared with everything else in the process, so that it counts every
    request. wake_worker: wakes the mail worker of this process.
    """

    db: Database
    clock: Clock
    app: App
    mail_rules: MailRules
    loaders: Loaders
    limiter: Limiter
    wake_worker: Callable[[], None]
