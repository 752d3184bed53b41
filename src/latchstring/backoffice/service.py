"""The services for administrators of an installation: overview, audit log, mail queue, messages."""

from latchstring.backoffice.audit_log import AuditLog
from latchstring.backoffice.dependencies import BackofficeDependencies
from latchstring.backoffice.mail_queue import MailQueue
from latchstring.backoffice.messages import Messages
from latchstring.backoffice.overview import Overviews


class Backoffice:
    """The back-office services, one per attribute."""

    def __init__(self, deps: BackofficeDependencies) -> None:
        self.overviews = Overviews(deps)
        self.audit = AuditLog(deps)
        self.mail_queue = MailQueue(deps)
        self.messages = Messages(deps)
