"""What the service of operations is built from."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from latchstring.domain.clock import Clock
from latchstring.domain.mail import MailKind
from latchstring.domain.settings import App, MailRules
from latchstring.mail.messages import Message
from latchstring.storage.engine.database import Database
from latchstring.storage.outbox.outbox import OutboxRow

Loaders = Mapping[MailKind, Callable[[OutboxRow], Awaitable[Message | None]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackofficeDependencies:
    """What main hands to the service. loaders: those of the worker. wake_worker: tells it that mail is due."""

    db: Database
    clock: Clock
    app: App
    mail_rules: MailRules
    loaders: Loaders
    wake_worker: Callable[[], None]
