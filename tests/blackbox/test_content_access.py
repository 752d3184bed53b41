"""Who has access: reading and replacing it, groups, and handing an object over."""

from typing import Any

import pytest
from tests.support.content_calls import (
    NOBODY,
    accept,
    access,
    article,
    asked,
    join,
    levels,
    put_access,
    share,
    shown,
    users_of,
    visibility,
)
from tests.support.installation import Installation, new_address, refused


def test_access_details_name_everybody(content_installation: Installation) -> None:
    owner, viewer, maintainer = (
        content_installation.user(),
        content_installation.user(firstName="Vi", lastName="Ewer"),
        content_installation.user(),
    )
    group, guest = content_installation.group(), new_address()
    key = article(content_installation, owner)
    share(content_installation, key, owner, (viewer, "VIEWER"), (maintainer, "MAINTAINER"), **{group: "EDITOR"})
    made, _ = asked(content_installation, key, owner, guest, "EDITOR")
    details = access(content_installation, key, maintainer)
    assert details.keys() == {"ownerId", "visibility", "users", "groups", "invitations"}
    assert (details["ownerId"], details["visibility"], details["groups"]) == (owner.id, "SHARED", {group: "EDITOR"})
    assert users_of(details) == {viewer.id: "VIEWER", maintainer.id: "MAINTAINER"}
    shown_user = next(item for item in details["users"] if item["user"]["id"] == viewer.id)
    assert shown_user == {"user": {"id": viewer.id, "name": "Vi Ewer", "email": viewer.email}, "role": "VIEWER"}
    (invitation,) = details["invitations"]
    assert invitation.keys() == {"id", "email", "role", "issuedAt", "expiresAt", "delivery"}
    assert (invitation["id"], invitation["email"], invitation["role"]) == (made, guest, "EDITOR")
    assert invitation["delivery"]["state"] in {"QUEUED", "SENT"}


def test_access_is_replaced_as_a_whole(content_installation: Installation) -> None:
    owner, one, two = content_installation.user(), content_installation.user(), content_installation.user()
    group, member = content_installation.group(), content_installation.user()
    join(content_installation, group, member)
    key = article(content_installation, owner)
    answer = put_access(
        content_installation, key, owner, "SHARED", sharedUsers={one.id: "EDITOR"}, sharedGroups={group: "VIEWER"}
    )
    assert (answer.status, answer.json) == (200, shown(content_installation, key, owner))
    assert levels(content_installation, key, owner, one, two, member) == ["OWNER", "EDITOR", None, "VIEWER"]
    assert put_access(content_installation, key, owner, "SHARED", sharedUsers={two.id: "VIEWER"}).status == 200
    assert levels(content_installation, key, owner, one, two, member) == ["OWNER", None, "VIEWER", None]
    assert access(content_installation, key)["groups"] == {}
    share(content_installation, key, owner, (two, "MAINTAINER"))
    share(content_installation, key, owner, (two, "VIEWER"))
    assert levels(content_installation, key, two) == ["VIEWER"]


def test_private_revokes_what_was_shared_and_what_was_promised(content_installation: Installation) -> None:
    owner, friend, group = content_installation.user(), content_installation.user(), content_installation.group()
    member, guest = content_installation.user(), content_installation.user()
    join(content_installation, group, member)
    key = article(content_installation, owner)
    share(content_installation, key, owner, (friend, "MAINTAINER"), **{group: "EDITOR"})
    made, token = asked(content_installation, key, owner, guest.email)
    answer = put_access(content_installation, key, owner, "PRIVATE")
    assert (answer.status, answer.json["access"]["visibility"]) == (200, "PRIVATE")
    assert access(content_installation, key) == {
        "ownerId": owner.id, "visibility": "PRIVATE", "users": [], "groups": {}, "invitations": [],
    }  # fmt: skip
    assert levels(content_installation, key, friend, member, guest) == [None, None, None]
    refused(content_installation.get(f"/content/articles/{key}", friend.token), 404)
    for by in (None, guest):
        refused(accept(content_installation, token, by), 410, "invitation-revoked")
    after = content_installation.invitation(made)
    assert (after["state"], after["content"][0]["void"]) == ("REVOKED", True)
    assert visibility(content_installation, key, owner) == "PRIVATE"


def test_private_clears_both_maps_whatever_is_sent_with_it(content_installation: Installation) -> None:
    owner, friend, group = content_installation.user(), content_installation.user(), content_installation.group()
    key = article(content_installation, owner)
    share(content_installation, key, owner, (friend, "EDITOR"))
    answer = put_access(
        content_installation, key, owner, "PRIVATE", sharedUsers={friend.id: "EDITOR"}, sharedGroups={group: "VIEWER"}
    )
    assert answer.status in {200, 422}
    if answer.status == 200:
        assert (access(content_installation, key)["users"], access(content_installation, key)["groups"]) == ([], {})
        assert levels(content_installation, key, friend) == [None]


