"""Signing in and out, passwords, addresses, the profile, and the door of the panel."""

import pytest
from tests.support.page_client import NOON, PASSWORD, Door

from latchstring.crypto.link_tokens import LinkToken, Purpose
from latchstring.domain.invitation import Channel
from latchstring.invitee.sign_in import local_path


async def test_the_start_page_shows_a_stranger_the_way_in(door: Door) -> None:
    seen = await door.get("/")
    assert seen.status == 200
    assert "This is the door of Orchard Lane" in seen.words


async def test_signing_in_leads_to_the_start_page_and_out_again(door: Door) -> None:
    await door.group()
    await door.user(groups=("spring",))
    sent = await door.post("/login", {"email": "ADA@people.test", "password": PASSWORD})
    assert (sent.status, sent.target) == (303, "/")
    seen = await door.get("/")
    for words in ("Good to see you, Ada", "You are Customer at Orchard Lane", "Spring cohort"):
        assert words in seen.words
    sent = await door.post("/logout")
    assert sent.target == "/login?done=signed-out"
    assert "You are signed out." in (await door.get(sent.target)).words
    assert "This is the door of Orchard Lane" in (await door.get("/")).words


async def test_signing_out_ends_the_session_itself(door: Door) -> None:
    await door.user()
    await door.sign_in()
    token = door.browser.cookies["access_token"]
    await door.post("/logout")
    seen = await door.get("/", headers={"Cookie": f"access_token={token}"})
    assert "This is the door of Orchard Lane" in seen.words


async def test_a_visitor_stays_signed_in_when_the_access_token_has_run_out(door: Door) -> None:
    await door.user()
    await door.sign_in()
    door.wait(hours=3)
    before = await door.dump()
    for _ in range(2):
        assert "Good to see you, Ada" in (await door.get("/")).words
    assert await door.dump() == before
    door.browser.cookies.delete("access_token")
    assert (await door.post("/profile", {"firstName": "Ada", "lastName": "Lark"})).target == "/profile?done=saved"
    refresh = door.browser.cookies["refresh_token"]
    await door.post("/logout")
    for seen in (await door.get("/"), await door.get("/", headers={"Cookie": f"refresh_token={refresh}"})):
        assert "This is the door of Orchard Lane" in seen.words


async def test_a_session_of_pages_ends_when_the_refresh_token_does(door: Door) -> None:
    await door.user()
    await door.sign_in()
    door.wait(days=30)
    assert "This is the door of Orchard Lane" in (await door.get("/")).words


async def test_the_refresh_token_alone_sends_no_form(door: Door) -> None:
    await door.user()
    await door.sign_in()
    door.wait(hours=1)
    sent = await door.post("/profile", {"firstName": "Eve", "lastName": "Eve"}, csrf=False)
    assert (sent.status, sent.code) == (403, "csrf-token-invalid")


@pytest.mark.parametrize(
    ("email", "password"),
    [("ada@people.test", "wrong one"), ("eve@people.test", PASSWORD), ("no address", "x"), ("", "")],
)
async def test_wrong_address_and_wrong_password_look_alike(door: Door, email: str, password: str) -> None:
    await door.user()
    sent = await door.post("/login", {"email": email, "password": password, "next": "/profile"})
    assert (sent.status, sent.code) == (401, "invalid-credentials")
    assert "Address and password do not belong together. Check both." in sent.words
    assert sent.hidden["next"] == "/profile"
    assert "access_token" not in door.browser.cookies


async def test_signing_in_goes_on_to_a_page_of_ours(door: Door) -> None:
    await door.user()
    asked = await door.get("/profile")
    assert asked.target == "/login?next=%2Fprofile"
    assert 'name="next" value="/profile"' in (await door.get(asked.target)).html
    sent = await door.post("/login", {"email": "ada@people.test", "password": PASSWORD, "next": "/profile"})
    assert sent.target == "/profile"


@pytest.mark.parametrize(
    "text",
    ["//evil.test", "/\\evil.test", "https://evil.test", "evil", "/\t/evil.test", "/a\nb", "javascript:x", "/ü", ""],
)
def test_only_paths_of_ours_are_gone_on_to(text: str) -> None:
    assert local_path(text) == ""


def test_a_plain_path_is_gone_on_to() -> None:
    assert local_path("/profile?done=saved") == "/profile?done=saved"


# ---- passwords and addresses -------------------------------------------------------------------------------------


async def reset_token(door: Door, purpose: Purpose = Purpose.PASSWORD_RESET) -> str:
    user = await door.account("ada@people.test")
    assert user is not None
    ends_at = NOON.replace(hour=13)
    return door.services.tokens.sign(purpose, LinkToken(user.id, user.link_generation, Channel.MAILED, NOON, ends_at))


@pytest.mark.parametrize("email", ["ada@people.test", "nobody@people.test"])
async def test_asking_for_a_reset_answers_alike(door: Door, email: str) -> None:
    await door.user()
    sent = await door.post("/password-reset", {"email": email})
    assert (sent.status, sent.target) == (303, "/password-reset/sent")
    assert "If there is an account with this address" in (await door.get(sent.target)).words


