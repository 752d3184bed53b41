"""Nobody hands out more than they hold, at no moment."""

import pytest
from tests.support.installation import PROFILE, Installation, new_address, refused


def test_a_role_beyond_what_one_may_grant_is_refused(installation: Installation) -> None:
    person, address = installation.user("team"), new_address()
    for role in ("admin", "lead", "visitor"):
        sent = {"inviteEmail": address, "role": role}
        refused(installation.post("/invitations", sent, person.token), 403, "grant-not-allowed")
    assert installation.get(f"/invitations?email={address}", installation.key).json["total"] == 0


def test_a_group_needs_may_grant_groups_or_groups_write(installation: Installation) -> None:
    group, person = installation.group(), installation.user("team")
    sent = {"inviteEmail": new_address(), "groups": [group]}
    refused(installation.post("/invitations", sent, person.token), 403, "grant-not-allowed")
    assert installation.post("/invitations", sent, installation.user("admin").token).status == 201
    writer = installation.api_key("invitations:write", "groups:write")
    assert installation.post("/invitations", sent | {"inviteEmail": new_address()}, writer).status == 201
    plain = installation.api_key("invitations:write", may_grant=("customer",))
    refused(installation.post("/invitations", sent | {"inviteEmail": new_address()}, plain), 403, "grant-not-allowed")


def test_sending_again_needs_the_same_right(installation: Installation) -> None:
    made, token = installation.invited(role="admin")
    refused(
        installation.post(f"/invitations/{made['id']}/resend", token=installation.user("team").token),
        403,
        "grant-not-allowed",
    )
    assert installation.invitation(made["id"])["generation"] == 1
    assert installation.accept(token, **PROFILE).status == 201


@pytest.mark.parametrize("fall", ["demoted", "blocked", "deleted", "without a role"])
def test_a_link_falls_with_its_sponsor(installation: Installation, fall: str) -> None:
    sponsor = installation.user("team")
    made, token = installation.invited(token=sponsor.token, role="customer")
    changes = {"demoted": {"role": "customer"}, "blocked": {"blocked": True}, "without a role": {"role": None}}
    if fall == "deleted":
        assert installation.delete(f"/users/{sponsor.id}", installation.key).status == 204
    else:
        assert installation.patch(f"/users/{sponsor.id}", changes[fall], installation.key).status == 200
    refused(installation.accept(token, **PROFILE), 409, "inviter-not-allowed")
    assert installation.invitation(made["id"])["state"] == "PENDING"
    assert installation.get(f"/users?email={made['inviteEmail']}", installation.key).json["total"] == 0
    assert installation.post("/invitations/request-new", {"token": token}).status == 202
    again = installation.post(f"/invitations/{made['id']}/resend", token=installation.key)
    assert installation.accept(installation.mail_of(again.json).token, **PROFILE).status == 201


def test_the_sponsor_of_the_link_counts_not_who_invited_first(installation: Installation) -> None:
    inviter, sponsor = installation.user("team"), installation.user("team")
    made, _ = installation.invited(token=inviter.token, role="customer")
    assert installation.post(f"/invitations/{made['id']}/resend", token=sponsor.token).status == 202
    installation.patch(f"/users/{inviter.id}", {"blocked": True}, installation.key)
    assert installation.accept(installation.mail(made["inviteEmail"], 2).token, **PROFILE).status == 201


def test_a_removed_api_key_leaves_its_invitations_unless_told_to_end_them(installation: Installation) -> None:
    admin = installation.user("admin")
    tokens, ids = list[str](), list[str]()
    for query in ("", "?endInvitations=true"):
        body = {"name": "k", "scopes": ["invitations:write"], "mayGrant": ["customer"]}
        key = installation.post("/api-keys", body, admin.token).json
        made, token = installation.invited(token=key["key"], role="customer")
        assert installation.delete(f"/api-keys/{key['id']}{query}", admin.token).status == 204
        tokens.append(token)
        ids.append(made["id"])
    assert installation.accept(tokens[0], **PROFILE).status == 201
    refused(installation.accept(tokens[1], **PROFILE), 410, "invitation-revoked")
    assert [installation.invitation(one)["state"] for one in ids] == ["ACCEPTED", "REVOKED"]


def test_nobody_makes_a_user_with_more_than_he_may_grant(installation: Installation) -> None:
    lead, person = installation.user("lead"), installation.user("customer")
    fields = {"email": new_address(), "firstName": "A", "lastName": "B"}
    for role in ("admin", "lead", "visitor"):
        refused(installation.post("/users", fields | {"role": role}, lead.token), 403, "grant-not-allowed")
        refused(installation.patch(f"/users/{person.id}", {"role": role}, lead.token), 403, "grant-not-allowed")
        refused(installation.patch(f"/users/{lead.id}", {"role": "admin"}, lead.token), 403, "grant-not-allowed")
    assert installation.post("/users", fields | {"role": "team"}, lead.token).status == 201
    assert installation.patch(f"/users/{person.id}", {"role": "team"}, lead.token).status == 200


def test_nobody_takes_over_an_account_that_may_do_more(installation: Installation) -> None:
    lead, admin = installation.user("lead"), installation.user("admin")
    for change in ({"password": "a new password 77"}, {"email": new_address()}, {"blocked": True}):
        answer = installation.patch(f"/users/{admin.id}", change, lead.token)
        assert answer.status == 403, (change, answer)
    assert installation.delete(f"/users/{admin.id}", lead.token).status == 403
    assert installation.login(admin.email).id == admin.id


def test_members_are_added_by_who_may_grant_the_group(installation: Installation) -> None:
    group, person = installation.group(), installation.user("customer")
    refused(installation.post(f"/groups/{group}/members/{person.id}", token=installation.user("lead").token), 403)
    refused(installation.post(f"/groups/{group}/members/{person.id}", token=person.token), 404)
    assert installation.get(f"/users/{person.id}", installation.key).json["groups"] == []


def test_a_role_is_only_raised_by_accepting(installation: Installation) -> None:
    customer, admin = installation.user("customer"), installation.user("admin")
    _, up = installation.invited(customer.email, role="team")
    raised = installation.accept(up, by=customer)
    assert (raised.status, raised.json["user"]["role"]) == (200, "team")
    made, down = installation.invited(admin.email, role="team")
    kept = installation.accept(down, by=admin)
    assert (kept.status, kept.json["user"]["role"]) == (200, "admin")
    assert "kept" in str(kept.json["grants"]).lower() or "admin" in str(kept.json["grants"])
    assert installation.invitation(made["id"])["state"] == "ACCEPTED"
