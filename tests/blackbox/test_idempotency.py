"""Idempotency-Key: an effect at most once, an answer as often as asked."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.installation import Answer, House, new_address, numbers, refused


def key() -> dict[str, str]:
    return {"Idempotency-Key": f"key-{next(numbers)}!"}


def test_a_repeat_gets_the_stored_answer(house: House) -> None:
    headers, sent = key(), {"inviteEmail": new_address(), "role": "customer"}
    first, second = (house.post("/invitations", sent, house.key, headers=headers) for _ in range(2))
    assert (first.status, second.status) == (201, 201)
    assert first.body == second.body
    assert first.headers["Location"] == second.headers["Location"]
    assert house.get(f"/invitations?email={sent['inviteEmail']}", house.key).json["total"] == 1


def test_the_stored_answer_stays_though_the_thing_changed(house: House) -> None:
    headers, sent = key(), {"inviteEmail": new_address(), "role": "customer"}
    first = house.post("/invitations", sent, house.key, headers=headers)
    house.delete(f"/invitations/{first.json['id']}", house.key)
    assert house.post("/invitations", sent, house.key, headers=headers).body == first.body


def test_another_body_is_refused(house: House) -> None:
    headers, sent = key(), {"inviteEmail": new_address(), "role": "customer"}
    assert house.post("/invitations", sent, house.key, headers=headers).status == 201
    other = sent | {"firstName": "Bo"}
    refused(house.post("/invitations", other, house.key, headers=headers), 422, "idempotency-key-reused")


def test_keys_belong_to_a_caller_and_a_route(house: House) -> None:
    headers, person = key(), house.user("team")
    sent = {"inviteEmail": new_address(), "role": "customer"}
    first = house.post("/invitations", sent, house.key, headers=headers)
    assert first.status == 201
    refused(house.post("/invitations", sent, person.token, headers=headers), 409, "already-invited")
    assert house.post(f"/invitations/{first.json['id']}/resend", token=house.key, headers=headers).status == 202
    group = {"key": f"g{next(numbers)}", "name": "G"}
    assert house.post("/groups", group, house.key, headers=headers).status == 201


def test_a_refusal_is_not_stored(house: House) -> None:
    headers, address = key(), new_address()
    refused(house.post("/invitations", {"inviteEmail": address, "role": "emperor"}, house.key, headers=headers), 422)
    sent = {"inviteEmail": address, "role": "customer"}
    assert house.post("/invitations", sent, house.key, headers=headers).status == 201


def test_resend_users_and_groups_are_repeatable(house: House) -> None:
    made, headers = house.invite(), key()
    path = f"/invitations/{made['id']}/resend"
    generations = [house.post(path, token=house.key, headers=headers).json["generation"] for _ in range(2)]
    assert generations == [2, 2]
    assert house.invitation(made["id"])["generation"] == 2
    user, group = {"email": new_address(), "firstName": "A", "lastName": "B"}, {"key": f"g{next(numbers)}", "name": "G"}
    for route, body in (("/users", user), ("/groups", group)):
        answers = [house.post(route, body, house.key, headers=headers) for _ in range(2)]
        assert [answer.status for answer in answers] == [201, 201], answers
        assert answers[0].body == answers[1].body


@pytest.mark.parametrize("bad", ["", "x" * 256, "a space", "ümlaut"])
def test_a_key_is_visible_ascii(house: House, bad: str) -> None:
    sent = {"inviteEmail": new_address(), "role": "customer"}
    headers = {"Idempotency-Key": bad.encode("utf-8").decode("latin-1")}
    refused(house.post("/invitations", sent, house.key, headers=headers), 400)
    assert house.get(f"/invitations?email={sent['inviteEmail']}", house.key).json["total"] == 0


def test_the_longest_key_is_taken(house: House) -> None:
    headers = {"Idempotency-Key": "x" * 255}
    assert (
        house.post(
            "/invitations", {"inviteEmail": new_address(), "role": "customer"}, house.key, headers=headers
        ).status
        == 201
    )


def test_routes_that_answer_secrets_refuse_the_header(house: House) -> None:
    made, token = house.invited()
    person = house.user("admin")
    for path, body, caller in (
        ("/api-keys", {"name": "k", "scopes": ["invitations:read"]}, person.token),
        (f"/invitations/{made['id']}/link", None, house.key),
        ("/auth/login", {"email": person.email, "password": person.password}, None),
        ("/auth/refresh", {"refreshToken": person.refresh_token}, None),
        ("/auth/password/reset-request", {"email": person.email}, None),
        ("/invitations/accept", {"token": token}, None),
    ):
        refused(house.post(path, body, caller, headers=key()), 400)
    assert house.invitation(made["id"])["state"] == "PENDING"


def test_repeats_at_once_have_one_effect(house: House) -> None:
    headers, sent = key(), {"inviteEmail": new_address(), "role": "customer"}

    def create(_: int) -> Answer:
        return house.post("/invitations", sent, house.key, headers=headers)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(create, range(16)))
    assert {answer.status for answer in answers} == {201}, answers
    assert len({answer.body for answer in answers}) == 1
    assert house.get(f"/invitations?email={sent['inviteEmail']}", house.key).json["total"] == 1
    house.delivery(answers[0].json["id"], "SENT")
    assert len(house.smtp.to(sent["inviteEmail"])) == 1
