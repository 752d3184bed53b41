"""Imports and declarative lists on the command line, with a running server that processes their jobs."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from tests.support.installation import PROFILE, Installation, new_address


def write_file(path: Path, content: str) -> str:
    path.write_text(content, encoding="utf-8")
    return str(path)


def list_invitations(installation: Installation, email: str) -> list[Any]:
    """List the invitations of an address, newest first."""
    return list(installation.get(f"/invitations?email={email}", installation.key).json["items"])


def test_the_running_worker_processes_an_imported_file(installation: Installation, tmp_path: Path) -> None:
    ada, bob = new_address("ada"), new_address("bob")
    file = write_file(
        tmp_path / "people.csv", f"inviteEmail;role;firstName\n{ada};team;Ada\n{bob};boss;Bob\n{ada};team;\n"
    )
    plan = json.loads(installation.cli("import", file, "--dry-run", "--json", status=1).stdout)
    assert plan["counts"] == {"CREATE": 1, "DUPLICATE": 1, "MEMBER": 0, "REFUSED": 1}
    assert list_invitations(installation, ada) == []
    report = tmp_path / "report.csv"
    result = json.loads(installation.cli("import", file, "--yes", "--json", "--report", str(report), status=1).stdout)
    assert (result["state"], result["created"], result["skipped"], result["refused"]) == ("DONE", 1, 1, 1)
    job = installation.get(f"/jobs/{result['jobId']}", installation.key).json
    assert (job["state"], job["total"]) == ("DONE", 3)
    lines = list(csv.DictReader(io.StringIO(report.read_text(encoding="utf-8-sig"))))
    assert [line["status"] for line in lines] == ["CREATE", "REFUSED", "DUPLICATE"]
    (invitation,) = list_invitations(installation, ada)
    assert (invitation["invitedBy"]["type"], invitation["firstName"]) == ("OPERATOR", "Ada")
    assert installation.mail_of(invitation).recipients == (ada,)


def test_a_finished_job_can_be_shown_again(installation: Installation, tmp_path: Path) -> None:
    file = write_file(tmp_path / "people.json", json.dumps([{"inviteEmail": new_address(), "role": "team"}]))
    first = json.loads(installation.cli("import", file, "--yes", "--here", "--json").stdout)
    again = json.loads(installation.cli("import", "--resume", first["jobId"], "--json").stdout)
    assert again == first


def test_a_list_can_be_applied_renewed_and_pruned(installation: Installation, tmp_path: Path) -> None:
    ada, bob, cleo = new_address("ada"), new_address("bob"), new_address("cleo")
    group = installation.group()
    entries = [
        {"inviteEmail": ada, "role": "team", "expiresIn": "PT1S"},
        {"inviteEmail": bob, "groups": [group]},
        {"inviteEmail": cleo, "role": "customer"},
    ]
    path = tmp_path / "list.yaml"

    def apply(*options: str, status: int = 0) -> Any:
        write_file(path, json.dumps({"list": f"list-{group}", "invitations": entries}))
        return json.loads(installation.cli("apply", str(path), "--json", *options, status=status).stdout)

    assert apply("--check", status=2)["counts"]["create"] == 3
    assert [entry["code"] for entry in apply("--yes")["results"]] == [None] * 3
    installation.wait_until_expired(list_invitations(installation, ada)[0]["id"])
    token = installation.mail_of(list_invitations(installation, bob)[0]).token
    assert installation.accept(token, **PROFILE).status == 201
    installation.cli("invite", cleo, "--role", "team")
    entries.pop()
    plan = apply("--check", status=2)
    counts = {name: count for name, count in plan["counts"].items() if count}
    assert counts == {"renew": 1, "unchanged": 1, "leftOver": 1}
    result = apply("--yes", "--prune")
    assert [(entry["action"], entry["inviteEmail"]) for entry in result["results"]] == [
        ("revoke", cleo),
        ("renew", ada),
    ]
    assert list_invitations(installation, ada)[0]["generation"] == 2
    assert {invitation["role"]: invitation["state"] for invitation in list_invitations(installation, cleo)} == {
        "customer": "REVOKED",
        "team": "PENDING",
    }
