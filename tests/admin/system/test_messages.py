"""Previews of every message, and test mails."""

import re
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.support.page_client import PageClient

from latchstring.domain.mail import MailKind
from latchstring.i18n.negotiation import available_locales
from latchstring.storage.engine.tables import events, outbox

MAILS, EVENTS = select(outbox), select(events)


def list_mailbox(page_client: PageClient) -> list[Path]:
    return sorted(Path(page_client.services.mail_rules.mailbox_directory).glob("*.eml"))


async def test_every_message_is_listed(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    html = (await page_client.get("/admin/messages")).html
    assert all(f'href="/admin/messages/{kind}"' in html for kind in MailKind)
    assert "<code>invitation</code>" in html


@pytest.mark.parametrize("kind", MailKind)
async def test_a_message_is_previewed_in_every_form_and_language(page_client: PageClient, kind: MailKind) -> None:
    await page_client.sign_in_admin()
    for locale in available_locales():
        seen = await page_client.get(f"/admin/messages/{kind}?locale={locale}")
        assert f"/admin/messages/{kind}/frame?locale={locale}" in seen.html
        text = await page_client.get(f"/admin/messages/{kind}?locale={locale}&form=text")
        assert f'<pre class="preview__text" lang="{locale}"' in text.html
        assert "<iframe" not in text.html


async def test_the_frame_is_sandboxed_and_the_page_allows_it(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    frame = await page_client.browser.get("/admin/messages/invitation/frame?locale=ar")
    assert "sandbox" in frame.headers["content-security-policy"]
    assert "frame-ancestors 'self'" in frame.headers["content-security-policy"]
    assert frame.headers["x-frame-options"] == "SAMEORIGIN"
    assert 'dir="rtl"' in frame.text
    page = await page_client.browser.get("/admin/messages/invitation")
    assert "frame-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe-inline" not in page.headers["content-security-policy"]
    other = await page_client.browser.get("/admin/messages")
    assert "frame-src" not in other.headers["content-security-policy"]


async def test_a_test_mail_is_sent_immediately_and_recorded(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    page = "/admin/messages/invitation"
    seen = await page_client.send(f"{page}/test", {"to": "me@panel.test", "locale": "de"}, page=page)
    assert await page_client.flash(seen) == "test-mail-in-mailbox"
    (mail,) = list_mailbox(page_client)
    text = mail.read_text()
    assert "To: me@panel.test" in text
    assert "Content-Language: de" in text
    assert await page_client.services.db.fetch(MAILS) == []
    (event,) = [row for row in await page_client.services.db.fetch(EVENTS) if row.type == "mail.tested"]
    assert "me@panel.test" not in str(event.data)


async def test_a_test_mail_needs_an_address(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    page = "/admin/messages/invitation"
    seen = await page_client.send(f"{page}/test", {"to": "nobody"}, page=page)
    assert seen.status == 422
    assert "Enter a full address" in seen.words
    assert list_mailbox(page_client) == []


async def test_test_mails_are_rate_limited(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    page = "/admin/messages/password-reset"
    answers = [(await page_client.send(f"{page}/test", {"to": "me@panel.test"}, page=page)).status for _ in range(31)]
    assert answers[:30] == [303] * 30
    assert answers[30] == 429


@pytest.mark.parametrize("page_client", [('transport = "mailbox"', 'transport = "off"')], indirect=True)
async def test_without_mail_no_test_mail_is_sent(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    page = "/admin/messages/invitation"
    assert f'action="{page}/test"' not in (await page_client.get(page)).html
    assert (await page_client.send(f"{page}/test", {"to": "me@panel.test"}, page=page)).status == 503


async def test_a_viewer_cannot_send_test_mails(page_client: PageClient) -> None:
    await page_client.sign_in_admin("v@panel.test", role="viewer")
    page = "/admin/messages/invitation"
    assert "Send a test" not in (await page_client.get(page)).words
    assert (await page_client.send(f"{page}/test", {"to": "me@panel.test"})).status == 403
    assert list_mailbox(page_client) == []


async def test_an_unknown_message_is_not_found(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    assert (await page_client.get("/admin/messages/newsletter")).status == 404
    assert (await page_client.get("/admin/messages/newsletter/frame")).status == 404


WITH_FOLDER = ('transport = "mailbox"', 'transport = "mailbox"\ntemplates-directory = "own"')


@pytest.mark.parametrize("page_client", [WITH_FOLDER], indirect=True)
async def test_custom_templates_are_shown_and_broken_ones_reported(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    folder = Path(page_client.services.mail_rules.templates_directory or "") / "invitation"
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("Our own words")
    assert "Our own words" in (await page_client.get("/admin/messages/invitation")).words
    (folder / "subject.txt").write_text("{{ nobody }}")
    words = (await page_client.get("/admin/messages/invitation")).words
    assert re.search(r"invitation/subject\.txt.*nobody", words)
