"""A furnished installation for the browser: administrators, people, groups, objects, and invitations in every state."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

from tests.blackbox.house import PASSWORD, House

from latchstring.domain.values import new_id

__all__ = ["BOUNCED", "PASSWORD", "furnish"]
BOUNCED = "nobody@brightwater.example"
DEFERRED = "later@brightwater.example"


def furnish(house: House) -> list[str]:
    """Something to see on every screen. Returns the addresses that only an action leads to."""
    for email, role in (("mira@panel.example", "super-admin"), ("vera@panel.example", "viewer")):
        house.cli("admin", "create", "--email", email, "--role", role, "--password-stdin", text=PASSWORD)
    group = house.group(name="Spring cohort")
    owner = house.user("admin", firstName="Mira", lastName="Okafor")
    made = house.post("/content/articles", {"title": "Tide tables for beginners", "ownerId": owner.id}, house.key)
    assert made.status == 201, made
    key = made.json["key"]
    house.smtp.script(BOUNCED, "rcpt", "550 5.1.1 No such user here")
    house.smtp.script(DEFERRED, "rcpt", *["450 4.2.1 Come back later"] * 50)
    house.invite(
        "jonas.keller@brightwater.example", owner.token, role="team", groups=[group], message="Come on Tuesday."
    )
    house.invite(
        "reader@brightwater.example", house.key, content=[{"contentType": "articles", "key": key, "role": "VIEWER"}]
    )
    revoked = house.invite("gone@brightwater.example", house.key, role="customer")
    house.delete(f"/invitations/{revoked['id']}", house.key)
    house.invited(role="team", groups=[group])
    _, token = house.invited(role="customer")
    assert house.accept(token, firstName="Ada", lastName="Löwe", password=PASSWORD, acceptTerms=True).status == 201
    keep_template(house, "new-customer", "New customer", role="customer", groups=[group], lifetimeSeconds=1_209_600)
    for address, state in ((BOUNCED, "BOUNCED"), (DEFERRED, "DEFERRED")):
        house.delivery(house.invite(address, house.key, role="customer", groups=[group])["id"], state)
    return [f"/admin/content/articles/{key}/private"]


def keep_template(house: House, key: str, name: str, **terms: object) -> None:
    """A template of invitations, as the panel keeps one. Only its pages make them."""
    at = datetime.now(UTC)
    values = (str(new_id(at)), key, name, json.dumps(terms), int(at.timestamp() * 1000))
    with closing(sqlite3.connect(house.directory / "latchstring.db")) as db, db:
        db.execute("INSERT INTO invitation_templates VALUES (?, ?, ?, ?, ?)", values)
