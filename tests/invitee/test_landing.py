"""The landing page of an invitation: what it shows, and acceptance."""

import pytest
from tests.support.page_client import PASSWORD, PageClient

from latchstring.domain.invitation import Channel

PROFILE = {"firstName": "Jonas", "lastName": "Keller", "password": PASSWORD, "acceptTerms": "yes"}
MESSAGE = 'See <b>https://foreign.test</b> & "come"\nOn Monday'


async def test_a_new_invitee_sees_inviter_and_grants(page_client: PageClient) -> None:
    await page_client.group()
    invitation = await page_client.invite(
        by=await page_client.inviter(),
        groups=("spring",),
        first_name="Jonas",
        last_name="Keller",
        message="Bring tide tables.",
    )
    page = await page_client.get(f"/invitation?token={page_client.token(invitation)}")
    assert (page.status, page.code) == (200, None)
    assert "Mira Okafor invites you to Orchard Lane" in page.words
    for text in ("You join as Team", "Spring cohort", "Bring tide tables.", "Create account"):
        assert text in page.words
    assert 'value="Jonas"' in page.html
    assert 'value="Keller"' in page.html
    assert "This link works until Monday 9 March 2026, 12:00 (UTC)." in page.words


async def test_an_invitation_by_an_operator_names_no_inviter(page_client: PageClient) -> None:
    page = await page_client.get(f"/invitation?token={page_client.token(await page_client.invite())}")
    assert "You are invited to Orchard Lane" in page.words
    assert "Operator" not in page.words


async def test_a_message_is_escaped_and_has_no_links(page_client: PageClient) -> None:
    page = await page_client.get(f"/invitation?token={page_client.token(await page_client.invite(message=MESSAGE))}")
    assert "See &lt;b&gt;https://foreign.test&lt;/b&gt; &amp; &#34;come&#34;\nOn Monday</blockquote>" in page.html
    assert 'href="https://foreign' not in page.html


async def test_names_are_escaped_and_isolated(page_client: PageClient) -> None:
    inviter = await page_client.user("eve@people.test", first_name="<i>Eve", last_name="& Co", role="team")
    invitation = await page_client.invite(by=page_client.services.users.principal_of(inviter), first_name='"><script>')
    page = await page_client.get(f"/invitation?token={page_client.token(invitation)}")
    assert "<bdi>&lt;i&gt;Eve &amp; Co</bdi>" in page.html
    assert 'value="&#34;&gt;&lt;script&gt;"' in page.html
    assert "<i>Eve" not in page.html


async def test_registering_creates_the_account_and_signs_in(page_client: PageClient) -> None:
    await page_client.group()
    invitation = await page_client.invite(groups=("spring",))
    token = page_client.token(invitation)
    await page_client.get(f"/invitation?token={token}")
    result = await page_client.post("/invitation/accept", {**PROFILE, "token": token})
    assert (result.status, result.target) == (303, "/invitation/arrived?how=joined")
    user = await page_client.find_user("jonas@people.test")
    assert user is not None
    assert (user.name, user.role, user.groups, user.email_verified, user.locale) == (
        "Jonas Keller",
        "team",
        ("spring",),
        True,
        "en",
    )
    page = await page_client.get(result.target)
    assert "Welcome, Jonas" in page.words
    assert "You are Team at Orchard Lane" in page.words
    assert "You are in Spring cohort" in page.words
    assert await page_client.state(invitation) == "ACCEPTED"


async def test_accepting_redirects_to_the_redirect_url(page_client: PageClient) -> None:
    invitation = await page_client.invite(redirect_url="https://app.orchard.example/welcome?a=1&b=%20")
    token = page_client.token(invitation)
    result = await page_client.post("/invitation/accept", {**PROFILE, "token": token})
    assert (result.status, result.target) == (303, "https://app.orchard.example/welcome?a=1&b=%20")
    policy = (await page_client.get("/login")).response.headers["Content-Security-Policy"]
    assert "form-action 'self' http://pages.test https://app.orchard.example" in policy


async def test_all_problems_are_shown_together_and_the_input_is_kept(page_client: PageClient) -> None:
    token = page_client.token(await page_client.invite())
    result = await page_client.post(
        "/invitation/accept", {"token": token, "firstName": "Jo<nas", "lastName": " ", "password": "short"}
    )
    assert (result.status, result.code) == (422, "invalid-fields")
    for text in (
        "Check 3 fields",
        "Enter your last name",
        "Use at least 10 characters",
        "Accept the terms",
    ):
        assert text in result.words
    assert 'value="Jo&lt;nas"' in result.html
    assert 'value="short"' not in result.html
    assert result.hidden["token"] == token
    assert result.title.startswith("Error: ")
    assert 'aria-describedby="lastName-error" aria-invalid="true"' in result.html
    assert await page_client.find_user("jonas@people.test") is None


