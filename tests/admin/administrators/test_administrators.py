"""Administrators: invite, change, deactivate; and what managers and viewers cannot do."""

import re

import pytest
from tests.admin.account.test_sign_in import enrol, mailed_token, sign_in
from tests.support.page_client import COOKIE, PASSWORD, PageClient

from latchstring.domain.account import Admin
from latchstring.formats.email_address import parse_address

LIST = "/admin/administrators"
BEN = {"email": "ben@panel.test", "name": "Ben Adeyemi", "role": "manager", "language": "de"}


async def send(page_client: PageClient, path: str, fields: dict[str, str] | None = None) -> str:
    """Submit this form and return the key of the flash message."""
    return await page_client.flash(await page_client.send(f"{LIST}/{path}", fields))


async def get_admin(page_client: PageClient, email: str) -> Admin:
    admin = await page_client.services.admins.find_by_address(parse_address(email))
    assert admin
    return admin


async def test_the_list_shows_role_state_and_second_factor(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.send(f"{LIST}/new", BEN)
    words = (await page_client.get(LIST)).words
    assert re.search(r"Mira Okafor You .*Active Super-admin .*Off", words)
    assert re.search(r"Ben Adeyemi .*Invited Manager .*never", words)


async def test_an_administrator_is_invited_by_mail_in_their_language(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    assert await send(page_client, "new", BEN) == "administrator-invited"
    assert (await get_admin(page_client, "ben@panel.test")).locale == "de"
    token = await mailed_token(page_client)
    page_client.sign_out()
    page = f"/admin/set-up?token={token}"
    await page_client.send("/admin/set-up", {"token": token, "password": PASSWORD}, page=page)
    assert (await sign_in(page_client, "ben@panel.test")).target == "/admin"


@pytest.mark.parametrize("page_client", [('transport = "mailbox"', 'transport = "off"')], indirect=True)
async def test_without_mail_the_link_is_shown_once(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    assert 'data-testid="mail-off"' in (await page_client.get(f"{LIST}/new")).html
    created = await page_client.send(f"{LIST}/new", BEN)
    assert created.status == 200
    link = re.findall(r"http://pages\.test(/admin/set-up\?token=[\w.-]+)", created.html)[0]
    ben = await get_admin(page_client, "ben@panel.test")
    assert "token=" not in (await page_client.get(f"{LIST}/{ben.id}")).html
    again = await page_client.send(f"{LIST}/{ben.id}/link")
    newer = re.findall(r"http://pages\.test(/admin/set-up\?token=[\w.-]+)", again.html)[0]
    page_client.sign_out()
    assert (await page_client.get(link)).status == 401
    assert (await page_client.get(newer)).status == 200


@pytest.mark.parametrize(
    ("changes", "status", "problem"),
    [
        ({"email": "ben"}, 422, "invalid-email"),
        ({"name": ""}, 422, "required"),
        ({"role": "emperor"}, 422, "unknown-role"),
        ({"email": "Mira@panel.test"}, 409, "administrator-taken"),
    ],
)
async def test_problems_are_shown_at_their_fields(
    page_client: PageClient, changes: dict[str, str], status: int, problem: str
) -> None:
    await page_client.sign_in_admin()
    seen = await page_client.send(f"{LIST}/new", BEN | changes)
    assert seen.status == status
    assert f'href="#{next(iter(changes))}" data-problem="{problem}"' in seen.html
    assert len(await page_client.services.admins.list_all()) == 1


async def test_unknown_fields_are_refused(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    for extra in ({"passwordHash": "x"}, {"totpConfirmedAt": "2026-01-01"}, {"id": "1"}):
        assert (await page_client.send(f"{LIST}/new", BEN | extra)).status == 400
    assert len(await page_client.services.admins.list_all()) == 1


async def test_a_changed_role_applies_immediately(page_client: PageClient) -> None:
    ben = await page_client.sign_in_admin("ben@panel.test", role="viewer", name="Ben Adeyemi")
    token = page_client.browser.cookies.get(COOKIE)
    await page_client.sign_in_admin()
    assert await send(page_client, f"{ben.id}/role", {"role": "manager"}) == "administrator-is-manager"
    session = await page_client.services.admins.sessions.find(token or "")
    assert session
    assert session.admin.role == "manager"
    assert (await page_client.send(f"{LIST}/{ben.id}/role", {"role": "emperor"})).status == 422


async def test_deactivation_needs_a_confirmation_and_can_be_undone(page_client: PageClient) -> None:
    ben = await page_client.sign_in_admin("ben@panel.test", role="viewer", name="Ben Adeyemi")
    token = page_client.browser.cookies.get(COOKIE) or ""
    await page_client.sign_in_admin()
    confirmation = await page_client.get(f"{LIST}/{ben.id}/deactivate")
    assert "Ben Adeyemi" in confirmation.title
    assert await page_client.services.admins.sessions.find(token) is not None
    assert await send(page_client, f"{ben.id}/deactivate") == "administrator-deactivated"
    assert await page_client.services.admins.sessions.find(token) is None
    assert "Deactivated" in (await page_client.get(f"{LIST}/{ben.id}")).words
    assert await send(page_client, f"{ben.id}/link") == "administrator-link-not-sent"
    assert await send(page_client, f"{ben.id}/reactivate") == "administrator-reactivated"


async def test_the_last_super_admin_cannot_be_removed(page_client: PageClient) -> None:
    mira = await page_client.sign_in_admin()
    for path, fields in ((f"{mira.id}/role", {"role": "viewer"}), (f"{mira.id}/deactivate", {})):
        assert await send(page_client, path, fields) == "administrator-is-last-super-admin"
    assert (await get_admin(page_client, "mira@panel.test")).role == "super-admin"


async def test_demoting_oneself_redirects_to_the_own_account(page_client: PageClient) -> None:
    await page_client.admin("second@panel.test", name="Second")
    mira = await page_client.sign_in_admin()
    seen = await page_client.send(f"{LIST}/{mira.id}/role", {"role": "viewer"})
    assert seen.target == "/admin/account"
    assert (await page_client.get(LIST)).status == 403


async def test_sessions_and_second_factors_of_others_are_removed(page_client: PageClient) -> None:
    mira, _, _ = await enrol(page_client)
    await page_client.sign_in_admin("boss@panel.test", name="Boss")
    words = (await page_client.get(f"{LIST}/{mira.id}")).words
    assert "An authenticator app" in words
    assert "Signed in A browser last used 1 minute ago" in words
    assert await send(page_client, f"{mira.id}/sessions") == "administrator-sessions-ended"
    assert 'data-testid="no-sessions"' in (await page_client.get(f"{LIST}/{mira.id}")).html
    assert await send(page_client, f"{mira.id}/sessions") == "administrator-without-sessions"
    assert await send(page_client, f"{mira.id}/second-factor") == "administrator-second-factor-removed"
    assert not (await get_admin(page_client, "mira@panel.test")).has_second_factor


@pytest.mark.parametrize("role", ["manager", "viewer"])
async def test_only_super_admins_see_and_change_administrators(page_client: PageClient, role: str) -> None:
    boss = await page_client.admin("boss@panel.test")
    await page_client.sign_in_admin(role=role)
    assert "Administrators" not in (await page_client.get("/admin/account")).words
    for path in ("", "/new", f"/{boss.id}", f"/{boss.id}/deactivate"):
        seen = await page_client.get(LIST + path)
        assert (seen.status, seen.code) == (403, "not-allowed")
    for path, fields in (
        ("new", BEN),
        (f"{boss.id}/role", {"role": "viewer"}),
        (f"{boss.id}/deactivate", {}),
        (f"{boss.id}/reactivate", {}),
        (f"{boss.id}/link", {}),
        (f"{boss.id}/sessions", {}),
        (f"{boss.id}/second-factor", {}),
    ):
        seen = await page_client.send(f"{LIST}/{path}", fields, page="/admin/account")
        assert (seen.status, seen.code) == (403, "not-allowed")
    assert (await get_admin(page_client, "boss@panel.test")).role == "super-admin"
    assert len(await page_client.services.admins.list_all()) == 2


async def test_forms_without_a_csrf_token_change_nothing(page_client: PageClient) -> None:
    boss = await page_client.admin("boss@panel.test")
    await page_client.sign_in_admin()
    for path, fields in (
        ("new", BEN), (f"{boss.id}/role", {"role": "viewer"}), (f"{boss.id}/deactivate", {}),
        (f"{boss.id}/reactivate", {}), (f"{boss.id}/link", {}), (f"{boss.id}/sessions", {}),
        (f"{boss.id}/second-factor", {}),
    ):  # fmt: skip
        seen = await page_client.browser.post(f"{LIST}/{path}", data=fields | {"csrf": "0" * 32})
        assert seen.status_code == 403
    assert (await get_admin(page_client, "boss@panel.test")).is_active


@pytest.mark.parametrize("path", ["x", "00000000-0000-7000-8000-000000000000"])
async def test_an_unknown_administrator_is_a_404_page(page_client: PageClient, path: str) -> None:
    await page_client.sign_in_admin()
    seen = await page_client.get(f"{LIST}/{path}")
    assert (seen.status, seen.code) == (404, "admin-not-found")


async def test_names_of_administrators_are_escaped(page_client: PageClient) -> None:
    evil = '<img src=x onerror="alert(1)">{{ 7*7 }}'
    await page_client.sign_in_admin()
    await page_client.send(f"{LIST}/new", BEN | {"name": evil})
    ben = await get_admin(page_client, "ben@panel.test")
    for path in (LIST, f"{LIST}/{ben.id}", f"{LIST}/{ben.id}/deactivate"):
        html = (await page_client.get(path)).html
        assert "<img" not in html
        assert "&lt;img" in html
    assert evil in (await page_client.read_flash_text(await page_client.send(f"{LIST}/{ben.id}/sessions"))).replace(
        "&lt;", "<"
    ).replace("&gt;", ">").replace("&#34;", '"')
