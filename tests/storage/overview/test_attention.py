"""What needs attention, and what does not any more."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from tests.storage.overview.test_daily_counts import AT, WEEK, invite, make_new

from latchstring.domain.ids import new_id
from latchstring.domain.mail import Delivery, DeliveryState, MailKind, OutgoingMail
from latchstring.storage.engine.database import Database, Work
from latchstring.storage.invitations.create import insert_invitation
from latchstring.storage.outbox.outbox import claim_mails, finish_mail, queue_mail
from latchstring.storage.overview.attention import SHOWN, list_expiring, list_trouble

pytestmark = pytest.mark.reads

MINUTE = timedelta(minutes=1)


async def fail(db: Database, state: DeliveryState, reply: str = "550 no such user") -> None:
    owner = new_id(AT)
    for row in await claim_mails(db, owner, limit=10, now=AT, until=AT + MINUTE):
        await finish_mail(db, owner, row.id, Delivery(state, None, 1, AT, reply), again_at=None)


async def test_the_next_to_run_out_come_first_and_all_are_counted(database: Database) -> None:
    ages = [timedelta(days=days) for days in (3, 6, 1, 5, 2, 4, 0)]
    made = {age: make_new(f"p{age.days}@people.test", at=AT - age) for age in ages}
    for new in made.values():
        await insert_invitation(database, new, now=AT)
    found = await list_expiring(database, now=AT, until=AT + WEEK - timedelta(hours=1))
    assert [one.email for one in found.items] == [f"p{days}@people.test" for days in (6, 5, 4, 3, 2, 1)]
    assert (found.total, len(found.items)) == (6, SHOWN)


async def test_what_has_run_out_is_not_running_out(database: Database) -> None:
    await insert_invitation(database, make_new("ada@people.test", at=AT - 2 * WEEK), now=AT - 2 * WEEK)
    assert (await list_expiring(database, now=AT, until=AT + WEEK)).total == 0


@pytest.mark.parametrize("state", [DeliveryState.BOUNCED, DeliveryState.DEFERRED, DeliveryState.FAILED])
async def test_a_mail_that_does_not_get_through_is_trouble(database: Database, state: DeliveryState) -> None:
    await invite(database)
    await fail(database, state)
    found = await list_trouble(database, now=AT)
    assert [(one.state, one.email, one.last_reply) for one in found.items] == [
        (state, "ada@people.test", "550 no such user")
    ]


async def test_what_was_sent_again_ended_or_ran_out_troubles_nobody(database: Database) -> None:
    one = await invite(database)
    await fail(database, DeliveryState.BOUNCED)
    assert (await list_trouble(database, now=AT + 2 * WEEK)).total == 0
    await _change(database, one, "generation = 2")
    assert (await list_trouble(database, now=AT)).total == 0
    await _change(database, one, "generation = 1, state = 3")
    assert (await list_trouble(database, now=AT)).total == 0


async def _change(db: Database, invitation_id: UUID, what: str) -> None:
    await db.write(text(f"UPDATE invitations SET {what} WHERE CAST(id AS TEXT) = '{invitation_id}'"))  # noqa: S608


async def test_a_notice_is_trouble_only_while_it_waits(database: Database) -> None:
    def promise() -> Work[None]:
        yield queue_mail(OutgoingMail(new_id(AT), MailKind.PASSWORD_RESET, new_id(AT), 1, AT))
        yield queue_mail(OutgoingMail(new_id(AT), MailKind.PASSWORD_RESET, new_id(AT), 1, AT))

    await database.transact(promise)
    owner = new_id(AT)
    first, second = await claim_mails(database, owner, limit=10, now=AT, until=AT + MINUTE)
    await finish_mail(database, owner, first.id, Delivery(DeliveryState.BOUNCED, None, 1, AT))
    await finish_mail(database, owner, second.id, Delivery(DeliveryState.DEFERRED, None, 1, AT), again_at=AT + WEEK)
    assert [one.id for one in (await list_trouble(database, now=AT)).items] == [second.id]
