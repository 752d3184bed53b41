"""Looking after an invitation: its facts, what can still be done, what came too late, and what happened."""

import html
import re
from datetime import timedelta

import pytest
from markupsafe import escape
from tests.support.page_client import PASSWORD, PageClient, PageResponse

from latchstring.domain.grant import ContentRole
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Channel, Invitation
from latchstring.domain.mail import Delivery, DeliveryState, SuppressionReason
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.invitations.commands import Profile
from latchstring.storage.outbox.outbox import claim_mails, finish_mail

PROFILE = Profile(first_name="Jonas", last_name="Keller", password=PASSWORD, accepts_terms=True)
ACTIONS = ("resend", "revoke", "link")
EVIL = '"><img src=x onerror=alert(1)>'


def path_of(invitation: Invitation) -> str:
    return f"/admin/invitations/{invitation.id}"


async def act(page_client: PageClient, invitation: Invitation, action: str) -> PageResponse:
    return await page_client.send(f"{path_of(invitation)}/{action}", page="/admin/account")


async def accept(page_client: PageClient, invitation: Invitation) -> None:
    await page_client.services.invitations.acceptance.accept(page_client.token(invitation), PROFILE, by=None)


async def try_to_send(
    page_client: PageClient, state: DeliveryState, reply: str, *, again_in: timedelta | None = None
) -> None:
    now, db = page_client.services.clock(), page_client.services.db
    me, again_at = new_id(now), now + again_in if again_in else None
    for row in await claim_mails(db, me, limit=9, now=now, until=now + timedelta(seconds=9)):
        await finish_mail(db, me, row.id, Delivery(state, None, 1, now, reply), again_at=again_at)


def knots(seen: PageResponse) -> list[str]:
    """The timeline as it is read, without instants."""
    found = re.findall(r'<span class="timeline__what">(.*?)</span> ?<', seen.html, re.DOTALL)
    return [" ".join(html.unescape(re.sub(r"<[^>]+>", "", words)).split()) for words in found]


def events(seen: PageResponse) -> list[str]:
    """What each entry of the timeline is."""
    return re.findall(r'data-event="([^"]+)"', seen.html)


# ---- facts -----------------------------------------------------------------------------------------------------------


