"""The link of an invitation: what it shows to whom, and saying yes."""

import pytest
from tests.support.page_client import PASSWORD, Door

from latchstring.domain.invitation import Channel

PROFILE = {"firstName": "Jonas", "lastName": "Keller", "password": PASSWORD, "acceptTerms": "yes"}
MESSAGE = 'See <b>https://elsewhere.test</b> & "come"\nOn Monday'


async def test_a_stranger_sees_who_invites_to_what(door: Door) -> None:
    await door.group()
    invitation = await door.invite(
        by=await door.inviter(),
        groups=("spring",),
        first_name="Jonas",
        last_name="Keller",
        message="Bring tide tables.",
    )
    seen = await door.get(f"/invitation?token={door.token(invitation)}")
    assert (seen.status, seen.code) == (200, None)
    assert "Mira Okafor invites you to Orchard Lane" in seen.words
    for words in ("You join as Team", "Spring cohort", "Bring tide tables.", "Create account and come in"):
        assert words in seen.words
    assert 'value="Jonas"' in seen.html
    assert 'value="Keller"' in seen.html
    assert "This link works until Monday 9 March 2026, 12:00 (UTC)." in seen.words


async def test_nobody_in_person_invites_when_an_operator_did(door: Door) -> None:
    seen = await door.get(f"/invitation?token={door.token(await door.invite())}")
    assert "You are invited to Orchard Lane" in seen.words
    assert "Operator" not in seen.words


async def test_a_message_is_escaped_and_leads_nowhere(door: Door) -> None:
    seen = await door.get(f"/invitation?token={door.token(await door.invite(message=MESSAGE))}")
    assert "See &lt;b&gt;https://elsewhere.test&lt;/b&gt; &amp; &#34;come&#34;\nOn Monday</blockquote>" in seen.html
    assert 'href="https://elsewhere' not in seen.html


async def test_names_cannot_become_markup_and_are_isolated(door: Door) -> None:
    inviter = await door.user("eve@people.test", first_name="<i>Eve", last_name="& Co", role="team")
    invitation = await door.invite(by=door.services.users.principal_of(inviter), first_name='"><script>')
    seen = await door.get(f"/invitation?token={door.token(invitation)}")
    assert "<bdi>&lt;i&gt;Eve &amp; Co</bdi>" in seen.html
    assert 'value="&#34;&gt;&lt;script&gt;"' in seen.html
    assert "<i>Eve" not in seen.html


async def test_registering_makes_the_account_and_arrives_signed_in(door: Door) -> None:
    await door.group()
    invitation = await door.invite(groups=("spring",))
    token = door.token(invitation)
    await door.get(f"/invitation?token={token}")
    sent = await door.post("/invitation/accept", {**PROFILE, "token": token})
    assert (sent.status, sent.target) == (303, "/invitation/arrived?how=joined")
    user = await door.account("jonas@people.test")
    assert user is not None
    assert (user.name, user.role, user.groups, user.email_verified, user.locale) == (
        "Jonas Keller",
        "team",
        ("spring",),
        True,
        "en",
    )
    seen = await door.get(sent.target)
    assert "Welcome in, Jonas" in seen.words
    assert "You are Team at Orchard Lane" in seen.words
    assert "You are in Spring cohort" in seen.words
    assert await door.state(invitation) == "ACCEPTED"


async def test_arriving_goes_on_to_where_the_app_wants(door: Door) -> None:
    invitation = await door.invite(redirect_url="https://app.orchard.example/welcome?a=1&b=%20")
    token = door.token(invitation)
    sent = await door.post("/invitation/accept", {**PROFILE, "token": token})
    assert (sent.status, sent.target) == (303, "https://app.orchard.example/welcome?a=1&b=%20")
    policy = (await door.get("/login")).response.headers["Content-Security-Policy"]
    assert "form-action 'self' http://door.test https://app.orchard.example" in policy


