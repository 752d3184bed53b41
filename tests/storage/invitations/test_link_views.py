"""Link views are counted apart from the invitations, and deleted with them."""

import asyncio
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import select
from tests.storage.invitations.test_invitations import NOW, create_insert

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
    new = create_insert(email)
    await insert_invitation(db, new, now=NOW)
    return new.invitation


async def test_counts_add_up_and_keep_the_first_and_the_last_instant(database: Database) -> None:
    invitation = await invite(database)
    await add_link_views(database, [LinkViews(invitation.id, 1, 2, NOW, NOW + MINUTE)])
    await add_link_views(database, [LinkViews(invitation.id, 1, 3, NOW + 2 * MINUTE, NOW + 4 * MINUTE)])
    await add_link_views(database, [LinkViews(invitation.id, 1, 1, NOW + 3 * MINUTE, NOW + 3 * MINUTE)])
    assert await list_link_views(database, invitation.id) == [LinkViews(invitation.id, 1, 6, NOW, NOW + 4 * MINUTE)]


async def test_each_link_has_its_own_count(database: Database) -> None:
    invitation, other = await invite(database), await invite(database, "bea@people.test")
    link_views = [
        LinkViews(invitation.id, 2, 1, NOW, NOW),
        LinkViews(other.id, 1, 7, NOW, NOW),
        LinkViews(invitation.id, 1, 4, NOW, NOW),
    ]
    await add_link_views(database, link_views)
    assert [(views.generation, views.times) for views in await list_link_views(database, invitation.id)] == [
        (1, 4),
        (2, 1),
    ]
    assert [views.times for views in await list_link_views(database, other.id)] == [7]


async def test_concurrent_counts_are_all_added(database: Database) -> None:
    invitations_ = [await invite(database), await invite(database, "bea@people.test")]
    rounds = [
        [LinkViews(invitation.id, 1, 1, NOW, NOW) for invitation in (invitations_ if n % 2 else invitations_[::-1])]
        for n in range(8)
    ]
    await asyncio.gather(*(add_link_views(database, link_views) for link_views in rounds))
    assert [
        [views.times for views in await list_link_views(database, invitation.id)] for invitation in invitations_
    ] == [
        [8],
        [8],
    ]


async def test_views_of_a_deleted_invitation_are_not_stored(database: Database) -> None:
    deleted_id = uuid4()
    await add_link_views(database, [LinkViews(deleted_id, 1, 1, NOW, NOW)])
    assert await list_link_views(database, deleted_id) == []


async def test_counting_does_not_change_the_invitation(database: Database) -> None:
    invitation = await invite(database)
    before = await database.fetch(INVITATIONS)
    await add_link_views(database, [LinkViews(invitation.id, 1, 1, NOW, NOW)])
    assert await database.fetch(INVITATIONS) == before


async def test_purging_an_invitation_deletes_its_views(database: Database) -> None:
    invitation = await invite(database)
    await add_link_views(database, [LinkViews(invitation.id, 1, 1, NOW, NOW)])
    await sweep_expired(database, now=NOW + timedelta(days=8))
    assert await purge_ended(database, before=NOW + timedelta(days=9)) == 1
    assert await list_link_views(database, invitation.id) == []


async def test_erasing_a_person_deletes_their_views(database: Database) -> None:
    invitation, other = await invite(database), await invite(database, "bea@people.test")
    await add_link_views(database, [LinkViews(invitation.id, 1, 1, NOW, NOW), LinkViews(other.id, 1, 1, NOW, NOW)])
    by = invitation.inviter
    await database.transact(lambda: erase_person(uuid4(), "ada@people.test", by=by, now=NOW))
    assert await list_link_views(database, invitation.id) == []
    assert len(await list_link_views(database, other.id)) == 1
