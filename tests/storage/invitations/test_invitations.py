import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import bindparam, func, insert, select

from latchstring.domain.actor import OPERATOR
from latchstring.domain.errors import AlreadyInvited, NotFound
from latchstring.domain.event import happened
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

AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
COUNT_EVENTS = select(func.count()).select_from(events)
COUNT_MAILS = select(func.count()).select_from(outbox)
INSERT_GROUP = insert(groups).values({c.name: bindparam(c.name, type_=c.type) for c in groups.c})


def make_new(
    email: str = "ada@people.test", *, role: str | None = "team", grants: tuple[Grant, ...] = (), at: datetime = AT
) -> InvitationInsert:
    id_ = new_id(at)
    link = Link(1, at, at + WEEK, OPERATOR, "k1")
    invitation = Invitation(id_, email, email.lower(), Bundle(role, grants), OPERATOR, WEEK, link, last_name="Löwe")
    event = happened("invitation.created", id_, by=OPERATOR, now=at)
    mail = OutgoingMail(new_id(at), MailKind.INVITATION, id_, 1, at)
    return InvitationInsert(invitation, event, mail, may_reveal_membership=True, may_reveal_conflict=True)


async def make_group(db: Database, key: str) -> Grant:
    id_ = new_id(AT)
    await db.write(INSERT_GROUP, id=id_, key=key, name=key.title(), description=None, translations={}, search_name=key)
    return Grant(GrantKind.GROUP, id_, key)


async def test_a_stored_invitation_is_read_back_as_it_was(database: Database) -> None:
    spring, autumn = await make_group(database, "spring"), await make_group(database, "autumn")
    new = make_new(grants=(autumn, spring))
    await insert_invitation(database, new, now=AT)
    standing = await find_invitation(database, new.invitation.id)
    assert standing is not None
    assert standing.invitation == new.invitation
    assert standing.delivery is not None
    assert standing.delivery.state is DeliveryState.QUEUED
    assert standing.inviter_name == "Operator"


async def test_the_link_view_names_groups_and_the_account(database: Database) -> None:
    new = make_new(grants=(await make_group(database, "spring"),))
    await insert_invitation(database, new, now=AT)
    view = await find_link_view(database, new.invitation.id)
    assert view is not None
    assert [group.name for group in view.groups] == ["Spring"]
    assert view.account_id is None


async def test_a_vanished_group_refuses_and_stores_nothing(database: Database) -> None:
    gone = Grant(GrantKind.GROUP, new_id(AT), "gone")
    with pytest.raises(NotFound):
        await insert_invitation(database, make_new(grants=(gone,)), now=AT)
    assert (await database.fetch(COUNT_EVENTS))[0][0] == 0


