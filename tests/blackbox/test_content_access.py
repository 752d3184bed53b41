"""Access to content: reading and replacing it, groups, and transfer to a new owner."""

from typing import Any

import pytest
from tests.support.content_calls import (
    UNKNOWN_ID,
    accept,
    add_members,
    check_levels,
    create_invitation,
    create_object,
    get_access,
    get_object,
    get_visibility,
    put_access,
    roles_of_users,
    share,
)
from tests.support.installation import Installation, check_problem, new_address


def test_access_details_list_users_groups_and_invitations(content_installation: Installation) -> None:
    owner, viewer, maintainer = (
        content_installation.user(),
        content_installation.user(firstName="Vi", lastName="Ewer"),
        content_installation.user(),
    )
    group, guest = content_installation.group(), new_address()
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (viewer, "VIEWER"), (maintainer, "MAINTAINER"), **{group: "EDITOR"})
    invitation_id, _ = create_invitation(content_installation, key, owner, guest, "EDITOR")
    details = get_access(content_installation, key, maintainer)
    assert details.keys() == {"ownerId", "visibility", "users", "groups", "invitations"}
    assert (details["ownerId"], details["visibility"], details["groups"]) == (owner.id, "SHARED", {group: "EDITOR"})
    assert roles_of_users(details) == {viewer.id: "VIEWER", maintainer.id: "MAINTAINER"}
    item = next(entry for entry in details["users"] if entry["user"]["id"] == viewer.id)
    assert item == {"user": {"id": viewer.id, "name": "Vi Ewer", "email": viewer.email}, "role": "VIEWER"}
    (invitation,) = details["invitations"]
    assert invitation.keys() == {"id", "email", "role", "issuedAt", "expiresAt", "delivery"}
    assert (invitation["id"], invitation["email"], invitation["role"]) == (invitation_id, guest, "EDITOR")
    assert invitation["delivery"]["state"] in {"QUEUED", "SENT"}


def test_access_is_replaced_as_a_whole(content_installation: Installation) -> None:
    owner, first, second = content_installation.user(), content_installation.user(), content_installation.user()
    group, member = content_installation.group(), content_installation.user()
    add_members(content_installation, group, member)
    key = create_object(content_installation, owner)
    answer = put_access(
        content_installation, key, owner, "SHARED", sharedUsers={first.id: "EDITOR"}, sharedGroups={group: "VIEWER"}
    )
    assert (answer.status, answer.json) == (200, get_object(content_installation, key, owner))
    assert check_levels(content_installation, key, owner, first, second, member) == ["OWNER", "EDITOR", None, "VIEWER"]
    assert put_access(content_installation, key, owner, "SHARED", sharedUsers={second.id: "VIEWER"}).status == 200
    assert check_levels(content_installation, key, owner, first, second, member) == ["OWNER", None, "VIEWER", None]
    assert get_access(content_installation, key)["groups"] == {}
    share(content_installation, key, owner, (second, "MAINTAINER"))
    share(content_installation, key, owner, (second, "VIEWER"))
    assert check_levels(content_installation, key, second) == ["VIEWER"]


def test_private_revokes_access_and_pending_invitations(content_installation: Installation) -> None:
    owner, viewer, group = content_installation.user(), content_installation.user(), content_installation.group()
    member, guest = content_installation.user(), content_installation.user()
    add_members(content_installation, group, member)
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (viewer, "MAINTAINER"), **{group: "EDITOR"})
    invitation_id, token = create_invitation(content_installation, key, owner, guest.email)
    answer = put_access(content_installation, key, owner, "PRIVATE")
    assert (answer.status, answer.json["access"]["visibility"]) == (200, "PRIVATE")
    assert get_access(content_installation, key) == {
        "ownerId": owner.id, "visibility": "PRIVATE", "users": [], "groups": {}, "invitations": [],
    }  # fmt: skip
    assert check_levels(content_installation, key, viewer, member, guest) == [None, None, None]
    check_problem(content_installation.get(f"/content/articles/{key}", viewer.token), 404)
    for by in (None, guest):
        check_problem(accept(content_installation, token, by), 410, "invitation-revoked")
    after = content_installation.invitation(invitation_id)
    assert (after["state"], after["content"][0]["void"]) == ("REVOKED", True)
    assert get_visibility(content_installation, key, owner) == "PRIVATE"


