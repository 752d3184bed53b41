"""Bulk actions: only what the dry run showed, and never after a change."""

import csv
import io
import re
from typing import Any
from uuid import UUID

import pytest
from tests.support.page_client import PageClient, PageResponse

from latchstring.domain.invitation import Invitation, State
from latchstring.domain.principal import OPERATOR_PRINCIPAL

LIST = "/admin/invitations"
SELECTION = f"{LIST}/selection"
APPLY = f"{SELECTION}/do"


async def state_of(page_client: PageClient, invitation: Invitation) -> State:
    return (await reload(page_client, invitation)).state


async def reload(page_client: PageClient, invitation: Invitation) -> Invitation:
    return (await page_client.services.invitations.get(invitation.id, by=OPERATOR_PRINCIPAL)).invitation


async def submit_selection(
    page_client: PageClient, bulk: str, *invitations: Invitation, view: str = ""
) -> PageResponse:
    """Select these invitations and press a bulk button."""
    ids = [str(invitation.id) for invitation in invitations]
    return await page_client.send(SELECTION, {"bulk": bulk, "id": ids, "view": view}, page=LIST)


def confirmation_fields(seen: PageResponse) -> dict[str, Any]:
    """The fields of the confirmation on the page."""
    form = re.search(r'<form class="confirm.*?</form>', seen.html, re.DOTALL)
    assert form is not None, seen.html
    pairs = re.findall(r'name="(\w+)" value="([^"]*)"', form[0])
    fields: dict[str, Any] = {"id": [value for name, value in pairs if name == "id"]}
    return fields | {name: value.replace("&amp;", "&") for name, value in pairs if name != "id"}


async def confirm(page_client: PageClient, seen: PageResponse, **changes: Any) -> PageResponse:
    return PageResponse(await page_client.browser.post(APPLY, data=confirmation_fields(seen) | changes))


async def open_all_matching(page_client: PageClient, query: str = "") -> PageResponse:
    """Follow the link to all matching invitations of a list."""
    html = (await page_client.get(f"{LIST}?{query}")).html
    match = re.search(r'href="(/admin/invitations/selection\?[^"]*)"', html)
    assert match is not None
    return await page_client.get(match[1].replace("&amp;", "&"))


async def open_action(page_client: PageClient, seen: PageResponse, action: str) -> PageResponse:
    match = re.search(rf'href="([^"]*bulkAction={action}[^"]*)"', seen.html)
    assert match is not None
    return await page_client.get(match[1].replace("&amp;", "&"))


async def test_a_dry_run_shows_results_and_changes_nothing(page_client: PageClient) -> None:
    by = await page_client.principal(await page_client.sign_in_admin())
    open_, gone = await page_client.invite("ada@people.test"), await page_client.invite("bob@people.test")
    await page_client.services.invitations.revoke(gone.id, by=by)
    seen = await submit_selection(page_client, "revoke", open_, gone)
    assert seen.status == 200
    assert "Revoke one invitation?" in seen.html
    assert 'data-reason="revoked"' in seen.html
    assert await state_of(page_client, open_) is State.PENDING


