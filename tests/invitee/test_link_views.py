"""Whoever opens a link is counted, and nothing else changes."""

import asyncio

import pytest
from tests.support.page_client import Door

from latchstring.domain.errors import StorageUnreachable
from latchstring.domain.invitation import Channel, Invitation
from latchstring.invitations import link_views as visits_room
from latchstring.invitations.link_views import VisitCounter
from latchstring.storage.invitations.link_views import find_visits


async def counted(door: Door, invitation: Invitation) -> list[tuple[int, int]]:
    await door.services.visits.flush()
    return [(one.generation, one.times) for one in await find_visits(door.services.db, invitation.id)]


async def test_a_get_changes_nothing_but_the_visit_count(door: Door) -> None:
    invitation = await door.invite()
    before = await door.dump()
    for _ in range(3):
        await door.get(door.link(invitation))
    assert await counted(door, invitation) == [(1, 3)]
    after = await door.dump()
    assert len(after.pop("visits")) == 1
    before.pop("visits")
    assert after == before


async def test_the_page_of_an_object_counts_as_well(door: Door) -> None:
    owner = await door.inviter()
    invitation = await door.share(await door.object(owner=owner), by=owner)
    await door.get(door.link(invitation))
    assert await counted(door, invitation) == [(1, 1)]


async def test_a_revealed_link_counts_with_the_mailed_one(door: Door) -> None:
    invitation = await door.invite()
    await door.get(door.link(invitation, Channel.REVEALED))
    await door.get(door.link(invitation))
    assert await counted(door, invitation) == [(1, 2)]


async def test_head_is_no_visit(door: Door) -> None:
    invitation = await door.invite()
    assert (await door.browser.head(door.link(invitation))).status_code == 200
    assert await counted(door, invitation) == []


async def test_a_forged_link_is_no_visit(door: Door) -> None:
    invitation = await door.invite()
    await door.get(f"{door.link(invitation)[:-4]}AAAA")
    assert await counted(door, invitation) == []


async def test_acting_is_no_visit(door: Door) -> None:
    invitation = await door.invite()
    await door.post("/invitation/decline", {"token": door.token(invitation)})
    assert await counted(door, invitation) == []


async def test_who_comes_too_late_has_come_as_well(door: Door) -> None:
    invitation = await door.invite()
    door.wait(days=8)
    await door.get(door.link(invitation))
    assert await counted(door, invitation) == [(1, 1)]


async def test_an_outage_of_the_database_loses_no_count(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    invitation = await door.invite()
    counter = door.services.visits

    async def away(*_: object) -> None:
        counter.count(invitation.id, 1)  # somebody comes while the write is under way
        raise StorageUnreachable

    counter.count(invitation.id, 1)
    with monkeypatch.context() as patched:
        patched.setattr(visits_room, "add_visits", away)
        with pytest.raises(StorageUnreachable):
            await counter.flush()
    assert await counted(door, invitation) == [(1, 2)]


async def test_what_was_counted_is_written_down_when_the_server_ends(door: Door) -> None:
    invitation = await door.invite()
    async with door.services.visits.flushing():
        door.services.visits.count(invitation.id, 1)
    assert [one.times for one in await find_visits(door.services.db, invitation.id)] == [1]


async def test_a_database_that_never_comes_back_does_not_hold_the_end_up(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    invitation = await door.invite()

    async def hangs(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(visits_room, "add_visits", hangs)
    monkeypatch.setattr(visits_room, "LAST_CHANCE_SECONDS", 0.05)
    counter = VisitCounter(door.services.db, door.services.clock)
    async with asyncio.timeout(5), counter.flushing():
        counter.count(invitation.id, 1)
