"""Mails of invitations to content: texts of users, the link, and what is not mailed."""

import re
from urllib.parse import quote, urlsplit

import pytest
from tests.support.content_calls import (
    CONTENT_OPTIONS,
    ROLES,
    accept,
    check_levels,
    create_invitation,
    create_object,
    post_invitation,
    put_access,
)
from tests.support.installation import Installation, SignedInUser, new_address
from tests.support.installations import StartInstallation
from tests.support.smtp_server import ReceivedMail


def send_invitation(
    installation: Installation, title: str, role: str = "VIEWER", **fields: object
) -> tuple[ReceivedMail, SignedInUser, str]:
    """Invite to a new article with this title; return the mail, the sender and the key."""
    owner, guest = installation.user(firstName="Mira", lastName="Okafor"), new_address()
    key = create_object(installation, owner, title=title)
    assert post_invitation(installation, key, owner, guest, role, **fields).status == 200
    return installation.mail(guest), owner, key


def collapse_spaces(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_a_mail_names_the_inviter_and_the_object(content_installation: Installation) -> None:
    mail, _, _ = send_invitation(content_installation, "Minutes of March", message="Have a look, please")
    for part in (mail.text, mail.html):
        for words in ("Mira Okafor", "Minutes of March", "Orchard Lane", "Have a look, please"):
            assert words in collapse_spaces(part), words
    assert "Orchard Lane" in mail.message["From"]


@pytest.mark.parametrize(("role", "word"), [("VIEWER", "view"), ("EDITOR", "edit"), ("MAINTAINER", "maint|manage")])
def test_a_mail_describes_the_role_in_words(content_installation: Installation, role: str, word: str) -> None:
    mail, _, _ = send_invitation(content_installation, "Plan", role)
    for part in (mail.text, mail.html):
        assert re.search(word, part, re.IGNORECASE), part
        assert role not in part


def test_the_link_points_to_the_page_of_the_object(content_installation: Installation) -> None:
    mail, _, key = send_invitation(content_installation, "Plan")
    lines = [line.strip() for line in mail.text.splitlines()]
    link = f"{content_installation.public_url}/content/articles/{key}/accept-invitation?token={mail.token}"
    assert link in lines
    assert mail.token.startswith("ey")
    assert mail.text.index("token=") == mail.text.index(link) + link.index("token=")


@pytest.mark.parametrize(
    "title",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        '"><a href="https://evil.test/">click</a>',
        "</title></head><body>",
        "&lt;b&gt; & {{ 7*7 }} {% raw %} ${x} %(name)s {0}",
    ],
)
def test_a_title_is_escaped_in_a_mail(content_installation: Installation, title: str) -> None:
    mail, _, _ = send_invitation(content_installation, title)
    for raw in ("<script>alert", "<img src=x", 'href="https://evil.test', "</title></head><body>"):
        assert raw not in mail.html
    assert title in collapse_spaces(mail.text).replace(
        "\u200b", ""
    )  # zero-width spaces keep mail programs from linking addresses
    assert not re.search(r"href=[\"']?https?://evil", mail.html)
    assert "49" not in collapse_spaces(mail.text).replace(mail.token, "") or "7*7" in mail.text
    if title.startswith("&"):
        assert "&amp;lt;b&amp;gt; &amp; {{ 7*7 }}" in collapse_spaces(mail.html)


@pytest.mark.parametrize(
    "title",
    [
        "https://evil.test/?token=ey.evil.token",
        "Your account was locked: http://evil.test/unlock",
        "www.evil.test",
        "javascript:alert(1)",
        "pay at evil.test/now",
    ],
)
def test_a_title_cannot_add_a_link_or_a_token(content_installation: Installation, title: str) -> None:
    mail, owner, key = send_invitation(content_installation, title, message="also https://evil.test/?token=ey.more")
    hrefs = re.findall(r"href\s*=\s*[\"']?([^\"'\s>]+)", mail.html)
    assert hrefs
    assert not [href for href in hrefs if "evil" in urlsplit(href).netloc or href.startswith("javascript:")]
    assert not re.search(r"https?://evil|www\.evil", mail.text + mail.html)
    urls = [line.strip() for line in mail.text.splitlines() if line.strip().startswith("http")]
    assert all(urlsplit(line).netloc != "evil.test" for line in urls)
    assert "evil" not in mail.token
    answer = accept(content_installation, mail.token)
    assert answer.json["code"] == "user-not-found", answer  # the token is the one of this invitation
    assert check_levels(content_installation, key, owner) == ["OWNER"]


