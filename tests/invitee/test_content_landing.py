"""The landing page of an invitation to an object: what it shows, who may accept, and where it redirects."""

import re

import pytest
from tests.support.page_client import PASSWORD, PageClient, PageResponse

from latchstring.content.service import NewAccess, subject_of
from latchstring.domain.access import ContentObject, Level, Visibility
from latchstring.domain.grant import ContentRole
from latchstring.domain.invitation import Channel
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal

PROFILE = {"firstName": "Jonas", "lastName": "Keller", "password": PASSWORD, "acceptTerms": "yes"}
ACCOUNT_REQUIRED = [("[content]\n", "[content]\ninvitations = { allow-unregistered-users = false }\n")]


async def accept(page_client: PageClient, token: str, **fields: str) -> PageResponse:
    return await page_client.post("/invitation/accept", {"token": token, **fields})


async def level_of(page_client: PageClient, email: str, content_object: ContentObject) -> Level:
    user = await page_client.find_user(email)
    assert user is not None
    content = page_client.services.content
    subject = subject_of(page_client.services.users.principal_of(user))
    return (await content.look_up(subject, content_object.type, content_object.key, Level.VIEWER)).level


async def grant_access(
    page_client: PageClient, content_object: ContentObject, email: str, role: ContentRole, by: Principal
) -> None:
    user = await page_client.find_user(email)
    assert user is not None
    await page_client.services.content.replace_access(
        content_object, NewAccess(visibility=Visibility.SHARED, users={user.id: role}), by=by
    )


# ---- what it shows ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "text"),
    [
        ("VIEWER", "You may view Tide tables"),
        ("EDITOR", "You may edit Tide tables"),
        ("MAINTAINER", "You may maintain Tide tables"),
    ],
)
async def test_a_new_invitee_sees_inviter_object_and_access(page_client: PageClient, right: str, text: str) -> None:
    mira = await page_client.inviter()
    content_object = await page_client.object(owner=mira)
    invitation = await page_client.share(content_object, by=mira, right=right, message="Mind the moon.")
    assert page_client.link(invitation).startswith("/content/articles/tide-tables/accept-invitation?token=")
    page = await page_client.get(page_client.link(invitation))
    assert (page.status, page.code) == (200, None)
    assert "Mira Okafor shares Tide tables with you" in page.words
    for expected in (text, "Articles", "Mind the moon.", "jonas@people.test", "Create account"):
        assert expected in page.words
    assert "tide-tables" not in page.words


