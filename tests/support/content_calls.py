"""Calls of the content API: objects, access to them, and invitations to them."""

from datetime import datetime
from typing import Any

from tests.support.installation import Answer, Installation, SignedInUser, numbers

UNKNOWN_ID = "01890000-0000-7000-8000-000000000000"
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
CONTENT_OPTIONS: dict[str, Any] = {
    "extra": ROLES,
    "replace": 'types = { articles = { name = "Articles", singular = "article" } }',
    "by": 'types = { articles = { name = "Articles", singular = "article" }, recipes = { name = "Recipes" } }',
}
REGISTERED_ONLY_OPTIONS = CONTENT_OPTIONS | {
    "extra": ROLES + "\n[content.invitations]\nallow-unregistered-users = false\n"
}


def parse_instant(text: str) -> datetime:
    """Parse an instant of an answer. Instants do not compare as text: whole seconds have no fraction."""
    return datetime.fromisoformat(text)


def create_object(installation: Installation, owner: SignedInUser, *, kind: str = "articles", **fields: Any) -> str:
    """Create a PRIVATE object of this owner and return its key."""
    body = {"title": f"Article {next(numbers)}", "ownerId": owner.id} | fields
    answer = installation.post(f"/content/{kind}", body, installation.key)
    assert answer.status == 201, answer
    return str(answer.json["key"])


def get_object(installation: Installation, key: str, by: SignedInUser) -> Any:
    answer = installation.get(f"/content/articles/{key}", by.token)
    assert answer.status == 200, answer
    return answer.json


def get_visibility(installation: Installation, key: str, by: SignedInUser) -> str:
    return str(get_object(installation, key, by)["access"]["visibility"])


def get_access(installation: Installation, key: str, by: SignedInUser | None = None) -> Any:
    """Return the access details as this user, or the full-access key, sees them."""
    answer = installation.get(f"/content/articles/{key}/access", by.token if by else installation.key)
    assert answer.status == 200, answer
    return answer.json


def roles_of_users(details: Any) -> dict[str, str]:
    """Return the role of each user id in access details."""
    return {item["user"]["id"]: item["role"] for item in details["users"]}


def put_access(installation: Installation, key: str, by: SignedInUser, kind: str, **maps: Any) -> Answer:
    return installation.put(f"/content/articles/{key}/access", {"accessType": kind, **maps}, by.token)


def share(
    installation: Installation, key: str, by: SignedInUser, *users: tuple[SignedInUser, str], **groups: str
) -> None:
    """Replace the access: exactly these users and groups have it afterwards."""
    maps = {"sharedUsers": {user.id: role for user, role in users}, "sharedGroups": groups}
    answer = put_access(installation, key, by, "SHARED", **maps)
    assert answer.status == 200, answer


def add_members(installation: Installation, group: str, *users: SignedInUser) -> None:
    for user in users:
        assert installation.post(f"/groups/{group}/members/{user.id}", token=installation.key).status == 204


def post_invitation(
    installation: Installation, key: str, by: SignedInUser, email: str, role: str = "VIEWER", **fields: Any
) -> Answer:
    """Invite an address to an article."""
    return installation.post(f"/content/articles/invitations/{key}", {"email": email, "role": role, **fields}, by.token)


def newest_invitation(answer: Answer, email: str) -> Any:
    """Return the newest invitation of an address in access details."""
    assert answer.status == 200, answer
    return [invitation for invitation in answer.json["invitations"] if invitation["email"] == email][-1]


def create_invitation(
    installation: Installation, key: str, by: SignedInUser, email: str, role: str = "VIEWER", **fields: Any
) -> tuple[str, str]:
    """Invite an address to an article; return the id of the invitation and the token in its mail."""
    ids_before = {invitation["id"] for invitation in get_access(installation, key)["invitations"]}
    answer = post_invitation(installation, key, by, email, role, **fields)
    assert answer.status == 200, answer
    (invitation_id,) = {invitation["id"] for invitation in answer.json["invitations"]} - ids_before
    return invitation_id, installation.mail_of(installation.invitation(invitation_id)).token


def accept(
    installation: Installation, token: str, by: SignedInUser | None = None, path: str = ACCEPT, **fields: Any
) -> Answer:
    return installation.post(path, {"token": token, **fields}, by.token if by else None)


def check_levels(
    installation: Installation, key: str, *users: SignedInUser, kind: str = "articles"
) -> list[str | None]:
    """Return the highest role that each user has on an object, by /access/check."""
    roles = ("OWNER", "MAINTAINER", "EDITOR", "VIEWER")
    checks = [{"userId": user.id, "contentType": kind, "key": key, "role": role} for user in users for role in roles]
    answer = installation.post("/access/check", {"checks": checks}, installation.key)
    assert answer.status == 200, answer
    results = answer.json["results"]
    by_user = [results[offset : offset + 4] for offset in range(0, len(results), 4)]
    assert all(allowed == sorted(allowed) for allowed in by_user), by_user  # a role includes every lower one
    return [next((role for role, yes in zip(roles, allowed, strict=True) if yes), None) for allowed in by_user]
