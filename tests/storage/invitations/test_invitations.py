import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import bindparam, func, insert, select

from latchstring.domain.actor import OPERATOR
from latchstring.domain.errors import AlreadyInvited, NotFound
from latchstring.domain.event import new_event
from latchstring.domain.grant import Bundle, Grant, GrantKind
from latchstring.domain.idempotency import AnswerStored, Claim, StoredAnswer
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Invitation, Link, State
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.domain.mail import DeliveryState, MailKind, OutgoingMail
from latchstring.domain.pagination import SortOrder
from latchstring.storage.engine.database import Database, Work
from latchstring.storage.engine.tables import events, groups, outbox
from latchstring.storage.invitations.create import InvitationInsert, insert_invitation
from latchstring.storage.invitations.lists import list_invitations
from latchstring.storage.invitations.read import find_invitation, find_link_view
from latchstring.storage.invitations.transitions import sweep_expired
from latchstring.storage.outbox.outbox import queue_mail

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
COUNT_EVENTS = select(func.count()).select_from(events)
COUNT_MAILS = select(func.count()).select_from(outbox)
INSERT_GROUP = insert(groups).values({c.name: bindparam(c.name, type_=c.type) for c in groups.c})


def create_insert(
    email: str = "ada@people.test", *, role: str | None = "team", grants: tuple[Grant, ...] = (), now: datetime = NOW
) -> InvitationInsert:
    id_ = new_id(now)
    link = Link(1, now, now + WEEK, OPERATOR, "k1")
    invitation = Invitation(id_, email, email.lower(), Bundle(role, grants), OPERATOR, WEEK, link, last_name="Löwe")
    event = new_event("invitation.created", id_, by=OPERATOR, now=now)
    mail = OutgoingMail(new_id(now), MailKind.INVITATION, id_, 1, now)
    return InvitationInsert(invitation, event, mail, may_reveal_membership=True, may_reveal_conflict=True)


async def create_group_grant(db: Database, key: str) -> Grant:
    id_ = new_id(NOW)
    await db.write(INSERT_GROUP, id=id_, key=key, name=key.title(), description=None, translations={}, search_name=key)
    return Grant(GrantKind.GROUP, id_, key)


async def test_a_stored_invitation_is_read_back_unchanged(database: Database) -> None:
    spring, autumn = await create_group_grant(database, "spring"), await create_group_grant(database, "autumn")
    new = create_insert(grants=(autumn, spring))
    await insert_invitation(database, new, now=NOW)
    details = await find_invitation(database, new.invitation.id)
    assert details is not None
    assert details.invitation == new.invitation
    assert details.delivery is not None
    assert details.delivery.state is DeliveryState.QUEUED
    assert details.inviter_name == "Operator"


async def test_the_link_view_has_groups_and_account(database: Database) -> None:
    new = create_insert(grants=(await create_group_grant(database, "spring"),))
    await insert_invitation(database, new, now=NOW)
    view = await find_link_view(database, new.invitation.id)
    assert view is not None
    assert [group.name for group in view.groups] == ["Spring"]
    assert view.account_id is None


async def test_a_deleted_group_is_refused_and_nothing_is_stored(database: Database) -> None:
    deleted = Grant(GrantKind.GROUP, new_id(NOW), "gone")
    with pytest.raises(NotFound):
        await insert_invitation(database, create_insert(grants=(deleted,)), now=NOW)
    assert (await database.fetch(COUNT_EVENTS))[0][0] == 0


