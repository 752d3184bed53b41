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
from tests.support.installation import House, new_address, refused


def test_access_details_name_everybody(library: House) -> None:
    owner, viewer, maintainer = library.user(), library.user(firstName="Vi", lastName="Ewer"), library.user()
    group, guest = library.group(), new_address()
    key = article(library, owner)
    share(library, key, owner, (viewer, "VIEWER"), (maintainer, "MAINTAINER"), **{group: "EDITOR"})
    made, _ = asked(library, key, owner, guest, "EDITOR")
    details = access(library, key, maintainer)
    assert details.keys() == {"ownerId", "visibility", "users", "groups", "invitations"}
    assert (details["ownerId"], details["visibility"], details["groups"]) == (owner.id, "SHARED", {group: "EDITOR"})
    assert users_of(details) == {viewer.id: "VIEWER", maintainer.id: "MAINTAINER"}
    shown_user = next(item for item in details["users"] if item["user"]["id"] == viewer.id)
    assert shown_user == {"user": {"id": viewer.id, "name": "Vi Ewer", "email": viewer.email}, "role": "VIEWER"}
    (invitation,) = details["invitations"]
    assert invitation.keys() == {"id", "email", "role", "issuedAt", "expiresAt", "delivery"}
    assert (invitation["id"], invitation["email"], invitation["role"]) == (made, guest, "EDITOR")
    assert invitation["delivery"]["state"] in {"QUEUED", "SENT"}


def test_access_is_replaced_as_a_whole(library: House) -> None:
    owner, one, two = library.user(), library.user(), library.user()
    group, member = library.group(), library.user()
    join(library, group, member)
    key = article(library, owner)
    answer = put_access(library, key, owner, "SHARED", sharedUsers={one.id: "EDITOR"}, sharedGroups={group: "VIEWER"})
    assert (answer.status, answer.json) == (200, shown(library, key, owner))
    assert levels(library, key, owner, one, two, member) == ["OWNER", "EDITOR", None, "VIEWER"]
    assert put_access(library, key, owner, "SHARED", sharedUsers={two.id: "VIEWER"}).status == 200
    assert levels(library, key, owner, one, two, member) == ["OWNER", None, "VIEWER", None]
    assert access(library, key)["groups"] == {}
    share(library, key, owner, (two, "MAINTAINER"))
    share(library, key, owner, (two, "VIEWER"))
    assert levels(library, key, two) == ["VIEWER"]


def test_private_revokes_what_was_shared_and_what_was_promised(library: House) -> None:
    owner, friend, group = library.user(), library.user(), library.group()
    member, guest = library.user(), library.user()
    join(library, group, member)
    key = article(library, owner)
    share(library, key, owner, (friend, "MAINTAINER"), **{group: "EDITOR"})
    made, token = asked(library, key, owner, guest.email)
    answer = put_access(library, key, owner, "PRIVATE")
    assert (answer.status, answer.json["access"]["visibility"]) == (200, "PRIVATE")
    assert access(library, key) == {
        "ownerId": owner.id, "visibility": "PRIVATE", "users": [], "groups": {}, "invitations": [],
    }  # fmt: skip
    assert levels(library, key, friend, member, guest) == [None, None, None]
    refused(library.get(f"/content/articles/{key}", friend.token), 404)
    for by in (None, guest):
        refused(accept(library, token, by), 410, "invitation-revoked")
    after = library.invitation(made)
    assert (after["state"], after["content"][0]["void"]) == ("REVOKED", True)
    assert visibility(library, key, owner) == "PRIVATE"


def test_private_clears_both_maps_whatever_is_sent_with_it(library: House) -> None:
    owner, friend, group = library.user(), library.user(), library.group()
    key = article(library, owner)
    share(library, key, owner, (friend, "EDITOR"))
    answer = put_access(
        library, key, owner, "PRIVATE", sharedUsers={friend.id: "EDITOR"}, sharedGroups={group: "VIEWER"}
    )
    assert answer.status in {200, 422}
    if answer.status == 200:
        assert (access(library, key)["users"], access(library, key)["groups"]) == ([], {})
        assert levels(library, key, friend) == [None]


def test_shared_with_nobody_becomes_private_and_voids_nothing(library: House) -> None:
    owner, friend, guest = library.user(), library.user(), library.user()
    key = article(library, owner)
    share(library, key, owner, (friend, "EDITOR"))
    made, token = asked(library, key, owner, guest.email, "EDITOR")
    for maps in ({}, {"sharedUsers": {}, "sharedGroups": {}}):
        answer = put_access(library, key, owner, "SHARED", **maps)
        assert (answer.status, answer.json["access"]["visibility"]) == (200, "PRIVATE")
    assert [one["id"] for one in access(library, key)["invitations"]] == [made]
    assert levels(library, key, friend) == [None]
    assert accept(library, token, guest).status == 200
    assert (levels(library, key, guest), visibility(library, key, owner)) == (["EDITOR"], "SHARED")


