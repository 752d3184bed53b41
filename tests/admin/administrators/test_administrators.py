"""Administrators among themselves: invited, changed, shut out; and what managers, viewers and strangers cannot do."""

import re

import pytest
from tests.admin.account.test_sign_in import enrol, mailed_token, sign_in
from tests.support.panel_client import COOKIE, PASSWORD, Desk

from latchstring.domain.account import Admin
from latchstring.formats.email_address import parse_address

LIST = "/admin/administrators"
BEN = {"email": "ben@panel.test", "name": "Ben Adeyemi", "role": "manager", "language": "de"}


async def send(desk: Desk, path: str, fields: dict[str, str] | None = None) -> str:
    """What the panel says after this form."""
    return await desk.said(await desk.send(f"{LIST}/{path}", fields))


async def present(desk: Desk, email: str) -> Admin:
    found = await desk.services.admins.find_admin_by_address(parse_address(email))
    assert found
    return found


async def test_everybody_is_listed_with_role_state_and_second_factor(desk: Desk) -> None:
    await desk.enter()
    await desk.send(f"{LIST}/new", BEN)
    words = (await desk.get(LIST)).words
    assert re.search(r"Mira Okafor You .*Active Super-admin .*Off", words)
    assert re.search(r"Ben Adeyemi .*Invited Manager .*never", words)


async def test_an_administrator_is_invited_by_mail_in_his_language(desk: Desk) -> None:
    await desk.enter()
    said = await send(desk, "new", BEN)
    assert "Ben Adeyemi" in said
    assert "in the mail" in said
    assert (await present(desk, "ben@panel.test")).locale == "de"
    token = await mailed_token(desk)
    desk.leave()
    page = f"/admin/set-up?token={token}"
    await desk.send("/admin/set-up", {"token": token, "password": PASSWORD}, page=page)
    assert (await sign_in(desk, "ben@panel.test")).target == "/admin"


@pytest.mark.parametrize("desk", [('transport = "mailbox"', 'transport = "off"')], indirect=True)
async def test_without_mail_the_link_is_shown_once(desk: Desk) -> None:
    await desk.enter()
    assert "You will see the link once" in (await desk.get(f"{LIST}/new")).words
    shown = await desk.send(f"{LIST}/new", BEN)
    assert shown.status == 200
    link = re.findall(r"http://door\.test(/admin/set-up\?token=[\w.-]+)", shown.html)[0]
    ben = await present(desk, "ben@panel.test")
    assert "token=" not in (await desk.get(f"{LIST}/{ben.id}")).html
    again = await desk.send(f"{LIST}/{ben.id}/link")
    newer = re.findall(r"http://door\.test(/admin/set-up\?token=[\w.-]+)", again.html)[0]
    desk.leave()
    assert (await desk.get(link)).status == 401
    assert (await desk.get(newer)).status == 200


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"email": "ben"}, 422, "Enter a full address"),
        ({"name": ""}, 422, "Fill this in"),
        ({"role": "emperor"}, 422, "Choose another."),
        ({"email": "Mira@panel.test"}, 409, "Another administrator has this address"),
    ],
)
async def test_what_is_wrong_is_said_beside_its_field(
    desk: Desk, changes: dict[str, str], status: int, words: str
) -> None:
    await desk.enter()
    seen = await desk.send(f"{LIST}/new", BEN | changes)
    assert seen.status == status
    assert words in seen.words
    assert len(await desk.services.admins.list_admins()) == 1


async def test_nobody_slips_a_field_in(desk: Desk) -> None:
    await desk.enter()
    for extra in ({"passwordHash": "x"}, {"totpConfirmedAt": "2026-01-01"}, {"id": "1"}):
        assert (await desk.send(f"{LIST}/new", BEN | extra)).status == 400
    assert len(await desk.services.admins.list_admins()) == 1


async def test_a_role_is_changed_and_counts_at_once(desk: Desk) -> None:
    ben = await desk.enter("ben@panel.test", role="viewer", name="Ben Adeyemi")
    token = desk.browser.cookies.get(COOKIE)
    await desk.enter()
    assert "is a manager now" in await send(desk, f"{ben.id}/role", {"role": "manager"})
    visit = await desk.services.admins.find_admin_session(token or "")
    assert visit
    assert visit.admin.role == "manager"
    assert (await desk.send(f"{LIST}/{ben.id}/role", {"role": "emperor"})).status == 422


