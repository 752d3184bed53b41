"""Sending what the outbox promises: claim, load, render, send, write down."""

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
from latchstring.mail.smtp.circuit_breaker import LONGEST_REST
from latchstring.mail.smtp.concurrency import RESERVED, DomainBusy, Slots
from latchstring.mail.smtp.pacing import Pace
from latchstring.mail.templating import templates_in
from latchstring.storage.engine.database import Database
from latchstring.storage.outbox.outbox import OutboxRow, claim_mails, finish_mail, hand_back_mails, renew_leases
from latchstring.telemetry.metrics import count_mail
from latchstring.worker.wake_event import WakeEvent

Loader = Callable[[OutboxRow], Awaitable[Message | None]]

LEASE = timedelta(seconds=12)  # the contract promises takeover within 20 s of a death
RENEWALS = 3  # in the time of one lease
POLL_SECONDS = 1.0
DATABASE_PAUSE_SECONDS = 1.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailDependencies:
    """What sending needs. loaders: by kind, the message of a row, or None when there is nothing to say any more."""

    db: Database
    clock: Clock
    rules: MailRules
    sender: Sender
    loaders: Mapping[MailKind, Loader]
    wake: WakeEvent
    lease: timedelta = LEASE


class _Handled(Exception):
    """What the mail was about ended while it waited."""


class _LeaseLost(Exception):
    """Somebody else may have taken the mail over."""


@dataclass(slots=True)
class _LeasedMail:
    row: OutboxRow
    until: datetime
    task: "asyncio.Task[None] | None" = None
    is_finishing: bool = False


