"""The development mailbox, in process: what it shows, and to whom."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from tests.support.mail_samples import AT, LINK, invitation

from latchstring.devmail.routes import routes
from latchstring.domain.clock import system_clock
from latchstring.domain.ids import new_id
from latchstring.domain.settings import App, MailRules
from latchstring.http.application import Application
from latchstring.mail.render import render_mail
from latchstring.mail.senders import MailboxSender

HERE = "127.0.0.1"


@dataclass
class Visit:
    directory: Path
    transport: str = "mailbox"

    async def get(self, path: str, *, client: str = HERE, **headers: str) -> httpx2.Response:
        app = App(name="Orchard Lane", public_url="http://door.test")
        rules = MailRules(transport=self.transport, mailbox_directory=str(self.directory))

        @asynccontextmanager
        async def services() -> AsyncIterator[Any]:
            yield SimpleNamespace(app=app, mail_rules=rules)

        application = Application(routes, app=app, open_services=services)
        application.state.services = SimpleNamespace(app=app, mail_rules=rules)
        transport = httpx2.ASGITransport(application, client=(client, 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://door.test") as browser:
            return await browser.get(path, headers=headers)


@pytest.fixture
def visit(tmp_path: Path) -> Visit:
    return Visit(tmp_path)


async def keep(directory: Path, **changes: object) -> str:
    mail = render_mail(invitation(**changes), new_id(system_clock()), sender="a@b.test", now=AT)

    async def compose() -> Any:
        return mail

    await MailboxSender(directory).send(compose, on_data_sent=lambda: None)
    return str(mail.id)


async def test_an_empty_mailbox_says_what_to_do(visit: Visit) -> None:
    page = await visit.get("/dev/mail")
    assert page.status_code == 200
    assert "No mail yet." in page.text


async def test_a_mail_is_listed_and_shown_with_its_link_and_headers(visit: Visit) -> None:
    mail_id = await keep(visit.directory)
    assert f'href="/dev/mail/{mail_id}"' in (await visit.get("/dev/mail")).text
    page = (await visit.get(f"/dev/mail/{mail_id}")).text
    assert f'<a href="{LINK}" target="_blank" rel="noopener noreferrer">' in page
    assert "Auto-Submitted" in page
    assert f'src="/dev/mail/{mail_id}/html"' in page


async def test_the_html_part_runs_nothing_and_loads_nothing(visit: Visit) -> None:
    mail_id = await keep(visit.directory)
    answer = await visit.get(f"/dev/mail/{mail_id}/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert '<base target="_blank">' in answer.text


async def test_words_of_people_stay_words_on_the_page(visit: Visit) -> None:
    mail_id = await keep(visit.directory, inviter_name="<script>x</script>", message="<img src=x>")
    for path in ("/dev/mail", f"/dev/mail/{mail_id}"):
        text = (await visit.get(path)).text
        assert "<script>x" not in text
        assert "<img src=x>" not in text


async def test_nothing_is_kept_by_browsers(visit: Visit) -> None:
    mail_id = await keep(visit.directory)
    for path in ("/dev/mail", f"/dev/mail/{mail_id}", f"/dev/mail/{mail_id}/html", f"/dev/mail/{mail_id}/source"):
        answer = await visit.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        ("9.9.9.9", {}),
        ("::ffff:9.9.9.9", {}),
        ("2620:fe::fe", {}),
        (HERE, {"X-Forwarded-For": "203.0.113.9"}),
        (HERE, {"Forwarded": "for=203.0.113.9"}),
        (HERE, {"Host": "rebound.evil.test"}),
    ],
)
async def test_strangers_find_nothing(visit: Visit, client: str, headers: dict[str, str]) -> None:
    mail_id = await keep(visit.directory)
    for path in ("/dev/mail", f"/dev/mail/{mail_id}", f"/dev/mail/{mail_id}/html", f"/dev/mail/{mail_id}/source"):
        answer = await visit.get(path, client=client, **headers)
        assert answer.status_code == 404, path
        assert "token=" not in answer.text


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "door.test", "172.17.0.2"])
async def test_the_machine_itself_is_let_in_by_each_of_its_names(visit: Visit, host: str) -> None:
    assert (await visit.get("/dev/mail", client="172.17.0.1", Host=host)).status_code == 200


@pytest.mark.parametrize("transport", ["smtp", "off"])
async def test_there_is_no_mailbox_where_mail_leaves(visit: Visit, transport: str) -> None:
    visit.transport = transport
    assert (await visit.get("/dev/mail")).status_code == 404


@pytest.mark.parametrize("name", ["00000000-0000-0000-0000-000000000000", "..%2f..%2fetc%2fpasswd", "x"])
async def test_what_is_no_mail_is_not_found(visit: Visit, name: str) -> None:
    assert (await visit.get(f"/dev/mail/{name}")).status_code == 404


async def test_sample_terms_stand_in_while_one_tries_things_out(visit: Visit) -> None:
    seen = await visit.get("/dev/terms")
    assert seen.status_code == 200
    assert "terms-url" in seen.text
