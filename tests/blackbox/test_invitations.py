"""Creating, reading, sending again, revealing and revoking."""

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.content_calls import instant
from tests.support.installation import PASSWORD, PROFILE, Installation, new_address, pointers, refused

FIELDS = {
    "id", "inviteEmail", "role", "groups", "content", "state", "delivery", "generation", "secret", "createdAt",
    "expiresAt", "acceptedAt", "declinedAt", "revokedAt", "invitedBy", "sponsor", "acceptedBy", "firstName", "lastName",
    "message", "locale", "metadata", "redirectUrl",
}  # fmt: skip


def lifetime(invitation: dict[str, str]) -> timedelta:
    return datetime.fromisoformat(invitation["expiresAt"]) - datetime.fromisoformat(invitation["createdAt"])


def test_an_invitation_is_answered_with_everything_but_its_token(installation: Installation) -> None:
    group, address = installation.group(), new_address()
    sent = {
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
    answer = installation.post("/invitations", {"inviteEmail": address, **sent}, installation.key)
    assert answer.status == 201
    made = answer.json
    assert made.keys() == FIELDS
    assert answer.headers["Location"].endswith(f"/api/invitations/{made['id']}")
    wanted = sent | {"message": "Come in.\nBring\ntea."}
    assert {name: made[name] for name in wanted if name != "expiresIn"} | {"expiresIn": "P2DT12H"} == wanted
    assert (made["inviteEmail"], made["state"], made["generation"]) == (address, "PENDING", 1)
    assert lifetime(made) == timedelta(days=2, hours=12)
    assert made["delivery"].keys() == {"state", "reason", "attempts", "lastAttemptAt", "lastReply"}
    assert made["invitedBy"]["type"] == "API_KEY"
    assert made["sponsor"] == made["invitedBy"]
    assert [made[name] for name in ("acceptedAt", "declinedAt", "revokedAt", "acceptedBy", "content")] == [None] * 4 + [
        []
    ]
    token = installation.mail(address).token
    assert token.startswith("ey")
    assert made["secret"].endswith(token[-4:])
    read = installation.get(f"/invitations/{made['id']}", installation.key)
    listed = installation.get(f"/invitations?email={address}", installation.key)
    assert read.json | {"delivery": 0} == made | {"delivery": 0}
    for text in (answer.body, read.body, listed.body):
        assert token.encode() not in text
        assert token.split(".")[2].encode() not in text


def test_defaults_are_seven_days_and_no_words(installation: Installation) -> None:
    made = installation.invite()
    assert lifetime(made) == timedelta(days=7)
    assert [made[name] for name in ("firstName", "lastName", "message", "redirectUrl")] == [None] * 4
    assert made["groups"] == []


def test_something_must_be_granted(installation: Installation) -> None:
    empty: dict[str, Any]
    for empty in ({}, {"groups": []}, {"role": None, "groups": [], "content": []}):
        refused(installation.post("/invitations", {"inviteEmail": new_address(), **empty}, installation.key), 422)


def test_an_unknown_role_is_a_field_problem_and_an_unknown_group_is_not_found(installation: Installation) -> None:
    address = new_address()
    problem = refused(
        installation.post("/invitations", {"inviteEmail": address, "role": "emperor"}, installation.key), 422
    )
    assert pointers(problem) == {"/role"}
    refused(installation.post("/invitations", {"inviteEmail": address, "groups": ["nowhere"]}, installation.key), 404)
    unknown = [{"contentType": "articles", "key": "nothing", "role": "VIEWER"}]
    refused(installation.post("/invitations", {"inviteEmail": address, "content": unknown}, installation.key), 404)
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
def test_values_out_of_bounds_are_named(installation: Installation, field: str, bad: object) -> None:
    sent = {"inviteEmail": new_address(), "role": "customer", field: bad}
    assert pointers(refused(installation.post("/invitations", sent, installation.key), 422)) == {f"/{field}"}
    assert installation.get(f"/invitations?email={sent['inviteEmail']}", installation.key).json["total"] == 0


def test_bounds_themselves_are_allowed(installation: Installation) -> None:
    made = installation.invite(firstName="ü" * 100, lastName="𝒳" * 100, message="a\n\nb" + "x" * 996, expiresIn="P30D")
    assert len(made["lastName"]) == 100
    assert len(made["message"]) == 1000
    assert lifetime(made) == timedelta(days=30)


def test_names_are_free_text_in_any_script(installation: Installation) -> None:
    made = installation.invite(firstName="محمد", lastName="O’Brien <b>&", message="https://x.test/ <script>")
    assert (made["firstName"], made["lastName"]) == ("محمد", "O’Brien <b>&")


def test_the_same_grants_for_the_same_address_are_one_invitation(installation: Installation) -> None:
    one, two = installation.group(), installation.group()
    address = new_address()
    first = installation.invite(address, role="customer", groups=[one, two])
    person = installation.user("admin")
    for groups in ([one, two], [two, one]):
        sent = {"inviteEmail": address.upper(), "role": "customer", "groups": groups, "message": "again"}
        problem = refused(installation.post("/invitations", sent, person.token), 409, "already-invited")
        assert problem["id"] == first["id"]
    installation.invite(address, role="customer", groups=[one])
    installation.invite(address, groups=[one, two])
    installation.invite(address, role="team", groups=[one, two])
    assert installation.get(f"/invitations?email={address}", installation.key).json["total"] == 4


def test_an_ended_invitation_makes_room_for_the_next(installation: Installation) -> None:
    address = new_address()
    first = installation.invite(address)
    assert installation.delete(f"/invitations/{first['id']}", installation.key).status == 204
    second = installation.invite(address, expiresIn="PT1S")
    installation.wait_until_expired(second["id"])
    third = installation.invite(address)
    assert len({first["id"], second["id"], third["id"]}) == 3
    assert [event["type"] for event in installation.events(second["id"])].count("invitation.expired") == 1


def test_who_already_holds_everything_is_not_invited(installation: Installation) -> None:
    group, person = installation.group(), installation.user("customer")
    sent = {"inviteEmail": person.email, "role": "customer"}
    refused(installation.post("/invitations", sent, installation.key), 409, "already-member")
    both = sent | {"groups": [group]}
    made = installation.post("/invitations", both, installation.key)
    assert made.status == 201
    installation.delete(f"/invitations/{made.json['id']}", installation.key)
    assert installation.post(f"/groups/{group}/members/{person.id}", token=installation.key).status == 204
    refused(installation.post("/invitations", both, installation.key), 409, "already-member")
    refused(
        installation.post("/invitations", {"inviteEmail": person.email, "groups": [group]}, installation.key),
        409,
        "already-member",
    )


def test_what_others_sent_is_not_told_to_who_may_not_list_it(installation: Installation) -> None:
    stranger, address = installation.user("sender"), new_address()
    other = installation.invite(address)
    answer = installation.post("/invitations", {"inviteEmail": address, "role": "customer"}, stranger.token)
    assert other["id"] not in answer.body.decode()
    member = installation.user("customer")
    answer = installation.post("/invitations", {"inviteEmail": member.email, "role": "customer"}, stranger.token)
    assert b"already-member" not in answer.body
    assert answer.status == 201
    mine = new_address()
    first = installation.invite(mine, stranger.token)
    again = installation.post("/invitations", {"inviteEmail": mine, "role": "customer"}, stranger.token)
    assert refused(again, 409, "already-invited")["id"] == first["id"]


def test_revoking_ends_it_once_and_it_stays_readable(installation: Installation) -> None:
    made, token = installation.invited()
    assert installation.delete(f"/invitations/{made['id']}", installation.key).status == 204
    gone = installation.invitation(made["id"])
    assert (gone["state"], bool(gone["revokedAt"])) == ("REVOKED", True)
    refused(installation.delete(f"/invitations/{made['id']}", installation.key), 404)
    refused(installation.accept(token, **PROFILE), 410, "invitation-revoked")
    refused(
        installation.post(f"/invitations/{made['id']}/resend", token=installation.key), 409, "invitation-not-pending"
    )
    refused(installation.post(f"/invitations/{made['id']}/link", token=installation.key), 409)
    assert [event["type"] for event in installation.events(made["id"])].count("invitation.revoked") == 1


def test_an_expired_invitation_can_be_revoked(installation: Installation) -> None:
    made = installation.invite(expiresIn="PT1S")
    installation.wait_until_expired(made["id"])
    assert installation.delete(f"/invitations/{made['id']}", installation.key).status == 204
    assert installation.invitation(made["id"])["state"] == "REVOKED"


def test_an_answered_invitation_can_be_neither_revoked_nor_sent_again(installation: Installation) -> None:
    accepted, first = installation.invited()
    declined, second = installation.invited()
    assert installation.accept(first, **PROFILE).status == 201
    assert installation.post("/invitations/decline", {"token": second, "reason": "No, thank you."}).status == 200
    for made in (accepted, declined):
        refused(installation.delete(f"/invitations/{made['id']}", installation.key), 409, "invitation-not-pending")
        refused(
            installation.post(f"/invitations/{made['id']}/resend", token=installation.key),
            409,
            "invitation-not-pending",
        )
        refused(installation.post(f"/invitations/{made['id']}/link", token=installation.key), 409)


def test_sending_again_makes_the_next_link_and_kills_the_old(installation: Installation) -> None:
    made, old = installation.invited(expiresIn="P3D")
    person = installation.user("team")
    answer = installation.post(f"/invitations/{made['id']}/resend", token=person.token)
    assert answer.status == 202
    assert (answer.json["generation"], answer.json["state"]) == (2, "PENDING")
    assert (answer.json["sponsor"]["id"], answer.json["invitedBy"]) == (person.id, made["invitedBy"])
    assert answer.json["createdAt"] == made["createdAt"]
    assert instant(answer.json["expiresAt"]) > instant(made["expiresAt"])
    assert answer.json["secret"] != made["secret"]
    new = installation.mail(made["inviteEmail"], 2).token
    assert new != old
    refused(installation.post("/invitations/lookup", {"token": old}), 410, "invitation-superseded")
    assert installation.accept(new, **PROFILE).status == 201


def test_sending_again_revives_an_expired_one_unless_another_took_its_place(installation: Installation) -> None:
    made = installation.invite(expiresIn="PT2S")
    installation.wait_until_expired(made["id"])
    refused(installation.post(f"/invitations/{made['id']}/link", token=installation.key), 409)
    again = installation.post(f"/invitations/{made['id']}/resend", token=installation.key).json
    assert again["state"] == "PENDING"
    installation.wait_until_expired(made["id"])
    other = installation.invite(made["inviteEmail"])
    problem = refused(
        installation.post(f"/invitations/{made['id']}/resend", token=installation.key), 409, "already-invited"
    )
    assert problem["id"] == other["id"]
    assert installation.invitation(made["id"])["state"] == "EXPIRED"


def test_a_revealed_link_is_an_event_and_needs_its_permission(installation: Installation) -> None:
    made = installation.invite()
    refused(installation.post(f"/invitations/{made['id']}/link", token=installation.user("team").token), 403)
    before = len(installation.events(made["id"]))
    answer = installation.post(f"/invitations/{made['id']}/link", token=installation.key)
    assert answer.json.keys() == {"url"}
    assert answer.json["url"].startswith(f"{installation.public_url}/invitation?token=ey")
    events = installation.events(made["id"])
    assert len(events) == before + 1
    assert "token" not in json.dumps(events[-1]["data"])
    assert installation.reveal(made["id"]) != installation.mail(made["inviteEmail"]).token


def test_events_tell_what_happened_in_order(installation: Installation) -> None:
    made, _ = installation.invited()
    person = installation.user("team")
    installation.post(f"/invitations/{made['id']}/resend", token=person.token)
    assert installation.accept(installation.mail(made["inviteEmail"], 2).token, **PROFILE).status == 201
    events = installation.events(made["id"])
    assert events[0].keys() == {"id", "type", "at", "actor", "data"}
    assert events[0]["actor"].keys() == {"type", "id", "name"}
    kinds = [event["type"] for event in events]
    assert kinds.index("invitation.created") < kinds.index("invitation.resent") < kinds.index("invitation.accepted")
    instants = [instant(event["at"]) for event in events]
    assert instants == sorted(instants)
    resent = events[kinds.index("invitation.resent")]
    assert (resent["actor"]["type"], resent["actor"]["id"]) == ("USER", person.id)
    first = installation.get(f"/invitations/{made['id']}/events?limit=1", installation.key).json
    rest = installation.get(f"/invitations/{made['id']}/events?cursor={first['nextCursor']}", installation.key).json
    assert [event["id"] for event in first["items"] + rest["items"]] == [event["id"] for event in events]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_changes_nothing(installation: Installation, method: str) -> None:
    made, token = installation.invited()
    installation.delivery(made["id"], "SENT")
    before, events = installation.invitation(made["id"]), installation.events(made["id"])
    for path in (f"/invitation?token={token}", f"/api/invitations/{made['id']}", "/api/invitations", "/login", "/"):
        installation.call(method, path, token=installation.key)
    for path in ("accept", "decline", "lookup", "request-new"):
        assert installation.call(method, f"/api/invitations/{path}?token={token}").status in {400, 401, 404, 405}
    assert installation.invitation(made["id"]) == before
    assert [event for event in installation.events(made["id"]) if "visit" not in event["type"]] == events
    assert installation.accept(token, **PROFILE).status == 201


def test_the_installation_says_itself_in_the_secret_only_its_last_letters(installation: Installation) -> None:
    made = installation.invite()
    assert re.fullmatch(r"[^A-Za-z0-9_-]+[A-Za-z0-9_-]{4}", made["secret"])
    assert PASSWORD not in json.dumps(made)
