"""The page of an invitation to one object: what it shows, whom it lets in, and where it leads on."""

import re

import pytest
from tests.support.page_client import PASSWORD, Door, Seen

from latchstring.content.service import NewAccess
from latchstring.domain.access import ContentObject, Level, Visibility
from latchstring.domain.grant import ContentRole
from latchstring.domain.invitation import Channel
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal

PROFILE = {"firstName": "Jonas", "lastName": "Keller", "password": PASSWORD, "acceptTerms": "yes"}
CLOSED = [("[content]\n", "[content]\ninvitations = { allow-unregistered-users = false }\n")]


async def accept(door: Door, token: str, **fields: str) -> Seen:
    return await door.post("/invitation/accept", {"token": token, **fields})


async def level_of(door: Door, email: str, one: ContentObject) -> Level:
    user = await door.account(email)
    assert user is not None
    content = door.services.content
    subject = content.subject_of(door.services.users.principal_of(user))
    return (await content.look_up(subject, one.type, one.key, Level.VIEWER)).level


async def hold(door: Door, one: ContentObject, email: str, role: ContentRole, by: Principal) -> None:
    """Give somebody a right by hand."""
    user = await door.account(email)
    assert user is not None
    await door.services.content.replace_access(by, one, NewAccess(visibility=Visibility.SHARED, users={user.id: role}))


# ---- what it shows -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "words"),
    [
        ("VIEWER", "You may view Tide tables"),
        ("EDITOR", "You may edit Tide tables"),
        ("MAINTAINER", "You may maintain Tide tables"),
    ],
)
async def test_a_stranger_sees_who_shares_what_with_which_right(door: Door, right: str, words: str) -> None:
    mira = await door.inviter()
    one = await door.object(owner=mira)
    invitation = await door.share(one, by=mira, right=right, message="Mind the moon.")
    assert door.link(invitation).startswith("/content/articles/tide-tables/accept-invitation?token=")
    seen = await door.get(door.link(invitation))
    assert (seen.status, seen.code) == (200, None)
    assert "Mira Okafor shares Tide tables with you" in seen.words
    for expected in (words, "Articles", "Mind the moon.", "jonas@people.test", "Create account and come in"):
        assert expected in seen.words
    assert "tide-tables" not in seen.words


async def test_the_page_speaks_german(door: Door) -> None:
    mira = await door.inviter()
    invitation = await door.share(await door.object(owner=mira), by=mira)
    seen = await door.get(f"{door.link(invitation)}&locale=de")
    assert "Mira Okafor teilt Tide tables mit dir" in seen.words
    assert "Du darfst Tide tables bearbeiten" in seen.words
    english = re.search(r'href="([^"]+)" lang="en"', seen.html)
    assert english
    assert english[1].startswith("/content/articles/tide-tables/accept-invitation?token=")


async def test_nobody_in_person_shares_when_an_operator_did(door: Door) -> None:
    one = await door.object(owner=await door.inviter())
    seen = await door.get(door.link(await door.share(one, by=OPERATOR_PRINCIPAL)))
    assert "Tide tables is shared with you" in seen.words


async def test_a_title_is_escaped_and_isolated(door: Door) -> None:
    mira = await door.inviter()
    one = await door.object('<i>"Tides" & الجداول', owner=mira, key="tides")
    seen = await door.get(door.link(await door.share(one, by=mira)))
    assert "<bdi>&lt;i&gt;&#34;Tides&#34; &amp; الجداول</bdi>" in seen.html
    assert "<i>" not in seen.html


async def test_the_title_is_the_one_of_today(door: Door) -> None:
    mira = await door.inviter()
    one = await door.object(owner=mira)
    invitation = await door.share(one, by=mira)
    await door.services.content.change_object(mira, one, {"title": "Moon tables"}, is_expected=lambda _: True)
    seen = await door.get(door.link(invitation))
    assert "You may edit Moon tables" in seen.words
    assert "Tide tables" not in seen.words


