"""Test mails and previews of messages."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import select
from tests.support.smtp_server import ScriptedServer, scripted_server

from latchstring.backoffice.dependencies import BackofficeDependencies
from latchstring.backoffice.service import Backoffice
from latchstring.domain.actor import ActorType
from latchstring.domain.clock import system_clock
from latchstring.domain.errors import MailDisabled, NotAllowed, TooManyRequests
from latchstring.domain.ids import new_id
from latchstring.domain.mail import MailKind
from latchstring.domain.panel import panel_permissions
from latchstring.domain.principal import Principal
from latchstring.domain.settings import App, Limits, MailRules, SmtpSettings
from latchstring.rate_limits import Limiter
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import events

EVENTS = select(events)


@pytest.fixture
async def mail_server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as server:
        yield server


def build_backoffice(db: Database, rules: MailRules) -> Backoffice:
    app = App(name="Orchard Lane", public_url="https://invite.example.org")
    deps = BackofficeDependencies(
        db=db,
        clock=system_clock,
        app=app,
        mail_rules=rules,
        loaders={},
        limiter=Limiter(Limits()),
        wake_worker=lambda: pytest.fail("woken"),
    )
    return Backoffice(deps)


def rules_for(server: ScriptedServer) -> MailRules:
    smtp = SmtpSettings(host="127.0.0.1", port=server.port, tls="none")
    return MailRules(sender="Orchard Lane <no-reply@orchard.example>", smtp=smtp)


def new_admin(role: str = "manager") -> Principal:
    nothing = frozenset[str]()
    return Principal(ActorType.ADMIN, new_id(system_clock()), "Mira", panel_permissions(role), nothing, nothing)


async def test_the_sample_is_sent_and_the_reply_returned(database: Database, mail_server: ScriptedServer) -> None:
    messages = build_backoffice(database, rules_for(mail_server)).messages
    sent = await messages.send_test(MailKind.INVITATION, "de", "me@example.org", by=new_admin())
    assert sent.is_taken
    assert sent.reply
    (received,) = mail_server.received
    assert received.recipient.strip("<>") == "me@example.org"
    assert received.message["Content-Language"] == "de"
    assert [row.type for row in await database.fetch(EVENTS)] == ["mail.tested"]


async def test_the_reply_of_a_refusal_is_returned(database: Database, mail_server: ScriptedServer) -> None:
    mail_server.replies["rcpt"] = ["550 5.1.1 no such user"]
    messages = build_backoffice(database, rules_for(mail_server)).messages
    sent = await messages.send_test(MailKind.INVITATION, "en", "me@example.org", by=new_admin())
    assert not sent.is_taken
    assert sent.reply == "550 5.1.1 no such user"


async def test_an_unreachable_server_has_no_reply(database: Database, mail_server: ScriptedServer) -> None:
    rules = rules_for(mail_server)
    unreachable = replace(rules, smtp=replace(rules.smtp, port=1))
    sent = await build_backoffice(database, unreachable).messages.send_test(
        MailKind.INVITATION, "en", "me@example.org", by=new_admin()
    )
    assert (sent.is_taken, sent.reply) == (False, None)


async def test_with_mail_off_a_test_is_refused(database: Database) -> None:
    messages = build_backoffice(database, MailRules(transport="off")).messages
    with pytest.raises(MailDisabled):
        await messages.send_test(MailKind.INVITATION, "en", "me@example.org", by=new_admin())


async def test_test_mails_are_limited_per_administrator(database: Database) -> None:
    messages = build_backoffice(database, MailRules(transport="off")).messages
    mira, ben = new_admin(), new_admin()
    for refusal, by in [*((MailDisabled, mira),) * 30, (TooManyRequests, mira), (MailDisabled, ben)]:
        with pytest.raises(refusal):
            await messages.send_test(MailKind.INVITATION, "en", "me@example.org", by=by)


async def test_a_viewer_may_preview_but_not_send_or_change_mails(database: Database) -> None:
    backoffice = build_backoffice(database, MailRules(transport="off"))
    viewer = new_admin("viewer")
    assert backoffice.messages.preview(MailKind.INVITATION, "en", by=viewer).mail.subject
    for call in (
        backoffice.messages.send_test(MailKind.INVITATION, "en", "me@example.org", by=viewer),
        backoffice.mail_queue.retry(new_id(system_clock()), by=viewer),
        backoffice.mail_queue.drop(new_id(system_clock()), by=viewer),
    ):
        with pytest.raises(NotAllowed):
            await call