async def test_every_problem_is_told_at_once_and_what_was_typed_stays(door: Door) -> None:
    token = door.token(await door.invite())
    sent = await door.post(
        "/invitation/accept", {"token": token, "firstName": "Jo<nas", "lastName": " ", "password": "short"}
    )
    assert (sent.status, sent.code) == (422, "invalid-fields")
    for words in (
        "3 things need another look",
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
    assert await door.account("jonas@people.test") is None


async def test_a_name_of_control_characters_is_refused_in_words(door: Door) -> None:
    token = door.token(await door.invite())
    sent = await door.post("/invitation/accept", {**PROFILE, "token": token, "firstName": "Jo\u202enas"})
    assert (sent.status, sent.code) == (422, "invalid-fields")
    assert "Use letters that can be seen, on one line" in sent.words


@pytest.mark.parametrize("password", ["jonas@people.test", "password123"])
async def test_a_password_anybody_would_guess_is_refused_in_words(door: Door, password: str) -> None:
    token = door.token(await door.invite())
    sent = await door.post("/invitation/accept", {**PROFILE, "token": token, "password": password})
    assert (sent.status, sent.code) == (422, "invalid-fields")
    assert "This is among the first passwords anybody would try. Take another." in sent.words


async def test_terms_alone_have_their_own_code(door: Door) -> None:
    token = door.token(await door.invite())
    sent = await door.post("/invitation/accept", {**PROFILE, "token": token, "acceptTerms": ""})
    assert (sent.status, sent.code) == (422, "terms-required")
    assert "Accept the terms to come in" in sent.words


@pytest.mark.parametrize(
    "door", [('terms-url = "https://orchard.example/terms"\nterms-version = "1"', "")], indirect=True
)
async def test_without_terms_nobody_is_asked_to_accept_any(door: Door) -> None:
    token = door.token(await door.invite())
    assert "I accept" not in (await door.get(f"/invitation?token={token}")).words
    sent = await door.post("/invitation/accept", {**PROFILE, "token": token, "acceptTerms": ""})
    assert sent.target == "/invitation/arrived?how=joined"


# ---- somebody who has an account ---------------------------------------------------------------------------------


async def test_somebody_with_an_account_signs_in_on_the_spot(door: Door) -> None:
    user = await door.user()
    token = door.token(await door.invite(user.email))
    seen = await door.get(f"/invitation?token={token}")
    assert "Sign in and accept" in seen.words
    assert "Ada" not in seen.words  # the account's name is not for whoever holds a link
    sent = await door.post("/invitation/accept", {"token": token, "password": PASSWORD, "how": "sign-in"})
    assert sent.target == "/invitation/arrived?how=added"
    seen = await door.get(sent.target)
    assert "Welcome in, Ada" in seen.words
    assert "It is added to your account, and you are signed in." in seen.words


async def test_a_wrong_password_accepts_nothing(door: Door) -> None:
    user = await door.user()
    invitation = await door.invite(user.email)
    token = door.token(invitation)
    sent = await door.post("/invitation/accept", {"token": token, "password": "not the one"})
    assert (sent.status, sent.code) == (401, "invalid-credentials")
    assert "This is not the password of the account." in sent.words
    assert sent.hidden["token"] == token
    assert await door.state(invitation) == "PENDING"


async def test_a_mailed_link_is_accepted_without_signing_in(door: Door) -> None:
    user = await door.user()
    invitation = await door.invite(user.email)
    sent = await door.post("/invitation/accept", {"token": door.token(invitation), "password": "", "how": "unsigned"})
    assert sent.target == "/invitation/arrived?how=unsigned"
    assert "access_token" not in door.browser.cookies
    assert "It is added to your account" in (await door.get(sent.target)).words
    assert await door.state(invitation) == "ACCEPTED"


async def test_a_revealed_link_needs_the_account_itself(door: Door) -> None:
    user = await door.user()
    invitation = await door.invite(user.email)
    token = door.token(invitation, Channel.REVEALED)
    seen = await door.get(f"/invitation?token={token}")
    assert "This link was handed over, not mailed" in seen.words
    assert "Accept without signing in" not in seen.words
    sent = await door.post("/invitation/accept", {"token": token, "how": "unsigned"})
    assert (sent.status, sent.code) == (409, "sign-in-required")
    sent = await door.post("/invitation/accept", {"token": token, "password": PASSWORD})
    assert sent.target == "/invitation/arrived?how=added"


async def test_a_revealed_link_makes_an_unconfirmed_account(door: Door) -> None:
    token = door.token(await door.invite(), Channel.REVEALED)
    sent = await door.post("/invitation/accept", {**PROFILE, "token": token})
    assert sent.status == 303
    assert "A mail is on its way to jonas@people.test" in (await door.get(sent.target)).words


async def test_whoever_is_signed_in_accepts_with_one_press(door: Door) -> None:
    user = await door.user()
    invitation = await door.invite(user.email, by=await door.inviter())
    await door.sign_in()
    seen = await door.get(f"/invitation?token={door.token(invitation)}")
    assert "Mira Okafor has something for you, Ada" in seen.words
    assert 'type="password"' not in seen.html
    sent = await door.post("/invitation/accept", {"token": door.token(invitation)})
    assert sent.target == "/invitation/arrived?how=added"
    assert await door.state(invitation) == "ACCEPTED"


async def test_a_greater_role_is_kept_and_the_page_says_so(door: Door) -> None:
    user = await door.user(role="team")
    await door.group()
    await door.sign_in()
    token = door.token(await door.invite(user.email, role="customer", groups=("spring",)))
    sent = await door.post("/invitation/accept", {"token": token})
    assert sent.target == "/invitation/arrived?how=added&kept=yes"
    assert "You keep it: the role of the invitation holds less." in (await door.get(sent.target)).words


async def test_an_account_nobody_confirmed_counts_as_none(door: Door) -> None:
    await door.user("jonas@people.test", email_verified=False)
    token = door.token(await door.invite())
    assert "Create account and come in" in (await door.get(f"/invitation?token={token}")).words
    sent = await door.post("/invitation/accept", {**PROFILE, "token": token})
    assert sent.target == "/invitation/arrived?how=joined"


async def test_an_account_nobody_confirmed_is_made_anew_by_who_is_signed_in(door: Door) -> None:
    user = await door.user("jonas@people.test", email_verified=False)
    await door.sign_in("jonas@people.test")
    token = door.token(await door.invite(user.email))
    seen = await door.get(f"/invitation?token={token}")
    assert "nobody has confirmed the address" in seen.words
    assert "Create account and come in" in seen.words
    sent = await door.post("/invitation/accept", {**PROFILE, "token": token, "password": "another long herons 8"})
    assert sent.status == 303
    assert "Welcome in, Jonas" in (await door.get(sent.target)).words
    after = await door.account("jonas@people.test")
    assert after is not None
    assert (after.id, after.email_verified, after.first_name) == (user.id, True, "Jonas")


async def test_somebody_else_is_shown_both_accounts_and_may_switch(door: Door) -> None:
    await door.user()
    await door.sign_in()
    invitation = await door.invite(first_name="Jonas", last_name="Keller")
    token = door.token(invitation)
    seen = await door.get(f"/invitation?token={token}")
    assert (seen.status, seen.code) == (409, "wrong-account")
    for words in ("You are signed in as Ada Löwe", "The invitation is for Jonas Keller", "continue as Jonas"):
        assert words in seen.words
    sent = await door.post("/invitation/accept", {**PROFILE, "token": token})
    assert (sent.status, sent.code) == (409, "wrong-account")
    switched = await door.post("/invitation/switch", {"token": token})
    assert switched.target == f"/invitation?token={token}"
    assert "access_token" not in door.browser.cookies
    assert "Create account and come in" in (await door.get(switched.target)).words
    assert await door.state(invitation) == "PENDING"


async def test_a_blocked_account_is_told(door: Door) -> None:
    user = await door.user(blocked=True)
    token = door.token(await door.invite(user.email))
    sent = await door.post("/invitation/accept", {"token": token, "how": "unsigned"})
    assert (sent.status, sent.code) == (409, "account-blocked")
    assert "Your account is blocked" in sent.words


async def test_an_inviter_who_may_no_longer_grant_is_told(door: Door) -> None:
    inviter = await door.inviter()
    token = door.token(await door.invite(by=inviter))
    changes = {"role": "customer"}
    await door.change("mira@people.test", **changes)
    sent = await door.post("/invitation/accept", {**PROFILE, "token": token})
    assert (sent.status, sent.code) == (409, "inviter-not-allowed")
    assert "This invitation cannot be used right now" in sent.words


async def test_arriving_is_for_those_who_are_in(door: Door) -> None:
    assert (await door.get("/invitation/arrived?how=joined")).target == "/login"