def test_private_clears_users_and_groups_even_if_some_are_sent(content_installation: Installation) -> None:
    owner, viewer, group = content_installation.user(), content_installation.user(), content_installation.group()
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (viewer, "EDITOR"))
    answer = put_access(
        content_installation, key, owner, "PRIVATE", sharedUsers={viewer.id: "EDITOR"}, sharedGroups={group: "VIEWER"}
    )
    assert answer.status in {200, 422}
    if answer.status == 200:
        assert (get_access(content_installation, key)["users"], get_access(content_installation, key)["groups"]) == (
            [],
            {},
        )
        assert check_levels(content_installation, key, viewer) == [None]


def test_sharing_with_nobody_becomes_private_and_keeps_invitations(content_installation: Installation) -> None:
    owner, viewer, guest = content_installation.user(), content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (viewer, "EDITOR"))
    invitation_id, token = create_invitation(content_installation, key, owner, guest.email, "EDITOR")
    maps: dict[str, Any]
    for maps in ({}, {"sharedUsers": {}, "sharedGroups": {}}):
        answer = put_access(content_installation, key, owner, "SHARED", **maps)
        assert (answer.status, answer.json["access"]["visibility"]) == (200, "PRIVATE")
    assert [invitation["id"] for invitation in get_access(content_installation, key)["invitations"]] == [invitation_id]
    assert check_levels(content_installation, key, viewer) == [None]
    assert accept(content_installation, token, guest).status == 200
    assert (check_levels(content_installation, key, guest), get_visibility(content_installation, key, owner)) == (
        ["EDITOR"],
        "SHARED",
    )


def test_a_public_object_is_visible_to_all_and_keeps_grants_and_invitations(content_installation: Installation) -> None:
    owner, editor, other, guest = (content_installation.user() for _ in range(4))
    key = create_object(content_installation, owner)
    invitation_id, token = create_invitation(content_installation, key, owner, guest.email, "EDITOR")
    answer = put_access(content_installation, key, owner, "PUBLIC", sharedUsers={editor.id: "EDITOR"})
    assert (answer.status, answer.json["access"]["visibility"]) == (200, "PUBLIC")
    assert check_levels(content_installation, key, editor, other) == ["EDITOR", "VIEWER"]
    assert content_installation.get(f"/content/articles/{key}").status == 200
    assert [invitation["id"] for invitation in get_access(content_installation, key)["invitations"]] == [invitation_id]
    assert accept(content_installation, token, guest).json["access"]["visibility"] == "PUBLIC"
    assert put_access(content_installation, key, owner, "PUBLIC").json["access"]["visibility"] == "PUBLIC"
    assert check_levels(content_installation, key, editor, guest, other) == ["VIEWER"] * 3


def test_changing_public_to_private_hides_the_object(content_installation: Installation) -> None:
    owner, other = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    put_access(content_installation, key, owner, "PUBLIC")
    assert content_installation.get(f"/content/articles/{key}").status == 200
    put_access(content_installation, key, owner, "PRIVATE")
    check_problem(content_installation.get(f"/content/articles/{key}"), 401)
    check_problem(content_installation.get(f"/content/articles/{key}", other.token), 404)
    assert check_levels(content_installation, key, other) == [None]


