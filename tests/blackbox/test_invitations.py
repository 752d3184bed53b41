"""Creating, reading, sending again, revealing and revoking."""

import json
import re
from datetime import datetime, timedelta

import pytest
from tests.support.content_calls import instant
from tests.support.installation import PASSWORD, PROFILE, House, new_address, pointers, refused

FIELDS = {
    "id", "inviteEmail", "role", "groups", "content", "state", "delivery", "generation", "secret", "createdAt",
    "expiresAt", "acceptedAt", "declinedAt", "revokedAt", "invitedBy", "sponsor", "acceptedBy", "firstName", "lastName",
    "message", "locale", "metadata", "redirectUrl",
}  # fmt: skip


def lifetime(invitation: dict[str, str]) -> timedelta:
    return datetime.fromisoformat(invitation["expiresAt"]) - datetime.fromisoformat(invitation["createdAt"])


def test_an_invitation_is_answered_with_everything_but_its_token(house: House) -> None:
    group, address = house.group(), new_address()
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
    answer = house.post("/invitations", {"inviteEmail": address, **sent}, house.key)
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
    token = house.mail(address).token
    assert token.startswith("ey")
    assert made["secret"].endswith(token[-4:])
    read = house.get(f"/invitations/{made['id']}", house.key)
    listed = house.get(f"/invitations?email={address}", house.key)
    assert read.json | {"delivery": 0} == made | {"delivery": 0}
    for text in (answer.body, read.body, listed.body):
        assert token.encode() not in text
        assert token.split(".")[2].encode() not in text


def test_defaults_are_seven_days_and_no_words(house: House) -> None:
    made = house.invite()
    assert lifetime(made) == timedelta(days=7)
    assert [made[name] for name in ("firstName", "lastName", "message", "redirectUrl")] == [None] * 4
    assert made["groups"] == []


def test_something_must_be_granted(house: House) -> None:
    for empty in ({}, {"groups": []}, {"role": None, "groups": [], "content": []}):
        refused(house.post("/invitations", {"inviteEmail": new_address(), **empty}, house.key), 422)


def test_an_unknown_role_is_a_field_problem_and_an_unknown_group_is_not_found(house: House) -> None:
    address = new_address()
    problem = refused(house.post("/invitations", {"inviteEmail": address, "role": "emperor"}, house.key), 422)
    assert pointers(problem) == {"/role"}
    refused(house.post("/invitations", {"inviteEmail": address, "groups": ["nowhere"]}, house.key), 404)
    unknown = [{"contentType": "articles", "key": "nothing", "role": "VIEWER"}]
    refused(house.post("/invitations", {"inviteEmail": address, "content": unknown}, house.key), 404)
    assert house.get(f"/invitations?email={address}", house.key).json["total"] == 0


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
def test_values_out_of_bounds_are_named(house: House, field: str, bad: object) -> None:
    sent = {"inviteEmail": new_address(), "role": "customer", field: bad}
    assert pointers(refused(house.post("/invitations", sent, house.key), 422)) == {f"/{field}"}
    assert house.get(f"/invitations?email={sent['inviteEmail']}", house.key).json["total"] == 0


def test_bounds_themselves_are_allowed(house: House) -> None:
    made = house.invite(firstName="ü" * 100, lastName="𝒳" * 100, message="a\n\nb" + "x" * 996, expiresIn="P30D")
    assert len(made["lastName"]) == 100
    assert len(made["message"]) == 1000
    assert lifetime(made) == timedelta(days=30)


def test_names_are_free_text_in_any_script(house: House) -> None:
    made = house.invite(firstName="محمد", lastName="O’Brien <b>&", message="https://x.test/ <script>")
    assert (made["firstName"], made["lastName"]) == ("محمد", "O’Brien <b>&")


def test_the_same_grants_for_the_same_address_are_one_invitation(house: House) -> None:
    one, two = house.group(), house.group()
    address = new_address()
    first = house.invite(address, role="customer", groups=[one, two])
    person = house.user("admin")
    for groups in ([one, two], [two, one]):
        sent = {"inviteEmail": address.upper(), "role": "customer", "groups": groups, "message": "again"}
        problem = refused(house.post("/invitations", sent, person.token), 409, "already-invited")
        assert problem["id"] == first["id"]
    house.invite(address, role="customer", groups=[one])
    house.invite(address, groups=[one, two])
    house.invite(address, role="team", groups=[one, two])
    assert house.get(f"/invitations?email={address}", house.key).json["total"] == 4


