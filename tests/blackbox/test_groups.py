"""Groups: their life, their members, and what their end does to invitations."""

import json

import pytest
from tests.support.installation import PROFILE, House, new_address, numbers, refused


def test_a_group_is_made_read_changed_and_deleted(house: House) -> None:
    key = f"readers-{next(numbers)}"
    sent = {
        "key": key,
        "name": "Readers",
        "description": "Who reads.",
        "translations": {"de": {"name": "Leser", "description": "Wer liest."}},
    }
    made = house.post("/groups", sent, house.key)
    assert (made.status, made.json | sent) == (201, made.json)
    assert house.call("GET", made.headers["Location"], token=house.key).json == made.json
    refused(house.post("/groups", sent, house.key), 409)
    changed = house.put(f"/groups/{key}", {"name": "Bookworms"}, house.key)
    assert (changed.status, changed.json["name"], changed.json["key"]) == (200, "Bookworms", key)
    renamed = house.put(f"/groups/{key}", {"key": "other", "name": "X"}, house.key)
    assert renamed.status in {400, 409, 422}
    assert key in {item["key"] for item in house.get("/groups?limit=200", house.key).json["items"]}
    assert house.delete(f"/groups/{key}", house.key).status == 204
    refused(house.get(f"/groups/{key}", house.key), 404)
    refused(house.delete(f"/groups/{key}", house.key), 404)


@pytest.mark.parametrize("key", ["", "a b", "ä", "-a", "a/b", "x" * 201, "a\n"])
def test_keys_of_groups_are_plain(house: House, key: str) -> None:
    refused(house.post("/groups", {"key": key, "name": "N"}, house.key), 422)


def test_members_come_and_go(house: House) -> None:
    group, person = house.group(), house.user()
    path = f"/groups/{group}/members/{person.id}"
    assert [house.post(path, token=house.key).status for _ in range(2)] == [204, 204]
    members = house.get(f"/groups/{group}/members", house.key).json
    assert (members["items"][0]["id"], members["total"]) == (person.id, 1)
    assert house.get("/users/me", person.token).json["groups"] == [group]
    assert house.delete(path, house.key).status == 204
    assert house.get("/users/me", person.token).json["groups"] == []
    refused(house.post(f"/groups/nowhere/members/{person.id}", token=house.key), 404)
    refused(house.post(f"/groups/{group}/members/01890000-0000-7000-8000-000000000000", token=house.key), 404)


def test_members_see_their_own_groups_and_each_others_names_only(house: House) -> None:
    mine, other, me, friend = house.group(), house.group(), house.user("visitor"), house.user("visitor")
    for person in (me, friend):
        house.post(f"/groups/{mine}/members/{person.id}", token=house.key)
    assert house.get(f"/groups/{mine}", me.token).status == 200
    refused(house.get(f"/groups/{other}", me.token), 404)
    refused(house.get(f"/groups/{other}/members", me.token), 404)
    assert [item["key"] for item in house.get("/groups", me.token).json["items"]] == [mine]
    members = house.get(f"/groups/{mine}/members", me.token)
    assert {item["id"] for item in members.json["items"]} == {me.id, friend.id}
    assert friend.email not in members.body.decode()
    for answer in (
        house.put(f"/groups/{mine}", {"name": "Mine"}, me.token),
        house.delete(f"/groups/{mine}", me.token),
        house.post(f"/groups/{mine}/members/{me.id}", token=me.token),
    ):
        refused(answer, 403)


def test_an_invitation_falls_with_its_only_group(house: House) -> None:
    group = house.group()
    made, token = house.invited(groups=[group])
    assert house.delete(f"/groups/{group}", house.key).status == 204
    assert house.invitation(made["id"])["state"] == "REVOKED"
    refused(house.accept(token, **PROFILE), 410, "invitation-revoked")
    last = house.events(made["id"])[-1]
    assert last["type"] == "invitation.revoked"
    assert "group" in json.dumps(last["data"]).lower()


def test_what_remains_of_an_invitation_is_granted(house: House) -> None:
    gone, stays = house.group(), house.group()
    made, token = house.invited(groups=[gone, stays], role="customer")
    house.delete(f"/groups/{gone}", house.key)
    assert house.invitation(made["id"])["state"] == "PENDING"
    assert house.post("/groups", {"key": gone, "name": "Again"}, house.key).status == 201
    shown = house.post("/invitations/lookup", {"token": token}).json
    assert [group["key"] for group in shown["groups"]] == [stays]
    got = house.accept(token, **PROFILE)
    assert (got.status, got.json["user"]["groups"]) == (201, [stays])
    assert house.get(f"/groups/{gone}/members", house.key).json["items"] == []


def test_a_group_made_again_starts_anew(house: House) -> None:
    group, person, address = house.group(), house.user(), new_address()
    house.post(f"/groups/{group}/members/{person.id}", token=house.key)
    dead, token = house.invited(address, groups=[group])
    house.delete(f"/groups/{group}", house.key)
    house.post("/groups", {"key": group, "name": "Again"}, house.key)
    assert house.get(f"/groups/{group}/members", house.key).json["items"] == []
    refused(house.accept(token, **PROFILE), 410, "invitation-revoked")
    refused(house.post(f"/invitations/{dead['id']}/resend", token=house.key), 409, "invitation-not-pending")
    house.invite(address, groups=[group])
