"""Groups: their life, their members, and what their end does to invitations."""

import json

import pytest
from tests.support.installation import PROFILE, Installation, new_address, numbers, refused


def test_a_group_is_made_read_changed_and_deleted(installation: Installation) -> None:
    key = f"readers-{next(numbers)}"
    sent = {
        "key": key,
        "name": "Readers",
        "description": "Who reads.",
        "translations": {"de": {"name": "Leser", "description": "Wer liest."}},
    }
    made = installation.post("/groups", sent, installation.key)
    assert (made.status, made.json | sent) == (201, made.json)
    assert installation.call("GET", made.headers["Location"], token=installation.key).json == made.json
    refused(installation.post("/groups", sent, installation.key), 409)
    changed = installation.put(f"/groups/{key}", {"name": "Bookworms"}, installation.key)
    assert (changed.status, changed.json["name"], changed.json["key"]) == (200, "Bookworms", key)
    renamed = installation.put(f"/groups/{key}", {"key": "other", "name": "X"}, installation.key)
    assert renamed.status in {400, 409, 422}
    assert key in {item["key"] for item in installation.get("/groups?limit=200", installation.key).json["items"]}
    assert installation.delete(f"/groups/{key}", installation.key).status == 204
    refused(installation.get(f"/groups/{key}", installation.key), 404)
    refused(installation.delete(f"/groups/{key}", installation.key), 404)


@pytest.mark.parametrize("key", ["", "a b", "ä", "-a", "a/b", "x" * 201, "a\n"])
def test_keys_of_groups_are_plain(installation: Installation, key: str) -> None:
    refused(installation.post("/groups", {"key": key, "name": "N"}, installation.key), 422)


def test_members_come_and_go(installation: Installation) -> None:
    group, person = installation.group(), installation.user()
    path = f"/groups/{group}/members/{person.id}"
    assert [installation.post(path, token=installation.key).status for _ in range(2)] == [204, 204]
    members = installation.get(f"/groups/{group}/members", installation.key).json
    assert (members["items"][0]["id"], members["total"]) == (person.id, 1)
    assert installation.get("/users/me", person.token).json["groups"] == [group]
    assert installation.delete(path, installation.key).status == 204
    assert installation.get("/users/me", person.token).json["groups"] == []
    refused(installation.post(f"/groups/nowhere/members/{person.id}", token=installation.key), 404)
    refused(
        installation.post(f"/groups/{group}/members/01890000-0000-7000-8000-000000000000", token=installation.key), 404
    )


def test_members_see_their_own_groups_and_each_others_names_only(installation: Installation) -> None:
    mine, other, me, friend = (
        installation.group(),
        installation.group(),
        installation.user("visitor"),
        installation.user("visitor"),
    )
    for person in (me, friend):
        installation.post(f"/groups/{mine}/members/{person.id}", token=installation.key)
    assert installation.get(f"/groups/{mine}", me.token).status == 200
    refused(installation.get(f"/groups/{other}", me.token), 404)
    refused(installation.get(f"/groups/{other}/members", me.token), 404)
    assert [item["key"] for item in installation.get("/groups", me.token).json["items"]] == [mine]
    members = installation.get(f"/groups/{mine}/members", me.token)
    assert {item["id"] for item in members.json["items"]} == {me.id, friend.id}
    assert friend.email not in members.body.decode()
    for answer in (
        installation.put(f"/groups/{mine}", {"name": "Mine"}, me.token),
        installation.delete(f"/groups/{mine}", me.token),
        installation.post(f"/groups/{mine}/members/{me.id}", token=me.token),
    ):
        refused(answer, 403)


def test_an_invitation_falls_with_its_only_group(installation: Installation) -> None:
    group = installation.group()
    made, token = installation.invited(groups=[group])
    assert installation.delete(f"/groups/{group}", installation.key).status == 204
    assert installation.invitation(made["id"])["state"] == "REVOKED"
    refused(installation.accept(token, **PROFILE), 410, "invitation-revoked")
    last = installation.events(made["id"])[-1]
    assert last["type"] == "invitation.revoked"
    assert "group" in json.dumps(last["data"]).lower()


def test_what_remains_of_an_invitation_is_granted(installation: Installation) -> None:
    gone, stays = installation.group(), installation.group()
    made, token = installation.invited(groups=[gone, stays], role="customer")
    installation.delete(f"/groups/{gone}", installation.key)
    assert installation.invitation(made["id"])["state"] == "PENDING"
    assert installation.post("/groups", {"key": gone, "name": "Again"}, installation.key).status == 201
    shown = installation.post("/invitations/lookup", {"token": token}).json
    assert [group["key"] for group in shown["groups"]] == [stays]
    got = installation.accept(token, **PROFILE)
    assert (got.status, got.json["user"]["groups"]) == (201, [stays])
    assert installation.get(f"/groups/{gone}/members", installation.key).json["items"] == []


def test_a_group_made_again_starts_anew(installation: Installation) -> None:
    group, person, address = installation.group(), installation.user(), new_address()
    installation.post(f"/groups/{group}/members/{person.id}", token=installation.key)
    dead, token = installation.invited(address, groups=[group])
    installation.delete(f"/groups/{group}", installation.key)
    installation.post("/groups", {"key": group, "name": "Again"}, installation.key)
    assert installation.get(f"/groups/{group}/members", installation.key).json["items"] == []
    refused(installation.accept(token, **PROFILE), 410, "invitation-revoked")
    refused(
        installation.post(f"/invitations/{dead['id']}/resend", token=installation.key), 409, "invitation-not-pending"
    )
    installation.invite(address, groups=[group])