async def test_a_bundle_lists_everything_it_holds(door: Door) -> None:
    mira = await door.inviter()
    await door.group()
    tides, moons = await door.object(owner=mira), await door.object("Moons", owner=mira, type_="tables")
    invitation = await door.share(tides, moons, by=mira, role="customer", groups=("spring",))
    assert door.link(invitation).startswith("/invitation?token=")
    token = door.token(invitation)
    pages = [f"/content/{path}/accept-invitation" for path in ("articles/tide-tables", "tables/moons")]
    for page in ["/invitation", *pages]:
        seen = await door.get(f"{page}?token={token}")
        assert seen.status == 200
        assert "Mira Okafor invites you to Orchard Lane" in seen.words
        for words in ("You join as Customer", "Spring cohort", "edit Tide tables Articles", "edit Moons Tables"):
            assert words in seen.words


async def test_what_is_void_is_not_offered_any_more(door: Door) -> None:
    mira = await door.inviter()
    tides, moons = await door.object(owner=mira), await door.object("Moons", owner=mira)
    token = door.token(await door.share(tides, moons, by=mira))
    await door.services.content.delete_object(mira, moons, is_expected=lambda _: True)
    seen = await door.get(f"/content/articles/moons/accept-invitation?token={token}")
    assert seen.status == 200
    assert "You may edit Tide tables" in seen.words
    assert "Moons" not in seen.words
    sent = await accept(door, token, **PROFILE)
    assert sent.target == "/invitation/arrived?how=joined&to=articles%2Ftide-tables"


@pytest.mark.parametrize(
    ("held", "right", "words"),
    [
        (ContentRole.VIEWER, "EDITOR", "You could view it before"),
        (ContentRole.EDITOR, "MAINTAINER", "You could edit it before"),
        (ContentRole.VIEWER, "VIEWER", "You may view it already"),
        (ContentRole.EDITOR, "VIEWER", "You may edit it already"),
        (ContentRole.MAINTAINER, "EDITOR", "You may maintain it already"),
    ],
)
async def test_somebody_signed_in_sees_what_is_new_in_it(door: Door, held: ContentRole, right: str, words: str) -> None:
    mira, _ = await door.inviter(), await door.user()
    one = await door.object(owner=mira)
    # beside another object, for nobody is invited to what he holds already
    other = await door.object("Moons", owner=mira)
    invitation = await door.share(one, other, by=mira, email="ada@people.test", right=right)
    await hold(door, one, "ada@people.test", held, mira)
    seen = await door.get(door.link(invitation))
    assert words not in seen.words  # not for whoever merely holds the link
    await door.sign_in()
    seen = await door.get(door.link(invitation))
    assert "Mira Okafor has something for you, Ada" in seen.words
    assert words in seen.words
    await accept(door, door.token(invitation))
    assert await level_of(door, "ada@people.test", one) == max(Level(held), Level[right])


# ---- an honest page ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["articles/other", "tables/tide-tables", "tables/other"])
async def test_a_link_under_the_address_of_something_else_says_so(door: Door, path: str) -> None:
    mira = await door.inviter()
    invitation = await door.share(await door.object(owner=mira), by=mira)
    seen = await door.get(f"/content/{path}/accept-invitation?token={door.token(invitation)}")
    assert (seen.status, seen.code) == (400, "invitation-mismatch")
    assert "This link leads to something else" in seen.words
    assert door.link(invitation) in seen.html
    assert await door.state(invitation) == "PENDING"


async def test_an_invitation_without_any_object_does_not_fit_the_address_of_one(door: Door) -> None:
    await door.object(owner=await door.inviter())
    token = door.token(await door.invite())
    seen = await door.get(f"/content/articles/tide-tables/accept-invitation?token={token}")
    assert (seen.status, seen.code) == (400, "invitation-mismatch")
    assert f'href="/invitation?token={token}"' in seen.html


async def test_a_singular_is_an_alias_and_an_unknown_type_is_nothing(door: Door) -> None:
    mira = await door.inviter()
    token = door.token(await door.share(await door.object(owner=mira), by=mira))
    assert (await door.get(f"/content/article/tide-tables/accept-invitation?token={token}")).status == 200
    seen = await door.get(f"/content/boats/tide-tables/accept-invitation?token={token}")
    assert (seen.status, seen.code) == (404, "content-not-found")
    assert "There is nothing at this address" in seen.words


