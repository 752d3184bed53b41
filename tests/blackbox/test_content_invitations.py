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
from tests.support.installation import House, new_address, numbers, pointers, refused


def test_inviting_answers_the_access_details(library: House) -> None:
    owner, guest = library.user(), new_address()
    key = article(library, owner)
    answer = ask(library, key, owner, guest, "EDITOR", message="Come in")
    assert answer.status == 200
    assert answer.json.keys() == {"ownerId", "visibility", "users", "groups", "invitations"}
    assert (answer.json["ownerId"], answer.json["visibility"]) == (owner.id, "PRIVATE")
    (made,) = answer.json["invitations"]
    assert made.keys() == {"id", "email", "role", "issuedAt", "expiresAt", "delivery"}
    assert (made["email"], made["role"]) == (guest, "EDITOR")
    assert datetime.fromisoformat(made["expiresAt"]) - datetime.fromisoformat(made["issuedAt"]) == timedelta(days=7)
    stored = library.invitation(made["id"])
    assert stored["content"] == [{"contentType": "articles", "key": key, "role": "EDITOR", "void": False}]
    assert (stored["role"], stored["groups"], stored["state"]) == (None, [], "PENDING")
    assert (stored["message"], stored["invitedBy"]["id"]) == ("Come in", owner.id)
    assert library.mail(guest).token not in answer.body.decode()


def test_inviting_gives_nothing_before_it_is_accepted(library: House) -> None:
    owner, guest = library.user(), library.user()
    key = article(library, owner)
    _, token = asked(library, key, owner, guest.email, "MAINTAINER")
    library.post("/invitations/lookup", {"token": token})
    library.get(f"/content/articles/{key}", guest.token)
    assert (levels(library, key, guest), visibility(library, key, owner)) == ([None], "PRIVATE")
    assert access(library, key)["users"] == []


def test_inviting_takes_a_maintainer(library: House) -> None:
    owner, editor, maintainer, stranger = (library.user() for _ in range(4))
    key = article(library, owner)
    share(library, key, owner, (editor, "EDITOR"), (maintainer, "MAINTAINER"))
    body = {"email": new_address(), "role": "VIEWER"}
    path = f"/content/articles/invitations/{key}"
    refused(library.post(path, body), 401)
    refused(library.post(path, body, stranger.token), 404)
    refused(library.post("/content/articles/invitations/not-there", body, owner.token), 404)
    refused(library.post(path, body, editor.token), 403)
    assert access(library, key)["invitations"] == []
    assert ask(library, key, maintainer, new_address(), "MAINTAINER").status == 200
    assert ask(library, key, library.user("curator"), new_address(), "MAINTAINER").status == 200
    assert library.post(path, body, library.api_key("content:write")).status == 200
    assert len(access(library, key)["invitations"]) == 3


def test_the_order_of_refusals_when_inviting(library: House) -> None:
    owner, viewer, stranger = library.user(), library.user(), library.user()
    key = article(library, owner)
    share(library, key, owner, (viewer, "VIEWER"))
    bad = {"email": "no", "role": "OWNER"}
    for token in (None, stranger.token, owner.token):
        refused(library.post(f"/content/nothing/invitations/{key}", raw=b"{", token=token), 400)
        refused(library.post(f"/content/articles/invitations/{key}", bad | {"x": 1}, token), 400)
        refused(library.post(f"/content/nothing/invitations/{key}", bad, token), 404)
    for token, status in ((None, 401), (stranger.token, 404), (viewer.token, 403), (owner.token, 422)):
        refused(library.post(f"/content/articles/invitations/{key}", bad, token), status)
    put_access(library, key, owner, "PUBLIC")
    refused(library.post(f"/content/articles/invitations/{key}", bad, stranger.token), 403)


def test_a_body_is_an_invitation_or_an_answer(library: House) -> None:
    owner, guest = library.user(), library.user()
    key = article(library, owner)
    _, token = asked(library, key, owner, guest.email)
    path = f"/content/articles/invitations/{key}"
    for body in ({"email": guest.email, "role": "VIEWER", "token": token}, {}, {"role": "VIEWER"}, {"message": "x"}):
        for by in (owner, guest):
            refused(library.post(path, body, by.token), 400)
    refused(library.post(path, token=owner.token), 400)
    assert levels(library, key, guest) == [None]


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
def test_fields_of_an_invitation_are_checked(library: House, bad: dict[str, Any], pointer: str) -> None:
    owner = library.user()
    key = article(library, owner)
    body = {"email": new_address(), "role": "VIEWER"} | bad
    answer = library.post(f"/content/articles/invitations/{key}", body, owner.token)
    if bad == {"email": None} and answer.status == 400:
        return  # a body without an address is no invitation
    assert pointers(refused(answer, 422)) == {pointer}
    assert access(library, key)["invitations"] == []


def test_a_role_has_to_be_named(library: House) -> None:
    owner = library.user()
    path = f"/content/articles/invitations/{article(library, owner)}"
    assert pointers(refused(library.post(path, {"email": new_address()}, owner.token), 422)) == {"/role"}


