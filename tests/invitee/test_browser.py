"""A browser and a server: the flow from the mail to the signed-in user, and every page in every look."""

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
async def test_accept_an_invitation_from_the_mail_to_signing_out(
    chromium: Browser, page_installation: Installation, *, scripts: bool
) -> None:
    group = page_installation.group(name="Spring cohort")
    mira = page_installation.user("admin", firstName="Mira", lastName="Okafor")
    email = new_address("jonas")
    invitation = page_installation.invite(
        email, mira.token, role="team", groups=[group], firstName="Jonas", message=MESSAGE
    )
    url = find_mailed_link(page_installation, email, "Mira Okafor")
    assert url.startswith(f"{page_installation.public_url}/invitation?token=ey")
    client = await watch_page(chromium, page_installation, java_script_enabled=scripts)
    page = client.page
    await client.open(url)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Mira Okafor invites you to Orchard Lane")
    await expect(page.locator("blockquote")).to_contain_text("the spring cohort starts on Tuesday.")
    assert await page.locator("blockquote a").count() == 0
    assert await page.locator("input[name=firstName]").input_value() == "Jonas"
    assert page_installation.invitation(invitation["id"])["state"] == "PENDING"

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
    cookies = {cookie["name"]: cookie for cookie in await client.context.cookies()}
    assert cookies["access_token"]["httpOnly"]
    assert page_installation.get("/users/me", cookies["access_token"]["value"]).json["email"] == email
    await page.get_by_role("link", name="Go to Orchard Lane").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Good to see you, Jonas")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_text("You are signed out.")).to_be_visible()
    assert page_installation.get("/users/me", cookies["access_token"]["value"]).status == 401
    assert page_installation.invitation(invitation["id"])["state"] == "ACCEPTED"
    client.check()
    await client.context.close()


async def test_redirect_to_the_app_after_accepting(chromium: Browser, page_installation: Installation) -> None:
    _, token = page_installation.invite_with_token(redirectUrl="https://app.orchard.example/welcome")
    client = await watch_page(chromium, page_installation)
    await client.context.route("https://app.orchard.example/**", lambda route: route.fulfill(body="the app"))
    await client.open(f"/invitation?token={token}")
    await fill(client.page, firstName="Jonas", lastName="Keller", password=PASSWORD)
    await client.page.get_by_label("I accept").check()
    async with client.page.expect_request("https://app.orchard.example/welcome") as redirect:
        await client.page.get_by_role("button", name="Create account").click()
    assert "referer" not in await (await redirect.value).all_headers()
    await client.page.wait_for_url("https://app.orchard.example/welcome")
    await client.context.close()


