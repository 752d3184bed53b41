"""A new invitation prefilled by its URL."""

from tests.support.page_client import PageClient


async def test_the_url_prefills_the_form(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    await page_client.group("spring")
    owner = await page_client.inviter()
    await page_client.object(owner=owner)
    seen = await page_client.get(
        "/admin/invitations/new?email=jo%40people.test&role=customer&group=spring&content=articles/tide-tables:EDITOR"
    )
    assert 'value="jo@people.test"' in seen.html
    assert 'name="groups" value="spring" checked' in seen.html
    assert 'name="content" value="articles/tide-tables"' in seen.html
    assert "Tide tables" in seen.words


async def test_invalid_values_of_the_url_are_ignored(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    evil = "<script>"
    query = {"email": evil, "role": evil, "group": evil, "content": f"{evil}/x:EDITOR"}
    seen = await page_client.get("/admin/invitations/new", params=query)
    assert seen.status == 200
    assert "&lt;script&gt;" not in seen.html
