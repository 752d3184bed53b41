"""Sign-in, sessions and refresh tokens of users."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.support.service_env import NETWORK

from latchstring.crypto.passwords import Passwords
from latchstring.domain.errors import CredentialInvalid, InvalidCredentials, RefreshTokenInvalid
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.users.accounts import UserChanges

PASSWORD = "correct horse 9 Battery"


async def test_a_login_opens_a_session(service_env: Any) -> None:
    user = await service_env.user("team")
    signed_in, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK)
    assert (signed_in.id, signed_in.last_login_at, tokens.expires_in) == (user.id, service_env.clock.now, 900)
    principal, present = await service_env.users.sessions.principal_of_access_token(tokens.access_token)
    assert (principal.id, present.id) == (user.id, user.id)
    assert principal.can("groups:read")
    assert "user.signed_in" in await service_env.events()


@pytest.mark.parametrize("case", ["wrong password", "unknown", "no address", "no password set", "blocked"])
async def test_every_failed_login_is_refused_alike(service_env: Any, case: str) -> None:
    user = await service_env.user(password=None if case == "no password set" else PASSWORD, blocked=case == "blocked")
    address = {"unknown": "nobody@people.test", "no address": "nobody"}.get(case, user.email_key)
    password = "not the password" if case == "wrong password" else PASSWORD
    with pytest.raises(InvalidCredentials) as refused:
        await service_env.users.sessions.login(address, password, network=NETWORK)
    assert refused.value.detail == "Wrong e-mail address or password."


async def test_unknown_accounts_take_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    checked_hashes: list[str] = []
    passwords = Passwords(memory_kib=8, passes=1)
    hashed = await passwords.hash(PASSWORD)
    monkeypatch.setattr(passwords, "_verify_hash", lambda _, known_hash: bool(checked_hashes.append(known_hash)))
    await passwords.verify(PASSWORD, hashed)
    await passwords.verify(PASSWORD, None)
    passwords.close()
    assert len(checked_hashes) == 2
    assert checked_hashes[0].split("$")[:4] == checked_hashes[1].split("$")[:4]


async def test_access_tokens_stop_working_with_the_session_and_after_their_lifetime(service_env: Any) -> None:
    user = await service_env.user()
    _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK)
    _, ended = await service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK)
    principal, _ = await service_env.users.sessions.principal_of_access_token(ended.access_token)
    await service_env.users.sessions.logout(session_id=principal.session_id)
    with pytest.raises(CredentialInvalid):
        await service_env.users.sessions.principal_of_access_token(ended.access_token)
    service_env.clock.forward(timedelta(minutes=14))
    await service_env.users.sessions.principal_of_access_token(tokens.access_token)
    service_env.clock.forward(timedelta(minutes=1))
    with pytest.raises(CredentialInvalid):
        await service_env.users.sessions.principal_of_access_token(tokens.access_token)


async def test_blocking_ends_sessions_at_once_and_unblocking_does_not_restore_them(service_env: Any) -> None:
    user = await service_env.user()
    _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK)
    await service_env.users.change(user.id, UserChanges(blocked=True), by=OPERATOR_PRINCIPAL)
    with pytest.raises(CredentialInvalid):
        await service_env.users.sessions.principal_of_access_token(tokens.access_token)
    with pytest.raises(RefreshTokenInvalid):
        await service_env.users.sessions.refresh(tokens.refresh_token)
    await service_env.users.change(user.id, UserChanges(blocked=False), by=OPERATOR_PRINCIPAL)
    with pytest.raises(CredentialInvalid):
        await service_env.users.sessions.principal_of_access_token(tokens.access_token)


async def test_changed_role_and_groups_apply_from_the_next_request(service_env: Any) -> None:
    user = await service_env.user("customer")
    _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK)
    await service_env.group("readers")
    await service_env.users.change(user.id, UserChanges(role="admin", groups=("readers",)), by=OPERATOR_PRINCIPAL)
    principal, present = await service_env.users.sessions.principal_of_access_token(tokens.access_token)
    assert principal.can("audit:read")
    assert present.groups == ("readers",)


async def test_reuse_of_a_refresh_token_ends_its_session(service_env: Any) -> None:
    user = await service_env.user()
    _, first = await service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK)
    _, other = await service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK)
    _, second = await service_env.users.sessions.refresh(first.refresh_token)
    await service_env.users.sessions.principal_of_access_token(second.access_token)
    with pytest.raises(RefreshTokenInvalid):
        await service_env.users.sessions.refresh(first.refresh_token)
    with pytest.raises(CredentialInvalid):
        await service_env.users.sessions.principal_of_access_token(second.access_token)
    with pytest.raises(RefreshTokenInvalid):
        await service_env.users.sessions.refresh(second.refresh_token)
    await service_env.users.sessions.principal_of_access_token(other.access_token)
    assert (await service_env.events()).count("session.reuse_detected") == 1


async def test_of_refreshes_at_once_one_succeeds(service_env: Any) -> None:
    user = await service_env.user()
    _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK)
    results = await asyncio.gather(
        *(service_env.users.sessions.refresh(tokens.refresh_token) for _ in range(8)), return_exceptions=True
    )
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert {type(result) for result in results if isinstance(result, BaseException)} == {RefreshTokenInvalid}
    assert (await service_env.events()).count("session.reuse_detected") == 1


async def test_a_refresh_token_identifies_its_user_without_being_used(service_env: Any) -> None:
    user = await service_env.user("team")
    _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK)
    for _ in range(2):
        principal, present = await service_env.users.sessions.principal_of_refresh_token(tokens.refresh_token)
        assert (principal.id, present.id) == (user.id, user.id)
    await service_env.users.sessions.refresh(tokens.refresh_token)
    assert principal.session_id is not None


@pytest.mark.parametrize("case", ["unknown", "used", "ended", "blocked", "expired"])
async def test_an_invalid_refresh_token_identifies_nobody_and_ends_nothing(service_env: Any, case: str) -> None:
    user = await service_env.user()
    _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK)
    principal, _ = await service_env.users.sessions.principal_of_access_token(tokens.access_token)
    if case == "used":
        _, tokens_after = await service_env.users.sessions.refresh(tokens.refresh_token)
    elif case == "ended":
        await service_env.users.sessions.logout(session_id=principal.session_id)
    elif case == "blocked":
        await service_env.users.change(user.id, UserChanges(blocked=True), by=OPERATOR_PRINCIPAL)
    elif case == "expired":
        service_env.clock.forward(timedelta(days=30))
    with pytest.raises(CredentialInvalid):
        await service_env.users.sessions.principal_of_refresh_token("x" if case == "unknown" else tokens.refresh_token)
    if case == "used":
        await service_env.users.sessions.principal_of_access_token(tokens_after.access_token)


async def test_a_refresh_extends_the_session(service_env: Any) -> None:
    user = await service_env.user()
    _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK)
    for _ in range(3):
        service_env.clock.forward(timedelta(days=29))
        _, tokens = await service_env.users.sessions.refresh(tokens.refresh_token)
    service_env.clock.forward(timedelta(days=30))
    with pytest.raises(RefreshTokenInvalid):
        await service_env.users.sessions.refresh(tokens.refresh_token)


async def test_a_login_fails_if_the_password_changed_meanwhile(service_env: Any) -> None:
    user = await service_env.user()
    verified = (await service_env.reload(user)).password_hash
    await service_env.users.change(user.id, UserChanges(password="quite another 1"), by=OPERATOR_PRINCIPAL)
    with pytest.raises(InvalidCredentials):
        await service_env.users.sessions._open(user, verified_hash=verified, kept_hash=verified)


async def test_a_login_replaces_an_outdated_hash(service_env: Any) -> None:
    old = Passwords(memory_kib=16, passes=1)
    user = await service_env.user()
    hashed = await old.hash(PASSWORD)
    old.close()
    accounts = service_env.users
    changed = accounts._changed(await service_env.reload(user), UserChanges(), hashed, service_env.clock())
    from latchstring.storage.users.users import update_user  # noqa: PLC0415

    step = update_user(changed)
    await service_env.db.write(step.statement, **step.values)
    await accounts.sessions.login(user.email_key, PASSWORD, network=NETWORK)
    assert not service_env.passwords.needs_rehash((await service_env.reload(user)).password_hash)


async def test_logout_by_refresh_token_ends_the_session(service_env: Any) -> None:
    user = await service_env.user()
    _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK)
    await service_env.users.sessions.logout(refresh_token=tokens.refresh_token)
    await service_env.users.sessions.logout(refresh_token="unknown")
    with pytest.raises(CredentialInvalid):
        await service_env.users.sessions.principal_of_access_token(tokens.access_token)


async def test_expired_sessions_are_deleted(service_env: Any) -> None:
    user = await service_env.user()
    await service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK)
    assert await service_env.users.sessions.purge() == 0
    service_env.clock.forward(timedelta(days=32))
    assert await service_env.users.sessions.purge() == 1
    assert await service_env.users.sessions.purge() == 0


async def test_a_login_and_a_block_at_once_leave_no_session(service_env: Any) -> None:
    for _ in range(4):
        user = await service_env.user()
        signed_in: Any
        signed_in, _ = await asyncio.gather(
            service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK),
            service_env.users.change(user.id, UserChanges(blocked=True), by=OPERATOR_PRINCIPAL),
            return_exceptions=True,
        )
        await service_env.users.change(user.id, UserChanges(blocked=False), by=OPERATOR_PRINCIPAL)
        if not isinstance(signed_in, InvalidCredentials):
            with pytest.raises(CredentialInvalid):
                await service_env.users.sessions.principal_of_access_token(signed_in[1].access_token)


async def test_a_refresh_and_a_logout_at_once_leave_no_session(service_env: Any) -> None:
    for _ in range(4):
        user = await service_env.user()
        _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK)
        refreshed: Any
        refreshed, _ = await asyncio.gather(
            service_env.users.sessions.refresh(tokens.refresh_token),
            service_env.users.sessions.logout(refresh_token=tokens.refresh_token),
            return_exceptions=True,
        )
        if not isinstance(refreshed, RefreshTokenInvalid):
            with pytest.raises(CredentialInvalid):
                await service_env.users.sessions.principal_of_access_token(refreshed[1].access_token)
