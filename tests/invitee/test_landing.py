"""The link of an invitation: what it shows to whom, and saying yes."""

import pytest
from tests.support.page_client import PASSWORD, PageClient

from latchstring.domain.invitation import Channel

PROFILE = {"firstName": "Jonas", "lastName": "Keller", "password": PASSWORD, "acceptTerms": "yes"}
MESSAGE = 'See <b>https://elsewhere.test</b> & "come"\nOn Monday'


async def test_a_stranger_sees_who_invites_to_what(page_client: PageClient) -> None:
    await page_client.group()
    invitation = await page_client.invite(
        by=await page_client.inviter(),
        groups=("spring",),
        first_name="Jonas",
        last_name="Keller",
        message="Bring tide tables.",
    )
    seen = await page_client.get(f"/invitation?token={page_client.token(invitation)}")
    assert (seen.status, seen.code) == (200, None)
    assert "Mira Okafor invites you to Orchard Lane" in seen.words
    for words in ("You join as Team", "Spring cohort", "Bring tide tables.", "Create account"):
        assert words in seen.words
    assert 'value="Jonas"' in seen.html
    assert 'value="Keller"' in seen.html
    assert "This link works until Monday 9 March 2026, 12:00 (UTC)." in seen.words


async def test_nobody_in_person_invites_when_an_operator_did(page_client: PageClient) -> None:
    seen = await page_client.get(f"/invitation?token={page_client.token(await page_client.invite())}")
    assert "You are invited to Orchard Lane" in seen.words
    assert "Operator" not in seen.words


async def test_a_message_is_escaped_and_leads_nowhere(page_client: PageClient) -> None:
    seen = await page_client.get(f"/invitation?token={page_client.token(await page_client.invite(message=MESSAGE))}")
    assert "See &lt;b&gt;https://elsewhere.test&lt;/b&gt; &amp; &#34;come&#34;\nOn Monday</blockquote>" in seen.html
    assert 'href="https://elsewhere' not in seen.html


async def test_names_cannot_become_markup_and_are_isolated(page_client: PageClient) -> None:
    inviter = await page_client.user("eve@people.test", first_name="<i>Eve", last_name="& Co", role="team")
    invitation = await page_client.invite(by=page_client.services.users.principal_of(inviter), first_name='"><script>')
    seen = await page_client.get(f"/invitation?token={page_client.token(invitation)}")
    assert "<bdi>&lt;i&gt;Eve &amp; Co</bdi>" in seen.html
    assert 'value="&#34;&gt;&lt;script&gt;"' in seen.html
    assert "<i>Eve" not in seen.html


async def test_registering_makes_the_account_and_arrives_signed_in(page_client: PageClient) -> None:
    await page_client.group()
    invitation = await page_client.invite(groups=("spring",))
    token = page_client.token(invitation)
    await page_client.get(f"/invitation?token={token}")
    sent = await page_client.post("/invitation/accept", {**PROFILE, "token": token})
    assert (sent.status, sent.target) == (303, "/invitation/arrived?how=joined")
    user = await page_client.find_user("jonas@people.test")
    assert user is not None
    assert (user.name, user.role, user.groups, user.email_verified, user.locale) == (
        "Jonas Keller",
        "team",
        ("spring",),
        True,
        "en",
    )
    seen = await page_client.get(sent.target)
    assert "Welcome, Jonas" in seen.words
    assert "You are Team at Orchard Lane" in seen.words
    assert "You are in Spring cohort" in seen.words
    assert await page_client.state(invitation) == "ACCEPTED"


async def test_arriving_goes_on_to_where_the_app_wants(page_client: PageClient) -> None:
    invitation = await page_client.invite(redirect_url="https://app.orchard.example/welcome?a=1&b=%20")
    token = page_client.token(invitation)
    sent = await page_client.post("/invitation/accept", {**PROFILE, "token": token})
    assert (sent.status, sent.target) == (303, "https://app.orchard.example/welcome?a=1&b=%20")
    policy = (await page_client.get("/login")).response.headers["Content-Security-Policy"]
    assert "form-action 'self' http://pages.test https://app.orchard.example" in policy


async def test_every_problem_is_told_at_once_and_what_was_typed_stays(page_client: PageClient) -> None:
    token = page_client.token(await page_client.invite())
    sent = await page_client.post(
        "/invitation/accept", {"token": token, "firstName": "Jo<nas", "lastName": " ", "password": "short"}
    )
    assert (sent.status, sent.code) == (422, "invalid-fields")
    for words in (
        "Check 3 fields",
        "Enter your last name",
        "Use at least 10 characters",
        "Accept the terms",
    ):
        assert words in sent.words
    assert 'value="Jo&lt;nas"' in sent.html
    assert 'value="short"' not in sent.html
    assert sent.hidden["token"] == token
    assert sent.title.startswith("Error: ")
    assert 'aria-describedby="lastName-error" aria-invalid="true"' in sent.html
    assert await page_client.find_user("jonas@people.test") is None


