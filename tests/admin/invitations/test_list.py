"""The list of invitations: filters, order, pages, columns and saved views, all from its URL."""

import re
from collections.abc import Sequence
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.support.page_client import PageClient

LIST = "/admin/invitations"


def emails(html: str) -> list[str]:
    """The e-mail addresses of the rows, in order."""
    return [re.sub(r"<.*?>", "", cell) for cell in re.findall(r'<a class="table__main"[^>]*>(.*?)</a>', html)]


def links(html: str, pattern: str) -> Sequence[str]:
    return [unescape(href) for href in re.findall(r'href="([^"]*)"', html) if re.search(pattern, unescape(href))]


async def rows(page_client: PageClient, query: str = "") -> list[str]:
    seen = await page_client.get(f"{LIST}?{query}")
    assert seen.status == 200, seen.html
    return [email.partition("@")[0] for email in emails(seen.html)]


async def test_an_empty_list_links_to_the_form(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    seen = await page_client.get(LIST)
    assert 'data-testid="no-entries"' in seen.html
    assert "<table" not in seen.html
    assert seen.html.count("Create new entry") == 1


async def test_a_row_links_to_the_entry_and_shows_its_fields(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await page_client.invite("ada@people.test", role="team", first_name="Ada", last_name="Löwe")
    html = (await page_client.get(LIST)).html
    assert f'href="{LIST}/{invitation.id}"' in html
    row = html[html.index("<tbody") : html.index("</tbody>")]
    for word in ("Ada Löwe", "Pending", "Team", "Queued", "Command line", "in 7 days"):
        assert word in row, word


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=PENDING", {"ada", "bob"}),
        ("state=REVOKED", {"cem"}),
        ("state=PENDING&state=REVOKED", {"ada", "bob", "cem"}),
        ("role=customer", {"bob"}),
        ("q=AD", {"ada"}),
        ("q=löwe", {"bob"}),
        ("inviter=me", {"bob"}),
        ("delivery=SENT", set()),
        ("delivery=QUEUED&role=team", {"ada", "cem"}),
        ("expiresWithin=24h", {"bob"}),
        ("expiresWithin=30d", {"ada", "bob"}),
        ("madeFrom=2000-01-01&madeTo=2001-01-01", set()),
        ("madeWithin=24h", {"ada", "bob", "cem"}),
        ("group=nowhere", set()),
        ("state=WRONG&role=&sort=hair&size=9", {"ada", "bob", "cem"}),
    ],
)
async def test_filters_select_invitations(page_client: PageClient, query: str, expected: set[str]) -> None:
    me = await page_client.principal(await page_client.sign_in_admin())
    await page_client.invite("ada@people.test")
    await page_client.invite("bob@people.test", by=me, role="customer", last_name="Löwe", expires_in=timedelta(hours=5))
    gone = await page_client.invite("cem@people.test")
    await page_client.services.invitations.revoke(gone.id, by=me)
    seen = await page_client.get(f"{LIST}?{query}")
    if seen.status == 303:  # a redirect removes empty fields from the URL
        assert "role=" not in seen.target
        seen = await page_client.get(seen.target)
    assert {email.partition("@")[0] for email in emails(seen.html)} == expected
    if not expected:
        assert 'data-testid="no-matches"' in seen.html


