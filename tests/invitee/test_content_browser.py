"""A browser and an invitation to an object: from the mail, over the landing page, to the object."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.async_api import Browser, expect
from tests.support.browser import (
    APPEARANCES,
    PageCase,
    fill,
    find_all_faults,
    find_mailed_link,
    sign_in,
    start_installation,
    watch_page,
)
from tests.support.installation import PASSWORD, Installation, SignedInUser, new_address

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]
TITLE = "Tide tables for beginners"
TRUSTED = "https://app.orchard.example/tides"
FOREIGN = "https://tides.example/tables"
MESSAGE = "Jonas, the moon is full on Tuesday.\nWrite the heights of the harbour into the table."
LONG_TITLE = "Gezeitentafel" * 15  # a word of 195 letters
ACCOUNT_REQUIRED = "\n[content.invitations]\nallow-unregistered-users = false\n"


@pytest.fixture(scope="module")
def account_required_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation where invitations to content require an account."""
    with start_installation(tmp_path_factory.mktemp("closed"), extra=ACCOUNT_REQUIRED) as installation:
        yield installation


def inviter(page_installation: Installation) -> SignedInUser:
    return page_installation.user("admin", firstName="Mira", lastName="Okafor")


def create_object(page_installation: Installation, owner: SignedInUser, title: str = TITLE, **more: Any) -> str:
    """Create an object. Returns its key."""
    response = page_installation.post("/content/articles", {"title": title, **more}, owner.token)
    assert response.status == 201, response
    return str(response.json["key"])


def share(
    page_installation: Installation, owner: SignedInUser, key: str, email: str, role: str = "EDITOR", **more: Any
) -> str:
    """Invite to an object. Returns the id of the invitation."""
    response = page_installation.post(
        f"/content/articles/invitations/{key}", {"email": email, "role": role, **more}, owner.token
    )
    assert response.status == 200, response
    return str(max(entry["id"] for entry in response.json["invitations"] if entry["email"] == email))


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without JavaScript"])
@pytest.mark.parametrize("url", [TRUSTED, FOREIGN, None])
async def test_accept_an_invitation_to_an_object(
    chromium: Browser, page_installation: Installation, url: str | None, *, scripts: bool
) -> None:
    mira, email = inviter(page_installation), new_address("jonas")
    key = create_object(page_installation, mira, url=url)
    invitation_id = share(page_installation, mira, key, email, message=MESSAGE)
    url_in_mail = find_mailed_link(page_installation, email, TITLE)
    assert url_in_mail.startswith(f"{page_installation.public_url}/content/articles/{key}/accept-invitation?token=ey")
    client = await watch_page(chromium, page_installation, java_script_enabled=scripts)
    page = client.page
    for site in ("app.orchard.example", "tides.example"):
        await client.context.route(f"https://{site}/**", lambda route: route.fulfill(body="the object"))
    await client.open(url_in_mail)
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Mira Okafor shares {TITLE} with you")
    await expect(page.get_by_text(f"You may edit {TITLE}")).to_be_visible()
    assert page_installation.invitation(invitation_id)["state"] == "PENDING"
    client.check()

    await fill(page, firstName="Jonas", lastName="Keller", password=PASSWORD)
    await page.get_by_label("I accept the terms").check()
    await page.get_by_role("button", name="Create account").click()
    if url == TRUSTED:
        await page.wait_for_url(TRUSTED)
    else:
        await expect(page.get_by_role("heading", level=1)).to_have_text("Welcome, Jonas")
        await expect(page.get_by_text(f"You may edit {TITLE}")).to_be_visible()
        client.check()
    if url == FOREIGN:
        await expect(page.get_by_text("It opens at tides.example, outside Orchard Lane.")).to_be_visible()
        async with page.expect_request(FOREIGN) as request:
            await page.get_by_role("link", name=f"Open {TITLE}").click()
        assert "referer" not in await (await request.value).all_headers()
    jonas = {cookie["name"]: cookie["value"] for cookie in await client.context.cookies(page_installation.public_url)}
    response = page_installation.get(f"/content/articles/{key}", jonas["access_token"])
    assert response.json["access"]["canEdit"]
    assert page_installation.invitation(invitation_id)["state"] == "ACCEPTED"
    await client.context.close()


async def test_accept_after_the_access_token_expired(chromium: Browser, page_installation: Installation) -> None:
    mira, ada = inviter(page_installation), page_installation.user(firstName="Ada")
    key = create_object(page_installation, mira)
    share(page_installation, mira, key, ada.email)
    client = await watch_page(chromium, page_installation)
    page = client.page
    await sign_in(page, ada.email)
    await client.context.clear_cookies(name="access_token")
    await client.open(find_mailed_link(page_installation, ada.email, TITLE))
    await expect(page.get_by_role("heading", level=1)).to_have_text("Mira Okafor has something for you, Ada")
    await page.get_by_role("button", name="Accept the invitation").click()
    await expect(page.get_by_text(f"You may edit {TITLE}")).to_be_visible()
    client.check()
    await client.context.close()


