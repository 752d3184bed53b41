"""Rules for every form of the panel: permissions, CSRF protection, and no unknown fields."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
import pytest
from tests.support.page_client import PageClient

from latchstring.admin.content import actions as content_actions
from latchstring.admin.content import objects as content
from latchstring.admin.groups import groups
from latchstring.admin.routes import routes
from latchstring.admin.routing import UNAUTHENTICATED
from latchstring.admin.system import api_keys, roles
from latchstring.admin.users import actions as user_actions
from latchstring.admin.users import users
from latchstring.domain.panel import PanelRole, panel_permissions
from latchstring.domain.principal import OPERATOR_PRINCIPAL, permits

NIL_ID = "00000000-0000-0000-0000-000000000000"
UPLOADS = {"/admin/import"}
VIEWER = panel_permissions(PanelRole.VIEWER)
MANAGER = panel_permissions(PanelRole.MANAGER)


@dataclass(frozen=True)
class Action:
    """The target of a form, and the permission that it needs."""

    path: str
    needs: str | None

    @property
    def address(self) -> str:
        """The path with the nil id for every parameter; the objects need not exist."""
        return re.sub(r"\{\w+:\w+\}", NIL_ID, self.path)


def actions() -> Iterator[Action]:
    for route in routes:
        if route.method == "POST":
            yield from (Action(path, route.needs) for path in route.paths)


ACTIONS = sorted(actions(), key=lambda action: action.path)
AUTHENTICATED = [action for action in ACTIONS if action.needs is not UNAUTHENTICATED]
FORBIDDEN = {
    "viewer": [action for action in AUTHENTICATED if action.needs and not permits(VIEWER, action.needs)],
    "manager": [action for action in AUTHENTICATED if action.needs and not permits(MANAGER, action.needs)],
}


def test_managers_and_viewers_have_forbidden_actions() -> None:
    assert len(FORBIDDEN["viewer"]) > len(FORBIDDEN["manager"]) > 0


@pytest.mark.parametrize("role", sorted(FORBIDDEN))
async def test_a_form_without_permission_is_refused_and_changes_nothing(page_client: PageClient, role: str) -> None:
    await page_client.sign_in_admin("v@panel.test", role=role)
    error_page = await page_client.get("/admin/nothing-here")
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', error_page.html)
    assert token is not None
    before = await rows(page_client)
    for action in FORBIDDEN[role]:
        answer = await post(page_client, action, {"csrf": token[1]})
        assert status_and_code(answer) == (403, "not-allowed"), action
    assert await rows(page_client) == before


async def test_without_a_csrf_token_every_form_is_refused(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    before, faults = await rows(page_client), []
    for action in AUTHENTICATED:
        for fields in ({"csrf": ""}, {"csrf": "0" * 32}):
            answer = await post(page_client, action, fields)
            if status_and_code(answer) != (403, "csrf-token-invalid"):
                faults.append((action.path, status_and_code(answer)))
    assert faults == []
    assert await rows(page_client) == before


async def test_a_cross_site_form_is_refused(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    error_page = await page_client.get("/admin/nothing-here")
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', error_page.html)
    assert token is not None
    for action in AUTHENTICATED:
        answer = await post(
            page_client, action, {"csrf": token[1]}, {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}
        )
        assert status_and_code(answer) == (403, "csrf-token-invalid"), action


async def test_an_unknown_field_is_refused(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    error_page = await page_client.get("/admin/nothing-here")
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', error_page.html)
    assert token is not None
    before = await rows(page_client)
    for action in ACTIONS:
        fields = {"csrf": token[1], "isSuperAdmin": "yes"}
        answer = await post(page_client, action, fields)
        assert status_and_code(answer) == (400, "unknown-field"), action
    assert await rows(page_client) == before


async def test_without_a_session_every_form_redirects_to_sign_in(page_client: PageClient) -> None:
    before = await rows(page_client)
    for action in AUTHENTICATED:
        answer = await page_client.browser.post(action.address, data={})
        assert answer.status_code == 303, action
        assert answer.headers["Location"].startswith("/admin/login"), action
    assert await rows(page_client) == before


@pytest.mark.parametrize("role", list(PanelRole))
async def test_pages_and_their_forms_match_the_permissions_of_every_role(
    page_client: PageClient, role: PanelRole
) -> None:
    await page_client.sign_in_admin("v@panel.test", role=role)
    await page_client.group("spring")
    owner = await page_client.inviter()
    ada = await page_client.user(groups=("spring",))
    await page_client.share(await page_client.object(owner=owner), by=owner)
    key = (await page_client.services.users.api_keys.create(name="Shop", scopes=["*"], by=OPERATOR_PRINCIPAL)).key
    filled = {"key": "tide-tables", "type": "articles", "user": str(ada.id), "api_key": str(key.id)}
    for route in (*groups.routes, *users.routes, *user_actions.routes, *roles.routes, *content.routes,
                  *content_actions.routes, *api_keys.routes):  # fmt: skip
        if route.method != "GET":
            continue
        for path in route.paths:
            names = filled | ({"key": "spring"} if path.startswith("/admin/groups") else {})
            seen = await page_client.get(re.sub(r"\{(\w+):\w+\}", lambda match: names[match[1]], path))  # noqa: B023
            may = route.needs is None or permits(panel_permissions(role), route.needs)
            assert seen.status == (200 if may else 403), path
            assert may or seen.code == "not-allowed"
            for form in re.findall(r'action="([^"]+)" method="post"', seen.html):
                needs = permission_of(form)
                assert needs is None or permits(panel_permissions(role), needs), (path, form)


def permission_of(address: str) -> str | None:
    """The permission that the form of this address needs; None if every administrator may submit it."""
    matching = [action for action in ACTIONS if re.fullmatch(re.sub(r"\{\w+:\w+\}", "[^/]+", action.path), address)]
    return matching[0].needs or None


async def post(
    page_client: PageClient, action: Action, fields: dict[str, str], headers: dict[str, str] | None = None
) -> httpx2.Response:
    """Submit a form as its page does: uploads as multipart, everything else urlencoded."""
    if action.path in UPLOADS:
        files = {name: (None, value) for name, value in fields.items()}
        return await page_client.browser.post(action.address, files=files, headers=headers)
    return await page_client.browser.post(action.address, data=fields, headers=headers)


def status_and_code(answer: httpx2.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.headers.get("X-Latchstring-Code")


async def rows(page_client: PageClient) -> object:
    """All rows of the database except sessions, whose last use changes."""
    dump = await page_client.dump()
    return {name: sorted(map(repr, table)) for name, table in dump.items() if name != "admin_sessions"}