async def test_a_name_of_control_characters_is_refused_in_words(page_client: PageClient) -> None:
    token = page_client.token(await page_client.invite())
    sent = await page_client.post("/invitation/accept", {**PROFILE, "token": token, "firstName": "Jo\u202enas"})
    assert (sent.status, sent.code) == (422, "invalid-fields")
    assert 'data-testid="firstName:control-characters"' in sent.html


@pytest.mark.parametrize("password", ["jonas@people.test", "password123"])
async def test_a_password_anybody_would_guess_is_refused_in_words(page_client: PageClient, password: str) -> None:
    token = page_client.token(await page_client.invite())
    sent = await page_client.post("/invitation/accept", {**PROFILE, "token": token, "password": password})
    assert (sent.status, sent.code) == (422, "invalid-fields")
    assert 'data-testid="password:too-common"' in sent.html


async def test_terms_alone_have_their_own_code(page_client: PageClient) -> None:
    token = page_client.token(await page_client.invite())
    sent = await page_client.post("/invitation/accept", {**PROFILE, "token": token, "acceptTerms": ""})
    assert (sent.status, sent.code) == (422, "terms-required")
    assert 'data-testid="acceptTerms:' in sent.html


@pytest.mark.parametrize(
    "page_client", [('terms-url = "https://orchard.example/terms"\nterms-version = "1"', "")], indirect=True
)
async def test_without_terms_nobody_is_asked_to_accept_any(page_client: PageClient) -> None:
    token = page_client.token(await page_client.invite())
    assert "I accept" not in (await page_client.get(f"/invitation?token={token}")).words
    sent = await page_client.post("/invitation/accept", {**PROFILE, "token": token, "acceptTerms": ""})
    assert sent.target == "/invitation/arrived?how=joined"


# ---- somebody who has an account -------------------------------------------------------------------------------------


async def test_somebody_with_an_account_signs_in_on_the_spot(page_client: PageClient) -> None:
    user = await page_client.user()
    token = page_client.token(await page_client.invite(user.email))
    seen = await page_client.get(f"/invitation?token={token}")
    assert 'data-testid="sign-in-to-accept"' in seen.html
    assert "Ada" not in seen.words  # the account's name is not for whoever holds a link
    sent = await page_client.post("/invitation/accept", {"token": token, "password": PASSWORD, "how": "sign-in"})
    assert sent.target == "/invitation/arrived?how=added"
    seen = await page_client.get(sent.target)
    assert "Welcome, Ada" in seen.words
    assert "It is added to your account, and you are signed in." in seen.words


async def test_a_wrong_password_accepts_nothing(page_client: PageClient) -> None:
    user = await page_client.user()
    invitation = await page_client.invite(user.email)
    token = page_client.token(invitation)
    sent = await page_client.post("/invitation/accept", {"token": token, "password": "not the one"})
    assert (sent.status, sent.code) == (401, "invalid-credentials")
    assert 'data-testid="password:wrong-password"' in sent.html
    assert sent.hidden["token"] == token
    assert await page_client.state(invitation) == "PENDING"


async def test_a_mailed_link_is_accepted_without_signing_in(page_client: PageClient) -> None:
    user = await page_client.user()
    invitation = await page_client.invite(user.email)
    sent = await page_client.post(
        "/invitation/accept", {"token": page_client.token(invitation), "password": "", "how": "unsigned"}
    )
    assert sent.target == "/invitation/arrived?how=unsigned"
    assert "access_token" not in page_client.browser.cookies
    assert "It is added to your account" in (await page_client.get(sent.target)).words
    assert await page_client.state(invitation) == "ACCEPTED"


async def test_a_revealed_link_needs_the_account_itself(page_client: PageClient) -> None:
    user = await page_client.user()
    invitation = await page_client.invite(user.email)
    token = page_client.token(invitation, Channel.REVEALED)
    seen = await page_client.get(f"/invitation?token={token}")
    assert "This link was handed over, not mailed" in seen.words
    assert "Accept without signing in" not in seen.words
    sent = await page_client.post("/invitation/accept", {"token": token, "how": "unsigned"})
    assert (sent.status, sent.code) == (409, "sign-in-required")
    sent = await page_client.post("/invitation/accept", {"token": token, "password": PASSWORD})
    assert sent.target == "/invitation/arrived?how=added"


