"""A test of a message, as far as the mail server."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import select
from tests.support.smtp_server import ScriptedServer, scripted_server

from latchstring.backoffice.dependencies import BackofficeDependencies
from latchstring.backoffice.service import Backoffice
from latchstring.domain.actor import ActorType
from latchstring.domain.clock import system_clock
from latchstring.domain.errors import MailDisabled, NotAllowed
from latchstring.domain.ids import new_id
from latchstring.domain.mail import MailKind
from latchstring.domain.panel import panel_permissions
from latchstring.domain.principal import Principal
from latchstring.domain.settings import App, MailRules, SmtpSettings
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import events

EVENTS = select(events)


@pytest.fixture
async def mail_server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as server:
        yield server


def operations(db: Database, rules: MailRules) -> Backoffice:
    app = App(name="Orchard Lane", public_url="https://invite.example.org")
    deps = BackofficeDependencies(
        db=db, clock=system_clock, app=app, mail_rules=rules, loaders={}, wake_worker=lambda: pytest.fail("woken")
    )
    return Backoffice(deps)


def rules_for(server: ScriptedServer) -> MailRules:
    smtp = SmtpSettings(host="127.0.0.1", port=server.port, tls="none")
    return MailRules(sender="Orchard Lane <no-reply@orchard.example>", smtp=smtp)


def admin(role: str = "manager") -> Principal:
    nothing = frozenset[str]()
    return Principal(ActorType.ADMIN, new_id(system_clock()), "Mira", panel_permissions(role), nothing, nothing)


async def test_the_server_gets_the_sample_and_its_words_come_back(
    database: Database, mail_server: ScriptedServer
) -> None:
    messages = operations(database, rules_for(mail_server)).messages
    sent = await messages.send_test(MailKind.INVITATION, "de", "me@example.org", by=admin())
    assert sent.is_taken
    assert sent.reply
    (taken,) = mail_server.received
    assert taken.recipient.strip("<>") == "me@example.org"
    assert taken.message["Content-Language"] == "de"
    assert [row.type for row in await database.fetch(EVENTS)] == ["mail.tested"]


async def test_a_refusal_comes_back_in_the_servers_words(database: Database, mail_server: ScriptedServer) -> None:
    mail_server.replies["rcpt"] = ["550 5.1.1 no such user"]
    messages = operations(database, rules_for(mail_server)).messages
    sent = await messages.send_test(MailKind.INVITATION, "en", "me@example.org", by=admin())
    assert not sent.is_taken
    assert sent.reply == "550 5.1.1 no such user"


async def test_a_server_that_is_away_says_nothing(database: Database, mail_server: ScriptedServer) -> None:
    rules = rules_for(mail_server)
    away = replace(rules, smtp=replace(rules.smtp, port=1))
    sent = await operations(database, away).messages.send_test(MailKind.INVITATION, "en", "me@example.org", by=admin())
    assert (sent.is_taken, sent.reply) == (False, None)


async def test_with_mail_off_nothing_is_tested(database: Database) -> None:
    messages = operations(database, MailRules(transport="off")).messages
    with pytest.raises(MailDisabled):
        await messages.send_test(MailKind.INVITATION, "en", "me@example.org", by=admin())


async def test_a_viewer_may_look_and_not_interfere(database: Database) -> None:
    found = operations(database, MailRules(transport="off"))
    viewer = admin("viewer")
    assert found.messages.preview(MailKind.INVITATION, "en", by=viewer).mail.subject
    for asking in (
        found.messages.send_test(MailKind.INVITATION, "en", "me@example.org", by=viewer),
        found.mail_queue.retry(new_id(system_clock()), by=viewer),
        found.mail_queue.drop(new_id(system_clock()), by=viewer),
    ):
        with pytest.raises(NotAllowed):
            await asking
