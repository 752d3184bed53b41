"""Lists: pages, totals, order, filters, search."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from tests.support.installation import PROFILE, Installation, Person, new_address, numbers, refused


@pytest.fixture(scope="module")
def sender(installation: Installation) -> Person:
    """A user whose seven invitations, and no others, the lists below show when narrowed to what he sent."""
    person = installation.user("team")
    for number in (3, 1, 2, 7, 5, 6, 4):
        name = {"firstName": f"Given{number}", "lastName": "Under_score" if number == 3 else f"Family{number}"}
        installation.invite(f"{number}-{person.id}@sorted.test", person.token, expiresIn=f"P{number + 1}D", **name)
    return person


def listed(installation: Installation, sender: Person, query: str = "") -> list[int]:
    got = installation.get(f"/invitations?invitedBy={sender.id}&{query}", installation.key)
    assert got.status == 200, got
    return [int(item["inviteEmail"][0]) for item in got.json["items"]]


def test_a_list_has_items_a_cursor_and_a_total(installation: Installation, sender: Person) -> None:
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
def test_pages_follow_the_order_without_gap_or_repetition(
    installation: Installation, sender: Person, sort: str, order: list[int]
) -> None:
    found, cursor = list[int](), ""
    while True:
        answer = installation.get(f"/invitations?invitedBy={sender.id}&limit=3&{sort}{cursor}", installation.key)
        assert answer.status == 200, answer
        assert answer.json["total"] == 7
        found += [int(item["inviteEmail"][0]) for item in answer.json["items"]]
        if answer.json["nextCursor"] is None:
            break
        assert answer.json["nextCursor"].replace("-", "").replace("_", "").isalnum()
        cursor = f"&cursor={answer.json['nextCursor']}"
    assert found == order


def test_accepted_at_orders_with_those_never_accepted(installation: Installation) -> None:
    person = installation.user("team")
    for number in (1, 2, 3):
        made = installation.invite(f"{number}-{person.id}@accepted.test", person.token)
        if number != 2:
            assert installation.accept(installation.mail(made["inviteEmail"]).token, **PROFILE).status == 201
    for sort in ("acceptedAt", "-acceptedAt"):
        found, cursor = list[Any](), ""
        for _ in range(3):
            answer = installation.get(
                f"/invitations?invitedBy={person.id}&limit=1&sort={sort}{cursor}", installation.key
            ).json
            found += answer["items"]
            cursor = f"&cursor={answer['nextCursor']}"
        assert answer["nextCursor"] is None
        assert {item["inviteEmail"][0] for item in found} == {"1", "2", "3"}
        accepted = [int(item["inviteEmail"][0]) for item in found if item["acceptedAt"]]
        assert accepted == ([1, 3] if sort == "acceptedAt" else [3, 1])


def test_q_is_a_prefix_of_address_or_names_whatever_the_case(installation: Installation, sender: Person) -> None:
    assert listed(installation, sender, "q=GIVEN5") == [5]
    assert listed(installation, sender, "q=family6") == [6]
    assert listed(installation, sender, f"q={quote(f'7-{sender.id}'.upper())}") == [7]
    assert listed(installation, sender, "q=amily6") == []


def test_q_knows_no_wildcards(installation: Installation, sender: Person) -> None:
    assert listed(installation, sender, "q=under_s") == [3]
    assert listed(installation, sender, "q=given_") == []
    assert listed(installation, sender, "q=%25") == []
    assert listed(installation, sender, "q=%5C") == []


def test_the_address_filter_compares_like_addresses(installation: Installation, sender: Person) -> None:
    assert listed(installation, sender, f"email=4-{sender.id.upper()}@SORTED.test") == [4]
    assert listed(installation, sender, f"email={sender.id}@sorted.test") == []


def test_times_narrow_a_list(installation: Installation, sender: Person) -> None:
    def at(days: float) -> str:
        return quote((datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ"))

    assert sorted(listed(installation, sender, f"expiresBefore={at(3.5)}")) == [1, 2]
    assert len(listed(installation, sender, f"createdAfter={at(-0.5)}")) == 7
    assert listed(installation, sender, f"createdAfter={at(0.5)}") == []
    assert listed(installation, sender, f"createdBefore={at(-0.5)}") == []


def test_role_and_group_narrow_a_list(installation: Installation) -> None:
    group, address = installation.group(), new_address()
    with_group = installation.invite(address, groups=[group])
    with_role = installation.invite(address, role="team")
    for query, wanted in ((f"group={group}", with_group), ("role=team", with_role)):
        items = installation.get(f"/invitations?email={address}&{query}", installation.key).json["items"]
        assert [item["id"] for item in items] == [wanted["id"]]


def test_states_and_deliveries_narrow_a_list(installation: Installation) -> None:
    name = f"st{next(numbers)}x"
    made = {
        state: installation.invite(f"{name}-{state}@people.test".lower())
        for state in ("PENDING", "REVOKED", "DECLINED")
    }
    made["EXPIRED"] = installation.invite(f"{name}-expired@people.test", expiresIn="PT1S")
    installation.delete(f"/invitations/{made['REVOKED']['id']}", installation.key)
    installation.post("/invitations/decline", {"token": installation.mail(made["DECLINED"]["inviteEmail"]).token})
    installation.delivery(made["PENDING"]["id"], "SENT")
    installation.wait_until_expired(made["EXPIRED"]["id"])
    for state, invitation in made.items():
        answer = installation.get(f"/invitations?state={state}&q={name}", installation.key).json
        assert [item["id"] for item in answer["items"]] == [invitation["id"]]
        assert answer["total"] == 1
        assert answer["items"][0]["state"] == state
    sent = installation.get(f"/invitations?delivery=SENT&q={name}", installation.key).json["items"]
    assert made["PENDING"]["id"] in {item["id"] for item in sent}
    assert installation.get(f"/invitations?delivery=BOUNCED&q={name}", installation.key).json["items"] == []


def test_a_cursor_serves_its_own_order_only(installation: Installation, sender: Person) -> None:
    cursor = installation.get(f"/invitations?invitedBy={sender.id}&limit=2&sort=inviteEmail", installation.key).json[
        "nextCursor"
    ]
    refused(
        installation.get(
            f"/invitations?invitedBy={sender.id}&limit=2&sort=expiresAt&cursor={cursor}", installation.key
        ),
        400,
    )


def test_unknown_filter_values_find_nothing(installation: Installation) -> None:
    for query in ("role=emperor", "group=nowhere", "contentType=articles&key=none", "email=nobody%40nowhere.test"):
        answer = installation.get(f"/invitations?{query}", installation.key)
        assert (answer.status, answer.json["items"]) == (200, []), query


def test_without_the_permission_to_read_one_sees_what_one_sent(installation: Installation) -> None:
    one, other = installation.user("sender"), installation.user("sender")
    mine = installation.invite(token=one.token)
    theirs = installation.invite(token=other.token)
    answer = installation.get("/invitations", one.token).json
    assert [item["id"] for item in answer["items"]] == [mine["id"]]
    assert answer["total"] == 1
    assert installation.get(f"/invitations/{mine['id']}", one.token).status == 200
    for path in ("", "/events"):
        refused(installation.get(f"/invitations/{theirs['id']}{path}", one.token), 404)
    refused(installation.post(f"/invitations/{theirs['id']}/resend", token=one.token), 404)
    refused(installation.delete(f"/invitations/{theirs['id']}", one.token), 404)
    assert installation.invitation(theirs["id"])["state"] == "PENDING"


def test_users_are_found_by_address_role_group_and_prefix(installation: Installation) -> None:
    group, name = installation.group(), f"Zebulon{next(numbers)}"
    person = installation.user("team", firstName=name)
    assert installation.post(f"/groups/{group}/members/{person.id}", token=installation.key).status == 204
    for query in (f"email={person.email.upper()}", f"q={name.lower()}", f"group={group}", f"role=team&q={name}"):
        items = installation.get(f"/users?{query}", installation.key).json["items"]
        assert [item["id"] for item in items] == [person.id], query
    assert installation.get(f"/users?role=customer&q={name}", installation.key).json["total"] == 0
