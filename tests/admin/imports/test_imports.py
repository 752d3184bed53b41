"""Importing invitations from a spreadsheet in the panel, without a script."""

import re
from datetime import timedelta
from typing import Any

import pytest
from tests.support.jobs import process_next_batch
from tests.support.page_client import PageClient, PageResponse

from latchstring.admin.imports.columns import guess_columns, guess_field
from latchstring.domain.ids import new_id
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.groups.service import GroupTexts
from latchstring.storage.jobs.jobs import claim_job

IMPORT = "/admin/import"


async def upload(
    page_client: PageClient, content: bytes | str = b"", *, name: str = "spring.csv", lines: str = "", **more: Any
) -> PageResponse:
    """Submit the first form with a file, or with pasted lines."""
    form = await page_client.get(more.pop("page", IMPORT))
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', form.html)
    fields = {"csrf": more.pop("csrf", csrf[1] if csrf else ""), "charset": more.pop("charset", "")}
    file = (name if content else "", content, "text/csv")
    return PageResponse(await page_client.browser.post(IMPORT, data={**fields, "lines": lines}, files={"file": file}))


async def run_jobs(page_client: PageClient) -> None:
    owner, db, clock = new_id(page_client.services.clock()), page_client.services.db, page_client.services.clock
    until = clock() + timedelta(minutes=1)
    while (job := await claim_job(db, owner, now=clock(), until=until)) is not None:
        while not job.state.is_finished:
            job = await process_next_batch(page_client.services.invitations.job_kinds[job.kind], job, owner, until)


async def check_file(
    page_client: PageClient, content: bytes | str, columns: list[str], **more: Any
) -> tuple[str, PageResponse]:
    """Upload a file and choose its columns; return the path of the draft, and the page with the results."""
    uploaded = await upload(page_client, content)
    assert uploaded.status == 303, uploaded.html
    path = uploaded.target.removesuffix("/columns")
    sent = await page_client.send(f"{path}/columns", {"column": columns, **more}, page=uploaded.target)
    assert sent.status == 303, sent.html
    return path, await page_client.get(sent.target)


def tally(seen: PageResponse) -> list[str]:
    return re.findall(r'class="tally__number">([\d,]+)<', seen.html)