async def test_shutting_out_asks_first_and_can_be_taken_back(desk: Desk) -> None:
    ben = await desk.enter("ben@panel.test", role="viewer", name="Ben Adeyemi")
    token = desk.browser.cookies.get(COOKIE) or ""
    await desk.enter()
    asked = await desk.get(f"{LIST}/{ben.id}/deactivate")
    assert "Shut Ben Adeyemi out?" in asked.words
    assert await desk.services.admins.find_admin_session(token) is not None
    assert "is shut out" in await send(desk, f"{ben.id}/deactivate")
    assert await desk.services.admins.find_admin_session(token) is None
    assert "Deactivated" in (await desk.get(f"{LIST}/{ben.id}")).words
    assert "Not sent" in await send(desk, f"{ben.id}/link")
    assert "may sign in again" in await send(desk, f"{ben.id}/reactivate")


async def test_the_last_super_admin_stays(desk: Desk) -> None:
    mira = await desk.enter()
    for path, fields in ((f"{mira.id}/role", {"role": "viewer"}), (f"{mira.id}/deactivate", {})):
        assert "only super-admin who can sign in" in await send(desk, path, fields)
    assert (await present(desk, "mira@panel.test")).role == "super-admin"


async def test_who_gives_away_the_right_to_be_here_goes_to_his_own_account(desk: Desk) -> None:
    await desk.admin("second@panel.test", name="Second")
    mira = await desk.enter()
    seen = await desk.send(f"{LIST}/{mira.id}/role", {"role": "viewer"})
    assert seen.target == "/admin/account"
    assert (await desk.get(LIST)).status == 403


async def test_sessions_and_second_factors_of_others_are_ended(desk: Desk) -> None:
    mira, _, _ = await enrol(desk)
    await desk.enter("boss@panel.test", name="Boss")
    words = (await desk.get(f"{LIST}/{mira.id}")).words
    assert "An authenticator app" in words
    assert "Signed in A browser last used 1 minute ago" in words
    assert "out of 1 browser" in await send(desk, f"{mira.id}/sessions")
    assert "Signed in nowhere" in (await desk.get(f"{LIST}/{mira.id}")).words
    assert "was signed in nowhere" in await send(desk, f"{mira.id}/sessions")
    assert "is removed" in await send(desk, f"{mira.id}/second-factor")
    assert not (await present(desk, "mira@panel.test")).has_second_factor


@pytest.mark.parametrize("role", ["manager", "viewer"])
async def test_only_super_admins_come_here_even_with_the_right_form(desk: Desk, role: str) -> None:
    boss = await desk.admin("boss@panel.test")
    await desk.enter(role=role)
    assert "Administrators" not in (await desk.get("/admin/account")).words
    for path in ("", "/new", f"/{boss.id}", f"/{boss.id}/deactivate"):
        seen = await desk.get(LIST + path)
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
        seen = await desk.send(f"{LIST}/{path}", fields, page="/admin/account")
        assert (seen.status, seen.code) == (403, "not-allowed")
    assert (await present(desk, "boss@panel.test")).role == "super-admin"
    assert len(await desk.services.admins.list_admins()) == 2


async def test_forms_without_their_token_change_nothing(desk: Desk) -> None:
    boss = await desk.admin("boss@panel.test")
    await desk.enter()
    for path, fields in (
        ("new", BEN), (f"{boss.id}/role", {"role": "viewer"}), (f"{boss.id}/deactivate", {}),
        (f"{boss.id}/reactivate", {}), (f"{boss.id}/link", {}), (f"{boss.id}/sessions", {}),
        (f"{boss.id}/second-factor", {}),
    ):  # fmt: skip
        seen = await desk.browser.post(f"{LIST}/{path}", data=fields | {"csrf": "0" * 32})
        assert seen.status_code == 403
    assert (await present(desk, "boss@panel.test")).is_active


@pytest.mark.parametrize("path", ["x", "00000000-0000-7000-8000-000000000000"])
async def test_who_is_not_there_is_not_found(desk: Desk, path: str) -> None:
    await desk.enter()
    seen = await desk.get(f"{LIST}/{path}")
    assert (seen.status, seen.code) == (404, "admin-not-found")


async def test_a_name_is_only_ever_text(desk: Desk) -> None:
    evil = '<img src=x onerror="alert(1)">{{ 7*7 }}'
    await desk.enter()
    await desk.send(f"{LIST}/new", BEN | {"name": evil})
    ben = await present(desk, "ben@panel.test")
    for path in (LIST, f"{LIST}/{ben.id}", f"{LIST}/{ben.id}/deactivate"):
        html = (await desk.get(path)).html
        assert "<img" not in html
        assert "&lt;img" in html
    assert evil in (await desk.said(await desk.send(f"{LIST}/{ben.id}/sessions"))).replace("&lt;", "<").replace(
        "&gt;", ">"
    ).replace("&#34;", '"')