@pytest.mark.parametrize("kind", ["SHARED", "PUBLIC"])
def test_an_unknown_user_or_group_changes_nothing(content_installation: Installation, kind: str) -> None:
    owner, viewer, other, group = (
        content_installation.user(),
        content_installation.user(),
        content_installation.user(),
        content_installation.group(),
    )
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (viewer, "EDITOR"), **{group: "VIEWER"})
    create_invitation(content_installation, key, owner, new_address())
    access_before, object_before = get_access(content_installation, key), get_object(content_installation, key, owner)
    wrong_user: dict[str, Any] = {"sharedUsers": {other.id: "VIEWER", UNKNOWN_ID: "VIEWER"}, "sharedGroups": {}}
    wrong_group: dict[str, Any] = {
        "sharedUsers": {other.id: "VIEWER"},
        "sharedGroups": {group: "EDITOR", "not-there": "VIEWER"},
    }
    check_problem(put_access(content_installation, key, owner, kind, **wrong_user), 404, "user-not-found")
    check_problem(put_access(content_installation, key, owner, kind, **wrong_group), 404, "group-not-found")

    def without_delivery(details: Any) -> Any:
        return details | {"invitations": [invitation | {"delivery": None} for invitation in details["invitations"]]}

    assert without_delivery(get_access(content_installation, key)) == without_delivery(access_before)
    assert get_object(content_installation, key, owner) == object_before


def test_an_erased_user_cannot_get_access(content_installation: Installation) -> None:
    owner, gone = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    assert content_installation.delete(f"/users/{gone.id}", content_installation.key).status == 204
    check_problem(
        put_access(content_installation, key, owner, "SHARED", sharedUsers={gone.id: "VIEWER"}), 404, "user-not-found"
    )
    check_problem(
        content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": gone.id}, owner.token),
        404,
        "user-not-found",
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"accessType": "shared"}, 422),
        ({"accessType": None}, 422),
        ({"accessType": "SHARED", "sharedUsers": []}, 422),
        ({"accessType": "SHARED", "sharedUsers": {UNKNOWN_ID: "OWNER"}}, 422),
        ({"accessType": "SHARED", "sharedUsers": {UNKNOWN_ID: "viewer"}}, 422),
        ({"accessType": "SHARED", "sharedGroups": {"g": None}}, 422),
        ({"accessType": "SHARED", "sharedUsers": {"no-id": "VIEWER"}}, 404),
        ({"accessType": "SHARED", "users": {}}, 400),
    ],
)
def test_an_invalid_access_is_refused(content_installation: Installation, body: dict[str, Any], status: int) -> None:
    owner = content_installation.user()
    key = create_object(content_installation, owner)
    check_problem(content_installation.put(f"/content/articles/{key}/access", body, owner.token), status)
    assert get_access(content_installation, key)["visibility"] == "PRIVATE"


def test_sharing_does_not_change_the_owner(content_installation: Installation) -> None:
    owner, maintainer = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (owner, "VIEWER"), (maintainer, "MAINTAINER"))
    assert check_levels(content_installation, key, owner, maintainer) == ["OWNER", "MAINTAINER"]
    assert get_object(content_installation, key, owner)["access"]["canDelete"] is True
    assert put_access(content_installation, key, maintainer, "PRIVATE").status == 200
    assert check_levels(content_installation, key, owner, maintainer) == ["OWNER", None]


def test_a_group_gives_access_to_its_present_members(content_installation: Installation) -> None:
    owner, user, group = content_installation.user(), content_installation.user(), content_installation.group()
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, **{group: "EDITOR"})
    check_problem(content_installation.get(f"/content/articles/{key}", user.token), 404)
    add_members(content_installation, group, user)
    assert content_installation.patch(f"/content/articles/{key}", {"title": "By the group"}, user.token).status == 200
    content_installation.delete(f"/groups/{group}/members/{user.id}", content_installation.key)
    check_problem(content_installation.get(f"/content/articles/{key}", user.token), 404)


