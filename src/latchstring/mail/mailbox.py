"""The development mailbox: reads the files that MailboxSender writes."""

import email
import email.policy
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from itertools import islice
from pathlib import Path
from uuid import UUID

from latchstring.domain.ids import id_instant


@dataclass(frozen=True, slots=True)
class StoredMail:
    """A stored mail in readable form. Its parts contain links."""

    id: UUID
    headers: tuple[tuple[str, str], ...]
    text: str
    html: str

    @property
    def created_at(self) -> datetime:
        return id_instant(self.id)

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


def list_stored_mails(directory: Path, limit: int) -> list[StoredMail]:
    """Return at most `limit` mails, newest first."""
    return [mail for mail_id in islice(_newest_ids(directory), limit) if (mail := find_stored_mail(directory, mail_id))]


def find_stored_mail(directory: Path, mail_id: UUID) -> StoredMail | None:
    try:
        content = (directory / f"{mail_id}.eml").read_bytes()
    except FileNotFoundError:
        return None
    message = email.message_from_bytes(content, policy=email.policy.default)
    headers = tuple((name, str(value)) for name, value in message.items())
    return StoredMail(mail_id, headers, _part(message, "plain"), _part(message, "html"))


def _newest_ids(directory: Path) -> Iterator[UUID]:
    names = sorted((path.stem for path in directory.glob("*.eml")), reverse=True)  # ids are in the order of time
    for name in names:
        try:
            yield UUID(name)
        except ValueError:
            continue  # not a file of MailboxSender


def _part(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    return part.get_content().replace("\r\n", "\n") if part is not None else ""
