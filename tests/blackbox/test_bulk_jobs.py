"""Bulk jobs: who can see them, their report, cancelling, and senders who lose their rights meanwhile."""

import csv
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.support.bulk_calls import (
    count_invitations,
    create_api_key,
    customer_row,
    dry_run,
    get_job,
    get_report,
    post_rows,
    run_job,
    start_job,
    wait_for_end,
    wait_for_job,
)
from tests.support.content_calls import UNKNOWN_ID
from tests.support.installation import Installation, check_problem, numbers, open_installation

CSV = "text/csv"
ROW_COUNT = 6000  # enough that the job is still running when a test reads it
ROLES = """
[roles.dispatcher]
name = "Dispatcher"
permissions = ["invitations:write", "invitations:reveal", "app:plan"]
may-grant = ["customer"]

[roles.clerk]
name = "Clerk"
permissions = ["invitations:write", "invitations:reveal"]
may-grant = []
"""


@pytest.fixture(scope="module")
def quiet_installation(
    new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An installation that sends no mail, for large jobs."""
    with open_installation(
        tmp_path_factory.mktemp("quiet"), new_database(), transport="off", extra=ROLES
    ) as installation:
        yield installation


def test_a_job_is_visible_to_its_creator_and_to_readers(installation: Installation) -> None:
    creator, other, reader = installation.user("sender"), installation.user("sender"), installation.user("team")
    job_id = start_job(installation, [customer_row(), {"inviteEmail": "no", "role": "customer"}], by=creator.token)
    wait_for_end(installation, job_id)
    for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/report"):
        assert installation.get(path, creator.token).status == installation.get(path, reader.token).status == 200
        check_problem(installation.get(path, other.token), 404, "job-not-found")
        check_problem(installation.get(path, installation.user("customer").token), 404, "job-not-found")
        check_problem(installation.get(path), 401)
        check_problem(installation.get(f"{path}?what=1", creator.token), 400)
    check_problem(installation.get(f"/jobs/{UNKNOWN_ID}", installation.key), 404, "job-not-found")
    check_problem(installation.get(f"/jobs/{UNKNOWN_ID}/report", installation.key), 404, "job-not-found")
    check_problem(installation.delete(f"/jobs/{UNKNOWN_ID}", installation.key), 404, "job-not-found")
    check_problem(installation.get("/jobs/no-id", installation.key), 404)
    check_problem(installation.delete(f"/jobs/{job_id}", other.token), 404, "job-not-found")
    check_problem(installation.delete(f"/jobs/{job_id}"), 401)
    check_problem(installation.delete(f"/jobs/{job_id}", creator.token), 409, "job-finished")
    assert get_job(installation, job_id, creator.token)["state"] == "DONE"
    assert installation.call("POST", f"/api/jobs/{job_id}", {}, token=installation.key).status == 405
    assert installation.get("/invitations/bulk", installation.key).status in {404, 405}


def test_a_report_can_be_read_whole_in_pages_and_as_csv(installation: Installation) -> None:
    formulas = ["=1+1@people.test", "+1@", "-2@", "@SUM(A1)", "\t=1", "＝1", '"x",=1']
    rows = [customer_row() for _ in range(40)] + [{"inviteEmail": address, "role": "customer"} for address in formulas]
    job_id = start_job(installation, rows)
    wait_for_end(installation, job_id)
    items = get_report(installation, job_id)
    assert len(items) == 47
    paged_items, cursor = list[Any](), ""
    while True:
        page = installation.get(f"/jobs/{job_id}/report?limit=20{cursor}", installation.key).json
        assert page["total"] == 47
        paged_items += page["items"]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert paged_items == items
    answer = installation.get(f"/jobs/{job_id}/report", installation.key, headers={"Accept": CSV})
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    lines = list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig"), newline="")))
    assert len(lines) == 48
    assert [line[:2] for line in lines[1:]] == [[str(item["row"]), item["status"]] for item in items]
    for line in lines[1:]:
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝")) for cell in line), line
    for query in ("limit=0", "limit=201", "cursor=nonsense", "status=MADE"):
        check_problem(installation.get(f"/jobs/{job_id}/report?{query}", installation.key), 400)


def test_cancelling_a_running_job_keeps_finished_rows_and_stops_the_rest(quiet_installation: Installation) -> None:
    installation = quiet_installation
    count_before = count_invitations(installation)
    dispatcher = installation.user("dispatcher")
    name = f"stop{next(numbers)}"
    job_id = start_job(installation, [customer_row(name) for _ in range(ROW_COUNT)], by=dispatcher.token)
    wait_for_job(installation, job_id, lambda job: job["done"] > 0)
    answer = installation.delete(f"/jobs/{job_id}", dispatcher.token)
    assert answer.status == 204, answer
    assert not answer.body
    job = get_job(installation, job_id)
    assert job["state"] == "CANCELLED"
    assert 0 < job["done"] < ROW_COUNT
    assert len(get_report(installation, job_id)) == job["done"] == job["created"]
    assert count_invitations(installation) - count_before == job["created"]
    check_problem(installation.delete(f"/jobs/{job_id}", dispatcher.token), 409, "job-finished")
    run_job(installation, [customer_row()])  # afterwards no worker processes the cancelled job
    assert get_job(installation, job_id) == job
    assert count_invitations(installation) - count_before == job["created"] + 1


@pytest.mark.parametrize("reason", ["blocked", "demoted", "may not grant", "deleted", "key removed"])
def test_a_job_stops_inviting_when_its_sender_loses_the_right(quiet_installation: Installation, reason: str) -> None:
    installation = quiet_installation
    count_before = count_invitations(installation)
    dispatcher = installation.user("dispatcher")
    by = dispatcher.token
    key_id = ""
    if reason == "key removed":
        by, key_id = create_api_key(installation, "invitations:write", "invitations:reveal")
    job_id = start_job(installation, [customer_row("reason") for _ in range(ROW_COUNT)], by=by)
    wait_for_job(installation, job_id, lambda job: job["done"] > 0)
    if reason == "key removed":
        answer = installation.delete(f"/api-keys/{key_id}", installation.key)
    elif reason == "deleted":
        answer = installation.delete(f"/users/{dispatcher.id}", installation.key)
    else:
        changes = {"blocked": {"blocked": True}, "demoted": {"role": "customer"}}
        answer = installation.patch(f"/users/{dispatcher.id}", changes.get(reason, {"role": "clerk"}), installation.key)
    assert answer.status in {200, 204}, answer
    count_after = count_invitations(installation)
    job = wait_for_end(installation, job_id)
    assert count_invitations(installation) == count_after
    assert 0 < job["created"] == count_after - count_before < ROW_COUNT
    items = get_report(installation, job_id)
    assert len(items) == job["done"]
    if reason == "may not grant":
        assert (job["state"], job["done"]) == ("DONE", ROW_COUNT)
        assert {item["code"] for item in items if item["status"] == "REFUSED"} == {"grant-not-allowed"}
    else:
        assert job["state"] == "FAILED"
        assert job["cause"] == ("not-allowed" if reason == "demoted" else "inviter-not-allowed")


def test_an_idempotency_key_makes_repeated_requests_one_job(installation: Installation) -> None:
    rows, key = [customer_row()], f"key-{next(numbers)}"
    assert dry_run(installation, rows, Idempotency_Key=key)
    first = post_rows(installation, rows, Idempotency_Key=key)
    again = post_rows(installation, rows, Idempotency_Key=key)
    assert (first.status, first.json) == (again.status, again.json) == (202, again.json)
    check_problem(post_rows(installation, [customer_row()], Idempotency_Key=key), 422, "idempotency-key-reused")
    check_problem(post_rows(installation, rows, Idempotency_Key="ü"), 400)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post_rows(installation, rows, Idempotency_Key=key + "-b"), range(8)))
    assert {answer.status for answer in answers} <= {202, 409}
    assert len({answer.json["jobId"] for answer in answers if answer.status == 202}) == 1
    wait_for_end(installation, first.json["jobId"])
    assert count_invitations(installation, email=rows[0]["inviteEmail"]) == 1


def test_without_mail_bulk_invitations_require_the_reveal_permission(quiet_installation: Installation) -> None:
    rows = [customer_row()]
    for is_dry_run in (True, False):
        check_problem(
            post_rows(quiet_installation, rows, by=quiet_installation.user("sender").token, dry_run=is_dry_run),
            503,
            "mail-disabled",
        )
    (item,) = run_job(quiet_installation, rows)
    delivery = quiet_installation.invitation(item["invitationId"])["delivery"]
    assert (delivery["state"], delivery["reason"]) == ("SUPPRESSED", "MAIL_OFF")
