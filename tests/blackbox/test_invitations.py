"""Invitations: creating, reading, resending, revealing and revoking."""

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.content_calls import parse_instant
from tests.support.installation import PASSWORD, PROFILE, Installation, check_problem, new_address, pointers

FIELDS = {
    "id", "inviteEmail", "role", "groups", "content", "state", "delivery", "generation", "secret", "createdAt",
    "expiresAt", "acceptedAt", "declinedAt", "revokedAt", "invitedBy", "sponsor", "acceptedBy", "firstName", "lastName",
    "message", "locale", "metadata", "redirectUrl",
}  # fmt: skip


def lifetime(invitation: dict[str, str]) -> timedelta:
    return datetime.fromisoformat(invitation["expiresAt"]) - datetime.fromisoformat(invitation["createdAt"])


def test_an_answer_contains_everything_but_the_token(installation: Installation) -> None:
    group, address = installation.group(), new_address()
    fields = {
        "role": "customer",
        "groups": [group],
        "firstName": "Jonas",
        "lastName": "O'Hara-Łęcki",
        "message": "Come in.\r\nBring\rtea.",
        "locale": "de",
        "expiresIn": "P2DT12H",
        "metadata": {"plan": ["a", 1, None, {"b": 1.5}]},
        "redirectUrl": "https://app.orchard.example/welcome?x=1#y",
    }
    answer = installation.post("/invitations", {"inviteEmail": address, **fields}, installation.key)
    assert answer.status == 201
    invitation = answer.json
    assert invitation.keys() == FIELDS
    assert answer.headers["Location"].endswith(f"/api/invitations/{invitation['id']}")
    expected = fields | {"message": "Come in.\nBring\ntea."}
    assert {name: invitation[name] for name in expected if name != "expiresIn"} | {"expiresIn": "P2DT12H"} == expected
    assert (invitation["inviteEmail"], invitation["state"], invitation["generation"]) == (address, "PENDING", 1)
    assert lifetime(invitation) == timedelta(days=2, hours=12)
    assert invitation["delivery"].keys() == {"state", "reason", "attempts", "lastAttemptAt", "lastReply"}
    assert invitation["invitedBy"]["type"] == "API_KEY"
    assert invitation["sponsor"] == invitation["invitedBy"]
    assert [invitation[name] for name in ("acceptedAt", "declinedAt", "revokedAt", "acceptedBy", "content")] == [
        None
    ] * 4 + [[]]
    token = installation.mail(address).token
    assert token.startswith("ey")
    assert invitation["secret"].endswith(token[-4:])
    read = installation.get(f"/invitations/{invitation['id']}", installation.key)
    listed = installation.get(f"/invitations?email={address}", installation.key)
    assert read.json | {"delivery": 0} == invitation | {"delivery": 0}
    for text in (answer.body, read.body, listed.body):
        assert token.encode() not in text
        assert token.split(".")[2].encode() not in text


def test_the_default_lifetime_is_seven_days(installation: Installation) -> None:
    invitation = installation.invite()
    assert lifetime(invitation) == timedelta(days=7)
    assert [invitation[name] for name in ("firstName", "lastName", "message", "redirectUrl")] == [None] * 4
    assert invitation["groups"] == []


def test_a_grant_is_required(installation: Installation) -> None:
    empty: dict[str, Any]
    for empty in ({}, {"groups": []}, {"role": None, "groups": [], "content": []}):
        check_problem(installation.post("/invitations", {"inviteEmail": new_address(), **empty}, installation.key), 422)


