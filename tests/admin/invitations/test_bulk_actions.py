"""Doing something to many: never more than what was shown, and never to a world that changed."""

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
DO_IT = f"{SELECTION}/do"


async def state_of(page_client: PageClient, invitation: Invitation) -> State:
    return (await reload(page_client, invitation)).state


async def reload(page_client: PageClient, invitation: Invitation) -> Invitation:
    return (await page_client.services.invitations.get(invitation.id, by=OPERATOR_PRINCIPAL)).invitation


async def take(page_client: PageClient, bulk: str, *invitations: Invitation, view: str = "") -> PageResponse:
    """Tick these and press a button of the bar."""
    ids = [str(one.id) for one in invitations]
    return await page_client.send(SELECTION, {"bulk": bulk, "id": ids, "view": view}, page=LIST)


def confirmed(seen: PageResponse) -> dict[str, Any]:
    """What the confirmation on the page would send."""
    form = re.search(r'<form class="confirm.*?</form>', seen.html, re.DOTALL)
    assert form is not None, seen.html
    pairs = re.findall(r'name="(\w+)" value="([^"]*)"', form[0])
    found: dict[str, Any] = {"id": [value for name, value in pairs if name == "id"]}
    return found | {name: value.replace("&amp;", "&") for name, value in pairs if name != "id"}


async def confirm(page_client: PageClient, seen: PageResponse, **changes: Any) -> PageResponse:
    return PageResponse(await page_client.browser.post(DO_IT, data=confirmed(seen) | changes))


async def all_matching(page_client: PageClient, query: str = "") -> PageResponse:
    """Press "Take all matching" in a list."""
    html = (await page_client.get(f"{LIST}?{query}")).html
    found = re.search(r'href="(/admin/invitations/selection\?[^"]*)"', html)
    assert found is not None
    return await page_client.get(found[1].replace("&amp;", "&"))


async def then(page_client: PageClient, seen: PageResponse, deed: str) -> PageResponse:
    found = re.search(rf'href="([^"]*deed={deed}[^"]*)"', seen.html)
    assert found is not None
    return await page_client.get(found[1].replace("&amp;", "&"))


async def test_a_dry_run_says_what_would_happen_and_does_nothing(page_client: PageClient) -> None:
    by = await page_client.principal(await page_client.sign_in_admin())
    open_, gone = await page_client.invite("ada@people.test"), await page_client.invite("bob@people.test")
    await page_client.services.invitations.revoke(gone.id, by=by)
    seen = await take(page_client, "revoke", open_, gone)
    assert seen.status == 200
    assert "Revoke one invitation?" in seen.html
    assert 'data-reason="revoked"' in seen.html
    assert await state_of(page_client, open_) is State.PENDING


