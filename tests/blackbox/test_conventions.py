"""Rules of every API call: bodies, problems, headers."""

import json
import re
from typing import Any

import pytest
from tests.support.installation import PASSWORD, PROFILE, Installation, check_problem, new_address, pointers

MEBIBYTE = 1 << 20
UUID7 = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
INSTANT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")


def body(**fields: object) -> dict[str, Any]:
    return {"inviteEmail": new_address(), "role": "customer", **fields}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/invitations", body(colour="blue")),
        ("/invitations/lookup", {"token": "ey.a.b", "colour": "blue"}),
        ("/invitations/accept", {"token": "ey.a.b", "inviteEmail": "someone@else.test"}),
        ("/invitations/decline", {"token": "ey.a.b", "why": "no"}),
        ("/invitations/request-new", {"token": "ey.a.b", "inviteEmail": "thief@people.test"}),
        ("/users", {"email": new_address(), "colour": "blue"}),
        ("/groups", {"key": "k", "name": "K", "colour": "blue"}),
        ("/auth/login", {"email": "a@b.test", "password": "x", "colour": "blue"}),
        ("/auth/password/reset-request", {"email": "a@b.test", "colour": "blue"}),
        ("/api-keys", {"name": "k", "colour": "blue"}),
    ],
)
def test_unknown_fields_are_refused(installation: Installation, path: str, fields: dict[str, Any]) -> None:
    check_problem(installation.post(path, fields, installation.key), 400)


@pytest.mark.parametrize("path", ["/invitations", "/users", "/groups", "/roles", "/users/me", "/api-keys"])
def test_unknown_query_parameters_are_refused(installation: Installation, path: str) -> None:
    caller = installation.user("admin")
    assert installation.get(path, caller.token).status == 200
    check_problem(installation.get(f"{path}?colour=blue", caller.token), 400)


def test_unknown_query_parameters_of_a_post_change_nothing(installation: Installation) -> None:
    fields = body()
    check_problem(installation.post("/invitations?notify=false", fields, installation.key), 400)
    assert installation.get(f"/invitations?email={fields['inviteEmail']}", installation.key).json["total"] == 0


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=many",
        "limit=-1",
        "limit=",
        "limit=1.5",
        "cursor=%21%21",
        "cursor=a.b",
        "cursor=abc",
        "sort=colour",
        "sort=--createdAt",
        "sort=",
        "state=ASLEEP",
        "state=pending",
        "delivery=LOST",
        "createdAfter=yesterday",
        "createdAfter=2026-01-01",
        "createdBefore=2026-01-01T00:00:00",
        "expiresBefore=",
        "invitedBy=me",
    ],
)
def test_bad_query_values_are_refused(installation: Installation, query: str) -> None:
    check_problem(installation.get(f"/invitations?{query}", installation.key), 400)


DEEP = b'{"inviteEmail":"a@b.test","role":"customer","metadata":' + b'{"a":' * 64 + b"1" + b"}" * 64 + b"}"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b'{"inviteEmail":"a@b.test","role":"customer"} trailing',
        b'{"inviteEmail":"a@b.test","role":"customer","role":"admin"}',
        b'{"inviteEmail":"a@b.test","role":"customer","metadata":{"a":1,"a":2}}',
        b'{"inviteEmail":"a@b.test","role":"customer","firstName":"\xff\xfe"}',
        b'{"inviteEmail":"a@b.test","role":"customer","metadata":{"a":NaN}}',
        b"{'inviteEmail':'a@b.test'}",
        b'{"inviteEmail":"a@b.test","role":"customer","firstName":"\\ud800"}',
        '{"inviteEmail":"a@b.test","role":"customer"}'.encode("utf-16"),
        DEEP,
        b'{"metadata":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 100_000,
    ],
    ids=range(16),
)
def test_an_unreadable_body_is_refused(installation: Installation, raw: bytes) -> None:
    check_problem(installation.post("/invitations", raw=raw, token=installation.key), 400)


def test_a_body_may_nest_64_levels(installation: Installation) -> None:
    metadata: dict[str, Any] = {}
    for _ in range(61):
        metadata = {"a": metadata}
    invitation = installation.invite(metadata=metadata)
    assert installation.invitation(invitation["id"])["metadata"] == metadata


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/form-data"]
)
def test_other_media_types_are_refused(installation: Installation, media_type: str) -> None:
    raw = json.dumps(body()).encode()
    check_problem(
        installation.post("/invitations", raw=raw, token=installation.key, headers={"Content-Type": media_type}), 415
    )


def test_json_with_a_charset_is_accepted(installation: Installation) -> None:
    raw = json.dumps(body()).encode()
    media_type = {"Content-Type": "Application/JSON; charset=UTF-8"}
    assert installation.post("/invitations", raw=raw, token=installation.key, headers=media_type).status == 201


def test_a_body_over_one_mebibyte_is_refused(installation: Installation) -> None:
    raw = json.dumps(body(metadata={"a": "x" * MEBIBYTE})).encode()
    check_problem(installation.post("/invitations", raw=raw, token=installation.key), 413)


def test_a_body_over_one_mebibyte_in_chunks_is_refused(installation: Installation) -> None:
    raw = json.dumps(body(metadata={"a": "x" * MEBIBYTE})).encode()
    pieces = (raw[offset : offset + 65536] for offset in range(0, len(raw), 65536))
    check_problem(installation.post("/invitations", raw=pieces, token=installation.key), 413)


