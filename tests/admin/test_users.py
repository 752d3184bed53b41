"""The pages of users: found, made, changed, mailed, signed out, blocked, erased."""

import pytest
from tests.admin.conftest import Desk

from latchstring.domain.principal import OPERATOR_PRINCIPAL

SCRIPT = "<script>alert(1)</script>"


async def test_a_user_is_found_by_address_name_role_group_and_state(desk: Desk) -> None:
    await desk.enter(role="viewer")
    await desk.group("spring")
    await desk.user("ada@people.test", groups=("spring",))
    await desk.user("ben@people.test", first_name="Ben", last_name="Okoro", role="team", email_verified=False)
    await desk.user("cy@people.test", first_name="Cy", last_name="Ng", blocked=True)
    expected = {
        "q=BEN": "ben",
        "q=okor": "ben",
        "q=ada@": "ada",
        "role=team": "ben",
        "group=spring": "ada",
        "state=blocked": "cy",
        "state=unverified": "ben",
        "q=c&role=customer&state=blocked": "cy",
    }
    for query, name in expected.items():
        words = (await desk.get(f"/admin/users?{query}")).words
        assert {one for one in ("ada", "ben", "cy") if f"{one}@people.test" in words} == {name}, query
        assert "1 matches" in words
    assert "Nothing matches" in (await desk.get("/admin/users?group=no+thing")).words