async def test_a_file_is_imported_in_all_steps(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.services.groups.create("spring", GroupTexts(name="Spring Cohort"), by=OPERATOR_PRINCIPAL)
    content = (
        "E-Mail-Adresse;Vorname;Nachname;Rolle;Gruppe;Notiz\r\n"
        "ada@people.test;Ada;Löwe;CUSTOMER;spring cohort;x\r\n"
        "ADA@people.test ;Ada;Löwe;customer;Spring;x\r\n"
        "bea@people;Bea;;customer;;\r\n"
        ";;;;;\r\n"
    ).encode("utf-16")
    uploaded = await upload(page_client, content)
    columns = await page_client.get(uploaded.target)
    assert re.findall(r'<option value="(\w+)" selected', columns.html) == [
        *("inviteEmail", "firstName", "lastName", "role", "groups")
    ]
    fields = ["inviteEmail", "firstName", "lastName", "role", "groups", "-"]
    path, check = await check_file(page_client, content, fields)
    assert tally(check) == ["1", "1", "0", "1"]
    assert "Nothing has been sent yet" in check.html
    promise = re.search(r'name="promised" value="([^"]+)"', check.html)
    assert promise is not None
    assert (await page_client.services.invitations.bulk.list_jobs(by=OPERATOR_PRINCIPAL, limit=5)) == []
    sent = await page_client.send(f"{path}/check", {"do": "invite", "promised": promise[1]}, page=f"{path}/check")
    assert (sent.status, sent.target) == (303, path)
    running = await page_client.get(path)
    assert "0 of 3 rows are done" in running.html
    assert 'hx-trigger="every 2s"' in running.html
    await run_jobs(page_client)
    done = await page_client.get(path)
    assert tally(done) == ["1", "1", "0", "1"]
    assert "hx-trigger" not in done.html
    refused = await page_client.browser.get(f"{path}/refused.csv")
    lines = refused.content.decode("utf-8-sig").splitlines()
    assert lines[0] == "E-Mail-Adresse,Vorname,Nachname,Rolle,Gruppe,Notiz,Reason for refusal"
    assert lines[1].startswith("bea@people,Bea,,customer,,,")
    report = await page_client.browser.get(f"{path}/report.csv")
    assert len(report.content.decode().splitlines()) == 4


async def test_rows_are_filtered_by_result(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    content = "email\n" + "".join(f"p{i}@people.test\n" for i in range(60)) + "broken\nP1@people.test\n"
    path, check = await check_file(page_client, content, ["inviteEmail"], role="customer")
    assert "broken" in check.html  # refused rows are shown by default
    everything = await page_client.get(f"{path}/check?rows=create")
    assert everything.html.count('class="table__main"') == 50
    following = re.search(r'href="([^"]+)" rel="next"', everything.html)
    assert following is not None
    rest = await page_client.get(following[1].replace("&amp;", "&"))
    assert rest.html.count('class="table__main"') == 10
    duplicates = await page_client.get(f"{path}/check?rows=duplicate")
    assert 'data-testid="duplicate-of-2"' in duplicates.html


async def test_pasted_lines_are_imported_as_addresses(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    uploaded = await upload(page_client, lines="ada@people.test\r\nbea@people.test\r\n")
    assert "The file has no header" in (await page_client.get(uploaded.target)).html
    path = uploaded.target.removesuffix("/columns")
    sent = await page_client.send(
        f"{path}/columns", {"column": ["inviteEmail"], "role": "customer"}, page=uploaded.target
    )
    assert tally(await page_client.get(sent.target)) == ["2", "0", "0", "0"]


async def test_changed_counts_need_a_new_confirmation(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    path, _ = await check_file(
        page_client, "email\nada@people.test\nbea@people.test\n", ["inviteEmail"], role="customer"
    )
    await page_client.invite("ada@people.test", role="customer")
    sent = await page_client.send(f"{path}/check", {"do": "invite", "promised": "2-0-0"}, page=f"{path}/check")
    assert sent.status == 200
    assert 'data-testid="numbers-changed"' in sent.html
    assert tally(sent) == ["1", "1", "0", "0"]
    again = await page_client.send(f"{path}/check", {"do": "invite", "promised": "1-1-0"}, page=f"{path}/check")
    assert again.status == 303


async def test_an_import_can_be_stopped(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    path, _ = await check_file(page_client, "email\nada@people.test\n", ["inviteEmail"], role="customer")
    await page_client.send(f"{path}/check", {"do": "invite", "promised": "1-0-0"}, page=f"{path}/check")
    assert f'action="{path}/stop"' in (await page_client.get(f"{path}/stop")).html
    stopped = await page_client.send(f"{path}/stop", page=f"{path}/stop")
    assert await page_client.flash(stopped) == "import-stopped"
    await run_jobs(page_client)
    assert "Stopped after 0 of 1 rows" in (await page_client.get(path)).html
    assert (await page_client.get(f"{path}/stop")).target == path
    again = await page_client.send(f"{path}/stop", page=path)
    assert await page_client.flash(again) == "import-finished"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "nothing-sent"),
        (b"email\r\n", "no-rows"),
        (b"PK\x03\x04 anything", "workbook"),
        (b"email\r\n\xe4\xf6\xfc@people.test\r\n", "unreadable-file"),
        (b'email\r\n"ada@people.test\r\n', "unreadable-file"),
    ],
)
async def test_an_unusable_file_is_refused_with_its_problem(
    page_client: PageClient, content: bytes, problem: str
) -> None:
    await page_client.sign_in_admin()
    seen = await upload(page_client, content)
    assert seen.status == 422
    assert f'data-problem="{problem}"' in seen.html


async def test_a_file_is_read_in_the_chosen_encoding(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    uploaded = await upload(
        page_client, "Prénom;E-mail\r\nZoë;zoe@people.test\r\n".encode("cp1252"), charset="windows-1252"
    )
    page = await page_client.get(uploaded.target)
    assert "Prénom" in page.html
    assert "Zoë" in page.html


async def test_an_upload_can_be_larger_than_other_forms(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    uploaded = await upload(
        page_client, "email\n" + "".join(f"somebody.number{i}@people.test\n" for i in range(40_000))
    )
    assert uploaded.status == 303
    assert "40,000 rows" in (await page_client.get(uploaded.target)).html


async def test_exactly_one_column_must_be_the_address(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    uploaded = await upload(page_client, "a,b\nada@people.test,x\n")
    path = uploaded.target
    for columns, problem in (
        (["-", "-"], "no-address-column"),
        (["inviteEmail", "inviteEmail"], "column-twice"),
    ):
        seen = await page_client.send(path, {"column": columns}, page=path)
        assert (seen.status, f'data-problem="{problem}"' in seen.html) == (422, True)


async def test_a_draft_belongs_to_its_administrator_and_can_be_discarded(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    path, _ = await check_file(page_client, "email\nada@people.test\n", ["inviteEmail"], role="customer")
    page_client.sign_out()
    await page_client.sign_in_admin("jonas@panel.test", name="Jonas")
    for subpath in ("", "/columns", "/check", "/report.csv", "/refused.csv"):
        assert (await page_client.get(path + subpath)).status == 404
    assert (await page_client.send(f"{path}/check", {"do": "invite", "promised": "1-0-0"}, page=IMPORT)).status == 404
    page_client.sign_out()
    await page_client.sign_in_admin()
    gone = await page_client.send(f"{path}/forget", page=f"{path}/check")
    assert await page_client.flash(gone) == "import-discarded"
    assert (await page_client.get(f"{path}/check")).status == 404


async def test_importing_needs_permission_and_a_csrf_token(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    assert (await upload(page_client, "email\nada@people.test\n", csrf="0" * 32)).status == 403
    page_client.sign_out()
    await page_client.sign_in_admin("vera@panel.test", role="viewer", name="Vera")
    assert (await page_client.get(IMPORT)).status == 403
    assert (await upload(page_client, "email\nada@people.test\n", page="/admin/account")).status == 403


async def test_cells_with_markup_are_escaped(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    evil = '<script>alert(1)</script>"@x'
    content = f'email,"{evil.replace(chr(34), chr(34) * 2)}"\n"<img src=x>",b\n'
    path, check = await check_file(page_client, content, ["inviteEmail", "-"], role="customer")
    columns = await page_client.get(f"{path}/columns")
    for seen in (check, columns):
        assert "<script>alert" not in seen.html
        assert "<img src=x" not in seen.html
    assert (await upload(page_client, content, name="<b>x</b>.csv")).status == 303


@pytest.mark.parametrize(
    ("heading", "field"),
    [
        ("E-Mail", "inviteEmail"),
        ("Adresse électronique", "inviteEmail"),
        ("Correo electronico", "inviteEmail"),
        ("Endereço de e-mail", "inviteEmail"),
        ("indirizzo email", "inviteEmail"),
        ("E-mailadres", "inviteEmail"),
        ("Adres e-mail", "inviteEmail"),
        ("البريد الإلكتروني", "inviteEmail"),
        ("כתובת אימייל", "inviteEmail"),
        ("メールアドレス", "inviteEmail"),
        ("电子邮箱", "inviteEmail"),
        ("Prénom", "firstName"),
        ("NACHNAME", "lastName"),
        ("Apellidos", "lastName"),
        ("Imię", "firstName"),
        ("Groups", "groups"),
        ("役割", "role"),
        ("expires_in", "expiresIn"),
        ("redirectUrl", "redirectUrl"),
        ("Telephone", None),
        ("", None),
    ],
)
def test_headings_are_guessed_in_all_languages(heading: str, field: str | None) -> None:
    assert guess_field(heading) == field


def test_each_field_is_guessed_once() -> None:
    assert guess_columns(["Email", "E-Mail", "Nom", "Last name"]) == ["inviteEmail", None, "lastName", None]
    assert guess_columns(["Ada", "ada@people.test"]) == [None, "inviteEmail"]
