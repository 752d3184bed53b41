"""Idempotency-Key: one effect, and the same answer for every repetition."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.installation import Answer, Installation, check_problem, new_address, numbers


def new_key_header() -> dict[str, str]:
    return {"Idempotency-Key": f"key-{next(numbers)}!"}


def test_a_repeated_request_gets_the_stored_answer(installation: Installation) -> None:
    headers, body = new_key_header(), {"inviteEmail": new_address(), "role": "customer"}
    first, second = (installation.post("/invitations", body, installation.key, headers=headers) for _ in range(2))
    assert (first.status, second.status) == (201, 201)
    assert first.body == second.body
    assert first.headers["Location"] == second.headers["Location"]
    assert installation.get(f"/invitations?email={body['inviteEmail']}", installation.key).json["total"] == 1


def test_the_stored_answer_does_not_change(installation: Installation) -> None:
    headers, body = new_key_header(), {"inviteEmail": new_address(), "role": "customer"}
    first = installation.post("/invitations", body, installation.key, headers=headers)
    installation.delete(f"/invitations/{first.json['id']}", installation.key)
    assert installation.post("/invitations", body, installation.key, headers=headers).body == first.body


def test_another_body_is_refused(installation: Installation) -> None:
    headers, body = new_key_header(), {"inviteEmail": new_address(), "role": "customer"}
    assert installation.post("/invitations", body, installation.key, headers=headers).status == 201
    other = body | {"firstName": "Bo"}
    check_problem(
        installation.post("/invitations", other, installation.key, headers=headers), 422, "idempotency-key-reused"
    )


def test_keys_are_scoped_to_caller_and_route(installation: Installation) -> None:
    headers, user = new_key_header(), installation.user("team")
    body = {"inviteEmail": new_address(), "role": "customer"}
    first = installation.post("/invitations", body, installation.key, headers=headers)
    assert first.status == 201
    check_problem(installation.post("/invitations", body, user.token, headers=headers), 409, "already-invited")
    assert (
        installation.post(f"/invitations/{first.json['id']}/resend", token=installation.key, headers=headers).status
        == 202
    )
    group = {"key": f"g{next(numbers)}", "name": "G"}
    assert installation.post("/groups", group, installation.key, headers=headers).status == 201


def test_a_refusal_is_not_stored(installation: Installation) -> None:
    headers, address = new_key_header(), new_address()
    check_problem(
        installation.post(
            "/invitations", {"inviteEmail": address, "role": "emperor"}, installation.key, headers=headers
        ),
        422,
    )
    body = {"inviteEmail": address, "role": "customer"}
    assert installation.post("/invitations", body, installation.key, headers=headers).status == 201


def test_resend_users_and_groups_support_the_header(installation: Installation) -> None:
    invitation, headers = installation.invite(), new_key_header()
    path = f"/invitations/{invitation['id']}/resend"
    generations = [
        installation.post(path, token=installation.key, headers=headers).json["generation"] for _ in range(2)
    ]
    assert generations == [2, 2]
    assert installation.invitation(invitation["id"])["generation"] == 2
    user, group = {"email": new_address(), "firstName": "A", "lastName": "B"}, {"key": f"g{next(numbers)}", "name": "G"}
    for route, body in (("/users", user), ("/groups", group)):
        answers = [installation.post(route, body, installation.key, headers=headers) for _ in range(2)]
        assert [answer.status for answer in answers] == [201, 201], answers
        assert answers[0].body == answers[1].body


@pytest.mark.parametrize("bad", ["", "x" * 256, "a space", "ümlaut"])
def test_a_key_must_be_visible_ascii(installation: Installation, bad: str) -> None:
    body = {"inviteEmail": new_address(), "role": "customer"}
    headers = {"Idempotency-Key": bad.encode("utf-8").decode("latin-1")}
    check_problem(installation.post("/invitations", body, installation.key, headers=headers), 400)
    assert installation.get(f"/invitations?email={body['inviteEmail']}", installation.key).json["total"] == 0


def test_a_key_of_255_characters_is_accepted(installation: Installation) -> None:
    headers = {"Idempotency-Key": "x" * 255}
    assert (
        installation.post(
            "/invitations", {"inviteEmail": new_address(), "role": "customer"}, installation.key, headers=headers
        ).status
        == 201
    )


def test_routes_that_return_secrets_refuse_the_header(installation: Installation) -> None:
    invitation, token = installation.invite_with_token()
    user = installation.user("admin")
    for path, body, caller in (
        ("/api-keys", {"name": "k", "scopes": ["invitations:read"]}, user.token),
        (f"/invitations/{invitation['id']}/link", None, installation.key),
        ("/auth/login", {"email": user.email, "password": user.password}, None),
        ("/auth/refresh", {"refreshToken": user.refresh_token}, None),
        ("/auth/password/reset-request", {"email": user.email}, None),
        ("/invitations/accept", {"token": token}, None),
    ):
        check_problem(installation.post(path, body, caller, headers=new_key_header()), 400)
    assert installation.invitation(invitation["id"])["state"] == "PENDING"


def test_concurrent_repeats_have_one_effect(installation: Installation) -> None:
    headers, body = new_key_header(), {"inviteEmail": new_address(), "role": "customer"}

    def create(_: int) -> Answer:
        return installation.post("/invitations", body, installation.key, headers=headers)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(create, range(16)))
    assert {answer.status for answer in answers} == {201}, answers
    assert len({answer.body for answer in answers}) == 1
    assert installation.get(f"/invitations?email={body['inviteEmail']}", installation.key).json["total"] == 1
    installation.delivery(answers[0].json["id"], "SENT")
    assert len(installation.smtp.to(body["inviteEmail"])) == 1
