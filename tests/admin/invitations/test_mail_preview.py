"""The preview of the invitation mail: same content as the mail, and sandboxed."""

import html
from pathlib import Path

import pytest
from tests.support.page_client import PageClient, PageResponse

PREVIEW = "/admin/invitations/new/preview"
NEW = "/admin/invitations/new"


async def preview(page_client: PageClient, **fields: object) -> PageResponse:
    return await page_client.send(
        PREVIEW, {"inviteEmail": "jonas@people.test", "expiresIn": "604800", **fields}, page=NEW
    )


async def test_the_preview_contains_the_fields_of_the_form(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.group()
    await page_client.object("Tide tables", owner=await page_client.inviter(), key="tides")
    seen = await preview(
        page_client,
        firstName="Jonas",
        role="team",
        groups=["spring"],
        content=["articles/tides"],
        contentRole=["EDITOR"],
        message="Bring tide tables.",
        shape="text",
    )
    for words in (
        "Mira Okafor invites you to Orchard Lane",
        "no-reply@orchard.example",
        "To jonas@people.test",
        "Hello Jonas,",
        "Bring tide tables.",
        "You join as Team",
        "Your group: Spring cohort",
        "You may edit Tide tables",
        "until Monday 9 March 2026, 12:00 (UTC)",
    ):
        assert words in html.unescape(seen.words)


async def test_the_preview_uses_the_chosen_language(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    seen = await preview(page_client, role="team", locale="de", shape="text")
    assert "lädt Sie zu Orchard Lane ein" in seen.words or "Orchard Lane ein" in seen.words
    assert 'lang="de"' in seen.html


async def test_users_get_the_mail_for_existing_accounts(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    without_account = await preview(page_client, role="team", shape="text")
    await page_client.user("jonas@people.test", role="customer", locale="de")
    member = await preview(page_client, role="team", shape="text")
    assert without_account.words != member.words
    assert 'lang="de"' in member.html


async def test_an_incomplete_form_has_a_preview(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    seen = await preview(page_client, inviteEmail="jonas@", until="x", expiresIn="until", groups=["none"], role="none")
    assert seen.status == 200
    assert "To name@example.org" in seen.words


async def test_the_first_preview_contains_only_terms(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    seen = await page_client.get(f"{PREVIEW}?role=team&locale=de&content=articles%2Fnone&contentRole=VIEWER")
    assert seen.status == 200
    assert "You join as Team" not in seen.words  # the preview is in German
    page = await page_client.send(
        NEW, {"inviteEmail": "jonas@people.test", "role": "team", "firstName": "Jonas"}, page=NEW
    )
    assert f'src="{PREVIEW}?role=team"' in page.html


async def test_the_preview_is_sandboxed_and_has_no_working_link(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    seen = await preview(
        page_client, role="team", message='<script>alert(1)</script> <a href="https://evil.test">x</a>'
    )
    policy = seen.response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'none'" in policy
    assert policy.endswith("frame-ancestors 'self'; sandbox")
    assert seen.response.headers["x-frame-options"] == "SAMEORIGIN"
    assert "eyJ" not in seen.html
    assert 'sandbox=""' in seen.html
    mail = html.unescape(seen.html)
    assert "<script" not in mail
    assert "evil.test" not in mail.replace("evil.\u200btest", "")


async def test_previews_store_nothing(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.get("/admin/account")
    before = await page_client.dump()
    await preview(page_client, role="team", do="save")
    await page_client.get(f"{PREVIEW}?role=team")
    assert await page_client.dump() == before


@pytest.mark.parametrize("page_client", [("[mail]\n", '[mail]\ntemplates-directory = "words"\n')], indirect=True)
async def test_custom_templates_are_used_unless_they_are_broken(page_client: PageClient, tmp_path: Path) -> None:
    await page_client.sign_in_admin()
    folder = tmp_path / "words" / "invitation"
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("Come to {{ app_name }}")
    assert "Come to Orchard Lane" in (await preview(page_client, role="team")).words
    (folder / "subject.txt").write_text("{{ nothing.there }}")
    assert "Mira Okafor invites you to Orchard Lane" in (await preview(page_client, role="team")).words
