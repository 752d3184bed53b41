"""With `allow-unregistered-users = false` inviters cannot find out which addresses have an account."""

from typing import Any

from tests.support.content_calls import (
    accept,
    add_members,
    check_levels,
    create_object,
    get_access,
    post_invitation,
    put_access,
    share,
)
from tests.support.installation import PROFILE, Answer, Installation, check_problem, new_address


def without_varying_fields(answer: Answer, email: str) -> Any:
    """Return an answer without the fields that differ between any two invitations."""
    assert answer.status == 200, answer
    details = dict(answer.json)
    details["invitations"] = [
        {name: value for name, value in invitation.items() if name not in {"id", "email", "issuedAt", "expiresAt"}}
        for invitation in details["invitations"]
        if invitation["email"] == email
    ]
    return details | {"ownerId": None}


def test_an_unregistered_address_gets_the_same_answer(registered_only_installation: Installation) -> None:
    installation = registered_only_installation
    known, unverified, unknown = installation.user(), installation.user(emailVerified=False), new_address()
    answers = []
    for email in (known.email, unverified.email, unknown):
        owner = installation.user()
        key = create_object(installation, owner, title="Same")
        answers.append(without_varying_fields(post_invitation(installation, key, owner, email, "EDITOR"), email))
        assert (
            without_varying_fields(installation.get(f"/content/articles/{key}/access", owner.token), email)
            == answers[-1]
        )
        check_problem(post_invitation(installation, key, owner, email, "EDITOR"), 409, "already-invited")
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["invitations"] == [{"role": "EDITOR", "delivery": None}]
    installation.mail(known.email)
    assert installation.smtp.to(unknown) == []


def test_an_invitation_to_an_unregistered_address_is_stored_and_not_mailed(
    registered_only_installation: Installation,
) -> None:
    installation = registered_only_installation
    owner, unknown = installation.user(), new_address()
    key = create_object(installation, owner)
    (created,) = post_invitation(installation, key, owner, unknown).json["invitations"]
    invitation = installation.invitation(created["id"])
    assert (invitation["state"], invitation["delivery"]["state"], invitation["delivery"]["reason"]) == (
        "PENDING", "SUPPRESSED", "UNREGISTERED",
    )  # fmt: skip
    later = installation.user()
    post_invitation(installation, key, owner, later.email)
    installation.mail(later.email)
    assert installation.smtp.to(unknown) == []


def test_own_invitations_do_not_reveal_who_is_registered(registered_only_installation: Installation) -> None:
    installation = registered_only_installation
    host, known, unknown = installation.user("host"), installation.user(), new_address()
    key = create_object(installation, host)
    observations = []
    for email in (known.email, unknown):
        ids_before = {invitation["id"] for invitation in get_access(installation, key)["invitations"]}
        invitation_id = next(
            invitation["id"]
            for invitation in post_invitation(installation, key, host, email).json["invitations"]
            if invitation["id"] not in ids_before
        )
        if email == known.email:
            installation.mail(email)
            installation.delivery(invitation_id, "SENT")
        answers = [
            installation.get(f"/invitations/{invitation_id}", host.token).json,
            installation.get(f"/invitations?email={email}", host.token).json["items"][0],
            installation.post(f"/invitations/{invitation_id}/resend", token=host.token).json,
        ]
        types = [
            event["type"]
            for event in installation.get(f"/invitations/{invitation_id}/events", host.token).json["items"]
        ]
        deliveries = [(answer["delivery"] or {}).get("state") for answer in answers]
        observations.append((deliveries, types, "UNREGISTERED" in str(answers)))
    assert observations[0] == observations[1]
    for state in ("SUPPRESSED", "SENT", "QUEUED"):
        answer = installation.get(f"/invitations?delivery={state}", host.token)
        assert answer.status == 403 or answer.json["items"] == []


