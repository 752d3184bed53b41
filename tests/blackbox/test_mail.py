"""Invitation mails: content, delivery, retries."""

import re

import pytest
from tests.support.installation import Installation, check_problem, new_address
from tests.support.installations import StartInstallation
from tests.support.smtp_server import ACCEPT_AND_DISCONNECT, ANY_RECIPIENT, DISCONNECT


def test_the_link_is_alone_on_its_line_and_before_other_links(installation: Installation) -> None:
    invitation = installation.invite(message="See https://x.test/?token=ey.evil and come", firstName="Jo")
    mail = installation.mail(invitation["inviteEmail"])
    lines = [line.strip() for line in mail.text.splitlines()]
    link = next(line for line in lines if line.startswith(f"{installation.public_url}/invitation?token="))
    assert link == f"{installation.public_url}/invitation?token={mail.token}"
    assert mail.token.startswith("ey")
    assert mail.token != "ey.evil"
    assert mail.text.index("token=") == mail.text.index(link) + link.index("token=")


def test_the_headers_mark_an_automatic_mail_and_contain_no_token(installation: Installation) -> None:
    invitation, token = installation.invite_with_token(locale="de")
    message = installation.mail(invitation["inviteEmail"]).message
    assert message["To"] == invitation["inviteEmail"]
    assert "no-reply@orchard.example" in message["From"]
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "de"
    assert re.fullmatch(r"<[^<>@\s]+@[^<>@\s]+>", str(message["Message-ID"]).strip())
    assert message["Date"]
    assert [part.get_content_type() for part in message.iter_parts()][:2] == ["text/plain", "text/html"]
    headers = "".join(f"{name}: {value}\n" for name, value in message.items())
    assert token not in headers
    assert token.split(".")[2] not in headers


def test_each_invitation_has_its_own_language(installation: Installation) -> None:
    german, english = installation.invite(locale="de-AT"), installation.invite(locale="en")
    other = installation.invite(locale="sw")
    subjects = [
        str(installation.mail(invitation["inviteEmail"]).message["Subject"]) for invitation in (german, english, other)
    ]
    assert subjects[0] != subjects[1]
    assert subjects[1] == subjects[2]


def test_texts_of_users_are_escaped_and_not_linked(installation: Installation) -> None:
    inviter = installation.user("team", firstName="<b>Bold</b>", lastName="&amp;")
    words = {
        "firstName": "<script>alert(1)</script>",
        "lastName": "L",
        "message": "<img src=x> https://evil.test/pay now",
    }
    invitation = installation.invite(token=inviter.token, role="customer", **words)
    html = installation.mail(invitation["inviteEmail"]).html
    for raw in ("<script>alert", "<img src=x", "<b>Bold"):
        assert raw not in html
    assert "&lt;img src=x&gt;" in html
    assert not re.search(r"href=[\"']?https://evil\.test", html)


def test_names_cannot_add_headers(installation: Installation) -> None:
    inviter = installation.user("team", firstName="Eve: x, <b@evil.test>", lastName='"Bcc: c@evil.test"')
    invitation = installation.invite(token=inviter.token, role="customer")
    mail = installation.mail(invitation["inviteEmail"])
    assert mail.recipients == (invitation["inviteEmail"],)
    assert mail.message["Bcc"] is None


def test_an_accepted_mail_is_sent_with_the_servers_reply(installation: Installation) -> None:
    invitation = installation.invite()
    delivery = installation.delivery(invitation["id"], "SENT")
    assert (delivery["attempts"], delivery["reason"]) == (1, None)
    assert delivery["lastAttemptAt"]
    assert delivery["lastReply"] is None or "taken" in delivery["lastReply"]
    assert len(installation.smtp.to(invitation["inviteEmail"])) == 1


@pytest.mark.parametrize(
    ("step", "reply", "state"),
    [
        ("rcpt", "550 5.1.1 no such user", "BOUNCED"),
        ("rcpt", "553 5.1.3 bad address", "BOUNCED"),
        ("data", "554 5.7.1 not this", "FAILED"),
        ("dot", "554 5.6.0 not this message", "FAILED"),
    ],
)
def test_a_permanent_failure_is_reported_and_not_retried(
    installation: Installation, step: str, reply: str, state: str
) -> None:
    address = new_address()
    installation.smtp.script(address, step, reply)
    invitation = installation.invite(address)
    delivery = installation.delivery(invitation["id"], state, "SENT")
    assert (delivery["state"], delivery["lastReply"], delivery["attempts"]) == (state, reply, 1)
    assert installation.invitation(invitation["id"])["state"] == "PENDING"
    again = installation.post(f"/invitations/{invitation['id']}/resend", token=installation.key).json
    assert again["delivery"]["state"] == "QUEUED"
    assert installation.delivery(invitation["id"], "SENT")
    assert installation.mail_of(again)


