"""Rendered mails: headers, both parts, and sanitized user input."""

import email
import email.policy
import re
from email.message import EmailMessage
from html.parser import HTMLParser
from uuid import UUID

import pytest
from tests.support.mail_samples import LINK, SENT_AT, all_messages, invitation

from latchstring.mail.ascii_address import AddressUnusable
from latchstring.mail.messages import InvitationDeclinedMail, LinkRequestedMail, Message
from latchstring.mail.render import RenderedMail, render_mail

ID = UUID("01a1f88a-ac00-7475-b45a-42cb7a5c2310")
SENDER = "Orchard Lane <no-reply@app.test>"


def rendered(message: Message, *, sender: str = SENDER, reply_to_inviter: bool = False) -> RenderedMail:
    return render_mail(message, ID, sender=sender, reply_to_inviter=reply_to_inviter, now=SENT_AT)


def parsed(mail: RenderedMail) -> EmailMessage:
    return email.message_from_bytes(mail.content, policy=email.policy.default)


def part(message: EmailMessage, subtype: str) -> str:
    body = message.get_body((subtype,))
    assert body is not None
    return str(body.get_content())


class Links(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.targets |= {value or "" for name, value in attrs if name in {"href", "src", "action", "background"}}


@pytest.mark.parametrize("locale", ["en", "de"])
@pytest.mark.parametrize("number", range(6))
def test_every_message_has_its_headers(locale: str, number: int) -> None:
    message = parsed(rendered(all_messages(locale)[number]))
    assert message["Message-ID"] == f"<{ID}@app.test>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == locale
    assert message["From"] == SENDER
    assert message["To"] == "jonas@people.test"
    assert message["Date"] == "Fri, 20 Nov 2026 10:40:00 +0000"
    assert message["MIME-Version"] == "1.0"
    assert [p.get_content_type() for p in message.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize("number", range(6))
def test_no_header_contains_a_token(number: int) -> None:
    for name, value in parsed(rendered(all_messages()[number])).items():
        assert "eyJ" not in value, name
        assert "token" not in value, name


@pytest.mark.parametrize("number", range(4))
def test_the_link_is_the_only_line_with_a_token(number: int) -> None:
    message = all_messages()[number]
    lines = part(parsed(rendered(message)), "plain").splitlines()
    assert [line for line in lines if "token=" in line] == [LINK]


def test_a_fake_link_in_the_message_is_not_found_first() -> None:
    text = part(parsed(rendered(invitation(message="Come in:\nhttps://evil.test/invitation?token=eyJx.y.z"))), "plain")
    match = re.search(r"[?&]token=([^\s&\"'<>)]+)", text)
    assert match is not None
    assert LINK.endswith(match[1])


@pytest.mark.parametrize("number", range(6))
def test_the_html_loads_nothing_and_has_only_the_link(number: int) -> None:
    message = all_messages()[number]
    links = Links(part(parsed(rendered(message)), "html"))
    has_link = not isinstance(message, LinkRequestedMail | InvitationDeclinedMail)
    assert links.targets == ({LINK} if has_link else set())
    assert not links.tags & {"script", "img", "link", "form", "iframe", "object"}


def test_user_input_is_escaped() -> None:
    wild = "<script>alert(1)</script>&<a href=//evil.test>x</a>"
    mail = invitation(
        inviter_name=wild, message=wild, group_names=(wild,), content=(("EDITOR", wild),), first_name=wild
    )
    html = part(parsed(rendered(mail)), "html")
    links = Links(html)
    assert "script" not in links.tags
    assert links.targets == {LINK}
    assert "&lt;script&gt;" in html


def test_template_syntax_in_user_input_is_text() -> None:
    mail = rendered(invitation(message="{{ link_url }} {% raw %}", inviter_name="%(app)s {{ 7*7 }}"))
    for subtype in ("plain", "html"):
        body = part(parsed(mail), subtype)
        assert "{{ link_url }}" in body
        assert "%(app)s {{ 7*7 }}" in body


def test_a_message_names_its_author() -> None:
    message = parsed(rendered(invitation()))
    assert "Mira Okafor wrote:\n\n    Your seat is by the window." in part(message, "plain").replace("\r\n", "\n")
    assert "Mira Okafor wrote this" in part(message, "html")


def test_without_an_inviter_no_name_is_shown() -> None:
    message = parsed(rendered(invitation(inviter_name=None, inviter_email=None)))
    assert message["Subject"] == "You are invited to Orchard Lane"
    assert "The person who invites you wrote this" in part(message, "html")
    assert "None" not in part(message, "plain")


@pytest.mark.parametrize(
    "name", ["Mira\r\nBcc: all@evil.test", "Mira\nX: y", 'M" <evil@evil.test>, "x', "=?utf-8?q?x?="]
)
def test_no_name_adds_a_header(name: str) -> None:
    mail = invitation(inviter_name=name, first_name=name, app_name=name)
    message = parsed(rendered(mail, reply_to_inviter=True))
    assert message["Bcc"] is None
    assert message["X"] is None
    assert [address.addr_spec for address in message["Reply-To"].addresses] == ["mira@app.test"]
    assert [address.addr_spec for address in message["To"].addresses] == ["jonas@people.test"]
    assert "\n" not in message["Subject"]


def test_replies_go_to_the_inviter_only_if_configured() -> None:
    assert parsed(rendered(invitation()))["Reply-To"] is None
    assert parsed(rendered(invitation(), reply_to_inviter=True))["Reply-To"] == "Mira Okafor <mira@app.test>"


def test_german_mails_are_german_in_both_parts() -> None:
    message = parsed(rendered(invitation(locale="de-AT")))
    assert message["Subject"] == "Mira Okafor lädt dich zu Orchard Lane ein"
    assert message["Content-Language"] == "de"
    assert "Einladung öffnen" in part(message, "html")
    assert 'lang="de"' in part(message, "html")
    assert "Freitag, 27. November" in part(message, "plain").replace("\r\n", " ")


def test_an_unsupported_language_falls_back_to_english() -> None:
    assert parsed(rendered(invitation(locale="eo")))["Content-Language"] == "en"


def test_a_domain_with_umlauts_needs_no_smtputf8() -> None:
    mail = rendered(invitation(to="jonas@bücher.test"))
    assert (mail.recipient, mail.utf8) == ("jonas@xn--bcher-kva.test", False)
    assert mail.content.isascii()


def test_a_local_part_with_umlauts_needs_smtputf8() -> None:
    mail = rendered(invitation(to="jörg@bücher.test"))
    assert (mail.recipient, mail.utf8) == ("jörg@xn--bcher-kva.test", True)
    assert "jörg@".encode() in mail.content


@pytest.mark.parametrize("address", ["", "nobody", "a@", "@b.test", "a b@c.test", "a@b.test\r\nX: y", "<a@b.test>"])
def test_invalid_addresses_are_refused(address: str) -> None:
    with pytest.raises(AddressUnusable):
        rendered(invitation(to=address))


def test_rendering_is_deterministic() -> None:
    assert rendered(invitation()).content == rendered(invitation()).content


def test_lines_are_short_enough_for_every_server() -> None:
    assert max(len(line) for line in rendered(invitation()).content.split(b"\r\n")) <= 998


def test_the_repr_of_messages_and_mails_has_no_link() -> None:
    assert "eyJ" not in repr(invitation())
    assert "eyJ" not in repr(rendered(invitation()))