async def test_a_name_with_control_characters_is_rejected(page_client: PageClient) -> None:
    token = page_client.token(await page_client.invite())
    result = await page_client.post("/invitation/accept", {**PROFILE, "token": token, "firstName": "Jo\u202enas"})
    assert (result.status, result.code) == (422, "invalid-fields")
    assert 'data-testid="firstName:control-characters"' in result.html


@pytest.mark.parametrize("password", ["jonas@people.test", "password123"])
async def test_a_common_password_is_rejected(page_client: PageClient, password: str) -> None:
    token = page_client.token(await page_client.invite())
    result = await page_client.post("/invitation/accept", {**PROFILE, "token": token, "password": password})
    assert (result.status, result.code) == (422, "invalid-fields")
    assert 'data-testid="password:too-common"' in result.html


async def test_missing_consent_alone_has_its_own_code(page_client: PageClient) -> None:
    token = page_client.token(await page_client.invite())
    result = await page_client.post("/invitation/accept", {**PROFILE, "token": token, "acceptTerms": ""})
    assert (result.status, result.code) == (422, "terms-required")
    assert 'data-testid="acceptTerms:' in result.html


@pytest.mark.parametrize(
    "page_client", [('terms-url = "https://orchard.example/terms"\nterms-version = "1"', "")], indirect=True
)
async def test_without_configured_terms_no_consent_is_required(page_client: PageClient) -> None:
    token = page_client.token(await page_client.invite())
    assert "I accept" not in (await page_client.get(f"/invitation?token={token}")).words
    result = await page_client.post("/invitation/accept", {**PROFILE, "token": token, "acceptTerms": ""})
    assert result.target == "/invitation/arrived?how=joined"


# ---- invitees with an account ----------------------------------------------------------------------------------------


async def test_an_invitee_with_an_account_signs_in_and_accepts(page_client: PageClient) -> None:
    user = await page_client.user()
    token = page_client.token(await page_client.invite(user.email))
    page = await page_client.get(f"/invitation?token={token}")
    assert 'data-testid="sign-in-to-accept"' in page.html
    assert "Ada" not in page.words  # the name of the account is not shown before signing in
    result = await page_client.post("/invitation/accept", {"token": token, "password": PASSWORD, "how": "sign-in"})
    assert result.target == "/invitation/arrived?how=added"
    page = await page_client.get(result.target)
    assert "Welcome, Ada" in page.words
    assert "It is added to your account, and you are signed in." in page.words


async def test_a_wrong_password_accepts_nothing(page_client: PageClient) -> None:
    user = await page_client.user()
    invitation = await page_client.invite(user.email)
    token = page_client.token(invitation)
    result = await page_client.post("/invitation/accept", {"token": token, "password": "not the one"})
    assert (result.status, result.code) == (401, "invalid-credentials")
    assert 'data-testid="password:wrong-password"' in result.html
    assert result.hidden["token"] == token
    assert await page_client.state(invitation) == "PENDING"


async def test_a_mailed_link_is_accepted_without_signing_in(page_client: PageClient) -> None:
    user = await page_client.user()
    invitation = await page_client.invite(user.email)
    result = await page_client.post(
        "/invitation/accept", {"token": page_client.token(invitation), "password": "", "how": "unsigned"}
    )
    assert result.target == "/invitation/arrived?how=unsigned"
    assert "access_token" not in page_client.browser.cookies
    assert "It is added to your account" in (await page_client.get(result.target)).words
    assert await page_client.state(invitation) == "ACCEPTED"


async def test_a_revealed_link_requires_signing_in(page_client: PageClient) -> None:
    user = await page_client.user()
    invitation = await page_client.invite(user.email)
    token = page_client.token(invitation, Channel.REVEALED)
    page = await page_client.get(f"/invitation?token={token}")
    assert "This link was handed over, not mailed" in page.words
    assert "Accept without signing in" not in page.words
    result = await page_client.post("/invitation/accept", {"token": token, "how": "unsigned"})
    assert (result.status, result.code) == (409, "sign-in-required")
    result = await page_client.post("/invitation/accept", {"token": token, "password": PASSWORD})
    assert result.target == "/invitation/arrived?how=added"


