"""Looking after an installation: what happens, what fails, what it says."""

from latchstring.backoffice.audit_log import AuditLog
from latchstring.backoffice.dependencies import Parts
from latchstring.backoffice.mail_queue import MailQueue
from latchstring.backoffice.messages import Messages
from latchstring.backoffice.overview import Overviews


class Operations:
    """The service room. Each attribute is one side of it."""

    def __init__(self, parts: Parts) -> None:
        self.overviews = Overviews(parts)
        self.audit = AuditLog(parts)
        self.mail_queue = MailQueue(parts)
        self.messages = Messages(parts)
