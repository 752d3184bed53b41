"""A real browser on its way to one object: from the mail, through the door, to where the object is."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.async_api import Browser, expect
from tests.support.browser import LOOKS, Scene, fill, find_all_faults, link, open_house, sign_in, visit
from tests.support.installation import PASSWORD, House, Person, new_address

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
TITLE = "Tide tables for beginners"
TRUSTED = "https://app.orchard.example/tides"
FOREIGN = "https://tides.example/tables"
MESSAGE = "Jonas, the moon is full on Tuesday.\nWrite the heights of the harbour into the table."
LONG = "Gezeitentafel" * 15  # one word of 195 letters
CLOSED = "\n[content.invitations]\nallow-unregistered-users = false\n"


@pytest.fixture(scope="module")
def closed_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Where only people with an account are let in to content."""
    with open_house(tmp_path_factory.mktemp("closed"), extra=CLOSED) as running:
        yield running


def inviter(house: House) -> Person:
    return house.user("admin", firstName="Mira", lastName="Okafor")


def write(house: House, owner: Person, title: str = TITLE, **more: Any) -> str:
    """A new object; its key."""
    made = house.post("/content/articles", {"title": title, **more}, owner.token)
    assert made.status == 201, made
    return str(made.json["key"])


def share(house: House, owner: Person, key: str, email: str, role: str = "EDITOR", **more: Any) -> str:
    """Invite to an object; the invitation's id."""
    sent = house.post(f"/content/articles/invitations/{key}", {"email": email, "role": role, **more}, owner.token)
    assert sent.status == 200, sent
    return str(max(one["id"] for one in sent.json["invitations"] if one["email"] == email))


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without JavaScript"])
@pytest.mark.parametrize("url", [TRUSTED, FOREIGN, None])
async def test_the_whole_way_to_an_object(chromium: Browser, house: House, url: str | None, *, scripts: bool) -> None:
    mira, email = inviter(house), new_address("jonas")
    key = write(house, mira, url=url)
    made = share(house, mira, key, email, message=MESSAGE)
    mailed = link(house, email, TITLE)
    assert mailed.startswith(f"{house.public_url}/content/articles/{key}/accept-invitation?token=ey")
    seen = await visit(chromium, house, java_script_enabled=scripts)
    page = seen.page
    for site in ("app.orchard.example", "tides.example"):
        await seen.context.route(f"https://{site}/**", lambda route: route.fulfill(body="the object"))
    await seen.open(mailed)
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Mira Okafor shares {TITLE} with you")
    await expect(page.get_by_text(f"You may edit {TITLE}")).to_be_visible()
    assert house.invitation(made)["state"] == "PENDING"
    seen.check()

    await fill(page, firstName="Jonas", lastName="Keller", password=PASSWORD)
    await page.get_by_label("I accept the terms").check()
    await page.get_by_role("button", name="Create account and come in").click()
    if url == TRUSTED:
        await page.wait_for_url(TRUSTED)
    else:
        await expect(page.get_by_role("heading", level=1)).to_have_text("Welcome in, Jonas")
        await expect(page.get_by_text(f"You may edit {TITLE}")).to_be_visible()
        seen.check()
    if url == FOREIGN:
        await expect(page.get_by_text("It opens at tides.example, outside Orchard Lane.")).to_be_visible()
        async with page.expect_request(FOREIGN) as left:
            await page.get_by_role("link", name=f"Open {TITLE}").click()
        assert "referer" not in await (await left.value).all_headers()
    jonas = {cookie["name"]: cookie["value"] for cookie in await seen.context.cookies(house.public_url)}
    held = house.get(f"/content/articles/{key}", jonas["access_token"])
    assert held.json["access"]["canEdit"]
    assert house.invitation(made)["state"] == "ACCEPTED"
    await seen.context.close()


