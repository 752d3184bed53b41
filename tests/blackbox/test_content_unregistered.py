"""Where only people with accounts are invited to content, nobody learns who has one."""

from typing import Any

from tests.support.content_calls import accept, access, article, ask, join, levels, put_access, share
from tests.support.installation import PROFILE, Answer, Installation, new_address, refused


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


def test_an_unknown_address_is_answered_like_any_other(closed_content_installation: Installation) -> None:
    installation = closed_content_installation
    known, unverified, unknown = installation.user(), installation.user(emailVerified=False), new_address()
    answers = []
    for email in (known.email, unverified.email, unknown):
        owner = installation.user()
        key = article(installation, owner, title="Same")
        answers.append(alike(ask(installation, key, owner, email, "EDITOR"), email))
        assert alike(installation.get(f"/content/articles/{key}/access", owner.token), email) == answers[-1]
        refused(ask(installation, key, owner, email, "EDITOR"), 409, "already-invited")
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["invitations"] == [{"role": "EDITOR", "delivery": None}]
    installation.mail(known.email)
    assert installation.smtp.to(unknown) == []


def test_the_unknown_are_stored_and_not_mailed(closed_content_installation: Installation) -> None:
    installation = closed_content_installation
    owner, unknown = installation.user(), new_address()
    key = article(installation, owner)
    (made,) = ask(installation, key, owner, unknown).json["invitations"]
    told = installation.invitation(made["id"])
    assert (told["state"], told["delivery"]["state"], told["delivery"]["reason"]) == (
        "PENDING", "SUPPRESSED", "UNREGISTERED",
    )  # fmt: skip
    later = installation.user()
    ask(installation, key, owner, later.email)
    installation.mail(later.email)
    assert installation.smtp.to(unknown) == []


def test_an_inviter_who_sees_his_own_invitations_learns_nothing(closed_content_installation: Installation) -> None:
    installation = closed_content_installation
    host, known, unknown = installation.user("host"), installation.user(), new_address()
    key = article(installation, host)
    seen = []
    for email in (known.email, unknown):
        before = {one["id"] for one in access(installation, key)["invitations"]}
        made = next(
            one["id"] for one in ask(installation, key, host, email).json["invitations"] if one["id"] not in before
        )
        if email == known.email:
            installation.mail(email)
            installation.delivery(made, "SENT")
        answers = [
            installation.get(f"/invitations/{made}", host.token).json,
            installation.get(f"/invitations?email={email}", host.token).json["items"][0],
            installation.post(f"/invitations/{made}/resend", token=host.token).json,
        ]
        types = [event["type"] for event in installation.get(f"/invitations/{made}/events", host.token).json["items"]]
        deliveries = [(answer["delivery"] or {}).get("state") for answer in answers]
        seen.append((deliveries, types, "UNREGISTERED" in str(answers)))
    assert seen[0] == seen[1]
    for state in ("SUPPRESSED", "SENT", "QUEUED"):
        answer = installation.get(f"/invitations?delivery={state}", host.token)
        assert answer.status == 403 or answer.json["items"] == []


def test_a_bundle_of_content_alone_tells_nothing_either(closed_content_installation: Installation) -> None:
    installation = closed_content_installation
    host, known, unknown = installation.user("host"), installation.user(), new_address()
    told = []
    for email in (known.email, unknown):
        content = [{"contentType": "articles", "key": article(installation, host), "role": "VIEWER"}]
        made = installation.post("/invitations", {"inviteEmail": email, "content": content}, host.token)
        told.append((made.status, (made.json["delivery"] or {}).get("state")))
    assert told[0] == told[1]


def test_who_is_in_the_access_of_this_object_is_told_and_nobody_else(closed_content_installation: Installation) -> None:
    installation = closed_content_installation
    owner, direct, member, curator, group = (
        installation.user(),
        installation.user(),
        installation.user(),
        installation.user("curator"),
        installation.group(),
    )
    join(installation, group, member)
    key = article(installation, owner)
    share(installation, key, owner, (direct, "EDITOR"), **{group: "EDITOR"})
    refused(ask(installation, key, owner, direct.email, "VIEWER"), 409, "already-member")
    refused(ask(installation, key, owner, owner.email, "VIEWER"), 409, "already-member")
    for person in (member, curator):
        assert ask(installation, key, owner, person.email, "VIEWER").status == 200
    public = article(installation, owner)
    put_access(installation, public, owner, "PUBLIC")
    assert ask(installation, public, owner, installation.user().email, "VIEWER").status == 200


def test_the_known_accept_as_ever(closed_content_installation: Installation) -> None:
    installation = closed_content_installation
    owner, guest = installation.user(), installation.user()
    key = article(installation, owner)
    ask(installation, key, owner, guest.email, "EDITOR")
    assert accept(installation, installation.mail(guest.email).token, guest).status == 200
    assert levels(installation, key, guest) == ["EDITOR"]


def test_such_a_link_registers_nobody(closed_content_installation: Installation) -> None:
    installation = closed_content_installation
    owner, unknown = installation.user(), new_address()
    key = article(installation, owner)
    (made,) = ask(installation, key, owner, unknown).json["invitations"]
    token = installation.reveal(made["id"])
    paths = ("/content/articles/invitations/accept", f"/content/articles/invitations/{key}", "/invitations/accept")
    for path in paths:
        for more in ({}, PROFILE):
            answer = accept(installation, token, None, path, **more)
            assert 400 <= answer.status < 500, answer
    person = {
        "externalId": f"idp|{unknown}",
        "email": unknown,
        "emailVerified": True,
        "firstName": "A",
        "lastName": "B",
    }
    assert (
        400 <= installation.post("/invitations/accept", {"token": token, "as": person}, installation.key).status < 500
    )
    assert installation.get(f"/users?email={unknown}", installation.key).json["total"] == 0
    assert installation.invitation(made["id"])["state"] == "PENDING"
    assert installation.post("/invitations/request-new", {"token": token}).status == 202
    assert installation.smtp.to(unknown) == []


def test_a_link_works_once_its_person_has_an_account(closed_content_installation: Installation) -> None:
    installation = closed_content_installation
    owner, address = installation.user(), new_address()
    key = article(installation, owner)
    (made,) = ask(installation, key, owner, address).json["invitations"]
    guest = installation.user(email=address)
    assert accept(installation, installation.reveal(made["id"]), guest).status == 200
    assert levels(installation, key, guest) == ["VIEWER"]


def test_an_invitation_to_the_app_still_brings_strangers_in(closed_content_installation: Installation) -> None:
    installation = closed_content_installation
    owner, stranger = installation.user(), new_address()
    key = article(installation, owner)
    content = [{"contentType": "articles", "key": key, "role": "VIEWER"}]
    made = installation.post(
        "/invitations", {"inviteEmail": stranger, "role": "customer", "content": content}, installation.key
    )
    assert made.status == 201
    got = installation.accept(installation.mail_of(made.json).token, **PROFILE)
    assert got.status == 201
