"""The second factor: enrolling, codes that are good once, recovery codes, and the master key's renewal."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.admins.test_sessions import PASSWORD, made, sign_in

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
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    at = datetime.fromtimestamp(seconds, UTC)
    assert totp_code(RFC_SECRET, step_at(at)) == code
    assert find_step(RFC_SECRET, code, now=at) == seconds // 30


def test_a_clock_may_be_one_step_away_and_no_more() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    found = [find_step(RFC_SECRET, totp_code(RFC_SECRET, step_at(at) + away), now=at) for away in (-2, -1, 0, 1, 2)]
    assert found == [None, step_at(at) - 1, step_at(at), step_at(at) + 1, None]
    assert find_step(RFC_SECRET, "１２３４５６", now=at) is None


def test_an_app_reads_issuer_and_account() -> None:
    uri = enrolment_uri(RFC_SECRET, issuer="Orchard: Lane & Sons", account="ann@office.test")
    assert uri.startswith("otpauth://totp/Orchard%20%20Lane%20%26%20Sons:ann@office.test?secret=GEZDGNBV")
    assert "issuer=Orchard%20%20Lane%20%26%20Sons&algorithm=SHA1&digits=6&period=30" in uri
    assert format_secret(RFC_SECRET) == "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"


def test_a_sealed_secret_opens_for_its_owner_purpose_and_key_only() -> None:
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


async def visit_of(service_env: Any, new: Any) -> Any:
    return await service_env.admins.sessions.find(new.token)


def code_now(service_env: Any, admin: Any, *, away: int = 0) -> str:
    return totp_code(service_env.admins.second_factors._unseal(admin), step_at(service_env.clock.now) + away)


async def enrolled(service_env: Any, **fields: Any) -> tuple[Any, tuple[str, ...]]:
    """An administrator with a second factor, and the recovery codes."""
    admin = await made(service_env, **fields)
    new = await sign_in(service_env)
    await service_env.admins.second_factors.start(await visit_of(service_env, new))
    visit = await visit_of(service_env, new)
    codes = await service_env.admins.second_factors.confirm(visit, code_now(service_env, visit.admin), PASSWORD)
    service_env.clock.forward(timedelta(minutes=1))
    return await service_env.admins.get(admin.id), codes


async def test_nothing_is_asked_until_a_code_was_entered(service_env: Any) -> None:
    await made(service_env)
    new = await sign_in(service_env)
    await service_env.admins.second_factors.start(await visit_of(service_env, new))
    visit = await visit_of(service_env, new)
    enrolment = service_env.admins.second_factors.find_enrolment(visit.admin)
    assert enrolment.uri.startswith("otpauth://totp/Acme:ann@office.test?secret=")
    with pytest.raises(SecondFactorInvalid):
        await service_env.admins.second_factors.confirm(visit, "000000x", PASSWORD)
    with pytest.raises(InvalidFields):
        await service_env.admins.second_factors.confirm(visit, code_now(service_env, visit.admin), "not the password")
    assert not (await sign_in(service_env)).awaits_code


async def test_who_has_a_second_factor_is_asked_for_it(service_env: Any) -> None:
    admin, codes = await enrolled(service_env)
    assert service_env.admins.second_factors.find_enrolment(admin) is None
    assert len(set(codes)) == 10
    new = await sign_in(service_env)
    visit = await visit_of(service_env, new)
    assert new.awaits_code
    assert visit.awaits_code
    opened = await service_env.admins.second_factors.complete_login(visit, code_now(service_env, admin))
    assert opened.token != new.token
    assert await visit_of(service_env, new) is None
    assert not (await visit_of(service_env, opened)).awaits_code
    assert (await service_env.admins.get(admin.id)).last_login_at == service_env.clock.now


async def test_other_sessions_end_when_a_second_factor_comes_into_use(service_env: Any) -> None:
    await made(service_env)
    other, new = await sign_in(service_env), await sign_in(service_env)
    await service_env.admins.second_factors.start(await visit_of(service_env, new))
    visit = await visit_of(service_env, new)
    await service_env.admins.second_factors.confirm(visit, code_now(service_env, visit.admin), PASSWORD)
    assert await visit_of(service_env, other) is None
    assert await visit_of(service_env, new) is not None


async def test_a_code_is_good_once_whoever_comes_with_it(service_env: Any) -> None:
    admin, _ = await enrolled(service_env)
    visits = [await visit_of(service_env, await sign_in(service_env)) for _ in range(4)]
    code = code_now(service_env, admin)
    results = await asyncio.gather(
        *(service_env.admins.second_factors.complete_login(visit, code) for visit in visits), return_exceptions=True
    )
    assert [type(result) for result in results].count(SecondFactorInvalid) == 3
    late = await visit_of(service_env, await sign_in(service_env))
    for away in (0, -1):
        with pytest.raises(SecondFactorInvalid):
            await service_env.admins.second_factors.complete_login(late, code_now(service_env, admin, away=away))


async def test_the_code_that_enrolled_signs_nobody_in(service_env: Any) -> None:
    admin, _ = await enrolled(service_env)
    service_env.clock.forward(timedelta(minutes=-1))
    visit = await visit_of(service_env, await sign_in(service_env))
    with pytest.raises(SecondFactorInvalid):
        await service_env.admins.second_factors.complete_login(visit, code_now(service_env, admin))


async def test_a_recovery_code_is_good_once(service_env: Any) -> None:
    _, codes = await enrolled(service_env)
    visits = [await visit_of(service_env, await sign_in(service_env)) for _ in range(4)]
    results = await asyncio.gather(
        *(service_env.admins.second_factors.complete_login(visit, codes[0].lower()) for visit in visits),
        return_exceptions=True,
    )
    assert [type(result) for result in results].count(SecondFactorInvalid) == 3
    assert await service_env.admins.second_factors.count_recovery_codes(visits[0].admin) == 9


async def test_recovery_codes_are_their_owners(service_env: Any) -> None:
    _, codes = await enrolled(service_env)
    await enrolled_as(service_env, "ben@office.test")
    visit = await visit_of(service_env, await sign_in(service_env, "ben@office.test"))
    with pytest.raises(SecondFactorInvalid):
        await service_env.admins.second_factors.complete_login(visit, codes[0])


async def enrolled_as(service_env: Any, email: str) -> None:
    await made(service_env, email)
    new = await sign_in(service_env, email)
    await service_env.admins.second_factors.start(await visit_of(service_env, new))
    visit = await visit_of(service_env, new)
    await service_env.admins.second_factors.confirm(visit, code_now(service_env, visit.admin), PASSWORD)


async def test_new_recovery_codes_replace_the_old_and_need_the_password(service_env: Any) -> None:
    _, codes = await enrolled(service_env)
    new = await sign_in(service_env)
    visit = await visit_of(service_env, new)
    with pytest.raises(InvalidFields):
        await service_env.admins.second_factors.renew_recovery_codes(visit, "not the password")
    fresh = await service_env.admins.second_factors.renew_recovery_codes(visit, PASSWORD)
    with pytest.raises(SecondFactorInvalid):
        await service_env.admins.second_factors.complete_login(visit, codes[0])
    assert (await service_env.admins.second_factors.complete_login(visit, fresh[0])).token


async def test_ten_minutes_remain_to_enter_the_code(service_env: Any) -> None:
    admin, _ = await enrolled(service_env)
    new = await sign_in(service_env)
    visit = await visit_of(service_env, new)
    service_env.clock.forward(timedelta(minutes=10))
    assert await visit_of(service_env, new) is None
    with pytest.raises(CredentialInvalid):
        await service_env.admins.second_factors.complete_login(visit, code_now(service_env, admin))


async def test_deactivating_beats_a_code_that_comes_later(service_env: Any) -> None:
    admin, codes = await enrolled(service_env)
    first, second = [await visit_of(service_env, await sign_in(service_env)) for _ in range(2)]
    await service_env.admins.deactivate(admin.id, by=OPERATOR_PRINCIPAL)
    for visit, code in ((first, code_now(service_env, admin)), (second, codes[0])):
        with pytest.raises(SecondFactorInvalid):
            await service_env.admins.second_factors.complete_login(visit, code)


async def test_a_second_factor_is_removed_with_the_password(service_env: Any) -> None:
    _, codes = await enrolled(service_env)
    visit = await visit_of(service_env, await sign_in(service_env))
    with pytest.raises(InvalidFields):
        await service_env.admins.second_factors.remove(visit, "not the password")
    await service_env.admins.second_factors.remove(visit, PASSWORD)
    assert not (await sign_in(service_env)).awaits_code
    assert await service_env.admins.second_factors.count_recovery_codes(visit.admin) == 0
    with pytest.raises(SecondFactorInvalid):
        await service_env.admins.second_factors.complete_login(visit, codes[0])


async def test_a_lost_phone_is_a_matter_for_super_admins(service_env: Any) -> None:
    admin, _ = await enrolled(service_env, role="manager")
    new = await sign_in(service_env)
    with pytest.raises(NotAllowed):
        await service_env.admins.second_factors.reset(admin.id, by=principal_of_admin(admin))
    await service_env.admins.second_factors.reset(admin.id, by=OPERATOR_PRINCIPAL)
    assert await visit_of(service_env, new) is None
    assert not (await sign_in(service_env)).awaits_code
    with pytest.raises(AdminNotFound):
        await service_env.admins.second_factors.reset(new_id(service_env.clock.now), by=OPERATOR_PRINCIPAL)


async def test_a_secret_in_use_is_not_replaced_by_starting_again(service_env: Any) -> None:
    admin, _ = await enrolled(service_env)
    visit = await visit_of(service_env, await sign_in(service_env))
    await service_env.admins.second_factors.start(visit)
    assert (await service_env.admins.get(admin.id)).totp_secret == admin.totp_secret


async def test_a_secret_whose_master_key_is_gone_is_a_wrong_code_not_a_fault(service_env: Any) -> None:
    _, codes = await enrolled(service_env)
    visit = await visit_of(service_env, await sign_in(service_env))
    service_env.keyring._keys = (new_master_key(),)
    with pytest.raises(SecondFactorInvalid):
        await service_env.admins.second_factors.complete_login(visit, "123456")
    assert (await service_env.admins.second_factors.complete_login(visit, codes[0])).token
