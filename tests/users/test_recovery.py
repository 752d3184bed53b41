"""Password reset and e-mail verification links."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.support.service_env import NETWORK

from latchstring.crypto.link_tokens import Purpose
from latchstring.domain.errors import (
    CredentialInvalid,
    InvalidCredentials,
    InvalidFields,
    ResetTokenInvalid,
    VerificationTokenInvalid,
)
from latchstring.domain.mail import DeliveryState, MailKind
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.formats.email_address import parse_address
from latchstring.users.accounts import UserChanges

PASSWORD = "correct horse 9 Battery"
NEW = "quite another one 5"


async def reset_token(service_env: Any, user: Any) -> str:
    await service_env.users.recovery.request_password_reset(parse_address(user.email), locale="de")
    token: str = await service_env.token_of((await service_env.mails())[-1])
    return token


async def test_a_reset_sets_the_password_ends_sessions_and_verifies_the_address(service_env: Any) -> None:
    user = await service_env.user(email_verified=False)
    _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK)
    token = await reset_token(service_env, user)
    assert (await service_env.users.recovery.find_reset_user(token)).id == user.id
    await service_env.users.recovery.reset_password(token, NEW)
    with pytest.raises(CredentialInvalid):
        await service_env.users.sessions.principal_of_access_token(tokens.access_token)
    with pytest.raises(InvalidCredentials):
        await service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK)
    present, _ = await service_env.users.sessions.login(user.email_key, NEW, network=NETWORK)
    assert present.email_verified


async def test_a_reset_link_works_once_and_invalidates_the_others(service_env: Any) -> None:
    user = await service_env.user()
    other_token, token = await reset_token(service_env, user), await reset_token(service_env, user)
    await service_env.users.recovery.reset_password(token, NEW)
    for used in (token, other_token):
        with pytest.raises(ResetTokenInvalid):
            await service_env.users.recovery.reset_password(used, "and yet another 7")
        assert await service_env.users.recovery.find_reset_user(used) is None


async def test_of_resets_at_once_one_succeeds(service_env: Any) -> None:
    user = await service_env.user()
    token = await reset_token(service_env, user)
    passwords = [f"password number {i} of them" for i in range(6)]
    results = await asyncio.gather(
        *(service_env.users.recovery.reset_password(token, password) for password in passwords), return_exceptions=True
    )
    assert [type(result) for result in results].count(ResetTokenInvalid) == 5
    accepted = passwords[results.index(None)]
    await service_env.users.sessions.login(user.email_key, accepted, network=NETWORK)
    assert (await service_env.events()).count("user.password_reset") == 1


async def test_a_reset_link_stops_working_after_expiry_block_erasure_or_a_new_address(service_env: Any) -> None:
    for change in (UserChanges(blocked=True), UserChanges(address=parse_address("moved@people.test")), None):
        user = await service_env.user()
        token = await reset_token(service_env, user)
        if change is None:
            await service_env.users.erase(user.id, by=OPERATOR_PRINCIPAL)
        else:
            await service_env.users.change(user.id, change, by=OPERATOR_PRINCIPAL)
        with pytest.raises(ResetTokenInvalid):
            await service_env.users.recovery.reset_password(token, NEW)
    token = await reset_token(service_env, await service_env.user())
    service_env.clock.forward(timedelta(hours=1))
    with pytest.raises(ResetTokenInvalid):
        await service_env.users.recovery.reset_password(token, NEW)


async def test_a_weak_password_does_not_use_the_link(service_env: Any) -> None:
    token = await reset_token(service_env, await service_env.user())
    with pytest.raises(InvalidFields) as refused:
        await service_env.users.recovery.reset_password(token, "short")
    assert [problem.pointer for problem in refused.value.errors] == ["/newPassword"]
    await service_env.users.recovery.reset_password(token, NEW)


async def test_a_reset_request_always_stores_a_mail_but_sends_it_only_to_accounts(service_env: Any) -> None:
    user, blocked = await service_env.user(), await service_env.user(blocked=True)
    for address in (user.email, blocked.email, "nobody@people.test"):
        await service_env.users.recovery.request_password_reset(parse_address(address))
    mails = await service_env.mails()
    assert [mail.state for mail in mails] == [DeliveryState.QUEUED, DeliveryState.SUPPRESSED, DeliveryState.SUPPRESSED]
    assert await service_env.users.recovery.load_password_reset_mail(mails[1]) is None


async def test_a_reset_mail_prefers_the_language_of_the_account(service_env: Any) -> None:
    german, other = await service_env.user(locale="de"), await service_env.user()
    for user in (german, other):
        await service_env.users.recovery.request_password_reset(parse_address(user.email), locale="en")
    assert [mail.locale for mail in await service_env.mails()] == ["de", "en"]


async def test_a_queued_mail_whose_link_stopped_working_is_not_sent(service_env: Any) -> None:
    user = await service_env.user(email_verified=False)
    await service_env.users.recovery.request_password_reset(parse_address(user.email))
    await service_env.users.recovery.request_verification(user)
    reset, verification = await service_env.mails()
    token = await service_env.token_of(reset)
    assert await service_env.users.recovery.load_email_verification_mail(verification) is not None
    await service_env.users.recovery.reset_password(token, NEW)
    assert await service_env.users.recovery.load_password_reset_mail(reset) is None
    assert await service_env.users.recovery.load_email_verification_mail(verification) is None


async def test_each_attempt_of_a_mail_has_the_same_link(service_env: Any) -> None:
    user = await service_env.user()
    await service_env.users.recovery.request_password_reset(parse_address(user.email))
    (mail,) = await service_env.mails()
    first = await service_env.users.recovery.load_password_reset_mail(mail)
    service_env.clock.forward(timedelta(minutes=5))
    assert await service_env.users.recovery.load_password_reset_mail(mail) == first
    assert first.link_url.startswith("https://invite.example.org/password-reset?token=ey")


async def test_an_address_is_verified_once(service_env: Any) -> None:
    user = await service_env.user(email_verified=False)
    await service_env.users.recovery.request_verification(user)
    await service_env.users.recovery.request_verification_of(parse_address(user.email))
    mails = await service_env.mails()
    assert [mail.kind for mail in mails] == [MailKind.EMAIL_VERIFICATION] * 2
    tokens = [await service_env.token_of(mail) for mail in mails]
    results = await asyncio.gather(
        *(service_env.users.recovery.verify_email(token) for token in tokens), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["UUID", "VerificationTokenInvalid"]
    assert (await service_env.reload(user)).email_verified


async def test_verified_addresses_get_no_verification_mail(service_env: Any) -> None:
    user = await service_env.user()
    await service_env.users.recovery.request_verification(user)
    await service_env.users.recovery.request_verification_of(parse_address(user.email))
    assert [mail.state for mail in await service_env.mails()] == [DeliveryState.SUPPRESSED]


async def test_a_verification_link_does_not_verify_another_address(service_env: Any) -> None:
    user = await service_env.user(email_verified=False)
    await service_env.users.recovery.request_verification(user)
    token = await service_env.token_of((await service_env.mails())[-1])
    changes = UserChanges(address=parse_address("moved@people.test"))
    await service_env.users.change(user.id, changes, by=OPERATOR_PRINCIPAL)
    with pytest.raises(VerificationTokenInvalid):
        await service_env.users.recovery.verify_email(token)


async def test_links_work_only_for_their_own_purpose(service_env: Any) -> None:
    user = await service_env.user(email_verified=False)
    reset = await reset_token(service_env, user)
    await service_env.users.recovery.request_verification(user)
    verification = await service_env.token_of((await service_env.mails())[-1])
    with pytest.raises(VerificationTokenInvalid):
        await service_env.users.recovery.verify_email(reset)
    with pytest.raises(ResetTokenInvalid):
        await service_env.users.recovery.reset_password(verification, NEW)
    assert service_env.tokens.verify(Purpose.PASSWORD_RESET, reset).subject_id == user.id
