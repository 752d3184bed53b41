"""Inviting many at once, as a backend does it: ceilings, reports, and processes that die in the middle.

How hard the last is tried can be raised: LATCHSTRING_KILLS=50 LATCHSTRING_ROWS=20000 LATCHSTRING_SEED=1.
"""

import contextlib
import http.client
import json
import os
import random
import time
from collections import Counter
from typing import Any

import pytest
from tests.support.clock import FULL, within
from tests.support.installation import Installation, new_address, refused

pytestmark = pytest.mark.alone  # several servers and workers that start again and again

KILLS = int(os.environ.get("LATCHSTRING_KILLS", "20" if FULL else "3"))
ROWS = int(os.environ.get("LATCHSTRING_ROWS", "5000" if FULL else "300"))
SEED = int(os.environ.get("LATCHSTRING_SEED", "1"))
PATIENCE_SECONDS = 90 + ROWS // 20 + KILLS * 20


def send(
    installation: Installation,
    rows: Any,
    *,
    key: str | None = None,
    query: str = "",
    media_type: str = "application/json",
) -> Any:
    raw = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    headers = {"Content-Type": media_type}
    return installation.call(
        "POST", f"/api/invitations/bulk{query}", raw=raw, headers=headers, token=key or installation.key
    )


def started(installation: Installation, rows: Any, **more: Any) -> str:
    answer = send(installation, rows, **more)
    assert answer.status == 202, answer
    assert answer.headers["Location"] == f"/api/jobs/{answer.json['jobId']}"
    return str(answer.json["jobId"])


