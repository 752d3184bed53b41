"""Sign-in and sessions of administrators."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.service_env import NETWORK

from latchstring.domain.errors import InvalidCredentials
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.formats.email_address import parse_address

PASSWORD = "correct horse 9 Battery"
EMAIL = "ann@office.test"


async def create_admin(service_env: Any, email: str = EMAIL, **fields: Any) -> Any:
    values = {"address": parse_address(email), "role": "manager", "password": PASSWORD, **fields}
    return (await service_env.admins.create(by=OPERATOR_PRINCIPAL, **values)).admin


async def sign_in(service_env: Any, email: str = EMAIL, password: str = PASSWORD) -> Any:
    return await service_env.admins.sessions.login(email, password, user_agent="Firefox\n", network="192.0.2.0/24")


async def test_a_login_opens_a_session(service_env: Any) -> None:
    admin = await create_admin(service_env)
    new = await sign_in(service_env, "ANN@office.test")
    assert not new.awaits_code
    assert new.expires_at == service_env.clock.now + timedelta(hours=12)
    authenticated = await service_env.admins.sessions.find(new.token)
    assert (authenticated.admin.id, authenticated.admin.last_login_at) == (admin.id, service_env.clock.now)
    assert (authenticated.session.user_agent, authenticated.session.network, authenticated.awaits_code) == (
        "Firefox",
        "192.0.2.0/24",
        False,
    )
    assert (await service_env.events())[-1] == "admin.signed_in"


@pytest.mark.parametrize("case", ["wrong password", "unknown", "no address", "no password set", "a user"])
async def test_every_failed_login_is_refused_alike(service_env: Any, case: str) -> None:
    await create_admin(service_env, password=None if case == "no password set" else PASSWORD)
    user = await service_env.user("admin")
    email = {"unknown": "nobody@office.test", "no address": "ann", "a user": user.email}.get(case, EMAIL)
    with pytest.raises(InvalidCredentials) as refused:
        await sign_in(service_env, email, "not the password" if case == "wrong password" else PASSWORD)
    assert refused.value.detail == "Wrong e-mail address or password."


async def test_an_administrator_cannot_sign_in_as_a_user(service_env: Any) -> None:
    admin = await create_admin(service_env, role="super-admin")
    with pytest.raises(InvalidCredentials):
        await service_env.users.sessions.login(admin.email_key, PASSWORD, network=NETWORK)


async def test_a_session_ends_at_logout(service_env: Any) -> None:
    await create_admin(service_env)
    other, ended = await sign_in(service_env), await sign_in(service_env)
    await service_env.admins.sessions.logout(await service_env.admins.sessions.find(ended.token))
    assert await service_env.admins.sessions.find(ended.token) is None
    assert await service_env.admins.sessions.find(other.token) is not None
    assert await service_env.admins.sessions.find("\ud800 unknown") is None


async def test_a_session_ends_after_two_idle_hours(service_env: Any) -> None:
    await create_admin(service_env)
    new = await sign_in(service_env)
    service_env.clock.forward(timedelta(minutes=119))
    assert await service_env.admins.sessions.find(new.token) is not None
    service_env.clock.forward(timedelta(minutes=119))
    assert await service_env.admins.sessions.find(new.token) is not None
    service_env.clock.forward(timedelta(minutes=120))
    assert await service_env.admins.sessions.find(new.token) is None


async def test_a_session_ends_after_twelve_hours_even_if_used(service_env: Any) -> None:
    await create_admin(service_env)
    new = await sign_in(service_env)
    for _ in range(7):
        service_env.clock.forward(timedelta(minutes=100))
        assert await service_env.admins.sessions.find(new.token) is not None
    service_env.clock.forward(timedelta(minutes=20))
    assert await service_env.admins.sessions.find(new.token) is None


async def test_use_is_stored_once_a_minute(service_env: Any) -> None:
    await create_admin(service_env)
    new = await sign_in(service_env)
    signed_in_at = service_env.clock.now
    service_env.clock.forward(timedelta(seconds=59))
    await service_env.admins.sessions.find(new.token)
    assert (await service_env.admins.sessions.find(new.token)).session.last_seen_at == signed_in_at
    service_env.clock.forward(timedelta(seconds=1))
    await service_env.admins.sessions.find(new.token)
    assert (await service_env.admins.sessions.find(new.token)).session.last_seen_at == service_env.clock.now


async def test_a_login_fails_if_the_password_changed_meanwhile(service_env: Any) -> None:
    admin = await create_admin(service_env)
    with pytest.raises(InvalidCredentials):
        await service_env.admins.sessions._open_admin_session(
            admin.id, verified_hash="previous", kept_hash="previous", user_agent="", network=""
        )


async def test_expired_sessions_are_deleted(service_env: Any) -> None:
    await create_admin(service_env)
    await sign_in(service_env)
    assert await service_env.admins.sessions.purge() == 0
    service_env.clock.forward(timedelta(hours=37))
    assert await service_env.admins.sessions.purge() == 1
    assert await service_env.admins.sessions.purge() == 0
