"""Visits are added up beside the invitations, and go with them."""

import asyncio
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import select
from tests.storage.invitations.test_invitations import AT, make_new

from latchstring.domain.invitation import Invitation
from latchstring.domain.views.timeline import LinkViews
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import invitations
from latchstring.storage.invitations.cascade import erase_person, purge_ended
from latchstring.storage.invitations.create import insert_invitation
from latchstring.storage.invitations.link_views import add_link_views, list_link_views
from latchstring.storage.invitations.transitions import sweep_expired

MINUTE = timedelta(minutes=1)
INVITATIONS = select(invitations)


async def invite(db: Database, email: str = "ada@people.test") -> Invitation:
    new = make_new(email)
    await insert_invitation(db, new, now=AT)
    return new.invitation


async def test_visits_add_up_and_keep_the_first_and_the_last_instant(database: Database) -> None:
    one = await invite(database)
    await add_link_views(database, [LinkViews(one.id, 1, 2, AT, AT + MINUTE)])
    await add_link_views(database, [LinkViews(one.id, 1, 3, AT + 2 * MINUTE, AT + 4 * MINUTE)])
    await add_link_views(database, [LinkViews(one.id, 1, 1, AT + 3 * MINUTE, AT + 3 * MINUTE)])
    assert await list_link_views(database, one.id) == [LinkViews(one.id, 1, 6, AT, AT + 4 * MINUTE)]


async def test_each_link_has_its_own_visits(database: Database) -> None:
    one, other = await invite(database), await invite(database, "bea@people.test")
    seen = [LinkViews(one.id, 2, 1, AT, AT), LinkViews(other.id, 1, 7, AT, AT), LinkViews(one.id, 1, 4, AT, AT)]
    await add_link_views(database, seen)
    assert [(v.generation, v.times) for v in await list_link_views(database, one.id)] == [(1, 4), (2, 1)]
    assert [v.times for v in await list_link_views(database, other.id)] == [7]


async def test_processes_that_count_at_once_lose_nothing(database: Database) -> None:
    both = [await invite(database), await invite(database, "bea@people.test")]
    rounds = [[LinkViews(one.id, 1, 1, AT, AT) for one in (both if n % 2 else both[::-1])] for n in range(8)]
    await asyncio.gather(*(add_link_views(database, seen) for seen in rounds))
    assert [[v.times for v in await list_link_views(database, one.id)] for one in both] == [[8], [8]]


async def test_a_visit_of_what_is_gone_is_not_kept(database: Database) -> None:
    gone = uuid4()
    await add_link_views(database, [LinkViews(gone, 1, 1, AT, AT)])
    assert await list_link_views(database, gone) == []


async def test_counting_leaves_the_invitation_as_it_was(database: Database) -> None:
    one = await invite(database)
    before = await database.fetch(INVITATIONS)
    await add_link_views(database, [LinkViews(one.id, 1, 1, AT, AT)])
    assert await database.fetch(INVITATIONS) == before


async def test_visits_go_with_the_invitation(database: Database) -> None:
    one = await invite(database)
    await add_link_views(database, [LinkViews(one.id, 1, 1, AT, AT)])
    await sweep_expired(database, now=AT + timedelta(days=8))
    assert await purge_ended(database, before=AT + timedelta(days=9)) == 1
    assert await list_link_views(database, one.id) == []


async def test_visits_go_with_the_person(database: Database) -> None:
    one, other = await invite(database), await invite(database, "bea@people.test")
    await add_link_views(database, [LinkViews(one.id, 1, 1, AT, AT), LinkViews(other.id, 1, 1, AT, AT)])
    by = one.inviter
    await database.transact(lambda: erase_person(uuid4(), "ada@people.test", by=by, now=AT))
    assert await list_link_views(database, one.id) == []
    assert len(await list_link_views(database, other.id)) == 1