def test_the_highest_of_all_roles_counts(content_installation: Installation) -> None:
    owner, user = content_installation.user(), content_installation.user()
    low, high = content_installation.group(), content_installation.group()
    add_members(content_installation, low, user)
    add_members(content_installation, high, user)
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (user, "EDITOR"), **{low: "VIEWER", high: "MAINTAINER"})
    assert check_levels(content_installation, key, user) == ["MAINTAINER"]
    share(content_installation, key, owner, (user, "EDITOR"), **{low: "VIEWER"})
    assert check_levels(content_installation, key, user) == ["EDITOR"]
    share(content_installation, key, owner, **{low: "VIEWER"})
    assert check_levels(content_installation, key, user) == ["VIEWER"]


def test_a_previous_owner_becomes_maintainer(content_installation: Installation) -> None:
    owner, new_owner = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    answer = content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": new_owner.id}, owner.token)
    assert (answer.status, answer.json) == (200, get_object(content_installation, key, owner))
    details = answer.json["access"]
    assert details == {"ownerId": new_owner.id, "visibility": "SHARED", "canEdit": True, "canDelete": True}
    assert check_levels(content_installation, key, owner, new_owner) == ["MAINTAINER", "OWNER"]
    assert roles_of_users(get_access(content_installation, key)) == {owner.id: "MAINTAINER"}
    check_problem(
        content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": owner.id}, owner.token), 403
    )


def test_a_new_owner_loses_their_previous_role(content_installation: Installation) -> None:
    owner, new_owner, third = content_installation.user(), content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (new_owner, "VIEWER"))
    content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": new_owner.id}, owner.token)
    assert roles_of_users(get_access(content_installation, key)) == {owner.id: "MAINTAINER"}
    back = content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": third.id}, new_owner.token)
    assert back.status == 200
    assert check_levels(content_installation, key, owner, new_owner, third) == ["MAINTAINER", "MAINTAINER", "OWNER"]


def test_a_public_object_stays_public_with_a_new_owner(content_installation: Installation) -> None:
    owner, new_owner = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    put_access(content_installation, key, owner, "PUBLIC")
    answer = content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": new_owner.id}, owner.token)
    assert answer.json["access"]["visibility"] == "PUBLIC"


def test_only_an_owner_transfers_an_object_and_only_to_an_existing_user(content_installation: Installation) -> None:
    owner, maintainer, other = content_installation.user(), content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (maintainer, "MAINTAINER"))
    path = f"/content/articles/{key}/owner"
    check_problem(content_installation.put(path, {"newOwnerId": maintainer.id}, maintainer.token), 403)
    check_problem(
        content_installation.put(path, {"newOwnerId": maintainer.id}, content_installation.user("admin").token), 403
    )
    check_problem(content_installation.put(path, {"newOwnerId": maintainer.id}, content_installation.key), 403)
    check_problem(content_installation.put(path, {"newOwnerId": other.id}, other.token), 404)
    check_problem(content_installation.put(path, {"newOwnerId": UNKNOWN_ID}, owner.token), 404, "user-not-found")
    check_problem(content_installation.put(path, {"newOwnerId": "x"}, owner.token), 422)
    check_problem(content_installation.put(path, {}, owner.token), 422)
    assert get_object(content_installation, key, owner)["access"]["ownerId"] == owner.id


def test_transfer_to_the_same_owner_changes_nothing(content_installation: Installation) -> None:
    owner = content_installation.user()
    key = create_object(content_installation, owner)
    before = get_object(content_installation, key, owner)
    answer = content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": owner.id}, owner.token)
    assert answer.status == 200
    assert get_object(content_installation, key, owner) == before
    assert get_access(content_installation, key)["users"] == []


def test_a_transfer_keeps_pending_invitations(content_installation: Installation) -> None:
    owner, new_owner, guest = content_installation.user(), content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    _, token = create_invitation(content_installation, key, owner, guest.email)
    content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": new_owner.id}, owner.token)
    assert accept(content_installation, token, guest).status == 200
    assert check_levels(content_installation, key, guest) == ["VIEWER"]
