"""The pages of API keys and of roles."""

import re

from tests.support.page_client import PageClient

from latchstring.domain.errors import Unauthenticated
from latchstring.domain.invitation import State

SCRIPT = "<script>alert(1)</script>"
NEW = "/admin/api-keys/new"


async def create_key(page_client: PageClient, **more: object) -> str:
    created = await page_client.send(NEW, {"name": "Shop", "scopes": ["invitations:write", "users:read"], **more})
    assert created.status == 200, created.words
    match = re.search(r'value="(lsk_\w+)"', created.html)
    assert match is not None
    return match[1]


async def test_a_key_is_shown_once_and_works(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.group("spring")
    text = await create_key(
        page_client,
        ownScopes="app:shop, app:plan",
        mayGrant=["customer"],
        mayGrantGroups=["spring"],
        expiresOn="2026-03-31",
    )
    principal = await page_client.services.users.sessions.principal_of_api_key(text)
    assert principal.permissions == {"invitations:write", "users:read", "app:shop", "app:plan"}
    assert (principal.may_grant, principal.may_grant_groups) == ({"customer"}, {"spring"})
    seen = await page_client.get("/admin/api-keys")
    assert "app:plan, app:shop, invitations:write, users:read" in seen.words
    assert "Customer" in seen.words
    assert "Mira Okafor" in seen.words
    assert text not in seen.html
    page_client.wait(days=29, hours=13)
    listed = await page_client.get("/admin/api-keys")
    assert 'data-testid="expired"' in listed.html or listed.status == 303


async def test_problems_are_shown_at_their_fields_and_input_is_kept(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    bad = await page_client.send(NEW, {"name": "", "ownScopes": "shop", "mayGrant": ["customer"], "expiresOn": "soon"})
    assert bad.status == 422
    assert all(f'href="#{field}"' in bad.html for field in ("name", "expiresOn"))
    assert 'value="customer" checked' in bad.html
    worse = await page_client.send(NEW, {"name": "Shop", "ownScopes": "shop", "scopes": ["users:write"]})
    assert 'href="#ownScopes"' in worse.html
    assert 'value="users:write" checked' in worse.html
    expired = await page_client.send(NEW, {"name": "Shop", "scopes": ["users:read"], "expiresOn": "2026-01-31"})
    assert 'href="#expiresOn" data-problem="in-the-past"' in expired.html
    none = await page_client.send(NEW, {"name": "Shop"})
    assert 'href="#scopes"' in none.html
    king = await page_client.send(NEW, {"name": "Shop", "scopes": ["users:read"], "mayGrant": ["king"]})
    assert 'href="#mayGrant"' in king.html


async def revoke_path(page_client: PageClient) -> str:
    match = re.search(r'href="(/admin/api-keys/[0-9a-f-]+/revoke)"', (await page_client.get("/admin/api-keys")).html)
    assert match is not None
    return match[1]


async def test_revoking_keeps_or_ends_its_invitations(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    for choice, state in (("keep", State.PENDING), ("end", State.REVOKED)):
        text = await create_key(page_client, mayGrant=["customer"])
        by = await page_client.services.users.sessions.principal_of_api_key(text)
        invitation = await page_client.invite(f"{choice}@people.test", by=by, role="customer")
        path = await revoke_path(page_client)
        assert "Keep them" in (await page_client.get(path)).words
        assert (await page_client.flash(await page_client.send(path, {"invitations": choice}))).endswith("revoked")
        assert await page_client.state(invitation) == state.name
        try:
            await page_client.services.users.sessions.principal_of_api_key(text)
        except Unauthenticated:
            pass
        else:
            raise AssertionError("the key still works")
        late = await page_client.send(path, {"invitations": choice})
        assert await page_client.flash(late) == "api-key-gone"


async def test_only_super_admins_see_keys(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    assert (await page_client.get("/admin/api-keys")).status == 403


async def test_names_of_keys_are_escaped(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.send(NEW, {"name": SCRIPT, "scopes": ["users:read"]})
    for path in ("/admin/api-keys", await revoke_path(page_client)):
        seen = await page_client.get(path)
        assert SCRIPT not in seen.html
        assert "alert(1)" in seen.html


async def test_roles_are_listed_with_their_permissions_and_source(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="viewer")
    await page_client.user()
    seen = await page_client.get("/admin/roles")
    assert 'data-testid="roles-source"' in seen.html
    assert "1 users with the role Customer" in seen.words
    assert "app:plan" in seen.words
    row = seen.html.split('<code dir="ltr">invitations:write</code>')[1].split("</tr>")[0]
    assert [">yes<" in cell for cell in row.split("<td")[1:]] == [True, False]
