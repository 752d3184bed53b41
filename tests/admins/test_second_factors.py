"""The second factor: enrolment, codes, recovery codes, and a removed master key."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.admins.test_sessions import PASSWORD, create_admin, sign_in
from tests.support.service_env import NETWORK

from latchstring.crypto.keyring import new_master_key
from latchstring.crypto.sealing import SealBroken, seal, unseal
from latchstring.crypto.totp import enrolment_uri, find_step, format_secret, step_at, totp_code
from latchstring.domain.errors import (
    AdminNotFound,
    CredentialInvalid,
    InvalidFields,
    NotAllowed,
    SecondFactorInvalid,
)
from latchstring.domain.ids import new_id
from latchstring.domain.panel import principal_of_admin
from latchstring.domain.principal import OPERATOR_PRINCIPAL

RFC_SECRET = b"12345678901234567890"  # RFC 6238 appendix B


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (2000000000, "279037"), (20000000000, "353130")],
)
def test_codes_match_the_test_vectors_of_rfc_6238(seconds: int, code: str) -> None:
    now = datetime.fromtimestamp(seconds, UTC)
    assert totp_code(RFC_SECRET, step_at(now)) == code
    assert find_step(RFC_SECRET, code, now=now) == seconds // 30


def test_clocks_may_differ_by_one_step() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    steps = [
        find_step(RFC_SECRET, totp_code(RFC_SECRET, step_at(now) + offset), now=now) for offset in (-2, -1, 0, 1, 2)
    ]
    assert steps == [None, step_at(now) - 1, step_at(now), step_at(now) + 1, None]
    assert find_step(RFC_SECRET, "１２３４５６", now=now) is None


def test_the_enrolment_uri_has_issuer_and_account() -> None:
    uri = enrolment_uri(RFC_SECRET, issuer="Orchard: Lane & Sons", account="ann@office.test")
    assert uri.startswith("otpauth://totp/Orchard%20%20Lane%20%26%20Sons:ann@office.test?secret=GEZDGNBV")
    assert "issuer=Orchard%20%20Lane%20%26%20Sons&algorithm=SHA1&digits=6&period=30" in uri
    assert format_secret(RFC_SECRET) == "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"


def test_a_sealed_secret_is_bound_to_owner_purpose_and_key() -> None:
    key, owner = new_master_key(), b"ann"
    sealed = seal(key, "test", b"secret", owner=owner)
    assert unseal(key, "test", sealed, owner=owner) == b"secret"
    assert b"secret" not in sealed
    assert sealed != seal(key, "test", b"secret", owner=owner)
    other: Callable[[], object]
    for other in (
        lambda: unseal(new_master_key(), "test", sealed, owner=owner),
        lambda: unseal(key, "other", sealed, owner=owner),
        lambda: unseal(key, "test", sealed, owner=b"ben"),
        lambda: unseal(key, "test", sealed[:-1], owner=owner),
        lambda: unseal(key, "test", b"", owner=owner),
    ):
        with pytest.raises(SealBroken):
            other()


async def authenticate(service_env: Any, new: Any) -> Any:
    return await service_env.admins.sessions.find(new.token)


def code_now(service_env: Any, admin: Any, *, offset: int = 0) -> str:
    return totp_code(service_env.admins.second_factors._unseal(admin), step_at(service_env.clock.now) + offset)


async def enrol(service_env: Any, **fields: Any) -> tuple[Any, tuple[str, ...]]:
    """An administrator with a second factor, and the recovery codes."""
    admin = await create_admin(service_env, **fields)
    new = await sign_in(service_env)
    await service_env.admins.second_factors.start(await authenticate(service_env, new))
    authenticated = await authenticate(service_env, new)
    codes = await service_env.admins.second_factors.confirm(
        authenticated, code_now(service_env, authenticated.admin), PASSWORD, network=NETWORK
    )
    service_env.clock.forward(timedelta(minutes=1))
    return await service_env.admins.get(admin.id), codes


async def test_no_code_is_required_before_confirmation(service_env: Any) -> None:
    await create_admin(service_env)
    new = await sign_in(service_env)
    await service_env.admins.second_factors.start(await authenticate(service_env, new))
    authenticated = await authenticate(service_env, new)
    enrolment = service_env.admins.second_factors.find_enrolment(authenticated.admin)
    assert enrolment.uri.startswith("otpauth://totp/Acme:ann@office.test?secret=")
    with pytest.raises(SecondFactorInvalid):
        await service_env.admins.second_factors.confirm(authenticated, "000000x", PASSWORD, network=NETWORK)
    with pytest.raises(InvalidFields):
        await service_env.admins.second_factors.confirm(
            authenticated, code_now(service_env, authenticated.admin), "not the password", network=NETWORK
        )
    assert not (await sign_in(service_env)).awaits_code


async def test_a_second_factor_is_required_at_login(service_env: Any) -> None:
    admin, codes = await enrol(service_env)
    assert service_env.admins.second_factors.find_enrolment(admin) is None
    assert len(set(codes)) == 10
    new = await sign_in(service_env)
    authenticated = await authenticate(service_env, new)
    assert new.awaits_code
    assert authenticated.awaits_code
    completed = await service_env.admins.second_factors.complete_login(authenticated, code_now(service_env, admin))
    assert completed.token != new.token
    assert await authenticate(service_env, new) is None
    assert not (await authenticate(service_env, completed)).awaits_code
    assert (await service_env.admins.get(admin.id)).last_login_at == service_env.clock.now


async def test_enabling_a_second_factor_ends_other_sessions(service_env: Any) -> None:
    await create_admin(service_env)
    other, new = await sign_in(service_env), await sign_in(service_env)
    await service_env.admins.second_factors.start(await authenticate(service_env, new))
    authenticated = await authenticate(service_env, new)
    await service_env.admins.second_factors.confirm(
        authenticated, code_now(service_env, authenticated.admin), PASSWORD, network=NETWORK
    )
    assert await authenticate(service_env, other) is None
    assert await authenticate(service_env, new) is not None


async def test_a_code_is_accepted_once(service_env: Any) -> None:
    admin, _ = await enrol(service_env)
    authenticated = [await authenticate(service_env, await sign_in(service_env)) for _ in range(4)]
    code = code_now(service_env, admin)
    results = await asyncio.gather(
        *(service_env.admins.second_factors.complete_login(signed_in, code) for signed_in in authenticated),
        return_exceptions=True,
    )
    assert [type(result) for result in results].count(SecondFactorInvalid) == 3
    late = await authenticate(service_env, await sign_in(service_env))
    for offset in (0, -1):
        with pytest.raises(SecondFactorInvalid):
            await service_env.admins.second_factors.complete_login(late, code_now(service_env, admin, offset=offset))


async def test_the_code_of_the_enrolment_cannot_be_used_to_sign_in(service_env: Any) -> None:
    admin, _ = await enrol(service_env)
    service_env.clock.forward(timedelta(minutes=-1))
    authenticated = await authenticate(service_env, await sign_in(service_env))
    with pytest.raises(SecondFactorInvalid):
        await service_env.admins.second_factors.complete_login(authenticated, code_now(service_env, admin))


async def test_a_recovery_code_is_accepted_once(service_env: Any) -> None:
    _, codes = await enrol(service_env)
    authenticated = [await authenticate(service_env, await sign_in(service_env)) for _ in range(4)]
    results = await asyncio.gather(
        *(service_env.admins.second_factors.complete_login(signed_in, codes[0].lower()) for signed_in in authenticated),
        return_exceptions=True,
    )
    assert [type(result) for result in results].count(SecondFactorInvalid) == 3
    assert await service_env.admins.second_factors.count_recovery_codes(authenticated[0].admin) == 9


async def test_recovery_codes_work_only_for_their_owner(service_env: Any) -> None:
    _, codes = await enrol(service_env)
    await enrol_as(service_env, "ben@office.test")
    authenticated = await authenticate(service_env, await sign_in(service_env, "ben@office.test"))
    with pytest.raises(SecondFactorInvalid):
        await service_env.admins.second_factors.complete_login(authenticated, codes[0])


async def enrol_as(service_env: Any, email: str) -> None:
    await create_admin(service_env, email)
    new = await sign_in(service_env, email)
    await service_env.admins.second_factors.start(await authenticate(service_env, new))
    authenticated = await authenticate(service_env, new)
    await service_env.admins.second_factors.confirm(
        authenticated, code_now(service_env, authenticated.admin), PASSWORD, network=NETWORK
    )


async def test_new_recovery_codes_replace_the_old_and_require_the_password(service_env: Any) -> None:
    _, codes = await enrol(service_env)
    new = await sign_in(service_env)
    authenticated = await authenticate(service_env, new)
    with pytest.raises(InvalidFields):
        await service_env.admins.second_factors.renew_recovery_codes(authenticated, "not the password", network=NETWORK)
    new_codes = await service_env.admins.second_factors.renew_recovery_codes(authenticated, PASSWORD, network=NETWORK)
    with pytest.raises(SecondFactorInvalid):
        await service_env.admins.second_factors.complete_login(authenticated, codes[0])
    assert (await service_env.admins.second_factors.complete_login(authenticated, new_codes[0])).token


async def test_the_code_must_be_entered_within_ten_minutes(service_env: Any) -> None:
    admin, _ = await enrol(service_env)
    new = await sign_in(service_env)
    authenticated = await authenticate(service_env, new)
    service_env.clock.forward(timedelta(minutes=10))
    assert await authenticate(service_env, new) is None
    with pytest.raises(CredentialInvalid):
        await service_env.admins.second_factors.complete_login(authenticated, code_now(service_env, admin))


async def test_a_deactivated_administrator_cannot_complete_a_login(service_env: Any) -> None:
    admin, codes = await enrol(service_env)
    first, second = [await authenticate(service_env, await sign_in(service_env)) for _ in range(2)]
    await service_env.admins.deactivate(admin.id, by=OPERATOR_PRINCIPAL)
    for authenticated, code in ((first, code_now(service_env, admin)), (second, codes[0])):
        with pytest.raises(SecondFactorInvalid):
            await service_env.admins.second_factors.complete_login(authenticated, code)


async def test_a_second_factor_is_removed_with_the_password(service_env: Any) -> None:
    _, codes = await enrol(service_env)
    authenticated = await authenticate(service_env, await sign_in(service_env))
    with pytest.raises(InvalidFields):
        await service_env.admins.second_factors.remove(authenticated, "not the password", network=NETWORK)
    await service_env.admins.second_factors.remove(authenticated, PASSWORD, network=NETWORK)
    assert not (await sign_in(service_env)).awaits_code
    assert await service_env.admins.second_factors.count_recovery_codes(authenticated.admin) == 0
    with pytest.raises(SecondFactorInvalid):
        await service_env.admins.second_factors.complete_login(authenticated, codes[0])


async def test_only_super_admins_reset_a_second_factor(service_env: Any) -> None:
    admin, _ = await enrol(service_env, role="manager")
    new = await sign_in(service_env)
    with pytest.raises(NotAllowed):
        await service_env.admins.second_factors.reset(admin.id, by=principal_of_admin(admin))
    await service_env.admins.second_factors.reset(admin.id, by=OPERATOR_PRINCIPAL)
    assert await authenticate(service_env, new) is None
    assert not (await sign_in(service_env)).awaits_code
    with pytest.raises(AdminNotFound):
        await service_env.admins.second_factors.reset(new_id(service_env.clock.now), by=OPERATOR_PRINCIPAL)


async def test_a_confirmed_secret_is_not_replaced(service_env: Any) -> None:
    admin, _ = await enrol(service_env)
    authenticated = await authenticate(service_env, await sign_in(service_env))
    await service_env.admins.second_factors.start(authenticated)
    assert (await service_env.admins.get(admin.id)).totp_secret == admin.totp_secret


async def test_without_the_master_key_codes_are_wrong_and_recovery_codes_work(service_env: Any) -> None:
    _, codes = await enrol(service_env)
    authenticated = await authenticate(service_env, await sign_in(service_env))
    service_env.keyring._keys = (new_master_key(),)
    with pytest.raises(SecondFactorInvalid):
        await service_env.admins.second_factors.complete_login(authenticated, "123456")
    assert (await service_env.admins.second_factors.complete_login(authenticated, codes[0])).token
