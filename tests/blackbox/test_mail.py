"""Invitation mail: what is in it, and what becomes of it."""

import re

import pytest
from tests.support.installation import Installation, new_address, refused
from tests.support.installations import StartInstallation
from tests.support.smtp_server import ANYBODY, CUT, TAKE_AND_CUT


def test_the_mail_carries_its_link_alone_on_a_line_and_first(installation: Installation) -> None:
    made = installation.invite(message="See https://x.test/?token=ey.evil and come", firstName="Jo")
    mail = installation.mail(made["inviteEmail"])
    lines = [line.strip() for line in mail.text.splitlines()]
    link = next(line for line in lines if line.startswith(f"{installation.public_url}/invitation?token="))
    assert link == f"{installation.public_url}/invitation?token={mail.token}"
    assert mail.token.startswith("ey")
    assert mail.token != "ey.evil"
    assert mail.text.index("token=") == mail.text.index(link) + link.index("token=")


def test_the_headers_are_those_of_an_automatic_mail_and_hold_no_token(installation: Installation) -> None:
    made, token = installation.invited(locale="de")
    message = installation.mail(made["inviteEmail"]).message
    assert message["To"] == made["inviteEmail"]
    assert "no-reply@orchard.example" in message["From"]
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "de"
    assert re.fullmatch(r"<[^<>@\s]+@[^<>@\s]+>", str(message["Message-ID"]).strip())
    assert message["Date"]
    assert [part.get_content_type() for part in message.iter_parts()][:2] == ["text/plain", "text/html"]
    headers = "".join(f"{name}: {value}\n" for name, value in message.items())
    assert token not in headers
    assert token.split(".")[2] not in headers


def test_languages_are_chosen_per_invitation(installation: Installation) -> None:
    german, english = installation.invite(locale="de-AT"), installation.invite(locale="en")
    other = installation.invite(locale="sw")
    subjects = [str(installation.mail(made["inviteEmail"]).message["Subject"]) for made in (german, english, other)]
    assert subjects[0] != subjects[1]
    assert subjects[1] == subjects[2]


def test_words_of_people_are_escaped_and_no_links(installation: Installation) -> None:
    inviter = installation.user("team", firstName="<b>Bold</b>", lastName="&amp;")
    words = {
        "firstName": "<script>alert(1)</script>",
        "lastName": "L",
        "message": "<img src=x> https://evil.test/pay now",
    }
    made = installation.invite(token=inviter.token, role="customer", **words)
    html = installation.mail(made["inviteEmail"]).html
    for raw in ("<script>alert", "<img src=x", "<b>Bold"):
        assert raw not in html
    assert "&lt;img src=x&gt;" in html
    assert not re.search(r"href=[\"']?https://evil\.test", html)


def test_names_cannot_add_headers(installation: Installation) -> None:
    inviter = installation.user("team", firstName="Eve: x, <b@evil.test>", lastName='"Bcc: c@evil.test"')
    made = installation.invite(token=inviter.token, role="customer")
    mail = installation.mail(made["inviteEmail"])
    assert mail.recipients == (made["inviteEmail"],)
    assert mail.message["Bcc"] is None


def test_a_taken_mail_is_sent_with_the_servers_words(installation: Installation) -> None:
    made = installation.invite()
    sent = installation.delivery(made["id"], "SENT")
    assert (sent["attempts"], sent["reason"]) == (1, None)
    assert sent["lastAttemptAt"]
    assert sent["lastReply"] is None or "taken" in sent["lastReply"]
    assert len(installation.smtp.to(made["inviteEmail"])) == 1


@pytest.mark.parametrize(
    ("stage", "reply", "state"),
    [
        ("rcpt", "550 5.1.1 no such user", "BOUNCED"),
        ("rcpt", "553 5.1.3 bad address", "BOUNCED"),
        ("data", "554 5.7.1 not this", "FAILED"),
        ("dot", "554 5.6.0 not this message", "FAILED"),
    ],
)
def test_a_final_no_is_told_and_not_tried_again(installation: Installation, stage: str, reply: str, state: str) -> None:
    address = new_address()
    installation.smtp.script(address, stage, reply)
    made = installation.invite(address)
    told = installation.delivery(made["id"], state, "SENT")
    assert (told["state"], told["lastReply"], told["attempts"]) == (state, reply, 1)
    assert installation.invitation(made["id"])["state"] == "PENDING"
    again = installation.post(f"/invitations/{made['id']}/resend", token=installation.key).json
    assert again["delivery"]["state"] == "QUEUED"
    assert installation.delivery(made["id"], "SENT")
    assert installation.mail_of(again)


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("rcpt", "450 4.2.1 busy"),
        ("rcpt", "421 4.3.2 closing"),
        ("data", "451 4.3.0 later"),
        ("dot", "452 4.3.1 full"),
        ("rcpt", CUT),
        ("data", CUT),
        ("dot", CUT),
    ],
)
def test_what_is_not_final_is_tried_again(installation: Installation, stage: str, reply: str) -> None:
    address = new_address()
    installation.smtp.script(address, stage, reply, reply)
    made = installation.invite(address)
    if reply != CUT:
        deferred = installation.delivery(made["id"], "DEFERRED", "SENT")
        assert deferred["state"] == "SENT" or deferred["lastReply"] == reply
    sent = installation.delivery(made["id"], "SENT")
    assert sent["attempts"] == 3
    assert len(installation.smtp.to(address)) == 1
    first, second, third = installation.smtp.tries_of(address)
    assert second - first > 0.3
    assert third - second > 0.3


