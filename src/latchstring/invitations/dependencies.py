"""Dependencies of the invitation services."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from latchstring.crypto.keyring import Keyring
from latchstring.crypto.passwords import Passwords
from latchstring.domain.clock import Clock
from latchstring.domain.settings import AccountRules, App, ContentRules, InvitationRules, MailRules, Roles
from latchstring.domain.template import TemplatesByKey
from latchstring.rate_limits import Limiter
from latchstring.storage.engine.database import Database
from latchstring.users.service import Users


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationDependencies:
    """The injected dependencies of each service of invitations.

    wake_worker: wakes the mail worker of this process; may do nothing. limiter: shared with everything else in the
    process that sends mail on request.
    """

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
    limiter: Limiter
    limits_enabled: bool = True
    recipient_rates: tuple[tuple[int, timedelta], ...] = ()  # how many invitations an address may get in which time
    templates: TemplatesByKey = field(default_factory=dict)
