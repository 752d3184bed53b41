"""Administrators signing in and out, and what ends a session."""

from datetime import timedelta
from typing import Any

import pytest

from latchstring.domain.errors import InvalidCredentials
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.formats.email_address import parse_address

PASSWORD = "correct horse 9 Battery"
EMAIL = "ann@office.test"


async def made(service_env: Any, email: str = EMAIL, **fields: Any) -> Any:
    wanted = {"address": parse_address(email), "role": "manager", "password": PASSWORD, **fields}
    return (await service_env.admins.create(by=OPERATOR_PRINCIPAL, **wanted)).admin


async def sign_in(service_env: Any, email: str = EMAIL, password: str = PASSWORD) -> Any:
    return await service_env.admins.sessions.login(email, password, user_agent="Firefox\n", network="192.0.2.0/24")


async def test_a_login_opens_a_session(service_env: Any) -> None:
    admin = await made(service_env)
    new = await sign_in(service_env, "ANN@office.test")
    assert not new.awaits_code
    assert new.expires_at == service_env.clock.now + timedelta(hours=12)
    visit = await service_env.admins.sessions.find(new.token)
    assert (visit.admin.id, visit.admin.last_login_at) == (admin.id, service_env.clock.now)
    assert (visit.session.user_agent, visit.session.network, visit.awaits_code) == ("Firefox", "192.0.2.0/24", False)
    assert (await service_env.events())[-1] == "admin.signed_in"


@pytest.mark.parametrize("who", ["wrong password", "unknown", "no address", "no password set", "a user"])
async def test_every_failed_login_is_told_alike(service_env: Any, who: str) -> None:
    await made(service_env, password=None if who == "no password set" else PASSWORD)
    user = await service_env.user("admin")
    email = {"unknown": "nobody@office.test", "no address": "ann", "a user": user.email}.get(who, EMAIL)
    with pytest.raises(InvalidCredentials) as refused:
        await sign_in(service_env, email, "not the password" if who == "wrong password" else PASSWORD)
    assert refused.value.detail == "Wrong e-mail address or password."


async def test_an_administrator_is_nobody_to_the_app(service_env: Any) -> None:
    admin = await made(service_env, role="super-admin")
    with pytest.raises(InvalidCredentials):
        await service_env.users.sessions.login(admin.email_key, PASSWORD)


async def test_a_session_ends_at_logout(service_env: Any) -> None:
    await made(service_env)
    kept, ended = await sign_in(service_env), await sign_in(service_env)
    await service_env.admins.sessions.logout(await service_env.admins.sessions.find(ended.token))
    assert await service_env.admins.sessions.find(ended.token) is None
    assert await service_env.admins.sessions.find(kept.token) is not None
    assert await service_env.admins.sessions.find("\ud800 nothing we know") is None


async def test_a_session_ends_after_two_idle_hours(service_env: Any) -> None:
    await made(service_env)
    new = await sign_in(service_env)
    service_env.clock.forward(timedelta(minutes=119))
    assert await service_env.admins.sessions.find(new.token) is not None
    service_env.clock.forward(timedelta(minutes=119))
    assert await service_env.admins.sessions.find(new.token) is not None
    service_env.clock.forward(timedelta(minutes=120))
    assert await service_env.admins.sessions.find(new.token) is None


async def test_a_session_ends_after_twelve_hours_however_busy(service_env: Any) -> None:
    await made(service_env)
    new = await sign_in(service_env)
    for _ in range(7):
        service_env.clock.forward(timedelta(minutes=100))
        assert await service_env.admins.sessions.find(new.token) is not None
    service_env.clock.forward(timedelta(minutes=20))
    assert await service_env.admins.sessions.find(new.token) is None


async def test_use_is_noted_once_a_minute(service_env: Any) -> None:
    await made(service_env)
    new = await sign_in(service_env)
    signed_in_at = service_env.clock.now
    service_env.clock.forward(timedelta(seconds=59))
    await service_env.admins.sessions.find(new.token)
    assert (await service_env.admins.sessions.find(new.token)).session.last_seen_at == signed_in_at
    service_env.clock.forward(timedelta(seconds=1))
    await service_env.admins.sessions.find(new.token)
    assert (await service_env.admins.sessions.find(new.token)).session.last_seen_at == service_env.clock.now


async def test_a_login_loses_against_a_new_password_that_came_first(service_env: Any) -> None:
    admin = await made(service_env)
    with pytest.raises(InvalidCredentials):
        await service_env.admins.sessions._open_admin_session(
            admin.id, verified_hash="of before", kept_hash="of before", user_agent="", network=""
        )


async def test_sessions_that_ran_out_are_removed_in_the_end(service_env: Any) -> None:
    await made(service_env)
    await sign_in(service_env)
    assert await service_env.admins.sessions.purge() == 0
    service_env.clock.forward(timedelta(hours=37))
    assert await service_env.admins.sessions.purge() == 1
    assert await service_env.admins.sessions.purge() == 0
