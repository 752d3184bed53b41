"""A real browser at a real server: the whole way from the mail to being in, and every page as people meet it."""

from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect
from tests.support.browser import (
    APPEARANCES,
    SUPPORT_EMAIL,
    PageCase,
    fill,
    find_all_faults,
    find_mailed_link,
    start_installation,
    watch_page,
)
from tests.support.installation import PASSWORD, Installation, new_address

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]
MESSAGE = "Jonas, the spring cohort starts on Tuesday.\nBring the tide tables: https://tides.example"


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without JavaScript"])
async def test_the_whole_way(chromium: Browser, page_installation: Installation, *, scripts: bool) -> None:
    group = page_installation.group(name="Spring cohort")
    mira = page_installation.user("admin", firstName="Mira", lastName="Okafor")
    email = new_address("jonas")
    made = page_installation.invite(email, mira.token, role="team", groups=[group], firstName="Jonas", message=MESSAGE)
    url = find_mailed_link(page_installation, email, "Mira Okafor")
    assert url.startswith(f"{page_installation.public_url}/invitation?token=ey")
    seen = await watch_page(chromium, page_installation, java_script_enabled=scripts)
    page = seen.page
    await seen.open(url)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Mira Okafor invites you to Orchard Lane")
    await expect(page.locator("blockquote")).to_contain_text("the spring cohort starts on Tuesday.")
    assert await page.locator("blockquote a").count() == 0
    assert await page.locator("input[name=firstName]").input_value() == "Jonas"
    assert page_installation.invitation(made["id"])["state"] == "PENDING"

    await fill(page, lastName="Keller", password=PASSWORD)
    if scripts:
        await page.get_by_role("button", name="Show").click()
        assert await page.locator("#password").get_attribute("type") == "text"
    else:
        await expect(page.get_by_role("button", name="Show")).to_be_hidden()
    await page.get_by_label("I accept the terms of Orchard Lane").check()
    await page.get_by_role("button", name="Create account").click()

    await expect(page.get_by_role("heading", level=1)).to_have_text("Welcome, Jonas")
    await expect(page.get_by_text("You are in Spring cohort")).to_be_visible()
    assert "token" not in page.url
    cookies = {cookie["name"]: cookie for cookie in await seen.context.cookies()}
    assert cookies["access_token"]["httpOnly"]
    assert page_installation.get("/users/me", cookies["access_token"]["value"]).json["email"] == email
    await page.get_by_role("link", name="Go to Orchard Lane").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Good to see you, Jonas")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_text("You are signed out.")).to_be_visible()
    assert page_installation.get("/users/me", cookies["access_token"]["value"]).status == 401
    assert page_installation.invitation(made["id"])["state"] == "ACCEPTED"
    seen.check()
    await seen.context.close()


async def test_arriving_at_the_app_that_invited(chromium: Browser, page_installation: Installation) -> None:
    _, token = page_installation.invite_with_token(redirectUrl="https://app.orchard.example/welcome")
    seen = await watch_page(chromium, page_installation)
    await seen.context.route("https://app.orchard.example/**", lambda route: route.fulfill(body="the app"))
    await seen.open(f"/invitation?token={token}")
    await fill(seen.page, firstName="Jonas", lastName="Keller", password=PASSWORD)
    await seen.page.get_by_label("I accept").check()
    async with seen.page.expect_request("https://app.orchard.example/welcome") as arrived:
        await seen.page.get_by_role("button", name="Create account").click()
    assert "referer" not in await (await arrived.value).all_headers()
    await seen.page.wait_for_url("https://app.orchard.example/welcome")
    await seen.context.close()