async def test_confirming_revokes_the_ticked_ones(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    both = [await page_client.invite(f"{name}@people.test") for name in ("ada", "bob")]
    kept = await page_client.invite("cem@people.test")
    done = await confirm(page_client, await take(page_client, "revoke", *both, view="q=a"))
    assert done.target == f"{LIST}?q=a"
    assert "2 invitations revoked" in await page_client.read_flash_text(done)
    assert [await state_of(page_client, one) for one in (*both, kept)] == [State.REVOKED, State.REVOKED, State.PENDING]


async def test_resending_makes_the_next_link_of_each(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitations = [await page_client.invite(f"p{number}@people.test") for number in range(6)]
    done = await confirm(page_client, await take(page_client, "resend", *invitations))
    assert "6 invitations sent again" in await page_client.read_flash_text(done)
    assert {(await reload(page_client, one)).link.generation for one in invitations} == {2}


async def test_a_changed_world_is_refused_with_the_new_numbers(page_client: PageClient) -> None:
    by = await page_client.principal(await page_client.sign_in_admin())
    invitations = [await page_client.invite(f"p{number}@people.test") for number in range(3)]
    seen = await take(page_client, "revoke", *invitations)
    await page_client.services.invitations.revoke(invitations[0].id, by=by)
    refused = await confirm(page_client, seen)
    assert refused.status == 409
    assert refused.code == "changed-meanwhile"
    assert 'data-testid="changed-meanwhile"' in refused.html
    assert "Revoke 2 invitations?" in refused.html
    assert await state_of(page_client, invitations[1]) is State.PENDING
    assert "2 invitations revoked" in await page_client.read_flash_text(await confirm(page_client, refused))


async def test_all_matching_takes_what_matched_when_it_was_shown(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    before = [await page_client.invite(f"p{number:02}@people.test") for number in range(30)]
    other = await page_client.invite("other@people.test", role="customer")
    page_client.wait(minutes=1)
    seen = await all_matching(page_client, "role=team")
    assert "All 30 matching invitations" in seen.html
    page_client.wait(minutes=1)
    late = await page_client.invite("late@people.test")
    run = await then(page_client, seen, "revoke")
    assert "Revoke 30 invitations?" in run.html
    assert "30 invitations revoked" in await page_client.read_flash_text(await confirm(page_client, run))
    assert {await state_of(page_client, one) for one in before} == {State.REVOKED}
    assert {await state_of(page_client, one) for one in (late, other)} == {State.PENDING}


async def test_all_matching_says_when_fewer_match_by_now(page_client: PageClient) -> None:
    by = await page_client.principal(await page_client.sign_in_admin())
    invitations = [await page_client.invite(f"p{number}@people.test") for number in range(3)]
    page_client.wait(minutes=1)
    seen = await all_matching(page_client, "state=PENDING")
    await page_client.services.invitations.revoke(invitations[0].id, by=by)
    run = await then(page_client, seen, "resend")
    assert 'data-testid="fewer-matches"' in run.html
    await page_client.services.invitations.revoke(invitations[1].id, by=by)
    assert (await confirm(page_client, run)).status == 409
    assert (await reload(page_client, invitations[2])).link.generation == 1


async def test_a_digest_of_something_else_does_nothing(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    one, other = await page_client.invite("ada@people.test"), await page_client.invite("bob@people.test")
    seen = await take(page_client, "resend", one)
    assert (await confirm(page_client, seen, id=[str(one.id), str(other.id)])).status == 409
    assert (await confirm(page_client, seen, deed="revoke")).status == 409
    assert [await state_of(page_client, each) for each in (one, other)] == [State.PENDING] * 2


async def test_of_two_with_the_same_terms_only_one_is_sent_again(page_client: PageClient) -> None:
    first = await page_client.invite("ada@people.test")
    page_client.wait(days=8)
    await page_client.sign_in_admin()
    second = await page_client.invite("ada@people.test")
    seen = await take(page_client, "resend", first, second)
    assert "Resend one invitation?" in seen.html
    assert 'data-reason="already-invited"' in seen.html


async def test_nothing_ticked_says_so(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.invite()
    assert await page_client.flash(await take(page_client, "revoke")) == "nothing-selected"


async def test_a_row_of_its_own_is_sent_again_at_once(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    one = await page_client.invite("ada@people.test")
    sent = await page_client.send(SELECTION, {"resend": str(one.id), "view": "q=ada"}, page=LIST)
    assert sent.target == f"{LIST}?q=ada"
    assert await page_client.flash(sent) == "invitation-resent-to"
    assert (await reload(page_client, one)).link.generation == 2
    unknown = await page_client.send(SELECTION, {"resend": str(UUID(int=7)), "view": ""}, page=LIST)
    assert await page_client.flash(unknown) == "invitation-ended"


@pytest.mark.parametrize("deed", ["resend", "revoke"])
async def test_a_viewer_may_export_and_do_nothing_else(page_client: PageClient, deed: str) -> None:
    one = await page_client.invite("ada@people.test")
    await page_client.sign_in_admin("vera@panel.test", role="viewer")
    assert (await take(page_client, deed, one)).status == 403
    assert (await page_client.send(SELECTION, {"resend": str(one.id)}, page=LIST)).status == 403
    fields = {"deed": deed, "digest": "0", "id": [str(one.id)]}
    assert (await page_client.send(DO_IT, fields, page=LIST)).status == 403
    assert (await page_client.get(f"{SELECTION}?deed={deed}")).status == 403
    assert (await take(page_client, "export", one)).status == 200
    assert await state_of(page_client, one) is State.PENDING
    assert (await reload(page_client, one)).link.generation == 1


async def test_forms_without_the_token_do_nothing(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    one = await page_client.invite("ada@people.test")
    for path, fields in (
        (SELECTION, {"resend": str(one.id)}),
        (DO_IT, {"deed": "revoke"}),
        (f"{LIST}/views", {"name": "x"}),
    ):
        assert (await page_client.browser.post(path, data=fields)).status_code == 403
    assert await state_of(page_client, one) is State.PENDING


@pytest.mark.parametrize("fields", [{"bulk": "delete"}, {"bulk": "resend", "state": "4"}, {"csrf": "x", "bulk": "x"}])
async def test_forms_that_no_page_sends_are_refused(page_client: PageClient, fields: dict[str, str]) -> None:
    await page_client.sign_in_admin()
    one = await page_client.invite()
    seen = await page_client.send(SELECTION, {"id": [str(one.id)], **fields}, page=LIST)
    assert seen.status in {400, 403}


# ---- files -----------------------------------------------------------------------------------------------------------


def table(seen: PageResponse) -> list[dict[str, str]]:
    text = seen.response.content.decode("utf-8")
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:], newline="")))


async def test_an_export_holds_all_that_match_with_the_chosen_columns(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    for number in range(30):
        await page_client.invite(f"p{number:02}@people.test")
    await page_client.invite("c@people.test", role="customer")
    seen = await page_client.get(f"{LIST}/export.csv?role=team&sort=inviteEmail&col=state&col=role")
    assert seen.response.headers["Content-Disposition"] == 'attachment; filename="invitations.csv"'
    found = table(seen)
    assert list(found[0]) == ["inviteEmail", "firstName", "lastName", "state", "role"]
    assert [row["inviteEmail"] for row in found] == [f"p{number:02}@people.test" for number in range(30)]


async def test_the_ticked_rows_are_exported_and_no_others(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    ticked, _ = await page_client.invite("ada@people.test"), await page_client.invite("bob@people.test")
    assert [row["inviteEmail"] for row in table(await take(page_client, "export", ticked))] == ["ada@people.test"]


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", '"quoted", and; more'])
async def test_no_cell_of_an_export_calculates(page_client: PageClient, evil: str) -> None:
    await page_client.sign_in_admin()
    await page_client.invite("ada@people.test", first_name=evil, last_name="Löwe")
    (row,) = table(await page_client.get(f"{LIST}/export.csv"))
    assert row["firstName"] == (f"'{evil}" if evil[0] in "=+-@" else evil)
    assert row["lastName"] == "Löwe"