@pytest.mark.parametrize("sort", ["email", "-email", "name", "-name", "createdAt", "-createdAt"])
async def test_pages_of_every_order_show_everybody_once(desk: Desk, sort: str) -> None:
    await desk.enter(role="viewer")
    for number in range(30):
        await desk.user(f"u{number:02}@people.test", password=None, last_name=f"L{number % 3}")
    seen: list[str] = []
    path = f"/admin/users?sort={sort}&q=u"
    while path:
        page = await desk.get(path)
        assert page.status == 200
        seen += [part[:3] for part in page.html.split('<span dir="ltr">')[1:]]
        found = page.html.partition('rel="next"')
        path = found[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&") if found[1] else ""
    assert len(seen) == len(set(seen)) == 30
    if "email" in sort:
        assert seen == sorted(seen, reverse=sort.startswith("-"))


async def test_making_a_user_mails_a_link(desk: Desk) -> None:
    await desk.enter(role="manager")
    await desk.group("spring")
    fields = {"email": "new@people.test", "firstName": "Nia", "role": "team", "locale": "de", "groups": ["spring"]}
    sent = await desk.send("/admin/users/new", fields | {"mailLink": "yes", "verified": "yes"})
    assert "A link to choose a password is on its way" in await desk.said(sent)
    made = await desk.account("new@people.test")
    assert made is not None
    assert (made.first_name, made.role, made.locale, made.groups) == ("Nia", "team", "de", ("spring",))
    assert made.email_verified
    assert made.terms_version is None
    words = (await desk.get(sent.target)).words
    assert "Link to choose a password sent" in words
    again = await desk.send("/admin/users/new", fields)
    assert (again.status, again.code) == (409, "email-taken")
    assert 'value="Nia"' in again.html


async def test_what_is_wrong_is_told_at_the_fields(desk: Desk) -> None:
    await desk.enter(role="manager")
    bad = await desk.send("/admin/users/new", {"email": "nobody", "role": "king", "firstName": "A\tB"})
    assert bad.status == 422
    assert all(f'href="#{field}"' in bad.html for field in ("email", "firstName"))
    unknown = await desk.send("/admin/users/new", {"email": "n@people.test", "role": "king"})
    assert 'href="#role"' in unknown.html


async def test_editing_sends_what_changed_and_tells_a_race(desk: Desk) -> None:
    await desk.enter(role="manager")
    ada = await desk.user()
    path = f"/admin/users/{ada.id}/edit"
    seen = (await desk.get(path)).hidden["seen"]
    fields = {"seen": seen, "email": "ada@people.test", "firstName": "Ada", "lastName": "King", "role": "team"}
    assert "Saved" in await desk.said(await desk.send(path, fields | {"verified": "yes"}))
    changed = await desk.account("ada@people.test")
    assert changed is not None
    assert (changed.last_name, changed.role, changed.email_verified) == ("King", "team", True)
    late = await desk.send(path, fields | {"lastName": "Late"})
    assert (late.status, late.code) == (409, "changed-meanwhile")
    assert 'value="Late"' in late.html


async def test_a_moved_address_is_unproved_unless_vouched_for(desk: Desk) -> None:
    await desk.enter(role="manager")
    ada = await desk.user()
    path = f"/admin/users/{ada.id}/edit"
    seen = (await desk.get(path)).hidden["seen"]
    await desk.send(path, {"seen": seen, "email": "ada@new.test", "firstName": "Ada", "lastName": "Löwe"})
    moved = await desk.account("ada@new.test")
    assert moved is not None
    assert not moved.email_verified


async def test_groups_are_joined_and_left(desk: Desk) -> None:
    await desk.enter(role="manager")
    await desk.group("spring")
    ada = await desk.user()
    assert "is in" in await desk.said(await desk.send(f"/admin/users/{ada.id}/groups", {"group": "spring"}))
    assert "no longer" in await desk.said(await desk.send(f"/admin/users/{ada.id}/groups/remove", {"group": "spring"}))
    assert "no group" in await desk.said(await desk.send(f"/admin/users/{ada.id}/groups", {"group": "nowhere"}))


async def test_blocking_and_unblocking(desk: Desk) -> None:
    await desk.enter(role="manager")
    ada = await desk.user()
    path = f"/admin/users/{ada.id}"
    assert "Every session ends at once" in (await desk.get(f"{path}/block")).words
    assert "is blocked" in await desk.said(await desk.send(f"{path}/block"))
    assert "blocked already" in await desk.said(await desk.send(f"{path}/block"))
    assert "cannot sign in" in (await desk.get(path)).words
    assert "may sign in again" in await desk.said(await desk.send(f"{path}/unblock"))
    words = (await desk.get(path)).words
    assert words.index("Unblocked") < words.index("Blocked Mira")


async def test_links_and_sessions(desk: Desk) -> None:
    await desk.enter(role="manager")
    ada = await desk.user(email_verified=False)
    path = f"/admin/users/{ada.id}"
    assert "choose a new password" in await desk.said(await desk.send(f"{path}/links", {"kind": "password"}))
    assert "prove the address" in await desk.said(await desk.send(f"{path}/links", {"kind": "verification"}))
    await desk.change("ada@people.test", email_verified=True)
    assert "proved already" in await desk.said(await desk.send(f"{path}/links", {"kind": "verification"}))
    assert (await desk.send(f"{path}/links", {"kind": "anything"})).status == 422
    assert "signed out everywhere" in await desk.said(await desk.send(f"{path}/sessions/end"))


@pytest.mark.parametrize("desk", [('transport = "mailbox"', 'transport = "off"')], indirect=True)
async def test_without_mail_no_link_is_promised(desk: Desk) -> None:
    await desk.enter(role="manager")
    ada = await desk.user()
    sent = await desk.send(f"/admin/users/{ada.id}/links", {"kind": "password"})
    assert "Mail is switched off" in await desk.said(sent)
    made = await desk.send("/admin/users/new", {"email": "new@people.test", "mailLink": "yes"})
    assert "No mail could be sent" in await desk.said(made)


async def test_erasing_asks_who_takes_over(desk: Desk) -> None:
    await desk.enter(role="manager")
    owner, heir = await desk.inviter(), await desk.user("heir@people.test", first_name="Hani", last_name="Eren")
    article = await desk.object(owner=owner)
    path = f"/admin/users/{owner.id}/erase"
    asked = await desk.get(path)
    assert "1 owned object needs a new owner" in asked.words
    assert "Erase this person" not in asked.words
    assert "heir@people.test" in (await desk.get(f"{path}?find=heir")).words
    assert "Erase this person" in (await desk.get(f"{path}?owner={heir.id}")).words
    refused = await desk.send(path)
    assert (refused.status, refused.code) == (409, "owns-content")
    assert "erased" in await desk.said(await desk.send(path, {"newOwner": str(heir.id)}))
    assert (await desk.get(f"/admin/users/{owner.id}")).code == "user-not-found"
    found = await desk.services.content.get_object(OPERATOR_PRINCIPAL, "articles", article.key)
    assert found.owner_id == heir.id


async def test_the_entry_shows_what_hangs_on_a_user(desk: Desk) -> None:
    await desk.enter(role="viewer")
    mira = await desk.inviter()
    await desk.object(owner=mira)
    await desk.invite("jonas@people.test", by=mira)
    words = (await desk.get(f"/admin/users/{mira.id}")).words
    assert "Tide tables articles/tide-tables Owner" in words
    assert "jonas@people.test" in words
    assert "Account made" in words
    assert "Edit" not in words.split("People and access")[1].split("History")[0].split("Okafor", 1)[1]


@pytest.mark.parametrize("who", ["nobody", "00000000-0000-0000-0000-000000000000"])
async def test_nobody_is_a_page_that_says_so(desk: Desk, who: str) -> None:
    await desk.enter()
    seen = await desk.get(f"/admin/users/{who}")
    assert (seen.status, seen.code) == (404, "user-not-found")


async def test_names_are_text_wherever_they_are_shown(desk: Desk) -> None:
    await desk.enter()
    evil = await desk.user(first_name=SCRIPT, last_name=SCRIPT, external_id=SCRIPT)
    for path in ("", "/edit", "/block", "/erase", "/erase?find=ada"):
        seen = await desk.get(f"/admin/users/{evil.id}{path}")
        assert seen.status == 200
        assert SCRIPT not in seen.html
        assert "alert(1)" in seen.html
    for query in ({}, {"q": SCRIPT}, {"role": SCRIPT}, {"group": SCRIPT}):
        assert SCRIPT not in (await desk.get("/admin/users", params=query)).html
