"""Lists: pages, totals, order, filters, search."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from tests.support.installation import PROFILE, Installation, SignedInUser, check_problem, new_address, numbers


@pytest.fixture(scope="module")
def sender(installation: Installation) -> SignedInUser:
    """A user who sent seven invitations, for lists filtered by inviter."""
    user = installation.user("team")
    for number in (3, 1, 2, 7, 5, 6, 4):
        name = {"firstName": f"Given{number}", "lastName": "Under_score" if number == 3 else f"Family{number}"}
        installation.invite(f"{number}-{user.id}@sorted.test", user.token, expiresIn=f"P{number + 1}D", **name)
    return user


def list_numbers(installation: Installation, sender: SignedInUser, query: str = "") -> list[int]:
    answer = installation.get(f"/invitations?invitedBy={sender.id}&{query}", installation.key)
    assert answer.status == 200, answer
    return [int(item["inviteEmail"][0]) for item in answer.json["items"]]


def test_a_list_has_items_a_cursor_and_a_total(installation: Installation, sender: SignedInUser) -> None:
    answer = installation.get(f"/invitations?invitedBy={sender.id}", installation.key).json
    assert answer.keys() == {"items", "nextCursor", "total"}
    assert answer["nextCursor"] is None
    assert answer["total"] == len(answer["items"]) == 7


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("", [4, 6, 5, 7, 2, 1, 3]),
        ("sort=-createdAt", [4, 6, 5, 7, 2, 1, 3]),
        ("sort=createdAt", [3, 1, 2, 7, 5, 6, 4]),
        ("sort=expiresAt", [1, 2, 3, 4, 5, 6, 7]),
        ("sort=-expiresAt", [7, 6, 5, 4, 3, 2, 1]),
        ("sort=inviteEmail", [1, 2, 3, 4, 5, 6, 7]),
        ("sort=-inviteEmail", [7, 6, 5, 4, 3, 2, 1]),
    ],
)
def test_pages_follow_the_sort_order_without_gaps_or_repetition(
    installation: Installation, sender: SignedInUser, sort: str, order: list[int]
) -> None:
    items, cursor = list[int](), ""
    while True:
        answer = installation.get(f"/invitations?invitedBy={sender.id}&limit=3&{sort}{cursor}", installation.key)
        assert answer.status == 200, answer
        assert answer.json["total"] == 7
        items += [int(item["inviteEmail"][0]) for item in answer.json["items"]]
        if answer.json["nextCursor"] is None:
            break
        assert answer.json["nextCursor"].replace("-", "").replace("_", "").isalnum()
        cursor = f"&cursor={answer.json['nextCursor']}"
    assert items == order


def test_sorting_by_accepted_at_includes_invitations_without_it(installation: Installation) -> None:
    user = installation.user("team")
    for number in (1, 2, 3):
        invitation = installation.invite(f"{number}-{user.id}@accepted.test", user.token)
        if number != 2:
            assert installation.accept(installation.mail(invitation["inviteEmail"]).token, **PROFILE).status == 201
    for sort in ("acceptedAt", "-acceptedAt"):
        items, cursor = list[Any](), ""
        for _ in range(3):
            answer = installation.get(
                f"/invitations?invitedBy={user.id}&limit=1&sort={sort}{cursor}", installation.key
            ).json
            items += answer["items"]
            cursor = f"&cursor={answer['nextCursor']}"
        assert answer["nextCursor"] is None
        assert {item["inviteEmail"][0] for item in items} == {"1", "2", "3"}
        accepted = [int(item["inviteEmail"][0]) for item in items if item["acceptedAt"]]
        assert accepted == ([1, 3] if sort == "acceptedAt" else [3, 1])


def test_q_is_a_case_insensitive_prefix_of_address_or_names(installation: Installation, sender: SignedInUser) -> None:
    assert list_numbers(installation, sender, "q=GIVEN5") == [5]
    assert list_numbers(installation, sender, "q=family6") == [6]
    assert list_numbers(installation, sender, f"q={quote(f'7-{sender.id}'.upper())}") == [7]
    assert list_numbers(installation, sender, "q=amily6") == []


def test_q_has_no_wildcards(installation: Installation, sender: SignedInUser) -> None:
    assert list_numbers(installation, sender, "q=under_s") == [3]
    assert list_numbers(installation, sender, "q=given_") == []
    assert list_numbers(installation, sender, "q=%25") == []
    assert list_numbers(installation, sender, "q=%5C") == []


def test_the_address_filter_ignores_case_and_matches_whole_addresses(
    installation: Installation, sender: SignedInUser
) -> None:
    assert list_numbers(installation, sender, f"email=4-{sender.id.upper()}@SORTED.test") == [4]
    assert list_numbers(installation, sender, f"email={sender.id}@sorted.test") == []


def test_instants_filter_a_list(installation: Installation, sender: SignedInUser) -> None:
    def in_days(days: float) -> str:
        return quote((datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ"))

    assert sorted(list_numbers(installation, sender, f"expiresBefore={in_days(3.5)}")) == [1, 2]
    assert len(list_numbers(installation, sender, f"createdAfter={in_days(-0.5)}")) == 7
    assert list_numbers(installation, sender, f"createdAfter={in_days(0.5)}") == []
    assert list_numbers(installation, sender, f"createdBefore={in_days(-0.5)}") == []


def test_role_and_group_filter_a_list(installation: Installation) -> None:
    group, address = installation.group(), new_address()
    with_group = installation.invite(address, groups=[group])
    with_role = installation.invite(address, role="team")
    for query, expected in ((f"group={group}", with_group), ("role=team", with_role)):
        items = installation.get(f"/invitations?email={address}&{query}", installation.key).json["items"]
        assert [item["id"] for item in items] == [expected["id"]]


def test_state_and_delivery_filter_a_list(installation: Installation) -> None:
    name = f"st{next(numbers)}x"
    invitations = {
        state: installation.invite(f"{name}-{state}@people.test".lower())
        for state in ("PENDING", "REVOKED", "DECLINED")
    }
    invitations["EXPIRED"] = installation.invite(f"{name}-expired@people.test", expiresIn="PT1S")
    installation.delete(f"/invitations/{invitations['REVOKED']['id']}", installation.key)
    installation.post(
        "/invitations/decline", {"token": installation.mail(invitations["DECLINED"]["inviteEmail"]).token}
    )
    installation.delivery(invitations["PENDING"]["id"], "SENT")
    installation.wait_until_expired(invitations["EXPIRED"]["id"])
    for state, invitation in invitations.items():
        answer = installation.get(f"/invitations?state={state}&q={name}", installation.key).json
        assert [item["id"] for item in answer["items"]] == [invitation["id"]]
        assert answer["total"] == 1
        assert answer["items"][0]["state"] == state
    sent_items = installation.get(f"/invitations?delivery=SENT&q={name}", installation.key).json["items"]
    assert invitations["PENDING"]["id"] in {item["id"] for item in sent_items}
    assert installation.get(f"/invitations?delivery=BOUNCED&q={name}", installation.key).json["items"] == []


def test_a_cursor_is_bound_to_its_sort_order(installation: Installation, sender: SignedInUser) -> None:
    cursor = installation.get(f"/invitations?invitedBy={sender.id}&limit=2&sort=inviteEmail", installation.key).json[
        "nextCursor"
    ]
    check_problem(
        installation.get(
            f"/invitations?invitedBy={sender.id}&limit=2&sort=expiresAt&cursor={cursor}", installation.key
        ),
        400,
    )


def test_unknown_filter_values_find_nothing(installation: Installation) -> None:
    for query in ("role=emperor", "group=nowhere", "contentType=articles&key=none", "email=nobody%40nowhere.test"):
        answer = installation.get(f"/invitations?{query}", installation.key)
        assert (answer.status, answer.json["items"]) == (200, []), query


def test_without_read_permission_only_own_invitations_are_visible(installation: Installation) -> None:
    user, other = installation.user("sender"), installation.user("sender")
    mine = installation.invite(token=user.token)
    theirs = installation.invite(token=other.token)
    answer = installation.get("/invitations", user.token).json
    assert [item["id"] for item in answer["items"]] == [mine["id"]]
    assert answer["total"] == 1
    assert installation.get(f"/invitations/{mine['id']}", user.token).status == 200
    for path in ("", "/events"):
        check_problem(installation.get(f"/invitations/{theirs['id']}{path}", user.token), 404)
    check_problem(installation.post(f"/invitations/{theirs['id']}/resend", token=user.token), 404)
    check_problem(installation.delete(f"/invitations/{theirs['id']}", user.token), 404)
    assert installation.invitation(theirs["id"])["state"] == "PENDING"


def test_users_can_be_filtered_by_address_role_group_and_prefix(installation: Installation) -> None:
    group, name = installation.group(), f"Zebulon{next(numbers)}"
    user = installation.user("team", firstName=name)
    assert installation.post(f"/groups/{group}/members/{user.id}", token=installation.key).status == 204
    for query in (f"email={user.email.upper()}", f"q={name.lower()}", f"group={group}", f"role=team&q={name}"):
        items = installation.get(f"/users?{query}", installation.key).json["items"]
        assert [item["id"] for item in items] == [user.id], query
    assert installation.get(f"/users?role=customer&q={name}", installation.key).json["total"] == 0
