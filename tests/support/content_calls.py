"""What the tests of content share: objects, access to them, and invitations to them, as a client sees them."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

from tests.support.installation import Answer, Installation, Person, numbers

T = TypeVar("T")
NOBODY = "01890000-0000-7000-8000-000000000000"
ACCEPT = "/content/articles/invitations/accept"
ROLES = """
[roles.author]
name = "Author"
permissions = ["content:create", "app:plan"]

[roles.curator]
name = "Curator"
permissions = ["content:write", "app:plan"]

[roles.host]
name = "Host"
permissions = ["content:create", "invitations:write", "app:plan"]
may-grant = ["customer"]
"""
OPTIONS: dict[str, Any] = {
    "extra": ROLES,
    "replace": 'types = { articles = { name = "Articles", singular = "article" } }',
    "by": 'types = { articles = { name = "Articles", singular = "article" }, recipes = { name = "Recipes" } }',
}
CLOSED = OPTIONS | {"extra": ROLES + "\n[content.invitations]\nallow-unregistered-users = false\n"}


def instant(text: str) -> datetime:
    """An instant of an answer. As text two of them do not compare: a whole second comes without a fraction."""
    return datetime.fromisoformat(text)


def article(installation: Installation, owner: Person, *, kind: str = "articles", **fields: Any) -> str:
    """A new PRIVATE object of this owner; its key."""
    body = {"title": f"Article {next(numbers)}", "ownerId": owner.id} | fields
    made = installation.post(f"/content/{kind}", body, installation.key)
    assert made.status == 201, made
    return str(made.json["key"])


def shown(installation: Installation, key: str, by: Person) -> Any:
    got = installation.get(f"/content/articles/{key}", by.token)
    assert got.status == 200, got
    return got.json


def visibility(installation: Installation, key: str, by: Person) -> str:
    return str(shown(installation, key, by)["access"]["visibility"])


def access(installation: Installation, key: str, by: Person | None = None) -> Any:
    """The access details, as this person or the installation's own key sees them."""
    got = installation.get(f"/content/articles/{key}/access", by.token if by else installation.key)
    assert got.status == 200, got
    return got.json


def users_of(details: Any) -> dict[str, str]:
    return {item["user"]["id"]: item["role"] for item in details["users"]}


def put_access(installation: Installation, key: str, by: Person, kind: str, **maps: Any) -> Answer:
    return installation.put(f"/content/articles/{key}/access", {"accessType": kind, **maps}, by.token)


def share(installation: Installation, key: str, by: Person, *users: tuple[Person, str], **groups: str) -> None:
    """Let exactly these have access."""
    maps = {"sharedUsers": {person.id: role for person, role in users}, "sharedGroups": groups}
    got = put_access(installation, key, by, "SHARED", **maps)
    assert got.status == 200, got


def join(installation: Installation, group: str, *people: Person) -> None:
    for person in people:
        assert installation.post(f"/groups/{group}/members/{person.id}", token=installation.key).status == 204


def ask(installation: Installation, key: str, by: Person, email: str, role: str = "VIEWER", **more: Any) -> Answer:
    """Invite somebody to an article."""
    return installation.post(f"/content/articles/invitations/{key}", {"email": email, "role": role, **more}, by.token)


def pending(answer: Answer, email: str) -> Any:
    """The newest invitation of an address in access details."""
    assert answer.status == 200, answer
    return [one for one in answer.json["invitations"] if one["email"] == email][-1]


def asked(
    installation: Installation, key: str, by: Person, email: str, role: str = "VIEWER", **more: Any
) -> tuple[str, str]:
    """A new invitation to an article: its id, and the token of its mail."""
    before = {one["id"] for one in access(installation, key)["invitations"]}
    got = ask(installation, key, by, email, role, **more)
    assert got.status == 200, got
    (made,) = [one["id"] for one in got.json["invitations"] if one["id"] not in before]
    return made, installation.mail_of(installation.invitation(made)).token


def accept(installation: Installation, token: str, by: Person | None = None, path: str = ACCEPT, **more: Any) -> Answer:
    return installation.post(path, {"token": token, **more}, by.token if by else None)


def levels(installation: Installation, key: str, *people: Person, kind: str = "articles") -> list[str | None]:
    """The most that each may do with an object, by /access/check."""
    order = ("OWNER", "MAINTAINER", "EDITOR", "VIEWER")
    checks = [
        {"userId": person.id, "contentType": kind, "key": key, "role": role} for person in people for role in order
    ]
    got = installation.post("/access/check", {"checks": checks}, installation.key)
    assert got.status == 200, got
    results = got.json["results"]
    found = [results[at : at + 4] for at in range(0, len(results), 4)]
    assert all(some == sorted(some) for some in found), found  # who may do more may do less
    return [next((role for role, yes in zip(order, some, strict=True) if yes), None) for some in found]


def at_once(*calls: Callable[[], T]) -> list[T]:
    """The results of calls that start in one moment, in the order of the calls."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
