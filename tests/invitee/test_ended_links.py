"""Links that open nothing any more, declining, and asking for a fresh link."""

import pytest
from tests.support.page_client import PASSWORD, PageClient

from latchstring.domain.invitation import Channel, Invitation
from latchstring.domain.principal import OPERATOR_PRINCIPAL

PROFILE = {"firstName": "Jonas", "lastName": "Keller", "password": PASSWORD, "acceptTerms": "yes"}
BROKEN = ["", "eyJhbGciOiJIUzI1NiJ9.e30.x", "<script>", "ey" * 3000, "%ff", "a%00b"]


async def end(page_client: PageClient, invitation: Invitation, how: str) -> None:
    """Bring an invitation to an end and forget who did it."""
    token, services = page_client.token(invitation), page_client.services
    if how == "expired":
        page_client.wait(days=7)
    elif how == "superseded":
        await services.invitations.resend(invitation.id, by=OPERATOR_PRINCIPAL)
    elif how == "revoked":
        await services.invitations.revoke(invitation.id, by=OPERATOR_PRINCIPAL)
    elif how == "declined":
        await services.invitations.responses.decline(token)
    else:
        await page_client.post("/invitation/accept", {**PROFILE, "token": token})
        await page_client.post("/logout")


ENDINGS = {
    "expired": (410, "This link has expired", "Send me a new link"),
    "superseded": (410, "A newer link is in your mail", "Send me a new link"),
    "revoked": (410, "This invitation was withdrawn", "Sign in to Orchard Lane"),
    "declined": (410, "You declined this invitation", "Ask for a new invitation"),
    "accepted": (409, "You have already accepted this invitation", "Sign in to Orchard Lane"),
}


@pytest.mark.parametrize("how", ENDINGS)
async def test_an_ended_link_says_which_end_and_what_is_left(page_client: PageClient, how: str) -> None:
    status, words, step = ENDINGS[how]
    invitation = await page_client.invite(by=await page_client.inviter())
    token = page_client.token(invitation)
    await end(page_client, invitation, how)
    for seen in [
        await page_client.get(f"/invitation?token={token}"),
        await page_client.get(f"/invitation/decline?token={token}"),
        await page_client.post("/invitation/accept", {**PROFILE, "token": token}),
        await page_client.post("/invitation/decline", {"token": token}),
    ]:
        assert (seen.status, seen.code) == (status, f"invitation-{how}")
        assert words in seen.words
        assert step in seen.words
        assert "Mira Okafor invited you to Orchard Lane" in seen.words


async def test_an_ended_link_masks_the_address(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    await end(page_client, invitation, "expired")
    seen = await page_client.get(f"/invitation?token={page_client.token(invitation)}")
    assert "It was valid until Monday 9 March 2026." in seen.words
    assert "j•••@people.test" in seen.words
    assert "jonas@" not in seen.html


@pytest.mark.parametrize("token", BROKEN)
async def test_a_link_that_is_not_ours_is_told_apart_from_nothing(page_client: PageClient, token: str) -> None:
    seen = await page_client.get(f"/invitation?token={token}")
    assert (seen.status, seen.code) == (401, "invitation-token-invalid")
    assert 'data-testid="ended"' in seen.html
    assert "Write to the people at Orchard Lane" in seen.words
    assert "<script>" not in seen.html


async def test_a_page_without_any_token_says_the_same(page_client: PageClient) -> None:
    for path in ("/invitation", "/invitation/decline"):
        seen = await page_client.get(path)
        assert (seen.status, seen.code) == (401, "invitation-token-invalid")


async def test_whoever_is_in_goes_on_from_a_used_link(page_client: PageClient) -> None:
    token = page_client.token(await page_client.invite())
    await page_client.post("/invitation/accept", {**PROFILE, "token": token})
    seen = await page_client.get(f"/invitation?token={token}")
    assert (seen.status, seen.code) == (409, "invitation-accepted")
    assert "Go to Orchard Lane" in seen.words


# ---- declining -------------------------------------------------------------------------------------------------------


async def test_declining_asks_first_and_then_tells(page_client: PageClient) -> None:
    invitation = await page_client.invite(by=await page_client.inviter())
    token = page_client.token(invitation)
    seen = await page_client.get(f"/invitation/decline?token={token}")
    assert 'data-testid="decline"' in seen.html
    assert "Mira Okafor will be told." in seen.words
    assert await page_client.state(invitation) == "PENDING"
    sent = await page_client.post("/invitation/decline", {"token": token, "reason": "No time this spring."})
    assert sent.target == "/invitation/declined"
    assert 'data-testid="declined-now"' in (await page_client.get(sent.target)).html
    assert await page_client.state(invitation) == "DECLINED"


async def test_a_reason_that_cannot_be_kept_is_shown_again(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    sent = await page_client.post("/invitation/decline", {"token": page_client.token(invitation), "reason": "x" * 1001})
    assert (sent.status, sent.code) == (422, "invalid-fields")
    assert 'data-testid="reason:too-long"' in sent.html
    assert "x" * 1001 in sent.html
    assert await page_client.state(invitation) == "PENDING"


# ---- a fresh link ----------------------------------------------------------------------------------------------------


async def test_asking_for_a_fresh_link_makes_the_next_one(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    token = page_client.token(invitation)
    page_client.wait(days=8)
    sent = await page_client.post("/invitation/request-new", {"token": token})
    assert sent.target == "/invitation/requested"
    assert 'data-testid="link-requested"' in (await page_client.get(sent.target)).html
    assert await page_client.state(invitation) == "PENDING"
    assert (await page_client.get(f"/invitation?token={token}")).code == "invitation-superseded"


@pytest.mark.parametrize("token", ["", "eyJhbGciOiJIUzI1NiJ9.e30.x"])
async def test_asking_with_a_link_that_is_not_ours_answers_alike(page_client: PageClient, token: str) -> None:
    assert (await page_client.post("/invitation/request-new", {"token": token})).target == "/invitation/requested"


# ---- opening is not answering ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", list(Channel))
async def test_opening_any_page_changes_nothing(page_client: PageClient, channel: Channel) -> None:
    await page_client.user()
    await page_client.sign_in()
    invitation = await page_client.invite("ada@people.test")
    token = page_client.token(invitation, channel)
    before = await page_client.dump()
    for path in ("/invitation", "/invitation/decline", "/password-reset", "/verify-email", "/admin/set-up", "/logout"):
        for method in ("GET", "HEAD"):
            await page_client.browser.request(method, f"{path}?token={token}")
    assert await page_client.dump() == before


async def test_head_answers_like_get_without_a_body(page_client: PageClient) -> None:
    path = f"/invitation?token={page_client.token(await page_client.invite())}"
    head, get = await page_client.browser.head(path), await page_client.browser.get(path)
    assert head.status_code == get.status_code == 200
    assert head.content == b""


@pytest.mark.parametrize(
    "path", ["/invitation/accept", "/invitation/switch", "/invitation/request-new", "/logout", "/profile/terms"]
)
async def test_what_acts_cannot_be_opened(page_client: PageClient, path: str) -> None:
    seen = await page_client.get(path, headers={"Accept": "text/html"})
    assert seen.status == 405
