"""Previews and test mails of every message, with sample data."""

import asyncio
from dataclasses import dataclass

from latchstring.backoffice.dependencies import BackofficeDependencies
from latchstring.domain.errors import MailDisabled
from latchstring.domain.event import new_event
from latchstring.domain.ids import new_id
from latchstring.domain.mail import MailKind
from latchstring.domain.panel import MAIL_READ, MAIL_WRITE
from latchstring.domain.principal import Principal
from latchstring.events.record import record
from latchstring.mail.render import ComposedMail, RenderedMail, compose_mail, render_mail
from latchstring.mail.samples import sample_message
from latchstring.mail.senders import DeliveryResult, SendAttempt
from latchstring.mail.templating import BUILT_IN, MailTemplates, TemplateBroken, load_templates
from latchstring.mail.transport import open_sender
from latchstring.storage.engine.database import Work

SEND_TIMEOUT_SECONDS = 20.0
SAMPLE_ADDRESS = "noor@example.org"


@dataclass(frozen=True, slots=True)
class MessagePreview:
    """A preview of a message.

    broken: the error of the operator's template, or None. With an error the built-in template is used, as in real mail.
    """

    mail: ComposedMail
    broken: str | None = None


@dataclass(frozen=True, slots=True)
class TestSent:
    """The result of a test mail. reply: of the mail server, or None."""

    is_taken: bool
    reply: str | None


@dataclass(frozen=True, slots=True)
class Messages:
    """Composes and sends sample messages."""

    deps: BackofficeDependencies

    def preview(self, kind: MailKind, locale: str, *, by: Principal) -> MessagePreview:
        """A sample message in the nearest supported language. Renders the operator's templates: call it in a thread."""
        by.require(MAIL_READ)
        message = sample_message(kind, to=SAMPLE_ADDRESS, locale=locale, app=self.deps.app, now=self.deps.clock())
        try:
            return MessagePreview(compose_mail(message, self._templates()))
        except TemplateBroken as broken:
            return MessagePreview(compose_mail(message, BUILT_IN), str(broken))

    async def send_test(self, kind: MailKind, locale: str, to: str, *, by: Principal) -> TestSent:
        """Send a sample at once, without the queue, and return the reply of the mail server. Its link does not work.

        The mail is not stored and not retried. Raises NotAllowed, TooManyRequests, MailDisabled.
        """
        by.require(MAIL_WRITE)
        self.deps.limiter.check_test_mail(by.id)
        if self.deps.mail_rules.is_off:
            raise MailDisabled("Mail is disabled.")
        attempt = await self._send(kind, locale, to)
        event = new_event(
            "mail.tested", by.id or new_id(self.deps.clock()), by=by.actor, now=self.deps.clock(), message=str(kind)
        )

        def work() -> Work[None]:
            yield record(event)

        await self.deps.db.transact(work)
        return TestSent(attempt.result is DeliveryResult.ACCEPTED, attempt.reply)

    async def _send(self, kind: MailKind, locale: str, to: str) -> SendAttempt:
        sender = open_sender(self.deps.mail_rules)

        async def compose() -> RenderedMail:
            return await asyncio.to_thread(self._render, kind, locale, to)

        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                return await sender.send(compose, on_data_sent=lambda: None)
        except TimeoutError:
            return SendAttempt(DeliveryResult.TEMPORARY_FAILURE)
        finally:
            await sender.close()

    def _render(self, kind: MailKind, locale: str, to: str) -> RenderedMail:
        now = self.deps.clock()
        message = sample_message(kind, to=to, locale=locale, app=self.deps.app, now=now)
        rules = self.deps.mail_rules
        return render_mail(message, new_id(now), sender=rules.sender, now=now, templates=self._templates())

    def _templates(self) -> MailTemplates:
        return load_templates(self.deps.mail_rules.templates_directory)
