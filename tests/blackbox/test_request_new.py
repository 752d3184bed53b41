"""An expired or lost link: the invited person may ask for a fresh one."""

import pytest
from tests.blackbox.conftest import Starter
from tests.support.installation import PROFILE, House, refused


def ask(house: House, token: str) -> None:
    answer = house.post("/invitations/request-new", {"token": token})
    assert answer.status == 202, answer


def test_a_good_link_is_mailed_again(house: House) -> None:
    made, token = house.invited()
    ask(house, token)
    again = house.mail(made["inviteEmail"], 2)
    assert house.invitation(made["id"])["generation"] == 1
    assert again.token == token
    assert house.accept(again.token, **PROFILE).status == 201


def test_an_expired_link_gives_way_to_the_next(house: House) -> None:
    inviter = house.user("team")
    made, token = house.invited(token=inviter.token, role="customer", expiresIn="PT4S")
    house.wait_until_expired(made["id"])
    ask(house, token)
    fresh = house.mail(made["inviteEmail"], 2)
    after = house.invitation(made["id"])
    assert (after["state"], after["generation"], after["sponsor"]["id"]) == ("PENDING", 2, inviter.id)
    assert fresh.recipients == (made["inviteEmail"],)
    assert house.accept(fresh.token, **PROFILE).status == 201
    assert house.mail_about(inviter.email, made["inviteEmail"])


def test_a_superseded_link_gives_way_to_the_next(house: House) -> None:
    made, old = house.invited()
    house.post(f"/invitations/{made['id']}/resend", token=house.key)
    house.mail(made["inviteEmail"], 2)
    ask(house, old)
    fresh = house.mail(made["inviteEmail"], 3)
    assert house.accept(fresh.token, **PROFILE).status == 201


def test_a_revealed_link_does_not_bring_one_nearer_to_the_mailbox(house: House) -> None:
    made, mailed = house.invited()
    ask(house, house.reveal(made["id"]))
    assert house.mail(made["inviteEmail"], 2).token == mailed


@pytest.mark.parametrize("end", ["accepted", "declined", "revoked"])
def test_what_ended_otherwise_stays_ended(house: House, end: str) -> None:
    made, token = house.invited()
    if end == "accepted":
        house.accept(token, **PROFILE)
    elif end == "declined":
        house.post("/invitations/decline", {"token": token})
    else:
        house.delete(f"/invitations/{made['id']}", house.key)
    before = house.invitation(made["id"])
    ask(house, token)
    house.mail(house.invite()["inviteEmail"])  # mail is being sent
    assert house.invitation(made["id"]) == before
    assert len(house.smtp.to(made["inviteEmail"])) == 1


@pytest.mark.parametrize("token", ["", "ey", "ey.a.b", "x" * 5000, "\x00", "ey\u00fc.a.b"])
def test_any_token_gets_the_same_answer(house: House, token: str) -> None:
    _, good = house.invited()
    answers = [house.post("/invitations/request-new", {"token": one}) for one in (token, good)]
    assert [answer.status for answer in answers] == [202, 202]
    assert answers[0].body == answers[1].body


def test_a_sponsor_who_may_no_longer_grant_sends_no_fresh_link(house: House) -> None:
    sponsor = house.user("team")
    made, token = house.invited(token=sponsor.token, role="customer", expiresIn="PT2S")
    house.patch(f"/users/{sponsor.id}", {"role": "visitor"}, house.key)
    house.wait_until_expired(made["id"])
    ask(house, token)
    house.mail(house.invite()["inviteEmail"])
    assert house.invitation(made["id"])["generation"] == 1
    assert len(house.smtp.to(made["inviteEmail"])) == 1


def test_asking_again_at_once_sends_nothing(open_house: Starter) -> None:
    house = open_house(limits="true")
    made, token = house.invited()
    for _ in range(3):
        ask(house, token)
    house.mail(made["inviteEmail"], 2)
    house.mail(house.invite()["inviteEmail"])
    assert len(house.smtp.to(made["inviteEmail"])) == 2


def test_a_superseded_link_stays_superseded(house: House) -> None:
    made, old = house.invited(expiresIn="PT4S")
    house.wait_until_expired(made["id"])
    ask(house, old)
    house.mail(made["inviteEmail"], 2)
    refused(house.accept(old, **PROFILE), 410, "invitation-superseded")
