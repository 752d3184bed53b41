"""Mails and invitations that need attention."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from tests.storage.overview.test_daily_counts import NOW, WEEK, invite, new_insert

from latchstring.domain.ids import new_id
from latchstring.domain.mail import Delivery, DeliveryState, MailKind, OutgoingMail
from latchstring.storage.engine.database import Database, Work
from latchstring.storage.invitations.create import insert_invitation
from latchstring.storage.outbox.outbox import claim_mails, finish_mail, queue_mail
from latchstring.storage.overview.attention import LIST_SIZE, list_expiring, list_trouble

pytestmark = pytest.mark.reads

MINUTE = timedelta(minutes=1)


async def fail(db: Database, state: DeliveryState, reply: str = "550 no such user") -> None:
    owner = new_id(NOW)
    for row in await claim_mails(db, owner, limit=10, now=NOW, until=NOW + MINUTE):
        await finish_mail(db, owner, row.id, Delivery(state, None, 1, NOW, reply), again_at=None)


async def test_the_next_invitations_to_expire_come_first_and_all_are_counted(database: Database) -> None:
    ages = [timedelta(days=days) for days in (3, 6, 1, 5, 2, 4, 0)]
    inserts = {age: new_insert(f"p{age.days}@people.test", created_at=NOW - age) for age in ages}
    for insert in inserts.values():
        await insert_invitation(database, insert, now=NOW)
    page = await list_expiring(database, now=NOW, until=NOW + WEEK - timedelta(hours=1))
    assert [invitation.email for invitation in page.items] == [f"p{days}@people.test" for days in (6, 5, 4, 3, 2, 1)]
    assert (page.total, len(page.items)) == (6, LIST_SIZE)


async def test_expired_invitations_are_not_expiring(database: Database) -> None:
    await insert_invitation(database, new_insert("ada@people.test", created_at=NOW - 2 * WEEK), now=NOW - 2 * WEEK)
    assert (await list_expiring(database, now=NOW, until=NOW + WEEK)).total == 0


@pytest.mark.parametrize("state", [DeliveryState.BOUNCED, DeliveryState.DEFERRED, DeliveryState.FAILED])
async def test_a_mail_with_a_delivery_problem_needs_attention(database: Database, state: DeliveryState) -> None:
    await invite(database)
    await fail(database, state)
    page = await list_trouble(database, now=NOW)
    assert [(mail.state, mail.email, mail.last_reply) for mail in page.items] == [
        (state, "ada@people.test", "550 no such user")
    ]


async def test_resent_ended_and_expired_invitations_need_no_attention(database: Database) -> None:
    invitation_id = await invite(database)
    await fail(database, DeliveryState.BOUNCED)
    assert (await list_trouble(database, now=NOW + 2 * WEEK)).total == 0
    await _change(database, invitation_id, "generation = 2")
    assert (await list_trouble(database, now=NOW)).total == 0
    await _change(database, invitation_id, "generation = 1, state = 3")
    assert (await list_trouble(database, now=NOW)).total == 0


async def _change(db: Database, invitation_id: UUID, assignments: str) -> None:
    await db.write(text(f"UPDATE invitations SET {assignments} WHERE CAST(id AS TEXT) = '{invitation_id}'"))  # noqa: S608


async def test_a_notice_needs_attention_only_while_it_is_deferred(database: Database) -> None:
    def queue_mails() -> Work[None]:
        yield queue_mail(OutgoingMail(new_id(NOW), MailKind.PASSWORD_RESET, new_id(NOW), 1, NOW))
        yield queue_mail(OutgoingMail(new_id(NOW), MailKind.PASSWORD_RESET, new_id(NOW), 1, NOW))

    await database.transact(queue_mails)
    owner = new_id(NOW)
    first, second = await claim_mails(database, owner, limit=10, now=NOW, until=NOW + MINUTE)
    await finish_mail(database, owner, first.id, Delivery(DeliveryState.BOUNCED, None, 1, NOW))
    await finish_mail(database, owner, second.id, Delivery(DeliveryState.DEFERRED, None, 1, NOW), again_at=NOW + WEEK)
    assert [mail.id for mail in (await list_trouble(database, now=NOW)).items] == [second.id]