def test_an_unknown_role_is_a_field_problem_and_an_unknown_group_is_not_found(installation: Installation) -> None:
    address = new_address()
    problem = check_problem(
        installation.post("/invitations", {"inviteEmail": address, "role": "emperor"}, installation.key), 422
    )
    assert pointers(problem) == {"/role"}
    check_problem(
        installation.post("/invitations", {"inviteEmail": address, "groups": ["nowhere"]}, installation.key), 404
    )
    unknown = [{"contentType": "articles", "key": "nothing", "role": "VIEWER"}]
    check_problem(
        installation.post("/invitations", {"inviteEmail": address, "content": unknown}, installation.key), 404
    )
    assert installation.get(f"/invitations?email={address}", installation.key).json["total"] == 0


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("expiresIn", "PT0S"),
        ("expiresIn", "-P1D"),
        ("expiresIn", "P31D"),
        ("expiresIn", "P99999999D"),
        ("expiresIn", "P1DT"),
        ("expiresIn", "P"),
        ("expiresIn", "7 days"),
        ("expiresIn", ""),
        ("firstName", "x" * 101),
        ("firstName", "two\nlines"),
        ("lastName", "bell\x07"),
        ("lastName", "nul\x00"),
        ("message", "x" * 1001),
        ("message", "esc\x1b[1m"),
        ("message", "tab\t"),
        ("groups", ["same", "same"]),
        ("metadata", "text"),
        ("metadata", 1),
        ("locale", "x_y_z!"),
        ("redirectUrl", "https://evil.test/"),
        ("redirectUrl", "https://app.orchard.example.evil.test/"),
        ("redirectUrl", "https://app.orchard.example@evil.test/"),
        ("redirectUrl", "http://app.orchard.example/"),
        ("redirectUrl", "https://app.orchard.example:8443/"),
        ("redirectUrl", "javascript:alert(1)"),
        ("redirectUrl", "//evil.test/"),
        ("redirectUrl", "https:\\\\evil.test"),
        ("redirectUrl", "https://app.orchard.example\\@evil.test/"),
        ("redirectUrl", "https://app.orchard.example\r\nSet-Cookie: a=b"),
        ("redirectUrl", "data:text/html,hi"),
    ],
)
def test_invalid_values_are_reported(installation: Installation, field: str, bad: object) -> None:
    body = {"inviteEmail": new_address(), "role": "customer", field: bad}
    assert pointers(check_problem(installation.post("/invitations", body, installation.key), 422)) == {f"/{field}"}
    assert installation.get(f"/invitations?email={body['inviteEmail']}", installation.key).json["total"] == 0


def test_maximum_values_are_allowed(installation: Installation) -> None:
    invitation = installation.invite(
        firstName="ü" * 100, lastName="𝒳" * 100, message="a\n\nb" + "x" * 996, expiresIn="P30D"
    )
    assert len(invitation["lastName"]) == 100
    assert len(invitation["message"]) == 1000
    assert lifetime(invitation) == timedelta(days=30)


def test_names_are_free_text_in_any_script(installation: Installation) -> None:
    invitation = installation.invite(firstName="محمد", lastName="O’Brien <b>&", message="https://x.test/ <script>")
    assert (invitation["firstName"], invitation["lastName"]) == ("محمد", "O’Brien <b>&")


def test_the_same_grants_for_the_same_address_are_one_invitation(installation: Installation) -> None:
    first_group, second_group = installation.group(), installation.group()
    address = new_address()
    first = installation.invite(address, role="customer", groups=[first_group, second_group])
    user = installation.user("admin")
    for groups in ([first_group, second_group], [second_group, first_group]):
        body = {"inviteEmail": address.upper(), "role": "customer", "groups": groups, "message": "again"}
        problem = check_problem(installation.post("/invitations", body, user.token), 409, "already-invited")
        assert problem["id"] == first["id"]
    installation.invite(address, role="customer", groups=[first_group])
    installation.invite(address, groups=[first_group, second_group])
    installation.invite(address, role="team", groups=[first_group, second_group])
    assert installation.get(f"/invitations?email={address}", installation.key).json["total"] == 4


def test_an_ended_invitation_does_not_block_the_next(installation: Installation) -> None:
    address = new_address()
    first = installation.invite(address)
    assert installation.delete(f"/invitations/{first['id']}", installation.key).status == 204
    second = installation.invite(address, expiresIn="PT1S")
    installation.wait_until_expired(second["id"])
    third = installation.invite(address)
    assert len({first["id"], second["id"], third["id"]}) == 3
    assert [event["type"] for event in installation.events(second["id"])].count("invitation.expired") == 1


