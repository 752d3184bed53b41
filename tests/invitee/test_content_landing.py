"""The page of an invitation to one object: what it shows, whom it lets in, and where it leads on."""

import re

import pytest
from tests.support.page_client import PASSWORD, PageClient, PageResponse

from latchstring.content.service import NewAccess, subject_of
from latchstring.domain.access import ContentObject, Level, Visibility
from latchstring.domain.grant import ContentRole
from latchstring.domain.invitation import Channel
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal

PROFILE = {"firstName": "Jonas", "lastName": "Keller", "password": PASSWORD, "acceptTerms": "yes"}
CLOSED = [("[content]\n", "[content]\ninvitations = { allow-unregistered-users = false }\n")]


async def accept(page_client: PageClient, token: str, **fields: str) -> PageResponse:
    return await page_client.post("/invitation/accept", {"token": token, **fields})


async def compute_level(page_client: PageClient, email: str, one: ContentObject) -> Level:
    user = await page_client.find_user(email)
    assert user is not None
    content = page_client.services.content
    subject = subject_of(page_client.services.users.principal_of(user))
    return (await content.look_up(subject, one.type, one.key, Level.VIEWER)).level


async def hold(page_client: PageClient, one: ContentObject, email: str, role: ContentRole, by: Principal) -> None:
    """Give somebody a right by hand."""
    user = await page_client.find_user(email)
    assert user is not None
    await page_client.services.content.replace_access(
        one, NewAccess(visibility=Visibility.SHARED, users={user.id: role}), by=by
    )


# ---- what it shows ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "words"),
    [
        ("VIEWER", "You may view Tide tables"),
        ("EDITOR", "You may edit Tide tables"),
        ("MAINTAINER", "You may maintain Tide tables"),
    ],
)
async def test_a_stranger_sees_who_shares_what_with_which_right(
    page_client: PageClient, right: str, words: str
) -> None:
    mira = await page_client.inviter()
    one = await page_client.object(owner=mira)
    invitation = await page_client.share(one, by=mira, right=right, message="Mind the moon.")
    assert page_client.link(invitation).startswith("/content/articles/tide-tables/accept-invitation?token=")
    seen = await page_client.get(page_client.link(invitation))
    assert (seen.status, seen.code) == (200, None)
    assert "Mira Okafor shares Tide tables with you" in seen.words
    for expected in (words, "Articles", "Mind the moon.", "jonas@people.test", "Create account"):
        assert expected in seen.words
    assert "tide-tables" not in seen.words