def test_shared_with_nobody_becomes_private_and_voids_nothing(content_installation: Installation) -> None:
    owner, friend, guest = content_installation.user(), content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    share(content_installation, key, owner, (friend, "EDITOR"))
    made, token = asked(content_installation, key, owner, guest.email, "EDITOR")
    maps: dict[str, Any]
    for maps in ({}, {"sharedUsers": {}, "sharedGroups": {}}):
        answer = put_access(content_installation, key, owner, "SHARED", **maps)
        assert (answer.status, answer.json["access"]["visibility"]) == (200, "PRIVATE")
    assert [one["id"] for one in access(content_installation, key)["invitations"]] == [made]
    assert levels(content_installation, key, friend) == [None]
    assert accept(content_installation, token, guest).status == 200
    assert (levels(content_installation, key, guest), visibility(content_installation, key, owner)) == (
        ["EDITOR"],
        "SHARED",
    )


def test_public_is_viewed_by_all_and_keeps_grants_and_invitations(content_installation: Installation) -> None:
    owner, editor, stranger, guest = (content_installation.user() for _ in range(4))
    key = article(content_installation, owner)
    made, token = asked(content_installation, key, owner, guest.email, "EDITOR")
    answer = put_access(content_installation, key, owner, "PUBLIC", sharedUsers={editor.id: "EDITOR"})
    assert (answer.status, answer.json["access"]["visibility"]) == (200, "PUBLIC")
    assert levels(content_installation, key, editor, stranger) == ["EDITOR", "VIEWER"]
    assert content_installation.get(f"/content/articles/{key}").status == 200
    assert [one["id"] for one in access(content_installation, key)["invitations"]] == [made]
    assert accept(content_installation, token, guest).json["access"]["visibility"] == "PUBLIC"
    assert put_access(content_installation, key, owner, "PUBLIC").json["access"]["visibility"] == "PUBLIC"
    assert levels(content_installation, key, editor, guest, stranger) == ["VIEWER"] * 3


def test_public_to_private_hides_again(content_installation: Installation) -> None:
    owner, stranger = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    put_access(content_installation, key, owner, "PUBLIC")
    assert content_installation.get(f"/content/articles/{key}").status == 200
    put_access(content_installation, key, owner, "PRIVATE")
    refused(content_installation.get(f"/content/articles/{key}"), 401)
    refused(content_installation.get(f"/content/articles/{key}", stranger.token), 404)
    assert levels(content_installation, key, stranger) == [None]


@pytest.mark.parametrize("kind", ["SHARED", "PUBLIC"])
def test_an_unknown_user_or_group_changes_nothing(content_installation: Installation, kind: str) -> None:
    owner, friend, other, group = (
        content_installation.user(),
        content_installation.user(),
        content_installation.user(),
        content_installation.group(),
    )
    key = article(content_installation, owner)
    share(content_installation, key, owner, (friend, "EDITOR"), **{group: "VIEWER"})
    asked(content_installation, key, owner, new_address())
    before, seen = access(content_installation, key), shown(content_installation, key, owner)
    wrong_user: dict[str, Any] = {"sharedUsers": {other.id: "VIEWER", NOBODY: "VIEWER"}, "sharedGroups": {}}
    wrong_group: dict[str, Any] = {
        "sharedUsers": {other.id: "VIEWER"},
        "sharedGroups": {group: "EDITOR", "not-there": "VIEWER"},
    }
    refused(put_access(content_installation, key, owner, kind, **wrong_user), 404, "user-not-found")
    refused(put_access(content_installation, key, owner, kind, **wrong_group), 404, "group-not-found")

    def settled(details: Any) -> Any:
        return details | {"invitations": [one | {"delivery": None} for one in details["invitations"]]}

    assert settled(access(content_installation, key)) == settled(before)
    assert shown(content_installation, key, owner) == seen


def test_an_erased_user_is_unknown(content_installation: Installation) -> None:
    owner, gone = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    assert content_installation.delete(f"/users/{gone.id}", content_installation.key).status == 204
    refused(
        put_access(content_installation, key, owner, "SHARED", sharedUsers={gone.id: "VIEWER"}), 404, "user-not-found"
    )
    refused(
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
        ({"accessType": "SHARED", "sharedUsers": {NOBODY: "OWNER"}}, 422),
        ({"accessType": "SHARED", "sharedUsers": {NOBODY: "viewer"}}, 422),
        ({"accessType": "SHARED", "sharedGroups": {"g": None}}, 422),
        ({"accessType": "SHARED", "sharedUsers": {"no-id": "VIEWER"}}, 404),
        ({"accessType": "SHARED", "users": {}}, 400),
    ],
)
def test_access_that_is_none_is_refused(content_installation: Installation, body: dict[str, Any], status: int) -> None:
    owner = content_installation.user()
    key = article(content_installation, owner)
    refused(content_installation.put(f"/content/articles/{key}/access", body, owner.token), status)
    assert access(content_installation, key)["visibility"] == "PRIVATE"


