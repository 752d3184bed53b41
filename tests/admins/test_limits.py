"""Rate limits of sign-in, codes, guesses of one's own password, and mails with set-up links."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from tests.admins.test_administrators import authenticate, create_active_admin, invite, sign_in
from tests.support.service_env import NETWORK, ServiceEnv

from latchstring.admins.service import Admins
from latchstring.admins.sessions import AuthenticatedAdmin
from latchstring.domain.errors import InvalidCredentials, InvalidFields, SecondFactorInvalid, TooManyRequests
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.formats.email_address import parse_address

EMAIL = "ann@office.test"


@pytest.mark.parametrize("address_text", [EMAIL, "nobody@office.test", "no address"])
async def test_sign_ins_are_limited_with_and_without_an_account(service_env: ServiceEnv, address_text: str) -> None:
    limited = service_env.with_limits(login_per_account="1/minute")
    await create_active_admin(service_env)
    with pytest.raises(InvalidCredentials):
        await sign_in(limited, address_text, "wrong")
    with pytest.raises(TooManyRequests):
        await sign_in(limited, address_text.upper() if "@" in address_text else address_text)


async def test_sign_ins_are_counted_apart_from_users(service_env: ServiceEnv) -> None:
    limited = service_env.with_limits(login_per_account="1/minute")
    await create_active_admin(service_env)
    with pytest.raises(InvalidCredentials):
        await limited.users.sessions.login(EMAIL, "wrong", network=NETWORK)
    assert (await sign_in(limited)).token


async def test_codes_are_limited(service_env: ServiceEnv) -> None:
    await create_active_admin(service_env)
    session = await authenticate(service_env, await sign_in(service_env))
    factors = service_env.with_limits(login_per_account="2/minute").admins.second_factors
    for _ in range(2):
        with pytest.raises(SecondFactorInvalid):
            await factors.complete_login(session, "x")
    with pytest.raises(TooManyRequests):
        await factors.complete_login(session, "x")


PASSWORD_CHECKS: list[Callable[[Admins, AuthenticatedAdmin], Coroutine[Any, Any, object]]] = [
    lambda admins, by: admins.own_account.change_password(by, "wrong", "quite another 1", network=NETWORK),
    lambda admins, by: admins.second_factors.confirm(by, "123456", "wrong", network=NETWORK),
    lambda admins, by: admins.second_factors.renew_recovery_codes(by, "wrong", network=NETWORK),
    lambda admins, by: admins.second_factors.remove(by, "wrong", network=NETWORK),
]


async def test_guesses_of_the_own_password_share_a_limit(service_env: ServiceEnv) -> None:
    limited = service_env.with_limits(login_per_account="4/minute")
    await create_active_admin(service_env)
    session = await authenticate(service_env, await sign_in(service_env))
    for check in PASSWORD_CHECKS:
        with pytest.raises(InvalidFields):
            await check(limited.admins, session)
    for check in PASSWORD_CHECKS:
        with pytest.raises(TooManyRequests):
            await check(limited.admins, session)
    assert (await sign_in(limited)).token  # counted apart from sign-in


async def test_set_up_mails_are_limited_per_address(service_env: ServiceEnv) -> None:
    limited = service_env.with_limits(per_recipient="2/day")
    sent = await invite(limited)
    await limited.admins.resend_set_up(sent.admin.id, by=OPERATOR_PRINCIPAL)
    with pytest.raises(TooManyRequests):
        await limited.admins.resend_set_up(sent.admin.id, by=OPERATOR_PRINCIPAL)
    with pytest.raises(TooManyRequests):  # before anything else about the invitation is checked
        await invite(limited, role="unknown")
    assert (await invite(limited, "ben@office.test")).is_mailed


@pytest.mark.parametrize("email", [EMAIL, "nobody@office.test"])
async def test_requested_links_are_limited_with_and_without_an_account(service_env: ServiceEnv, email: str) -> None:
    links = service_env.with_limits(per_recipient="1/day").admins.set_up_links
    await create_active_admin(service_env)
    await links.request(parse_address(email))
    with pytest.raises(TooManyRequests):
        await links.request(parse_address(email))