def test_public_is_viewed_by_all_and_keeps_grants_and_invitations(library: House) -> None:
    owner, editor, stranger, guest = (library.user() for _ in range(4))
    key = article(library, owner)
    made, token = asked(library, key, owner, guest.email, "EDITOR")
    answer = put_access(library, key, owner, "PUBLIC", sharedUsers={editor.id: "EDITOR"})
    assert (answer.status, answer.json["access"]["visibility"]) == (200, "PUBLIC")
    assert levels(library, key, editor, stranger) == ["EDITOR", "VIEWER"]
    assert library.get(f"/content/articles/{key}").status == 200
    assert [one["id"] for one in access(library, key)["invitations"]] == [made]
    assert accept(library, token, guest).json["access"]["visibility"] == "PUBLIC"
    assert put_access(library, key, owner, "PUBLIC").json["access"]["visibility"] == "PUBLIC"
    assert levels(library, key, editor, guest, stranger) == ["VIEWER"] * 3


def test_public_to_private_hides_again(library: House) -> None:
    owner, stranger = library.user(), library.user()
    key = article(library, owner)
    put_access(library, key, owner, "PUBLIC")
    assert library.get(f"/content/articles/{key}").status == 200
    put_access(library, key, owner, "PRIVATE")
    refused(library.get(f"/content/articles/{key}"), 401)
    refused(library.get(f"/content/articles/{key}", stranger.token), 404)
    assert levels(library, key, stranger) == [None]


@pytest.mark.parametrize("kind", ["SHARED", "PUBLIC"])
def test_an_unknown_user_or_group_changes_nothing(library: House, kind: str) -> None:
    owner, friend, other, group = library.user(), library.user(), library.user(), library.group()
    key = article(library, owner)
    share(library, key, owner, (friend, "EDITOR"), **{group: "VIEWER"})
    asked(library, key, owner, new_address())
    before, seen = access(library, key), shown(library, key, owner)
    wrong_user: dict[str, Any] = {"sharedUsers": {other.id: "VIEWER", NOBODY: "VIEWER"}, "sharedGroups": {}}
    wrong_group: dict[str, Any] = {
        "sharedUsers": {other.id: "VIEWER"},
        "sharedGroups": {group: "EDITOR", "not-there": "VIEWER"},
    }
    refused(put_access(library, key, owner, kind, **wrong_user), 404, "user-not-found")
    refused(put_access(library, key, owner, kind, **wrong_group), 404, "group-not-found")

    def settled(details: Any) -> Any:
        return details | {"invitations": [one | {"delivery": None} for one in details["invitations"]]}

    assert settled(access(library, key)) == settled(before)
    assert shown(library, key, owner) == seen


def test_an_erased_user_is_unknown(library: House) -> None:
    owner, gone = library.user(), library.user()
    key = article(library, owner)
    assert library.delete(f"/users/{gone.id}", library.key).status == 204
    refused(put_access(library, key, owner, "SHARED", sharedUsers={gone.id: "VIEWER"}), 404, "user-not-found")
    refused(library.put(f"/content/articles/{key}/owner", {"newOwnerId": gone.id}, owner.token), 404, "user-not-found")


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
def test_access_that_is_none_is_refused(library: House, body: dict[str, Any], status: int) -> None:
    owner = library.user()
    key = article(library, owner)
    refused(library.put(f"/content/articles/{key}/access", body, owner.token), status)
    assert access(library, key)["visibility"] == "PRIVATE"


def test_the_owner_stays_owner_whatever_is_shared(library: House) -> None:
    owner, maintainer = library.user(), library.user()
    key = article(library, owner)
    share(library, key, owner, (owner, "VIEWER"), (maintainer, "MAINTAINER"))
    assert levels(library, key, owner, maintainer) == ["OWNER", "MAINTAINER"]
    assert shown(library, key, owner)["access"]["canDelete"] is True
    assert put_access(library, key, maintainer, "PRIVATE").status == 200
    assert levels(library, key, owner, maintainer) == ["OWNER", None]