async def test_each_filter_is_a_chip_that_removes_it(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.invite("ada@people.test")
    html = (await page_client.get(f"{LIST}?q=a&state=PENDING&state=EXPIRED&role=team&sort=inviteEmail")).html
    chips = re.findall(r'<span class="chip">.*?</span></a></span>', html, re.DOTALL)
    assert len(chips) == 4
    off = parse_qsl(urlsplit(links(chips[1], "invitations")[0]).query)
    assert off == [("q", "a"), ("state", "EXPIRED"), ("role", "team"), ("sort", "inviteEmail")]
    assert "Remove filter: State Pending" in re.sub(r"<.*?>", "", chips[1])


async def test_headings_sort_and_show_the_order(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    for name in ("bob", "ada", "cem"):
        await page_client.invite(f"{name}@people.test")
    assert await rows(page_client, "sort=inviteEmail") == ["ada", "bob", "cem"]
    assert await rows(page_client, "sort=-inviteEmail") == ["cem", "bob", "ada"]
    html = (await page_client.get(f"{LIST}?sort=inviteEmail")).html
    assert re.search(r'aria-sort="ascending"><a href="[^"]*sort=-inviteEmail', html)
    assert 'aria-sort="descending"' in (await page_client.get(LIST)).html


async def test_pages_are_linked_in_both_directions(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    for number in range(60):
        await page_client.invite(f"p{number:02}@people.test")
    first = await page_client.get(f"{LIST}?sort=inviteEmail")
    assert "1 to 25 of 60" in first.html
    assert links(first.html, "before=") == []
    second = await page_client.get(links(first.html, "after=")[0])
    assert "26 to 50 of 60" in second.html
    third = await page_client.get(links(second.html, "after=")[0])
    assert "51 to 60 of 60" in third.html
    assert links(third.html, "after=") == []
    back = await page_client.get(links(third.html, "before=")[0])
    assert emails(back.html) == emails(second.html)
    assert "26 to 50 of 60" in back.html
    assert emails((await page_client.get(links(back.html, "before=")[0])).html) == emails(first.html)
    assert len(emails((await page_client.get(f"{LIST}?size=100")).html)) == 60


async def test_an_invalid_cursor_shows_the_first_page(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.invite("ada@people.test")
    assert await rows(page_client, "after=nonsense") == ["ada"]


async def test_columns_are_chosen_in_the_url(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.invite("ada@people.test")
    html = (await page_client.get(f"{LIST}?col=role&col=state")).html
    assert re.findall(r'data-label="(\w+)"', html) == ["State", "Role"]
    assert "col=state&amp;col=role" in html


async def test_content_is_counted_and_listed(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    owner = await page_client.inviter()
    objects = [await page_client.object(f"Map {number:02}", owner=owner) for number in range(12)]
    invitation = await page_client.share(*objects, by=owner, right="VIEWER")
    html = (await page_client.get(LIST)).html
    button = re.search(rf'<button[^>]*popovertarget="content-{invitation.id}" title="([^"]*)">12<span', html)
    assert button is not None
    assert button[1].split("; ") == [f"Map {number:02}" for number in range(10)]
    listed = html[html.index(f'id="content-{invitation.id}"') :].partition("</ul>")[0]
    assert listed.count("<li>") == 11
    assert "and 2 more" in listed


async def test_groups_show_the_first_and_list_the_rest(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    for key in ("autumn", "spring", "winter"):
        await page_client.group(key, key.title())
    invitation = await page_client.invite(groups=("autumn", "spring", "winter"))
    html = (await page_client.get(LIST)).html
    listed = html[html.index(f'id="groups-{invitation.id}"') :].partition("</ul>")[0]
    assert re.findall(r"<bdi>(\w+)</bdi>", listed) == ["Autumn", "Spring", "Winter"]
    assert await rows(page_client, "group=spring") == ["jonas"]


async def test_markup_in_names_is_escaped(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    evil = "<script>alert(1)</script>"
    await page_client.invite("eve@people.test", role="team", first_name=evil, last_name='"><img src=x>')
    for query in ("", f"?q={evil}", "?role=%3Cscript%3E", "?group=%22%3E%3Cimg%3E"):
        html = (await page_client.get(f"{LIST}{query}")).html
        assert "<script>alert" not in html
        assert "<img" not in html


async def test_views_are_saved_renamed_and_deleted(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.invite("ada@people.test")
    page = f"{LIST}/views?state=PENDING&q=a"
    saved = await page_client.send(f"{LIST}/views", {"name": "Mine <b>", "view": "state=PENDING&q=a"}, page=page)
    assert await page_client.flash(saved) == "view-saved"
    html = (await page_client.get(f"{LIST}?q=a&state=PENDING")).html
    tab = re.search(r'<a class="tab" href="([^"]*)" aria-current="page">(.*?)</a>', html)
    assert tab is not None
    assert "Mine &lt;b&gt;" in tab[2]
    view_id = re.search(r'name="id" value="([0-9a-f-]+)"', (await page_client.get(f"{LIST}/views")).html)
    assert view_id is not None
    await page_client.send(f"{LIST}/views/rename", {"id": view_id[1], "name": "Ours"}, page=page)
    assert "Ours" in (await page_client.get(LIST)).html
    await page_client.sign_in_admin("other@panel.test", role="viewer")
    assert "Ours" not in (await page_client.get(LIST)).html
    other = await page_client.send(f"{LIST}/views/delete", {"id": view_id[1]}, page=f"{LIST}/views")
    assert await page_client.flash(other) == "view-gone"
    await page_client.sign_in_admin()
    gone = await page_client.send(f"{LIST}/views/delete", {"id": view_id[1]}, page=page)
    assert await page_client.flash(gone) == "view-deleted"
    assert "Ours" not in re.sub(r'id="flash".*?</div>', "", (await page_client.get(LIST)).html)


async def test_a_view_needs_a_name(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    seen = await page_client.send(f"{LIST}/views", {"name": " ", "view": "q=a"}, page=f"{LIST}/views")
    assert seen.status == 422
    assert 'href="#name" data-problem="required"' in seen.html


async def test_a_viewer_sees_the_list_without_actions(page_client: PageClient) -> None:
    await page_client.invite("ada@people.test")
    await page_client.sign_in_admin("vera@panel.test", role="viewer")
    html = (await page_client.get(LIST)).html
    assert "ada" in html
    page = re.sub(r"<nav.*?</nav>", "", html, flags=re.DOTALL)
    for word in ("Create new entry", "Import", "Resend", "Revoke", "Duplicate", "Copy link"):
        assert not re.search(rf"\b{word}\b", page), word  # "Revoked" is a state in the filters