@pytest.mark.parametrize("token", ["", "eyJhbGciOiJIUzI1NiJ9.e30.x", "%00"])
async def test_a_link_that_is_not_ours_is_told_apart_from_nothing(door: Door, token: str) -> None:
    seen = await door.get(f"/content/articles/tide-tables/accept-invitation?token={token}")
    assert (seen.status, seen.code) == (401, "invitation-token-invalid")


async def test_over_is_told_before_mismatch_and_with_the_title(door: Door) -> None:
    mira = await door.inviter()
    token = door.token(await door.share(await door.object(owner=mira), by=mira))
    door.wait(days=7)
    for path in ("articles/tide-tables", "articles/other"):
        seen = await door.get(f"/content/{path}/accept-invitation?token={token}")
        assert (seen.status, seen.code) == (410, "invitation-expired")
        assert "What it was for" in seen.words
        assert "Mira Okafor invited you to Orchard Lane" in seen.words
        assert "Tide tables Articles" in seen.words


@pytest.mark.parametrize("how", ["deleted", "private", "revoked"])
async def test_what_was_withdrawn_is_not_named_any_more(door: Door, how: str) -> None:
    mira = await door.inviter()
    one = await door.object(owner=mira)
    invitation = await door.share(one, by=mira)
    if how == "deleted":
        await door.services.content.delete_object(mira, one, is_expected=lambda _: True)
    elif how == "private":
        await door.services.content.replace_access(mira, one, NewAccess(visibility=Visibility.PRIVATE))
    else:
        await door.services.invitations.issuing.revoke(invitation.id, by=OPERATOR_PRINCIPAL)
    seen = await door.get(door.link(invitation))
    assert (seen.status, seen.code) == (410, "invitation-revoked")
    assert "Mira Okafor invited you to Orchard Lane" in seen.words
    assert "Tide tables" not in seen.words


async def test_a_used_link_does_not_name_the_object_any_more(door: Door) -> None:
    mira = await door.inviter()
    invitation = await door.share(await door.object(owner=mira), by=mira)
    await accept(door, door.token(invitation), **PROFILE)
    door.browser.cookies.clear()
    seen = await door.get(door.link(invitation))
    assert seen.code == "invitation-accepted"
    assert "Tide tables" not in seen.words


async def test_a_sponsor_who_lost_the_object_is_told_of(door: Door) -> None:
    mira = await door.inviter()
    one = await door.object(owner=mira)
    invitation = await door.share(one, by=mira)
    ada = await door.user()
    await door.services.content.change_owner(mira, one, ada.id)
    await door.services.content.replace_access(
        door.services.users.principal_of(ada), one, NewAccess(visibility=Visibility.PUBLIC)
    )
    sent = await accept(door, door.token(invitation), **PROFILE)
    assert (sent.status, sent.code) == (409, "inviter-not-allowed")
    assert "This invitation cannot be used right now" in sent.words
    assert "Tide tables" in sent.words


# ---- only people with an account ---------------------------------------------------------------------------------


@pytest.mark.parametrize("door", CLOSED, indirect=True)
@pytest.mark.parametrize("channel", list(Channel))
async def test_where_strangers_are_not_let_in_the_page_says_so(door: Door, channel: Channel) -> None:
    mira = await door.inviter()
    invitation = await door.share(await door.object(owner=mira), by=mira)
    token = door.token(invitation, channel)
    for seen in (
        await door.get(door.link(invitation, channel)),
        await accept(door, token, **PROFILE),
        await accept(door, token),
    ):
        assert (seen.status, seen.code) == (404, "user-not-found")
        for words in (
            "Only people with an account can accept this",
            "You may edit Tide tables",
            "Sign in to Orchard Lane",
            "Ask Mira Okafor to invite that one.",
        ):
            assert words in seen.words
        assert 'name="password"' not in seen.html
    assert await door.account("jonas@people.test") is None
    assert await door.state(invitation) == "PENDING"