async def test_registering_by_keyboard_alone(chromium: Browser, page_installation: Installation) -> None:
    _, token = page_installation.invite_with_token()
    seen = await watch_page(chromium, page_installation, viewport={"width": 320, "height": 640})
    page = seen.page
    await seen.open(f"/invitation?token={token}")
    await tab_to(page, "firstName")
    await page.keyboard.type("Jonas")
    await tab_to(page, "lastName")
    await page.keyboard.type("Keller")
    await tab_to(page, "password")
    await page.keyboard.type("short")
    await page.evaluate("document.forms[0].noValidate = true")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_be_focused()
    assert await page.title() == "Error: You are invited · \u2068Orchard Lane\u2069"
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#password")).to_be_focused()
    assert await page.locator("#firstName").input_value() == "Jonas"
    await page.keyboard.type(PASSWORD)
    await tab_to(page, "acceptTerms")
    await page.keyboard.press("Space")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Welcome, Jonas")
    seen.check()
    await seen.context.close()


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until the field has the focus; each stop on the way must show where it is."""
    for _ in range(12):
        await page.keyboard.press("Tab")
        where = await page.evaluate(
            "[document.activeElement.name, getComputedStyle(document.activeElement).outlineStyle]"
        )
        assert where[1] != "none"
        if where[0] == name:
            return
    raise AssertionError(f"Tab does not reach {name}")


async def test_signing_in_on_the_spot_and_switching(chromium: Browser, page_installation: Installation) -> None:
    ada, ben = page_installation.user(firstName="Ada"), page_installation.user(firstName="Ben")
    _, token = page_installation.invite_with_token(ada.email, role="team")
    seen = await watch_page(chromium, page_installation)
    page = seen.page
    await seen.open("/login")
    await fill(page, email=ben.email, password=PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Good to see you, Ben")
    await seen.open(f"/invitation?token={token}")
    await page.get_by_role("button", name="Sign out and continue").click()
    await fill(page, password="not the one")
    await page.get_by_role("button", name="Sign in and accept").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await fill(page, password=PASSWORD)
    await page.get_by_role("button", name="Sign in and accept").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Welcome, Ada")
    seen.check()
    await seen.context.close()


async def test_a_forgotten_password_by_mail(chromium: Browser, page_installation: Installation) -> None:
    ada = page_installation.user(firstName="Ada")
    seen = await watch_page(chromium, page_installation)
    page = seen.page
    await seen.open("/login")
    await page.get_by_role("link", name="Reset the password").click()
    await fill(page, email=ada.email)
    await page.get_by_role("button", name="Send me a link").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Check your mail")
    await seen.open(find_mailed_link(page_installation, ada.email, "/password-reset"))
    await fill(page, password="a brand new sentence 8")
    await page.get_by_role("button", name="Set the new password").click()
    await fill(page, email=ada.email, password="a brand new sentence 8")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Good to see you, Ada")
    seen.check()
    await seen.context.close()


async def test_a_handed_over_link_and_confirming_the_address(
    chromium: Browser, page_installation: Installation
) -> None:
    made, _ = page_installation.invite_with_token()
    seen = await watch_page(chromium, page_installation)
    page = seen.page
    await seen.open(f"/invitation?token={page_installation.reveal(made['id'])}")
    await fill(page, firstName="Jonas", lastName="Keller", password=PASSWORD)
    await page.get_by_label("I accept").check()
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_text("A mail is on its way")).to_be_visible()
    await seen.open(find_mailed_link(page_installation, made["inviteEmail"], "/verify-email"))
    await page.get_by_role("button", name="Confirm the address").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your address is confirmed")
    seen.check()
    await seen.context.close()


async def test_an_expired_link_brings_a_fresh_one(chromium: Browser, page_installation: Installation) -> None:
    made, token = page_installation.invite_with_token(expiresIn="PT1S")
    page_installation.wait_until_expired(made["id"])
    seen = await watch_page(chromium, page_installation, java_script_enabled=False)
    page = seen.page
    await seen.open(f"/invitation?token={token}")
    await expect(page.get_by_role("heading", level=1)).to_have_text("This link has expired")
    await page.get_by_role("button", name="Send me a new link").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Check your mail")
    assert len(page_installation.smtp.wait_for(made["inviteEmail"], 2)) == 2
    await seen.context.close()


async def test_the_language_changes_without_losing_the_link(chromium: Browser, page_installation: Installation) -> None:
    _, token = page_installation.invite_with_token()
    seen = await watch_page(chromium, page_installation, locale="en")
    page = seen.page
    await seen.open(f"/invitation?token={token}")
    await page.locator(".languages > summary").click()
    await page.get_by_role("link", name="Deutsch").click()
    await expect(page.get_by_role("button", name="Konto anlegen")).to_be_visible()
    await page.locator(".languages > summary").click()
    await page.get_by_role("link", name="English").click()
    await expect(page.get_by_role("button", name="Create account")).to_be_visible()
    await seen.context.close()


# ---- every page, in every look ---------------------------------------------------------------------------------------


def set_up(page_installation: Installation) -> dict[str, PageCase]:
    """Something to see on every page."""
    ada = page_installation.user("team", groups=[page_installation.group(name="Spring cohort")], firstName="Ada").email
    words: dict[str, Any] = {"role": "team", "groups": [page_installation.group(name="Facilitators")]}
    mira = page_installation.user("admin", firstName="Mira", lastName="Okafor").token
    hers = page_installation.invite_with_token(ada, token=mira, **words, message=MESSAGE)[1]
    fresh = page_installation.invite_with_token(
        None, token=mira, **words, firstName="Jonas", lastName="Keller", message=MESSAGE
    )[1]
    ended = {
        name: page_installation.invite_with_token(None, token=mira, **words)
        for name in ("superseded", "revoked", "declined", "accepted")
    }
    page_installation.post(f"/invitations/{ended['superseded'][0]['id']}/resend", token=page_installation.key)
    page_installation.delete(f"/invitations/{ended['revoked'][0]['id']}", page_installation.key)
    page_installation.post("/invitations/decline", {"token": ended["declined"][1]})
    page_installation.accept(ended["accepted"][1], firstName="J", lastName="K", password=PASSWORD, acceptTerms=True)
    page_installation.post("/auth/password/reset-request", {"email": ada})
    reset = find_mailed_link(page_installation, ada, "/password-reset").removeprefix(page_installation.public_url)
    return {
        "start": PageCase("/"),
        "start, signed in": PageCase("/", ada),
        "register": PageCase(f"/invitation?token={fresh}"),
        "register, errors": PageCase(f"/invitation?token={fresh}", submit=True),
        "sign in to accept": PageCase(f"/invitation?token={hers}"),
        "accept": PageCase(f"/invitation?token={hers}", ada),
        "wrong account": PageCase(f"/invitation?token={fresh}", ada),
        "decline": PageCase(f"/invitation/decline?token={fresh}"),
        "declined": PageCase("/invitation/declined"),
        "requested": PageCase("/invitation/requested"),
        "arrived": PageCase("/invitation/arrived?how=joined", ada),
        "arrived, not signed in": PageCase("/invitation/arrived?how=unsigned"),
        **{name: PageCase(f"/invitation?token={token}") for name, (_, token) in ended.items()},
        "unknown": PageCase("/invitation?token=x"),
        "login": PageCase("/login"),
        "login, errors": PageCase("/login", submit=True),
        "forgotten": PageCase("/password-reset"),
        "forgotten, errors": PageCase("/password-reset", submit=True),
        "reset mailed": PageCase("/password-reset/sent"),
        "reset": PageCase(reset),
        "reset over": PageCase("/password-reset?token=x"),
        "verify": PageCase("/verify-email?token=x"),
        "verify, asked": PageCase("/verify-email", ada),
        "verified": PageCase("/verify-email/done"),
        "verification mailed": PageCase("/verify-email/sent"),
        "profile": PageCase("/profile", ada),
        "profile, saved": PageCase("/profile?done=saved", ada),
        "nothing here": PageCase("/nothing/here"),
    }


@pytest.mark.parametrize(("width", "scheme", "locale"), APPEARANCES)
async def test_every_page_in_this_look(
    chromium: Browser, page_installation: Installation, width: int, scheme: str, locale: str
) -> None:
    assert await find_all_faults(chromium, page_installation, set_up(page_installation), width, scheme, locale) == []


async def test_every_page_has_room_for_longer_words(
    chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In a pseudo-language two fifths longer than English, which visitors of any unknown language are given here."""
    with start_installation(
        tmp_path_factory.mktemp("long"), by=f'{SUPPORT_EMAIL["by"]}\ndefault-locale = "en-XA"'
    ) as page_installation:
        assert (
            await find_all_faults(
                chromium, page_installation, set_up(page_installation), 320, "light", "sw", page_locale="en-XA"
            )
            == []
        )
