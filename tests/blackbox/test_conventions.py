"""What every call has in common: reading, refusing, problems, headers."""

import json
import re
from typing import Any

import pytest
from tests.support.installation import PASSWORD, PROFILE, Installation, new_address, pointers, refused

MEBIBYTE = 1 << 20
UUID7 = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
INSTANT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")


def body(**more: object) -> dict[str, Any]:
    return {"inviteEmail": new_address(), "role": "customer", **more}


@pytest.mark.parametrize(
    ("path", "sent"),
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
def test_unknown_fields_are_refused(installation: Installation, path: str, sent: dict[str, Any]) -> None:
    refused(installation.post(path, sent, installation.key), 400)


@pytest.mark.parametrize("path", ["/invitations", "/users", "/groups", "/roles", "/users/me", "/api-keys"])
def test_unknown_query_parameters_are_refused(installation: Installation, path: str) -> None:
    caller = installation.user("admin")
    assert installation.get(path, caller.token).status == 200
    refused(installation.get(f"{path}?colour=blue", caller.token), 400)


def test_unknown_query_parameters_of_a_post_change_nothing(installation: Installation) -> None:
    sent = body()
    refused(installation.post("/invitations?notify=false", sent, installation.key), 400)
    assert installation.get(f"/invitations?email={sent['inviteEmail']}", installation.key).json["total"] == 0


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
    refused(installation.get(f"/invitations?{query}", installation.key), 400)


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
def test_what_cannot_be_read_is_refused(installation: Installation, raw: bytes) -> None:
    refused(installation.post("/invitations", raw=raw, token=installation.key), 400)


def test_sixty_four_levels_can_be_read(installation: Installation) -> None:
    metadata: dict[str, Any] = {}
    for _ in range(61):
        metadata = {"a": metadata}
    made = installation.invite(metadata=metadata)
    assert installation.invitation(made["id"])["metadata"] == metadata


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/form-data"]
)
def test_other_media_types_are_refused(installation: Installation, kind: str) -> None:
    raw = json.dumps(body()).encode()
    refused(installation.post("/invitations", raw=raw, token=installation.key, headers={"Content-Type": kind}), 415)


def test_json_with_a_charset_is_read(installation: Installation) -> None:
    raw = json.dumps(body()).encode()
    kind = {"Content-Type": "Application/JSON; charset=UTF-8"}
    assert installation.post("/invitations", raw=raw, token=installation.key, headers=kind).status == 201


def test_a_body_over_one_mebibyte_is_refused(installation: Installation) -> None:
    raw = json.dumps(body(metadata={"a": "x" * MEBIBYTE})).encode()
    refused(installation.post("/invitations", raw=raw, token=installation.key), 413)


def test_a_body_over_one_mebibyte_in_chunks_is_refused(installation: Installation) -> None:
    raw = json.dumps(body(metadata={"a": "x" * MEBIBYTE})).encode()
    pieces = (raw[at : at + 65536] for at in range(0, len(raw), 65536))
    refused(installation.post("/invitations", raw=pieces, token=installation.key), 413)


def test_every_field_that_breaks_a_rule_is_named(installation: Installation) -> None:
    sent = {
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
    problem = refused(installation.post("/invitations", sent, installation.key), 422)
    assert pointers(problem) == {f"/{name}" for name in sent}
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
def test_values_of_a_wrong_type_name_their_field(installation: Installation, field: str, value: object) -> None:
    problem = refused(installation.post("/invitations", body(**{field: value}), installation.key), 422)
    assert all(pointer.startswith(f"/{field}") for pointer in pointers(problem))


def test_a_missing_field_is_named(installation: Installation) -> None:
    assert pointers(refused(installation.post("/invitations", {"role": "customer"}, installation.key), 422)) == {
        "/inviteEmail"
    }
    assert "/password" in pointers(refused(installation.post("/auth/login", {"email": "a@b.test"}), 422))


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
def test_what_is_not_there_is_a_problem(installation: Installation, method: str, path: str, status: int) -> None:
    answer = installation.call(method, path, token=installation.key)
    refused(answer, status)
    assert status != 405 or answer.headers["Allow"]


def test_ids_are_uuid7_and_instants_end_in_z(installation: Installation) -> None:
    made = installation.invite()
    assert UUID7.match(made["id"])
    assert INSTANT.match(made["createdAt"])
    assert INSTANT.match(made["expiresAt"])


def test_a_missing_credential_is_told(installation: Installation) -> None:
    answer = installation.post("/invitations", body())
    refused(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_unreadable_comes_before_unauthenticated_and_that_before_the_fields(installation: Installation) -> None:
    refused(installation.post("/invitations", raw=b"{", headers={}), 400)
    refused(installation.post("/invitations", {"inviteEmail": "nobody"}), 401)
    customer = installation.user("customer")
    refused(installation.post("/invitations", {"inviteEmail": "nobody"}, customer.token), 403)


def test_answers_with_a_token_are_not_kept(installation: Installation) -> None:
    person = installation.user()
    made, token = installation.invited(role="customer")
    answers = [
        installation.post("/auth/login", {"email": person.email, "password": PASSWORD}),
        installation.post("/auth/refresh", {"refreshToken": person.refresh_token}),
        installation.post(f"/invitations/{made['id']}/link", token=installation.key),
        installation.accept(token, **PROFILE),
    ]
    for answer in answers:
        assert answer.status in {200, 201}, answer
        assert "no-store" in answer.headers["Cache-Control"]
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_other_origins_are_let_in_by_the_list_only(installation: Installation) -> None:
    def preflight(origin: str) -> Any:
        wanted = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
        return installation.call("OPTIONS", "/api/invitations/lookup", headers=wanted).headers

    assert preflight("https://app.orchard.example")["Access-Control-Allow-Origin"] == "https://app.orchard.example"
    for origin in ("https://evil.test", "null", "https://app.orchard.example.evil.test", "http://app.orchard.example"):
        assert preflight(origin)["Access-Control-Allow-Origin"] is None
        got = installation.post("/invitations/lookup", {"token": "ey.a.b"}, headers={"Origin": origin})
        assert got.headers["Access-Control-Allow-Origin"] is None


def test_the_locale_parameter_is_understood(installation: Installation) -> None:
    _, token = installation.invited()
    assert installation.post("/invitations/lookup?locale=de", {"token": token}).status == 200
    refused(installation.post("/invitations/lookup?locale=%21%21", {"token": token}), 400)


def test_links_come_from_the_public_url_whatever_host_is_claimed(installation: Installation) -> None:
    sent = body()
    forged = {
        "Host": "evil.test",
        "X-Forwarded-Host": "evil.test",
        "X-Forwarded-Proto": "https",
        "Forwarded": "host=evil.test",
    }
    made = installation.post("/invitations", sent, installation.key, headers=forged)
    assert made.status == 201
    assert "evil.test" not in str(made.headers) + made.body.decode()
    mail = installation.mail(sent["inviteEmail"])
    assert f"{installation.public_url}/invitation?token=" in mail.text
    assert b"evil.test" not in mail.content
    link = installation.post(f"/invitations/{made.json['id']}/link", token=installation.key, headers=forged)
    assert link.json["url"].startswith(f"{installation.public_url}/invitation?token=ey")
