"""Jobs of many invitations: who sees them, their report, cancelling, and senders who fall in the middle."""

import csv
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.blackbox.conftest import opened
from tests.support.bulk_calls import api_key, customer, done, ended, foreseen, job, report, send, started, total, until
from tests.support.content_calls import NOBODY
from tests.support.installation import House, numbers, refused

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
def quiet_house(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """An installation that sends no mail, for large jobs."""
    with opened(tmp_path_factory.mktemp("house"), new_database(), transport="off", extra=ROLES) as running:
        yield running


def test_a_job_is_its_makers_and_its_readers(house: House) -> None:
    maker, other, reader = house.user("sender"), house.user("sender"), house.user("team")
    job_id = started(house, [customer(), {"inviteEmail": "no", "role": "customer"}], by=maker.token)
    ended(house, job_id)
    for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/report"):
        assert house.get(path, maker.token).status == house.get(path, reader.token).status == 200
        refused(house.get(path, other.token), 404, "job-not-found")
        refused(house.get(path, house.user("customer").token), 404, "job-not-found")
        refused(house.get(path), 401)
        refused(house.get(f"{path}?what=1", maker.token), 400)
    refused(house.get(f"/jobs/{NOBODY}", house.key), 404, "job-not-found")
    refused(house.get(f"/jobs/{NOBODY}/report", house.key), 404, "job-not-found")
    refused(house.delete(f"/jobs/{NOBODY}", house.key), 404, "job-not-found")
    refused(house.get("/jobs/no-id", house.key), 404)
    refused(house.delete(f"/jobs/{job_id}", other.token), 404, "job-not-found")
    refused(house.delete(f"/jobs/{job_id}"), 401)
    refused(house.delete(f"/jobs/{job_id}", maker.token), 409, "job-finished")
    assert job(house, job_id, maker.token)["state"] == "DONE"
    assert house.call("POST", f"/api/jobs/{job_id}", {}, token=house.key).status == 405
    assert house.get("/invitations/bulk", house.key).status in {404, 405}


def test_a_report_is_read_whole_in_pages_and_as_a_spreadsheet(house: House) -> None:
    evil = ["=1+1@people.test", "+1@", "-2@", "@SUM(A1)", "\t=1", "＝1", '"x",=1']
    rows = [customer() for _ in range(40)] + [{"inviteEmail": one, "role": "customer"} for one in evil]
    job_id = started(house, rows)
    ended(house, job_id)
    whole = report(house, job_id)
    assert len(whole) == 47
    found, cursor = list[Any](), ""
    while True:
        page = house.get(f"/jobs/{job_id}/report?limit=20{cursor}", house.key).json
        assert page["total"] == 47
        found += page["items"]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert found == whole
    answer = house.get(f"/jobs/{job_id}/report", house.key, headers={"Accept": CSV})
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    lines = list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig"), newline="")))
    assert len(lines) == 48
    assert [line[:2] for line in lines[1:]] == [[str(item["row"]), item["status"]] for item in whole]
    for line in lines[1:]:
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝")) for cell in line), line
    for query in ("limit=0", "limit=201", "cursor=nonsense", "status=MADE"):
        refused(house.get(f"/jobs/{job_id}/report?{query}", house.key), 400)


def test_cancelling_in_the_middle_keeps_what_is_done_and_does_nothing_after(quiet_house: House) -> None:
    house = quiet_house
    before = total(house)
    dispatcher = house.user("dispatcher")
    name = f"stop{next(numbers)}"
    job_id = started(house, [customer(name) for _ in range(MANY)], by=dispatcher.token)
    until(house, job_id, lambda one: one["done"] > 0)
    answer = house.delete(f"/jobs/{job_id}", dispatcher.token)
    assert answer.status == 204, answer
    assert not answer.body
    found = job(house, job_id)
    assert found["state"] == "CANCELLED"
    assert 0 < found["done"] < MANY
    assert len(report(house, job_id)) == found["done"] == found["created"]
    assert total(house) - before == found["created"]
    refused(house.delete(f"/jobs/{job_id}", dispatcher.token), 409, "job-finished")
    done(house, [customer()])  # a worker that was on the cancelled job is free by now
    assert job(house, job_id) == found
    assert total(house) - before == found["created"] + 1


@pytest.mark.parametrize("fall", ["blocked", "demoted", "without the right to grant", "deleted", "key removed"])
def test_who_falls_in_the_middle_of_a_job_invites_nobody_after(quiet_house: House, fall: str) -> None:
    house = quiet_house
    before = total(house)
    person = house.user("dispatcher")
    by = person.token
    key_id = ""
    if fall == "key removed":
        by, key_id = api_key(house, "invitations:write", "invitations:reveal")
    job_id = started(house, [customer("fall") for _ in range(MANY)], by=by)
    until(house, job_id, lambda one: one["done"] > 0)
    if fall == "key removed":
        answer = house.delete(f"/api-keys/{key_id}", house.key)
    elif fall == "deleted":
        answer = house.delete(f"/users/{person.id}", house.key)
    else:
        changes = {"blocked": {"blocked": True}, "demoted": {"role": "customer"}}
        answer = house.patch(f"/users/{person.id}", changes.get(fall, {"role": "clerk"}), house.key)
    assert answer.status in {200, 204}, answer
    then = total(house)
    found = ended(house, job_id)
    assert total(house) == then
    assert 0 < found["created"] == then - before < MANY
    items = report(house, job_id)
    assert len(items) == found["done"]
    if fall == "without the right to grant":
        assert (found["state"], found["done"]) == ("DONE", MANY)
        assert {item["code"] for item in items if item["status"] == "REFUSED"} == {"grant-not-allowed"}
    else:
        assert found["state"] == "FAILED"
        assert found["cause"] == ("not-allowed" if fall == "demoted" else "inviter-not-allowed")


def test_an_idempotency_key_makes_one_job_of_two_requests(house: House) -> None:
    rows, key = [customer()], f"key-{next(numbers)}"
    assert foreseen(house, rows, Idempotency_Key=key)
    first = send(house, rows, Idempotency_Key=key)
    again = send(house, rows, Idempotency_Key=key)
    assert (first.status, first.json) == (again.status, again.json) == (202, again.json)
    refused(send(house, [customer()], Idempotency_Key=key), 422, "idempotency-key-reused")
    refused(send(house, rows, Idempotency_Key="ü"), 400)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(house, rows, Idempotency_Key=key + "-b"), range(8)))
    assert {answer.status for answer in answers} <= {202, 409}
    assert len({answer.json["jobId"] for answer in answers if answer.status == 202}) == 1
    ended(house, first.json["jobId"])
    assert total(house, email=rows[0]["inviteEmail"]) == 1


def test_without_mail_only_who_may_reveal_invites(quiet_house: House) -> None:
    rows = [customer()]
    for dry in (True, False):
        refused(send(quiet_house, rows, by=quiet_house.user("sender").token, dry=dry), 503, "mail-disabled")
    (item,) = done(quiet_house, rows)
    delivery = quiet_house.invitation(item["invitationId"])["delivery"]
    assert (delivery["state"], delivery["reason"]) == ("SUPPRESSED", "MAIL_OFF")
