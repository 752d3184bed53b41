"""The pages of API keys and of roles."""

import re

from tests.support.panel_client import Desk

from latchstring.domain.errors import Unauthenticated
from latchstring.domain.invitation import State

SCRIPT = "<script>alert(1)</script>"
NEW = "/admin/api-keys/new"


async def make(desk: Desk, **more: object) -> str:
    made = await desk.send(NEW, {"name": "Shop", "scopes": ["invitations:write", "users:read"], **more})
    assert made.status == 200, made.words
    found = re.search(r'value="(lsk_\w+)"', made.html)
    assert found is not None
    return found[1]


async def test_a_key_is_shown_once_and_works(desk: Desk) -> None:
    await desk.enter()
    await desk.group("spring")
    text = await make(
        desk, ownScopes="app:shop, app:plan", mayGrant=["customer"], mayGrantGroups=["spring"], expiresOn="2026-03-31"
    )
    principal = await desk.services.users.principal_of_api_key(text)
    assert principal.permissions == {"invitations:write", "users:read", "app:shop", "app:plan"}
    assert (principal.may_grant, principal.may_grant_groups) == ({"customer"}, {"spring"})
    seen = await desk.get("/admin/api-keys")
    assert "app:plan, app:shop, invitations:write, users:read" in seen.words
    assert "Customer" in seen.words
    assert "Mira Okafor" in seen.words
    assert text not in seen.html
    desk.wait(days=29, hours=13)
    assert "ran out" in (await desk.get("/admin/api-keys")).words or (await desk.get("/admin/api-keys")).status == 303


async def test_what_is_wrong_is_told_at_its_field_and_nothing_is_lost(desk: Desk) -> None:
    await desk.enter()
    bad = await desk.send(NEW, {"name": "", "ownScopes": "shop", "mayGrant": ["customer"], "expiresOn": "soon"})
    assert bad.status == 422
    assert all(f'href="#{field}"' in bad.html for field in ("name", "expiresOn"))
    assert 'value="customer" checked' in bad.html
    worse = await desk.send(NEW, {"name": "Shop", "ownScopes": "shop", "scopes": ["users:write"]})
    assert 'href="#ownScopes"' in worse.html
    assert 'value="users:write" checked' in worse.html
    past = await desk.send(NEW, {"name": "Shop", "scopes": ["users:read"], "expiresOn": "2026-01-31"})
    assert "Choose a day that is still to come." in past.words
    none = await desk.send(NEW, {"name": "Shop"})
    assert 'href="#scopes"' in none.html
    king = await desk.send(NEW, {"name": "Shop", "scopes": ["users:read"], "mayGrant": ["king"]})
    assert 'href="#mayGrant"' in king.html


async def revoke_path(desk: Desk) -> str:
    found = re.search(r'href="(/admin/api-keys/[0-9a-f-]+/revoke)"', (await desk.get("/admin/api-keys")).html)
    assert found is not None
    return found[1]


async def test_revoking_keeps_or_ends_its_invitations(desk: Desk) -> None:
    await desk.enter()
    for choice, state in (("keep", State.PENDING), ("end", State.REVOKED)):
        text = await make(desk, mayGrant=["customer"])
        by = await desk.services.users.principal_of_api_key(text)
        invitation = await desk.invite(f"{choice}@people.test", by=by, role="customer")
        path = await revoke_path(desk)
        assert "Keep them" in (await desk.get(path)).words
        assert "is revoked" in await desk.said(await desk.send(path, {"invitations": choice}))
        assert await desk.state(invitation) == state.name
        try:
            await desk.services.users.principal_of_api_key(text)
        except Unauthenticated:
            pass
        else:
            raise AssertionError("the key still works")
        late = await desk.send(path, {"invitations": choice})
        assert "revoked a moment ago" in await desk.said(late)


async def test_only_super_admins_see_keys(desk: Desk) -> None:
    await desk.enter(role="manager")
    assert (await desk.get("/admin/api-keys")).status == 403


async def test_names_of_keys_are_text(desk: Desk) -> None:
    await desk.enter()
    await desk.send(NEW, {"name": SCRIPT, "scopes": ["users:read"]})
    for path in ("/admin/api-keys", await revoke_path(desk)):
        seen = await desk.get(path)
        assert SCRIPT not in seen.html
        assert "alert(1)" in seen.html


async def test_roles_are_a_table_that_says_where_they_come_from(desk: Desk) -> None:
    await desk.enter(role="viewer")
    await desk.user()
    seen = await desk.get("/admin/roles")
    assert "Roles come from the configuration file" in seen.words
    assert "1 users with the role Customer" in seen.words
    assert "app:plan" in seen.words
    row = seen.html.split('<code dir="ltr">invitations:write</code>')[1].split("</tr>")[0]
    assert [">yes<" in cell for cell in row.split("<td")[1:]] == [True, False]