async def test_ten_identical_creates_at_once_make_one_invitation_and_one_mail(database: Database) -> None:
    tries = [insert_invitation(database, make_new(), now=AT) for _ in range(10)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["AlreadyInvited"] * 9 + ["NoneType"]
    assert (await database.fetch(COUNT_MAILS))[0][0] == 1


async def test_the_refusal_names_the_invitation_in_the_way(database: Database) -> None:
    first = make_new()
    await insert_invitation(database, first, now=AT)
    with pytest.raises(AlreadyInvited) as caught:
        await insert_invitation(database, make_new(), now=AT)
    assert caught.value.extra == {"id": str(first.invitation.id)}


async def test_an_expired_invitation_gives_way_exactly_once(database: Database) -> None:
    old = make_new(at=AT - 2 * WEEK)
    await insert_invitation(database, old, now=AT - 2 * WEEK)
    tries = [insert_invitation(database, make_new(), now=AT) for _ in range(8)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(result is None for result in results) == 1
    standing = await find_invitation(database, old.invitation.id)
    assert standing is not None
    assert standing.invitation.state is State.EXPIRED
    assert (await database.fetch(COUNT_EVENTS))[0][0] == 3  # created, expired, created


async def test_a_repeated_claim_finds_its_answer_and_makes_nothing(database: Database) -> None:
    claim = Claim(UUID(int=7), "POST /api/invitations", "k", b"", b"digest")
    new = replace(make_new(), stored_answer=(claim, StoredAnswer(201, b"{}", "/x")))
    await insert_invitation(database, new, now=AT)
    other = replace(make_new("other@people.test"), stored_answer=new.stored_answer)
    with pytest.raises(AnswerStored):
        await insert_invitation(database, other, now=AT)
    assert (await database.fetch(COUNT_MAILS))[0][0] == 1
    later = replace(make_new("later@people.test"), stored_answer=new.stored_answer)
    await insert_invitation(database, later, now=AT + timedelta(hours=25))


async def test_a_refused_create_keeps_no_claim(database: Database) -> None:
    await insert_invitation(database, make_new(), now=AT)
    claim = Claim(UUID(int=7), "POST /api/invitations", "k", b"", b"digest")
    with pytest.raises(AlreadyInvited):
        await insert_invitation(database, replace(make_new(), stored_answer=(claim, StoredAnswer(201, b"{}"))), now=AT)
    fresh = replace(make_new("other@people.test"), stored_answer=(claim, StoredAnswer(201, b"{}")))
    await insert_invitation(database, fresh, now=AT)


async def test_the_sweep_tidies_only_what_is_over(database: Database) -> None:
    await insert_invitation(database, make_new(at=AT - 2 * WEEK), now=AT - 2 * WEEK)
    await insert_invitation(database, make_new("b@people.test"), now=AT)
    assert await sweep_expired(database, now=AT) == 1
    assert await sweep_expired(database, now=AT) == 0


@pytest.mark.parametrize("by", ["createdAt", "expiresAt", "acceptedAt", "inviteEmail"])
@pytest.mark.parametrize("descending", [True, False])
async def test_pages_in_every_order_hold_each_row_once(database: Database, by: str, descending: bool) -> None:  # noqa: FBT001
    for number in range(7):
        new = make_new(f"p{number % 3}{number}@people.test", at=AT + timedelta(seconds=number % 4))
        await insert_invitation(database, new, now=AT)
    seen, cursor, order = [], None, SortOrder(by, descending)
    for _ in range(4):
        page = await list_invitations(database, InvitationFilter(), order=order, cursor=cursor, limit=3, now=AT)
        seen += [item.invitation.id for item in page.items]
        assert page.total == 7
        cursor = page.next
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 7


async def test_each_invitation_is_found_by_its_own_newest_mail(database: Database) -> None:
    waiting, off, resent = (make_new(f"{name}@people.test") for name in ("ada", "bob", "eve"))
    off = replace(off, mail=replace(off.mail, due_at=None, state=DeliveryState.SUPPRESSED))
    for new in (waiting, off, resent):
        await insert_invitation(database, new, now=AT)
    again = replace(resent.mail, id=new_id(AT + WEEK), due_at=None, state=DeliveryState.SENT, generation=2)
    await database.transact(lambda: _promised(again))
    for state, expected in (("QUEUED", waiting), ("SUPPRESSED", off), ("SENT", resent)):
        filter_ = InvitationFilter(deliveries=[state])
        page = await list_invitations(database, filter_, limit=25, now=AT)
        assert [item.invitation.id for item in page.items] == [expected.invitation.id]
        assert page.total == 1


def _promised(mail: OutgoingMail) -> Work[None]:
    yield queue_mail(mail)


async def test_every_filter_finds_what_it_names_and_nothing_else(database: Database) -> None:
    group = await make_group(database, "spring")
    wanted = make_new("ada@people.test", grants=(group,))
    await insert_invitation(database, wanted, now=AT)
    await insert_invitation(database, make_new("bob@people.test", role="customer", at=AT - 2 * WEEK), now=AT)
    filters = [
        InvitationFilter(states=[State.PENDING]),
        InvitationFilter(email_key="ada@people.test"),
        InvitationFilter(roles=["team"]),
        InvitationFilter(group_ids=[group.target_id]),
        InvitationFilter(created_after=AT),
        InvitationFilter(q="AD"),
    ]
    for filter_ in filters:
        page = await list_invitations(database, filter_, limit=25, now=AT)
        assert [item.invitation.id for item in page.items] == [wanted.invitation.id], filter_
        assert page.total == 1
    both = [
        InvitationFilter(q="löw"),
        InvitationFilter(deliveries=["QUEUED"]),
        InvitationFilter(expires_before=AT + 2 * WEEK),
    ]
    neither = [InvitationFilter(content_type="articles"), InvitationFilter(states=[State.REVOKED])]
    for filter_, count in [(f, 2) for f in both] + [(f, 0) for f in neither]:
        page = await list_invitations(database, filter_, limit=25, now=AT)
        assert page.total == len(page.items) == count, filter_
