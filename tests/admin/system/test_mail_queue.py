"""The mail queue in the panel."""

from uuid import UUID

import pytest
from sqlalchemy import select
from tests.admin.system.test_overview import finish_mails
from tests.support.page_client import PageClient

from latchstring.domain.mail import DeliveryState
from latchstring.storage.engine.tables import events, outbox

MAILS = select(outbox)
EVENTS = select(events)


async def get_only_mail_id(page_client: PageClient) -> UUID:
    (row,) = await page_client.services.db.fetch(MAILS)
    return row.id  # type: ignore[no-any-return]


async def state_of(page_client: PageClient, mail_id: UUID) -> str:
    return str(next(row.state for row in await page_client.services.db.fetch(MAILS) if row.id == mail_id))


async def list_event_types(page_client: PageClient) -> list[str]:
    return [row.type for row in await page_client.services.db.fetch(EVENTS)]


async def test_mails_are_filtered_by_state_and_show_the_servers_reply(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.invite("gone@people.test")
    await finish_mails(page_client, DeliveryState.BOUNCED, "550 <i>no</i> such user")
    await page_client.invite("new@people.test")
    everything, bounced, queued = [
        await page_client.get(f"/admin/mail{query}") for query in ("", "?state=BOUNCED", "?state=QUEUED")
    ]
    assert "550 &lt;i&gt;no&lt;/i&gt; such user" in bounced.html
    assert "gone" in everything.words
    assert "new" in everything.words
    assert "gone" not in queued.words
    assert 'data-testid="no-entries"' in (await page_client.get("/admin/mail?state=FAILED")).html
    assert (await page_client.get("/admin/mail?state=NONSENSE&before=x")).status == 200


async def test_a_bounced_mail_is_retried_and_the_event_recorded(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.invite("gone@people.test")
    mail_id = await get_only_mail_id(page_client)
    await finish_mails(page_client, DeliveryState.BOUNCED)
    seen = await page_client.send(f"/admin/mail/{mail_id}/retry")
    assert await page_client.flash(seen) == "mail-retried"
    assert await state_of(page_client, mail_id) == "QUEUED"
    assert "mail.retried" in await list_event_types(page_client)


async def test_the_mail_of_an_ended_invitation_is_not_retried(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite("gone@people.test")
    mail_id = await get_only_mail_id(page_client)
    await finish_mails(page_client, DeliveryState.BOUNCED)
    await page_client.services.invitations.revoke(
        invitation.id, by=await page_client.principal(await page_client.sign_in_admin())
    )
    key = await page_client.flash(await page_client.send(f"/admin/mail/{mail_id}/retry"))
    assert key in {"mail-obsolete", "mail-finished"}
    assert await state_of(page_client, mail_id) != "QUEUED"
    assert "mail.retried" not in await list_event_types(page_client)


async def test_dropping_needs_a_confirmation_and_ends_only_the_mail(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite("new@people.test")
    mail_id = await get_only_mail_id(page_client)
    confirmation = await page_client.get(f"/admin/mail/{mail_id}/drop")
    assert "Drop this mail?" in confirmation.words
    assert await state_of(page_client, mail_id) == "QUEUED"
    assert await page_client.flash(await page_client.send(f"/admin/mail/{mail_id}/drop")) == "mail-dropped"
    assert await state_of(page_client, mail_id) == "SUPPRESSED"
    assert await page_client.state(invitation) == "PENDING"
    assert "mail.dropped" in await list_event_types(page_client)
    assert await page_client.flash(await page_client.send(f"/admin/mail/{mail_id}/drop")) == "mail-finished"


async def test_the_page_of_a_mail_shows_reply_and_attempts(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.invite("gone@people.test")
    mail_id = await get_only_mail_id(page_client)
    await finish_mails(page_client, DeliveryState.DEFERRED, "452 4.2.2 Mailbox full")
    words = (await page_client.get(f"/admin/mail/{mail_id}")).words
    assert "452 4.2.2 Mailbox full" in words
    assert "Attempts 1" in words
    assert "Next attempt" in words
    assert (
        "gone"
        in (
            await page_client.get(f"/admin/mail?about={(await page_client.services.db.fetch(MAILS))[0].subject_id}")
        ).words
    )


@pytest.mark.parametrize("mail_id", ["nonsense", "00000000-0000-0000-0000-000000000001"])
async def test_what_is_not_there_is_not_found(page_client: PageClient, mail_id: str) -> None:
    await page_client.sign_in_admin()
    assert (await page_client.get(f"/admin/mail/{mail_id}")).status == 404
    assert (await page_client.send(f"/admin/mail/{mail_id}/retry")).status == 404
    assert (await page_client.send(f"/admin/mail/{mail_id}/drop")).status == 404


async def test_a_viewer_cannot_change_mails(page_client: PageClient) -> None:
    await page_client.sign_in_admin("v@panel.test", role="viewer")
    await page_client.invite("gone@people.test")
    mail_id = await get_only_mail_id(page_client)
    await finish_mails(page_client, DeliveryState.BOUNCED)
    assert "/retry" not in (await page_client.get("/admin/mail")).html
    assert "/retry" not in (await page_client.get(f"/admin/mail/{mail_id}")).html
    for action in ("retry", "drop"):
        assert (await page_client.send(f"/admin/mail/{mail_id}/{action}")).status == 403
    assert await state_of(page_client, mail_id) == "BOUNCED"


async def test_a_form_without_a_csrf_token_changes_nothing(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.invite("gone@people.test")
    mail_id = await get_only_mail_id(page_client)
    answer = await page_client.browser.post(f"/admin/mail/{mail_id}/drop", data={"csrf": "0" * 32})
    assert answer.status_code == 403
    assert await state_of(page_client, mail_id) == "QUEUED"