@pytest.mark.parametrize("door", CLOSED, indirect=True)
async def test_signing_in_comes_back_to_the_invitation(door: Door) -> None:
    mira, _ = await door.inviter(), await door.user("jonas@people.test", email_verified=False)
    invitation = await door.share(await door.object(owner=mira), by=mira)
    seen = await door.get(door.link(invitation))
    assert seen.code == "user-not-found"
    login = re.search(r'href="(/login\?next=[^"]+)"', seen.html)
    assert login
    onward = (await door.get(login[1])).hidden["next"]
    sent = await door.post("/login", {"email": "jonas@people.test", "password": PASSWORD, "next": onward})
    assert sent.target == door.link(invitation)
    seen = await door.get(sent.target)
    assert (seen.status, seen.code) == (404, "user-not-found")
    assert "Confirm your address first" in seen.words
    assert 'href="/verify-email"' in seen.html


@pytest.mark.parametrize("door", CLOSED, indirect=True)
async def test_members_accept_where_strangers_are_not_let_in(door: Door) -> None:
    mira, _ = await door.inviter(), await door.user()
    one = await door.object(owner=mira)
    invitation = await door.share(one, by=mira, email="ada@people.test")
    assert "Sign in and accept" in (await door.get(door.link(invitation))).words
    sent = await accept(door, door.token(invitation), password=PASSWORD)
    assert sent.status == 303
    assert await level_of(door, "ada@people.test", one) is Level.EDITOR


@pytest.mark.parametrize("door", CLOSED, indirect=True)
async def test_a_bundle_with_a_role_lets_strangers_in_all_the_same(door: Door) -> None:
    mira = await door.inviter()
    token = door.token(await door.share(await door.object(owner=mira), by=mira, role="customer"))
    assert (await accept(door, token, **PROFILE)).status == 303


# ---- where it leads on -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["https://app.orchard.example/tides?a=1#moon", "http://door.test/docs"])
async def test_accepting_goes_on_to_the_object_on_a_site_of_the_operators(door: Door, url: str) -> None:
    mira = await door.inviter()
    one = await door.object(owner=mira, url=url)
    sent = await accept(door, door.token(await door.share(one, by=mira)), **PROFILE)
    assert (sent.status, sent.target) == (303, url)
    assert "access_token" in door.browser.cookies


FOREIGN = [
    "https://elsewhere.example/tides",
    "http://app.orchard.example/tides",
    "https://app.orchard.example:8443/",
    "https://app.orchard.example.evil.test/",
    "https://app.orchard.example@evil.test/",
]


@pytest.mark.parametrize("url", FOREIGN)
async def test_an_address_an_editor_chose_is_a_link_and_never_gone_on_to(door: Door, url: str) -> None:
    mira = await door.inviter()
    one = await door.object(owner=mira, url=url)
    sent = await accept(door, door.token(await door.share(one, by=mira)), **PROFILE)
    assert sent.target == "/invitation/arrived?how=joined&to=articles%2Ftide-tables"
    seen = await door.get(sent.target)
    assert "You may edit Tide tables" in seen.words
    assert "Open Tide tables" in seen.words
    assert re.search(r"It opens at \S+ , outside Orchard Lane\.", seen.words)
    assert f'href="{url}" rel="noopener noreferrer"' in seen.html
    german = await door.get(f"{sent.target}&locale=de")
    assert "Du darfst Tide tables bearbeiten" in german.words
    assert "Tide tables öffnen" in german.words


@pytest.mark.parametrize("url", [None, "javascript:alert(1)", "//evil.test/x", "data:text/html,x", "/tides"])
async def test_what_is_no_address_of_the_web_is_no_link(door: Door, url: str | None) -> None:
    mira = await door.inviter()
    one = await door.object(owner=mira, url=url)
    sent = await accept(door, door.token(await door.share(one, by=mira)), **PROFILE)
    assert sent.target.startswith("/invitation/arrived?")
    seen = await door.get(sent.target)
    assert "You may edit Tide tables" in seen.words
    assert "Open Tide tables" not in seen.words
    assert url is None or url not in seen.html


async def test_the_invitations_own_redirect_goes_first(door: Door) -> None:
    mira = await door.inviter()
    one = await door.object(owner=mira, url="https://app.orchard.example/tides")
    invitation = await door.share(one, by=mira, redirect_url="https://app.orchard.example/welcome")
    assert (await accept(door, door.token(invitation), **PROFILE)).target == "https://app.orchard.example/welcome"