async def test_the_page_speaks_german(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    invitation = await page_client.share(await page_client.object(owner=mira), by=mira)
    seen = await page_client.get(f"{page_client.link(invitation)}&locale=de")
    assert "Mira Okafor teilt Tide tables mit dir" in seen.words
    assert "Du darfst Tide tables bearbeiten" in seen.words
    english = re.search(r'href="([^"]+)" lang="en"', seen.html)
    assert english
    assert english[1].startswith("/content/articles/tide-tables/accept-invitation?token=")


async def test_nobody_in_person_shares_when_an_operator_did(page_client: PageClient) -> None:
    one = await page_client.object(owner=await page_client.inviter())
    seen = await page_client.get(page_client.link(await page_client.share(one, by=OPERATOR_PRINCIPAL)))
    assert "Tide tables is shared with you" in seen.words


async def test_a_title_is_escaped_and_isolated(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    one = await page_client.object('<i>"Tides" & الجداول', owner=mira, key="tides")
    seen = await page_client.get(page_client.link(await page_client.share(one, by=mira)))
    assert "<bdi>&lt;i&gt;&#34;Tides&#34; &amp; الجداول</bdi>" in seen.html
    assert "<i>" not in seen.html


async def test_the_title_is_the_one_of_today(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    one = await page_client.object(owner=mira)
    invitation = await page_client.share(one, by=mira)
    await page_client.services.content.change(one, {"title": "Moon tables"}, is_expected=lambda _: True, by=mira)
    seen = await page_client.get(page_client.link(invitation))
    assert "You may edit Moon tables" in seen.words
    assert "Tide tables" not in seen.words


async def test_a_bundle_lists_everything_it_holds(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    await page_client.group()
    tides, moons = await page_client.object(owner=mira), await page_client.object("Moons", owner=mira, type_="tables")
    invitation = await page_client.share(tides, moons, by=mira, role="customer", groups=("spring",))
    assert page_client.link(invitation).startswith("/invitation?token=")
    token = page_client.token(invitation)
    pages = [f"/content/{path}/accept-invitation" for path in ("articles/tide-tables", "tables/moons")]
    for page in ["/invitation", *pages]:
        seen = await page_client.get(f"{page}?token={token}")
        assert seen.status == 200
        assert "Mira Okafor invites you to Orchard Lane" in seen.words
        for words in ("You join as Customer", "Spring cohort", "edit Tide tables Articles", "edit Moons Tables"):
            assert words in seen.words


async def test_what_is_void_is_not_offered_any_more(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    tides, moons = await page_client.object(owner=mira), await page_client.object("Moons", owner=mira)
    token = page_client.token(await page_client.share(tides, moons, by=mira))
    await page_client.services.content.delete(moons, is_expected=lambda _: True, by=mira)
    seen = await page_client.get(f"/content/articles/moons/accept-invitation?token={token}")
    assert seen.status == 200
    assert "You may edit Tide tables" in seen.words
    assert "Moons" not in seen.words
    sent = await accept(page_client, token, **PROFILE)
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
async def test_somebody_signed_in_sees_what_is_new_in_it(
    page_client: PageClient, held: ContentRole, right: str, words: str
) -> None:
    mira, _ = await page_client.inviter(), await page_client.user()
    one = await page_client.object(owner=mira)
    # beside another object, for nobody is invited to what he holds already
    other = await page_client.object("Moons", owner=mira)
    invitation = await page_client.share(one, other, by=mira, email="ada@people.test", right=right)
    await hold(page_client, one, "ada@people.test", held, mira)
    seen = await page_client.get(page_client.link(invitation))
    assert words not in seen.words  # not for whoever merely holds the link
    await page_client.sign_in()
    seen = await page_client.get(page_client.link(invitation))
    assert "Mira Okafor has something for you, Ada" in seen.words
    assert words in seen.words
    await accept(page_client, page_client.token(invitation))
    assert await compute_level(page_client, "ada@people.test", one) == max(Level(held), Level[right])


# ---- an honest page --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["articles/other", "tables/tide-tables", "tables/other"])
async def test_a_link_under_the_address_of_something_else_says_so(page_client: PageClient, path: str) -> None:
    mira = await page_client.inviter()
    invitation = await page_client.share(await page_client.object(owner=mira), by=mira)
    seen = await page_client.get(f"/content/{path}/accept-invitation?token={page_client.token(invitation)}")
    assert (seen.status, seen.code) == (400, "invitation-mismatch")
    assert 'data-testid="mismatch"' in seen.html
    assert page_client.link(invitation) in seen.html
    assert await page_client.state(invitation) == "PENDING"


async def test_an_invitation_without_any_object_does_not_fit_the_address_of_one(page_client: PageClient) -> None:
    await page_client.object(owner=await page_client.inviter())
    token = page_client.token(await page_client.invite())
    seen = await page_client.get(f"/content/articles/tide-tables/accept-invitation?token={token}")
    assert (seen.status, seen.code) == (400, "invitation-mismatch")
    assert f'href="/invitation?token={token}"' in seen.html


async def test_a_singular_is_an_alias_and_an_unknown_type_is_nothing(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    token = page_client.token(await page_client.share(await page_client.object(owner=mira), by=mira))
    assert (await page_client.get(f"/content/article/tide-tables/accept-invitation?token={token}")).status == 200
    seen = await page_client.get(f"/content/boats/tide-tables/accept-invitation?token={token}")
    assert (seen.status, seen.code) == (404, "content-not-found")
    assert 'data-testid="refusal"' in seen.html


@pytest.mark.parametrize("token", ["", "eyJhbGciOiJIUzI1NiJ9.e30.x", "%00"])
async def test_a_link_that_is_not_ours_is_told_apart_from_nothing(page_client: PageClient, token: str) -> None:
    seen = await page_client.get(f"/content/articles/tide-tables/accept-invitation?token={token}")
    assert (seen.status, seen.code) == (401, "invitation-token-invalid")


async def test_over_is_told_before_mismatch_and_with_the_title(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    token = page_client.token(await page_client.share(await page_client.object(owner=mira), by=mira))
    page_client.wait(days=7)
    for path in ("articles/tide-tables", "articles/other"):
        seen = await page_client.get(f"/content/{path}/accept-invitation?token={token}")
        assert (seen.status, seen.code) == (410, "invitation-expired")
        assert "What it was for" in seen.words
        assert "Mira Okafor invited you to Orchard Lane" in seen.words
        assert "Tide tables Articles" in seen.words


@pytest.mark.parametrize("how", ["deleted", "private", "revoked"])
async def test_what_was_withdrawn_is_not_named_any_more(page_client: PageClient, how: str) -> None:
    mira = await page_client.inviter()
    one = await page_client.object(owner=mira)
    invitation = await page_client.share(one, by=mira)
    if how == "deleted":
        await page_client.services.content.delete(one, is_expected=lambda _: True, by=mira)
    elif how == "private":
        await page_client.services.content.replace_access(one, NewAccess(visibility=Visibility.PRIVATE), by=mira)
    else:
        await page_client.services.invitations.revoke(invitation.id, by=OPERATOR_PRINCIPAL)
    seen = await page_client.get(page_client.link(invitation))
    assert (seen.status, seen.code) == (410, "invitation-revoked")
    assert "Mira Okafor invited you to Orchard Lane" in seen.words
    assert "Tide tables" not in seen.words


async def test_a_used_link_does_not_name_the_object_any_more(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    invitation = await page_client.share(await page_client.object(owner=mira), by=mira)
    await accept(page_client, page_client.token(invitation), **PROFILE)
    page_client.browser.cookies.clear()
    seen = await page_client.get(page_client.link(invitation))
    assert seen.code == "invitation-accepted"
    assert "Tide tables" not in seen.words


async def test_a_sponsor_who_lost_the_object_is_told_of(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    one = await page_client.object(owner=mira)
    invitation = await page_client.share(one, by=mira)
    ada = await page_client.user()
    await page_client.services.content.change_owner(one, ada.id, by=mira)
    await page_client.services.content.replace_access(
        one, NewAccess(visibility=Visibility.PUBLIC), by=page_client.services.users.principal_of(ada)
    )
    sent = await accept(page_client, page_client.token(invitation), **PROFILE)
    assert (sent.status, sent.code) == (409, "inviter-not-allowed")
    assert 'data-testid="ended"' in sent.html
    assert "Tide tables" in sent.words


# ---- only people with an account -------------------------------------------------------------------------------------


@pytest.mark.parametrize("page_client", CLOSED, indirect=True)
@pytest.mark.parametrize("channel", list(Channel))
async def test_where_strangers_are_not_let_in_the_page_says_so(page_client: PageClient, channel: Channel) -> None:
    mira = await page_client.inviter()
    invitation = await page_client.share(await page_client.object(owner=mira), by=mira)
    token = page_client.token(invitation, channel)
    for seen in (
        await page_client.get(page_client.link(invitation, channel)),
        await accept(page_client, token, **PROFILE),
        await accept(page_client, token),
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
    assert await page_client.find_user("jonas@people.test") is None
    assert await page_client.state(invitation) == "PENDING"


@pytest.mark.parametrize("page_client", CLOSED, indirect=True)
async def test_signing_in_comes_back_to_the_invitation(page_client: PageClient) -> None:
    mira, _ = await page_client.inviter(), await page_client.user("jonas@people.test", email_verified=False)
    invitation = await page_client.share(await page_client.object(owner=mira), by=mira)
    seen = await page_client.get(page_client.link(invitation))
    assert seen.code == "user-not-found"
    login = re.search(r'href="(/login\?next=[^"]+)"', seen.html)
    assert login
    onward = (await page_client.get(login[1])).hidden["next"]
    sent = await page_client.post("/login", {"email": "jonas@people.test", "password": PASSWORD, "next": onward})
    assert sent.target == page_client.link(invitation)
    seen = await page_client.get(sent.target)
    assert (seen.status, seen.code) == (404, "user-not-found")
    assert 'data-testid="members-only"' in seen.html
    assert 'href="/verify-email"' in seen.html


@pytest.mark.parametrize("page_client", CLOSED, indirect=True)
async def test_members_accept_where_strangers_are_not_let_in(page_client: PageClient) -> None:
    mira, _ = await page_client.inviter(), await page_client.user()
    one = await page_client.object(owner=mira)
    invitation = await page_client.share(one, by=mira, email="ada@people.test")
    assert "Sign in and accept" in (await page_client.get(page_client.link(invitation))).words
    sent = await accept(page_client, page_client.token(invitation), password=PASSWORD)
    assert sent.status == 303
    assert await compute_level(page_client, "ada@people.test", one) is Level.EDITOR


@pytest.mark.parametrize("page_client", CLOSED, indirect=True)
async def test_a_bundle_with_a_role_lets_strangers_in_all_the_same(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    token = page_client.token(await page_client.share(await page_client.object(owner=mira), by=mira, role="customer"))
    assert (await accept(page_client, token, **PROFILE)).status == 303


# ---- where it leads on -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["https://app.orchard.example/tides?a=1#moon", "http://pages.test/docs"])
async def test_accepting_goes_on_to_the_object_on_a_site_of_the_operators(page_client: PageClient, url: str) -> None:
    mira = await page_client.inviter()
    one = await page_client.object(owner=mira, url=url)
    sent = await accept(page_client, page_client.token(await page_client.share(one, by=mira)), **PROFILE)
    assert (sent.status, sent.target) == (303, url)
    assert "access_token" in page_client.browser.cookies


FOREIGN = [
    "https://elsewhere.example/tides",
    "http://app.orchard.example/tides",
    "https://app.orchard.example:8443/",
    "https://app.orchard.example.evil.test/",
    "https://app.orchard.example@evil.test/",
]


@pytest.mark.parametrize("url", FOREIGN)
async def test_an_address_an_editor_chose_is_a_link_and_never_gone_on_to(page_client: PageClient, url: str) -> None:
    mira = await page_client.inviter()
    one = await page_client.object(owner=mira, url=url)
    sent = await accept(page_client, page_client.token(await page_client.share(one, by=mira)), **PROFILE)
    assert sent.target == "/invitation/arrived?how=joined&to=articles%2Ftide-tables"
    seen = await page_client.get(sent.target)
    assert "You may edit Tide tables" in seen.words
    assert "Open Tide tables" in seen.words
    assert re.search(r"It opens at \S+ , outside Orchard Lane\.", seen.words)
    assert f'href="{url}" rel="noopener noreferrer"' in seen.html
    german = await page_client.get(f"{sent.target}&locale=de")
    assert "Du darfst Tide tables bearbeiten" in german.words
    assert "Tide tables öffnen" in german.words


@pytest.mark.parametrize("url", [None, "javascript:alert(1)", "//evil.test/x", "data:text/html,x", "/tides"])
async def test_what_is_no_address_of_the_web_is_no_link(page_client: PageClient, url: str | None) -> None:
    mira = await page_client.inviter()
    one = await page_client.object(owner=mira, url=url)
    sent = await accept(page_client, page_client.token(await page_client.share(one, by=mira)), **PROFILE)
    assert sent.target.startswith("/invitation/arrived?")
    seen = await page_client.get(sent.target)
    assert "You may edit Tide tables" in seen.words
    assert "Open Tide tables" not in seen.words
    assert url is None or url not in seen.html


async def test_the_invitations_own_redirect_goes_first(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    one = await page_client.object(owner=mira, url="https://app.orchard.example/tides")
    invitation = await page_client.share(one, by=mira, redirect_url="https://app.orchard.example/welcome")
    assert (
        await accept(page_client, page_client.token(invitation), **PROFILE)
    ).target == "https://app.orchard.example/welcome"


async def test_a_bundle_arrives_with_a_link_to_each_object(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    tides = await page_client.object(owner=mira, url="https://app.orchard.example/tides")
    moons = await page_client.object("Moons", owner=mira, url="https://elsewhere.example/moons")
    sent = await accept(
        page_client, page_client.token(await page_client.share(tides, moons, by=mira, role="customer")), **PROFILE
    )
    assert sent.target == "/invitation/arrived?how=joined&to=articles%2Fmoons%2Carticles%2Ftide-tables"
    seen = await page_client.get(sent.target)
    for words in ("You are Customer", "You may edit Tide tables", "You may edit Moons", "outside Orchard Lane"):
        assert words in seen.words
    for url in (tides.url, moons.url):
        assert f'href="{url}" rel="noopener noreferrer"' in seen.html


async def test_accepting_without_signing_in_shows_the_object_after_signing_in(page_client: PageClient) -> None:
    mira, _ = await page_client.inviter(), await page_client.user()
    invitation = await page_client.share(await page_client.object(owner=mira), by=mira, email="ada@people.test")
    sent = await accept(page_client, page_client.token(invitation), how="unsigned")
    assert sent.target == "/invitation/arrived?how=unsigned&to=articles%2Ftide-tables"
    seen = await page_client.get(sent.target)
    assert "Tide tables" not in seen.words
    login = re.search(r'href="(/login\?next=[^"]+)"', seen.html)
    assert login
    onward = (await page_client.get(login[1])).hidden["next"]
    sent = await page_client.post("/login", {"email": "ada@people.test", "password": PASSWORD, "next": onward})
    assert "You may edit Tide tables" in (await page_client.get(sent.target)).words


@pytest.mark.parametrize("to", ["articles/tide-tables", "articles", "boats/x,/,,%00/%00", "a" * 3000, "articles/%ff"])
async def test_the_arrived_page_names_nothing_the_visitor_may_not_view(page_client: PageClient, to: str) -> None:
    await page_client.object(owner=await page_client.inviter())
    await page_client.user()
    await page_client.sign_in()
    seen = await page_client.get(f"/invitation/arrived?how=added&to={to}")
    assert seen.status == 200
    assert "Tide tables" not in seen.words


async def test_a_right_that_is_greater_already_stays_and_is_shown(page_client: PageClient) -> None:
    mira, _ = await page_client.inviter(), await page_client.user()
    one, other = await page_client.object(owner=mira), await page_client.object("Moons", owner=mira)
    invitation = await page_client.share(one, other, by=mira, email="ada@people.test", right="VIEWER")
    await hold(page_client, one, "ada@people.test", ContentRole.MAINTAINER, mira)
    await page_client.sign_in()
    sent = await accept(page_client, page_client.token(invitation))
    seen = await page_client.get(sent.target)
    assert "You may maintain Tide tables" in seen.words
    assert "You may view Moons" in seen.words


# ---- the rest of the way ---------------------------------------------------------------------------------------------


async def test_errors_are_shown_at_the_address_of_the_object(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    invitation = await page_client.share(await page_client.object(owner=mira), by=mira)
    sent = await accept(page_client, page_client.token(invitation), firstName="Jonas")
    assert (sent.status, sent.code) == (422, "invalid-fields")
    assert "Mira Okafor shares Tide tables with you" in sent.words
    assert f'href="{page_client.link(invitation)}&amp;locale=de" lang="de"' in sent.html


async def test_declining_can_be_thought_over(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    invitation = await page_client.share(await page_client.object(owner=mira), by=mira)
    seen = await page_client.get(f"/invitation/decline?token={page_client.token(invitation)}")
    assert f'href="{page_client.link(invitation)}">Keep the invitation' in seen.html


async def test_opening_the_page_changes_nothing(page_client: PageClient) -> None:
    mira, _ = await page_client.inviter(), await page_client.user()
    invitation = await page_client.share(await page_client.object(owner=mira), by=mira, email="ada@people.test")
    await page_client.sign_in()
    before = await page_client.dump()
    for method in ("GET", "HEAD"):
        await page_client.browser.request(method, page_client.link(invitation))
        await page_client.browser.request(
            method, f"/content/articles/x/accept-invitation?token={page_client.token(invitation)}"
        )
    assert await page_client.dump() == before