async def test_register_by_keyboard_only(chromium: Browser, page_installation: Installation) -> None:
    _, token = page_installation.invite_with_token()
    client = await watch_page(chromium, page_installation, viewport={"width": 320, "height": 640})
    page = client.page
    await client.open(f"/invitation?token={token}")
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
    client.check()
    await client.context.close()


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until the field has the focus. Each element that gets the focus must show an outline."""
    for _ in range(12):
        await page.keyboard.press("Tab")
        name_and_outline = await page.evaluate(
            "[document.activeElement.name, getComputedStyle(document.activeElement).outlineStyle]"
        )
        assert name_and_outline[1] != "none"
        if name_and_outline[0] == name:
            return
    raise AssertionError(f"Tab does not reach {name}")


async def test_switch_accounts_and_sign_in_to_accept(chromium: Browser, page_installation: Installation) -> None:
    ada, ben = page_installation.user(firstName="Ada"), page_installation.user(firstName="Ben")
    _, token = page_installation.invite_with_token(ada.email, role="team")
    client = await watch_page(chromium, page_installation)
    page = client.page
    await client.open("/login")
    await fill(page, email=ben.email, password=PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Good to see you, Ben")
    await client.open(f"/invitation?token={token}")
    await page.get_by_role("button", name="Sign out and continue").click()
    await fill(page, password="not the one")
    await page.get_by_role("button", name="Sign in and accept").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await fill(page, password=PASSWORD)
    await page.get_by_role("button", name="Sign in and accept").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Welcome, Ada")
    client.check()
    await client.context.close()


async def test_reset_a_forgotten_password_by_mail(chromium: Browser, page_installation: Installation) -> None:
    ada = page_installation.user(firstName="Ada")
    client = await watch_page(chromium, page_installation)
    page = client.page
    await client.open("/login")
    await page.get_by_role("link", name="Reset the password").click()
    await fill(page, email=ada.email)
    await page.get_by_role("button", name="Send me a link").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Check your mail")
    await client.open(find_mailed_link(page_installation, ada.email, "/password-reset"))
    await fill(page, password="a brand new sentence 8")
    await page.get_by_role("button", name="Set the new password").click()
    await fill(page, email=ada.email, password="a brand new sentence 8")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Good to see you, Ada")
    client.check()
    await client.context.close()


async def test_accept_a_revealed_link_and_confirm_the_address(
    chromium: Browser, page_installation: Installation
) -> None:
    invitation, _ = page_installation.invite_with_token()
    client = await watch_page(chromium, page_installation)
    page = client.page
    await client.open(f"/invitation?token={page_installation.reveal(invitation['id'])}")
    await fill(page, firstName="Jonas", lastName="Keller", password=PASSWORD)
    await page.get_by_label("I accept").check()
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_text("A mail is on its way")).to_be_visible()
    await client.open(find_mailed_link(page_installation, invitation["inviteEmail"], "/verify-email"))
    await page.get_by_role("button", name="Confirm the address").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your address is confirmed")
    client.check()
    await client.context.close()


async def test_request_a_new_link_from_an_expired_one(chromium: Browser, page_installation: Installation) -> None:
    invitation, token = page_installation.invite_with_token(expiresIn="PT1S")
    page_installation.wait_until_expired(invitation["id"])
    client = await watch_page(chromium, page_installation, java_script_enabled=False)
    page = client.page
    await client.open(f"/invitation?token={token}")
    await expect(page.get_by_role("heading", level=1)).to_have_text("This link has expired")
    await page.get_by_role("button", name="Send me a new link").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Check your mail")
    assert len(page_installation.smtp.wait_for(invitation["inviteEmail"], 2)) == 2
    await client.context.close()


async def test_the_language_changes_without_losing_the_link(chromium: Browser, page_installation: Installation) -> None:
    _, token = page_installation.invite_with_token()
    client = await watch_page(chromium, page_installation, locale="en")
    page = client.page
    await client.open(f"/invitation?token={token}")
    await page.locator(".languages > summary").click()
    await page.get_by_role("link", name="Deutsch").click()
    await expect(page.get_by_role("button", name="Konto anlegen")).to_be_visible()
    await page.locator(".languages > summary").click()
    await page.get_by_role("link", name="English").click()
    await expect(page.get_by_role("button", name="Create account")).to_be_visible()
    await client.context.close()


# ---- every page, in every look ---------------------------------------------------------------------------------------


def create_scenes(page_installation: Installation) -> dict[str, PageCase]:
    """Sample data for every page."""
    ada = page_installation.user("team", groups=[page_installation.group(name="Spring cohort")], firstName="Ada").email
    grants: dict[str, Any] = {"role": "team", "groups": [page_installation.group(name="Facilitators")]}
    mira = page_installation.user("admin", firstName="Mira", lastName="Okafor").token
    ada_token = page_installation.invite_with_token(ada, token=mira, **grants, message=MESSAGE)[1]
    new_token = page_installation.invite_with_token(
        None, token=mira, **grants, firstName="Jonas", lastName="Keller", message=MESSAGE
    )[1]
    ended_invitations = {
        name: page_installation.invite_with_token(None, token=mira, **grants)
        for name in ("superseded", "revoked", "declined", "accepted")
    }
    page_installation.post(
        f"/invitations/{ended_invitations['superseded'][0]['id']}/resend", token=page_installation.key
    )
    page_installation.delete(f"/invitations/{ended_invitations['revoked'][0]['id']}", page_installation.key)
    page_installation.post("/invitations/decline", {"token": ended_invitations["declined"][1]})
    page_installation.accept(
        ended_invitations["accepted"][1], firstName="J", lastName="K", password=PASSWORD, acceptTerms=True
    )
    page_installation.post("/auth/password/reset-request", {"email": ada})
    reset_path = find_mailed_link(page_installation, ada, "/password-reset").removeprefix(page_installation.public_url)
    return {
        "start": PageCase("/"),
        "start, signed in": PageCase("/", ada),
        "register": PageCase(f"/invitation?token={new_token}"),
        "register, errors": PageCase(f"/invitation?token={new_token}", submit=True),
        "sign in to accept": PageCase(f"/invitation?token={ada_token}"),
        "accept": PageCase(f"/invitation?token={ada_token}", ada),
        "wrong account": PageCase(f"/invitation?token={new_token}", ada),
        "decline": PageCase(f"/invitation/decline?token={new_token}"),
        "declined": PageCase("/invitation/declined"),
        "requested": PageCase("/invitation/requested"),
        "arrived": PageCase("/invitation/arrived?how=joined", ada),
        "arrived, not signed in": PageCase("/invitation/arrived?how=unsigned"),
        **{name: PageCase(f"/invitation?token={token}") for name, (_, token) in ended_invitations.items()},
        "unknown": PageCase("/invitation?token=x"),
        "login": PageCase("/login"),
        "login, errors": PageCase("/login", submit=True),
        "forgotten": PageCase("/password-reset"),
        "forgotten, errors": PageCase("/password-reset", submit=True),
        "reset mailed": PageCase("/password-reset/sent"),
        "reset": PageCase(reset_path),
        "reset over": PageCase("/password-reset?token=x"),
        "verify": PageCase("/verify-email?token=x"),
        "verify, requested": PageCase("/verify-email", ada),
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
    assert (
        await find_all_faults(chromium, page_installation, create_scenes(page_installation), width, scheme, locale)
        == []
    )


async def test_every_page_fits_longer_texts(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Uses a pseudo-language 40 percent longer than English, which is the default locale here."""
    with start_installation(
        tmp_path_factory.mktemp("long"), by=f'{SUPPORT_EMAIL["by"]}\ndefault-locale = "en-XA"'
    ) as page_installation:
        assert (
            await find_all_faults(
                chromium, page_installation, create_scenes(page_installation), 320, "light", "sw", page_locale="en-XA"
            )
            == []
        )
