"""What ends a promise: an object removed or closed, a group deleted, an inviter who may no longer, a person erased."""

import pytest
from tests.support.content_calls import (
    NOBODY,
    accept,
    access,
    article,
    ask,
    asked,
    join,
    levels,
    put_access,
    share,
    shown,
    users_of,
    visibility,
)
from tests.support.database_dump import dump
from tests.support.installation import PROFILE, House, Person, new_address, numbers, refused


def cause_of(house: House, invitation_id: str) -> str:
    """What the only event of an invitation's end says about why."""
    (event,) = [event for event in house.events(invitation_id) if event["type"] == "invitation.revoked"]
    return str(event["data"].get("cause"))


# ---- links that were used --------------------------------------------------------------------------------------------


def test_a_used_link_readmits_nobody(library: House) -> None:
    owner, guest = library.user(), library.user()
    key = article(library, owner)
    _, token = asked(library, key, owner, guest.email, "EDITOR")
    assert accept(library, token, guest).status == 200
    for kind in ("SHARED", "PRIVATE"):
        put_access(library, key, owner, kind)
        for by in (guest, None):
            for path in (
                "/content/articles/invitations/accept",
                f"/content/articles/invitations/{key}",
                "/invitations/accept",
            ):
                refused(accept(library, token, by, path), 409, "invitation-accepted")
        assert (levels(library, key, guest), visibility(library, key, owner)) == ([None], "PRIVATE")
    refused(library.get(f"/content/articles/{key}", guest.token), 404)


def test_neither_used_nor_replaced_links_readmit_after_a_new_account(library: House) -> None:
    owner, email = library.user("host"), new_address()
    key = article(library, owner)
    made, old = asked(library, key, owner, email)
    new = library.mail_of(library.post(f"/invitations/{made}/resend", token=owner.token).json).token
    user = accept(library, new, **PROFILE).json["user"]
    assert library.delete(f"/users/{user['id']}", library.key).status == 204
    for token in (old, new):
        refused(accept(library, token, **PROFILE), 409, "invitation-accepted")
    assert access(library, key)["users"] == []
    assert visibility(library, key, owner) == "PRIVATE"


def test_who_was_removed_may_be_invited_again(library: House) -> None:
    owner, guest = library.user(), library.user()
    key = article(library, owner)
    _, used = asked(library, key, owner, guest.email)
    accept(library, used, guest)
    put_access(library, key, owner, "PRIVATE")
    _, fresh = asked(library, key, owner, guest.email)
    assert accept(library, fresh, guest).status == 200
    refused(accept(library, used, guest), 409, "invitation-accepted")


# ---- objects ---------------------------------------------------------------------------------------------------------


def test_an_object_made_again_under_its_key_inherits_nothing(library: House) -> None:
    owner, friend, guest, late, group = library.user(), library.user(), library.user(), library.user(), library.group()
    member = library.user()
    join(library, group, member)
    key = article(library, owner, key=f"again-{next(numbers)}", title="Old", data={"old": 1})
    _, used = asked(library, key, owner, late.email)
    accept(library, used, late)
    share(library, key, owner, (friend, "MAINTAINER"), (late, "VIEWER"), **{group: "EDITOR"})
    made, token = asked(library, key, owner, guest.email)
    assert library.delete(f"/content/articles/{key}", owner.token).status == 200
    assert (library.invitation(made)["state"], library.invitation(made)["content"]) == (
        "REVOKED", [{"contentType": "articles", "key": key, "role": "VIEWER", "void": True}],
    )  # fmt: skip
    assert "deleted" in cause_of(library, made)
    other = library.user()
    again = library.post("/content/articles", {"title": "New", "key": key, "ownerId": other.id}, library.key)
    assert (again.status, again.json["data"], again.json["access"]["visibility"]) == (201, None, "PRIVATE")
    assert levels(library, key, owner, friend, late, member, guest) == [None] * 5
    for path in ("/content/articles/invitations/accept", f"/content/articles/invitations/{key}"):
        refused(accept(library, token, guest, path), 410, "invitation-revoked")
        refused(accept(library, used, late, path), 409, "invitation-accepted")
    details = access(library, key)
    assert (details["users"], details["groups"], details["invitations"]) == ([], {}, [])
    fresh = ask(library, key, other, guest.email)
    assert fresh.status == 200
    assert len(fresh.json["invitations"]) == 1


