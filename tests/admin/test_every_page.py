"""Rules for every page of the panel: permissions, redirects to sign-in, flash messages and CSRF tokens."""

import pytest
from tests.support.page_client import PageClient

from latchstring.admin.cookies import Flash, flash_cookie, read_cookies
from latchstring.admin.navigation import home_path, sections_for
from latchstring.admin.routing import is_own_path
from latchstring.domain.account import Admin
from latchstring.domain.clock import system_clock
from latchstring.domain.ids import new_id
from latchstring.domain.panel import PANEL_PERMISSIONS, PanelRole, panel_permissions, principal_of_admin
from latchstring.domain.settings import App


def admin(role: str) -> Admin:
    return Admin(new_id(system_clock()), "a@panel.test", "a@panel.test", "A", role)


async def test_without_a_session_every_page_redirects_to_sign_in(page_client: PageClient) -> None:
    seen = await page_client.get("/admin/invitations?state=PENDING")
    assert seen.status == 303
    assert seen.target == "/admin/login?next=%2Fadmin%2Finvitations%3Fstate%3DPENDING"


async def test_an_unknown_path_is_a_404_page_with_the_navigation(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    seen = await page_client.get("/admin/nothing-here")
    assert (seen.status, seen.code) == (404, "not-found")
    assert "Audit log" in seen.words


async def test_a_viewer_sees_only_permitted_sections(page_client: PageClient) -> None:
    await page_client.sign_in_admin("v@panel.test", role="viewer")
    words = (await page_client.get("/admin/nothing-here")).words
    assert "Invitations" in words
    assert "Administrators" not in words
    assert "API keys" not in words
    assert "Import" not in words


async def test_an_unknown_role_has_no_permissions() -> None:
    assert panel_permissions("owner") == frozenset()
    assert sections_for(principal_of_admin(admin("owner")), "/admin") == []
    assert home_path(principal_of_admin(admin("owner"))) == "/admin/account"


def test_viewers_only_read_and_grant_nothing() -> None:
    viewer = principal_of_admin(admin("viewer"))
    assert all(permission.endswith(":read") for permission in PANEL_PERMISSIONS[PanelRole.VIEWER])
    assert not viewer.can_grant_role("customer")
    assert not viewer.can_grant_group("spring")


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/admin", True),
        ("/admin/users?q=a", True),
        ("/administer", False),
        ("//evil.test/admin/", False),
        ("/admin/\\evil.test", False),
        ("https://evil.test/admin/", False),
        ("/login", False),
        ("", False),
    ],
)
def test_only_paths_of_the_panel_are_followed_after_sign_in(path: str, own: bool) -> None:  # noqa: FBT001
    assert is_own_path(path) is own


def scope_with(*cookies: bytes) -> dict[str, object]:
    return {"headers": [(b"cookie", b"; ".join(cookie.split(b";")[0] for cookie in cookies))]}


@pytest.mark.parametrize("url", ["http://pages.test", "https://pages.test"])
def test_a_flash_message_is_only_valid_for_its_session(url: str) -> None:
    app = App(public_url=url)
    prefix = b"__Host-" if url.startswith("https") else b""
    cookie = flash_cookie(Flash("Sent again.", is_bad=True), "mine", secure=bool(prefix))
    assert cookie.startswith(prefix)
    assert read_cookies(scope_with(cookie, prefix + b"latchstring_admin=mine"), app).flash == Flash("Sent again.", True)
    assert read_cookies(scope_with(cookie, prefix + b"latchstring_admin=other"), app).flash is None
    assert (
        read_cookies(scope_with(prefix + b"latchstring_said=%%%", prefix + b"latchstring_admin=mine"), app).flash
        is None
    )


def test_the_csrf_token_changes_with_the_session() -> None:
    app = App(public_url="http://pages.test")
    tokens = {read_cookies(scope_with(cookie), app).csrf for cookie in (b"latchstring_admin=a", b"latchstring_admin=b")}
    assert len(tokens) == 2


def test_with_tls_a_cookie_without_the_host_prefix_is_ignored() -> None:
    app = App(public_url="https://pages.test")
    assert read_cookies(scope_with(b"latchstring_admin=a"), app).session is None
