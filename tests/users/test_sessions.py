"""Signing in, staying signed in, signing out."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from latchstring.crypto.passwords import Passwords
from latchstring.domain.errors import CredentialInvalid, InvalidCredentials, RefreshTokenInvalid
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.users.accounts import UserChanges

PASSWORD = "correct horse 9 Battery"


async def test_a_login_opens_a_session(service_env: Any) -> None:
    user = await service_env.user("team")
    found, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD)
    assert (found.id, found.last_login_at, tokens.expires_in) == (user.id, service_env.clock.now, 900)
    principal, present = await service_env.users.sessions.principal_of_access_token(tokens.access_token)
    assert (principal.id, present.id) == (user.id, user.id)
    assert principal.can("groups:read")
    assert "user.signed_in" in await service_env.events()


@pytest.mark.parametrize("who", ["wrong password", "unknown", "no address", "no password set", "blocked"])
async def test_every_failed_login_is_told_alike(service_env: Any, who: str) -> None:
    user = await service_env.user(password=None if who == "no password set" else PASSWORD, blocked=who == "blocked")
    key = {"unknown": "nobody@people.test", "no address": None}.get(who, user.email_key)
    password = "not the password" if who == "wrong password" else PASSWORD
    with pytest.raises(InvalidCredentials) as refused:
        await service_env.users.sessions.login(key, password)
    assert refused.value.detail == "Wrong e-mail address or password."


async def test_unknown_accounts_cost_as_much_as_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []
    passwords = Passwords(memory_kib=8, passes=1)
    hashed = await passwords.hash(PASSWORD)
    monkeypatch.setattr(passwords, "_matches", lambda _, known: bool(looked_at.append(known)))
    await passwords.verify(PASSWORD, hashed)
    await passwords.verify(PASSWORD, None)
    passwords.close()
    assert len(looked_at) == 2
    assert looked_at[0].split("$")[:4] == looked_at[1].split("$")[:4]


async def test_access_ends_with_the_session_the_account_and_the_time(service_env: Any) -> None:
    user = await service_env.user()
    _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD)
    _, ended = await service_env.users.sessions.login(user.email_key, PASSWORD)
    principal, _ = await service_env.users.sessions.principal_of_access_token(ended.access_token)
    await service_env.users.sessions.logout(session_id=principal.session_id)
    with pytest.raises(CredentialInvalid):
        await service_env.users.sessions.principal_of_access_token(ended.access_token)
    service_env.clock.forward(timedelta(minutes=14))
    await service_env.users.sessions.principal_of_access_token(tokens.access_token)
    service_env.clock.forward(timedelta(minutes=1))
    with pytest.raises(CredentialInvalid):
        await service_env.users.sessions.principal_of_access_token(tokens.access_token)


async def test_a_blocked_account_is_out_at_once_and_its_sessions_stay_ended(service_env: Any) -> None:
    user = await service_env.user()
    _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD)
    await service_env.users.change(user.id, UserChanges(blocked=True), by=OPERATOR_PRINCIPAL)
    with pytest.raises(CredentialInvalid):
        await service_env.users.sessions.principal_of_access_token(tokens.access_token)
    with pytest.raises(RefreshTokenInvalid):
        await service_env.users.sessions.refresh(tokens.refresh_token)
    await service_env.users.change(user.id, UserChanges(blocked=False), by=OPERATOR_PRINCIPAL)
    with pytest.raises(CredentialInvalid):
        await service_env.users.sessions.principal_of_access_token(tokens.access_token)


async def test_role_and_groups_count_from_the_next_request(service_env: Any) -> None:
    user = await service_env.user("customer")
    _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD)
    await service_env.group("readers")
    await service_env.users.change(user.id, UserChanges(role="admin", groups=("readers",)), by=OPERATOR_PRINCIPAL)
    principal, present = await service_env.users.sessions.principal_of_access_token(tokens.access_token)
    assert principal.can("audit:read")
    assert present.groups == ("readers",)


async def test_a_refresh_token_is_good_once_and_ends_its_session_when_it_comes_back(service_env: Any) -> None:
    user = await service_env.user()
    _, first = await service_env.users.sessions.login(user.email_key, PASSWORD)
    _, other = await service_env.users.sessions.login(user.email_key, PASSWORD)
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


async def test_of_refreshes_at_once_exactly_one_wins(service_env: Any) -> None:
    user = await service_env.user()
    _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD)
    results = await asyncio.gather(
        *(service_env.users.sessions.refresh(tokens.refresh_token) for _ in range(8)), return_exceptions=True
    )
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert {type(result) for result in results if isinstance(result, BaseException)} == {RefreshTokenInvalid}
    assert (await service_env.events()).count("session.reuse_detected") == 1


async def test_whoever_holds_a_refresh_token_is_known_by_it_and_it_stays_unused(service_env: Any) -> None:
    user = await service_env.user("team")
    _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD)
    for _ in range(2):
        principal, present = await service_env.users.sessions.principal_of_refresh_token(tokens.refresh_token)
        assert (principal.id, present.id) == (user.id, user.id)
    await service_env.users.sessions.refresh(tokens.refresh_token)
    assert principal.session_id is not None


@pytest.mark.parametrize("why", ["unknown", "used", "ended", "blocked", "over"])
async def test_a_refresh_token_that_is_not_good_stands_for_nobody_and_ends_nothing(service_env: Any, why: str) -> None:
    user = await service_env.user()
    _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD)
    principal, _ = await service_env.users.sessions.principal_of_access_token(tokens.access_token)
    if why == "used":
        _, tokens_after = await service_env.users.sessions.refresh(tokens.refresh_token)
    elif why == "ended":
        await service_env.users.sessions.logout(session_id=principal.session_id)
    elif why == "blocked":
        await service_env.users.change(user.id, UserChanges(blocked=True), by=OPERATOR_PRINCIPAL)
    elif why == "over":
        service_env.clock.forward(timedelta(days=30))
    with pytest.raises(CredentialInvalid):
        await service_env.users.sessions.principal_of_refresh_token("x" if why == "unknown" else tokens.refresh_token)
    if why == "used":
        await service_env.users.sessions.principal_of_access_token(tokens_after.access_token)


async def test_a_session_lasts_as_long_as_it_is_used(service_env: Any) -> None:
    user = await service_env.user()
    _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD)
    for _ in range(3):
        service_env.clock.forward(timedelta(days=29))
        _, tokens = await service_env.users.sessions.refresh(tokens.refresh_token)
    service_env.clock.forward(timedelta(days=30))
    with pytest.raises(RefreshTokenInvalid):
        await service_env.users.sessions.refresh(tokens.refresh_token)


async def test_a_login_loses_against_a_block_and_a_new_password_that_came_first(service_env: Any) -> None:
    user = await service_env.user()
    verified = (await service_env.reload(user)).password_hash
    await service_env.users.change(user.id, UserChanges(password="quite another 1"), by=OPERATOR_PRINCIPAL)
    with pytest.raises(InvalidCredentials):
        await service_env.users.sessions._open(user, verified_hash=verified, kept_hash=verified)


async def test_a_login_brings_an_old_hash_up_to_date(service_env: Any) -> None:
    old = Passwords(memory_kib=16, passes=1)
    user = await service_env.user()
    hashed = await old.hash(PASSWORD)
    old.close()
    accounts = service_env.users
    changed = accounts._changed(await service_env.reload(user), UserChanges(), hashed, service_env.clock())
    from latchstring.storage.users.users import update_user  # noqa: PLC0415

    one = update_user(changed)
    await service_env.db.write(one.statement, **one.values)
    await accounts.sessions.login(user.email_key, PASSWORD)
    assert not service_env.passwords.needs_rehash((await service_env.reload(user)).password_hash)


async def test_logout_by_refresh_token_ends_the_session(service_env: Any) -> None:
    user = await service_env.user()
    _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD)
    await service_env.users.sessions.logout(refresh_token=tokens.refresh_token)
    await service_env.users.sessions.logout(refresh_token="nothing we know")
    with pytest.raises(CredentialInvalid):
        await service_env.users.sessions.principal_of_access_token(tokens.access_token)


async def test_sessions_that_ran_out_are_removed_in_the_end(service_env: Any) -> None:
    user = await service_env.user()
    await service_env.users.sessions.login(user.email_key, PASSWORD)
    assert await service_env.users.sessions.purge() == 0
    service_env.clock.forward(timedelta(days=32))
    assert await service_env.users.sessions.purge() == 1
    assert await service_env.users.sessions.purge() == 0


async def test_a_login_against_a_block_leaves_no_way_in(service_env: Any) -> None:
    for _ in range(4):
        user = await service_env.user()
        signed_in: Any
        signed_in, _ = await asyncio.gather(
            service_env.users.sessions.login(user.email_key, PASSWORD),
            service_env.users.change(user.id, UserChanges(blocked=True), by=OPERATOR_PRINCIPAL),
            return_exceptions=True,
        )
        await service_env.users.change(user.id, UserChanges(blocked=False), by=OPERATOR_PRINCIPAL)
        if not isinstance(signed_in, InvalidCredentials):
            with pytest.raises(CredentialInvalid):
                await service_env.users.sessions.principal_of_access_token(signed_in[1].access_token)


async def test_a_refresh_against_a_logout_leaves_no_way_in(service_env: Any) -> None:
    for _ in range(4):
        user = await service_env.user()
        _, tokens = await service_env.users.sessions.login(user.email_key, PASSWORD)
        fresh: Any
        fresh, _ = await asyncio.gather(
            service_env.users.sessions.refresh(tokens.refresh_token),
            service_env.users.sessions.logout(refresh_token=tokens.refresh_token),
            return_exceptions=True,
        )
        if not isinstance(fresh, RefreshTokenInvalid):
            with pytest.raises(CredentialInvalid):
                await service_env.users.sessions.principal_of_access_token(fresh[1].access_token)