def test_a_bundle_of_a_removed_object_gives_the_rest(library: House) -> None:
    owner, guest = library.user(), library.user(role=None)
    gone, stays = article(library, owner), article(library, owner)
    content = [{"contentType": "articles", "key": key, "role": "EDITOR"} for key in (gone, stays)]
    made = library.post(
        "/invitations", {"inviteEmail": guest.email, "role": "customer", "content": content}, library.key
    ).json
    token = library.mail_of(made).token
    library.delete(f"/content/articles/{gone}", owner.token)
    after = library.invitation(made["id"])
    assert (after["state"], {one["key"]: one["void"] for one in after["content"]}) == (
        "PENDING",
        {gone: True, stays: False},
    )
    article(library, owner, key=gone)
    got = library.accept(token, by=guest)
    assert (got.status, got.json["user"]["role"]) == (200, "customer")
    assert levels(library, stays, guest) + levels(library, gone, guest) == ["EDITOR", None]


def test_a_bundle_with_a_role_outlives_its_object(library: House) -> None:
    owner, guest = library.user(), library.user(role=None)
    key = article(library, owner)
    content = [{"contentType": "articles", "key": key, "role": "EDITOR"}]
    made = library.post(
        "/invitations", {"inviteEmail": guest.email, "role": "customer", "content": content}, library.key
    ).json
    token = library.mail_of(made).token
    put_access(library, key, owner, "PRIVATE")
    assert library.invitation(made["id"])["state"] == "PENDING"
    assert library.accept(token, by=guest).json["user"]["role"] == "customer"
    assert (levels(library, key, guest), visibility(library, key, owner)) == ([None], "PRIVATE")


def test_private_tells_why_in_the_history(library: House) -> None:
    owner = library.user()
    key = article(library, owner)
    made, _ = asked(library, key, owner, new_address())
    put_access(library, key, owner, "PRIVATE")
    assert "private" in cause_of(library, made)
    put_access(library, key, owner, "PRIVATE")
    assert "private" in cause_of(library, made)


def test_private_again_and_again_never_revives(library: House) -> None:
    owner, guest = library.user(), library.user()
    key = article(library, owner)
    made, token = asked(library, key, owner, guest.email)
    for kind in ("PRIVATE", "PUBLIC", "SHARED"):
        put_access(library, key, owner, kind)
        refused(accept(library, token, guest), 410, "invitation-revoked")
    assert library.post(f"/invitations/{made}/resend", token=library.key).status == 409


def test_private_leaves_other_objects_alone(library: House) -> None:
    owner, guest = library.user(), library.user()
    key, other = article(library, owner), article(library, owner)
    share(library, other, owner, (guest, "VIEWER"))
    _, token = asked(library, other, owner, guest.email, "EDITOR")
    put_access(library, key, owner, "PRIVATE")
    assert levels(library, other, guest) == ["VIEWER"]
    assert accept(library, token, guest).status == 200


# ---- the inviter -----------------------------------------------------------------------------------------------------


def fall(house: House, way: str, key: str, owner: Person, sponsor: Person) -> None:
    if way == "demoted":
        share(house, key, owner, (sponsor, "EDITOR"))
    elif way == "removed":
        put_access(house, key, owner, "SHARED")
    elif way == "blocked":
        house.patch(f"/users/{sponsor.id}", {"blocked": True}, house.key)
    else:
        assert house.delete(f"/users/{sponsor.id}", house.key).status == 204


@pytest.mark.parametrize("way", ["demoted", "removed", "blocked", "erased"])
def test_a_link_falls_with_the_right_of_its_sponsor(library: House, way: str) -> None:
    owner, sponsor, guest = library.user(), library.user(), library.user()
    key = article(library, owner)
    share(library, key, owner, (sponsor, "MAINTAINER"))
    made, token = asked(library, key, sponsor, guest.email)
    fall(library, way, key, owner, sponsor)
    for by in (guest, None):
        for path in (
            "/content/articles/invitations/accept",
            f"/content/articles/invitations/{key}",
            "/invitations/accept",
        ):
            refused(accept(library, token, by, path), 409, "inviter-not-allowed")
    assert (library.invitation(made)["state"], levels(library, key, guest)) == ("PENDING", [None])


