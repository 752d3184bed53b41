"""Inviting somebody to one object: who may, what is told, resending and deleting."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.content_calls import (
    NOBODY,
    accept,
    access,
    article,
    ask,
    asked,
    at_once,
    levels,
    pending,
    put_access,
    share,
    visibility,
)
from tests.support.installation import Installation, new_address, numbers, pointers, refused


def test_inviting_answers_the_access_details(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), new_address()
    key = article(content_installation, owner)
    answer = ask(content_installation, key, owner, guest, "EDITOR", message="Come in")
    assert answer.status == 200
    assert answer.json.keys() == {"ownerId", "visibility", "users", "groups", "invitations"}
    assert (answer.json["ownerId"], answer.json["visibility"]) == (owner.id, "PRIVATE")
    (made,) = answer.json["invitations"]
    assert made.keys() == {"id", "email", "role", "issuedAt", "expiresAt", "delivery"}
    assert (made["email"], made["role"]) == (guest, "EDITOR")
    assert datetime.fromisoformat(made["expiresAt"]) - datetime.fromisoformat(made["issuedAt"]) == timedelta(days=7)
    stored = content_installation.invitation(made["id"])
    assert stored["content"] == [{"contentType": "articles", "key": key, "role": "EDITOR", "void": False}]
    assert (stored["role"], stored["groups"], stored["state"]) == (None, [], "PENDING")
    assert (stored["message"], stored["invitedBy"]["id"]) == ("Come in", owner.id)
    assert content_installation.mail(guest).token not in answer.body.decode()


def test_inviting_gives_nothing_before_it_is_accepted(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    _, token = asked(content_installation, key, owner, guest.email, "MAINTAINER")
    content_installation.post("/invitations/lookup", {"token": token})
    content_installation.get(f"/content/articles/{key}", guest.token)
    assert (levels(content_installation, key, guest), visibility(content_installation, key, owner)) == (
        [None],
        "PRIVATE",
    )
    assert access(content_installation, key)["users"] == []


def test_inviting_takes_a_maintainer(content_installation: Installation) -> None:
    owner, editor, maintainer, stranger = (content_installation.user() for _ in range(4))
    key = article(content_installation, owner)
    share(content_installation, key, owner, (editor, "EDITOR"), (maintainer, "MAINTAINER"))
    body = {"email": new_address(), "role": "VIEWER"}
    path = f"/content/articles/invitations/{key}"
    refused(content_installation.post(path, body), 401)
    refused(content_installation.post(path, body, stranger.token), 404)
    refused(content_installation.post("/content/articles/invitations/not-there", body, owner.token), 404)
    refused(content_installation.post(path, body, editor.token), 403)
    assert access(content_installation, key)["invitations"] == []
    assert ask(content_installation, key, maintainer, new_address(), "MAINTAINER").status == 200
    assert (
        ask(content_installation, key, content_installation.user("curator"), new_address(), "MAINTAINER").status == 200
    )
    assert content_installation.post(path, body, content_installation.api_key("content:write")).status == 200
    assert len(access(content_installation, key)["invitations"]) == 3


def test_the_order_of_refusals_when_inviting(content_installation: Installation) -> None:
    owner, viewer, stranger = content_installation.user(), content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    share(content_installation, key, owner, (viewer, "VIEWER"))
    bad = {"email": "no", "role": "OWNER"}
    for token in (None, stranger.token, owner.token):
        refused(content_installation.post(f"/content/nothing/invitations/{key}", raw=b"{", token=token), 400)
        refused(content_installation.post(f"/content/articles/invitations/{key}", bad | {"x": 1}, token), 400)
        refused(content_installation.post(f"/content/nothing/invitations/{key}", bad, token), 404)
    for token, status in ((None, 401), (stranger.token, 404), (viewer.token, 403), (owner.token, 422)):
        refused(content_installation.post(f"/content/articles/invitations/{key}", bad, token), status)
    put_access(content_installation, key, owner, "PUBLIC")
    refused(content_installation.post(f"/content/articles/invitations/{key}", bad, stranger.token), 403)


def test_a_body_is_an_invitation_or_an_answer(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    _, token = asked(content_installation, key, owner, guest.email)
    path = f"/content/articles/invitations/{key}"
    for body in ({"email": guest.email, "role": "VIEWER", "token": token}, {}, {"role": "VIEWER"}, {"message": "x"}):
        for by in (owner, guest):
            refused(content_installation.post(path, body, by.token), 400)
    refused(content_installation.post(path, token=owner.token), 400)
    assert levels(content_installation, key, guest) == [None]


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
    key = article(content_installation, owner)
    body = {"email": new_address(), "role": "VIEWER"} | bad
    answer = content_installation.post(f"/content/articles/invitations/{key}", body, owner.token)
    if bad == {"email": None} and answer.status == 400:
        return  # a body without an address is no invitation
    assert pointers(refused(answer, 422)) == {pointer}
    assert access(content_installation, key)["invitations"] == []


def test_a_role_has_to_be_named(content_installation: Installation) -> None:
    owner = content_installation.user()
    path = f"/content/articles/invitations/{article(content_installation, owner)}"
    assert pointers(refused(content_installation.post(path, {"email": new_address()}, owner.token), 422)) == {"/role"}


def test_the_lifetime_is_the_inviters_choice(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    made, token = asked(content_installation, key, owner, guest.email, expiresIn="PT2S")
    content_installation.wait_until_expired(made)
    assert access(content_installation, key)["invitations"] == []
    refused(accept(content_installation, token, guest), 410, "invitation-expired")
    assert levels(content_installation, key, guest) == [None]
    assert ask(content_installation, key, owner, guest.email).status == 200


def test_nobody_is_invited_twice_to_the_same(content_installation: Installation) -> None:
    owner, other, guest = content_installation.user(), content_installation.user(), new_address()
    key = article(content_installation, owner)
    share(content_installation, key, owner, (other, "MAINTAINER"))
    made = pending(ask(content_installation, key, owner, guest), guest)
    for by, address in ((owner, guest), (other, guest.replace("guest", "GUEST"))):
        assert refused(ask(content_installation, key, by, address), 409, "already-invited")["id"] == made["id"]
    assert ask(content_installation, key, owner, guest, "EDITOR").status == 200
    assert ask(content_installation, article(content_installation, owner), owner, guest).status == 200
    assert len(access(content_installation, key)["invitations"]) == 2


def test_the_same_invitation_at_once_is_made_once(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), new_address()
    key = article(content_installation, owner)
    answers = at_once(*[lambda: ask(content_installation, key, owner, guest)] * 10)
    assert sorted(answer.status for answer in answers) == [200] + [409] * 9
    assert len(access(content_installation, key)["invitations"]) == 1
    content_installation.mail(guest)
    assert len(content_installation.smtp.to(guest)) == 1


def test_who_holds_as_much_or_more_is_not_invited(content_installation: Installation) -> None:
    owner, editor = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    share(content_installation, key, owner, (editor, "EDITOR"))
    for person, role in ((editor, "EDITOR"), (editor, "VIEWER"), (owner, "MAINTAINER")):
        refused(ask(content_installation, key, owner, person.email, role), 409, "already-member")
        refused(
            ask(content_installation, key, owner, person.email.upper().replace("PEOPLE.TEST", "People.test"), role), 409
        )
    assert ask(content_installation, key, owner, editor.email, "MAINTAINER").status == 200


def test_an_invitation_to_content_is_one_of_the_list(content_installation: Installation) -> None:
    owner = content_installation.user("host")
    key = article(content_installation, owner)
    made, _ = asked(content_installation, key, owner, new_address())
    for token in (content_installation.key, owner.token):
        for query in (
            f"contentType=articles&key={key}",
            f"contentType=articles&key={key}&state=PENDING&invitedBy={owner.id}",
        ):
            got = content_installation.get(f"/invitations?{query}", token)
            assert (got.status, [one["id"] for one in got.json["items"]]) == (200, [made])
    assert (
        content_installation.get("/invitations?contentType=recipes&key=x", content_installation.key).json["items"] == []
    )
    types = [event["type"] for event in content_installation.events(made)]
    assert types[0] == "invitation.created"


def test_an_idempotency_key_invites_once(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), new_address()
    key = article(content_installation, owner)
    path, headers = f"/content/articles/invitations/{key}", {"Idempotency-Key": f"invite-{next(numbers)}"}
    body = {"email": guest, "role": "VIEWER"}
    one, two = (content_installation.post(path, body, owner.token, headers=headers) for _ in range(2))
    assert (one.status, two.status, one.body) == (200, 200, two.body)
    assert len(access(content_installation, key)["invitations"]) == 1
    refused(
        content_installation.post(path, body | {"role": "EDITOR"}, owner.token, headers=headers),
        422,
        "idempotency-key-reused",
    )


def test_no_idempotency_key_is_taken_by_an_accept(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    _, token = asked(content_installation, key, owner, guest.email)
    for path in (f"/content/articles/invitations/{key}", "/content/articles/invitations/accept"):
        refused(content_installation.post(path, {"token": token}, guest.token, headers={"Idempotency-Key": "k"}), 400)
    assert levels(content_installation, key, guest) == [None]


def test_deleting_takes_a_maintainer_and_ends_the_link(content_installation: Installation) -> None:
    owner, maintainer, editor, stranger, guest = (content_installation.user() for _ in range(5))
    key = article(content_installation, owner)
    share(content_installation, key, owner, (maintainer, "MAINTAINER"), (editor, "EDITOR"))
    made, token = asked(content_installation, key, owner, guest.email)
    path = f"/content/invitations/{made}"
    refused(content_installation.delete(path), 401)
    for by in (stranger, editor, guest):
        refused(content_installation.delete(path, by.token), 404)
    assert content_installation.invitation(made)["state"] == "PENDING"
    gone = content_installation.delete(path, maintainer.token)
    assert (gone.status, gone.json) == (200, {"success": True})
    assert access(content_installation, key)["invitations"] == []
    assert (
        content_installation.invitation(made)["state"],
        content_installation.invitation(made)["content"][0]["void"],
    ) == ("REVOKED", True)
    refused(accept(content_installation, token, guest), 410, "invitation-revoked")
    refused(content_installation.delete(path, maintainer.token), 404)
    assert levels(content_installation, key, guest) == [None]


def test_what_ended_or_never_was_is_not_there_to_delete(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    made, token = asked(content_installation, key, owner, guest.email)
    assert accept(content_installation, token, guest).status == 200
    app_invitation = content_installation.invite()
    for one in (made, NOBODY, "not-an-id", app_invitation["id"]):
        refused(content_installation.delete(f"/content/invitations/{one}", owner.token), 404)
    assert levels(content_installation, key, guest) == ["VIEWER"]
    refused(
        content_installation.delete(
            f"/content/invitations/{app_invitation['id']}", content_installation.user("curator").token
        ),
        404,
    )
    assert content_installation.invitation(app_invitation["id"])["state"] == "PENDING"


def bundle(installation: Installation, email: str, *keys: str, **fields: Any) -> tuple[str, str]:
    """An invitation to several articles as EDITOR: its id and token."""
    content = [{"contentType": "articles", "key": key, "role": "EDITOR"} for key in keys]
    made = installation.post("/invitations", {"inviteEmail": email, "content": content, **fields}, installation.key)
    assert made.status == 201, made
    return made.json["id"], installation.mail_of(made.json).token


def test_deleting_voids_only_what_one_maintains(content_installation: Installation) -> None:
    one, two, guest = content_installation.user(), content_installation.user(), content_installation.user(role=None)
    first, second, third = (
        article(content_installation, one),
        article(content_installation, two),
        article(content_installation, two),
    )
    made, token = bundle(content_installation, guest.email, first, second, third, role="customer")
    assert content_installation.delete(f"/content/invitations/{made}", two.token).status == 200
    after = content_installation.invitation(made)
    assert (after["state"], {one["key"]: one["void"] for one in after["content"]}) == (
        "PENDING", {first: False, second: True, third: True},
    )  # fmt: skip
    assert (
        access(content_installation, second)["invitations"],
        len(access(content_installation, first)["invitations"]),
    ) == ([], 1)
    refused(content_installation.delete(f"/content/invitations/{made}", two.token), 404)
    got = content_installation.accept(token, by=guest)
    assert (got.status, got.json["user"]["role"]) == (200, "customer")
    assert [levels(content_installation, key, guest) for key in (first, second, third)] == [["EDITOR"], [None], [None]]


def test_a_bundle_without_a_live_grant_is_revoked(content_installation: Installation) -> None:
    one, two, guest = content_installation.user(), content_installation.user(), content_installation.user()
    first, second = article(content_installation, one), article(content_installation, two)
    made, token = bundle(content_installation, guest.email, first, second)
    content_installation.delete(f"/content/invitations/{made}", one.token)
    assert content_installation.invitation(made)["state"] == "PENDING"
    put_access(content_installation, second, two, "PRIVATE")
    assert content_installation.invitation(made)["state"] == "REVOKED"
    refused(accept(content_installation, token, guest), 410, "invitation-revoked")
    revoked = [event for event in content_installation.events(made) if event["type"] == "invitation.revoked"]
    assert len(revoked) == 1


def test_resending_makes_a_new_link(content_installation: Installation) -> None:
    owner, guest = content_installation.user("host"), content_installation.user()
    key = article(content_installation, owner)
    made, old = asked(content_installation, key, owner, guest.email)
    again = content_installation.post(f"/invitations/{made}/resend", token=owner.token)
    assert (again.status, again.json["generation"]) == (202, 2)
    new = content_installation.mail_of(again.json).token
    refused(accept(content_installation, old, guest), 410, "invitation-superseded")
    (shown,) = access(content_installation, key)["invitations"]
    assert (shown["id"], shown["expiresAt"]) == (made, again.json["expiresAt"])
    assert accept(content_installation, new, guest).status == 200
    refused(accept(content_installation, old, guest), 409, "invitation-accepted")


def test_resending_takes_a_maintainer(content_installation: Installation) -> None:
    owner, other = content_installation.user("host"), content_installation.user("host")
    key = article(content_installation, owner)
    share(content_installation, key, owner, (other, "MAINTAINER"))
    made, _ = asked(content_installation, key, owner, new_address())
    key_of_app = content_installation.api_key("invitations:write", "invitations:read")
    refused(content_installation.post(f"/invitations/{made}/resend", token=key_of_app), 403, "grant-not-allowed")
    assert content_installation.invitation(made)["generation"] == 1
    share(content_installation, key, other)
    content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": other.id}, owner.token)
    put_access(content_installation, key, other, "SHARED")
    refused(content_installation.post(f"/invitations/{made}/resend", token=owner.token), 403, "grant-not-allowed")


def test_a_bundle_needs_every_object_and_the_right_to_each(content_installation: Installation) -> None:
    host, other = content_installation.user("host"), content_installation.user()
    own, seen, hidden = (
        article(content_installation, host),
        article(content_installation, other),
        article(content_installation, other),
    )
    share(content_installation, seen, other, (host, "EDITOR"))

    def send(*grants: tuple[str, str, str], **more: Any) -> Any:
        content = [{"contentType": kind, "key": key, "role": role} for kind, key, role in grants]
        return content_installation.post(
            "/invitations", {"inviteEmail": new_address(), "content": content, **more}, host.token
        )

    assert send(("articles", own, "MAINTAINER")).status == 201
    refused(send(("articles", own, "VIEWER"), ("articles", seen, "VIEWER")), 403, "grant-not-allowed")
    for absent in (hidden, "not-there"):
        refused(send(("articles", own, "VIEWER"), ("articles", absent, "VIEWER")), 404)
    refused(send(("nothing", own, "VIEWER")), 404)
    assert send(("articles", own, "OWNER")).status == 422
    assert (
        content_installation.get(f"/invitations?contentType=articles&key={own}", content_installation.key).json["total"]
        == 1
    )
