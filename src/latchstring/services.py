"""The services that the API, the panel and the invitee pages call. `bootstrap` builds them once per process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from latchstring.domain.clock import Clock
from latchstring.domain.settings import AccountRules, App, ContentRules, InvitationRules, Limits, MailRules, Roles
from latchstring.domain.views.health import HealthReport
from latchstring.domain.views.settings import SettingView

if TYPE_CHECKING:  # only names are needed here, and importing the services would be a cycle
    from latchstring.admins.service import Admins
    from latchstring.backoffice.service import Backoffice
    from latchstring.content.service import Content
    from latchstring.crypto.keyring import Keyring
    from latchstring.crypto.link_tokens import LinkTokens
    from latchstring.groups.service import Groups
    from latchstring.invitations.link_views import LinkViewCounter
    from latchstring.invitations.service import Invitations
    from latchstring.storage.engine.database import Database
    from latchstring.users.service import Users


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services and the values they share, as handlers receive them.

    wake_worker: wakes the mail worker of this process; cheap, safe to call at any time.
    check_client: counts an anonymous request for the network of its client; raises TooManyRequests.
    link_views: counts how often links are opened; cheap as well.
    settings: every value of the configuration, with secrets masked.
    check_health: runs the checks of `doctor`; takes seconds.
    """

    db: Database
    clock: Clock
    app: App
    roles: Roles
    content_rules: ContentRules
    invitation_rules: InvitationRules
    account_rules: AccountRules
    limits: Limits
    mail_rules: MailRules
    keyring: Keyring
    tokens: LinkTokens
    users: Users
    admins: Admins
    content: Content
    groups: Groups
    invitations: Invitations
    installation_id: UUID
    wake_worker: Callable[[], None]
    check_client: Callable[[str], None]
    link_views: LinkViewCounter
    backoffice: Backoffice
    settings: Sequence[SettingView]
    check_health: Callable[[], Awaitable[HealthReport]]