async def test_the_page_is_available_in_german(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    invitation = await page_client.share(await page_client.object(owner=mira), by=mira)
    page = await page_client.get(f"{page_client.link(invitation)}&locale=de")
    assert "Mira Okafor teilt Tide tables mit dir" in page.words
    assert "Du darfst Tide tables bearbeiten" in page.words
    english = re.search(r'href="([^"]+)" lang="en"', page.html)
    assert english
    assert english[1].startswith("/content/articles/tide-tables/accept-invitation?token=")


async def test_an_invitation_by_an_operator_names_no_inviter(page_client: PageClient) -> None:
    content_object = await page_client.object(owner=await page_client.inviter())
    page = await page_client.get(page_client.link(await page_client.share(content_object, by=OPERATOR_PRINCIPAL)))
    assert "Tide tables is shared with you" in page.words


async def test_a_title_is_escaped_and_isolated(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    content_object = await page_client.object('<i>"Tides" & الجداول', owner=mira, key="tides")
    page = await page_client.get(page_client.link(await page_client.share(content_object, by=mira)))
    assert "<bdi>&lt;i&gt;&#34;Tides&#34; &amp; الجداول</bdi>" in page.html
    assert "<i>" not in page.html


async def test_the_page_shows_the_current_title(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    content_object = await page_client.object(owner=mira)
    invitation = await page_client.share(content_object, by=mira)
    await page_client.services.content.change(
        content_object, {"title": "Moon tables"}, is_expected=lambda _: True, by=mira
    )
    page = await page_client.get(page_client.link(invitation))
    assert "You may edit Moon tables" in page.words
    assert "Tide tables" not in page.words


async def test_a_bundle_lists_all_its_grants(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    await page_client.group()
    tides, moons = await page_client.object(owner=mira), await page_client.object("Moons", owner=mira, type_="tables")
    invitation = await page_client.share(tides, moons, by=mira, role="customer", groups=("spring",))
    assert page_client.link(invitation).startswith("/invitation?token=")
    token = page_client.token(invitation)
    paths = [f"/content/{path}/accept-invitation" for path in ("articles/tide-tables", "tables/moons")]
    for path in ["/invitation", *paths]:
        page = await page_client.get(f"{path}?token={token}")
        assert page.status == 200
        assert "Mira Okafor invites you to Orchard Lane" in page.words
        for text in ("You join as Customer", "Spring cohort", "edit Tide tables Articles", "edit Moons Tables"):
            assert text in page.words


async def test_void_grants_are_not_shown(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    tides, moons = await page_client.object(owner=mira), await page_client.object("Moons", owner=mira)
    token = page_client.token(await page_client.share(tides, moons, by=mira))
    await page_client.services.content.delete(moons, is_expected=lambda _: True, by=mira)
    page = await page_client.get(f"/content/articles/moons/accept-invitation?token={token}")
    assert page.status == 200
    assert "You may edit Tide tables" in page.words
    assert "Moons" not in page.words
    result = await accept(page_client, token, **PROFILE)
    assert result.target == "/invitation/arrived?how=joined&to=articles%2Ftide-tables"


@pytest.mark.parametrize(
    ("current_role", "right", "text"),
    [
        (ContentRole.VIEWER, "EDITOR", "You could view it before"),
        (ContentRole.EDITOR, "MAINTAINER", "You could edit it before"),
        (ContentRole.VIEWER, "VIEWER", "You may view it already"),
        (ContentRole.EDITOR, "VIEWER", "You may edit it already"),
        (ContentRole.MAINTAINER, "EDITOR", "You may maintain it already"),
    ],
)
async def test_a_signed_in_invitee_sees_their_current_access(
    page_client: PageClient, current_role: ContentRole, right: str, text: str
) -> None:
    mira, _ = await page_client.inviter(), await page_client.user()
    content_object = await page_client.object(owner=mira)
    # with a second object, as an invitation to existing access only is rejected
    other_object = await page_client.object("Moons", owner=mira)
    invitation = await page_client.share(content_object, other_object, by=mira, email="ada@people.test", right=right)
    await grant_access(page_client, content_object, "ada@people.test", current_role, mira)
    page = await page_client.get(page_client.link(invitation))
    assert text not in page.words  # not before signing in
    await page_client.sign_in()
    page = await page_client.get(page_client.link(invitation))
    assert "Mira Okafor has something for you, Ada" in page.words
    assert text in page.words
    await accept(page_client, page_client.token(invitation))
    assert await level_of(page_client, "ada@people.test", content_object) == max(Level(current_role), Level[right])


# ---- mismatches and ended links --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["articles/other", "tables/tide-tables", "tables/other"])
async def test_a_link_under_the_path_of_another_object_is_a_mismatch(page_client: PageClient, path: str) -> None:
    mira = await page_client.inviter()
    invitation = await page_client.share(await page_client.object(owner=mira), by=mira)
    page = await page_client.get(f"/content/{path}/accept-invitation?token={page_client.token(invitation)}")
    assert (page.status, page.code) == (400, "invitation-mismatch")
    assert 'data-testid="mismatch"' in page.html
    assert page_client.link(invitation) in page.html
    assert await page_client.state(invitation) == "PENDING"


async def test_an_invitation_without_objects_under_an_object_path_is_a_mismatch(page_client: PageClient) -> None:
    await page_client.object(owner=await page_client.inviter())
    token = page_client.token(await page_client.invite())
    page = await page_client.get(f"/content/articles/tide-tables/accept-invitation?token={token}")
    assert (page.status, page.code) == (400, "invitation-mismatch")
    assert f'href="/invitation?token={token}"' in page.html


async def test_the_singular_of_a_type_is_an_alias_and_an_unknown_type_is_not_found(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    token = page_client.token(await page_client.share(await page_client.object(owner=mira), by=mira))
    assert (await page_client.get(f"/content/article/tide-tables/accept-invitation?token={token}")).status == 200
    page = await page_client.get(f"/content/boats/tide-tables/accept-invitation?token={token}")
    assert (page.status, page.code) == (404, "content-not-found")
    assert 'data-testid="refusal"' in page.html


@pytest.mark.parametrize("token", ["", "eyJhbGciOiJIUzI1NiJ9.e30.x", "%00"])
async def test_an_invalid_token_is_rejected(page_client: PageClient, token: str) -> None:
    page = await page_client.get(f"/content/articles/tide-tables/accept-invitation?token={token}")
    assert (page.status, page.code) == (401, "invitation-token-invalid")


async def test_an_expired_link_is_reported_before_a_mismatch_and_with_the_title(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    token = page_client.token(await page_client.share(await page_client.object(owner=mira), by=mira))
    page_client.wait(days=7)
    for path in ("articles/tide-tables", "articles/other"):
        page = await page_client.get(f"/content/{path}/accept-invitation?token={token}")
        assert (page.status, page.code) == (410, "invitation-expired")
        assert "What it was for" in page.words
        assert "Mira Okafor invited you to Orchard Lane" in page.words
        assert "Tide tables Articles" in page.words


@pytest.mark.parametrize("ending", ["deleted", "private", "revoked"])
async def test_a_revoked_invitation_does_not_name_the_object(page_client: PageClient, ending: str) -> None:
    mira = await page_client.inviter()
    content_object = await page_client.object(owner=mira)
    invitation = await page_client.share(content_object, by=mira)
    if ending == "deleted":
        await page_client.services.content.delete(content_object, is_expected=lambda _: True, by=mira)
    elif ending == "private":
        await page_client.services.content.replace_access(
            content_object, NewAccess(visibility=Visibility.PRIVATE), by=mira
        )
    else:
        await page_client.services.invitations.revoke(invitation.id, by=OPERATOR_PRINCIPAL)
    page = await page_client.get(page_client.link(invitation))
    assert (page.status, page.code) == (410, "invitation-revoked")
    assert "Mira Okafor invited you to Orchard Lane" in page.words
    assert "Tide tables" not in page.words


async def test_an_accepted_invitation_does_not_name_the_object(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    invitation = await page_client.share(await page_client.object(owner=mira), by=mira)
    await accept(page_client, page_client.token(invitation), **PROFILE)
    page_client.browser.cookies.clear()
    page = await page_client.get(page_client.link(invitation))
    assert page.code == "invitation-accepted"
    assert "Tide tables" not in page.words


async def test_a_sponsor_without_access_to_the_object_ends_the_link(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    content_object = await page_client.object(owner=mira)
    invitation = await page_client.share(content_object, by=mira)
    ada = await page_client.user()
    await page_client.services.content.change_owner(content_object, ada.id, by=mira)
    await page_client.services.content.replace_access(
        content_object, NewAccess(visibility=Visibility.PUBLIC), by=page_client.services.users.principal_of(ada)
    )
    result = await accept(page_client, page_client.token(invitation), **PROFILE)
    assert (result.status, result.code) == (409, "inviter-not-allowed")
    assert 'data-testid="ended"' in result.html
    assert "Tide tables" in result.words


# ---- only people with an account -------------------------------------------------------------------------------------


@pytest.mark.parametrize("page_client", ACCOUNT_REQUIRED, indirect=True)
@pytest.mark.parametrize("channel", list(Channel))
async def test_an_invitee_without_account_is_rejected_if_accounts_are_required(
    page_client: PageClient, channel: Channel
) -> None:
    mira = await page_client.inviter()
    invitation = await page_client.share(await page_client.object(owner=mira), by=mira)
    token = page_client.token(invitation, channel)
    for page in (
        await page_client.get(page_client.link(invitation, channel)),
        await accept(page_client, token, **PROFILE),
        await accept(page_client, token),
    ):
        assert (page.status, page.code) == (404, "user-not-found")
        for text in (
            "Only people with an account can accept this",
            "You may edit Tide tables",
            "Sign in to Orchard Lane",
            "Ask Mira Okafor to invite that one.",
        ):
            assert text in page.words
        assert 'name="password"' not in page.html
    assert await page_client.find_user("jonas@people.test") is None
    assert await page_client.state(invitation) == "PENDING"


@pytest.mark.parametrize("page_client", ACCOUNT_REQUIRED, indirect=True)
async def test_signing_in_returns_to_the_invitation(page_client: PageClient) -> None:
    mira, _ = await page_client.inviter(), await page_client.user("jonas@people.test", email_verified=False)
    invitation = await page_client.share(await page_client.object(owner=mira), by=mira)
    page = await page_client.get(page_client.link(invitation))
    assert page.code == "user-not-found"
    login = re.search(r'href="(/login\?next=[^"]+)"', page.html)
    assert login
    next_path = (await page_client.get(login[1])).hidden["next"]
    result = await page_client.post("/login", {"email": "jonas@people.test", "password": PASSWORD, "next": next_path})
    assert result.target == page_client.link(invitation)
    page = await page_client.get(result.target)
    assert (page.status, page.code) == (404, "user-not-found")
    assert 'data-testid="members-only"' in page.html
    assert 'href="/verify-email"' in page.html


@pytest.mark.parametrize("page_client", ACCOUNT_REQUIRED, indirect=True)
async def test_users_accept_if_accounts_are_required(page_client: PageClient) -> None:
    mira, _ = await page_client.inviter(), await page_client.user()
    content_object = await page_client.object(owner=mira)
    invitation = await page_client.share(content_object, by=mira, email="ada@people.test")
    assert "Sign in and accept" in (await page_client.get(page_client.link(invitation))).words
    result = await accept(page_client, page_client.token(invitation), password=PASSWORD)
    assert result.status == 303
    assert await level_of(page_client, "ada@people.test", content_object) is Level.EDITOR


@pytest.mark.parametrize("page_client", ACCOUNT_REQUIRED, indirect=True)
async def test_a_bundle_with_a_role_does_not_require_an_account(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    token = page_client.token(await page_client.share(await page_client.object(owner=mira), by=mira, role="customer"))
    assert (await accept(page_client, token, **PROFILE)).status == 303


# ---- redirects -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["https://app.orchard.example/tides?a=1#moon", "http://pages.test/docs"])
async def test_accepting_redirects_to_the_object_on_an_allowed_site(page_client: PageClient, url: str) -> None:
    mira = await page_client.inviter()
    content_object = await page_client.object(owner=mira, url=url)
    result = await accept(page_client, page_client.token(await page_client.share(content_object, by=mira)), **PROFILE)
    assert (result.status, result.target) == (303, url)
    assert "access_token" in page_client.browser.cookies


FOREIGN_URLS = [
    "https://foreign.example/tides",
    "http://app.orchard.example/tides",
    "https://app.orchard.example:8443/",
    "https://app.orchard.example.evil.test/",
    "https://app.orchard.example@evil.test/",
]


@pytest.mark.parametrize("url", FOREIGN_URLS)
async def test_a_foreign_url_is_a_link_and_never_a_redirect(page_client: PageClient, url: str) -> None:
    mira = await page_client.inviter()
    content_object = await page_client.object(owner=mira, url=url)
    result = await accept(page_client, page_client.token(await page_client.share(content_object, by=mira)), **PROFILE)
    assert result.target == "/invitation/arrived?how=joined&to=articles%2Ftide-tables"
    page = await page_client.get(result.target)
    assert "You may edit Tide tables" in page.words
    assert "Open Tide tables" in page.words
    assert re.search(r"It opens at \S+ , outside Orchard Lane\.", page.words)
    assert f'href="{url}" rel="noopener noreferrer"' in page.html
    german = await page_client.get(f"{result.target}&locale=de")
    assert "Du darfst Tide tables bearbeiten" in german.words
    assert "Tide tables öffnen" in german.words


@pytest.mark.parametrize("url", [None, "javascript:alert(1)", "//evil.test/x", "data:text/html,x", "/tides"])
async def test_a_url_that_is_not_http_is_no_link(page_client: PageClient, url: str | None) -> None:
    mira = await page_client.inviter()
    content_object = await page_client.object(owner=mira, url=url)
    result = await accept(page_client, page_client.token(await page_client.share(content_object, by=mira)), **PROFILE)
    assert result.target.startswith("/invitation/arrived?")
    page = await page_client.get(result.target)
    assert "You may edit Tide tables" in page.words
    assert "Open Tide tables" not in page.words
    assert url is None or url not in page.html


async def test_the_redirect_url_of_the_invitation_takes_precedence(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    content_object = await page_client.object(owner=mira, url="https://app.orchard.example/tides")
    invitation = await page_client.share(content_object, by=mira, redirect_url="https://app.orchard.example/welcome")
    assert (
        await accept(page_client, page_client.token(invitation), **PROFILE)
    ).target == "https://app.orchard.example/welcome"


async def test_the_page_after_accepting_a_bundle_links_each_object(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    tides = await page_client.object(owner=mira, url="https://app.orchard.example/tides")
    moons = await page_client.object("Moons", owner=mira, url="https://foreign.example/moons")
    result = await accept(
        page_client, page_client.token(await page_client.share(tides, moons, by=mira, role="customer")), **PROFILE
    )
    assert result.target == "/invitation/arrived?how=joined&to=articles%2Fmoons%2Carticles%2Ftide-tables"
    page = await page_client.get(result.target)
    for text in ("You are Customer", "You may edit Tide tables", "You may edit Moons", "outside Orchard Lane"):
        assert text in page.words
    for url in (tides.url, moons.url):
        assert f'href="{url}" rel="noopener noreferrer"' in page.html


async def test_accepting_without_signing_in_shows_the_object_after_signing_in(page_client: PageClient) -> None:
    mira, _ = await page_client.inviter(), await page_client.user()
    invitation = await page_client.share(await page_client.object(owner=mira), by=mira, email="ada@people.test")
    result = await accept(page_client, page_client.token(invitation), how="unsigned")
    assert result.target == "/invitation/arrived?how=unsigned&to=articles%2Ftide-tables"
    page = await page_client.get(result.target)
    assert "Tide tables" not in page.words
    login = re.search(r'href="(/login\?next=[^"]+)"', page.html)
    assert login
    next_path = (await page_client.get(login[1])).hidden["next"]
    result = await page_client.post("/login", {"email": "ada@people.test", "password": PASSWORD, "next": next_path})
    assert "You may edit Tide tables" in (await page_client.get(result.target)).words


@pytest.mark.parametrize("to", ["articles/tide-tables", "articles", "boats/x,/,,%00/%00", "a" * 3000, "articles/%ff"])
async def test_the_arrived_page_names_only_objects_that_the_user_may_view(page_client: PageClient, to: str) -> None:
    await page_client.object(owner=await page_client.inviter())
    await page_client.user()
    await page_client.sign_in()
    page = await page_client.get(f"/invitation/arrived?how=added&to={to}")
    assert page.status == 200
    assert "Tide tables" not in page.words


async def test_higher_access_is_kept_and_shown(page_client: PageClient) -> None:
    mira, _ = await page_client.inviter(), await page_client.user()
    content_object, other_object = await page_client.object(owner=mira), await page_client.object("Moons", owner=mira)
    invitation = await page_client.share(content_object, other_object, by=mira, email="ada@people.test", right="VIEWER")
    await grant_access(page_client, content_object, "ada@people.test", ContentRole.MAINTAINER, mira)
    await page_client.sign_in()
    result = await accept(page_client, page_client.token(invitation))
    page = await page_client.get(result.target)
    assert "You may maintain Tide tables" in page.words
    assert "You may view Moons" in page.words


# ---- forms and GET requests ------------------------------------------------------------------------------------------


async def test_errors_are_shown_on_the_page_of_the_object(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    invitation = await page_client.share(await page_client.object(owner=mira), by=mira)
    result = await accept(page_client, page_client.token(invitation), firstName="Jonas")
    assert (result.status, result.code) == (422, "invalid-fields")
    assert "Mira Okafor shares Tide tables with you" in result.words
    assert f'href="{page_client.link(invitation)}&amp;locale=de" lang="de"' in result.html


async def test_the_decline_page_links_back_to_the_object(page_client: PageClient) -> None:
    mira = await page_client.inviter()
    invitation = await page_client.share(await page_client.object(owner=mira), by=mira)
    page = await page_client.get(f"/invitation/decline?token={page_client.token(invitation)}")
    assert f'href="{page_client.link(invitation)}">Keep the invitation' in page.html


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
