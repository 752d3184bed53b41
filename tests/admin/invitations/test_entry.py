"""The page of an invitation: its terms, actions, late actions and timeline."""

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


async def submit_action(page_client: PageClient, invitation: Invitation, action: str) -> PageResponse:
    return await page_client.send(f"{path_of(invitation)}/{action}", page="/admin/account")


async def accept(page_client: PageClient, invitation: Invitation) -> None:
    await page_client.services.invitations.acceptance.accept(page_client.token(invitation), PROFILE, by=None)


async def record_attempt(
    page_client: PageClient, state: DeliveryState, reply: str, *, again_in: timedelta | None = None
) -> None:
    now, db = page_client.services.clock(), page_client.services.db
    owner, again_at = new_id(now), now + again_in if again_in else None
    for row in await claim_mails(db, owner, limit=9, now=now, until=now + timedelta(seconds=9)):
        await finish_mail(db, owner, row.id, Delivery(state, None, 1, now, reply), again_at=again_at)


def timeline_texts(seen: PageResponse) -> list[str]:
    """The texts of the timeline, without instants."""
    entries = re.findall(r'<span class="timeline__what">(.*?)</span> ?<', seen.html, re.DOTALL)
    return [" ".join(html.unescape(re.sub(r"<[^>]+>", "", words)).split()) for words in entries]


def timeline_events(seen: PageResponse) -> list[str]:
    """The kinds of the timeline entries."""
    return re.findall(r'data-event="([^"]+)"', seen.html)


# ---- terms -----------------------------------------------------------------------------------------------------------


