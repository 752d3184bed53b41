"""A worker and a scripted mail server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.support.clock import PATIENCE_SECONDS
from tests.support.deliveries import find_deliveries
from tests.support.smtp_server import ScriptedServer, scripted_server

from latchstring.domain.clock import system_clock
from latchstring.domain.ids import new_id
from latchstring.domain.mail import Delivery, MailKind, MailPriority, OutgoingMail
from latchstring.domain.settings import MailRules, RetryRules, SmtpSettings
from latchstring.mail.messages import InvitationMail, Message, PasswordResetMail
from latchstring.storage.engine.database import Database, Work
from latchstring.storage.outbox.outbox import OutboxRow, queue_mail
from latchstring.worker.loop import WorkerDependencies, run_worker
from latchstring.worker.wake_event import WakeEvent

QUICK = RetryRules(first=timedelta(milliseconds=50), factor=1.5, maximum=timedelta(seconds=2))
EXPIRES = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
async def smtp_server() -> AsyncIterator[ScriptedServer]:
    """A mail server that tests script."""
    async with scripted_server() as server:
        yield server


@dataclass
class WorkerEnv:
    """The outbox, a loader for its mails, and a worker that sends them."""

    db: Database
    rules: MailRules
    addresses: dict[UUID, str] = field(default_factory=dict)
    ended_subjects: set[UUID] = field(default_factory=set)
    wake_event: WakeEvent = field(default_factory=WakeEvent)
    loads: int = 0

    async def load(self, row: OutboxRow) -> Message | None:
        """Build the message of a mail. None if its subject is in `ended_subjects`."""
        self.loads += 1
        if row.subject_id in self.ended_subjects:
            return None
        link = f"https://app.test/invitation?token=eyJ{row.subject_id.hex}.{row.generation}.sig"
        to = self.addresses[row.subject_id]
        if row.kind is MailKind.PASSWORD_RESET:
            return PasswordResetMail(to=to, locale="en", app_name="Acme", link_url=link, expires_at=EXPIRES)
        return InvitationMail(to=to, locale="en", app_name="Acme", role_name="Team", link_url=link, expires_at=EXPIRES)

    async def queue_mail(
        self, to: str, *, kind: MailKind = MailKind.INVITATION, priority: MailPriority = MailPriority.NORMAL
    ) -> UUID:
        """Queue a mail and return its subject id."""
        return (await self.queue_mails([to], kind=kind, priority=priority))[0]

    async def queue_mails(
        self,
        addresses: list[str],
        *,
        kind: MailKind = MailKind.INVITATION,
        priority: MailPriority = MailPriority.NORMAL,
        notify: bool = True,
    ) -> list[UUID]:
        """Queue a mail for each address, wake the worker unless `notify` is false, and return the subject ids."""
        now = system_clock()
        mails = [OutgoingMail(new_id(now), kind, new_id(now), 1, now, priority) for _ in addresses]
        for mail, address in zip(mails, addresses, strict=True):
            self.addresses[mail.subject_id] = address

        def work() -> Work[None]:
            for mail in mails:
                yield queue_mail(mail)

        await self.db.transact(work)
        if notify:
            self.wake_event.notify()
        return [mail.subject_id for mail in mails]

    def dependencies(self, **changes: Any) -> WorkerDependencies:
        dependencies = WorkerDependencies(
            db=self.db,
            clock=system_clock,
            mail_rules=self.rules,
            loaders=dict.fromkeys(MailKind, self.load),
            wake_event=self.wake_event,
        )
        return replace(dependencies, **changes)

    @asynccontextmanager
    async def running_worker(self, *, drain: float = 2, **changes: Any) -> AsyncIterator[None]:
        """Run a worker with changed dependencies; at the end give it `drain` seconds to finish."""
        stop = asyncio.Event()
        worker = asyncio.create_task(run_worker(self.dependencies(**changes), stop, drain=timedelta(seconds=drain)))
        try:
            yield
        finally:
            stop.set()
            await worker

    async def get_delivery(self, subject_id: UUID) -> Delivery:
        return (await find_deliveries(self.db, [subject_id]))[subject_id]

    async def wait_for_delivery(self, subject_id: UUID, condition: Callable[[Delivery], bool]) -> Delivery:
        """Return the delivery as soon as it meets the condition."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition(delivery := await self.get_delivery(subject_id)):  # noqa: ASYNC110  # no event announces rows
                await asyncio.sleep(0.02)
        return delivery


@pytest.fixture
def worker_env(database: Database, smtp_server: ScriptedServer) -> WorkerEnv:
    """An empty outbox on each database, whose mails go to `smtp_server`."""
    smtp = SmtpSettings(host="127.0.0.1", port=smtp_server.port, tls="none", timeout=timedelta(seconds=30))
    return WorkerEnv(database, MailRules(sender="Acme <no-reply@acme.test>", retry=QUICK, smtp=smtp))
