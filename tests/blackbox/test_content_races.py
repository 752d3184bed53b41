"""Two at once: nothing is lost, and what is left is what some order of the two would leave."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.support.content_calls import (
    accept,
    access,
    article,
    ask,
    asked,
    at_once,
    join,
    levels,
    put_access,
    share,
    shown,
    users_of,
    visibility,
)
from tests.support.installation import PROFILE, Answer, Installation, Person, new_address

ROUNDS = 25


def statuses(answers: list[Answer]) -> list[int]:
    return sorted(answer.status for answer in answers)


def test_accept_against_private(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    for number in range(ROUNDS):
        key = article(content_installation, owner)
        made, token = asked(content_installation, key, owner, guest.email)
        calls: list[Callable[[], Answer]] = [
            lambda key=key: put_access(content_installation, key, owner, "PRIVATE"),
            lambda token=token, by=guest if number % 2 else None: accept(content_installation, token, by),
        ]
        closed, opened = at_once(*calls) if number % 4 < 2 else at_once(*calls[::-1])[::-1]
        assert closed.status == 200
        assert opened.status in {200, 410}, opened
        state = "ACCEPTED" if opened.status == 200 else "REVOKED"
        assert content_installation.invitation(made)["state"] == state
        details = access(content_installation, key)
        assert (details["visibility"], details["users"], details["invitations"]) == ("PRIVATE", [], [])
        assert levels(content_installation, key, guest) == [None]
        types = [event["type"] for event in content_installation.events(made)]
        assert ("invitation.accepted" in types, "invitation.revoked" in types) == (
            opened.status == 200,
            opened.status == 410,
        )


def test_many_accepts_against_private(content_installation: Installation) -> None:
    owner, guests = content_installation.user(), [content_installation.user() for _ in range(6)]
    for _ in range(4):
        key = article(content_installation, owner)
        links = [(guest, *asked(content_installation, key, owner, guest.email)) for guest in guests]
        calls = [
            lambda guest=guest, token=token: accept(content_installation, token, guest) for guest, _, token in links
        ]
        closed, *answers = at_once(lambda key=key: put_access(content_installation, key, owner, "PRIVATE"), *calls)
        assert closed.status == 200
        assert {answer.status for answer in answers} <= {200, 410}
        states = [content_installation.invitation(made)["state"] for _, made, _ in links]
        assert states == ["ACCEPTED" if answer.status == 200 else "REVOKED" for answer in answers]
        assert (access(content_installation, key)["users"], visibility(content_installation, key, owner)) == (
            [],
            "PRIVATE",
        )


def test_accept_against_delete(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    for _ in range(ROUNDS):
        key = article(content_installation, owner)
        made, token = asked(content_installation, key, owner, guest.email)
        gone, opened = at_once(
            lambda key=key: content_installation.delete(f"/content/articles/{key}", owner.token),
            lambda token=token: accept(content_installation, token, guest),
        )
        assert (gone.status, opened.status in {200, 410}) == (200, True), opened
        assert content_installation.invitation(made)["state"] == ("ACCEPTED" if opened.status == 200 else "REVOKED")
        article(content_installation, owner, key=key)
        assert levels(content_installation, key, guest) == [None]


def test_accept_against_replacement(content_installation: Installation) -> None:
    owner, guest, friend = content_installation.user(), content_installation.user(), content_installation.user()
    for _ in range(ROUNDS):
        key = article(content_installation, owner)
        _, token = asked(content_installation, key, owner, guest.email)
        replaced, opened = at_once(
            lambda key=key: put_access(content_installation, key, owner, "SHARED", sharedUsers={friend.id: "EDITOR"}),
            lambda token=token: accept(content_installation, token, guest),
        )
        assert (replaced.status, opened.status) == (200, 200)
        assert users_of(access(content_installation, key)) in (
            {friend.id: "EDITOR"},
            {friend.id: "EDITOR", guest.id: "VIEWER"},
        )


def test_accept_against_emptying(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    for _ in range(ROUNDS):
        key = article(content_installation, owner)
        _, token = asked(content_installation, key, owner, guest.email)
        emptied, opened = at_once(
            lambda key=key: put_access(content_installation, key, owner, "SHARED"),
            lambda token=token: accept(content_installation, token, guest),
        )
        assert (emptied.status, opened.status) == (200, 200)
        details = access(content_installation, key)
        assert (details["visibility"], users_of(details)) in (("PRIVATE", {}), ("SHARED", {guest.id: "VIEWER"}))


def test_accepts_of_many_people_lose_nothing(content_installation: Installation) -> None:
    owner, guests = content_installation.user(), [content_installation.user() for _ in range(20)]
    key = article(content_installation, owner)
    roles = ["VIEWER", "EDITOR", "MAINTAINER", "EDITOR"] * 5
    links = [
        asked(content_installation, key, owner, guest.email, role)[1] for guest, role in zip(guests, roles, strict=True)
    ]
    calls = [
        lambda guest=guest, token=token: accept(content_installation, token, guest)
        for guest, token in zip(guests, links, strict=True)
    ]
    assert statuses(at_once(*calls)) == [200] * 20
    details = access(content_installation, key)
    assert users_of(details) == {guest.id: role for guest, role in zip(guests, roles, strict=True)}
    assert (details["visibility"], details["invitations"]) == ("SHARED", [])


def test_accepts_of_one_person_keep_the_most(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    for _ in range(8):
        key = article(content_installation, owner)
        tokens = [
            asked(content_installation, key, owner, guest.email, role)[1] for role in ("MAINTAINER", "VIEWER", "EDITOR")
        ]
        answers = at_once(*[lambda token=token: accept(content_installation, token, guest) for token in tokens])
        assert statuses(answers) == [200] * 3
        assert users_of(access(content_installation, key)) == {guest.id: "MAINTAINER"}


def test_bundles_that_cross_do_not_stop_each_other(content_installation: Installation) -> None:
    owner, guests = content_installation.user(), [content_installation.user() for _ in range(8)]
    keys, group = [article(content_installation, owner) for _ in range(4)], content_installation.group()
    tokens = []
    for number, guest in enumerate(guests):
        order = keys[number % 4 :] + keys[: number % 4]
        content = [{"contentType": "articles", "key": key, "role": "EDITOR"} for key in order]
        sent = {"inviteEmail": guest.email, "groups": [group], "content": content}
        tokens.append(
            content_installation.mail_of(
                content_installation.post("/invitations", sent, content_installation.key).json
            ).token
        )
    calls = [
        lambda guest=guest, token=token: accept(content_installation, token, guest)
        for guest, token in zip(guests, tokens, strict=True)
    ]
    assert statuses(at_once(*calls)) == [200] * 8
    for key in keys:
        assert users_of(access(content_installation, key)) == dict.fromkeys((guest.id for guest in guests), "EDITOR")


def test_accept_against_the_fall_of_the_sponsor(content_installation: Installation) -> None:
    owner, sponsor, guest = content_installation.user(), content_installation.user(), content_installation.user()
    for _ in range(ROUNDS):
        key = article(content_installation, owner)
        share(content_installation, key, owner, (sponsor, "MAINTAINER"))
        made, token = asked(content_installation, key, sponsor, guest.email)
        removed, opened = at_once(
            lambda key=key: put_access(content_installation, key, owner, "SHARED"),
            lambda token=token: accept(content_installation, token, guest),
        )
        assert (removed.status, opened.status in {200, 409}) == (200, True), opened
        if opened.status == 409:
            assert opened.json["code"] == "inviter-not-allowed"
            assert (content_installation.invitation(made)["state"], levels(content_installation, key, guest)) == (
                "PENDING",
                [None],
            )
        else:
            assert content_installation.invitation(made)["state"] == "ACCEPTED"
            assert (
                users_of(access(content_installation, key)) == {}
            )  # accepted first: otherwise the sponsor had fallen already


def test_changes_of_different_fields_lose_nothing(content_installation: Installation) -> None:
    owner = content_installation.user()
    for number in range(ROUNDS):
        key = article(content_installation, owner, title="Old")
        path = f"/content/articles/{key}"
        changes: list[dict[str, Any]] = [
            {"title": f"T{number}"},
            {"url": f"https://a.example/{number}"},
            {"data": {"n": number}},
        ]
        answers = at_once(
            *[
                lambda change=change, path=path: content_installation.patch(path, change, owner.token)
                for change in changes
            ]
        )
        assert statuses(answers) == [200] * 3
        after = shown(content_installation, key, owner)
        assert {name: after[name] for change in changes for name in change} == changes[0] | changes[1] | changes[2]


def test_one_of_many_with_the_same_tag_wins(content_installation: Installation) -> None:
    owner = content_installation.user()
    for _ in range(5):
        path = f"/content/articles/{article(content_installation, owner)}"
        tag = content_installation.get(path, owner.token).headers["ETag"]
        calls = [
            lambda number=number, path=path, tag=tag: content_installation.patch(
                path, {"title": f"T{number}"}, owner.token, headers={"If-Match": tag}
            )
            for number in range(8)
        ]
        answers = at_once(*calls)
        assert statuses(answers) == [200] + [412] * 7
        (winner,) = [answer.json["title"] for answer in answers if answer.status == 200]
        assert content_installation.get(path, owner.token).json["title"] == winner


def test_an_object_is_handed_to_one(content_installation: Installation) -> None:
    owner, heirs = content_installation.user(), [content_installation.user() for _ in range(4)]
    for _ in range(5):
        key = article(content_installation, owner)
        path = f"/content/articles/{key}/owner"
        answers = at_once(
            *[
                lambda heir=heir, path=path: content_installation.put(path, {"newOwnerId": heir.id}, owner.token)
                for heir in heirs
            ]
        )
        assert statuses(answers) == [200] + [403] * 3
        (winner,) = [answer.json["access"]["ownerId"] for answer in answers if answer.status == 200]
        assert levels(content_installation, key, owner) == ["MAINTAINER"]
        assert shown(content_installation, key, owner)["access"]["ownerId"] == winner
        assert users_of(access(content_installation, key)) == {owner.id: "MAINTAINER"}


def test_replacements_do_not_mix(content_installation: Installation) -> None:
    owner, people = content_installation.user(), [content_installation.user() for _ in range(6)]
    sets: list[dict[str, str]] = [
        {people[0].id: "VIEWER", people[1].id: "EDITOR"},
        {people[2].id: "MAINTAINER", people[3].id: "VIEWER"},
        {people[4].id: "EDITOR", people[5].id: "EDITOR", people[0].id: "MAINTAINER"},
        {},
    ]
    key = article(content_installation, owner)
    for _ in range(10):
        answers = at_once(
            *[lambda one=one: put_access(content_installation, key, owner, "SHARED", sharedUsers=one) for one in sets]
        )
        assert statuses(answers) == [200] * 4
        details = access(content_installation, key)
        assert users_of(details) in sets
        assert details["visibility"] == ("SHARED" if details["users"] else "PRIVATE")


def test_invite_against_private_leaves_no_way_in(content_installation: Installation) -> None:
    owner = content_installation.user()
    for _ in range(ROUNDS):
        key, guest = article(content_installation, owner), content_installation.user()
        invited, closed = at_once(
            lambda key=key, guest=guest: ask(content_installation, key, owner, guest.email),
            lambda key=key: put_access(content_installation, key, owner, "PRIVATE"),
        )
        assert (invited.status, closed.status) == (200, 200)
        made = invited.json["invitations"][-1]["id"]
        state = content_installation.invitation(made)["state"]
        assert (state == "PENDING") == bool(access(content_installation, key)["invitations"])
        assert state in {"PENDING", "REVOKED"}


def test_invite_against_delete_leaves_nothing_alive(content_installation: Installation) -> None:
    owner = content_installation.user()
    for _ in range(ROUNDS):
        key, guest = article(content_installation, owner), content_installation.user()
        invited, gone = at_once(
            lambda key=key, guest=guest: ask(content_installation, key, owner, guest.email),
            lambda key=key: content_installation.delete(f"/content/articles/{key}", owner.token),
        )
        assert (gone.status, invited.status in {200, 404}) == (200, True), invited
        if invited.status == 200:
            assert content_installation.invitation(invited.json["invitations"][-1]["id"])["state"] == "REVOKED"


@pytest.mark.parametrize("what", ["group", "user"])
def test_sharing_against_the_end_of_whom_it_is_shared_with(content_installation: Installation, what: str) -> None:
    owner = content_installation.user()
    for _ in range(12):
        key = article(content_installation, owner)
        group, person = content_installation.group(), content_installation.user()
        maps: dict[str, Any] = (
            {"sharedGroups": {group: "EDITOR"}} if what == "group" else {"sharedUsers": {person.id: "EDITOR"}}
        )
        path = f"/groups/{group}" if what == "group" else f"/users/{person.id}"
        shared, gone = at_once(
            lambda key=key, maps=maps: put_access(content_installation, key, owner, "SHARED", **maps),
            lambda path=path: content_installation.delete(path, content_installation.key),
        )
        assert (gone.status, shared.status in {200, 404}) == (204, True), shared
        details = access(content_installation, key)
        assert (details["users"], details["groups"], details["visibility"]) == ([], {}, "PRIVATE")


def test_erasing_against_handing_over(content_installation: Installation) -> None:
    for _ in range(12):
        owner, heir, other = content_installation.user(), content_installation.user(), content_installation.user()
        key = article(content_installation, owner)
        moved, gone = at_once(
            lambda key=key, heir=heir, owner=owner: content_installation.put(
                f"/content/articles/{key}/owner", {"newOwnerId": heir.id}, owner.token
            ),
            lambda heir=heir: content_installation.delete(f"/users/{heir.id}", content_installation.key),
        )
        assert (moved.status, gone.status) in {(200, 409), (404, 204)}, (moved, gone)
        assert levels(content_installation, key, owner, heir) == (
            ["MAINTAINER", "OWNER"] if moved.status == 200 else ["OWNER", None]
        )
        assert levels(content_installation, key, other) == [None]


def test_leaving_a_group_against_deleting_it(content_installation: Installation) -> None:
    owner, people = content_installation.user(), [content_installation.user() for _ in range(4)]
    for _ in range(6):
        group, key = content_installation.group(), article(content_installation, owner)
        join(content_installation, group, *people)
        share(content_installation, key, owner, **{group: "EDITOR"})
        calls = [
            lambda one=one, group=group: content_installation.delete(
                f"/groups/{group}/members/{one.id}", content_installation.key
            )
            for one in people
        ]
        gone, *left = at_once(
            lambda group=group: content_installation.delete(f"/groups/{group}", content_installation.key), *calls
        )
        assert gone.status == 204
        assert {answer.status for answer in left} <= {204, 404}
        assert levels(content_installation, key, *people) == [None] * 4


def test_accepts_by_links_of_the_app_and_of_an_object_make_one_account(content_installation: Installation) -> None:
    owner = content_installation.user()
    for _ in range(5):
        email, keys = new_address(), [article(content_installation, owner) for _ in range(3)]
        tokens = [asked(content_installation, key, owner, email)[1] for key in keys]
        answers = at_once(*[lambda token=token: accept(content_installation, token, **PROFILE) for token in tokens])
        assert sorted(answer.status for answer in answers) == [200, 200, 201], answers
        (found,) = content_installation.get(f"/users?email={email}", content_installation.key).json["items"]
        person = Person(found["id"], email, "")
        assert [levels(content_installation, key, person) for key in keys] == [["VIEWER"]] * 3
