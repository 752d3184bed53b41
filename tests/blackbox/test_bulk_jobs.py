"""Jobs of many invitations: who sees them, their report, cancelling, and senders who fall in the middle."""

import csv
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.support.bulk_calls import api_key, customer, done, ended, foreseen, job, report, send, started, total, until
from tests.support.content_calls import NOBODY
from tests.support.installation import Installation, numbers, open_installation, refused

CSV = "text/csv"
MANY = 6000  # rows of a job that is still at work when one looks
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
    with open_installation(tmp_path_factory.mktemp("house"), new_database(), transport="off", extra=ROLES) as running:
        yield running


def test_a_job_is_its_makers_and_its_readers(installation: Installation) -> None:
    maker, other, reader = installation.user("sender"), installation.user("sender"), installation.user("team")
    job_id = started(installation, [customer(), {"inviteEmail": "no", "role": "customer"}], by=maker.token)
    ended(installation, job_id)
    for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/report"):
        assert installation.get(path, maker.token).status == installation.get(path, reader.token).status == 200
        refused(installation.get(path, other.token), 404, "job-not-found")
        refused(installation.get(path, installation.user("customer").token), 404, "job-not-found")
        refused(installation.get(path), 401)
        refused(installation.get(f"{path}?what=1", maker.token), 400)
    refused(installation.get(f"/jobs/{NOBODY}", installation.key), 404, "job-not-found")
    refused(installation.get(f"/jobs/{NOBODY}/report", installation.key), 404, "job-not-found")
    refused(installation.delete(f"/jobs/{NOBODY}", installation.key), 404, "job-not-found")
    refused(installation.get("/jobs/no-id", installation.key), 404)
    refused(installation.delete(f"/jobs/{job_id}", other.token), 404, "job-not-found")
    refused(installation.delete(f"/jobs/{job_id}"), 401)
    refused(installation.delete(f"/jobs/{job_id}", maker.token), 409, "job-finished")
    assert job(installation, job_id, maker.token)["state"] == "DONE"
    assert installation.call("POST", f"/api/jobs/{job_id}", {}, token=installation.key).status == 405
    assert installation.get("/invitations/bulk", installation.key).status in {404, 405}


def test_a_report_is_read_whole_in_pages_and_as_a_spreadsheet(installation: Installation) -> None:
    evil = ["=1+1@people.test", "+1@", "-2@", "@SUM(A1)", "\t=1", "＝1", '"x",=1']
    rows = [customer() for _ in range(40)] + [{"inviteEmail": one, "role": "customer"} for one in evil]
    job_id = started(installation, rows)
    ended(installation, job_id)
    whole = report(installation, job_id)
    assert len(whole) == 47
    found, cursor = list[Any](), ""
    while True:
        page = installation.get(f"/jobs/{job_id}/report?limit=20{cursor}", installation.key).json
        assert page["total"] == 47
        found += page["items"]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert found == whole
    answer = installation.get(f"/jobs/{job_id}/report", installation.key, headers={"Accept": CSV})
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    lines = list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig"), newline="")))
    assert len(lines) == 48
    assert [line[:2] for line in lines[1:]] == [[str(item["row"]), item["status"]] for item in whole]
    for line in lines[1:]:
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝")) for cell in line), line
    for query in ("limit=0", "limit=201", "cursor=nonsense", "status=MADE"):
        refused(installation.get(f"/jobs/{job_id}/report?{query}", installation.key), 400)


def test_cancelling_in_the_middle_keeps_what_is_done_and_does_nothing_after(quiet_installation: Installation) -> None:
    installation = quiet_installation
    before = total(installation)
    dispatcher = installation.user("dispatcher")
    name = f"stop{next(numbers)}"
    job_id = started(installation, [customer(name) for _ in range(MANY)], by=dispatcher.token)
    until(installation, job_id, lambda one: one["done"] > 0)
    answer = installation.delete(f"/jobs/{job_id}", dispatcher.token)
    assert answer.status == 204, answer
    assert not answer.body
    found = job(installation, job_id)
    assert found["state"] == "CANCELLED"
    assert 0 < found["done"] < MANY
    assert len(report(installation, job_id)) == found["done"] == found["created"]
    assert total(installation) - before == found["created"]
    refused(installation.delete(f"/jobs/{job_id}", dispatcher.token), 409, "job-finished")
    done(installation, [customer()])  # a worker that was on the cancelled job is free by now
    assert job(installation, job_id) == found
    assert total(installation) - before == found["created"] + 1


@pytest.mark.parametrize("fall", ["blocked", "demoted", "without the right to grant", "deleted", "key removed"])
def test_who_falls_in_the_middle_of_a_job_invites_nobody_after(quiet_installation: Installation, fall: str) -> None:
    installation = quiet_installation
    before = total(installation)
    person = installation.user("dispatcher")
    by = person.token
    key_id = ""
    if fall == "key removed":
        by, key_id = api_key(installation, "invitations:write", "invitations:reveal")
    job_id = started(installation, [customer("fall") for _ in range(MANY)], by=by)
    until(installation, job_id, lambda one: one["done"] > 0)
    if fall == "key removed":
        answer = installation.delete(f"/api-keys/{key_id}", installation.key)
    elif fall == "deleted":
        answer = installation.delete(f"/users/{person.id}", installation.key)
    else:
        changes = {"blocked": {"blocked": True}, "demoted": {"role": "customer"}}
        answer = installation.patch(f"/users/{person.id}", changes.get(fall, {"role": "clerk"}), installation.key)
    assert answer.status in {200, 204}, answer
    then = total(installation)
    found = ended(installation, job_id)
    assert total(installation) == then
    assert 0 < found["created"] == then - before < MANY
    items = report(installation, job_id)
    assert len(items) == found["done"]
    if fall == "without the right to grant":
        assert (found["state"], found["done"]) == ("DONE", MANY)
        assert {item["code"] for item in items if item["status"] == "REFUSED"} == {"grant-not-allowed"}
    else:
        assert found["state"] == "FAILED"
        assert found["cause"] == ("not-allowed" if fall == "demoted" else "inviter-not-allowed")


def test_an_idempotency_key_makes_one_job_of_two_requests(installation: Installation) -> None:
    rows, key = [customer()], f"key-{next(numbers)}"
    assert foreseen(installation, rows, Idempotency_Key=key)
    first = send(installation, rows, Idempotency_Key=key)
    again = send(installation, rows, Idempotency_Key=key)
    assert (first.status, first.json) == (again.status, again.json) == (202, again.json)
    refused(send(installation, [customer()], Idempotency_Key=key), 422, "idempotency-key-reused")
    refused(send(installation, rows, Idempotency_Key="ü"), 400)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(installation, rows, Idempotency_Key=key + "-b"), range(8)))
    assert {answer.status for answer in answers} <= {202, 409}
    assert len({answer.json["jobId"] for answer in answers if answer.status == 202}) == 1
    ended(installation, first.json["jobId"])
    assert total(installation, email=rows[0]["inviteEmail"]) == 1


def test_without_mail_only_who_may_reveal_invites(quiet_installation: Installation) -> None:
    rows = [customer()]
    for dry in (True, False):
        refused(
            send(quiet_installation, rows, by=quiet_installation.user("sender").token, dry=dry), 503, "mail-disabled"
        )
    (item,) = done(quiet_installation, rows)
    delivery = quiet_installation.invitation(item["invitationId"])["delivery"]
    assert (delivery["state"], delivery["reason"]) == ("SUPPRESSED", "MAIL_OFF")