def test_a_group_gives_access_to_who_is_in_it_at_the_time(library: House) -> None:
    owner, person, group = library.user(), library.user(), library.group()
    key = article(library, owner)
    share(library, key, owner, **{group: "EDITOR"})
    refused(library.get(f"/content/articles/{key}", person.token), 404)
    join(library, group, person)
    assert library.patch(f"/content/articles/{key}", {"title": "By the group"}, person.token).status == 200
    library.delete(f"/groups/{group}/members/{person.id}", library.key)
    refused(library.get(f"/content/articles/{key}", person.token), 404)


def test_the_most_of_all_ways_counts(library: House) -> None:
    owner, person = library.user(), library.user()
    low, high = library.group(), library.group()
    join(library, low, person)
    join(library, high, person)
    key = article(library, owner)
    share(library, key, owner, (person, "EDITOR"), **{low: "VIEWER", high: "MAINTAINER"})
    assert levels(library, key, person) == ["MAINTAINER"]
    share(library, key, owner, (person, "EDITOR"), **{low: "VIEWER"})
    assert levels(library, key, person) == ["EDITOR"]
    share(library, key, owner, **{low: "VIEWER"})
    assert levels(library, key, person) == ["VIEWER"]


def test_an_owner_hands_an_object_over_and_stays_its_maintainer(library: House) -> None:
    owner, heir = library.user(), library.user()
    key = article(library, owner)
    answer = library.put(f"/content/articles/{key}/owner", {"newOwnerId": heir.id}, owner.token)
    assert (answer.status, answer.json) == (200, shown(library, key, owner))
    told = answer.json["access"]
    assert told == {"ownerId": heir.id, "visibility": "SHARED", "canEdit": True, "canDelete": True}
    assert levels(library, key, owner, heir) == ["MAINTAINER", "OWNER"]
    assert users_of(access(library, key)) == {owner.id: "MAINTAINER"}
    refused(library.put(f"/content/articles/{key}/owner", {"newOwnerId": owner.id}, owner.token), 403)


def test_who_held_a_role_and_becomes_owner_is_owner_only(library: House) -> None:
    owner, heir, third = library.user(), library.user(), library.user()
    key = article(library, owner)
    share(library, key, owner, (heir, "VIEWER"))
    library.put(f"/content/articles/{key}/owner", {"newOwnerId": heir.id}, owner.token)
    assert users_of(access(library, key)) == {owner.id: "MAINTAINER"}
    back = library.put(f"/content/articles/{key}/owner", {"newOwnerId": third.id}, heir.token)
    assert back.status == 200
    assert levels(library, key, owner, heir, third) == ["MAINTAINER", "MAINTAINER", "OWNER"]


def test_a_public_object_stays_public_when_handed_over(library: House) -> None:
    owner, heir = library.user(), library.user()
    key = article(library, owner)
    put_access(library, key, owner, "PUBLIC")
    answer = library.put(f"/content/articles/{key}/owner", {"newOwnerId": heir.id}, owner.token)
    assert answer.json["access"]["visibility"] == "PUBLIC"


def test_only_an_owner_hands_over_and_only_to_somebody(library: House) -> None:
    owner, maintainer, stranger = library.user(), library.user(), library.user()
    key = article(library, owner)
    share(library, key, owner, (maintainer, "MAINTAINER"))
    path = f"/content/articles/{key}/owner"
    refused(library.put(path, {"newOwnerId": maintainer.id}, maintainer.token), 403)
    refused(library.put(path, {"newOwnerId": maintainer.id}, library.user("admin").token), 403)
    refused(library.put(path, {"newOwnerId": maintainer.id}, library.key), 403)
    refused(library.put(path, {"newOwnerId": stranger.id}, stranger.token), 404)
    refused(library.put(path, {"newOwnerId": NOBODY}, owner.token), 404, "user-not-found")
    refused(library.put(path, {"newOwnerId": "x"}, owner.token), 422)
    refused(library.put(path, {}, owner.token), 422)
    assert shown(library, key, owner)["access"]["ownerId"] == owner.id


def test_handing_over_to_oneself_changes_nothing(library: House) -> None:
    owner = library.user()
    key = article(library, owner)
    before = shown(library, key, owner)
    answer = library.put(f"/content/articles/{key}/owner", {"newOwnerId": owner.id}, owner.token)
    assert answer.status == 200
    assert shown(library, key, owner) == before
    assert access(library, key)["users"] == []


def test_handing_over_keeps_pending_invitations(library: House) -> None:
    owner, heir, guest = library.user(), library.user(), library.user()
    key = article(library, owner)
    _, token = asked(library, key, owner, guest.email)
    library.put(f"/content/articles/{key}/owner", {"newOwnerId": heir.id}, owner.token)
    assert accept(library, token, guest).status == 200
    assert levels(library, key, guest) == ["VIEWER"]