def test_an_ended_invitation_makes_room_for_the_next(house: House) -> None:
    address = new_address()
    first = house.invite(address)
    assert house.delete(f"/invitations/{first['id']}", house.key).status == 204
    second = house.invite(address, expiresIn="PT1S")
    house.wait_until_expired(second["id"])
    third = house.invite(address)
    assert len({first["id"], second["id"], third["id"]}) == 3
    assert [event["type"] for event in house.events(second["id"])].count("invitation.expired") == 1


def test_who_already_holds_everything_is_not_invited(house: House) -> None:
    group, person = house.group(), house.user("customer")
    sent = {"inviteEmail": person.email, "role": "customer"}
    refused(house.post("/invitations", sent, house.key), 409, "already-member")
    both = sent | {"groups": [group]}
    made = house.post("/invitations", both, house.key)
    assert made.status == 201
    house.delete(f"/invitations/{made.json['id']}", house.key)
    assert house.post(f"/groups/{group}/members/{person.id}", token=house.key).status == 204
    refused(house.post("/invitations", both, house.key), 409, "already-member")
    refused(
        house.post("/invitations", {"inviteEmail": person.email, "groups": [group]}, house.key), 409, "already-member"
    )


def test_what_others_sent_is_not_told_to_who_may_not_list_it(house: House) -> None:
    stranger, address = house.user("sender"), new_address()
    other = house.invite(address)
    answer = house.post("/invitations", {"inviteEmail": address, "role": "customer"}, stranger.token)
    assert other["id"] not in answer.body.decode()
    member = house.user("customer")
    answer = house.post("/invitations", {"inviteEmail": member.email, "role": "customer"}, stranger.token)
    assert b"already-member" not in answer.body
    assert answer.status == 201
    mine = new_address()
    first = house.invite(mine, stranger.token)
    again = house.post("/invitations", {"inviteEmail": mine, "role": "customer"}, stranger.token)
    assert refused(again, 409, "already-invited")["id"] == first["id"]


def test_revoking_ends_it_once_and_it_stays_readable(house: House) -> None:
    made, token = house.invited()
    assert house.delete(f"/invitations/{made['id']}", house.key).status == 204
    gone = house.invitation(made["id"])
    assert (gone["state"], bool(gone["revokedAt"])) == ("REVOKED", True)
    refused(house.delete(f"/invitations/{made['id']}", house.key), 404)
    refused(house.accept(token, **PROFILE), 410, "invitation-revoked")
    refused(house.post(f"/invitations/{made['id']}/resend", token=house.key), 409, "invitation-not-pending")
    refused(house.post(f"/invitations/{made['id']}/link", token=house.key), 409)
    assert [event["type"] for event in house.events(made["id"])].count("invitation.revoked") == 1


def test_an_expired_invitation_can_be_revoked(house: House) -> None:
    made = house.invite(expiresIn="PT1S")
    house.wait_until_expired(made["id"])
    assert house.delete(f"/invitations/{made['id']}", house.key).status == 204
    assert house.invitation(made["id"])["state"] == "REVOKED"


def test_an_answered_invitation_can_be_neither_revoked_nor_sent_again(house: House) -> None:
    accepted, first = house.invited()
    declined, second = house.invited()
    assert house.accept(first, **PROFILE).status == 201
    assert house.post("/invitations/decline", {"token": second, "reason": "No, thank you."}).status == 200
    for made in (accepted, declined):
        refused(house.delete(f"/invitations/{made['id']}", house.key), 409, "invitation-not-pending")
        refused(house.post(f"/invitations/{made['id']}/resend", token=house.key), 409, "invitation-not-pending")
        refused(house.post(f"/invitations/{made['id']}/link", token=house.key), 409)


