"""The pages of the development mailbox, and which clients may see them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from tests.support.mail_samples import LINK, SENT_AT, invitation

from latchstring.devmail.routes import routes
from latchstring.domain.clock import system_clock
from latchstring.domain.ids import new_id
from latchstring.domain.settings import App, MailRules
from latchstring.http.application import Application
from latchstring.mail.render import render_mail
from latchstring.mail.senders import MailboxSender

LOCALHOST = "127.0.0.1"


@dataclass
class MailboxClient:
    directory: Path
    transport: str = "mailbox"

    async def get(self, path: str, *, client: str = LOCALHOST, **headers: str) -> httpx2.Response:
        app = App(name="Orchard Lane", public_url="http://invite.test")
        rules = MailRules(transport=self.transport, mailbox_directory=str(self.directory))

        @asynccontextmanager
        async def services() -> AsyncIterator[Any]:
            yield SimpleNamespace(app=app, mail_rules=rules)

        application = Application(routes, app=app, open_services=services)
        application.state.services = SimpleNamespace(app=app, mail_rules=rules)
        transport = httpx2.ASGITransport(application, client=(client, 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://invite.test") as browser:
            return await browser.get(path, headers=headers)


@pytest.fixture
def mailbox_client(tmp_path: Path) -> MailboxClient:
    return MailboxClient(tmp_path)


async def store_mail(directory: Path, **changes: object) -> str:
    mail = render_mail(invitation(**changes), new_id(system_clock()), sender="a@b.test", now=SENT_AT)

    async def compose() -> Any:
        return mail

    await MailboxSender(directory).send(compose, on_data_sent=lambda: None)
    return str(mail.id)


async def test_an_empty_mailbox_explains_how_to_send_mail(mailbox_client: MailboxClient) -> None:
    page = await mailbox_client.get("/dev/mail")
    assert page.status_code == 200
    assert "No mail yet." in page.text


async def test_a_mail_is_listed_and_shown_with_its_link_and_headers(mailbox_client: MailboxClient) -> None:
    mail_id = await store_mail(mailbox_client.directory)
    assert f'href="/dev/mail/{mail_id}"' in (await mailbox_client.get("/dev/mail")).text
    page = (await mailbox_client.get(f"/dev/mail/{mail_id}")).text
    assert f'<a href="{LINK}" target="_blank" rel="noopener noreferrer">' in page
    assert "Auto-Submitted" in page
    assert f'src="/dev/mail/{mail_id}/html"' in page


async def test_the_html_part_runs_no_scripts_and_loads_nothing(mailbox_client: MailboxClient) -> None:
    mail_id = await store_mail(mailbox_client.directory)
    answer = await mailbox_client.get(f"/dev/mail/{mail_id}/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert '<base target="_blank">' in answer.text


async def test_text_of_users_is_escaped(mailbox_client: MailboxClient) -> None:
    mail_id = await store_mail(mailbox_client.directory, inviter_name="<script>x</script>", message="<img src=x>")
    for path in ("/dev/mail", f"/dev/mail/{mail_id}"):
        text = (await mailbox_client.get(path)).text
        assert "<script>x" not in text
        assert "<img src=x>" not in text


async def test_browsers_store_no_page(mailbox_client: MailboxClient) -> None:
    mail_id = await store_mail(mailbox_client.directory)
    for path in ("/dev/mail", f"/dev/mail/{mail_id}", f"/dev/mail/{mail_id}/html", f"/dev/mail/{mail_id}/source"):
        answer = await mailbox_client.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        ("9.9.9.9", {}),
        ("::ffff:9.9.9.9", {}),
        ("2620:fe::fe", {}),
        (LOCALHOST, {"X-Forwarded-For": "203.0.113.9"}),
        (LOCALHOST, {"Forwarded": "for=203.0.113.9"}),
        (LOCALHOST, {"Host": "rebound.evil.test"}),
    ],
)
async def test_other_networks_proxies_and_host_names_are_404(
    mailbox_client: MailboxClient, client: str, headers: dict[str, str]
) -> None:
    mail_id = await store_mail(mailbox_client.directory)
    for path in ("/dev/mail", f"/dev/mail/{mail_id}", f"/dev/mail/{mail_id}/html", f"/dev/mail/{mail_id}/source"):
        answer = await mailbox_client.get(path, client=client, **headers)
        assert answer.status_code == 404, path
        assert "token=" not in answer.text


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "invite.test", "172.17.0.2"])
async def test_the_local_machine_may_use_any_of_its_host_names(mailbox_client: MailboxClient, host: str) -> None:
    assert (await mailbox_client.get("/dev/mail", client="172.17.0.1", Host=host)).status_code == 200


@pytest.mark.parametrize("transport", ["smtp", "off"])
async def test_other_transports_have_no_mailbox(mailbox_client: MailboxClient, transport: str) -> None:
    mailbox_client.transport = transport
    assert (await mailbox_client.get("/dev/mail")).status_code == 404


@pytest.mark.parametrize("name", ["00000000-0000-0000-0000-000000000000", "..%2f..%2fetc%2fpasswd", "x"])
async def test_an_unknown_mail_is_404(mailbox_client: MailboxClient, name: str) -> None:
    assert (await mailbox_client.get(f"/dev/mail/{name}")).status_code == 404


async def test_the_sample_terms_page_names_the_setting(mailbox_client: MailboxClient) -> None:
    response = await mailbox_client.get("/dev/terms")
    assert response.status_code == 200
    assert "terms-url" in response.text
