"""Opening a link counts a view and changes nothing else."""

import asyncio

import pytest
from tests.support.page_client import PageClient

from latchstring.domain.errors import StorageUnreachable
from latchstring.domain.invitation import Channel, Invitation
from latchstring.invitations import link_views
from latchstring.invitations.link_views import LinkViewCounter
from latchstring.storage.invitations.link_views import list_link_views


async def count_views(page_client: PageClient, invitation: Invitation) -> list[tuple[int, int]]:
    await page_client.services.link_views.flush()
    return [(views.generation, views.times) for views in await list_link_views(page_client.services.db, invitation.id)]


async def test_get_changes_only_the_view_count(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    before = await page_client.dump()
    for _ in range(3):
        await page_client.get(page_client.link(invitation))
    assert await count_views(page_client, invitation) == [(1, 3)]
    after = await page_client.dump()
    assert len(after.pop("visits")) == 1
    before.pop("visits")
    assert after == before


async def test_the_page_of_an_object_counts_as_well(page_client: PageClient) -> None:
    owner = await page_client.inviter()
    invitation = await page_client.share(await page_client.object(owner=owner), by=owner)
    await page_client.get(page_client.link(invitation))
    assert await count_views(page_client, invitation) == [(1, 1)]


async def test_a_revealed_link_counts_with_the_mailed_one(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    await page_client.get(page_client.link(invitation, Channel.REVEALED))
    await page_client.get(page_client.link(invitation))
    assert await count_views(page_client, invitation) == [(1, 2)]


async def test_head_is_not_counted(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    assert (await page_client.browser.head(page_client.link(invitation))).status_code == 200
    assert await count_views(page_client, invitation) == []


async def test_a_forged_link_is_not_counted(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    await page_client.get(f"{page_client.link(invitation)[:-4]}AAAA")
    assert await count_views(page_client, invitation) == []


async def test_post_is_not_counted(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    await page_client.post("/invitation/decline", {"token": page_client.token(invitation)})
    assert await count_views(page_client, invitation) == []


async def test_a_view_of_an_expired_link_is_counted(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    page_client.wait(days=8)
    await page_client.get(page_client.link(invitation))
    assert await count_views(page_client, invitation) == [(1, 1)]


async def test_an_outage_of_the_database_loses_no_count(
    page_client: PageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    invitation = await page_client.invite()
    counter = page_client.services.link_views

    async def fail(*_: object) -> None:
        counter.count(invitation.id, 1)  # a view during the write
        raise StorageUnreachable

    counter.count(invitation.id, 1)
    with monkeypatch.context() as patched:
        patched.setattr(link_views, "add_link_views", fail)
        with pytest.raises(StorageUnreachable):
            await counter.flush()
    assert await count_views(page_client, invitation) == [(1, 2)]


async def test_counts_are_stored_when_the_server_ends(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    async with page_client.services.link_views.flushing():
        page_client.services.link_views.count(invitation.id, 1)
    assert [views.times for views in await list_link_views(page_client.services.db, invitation.id)] == [1]


async def test_an_unreachable_database_does_not_delay_the_end(
    page_client: PageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    invitation = await page_client.invite()

    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(link_views, "add_link_views", hang)
    monkeypatch.setattr(link_views, "SHUTDOWN_TIMEOUT_SECONDS", 0.05)
    counter = LinkViewCounter(page_client.services.db, page_client.services.clock)
    async with asyncio.timeout(5), counter.flushing():
        counter.count(invitation.id, 1)
