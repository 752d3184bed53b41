"""The overview: the numbers of a period, and what needs attention."""

from datetime import timedelta

import pytest
from tests.support.page_client import PageClient

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.event import Event, new_event
from latchstring.domain.ids import new_id
from latchstring.domain.mail import Delivery, DeliveryState
from latchstring.events.record import record
from latchstring.storage.engine.database import Work
from latchstring.storage.outbox.outbox import claim_mails, finish_mail

HOUR = timedelta(hours=1)
INVITEE = Actor(ActorType.INVITEE)


async def record_all(page_client: PageClient, *events: Event) -> None:
    def work() -> Work[None]:
        for event in events:
            yield record(event)

    await page_client.services.db.transact(work)


async def finish_mails(page_client: PageClient, state: DeliveryState, reply: str = "250 ok") -> None:
    now = page_client.services.clock()
    owner = new_id(now)
    for row in await claim_mails(page_client.services.db, owner, limit=10, now=now, until=now + HOUR):
        again_at = now + HOUR if state is DeliveryState.DEFERRED else None
        await finish_mail(
            page_client.services.db, owner, row.id, Delivery(state, None, 1, now, reply), again_at=again_at
        )


async def test_without_invitations_the_page_links_to_the_form(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    seen = await page_client.get("/admin")
    assert seen.status == 200
    assert 'data-testid="no-entries"' in seen.html
    assert 'href="/admin/invitations/new"' in seen.html


async def test_a_viewer_has_no_link_to_the_form(page_client: PageClient) -> None:
    await page_client.sign_in_admin("v@panel.test", role="viewer")
    assert 'href="/admin/invitations/new"' not in (await page_client.get("/admin")).html


async def test_the_funnel_counts_immediately(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    ids = [(await page_client.invite(f"p{n}@people.test")).id for n in range(4)]
    await finish_mails(page_client, DeliveryState.SENT)
    await record_all(
        page_client, new_event("invitation.accepted", ids[0], by=INVITEE, now=page_client.services.clock() + HOUR)
    )
    seen = await page_client.get("/admin?days=7")
    words = seen.words
    assert "Invited 4 100 % Delivered 4 100 % Page opened 0 0 % Accepted 1 25 %" in words
    assert 'data-testid="median" data-minutes="60"' in seen.html
    assert 'data-testid="biggest-loss" data-step="visited" data-count="4"' in seen.html
    again = (await page_client.get("/admin?days=7")).words
    for _ in range(3):
        await page_client.services.backoffice.overviews.count_next_batch()
    assert (await page_client.get("/admin?days=7")).words == again


async def test_a_bounced_mail_is_shown_with_the_servers_reply(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.invite("gone@people.test")
    await finish_mails(page_client, DeliveryState.BOUNCED, "550 5.1.1 <b>No such user</b>")
    seen = await page_client.get("/admin")
    assert 'data-testid="undelivered"' in seen.html
    assert "550 5.1.1 &lt;b&gt;No such user&lt;/b&gt;" in seen.html
    assert "Ask for another address." in seen.words


async def test_invitations_that_expire_this_week_are_listed(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.invite("soon@people.test")
    words = (await page_client.get("/admin")).words
    assert "soon @people.test" in words or "soon@people.test" in words
    assert "All 1" in words


@pytest.mark.parametrize("days", ["7", "30", "90", "1000", "x", ""])
async def test_an_unknown_period_falls_back_to_the_default(page_client: PageClient, days: str) -> None:
    await page_client.sign_in_admin()
    await page_client.invite("p@people.test")
    seen = await page_client.get(f"/admin?days={days}")
    assert seen.status == 200
    assert seen.html.count('<g class="c-col">') == (int(days) if days in {"7", "30", "90"} else 30)


async def test_the_page_has_no_inline_styles(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.invite("p@people.test")
    html = (await page_client.get("/admin")).html
    assert " style=" not in html
    assert "<style" not in html