def test_a_title_cannot_add_headers(content_installation: Installation) -> None:
    mail, _, _ = send_invitation(content_installation, "Hi, Bcc: evil@evil.test; =?utf-8?q?x?= " + "ü" * 100)
    assert mail.message["Bcc"] is None
    assert len(mail.recipients) == 1
    assert "\n" not in str(mail.message["Subject"])
    assert all(len(line) <= 998 for line in mail.content.split(b"\r\n"))


def test_a_mail_is_in_the_language_of_the_invitation(content_installation: Installation) -> None:
    english, _, _ = send_invitation(content_installation, "Plan", "EDITOR")
    german, _, _ = send_invitation(content_installation, "Plan", "EDITOR", locale="de")
    assert german.message["Content-Language"] == "de"
    assert str(german.message["Subject"]) != str(english.message["Subject"])
    assert not re.search(r"\b(invites|edit)\b", german.text)


def test_a_mail_names_every_object(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), new_address()
    titles = ["First of all", "Second of all"]
    content = [
        {"contentType": "articles", "key": create_object(content_installation, owner, title=title), "role": role}
        for title, role in zip(titles, ("VIEWER", "EDITOR"), strict=True)
    ]
    body = {"inviteEmail": guest, "role": "customer", "content": content}
    assert content_installation.post("/invitations", body, content_installation.key).status == 201
    mail = content_installation.mail(guest)
    assert all(title in collapse_spaces(mail.text) and title in collapse_spaces(mail.html) for title in titles)


def test_a_resent_mail_has_the_present_title(content_installation: Installation) -> None:
    owner, guest = content_installation.user("host"), content_installation.user()
    key = create_object(content_installation, owner, title="Draft")
    invitation_id, _ = create_invitation(content_installation, key, owner, guest.email)
    content_installation.patch(f"/content/articles/{key}", {"title": "Final"}, owner.token)
    resent = content_installation.post(f"/invitations/{invitation_id}/resend", token=owner.token).json
    assert "Final" in content_installation.mail_of(resent).text


def test_a_deferred_mail_is_not_sent_after_access_becomes_private(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), new_address()
    key = create_object(content_installation, owner)
    content_installation.smtp.script(guest, "rcpt", "450 4.2.1 busy")
    answer = post_invitation(content_installation, key, owner, guest)
    invitation_id = answer.json["invitations"][0]["id"]
    content_installation.delivery(invitation_id, "DEFERRED")
    put_access(content_installation, key, owner, "PRIVATE")
    delivery = content_installation.delivery(invitation_id, "SUPPRESSED", "SENT")
    assert (delivery["state"], delivery["reason"], content_installation.smtp.to(guest)) == ("SUPPRESSED", "ENDED", [])


TEMPLATE = "https://app.orchard.example/{contentType}/read/{contentKey}/in"


@pytest.mark.parametrize(("suffix", "separator"), [("", "?"), ("?from=mail&type={contentType}", "&")])
def test_a_configured_accept_url_is_used(start_installation: StartInstallation, suffix: str, separator: str) -> None:
    extra = f'{ROLES}\n[content.invitations]\naccept-url = "{TEMPLATE}{suffix}"\nlifetime = "P3D"\n'
    installation = start_installation(**CONTENT_OPTIONS | {"extra": extra})
    owner, guest = installation.user(), new_address()
    key = create_object(installation, owner, key="A.b_c~d-1", title="A title/with?signs&#")
    assert post_invitation(installation, key, owner, guest).status == 200
    mail = installation.mail(guest)
    filled = (TEMPLATE + suffix).format(contentType="articles", contentKey=quote(key, safe=""))
    assert f"{filled}{separator}token={mail.token}" in [line.strip() for line in mail.text.splitlines()]
    assert "https://app.orchard.example/articles/read/" in mail.html
    assert accept(installation, mail.token).json["code"] == "user-not-found"
    several = {
        "inviteEmail": guest,
        "role": "customer",
        "content": [{"contentType": "articles", "key": key, "role": "EDITOR"}],
    }
    answer = installation.post("/invitations", several, installation.key)
    assert f"{installation.public_url}/invitation?token=" in installation.mail_of(answer.json).text