async def test_terms_and_system_fields_are_read_only(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.group()
    owner = await page_client.inviter()
    article = await page_client.object("Tide tables", owner=owner, key="tides")
    invitation = await page_client.invite(
        by=owner,
        role="customer",
        groups=("spring",),
        content=((article.type, article.key, ContentRole.EDITOR.name),),
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


async def test_ended_grants_are_marked(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.group()
    invitation = await page_client.invite(groups=("spring",))
    await page_client.services.groups.delete("spring", by=OPERATOR_PRINCIPAL)
    assert "spring Ended" in (await page_client.get(path_of(invitation))).words


async def test_the_accepting_user_and_instant_are_shown(page_client: PageClient) -> None:
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


# ---- permissions -----------------------------------------------------------------------------------------------------


async def test_metadata_are_escaped(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    seen = await page_client.get(path_of(await page_client.invite(metadata={"order": "<b>7</b>"})))
    assert "&lt;b&gt;7&lt;/b&gt;" in seen.html
    assert "<b>7" not in seen.html


async def test_a_viewer_sees_an_invitation_without_actions(page_client: PageClient) -> None:
    await page_client.sign_in_admin("vera@panel.test", role="viewer")
    invitation = await page_client.invite()
    seen = await page_client.get(path_of(invitation))
    assert "State Pending" in seen.words
    assert "Duplicate as new" not in seen.words
    assert all(f"{path_of(invitation)}/{action}" not in seen.html for action in ACTIONS)


@pytest.mark.parametrize("action", ACTIONS)
async def test_a_viewer_cannot_submit_forms_of_managers(page_client: PageClient, action: str) -> None:
    await page_client.sign_in_admin("vera@panel.test", role="viewer")
    invitation = await page_client.invite()
    before = await page_client.dump()
    sent = await submit_action(page_client, invitation, action)
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
async def test_a_confirmation_page_changes_nothing(page_client: PageClient, action: str) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite()
    before = (await page_client.dump())["events"]
    seen = await page_client.get(f"{path_of(invitation)}/{action}")
    assert (seen.status, (await page_client.dump())["events"]) == (200, before)
    assert f'action="{path_of(invitation)}/{action}" method="post"' in seen.html


# ---- actions ---------------------------------------------------------------------------------------------------------


async def test_resending_creates_the_next_link(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite()
    sent = await submit_action(page_client, invitation, "resend")
    assert await page_client.flash(sent) == "invitation-resent"
    seen = await page_client.get(path_of(invitation))
    assert "Link No. 2" in seen.words
    assert 'data-testid="sponsor"' in seen.html


async def test_revoking_ends_the_link(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite()
    assert await page_client.flash(await submit_action(page_client, invitation, "revoke")) == "invitation-revoked"
    assert await page_client.state(invitation) == "REVOKED"
    assert "Revoked" in (await page_client.get(path_of(invitation))).words


async def test_a_revealed_link_is_shown_once(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite()
    question = await page_client.get(f"{path_of(invitation)}/link")
    assert 'data-testid="link-explained"' in question.html
    assert "eyJ" not in question.html
    revealed = await submit_action(page_client, invitation, "link")
    assert revealed.status == 200
    assert page_client.link(invitation, Channel.REVEALED) in html.unescape(revealed.html)
    assert revealed.response.headers["cache-control"] == "no-store"
    assert "eyJ" not in (await page_client.get(path_of(invitation))).html
    assert "invitation.revealed" in timeline_events(await page_client.get(path_of(invitation)))


@pytest.mark.parametrize(
    ("action", "key"),
    [("revoke", "too-late-to-revoke"), ("resend", "too-late-to-resend"), ("link", "too-late-to-reveal")],
)
async def test_late_actions_explain_how_the_invitation_ended(page_client: PageClient, action: str, key: str) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite(first_name="Jonas")
    await accept(page_client, invitation)
    page_client.wait(seconds=30)
    assert await page_client.flash(await submit_action(page_client, invitation, action)) == key
    message = await page_client.read_flash_text(await submit_action(page_client, invitation, action))
    assert message.endswith("\u2068Jonas\u2069 accepted at 12:00 UTC, just before you.")
    assert await page_client.state(invitation) == "ACCEPTED"


async def test_late_actions_name_the_date_of_an_older_end(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    await page_client.services.invitations.responses.decline(page_client.token(invitation))
    page_client.wait(days=2)
    await page_client.sign_in_admin()
    message = await page_client.read_flash_text(await submit_action(page_client, invitation, "revoke"))
    assert message.endswith("declined on 2 Mar 2026, 12:00.")


async def test_a_second_revocation_names_the_first_administrator(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite()
    await submit_action(page_client, invitation, "revoke")
    message = await page_client.read_flash_text(await submit_action(page_client, invitation, "revoke"))
    assert message.endswith("\u2068Mira Okafor\u2069 revoked it at 12:00 UTC, just before you.")


async def test_an_expired_link_can_be_resent_but_not_copied(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    page_client.wait(days=8)
    await page_client.sign_in_admin()
    question = await page_client.get(f"{path_of(invitation)}/link")
    assert f'action="{path_of(invitation)}/link"' not in question.html
    assert await page_client.flash(await submit_action(page_client, invitation, "link")) == "too-late-to-reveal"
    await submit_action(page_client, invitation, "resend")
    assert await page_client.state(invitation) == "PENDING"


async def test_a_resend_is_refused_if_an_equal_invitation_is_pending(page_client: PageClient) -> None:
    first = await page_client.invite()
    page_client.wait(days=8)
    await page_client.invite()
    await page_client.sign_in_admin()
    assert await page_client.flash(await submit_action(page_client, first, "resend")) == "invitation-already-pending"


@pytest.mark.parametrize("page_client", [('transport = "mailbox"', 'transport = "off"')], indirect=True)
async def test_without_mail_resending_only_creates_a_link(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    assert (
        await page_client.flash(await submit_action(page_client, await page_client.invite(), "resend"))
        == "invitation-renewed-without-mail"
    )


# ---- timeline --------------------------------------------------------------------------------------------------------


async def test_the_timeline_lists_all_entries_in_order(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite(by=await page_client.inviter(), role="customer", first_name="Jonas")
    await record_attempt(page_client, DeliveryState.DEFERRED, "451 4.7.1 Greylisted", again_in=timedelta(minutes=5))
    seen = await page_client.get(path_of(invitation))
    assert timeline_texts(seen) == [
        "Invited by Mira Okafor",
        "Mail queued",
        "Mail deferred",
        "Mail: next attempt",
        "Waiting for Jonas",
    ]
    assert "451 4.7.1 Greylisted" in seen.words
    page_client.wait(minutes=5)
    await record_attempt(page_client, DeliveryState.SENT, "250 2.0.0 Ok: queued as 4XQ8")
    for _ in range(2):
        await page_client.get(page_client.link(invitation))
    await page_client.services.link_views.flush()
    page_client.wait(minutes=1)
    await page_client.services.invitations.responses.decline(page_client.token(invitation), reason="No time.")
    seen = await page_client.get(path_of(invitation))
    assert timeline_events(seen) == [
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


async def test_a_mail_superseded_by_a_newer_link_is_marked(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite()
    page_client.wait(minutes=1)
    await submit_action(page_client, invitation, "resend")
    now, db = page_client.services.clock(), page_client.services.db
    me = new_id(now)
    first, _ = await claim_mails(db, me, limit=9, now=now, until=now + timedelta(seconds=9))
    await finish_mail(db, me, first.id, Delivery(DeliveryState.SUPPRESSED, SuppressionReason.ENDED))
    assert timeline_events(await page_client.get(path_of(invitation)))[1] == "mail.ended"


async def test_instants_are_shown_absolute_and_relative(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    page_client.wait(days=4)
    await page_client.sign_in_admin()
    title = "Monday 2 March 2026, 12:00 (UTC)"
    expected = f'<time datetime="2026-03-02T12:00:00Z" title="{title}">2 Mar 2026, 12:00</time> · 4 days ago'
    assert expected in (await page_client.get(path_of(invitation))).html


async def test_an_administrator_without_a_name_is_shown_by_address(page_client: PageClient) -> None:
    admin = await page_client.sign_in_admin("nameless@panel.test", name="")
    invitation = await page_client.invite(by=await page_client.principal(admin))
    seen = await page_client.get(path_of(invitation))
    assert timeline_texts(seen)[0] == "Invited by nameless@panel.test"
    assert "Invited by nameless@panel.test" in seen.words
    page_client.sign_out()
    assert "nameless" not in (await page_client.get(page_client.link(invitation))).html


async def test_texts_of_servers_and_invitees_are_escaped(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite(first_name=EVIL, message=EVIL)
    await record_attempt(page_client, DeliveryState.BOUNCED, f"550 {EVIL}")
    await page_client.services.invitations.responses.decline(page_client.token(invitation), reason=EVIL)
    seen = await page_client.get(path_of(invitation))
    assert "<img" not in seen.html
    assert seen.html.count(str(escape(EVIL))) >= 4  # name, message, reply, reason