async def test_ten_concurrent_identical_inserts_store_one_invitation_and_one_mail(database: Database) -> None:
    attempts = [insert_invitation(database, create_insert(), now=NOW) for _ in range(10)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["AlreadyInvited"] * 9 + ["NoneType"]
    assert (await database.fetch(COUNT_MAILS))[0][0] == 1


async def test_the_conflict_error_has_the_id_of_the_pending_invitation(database: Database) -> None:
    first = create_insert()
    await insert_invitation(database, first, now=NOW)
    with pytest.raises(AlreadyInvited) as error:
        await insert_invitation(database, create_insert(), now=NOW)
    assert error.value.extra == {"id": str(first.invitation.id)}


async def test_an_overdue_invitation_is_expired_for_exactly_one_new_one(database: Database) -> None:
    expired = create_insert(now=NOW - 2 * WEEK)
    await insert_invitation(database, expired, now=NOW - 2 * WEEK)
    attempts = [insert_invitation(database, create_insert(), now=NOW) for _ in range(8)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(result is None for result in results) == 1
    details = await find_invitation(database, expired.invitation.id)
    assert details is not None
    assert details.invitation.state is State.EXPIRED
    assert (await database.fetch(COUNT_EVENTS))[0][0] == 3  # created, expired, created


async def test_a_repeated_claim_raises_and_stores_nothing(database: Database) -> None:
    claim = Claim(UUID(int=7), "POST /api/invitations", "k", b"", b"digest")
    new = replace(create_insert(), stored_answer=(claim, StoredAnswer(201, b"{}", "/x")))
    await insert_invitation(database, new, now=NOW)
    other = replace(create_insert("other@people.test"), stored_answer=new.stored_answer)
    with pytest.raises(AnswerStored):
        await insert_invitation(database, other, now=NOW)
    assert (await database.fetch(COUNT_MAILS))[0][0] == 1
    later = replace(create_insert("later@people.test"), stored_answer=new.stored_answer)
    await insert_invitation(database, later, now=NOW + timedelta(hours=25))


async def test_a_refused_insert_stores_no_claim(database: Database) -> None:
    await insert_invitation(database, create_insert(), now=NOW)
    claim = Claim(UUID(int=7), "POST /api/invitations", "k", b"", b"digest")
    with pytest.raises(AlreadyInvited):
        await insert_invitation(
            database, replace(create_insert(), stored_answer=(claim, StoredAnswer(201, b"{}"))), now=NOW
        )
    fresh = replace(create_insert("other@people.test"), stored_answer=(claim, StoredAnswer(201, b"{}")))
    await insert_invitation(database, fresh, now=NOW)


async def test_the_sweep_expires_only_overdue_invitations(database: Database) -> None:
    await insert_invitation(database, create_insert(now=NOW - 2 * WEEK), now=NOW - 2 * WEEK)
    await insert_invitation(database, create_insert("b@people.test"), now=NOW)
    assert await sweep_expired(database, now=NOW) == 1
    assert await sweep_expired(database, now=NOW) == 0


@pytest.mark.parametrize("by", ["createdAt", "expiresAt", "acceptedAt", "inviteEmail"])
@pytest.mark.parametrize("descending", [True, False])
async def test_pages_in_every_order_have_each_row_once(database: Database, by: str, descending: bool) -> None:  # noqa: FBT001
    for number in range(7):
        new = create_insert(f"p{number % 3}{number}@people.test", now=NOW + timedelta(seconds=number % 4))
        await insert_invitation(database, new, now=NOW)
    ids, cursor, order = [], None, SortOrder(by, descending)
    for _ in range(4):
        page = await list_invitations(database, InvitationFilter(), order=order, cursor=cursor, limit=3, now=NOW)
        ids += [item.invitation.id for item in page.items]
        assert page.total == 7
        cursor = page.next
        if cursor is None:
            break
    assert len(ids) == len(set(ids)) == 7


async def test_the_delivery_filter_uses_the_newest_mail_of_each_invitation(database: Database) -> None:
    queued, suppressed, resent = (create_insert(f"{name}@people.test") for name in ("ada", "bob", "eve"))
    suppressed = replace(suppressed, mail=replace(suppressed.mail, due_at=None, state=DeliveryState.SUPPRESSED))
    for new in (queued, suppressed, resent):
        await insert_invitation(database, new, now=NOW)
    newest_mail = replace(resent.mail, id=new_id(NOW + WEEK), due_at=None, state=DeliveryState.SENT, generation=2)
    await database.transact(lambda: _queue(newest_mail))
    for state, expected in (("QUEUED", queued), ("SUPPRESSED", suppressed), ("SENT", resent)):
        filter_ = InvitationFilter(deliveries=[state])
        page = await list_invitations(database, filter_, limit=25, now=NOW)
        assert [item.invitation.id for item in page.items] == [expected.invitation.id]
        assert page.total == 1


def _queue(mail: OutgoingMail) -> Work[None]:
    yield queue_mail(mail)


async def test_every_filter_finds_the_matching_invitations_only(database: Database) -> None:
    group = await create_group_grant(database, "spring")
    matching = create_insert("ada@people.test", grants=(group,))
    await insert_invitation(database, matching, now=NOW)
    await insert_invitation(database, create_insert("bob@people.test", role="customer", now=NOW - 2 * WEEK), now=NOW)
    filters = [
        InvitationFilter(states=[State.PENDING]),
        InvitationFilter(email_key="ada@people.test"),
        InvitationFilter(roles=["team"]),
        InvitationFilter(group_ids=[group.target_id]),
        InvitationFilter(created_after=NOW),
        InvitationFilter(q="AD"),
    ]
    for filter_ in filters:
        page = await list_invitations(database, filter_, limit=25, now=NOW)
        assert [item.invitation.id for item in page.items] == [matching.invitation.id], filter_
        assert page.total == 1
    matching_two = [
        InvitationFilter(q="löw"),
        InvitationFilter(deliveries=["QUEUED"]),
        InvitationFilter(expires_before=NOW + 2 * WEEK),
    ]
    matching_none = [InvitationFilter(content_type="articles"), InvitationFilter(states=[State.REVOKED])]
    for filter_, count in [(f, 2) for f in matching_two] + [(f, 0) for f in matching_none]:
        page = await list_invitations(database, filter_, limit=25, now=NOW)
        assert page.total == len(page.items) == count, filter_
