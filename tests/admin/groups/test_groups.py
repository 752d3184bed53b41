"""The pages of groups: list, create, edit, members, content, delete."""

import pytest
from tests.support.page_client import PageClient

from latchstring.content.service import NewAccess
from latchstring.domain.access import Visibility
from latchstring.domain.grant import ContentRole
from latchstring.domain.principal import OPERATOR_PRINCIPAL

SCRIPT = "<script>alert(1)</script>"


async def seen_of(page_client: PageClient, key: str) -> str:
    return (await page_client.get(f"/admin/groups/{key}")).hidden["shownFingerprint"]


async def test_creating_a_group_redirects_to_its_page(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    assert 'data-testid="no-entries"' in (await page_client.get("/admin/groups")).html
    fields = {"key": "new", "name": "Spring cohort", "language": "de", "textName": "Frühling", "textDescription": ""}
    sent = await page_client.send("/admin/groups/~new", fields)
    assert sent.target == "/admin/groups/new"
    assert await page_client.flash(sent) == "group-created"
    assert 'value="Frühling"' in (await page_client.get("/admin/groups/new")).html


async def test_problems_of_a_group_are_shown_and_input_is_kept(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    await page_client.group("spring")
    taken = await page_client.send("/admin/groups/~new", {"key": "spring", "name": "Another", "description": "kept"})
    assert (taken.status, taken.code) == (409, "group-key-taken")
    assert 'href="#key" data-problem="group-key-taken"' in taken.html
    assert 'value="Another"' in taken.html
    bad = await page_client.send(
        "/admin/groups/~new",
        {"key": "a b", "name": "", "language": ["de", ""], "textName": ["", "Nobody"], "textDescription": ["x", ""]},
    )
    assert (bad.status, bad.code) == (422, "invalid-fields")
    assert all(f'href="#{field}"' in bad.html for field in ("key", "name", "language-0", "language-1"))
    assert "Nobody" in bad.html


async def test_saving_changes_texts_and_detects_concurrent_changes(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    await page_client.group("spring")
    seen = await seen_of(page_client, "spring")
    saved = await page_client.send(
        "/admin/groups/spring", {"shownFingerprint": seen, "name": "Autumn", "description": "Leaves"}
    )
    assert await page_client.flash(saved) == "group-saved"
    late = await page_client.send("/admin/groups/spring", {"shownFingerprint": seen, "name": "Winter"})
    assert (late.status, late.code) == (409, "changed-meanwhile")
    assert 'value="Winter"' in late.html
    assert (await page_client.services.groups.get("spring", by=OPERATOR_PRINCIPAL)).name == "Autumn"
    again = await page_client.send(
        "/admin/groups/spring", {"shownFingerprint": late.hidden["shownFingerprint"], "name": "Winter"}
    )
    assert again.status == 303


async def test_members_are_added_and_removed(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    await page_client.group("spring")
    ada = await page_client.user()
    matches = await page_client.get("/admin/groups/spring/members?find=ADA%40")
    assert "ada@people.test" in matches.words
    added = await page_client.send("/admin/groups/spring/members", {"user": str(ada.id)})
    assert await page_client.flash(added) == "member-added"
    assert 'data-testid="already-member"' in (await page_client.get("/admin/groups/spring/members?find=ada")).html
    removed = await page_client.send("/admin/groups/spring/members/remove", {"user": str(ada.id)})
    assert await page_client.flash(removed) == "member-removed"
    twice = await page_client.send("/admin/groups/spring/members/remove", {"user": str(ada.id)})
    assert await page_client.flash(twice) == "member-gone"


async def test_members_are_paginated(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="viewer")
    await page_client.group("spring")
    for number in range(27):
        await page_client.user(f"m{number:02}@people.test", password=None, groups=("spring",))
    first = await page_client.get("/admin/groups/spring/members")
    assert "m24@people.test" in first.words
    assert "m25@people.test" not in first.words
    following = first.html.split('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
    second = await page_client.get(following.replace("&amp;", "&"))
    assert "m26@people.test" in second.words
    assert "m24@people.test" not in second.words


async def test_an_unknown_address_can_be_invited(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.group("spring")
    seen = await page_client.get("/admin/groups/spring/members?find=new%40people.test")
    assert "/admin/invitations/new?group=spring&amp;email=new%40people.test" in seen.html


async def test_deleting_a_group_shows_its_effects(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    await page_client.group("spring")
    await page_client.user(groups=("spring",))
    owner = await page_client.inviter()
    await page_client.invite(groups=("spring",), role=None)
    article = await page_client.object(owner=owner)
    await page_client.services.content.replace_access(article, new_access("spring"), by=OPERATOR_PRINCIPAL)
    confirmation = await page_client.get("/admin/groups/spring/delete")
    for counted in ("members", "invitations", "objects"):
        assert f'data-testid="{counted}"><span class="tally__number">1</span>' in confirmation.html
    assert "Tide tables" in (await page_client.get("/admin/groups/spring/content")).words
    gone = await page_client.send("/admin/groups/spring/delete")
    assert gone.target == "/admin/groups"
    assert (await page_client.get("/admin/groups/spring")).code == "group-not-found"


def new_access(group: str) -> NewAccess:
    return NewAccess(visibility=Visibility.SHARED, groups={group: ContentRole.EDITOR})


async def test_names_are_escaped_on_every_page(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    fields = {"key": "x", "name": SCRIPT, "description": SCRIPT, "language": "de", "textName": SCRIPT}
    await page_client.send("/admin/groups/~new", fields | {"textDescription": SCRIPT})
    for path in ("", "/x", "/x/members", "/x/content", "/x/delete", f"?q={SCRIPT}"):
        seen = await page_client.get(f"/admin/groups{path}")
        assert seen.status == 200
        assert SCRIPT not in seen.html
        assert "alert(1)" in seen.html


@pytest.mark.parametrize("q", ["spr", "SPRING C", "spring-2026"])
async def test_groups_are_searched_by_prefix_of_name_or_key(page_client: PageClient, q: str) -> None:
    await page_client.sign_in_admin(role="viewer")
    await page_client.group("spring-2026", "Spring cohort")
    await page_client.group("autumn", "Autumn cohort")
    seen = await page_client.get("/admin/groups", params={"q": q})
    assert "Spring cohort" in seen.words
    assert "Autumn cohort" not in seen.words
    assert "Create group" not in seen.words
