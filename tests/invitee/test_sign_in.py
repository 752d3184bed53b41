"""Signing in and out, passwords, addresses, the profile, and the door of the panel."""

import pytest
from tests.support.page_client import NOON, PASSWORD, PageClient

from latchstring.crypto.link_tokens import LinkToken, Purpose
from latchstring.domain.invitation import Channel
from latchstring.invitee.sign_in import local_path


async def test_the_start_page_shows_a_stranger_the_way_in(page_client: PageClient) -> None:
    seen = await page_client.get("/")
    assert seen.status == 200
    assert "Welcome to Orchard Lane" in seen.words


async def test_signing_in_leads_to_the_start_page_and_out_again(page_client: PageClient) -> None:
    await page_client.group()
    await page_client.user(groups=("spring",))
    sent = await page_client.post("/login", {"email": "ADA@people.test", "password": PASSWORD})
    assert (sent.status, sent.target) == (303, "/")
    seen = await page_client.get("/")
    for words in ("Good to see you, Ada", "You are Customer at Orchard Lane", "Spring cohort"):
        assert words in seen.words
    sent = await page_client.post("/logout")
    assert sent.target == "/login?done=signed-out"
    assert "You are signed out." in (await page_client.get(sent.target)).words
    assert "Welcome to Orchard Lane" in (await page_client.get("/")).words