# ---- every page, in every look ---------------------------------------------------------------------------------------


def create_scenes(page_installation: Installation) -> dict[str, PageCase]:
    """Sample data for every page of content."""
    mira, ada, ben = (
        inviter(page_installation),
        page_installation.user(firstName="Ada"),
        page_installation.user(firstName="Ben"),
    )
    tides, moons = (
        create_object(page_installation, mira, url=FOREIGN),
        create_object(page_installation, mira, "Moons and months", url=FOREIGN),
    )
    long = create_object(page_installation, mira, LONG_TITLE, key=f"long-{mira.id}", url=FOREIGN)

    def path(key: str, email: str, role: str = "EDITOR", **more: Any) -> str:
        invitation_id = share(page_installation, mira, key, email, role, **more)
        return f"/content/articles/{key}/accept-invitation?token={page_installation.reveal(invitation_id)}"

    landing_path = path(tides, new_address("jonas"), message=MESSAGE)
    bundle = page_installation.invite(
        ada.email,
        mira.token,
        role="team",
        groups=[page_installation.group(name="Spring cohort")],
        content=[{"contentType": "articles", "key": key, "role": "VIEWER"} for key in (tides, moons, long)],
    )
    revoked_id = share(page_installation, mira, moons, new_address("over"))
    revoked_path = f"/invitation?token={page_installation.reveal(revoked_id)}"
    page_installation.delete(f"/invitations/{revoked_id}", page_installation.key)
    page_installation.accept(
        page_installation.mail_of(
            page_installation.invite(
                ben.email,
                mira.token,
                content=[{"contentType": "articles", "key": key, "role": "MAINTAINER"} for key in (tides, long)],
            )
        ).token
    )
    accepted = path(moons, ben.email)
    page_installation.accept(accepted.rpartition("=")[2], by=ben)
    return {
        "register": PageCase(landing_path),
        "register, errors": PageCase(landing_path, submit=True),
        "register, a long title": PageCase(path(long, new_address("jonas"))),
        "sign in to accept": PageCase(path(tides, ada.email)),
        "accept": PageCase(path(moons, ada.email), ada.email),
        "accept a bundle": PageCase(f"/invitation?token={page_installation.reveal(bundle['id'])}", ada.email),
        "wrong account": PageCase(landing_path, ada.email),
        "mismatch": PageCase(landing_path.replace(f"/{tides}/", f"/{moons}/")),
        "withdrawn": PageCase(revoked_path),
        "accepted": PageCase(accepted),
        "arrived, one object": PageCase(f"/invitation/arrived?how=added&to=articles/{tides}", ben.email),
        "arrived, a long title": PageCase(f"/invitation/arrived?how=added&to=articles/{long}", ben.email),
        "arrived, several": PageCase(f"/invitation/arrived?how=added&to=articles/{tides},articles/{long}", ben.email),
        "arrived, not signed in": PageCase(f"/invitation/arrived?how=unsigned&to=articles/{tides}"),
    }


@pytest.mark.parametrize(("width", "scheme", "locale"), APPEARANCES)
async def test_every_page_of_content_in_this_look(
    chromium: Browser, page_installation: Installation, width: int, scheme: str, locale: str
) -> None:
    assert (
        await find_all_faults(chromium, page_installation, create_scenes(page_installation), width, scheme, locale)
        == []
    )


def create_account_required_scenes(page_installation: Installation) -> dict[str, PageCase]:
    """Sample data where invitations to content require an account."""
    mira = inviter(page_installation)
    eve = page_installation.user(emailVerified=False, firstName="Eve")
    key = create_object(page_installation, mira)
    ids = [share(page_installation, mira, key, email) for email in (new_address("jonas"), eve.email)]
    paths = [f"/content/articles/{key}/accept-invitation?token={page_installation.reveal(id_)}" for id_ in ids]
    return {"no account": PageCase(paths[0]), "unconfirmed": PageCase(paths[1], eve.email)}


@pytest.mark.parametrize(("width", "scheme", "locale"), APPEARANCES)
async def test_the_pages_that_require_an_account_in_this_look(
    chromium: Browser, account_required_installation: Installation, width: int, scheme: str, locale: str
) -> None:
    assert (
        await find_all_faults(
            chromium,
            account_required_installation,
            create_account_required_scenes(account_required_installation),
            width,
            scheme,
            locale,
        )
        == []
    )
