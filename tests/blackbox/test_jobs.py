"""Bulk jobs of a backend: permissions, reports, and processes that are killed meanwhile.

LATCHSTRING_KILLS=50 LATCHSTRING_ROWS=20000 LATCHSTRING_SEED=1 set how often, over how many rows, and at which moments.
"""

import contextlib
import http.client
import os
import random
import time
from collections import Counter
from typing import Any

import pytest
from tests.support.bulk_calls import get_report, post_rows, start_job
from tests.support.clock import FULL, time_limit
from tests.support.installation import Installation, check_problem, new_address

pytestmark = pytest.mark.alone  # several servers and workers are restarted many times

KILLS = int(os.environ.get("LATCHSTRING_KILLS", "20" if FULL else "3"))
ROWS = int(os.environ.get("LATCHSTRING_ROWS", "5000" if FULL else "300"))
SEED = int(os.environ.get("LATCHSTRING_SEED", "1"))
PATIENCE_SECONDS = 90 + ROWS // 20 + KILLS * 20


def wait_for_end(installation: Installation, job_id: str, *, seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until the job has ended, even if servers die meanwhile, and return it."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            job = installation.get(f"/jobs/{job_id}", installation.key).json
            if job["state"] not in {"QUEUED", "RUNNING"}:
                return job
        assert time.monotonic() < end, f"the job does not end: {installation.log[-3000:]}"
        time.sleep(0.1)


def test_a_spreadsheet_can_be_checked_and_then_imported(installation: Installation) -> None:
    first, second = new_address(), new_address()
    lines = ["InviteEmail;Role;FirstName", f"{first};customer;Ann", f"{first.upper()} ;customer;"]
    raw = "\r\n".join([*lines, "nobody;customer;", f"{second};king;", ""]).encode("utf-16")
    dry_run_answer = post_rows(installation, raw, dry_run=True, media_type="text/csv")
    assert dry_run_answer.status == 200
    expected = ["CREATE", "DUPLICATE", "REFUSED", "REFUSED"]
    assert [item["status"] for item in dry_run_answer.json["items"]] == expected
    assert dry_run_answer.json["total"] == 4
    assert installation.get(f"/invitations?email={first}", installation.key).json["total"] == 0
    job_id = start_job(installation, raw, media_type="text/csv")
    job = wait_for_end(installation, job_id)
    assert (job["state"], job["total"], job["done"]) == ("DONE", 4, 4)
    assert (job["created"], job["skipped"], job["refused"]) == (1, 1, 2)
    assert [item["status"] for item in get_report(installation, job_id)] == expected
    assert installation.mail(first).message["To"]
    table = installation.get(f"/jobs/{job_id}/report", installation.key, headers={"Accept": "text/csv"})
    assert table.body.startswith(b"\xef\xbb\xbfrow,status,code,detail,email,invitationId\r\n")


def test_each_row_is_limited_by_the_senders_permissions(installation: Installation) -> None:
    group, sender = installation.group(), installation.user("sender")
    rows = [
        {"inviteEmail": new_address(), "role": "customer"},
        {"inviteEmail": new_address(), "role": "team"},
        {"inviteEmail": new_address(), "role": "customer", "groups": [group]},
        {"inviteEmail": new_address(), "role": "admin"},
    ]
    dry_run_items = post_rows(installation, rows, by=sender.token, dry_run=True).json["items"]
    job_id = start_job(installation, rows, by=sender.token)
    job = wait_for_end(installation, job_id)
    assert (job["created"], job["refused"]) == (1, 3)
    for items in (dry_run_items, installation.get(f"/jobs/{job_id}/report", sender.token).json["items"]):
        assert [item.get("code") for item in items] == [None, *["grant-not-allowed"] * 3]
    check_problem(installation.get(f"/jobs/{job_id}", installation.user("sender").token), 404, "job-not-found")
    check_problem(post_rows(installation, rows, by=installation.user("customer").token), 403, "not-allowed")


def test_urgent_mail_overtakes_bulk_mail(installation: Installation) -> None:
    user = installation.user()
    job_id = start_job(installation, [{"inviteEmail": new_address("mass"), "role": "customer"} for _ in range(400)])
    installation.post("/auth/password/reset-request", {"email": user.email})
    started_at = time.monotonic()
    installation.mail_about(user.email, "password")
    assert time.monotonic() - started_at < time_limit(8)
    wait_for_end(installation, job_id)


def test_concurrent_jobs_over_the_same_addresses_invite_each_once(killable_installation: Installation) -> None:
    addresses = [new_address("same") for _ in range(300)]
    rows = [{"inviteEmail": address, "role": "customer"} for address in addresses]
    jobs = [
        wait_for_end(killable_installation, job_id)
        for job_id in [
            start_job(killable_installation, rows),
            start_job(killable_installation, rows[::-1]),
            start_job(killable_installation, rows),
        ]
    ]
    assert sum(job["created"] for job in jobs) == 300
    assert [job["done"] for job in jobs] == [300] * 3
    for address in addresses[::50]:
        assert killable_installation.get(f"/invitations?email={address}", killable_installation.key).json["total"] == 1


def test_an_import_survives_crashes(killable_installation: Installation) -> None:
    """SIGKILL of server and worker at random moments: one invitation and mail for each row, and correct counts."""
    random_ = random.Random(SEED)  # noqa: S311  # a reproducible seed, not a secret
    addresses = [new_address(f"row{number}") for number in range(ROWS)]
    rows: list[Any] = [{"inviteEmail": address, "role": "customer"} for address in addresses]
    rows += [{"inviteEmail": address.upper(), "role": "customer"} for address in addresses[:7]]
    rows += [{"inviteEmail": "broken@", "role": "customer"}] * 3
    job_id = start_job(killable_installation, rows)
    for _ in range(KILLS):
        time.sleep(random_.uniform(0.0, 0.5))
        killable_installation.crash()
        time.sleep(random_.uniform(0.0, 0.2))
        killable_installation.restart_crashed()
    job = wait_for_end(killable_installation, job_id, seconds=PATIENCE_SECONDS)
    assert (job["state"], job["done"], job["total"]) == ("DONE", ROWS + 10, ROWS + 10)
    assert (job["created"], job["skipped"], job["refused"]) == (ROWS, 7, 3)
    items = get_report(killable_installation, job_id)
    assert [item["row"] for item in items] == list(range(1, ROWS + 11))
    assert Counter(item["status"] for item in items) == {"CREATE": ROWS, "DUPLICATE": 7, "REFUSED": 3}
    ids = [item["invitationId"] for item in items if item["status"] == "CREATE"]
    assert len(set(ids)) == ROWS
    for address in addresses[:: max(1, ROWS // 100)]:
        assert killable_installation.get(f"/invitations?email={address}", killable_installation.key).json["total"] == 1
    end = time.monotonic() + PATIENCE_SECONDS
    while missing := [address for address in addresses if not killable_installation.smtp.to(address)]:
        assert time.monotonic() < end, f"{len(missing)} of {ROWS} got no mail"
        time.sleep(0.5)
    for address in addresses:
        mails = killable_installation.smtp.to(address)
        assert len({mail.message["Message-ID"] for mail in mails}) == 1, address


def test_a_job_can_be_cancelled(installation: Installation) -> None:
    rows = [{"inviteEmail": new_address("many"), "role": "customer"} for _ in range(3000)]
    job_id = start_job(installation, rows)
    answer = installation.delete(f"/jobs/{job_id}", installation.key)
    assert answer.status in {204, 409}  # 409 if the job ended first
    job = wait_for_end(installation, job_id)
    assert job["state"] == ("CANCELLED" if answer.status == 204 else "DONE")
    assert installation.get(f"/jobs/{job_id}/report", installation.key).json["total"] == job["done"]
    check_problem(installation.delete(f"/jobs/{job_id}", installation.key), 409, "job-finished")
