"""Requests of invitees for a new link in place of an expired or lost one."""

import pytest
from tests.support.installation import PROFILE, Installation, check_problem
from tests.support.installations import StartInstallation


def request_new(installation: Installation, token: str) -> None:
    answer = installation.post("/invitations/request-new", {"token": token})
    assert answer.status == 202, answer


def test_a_valid_link_is_mailed_again(installation: Installation) -> None:
    invitation, token = installation.invite_with_token()
    request_new(installation, token)
    again = installation.mail(invitation["inviteEmail"], 2)
    assert installation.invitation(invitation["id"])["generation"] == 1
    assert again.token == token
    assert installation.accept(again.token, **PROFILE).status == 201


def test_an_expired_link_is_renewed(installation: Installation) -> None:
    inviter = installation.user("team")
    invitation, token = installation.invite_with_token(token=inviter.token, role="customer", expiresIn="PT4S")
    installation.wait_until_expired(invitation["id"])
    request_new(installation, token)
    fresh = installation.mail(invitation["inviteEmail"], 2)
    after = installation.invitation(invitation["id"])
    assert (after["state"], after["generation"], after["sponsor"]["id"]) == ("PENDING", 2, inviter.id)
    assert fresh.recipients == (invitation["inviteEmail"],)
    assert installation.accept(fresh.token, **PROFILE).status == 201
    assert installation.mail_about(inviter.email, invitation["inviteEmail"])


def test_the_current_link_is_mailed_for_a_superseded_link(installation: Installation) -> None:
    invitation, old = installation.invite_with_token()
    installation.post(f"/invitations/{invitation['id']}/resend", token=installation.key)
    installation.mail(invitation["inviteEmail"], 2)
    request_new(installation, old)
    fresh = installation.mail(invitation["inviteEmail"], 3)
    assert installation.accept(fresh.token, **PROFILE).status == 201


def test_the_mailed_link_is_sent_for_a_revealed_link(installation: Installation) -> None:
    invitation, mailed = installation.invite_with_token()
    request_new(installation, installation.reveal(invitation["id"]))
    assert installation.mail(invitation["inviteEmail"], 2).token == mailed


@pytest.mark.parametrize("ending", ["accepted", "declined", "revoked"])
def test_an_ended_invitation_stays_ended(installation: Installation, ending: str) -> None:
    invitation, token = installation.invite_with_token()
    if ending == "accepted":
        installation.accept(token, **PROFILE)
    elif ending == "declined":
        installation.post("/invitations/decline", {"token": token})
    else:
        installation.delete(f"/invitations/{invitation['id']}", installation.key)
    before = installation.invitation(invitation["id"])
    request_new(installation, token)
    installation.mail(installation.invite()["inviteEmail"])  # a later mail was sent: the worker is not behind
    assert installation.invitation(invitation["id"]) == before
    assert len(installation.smtp.to(invitation["inviteEmail"])) == 1


@pytest.mark.parametrize("token", ["", "ey", "ey.a.b", "x" * 5000, "\x00", "ey\u00fc.a.b"])
def test_any_token_gets_the_same_answer(installation: Installation, token: str) -> None:
    _, good = installation.invite_with_token()
    answers = [installation.post("/invitations/request-new", {"token": text}) for text in (token, good)]
    assert [answer.status for answer in answers] == [202, 202]
    assert answers[0].body == answers[1].body


def test_nothing_is_sent_if_the_sponsor_may_no_longer_grant(installation: Installation) -> None:
    sponsor = installation.user("team")
    invitation, token = installation.invite_with_token(token=sponsor.token, role="customer", expiresIn="PT2S")
    installation.patch(f"/users/{sponsor.id}", {"role": "visitor"}, installation.key)
    installation.wait_until_expired(invitation["id"])
    request_new(installation, token)
    installation.mail(installation.invite()["inviteEmail"])
    assert installation.invitation(invitation["id"])["generation"] == 1
    assert len(installation.smtp.to(invitation["inviteEmail"])) == 1


def test_repeated_requests_are_rate_limited(start_installation: StartInstallation) -> None:
    installation = start_installation(limits="true")
    invitation, token = installation.invite_with_token()
    for _ in range(3):
        request_new(installation, token)
    installation.mail(invitation["inviteEmail"], 2)
    installation.mail(installation.invite()["inviteEmail"])
    assert len(installation.smtp.to(invitation["inviteEmail"])) == 2


def test_a_renewed_link_supersedes_the_old(installation: Installation) -> None:
    invitation, old = installation.invite_with_token(expiresIn="PT4S")
    installation.wait_until_expired(invitation["id"])
    request_new(installation, old)
    installation.mail(invitation["inviteEmail"], 2)
    check_problem(installation.accept(old, **PROFILE), 410, "invitation-superseded")
