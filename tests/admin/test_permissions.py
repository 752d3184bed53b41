"""What holds for every form of the panel: who may send it, that only our pages do, and that it says nothing else."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
import pytest
from litestar.handlers import HTTPRouteHandler
from tests.admin.conftest import Desk

from latchstring.admin.routes import routes
from latchstring.admin.routing import GATE
from latchstring.domain.panel import PanelRole, panel_permissions
from latchstring.domain.principal import permits

NOTHING = "00000000-0000-0000-0000-000000000000"
VIEWER = panel_permissions(PanelRole.VIEWER)
MANAGER = panel_permissions(PanelRole.MANAGER)


@dataclass(frozen=True)
class Action:
    """An address that a form is sent to, and the permission it takes."""

    path: str
    needs: str | None

    @property
    def address(self) -> str:
        """With something in the place of every parameter; nothing of it has to exist."""
        return re.sub(r"\{\w+:\w+\}", NOTHING, self.path)


def actions() -> Iterator[Action]:
    for route in routes:
        assert isinstance(route, HTTPRouteHandler)
        if "POST" in {str(method) for method in route.http_methods}:
            yield from (Action(path, route.opt["needs"]) for path in route.paths)


ACTIONS = sorted(actions(), key=lambda action: action.path)
INSIDE = [action for action in ACTIONS if action.needs is not GATE]
FORBIDDEN = {
    "viewer": [action for action in INSIDE if action.needs and not permits(VIEWER, action.needs)],
    "manager": [action for action in INSIDE if action.needs and not permits(MANAGER, action.needs)],
}


def test_there_is_something_to_forbid() -> None:
    assert len(FORBIDDEN["viewer"]) > len(FORBIDDEN["manager"]) > 0


@pytest.mark.parametrize("role", sorted(FORBIDDEN))
async def test_a_form_of_a_greater_role_is_refused_and_changes_nothing(desk: Desk, role: str) -> None:
    await desk.enter("v@panel.test", role=role)
    shown = await desk.get("/admin/nothing-here")
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', shown.html)
    assert token is not None
    before = await rows(desk)
    for action in FORBIDDEN[role]:
        answer = await desk.browser.post(action.address, data={"csrf": token[1]})
        assert told(answer) == (403, "not-allowed"), action
    assert await rows(desk) == before


async def test_without_the_token_of_the_session_every_form_is_refused(desk: Desk) -> None:
    await desk.enter()
    before, faults = await rows(desk), []
    for action in INSIDE:
        for fields in ({"csrf": ""}, {"csrf": "0" * 32}):
            answer = await desk.browser.post(action.address, data=fields)
            if told(answer) != (403, "csrf-token-invalid"):
                faults.append((action.path, told(answer)))
    assert faults == []
    assert await rows(desk) == before


async def test_a_form_sent_by_another_site_is_refused(desk: Desk) -> None:
    await desk.enter()
    shown = await desk.get("/admin/nothing-here")
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', shown.html)
    assert token is not None
    for action in INSIDE:
        answer = await desk.browser.post(
            action.address,
            data={"csrf": token[1]},
            headers={"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"},
        )
        assert told(answer) == (403, "csrf-token-invalid"), action


async def test_a_field_that_no_page_of_ours_sends_is_refused(desk: Desk) -> None:
    await desk.enter()
    shown = await desk.get("/admin/nothing-here")
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', shown.html)
    assert token is not None
    before = await rows(desk)
    for action in ACTIONS:
        fields = {"csrf": token[1], "isSuperAdmin": "yes"}
        answer = await desk.browser.post(action.address, data=fields)
        assert told(answer) == (400, "unknown-field"), action
    assert await rows(desk) == before


async def test_without_a_session_every_form_leads_to_the_gate(desk: Desk) -> None:
    before = await rows(desk)
    for action in INSIDE:
        answer = await desk.browser.post(action.address, data={})
        assert answer.status_code == 303, action
        assert answer.headers["Location"].startswith("/admin/login"), action
    assert await rows(desk) == before


def told(answer: httpx2.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.headers.get("X-Latchstring-Code")


async def rows(desk: Desk) -> object:
    """Everything in the database but when a session was last seen."""
    dump = await desk.dump()
    return {name: sorted(map(repr, table)) for name, table in dump.items() if name != "admin_sessions"}
