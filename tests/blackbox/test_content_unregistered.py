"""Where only people with accounts are invited to content, nobody learns who has one."""

from typing import Any

from tests.support.content_calls import accept, access, article, ask, join, levels, put_access, share
from tests.support.installation import PROFILE, Answer, House, new_address, refused


def alike(answer: Answer, email: str) -> Any:
    """An answer without what differs between any two invitations."""
    assert answer.status == 200, answer
    details = dict(answer.json)
    details["invitations"] = [
        {name: value for name, value in one.items() if name not in {"id", "email", "issuedAt", "expiresAt"}}
        for one in details["invitations"]
        if one["email"] == email
    ]
    return details | {"ownerId": None}


def test_an_unknown_address_is_answered_like_any_other(closed_library: House) -> None:
    house = closed_library
    known, unverified, unknown = house.user(), house.user(emailVerified=False), new_address()
    answers = []
    for email in (known.email, unverified.email, unknown):
        owner = house.user()
        key = article(house, owner, title="Same")
        answers.append(alike(ask(house, key, owner, email, "EDITOR"), email))
        assert alike(house.get(f"/content/articles/{key}/access", owner.token), email) == answers[-1]
        refused(ask(house, key, owner, email, "EDITOR"), 409, "already-invited")
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["invitations"] == [{"role": "EDITOR", "delivery": None}]
    house.mail(known.email)
    assert house.smtp.to(unknown) == []


def test_the_unknown_are_stored_and_not_mailed(closed_library: House) -> None:
    house = closed_library
    owner, unknown = house.user(), new_address()
    key = article(house, owner)
    (made,) = ask(house, key, owner, unknown).json["invitations"]
    told = house.invitation(made["id"])
    assert (told["state"], told["delivery"]["state"], told["delivery"]["reason"]) == (
        "PENDING", "SUPPRESSED", "UNREGISTERED",
    )  # fmt: skip
    later = house.user()
    ask(house, key, owner, later.email)
    house.mail(later.email)
    assert house.smtp.to(unknown) == []


def test_an_inviter_who_sees_his_own_invitations_learns_nothing(closed_library: House) -> None:
    house = closed_library
    host, known, unknown = house.user("host"), house.user(), new_address()
    key = article(house, host)
    seen = []
    for email in (known.email, unknown):
        before = {one["id"] for one in access(house, key)["invitations"]}
        made = next(one["id"] for one in ask(house, key, host, email).json["invitations"] if one["id"] not in before)
        if email == known.email:
            house.mail(email)
            house.delivery(made, "SENT")
        answers = [
            house.get(f"/invitations/{made}", host.token).json,
            house.get(f"/invitations?email={email}", host.token).json["items"][0],
            house.post(f"/invitations/{made}/resend", token=host.token).json,
        ]
        types = [event["type"] for event in house.get(f"/invitations/{made}/events", host.token).json["items"]]
        deliveries = [(answer["delivery"] or {}).get("state") for answer in answers]
        seen.append((deliveries, types, "UNREGISTERED" in str(answers)))
    assert seen[0] == seen[1]
    for state in ("SUPPRESSED", "SENT", "QUEUED"):
        answer = house.get(f"/invitations?delivery={state}", host.token)
        assert answer.status == 403 or answer.json["items"] == []


def test_a_bundle_of_content_alone_tells_nothing_either(closed_library: House) -> None:
    house = closed_library
    host, known, unknown = house.user("host"), house.user(), new_address()
    told = []
    for email in (known.email, unknown):
        content = [{"contentType": "articles", "key": article(house, host), "role": "VIEWER"}]
        made = house.post("/invitations", {"inviteEmail": email, "content": content}, host.token)
        told.append((made.status, (made.json["delivery"] or {}).get("state")))
    assert told[0] == told[1]


def test_who_is_in_the_access_of_this_object_is_told_and_nobody_else(closed_library: House) -> None:
    house = closed_library
    owner, direct, member, curator, group = (
        house.user(),
        house.user(),
        house.user(),
        house.user("curator"),
        house.group(),
    )
    join(house, group, member)
    key = article(house, owner)
    share(house, key, owner, (direct, "EDITOR"), **{group: "EDITOR"})
    refused(ask(house, key, owner, direct.email, "VIEWER"), 409, "already-member")
    refused(ask(house, key, owner, owner.email, "VIEWER"), 409, "already-member")
    for person in (member, curator):
        assert ask(house, key, owner, person.email, "VIEWER").status == 200
    public = article(house, owner)
    put_access(house, public, owner, "PUBLIC")
    assert ask(house, public, owner, house.user().email, "VIEWER").status == 200


def test_the_known_accept_as_ever(closed_library: House) -> None:
    house = closed_library
    owner, guest = house.user(), house.user()
    key = article(house, owner)
    ask(house, key, owner, guest.email, "EDITOR")
    assert accept(house, house.mail(guest.email).token, guest).status == 200
    assert levels(house, key, guest) == ["EDITOR"]


def test_such_a_link_registers_nobody(closed_library: House) -> None:
    house = closed_library
    owner, unknown = house.user(), new_address()
    key = article(house, owner)
    (made,) = ask(house, key, owner, unknown).json["invitations"]
    token = house.reveal(made["id"])
    paths = ("/content/articles/invitations/accept", f"/content/articles/invitations/{key}", "/invitations/accept")
    for path in paths:
        for more in ({}, PROFILE):
            answer = accept(house, token, None, path, **more)
            assert 400 <= answer.status < 500, answer
    person = {
        "externalId": f"idp|{unknown}",
        "email": unknown,
        "emailVerified": True,
        "firstName": "A",
        "lastName": "B",
    }
    assert 400 <= house.post("/invitations/accept", {"token": token, "as": person}, house.key).status < 500
    assert house.get(f"/users?email={unknown}", house.key).json["total"] == 0
    assert house.invitation(made["id"])["state"] == "PENDING"
    assert house.post("/invitations/request-new", {"token": token}).status == 202
    assert house.smtp.to(unknown) == []


def test_a_link_works_once_its_person_has_an_account(closed_library: House) -> None:
    house = closed_library
    owner, address = house.user(), new_address()
    key = article(house, owner)
    (made,) = ask(house, key, owner, address).json["invitations"]
    guest = house.user(email=address)
    assert accept(house, house.reveal(made["id"]), guest).status == 200
    assert levels(house, key, guest) == ["VIEWER"]


def test_an_invitation_to_the_app_still_brings_strangers_in(closed_library: House) -> None:
    house = closed_library
    owner, stranger = house.user(), new_address()
    key = article(house, owner)
    content = [{"contentType": "articles", "key": key, "role": "VIEWER"}]
    made = house.post("/invitations", {"inviteEmail": stranger, "role": "customer", "content": content}, house.key)
    assert made.status == 201
    got = house.accept(house.mail_of(made.json).token, **PROFILE)
    assert got.status == 201
