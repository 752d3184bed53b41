"""The mail worker: claims queued mails, loads, renders and sends them, and stores the results."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from latchstring.domain.clock import Clock
from latchstring.domain.errors import StorageBusy, StorageUnreachable
from latchstring.domain.ids import new_id
from latchstring.domain.mail import Delivery, DeliveryState, MailKind, SuppressionReason
from latchstring.domain.settings import MailRules, RetryRules
from latchstring.mail.ascii_address import AddressUnusable
from latchstring.mail.messages import Message
from latchstring.mail.render import RenderedMail, render_mail
from latchstring.mail.senders import DeliveryResult, SendAttempt, Sender
from latchstring.mail.smtp.circuit_breaker import MAX_COOLDOWN
from latchstring.mail.smtp.concurrency import RESERVED, DomainBusy, Slots
from latchstring.mail.smtp.pacing import Pace
from latchstring.mail.templating import load_templates
from latchstring.storage.engine.database import Database
from latchstring.storage.outbox.outbox import OutboxRow, claim_mails, finish_mail, release_mails, renew_leases
from latchstring.telemetry.metrics import count_mail
from latchstring.worker.wake_event import WakeEvent

Loader = Callable[[OutboxRow], Awaitable[Message | None]]

LEASE = timedelta(seconds=12)  # the contract promises takeover within 20 s of a crash
RENEWALS = 3  # in the time of one lease
POLL_SECONDS = 1.0
DATABASE_PAUSE_SECONDS = 1.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailDependencies:
    """The dependencies of a mail worker. loaders: by kind, load the message of a row; None if it is obsolete."""

    db: Database
    clock: Clock
    rules: MailRules
    sender: Sender
    loaders: Mapping[MailKind, Loader]
    wake_event: WakeEvent
    lease: timedelta = LEASE


class _MailObsolete(Exception):
    """The subject of the mail ended while the mail was queued."""


class _LeaseLost(Exception):
    """Another worker may have taken the mail over."""


@dataclass(slots=True)
class _LeasedMail:
    row: OutboxRow
    until: datetime
    task: "asyncio.Task[None] | None" = None
    is_finishing: bool = False


class MailWorker:
    """Sends mails in one process. Any number of workers share an outbox."""

    def __init__(self, dependencies: MailDependencies) -> None:
        self._dependencies = dependencies
        self._db = dependencies.db
        self._clock = dependencies.clock
        self._lease = dependencies.lease
        self._owner = new_id(dependencies.clock())
        self._leased: dict[UUID, _LeasedMail] = {}
        self._slots = Slots(dependencies.rules.pace.at_once)
        self._pace = Pace(dependencies.rules.pace)
        self._has_more = False  # whether there may be more mails than the last claim took

    async def run(self, stop: asyncio.Event, *, drain: timedelta) -> None:
        """Send until `stop` is set, then finish the mails in flight, and release those that exceed `drain`."""
        maintenance = asyncio.create_task(self._run_maintenance(), name="mail leases")
        try:
            while not stop.is_set():
                if await self._run_guarded(self._claim):
                    await self._dependencies.wake_event.wait(POLL_SECONDS)
        finally:
            await self._drain(drain)
            maintenance.cancel()
            await asyncio.gather(maintenance, return_exceptions=True)
            await self._dependencies.sender.close()

    # -- claiming ------------------------------------------------------------------------------------------------------

    async def _claim(self) -> None:
        limit = min(self._dependencies.sender.capacity() - len(self._leased), self._slots.free())
        self._has_more = True  # unless the claim shows otherwise
        if limit <= 0:
            return
        now = self._clock()
        reserve = min(RESERVED, limit - 1)
        rows = await claim_mails(self._db, self._owner, limit=limit, reserve=reserve, now=now, until=now + self._lease)
        self._has_more = len(rows) >= limit - reserve
        for row in rows:
            leased = self._leased[row.id] = _LeasedMail(row, now + self._lease)
            self._slots.begin(row.id)
            leased.task = asyncio.create_task(self._process(leased), name=f"mail {row.id}")

    async def _run_guarded(self, action: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Run an action on the database. An error never ends the worker: it pauses and returns False."""
        try:
            await action()
        except StorageBusy:
            await asyncio.sleep(random.uniform(0.01, 0.1))  # noqa: S311  # spreads load, guards nothing
            return False
        except StorageUnreachable as error:
            _log.warning("mail worker waits for the database", error=type(error).__name__)
            await asyncio.sleep(DATABASE_PAUSE_SECONDS)
            return False
        except Exception:  # noqa: BLE001  # the worker loop: only `stop` may end it
            _log.exception("mail worker met an unexpected error")
            await asyncio.sleep(DATABASE_PAUSE_SECONDS)
            return False
        return True

    # -- one mail ------------------------------------------------------------------------------------------------------

    async def _process(self, leased: _LeasedMail) -> None:
        was_deferred: bool | None = None
        try:
            outcome = await self._attempt(leased)
            was_deferred = None if outcome is None else _was_deferred(outcome)
            if outcome is not None:
                await self._settle(leased, outcome)
        except (StorageUnreachable, StorageBusy, _LeaseLost):
            _log.info("mail result not stored; retried after the lease expires", mail_id=str(leased.row.id))
        finally:
            self._slots.end(leased.row.id, was_deferred=was_deferred)
            self._leased.pop(leased.row.id, None)
            self._claim_more()

    def _claim_more(self) -> None:
        if self._has_more:
            self._dependencies.wake_event.notify_local()

    def _mark_data_sent(self, leased: _LeasedMail) -> None:
        self._slots.begin_waiting(leased.row.id)
        self._claim_more()

    async def _attempt(self, leased: _LeasedMail) -> SendAttempt | None:
        """Attempt to send a mail. None when its result is already stored."""
        row = leased.row
        try:
            return await self._dependencies.sender.send(
                partial(self._compose, leased), on_data_sent=partial(self._mark_data_sent, leased)
            )
        except _MailObsolete:
            await self._finish(leased, Delivery(DeliveryState.SUPPRESSED, SuppressionReason.ENDED))
        except DomainBusy as busy:
            await self._release(leased, timedelta(seconds=busy.seconds))
        except AddressUnusable:
            await self._finish(leased, Delivery(DeliveryState.FAILED, None, 1, self._clock()))
        except (StorageUnreachable, StorageBusy, _LeaseLost):
            raise
        except Exception as error:  # noqa: BLE001  # one broken mail must not stop the others
            _log.exception(
                "mail could not be rendered", mail_id=str(row.id), kind=row.kind.value, error=type(error).__name__
            )
            return SendAttempt(DeliveryResult.TEMPORARY_FAILURE)
        return None

    async def _compose(self, leased: _LeasedMail) -> RenderedMail:
        """Load and render a mail as late as possible, so that an obsolete mail is not sent."""
        row = leased.row
        message = await self._dependencies.loaders[row.kind](row)
        if message is None:
            raise _MailObsolete
        rules = self._dependencies.rules
        mail = render_mail(
            message,
            row.id,
            sender=rules.sender,
            reply_to_inviter=rules.reply_to_inviter,
            now=self._clock(),
            templates=load_templates(rules.templates_directory),
        )
        self._slots.assign_domain(row.id, mail.domain)
        # only invitations, which come in large numbers: users wait for the other mails
        if row.kind is MailKind.INVITATION and (seconds := self._pace.seconds_until(row.id, mail.domain)):
            raise DomainBusy(seconds)
        if self._clock() >= leased.until:  # this process was delayed for longer than its lease
            raise _LeaseLost
        return mail

    async def _settle(self, leased: _LeasedMail, outcome: SendAttempt) -> None:
        if outcome.result is DeliveryResult.NOT_ATTEMPTED:
            await self._release(leased, outcome.again_in or timedelta(seconds=1))
            return
        delivery, again_at = plan_delivery(outcome, leased.row, self._dependencies.rules.retry, self._clock())
        await self._finish(leased, delivery, again_at)

    async def _finish(self, leased: _LeasedMail, delivery: Delivery, again_at: datetime | None = None) -> None:
        """Store the result, waiting for the database as long as needed: a sent mail must not be sent again."""
        leased.is_finishing = True
        row = leased.row
        count_mail(row.kind.value, delivery.state.value)
        _log.info(
            "delivery attempt finished",
            mail_id=str(row.id),
            kind=row.kind.value,
            outcome=delivery.state.value,
            attempts=row.attempts + 1,
        )

        async def write() -> None:
            if not await finish_mail(self._db, self._owner, row.id, delivery, again_at=again_at):
                _log.warning("mail was taken over meanwhile", mail_id=str(row.id), outcome=delivery.state.value)

        while not await self._run_guarded(write):
            pass
        self._schedule_claim(again_at)

    async def _release(self, leased: _LeasedMail, again_in: timedelta) -> None:
        leased.is_finishing = True
        again_at = self._clock() + again_in * random.uniform(0.8, 1.2)  # noqa: S311  # spreads load, guards nothing
        release = partial(release_mails, self._db, self._owner, [leased.row.id], again_at=again_at)
        while not await self._run_guarded(release):
            pass
        self._schedule_claim(again_at)

    def _schedule_claim(self, again_at: datetime | None) -> None:
        """Schedule a claim for a mail that is due before the next poll."""
        if again_at is not None and (seconds := (again_at - self._clock()).total_seconds()) < POLL_SECONDS:
            asyncio.get_running_loop().call_later(max(seconds, 0) + 0.01, self._dependencies.wake_event.notify_local)

    # -- leases --------------------------------------------------------------------------------------------------------

    async def _run_maintenance(self) -> None:
        while True:
            await asyncio.sleep(self._lease.total_seconds() / RENEWALS)
            if self._leased:
                await self._run_guarded(self._renew)
                self._abandon_expired()
            await self._run_guarded(self._dependencies.sender.close_idle)

    async def _renew(self) -> None:
        leased_mails = dict(self._leased)
        until = self._clock() + self._lease
        renewed_ids = await renew_leases(self._db, self._owner, list(leased_mails), until=until)
        for mail_id, leased in leased_mails.items():
            if mail_id in renewed_ids:
                leased.until = until
            elif not leased.is_finishing:
                self._abandon(leased)

    def _abandon_expired(self) -> None:
        for leased in list(self._leased.values()):
            if self._clock() >= leased.until:
                self._abandon(leased)

    def _abandon(self, leased: _LeasedMail) -> None:
        """Cancel sending, unless the server already has all data: then it cannot be undone."""
        if leased.task and not leased.is_finishing and not self._slots.is_waiting(leased.row.id):
            leased.task.cancel()

    async def _drain(self, limit: timedelta) -> None:
        tasks = {leased.task for leased in self._leased.values() if leased.task}
        if tasks:
            await asyncio.wait(tasks, timeout=limit.total_seconds())
        # a mail whose result is being stored keeps its lease, because the write may still succeed
        unfinished = [mail_id for mail_id, leased in self._leased.items() if not leased.is_finishing]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if unfinished:
            await self._run_guarded(partial(release_mails, self._db, self._owner, unfinished, again_at=self._clock()))


