"""What the tests of many invitations at once share: sending rows, following their job, reading its report."""

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.support.installation import Answer, Installation, new_address, numbers


def send(
    installation: Installation,
    rows: Any,
    *,
    by: str | None = None,
    dry: bool = False,
    media_type: str | None = None,
    **headers: str,
) -> Answer:
    raw = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    sent = {"Content-Type": media_type or ("text/csv" if isinstance(rows, bytes) else "application/json")}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    query = "?dryRun=true" if dry else ""
    return installation.call(
        "POST", f"/api/invitations/bulk{query}", raw=raw, headers=sent, token=by or installation.key
    )


def foreseen(installation: Installation, rows: Any, *, by: str | None = None, **more: Any) -> list[Any]:
    answer = send(installation, rows, by=by, dry=True, **more)
    assert answer.status == 200, answer
    assert answer.json["total"] == len(answer.json["items"])
    assert answer.json["nextCursor"] is None
    return list(answer.json["items"])


def started(installation: Installation, rows: Any, *, by: str | None = None, **more: Any) -> str:
    answer = send(installation, rows, by=by, **more)
    assert answer.status == 202, answer
    assert answer.json.keys() == {"jobId"}
    return str(answer.json["jobId"])


def job(installation: Installation, job_id: str, by: str | None = None) -> Any:
    got = installation.get(f"/jobs/{job_id}", by or installation.key)
    assert got.status == 200, got
    return got.json


def until(installation: Installation, job_id: str, good: Callable[[Any], bool], *, seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while not good(found := job(installation, job_id)):
        assert time.monotonic() < end, f"{found}: {installation.log[-2000:]}"
        time.sleep(0.01)
    return found


def ended(installation: Installation, job_id: str) -> Any:
    found = until(installation, job_id, lambda one: one["state"] not in {"QUEUED", "RUNNING"})
    assert found["done"] == found["created"] + found["skipped"] + found["refused"]
    assert found["finishedAt"] is not None
    return found


def report(installation: Installation, job_id: str, by: str | None = None) -> list[Any]:
    return list(installation.get(f"/jobs/{job_id}/report", by or installation.key).json["items"])


def verdicts(items: list[Any]) -> list[tuple[str, str | None]]:
    assert [item["row"] for item in items] == list(range(1, len(items) + 1))
    return [(item["status"], item.get("code")) for item in items]


def done(installation: Installation, rows: Any, *, by: str | None = None, **more: Any) -> list[Any]:
    """The report of a job over these rows."""
    job_id = started(installation, rows, by=by, **more)
    found = ended(installation, job_id)
    items = report(installation, job_id)
    assert found["state"] == "DONE"
    assert found["done"] == found["total"] == len(items)
    counts = Counter(item["status"] for item in items)
    assert (found["created"], found["refused"]) == (counts["CREATE"], counts["REFUSED"])
    assert found["skipped"] == counts["DUPLICATE"] + counts["MEMBER"]
    return items


def total(installation: Installation, **filters: str) -> int:
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    return int(installation.get(f"/invitations?limit=1&{query}", installation.key).json["total"])


def customer(name: str = "guest", **fields: Any) -> dict[str, Any]:
    return {"inviteEmail": new_address(name), "role": "customer"} | fields


def api_key(installation: Installation, *scopes: str) -> tuple[str, str]:
    """A key that may grant customers, and its id."""
    body = {"name": f"key {next(numbers)}", "scopes": list(scopes), "mayGrant": ["customer"]}
    made = installation.post("/api-keys", body, installation.key)
    assert made.status == 201, made.json
    return made.json["key"], made.json["id"]