async def test_terms_and_what_the_system_filled_in_are_text(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.group()
    owner = await page_client.inviter()
    one = await page_client.object("Tide tables", owner=owner, key="tides")
    invitation = await page_client.invite(
        by=owner,
        role="customer",
        groups=("spring",),
        content=((one.type, one.key, ContentRole.EDITOR.name),),
        first_name="Jonas",
        last_name="Keller",
        message="Bring tide tables.",
        locale="de",
    )
    seen = await page_client.get(path_of(invitation))
    for words in (
        "Name Jonas Keller",
        "Role Customer",
        "Spring cohort 0 members",
        "Tide tables Editor",
        "Language Deutsch",
        "Invited by Mira Okafor",
        "Message Bring tide tables.",
        "State Pending",
        "Accepted at Not yet",
        "Expires Monday 9 March 2026, 12:00 (UTC)",
    ):
        assert words in seen.words
    main = seen.html.partition("<main")[2]
    assert re.findall(r"<(?:input|textarea|select)\b(?! type=\"hidden\" name=\"csrf\")", main) == []


async def test_the_secret_is_masked_and_no_link_is_on_the_page(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite()
    seen = await page_client.get(path_of(invitation))
    assert "••••" in seen.words
    assert "eyJ" not in seen.html
    assert page_client.token(invitation)[-8:] not in seen.html


async def test_what_ended_meanwhile_is_struck_out(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.group()
    invitation = await page_client.invite(groups=("spring",))
    await page_client.services.groups.delete("spring", by=OPERATOR_PRINCIPAL)
    assert "spring Ended" in (await page_client.get(path_of(invitation))).words


async def test_who_accepted_is_named_with_the_instant(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite()
    page_client.wait(minutes=5)
    await accept(page_client, invitation)
    seen = await page_client.get(path_of(invitation))
    assert "Accepted at Monday 2 March 2026, 12:05 (UTC)" in seen.words
    assert "Accepted by Jonas Keller" in seen.words
    assert all(f"{path_of(invitation)}/{action}" not in seen.html for action in ACTIONS)


@pytest.mark.parametrize("path", ["/admin/invitations/01890000-0000-7000-8000-000000000000", "/admin/invitations/none"])
async def test_what_is_not_there_is_said_so(page_client: PageClient, path: str) -> None:
    await page_client.sign_in_admin()
    assert (await page_client.get(path)).status == 404


# ---- who may what ----------------------------------------------------------------------------------------------------


async def test_the_data_of_the_app_are_shown_as_text(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    seen = await page_client.get(path_of(await page_client.invite(metadata={"order": "<b>7</b>"})))
    assert "&lt;b&gt;7&lt;/b&gt;" in seen.html
    assert "<b>7" not in seen.html


async def test_a_viewer_sees_the_facts_and_no_action(page_client: PageClient) -> None:
    await page_client.sign_in_admin("vera@panel.test", role="viewer")
    invitation = await page_client.invite()
    seen = await page_client.get(path_of(invitation))
    assert "State Pending" in seen.words
    assert "Duplicate as new" not in seen.words
    assert all(f"{path_of(invitation)}/{action}" not in seen.html for action in ACTIONS)


@pytest.mark.parametrize("action", ACTIONS)
async def test_a_viewer_cannot_send_a_managers_form(page_client: PageClient, action: str) -> None:
    await page_client.sign_in_admin("vera@panel.test", role="viewer")
    invitation = await page_client.invite()
    before = await page_client.dump()
    sent = await act(page_client, invitation, action)
    assert (sent.status, sent.code) == (403, "not-allowed")
    assert (await page_client.dump())["invitations"] == before["invitations"]


@pytest.mark.parametrize("action", ACTIONS)
async def test_a_form_of_another_site_is_refused(page_client: PageClient, action: str) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite()
    before = await page_client.dump()
    sent = PageResponse(await page_client.browser.post(f"{path_of(invitation)}/{action}", data={"csrf": "0" * 32}))
    assert (sent.status, sent.code) == (403, "csrf-token-invalid")
    after = await page_client.dump()
    assert (after["invitations"], after["events"]) == (before["invitations"], before["events"])


@pytest.mark.parametrize("action", ["revoke", "link"])
async def test_a_question_changes_nothing(page_client: PageClient, action: str) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite()
    before = (await page_client.dump())["events"]
    seen = await page_client.get(f"{path_of(invitation)}/{action}")
    assert (seen.status, (await page_client.dump())["events"]) == (200, before)
    assert f'action="{path_of(invitation)}/{action}" method="post"' in seen.html


# ---- actions ---------------------------------------------------------------------------------------------------------


async def test_resending_makes_the_next_link(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite()
    sent = await act(page_client, invitation, "resend")
    assert await page_client.flash(sent) == "invitation-resent"
    seen = await page_client.get(path_of(invitation))
    assert "Link No. 2" in seen.words
    assert 'data-testid="sponsor"' in seen.html


async def test_revoking_ends_the_link(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite()
    assert await page_client.flash(await act(page_client, invitation, "revoke")) == "invitation-revoked"
    assert await page_client.state(invitation) == "REVOKED"
    assert "Invalid" in (await page_client.get(path_of(invitation))).words


async def test_a_revealed_link_is_shown_once(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite()
    question = await page_client.get(f"{path_of(invitation)}/link")
    assert 'data-testid="link-explained"' in question.html
    assert "eyJ" not in question.html
    shown = await act(page_client, invitation, "link")
    assert shown.status == 200
    assert page_client.link(invitation, Channel.REVEALED) in html.unescape(shown.html)
    assert shown.response.headers["cache-control"] == "no-store"
    assert "eyJ" not in (await page_client.get(path_of(invitation))).html
    assert "invitation.revealed" in events(await page_client.get(path_of(invitation)))


@pytest.mark.parametrize(
    ("action", "key"),
    [("revoke", "too-late-to-revoke"), ("resend", "too-late-to-resend"), ("link", "too-late-to-reveal")],
)
async def test_who_comes_too_late_learns_what_came_before(page_client: PageClient, action: str, key: str) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite(first_name="Jonas")
    await accept(page_client, invitation)
    page_client.wait(seconds=30)
    assert await page_client.flash(await act(page_client, invitation, action)) == key
    message = await page_client.read_flash_text(await act(page_client, invitation, action))
    assert message.endswith("\u2068Jonas\u2069 accepted at 12:00 UTC, just before you.")
    assert await page_client.state(invitation) == "ACCEPTED"


async def test_long_ago_was_no_moment_before(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    await page_client.services.invitations.responses.decline(page_client.token(invitation))
    page_client.wait(days=2)
    await page_client.sign_in_admin()
    message = await page_client.read_flash_text(await act(page_client, invitation, "revoke"))
    assert message.endswith("declined on 2 Mar 2026, 12:00.")


async def test_two_who_revoke_are_told_apart(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite()
    await act(page_client, invitation, "revoke")
    message = await page_client.read_flash_text(await act(page_client, invitation, "revoke"))
    assert message.endswith("\u2068Mira Okafor\u2069 revoked it at 12:00 UTC, just before you.")


async def test_a_link_that_ran_out_is_sent_again_rather_than_copied(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    page_client.wait(days=8)
    await page_client.sign_in_admin()
    question = await page_client.get(f"{path_of(invitation)}/link")
    assert f'action="{path_of(invitation)}/link"' not in question.html
    assert await page_client.flash(await act(page_client, invitation, "link")) == "too-late-to-reveal"
    await act(page_client, invitation, "resend")
    assert await page_client.state(invitation) == "PENDING"


async def test_a_resend_that_another_invitation_blocks_says_so(page_client: PageClient) -> None:
    first = await page_client.invite()
    page_client.wait(days=8)
    await page_client.invite()
    await page_client.sign_in_admin()
    assert await page_client.flash(await act(page_client, first, "resend")) == "invitation-already-pending"


@pytest.mark.parametrize("page_client", [('transport = "mailbox"', 'transport = "off"')], indirect=True)
async def test_without_mail_a_new_link_is_made_to_be_copied(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    assert (
        await page_client.flash(await act(page_client, await page_client.invite(), "resend"))
        == "invitation-renewed-without-mail"
    )


# ---- what happened ---------------------------------------------------------------------------------------------------


async def test_the_timeline_tells_everything_in_order(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite(by=await page_client.inviter(), role="customer", first_name="Jonas")
    await try_to_send(page_client, DeliveryState.DEFERRED, "451 4.7.1 Greylisted", again_in=timedelta(minutes=5))
    seen = await page_client.get(path_of(invitation))
    assert knots(seen) == [
        "Invited by Mira Okafor",
        "Mail queued",
        "Mail deferred",
        "Mail: next attempt",
        "Waiting for Jonas",
    ]
    assert "451 4.7.1 Greylisted" in seen.words
    page_client.wait(minutes=5)
    await try_to_send(page_client, DeliveryState.SENT, "250 2.0.0 Ok: queued as 4XQ8")
    for _ in range(2):
        await page_client.get(page_client.link(invitation))
    await page_client.services.link_views.flush()
    page_client.wait(minutes=1)
    await page_client.services.invitations.responses.decline(page_client.token(invitation), reason="No time.")
    seen = await page_client.get(path_of(invitation))
    assert events(seen) == [
        "invitation.created",
        "mail.queued",
        "attempt.deferred",
        "attempt.sent",
        "link.opened",
        "invitation.declined",
        "mail.queued",
        "awaited.mail",
    ]
    for words in ("2 Mar 2026, 12:05 · 1 minute ago · attempt 2", "2 times, last 1 minute ago", "No time."):
        assert words in seen.words


async def test_a_mail_that_a_newer_link_overtook_says_so(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite()
    page_client.wait(minutes=1)
    await act(page_client, invitation, "resend")
    now, db = page_client.services.clock(), page_client.services.db
    me = new_id(now)
    first, _ = await claim_mails(db, me, limit=9, now=now, until=now + timedelta(seconds=9))
    await finish_mail(db, me, first.id, Delivery(DeliveryState.SUPPRESSED, SuppressionReason.ENDED))
    assert events(await page_client.get(path_of(invitation)))[1] == "mail.ended"


async def test_an_instant_is_told_absolutely_and_from_now(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    page_client.wait(days=4)
    await page_client.sign_in_admin()
    title = "Monday 2 March 2026, 12:00 (UTC)"
    shown = f'<time datetime="2026-03-02T12:00:00Z" title="{title}">2 Mar 2026, 12:00</time> · 4 days ago'
    assert shown in (await page_client.get(path_of(invitation))).html


async def test_an_administrator_without_a_name_is_called_by_the_address(page_client: PageClient) -> None:
    admin = await page_client.sign_in_admin("nameless@panel.test", name="")
    invitation = await page_client.invite(by=await page_client.principal(admin))
    seen = await page_client.get(path_of(invitation))
    assert knots(seen)[0] == "Invited by nameless@panel.test"
    assert "Invited by nameless@panel.test" in seen.words
    page_client.sign_out()
    assert "nameless" not in (await page_client.get(page_client.link(invitation))).html


async def test_words_of_servers_and_strangers_stay_words(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite(first_name=EVIL, message=EVIL)
    await try_to_send(page_client, DeliveryState.BOUNCED, f"550 {EVIL}")
    await page_client.services.invitations.responses.decline(page_client.token(invitation), reason=EVIL)
    seen = await page_client.get(path_of(invitation))
    assert "<img" not in seen.html
    assert seen.html.count(str(escape(EVIL))) >= 4  # name, message, reply, reason