def test_a_link_stands_up_with_its_sponsor(library: House) -> None:
    owner, sponsor, guest = library.user(), library.user(), library.user()
    key = article(library, owner)
    share(library, key, owner, (sponsor, "MAINTAINER"))
    _, token = asked(library, key, sponsor, guest.email)
    share(library, key, owner, (sponsor, "EDITOR"))
    refused(accept(library, token, guest), 409, "inviter-not-allowed")
    share(library, key, owner, (sponsor, "MAINTAINER"))
    assert accept(library, token, guest).status == 200


def test_a_maintainer_by_group_is_one_as_long_as_he_is_in_it(library: House) -> None:
    owner, sponsor, guest, group = library.user(), library.user(), library.user(), library.group()
    join(library, group, sponsor)
    key = article(library, owner)
    share(library, key, owner, **{group: "MAINTAINER"})
    _, token = asked(library, key, sponsor, guest.email)
    library.delete(f"/groups/{group}/members/{sponsor.id}", library.key)
    refused(accept(library, token, guest), 409, "inviter-not-allowed")
    join(library, group, sponsor)
    assert accept(library, token, guest).status == 200


def test_a_curator_invites_while_the_role_says_so(library: House) -> None:
    curator, guest = library.user("curator"), library.user()
    key = article(library, library.user())
    _, token = asked(library, key, curator, guest.email)
    library.patch(f"/users/{curator.id}", {"role": "customer"}, library.key)
    refused(accept(library, token, guest), 409, "inviter-not-allowed")
    library.patch(f"/users/{curator.id}", {"role": "curator"}, library.key)
    assert accept(library, token, guest).status == 200


def test_an_owner_who_gave_it_away_is_maintainer_still(library: House) -> None:
    owner, heir, guest = library.user(), library.user(), library.user()
    key = article(library, owner)
    _, token = asked(library, key, owner, guest.email, "MAINTAINER")
    library.put(f"/content/articles/{key}/owner", {"newOwnerId": heir.id}, owner.token)
    share(library, key, heir, (guest, "VIEWER"))
    refused(accept(library, token, guest), 409, "inviter-not-allowed")
    share(library, key, heir, (owner, "MAINTAINER"))
    assert accept(library, token, guest).status == 200
    assert levels(library, key, guest) == ["MAINTAINER"]


def test_one_object_beyond_the_sponsor_stops_the_bundle(library: House) -> None:
    host, other, guest = library.user("host"), library.user(), library.user()
    own, shared = article(library, host), article(library, other)
    share(library, shared, other, (host, "MAINTAINER"))
    content = [{"contentType": "articles", "key": key, "role": "VIEWER"} for key in (own, shared)]
    made = library.post("/invitations", {"inviteEmail": guest.email, "content": content}, host.token).json
    token = library.mail_of(made).token
    put_access(library, shared, other, "SHARED")
    refused(accept(library, token, guest), 409, "inviter-not-allowed")
    assert levels(library, own, guest) + levels(library, shared, guest) == [None, None]
    library.delete(f"/content/articles/{shared}", other.token)
    assert accept(library, token, guest).status == 200
    assert levels(library, own, guest) == ["VIEWER"]


def test_a_resend_by_another_maintainer_revives_a_fallen_link(library: House) -> None:
    owner, sponsor, guest = library.user("host"), library.user(), library.user()
    key = article(library, owner)
    share(library, key, owner, (sponsor, "MAINTAINER"))
    made, token = asked(library, key, sponsor, guest.email)
    fall(library, "blocked", key, owner, sponsor)
    refused(accept(library, token, guest), 409, "inviter-not-allowed")
    again = library.post(f"/invitations/{made}/resend", token=library.key)
    assert again.status == 202
    assert accept(library, library.mail_of(again.json).token, guest).status == 200


# ---- groups ----------------------------------------------------------------------------------------------------------


def test_a_deleted_group_takes_its_access_along_and_voids_nothing_else(library: House) -> None:
    owner, member, guest, group = library.user(), library.user(), library.user(), library.group()
    join(library, group, member)
    key = article(library, owner)
    share(library, key, owner, **{group: "MAINTAINER"})
    made, token = asked(library, key, owner, guest.email)
    assert library.delete(f"/groups/{group}", library.key).status == 204
    assert (levels(library, key, member), access(library, key)["groups"]) == ([None], {})
    assert visibility(library, key, owner) == "PRIVATE"
    assert library.post("/groups", {"key": group, "name": "Again"}, library.key).status == 201
    join(library, group, member)
    assert (levels(library, key, member), access(library, key)["groups"]) == ([None], {})
    assert library.invitation(made)["state"] == "PENDING"
    assert accept(library, token, guest).status == 200
    assert visibility(library, key, owner) == "SHARED"


