"""What the service of invitations is built from, and what its callers ask for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from latchstring.crypto.keyring import Keyring
from latchstring.crypto.passwords import Passwords
from latchstring.domain.clock import Clock
from latchstring.domain.settings import AccountRules, App, ContentRules, InvitationRules, MailRules, Roles
from latchstring.domain.template import Templates
from latchstring.storage.engine.database import Database
from latchstring.users.service import Users


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationDependencies:
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
    users: Users
    passwords: Passwords
    wake_worker: Callable[[], None]
    limits_enabled: bool = True
    recipient_rates: tuple[tuple[int, timedelta], ...] = ()  # how many invitations an address gets in what time
    templates: Templates = field(default_factory=dict)
