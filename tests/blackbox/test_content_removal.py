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
from tests.support.installation import PROFILE, Installation, Person, new_address, numbers, refused


def cause_of(installation: Installation, invitation_id: str) -> str:
    """What the only event of an invitation's end says about why."""
    (event,) = [event for event in installation.events(invitation_id) if event["type"] == "invitation.revoked"]
    return str(event["data"].get("cause"))


# ---- links that were used --------------------------------------------------------------------------------------------


def test_a_used_link_readmits_nobody(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    _, token = asked(content_installation, key, owner, guest.email, "EDITOR")
    assert accept(content_installation, token, guest).status == 200
    for kind in ("SHARED", "PRIVATE"):
        put_access(content_installation, key, owner, kind)
        for by in (guest, None):
            for path in (
                "/content/articles/invitations/accept",
                f"/content/articles/invitations/{key}",
                "/invitations/accept",
            ):
                refused(accept(content_installation, token, by, path), 409, "invitation-accepted")
        assert (levels(content_installation, key, guest), visibility(content_installation, key, owner)) == (
            [None],
            "PRIVATE",
        )
    refused(content_installation.get(f"/content/articles/{key}", guest.token), 404)


def test_neither_used_nor_replaced_links_readmit_after_a_new_account(content_installation: Installation) -> None:
    owner, email = content_installation.user("host"), new_address()
    key = article(content_installation, owner)
    made, old = asked(content_installation, key, owner, email)
    new = content_installation.mail_of(
        content_installation.post(f"/invitations/{made}/resend", token=owner.token).json
    ).token
    user = accept(content_installation, new, **PROFILE).json["user"]
    assert content_installation.delete(f"/users/{user['id']}", content_installation.key).status == 204
    for token in (old, new):
        refused(accept(content_installation, token, **PROFILE), 409, "invitation-accepted")
    assert access(content_installation, key)["users"] == []
    assert visibility(content_installation, key, owner) == "PRIVATE"


def test_who_was_removed_may_be_invited_again(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    _, used = asked(content_installation, key, owner, guest.email)
    accept(content_installation, used, guest)
    put_access(content_installation, key, owner, "PRIVATE")
    _, fresh = asked(content_installation, key, owner, guest.email)
    assert accept(content_installation, fresh, guest).status == 200
    refused(accept(content_installation, used, guest), 409, "invitation-accepted")


# ---- objects ---------------------------------------------------------------------------------------------------------


def test_an_object_made_again_under_its_key_inherits_nothing(content_installation: Installation) -> None:
    owner, friend, guest, late, group = (
        content_installation.user(),
        content_installation.user(),
        content_installation.user(),
        content_installation.user(),
        content_installation.group(),
    )
    member = content_installation.user()
    join(content_installation, group, member)
    key = article(content_installation, owner, key=f"again-{next(numbers)}", title="Old", data={"old": 1})
    _, used = asked(content_installation, key, owner, late.email)
    accept(content_installation, used, late)
    share(content_installation, key, owner, (friend, "MAINTAINER"), (late, "VIEWER"), **{group: "EDITOR"})
    made, token = asked(content_installation, key, owner, guest.email)
    assert content_installation.delete(f"/content/articles/{key}", owner.token).status == 200
    assert (content_installation.invitation(made)["state"], content_installation.invitation(made)["content"]) == (
        "REVOKED", [{"contentType": "articles", "key": key, "role": "VIEWER", "void": True}],
    )  # fmt: skip
    assert "deleted" in cause_of(content_installation, made)
    other = content_installation.user()
    again = content_installation.post(
        "/content/articles", {"title": "New", "key": key, "ownerId": other.id}, content_installation.key
    )
    assert (again.status, again.json["data"], again.json["access"]["visibility"]) == (201, None, "PRIVATE")
    assert levels(content_installation, key, owner, friend, late, member, guest) == [None] * 5
    for path in ("/content/articles/invitations/accept", f"/content/articles/invitations/{key}"):
        refused(accept(content_installation, token, guest, path), 410, "invitation-revoked")
        refused(accept(content_installation, used, late, path), 409, "invitation-accepted")
    details = access(content_installation, key)
    assert (details["users"], details["groups"], details["invitations"]) == ([], {}, [])
    fresh = ask(content_installation, key, other, guest.email)
    assert fresh.status == 200
    assert len(fresh.json["invitations"]) == 1


def test_a_bundle_of_a_removed_object_gives_the_rest(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user(role=None)
    gone, stays = article(content_installation, owner), article(content_installation, owner)
    content = [{"contentType": "articles", "key": key, "role": "EDITOR"} for key in (gone, stays)]
    made = content_installation.post(
        "/invitations", {"inviteEmail": guest.email, "role": "customer", "content": content}, content_installation.key
    ).json
    token = content_installation.mail_of(made).token
    content_installation.delete(f"/content/articles/{gone}", owner.token)
    after = content_installation.invitation(made["id"])
    assert (after["state"], {one["key"]: one["void"] for one in after["content"]}) == (
        "PENDING",
        {gone: True, stays: False},
    )
    article(content_installation, owner, key=gone)
    got = content_installation.accept(token, by=guest)
    assert (got.status, got.json["user"]["role"]) == (200, "customer")
    assert levels(content_installation, stays, guest) + levels(content_installation, gone, guest) == ["EDITOR", None]


def test_a_bundle_with_a_role_outlives_its_object(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user(role=None)
    key = article(content_installation, owner)
    content = [{"contentType": "articles", "key": key, "role": "EDITOR"}]
    made = content_installation.post(
        "/invitations", {"inviteEmail": guest.email, "role": "customer", "content": content}, content_installation.key
    ).json
    token = content_installation.mail_of(made).token
    put_access(content_installation, key, owner, "PRIVATE")
    assert content_installation.invitation(made["id"])["state"] == "PENDING"
    assert content_installation.accept(token, by=guest).json["user"]["role"] == "customer"
    assert (levels(content_installation, key, guest), visibility(content_installation, key, owner)) == (
        [None],
        "PRIVATE",
    )


def test_private_tells_why_in_the_history(content_installation: Installation) -> None:
    owner = content_installation.user()
    key = article(content_installation, owner)
    made, _ = asked(content_installation, key, owner, new_address())
    put_access(content_installation, key, owner, "PRIVATE")
    assert "private" in cause_of(content_installation, made)
    put_access(content_installation, key, owner, "PRIVATE")
    assert "private" in cause_of(content_installation, made)


def test_private_again_and_again_never_revives(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    made, token = asked(content_installation, key, owner, guest.email)
    for kind in ("PRIVATE", "PUBLIC", "SHARED"):
        put_access(content_installation, key, owner, kind)
        refused(accept(content_installation, token, guest), 410, "invitation-revoked")
    assert content_installation.post(f"/invitations/{made}/resend", token=content_installation.key).status == 409


def test_private_leaves_other_objects_alone(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key, other = article(content_installation, owner), article(content_installation, owner)
    share(content_installation, other, owner, (guest, "VIEWER"))
    _, token = asked(content_installation, other, owner, guest.email, "EDITOR")
    put_access(content_installation, key, owner, "PRIVATE")
    assert levels(content_installation, other, guest) == ["VIEWER"]
    assert accept(content_installation, token, guest).status == 200


# ---- the inviter -----------------------------------------------------------------------------------------------------


def fall(installation: Installation, way: str, key: str, owner: Person, sponsor: Person) -> None:
    if way == "demoted":
        share(installation, key, owner, (sponsor, "EDITOR"))
    elif way == "removed":
        put_access(installation, key, owner, "SHARED")
    elif way == "blocked":
        installation.patch(f"/users/{sponsor.id}", {"blocked": True}, installation.key)
    else:
        assert installation.delete(f"/users/{sponsor.id}", installation.key).status == 204


@pytest.mark.parametrize("way", ["demoted", "removed", "blocked", "erased"])
def test_a_link_falls_with_the_right_of_its_sponsor(content_installation: Installation, way: str) -> None:
    owner, sponsor, guest = content_installation.user(), content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    share(content_installation, key, owner, (sponsor, "MAINTAINER"))
    made, token = asked(content_installation, key, sponsor, guest.email)
    fall(content_installation, way, key, owner, sponsor)
    for by in (guest, None):
        for path in (
            "/content/articles/invitations/accept",
            f"/content/articles/invitations/{key}",
            "/invitations/accept",
        ):
            refused(accept(content_installation, token, by, path), 409, "inviter-not-allowed")
    assert (content_installation.invitation(made)["state"], levels(content_installation, key, guest)) == (
        "PENDING",
        [None],
    )


def test_a_link_stands_up_with_its_sponsor(content_installation: Installation) -> None:
    owner, sponsor, guest = content_installation.user(), content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    share(content_installation, key, owner, (sponsor, "MAINTAINER"))
    _, token = asked(content_installation, key, sponsor, guest.email)
    share(content_installation, key, owner, (sponsor, "EDITOR"))
    refused(accept(content_installation, token, guest), 409, "inviter-not-allowed")
    share(content_installation, key, owner, (sponsor, "MAINTAINER"))
    assert accept(content_installation, token, guest).status == 200


def test_a_maintainer_by_group_is_one_as_long_as_he_is_in_it(content_installation: Installation) -> None:
    owner, sponsor, guest, group = (
        content_installation.user(),
        content_installation.user(),
        content_installation.user(),
        content_installation.group(),
    )
    join(content_installation, group, sponsor)
    key = article(content_installation, owner)
    share(content_installation, key, owner, **{group: "MAINTAINER"})
    _, token = asked(content_installation, key, sponsor, guest.email)
    content_installation.delete(f"/groups/{group}/members/{sponsor.id}", content_installation.key)
    refused(accept(content_installation, token, guest), 409, "inviter-not-allowed")
    join(content_installation, group, sponsor)
    assert accept(content_installation, token, guest).status == 200


def test_a_curator_invites_while_the_role_says_so(content_installation: Installation) -> None:
    curator, guest = content_installation.user("curator"), content_installation.user()
    key = article(content_installation, content_installation.user())
    _, token = asked(content_installation, key, curator, guest.email)
    content_installation.patch(f"/users/{curator.id}", {"role": "customer"}, content_installation.key)
    refused(accept(content_installation, token, guest), 409, "inviter-not-allowed")
    content_installation.patch(f"/users/{curator.id}", {"role": "curator"}, content_installation.key)
    assert accept(content_installation, token, guest).status == 200


def test_an_owner_who_gave_it_away_is_maintainer_still(content_installation: Installation) -> None:
    owner, heir, guest = content_installation.user(), content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    _, token = asked(content_installation, key, owner, guest.email, "MAINTAINER")
    content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": heir.id}, owner.token)
    share(content_installation, key, heir, (guest, "VIEWER"))
    refused(accept(content_installation, token, guest), 409, "inviter-not-allowed")
    share(content_installation, key, heir, (owner, "MAINTAINER"))
    assert accept(content_installation, token, guest).status == 200
    assert levels(content_installation, key, guest) == ["MAINTAINER"]


def test_one_object_beyond_the_sponsor_stops_the_bundle(content_installation: Installation) -> None:
    host, other, guest = content_installation.user("host"), content_installation.user(), content_installation.user()
    own, shared = article(content_installation, host), article(content_installation, other)
    share(content_installation, shared, other, (host, "MAINTAINER"))
    content = [{"contentType": "articles", "key": key, "role": "VIEWER"} for key in (own, shared)]
    made = content_installation.post("/invitations", {"inviteEmail": guest.email, "content": content}, host.token).json
    token = content_installation.mail_of(made).token
    put_access(content_installation, shared, other, "SHARED")
    refused(accept(content_installation, token, guest), 409, "inviter-not-allowed")
    assert levels(content_installation, own, guest) + levels(content_installation, shared, guest) == [None, None]
    content_installation.delete(f"/content/articles/{shared}", other.token)
    assert accept(content_installation, token, guest).status == 200
    assert levels(content_installation, own, guest) == ["VIEWER"]


def test_a_resend_by_another_maintainer_revives_a_fallen_link(content_installation: Installation) -> None:
    owner, sponsor, guest = content_installation.user("host"), content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    share(content_installation, key, owner, (sponsor, "MAINTAINER"))
    made, token = asked(content_installation, key, sponsor, guest.email)
    fall(content_installation, "blocked", key, owner, sponsor)
    refused(accept(content_installation, token, guest), 409, "inviter-not-allowed")
    again = content_installation.post(f"/invitations/{made}/resend", token=content_installation.key)
    assert again.status == 202
    assert accept(content_installation, content_installation.mail_of(again.json).token, guest).status == 200


# ---- groups ----------------------------------------------------------------------------------------------------------


def test_a_deleted_group_takes_its_access_along_and_voids_nothing_else(content_installation: Installation) -> None:
    owner, member, guest, group = (
        content_installation.user(),
        content_installation.user(),
        content_installation.user(),
        content_installation.group(),
    )
    join(content_installation, group, member)
    key = article(content_installation, owner)
    share(content_installation, key, owner, **{group: "MAINTAINER"})
    made, token = asked(content_installation, key, owner, guest.email)
    assert content_installation.delete(f"/groups/{group}", content_installation.key).status == 204
    assert (levels(content_installation, key, member), access(content_installation, key)["groups"]) == ([None], {})
    assert visibility(content_installation, key, owner) == "PRIVATE"
    assert content_installation.post("/groups", {"key": group, "name": "Again"}, content_installation.key).status == 201
    join(content_installation, group, member)
    assert (levels(content_installation, key, member), access(content_installation, key)["groups"]) == ([None], {})
    assert content_installation.invitation(made)["state"] == "PENDING"
    assert accept(content_installation, token, guest).status == 200
    assert visibility(content_installation, key, owner) == "SHARED"


def test_a_deleted_group_leaves_what_others_share(content_installation: Installation) -> None:
    owner, friend, group = content_installation.user(), content_installation.user(), content_installation.group()
    shared, public = article(content_installation, owner), article(content_installation, owner)
    share(content_installation, shared, owner, (friend, "VIEWER"), **{group: "EDITOR"})
    put_access(content_installation, public, owner, "PUBLIC", sharedGroups={group: "EDITOR"})
    content_installation.delete(f"/groups/{group}", content_installation.key)
    assert [visibility(content_installation, key, owner) for key in (shared, public)] == ["SHARED", "PUBLIC"]
    assert levels(content_installation, shared, friend) == ["VIEWER"]


# ---- erasure ---------------------------------------------------------------------------------------------------------


def test_who_owns_something_is_erased_only_with_an_heir(content_installation: Installation) -> None:
    owner, heir, friend = content_installation.user(), content_installation.user(), content_installation.user()
    keys = [article(content_installation, owner) for _ in range(3)]
    recipe = article(content_installation, owner, kind="recipes")
    share(content_installation, keys[0], owner, (friend, "EDITOR"), (heir, "VIEWER"))
    refused(content_installation.delete(f"/users/{owner.id}", content_installation.key), 409, "owns-content")
    refused(
        content_installation.delete(f"/users/{owner.id}?newOwnerId={NOBODY}", content_installation.key),
        404,
        "user-not-found",
    )
    assert content_installation.delete(f"/users/{owner.id}?newOwnerId={owner.id}", content_installation.key).status in {
        400,
        404,
        409,
        422,
    }
    assert content_installation.delete(f"/users/{owner.id}?newOwnerId=x", content_installation.key).status in {400, 404}
    assert [levels(content_installation, key, owner) for key in keys] == [["OWNER"]] * 3
    assert (
        content_installation.delete(f"/users/{owner.id}?newOwnerId={heir.id}", content_installation.key).status == 204
    )
    assert [levels(content_installation, key, heir) for key in keys] == [["OWNER"]] * 3
    assert levels(content_installation, recipe, heir, kind="recipes") == ["OWNER"]
    assert users_of(access(content_installation, keys[0])) == {friend.id: "EDITOR"}
    assert [visibility(content_installation, key, heir) for key in keys] == ["SHARED", "PRIVATE", "PRIVATE"]
    refused(content_installation.delete(f"/users/{heir.id}", content_installation.key), 409, "owns-content")


def test_who_owned_what_was_removed_is_erased(content_installation: Installation) -> None:
    owner = content_installation.user()
    key = article(content_installation, owner)
    content_installation.delete(f"/content/articles/{key}", owner.token)
    assert content_installation.delete(f"/users/{owner.id}", content_installation.key).status == 204


def test_the_erased_leave_access_and_the_last_one_closes_it(content_installation: Installation) -> None:
    owner, guest, friend, late = (content_installation.user() for _ in range(4))
    key = article(content_installation, owner)
    share(content_installation, key, owner, (guest, "EDITOR"), (friend, "VIEWER"))
    made, token = asked(content_installation, key, owner, late.email)
    content_installation.delete(f"/users/{guest.id}", content_installation.key)
    assert users_of(access(content_installation, key)) == {friend.id: "VIEWER"}
    assert guest.email not in str(access(content_installation, key))
    content_installation.delete(f"/users/{friend.id}", content_installation.key)
    assert (access(content_installation, key)["users"], visibility(content_installation, key, owner)) == ([], "PRIVATE")
    assert content_installation.invitation(made)["state"] == "PENDING"
    assert accept(content_installation, token, late).status == 200


def test_an_erased_invitee_leaves_no_trace(content_installation: Installation) -> None:
    owner, address = content_installation.user(), new_address("quince.vanterpool")
    guest = content_installation.user(email=address, firstName="Quince", lastName="Vanterpool")
    key = article(content_installation, owner)
    _, used = asked(content_installation, key, owner, address)
    accept(content_installation, used, guest)
    asked(content_installation, key, owner, address, "EDITOR", message="Dear Quince")
    assert content_installation.delete(f"/users/{guest.id}", content_installation.key).status == 204
    assert address not in str(access(content_installation, key))
    left = dump(content_installation.database).lower()
    for word in ("quince", "vanterpool"):
        assert word not in left, [line for line in left.splitlines() if word in line][:3]


def test_a_blocked_invitee_keeps_nothing_to_use(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    _, token = asked(content_installation, key, owner, guest.email)
    accept(content_installation, token, guest)
    content_installation.patch(f"/users/{guest.id}", {"blocked": True}, content_installation.key)
    refused(content_installation.get(f"/content/articles/{key}", guest.token), 401)
    assert levels(content_installation, key, guest) == [None]
    content_installation.patch(f"/users/{guest.id}", {"blocked": False}, content_installation.key)
    assert shown(content_installation, key, content_installation.login(guest.email))["key"] == key
