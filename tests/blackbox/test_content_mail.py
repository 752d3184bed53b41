"""Mails about content: whose words are whose, where the link leads, and what nobody is mailed."""

import re
from urllib.parse import quote, urlsplit

import pytest
from tests.blackbox.conftest import Starter
from tests.support.content_calls import OPTIONS, ROLES, accept, article, ask, asked, levels, put_access
from tests.support.installation import House, Person, new_address
from tests.support.smtp_server import Taken


def sent(house: House, title: str, role: str = "VIEWER", **more: object) -> tuple[Taken, Person, str]:
    """The mail of an invitation to an article of this title, who sent it, and the article's key."""
    owner, guest = house.user(firstName="Mira", lastName="Okafor"), new_address()
    key = article(house, owner, title=title)
    assert ask(house, key, owner, guest, role, **more).status == 200
    return house.mail(guest), owner, key


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_a_mail_says_who_invites_to_what(library: House) -> None:
    mail, _, _ = sent(library, "Minutes of March", message="Have a look, please")
    for part in (mail.text, mail.html):
        for words in ("Mira Okafor", "Minutes of March", "Orchard Lane", "Have a look, please"):
            assert words in flat(part), words
    assert "Orchard Lane" in mail.message["From"]


@pytest.mark.parametrize(("role", "word"), [("VIEWER", "view"), ("EDITOR", "edit"), ("MAINTAINER", "maint|manage")])
def test_a_role_is_told_in_words(library: House, role: str, word: str) -> None:
    mail, _, _ = sent(library, "Plan", role)
    for part in (mail.text, mail.html):
        assert re.search(word, part, re.IGNORECASE), part
        assert role not in part


def test_the_link_leads_to_the_objects_own_page(library: House) -> None:
    mail, _, key = sent(library, "Plan")
    lines = [line.strip() for line in mail.text.splitlines()]
    link = f"{library.public_url}/content/articles/{key}/accept-invitation?token={mail.token}"
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
def test_a_title_is_text_in_a_mail(library: House, title: str) -> None:
    mail, _, _ = sent(library, title)
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
def test_a_title_is_no_link_and_never_the_first_token(library: House, title: str) -> None:
    mail, owner, key = sent(library, title, message="also https://evil.test/?token=ey.more")
    hrefs = re.findall(r"href\s*=\s*[\"']?([^\"'\s>]+)", mail.html)
    assert hrefs
    assert not [href for href in hrefs if "evil" in urlsplit(href).netloc or href.startswith("javascript:")]
    assert not re.search(r"https?://evil|www\.evil", mail.text + mail.html)
    own = [line.strip() for line in mail.text.splitlines() if line.strip().startswith("http")]
    assert all(urlsplit(line).netloc != "evil.test" for line in own)
    assert "evil" not in mail.token
    stranger = accept(library, mail.token)
    assert stranger.json["code"] == "user-not-found", stranger  # the link is the right one
    assert levels(library, key, owner) == ["OWNER"]


def test_a_title_stays_within_its_header(library: House) -> None:
    mail, _, _ = sent(library, "Hi, Bcc: evil@evil.test; =?utf-8?q?x?= " + "ü" * 100)
    assert mail.message["Bcc"] is None
    assert len(mail.recipients) == 1
    assert "\n" not in str(mail.message["Subject"])
    assert all(len(line) <= 998 for line in mail.content.split(b"\r\n"))


def test_a_mail_is_in_the_language_of_the_invitation(library: House) -> None:
    english, _, _ = sent(library, "Plan", "EDITOR")
    german, _, _ = sent(library, "Plan", "EDITOR", locale="de")
    assert german.message["Content-Language"] == "de"
    assert str(german.message["Subject"]) != str(english.message["Subject"])
    assert not re.search(r"\b(invites|edit)\b", german.text)


def test_a_bundle_names_every_object(library: House) -> None:
    owner, guest = library.user(), new_address()
    titles = ["First of all", "Second of all"]
    content = [
        {"contentType": "articles", "key": article(library, owner, title=title), "role": role}
        for title, role in zip(titles, ("VIEWER", "EDITOR"), strict=True)
    ]
    body = {"inviteEmail": guest, "role": "customer", "content": content}
    assert library.post("/invitations", body, library.key).status == 201
    mail = library.mail(guest)
    assert all(title in flat(mail.text) and title in flat(mail.html) for title in titles)


def test_a_title_is_the_present_one_when_the_mail_is_made(library: House) -> None:
    owner, guest = library.user("host"), library.user()
    key = article(library, owner, title="Draft")
    made, _ = asked(library, key, owner, guest.email)
    library.patch(f"/content/articles/{key}", {"title": "Final"}, owner.token)
    again = library.post(f"/invitations/{made}/resend", token=owner.token).json
    assert "Final" in library.mail_of(again).text


def test_nothing_is_mailed_for_what_was_closed_while_it_waited(library: House) -> None:
    owner, guest = library.user(), new_address()
    key = article(library, owner)
    library.smtp.script(guest, "rcpt", "450 4.2.1 busy")
    answer = ask(library, key, owner, guest)
    made = answer.json["invitations"][0]["id"]
    library.delivery(made, "DEFERRED")
    put_access(library, key, owner, "PRIVATE")
    told = library.delivery(made, "SUPPRESSED", "SENT")
    assert (told["state"], told["reason"], library.smtp.to(guest)) == ("SUPPRESSED", "ENDED", [])


TEMPLATE = "https://app.orchard.example/{contentType}/read/{contentKey}/in"


@pytest.mark.parametrize(("rest", "joint"), [("", "?"), ("?from=mail&type={contentType}", "&")])
def test_the_accept_url_is_the_apps_own(open_house: Starter, rest: str, joint: str) -> None:
    extra = f'{ROLES}\n[content.invitations]\naccept-url = "{TEMPLATE}{rest}"\nlifetime = "P3D"\n'
    house = open_house(**OPTIONS | {"extra": extra})
    owner, guest = house.user(), new_address()
    key = article(house, owner, key="A.b_c~d-1", title="A title/with?signs&#")
    assert ask(house, key, owner, guest).status == 200
    mail = house.mail(guest)
    filled = (TEMPLATE + rest).format(contentType="articles", contentKey=quote(key, safe=""))
    assert f"{filled}{joint}token={mail.token}" in [line.strip() for line in mail.text.splitlines()]
    assert "https://app.orchard.example/articles/read/" in mail.html
    assert accept(house, mail.token).json["code"] == "user-not-found"
    several = {
        "inviteEmail": guest,
        "role": "customer",
        "content": [{"contentType": "articles", "key": key, "role": "EDITOR"}],
    }
    made = house.post("/invitations", several, house.key)
    assert f"{house.public_url}/invitation?token=" in house.mail_of(made.json).text
