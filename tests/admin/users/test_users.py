"""The pages of users: search, create, edit, mail links, end sessions, block, erase."""

import pytest
from tests.support.page_client import PageClient

from latchstring.domain.principal import OPERATOR_PRINCIPAL

SCRIPT = "<script>alert(1)</script>"


async def test_users_are_filtered_by_address_name_role_group_and_state(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="viewer")
    await page_client.group("spring")
    await page_client.user("ada@people.test", groups=("spring",))
    await page_client.user("ben@people.test", first_name="Ben", last_name="Okoro", role="team", email_verified=False)
    await page_client.user("cy@people.test", first_name="Cy", last_name="Ng", blocked=True)
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
        words = (await page_client.get(f"/admin/users?{query}")).words
        assert {candidate for candidate in ("ada", "ben", "cy") if f"{candidate}@people.test" in words} == {name}, query
        assert "1 matches" in words
    assert 'data-testid="no-matches"' in (await page_client.get("/admin/users?group=no+thing")).html


@pytest.mark.parametrize("sort", ["email", "-email", "name", "-name", "createdAt", "-createdAt"])
async def test_pages_in_every_order_list_each_user_once(page_client: PageClient, sort: str) -> None:
    await page_client.sign_in_admin(role="viewer")
    for number in range(30):
        await page_client.user(f"u{number:02}@people.test", password=None, last_name=f"L{number % 3}")
    seen: list[str] = []
    path = f"/admin/users?sort={sort}&q=u"
    while path:
        page = await page_client.get(path)
        assert page.status == 200
        seen += [part[:3] for part in page.html.split('<span dir="ltr">')[1:]]
        before_next = page.html.partition('rel="next"')
        path = before_next[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&") if before_next[1] else ""
    assert len(seen) == len(set(seen)) == 30
    if "email" in sort:
        assert seen == sorted(seen, reverse=sort.startswith("-"))


async def test_creating_a_user_can_mail_a_link(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    await page_client.group("spring")
    fields = {"email": "new@people.test", "firstName": "Nia", "role": "team", "locale": "de", "groups": ["spring"]}
    sent = await page_client.send("/admin/users/new", fields | {"mailLink": "yes", "verified": "yes"})
    assert await page_client.flash(sent) == "user-created-link-sent"
    user = await page_client.find_user("new@people.test")
    assert user is not None
    assert (user.first_name, user.role, user.locale, user.groups) == ("Nia", "team", "de", ("spring",))
    assert user.email_verified
    assert user.terms_version is None
    assert 'data-event="user.link_sent"' in (await page_client.get(sent.target)).html
    again = await page_client.send("/admin/users/new", fields)
    assert (again.status, again.code) == (409, "email-taken")
    assert 'value="Nia"' in again.html


async def test_what_is_wrong_is_told_at_the_fields(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    bad = await page_client.send("/admin/users/new", {"email": "nobody", "role": "king", "firstName": "A\tB"})
    assert bad.status == 422
    assert all(f'href="#{field}"' in bad.html for field in ("email", "firstName"))
    unknown = await page_client.send("/admin/users/new", {"email": "n@people.test", "role": "king"})
    assert 'href="#role"' in unknown.html


async def test_editing_saves_changes_and_detects_concurrent_ones(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    ada = await page_client.user()
    path = f"/admin/users/{ada.id}/edit"
    seen = (await page_client.get(path)).hidden["shownFingerprint"]
    fields = {
        "shownFingerprint": seen,
        "email": "ada@people.test",
        "firstName": "Ada",
        "lastName": "King",
        "role": "team",
    }
    assert await page_client.flash(await page_client.send(path, fields | {"verified": "yes"})) == "user-saved"
    changed = await page_client.find_user("ada@people.test")
    assert changed is not None
    assert (changed.last_name, changed.role, changed.email_verified) == ("King", "team", True)
    late = await page_client.send(path, fields | {"lastName": "Late"})
    assert (late.status, late.code) == (409, "changed-meanwhile")
    assert 'value="Late"' in late.html


async def test_a_changed_address_is_unverified_by_default(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    ada = await page_client.user()
    path = f"/admin/users/{ada.id}/edit"
    seen = (await page_client.get(path)).hidden["shownFingerprint"]
    await page_client.send(
        path, {"shownFingerprint": seen, "email": "ada@new.test", "firstName": "Ada", "lastName": "Löwe"}
    )
    moved = await page_client.find_user("ada@new.test")
    assert moved is not None
    assert not moved.email_verified


async def test_a_user_is_added_to_and_removed_from_groups(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    await page_client.group("spring")
    ada = await page_client.user()
    assert (
        await page_client.flash(await page_client.send(f"/admin/users/{ada.id}/groups", {"group": "spring"}))
        == "member-added"
    )
    assert (
        await page_client.flash(await page_client.send(f"/admin/users/{ada.id}/groups/remove", {"group": "spring"}))
        == "member-removed"
    )
    assert (
        await page_client.flash(await page_client.send(f"/admin/users/{ada.id}/groups", {"group": "nowhere"}))
        == "group-unknown"
    )


async def test_blocking_and_unblocking(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    ada = await page_client.user()
    path = f"/admin/users/{ada.id}"
    assert f'action="{path}/block"' in (await page_client.get(f"{path}/block")).html
    assert await page_client.flash(await page_client.send(f"{path}/block")) == "user-blocked"
    assert await page_client.flash(await page_client.send(f"{path}/block")) == "user-was-blocked"
    assert "cannot sign in" in (await page_client.get(path)).words
    assert await page_client.flash(await page_client.send(f"{path}/unblock")) == "user-unblocked"
    words = (await page_client.get(path)).words
    assert words.index("Unblocked") < words.index("Blocked Mira")


async def test_links_and_sessions(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    ada = await page_client.user(email_verified=False)
    path = f"/admin/users/{ada.id}"
    assert (
        await page_client.flash(await page_client.send(f"{path}/links", {"kind": "password"})) == "password-link-sent"
    )
    assert (
        await page_client.flash(await page_client.send(f"{path}/links", {"kind": "verification"}))
        == "verification-link-sent"
    )
    await page_client.change_user("ada@people.test", email_verified=True)
    assert (
        await page_client.flash(await page_client.send(f"{path}/links", {"kind": "verification"})) == "already-verified"
    )
    assert (await page_client.send(f"{path}/links", {"kind": "anything"})).status == 422
    assert await page_client.flash(await page_client.send(f"{path}/sessions/end")) == "user-sessions-ended"


async def test_links_are_limited_per_address(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    ada = await page_client.user()
    for message in [*["password-link-sent"] * 10, "too-many-mails"]:
        sent = await page_client.send(f"/admin/users/{ada.id}/links", {"kind": "password"})
        assert await page_client.flash(sent) == message


@pytest.mark.parametrize("page_client", [('transport = "mailbox"', 'transport = "off"')], indirect=True)
async def test_without_mail_no_link_is_sent(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    ada = await page_client.user()
    sent = await page_client.send(f"/admin/users/{ada.id}/links", {"kind": "password"})
    assert await page_client.flash(sent) == "mail-off"
    created = await page_client.send("/admin/users/new", {"email": "new@people.test", "mailLink": "yes"})
    assert await page_client.flash(created) == "user-created-link-not-sent"


async def test_erasing_an_owner_needs_a_new_owner(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    owner, new_owner = (
        await page_client.inviter(),
        await page_client.user("heir@people.test", first_name="Hani", last_name="Eren"),
    )
    article = await page_client.object(owner=owner)
    path = f"/admin/users/{owner.id}/erase"
    confirmation = await page_client.get(path)
    assert "1 owned object needs a new owner" in confirmation.words
    assert "newOwner" not in confirmation.hidden
    assert "heir@people.test" in (await page_client.get(f"{path}?find=heir")).words
    assert (await page_client.get(f"{path}?owner={new_owner.id}")).hidden["newOwner"] == str(new_owner.id)
    refused = await page_client.send(path)
    assert (refused.status, refused.code) == (409, "owns-content")
    assert await page_client.flash(await page_client.send(path, {"newOwner": str(new_owner.id)})) == "user-erased"
    assert (await page_client.get(f"/admin/users/{owner.id}")).code == "user-not-found"
    transferred = await page_client.services.content.operations.get("articles", article.key, by=OPERATOR_PRINCIPAL)
    assert transferred.owner_id == new_owner.id


async def test_the_entry_shows_objects_invitations_and_history(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="viewer")
    mira = await page_client.inviter()
    await page_client.object(owner=mira)
    await page_client.invite("jonas@people.test", by=mira)
    seen = await page_client.get(f"/admin/users/{mira.id}")
    words = seen.words
    assert "Tide tables articles/tide-tables Owner" in words
    assert "jonas@people.test" in words
    assert 'data-event="user.created"' in seen.html
    assert "Edit" not in words.split("People and access")[1].split("History")[0].split("Okafor", 1)[1]


@pytest.mark.parametrize("user_id", ["nobody", "00000000-0000-0000-0000-000000000000"])
async def test_an_unknown_user_is_a_404_page(page_client: PageClient, user_id: str) -> None:
    await page_client.sign_in_admin()
    seen = await page_client.get(f"/admin/users/{user_id}")
    assert (seen.status, seen.code) == (404, "user-not-found")


async def test_names_are_escaped_on_every_page(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    evil = await page_client.user(first_name=SCRIPT, last_name=SCRIPT, external_id=SCRIPT)
    for path in ("", "/edit", "/block", "/erase", "/erase?find=ada"):
        seen = await page_client.get(f"/admin/users/{evil.id}{path}")
        assert seen.status == 200
        assert SCRIPT not in seen.html
        assert "alert(1)" in seen.html
    for query in ({}, {"q": SCRIPT}, {"role": SCRIPT}, {"group": SCRIPT}):
        assert SCRIPT not in (await page_client.get("/admin/users", params=query)).html