def test_sending_again_makes_the_next_link_and_kills_the_old(house: House) -> None:
    made, old = house.invited(expiresIn="P3D")
    person = house.user("team")
    answer = house.post(f"/invitations/{made['id']}/resend", token=person.token)
    assert answer.status == 202
    assert (answer.json["generation"], answer.json["state"]) == (2, "PENDING")
    assert (answer.json["sponsor"]["id"], answer.json["invitedBy"]) == (person.id, made["invitedBy"])
    assert answer.json["createdAt"] == made["createdAt"]
    assert instant(answer.json["expiresAt"]) > instant(made["expiresAt"])
    assert answer.json["secret"] != made["secret"]
    new = house.mail(made["inviteEmail"], 2).token
    assert new != old
    refused(house.post("/invitations/lookup", {"token": old}), 410, "invitation-superseded")
    assert house.accept(new, **PROFILE).status == 201


def test_sending_again_revives_an_expired_one_unless_another_took_its_place(house: House) -> None:
    made = house.invite(expiresIn="PT2S")
    house.wait_until_expired(made["id"])
    refused(house.post(f"/invitations/{made['id']}/link", token=house.key), 409)
    again = house.post(f"/invitations/{made['id']}/resend", token=house.key).json
    assert again["state"] == "PENDING"
    house.wait_until_expired(made["id"])
    other = house.invite(made["inviteEmail"])
    problem = refused(house.post(f"/invitations/{made['id']}/resend", token=house.key), 409, "already-invited")
    assert problem["id"] == other["id"]
    assert house.invitation(made["id"])["state"] == "EXPIRED"


def test_a_revealed_link_is_an_event_and_needs_its_permission(house: House) -> None:
    made = house.invite()
    refused(house.post(f"/invitations/{made['id']}/link", token=house.user("team").token), 403)
    before = len(house.events(made["id"]))
    answer = house.post(f"/invitations/{made['id']}/link", token=house.key)
    assert answer.json.keys() == {"url"}
    assert answer.json["url"].startswith(f"{house.public_url}/invitation?token=ey")
    events = house.events(made["id"])
    assert len(events) == before + 1
    assert "token" not in json.dumps(events[-1]["data"])
    assert house.reveal(made["id"]) != house.mail(made["inviteEmail"]).token


def test_events_tell_what_happened_in_order(house: House) -> None:
    made, _ = house.invited()
    person = house.user("team")
    house.post(f"/invitations/{made['id']}/resend", token=person.token)
    assert house.accept(house.mail(made["inviteEmail"], 2).token, **PROFILE).status == 201
    events = house.events(made["id"])
    assert events[0].keys() == {"id", "type", "at", "actor", "data"}
    assert events[0]["actor"].keys() == {"type", "id", "name"}
    kinds = [event["type"] for event in events]
    assert kinds.index("invitation.created") < kinds.index("invitation.resent") < kinds.index("invitation.accepted")
    instants = [instant(event["at"]) for event in events]
    assert instants == sorted(instants)
    resent = events[kinds.index("invitation.resent")]
    assert (resent["actor"]["type"], resent["actor"]["id"]) == ("USER", person.id)
    first = house.get(f"/invitations/{made['id']}/events?limit=1", house.key).json
    rest = house.get(f"/invitations/{made['id']}/events?cursor={first['nextCursor']}", house.key).json
    assert [event["id"] for event in first["items"] + rest["items"]] == [event["id"] for event in events]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_changes_nothing(house: House, method: str) -> None:
    made, token = house.invited()
    house.delivery(made["id"], "SENT")
    before, events = house.invitation(made["id"]), house.events(made["id"])
    for path in (f"/invitation?token={token}", f"/api/invitations/{made['id']}", "/api/invitations", "/login", "/"):
        house.call(method, path, token=house.key)
    for path in ("accept", "decline", "lookup", "request-new"):
        assert house.call(method, f"/api/invitations/{path}?token={token}").status in {400, 401, 404, 405}
    assert house.invitation(made["id"]) == before
    assert [event for event in house.events(made["id"]) if "visit" not in event["type"]] == events
    assert house.accept(token, **PROFILE).status == 201


def test_the_installation_says_itself_in_the_secret_only_its_last_letters(house: House) -> None:
    made = house.invite()
    assert re.fullmatch(r"[^A-Za-z0-9_-]+[A-Za-z0-9_-]{4}", made["secret"])
    assert PASSWORD not in json.dumps(made)