def test_a_user_who_has_every_grant_is_not_invited(installation: Installation) -> None:
    group, user = installation.group(), installation.user("customer")
    body = {"inviteEmail": user.email, "role": "customer"}
    check_problem(installation.post("/invitations", body, installation.key), 409, "already-member")
    both = body | {"groups": [group]}
    answer = installation.post("/invitations", both, installation.key)
    assert answer.status == 201
    installation.delete(f"/invitations/{answer.json['id']}", installation.key)
    assert installation.post(f"/groups/{group}/members/{user.id}", token=installation.key).status == 204
    check_problem(installation.post("/invitations", both, installation.key), 409, "already-member")
    check_problem(
        installation.post("/invitations", {"inviteEmail": user.email, "groups": [group]}, installation.key),
        409,
        "already-member",
    )


def test_invitations_of_others_are_not_revealed_without_read_permission(installation: Installation) -> None:
    sender, address = installation.user("sender"), new_address()
    other = installation.invite(address)
    answer = installation.post("/invitations", {"inviteEmail": address, "role": "customer"}, sender.token)
    assert other["id"] not in answer.body.decode()
    member = installation.user("customer")
    answer = installation.post("/invitations", {"inviteEmail": member.email, "role": "customer"}, sender.token)
    assert b"already-member" not in answer.body
    assert answer.status == 201
    mine = new_address()
    first = installation.invite(mine, sender.token)
    again = installation.post("/invitations", {"inviteEmail": mine, "role": "customer"}, sender.token)
    assert check_problem(again, 409, "already-invited")["id"] == first["id"]


def test_a_revoked_invitation_stays_readable(installation: Installation) -> None:
    invitation, token = installation.invite_with_token()
    assert installation.delete(f"/invitations/{invitation['id']}", installation.key).status == 204
    revoked = installation.invitation(invitation["id"])
    assert (revoked["state"], bool(revoked["revokedAt"])) == ("REVOKED", True)
    check_problem(installation.delete(f"/invitations/{invitation['id']}", installation.key), 404)
    check_problem(installation.accept(token, **PROFILE), 410, "invitation-revoked")
    check_problem(
        installation.post(f"/invitations/{invitation['id']}/resend", token=installation.key),
        409,
        "invitation-not-pending",
    )
    check_problem(installation.post(f"/invitations/{invitation['id']}/link", token=installation.key), 409)
    assert [event["type"] for event in installation.events(invitation["id"])].count("invitation.revoked") == 1


def test_an_expired_invitation_can_be_revoked(installation: Installation) -> None:
    invitation = installation.invite(expiresIn="PT1S")
    installation.wait_until_expired(invitation["id"])
    assert installation.delete(f"/invitations/{invitation['id']}", installation.key).status == 204
    assert installation.invitation(invitation["id"])["state"] == "REVOKED"


def test_an_accepted_or_declined_invitation_cannot_be_revoked_or_resent(installation: Installation) -> None:
    accepted, first = installation.invite_with_token()
    declined, second = installation.invite_with_token()
    assert installation.accept(first, **PROFILE).status == 201
    assert installation.post("/invitations/decline", {"token": second, "reason": "No, thank you."}).status == 200
    for invitation in (accepted, declined):
        check_problem(
            installation.delete(f"/invitations/{invitation['id']}", installation.key), 409, "invitation-not-pending"
        )
        check_problem(
            installation.post(f"/invitations/{invitation['id']}/resend", token=installation.key),
            409,
            "invitation-not-pending",
        )
        check_problem(installation.post(f"/invitations/{invitation['id']}/link", token=installation.key), 409)


def test_resending_creates_a_new_link_and_supersedes_the_old(installation: Installation) -> None:
    invitation, old = installation.invite_with_token(expiresIn="P3D")
    user = installation.user("team")
    answer = installation.post(f"/invitations/{invitation['id']}/resend", token=user.token)
    assert answer.status == 202
    assert (answer.json["generation"], answer.json["state"]) == (2, "PENDING")
    assert (answer.json["sponsor"]["id"], answer.json["invitedBy"]) == (user.id, invitation["invitedBy"])
    assert answer.json["createdAt"] == invitation["createdAt"]
    assert parse_instant(answer.json["expiresAt"]) > parse_instant(invitation["expiresAt"])
    assert answer.json["secret"] != invitation["secret"]
    new = installation.mail(invitation["inviteEmail"], 2).token
    assert new != old
    check_problem(installation.post("/invitations/lookup", {"token": old}), 410, "invitation-superseded")
    assert installation.accept(new, **PROFILE).status == 201