def test_the_lifetime_is_the_inviters_choice(library: House) -> None:
    owner, guest = library.user(), library.user()
    key = article(library, owner)
    made, token = asked(library, key, owner, guest.email, expiresIn="PT2S")
    library.wait_until_expired(made)
    assert access(library, key)["invitations"] == []
    refused(accept(library, token, guest), 410, "invitation-expired")
    assert levels(library, key, guest) == [None]
    assert ask(library, key, owner, guest.email).status == 200


def test_nobody_is_invited_twice_to_the_same(library: House) -> None:
    owner, other, guest = library.user(), library.user(), new_address()
    key = article(library, owner)
    share(library, key, owner, (other, "MAINTAINER"))
    made = pending(ask(library, key, owner, guest), guest)
    for by, address in ((owner, guest), (other, guest.replace("guest", "GUEST"))):
        assert refused(ask(library, key, by, address), 409, "already-invited")["id"] == made["id"]
    assert ask(library, key, owner, guest, "EDITOR").status == 200
    assert ask(library, article(library, owner), owner, guest).status == 200
    assert len(access(library, key)["invitations"]) == 2


def test_the_same_invitation_at_once_is_made_once(library: House) -> None:
    owner, guest = library.user(), new_address()
    key = article(library, owner)
    answers = at_once(*[lambda: ask(library, key, owner, guest)] * 10)
    assert sorted(answer.status for answer in answers) == [200] + [409] * 9
    assert len(access(library, key)["invitations"]) == 1
    library.mail(guest)
    assert len(library.smtp.to(guest)) == 1


def test_who_holds_as_much_or_more_is_not_invited(library: House) -> None:
    owner, editor = library.user(), library.user()
    key = article(library, owner)
    share(library, key, owner, (editor, "EDITOR"))
    for person, role in ((editor, "EDITOR"), (editor, "VIEWER"), (owner, "MAINTAINER")):
        refused(ask(library, key, owner, person.email, role), 409, "already-member")
        refused(ask(library, key, owner, person.email.upper().replace("PEOPLE.TEST", "People.test"), role), 409)
    assert ask(library, key, owner, editor.email, "MAINTAINER").status == 200


def test_an_invitation_to_content_is_one_of_the_list(library: House) -> None:
    owner = library.user("host")
    key = article(library, owner)
    made, _ = asked(library, key, owner, new_address())
    for token in (library.key, owner.token):
        for query in (
            f"contentType=articles&key={key}",
            f"contentType=articles&key={key}&state=PENDING&invitedBy={owner.id}",
        ):
            got = library.get(f"/invitations?{query}", token)
            assert (got.status, [one["id"] for one in got.json["items"]]) == (200, [made])
    assert library.get("/invitations?contentType=recipes&key=x", library.key).json["items"] == []
    types = [event["type"] for event in library.events(made)]
    assert types[0] == "invitation.created"


def test_an_idempotency_key_invites_once(library: House) -> None:
    owner, guest = library.user(), new_address()
    key = article(library, owner)
    path, headers = f"/content/articles/invitations/{key}", {"Idempotency-Key": f"invite-{next(numbers)}"}
    body = {"email": guest, "role": "VIEWER"}
    one, two = (library.post(path, body, owner.token, headers=headers) for _ in range(2))
    assert (one.status, two.status, one.body) == (200, 200, two.body)
    assert len(access(library, key)["invitations"]) == 1
    refused(library.post(path, body | {"role": "EDITOR"}, owner.token, headers=headers), 422, "idempotency-key-reused")


def test_no_idempotency_key_is_taken_by_an_accept(library: House) -> None:
    owner, guest = library.user(), library.user()
    key = article(library, owner)
    _, token = asked(library, key, owner, guest.email)
    for path in (f"/content/articles/invitations/{key}", "/content/articles/invitations/accept"):
        refused(library.post(path, {"token": token}, guest.token, headers={"Idempotency-Key": "k"}), 400)
    assert levels(library, key, guest) == [None]


def test_deleting_takes_a_maintainer_and_ends_the_link(library: House) -> None:
    owner, maintainer, editor, stranger, guest = (library.user() for _ in range(5))
    key = article(library, owner)
    share(library, key, owner, (maintainer, "MAINTAINER"), (editor, "EDITOR"))
    made, token = asked(library, key, owner, guest.email)
    path = f"/content/invitations/{made}"
    refused(library.delete(path), 401)
    for by in (stranger, editor, guest):
        refused(library.delete(path, by.token), 404)
    assert library.invitation(made)["state"] == "PENDING"
    gone = library.delete(path, maintainer.token)
    assert (gone.status, gone.json) == (200, {"success": True})
    assert access(library, key)["invitations"] == []
    assert (library.invitation(made)["state"], library.invitation(made)["content"][0]["void"]) == ("REVOKED", True)
    refused(accept(library, token, guest), 410, "invitation-revoked")
    refused(library.delete(path, maintainer.token), 404)
    assert levels(library, key, guest) == [None]


