"""Groups: creating, changing, members, and the effect of deletion on invitations."""

import json

import pytest
from tests.support.installation import PROFILE, Installation, check_problem, new_address, numbers


def test_a_group_can_be_created_read_changed_and_deleted(installation: Installation) -> None:
    key = f"readers-{next(numbers)}"
    body = {
        "key": key,
        "name": "Readers",
        "description": "Who reads.",
        "translations": {"de": {"name": "Leser", "description": "Wer liest."}},
    }
    created = installation.post("/groups", body, installation.key)
    assert (created.status, created.json | body) == (201, created.json)
    assert installation.call("GET", created.headers["Location"], token=installation.key).json == created.json
    check_problem(installation.post("/groups", body, installation.key), 409)
    changed = installation.put(f"/groups/{key}", {"name": "Bookworms"}, installation.key)
    assert (changed.status, changed.json["name"], changed.json["key"]) == (200, "Bookworms", key)
    renamed = installation.put(f"/groups/{key}", {"key": "other", "name": "X"}, installation.key)
    assert renamed.status in {400, 409, 422}
    assert key in {item["key"] for item in installation.get("/groups?limit=200", installation.key).json["items"]}
    assert installation.delete(f"/groups/{key}", installation.key).status == 204
    check_problem(installation.get(f"/groups/{key}", installation.key), 404)
    check_problem(installation.delete(f"/groups/{key}", installation.key), 404)


@pytest.mark.parametrize("key", ["", "a b", "ä", "-a", "a/b", "x" * 201, "a\n"])
def test_invalid_keys_of_groups_are_refused(installation: Installation, key: str) -> None:
    check_problem(installation.post("/groups", {"key": key, "name": "N"}, installation.key), 422)


def test_members_can_be_added_and_removed(installation: Installation) -> None:
    group, user = installation.group(), installation.user()
    path = f"/groups/{group}/members/{user.id}"
    assert [installation.post(path, token=installation.key).status for _ in range(2)] == [204, 204]
    members = installation.get(f"/groups/{group}/members", installation.key).json
    assert (members["items"][0]["id"], members["total"]) == (user.id, 1)
    assert installation.get("/users/me", user.token).json["groups"] == [group]
    assert installation.delete(path, installation.key).status == 204
    assert installation.get("/users/me", user.token).json["groups"] == []
    check_problem(installation.post(f"/groups/nowhere/members/{user.id}", token=installation.key), 404)
    check_problem(
        installation.post(f"/groups/{group}/members/01890000-0000-7000-8000-000000000000", token=installation.key), 404
    )


def test_members_see_their_own_groups_and_each_others_names_only(installation: Installation) -> None:
    mine, other, me, friend = (
        installation.group(),
        installation.group(),
        installation.user("visitor"),
        installation.user("visitor"),
    )
    for user in (me, friend):
        installation.post(f"/groups/{mine}/members/{user.id}", token=installation.key)
    assert installation.get(f"/groups/{mine}", me.token).status == 200
    check_problem(installation.get(f"/groups/{other}", me.token), 404)
    check_problem(installation.get(f"/groups/{other}/members", me.token), 404)
    assert [item["key"] for item in installation.get("/groups", me.token).json["items"]] == [mine]
    members = installation.get(f"/groups/{mine}/members", me.token)
    assert {item["id"] for item in members.json["items"]} == {me.id, friend.id}
    assert friend.email not in members.body.decode()
    for answer in (
        installation.put(f"/groups/{mine}", {"name": "Mine"}, me.token),
        installation.delete(f"/groups/{mine}", me.token),
        installation.post(f"/groups/{mine}/members/{me.id}", token=me.token),
    ):
        check_problem(answer, 403)


def test_deleting_its_only_group_revokes_an_invitation(installation: Installation) -> None:
    group = installation.group()
    invitation, token = installation.invite_with_token(groups=[group])
    assert installation.delete(f"/groups/{group}", installation.key).status == 204
    assert installation.invitation(invitation["id"])["state"] == "REVOKED"
    check_problem(installation.accept(token, **PROFILE), 410, "invitation-revoked")
    last = installation.events(invitation["id"])[-1]
    assert last["type"] == "invitation.revoked"
    assert "group" in json.dumps(last["data"]).lower()


def test_the_remaining_grants_of_an_invitation_are_granted(installation: Installation) -> None:
    gone, stays = installation.group(), installation.group()
    invitation, token = installation.invite_with_token(groups=[gone, stays], role="customer")
    installation.delete(f"/groups/{gone}", installation.key)
    assert installation.invitation(invitation["id"])["state"] == "PENDING"
    assert installation.post("/groups", {"key": gone, "name": "Again"}, installation.key).status == 201
    lookup = installation.post("/invitations/lookup", {"token": token}).json
    assert [group["key"] for group in lookup["groups"]] == [stays]
    answer = installation.accept(token, **PROFILE)
    assert (answer.status, answer.json["user"]["groups"]) == (201, [stays])
    assert installation.get(f"/groups/{gone}/members", installation.key).json["items"] == []


def test_a_group_created_again_has_no_members_or_invitations(installation: Installation) -> None:
    group, user, address = installation.group(), installation.user(), new_address()
    installation.post(f"/groups/{group}/members/{user.id}", token=installation.key)
    revoked, token = installation.invite_with_token(address, groups=[group])
    installation.delete(f"/groups/{group}", installation.key)
    installation.post("/groups", {"key": group, "name": "Again"}, installation.key)
    assert installation.get(f"/groups/{group}/members", installation.key).json["items"] == []
    check_problem(installation.accept(token, **PROFILE), 410, "invitation-revoked")
    check_problem(
        installation.post(f"/invitations/{revoked['id']}/resend", token=installation.key), 409, "invitation-not-pending"
    )
    installation.invite(address, groups=[group])