def test_every_invalid_field_is_reported(installation: Installation) -> None:
    fields = {
        "inviteEmail": "nobody",
        "role": "emperor",
        "firstName": "x" * 101,
        "lastName": "a\x00b",
        "message": "x" * 1001,
        "locale": "not a locale",
        "expiresIn": "a week",
        "redirectUrl": "https://evil.test/",
        "metadata": [],
    }
    problem = check_problem(installation.post("/invitations", fields, installation.key), 422)
    assert pointers(problem) == {f"/{name}" for name in fields}
    assert installation.get("/invitations?email=nobody%40people.test", installation.key).json["total"] == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("inviteEmail", 7),
        ("role", []),
        ("groups", "all"),
        ("groups", [1]),
        ("firstName", {}),
        ("message", 1),
        ("expiresIn", 7),
    ],
)
def test_a_value_of_a_wrong_type_is_reported_with_its_field(
    installation: Installation, field: str, value: object
) -> None:
    problem = check_problem(installation.post("/invitations", body(**{field: value}), installation.key), 422)
    assert all(pointer.startswith(f"/{field}") for pointer in pointers(problem))


def test_a_missing_field_is_reported(installation: Installation) -> None:
    assert pointers(check_problem(installation.post("/invitations", {"role": "customer"}, installation.key), 422)) == {
        "/inviteEmail"
    }
    assert "/password" in pointers(check_problem(installation.post("/auth/login", {"email": "a@b.test"}), 422))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/nothing", 404),
        ("GET", "/api/invitations/not-an-id", 404),
        ("GET", "/api/invitations/01890000-0000-7000-8000-000000000000", 404),
        ("GET", "/api/invitations/01890000-0000-7000-8000-000000000000/events", 404),
        ("POST", "/api/invitations/01890000-0000-7000-8000-000000000000/resend", 404),
        ("POST", "/api/invitations/01890000-0000-7000-8000-000000000000/link", 404),
        ("DELETE", "/api/invitations/01890000-0000-7000-8000-000000000000", 404),
        ("GET", "/api/users/01890000-0000-7000-8000-000000000000", 404),
        ("GET", "/api/groups/nowhere", 404),
        ("PUT", "/api/invitations", 405),
        ("DELETE", "/api/roles", 405),
    ],
)
def test_not_found_and_not_allowed_are_problems(
    installation: Installation, method: str, path: str, status: int
) -> None:
    answer = installation.call(method, path, token=installation.key)
    check_problem(answer, status)
    assert status != 405 or answer.headers["Allow"]


def test_ids_are_uuid7_and_instants_end_in_z(installation: Installation) -> None:
    invitation = installation.invite()
    assert UUID7.match(invitation["id"])
    assert INSTANT.match(invitation["createdAt"])
    assert INSTANT.match(invitation["expiresAt"])


def test_a_missing_credential_is_refused(installation: Installation) -> None:
    answer = installation.post("/invitations", body())
    check_problem(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_body_is_read_first_then_the_credential_then_the_fields(installation: Installation) -> None:
    check_problem(installation.post("/invitations", raw=b"{", headers={}), 400)
    check_problem(installation.post("/invitations", {"inviteEmail": "nobody"}), 401)
    customer = installation.user("customer")
    check_problem(installation.post("/invitations", {"inviteEmail": "nobody"}, customer.token), 403)


def test_answers_with_a_token_are_not_cached(installation: Installation) -> None:
    user = installation.user()
    invitation, token = installation.invite_with_token(role="customer")
    answers = [
        installation.post("/auth/login", {"email": user.email, "password": PASSWORD}),
        installation.post("/auth/refresh", {"refreshToken": user.refresh_token}),
        installation.post(f"/invitations/{invitation['id']}/link", token=installation.key),
        installation.accept(token, **PROFILE),
    ]
    for answer in answers:
        assert answer.status in {200, 201}, answer
        assert "no-store" in answer.headers["Cache-Control"]
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_only_allowed_origins_pass_cors(installation: Installation) -> None:
    def preflight(origin: str) -> Any:
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
        return installation.call("OPTIONS", "/api/invitations/lookup", headers=headers).headers

    assert preflight("https://app.orchard.example")["Access-Control-Allow-Origin"] == "https://app.orchard.example"
    for origin in ("https://evil.test", "null", "https://app.orchard.example.evil.test", "http://app.orchard.example"):
        assert preflight(origin)["Access-Control-Allow-Origin"] is None
        answer = installation.post("/invitations/lookup", {"token": "ey.a.b"}, headers={"Origin": origin})
        assert answer.headers["Access-Control-Allow-Origin"] is None


def test_the_locale_parameter_is_validated(installation: Installation) -> None:
    _, token = installation.invite_with_token()
    assert installation.post("/invitations/lookup?locale=de", {"token": token}).status == 200
    check_problem(installation.post("/invitations/lookup?locale=%21%21", {"token": token}), 400)


def test_links_use_the_public_url_and_not_the_host_header(installation: Installation) -> None:
    fields = body()
    forged = {
        "Host": "evil.test",
        "X-Forwarded-Host": "evil.test",
        "X-Forwarded-Proto": "https",
        "Forwarded": "host=evil.test",
    }
    answer = installation.post("/invitations", fields, installation.key, headers=forged)
    assert answer.status == 201
    assert "evil.test" not in str(answer.headers) + answer.body.decode()
    mail = installation.mail(fields["inviteEmail"])
    assert f"{installation.public_url}/invitation?token=" in mail.text
    assert b"evil.test" not in mail.content
    link = installation.post(f"/invitations/{answer.json['id']}/link", token=installation.key, headers=forged)
    assert link.json["url"].startswith(f"{installation.public_url}/invitation?token=ey")
