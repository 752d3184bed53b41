"""The mail queue: list queued mails, retry and drop them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from latchstring.backoffice.dependencies import BackofficeDependencies
from latchstring.domain.errors import NotFound
from latchstring.domain.event import new_event
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
    """Reads and changes the outbox."""

    deps: BackofficeDependencies

    async def list(
        self, state: DeliveryState | None, *, by: Principal, cursor: Cursor | None = None
    ) -> Page[QueuedMail]:
        """A page of the mails in a state, or of all mails, newest first."""
        by.require(MAIL_READ)
        return await list_mails(self.deps.db, state, cursor=cursor, limit=PAGE, now=self.deps.clock())

    async def list_about(self, subject_id: UUID, *, by: Principal) -> Page[QueuedMail]:
        """The newest mails about an invitation or a user."""
        by.require(MAIL_READ)
        return await list_mails_about(self.deps.db, subject_id, now=self.deps.clock())

    async def count(self, *, by: Principal) -> Mapping[DeliveryState, int]:
        """The number of mails in each state that may need attention."""
        by.require(MAIL_READ)
        return await count_mails(self.deps.db)

    async def find(self, mail_id: UUID, *, by: Principal) -> QueuedMail:
        """A mail by its id. Raises NotFound."""
        by.require(MAIL_READ)
        mail = await find_mail(self.deps.db, mail_id, now=self.deps.clock())
        if mail is None:
            raise NotFound("There is no such mail.")
        return mail

    async def list_attempts(self, mail: QueuedMail, *, by: Principal) -> Sequence[Attempt]:
        """The delivery attempts of a mail with the replies of the server, oldest first."""
        by.require(MAIL_READ)
        return await list_attempts(self.deps.db, mail)

    async def retry(self, mail_id: UUID, *, by: Principal) -> InterventionResult:
        """Retry a mail at once, if it still has content. Raises NotFound."""
        by.require(MAIL_WRITE)
        mail = await self.find(mail_id, by=by)
        if not mail.can_be_retried:
            return InterventionResult.IN_PROGRESS if mail.is_leased else InterventionResult.FINISHED
        if not await self._is_live(mail):
            return InterventionResult.OBSOLETE
        done = await self._change_and_record(
            by, mail, "mail.retried", lambda: retry_mail(mail.id, now=self.deps.clock())
        )
        if done:
            self.deps.wake_worker()
        return InterventionResult.DONE if done else InterventionResult.FINISHED

    async def drop(self, mail_id: UUID, *, by: Principal) -> InterventionResult:
        """Drop a queued mail. The invitation or account that it is about does not change. Raises NotFound."""
        by.require(MAIL_WRITE)
        mail = await self.find(mail_id, by=by)
        if not mail.can_be_dropped:
            return InterventionResult.IN_PROGRESS if mail.is_leased else InterventionResult.FINISHED
        done = await self._change_and_record(
            by, mail, "mail.dropped", lambda: drop_mail(mail.id, now=self.deps.clock())
        )
        return InterventionResult.DONE if done else InterventionResult.FINISHED

    async def _is_live(self, mail: QueuedMail) -> bool:
        """Whether the worker would send this mail: the same loaders decide."""
        if not isinstance(mail.kind, MailKind) or mail.kind not in self.deps.loaders:
            return False
        return await self.deps.loaders[mail.kind](outbox_row(mail)) is not None

    async def _change_and_record(
        self, by: Principal, mail: QueuedMail, name: str, change: Callable[[], Work[bool]]
    ) -> bool:
        event = new_event(
            name, mail.subject_id, by=by.actor, now=self.deps.clock(), mailId=str(mail.id), message=str(mail.kind)
        )

        def work() -> Work[bool]:
            if not (yield from change()):
                return False
            yield record(event)
            return True

        return await self.deps.db.transact(work)