def test_resending_renews_an_expired_invitation_unless_another_is_pending(installation: Installation) -> None:
    invitation = installation.invite(expiresIn="PT2S")
    installation.wait_until_expired(invitation["id"])
    check_problem(installation.post(f"/invitations/{invitation['id']}/link", token=installation.key), 409)
    again = installation.post(f"/invitations/{invitation['id']}/resend", token=installation.key).json
    assert again["state"] == "PENDING"
    installation.wait_until_expired(invitation["id"])
    other = installation.invite(invitation["inviteEmail"])
    problem = check_problem(
        installation.post(f"/invitations/{invitation['id']}/resend", token=installation.key), 409, "already-invited"
    )
    assert problem["id"] == other["id"]
    assert installation.invitation(invitation["id"])["state"] == "EXPIRED"


def test_revealing_a_link_is_recorded_and_requires_its_permission(installation: Installation) -> None:
    invitation = installation.invite()
    check_problem(
        installation.post(f"/invitations/{invitation['id']}/link", token=installation.user("team").token), 403
    )
    before = len(installation.events(invitation["id"]))
    answer = installation.post(f"/invitations/{invitation['id']}/link", token=installation.key)
    assert answer.json.keys() == {"url"}
    assert answer.json["url"].startswith(f"{installation.public_url}/invitation?token=ey")
    events = installation.events(invitation["id"])
    assert len(events) == before + 1
    assert "token" not in json.dumps(events[-1]["data"])
    assert installation.reveal(invitation["id"]) != installation.mail(invitation["inviteEmail"]).token


def test_events_are_listed_in_order(installation: Installation) -> None:
    invitation, _ = installation.invite_with_token()
    user = installation.user("team")
    installation.post(f"/invitations/{invitation['id']}/resend", token=user.token)
    assert installation.accept(installation.mail(invitation["inviteEmail"], 2).token, **PROFILE).status == 201
    events = installation.events(invitation["id"])
    assert events[0].keys() == {"id", "type", "at", "actor", "data"}
    assert events[0]["actor"].keys() == {"type", "id", "name"}
    kinds = [event["type"] for event in events]
    assert kinds.index("invitation.created") < kinds.index("invitation.resent") < kinds.index("invitation.accepted")
    instants = [parse_instant(event["at"]) for event in events]
    assert instants == sorted(instants)
    resent = events[kinds.index("invitation.resent")]
    assert (resent["actor"]["type"], resent["actor"]["id"]) == ("USER", user.id)
    first = installation.get(f"/invitations/{invitation['id']}/events?limit=1", installation.key).json
    rest = installation.get(
        f"/invitations/{invitation['id']}/events?cursor={first['nextCursor']}", installation.key
    ).json
    assert [event["id"] for event in first["items"] + rest["items"]] == [event["id"] for event in events]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_get_requests_change_nothing(installation: Installation, method: str) -> None:
    invitation, token = installation.invite_with_token()
    installation.delivery(invitation["id"], "SENT")
    before, events = installation.invitation(invitation["id"]), installation.events(invitation["id"])
    for path in (
        f"/invitation?token={token}",
        f"/api/invitations/{invitation['id']}",
        "/api/invitations",
        "/login",
        "/",
    ):
        installation.call(method, path, token=installation.key)
    for path in ("accept", "decline", "lookup", "request-new"):
        assert installation.call(method, f"/api/invitations/{path}?token={token}").status in {400, 401, 404, 405}
    assert installation.invitation(invitation["id"]) == before
    assert [event for event in installation.events(invitation["id"]) if "visit" not in event["type"]] == events
    assert installation.accept(token, **PROFILE).status == 201


def test_the_secret_shows_only_the_last_four_characters(installation: Installation) -> None:
    invitation = installation.invite()
    assert re.fullmatch(r"[^A-Za-z0-9_-]+[A-Za-z0-9_-]{4}", invitation["secret"])
    assert PASSWORD not in json.dumps(invitation)
