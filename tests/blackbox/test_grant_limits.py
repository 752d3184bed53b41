"""Nobody hands out more than they hold, at no moment."""

import pytest
from tests.support.installation import PROFILE, House, new_address, refused


def test_a_role_beyond_what_one_may_grant_is_refused(house: House) -> None:
    person, address = house.user("team"), new_address()
    for role in ("admin", "lead", "visitor"):
        sent = {"inviteEmail": address, "role": role}
        refused(house.post("/invitations", sent, person.token), 403, "grant-not-allowed")
    assert house.get(f"/invitations?email={address}", house.key).json["total"] == 0


def test_a_group_needs_may_grant_groups_or_groups_write(house: House) -> None:
    group, person = house.group(), house.user("team")
    sent = {"inviteEmail": new_address(), "groups": [group]}
    refused(house.post("/invitations", sent, person.token), 403, "grant-not-allowed")
    assert house.post("/invitations", sent, house.user("admin").token).status == 201
    writer = house.api_key("invitations:write", "groups:write")
    assert house.post("/invitations", sent | {"inviteEmail": new_address()}, writer).status == 201
    plain = house.api_key("invitations:write", may_grant=("customer",))
    refused(house.post("/invitations", sent | {"inviteEmail": new_address()}, plain), 403, "grant-not-allowed")


def test_sending_again_needs_the_same_right(house: House) -> None:
    made, token = house.invited(role="admin")
    refused(house.post(f"/invitations/{made['id']}/resend", token=house.user("team").token), 403, "grant-not-allowed")
    assert house.invitation(made["id"])["generation"] == 1
    assert house.accept(token, **PROFILE).status == 201


@pytest.mark.parametrize("fall", ["demoted", "blocked", "deleted", "without a role"])
def test_a_link_falls_with_its_sponsor(house: House, fall: str) -> None:
    sponsor = house.user("team")
    made, token = house.invited(token=sponsor.token, role="customer")
    changes = {"demoted": {"role": "customer"}, "blocked": {"blocked": True}, "without a role": {"role": None}}
    if fall == "deleted":
        assert house.delete(f"/users/{sponsor.id}", house.key).status == 204
    else:
        assert house.patch(f"/users/{sponsor.id}", changes[fall], house.key).status == 200
    refused(house.accept(token, **PROFILE), 409, "inviter-not-allowed")
    assert house.invitation(made["id"])["state"] == "PENDING"
    assert house.get(f"/users?email={made['inviteEmail']}", house.key).json["total"] == 0
    assert house.post("/invitations/request-new", {"token": token}).status == 202
    again = house.post(f"/invitations/{made['id']}/resend", token=house.key)
    assert house.accept(house.mail_of(again.json).token, **PROFILE).status == 201


def test_the_sponsor_of_the_link_counts_not_who_invited_first(house: House) -> None:
    inviter, sponsor = house.user("team"), house.user("team")
    made, _ = house.invited(token=inviter.token, role="customer")
    assert house.post(f"/invitations/{made['id']}/resend", token=sponsor.token).status == 202
    house.patch(f"/users/{inviter.id}", {"blocked": True}, house.key)
    assert house.accept(house.mail(made["inviteEmail"], 2).token, **PROFILE).status == 201


def test_a_removed_api_key_leaves_its_invitations_unless_told_to_end_them(house: House) -> None:
    admin = house.user("admin")
    tokens, ids = list[str](), list[str]()
    for query in ("", "?endInvitations=true"):
        body = {"name": "k", "scopes": ["invitations:write"], "mayGrant": ["customer"]}
        key = house.post("/api-keys", body, admin.token).json
        made, token = house.invited(token=key["key"], role="customer")
        assert house.delete(f"/api-keys/{key['id']}{query}", admin.token).status == 204
        tokens.append(token)
        ids.append(made["id"])
    assert house.accept(tokens[0], **PROFILE).status == 201
    refused(house.accept(tokens[1], **PROFILE), 410, "invitation-revoked")
    assert [house.invitation(one)["state"] for one in ids] == ["ACCEPTED", "REVOKED"]


def test_nobody_makes_a_user_with_more_than_he_may_grant(house: House) -> None:
    lead, person = house.user("lead"), house.user("customer")
    fields = {"email": new_address(), "firstName": "A", "lastName": "B"}
    for role in ("admin", "lead", "visitor"):
        refused(house.post("/users", fields | {"role": role}, lead.token), 403, "grant-not-allowed")
        refused(house.patch(f"/users/{person.id}", {"role": role}, lead.token), 403, "grant-not-allowed")
        refused(house.patch(f"/users/{lead.id}", {"role": "admin"}, lead.token), 403, "grant-not-allowed")
    assert house.post("/users", fields | {"role": "team"}, lead.token).status == 201
    assert house.patch(f"/users/{person.id}", {"role": "team"}, lead.token).status == 200


def test_nobody_takes_over_an_account_that_may_do_more(house: House) -> None:
    lead, admin = house.user("lead"), house.user("admin")
    for change in ({"password": "a new password 77"}, {"email": new_address()}, {"blocked": True}):
        answer = house.patch(f"/users/{admin.id}", change, lead.token)
        assert answer.status == 403, (change, answer)
    assert house.delete(f"/users/{admin.id}", lead.token).status == 403
    assert house.login(admin.email).id == admin.id


def test_members_are_added_by_who_may_grant_the_group(house: House) -> None:
    group, person = house.group(), house.user("customer")
    refused(house.post(f"/groups/{group}/members/{person.id}", token=house.user("lead").token), 403)
    refused(house.post(f"/groups/{group}/members/{person.id}", token=person.token), 404)
    assert house.get(f"/users/{person.id}", house.key).json["groups"] == []


def test_a_role_is_only_raised_by_accepting(house: House) -> None:
    customer, admin = house.user("customer"), house.user("admin")
    _, up = house.invited(customer.email, role="team")
    raised = house.accept(up, by=customer)
    assert (raised.status, raised.json["user"]["role"]) == (200, "team")
    made, down = house.invited(admin.email, role="team")
    kept = house.accept(down, by=admin)
    assert (kept.status, kept.json["user"]["role"]) == (200, "admin")
    assert "kept" in str(kept.json["grants"]).lower() or "admin" in str(kept.json["grants"])
    assert house.invitation(made["id"])["state"] == "ACCEPTED"