async def test_a_revealed_link_creates_an_unconfirmed_account(page_client: PageClient) -> None:
    token = page_client.token(await page_client.invite(), Channel.REVEALED)
    result = await page_client.post("/invitation/accept", {**PROFILE, "token": token})
    assert result.status == 303
    assert "A mail is on its way to jonas@people.test" in (await page_client.get(result.target)).words


async def test_a_signed_in_invitee_accepts_with_one_button(page_client: PageClient) -> None:
    user = await page_client.user()
    invitation = await page_client.invite(user.email, by=await page_client.inviter())
    await page_client.sign_in()
    page = await page_client.get(f"/invitation?token={page_client.token(invitation)}")
    assert "Mira Okafor has something for you, Ada" in page.words
    assert 'type="password"' not in page.html
    result = await page_client.post("/invitation/accept", {"token": page_client.token(invitation)})
    assert result.target == "/invitation/arrived?how=added"
    assert await page_client.state(invitation) == "ACCEPTED"


async def test_a_role_with_more_permissions_is_kept_and_the_page_says_so(page_client: PageClient) -> None:
    user = await page_client.user(role="team")
    await page_client.group()
    await page_client.sign_in()
    token = page_client.token(await page_client.invite(user.email, role="customer", groups=("spring",)))
    result = await page_client.post("/invitation/accept", {"token": token})
    assert result.target == "/invitation/arrived?how=added&kept=yes"
    assert (
        "You keep this role: the role of the invitation permits less." in (await page_client.get(result.target)).words
    )


async def test_an_unconfirmed_account_counts_as_none(page_client: PageClient) -> None:
    await page_client.user("jonas@people.test", email_verified=False)
    token = page_client.token(await page_client.invite())
    assert 'data-testid="register"' in (await page_client.get(f"/invitation?token={token}")).html
    result = await page_client.post("/invitation/accept", {**PROFILE, "token": token})
    assert result.target == "/invitation/arrived?how=joined"


async def test_a_signed_in_user_registers_an_unconfirmed_account_again(page_client: PageClient) -> None:
    user = await page_client.user("jonas@people.test", email_verified=False)
    await page_client.sign_in("jonas@people.test")
    token = page_client.token(await page_client.invite(user.email))
    page = await page_client.get(f"/invitation?token={token}")
    assert "the address was never confirmed" in page.words
    assert 'data-testid="register"' in page.html
    result = await page_client.post(
        "/invitation/accept", {**PROFILE, "token": token, "password": "another long herons 8"}
    )
    assert result.status == 303
    assert "Welcome, Jonas" in (await page_client.get(result.target)).words
    updated_user = await page_client.find_user("jonas@people.test")
    assert updated_user is not None
    assert (updated_user.id, updated_user.email_verified, updated_user.first_name) == (user.id, True, "Jonas")


async def test_another_user_sees_both_accounts_and_may_switch(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.sign_in()
    invitation = await page_client.invite(first_name="Jonas", last_name="Keller")
    token = page_client.token(invitation)
    page = await page_client.get(f"/invitation?token={token}")
    assert (page.status, page.code) == (409, "wrong-account")
    for text in ("You are signed in as Ada Löwe", "The invitation is for Jonas Keller", "continue as Jonas"):
        assert text in page.words
    result = await page_client.post("/invitation/accept", {**PROFILE, "token": token})
    assert (result.status, result.code) == (409, "wrong-account")
    switched = await page_client.post("/invitation/switch", {"token": token})
    assert switched.target == f"/invitation?token={token}"
    assert "access_token" not in page_client.browser.cookies
    assert 'data-testid="register"' in (await page_client.get(switched.target)).html
    assert await page_client.state(invitation) == "PENDING"


async def test_a_blocked_account_cannot_accept(page_client: PageClient) -> None:
    user = await page_client.user(blocked=True)
    token = page_client.token(await page_client.invite(user.email))
    result = await page_client.post("/invitation/accept", {"token": token, "how": "unsigned"})
    assert (result.status, result.code) == (409, "account-blocked")


async def test_an_inviter_who_may_no_longer_grant_ends_the_link(page_client: PageClient) -> None:
    inviter = await page_client.inviter()
    token = page_client.token(await page_client.invite(by=inviter))
    await page_client.change_user("mira@people.test", role="customer")
    result = await page_client.post("/invitation/accept", {**PROFILE, "token": token})
    assert (result.status, result.code) == (409, "inviter-not-allowed")


async def test_the_arrived_page_requires_signing_in(page_client: PageClient) -> None:
    assert (await page_client.get("/invitation/arrived?how=joined")).target == "/login"
