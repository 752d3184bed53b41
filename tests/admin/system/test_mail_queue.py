"""The mail queue in the panel."""

from uuid import UUID

import pytest
from sqlalchemy import select
from tests.admin.system.test_overview import finish_mails
from tests.support.panel_client import Desk

from latchstring.domain.mail import DeliveryState
from latchstring.storage.engine.tables import events, outbox

MAILS = select(outbox)
EVENTS = select(events)


async def only_mail(desk: Desk) -> UUID:
    (row,) = await desk.services.db.fetch(MAILS)
    return row.id  # type: ignore[no-any-return]


async def state_of(desk: Desk, mail_id: UUID) -> str:
    return str(next(row.state for row in await desk.services.db.fetch(MAILS) if row.id == mail_id))


async def recorded(desk: Desk) -> list[str]:
    return [row.type for row in await desk.services.db.fetch(EVENTS)]


async def test_each_state_lists_its_mails_with_the_servers_words(desk: Desk) -> None:
    await desk.enter()
    await desk.invite("gone@people.test")
    await finish_mails(desk, DeliveryState.BOUNCED, "550 <i>no</i> such user")
    await desk.invite("new@people.test")
    everything, bounced, queued = [
        await desk.get(f"/admin/mail{query}") for query in ("", "?state=BOUNCED", "?state=QUEUED")
    ]
    assert "550 &lt;i&gt;no&lt;/i&gt; such user" in bounced.html
    assert "gone" in everything.words
    assert "new" in everything.words
    assert "gone" not in queued.words
    assert "Every mail gets through." in (await desk.get("/admin/mail?state=FAILED")).words
    assert (await desk.get("/admin/mail?state=NONSENSE&before=x")).status == 200


async def test_a_bounced_mail_is_tried_again_and_that_is_history(desk: Desk) -> None:
    await desk.enter()
    await desk.invite("gone@people.test")
    mail_id = await only_mail(desk)
    await finish_mails(desk, DeliveryState.BOUNCED)
    seen = await desk.send(f"/admin/mail/{mail_id}/retry")
    assert "On its way again" in await desk.said(seen)
    assert await state_of(desk, mail_id) == "QUEUED"
    assert "mail.retried" in await recorded(desk)


async def test_what_has_ended_is_not_tried_again(desk: Desk) -> None:
    await desk.enter()
    invitation = await desk.invite("gone@people.test")
    mail_id = await only_mail(desk)
    await finish_mails(desk, DeliveryState.BOUNCED)
    await desk.services.invitations.issuing.revoke(invitation.id, by=await desk.principal(await desk.enter()))
    said = await desk.said(await desk.send(f"/admin/mail/{mail_id}/retry"))
    assert "has ended" in said or "left or ended" in said
    assert await state_of(desk, mail_id) != "QUEUED"
    assert "mail.retried" not in await recorded(desk)


async def test_dropping_asks_first_and_ends_only_the_mail(desk: Desk) -> None:
    await desk.enter()
    invitation = await desk.invite("new@people.test")
    mail_id = await only_mail(desk)
    asked = await desk.get(f"/admin/mail/{mail_id}/drop")
    assert "Drop this mail?" in asked.words
    assert await state_of(desk, mail_id) == "QUEUED"
    assert "Dropped." in await desk.said(await desk.send(f"/admin/mail/{mail_id}/drop"))
    assert await state_of(desk, mail_id) == "SUPPRESSED"
    assert await desk.state(invitation) == "PENDING"
    assert "mail.dropped" in await recorded(desk)
    assert "ended a moment before" in await desk.said(await desk.send(f"/admin/mail/{mail_id}/drop"))


async def test_one_mail_tells_everything_about_itself(desk: Desk) -> None:
    await desk.enter()
    await desk.invite("gone@people.test")
    mail_id = await only_mail(desk)
    await finish_mails(desk, DeliveryState.DEFERRED, "452 4.2.2 Mailbox full")
    words = (await desk.get(f"/admin/mail/{mail_id}")).words
    assert "452 4.2.2 Mailbox full" in words
    assert "Attempts 1" in words
    assert "Next try" in words
    assert "gone" in (await desk.get(f"/admin/mail?about={(await desk.services.db.fetch(MAILS))[0].subject_id}")).words


@pytest.mark.parametrize("mail_id", ["nonsense", "00000000-0000-0000-0000-000000000001"])
async def test_what_is_not_there_is_not_found(desk: Desk, mail_id: str) -> None:
    await desk.enter()
    assert (await desk.get(f"/admin/mail/{mail_id}")).status == 404
    assert (await desk.send(f"/admin/mail/{mail_id}/retry")).status == 404
    assert (await desk.send(f"/admin/mail/{mail_id}/drop")).status == 404


async def test_a_viewer_reads_and_changes_nothing(desk: Desk) -> None:
    await desk.enter("v@panel.test", role="viewer")
    await desk.invite("gone@people.test")
    mail_id = await only_mail(desk)
    await finish_mails(desk, DeliveryState.BOUNCED)
    assert "Try now" not in (await desk.get("/admin/mail")).words
    assert "Try now" not in (await desk.get(f"/admin/mail/{mail_id}")).words
    for action in ("retry", "drop"):
        assert (await desk.send(f"/admin/mail/{mail_id}/{action}")).status == 403
    assert await state_of(desk, mail_id) == "BOUNCED"


async def test_a_form_without_its_token_changes_nothing(desk: Desk) -> None:
    await desk.enter()
    await desk.invite("gone@people.test")
    mail_id = await only_mail(desk)
    answer = await desk.browser.post(f"/admin/mail/{mail_id}/drop", data={"csrf": "0" * 32})
    assert answer.status_code == 403
    assert await state_of(desk, mail_id) == "QUEUED"
