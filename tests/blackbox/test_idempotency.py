"""Idempotency-Key: an effect at most once, an answer as often as asked."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.installation import Answer, Installation, new_address, numbers, refused


def key() -> dict[str, str]:
    return {"Idempotency-Key": f"key-{next(numbers)}!"}


def test_a_repeat_gets_the_stored_answer(installation: Installation) -> None:
    headers, sent = key(), {"inviteEmail": new_address(), "role": "customer"}
    first, second = (installation.post("/invitations", sent, installation.key, headers=headers) for _ in range(2))
    assert (first.status, second.status) == (201, 201)
    assert first.body == second.body
    assert first.headers["Location"] == second.headers["Location"]
    assert installation.get(f"/invitations?email={sent['inviteEmail']}", installation.key).json["total"] == 1


def test_the_stored_answer_stays_though_the_thing_changed(installation: Installation) -> None:
    headers, sent = key(), {"inviteEmail": new_address(), "role": "customer"}
    first = installation.post("/invitations", sent, installation.key, headers=headers)
    installation.delete(f"/invitations/{first.json['id']}", installation.key)
    assert installation.post("/invitations", sent, installation.key, headers=headers).body == first.body


def test_another_body_is_refused(installation: Installation) -> None:
    headers, sent = key(), {"inviteEmail": new_address(), "role": "customer"}
    assert installation.post("/invitations", sent, installation.key, headers=headers).status == 201
    other = sent | {"firstName": "Bo"}
    refused(installation.post("/invitations", other, installation.key, headers=headers), 422, "idempotency-key-reused")


def test_keys_belong_to_a_caller_and_a_route(installation: Installation) -> None:
    headers, person = key(), installation.user("team")
    sent = {"inviteEmail": new_address(), "role": "customer"}
    first = installation.post("/invitations", sent, installation.key, headers=headers)
    assert first.status == 201
    refused(installation.post("/invitations", sent, person.token, headers=headers), 409, "already-invited")
    assert (
        installation.post(f"/invitations/{first.json['id']}/resend", token=installation.key, headers=headers).status
        == 202
    )
    group = {"key": f"g{next(numbers)}", "name": "G"}
    assert installation.post("/groups", group, installation.key, headers=headers).status == 201


def test_a_refusal_is_not_stored(installation: Installation) -> None:
    headers, address = key(), new_address()
    refused(
        installation.post(
            "/invitations", {"inviteEmail": address, "role": "emperor"}, installation.key, headers=headers
        ),
        422,
    )
    sent = {"inviteEmail": address, "role": "customer"}
    assert installation.post("/invitations", sent, installation.key, headers=headers).status == 201


def test_resend_users_and_groups_are_repeatable(installation: Installation) -> None:
    made, headers = installation.invite(), key()
    path = f"/invitations/{made['id']}/resend"
    generations = [
        installation.post(path, token=installation.key, headers=headers).json["generation"] for _ in range(2)
    ]
    assert generations == [2, 2]
    assert installation.invitation(made["id"])["generation"] == 2
    user, group = {"email": new_address(), "firstName": "A", "lastName": "B"}, {"key": f"g{next(numbers)}", "name": "G"}
    for route, body in (("/users", user), ("/groups", group)):
        answers = [installation.post(route, body, installation.key, headers=headers) for _ in range(2)]
        assert [answer.status for answer in answers] == [201, 201], answers
        assert answers[0].body == answers[1].body


@pytest.mark.parametrize("bad", ["", "x" * 256, "a space", "ümlaut"])
def test_a_key_is_visible_ascii(installation: Installation, bad: str) -> None:
    sent = {"inviteEmail": new_address(), "role": "customer"}
    headers = {"Idempotency-Key": bad.encode("utf-8").decode("latin-1")}
    refused(installation.post("/invitations", sent, installation.key, headers=headers), 400)
    assert installation.get(f"/invitations?email={sent['inviteEmail']}", installation.key).json["total"] == 0


def test_the_longest_key_is_taken(installation: Installation) -> None:
    headers = {"Idempotency-Key": "x" * 255}
    assert (
        installation.post(
            "/invitations", {"inviteEmail": new_address(), "role": "customer"}, installation.key, headers=headers
        ).status
        == 201
    )


def test_routes_that_answer_secrets_refuse_the_header(installation: Installation) -> None:
    made, token = installation.invited()
    person = installation.user("admin")
    for path, body, caller in (
        ("/api-keys", {"name": "k", "scopes": ["invitations:read"]}, person.token),
        (f"/invitations/{made['id']}/link", None, installation.key),
        ("/auth/login", {"email": person.email, "password": person.password}, None),
        ("/auth/refresh", {"refreshToken": person.refresh_token}, None),
        ("/auth/password/reset-request", {"email": person.email}, None),
        ("/invitations/accept", {"token": token}, None),
    ):
        refused(installation.post(path, body, caller, headers=key()), 400)
    assert installation.invitation(made["id"])["state"] == "PENDING"


def test_repeats_at_once_have_one_effect(installation: Installation) -> None:
    headers, sent = key(), {"inviteEmail": new_address(), "role": "customer"}

    def create(_: int) -> Answer:
        return installation.post("/invitations", sent, installation.key, headers=headers)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(create, range(16)))
    assert {answer.status for answer in answers} == {201}, answers
    assert len({answer.body for answer in answers}) == 1
    assert installation.get(f"/invitations?email={sent['inviteEmail']}", installation.key).json["total"] == 1
    installation.delivery(answers[0].json["id"], "SENT")
    assert len(installation.smtp.to(sent["inviteEmail"])) == 1