def test_what_ended_or_never_was_is_not_there_to_delete(library: House) -> None:
    owner, guest = library.user(), library.user()
    key = article(library, owner)
    made, token = asked(library, key, owner, guest.email)
    assert accept(library, token, guest).status == 200
    app_invitation = library.invite()
    for one in (made, NOBODY, "not-an-id", app_invitation["id"]):
        refused(library.delete(f"/content/invitations/{one}", owner.token), 404)
    assert levels(library, key, guest) == ["VIEWER"]
    refused(library.delete(f"/content/invitations/{app_invitation['id']}", library.user("curator").token), 404)
    assert library.invitation(app_invitation["id"])["state"] == "PENDING"


def bundle(house: House, email: str, *keys: str, **fields: Any) -> tuple[str, str]:
    """An invitation to several articles as EDITOR: its id and token."""
    content = [{"contentType": "articles", "key": key, "role": "EDITOR"} for key in keys]
    made = house.post("/invitations", {"inviteEmail": email, "content": content, **fields}, house.key)
    assert made.status == 201, made
    return made.json["id"], house.mail_of(made.json).token


def test_deleting_voids_only_what_one_maintains(library: House) -> None:
    one, two, guest = library.user(), library.user(), library.user(role=None)
    first, second, third = article(library, one), article(library, two), article(library, two)
    made, token = bundle(library, guest.email, first, second, third, role="customer")
    assert library.delete(f"/content/invitations/{made}", two.token).status == 200
    after = library.invitation(made)
    assert (after["state"], {one["key"]: one["void"] for one in after["content"]}) == (
        "PENDING", {first: False, second: True, third: True},
    )  # fmt: skip
    assert (access(library, second)["invitations"], len(access(library, first)["invitations"])) == ([], 1)
    refused(library.delete(f"/content/invitations/{made}", two.token), 404)
    got = library.accept(token, by=guest)
    assert (got.status, got.json["user"]["role"]) == (200, "customer")
    assert [levels(library, key, guest) for key in (first, second, third)] == [["EDITOR"], [None], [None]]


def test_a_bundle_without_a_live_grant_is_revoked(library: House) -> None:
    one, two, guest = library.user(), library.user(), library.user()
    first, second = article(library, one), article(library, two)
    made, token = bundle(library, guest.email, first, second)
    library.delete(f"/content/invitations/{made}", one.token)
    assert library.invitation(made)["state"] == "PENDING"
    put_access(library, second, two, "PRIVATE")
    assert library.invitation(made)["state"] == "REVOKED"
    refused(accept(library, token, guest), 410, "invitation-revoked")
    revoked = [event for event in library.events(made) if event["type"] == "invitation.revoked"]
    assert len(revoked) == 1


def test_resending_makes_a_new_link(library: House) -> None:
    owner, guest = library.user("host"), library.user()
    key = article(library, owner)
    made, old = asked(library, key, owner, guest.email)
    again = library.post(f"/invitations/{made}/resend", token=owner.token)
    assert (again.status, again.json["generation"]) == (202, 2)
    new = library.mail_of(again.json).token
    refused(accept(library, old, guest), 410, "invitation-superseded")
    (shown,) = access(library, key)["invitations"]
    assert (shown["id"], shown["expiresAt"]) == (made, again.json["expiresAt"])
    assert accept(library, new, guest).status == 200
    refused(accept(library, old, guest), 409, "invitation-accepted")


def test_resending_takes_a_maintainer(library: House) -> None:
    owner, other = library.user("host"), library.user("host")
    key = article(library, owner)
    share(library, key, owner, (other, "MAINTAINER"))
    made, _ = asked(library, key, owner, new_address())
    key_of_app = library.api_key("invitations:write", "invitations:read")
    refused(library.post(f"/invitations/{made}/resend", token=key_of_app), 403, "grant-not-allowed")
    assert library.invitation(made)["generation"] == 1
    share(library, key, other)
    library.put(f"/content/articles/{key}/owner", {"newOwnerId": other.id}, owner.token)
    put_access(library, key, other, "SHARED")
    refused(library.post(f"/invitations/{made}/resend", token=owner.token), 403, "grant-not-allowed")


def test_a_bundle_needs_every_object_and_the_right_to_each(library: House) -> None:
    host, other = library.user("host"), library.user()
    own, seen, hidden = article(library, host), article(library, other), article(library, other)
    share(library, seen, other, (host, "EDITOR"))

    def send(*grants: tuple[str, str, str], **more: Any) -> Any:
        content = [{"contentType": kind, "key": key, "role": role} for kind, key, role in grants]
        return library.post("/invitations", {"inviteEmail": new_address(), "content": content, **more}, host.token)

    assert send(("articles", own, "MAINTAINER")).status == 201
    refused(send(("articles", own, "VIEWER"), ("articles", seen, "VIEWER")), 403, "grant-not-allowed")
    for absent in (hidden, "not-there"):
        refused(send(("articles", own, "VIEWER"), ("articles", absent, "VIEWER")), 404)
    refused(send(("nothing", own, "VIEWER")), 404)
    assert send(("articles", own, "OWNER")).status == 422
    assert library.get(f"/invitations?contentType=articles&key={own}", library.key).json["total"] == 1
