"""The development mailbox: files that only their owner can read."""

from pathlib import Path
from uuid import uuid4

from tests.support.mail_samples import LINK, SENT_AT, invitation

from latchstring.domain.clock import system_clock
from latchstring.domain.ids import new_id
from latchstring.mail.mailbox import find_stored_mail, list_stored_mails
from latchstring.mail.render import RenderedMail, render_mail
from latchstring.mail.senders import DeliveryResult, MailboxSender


async def store(directory: Path, subject: str = "Acme") -> RenderedMail:
    mail = render_mail(invitation(app_name=subject), new_id(system_clock()), sender="a@b.test", now=SENT_AT)

    async def compose() -> RenderedMail:
        return mail

    calls: list[int] = []
    assert (
        await MailboxSender(directory).send(compose, on_data_sent=lambda: calls.append(1))
    ).result is DeliveryResult.ACCEPTED
    assert calls == [1]
    return mail


async def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    mail = await store(tmp_path / "box")
    assert (tmp_path / "box").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "box" / f"{mail.id}.eml").stat().st_mode & 0o777 == 0o600


async def test_a_stored_mail_can_be_read(tmp_path: Path) -> None:
    mail = await store(tmp_path)
    stored = find_stored_mail(tmp_path, mail.id)
    assert stored is not None
    assert stored.header("to") == "jonas@people.test"
    assert LINK in stored.text.splitlines()
    assert stored.html.startswith("<!DOCTYPE html>")


async def test_the_newest_comes_first_and_other_files_are_skipped(tmp_path: Path) -> None:
    first, second = await store(tmp_path, "One"), await store(tmp_path, "Two")
    (tmp_path / "notes.eml").write_text("not ours")
    assert [mail.id for mail in list_stored_mails(tmp_path, 10)] == [second.id, first.id]
    assert len(list_stored_mails(tmp_path, 1)) == 1


def test_a_missing_mailbox_is_empty(tmp_path: Path) -> None:
    assert list_stored_mails(tmp_path / "nowhere", 10) == []
    assert find_stored_mail(tmp_path, uuid4()) is None