def test_the_owner_stays_owner_whatever_is_shared(content_installation: Installation) -> None:
    owner, maintainer = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    share(content_installation, key, owner, (owner, "VIEWER"), (maintainer, "MAINTAINER"))
    assert levels(content_installation, key, owner, maintainer) == ["OWNER", "MAINTAINER"]
    assert shown(content_installation, key, owner)["access"]["canDelete"] is True
    assert put_access(content_installation, key, maintainer, "PRIVATE").status == 200
    assert levels(content_installation, key, owner, maintainer) == ["OWNER", None]


def test_a_group_gives_access_to_who_is_in_it_at_the_time(content_installation: Installation) -> None:
    owner, person, group = content_installation.user(), content_installation.user(), content_installation.group()
    key = article(content_installation, owner)
    share(content_installation, key, owner, **{group: "EDITOR"})
    refused(content_installation.get(f"/content/articles/{key}", person.token), 404)
    join(content_installation, group, person)
    assert content_installation.patch(f"/content/articles/{key}", {"title": "By the group"}, person.token).status == 200
    content_installation.delete(f"/groups/{group}/members/{person.id}", content_installation.key)
    refused(content_installation.get(f"/content/articles/{key}", person.token), 404)


def test_the_most_of_all_ways_counts(content_installation: Installation) -> None:
    owner, person = content_installation.user(), content_installation.user()
    low, high = content_installation.group(), content_installation.group()
    join(content_installation, low, person)
    join(content_installation, high, person)
    key = article(content_installation, owner)
    share(content_installation, key, owner, (person, "EDITOR"), **{low: "VIEWER", high: "MAINTAINER"})
    assert levels(content_installation, key, person) == ["MAINTAINER"]
    share(content_installation, key, owner, (person, "EDITOR"), **{low: "VIEWER"})
    assert levels(content_installation, key, person) == ["EDITOR"]
    share(content_installation, key, owner, **{low: "VIEWER"})
    assert levels(content_installation, key, person) == ["VIEWER"]


def test_an_owner_hands_an_object_over_and_stays_its_maintainer(content_installation: Installation) -> None:
    owner, heir = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    answer = content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": heir.id}, owner.token)
    assert (answer.status, answer.json) == (200, shown(content_installation, key, owner))
    told = answer.json["access"]
    assert told == {"ownerId": heir.id, "visibility": "SHARED", "canEdit": True, "canDelete": True}
    assert levels(content_installation, key, owner, heir) == ["MAINTAINER", "OWNER"]
    assert users_of(access(content_installation, key)) == {owner.id: "MAINTAINER"}
    refused(content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": owner.id}, owner.token), 403)


def test_who_held_a_role_and_becomes_owner_is_owner_only(content_installation: Installation) -> None:
    owner, heir, third = content_installation.user(), content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    share(content_installation, key, owner, (heir, "VIEWER"))
    content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": heir.id}, owner.token)
    assert users_of(access(content_installation, key)) == {owner.id: "MAINTAINER"}
    back = content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": third.id}, heir.token)
    assert back.status == 200
    assert levels(content_installation, key, owner, heir, third) == ["MAINTAINER", "MAINTAINER", "OWNER"]


def test_a_public_object_stays_public_when_handed_over(content_installation: Installation) -> None:
    owner, heir = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    put_access(content_installation, key, owner, "PUBLIC")
    answer = content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": heir.id}, owner.token)
    assert answer.json["access"]["visibility"] == "PUBLIC"


def test_only_an_owner_hands_over_and_only_to_somebody(content_installation: Installation) -> None:
    owner, maintainer, stranger = content_installation.user(), content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    share(content_installation, key, owner, (maintainer, "MAINTAINER"))
    path = f"/content/articles/{key}/owner"
    refused(content_installation.put(path, {"newOwnerId": maintainer.id}, maintainer.token), 403)
    refused(
        content_installation.put(path, {"newOwnerId": maintainer.id}, content_installation.user("admin").token), 403
    )
    refused(content_installation.put(path, {"newOwnerId": maintainer.id}, content_installation.key), 403)
    refused(content_installation.put(path, {"newOwnerId": stranger.id}, stranger.token), 404)
    refused(content_installation.put(path, {"newOwnerId": NOBODY}, owner.token), 404, "user-not-found")
    refused(content_installation.put(path, {"newOwnerId": "x"}, owner.token), 422)
    refused(content_installation.put(path, {}, owner.token), 422)
    assert shown(content_installation, key, owner)["access"]["ownerId"] == owner.id


def test_handing_over_to_oneself_changes_nothing(content_installation: Installation) -> None:
    owner = content_installation.user()
    key = article(content_installation, owner)
    before = shown(content_installation, key, owner)
    answer = content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": owner.id}, owner.token)
    assert answer.status == 200
    assert shown(content_installation, key, owner) == before
    assert access(content_installation, key)["users"] == []


def test_handing_over_keeps_pending_invitations(content_installation: Installation) -> None:
    owner, heir, guest = content_installation.user(), content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    _, token = asked(content_installation, key, owner, guest.email)
    content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": heir.id}, owner.token)
    assert accept(content_installation, token, guest).status == 200
    assert levels(content_installation, key, guest) == ["VIEWER"]