@pytest.mark.parametrize(
    ("step", "reply"),
    [
        ("rcpt", "450 4.2.1 busy"),
        ("rcpt", "421 4.3.2 closing"),
        ("data", "451 4.3.0 later"),
        ("dot", "452 4.3.1 full"),
        ("rcpt", DISCONNECT),
        ("data", DISCONNECT),
        ("dot", DISCONNECT),
    ],
)
def test_a_temporary_failure_is_retried(installation: Installation, step: str, reply: str) -> None:
    address = new_address()
    installation.smtp.script(address, step, reply, reply)
    invitation = installation.invite(address)
    if reply != DISCONNECT:
        deferred = installation.delivery(invitation["id"], "DEFERRED", "SENT")
        assert deferred["state"] == "SENT" or deferred["lastReply"] == reply
    delivery = installation.delivery(invitation["id"], "SENT")
    assert delivery["attempts"] == 3
    assert len(installation.smtp.to(address)) == 1
    first, second, third = installation.smtp.attempts_of(address)
    assert second - first > 0.3
    assert third - second > 0.3


def test_a_connection_lost_after_the_data_repeats_the_same_mail(
    installation: Installation,
) -> None:
    address = new_address()
    installation.smtp.script(address, "dot", ACCEPT_AND_DISCONNECT)
    invitation = installation.invite(address)
    installation.delivery(invitation["id"], "SENT")
    first, second = installation.smtp.wait_for(address, 2)
    assert first.message_id == second.message_id
    assert first.token == second.token


def test_retries_keep_the_message_id_and_other_mails_have_their_own(installation: Installation) -> None:
    address = new_address()
    installation.smtp.script(address, "dot", ACCEPT_AND_DISCONNECT, ACCEPT_AND_DISCONNECT)
    invitation = installation.invite(address)
    mails = installation.smtp.wait_for(address, 3)
    assert len({(mail.message_id, mail.token) for mail in mails}) == 1
    installation.delivery(invitation["id"], "SENT")
    installation.post(f"/invitations/{invitation['id']}/resend", token=installation.key)
    assert installation.mail(address, 4).message_id != mails[0].message_id


@pytest.mark.parametrize(
    ("step", "reply"),
    [
        ("connect", "554 5.3.2 go away"),
        ("connect", "421 busy"),
        ("connect", DISCONNECT),
        ("mail", "550 5.7.1 not you"),
        ("mail", DISCONNECT),
    ],
)
def test_failures_before_the_recipient_are_retried(own_installation: Installation, step: str, reply: str) -> None:
    own_installation.smtp.script(ANY_RECIPIENT, step, reply, reply)
    invitation = own_installation.invite()
    assert own_installation.delivery(invitation["id"], "SENT")["state"] == "SENT"
    assert len(own_installation.smtp.to(invitation["inviteEmail"])) == 1


def test_a_deferred_mail_of_an_ended_invitation_is_not_sent(installation: Installation) -> None:
    address = new_address()
    installation.smtp.script(address, "rcpt", "450 4.2.1 busy")
    invitation = installation.invite(address)
    installation.delivery(invitation["id"], "DEFERRED")
    installation.delete(f"/invitations/{invitation['id']}", installation.key)
    delivery = installation.delivery(invitation["id"], "SUPPRESSED", "SENT")
    assert (delivery["state"], delivery["reason"]) == ("SUPPRESSED", "ENDED")
    assert installation.smtp.to(address) == []


def test_a_failing_recipient_does_not_delay_others(installation: Installation) -> None:
    bad = new_address()
    installation.smtp.script(bad, "rcpt", *["450 4.2.1 busy"] * 3)
    installation.invite(bad)
    others = [installation.invite()["inviteEmail"] for _ in range(5)]
    for address in others:
        installation.mail(address)


def test_without_mail_inviting_requires_the_reveal_permission(start_installation: StartInstallation) -> None:
    installation = start_installation(transport="off")
    user, address = installation.user("team"), new_address()
    answer = installation.post("/invitations", {"inviteEmail": address, "role": "customer"}, user.token)
    check_problem(answer, 503, "mail-disabled")
    assert answer.headers["Retry-After"]
    assert installation.get(f"/invitations?email={address}", installation.key).json["total"] == 0
    invitation = installation.invite(address)
    assert (invitation["delivery"]["state"], invitation["delivery"]["reason"]) == ("SUPPRESSED", "MAIL_OFF")
    assert installation.post("/invitations/lookup", {"token": installation.reveal(invitation["id"])}).status == 200


def test_the_inviter_is_notified_of_a_decline(installation: Installation) -> None:
    inviter = installation.user("team")
    invitation, token = installation.invite_with_token(token=inviter.token, role="customer")
    installation.post("/invitations/decline", {"token": token, "reason": "I moved away"})
    assert "I moved away" in installation.mail_about(inviter.email, invitation["inviteEmail"]).text