def test_a_deleted_group_leaves_what_others_share(library: House) -> None:
    owner, friend, group = library.user(), library.user(), library.group()
    shared, public = article(library, owner), article(library, owner)
    share(library, shared, owner, (friend, "VIEWER"), **{group: "EDITOR"})
    put_access(library, public, owner, "PUBLIC", sharedGroups={group: "EDITOR"})
    library.delete(f"/groups/{group}", library.key)
    assert [visibility(library, key, owner) for key in (shared, public)] == ["SHARED", "PUBLIC"]
    assert levels(library, shared, friend) == ["VIEWER"]


# ---- erasure ---------------------------------------------------------------------------------------------------------


def test_who_owns_something_is_erased_only_with_an_heir(library: House) -> None:
    owner, heir, friend = library.user(), library.user(), library.user()
    keys = [article(library, owner) for _ in range(3)]
    recipe = article(library, owner, kind="recipes")
    share(library, keys[0], owner, (friend, "EDITOR"), (heir, "VIEWER"))
    refused(library.delete(f"/users/{owner.id}", library.key), 409, "owns-content")
    refused(library.delete(f"/users/{owner.id}?newOwnerId={NOBODY}", library.key), 404, "user-not-found")
    assert library.delete(f"/users/{owner.id}?newOwnerId={owner.id}", library.key).status in {400, 404, 409, 422}
    assert library.delete(f"/users/{owner.id}?newOwnerId=x", library.key).status in {400, 404}
    assert [levels(library, key, owner) for key in keys] == [["OWNER"]] * 3
    assert library.delete(f"/users/{owner.id}?newOwnerId={heir.id}", library.key).status == 204
    assert [levels(library, key, heir) for key in keys] == [["OWNER"]] * 3
    assert levels(library, recipe, heir, kind="recipes") == ["OWNER"]
    assert users_of(access(library, keys[0])) == {friend.id: "EDITOR"}
    assert [visibility(library, key, heir) for key in keys] == ["SHARED", "PRIVATE", "PRIVATE"]
    refused(library.delete(f"/users/{heir.id}", library.key), 409, "owns-content")


def test_who_owned_what_was_removed_is_erased(library: House) -> None:
    owner = library.user()
    key = article(library, owner)
    library.delete(f"/content/articles/{key}", owner.token)
    assert library.delete(f"/users/{owner.id}", library.key).status == 204


def test_the_erased_leave_access_and_the_last_one_closes_it(library: House) -> None:
    owner, guest, friend, late = (library.user() for _ in range(4))
    key = article(library, owner)
    share(library, key, owner, (guest, "EDITOR"), (friend, "VIEWER"))
    made, token = asked(library, key, owner, late.email)
    library.delete(f"/users/{guest.id}", library.key)
    assert users_of(access(library, key)) == {friend.id: "VIEWER"}
    assert guest.email not in str(access(library, key))
    library.delete(f"/users/{friend.id}", library.key)
    assert (access(library, key)["users"], visibility(library, key, owner)) == ([], "PRIVATE")
    assert library.invitation(made)["state"] == "PENDING"
    assert accept(library, token, late).status == 200


def test_an_erased_invitee_leaves_no_trace(library: House) -> None:
    owner, address = library.user(), new_address("quince.vanterpool")
    guest = library.user(email=address, firstName="Quince", lastName="Vanterpool")
    key = article(library, owner)
    _, used = asked(library, key, owner, address)
    accept(library, used, guest)
    asked(library, key, owner, address, "EDITOR", message="Dear Quince")
    assert library.delete(f"/users/{guest.id}", library.key).status == 204
    assert address not in str(access(library, key))
    left = dump(library.database).lower()
    for word in ("quince", "vanterpool"):
        assert word not in left, [line for line in left.splitlines() if word in line][:3]


def test_a_blocked_invitee_keeps_nothing_to_use(library: House) -> None:
    owner, guest = library.user(), library.user()
    key = article(library, owner)
    _, token = asked(library, key, owner, guest.email)
    accept(library, token, guest)
    library.patch(f"/users/{guest.id}", {"blocked": True}, library.key)
    refused(library.get(f"/content/articles/{key}", guest.token), 401)
    assert levels(library, key, guest) == [None]
    library.patch(f"/users/{guest.id}", {"blocked": False}, library.key)
    assert shown(library, key, library.login(guest.email))["key"] == key