async def test_confirming_revokes_the_selected_invitations(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    both = [await page_client.invite(f"{name}@people.test") for name in ("ada", "bob")]
    other = await page_client.invite("cem@people.test")
    done = await confirm(page_client, await submit_selection(page_client, "revoke", *both, view="q=a"))
    assert done.target == f"{LIST}?q=a"
    assert "2 invitations revoked" in await page_client.read_flash_text(done)
    assert [await state_of(page_client, invited) for invited in (*both, other)] == [
        State.REVOKED,
        State.REVOKED,
        State.PENDING,
    ]


async def test_bulk_resending_creates_new_links(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitations = [await page_client.invite(f"p{number}@people.test") for number in range(6)]
    done = await confirm(page_client, await submit_selection(page_client, "resend", *invitations))
    assert "6 invitations sent again" in await page_client.read_flash_text(done)
    assert {(await reload(page_client, invited)).link.generation for invited in invitations} == {2}


async def test_a_changed_dry_run_must_be_confirmed_again(page_client: PageClient) -> None:
    by = await page_client.principal(await page_client.sign_in_admin())
    invitations = [await page_client.invite(f"p{number}@people.test") for number in range(3)]
    seen = await submit_selection(page_client, "revoke", *invitations)
    await page_client.services.invitations.revoke(invitations[0].id, by=by)
    refused = await confirm(page_client, seen)
    assert refused.status == 409
    assert refused.code == "changed-meanwhile"
    assert 'data-testid="changed-meanwhile"' in refused.html
    assert "Revoke 2 invitations?" in refused.html
    assert await state_of(page_client, invitations[1]) is State.PENDING
    assert "2 invitations revoked" in await page_client.read_flash_text(await confirm(page_client, refused))


async def test_all_matching_excludes_later_invitations(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    before = [await page_client.invite(f"p{number:02}@people.test") for number in range(30)]
    other = await page_client.invite("other@people.test", role="customer")
    page_client.wait(minutes=1)
    seen = await open_all_matching(page_client, "role=team")
    assert "All 30 matching invitations" in seen.html
    page_client.wait(minutes=1)
    late = await page_client.invite("late@people.test")
    run = await open_action(page_client, seen, "revoke")
    assert "Revoke 30 invitations?" in run.html
    assert "30 invitations revoked" in await page_client.read_flash_text(await confirm(page_client, run))
    assert {await state_of(page_client, invited) for invited in before} == {State.REVOKED}
    assert {await state_of(page_client, invited) for invited in (late, other)} == {State.PENDING}


async def test_all_matching_shows_when_fewer_match(page_client: PageClient) -> None:
    by = await page_client.principal(await page_client.sign_in_admin())
    invitations = [await page_client.invite(f"p{number}@people.test") for number in range(3)]
    page_client.wait(minutes=1)
    seen = await open_all_matching(page_client, "state=PENDING")
    await page_client.services.invitations.revoke(invitations[0].id, by=by)
    run = await open_action(page_client, seen, "resend")
    assert 'data-testid="fewer-matches"' in run.html
    await page_client.services.invitations.revoke(invitations[1].id, by=by)
    assert (await confirm(page_client, run)).status == 409
    assert (await reload(page_client, invitations[2])).link.generation == 1


async def test_a_digest_of_another_dry_run_is_refused(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invited, other = await page_client.invite("ada@people.test"), await page_client.invite("bob@people.test")
    seen = await submit_selection(page_client, "resend", invited)
    assert (await confirm(page_client, seen, id=[str(invited.id), str(other.id)])).status == 409
    assert (await confirm(page_client, seen, bulkAction="revoke")).status == 409
    assert [await state_of(page_client, each) for each in (invited, other)] == [State.PENDING] * 2


async def test_of_two_equal_invitations_only_one_is_resent(page_client: PageClient) -> None:
    first = await page_client.invite("ada@people.test")
    page_client.wait(days=8)
    await page_client.sign_in_admin()
    second = await page_client.invite("ada@people.test")
    seen = await submit_selection(page_client, "resend", first, second)
    assert "Resend one invitation?" in seen.html
    assert 'data-reason="already-invited"' in seen.html


async def test_an_empty_selection_is_reported(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.invite()
    assert await page_client.flash(await submit_selection(page_client, "revoke")) == "nothing-selected"


async def test_one_row_is_resent_without_a_dry_run(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invited = await page_client.invite("ada@people.test")
    sent = await page_client.send(SELECTION, {"resend": str(invited.id), "view": "q=ada"}, page=LIST)
    assert sent.target == f"{LIST}?q=ada"
    assert await page_client.flash(sent) == "invitation-resent-to"
    assert (await reload(page_client, invited)).link.generation == 2
    unknown = await page_client.send(SELECTION, {"resend": str(UUID(int=7)), "view": ""}, page=LIST)
    assert await page_client.flash(unknown) == "invitation-ended"


@pytest.mark.parametrize("action", ["resend", "revoke"])
async def test_a_viewer_may_only_export(page_client: PageClient, action: str) -> None:
    invited = await page_client.invite("ada@people.test")
    await page_client.sign_in_admin("vera@panel.test", role="viewer")
    assert (await submit_selection(page_client, action, invited)).status == 403
    assert (await page_client.send(SELECTION, {"resend": str(invited.id)}, page=LIST)).status == 403
    fields = {"bulkAction": action, "digest": "0", "id": [str(invited.id)]}
    assert (await page_client.send(APPLY, fields, page=LIST)).status == 403
    assert (await page_client.get(f"{SELECTION}?bulkAction={action}")).status == 403
    assert (await submit_selection(page_client, "export", invited)).status == 200
    assert await state_of(page_client, invited) is State.PENDING
    assert (await reload(page_client, invited)).link.generation == 1


async def test_bulk_forms_without_a_csrf_token_are_refused(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invited = await page_client.invite("ada@people.test")
    for path, fields in (
        (SELECTION, {"resend": str(invited.id)}),
        (APPLY, {"bulkAction": "revoke"}),
        (f"{LIST}/views", {"name": "x"}),
    ):
        assert (await page_client.browser.post(path, data=fields)).status_code == 403
    assert await state_of(page_client, invited) is State.PENDING


@pytest.mark.parametrize("fields", [{"bulk": "delete"}, {"bulk": "resend", "state": "4"}, {"csrf": "x", "bulk": "x"}])
async def test_invalid_bulk_forms_are_refused(page_client: PageClient, fields: dict[str, str]) -> None:
    await page_client.sign_in_admin()
    invited = await page_client.invite()
    seen = await page_client.send(SELECTION, {"id": [str(invited.id)], **fields}, page=LIST)
    assert seen.status in {400, 403}


# ---- export ----------------------------------------------------------------------------------------------------------


def table(seen: PageResponse) -> list[dict[str, str]]:
    text = seen.response.content.decode("utf-8")
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:], newline="")))


async def test_an_export_has_all_matches_with_the_chosen_columns(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    for number in range(30):
        await page_client.invite(f"p{number:02}@people.test")
    await page_client.invite("c@people.test", role="customer")
    seen = await page_client.get(f"{LIST}/export.csv?role=team&sort=inviteEmail&col=state&col=role")
    assert seen.response.headers["Content-Disposition"] == 'attachment; filename="invitations.csv"'
    exported = table(seen)
    assert list(exported[0]) == ["inviteEmail", "firstName", "lastName", "state", "role"]
    assert [row["inviteEmail"] for row in exported] == [f"p{number:02}@people.test" for number in range(30)]


async def test_only_selected_rows_are_exported(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    ticked, _ = await page_client.invite("ada@people.test"), await page_client.invite("bob@people.test")
    assert [row["inviteEmail"] for row in table(await submit_selection(page_client, "export", ticked))] == [
        "ada@people.test"
    ]


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", '"quoted", and; more'])
async def test_formulas_in_exports_are_escaped(page_client: PageClient, evil: str) -> None:
    await page_client.sign_in_admin()
    await page_client.invite("ada@people.test", first_name=evil, last_name="Löwe")
    (row,) = table(await page_client.get(f"{LIST}/export.csv"))
    assert row["firstName"] == (f"'{evil}" if evil[0] in "=+-@" else evil)
    assert row["lastName"] == "Löwe"