def finished(installation: Installation, job_id: str, *, seconds: float = PATIENCE_SECONDS) -> Any:
    """The job once it has ended, however often a server dies meanwhile."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            job = installation.get(f"/jobs/{job_id}", installation.key).json
            if job["state"] not in {"QUEUED", "RUNNING"}:
                return job
        assert time.monotonic() < end, f"the job does not end: {installation.log[-3000:]}"
        time.sleep(0.1)


def report(installation: Installation, job_id: str) -> list[Any]:
    return list(installation.get(f"/jobs/{job_id}/report", installation.key).json["items"])


def test_a_spreadsheet_is_looked_at_and_then_invited(installation: Installation) -> None:
    one, two = new_address(), new_address()
    lines = ["InviteEmail;Role;FirstName", f"{one};customer;Ann", f"{one.upper()} ;customer;"]
    raw = "\r\n".join([*lines, "nobody;customer;", f"{two};king;", ""]).encode("utf-16")
    looked = send(installation, raw, query="?dryRun=true", media_type="text/csv")
    assert looked.status == 200
    expected = ["CREATE", "DUPLICATE", "REFUSED", "REFUSED"]
    assert [item["status"] for item in looked.json["items"]] == expected
    assert looked.json["total"] == 4
    assert installation.get(f"/invitations?email={one}", installation.key).json["total"] == 0
    job_id = started(installation, raw, media_type="text/csv")
    job = finished(installation, job_id)
    assert (job["state"], job["total"], job["done"]) == ("DONE", 4, 4)
    assert (job["created"], job["skipped"], job["refused"]) == (1, 1, 2)
    assert [item["status"] for item in report(installation, job_id)] == expected
    assert installation.mail(one).message["To"]
    table = installation.get(f"/jobs/{job_id}/report", installation.key, headers={"Accept": "text/csv"})
    assert table.body.startswith(b"\xef\xbb\xbfrow,status,code,detail,email,invitationId\r\n")


def test_each_row_is_held_to_the_ceiling_of_who_sends(installation: Installation) -> None:
    group, sender = installation.group(), installation.user("sender")
    rows = [
        {"inviteEmail": new_address(), "role": "customer"},
        {"inviteEmail": new_address(), "role": "team"},
        {"inviteEmail": new_address(), "role": "customer", "groups": [group]},
        {"inviteEmail": new_address(), "role": "admin"},
    ]
    looked = send(installation, rows, key=sender.token, query="?dryRun=true").json["items"]
    job_id = started(installation, rows, key=sender.token)
    job = finished(installation, job_id)
    assert (job["created"], job["refused"]) == (1, 3)
    for items in (looked, installation.get(f"/jobs/{job_id}/report", sender.token).json["items"]):
        assert [item.get("code") for item in items] == [None, *["grant-not-allowed"] * 3]
    refused(installation.get(f"/jobs/{job_id}", installation.user("sender").token), 404, "job-not-found")
    refused(send(installation, rows, key=installation.user("customer").token), 403, "not-allowed")


def test_mail_somebody_waits_for_overtakes_the_mass(installation: Installation) -> None:
    person = installation.user()
    job_id = started(installation, [{"inviteEmail": new_address("mass"), "role": "customer"} for _ in range(400)])
    installation.post("/auth/password/reset-request", {"email": person.email})
    begun = time.monotonic()
    installation.mail_about(person.email, "password")
    assert time.monotonic() - begun < within(8)
    finished(installation, job_id)


def test_two_jobs_over_the_same_people_invite_each_once(killable_installation: Installation) -> None:
    people = [new_address("twin") for _ in range(300)]
    rows = [{"inviteEmail": address, "role": "customer"} for address in people]
    jobs = [
        finished(killable_installation, one)
        for one in [
            started(killable_installation, rows),
            started(killable_installation, rows[::-1]),
            started(killable_installation, rows),
        ]
    ]
    assert sum(job["created"] for job in jobs) == 300
    assert [job["done"] for job in jobs] == [300] * 3
    for address in people[::50]:
        assert killable_installation.get(f"/invitations?email={address}", killable_installation.key).json["total"] == 1


def test_an_import_survives_every_death(killable_installation: Installation) -> None:
    """kill -9 of server and worker at random moments: one invitation and one mail for each row, and true counts."""
    dice = random.Random(SEED)  # noqa: S311  # a seed that can be told, no secret
    people = [new_address(f"row{number}") for number in range(ROWS)]
    rows: list[Any] = [{"inviteEmail": address, "role": "customer"} for address in people]
    rows += [{"inviteEmail": address.upper(), "role": "customer"} for address in people[:7]]
    rows += [{"inviteEmail": "broken@", "role": "customer"}] * 3
    job_id = started(killable_installation, rows)
    for _ in range(KILLS):
        time.sleep(dice.uniform(0.0, 0.5))
        killable_installation.crash()
        time.sleep(dice.uniform(0.0, 0.2))
        killable_installation.mend()
    job = finished(killable_installation, job_id, seconds=PATIENCE_SECONDS)
    assert (job["state"], job["done"], job["total"]) == ("DONE", ROWS + 10, ROWS + 10)
    assert (job["created"], job["skipped"], job["refused"]) == (ROWS, 7, 3)
    found = report(killable_installation, job_id)
    assert [item["row"] for item in found] == list(range(1, ROWS + 11))
    assert Counter(item["status"] for item in found) == {"CREATE": ROWS, "DUPLICATE": 7, "REFUSED": 3}
    ids = [item["invitationId"] for item in found if item["status"] == "CREATE"]
    assert len(set(ids)) == ROWS
    for address in people[:: max(1, ROWS // 100)]:
        assert killable_installation.get(f"/invitations?email={address}", killable_installation.key).json["total"] == 1
    end = time.monotonic() + PATIENCE_SECONDS
    while missing := [address for address in people if not killable_installation.smtp.to(address)]:
        assert time.monotonic() < end, f"{len(missing)} of {ROWS} got no mail"
        time.sleep(0.5)
    for address in people:
        mails = killable_installation.smtp.to(address)
        assert len({mail.message["Message-ID"] for mail in mails}) == 1, address


def test_a_cancelled_job_says_so(installation: Installation) -> None:
    rows = [{"inviteEmail": new_address("many"), "role": "customer"} for _ in range(3000)]
    job_id = started(installation, rows)
    answer = installation.delete(f"/jobs/{job_id}", installation.key)
    assert answer.status in {204, 409}  # it may have been quicker
    job = finished(installation, job_id)
    assert job["state"] == ("CANCELLED" if answer.status == 204 else "DONE")
    assert installation.get(f"/jobs/{job_id}/report", installation.key).json["total"] == job["done"]
    refused(installation.delete(f"/jobs/{job_id}", installation.key), 409, "job-finished")
