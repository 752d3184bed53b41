"""Interfering with mail that was promised."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from latchstring.backoffice.dependencies import BackofficeDependencies
from latchstring.domain.errors import NotFound
from latchstring.domain.event import happened
from latchstring.domain.mail import DeliveryState, MailKind
from latchstring.domain.pagination import Cursor, Page
from latchstring.domain.panel import MAIL_READ, MAIL_WRITE
from latchstring.domain.principal import Principal
from latchstring.domain.views.mail_queue import InterventionResult, QueuedMail
from latchstring.domain.views.timeline import Attempt
from latchstring.events.record import record
from latchstring.storage.engine.database import Work
from latchstring.storage.outbox.mail_queue import (
    count_mails,
    drop_mail,
    find_mail,
    list_attempts,
    list_mails,
    list_mails_about,
    outbox_row,
    retry_mail,
)

PAGE = 25


@dataclass(frozen=True, slots=True)
class MailQueue:
    """The outbox for those who look after it."""

    deps: BackofficeDependencies

    async def list(
        self, state: DeliveryState | None, *, by: Principal, cursor: Cursor | None = None
    ) -> Page[QueuedMail]:
        """A page of the mails in a state, or of all, newest first."""
        by.require(MAIL_READ)
        return await list_mails(self.deps.db, state, cursor=cursor, limit=PAGE, now=self.deps.clock())

    async def list_about(self, subject_id: UUID, *, by: Principal) -> Page[QueuedMail]:
        """The newest mails about one invitation or person."""
        by.require(MAIL_READ)
        return await list_mails_about(self.deps.db, subject_id, now=self.deps.clock())

    async def count(self, *, by: Principal) -> Mapping[DeliveryState, int]:
        """How many mails are in each state somebody may have to look at."""
        by.require(MAIL_READ)
        return await count_mails(self.deps.db)

    async def find(self, mail_id: UUID, *, by: Principal) -> QueuedMail:
        """One mail. Raises NotFound."""
        by.require(MAIL_READ)
        found = await find_mail(self.deps.db, mail_id, now=self.deps.clock())
        if found is None:
            raise NotFound("There is no such mail.")
        return found

    async def list_attempts(self, mail: QueuedMail, *, by: Principal) -> Sequence[Attempt]:
        """Every try at a mail with the server's words, the first try first."""
        by.require(MAIL_READ)
        return await list_attempts(self.deps.db, mail)

    async def retry(self, mail_id: UUID, *, by: Principal) -> InterventionResult:
        """Have a mail tried at once, if there is still something to say. Raises NotFound."""
        by.require(MAIL_WRITE)
        mail = await self.find(mail_id, by=by)
        if not mail.can_be_retried:
            return InterventionResult.IN_PROGRESS if mail.is_leased else InterventionResult.FINISHED
        if not await self._is_live(mail):
            return InterventionResult.OBSOLETE
        done = await self._interfere(by, mail, "mail.retried", lambda: retry_mail(mail.id, now=self.deps.clock()))
        if done:
            self.deps.wake_worker()
        return InterventionResult.DONE if done else InterventionResult.FINISHED

    async def drop(self, mail_id: UUID, *, by: Principal) -> InterventionResult:
        """End the sending of a mail that waits. What it is about stays as it is. Raises NotFound."""
        by.require(MAIL_WRITE)
        mail = await self.find(mail_id, by=by)
        if not mail.can_be_dropped:
            return InterventionResult.IN_PROGRESS if mail.is_leased else InterventionResult.FINISHED
        done = await self._interfere(by, mail, "mail.dropped", lambda: drop_mail(mail.id, now=self.deps.clock()))
        return InterventionResult.DONE if done else InterventionResult.FINISHED

    async def _is_live(self, mail: QueuedMail) -> bool:
        """Whether the worker would find something to say: the same loaders decide."""
        if not isinstance(mail.kind, MailKind) or mail.kind not in self.deps.loaders:
            return False
        return await self.deps.loaders[mail.kind](outbox_row(mail)) is not None

    async def _interfere(self, by: Principal, mail: QueuedMail, name: str, change: Callable[[], Work[bool]]) -> bool:
        event = happened(
            name, mail.subject_id, by=by.actor, now=self.deps.clock(), mailId=str(mail.id), message=str(mail.kind)
        )

        def work() -> Work[bool]:
            if not (yield from change()):
                return False
            yield record(event)
            return True

        return await self.deps.db.transact(work)
