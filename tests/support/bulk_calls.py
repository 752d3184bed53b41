"""Calls of the bulk endpoint: post rows, wait for their job, read its report."""

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.support.installation import Answer, Installation, new_address, numbers


def post_rows(
    installation: Installation,
    rows: Any,
    *,
    by: str | None = None,
    dry_run: bool = False,
    media_type: str | None = None,
    **headers: str,
) -> Answer:
    """Post rows as JSON, or as CSV if they are bytes."""
    raw = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    all_headers = {"Content-Type": media_type or ("text/csv" if isinstance(rows, bytes) else "application/json")}
    all_headers |= {name.replace("_", "-"): value for name, value in headers.items()}
    query = "?dryRun=true" if dry_run else ""
    return installation.call(
        "POST", f"/api/invitations/bulk{query}", raw=raw, headers=all_headers, token=by or installation.key
    )


def dry_run(installation: Installation, rows: Any, *, by: str | None = None, **options: Any) -> list[Any]:
    """Return the row results of a dry run."""
    answer = post_rows(installation, rows, by=by, dry_run=True, **options)
    assert answer.status == 200, answer
    assert answer.json["total"] == len(answer.json["items"])
    assert answer.json["nextCursor"] is None
    return list(answer.json["items"])


def start_job(installation: Installation, rows: Any, *, by: str | None = None, **options: Any) -> str:
    """Start a job over the rows and return its id."""
    answer = post_rows(installation, rows, by=by, **options)
    assert answer.status == 202, answer
    assert answer.json.keys() == {"jobId"}
    assert answer.headers["Location"] == f"/api/jobs/{answer.json['jobId']}"
    return str(answer.json["jobId"])


def get_job(installation: Installation, job_id: str, by: str | None = None) -> Any:
    answer = installation.get(f"/jobs/{job_id}", by or installation.key)
    assert answer.status == 200, answer
    return answer.json


def wait_for_job(
    installation: Installation, job_id: str, condition: Callable[[Any], bool], *, seconds: float = 120
) -> Any:
    """Return the job as soon as it meets the condition."""
    end = time.monotonic() + seconds
    while not condition(job := get_job(installation, job_id)):
        assert time.monotonic() < end, f"{job}: {installation.log[-2000:]}"
        time.sleep(0.01)
    return job


def wait_for_end(installation: Installation, job_id: str) -> Any:
    """Return the job as soon as it has ended, and check its counts."""
    job = wait_for_job(installation, job_id, lambda job: job["state"] not in {"QUEUED", "RUNNING"})
    assert job["done"] == job["created"] + job["skipped"] + job["refused"]
    assert job["finishedAt"] is not None
    return job


def get_report(installation: Installation, job_id: str, by: str | None = None) -> list[Any]:
    return list(installation.get(f"/jobs/{job_id}/report", by or installation.key).json["items"])


def codes_of(items: list[Any]) -> list[tuple[str, str | None]]:
    """Return status and code of each row result, and check that no row is missing."""
    assert [item["row"] for item in items] == list(range(1, len(items) + 1))
    return [(item["status"], item.get("code")) for item in items]


def run_job(installation: Installation, rows: Any, *, by: str | None = None, **options: Any) -> list[Any]:
    """Run a job over the rows and return its report, and check the counts of the job."""
    job_id = start_job(installation, rows, by=by, **options)
    job = wait_for_end(installation, job_id)
    items = get_report(installation, job_id)
    assert job["state"] == "DONE"
    assert job["done"] == job["total"] == len(items)
    counts = Counter(item["status"] for item in items)
    assert (job["created"], job["refused"]) == (counts["CREATE"], counts["REFUSED"])
    assert job["skipped"] == counts["DUPLICATE"] + counts["MEMBER"]
    return items


def count_invitations(installation: Installation, **filters: str) -> int:
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    return int(installation.get(f"/invitations?limit=1&{query}", installation.key).json["total"])


def customer_row(name: str = "guest", **fields: Any) -> dict[str, Any]:
    """Return a row that invites a new address as a customer."""
    return {"inviteEmail": new_address(name), "role": "customer"} | fields


def create_api_key(installation: Installation, *scopes: str) -> tuple[str, str]:
    """Create an API key that may grant the role customer; return the key and its id."""
    body = {"name": f"key {next(numbers)}", "scopes": list(scopes), "mayGrant": ["customer"]}
    answer = installation.post("/api-keys", body, installation.key)
    assert answer.status == 201, answer.json
    return answer.json["key"], answer.json["id"]