async def test_a_bundle_arrives_with_a_link_to_each_object(door: Door) -> None:
    mira = await door.inviter()
    tides = await door.object(owner=mira, url="https://app.orchard.example/tides")
    moons = await door.object("Moons", owner=mira, url="https://elsewhere.example/moons")
    sent = await accept(door, door.token(await door.share(tides, moons, by=mira, role="customer")), **PROFILE)
    assert sent.target == "/invitation/arrived?how=joined&to=articles%2Fmoons%2Carticles%2Ftide-tables"
    seen = await door.get(sent.target)
    for words in ("You are Customer", "You may edit Tide tables", "You may edit Moons", "outside Orchard Lane"):
        assert words in seen.words
    for url in (tides.url, moons.url):
        assert f'href="{url}" rel="noopener noreferrer"' in seen.html


async def test_accepting_without_signing_in_shows_the_object_after_signing_in(door: Door) -> None:
    mira, _ = await door.inviter(), await door.user()
    invitation = await door.share(await door.object(owner=mira), by=mira, email="ada@people.test")
    sent = await accept(door, door.token(invitation), how="unsigned")
    assert sent.target == "/invitation/arrived?how=unsigned&to=articles%2Ftide-tables"
    seen = await door.get(sent.target)
    assert "Tide tables" not in seen.words
    login = re.search(r'href="(/login\?next=[^"]+)"', seen.html)
    assert login
    onward = (await door.get(login[1])).hidden["next"]
    sent = await door.post("/login", {"email": "ada@people.test", "password": PASSWORD, "next": onward})
    assert "You may edit Tide tables" in (await door.get(sent.target)).words


@pytest.mark.parametrize("to", ["articles/tide-tables", "articles", "boats/x,/,,%00/%00", "a" * 3000, "articles/%ff"])
async def test_the_arrived_page_names_nothing_the_visitor_may_not_view(door: Door, to: str) -> None:
    await door.object(owner=await door.inviter())
    await door.user()
    await door.sign_in()
    seen = await door.get(f"/invitation/arrived?how=added&to={to}")
    assert seen.status == 200
    assert "Tide tables" not in seen.words


async def test_a_right_that_is_greater_already_stays_and_is_shown(door: Door) -> None:
    mira, _ = await door.inviter(), await door.user()
    one, other = await door.object(owner=mira), await door.object("Moons", owner=mira)
    invitation = await door.share(one, other, by=mira, email="ada@people.test", right="VIEWER")
    await hold(door, one, "ada@people.test", ContentRole.MAINTAINER, mira)
    await door.sign_in()
    sent = await accept(door, door.token(invitation))
    seen = await door.get(sent.target)
    assert "You may maintain Tide tables" in seen.words
    assert "You may view Moons" in seen.words


# ---- the rest of the way -----------------------------------------------------------------------------------------


async def test_errors_are_shown_at_the_address_of_the_object(door: Door) -> None:
    mira = await door.inviter()
    invitation = await door.share(await door.object(owner=mira), by=mira)
    sent = await accept(door, door.token(invitation), firstName="Jonas")
    assert (sent.status, sent.code) == (422, "invalid-fields")
    assert "Mira Okafor shares Tide tables with you" in sent.words
    assert f'href="{door.link(invitation)}&amp;locale=de" lang="de"' in sent.html


async def test_declining_can_be_thought_over(door: Door) -> None:
    mira = await door.inviter()
    invitation = await door.share(await door.object(owner=mira), by=mira)
    seen = await door.get(f"/invitation/decline?token={door.token(invitation)}")
    assert f'href="{door.link(invitation)}">Keep it' in seen.html


async def test_opening_the_page_changes_nothing(door: Door) -> None:
    mira, _ = await door.inviter(), await door.user()
    invitation = await door.share(await door.object(owner=mira), by=mira, email="ada@people.test")
    await door.sign_in()
    before = await door.dump()
    for method in ("GET", "HEAD"):
        await door.browser.request(method, door.link(invitation))
        await door.browser.request(method, f"/content/articles/x/accept-invitation?token={door.token(invitation)}")
    assert await door.dump() == before
