"""Invitations and access that end: deleted or private objects, deleted groups, sponsors without rights, erasure."""

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
    post_invitation,
    put_access,
    roles_of_users,
    share,
)
from tests.support.database_dump import dump
from tests.support.installation import PROFILE, Installation, SignedInUser, check_problem, new_address, numbers


def cause_of(installation: Installation, invitation_id: str) -> str:
    """Return the cause in the only revoked event of an invitation."""
    (event,) = [event for event in installation.events(invitation_id) if event["type"] == "invitation.revoked"]
    return str(event["data"].get("cause"))


# ---- used links ------------------------------------------------------------------------------------------------------


def test_a_used_link_does_not_restore_access(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    _, token = create_invitation(content_installation, key, owner, guest.email, "EDITOR")
    assert accept(content_installation, token, guest).status == 200
    for kind in ("SHARED", "PRIVATE"):
        put_access(content_installation, key, owner, kind)
        for by in (guest, None):
            for path in (
                "/content/articles/invitations/accept",
                f"/content/articles/invitations/{key}",
                "/invitations/accept",
            ):
                check_problem(accept(content_installation, token, by, path), 409, "invitation-accepted")
        assert (check_levels(content_installation, key, guest), get_visibility(content_installation, key, owner)) == (
            [None],
            "PRIVATE",
        )
    check_problem(content_installation.get(f"/content/articles/{key}", guest.token), 404)


def test_used_and_superseded_links_do_not_work_for_a_new_account(content_installation: Installation) -> None:
    owner, email = content_installation.user("host"), new_address()
    key = create_object(content_installation, owner)
    invitation_id, old = create_invitation(content_installation, key, owner, email)
    new = content_installation.mail_of(
        content_installation.post(f"/invitations/{invitation_id}/resend", token=owner.token).json
    ).token
    user = accept(content_installation, new, **PROFILE).json["user"]
    assert content_installation.delete(f"/users/{user['id']}", content_installation.key).status == 204
    for token in (old, new):
        check_problem(accept(content_installation, token, **PROFILE), 409, "invitation-accepted")
    assert get_access(content_installation, key)["users"] == []
    assert get_visibility(content_installation, key, owner) == "PRIVATE"


def test_a_removed_user_can_be_invited_again(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    _, used = create_invitation(content_installation, key, owner, guest.email)
    accept(content_installation, used, guest)
    put_access(content_installation, key, owner, "PRIVATE")
    _, fresh = create_invitation(content_installation, key, owner, guest.email)
    assert accept(content_installation, fresh, guest).status == 200
    check_problem(accept(content_installation, used, guest), 409, "invitation-accepted")


# ---- objects ---------------------------------------------------------------------------------------------------------


def test_an_object_created_again_with_the_same_key_inherits_nothing(content_installation: Installation) -> None:
    owner, friend, guest, late, group = (
        content_installation.user(),
        content_installation.user(),
        content_installation.user(),
        content_installation.user(),
        content_installation.group(),
    )
    member = content_installation.user()
    add_members(content_installation, group, member)
    key = create_object(content_installation, owner, key=f"again-{next(numbers)}", title="Old", data={"old": 1})
    _, used = create_invitation(content_installation, key, owner, late.email)
    accept(content_installation, used, late)
    share(content_installation, key, owner, (friend, "MAINTAINER"), (late, "VIEWER"), **{group: "EDITOR"})
    invitation_id, token = create_invitation(content_installation, key, owner, guest.email)
    assert content_installation.delete(f"/content/articles/{key}", owner.token).status == 200
    invitation = content_installation.invitation(invitation_id)
    assert invitation["state"] == "REVOKED"
    assert invitation["content"] == [{"contentType": "articles", "key": key, "role": "VIEWER", "void": True}]
    assert "deleted" in cause_of(content_installation, invitation_id)
    other = content_installation.user()
    again = content_installation.post(
        "/content/articles", {"title": "New", "key": key, "ownerId": other.id}, content_installation.key
    )
    assert (again.status, again.json["data"], again.json["access"]["visibility"]) == (201, None, "PRIVATE")
    assert check_levels(content_installation, key, owner, friend, late, member, guest) == [None] * 5
    for path in ("/content/articles/invitations/accept", f"/content/articles/invitations/{key}"):
        check_problem(accept(content_installation, token, guest, path), 410, "invitation-revoked")
        check_problem(accept(content_installation, used, late, path), 409, "invitation-accepted")
    details = get_access(content_installation, key)
    assert (details["users"], details["groups"], details["invitations"]) == ([], {}, [])
    fresh = post_invitation(content_installation, key, other, guest.email)
    assert fresh.status == 200
    assert len(fresh.json["invitations"]) == 1


def test_an_invitation_still_grants_the_objects_that_remain(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user(role=None)
    gone, stays = create_object(content_installation, owner), create_object(content_installation, owner)
    content = [{"contentType": "articles", "key": key, "role": "EDITOR"} for key in (gone, stays)]
    invitation_id = content_installation.post(
        "/invitations", {"inviteEmail": guest.email, "role": "customer", "content": content}, content_installation.key
    ).json
    token = content_installation.mail_of(invitation_id).token
    content_installation.delete(f"/content/articles/{gone}", owner.token)
    after = content_installation.invitation(invitation_id["id"])
    assert (after["state"], {grant["key"]: grant["void"] for grant in after["content"]}) == (
        "PENDING",
        {gone: True, stays: False},
    )
    create_object(content_installation, owner, key=gone)
    answer = content_installation.accept(token, by=guest)
    assert (answer.status, answer.json["user"]["role"]) == (200, "customer")
    assert check_levels(content_installation, stays, guest) + check_levels(content_installation, gone, guest) == [
        "EDITOR",
        None,
    ]


def test_an_invitation_with_a_role_stays_pending_without_its_object(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user(role=None)
    key = create_object(content_installation, owner)
    content = [{"contentType": "articles", "key": key, "role": "EDITOR"}]
    invitation_id = content_installation.post(
        "/invitations", {"inviteEmail": guest.email, "role": "customer", "content": content}, content_installation.key
    ).json
    token = content_installation.mail_of(invitation_id).token
    put_access(content_installation, key, owner, "PRIVATE")
    assert content_installation.invitation(invitation_id["id"])["state"] == "PENDING"
    assert content_installation.accept(token, by=guest).json["user"]["role"] == "customer"
    assert (check_levels(content_installation, key, guest), get_visibility(content_installation, key, owner)) == (
        [None],
        "PRIVATE",
    )


def test_private_records_the_cause_in_the_history(content_installation: Installation) -> None:
    owner = content_installation.user()
    key = create_object(content_installation, owner)
    invitation_id, _ = create_invitation(content_installation, key, owner, new_address())
    put_access(content_installation, key, owner, "PRIVATE")
    assert "private" in cause_of(content_installation, invitation_id)
    put_access(content_installation, key, owner, "PRIVATE")
    assert "private" in cause_of(content_installation, invitation_id)


def test_changing_visibility_never_restores_a_revoked_invitation(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    invitation_id, token = create_invitation(content_installation, key, owner, guest.email)
    for kind in ("PRIVATE", "PUBLIC", "SHARED"):
        put_access(content_installation, key, owner, kind)
        check_problem(accept(content_installation, token, guest), 410, "invitation-revoked")
    assert (
        content_installation.post(f"/invitations/{invitation_id}/resend", token=content_installation.key).status == 409
    )


def test_private_does_not_affect_other_objects(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key, other = create_object(content_installation, owner), create_object(content_installation, owner)
    share(content_installation, other, owner, (guest, "VIEWER"))
    _, token = create_invitation(content_installation, other, owner, guest.email, "EDITOR")
    put_access(content_installation, key, owner, "PRIVATE")
    assert check_levels(content_installation, other, guest) == ["VIEWER"]
    assert accept(content_installation, token, guest).status == 200


# ---- the sponsor -----------------------------------------------------------------------------------------------------


def remove_right(installation: Installation, cause: str, key: str, owner: SignedInUser, sponsor: SignedInUser) -> None:
    if cause == "demoted":
        share(installation, key, owner, (sponsor, "EDITOR"))
    elif cause == "removed":
        put_access(installation, key, owner, "SHARED")
    elif cause == "blocked":
        installation.patch(f"/users/{sponsor.id}", {"blocked": True}, installation.key)
    else:
        assert installation.delete(f"/users/{sponsor.id}", installation.key).status == 204


@pytest.mark.parametrize("cause", ["demoted", "removed", "blocked", "erased"])
def test_a_link_is_refused_when_its_sponsor_loses_the_right(content_installation: Installation, cause: str) -> None:
    owner, sponsor, guest = content_installation.user(), content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (sponsor, "MAINTAINER"))
    invitation_id, token = create_invitation(content_installation, key, sponsor, guest.email)
    remove_right(content_installation, cause, key, owner, sponsor)
    for by in (guest, None):
        for path in (
            "/content/articles/invitations/accept",
            f"/content/articles/invitations/{key}",
            "/invitations/accept",
        ):
            check_problem(accept(content_installation, token, by, path), 409, "inviter-not-allowed")
    assert (
        content_installation.invitation(invitation_id)["state"],
        check_levels(content_installation, key, guest),
    ) == (
        "PENDING",
        [None],
    )


def test_a_link_works_again_when_its_sponsor_regains_the_right(content_installation: Installation) -> None:
    owner, sponsor, guest = content_installation.user(), content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (sponsor, "MAINTAINER"))
    _, token = create_invitation(content_installation, key, sponsor, guest.email)
    share(content_installation, key, owner, (sponsor, "EDITOR"))
    check_problem(accept(content_installation, token, guest), 409, "inviter-not-allowed")
    share(content_installation, key, owner, (sponsor, "MAINTAINER"))
    assert accept(content_installation, token, guest).status == 200


def test_a_sponsor_with_a_group_role_must_stay_in_the_group(content_installation: Installation) -> None:
    owner, sponsor, guest, group = (
        content_installation.user(),
        content_installation.user(),
        content_installation.user(),
        content_installation.group(),
    )
    add_members(content_installation, group, sponsor)
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, **{group: "MAINTAINER"})
    _, token = create_invitation(content_installation, key, sponsor, guest.email)
    content_installation.delete(f"/groups/{group}/members/{sponsor.id}", content_installation.key)
    check_problem(accept(content_installation, token, guest), 409, "inviter-not-allowed")
    add_members(content_installation, group, sponsor)
    assert accept(content_installation, token, guest).status == 200


def test_a_sponsor_with_content_write_must_keep_the_role(content_installation: Installation) -> None:
    curator, guest = content_installation.user("curator"), content_installation.user()
    key = create_object(content_installation, content_installation.user())
    _, token = create_invitation(content_installation, key, curator, guest.email)
    content_installation.patch(f"/users/{curator.id}", {"role": "customer"}, content_installation.key)
    check_problem(accept(content_installation, token, guest), 409, "inviter-not-allowed")
    content_installation.patch(f"/users/{curator.id}", {"role": "curator"}, content_installation.key)
    assert accept(content_installation, token, guest).status == 200


def test_a_previous_owner_can_sponsor_as_maintainer(content_installation: Installation) -> None:
    owner, new_owner, guest = content_installation.user(), content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    _, token = create_invitation(content_installation, key, owner, guest.email, "MAINTAINER")
    content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": new_owner.id}, owner.token)
    share(content_installation, key, new_owner, (guest, "VIEWER"))
    check_problem(accept(content_installation, token, guest), 409, "inviter-not-allowed")
    share(content_installation, key, new_owner, (owner, "MAINTAINER"))
    assert accept(content_installation, token, guest).status == 200
    assert check_levels(content_installation, key, guest) == ["MAINTAINER"]


def test_one_object_that_the_sponsor_cannot_grant_blocks_the_invitation(content_installation: Installation) -> None:
    host, other, guest = content_installation.user("host"), content_installation.user(), content_installation.user()
    own, shared = create_object(content_installation, host), create_object(content_installation, other)
    share(content_installation, shared, other, (host, "MAINTAINER"))
    content = [{"contentType": "articles", "key": key, "role": "VIEWER"} for key in (own, shared)]
    invitation = content_installation.post(
        "/invitations", {"inviteEmail": guest.email, "content": content}, host.token
    ).json
    token = content_installation.mail_of(invitation).token
    put_access(content_installation, shared, other, "SHARED")
    check_problem(accept(content_installation, token, guest), 409, "inviter-not-allowed")
    assert check_levels(content_installation, own, guest) + check_levels(content_installation, shared, guest) == [
        None,
        None,
    ]
    content_installation.delete(f"/content/articles/{shared}", other.token)
    assert accept(content_installation, token, guest).status == 200
    assert check_levels(content_installation, own, guest) == ["VIEWER"]


def test_a_resend_by_another_maintainer_replaces_the_sponsor(content_installation: Installation) -> None:
    owner, sponsor, guest = content_installation.user("host"), content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (sponsor, "MAINTAINER"))
    invitation_id, token = create_invitation(content_installation, key, sponsor, guest.email)
    remove_right(content_installation, "blocked", key, owner, sponsor)
    check_problem(accept(content_installation, token, guest), 409, "inviter-not-allowed")
    again = content_installation.post(f"/invitations/{invitation_id}/resend", token=content_installation.key)
    assert again.status == 202
    assert accept(content_installation, content_installation.mail_of(again.json).token, guest).status == 200


# ---- groups ----------------------------------------------------------------------------------------------------------


def test_a_deleted_group_loses_its_access_and_voids_nothing_else(content_installation: Installation) -> None:
    owner, member, guest, group = (
        content_installation.user(),
        content_installation.user(),
        content_installation.user(),
        content_installation.group(),
    )
    add_members(content_installation, group, member)
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, **{group: "MAINTAINER"})
    invitation_id, token = create_invitation(content_installation, key, owner, guest.email)
    assert content_installation.delete(f"/groups/{group}", content_installation.key).status == 204
    assert (check_levels(content_installation, key, member), get_access(content_installation, key)["groups"]) == (
        [None],
        {},
    )
    assert get_visibility(content_installation, key, owner) == "PRIVATE"
    assert content_installation.post("/groups", {"key": group, "name": "Again"}, content_installation.key).status == 201
    add_members(content_installation, group, member)
    assert (check_levels(content_installation, key, member), get_access(content_installation, key)["groups"]) == (
        [None],
        {},
    )
    assert content_installation.invitation(invitation_id)["state"] == "PENDING"
    assert accept(content_installation, token, guest).status == 200
    assert get_visibility(content_installation, key, owner) == "SHARED"


def test_a_deleted_group_does_not_change_other_access(content_installation: Installation) -> None:
    owner, friend, group = content_installation.user(), content_installation.user(), content_installation.group()
    shared, public = create_object(content_installation, owner), create_object(content_installation, owner)
    share(content_installation, shared, owner, (friend, "VIEWER"), **{group: "EDITOR"})
    put_access(content_installation, public, owner, "PUBLIC", sharedGroups={group: "EDITOR"})
    content_installation.delete(f"/groups/{group}", content_installation.key)
    assert [get_visibility(content_installation, key, owner) for key in (shared, public)] == ["SHARED", "PUBLIC"]
    assert check_levels(content_installation, shared, friend) == ["VIEWER"]


# ---- erasure ---------------------------------------------------------------------------------------------------------


def test_an_owner_of_content_is_erased_only_with_a_new_owner(content_installation: Installation) -> None:
    owner, new_owner, friend = content_installation.user(), content_installation.user(), content_installation.user()
    keys = [create_object(content_installation, owner) for _ in range(3)]
    recipe = create_object(content_installation, owner, kind="recipes")
    share(content_installation, keys[0], owner, (friend, "EDITOR"), (new_owner, "VIEWER"))
    check_problem(content_installation.delete(f"/users/{owner.id}", content_installation.key), 409, "owns-content")
    check_problem(
        content_installation.delete(f"/users/{owner.id}?newOwnerId={UNKNOWN_ID}", content_installation.key),
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
    assert [check_levels(content_installation, key, owner) for key in keys] == [["OWNER"]] * 3
    assert (
        content_installation.delete(f"/users/{owner.id}?newOwnerId={new_owner.id}", content_installation.key).status
        == 204
    )
    assert [check_levels(content_installation, key, new_owner) for key in keys] == [["OWNER"]] * 3
    assert check_levels(content_installation, recipe, new_owner, kind="recipes") == ["OWNER"]
    assert roles_of_users(get_access(content_installation, keys[0])) == {friend.id: "EDITOR"}
    assert [get_visibility(content_installation, key, new_owner) for key in keys] == ["SHARED", "PRIVATE", "PRIVATE"]
    check_problem(content_installation.delete(f"/users/{new_owner.id}", content_installation.key), 409, "owns-content")


def test_a_user_whose_objects_were_deleted_can_be_erased(content_installation: Installation) -> None:
    owner = content_installation.user()
    key = create_object(content_installation, owner)
    content_installation.delete(f"/content/articles/{key}", owner.token)
    assert content_installation.delete(f"/users/{owner.id}", content_installation.key).status == 204


def test_erased_users_lose_access_and_the_last_one_makes_it_private(content_installation: Installation) -> None:
    owner, guest, friend, late = (content_installation.user() for _ in range(4))
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (guest, "EDITOR"), (friend, "VIEWER"))
    invitation_id, token = create_invitation(content_installation, key, owner, late.email)
    content_installation.delete(f"/users/{guest.id}", content_installation.key)
    assert roles_of_users(get_access(content_installation, key)) == {friend.id: "VIEWER"}
    assert guest.email not in str(get_access(content_installation, key))
    content_installation.delete(f"/users/{friend.id}", content_installation.key)
    assert (get_access(content_installation, key)["users"], get_visibility(content_installation, key, owner)) == (
        [],
        "PRIVATE",
    )
    assert content_installation.invitation(invitation_id)["state"] == "PENDING"
    assert accept(content_installation, token, late).status == 200


def test_an_erased_invitee_leaves_no_personal_data(content_installation: Installation) -> None:
    owner, address = content_installation.user(), new_address("quince.vanterpool")
    guest = content_installation.user(email=address, firstName="Quince", lastName="Vanterpool")
    key = create_object(content_installation, owner)
    _, used = create_invitation(content_installation, key, owner, address)
    accept(content_installation, used, guest)
    create_invitation(content_installation, key, owner, address, "EDITOR", message="Dear Quince")
    assert content_installation.delete(f"/users/{guest.id}", content_installation.key).status == 204
    assert address not in str(get_access(content_installation, key))
    text = dump(content_installation.database).lower()
    for word in ("quince", "vanterpool"):
        assert word not in text, [line for line in text.splitlines() if word in line][:3]


def test_a_blocked_invitee_has_no_access_until_unblocked(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    _, token = create_invitation(content_installation, key, owner, guest.email)
    accept(content_installation, token, guest)
    content_installation.patch(f"/users/{guest.id}", {"blocked": True}, content_installation.key)
    check_problem(content_installation.get(f"/content/articles/{key}", guest.token), 401)
    assert check_levels(content_installation, key, guest) == [None]
    content_installation.patch(f"/users/{guest.id}", {"blocked": False}, content_installation.key)
    assert get_object(content_installation, key, content_installation.login(guest.email))["key"] == key
