"""The development mailbox: files that only their owner reads."""

from pathlib import Path
from uuid import uuid4

from tests.support.mail_samples import LINK, SENT_AT, invitation

from latchstring.domain.clock import system_clock
from latchstring.domain.ids import new_id
from latchstring.mail.mailbox import find_stored_mail, list_stored_mails
from latchstring.mail.render import RenderedMail, render_mail
from latchstring.mail.senders import DeliveryResult, MailboxSender


async def keep(directory: Path, subject: str = "Acme") -> RenderedMail:
    mail = render_mail(invitation(app_name=subject), new_id(system_clock()), sender="a@b.test", now=SENT_AT)

    async def compose() -> RenderedMail:
        return mail

    said: list[int] = []
    assert (
        await MailboxSender(directory).send(compose, on_data_sent=lambda: said.append(1))
    ).result is DeliveryResult.TAKEN
    assert said == [1]
    return mail


async def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    mail = await keep(tmp_path / "box")
    assert (tmp_path / "box").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "box" / f"{mail.id}.eml").stat().st_mode & 0o777 == 0o600


async def test_a_kept_mail_is_read_back(tmp_path: Path) -> None:
    mail = await keep(tmp_path)
    kept = find_stored_mail(tmp_path, mail.id)
    assert kept is not None
    assert kept.header("to") == "jonas@people.test"
    assert LINK in kept.text.splitlines()
    assert kept.html.startswith("<!DOCTYPE html>")


async def test_the_newest_comes_first_and_strangers_are_passed_over(tmp_path: Path) -> None:
    first, second = await keep(tmp_path, "One"), await keep(tmp_path, "Two")
    (tmp_path / "notes.eml").write_text("not ours")
    assert [mail.id for mail in list_stored_mails(tmp_path, 10)] == [second.id, first.id]
    assert len(list_stored_mails(tmp_path, 1)) == 1


def test_an_empty_mailbox_has_nothing(tmp_path: Path) -> None:
    assert list_stored_mails(tmp_path / "nowhere", 10) == []
    assert find_stored_mail(tmp_path, uuid4()) is None
