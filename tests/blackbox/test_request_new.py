"""An expired or lost link: the invited person may ask for a fresh one."""

import pytest
from tests.support.installation import PROFILE, Installation, refused
from tests.support.installations import StartInstallation


def ask(installation: Installation, token: str) -> None:
    answer = installation.post("/invitations/request-new", {"token": token})
    assert answer.status == 202, answer


def test_a_good_link_is_mailed_again(installation: Installation) -> None:
    made, token = installation.invited()
    ask(installation, token)
    again = installation.mail(made["inviteEmail"], 2)
    assert installation.invitation(made["id"])["generation"] == 1
    assert again.token == token
    assert installation.accept(again.token, **PROFILE).status == 201


def test_an_expired_link_gives_way_to_the_next(installation: Installation) -> None:
    inviter = installation.user("team")
    made, token = installation.invited(token=inviter.token, role="customer", expiresIn="PT4S")
    installation.wait_until_expired(made["id"])
    ask(installation, token)
    fresh = installation.mail(made["inviteEmail"], 2)
    after = installation.invitation(made["id"])
    assert (after["state"], after["generation"], after["sponsor"]["id"]) == ("PENDING", 2, inviter.id)
    assert fresh.recipients == (made["inviteEmail"],)
    assert installation.accept(fresh.token, **PROFILE).status == 201
    assert installation.mail_about(inviter.email, made["inviteEmail"])


def test_a_superseded_link_gives_way_to_the_next(installation: Installation) -> None:
    made, old = installation.invited()
    installation.post(f"/invitations/{made['id']}/resend", token=installation.key)
    installation.mail(made["inviteEmail"], 2)
    ask(installation, old)
    fresh = installation.mail(made["inviteEmail"], 3)
    assert installation.accept(fresh.token, **PROFILE).status == 201


def test_a_revealed_link_does_not_bring_one_nearer_to_the_mailbox(installation: Installation) -> None:
    made, mailed = installation.invited()
    ask(installation, installation.reveal(made["id"]))
    assert installation.mail(made["inviteEmail"], 2).token == mailed


@pytest.mark.parametrize("end", ["accepted", "declined", "revoked"])
def test_what_ended_otherwise_stays_ended(installation: Installation, end: str) -> None:
    made, token = installation.invited()
    if end == "accepted":
        installation.accept(token, **PROFILE)
    elif end == "declined":
        installation.post("/invitations/decline", {"token": token})
    else:
        installation.delete(f"/invitations/{made['id']}", installation.key)
    before = installation.invitation(made["id"])
    ask(installation, token)
    installation.mail(installation.invite()["inviteEmail"])  # mail is being sent
    assert installation.invitation(made["id"]) == before
    assert len(installation.smtp.to(made["inviteEmail"])) == 1


@pytest.mark.parametrize("token", ["", "ey", "ey.a.b", "x" * 5000, "\x00", "ey\u00fc.a.b"])
def test_any_token_gets_the_same_answer(installation: Installation, token: str) -> None:
    _, good = installation.invited()
    answers = [installation.post("/invitations/request-new", {"token": one}) for one in (token, good)]
    assert [answer.status for answer in answers] == [202, 202]
    assert answers[0].body == answers[1].body


def test_a_sponsor_who_may_no_longer_grant_sends_no_fresh_link(installation: Installation) -> None:
    sponsor = installation.user("team")
    made, token = installation.invited(token=sponsor.token, role="customer", expiresIn="PT2S")
    installation.patch(f"/users/{sponsor.id}", {"role": "visitor"}, installation.key)
    installation.wait_until_expired(made["id"])
    ask(installation, token)
    installation.mail(installation.invite()["inviteEmail"])
    assert installation.invitation(made["id"])["generation"] == 1
    assert len(installation.smtp.to(made["inviteEmail"])) == 1


def test_asking_again_at_once_sends_nothing(start_installation: StartInstallation) -> None:
    installation = start_installation(limits="true")
    made, token = installation.invited()
    for _ in range(3):
        ask(installation, token)
    installation.mail(made["inviteEmail"], 2)
    installation.mail(installation.invite()["inviteEmail"])
    assert len(installation.smtp.to(made["inviteEmail"])) == 2


def test_a_superseded_link_stays_superseded(installation: Installation) -> None:
    made, old = installation.invited(expiresIn="PT4S")
    installation.wait_until_expired(made["id"])
    ask(installation, old)
    installation.mail(made["inviteEmail"], 2)
    refused(installation.accept(old, **PROFILE), 410, "invitation-superseded")