def test_a_general_invitation_to_content_does_not_reveal_who_is_registered(
    registered_only_installation: Installation,
) -> None:
    installation = registered_only_installation
    host, known, unknown = installation.user("host"), installation.user(), new_address()
    observations = []
    for email in (known.email, unknown):
        content = [{"contentType": "articles", "key": create_object(installation, host), "role": "VIEWER"}]
        answer = installation.post("/invitations", {"inviteEmail": email, "content": content}, host.token)
        observations.append((answer.status, (answer.json["delivery"] or {}).get("state")))
    assert observations[0] == observations[1]


def test_already_member_is_reported_only_for_users_in_the_access(
    registered_only_installation: Installation,
) -> None:
    installation = registered_only_installation
    owner, direct, member, curator, group = (
        installation.user(),
        installation.user(),
        installation.user(),
        installation.user("curator"),
        installation.group(),
    )
    add_members(installation, group, member)
    key = create_object(installation, owner)
    share(installation, key, owner, (direct, "EDITOR"), **{group: "EDITOR"})
    check_problem(post_invitation(installation, key, owner, direct.email, "VIEWER"), 409, "already-member")
    check_problem(post_invitation(installation, key, owner, owner.email, "VIEWER"), 409, "already-member")
    for user in (member, curator):
        assert post_invitation(installation, key, owner, user.email, "VIEWER").status == 200
    public = create_object(installation, owner)
    put_access(installation, public, owner, "PUBLIC")
    assert post_invitation(installation, public, owner, installation.user().email, "VIEWER").status == 200


def test_a_registered_invitee_can_accept(registered_only_installation: Installation) -> None:
    installation = registered_only_installation
    owner, guest = installation.user(), installation.user()
    key = create_object(installation, owner)
    post_invitation(installation, key, owner, guest.email, "EDITOR")
    assert accept(installation, installation.mail(guest.email).token, guest).status == 200
    assert check_levels(installation, key, guest) == ["EDITOR"]


def test_a_link_to_content_cannot_register_an_account(registered_only_installation: Installation) -> None:
    installation = registered_only_installation
    owner, unknown = installation.user(), new_address()
    key = create_object(installation, owner)
    (invitation,) = post_invitation(installation, key, owner, unknown).json["invitations"]
    token = installation.reveal(invitation["id"])
    paths = ("/content/articles/invitations/accept", f"/content/articles/invitations/{key}", "/invitations/accept")
    for path in paths:
        for fields in ({}, PROFILE):
            answer = accept(installation, token, None, path, **fields)
            assert 400 <= answer.status < 500, answer
    user = {
        "externalId": f"idp|{unknown}",
        "email": unknown,
        "emailVerified": True,
        "firstName": "A",
        "lastName": "B",
    }
    assert 400 <= installation.post("/invitations/accept", {"token": token, "as": user}, installation.key).status < 500
    assert installation.get(f"/users?email={unknown}", installation.key).json["total"] == 0
    assert installation.invitation(invitation["id"])["state"] == "PENDING"
    assert installation.post("/invitations/request-new", {"token": token}).status == 202
    assert installation.smtp.to(unknown) == []


def test_a_link_works_once_the_invitee_has_an_account(registered_only_installation: Installation) -> None:
    installation = registered_only_installation
    owner, address = installation.user(), new_address()
    key = create_object(installation, owner)
    (invitation,) = post_invitation(installation, key, owner, address).json["invitations"]
    guest = installation.user(email=address)
    assert accept(installation, installation.reveal(invitation["id"]), guest).status == 200
    assert check_levels(installation, key, guest) == ["VIEWER"]


def test_an_invitation_to_the_app_can_register_an_account(registered_only_installation: Installation) -> None:
    installation = registered_only_installation
    owner, unknown = installation.user(), new_address()
    key = create_object(installation, owner)
    content = [{"contentType": "articles", "key": key, "role": "VIEWER"}]
    created = installation.post(
        "/invitations", {"inviteEmail": unknown, "role": "customer", "content": content}, installation.key
    )
    assert created.status == 201
    answer = installation.accept(installation.mail_of(created.json).token, **PROFILE)
    assert answer.status == 201