def _was_deferred(outcome: SendAttempt) -> bool | None:
    """Whether the recipient's server deferred the mail (True) or accepted it (False); None for other outcomes."""
    if outcome.result is DeliveryResult.TEMPORARY_FAILURE and (outcome.reply or "").startswith("4"):
        return True
    return False if outcome.result is DeliveryResult.ACCEPTED else None


def plan_delivery(
    outcome: SendAttempt, row: OutboxRow, retry: RetryRules, now: datetime
) -> tuple[Delivery, datetime | None]:
    """Return the delivery result for the outcome of an attempt, and when to try again."""
    match outcome.result:
        case DeliveryResult.OFF:
            return Delivery(DeliveryState.SUPPRESSED, SuppressionReason.MAIL_OFF), None
        case DeliveryResult.ACCEPTED:
            return Delivery(DeliveryState.SENT, None, 1, now, outcome.reply), None
        case DeliveryResult.NO_RECIPIENT:
            return Delivery(DeliveryState.BOUNCED, None, 1, now, outcome.reply), None
        case DeliveryResult.REFUSED:
            return Delivery(DeliveryState.FAILED, None, 1, now, outcome.reply), None
    again_at = now + _pause(outcome, row, retry)
    if again_at > row.created_at + retry.give_up:
        return Delivery(DeliveryState.FAILED, None, 1, now, outcome.reply), None
    return Delivery(DeliveryState.DEFERRED, None, 1, now, outcome.reply), again_at


def _pause(outcome: SendAttempt, row: OutboxRow, retry: RetryRules) -> timedelta:
    pause = get_retry_pause(retry, row.attempts + 1)
    if outcome.result is DeliveryResult.SERVER_ERROR:
        # a problem of the installation: the circuit breaker limits the load on the server, so a mail need not wait
        # long after the server is back
        return max(outcome.again_in or timedelta(0), min(pause, MAX_COOLDOWN))
    return pause


def get_retry_pause(retry: RetryRules, attempts: int) -> timedelta:
    """Return the pause after this number of attempts: exponential, bounded, and randomized to spread load.

    The first pause is at least 80 % of its setting; later pauses are at least half of theirs.
    """
    first, longest = retry.first.total_seconds(), retry.maximum.total_seconds()
    full = min(first * retry.factor ** min(attempts - 1, 100), longest)
    low = 0.8 if attempts <= 1 else 0.5
    return timedelta(seconds=full * random.uniform(low, 1.0))  # noqa: S311  # spreads load, guards nothing
