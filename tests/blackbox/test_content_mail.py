"""Mails about content: whose words are whose, where the link leads, and what nobody is mailed."""

import re
from urllib.parse import quote, urlsplit

import pytest
from tests.support.content_calls import OPTIONS, ROLES, accept, article, ask, asked, levels, put_access
from tests.support.installation import Installation, Person, new_address
from tests.support.installations import StartInstallation
from tests.support.smtp_server import Taken


def sent(installation: Installation, title: str, role: str = "VIEWER", **more: object) -> tuple[Taken, Person, str]:
    """The mail of an invitation to an article of this title, who sent it, and the article's key."""
    owner, guest = installation.user(firstName="Mira", lastName="Okafor"), new_address()
    key = article(installation, owner, title=title)
    assert ask(installation, key, owner, guest, role, **more).status == 200
    return installation.mail(guest), owner, key


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_a_mail_says_who_invites_to_what(content_installation: Installation) -> None:
    mail, _, _ = sent(content_installation, "Minutes of March", message="Have a look, please")
    for part in (mail.text, mail.html):
        for words in ("Mira Okafor", "Minutes of March", "Orchard Lane", "Have a look, please"):
            assert words in flat(part), words
    assert "Orchard Lane" in mail.message["From"]


@pytest.mark.parametrize(("role", "word"), [("VIEWER", "view"), ("EDITOR", "edit"), ("MAINTAINER", "maint|manage")])
def test_a_role_is_told_in_words(content_installation: Installation, role: str, word: str) -> None:
    mail, _, _ = sent(content_installation, "Plan", role)
    for part in (mail.text, mail.html):
        assert re.search(word, part, re.IGNORECASE), part
        assert role not in part


def test_the_link_leads_to_the_objects_own_page(content_installation: Installation) -> None:
    mail, _, key = sent(content_installation, "Plan")
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
def test_a_title_is_text_in_a_mail(content_installation: Installation, title: str) -> None:
    mail, _, _ = sent(content_installation, title)
    for raw in ("<script>alert", "<img src=x", 'href="https://evil.test', "</title></head><body>"):
        assert raw not in mail.html
    assert title in flat(mail.text).replace("\u200b", "")  # between the letters of an address: no mail program links it
    assert not re.search(r"href=[\"']?https?://evil", mail.html)
    assert "49" not in flat(mail.text).replace(mail.token, "") or "7*7" in mail.text
    if title.startswith("&"):
        assert "&amp;lt;b&amp;gt; &amp; {{ 7*7 }}" in flat(mail.html)


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
def test_a_title_is_no_link_and_never_the_first_token(content_installation: Installation, title: str) -> None:
    mail, owner, key = sent(content_installation, title, message="also https://evil.test/?token=ey.more")
    hrefs = re.findall(r"href\s*=\s*[\"']?([^\"'\s>]+)", mail.html)
    assert hrefs
    assert not [href for href in hrefs if "evil" in urlsplit(href).netloc or href.startswith("javascript:")]
    assert not re.search(r"https?://evil|www\.evil", mail.text + mail.html)
    own = [line.strip() for line in mail.text.splitlines() if line.strip().startswith("http")]
    assert all(urlsplit(line).netloc != "evil.test" for line in own)
    assert "evil" not in mail.token
    stranger = accept(content_installation, mail.token)
    assert stranger.json["code"] == "user-not-found", stranger  # the link is the right one
    assert levels(content_installation, key, owner) == ["OWNER"]


def test_a_title_stays_within_its_header(content_installation: Installation) -> None:
    mail, _, _ = sent(content_installation, "Hi, Bcc: evil@evil.test; =?utf-8?q?x?= " + "ü" * 100)
    assert mail.message["Bcc"] is None
    assert len(mail.recipients) == 1
    assert "\n" not in str(mail.message["Subject"])
    assert all(len(line) <= 998 for line in mail.content.split(b"\r\n"))


def test_a_mail_is_in_the_language_of_the_invitation(content_installation: Installation) -> None:
    english, _, _ = sent(content_installation, "Plan", "EDITOR")
    german, _, _ = sent(content_installation, "Plan", "EDITOR", locale="de")
    assert german.message["Content-Language"] == "de"
    assert str(german.message["Subject"]) != str(english.message["Subject"])
    assert not re.search(r"\b(invites|edit)\b", german.text)


def test_a_bundle_names_every_object(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), new_address()
    titles = ["First of all", "Second of all"]
    content = [
        {"contentType": "articles", "key": article(content_installation, owner, title=title), "role": role}
        for title, role in zip(titles, ("VIEWER", "EDITOR"), strict=True)
    ]
    body = {"inviteEmail": guest, "role": "customer", "content": content}
    assert content_installation.post("/invitations", body, content_installation.key).status == 201
    mail = content_installation.mail(guest)
    assert all(title in flat(mail.text) and title in flat(mail.html) for title in titles)


def test_a_title_is_the_present_one_when_the_mail_is_made(content_installation: Installation) -> None:
    owner, guest = content_installation.user("host"), content_installation.user()
    key = article(content_installation, owner, title="Draft")
    made, _ = asked(content_installation, key, owner, guest.email)
    content_installation.patch(f"/content/articles/{key}", {"title": "Final"}, owner.token)
    again = content_installation.post(f"/invitations/{made}/resend", token=owner.token).json
    assert "Final" in content_installation.mail_of(again).text


def test_nothing_is_mailed_for_what_was_closed_while_it_waited(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), new_address()
    key = article(content_installation, owner)
    content_installation.smtp.script(guest, "rcpt", "450 4.2.1 busy")
    answer = ask(content_installation, key, owner, guest)
    made = answer.json["invitations"][0]["id"]
    content_installation.delivery(made, "DEFERRED")
    put_access(content_installation, key, owner, "PRIVATE")
    told = content_installation.delivery(made, "SUPPRESSED", "SENT")
    assert (told["state"], told["reason"], content_installation.smtp.to(guest)) == ("SUPPRESSED", "ENDED", [])


TEMPLATE = "https://app.orchard.example/{contentType}/read/{contentKey}/in"


@pytest.mark.parametrize(("rest", "joint"), [("", "?"), ("?from=mail&type={contentType}", "&")])
def test_the_accept_url_is_the_apps_own(start_installation: StartInstallation, rest: str, joint: str) -> None:
    extra = f'{ROLES}\n[content.invitations]\naccept-url = "{TEMPLATE}{rest}"\nlifetime = "P3D"\n'
    installation = start_installation(**OPTIONS | {"extra": extra})
    owner, guest = installation.user(), new_address()
    key = article(installation, owner, key="A.b_c~d-1", title="A title/with?signs&#")
    assert ask(installation, key, owner, guest).status == 200
    mail = installation.mail(guest)
    filled = (TEMPLATE + rest).format(contentType="articles", contentKey=quote(key, safe=""))
    assert f"{filled}{joint}token={mail.token}" in [line.strip() for line in mail.text.splitlines()]
    assert "https://app.orchard.example/articles/read/" in mail.html
    assert accept(installation, mail.token).json["code"] == "user-not-found"
    several = {
        "inviteEmail": guest,
        "role": "customer",
        "content": [{"contentType": "articles", "key": key, "role": "EDITOR"}],
    }
    made = installation.post("/invitations", several, installation.key)
    assert f"{installation.public_url}/invitation?token=" in installation.mail_of(made.json).text