async def test_coming_back_after_the_access_token_ran_out(chromium: Browser, house: House) -> None:
    mira, ada = inviter(house), house.user(firstName="Ada")
    key = write(house, mira)
    share(house, mira, key, ada.email)
    seen = await visit(chromium, house)
    page = seen.page
    await sign_in(page, ada.email)
    await seen.context.clear_cookies(name="access_token")
    await seen.open(link(house, ada.email, TITLE))
    await expect(page.get_by_role("heading", level=1)).to_have_text("Mira Okafor has something for you, Ada")
    await page.get_by_role("button", name="Accept the invitation").click()
    await expect(page.get_by_text(f"You may edit {TITLE}")).to_be_visible()
    seen.check()
    await seen.context.close()


# ---- every page, in every look -----------------------------------------------------------------------------------


def set_up(house: House) -> dict[str, Scene]:
    """Something to see on every page of content."""
    mira, ada, ben = inviter(house), house.user(firstName="Ada"), house.user(firstName="Ben")
    tides, moons = write(house, mira, url=FOREIGN), write(house, mira, "Moons and months", url=FOREIGN)
    long = write(house, mira, LONG, key=f"long-{mira.id}", url=FOREIGN)

    def path(key: str, email: str, role: str = "EDITOR", **more: Any) -> str:
        made = share(house, mira, key, email, role, **more)
        return f"/content/articles/{key}/accept-invitation?token={house.reveal(made)}"

    fresh = path(tides, new_address("jonas"), message=MESSAGE)
    bundle = house.invite(
        ada.email,
        mira.token,
        role="team",
        groups=[house.group(name="Spring cohort")],
        content=[{"contentType": "articles", "key": key, "role": "VIEWER"} for key in (tides, moons, long)],
    )
    gone = share(house, mira, moons, new_address("over"))
    over = f"/invitation?token={house.reveal(gone)}"
    house.delete(f"/invitations/{gone}", house.key)
    house.accept(
        house.mail_of(
            house.invite(
                ben.email,
                mira.token,
                content=[{"contentType": "articles", "key": key, "role": "MAINTAINER"} for key in (tides, long)],
            )
        ).token
    )
    accepted = path(moons, ben.email)
    house.accept(accepted.rpartition("=")[2], by=ben)
    return {
        "register": Scene(fresh),
        "register, errors": Scene(fresh, press=True),
        "register, a long title": Scene(path(long, new_address("jonas"))),
        "sign in to accept": Scene(path(tides, ada.email)),
        "accept": Scene(path(moons, ada.email), ada.email),
        "accept a bundle": Scene(f"/invitation?token={house.reveal(bundle['id'])}", ada.email),
        "wrong account": Scene(fresh, ada.email),
        "mismatch": Scene(fresh.replace(f"/{tides}/", f"/{moons}/")),
        "withdrawn": Scene(over),
        "accepted": Scene(accepted),
        "arrived, one object": Scene(f"/invitation/arrived?how=added&to=articles/{tides}", ben.email),
        "arrived, a long title": Scene(f"/invitation/arrived?how=added&to=articles/{long}", ben.email),
        "arrived, several": Scene(f"/invitation/arrived?how=added&to=articles/{tides},articles/{long}", ben.email),
        "arrived, not signed in": Scene(f"/invitation/arrived?how=unsigned&to=articles/{tides}"),
    }


@pytest.mark.parametrize(("width", "scheme", "locale"), LOOKS)
async def test_every_page_of_content_in_this_look(
    chromium: Browser, house: House, width: int, scheme: str, locale: str
) -> None:
    assert await find_all_faults(chromium, house, set_up(house), width, scheme, locale) == []


def set_up_closed(house: House) -> dict[str, Scene]:
    """The same where only people with an account are let in."""
    mira, key = inviter(house), ""
    eve = house.user(emailVerified=False, firstName="Eve")
    key = write(house, mira)
    paths = [
        f"/content/articles/{key}/accept-invitation?token={house.reveal(share(house, mira, key, email))}"
        for email in (new_address("jonas"), eve.email)
    ]
    return {"no account": Scene(paths[0]), "unconfirmed": Scene(paths[1], eve.email)}


@pytest.mark.parametrize(("width", "scheme", "locale"), LOOKS)
async def test_the_pages_for_members_only_in_this_look(
    chromium: Browser, closed_house: House, width: int, scheme: str, locale: str
) -> None:
    assert await find_all_faults(chromium, closed_house, set_up_closed(closed_house), width, scheme, locale) == []