def test_a_line_cut_after_the_mail_was_taken_costs_a_duplicate_with_the_same_id_and_link(
    installation: Installation,
) -> None:
    address = new_address()
    installation.smtp.script(address, "dot", TAKE_AND_CUT)
    made = installation.invite(address)
    installation.delivery(made["id"], "SENT")
    one, two = installation.smtp.wait_for(address, 2)
    assert one.message_id == two.message_id
    assert one.token == two.token


def test_the_message_id_stays_over_retries_and_differs_between_mails(installation: Installation) -> None:
    address = new_address()
    installation.smtp.script(address, "dot", TAKE_AND_CUT, TAKE_AND_CUT)
    made = installation.invite(address)
    mails = installation.smtp.wait_for(address, 3)
    assert len({(mail.message_id, mail.token) for mail in mails}) == 1
    installation.delivery(made["id"], "SENT")
    installation.post(f"/invitations/{made['id']}/resend", token=installation.key)
    assert installation.mail(address, 4).message_id != mails[0].message_id


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("connect", "554 5.3.2 go away"),
        ("connect", "421 busy"),
        ("connect", CUT),
        ("mail", "550 5.7.1 not you"),
        ("mail", CUT),
    ],
)
def test_trouble_before_the_recipient_is_ours_and_is_tried_again(
    own_installation: Installation, stage: str, reply: str
) -> None:
    own_installation.smtp.script(ANYBODY, stage, reply, reply)
    made = own_installation.invite()
    assert own_installation.delivery(made["id"], "SENT")["state"] == "SENT"
    assert len(own_installation.smtp.to(made["inviteEmail"])) == 1


def test_nothing_is_sent_for_what_ended_while_it_waited(installation: Installation) -> None:
    address = new_address()
    installation.smtp.script(address, "rcpt", "450 4.2.1 busy")
    made = installation.invite(address)
    installation.delivery(made["id"], "DEFERRED")
    installation.delete(f"/invitations/{made['id']}", installation.key)
    told = installation.delivery(made["id"], "SUPPRESSED", "SENT")
    assert (told["state"], told["reason"]) == ("SUPPRESSED", "ENDED")
    assert installation.smtp.to(address) == []


def test_one_bad_recipient_does_not_hold_up_the_others(installation: Installation) -> None:
    bad = new_address()
    installation.smtp.script(bad, "rcpt", *["450 4.2.1 busy"] * 3)
    installation.invite(bad)
    others = [installation.invite()["inviteEmail"] for _ in range(5)]
    for address in others:
        installation.mail(address)


def test_mail_off_refuses_who_may_not_hand_over_a_link(start_installation: StartInstallation) -> None:
    installation = start_installation(transport="off")
    person, address = installation.user("team"), new_address()
    answer = installation.post("/invitations", {"inviteEmail": address, "role": "customer"}, person.token)
    refused(answer, 503, "mail-disabled")
    assert answer.headers["Retry-After"]
    assert installation.get(f"/invitations?email={address}", installation.key).json["total"] == 0
    made = installation.invite(address)
    assert (made["delivery"]["state"], made["delivery"]["reason"]) == ("SUPPRESSED", "MAIL_OFF")
    assert installation.post("/invitations/lookup", {"token": installation.reveal(made["id"])}).status == 200


def test_the_inviter_is_told_of_a_refusal(installation: Installation) -> None:
    inviter = installation.user("team")
    made, token = installation.invited(token=inviter.token, role="customer")
    installation.post("/invitations/decline", {"token": token, "reason": "I moved away"})
    assert "I moved away" in installation.mail_about(inviter.email, made["inviteEmail"]).text
