"""Links that open nothing any more, declining, and asking for a fresh link."""

import pytest
from tests.support.page_client import PASSWORD, Door

from latchstring.domain.invitation import Channel, Invitation
from latchstring.domain.principal import OPERATOR_PRINCIPAL

PROFILE = {"firstName": "Jonas", "lastName": "Keller", "password": PASSWORD, "acceptTerms": "yes"}
BROKEN = ["", "eyJhbGciOiJIUzI1NiJ9.e30.x", "<script>", "ey" * 3000, "%ff", "a%00b"]


async def end(door: Door, invitation: Invitation, how: str) -> None:
    """Bring an invitation to an end and forget who did it."""
    token, services = door.token(invitation), door.services
    if how == "expired":
        door.wait(days=7)
    elif how == "superseded":
        await services.invitations.issuing.resend(invitation.id, by=OPERATOR_PRINCIPAL)
    elif how == "revoked":
        await services.invitations.issuing.revoke(invitation.id, by=OPERATOR_PRINCIPAL)
    elif how == "declined":
        await services.invitations.answering.decline(token)
    else:
        await door.post("/invitation/accept", {**PROFILE, "token": token})
        await door.post("/logout")


ENDINGS = {
    "expired": (410, "This link has run out, the welcome has not", "Send me a new link"),
    "superseded": (410, "A newer link is in your mail", "Send me a new link"),
    "revoked": (410, "This invitation was withdrawn", "Sign in to Orchard Lane"),
    "declined": (410, "You declined this invitation", "Ask for a new invitation"),
    "accepted": (409, "You have come in through this link already", "Sign in to Orchard Lane"),
}


@pytest.mark.parametrize("how", ENDINGS)
async def test_an_ended_link_says_which_end_and_what_is_left(door: Door, how: str) -> None:
    status, words, step = ENDINGS[how]
    invitation = await door.invite(by=await door.inviter())
    token = door.token(invitation)
    await end(door, invitation, how)
    for seen in [
        await door.get(f"/invitation?token={token}"),
        await door.get(f"/invitation/decline?token={token}"),
        await door.post("/invitation/accept", {**PROFILE, "token": token}),
        await door.post("/invitation/decline", {"token": token}),
    ]:
        assert (seen.status, seen.code) == (status, f"invitation-{how}")
        assert words in seen.words
        assert step in seen.words
        assert "Mira Okafor invited you to Orchard Lane" in seen.words


async def test_an_ended_link_masks_the_address(door: Door) -> None:
    invitation = await door.invite()
    await end(door, invitation, "expired")
    seen = await door.get(f"/invitation?token={door.token(invitation)}")
    assert "It worked until Monday 9 March 2026." in seen.words
    assert "j•••@people.test" in seen.words
    assert "jonas@" not in seen.html


@pytest.mark.parametrize("token", BROKEN)
async def test_a_link_that_is_not_ours_is_told_apart_from_nothing(door: Door, token: str) -> None:
    seen = await door.get(f"/invitation?token={token}")
    assert (seen.status, seen.code) == (401, "invitation-token-invalid")
    assert "This link does not open anything here" in seen.words
    assert "Write to the people at Orchard Lane" in seen.words
    assert "<script>" not in seen.html


async def test_a_page_without_any_token_says_the_same(door: Door) -> None:
    for path in ("/invitation", "/invitation/decline"):
        seen = await door.get(path)
        assert (seen.status, seen.code) == (401, "invitation-token-invalid")


async def test_whoever_is_in_goes_on_from_a_used_link(door: Door) -> None:
    token = door.token(await door.invite())
    await door.post("/invitation/accept", {**PROFILE, "token": token})
    seen = await door.get(f"/invitation?token={token}")
    assert (seen.status, seen.code) == (409, "invitation-accepted")
    assert "Go to Orchard Lane" in seen.words


# ---- declining ---------------------------------------------------------------------------------------------------


async def test_declining_asks_first_and_then_tells(door: Door) -> None:
    invitation = await door.invite(by=await door.inviter())
    token = door.token(invitation)
    seen = await door.get(f"/invitation/decline?token={token}")
    assert "Decline the invitation?" in seen.words
    assert "Mira Okafor will know." in seen.words
    assert await door.state(invitation) == "PENDING"
    sent = await door.post("/invitation/decline", {"token": token, "reason": "No time this spring."})
    assert sent.target == "/invitation/declined"
    assert "You declined the invitation" in (await door.get(sent.target)).words
    assert await door.state(invitation) == "DECLINED"


async def test_a_reason_that_cannot_be_kept_is_shown_again(door: Door) -> None:
    invitation = await door.invite()
    sent = await door.post("/invitation/decline", {"token": door.token(invitation), "reason": "x" * 1001})
    assert (sent.status, sent.code) == (422, "invalid-fields")
    assert "This is too long. Shorten it." in sent.words
    assert "x" * 1001 in sent.html
    assert await door.state(invitation) == "PENDING"


# ---- a fresh link ------------------------------------------------------------------------------------------------


async def test_asking_for_a_fresh_link_makes_the_next_one(door: Door) -> None:
    invitation = await door.invite()
    token = door.token(invitation)
    door.wait(days=8)
    sent = await door.post("/invitation/request-new", {"token": token})
    assert sent.target == "/invitation/requested"
    assert "Look in your mail" in (await door.get(sent.target)).words
    assert await door.state(invitation) == "PENDING"
    assert (await door.get(f"/invitation?token={token}")).code == "invitation-superseded"


@pytest.mark.parametrize("token", ["", "eyJhbGciOiJIUzI1NiJ9.e30.x"])
async def test_asking_with_a_link_that_is_not_ours_answers_alike(door: Door, token: str) -> None:
    assert (await door.post("/invitation/request-new", {"token": token})).target == "/invitation/requested"


# ---- opening is not answering ------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", list(Channel))
async def test_opening_any_page_changes_nothing(door: Door, channel: Channel) -> None:
    await door.user()
    await door.sign_in()
    invitation = await door.invite("ada@people.test")
    token = door.token(invitation, channel)
    before = await door.dump()
    for path in ("/invitation", "/invitation/decline", "/password-reset", "/verify-email", "/admin/set-up", "/logout"):
        for method in ("GET", "HEAD"):
            await door.browser.request(method, f"{path}?token={token}")
    assert await door.dump() == before


async def test_head_answers_like_get_without_a_body(door: Door) -> None:
    path = f"/invitation?token={door.token(await door.invite())}"
    head, get = await door.browser.head(path), await door.browser.get(path)
    assert head.status_code == get.status_code == 200
    assert head.content == b""


@pytest.mark.parametrize(
    "path", ["/invitation/accept", "/invitation/switch", "/invitation/request-new", "/logout", "/profile/terms"]
)
async def test_what_acts_cannot_be_opened(door: Door, path: str) -> None:
    seen = await door.get(path, headers={"Accept": "text/html"})
    assert seen.status == 405
