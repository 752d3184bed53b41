"""Inviters can grant only what they may grant, when inviting and when the invitation is accepted."""

import pytest
from tests.support.installation import PROFILE, Installation, check_problem, new_address


def test_a_role_that_the_inviter_may_not_grant_is_refused(installation: Installation) -> None:
    user, address = installation.user("team"), new_address()
    for role in ("admin", "lead", "visitor"):
        body = {"inviteEmail": address, "role": role}
        check_problem(installation.post("/invitations", body, user.token), 403, "grant-not-allowed")
    assert installation.get(f"/invitations?email={address}", installation.key).json["total"] == 0


def test_a_group_requires_may_grant_groups_or_groups_write(installation: Installation) -> None:
    group, user = installation.group(), installation.user("team")
    body = {"inviteEmail": new_address(), "groups": [group]}
    check_problem(installation.post("/invitations", body, user.token), 403, "grant-not-allowed")
    assert installation.post("/invitations", body, installation.user("admin").token).status == 201
    writer = installation.api_key("invitations:write", "groups:write")
    assert installation.post("/invitations", body | {"inviteEmail": new_address()}, writer).status == 201
    plain = installation.api_key("invitations:write", may_grant=("customer",))
    check_problem(
        installation.post("/invitations", body | {"inviteEmail": new_address()}, plain), 403, "grant-not-allowed"
    )


def test_resending_requires_the_same_right(installation: Installation) -> None:
    invitation, token = installation.invite_with_token(role="admin")
    check_problem(
        installation.post(f"/invitations/{invitation['id']}/resend", token=installation.user("team").token),
        403,
        "grant-not-allowed",
    )
    assert installation.invitation(invitation["id"])["generation"] == 1
    assert installation.accept(token, **PROFILE).status == 201


@pytest.mark.parametrize("change", ["demoted", "blocked", "deleted", "without a role"])
def test_a_link_is_refused_when_its_sponsor_loses_the_right(installation: Installation, change: str) -> None:
    sponsor = installation.user("team")
    invitation, token = installation.invite_with_token(token=sponsor.token, role="customer")
    changes = {"demoted": {"role": "customer"}, "blocked": {"blocked": True}, "without a role": {"role": None}}
    if change == "deleted":
        assert installation.delete(f"/users/{sponsor.id}", installation.key).status == 204
    else:
        assert installation.patch(f"/users/{sponsor.id}", changes[change], installation.key).status == 200
    check_problem(installation.accept(token, **PROFILE), 409, "inviter-not-allowed")
    assert installation.invitation(invitation["id"])["state"] == "PENDING"
    assert installation.get(f"/users?email={invitation['inviteEmail']}", installation.key).json["total"] == 0
    assert installation.post("/invitations/request-new", {"token": token}).status == 202
    again = installation.post(f"/invitations/{invitation['id']}/resend", token=installation.key)
    assert installation.accept(installation.mail_of(again.json).token, **PROFILE).status == 201


def test_the_sponsor_of_the_current_link_counts(installation: Installation) -> None:
    inviter, sponsor = installation.user("team"), installation.user("team")
    invitation, _ = installation.invite_with_token(token=inviter.token, role="customer")
    assert installation.post(f"/invitations/{invitation['id']}/resend", token=sponsor.token).status == 202
    installation.patch(f"/users/{inviter.id}", {"blocked": True}, installation.key)
    assert installation.accept(installation.mail(invitation["inviteEmail"], 2).token, **PROFILE).status == 201


def test_a_deleted_api_key_keeps_its_invitations_by_default(installation: Installation) -> None:
    admin = installation.user("admin")
    tokens, ids = list[str](), list[str]()
    for query in ("", "?endInvitations=true"):
        body = {"name": "k", "scopes": ["invitations:write"], "mayGrant": ["customer"]}
        key = installation.post("/api-keys", body, admin.token).json
        invitation, token = installation.invite_with_token(token=key["key"], role="customer")
        assert installation.delete(f"/api-keys/{key['id']}{query}", admin.token).status == 204
        tokens.append(token)
        ids.append(invitation["id"])
    assert installation.accept(tokens[0], **PROFILE).status == 201
    check_problem(installation.accept(tokens[1], **PROFILE), 410, "invitation-revoked")
    assert [installation.invitation(invitation_id)["state"] for invitation_id in ids] == ["ACCEPTED", "REVOKED"]


def test_a_user_cannot_get_a_role_that_the_caller_may_not_grant(installation: Installation) -> None:
    lead, user = installation.user("lead"), installation.user("customer")
    fields = {"email": new_address(), "firstName": "A", "lastName": "B"}
    for role in ("admin", "lead", "visitor"):
        check_problem(installation.post("/users", fields | {"role": role}, lead.token), 403, "grant-not-allowed")
        check_problem(installation.patch(f"/users/{user.id}", {"role": role}, lead.token), 403, "grant-not-allowed")
        check_problem(installation.patch(f"/users/{lead.id}", {"role": "admin"}, lead.token), 403, "grant-not-allowed")
    assert installation.post("/users", fields | {"role": "team"}, lead.token).status == 201
    assert installation.patch(f"/users/{user.id}", {"role": "team"}, lead.token).status == 200


def test_an_account_with_more_permissions_cannot_be_changed(installation: Installation) -> None:
    lead, admin = installation.user("lead"), installation.user("admin")
    for change in ({"password": "a new password 77"}, {"email": new_address()}, {"blocked": True}):
        answer = installation.patch(f"/users/{admin.id}", change, lead.token)
        assert answer.status == 403, (change, answer)
    assert installation.delete(f"/users/{admin.id}", lead.token).status == 403
    assert installation.login(admin.email).id == admin.id


def test_adding_members_requires_the_right_to_grant_the_group(installation: Installation) -> None:
    group, user = installation.group(), installation.user("customer")
    check_problem(installation.post(f"/groups/{group}/members/{user.id}", token=installation.user("lead").token), 403)
    check_problem(installation.post(f"/groups/{group}/members/{user.id}", token=user.token), 404)
    assert installation.get(f"/users/{user.id}", installation.key).json["groups"] == []


def test_accepting_never_lowers_a_role(installation: Installation) -> None:
    customer, admin = installation.user("customer"), installation.user("admin")
    _, raise_token = installation.invite_with_token(customer.email, role="team")
    raised = installation.accept(raise_token, by=customer)
    assert (raised.status, raised.json["user"]["role"]) == (200, "team")
    invitation, lower_token = installation.invite_with_token(admin.email, role="team")
    accepted = installation.accept(lower_token, by=admin)
    assert (accepted.status, accepted.json["user"]["role"]) == (200, "admin")
    assert "kept" in str(accepted.json["grants"]).lower() or "admin" in str(accepted.json["grants"])
    assert installation.invitation(invitation["id"])["state"] == "ACCEPTED"
