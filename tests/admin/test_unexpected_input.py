"""Malicious and extreme input is refused like any other mistake, and changes nothing."""

import asyncio
from typing import Any

import pytest
from tests.admin.invitations.test_bulk_actions import confirmation_fields, submit_selection
from tests.support.page_client import COOKIE, PASSWORD, PageClient, PageResponse

from latchstring.admin.cookies import MAX_FLASH_LENGTH, Flash, flash_cookie, read_cookies
from latchstring.domain.group import GroupText
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.domain.settings import App
from latchstring.groups.service import GroupTexts

LIST = "/admin/invitations"
SELECTION = f"{LIST}/selection"

# ---- numbers, days and instants --------------------------------------------------------------------------------------


@pytest.mark.parametrize("within", ["", "madeWithin=90d&", "expiresWithin=90d&"])
@pytest.mark.parametrize(
    "instant",
    ["0001-01-01T00:00:00+23:59", "0001-01-02T00:00:00+00:00", "9999-12-31T23:59:59-23:59", "9999-12-31T00:00:00Z"],
)
async def test_an_out_of_range_instant_is_ignored(page_client: PageClient, within: str, instant: str) -> None:
    await page_client.sign_in_admin()
    await page_client.invite("a@people.test")
    query = f"{within}bulkAction=revoke&asOf={instant.replace('+', '%2B')}"
    assert (await page_client.get(f"{SELECTION}?{query}")).status == 200


@pytest.mark.parametrize("count", ["9" * 5000, "²", "-1", "1e9"])
async def test_an_invalid_count_is_ignored(page_client: PageClient, count: str) -> None:
    await page_client.sign_in_admin()
    await page_client.invite("a@people.test")
    assert (await page_client.get(f"{SELECTION}?bulkAction=revoke&shownCount={count}")).status == 200
    invited = await page_client.invite("b@people.test")
    fields: dict[str, Any] = confirmation_fields(await submit_selection(page_client, "revoke", invited)) | {
        "shownCount": count,
        "digest": "0",
    }
    seen = await page_client.send(f"{SELECTION}/do", fields)
    assert (seen.status, seen.code) == (409, "changed-meanwhile")


@pytest.mark.parametrize("day", ["9999-12-31", "9999-12-30", "0001-01-01"])
async def test_an_out_of_range_expiry_is_refused_at_its_field(page_client: PageClient, day: str) -> None:
    await page_client.sign_in_admin()
    fields = {"inviteEmail": "a@people.test", "role": "team", "expiresIn": "until", "until": day}
    assert (await page_client.send(f"{LIST}/new", fields | {"do": "save"})).status == 422
    assert (await page_client.send(f"{LIST}/new/preview", fields)).status == 200


# ---- unexpected texts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["until", "qqq-ZZ", "tlh", "i-klingon"])
async def test_an_unknown_language_breaks_no_page(page_client: PageClient, tag: str) -> None:
    await page_client.sign_in_admin()
    invited = await page_client.invite("a@people.test", locale=tag)
    user = await page_client.user(locale=tag)
    await page_client.services.groups.create(
        "spring", GroupTexts(name="Spring", translations={tag: GroupText("Frühling")}), by=OPERATOR_PRINCIPAL
    )
    for path in (
        f"{LIST}/{invited.id}",
        f"{LIST}/new?like={invited.id}",
        f"/admin/users/{user.id}",
        "/admin/groups/spring",
    ):
        assert (await page_client.get(path)).status == 200, path
    fields = {"name": "Spring", "language": ["_" * 300], "textName": ["?"], "textDescription": [""]}
    assert (await page_client.send("/admin/groups/spring", fields)).status == 422


def test_the_longest_flash_message_fits_into_its_cookie() -> None:
    cookie = flash_cookie(Flash("💥" * 1000), "seed", secure=True)
    assert len(cookie) < 4096  # RFC 6265 section 6.1: the minimum that browsers support, and the maximum of most
    session = b"__Host-latchstring_admin=seed"
    scope = {"headers": [(b"cookie", cookie.split(b";")[0] + b"; " + session)]}
    assert read_cookies(scope, App(public_url="https://pages.test")).flash == Flash("💥" * MAX_FLASH_LENGTH)


