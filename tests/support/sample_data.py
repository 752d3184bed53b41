"""Sample data for browser tests: administrators, users, groups, objects, and invitations in every state."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

from tests.support.installation import PASSWORD, Installation

from latchstring.domain.ids import new_id

__all__ = ["BOUNCED", "PASSWORD", "PRIVATE_PAGE", "SUPER_ADMIN", "add_admin", "add_sample_data"]
SUPER_ADMIN = "mira@panel.example"
ARTICLE = "tide-tables-for-beginners"
PRIVATE_PAGE = f"/admin/content/articles/{ARTICLE}/private"  # no page links to it
BOUNCED = "nobody@brightwater.example"
DEFERRED = "later@brightwater.example"


def add_admin(installation: Installation, email: str, role: str) -> None:
    arguments = ("--email", email, "--name", "Mira Okafor", "--role", role)
    installation.cli("admin", "create", *arguments, "--password-stdin", text=PASSWORD)


def add_sample_data(installation: Installation) -> None:
    """Add data for every page of the panel."""
    add_admin(installation, SUPER_ADMIN, "super-admin")
    add_admin(installation, "vera@panel.example", "viewer")
    group = installation.group(name="Spring cohort")
    owner = installation.user("admin", firstName="Mira", lastName="Okafor")
    answer = installation.post(
        "/content/articles",
        {"key": ARTICLE, "title": "Tide tables for beginners", "ownerId": owner.id},
        installation.key,
    )
    assert answer.status == 201, answer
    installation.smtp.script(BOUNCED, "rcpt", "550 5.1.1 No such user here")
    installation.smtp.script(DEFERRED, "rcpt", *["450 4.2.1 Come back later"] * 50)
    installation.invite(
        "jonas.keller@brightwater.example", owner.token, role="team", groups=[group], message="Come on Tuesday."
    )
    installation.invite(
        "reader@brightwater.example",
        installation.key,
        content=[{"contentType": "articles", "key": ARTICLE, "role": "VIEWER"}],
    )
    revoked = installation.invite("gone@brightwater.example", installation.key, role="customer")
    installation.delete(f"/invitations/{revoked['id']}", installation.key)
    installation.invite_with_token(role="team", groups=[group])
    _, token = installation.invite_with_token(role="customer")
    assert (
        installation.accept(token, firstName="Ada", lastName="Löwe", password=PASSWORD, acceptTerms=True).status == 201
    )
    insert_template(
        installation, "new-customer", "New customer", role="customer", groups=[group], lifetimeSeconds=1_209_600
    )
    for address, state in ((BOUNCED, "BOUNCED"), (DEFERRED, "DEFERRED")):
        installation.delivery(
            installation.invite(address, installation.key, role="customer", groups=[group])["id"], state
        )
    insert_imports(installation, SUPER_ADMIN)


def insert_template(installation: Installation, key: str, name: str, **terms: object) -> None:
    """Insert an invitation template as the panel stores it. There is no API to create one."""
    now = datetime.now(UTC)
    values = (str(new_id(now)), key, name, json.dumps(terms), int(now.timestamp() * 1000))
    with closing(sqlite3.connect(installation.directory / "latchstring.db")) as db, db:
        db.execute("INSERT INTO invitation_templates VALUES (?, ?, ?, ?, ?)", values)


def insert_imports(installation: Installation, email: str) -> None:
    """Insert imports of an administrator: a draft, and one that another worker has leased."""
    now = datetime.now(UTC)
    lease_end = int(now.timestamp() * 1000) + 3_600_000
    options = json.dumps({"columns": ["inviteEmail", "role"], "header": ["E-mail", "Role"], "delimiter": ","})
    rows = json.dumps([["ada@brightwater.example", "team"], ["nobody", "team"]]).encode()
    with closing(sqlite3.connect(installation.directory / "latchstring.db")) as db, db:
        (admin_id,) = db.execute("SELECT id FROM admins WHERE email = ?", (email,)).fetchone()
        for state, done, due_at in (("DRAFT", 0, None), ("RUNNING", 1, lease_end)):
            job_id = str(new_id(now))
            job = (job_id, "invite", state, "ADMIN", admin_id, f"{state.lower()}.csv", "text/csv", options, 2, done)
            db.execute(
                "INSERT INTO jobs (id, kind, state, actor_type, actor_id, name, media_type, options, total, done,"
                " created, skipped, refused, due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0, 1, ?)",
                (*job, due_at),
            )
            db.execute("INSERT INTO job_parts VALUES (?, ?, ?)", (job_id, 1, rows))
            db.executemany(
                "INSERT INTO job_rows (job_id, row, status, code, detail, email) VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (job_id, 1, "CREATE", None, None, "ada@brightwater.example"),
                    (job_id, 2, "REFUSED", "invalid-email", "inviteEmail: Enter a full address.", "nobody"),
                ],
            )
