"""Looking after an installation: what happens, what fails, what it says."""

from latchstring.operations.audit import AuditLog
from latchstring.operations.mail_queue import MailQueue
from latchstring.operations.messages import Messages
from latchstring.operations.overview import Overviews
from latchstring.operations.parts import Parts


class Operations:
    """The service room. Each attribute is one side of it."""

    def __init__(self, parts: Parts) -> None:
        self.overviews = Overviews(parts)
        self.audit = AuditLog(parts)
        self.mail_queue = MailQueue(parts)
        self.messages = Messages(parts)
