"""A real browser on its way to one object: from the mail, through the door, to where the object is."""

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
LONG = "Gezeitentafel" * 15  # one word of 195 letters
CLOSED = "\n[content.invitations]\nallow-unregistered-users = false\n"


@pytest.fixture(scope="module")
def closed_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Where only people with an account are let in to content."""
    with start_installation(tmp_path_factory.mktemp("closed"), extra=CLOSED) as running:
        yield running


def inviter(page_installation: Installation) -> SignedInUser:
    return page_installation.user("admin", firstName="Mira", lastName="Okafor")


def write(page_installation: Installation, owner: SignedInUser, title: str = TITLE, **more: Any) -> str:
    """A new object; its key."""
    made = page_installation.post("/content/articles", {"title": title, **more}, owner.token)
    assert made.status == 201, made
    return str(made.json["key"])


def share(
    page_installation: Installation, owner: SignedInUser, key: str, email: str, role: str = "EDITOR", **more: Any
) -> str:
    """Invite to an object; the invitation's id."""
    sent = page_installation.post(
        f"/content/articles/invitations/{key}", {"email": email, "role": role, **more}, owner.token
    )
    assert sent.status == 200, sent
    return str(max(one["id"] for one in sent.json["invitations"] if one["email"] == email))


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without JavaScript"])
@pytest.mark.parametrize("url", [TRUSTED, FOREIGN, None])
async def test_the_whole_way_to_an_object(
    chromium: Browser, page_installation: Installation, url: str | None, *, scripts: bool
) -> None:
    mira, email = inviter(page_installation), new_address("jonas")
    key = write(page_installation, mira, url=url)
    made = share(page_installation, mira, key, email, message=MESSAGE)
    mailed = find_mailed_link(page_installation, email, TITLE)
    assert mailed.startswith(f"{page_installation.public_url}/content/articles/{key}/accept-invitation?token=ey")
    seen = await watch_page(chromium, page_installation, java_script_enabled=scripts)
    page = seen.page
    for site in ("app.orchard.example", "tides.example"):
        await seen.context.route(f"https://{site}/**", lambda route: route.fulfill(body="the object"))
    await seen.open(mailed)
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Mira Okafor shares {TITLE} with you")
    await expect(page.get_by_text(f"You may edit {TITLE}")).to_be_visible()
    assert page_installation.invitation(made)["state"] == "PENDING"
    seen.check()

    await fill(page, firstName="Jonas", lastName="Keller", password=PASSWORD)
    await page.get_by_label("I accept the terms").check()
    await page.get_by_role("button", name="Create account").click()
    if url == TRUSTED:
        await page.wait_for_url(TRUSTED)
    else:
        await expect(page.get_by_role("heading", level=1)).to_have_text("Welcome, Jonas")
        await expect(page.get_by_text(f"You may edit {TITLE}")).to_be_visible()
        seen.check()
    if url == FOREIGN:
        await expect(page.get_by_text("It opens at tides.example, outside Orchard Lane.")).to_be_visible()
        async with page.expect_request(FOREIGN) as left:
            await page.get_by_role("link", name=f"Open {TITLE}").click()
        assert "referer" not in await (await left.value).all_headers()
    jonas = {cookie["name"]: cookie["value"] for cookie in await seen.context.cookies(page_installation.public_url)}
    held = page_installation.get(f"/content/articles/{key}", jonas["access_token"])
    assert held.json["access"]["canEdit"]
    assert page_installation.invitation(made)["state"] == "ACCEPTED"
    await seen.context.close()


async def test_coming_back_after_the_access_token_ran_out(chromium: Browser, page_installation: Installation) -> None:
    mira, ada = inviter(page_installation), page_installation.user(firstName="Ada")
    key = write(page_installation, mira)
    share(page_installation, mira, key, ada.email)
    seen = await watch_page(chromium, page_installation)
    page = seen.page
    await sign_in(page, ada.email)
    await seen.context.clear_cookies(name="access_token")
    await seen.open(find_mailed_link(page_installation, ada.email, TITLE))
    await expect(page.get_by_role("heading", level=1)).to_have_text("Mira Okafor has something for you, Ada")
    await page.get_by_role("button", name="Accept the invitation").click()
    await expect(page.get_by_text(f"You may edit {TITLE}")).to_be_visible()
    seen.check()
    await seen.context.close()


# ---- every page, in every look ---------------------------------------------------------------------------------------


def set_up(page_installation: Installation) -> dict[str, PageCase]:
    """Something to see on every page of content."""
    mira, ada, ben = (
        inviter(page_installation),
        page_installation.user(firstName="Ada"),
        page_installation.user(firstName="Ben"),
    )
    tides, moons = (
        write(page_installation, mira, url=FOREIGN),
        write(page_installation, mira, "Moons and months", url=FOREIGN),
    )
    long = write(page_installation, mira, LONG, key=f"long-{mira.id}", url=FOREIGN)

    def path(key: str, email: str, role: str = "EDITOR", **more: Any) -> str:
        made = share(page_installation, mira, key, email, role, **more)
        return f"/content/articles/{key}/accept-invitation?token={page_installation.reveal(made)}"

    fresh = path(tides, new_address("jonas"), message=MESSAGE)
    bundle = page_installation.invite(
        ada.email,
        mira.token,
        role="team",
        groups=[page_installation.group(name="Spring cohort")],
        content=[{"contentType": "articles", "key": key, "role": "VIEWER"} for key in (tides, moons, long)],
    )
    gone = share(page_installation, mira, moons, new_address("over"))
    over = f"/invitation?token={page_installation.reveal(gone)}"
    page_installation.delete(f"/invitations/{gone}", page_installation.key)
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
        "register": PageCase(fresh),
        "register, errors": PageCase(fresh, submit=True),
        "register, a long title": PageCase(path(long, new_address("jonas"))),
        "sign in to accept": PageCase(path(tides, ada.email)),
        "accept": PageCase(path(moons, ada.email), ada.email),
        "accept a bundle": PageCase(f"/invitation?token={page_installation.reveal(bundle['id'])}", ada.email),
        "wrong account": PageCase(fresh, ada.email),
        "mismatch": PageCase(fresh.replace(f"/{tides}/", f"/{moons}/")),
        "withdrawn": PageCase(over),
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
    assert await find_all_faults(chromium, page_installation, set_up(page_installation), width, scheme, locale) == []


def set_up_closed(page_installation: Installation) -> dict[str, PageCase]:
    """The same where only people with an account are let in."""
    mira, key = inviter(page_installation), ""
    eve = page_installation.user(emailVerified=False, firstName="Eve")
    key = write(page_installation, mira)
    ids = [share(page_installation, mira, key, email) for email in (new_address("jonas"), eve.email)]
    paths = [f"/content/articles/{key}/accept-invitation?token={page_installation.reveal(id_)}" for id_ in ids]
    return {"no account": PageCase(paths[0]), "unconfirmed": PageCase(paths[1], eve.email)}


@pytest.mark.parametrize(("width", "scheme", "locale"), APPEARANCES)
async def test_the_pages_for_members_only_in_this_look(
    chromium: Browser, closed_installation: Installation, width: int, scheme: str, locale: str
) -> None:
    assert (
        await find_all_faults(chromium, closed_installation, set_up_closed(closed_installation), width, scheme, locale)
        == []
    )
