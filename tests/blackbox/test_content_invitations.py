"""Invitations to one object: permissions, answers, resending and deleting."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.concurrency import run_concurrently
from tests.support.content_calls import (
    UNKNOWN_ID,
    accept,
    check_levels,
    create_invitation,
    create_object,
    get_access,
    get_visibility,
    newest_invitation,
    post_invitation,
    put_access,
    share,
)
from tests.support.installation import Installation, check_problem, new_address, numbers, pointers


def test_inviting_returns_the_access_details(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), new_address()
    key = create_object(content_installation, owner)
    answer = post_invitation(content_installation, key, owner, guest, "EDITOR", message="Come in")
    assert answer.status == 200
    assert answer.json.keys() == {"ownerId", "visibility", "users", "groups", "invitations"}
    assert (answer.json["ownerId"], answer.json["visibility"]) == (owner.id, "PRIVATE")
    (invitation_id,) = answer.json["invitations"]
    assert invitation_id.keys() == {"id", "email", "role", "issuedAt", "expiresAt", "delivery"}
    assert (invitation_id["email"], invitation_id["role"]) == (guest, "EDITOR")
    assert datetime.fromisoformat(invitation_id["expiresAt"]) - datetime.fromisoformat(
        invitation_id["issuedAt"]
    ) == timedelta(days=7)
    stored = content_installation.invitation(invitation_id["id"])
    assert stored["content"] == [{"contentType": "articles", "key": key, "role": "EDITOR", "void": False}]
    assert (stored["role"], stored["groups"], stored["state"]) == (None, [], "PENDING")
    assert (stored["message"], stored["invitedBy"]["id"]) == ("Come in", owner.id)
    assert content_installation.mail(guest).token not in answer.body.decode()


def test_a_pending_invitation_gives_no_access(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    _, token = create_invitation(content_installation, key, owner, guest.email, "MAINTAINER")
    content_installation.post("/invitations/lookup", {"token": token})
    content_installation.get(f"/content/articles/{key}", guest.token)
    assert (check_levels(content_installation, key, guest), get_visibility(content_installation, key, owner)) == (
        [None],
        "PRIVATE",
    )
    assert get_access(content_installation, key)["users"] == []


def test_inviting_requires_a_maintainer(content_installation: Installation) -> None:
    owner, editor, maintainer, other = (content_installation.user() for _ in range(4))
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (editor, "EDITOR"), (maintainer, "MAINTAINER"))
    body = {"email": new_address(), "role": "VIEWER"}
    path = f"/content/articles/invitations/{key}"
    check_problem(content_installation.post(path, body), 401)
    check_problem(content_installation.post(path, body, other.token), 404)
    check_problem(content_installation.post("/content/articles/invitations/not-there", body, owner.token), 404)
    check_problem(content_installation.post(path, body, editor.token), 403)
    assert get_access(content_installation, key)["invitations"] == []
    assert post_invitation(content_installation, key, maintainer, new_address(), "MAINTAINER").status == 200
    assert (
        post_invitation(
            content_installation, key, content_installation.user("curator"), new_address(), "MAINTAINER"
        ).status
        == 200
    )
    assert content_installation.post(path, body, content_installation.api_key("content:write")).status == 200
    assert len(get_access(content_installation, key)["invitations"]) == 3


def test_the_order_of_refusals_when_inviting(content_installation: Installation) -> None:
    owner, viewer, other = content_installation.user(), content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (viewer, "VIEWER"))
    bad = {"email": "no", "role": "OWNER"}
    for token in (None, other.token, owner.token):
        check_problem(content_installation.post(f"/content/nothing/invitations/{key}", raw=b"{", token=token), 400)
        check_problem(content_installation.post(f"/content/articles/invitations/{key}", bad | {"x": 1}, token), 400)
        check_problem(content_installation.post(f"/content/nothing/invitations/{key}", bad, token), 404)
    for token, status in ((None, 401), (other.token, 404), (viewer.token, 403), (owner.token, 422)):
        check_problem(content_installation.post(f"/content/articles/invitations/{key}", bad, token), status)
    put_access(content_installation, key, owner, "PUBLIC")
    check_problem(content_installation.post(f"/content/articles/invitations/{key}", bad, other.token), 403)


def test_a_body_must_be_an_invitation_or_an_accept(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    _, token = create_invitation(content_installation, key, owner, guest.email)
    path = f"/content/articles/invitations/{key}"
    for body in ({"email": guest.email, "role": "VIEWER", "token": token}, {}, {"role": "VIEWER"}, {"message": "x"}):
        for by in (owner, guest):
            check_problem(content_installation.post(path, body, by.token), 400)
    check_problem(content_installation.post(path, token=owner.token), 400)
    assert check_levels(content_installation, key, guest) == [None]


@pytest.mark.parametrize(
    ("bad", "pointer"),
    [
        ({"email": "nobody"}, "/email"),
        ({"email": None}, "/email"),
        ({"role": "OWNER"}, "/role"),
        ({"role": "editor"}, "/role"),
        ({"role": None}, "/role"),
        ({"message": "x" * 1001}, "/message"),
        ({"locale": "?"}, "/locale"),
        ({"expiresIn": "P31D"}, "/expiresIn"),
        ({"expiresIn": "PT0S"}, "/expiresIn"),
        ({"expiresIn": "soon"}, "/expiresIn"),
    ],
)
def test_fields_of_an_invitation_are_checked(
    content_installation: Installation, bad: dict[str, Any], pointer: str
) -> None:
    owner = content_installation.user()
    key = create_object(content_installation, owner)
    body = {"email": new_address(), "role": "VIEWER"} | bad
    answer = content_installation.post(f"/content/articles/invitations/{key}", body, owner.token)
    if bad == {"email": None} and answer.status == 400:
        return  # a body without an address counts as an accept
    assert pointers(check_problem(answer, 422)) == {pointer}
    assert get_access(content_installation, key)["invitations"] == []


def test_a_role_is_required(content_installation: Installation) -> None:
    owner = content_installation.user()
    path = f"/content/articles/invitations/{create_object(content_installation, owner)}"
    assert pointers(check_problem(content_installation.post(path, {"email": new_address()}, owner.token), 422)) == {
        "/role"
    }


def test_an_inviter_can_choose_the_lifetime(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    invitation_id, token = create_invitation(content_installation, key, owner, guest.email, expiresIn="PT2S")
    content_installation.wait_until_expired(invitation_id)
    assert get_access(content_installation, key)["invitations"] == []
    check_problem(accept(content_installation, token, guest), 410, "invitation-expired")
    assert check_levels(content_installation, key, guest) == [None]
    assert post_invitation(content_installation, key, owner, guest.email).status == 200


def test_an_address_is_not_invited_twice_to_the_same_role(content_installation: Installation) -> None:
    owner, other, guest = content_installation.user(), content_installation.user(), new_address()
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (other, "MAINTAINER"))
    invitation = newest_invitation(post_invitation(content_installation, key, owner, guest), guest)
    for by, address in ((owner, guest), (other, guest.replace("guest", "GUEST"))):
        assert (
            check_problem(post_invitation(content_installation, key, by, address), 409, "already-invited")["id"]
            == invitation["id"]
        )
    assert post_invitation(content_installation, key, owner, guest, "EDITOR").status == 200
    assert post_invitation(content_installation, create_object(content_installation, owner), owner, guest).status == 200
    assert len(get_access(content_installation, key)["invitations"]) == 2


def test_concurrent_identical_invitations_create_one(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), new_address()
    key = create_object(content_installation, owner)
    answers = run_concurrently(*[lambda: post_invitation(content_installation, key, owner, guest)] * 10)
    assert sorted(answer.status for answer in answers) == [200] + [409] * 9
    assert len(get_access(content_installation, key)["invitations"]) == 1
    content_installation.mail(guest)
    assert len(content_installation.smtp.to(guest)) == 1


def test_a_user_with_the_same_or_a_higher_role_is_not_invited(content_installation: Installation) -> None:
    owner, editor = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (editor, "EDITOR"))
    for user, role in ((editor, "EDITOR"), (editor, "VIEWER"), (owner, "MAINTAINER")):
        check_problem(post_invitation(content_installation, key, owner, user.email, role), 409, "already-member")
        check_problem(
            post_invitation(
                content_installation, key, owner, user.email.upper().replace("PEOPLE.TEST", "People.test"), role
            ),
            409,
        )
    assert post_invitation(content_installation, key, owner, editor.email, "MAINTAINER").status == 200


def test_invitations_to_content_are_listed(content_installation: Installation) -> None:
    owner = content_installation.user("host")
    key = create_object(content_installation, owner)
    invitation_id, _ = create_invitation(content_installation, key, owner, new_address())
    for token in (content_installation.key, owner.token):
        for query in (
            f"contentType=articles&key={key}",
            f"contentType=articles&key={key}&state=PENDING&invitedBy={owner.id}",
        ):
            answer = content_installation.get(f"/invitations?{query}", token)
            assert (answer.status, [invitation["id"] for invitation in answer.json["items"]]) == (200, [invitation_id])
    assert (
        content_installation.get("/invitations?contentType=recipes&key=x", content_installation.key).json["items"] == []
    )
    types = [event["type"] for event in content_installation.events(invitation_id)]
    assert types[0] == "invitation.created"


def test_an_idempotency_key_creates_one_invitation(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), new_address()
    key = create_object(content_installation, owner)
    path, headers = f"/content/articles/invitations/{key}", {"Idempotency-Key": f"invite-{next(numbers)}"}
    body = {"email": guest, "role": "VIEWER"}
    first, second = (content_installation.post(path, body, owner.token, headers=headers) for _ in range(2))
    assert (first.status, second.status, first.body) == (200, 200, second.body)
    assert len(get_access(content_installation, key)["invitations"]) == 1
    check_problem(
        content_installation.post(path, body | {"role": "EDITOR"}, owner.token, headers=headers),
        422,
        "idempotency-key-reused",
    )


def test_accepting_refuses_an_idempotency_key(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    _, token = create_invitation(content_installation, key, owner, guest.email)
    for path in (f"/content/articles/invitations/{key}", "/content/articles/invitations/accept"):
        check_problem(
            content_installation.post(path, {"token": token}, guest.token, headers={"Idempotency-Key": "k"}), 400
        )
    assert check_levels(content_installation, key, guest) == [None]


def test_deleting_an_invitation_requires_a_maintainer_and_ends_the_link(content_installation: Installation) -> None:
    owner, maintainer, editor, other, guest = (content_installation.user() for _ in range(5))
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (maintainer, "MAINTAINER"), (editor, "EDITOR"))
    invitation_id, token = create_invitation(content_installation, key, owner, guest.email)
    path = f"/content/invitations/{invitation_id}"
    check_problem(content_installation.delete(path), 401)
    for by in (other, editor, guest):
        check_problem(content_installation.delete(path, by.token), 404)
    assert content_installation.invitation(invitation_id)["state"] == "PENDING"
    gone = content_installation.delete(path, maintainer.token)
    assert (gone.status, gone.json) == (200, {"success": True})
    assert get_access(content_installation, key)["invitations"] == []
    assert (
        content_installation.invitation(invitation_id)["state"],
        content_installation.invitation(invitation_id)["content"][0]["void"],
    ) == ("REVOKED", True)
    check_problem(accept(content_installation, token, guest), 410, "invitation-revoked")
    check_problem(content_installation.delete(path, maintainer.token), 404)
    assert check_levels(content_installation, key, guest) == [None]


def test_ended_and_unknown_invitations_cannot_be_deleted(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    accepted_id, token = create_invitation(content_installation, key, owner, guest.email)
    assert accept(content_installation, token, guest).status == 200
    app_invitation = content_installation.invite()
    for invitation_id in (accepted_id, UNKNOWN_ID, "not-an-id", app_invitation["id"]):
        check_problem(content_installation.delete(f"/content/invitations/{invitation_id}", owner.token), 404)
    assert check_levels(content_installation, key, guest) == ["VIEWER"]
    check_problem(
        content_installation.delete(
            f"/content/invitations/{app_invitation['id']}", content_installation.user("curator").token
        ),
        404,
    )
    assert content_installation.invitation(app_invitation["id"])["state"] == "PENDING"


def invite_to_articles(installation: Installation, email: str, *keys: str, **fields: Any) -> tuple[str, str]:
    """Invite an address to several articles as EDITOR; return the id and the token."""
    content = [{"contentType": "articles", "key": key, "role": "EDITOR"} for key in keys]
    answer = installation.post("/invitations", {"inviteEmail": email, "content": content, **fields}, installation.key)
    assert answer.status == 201, answer
    return answer.json["id"], installation.mail_of(answer.json).token


def test_deleting_voids_only_grants_of_maintained_objects(content_installation: Installation) -> None:
    maintainer, other, guest = (
        content_installation.user(),
        content_installation.user(),
        content_installation.user(role=None),
    )
    first, second, third = (
        create_object(content_installation, maintainer),
        create_object(content_installation, other),
        create_object(content_installation, other),
    )
    invitation_id, token = invite_to_articles(content_installation, guest.email, first, second, third, role="customer")
    assert content_installation.delete(f"/content/invitations/{invitation_id}", other.token).status == 200
    invitation = content_installation.invitation(invitation_id)
    assert (invitation["state"], {maintainer["key"]: maintainer["void"] for maintainer in invitation["content"]}) == (
        "PENDING", {first: False, second: True, third: True},
    )  # fmt: skip
    assert (
        get_access(content_installation, second)["invitations"],
        len(get_access(content_installation, first)["invitations"]),
    ) == ([], 1)
    check_problem(content_installation.delete(f"/content/invitations/{invitation_id}", other.token), 404)
    answer = content_installation.accept(token, by=guest)
    assert (answer.status, answer.json["user"]["role"]) == (200, "customer")
    assert [check_levels(content_installation, key, guest) for key in (first, second, third)] == [
        ["EDITOR"],
        [None],
        [None],
    ]


def test_an_invitation_without_a_live_grant_is_revoked(content_installation: Installation) -> None:
    maintainer, other, guest = content_installation.user(), content_installation.user(), content_installation.user()
    first, second = create_object(content_installation, maintainer), create_object(content_installation, other)
    invitation_id, token = invite_to_articles(content_installation, guest.email, first, second)
    content_installation.delete(f"/content/invitations/{invitation_id}", maintainer.token)
    assert content_installation.invitation(invitation_id)["state"] == "PENDING"
    put_access(content_installation, second, other, "PRIVATE")
    assert content_installation.invitation(invitation_id)["state"] == "REVOKED"
    check_problem(accept(content_installation, token, guest), 410, "invitation-revoked")
    revoked = [event for event in content_installation.events(invitation_id) if event["type"] == "invitation.revoked"]
    assert len(revoked) == 1


def test_resending_creates_a_new_link(content_installation: Installation) -> None:
    owner, guest = content_installation.user("host"), content_installation.user()
    key = create_object(content_installation, owner)
    invitation_id, old = create_invitation(content_installation, key, owner, guest.email)
    again = content_installation.post(f"/invitations/{invitation_id}/resend", token=owner.token)
    assert (again.status, again.json["generation"]) == (202, 2)
    new = content_installation.mail_of(again.json).token
    check_problem(accept(content_installation, old, guest), 410, "invitation-superseded")
    (invitation,) = get_access(content_installation, key)["invitations"]
    assert (invitation["id"], invitation["expiresAt"]) == (invitation_id, again.json["expiresAt"])
    assert accept(content_installation, new, guest).status == 200
    check_problem(accept(content_installation, old, guest), 409, "invitation-accepted")


def test_resending_requires_a_maintainer(content_installation: Installation) -> None:
    owner, other = content_installation.user("host"), content_installation.user("host")
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (other, "MAINTAINER"))
    invitation_id, _ = create_invitation(content_installation, key, owner, new_address())
    key_of_app = content_installation.api_key("invitations:write", "invitations:read")
    check_problem(
        content_installation.post(f"/invitations/{invitation_id}/resend", token=key_of_app), 403, "grant-not-allowed"
    )
    assert content_installation.invitation(invitation_id)["generation"] == 1
    share(content_installation, key, other)
    content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": other.id}, owner.token)
    put_access(content_installation, key, other, "SHARED")
    check_problem(
        content_installation.post(f"/invitations/{invitation_id}/resend", token=owner.token), 403, "grant-not-allowed"
    )


def test_an_invitation_requires_a_grantable_role_on_each_object(content_installation: Installation) -> None:
    host, other = content_installation.user("host"), content_installation.user()
    own, editable, hidden = (
        create_object(content_installation, host),
        create_object(content_installation, other),
        create_object(content_installation, other),
    )
    share(content_installation, editable, other, (host, "EDITOR"))

    def invite(*grants: tuple[str, str, str], **fields: Any) -> Any:
        content = [{"contentType": kind, "key": key, "role": role} for kind, key, role in grants]
        return content_installation.post(
            "/invitations", {"inviteEmail": new_address(), "content": content, **fields}, host.token
        )

    assert invite(("articles", own, "MAINTAINER")).status == 201
    check_problem(invite(("articles", own, "VIEWER"), ("articles", editable, "VIEWER")), 403, "grant-not-allowed")
    for absent in (hidden, "not-there"):
        check_problem(invite(("articles", own, "VIEWER"), ("articles", absent, "VIEWER")), 404)
    check_problem(invite(("nothing", own, "VIEWER")), 404)
    assert invite(("articles", own, "OWNER")).status == 422
    assert (
        content_installation.get(f"/invitations?contentType=articles&key={own}", content_installation.key).json["total"]
        == 1
    )
