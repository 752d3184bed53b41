"""Sign-in and sign-out, password reset, address confirmation, and the profile."""

import pytest
from tests.support.page_client import NOON, PASSWORD, PageClient

from latchstring.crypto.link_tokens import LinkToken, Purpose
from latchstring.domain.invitation import Channel
from latchstring.invitee.sign_in import local_path


async def test_the_start_page_welcomes_visitors(page_client: PageClient) -> None:
    page = await page_client.get("/")
    assert page.status == 200
    assert "Welcome to Orchard Lane" in page.words


async def test_signing_in_and_signing_out(page_client: PageClient) -> None:
    await page_client.group()
    await page_client.user(groups=("spring",))
    result = await page_client.post("/login", {"email": "ADA@people.test", "password": PASSWORD})
    assert (result.status, result.target) == (303, "/")
    page = await page_client.get("/")
    for text in ("Good to see you, Ada", "You are Customer at Orchard Lane", "Spring cohort"):
        assert text in page.words
    result = await page_client.post("/logout")
    assert result.target == "/login?done=signed-out"
    assert "You are signed out." in (await page_client.get(result.target)).words
    assert "Welcome to Orchard Lane" in (await page_client.get("/")).words


async def test_signing_out_ends_the_session_on_the_server(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.sign_in()
    token = page_client.browser.cookies["access_token"]
    await page_client.post("/logout")
    page = await page_client.get("/", headers={"Cookie": f"access_token={token}"})
    assert "Welcome to Orchard Lane" in page.words


async def test_a_user_stays_signed_in_after_the_access_token_expired(page_client: PageClient) -> None:
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
    for page in (
        await page_client.get("/"),
        await page_client.get("/", headers={"Cookie": f"refresh_token={refresh}"}),
    ):
        assert "Welcome to Orchard Lane" in page.words


async def test_a_page_session_ends_with_the_refresh_token(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.sign_in()
    page_client.wait(days=30)
    assert "Welcome to Orchard Lane" in (await page_client.get("/")).words


async def test_a_form_with_the_refresh_token_still_needs_a_csrf_token(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.sign_in()
    page_client.wait(hours=1)
    result = await page_client.post("/profile", {"firstName": "Eve", "lastName": "Eve"}, csrf=False)
    assert (result.status, result.code) == (403, "csrf-token-invalid")


@pytest.mark.parametrize(
    ("email", "password"),
    [("ada@people.test", "wrong one"), ("eve@people.test", PASSWORD), ("no address", "x"), ("", "")],
)
async def test_unknown_address_and_wrong_password_have_the_same_response(
    page_client: PageClient, email: str, password: str
) -> None:
    await page_client.user()
    result = await page_client.post("/login", {"email": email, "password": password, "next": "/profile"})
    assert (result.status, result.code) == (401, "invalid-credentials")
    assert 'data-testid="email:credentials"' in result.html
    assert result.hidden["next"] == "/profile"
    assert "access_token" not in page_client.browser.cookies


async def test_signing_in_redirects_to_the_requested_page(page_client: PageClient) -> None:
    await page_client.user()
    page = await page_client.get("/profile")
    assert page.target == "/login?next=%2Fprofile"
    assert 'name="next" value="/profile"' in (await page_client.get(page.target)).html
    result = await page_client.post("/login", {"email": "ada@people.test", "password": PASSWORD, "next": "/profile"})
    assert result.target == "/profile"


@pytest.mark.parametrize(
    "path",
    ["//evil.test", "/\\evil.test", "https://evil.test", "evil", "/\t/evil.test", "/a\nb", "javascript:x", "/ü", ""],
)
def test_other_paths_and_hosts_are_no_redirect_target(path: str) -> None:
    assert local_path(path) == ""


def test_a_local_path_is_a_redirect_target() -> None:
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
async def test_requesting_a_reset_has_the_same_response_for_every_address(page_client: PageClient, email: str) -> None:
    await page_client.user()
    result = await page_client.post("/password-reset", {"email": email})
    assert (result.status, result.target) == (303, "/password-reset/sent")
    assert 'data-testid="password-mailed"' in (await page_client.get(result.target)).html


async def test_an_invalid_address_is_shown_again(page_client: PageClient) -> None:
    result = await page_client.post("/password-reset", {"email": "ada@people"})
    assert (result.status, result.code) == (422, "invalid-fields")
    assert "Enter a full address, like name@example.org" in result.words
    assert 'value="ada@people"' in result.html


async def test_a_reset_link_sets_a_new_password_once(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.sign_in()
    token = await reset_token(page_client)
    assert 'data-testid="password-choose"' in (await page_client.get(f"/password-reset?token={token}")).html
    result = await page_client.post("/password-reset/choose", {"token": token, "password": "brand new herons 9"})
    assert result.target == "/login?done=password"
    assert "access_token" not in page_client.browser.cookies
    assert "Your new password is set" in (await page_client.get(result.target)).words
    second_result = await page_client.post("/password-reset/choose", {"token": token, "password": "brand new herons 9"})
    assert (second_result.status, second_result.code) == (401, "reset-token-invalid")
    assert (await page_client.get(f"/password-reset?token={token}")).code == "reset-token-invalid"
    result = await page_client.post("/login", {"email": "ada@people.test", "password": "brand new herons 9"})
    assert result.target == "/"


async def test_a_short_new_password_does_not_use_up_the_link(page_client: PageClient) -> None:
    await page_client.user()
    token = await reset_token(page_client)
    result = await page_client.post("/password-reset/choose", {"token": token, "password": "short"})
    assert (result.status, result.code) == (422, "invalid-fields")
    assert 'data-testid="password:too-short"' in result.html
    assert result.hidden["token"] == token


async def test_confirming_an_address_requires_a_button(page_client: PageClient) -> None:
    await page_client.user(email_verified=False)
    token = await reset_token(page_client, Purpose.EMAIL_VERIFICATION)
    assert 'data-testid="verify-email"' in (await page_client.get(f"/verify-email?token={token}")).html
    assert not (await page_client.find_user("ada@people.test")).email_verified  # type: ignore[union-attr]
    result = await page_client.post("/verify-email", {"token": token})
    assert result.target == "/verify-email/done"
    assert 'data-testid="verified"' in (await page_client.get(result.target)).html
    assert (await page_client.find_user("ada@people.test")).email_verified  # type: ignore[union-attr]


async def test_an_invalid_confirmation_link_offers_a_new_one(page_client: PageClient) -> None:
    result = await page_client.post("/verify-email", {"token": "eyJhbGciOiJIUzI1NiJ9.e30.x"})
    assert (result.status, result.code) == (401, "verification-token-invalid")
    assert "Send me a new link" in result.words


async def test_a_signed_in_user_requests_a_confirmation_link(page_client: PageClient) -> None:
    assert (await page_client.get("/verify-email")).target == "/login?next=%2Fverify-email"
    await page_client.user(email_verified=False)
    await page_client.sign_in()
    assert 'data-testid="verify-request"' in (await page_client.get("/verify-email")).html
    result = await page_client.post("/verify-email/request")
    assert result.target == "/verify-email/sent"
    assert 'data-testid="verify-mailed"' in (await page_client.get(result.target)).html


# ---- the profile -----------------------------------------------------------------------------------------------------


async def test_users_change_their_profile(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.sign_in()
    assert 'value="Löwe"' in (await page_client.get("/profile")).html
    result = await page_client.post("/profile", {"firstName": "Adah", "lastName": "Lion", "language": "de"})
    assert result.target == "/profile?done=saved"
    user = await page_client.find_user("ada@people.test")
    assert user is not None
    assert (user.name, user.locale) == ("Adah Lion", "de")
    page = await page_client.get(result.target)
    assert '<html lang="de" dir="ltr">' in page.html
    await page_client.post("/profile", {"firstName": "Adah", "lastName": "Lion", "language": ""})
    assert (await page_client.find_user("ada@people.test")).locale is None  # type: ignore[union-attr]


async def test_a_profile_without_a_name_is_shown_again(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.sign_in()
    result = await page_client.post("/profile", {"firstName": "", "lastName": "Lion", "language": "tlh"})
    assert (result.status, result.code) == (422, "invalid-fields")
    assert "Enter your first name" in result.words
    assert 'value="Lion"' in result.html


async def test_an_unknown_language_is_rejected(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.sign_in()
    result = await page_client.post("/profile", {"firstName": "A", "lastName": "L", "language": "tlh"})
    assert "Choose one of the languages" in result.words


@pytest.mark.parametrize("path", ["/profile", "/profile/terms", "/verify-email/request"])
async def test_nobody_changes_a_profile_signed_out(page_client: PageClient, path: str) -> None:
    fields = {"firstName": "A", "lastName": "B"} if path == "/profile" else {}
    assert (await page_client.post(path, fields)).target.startswith("/login?next=")


async def test_new_terms_wait_for_consent(page_client: PageClient) -> None:
    await page_client.user(accept_terms=False)
    result = await page_client.post("/login", {"email": "ada@people.test", "password": PASSWORD})
    assert result.target == "/profile"
    assert "The terms have changed" in (await page_client.get("/profile")).words
    result = await page_client.post("/profile/terms")
    assert (result.status, result.code) == (422, "terms-required")
    assert 'value="Löwe"' in result.html
    result = await page_client.post("/profile/terms", {"acceptTerms": "yes"})
    assert result.target == "/profile?done=saved"
    assert "The terms have changed" not in (await page_client.get("/profile")).words
