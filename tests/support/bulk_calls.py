"""What the tests of many invitations at once share: sending rows, following their job, reading its report."""

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.support.installation import Answer, House, new_address, numbers


def send(
    house: House, rows: Any, *, by: str | None = None, dry: bool = False, media_type: str | None = None, **headers: str
) -> Answer:
    raw = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    sent = {"Content-Type": media_type or ("text/csv" if isinstance(rows, bytes) else "application/json")}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    query = "?dryRun=true" if dry else ""
    return house.call("POST", f"/api/invitations/bulk{query}", raw=raw, headers=sent, token=by or house.key)


def foreseen(house: House, rows: Any, *, by: str | None = None, **more: Any) -> list[Any]:
    answer = send(house, rows, by=by, dry=True, **more)
    assert answer.status == 200, answer
    assert answer.json["total"] == len(answer.json["items"])
    assert answer.json["nextCursor"] is None
    return list(answer.json["items"])


def started(house: House, rows: Any, *, by: str | None = None, **more: Any) -> str:
    answer = send(house, rows, by=by, **more)
    assert answer.status == 202, answer
    assert answer.json.keys() == {"jobId"}
    return str(answer.json["jobId"])


def job(house: House, job_id: str, by: str | None = None) -> Any:
    got = house.get(f"/jobs/{job_id}", by or house.key)
    assert got.status == 200, got
    return got.json


def until(house: House, job_id: str, good: Callable[[Any], bool], *, seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not good(found := job(house, job_id)):
        assert time.monotonic() < end, f"{found}: {house.log[-2000:]}"
        time.sleep(0.01)
    return found


def ended(house: House, job_id: str) -> Any:
    found = until(house, job_id, lambda one: one["state"] not in {"QUEUED", "RUNNING"})
    assert found["done"] == found["created"] + found["skipped"] + found["refused"]
    assert found["finishedAt"] is not None
    return found


def report(house: House, job_id: str, by: str | None = None) -> list[Any]:
    return list(house.get(f"/jobs/{job_id}/report", by or house.key).json["items"])


def verdicts(items: list[Any]) -> list[tuple[str, str | None]]:
    assert [item["row"] for item in items] == list(range(1, len(items) + 1))
    return [(item["status"], item.get("code")) for item in items]


def done(house: House, rows: Any, *, by: str | None = None, **more: Any) -> list[Any]:
    """The report of a job over these rows."""
    job_id = started(house, rows, by=by, **more)
    found = ended(house, job_id)
    items = report(house, job_id)
    assert found["state"] == "DONE"
    assert found["done"] == found["total"] == len(items)
    counts = Counter(item["status"] for item in items)
    assert (found["created"], found["refused"]) == (counts["CREATE"], counts["REFUSED"])
    assert found["skipped"] == counts["DUPLICATE"] + counts["MEMBER"]
    return items


def total(house: House, **filters: str) -> int:
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    return int(house.get(f"/invitations?limit=1&{query}", house.key).json["total"])


def customer(name: str = "guest", **fields: Any) -> dict[str, Any]:
    return {"inviteEmail": new_address(name), "role": "customer"} | fields


def api_key(house: House, *scopes: str) -> tuple[str, str]:
    """A key that may grant customers, and its id."""
    body = {"name": f"key {next(numbers)}", "scopes": list(scopes), "mayGrant": ["customer"]}
    made = house.post("/api-keys", body, house.key)
    assert made.status == 201, made.json
    return made.json["key"], made.json["id"]
