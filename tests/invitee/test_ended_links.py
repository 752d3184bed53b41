"""Links that no longer work, declining, and requesting a new link."""

import pytest
from tests.support.page_client import PASSWORD, PageClient

from latchstring.domain.invitation import Channel, Invitation
from latchstring.domain.principal import OPERATOR_PRINCIPAL

PROFILE = {"firstName": "Jonas", "lastName": "Keller", "password": PASSWORD, "acceptTerms": "yes"}
INVALID_TOKENS = ["", "eyJhbGciOiJIUzI1NiJ9.e30.x", "<script>", "ey" * 3000, "%ff", "a%00b"]


async def end(page_client: PageClient, invitation: Invitation, ending: str) -> None:
    """End an invitation, and sign out."""
    token, services = page_client.token(invitation), page_client.services
    if ending == "expired":
        page_client.wait(days=7)
    elif ending == "superseded":
        await services.invitations.resend(invitation.id, by=OPERATOR_PRINCIPAL)
    elif ending == "revoked":
        await services.invitations.revoke(invitation.id, by=OPERATOR_PRINCIPAL)
    elif ending == "declined":
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


@pytest.mark.parametrize("ending", ENDINGS)
async def test_an_ended_link_shows_its_state_and_a_next_step(page_client: PageClient, ending: str) -> None:
    status, text, step = ENDINGS[ending]
    invitation = await page_client.invite(by=await page_client.inviter())
    token = page_client.token(invitation)
    await end(page_client, invitation, ending)
    for page in [
        await page_client.get(f"/invitation?token={token}"),
        await page_client.get(f"/invitation/decline?token={token}"),
        await page_client.post("/invitation/accept", {**PROFILE, "token": token}),
        await page_client.post("/invitation/decline", {"token": token}),
    ]:
        assert (page.status, page.code) == (status, f"invitation-{ending}")
        assert text in page.words
        assert step in page.words
        assert "Mira Okafor invited you to Orchard Lane" in page.words


async def test_an_ended_link_masks_the_address(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    await end(page_client, invitation, "expired")
    page = await page_client.get(f"/invitation?token={page_client.token(invitation)}")
    assert "It was valid until Monday 9 March 2026." in page.words
    assert "j•••@people.test" in page.words
    assert "jonas@" not in page.html


@pytest.mark.parametrize("token", INVALID_TOKENS)
async def test_an_invalid_token_is_rejected(page_client: PageClient, token: str) -> None:
    page = await page_client.get(f"/invitation?token={token}")
    assert (page.status, page.code) == (401, "invitation-token-invalid")
    assert 'data-testid="ended"' in page.html
    assert "Write to the people at Orchard Lane" in page.words
    assert "<script>" not in page.html


async def test_a_missing_token_is_rejected(page_client: PageClient) -> None:
    for path in ("/invitation", "/invitation/decline"):
        page = await page_client.get(path)
        assert (page.status, page.code) == (401, "invitation-token-invalid")


async def test_an_accepted_link_leads_a_signed_in_user_to_the_app(page_client: PageClient) -> None:
    token = page_client.token(await page_client.invite())
    await page_client.post("/invitation/accept", {**PROFILE, "token": token})
    page = await page_client.get(f"/invitation?token={token}")
    assert (page.status, page.code) == (409, "invitation-accepted")
    assert "Go to Orchard Lane" in page.words


# ---- decline ---------------------------------------------------------------------------------------------------------


async def test_declining_requires_confirmation_and_is_confirmed(page_client: PageClient) -> None:
    invitation = await page_client.invite(by=await page_client.inviter())
    token = page_client.token(invitation)
    page = await page_client.get(f"/invitation/decline?token={token}")
    assert 'data-testid="decline"' in page.html
    assert "Mira Okafor will be told." in page.words
    assert await page_client.state(invitation) == "PENDING"
    result = await page_client.post("/invitation/decline", {"token": token, "reason": "No time this spring."})
    assert result.target == "/invitation/declined"
    assert 'data-testid="declined-now"' in (await page_client.get(result.target)).html
    assert await page_client.state(invitation) == "DECLINED"


async def test_an_invalid_reason_is_shown_again(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    result = await page_client.post(
        "/invitation/decline", {"token": page_client.token(invitation), "reason": "x" * 1001}
    )
    assert (result.status, result.code) == (422, "invalid-fields")
    assert 'data-testid="reason:too-long"' in result.html
    assert "x" * 1001 in result.html
    assert await page_client.state(invitation) == "PENDING"


# ---- a new link ------------------------------------------------------------------------------------------------------


async def test_requesting_a_new_link_supersedes_the_previous_one(page_client: PageClient) -> None:
    invitation = await page_client.invite()
    token = page_client.token(invitation)
    page_client.wait(days=8)
    result = await page_client.post("/invitation/request-new", {"token": token})
    assert result.target == "/invitation/requested"
    assert 'data-testid="link-requested"' in (await page_client.get(result.target)).html
    assert await page_client.state(invitation) == "PENDING"
    assert (await page_client.get(f"/invitation?token={token}")).code == "invitation-superseded"


@pytest.mark.parametrize("token", ["", "eyJhbGciOiJIUzI1NiJ9.e30.x"])
async def test_requesting_with_an_invalid_token_has_the_same_response(page_client: PageClient, token: str) -> None:
    assert (await page_client.post("/invitation/request-new", {"token": token})).target == "/invitation/requested"


# ---- GET changes nothing ---------------------------------------------------------------------------------------------


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


async def test_head_responds_like_get_without_a_body(page_client: PageClient) -> None:
    path = f"/invitation?token={page_client.token(await page_client.invite())}"
    head, get = await page_client.browser.head(path), await page_client.browser.get(path)
    assert head.status_code == get.status_code == 200
    assert head.content == b""


@pytest.mark.parametrize(
    "path", ["/invitation/accept", "/invitation/switch", "/invitation/request-new", "/logout", "/profile/terms"]
)
async def test_post_routes_reject_get(page_client: PageClient, path: str) -> None:
    page = await page_client.get(path, headers={"Accept": "text/html"})
    assert page.status == 405
