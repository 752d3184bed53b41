"""Bulk invitations over HTTP: uploads, dry runs, jobs, reports and CSV files."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, ClassVar

import httpx2
import pytest
from tests.support.api_client import Api
from tests.support.jobs import process_next_batch

from latchstring.domain.errors import Unreadable
from latchstring.domain.group import Group
from latchstring.domain.ids import new_id
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.formats.csv_rows import CsvRows
from latchstring.formats.json_rows import JsonRows
from latchstring.formats.row_spool import SpooledRows
from latchstring.formats.uploads import MAX_ROW_BYTES
from latchstring.groups.service import GroupTexts
from latchstring.storage.jobs.jobs import claim_job

CSV = "text/csv"
PATH = "/api/invitations/bulk"


async def post_rows(
    api: Api,
    body: Any,
    media_type: str = "application/json",
    *,
    key: str | None = None,
    is_dry_run: bool = False,
    **more: str,
) -> httpx2.Response:
    content = json.dumps(body) if media_type == "application/json" and not isinstance(body, bytes | str) else body
    headers = {"Content-Type": media_type, "Authorization": f"Bearer {key or api.key}"}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    return await api.http.post(PATH + ("?dryRun=true" if is_dry_run else ""), content=content, headers=headers)


async def dry_run(api: Api, body: Any, media_type: str = "application/json", **more: Any) -> list[dict[str, Any]]:
    answer = await post_rows(api, body, media_type, is_dry_run=True, **more)
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert report["total"] == len(report["items"])
    assert report["nextCursor"] is None
    return report["items"]  # type: ignore[no-any-return]


async def run_jobs(api: Api) -> None:
    """Run all jobs, as a worker does."""
    owner, db, clock = new_id(api.clock()), api.services.db, api.clock
    until = clock() + timedelta(minutes=1)
    while (job := await claim_job(db, owner, now=clock(), until=until)) is not None:
        while not job.state.is_finished:
            job = await process_next_batch(api.services.invitations.job_kinds[job.kind], job, owner, until)


async def create_group(api: Api, key: str) -> Group:
    return await api.services.groups.create(key, GroupTexts(name=key), by=OPERATOR_PRINCIPAL)


def customer(number: int) -> dict[str, str]:
    return {"inviteEmail": f"p{number}@people.test", "role": "customer"}


def list_results(items: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(item["status"], item.get("code")) for item in items]


async def test_a_job_is_started_processed_and_reported(api: Api) -> None:
    answer = await post_rows(api, [customer(1), customer(2), customer(1), {"inviteEmail": "=no", "role": "customer"}])
    assert answer.status_code == 202
    job_id = answer.json()["jobId"]
    assert answer.headers["Location"] == f"/api/jobs/{job_id}"
    job = (await api.get(f"/jobs/{job_id}", api.key)).json()
    assert {name: job[name] for name in ("state", "total", "done")} == {"state": "QUEUED", "total": 4, "done": 0}
    await run_jobs(api)
    job = (await api.get(f"/jobs/{job_id}", api.key)).json()
    assert job == job | {"state": "DONE", "done": 4, "created": 2, "skipped": 1, "refused": 1, "cause": None}
    report = (await api.get(f"/jobs/{job_id}/report", api.key)).json()
    assert [item["row"] for item in report["items"]] == [1, 2, 3, 4]
    assert list_results(report["items"]) == [
        ("CREATE", None),
        ("CREATE", None),
        ("DUPLICATE", "duplicate-row"),
        ("REFUSED", "invalid-email"),
    ]
    first = report["items"][0]
    assert first == {"row": 1, "status": "CREATE", "email": "p1@people.test", "invitationId": first["invitationId"]}
    invitation = await api.get(f"/invitations/{first['invitationId']}", api.key)
    assert invitation.json()["state"] == "PENDING"
    table = await api.get(f"/jobs/{job_id}/report", api.key, Accept="text/csv")
    assert table.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert table.content.decode("utf-8-sig").splitlines()[0] == "row,status,code,detail,email,invitationId"
    assert ",'=no," in table.text


async def test_a_report_can_be_read_in_pages(api: Api) -> None:
    job_id = (await post_rows(api, [*map(customer, range(7)), None])).json()["jobId"]
    await run_jobs(api)
    first = (await api.get(f"/jobs/{job_id}/report?limit=5", api.key)).json()
    rest = (await api.get(f"/jobs/{job_id}/report?limit=5&cursor={first['nextCursor']}", api.key)).json()
    assert [item["row"] for item in first["items"] + rest["items"]] == list(range(1, 9))
    assert (first["total"], rest["nextCursor"]) == (8, None)
    refused = (await api.get(f"/jobs/{job_id}/report?status=REFUSED", api.key)).json()
    assert [item["row"] for item in refused["items"]] == [8]
    for query in ("limit=0", "cursor=abc", "status=NONE", "page=2"):
        assert (await api.get(f"/jobs/{job_id}/report?{query}", api.key)).status_code == 400


async def test_a_job_is_cancelled_once(api: Api) -> None:
    job_id = (await post_rows(api, [customer(1)])).json()["jobId"]
    assert (await api.delete(f"/jobs/{job_id}", api.key)).status_code == 204
    await run_jobs(api)
    assert (await api.get(f"/jobs/{job_id}", api.key)).json()["state"] == "CANCELLED"
    again = await api.delete(f"/jobs/{job_id}", api.key)
    assert (again.status_code, again.json()["code"]) == (409, "job-finished")


async def test_a_job_is_visible_to_its_creator_and_with_a_permission(api: Api) -> None:
    creator = await api.api_key("invitations:write", may_grant=["customer"])
    job_id = (await post_rows(api, [customer(1)], key=creator)).json()["jobId"]
    reader, other = await api.api_key("invitations:read"), await api.api_key("invitations:write")
    for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/report"):
        assert [(await api.get(path, key)).status_code for key in (creator, reader, other)] == [200, 200, 404]
        assert (await api.get(path)).status_code == 401
    assert [(await api.delete(f"/jobs/{job_id}", key)).status_code for key in (other, reader, creator)] == [
        404,
        403,
        204,
    ]


async def test_a_dry_run_changes_nothing(api: Api) -> None:
    await create_group(api, "spring")
    before = (await api.get("/invitations", api.key)).json()["total"]
    assert (
        list_results(await dry_run(api, [customer(1), {"inviteEmail": "p2@people.test", "groups": ["spring"]}]))
        == [("CREATE", None)] * 2
    )
    assert (await api.get("/invitations", api.key)).json()["total"] == before
    assert "invitationId" not in (await dry_run(api, [customer(1)]))[0]


async def test_missing_permissions_are_refused_before_the_rows_are_read(api: Api) -> None:
    reader = await api.api_key("invitations:read")
    assert (await post_rows(api, b"{", key=reader)).status_code == 403
    answer = await api.http.post(PATH, content=b"[", headers={"Content-Type": "application/json"})
    assert answer.status_code == 401


@pytest.mark.parametrize("is_dry_run", [True, False])
@pytest.mark.parametrize(
    ("body", "media_type", "status", "code"),
    [
        (b"", "application/json", 400, "body-missing"),
        (b"", CSV, 400, "body-missing"),
        (b"{}", "application/json", 400, "unreadable"),
        (b'"text"', "application/json", 400, "unreadable"),
        (b"[", "application/json", 400, "unreadable"),
        (b"[{}", "application/json", 400, "unreadable"),
        (b"[{},]", "application/json", 400, "unreadable"),
        (b"[{}] x", "application/json", 400, "unreadable"),
        (b"[{} {}]", "application/json", 400, "unreadable"),
        (b'[{"a": nul}]', "application/json", 400, "unreadable"),
        (b"[NaN]", "application/json", 400, "unreadable"),
        (b'["\xff"]', "application/json", 400, "unreadable"),
        (b'["\\ud800"]', "application/json", 400, "unreadable"),
        (b"\xef\xbb\xbf[]", "application/json", 400, "unreadable"),
        (b'[{"a": 1, "a": 2}]', "application/json", 400, "duplicate-key"),
        (b"[" * 100_000, "application/json", 400, "nested-too-deep"),
        (b"[" * 65 + b"]" * 65, "application/json", 400, "nested-too-deep"),
        (b"[]", "application/json", 422, "invalid-fields"),
        (b"[]", "text/plain", 415, "unsupported-media-type"),
        (b"[]", "application/json; charset=latin1", 415, "unsupported-media-type"),
        (b"inviteEmail\na@b.cd\n", "text/csv; charset=klingon", 415, "unsupported-media-type"),
        (b"inviteEmail,role\n", CSV, 422, "invalid-fields"),
        (b"role\nteam\n", CSV, 422, "invalid-fields"),
        (b"inviteEmail,nick\na@b.cd,x\n", CSV, 400, "unknown-field"),
        (b"inviteEmail,Invite E-Mail\na@b.cd,x\n", CSV, 400, "duplicate-key"),
        (b"inviteEmail\n\xff\xfe\xfd\n", CSV, 400, "unreadable"),
        (b'inviteEmail\n"a@b.cd\n', CSV, 400, "unreadable"),
    ],
)
async def test_a_malformed_upload_is_refused_as_a_whole(  # noqa: PLR0917
    api: Api,
    body: bytes,
    media_type: str,
    status: int,
    code: str,
    is_dry_run: bool,  # noqa: FBT001
) -> None:
    answer = await post_rows(api, body, media_type, is_dry_run=is_dry_run)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert (await api.get("/invitations", api.key)).json()["total"] == 0


async def test_more_than_64_mebibytes_are_refused(api: Api) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"["
        while True:
            yield b'"' + b"a" * 60_000 + b'",'

    answer = await api.http.post(
        PATH, content=endless(), headers={"Content-Type": "application/json", "Authorization": f"Bearer {api.key}"}
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")
    declared = await post_rows(api, b"[]", Content_Length=str(64 * 1024 * 1024 + 1))
    assert declared.status_code == 413


async def test_an_upload_may_be_larger_than_other_bodies(api: Api) -> None:
    rows = [{**customer(i), "message": "m" * 900} for i in range(1500)]
    assert len(json.dumps(rows)) > 1024 * 1024
    answer = await post_rows(api, rows)
    assert answer.status_code == 202, answer.text
    await run_jobs(api)
    assert (await api.get(f"/jobs/{answer.json()['jobId']}", api.key)).json()["created"] == 1500


async def test_the_same_request_twice_is_one_job(api: Api) -> None:
    body = [customer(1)]
    first = await post_rows(api, body, Idempotency_Key="k1")
    again = await post_rows(api, body, Idempotency_Key="k1")
    assert first.status_code == again.status_code == 202
    assert (first.json(), first.headers["Location"]) == (again.json(), again.headers["Location"])
    other = await post_rows(api, [customer(2)], Idempotency_Key="k1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    answers = await asyncio.gather(*(post_rows(api, body, Idempotency_Key="k2") for _ in range(5)))
    assert len({answer.json()["jobId"] for answer in answers}) == 1
    await run_jobs(api)
    assert (await api.get("/invitations", api.key)).json()["total"] == 1


async def test_an_upload_counts_as_one_request_of_its_sender(limited_api: Api) -> None:
    key = await limited_api.api_key("*")
    answer = await post_rows(limited_api, list(map(customer, range(300))), key=key)
    assert answer.status_code == 202


# ---- spreadsheets ----------------------------------------------------------------------------------------------------

LINES = [
    ["Invite E-Mail", "ROLE", "First Name", "message", "groups", ""],
    ["ada@people.test", "team", "Ada", 'Come in.\nAll of you, "soon"; or late', "spring;autumn", ""],
    ["  Bea@People.test ", "team", "Béa", "", "", ""],
    ["BEA@people.test\u00a0", "team", "", "", "", ""],
    ["", "", "", "", "", ""],
    ["cid@people", "team", "Cid", "", "", ""],
]


def format_csv(delimiter: str, *, line_end: str = "\r\n") -> str:
    quoted = [delimiter.join('"' + cell.replace('"', '""') + '"' if cell else "" for cell in line) for line in LINES]
    return line_end.join([*quoted, delimiter * 5, ""])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    ("encoding", "media_type"),
    [
        ("utf-8", CSV),
        ("utf-8-sig", CSV),
        ("utf-16", CSV),
        ("utf-16-le", CSV),
        ("utf-16-be", CSV),
        ("utf-16-be", "text/csv; charset=UTF-16BE"),
        ("cp1252", 'Text/CSV; header=present; charset="windows-1252"'),
        ("utf-16", "text/csv; charset=utf-16"),
    ],
)
@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r"])
async def test_a_messy_spreadsheet_is_read(
    api: Api, delimiter: str, encoding: str, media_type: str, line_end: str
) -> None:
    await create_group(api, "spring")
    await create_group(api, "autumn")
    body = format_csv(delimiter, line_end=line_end).encode(encoding)
    items = await dry_run(api, body, media_type)
    assert list_results(items) == [
        ("CREATE", None),
        ("CREATE", None),
        ("DUPLICATE", "duplicate-row"),
        ("REFUSED", "invalid-email"),
    ]
    assert [item["email"] for item in items] == ["ada@people.test", "Bea@People.test", "BEA@people.test", "cid@people"]


async def test_cells_keep_quotes_line_breaks_and_delimiters(api: Api) -> None:
    await create_group(api, "spring")
    await create_group(api, "autumn")
    job_id = (await post_rows(api, format_csv(";").encode("utf-16"), CSV)).json()["jobId"]
    await run_jobs(api)
    first = (await api.get(f"/jobs/{job_id}/report", api.key)).json()["items"][0]
    invitation = (await api.get(f"/invitations/{first['invitationId']}", api.key)).json()
    assert invitation["message"] == 'Come in.\nAll of you, "soon"; or late'
    assert (invitation["firstName"], invitation["groups"]) == ("Ada", ["autumn", "spring"])


async def test_an_export_with_errors_gets_the_right_result_for_each_row(api: Api) -> None:
    lines = ["inviteEmail;role;firstName", *(f"Person{i}@People.test;customer;P {i}" for i in range(1000))]
    lines += [f"PERSON{i}@people.TEST ;customer;again" for i in range(300)]
    lines += [f"broken{i}@;customer;" for i in range(20)]
    items = await dry_run(api, "\r\n".join(lines).encode("utf-16"), CSV)
    counts = {status: sum(item["status"] == status for item in items) for status in ("CREATE", "DUPLICATE", "REFUSED")}
    assert counts == {"CREATE": 1000, "DUPLICATE": 300, "REFUSED": 20}
    assert items[1000]["detail"] == "Duplicate of row 1."
    assert all("name@example.org" in item["detail"] for item in items[-20:])


async def test_the_delimiter_that_the_file_declares_is_used(api: Api) -> None:
    items = await dry_run(api, b"sep=|\r\ninviteEmail|role\r\na@people.test|team\r\n", CSV)
    assert list_results(items) == [("CREATE", None)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_rows_do_not_depend_on_the_size_of_the_chunks(size: int) -> None:
    values = [{"a": [1, 2, {"b": 'x,]}\\"é😀'}]}, 12345, "text", None, True, -1.5e10, [], {}, "last"]
    text = json.dumps(values, ensure_ascii=False, indent=1).encode()
    for parser, body, expected in (
        (JsonRows(), text, values),
        (CsvRows(), format_csv(";").encode("utf-16"), [line for line in LINES[1:] if any(line)]),
        (CsvRows(), format_csv(",", line_end="\r").encode("utf-8-sig"), [line for line in LINES[1:] if any(line)]),
    ):
        rows = [row for offset in range(0, len(body), size) for row in parser.feed(body[offset : offset + size])]
        assert rows + parser.feed(b"", final=True) == expected


def test_a_row_without_an_end_is_refused_at_its_size_limit() -> None:
    for parser, start in ((JsonRows(), b'["'), (CsvRows(), b'inviteEmail\r\n"')):
        parser.feed(start)
        for _ in range(MAX_ROW_BYTES // 50_000):
            parser.feed(b"a" * 50_000)
        with pytest.raises(Unreadable) as caught:
            parser.feed(b"a" * 50_000)
        assert caught.value.code == "body-too-large"


async def test_spooled_rows_are_read_back_unchanged() -> None:
    class Given:
        options: ClassVar[dict[str, object]] = {"columns": ["inviteEmail"]}

        async def __aiter__(self) -> AsyncIterator[list[object]]:
            yield [{"n": 10**40, "f": 1e300}, ["é"]]
            yield [None]

    with SpooledRows(CSV) as rows:
        await rows.fill(Given())  # type: ignore[arg-type]
        for _ in range(2):
            items = [row async for batch in rows for row in batch]
            assert items == [{"n": 10**40, "f": 1e300}, ["é"], None]
        assert (rows.total, rows.options) == (3, {"columns": ["inviteEmail"]})