@pytest.mark.parametrize(
    ("path", "status"), [("/admin/logout", 405), (f"{LIST}/no-id", 404), ("/admin/users/x/unblock", 405)]
)
async def test_errors_of_form_paths_are_pages_for_browsers(page_client: PageClient, path: str, status: int) -> None:
    await page_client.sign_in_admin()
    seen = await page_client.get(path, headers={"Accept": "text/html"})
    assert (seen.status, seen.response.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert 'href="/admin"' in seen.html
    assert (await page_client.get(path, headers={"Accept": "application/json"})).response.headers["Content-Type"] == (
        "application/problem+json"
    )


# ---- double clicks ---------------------------------------------------------------------------------------------------


async def test_confirming_twice_resends_once(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    first, second = await page_client.invite("a@people.test"), await page_client.invite("b@people.test")
    fields = confirmation_fields(await submit_selection(page_client, "resend", first, second))
    answers = await asyncio.gather(*(page_client.browser.post(f"{SELECTION}/do", data=fields) for _ in range(3)))
    assert 303 in {answer.status_code for answer in answers}
    again = PageResponse(await page_client.browser.post(f"{SELECTION}/do", data=fields))  # Back, then submit again
    assert (again.status, again.code) == (409, "changed-meanwhile")
    for invitation in (first, second):
        details = await page_client.services.invitations.get(invitation.id, by=OPERATOR_PRINCIPAL)
        assert details.invitation.link.generation == invitation.link.generation + 1


async def test_a_concurrent_resend_makes_the_confirmation_fail(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invited = await page_client.invite("a@people.test")
    fields = confirmation_fields(await submit_selection(page_client, "resend", invited))
    await page_client.services.invitations.resend(invited.id, by=OPERATOR_PRINCIPAL)
    seen = PageResponse(await page_client.browser.post(f"{SELECTION}/do", data=fields))
    assert (seen.status, seen.code) == (409, "changed-meanwhile")


async def test_clicking_resend_twice_resends_once(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invited = await page_client.invite("a@people.test")
    page, post = await page_client.get(f"{LIST}/{invited.id}"), f"{LIST}/{invited.id}/resend"
    assert 'name="shownGeneration" value="1"' in page.html
    fields = {"csrf": page.hidden["csrf"], "shownGeneration": "1"}
    await asyncio.gather(*(page_client.browser.post(post, data=fields) for _ in range(3)))
    assert (
        await page_client.flash(PageResponse(await page_client.browser.post(post, data=fields)))
        == "invitation-resent-before"
    )
    details = await page_client.services.invitations.get(invited.id, by=OPERATOR_PRINCIPAL)
    assert details.invitation.link.generation == invited.link.generation + 1


# ---- sessions --------------------------------------------------------------------------------------------------------


async def test_signing_in_again_ends_the_previous_session(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    before = page_client.browser.cookies[COOKIE]
    fields = {"email": "mira@panel.test", "password": PASSWORD}
    assert (await page_client.send("/admin/login", fields)).status == 303
    assert page_client.browser.cookies[COOKIE] != before
    admins = page_client.services.admins
    assert await admins.sessions.find(before) is None
    assert await admins.sessions.find(page_client.browser.cookies[COOKIE]) is not None


async def test_a_failed_login_keeps_the_current_session(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    before = page_client.browser.cookies[COOKIE]
    await page_client.send("/admin/login", {"email": "mira@panel.test", "password": "not the one"})
    assert await page_client.services.admins.sessions.find(before) is not None


async def test_secrets_shown_once_are_not_cached_or_shown_again(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invited = await page_client.invite("a@people.test")
    for path, fields in (
        ("/admin/api-keys/new", {"name": "Shop", "scopes": "users:read"}),
        (f"{LIST}/{invited.id}/link", {}),
    ):
        seen = await page_client.send(path, fields)
        assert seen.status == 200
        assert seen.response.headers["Cache-Control"] == "no-store"
        assert ("lsk_" in seen.html) or ("token=ey" in seen.html)
        later = (await page_client.get(path)).html
        assert "lsk_" not in later
        assert "token=ey" not in later
    log = (await page_client.get("/admin/audit/export")).html
    assert "token=ey" not in log
    assert "lsk_" not in log
