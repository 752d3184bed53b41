"""Rate limits of sign-in and of mails that users and their administrators request."""

import pytest
from tests.support.service_env import NETWORK, PASSWORD, ServiceEnv

from latchstring.domain.account import User
from latchstring.domain.errors import InvalidCredentials, TooManyRequests
from latchstring.domain.mail import MailKind
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.formats.email_address import parse_address


async def fail_to_sign_in(service_env: ServiceEnv, address_text: str, network: str = NETWORK) -> None:
    with pytest.raises(InvalidCredentials):
        await service_env.users.sessions.login(address_text, "wrong", network=network)


@pytest.mark.parametrize("address_text", ["nobody@people.test", "no address", ""])
async def test_logins_are_limited_with_and_without_an_account(service_env: ServiceEnv, address_text: str) -> None:
    limited = service_env.with_limits(login_per_account="1/minute")
    await fail_to_sign_in(limited, address_text)
    with pytest.raises(TooManyRequests) as refused:
        await limited.users.sessions.login(address_text, "wrong", network=NETWORK)
    assert refused.value.retry_after_seconds > 0


async def test_the_right_password_is_refused_over_the_limit(service_env: ServiceEnv) -> None:
    limited = service_env.with_limits(login_per_account="1/minute")
    user = await service_env.user()
    await fail_to_sign_in(limited, user.email)
    with pytest.raises(TooManyRequests):  # one counter for every spelling of the address
        await limited.users.sessions.login(user.email.upper(), PASSWORD, network=NETWORK)


async def test_logins_are_counted_per_network(service_env: ServiceEnv) -> None:
    limited = service_env.with_limits(login_per_account="1/minute")
    user = await service_env.user()
    await fail_to_sign_in(limited, user.email, "203.0.113.0/24")
    signed_in, _ = await limited.users.sessions.login(user.email, PASSWORD, network=NETWORK)
    assert signed_in.id == user.id


async def test_requested_mails_share_a_limit_per_address(service_env: ServiceEnv) -> None:
    recovery = service_env.with_limits(per_recipient="3/day").users.recovery
    user = await service_env.user(email_verified=False)
    address = parse_address(user.email)
    await recovery.request_password_reset(address)
    await recovery.request_verification(user)
    await recovery.request_verification_of(address)
    for request in (
        recovery.request_password_reset(address),
        recovery.request_verification(user),
        recovery.request_verification_of(address),
    ):
        with pytest.raises(TooManyRequests):
            await request
    assert len(await service_env.mails()) == 3


async def test_requests_count_without_an_account(service_env: ServiceEnv) -> None:
    recovery = service_env.with_limits(per_recipient="1/day").users.recovery
    await recovery.request_password_reset(parse_address("nobody@people.test"))
    with pytest.raises(TooManyRequests):
        await recovery.request_password_reset(parse_address("nobody@people.test"))


async def send_password_link(service_env: ServiceEnv, user: User) -> bool:
    return await service_env.users.operations.send_link(user.id, MailKind.PASSWORD_RESET, by=OPERATOR_PRINCIPAL)


async def test_links_sent_by_administrators_are_limited_per_address(service_env: ServiceEnv) -> None:
    limited = service_env.with_limits(per_recipient="1/day")
    ann, ben = await service_env.user(), await service_env.user()
    assert await send_password_link(limited, ann)
    with pytest.raises(TooManyRequests):
        await send_password_link(limited, ann)
    assert await send_password_link(limited, ben)


async def test_requested_mails_do_not_use_up_the_limit_of_administrators(service_env: ServiceEnv) -> None:
    limited = service_env.with_limits(per_recipient="1/day")
    user = await service_env.user()
    await limited.users.recovery.request_password_reset(parse_address(user.email))
    assert await send_password_link(limited, user)


async def test_a_link_to_a_verified_address_counts_as_well(service_env: ServiceEnv) -> None:
    limited = service_env.with_limits(per_recipient="1/day")
    user = await service_env.user(email_verified=True)
    kind = MailKind.EMAIL_VERIFICATION
    assert not await limited.users.operations.send_link(user.id, kind, by=OPERATOR_PRINCIPAL)
    with pytest.raises(TooManyRequests):
        await limited.users.operations.send_link(user.id, kind, by=OPERATOR_PRINCIPAL)