async def test_something_that_is_no_address_is_shown_again(door: Door) -> None:
    sent = await door.post("/password-reset", {"email": "ada@people"})
    assert (sent.status, sent.code) == (422, "invalid-fields")
    assert "Enter a full address, like name@example.org" in sent.words
    assert 'value="ada@people"' in sent.html


async def test_a_reset_link_sets_a_new_password_once(door: Door) -> None:
    await door.user()
    await door.sign_in()
    token = await reset_token(door)
    assert "Set the new password" in (await door.get(f"/password-reset?token={token}")).words
    sent = await door.post("/password-reset/choose", {"token": token, "password": "brand new herons 9"})
    assert sent.target == "/login?done=password"
    assert "access_token" not in door.browser.cookies
    assert "Your new password is set" in (await door.get(sent.target)).words
    again = await door.post("/password-reset/choose", {"token": token, "password": "brand new herons 9"})
    assert (again.status, again.code) == (401, "reset-token-invalid")
    assert (await door.get(f"/password-reset?token={token}")).code == "reset-token-invalid"
    sent = await door.post("/login", {"email": "ada@people.test", "password": "brand new herons 9"})
    assert sent.target == "/"


async def test_a_new_password_that_is_too_short_keeps_the_link(door: Door) -> None:
    await door.user()
    token = await reset_token(door)
    sent = await door.post("/password-reset/choose", {"token": token, "password": "short"})
    assert (sent.status, sent.code) == (422, "invalid-fields")
    assert "Use at least 10 characters" in sent.words
    assert sent.hidden["token"] == token


async def test_confirming_an_address_needs_a_press(door: Door) -> None:
    await door.user(email_verified=False)
    token = await reset_token(door, Purpose.EMAIL_VERIFICATION)
    assert "Confirm the address" in (await door.get(f"/verify-email?token={token}")).words
    assert not (await door.account("ada@people.test")).email_verified  # type: ignore[union-attr]
    sent = await door.post("/verify-email", {"token": token})
    assert sent.target == "/verify-email/done"
    assert "Your address is confirmed" in (await door.get(sent.target)).words
    assert (await door.account("ada@people.test")).email_verified  # type: ignore[union-attr]


async def test_a_bad_confirmation_link_offers_another(door: Door) -> None:
    sent = await door.post("/verify-email", {"token": "eyJhbGciOiJIUzI1NiJ9.e30.x"})
    assert (sent.status, sent.code) == (401, "verification-token-invalid")
    assert "Send me a new link" in sent.words


async def test_a_confirmation_link_is_asked_for_by_whoever_is_signed_in(door: Door) -> None:
    assert (await door.get("/verify-email")).target == "/login?next=%2Fverify-email"
    await door.user(email_verified=False)
    await door.sign_in()
    assert "Send me the link" in (await door.get("/verify-email")).words
    sent = await door.post("/verify-email/request")
    assert sent.target == "/verify-email/sent"
    assert "Look in your mail" in (await door.get(sent.target)).words


# ---- the profile -------------------------------------------------------------------------------------------------


async def test_a_profile_is_changed_by_its_owner(door: Door) -> None:
    await door.user()
    await door.sign_in()
    assert 'value="Löwe"' in (await door.get("/profile")).html
    sent = await door.post("/profile", {"firstName": "Adah", "lastName": "Lion", "language": "de"})
    assert sent.target == "/profile?done=saved"
    user = await door.account("ada@people.test")
    assert user is not None
    assert (user.name, user.locale) == ("Adah Lion", "de")
    seen = await door.get(sent.target)
    assert '<html lang="de" dir="ltr">' in seen.html
    await door.post("/profile", {"firstName": "Adah", "lastName": "Lion", "language": ""})
    assert (await door.account("ada@people.test")).locale is None  # type: ignore[union-attr]


async def test_a_profile_without_a_name_is_shown_again(door: Door) -> None:
    await door.user()
    await door.sign_in()
    sent = await door.post("/profile", {"firstName": "", "lastName": "Lion", "language": "tlh"})
    assert (sent.status, sent.code) == (422, "invalid-fields")
    assert "Enter your first name" in sent.words
    assert 'value="Lion"' in sent.html


async def test_a_language_we_do_not_speak_is_refused(door: Door) -> None:
    await door.user()
    await door.sign_in()
    sent = await door.post("/profile", {"firstName": "A", "lastName": "L", "language": "tlh"})
    assert "Choose one of the languages" in sent.words


@pytest.mark.parametrize("path", ["/profile", "/profile/terms", "/verify-email/request"])
async def test_nobody_changes_a_profile_signed_out(door: Door, path: str) -> None:
    fields = {"firstName": "A", "lastName": "B"} if path == "/profile" else {}
    assert (await door.post(path, fields)).target.startswith("/login?next=")


async def test_new_terms_wait_for_consent(door: Door) -> None:
    await door.user(accept_terms=False)
    sent = await door.post("/login", {"email": "ada@people.test", "password": PASSWORD})
    assert sent.target == "/profile"
    assert "The terms have changed" in (await door.get("/profile")).words
    sent = await door.post("/profile/terms")
    assert (sent.status, sent.code) == (422, "terms-required")
    assert 'value="Löwe"' in sent.html
    sent = await door.post("/profile/terms", {"acceptTerms": "yes"})
    assert sent.target == "/profile?done=saved"
    assert "The terms have changed" not in (await door.get("/profile")).words
