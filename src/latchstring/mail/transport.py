"""The choice of the mail transport."""

from pathlib import Path

from latchstring.domain.settings import MailRules
from latchstring.mail.senders import MailboxSender, OffSender, Sender
from latchstring.mail.smtp.sender import SmtpSender


def open_sender(rules: MailRules) -> Sender:
    """Return the sender for the configured transport."""
    match rules.transport:
        case "smtp":
            return SmtpSender(rules.smtp, rules.retry)
        case "mailbox":
            return MailboxSender(Path(rules.mailbox_directory))
        case "off":
            return OffSender()
        case unknown:
            raise ValueError(f"no such transport: {unknown}")
