"""Concurrent calls: no update is lost, and the result is the one of some serial order."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.support.concurrency import run_concurrently
from tests.support.content_calls import (
    accept,
    add_members,
    check_levels,
    create_invitation,
    create_object,
    get_access,
    get_object,
    get_visibility,
    post_invitation,
    put_access,
    roles_of_users,
    share,
)
from tests.support.installation import PROFILE, Answer, Installation, SignedInUser, new_address

ROUNDS = 25


def statuses(answers: list[Answer]) -> list[int]:
    return sorted(answer.status for answer in answers)


def test_accept_against_private(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    for number in range(ROUNDS):
        key = create_object(content_installation, owner)
        invitation_id, token = create_invitation(content_installation, key, owner, guest.email)
        calls: list[Callable[[], Answer]] = [
            lambda key=key: put_access(content_installation, key, owner, "PRIVATE"),
            lambda token=token, by=guest if number % 2 else None: accept(content_installation, token, by),
        ]
        replaced, accepted = run_concurrently(*calls) if number % 4 < 2 else run_concurrently(*calls[::-1])[::-1]
        assert replaced.status == 200
        assert accepted.status in {200, 410}, accepted
        state = "ACCEPTED" if accepted.status == 200 else "REVOKED"
        assert content_installation.invitation(invitation_id)["state"] == state
        details = get_access(content_installation, key)
        assert (details["visibility"], details["users"], details["invitations"]) == ("PRIVATE", [], [])
        assert check_levels(content_installation, key, guest) == [None]
        types = [event["type"] for event in content_installation.events(invitation_id)]
        assert ("invitation.accepted" in types, "invitation.revoked" in types) == (
            accepted.status == 200,
            accepted.status == 410,
        )


def test_many_accepts_against_private(content_installation: Installation) -> None:
    owner, guests = content_installation.user(), [content_installation.user() for _ in range(6)]
    for _ in range(4):
        key = create_object(content_installation, owner)
        links = [(guest, *create_invitation(content_installation, key, owner, guest.email)) for guest in guests]
        calls = [
            lambda guest=guest, token=token: accept(content_installation, token, guest) for guest, _, token in links
        ]
        replaced, *answers = run_concurrently(
            lambda key=key: put_access(content_installation, key, owner, "PRIVATE"), *calls
        )
        assert replaced.status == 200
        assert {answer.status for answer in answers} <= {200, 410}
        states = [content_installation.invitation(invitation_id)["state"] for _, invitation_id, _ in links]
        assert states == ["ACCEPTED" if answer.status == 200 else "REVOKED" for answer in answers]
        assert (get_access(content_installation, key)["users"], get_visibility(content_installation, key, owner)) == (
            [],
            "PRIVATE",
        )


def test_accept_against_delete(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    for _ in range(ROUNDS):
        key = create_object(content_installation, owner)
        invitation_id, token = create_invitation(content_installation, key, owner, guest.email)
        deleted, accepted = run_concurrently(
            lambda key=key: content_installation.delete(f"/content/articles/{key}", owner.token),
            lambda token=token: accept(content_installation, token, guest),
        )
        assert (deleted.status, accepted.status in {200, 410}) == (200, True), accepted
        assert content_installation.invitation(invitation_id)["state"] == (
            "ACCEPTED" if accepted.status == 200 else "REVOKED"
        )
        create_object(content_installation, owner, key=key)
        assert check_levels(content_installation, key, guest) == [None]


def test_accept_against_replacement(content_installation: Installation) -> None:
    owner, guest, friend = content_installation.user(), content_installation.user(), content_installation.user()
    for _ in range(ROUNDS):
        key = create_object(content_installation, owner)
        _, token = create_invitation(content_installation, key, owner, guest.email)
        replaced, accepted = run_concurrently(
            lambda key=key: put_access(content_installation, key, owner, "SHARED", sharedUsers={friend.id: "EDITOR"}),
            lambda token=token: accept(content_installation, token, guest),
        )
        assert (replaced.status, accepted.status) == (200, 200)
        assert roles_of_users(get_access(content_installation, key)) in (
            {friend.id: "EDITOR"},
            {friend.id: "EDITOR", guest.id: "VIEWER"},
        )


def test_accept_against_emptying(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    for _ in range(ROUNDS):
        key = create_object(content_installation, owner)
        _, token = create_invitation(content_installation, key, owner, guest.email)
        emptied, accepted = run_concurrently(
            lambda key=key: put_access(content_installation, key, owner, "SHARED"),
            lambda token=token: accept(content_installation, token, guest),
        )
        assert (emptied.status, accepted.status) == (200, 200)
        details = get_access(content_installation, key)
        assert (details["visibility"], roles_of_users(details)) in (("PRIVATE", {}), ("SHARED", {guest.id: "VIEWER"}))


def test_concurrent_accepts_of_different_users_all_count(content_installation: Installation) -> None:
    owner, guests = content_installation.user(), [content_installation.user() for _ in range(20)]
    key = create_object(content_installation, owner)
    roles = ["VIEWER", "EDITOR", "MAINTAINER", "EDITOR"] * 5
    links = [
        create_invitation(content_installation, key, owner, guest.email, role)[1]
        for guest, role in zip(guests, roles, strict=True)
    ]
    calls = [
        lambda guest=guest, token=token: accept(content_installation, token, guest)
        for guest, token in zip(guests, links, strict=True)
    ]
    assert statuses(run_concurrently(*calls)) == [200] * 20
    details = get_access(content_installation, key)
    assert roles_of_users(details) == {guest.id: role for guest, role in zip(guests, roles, strict=True)}
    assert (details["visibility"], details["invitations"]) == ("SHARED", [])


def test_concurrent_accepts_of_one_user_keep_the_highest_role(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    for _ in range(8):
        key = create_object(content_installation, owner)
        tokens = [
            create_invitation(content_installation, key, owner, guest.email, role)[1]
            for role in ("MAINTAINER", "VIEWER", "EDITOR")
        ]
        answers = run_concurrently(
            *[lambda token=token: accept(content_installation, token, guest) for token in tokens]
        )
        assert statuses(answers) == [200] * 3
        assert roles_of_users(get_access(content_installation, key)) == {guest.id: "MAINTAINER"}


def test_accepts_of_overlapping_invitations_do_not_deadlock(content_installation: Installation) -> None:
    owner, guests = content_installation.user(), [content_installation.user() for _ in range(8)]
    keys, group = [create_object(content_installation, owner) for _ in range(4)], content_installation.group()
    tokens = []
    for number, guest in enumerate(guests):
        order = keys[number % 4 :] + keys[: number % 4]
        content = [{"contentType": "articles", "key": key, "role": "EDITOR"} for key in order]
        body = {"inviteEmail": guest.email, "groups": [group], "content": content}
        tokens.append(
            content_installation.mail_of(
                content_installation.post("/invitations", body, content_installation.key).json
            ).token
        )
    calls = [
        lambda guest=guest, token=token: accept(content_installation, token, guest)
        for guest, token in zip(guests, tokens, strict=True)
    ]
    assert statuses(run_concurrently(*calls)) == [200] * 8
    for key in keys:
        assert roles_of_users(get_access(content_installation, key)) == dict.fromkeys(
            (guest.id for guest in guests), "EDITOR"
        )


def test_accept_against_removal_of_the_sponsor(content_installation: Installation) -> None:
    owner, sponsor, guest = content_installation.user(), content_installation.user(), content_installation.user()
    for _ in range(ROUNDS):
        key = create_object(content_installation, owner)
        share(content_installation, key, owner, (sponsor, "MAINTAINER"))
        invitation_id, token = create_invitation(content_installation, key, sponsor, guest.email)
        removed, accepted = run_concurrently(
            lambda key=key: put_access(content_installation, key, owner, "SHARED"),
            lambda token=token: accept(content_installation, token, guest),
        )
        assert (removed.status, accepted.status in {200, 409}) == (200, True), accepted
        if accepted.status == 409:
            assert accepted.json["code"] == "inviter-not-allowed"
            assert (
                content_installation.invitation(invitation_id)["state"],
                check_levels(content_installation, key, guest),
            ) == (
                "PENDING",
                [None],
            )
        else:
            assert content_installation.invitation(invitation_id)["state"] == "ACCEPTED"
            assert roles_of_users(get_access(content_installation, key)) == {}  # accepted first, then removed


def test_concurrent_changes_of_different_fields_all_count(content_installation: Installation) -> None:
    owner = content_installation.user()
    for number in range(ROUNDS):
        key = create_object(content_installation, owner, title="Old")
        path = f"/content/articles/{key}"
        changes: list[dict[str, Any]] = [
            {"title": f"T{number}"},
            {"url": f"https://a.example/{number}"},
            {"data": {"n": number}},
        ]
        answers = run_concurrently(
            *[
                lambda change=change, path=path: content_installation.patch(path, change, owner.token)
                for change in changes
            ]
        )
        assert statuses(answers) == [200] * 3
        after = get_object(content_installation, key, owner)
        assert {name: after[name] for change in changes for name in change} == changes[0] | changes[1] | changes[2]


def test_one_of_many_changes_with_the_same_etag_wins(content_installation: Installation) -> None:
    owner = content_installation.user()
    for _ in range(5):
        path = f"/content/articles/{create_object(content_installation, owner)}"
        tag = content_installation.get(path, owner.token).headers["ETag"]
        calls = [
            lambda number=number, path=path, tag=tag: content_installation.patch(
                path, {"title": f"T{number}"}, owner.token, headers={"If-Match": tag}
            )
            for number in range(8)
        ]
        answers = run_concurrently(*calls)
        assert statuses(answers) == [200] + [412] * 7
        (winner,) = [answer.json["title"] for answer in answers if answer.status == 200]
        assert content_installation.get(path, owner.token).json["title"] == winner


def test_one_of_many_concurrent_transfers_wins(content_installation: Installation) -> None:
    owner, candidates = content_installation.user(), [content_installation.user() for _ in range(4)]
    for _ in range(5):
        key = create_object(content_installation, owner)
        path = f"/content/articles/{key}/owner"
        answers = run_concurrently(
            *[
                lambda new_owner=new_owner, path=path: content_installation.put(
                    path, {"newOwnerId": new_owner.id}, owner.token
                )
                for new_owner in candidates
            ]
        )
        assert statuses(answers) == [200] + [403] * 3
        (winner,) = [answer.json["access"]["ownerId"] for answer in answers if answer.status == 200]
        assert check_levels(content_installation, key, owner) == ["MAINTAINER"]
        assert get_object(content_installation, key, owner)["access"]["ownerId"] == winner
        assert roles_of_users(get_access(content_installation, key)) == {owner.id: "MAINTAINER"}


def test_replacements_do_not_mix(content_installation: Installation) -> None:
    owner, users = content_installation.user(), [content_installation.user() for _ in range(6)]
    replacements: list[dict[str, str]] = [
        {users[0].id: "VIEWER", users[1].id: "EDITOR"},
        {users[2].id: "MAINTAINER", users[3].id: "VIEWER"},
        {users[4].id: "EDITOR", users[5].id: "EDITOR", users[0].id: "MAINTAINER"},
        {},
    ]
    key = create_object(content_installation, owner)
    for _ in range(10):
        answers = run_concurrently(
            *[
                lambda roles=roles: put_access(content_installation, key, owner, "SHARED", sharedUsers=roles)
                for roles in replacements
            ]
        )
        assert statuses(answers) == [200] * 4
        details = get_access(content_installation, key)
        assert roles_of_users(details) in replacements
        assert details["visibility"] == ("SHARED" if details["users"] else "PRIVATE")


def test_invite_against_private_leaves_no_access(content_installation: Installation) -> None:
    owner = content_installation.user()
    for _ in range(ROUNDS):
        key, guest = create_object(content_installation, owner), content_installation.user()
        invited, replaced = run_concurrently(
            lambda key=key, guest=guest: post_invitation(content_installation, key, owner, guest.email),
            lambda key=key: put_access(content_installation, key, owner, "PRIVATE"),
        )
        assert (invited.status, replaced.status) == (200, 200)
        invitation_id = invited.json["invitations"][-1]["id"]
        state = content_installation.invitation(invitation_id)["state"]
        assert (state == "PENDING") == bool(get_access(content_installation, key)["invitations"])
        assert state in {"PENDING", "REVOKED"}


def test_invite_against_delete_leaves_no_pending_invitation(content_installation: Installation) -> None:
    owner = content_installation.user()
    for _ in range(ROUNDS):
        key, guest = create_object(content_installation, owner), content_installation.user()
        invited, deleted = run_concurrently(
            lambda key=key, guest=guest: post_invitation(content_installation, key, owner, guest.email),
            lambda key=key: content_installation.delete(f"/content/articles/{key}", owner.token),
        )
        assert (deleted.status, invited.status in {200, 404}) == (200, True), invited
        if invited.status == 200:
            assert content_installation.invitation(invited.json["invitations"][-1]["id"])["state"] == "REVOKED"


@pytest.mark.parametrize("what", ["group", "user"])
def test_sharing_against_deletion_of_the_user_or_group(content_installation: Installation, what: str) -> None:
    owner = content_installation.user()
    for _ in range(12):
        key = create_object(content_installation, owner)
        group, user = content_installation.group(), content_installation.user()
        maps: dict[str, Any] = (
            {"sharedGroups": {group: "EDITOR"}} if what == "group" else {"sharedUsers": {user.id: "EDITOR"}}
        )
        path = f"/groups/{group}" if what == "group" else f"/users/{user.id}"
        shared, deleted = run_concurrently(
            lambda key=key, maps=maps: put_access(content_installation, key, owner, "SHARED", **maps),
            lambda path=path: content_installation.delete(path, content_installation.key),
        )
        assert (deleted.status, shared.status in {200, 404}) == (204, True), shared
        details = get_access(content_installation, key)
        assert (details["users"], details["groups"], details["visibility"]) == ([], {}, "PRIVATE")


def test_erasure_against_transfer(content_installation: Installation) -> None:
    for _ in range(12):
        owner, new_owner, other = content_installation.user(), content_installation.user(), content_installation.user()
        key = create_object(content_installation, owner)
        moved, deleted = run_concurrently(
            lambda key=key, new_owner=new_owner, owner=owner: content_installation.put(
                f"/content/articles/{key}/owner", {"newOwnerId": new_owner.id}, owner.token
            ),
            lambda new_owner=new_owner: content_installation.delete(f"/users/{new_owner.id}", content_installation.key),
        )
        assert (moved.status, deleted.status) in {(200, 409), (404, 204)}, (moved, deleted)
        assert check_levels(content_installation, key, owner, new_owner) == (
            ["MAINTAINER", "OWNER"] if moved.status == 200 else ["OWNER", None]
        )
        assert check_levels(content_installation, key, other) == [None]


def test_leaving_a_group_against_deleting_it(content_installation: Installation) -> None:
    owner, users = content_installation.user(), [content_installation.user() for _ in range(4)]
    for _ in range(6):
        group, key = content_installation.group(), create_object(content_installation, owner)
        add_members(content_installation, group, *users)
        share(content_installation, key, owner, **{group: "EDITOR"})
        calls = [
            lambda user=user, group=group: content_installation.delete(
                f"/groups/{group}/members/{user.id}", content_installation.key
            )
            for user in users
        ]
        deleted, *left = run_concurrently(
            lambda group=group: content_installation.delete(f"/groups/{group}", content_installation.key), *calls
        )
        assert deleted.status == 204
        assert {answer.status for answer in left} <= {204, 404}
        assert check_levels(content_installation, key, *users) == [None] * 4


def test_concurrent_registrations_by_several_links_create_one_account(content_installation: Installation) -> None:
    owner = content_installation.user()
    for _ in range(5):
        email, keys = new_address(), [create_object(content_installation, owner) for _ in range(3)]
        tokens = [create_invitation(content_installation, key, owner, email)[1] for key in keys]
        answers = run_concurrently(
            *[lambda token=token: accept(content_installation, token, **PROFILE) for token in tokens]
        )
        assert sorted(answer.status for answer in answers) == [200, 200, 201], answers
        (user,) = content_installation.get(f"/users?email={email}", content_installation.key).json["items"]
        account = SignedInUser(user["id"], email, "")
        assert [check_levels(content_installation, key, account) for key in keys] == [["VIEWER"]] * 3