class MailWorker:
    """One process's share of the sending. Any number of them work on one outbox."""

    def __init__(self, parts: MailDependencies) -> None:
        self._parts = parts
        self._db = parts.db
        self._clock = parts.clock
        self._lease = parts.lease
        self._owner = new_id(parts.clock())
        self._held: dict[UUID, _LeasedMail] = {}
        self._slots = Slots(parts.rules.pace.at_once)
        self._pace = Pace(parts.rules.pace)
        self._more = False  # whether the last claim left something behind

    async def run(self, stop: asyncio.Event, *, drain: timedelta) -> None:
        """Send until told to stop, then finish what is under way, and hand back what takes longer than `drain`."""
        keeping = asyncio.create_task(self._run_maintenance(), name="mail leases")
        try:
            while not stop.is_set():
                if await self._through_outages(self._claim):
                    await self._parts.wake.wait(POLL_SECONDS)
        finally:
            await self._drain(drain)
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await self._parts.sender.close()

    # -- claiming ------------------------------------------------------------------------------------------------------

    async def _claim(self) -> None:
        room = min(self._parts.sender.capacity() - len(self._held), self._slots.free())
        self._more = True  # as long as nobody looked
        if room <= 0:
            return
        now = self._clock()
        reserve = min(RESERVED, room - 1)
        rows = await claim_mails(self._db, self._owner, limit=room, reserve=reserve, now=now, until=now + self._lease)
        self._more = len(rows) >= room - reserve
        for row in rows:
            held = self._held[row.id] = _LeasedMail(row, now + self._lease)
            self._slots.begin(row.id)
            held.task = asyncio.create_task(self._attend(held), name=f"mail {row.id}")

    async def _through_outages(self, action: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Run an action on the database; whatever happens to it never ends the worker. False: it was not done."""
        try:
            await action()
        except StorageBusy:
            await asyncio.sleep(random.uniform(0.01, 0.1))  # noqa: S311  # whoever collided parts ways
            return False
        except StorageUnreachable as error:
            _log.warning("mail worker waits for the database", error=type(error).__name__)
            await asyncio.sleep(DATABASE_PAUSE_SECONDS)
            return False
        except Exception:  # noqa: BLE001  # the worker loop: nothing may end the sending but the stop
            _log.exception("mail worker met an unexpected error")
            await asyncio.sleep(DATABASE_PAUSE_SECONDS)
            return False
        return True

    # -- one mail ------------------------------------------------------------------------------------------------------

    async def _attend(self, held: _LeasedMail) -> None:
        put_off: bool | None = None
        try:
            outcome = await self._attempt(held)
            put_off = None if outcome is None else _asks_for_patience(outcome)
            if outcome is not None:
                await self._settle(held, outcome)
        except (StorageUnreachable, StorageBusy, _LeaseLost):
            _log.info("mail left to its lease", mail_id=str(held.row.id))
        finally:
            self._slots.end(held.row.id, put_off=put_off)
            self._held.pop(held.row.id, None)
            self._look_for_more()

    def _look_for_more(self) -> None:
        if self._more:
            self._parts.wake.set_here()

    def _all_is_said(self, held: _LeasedMail) -> None:
        self._slots.wait_for_last_word(held.row.id)
        self._look_for_more()

    async def _attempt(self, held: _LeasedMail) -> SendAttempt | None:
        """Try to send. None: it was settled already."""
        row = held.row
        try:
            return await self._parts.sender.send(
                partial(self._compose, held), on_data_sent=partial(self._all_is_said, held)
            )
        except _Handled:
            await self._finish(held, Delivery(DeliveryState.SUPPRESSED, SuppressionReason.ENDED))
        except DomainBusy as busy:
            await self._hand_back(held, timedelta(seconds=busy.seconds))
        except AddressUnusable:
            await self._finish(held, Delivery(DeliveryState.FAILED, None, 1, self._clock()))
        except (StorageUnreachable, StorageBusy, _LeaseLost):
            raise
        except Exception as error:  # noqa: BLE001  # one broken mail must not end the loop that sends the others
            _log.exception(
                "mail could not be made", mail_id=str(row.id), kind=row.kind.value, error=type(error).__name__
            )
            return SendAttempt(DeliveryResult.LATER)
        return None

    async def _compose(self, held: _LeasedMail) -> RenderedMail:
        """Load and render, at the last moment: what ended meanwhile is not sent."""
        row = held.row
        message = await self._parts.loaders[row.kind](row)
        if message is None:
            raise _Handled
        rules = self._parts.rules
        mail = render_mail(
            message,
            row.id,
            sender=rules.sender,
            reply_to_inviter=rules.reply_to_inviter,
            now=self._clock(),
            templates=templates_in(rules.templates_directory),
        )
        self._slots.name_domain(row.id, mail.domain)
        # only what comes in masses: somebody waits at the screen for the others
        if row.kind is MailKind.INVITATION and (seconds := self._pace.seconds_until(row.id, mail.domain)):
            raise DomainBusy(seconds)
        if self._clock() >= held.until:  # this process was held up for longer than its lease
            raise _LeaseLost
        return mail

    async def _settle(self, held: _LeasedMail, outcome: SendAttempt) -> None:
        if outcome.result is DeliveryResult.NOT_ATTEMPTED:
            await self._hand_back(held, outcome.again_in or timedelta(seconds=1))
            return
        delivery, again_at = judge(outcome, held.row, self._parts.rules.retry, self._clock())
        await self._finish(held, delivery, again_at)

    async def _finish(self, held: _LeasedMail, delivery: Delivery, again_at: datetime | None = None) -> None:
        """Write the end down, however long the database is away: a sent mail must not be sent again."""
        held.is_finishing = True
        row = held.row
        count_mail(row.kind.value, delivery.state.value)
        _log.info(
            "mail", mail_id=str(row.id), kind=row.kind.value, outcome=delivery.state.value, tries=row.attempts + 1
        )

        async def write() -> None:
            if not await finish_mail(self._db, self._owner, row.id, delivery, again_at=again_at):
                _log.warning("mail was taken over meanwhile", mail_id=str(row.id), outcome=delivery.state.value)

        while not await self._through_outages(write):
            pass
        self._look_again_at(again_at)

    async def _hand_back(self, held: _LeasedMail, again_in: timedelta) -> None:
        held.is_finishing = True
        again_at = self._clock() + again_in * random.uniform(0.8, 1.2)  # noqa: S311  # spreads load, guards nothing
        back = partial(hand_back_mails, self._db, self._owner, [held.row.id], again_at=again_at)
        while not await self._through_outages(back):
            pass
        self._look_again_at(again_at)

    def _look_again_at(self, again_at: datetime | None) -> None:
        """Ring for what is due before the next look anyway."""
        if again_at is not None and (seconds := (again_at - self._clock()).total_seconds()) < POLL_SECONDS:
            asyncio.get_running_loop().call_later(max(seconds, 0) + 0.01, self._parts.wake.set_here)

    # -- leases --------------------------------------------------------------------------------------------------------

    async def _run_maintenance(self) -> None:
        while True:
            await asyncio.sleep(self._lease.total_seconds() / RENEWALS)
            if self._held:
                await self._through_outages(self._renew)
                self._let_go_of_overdue()
            await self._through_outages(self._parts.sender.tidy)

    async def _renew(self) -> None:
        asked = dict(self._held)
        until = self._clock() + self._lease
        mine = await renew_leases(self._db, self._owner, list(asked), until=until)
        for mail_id, held in asked.items():
            if mail_id in mine:
                held.until = until
            elif not held.is_finishing:
                self._let_go(held)

    def _let_go_of_overdue(self) -> None:
        for held in list(self._held.values()):
            if self._clock() >= held.until:
                self._let_go(held)

    def _let_go(self, held: _LeasedMail) -> None:
        """Stop before everything is said; what the server has already cannot be called back."""
        if held.task and not held.is_finishing and not self._slots.is_waiting(held.row.id):
            held.task.cancel()

    async def _drain(self, patience: timedelta) -> None:
        tasks = {held.task for held in self._held.values() if held.task}
        if tasks:
            await asyncio.wait(tasks, timeout=patience.total_seconds())
        # one whose end is being written keeps its lease, because the write may still arrive
        unfinished = [mail_id for mail_id, held in self._held.items() if not held.is_finishing]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if unfinished:
            await self._through_outages(
                partial(hand_back_mails, self._db, self._owner, unfinished, again_at=self._clock())
            )


def _asks_for_patience(outcome: SendAttempt) -> bool | None:
    """Whether the recipient's side put the mail off (True) or took one (False)."""
    if outcome.result is DeliveryResult.LATER and (outcome.reply or "").startswith("4"):
        return True
    return False if outcome.result is DeliveryResult.TAKEN else None


def judge(outcome: SendAttempt, row: OutboxRow, retry: RetryRules, now: datetime) -> tuple[Delivery, datetime | None]:
    """What the outcome of a try makes of the mail, and when it is tried again."""
    match outcome.result:
        case DeliveryResult.OFF:
            return Delivery(DeliveryState.SUPPRESSED, SuppressionReason.MAIL_OFF), None
        case DeliveryResult.TAKEN:
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
    pause = back_off(retry, row.attempts + 1)
    if outcome.result is DeliveryResult.TROUBLE:
        # the installation's trouble: the server gets its rest by the circuit, one mail at a time, and no mail need
        # wait long after it is back
        return max(outcome.again_in or timedelta(0), min(pause, LONGEST_REST))
    return pause


def back_off(retry: RetryRules, attempts: int) -> timedelta:
    """The pause after so many attempts: growing, bounded, and spread so that mails put off together part ways.

    The first stays near its rule, for the impatient; later ones fall anywhere in the upper half.
    """
    first, longest = retry.first.total_seconds(), retry.maximum.total_seconds()
    full = min(first * retry.factor ** min(attempts - 1, 100), longest)
    low = 0.8 if attempts <= 1 else 0.5
    return timedelta(seconds=full * random.uniform(low, 1.0))  # noqa: S311  # spreads load, guards nothing
