"""Files and lists from the command line, beside a running server that works on what they bring."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from tests.support.installation import PROFILE, Installation, new_address


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def of(installation: Installation, email: str) -> list[Any]:
    """The invitations of an address, newest first."""
    return list(installation.get(f"/invitations?email={email}", installation.key).json["items"])


def test_a_file_is_worked_on_by_the_running_worker_and_mailed(installation: Installation, tmp_path: Path) -> None:
    ada, bob = new_address("ada"), new_address("bob")
    file = write(tmp_path / "people.csv", f"inviteEmail;role;firstName\n{ada};team;Ada\n{bob};boss;Bob\n{ada};team;\n")
    looked = json.loads(installation.cli("import", file, "--dry-run", "--json", status=1).stdout)
    assert looked["counts"] == {"CREATE": 1, "DUPLICATE": 1, "MEMBER": 0, "REFUSED": 1}
    assert of(installation, ada) == []
    report = tmp_path / "report.csv"
    told = json.loads(installation.cli("import", file, "--yes", "--json", "--report", str(report), status=1).stdout)
    assert (told["state"], told["created"], told["skipped"], told["refused"]) == ("DONE", 1, 1, 1)
    job = installation.get(f"/jobs/{told['jobId']}", installation.key).json
    assert (job["state"], job["total"]) == ("DONE", 3)
    lines = list(csv.DictReader(io.StringIO(report.read_text(encoding="utf-8-sig"))))
    assert [line["status"] for line in lines] == ["CREATE", "REFUSED", "DUPLICATE"]
    (made,) = of(installation, ada)
    assert (made["invitedBy"]["type"], made["firstName"]) == ("OPERATOR", "Ada")
    assert installation.mail_of(made).recipients == (ada,)


def test_a_job_that_is_done_can_be_looked_at_again(installation: Installation, tmp_path: Path) -> None:
    file = write(tmp_path / "people.json", json.dumps([{"inviteEmail": new_address(), "role": "team"}]))
    first = json.loads(installation.cli("import", file, "--yes", "--here", "--json").stdout)
    again = json.loads(installation.cli("import", "--resume", first["jobId"], "--json").stdout)
    assert again == first


def test_a_list_is_applied_renewed_and_pruned(installation: Installation, tmp_path: Path) -> None:
    ada, bob, cleo = new_address("ada"), new_address("bob"), new_address("cleo")
    group = installation.group()
    entries = [
        {"inviteEmail": ada, "role": "team", "expiresIn": "PT1S"},
        {"inviteEmail": bob, "groups": [group]},
        {"inviteEmail": cleo, "role": "customer"},
    ]
    path = tmp_path / "list.yaml"

    def apply(*options: str, status: int = 0) -> Any:
        write(path, json.dumps({"list": f"list-{group}", "invitations": entries}))
        return json.loads(installation.cli("apply", str(path), "--json", *options, status=status).stdout)

    assert apply("--check", status=2)["counts"]["create"] == 3
    assert [one["code"] for one in apply("--yes")["results"]] == [None] * 3
    installation.wait_until_expired(of(installation, ada)[0]["id"])
    token = installation.mail_of(of(installation, bob)[0]).token
    assert installation.accept(token, **PROFILE).status == 201
    installation.cli("invite", cleo, "--role", "team")
    entries.pop()
    plan = apply("--check", status=2)
    counts = {name: count for name, count in plan["counts"].items() if count}
    assert counts == {"renew": 1, "unchanged": 1, "leftOver": 1}
    done = apply("--yes", "--prune")
    assert [(one["action"], one["inviteEmail"]) for one in done["results"]] == [("revoke", cleo), ("renew", ada)]
    assert of(installation, ada)[0]["generation"] == 2
    assert {one["role"]: one["state"] for one in of(installation, cleo)} == {"customer": "REVOKED", "team": "PENDING"}