async def test_a_revealed_link_makes_an_unconfirmed_account(page_client: PageClient) -> None:
    token = page_client.token(await page_client.invite(), Channel.REVEALED)
    sent = await page_client.post("/invitation/accept", {**PROFILE, "token": token})
    assert sent.status == 303
    assert "A mail is on its way to jonas@people.test" in (await page_client.get(sent.target)).words


async def test_whoever_is_signed_in_accepts_with_one_press(page_client: PageClient) -> None:
    user = await page_client.user()
    invitation = await page_client.invite(user.email, by=await page_client.inviter())
    await page_client.sign_in()
    seen = await page_client.get(f"/invitation?token={page_client.token(invitation)}")
    assert "Mira Okafor has something for you, Ada" in seen.words
    assert 'type="password"' not in seen.html
    sent = await page_client.post("/invitation/accept", {"token": page_client.token(invitation)})
    assert sent.target == "/invitation/arrived?how=added"
    assert await page_client.state(invitation) == "ACCEPTED"


async def test_a_greater_role_is_kept_and_the_page_says_so(page_client: PageClient) -> None:
    user = await page_client.user(role="team")
    await page_client.group()
    await page_client.sign_in()
    token = page_client.token(await page_client.invite(user.email, role="customer", groups=("spring",)))
    sent = await page_client.post("/invitation/accept", {"token": token})
    assert sent.target == "/invitation/arrived?how=added&kept=yes"
    assert "You keep this role: the role of the invitation permits less." in (await page_client.get(sent.target)).words


async def test_an_account_nobody_confirmed_counts_as_none(page_client: PageClient) -> None:
    await page_client.user("jonas@people.test", email_verified=False)
    token = page_client.token(await page_client.invite())
    assert 'data-testid="register"' in (await page_client.get(f"/invitation?token={token}")).html
    sent = await page_client.post("/invitation/accept", {**PROFILE, "token": token})
    assert sent.target == "/invitation/arrived?how=joined"


async def test_an_account_nobody_confirmed_is_made_anew_by_who_is_signed_in(page_client: PageClient) -> None:
    user = await page_client.user("jonas@people.test", email_verified=False)
    await page_client.sign_in("jonas@people.test")
    token = page_client.token(await page_client.invite(user.email))
    seen = await page_client.get(f"/invitation?token={token}")
    assert "the address was never confirmed" in seen.words
    assert 'data-testid="register"' in seen.html
    sent = await page_client.post(
        "/invitation/accept", {**PROFILE, "token": token, "password": "another long herons 8"}
    )
    assert sent.status == 303
    assert "Welcome, Jonas" in (await page_client.get(sent.target)).words
    after = await page_client.find_user("jonas@people.test")
    assert after is not None
    assert (after.id, after.email_verified, after.first_name) == (user.id, True, "Jonas")


async def test_somebody_else_is_shown_both_accounts_and_may_switch(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.sign_in()
    invitation = await page_client.invite(first_name="Jonas", last_name="Keller")
    token = page_client.token(invitation)
    seen = await page_client.get(f"/invitation?token={token}")
    assert (seen.status, seen.code) == (409, "wrong-account")
    for words in ("You are signed in as Ada Löwe", "The invitation is for Jonas Keller", "continue as Jonas"):
        assert words in seen.words
    sent = await page_client.post("/invitation/accept", {**PROFILE, "token": token})
    assert (sent.status, sent.code) == (409, "wrong-account")
    switched = await page_client.post("/invitation/switch", {"token": token})
    assert switched.target == f"/invitation?token={token}"
    assert "access_token" not in page_client.browser.cookies
    assert 'data-testid="register"' in (await page_client.get(switched.target)).html
    assert await page_client.state(invitation) == "PENDING"


async def test_a_blocked_account_is_told(page_client: PageClient) -> None:
    user = await page_client.user(blocked=True)
    token = page_client.token(await page_client.invite(user.email))
    sent = await page_client.post("/invitation/accept", {"token": token, "how": "unsigned"})
    assert (sent.status, sent.code) == (409, "account-blocked")


async def test_an_inviter_who_may_no_longer_grant_is_told(page_client: PageClient) -> None:
    inviter = await page_client.inviter()
    token = page_client.token(await page_client.invite(by=inviter))
    changes = {"role": "customer"}
    await page_client.change_user("mira@people.test", **changes)
    sent = await page_client.post("/invitation/accept", {**PROFILE, "token": token})
    assert (sent.status, sent.code) == (409, "inviter-not-allowed")


async def test_arriving_is_for_those_who_are_in(page_client: PageClient) -> None:
    assert (await page_client.get("/invitation/arrived?how=joined")).target == "/login"