async def test_signing_out_ends_the_session_itself(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.sign_in()
    token = page_client.browser.cookies["access_token"]
    await page_client.post("/logout")
    seen = await page_client.get("/", headers={"Cookie": f"access_token={token}"})
    assert "Welcome to Orchard Lane" in seen.words


async def test_a_visitor_stays_signed_in_when_the_access_token_has_run_out(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.sign_in()
    page_client.wait(hours=3)
    before = await page_client.dump()
    for _ in range(2):
        assert "Good to see you, Ada" in (await page_client.get("/")).words
    assert await page_client.dump() == before
    page_client.browser.cookies.delete("access_token")
    assert (
        await page_client.post("/profile", {"firstName": "Ada", "lastName": "Lark"})
    ).target == "/profile?done=saved"
    refresh = page_client.browser.cookies["refresh_token"]
    await page_client.post("/logout")
    for seen in (
        await page_client.get("/"),
        await page_client.get("/", headers={"Cookie": f"refresh_token={refresh}"}),
    ):
        assert "Welcome to Orchard Lane" in seen.words


async def test_a_session_of_pages_ends_when_the_refresh_token_does(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.sign_in()
    page_client.wait(days=30)
    assert "Welcome to Orchard Lane" in (await page_client.get("/")).words


async def test_the_refresh_token_alone_sends_no_form(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.sign_in()
    page_client.wait(hours=1)
    sent = await page_client.post("/profile", {"firstName": "Eve", "lastName": "Eve"}, csrf=False)
    assert (sent.status, sent.code) == (403, "csrf-token-invalid")


@pytest.mark.parametrize(
    ("email", "password"),
    [("ada@people.test", "wrong one"), ("eve@people.test", PASSWORD), ("no address", "x"), ("", "")],
)
async def test_wrong_address_and_wrong_password_look_alike(page_client: PageClient, email: str, password: str) -> None:
    await page_client.user()
    sent = await page_client.post("/login", {"email": email, "password": password, "next": "/profile"})
    assert (sent.status, sent.code) == (401, "invalid-credentials")
    assert 'data-testid="email:credentials"' in sent.html
    assert sent.hidden["next"] == "/profile"
    assert "access_token" not in page_client.browser.cookies


async def test_signing_in_goes_on_to_a_page_of_ours(page_client: PageClient) -> None:
    await page_client.user()
    asked = await page_client.get("/profile")
    assert asked.target == "/login?next=%2Fprofile"
    assert 'name="next" value="/profile"' in (await page_client.get(asked.target)).html
    sent = await page_client.post("/login", {"email": "ada@people.test", "password": PASSWORD, "next": "/profile"})
    assert sent.target == "/profile"


@pytest.mark.parametrize(
    "text",
    ["//evil.test", "/\\evil.test", "https://evil.test", "evil", "/\t/evil.test", "/a\nb", "javascript:x", "/ü", ""],
)
def test_only_paths_of_ours_are_gone_on_to(text: str) -> None:
    assert local_path(text) == ""


def test_a_plain_path_is_gone_on_to() -> None:
    assert local_path("/profile?done=saved") == "/profile?done=saved"


# ---- passwords and addresses -----------------------------------------------------------------------------------------


async def reset_token(page_client: PageClient, purpose: Purpose = Purpose.PASSWORD_RESET) -> str:
    user = await page_client.find_user("ada@people.test")
    assert user is not None
    ends_at = NOON.replace(hour=13)
    return page_client.services.tokens.sign(
        purpose, LinkToken(user.id, user.link_generation, Channel.MAILED, NOON, ends_at)
    )


@pytest.mark.parametrize("email", ["ada@people.test", "nobody@people.test"])
async def test_asking_for_a_reset_answers_alike(page_client: PageClient, email: str) -> None:
    await page_client.user()
    sent = await page_client.post("/password-reset", {"email": email})
    assert (sent.status, sent.target) == (303, "/password-reset/sent")
    assert 'data-testid="password-mailed"' in (await page_client.get(sent.target)).html


async def test_something_that_is_no_address_is_shown_again(page_client: PageClient) -> None:
    sent = await page_client.post("/password-reset", {"email": "ada@people"})
    assert (sent.status, sent.code) == (422, "invalid-fields")
    assert "Enter a full address, like name@example.org" in sent.words
    assert 'value="ada@people"' in sent.html


async def test_a_reset_link_sets_a_new_password_once(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.sign_in()
    token = await reset_token(page_client)
    assert 'data-testid="password-choose"' in (await page_client.get(f"/password-reset?token={token}")).html
    sent = await page_client.post("/password-reset/choose", {"token": token, "password": "brand new herons 9"})
    assert sent.target == "/login?done=password"
    assert "access_token" not in page_client.browser.cookies
    assert "Your new password is set" in (await page_client.get(sent.target)).words
    again = await page_client.post("/password-reset/choose", {"token": token, "password": "brand new herons 9"})
    assert (again.status, again.code) == (401, "reset-token-invalid")
    assert (await page_client.get(f"/password-reset?token={token}")).code == "reset-token-invalid"
    sent = await page_client.post("/login", {"email": "ada@people.test", "password": "brand new herons 9"})
    assert sent.target == "/"


async def test_a_new_password_that_is_too_short_keeps_the_link(page_client: PageClient) -> None:
    await page_client.user()
    token = await reset_token(page_client)
    sent = await page_client.post("/password-reset/choose", {"token": token, "password": "short"})
    assert (sent.status, sent.code) == (422, "invalid-fields")
    assert 'data-testid="password:too-short"' in sent.html
    assert sent.hidden["token"] == token


async def test_confirming_an_address_needs_a_press(page_client: PageClient) -> None:
    await page_client.user(email_verified=False)
    token = await reset_token(page_client, Purpose.EMAIL_VERIFICATION)
    assert 'data-testid="verify-email"' in (await page_client.get(f"/verify-email?token={token}")).html
    assert not (await page_client.find_user("ada@people.test")).email_verified  # type: ignore[union-attr]
    sent = await page_client.post("/verify-email", {"token": token})
    assert sent.target == "/verify-email/done"
    assert 'data-testid="verified"' in (await page_client.get(sent.target)).html
    assert (await page_client.find_user("ada@people.test")).email_verified  # type: ignore[union-attr]


async def test_a_bad_confirmation_link_offers_another(page_client: PageClient) -> None:
    sent = await page_client.post("/verify-email", {"token": "eyJhbGciOiJIUzI1NiJ9.e30.x"})
    assert (sent.status, sent.code) == (401, "verification-token-invalid")
    assert "Send me a new link" in sent.words


async def test_a_confirmation_link_is_asked_for_by_whoever_is_signed_in(page_client: PageClient) -> None:
    assert (await page_client.get("/verify-email")).target == "/login?next=%2Fverify-email"
    await page_client.user(email_verified=False)
    await page_client.sign_in()
    assert 'data-testid="verify-request"' in (await page_client.get("/verify-email")).html
    sent = await page_client.post("/verify-email/request")
    assert sent.target == "/verify-email/sent"
    assert 'data-testid="verify-mailed"' in (await page_client.get(sent.target)).html


# ---- the profile -----------------------------------------------------------------------------------------------------


async def test_a_profile_is_changed_by_its_owner(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.sign_in()
    assert 'value="Löwe"' in (await page_client.get("/profile")).html
    sent = await page_client.post("/profile", {"firstName": "Adah", "lastName": "Lion", "language": "de"})
    assert sent.target == "/profile?done=saved"
    user = await page_client.find_user("ada@people.test")
    assert user is not None
    assert (user.name, user.locale) == ("Adah Lion", "de")
    seen = await page_client.get(sent.target)
    assert '<html lang="de" dir="ltr">' in seen.html
    await page_client.post("/profile", {"firstName": "Adah", "lastName": "Lion", "language": ""})
    assert (await page_client.find_user("ada@people.test")).locale is None  # type: ignore[union-attr]


async def test_a_profile_without_a_name_is_shown_again(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.sign_in()
    sent = await page_client.post("/profile", {"firstName": "", "lastName": "Lion", "language": "tlh"})
    assert (sent.status, sent.code) == (422, "invalid-fields")
    assert "Enter your first name" in sent.words
    assert 'value="Lion"' in sent.html


async def test_a_language_we_do_not_speak_is_refused(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.sign_in()
    sent = await page_client.post("/profile", {"firstName": "A", "lastName": "L", "language": "tlh"})
    assert "Choose one of the languages" in sent.words


@pytest.mark.parametrize("path", ["/profile", "/profile/terms", "/verify-email/request"])
async def test_nobody_changes_a_profile_signed_out(page_client: PageClient, path: str) -> None:
    fields = {"firstName": "A", "lastName": "B"} if path == "/profile" else {}
    assert (await page_client.post(path, fields)).target.startswith("/login?next=")


async def test_new_terms_wait_for_consent(page_client: PageClient) -> None:
    await page_client.user(accept_terms=False)
    sent = await page_client.post("/login", {"email": "ada@people.test", "password": PASSWORD})
    assert sent.target == "/profile"
    assert "The terms have changed" in (await page_client.get("/profile")).words
    sent = await page_client.post("/profile/terms")
    assert (sent.status, sent.code) == (422, "terms-required")
    assert 'value="Löwe"' in sent.html
    sent = await page_client.post("/profile/terms", {"acceptTerms": "yes"})
    assert sent.target == "/profile?done=saved"
    assert "The terms have changed" not in (await page_client.get("/profile")).words
